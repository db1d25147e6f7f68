//! Byte-preserving edits of Chat bodies, for services that want more of a body than the format does.
//!
//! They work on the body that is about to leave, so a body that a client sent in the upstream's own format obeys the
//! same rules as one that was translated. What the rules are stands with each provider; a body that cannot be read is
//! left alone, because the service says better what is wrong with it.

use bytes::Bytes;
use cliproxy_wire::json::patch::{self, Edit, Path};
use cliproxy_wire::json::{self, Kind, Raw, Reader};

/// The body with edits applied; the same bytes when none has an effect.
pub(super) fn edited(body: &Bytes, edits: impl FnOnce(&str) -> Vec<Edit>) -> Bytes {
    let Ok(text) = std::str::from_utf8(body) else { return body.clone() };
    let edits = edits(text);
    if edits.is_empty() {
        return body.clone();
    }
    match patch::apply(text, &edits) {
        Ok(changed) => changed.into_owned().into(),
        Err(_not_json) => body.clone(),
    }
}

/// The messages as they are written.
pub(super) fn messages(body: &str) -> Vec<&str> {
    let mut messages = Vec::new();
    if let Some(list) = json::member(body, "messages") {
        let mut reader = Reader::new(list);
        let read = reader.array(|_, message| {
            messages.push(message.raw()?);
            Ok(())
        });
        if read.is_err() {
            messages.clear();
        }
    }
    messages
}

/// A member of an object, as it is written; `null` counts as missing.
pub(super) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    json::member(object, name).map(str::trim).filter(|value| *value != "null")
}

/// A member that is a text.
pub(super) fn text(object: &str, name: &str) -> Option<String> {
    Raw::new(member(object, name)?).to_text()
}

/// The parts of a message's content; a plain text is one part.
pub(super) fn parts(message: &str) -> Vec<Raw> {
    let Some(content) = member(message, "content") else { return Vec::new() };
    if let Some(text) = Raw::new(content).to_text() {
        return if text.is_empty() { Vec::new() } else { vec![text_part(&text)] };
    }
    let (mut parts, mut reader) = (Vec::new(), Reader::new(content));
    if reader.kind() == Kind::Array {
        let read = reader.array(|_, part| {
            parts.push(part.to_raw()?);
            Ok(())
        });
        if read.is_err() {
            parts.clear();
        }
    }
    parts
}

/// A part that is text.
pub(super) fn text_part(text: &str) -> Raw {
    Raw::object(|part| {
        part.str("type", "text");
        part.str("text", text);
    })
}

/// Whether there is a tool at all.
pub(super) fn offers_tools(body: &str) -> bool {
    member(body, "tools").is_some_and(|tools| !Raw::new(tools).is_empty())
}

/// Asks a stream for its usage, without which a client would get an estimate.
pub(super) fn usage_wish() -> Edit {
    Edit::set(Path::root().key("stream_options").key("include_usage"), Raw::new("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_needs_nothing_or_cannot_be_read_stays_as_it_is() {
        for body in ["{\"messages\": [ ] ,\"n\":1.0}", "{\"messages\":[{]}", "\u{FEFF}"] {
            let body = Bytes::from_static(body.as_bytes());
            assert_eq!(edited(&body, |_| Vec::new()), body);
        }
        let broken = Bytes::from_static(b"{\"messages\":[{]}");
        assert_eq!(edited(&broken, |_| vec![usage_wish()]), broken);
        assert!(messages("{\"messages\":[{]}").is_empty());
    }

    #[test]
    fn contents_of_every_shape_are_parts() {
        assert_eq!(parts(r#"{"content":"a"}"#), [text_part("a")]);
        assert_eq!(
            parts(r#"{"content":[ {"type":"text","text":"a","x":1} ]}"#),
            [Raw::new(r#"{"type":"text","text":"a","x":1}"#)]
        );
        for nothing in [r#"{"content":null}"#, r#"{"content":""}"#, "{}", r#"{"content":7}"#] {
            assert!(parts(nothing).is_empty(), "{nothing}");
        }
    }
}
