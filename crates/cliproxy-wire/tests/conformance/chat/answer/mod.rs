//! What Chat clients get.

mod content;
mod stream;

use cliproxy_wire::format::Format;
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{
    Anchor, Block, BlockKind, CallKind, Candidate, Delta, Event, Ext, Opaque, OpaqueKind, Owner, Response,
    Status, Stop, StopReason,
};
use cliproxy_wire::profile::Profile;
use serde_json::Value;

use super::{accumulate, as_in_a_body, body};
use crate::support::{client, fixture, translate, write};

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

fn gemini(chunks: &[Value]) -> String {
    chunks.iter().flat_map(|chunk| ["data: ".to_owned(), chunk.to_string(), "\r\n\r\n".to_owned()]).collect()
}
