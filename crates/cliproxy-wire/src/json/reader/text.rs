//! Strings, and pieces of strings.
//!
//! A stream cuts a text wherever it likes, even between the two halves of an escaped surrogate pair; so what a string
//! holds is a [`Fragment`] first, and [`Surrogates`] joins the fragments of one channel. The writer shares
//! what finds the next byte that is special.

use std::borrow::Cow;

use wide::u8x16;

use super::super::shared::{Form, Str};
use super::{Kind, Reader};
use crate::Error;
use crate::json::written::{self, Inside};

/// A piece of text that may begin with the second half or end with the first half of a surrogate pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    low: Option<u16>,
    text: Cow<'a, str>,
    high: Option<u16>,
}

impl Fragment<'_> {
    /// True when it holds nothing, not even half a character.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.low.is_none() && self.high.is_none()
    }

    /// A piece that begins and ends between characters.
    pub const fn whole(text: String) -> Self {
        Self { low: None, text: Cow::Owned(text), high: None }
    }

    /// A piece without text.
    pub const fn empty() -> Self {
        Self { low: None, text: Cow::Borrowed(""), high: None }
    }
}

/// Joins the fragments of one text channel.
#[derive(Clone, Debug, Default)]
pub struct Surrogates {
    pending: Option<u16>,
}

impl Surrogates {
    /// The text that is complete after `fragment`; may be empty.
    pub fn join<'a>(&mut self, fragment: Fragment<'a>) -> Cow<'a, str> {
        let Fragment { low, text, high } = fragment;
        if self.pending.is_none() && low.is_none() {
            self.pending = high;
            return text;
        }
        let mut joined = String::with_capacity(text.len() + 4);
        match (self.pending.take(), low) {
            (Some(first), Some(second)) => joined.push(join(first, second)),
            // An empty fragment in between changes nothing.
            (Some(first), None) if text.is_empty() && high.is_none() => {
                self.pending = Some(first);
                return Cow::Borrowed("");
            }
            (Some(_), None) | (None, Some(_)) => joined.push('\u{FFFD}'),
            (None, None) => {}
        }
        joined.push_str(&text);
        self.pending = high;
        joined.into()
    }

    /// What is left at the end of the channel: U+FFFD for an unmatched half, else nothing.
    pub fn finish(&mut self) -> Option<char> {
        self.pending.take().map(|_| '\u{FFFD}')
    }
}

