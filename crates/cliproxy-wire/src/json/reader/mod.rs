//! The pull reader. See the module above for why it exists.
//!
//! Here are the cursor, what objects and arrays are walked with, and numbers. Strings, which may be cut anywhere, are in
//! `text`; how a value that nobody reads is checked or passed over is in `skip`.

mod skip;
mod text;

pub use text::{Fragment, Surrogates};
pub(super) use text::{is_special, specials, unescaped};

use std::borrow::Cow;
use std::ops::Range;

use super::shared::{BodyText, Form, Str};
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
    pub(crate) fn noun(self) -> &'static str {
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
    /// Where the text comes from, when what is kept of it may stay there.
    body: Option<&'a BodyText>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, body: None }
    }

    /// A reader whose [`Reader::kept`] texts stay pieces of `body`.
    pub fn of(body: &'a BodyText) -> Self {
        Self { body: Some(body), ..Self::new(body.as_str()) }
    }

    pub(in crate::json) fn with_body(self, body: Option<&'a BodyText>) -> Self {
        Self { body, ..self }
    }

    /// A reader over bytes; a byte order mark is skipped.
    ///
    /// # Errors
    /// When the bytes are not UTF-8.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        let bytes = super::without_mark(bytes);
        super::text(bytes).map(Self::new)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
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
        Error::syntax(format!("not valid JSON: {what} at byte {}", self.at))
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
            let key = match self.plain() {
                Some(name) => Cow::Borrowed(name),
                None => self.str()?,
            };
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

    /// The next value, kept: a long one stays a piece of its body if it has one.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn kept_raw(&mut self) -> Result<super::Raw, Error> {
        self.space();
        let start = self.at;
        self.skip()?;
        Ok(self.kept_since(start))
    }

    /// The value that was read from `start`, a [`Reader::position`], to where the cursor stands; kept as
    /// [`Reader::kept_raw`] does.
    pub(crate) fn kept_since(&self, start: usize) -> super::Raw {
        let text = self.text.get(start..self.at).unwrap_or_default();
        super::Raw::new(self.piece(start..self.at, Form::Value).unwrap_or_else(|| text.into()))
    }

    fn piece(&self, range: Range<usize>, form: Form) -> Option<Str> {
        self.body.and_then(|body| body.piece(range, form))
    }

    /// Whether what is kept may stay a piece of a body.
    pub(crate) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Where the cursor stands, in bytes from the start of the text.
    pub fn position(&self) -> usize {
        self.at
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

    proptest! {
        #[test]
        fn accepts_what_a_strict_parser_accepts_and_nothing_more(text in r#"[\[\]{}:,"\\a-c0-2.eE+\- tfnrulse\n]{0,40}"#) {
            let strict = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let mut reader = Reader::new(&text);
            let ours = reader.skip().and_then(|()| reader.finish()).is_ok();
            prop_assert_eq!(strict, ours);
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let mut reader = Reader::new(&text);
            let _ignored = reader.object(|_, value| value.skip());
        }
    }
}
