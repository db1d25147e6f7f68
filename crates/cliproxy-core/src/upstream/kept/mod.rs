//! Connections that are kept between requests, and how a request and its answer travel over one.
//!
//! An HTTP/1 connection carries one request at a time, so whoever waits for the answer drives it: no task stands between
//! the two, nothing is handed from one thread to another, and an answer that is given up takes its connection with it.
//! An HTTP/2 connection carries many at once and has a task of its own. Opening a connection is the connector's business.

mod travel;

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor as _;
use hyper_util::rt::TokioTimer;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::travel::Own;
pub use self::travel::Travelling;
use super::Limits;
use super::client::{first_byte, first_byte_since};
use super::connect::{ConnectError, Connector, Speaks};
use super::pieces::Pieces;
use super::way::Way;
use crate::credential::CredentialId;
use crate::failure::Failure;
use crate::proxy::Proxy;

/// How long a connection waits for its next request: less than the 60 to 90 s after which load balancers drop it.
const IDLE: Duration = Duration::from_secs(50);
/// How often connections that nobody uses are looked after.
const SWEEP: Duration = Duration::from_secs(10);

/// Most hosts of one line whose connections are kept.
const MOST_PLACES: usize = 32;

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// No connection.
    Connect(ConnectError),
    /// It broke.
    Broken(hyper::Error),
    /// It had served before, and ended without a byte of an answer, so long after the request was sent.
    Unheard(hyper::Error, Duration),
    /// What its limits said.
    Limit(Failure),
}

/// A hash of the fast kind will do: ids are ours.
type ByCredential = HashMap<CredentialId, Vec<Arc<Line>>, foldhash::fast::RandomState>;

/// All lines of the process.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Mutex<ByCredential>,
    is_swept: AtomicBool,
    pub(super) background: Background,
}

/// Where work of connections runs that nobody waits for: tracked, and cancelled with that of others.
#[derive(Clone, Debug, Default)]
pub(super) struct Background {
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Background
where
    F: Future + Send + 'static,
{
    fn execute(&self, work: F) {
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                _ = work => {}
                () = cancel.cancelled() => {}
            }
        });
    }
}

impl Lines {
    pub(super) fn new(tasks: TaskTracker, cancel: CancellationToken) -> Arc<Self> {
        Arc::new(Self { background: Background { tasks, cancel }, ..Self::default() })
    }

    fn lines(&self) -> MutexGuard<'_, ByCredential> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line of a credential along a proxy, made on first use.
    pub(super) fn of(
        self: &Arc<Self>,
        credential: &CredentialId,
        proxy: &Proxy,
        limits: &Limits,
        make: impl FnOnce() -> (Way, Connector),
    ) -> Arc<Line> {
        let mut lines = self.lines();
        let known = lines.get(credential).into_iter().flatten();
        if let Some(line) = known.into_iter().find(|line| line.proxy == *proxy && line.limits == *limits) {
            return Arc::clone(line);
        }
        let (way, connector) = make();
        let line = Arc::new(Line {
            proxy: proxy.clone(),
            limits: *limits,
            way,
            connector,
            places: Mutex::default(),
            background: self.background.clone(),
            lines: Arc::downgrade(self),
        });
        lines.entry(credential.clone()).or_default().push(Arc::clone(&line));
        line
    }

    /// Forgets lines; their running requests keep the connection that they have.
    pub(super) fn retain(&self, keep: impl Fn(&CredentialId, &Proxy) -> bool) {
        self.lines().retain(|credential, lines| {
            lines.retain(|line| keep(credential, &line.proxy));
            !lines.is_empty()
        });
    }

    /// Looks after idle connections for as long as there are any; false when there is no runtime to do it.
    fn look_after(self: &Arc<Self>) -> bool {
        if self.is_swept.load(Ordering::Acquire) {
            return true;
        }
        if tokio::runtime::Handle::try_current().is_err() {
            return false;
        }
        if self.is_swept.swap(true, Ordering::AcqRel) {
            return true;
        }
        let lines = Arc::downgrade(self);
        self.background.execute(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(lines) = lines.upgrade() else { break };
                // Said before looking: whoever keeps a connection meanwhile starts another round.
                lines.is_swept.store(false, Ordering::Release);
                let all: Vec<Arc<Line>> = lines.lines().values().flatten().cloned().collect();
                let n_idle: usize = all.iter().map(|line| line.sweep()).sum();
                if n_idle == 0 || lines.is_swept.swap(true, Ordering::AcqRel) {
                    break;
                }
            }
        });
        true
    }
}