impl<'a> Reader<'a> {
    /// A string. Borrowed when it holds no escape; lone surrogates become U+FFFD.
    ///
    /// # Errors
    /// When the value is not a string or malformed.
    pub fn str(&mut self) -> Result<Cow<'a, str>, Error> {
        if let Some(text) = self.plain() {
            return Ok(Cow::Borrowed(text));
        }
        let fragment = self.fragment()?;
        if fragment.low.is_none() && fragment.high.is_none() {
            return Ok(fragment.text);
        }
        let mut text = String::with_capacity(fragment.text.len() + 6);
        if fragment.low.is_some() {
            text.push('\u{FFFD}');
        }
        text.push_str(&fragment.text);
        if fragment.high.is_some() {
            text.push('\u{FFFD}');
        }
        Ok(text.into())
    }

    /// A string as it is written, if it is one without escapes: nearly every name and most values.
    pub(super) fn plain(&mut self) -> Option<&'a str> {
        self.space();
        if self.byte() != Some(b'"') {
            return None;
        }
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let end = start + plain_run(bytes.get(start..)?);
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// An owned string.
    ///
    /// # Errors
    /// Those of [`Reader::str`].
    pub fn string(&mut self) -> Result<String, Error> {
        self.str().map(Cow::into_owned)
    }

    /// A string that is kept: a long one stays a piece of its body if the reader has one.
    ///
    /// # Errors
    /// Those of [`Reader::str`].
    pub fn kept(&mut self) -> Result<Str, Error> {
        if self.body.is_none() {
            return self.str().map(Str::from);
        }
        let Some(found) = self.inside().filter(|found| !found.has_halves) else {
            // Half a pair is mended when it is read, so it is read at once.
            return self.str().map(Str::from);
        };
        let start = self.at + 1;
        let range = start..start + found.length;
        let form = if found.is_escaped { Form::Escaped } else { Form::Plain };
        let kept = match self.piece(range.clone(), form) {
            Some(piece) => piece,
            None if found.is_escaped => return self.str().map(Str::from),
            None => self.text.get(range).unwrap_or_default().into(),
        };
        self.at = start + found.length + 1;
        Ok(kept)
    }

    /// The string at the cursor, if it is one and well-formed.
    pub(super) fn inside(&mut self) -> Option<Inside> {
        if self.kind() != Kind::String {
            return None;
        }
        written::inside(self.text.as_bytes().get(self.at + 1..)?)
    }

    /// A string that may be one piece of a text that the sender cut anywhere, even between the two halves of an
    /// escaped surrogate pair. Join the pieces with [`Surrogates`].
    ///
    /// # Errors
    /// When the value is not a string or malformed.
    pub fn fragment(&mut self) -> Result<Fragment<'a>, Error> {
        if self.kind() != Kind::String {
            return Err(self.unexpected("a string"));
        }
        self.at += 1;
        let start = self.at;
        self.at += plain_run(self.rest());
        if self.byte() == Some(b'"') {
            let text = self.text.get(start..self.at).unwrap_or_default();
            self.at += 1;
            return Ok(Fragment { low: None, text: Cow::Borrowed(text), high: None });
        }
        self.escaped(start)
    }

    /// The rest of a string that holds escapes; `start` is its first byte.
    fn escaped(&mut self, start: usize) -> Result<Fragment<'a>, Error> {
        let bytes = self.text.as_bytes();
        // Most of it is copied once more into what keeps it, so too large is better than growing.
        let mut text = Vec::with_capacity(self.rest().len().min(1 << 10) + self.at - start);
        text.extend_from_slice(bytes.get(start..self.at).unwrap_or_default());
        let (mut low, mut high) = (None, None);
        loop {
            // A window is appended whole and cut behind what is plain: a copy of fixed length costs less than a call.
            let rest = bytes.get(self.at..).unwrap_or_default();
            if let Some(window) = rest.first_chunk::<16>() {
                let hits = specials(window);
                let run = if hits == 0 { 16 } else { hits.trailing_zeros() as usize };
                let length = text.len() + run;
                text.extend_from_slice(window);
                text.truncate(length);
                self.at += run;
                if hits == 0 {
                    continue;
                }
            } else {
                let run = plain_run(rest);
                text.extend_from_slice(rest.get(..run).unwrap_or_default());
                self.at += run;
            }
            match bytes.get(self.at) {
                Some(b'\\') => self.at += 1,
                Some(b'"') => {
                    self.at += 1;
                    // Cut at letters of ASCII alone, so this cannot fail.
                    let text = String::from_utf8(text).unwrap_or_default();
                    return Ok(Fragment { low, text: Cow::Owned(text), high });
                }
                Some(_) => return Err(self.syntax("control character in a string")),
                None => return Err(self.syntax("unfinished string")),
            }
            match bytes.get(self.at).copied() {
                Some(b'u') => {
                    self.at += 1;
                    self.unicode(&mut text, &mut low, &mut high)?;
                }
                letter => {
                    let Some(plain) = letter.and_then(unescaped) else {
                        return Err(self.syntax("unknown escape"));
                    };
                    text.push(plain);
                    self.at += 1;
                }
            }
        }
    }

    /// The four digits behind `\u`, as text or as half of a pair. A first half is kept in `high` only where the second
    /// may follow at once, here or in the next fragment.
    fn unicode(
        &mut self,
        text: &mut Vec<u8>,
        low: &mut Option<u16>,
        high: &mut Option<u16>,
    ) -> Result<(), Error> {
        let unit = self.hex()?;
        match (unit, high.take()) {
            (0xDC00..=0xDFFF, Some(first)) => push(text, join(first, unit)),
            (0xDC00..=0xDFFF, None) if text.is_empty() && low.is_none() => *low = Some(unit),
            (0xDC00..=0xDFFF, None) => push(text, '\u{FFFD}'),
            (_, before) => {
                if before.is_some() {
                    push(text, '\u{FFFD}');
                }
                *high = push_unit(text, unit);
            }
        }
        let goes_on = self.rest().starts_with(b"\\u") || self.byte() == Some(b'"');
        if !goes_on && high.take().is_some() {
            push(text, '\u{FFFD}');
        }
        Ok(())
    }

    /// Moves behind a string that nobody reads, checking it.
    pub(super) fn skip_string(&mut self) -> Result<(), Error> {
        self.at += 1;
        loop {
            self.at += plain_run(self.rest());
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.byte() {
                        Some(b'u') => {
                            self.at += 1;
                            self.hex()?;
                        }
                        Some(letter) if unescaped(letter).is_some() => self.at += 1,
                        _ => return Err(self.syntax("unknown escape")),
                    }
                }
                Some(_) => return Err(self.syntax("control character in a string")),
                None => return Err(self.syntax("unfinished string")),
            }
        }
    }

    fn hex(&mut self) -> Result<u16, Error> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|four| four.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|four| u16::from_str_radix(four, 16).ok());
        let Some(unit) = unit else { return Err(self.syntax("a \\u escape needs four hexadecimal digits")) };
        self.at += 4;
        Ok(unit)
    }
}

