//! Answers: a status, headers, and a body that is whole or polled.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, Sleep};

use super::attempt::Attempt;
use super::pipe::{LONGEST_FRAME, Pipe};
use super::verdict::judge_late;
use super::{Engine, Job};
use crate::credential::{Credential, Lease};
use crate::failure::{Failure, Origin, Retry};
use crate::upstream::UpstreamBody;
use crate::usage::{Attempted, Happening, Outcome, Record};

/// What a client gets.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers, content type included.
    pub headers: HeaderMap,
    /// Body.
    pub body: AnswerBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// In one piece.
    Whole(Bytes),
    /// As it comes. Errors are said inside, in the client's format.
    Stream(Box<AnswerStream>),
}

/// A stream that has begun. Dropping it cancels the upstream request.
pub struct AnswerStream {
    upstream: Option<UpstreamBody>,
    pipe: Pipe,
    format: Format,
    ready: std::collections::VecDeque<Bytes>,
    /// Scratch space of one poll.
    out: Vec<Bytes>,
    idle: Option<Duration>,
    heartbeat: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    last_read: Instant,
    last_write: Instant,
    /// What came from the upstream.
    received: usize,
    /// What went to the client, and when those who watch were told last.
    sent: u64,
    told: Instant,
    closing: Closing,
}

/// Longest stream without a beginning: two events may be so long that they hold each a whole image.
const LONGEST_BEGINNING: usize = 2 * LONGEST_FRAME;
/// How often those who watch are told of a stream that goes on.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// What is recorded when a stream ends or is dropped.
pub(super) struct Closing {
    engine: Engine,
    credential: Arc<Credential>,
    lease: Option<Arc<Lease>>,
    /// Apart, because it is large and what closes an answer is handed from one to the next.
    record: Option<Box<Record>>,
    cooling: crate::credential::Cooling,
    may_renew: bool,
    started: Instant,
    asked: Instant,
    /// What the upstream answered with.
    status: Option<u16>,
    now: fn() -> u64,
}

impl Closing {
    pub(super) fn new(engine: &Engine, job: &Job, attempt: &Attempt<'_>, lease: Arc<Lease>) -> Self {
        let offer = attempt.offer;
        let mut cooling = job.snapshot.cooling;
        cooling.is_disabled |= offer.credential.never_rests;
        Self {
            engine: engine.clone(),
            credential: Arc::clone(&offer.credential),
            lease: Some(lease),
            record: Some(Box::new(Record {
                upstream_model: Some(Arc::clone(&offer.upstream)),
                provider: Some(Arc::clone(&offer.credential.provider)),
                credential: Some(offer.credential.id.clone()),
                lane: "translate",
                attempts: attempt.number,
                ..job.record()
            })),
            cooling,
            may_renew: attempt.may_renew,
            started: job.started,
            asked: Instant::now(),
            status: None,
            now: job.call.now,
        }
    }

