//! Upstream streams, read at every chunking.

use cliproxy_wire::Format;
use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::format;
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{BlockKind, Content, Delta, Event, Response, Status, StopReason};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::sse;

pub(crate) fn context() -> UpstreamContext {
    UpstreamContext::new(&Profile::openai_responses(), "req_fx")
}

/// The events of a stream whose bytes arrive in pieces of `size`.
pub(crate) fn events_at(stream: &[u8], size: usize, broken: Option<Fault>) -> Vec<Event> {
    let mut frames = sse::Decoder::new(usize::MAX);
    let mut decoder = format::stream_decoder(Format::Responses, context());
    let mut events = Vec::new();
    for piece in stream.chunks(size.max(1)) {
        frames.push(piece, &mut |frame| decoder.frame(&frame, &mut events)).unwrap();
    }
    frames.finish(&mut |frame| decoder.frame(&frame, &mut events)).unwrap();
    decoder.finish(broken, &mut events);
    check_contract(&events);
    events
}

/// The events of a stream, checked to be the same whole, byte by byte and in odd pieces.
pub(crate) fn events(stream: &str) -> Vec<Event> {
    let whole = events_at(stream.as_bytes(), usize::MAX, None);
    for size in [1, 7, 64] {
        assert_eq!(events_at(stream.as_bytes(), size, None), whole, "in pieces of {size}");
    }
    whole
}

/// A stream out of the data of its frames.
pub(crate) fn stream(frames: &[&str]) -> String {
    let mut text = String::new();
    for frame in frames {
        text.push_str("data: ");
        text.push_str(frame);
        text.push_str("\n\n");
    }
    text
}

pub(crate) fn folded(events: Vec<Event>) -> Response {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event);
    }
    fold.finish().unwrap()
}

/// What every decoder owes its encoders.
fn check_contract(events: &[Event]) {
    let mut open = std::collections::BTreeSet::new();
    let mut next = 0;
    let mut is_stopped = false;
    for (at, event) in events.iter().enumerate() {
        let is_last = events[at + 1..].iter().all(|event| matches!(event, Event::Ping | Event::Warning(_)));
        match event {
            Event::Start(_) => {
                assert!(events[..at].iter().all(|event| matches!(event, Event::Ping | Event::Warning(_))));
            }
            Event::BlockStart { block, kind, .. } => {
                assert_eq!(*block, next, "blocks count up");
                next += 1;
                open.insert(*block);
                if let BlockKind::ToolCall { name, call_id, .. } = kind {
                    assert!(!name.is_empty() && !call_id.is_empty());
                }
            }
            Event::Delta { block, delta, .. } => {
                assert!(open.contains(block), "a delta of a block that is not open");
                if let Delta::Text(text) | Delta::Arguments(text) = delta {
                    assert!(!text.is_empty());
                }
            }
            Event::BlockStop { block, .. } => assert!(open.remove(block), "a block is stopped once"),
            Event::CandidateStop { .. } => {
                assert!(open.is_empty() && !std::mem::replace(&mut is_stopped, true));
            }
            Event::End { .. } => assert!(is_last && is_stopped),
            Event::Error(_) => assert!(is_last && open.is_empty()),
            _ => {}
        }
    }
    assert!(matches!(
        events.iter().rfind(|event| !matches!(event, Event::Ping | Event::Warning(_))),
        Some(Event::End { .. } | Event::Error(_))
    ));
}

fn texts(response: &Response) -> Vec<String> {
    let blocks = response.candidates.iter().flat_map(|candidate| &candidate.blocks);
    blocks
        .map(|block| match &block.content {
            Content::Text(text) => format!("text {}", text.text),
            Content::Refusal(text) => format!("refusal {text}"),
            Content::Reasoning(reasoning) => format!(
                "reasoning {:?} {:?} {:?}",
                reasoning.summary,
                reasoning.raw,
                reasoning.opaque.iter().map(|state| &*state.data).collect::<Vec<_>>()
            ),
            Content::ToolCall(call) => {
                format!("call {} {} {}", call.call_id, call.name, call.arguments.as_str())
            }
            other => format!("{other:?}"),
        })
        .collect()
}

const CREATED: &str =
    r#"{"type":"response.created","response":{"id":"resp_1","model":"m","created_at":5,"output":[]}}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[],"usage":{"input_tokens":3,"output_tokens":2}}}"#;

fn said(frames: &[&str]) -> Vec<String> {
    let mut all = vec![CREATED];
    all.extend(frames);
    all.push(COMPLETED);
    texts(&folded(events(&stream(&all))))
}

const CALL: &str = r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":""}}"#;

