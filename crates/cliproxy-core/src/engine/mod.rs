//! The engine: one call in, one answer out.
//!
//! [`Engine::handle`] is the pipeline: load the snapshot, peek at the body, resolve the model, then attempt after
//! attempt (choose, prepare, send, judge) until an answer begins. An answer that has begun has no way back: what goes
//! wrong from then on is said inside it. No task and no channel stands between the upstream's socket and the client's;
//! the answer's body is polled by whoever writes it, and dropping it drops the upstream request.

mod account;
mod answer;
mod assist;
mod attempt;
mod count;
mod credit;
mod errand;
mod everybody;
mod forward;
mod kept;
mod listen;
mod memory;
mod page;
mod passing;
mod picture;
mod pipe;
mod relay;
mod roster;
mod round;
mod select;
mod single;
mod standing;
mod switch;
mod trial;
mod underway;
mod verdict;

use account::Vault;
pub use answer::{Answer, AnswerBody, AnswerStream};
pub use assist::Assist;
pub use errand::{Errand, NotRun};
pub use everybody::Member;
pub use page::Page;
pub use roster::{Listing, Plan};
pub use select::{Explained, Explanation};
pub use standing::{Activity, Recent};
pub use trial::TokenState;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::codec::ClientContext;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::format::{PathWish, decode_count_request, decode_request};
use cliproxy_wire::image;
use cliproxy_wire::lane::Peek;
use cliproxy_wire::model::Request;
use cliproxy_wire::schema::Cleaned;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::count::{Counting, Counts};
use self::memory::Memories;
use self::underway::{Underway, wants_record};
use crate::access::allowance::Allowance;
use crate::access::meter::Meter;
use crate::config::Settings;
use crate::credential::affinity::{self, Session};
use crate::credential::{CredentialId, Pool, Window};
use crate::failure::Failure;
use crate::provider::Operation;
use crate::snapshot::{Extras, Snapshot};
use crate::store::Store;
use crate::upstream::{Clients, Tape};
use crate::usage::{Happening, LogSink, Rejected, Sink, Sinks, Ticket};

/// What a client asks, in its own format.
#[derive(Debug)]
pub struct Call {
    /// The format.
    pub format: Format,
    /// What is asked.
    pub operation: Operation,
    /// Model of the path (Gemini), or the one that the server puts in the place of what the body says.
    pub path_model: Option<String>,
    /// The name that answers carry, where the server put another model in the place of the one that was asked for.
    pub shown_model: Option<Arc<str>>,
    /// Gemini: the stream is server-sent events instead of a JSON array.
    pub is_sse: bool,
    /// Gemini: the client wraps its requests as Code Assist does, and wants answers that are wrapped.
    pub is_enveloped: bool,
    /// The client's headers.
    pub headers: HeaderMap,
    /// Chat: the body and the answer are those of the deprecated text completions.
    pub is_legacy_completion: bool,
    /// The client's query without question mark.
    pub query: String,
    /// The body, decompressed.
    pub body: Bytes,
    /// Id of the request: seed of every id in the answer.
    pub request_id: Arc<str>,
    /// Takes down what goes to upstreams and comes back.
    pub tape: Option<Arc<dyn Tape>>,
    /// Name of the client key.
    pub client: Option<Arc<str>>,
    /// What the client key may do, where that is limited.
    pub allowance: Option<Arc<Allowance>>,
    /// Unix seconds.
    pub created: u64,
    /// The clock, in Unix seconds.
    pub now: fn() -> u64,
}

/// The gateway without an HTTP server. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    snapshot: ArcSwap<Snapshot>,
    /// Held while a snapshot is made and swapped in: two that are made at once would undo one another.
    turn: Mutex<()>,
    pool: Pool,
    clients: Clients,
    schemas: Cleaned,
    /// Thoughts and signatures for clients that do not send them back.
    memories: Memories,
    /// What upstreams counted a moment ago.
    counts: Counts,
    extras: Extras,
    sinks: Sinks,
    /// What client keys have used of their limits.
    meter: Meter,
    vault: ArcSwapOption<Vault>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

/// Builds an [`Engine`].
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    extras: Extras,
    sinks: Vec<Box<dyn Sink>>,
    store: Option<Arc<dyn Store>>,
}

impl Builder {
    /// Adds the built-in demo provider.
    #[must_use]
    pub fn with_demo(mut self) -> Self {
        self.extras.has_demo = true;
        self
    }

    /// Where auth files are. [`Engine::load_accounts`] reads them.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Where records of requests go, besides the log.
    #[must_use]
    pub fn with_sink(mut self, sink: Box<dyn Sink>) -> Self {
        self.sinks.push(sink);
        self
    }

