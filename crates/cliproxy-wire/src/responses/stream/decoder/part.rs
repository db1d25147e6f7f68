//! What becomes of texts: pieces, whole parts, annotations, and a message that is known whole.

use crate::json::Raw;
use crate::model::{BlockKind, Channel, Content, Delta, Event, Str, Text};
use crate::responses::annotation;
use crate::responses::content::{self, Parts};
use crate::responses::stream::frame::Members;
use crate::responses::stream::track::{ItemKind, Part, PartKind};

use super::Decoder;

impl Decoder {
    pub(super) fn complete_message(&mut self, at: usize, content: Parts, out: &mut Vec<Event>) {
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

    /// Gives out what is cited in a message that is over and was not told yet.
    pub(super) fn cite(&mut self, at: usize, content: Parts, out: &mut Vec<Event>) {
        for (index, block) in content.blocks.into_iter().enumerate() {
            let index = u64::try_from(index).unwrap_or(u64::MAX);
            let Content::Text(text) = block.content else { continue };
            let mut parts = self.track(at).parts.iter_mut();
            if let Some(part) = parts.find(|part| part.index == index && part.said.is(&text.text)) {
                part.cite(text.annotations, out);
            }
        }
    }

    /// Gives out what is missing of a part that is known whole, and closes it.
    fn complete_part(&mut self, at: usize, index: u64, kind: PartKind, text: Text, out: &mut Vec<Event>) {
        let part = self.track(at).part(kind, index);
        if part.is_closed {
            // Some upstreams gather citations until the end.
            if part.said.is(&text.text) {
                part.cite(text.annotations, out);
            }
            return;
        }
        if !part.said.complete(&text.text) {
            out.push(Event::Warning("the finished text differs from what was streamed".to_owned()));
        }
        let logprobs = text.logprobs.filter(|_| !part.has_logprobs);
        self.give_part(at, kind, index, out);
        let part = self.track(at).part(kind, index);
        if let (Some(block), Some(logprobs)) = (part.block, logprobs) {
            out.push(Event::Delta { candidate: 0, block, delta: Delta::Logprobs(logprobs) });
        }
        part.cite(text.annotations, out);
        Self::close_part(part, out);
    }

    pub(super) fn close_part(part: &mut Part, out: &mut Vec<Event>) {
        if std::mem::replace(&mut part.is_closed, true) {
            return;
        }
        part.said.finish();
        if let Some(block) = part.block {
            let rest = part.said.take().map(|rest| part_piece(part.kind, part.index, rest));
            out.extend(rest.map(|delta| Event::Delta { candidate: 0, block, delta }));
            out.push(Event::BlockStop { candidate: 0, block, full: None });
        }
    }

    /// Gives out what a part has in store, opening its block if need be.
    pub(super) fn give_part(&mut self, at: usize, kind: PartKind, index: u64, out: &mut Vec<Event>) {
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

    pub(super) fn part_delta(
        &mut self,
        item: ItemKind,
        kind: PartKind,
        members: Members<'_>,
        out: &mut Vec<Event>,
    ) {
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
    pub(super) fn part_said(
        &mut self,
        item: ItemKind,
        kind: PartKind,
        members: Members<'_>,
        out: &mut Vec<Event>,
    ) {
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

    pub(super) fn part_done(&mut self, members: Members<'_>, out: &mut Vec<Event>) {
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

    pub(super) fn annotation(&mut self, members: Members<'_>, out: &mut Vec<Event>) {
        let entry = members.annotation.and_then(|mut entry| annotation::read(&mut entry).ok().flatten());
        let Some(entry) = entry else { return };
        let at = self.find(ItemKind::Message, members.output_index, members.item_id.as_deref());
        let part = self.track(at).part(PartKind::Text, members.part_index);
        if part.block.is_none() && !part.is_closed {
            let block = self.block(BlockKind::Text, out);
            self.track(at).part(PartKind::Text, members.part_index).block = Some(block);
        }
        let part = self.track(at).part(PartKind::Text, members.part_index);
        if let Some(block) = part.block {
            part.annotations += 1;
            out.push(Event::Delta { candidate: 0, block, delta: Delta::Annotation(entry) });
        }
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
