//! The events of a stream for Responses clients, event by event, and the response that ends it.

use cliproxy_wire::codec::ClientContext;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{BlockKind, CallKind, Channel, Delta, Event, Status, StopReason};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, responses};
use serde_json::{Value, json};

use super::{
    arguments, begin, call, client, delta, end, end_block, frames, frames_for, output, reasoning, signature,
    start, stop, text, thought, types, whole, with_message_id,
};
use crate::reader::responses::{check_framing, check_items};
use crate::support;

fn golden_events(pieces: &[&str]) -> Vec<Event> {
    let mut events = vec![begin(0, reasoning(Some("rs_fx01")))];
    events.extend(pieces.iter().map(|piece| thought(0, Channel::Summary, 0, piece)));
    events.extend([delta(0, Delta::Opaque(signature())), end_block(0)]);
    events.extend([begin(1, BlockKind::Text), text(1, "Checking Röme "), text(1, "🌤."), end_block(1)]);
    let named = |id: &str, call_id: &str, name: &str| BlockKind::ToolCall {
        call_id: call_id.into(),
        is_id_synthetic: false,
        item_id: Some(id.into()),
        name: name.into(),
        namespace: None,
        kind: CallKind::Function,
        native: None,
        caller: None,
        opaque: None,
    };
    events.extend([
        begin(2, named("fc_fx01", "toolu_01A", "get_weather")),
        arguments(2, "{\"city\":"),
        arguments(2, "\"Rome\"}"),
        end_block(2),
        begin(3, named("fc_fx02", "toolu_01B", "get_time")),
        end_block(3),
    ]);
    whole(events, StopReason::ToolUse)
}

#[test]
fn the_golden_stream_is_written_byte_for_byte() {
    let written = support::write(Format::Responses, &client(), golden_events(&["Need the weather."]));
    let golden = support::fixture("responses/weather.sse");
    assert_eq!(written, with_message_id(&golden, &written));
}

#[test]
fn the_golden_body_is_written_byte_for_byte() {
    let mut fold = Fold::default();
    for event in golden_events(&["Need the ", "weather."]) {
        fold.event(event);
    }
    let written = responses::encode_response(&fold.finish().unwrap(), &client());
    let written = String::from_utf8(written).unwrap();
    let golden = support::fixture("responses/weather.json");
    assert_eq!(written, with_message_id(golden.trim_end(), &written));
}

#[test]
fn j163_the_first_two_events_and_gapless_numbers_of_the_golden_stream() {
    let frames = frames_for(&client(), &golden_events(&["Need the ", "weather."]));
    assert_eq!(types(&frames)[..2], ["created", "in_progress"]);
}

#[test]
fn j164_event_names_equal_the_types_in_the_data() {
    check_framing(&support::write(Format::Responses, &client(), golden_events(&["x"])));
}

#[test]
fn j165_items_begin_before_and_end_after_everything_of_them() {
    check_items(&frames(vec![begin(0, BlockKind::Text), text(0, "a"), end_block(0)], StopReason::EndTurn));
}

#[test]
fn j166_the_last_event_repeats_the_finished_items() {
    let frames = frames_for(&client(), &golden_events(&["x"]));
    let kinds: Vec<_> = output(&frames).as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call"]);
}

#[test]
fn j167_finished_texts_equal_their_deltas() {
    let frames = frames(
        vec![begin(0, BlockKind::Text), text(0, "ä"), text(0, "🌤"), end_block(0)],
        StopReason::EndTurn,
    );
    assert_eq!(output(&frames)[0]["content"][0]["text"], "ä🌤");
}

