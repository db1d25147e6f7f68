//! What stands in the answers for Chat clients.

use cliproxy_wire::codec::ReasoningField;
use cliproxy_wire::fault::Kind;
use cliproxy_wire::format::Format;
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::unfold;
use cliproxy_wire::model::{
    Annotation, Block, BlockKind, CandidateMeta, Content, Delta, Event, Hosted, HostedKind, HostedPhase,
    Image, IndexUnit, Media, Native, OpaqueKind, Owner, Reasoning, Response, Show, Stop, StopReason, Text,
};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{chat, codec};
use serde_json::{Value, json};

use super::super::{accumulate, answer, as_in_a_body, body};
use super::{
    begin, both, call, end, end_of, folded, gemini, golden_from_claude, opaque, piece, response, start,
    stopped, stream_of, text,
};
use crate::support::{client, decode, fixture, frames, translate};

fn from_gemini(chunks: &[Value]) -> Value {
    let stream = translate(&Profile::gemini(), &gemini(chunks), Format::Chat, &client(Format::Chat));
    as_in_a_body(accumulate(&stream))
}

#[test]
fn j147_gemini_reasons_are_led_back() {
    for (part, word, expected) in [
        (json!({"functionCall": {"name": "f", "args": {}}}), "STOP", "tool_calls"),
        (json!({"text": "a"}), "STOP", "stop"),
        (json!({"text": "a"}), "MAX_TOKENS", "length"),
        (json!({"text": "a"}), "SAFETY", "content_filter"),
    ] {
        let whole = from_gemini(&[json!({"candidates": [{"index": 0, "finishReason": word,
            "content": {"role": "model", "parts": [part]}}]})]);
        assert_eq!(whole["choices"][0]["finish_reason"], expected, "{word}");
    }
}

#[test]
fn j148_thinking_is_never_content() {
    let whole = accumulate(&golden_from_claude());
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "Need the weather.");
    assert_eq!(message["content"], "Checking Röme 🌤.");
}

#[test]
fn the_reasoning_member_follows_the_configuration_and_the_clients_wish() {
    let shown = |field, show| {
        let mut context = client(Format::Chat);
        context.reasoning_field = field;
        context.show = show;
        let stream = translate(&Profile::claude(), &fixture("claude/weather.sse"), Format::Chat, &context);
        accumulate(&stream)["choices"][0]["message"].clone()
    };
    let visible = client(Format::Chat).show;
    let both = shown(ReasoningField::Both, visible);
    assert_eq!(both["reasoning"], "Need the weather.");
    assert_eq!(both["reasoning_content"], "Need the weather.");
    for hidden in [shown(ReasoningField::None, visible), shown(ReasoningField::Content, Show::Hidden)] {
        assert!(hidden.get("reasoning").is_none() && hidden.get("reasoning_content").is_none());
        // What the client does not see travels with its signature, so that the next request is complete.
        let next = json!({"model": "m", "messages": [{"role": "user", "content": "q"}, hidden]});
        let request = decode(Format::Chat, &next).unwrap();
        let Content::Reasoning(reasoning) = &request.turns[1].blocks[0].content else { panic!() };
        assert_eq!(reasoning.text(), "Need the weather.");
        assert_eq!(&*reasoning.opaque[0].data, "ErUBsignature0001==");
    }
}

#[test]
fn j154_gemini_usage_counts_thoughts_as_completion_and_tool_prompts_as_input() {
    let whole = from_gemini(&[json!({"candidates": [{"index": 0, "finishReason": "STOP",
        "content": {"role": "model", "parts": [{"text": "a"}]}}],
        "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 3, "thoughtsTokenCount": 7,
            "toolUsePromptTokenCount": 4, "totalTokenCount": 34}})]);
    let usage = &whole["usage"];
    assert_eq!(usage["prompt_tokens"], 24);
    assert_eq!(usage["completion_tokens"], 10);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 7);
    assert_eq!(usage["total_tokens"], 34);
}

