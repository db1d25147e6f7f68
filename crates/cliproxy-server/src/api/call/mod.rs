//! From an HTTP request to a call of the engine, and from its answer to an HTTP response.

mod recording;

use std::borrow::Cow;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use cliproxy_core::access::{Caller, Refused};
use cliproxy_core::config::file::ImageGeneration;
use cliproxy_core::engine::Opened;
use cliproxy_core::provider::Operation;
use cliproxy_core::snapshot::Snapshot;
use cliproxy_core::upstream::Tape;
use cliproxy_core::usage::Rejected;
use cliproxy_core::{Answer, AnswerBody, Call, Failure};
use cliproxy_wire::Format;
use cliproxy_wire::codec::ClientContext;
use cliproxy_wire::fault::{self, Fault, Kind};
use cliproxy_wire::form;
use cliproxy_wire::format::stream_encoder;
use cliproxy_wire::json::Raw;
use cliproxy_wire::json::patch::{Edit, Path, apply};
use cliproxy_wire::model::{Event, Request};
use futures_util::FutureExt as _;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body;

use self::recording::Wanted;
use crate::clock::now;
use crate::stream::{Egress, Pending};
use crate::{App, encoding, reply};

/// What a path says about a call.
pub(crate) struct Route {
    pub(crate) format: Format,
    pub(crate) operation: Operation,
    /// The model, where the path says it or another takes the place of what the body says.
    pub(crate) model: Option<String>,
    /// The model's name in answers, where another has taken its place.
    pub(crate) shown: Option<Arc<str>>,
    /// The deprecated text completions.
    pub(crate) is_legacy: bool,
    /// Requests and answers are inside Code Assist's envelope.
    pub(crate) is_enveloped: bool,
}

impl Route {
    pub(crate) fn new(format: Format, operation: Operation) -> Self {
        Self { format, operation, model: None, shown: None, is_legacy: false, is_enveloped: false }
    }

    /// Who asks, and whether this route serves him at all.
    pub(crate) fn admit(&self, snapshot: &Snapshot, head: &Parts) -> Result<Caller, Fault> {
        let images = snapshot.settings.translation.images;
        if matches!(self.operation, Operation::Draw | Operation::Redraw)
            && images == ImageGeneration::Disabled
        {
            let message = "images are switched off here; `disable-image-generation` in config.yaml says so";
            return Err(Fault::new(Kind::NotFound, message).with_code("not_found"));
        }
        admit(snapshot, head)
    }

    /// Whether the head says that the body can be read. Images to change come as files of a form.
    pub(crate) fn check(&self, head: &Parts) -> Result<(), Fault> {
        let is_form = self.operation == Operation::Redraw && form::boundary(&head.headers).is_some();
        if is_form { Ok(()) } else { check_media(&head.headers) }
    }
}

/// A fresh request id. Such ids are unique and no secrets, so they are a counter in two disguises, each with a random
/// number of this process; a random number of its own would cost every request a system call.
pub(crate) fn request_id() -> Arc<str> {
    static KEYS: LazyLock<[u64; 2]> = LazyLock::new(|| [(); 2].map(|()| RandomState::new().hash_one(0)));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut id = *b"req_00000000000000000000000000000000";
    let (_, digits) = id.split_at_mut(4);
    for (digits, key) in digits.chunks_exact_mut(16).zip(*KEYS) {
        let mut left = disguised(key.wrapping_add(number));
        for digit in digits.iter_mut().rev() {
            *digit = hex_digit(left);
            left >>= 4;
        }
    }
    std::str::from_utf8(&id).unwrap_or_default().into()
}

/// Another number for every number, in no order that can be seen. Source: the last steps of `SplitMix64`.
fn disguised(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// The last digit of a number.
fn hex_digit(number: u64) -> u8 {
    let digit = (number & 0xF) as u8;
    // What lies between the digits and the letters.
    digit + if digit < 10 { b'0' } else { b'a' - 10 }
}

/// A request's head, which is handed on through many futures that need not make room for it, and its body.
pub(crate) type Arrived<B> = (Box<Parts>, B);

/// A request in its parts.
pub(crate) fn arrived<B>(request: http::Request<B>) -> Arrived<B> {
    let (head, body) = request.into_parts();
    (Box::new(head), body)
}

/// Serves one call.
pub(crate) async fn serve<B>(app: &App, route: Route, request: Arrived<B>) -> Response<Egress>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (id, format) = (request_id(), route.format);
    // Polled where it stands: what wraps a future moves all of it.
    unbroken(format, &id, pin!(served(app, route, request, &id))).await
}

