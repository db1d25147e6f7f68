//! The items of answers for Responses clients.

use cliproxy_wire::json::Raw;
use cliproxy_wire::model::{
    Anchor, Annotation, BlockKind, CallKind, CandidateMeta, Channel, Delta, Event, Hosted, HostedKind,
    HostedPhase, Image, IndexUnit, Media, Native, OpaqueKind, Owner, Response, Show, Status, Stop,
    StopReason,
};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, opaque};
use serde_json::json;

use super::{
    arguments, begin, call, client, delta, end, end_block, frames, frames_for, output, reasoning, signature,
    start, state, stop, text, thought, types, whole, with_message_id,
};
use crate::support;

/// The envelope of the golden signature.
const ENVELOPE: &str =
    "R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09In0=";

#[test]
fn j171_summaries_are_shown_to_those_who_asked_and_state_is_always_there() {
    let events = || {
        whole(
            vec![
                begin(0, reasoning(None)),
                thought(0, Channel::Raw, 0, "Think"),
                thought(0, Channel::Raw, 1, "more"),
                delta(0, Delta::Opaque(signature())),
                end_block(0),
                begin(1, BlockKind::Text),
                text(1, "x"),
                end_block(1),
            ],
            StopReason::EndTurn,
        )
    };
    let shown = frames_for(&client(), &events());
    let item = &output(&shown)[0];
    assert_eq!(
        item["summary"],
        json!([{"type": "summary_text", "text": "Think"}, {"type": "summary_text", "text": "more"}])
    );
    assert_eq!(item["encrypted_content"], ENVELOPE);

    let mut context = client();
    context.show = Show::Hidden;
    let hidden = frames_for(&context, &events());
    assert!(types(&hidden).iter().all(|kind| !kind.starts_with("reasoning")));
    let item = &output(&hidden)[0];
    assert_eq!(item["summary"], json!([]));
    let envelope = opaque::unwrap(item["encrypted_content"].as_str().unwrap()).unwrap();
    assert_eq!(envelope.opaque, signature());
    assert_eq!(envelope.text.as_deref(), Some("Think\n\nmore"));

    context.show = Show::Raw;
    let raw = frames_for(&context, &events());
    assert!(types(&raw).contains(&"reasoning_text.delta"));
    assert_eq!(output(&raw)[0]["content"][1], json!({"type": "reasoning_text", "text": "more"}));
}

#[test]
fn reasoning_that_neither_shows_nor_keeps_anything_makes_no_item() {
    let mut context = client();
    context.show = Show::Hidden;
    let events = whole(
        vec![
            begin(0, reasoning(None)),
            thought(0, Channel::Raw, 0, "Think"),
            end_block(0),
            begin(1, BlockKind::Text),
            text(1, "x"),
            end_block(1),
        ],
        StopReason::EndTurn,
    );
    let frames = frames_for(&context, &events);
    assert_eq!(output(&frames).as_array().unwrap().len(), 1);
}

#[test]
fn j172_texts_that_follow_each_other_are_one_message_a_call_separates_them() {
    let frames = frames(
        vec![
            begin(0, BlockKind::Text),
            text(0, "a"),
            end_block(0),
            begin(1, BlockKind::Text),
            text(1, "b"),
            end_block(1),
            begin(2, BlockKind::Refusal),
            delta(2, Delta::Refusal("no".to_owned())),
            end_block(2),
            begin(3, call("c", "f", CallKind::Function)),
            end_block(3),
            begin(4, BlockKind::Text),
            text(4, "d"),
            end_block(4),
        ],
        StopReason::ToolUse,
    );
    let output = output(&frames);
    let kinds: Vec<_> = output.as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["message", "function_call", "message"]);
    assert_eq!(output[0]["content"][0]["text"], "ab");
    assert_eq!(output[0]["content"][1], json!({"type": "refusal", "refusal": "no"}));
}

#[test]
fn a_refusal_that_is_only_explained_becomes_a_refusal_part() {
    let explained = Stop { explanation: Some("not this".into()), ..Stop::new(StopReason::Refusal) };
    let events = [start(), Event::CandidateStop { candidate: 0, stop: explained }, end(Status::Incomplete)];
    let frames = frames_for(&client(), &events);
    assert_eq!(output(&frames)[0]["content"], json!([{"type": "refusal", "refusal": "not this"}]));
    assert_eq!(frames.last().unwrap()["response"]["incomplete_details"]["reason"], "content_filter");
}

