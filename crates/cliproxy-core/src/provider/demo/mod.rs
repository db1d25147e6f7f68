//! The built-in demo: a deterministic upstream without an account.
//!
//! It exists so that a newcomer can try every client within a minute, and so that users can test how their agents bear
//! faults. It speaks the Claude wire format inside the process, so requests to it pass the same routing, lanes and
//! codecs as those to a real provider. What each model does is in `script`; bodies that fit a JSON Schema are made in
//! `sample`.

mod sample;
mod script;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cliproxy_wire::catalog::{AdaptiveDefault, Caps, ReasoningCaps};
use cliproxy_wire::codec::ClientContext;
use cliproxy_wire::fault::{Fault, Kind as FaultKind};
use cliproxy_wire::model::{Event, Level, Show, Summary};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, claude, format};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Job, Kind, Operation, Provider, not_offered};
use crate::credential::{Credential, CredentialId};
use crate::failure::Failure;
use crate::proxy::Proxy;
use crate::route::Listed;
use crate::upstream::{Local, LocalEnding, Outgoing};

/// A model of the demo.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
}

/// The demo's models.
pub const MODELS: &[Model] = &[
    Model {
        name: "demo-echo",
        about: "repeats the last message, word by word; follows a JSON schema if there is one",
    },
    Model { name: "demo-tools", about: "calls the first offered tool, then reports what it answered" },
    Model { name: "demo-think", about: "thinks before it answers" },
    Model { name: "demo-long", about: "answers with two thousand words" },
    Model { name: "demo-slow", about: "answers one word a second" },
    Model { name: "demo-401", about: "refuses its credential" },
    Model { name: "demo-429", about: "is rate limited, retry after 2 seconds" },
    Model { name: "demo-500", about: "fails with an internal error" },
    Model { name: "demo-529", about: "is overloaded" },
    Model { name: "demo-cut", about: "breaks the connection in the middle of its answer" },
    Model { name: "demo-stall", about: "falls silent in the middle of its answer" },
    Model { name: "demo-error", about: "reports an error in the middle of its answer" },
    Model { name: "demo-garbage", about: "sends bytes that are no answer" },
    Model { name: "demo-html", about: "answers 200 with an HTML page" },
];

/// The demo's only credential.
pub fn credential() -> Credential {
    Credential {
        id: CredentialId::new("demo"),
        kind: Kind::Demo,
        provider: "demo".into(),
        key: None,
        account: None,
        project: None,
        base_url: "demo:".into(),
        proxy: Proxy::Direct,
        headers: Vec::new(),
        prefix: None,
        priority: 0,
        weight: 1,
        // A fault model must fail the same way every time.
        concurrency: None,
        never_rests: true,
        request_retry: Some(0),
        profile: Arc::new(Profile { name: "demo", ..Profile::claude() }),
        other_base_url: None,
        native: None,
        of_models: Arc::default(),
        websockets: false,
        scope: "demo".into(),
    }
}

/// How the demo's models are listed, and what they can do.
pub fn listed(model: &Model) -> (Listed, Arc<Caps>) {
    const LEVELS: &[Level] = &[Level::Low, Level::Medium, Level::High];
    let reasoning = if model.name == "demo-think" {
        ReasoningCaps::ClaudeAdaptive {
            levels: LEVELS,
            default: AdaptiveDefault::On,
            limits_disabled_effort: false,
        }
    } else {
        ReasoningCaps::None
    };
    let caps = Caps {
        context_window: Some(200_000),
        max_output: Some(64_000),
        reasoning,
        has_mid_system: true,
        is_known: true,
        ..Caps::unknown()
    };
    let listed = Listed {
        id: model.name.into(),
        owned_by: "demo".into(),
        created: Some(1_767_225_600),
        display_name: Some(model.about.into()),
        input_limit: Some(200_000),
        output_limit: Some(64_000),
    };
    (listed, Arc::new(caps))
}

#[derive(Debug)]
pub(super) struct Demo;