    /// The head of the upstream's answer is there.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status.as_u16());
    }

    fn tell_end(&self, record: &Record, now: Instant, status: Option<u16>, error: Option<Kind>) {
        self.engine.attempted(&Attempted { record, lasted: now - self.asked, status, error });
    }

    pub(super) fn set_lane(&mut self, lane: &'static str) {
        if let Some(record) = &mut self.record {
            record.lane = lane;
        }
    }

    /// Notes what is known so far, in case the process ends before the request does.
    pub(super) fn note(&mut self) {
        if let Some(record) = self.record.as_mut().filter(|record| record.ticket.is_kept()) {
            record.total = self.started.elapsed();
            self.engine.note(record);
        }
    }

    /// Notes what the answer cost so far, before a client hears of it.
    fn note_usage(&mut self, pipe: &Pipe) {
        let Some(record) = self.record.as_mut().filter(|record| record.ticket.is_kept()) else { return };
        let usage = pipe.usage();
        if usage != record.usage {
            record.usage = usage;
            record.total = self.started.elapsed();
            self.engine.note_usage(record);
        }
    }

    /// The answer has begun: whatever was held against the credential is over.
    pub(super) fn begun(&mut self) {
        if let Some(lease) = &self.lease {
            lease.succeed();
        }
        if let Some(record) = &mut self.record {
            record.first_byte = Some(self.started.elapsed());
        }
    }

    /// The answer ended with an error after it had begun.
    fn fail_late(&mut self, fault: &Fault) {
        if let Some(record) = &mut self.record {
            record.error = Some(fault.kind);
            tracing::warn!(request_id = %record.request_id, kind = ?fault.kind, "answer ended with an error: {}", fault.message);
        }
        if let Some(lease) = self.lease.take() {
            lease.count(false, (self.now)());
            lease.fail(&judge_late(&self.credential, fault, (self.now)()), self.cooling, Instant::now());
        }
    }

    /// The end, good or bad.
    pub(super) fn close(&mut self, outcome: Outcome, usage: cliproxy_wire::model::Usage) {
        let lease = self.lease.take();
        let Some(mut record) = self.record.take() else { return };
        if let Some(lease) = lease.filter(|_| record.first_byte.is_some()) {
            lease.count(true, (self.now)());
        }
        record.outcome = outcome;
        record.usage = usage;
        let now = Instant::now();
        record.total = now - self.started;
        self.tell_end(&record, now, self.status, record.error);
        self.engine.record(&mut record);
    }

    /// Moves the content out and leaves nothing to be recorded behind.
    fn take(&mut self) -> Self {
        Self {
            engine: self.engine.clone(),
            credential: Arc::clone(&self.credential),
            lease: self.lease.take(),
            record: self.record.take(),
            cooling: self.cooling,
            may_renew: self.may_renew,
            started: self.started,
            asked: self.asked,
            status: self.status,
            now: self.now,
        }
    }

    /// Tells those who watch that the stream has begun.
    fn tell_begun(&self, lane: &'static str) {
        self.engine.tell(|| {
            let record = self.record.as_ref()?;
            let first_byte = record.first_byte?;
            Some(Happening::Streaming { request_id: &record.request_id, first_byte, lane })
        });
    }

    /// Tells those who watch how far the stream is.
    fn tell_progress(&self, bytes: u64, usage: &cliproxy_wire::model::Usage) {
        self.engine.tell(|| {
            let request_id = &self.record.as_ref()?.request_id;
            Some(Happening::Progressed { request_id, elapsed: self.started.elapsed(), bytes, usage })
        });
    }

    /// The attempt failed before anything was said: no record, the engine goes on with the failure.
    pub(super) fn fail(mut self, failure: Failure) -> Failure {
        if let Some(mut record) = self.record.take() {
            let fault = failure.fault();
            record.outcome = Outcome::Failed;
            // A fault of the gateway's own may have a status, too.
            let told = fault.status.filter(|_| failure.origin() == Origin::Upstream);
            self.tell_end(&record, Instant::now(), told.or(self.status), Some(fault.kind));
        }
        let is_held_back = self.may_renew && failure.is_unauthorized();
        if let Some(lease) = self.lease.take().filter(|_| !is_held_back) {
            // A request that is wrong says nothing about whom it was sent to.
            if failure.retry() != Retry::Never {
                lease.count(false, (self.now)());
            }
            lease.fail(&failure, self.cooling, Instant::now());
        }
        failure
    }
}

impl Drop for Closing {
    /// The client went while its answer was waited for. The upstream may bill what it was asked.
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            let usage = std::mem::take(&mut record.usage);
            self.close(Outcome::Cancelled, usage);
        }
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerStream")
    }
}

impl AnswerStream {
    pub(super) fn new(
        upstream: UpstreamBody,
        pipe: Pipe,
        format: Format,
        idle: Option<Duration>,
        heartbeat: Option<Duration>,
        closing: Closing,
    ) -> Self {
        let now = Instant::now();
        Self {
            upstream: Some(upstream),
            pipe,
            format,
            // A read nearly always makes one piece.
            ready: std::collections::VecDeque::with_capacity(1),
            out: Vec::with_capacity(1),
            idle,
            heartbeat,
            timer: None,
            last_read: now,
            last_write: now,
            received: 0,
            sent: 0,
            told: now,
            closing,
        }
    }

