//! An account at run time: the current reading of its auth file, whether it can be used, and when its token is renewed.
//!
//! An [`Account`] outlives reloads: credentials of every snapshot share it, so a renewed token is seen by requests
//! that are already waiting. Readers never wait; whoever renews or reloads swaps the reading.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::{CredentialId, Record};
use crate::reason::Reason;
use crate::store::Changes;

/// Pauses between renewals that fail in passing: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LAST_PAUSE: Duration = Duration::from_mins(5);
/// A token that was just renewed is not renewed again.
const SHORTEST_LIFE: Duration = Duration::from_secs(30);

/// One auth file's account.
#[derive(Debug)]
pub struct Account {
    id: CredentialId,
    record: ArcSwap<Record>,
    condition: ArcSwap<Condition>,
    renewal: Mutex<Renewal>,
    is_untried: AtomicBool,
    /// One renewal at a time; the others wait for its token.
    pub(crate) flight: tokio::sync::Mutex<()>,
}

/// Whether an account can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It can.
    Well,
    /// A person has to do something first. The file stays where it is.
    NeedsAttention {
        /// What happened.
        cause: Reason,
        /// What mends it.
        remedy: Reason,
    },
}

/// How renewing goes.
#[derive(Debug, Default)]
struct Renewal {
    /// Failures in a row.
    failures: u32,
    /// Not before.
    not_before: Option<Instant>,
    /// When the last one succeeded.
    succeeded: Option<Instant>,
    /// What the storage does not have yet.
    unsaved: Option<Unsaved>,
}

/// What a received token changes and the storage does not have yet.
#[derive(Clone, Debug)]
pub(crate) struct Unsaved {
    pub(crate) changes: Changes,
    /// Fingerprint of the token that was spent for it.
    pub(crate) spent: String,
}

impl Account {
    /// An account with the reading of its file.
    pub fn new(id: CredentialId, record: Record) -> Self {
        Self {
            id,
            record: ArcSwap::from_pointee(record),
            condition: ArcSwap::from_pointee(Condition::Well),
            renewal: Mutex::default(),
            is_untried: AtomicBool::new(false),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// Identity: the path of the file, relative to the auth directory.
    pub fn id(&self) -> &CredentialId {
        &self.id
    }

    /// The reading of the moment.
    pub fn record(&self) -> Arc<Record> {
        self.record.load_full()
    }

    /// Replaces the reading.
    pub fn set_record(&self, record: Record) {
        self.record.store(Arc::new(record));
    }

    /// Whether it can be used.
    pub fn condition(&self) -> Arc<Condition> {
        self.condition.load_full()
    }

    /// Whether it can be used, without keeping the reason.
    pub fn is_well(&self) -> bool {
        **self.condition.load() == Condition::Well
    }

    /// Says whether it can be used.
    pub fn set_condition(&self, condition: Condition) {
        self.condition.store(Arc::new(condition));
    }

    fn renewal(&self) -> std::sync::MutexGuard<'_, Renewal> {
        self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no failure a moment ago speaks against a renewal.
    pub(crate) fn may_renew(&self, now: Instant) -> bool {
        self.renewal().not_before.is_none_or(|at| at <= now)
    }

    /// Whether the token is so new that renewing it again would be a storm, whatever clocks and upstreams say.
    pub(crate) fn was_just_renewed(&self, now: Instant) -> bool {
        self.renewal().succeeded.is_some_and(|at| now.duration_since(at) < SHORTEST_LIFE)
    }

    /// Whether the token is new and no upstream has accepted it yet: one that is refused is not replaced by another
    /// one, and so on.
    pub(crate) fn is_untried(&self, now: Instant) -> bool {
        self.is_untried.load(Ordering::Relaxed) && self.was_just_renewed(now)
    }

    /// An upstream has accepted the token.
    pub fn accepted(&self) {
        // Nearly every request finds it so.
        if self.is_untried.load(Ordering::Relaxed) {
            self.is_untried.store(false, Ordering::Relaxed);
        }
    }

    /// A renewal failed in passing: not again before a pause, the provider's own where it named one.
    pub(crate) fn renewal_failed(&self, hint: Option<Duration>, now: Instant) -> Duration {
        let mut renewal = self.renewal();
        let pause = FIRST_PAUSE.saturating_mul(1u32 << renewal.failures.min(10)).min(LAST_PAUSE);
        // Accounts that failed together do not come back together.
        let pause = pause + pause.mul_f64(super::spread(&self.id) / 4.0);
        let pause = hint.map_or(pause, |hint| hint.clamp(FIRST_PAUSE, LAST_PAUSE));
        renewal.failures = renewal.failures.saturating_add(1);
        renewal.not_before = Some(now + pause);
        pause
    }

    /// A renewal succeeded.
    pub(crate) fn renewal_succeeded(&self, now: Instant) {
        let mut renewal = self.renewal();
        renewal.failures = 0;
        renewal.not_before = None;
        renewal.succeeded = Some(now);
        self.is_untried.store(true, Ordering::Relaxed);
    }

    /// The file is another one: whatever happened to the old one does not count.
    pub(super) fn begin_anew(&self) {
        *self.renewal() = Renewal::default();
        self.set_condition(Condition::Well);
    }

    /// Whether a token is in memory only, because it could not be saved.
    pub fn has_unsaved(&self) -> bool {
        self.renewal().unsaved.is_some()
    }

    /// Whether a renewal could begin now.
    pub(crate) fn is_idle(&self) -> bool {
        let now = Instant::now();
        self.flight.try_lock().is_ok() && self.may_renew(now) && !self.was_just_renewed(now)
    }

    /// What the storage does not have yet.
    pub(crate) fn unsaved(&self) -> Option<Unsaved> {
        self.renewal().unsaved.clone()
    }

    pub(crate) fn set_unsaved(&self, unsaved: Option<Unsaved>) {
        self.renewal().unsaved = unsaved;
    }
}
