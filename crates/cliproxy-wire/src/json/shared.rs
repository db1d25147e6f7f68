//! Text that many hold: [`Str`].
//!
//! Most of a large request is text that nobody looks into: it is read from one body and written into another. So a long
//! string is not copied out of the body, and not freed of its escapes to have them put back: it stays a piece of the
//! body as it is written there, and becomes plain text when somebody first asks. Short strings are copied; a handle on
//! the body would cost more.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use yoke::Yoke;

use super::written;
use crate::Error;

/// Shared text; cloning it costs a count.
///
/// Behaves as the plain text it holds. It may keep the whole body alive that it was read from: what outlives a request
/// keeps [`Str::detached`] copies.
#[derive(Clone)]
pub struct Str(Inner);

#[derive(Clone)]
enum Inner {
    /// Plain text of its own.
    Own(Arc<str>),
    /// A piece of a body.
    Piece(Arc<Piece>),
}

struct Piece {
    written: BodyText,
    form: Form,
    /// Without escapes, once somebody asked.
    plain: OnceLock<String>,
}

/// A body that was received. Given as [`Bytes`] it is shared, else copied.
#[derive(Clone, Debug)]
pub struct Body {
    bytes: Bytes,
    /// All of it, where that was looked at before.
    text: Option<BodyText>,
}

impl Body {
    /// A body that several will read. That a large one is text is found out here, once for all of them; for a small one
    /// it is not worth the memory.
    ///
    /// # Errors
    /// When the bytes of a large one are not UTF-8.
    pub fn shared(bytes: &Bytes) -> Result<Self, Error> {
        let mut body = Self::from(bytes);
        if bytes.len() >= BodyText::SMALL {
            body.text = Some(BodyText::of(&body)?);
        }
        Ok(body)
    }

    /// The text, without byte order mark.
    ///
    /// # Errors
    /// When the bytes are not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        match &self.text {
            Some(text) => Ok(text.as_str()),
            None => super::text(super::without_mark(&self.bytes)),
        }
    }
}

impl From<&Bytes> for Body {
    fn from(bytes: &Bytes) -> Self {
        Self { bytes: bytes.clone(), text: None }
    }
}

impl From<&Self> for Body {
    fn from(body: &Self) -> Self {
        body.clone()
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Self {
        Self { bytes: Bytes::copy_from_slice(bytes), text: None }
    }
}

impl<const LENGTH: usize> From<&[u8; LENGTH]> for Body {
    fn from(bytes: &[u8; LENGTH]) -> Self {
        bytes.as_slice().into()
    }
}

impl From<&Vec<u8>> for Body {
    fn from(bytes: &Vec<u8>) -> Self {
        bytes.as_slice().into()
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Text in a received body, which is checked once to be text and kept as long as a part of it is.
#[derive(Clone)]
pub struct BodyText(Yoke<&'static str, Arc<Bytes>>);

impl BodyText {
    /// Bodies of fewer bytes are copied: readers of connections begin with buffers of 8 KiB.
    const SMALL: usize = 16 * 1024;

    /// All of a body. A byte order mark is left out.
    ///
    /// # Errors
    /// When the bytes are not UTF-8.
    pub fn of(body: &Body) -> Result<Self, Error> {
        if let Some(text) = &body.text {
            return Ok(text.clone());
        }
        let text = super::without_mark(body);
        // A small body lies in a larger buffer, which a stream that holds a piece would hold, too.
        let is_small = text.len() < Self::SMALL;
        let bytes = if is_small { Bytes::copy_from_slice(text) } else { body.bytes.slice_ref(text) };
        Yoke::try_attach_to_cart(Arc::new(bytes), |bytes| super::text(bytes)).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    fn part(&self, range: Range<usize>) -> Self {
        Self(self.0.clone().map_project(|text, _lifetime| text.get(range).unwrap_or_default()))
    }

    /// The piece of the text at `range`; shorter ones are better copied.
    pub(super) fn piece(&self, range: Range<usize>, form: Form) -> Option<Str> {
        const LEAST: usize = 64;
        if range.len() < LEAST {
            return None;
        }
        let piece = Piece { written: self.part(range), form, plain: OnceLock::new() };
        Some(Str(Inner::Piece(Arc::new(piece))))
    }
}

impl fmt::Debug for BodyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What a piece of a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The inside of a string without escapes.
    Plain,
    /// The inside of a string with escapes, none of which is half of a surrogate pair.
    Escaped,
    /// A whole value.
    Value,
}

impl Piece {
    fn written(&self) -> &str {
        self.written.as_str()
    }

    fn plain(&self) -> &str {
        if self.form != Form::Escaped {
            return self.written();
        }
        // Looked at before, so there is one.
        self.plain.get_or_init(|| written::plain(self.written()).unwrap_or_default())
    }
}

impl Str {
    /// The plain text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Inner::Own(text) => text,
            Inner::Piece(piece) => piece.plain(),
        }
    }

    /// True without text. Unlike the method of `str` it never takes out escapes.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Inner::Own(text) => text.is_empty(),
            Inner::Piece(piece) => piece.written().is_empty(),
        }
    }

