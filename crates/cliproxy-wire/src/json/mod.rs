//! Reading and writing JSON without building a tree.
//!
//! A request body of an agent is large (hundreds of kilobytes) and is read once per request, a stream chunk is
//! small and is read thousands of times; both are hot. So the codecs pull values out of the text with a [`Reader`]
//! and push them with [`Object`] and [`Array`]; what a codec does not act on stays a span of the original text
//! ([`Raw`]), which keeps numbers, escapes and member order exactly as they were sent. Compared with deriving
//! `serde` types this also gives an exact path in every error at no cost on the good path, tolerance where the
//! formats need it (a member that may be a string, an object or an array), and lone surrogates, which a strict
//! parser refuses.
//!
//! Trees (`serde_json::Value`) are for cold code inside one function, such as schema cleaning.

mod block;
mod extent;
pub mod patch;
mod reader;
mod shared;
mod sound;
mod writer;
mod written;

pub use reader::{Fragment, Kind, Reader, Surrogates};
pub use shared::{Body, BodyText, Str};
pub use writer::{Array, Object, Words, array, escape, object, string};

use std::fmt;

/// One complete JSON value as text, exactly as it was received or built.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Raw(Str);

impl Raw {
    /// Wraps text that is known to be one valid JSON value (a span taken by [`Reader::raw`], or built by
    /// [`object`] and its relatives).
    pub fn new(text: impl Into<Str>) -> Self {
        Self(text.into())
    }

    /// Checks `text` and wraps it.
    ///
    /// # Errors
    /// When `text` is not exactly one JSON value.
    pub fn parse(text: &str) -> Result<Self, crate::Error> {
        let mut reader = Reader::new(text);
        let span = reader.raw()?;
        reader.finish()?;
        Ok(Self(span.into()))
    }

    /// Builds an object.
    pub fn object(build: impl FnOnce(&mut Object<'_>)) -> Self {
        let mut out = Vec::new();
        object(&mut out, build);
        Self(into_text(out).into())
    }

    /// Builds an array.
    pub fn array(build: impl FnOnce(&mut Array<'_>)) -> Self {
        let mut out = Vec::new();
        array(&mut out, build);
        Self(into_text(out).into())
    }

    /// Builds a JSON string.
    pub fn string(value: &str) -> Self {
        let mut out = Vec::with_capacity(value.len() + 2);
        string(&mut out, value);
        Self(into_text(out).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub fn to_str(&self) -> Str {
        self.0.clone()
    }

    /// The same value, in a memory of its own: see [`Str::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(self.0.detached())
    }

    /// A reader at the start of the value.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.0).with_body(self.0.body())
    }

    /// The kind of the value.
    pub fn kind(&self) -> Kind {
        self.reader().kind()
    }

    /// The value if it is a string.
    pub fn to_text(&self) -> Option<String> {
        (self.kind() == Kind::String).then(|| self.reader().str().ok().map(Into::into)).flatten()
    }

    /// The member `name` of an object; the last one if it occurs twice.
    pub fn get(&self, name: &str) -> Option<Self> {
        self.member(name).map(Self::new)
    }

    /// The text of the member `name` of an object; the last one if it occurs twice.
    pub fn member(&self, name: &str) -> Option<&str> {
        find(&self.0, name, Reader::span)
    }

    /// The names of all members, at every depth and as they are written, each with the text that its value begins.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        sound::Names::new(&self.0)
    }

    /// True for `{}`, `[]`, `""` and `null`.
    pub fn is_empty(&self) -> bool {
        is_empty(&self.0)
    }

    /// The value as a tree, for cold code.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or(serde_json::Value::Null)
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&serde_json::Value> for Raw {
    fn from(value: &serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

/// [`Raw::is_empty`] for a span.
pub(crate) fn is_empty(value: &str) -> bool {
    let mut rest = value.bytes().filter(|byte| !byte.is_ascii_whitespace());
    match (rest.next(), rest.next(), rest.next()) {
        (Some(b'{'), Some(b'}'), None) | (Some(b'['), Some(b']'), None) | (Some(b'"'), Some(b'"'), None) => {
            true
        }
        _ => value.trim() == "null",
    }
}

/// The text of member `name` of the object in `text`, without reading more than needed of the others.
///
/// Returns `None` when `text` is not an object, is malformed before the end, or lacks the member.
pub fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    find(text, name, Reader::raw)
}

/// The last member `name` of the object in `text`; all members are read by `read`.
fn find<'a>(
    text: &'a str,
    name: &str,
    read: impl Fn(&mut Reader<'a>) -> Result<&'a str, crate::Error>,
) -> Option<&'a str> {
    let mut reader = Reader::new(text);
    if reader.kind() != Kind::Object {
        return None;
    }
    let mut found = None;
    reader
        .object(|key, value| {
            let span = read(value)?;
            if key == name {
                found = Some(span);
            }
            Ok(())
        })
        .ok()?;
    found
}

fn into_text(bytes: Vec<u8>) -> String {
    // The writer only ever appends `str` data, so this cannot fail; an empty value is the harmless answer.
    String::from_utf8(bytes).unwrap_or_default()
}

/// A body without its byte order mark.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// The text of a body.
///
/// # Errors
/// When the bytes are not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, crate::Error> {
    simdutf8::basic::from_utf8(bytes).map_err(|_the_other_tells_where| {
        let place = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        crate::Error::malformed(format!("the body is not UTF-8 at byte {place}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_member_of_a_name_counts_whatever_stands_before_it() {
        let text = r#" {"a":[1,{"b":2}], "\u0062" : "x\"}", "a":{ "c":[] } , "d":null}"#;
        let raw = Raw::new(text);
        for (name, value) in
            [("a", Some(r#"{ "c":[] }"#)), ("b", Some(r#""x\"}""#)), ("d", Some("null")), ("c", None)]
        {
            assert_eq!(raw.member(name), value);
            assert_eq!(member(text, name), value);
        }
        assert_eq!(Raw::new("[]").member("a"), None);
        assert_eq!(member(r#"{"a":1,"b":{"c"}}"#, "a"), None);
    }
}
