//! Traces for a collector: a span of every request and of every attempt, sent as OTLP in JSON over HTTP.
//!
//! Spans are gathered and sent together, over the gateway's own connections and proxies. What a collector does not take
//! is given up, and told once; traffic never waits for it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cliproxy_core::Engine;
use cliproxy_core::config::settings::Otlp;
use cliproxy_core::credential::CredentialId;
use cliproxy_core::upstream::{Outgoing, read_all};
use cliproxy_core::usage::{Attempted, Outcome, Record, Rejected};
use cliproxy_wire::fault::Kind;
use cliproxy_wire::model::Usage;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{operation, provider_name};
use crate::clock;

/// How long spans are gathered.
const PACE: Duration = Duration::from_secs(2);
/// So many are sent at once.
const BATCH: usize = 512;
/// So many wait at most.
const MOST: usize = 4096;
/// Longest wait for a collector.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer of a collector that is read.
const LONGEST_ANSWER: usize = 64 << 10;

/// Spans on their way to one collector.
pub(super) struct Spans {
    collector: Otlp,
    waiting: Mutex<Vec<Value>>,
    lost: AtomicU64,
    gathered: Notify,
    ended: CancellationToken,
    /// The collector fails, and that was told.
    is_failing: AtomicBool,
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spans({})", self.collector.traces)
    }
}

impl Spans {
    pub(super) fn new(collector: Otlp) -> Self {
        Self {
            collector,
            waiting: Mutex::default(),
            lost: AtomicU64::new(0),
            gathered: Notify::new(),
            ended: CancellationToken::new(),
            is_failing: AtomicBool::new(false),
        }
    }

    pub(super) fn collector(&self) -> &Otlp {
        &self.collector
    }

    /// No more spans come.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    pub(super) fn record(&self, record: &Record) {
        self.gather(span(record, clock::since_epoch()));
    }

    pub(super) fn attempted(&self, attempted: &Attempted<'_>) {
        self.gather(attempt(attempted, clock::since_epoch()));
    }

    pub(super) fn rejected(&self, rejected: &Rejected<'_>) {
        self.gather(refusal(rejected, clock::since_epoch()));
    }

    fn gather(&self, span: Value) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push(span);
        let is_first_or_full = waiting.len() == 1 || waiting.len() == BATCH;
        drop(waiting);
        if is_first_or_full {
            self.gathered.notify_one();
        }
    }

    /// Sends spans as they gather, until no more come.
    pub(super) async fn keep(&self, engine: Engine) {
        loop {
            tokio::select! {
                () = self.gathered.notified() => {}
                () = self.ended.cancelled() => break,
            }
            tokio::select! {
                () = tokio::time::sleep(PACE) => {}
                () = self.gathered.notified() => {}
                () = self.ended.cancelled() => break,
            }
            self.flush(&engine).await;
        }
        self.flush(&engine).await;
    }

    /// Sends everything that waits.
    pub(super) async fn flush(&self, engine: &Engine) {
        loop {
            let batch: Vec<Value> = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let count = waiting.len().min(BATCH);
                waiting.drain(..count).collect()
            };
            if batch.is_empty() {
                return;
            }
            let result = tokio::time::timeout(PATIENCE, self.send(engine, batch)).await;
            let failure = match result {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why),
                Err(_elapsed) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            if let Some(why) = failure {
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!("the collector does not take traces, which are given up: {why}");
                }
            } else if self.is_failing.swap(false, Ordering::Relaxed) {
                tracing::info!("the collector takes traces again");
            }
        }
    }

    async fn send(&self, engine: &Engine, spans: Vec<Value>) -> Result<(), String> {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!("traces of {lost} requests were given up: the collector is too slow");
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.collector.headers.iter().cloned());
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": [
                text("service.name", &self.collector.service_name),
                text("service.version", env!("CARGO_PKG_VERSION")),
            ]},
            "scopeSpans": [{"scope": {"name": "cliproxy"}, "spans": spans}],
        }]});
        let outgoing = Outgoing::Http {
            method: Method::POST,
            uri: self.collector.traces.clone(),
            headers,
            body: Bytes::from(body.to_string()).into(),
        };
        let reply = engine.forward("telemetry", outgoing).await.map_err(|failure| failure.to_string())?;
        let status = reply.status;
        // What is read to its end leaves the connection open for the next ones.
        drop(read_all(reply.body, Some(PATIENCE), LONGEST_ANSWER).await);
        if status.is_success() { Ok(()) } else { Err(format!("it answers {status}")) }
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn number(key: &str, value: u64) -> Value {
    // Source: the JSON encoding of protocol buffers, which writes 64 bits as text.
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

/// A request as a span that ends now; `now` is since the epoch.
fn span(record: &Record, now: Duration) -> Value {
    let model = record.upstream_model.as_deref().unwrap_or(&record.requested_model);
    let mut attributes = vec![
        text("gen_ai.operation.name", operation(record.operation)),
        text("gen_ai.request.model", &record.requested_model),
        text("cliproxy.request.id", &record.request_id),
        text("cliproxy.format", record.format.name()),
        text("cliproxy.lane", record.lane),
        text("cliproxy.outcome", record.outcome.word()),
        number("cliproxy.attempts", u64::from(record.attempts)),
    ];
    let error = (record.outcome == Outcome::Failed).then(|| record.error.map_or("failed", Kind::word));
    let texts = [
        ("gen_ai.provider.name", record.provider.as_deref().map(provider_name)),
        ("cliproxy.provider", record.provider.as_deref()),
        ("gen_ai.response.model", record.upstream_model.as_deref()),
        ("cliproxy.credential", record.credential.as_ref().map(CredentialId::as_str)),
        ("cliproxy.client", record.client.as_deref()),
        ("error.type", error),
    ];
    attributes.extend(texts.into_iter().filter_map(|(key, value)| Some(text(key, value?))));
    attributes.extend(tokens(&record.usage));
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    attributes.extend(record.first_byte.map(|time| number("cliproxy.first_byte_ms", milliseconds(time))));
    let name = format!("{} {model}", operation(record.operation));
    Span {
        record,
        id: request_span(&record.request_id),
        parent: None,
        name,
        kind: 2,
        lasted: record.total,
        error,
    }
    .written(now, &attributes)
}

/// One request to one credential as a span below that of its request, which ends now.
fn attempt(attempted: &Attempted<'_>, now: Duration) -> Value {
    let Attempted { record, lasted, status, error } = *attempted;
    let model = record.upstream_model.as_deref().unwrap_or_default();
    let mut attributes = vec![
        text("gen_ai.operation.name", operation(record.operation)),
        text("gen_ai.request.model", model),
        number("cliproxy.attempt", u64::from(record.attempts)),
    ];
    let error = error.map(Kind::word);
    let texts = [
        ("gen_ai.provider.name", record.provider.as_deref().map(provider_name)),
        ("cliproxy.provider", record.provider.as_deref()),
        ("cliproxy.credential", record.credential.as_ref().map(CredentialId::as_str)),
        ("error.type", error),
    ];
    attributes.extend(texts.into_iter().filter_map(|(key, value)| Some(text(key, value?))));
    attributes.extend(status.map(|status| number("http.response.status_code", u64::from(status))));
    attributes.extend(tokens(&record.usage));
    // The same credential may be asked again, with a renewed token for example: what differs is when.
    let began = now.saturating_sub(lasted).as_nanos().to_string();
    let id = cliproxy_wire::id::hex("", 16, &["attempt", &record.request_id, &began]);
    let name = format!("{} {model}", operation(record.operation));
    Span { record, id, parent: Some(request_span(&record.request_id)), name, kind: 3, lasted, error }
        .written(now, &attributes)
}

/// What spans have in common.
struct Span<'r> {
    record: &'r Record,
    id: String,
    /// The span above it; that of the client where there is none.
    parent: Option<String>,
    name: String,
    /// Of a server or a client, by the numbers of the protocol.
    kind: u8,
    lasted: Duration,
    error: Option<&'static str>,
}