#[test]
fn j168_token_probabilities_stand_at_the_delta_they_describe() {
    let mut context = client();
    context.include.insert("message.output_text.logprobs".into());
    let probabilities =
        |token: &str| format!(r#"[{{"token":"{token}","logprob":-0.5,"bytes":null,"top_logprobs":[]}}]"#);
    let events = whole(
        vec![
            begin(0, BlockKind::Text),
            text(0, "a"),
            delta(0, Delta::Logprobs(Raw::new(probabilities("a")))),
            text(0, "b"),
            text(0, "c"),
            delta(0, Delta::Logprobs(Raw::new(probabilities("c")))),
            end_block(0),
        ],
        StopReason::EndTurn,
    );
    let frames = frames_for(&context, &events);
    let deltas: Vec<_> = frames
        .iter()
        .filter(|frame| frame["type"] == "response.output_text.delta")
        .map(|frame| (frame["delta"].as_str().unwrap(), frame["logprobs"].as_array().unwrap().len()))
        .collect();
    assert_eq!(deltas, [("a", 1), ("b", 0), ("c", 1)]);
    assert_eq!(output(&frames)[0]["content"][0]["logprobs"].as_array().unwrap().len(), 2);
}

#[test]
fn j169_finished_arguments_have_name_and_text() {
    let frames = frames(
        vec![begin(0, call("c", "f", CallKind::Function)), arguments(0, "{}"), end_block(0)],
        StopReason::ToolUse,
    );
    let done = frames.iter().find(|frame| frame["type"] == "response.function_call_arguments.done").unwrap();
    assert_eq!((&done["name"], &done["arguments"]), (&json!("f"), &json!("{}")));
}

#[test]
fn j170_interleaved_calls_are_serial_and_complete() {
    let frames = frames(
        vec![
            begin(0, call("a", "f", CallKind::Function)),
            begin(1, call("b", "g", CallKind::Function)),
            begin(2, call("c", "h", CallKind::Function)),
            arguments(0, "{\"x\""),
            arguments(1, "{\"y\""),
            arguments(0, ":1}"),
            arguments(1, ":2}"),
            end_block(1),
            end_block(0),
            end_block(2),
        ],
        StopReason::ToolUse,
    );
    let calls: Vec<_> = output(&frames)
        .as_array()
        .unwrap()
        .iter()
        .map(|item| [item["call_id"].as_str().unwrap(), item["arguments"].as_str().unwrap()])
        .collect();
    assert_eq!(calls, [["a", "{\"x\":1}"], ["b", "{\"y\":2}"], ["c", "{}"]]);
}

#[test]
fn j173_a_limit_ends_with_incomplete_and_marks_the_item_it_cut() {
    for (reason, word) in [
        (StopReason::MaxTokens, "max_output_tokens"),
        (StopReason::ContextWindow, "max_output_tokens"),
        (StopReason::ContentFilter, "content_filter"),
        (StopReason::Recitation, "content_filter"),
    ] {
        let frames = frames(
            vec![begin(0, call("c", "f", CallKind::Function)), arguments(0, "{\"a"), end_block(0)],
            reason,
        );
        let last = frames.last().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["status"], "incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], word);
        assert_eq!(output(&frames)[0]["status"], "incomplete");
        assert_eq!(output(&frames)[0]["arguments"], "{\"a");
    }
}

#[test]
fn j174_the_finished_response_has_every_member() {
    let frames = frames(vec![begin(0, BlockKind::Text), text(0, "x"), end_block(0)], StopReason::EndTurn);
    let response = frames.last().unwrap()["response"].as_object().unwrap();
    let golden: Value = serde_json::from_str(&support::fixture("responses/weather.json")).unwrap();
    let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(response), names(golden.as_object().unwrap()));
    assert_eq!(
        response["usage"],
        json!({
            "input_tokens": 52,
            "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 0},
            "output_tokens": 41,
            "output_tokens_details": {"reasoning_tokens": 12},
            "total_tokens": 93,
        })
    );
    assert!(!response.contains_key("output_text"));
}

