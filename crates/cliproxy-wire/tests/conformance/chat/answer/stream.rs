//! The chunks of a stream for Chat clients: their order, their heads, their ends.

use cliproxy_wire::codec::StreamEncoder as _;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::model::{BlockKind, Channel, Delta, Event, Response, Stop, StopReason};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{chat, codec};
use serde_json::{Value, json};

use super::super::{accumulate, answer, as_in_a_body, body};
use super::{
    begin, both, call, end, end_of, folded, gemini, golden_from_claude, piece, start, stopped, stream_of,
    text,
};
use crate::support::{client, fixture, frames, translate};

/// The frames with the derived id replaced by that of the fixtures, and without the count that only Claude reports.
fn with_golden_id(stream: &str) -> Vec<Value> {
    let mut all = frames(stream);
    for chunk in &mut all {
        chunk["id"] = "chatcmpl-fx000000000000000000000000001".into();
        let details = chunk.pointer_mut("/usage/prompt_tokens_details").and_then(Value::as_object_mut);
        if let Some(details) = details {
            details.remove("cache_write_tokens");
        }
    }
    all
}

#[test]
fn j160_the_golden_stream_is_written_and_accumulates_to_the_golden_body() {
    let stream = golden_from_claude();
    assert_eq!(with_golden_id(&stream), frames(&fixture("chat/weather.sse")));
    let mut accumulated = as_in_a_body(accumulate(&fixture("chat/weather.sse")));
    let golden: Value = serde_json::from_str(&fixture("chat/weather.json")).unwrap();
    assert_eq!(accumulated, golden);
    accumulated = as_in_a_body(accumulate(&stream));
    let events = crate::support::events(&Profile::claude(), &fixture("claude/weather.sse"));
    assert_eq!(accumulated, body(&folded(events)));
}

#[test]
fn j141_the_role_is_said_once_per_choice_and_first() {
    let two = |candidate| {
        [
            Event::BlockStart { candidate, block: 0, kind: BlockKind::Text },
            Event::Delta { candidate, block: 0, delta: Delta::Text("a".into()) },
            Event::BlockStop { candidate, block: 0, full: None },
            Event::CandidateStop { candidate, stop: Stop::new(StopReason::EndTurn) },
        ]
    };
    let mut events = vec![start()];
    events.extend(two(0));
    events.extend(two(1));
    events.push(end());
    let chunks = frames(&stream_of(events));
    for index in 0..2 {
        let deltas: Vec<&Value> = chunks
            .iter()
            .flat_map(|chunk| chunk["choices"].as_array().unwrap())
            .filter(|choice| choice["index"] == index)
            .map(|choice| &choice["delta"])
            .collect();
        assert_eq!(deltas[0], &json!({"role": "assistant", "content": "", "refusal": null}));
        assert!(deltas[1..].iter().all(|delta| delta.get("role").is_none()));
    }
}

#[test]
fn j142_all_chunks_share_their_head() {
    // The accumulator compares the heads of all chunks.
    let whole = accumulate(&golden_from_claude());
    assert_eq!(whole["created"], 1_785_500_000);
    let id = whole["id"].as_str().unwrap();
    assert!(id.starts_with("chatcmpl-") && id.len() == 38, "{id}");
    let renamed = {
        let mut context = client(Format::Chat);
        context.echoes_requested_model = true;
        context.requested_model = "alias".into();
        translate(&Profile::claude(), &fixture("claude/weather.sse"), Format::Chat, &context)
    };
    assert_eq!(accumulate(&renamed)["model"], "alias");
}

