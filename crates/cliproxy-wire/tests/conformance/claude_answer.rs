//! Answers to Claude clients, and what is read of Claude upstreams.

use cliproxy_wire::Format;
use cliproxy_wire::codec::{ClientContext, StreamEncoder as _, UpstreamContext};
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::{Fold, unfold};
use cliproxy_wire::model::{
    Anchor, Annotation, Arguments, BlockKind, CallKind, CandidateMeta, Channel, Content, Delta, Event, Ext,
    Hosted, HostedKind, HostedPhase, Native, Opaque, OpaqueKind, Owner, Response, Show, Status, Stop,
    StopReason, Usage,
};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{claude, estimate};
use serde_json::{Value, json};

use crate::reader;
use crate::reader::claude::accumulate;
use crate::support::{client, decode, events, fixture, frames, translate, write};

fn start(origin: Format) -> Event {
    Event::Start(Box::new(Response { model: Some("up".into()), ..Response::new(origin) }))
}

fn begin(block: u32, kind: BlockKind) -> Event {
    Event::BlockStart { candidate: 0, block, kind }
}

fn reasoning(block: u32) -> Event {
    begin(block, BlockKind::Reasoning { id: None, is_redacted: false })
}

fn call(block: u32, id: &str, name: &str, opaque: Option<Opaque>) -> Event {
    begin(
        block,
        BlockKind::ToolCall {
            call_id: id.into(),
            is_id_synthetic: false,
            item_id: None,
            name: name.into(),
            namespace: None,
            kind: CallKind::Function,
            native: None,
            caller: None,
            opaque,
        },
    )
}

fn piece(block: u32, delta: Delta) -> Event {
    Event::Delta { candidate: 0, block, delta }
}

fn text(block: u32, text: &str) -> Event {
    piece(block, Delta::Text(text.into()))
}

fn thought(block: u32, text: &str) -> Event {
    piece(block, Delta::Reasoning { channel: Channel::Raw, part: 0, text: text.into() })
}

fn arguments(block: u32, text: &str) -> Event {
    piece(block, Delta::Arguments(text.into()))
}

fn end_of(block: u32) -> Event {
    Event::BlockStop { candidate: 0, block, full: None }
}

fn stop(reason: StopReason) -> [Event; 2] {
    [
        Event::CandidateStop { candidate: 0, stop: Stop::new(reason) },
        Event::End { status: Status::Completed, ext: Ext::new() },
    ]
}

fn google(data: &str) -> Opaque {
    Opaque {
        owner: Owner::Google,
        kind: OpaqueKind::GeminiThought,
        scope: None,
        model: None,
        data: data.into(),
        anchor: Anchor::This,
    }
}

/// The stream that a Claude client gets, checked for the order of its frames, and the message it makes of it, checked
/// against the body of the same answer.
fn answer(context: &ClientContext, events: Vec<Event>) -> (String, Value) {
    let mut fold = Fold::default();
    for event in &events {
        fold.event(event.clone());
    }
    let stream = write(Format::Claude, context, events);
    let message = reader::read(Format::Claude, &stream);
    let body = claude::encode_response(&fold.finish().unwrap(), context);
    let body: Value = serde_json::from_slice(&body).unwrap();
    for name in ["id", "model", "content", "stop_reason", "stop_sequence", "usage", "grounding_metadata"] {
        assert_eq!(message[name], body[name], "{name} of stream and body");
    }
    (stream, message)
}

fn kinds(message: &Value) -> Vec<String> {
    let content = message["content"].as_array().unwrap();
    content.iter().map(|block| block["type"].as_str().unwrap().to_owned()).collect()
}

fn shown() -> ClientContext {
    client(Format::Claude)
}

fn hidden() -> ClientContext {
    ClientContext { show: Show::Hidden, ..shown() }
}

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