    /// The engine.
    pub fn build(self) -> Engine {
        let pool = Pool::default();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        Engine(Arc::new(Inner {
            snapshot: ArcSwap::from_pointee(Snapshot::build(
                self.settings,
                &BTreeMap::new(),
                &self.extras,
                &pool,
            )),
            turn: Mutex::default(),
            pool,
            clients: Clients::new(tasks.clone(), cancel.clone()),
            schemas: Cleaned::default(),
            memories: Memories::default(),
            counts: Counts::default(),
            extras: self.extras,
            sinks: Sinks::new(self.sinks),
            meter: Meter::default(),
            vault: ArcSwapOption::new(self.store.map(|store| Arc::new(Vault::new(store)))),
            tasks,
            cancel,
        }))
    }
}

/// A call on its way, with what is known of it so far. Shared by its attempts.
struct Job {
    call: Call,
    ticket: Arc<Ticket>,
    snapshot: Arc<Snapshot>,
    peeked: Peeked,
    requested: Arc<str>,
    model: Arc<str>,
    suffix: Option<cliproxy_wire::model::Mode>,
    /// The conversation, where it matters with whom it is.
    session: Option<Session>,
    /// Decoded at most once, and only when an attempt needs it.
    request: Option<Arc<Request>>,
    /// How images are wanted; known with the request.
    images: image::Wish,
    /// Who is asked to count tokens.
    counting: Option<Counting>,
    /// The request is paid with credits of the account that is asked.
    pays: bool,
    started: Instant,
}

/// What is known of a call once its body was looked at.
struct Read {
    snapshot: Arc<Snapshot>,
    peeked: Peeked,
    requested: Arc<str>,
    model: Arc<str>,
    suffix: Option<cliproxy_wire::model::Mode>,
    session: Option<Session>,
}

impl Read {
    fn into_job(self, call: Call, ticket: Arc<Ticket>) -> Job {
        let Self { snapshot, peeked, requested, model, suffix, session } = self;
        let started = Instant::now();
        let images = image::Wish::default();
        Job {
            call,
            ticket,
            snapshot,
            peeked,
            requested,
            model,
            suffix,
            session,
            request: None,
            images,
            counting: None,
            pays: false,
            started,
        }
    }
}

/// What was seen of a body, without holding on to its text.
struct Peeked {
    model: Option<String>,
    model_at: Option<std::ops::Range<usize>>,
    has_envelope: bool,
    is_responses_shape: bool,
    is_form: bool,
    is_stream: bool,
}

/// A call that is known to be for a known model, and not yet served.
#[derive(Debug)]
pub struct Opened(Box<Job>);

impl Opened {
    /// The client's format.
    pub fn format(&self) -> Format {
        self.0.call.format
    }

    /// Whether the answer will be a stream.
    pub fn is_stream(&self) -> bool {
        match self.0.call.operation {
            Operation::Stream => true,
            Operation::Draw | Operation::Redraw => self.0.peeked.is_stream,
            _ => false,
        }
    }

    /// Gemini: whether the stream will be a JSON array.
    pub fn is_array(&self) -> bool {
        self.is_stream() && self.0.call.format == Format::Gemini && !self.0.call.is_sse
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({}, {})", self.call.request_id, self.requested)
    }
}

impl Job {
    /// The body as text.
    fn text(&self) -> Result<&str, Failure> {
        cliproxy_wire::json::text(&self.call.body).map_err(Failure::client)
    }

    fn request(&mut self) -> Result<Arc<Request>, Failure> {
        if let Some(request) = &self.request {
            return Ok(Arc::clone(request));
        }
        let path = PathWish {
            model: self.call.path_model.as_deref().unwrap_or_default(),
            stream: self.call.operation == Operation::Stream,
        };
        if let Operation::Draw | Operation::Redraw = self.call.operation {
            return self.drawing();
        }
        let decoded = if self.call.operation == Operation::CountTokens {
            decode_count_request(self.call.format, &self.call.body, path)
        } else if self.call.is_legacy_completion {
            cliproxy_wire::chat::completions::decode_request(&self.call.body)
        } else {
            decode_request(self.call.format, &self.call.body, path)
        };
        let mut request = decoded.map_err(Failure::client)?;
        request.stream = self.call.operation == Operation::Stream;
        let request = Arc::new(request);
        self.request = Some(Arc::clone(&request));
        Ok(request)
    }

    /// The conversation that images are asked for in.
    fn drawing(&mut self) -> Result<Arc<Request>, Failure> {
        let decoded = match single::form_of(&self.call)? {
            Some(parts) => image::decode_form(&parts),
            None if self.call.operation == Operation::Redraw => image::decode_edit(&self.call.body),
            None => image::decode_generation(&self.call.body),
        };
        let (request, wish) = decoded.map_err(Failure::client)?;
        self.images = wish;
        let request = Arc::new(request);
        self.request = Some(Arc::clone(&request));
        Ok(request)
    }

