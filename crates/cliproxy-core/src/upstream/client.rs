//! Clients: one per egress identity, made on first use.

use std::collections::HashSet;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Limits;
use super::address::Addresses;
use super::body::{Local, UpstreamBody};
use super::connect::{ConnectError, Connector, Tls};
use super::kept::{Background, Line, Lines, Lost, Travelling};
use super::page::{self, Pages};
use super::pieces::Pieces;
use super::socket::{self, First, Keeper, Key, Socket, Sockets, Talk, Turn};
use super::tape::{Asked, Script, Tape, take_down};
use super::way::{Environment, Hop, Way};
use crate::boxed::in_place;
use crate::credential::CredentialId;
use crate::env;
use crate::failure::{Failure, Origin};
use crate::proxy::Proxy;
use cliproxy_wire::fault::{Fault, Kind};

/// Who goes out, and which way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Egress {
    /// The account.
    pub credential: CredentialId,
    /// The way; [`Proxy::Inherit`] is the environment's.
    pub proxy: Proxy,
}

/// A request that a provider has prepared.
#[derive(Debug)]
pub enum Outgoing {
    /// To be sent.
    Http {
        /// Method.
        method: Method,
        /// Absolute address.
        uri: Uri,
        /// Headers; credentials marked sensitive.
        headers: HeaderMap,
        /// Body.
        body: Pieces,
    },
    /// To be said over a websocket.
    Socket(Box<Talk>),
    /// To be made by a web page that stands for this credential.
    Page(Box<page::Ask>),
    /// Answered inside the process.
    Local {
        /// Status.
        status: StatusCode,
        /// Headers.
        headers: HeaderMap,
        /// Body.
        body: Local,
    },
}

/// The head of an answer with its body still to be read.
#[derive(Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: UpstreamBody,
}

/// All clients of the process.
#[derive(Debug, Default)]
pub struct Clients {
    lines: Arc<Lines>,
    sockets: Arc<Sockets>,
    /// Who was told to leave websockets alone.
    without_sockets: Mutex<HashSet<CredentialId>>,
    pages: Pages,
    addresses: Addresses,
    tls: Arc<Tls>,
    environment: std::sync::OnceLock<Arc<Environment>>,
}

impl Clients {
    /// Clients whose work in the background is tracked and cancelled with that of others.
    pub fn new(tasks: TaskTracker, cancel: CancellationToken) -> Self {
        let sockets = Sockets::new(tasks.clone(), cancel.clone());
        Self { lines: Lines::new(tasks, cancel), sockets, ..Self::default() }
    }

