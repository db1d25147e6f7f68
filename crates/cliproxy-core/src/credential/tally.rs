//! How often asking a credential worked and failed: since the start, and in steps of ten minutes for the last hours.
//!
//! For people who look at their accounts. What rests because of a failure is the [pool](super::Pool)'s business, and what
//! was used is the ledger's.

use std::sync::{Mutex, PoisonError};

/// Length of a step in seconds.
pub const STEP: u64 = 600;
/// Steps that are kept.
pub const STEPS: usize = 20;

/// The counts of one credential. Takes no room before something is counted.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Option<Box<Counts>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    success: u64,
    failed: u64,
    /// A ring: the step of a time is at its number modulo the length.
    steps: [Step; STEPS],
}

/// One step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// When it begins, in Unix seconds.
    pub start: u64,
    /// Attempts whose answer began and did not break.
    pub success: u32,
    /// Attempts that failed.
    pub failed: u32,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Since the start.
    pub success: u64,
    /// Since the start.
    pub failed: u64,
    /// The last hours, oldest first; the last step is that of now.
    pub steps: [Step; STEPS],
}

impl Tally {
    /// Counts one attempt. `now` is in Unix seconds.
    pub fn count(&self, is_success: bool, now: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.get_or_insert_with(Box::default);
        let number = now / STEP;
        let place = usize::try_from(number).unwrap_or_default() % STEPS;
        let Some(step) = counts.steps.get_mut(place) else { return };
        if step.start != number * STEP {
            *step = Step { start: number * STEP, ..Step::default() };
        }
        if is_success {
            counts.success += 1;
            step.success = step.success.saturating_add(1);
        } else {
            counts.failed += 1;
            step.failed = step.failed.saturating_add(1);
        }
    }

    /// What was counted so far. `now` is in Unix seconds.
    pub fn counted(&self, now: u64) -> Counted {
        let counts =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).as_deref().copied().unwrap_or_default();
        let newest = now / STEP * STEP;
        let steps = std::array::from_fn(|index| {
            let back = STEP * u64::try_from(STEPS - 1 - index).unwrap_or_default();
            let start = newest.saturating_sub(back);
            let known = counts.steps.iter().find(|step| step.start == start && start > 0);
            known.copied().unwrap_or(Step { start, success: 0, failed: 0 })
        });
        Counted { success: counts.success, failed: counts.failed, steps }
    }
}

impl Counted {
    /// The counts of both together.
    pub fn add(&mut self, other: &Self) {
        self.success += other.success;
        self.failed += other.failed;
        for (step, other) in self.steps.iter_mut().zip(&other.steps) {
            step.start = other.start;
            step.success += other.success;
            step.failed += other.failed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hours_are_counted_in_steps_and_what_is_older_only_in_all() {
        let tally = Tally::default();
        assert_eq!(tally.counted(1_000_000).success, 0);
        for (at, is_success) in [(600_000, true), (999_600, true), (999_999, false), (1_000_200, true)] {
            tally.count(is_success, at);
        }
        let counted = tally.counted(1_000_300);
        assert_eq!((counted.success, counted.failed), (3, 1));
        assert_eq!(counted.steps[19], Step { start: 1_000_200, success: 1, failed: 0 });
        assert_eq!(counted.steps[18], Step { start: 999_600, success: 1, failed: 1 });
        assert_eq!(counted.steps[..18].iter().map(|step| step.success + step.failed).sum::<u32>(), 0);
        assert_eq!(counted.steps[0].start, 1_000_200 - 19 * STEP);
        let later = tally.counted(1_000_200 + 30 * STEP);
        assert_eq!(later.steps.iter().map(|step| step.success + step.failed).sum::<u32>(), 0);
        assert_eq!(later.success, 3);
    }
}
