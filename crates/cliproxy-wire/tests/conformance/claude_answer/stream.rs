//! The stream for Claude clients as a whole: its order, its counts, its ends.

use cliproxy_wire::codec::{ClientContext, StreamEncoder as _, UpstreamContext};
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::model::fold::{Fold, unfold};
use cliproxy_wire::model::{BlockKind, Event, Ext, Status, Stop, StopReason, Usage};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, claude, estimate};
use serde_json::{Value, json};

use super::{answer, begin, end_of, mixed, shown, start, stop, text};
use crate::reader;
use crate::reader::claude::accumulate;
use crate::support::{decode, events, fixture, frames, translate, write};

#[test]
fn the_golden_stream_passes_through_the_model_and_comes_out_as_it_was() {
    let golden = fixture("claude/weather.sse");
    assert_eq!(translate(&Profile::claude(), &golden, Format::Claude, &shown()), golden);
}

#[test]
fn j203_the_golden_stream_accumulates_to_the_golden_body() {
    let golden: Value = serde_json::from_str(&fixture("claude/weather.json")).unwrap();
    assert_eq!(accumulate(&fixture("claude/weather.sse")), golden);
    let events = events(&Profile::claude(), &fixture("claude/weather.sse"));
    assert_eq!(answer(&shown(), events).1, golden);
}

#[test]
fn the_golden_body_reads_like_the_golden_stream_and_comes_out_as_it_was() {
    let golden = fixture("claude/weather.json");
    let context = UpstreamContext::new(&Profile::claude(), "req_fx");
    let response = claude::decode_response(golden.as_bytes(), &context).unwrap();
    assert_eq!(String::from_utf8(claude::encode_response(&response, &shown())).unwrap(), golden.trim());
    let mut laid_out = Vec::new();
    unfold(&response, &mut laid_out);
    assert_eq!(answer(&shown(), laid_out).1, serde_json::from_str::<Value>(&golden).unwrap());
    let mut fold = Fold::default();
    for event in events(&Profile::claude(), &fixture("claude/weather.sse")) {
        fold.event(event);
    }
    assert_eq!(fold.finish().unwrap(), response);
}

#[test]
fn j182_events_come_in_order_and_the_message_starts_once() {
    let mut all = vec![start(Format::Chat), begin(0, BlockKind::Text), text(0, "a"), end_of(0)];
    all.extend(stop(StopReason::EndTurn));
    all.insert(1, start(Format::Chat));
    let stream = write(Format::Claude, &shown(), all);
    reader::read(Format::Claude, &stream);
    assert_eq!(stream.matches("event: message_start").count(), 1);
}

#[test]
fn j183_every_frame_names_its_event() {
    let stream = write(Format::Claude, &shown(), mixed());
    for frame in stream.trim_end().split("\n\n") {
        let (name, data) = frame.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
    }
}

#[test]
fn j193_usage_of_the_end_has_all_counts_and_leaves_cached_tokens_out_of_the_input() {
    let mut all = vec![start(Format::Chat), begin(0, BlockKind::Text), text(0, "a"), end_of(0)];
    all.push(Event::Usage(Box::new(Usage {
        input: Some(4424),
        cache_read: Some(4410),
        output: Some(300),
        reasoning: Some(120),
        ..Usage::default()
    })));
    all.extend(stop(StopReason::EndTurn));
    let (stream, _) = answer(&shown(), all);
    let frames = frames(&stream);
    assert_eq!(
        frames[frames.len() - 2]["usage"],
        json!({"input_tokens": 14, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4410,
            "output_tokens": 300, "output_tokens_details": {"thinking_tokens": 120}})
    );
}

#[test]
fn j194_late_usage_is_in_the_message_delta_and_nothing_follows_the_stop() {
    let mut all = vec![start(Format::Chat)];
    all.push(Event::CandidateStop { candidate: 0, stop: Stop::new(StopReason::EndTurn) });
    all.push(Event::Usage(Box::new(Usage { input: Some(5), output: Some(2), ..Usage::default() })));
    all.push(Event::End { status: Status::Completed, ext: Ext::new() });
    all.push(Event::Ping);
    all.extend([begin(0, BlockKind::Text), text(0, "late"), end_of(0)]);
    let stream = write(Format::Claude, &shown(), all);
    assert_eq!(reader::read(Format::Claude, &stream)["usage"]["input_tokens"], 5);
    assert!(!stream.contains("late"));
}

#[test]
fn the_input_estimate_stands_in_until_the_upstream_says_more() {
    let asked = json!({"model":"m","max_tokens":9,"system":"word ".repeat(70),"messages":[{"role":"user","content":"a"}]});
    let asked = decode(Format::Claude, &asked).unwrap();
    let input = estimate::Input::new(asked, estimate::Family::Other);
    let tokens = input.tokens();
    let context = ClientContext { input: Some(input), ..shown() };
    let mut all = vec![start(Format::Chat)];
    all.push(Event::Usage(Box::new(Usage { input: Some(5), output: Some(2), ..Usage::default() })));
    all.extend(stop(StopReason::EndTurn));
    let stream = write(Format::Claude, &context, all);
    let frames = frames(&stream);
    assert_eq!(frames[0]["message"]["usage"]["input_tokens"], tokens);
    assert_eq!(accumulate(&stream)["usage"]["input_tokens"], 5);
}

