//! What becomes of items: announced, filled by arguments, completed.

use crate::format::Format;
use crate::model::{Block, BlockKind, Content, Delta, Event, Native, Reasoning, Str, ToolCall};
use crate::responses::hosted;
use crate::responses::item::{Item, Source, own};
use crate::responses::stream::frame::Members;
use crate::responses::stream::track::{ItemKind, PartKind, Track, stop};

use super::Decoder;

impl Decoder {
    pub(super) fn item_added(&mut self, members: Members<'_>, out: &mut Vec<Event>) {
        let Some(mut item) = members.item.and_then(|mut item| Item::read(&mut item).ok()) else { return };
        if item.is_echo() {
            return;
        }
        let kind = ItemKind::of(item.kind().unwrap_or_default());
        // A second item under the number of a finished one is a new item.
        let known = self
            .items
            .look_up(kind, members.output_index, item.id.as_deref())
            .filter(|at| is_same(self.track(*at), &item));
        let at = known.unwrap_or_else(|| self.items.push(kind, members.output_index));
        if let Some(id) = &item.id {
            self.items.set_id(at, id);
        }
        let track = self.track(at);
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

    pub(super) fn item_done(&mut self, members: Members<'_>, out: &mut Vec<Event>) {
        let Some(item) = members.item.and_then(|mut item| Item::read(&mut item).ok()) else { return };
        if item.is_echo() {
            return;
        }
        let kind = ItemKind::of(item.kind().unwrap_or_default());
        let at = self.find(kind, members.output_index, item.id.as_deref());
        self.complete(at, item, out);
    }

    /// Gives out what is missing of an item, and closes its blocks.
    pub(super) fn complete(&mut self, at: usize, item: Item<'_>, out: &mut Vec<Event>) {
        if self.track(at).is_done {
            if self.track(at).kind == ItemKind::Message {
                self.cite(at, item.content, out);
            }
            return;
        }
        if let Some(id) = &item.id {
            self.items.set_id(at, id);
        }
        let track = self.track(at);
        track.is_done = true;
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
    pub(super) fn arguments(&mut self, kind: ItemKind, members: Members<'_>, out: &mut Vec<Event>) {
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
                self.has_unnamed_call = true;
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
    fn complete_whole(&mut self, mut item: Item<'_>, out: &mut Vec<Event>) {
        let mut blocks = Vec::new();
        if item.put(Source::Answer(&self.context), self.calls, &mut blocks).is_err() {
            return;
        }
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
    pub(super) fn hosted_progress(&mut self, name: &str, members: &Members<'_>, out: &mut Vec<Event>) {
        let stage =
            name.split_once('.').filter(|(item, _)| hosted::item(item).is_some()).map(|(_, stage)| stage);
        let at = self.items.look_up(ItemKind::Hosted, members.output_index, members.item_id.as_deref());
        let block = at.and_then(|at| self.track(at).block);
        match (stage, block, members.whole.clone().to_raw()) {
            (Some(stage), Some(block), Ok(value)) => {
                let native = Native { format: Format::Responses, value };
                let delta = Delta::Progress { stage: stage.into(), native };
                out.push(Event::Delta { candidate: 0, block, delta });
            }
            _ => out.push(Event::Ping),
        }
    }
}

/// Whether an added item is the open one that is known already: upstreams repeat the event.
fn is_same(track: &Track, item: &Item<'_>) -> bool {
    !track.is_done
        && match (&track.id, &item.id) {
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
