//! What is read of Gemini upstreams.

use cliproxy_wire::fault::Kind;
use cliproxy_wire::format::RequestContext;
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::unfold;
use cliproxy_wire::model::{Anchor, Annotation, Content, Event, Status, StopReason};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, gemini};
use serde_json::{Value, json};

use super::{body, chunk, contents, folded, last, read, shown, stream_of, upstream};
use crate::support::{client, events, fixture, frames, translate, write};

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
fn pictures_of_the_thinking_are_no_pictures_of_the_answer() {
    let picture = |data: &str| json!({"inlineData": {"mimeType": "image/png", "data": data}});
    let mut draft = picture("AAAA");
    draft["thought"] = json!(true);
    let chunks = [chunk(json!([draft, picture("BBBB")])), last()];
    let response = read(&chunks);
    let [Content::Native(native), Content::Image(_)] = &contents(&response)[..] else {
        panic!("{response:?}")
    };
    assert_eq!(native.value, Raw::from(&draft));
    let chat = client(Format::Chat);
    let stream = translate(&Profile::gemini(), &stream_of(&chunks), Format::Chat, &chat);
    assert!(stream.contains("BBBB") && !stream.contains("AAAA"), "{stream}");
}

#[test]
fn of_several_finish_reasons_the_one_that_explains_wins() {
    let finish = |word: &str| {
        let mut chunk = chunk(json!([{"text": "a"}]));
        chunk["candidates"][0]["finishReason"] = json!(word);
        chunk
    };
    for (words, expected) in [
        (["STOP", "STOP", "MAX_TOKENS"], StopReason::MaxTokens),
        (["STOP", "SAFETY", "STOP"], StopReason::ContentFilter),
    ] {
        assert_eq!(read(&words.map(finish)).candidates[0].stop.reason, expected, "{words:?}");
    }
}

#[test]
fn a_call_in_pieces_without_an_end_mark_is_over_when_the_same_tool_is_called_again() {
    let piece = |call: Value| chunk(json!([{"functionCall": call}]));
    let begin = piece(json!({"name": "f", "willContinue": true}));
    let city = |name: &str| {
        piece(json!({"partialArgs": [{"jsonPath": "$.city", "stringValue": name}], "willContinue": true}))
    };
    let response = read(&[begin.clone(), city("Rome"), begin, city("Oslo"), last()]);
    let arguments: Vec<String> = contents(&response)
        .iter()
        .map(|content| match content {
            Content::ToolCall(call) => call.arguments.as_str().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(arguments, [r#"{"city":"Rome"}"#, r#"{"city":"Oslo"}"#]);
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
    let stream = write(Format::Gemini, &shown(), events(&Profile::gemini(), &stream_of(&[blocked])));
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
    let all =
        events(&Profile::gemini(), &stream_of(&[chunk(json!([{"text": "a"}])), error[0].clone(), last()]));
    let [.., Event::BlockStop { .. }, Event::Error(fault)] = &all[..] else { panic!("{all:?}") };
    assert_eq!(fault.kind, Kind::RateLimit);
}

#[test]
fn a_stream_without_finish_reason_is_truncated_and_a_body_is_not() {
    let all = events(&Profile::gemini(), &stream_of(&[chunk(json!([{"text": "a"}]))]));
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
        let _request = gemini::decode_request(text.as_bytes(), RequestContext { model: "m", stream: false, schemas: None });
        let _response = gemini::decode_response(text.as_bytes(), &upstream());
        let all = events(&Profile::gemini(), &text);
        let ends = all.iter().filter(|event| matches!(event, Event::End { .. } | Event::Error(_))).count();
        proptest::prop_assert_eq!(ends, 1);
        let _written = write(Format::Gemini, &shown(), all);
    }
}