#[test]
fn j155_reasoning_beside_the_completion_is_added_and_above_it_clamped() {
    let usage = |usage: Value| {
        let response =
            answer(&json!({"id": "x", "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}],
            "usage": usage}));
        body(&response)["usage"].clone()
    };
    let added = usage(json!({"prompt_tokens": 26, "completion_tokens": 1, "total_tokens": 254,
        "completion_tokens_details": {"reasoning_tokens": 227}}));
    assert_eq!((&added["completion_tokens"], &added["total_tokens"]), (&json!(228), &json!(254)));
    let clamped = usage(json!({"prompt_tokens": 9, "completion_tokens": 10, "total_tokens": 19,
        "completion_tokens_details": {"reasoning_tokens": 11}}));
    assert_eq!(clamped["completion_tokens_details"]["reasoning_tokens"], 10);
}

#[test]
fn j157_grounding_is_on_the_choice_as_it_came_and_only_from_google() {
    let grounding = r#"{"webSearchQueries":["q"],"searchEntryPoint":{"renderedContent":"<b>x</b>"},"n":1.0}"#;
    let meta = |raw: &str| {
        let meta = CandidateMeta { grounding: Some(Raw::new(raw)), ..CandidateMeta::default() };
        Event::CandidateMeta { candidate: 0, meta: Box::new(meta) }
    };
    let events =
        vec![start(), meta("{\"old\":1}"), meta(grounding), meta("{}"), stopped(StopReason::EndTurn), end()];
    let stream = stream_of(events.clone());
    assert_eq!(stream.matches(grounding).count(), 1);
    let finish =
        frames(&stream).into_iter().find(|chunk| chunk["choices"][0]["finish_reason"] == "stop").unwrap();
    assert_eq!(finish["choices"][0]["grounding_metadata"]["webSearchQueries"][0], "q");
    let whole = chat::encode_response(&folded(events), &client(Format::Chat));
    assert!(String::from_utf8(whole).unwrap().contains(grounding));
    assert!(!golden_from_claude().contains("grounding_metadata"));
}

#[test]
fn j158_citations_select_their_text_in_answers_of_any_script() {
    let before = "Ünïcödé 🌤. ";
    let cited = "Römer zählen";
    let whole = [before, cited, "."].concat();
    let annotation = |start: usize, end: usize| Annotation::Url {
        url: "https://a.example".into(),
        title: "A".into(),
        start: Some(start as u64),
        end: Some(end as u64),
        unit: IndexUnit::Bytes,
        cited_text: None,
        native: None,
    };
    let events = vec![
        start(),
        begin(0, BlockKind::Text),
        text(0, "Zuerst 🎈"),
        end_of(0),
        begin(1, BlockKind::Hosted(Box::new(search()))),
        end_of(1),
        begin(2, BlockKind::Text),
        text(2, &whole[..5]),
        text(2, &whole[5..]),
        piece(2, Delta::Annotation(annotation(before.len(), before.len() + cited.len()))),
        end_of(2),
        stopped(StopReason::EndTurn),
        end(),
    ];
    let (streamed, body) = both(events);
    assert_eq!(streamed, body);
    let message = &body["choices"][0]["message"];
    let content: Vec<char> = message["content"].as_str().unwrap().chars().collect();
    let citation = &message["annotations"][0]["url_citation"];
    let place = |name: &str| usize::try_from(citation[name].as_u64().unwrap()).unwrap();
    let selected: String = content[place("start_index")..place("end_index")].iter().collect();
    assert_eq!(selected, cited);
}

fn search() -> Hosted {
    Hosted {
        phase: HostedPhase::Both,
        kind: HostedKind::WebSearch,
        id: "ws".into(),
        status: None,
        input: None,
        output: None,
        error: None,
        native: Native { format: Format::Responses, value: Raw::new("{}") },
    }
}

