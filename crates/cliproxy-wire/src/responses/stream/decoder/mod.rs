//! Reading an upstream's stream.
//!
//! Items are found by `output_index`, else by id, else the last open one of the matching kind is meant: some upstreams
//! change ids between the events of an item or leave the numbers out. Nothing is believed twice and nothing once said
//! is taken back.

mod item;
mod part;

use crate::codec::{StreamDecoder, UpstreamContext};
use crate::fault::{self, Fault, Kind};
use crate::format::Format;
use crate::json::Reader;
use crate::model::{BlockKind, Event};
use crate::sse::Frame;

use super::super::answer::Answer;
use super::super::item::Item;
use super::frame::Members;
use super::items::Items;
use super::track::{ItemKind, PartKind, Track, stop};

/// Unreadable frames in a row that end the stream.
const MAX_UNREADABLE: u8 = 3;

/// Reads an upstream's stream.
#[derive(Debug)]
pub struct Decoder {
    context: UpstreamContext,
    is_started: bool,
    is_ended: bool,
    unreadable: u8,
    next_block: u32,
    calls: u32,
    items: Items,
    has_unnamed_call: bool,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(context: UpstreamContext) -> Self {
        Self {
            context,
            is_started: false,
            is_ended: false,
            unreadable: 0,
            next_block: 0,
            calls: 0,
            items: Items::default(),
            has_unnamed_call: false,
        }
    }

    fn dispatch(&mut self, event: Option<&str>, mut members: Members<'_>, out: &mut Vec<Event>) {
        let kind = members.kind.take();
        let kind = kind.as_deref().or(event).unwrap_or_default();
        let Some(name) = kind.strip_prefix("response.") else {
            if kind == "error" || (members.has_error && kind.is_empty()) {
                let fault = fault::in_success(Format::Responses, &mut members.whole.clone());
                self.fail(fault.unwrap_or_else(unexplained), out);
            } else {
                out.push(Event::Ping);
            }
            return;
        };
        match name {
            "created" | "queued" | "in_progress" => {
                if !self.is_started {
                    self.start(members.response, out);
                }
            }
            "completed" | "incomplete" | "failed" | "cancelled" => {
                self.finished(name, members.response, out);
            }
            // The same over a websocket, and where somebody hands on what came over one.
            "done" => self.finished("completed", members.response, out),
            _ => {
                if !self.is_started {
                    self.start(None, out);
                }
                self.progress(name, members, out);
            }
        }
    }

    fn start(&mut self, response: Option<Reader<'_>>, out: &mut Vec<Event>) {
        self.is_started = true;
        let answer = response.and_then(|mut response| Answer::read(&mut response).ok());
        out.push(answer.unwrap_or_default().start());
    }

    fn progress(&mut self, name: &str, members: Members<'_>, out: &mut Vec<Event>) {
        match name {
            "output_item.added" => self.item_added(members, out),
            "output_item.done" => self.item_done(members, out),
            "output_text.delta" => self.part_delta(ItemKind::Message, PartKind::Text, members, out),
            "refusal.delta" => self.part_delta(ItemKind::Message, PartKind::Refusal, members, out),
            "reasoning_summary_text.delta" => {
                self.part_delta(ItemKind::Reasoning, PartKind::Summary, members, out);
            }
            "reasoning_text.delta" => self.part_delta(ItemKind::Reasoning, PartKind::Raw, members, out),
            "output_text.done" => self.part_said(ItemKind::Message, PartKind::Text, members, out),
            "refusal.done" => self.part_said(ItemKind::Message, PartKind::Refusal, members, out),
            "reasoning_summary_text.done" => {
                self.part_said(ItemKind::Reasoning, PartKind::Summary, members, out);
            }
            "reasoning_text.done" => self.part_said(ItemKind::Reasoning, PartKind::Raw, members, out),
            "content_part.done" => self.part_done(members, out),
            "output_text.annotation.added" => self.annotation(members, out),
            "function_call_arguments.delta"
            | "function_call_arguments.done"
            | "custom_tool_call_input.delta"
            | "custom_tool_call_input.done" => self.arguments(call_kind(name), members, out),
            // Everything in them comes with their text events or with the item.
            "content_part.added" | "reasoning_summary_part.added" | "reasoning_summary_part.done" => {
                out.push(Event::Ping);
            }
            _ => self.hosted_progress(name, &members, out),
        }
    }

    /// Where the item that an event is about stands in `items`; made when it is not known.
    fn find(&mut self, kind: ItemKind, index: Option<u64>, id: Option<&str>) -> usize {
        if let Some(at) = self.items.look_up(kind, index, id) {
            return at;
        }
        let at = self.items.push(kind, index);
        if let Some(id) = id {
            self.items.set_id(at, id);
        }
        at
    }

