//! When a gateway is killed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cliproxy_testkit::Killer;
use cliproxy_testkit::issuer::{Issuer, Point};
use notify::Watcher as _;
use tokio::sync::Notify;

/// A moment on the way to a new token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// This long after the identity provider has reached a point.
    At(Point, Duration),
    /// With the n-th change of the auth directory.
    Step(u32),
    /// This long after the beginning.
    After(Duration),
}

/// Kills when the moment comes, and at the latest after `latest`; resolves when it has.
pub(crate) fn arm(
    issuer: &Issuer,
    directory: &Path,
    victims: Vec<Killer>,
    moment: Moment,
    latest: Duration,
) -> impl Future<Output = ()> + use<> {
    let come = Arc::new(Notify::new());
    let told = Arc::clone(&come);
    let mut pause = Duration::ZERO;
    let mut watcher = None;
    let mut latest = latest;
    match moment {
        Moment::At(point, after) => {
            pause = after;
            issuer.on_point(move |reached, _| {
                if reached == point {
                    told.notify_one();
                }
            });
        }
        Moment::Step(n) => {
            let count = AtomicU32::new(0);
            let report = move |event: notify::Result<notify::Event>| {
                if event.is_ok() && count.fetch_add(1, Ordering::Relaxed) + 1 == n {
                    told.notify_one();
                }
            };
            let mut system = notify::recommended_watcher(report).unwrap();
            system.watch(directory, notify::RecursiveMode::Recursive).unwrap();
            watcher = Some(system);
        }
        Moment::After(time) => latest = latest.min(time),
    }
    async move {
        // The moment may never come: a renewal has fewer steps, or has ended before.
        drop(tokio::time::timeout(latest, come.notified()).await);
        tokio::time::sleep(pause).await;
        victims.iter().for_each(Killer::kill);
        drop(watcher);
    }
}

/// Numbers that a seed repeats.
pub(crate) struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    pub(crate) fn new() -> Self {
        let seed = number("CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
        Self { seed, state: seed }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `end` (splitmix64).
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    /// A duration below `end`, in steps of ten microseconds.
    pub(crate) fn duration(&mut self, end: Duration) -> Duration {
        let steps = usize::try_from(end.as_micros() / 10).unwrap();
        Duration::from_micros(10) * u32::try_from(self.below(steps)).unwrap()
    }
}

/// A number that whoever runs the tests says.
#[expect(clippy::disallowed_methods, reason = "for the one who runs the test, not for the program")]
pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
