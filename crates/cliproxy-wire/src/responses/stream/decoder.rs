//! Reading an upstream's stream.
//!
//! Items are found by `output_index`, else by id, else the last open one of the matching kind is meant: some upstreams
//! change ids between the events of an item or leave the numbers out. Nothing is believed twice and nothing once said
//! is taken back.

use crate::codec::{StreamDecoder, UpstreamContext};
use crate::fault::{self, Fault, Kind};
use crate::format::Format;
use crate::json::{Raw, Reader};
use crate::model::{
    Block, BlockKind, Channel, Content, Delta, Event, Native, Reasoning, Str, Text, ToolCall,
};
use crate::sse::Frame;

use super::super::annotation;
use super::super::answer::Answer;
use super::super::content::{self, Parts};
use super::super::hosted;
use super::super::item::{Item, Source, own};
use super::frame::Members;
use super::track::{ItemKind, Part, PartKind, Track, stop};

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
    items: Vec<Track>,
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
            items: Vec::new(),
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
        let known = self.look_up(kind, index, id);
        known.unwrap_or_else(|| {
            let mut track = Track::new(kind, index);
            track.id = id.map(Into::into);
            self.items.push(track);
            self.items.len() - 1
        })
    }

    fn look_up(&self, kind: ItemKind, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let last = |test: &dyn Fn(&Track) -> bool| self.items.iter().rposition(test);
        if index.is_some()
            && let Some(at) = last(&|track| track.index == index && track.kind == kind)
        {
            return Some(at);
        }
        if let Some(id) = id
            && let Some(at) = last(&|track| track.kind == kind && track.id.as_deref() == Some(id))
        {
            return Some(at);
        }
        if index.is_some() {
            return None;
        }
        last(&|track| track.kind == kind && !track.is_done)
    }

    fn track(&mut self, at: usize) -> &mut Track {
        #[expect(
            clippy::indexing_slicing,
            reason = "positions come from look_up and find; items never shrink"
        )]
        &mut self.items[at]
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

    fn item_added(&mut self, members: Members<'_>, out: &mut Vec<Event>) {
        let Some(mut item) = members.item.and_then(|mut item| Item::read(&mut item).ok()) else { return };
        if item.is_echo() {
            return;
        }
        let kind = ItemKind::of(item.kind().unwrap_or_default());
        // A second item under the number of a finished one is a new item.
        let known = self
            .look_up(kind, members.output_index, item.id.as_deref())
            .filter(|at| self.items.get(*at).is_some_and(|track| !track.is_done && is_same(track, &item)));
        let at = known.unwrap_or_else(|| {
            self.items.push(Track::new(kind, members.output_index));
            self.items.len() - 1
        });
        let track = self.track(at);
        track.id = item.id.as_deref().map(Into::into);
        track.call_id = item.call_id.as_deref().map(Into::into);
        match kind {
            ItemKind::Call(kind) => {
                if track.block.is_none() && item.name.is_some() && item.call_id.is_some() {
                    let start = BlockKind::ToolCall {
                        call_id: item.call_id.take().unwrap_or_default(),
                        is_id_synthetic: false,
                        item_id: item.id.take(),
                        name: item.name.take().unwrap_or_default(),
                        namespace: item.namespace.take(),
                        kind,
                        native: None,
                        caller: item.ext.take("caller").map(own),
                        opaque: None,
                    };
                    let block = self.block(start, out);
                    self.track(at).block = Some(block);
                    self.give_arguments(at, out);
                }
            }
            ItemKind::Hosted => {
                if track.block.is_none()
                    && let Content::Hosted(hosted) = item.hosted_or_native()
                {
                    let block = self.block(BlockKind::Hosted(Box::new(hosted)), out);
                    self.track(at).block = Some(block);
                }
            }
            ItemKind::Message | ItemKind::Reasoning | ItemKind::Whole => {}
        }
    }

    fn item_done(&mut self, members: Members<'_>, out: &mut Vec<Event>) {
        let Some(item) = members.item.and_then(|mut item| Item::read(&mut item).ok()) else { return };
        if item.is_echo() {
            return;
        }
        let kind = ItemKind::of(item.kind().unwrap_or_default());
        let at = self.find(kind, members.output_index, item.id.as_deref());
        self.complete(at, item, out);
    }

    /// Gives out what is missing of an item, and closes its blocks.
    fn complete(&mut self, at: usize, item: Item<'_>, out: &mut Vec<Event>) {
        let track = self.track(at);
        if track.is_done {
            return;
        }
        track.is_done = true;
        if let Some(id) = &item.id {
            track.id = Some((&**id).into());
        }
        if let Some(id) = &item.call_id {
            track.call_id = Some((&**id).into());
        }
        match track.kind {
            ItemKind::Message => self.complete_message(at, item.content, out),
            ItemKind::Reasoning => self.complete_reasoning(at, item, out),
            ItemKind::Call(_) => self.complete_call(at, item, out),
            ItemKind::Hosted => {
                let Content::Hosted(hosted) = item.hosted_or_native() else { return };
                let block = match self.track(at).block.take() {
                    Some(block) => block,
                    None => self.block(BlockKind::Hosted(Box::new(hosted.clone())), out),
                };
                let full = Some(Box::new(Block::new(Content::Hosted(hosted))));
                out.push(Event::BlockStop { candidate: 0, block, full });
            }
            ItemKind::Whole => self.complete_whole(item, out),
        }
    }

    fn complete_message(&mut self, at: usize, content: Parts, out: &mut Vec<Event>) {
        for (index, block) in content.blocks.into_iter().enumerate() {
            let index = u64::try_from(index).unwrap_or(u64::MAX);
            match block.content {
                Content::Text(text) => self.complete_part(at, index, PartKind::Text, text, out),
                Content::Refusal(refusal) => {
                    self.complete_part(at, index, PartKind::Refusal, Text::new(refusal), out);
                }
                _ => {}
            }
        }
        let mut parts = std::mem::take(&mut self.track(at).parts);
        for part in &mut parts {
            Self::close_part(part, out);
        }
        self.track(at).parts = parts;
    }

    /// Gives out what is missing of a part that is known whole, and closes it.
    fn complete_part(&mut self, at: usize, index: u64, kind: PartKind, text: Text, out: &mut Vec<Event>) {
        let part = self.track(at).part(kind, index);
        if part.is_closed {
            return;
        }
        if !part.said.complete(&text.text) {
            out.push(Event::Warning("the finished text differs from what was streamed".to_owned()));
        }
        let logprobs = text.logprobs.filter(|_| !part.has_logprobs && part.said.is_empty());
        let missing = text.annotations.into_iter().skip(part.annotations).collect::<Vec<_>>();
        self.give_part(at, kind, index, out);
        let block = self.track(at).part(kind, index).block;
        if let Some(block) = block {
            let deltas = missing.into_iter().map(Delta::Annotation).chain(logprobs.map(Delta::Logprobs));
            out.extend(deltas.map(|delta| Event::Delta { candidate: 0, block, delta }));
        }
        let mut part = std::mem::replace(self.track(at).part(kind, index), empty_part(kind, index));
        Self::close_part(&mut part, out);
        *self.track(at).part(kind, index) = part;
    }

    fn close_part(part: &mut Part, out: &mut Vec<Event>) {
        part.said.finish();
        if let (Some(block), Some(rest)) = (part.block, part.said.take()) {
            out.push(Event::Delta { candidate: 0, block, delta: part_piece(part.kind, part.index, rest) });
        }
        stop(&mut part.block, out);
        part.is_closed = true;
    }

    /// Gives out what a part has in store, opening its block if need be.
    fn give_part(&mut self, at: usize, kind: PartKind, index: u64, out: &mut Vec<Event>) {
        let track = self.track(at);
        let id = track.id.as_deref().map(Str::from);
        let reasoning = track.block;
        let part = track.part(kind, index);
        let kind = part.kind;
        let Some(text) = part.said.take() else { return };
        let open = match kind {
            PartKind::Text | PartKind::Refusal => part.block,
            PartKind::Summary | PartKind::Raw => reasoning,
        };
        let block = open.unwrap_or_else(|| {
            let start = match kind {
                PartKind::Text => BlockKind::Text,
                PartKind::Refusal => BlockKind::Refusal,
                PartKind::Summary | PartKind::Raw => BlockKind::Reasoning { id, is_redacted: false },
            };
            self.block(start, out)
        });
        let track = self.track(at);
        match kind {
            PartKind::Text | PartKind::Refusal => track.part(kind, index).block = Some(block),
            PartKind::Summary | PartKind::Raw => track.block = Some(block),
        }
        out.push(Event::Delta { candidate: 0, block, delta: part_piece(kind, index, text) });
    }

    fn part_delta(&mut self, item: ItemKind, kind: PartKind, members: Members<'_>, out: &mut Vec<Event>) {
        let Some(delta) = members.delta else { return };
        let at = self.find(item, members.output_index, members.item_id.as_deref());
        let index = members.part_index;
        let part = self.track(at).part(kind, index);
        if part.is_closed {
            return;
        }
        part.said.push(delta);
        self.give_part(at, kind, index, out);
        let logprobs = members.logprobs.filter(|list| list.len() > 2).map(Raw::new);
        let part = self.track(at).part(kind, index);
        if let (Some(logprobs), Some(block)) = (logprobs.filter(|list| !list.is_empty()), part.block) {
            part.has_logprobs = true;
            out.push(Event::Delta { candidate: 0, block, delta: Delta::Logprobs(logprobs) });
        }
    }

    /// The whole text of a part.
    fn part_said(&mut self, item: ItemKind, kind: PartKind, members: Members<'_>, out: &mut Vec<Event>) {
        let Some(full) = members.full else { return };
        let at = self.find(item, members.output_index, members.item_id.as_deref());
        let part = self.track(at).part(kind, members.part_index);
        if part.is_closed {
            return;
        }
        if !part.said.complete(&full) {
            out.push(Event::Warning("the finished text differs from what was streamed".to_owned()));
        }
        self.give_part(at, kind, members.part_index, out);
    }

    fn part_done(&mut self, members: Members<'_>, out: &mut Vec<Event>) {
        let mut parts = Parts::default();
        if let Some(mut part) = members.part
            && content::read(&mut part, &mut parts).is_err()
        {
            return;
        }
        let (kind, text) = match parts.blocks.pop().map(|block| block.content) {
            Some(Content::Text(text)) => (PartKind::Text, text),
            Some(Content::Refusal(refusal)) => (PartKind::Refusal, Text::new(refusal)),
            _ => return,
        };
        let at = self.find(ItemKind::Message, members.output_index, members.item_id.as_deref());
        self.complete_part(at, members.part_index, kind, text, out);
    }

    fn annotation(&mut self, members: Members<'_>, out: &mut Vec<Event>) {
        let entry = members.annotation.and_then(|mut entry| annotation::read(&mut entry).ok().flatten());
        let Some(entry) = entry else { return };
        let at = self.find(ItemKind::Message, members.output_index, members.item_id.as_deref());
        let part = self.track(at).part(PartKind::Text, members.part_index);
        if part.is_closed {
            return;
        }
        let open = part.block;
        let block = open.unwrap_or_else(|| self.block(BlockKind::Text, out));
        let part = self.track(at).part(PartKind::Text, members.part_index);
        part.block = Some(block);
        part.annotations += 1;
        out.push(Event::Delta { candidate: 0, block, delta: Delta::Annotation(entry) });
    }

    fn complete_reasoning(&mut self, at: usize, mut item: Item<'_>, out: &mut Vec<Event>) {
        let Some(Reasoning { id, summary, raw, opaque, is_redacted }) =
            item.reasoning(Source::Answer(&self.context))
        else {
            stop(&mut self.track(at).block, out);
            return;
        };
        for (kind, texts) in [(PartKind::Summary, summary), (PartKind::Raw, raw)] {
            for (index, text) in texts.iter().enumerate() {
                let index = u64::try_from(index).unwrap_or(u64::MAX);
                let part = self.track(at).part(kind, index);
                if !part.said.complete(text) {
                    out.push(Event::Warning(
                        "the finished reasoning differs from what was streamed".to_owned(),
                    ));
                }
                part.said.finish();
                self.give_part(at, kind, index, out);
            }
        }
        let block = match self.track(at).block.take() {
            Some(block) => block,
            None => self.block(BlockKind::Reasoning { id, is_redacted }, out),
        };
        let deltas = opaque.into_iter().map(Delta::Opaque);
        out.extend(deltas.map(|delta| Event::Delta { candidate: 0, block, delta }));
        out.push(Event::BlockStop { candidate: 0, block, full: None });
    }

    /// A piece of arguments, or all of them.
    fn arguments(&mut self, kind: ItemKind, members: Members<'_>, out: &mut Vec<Event>) {
        let at = self.find(kind, members.output_index, members.item_id.as_deref());
        let track = self.track(at);
        if track.is_done {
            return;
        }
        if let Some(delta) = members.delta {
            track.arguments.push(delta);
        }
        if let Some(full) = members.full
            && !track.arguments.complete(&full)
        {
            out.push(Event::Warning("the finished arguments differ from what was streamed".to_owned()));
        }
        self.give_arguments(at, out);
    }

    fn give_arguments(&mut self, at: usize, out: &mut Vec<Event>) {
        let track = self.track(at);
        if let Some(block) = track.block
            && let Some(text) = track.arguments.take()
        {
            out.push(Event::Delta { candidate: 0, block, delta: Delta::Arguments(text) });
        }
    }

    fn complete_call(&mut self, at: usize, mut item: Item<'_>, out: &mut Vec<Event>) {
        let Ok(Some(call)) = item.call(Source::Answer(&self.context), self.calls) else { return };
        if self.track(at).block.is_none() {
            if call.name.is_empty() {
                out.push(Event::Warning("a call without a name was left out".to_owned()));
                return;
            }
            let block = self.block(call_start(&call), out);
            self.track(at).block = Some(block);
        }
        let track = self.track(at);
        track.arguments.finish();
        if !track.arguments.complete(call.arguments.as_str()) {
            out.push(Event::Warning("the finished arguments differ from what was streamed".to_owned()));
        }
        self.give_arguments(at, out);
        stop(&mut self.track(at).block, out);
    }

    /// Items that mean something only when they are whole.
    fn complete_whole(&mut self, item: Item<'_>, out: &mut Vec<Event>) {
        let Ok(blocks) = item.into_blocks(Source::Answer(&self.context), self.calls) else { return };
        for block in blocks {
            let (start, delta) = match block.content {
                Content::ToolCall(call) => {
                    let text = call.arguments.as_str().to_owned();
                    (call_start(&call), Some(Delta::Arguments(text)))
                }
                Content::Image(image) => (BlockKind::Image(Box::new(image)), None),
                // An image that never came.
                Content::Hosted(hosted) if hosted.kind == crate::model::HostedKind::ImageGeneration => {
                    continue;
                }
                Content::Hosted(hosted) => (BlockKind::Hosted(Box::new(hosted)), None),
                Content::Native(native) => (BlockKind::Native(native), None),
                _ => continue,
            };
            let block = self.block(start, out);
            out.extend(delta.map(|delta| Event::Delta { candidate: 0, block, delta }));
            out.push(Event::BlockStop { candidate: 0, block, full: None });
        }
    }

    /// `web_search_call.searching` and its relatives.
    fn hosted_progress(&mut self, name: &str, members: &Members<'_>, out: &mut Vec<Event>) {
        let stage =
            name.split_once('.').filter(|(item, _)| hosted::item(item).is_some()).map(|(_, stage)| stage);
        let at = self.look_up(ItemKind::Hosted, members.output_index, members.item_id.as_deref());
        let block = at.and_then(|at| self.items.get(at)).and_then(|track| track.block);
        match (stage, block, members.whole.clone().to_raw()) {
            (Some(stage), Some(block), Ok(value)) => {
                let native = Native { format: Format::Responses, value };
                let delta = Delta::Progress { stage: stage.into(), native };
                out.push(Event::Delta { candidate: 0, block, delta });
            }
            _ => out.push(Event::Ping),
        }
    }

    fn finished(&mut self, name: &str, response: Option<Reader<'_>>, out: &mut Vec<Event>) {
        let mut answer =
            response.and_then(|mut response| Answer::read(&mut response).ok()).unwrap_or_default();
        // The event's own name wins: some upstreams leave `in_progress` in the object.
        if name != "completed" || answer.status.as_deref() != Some("cancelled") {
            answer.status = Some(name.to_owned().into());
        }
        if name == "failed" {
            self.fail(answer.failure(), out);
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
        let usage = answer.charged();
        let (status, stop) = answer.ending(self.calls > 0);
        out.extend(usage.map(|usage| Event::Usage(Box::new(usage))));
        out.push(Event::CandidateStop { candidate: 0, stop });
        out.push(Event::End { status, ext: answer.ext });
        self.is_ended = true;
    }

    /// Items of the final response that the stream left out or left open.
    fn remaining(&mut self, output: &mut Reader<'_>, out: &mut Vec<Event>) {
        let mut claimed = Vec::new();
        let _complete = output.array(|index, value| {
            let item = Item::read(value)?;
            if item.is_echo() {
                return Ok(());
            }
            let kind = ItemKind::of(item.kind().unwrap_or_default());
            let at = self.known(index, kind, &item, &claimed).unwrap_or(self.items.len());
            if at == self.items.len() {
                self.items.push(Track::new(kind, u64::try_from(index).ok()));
            }
            claimed.push(at);
            self.complete(at, item, out);
            Ok(())
        });
    }

    /// The item of the stream that is meant by the one at `index` of the final response.
    fn known(&self, index: usize, kind: ItemKind, item: &Item<'_>, claimed: &[usize]) -> Option<usize> {
        let find = |test: &dyn Fn(&Track) -> bool| {
            let mut tracks = self.items.iter().enumerate();
            tracks
                .find(|(at, track)| !claimed.contains(at) && track.kind == kind && test(track))
                .map(|(at, _)| at)
        };
        let index = u64::try_from(index).ok();
        find(&|track| track.id.is_some() && track.id.as_deref() == item.id.as_deref())
            .or_else(|| {
                find(&|track| track.call_id.is_some() && track.call_id.as_deref() == item.call_id.as_deref())
            })
            .or_else(|| find(&|track| track.index == index))
            // Numbers and ids may both be wrong; then the order decides, except for calls that say who they are.
            .or_else(|| find(&|track| !matches!(track.kind, ItemKind::Call(_)) || track.call_id.is_none()))
    }

    /// Closes what is open.
    fn close(&mut self, out: &mut Vec<Event>) {
        for mut track in std::mem::take(&mut self.items) {
            for part in &mut track.parts {
                if matches!(part.kind, PartKind::Text | PartKind::Refusal) && !part.is_closed {
                    Self::close_part(part, out);
                }
            }
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

/// Whether an added item is the one that is known already: upstreams repeat the event.
fn is_same(track: &Track, item: &Item<'_>) -> bool {
    match (&track.id, &item.id) {
        (Some(known), Some(id)) => **known == **id,
        _ => true,
    }
}

fn call_start(call: &ToolCall) -> BlockKind {
    BlockKind::ToolCall {
        call_id: Str::clone(&call.call_id),
        is_id_synthetic: call.is_id_synthetic,
        item_id: call.item_id.clone(),
        name: Str::clone(&call.name),
        namespace: call.namespace.clone(),
        kind: call.kind,
        native: call.native.clone(),
        caller: call.caller.clone(),
        opaque: None,
    }
}

fn part_piece(kind: PartKind, index: u64, text: String) -> Delta {
    let part = u32::try_from(index).unwrap_or(u32::MAX);
    match kind {
        PartKind::Text => Delta::Text(text),
        PartKind::Refusal => Delta::Refusal(text),
        PartKind::Summary => Delta::Reasoning { channel: Channel::Summary, part, text },
        PartKind::Raw => Delta::Reasoning { channel: Channel::Raw, part, text },
    }
}

fn empty_part(kind: PartKind, index: u64) -> Part {
    Part {
        kind,
        index,
        said: super::track::Said::default(),
        block: None,
        annotations: 0,
        has_logprobs: false,
        is_closed: true,
    }
}
