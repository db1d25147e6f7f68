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

/// What the inside of a string says that was found well-formed and without halves of pairs; `None` for any other.
pub(super) fn plain(inside: &str) -> Option<String> {
    let mut plain =
        Plain { inside: inside.as_bytes(), read: 0, text: vec![0; inside.len() + WINDOW], length: 0 };
    let mut escapes = Escapes::default();
    let (blocks, rest) = plain.inside.as_chunks::<64>();
    let mut last = [b' '; 64];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    for (at, block) in blocks.iter().chain([&last]).enumerate() {
        let backslashes = backslashes(block);
        let mut starts = backslashes & !escapes.escaped(backslashes);
        while starts != 0 {
            plain.escape(64 * at + starts.trailing_zeros() as usize)?;
            starts &= starts - 1;
        }
    }
    plain.copy(inside.len())?;
    let Plain { mut text, length, .. } = plain;
    text.truncate(length);
    String::from_utf8(text).ok()
}

/// As many bytes are copied at once; a copy of fixed length costs less than a call.
const WINDOW: usize = 16;

/// A string being freed of its escapes.
struct Plain<'a> {
    inside: &'a [u8],
    /// So much of it is done.
    read: usize,
    /// With room for a window behind what may come.
    text: Vec<u8>,
    length: usize,
}

impl Plain<'_> {
    /// Takes what is before `end` as it is.
    fn copy(&mut self, end: usize) -> Option<()> {
        let length = end.checked_sub(self.read)?;
        let (from, to) = (self.inside.get(self.read..)?, self.text.get_mut(self.length..)?);
        match (from.first_chunk::<WINDOW>(), to.first_chunk_mut::<WINDOW>()) {
            (Some(from), Some(to)) if length <= WINDOW => *to = *from,
            _ => to.get_mut(..length)?.copy_from_slice(from.get(..length)?),
        }
        self.read = end;
        self.length += length;
        Some(())
    }

    /// Takes what is before the escape at `start`, and what the escape stands for.
    fn escape(&mut self, start: usize) -> Option<()> {
        self.copy(start)?;
        let letter = *self.inside.get(start + 1)?;
        self.read = start + 2;
        if letter != b'u' {
            *self.text.get_mut(self.length)? = unescaped(letter)?;
            self.length += 1;
            return Some(());
        }
        let digits = std::str::from_utf8(self.inside.get(self.read..self.read + 4)?).ok()?;
        let letter = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        let room = self.text.get_mut(self.length..)?.first_chunk_mut::<4>()?;
        self.read += 4;
        self.length += letter.encode_utf8(room).len();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Reader;

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

    #[test]
    fn halves_and_what_is_no_escape_have_no_plain_text() {
        for text in [r"\ud83d", r"\ud83d\ude00", r"\x", r"\u00g0", r"\u00", r"\"] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_plain_text_is_what_the_reader_reads(text in r#"([a-zé😀]{0,40}|[a-z]{16}|\\[nrtbf/\\"]|\\u(00e9|20ac|0041)){0,40}"#) {
            let read = Reader::new(&format!("\"{text}\"")).string().unwrap();
            prop_assert_eq!(plain(&text), Some(read));
        }

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
