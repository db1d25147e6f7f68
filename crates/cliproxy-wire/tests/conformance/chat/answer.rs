//! What Chat clients get.

use cliproxy_wire::codec::{ReasoningField, StreamEncoder as _};
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::{Fold, unfold};
use cliproxy_wire::model::{
    Anchor, Annotation, Block, BlockKind, CallKind, Candidate, CandidateMeta, Channel, Content, Delta, Event,
    Ext, Hosted, HostedKind, HostedPhase, Image, IndexUnit, Media, Native, Opaque, OpaqueKind, Owner,
    Reasoning, Response, Show, Status, Stop, StopReason, Text,
};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{chat, codec};
use serde_json::{Value, json};

use super::{accumulate, answer, as_in_a_body, body};
use crate::support::{client, decode, fixture, frames, translate, write};

fn stream_of(events: Vec<Event>) -> String {
    write(Format::Chat, &client(Format::Chat), events)
}

fn start() -> Event {
    Event::Start(Box::new(Response::new(Format::Gemini)))
}

fn begin(block: u32, kind: BlockKind) -> Event {
    Event::BlockStart { candidate: 0, block, kind }
}

fn piece(block: u32, delta: Delta) -> Event {
    Event::Delta { candidate: 0, block, delta }
}

fn text(block: u32, text: &str) -> Event {
    piece(block, Delta::Text(text.into()))
}

fn end_of(block: u32) -> Event {
    Event::BlockStop { candidate: 0, block, full: None }
}

fn stopped(reason: StopReason) -> Event {
    Event::CandidateStop { candidate: 0, stop: Stop::new(reason) }
}

fn end() -> Event {
    Event::End { status: Status::Completed, ext: Ext::new() }
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

fn opaque(owner: Owner, kind: OpaqueKind, data: &str) -> Opaque {
    Opaque { owner, kind, scope: None, model: None, data: data.into(), anchor: Anchor::This }
}

fn response(blocks: Vec<Block>, stop: Stop) -> Response {
    let candidate = Candidate { blocks, ..Candidate::new(0, stop) };
    Response { candidates: vec![candidate], ..Response::new(Format::Gemini) }
}

fn folded(events: Vec<Event>) -> Response {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event);
    }
    fold.finish().unwrap()
}

/// A stream and a body of the same events, the stream accumulated as the official client does.
fn both(events: Vec<Event>) -> (Value, Value) {
    (as_in_a_body(accumulate(&stream_of(events.clone()))), body(&folded(events)))
}

fn golden_from_claude() -> String {
    translate(&Profile::claude(), &fixture("claude/weather.sse"), Format::Chat, &client(Format::Chat))
}

/// The frames with the derived id replaced by that of the fixtures, and without the count that only Claude reports.
fn with_golden_id(stream: &str) -> Vec<Value> {
    let mut all = frames(stream);
    for chunk in &mut all {
        chunk["id"] = "chatcmpl-fx000000000000000000000000001".into();
        let details = chunk.pointer_mut("/usage/prompt_tokens_details").and_then(Value::as_object_mut);
        if let Some(details) = details {
            details.remove("cache_write_tokens");
        }
    }
    all
}

#[test]
fn j160_the_golden_stream_is_written_and_accumulates_to_the_golden_body() {
    let stream = golden_from_claude();
    assert_eq!(with_golden_id(&stream), frames(&fixture("chat/weather.sse")));
    let mut accumulated = as_in_a_body(accumulate(&fixture("chat/weather.sse")));
    let golden: Value = serde_json::from_str(&fixture("chat/weather.json")).unwrap();
    assert_eq!(accumulated, golden);
    accumulated = as_in_a_body(accumulate(&stream));
    let events = crate::support::events(&Profile::claude(), &fixture("claude/weather.sse"));
    assert_eq!(accumulated, body(&folded(events)));
}

#[test]
fn j141_the_role_is_said_once_per_choice_and_first() {
    let two = |candidate| {
        [
            Event::BlockStart { candidate, block: 0, kind: BlockKind::Text },
            Event::Delta { candidate, block: 0, delta: Delta::Text("a".into()) },
            Event::BlockStop { candidate, block: 0, full: None },
            Event::CandidateStop { candidate, stop: Stop::new(StopReason::EndTurn) },
        ]
    };
    let mut events = vec![start()];
    events.extend(two(0));
    events.extend(two(1));
    events.push(end());
    let chunks = frames(&stream_of(events));
    for index in 0..2 {
        let deltas: Vec<&Value> = chunks
            .iter()
            .flat_map(|chunk| chunk["choices"].as_array().unwrap())
            .filter(|choice| choice["index"] == index)
            .map(|choice| &choice["delta"])
            .collect();
        assert_eq!(deltas[0], &json!({"role": "assistant", "content": "", "refusal": null}));
        assert!(deltas[1..].iter().all(|delta| delta.get("role").is_none()));
    }
}

