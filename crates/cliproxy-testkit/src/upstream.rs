//! A scripted upstream: a real HTTP server, over TLS and HTTP/2 where asked, that records what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::script::{Body, Head, Script};

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method.
    pub method: Method,
    /// Path with query.
    pub path: String,
    /// Protocol version.
    pub version: Version,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Received {
    /// A header as text; empty when it did not come.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

type Answers = dyn Fn(&Received) -> Script + Send + Sync;

/// What happened at an upstream.
pub(crate) struct Log {
    received: Mutex<Vec<Received>>,
    arrived: Notify,
    dropped: Semaphore,
    connections: AtomicUsize,
}

impl Log {
    pub(crate) fn note_drop(&self) {
        self.dropped.add_permits(1);
    }
}

/// Notes that a request was given up, unless it was answered before.
struct Watch(Option<Arc<Log>>);

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(log) = self.0.take() {
            log.note_drop();
        }
    }
}

/// A running scripted upstream; ends with the runtime of its test.
pub struct Upstream {
    address: SocketAddr,
    scheme: &'static str,
    log: Arc<Log>,
}

impl Upstream {
    /// Starts one that answers every request by `script`.
    pub async fn start(script: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Self {
        Self::serve(None, script).await
    }

    /// Starts one that speaks TLS with a certificate of `authority` and offers the protocols of `alpn`.
    pub async fn start_tls(
        authority: &Authority,
        alpn: &[&str],
        script: impl Fn(&Received) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Some(authority.acceptor(alpn)), script).await
    }

    async fn serve(
        tls: Option<TlsAcceptor>,
        script: impl Fn(&Received) -> Script + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let log = Arc::new(Log {
            received: Mutex::default(),
            arrived: Notify::new(),
            dropped: Semaphore::new(0),
            connections: AtomicUsize::new(0),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        super::background(accept(listener, tls, Arc::new(script), Arc::clone(&log)));
        Self { address, scheme, log }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Its address with the host's name instead of its number.
    pub fn named_url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// What arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.log.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `count` requests have arrived.
    pub async fn arrived(&self, count: usize) {
        loop {
            let arrived = self.log.arrived.notified();
            if self.received().len() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Waits until the peer lets go of a request that was not answered to its end. Each is told once.
    pub async fn dropped(&self) {
        self.log.dropped.acquire().await.expect("never closed").forget();
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, script: Arc<Answers>, log: Arc<Log>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        stream.set_nodelay(true).expect("a TCP socket");
        log.connections.fetch_add(1, Ordering::SeqCst);
        let (script, log) = (Arc::clone(&script), Arc::clone(&log));
        match tls.clone() {
            None => super::background(connection(stream, script, log)),
            Some(tls) => super::background(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    connection(stream, script, log).await;
                }
            }),
        }
    }
}

async fn connection<S>(stream: S, script: Arc<Answers>, log: Arc<Log>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, Arc::clone(&script), Arc::clone(&log)));
    // A broken connection is what many scripts want; the test looks at the other side.
    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
}

/// The connection closes without an answer.
#[derive(Debug)]
struct HungUp;

impl std::fmt::Display for HungUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up by script")
    }
}

impl std::error::Error for HungUp {}

async fn answer(
    request: Request<Incoming>,
    script: Arc<Answers>,
    log: Arc<Log>,
) -> Result<Response<Body>, HungUp> {
    let mut watch = Watch(Some(Arc::clone(&log)));
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Err(HungUp) };
    let received = Received {
        method: parts.method,
        path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        version: parts.version,
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let script = script(&received);
    log.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    log.arrived.notify_waiters();
    let (status, headers) = match &script.head {
        Head::Answer { status, headers } => (*status, headers.clone()),
        Head::Silent => match std::future::pending::<Infallible>().await {},
        Head::HangUp => {
            watch.0 = None;
            return Err(HungUp);
        }
    };
    watch.0 = None;
    let mut response = Response::new(script.body(log));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        let value = HeaderValue::from_str(&value).expect("a header value");
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    Ok(response)
}