#[test]
fn j191_arguments_that_come_only_in_done_are_delivered() {
    let frames = [
        CALL,
        r#"{"type":"response.function_call_arguments.done","item_id":"fc_1","output_index":0,"arguments":"{\"a\":1}"}"#,
    ];
    assert_eq!(said(&frames), [r#"call c f {"a":1}"#]);
}

#[test]
fn j192_arguments_that_come_as_deltas_and_whole_are_delivered_once() {
    let delta = |text: &str| {
        format!(r#"{{"type":"response.function_call_arguments.delta","output_index":0,"delta":{text:?}}}"#)
    };
    let frames = [
        CALL,
        &delta("{\"a\""),
        &delta(":1}"),
        r#"{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{\"a\":1}"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{\"a\":1}"}}"#,
    ];
    assert_eq!(said(&frames), [r#"call c f {"a":1}"#]);
}

#[test]
fn arguments_that_contradict_the_deltas_do_not_replace_them() {
    let frames = [
        CREATED,
        CALL,
        r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"a\":1}"}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{\"a\": 1}"}"#,
        COMPLETED,
    ];
    let events = events(&stream(&frames));
    assert!(events.iter().any(|event| matches!(event, Event::Warning(_))));
    assert_eq!(texts(&folded(events)), [r#"call c f {"a":1}"#]);
}

#[test]
fn j231_changed_ids_missing_numbers_and_an_empty_output_lose_nothing() {
    let frames = [
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"x1","role":"assistant","content":[]}}"#,
        r#"{"type":"response.output_text.delta","item_id":"x2","output_index":0,"content_index":0,"delta":"Hel"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"x3","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}}"#,
        r#"{"type":"response.output_item.added","item":{"type":"function_call","id":"a","call_id":"c","name":"f"}}"#,
        r#"{"type":"response.function_call_arguments.delta","item_id":"b","delta":"{}"}"#,
        r#"{"type":"response.output_item.done","item":{"type":"function_call","id":"d","call_id":"c","name":"f","arguments":"{}"}}"#,
    ];
    assert_eq!(said(&frames), ["text Hello", "call c f {}"]);
}

#[test]
fn items_under_one_number_are_told_apart_once_the_first_is_done() {
    let item = |kind: &str, id: &str| {
        format!(
            r#"{{"type":"response.output_item.{kind}","output_index":0,"item":{{"type":"function_call","id":"{id}","call_id":"{id}","name":"f","arguments":"{{}}"}}}}"#
        )
    };
    let frames = [item("added", "a"), item("done", "a"), item("added", "b"), item("done", "b")];
    assert_eq!(said(&frames.each_ref().map(String::as_str)), ["call a f {}", "call b f {}"]);
}

#[test]
fn an_error_event_ends_the_stream_and_the_failed_response_behind_it_says_nothing_new() {
    let frames = [
        CREATED,
        CALL,
        r#"{"type":"error","error":{"type":"invalid_request_error","code":"c","message":"m","param":null}}"#,
        r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"other"}}}"#,
    ];
    let events = events(&stream(&frames));
    let errors: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Error(fault) => Some((fault.kind, &*fault.message)),
            _ => None,
        })
        .collect();
    assert_eq!(errors, [(Kind::InvalidRequest, "m")]);
    let flat =
        [CREATED, r#"{"type":"error","code":"context_length_exceeded","message":"too long","param":null}"#];
    let Some(Event::Error(fault)) = super::upstream::events(&stream(&flat)).pop() else { panic!("an error") };
    assert_eq!(fault.kind, Kind::ContextLength);
}

#[test]
fn only_the_finished_items_encrypted_content_counts() {
    let frames = [
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"short"}}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"long"}}"#,
    ];
    assert_eq!(said(&frames), [r#"reasoning [] [] ["long"]"#]);
}

#[test]
fn summary_parts_are_one_block_whether_streamed_or_only_said_at_the_end() {
    let delta = |part: u8, text: &str| {
        format!(
            r#"{{"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":{part},"delta":"{text}"}}"#
        )
    };
    let done = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"one"},{"type":"summary_text","text":"two"}]}}"#;
    let expected = [r#"reasoning ["one", "two"] [] []"#];
    assert_eq!(said(&[&delta(0, "on"), &delta(0, "e"), &delta(1, "two"), done]), expected);
    let told = r#"{"type":"response.reasoning_summary_text.done","item_id":"rs_1","output_index":0,"summary_index":0,"text":"one"}"#;
    assert_eq!(said(&[told, done]), expected);
    assert_eq!(said(&[done]), expected);
}