#[test]
fn j142_all_chunks_share_their_head() {
    // The accumulator compares the heads of all chunks.
    let whole = accumulate(&golden_from_claude());
    assert_eq!(whole["created"], 1_785_500_000);
    let id = whole["id"].as_str().unwrap();
    assert!(id.starts_with("chatcmpl-") && id.len() == 38, "{id}");
    let renamed = {
        let mut context = client(Format::Chat);
        context.echoes_requested_model = true;
        context.requested_model = "alias".into();
        translate(&Profile::claude(), &fixture("claude/weather.sse"), Format::Chat, &context)
    };
    assert_eq!(accumulate(&renamed)["model"], "alias");
}

#[test]
fn j143_calls_are_counted_whatever_the_blocks_were_and_j144_named_once() {
    let arguments = |block, text: &str| piece(block, Delta::Arguments(text.into()));
    let events = vec![
        start(),
        begin(0, BlockKind::Text),
        text(0, "a"),
        end_of(0),
        call(1, "c1", "f", None),
        call(2, "c2", "g", None),
        arguments(2, "{\"y\""),
        arguments(1, "{\"x\":1}"),
        arguments(2, ":2}"),
        end_of(1),
        end_of(2),
        begin(3, BlockKind::Text),
        text(3, "b"),
        end_of(3),
        call(4, "c3", "h", None),
        end_of(4),
        stopped(StopReason::ToolUse),
        end(),
    ];
    let stream = stream_of(events.clone());
    let ids: Vec<Value> = frames(&stream)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0].get("id").cloned())
        .collect();
    assert_eq!(ids, [json!("c1"), json!("c2"), json!("c3")]);
    let (streamed, whole) = both(events);
    assert_eq!(streamed, whole);
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["content"], "a\n\nb");
    assert_eq!(message["tool_calls"][0]["function"], json!({"name": "f", "arguments": "{\"x\":1}"}));
    assert_eq!(message["tool_calls"][1]["function"], json!({"name": "g", "arguments": "{\"y\":2}"}));
}

#[test]
fn j145_a_call_without_arguments_has_an_empty_object() {
    let (streamed, whole) =
        both(vec![start(), call(0, "c", "f", None), end_of(0), stopped(StopReason::ToolUse), end()]);
    assert_eq!(streamed, whole);
    assert_eq!(whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(whole["choices"][0]["message"]["content"], Value::Null);
}

#[test]
fn j146_every_reason_becomes_one_of_the_five_words() {
    for (reason, word) in [
        (StopReason::EndTurn, "stop"),
        (StopReason::ToolUse, "tool_calls"),
        (StopReason::MaxTokens, "length"),
        (StopReason::ContextWindow, "length"),
        (StopReason::StopSequence, "stop"),
        (StopReason::ContentFilter, "content_filter"),
        (StopReason::Refusal, "content_filter"),
        (StopReason::Recitation, "content_filter"),
        (StopReason::Pause, "stop"),
        (StopReason::MalformedToolCall, "stop"),
        (StopReason::Compaction, "stop"),
        (StopReason::Other, "stop"),
    ] {
        let mut stop = Stop::new(reason);
        stop.native = Some((Format::Gemini, "WEIRD".into()));
        let events = vec![start(), Event::CandidateStop { candidate: 0, stop }, end()];
        let (streamed, whole) = both(events);
        assert_eq!(streamed["choices"][0]["finish_reason"], word, "{reason:?}");
        assert_eq!(whole["choices"][0]["finish_reason"], word, "{reason:?}");
    }
}

#[test]
fn finish_reasons_of_relatives_are_understood_and_calls_decide() {
    let read = |word: Value, calls: bool| {
        let mut message = json!({"role": "assistant", "content": "a"});
        if calls {
            message["tool_calls"] =
                json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
        }
        answer(&json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": word}]}))
            .candidates[0]
            .stop
            .reason
    };
    for (word, reason) in [
        (json!("stop"), StopReason::EndTurn),
        (json!("end_turn"), StopReason::EndTurn),
        (json!("eos"), StopReason::EndTurn),
        (json!(null), StopReason::EndTurn),
        (json!("length"), StopReason::MaxTokens),
        (json!("model_length"), StopReason::MaxTokens),
        (json!("content_filter"), StopReason::ContentFilter),
        (json!("sensitive"), StopReason::ContentFilter),
        (json!("tool_calls"), StopReason::EndTurn),
        (json!("brand_new"), StopReason::Other),
    ] {
        assert_eq!(read(word.clone(), false), reason, "{word}");
    }
    for word in ["stop", "eos_token", "tool_use", "brand_new"] {
        assert_eq!(read(word.into(), true), StopReason::ToolUse, "{word}");
    }
    assert_eq!(read("length".into(), true), StopReason::MaxTokens);
}

fn gemini(chunks: &[Value]) -> String {
    chunks.iter().flat_map(|chunk| ["data: ".to_owned(), chunk.to_string(), "\r\n\r\n".to_owned()]).collect()
}

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
fn j149_parts_of_one_gemini_chunk_are_deltas_in_order() {
    let chunk = json!({"candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
        {"text": "think", "thought": true}, {"text": "say"}, {"functionCall": {"name": "f", "args": {"a": 1}}}]}}]});
    let stream = translate(&Profile::gemini(), &gemini(&[chunk]), Format::Chat, &client(Format::Chat));
    let kinds: Vec<String> = frames(&stream)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"].as_object()?.keys().next().cloned())
        .collect();
    assert_eq!(kinds[1..4], ["reasoning_content", "content", "tool_calls"], "{kinds:?}");
}