#[test]
fn what_the_request_said_is_repeated_as_it_was_written() {
    let body = json!({"model": "alias", "input": "x", "instructions": "i", "temperature": 0.5, "tools": [{"type": "function", "name": "f", "parameters": {}}], "tool_choice": "required", "text": {"verbosity": "low"}, "metadata": {"a": "b"}, "max_output_tokens": 99, "store": true});
    let request = support::decode(Format::Responses, &body).unwrap();
    let context = ClientContext::new(&request, "req_fx", 1);
    let frames = frames_for(&context, &whole(Vec::new(), StopReason::EndTurn));
    for frame in [&frames[0], frames.last().unwrap()] {
        let response = &frame["response"];
        for member in ["instructions", "temperature", "tools", "tool_choice", "metadata", "max_output_tokens"]
        {
            assert_eq!(response[member], body[member], "{member}");
        }
        assert_eq!(response["text"], json!({"format": {"type": "text"}, "verbosity": "low"}));
        assert_eq!(response["reasoning"], json!({"effort": null, "summary": null}));
        // Nothing is stored here, whatever was asked for.
        assert_eq!(response["store"], false);
    }
}

#[test]
fn j176_an_error_is_told_twice_and_then_nothing() {
    let events = vec![
        start(),
        begin(0, call("c", "f", CallKind::Function)),
        end_block(0),
        begin(1, BlockKind::Text),
        text(1, "half"),
        end_block(1),
        Event::Error(Box::new(Fault::truncated())),
        stop(StopReason::EndTurn),
        end(Status::Completed),
    ];
    let stream = support::write(Format::Responses, &client(), events);
    check_framing(&stream);
    let frames = support::frames(&stream);
    let [.., error, failed] = frames.as_slice() else { panic!("two frames") };
    assert_eq!(error["type"], "error");
    assert_eq!(
        (&error["code"], &error["message"], &error["param"]),
        (&json!("server_error"), &json!("upstream closed the stream early"), &Value::Null)
    );
    assert_eq!(failed["type"], "response.failed");
    assert_eq!(failed["response"]["status"], "failed");
    assert_eq!(failed["response"]["error"]["message"], "upstream closed the stream early");
    assert_eq!(failed["response"]["output"].as_array().unwrap().len(), 1, "finished items only");
}

#[test]
fn j177_context_overflow_has_its_code() {
    let fault = Fault::new(Kind::ContextLength, "too long");
    let frames = support::frames(&support::write(
        Format::Responses,
        &client(),
        vec![start(), Event::Error(Box::new(fault))],
    ));
    assert_eq!(frames[2]["code"], "context_length_exceeded");
    assert_eq!(frames[3]["response"]["error"]["code"], "context_length_exceeded");
}

#[test]
fn a_sign_of_life_is_a_comment() {
    use cliproxy_wire::codec::StreamEncoder as _;
    let mut encoder = responses::Encoder::new(client());
    let mut out = Vec::new();
    encoder.keep_alive(&mut out);
    assert_eq!(out, b": keep-alive\n\n");
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for name in ["id", "item_id", "sequence_number"] {
                object.remove(name);
            }
            object.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// The frames of a stream without what differs by where it came from: ids, and how texts were cut.
fn without_ids(stream: &str) -> Vec<Value> {
    let mut frames = support::frames(stream);
    frames.iter_mut().for_each(strip);
    let mut joined: Vec<Value> = Vec::new();
    for frame in frames {
        if let Some(last) = joined.last_mut()
            && frame["delta"].is_string()
            && last["type"] == frame["type"]
            && last["output_index"] == frame["output_index"]
        {
            let text = [last["delta"].as_str().unwrap(), frame["delta"].as_str().unwrap()].concat();
            last["delta"] = json!(text);
            continue;
        }
        joined.push(frame);
    }
    joined
}

#[test]
fn the_golden_stream_of_claude_becomes_the_golden_stream_of_this_format() {
    let claude = support::fixture("claude/weather.sse");
    let written = support::translate(&Profile::claude(), &claude, Format::Responses, &client());
    check_framing(&written);
    assert_eq!(without_ids(&written), without_ids(&support::fixture("responses/weather.sse")));
}
