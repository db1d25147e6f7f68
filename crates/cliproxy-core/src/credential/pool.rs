//! Run-time state of credentials: who rests for which model and why, and how much is in flight.
//!
//! State is kept per credential and upstream model. Readers take a short lock; nothing is awaited under it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use super::CredentialId;
use crate::failure::Rest;

const UNAUTHORIZED: Duration = Duration::from_mins(30);
const MODEL_MISSING: Duration = Duration::from_hours(12);
const LONGEST_BACKOFF: Duration = Duration::from_mins(30);
/// An upstream's own estimate is believed up to here; after that the credential is tried again, since quotas are
/// often renewed earlier than announced.
const LONGEST_HINT: Duration = Duration::from_hours(1);

/// A rest of one credential for one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Until when.
    pub until: Instant,
    /// Why.
    pub why: Why,
}

/// Why a credential rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// 401.
    Unauthorized,
    /// 402, 403.
    Forbidden,
    /// 404 for the model.
    ModelMissing,
    /// 429.
    Quota,
    /// A passing fault. Such a credential is still used when no other is there.
    Transient,
}

impl Why {
    /// In words, for explanations and logs.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unauthorized => "the upstream does not accept the credential",
            Self::Forbidden => "payment or permission is missing",
            Self::ModelMissing => "the account does not have the model",
            Self::Quota => "its quota is used up for now",
            Self::Transient => "the upstream failed a moment ago",
        }
    }

    /// Whether a resting credential is used when no other is there.
    pub fn is_soft(self) -> bool {
        self == Self::Transient
    }
}

#[derive(Debug, Default)]
struct Entry {
    in_flight: AtomicU32,
    models: Mutex<HashMap<Box<str>, ModelState>>,
}

#[derive(Debug)]
struct ModelState {
    block: Block,
    failures: u32,
}

/// Settings of the resting times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooling {
    /// No resting at all.
    pub is_disabled: bool,
    /// Longest rest after a passing fault; `None` switches these off.
    pub transient: Option<Duration>,
}

impl Default for Cooling {
    fn default() -> Self {
        Self { is_disabled: false, transient: Some(Duration::from_mins(1)) }
    }
}

/// The run-time state of all credentials.
#[derive(Debug, Default)]
pub struct Pool {
    entries: RwLock<HashMap<CredentialId, Arc<Entry>>>,
    cursors: Mutex<HashMap<Box<str>, u64>>,
}

impl Pool {
    fn entry(&self, id: &CredentialId) -> Arc<Entry> {
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Arc::clone(entry);
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(entries.entry(id.clone()).or_default())
    }

    /// The rest of a credential for an upstream model, if it is not over.
    pub fn block(&self, id: &CredentialId, model: &str, now: Instant) -> Option<Block> {
        let entry = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()?;
        let models = entry.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.get(model).map(|state| state.block).filter(|block| block.until > now)
    }

    /// The next number of the counter that rotates over the credentials of `model`.
    pub fn turn(&self, model: &str) -> u64 {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cursor) = cursors.get_mut(model) {
            *cursor = cursor.wrapping_add(1);
            *cursor
        } else {
            cursors.insert(model.into(), 0);
            0
        }
    }

    /// Takes a credential into use. The lease must end as success or failure; dropping it counts as cancelled and
    /// changes nothing.
    pub fn lease(&self, id: &CredentialId, model: &str) -> Lease {
        let entry = self.entry(id);
        entry.in_flight.fetch_add(1, Ordering::Relaxed);
        Lease { entry, model: model.into() }
    }

    /// How many requests of a credential are running.
    pub fn in_flight(&self, id: &CredentialId) -> u32 {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(id).map_or(0, |entry| entry.in_flight.load(Ordering::Relaxed))
    }

    /// Forgets credentials that are no more and counters of models that are no more.
    pub fn retain(&self, keep: impl Fn(&CredentialId) -> bool, keep_model: impl Fn(&str) -> bool) {
        self.entries.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| keep(id));
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).retain(|model, _| keep_model(model));
    }
}

