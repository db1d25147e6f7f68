//! Run-time state of credentials: who rests and why, and how much is in flight. It survives reloads of the
//! configuration.
//!
//! A rest belongs to what failed, and to no more: a model of one account, the account, the host behind it, or the
//! proxy on the way. Whoever chooses reads a [`Seat`] by atomics; a lock is taken only where a credential or a model
//! is seen for the first time.

mod rest;
mod saved;

pub use saved::SavedRest;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::affinity::Affinity;
use super::{Counted, Credential, CredentialId, Quotas, Tally};
use crate::failure::{Failure, Origin, Rest, Retry};

use rest::{Cell, Clock, Health};

const UNAUTHORIZED: Duration = Duration::from_mins(30);
const MODEL_MISSING: Duration = Duration::from_hours(12);
const LONGEST_BACKOFF: Duration = Duration::from_mins(30);
/// Longest rest of a host or a proxy that cannot be reached: it comes back for everybody at once.
const LONGEST_NETWORK: Duration = Duration::from_secs(30);

/// A rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Until when, by the best estimate.
    pub until: Instant,
    /// When one request may try whether it is over.
    pub trial: Instant,
    /// Why.
    pub why: Why,
    /// What rests.
    pub scope: Scope,
}

/// Why somebody rests.
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
    const ALL: [Self; 5] =
        [Self::Unauthorized, Self::Forbidden, Self::ModelMissing, Self::Quota, Self::Transient];

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

    /// A short word, for files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::ModelMissing => "model-missing",
            Self::Quota => "quota",
            Self::Transient => "transient",
        }
    }

    /// Whether somebody who rests is used when no other is there.
    pub fn is_soft(self) -> bool {
        self == Self::Transient
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.word() == word)
    }

    fn byte(self) -> u8 {
        // 0 means that there is no rest.
        Self::ALL.iter().zip(1..).find(|(why, _)| **why == self).map_or(0, |(_, byte)| byte)
    }

    fn of_byte(word: u64) -> Option<Self> {
        let byte = usize::try_from(word & 0xff).ok()?;
        Self::ALL.get(byte.checked_sub(1)?).copied()
    }
}

/// What a rest covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One model of one account.
    Model,
    /// One account with all its models.
    Account,
    /// Everybody who is served by the same host.
    Host,
    /// Everybody who goes out through the same proxy.
    Proxy,
}

impl Scope {
    /// In words, for explanations.
    pub fn text(self) -> &'static str {
        match self {
            Self::Model => "for this model",
            Self::Account => "for every model",
            Self::Host => "with everybody at the same address",
            Self::Proxy => "with everybody behind the same proxy",
        }
    }

    /// A short word, for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Account => "account",
            Self::Host => "host",
            Self::Proxy => "proxy",
        }
    }
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
    /// The seats of a credential. They are taken once per configuration and kept in the routing table.
    pub fn seats<'p>(&'p self, credential: &'p Credential) -> Seats<'p> {
        let account = {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(accounts.entry(credential.id.clone()).or_default())
        };
        let place = Place {
            clock: self.clock,
            account,
            host: self.cell(Scope::Host, authority(&credential.base_url)),
            proxy: self.cell(Scope::Proxy, &credential.proxy.key()),
            limit: credential.concurrency,
            ended: Arc::clone(&self.ended),
            thaws: Arc::clone(&self.thaws),
        };
        Seats { pool: self, credential: &credential.id, place: Arc::new(place) }
    }

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

/// Host and port of an address.
fn authority(base_url: &str) -> &str {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// Gives out the seats of one credential.
#[derive(Debug)]
pub struct Seats<'p> {
    pool: &'p Pool,
    credential: &'p CredentialId,
    place: Arc<Place>,
}

impl Seats<'_> {
    /// The seat for one of the credential's upstream models.
    pub fn of(&self, model: impl Into<Arc<str>>) -> Seat {
        let model = model.into();
        let cell = {
            let mut models = self.place.account.models.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(models.entry(Arc::clone(&model)).or_default())
        };
        let seat = Seat { place: Arc::clone(&self.place), model: cell };
        self.pool.apply_restored(&seat, self.credential, &model);
        seat
    }
}

/// The place of a credential for one upstream model. Small, because there is one for every model of every credential.
#[derive(Clone, Debug)]
pub struct Seat {
    place: Arc<Place>,
    model: Arc<Cell>,
}

/// What the seats of a credential have in common.
#[derive(Debug)]
struct Place {
    clock: Clock,
    account: Arc<Account>,
    host: Arc<Cell>,
    proxy: Arc<Cell>,
    limit: Option<u32>,
    ended: Arc<Notify>,
    thaws: Arc<AtomicU64>,
}

impl Place {
    /// A rest was ended, or shortened, before its time.
    fn thaw(&self, is_thawed: bool) {
        if is_thawed {
            self.thaws.fetch_add(1, Ordering::Release);
        }
    }
}

/// Whether a seat can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It can.
    Free,
    /// Something rests.
    Resting(Block),
    /// Somebody is trying whether the rest is over.
    OnTrial(Block),
    /// As many requests are running as the credential may have.
    Busy,
}

impl Seat {
    fn cells(&self) -> [(Scope, &Cell); 4] {
        [
            (Scope::Model, &self.model),
            (Scope::Account, &self.place.account.cell),
            (Scope::Host, &self.place.host),
            (Scope::Proxy, &self.place.proxy),
        ]
    }

