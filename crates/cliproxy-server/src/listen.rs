//! The accept loop: plain or TLS, with time limits for those who connect and say nothing, without Nagle's delay, and an
//! orderly end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cliproxy_core::wake;
use futures_util::future::BoxFuture;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Gateway;

/// A connection, plain or TLS. One type for both: HTTP over it is compiled once.
type Io = Either<TcpStream, Box<tokio_rustls::server::TlsStream<TcpStream>>>;

/// Longest wait for a connection's first bytes, and for a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// What HTTP/2 begins with over a plain connection. Source: RFC 9113 section 3.4; no request of HTTP/1 has this method.
const HTTP2: &[u8; 4] = b"PRI ";
/// Longest TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Certificate and key of a TLS listener, as PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Certificate and key of a TLS listener, read.
#[derive(Clone)]
pub struct Tls(tokio_rustls::TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// How and when serving ends.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// No more connections from here on.
    pub token: CancellationToken,
    /// Running answers get this long.
    pub grace: Duration,
    /// They get no longer.
    pub at_once: CancellationToken,
}

/// Why a listener cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A TLS file cannot be read.
    #[error("cannot read the TLS file {path}: {message}; check tls.cert and tls.key in config.yaml")]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// Certificate and key do not fit.
    #[error("the TLS certificate and key cannot be used: {0}")]
    Tls(String),
}

/// Serves the gateway on `listener` until told to stop; then waits for running answers within the grace time. Faults of
/// single connections end those connections only. Whoever waits for this compiles nothing of it again.
pub fn serve(
    listener: TcpListener,
    gateway: Gateway,
    tls: Option<Tls>,
    shutdown: Shutdown,
) -> BoxFuture<'static, ()> {
    Box::pin(accept(listener, gateway, tls, shutdown))
}

async fn accept(listener: TcpListener, gateway: Gateway, tls: Option<Tls>, shutdown: Shutdown) {
    let (protocols, gateway) = (Arc::new(Protocols::new()), Arc::new(gateway));
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.token.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            },
        };
        // Without this every small event waits up to 40 ms for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("cannot set TCP_NODELAY: {error}");
        }
        let (protocols, gateway, tls) = (Arc::clone(&protocols), Arc::clone(&gateway), tls.clone());
        let token = shutdown.token.clone();
        // Handshakes run on the connection's task, so a slow one does not hold up the others.
        connections.spawn(async move {
            let stream = match tls {
                None => Some(Io::Left(stream)),
                // Boxed: a kilobyte and a half that a task without TLS has no use for.
                Some(Tls(acceptor)) => tokio::select! {
                    stream = Box::pin(handshake(&acceptor, stream)) => stream.map(|stream| Io::Right(Box::new(stream))),
                    () = token.cancelled() => None,
                },
            };
            if let Some(stream) = stream {
                wake::able_to_be_quiet(connection(&protocols, stream, peer, gateway, token)).await;
            }
        });
    }
    drop(listener);
    connections.close();
    let sockets = gateway.sockets();
    let answered = async { tokio::join!(connections.wait(), sockets.finish()) };
    tokio::select! {
        ((), ()) = answered => {}
        () = tokio::time::sleep(shutdown.grace) => {
            tracing::warn!("some answers were still running after the grace time and are cut off");
        }
        () = shutdown.at_once.cancelled() => tracing::warn!("running answers are cut off"),
    }
    sockets.leave().await;
}

/// How each version of HTTP is spoken.
struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    fn new() -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.timer(TokioTimer::new()).keep_alive_interval(Some(Duration::from_secs(30)));
        Self { http1, http2 }
    }
}