async fn served<B>(app: &App, route: Route, request: Arrived<B>, id: &Arc<str>) -> Response<Egress>
where
    B: Body<Data = Bytes> + Unpin,
{
    let format = route.format;
    match run(app, route, request, id).await {
        Ok(response) => response,
        Err(refusal) => Box::pin(refusal.answer(app, format, id)).await.map(Egress::from),
    }
}

/// What comes of some work; of work that panics, what its client is told in its format.
async fn unbroken<F: Future<Output = Response<Egress>>>(
    format: Format,
    id: &str,
    work: Pin<&mut F>,
) -> Response<Egress> {
    let answer = AssertUnwindSafe(work).catch_unwind().await;
    answer.unwrap_or_else(|_panic| broken(format, id).map(Egress::from))
}

/// A defect of ours costs one request, not the process.
pub(crate) fn broken(format: Format, id: &str) -> axum::response::Response {
    tracing::error!("a handler panicked; this is a defect, please report it");
    reply::fault(format, &Fault::new(Kind::Api, "internal error of the gateway"), id, false)
}

/// The code of a refusal by the limits of a client's key.
const KEY_LIMIT: &str = "key_limit_exceeded";

/// Why a call got no answer.
pub(crate) enum Refusal {
    /// It was not let in, or there is nothing to serve it with.
    Fault(Box<Fault>),
    /// It was let in and could not be read.
    Unread(Box<Unread>),
    /// The engine refused it, or nobody could serve it.
    Failure(Failure),
}

/// A request without its body.
pub(crate) struct Unread {
    fault: Fault,
    head: Box<Parts>,
    caller: Caller,
}

impl Refusal {
    /// A request that was let in and could not be read.
    pub(crate) fn unread(fault: Fault, head: Box<Parts>, caller: Caller) -> Self {
        Self::Unread(Box::new(Unread { fault, head, caller }))
    }

    /// Tells the client, and whoever keeps books of what is asked. What the engine refused it has told itself.
    pub(crate) async fn answer(
        mut self,
        app: &App,
        format: Format,
        id: &Arc<str>,
    ) -> axum::response::Response {
        match &mut self {
            Self::Failure(_) => {}
            Self::Fault(fault) => reject(app, format, id, fault, None),
            Self::Unread(unread) => {
                let Unread { fault, head, caller } = &mut **unread;
                app.engine.snapshot().access.conceal(&mut head.headers);
                reject(app, format, id, fault, Some((caller, &head.headers)));
                recording::unread(app, head, fault, (format, id)).await;
            }
        }
        self.into_response(format, id)
    }

    pub(crate) fn into_response(self, format: Format, id: &str) -> axum::response::Response {
        match self {
            Self::Fault(fault) => reply::fault(format, &fault, id, false),
            Self::Unread(unread) => reply::fault(format, &unread.fault, id, false),
            Self::Failure(failure) => reply::failure(format, &failure, id),
        }
    }

    /// Whether everybody who could have served has used its quota up. The limits of a client's key are no such quota.
    pub(crate) fn is_exhausted(&self) -> bool {
        let Self::Failure(failure) = self else { return false };
        let fault = failure.fault();
        matches!(fault.kind, Kind::RateLimit | Kind::Quota) && fault.code.as_deref() != Some(KEY_LIMIT)
    }

    /// The request that was refused, as far as it was read.
    fn request(&self) -> Option<&(http::HeaderMap, Bytes)> {
        match self {
            Self::Fault(_) | Self::Unread(_) => None,
            Self::Failure(failure) => failure.request(),
        }
    }