#[test]
fn items_that_only_the_last_event_has_are_delivered() {
    let last = r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"},{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"hi"}]},{"type":"custom_tool_call","id":"ctc_1","call_id":"c","name":"p","input":"raw"}]}}"#;
    let response = folded(events(&stream(&[CREATED, last])));
    assert_eq!(texts(&response), [r#"reasoning [] [] ["e"]"#, "text hi", "call c p raw"]);
    assert_eq!(response.candidates[0].stop.reason, StopReason::ToolUse);
}

#[test]
fn an_end_that_is_called_completed_is_what_the_response_says() {
    let delta = r#"{"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"half"}"#;
    let end = |members: &str| {
        let last =
            format!(r#"{{"type":"response.completed","response":{{"id":"resp_1","output":[],{members}}}}}"#);
        folded(events(&stream(&[CREATED, delta, &last])))
    };
    let cut = end(r#""status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}"#);
    assert_eq!((cut.status, cut.candidates[0].stop.reason), (Status::Incomplete, StopReason::MaxTokens));
    for members in [
        r#""status":"failed","error":{"code":"server_error","message":"boom"}"#,
        r#""error":{"code":"server_error","message":"boom"}"#,
        r#""status":"cancelled""#,
    ] {
        assert!(matches!(end(members).status, Status::Failed(_)), "{members}");
    }
    assert_eq!(end(r#""status":"in_progress","error":null"#).status, Status::Completed);
}

#[test]
fn the_last_event_of_a_websocket_ends_a_stream_too() {
    let last = COMPLETED.replace("response.completed", "response.done");
    let response = folded(events(&stream(&[CREATED, &last])));
    assert_eq!((response.status, response.usage.unwrap().output), (Status::Completed, Some(2)));
}

#[test]
fn j217_a_surrogate_pair_split_over_two_deltas_is_one_character() {
    let delta = |text: &str| {
        format!(
            r#"{{"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"{text}"}}"#
        )
    };
    assert_eq!(said(&[&delta("\\ud83d"), &delta("\\ude00!")]), ["text 😀!"]);
}

#[test]
fn j225_a_stream_without_its_last_event_is_an_error() {
    let frames =
        [CREATED, r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi"}"#];
    let events = events(&stream(&frames));
    let Some(Event::Error(fault)) = events.last() else { panic!("an error") };
    assert_eq!(fault.code.as_deref(), Some("upstream_truncated"));
    assert!(matches!(events[events.len() - 2], Event::BlockStop { .. }));
    let timeout = Fault::new(Kind::Timeout, "idle");
    let broken = events_at(stream(&frames).as_bytes(), 9, Some(timeout.clone()));
    assert_eq!(broken.last(), Some(&Event::Error(Box::new(timeout))));
}

#[test]
fn j220_comments_and_unknown_events_are_signs_of_life() {
    let text = format!(
        ": hi\n\n{}",
        stream(&[
            CREATED,
            r#"{"type":"keepalive"}"#,
            r#"{"type":"codex.rate_limits","plan_type":"x"}"#,
            r#"{"type":"response.brand_new","item":{}}"#,
            COMPLETED,
            "[DONE]"
        ])
    );
    let events = events(&text);
    assert_eq!(events.iter().filter(|event| **event == Event::Ping).count(), 4);
    assert!(matches!(events.last(), Some(Event::End { status: Status::Completed, .. })));
}

#[test]
fn one_unreadable_frame_is_left_out_three_in_a_row_are_an_error() {
    assert_eq!(
        said(&[
            "{broken",
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"x"}"#
        ]),
        ["text x"]
    );
    let events = events(&stream(&[CREATED, "{1", "{2", "{3", COMPLETED]));
    assert!(matches!(events.last(), Some(Event::Error(fault)) if fault.kind == Kind::BadUpstream));
}

#[test]
fn a_stopped_response_says_why() {
    let last = r#"{"type":"response.incomplete","response":{"id":"resp_1","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}}"#;
    let response = folded(events(&stream(&[CREATED, last])));
    assert_eq!(response.status, Status::Incomplete);
    assert_eq!(response.candidates[0].stop.reason, StopReason::MaxTokens);
}

#[test]
fn typed_calls_and_hosted_tools_are_told_apart() {
    let frames = [
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"web_search_call","id":"ws_1","status":"in_progress"}}"#,
        r#"{"type":"response.web_search_call.searching","output_index":0,"item_id":"ws_1"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q"}}}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"local_shell_call","id":"lsh_1","call_id":"c","status":"completed","action":{"type":"exec","command":["ls"],"env":{}}}}"#,
    ];
    let mut all = vec![CREATED];
    all.extend(frames);
    all.push(COMPLETED);
    let events = events(&stream(&all));
    assert!(events.iter().any(|event| matches!(event, Event::Delta { delta: Delta::Progress { stage, .. }, .. } if &**stage == "searching")));
    let response = folded(events);
    let blocks = &response.candidates[0].blocks;
    let Content::Hosted(hosted) = &blocks[0].content else { panic!("a search") };
    assert_eq!(hosted.input.as_ref().unwrap().as_str(), r#"{"query":"q"}"#);
    let Content::ToolCall(call) = &blocks[1].content else { panic!("a call") };
    assert_eq!((&*call.name, call.arguments.as_str()), ("local_shell", r#"{"command":["ls"],"env":{}}"#));
    assert_eq!(response.candidates[0].stop.reason, StopReason::ToolUse);
}

#[test]
fn nothing_in_a_frame_makes_the_decoder_panic() {
    let pieces = [
        r#"{"type":"response.output_item.added"}"#,
        r#"{"type":"response.output_item.done","item":{}}"#,
        r#"{"type":"response.output_item.done","item":{"type":"function_call"}}"#,
        r#"{"type":"response.output_text.delta"}"#,
        r#"{"type":"response.output_text.delta","delta":"x","output_index":-1,"content_index":18446744073709551615}"#,
        r#"{"type":"response.reasoning_summary_text.delta","delta":"x","summary_index":4294967296}"#,
        r#"{"type":"response.content_part.done","part":{"type":"output_text","text":null}}"#,
        r#"{"type":"response.output_text.annotation.added","annotation":{"type":"url_citation"}}"#,
        r#"{"type":"response.function_call_arguments.done","arguments":"{}"}"#,
        "null",
        "7",
        "\"x\"",
        "[]",
        "{}",
    ];
    for piece in pieces {
        events(&stream(&[piece, CREATED, piece, COMPLETED, piece]));
    }
}

/// A stream of `count` calls that are all open at once, told apart by the numbers or the ids of their events.
fn parallel(count: usize, is_numbered: bool, is_named: bool) -> String {
    let mut frames = vec![CREATED.to_owned()];
    let item = |at: usize, arguments: &str| {
        let id = if is_named { format!(r#""id":"fc_{at}","#) } else { String::new() };
        format!(
            r#"{{"type":"function_call",{id}"call_id":"c{at}","name":"f{at}","arguments":"{arguments}"}}"#
        )
    };
    let number = |at: usize| if is_numbered { format!(r#","output_index":{at}"#) } else { String::new() };
    let id = |at: usize| if is_named { format!(r#","item_id":"fc_{at}""#) } else { String::new() };
    for at in 0..count {
        let (number, item) = (number(at), item(at, ""));
        frames.push(format!(r#"{{"type":"response.output_item.added"{number},"item":{item}}}"#));
    }
    for piece in ["[", "7"] {
        for at in 0..count {
            let names = number(at) + &id(at);
            frames.push(format!(
                r#"{{"type":"response.function_call_arguments.delta"{names},"delta":"{piece}"}}"#
            ));
        }
    }
    // Half of them end in an event of their own, the others with the response.
    for at in (0..count).step_by(2) {
        let (number, item) = (number(at), item(at, "[7]"));
        frames.push(format!(r#"{{"type":"response.output_item.done"{number},"item":{item}}}"#));
    }
    let output = (0..count).map(|at| item(at, "[7]")).collect::<Vec<_>>().join(",");
    let response = format!(r#"{{"id":"resp_1","status":"completed","output":[{output}]}}"#);
    frames.push(format!(r#"{{"type":"response.completed","response":{response}}}"#));
    stream(&frames.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn calls_at_once_under_one_number_are_told_apart_by_their_ids() {
    let mut frames = Vec::new();
    for at in 1..3 {
        frames.push(format!(
            r#"{{"type":"response.output_item.added","output_index":0,"item":{{"type":"function_call","id":"fc_{at}","call_id":"c{at}","name":"f","arguments":""}}}}"#
        ));
    }
    for piece in ["[", "7]"] {
        for at in 1..3 {
            frames.push(format!(
                r#"{{"type":"response.function_call_arguments.delta","output_index":0,"item_id":"fc_{at}","delta":"{piece}"}}"#
            ));
        }
    }
    let frames: Vec<&str> = [CREATED].into_iter().chain(frames.iter().map(String::as_str)).collect();
    let response = folded(events(&stream(&[frames, vec![COMPLETED]].concat())));
    assert_eq!(texts(&response), ["call c1 f [7]", "call c2 f [7]"]);
}

#[test]
fn any_number_of_calls_at_once_are_kept_apart() {
    // With a search among those before, the large ones would not end.
    const MANY: usize = 20_000;
    for count in [1, 3, MANY] {
        for (is_numbered, is_named) in [(true, true), (true, false), (false, true)] {
            let bytes = parallel(count, is_numbered, is_named);
            let events = events_at(bytes.as_bytes(), usize::MAX, None);
            let wanted = (0..count).map(|at| format!("call c{at} f{at} [7]")).collect::<Vec<_>>();
            assert_eq!(texts(&folded(events)), wanted, "{count} {is_numbered} {is_named}");
        }
    }
}
