//! Where a container ends, found 64 bytes at a time without looking at what is in it.
//!
//! Most of a large body is of no interest to whoever passes it on. Its end is where as many brackets have closed as
//! opened, outside of strings; both are told from bit masks, one bit a byte, so that a block costs the same whatever
//! is in it and branches are hardly ever mispredicted.

use wide::u8x16;

/// The odd places of a mask.
const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;

/// The bytes of a block that `is_hit` says, one bit each.
fn mask(block: &[u8; 64], is_hit: impl Fn(u8x16) -> u8x16) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let bits = |part: &[u8; 16]| u64::from(is_hit(u8x16::new(*part)).to_bitmask());
    parts.iter().zip([0, 16, 32, 48]).fold(0, |mask, (part, shift)| mask | (bits(part) << shift))
}

fn quotes(block: &[u8; 64]) -> u64 {
    mask(block, |bytes| bytes.simd_eq(u8x16::splat(b'"')))
}

fn backslashes(block: &[u8; 64]) -> u64 {
    mask(block, |bytes| bytes.simd_eq(u8x16::splat(b'\\')))
}

/// Also letters that JSON has in strings only: brackets are told from them where no string is.
fn brackets(block: &[u8; 64]) -> u64 {
    // The bits in which the four brackets differ are set, then all of them are 0x7F.
    mask(block, |bytes| (bytes | u8x16::splat(0x26)).simd_eq(u8x16::splat(0x7F)))
}

/// What is carried from block to block.
#[derive(Default)]
struct Scan {
    depth: u32,
    /// 1 when the next byte is escaped.
    escapes_next: u64,
    /// All ones inside a string.
    in_string: u64,
}

impl Scan {
    /// The places that are behind a backslash that is not itself escaped. A run of backslashes is told from its
    /// parity by the carry of a subtraction.
    fn escaped(&mut self, backslashes: u64) -> u64 {
        if backslashes | self.escapes_next == 0 {
            return 0;
        }
        let starts = backslashes & !self.escapes_next;
        let ends = ((starts << 1) | ODD).wrapping_sub(starts) ^ ODD;
        let escaped = ends ^ (backslashes | self.escapes_next);
        self.escapes_next = (ends & backslashes) >> 63;
        escaped
    }

    /// The places inside strings, opening quotes included: those with an odd number of quotes up to them.
    fn strings(&mut self, quotes: u64) -> u64 {
        let mut strings = quotes;
        for shift in [1, 2, 4, 8, 16, 32] {
            strings ^= strings << shift;
        }
        strings ^= self.in_string;
        self.in_string = 0u64.wrapping_sub(strings >> 63);
        strings
    }

    /// Reads a block; the place of the bracket that ends the container, if it is in there.
    fn block(&mut self, block: &[u8; 64]) -> Option<usize> {
        let quotes = quotes(block) & !self.escaped(backslashes(block));
        // Most of a large body is inside of long strings.
        if quotes == 0 && self.in_string != 0 {
            return None;
        }
        let mut brackets = brackets(block) & !self.strings(quotes);
        while brackets != 0 {
            let place = brackets.trailing_zeros() as usize;
            match block.get(place) {
                Some(b'[' | b'{') => self.depth += 1,
                Some(b']' | b'}') if self.depth <= 1 => return Some(place),
                Some(b']' | b'}') => self.depth -= 1,
                // No JSON; whoever reads it will say so.
                _ => {}
            }
            brackets &= brackets - 1;
        }
        None
    }
}

/// How a container goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// It is so many bytes long.
    Ends(usize),
    /// The text ends first.
    Unfinished,
    /// It is nested deeper than allowed.
    TooDeep,
}

/// The length of the container that `bytes` begin with. Brackets of the wrong kind are not noticed.
pub(super) fn of(bytes: &[u8], max_depth: u16) -> Extent {
    let mut scan = Scan::default();
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut last = [b' '; 64];
    if let Some(start) = last.get_mut(..rest.len()) {
        start.copy_from_slice(rest);
    }
    let mut at = 0;
    for block in blocks.iter().chain(Some(&last)) {
        if let Some(place) = scan.block(block) {
            return Extent::Ends(at + place + 1);
        }
        if scan.depth > u32::from(max_depth) {
            return Extent::TooDeep;
        }
        at += 64;
    }
    Extent::Unfinished
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, a byte at a time.
    fn plainly(bytes: &[u8]) -> Option<usize> {
        let (mut depth, mut in_string, mut is_escaped) = (0, false, false);
        for (at, byte) in bytes.iter().enumerate() {
            let was_escaped = is_escaped;
            is_escaped = *byte == b'\\' && !was_escaped;
            match byte {
                b'"' if !was_escaped => in_string = !in_string,
                b'[' | b'{' if !in_string => depth += 1,
                b']' | b'}' if !in_string => {
                    depth -= 1;
                    if depth <= 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    #[test]
    fn strings_hide_brackets_and_escapes_hide_quotes_at_every_place_of_a_block() {
        for shift in 0..200 {
            let text = format!("[{}\"]\\\"}}\\\\\",{{}}]tail", " ".repeat(shift));
            assert_eq!(of(text.as_bytes(), 9), Extent::Ends(text.len() - 4), "{shift}");
        }
    }

    #[test]
    fn what_does_not_end_or_is_too_deep_is_told() {
        assert_eq!(of(b"[\"]", 9), Extent::Unfinished);
        assert_eq!(of(b"", 9), Extent::Unfinished);
        assert_eq!(of("[".repeat(200).as_bytes(), 128), Extent::TooDeep);
    }

    proptest! {
        #[test]
        fn agrees_with_a_scan_of_single_bytes(text in r#"[\[{]([\[\]{}"\\ay_Y]|\\\\|"[a\[]{1,70}"){0,40}"#) {
            let expected = plainly(text.as_bytes()).map_or(Extent::Unfinished, Extent::Ends);
            prop_assert_eq!(of(text.as_bytes(), u16::MAX), expected);
        }
    }
}