    /// Status and body of what the client is told.
    fn said(&self, format: Format, id: &str) -> (u16, Bytes) {
        let fault = match self {
            Self::Fault(fault) => fault,
            Self::Unread(unread) => &unread.fault,
            Self::Failure(failure) => {
                if let Some(relay) = failure.relay() {
                    return (relay.status, relay.body.clone());
                }
                failure.fault()
            }
        };
        let (status, body) = fault::encode(format, fault, id);
        (status, body.into())
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

async fn run<B>(
    app: &App,
    route: Route,
    request: Arrived<B>,
    id: &Arc<str>,
) -> Result<Response<Egress>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let admit = |snapshot: &Snapshot, head: &Parts| route.admit(snapshot, head);
    let (head, body, caller) = received(app, request, admit, |head| route.check(head)).await?;
    answer(app, route, head, body, caller, id).await
}

/// Tells whoever keeps books of a request that is turned away; `from` says who was let in all the same.
pub(crate) fn reject(
    app: &App,
    format: Format,
    id: &str,
    fault: &Fault,
    from: Option<(&Caller, &http::HeaderMap)>,
) {
    app.engine.reject(&Rejected {
        request_id: id,
        client: from.and_then(|(caller, _)| caller.key.as_ref()),
        parent: from.and_then(|(_, headers)| headers.get("traceparent")),
        format,
        is_admitted: from.is_some(),
        fault,
    });
}

/// Reads a request that `admit` lets in and `check` finds readable by its head.
pub(crate) async fn received<B>(
    app: &App,
    (head, body): Arrived<B>,
    admit: impl Fn(&Snapshot, &Parts) -> Result<Caller, Fault>,
    check: impl Fn(&Parts) -> Result<(), Fault>,
) -> Result<(Box<Parts>, Bytes, Caller), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let snapshot = app.engine.snapshot();
    let caller = match admit(&snapshot, &head) {
        Ok(caller) => caller,
        Err(fault) => {
            encoding::drain(&head.headers, body).await;
            return Err(fault.into());
        }
    };
    if let Err(fault) = check(&head) {
        encoding::drain(&head.headers, body).await;
        return Err(Refusal::unread(fault, head, caller));
    }
    let limit = usize::try_from(snapshot.settings.max_request_body_bytes).unwrap_or(usize::MAX);
    match encoding::read(&head.headers, body, limit).await {
        Ok(body) => Ok((head, body, caller)),
        Err(fault) => Err(Refusal::unread(fault, head, caller)),
    }
}

/// Answers a call whose body has been read, and keeps a record of it where that is wanted.
pub(crate) async fn answer(
    app: &App,
    route: Route,
    head: Box<Parts>,
    body: Bytes,
    caller: Caller,
    id: &Arc<str>,
) -> Result<Response<Egress>, Refusal> {
    let most = match recording::wanted(app) {
        // Few run with it; the others need not make room for it.
        Wanted::Everything => {
            return Box::pin(recording::answer(app, route, head, body, caller, id)).await;
        }
        Wanted::Nothing => return answered(app, route, head, body, caller, (id, None)).await,
        Wanted::Errors(most) => most,
    };
    let (logs, format, asked) = (app.logs.clone(), route.format, (head.method.clone(), head.uri.clone()));
    let result = answered(app, route, head, body, caller, (id, None)).await;
    if let Err(refusal) = &result {
        Box::pin(recording::refused(logs, most, asked, refusal, (format, id))).await;
    }
    result
}

/// Answers a call; a tape takes down what goes to upstreams.
async fn answered(
    app: &App,
    route: Route,
    mut head: Box<Parts>,
    body: Bytes,
    caller: Caller,
    (id, tape): (&Arc<str>, Option<Arc<dyn Tape>>),
) -> Result<Response<Egress>, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let (keepalive, streams_by_default) = {
        let snapshot = app.engine.glance();
        snapshot.access.conceal(&mut head.headers);
        let streaming = &snapshot.settings.streaming;
        let keepalive = (streaming.keepalive, streaming.nonstream_keepalive);
        (keepalive, snapshot.settings.gemini_cli_proxy.streams_by_default)
    };
    let is_chat = route.format == Format::Chat && route.operation == Operation::Generate && !route.is_legacy;
    let body = if is_chat && streams_by_default { streaming(body) } else { body };
    let call = Call {
        format: route.format,
        operation: route.operation,
        path_model: route.model,
        shown_model: route.shown,
        is_sse: is_sse(query),
        is_enveloped: route.is_enveloped,
        is_legacy_completion: route.is_legacy,
        query: query.to_owned(),
        headers: head.headers,
        body,
        request_id: Arc::clone(id),
        tape,
        client: caller.key,
        allowance: caller.allowance,
        created: now(),
        now,
    };
    let engine = &app.engine;
    let opened = engine.open(call)?;
    let format = route.format;
    let beat = if opened.is_stream() { keepalive.0 } else { keepalive.1 };
    let style = Style::of(&opened);
    let mut pending: Pending = engine.run(opened);
    // Until now a failure has its own status; waiting longer would look like a dead connection to clients and proxies.
    let answer = match beat {
        None => pending.await,
        Some(every) => match tokio::time::timeout(every, &mut pending).await {
            Ok(answer) => answer,
            Err(_elapsed) => return Ok(committed(pending, style, every, id)),
        },
    };
    let answer = answer?;
    Ok(respond(answer, format, id))
}

