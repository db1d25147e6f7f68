//! The connector: TCP, then the proxy's handshake, then TLS, each with its own limit and its own error.
//!
//! Written on top of hyper-util's connectors instead of a ready client because connect and TLS have separate limits
//! and because a failure must say which hop failed: a proxy's fault is not the account's.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tower_service::Service;

use super::Limits;
use super::guard::{Guard, Reach};
use super::way::{Hop, HopScheme, Way};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which hop of opening a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP to the upstream.
    #[error("cannot connect to {host}")]
    Tcp {
        /// Host and port.
        host: String,
        /// Why.
        source: BoxError,
    },
    /// TCP to, or the handshake with, the proxy.
    #[error("the proxy {proxy} does not open a way to {host}")]
    Proxy {
        /// The proxy without user name and password.
        proxy: String,
        /// Host and port.
        host: String,
        /// Why.
        source: BoxError,
    },
    /// The TLS handshake.
    #[error("the TLS handshake with {host} failed")]
    Tls {
        /// Host and port.
        host: String,
        /// Why.
        source: BoxError,
    },
    /// A limit ran out.
    #[error("no {stage} with {host}{} within {limit:?}", through(proxy.as_deref()))]
    Timeout {
        /// What was waited for.
        stage: &'static str,
        /// Host and port.
        host: String,
        /// The limit.
        limit: Duration,
        /// The proxy that was to open the way, without user name and password.
        proxy: Option<String>,
    },
    /// The address is not of the open web, and the connection was wanted for somebody who may reach only that.
    #[error("{host} is not on the open web")]
    Private {
        /// Host and port.
        host: String,
    },
    /// The TLS configuration cannot be made.
    #[error("TLS is not available: {0}")]
    Setup(String),
}

/// The TLS configuration, made on first use: loading the trust store takes milliseconds that a start without TLS
/// upstreams need not spend.
#[derive(Debug, Default)]
pub(super) struct Tls {
    config: OnceLock<Result<Arc<rustls::ClientConfig>, String>>,
}

impl Tls {
    fn config(&self) -> Result<Arc<rustls::ClientConfig>, ConnectError> {
        self.config
            .get_or_init(|| {
                use rustls_platform_verifier::BuilderVerifierExt;
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let mut config = rustls::ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .and_then(BuilderVerifierExt::with_platform_verifier)
                    .map_err(|error| error.to_string())?
                    .with_no_client_auth();
                config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                Ok(Arc::new(config))
            })
            .clone()
            .map_err(ConnectError::Setup)
    }
}

/// Which versions of HTTP a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Speaks {
    /// The newest that the upstream has.
    Any,
    /// The one that can be upgraded.
    Http1,
}

/// Opens connections along one way.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    way: Way,
    tls: Arc<Tls>,
    limits: Limits,
    /// What judges addresses, for connections on behalf of somebody else.
    guard: Option<Guard>,
    offers_h2: bool,
    /// Proxies open a way, also where they could be given the request itself.
    tunnels: bool,
}

