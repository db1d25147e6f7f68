//! Answers to Gemini clients.

use cliproxy_wire::codec::{ClientContext, StreamEncoder as _};
use cliproxy_wire::fault::Fault;
use cliproxy_wire::format::RequestContext;
use cliproxy_wire::model::{
    Anchor, Annotation, BlockKind, CallKind, Channel, Content, Delta, Event, Ext, Opaque, OpaqueKind, Owner,
    Request, Response, Show, Status, Stop, StopReason, Usage,
};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, gemini, sse};
use serde_json::{Value, json};

use super::{body, chunk, contents, folded, last, read, shown, stream_of, upstream};
use crate::support::{client, events, fixture, frames, translate, write};

/// The answer that all formats' golden files show, as events.
fn golden_events() -> Vec<Event> {
    let signature = Opaque {
        owner: Owner::Anthropic,
        kind: OpaqueKind::ClaudeSignature,
        scope: None,
        model: None,
        data: "ErUBsignature0001==".into(),
        anchor: Anchor::This,
    };
    let thought = |text: &str| Delta::Reasoning { channel: Channel::Summary, part: 0, text: text.into() };
    let call = |id: &str, name: &str| BlockKind::ToolCall {
        call_id: id.into(),
        is_id_synthetic: false,
        item_id: None,
        name: name.into(),
        namespace: None,
        kind: CallKind::Function,
        native: None,
        caller: None,
        opaque: None,
    };
    let begin = |block, kind| Event::BlockStart { candidate: 0, block, kind };
    let piece = |block, delta| Event::Delta { candidate: 0, block, delta };
    let end = |block| Event::BlockStop { candidate: 0, block, full: None };
    vec![
        Event::Start(Box::new(Response {
            id: Some("fx01".into()),
            model: Some("m".into()),
            ..Response::new(Format::Claude)
        })),
        begin(0, BlockKind::Reasoning { id: None, is_redacted: false }),
        piece(0, thought("Need the ")),
        piece(0, thought("weather.")),
        piece(0, Delta::Opaque(signature)),
        end(0),
        begin(1, BlockKind::Text),
        piece(1, Delta::Text("Checking Röme ".into())),
        piece(1, Delta::Text("🌤.".into())),
        end(1),
        // Parallel calls whose pieces are interleaved.
        begin(2, call("toolu_01A", "get_weather")),
        begin(3, call("toolu_01B", "get_time")),
        piece(2, Delta::Arguments("{\"city\":".into())),
        end(3),
        piece(2, Delta::Arguments("\"Rome\"}".into())),
        end(2),
        Event::CandidateStop { candidate: 0, stop: Stop::new(StopReason::ToolUse) },
        Event::Usage(Box::new(Usage {
            input: Some(52),
            cache_read: Some(20),
            output: Some(41),
            reasoning: Some(12),
            ..Usage::default()
        })),
        Event::End { status: Status::Completed, ext: Ext::new() },
    ]
}

fn hidden() -> ClientContext {
    ClientContext { show: Show::Hidden, ..shown() }
}

#[test]
fn the_golden_body_and_stream_are_written_to_the_byte() {
    let stream = write(Format::Gemini, &shown(), golden_events());
    assert_eq!(stream.trim_end(), fixture("gemini/answer.sse").trim_end());
    let response = folded(golden_events());
    let bytes = gemini::encode_response(&response, &shown());
    assert_eq!(String::from_utf8(bytes).unwrap(), fixture("gemini/answer.json").trim_end());
}

#[test]
fn j205_events_are_data_lines_and_blank_lines_only() {
    let mut encoder = gemini::Encoder::new(shown());
    let mut out = Vec::new();
    for event in golden_events() {
        encoder.event(event, &mut out);
        encoder.event(Event::Ping, &mut out);
        encoder.keep_alive(&mut out);
    }
    let stream = String::from_utf8(out).unwrap();
    assert!(stream.lines().all(|line| line.is_empty() || line.starts_with("data: {")), "{stream}");
    assert!(stream.ends_with("\n\n") && !stream.contains("[DONE]"));
}

