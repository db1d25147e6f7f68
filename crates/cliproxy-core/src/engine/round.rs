//! Rounds: whether going through all credentials once more makes sense after every one failed, and how long to wait
//! before it. Pure; the loop over attempts is in `attempt`.

use std::time::Duration;

use cliproxy_wire::fault::Kind;
use tokio::time::Instant;

use crate::credential::Block;
use crate::failure::Failure;
use crate::route::Offers;
use crate::snapshot::Snapshot;

/// Pause before the first repeat of what failed in passing, doubled with every further one.
const PAUSE: Duration = Duration::from_millis(250);

/// What is left of a request's rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    left: u32,
    /// Further ones for answers that broke before their first content.
    early_left: u32,
    longest_wait: Duration,
    pause: Duration,
}

impl Rounds {
    pub(super) fn new(snapshot: &Snapshot, offers: &Offers) -> Self {
        Self {
            left: offers.most_rounds().unwrap_or(snapshot.settings.retry.rounds),
            early_left: snapshot.settings.streaming.bootstrap_retries,
            longest_wait: snapshot.settings.retry.longest_wait,
            pause: PAUSE,
        }
    }

    /// Takes the next round, if there is one: how long to wait before it. `blocks` are the rests of the credentials,
    /// `last` the failure of the round before, absent when every credential rested from the start.
    pub(super) fn next(
        &mut self,
        last: Option<&Failure>,
        blocks: impl IntoIterator<Item = Option<Block>>,
        now: Instant,
    ) -> Option<Duration> {
        if last.is_some_and(|failure| !may_pass(failure)) {
            return None;
        }
        let hint = last.and_then(|failure| failure.fault().retry_after).unwrap_or_default();
        let wait = |block: Option<Block>| match block {
            Some(block) if !block.why.is_soft() => block.until.saturating_duration_since(now),
            // Others are asked again anyway; the pause only gives the upstream a moment.
            _ => hint.max(self.pause.min(self.longest_wait)),
        };
        let wait = blocks.into_iter().map(wait).min().filter(|wait| *wait <= self.longest_wait)?;
        if self.left > 0 {
            self.left -= 1;
        } else if self.early_left > 0 && last.is_some_and(Failure::broke_early) {
            self.early_left -= 1;
        } else {
            return None;
        }
        self.pause = self.pause.saturating_mul(2);
        Some(wait)
    }
}

/// Whether the same request may succeed a moment later. A limit of our own that ran out is not waited for once more:
/// it is long, and the client has waited for it already.
fn may_pass(failure: &Failure) -> bool {
    let fault = failure.fault();
    fault.kind.may_pass() && (fault.kind != Kind::Timeout || fault.status.is_some())
}

#[cfg(test)]
mod tests {
    use cliproxy_wire::fault::Fault;

    use super::*;
    use crate::credential::{Scope, Why};

    fn rounds(left: u32, early_left: u32, longest_wait: u64) -> Rounds {
        Rounds { left, early_left, longest_wait: Duration::from_secs(longest_wait), pause: PAUSE }
    }

    fn failed(kind: Kind) -> Failure {
        Failure::upstream(Fault { status: Some(500), ..Fault::new(kind, "failed") }, "")
    }

    fn resting(why: Why, seconds: u64) -> Block {
        let until = Instant::now() + Duration::from_secs(seconds);
        Block { until, trial: until, why, scope: Scope::Model }
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_in_passing_is_repeated_after_short_pauses() {
        let mut rounds = rounds(3, 0, 30);
        let failure = failed(Kind::Unavailable);
        let blocks = [Some(resting(Why::Transient, 60))];
        let waits: Vec<_> =
            std::iter::from_fn(|| rounds.next(Some(&failure), blocks, Instant::now())).collect();
        assert_eq!(waits, [250, 500, 1000].map(Duration::from_millis));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cooldown_is_waited_for_when_it_is_short_enough() {
        let failure = failed(Kind::RateLimit);
        let next = |seconds| {
            rounds(1, 0, 30).next(Some(&failure), [Some(resting(Why::Quota, seconds))], Instant::now())
        };
        assert_eq!(next(20), Some(Duration::from_secs(20)));
        assert_eq!(next(31), None);
        let all = [90, 7].map(|seconds| Some(resting(Why::Quota, seconds)));
        assert_eq!(rounds(1, 0, 30).next(None, all, Instant::now()), Some(Duration::from_secs(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_says_when_is_not_asked_before() {
        let mut failure = failed(Kind::Overloaded);
        failure.fault_mut().retry_after = Some(Duration::from_secs(5));
        let blocks = [Some(resting(Why::Transient, 5))];
        let next = |longest| rounds(1, 0, longest).next(Some(&failure), blocks, Instant::now());
        assert_eq!(next(30), Some(Duration::from_secs(5)));
        assert_eq!(next(4), None);
    }

    #[test]
    fn without_cooldowns_there_are_rounds_and_without_waiting_no_pauses() {
        let failure = failed(Kind::Api);
        assert_eq!(rounds(1, 0, 30).next(Some(&failure), [None], Instant::now()), Some(PAUSE));
        assert_eq!(rounds(1, 0, 0).next(Some(&failure), [None], Instant::now()), Some(Duration::ZERO));
    }

    #[test]
    fn as_many_rounds_as_are_wanted_are_there() {
        let (mut rounds, failure) = (rounds(200, 0, 0), failed(Kind::Api));
        let now = Instant::now();
        let waits = std::iter::from_fn(|| rounds.next(Some(&failure), [None], now));
        assert_eq!(waits.collect::<Vec<_>>(), [Duration::ZERO; 200]);
    }

    #[test]
    fn what_cannot_pass_is_not_repeated() {
        for kind in [Kind::Authentication, Kind::Permission, Kind::Billing, Kind::NotFound, Kind::Quota] {
            assert_eq!(rounds(3, 3, 30).next(Some(&failed(kind)), [None], Instant::now()), None, "{kind:?}");
        }
        let limit = Failure::upstream(Fault::new(Kind::Timeout, "no first byte"), "");
        assert_eq!(rounds(3, 3, 30).next(Some(&limit), [None], Instant::now()), None);
        assert!(rounds(3, 3, 30).next(Some(&failed(Kind::Timeout)), [None], Instant::now()).is_some());
    }

    #[test]
    fn answers_that_broke_early_have_rounds_of_their_own() {
        let (broken, refused) = (failed(Kind::BadUpstream).after_head(), failed(Kind::BadUpstream));
        let mut rounds = rounds(0, 1, 30);
        assert_eq!(rounds.next(Some(&refused), [None], Instant::now()), None);
        assert!(rounds.next(Some(&broken), [None], Instant::now()).is_some());
        assert_eq!(rounds.next(Some(&broken), [None], Instant::now()), None);
    }
}