/// Reasoning, text, two interleaved calls, and text that began between them.
fn mixed() -> Vec<Event> {
    let mut all = vec![
        start(Format::Chat),
        reasoning(0),
        thought(0, "hm"),
        end_of(0),
        begin(1, BlockKind::Text),
        text(1, "Look"),
        end_of(1),
        call(2, "a", "f", None),
        call(3, "b", "g", None),
        arguments(3, "{\"y\":"),
        arguments(2, "{\"x\":"),
        begin(4, BlockKind::Text),
        text(4, "after"),
        arguments(3, "2}"),
        end_of(3),
        end_of(4),
        arguments(2, "1}"),
        end_of(2),
    ];
    all.extend(stop(StopReason::ToolUse));
    all
}

#[test]
fn j184_at_most_one_block_is_open_and_indices_have_no_gaps() {
    answer(&shown(), mixed());
}

#[test]
fn j185_deltas_stand_only_in_blocks_of_their_kind() {
    // The accumulation refuses any other pair.
    let (_, message) = answer(&shown(), mixed());
    assert_eq!(kinds(&message), ["thinking", "text", "tool_use", "tool_use", "text"]);
}

#[test]
fn j186_reasoning_text_reasoning_are_three_blocks() {
    let mut all = vec![start(Format::Chat), reasoning(0), thought(0, "a"), end_of(0)];
    all.extend([begin(1, BlockKind::Text), text(1, "b"), end_of(1)]);
    all.extend([reasoning(2), thought(2, "c"), end_of(2)]);
    all.extend(stop(StopReason::EndTurn));
    let (_, message) = answer(&shown(), all);
    assert_eq!(kinds(&message), ["thinking", "text", "thinking"]);
    assert_eq!(message["content"][2]["thinking"], "c");
}

#[test]
fn j187_each_thinking_block_has_one_signature_that_is_not_empty() {
    let (stream, message) = answer(&shown(), mixed());
    assert_eq!(stream.matches("signature_delta").count(), 1);
    let signature = message["content"][0]["signature"].as_str().unwrap();
    assert!(signature.starts_with("R1dT"), "foreign thinking gets an envelope: {signature}");
    let native = events(&Profile::claude(), &fixture("claude/weather.sse"));
    let (stream, _) = answer(&shown(), native);
    assert_eq!(stream.matches("signature_delta").count(), 1);
    assert!(stream.contains("\"signature\":\"ErUBsignature0001==\""));
}

#[test]
fn j188_no_thinking_block_without_thinking_asked_for() {
    let (_, message) = answer(&hidden(), mixed());
    assert_eq!(kinds(&message), ["text", "tool_use", "tool_use", "text"]);
    let native = events(&Profile::claude(), &fixture("claude/weather.sse"));
    assert_eq!(kinds(&answer(&hidden(), native).1), ["text", "tool_use", "tool_use"]);
    let mut signed = vec![start(Format::Gemini), call(0, "a", "f", Some(google("SIG"))), end_of(0)];
    signed.extend(stop(StopReason::ToolUse));
    assert_eq!(kinds(&answer(&hidden(), signed).1), ["tool_use"]);
}

#[test]
fn omitted_display_gives_signed_blocks_without_text_that_carry_the_text_back() {
    let body = json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}],
        "thinking":{"type":"adaptive","display":"omitted"}});
    let context = ClientContext::new(&decode(Format::Claude, &body).unwrap(), "req_fx", 0);
    let (_, message) = answer(&context, mixed());
    assert_eq!(message["content"][0]["thinking"], "");
    let back =
        json!({"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":message["content"]}]});
    let request = decode(Format::Claude, &back).unwrap();
    let Content::Reasoning(reasoning) = &request.turns[0].blocks[0].content else { panic!() };
    assert_eq!(reasoning.text(), "hm");
}

#[test]
fn j189_interleaved_calls_are_complete_and_serial() {
    let (_, message) = answer(&shown(), mixed());
    assert_eq!(message["content"][2]["input"], json!({"x": 1}));
    assert_eq!(message["content"][3]["input"], json!({"y": 2}));
    assert_eq!(message["content"][4]["text"], "after");
}