#[test]
fn j143_calls_are_counted_whatever_the_blocks_were_and_j144_named_once() {
    let arguments = |block, text: &str| piece(block, Delta::Arguments(text.into()));
    let events = vec![
        start(),
        begin(0, BlockKind::Text),
        text(0, "a"),
        end_of(0),
        call(1, "c1", "f", None),
        call(2, "c2", "g", None),
        arguments(2, "{\"y\""),
        arguments(1, "{\"x\":1}"),
        arguments(2, ":2}"),
        end_of(1),
        end_of(2),
        begin(3, BlockKind::Text),
        text(3, "b"),
        end_of(3),
        call(4, "c3", "h", None),
        end_of(4),
        stopped(StopReason::ToolUse),
        end(),
    ];
    let stream = stream_of(events.clone());
    let ids: Vec<Value> = frames(&stream)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0].get("id").cloned())
        .collect();
    assert_eq!(ids, [json!("c1"), json!("c2"), json!("c3")]);
    let (streamed, whole) = both(events);
    assert_eq!(streamed, whole);
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["content"], "a\n\nb");
    assert_eq!(message["tool_calls"][0]["function"], json!({"name": "f", "arguments": "{\"x\":1}"}));
    assert_eq!(message["tool_calls"][1]["function"], json!({"name": "g", "arguments": "{\"y\":2}"}));
}

#[test]
fn j145_a_call_without_arguments_has_an_empty_object() {
    let (streamed, whole) =
        both(vec![start(), call(0, "c", "f", None), end_of(0), stopped(StopReason::ToolUse), end()]);
    assert_eq!(streamed, whole);
    assert_eq!(whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(whole["choices"][0]["message"]["content"], Value::Null);
}

#[test]
fn j146_every_reason_becomes_one_of_the_five_words() {
    for (reason, word) in [
        (StopReason::EndTurn, "stop"),
        (StopReason::ToolUse, "tool_calls"),
        (StopReason::MaxTokens, "length"),
        (StopReason::ContextWindow, "length"),
        (StopReason::StopSequence, "stop"),
        (StopReason::ContentFilter, "content_filter"),
        (StopReason::Refusal, "content_filter"),
        (StopReason::Recitation, "content_filter"),
        (StopReason::Pause, "stop"),
        (StopReason::MalformedToolCall, "stop"),
        (StopReason::Compaction, "stop"),
        (StopReason::Other, "stop"),
    ] {
        let mut stop = Stop::new(reason);
        stop.native = Some((Format::Gemini, "WEIRD".into()));
        let events = vec![start(), Event::CandidateStop { candidate: 0, stop }, end()];
        let (streamed, whole) = both(events);
        assert_eq!(streamed["choices"][0]["finish_reason"], word, "{reason:?}");
        assert_eq!(whole["choices"][0]["finish_reason"], word, "{reason:?}");
    }
}

#[test]
fn finish_reasons_of_relatives_are_understood_and_calls_decide() {
    let read = |word: Value, calls: bool| {
        let mut message = json!({"role": "assistant", "content": "a"});
        if calls {
            message["tool_calls"] =
                json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
        }
        answer(&json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": word}]}))
            .candidates[0]
            .stop
            .reason
    };
    for (word, reason) in [
        (json!("stop"), StopReason::EndTurn),
        (json!("end_turn"), StopReason::EndTurn),
        (json!("eos"), StopReason::EndTurn),
        (json!(null), StopReason::EndTurn),
        (json!("length"), StopReason::MaxTokens),
        (json!("model_length"), StopReason::MaxTokens),
        (json!("content_filter"), StopReason::ContentFilter),
        (json!("sensitive"), StopReason::ContentFilter),
        (json!("tool_calls"), StopReason::EndTurn),
        (json!("brand_new"), StopReason::Other),
    ] {
        assert_eq!(read(word.clone(), false), reason, "{word}");
    }
    for word in ["stop", "eos_token", "tool_use", "brand_new"] {
        assert_eq!(read(word.into(), true), StopReason::ToolUse, "{word}");
    }
    assert_eq!(read("length".into(), true), StopReason::MaxTokens);
}

#[test]
fn j149_parts_of_one_gemini_chunk_are_deltas_in_order() {
    let chunk = json!({"candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
        {"text": "think", "thought": true}, {"text": "say"}, {"functionCall": {"name": "f", "args": {"a": 1}}}]}}]});
    let stream = translate(&Profile::gemini(), &gemini(&[chunk]), Format::Chat, &client(Format::Chat));
    let kinds: Vec<String> = frames(&stream)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"].as_object()?.keys().next().cloned())
        .collect();
    assert_eq!(kinds[1..4], ["reasoning_content", "content", "tool_calls"], "{kinds:?}");
}