#[test]
fn j195_stop_reasons_are_words_of_the_format() {
    for (reason, word) in [
        (StopReason::EndTurn, "end_turn"),
        (StopReason::ToolUse, "tool_use"),
        (StopReason::MaxTokens, "max_tokens"),
        (StopReason::ContextWindow, "model_context_window_exceeded"),
        (StopReason::StopSequence, "end_turn"),
        (StopReason::ContentFilter, "refusal"),
        (StopReason::Refusal, "refusal"),
        (StopReason::Recitation, "refusal"),
        (StopReason::Pause, "end_turn"),
        (StopReason::MalformedToolCall, "end_turn"),
        (StopReason::Compaction, "end_turn"),
        (StopReason::Other, "end_turn"),
    ] {
        let mut all = vec![start(Format::Gemini), begin(0, BlockKind::Text), text(0, "a"), end_of(0)];
        all.extend(stop(reason));
        assert_eq!(answer(&shown(), all).1["stop_reason"], word, "{reason:?}");
    }
    let mut hit = Stop::new(StopReason::StopSequence);
    hit.sequence = Some("END".into());
    let all = vec![
        start(Format::Chat),
        Event::CandidateStop { candidate: 0, stop: hit },
        Event::End { status: Status::Completed, ext: Ext::new() },
    ];
    let (_, message) = answer(&shown(), all);
    assert_eq!(
        (&message["stop_reason"], &message["stop_sequence"]),
        (&json!("stop_sequence"), &json!("END"))
    );
}

#[test]
fn upstream_words_that_contradict_the_content_are_corrected() {
    let context = UpstreamContext::new(&Profile::claude(), "r");
    for (content, said, meant) in [
        (json!([{"type":"tool_use","id":"t","name":"f","input":{}}]), "end_turn", StopReason::ToolUse),
        (json!([{"type":"text","text":"a"}]), "tool_use", StopReason::EndTurn),
        (json!([{"type":"text","text":"a"}]), "pause_turn", StopReason::Pause),
        (json!([{"type":"text","text":"a"}]), "brand_new", StopReason::Other),
        (json!(null), "refusal", StopReason::Refusal),
    ] {
        let body = json!({"type":"message","id":"msg_1","role":"assistant","model":"m","content":content,
            "stop_reason":said,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}});
        let response = claude::decode_response(body.to_string().as_bytes(), &context).unwrap();
        assert_eq!(response.candidates[0].stop.reason, meant, "{said}");
    }
}

#[test]
fn j196_a_filtered_answer_is_a_refusal_without_blocks() {
    let mut filtered = Stop::new(StopReason::ContentFilter);
    filtered.explanation = Some("blocked".into());
    let all = vec![
        start(Format::Gemini),
        Event::CandidateStop { candidate: 0, stop: filtered },
        Event::End { status: Status::Incomplete, ext: Ext::new() },
    ];
    let (_, message) = answer(&shown(), all);
    assert_eq!(message["stop_reason"], "refusal");
    assert_eq!(message["content"], json!([]));
    assert_eq!(message["stop_details"], json!({"type":"refusal","category":null,"explanation":"blocked"}));
}

#[test]
fn j197_an_error_in_the_stream_ends_it_without_success() {
    let golden = fixture("claude/truncated.sse");
    let upstream = golden.split("event: error").next().unwrap();
    let written = translate(&Profile::claude(), upstream, Format::Claude, &shown());
    let without_ping = written.replace("event: ping\ndata: {\"type\":\"ping\"}\n\n", "");
    assert_eq!(without_ping, golden);
    let mut fault = mixed();
    fault.truncate(6);
    fault.push(Event::Error(Box::new(Fault::new(Kind::Overloaded, "busy"))));
    let stream = write(Format::Claude, &shown(), fault);
    assert!(stream.contains("overloaded_error"));
    assert!(!stream.contains("message_stop") && !stream.contains("message_delta"));
    assert_eq!(frames(&stream).last().unwrap()["type"], "error");
}

#[test]
fn j204_pings_are_sent_in_idle_times_but_never_before_the_start() {
    let mut encoder = claude::Encoder::new(shown());
    let mut out = Vec::new();
    encoder.keep_alive(&mut out);
    assert!(out.is_empty());
    encoder.event(start(Format::Chat), &mut out);
    out.clear();
    encoder.keep_alive(&mut out);
    assert_eq!(out, b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
    for event in stop(StopReason::EndTurn) {
        encoder.event(event, &mut out);
    }
    out.clear();
    encoder.keep_alive(&mut out);
    assert!(out.is_empty());
}

#[test]
fn client_names_and_own_ids_are_echoed() {
    let context =
        ClientContext { echoes_requested_model: true, requested_model: "alias(high)".into(), ..shown() };
    let (_, message) = answer(&context, mixed());
    assert_eq!(message["model"], "alias(high)");
    let id = message["id"].as_str().unwrap();
    assert!(id.starts_with("msg_") && id.len() == 28, "{id}");
    assert_eq!(answer(&shown(), mixed()).1["model"], "up");
}