#[test]
fn j190_inputs_join_to_objects_and_a_call_without_arguments_gives_an_empty_one() {
    for (pieces, input) in [
        (vec![], json!({})),
        (vec!["null"], json!({})),
        (vec![" ", "{\"a\"", ":1}"], json!({"a": 1})),
        (vec!["\"{\\\"a\\\":", "1}\""], json!({"a": 1})),
        (vec!["[1,", "2]"], json!({"input": [1, 2]})),
    ] {
        let mut all = vec![start(Format::Chat), call(0, "a", "f", None)];
        all.extend(pieces.iter().map(|piece| arguments(0, piece)));
        all.push(end_of(0));
        all.extend(stop(StopReason::ToolUse));
        let (stream, message) = answer(&shown(), all);
        assert_eq!(message["content"][0]["input"], input, "{pieces:?}");
        assert!(stream.contains("input_json_delta"));
    }
}

/// A Responses stream with one call, whose arguments come as these frames say.
fn responses_call(arguments: &[Value]) -> Value {
    let item = |arguments: &str| json!({"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": arguments});
    let mut all = vec![
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "m", "output": []}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("")}),
    ];
    all.extend(arguments.iter().cloned());
    all.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item("{\"a\":1}")}));
    all.push(
        json!({"type": "response.completed", "response": {"id": "resp_1", "model": "m", "status": "completed",
        "output": [item("{\"a\":1}")], "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}}}),
    );
    let frame = |data: &Value| ["data: ", &data.to_string(), "\n\n"].concat();
    let stream: String = all.iter().map(frame).collect();
    let written = translate(&Profile::openai_responses(), &stream, Format::Claude, &shown());
    reader::read(Format::Claude, &written)
}

#[test]
fn j191_arguments_that_come_at_the_end_only_are_delivered() {
    let done = json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 0, "arguments": "{\"a\":1}"});
    assert_eq!(responses_call(&[done])["content"][0]["input"], json!({"a": 1}));
    assert_eq!(responses_call(&[])["content"][0]["input"], json!({"a": 1}));
}

