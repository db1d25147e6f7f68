//! What a request cost and how it went: one record per request, handed to the sinks when the answer ends or is dropped.
//!
//! The record is made here because only the engine sees attempts, credential and bytes; keeping it is the sinks'
//! business: the log, the [ledger](Ledger) that survives restarts, the [queue](Queue) that panels empty, and whoever
//! [watches](Live).

pub mod csv;
mod exchange;
mod import;
mod journal;
pub(crate) mod ledger;
mod live;
mod note;
mod panel;
mod price;
mod queue;
mod row;
mod series;
mod sink;
mod sum;
mod ticket;
mod walk;

pub use exchange::Export;
pub use import::{Exported, Imported, NotImported};
pub use ledger::{Bounds, Ledger, LedgerError};
pub use live::{Frame, Live, Watcher};
pub use panel::{ShortIds, Statistics};
pub use price::{Price, Prices};
pub use queue::{Queue, Queued};
pub use row::Row;
pub use series::{Cursor, Line, Series, Steps};
pub(crate) use sink::Sinks;
pub use sink::{Attempted, Happening, LogSink, Rejected, Sink};
pub use sum::{By, Span, Totals, Used};
pub use ticket::Ticket;

use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::fault::Kind;
use cliproxy_wire::model::Usage;

use crate::credential::CredentialId;
use crate::provider::Operation;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer was delivered to its end.
    Complete,
    /// The answer ended with an error, before or inside the stream.
    Failed,
    /// The client went away.
    Cancelled,
    /// The process was killed while the request was on its way.
    Killed,
}

impl Outcome {
    /// A word for records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Killed => "killed",
        }
    }

    /// The word for the log.
    fn shown(self) -> &'static str {
        match self {
            Self::Complete => "Complete",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Killed => "Killed",
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Record {
    /// The request, as sinks tell it from others.
    pub ticket: Arc<Ticket>,
    /// The request's id.
    pub request_id: Arc<str>,
    /// When it came, in Unix seconds.
    pub at: u64,
    /// The client key's name, if keys are configured; never the key itself.
    pub client: Option<Arc<str>>,
    /// What the client says of the trace that this is part of: its header `traceparent`.
    pub parent: Option<http::HeaderValue>,
    /// The client's format.
    pub format: Format,
    /// What is asked.
    pub operation: Operation,
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
    /// What was wrong where it failed.
    pub error: Option<Kind>,
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
