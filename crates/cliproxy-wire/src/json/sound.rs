//! Where a container ends that is well-formed to its last byte, found by the quotes of 64 bytes at once.
//!
//! Schemas are kept as they were sent, so that all of their many short strings have to be checked and none is read. Here
//! it is told whether all is well, quickly; what is wrong where is told by [`Reader::skip`](super::Reader::skip), which
//! looks again.

use super::block::{Escapes, backslashes, controls, quotes, strings};
use super::reader::unescaped;

/// The length of the container that `bytes` begin with. `None` if it is malformed or nested deeper than 62 levels, and
/// perhaps if what stands directly behind it is malformed.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let mut cursor = Cursor { bytes, at: 0 };
    let mut blocks = Blocks::default();
    // One bit per open level, set for objects, and one above them.
    let mut open = 1u64;
    let mut wants_name = false;
    loop {
        let byte = cursor.next()?;
        if byte == b'"' {
            (_, cursor.at) = blocks.string(bytes)?;
            if wants_name {
                cursor.pass(b':')?;
                wants_name = false;
                continue;
            }
        } else if wants_name {
            return None;
        } else if let b'{' | b'[' = byte {
            open = (open << 1) | u64::from(byte == b'{');
            if open >> 63 != 0 {
                return None;
            }
            cursor.at += 1;
            // In ASCII the closing brackets are two behind the opening ones.
            if cursor.next()? != byte + 2 {
                wants_name = byte == b'{';
                continue;
            }
            cursor.at += 1;
            open >>= 1;
        } else {
            cursor.scalar(byte)?;
        }
        // A value is complete: close what it closes, then go on behind a comma.
        loop {
            if open == 1 {
                return Some(cursor.at);
            }
            let byte = cursor.next()?;
            cursor.at += 1;
            let in_object = open & 1 == 1;
            if byte == b',' {
                wants_name = in_object;
                break;
            }
            if byte != if in_object { b'}' } else { b']' } {
                return None;
            }
            open >>= 1;
        }
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is not white space.
    fn next(&mut self) -> Option<u8> {
        let mut byte = self.byte()?;
        while let b' ' | b'\n' | b'\r' | b'\t' = byte {
            self.at += 1;
            byte = self.byte()?;
        }
        Some(byte)
    }

    /// Moves behind `byte`, which must be next.
    fn pass(&mut self, byte: u8) -> Option<()> {
        if self.next()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Moves behind a literal or number that begins with `first`.
    fn scalar(&mut self, first: u8) -> Option<()> {
        let word: &[u8] = match first {
            b't' => b"true",
            b'f' => b"false",
            b'n' => b"null",
            _ => return self.number(),
        };
        self.at += word.len();
        self.bytes.get(..self.at)?.ends_with(word).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.byte()? == b'-' {
            self.at += 1;
        }
        if self.byte()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte()? == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if let b'e' | b'E' = self.byte()? {
            self.at += 1;
            if let b'+' | b'-' = self.byte()? {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// Moves behind digits, at least one. Something follows: the container ends with a bracket.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte()?.is_ascii_digit() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// The quotes of the text, block by block.
#[derive(Default)]
struct Blocks {
    /// Where the next block begins.
    next: usize,
    /// The quotes of the block before it that begin or end a string and were not passed yet.
    quotes: u64,
    escapes: Escapes,
}

impl Blocks {
    /// Where the next string begins, and the place behind it. Every string of the text is asked for, in order.
    fn string(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        while self.quotes == 0 {
            self.load(bytes, false)?;
        }
        let start = self.next - 64 + self.quotes.trailing_zeros() as usize;
        self.quotes &= self.quotes - 1;
        while self.quotes == 0 {
            self.load(bytes, true)?;
        }
        let end = self.next - 63 + self.quotes.trailing_zeros() as usize;
        self.quotes &= self.quotes - 1;
        Some((start, end))
    }

    /// Reads the next block, which begins inside of a string or outside of all.
    #[inline(never)]
    fn load(&mut self, bytes: &[u8], is_inside: bool) -> Option<()> {
        let rest = bytes.get(self.next..).filter(|rest| !rest.is_empty())?;
        let mut last;
        let block = if let Some(block) = rest.first_chunk() {
            block
        } else {
            last = [b' '; 64];
            last.get_mut(..rest.len())?.copy_from_slice(rest);
            &last
        };
        let mut escaped = self.escapes.escaped(backslashes(block));
        self.quotes = quotes(block) & !escaped;
        let controls = controls(block);
        if controls != 0 {
            let outside = if is_inside { strings(self.quotes) } else { !strings(self.quotes) };
            if controls & !outside != 0 {
                return None;
            }
        }
        while escaped != 0 {
            let place = escaped.trailing_zeros() as usize;
            let letter = *block.get(place)?;
            if unescaped(letter).is_none() && !(letter == b'u' && has_digits(rest, place + 1)) {
                return None;
            }
            escaped &= escaped - 1;
        }
        self.next += 64;
        Some(())
    }
}

/// The member names of a value, at every depth.
pub(super) struct Names<'a> {
    text: &'a str,
    blocks: Blocks,
}

impl<'a> Names<'a> {
    /// Those of `text`, which is known to be valid.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, blocks: Blocks::default() }
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        loop {
            let (start, end) = self.blocks.string(bytes)?;
            let mut cursor = Cursor { bytes, at: end };
            if cursor.pass(b':').and_then(|()| cursor.next()).is_some() {
                return Some((self.text.get(start + 1..end - 1)?, self.text.get(cursor.at..)?));
            }
        }
    }
}

/// Whether the four bytes from `at` are hexadecimal digits.
fn has_digits(bytes: &[u8], at: usize) -> bool {
    let digits = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    digits.is_some_and(|four| four.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Reader;

    /// Where the first value of `text` ends by a strict parser, and by our reader.
    fn ends(text: &str) -> [Option<usize>; 2] {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
        let is_fine = values.next().is_some_and(|value| value.is_ok());
        let mut reader = Reader::new(text);
        let ours = reader.skip().ok().map(|()| reader.position());
        [is_fine.then(|| values.byte_offset()), ours]
    }

    #[test]
    fn what_is_wrong_is_found_at_every_place_of_a_block() {
        let right = ["\\n", "\\\\", "\\\"", "\\u00fF", "é"];
        let wrong = ["\\x", "\n", "\u{1}", "\\u00g0", "\\u00", "\"", "\" \\\""];
        for shift in 0..200 {
            let fill = "x".repeat(shift);
            for inside in right {
                let text = format!("[\n\t{{\"{fill}\": \"{inside}\"}}]");
                assert_eq!(length(text.as_bytes()), Some(text.len()), "{text}");
            }
            for inside in wrong {
                let text = format!("[{{\"{fill}\":\"{inside}\"}}]");
                assert_eq!(length(text.as_bytes()), None, "{text}");
                assert!(Reader::new(&text).skip().is_err(), "{text}");
            }
        }
    }

    #[test]
    fn names_are_found_at_every_depth() {
        let text = r#"{"a" : ["b", {"c\\":"d"}], "e":{"":1}}"#;
        let found: Vec<_> =
            Names::new(text).map(|(name, value)| (name, value.get(..2).unwrap_or_default())).collect();
        assert_eq!(found, [("a", "[\""), ("c\\\\", "\"d"), ("e", "{\""), ("", "1}")]);
        assert_eq!(Names::new("\"a\"").count() + Names::new("7").count() + Names::new("[[]]").count(), 0);
    }

    #[test]
    fn what_follows_is_not_looked_at() {
        for tail in ["\"\\", "\n\u{0}", "}", "\\x"] {
            let text = format!("{{\"a\":[1.5e-3,{{}},null]}}{tail}");
            let mut reader = Reader::new(&text);
            reader.skip().unwrap();
            assert_eq!(reader.position(), text.len() - tail.len());
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_strict_parser(
            text in r#"[\[{]([\[\]{}:,"\\ \n0-2.eE+\-]|"a{1,70}":|"\\[nu\\"x/]?(00e9)?é{0,20}",?|true,|null,|false|[}\]],){0,30}[\]}]?"#
        ) {
            let [strict, ours] = ends(&text);
            prop_assert_eq!(strict, ours);
            prop_assert!(length(text.as_bytes()).is_none_or(|length| strict == Some(length)));
        }

        #[test]
        fn agrees_with_a_strict_parser_where_all_is_well_but_one_byte(
            names in prop::collection::vec(any::<String>(), 0..9), at in any::<prop::sample::Index>(), byte in 0u8..0x7F
        ) {
            let mut value = serde_json::json!({"a": true, "b": [1.25, -3e9, {}], "c": null});
            for name in names {
                value = serde_json::json!({name.clone(): value, "x": [name]});
            }
            let mut text = if at.index(2) == 0 { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(length(text.as_bytes()), Some(text.len()));
            let at = at.index(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                text.replace_range(at..=at, &char::from(byte).to_string());
                let [strict, ours] = ends(&text);
                prop_assert_eq!(strict, ours, "{}", text);
                prop_assert!(length(text.as_bytes()).is_none_or(|length| strict == Some(length)), "{}", text);
            }
        }
    }
}