impl Span<'_> {
    fn written(self, now: Duration, attributes: &[Value]) -> Value {
        let (trace, client) = context(self.record.parent.as_ref(), &self.record.request_id);
        json!({
            "traceId": trace,
            "spanId": self.id,
            "parentSpanId": self.parent.unwrap_or(client),
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": now.saturating_sub(self.lasted).as_nanos().to_string(),
            "endTimeUnixNano": now.as_nanos().to_string(),
            "attributes": attributes,
            "status": {"code": if self.error.is_some() { 2 } else { 0 }},
        })
    }
}

fn tokens(usage: &Usage) -> impl Iterator<Item = Value> {
    let numbers = [
        ("gen_ai.usage.input_tokens", usage.input),
        ("gen_ai.usage.output_tokens", usage.output),
        ("gen_ai.usage.cache_read.input_tokens", usage.cache_read),
        ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write),
    ];
    numbers.into_iter().filter_map(|(key, value)| Some(number(key, value?)))
}

/// The id of a request's span.
fn request_span(request_id: &str) -> String {
    cliproxy_wire::id::hex("", 16, &["span", request_id])
}

/// A request that was turned away, at this moment. Whose fault it is is the client's, so the span is none that failed.
fn refusal(rejected: &Rejected<'_>, now: Duration) -> Value {
    let (trace, parent) = context(rejected.parent, rejected.request_id);
    let mut attributes = vec![
        text("cliproxy.request.id", rejected.request_id),
        text("cliproxy.format", rejected.format.name()),
        text("cliproxy.outcome", "refused"),
        text("error.type", rejected.fault.kind.word()),
    ];
    attributes.extend(rejected.client.map(|client| text("cliproxy.client", client)));
    let at = now.as_nanos().to_string();
    json!({
        "traceId": trace,
        "spanId": request_span(rejected.request_id),
        "parentSpanId": parent,
        "name": "refused",
        "kind": 2,
        "startTimeUnixNano": at,
        "endTimeUnixNano": at,
        "attributes": attributes,
        "status": {"code": 0},
    })
}

/// The trace and the span above this one, by the client's `traceparent`; a trace of its own without one.
fn context(parent: Option<&HeaderValue>, request_id: &str) -> (String, String) {
    let told = parent.and_then(|value| value.to_str().ok());
    let mut parts = told.into_iter().flat_map(|text| text.trim().split('-')).skip(1);
    let is_id = |text: &&str, length: usize| {
        text.len() == length
            && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            && text.bytes().any(|byte| byte != b'0')
    };
    let trace = parts.next().filter(|text| is_id(text, 32));
    let parent = parts.next().filter(|text| is_id(text, 16));
    match (trace, parent) {
        (Some(trace), Some(parent)) => (trace.to_ascii_lowercase(), parent.to_ascii_lowercase()),
        _ => (cliproxy_wire::id::hex("", 32, &["trace", request_id]), String::new()),
    }
}