/// The connections of one credential along one proxy.
pub(super) struct Line {
    proxy: Proxy,
    limits: Limits,
    /// The way out of the machine.
    pub(super) way: Way,
    connector: Connector,
    /// Few: nearly always one.
    places: Mutex<Vec<Arc<Place>>>,
    background: Background,
    lines: Weak<Lines>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({:?})", self.way)
    }
}

/// One host. Requests on their way hold on to it, so that their connection comes back to it.
struct Place {
    scheme: Scheme,
    authority: Authority,
    /// What the `host` header says.
    name: HeaderValue,
    kept: Mutex<Kept>,
}

/// The connections to one host.
#[derive(Default)]
struct Kept {
    idle: Vec<(Box<Own>, Instant)>,
    shared: Option<http2::SendRequest<Pieces>>,
}

/// A connection that a request can be sent over.
enum Open {
    Own(Box<Own>),
    Shared(http2::SendRequest<Pieces>),
}

impl Line {
    /// Sends a request and waits for the head of the answer. What a kept connection does not even begin to send, because
    /// its peer has closed it meanwhile, is sent over another one. With `waited`, so much of the limit is over, and no kept
    /// connection is used.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Box<Request<Pieces>>,
        waited: Option<Duration>,
    ) -> Result<Response<Travelling>, Lost> {
        let target = request.uri().clone();
        let place = self.place(&target)?;
        let limit = self.limits.first_byte;
        loop {
            let kept = if waited.is_none() { place.take() } else { None };
            let is_reused = kept.is_some();
            let open = match kept {
                Some(open) => open,
                // Rare, and large.
                None => Box::pin(self.open(&target, &place)).await?,
            };
            // Opening has limits of its own and is not counted against the upstream's thinking time.
            let began = Instant::now();
            let since = waited.and_then(|waited| began.checked_sub(waited)).unwrap_or(began);
            let (mut error, is_unheard) = match open {
                Open::Own(mut own) => {
                    request.headers_mut().entry(HOST).or_insert_with(|| place.name.clone());
                    if !own.is_forwarded {
                        *request.uri_mut() = origin_form(&target);
                    }
                    let sent = first_byte_since(since, pin!(own.send(request)), limit).await;
                    match sent.map_err(Lost::Limit)? {
                        Ok(answer) => {
                            return Ok(
                                answer.map(|body| Travelling::over(body, own, Arc::clone(self), place))
                            );
                        }
                        Err(error) => {
                            let is_unheard = own.ended_silently(error.error());
                            (error, is_unheard)
                        }
                    }
                }
                Open::Shared(mut sender) => {
                    let sending = pin!(sender.try_send_request(*request));
                    match first_byte_since(since, sending, limit).await.map_err(Lost::Limit)? {
                        Ok(answer) => return Ok(answer.map(Travelling::driven)),
                        Err(error) => {
                            let is_unheard = was_passed_over(error.error());
                            (error, is_unheard)
                        }
                    }
                }
            };
            match error.take_message() {
                Some(unsent) if is_reused => request = Box::new(unsent),
                None if is_reused && is_unheard => {
                    return Err(Lost::Unheard(error.into_error(), since.elapsed()));
                }
                _ => return Err(Lost::Broken(error.into_error())),
            }
            *request.uri_mut() = target.clone();
        }
    }

    /// Sends a request that asks for another protocol, over a connection of its own.
    pub(super) async fn upgrade(&self, mut request: Request<Pieces>) -> Result<Response<Incoming>, Lost> {
        let target = request.uri().clone();
        let name = host(&target).ok_or_else(|| no_host(&target))?;
        let wire = self.connector.clone().speaking(Speaks::Http1).tunneling().open(target.clone()).await;
        let wire = wire.map_err(Lost::Connect)?;
        *request.uri_mut() = origin_form(&target);
        request.headers_mut().entry(HOST).or_insert(name);
        let (mut sender, connection) = http1::handshake(wire).await.map_err(Lost::Broken)?;
        self.background.execute(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!("a connection for an upgrade ended: {error}");
            }
        });
        let answer = first_byte(sender.send_request(request), self.limits.first_byte).await;
        answer.map_err(Lost::Limit)?.map_err(Lost::Broken)
    }

    fn places(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place behind an address.
    fn place(&self, target: &Uri) -> Result<Arc<Place>, Lost> {
        let (Some(scheme), Some(authority)) = (target.scheme(), target.authority()) else {
            return Err(no_host(target));
        };
        let mut places = self.places();
        // Nearly always it is written as before, and telling that letters are the same but for their case takes longer.
        let known = |place: &&Arc<Place>| {
            place.scheme == *scheme
                && (place.authority.as_str() == authority.as_str() || place.authority == *authority)
        };
        if let Some(place) = places.iter().find(known) {
            return Ok(Arc::clone(place));
        }
        let name = host(target).ok_or_else(|| no_host(target))?;
        places.retain(|place| Arc::strong_count(place) > 1 || place.is_connected());
        if places.len() >= MOST_PLACES {
            places.remove(0);
        }
        let place = Arc::new(Place {
            scheme: scheme.clone(),
            authority: authority.clone(),
            name,
            kept: Mutex::default(),
        });
        places.push(Arc::clone(&place));
        Ok(place)
    }

    async fn open(&self, target: &Uri, place: &Place) -> Result<Open, Lost> {
        let wire = self.connector.clone().open(target.clone()).await.map_err(Lost::Connect)?;
        if !wire.is_h2 {
            return Ok(Open::Own(Box::new(Own::over(wire).await.map_err(Lost::Broken)?)));
        }
        let (sender, connection) = http2::Builder::new(self.background.clone())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(Some(Duration::from_secs(20)))
            .keep_alive_while_idle(true)
            .handshake(wire)
            .await
            .map_err(Lost::Broken)?;
        self.background.execute(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection to an upstream ended: {error}");
            }
        });
        place.kept().shared = Some(sender.clone());
        Ok(Open::Shared(sender))
    }

    /// Keeps a connection for the next request.
    fn keep(&self, place: &Place, own: Box<Own>) {
        place.kept().idle.push((own, Instant::now()));
        // Connections that nobody looks after would stay when their peers have long gone.
        if !self.lines.upgrade().is_some_and(|lines| lines.look_after()) {
            place.kept().idle.clear();
        }
    }

    /// Closes what has been idle for too long or was closed by its peer; the number of those that stay.
    fn sweep(&self) -> usize {
        self.places().iter().map(|place| place.sweep()).sum()
    }
}

