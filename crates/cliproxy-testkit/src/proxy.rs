//! Real proxies on loopback that record which way they were asked to open.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::Authority;

/// A running proxy; ends with the runtime of its test.
pub struct Proxy {
    address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<String>>>,
    is_broken: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Rules {
    /// `user:password` that must be presented.
    credentials: Option<String>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Rules {
    fn note(&self, target: &str) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(target.to_owned());
    }
}

impl Proxy {
    /// An HTTP proxy: tunnels for https, forwarding for http.
    pub async fn http(credentials: Option<&str>) -> Self {
        Self::start("http", credentials, |stream, rules| async move { http(stream, rules).await }).await
    }

    /// The same behind TLS.
    pub async fn https(authority: &Authority, credentials: Option<&str>) -> Self {
        let tls = authority.acceptor(&[]);
        Self::start("https", credentials, move |stream, rules| {
            let tls = tls.clone();
            async move { http(tls.accept(stream).await?, rules).await }
        })
        .await
    }

    /// A SOCKS 5 proxy.
    pub async fn socks5(credentials: Option<&str>) -> Self {
        Self::start("socks5", credentials, |stream, rules| async move { socks(stream, rules).await }).await
    }

    async fn start<F>(
        scheme: &'static str,
        credentials: Option<&str>,
        serve: impl Fn(TcpStream, Rules) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let asked = Arc::default();
        let is_broken = Arc::new(AtomicBool::new(false));
        let broken = Arc::clone(&is_broken);
        let rules = Rules { credentials: credentials.map(str::to_owned), asked: Arc::clone(&asked) };
        super::background(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if broken.load(Ordering::SeqCst) {
                    continue;
                }
                let serving = serve(stream, rules.clone());
                super::background(async move { drop(serving.await) });
            }
        });
        Self { address, scheme, asked, is_broken }
    }

    /// Breaks it, or mends it: while it is broken, it hangs up on everybody without a word.
    pub fn set_broken(&self, is_broken: bool) {
        self.is_broken.store(is_broken, Ordering::SeqCst);
    }

    /// Its address; `credentials` are written into it.
    pub fn url(&self, credentials: Option<&str>) -> String {
        let credentials = credentials.map(|both| format!("{both}@")).unwrap_or_default();
        format!("{}://{credentials}{}", self.scheme, self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it was asked for, one entry a connection: the target, or why it was refused.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn http(mut client: impl AsyncRead + AsyncWrite + Unpin, rules: Rules) -> io::Result<()> {
    let head = head(&mut client).await?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut presented = None;
    let mut others = String::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "proxy-authorization" => presented = value.trim().strip_prefix("Basic ").map(str::to_owned),
            // One request a connection, so that no second one passes unseen.
            "connection" | "proxy-connection" => {}
            _ => others.extend([line, "\r\n"]),
        }
    }
    let wanted =
        rules.credentials.as_ref().map(|both| base64::engine::general_purpose::STANDARD.encode(both));
    if presented != wanted {
        rules.note("refused");
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal.as_bytes()).await;
    }
    rules.note(&format!("{method} {target}"));
    if method == "CONNECT" {
        let mut server = TcpStream::connect(target).await?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let rest = target.strip_prefix("http://").ok_or_else(|| io::Error::other("not an absolute address"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut server = TcpStream::connect(host).await?;
    let request = format!("{method} /{path} HTTP/1.1\r\n{others}connection: close\r\n\r\n");
    server.write_all(request.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn head(client: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

async fn socks(mut client: TcpStream, rules: Rules) -> io::Result<()> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).await?;
    let mut methods = vec![0; usize::from(greeting[1])];
    client.read_exact(&mut methods).await?;
    let wanted = if rules.credentials.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        rules.note("refused");
        return client.write_all(&[5, 0xFF]).await;
    }
    client.write_all(&[5, wanted]).await?;
    if let Some(both) = &rules.credentials {
        client.read_u8().await?;
        let user = counted(&mut client).await?;
        let password = counted(&mut client).await?;
        if format!("{user}:{password}") != *both {
            rules.note("refused");
            return client.write_all(&[1, 1]).await;
        }
        client.write_all(&[1, 0]).await?;
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => client.read_u32().await.map(|bits| std::net::Ipv4Addr::from(bits).to_string())?,
        3 => counted(&mut client).await?,
        _ => client.read_u128().await.map(|bits| format!("[{}]", std::net::Ipv6Addr::from(bits)))?,
    };
    let target = format!("{host}:{}", client.read_u16().await?);
    rules.note(&target);
    let mut server = TcpStream::connect(&target).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn counted(client: &mut TcpStream) -> io::Result<String> {
    let mut text = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut text).await?;
    String::from_utf8(text).map_err(io::Error::other)
}
