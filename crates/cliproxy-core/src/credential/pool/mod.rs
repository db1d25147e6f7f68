//! Run-time state of credentials: who rests and why, and how much is in flight. It survives reloads of the
//! configuration.
//!
//! A rest ([`Block`]) belongs to what failed, and to no more: a model of one account, the account, the host behind it,
//! or the proxy on the way. Whoever chooses reads a [`Seat`] by atomics; a lock is taken only where a credential or a
//! model is seen for the first time. Who is chosen holds a [`Lease`], whose end says what rests.

mod block;
mod lease;
mod rest;
mod saved;
mod seat;

pub use block::{Block, Scope, Why};
pub use lease::Lease;
pub use saved::SavedRest;
pub use seat::{Seat, Seats, Stand};

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::affinity::Affinity;
use super::{Counted, CredentialId, Quotas, Tally};
use rest::{Cell, Clock};

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

/// When a choice is made.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time.
    pub now: Instant,
    /// How many rests have ended before their time so far.
    pub thaws: u64,
}

/// The run-time state of all credentials.
#[derive(Debug)]
pub struct Pool {
    clock: Clock,
    accounts: Mutex<HashMap<CredentialId, Arc<Account>>>,
    /// Rests of hosts and proxies.
    shared: Mutex<HashMap<Way, Arc<Cell>>>,
    cursors: Mutex<HashMap<Arc<str>, Arc<AtomicU64>>>,
    /// Told whenever a request ends, for those who wait for a credential that is at its limit.
    ended: Arc<Notify>,
    /// Rests of before a restart whose credentials have not been seen yet.
    restored: Mutex<HashMap<CredentialId, Vec<Restored>>>,
    affinity: Affinity,
    quotas: Quotas,
    /// How many rests have ended before their time.
    thaws: Arc<AtomicU64>,
}

/// A host or a proxy, by name.
type Way = (Scope, Box<str>);
/// Model, reason, end, failures in a row.
type Restored = (Option<Box<str>>, Why, Instant, u32);

#[derive(Debug, Default)]
struct Account {
    in_flight: AtomicU32,
    tally: Tally,
    cell: Cell,
    models: Mutex<BTreeMap<Arc<str>, Arc<Cell>>>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            clock: Clock(Instant::now()),
            accounts: Mutex::default(),
            shared: Mutex::default(),
            cursors: Mutex::default(),
            ended: Arc::default(),
            restored: Mutex::default(),
            affinity: Affinity::default(),
            quotas: Quotas::default(),
            thaws: Arc::default(),
        }
    }
}

impl Pool {
    fn cell(&self, scope: Scope, name: &str) -> Arc<Cell> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shared.entry((scope, name.into())).or_default())
    }

    /// The counter that rotates over the credentials of `model`.
    pub fn cursor(&self, model: &Arc<str>) -> Arc<AtomicU64> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cursors.entry(Arc::clone(model)).or_default())
    }

    /// How many requests of a credential are running.
    pub fn in_flight(&self, id: &CredentialId) -> u32 {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(id).map_or(0, |account| account.in_flight.load(Ordering::Relaxed))
    }

    /// How often asking a credential worked and failed. `now` is in Unix seconds.
    pub fn counted(&self, id: &CredentialId, now: u64) -> Counted {
        let account = self.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        account.map_or_else(|| Tally::default().counted(now), |account| account.tally.counted(now))
    }

    /// Forgets everything held against a credential: its file changed, or a person says so.
    pub fn forgive(&self, id: &CredentialId) {
        let account = self.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(account) = account {
            account.cell.clear();
            for cell in account.models.lock().unwrap_or_else(PoisonError::into_inner).values() {
                cell.clear();
            }
            self.thaws.fetch_add(1, Ordering::Release);
        }
    }

    /// The moment of a choice.
    pub fn moment(&self, now: Instant) -> Moment {
        Moment { now, thaws: self.thaws.load(Ordering::Acquire) }
    }

    /// Forgets credentials and counters that are no more.
    pub fn retain(&self, keep: impl Fn(&CredentialId) -> bool, keep_model: impl Fn(&str) -> bool) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| keep(id));
        self.quotas.retain(&keep);
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).retain(|model, _| keep_model(model));
        // Hosts and proxies that nobody holds a seat behind.
        self.shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, cell| Arc::strong_count(cell) > 1);
    }

    /// What is left of whose quotas.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Which conversation is with which credential.
    pub fn affinity(&self) -> &Affinity {
        &self.affinity
    }

    /// Resolves when a request ends somewhere.
    pub fn ended(&self) -> Arc<Notify> {
        Arc::clone(&self.ended)
    }
}

#[cfg(test)]
mod tests;
