//! Answers to Claude clients, and what is read of Claude upstreams.

mod block;
mod stream;
mod upstream;

use cliproxy_wire::codec::ClientContext;
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{
    BlockKind, CallKind, Channel, Content, Delta, Event, Ext, Opaque, Response, Status, Stop, StopReason,
};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, claude};
use serde_json::Value;

use crate::reader;
use crate::support::{client, events, write};

fn start(origin: Format) -> Event {
    Event::Start(Box::new(Response { model: Some("up".into()), ..Response::new(origin) }))
}

fn begin(block: u32, kind: BlockKind) -> Event {
    Event::BlockStart { candidate: 0, block, kind }
}

fn reasoning(block: u32) -> Event {
    begin(block, BlockKind::Reasoning { id: None, is_redacted: false })
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

fn piece(block: u32, delta: Delta) -> Event {
    Event::Delta { candidate: 0, block, delta }
}

fn text(block: u32, text: &str) -> Event {
    piece(block, Delta::Text(text.into()))
}

fn thought(block: u32, text: &str) -> Event {
    piece(block, Delta::Reasoning { channel: Channel::Raw, part: 0, text: text.into() })
}

fn arguments(block: u32, text: &str) -> Event {
    piece(block, Delta::Arguments(text.into()))
}

fn end_of(block: u32) -> Event {
    Event::BlockStop { candidate: 0, block, full: None }
}

fn stop(reason: StopReason) -> [Event; 2] {
    [
        Event::CandidateStop { candidate: 0, stop: Stop::new(reason) },
        Event::End { status: Status::Completed, ext: Ext::new() },
    ]
}

/// The stream that a Claude client gets, checked for the order of its frames, and the message it makes of it, checked
/// against the body of the same answer.
fn answer(context: &ClientContext, events: Vec<Event>) -> (String, Value) {
    let mut fold = Fold::default();
    for event in &events {
        fold.event(event.clone());
    }
    let stream = write(Format::Claude, context, events);
    let message = reader::read(Format::Claude, &stream);
    let body = claude::encode_response(&fold.finish().unwrap(), context);
    let body: Value = serde_json::from_slice(&body).unwrap();
    for name in ["id", "model", "content", "stop_reason", "stop_sequence", "usage", "grounding_metadata"] {
        assert_eq!(message[name], body[name], "{name} of stream and body");
    }
    (stream, message)
}

fn shown() -> ClientContext {
    client(Format::Claude)
}

/// Reasoning, text, two interleaved calls, and text that began between them.
fn mixed() -> Vec<Event> {
    let mut all = vec![
        start(Format::Chat),
        reasoning(0),
        thought(0, "hm"),
        end_of(0),
        begin(1, BlockKind::Text),
        text(1, "Look"),
        end_of(1),
        call(2, "a", "f", None),
        call(3, "b", "g", None),
        arguments(3, "{\"y\":"),
        arguments(2, "{\"x\":"),
        begin(4, BlockKind::Text),
        text(4, "after"),
        arguments(3, "2}"),
        end_of(3),
        end_of(4),
        arguments(2, "1}"),
        end_of(2),
    ];
    all.extend(stop(StopReason::ToolUse));
    all
}

const START: &str = r#"data: {"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":2037,"output_tokens":1}}}

"#;

const END: &str = r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":15665,"output_tokens":9}}

data: {"type":"message_stop"}

"#;

/// The only block of the answer that these frames make.
fn block(frames: &[Value]) -> Content {
    let frames: String = frames.iter().map(|frame| ["data: ", &frame.to_string(), "\n\n"].concat()).collect();
    let stream = [START, &frames, END].concat();
    let mut fold = Fold::default();
    for event in events(&Profile::claude(), &stream) {
        fold.event(event);
    }
    let response = fold.finish().unwrap();
    assert_eq!(response.usage.as_ref().unwrap().input, Some(15665), "the last word counts");
    assert_eq!(response.candidates[0].blocks.len(), 1);
    response.candidates[0].blocks[0].content.clone()
}
