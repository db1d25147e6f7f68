//! What is made to fit on the way to Gemini, Responses and Chat upstreams: calls and results, names, schemas, tools,
//! media, limits. The statements about Claude upstreams stand in `claude_request`.

mod back;
mod gemini;
mod openai;

use cliproxy_wire::codec::Encoded;
use cliproxy_wire::format::Format::{self, Claude};
use cliproxy_wire::model::{
    Arguments, Block, CallKind, Content, Image, Media, Request, Role, ToolCall, ToolResult, Turn,
};
use cliproxy_wire::normalize::Prepared;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Error, normalize};
use serde_json::{Value, json};

use crate::support::{Upstream, decode};

fn gemini3() -> Upstream {
    Upstream::new(Profile::gemini(), "gemini-3-pro-preview")
}

fn openai() -> Upstream {
    Upstream::new(Profile::openai_responses(), "gpt-5.1")
}

fn compatible() -> Upstream {
    Upstream::new(Profile::compatible(), "some-model")
}

/// The request made to fit, where the written body says no more.
fn prepare(upstream: &Upstream, request: &Request) -> Result<Prepared, Error> {
    upstream.prepare(request)
}

fn prepared(upstream: &Upstream, from: Format, body: &Value) -> Prepared {
    prepare(upstream, &decode(from, body).unwrap()).unwrap()
}

fn refusal(upstream: &Upstream, from: Format, body: &Value) -> String {
    upstream.try_encode(from, body).expect_err("this must be refused").to_string()
}

fn notes(encoded: &Encoded) -> &[String] {
    encoded.notes.paths()
}

fn try_encode(upstream: &Upstream, from: Format, body: &Value) -> (Value, Encoded) {
    let encoded = upstream.try_encode(from, body).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded)
}

/// A Claude client's request with two parallel calls, answered in reverse.
fn two_calls() -> Value {
    json!({"model":"m","max_tokens":100,"messages":[
        {"role":"user","content":"go"},
        {"role":"assistant","content":[
            {"type":"text","text":"one"},
            {"type":"tool_use","id":"toolu_1","name":"look","input":{"n":12_345_678_901_234_567_890_u64}},
            {"type":"text","text":"two"},
            {"type":"tool_use","id":"toolu_2","name":"stop","input":{}}]},
        {"role":"user","content":[
            {"type":"tool_result","tool_use_id":"toolu_2","is_error":true,"content":"bad"},
            {"type":"tool_result","tool_use_id":"toolu_1","content":"good"},
            {"type":"text","text":"more"}]}],
        "tools":[{"name":"look","input_schema":{"type":"object"}},{"name":"stop","input_schema":{"type":"object"}}]})
}

fn tool(schema: &Value) -> Value {
    json!({"model":"m","max_tokens":100,"messages":[{"role":"user","content":"go"}],
        "tools":[{"name":"f","description":"d","input_schema":schema}]})
}

/// A step whose result holds an image.
fn image_result() -> Request {
    let mut request = Request::new(Claude, "m");
    let call = ToolCall {
        call_id: "toolu_1".into(),
        is_id_synthetic: false,
        item_id: None,
        name: "shot".into(),
        namespace: None,
        kind: CallKind::Function,
        arguments: Arguments::Json("{}".into()),
        native: None,
        caller: None,
        opaque: None,
    };
    let image = Block::new(Content::Image(Image {
        source: Media::Inline { mime: "image/png".into(), base64: "AAAA".into() },
        detail: None,
        opaque: None,
    }));
    let result = ToolResult {
        call_id: "toolu_1".into(),
        name: None,
        kind: CallKind::Function,
        content: vec![Block::text("here"), image],
        structured: None,
        is_error: None,
        native: None,
    };
    request.turns = vec![
        Turn::new(Role::User, vec![Block::text("x")]),
        Turn::new(Role::Assistant, vec![Block::new(Content::ToolCall(call))]),
        Turn::new(Role::User, vec![Block::new(Content::ToolResult(result)), Block::text("go on")]),
    ];
    request
}

/// What a client of `to` is streamed of an upstream's answer, led back over the bridge of its request.
fn answered(upstream: &Upstream, to: Format, body: &Value, stream: &str) -> Vec<Value> {
    let bridge = upstream.try_encode(to, body).unwrap().bridge;
    let mut restore = normalize::Restore::new(bridge);
    let mut restored = Vec::new();
    for event in crate::support::events(&upstream.profile, stream) {
        restore.event(event, &mut restored);
    }
    let mut context = crate::support::client(to);
    context.show = cliproxy_wire::model::Show::Hidden;
    crate::support::frames(&crate::support::write(to, &context, restored))
}