#[test]
fn j192_arguments_that_come_in_pieces_and_again_whole_are_delivered_once() {
    let delta = |piece: &str| json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": piece});
    let done = json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 0, "arguments": "{\"a\":1}"});
    let message = responses_call(&[delta("{\"a\""), delta(":1}"), done]);
    assert_eq!(message["content"], json!([{"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]));
    assert_eq!(message["stop_reason"], "tool_use");
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
    let input = estimate::Input::new(std::sync::Arc::new(asked), estimate::Family::Other);
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

fn search(phase: HostedPhase) -> Event {
    begin(
        0,
        BlockKind::Hosted(Box::new(Hosted {
            phase,
            kind: HostedKind::WebSearch,
            id: "ws_1".into(),
            status: None,
            input: Some(Raw::new(r#"{"queries":["rome"]}"#)),
            output: Some(Raw::new(r#"[{"url":"https://a.example","title":"A"}]"#)),
            error: None,
            native: Native { format: Format::Responses, value: Raw::new("{}") },
        })),
    )
}

#[test]
fn hosted_searches_are_blocks_only_for_clients_that_declared_the_tool() {
    let all = || {
        let mut all = vec![start(Format::Responses), search(HostedPhase::Both), end_of(0)];
        all.extend(stop(StopReason::EndTurn));
        all
    };
    let declared = ClientContext { declares_web_search: true, ..shown() };
    let (_, message) = answer(&declared, all());
    assert_eq!(kinds(&message), ["server_tool_use", "web_search_tool_result"]);
    assert_eq!(message["content"][0]["input"], json!({"query": "rome"}));
    assert_eq!(message["content"][0]["id"], message["content"][1]["tool_use_id"]);
    assert_eq!(message["content"][1]["content"][0]["url"], "https://a.example");
    assert_eq!(answer(&shown(), all()).1["content"], json!([]));
}

fn grounded() -> Vec<Event> {
    let grounding = r#"{"webSearchQueries":["rome"],"groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}}]}"#;
    let meta = CandidateMeta { grounding: Some(Raw::new(grounding)), ..CandidateMeta::default() };
    let mut all = vec![start(Format::Gemini), begin(0, BlockKind::Text), text(0, "Röme"), end_of(0)];
    all.push(Event::CandidateMeta { candidate: 0, meta: Box::new(meta) });
    all.extend(stop(StopReason::EndTurn));
    all
}

#[test]
fn j201_grounding_becomes_search_blocks_only_for_clients_that_declared_the_tool() {
    let declared = ClientContext { declares_web_search: true, ..shown() };
    let (_, message) = answer(&declared, grounded());
    assert_eq!(kinds(&message), ["text", "server_tool_use", "web_search_tool_result"]);
    assert_eq!(message["content"][1]["input"], json!({"query": "rome"}));
    let (_, message) = answer(&shown(), grounded());
    assert_eq!(kinds(&message), ["text"]);
    assert!(message["grounding_metadata"].is_object());
}

#[test]
fn j202_grounding_metadata_is_beside_the_last_delta_and_on_top_of_the_body() {
    let (stream, message) = answer(&shown(), grounded());
    let frames = frames(&stream);
    let delta = &frames[frames.len() - 2];
    assert_eq!(delta["grounding_metadata"]["webSearchQueries"], json!(["rome"]));
    assert_eq!(message["grounding_metadata"], delta["grounding_metadata"]);
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
fn signatures_of_calls_travel_in_the_thinking_block_before_them_and_come_back() {
    let all = |with_thought: bool| {
        let mut all = vec![start(Format::Gemini)];
        if with_thought {
            all.extend([reasoning(0), thought(0, "hm"), end_of(0)]);
        }
        let first = u32::from(with_thought);
        all.extend([call(first, "a", "f", Some(google("SIG"))), end_of(first)]);
        all.extend([call(first + 1, "b", "g", None), end_of(first + 1)]);
        all.extend(stop(StopReason::ToolUse));
        all
    };
    for with_thought in [true, false] {
        let (_, message) = answer(&shown(), all(with_thought));
        assert_eq!(kinds(&message), ["thinking", "tool_use", "tool_use"]);
        let back = json!({"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":message["content"]}]});
        let request = decode(Format::Claude, &back).unwrap();
        let Content::Reasoning(reasoning) = &request.turns[0].blocks[0].content else { panic!() };
        assert_eq!(reasoning.opaque, [Opaque { anchor: Anchor::ToolCall(0), ..google("SIG") }]);
    }
}

#[test]
fn foreign_citations_quote_the_text_they_point_at() {
    let annotation = Annotation::Url {
        url: "https://a.example".into(),
        title: "A".into(),
        start: Some(0),
        end: Some(4),
        unit: cliproxy_wire::model::IndexUnit::Characters,
        cited_text: None,
        native: None,
    };
    let mut all = vec![start(Format::Chat), begin(0, BlockKind::Text), text(0, "Röme is warm")];
    all.extend([piece(0, Delta::Annotation(annotation)), end_of(0)]);
    all.extend(stop(StopReason::EndTurn));
    let (_, message) = answer(&shown(), all);
    assert_eq!(message["content"][0]["citations"][0]["cited_text"], "Röme");
    assert_eq!(message["content"][0]["citations"][0]["type"], "web_search_result_location");
}

#[test]
fn a_call_cut_by_the_limit_is_dropped_from_bodies_and_kept_in_streams() {
    let mut all = vec![start(Format::Chat), call(0, "a", "f", None), arguments(0, "{\"a\":\"b"), end_of(0)];
    all.extend(stop(StopReason::MaxTokens));
    let mut fold = Fold::default();
    for event in &all {
        fold.event(event.clone());
    }
    let body: Value =
        serde_json::from_slice(&claude::encode_response(&fold.finish().unwrap(), &shown())).unwrap();
    assert_eq!((&body["content"], &body["stop_reason"]), (&json!([]), &json!("max_tokens")));
    assert!(write(Format::Claude, &shown(), all).contains(r#""partial_json":"{\"a\":\"b""#));
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

// What is read of Claude upstreams (K.7).

const START: &str = r#"data: {"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":2037,"output_tokens":1}}}

"#;
const END: &str = r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":15665,"output_tokens":9}}

data: {"type":"message_stop"}

"#;

/// The only block of the answer that these frames make.
fn block(frames: &[Value]) -> Content {
    let frames: String = frames.iter().map(|frame| ["data: ", &frame.to_string(), "\n\n"].concat()).collect();
    let stream = [START, &frames, END].concat();
    let mut fold = Fold::default();
    for event in events(&Profile::claude(), &stream) {
        fold.event(event);
    }
    let response = fold.finish().unwrap();
    assert_eq!(response.usage.as_ref().unwrap().input, Some(15665), "the last word counts");
    assert_eq!(response.candidates[0].blocks.len(), 1);
    response.candidates[0].blocks[0].content.clone()
}

fn block_start(block: impl Into<Value>) -> Value {
    let block = block.into();
    json!({"type":"content_block_start","index":0,"content_block":block})
}

fn block_delta(delta: impl Into<Value>) -> Value {
    let delta = delta.into();
    json!({"type":"content_block_delta","index":0,"delta":delta})
}

fn block_end() -> Value {
    json!({"type":"content_block_stop","index":0})
}

#[test]
fn empty_argument_fragments_are_an_empty_object() {
    let content = block(&[
        block_start(json!({"type":"tool_use","id":"t","name":"f","input":{}})),
        block_delta(json!({"type":"input_json_delta","partial_json":""})),
        block_end(),
    ]);
    let Content::ToolCall(call) = content else { panic!() };
    assert_eq!(call.arguments, Arguments::Json("{}".into()));
}

#[test]
fn redacted_thinking_is_opaque_as_a_whole() {
    let content = block(&[block_start(json!({"type":"redacted_thinking","data":"DATA"})), block_end()]);
    let Content::Reasoning(reasoning) = content else { panic!() };
    assert!(reasoning.is_redacted);
    assert_eq!((reasoning.opaque[0].kind, &*reasoning.opaque[0].data), (OpaqueKind::ClaudeRedacted, "DATA"));
}

#[test]
fn a_signature_may_come_alone_and_in_pieces() {
    let content = block(&[
        block_start(json!({"type":"thinking","thinking":"","signature":""})),
        block_delta(json!({"type":"signature_delta","signature":"AB"})),
        block_delta(json!({"type":"signature_delta","signature":"CD"})),
        block_end(),
    ]);
    let Content::Reasoning(reasoning) = content else { panic!() };
    assert!(reasoning.summary.is_empty());
    assert_eq!(&*reasoning.opaque[0].data, "ABCD");
    assert_eq!(reasoning.opaque.len(), 1);
}

#[test]
fn a_search_result_comes_whole_with_its_start() {
    let content = block(&[
        block_start(json!({"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[
            {"type":"web_search_result","url":"https://a.example","title":"A","encrypted_content":"E"}]})),
        block_end(),
    ]);
    let Content::Hosted(hosted) = content else { panic!() };
    assert_eq!((hosted.phase, hosted.kind), (HostedPhase::Result, HostedKind::WebSearch));
    assert_eq!(hosted.output.unwrap().as_str(), r#"[{"url":"https://a.example","title":"A"}]"#);
    assert!(hosted.native.value.as_str().contains("\"E\""));
}

#[test]
fn citations_before_the_text_belong_to_it() {
    let content = block(&[
        block_start(json!({"type":"text","text":""})),
        block_delta(json!({"type":"citations_delta","citation":{"type":"web_search_result_location",
            "url":"https://a.example","title":"A","cited_text":"x","encrypted_index":"I"}})),
        block_delta(json!({"type":"text_delta","text":"hi"})),
        block_end(),
    ]);
    let Content::Text(text) = content else { panic!() };
    assert_eq!((&*text.text, text.annotations.len()), ("hi", 1));
}

#[test]
fn j230_oddities_of_claude_upstreams_do_no_harm() {
    let second = json!({"type":"message_start","message":{"id":"msg_2","model":"x","usage":{}}});
    // A second start is ignored; a delta opens its block; the input of the start counts without deltas.
    let content = block(&[second.clone(), block_delta(json!({"type":"text_delta","text":"hi"})), second]);
    assert_eq!(content, Content::Text(cliproxy_wire::model::Text::new("hi")));
    let content =
        block(&[block_start(json!({"type":"tool_use","id":"","name":"f","input":{"a":1.0}})), block_end()]);
    let Content::ToolCall(call) = content else { panic!() };
    assert_eq!(call.arguments, Arguments::Json("{\"a\":1.0}".into()));
    assert!(call.is_id_synthetic && call.call_id.starts_with("call_"));
}

#[test]
fn j217_a_surrogate_pair_split_over_two_deltas_is_joined() {
    let delta = |half: &str| {
        let delta =
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"HALF"}}"#;
        [&delta.replace("HALF", half), "\n\n"].concat()
    };
    let stream = [START, &delta(r"\ud83d"), &delta(r"\ude00"), END].concat();
    let written = translate(&Profile::claude(), &stream, Format::Claude, &shown());
    assert_eq!(accumulate(&written)["content"][0]["text"], "😀");
}

#[test]
fn j225_an_end_without_a_stop_reason_is_an_error() {
    let all = events(&Profile::claude(), START);
    assert!(
        matches!(all.last(), Some(Event::Error(fault)) if fault.code.as_deref() == Some("upstream_truncated"))
    );
    let without_stop = format!("{START}{}", END.split("data: {\"type\":\"message_stop").next().unwrap());
    assert!(matches!(events(&Profile::claude(), &without_stop).last(), Some(Event::End { .. })));
}

#[test]
fn three_unreadable_frames_in_a_row_are_an_error() {
    let broken = "data: {nonsense\n\n";
    let two = format!("{START}{broken}{broken}{END}");
    assert!(matches!(events(&Profile::claude(), &two).last(), Some(Event::End { .. })));
    let three = format!("{START}{}{END}", broken.repeat(3));
    assert!(matches!(events(&Profile::claude(), &three).last(), Some(Event::Error(_))));
}

#[test]
fn errors_in_success_bodies_are_errors() {
    let context = UpstreamContext::new(&Profile::claude(), "r");
    let body =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_1"}"#;
    let fault = claude::decode_response(body.as_bytes(), &context).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (Kind::Overloaded, "busy"));
    for body in ["", "<html>", "{}", "[]", "null"] {
        assert!(claude::decode_response(body.as_bytes(), &context).is_err(), "{body}");
    }
    let stream = format!(
        "{START}event: error\ndata: {body}\n\n",
        body = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#
    );
    assert!(
        matches!(events(&Profile::claude(), &stream).last(), Some(Event::Error(fault)) if fault.kind == Kind::Overloaded)
    );
}

#[test]
fn broken_bodies_and_streams_are_refused_without_harm() {
    let context = UpstreamContext::new(&Profile::claude(), "r");
    for name in ["claude/weather.json", "claude/weather-next.json", "claude/weather.sse"] {
        let whole = fixture(name).into_bytes();
        for at in 0..whole.len() {
            for byte in [b'"', b'7', 0xFF] {
                let mut broken = whole.clone();
                broken[at] = byte;
                drop(claude::decode_response(&broken, &context));
                drop(claude::decode_request(&broken));
                if at % 7 == 0
                    && let Ok(text) = String::from_utf8(broken)
                {
                    drop(write(Format::Claude, &shown(), events(&Profile::claude(), &text)));
                }
            }
            drop(claude::decode_response(&whole[..at], &context));
            drop(claude::decode_request(&whole[..at]));
        }
    }
}
