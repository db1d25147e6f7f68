//! Waits on this machine for a browser to come back.
//!
//! Only loopback addresses are listened on, only one path is served, and only the state of the waiting login is
//! accepted, once. A request that names another host than this machine was sent here by a foreign name that resolves
//! to it, and is refused. Whatever else arrives gets a page that says what it is, and changes nothing.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::header::HOST;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::page::page;
use super::{Callback, Unacceptable};
use crate::oauth::State;
use crate::secret::Secret;

/// Connections at once; a browser opens a few.
const MOST_CONNECTIONS: usize = 32;
/// How long a connection may take to say what it wants.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// How long the last page may take to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// What arrived.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The code.
    Code(Secret),
    /// The provider's word that the login failed.
    Refused(String),
    /// Something that does not count, and why.
    Ignored(String),
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// Another program has the port.
    #[error("port {0} is in use by another program")]
    Busy(u16),
    /// Anything else.
    #[error("cannot listen on port {port}: {source}")]
    Other { port: u16, source: io::Error },
}

/// The sockets of a callback address.
#[derive(Debug)]
pub(crate) struct Listener {
    ipv4: TcpListener,
    ipv6: Option<TcpListener>,
    port: u16,
    path: String,
}

impl Listener {
    /// Listens on both loopback addresses, because browsers take either for `localhost`.
    pub(crate) async fn bind(port: u16, path: &str) -> Result<Self, BindError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Busy(port),
            _ => BindError::Other { port, source },
        };
        let ipv4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let port = ipv4.local_addr().map_err(failed)?.port();
        let ipv6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(listener) => Some(listener),
            // The browser might go there instead of here.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(BindError::Busy(port)),
            Err(_no_ipv6) => None,
        };
        Ok(Self { ipv4, ipv6, port, path: path.to_owned() })
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Serves until `stop`, then lets pages that are on their way arrive.
    pub(crate) async fn serve(self, state: State, arrivals: mpsc::Sender<Arrival>, stop: CancellationToken) {
        let waiting = Arc::new(Waiting { state, path: self.path, is_used: AtomicBool::new(false), arrivals });
        let graceful = GracefulShutdown::new();
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(()) = connections.next(), if !connections.is_empty() => {}
                accepted = accept(&self.ipv4, self.ipv6.as_ref()), if connections.len() < MOST_CONNECTIONS => {
                    let Ok(stream) = accepted else { continue };
                    let waiting = Arc::clone(&waiting);
                    let service = service_fn(move |request: Request<Incoming>| {
                        std::future::ready(Ok::<_, Infallible>(waiting.answer(&request)))
                    });
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD_LIMIT)
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(stream), service);
                    let connection = graceful.watch(connection);
                    // A connection that breaks is the browser's affair.
                    connections.push(async move { drop(connection.await) });
                }
            }
        }
        let finish = async {
            tokio::join!(graceful.shutdown(), async { while connections.next().await.is_some() {} });
        };
        drop(tokio::time::timeout(FLUSH_LIMIT, finish).await);
    }
}

async fn accept(ipv4: &TcpListener, ipv6: Option<&TcpListener>) -> io::Result<TcpStream> {
    let second = async {
        match ipv6 {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    };
    let (stream, _) = tokio::select! {
        accepted = ipv4.accept() => accepted?,
        accepted = second => accepted?,
    };
    Ok(stream)
}

/// The login that waits.
struct Waiting {
    state: State,
    path: String,
    is_used: AtomicBool,
    arrivals: mpsc::Sender<Arrival>,
}

impl Waiting {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !names_this_machine(request) {
            self.report(Arrival::Ignored(
                "a request for another host arrived at the callback port".to_owned(),
            ));
            return page(
                StatusCode::FORBIDDEN,
                "Not this host",
                "Logins come back to localhost, and to no other name.",
            );
        }
        if request.uri().path() != self.path {
            return page(StatusCode::NOT_FOUND, "Nothing here", "This port waits for the end of a login.");
        }
        if request.method() != Method::GET {
            return page(StatusCode::METHOD_NOT_ALLOWED, "Not allowed", "A login comes back by GET.");
        }
        if self.is_used.load(Ordering::Acquire) {
            return used();
        }
        let callback = Callback::from_query(request.uri().query().unwrap_or_default());
        let (arrival, response) = match callback.check(&self.state) {
            Ok(code) => (
                Arrival::Code(code),
                page(
                    StatusCode::OK,
                    "Login received",
                    "You can close this page and go back to the terminal.",
                ),
            ),
            Err(Unacceptable::Refused(text)) => {
                let response = page(StatusCode::OK, "Login refused", &format!("The provider says: {text}"));
                (Arrival::Refused(text), response)
            }
            Err(other) => {
                self.report(Arrival::Ignored(format!("a callback arrived that does not count: {other}")));
                return page(
                    StatusCode::BAD_REQUEST,
                    "Not the login that is waiting",
                    "This callback does not belong to the login that is waiting here. Begin again from the address that the terminal shows.",
                );
            }
        };
        if self.is_used.swap(true, Ordering::AcqRel) {
            return used();
        }
        self.report(arrival);
        response
    }

    /// When nobody keeps up with what arrives, the rest is not worth telling.
    fn report(&self, arrival: Arrival) {
        drop(self.arrivals.try_send(arrival));
    }
}

fn used() -> Response<Full<Bytes>> {
    page(StatusCode::CONFLICT, "Already used", "This login came back before. You can close this page.")
}

fn names_this_machine<B>(request: &Request<B>) -> bool {
    let Some(host) = request.headers().get(HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    // A tunnel may lead here from another port.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own))
}
