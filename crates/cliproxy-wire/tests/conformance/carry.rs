//! State of several thoughts: clients of every format carry all of it and give it back.

use cliproxy_wire::Format;
use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format::{decode_response, encode_response};
use cliproxy_wire::model::fold::unfold;
use cliproxy_wire::model::{Anchor, Content, Opaque, OpaqueKind, Owner, Response, Show};
use cliproxy_wire::opaque::wrap;
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use crate::support::{Upstream, client, events, folded, frames, write};

/// How much of an answer a client keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    Everything,
    /// As popular Gemini clients do.
    NoThoughts,
}

fn answer(profile: &Profile, body: &Value) -> Response {
    let context = UpstreamContext::new(profile, "req_fx");
    decode_response(profile.format, body.to_string().as_bytes(), &context).unwrap()
}

/// What a client of `format` says next, having got `response` as a body or as a stream.
fn next(format: Format, response: &Response, show: Show, is_stream: bool, kept: Kept) -> Value {
    let mut context = client(format);
    context.show = show;
    let body = || -> Value { serde_json::from_slice(&encode_response(format, response, &context)).unwrap() };
    let tool = json!({"type": "object", "properties": {}});
    match format {
        Format::Chat => json!({"model": "m", "messages": [
            {"role": "user", "content": "Go."},
            body()["choices"][0]["message"],
            {"role": "tool", "tool_call_id": "toolu_1", "content": "done"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": tool}}]}),
        Format::Claude => json!({"model": "m", "max_tokens": 9000,
            "thinking": {"type": "enabled", "budget_tokens": 2000}, "messages": [
            {"role": "user", "content": "Go."},
            {"role": "assistant", "content": body()["content"]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}]}],
            "tools": [{"name": "f", "input_schema": tool}]}),
        Format::Responses => {
            let mut input = vec![json!({"role": "user", "content": "Go."})];
            input.extend(body()["output"].as_array().unwrap().iter().cloned());
            input.push(json!({"type": "function_call_output", "call_id": "toolu_1", "output": "done"}));
            json!({"model": "m", "input": input, "tools": [{"type": "function", "name": "f", "parameters": tool}]})
        }
        Format::Gemini => {
            let bodies = if is_stream {
                let mut events = Vec::new();
                unfold(response, &mut events);
                frames(&write(format, &context, events))
            } else {
                vec![body()]
            };
            let mut parts: Vec<Value> = bodies
                .iter()
                .flat_map(|body| body["candidates"][0]["content"]["parts"].as_array().unwrap())
                .cloned()
                .collect();
            parts.retain(|part| kept == Kept::Everything || part["thought"] != true);
            json!({"contents": [
                {"role": "user", "parts": [{"text": "Go."}]},
                {"role": "model", "parts": parts},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "done"}}}]}],
                "tools": [{"functionDeclarations": [{"name": "f", "parameters": tool}]}]})
        }
    }
}

/// Everything that clients say next, with how they got the answer.
fn each_next(response: &Response, check: impl Fn(&str, Format, &Value)) {
    for format in Format::ALL {
        for show in [Show::Raw, Show::Hidden] {
            for is_stream in [false, true] {
                for kept in [Kept::Everything, Kept::NoThoughts] {
                    // Without thoughts wished for, clients of this format get none.
                    if format == Format::Claude && show == Show::Hidden {
                        continue;
                    }
                    let body = next(format, response, show, is_stream, kept);
                    check(&format!("{format:?} {show:?} {is_stream} {kept:?}: {body}"), format, &body);
                }
            }
        }
    }
}

#[test]
fn every_entry_of_an_aggregator_comes_back_from_clients_of_every_format() {
    let profile = Profile::for_chat_base_url("https://openrouter.ai/api/v1", "");
    let details = json!([
        {"type": "reasoning.text", "text": "First.", "signature": "sig-1", "format": "f", "index": 0},
        {"type": "reasoning.encrypted", "data": "enc-2", "format": "f", "index": 1},
        {"type": "reasoning.encrypted", "data": "enc-3", "format": "f", "index": 2}]);
    let response = answer(
        &profile,
        &json!({"id": "x", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": null, "reasoning": "First.", "reasoning_details": details,
            "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}]}),
    );
    let upstream = Upstream::new(profile, "m");
    each_next(&response, |case, format, body| {
        let sent = upstream.encode(format, body);
        let message = &sent["messages"][1];
        assert_eq!(message["reasoning_details"], details, "{case}");
        assert_eq!(message["reasoning"], "First.", "{case}");
    });
}

#[test]
fn every_thought_of_claude_comes_back_from_clients_of_every_format() {
    let profile = Profile::claude();
    let thoughts = [
        json!({"type": "thinking", "thinking": "One.", "signature": "ErUBone="}),
        json!({"type": "redacted_thinking", "data": "EmwKtwo="}),
        json!({"type": "thinking", "thinking": "Three.", "signature": "ErUBthree="}),
    ];
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}});
    let mut content = thoughts.to_vec();
    content.push(call);
    let response = answer(
        &profile,
        &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}}),
    );
    let upstream = Upstream::new(profile, "claude-sonnet-4-6");
    each_next(&response, |case, format, body| {
        let sent = upstream.encode(format, body);
        let content = sent["messages"][1]["content"].as_array().unwrap();
        assert_eq!(content[..3], thoughts, "{case}");
        assert_eq!(content[3]["type"], "tool_use", "{case}");
        assert_eq!(content.len(), 4, "{case}");
    });
}

