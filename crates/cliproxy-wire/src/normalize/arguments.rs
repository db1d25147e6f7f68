//! Tool arguments: the way from the text that was received to the JSON object that Claude and Gemini demand.
//!
//! A well-formed object is passed as it was spelled, since identifiers above 2^53 and the order of members survive only
//! so. What models and clients get wrong (double encoding, bare values, a cut text) is repaired the same way everywhere.

use std::borrow::Cow;

use crate::json::{Kind, Raw, Reader};

/// The object that an argument text stands for, as JSON text. Never fails: what is no object becomes the member
/// `input` of one.
pub fn object(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.is_empty() || text == "null" {
        return Cow::Borrowed("{}");
    }
    match kind(text) {
        Some(Kind::Object) => Cow::Borrowed(text),
        Some(Kind::String) => {
            let inner = Reader::new(text).string().unwrap_or_default();
            let trimmed = inner.trim();
            if kind(trimmed) == Some(Kind::Object) {
                Cow::Owned(trimmed.to_owned())
            } else {
                Cow::Owned(wrapped_value(text))
            }
        }
        Some(_) => Cow::Owned(wrapped_value(text)),
        None => match complete(text).filter(|whole| kind(whole) == Some(Kind::Object)) {
            Some(whole) => Cow::Owned(whole),
            None => Cow::Owned(wrap(text).as_str().to_owned()),
        },
    }
}

/// `{"input": text}`: the input of a free-form tool as a function's arguments.
pub fn wrap(text: &str) -> Raw {
    Raw::object(|object| object.str("input", text))
}

/// The input of a free-form tool that was offered as a function: the string member `input`, or else the whole text.
pub fn unwrap(text: &str) -> Cow<'_, str> {
    let input = crate::json::member(text.trim(), "input").and_then(|input| Reader::new(input).string().ok());
    input.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The kind of `text` if it is one whole JSON value.
fn kind(text: &str) -> Option<Kind> {
    let mut reader = Reader::new(text);
    let kind = reader.kind();
    reader.skip().ok()?;
    reader.finish().ok()?;
    Some(kind)
}

fn wrapped_value(value: &str) -> String {
    format!("{{\"input\":{value}}}")
}

/// Where the scan of a cut text stands inside the innermost container.
#[derive(Clone, Copy, PartialEq)]
enum Expect {
    Key,
    Colon,
    Value,
    Comma,
}

/// Closes what a cut JSON object left open: the string, then the brackets. A dangling key goes.
fn complete(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut open = Vec::new();
    let mut expect = Expect::Value;
    // Up to here the text is whole but for the brackets in `open`.
    let mut safe = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'{' | b'[' => {
                open.push(byte);
                expect = if byte == b'{' { Expect::Key } else { Expect::Value };
                safe = at + 1;
            }
            b'}' | b']' => {
                open.pop()?;
                expect = Expect::Comma;
                safe = at + 1;
            }
            b',' => {
                expect = if open.last() == Some(&b'{') { Expect::Key } else { Expect::Value };
            }
            b':' => expect = Expect::Value,
            b'"' => {
                let Some(end) = string_end(bytes, at + 1) else {
                    if expect != Expect::Value {
                        break;
                    }
                    let mut whole = text.get(..at + 1)?.to_owned();
                    whole.push_str(without_cut_escape(text.get(at + 1..)?));
                    whole.push('"');
                    return Some(close(whole, &open));
                };
                if expect == Expect::Key {
                    expect = Expect::Colon;
                } else {
                    expect = Expect::Comma;
                    safe = end;
                }
                at = end;
                continue;
            }
            _ => {
                let end = bytes
                    .iter()
                    .skip(at)
                    .position(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b'}' | b']'))
                    .map_or(bytes.len(), |length| at + length);
                if kind(text.get(at..end)?).is_none() {
                    break;
                }
                expect = Expect::Comma;
                safe = end;
                at = end;
                continue;
            }
        }
        at += 1;
    }
    Some(close(text.get(..safe)?.to_owned(), &open))
}

/// The position behind the closing quote of the string that starts at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The inside of a cut string without an escape that the cut went through.
fn without_cut_escape(inside: &str) -> &str {
    let bytes = inside.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'\\' {
            at += 1;
            continue;
        }
        let length = if bytes.get(at + 1) == Some(&b'u') { 6 } else { 2 };
        if at + length > bytes.len() {
            return inside.get(..at).unwrap_or_default();
        }
        at += length;
    }
    inside
}

fn close(mut text: String, open: &[u8]) -> String {
    text.extend(open.iter().rev().map(|bracket| if *bracket == b'{' { '}' } else { ']' }));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j239_broken_arguments_become_the_object_they_meant() {
        for (text, expected) in [
            ("", "{}"),
            ("  null ", "{}"),
            (" {\"a\":1} ", "{\"a\":1}"),
            (r#""{\"a\":1}""#, r#"{"a":1}"#),
            (r#""plain""#, r#"{"input":"plain"}"#),
            ("[1,2]", r#"{"input":[1,2]}"#),
            ("7", r#"{"input":7}"#),
            (r#"{"a":"b"#, r#"{"a":"b"}"#),
            (r#"{"a":"b\"#, r#"{"a":"b"}"#),
            (r#"{"a":"b\u00"#, r#"{"a":"b"}"#),
            (r#"{"a":[1,{"b":"c"},"#, r#"{"a":[1,{"b":"c"}]}"#),
            (r#"{"a":1,"b"#, r#"{"a":1}"#),
            (r#"{"a":1,"b":"#, r#"{"a":1}"#),
            (r#"{"a":1,"b":tr"#, r#"{"a":1}"#),
            ("{", "{}"),
            ("not json", r#"{"input":"not json"}"#),
            (r#"{"a":1}}"#, r#"{"input":"{\"a\":1}}"}"#),
        ] {
            assert_eq!(object(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_and_order_survive_untouched() {
        let text = r#"{"z":12345678901234567890123,"a":1.0,"e":1e3,"u":"\u00e9\/"}"#;
        assert!(matches!(object(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn free_form_input_goes_in_and_comes_out() {
        let text = "line \"one\"\nü";
        assert_eq!(unwrap(wrap(text).as_str()), text);
        assert_eq!(unwrap("bare text"), "bare text");
        assert_eq!(unwrap(r#"{"code":"x"}"#), r#"{"code":"x"}"#);
    }

    proptest::proptest! {
        #[test]
        fn every_text_and_every_cut_gives_an_object(text in r#"[\{\}\[\]":,a\\u0-9 ntre.-]{0,40}"#) {
            let result = object(&text);
            proptest::prop_assert_eq!(kind(&result), Some(Kind::Object), "{} -> {}", text, result);
        }
    }
}
