//! What the official clients make of a stream: its frames checked against every rule that holds for all streams of the
//! format, and joined to the body that says the same.
//!
//! A stream that ends with an error is none of these; [`failed`] checks those.

mod chat;
pub(crate) mod claude;
mod gemini;
pub(crate) mod responses;

use cliproxy_wire::format::Format;
use serde_json::Value;

/// The body that a client of `format` makes of `stream`. Panics where an official client would stumble.
pub(crate) fn read(format: Format, stream: &str) -> Value {
    match format {
        Format::Chat => chat::read(stream),
        Format::Responses => responses::read(stream),
        Format::Claude => claude::read(stream),
        Format::Gemini => gemini::read(stream),
    }
}

/// A body without the freedoms that the format leaves between a body and a stream.
pub(crate) fn plain(format: Format, body: Value) -> Value {
    match format {
        Format::Chat => chat::plain(body),
        Format::Gemini => gemini::plain(body),
        Format::Responses | Format::Claude => body,
    }
}

/// The error that a stream ends with. Panics when the stream could be taken for a complete one.
pub(crate) fn failed(format: Format, stream: &str) -> Value {
    let frames = crate::support::frames(stream);
    let last = frames.last().unwrap_or_else(|| panic!("no frame in {stream:?}"));
    for word in ["[DONE]", "message_stop", "message_delta", "response.completed", "response.incomplete"] {
        assert!(!stream.contains(word), "{word} in {stream}");
    }
    assert!(!frames.iter().any(|frame| !frame["candidates"][0]["finishReason"].is_null()), "{stream}");
    assert!(!frames.iter().any(|frame| !frame["choices"][0]["finish_reason"].is_null()), "{stream}");
    let error = match format {
        Format::Responses => {
            assert_eq!(last["type"], "response.failed");
            let error = &frames[frames.len() - 2];
            assert_eq!(error["type"], "error");
            assert_eq!(error["message"], last["response"]["error"]["message"]);
            error.clone()
        }
        Format::Claude => {
            assert_eq!(last["type"], "error");
            last["error"].clone()
        }
        Format::Chat | Format::Gemini => {
            assert!(last.as_object().unwrap().keys().next().unwrap() == "error", "{last}");
            last["error"].clone()
        }
    };
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    error
}