#[test]
fn each_call_carries_what_was_thought_before_it() {
    let profile = Profile::claude();
    let content = json!([
        {"type": "thinking", "thinking": "One.", "signature": "ErUBone="},
        {"type": "text", "text": "Well."},
        {"type": "tool_use", "id": "toolu_0", "name": "f", "input": {}},
        {"type": "thinking", "thinking": "Two.", "signature": "ErUBtwo="},
        {"type": "thinking", "thinking": "Three.", "signature": "ErUBthree="},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]);
    let response = answer(
        &profile,
        &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}}),
    );
    let upstream = Upstream::new(profile, "claude-sonnet-4-6");
    for (is_stream, kept) in [false, true]
        .into_iter()
        .flat_map(|is_stream| [Kept::Everything, Kept::NoThoughts].map(|kept| (is_stream, kept)))
    {
        let body = next(Format::Gemini, &response, Show::Raw, is_stream, kept);
        let sent = upstream.encode(Format::Gemini, &body);
        let said: Vec<&str> = sent["messages"][1]["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["thinking"].as_str().or_else(|| block["type"].as_str()).unwrap())
            .collect();
        assert_eq!(said, ["One.", "text", "tool_use", "Two.", "Three.", "tool_use"], "{is_stream} {kept:?}");
    }
}

#[test]
fn what_is_thought_behind_the_last_call_is_carried_too() {
    let profile = Profile::claude();
    let content = json!([
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        {"type": "thinking", "thinking": "Late.", "signature": "ErUBlate="}]);
    let response = answer(
        &profile,
        &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}}),
    );
    let upstream = Upstream::new(profile, "claude-sonnet-4-6");
    for is_stream in [false, true] {
        let body = next(Format::Gemini, &response, Show::Hidden, is_stream, Kept::NoThoughts);
        let sent = upstream.encode(Format::Gemini, &body);
        assert_eq!(sent["messages"][1]["content"][1]["signature"], "ErUBlate=", "{is_stream}: {body}");
    }
}

#[test]
fn a_gateway_behind_a_gateway_says_the_same_whole_and_as_a_stream() {
    let state = Opaque {
        owner: Owner::OpenAi,
        kind: OpaqueKind::OpenAiEncrypted,
        scope: None,
        model: None,
        data: "gAAAAthought".into(),
        anchor: Anchor::This,
    };
    let signature = wrap(&state, Some("Hidden.")).unwrap();
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let message = |content: Value, stop: Value| {
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": stop, "usage": usage})
    };
    let whole =
        message(json!([{"type": "thinking", "thinking": "", "signature": signature}]), json!("end_turn"));
    let frames = [
        json!({"type": "message_start", "message": message(json!([]), Value::Null)}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": signature}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
        json!({"type": "message_stop"}),
    ];
    let frames = frames.iter().map(|frame| format!("data: {frame}\n\n"));
    let stream = frames.collect::<Vec<_>>().concat();
    let streamed = folded(&events(&Profile::claude(), &stream));
    let whole = answer(&Profile::claude(), &whole);
    assert_eq!(streamed.candidates[0].blocks, whole.candidates[0].blocks);
    assert!(
        matches!(&whole.candidates[0].blocks[0].content, Content::Reasoning(thought) if thought.text() == "Hidden.")
    );
}

#[test]
fn signed_thoughts_of_gemini_stay_apart() {
    let profile = Profile::gemini();
    let parts = json!([
        {"text": "One.", "thought": true, "thoughtSignature": "CiQB1111"},
        {"text": "Two.", "thought": true, "thoughtSignature": "CiQB2222"},
        {"functionCall": {"id": "toolu_1", "name": "f", "args": {}}, "thoughtSignature": "CiQB3333"}]);
    let response = answer(
        &profile,
        &json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}]}),
    );
    let mut upstream = Upstream::new(profile, "gemini-3-pro-preview");
    upstream.caps.needs_signatures = true;
    for format in Format::ALL {
        let body = next(format, &response, Show::Raw, false, Kept::Everything);
        let sent = upstream.encode(format, &body);
        let signed: Vec<(&Value, &Value)> = sent["contents"][1]["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| (&part["text"], &part["thoughtSignature"]))
            .collect();
        let expected = [
            (&parts[0]["text"], &parts[0]["thoughtSignature"]),
            (&parts[1]["text"], &parts[1]["thoughtSignature"]),
            (&Value::Null, &parts[2]["thoughtSignature"]),
        ];
        assert_eq!(signed, expected, "{format:?}: {body}");
    }
}