#[test]
fn j150_summary_parts_are_apart_by_a_blank_line() {
    let summary =
        |part, text: &str| piece(0, Delta::Reasoning { channel: Channel::Summary, part, text: text.into() });
    let kind = || BlockKind::Reasoning { id: None, is_redacted: false };
    let events = vec![
        start(),
        begin(0, kind()),
        summary(0, "on"),
        summary(0, "e"),
        summary(1, "two"),
        end_of(0),
        begin(1, kind()),
        piece(1, Delta::Reasoning { channel: Channel::Raw, part: 0, text: "three".into() }),
        end_of(1),
        stopped(StopReason::EndTurn),
        end(),
    ];
    let (streamed, whole) = both(events);
    assert_eq!(streamed, whole);
    assert_eq!(whole["choices"][0]["message"]["reasoning_content"], "one\n\ntwo\n\nthree");
}

#[test]
fn j151_usage_is_one_chunk_behind_the_reason_for_those_who_ask() {
    let chunks = frames(&golden_from_claude());
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 93);
    assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!(others.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    let mut context = client(Format::Chat);
    context.include_usage = false;
    let silent = translate(&Profile::claude(), &fixture("claude/weather.sse"), Format::Chat, &context);
    assert!(frames(&silent).iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn j152_the_end_mark_is_last() {
    let events = crate::support::events(&Profile::claude(), &fixture("claude/weather.sse"));
    let mut encoder = chat::Encoder::new(client(Format::Chat));
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    let length = out.len();
    encoder.event(Event::Ping, &mut out);
    encoder.event(text(0, "late"), &mut out);
    assert_eq!(out.len(), length);
    let stream = String::from_utf8(out).unwrap();
    assert_eq!(stream.matches("[DONE]").count(), 1);
    assert!(stream.ends_with("data: [DONE]\n\n"));
}

#[test]
fn j153_claude_usage_is_inclusive() {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 14,
        "cache_read_input_tokens": 4410, "cache_creation_input_tokens": 0, "output_tokens": 300}});
    let context = codec::UpstreamContext::new(&Profile::claude(), "r");
    let response =
        format::decode_response(Format::Claude, &serde_json::to_vec(&message).unwrap(), &context).unwrap();
    let usage = &body(&response)["usage"];
    assert_eq!(usage["prompt_tokens"], 4424);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 4410);
    assert_eq!((&usage["completion_tokens"], &usage["total_tokens"]), (&json!(300), &json!(4724)));
}

#[test]
fn j156_an_error_in_the_stream_is_one_frame_and_the_end() {
    let start = Event::Start(Box::new(Response {
        id: Some("chatcmpl-fx000000000000000000000000001".into()),
        ..Response::new(Format::Chat)
    }));
    let stream = stream_of(vec![start, Event::Error(Box::new(Fault::truncated())), end()]);
    assert_eq!(stream, fixture("chat/truncated.sse"));
    let before = stream_of(vec![Event::Error(Box::new(Fault::new(Kind::Overloaded, "busy")))]);
    assert_eq!(frames(&before).len(), 1);
    assert_eq!(frames(&before)[0]["error"]["message"], "busy");
}

#[test]
fn keep_alives_are_comments() {
    let mut encoder = chat::Encoder::new(client(Format::Chat));
    let mut out = Vec::new();
    encoder.keep_alive(&mut out);
    assert_eq!(out, b": keep-alive\n\n");
}