impl Provider for Demo {
    fn prepare(&self, job: Job<'_>, _credential: &Credential) -> Result<Outgoing, Failure> {
        if let Some(refusal) = refusal(job.model) {
            return Ok(refusal);
        }
        let read = if job.operation == Operation::CountTokens {
            claude::decode_count_request
        } else {
            claude::decode_request
        };
        let request = read(&job.body.whole()).map_err(Failure::client)?;
        match job.operation {
            Operation::Compact => Err(not_offered("compaction")),
            other if !other.is_conversation() => Err(not_offered(other.noun())),
            Operation::CountTokens => {
                let tokens = script::words_of(&request);
                Ok(whole(format!("{{\"input_tokens\":{tokens}}}").into()))
            }
            _ => {
                if job.model == "demo-html" {
                    let page = Bytes::from_static(b"<html><body><h1>It works!</h1></body></html>");
                    return Ok(local(StatusCode::OK, "text/html", page, LocalEnding::Complete));
                }
                let script = script::Script::of(job.model, &request);
                let context = ClientContext {
                    requested_model: job.model.into(),
                    echoes_requested_model: true,
                    show: Show::Summary(Summary::Auto),
                    ..ClientContext::new(&request, cliproxy_wire::id::hex("demo_", 24, &[script.seed()]), 0)
                };
                if job.operation == Operation::Stream {
                    Ok(stream(&script, context))
                } else {
                    Ok(body(&script, &context))
                }
            }
        }
    }
}

fn stream(script: &script::Script, context: ClientContext) -> Outgoing {
    let mut encoder = format::stream_encoder(Format::Claude, context);
    let mut pieces = Vec::new();
    for (pause, event) in script.events() {
        let mut out = Vec::new();
        encoder.event(event, &mut out);
        if !out.is_empty() {
            pieces.push((pause, Bytes::from(out)));
        }
    }
    if script.is_garbage() {
        let noise =
            Bytes::from_static(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\n\n");
        pieces.truncate(3);
        pieces.extend(std::iter::repeat_n((Duration::from_millis(20), noise), 4));
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Outgoing::Local { status: StatusCode::OK, headers, body: Local::new(pieces, script.ending()) }
}

fn body(script: &script::Script, context: &ClientContext) -> Outgoing {
    let mut fold = cliproxy_wire::model::fold::Fold::default();
    for (_, event) in script.events() {
        if let Event::Error(fault) = event {
            let (status, body) = cliproxy_wire::fault::encode(Format::Claude, &fault, &context.request_id);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return local(status, "application/json", body.into(), LocalEnding::Complete);
        }
        fold.event(event);
    }
    let text = fold
        .finish()
        .map(|response| format::encode_response(Format::Claude, &response, context))
        .unwrap_or_default();
    if script.is_garbage() {
        return whole(Bytes::from_static(b"{\"type\":\"message\",\"content\":["));
    }
    match script.ending() {
        LocalEnding::Complete => whole(text.into()),
        ending => local(StatusCode::OK, "application/json", Bytes::from(text).split_to(24), ending),
    }
}

fn whole(body: Bytes) -> Outgoing {
    local(StatusCode::OK, "application/json", body, LocalEnding::Complete)
}

fn local(status: StatusCode, content_type: &'static str, body: Bytes, ending: LocalEnding) -> Outgoing {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Outgoing::Local { status, headers, body: Local::new(vec![(Duration::from_millis(5), body)], ending) }
}

/// The refusals of the fault models.
fn refusal(model: &str) -> Option<Outgoing> {
    let fault = match model {
        "demo-401" => Fault::new(FaultKind::Authentication, "demo: this model always refuses its credential"),
        "demo-429" => Fault {
            retry_after: Some(Duration::from_secs(2)),
            ..Fault::new(FaultKind::RateLimit, "demo: this model is always rate limited")
        },
        "demo-500" => Fault::new(FaultKind::Api, "demo: this model always fails"),
        "demo-529" => Fault::new(FaultKind::Overloaded, "demo: this model is always overloaded"),
        _ => return None,
    };
    let (status, body) = cliproxy_wire::fault::encode(Format::Claude, &fault, "req_demo");
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("request-id"), HeaderValue::from_static("req_demo"));
    if let Some(wait) = fault.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Local::new(vec![(Duration::from_millis(5), body.into())], LocalEnding::Complete);
    Some(Outgoing::Local { status, headers, body })
}