/// Whether the peer speaks HTTP/2: over TLS that was agreed upon, else its first bytes tell, which are left for whoever reads
/// the connection. To hand them on instead would have the reader see the rest as a second piece, and make twice the room.
async fn speaks_http2(stream: &Io) -> io::Result<bool> {
    let stream = match stream {
        Io::Left(stream) => stream,
        Io::Right(stream) => return Ok(stream.get_ref().1.alpn_protocol() == Some(b"h2")),
    };
    let mut start = [0; HTTP2.len()];
    loop {
        let length = stream.peek(&mut start).await?;
        let begun = start.get(..length).unwrap_or_default();
        if length == 0 || length == HTTP2.len() || !HTTP2.starts_with(begun) {
            return Ok(begun == HTTP2);
        }
        // Bytes that are left make the socket ready, so that nothing tells when more come.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Serves one connection to its end, which from the token on comes with the answer that is on its way.
async fn connection(
    protocols: &Protocols,
    stream: Io,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
    token: CancellationToken,
) {
    let spoken = tokio::select! {
        spoken = tokio::time::timeout(HEAD_LIMIT, speaks_http2(&stream)) => spoken,
        () = token.cancelled() => return,
    };
    let result = match spoken {
        Err(_elapsed) => return tracing::debug!("a connection brought nothing in time"),
        Ok(Err(error)) => return tracing::debug!("connection ended: {error}"),
        Ok(Ok(false)) => {
            let service =
                service_fn(move |request: Request<Incoming>| gateway.answer(Arriving::of(request), peer));
            let serving = protocols.http1.serve_connection(TokioIo::new(stream), service);
            let mut serving = pin!(serving.with_upgrades());
            tokio::select! {
                biased;
                result = &mut serving => result,
                () = token.cancelled() => {
                    serving.as_mut().graceful_shutdown();
                    serving.await
                }
            }
        }
        // Rare, and large.
        Ok(Ok(true)) => Box::pin(multiplexed(protocols, stream, peer, gateway, token)).await,
    };
    if let Err(error) = result {
        tracing::debug!("connection ended: {error}");
    }
}

/// Serves one connection of HTTP/2 to its end. One that brings no first request is closed.
async fn multiplexed(
    protocols: &Protocols,
    stream: Io,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
    token: CancellationToken,
) -> hyper::Result<()> {
    let asked = CancellationToken::new();
    let note = asked.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        note.cancel();
        gateway.answer(Arriving::of(request), peer)
    });
    let mut serving = pin!(protocols.http2.serve_connection(TokioIo::new(stream), service));
    let late = async {
        if tokio::time::timeout(HEAD_LIMIT, asked.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        result = &mut serving => result,
        () = token.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        () = late => {
            tracing::debug!("a connection brought no request in time");
            Ok(())
        }
    }
}

/// The body of a request. Its last piece is taken without waking the connection, which has no more to read of it.
struct Arriving {
    body: Incoming,
    /// Whoever takes the body and whoever reads the connection are one task.
    is_of_one_task: bool,
}

impl Arriving {
    fn of(request: Request<Incoming>) -> Request<Self> {
        let is_of_one_task = request.version() < Version::HTTP_2;
        request.map(|body| Self { body, is_of_one_task })
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if !self.is_of_one_task {
            return Pin::new(&mut self.body).poll_frame(context);
        }
        let (frame, held) = wake::quietly(|| Pin::new(&mut self.body).poll_frame(context));
        if let Some(held) = held.filter(|_| !self.body.is_end_stream()) {
            held.wake();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Running out of file descriptors must not turn the loop into a busy one.
async fn pause_after(error: &io::Error) {
    let is_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    );
    if !is_connection {
        tracing::error!("cannot accept connections: {error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn handshake(
    acceptor: &tokio_rustls::TlsAcceptor,
    stream: TcpStream,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!("TLS handshake failed: {error}");
            None
        }
        Err(_elapsed) => None,
    }
}

impl TlsFiles {
    /// When the server's certificate ends, in Unix seconds; `None` when that cannot be told.
    pub fn end(&self) -> Option<u64> {
        use rustls::client::danger::ServerCertVerifier as _;
        use rustls::pki_types::{ServerName, UnixTime};
        let certificate = CertificateDer::from_pem_file(&self.certificate).ok()?;
        // Judged as of a day that no certificate lives to see, the library tells when it ended.
        let never = UnixTime::since_unix_epoch(Duration::from_hours(24 * 365 * 5000));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).ok()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .ok()?;
        let name = ServerName::try_from("server.invalid").ok()?;
        match verifier.verify_server_cert(&certificate, &[], &name, &[], never) {
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ExpiredContext {
                not_after,
                ..
            })) => Some(not_after.as_secs()),
            _ => None,
        }
    }
}

impl Tls {
    /// Reads the files; what they hold is used until the end.
    ///
    /// # Errors
    /// When they cannot be read or do not fit each other.
    pub fn read(files: &TlsFiles) -> Result<Self, ListenError> {
        let unreadable =
            |path: &PathBuf, message: String| ListenError::TlsFile { path: path.clone(), message };
        let chain = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unreadable(&files.certificate, error.to_string()))?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| unreadable(&files.key, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| ListenError::Tls(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(tokio_rustls::TlsAcceptor::from(Arc::new(config))))
    }
}