    /// Waits until the answer has begun, or has failed without having begun.
    ///
    /// # Errors
    /// The fault that came instead of an answer, with what is to be closed.
    pub(super) async fn begin(mut self: Box<Self>) -> Result<Box<Self>, (Fault, Closing)> {
        let heartbeat = self.heartbeat.take();
        std::future::poll_fn(|context| {
            while !self.pipe.has_begun() && self.pipe.fault().is_none() && self.upstream.is_some() {
                std::task::ready!(self.poll_upstream(context));
                // Until then everything is held.
                if self.received > LONGEST_BEGINNING && !self.pipe.has_begun() {
                    let message = "the upstream's answer does not begin within what the gateway accepts";
                    self.end(Some(Fault::new(Kind::BadUpstream, message)));
                }
            }
            Poll::Ready(())
        })
        .await;
        if !self.pipe.has_begun()
            && let Some(fault) = self.pipe.fault().cloned()
        {
            return Err((fault, self.closing.take()));
        }
        self.heartbeat = heartbeat;
        self.timer = None;
        self.last_write = Instant::now();
        self.closing.set_lane(self.pipe.lane());
        self.closing.begun();
        self.closing.tell_begun(self.pipe.lane());
        Ok(self)
    }

    /// Reads once from the upstream, or notices that it has been silent for too long.
    fn poll_upstream(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(()) };
        match upstream.poll_chunk(context) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.last_read = Instant::now();
                self.received = self.received.saturating_add(bytes.len());
                self.pipe.push(bytes, &mut self.out);
                if self.pipe.is_over() {
                    self.upstream = None;
                }
            }
            Poll::Ready(Some(Err(message))) => {
                let fault = Fault::new(Kind::BadUpstream, message).with_code("upstream_truncated");
                self.end(Some(fault));
            }
            Poll::Ready(None) => self.end(None),
            Poll::Pending => return self.poll_silence(context),
        }
        self.closing.note_usage(&self.pipe);
        self.ready.extend(self.out.drain(..));
        Poll::Ready(())
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let idle_at = self.idle.map(|limit| self.last_read + limit);
            let beat_at = self.heartbeat.map(|every| self.last_write.max(self.last_read) + every);
            let Some(at) = idle_at.into_iter().chain(beat_at).min() else { return Poll::Pending };
            // The timer is set once and checked when it fires, instead of being moved with every chunk.
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            let now = Instant::now();
            if idle_at.is_some_and(|at| at <= now) {
                let limit = self.idle.unwrap_or_default();
                let message = format!("the upstream sent nothing for {} s", limit.as_secs_f32());
                self.end(Some(Fault::new(Kind::Timeout, message)));
                self.ready.extend(self.out.drain(..));
                return Poll::Ready(());
            }
            if beat_at.is_some_and(|at| at <= now) {
                let beat = self.pipe.keep_alive(self.format);
                self.last_write = now;
                if !beat.is_empty() {
                    self.ready.push_back(beat);
                    return Poll::Ready(());
                }
            }
        }
    }

    fn end(&mut self, broken: Option<Fault>) {
        self.upstream = None;
        self.pipe.finish(broken, &mut self.out);
    }

    /// Nothing more goes to the client.
    fn close(&mut self) {
        let outcome = match self.pipe.fault() {
            Some(fault) => {
                let fault = fault.clone();
                self.closing.fail_late(&fault);
                Outcome::Failed
            }
            None if self.upstream.is_none() && self.ready.is_empty() => Outcome::Complete,
            None => Outcome::Cancelled,
        };
        let usage = self.pipe.usage();
        self.closing.close(outcome, usage);
    }
}

impl Stream for AnswerStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                // A sign of life is written later than anything was read; else the next one would be due at once.
                self.last_write = self.last_write.max(self.last_read);
                self.sent += bytes.len() as u64;
                if self.last_read.duration_since(self.told) >= TOLD_EVERY && self.closing.engine.is_watched()
                {
                    self.told = self.last_read;
                    self.closing.tell_progress(self.sent, &self.pipe.usage());
                }
                return Poll::Ready(Some(bytes));
            }
            if self.upstream.is_none() {
                self.close();
                return Poll::Ready(None);
            }
            std::task::ready!(self.poll_upstream(context));
        }
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        self.close();
    }
}