/// The same request, for a stream if it does not say.
fn streaming(body: Bytes) -> Bytes {
    let edit = Edit::set_default(Path::root().key("stream"), Raw::new("true"));
    let changed = std::str::from_utf8(&body).ok().and_then(|text| match apply(text, &[edit]) {
        Ok(Cow::Owned(changed)) => Some(Bytes::from(changed)),
        // What is no request is refused by whoever reads it.
        Ok(Cow::Borrowed(_)) | Err(_) => None,
    });
    changed.unwrap_or(body)
}

/// What somebody is told whose key does not let in.
pub(crate) fn refused(refused: Refused) -> Fault {
    let kind = if refused == Refused::Expired { Kind::Permission } else { Kind::Authentication };
    Fault::new(kind, refused.to_string()).with_code(refused.code())
}

/// Who asks, by the key in a request's head.
pub(crate) fn admit(snapshot: &Snapshot, head: &Parts) -> Result<Caller, Fault> {
    snapshot.access.admit(&head.headers, head.uri.query(), now()).map_err(refused)
}

pub(crate) fn respond(answer: Answer, format: Format, id: &str) -> Response<Egress> {
    let body = match answer.body {
        AnswerBody::Whole(bytes) => Egress::whole(bytes),
        AnswerBody::Stream(stream) => Egress::streaming(stream),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    reply::set_request_id(response.headers_mut(), format, id);
    response
}

/// How silence and failures look in a body whose status is already out.
#[derive(Clone, Copy)]
struct Style {
    format: Format,
    is_stream: bool,
    is_array: bool,
}

impl Style {
    fn of(opened: &Opened) -> Self {
        Self { format: opened.format(), is_stream: opened.is_stream(), is_array: opened.is_array() }
    }

    fn beat(self) -> Bytes {
        // White space is legal before JSON.
        let is_events = self.is_stream && !self.is_array;
        Bytes::from_static(if is_events { self.format.early_sign_of_life() } else { b"\n" })
    }

    fn failure(self, failure: &Failure, id: &str) -> Bytes {
        let fault = failure.fault();
        if !self.is_stream {
            return fault::encode(self.format, fault, id).1.into();
        }
        let mut out = Vec::new();
        let context = ClientContext {
            is_sse: !self.is_array,
            ..ClientContext::new(&Request::new(self.format, ""), id, now())
        };
        stream_encoder(self.format, context).event(Event::Error(Box::new(fault.clone())), &mut out);
        out.into()
    }
}

fn committed(pending: Pending, style: Style, every: Duration, id: &Arc<str>) -> Response<Egress> {
    let failed_id = Arc::clone(id);
    let body =
        Egress::waiting(pending, style.beat(), every, move |failure| style.failure(failure, &failed_id));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    let kind = if style.is_stream && !style.is_array {
        "text/event-stream; charset=utf-8"
    } else {
        "application/json"
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    reply::set_request_id(headers, style.format, id);
    response
}

/// Gemini streams are server-sent events with `alt=sse`, else a JSON array.
fn is_sse(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse" | "%24alt=sse"))
}

/// A body that says it is something other than JSON is refused by name; one that says nothing, or a form type that
/// command line tools send by default, is read as JSON.
pub(crate) fn check_media(headers: &http::HeaderMap) -> Result<(), Fault> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    if kind == "application/json" {
        return Ok(());
    }
    let Ok(kind) = kind.to_str() else { return Ok(()) };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_fine = kind.is_empty()
        || kind.ends_with("json")
        || matches!(
            kind.as_str(),
            "text/plain" | "application/x-www-form-urlencoded" | "application/octet-stream"
        );
    if is_fine {
        return Ok(());
    }
    let shown: String = kind.chars().take(80).collect();
    Err(Fault::new(
        Kind::InvalidRequest,
        format!("the content type {shown} is not supported; send application/json"),
    )
    .with_code("unsupported_media_type")
    .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16()))
}

/// The start of the client's name, for listings that depend on it.
pub(crate) fn agent(headers: &http::HeaderMap) -> &str {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_defect_is_told_in_the_format_of_its_call() {
        for (format, expected) in [
            (Format::Chat, r#"{"error":{"message":"internal error of the gateway","type":"server_error""#),
            (Format::Claude, r#"{"type":"error","error":{"type":"api_error","#),
            (Format::Gemini, r#"{"error":{"code":500,"#),
        ] {
            let response = unbroken(format, "req_1", pin!(async { panic!("a test panics here") })).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(body.starts_with(expected.as_bytes()), "{body:?}");
        }
    }
}