/// A credential in use for one attempt.
#[derive(Debug)]
pub struct Lease {
    entry: Arc<Entry>,
    model: Box<str>,
}

impl Lease {
    /// The attempt succeeded: the model's failures are forgotten.
    pub fn succeed(&self) {
        let mut models = self.entry.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.remove(&self.model);
    }

    /// The attempt failed: the credential rests as `rest` says.
    pub fn fail(&self, rest: Rest, cooling: Cooling, now: Instant) {
        if cooling.is_disabled {
            return;
        }
        let mut models = self.entry.models.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = models.get(&self.model).map_or(0, |state| state.failures);
        let (duration, why) = match rest {
            Rest::None => return,
            Rest::Unauthorized => (UNAUTHORIZED, Why::Unauthorized),
            Rest::Forbidden => (UNAUTHORIZED, Why::Forbidden),
            Rest::ModelMissing => (MODEL_MISSING, Why::ModelMissing),
            Rest::Quota(Some(hint)) => (hint.min(LONGEST_HINT), Why::Quota),
            Rest::Quota(None) => (backoff(failures, LONGEST_BACKOFF), Why::Quota),
            Rest::Transient(hint) => {
                let Some(longest) = cooling.transient else { return };
                (hint.unwrap_or_else(|| backoff(failures + 1, longest)).min(longest), Why::Transient)
            }
        };
        let block = Block { until: now + duration, why };
        models.insert(self.model.clone(), ModelState { block, failures: failures.saturating_add(1) });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.entry.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One second, doubled with every failure.
fn backoff(failures: u32, longest: Duration) -> Duration {
    Duration::from_secs(1u64 << failures.min(20)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> (Pool, CredentialId) {
        (Pool::default(), CredentialId::new("gemini:apikey:1"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_refusal_rests_the_model_and_not_the_account() {
        let (pool, id) = pool();
        pool.lease(&id, "m").fail(
            Rest::Quota(Some(Duration::from_secs(34))),
            Cooling::default(),
            Instant::now(),
        );
        let block = pool.block(&id, "m", Instant::now()).unwrap();
        assert_eq!(block.why, Why::Quota);
        assert!(pool.block(&id, "other", Instant::now()).is_none());
        tokio::time::advance(Duration::from_secs(35)).await;
        assert!(pool.block(&id, "m", Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_without_a_hint_back_off_exponentially_and_success_forgets_them() {
        let (pool, id) = pool();
        let mut waits = Vec::new();
        for _ in 0..13 {
            pool.lease(&id, "m").fail(Rest::Quota(None), Cooling::default(), Instant::now());
            waits.push((pool.block(&id, "m", Instant::now()).unwrap().until - Instant::now()).as_secs());
        }
        assert_eq!(waits.get(..4), Some(&[1, 2, 4, 8][..]));
        assert_eq!(waits.last(), Some(&1800));
        pool.lease(&id, "m").succeed();
        assert!(pool.block(&id, "m", Instant::now()).is_none());
        pool.lease(&id, "m").fail(Rest::Quota(None), Cooling::default(), Instant::now());
        assert_eq!(
            pool.block(&id, "m", Instant::now()).unwrap().until - Instant::now(),
            Duration::from_secs(1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_hint_of_days_is_tried_again_within_the_hour() {
        let (pool, id) = pool();
        pool.lease(&id, "m").fail(
            Rest::Quota(Some(Duration::from_hours(100))),
            Cooling::default(),
            Instant::now(),
        );
        assert_eq!(pool.block(&id, "m", Instant::now()).unwrap().until - Instant::now(), LONGEST_HINT);
    }

    #[test]
    fn requests_in_flight_are_counted_until_the_lease_ends() {
        let (pool, id) = pool();
        let lease = pool.lease(&id, "m");
        assert_eq!(pool.in_flight(&id), 1);
        drop(lease);
        assert_eq!(pool.in_flight(&id), 0);
    }
}
