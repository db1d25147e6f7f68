//! Who is known to rest, so that a choice among thousands of which nearly all rest does not ask each of them again.
//!
//! Candidates of a rank are remembered by the block: when the first of its members may be tried again. A rest that ends
//! before its time, or becomes shorter, is a thaw; what was remembered before the last thaw counts no longer. So a nap
//! only ever leaves out whom the look at each would leave out too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::credential::Moment;

/// Members of a block: few enough to be looked at within a choice, many enough that blocks are few.
const BLOCK: usize = 16;
/// Smaller ranks are looked at one by one.
const SMALLEST: usize = 64;
/// Bits of a nap that hold the thaws; the rest is milliseconds.
const THAW_BITS: u32 = 24;

/// The naps of one rank.
#[derive(Clone, Debug)]
pub(super) struct Naps {
    base: Instant,
    blocks: Arc<[AtomicU64]>,
}

impl Naps {
    pub(super) fn new(members: usize) -> Option<Self> {
        if members < SMALLEST {
            return None;
        }
        let blocks = (0..members.div_ceil(BLOCK)).map(|_| AtomicU64::new(0)).collect();
        Some(Self { base: Instant::now(), blocks })
    }

    /// The block of a member, by its place in the rank.
    pub(super) fn block_of(offset: usize) -> usize {
        offset / BLOCK
    }

    /// The first place behind the block of a member.
    pub(super) fn end_of(offset: usize) -> usize {
        (offset / BLOCK + 1) * BLOCK
    }

    /// Whether everybody in a block is known to rest.
    pub(super) fn is_asleep(&self, block: usize, moment: Moment) -> bool {
        let nap = self.blocks.get(block).map_or(0, |nap| nap.load(Ordering::Relaxed));
        nap & thaw_mask() == moment.thaws & thaw_mask() && nap >> THAW_BITS > self.milliseconds(moment.now)
    }

    /// Remembers that everybody in a block rests, the first until `wake`.
    pub(super) fn note(&self, block: usize, wake: Instant, moment: Moment) {
        if let Some(nap) = self.blocks.get(block) {
            let wake = self.milliseconds(wake).min(u64::MAX >> THAW_BITS);
            nap.store(wake << THAW_BITS | (moment.thaws & thaw_mask()), Ordering::Relaxed);
        }
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap_or(u64::MAX)
    }
}

fn thaw_mask() -> u64 {
    (1 << THAW_BITS) - 1
}
