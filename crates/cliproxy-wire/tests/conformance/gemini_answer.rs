//! Answers to Gemini clients, and what is read of Gemini upstreams.

use cliproxy_wire::codec::{ClientContext, StreamEncoder as _, UpstreamContext};
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::{Fold, unfold};
use cliproxy_wire::model::{
    Anchor, Annotation, BlockKind, CallKind, Channel, Content, Delta, Event, Ext, Opaque, OpaqueKind, Owner,
    Request, Response, Show, Status, Stop, StopReason, Usage,
};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, gemini, sse};
use serde_json::{Value, json};

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

fn hidden() -> ClientContext {
    ClientContext { show: Show::Hidden, ..shown() }
}

fn upstream() -> UpstreamContext {
    UpstreamContext::new(&Profile::gemini(), "req_fx")
}

fn body(response: &Response, context: &ClientContext) -> Value {
    serde_json::from_slice(&gemini::encode_response(response, context)).unwrap()
}

fn sse(chunks: &[Value]) -> String {
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
    folded(events(&Profile::gemini(), &sse(chunks)))
}

fn contents(response: &Response) -> Vec<Content> {
    response.candidates[0].blocks.iter().map(|block| block.content.clone()).collect()
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
    gemini::decode_request(contents.to_string().as_bytes(), "m", false).unwrap()
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
fn several_parts_in_one_chunk_are_several_blocks_in_order() {
    let mut only =
        chunk(json!([{"text": "a", "thought": true}, {"text": "b"}, {"functionCall": {"name": "f"}}]));
    only["candidates"][0]["finishReason"] = json!("STOP");
    let response = read(&[only]);
    let blocks = contents(&response);
    assert!(matches!(&blocks[0], Content::Reasoning(reasoning) if reasoning.text() == "a"));
    assert!(matches!(&blocks[1], Content::Text(text) if &*text.text == "b"));
    let Content::ToolCall(call) = &blocks[2] else { panic!("{blocks:?}") };
    assert_eq!((call.arguments.as_str(), call.is_id_synthetic, call.call_id.len()), ("{}", true, 29));
    assert_eq!(response.candidates[0].stop.reason, StopReason::ToolUse);
}

#[test]
fn a_signature_on_an_empty_text_belongs_to_the_last_text() {
    let mut end = chunk(json!([{"text": "", "thoughtSignature": "S"}]));
    end["candidates"][0]["finishReason"] = json!("STOP");
    let response = read(&[chunk(json!([{"text": "b"}])), end]);
    let Content::Text(text) = &contents(&response)[0] else { panic!("{response:?}") };
    let opaque = text.opaque.as_ref().unwrap();
    assert_eq!(
        (&*opaque.data, opaque.anchor, response.candidates[0].blocks.len()),
        ("S", Anchor::TrailingEmptyText, 1)
    );
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
fn j232_empty_grounding_and_usage_that_drops_fields_lose_nothing() {
    let grounding = json!({"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 8, "text": "Röme"}, "groundingChunkIndices": [0]}]});
    let mut first = chunk(json!([{"text": "In "}]));
    first["candidates"][0]["groundingMetadata"] = json!({});
    first["usageMetadata"] =
        json!({"promptTokenCount": 9, "thoughtsTokenCount": 5, "candidatesTokenCount": 1});
    let mut second = chunk(json!([{"text": "Röme."}]));
    second["candidates"][0]["groundingMetadata"] = grounding.clone();
    let mut third = last();
    third["candidates"][0]["groundingMetadata"] = json!({});
    third["usageMetadata"] = json!({"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 18});
    let response = read(&[first, second, third, json!({"usageMetadata": {"trafficType": "ON_DEMAND"}})]);
    let usage = response.usage.as_ref().unwrap();
    assert_eq!((usage.input, usage.output, usage.reasoning), (Some(9), Some(9), Some(5)));
    let candidate = &response.candidates[0];
    assert_eq!(candidate.grounding, Some(Raw::from(&grounding)));
    let Content::Text(text) = &candidate.blocks[0].content else { panic!("{candidate:?}") };
    let [Annotation::Url { start, end, url, .. }] = &text.annotations[..] else { panic!("{text:?}") };
    assert_eq!((*start, *end, &**url), (Some(3), Some(7), "https://a"));
    let Content::Hosted(search) = &candidate.blocks[1].content else { panic!("{candidate:?}") };
    assert_eq!(search.output.as_ref().unwrap().as_str(), r#"[{"url":"https://a","title":"A"}]"#);
}

#[test]
fn j233_partial_arguments_assemble_with_and_without_an_end_mark() {
    let piece = |call: Value| chunk(json!([{"functionCall": call}]));
    let begin = json!([{"functionCall": {"name": "f", "willContinue": true}, "thoughtSignature": "S"}]);
    let mut chunks = vec![
        chunk(begin),
        piece(
            json!({"partialArgs": [{"jsonPath": "$.city", "stringValue": "Ro", "willContinue": true}], "willContinue": true}),
        ),
        piece(json!({"partialArgs": [{"jsonPath": "$.city", "stringValue": "me"}], "willContinue": true})),
    ];
    for end in [Some(piece(json!({}))), Some(chunk(json!([{"text": "done"}]))), None] {
        let mut all = chunks.clone();
        all.extend(end);
        all.push(last());
        let response = read(&all);
        let Content::ToolCall(call) = &contents(&response)[0] else { panic!("{response:?}") };
        assert_eq!((&*call.name, call.arguments.as_str()), ("f", r#"{"city":"Rome"}"#));
        assert_eq!(&*call.opaque.as_ref().unwrap().data, "S");
    }
    chunks.push(piece(json!({"name": "g", "args": {"x": 1}})));
    chunks.push(last());
    let response = read(&chunks);
    let names: Vec<String> = contents(&response)
        .iter()
        .map(|content| match content {
            Content::ToolCall(call) => format!("{} {}", call.name, call.arguments.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, [r#"f {"city":"Rome"}"#, r#"g {"x":1}"#]);
}

#[test]
fn a_blocked_prompt_is_an_empty_filtered_answer() {
    let blocked =
        json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}});
    let response = read(std::slice::from_ref(&blocked));
    assert_eq!((response.status.clone(), response.candidates[0].blocks.len()), (Status::Incomplete, 0));
    assert_eq!(response.candidates[0].stop.reason, StopReason::ContentFilter);
    assert_eq!(response.candidates[0].stop.explanation.as_deref(), Some("SAFETY"));
    let same = gemini::decode_response(blocked.to_string().as_bytes(), &upstream()).unwrap();
    assert_eq!(same, response);
    let stream = write(Format::Gemini, &shown(), events(&Profile::gemini(), &sse(&[blocked])));
    assert_eq!(frames(&stream)[0]["promptFeedback"]["blockReason"], "SAFETY");
    assert!(body(&response, &shown()).get("candidates").is_none());
}

#[test]
fn errors_inside_a_success_are_faults_with_their_delay() {
    let error = json!([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}]}}]);
    let fault = gemini::decode_response(error.to_string().as_bytes(), &upstream()).unwrap_err();
    assert_eq!(fault.kind, Kind::RateLimit);
    assert_eq!(fault.retry_after, Some(std::time::Duration::from_millis(34_400)));
    let all = events(&Profile::gemini(), &sse(&[chunk(json!([{"text": "a"}])), error[0].clone(), last()]));
    let [.., Event::BlockStop { .. }, Event::Error(fault)] = &all[..] else { panic!("{all:?}") };
    assert_eq!(fault.kind, Kind::RateLimit);
}

#[test]
fn a_stream_without_finish_reason_is_truncated_and_a_body_is_not() {
    let all = events(&Profile::gemini(), &sse(&[chunk(json!([{"text": "a"}]))]));
    let [.., Event::BlockStop { .. }, Event::Error(fault)] = &all[..] else { panic!("{all:?}") };
    assert_eq!(fault.code.as_deref(), Some("upstream_truncated"));
    let whole = chunk(json!([{"text": "a"}])).to_string();
    let response = gemini::decode_response(whole.as_bytes(), &upstream()).unwrap();
    assert_eq!(response.candidates[0].stop.reason, StopReason::EndTurn);
    for none in ["", "<html>", "{}", "5", "{\"hello\":1}"] {
        assert_eq!(
            gemini::decode_response(none.as_bytes(), &upstream()).unwrap_err().kind,
            Kind::BadUpstream,
            "{none}"
        );
    }
}

#[test]
fn unreadable_frames_are_skipped_until_three_in_a_row() {
    let good = format!("data: {}\n\n", chunk(json!([{"text": "a"}])));
    let end = format!("data: {}\n\n", last());
    let bad = "data: {\"candidates\n\n";
    let fine = [bad, &good, bad, bad, &good, &end].concat();
    let response = folded(events(&Profile::gemini(), &fine));
    assert_eq!(response.status, Status::Completed);
    let broken = [&good, bad, bad, bad, &end].concat();
    assert!(matches!(folded(events(&Profile::gemini(), &broken)).status, Status::Failed(_)));
}

#[test]
fn code_assist_answers_are_unwrapped_and_their_trace_is_the_id() {
    let wrapped = json!({"response": {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}, "traceId": "t"});
    let response = read(std::slice::from_ref(&wrapped));
    assert_eq!((response.id.as_deref(), response.candidates[0].blocks.len()), (Some("t"), 1));
    assert_eq!(gemini::decode_response(wrapped.to_string().as_bytes(), &upstream()).unwrap(), response);
}

#[test]
fn candidates_are_told_apart_by_the_index_behind_their_content() {
    let part = |index: u32, text: &str, stop: bool| {
        let mut candidate = json!({"content": {"parts": [{"text": text}]}});
        if stop {
            candidate["finishReason"] = json!("STOP");
        }
        candidate["index"] = json!(index);
        json!({"candidates": [candidate]})
    };
    let response = read(&[part(1, "b", false), part(0, "a", false), part(1, "B", true), part(0, "A", true)]);
    let texts: Vec<String> = response
        .candidates
        .iter()
        .map(|candidate| candidate.blocks[0].as_text().unwrap().text.to_string())
        .collect();
    assert_eq!(texts, ["aA", "bB"]);
    let mut laid_out = Vec::new();
    unfold(&response, &mut laid_out);
    let stream = frames(&write(Format::Gemini, &shown(), laid_out));
    let finished: Vec<&Value> =
        stream.iter().filter(|chunk| chunk["candidates"][0].get("finishReason").is_some()).collect();
    assert_eq!(finished.len(), 2);
}

#[test]
fn an_emoji_cut_in_two_escapes_is_whole() {
    let text = |escape: &str| {
        format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{escape}\"}}]}}}}]}}\n\n")
    };
    let stream = [text("a\\ud83d"), text("\\ude00b"), format!("data: {}\n\n", last())].concat();
    let response = folded(events(&Profile::gemini(), &stream));
    assert_eq!(&*response.candidates[0].blocks[0].as_text().unwrap().text, "a😀b");
}

#[test]
fn sound_in_pieces_is_one_block() {
    let piece =
        |data: &str| chunk(json!([{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": data}}]));
    let response = read(&[piece("AAAA"), piece("BBBB"), last()]);
    let Content::Audio(audio) = &contents(&response)[0] else { panic!("{response:?}") };
    assert!(format!("{audio:?}").contains("AAAABBBB"));
    assert_eq!(response.candidates[0].blocks.len(), 1);
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
    let stream = sse(&[only]);
    let mut claude = client(Format::Claude);
    claude.declares_web_search = true;
    let told = translate(&Profile::gemini(), &stream, Format::Claude, &claude);
    assert_eq!(told.matches(r#""type":"server_tool_use""#).count(), 1, "{told}");
    let told = translate(&Profile::gemini(), &stream, Format::Responses, &client(Format::Responses));
    assert_eq!(told.matches("event: response.web_search_call.completed").count(), 1, "{told}");
    let told = translate(&Profile::gemini(), &stream, Format::Gemini, &shown());
    assert_eq!(told.matches("webSearchQueries").count(), 1, "{told}");
}

proptest::proptest! {
    #[test]
    fn j261_no_damage_to_a_body_or_stream_makes_the_codec_panic(
        damage in proptest::collection::vec((0..2000usize, proptest::prelude::any::<char>()), 1..8),
        file in proptest::sample::select(vec!["answer.json", "answer.sse", "next_request.json", "error.sse"]),
    ) {
        let mut text: Vec<char> = fixture(&["gemini/", file].concat()).chars().collect();
        for (at, character) in damage {
            let at = at % text.len();
            text[at] = character;
        }
        let text: String = text.into_iter().collect();
        let _request = gemini::decode_request(text.as_bytes(), "m", false);
        let _response = gemini::decode_response(text.as_bytes(), &upstream());
        let all = events(&Profile::gemini(), &text);
        let ends = all.iter().filter(|event| matches!(event, Event::End { .. } | Event::Error(_))).count();
        proptest::prop_assert_eq!(ends, 1);
        let _written = write(Format::Gemini, &shown(), all);
    }
}