#[test]
fn j206_without_events_the_stream_is_one_array_that_can_be_read_as_it_grows() {
    let context = ClientContext { is_sse: false, ..shown() };
    let mut encoder = gemini::Encoder::new(context);
    let mut out = Vec::new();
    let mut scanner = sse::ArrayDecoder::new(1 << 20);
    let mut seen = 0;
    for event in golden_events() {
        let start = out.len();
        encoder.event(event, &mut out);
        let written = out.len() > start;
        let before = seen;
        scanner.push(&out[start..], &mut |_| seen += 1).unwrap();
        assert!(!written || seen > before, "what is written is a whole element");
        let start = out.len();
        encoder.keep_alive(&mut out);
        scanner.push(&out[start..], &mut |_| seen += 1).unwrap();
    }
    let elements: Vec<Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(elements, frames(&fixture("gemini/answer.sse")));
    assert_eq!(elements.len(), seen);
}

#[test]
fn a_call_that_was_cut_for_want_of_room_is_not_completed() {
    let events = |reason| {
        let mut events = golden_events();
        events.retain(|event| !matches!(event, Event::CandidateStop { .. }));
        // The first call loses its end.
        let end = Delta::Arguments("\"Rome\"}".into());
        events.retain(|event| !matches!(event, Event::Delta { delta, .. } if *delta == end));
        let at = events.len() - 2;
        events.insert(at, Event::CandidateStop { candidate: 0, stop: Stop::new(reason) });
        events
    };
    for reason in [StopReason::MaxTokens, StopReason::ContextWindow] {
        let stream = write(Format::Gemini, &shown(), events(reason));
        assert!(!stream.contains("get_weather") && stream.contains("get_time"), "{stream}");
        let body = body(&folded(events(reason)), &shown()).to_string();
        assert!(!body.contains("get_weather") && body.contains("get_time"), "{body}");
    }
}

#[test]
fn of_thinking_that_comes_in_short_and_at_length_one_is_shown() {
    let thought = |channel, text: &str| Event::Delta {
        candidate: 0,
        block: 0,
        delta: Delta::Reasoning { channel, part: 0, text: text.into() },
    };
    let mut events = golden_events();
    events.truncate(1);
    events.extend([
        Event::BlockStart {
            candidate: 0,
            block: 0,
            kind: BlockKind::Reasoning { id: None, is_redacted: false },
        },
        thought(Channel::Summary, "short"),
        thought(Channel::Raw, "at length"),
        Event::BlockStop { candidate: 0, block: 0, full: None },
        Event::CandidateStop { candidate: 0, stop: Stop::new(StopReason::EndTurn) },
        Event::End { status: Status::Completed, ext: Ext::new() },
    ]);
    for written in
        [write(Format::Gemini, &shown(), events.clone()), body(&folded(events), &shown()).to_string()]
    {
        assert!(written.contains("short") && !written.contains("at length"), "{written}");
    }
}

#[test]
fn j207_code_assist_clients_get_every_chunk_in_the_envelope() {
    let context = ClientContext { is_enveloped: true, ..shown() };
    let plain = frames(&write(Format::Gemini, &shown(), golden_events()));
    let wrapped = frames(&write(Format::Gemini, &context, golden_events()));
    let expected: Vec<Value> = plain.into_iter().map(|chunk| json!({"response": chunk})).collect();
    assert_eq!(wrapped, expected);
    let response = folded(golden_events());
    assert_eq!(body(&response, &context), json!({"response": body(&response, &shown())}));
}

#[test]
fn j208_calls_arrive_whole_with_an_object_as_arguments() {
    let stream = frames(&write(Format::Gemini, &hidden(), golden_events()));
    let calls: Vec<&Value> = stream
        .iter()
        .map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]["functionCall"])
        .filter(|call| call.is_object())
        .collect();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0], &json!({"id": "toolu_01A", "name": "get_weather", "args": {"city": "Rome"}}));
    assert_eq!(calls[1], &json!({"id": "toolu_01B", "name": "get_time", "args": {}}));
}