#[test]
fn j159_candidates_are_choices_with_role_and_reason_each() {
    let candidate = |index: u64, text: &str| {
        json!({"index": index, "finishReason": "STOP",
        "content": {"role": "model", "parts": [{"text": text}]}})
    };
    let whole = from_gemini(&[json!({"candidates": [candidate(0, "a"), candidate(1, "b")]})]);
    let choices = whole["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 2);
    for (index, text) in ["a", "b"].iter().enumerate() {
        assert_eq!(choices[index]["index"], index);
        assert_eq!(choices[index]["message"]["role"], "assistant");
        assert_eq!(choices[index]["message"]["content"], *text);
        assert_eq!(choices[index]["finish_reason"], "stop");
    }
}

#[test]
fn j161_images_are_beside_the_content() {
    let image = || {
        Block::new(Content::Image(Image {
            source: Media::Inline { mime: "image/png".into(), base64: "iVBO".into() },
            detail: None,
            opaque: None,
        }))
    };
    for (blocks, content) in [(vec![image()], Value::Null), (vec![Block::text("see"), image()], "see".into())]
    {
        let response = response(blocks, Stop::new(StopReason::EndTurn));
        let message = body(&response)["choices"][0]["message"].clone();
        assert_eq!(message["content"], content);
        assert_eq!(
            message["images"],
            json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}, "index": 0}])
        );
    }
}