#[test]
fn j175_a_free_form_call_has_its_own_events() {
    let frames = frames(
        vec![begin(0, call("c", "p", CallKind::Custom)), arguments(0, "raw \"text\""), end_block(0)],
        StopReason::ToolUse,
    );
    assert_eq!(
        types(&frames)[2..6],
        [
            "output_item.added",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.done",
            "output_item.done"
        ]
    );
    let item = &output(&frames)[0];
    assert_eq!((&item["type"], &item["input"]), (&json!("custom_tool_call"), &json!("raw \"text\"")));
    assert!(item["id"].as_str().unwrap().starts_with("ctc_"));
}

#[test]
fn j178_a_signed_call_follows_a_reasoning_item_that_keeps_the_signature() {
    let mut signature = state(Owner::Google, OpaqueKind::GeminiThought, "EqQBsig");
    signature.anchor = Anchor::ToolCall(0);
    let mut kind = call("c", "f", CallKind::Function);
    if let BlockKind::ToolCall { opaque, .. } = &mut kind {
        *opaque = Some(signature.clone());
    }
    let frames = frames(vec![begin(0, kind.clone()), arguments(0, "{}"), end_block(0)], StopReason::ToolUse);
    let items = output(&frames);
    assert_eq!((&items[0]["type"], &items[1]["type"]), (&json!("reasoning"), &json!("function_call")));

    // The next request brings it back.
    let next = json!({"model": "m", "input": [items[0], items[1]]});
    let request = support::decode(Format::Responses, &next).unwrap();
    let cliproxy_wire::model::Content::Reasoning(back) = &request.turns[0].blocks[0].content else {
        panic!("reasoning")
    };
    assert_eq!(back.opaque, [signature]);

    // A thought that has a state of its own keeps it.
    let frames = frames_for(
        &client(),
        &whole(
            vec![
                begin(0, reasoning(None)),
                thought(0, Channel::Summary, 0, "x"),
                delta(0, Delta::Opaque(self::signature())),
                end_block(0),
                begin(1, kind),
                arguments(1, "{}"),
                end_block(1),
            ],
            StopReason::ToolUse,
        ),
    );
    let kinds: Vec<_> = output(&frames).as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "reasoning", "function_call"]);
}

fn search(phase: HostedPhase, input: Option<&str>, output: Option<&str>) -> Hosted {
    Hosted {
        phase,
        kind: HostedKind::WebSearch,
        id: "srvtoolu_1".into(),
        status: None,
        input: input.map(Raw::new),
        output: output.map(Raw::new),
        error: None,
        native: Native { format: Format::Claude, value: Raw::new("{}") },
    }
}

