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

    /// The first place behind the block of a member.
    pub(super) fn end_of(offset: usize) -> usize {
        (offset / BLOCK + 1) * BLOCK
    }

    /// The naps as they count at a moment.
    pub(super) fn watch(&self, moment: Moment) -> Watch<'_> {
        Watch { naps: self, now: self.milliseconds(moment.now), thaws: moment.thaws & thaw_mask() }
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Naps at the moment of a choice, which is made comparable once and not for each of hundreds of blocks.
#[derive(Clone, Copy)]
pub(super) struct Watch<'n> {
    naps: &'n Naps,
    now: u64,
    thaws: u64,
}

impl Watch<'_> {
    /// Whether everybody in the block of a member is known to rest.
    pub(super) fn is_asleep(&self, offset: usize) -> bool {
        self.naps.blocks.get(offset / BLOCK).is_some_and(|nap| self.counts(nap))
    }

    /// The first place from `offset` on whose block is not known to rest, or one behind the last block.
    pub(super) fn awake_from(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        let later = self.naps.blocks.get(block..).unwrap_or_default();
        match later.iter().position(|nap| !self.counts(nap)) {
            Some(0) => offset,
            Some(passed) => (block + passed) * BLOCK,
            None => offset.max(self.naps.blocks.len() * BLOCK),
        }
    }

    /// How many members are in blocks that are not known to rest, or a few more.
    pub(super) fn awake(&self) -> u64 {
        let blocks = self.naps.blocks.iter().filter(|nap| !self.counts(nap)).count();
        u64::try_from(blocks * BLOCK).unwrap_or(u64::MAX)
    }

    /// Remembers that everybody in the block of a member rests, the first until `wake`.
    pub(super) fn note(&self, offset: usize, wake: Instant) {
        if let Some(nap) = self.naps.blocks.get(offset / BLOCK) {
            let wake = self.naps.milliseconds(wake).min(u64::MAX >> THAW_BITS);
            nap.store(wake << THAW_BITS | self.thaws, Ordering::Relaxed);
        }
    }

    fn counts(&self, nap: &AtomicU64) -> bool {
        let nap = nap.load(Ordering::Relaxed);
        nap & thaw_mask() == self.thaws && nap >> THAW_BITS > self.now
    }
}

fn thaw_mask() -> u64 {
    (1 << THAW_BITS) - 1
}