impl Place {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A kept connection: the one that was used last, which is the one most likely still open.
    fn take(&self) -> Option<Open> {
        let mut kept = self.kept();
        if let Some(sender) = kept.shared.take_if(|sender| !sender.is_closed()) {
            kept.shared = Some(sender.clone());
            return Some(Open::Shared(sender));
        }
        kept.shared = None;
        let now = Instant::now();
        let fresh = |(_, since): &(Box<Own>, Instant)| now.saturating_duration_since(*since) < IDLE;
        kept.idle.pop().filter(fresh).map(|(own, _)| Open::Own(own))
    }

    fn is_connected(&self) -> bool {
        let kept = self.kept();
        !kept.idle.is_empty() || kept.shared.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    fn sweep(&self) -> usize {
        let now = Instant::now();
        let mut kept = self.kept();
        kept.idle.retain_mut(|(own, since)| now.saturating_duration_since(*since) < IDLE && own.is_free());
        kept.idle.len()
    }
}

/// Whether a request that many shared a connection with got no answer because of the connection: it ended, or its peer takes
/// no more requests over it.
fn was_passed_over(error: &hyper::Error) -> bool {
    let Some(source) = error.source() else { return false };
    match source.downcast_ref::<h2::Error>() {
        Some(told) => {
            told.is_remote() && (told.is_go_away() || told.reason() == Some(h2::Reason::REFUSED_STREAM))
        }
        None => source.is::<std::io::Error>(),
    }
}

fn no_host(target: &Uri) -> Lost {
    let source = std::io::Error::other("the address has no host");
    Lost::Connect(ConnectError::Tcp { host: target.path().to_owned(), source: source.into() })
}

/// What HTTP/1 wants as the address of a request to the host itself.
fn origin_form(target: &Uri) -> Uri {
    match target.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    }
}

/// The `host` header: the port stands there where it is not the usual one.
fn host(target: &Uri) -> Option<HeaderValue> {
    let usual = if target.scheme_str() == Some("https") { 443 } else { 80 };
    let name = target.host()?;
    match target.port_u16().filter(|port| *port != usual) {
        Some(port) => HeaderValue::try_from(format!("{name}:{port}")).ok(),
        None => HeaderValue::from_str(name).ok(),
    }
}

#[cfg(test)]
mod tests;
