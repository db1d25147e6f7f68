//! The push writer: objects and arrays straight into a byte buffer.

use std::borrow::Cow;
use std::sync::Arc;

use super::Str;
use super::reader::{is_special, specials};

/// A text that can be written as a JSON string.
pub trait Words {
    /// Appends it as the inside of a JSON string, without quotes.
    fn write_inside(&self, out: &mut Vec<u8>);

    /// Appends it as a JSON string.
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        self.write_inside(out);
        out.push(b'"');
    }
}

impl Words for str {
    fn write_inside(&self, out: &mut Vec<u8>) {
        escape(out, self);
    }
}

impl Words for Str {
    fn write_inside(&self, out: &mut Vec<u8>) {
        match self.as_written() {
            Some(written) => out.extend_from_slice(written.as_bytes()),
            None => escape(out, self),
        }
    }
}

impl Words for String {
    fn write_inside(&self, out: &mut Vec<u8>) {
        escape(out, self);
    }
}

impl Words for Cow<'_, str> {
    fn write_inside(&self, out: &mut Vec<u8>) {
        escape(out, self);
    }
}

impl Words for Arc<str> {
    fn write_inside(&self, out: &mut Vec<u8>) {
        escape(out, self);
    }
}

impl<W: Words + ?Sized> Words for &W {
    fn write_inside(&self, out: &mut Vec<u8>) {
        (**self).write_inside(out);
    }
}

/// Appends `value` as a JSON string. Only what JSON demands is escaped, so non-ASCII text stays as it is.
pub fn string(out: &mut Vec<u8>, value: &str) {
    value.write(out);
}

