//! Opening a call: finding out what it asks, of which model, and whether its key may.
//!
//! Nothing is asked of anybody here, so a client hears at once of a body that is no request or a model that is not
//! known.

use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json::Body;
use cliproxy_wire::lane::{self, Peek};
use cliproxy_wire::model::Mode;
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::{Error, Format, image};
use tokio::time::Instant;

use super::job::{Call, Job, Peeked};
use super::underway::wants_record;
use super::{Engine, single};
use crate::access::allowance::Allowance;
use crate::credential::affinity::{self, Session};
use crate::failure::Failure;
use crate::provider::Operation;
use crate::snapshot::Snapshot;
use crate::usage::{Rejected, Ticket};

/// A call that is known to be for a known model, and not yet served.
#[derive(Debug)]
pub struct Opened(pub(super) Box<Job>);

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

/// What is known of a call once its body was looked at.
struct Read {
    snapshot: Arc<Snapshot>,
    peeked: Peeked,
    requested: Arc<str>,
    model: Arc<str>,
    suffix: Option<Mode>,
    session: Option<Session>,
    body: Body,
}

impl Read {
    fn into_job(self, call: Call, ticket: Arc<Ticket>, schemas: Arc<Cleaned>) -> Job {
        let Self { snapshot, peeked, requested, model, suffix, session, body } = self;
        let started = Instant::now();
        let images = image::Wish::default();
        Job {
            call,
            ticket,
            schemas,
            snapshot,
            peeked,
            requested,
            model,
            suffix,
            session,
            body,
            request: None,
            read: Vec::new(),
            images,
            counting: None,
            pays: false,
            started,
        }
    }
}

impl Engine {
    /// Finds out what a call is about.
    ///
    /// # Errors
    /// A body that is no request, or a model that is not known.
    pub fn open(&self, mut call: Call) -> Result<Opened, Failure> {
        match self.read(&mut call) {
            Ok(read) => {
                let is_kept = wants_record(&read.snapshot, call.operation, call.client.as_ref());
                let ticket = self.0.sinks.ticket(is_kept);
                Ok(Opened(Box::new(read.into_job(call, ticket, Arc::clone(&self.0.schemas)))))
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

    /// Reads what decides where a call goes.
    fn read(&self, call: &mut Call) -> Result<Read, Failure> {
        let snapshot = self.snapshot();
        // A byte order mark is borne and not passed on: to most upstreams it is a syntax error.
        if call.body.starts_with(b"\xEF\xBB\xBF") {
            call.body = call.body.slice(3..);
        }
        let parts = single::form_of(call)?;
        let body = if parts.is_some() { Ok(Body::from(&call.body)) } else { Body::shared(&call.body) };
        let body = body.map_err(Failure::client)?;
        let peek = match &parts {
            Some(parts) => Peek::of_form(parts),
            None => lane::peek_text(call.format, body.text().map_err(Failure::client)?)
                .map_err(Failure::client)?,
        };
        if call.operation == Operation::Generate && peek.is_stream && call.format != Format::Gemini {
            call.operation = Operation::Stream;
        }
        if call.operation == Operation::Compact && peek.is_stream {
            let message = "a conversation is compacted in one piece; leave this member out";
            return Err(Failure::client(Error::invalid("stream", message)));
        }
        if call.is_enveloped && !peek.is_enveloped {
            return Err(Failure::client(Error::missing("request").seen_in(&call.body)));
        }
        let named = call.path_model.as_deref().or(peek.model.as_deref()).map(str::trim).unwrap_or_default();
        if named.is_empty() {
            return Err(Failure::client(Error::missing("model").seen_in(&call.body)));
        }
        let requested: Arc<str> = named.into();
        let Some(resolved) = snapshot.routes.resolve(&requested) else {
            let allowance = call.allowance.as_deref();
            return Err(Failure::client(unknown_model(&requested, &snapshot, allowance)));
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
            is_responses_shape: peek.is_responses_shape,
            is_form: parts.is_some(),
            is_stream: peek.is_stream,
            n_choices: peek.n_choices,
            model: peek.model,
            model_at: peek.model_at,
        };
        Ok(Read { snapshot, peeked, requested, model, suffix, session, body })
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
            fault.retry_after = Some(Duration::from_secs(exceeded.wait));
            Failure::gateway(fault)
        })
    }
}

pub(super) fn unknown_model(requested: &str, snapshot: &Snapshot, allowance: Option<&Allowance>) -> Fault {
    let shown: String = requested.chars().take(120).collect();
    let nearest = snapshot.routes.nearest(requested, |name| snapshot.allows(allowance, name));
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
