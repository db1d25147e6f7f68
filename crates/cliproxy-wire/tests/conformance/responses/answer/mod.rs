//! Answers for Responses clients: streams event by event, bodies, and that both say the same.

mod item;
mod stream;

use cliproxy_wire::codec::ClientContext;
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{
    Anchor, BlockKind, CallKind, Channel, Delta, Event, Ext, Opaque, OpaqueKind, Owner, Response, Status,
    Stop, StopReason, Usage,
};
use cliproxy_wire::{Format, responses};
use serde_json::Value;

use crate::reader::responses::{check_framing, check_items};
use crate::support;

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

/// The golden streams with the id that this gateway derives for the message.
fn with_message_id(golden: &str, written: &str) -> String {
    let at = written.find("msg_").unwrap();
    golden.replace("msg_fx01", &written[at..at + 52])
}
