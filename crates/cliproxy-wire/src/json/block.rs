//! What stands where in 64 bytes, as bit masks, one bit a byte.
//!
//! Whoever moves over a large body looks at masks instead of bytes: a block costs the same whatever is in it, and branches
//! are hardly ever mispredicted. What a mask means for a value is said by those who move: `extent`, which looks for an
//! end only, and `reader::skip`, which checks.

use wide::u8x16;

/// The odd places of a mask.
const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;

/// The bytes of a block that `is_hit` says, one bit each.
fn mask(block: &[u8; 64], is_hit: impl Fn(u8x16) -> u8x16) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let bits = |part: &[u8; 16]| u64::from(is_hit(u8x16::new(*part)).to_bitmask());
    parts.iter().zip([0, 16, 32, 48]).fold(0, |mask, (part, shift)| mask | (bits(part) << shift))
}

pub(super) fn quotes(block: &[u8; 64]) -> u64 {
    mask(block, |bytes| bytes.simd_eq(u8x16::splat(b'"')))
}

pub(super) fn backslashes(block: &[u8; 64]) -> u64 {
    mask(block, |bytes| bytes.simd_eq(u8x16::splat(b'\\')))
}

/// Also letters that JSON has in strings only: brackets are told from them where no string is.
pub(super) fn brackets(block: &[u8; 64]) -> u64 {
    // The bits in which the four brackets differ are set, then all of them are 0x7F.
    mask(block, |bytes| (bytes | u8x16::splat(0x26)).simd_eq(u8x16::splat(0x7F)))
}

/// The bytes that no string may hold as they are, white space between values among them.
pub(super) fn controls(block: &[u8; 64]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let least = parts.iter().fold(u8x16::splat(u8::MAX), |least, part| least.min(u8x16::new(*part)));
    let is_control = |bytes: u8x16| bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
    // Most bodies hold none.
    if is_control(least).to_bitmask() == 0 { 0 } else { mask(block, is_control) }
}

/// The places with an odd number of `quotes` up to them: those inside strings, opening quotes included, where the block
/// begins outside of one.
pub(super) fn strings(quotes: u64) -> u64 {
    [1, 2, 4, 8, 16, 32].into_iter().fold(quotes, |strings, shift| strings ^ (strings << shift))
}

/// Tells from block to block what is escaped.
#[derive(Debug, Default)]
pub(super) struct Escapes {
    /// 1 when the next byte is escaped.
    next: u64,
}

impl Escapes {
    /// The places that are behind a backslash that is not itself escaped. A run of backslashes is told from its
    /// parity by the carry of a subtraction.
    pub(super) fn escaped(&mut self, backslashes: u64) -> u64 {
        if backslashes | self.next == 0 {
            return 0;
        }
        let starts = backslashes & !self.next;
        let ends = ((starts << 1) | ODD).wrapping_sub(starts) ^ ODD;
        let escaped = ends ^ (backslashes | self.next);
        self.next = (ends & backslashes) >> 63;
        escaped
    }
}
