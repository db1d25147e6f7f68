//! What is read of Claude upstreams (K.7).

use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::fault::Kind;
use cliproxy_wire::model::{Arguments, Content, Event, HostedKind, HostedPhase, OpaqueKind};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, claude};
use serde_json::{Value, json};

use super::{END, START, block, shown};
use crate::reader::claude::accumulate;
use crate::support::{events, fixture, translate, write};

fn block_start(block: impl Into<Value>) -> Value {
    let block = block.into();
    json!({"type":"content_block_start","index":0,"content_block":block})
}

fn block_delta(delta: impl Into<Value>) -> Value {
    let delta = delta.into();
    json!({"type":"content_block_delta","index":0,"delta":delta})
}

fn block_end() -> Value {
    json!({"type":"content_block_stop","index":0})
}

#[test]
fn empty_argument_fragments_are_an_empty_object() {
    let content = block(&[
        block_start(json!({"type":"tool_use","id":"t","name":"f","input":{}})),
        block_delta(json!({"type":"input_json_delta","partial_json":""})),
        block_end(),
    ]);
    let Content::ToolCall(call) = content else { panic!() };
    assert_eq!(call.arguments, Arguments::Json("{}".into()));
}

#[test]
fn redacted_thinking_is_opaque_as_a_whole() {
    let content = block(&[block_start(json!({"type":"redacted_thinking","data":"DATA"})), block_end()]);
    let Content::Reasoning(reasoning) = content else { panic!() };
    assert!(reasoning.is_redacted);
    assert_eq!((reasoning.opaque[0].kind, &*reasoning.opaque[0].data), (OpaqueKind::ClaudeRedacted, "DATA"));
}

#[test]
fn a_signature_may_come_alone_and_in_pieces() {
    let content = block(&[
        block_start(json!({"type":"thinking","thinking":"","signature":""})),
        block_delta(json!({"type":"signature_delta","signature":"AB"})),
        block_delta(json!({"type":"signature_delta","signature":"CD"})),
        block_end(),
    ]);
    let Content::Reasoning(reasoning) = content else { panic!() };
    assert!(reasoning.summary.is_empty());
    assert_eq!(&*reasoning.opaque[0].data, "ABCD");
    assert_eq!(reasoning.opaque.len(), 1);
}

#[test]
fn a_search_result_comes_whole_with_its_start() {
    let content = block(&[
        block_start(json!({"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[
            {"type":"web_search_result","url":"https://a.example","title":"A","encrypted_content":"E"}]})),
        block_end(),
    ]);
    let Content::Hosted(hosted) = content else { panic!() };
    assert_eq!((hosted.phase, hosted.kind), (HostedPhase::Result, HostedKind::WebSearch));
    assert_eq!(hosted.output.unwrap().as_str(), r#"[{"url":"https://a.example","title":"A"}]"#);
    assert!(hosted.native.value.as_str().contains("\"E\""));
}

#[test]
fn citations_before_the_text_belong_to_it() {
    let content = block(&[
        block_start(json!({"type":"text","text":""})),
        block_delta(json!({"type":"citations_delta","citation":{"type":"web_search_result_location",
            "url":"https://a.example","title":"A","cited_text":"x","encrypted_index":"I"}})),
        block_delta(json!({"type":"text_delta","text":"hi"})),
        block_end(),
    ]);
    let Content::Text(text) = content else { panic!() };
    assert_eq!((&*text.text, text.annotations.len()), ("hi", 1));
}

#[test]
fn j230_oddities_of_claude_upstreams_do_no_harm() {
    let second = json!({"type":"message_start","message":{"id":"msg_2","model":"x","usage":{}}});
    // A second start is ignored; a delta opens its block; the input of the start counts without deltas.
    let content = block(&[second.clone(), block_delta(json!({"type":"text_delta","text":"hi"})), second]);
    assert_eq!(content, Content::Text(cliproxy_wire::model::Text::new("hi")));
    let content =
        block(&[block_start(json!({"type":"tool_use","id":"","name":"f","input":{"a":1.0}})), block_end()]);
    let Content::ToolCall(call) = content else { panic!() };
    assert_eq!(call.arguments, Arguments::Json("{\"a\":1.0}".into()));
    assert!(call.is_id_synthetic && call.call_id.starts_with("call_"));
}

#[test]
fn j217_a_surrogate_pair_split_over_two_deltas_is_joined() {
    let delta = |half: &str| {
        let delta =
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"HALF"}}"#;
        [&delta.replace("HALF", half), "\n\n"].concat()
    };
    let stream = [START, &delta(r"\ud83d"), &delta(r"\ude00"), END].concat();
    let written = translate(&Profile::claude(), &stream, Format::Claude, &shown());
    assert_eq!(accumulate(&written)["content"][0]["text"], "😀");
}

#[test]
fn j225_an_end_without_a_stop_reason_is_an_error() {
    let all = events(&Profile::claude(), START);
    assert!(
        matches!(all.last(), Some(Event::Error(fault)) if fault.code.as_deref() == Some("upstream_truncated"))
    );
    let without_stop = format!("{START}{}", END.split("data: {\"type\":\"message_stop").next().unwrap());
    assert!(matches!(events(&Profile::claude(), &without_stop).last(), Some(Event::End { .. })));
}

#[test]
fn three_unreadable_frames_in_a_row_are_an_error() {
    let broken = "data: {nonsense\n\n";
    let two = format!("{START}{broken}{broken}{END}");
    assert!(matches!(events(&Profile::claude(), &two).last(), Some(Event::End { .. })));
    let three = format!("{START}{}{END}", broken.repeat(3));
    assert!(matches!(events(&Profile::claude(), &three).last(), Some(Event::Error(_))));
}

#[test]
fn errors_in_success_bodies_are_errors() {
    let context = UpstreamContext::new(&Profile::claude(), "r");
    let body =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_1"}"#;
    let fault = claude::decode_response(body.as_bytes(), &context).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (Kind::Overloaded, "busy"));
    for body in ["", "<html>", "{}", "[]", "null"] {
        assert!(claude::decode_response(body.as_bytes(), &context).is_err(), "{body}");
    }
    let stream = format!(
        "{START}event: error\ndata: {body}\n\n",
        body = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#
    );
    assert!(
        matches!(events(&Profile::claude(), &stream).last(), Some(Event::Error(fault)) if fault.kind == Kind::Overloaded)
    );
}

#[test]
fn broken_bodies_and_streams_are_refused_without_harm() {
    let context = UpstreamContext::new(&Profile::claude(), "r");
    for name in ["claude/weather.json", "claude/weather-next.json", "claude/weather.sse"] {
        let whole = fixture(name).into_bytes();
        for at in 0..whole.len() {
            for byte in [b'"', b'7', 0xFF] {
                let mut broken = whole.clone();
                broken[at] = byte;
                drop(claude::decode_response(&broken, &context));
                drop(claude::decode_request(&broken));
                if at % 7 == 0
                    && let Ok(text) = String::from_utf8(broken)
                {
                    drop(write(Format::Claude, &shown(), events(&Profile::claude(), &text)));
                }
            }
            drop(claude::decode_response(&whole[..at], &context));
            drop(claude::decode_request(&whole[..at]));
        }
    }
}