#[test]
fn j150_summary_parts_are_apart_by_a_blank_line() {
    let summary =
        |part, text: &str| piece(0, Delta::Reasoning { channel: Channel::Summary, part, text: text.into() });
    let kind = || BlockKind::Reasoning { id: None, is_redacted: false };
    let events = vec![
        start(),
        begin(0, kind()),
        summary(0, "on"),
        summary(0, "e"),
        summary(1, "two"),
        end_of(0),
        begin(1, kind()),
        piece(1, Delta::Reasoning { channel: Channel::Raw, part: 0, text: "three".into() }),
        end_of(1),
        stopped(StopReason::EndTurn),
        end(),
    ];
    let (streamed, whole) = both(events);
    assert_eq!(streamed, whole);
    assert_eq!(whole["choices"][0]["message"]["reasoning_content"], "one\n\ntwo\n\nthree");
}

#[test]
fn j151_usage_is_one_chunk_behind_the_reason_for_those_who_ask() {
    let chunks = frames(&golden_from_claude());
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 93);
    assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!(others.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    let mut context = client(Format::Chat);
    context.include_usage = false;
    let silent = translate(&Profile::claude(), &fixture("claude/weather.sse"), Format::Chat, &context);
    assert!(frames(&silent).iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn j152_the_end_mark_is_last() {
    let events = crate::support::events(&Profile::claude(), &fixture("claude/weather.sse"));
    let mut encoder = chat::Encoder::new(client(Format::Chat));
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    let length = out.len();
    encoder.event(Event::Ping, &mut out);
    encoder.event(text(0, "late"), &mut out);
    assert_eq!(out.len(), length);
    let stream = String::from_utf8(out).unwrap();
    assert_eq!(stream.matches("[DONE]").count(), 1);
    assert!(stream.ends_with("data: [DONE]\n\n"));
}

#[test]
fn j153_claude_usage_is_inclusive() {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 14,
        "cache_read_input_tokens": 4410, "cache_creation_input_tokens": 0, "output_tokens": 300}});
    let context = codec::UpstreamContext::new(&Profile::claude(), "r");
    let response =
        format::decode_response(Format::Claude, &serde_json::to_vec(&message).unwrap(), &context).unwrap();
    let usage = &body(&response)["usage"];
    assert_eq!(usage["prompt_tokens"], 4424);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 4410);
    assert_eq!((&usage["completion_tokens"], &usage["total_tokens"]), (&json!(300), &json!(4724)));
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
fn j156_an_error_in_the_stream_is_one_frame_and_the_end() {
    let start = Event::Start(Box::new(Response {
        id: Some("chatcmpl-fx000000000000000000000000001".into()),
        ..Response::new(Format::Chat)
    }));
    let stream = stream_of(vec![start, Event::Error(Box::new(Fault::truncated())), end()]);
    assert_eq!(stream, fixture("chat/truncated.sse"));
    let before = stream_of(vec![Event::Error(Box::new(Fault::new(Kind::Overloaded, "busy")))]);
    assert_eq!(frames(&before).len(), 1);
    assert_eq!(frames(&before)[0]["error"]["message"], "busy");
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

#[test]
fn keep_alives_are_comments() {
    let mut encoder = chat::Encoder::new(client(Format::Chat));
    let mut out = Vec::new();
    encoder.keep_alive(&mut out);
    assert_eq!(out, b": keep-alive\n\n");
}