    /// True for white space alone.
    pub fn is_blank(&self) -> bool {
        self.trims_to("")
    }

    /// True when nothing but white space is around `word`, which is ASCII.
    pub fn trims_to(&self, word: &str) -> bool {
        let written = match &self.0 {
            Inner::Own(text) => text,
            Inner::Piece(piece) => piece.written(),
        };
        // Another letter in front decides without a look behind the escapes.
        let first = written.bytes().find(|byte| !byte.is_ascii_whitespace());
        let may_be = first.is_none_or(|byte| {
            byte == b'\\' || !byte.is_ascii() || word.bytes().next().is_some_and(|letter| letter == byte)
        });
        may_be && self.trim() == word
    }

    /// About how many bytes it takes in JSON.
    pub(crate) fn written_len(&self) -> usize {
        match &self.0 {
            Inner::Own(text) => text.len(),
            Inner::Piece(piece) => piece.written().len(),
        }
    }

    /// The inside of a JSON string that says this text, where it is known.
    pub(super) fn as_written(&self) -> Option<&str> {
        match &self.0 {
            Inner::Piece(piece) if piece.form != Form::Value => Some(piece.written()),
            _ => None,
        }
    }

    /// The body that it is a plain piece of.
    pub(super) fn body(&self) -> Option<&BodyText> {
        match &self.0 {
            Inner::Piece(piece) if piece.form != Form::Escaped => Some(&piece.written),
            _ => None,
        }
    }

    /// `part` of this text, shared where it can be.
    #[must_use]
    pub fn slice_ref(&self, part: &str) -> Self {
        self.shared_part(part).unwrap_or_else(|| part.into())
    }

    fn shared_part(&self, part: &str) -> Option<Self> {
        let Inner::Piece(piece) = &self.0 else { return None };
        let text = piece.written();
        let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        if piece.form != Form::Plain || text.get(start..start + part.len()) != Some(part) {
            return None;
        }
        piece.written.piece(start..start + part.len(), Form::Plain)
    }

    /// The texts one behind the other, `separator` between them where something stands before. A single one stays
    /// what it is.
    pub fn joined(texts: impl IntoIterator<Item = Self>, separator: &str) -> Self {
        let mut texts = texts.into_iter();
        let Some(first) = texts.next() else { return Self::default() };
        let Some(second) = texts.next() else { return first };
        let mut joined = first.to_string();
        for text in std::iter::once(second).chain(texts) {
            if !joined.is_empty() {
                joined.push_str(separator);
            }
            joined.push_str(&text);
        }
        joined.into()
    }

    /// The same text, in a memory of its own: keeps no body alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        match &self.0 {
            Inner::Own(_) => self.clone(),
            Inner::Piece(piece) => piece.plain().into(),
        }
    }

    /// True when both are one and the same, without a look at the text.
    fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Inner::Own(one), Inner::Own(other)) => Arc::ptr_eq(one, other),
            (Inner::Piece(one), Inner::Piece(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Default for Str {
    fn default() -> Self {
        Self(Inner::Own(Arc::default()))
    }
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || **self == **other
    }
}

impl Eq for Str {}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other)
    }
}

impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(Inner::Own(text.into()))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(Inner::Own(text.into()))
    }
}

impl From<&String> for Str {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Box<str>> for Str {
    fn from(text: Box<str>) -> Self {
        Self(Inner::Own(text.into()))
    }
}

impl From<Cow<'_, str>> for Str {
    fn from(text: Cow<'_, str>) -> Self {
        Self(Inner::Own(text.into()))
    }
}

impl From<Arc<str>> for Str {
    fn from(text: Arc<str>) -> Self {
        Self(Inner::Own(text))
    }
}

impl From<&Self> for Str {
    fn from(text: &Self) -> Self {
        text.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Raw, Reader, Words as _};
    use super::*;

    fn text(json: &str) -> BodyText {
        BodyText::of(&json.as_bytes().into()).unwrap()
    }

    fn kept(json: &str) -> Str {
        Reader::of(&text(json)).kept().unwrap()
    }

