//! One rest: until when somebody is not asked, in atomics, so that choosing reads it without a lock.
//!
//! A rest is an estimate, whoever made it: quotas are renewed earlier than announced and outages end unannounced. So
//! a rest does not simply end. When its time has come, one request may try; until that one has an answer the others
//! keep away. A success ends the rest, a failure prolongs it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Block, Scope, Why};

/// A longer rest than this is tried in between: an announced time of renewal may be days off.
pub(super) const LONGEST_WITHOUT_TRIAL: Duration = Duration::from_mins(5);

/// The rest of one credential, model, host or proxy.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// When the next trial is due, in milliseconds of the pool's clock, above the reason in the lowest byte; 0 when
    /// there is no rest.
    trial: AtomicU64,
    /// When the rest ends by the best estimate, in milliseconds of the pool's clock.
    end: AtomicU64,
    failures: AtomicU32,
    is_on_trial: AtomicBool,
}

/// How a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Nothing is known against it.
    Well,
    /// Its rest is over, or long enough for a try, and nobody is trying yet.
    Due,
    /// Somebody is trying.
    OnTrial(Block),
    /// It rests.
    Resting(Block),
}

impl Cell {
    /// How it stands `now`.
    pub(super) fn health(&self, scope: Scope, clock: Clock, now: Instant) -> Health {
        let trial = self.trial.load(Ordering::Acquire);
        let Some(why) = Why::of_byte(trial) else { return Health::Well };
        let until = clock.instant(self.end.load(Ordering::Acquire));
        let block = Block { until, trial: clock.instant(trial >> 8), why, scope };
        if trial >> 8 > clock.milliseconds(now) {
            Health::Resting(block)
        } else if self.is_on_trial.load(Ordering::Acquire) {
            Health::OnTrial(block)
        } else {
            Health::Due
        }
    }

    /// How often in a row it failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Acquire)
    }

    /// Begins or prolongs a rest that ends at `end` by the best estimate; whether it is tried earlier than was known.
    pub(super) fn rest(&self, why: Why, end: Instant, clock: Clock, now: Instant) -> bool {
        let trial = end.min(now + LONGEST_WITHOUT_TRIAL);
        self.failures.fetch_add(1, Ordering::AcqRel);
        self.end.store(clock.milliseconds(end), Ordering::Release);
        let word = clock.milliseconds(trial) << 8 | u64::from(why.byte());
        let before = self.trial.swap(word, Ordering::AcqRel);
        self.is_on_trial.store(false, Ordering::Release);
        // A soft rest takes nobody out as a hard one does.
        before != 0 && (word >> 8 < before >> 8 || why.is_soft())
    }

    /// Restores what was known before a restart.
    pub(super) fn restore(&self, why: Why, end: Instant, failures: u32, clock: Clock, now: Instant) {
        self.failures.store(failures.saturating_sub(1), Ordering::Release);
        let _earlier = self.rest(why, end, clock, now);
    }

    /// Claims the trial; false when another was faster. Without a rest there is nothing to claim.
    pub(super) fn try_claim(&self) -> bool {
        self.trial.load(Ordering::Acquire) == 0
            || self.is_on_trial.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives the trial back without a result.
    pub(super) fn release(&self) {
        self.is_on_trial.store(false, Ordering::Release);
    }

    /// Ends the rest: all is well. Whether there was one.
    pub(super) fn clear(&self) -> bool {
        // The common case writes nothing, so that a line of memory shared by all requests is not fought over.
        if self.trial.load(Ordering::Acquire) != 0 {
            self.trial.store(0, Ordering::Release);
            self.failures.store(0, Ordering::Release);
            self.is_on_trial.store(false, Ordering::Release);
            return true;
        }
        false
    }

    /// The rest, if there is one, due or not: what is kept over a restart.
    pub(super) fn saved(&self, scope: Scope, clock: Clock) -> Option<(Block, u32)> {
        let word = self.trial.load(Ordering::Acquire);
        let (why, trial) = (Why::of_byte(word)?, clock.instant(word >> 8));
        let until = clock.instant(self.end.load(Ordering::Acquire));
        Some((Block { until, trial, why, scope }, self.failures()))
    }
}

/// Instants as milliseconds since the pool was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(pub(super) Instant);

impl Clock {
    fn milliseconds(self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.0).as_millis())
            .unwrap_or(u64::MAX >> 8)
            .min(u64::MAX >> 8)
    }

    fn instant(self, milliseconds: u64) -> Instant {
        self.0 + Duration::from_millis(milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope = Scope::Model;

    fn cell() -> (Cell, Clock) {
        (Cell::default(), Clock(Instant::now()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_ends_with_one_trial_and_not_with_a_rush() {
        let (cell, clock) = cell();
        let now = Instant::now();
        cell.rest(Why::Quota, now + Duration::from_secs(30), clock, now);
        assert!(matches!(cell.health(SCOPE, clock, now), Health::Resting(_)));
        let later = now + Duration::from_secs(31);
        assert_eq!(cell.health(SCOPE, clock, later), Health::Due);
        assert!(cell.try_claim());
        assert!(!cell.try_claim());
        assert!(matches!(cell.health(SCOPE, clock, later), Health::OnTrial(_)));
        cell.release();
        assert_eq!(cell.health(SCOPE, clock, later), Health::Due);
        cell.clear();
        assert_eq!(cell.health(SCOPE, clock, later), Health::Well);
    }

    #[tokio::test(start_paused = true)]
    async fn an_announced_end_that_is_far_is_tried_within_minutes_and_still_told() {
        let (cell, clock) = cell();
        let now = Instant::now();
        let end = now + Duration::from_hours(100);
        cell.rest(Why::Quota, end, clock, now);
        let before = now + LONGEST_WITHOUT_TRIAL - Duration::from_secs(1);
        assert_eq!(
            cell.health(SCOPE, clock, before),
            Health::Resting(Block {
                until: end,
                trial: now + LONGEST_WITHOUT_TRIAL,
                why: Why::Quota,
                scope: SCOPE
            })
        );
        assert_eq!(cell.health(SCOPE, clock, now + LONGEST_WITHOUT_TRIAL), Health::Due);
    }

    #[test]
    fn claiming_what_is_well_costs_nobody_a_turn() {
        let (cell, _) = cell();
        assert!(cell.try_claim());
        assert!(cell.try_claim());
    }
}