#[test]
fn j179_a_search_of_another_provider_is_one_item() {
    let mut context = client();
    context.include.insert("web_search_call.action.sources".into());
    let events = whole(
        vec![
            begin(0, BlockKind::Hosted(Box::new(search(HostedPhase::Call, Some(r#"{"query":"q"}"#), None)))),
            end_block(0),
            begin(
                1,
                BlockKind::Hosted(Box::new(search(
                    HostedPhase::Result,
                    None,
                    Some(r#"[{"url":"https://x","title":"t"}]"#),
                ))),
            ),
            end_block(1),
            begin(2, BlockKind::Text),
            text(2, "found"),
            end_block(2),
        ],
        StopReason::EndTurn,
    );
    let frames = frames_for(&context, &events);
    assert_eq!(
        types(&frames)[2..7],
        [
            "output_item.added",
            "web_search_call.in_progress",
            "web_search_call.searching",
            "web_search_call.completed",
            "output_item.done"
        ]
    );
    assert_eq!(
        output(&frames)[0]["action"],
        json!({"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://x"}]})
    );
}

#[test]
fn code_execution_of_another_provider_is_one_item() {
    let hosted = Hosted {
        kind: HostedKind::CodeExecution,
        phase: HostedPhase::Both,
        input: Some(Raw::new(r#"{"code":"1+1"}"#)),
        output: Some(Raw::new(r#"{"stdout":"2","stderr":"","return_code":0}"#)),
        ..search(HostedPhase::Both, None, None)
    };
    let frames =
        frames(vec![begin(0, BlockKind::Hosted(Box::new(hosted))), end_block(0)], StopReason::EndTurn);
    let item = &output(&frames)[0];
    assert_eq!(item["code"], "1+1");
    assert_eq!(item["outputs"], json!([{"type": "logs", "logs": "2"}]));
}

#[test]
fn an_image_is_the_result_of_image_generation() {
    let source = Media::Inline { mime: "image/png".into(), base64: "AAAA".into() };
    let image = Image { source, detail: None, opaque: None };
    let frames = frames(vec![begin(0, BlockKind::Image(Box::new(image))), end_block(0)], StopReason::EndTurn);
    assert_eq!(output(&frames)[0]["result"], "AAAA");
}

#[test]
fn a_typed_call_is_an_item_of_its_type() {
    let mut kind = call("c", "local_shell", CallKind::Function);
    if let BlockKind::ToolCall { native, .. } = &mut kind {
        let value = Raw::new(r#"{"type":"local_shell_call"}"#);
        *native = Some(Native { format: Format::Responses, value });
    }
    let frames = frames(
        vec![begin(0, kind), arguments(0, r#"{"command":"#), arguments(0, r#"["ls"]}"#), end_block(0)],
        StopReason::ToolUse,
    );
    assert_eq!(types(&frames)[2..4], ["output_item.added", "output_item.done"]);
    let item = &output(&frames)[0];
    assert_eq!(item["type"], "local_shell_call");
    assert_eq!(item["action"], json!({"type": "exec", "command": ["ls"], "env": {}}));
}

#[test]
fn citations_point_into_the_joined_text_in_characters() {
    let cite = |start, end, unit| {
        Delta::Annotation(Annotation::Url {
            url: "https://x".into(),
            title: "t".into(),
            start,
            end,
            unit,
            cited_text: None,
            native: None,
        })
    };
    let frames = frames(
        vec![
            begin(0, BlockKind::Text),
            text(0, "Röme "),
            end_block(0),
            begin(1, BlockKind::Text),
            delta(1, cite(None, None, IndexUnit::Characters)),
            text(1, "🌤 is"),
            delta(1, cite(Some(5), Some(7), IndexUnit::Bytes)),
            end_block(1),
        ],
        StopReason::EndTurn,
    );
    let ranges: Vec<_> = output(&frames)[0]["content"][0]["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["start_index"].as_u64().unwrap(), entry["end_index"].as_u64().unwrap()))
        .collect();
    assert_eq!(ranges, [(5, 9), (7, 9)]);
    assert_eq!(types(&frames).iter().filter(|kind| **kind == "output_text.annotation.added").count(), 2);
}

#[test]
fn j181_grounding_is_in_the_last_event_only_and_names_its_search() {
    let grounding =
        r#"{"webSearchQueries":["a b"],"groundingChunks":[{"web":{"uri":"https://x","title":"t"}}],"x":1.0}"#;
    let meta = |raw: &str| Event::CandidateMeta {
        candidate: 0,
        meta: Box::new(CandidateMeta { grounding: Some(Raw::new(raw)), ..CandidateMeta::default() }),
    };
    let events = whole(
        vec![begin(0, BlockKind::Text), text(0, "x"), end_block(0), meta(grounding), meta("{}")],
        StopReason::EndTurn,
    );
    let stream = support::write(Format::Responses, &client(), events.clone());
    assert_eq!(stream.matches("\"grounding_metadata\"").count(), 1);
    assert!(stream.contains(&format!("\"grounding_metadata\":{grounding}")));
    let frames = frames_for(&client(), &events);
    assert!(frames.last().unwrap()["response"]["grounding_metadata"].is_object());
    assert_eq!(output(&frames)[1]["action"], json!({"type": "search", "query": "a b", "queries": ["a b"]}));
}

#[test]
fn ids_of_other_providers_are_led_over_and_stay_the_same() {
    let events = |id: &str| {
        vec![
            Event::Start(Box::new(Response { id: Some(id.into()), ..Response::new(Format::Gemini) })),
            stop(StopReason::EndTurn),
            end(Status::Completed),
        ]
    };
    let id = |upstream: &str| frames_for(&client(), &events(upstream))[0]["response"]["id"].clone();
    assert_eq!(id("chatcmpl-1"), id("chatcmpl-1"));
    assert_ne!(id("chatcmpl-1"), id("chatcmpl-2"));
    assert_eq!(id("chatcmpl-1").as_str().unwrap().len(), 53);
    assert_eq!(id("resp_1"), "resp_1");
}

#[test]
fn answers_of_this_format_are_written_as_they_were_read() {
    let golden = support::fixture("responses/weather.sse");
    let profile = Profile::openai_responses();
    let written = support::translate(&profile, &golden, Format::Responses, &client());
    assert_eq!(written, with_message_id(&golden, &written));
}