    fn written(text: &Str) -> String {
        let mut out = Vec::new();
        text.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn is_piece(text: &Str) -> bool {
        matches!(text.0, Inner::Piece(_))
    }

    #[test]
    fn a_long_text_is_written_as_it_was_read_and_says_what_it_says() {
        let json = format!(r#""{}\u00e9\/\n""#, "x".repeat(80));
        let text = kept(&json);
        assert!(is_piece(&text));
        assert_eq!(written(&text), json);
        assert_eq!(text, format!("{}é/\n", "x".repeat(80)).as_str());
        assert!(!is_piece(&text.detached()));
        assert_eq!(text.detached(), text);
    }

    #[test]
    fn half_a_pair_is_mended_at_once() {
        let text = kept(&format!(r#""{}\ud83d""#, "x".repeat(80)));
        assert!(!is_piece(&text));
        assert!(text.ends_with("x\u{FFFD}"));
        assert_eq!(kept(&format!(r#""{}\ud83d\ude00""#, "x".repeat(80))).chars().last(), Some('😀'));
    }

    #[test]
    fn short_texts_and_texts_without_a_body_are_copied() {
        assert!(!is_piece(&kept(r#""short""#)));
        let long = format!("\"{}\"", "x".repeat(80));
        assert!(!is_piece(&Reader::new(&long).kept().unwrap()));
        assert!(is_piece(&kept(&long)));
    }

    #[test]
    fn a_part_of_a_piece_is_a_piece() {
        let address = kept(&format!("\"data:image/png;base64,{}\"", "A".repeat(80)));
        let (_, base64) = address.split_once(',').unwrap();
        let part = address.slice_ref(base64);
        assert!(is_piece(&part));
        assert_eq!(part, "A".repeat(80).as_str());
        // Of another text it is a copy.
        assert!(!is_piece(&address.slice_ref(&"A".repeat(80))));
        let escaped = kept(&format!(r#""data:image\/png;base64,{}""#, "A".repeat(80)));
        let (_, base64) = escaped.split_once(',').unwrap();
        assert!(!is_piece(&escaped.slice_ref(base64)));
    }

    #[test]
    fn texts_inside_of_a_kept_value_are_pieces_of_the_same_body() {
        let inner = "y\\\"".repeat(40);
        let value = Reader::of(&text(&format!(r#"  {{"a":[1,"{inner}"]}} "#))).kept_raw().unwrap();
        let mut found = None;
        value
            .reader()
            .object(|_, list| {
                list.array(|_, entry| {
                    if entry.kind() == super::super::Kind::String {
                        found = Some(entry.kept()?);
                    }
                    Ok(())
                })
            })
            .unwrap();
        let found = found.unwrap();
        assert!(is_piece(&found));
        assert_eq!(found, "y\"".repeat(40).as_str());
        assert_eq!(written(&found), format!("\"{inner}\""));
        // As a string a whole value has to be escaped.
        assert_eq!(written(&value.to_str()), Raw::string(value.as_str()).as_str());
    }

    #[test]
    fn white_space_is_told_without_taking_out_escapes_of_texts_that_begin_with_a_letter() {
        assert!(kept(&format!("\"{}\"", r"\n\t ".repeat(40))).is_blank());
        assert!(kept(&format!("\"{}\"", "\u{3000}".repeat(40))).is_blank());
        let text = kept(&format!(r#""  a{}""#, r"\n".repeat(40)));
        assert!(!text.is_blank());
        assert!(text.trims_to("a"));
        let Inner::Piece(piece) = &kept(&format!(r#""b{}""#, r"\n".repeat(40))).0 else { panic!("a piece") };
        assert!(!Str(Inner::Piece(Arc::clone(piece))).trims_to("a"));
        assert!(piece.plain.get().is_none());
    }

    #[test]
    fn a_single_text_is_joined_to_itself() {
        let text = kept(&format!("\"{}\"", r"\n".repeat(40)));
        assert!(Str::joined([text.clone()], "-").is_same(&text));
        assert_eq!(Str::joined(["".into(), "a".into(), "b".into()], "-"), "a-b");
        assert_eq!(Str::joined([], "-"), "");
    }

    proptest! {
        #[test]
        fn a_kept_text_is_the_text_however_it_is_escaped(text in any::<String>(), is_ascii in any::<bool>()) {
            let text = text + &"x".repeat(80);
            let mut json = serde_json::to_string(&text).unwrap();
            if is_ascii {
                let units = json.encode_utf16().map(|unit| match u8::try_from(unit) {
                    Ok(byte @ b' '..=b'~') => char::from(byte).to_string(),
                    _ => format!("\\u{unit:04x}"),
                });
                json = units.collect::<Vec<_>>().concat();
            }
            let kept = kept(&json);
            prop_assert_eq!(&*kept, &*text);
            prop_assert_eq!(serde_json::from_str::<String>(&written(&kept)).unwrap(), text);
        }
    }
}
