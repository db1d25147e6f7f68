//! Where a string ends, and whether it may stay as it is written, found 64 bytes at a time.
//!
//! Most of a large body is inside of long strings. They are checked and left where they are; what is wrong where is told
//! by whoever reads them after this has found nothing.

use super::block::{Escapes, backslashes, controls, quotes};
use super::reader::unescaped;

/// The inside of a string that is well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    /// In bytes, up to the closing quote.
    pub(super) length: usize,
    /// It holds escapes.
    pub(super) is_escaped: bool,
    /// Among them are halves of surrogate pairs, together or alone.
    pub(super) has_halves: bool,
}

/// The string whose opening quote is before `bytes`; `None` if it is malformed.
pub(super) fn inside(bytes: &[u8]) -> Option<Inside> {
    let mut found = Inside { length: 0, is_escaped: false, has_halves: false };
    let mut escapes = Escapes::default();
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut last = [b' '; 64];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    for block in blocks.iter().chain((!rest.is_empty()).then_some(&last)) {
        let escaped = escapes.escaped(backslashes(block));
        let quotes = quotes(block) & !escaped;
        // All before the first quote.
        let inside = quotes.wrapping_sub(1) & !quotes;
        if controls(block) & inside != 0 {
            return None;
        }
        found.check(escaped & inside, block, bytes)?;
        if quotes != 0 {
            found.length += quotes.trailing_zeros() as usize;
            return Some(found);
        }
        found.length += 64;
    }
    None
}

impl Inside {
    /// Looks at the letters behind the backslashes of a block; `None` if one of them is no escape.
    fn check(&mut self, mut escaped: u64, block: &[u8; 64], bytes: &[u8]) -> Option<()> {
        self.is_escaped |= escaped != 0;
        while escaped != 0 {
            let place = escaped.trailing_zeros() as usize;
            let letter = *block.get(place)?;
            if letter == b'u' {
                let four = bytes.get(self.length + place + 1..)?.first_chunk::<4>()?;
                if !four.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                self.has_halves |= matches!(four, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
            } else {
                unescaped(letter)?;
            }
            escaped &= escaped - 1;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wrong_is_found_at_every_place_of_a_block() {
        for shift in 0..200 {
            let fill = "x".repeat(shift);
            for (text, is_escaped, has_halves) in [
                ("", false, false),
                (r"\n", true, false),
                (r"\\", true, false),
                (r#"\""#, true, false),
                (r"\u00e9", true, false),
                (r"\ud7ff", true, false),
                (r"\ud83d\ude00", true, true),
                (r"\uDE00", true, true),
            ] {
                let written = format!("{fill}{text}");
                let found = Inside { length: written.len(), is_escaped, has_halves };
                assert_eq!(
                    inside(format!("{written}\"{}", "\n".repeat(70)).as_bytes()),
                    Some(found),
                    "{written}"
                );
                assert_eq!(inside(format!("{written}\"").as_bytes()), Some(found), "{written}");
                assert_eq!(inside(written.as_bytes()), None, "{written}");
            }
            for wrong in ["\\", "\\x\"", "\n\"", "\\u00g0\"", "\\u00\"", "\\u\"", "\u{1}\""] {
                assert_eq!(inside(format!("{fill}{wrong}").as_bytes()), None, "{wrong}");
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_strict_parser(text in r#"([a-z]{0,70}|\\[nu\\"x/]?(00e9|d83d)?|é|"|\n){0,12}"#) {
            let json = format!("\"{text}");
            let mut values = serde_json::Deserializer::from_str(&json).into_iter::<serde_json::Value>();
            // Half a pair is an error there.
            prop_assume!(!text.contains(r"\ud"));
            let strict = values.next().is_some_and(|value| value.is_ok()).then(|| values.byte_offset() - 2);
            prop_assert_eq!(inside(text.as_bytes()).map(|found| found.length), strict);
        }
    }
}