#[test]
fn a_call_that_the_limit_cut_is_dropped_and_any_other_broken_one_is_repaired() {
    let cut = |reason: StopReason| {
        golden_events()
            .into_iter()
            .filter(|event| !matches!(event, Event::Delta { delta: Delta::Arguments(text), .. } if text.ends_with('}')))
            .map(|event| match event {
                Event::CandidateStop { candidate, .. } => Event::CandidateStop { candidate, stop: Stop::new(reason) },
                other => other,
            })
            .collect::<Vec<_>>()
    };
    for (reason, expected) in [(StopReason::MaxTokens, 1), (StopReason::ToolUse, 2)] {
        let stream = write(Format::Gemini, &shown(), cut(reason));
        assert_eq!(stream.matches("functionCall").count(), expected, "{stream}");
        let parts = body(&folded(cut(reason)), &shown())["candidates"][0]["content"]["parts"].to_string();
        assert_eq!(parts.matches("functionCall").count(), expected, "{parts}");
        assert!(frames(&stream).iter().all(Value::is_object));
    }
}

#[test]
fn j209_the_finish_reason_is_legal_and_on_the_last_chunk_only() {
    const LEGAL: [&str; 6] =
        ["STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "MALFORMED_FUNCTION_CALL", "OTHER"];
    for reason in [
        StopReason::EndTurn,
        StopReason::ToolUse,
        StopReason::MaxTokens,
        StopReason::ContextWindow,
        StopReason::StopSequence,
        StopReason::ContentFilter,
        StopReason::Refusal,
        StopReason::Pause,
        StopReason::MalformedToolCall,
        StopReason::Recitation,
        StopReason::Compaction,
        StopReason::Other,
    ] {
        let mut events = golden_events();
        for event in &mut events {
            if let Event::CandidateStop { stop, .. } = event {
                *stop = Stop { native: Some((Format::Claude, "end_turn".into())), ..Stop::new(reason) };
            }
        }
        let stream = frames(&write(Format::Gemini, &shown(), events));
        let (last, before) = stream.split_last().unwrap();
        let word = last["candidates"][0]["finishReason"].as_str().unwrap();
        assert!(LEGAL.contains(&word), "{reason:?}: {word}");
        assert!(before.iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()));
    }
}

#[test]
fn j210_usage_takes_thoughts_out_of_the_candidates() {
    let expected = json!({"promptTokenCount": 52, "cachedContentTokenCount": 20, "candidatesTokenCount": 29,
        "thoughtsTokenCount": 12, "totalTokenCount": 93});
    let stream = frames(&write(Format::Gemini, &shown(), golden_events()));
    assert_eq!(stream.last().unwrap()["usageMetadata"], expected);
    assert_eq!(body(&folded(golden_events()), &shown())["usageMetadata"], expected);
}

#[test]
fn j211_thoughts_are_shown_only_to_those_who_asked() {
    for text in [
        write(Format::Gemini, &hidden(), golden_events()),
        body(&folded(golden_events()), &hidden()).to_string(),
    ] {
        assert!(!text.contains("\"thought\"") && !text.contains("Need the"), "{text}");
    }
    assert!(write(Format::Gemini, &shown(), golden_events()).contains("\"thought\":true"));
}

#[test]
fn j212_errors_begin_with_the_error_and_leave_the_array_whole() {
    let mut events = golden_events();
    events.truncate(3);
    events.push(Event::BlockStop { candidate: 0, block: 0, full: None });
    events.push(Event::Error(Box::new(Fault::truncated())));
    let stream = write(Format::Gemini, &shown(), events.clone());
    assert_eq!(stream.trim_end(), fixture("gemini/error.sse").trim_end());
    assert!(stream.ends_with("\n\n"));

    let array = ClientContext { is_sse: false, ..shown() };
    let elements: Vec<Value> = serde_json::from_str(&write(Format::Gemini, &array, events.clone())).unwrap();
    assert!(elements.last().unwrap()["error"]["code"].is_u64());
    let alone = write(Format::Gemini, &array, vec![events.pop().unwrap()]);
    let elements: Vec<Value> = serde_json::from_str(&alone).unwrap();
    assert_eq!(elements[0]["error"]["status"], "UNAVAILABLE");
}

