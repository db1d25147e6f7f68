//! Answers for Responses clients: streams event by event, bodies, and that both say the same.

use cliproxy_wire::codec::ClientContext;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{
    Anchor, Annotation, BlockKind, CallKind, CandidateMeta, Channel, Delta, Event, Ext, Hosted, HostedKind,
    HostedPhase, Image, IndexUnit, Media, Native, Opaque, OpaqueKind, Owner, Response, Show, Status, Stop,
    StopReason, Usage,
};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, opaque, responses};
use serde_json::{Value, json};

use crate::reader::responses::{check_framing, check_items};
use crate::support;

/// The envelope of the golden signature.
const ENVELOPE: &str =
    "R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09In0=";

fn client() -> ClientContext {
    let mut context = support::client(Format::Responses);
    context.echo.set("reasoning", Raw::new(r#"{"effort":"medium","summary":"auto"}"#));
    context
}

fn start() -> Event {
    Event::Start(Box::new(Response {
        id: Some("resp_fx01".into()),
        model: Some("m".into()),
        created: Some(1_785_500_000),
        ..Response::new(Format::Claude)
    }))
}

fn begin(block: u32, kind: BlockKind) -> Event {
    Event::BlockStart { candidate: 0, block, kind }
}

fn delta(block: u32, delta: Delta) -> Event {
    Event::Delta { candidate: 0, block, delta }
}

fn end_block(block: u32) -> Event {
    Event::BlockStop { candidate: 0, block, full: None }
}

fn text(block: u32, text: &str) -> Event {
    delta(block, Delta::Text(text.to_owned()))
}

fn arguments(block: u32, text: &str) -> Event {
    delta(block, Delta::Arguments(text.to_owned()))
}

fn call(id: &str, name: &str, kind: CallKind) -> BlockKind {
    BlockKind::ToolCall {
        call_id: id.into(),
        is_id_synthetic: false,
        item_id: None,
        name: name.into(),
        namespace: None,
        kind,
        native: None,
        caller: None,
        opaque: None,
    }
}

fn reasoning(id: Option<&str>) -> BlockKind {
    BlockKind::Reasoning { id: id.map(Into::into), is_redacted: false }
}

fn thought(block: u32, channel: Channel, part: u32, text: &str) -> Event {
    delta(block, Delta::Reasoning { channel, part, text: text.to_owned() })
}

fn state(owner: Owner, kind: OpaqueKind, data: &str) -> Opaque {
    Opaque { owner, kind, scope: None, model: None, data: data.into(), anchor: Anchor::This }
}

fn signature() -> Opaque {
    state(Owner::Anthropic, OpaqueKind::ClaudeSignature, "ErUBsignature0001==")
}

fn stop(reason: StopReason) -> Event {
    Event::CandidateStop { candidate: 0, stop: Stop::new(reason) }
}

fn usage() -> Event {
    Event::Usage(Box::new(Usage {
        input: Some(52),
        cache_read: Some(20),
        output: Some(41),
        reasoning: Some(12),
        ..Usage::default()
    }))
}

fn end(status: Status) -> Event {
    Event::End { status, ext: Ext::new() }
}

/// The events with their frame around them.
fn whole(events: Vec<Event>, reason: StopReason) -> Vec<Event> {
    let status = match reason {
        StopReason::EndTurn | StopReason::ToolUse => Status::Completed,
        _ => Status::Incomplete,
    };
    let mut all = vec![start()];
    all.extend(events);
    all.extend([stop(reason), usage(), end(status)]);
    all
}

/// The frames that a client gets, checked against every rule that holds for all streams.
fn frames_for(context: &ClientContext, events: &[Event]) -> Vec<Value> {
    let stream = support::write(Format::Responses, context, events.to_vec());
    check_framing(&stream);
    let frames = support::frames(&stream);
    check_items(&frames);
    check_body(context, events, &frames);
    frames
}

fn frames(events: Vec<Event>, reason: StopReason) -> Vec<Value> {
    frames_for(&client(), &whole(events, reason))
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

fn output(frames: &[Value]) -> &Value {
    &frames.last().unwrap()["response"]["output"]
}

/// 259: the body says what the stream's last event says, ids included.
fn check_body(context: &ClientContext, events: &[Event], frames: &[Value]) {
    if events.iter().any(|event| matches!(event, Event::Error(_))) {
        return;
    }
    let mut fold = Fold::default();
    for event in events {
        fold.event(event.clone());
    }
    let body = responses::encode_response(&fold.finish().unwrap(), context);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, frames.last().unwrap()["response"]);
}

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

/// The golden streams with the id that this gateway derives for the message.
fn with_message_id(golden: &str, written: &str) -> String {
    let at = written.find("msg_").unwrap();
    golden.replace("msg_fx01", &written[at..at + 52])
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
fn a_refusal_that_is_only_explained_becomes_a_refusal_part() {
    let explained = Stop { explanation: Some("not this".into()), ..Stop::new(StopReason::Refusal) };
    let events = [start(), Event::CandidateStop { candidate: 0, stop: explained }, end(Status::Incomplete)];
    let frames = frames_for(&client(), &events);
    assert_eq!(output(&frames)[0]["content"], json!([{"type": "refusal", "refusal": "not this"}]));
    assert_eq!(frames.last().unwrap()["response"]["incomplete_details"]["reason"], "content_filter");
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