impl Connector {
    pub(super) fn new(way: Way, tls: Arc<Tls>, limits: Limits) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        Self { tcp, way, tls, limits, guard: None, offers_h2: true, tunnels: false }
    }

    /// The same with these versions of HTTP.
    pub(super) fn speaking(self, speaks: Speaks) -> Self {
        Self { offers_h2: speaks == Speaks::Any, ..self }
    }

    /// The same for what no proxy can forward.
    pub(super) fn tunneling(self) -> Self {
        Self { tunnels: true, ..self }
    }

    /// The same for addresses that somebody else has named.
    pub(super) fn guarded(self, guard: Guard) -> Self {
        Self { guard: Some(guard), ..self }
    }

    pub(super) async fn open(mut self, destination: Uri) -> Result<Wire, ConnectError> {
        let host = display_host(&destination);
        let is_tls = destination.scheme_str() == Some("https");
        let hop = self.way.hop(&destination);
        let limits = self.limits;
        let opening = async {
            match &hop {
                None => self.direct(&destination, &host).await.map(|io| (io, false)),
                Some(hop) => self.through(hop, &destination, &host, is_tls).await,
            }
        };
        let (io, is_forwarded) =
            limited(opening, limits.connect, "connection", &host, hop.as_deref()).await?;
        if !is_tls {
            return Ok(Wire::new(io, false, is_forwarded));
        }
        let server = destination.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let handshake = self.tls_over(TokioIo::new(io), server, &host, self.offers_h2);
        let stream = limited(handshake, limits.tls, "TLS handshake", &host, None).await?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Wire::new(Box::pin(TokioIo::new(stream)), is_h2, is_forwarded))
    }

    async fn direct(&mut self, destination: &Uri, host: &str) -> Result<Io, ConnectError> {
        let failed =
            |source: std::io::Error| ConnectError::Tcp { host: host.to_owned(), source: source.into() };
        let judged = match &self.guard {
            None => destination.clone(),
            Some(guard) => judged(guard.checked(destination, Reach::Own).await.map_err(failed)?, host)?,
        };
        let stream: TokioIo<TcpStream> = self
            .tcp
            .call(judged)
            .await
            .map_err(|source| ConnectError::Tcp { host: host.to_owned(), source: source.into() })?;
        Ok(Box::pin(stream))
    }

    async fn through(
        &mut self,
        hop: &Arc<Hop>,
        destination: &Uri,
        host: &str,
        is_tls: bool,
    ) -> Result<(Io, bool), ConnectError> {
        let failed = |source: BoxError| ConnectError::Proxy {
            proxy: hop.shown.clone(),
            host: host.to_owned(),
            source,
        };
        let target = match (&self.guard, hop.scheme) {
            (Some(guard), _) => {
                let checked = guard.checked(destination, Reach::Proxy).await;
                judged(checked.map_err(|error| failed(error.into()))?, host)?
            }
            (None, HopScheme::Socks5 { resolves_here: true }) => {
                resolved(destination).await.map_err(|error| failed(error.into()))?
            }
            (None, _) => with_port(destination),
        };
        match hop.scheme {
            HopScheme::Socks5 { .. } => {
                let mut socks = SocksV5::new(hop.uri.clone(), self.tcp.clone());
                if let Some((user, password)) = &hop.credentials {
                    socks = socks.with_auth(user.clone(), password.clone());
                }
                let io = socks.call(target).await.map_err(|error| failed(error.into()))?;
                Ok((Box::pin(io), false))
            }
            HopScheme::Http | HopScheme::Https => {
                // Where the proxy is the owner has said, so nobody judges it.
                let connector = Self { guard: None, ..self.clone() };
                let mut to_proxy = ToProxy { connector, hop: Arc::clone(hop) };
                // A proxy that is given a whole address may resolve its name anew; a tunnel leads where it is told.
                if !is_tls && self.guard.is_none() && !self.tunnels {
                    return to_proxy
                        .call(hop.uri.clone())
                        .await
                        .map(|io| (io, true))
                        .map_err(|error| failed(error.into()));
                }
                let mut tunnel = Tunnel::new(hop.uri.clone(), to_proxy);
                if let Some(auth) = hop.basic_auth() {
                    tunnel = tunnel.with_auth(auth);
                }
                let io = tunnel.call(target).await.map_err(|error| failed(error.into()))?;
                Ok((io, false))
            }
        }
    }

    async fn tls_over<S>(
        &self,
        stream: S,
        server: String,
        host: &str,
        offers_h2: bool,
    ) -> Result<tokio_rustls::client::TlsStream<S>, ConnectError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let mut config = self.tls.config()?;
        if !offers_h2 {
            Arc::make_mut(&mut config).alpn_protocols.clear();
        }
        let failed = |source: BoxError| ConnectError::Tls { host: host.to_owned(), source };
        let name = ServerName::try_from(server).map_err(|error| failed(error.into()))?;
        tokio_rustls::TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| failed(error.into()))
    }
}

