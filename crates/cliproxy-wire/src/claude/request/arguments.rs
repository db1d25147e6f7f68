//! Arguments as the object that `input` must be (G.6).
//!
//! The text of a call is kept as it was sent, broken or not; only here it has to become an object. Numbers and member
//! order of what is already one are not touched.

use std::borrow::Cow;

use crate::json::{self, Kind, Reader};

/// True when the text is exactly one JSON object.
pub(in crate::claude) fn is_object(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.kind() == Kind::Object && reader.skip().and_then(|()| reader.finish()).is_ok()
}

/// The object that the text means; `None` when it is not JSON.
pub(in crate::claude) fn as_object(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    if text.is_empty() || text == "null" {
        return Some(Cow::Borrowed("{}"));
    }
    if is_object(text) {
        return Some(Cow::Borrowed(text));
    }
    let mut reader = Reader::new(text);
    let value = reader.raw().ok()?;
    reader.finish().ok()?;
    let mut again = Reader::new(value);
    if again.kind() == Kind::String {
        let inner = again.str().ok()?;
        if is_object(&inner) {
            return Some(inner.trim().to_owned().into());
        }
    }
    let mut out = Vec::with_capacity(value.len() + 12);
    json::object(&mut out, |object| object.raw("input", value));
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// Appends the object that the text means. A truncated object is completed; what cannot be understood becomes the
/// member `input`.
pub(in crate::claude) fn write_object(out: &mut Vec<u8>, text: &str) {
    if let Some(object) = as_object(text) {
        out.extend_from_slice(object.as_bytes());
    } else if let Some(object) = completed(text.trim()) {
        out.extend_from_slice(object.as_bytes());
    } else {
        json::object(out, |object| object.str("input", text));
    }
}

/// How far a scan of unfinished JSON came.
struct Scan {
    /// Brackets to close, outermost first.
    open: Vec<u8>,
    is_in_string: bool,
    /// Where the last escape began, if the text ends inside it.
    escape: Option<usize>,
    /// Structural positions at which the text could be cut, in order.
    cuts: Vec<usize>,
}

fn scan(text: &str) -> Scan {
    let mut scan = Scan { open: Vec::new(), is_in_string: false, escape: None, cuts: Vec::new() };
    let mut skip_until = 0;
    for (at, byte) in text.bytes().enumerate() {
        if scan.is_in_string {
            if at < skip_until {
                continue;
            }
            scan.escape = None;
            match byte {
                b'\\' => {
                    scan.escape = Some(at);
                    let length = if text.as_bytes().get(at + 1) == Some(&b'u') { 6 } else { 2 };
                    skip_until = at + length;
                    if skip_until <= text.len() {
                        scan.escape = None;
                    }
                }
                b'"' => scan.is_in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => scan.is_in_string = true,
            b'{' | b'[' => {
                scan.open.push(if byte == b'{' { b'}' } else { b']' });
                scan.cuts.push(at + 1);
            }
            b'}' | b']' => {
                scan.open.pop();
            }
            b',' => scan.cuts.push(at),
            _ => {}
        }
    }
    scan
}

/// Completes a truncated object.
fn completed(text: &str) -> Option<String> {
    if !text.starts_with('{') {
        return None;
    }
    let whole = scan(text);
    let kept = match whole.escape {
        Some(at) => text.get(..at)?,
        None => text,
    };
    closed(kept, &whole).or_else(|| {
        // A dangling key or an unfinished literal: go back to the last complete member. Few steps are enough, and a
        // bound keeps hostile texts cheap.
        whole.cuts.iter().rev().take(8).find_map(|cut| {
            let kept = text.get(..*cut)?;
            closed(kept, &scan(kept))
        })
    })
}

fn closed(text: &str, scan: &Scan) -> Option<String> {
    let mut object = text.to_owned();
    if scan.is_in_string {
        object.push('"');
    }
    object.extend(scan.open.iter().rev().map(|byte| char::from(*byte)));
    is_object(&object).then_some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_object(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn broken_arguments_become_the_object_they_were_meant_to_be() {
        for (text, object) in [
            ("", "{}"),
            (" null ", "{}"),
            (r#"{"b":1.0, "a":12345678901234567890}"#, r#"{"b":1.0, "a":12345678901234567890}"#),
            (r#""{\"a\":1}""#, r#"{"a":1}"#),
            ("[1,2]", r#"{"input":[1,2]}"#),
            (r#""plain""#, r#"{"input":"plain"}"#),
            (r#"{"city":"Ro"#, r#"{"city":"Ro"}"#),
            (r#"{"city":"Ro\u00"#, r#"{"city":"Ro"}"#),
            (r#"{"a":[1,{"b":"c\""#, r#"{"a":[1,{"b":"c\""}]}"#),
            (r#"{"a":1,"b"#, r#"{"a":1}"#),
            (r#"{"a":1,"b":tr"#, r#"{"a":1}"#),
            (r#"{"a":"#, "{}"),
            ("not json", r#"{"input":"not json"}"#),
        ] {
            assert_eq!(written(text), object, "{text}");
        }
    }
}
