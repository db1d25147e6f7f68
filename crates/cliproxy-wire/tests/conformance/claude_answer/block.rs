//! The blocks of answers for Claude clients.

use cliproxy_wire::codec::ClientContext;
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{
    Anchor, Annotation, BlockKind, CandidateMeta, Content, Delta, Event, Hosted, HostedKind, HostedPhase,
    Native, Opaque, OpaqueKind, Owner, Show, StopReason,
};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, claude};
use serde_json::{Value, json};

use super::{
    answer, arguments, begin, call, end_of, mixed, piece, reasoning, shown, start, stop, text, thought,
};
use crate::reader;
use crate::support::{decode, events, fixture, frames, translate, write};

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

fn kinds(message: &Value) -> Vec<String> {
    let content = message["content"].as_array().unwrap();
    content.iter().map(|block| block["type"].as_str().unwrap().to_owned()).collect()
}

fn hidden() -> ClientContext {
    ClientContext { show: Show::Hidden, ..shown() }
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