async fn limited<T>(
    work: impl Future<Output = Result<T, ConnectError>>,
    limit: Option<Duration>,
    stage: &'static str,
    host: &str,
    hop: Option<&Hop>,
) -> Result<T, ConnectError> {
    let Some(limit) = limit else { return work.await };
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_elapsed) => {
            let proxy = hop.map(|hop| hop.shown.clone());
            Err(ConnectError::Timeout { stage, host: host.to_owned(), limit, proxy })
        }
    }
}

fn through(proxy: Option<&str>) -> String {
    proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default()
}

/// The address that a guard lets through.
fn judged(checked: Option<Uri>, host: &str) -> Result<Uri, ConnectError> {
    checked.ok_or_else(|| ConnectError::Private { host: host.to_owned() })
}

fn display_host(uri: &Uri) -> String {
    uri.authority().map_or_else(String::new, |authority| match authority.port() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    })
}

/// Proxy handshakes want the port spelled out.
pub(super) fn with_port(uri: &Uri) -> Uri {
    if uri.port().is_some() {
        return uri.clone();
    }
    let port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let mut parts = uri.clone().into_parts();
    parts.authority = uri.host().and_then(|host| format!("{host}:{port}").parse().ok());
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// The same address with the number of its host instead of the name. Of several an IPv4 one: a proxy may have no way
/// for others, and is given one only.
async fn resolved(uri: &Uri) -> std::io::Result<Uri> {
    let uri = with_port(uri);
    let (host, port) =
        (uri.host().unwrap_or_default().trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let address = found.first().ok_or_else(|| std::io::Error::other("the host has no address"))?.to_string();
    let mut parts = uri.into_parts();
    parts.authority = Some(address.parse().map_err(std::io::Error::other)?);
    Uri::from_parts(parts).map_err(std::io::Error::other)
}

impl Service<Uri> for Connector {
    type Response = Wire;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Wire, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        Box::pin(self.clone().open(destination))
    }
}

/// Opens the connection to an http or https proxy itself.
#[derive(Clone)]
struct ToProxy {
    connector: Connector,
    hop: Arc<Hop>,
}

impl Service<Uri> for ToProxy {
    type Response = Io;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Io, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: Uri) -> Self::Future {
        let mut connector = self.connector.clone();
        let scheme = self.hop.scheme;
        Box::pin(async move {
            let host = display_host(&proxy);
            let io = connector.direct(&proxy, &host).await?;
            if scheme != HopScheme::Https {
                return Ok(io);
            }
            let server = proxy.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let stream = connector.tls_over(TokioIo::new(io), server, &host, false).await?;
            Ok(Box::pin(TokioIo::new(stream)) as Io)
        })
    }
}

trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}
type Io = Pin<Box<dyn Duplex>>;

/// An open connection.
pub(super) struct Wire {
    io: Io,
    /// The peer wants HTTP/2.
    pub(super) is_h2: bool,
    /// The peer is a proxy that wants whole addresses.
    pub(super) is_forwarded: bool,
    /// How many reads have come to something: bytes, or the end.
    pub(super) reads: Arc<AtomicUsize>,
}

impl Wire {
    fn new(io: Io, is_h2: bool, is_forwarded: bool) -> Self {
        Self { io, is_h2, is_forwarded, reads: Arc::default() }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_forwarded);
        if self.is_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<(), std::io::Error>> {
        let read = std::task::ready!(self.io.as_mut().poll_read(context, buffer));
        if read.is_ok() {
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(read)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, std::io::Error>> {
        self.io.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        self.io.as_mut().poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), std::io::Error>> {
        self.io.as_mut().poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize, std::io::Error>> {
        self.io.as_mut().poll_write_vectored(context, slices)
    }
}
