//! Recorded traffic of all formats through the passthrough lanes: bytes survive, and the tap understands the rest.

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::json::Reader;
use cliproxy_wire::lane::{self, Changes, Progress, Relay, Rewrite, peek, rename, rewrite};
use cliproxy_wire::sse::{Decoder, Ending, Frame};
use serde_json::Value;

use super::recorded::exchanges;

/// The recorded exchanges of an operation.
fn all(operation: &str) -> impl Iterator<Item = (Format, String, Value)> {
    let of_all = Format::ALL.into_iter().flat_map(exchanges);
    of_all
        .filter(move |exchange| exchange.value["operation"] == operation)
        .map(|exchange| (exchange.format, exchange.id, exchange.value))
}

#[test]
fn recorded_requests_pass_untouched_and_an_alias_changes_the_name_alone() {
    for operation in ["generate", "stream"] {
        for (format, name, exchange) in all(operation) {
            let body = &exchange["request"]["body"];
            if !body.is_object() {
                continue;
            }
            let text = serde_json::to_string_pretty(body).unwrap();
            let seen = peek(format, text.as_bytes()).unwrap();
            assert_eq!(seen.model.as_deref(), body["model"].as_str(), "{name}");
            assert_eq!(seen.is_stream, body["stream"] == true && format != Format::Gemini, "{name}");
            assert_eq!(rewrite(format, &text, &Rewrite::default()).unwrap(), text, "{name}");
            let sent =
                rewrite(format, &text, &Rewrite { model: Some("alias"), ..Rewrite::default() }).unwrap();
            if format == Format::Gemini {
                assert_eq!(sent, text, "{name}");
            } else {
                if let Some(at) = seen.model_at {
                    let pieces = rename(&text.clone().into(), at, "alias").unwrap();
                    assert_eq!(pieces.concat(), sent.as_bytes(), "{name}");
                }
                let mut expected = body.clone();
                expected["model"] = "alias".into();
                assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), expected, "{name}");
                if let Some(model) = body["model"].as_str() {
                    assert_eq!(sent.len() + model.len(), text.len() + "alias".len(), "{name}");
                }
            }
        }
    }
}

fn relayed(format: Format, changes: &Changes, text: &[u8], size: usize) -> (Relay, Vec<u8>, bool) {
    let mut relay = Relay::new(format, changes.clone(), 1 << 25);
    let mut out = Vec::new();
    for piece in text.chunks(size) {
        relay.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
    }
    let is_stream = matches!(relay.finish(&mut out), Ok(Ending::Stream));
    (relay, out.concat(), is_stream)
}

fn frames(text: &[u8]) -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    let mut each = |frame: Frame<'_>| {
        if let Frame::Data { event, data } = frame {
            found.push((event.map(str::to_owned), data.to_owned()));
        }
    };
    let mut decoder = Decoder::default();
    decoder.push(text, &mut each).unwrap();
    decoder.finish(&mut each).unwrap();
    found
}

/// Every name of a model that the format shows at its known places.
fn renamed(format: Format, frame: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(frame).ok()?;
    let pointers: &[&str] = match format {
        Format::Chat => &["/model"],
        Format::Responses => &["/response/model"],
        Format::Claude => &["/message/model"],
        Format::Gemini => &["/modelVersion", "/response/modelVersion"],
    };
    for pointer in pointers {
        if let Some(name) = value.pointer_mut(pointer)
            && name.is_string()
        {
            *name = "alias".into();
        }
    }
    Some(value)
}

#[test]
fn recorded_streams_pass_untouched_at_any_chunking_and_an_alias_changes_names_alone() {
    for (format, name, exchange) in all("stream") {
        let Some(text) =
            exchange["response"]["sse"].as_str().or_else(|| exchange["response"]["text"].as_str())
        else {
            continue;
        };
        let bytes = text.as_bytes();
        for size in [1, 7, 1024, usize::MAX] {
            let (relay, out, is_stream) = relayed(format, &Changes::default(), bytes, size);
            if !is_stream {
                continue;
            }
            assert_eq!(out, bytes, "{name} in pieces of {size}");
            let (whole, ..) = relayed(format, &Changes::default(), bytes, usize::MAX);
            assert_eq!(relay.tap().usage(), whole.tap().usage(), "{name} in pieces of {size}");
            assert_eq!(relay.is_truncated(), whole.is_truncated(), "{name} in pieces of {size}");
        }
        if !text.starts_with('[') {
            let changes = Changes { model: Some("alias".to_owned()), ..Changes::default() };
            let (relay, out, is_stream) = relayed(format, &changes, bytes, 333);
            let (before, after) = (frames(bytes), frames(&out));
            if !is_stream || relay.is_truncated() {
                continue;
            }
            assert_eq!(before.len(), after.len(), "{name}");
            for ((event, old), (new_event, new)) in before.iter().zip(&after) {
                assert_eq!(event, new_event, "{name}");
                match renamed(format, old) {
                    Some(expected) => {
                        assert_eq!(serde_json::from_str::<Value>(new).unwrap(), expected, "{name}");
                    }
                    None => assert_eq!(old, new, "{name}"),
                }
            }
        }
    }
}

#[test]
fn the_tap_finds_usage_and_ends_of_recorded_streams() {
    let (mut complete, mut cut, mut with_usage) = (0, Vec::new(), 0);
    for (format, name, exchange) in all("stream") {
        let Some(text) = exchange["response"]["sse"].as_str() else { continue };
        let (relay, ..) = relayed(format, &Changes::default(), text.as_bytes(), 4096);
        if relay.is_truncated() {
            cut.push(name.clone());
            continue;
        }
        complete += 1;
        assert!(relay.progress() >= Progress::Started, "{name}");
        // The last usage object counts; Claude and Gemini spread theirs over several.
        let reads = match format {
            Format::Chat => cliproxy_wire::usage::read_chat,
            Format::Responses => cliproxy_wire::usage::read_responses,
            Format::Claude | Format::Gemini => continue,
        };
        let pointers = ["/usage", "/response/usage", "/x_groq/usage"];
        let last = frames(text.as_bytes()).iter().rev().find_map(|(_, data)| {
            let value: Value = serde_json::from_str(data).ok()?;
            pointers
                .iter()
                .find_map(|pointer| value.pointer(pointer).filter(|usage| usage.is_object()).cloned())
        });
        let expected = last.map(|usage| reads(&mut Reader::new(&usage.to_string())).unwrap());
        with_usage += usize::from(expected.is_some());
        assert_eq!(relay.tap().usage(), expected, "{name}");
    }
    eprintln!(
        "{complete} streams end, {with_usage} of them checked for usage, {} are cut: {cut:?}",
        cut.len()
    );
    assert!(cut.len() * 20 <= complete, "{cut:?}");
}

#[test]
fn recorded_bodies_pass_untouched_with_their_usage() {
    for (format, name, exchange) in all("generate") {
        let body = &exchange["response"]["body"];
        if !body.is_object() || exchange["response"]["status"] != 200 {
            continue;
        }
        let text = serde_json::to_string_pretty(body).unwrap();
        let answer = lane::body(format, Bytes::from(text.clone()), &Changes::default());
        assert_eq!(answer.bytes, text, "{name}");
        let member = if format == Format::Gemini { "usageMetadata" } else { "usage" };
        assert_eq!(answer.usage.is_some(), body[member].is_object(), "{name}");
        if body.get("error").is_none_or(Value::is_null) {
            assert_eq!(answer.fault, None, "{name}");
        }
    }
}
