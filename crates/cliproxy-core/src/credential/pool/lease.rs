//! Leases: a credential in use for one attempt, and how long who rests for what became of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Cooling;
use super::block::{Scope, Why};
use super::seat::Seat;
use crate::failure::{Failure, Origin, Rest, Retry};

const UNAUTHORIZED: Duration = Duration::from_mins(30);
const MODEL_MISSING: Duration = Duration::from_hours(12);
/// Longest rest that an upstream may ask for: a longer one is a mistake, and its end may be more than a moment can tell.
const LONGEST_QUOTA: Duration = Duration::from_hours(24 * 60);
const LONGEST_BACKOFF: Duration = Duration::from_mins(30);
/// Longest rest of a host or a proxy that cannot be reached: it comes back for everybody at once.
const LONGEST_NETWORK: Duration = Duration::from_secs(30);

/// A credential in use for one attempt. It must end as success or failure; dropping it counts as cancelled, and only
/// gives back the trials it held.
#[derive(Debug)]
pub struct Lease {
    seat: Seat,
    claims: [bool; 4],
}

impl Lease {
    /// The use of a seat, with the trials that were claimed of its cells.
    pub(super) fn new(seat: Seat, claims: [bool; 4]) -> Self {
        Self { seat, claims }
    }

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
        self.seat.rest(rest, scope, cooling, now);
    }
}

impl Seat {
    /// Begins a rest, whoever has leases.
    pub fn rest(&self, rest: Rest, scope: Scope, cooling: Cooling, now: Instant) {
        if cooling.is_disabled {
            return;
        }
        let Some((_, cell)) = self.cells().into_iter().find(|(known, _)| *known == scope) else {
            return;
        };
        let failures = cell.failures();
        let (duration, why) = match rest {
            Rest::None => return,
            Rest::Unauthorized => (UNAUTHORIZED, Why::Unauthorized),
            Rest::Forbidden | Rest::NeedsAttention(_) => (UNAUTHORIZED, Why::Forbidden),
            Rest::ModelMissing => (MODEL_MISSING, Why::ModelMissing),
            Rest::Quota(Some(hint)) => (hint.min(LONGEST_QUOTA), Why::Quota),
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
        self.place.thaw(cell.rest(why, now + duration, self.place.clock, now));
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
