//! Records that a panel takes away one after the other, for panels that keep their own statistics.
//!
//! A record that nobody takes within the configured time is forgotten, and so is the oldest one when there are too many.
//! Nothing is queued unless usage is collected.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::panel::{ShortIds, Tokens, tokens};
use super::{Record, Row, Sink};
use crate::time::rfc3339;

/// Records at most.
const MOST: usize = 10_000;

/// The records that wait to be taken. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    retention: AtomicU64,
    /// With the time, in Unix seconds, at which it came to its end.
    waiting: Mutex<VecDeque<(u64, Row)>>,
}

/// One request, as panels take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Queued {
    /// When it came, RFC 3339.
    pub timestamp: String,
    /// How long it took.
    pub latency_ms: u64,
    /// The account or key that served it.
    pub source: String,
    /// Its short id.
    pub auth_index: String,
    /// Tokens.
    pub tokens: Tokens,
    /// Whether it failed.
    pub failed: bool,
    /// The provider.
    pub provider: String,
    /// The model at the upstream.
    pub model: String,
    /// The model as the client wrote it.
    pub alias: String,
    /// The client's format.
    pub endpoint: String,
    /// `oauth` for accounts, `api_key` for keys.
    pub auth_type: &'static str,
    /// Name of the client key, never the key.
    pub api_key: String,
    /// The request's id.
    pub request_id: String,
}

impl Queue {
    /// An empty queue that forgets what is older than `retention`.
    pub fn new(retention: Duration) -> Self {
        Self(Arc::new(Inner { retention: AtomicU64::new(retention.as_secs()), waiting: Mutex::default() }))
    }

    /// Changes how long records wait.
    pub fn set_retention(&self, retention: Duration) {
        self.0.retention.store(retention.as_secs(), Ordering::Relaxed);
    }

    /// Takes the oldest `count` records away. `now` is in Unix seconds.
    pub fn take(&self, count: usize, now: u64, ids: &ShortIds) -> Vec<Queued> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget(&mut waiting, now);
        let count = count.min(waiting.len());
        let taken = waiting.drain(..count).map(|(_, row)| queued(row, ids)).collect();
        if waiting.is_empty() {
            waiting.shrink_to_fit();
        }
        taken
    }

    fn forget(&self, waiting: &mut VecDeque<(u64, Row)>, now: u64) {
        let oldest = now.saturating_sub(self.0.retention.load(Ordering::Relaxed));
        while waiting.front().is_some_and(|(ended, _)| *ended < oldest) {
            waiting.pop_front();
        }
    }
}

impl Sink for Queue {
    fn record(&self, record: &Record) {
        if !record.is_kept {
            return;
        }
        let ended = record.at + record.total.as_secs();
        // What panels want of it is made when one takes it: most are never taken.
        let row = Row::new(String::new(), record);
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget(&mut waiting, ended);
        if waiting.len() >= MOST {
            waiting.pop_front();
        }
        waiting.push_back((ended, row));
    }
}

fn queued(row: Row, ids: &ShortIds) -> Queued {
    let source = row.credential.clone().unwrap_or_default();
    Queued {
        timestamp: rfc3339(row.at).unwrap_or_default(),
        latency_ms: row.total,
        auth_index: ids.of(row.credential.as_deref()),
        auth_type: if source.contains(":apikey:") { "api_key" } else { "oauth" },
        tokens: tokens(&row),
        failed: row.is_failed(),
        provider: row.provider.unwrap_or_default(),
        model: row.upstream_model.unwrap_or_else(|| row.requested_model.clone()),
        alias: row.requested_model,
        endpoint: row.format,
        api_key: row.client.unwrap_or_default(),
        request_id: row.request_id,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::ledger::tests::record;

    #[test]
    fn records_are_taken_once_oldest_first_and_forgotten_in_time() {
        let queue = Queue::new(Duration::from_mins(1));
        for at in [100, 110, 150] {
            queue.record(&record("m", at));
        }
        queue.record(&Record { is_kept: false, ..record("unwanted", 150) });
        let first = queue.take(1, 155, &ShortIds::default());
        assert_eq!(
            first.iter().map(|queued| &*queued.timestamp).collect::<Vec<_>>(),
            ["1970-01-01T00:01:40Z"]
        );
        assert_eq!((first[0].tokens.total_tokens, &*first[0].api_key), (120, "laptop"));
        assert_eq!(queue.take(9, 200, &ShortIds::default()).len(), 1, "the one of 110 was forgotten");
        assert_eq!(queue.take(9, 200, &ShortIds::default()), []);
    }

    #[test]
    fn there_are_never_too_many() {
        let queue = Queue::new(Duration::from_mins(1));
        for _ in 0..MOST + 3 {
            queue.record(&record("m", 100));
        }
        assert_eq!(queue.take(usize::MAX, 100, &ShortIds::default()).len(), MOST);
    }
}
