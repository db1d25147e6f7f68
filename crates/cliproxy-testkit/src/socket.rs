//! Peers below HTTP: one that is deaf, one that nobody can reach, one that says fixed bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A listener of one of the kinds below; gone when dropped.
pub struct Peer {
    address: SocketAddr,
    /// Connections that keep the queue of a full listener full.
    _held: Vec<TcpStream>,
    _listener: Option<TcpListener>,
}

impl Peer {
    /// Takes connections and never says a word.
    pub fn deaf() -> Self {
        let (listener, address) = listen(1024);
        super::background(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Self { address, _held: Vec::new(), _listener: None }
    }

    /// Its queue of new connections is full, so that the next one never stands.
    pub async fn unreachable() -> Self {
        let (listener, address) = listen(0);
        let mut held = Vec::new();
        let brief = std::time::Duration::from_millis(200);
        while let Ok(Ok(stream)) = tokio::time::timeout(brief, TcpStream::connect(address)).await {
            held.push(stream);
        }
        Self { address, _held: held, _listener: Some(listener) }
    }

    /// Answers the head of every request with `bytes` and closes.
    pub fn saying(bytes: impl Into<Bytes>) -> Self {
        let (listener, address) = listen(1024);
        let bytes = bytes.into();
        super::background(async move {
            while let Ok((stream, _)) = listener.accept().await {
                super::background(say(stream, bytes.clone()));
            }
        });
        Self { address, _held: Vec::new(), _listener: None }
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn listen(backlog: u32) -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(backlog).expect("a listener");
    let address = listener.local_addr().expect("a bound address");
    (listener, address)
}

async fn say(mut stream: TcpStream, bytes: Bytes) {
    let mut request = [0; 4096];
    if stream.read(&mut request).await.is_ok_and(|length| length > 0)
        && stream.write_all(&bytes).await.is_ok()
    {
        stream.shutdown().await.ok();
        // What is unread would turn the close into a reset that takes the answer with it.
        while stream.read(&mut request).await.is_ok_and(|length| length > 0) {}
    }
}
