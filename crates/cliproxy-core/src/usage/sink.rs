//! Those who are told of requests: of each one when it ends, and of its stations on the way if they want to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::model::Usage;
use http::HeaderValue;

use super::{Record, Ticket};
use crate::credential::CredentialId;

/// Takes records. Called on the task that polls an answer: it must not block.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Takes one, when an answer ends or is dropped.
    fn record(&self, record: &Record);

    /// Takes what is known of one on its way whose record is to be kept, when somebody is asked, in case the process is
    /// killed.
    fn note(&self, _record: &Record) {}

    /// The same when the upstream has told more of what it bills, and before the client hears of it.
    fn note_usage(&self, _record: &Record) {}

    /// Takes an attempt that has ended. The last one of a request that is answered comes before its record.
    fn attempted(&self, _attempted: &Attempted<'_>) {}

    /// Takes one that was turned away before anybody was asked.
    fn rejected(&self, _rejected: &Rejected<'_>) {}

    /// Whether it wants to be told of what happens before. Asked with every piece of every answer.
    fn is_watching(&self) -> bool {
        false
    }

    /// Something happened to a request on its way. Told only while [`is_watching`](Self::is_watching).
    fn happened(&self, _happening: &Happening<'_>) {}
}

/// A station of a request on its way.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// It was read and is for a known model.
    Started {
        /// The request's id.
        request_id: &'a Arc<str>,
        /// When it came, in Unix seconds.
        at: u64,
        /// The client key's name.
        client: Option<&'a Arc<str>>,
        /// The client's format.
        format: Format,
        /// The model as the client wrote it.
        model: &'a str,
        /// The client wants a stream.
        is_stream: bool,
    },
    /// A credential is asked.
    Attempted {
        /// The request's id.
        request_id: &'a Arc<str>,
        /// The how manieth attempt it is, from 1.
        number: u32,
        /// The provider.
        provider: &'a str,
        /// The credential.
        credential: &'a CredentialId,
        /// The model's name at the upstream.
        upstream_model: &'a str,
    },
    /// The answer's stream has begun.
    Streaming {
        /// The request's id.
        request_id: &'a Arc<str>,
        /// Until the first byte of content.
        first_byte: Duration,
        /// How the answer is carried.
        lane: &'static str,
    },
    /// More of the stream has passed. Told at a pace, not for every piece.
    Progressed {
        /// The request's id.
        request_id: &'a Arc<str>,
        /// Since the request came.
        elapsed: Duration,
        /// Bytes that went to the client.
        bytes: u64,
        /// Token counts, as far as they passed.
        usage: &'a Usage,
    },
}

/// One request to one credential, at its end.
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    /// What is known of the request; as many attempts as it has made, the how manieth this is.
    pub record: &'a Record,
    /// From its beginning to the end of the upstream's answer.
    pub lasted: Duration,
    /// The status that the upstream answered with, if it did.
    pub status: Option<u16>,
    /// What was wrong, if something was.
    pub error: Option<Kind>,
}

/// A request that was turned away before anybody was asked. It cost nothing and leaves no [`Record`].
#[derive(Clone, Copy, Debug)]
pub struct Rejected<'a> {
    /// The request's id, as the answer says it.
    pub request_id: &'a str,
    /// The client key's name.
    pub client: Option<&'a Arc<str>>,
    /// What the client says of the trace that this is part of: its header `traceparent`.
    pub parent: Option<&'a HeaderValue>,
    /// The client's format.
    pub format: Format,
    /// It was let in: by its key, or because none is asked for.
    pub is_admitted: bool,
    /// What the client is told.
    pub fault: &'a Fault,
}

/// Writes records to the log and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSink;

impl Sink for LogSink {
    fn record(&self, record: &Record) {
        tracing::info!(
            request_id = &*record.request_id,
            format = record.format.name(),
            model = &*record.requested_model,
            upstream_model = record.upstream_model.as_deref(),
            provider = record.provider.as_deref(),
            credential = record.credential.as_ref().map(CredentialId::as_str),
            lane = record.lane,
            attempts = record.attempts,
            outcome = record.outcome.shown(),
            input_tokens = record.usage.input,
            output_tokens = record.usage.output,
            total_ms = u64::try_from(record.total.as_millis()).unwrap_or(u64::MAX),
            "request served"
        );
    }

    fn rejected(&self, rejected: &Rejected<'_>) {
        tracing::info!(
            request_id = rejected.request_id,
            format = rejected.format.name(),
            client = rejected.client.map(AsRef::as_ref),
            kind = ?rejected.fault.kind,
            "request refused: {}",
            rejected.fault.message
        );
    }
}

/// All who are told.
#[derive(Debug)]
pub(crate) struct Sinks {
    all: Vec<Box<dyn Sink>>,
    /// Requests so far.
    count: AtomicU64,
}

impl Sinks {
    pub(crate) fn new(all: Vec<Box<dyn Sink>>) -> Self {
        Self { all, count: AtomicU64::new(0) }
    }

    /// A ticket for a further request.
    pub(crate) fn ticket(&self, is_kept: bool) -> Arc<Ticket> {
        Arc::new(Ticket::new(self.count.fetch_add(1, Ordering::Relaxed), is_kept))
    }

    /// Whether somebody wants to know of requests on their way.
    pub(crate) fn is_watched(&self) -> bool {
        self.all.iter().any(|sink| sink.is_watching())
    }

    /// Tells those who watch what happened; costs next to nothing where nobody does.
    pub(crate) fn tell<'h>(&self, happening: impl FnOnce() -> Option<Happening<'h>>) {
        if !self.is_watched() {
            return;
        }
        let Some(happening) = happening() else { return };
        for sink in self.all.iter().filter(|sink| sink.is_watching()) {
            sink.happened(&happening);
        }
    }

    /// Tells everybody what is known of a request on its way.
    pub(crate) fn note(&self, record: &Record) {
        for sink in &self.all {
            sink.note(record);
        }
    }

    /// Tells everybody what the upstream has told of a bill.
    pub(crate) fn note_usage(&self, record: &Record) {
        for sink in &self.all {
            sink.note_usage(record);
        }
    }

    /// Tells everybody how an attempt ended.
    pub(crate) fn attempted(&self, attempted: &Attempted<'_>) {
        for sink in &self.all {
            sink.attempted(attempted);
        }
    }

    /// Tells everybody of a request that was turned away.
    pub(crate) fn reject(&self, rejected: &Rejected<'_>) {
        for sink in &self.all {
            sink.rejected(rejected);
        }
    }

    /// Tells everybody how a request ended.
    pub(crate) fn record(&self, record: &Record) {
        for sink in &self.all {
            sink.record(record);
        }
    }
}