/// What a client sends back of a stream: the parts of all chunks, as one content.
fn echoed(stream: &str, drops_thoughts: bool) -> Request {
    let mut parts = Vec::new();
    for frame in frames(stream) {
        for part in frame["candidates"][0]["content"]["parts"].as_array().unwrap() {
            if !(drops_thoughts && part["thought"] == true) {
                parts.push(part.clone());
            }
        }
    }
    let contents =
        json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": parts}]});
    gemini::decode_request(
        contents.to_string().as_bytes(),
        RequestContext { model: "m", stream: false, schemas: None },
    )
    .unwrap()
}

#[test]
fn j213_a_foreign_signature_survives_clients_that_drop_thoughts() {
    for (context, drops_thoughts) in [(shown(), false), (shown(), true), (hidden(), false)] {
        let stream = write(Format::Gemini, &context, golden_events());
        let request = echoed(&stream, drops_thoughts);
        let Content::Reasoning(reasoning) = &request.turns[1].blocks[0].content else {
            panic!("{drops_thoughts}: {:?}", request.turns[1].blocks)
        };
        assert_eq!(reasoning.text(), "Need the weather.");
        assert_eq!(&*reasoning.opaque[0].data, "ErUBsignature0001==");
        let count = request.turns[1]
            .blocks
            .iter()
            .filter(|block| matches!(block.content, Content::Reasoning(_)))
            .count();
        assert_eq!(count, 1);
    }
    // Without calls the last text carries it.
    let mut events = golden_events();
    events.retain(|event| {
        !matches!(
            event,
            Event::BlockStart { block: 2 | 3, .. }
                | Event::Delta { block: 2 | 3, .. }
                | Event::BlockStop { block: 2 | 3, .. }
        )
    });
    let request = echoed(&write(Format::Gemini, &hidden(), events.clone()), true);
    assert!(
        matches!(&request.turns[1].blocks[0].content, Content::Reasoning(reasoning) if !reasoning.opaque.is_empty())
    );
    let parts = body(&folded(events), &hidden())["candidates"][0]["content"]["parts"].clone();
    assert!(parts[0]["thoughtSignature"].as_str().unwrap().starts_with("R1dT"), "{parts}");
}

#[test]
fn j215_the_id_of_a_call_comes_back_and_pairs() {
    let contents = json!({"contents": [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "f"}}, {"functionCall": {"id": "c2", "name": "f"}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "c2", "name": "f", "response": {"output": "two"}}},
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
        ]},
    ]});
    let sent = crate::support::Upstream::new(Profile::gemini(), "gemini-2.5-flash")
        .encode(Format::Gemini, &contents);
    let parts = &sent["contents"][2]["parts"];
    assert_eq!(parts[0]["functionResponse"], json!({"id": "c1", "name": "f", "response": {"output": "one"}}));
    assert_eq!(parts[1]["functionResponse"], json!({"id": "c2", "name": "f", "response": {"output": "two"}}));
}

