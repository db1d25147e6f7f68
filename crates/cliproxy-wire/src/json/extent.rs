//! Where a container ends, found 64 bytes at a time without looking at what is in it.
//!
//! Most of a large body is of no interest to whoever passes it on. Its end is where as many brackets have closed as
//! opened, outside of strings; both are told from the masks of `block`.

use super::block::{Escapes, backslashes, brackets, quotes, strings};

/// What is carried from block to block.
#[derive(Default)]
struct Scan {
    depth: u32,
    escapes: Escapes,
    /// All ones inside a string.
    in_string: u64,
}

impl Scan {
    /// The places inside strings, opening quotes included.
    fn strings(&mut self, quotes: u64) -> u64 {
        let strings = strings(quotes) ^ self.in_string;
        self.in_string = 0u64.wrapping_sub(strings >> 63);
        strings
    }

    /// Reads a block; the place of the bracket that ends the container, if it is in there.
    fn block(&mut self, block: &[u8; 64]) -> Option<usize> {
        let quotes = quotes(block) & !self.escapes.escaped(backslashes(block));
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