    /// Addresses as they were read before.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Sends a request and waits for the head of the answer. What goes out is taken down as it does.
    ///
    /// # Errors
    /// When no answer came: cannot connect, proxy, TLS, limit, broken connection. The failure's origin and cooldown
    /// say whose fault it was.
    pub fn send<'s>(
        &'s self,
        egress: &'s Egress,
        outgoing: Outgoing,
        limits: &'s Limits,
        tape: Option<&'s dyn Tape>,
    ) -> BoxFuture<'s, Result<Reply, Failure>> {
        in_place(|| self.send_on(egress, outgoing, limits, tape, None))
    }

    /// Sends what `make` makes; where a kept connection ended upon it without a byte of an answer, once more over a fresh
    /// one. That is for what may come twice, and not for a request that uses a token up: its peer may have read it. It is
    /// made anew rather than kept, since hardly ever it has to be.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and those of `make`.
    pub async fn send_again(
        &self,
        egress: &Egress,
        make: impl Fn() -> Result<Outgoing, Failure>,
        limits: &Limits,
        tape: Option<&dyn Tape>,
    ) -> Result<Reply, Failure> {
        let failure = match self.send(egress, make()?, limits, tape).await {
            Err(failure) => failure,
            answered => return answered,
        };
        let Some(waited) = failure.unheard() else { return Err(failure) };
        tracing::debug!(
            credential = %egress.credential,
            "the upstream closed a kept connection upon a request, which is sent once more over a fresh one"
        );
        let outgoing = make()?;
        in_place(|| self.send_on(egress, outgoing, limits, tape, Some(waited))).await
    }

    async fn send_on(
        &self,
        egress: &Egress,
        mut outgoing: Outgoing,
        limits: &Limits,
        tape: Option<&dyn Tape>,
        waited: Option<Duration>,
    ) -> Result<Reply, Failure> {
        if let Outgoing::Socket(talk) = outgoing {
            let Talk { uri, headers, opening, instead, goes_on } = *talk;
            // Few requests go this way; the others need not make room for it.
            let talking = Box::pin(self.talk(egress, (uri, headers, opening, goes_on), limits, tape));
            if let Some(reply) = talking.await? {
                return Ok(reply);
            }
            outgoing = instead;
        }
        if let Some(tape) = tape {
            take_down(tape, &egress.credential, &outgoing);
        }
        // It is handed on through several futures.
        let mut request = Box::<Request<Pieces>>::default();
        match outgoing {
            Outgoing::Local { status, headers, body } => {
                return Ok(Reply { status, headers, body: UpstreamBody::Local(body) });
            }
            Outgoing::Page(errand) => {
                return Box::pin(self.pages.ask(&egress.credential, *errand, limits.first_byte)).await;
            }
            // What is said instead of a websocket is no websocket.
            Outgoing::Socket(_) => return Err(no_upgrade("instead of a websocket stands another one")),
            Outgoing::Http { method, uri, headers, body } => {
                *request.method_mut() = method;
                *request.uri_mut() = uri;
                *request.headers_mut() = headers;
                *request.body_mut() = body;
            }
        }
        let line = self.line(egress, limits);
        let forwarder = authenticated(&line, &mut request);
        let (head, body) = answered(line.send(request, waited).await, forwarder.as_deref())?.into_parts();
        Ok(Reply { status: head.status, headers: head.headers, body: UpstreamBody::Http(body) })
    }

    /// Asks over a websocket; `None` when this account is to be served without.
    async fn talk(
        &self,
        egress: &Egress,
        (uri, headers, opening, goes_on): (Uri, HeaderMap, String, bool),
        limits: &Limits,
        tape: Option<&dyn Tape>,
    ) -> Result<Option<Reply>, Failure> {
        let without = || self.without_sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if without().contains(&egress.credential) {
            return Ok(None);
        }
        let credential = &egress.credential;
        let asked = Asked { credential, method: &Method::GET, uri: &uri, headers: &headers, body: b"" };
        let script = Script(tape.map(|tape| (tape, asked)));
        let turn = if goes_on { Turn::read(&opening) } else { None };
        let conversation = turn.map(|turn| (Key::new(egress, limits, &uri, &headers), turn));
        if let Some((key, turn)) = &conversation {
            let going_on = socket::go_on(&self.sockets, key, turn, &opening, &script);
            match first_byte(going_on, limits.first_byte).await {
                Ok(Some((first, headers))) => return Ok(Some(spoken(first, headers))),
                Ok(None) => {}
                // One that says nothing for so long is no better than one that has gone.
                Err(failure) => script.failed(&failure.fault().message),
            }
        }
        script.said(&opening);
        let (headers, accepted) = socket::upgrade_headers(headers);
        let mut request = Request::default();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let line = self.line(egress, limits);
        let answer = answered(line.upgrade(request).await, None)?;
        if answer.status() == StatusCode::UPGRADE_REQUIRED {
            tracing::info!(credential = %egress.credential, "the upstream offers no websockets; going on without");
            without().insert(egress.credential.clone());
            return Ok(None);
        }
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let (head, body) = answer.into_parts();
            if head.status.is_success() {
                return Err(no_upgrade("the upstream answered the upgrade with something else"));
            }
            return Ok(Some(Reply {
                status: head.status,
                headers: head.headers,
                body: UpstreamBody::Http(Travelling::driven(body)),
            }));
        }
        if answer
            .headers()
            .get(SEC_WEBSOCKET_ACCEPT)
            .is_none_or(|told| told.as_bytes() != accepted.as_bytes())
        {
            return Err(no_upgrade("the upstream's upgrade is not to a websocket"));
        }
        let headers = answer.headers().clone();
        let keeper = conversation.map(|(key, turn)| Keeper::new(&self.sockets, key, turn, &headers));
        let upgraded = hyper::upgrade::on(answer).await;
        let upgraded =
            upgraded.map_err(|_the_connection_broke| no_upgrade("the upgrade did not come about"))?;
        let first = first_byte(Socket::open(upgraded, opening, keeper), limits.first_byte).await?;
        Ok(Some(spoken(first.map_err(no_upgrade)?, headers)))
    }

    /// The web pages that make requests for the gateway.
    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The way out that a proxy setting means.
    pub(super) fn way(&self, proxy: &Proxy) -> Way {
        let environment =
            self.environment.get_or_init(|| Arc::new(Environment::new(&env::with_dotenv(Path::new(".")))));
        Way::new(proxy, environment)
    }

    /// Where work of connections runs.
    pub(super) fn background(&self) -> Background {
        self.lines.background.clone()
    }

    /// The one TLS configuration.
    pub(super) fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.tls)
    }

    fn line(&self, egress: &Egress, limits: &Limits) -> Arc<Line> {
        self.lines.of(&egress.credential, &egress.proxy, limits, || {
            let way = self.way(&egress.proxy);
            (way.clone(), Connector::new(way, Arc::clone(&self.tls), *limits))
        })
    }

    /// Closes the clients of credentials that are no more; running requests keep their connection.
    pub fn retain(&self, keep: impl Fn(&CredentialId, &Proxy) -> bool) {
        self.sockets.retain(&keep);
        self.lines.retain(keep);
    }
}

/// What came first over a socket, as an answer by HTTP.
fn spoken(first: First, mut headers: HeaderMap) -> Reply {
    match first {
        First::Answer(socket, told) => {
            headers.extend(told);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            Reply { status: StatusCode::OK, headers, body: UpstreamBody::Socket(socket) }
        }
        First::Refusal(status, headers, body) => {
            Reply { status, headers, body: UpstreamBody::Whole(Some(body)) }
        }
    }
}

