//! Oddities of Chat upstreams' streams.
#![expect(clippy::needless_pass_by_value, reason = "literals are handed over as they are")]

use cliproxy_wire::chat;
use cliproxy_wire::codec::{StreamDecoder as _, UpstreamContext};
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::format::Format;
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{BlockKind, Content, Delta, Event, Ext, Response, Status, StopReason};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::sse::Frame;
use serde_json::{Value, json};

use crate::support::{client, events as read, write};

fn sse(chunks: &[Value]) -> String {
    let mut stream = String::new();
    for chunk in chunks {
        stream.push_str("data: ");
        stream.push_str(&chunk.to_string());
        stream.push_str("\n\n");
    }
    stream.push_str("data: [DONE]\n\n");
    stream
}

fn delta(delta: Value) -> Value {
    json!({"id": "x", "model": "up", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finish(word: &str) -> Value {
    json!({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": word}]})
}

fn events(chunks: &[Value]) -> Vec<Event> {
    read(&Profile::compatible(), &sse(chunks))
}

fn folded(events: &[Event]) -> Response {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event.clone());
    }
    fold.finish().unwrap()
}

/// The blocks of an answer, one line each.
fn lines(response: &Response) -> Vec<String> {
    response.candidates[0]
        .blocks
        .iter()
        .map(|block| match &block.content {
            Content::Text(text) => format!("text {}", text.text),
            Content::Reasoning(reasoning) => format!("reasoning {}", reasoning.text()),
            Content::ToolCall(call) => {
                format!("call {} {} {}", call.call_id, call.name, call.arguments.as_str())
            }
            other => format!("{other:?}"),
        })
        .collect()
}

fn call(index: Value, id: Value, name: Value, arguments: Value) -> Value {
    let mut call = json!({"index": index, "id": id, "type": "function",
        "function": {"name": name, "arguments": arguments}});
    let function = call["function"].as_object_mut().unwrap();
    function.retain(|_, value| !value.is_null());
    call.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    call
}

fn calls(calls: Value) -> Value {
    delta(json!({"tool_calls": calls}))
}

#[test]
fn j221_the_chat_preamble_of_a_content_filter_does_not_start_the_answer() {
    let preamble = json!({"id": "", "model": "", "choices": [], "prompt_filter_results": []});
    let events = events(&[preamble, delta(json!({"content": "hi"})), finish("stop")]);
    let Event::Start(start) = &events[0] else { panic!("{events:?}") };
    assert_eq!((start.id.as_deref(), start.model.as_deref()), (Some("x"), Some("up")));
    assert_eq!(lines(&folded(&events)), ["text hi"]);
}

#[test]
fn a_call_that_comes_whole_with_its_finish_reason_is_whole() {
    let mut chunk =
        delta(json!({"content": null, "tool_calls": [call(0.into(), "c".into(), "f".into(), "{}".into())]}));
    chunk["choices"][0]["finish_reason"] = "tool_calls".into();
    let response = folded(&events(&[chunk]));
    assert_eq!(lines(&response), ["call c f {}"]);
    assert_eq!(response.candidates[0].stop.reason, StopReason::ToolUse);
}

#[test]
fn j227_calls_that_are_all_numbered_zero_are_told_apart_by_their_ids() {
    let together = calls(json!([
        call(0.into(), "a".into(), "f".into(), "{\"x\":1}".into()),
        call(0.into(), "b".into(), "g".into(), "{}".into())
    ]));
    assert_eq!(lines(&folded(&events(&[together]))), ["call a f {\"x\":1}", "call b g {}"]);
    let apart = [
        calls(json!([call(0.into(), "a".into(), "f".into(), "{\"x\"".into())])),
        calls(json!([call(0.into(), "a".into(), Value::Null, ":1}".into())])),
        calls(json!([call(0.into(), "b".into(), "g".into(), "".into())])),
        calls(json!([call(0.into(), Value::Null, Value::Null, "{}".into())])),
    ];
    assert_eq!(lines(&folded(&events(&apart))), ["call a f {\"x\":1}", "call b g {}"]);
}

#[test]
fn a_call_that_is_numbered_one_alone_is_numbered_zero_for_the_client() {
    let events = events(&[
        calls(json!([call(1.into(), "a".into(), "f".into(), "".into())])),
        calls(json!([call(1.into(), Value::Null, Value::Null, "{}".into())])),
    ]);
    assert_eq!(lines(&folded(&events)), ["call a f {}"]);
    let stream = write(Format::Chat, &client(Format::Chat), events);
    let message = &super::accumulate(&stream)["choices"][0]["message"];
    assert_eq!(message["tool_calls"][0]["index"], 0);
}

#[test]
fn j229_a_name_behind_the_first_arguments_defers_the_start() {
    let events = events(&[
        calls(json!([call(0.into(), "a".into(), Value::Null, "{".into())])),
        calls(json!([call(0.into(), Value::Null, "f".into(), "}".into())])),
    ]);
    let starts: Vec<&Event> =
        events.iter().filter(|event| matches!(event, Event::BlockStart { .. })).collect();
    assert_eq!(starts.len(), 1);
    assert_eq!(lines(&folded(&events)), ["call a f {}"]);
}

#[test]
fn j228_calls_without_ids_get_one_that_stays() {
    let chunks = [
        calls(json!([call(0.into(), Value::Null, "f".into(), "{\"a\"".into())])),
        calls(json!([call(0.into(), Value::Null, Value::Null, ":1}".into())])),
        calls(json!([call(1.into(), "".into(), "f".into(), "{}".into())])),
    ];
    let once = folded(&events(&chunks));
    assert_eq!(once, folded(&events(&chunks)));
    let ids: Vec<String> = once.candidates[0]
        .blocks
        .iter()
        .map(|block| match &block.content {
            Content::ToolCall(call) => {
                assert!(call.is_id_synthetic);
                call.call_id.to_string()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids[0].starts_with("call_") && ids[0].len() == 29 && ids[0] != ids[1]);
    // Neither number nor id: a named call behind a complete one is a new one.
    let bare = calls(json!([
        call(Value::Null, Value::Null, "f".into(), "{\"a\":1}".into()),
        call(Value::Null, Value::Null, "f".into(), "{\"a\":2}".into())
    ]));
    assert_eq!(folded(&events(&[bare])).candidates[0].blocks.len(), 2);
}

#[test]
fn equal_text_in_several_reasoning_members_is_said_once() {
    let events = events(&[delta(json!({"reasoning": "x", "reasoning_content": "x", "content": ""}))]);
    assert_eq!(lines(&folded(&events)), ["reasoning x"]);
}

#[test]
fn j222_empty_content_between_does_not_close_the_reasoning() {
    for empty in [json!(null), json!("")] {
        let events = events(&[
            delta(json!({"reasoning_content": "a"})),
            delta(json!({"content": empty})),
            delta(json!({"reasoning_content": "b", "content": empty})),
            delta(json!({"content": "c"})),
        ]);
        assert_eq!(lines(&folded(&events)), ["reasoning ab", "text c"]);
    }
}

#[test]
fn j223_what_follows_the_finish_reason_is_read_until_the_end() {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7});
    let mut late = finish("stop");
    late["usage"] = usage.clone();
    let chunks = [delta(json!({"content": "a"})), finish("stop"), delta(json!({"content": "b"})), late];
    let response = folded(&events(&chunks));
    assert_eq!(lines(&response), ["text ab"]);
    assert_eq!(response.usage.unwrap().input, Some(5));
    let alone = json!({"id": "x", "choices": [], "usage": usage});
    let stream = format!(
        "{}data: garbage\n\n",
        sse(&[delta(json!({"content": "a"})), finish("stop"), alone, finish("stop")])
    );
    let events = read(&Profile::compatible(), &stream);
    let stops = events.iter().filter(|event| matches!(event, Event::CandidateStop { .. })).count();
    assert_eq!(stops, 1);
    assert!(matches!(events.last(), Some(Event::End { status: Status::Completed, .. })));
    assert_eq!(folded(&events).usage.unwrap().output, Some(2));
}

#[test]
fn errors_in_chunks_end_the_stream_with_their_status() {
    for (chunk, status) in [
        (
            json!({"id": "x", "choices": [{"delta": {"content": ""}, "finish_reason": "error"}],
                "error": {"code": 502, "message": "boom"}}),
            Some(502),
        ),
        (json!({"error": {"message": "boom", "code": 429}}), Some(429)),
        (json!([{"error": {"code": 400, "message": "boom", "status": "INVALID_ARGUMENT"}}]), Some(400)),
        (json!({"x_groq": {"error": "boom"}, "choices": []}), None),
        (json!({"type": "error", "message": "boom"}), None),
        (json!({"code": "Throttling", "message": "boom", "request_id": "r"}), None),
    ] {
        for before in [vec![], vec![delta(json!({"content": "a"}))]] {
            let mut chunks = before.clone();
            chunks.push(chunk.clone());
            chunks.push(delta(json!({"content": "late"})));
            let events = events(&chunks);
            let Some(Event::Error(fault)) = events.last() else { panic!("{chunk}: {events:?}") };
            assert!(fault.message.contains("boom"), "{chunk}: {fault:?}");
            if status.is_some() {
                assert_eq!(fault.status, status, "{chunk}");
            }
            let open = events.iter().filter(|event| matches!(event, Event::BlockStart { .. })).count();
            let closed = events.iter().filter(|event| matches!(event, Event::BlockStop { .. })).count();
            assert_eq!(open, closed);
        }
    }
    for silent in [json!(null), json!(false), json!("")] {
        let mut chunk = delta(json!({"content": "a"}));
        chunk["error"] = silent;
        assert_eq!(lines(&folded(&events(&[chunk]))), ["text a"]);
    }
}

#[test]
fn j225_a_chat_stream_that_is_cut_is_an_error_unless_it_was_finished() {
    let cut = |chunks: &[Value], broken: Option<Fault>| {
        let mut decoder = chat::Decoder::new(UpstreamContext::new(&Profile::compatible(), "req"));
        let mut out = Vec::new();
        for chunk in chunks {
            decoder.frame(&Frame::Data { event: None, data: &chunk.to_string() }, &mut out);
        }
        decoder.finish(broken, &mut out);
        out
    };
    let events = cut(&[delta(json!({"content": "a"}))], None);
    let Some(Event::Error(fault)) = events.last() else { panic!("{events:?}") };
    assert_eq!(fault.code.as_deref(), Some("upstream_truncated"));
    let finished = [delta(json!({"content": "a"})), finish("length")];
    for broken in [None, Some(Fault::new(Kind::Timeout, "idle"))] {
        let events = cut(&finished, broken);
        assert_eq!(events.last(), Some(&Event::End { status: Status::Incomplete, ext: Ext::new() }));
    }
    let Some(Event::Error(fault)) = cut(&[], Some(Fault::new(Kind::Timeout, "idle"))).pop() else { panic!() };
    assert_eq!(fault.kind, Kind::Timeout);
}

#[test]
fn j226_a_chat_end_mark_without_finish_reason_is_a_proper_end() {
    let text = folded(&events(&[delta(json!({"content": "a"}))]));
    assert_eq!(text.candidates[0].stop.reason, StopReason::EndTurn);
    let tool = folded(&events(&[calls(json!([call(0.into(), "a".into(), "f".into(), "{}".into())]))]));
    assert_eq!(tool.candidates[0].stop.reason, StopReason::ToolUse);
}

#[test]
fn unreadable_frames_are_skipped_until_there_are_three_in_a_row() {
    let good = format!("data: {}\n\n", delta(json!({"content": "a"})));
    let bad = "data: {\"id\": \n\n";
    let end = "data: [DONE]\n\n";
    let two = read(&Profile::compatible(), &[&good, bad, bad, &good, bad, end].concat());
    assert_eq!(lines(&folded(&two)), ["text aa"]);
    assert_eq!(two.iter().filter(|event| matches!(event, Event::Warning(_))).count(), 3);
    let three = read(&Profile::compatible(), &[&good, bad, bad, bad, &good, end].concat());
    assert!(matches!(three.last(), Some(Event::Error(_))));
}

#[test]
fn repeated_whole_arguments_are_ignored_and_objects_are_written_down() {
    let whole = "{\"a\":1}";
    let repeated = events(&[
        calls(json!([call(0.into(), "a".into(), "f".into(), whole.into())])),
        calls(json!([call(0.into(), "a".into(), "f".into(), whole.into())])),
    ]);
    assert_eq!(lines(&folded(&repeated)), ["call a f {\"a\":1}"]);
    let object = events(&[calls(json!([call(
        0.into(),
        "a".into(),
        " f ".into(),
        json!({"n": 12_345_678_901_234_567_890_u64})
    )]))]);
    assert_eq!(lines(&folded(&object)), ["call a f {\"n\":12345678901234567890}"]);
}

#[test]
fn choices_stand_before_the_head_without_harm() {
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"model\":\"up\",\"id\":\"x\"}\n\ndata: [DONE]\n\n";
    let events = read(&Profile::compatible(), stream);
    let Event::Start(start) = &events[0] else { panic!("{events:?}") };
    assert_eq!(start.model.as_deref(), Some("up"));
    assert_eq!(lines(&folded(&events)), ["text a"]);
}

#[test]
fn tagged_thinking_is_reasoning_only_where_the_profile_says_so() {
    let chunks = [delta(json!({"content": "<thi"})), delta(json!({"content": "nk>t</think>\n\na"}))];
    let tagged = Profile { has_think_tags: true, ..Profile::compatible() };
    assert_eq!(lines(&folded(&read(&tagged, &sse(&chunks)))), ["reasoning t", "text a"]);
    assert_eq!(lines(&folded(&events(&chunks))), ["text <think>t</think>\n\na"]);
}

#[test]
fn citations_that_come_after_a_call_has_begun_cite_the_text_before_it() {
    let citation = json!({"type": "url_citation", "url_citation": {"url": "https://a", "title": "A",
        "start_index": 0, "end_index": 4}});
    let call = json!({"index": 0, "id": "call_1", "type": "function",
        "function": {"name": "look", "arguments": "{}"}});
    let events = events(&[
        delta(json!({"role": "assistant", "content": "Röme"})),
        delta(json!({"tool_calls": [call]})),
        delta(json!({"annotations": [citation]})),
        finish("tool_calls"),
    ]);
    let Content::Text(text) = &folded(&events).candidates[0].blocks[0].content else { panic!("{events:?}") };
    assert_eq!(text.annotations.len(), 1);
    let body = super::accumulate(&write(Format::Chat, &client(Format::Chat), events.clone()));
    let message = &body["choices"][0]["message"];
    assert_eq!(message["annotations"][0]["url_citation"]["end_index"], 4, "{message}");
    // The others have closed the text and stay whole.
    for format in [Format::Responses, Format::Claude, Format::Gemini] {
        crate::reader::read(format, &write(format, &client(format), events.clone()));
    }
}

#[test]
fn annotations_images_and_sound_have_places() {
    let events = events(&[
        delta(json!({"content": "see"})),
        delta(json!({"annotations": [{"type": "url_citation",
            "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 3}}]})),
        delta(json!({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]})),
        delta(json!({"audio": {"id": "au", "transcript": "hel"}})),
        delta(json!({"audio": {"data": "AAAA", "transcript": "lo"}})),
        finish("stop"),
    ]);
    let kinds: Vec<&BlockKind> = events
        .iter()
        .filter_map(|event| match event {
            Event::BlockStart { kind, .. } => Some(kind),
            _ => None,
        })
        .collect();
    assert!(matches!(kinds[..], [BlockKind::Text, BlockKind::Image(_), BlockKind::Audio(_)]), "{kinds:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Delta { delta: Delta::Annotation(_), .. })));
    let stream = write(Format::Chat, &client(Format::Chat), events);
    let message = &super::accumulate(&stream)["choices"][0]["message"];
    assert_eq!(message["images"][0]["image_url"]["url"], "data:image/png;base64,iVBO");
    assert_eq!(message["audio"], json!({"id": "au", "transcript": "hello", "data": "AAAA"}));
    assert_eq!(message["annotations"][0]["url_citation"]["end_index"], 3);
}
