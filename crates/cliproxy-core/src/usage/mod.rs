//! What a request cost and how it went: one record per request, handed to the sinks when the answer ends or is dropped.
//!
//! The record is made here because only the engine sees attempts, credential and bytes; keeping it is the sinks'
//! business: the log, and the [ledger](Ledger) that survives restarts.

mod journal;
mod ledger;
mod panel;
mod price;
mod row;
mod sum;

pub use ledger::{Bounds, Ledger, LedgerError};
pub use panel::Statistics;
pub use price::{Price, Prices};
pub use row::Row;
pub use sum::{By, Span, Totals};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::model::Usage;

use crate::credential::CredentialId;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer was delivered to its end.
    Complete,
    /// The answer ended with an error, before or inside the stream.
    Failed,
    /// The client went away.
    Cancelled,
}

impl Outcome {
    /// A word for records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Record {
    /// The request's id.
    pub request_id: Arc<str>,
    /// When it came, in Unix seconds.
    pub at: u64,
    /// The client key's name, if keys are configured; never the key itself.
    pub client: Option<Arc<str>>,
    /// The client's format.
    pub format: Format,
    /// The model as the client wrote it.
    pub requested_model: Arc<str>,
    /// The model's name at the upstream.
    pub upstream_model: Option<Arc<str>>,
    /// The provider.
    pub provider: Option<Arc<str>>,
    /// The credential.
    pub credential: Option<CredentialId>,
    /// How the answer was carried: `passthrough`, `patch` or `translate`.
    pub lane: &'static str,
    /// Attempts made.
    pub attempts: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Token counts, as far as they passed.
    pub usage: Usage,
    /// Until the first byte of content.
    pub first_byte: Option<Duration>,
    /// Until the end.
    pub total: Duration,
    /// What it cost, by the configured prices.
    pub cost: Option<f64>,
    /// Which price table that was.
    pub prices: Option<Arc<str>>,
    /// The configuration wants requests to be kept.
    pub is_kept: bool,
}

/// Takes records. Called when an answer ends, on the task that polls it: it must not block.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Takes one.
    fn record(&self, record: &Record);
}

/// Writes records to the log and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSink;

impl Sink for LogSink {
    fn record(&self, record: &Record) {
        tracing::info!(
            request_id = %record.request_id,
            format = record.format.name(),
            model = %record.requested_model,
            upstream_model = record.upstream_model.as_deref(),
            provider = record.provider.as_deref(),
            credential = record.credential.as_ref().map(CredentialId::as_str),
            lane = record.lane,
            attempts = record.attempts,
            outcome = ?record.outcome,
            input_tokens = record.usage.input,
            output_tokens = record.usage.output,
            total_ms = u64::try_from(record.total.as_millis()).unwrap_or(u64::MAX),
            "request served"
        );
    }
}
