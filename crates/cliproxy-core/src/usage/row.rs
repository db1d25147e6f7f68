//! One request as it is kept: what a [`Record`] says, in words and numbers that outlive the program's version.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Outcome, Record};

/// One request of the ledger. Times are in Unix seconds, durations in milliseconds, costs in the currency of the
/// configured prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Distinguishes rows, over restarts too.
    pub key: String,
    /// The request's id, as in logs and answers.
    pub request_id: String,
    /// When the request came.
    pub at: u64,
    /// Name of the client key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The client's format.
    pub format: String,
    /// The model as the client wrote it.
    pub requested_model: String,
    /// The model at the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_model: Option<String>,
    /// The provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// How the answer was carried.
    pub lane: String,
    /// Attempts made.
    pub attempts: u32,
    /// How it ended: `complete`, `failed`, `cancelled` by the client, or `killed` with the process.
    pub outcome: String,
    /// Tokens read, those from a cache included.
    pub input: u64,
    /// Tokens written, reasoning included.
    pub output: u64,
    /// Part of `output` that was reasoning.
    pub reasoning: u64,
    /// Part of `input` that was read from a cache.
    pub cache_read: u64,
    /// Part of `input` that was written to a cache.
    pub cache_write: u64,
    /// The counts are the gateway's own estimate.
    pub is_estimated: bool,
    /// Until the first byte of content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<u64>,
    /// Until the end.
    pub total: u64,
    /// What it cost; absent when no price is configured for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Fingerprint of the price table that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<String>,
}

impl Row {
    pub(super) fn new(key: String, record: &Record) -> Self {
        let usage = &record.usage;
        let text = |text: &std::sync::Arc<str>| text.as_ref().to_owned();
        Self {
            key,
            request_id: text(&record.request_id),
            at: record.at,
            client: record.client.as_ref().map(text),
            format: record.format.name().to_owned(),
            requested_model: text(&record.requested_model),
            upstream_model: record.upstream_model.as_ref().map(text),
            provider: record.provider.as_ref().map(text),
            credential: record.credential.as_ref().map(|id| id.as_str().to_owned()),
            lane: record.lane.to_owned(),
            attempts: record.attempts,
            outcome: record.outcome.word().to_owned(),
            input: usage.input.unwrap_or_default(),
            output: usage.output.unwrap_or_default(),
            reasoning: usage.reasoning.unwrap_or_default(),
            cache_read: usage.cache_read.unwrap_or_default(),
            cache_write: usage.cache_write.unwrap_or_default(),
            is_estimated: usage.is_estimated,
            first_byte: record.first_byte.map(milliseconds),
            total: milliseconds(record.total),
            cost: record.cost,
            prices: record.cost.and(record.prices.as_ref()).map(text),
        }
    }

    /// The number of its request in the process that served it.
    pub(super) fn number(&self) -> Option<u64> {
        self.key.rsplit('-').next()?.parse().ok()
    }

    /// Where a list goes on behind it.
    pub fn cursor(&self) -> super::Cursor {
        super::Cursor { at: self.at, key: self.key.clone() }
    }

    /// Whether its client was left without an answer, as panels that know no more than that count it.
    pub fn is_failed(&self) -> bool {
        [Outcome::Failed, Outcome::Killed].iter().any(|outcome| self.outcome == outcome.word())
    }
}

/// A duration as rows have it.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