    fn track(&mut self, at: usize) -> &mut Track {
        self.items.get(at)
    }

    fn block(&mut self, kind: BlockKind, out: &mut Vec<Event>) -> u32 {
        let block = self.next_block;
        self.next_block += 1;
        if matches!(kind, BlockKind::ToolCall { .. }) {
            self.calls += 1;
        }
        out.push(Event::BlockStart { candidate: 0, block, kind });
        block
    }

    fn finished(&mut self, name: &str, response: Option<Reader<'_>>, out: &mut Vec<Event>) {
        let mut answer =
            response.and_then(|mut response| Answer::read(&mut response).ok()).unwrap_or_default();
        // The event's own name wins, as some upstreams leave `in_progress` in the object; but others call every end
        // completed, and then the object knows better.
        let is_worse = matches!(answer.status.as_deref(), Some("incomplete" | "failed" | "cancelled"));
        if name != "completed" || !is_worse {
            answer.status = Some(name.to_owned().into());
        }
        if let Some(fault) = answer.failure().or_else(|| answer.fault()) {
            self.fail(fault, out);
            return;
        }
        if !self.is_started {
            self.is_started = true;
            out.push(answer.start());
        }
        if let Some(mut output) = answer.output.take() {
            self.remaining(&mut output, out);
        }
        self.close(out);
        if self.has_unnamed_call {
            self.fail(Fault::unnamed_call(), out);
            return;
        }
        let usage = answer.charged();
        let (status, stop) = answer.ending(self.calls > 0);
        out.extend(usage.map(|usage| Event::Usage(Box::new(usage))));
        out.push(Event::CandidateStop { candidate: 0, stop });
        out.push(Event::End { status, ext: answer.ext });
        self.is_ended = true;
    }

    /// Items of the final response that the stream left out or left open.
    fn remaining(&mut self, output: &mut Reader<'_>, out: &mut Vec<Event>) {
        let mut unclaimed = self.items.unclaimed();
        let _complete = output.array(|index, value| {
            let item = Item::read(value)?;
            if item.is_echo() {
                return Ok(());
            }
            let kind = ItemKind::of(item.kind().unwrap_or_default());
            let index = u64::try_from(index).ok();
            let known = unclaimed.claim(kind, item.id.as_deref(), item.call_id.as_deref(), index);
            let at = known.unwrap_or_else(|| self.items.push(kind, index));
            self.complete(at, item, out);
            Ok(())
        });
    }

    /// Closes what is open.
    fn close(&mut self, out: &mut Vec<Event>) {
        for mut track in std::mem::take(&mut self.items) {
            for part in &mut track.parts {
                if matches!(part.kind, PartKind::Text | PartKind::Refusal) && !part.is_closed {
                    Self::close_part(part, out);
                }
            }
            let is_call = matches!(track.kind, ItemKind::Call(_)) && !track.is_done;
            self.has_unnamed_call |= is_call && track.block.is_none() && !track.arguments.is_empty();
            stop(&mut track.block, out);
        }
    }

    fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        self.close(out);
        out.push(Event::Error(Box::new(fault)));
        self.is_ended = true;
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.is_ended {
            return;
        }
        let (event, data) = match *frame {
            Frame::Comment => {
                out.push(Event::Ping);
                return;
            }
            Frame::Data { event, data } => (event, data),
        };
        // Look-alikes end with the mark of the Chat format; the end was said before it.
        if matches!(data.trim(), "[DONE]" | "") {
            return;
        }
        match Members::read(data) {
            Ok(members) => {
                self.unreadable = 0;
                self.dispatch(event, members, out);
            }
            Err(error) => {
                self.unreadable += 1;
                if self.unreadable >= MAX_UNREADABLE {
                    let message = format!("the upstream's stream cannot be read: {error}");
                    self.fail(Fault::new(Kind::BadUpstream, message), out);
                } else {
                    out.push(Event::Warning(format!("an unreadable frame was left out: {error}")));
                }
            }
        }
    }

    fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Event>) {
        if !self.is_ended {
            self.fail(broken.unwrap_or_else(Fault::truncated), out);
        }
    }
}

fn unexplained() -> Fault {
    Fault::new(Kind::BadUpstream, "the upstream reported an error without saying which")
}

/// The kind of call that an argument event is about.
fn call_kind(name: &str) -> ItemKind {
    ItemKind::Call(if name.starts_with("custom") {
        crate::model::CallKind::Custom
    } else {
        crate::model::CallKind::Function
    })
}