    /// Whether it can be taken. Of several rests a hard one is told first.
    pub fn stand(&self, now: Instant) -> Stand {
        let mut soft = None;
        for (scope, cell) in self.cells() {
            let stand = match cell.health(scope, self.place.clock, now) {
                Health::Well | Health::Due => continue,
                Health::OnTrial(block) => Stand::OnTrial(block),
                Health::Resting(block) if block.why.is_soft() => Stand::Resting(block),
                Health::Resting(block) => return Stand::Resting(block),
            };
            soft = soft.or(Some(stand));
        }
        let place = &self.place;
        if place.limit.is_some_and(|limit| place.account.in_flight.load(Ordering::Relaxed) >= limit) {
            return Stand::Busy;
        }
        soft.unwrap_or(Stand::Free)
    }

    /// The rest that keeps it from being used, if any.
    pub fn block(&self, now: Instant) -> Option<Block> {
        match self.stand(now) {
            Stand::Resting(block) | Stand::OnTrial(block) => Some(block),
            Stand::Free | Stand::Busy => None,
        }
    }

    /// Takes it for one attempt; `None` when it has reached its limit meanwhile.
    pub fn lease(&self) -> Option<Lease> {
        let (count, limit) = (&self.place.account.in_flight, self.place.limit.unwrap_or(u32::MAX));
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| {
                (running < limit).then_some(running + 1)
            })
            .ok()?;
        // Somebody else may have claimed a trial a moment ago; then two try, which does no harm.
        let claims = self.cells().map(|(_, cell)| cell.try_claim());
        Some(Lease { seat: self.clone(), claims })
    }
}

/// A credential in use for one attempt. It must end as success or failure; dropping it counts as cancelled, and only
/// gives back the trials it held.
#[derive(Debug)]
pub struct Lease {
    seat: Seat,
    claims: [bool; 4],
}

impl Lease {
    /// The upstream answers: nothing is held against anybody any more. Said when an answer begins, since a stream may
    /// last for an hour.
    pub fn succeed(&self) {
        for (_, cell) in self.seat.cells() {
            self.seat.place.thaw(cell.clear());
        }
    }

    /// Counts the attempt, for people who look at their accounts. `now` is in Unix seconds.
    pub fn count(&self, is_success: bool, now: u64) {
        self.seat.place.account.tally.count(is_success, now);
    }

    /// The attempt failed: what is to blame rests.
    pub fn fail(&self, failure: &Failure, cooling: Cooling, now: Instant) {
        if failure.fault().status.is_some() {
            // An answer came, so the way to the upstream is open.
            let place = &self.seat.place;
            place.thaw(place.host.clear());
            place.thaw(place.proxy.clear());
        }
        let (rest, scope) = match failure.retry() {
            Retry::Never => return,
            Retry::Next(rest) => (rest, scope_of(failure, rest)),
            Retry::Leave(rest) => (rest, Scope::Account),
        };
        self.fail_as(rest, scope, cooling, now);
    }

    /// The attempt failed in this way.
    pub fn fail_as(&self, rest: Rest, scope: Scope, cooling: Cooling, now: Instant) {
        if cooling.is_disabled {
            return;
        }
        let Some((_, cell)) = self.seat.cells().into_iter().find(|(known, _)| *known == scope) else {
            return;
        };
        let failures = cell.failures();
        let (duration, why) = match rest {
            Rest::None => return,
            Rest::Unauthorized => (UNAUTHORIZED, Why::Unauthorized),
            Rest::Forbidden | Rest::NeedsAttention(_) => (UNAUTHORIZED, Why::Forbidden),
            Rest::ModelMissing => (MODEL_MISSING, Why::ModelMissing),
            Rest::Quota(Some(hint)) => (hint, Why::Quota),
            Rest::Quota(None) => (backoff(failures, LONGEST_BACKOFF), Why::Quota),
            Rest::Transient(hint) => {
                let Some(longest) = cooling.transient else { return };
                let longest = match scope {
                    Scope::Host | Scope::Proxy => longest.min(LONGEST_NETWORK),
                    Scope::Model | Scope::Account => longest,
                };
                (hint.unwrap_or_else(|| backoff(failures + 1, longest)).min(longest), Why::Transient)
            }
        };
        self.seat.place.thaw(cell.rest(why, now + duration, self.seat.place.clock, now));
    }
}

/// What a failure is held against. Nobody rests for a fault of the way that others share.
fn scope_of(failure: &Failure, rest: Rest) -> Scope {
    match (failure.origin(), rest) {
        (Origin::Proxy, _) => Scope::Proxy,
        (_, Rest::Unauthorized | Rest::NeedsAttention(_)) => Scope::Account,
        (_, Rest::Transient(_)) if failure.fault().code.as_deref() == Some("upstream_unreachable") => {
            Scope::Host
        }
        _ => Scope::Model,
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        for ((_, cell), is_claimed) in self.seat.cells().into_iter().zip(self.claims) {
            if is_claimed {
                cell.release();
            }
        }
        let place = &self.seat.place;
        place.account.in_flight.fetch_sub(1, Ordering::AcqRel);
        if place.limit.is_some() {
            place.ended.notify_waiters();
        }
    }
}

/// One second, doubled with every failure.
fn backoff(failures: u32, longest: Duration) -> Duration {
    Duration::from_secs(1u64 << failures.min(20)).min(longest)
}

#[cfg(test)]
mod tests;
