//! Requests on their way: what the sinks are told of them, and that each leaves one record, however it ends.
//!
//! What an attempt knows is recorded by whoever closes it ([`Closing`](super::answer::Closing)); what is left for here are
//! requests that end without an answer: nobody could serve them, or their client went before.

use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::fault::Kind;
use cliproxy_wire::model::Usage;

use super::{Answer, Engine, Job};
use crate::failure::Failure;
use crate::provider::Operation;
use crate::snapshot::Snapshot;
use crate::usage::{Attempted, Happening, Outcome, Record, Rejected};

/// More tokens than any request has. Sums of thousands of them can be told, so that an upstream that counts nonsense does
/// not take the sums of all others with it.
const MOST_TOKENS: u64 = 1 << 50;

/// A call that is being served. When it is dropped before it has ended, its client has gone.
pub(super) struct Underway<'e> {
    engine: &'e Engine,
    job: Box<Job>,
    attempts: u32,
    has_ended: bool,
}

impl<'e> Underway<'e> {
    pub(super) fn new(engine: &'e Engine, job: Box<Job>) -> Self {
        engine.tell(|| Some(job.started()));
        Self { engine, job, attempts: 0, has_ended: false }
    }

    /// The call, and how many attempts were made.
    pub(super) fn parts(&mut self) -> (&mut Job, &mut u32) {
        (&mut self.job, &mut self.attempts)
    }

    /// What is served is recorded when the answer ends, the others now.
    pub(super) fn end(mut self, result: Result<Answer, Failure>) -> Result<Answer, Failure> {
        self.has_ended = true;
        if result.is_ok() && self.job.call.operation == Operation::CountTokens {
            self.record(Outcome::Complete, None);
        }
        result.map_err(|failure| {
            let failure = failure.for_client().after_attempts(self.attempts);
            tracing::warn!(
                request_id = %self.job.call.request_id,
                model = %self.job.requested,
                attempts = self.attempts,
                kind = ?failure.fault().kind,
                origin = ?failure.origin(),
                detail = failure.detail(),
                "request failed: {failure}"
            );
            self.record(Outcome::Failed, Some(failure.fault().kind));
            let call = &mut self.job.call;
            failure.with_request(std::mem::take(&mut call.headers), std::mem::take(&mut call.body))
        })
    }

    fn record(&self, outcome: Outcome, error: Option<Kind>) {
        let job = &self.job;
        if job.ticket.is_closed() {
            return;
        }
        let counting = job.counting.as_ref();
        self.engine.record(&mut Record {
            upstream_model: counting.map(|asked| Arc::clone(&asked.upstream_model)),
            provider: counting.map(|asked| Arc::clone(&asked.credential.provider)),
            credential: counting.map(|asked| asked.credential.id.clone()),
            attempts: self.attempts,
            outcome,
            error,
            total: job.started.elapsed(),
            ..job.record()
        });
    }
}

impl Job {
    /// What its record says as long as nobody was asked.
    pub(super) fn record(&self) -> Record {
        Record {
            ticket: Arc::clone(&self.ticket),
            request_id: Arc::clone(&self.call.request_id),
            at: self.call.created,
            client: self.call.client.clone(),
            parent: self.call.headers.get("traceparent").cloned(),
            format: self.call.format,
            operation: self.call.operation,
            requested_model: Arc::clone(&self.requested),
            upstream_model: None,
            provider: None,
            credential: None,
            lane: "none",
            attempts: 0,
            outcome: Outcome::Killed,
            error: None,
            usage: Usage::default(),
            first_byte: None,
            total: Duration::ZERO,
            cost: None,
            prices: None,
            is_kept: false,
        }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.record(Outcome::Cancelled, None);
        }
    }
}

/// Whether the configuration wants a request to be kept. Limits are counted from the ledger after a restart, so what they
/// are on is kept in any case; counting tokens costs nothing, and never is.
pub(super) fn wants_record(snapshot: &Snapshot, operation: Operation, client: Option<&Arc<str>>) -> bool {
    operation != Operation::CountTokens
        && (snapshot.settings.usage.is_collected || snapshot.access.is_metered(client))
}

impl Engine {
    /// Whether somebody wants to know of requests on their way.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.sinks.is_watched()
    }

    /// Tells of a request that was turned away before anybody was asked, for those who call the engine.
    pub fn reject(&self, rejected: &Rejected<'_>) {
        self.0.sinks.reject(rejected);
    }

    /// Tells those who watch what happened.
    pub(super) fn tell<'h>(&self, happening: impl FnOnce() -> Option<Happening<'h>>) {
        self.0.sinks.tell(happening);
    }

    /// Tells how an attempt ended.
    pub(super) fn attempted(&self, attempted: &Attempted<'_>) {
        self.0.sinks.attempted(attempted);
    }

    /// Notes what is known of a request on its way, if it is to be kept.
    pub(super) fn note(&self, record: &mut Record) {
        if record.ticket.is_kept() {
            self.appraise(record);
            self.0.sinks.note(record);
        }
    }

    /// Notes what the upstream has told of a bill that is to be kept.
    pub(super) fn note_usage(&self, record: &mut Record) {
        self.appraise(record);
        self.0.sinks.note_usage(record);
    }

    /// Hands a finished request to the sinks, once.
    pub(super) fn record(&self, record: &mut Record) {
        if record.ticket.close() {
            self.appraise(record);
            self.0.meter.record(record);
            self.0.sinks.record(record);
        }
    }

    /// Adds what the configuration says of a request, and believes no count that cannot be.
    fn appraise(&self, record: &mut Record) {
        let snapshot = self.glance();
        let Usage { input, output, reasoning, cache_read, cache_write, .. } = &mut record.usage;
        for count in [input, output, reasoning, cache_read, cache_write].into_iter().flatten() {
            *count = (*count).min(MOST_TOKENS);
        }
        // What was begun is kept, whatever is switched meanwhile: it may be noted.
        record.is_kept =
            record.ticket.is_kept() || wants_record(&snapshot, record.operation, record.client.as_ref());
        if let Some(model) = &record.upstream_model {
            let prices = &snapshot.settings.usage.prices;
            record.cost = prices.cost(model, &record.usage);
            record.prices = prices.fingerprint().cloned();
        }
    }
}