#[test]
fn foreign_citations_become_grounding() {
    let mut events = golden_events();
    events.insert(
        9,
        Event::Delta {
            candidate: 0,
            block: 1,
            delta: Delta::Annotation(Annotation::Url {
                url: "https://a".into(),
                title: "A".into(),
                start: Some(9),
                end: Some(13),
                unit: cliproxy_wire::model::IndexUnit::Characters,
                cited_text: None,
                native: None,
            }),
        },
    );
    let expected = json!({"groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 9, "endIndex": 14, "text": "Röme"}, "groundingChunkIndices": [0]}]});
    let stream = frames(&write(Format::Gemini, &hidden(), events.clone()));
    assert_eq!(stream.last().unwrap()["candidates"][0]["groundingMetadata"], expected);
    assert_eq!(body(&folded(events), &hidden())["candidates"][0]["groundingMetadata"], expected);
}

#[test]
fn nothing_is_added_to_a_signed_text() {
    let response = read(&[
        chunk(json!([{"text": "a", "thoughtSignature": "S"}])),
        chunk(json!([{"text": "b"}])),
        last(),
    ]);
    let texts: Vec<(String, bool)> = contents(&response)
        .iter()
        .map(|content| match content {
            Content::Text(text) => (text.text.to_string(), text.opaque.is_some()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, [("a".to_owned(), true), ("b".to_owned(), false)]);
}

#[test]
fn a_gemini_stream_in_lane_three_says_the_same_to_a_gemini_client() {
    let golden = fixture("gemini/answer.sse");
    let again = translate(&Profile::gemini(), &golden, Format::Gemini, &shown());
    let said = |stream: &str| folded(events(&Profile::gemini(), stream));
    assert_eq!(said(&again), said(&golden));
}

/// An answer with a signed call, and the next request of a client of `to` that echoes what it got.
fn signed_round(to: Format) -> Value {
    let mut only = chunk(json!([
        {"text": "Thinking", "thought": true},
        {"text": "Checking"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"n": 1}}, "thoughtSignature": "CqMDAb4+SIGNED"},
        {"functionCall": {"id": "c2", "name": "f", "args": {"n": 2}}},
    ]));
    only["candidates"][0]["finishReason"] = json!("STOP");
    let response = gemini::decode_response(only.to_string().as_bytes(), &upstream()).unwrap();
    let context = client(to);
    let written = cliproxy_wire::format::encode_response(to, &response, &context);
    let answer: Value = serde_json::from_slice(&written).unwrap();
    match to {
        Format::Claude => json!({"model": "m", "max_tokens": 100, "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "two"},
            ]},
        ]}),
        Format::Chat => json!({"model": "m", "messages": [
            {"role": "user", "content": "x"},
            answer["choices"][0]["message"],
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
        ]}),
        Format::Responses => {
            let mut input = vec![json!({"role": "user", "content": "x"})];
            input.extend(answer["output"].as_array().unwrap().iter().cloned());
            for (id, text) in [("c1", "one"), ("c2", "two")] {
                input.push(json!({"type": "function_call_output", "call_id": id, "output": text}));
            }
            json!({"model": "m", "input": input})
        }
        Format::Gemini => json!({"contents": [
            {"role": "user", "parts": [{"text": "x"}]},
            answer["candidates"][0]["content"],
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
                {"functionResponse": {"id": "c2", "name": "f", "response": {"output": "two"}}},
            ]},
        ]}),
    }
}

#[test]
fn j090_native_signatures_stay_on_their_part_through_every_client() {
    let upstream = crate::support::Upstream::new(Profile::gemini(), "gemini-3-flash-preview");
    for to in Format::ALL {
        let sent = upstream.encode(to, &signed_round(to));
        assert_eq!(
            sent["contents"][1]["parts"],
            json!([
                {"text": "Checking"},
                {"functionCall": {"id": "c1", "name": "f", "args": {"n": 1}}, "thoughtSignature": "CqMDAb4+SIGNED"},
                {"functionCall": {"id": "c2", "name": "f", "args": {"n": 2}}},
            ]),
            "{to:?}"
        );
    }
}

#[test]
fn a_search_is_told_once_to_every_client() {
    let mut only = chunk(json!([{"text": "Found."}]));
    only["candidates"][0]["finishReason"] = json!("STOP");
    only["candidates"][0]["groundingMetadata"] = json!({"webSearchQueries": ["q"],
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}]});
    let stream = stream_of(&[only]);
    let mut claude = client(Format::Claude);
    claude.declares_web_search = true;
    let told = translate(&Profile::gemini(), &stream, Format::Claude, &claude);
    assert_eq!(told.matches(r#""type":"server_tool_use""#).count(), 1, "{told}");
    let told = translate(&Profile::gemini(), &stream, Format::Responses, &client(Format::Responses));
    assert_eq!(told.matches("event: response.web_search_call.completed").count(), 1, "{told}");
    let told = translate(&Profile::gemini(), &stream, Format::Gemini, &shown());
    assert_eq!(told.matches("webSearchQueries").count(), 1, "{told}");
}
