//! The pull reader. See the module above for why it exists.

use std::borrow::Cow;

use super::extent::{self, Extent};
use crate::Error;

/// Deeper nesting than any client or provider sends; a bound on the stack.
const MAX_DEPTH: u16 = 128;

/// What the next value is, judged by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
    /// Nothing, or a byte that starts no value.
    Invalid,
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
            Self::Invalid => "something that is not JSON",
        }
    }
}

/// A cursor over JSON text.
///
/// Every method that reads a value leaves the cursor behind it. Errors carry the path from the outermost value
/// that was read through [`Reader::object`] and [`Reader::array`].
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u16,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// A reader over bytes; a byte order mark is skipped.
    ///
    /// # Errors
    /// When the bytes are not UTF-8.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(text)),
            Err(error) => {
                Err(Error::malformed(format!("the body is not UTF-8 at byte {}", error.valid_up_to())))
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// The kind of the next value.
    pub fn kind(&mut self) -> Kind {
        self.space();
        match self.byte() {
            Some(b'n') => Kind::Null,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b'"') => Kind::String,
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            _ => Kind::Invalid,
        }
    }

    fn unexpected(&mut self, expected: &str) -> Error {
        let found = self.kind();
        if self.byte().is_none() {
            return self.syntax("the text ends in the middle of a value");
        }
        if found == Kind::Invalid {
            return self.syntax("invalid JSON");
        }
        Error::malformed(format!("expected {expected}, found {}", found.noun()))
    }

    fn syntax(&self, what: &str) -> Error {
        Error::syntax(format!("{what} at byte {}", self.at))
    }

    /// Reads an object, calling `each` with the name and the reader at the value of every member.
    ///
    /// A value that `each` does not read is skipped. Duplicate names are passed as they come, so that the last one
    /// wins when it is assigned.
    ///
    /// # Errors
    /// When the value is not an object, is malformed, or `each` fails; the error's path gets the member's name.
    pub fn object(
        &mut self,
        mut each: impl FnMut(&str, &mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.kind() != Kind::Object {
            return Err(self.unexpected("an object"));
        }
        self.enter()?;
        self.space();
        if self.byte() == Some(b'}') {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            self.space();
            if self.byte() != Some(b'"') {
                return Err(self.syntax("expected a member name"));
            }
            let key = self.str()?;
            self.space();
            if self.byte() != Some(b':') {
                return Err(self.syntax("expected a colon"));
            }
            self.at += 1;
            self.space();
            let start = self.at;
            each(&key, self).map_err(|error| error.under_key(&key))?;
            if self.at == start {
                self.skip().map_err(|error| error.under_key(&key))?;
            }
            self.space();
            match self.byte() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    self.depth -= 1;
                    return Ok(());
                }
                _ => return Err(self.syntax("expected a comma or the end of an object")),
            }
        }
    }

    /// Reads an array, calling `each` with the index and the reader at every element. An element that `each` does
    /// not read is skipped.
    ///
    /// # Errors
    /// When the value is not an array, is malformed, or `each` fails; the error's path gets the index.
    pub fn array(
        &mut self,
        mut each: impl FnMut(usize, &mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.kind() != Kind::Array {
            return Err(self.unexpected("an array"));
        }
        self.enter()?;
        self.space();
        if self.byte() == Some(b']') {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        let mut index = 0;
        loop {
            self.space();
            let start = self.at;
            each(index, self).map_err(|error| error.under_index(index))?;
            if self.at == start {
                self.skip().map_err(|error| error.under_index(index))?;
            }
            index += 1;
            self.space();
            match self.byte() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    self.depth -= 1;
                    return Ok(());
                }
                _ => return Err(self.syntax("expected a comma or the end of an array")),
            }
        }
    }

    /// The first element of an array, as it is written. The cursor is left behind it, inside of the array.
    ///
    /// # Errors
    /// When the value is not an array, or the element is malformed.
    pub fn first(&mut self) -> Result<Option<&'a str>, Error> {
        if self.kind() != Kind::Array {
            return Err(self.unexpected("an array"));
        }
        self.enter()?;
        self.space();
        if self.byte() == Some(b']') {
            return Ok(None);
        }
        self.raw().map(Some).map_err(|error| error.under_index(0))
    }

    fn enter(&mut self) -> Result<(), Error> {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// `None` for `null`, which then is consumed; otherwise what `read` gives. Clients serialize absent members as
    /// `null`, so nearly every optional member is read through this.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn opt<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<Option<T>, Error> {
        if self.kind() == Kind::Null {
            self.skip()?;
            return Ok(None);
        }
        read(self).map(Some)
    }

    /// A boolean.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn bool(&mut self) -> Result<bool, Error> {
        match self.kind() {
            Kind::Bool => {}
            _ => return Err(self.unexpected("true or false")),
        }
        let span = self.raw()?;
        Ok(span == "true")
    }

    /// The text of a number, as written.
    ///
    /// # Errors
    /// When the value is not a number.
    pub fn number(&mut self) -> Result<&'a str, Error> {
        if self.kind() != Kind::Number {
            return Err(self.unexpected("a number"));
        }
        self.raw()
    }

    /// A finite number.
    ///
    /// # Errors
    /// When the value is not a number or out of range.
    pub fn f64(&mut self) -> Result<f64, Error> {
        let text = self.number()?;
        text.parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .ok_or_else(|| Error::malformed("the number is out of range"))
    }

    /// An integer; `1024.0` and `1e3` count as integers.
    ///
    /// # Errors
    /// When the value is not a whole number that fits.
    pub fn i64(&mut self) -> Result<i64, Error> {
        let text = self.number()?;
        if let Ok(number) = text.parse::<i64>() {
            return Ok(number);
        }
        match text.parse::<f64>() {
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
            Ok(number) if number.fract() == 0.0 && number.abs() < 9e15 => Ok(number as i64),
            _ => Err(Error::malformed("expected a whole number")),
        }
    }

    /// A whole number that is not negative.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn u64(&mut self) -> Result<u64, Error> {
        let number = self.i64()?;
        u64::try_from(number).map_err(|_negative| Error::malformed("expected a number that is not negative"))
    }

    /// A string. Borrowed when it holds no escape; lone surrogates become U+FFFD.
    ///
    /// # Errors
    /// When the value is not a string or malformed.
    pub fn str(&mut self) -> Result<Cow<'a, str>, Error> {
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

    /// An owned string.
    ///
    /// # Errors
    /// Those of [`Reader::str`].
    pub fn string(&mut self) -> Result<String, Error> {
        self.str().map(Cow::into_owned)
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

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The rest of a string that holds escapes; `start` is its first byte.
    fn escaped(&mut self, start: usize) -> Result<Fragment<'a>, Error> {
        // Most of it is copied once more into what keeps it, so too large is better than growing.
        let mut text = String::with_capacity(self.rest().len().min(1 << 10) + self.at - start);
        text.push_str(self.text.get(start..self.at).unwrap_or_default());
        let mut low = None;
        let mut high: Option<u16> = None;
        loop {
            let run = plain_run(self.rest());
            if run > 0 {
                give_up(&mut high, &mut text);
                text.push_str(self.text.get(self.at..self.at + run).unwrap_or_default());
                self.at += run;
            }
            match self.byte() {
                Some(b'\\') => self.at += 1,
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Fragment { low, text: Cow::Owned(text), high });
                }
                Some(_) => return Err(self.syntax("control character in a string")),
                None => return Err(self.syntax("unfinished string")),
            }
            match self.byte() {
                Some(b'u') => {
                    self.at += 1;
                    self.unicode(&mut text, &mut low, &mut high)?;
                }
                letter => {
                    let Some(plain) = letter.and_then(unescaped) else {
                        return Err(self.syntax("unknown escape"));
                    };
                    give_up(&mut high, &mut text);
                    text.push(plain);
                    self.at += 1;
                }
            }
        }
    }

    /// The four digits behind `\u`, as text or as half of a pair.
    fn unicode(
        &mut self,
        text: &mut String,
        low: &mut Option<u16>,
        high: &mut Option<u16>,
    ) -> Result<(), Error> {
        let unit = self.hex()?;
        match (unit, high.take()) {
            (0xDC00..=0xDFFF, Some(first)) => text.push(join(first, unit)),
            (0xDC00..=0xDFFF, None) if text.is_empty() && low.is_none() => *low = Some(unit),
            (0xDC00..=0xDFFF, None) => text.push('\u{FFFD}'),
            (_, Some(_)) => {
                text.push('\u{FFFD}');
                *high = push_unit(text, unit);
            }
            (_, None) => *high = push_unit(text, unit),
        }
        Ok(())
    }

    fn hex(&mut self) -> Result<u16, Error> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|four| four.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|four| u16::from_str_radix(four, 16).ok());
        let Some(unit) = unit else { return Err(self.syntax("a \\u escape needs four hexadecimal digits")) };
        self.at += 4;
        Ok(unit)
    }

    /// The next value as the text it was written in, checked to be valid JSON.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn raw(&mut self) -> Result<&'a str, Error> {
        self.space();
        let start = self.at;
        self.skip()?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// The next value, owned.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn to_raw(&mut self) -> Result<super::Raw, Error> {
        self.raw().map(super::Raw::new)
    }

    /// Where the cursor stands, in bytes from the start of the text.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Moves behind the next value, checking it.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn skip(&mut self) -> Result<(), Error> {
        // One bit per open level, set for objects: no allocation, and the depth limit makes 128 bits enough.
        let mut objects = 0u128;
        let floor = self.depth;
        loop {
            self.space();
            match self.byte() {
                Some(b'"') => self.skip_string()?,
                Some(b'{') => {
                    self.enter()?;
                    self.space();
                    if self.byte() == Some(b'}') {
                        self.at += 1;
                        self.depth -= 1;
                    } else {
                        objects = (objects << 1) | 1;
                        self.member_name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter()?;
                    self.space();
                    if self.byte() == Some(b']') {
                        self.at += 1;
                        self.depth -= 1;
                    } else {
                        objects <<= 1;
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.skip_number()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                Some(_) => return Err(self.syntax("invalid JSON")),
                None => return Err(self.syntax("the text ends in the middle of a value")),
            }
            // A value is complete: close what it closes, then go on behind a comma.
            loop {
                if self.depth == floor {
                    return Ok(());
                }
                self.space();
                let in_object = objects & 1 == 1;
                match self.byte() {
                    Some(b',') => {
                        self.at += 1;
                        if in_object {
                            self.member_name()?;
                        }
                        break;
                    }
                    Some(b'}') if in_object => {}
                    Some(b']') if !in_object => {}
                    _ => return Err(self.syntax("expected a comma or a closing bracket")),
                }
                self.at += 1;
                self.depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// Moves behind the next value, looking only for its end: whether what is inside an object or array is well-formed
    /// is left to whoever reads it. Several times as fast as [`Reader::skip`].
    ///
    /// # Errors
    /// When the text ends first, or the value is nested too deep.
    pub fn pass_over(&mut self) -> Result<(), Error> {
        if !matches!(self.kind(), Kind::Object | Kind::Array) {
            return self.skip();
        }
        match extent::of(self.rest(), MAX_DEPTH - self.depth) {
            Extent::Ends(length) => {
                self.at += length;
                Ok(())
            }
            Extent::Unfinished => {
                self.at = self.text.len();
                Err(self.syntax("the text ends in the middle of a value"))
            }
            Extent::TooDeep => Err(too_deep()),
        }
    }

    fn member_name(&mut self) -> Result<(), Error> {
        self.space();
        if self.byte() != Some(b'"') {
            return Err(self.syntax("expected a member name"));
        }
        self.skip_string()?;
        self.space();
        if self.byte() != Some(b':') {
            return Err(self.syntax("expected a colon"));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_string(&mut self) -> Result<(), Error> {
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

    fn skip_number(&mut self) -> Result<(), Error> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.syntax("invalid number")),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            if !matches!(self.byte(), Some(b'0'..=b'9')) {
                return Err(self.syntax("invalid number"));
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            if !matches!(self.byte(), Some(b'0'..=b'9')) {
                return Err(self.syntax("invalid number"));
            }
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), Error> {
        if self.rest().starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.syntax("invalid JSON"))
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    /// When something follows.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.space();
        if self.at < self.text.len() {
            return Err(self.syntax("unexpected text after the value"));
        }
        Ok(())
    }
}

fn too_deep() -> Error {
    Error::malformed(format!("nested deeper than {MAX_DEPTH} levels"))
}

/// Length of the leading run without quote, backslash or control character: what a string holds, or may hold, as it
/// is. Eight bytes at a time.
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    let (chunks, tail) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        // The classic "has a zero byte" and "has a byte below n" tests; false positives are impossible for the
        // lowest hit, which is the one that counts.
        let hit = ((quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGHS;
        if hit != 0 {
            return at + hit.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + tail.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20).unwrap_or(tail.len())
}

/// What a letter behind a backslash stands for.
fn unescaped(letter: u8) -> Option<char> {
    Some(match letter {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}

/// A first half that something other than a second half follows.
fn give_up(high: &mut Option<u16>, text: &mut String) {
    if high.take().is_some() {
        text.push('\u{FFFD}');
    }
}

fn push_unit(text: &mut String, unit: u16) -> Option<u16> {
    if (0xD800..=0xDBFF).contains(&unit) {
        return Some(unit);
    }
    text.push(char::from_u32(u32::from(unit)).unwrap_or('\u{FFFD}'));
    None
}

fn join(high: u16, low: u16) -> char {
    let code = 0x1_0000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
    char::from_u32(code).unwrap_or('\u{FFFD}')
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_strings_and_nesting_are_read_in_one_pass() {
        let mut reader =
            Reader::new(r#" {"a": [1, 2.0, -3e0], "b": "x\u00e9\n\ud83d\ude00", "c": {"d": null}} "#);
        let mut numbers = Vec::new();
        let mut text = String::new();
        reader
            .object(|key, value| match key {
                "a" => value.array(|_, element| {
                    numbers.push(element.i64()?);
                    Ok(())
                }),
                "b" => {
                    text = value.string()?;
                    Ok(())
                }
                _ => Ok(()),
            })
            .unwrap();
        reader.finish().unwrap();
        assert_eq!(numbers, [1, 2, -3]);
        assert_eq!(text, "xé\n😀");
    }

    #[test]
    fn errors_name_the_path() {
        let mut reader = Reader::new(r#"{"messages":[{"content":"a"},{"content":5}]}"#);
        let error = reader
            .object(|_, messages| {
                messages.array(|_, message| message.object(|_, content| content.string().map(drop)))
            })
            .unwrap_err();
        assert_eq!(error.path().as_deref(), Some("messages[1].content"));
        assert!(error.message().contains("expected a string, found a number"), "{error}");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(100_000);
        assert!(Reader::new(&deep).skip().is_err());
        let fine = format!("{}{}", "[".repeat(100), "]".repeat(100));
        Reader::new(&fine).skip().unwrap();
    }

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
        fn accepts_what_a_strict_parser_accepts_and_nothing_more(text in r#"[\[\]{}:,"\\a-c0-2.eE+\- tfnrulse\n]{0,40}"#) {
            let strict = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let mut reader = Reader::new(&text);
            let ours = reader.skip().and_then(|()| reader.finish()).is_ok();
            prop_assert_eq!(strict, ours);
        }

        #[test]
        fn strings_read_back_as_written(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(Reader::new(&json).string().unwrap(), text.clone());
            let mut out = Vec::new();
            crate::json::string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let mut reader = Reader::new(&text);
            let _ignored = reader.object(|_, value| value.skip());
        }
    }
}