/// The proxy that a request is sent to itself, which wants its password with every request.
fn authenticated(line: &Line, request: &mut Request<Pieces>) -> Option<Arc<Hop>> {
    let forwarder = line.way.forwarder(request.uri());
    if let Some(auth) = forwarder.as_ref().and_then(|hop| hop.basic_auth()) {
        request.headers_mut().insert(http::header::PROXY_AUTHORIZATION, auth);
    }
    forwarder
}

/// An answer of the upstream, and not of the proxy on the way.
fn answered<B>(answer: Result<Response<B>, Lost>, forwarder: Option<&Hop>) -> Result<Response<B>, Failure> {
    match (answer, forwarder) {
        (Ok(answer), Some(hop)) if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err(not_let_through(hop))
        }
        (Ok(answer), _) => Ok(answer),
        (Err(Lost::Connect(error)), _) => Err(connect_failure(&error)),
        (Err(Lost::Broken(error)), forwarder) => Err(broken(&error, forwarder.is_some())),
        (Err(Lost::Unheard(error, waited)), forwarder) => {
            Err(broken(&error, forwarder.is_some()).after_silence(waited))
        }
        (Err(Lost::Limit(failure)), _) => Err(failure),
    }
}

/// An upgrade that led nowhere.
fn no_upgrade(message: impl Into<String>) -> Failure {
    let fault = Fault::new(Kind::BadUpstream, message).with_code("upstream_unreachable");
    Failure::upstream(fault, "websocket")
}

/// Waits for the head of the answer on an open connection.
pub(super) async fn first_byte<T>(
    sending: impl Future<Output = T>,
    limit: Option<Duration>,
) -> Result<T, Failure> {
    first_byte_since(Instant::now(), pin!(sending), limit).await
}

/// The same when it is waited for since then. What is waited for stays where it is.
pub(super) async fn first_byte_since<T>(
    since: Instant,
    sending: Pin<&mut impl Future<Output = T>>,
    limit: Option<Duration>,
) -> Result<T, Failure> {
    // One that ends later than time is told is none.
    let end = limit.and_then(|limit| Some((limit, since.checked_add(limit)?)));
    let Some((limit, end)) = end else { return Ok(sending.await) };
    tokio::time::timeout_at(end, sending).await.map_err(|_elapsed| {
        let message = format!("the upstream did not begin to answer within {} s", limit.as_secs_f32());
        Failure::upstream(Fault::new(Kind::Timeout, message), "first byte limit")
    })
}

/// What clients hear of a proxy that does not do its work.
const NO_WAY: &str = "the configured proxy does not open a way to the upstream";

/// A request that a proxy was to forward and that it keeps for want of the right password.
fn not_let_through(hop: &Hop) -> Failure {
    let fault = Fault::new(Kind::BadUpstream, NO_WAY).with_code("upstream_unreachable");
    let detail = format!("the proxy {} does not accept the user name and password", hop.shown);
    Failure::upstream(fault, detail).with_origin(Origin::Proxy)
}

fn connect_failure(error: &ConnectError) -> Failure {
    let (kind, message) = match error {
        ConnectError::Timeout { limit, proxy: Some(_), .. } => (
            Kind::Timeout,
            format!("the configured proxy opened no way to the upstream within {} s", limit.as_secs_f32()),
        ),
        ConnectError::Timeout { stage, limit, .. } => {
            (Kind::Timeout, format!("no {stage} with the upstream within {} s", limit.as_secs_f32()))
        }
        ConnectError::Proxy { .. } => (Kind::BadUpstream, NO_WAY.to_owned()),
        ConnectError::Tls { .. } => {
            (Kind::BadUpstream, "the TLS handshake with the upstream failed".to_owned())
        }
        ConnectError::Tcp { .. } => (Kind::BadUpstream, "cannot connect to the upstream".to_owned()),
        ConnectError::Private { .. } | ConnectError::Setup(_) => (Kind::Api, error.to_string()),
    };
    let failure =
        Failure::upstream(Fault::new(kind, message).with_code("upstream_unreachable"), chain(error));
    if matches!(error, ConnectError::Proxy { .. } | ConnectError::Timeout { proxy: Some(_), .. }) {
        failure.with_origin(Origin::Proxy)
    } else {
        failure
    }
}

fn broken(error: &hyper::Error, is_forwarded: bool) -> Failure {
    let (peer, origin) = if is_forwarded {
        ("the configured proxy", Origin::Proxy)
    } else {
        ("the upstream", Origin::Upstream)
    };
    let fault = if error.is_parse() {
        let message = format!("{peer} answered with something that is not HTTP");
        Fault::new(Kind::BadUpstream, message).with_code("upstream_malformed")
    } else {
        let message = format!("{peer} closed the connection without an answer");
        Fault::new(Kind::BadUpstream, message).with_code("upstream_unreachable")
    };
    Failure::upstream(fault, chain(error)).with_origin(origin)
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
