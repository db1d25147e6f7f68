//! Answers to Gemini clients, and what is read of Gemini upstreams.

mod client;
mod upstream;

use cliproxy_wire::codec::{ClientContext, UpstreamContext};
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{Content, Event, Response};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, gemini};
use serde_json::{Value, json};

use crate::support::{client, events};

fn folded(events: Vec<Event>) -> Response {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event);
    }
    fold.finish().unwrap()
}

fn shown() -> ClientContext {
    client(Format::Gemini)
}

fn upstream() -> UpstreamContext {
    UpstreamContext::new(&Profile::gemini(), "req_fx")
}

fn body(response: &Response, context: &ClientContext) -> Value {
    serde_json::from_slice(&gemini::encode_response(response, context)).unwrap()
}

fn stream_of(chunks: &[Value]) -> String {
    let frames: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    frames.concat()
}

#[expect(clippy::needless_pass_by_value, reason = "called with literals")]
fn chunk(parts: Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}}], "modelVersion": "g", "responseId": "r"})
}

fn last() -> Value {
    json!({"candidates": [{"finishReason": "STOP", "index": 0}]})
}

fn read(chunks: &[Value]) -> Response {
    folded(events(&Profile::gemini(), &stream_of(chunks)))
}

fn contents(response: &Response) -> Vec<Content> {
    response.candidates[0].blocks.iter().map(|block| block.content.clone()).collect()
}