    fn started(&self) -> Happening<'_> {
        Happening::Started {
            request_id: &self.call.request_id,
            at: self.call.created,
            client: self.call.client.as_ref(),
            format: self.call.format,
            model: &self.requested,
            is_stream: self.call.operation == Operation::Stream,
        }
    }

    /// The name of the model that the client knows.
    fn shown(&self) -> &Arc<str> {
        self.call.shown_model.as_ref().unwrap_or(&self.requested)
    }

    /// The context for a client whose request was never decoded.
    fn bare_context(&self, echoes_requested: bool) -> ClientContext {
        self.client_context(&Request::new(self.call.format, &**self.shown()), echoes_requested)
    }

    fn client_context(&self, request: &Request, echoes_requested: bool) -> ClientContext {
        ClientContext {
            now: self.call.now,
            requested_model: self.shown().as_ref().into(),
            echoes_requested_model: echoes_requested,
            is_sse: self.call.is_sse,
            is_enveloped: self.call.is_enveloped,
            ..ClientContext::new(request, Arc::clone(&self.call.request_id), self.call.created)
        }
    }
}

impl Engine {
    /// A builder with the given settings.
    pub fn builder(settings: Settings) -> Builder {
        Builder { settings, extras: Extras::default(), sinks: vec![Box::new(LogSink)], store: None }
    }

    /// The snapshot of the moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// Swaps the configuration. Running requests keep the one they began with; what happened to credentials that stay
    /// is remembered.
    pub fn reload(&self, settings: Settings) {
        let turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.derive(settings, &turn);
    }

    /// Derives everything anew from the settings of the moment: accounts or pages have come or gone.
    pub(crate) fn derive_again(&self) {
        let turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.derive(self.snapshot().settings.clone(), &turn);
    }

    fn derive(&self, settings: Settings, _turn: &MutexGuard<'_, ()>) {
        let extras = Extras { pages: self.0.clients.pages().ids(), ..self.0.extras.clone() };
        let snapshot = Arc::new(Snapshot::build(settings, &self.accounts(), &extras, &self.0.pool));
        self.0.snapshot.store(Arc::clone(&snapshot));
        let credentials = snapshot.routes.credentials().iter();
        let proxies: HashMap<_, _> =
            credentials.map(|credential| (&credential.id, &credential.proxy)).collect();
        self.0.pool.retain(|id| proxies.contains_key(id), |model| snapshot.routes.offers(model).is_some());
        self.0.clients.retain(|id, proxy| proxies.get(id) == Some(&proxy));
        self.0.clients.pages().tell();
    }

    /// What is left of a credential's quotas, as far as answers to normal traffic told it. `now` is in Unix seconds.
    pub fn quotas(&self, id: &CredentialId, now: u64) -> Vec<Window> {
        self.0.pool.quotas().of(id, now)
    }

    /// The connections of everybody.
    pub(crate) fn clients(&self) -> &Clients {
        &self.0.clients
    }

    /// Background work: tracked, and cancelled at shutdown.
    pub fn tasks(&self) -> (&TaskTracker, &CancellationToken) {
        (&self.0.tasks, &self.0.cancel)
    }