/// Appends `value` as the inside of a JSON string, without quotes.
pub fn escape(out: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    out.reserve(rest.len());
    // A window is appended whole and cut behind what needs no escape: a copy of fixed length costs less than two calls.
    while let Some(window) = rest.first_chunk::<16>() {
        let hits = specials(window);
        let start = out.len();
        out.extend_from_slice(window);
        if hits == 0 {
            rest = rest.get(16..).unwrap_or_default();
            continue;
        }
        let run = hits.trailing_zeros() as usize;
        out.truncate(start + run);
        if let Some(byte) = window.get(run) {
            escape_byte(out, *byte);
        }
        rest = rest.get(run + 1..).unwrap_or_default();
    }
    if !rest.iter().copied().any(is_special) {
        return out.extend_from_slice(rest);
    }
    for byte in rest {
        if is_special(*byte) {
            escape_byte(out, *byte);
        } else {
            out.push(*byte);
        }
    }
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    /// What stands behind the backslash.
    #[expect(clippy::indexing_slicing, reason = "a constant that would not compile")]
    const LETTERS: [u8; 256] = {
        let mut letters = [b'u'; 256];
        letters[b'"' as usize] = b'"';
        letters[b'\\' as usize] = b'\\';
        letters[b'\n' as usize] = b'n';
        letters[b'\r' as usize] = b'r';
        letters[b'\t' as usize] = b't';
        letters[0x8] = b'b';
        letters[0xC] = b'f';
        letters
    };
    let letter = LETTERS.get(usize::from(byte)).copied().unwrap_or(b'u');
    out.extend_from_slice(&[b'\\', letter]);
    if letter == b'u' {
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
        out.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Appends an object that `build` fills.
pub fn object(out: &mut Vec<u8>, build: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    build(&mut Object { out, is_first: true });
    out.push(b'}');
}

/// Appends an array that `build` fills.
pub fn array(out: &mut Vec<u8>, build: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    build(&mut Array { out, is_first: true });
    out.push(b']');
}

fn float(out: &mut Vec<u8>, value: f64) {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    if value.fract() == 0.0 && value.abs() < 9e15 {
        out.extend_from_slice(itoa(value as i64).as_bytes());
    } else {
        out.extend_from_slice(
            serde_json::Number::from_f64(value)
                .map_or_else(|| "null".to_owned(), |n| n.to_string())
                .as_bytes(),
        );
    }
}

fn itoa(value: i64) -> String {
    value.to_string()
}

/// An object being written.
#[derive(Debug)]
pub struct Object<'w> {
    out: &'w mut Vec<u8>,
    is_first: bool,
}

impl Object<'_> {
    /// Writes the name of the next member; its value must follow through [`Object::buffer`].
    pub fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        if key.bytes().any(is_special) {
            string(self.out, key);
            self.out.push(b':');
            return;
        }
        self.out.reserve(key.len() + 3);
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// The buffer, for writers that append a value of their own behind [`Object::key`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// A string member.
    pub fn str(&mut self, key: &str, value: &(impl Words + ?Sized)) {
        self.key(key);
        value.write(self.out);
    }

    /// A string member if there is a value.
    pub fn opt_str(&mut self, key: &str, value: Option<&(impl Words + ?Sized)>) {
        if let Some(value) = value {
            self.str(key, value);
        }
    }

    /// A string member, `null` without a value.
    pub fn str_or_null(&mut self, key: &str, value: Option<&(impl Words + ?Sized)>) {
        match value {
            Some(value) => self.str(key, value),
            None => self.null(key),
        }
    }

    /// A member whose value is already JSON text.
    pub fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A raw member if there is a value.
    pub fn opt_raw(&mut self, key: &str, value: Option<&super::Raw>) {
        if let Some(value) = value {
            self.raw(key, value.as_str());
        }
    }

    /// A whole number.
    pub fn u64(&mut self, key: &str, value: u64) {
        self.key(key);
        let text = value.to_string();
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A whole number if there is one.
    pub fn opt_u64(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.u64(key, value);
        }
    }

    /// A signed whole number.
    pub fn i64(&mut self, key: &str, value: i64) {
        self.key(key);
        self.out.extend_from_slice(itoa(value).as_bytes());
    }

    /// A number; whole ones are written without a fraction.
    pub fn f64(&mut self, key: &str, value: f64) {
        self.key(key);
        float(self.out, value);
    }

    /// A number if there is one.
    pub fn opt_f64(&mut self, key: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.f64(key, value);
        }
    }

    /// A boolean.
    pub fn bool(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    /// A boolean if there is one.
    pub fn opt_bool(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.bool(key, value);
        }
    }

    /// A `null`.
    pub fn null(&mut self, key: &str) {
        self.raw(key, "null");
    }

    /// A nested object.
    pub fn object(&mut self, key: &str, build: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        object(self.out, build);
    }

    /// A nested array.
    pub fn array(&mut self, key: &str, build: impl FnOnce(&mut Array<'_>)) {
        self.key(key);
        array(self.out, build);
    }

    /// A nested array if something is written into it; whether that is so.
    pub fn filled_array(&mut self, key: &str, build: impl FnOnce(&mut Array<'_>)) -> bool {
        let (start, was_first) = (self.out.len(), self.is_first);
        let mut is_filled = false;
        self.array(key, |array| {
            build(array);
            is_filled = !array.is_empty();
        });
        if !is_filled {
            self.out.truncate(start);
            self.is_first = was_first;
        }
        is_filled
    }
}

/// An array being written.
#[derive(Debug)]
pub struct Array<'w> {
    out: &'w mut Vec<u8>,
    is_first: bool,
}

impl Array<'_> {
    fn comma(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
    }

    /// True while nothing was written.
    pub fn is_empty(&self) -> bool {
        self.is_first
    }

    /// A string.
    pub fn str(&mut self, value: &(impl Words + ?Sized)) {
        self.comma();
        value.write(self.out);
    }

    /// An element that is already JSON text.
    pub fn raw(&mut self, value: &str) {
        self.comma();
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A whole number.
    pub fn u64(&mut self, value: u64) {
        self.comma();
        let text = value.to_string();
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A number.
    pub fn f64(&mut self, value: f64) {
        self.comma();
        float(self.out, value);
    }

    /// A nested object.
    pub fn object(&mut self, build: impl FnOnce(&mut Object<'_>)) {
        self.comma();
        object(self.out, build);
    }

    /// A nested array.
    pub fn array(&mut self, build: impl FnOnce(&mut Array<'_>)) {
        self.comma();
        array(self.out, build);
    }
}