#[test]
fn j162_a_google_signature_is_at_its_call() {
    let signature = opaque(Owner::Google, OpaqueKind::GeminiThought, "SIG");
    let foreign = opaque(Owner::OpenAi, OpaqueKind::OpenAiEncrypted, "gAAAA");
    let events = vec![
        start(),
        call(0, "c1", "f", Some(signature)),
        end_of(0),
        call(1, "c2", "g", Some(foreign)),
        end_of(1),
        stopped(StopReason::ToolUse),
        end(),
    ];
    let (streamed, whole) = both(events);
    assert_eq!(streamed, whole);
    let message = whole["choices"][0]["message"].clone();
    assert_eq!(message["tool_calls"][0]["extra_content"]["google"]["thought_signature"], "SIG");
    assert!(message["tool_calls"][1].get("extra_content").is_none());
    let next = json!({"model": "m", "messages": [{"role": "user", "content": "q"}, message]});
    let request = decode(Format::Chat, &next).unwrap();
    let found: Vec<_> = request.turns[1]
        .blocks
        .iter()
        .filter_map(|block| match &block.content {
            Content::ToolCall(call) => {
                call.opaque.as_ref().map(|opaque| (opaque.owner, opaque.data.to_string()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(found, [(Owner::Google, "SIG".to_owned()), (Owner::OpenAi, "gAAAA".to_owned())]);
}

#[test]
fn several_signed_thoughts_come_back_apart() {
    let thought = |text: &str, data: &str| {
        Block::new(Content::Reasoning(Reasoning {
            summary: vec![text.into()],
            opaque: vec![opaque(Owner::Anthropic, OpaqueKind::ClaudeSignature, data)],
            ..Reasoning::default()
        }))
    };
    let redacted = Block::new(Content::Reasoning(Reasoning {
        opaque: vec![opaque(Owner::Anthropic, OpaqueKind::ClaudeRedacted, "HIDDEN")],
        is_redacted: true,
        ..Reasoning::default()
    }));
    let response = response(
        vec![
            thought("one", "s1"),
            redacted,
            Block::text("a"),
            thought("two\n\nlines", "s2"),
            Block::text("b"),
        ],
        Stop::new(StopReason::EndTurn),
    );
    let mut events = Vec::new();
    unfold(&response, &mut events);
    let streamed = as_in_a_body(accumulate(&stream_of(events)));
    assert_eq!(streamed, body(&response));
    let message = streamed["choices"][0]["message"].clone();
    assert_eq!(message["reasoning_content"], "one\n\ntwo\n\nlines");
    assert_eq!(message["content"], "a\n\nb");
    let next = json!({"model": "m", "messages": [{"role": "user", "content": "q"}, message]});
    let request = decode(Format::Chat, &next).unwrap();
    let found: Vec<(String, String)> = request.turns[1]
        .blocks
        .iter()
        .filter_map(|block| match &block.content {
            Content::Reasoning(reasoning) => Some((reasoning.text(), reasoning.opaque[0].data.to_string())),
            _ => None,
        })
        .collect();
    let expected = [("one", "s1"), ("", "HIDDEN"), ("two\n\nlines", "s2")];
    assert_eq!(found, expected.map(|(text, data)| (text.to_owned(), data.to_owned())));
}

#[test]
fn code_that_the_provider_ran_is_fenced_text_apart() {
    let run = Hosted {
        kind: HostedKind::CodeExecution,
        input: Some(Raw::new(r#"{"language":"PYTHON","code":"print(1)"}"#)),
        output: Some(Raw::new(r#"{"stdout":"1\n","return_code":0}"#)),
        ..search()
    };
    let blocks = vec![Block::text("before"), Block::new(Content::Hosted(run)), Block::text("after")];
    let response = response(blocks, Stop::new(StopReason::EndTurn));
    let mut events = Vec::new();
    unfold(&response, &mut events);
    let expected = "before\n\n```python\nprint(1)\n```\n\n```\n1\n```\n\nafter";
    assert_eq!(body(&response)["choices"][0]["message"]["content"], expected);
    assert_eq!(accumulate(&stream_of(events))["choices"][0]["message"]["content"], expected);
}

#[test]
fn a_blocked_prompt_is_a_refusal_without_content() {
    let stop = Stop { explanation: Some("blocked".into()), ..Stop::new(StopReason::ContentFilter) };
    let response = response(Vec::new(), stop);
    let message = body(&response)["choices"][0]["message"].clone();
    assert_eq!((&message["content"], &message["refusal"]), (&Value::Null, &json!("blocked")));
    let mut events = Vec::new();
    unfold(&response, &mut events);
    assert_eq!(accumulate(&stream_of(events))["choices"][0]["message"]["refusal"], "blocked");
}

#[test]
fn an_empty_answer_has_empty_content() {
    let response = response(Vec::new(), Stop::new(StopReason::EndTurn));
    assert_eq!(body(&response)["choices"][0]["message"]["content"], "");
    let nothing = Response::new(Format::Claude);
    assert_eq!(body(&nothing)["choices"][0]["finish_reason"], "stop");
}

#[test]
fn logprobs_stand_beside_their_text() {
    let element = r#"{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}"#;
    let list = format!("[{element}]");
    let text = Text { logprobs: Some(Raw::new(list.as_str())), ..Text::new("a") };
    let response = response(vec![Block::new(Content::Text(text))], Stop::new(StopReason::EndTurn));
    let whole = body(&response);
    assert_eq!(whole["choices"][0]["logprobs"]["content"][0]["token"], "a");
    assert_eq!(answer(&whole).candidates[0].blocks, response.candidates[0].blocks);
    let mut events = Vec::new();
    unfold(&response, &mut events);
    assert!(stream_of(events).contains(element));
}

#[test]
fn successes_that_hold_failures_are_faults() {
    let context = codec::UpstreamContext::new(&Profile::compatible(), "r");
    for (body, kind) in [
        (r#"{"error":{"message":"too many","code":429}}"#, Kind::RateLimit),
        (r#"[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]"#, Kind::InvalidRequest),
        (r#"{"id":"x","choices":[{"message":{"content":""},"finish_reason":"error"}]}"#, Kind::BadUpstream),
        (r#"{"code":"X","message":"no such thing"}"#, Kind::BadUpstream),
        (r#"{"hello":1}"#, Kind::BadUpstream),
        ("", Kind::BadUpstream),
        ("<html>busy</html>", Kind::BadUpstream),
        (r#"{"id":"x","choices":[{"mess"#, Kind::BadUpstream),
    ] {
        let fault = chat::decode_response(body.as_bytes(), &context).unwrap_err();
        assert_eq!(fault.kind, kind, "{body}: {fault:?}");
    }
}