    /// Runs background work until it ends or the engine shuts down.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.0.cancel.clone();
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = work => tracing::debug!(task = name, "background task ended"),
                () = cancel.cancelled() => {}
            }
        });
    }

    /// Ends background work and waits for it.
    pub async fn shutdown(&self) {
        self.0.cancel.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Serves a call.
    ///
    /// # Errors
    /// When no answer began. A failure inside an answer that has begun is said in the answer.
    pub async fn handle(&self, call: Call) -> Result<Answer, Failure> {
        self.run(self.open(call)?).await
    }

    /// Finds out what a call is about.
    ///
    /// # Errors
    /// A body that is no request, or a model that is not known.
    pub fn open(&self, mut call: Call) -> Result<Opened, Failure> {
        match self.read(&mut call) {
            Ok(read) => {
                let is_kept = wants_record(&read.snapshot, call.operation, call.client.as_ref());
                let ticket = self.0.sinks.ticket(is_kept);
                Ok(Opened(Box::new(read.into_job(call, ticket))))
            }
            Err(failure) => {
                self.reject(&Rejected {
                    request_id: &call.request_id,
                    client: call.client.as_ref(),
                    parent: call.headers.get("traceparent"),
                    format: call.format,
                    is_admitted: true,
                    fault: failure.fault(),
                });
                Err(failure.with_request(call.headers, call.body))
            }
        }
    }

    /// Lets a call in as far as its client key may do what it asks. Counting tokens costs nothing.
    fn permit(&self, allowance: &Allowance, call: &Call, model: &str) -> Result<(), Failure> {
        if !allowance.allows_model(model) {
            let shown: String = model.chars().take(120).collect();
            let message =
                format!("this API key may not use the model `{shown}`; GET /v1/models lists what it may");
            return Err(Failure::gateway(
                Fault::new(Kind::Permission, message).with_code("model_not_allowed"),
            ));
        }
        if call.operation == Operation::CountTokens {
            return Ok(());
        }
        self.0.meter.admit(allowance, (call.now)()).map_err(|exceeded| {
            let mut fault = Fault::new(Kind::RateLimit, exceeded.to_string()).with_code("key_limit_exceeded");
            fault.retry_after = Some(std::time::Duration::from_secs(exceeded.wait));
            Failure::gateway(fault)
        })
    }

    /// What client keys have used of their limits.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Reads what decides where a call goes.
    fn read(&self, call: &mut Call) -> Result<Read, Failure> {
        let snapshot = self.snapshot();
        // A byte order mark is borne and not passed on: to most upstreams it is a syntax error.
        if call.body.starts_with(b"\xEF\xBB\xBF") {
            call.body = call.body.slice(3..);
        }
        let parts = single::form_of(call)?;
        let peek = match &parts {
            Some(parts) => Peek::of_form(parts),
            None => cliproxy_wire::lane::peek(call.format, &call.body).map_err(Failure::client)?,
        };
        if call.operation == Operation::Generate && peek.is_stream && call.format != Format::Gemini {
            call.operation = Operation::Stream;
        }
        if call.operation == Operation::Compact && peek.is_stream {
            let message = "a conversation is compacted in one piece; leave this member out";
            return Err(Failure::client(cliproxy_wire::Error::invalid("stream", message)));
        }
        if call.is_enveloped && !peek.is_enveloped {
            return Err(Failure::client(cliproxy_wire::Error::missing("request")));
        }
        let named = call.path_model.as_deref().or(peek.model.as_deref()).map(str::trim).unwrap_or_default();
        if named.is_empty() {
            return Err(Failure::client(cliproxy_wire::Error::missing("model")));
        }
        let requested: Arc<str> = named.into();
        let Some(resolved) = snapshot.routes.resolve(&requested) else {
            return Err(Failure::client(unknown_model(&requested, &snapshot)));
        };
        if let Some(allowance) = &call.allowance {
            self.permit(allowance, call, &resolved.model)?;
        }
        if !resolved.offers.members().iter().any(|offer| single::can(call.operation, offer)) {
            return Err(single::unable(call, &requested, &snapshot));
        }
        let (model, suffix) = (resolved.model, resolved.suffix);
        let is_sticky =
            snapshot.settings.routing.session_affinity.is_some() || resolved.offers.keeps_conversations();
        let session = if is_sticky { affinity::session(&call.headers, &peek) } else { None };
        let peeked = Peeked {
            has_envelope: peek.has_envelope,
            is_responses_shape: peek.is_responses_shape,
            is_form: parts.is_some(),
            is_stream: peek.is_stream,
            model: peek.model,
            model_at: peek.model_at,
        };
        Ok(Read { snapshot, peeked, requested, model, suffix, session })
    }

    /// Serves an opened call. The future stands apart, so that who waits for it need not make room for it, and so that
    /// it is compiled once.
    ///
    /// # Errors
    /// When no answer began.
    pub fn run(&self, opened: Opened) -> BoxFuture<'static, Result<Answer, Failure>> {
        let engine = self.clone();
        Box::pin(async move { engine.run_to_answer(opened).await })
    }

    async fn run_to_answer(&self, opened: Opened) -> Result<Answer, Failure> {
        let mut underway = Underway::new(self, opened.0);
        let (job, attempts) = underway.parts();
        let result = match job.call.operation {
            Operation::CountTokens => self.count(job, attempts).await,
            _ => self.attempt_models(job, attempts).await,
        };
        underway.end(result)
    }
}

fn unknown_model(requested: &str, snapshot: &Snapshot) -> Fault {
    let shown: String = requested.chars().take(120).collect();
    let nearest = snapshot.routes.nearest(requested);
    let hint = if !nearest.is_empty() {
        format!(
            "; did you mean {}?",
            nearest.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        )
    } else if snapshot.routes.listed().is_empty() {
        "; no model is configured: add a key to config.yaml, or start with --demo".to_owned()
    } else {
        "; GET /v1/models lists what is offered".to_owned()
    };
    Fault {
        param: Some("model".to_owned()),
        ..Fault::new(Kind::NotFound, format!("the model `{shown}` is not known{hint}"))
            .with_code("model_not_found")
    }
}