/// Which bytes of a window are a quote, a backslash or a control character, as bits.
pub(in crate::json) fn specials(window: &[u8; 16]) -> u32 {
    let bytes = u8x16::new(*window);
    let is_control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
    let hits = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\')) | is_control;
    hits.to_bitmask()
}

/// Length of the leading run without quote, backslash or control character: what a string holds, or may hold, as it
/// is.
pub(in crate::json) fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    let (windows, tail) = bytes.as_chunks::<16>();
    for window in windows {
        let hits = specials(window);
        if hits != 0 {
            return at + hits.trailing_zeros() as usize;
        }
        at += 16;
    }
    at + tail.iter().position(|&byte| is_special(byte)).unwrap_or(tail.len())
}

/// Whether a byte cannot stand in a string as it is.
pub(in crate::json) fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// What a letter behind a backslash stands for.
pub(in crate::json) fn unescaped(letter: u8) -> Option<u8> {
    #[expect(clippy::indexing_slicing, reason = "a constant that would not compile")]
    const PLAIN: [u8; 256] = {
        let mut plain = [0; 256];
        plain[b'"' as usize] = b'"';
        plain[b'\\' as usize] = b'\\';
        plain[b'/' as usize] = b'/';
        plain[b'b' as usize] = 0x8;
        plain[b'f' as usize] = 0xC;
        plain[b'n' as usize] = b'\n';
        plain[b'r' as usize] = b'\r';
        plain[b't' as usize] = b'\t';
        plain
    };
    PLAIN.get(usize::from(letter)).copied().filter(|plain| *plain != 0)
}

fn push(text: &mut Vec<u8>, character: char) {
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn push_unit(text: &mut Vec<u8>, unit: u16) -> Option<u16> {
    if (0xD800..=0xDBFF).contains(&unit) {
        return Some(unit);
    }
    push(text, char::from_u32(u32::from(unit)).unwrap_or('\u{FFFD}'));
    None
}

fn join(high: u16, low: u16) -> char {
    let code = 0x1_0000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
    char::from_u32(code).unwrap_or('\u{FFFD}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn surrogates_split_over_fragments_are_joined() {
        let mut channel = Surrogates::default();
        let first = Reader::new(r#""a\ud83d""#).fragment().unwrap();
        let second = Reader::new(r#""\ude00b""#).fragment().unwrap();
        assert_eq!(channel.join(first), "a");
        assert_eq!(channel.join(second), "😀b");
        let lone = Reader::new(r#""\ud83d""#).fragment().unwrap();
        assert_eq!(channel.join(lone), "");
        assert_eq!(channel.finish(), Some('\u{FFFD}'));
    }

    proptest! {
        #[test]
        fn runs_end_where_a_byte_is_special(text in r#"[ -~\n\t\x00\x1f\x20\x7fé"\\\\]{0,50}"#) {
            let expected = text.bytes().position(is_special).unwrap_or(text.len());
            prop_assert_eq!(plain_run(text.as_bytes()), expected);
        }

        #[test]
        fn strings_read_back_as_written(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(Reader::new(&json).string().unwrap(), text.clone());
            let mut out = Vec::new();
            crate::json::string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
