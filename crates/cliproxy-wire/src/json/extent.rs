//! Where a container ends, found 64 bytes at a time without looking at what is in it.
//!
//! Most of a large body is of no interest to whoever passes it on. Its end is where as many brackets have closed as
//! opened, outside of strings; both are told from bit masks, one bit a byte, so that a block costs the same whatever
//! is in it and branches are hardly ever mispredicted.

use wide::u8x16;

/// Even and odd places of a mask.
const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;

/// A block as bit masks.
#[derive(Default)]
struct Masks {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Masks {
    fn of(block: &[u8; 64]) -> Self {
        let mut masks = Self::default();
        let (parts, _) = block.as_chunks::<16>();
        for (part, shift) in parts.iter().zip([0, 16, 32, 48]) {
            let bytes = u8x16::new(*part);
            // Square and curly brackets differ in one bit.
            let folded = bytes | u8x16::splat(0x20);
            let mask = |hits: u8x16| u64::from(hits.to_bitmask()) << shift;
            masks.quotes |= mask(bytes.simd_eq(u8x16::splat(b'"')));
            masks.backslashes |= mask(bytes.simd_eq(u8x16::splat(b'\\')));
            masks.opening |= mask(folded.simd_eq(u8x16::splat(b'{')));
            masks.closing |= mask(folded.simd_eq(u8x16::splat(b'}')));
        }
        masks
    }
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

    /// The places inside strings, opening quotes included.
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
    fn block(&mut self, block: &[u8; 64]) -> Option<u32> {
        let masks = Masks::of(block);
        let quotes = masks.quotes & !self.escaped(masks.backslashes);
        let strings = self.strings(quotes);
        let (mut opening, mut closing) = (masks.opening & !strings, masks.closing & !strings);
        while closing.count_ones() >= self.depth && closing != 0 {
            let place = closing.trailing_zeros();
            let before = opening & ((1 << place) - 1);
            self.depth += before.count_ones();
            if self.depth <= 1 {
                return Some(place);
            }
            self.depth -= 1;
            opening ^= before;
            closing &= closing - 1;
        }
        self.depth = self.depth + opening.count_ones() - closing.count_ones();
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
            return Extent::Ends(at + place as usize + 1);
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
        fn agrees_with_a_scan_of_single_bytes(text in r#"[\[{]([\[\]{}"\\a]|\\\\|"[a\[]{1,70}"){0,90}"#) {
            let expected = plainly(text.as_bytes()).map_or(Extent::Unfinished, Extent::Ends);
            prop_assert_eq!(of(text.as_bytes(), u16::MAX), expected);
        }
    }
}
