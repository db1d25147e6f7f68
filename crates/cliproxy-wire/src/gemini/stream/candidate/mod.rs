//! One candidate of an upstream's answer: its parts, in order, to blocks.

mod call;
mod end;
mod found;

use std::ops::Range;

use super::super::grounding::Grounding;
use super::super::member::members;
use super::super::part::{self, Part, Words, each, media};
use super::super::request;
use super::partial::Partial;
use crate::codec::UpstreamContext;
use crate::json::{Fragment, Kind, Raw, Reader, Surrogates};
use crate::model::{
    Anchor, Annotation, BlockKind, Channel, Content, Delta, Event, HostedKind, Media, Native, Opaque,
    OpaqueKind, Owner, Str,
};
use crate::{Error, Format, id};

pub(super) use found::Found;

/// A candidate so far.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) index: u32,
    /// Blocks begun.
    blocks: u32,
    /// Calls begun.
    calls: u32,
    open: Open,
    text_channel: Surrogates,
    thought_channel: Surrogates,
    /// The visible text of all blocks: grounding counts in it.
    text: String,
    /// The texts that are over.
    said: Vec<Said>,
    /// What the answer is grounded in was told when a text was over.
    is_cited_late: bool,
    /// A call whose arguments come in pieces.
    partial: Option<Partial>,
    /// Id of the code that the next code result belongs to.
    code: Option<Str>,
    finish: Option<String>,
    finish_message: Option<String>,
    grounding: Option<Raw>,
    /// The same as read, once a text was cited by it.
    sources: Option<Grounding>,
    citations: Option<Raw>,
    has_search: bool,
    /// Something besides thinking was said.
    is_heard: bool,
    /// A call came without the name of its tool.
    is_unnamed: bool,
    /// The arguments of a call came in pieces that cannot be put together.
    is_garbled: bool,
    /// Token probabilities of the chunk at hand, until its text is said.
    logprobs: Option<Raw>,
}

/// A text that is over.
#[derive(Debug)]
struct Said {
    block: u32,
    /// Where it lies in the visible text.
    bytes: Range<usize>,
    /// What was cited in it so far.
    citations: Vec<Annotation>,
}

/// The block that is open.
#[derive(Debug, Default)]
enum Open {
    #[default]
    None,
    Text {
        block: u32,
        /// Where it begins in the visible text.
        start: usize,
        is_signed: bool,
    },
    Reasoning {
        block: u32,
    },
    Audio {
        block: u32,
        mime: Str,
    },
}

impl Candidate {
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            blocks: 0,
            calls: 0,
            open: Open::None,
            text_channel: Surrogates::default(),
            thought_channel: Surrogates::default(),
            text: String::new(),
            said: Vec::new(),
            is_cited_late: false,
            partial: None,
            code: None,
            finish: None,
            finish_message: None,
            grounding: None,
            sources: None,
            citations: None,
            has_search: false,
            is_heard: false,
            is_unnamed: false,
            is_garbled: false,
            logprobs: None,
        }
    }

    /// True once a finish reason came.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Takes what a chunk says.
    ///
    /// # Errors
    /// Parts that are none.
    pub(super) fn take(
        &mut self,
        found: Found<'_>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        if found.meta.grounding.is_some() {
            self.sources = None;
        }
        for (slot, value) in
            [(&mut self.grounding, &found.meta.grounding), (&mut self.citations, &found.meta.citations)]
        {
            if value.is_some() {
                slot.clone_from(value);
                self.is_cited_late |= !self.said.is_empty();
            }
        }
        // A regular end may be followed by the word that it was none.
        if self.finish.as_deref().is_none_or(|known| known == "STOP") {
            self.finish = found.finish.or_else(|| self.finish.take());
        }
        self.finish_message = found.finish_message.or_else(|| self.finish_message.take());
        self.logprobs = found.logprobs;
        if let Some(mut content) = found.content {
            self.content(&mut content, context, out)?;
        }
        if let (Some(list), Open::Text { block, .. }) = (self.logprobs.take(), &self.open) {
            self.delta(*block, Delta::Logprobs(list), out);
        }
        if found.has_meta {
            out.push(Event::CandidateMeta { candidate: self.index, meta: Box::new(found.meta) });
        }
        Ok(())
    }

    fn content(
        &mut self,
        reader: &mut Reader<'_>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        match reader.kind() {
            Kind::Null => reader.skip(),
            Kind::String => {
                let text = reader.fragment()?;
                self.say(text, None, context, out);
                Ok(())
            }
            _ => members(reader, |name, value| {
                if name != "parts" {
                    return Ok(());
                }
                each(value, |value| self.part(part::read(value)?, context, out))
            }),
        }
    }

    fn part(
        &mut self,
        mut part: Part<'_>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        if let Some(call) = part.call.take() {
            return self.call(&call, part.signature.as_deref(), context, out);
        }
        self.finish_partial(context, out);
        let signature = part.signature.as_deref();
        if let Some(text) = part.text.take().map(Words::piece) {
            if part.is_thought {
                self.think(text, signature, context, out);
            } else {
                self.say(text, signature, context, out);
            }
        } else if part.is_thought && part.blob.is_some() {
            // A draft, which clients of other formats would take for the answer.
            self.native(&part, out);
        } else if let Some(blob) = part.blob.take() {
            let content = media(blob, part.clip, part.resolution);
            self.media(content, signature, context, out);
        } else if part.code.is_some() || part.code_result.is_some() || part.hosted.is_some() {
            self.hosted(&part, context, out);
        } else if part.is_foreign {
            self.native(&part, out);
        } else if signature.is_some() {
            self.say(Fragment::empty(), signature, context, out);
        }
        Ok(())
    }

    fn begin(&mut self, kind: BlockKind, out: &mut Vec<Event>) -> u32 {
        let block = self.blocks;
        self.blocks += 1;
        self.is_heard |= !matches!(kind, BlockKind::Reasoning { .. });
        out.push(Event::BlockStart { candidate: self.index, block, kind });
        block
    }

    fn delta(&self, block: u32, delta: Delta, out: &mut Vec<Event>) {
        out.push(Event::Delta { candidate: self.index, block, delta });
    }

    fn whole(&mut self, kind: BlockKind, out: &mut Vec<Event>) {
        let block = self.begin(kind, out);
        out.push(Event::BlockStop { candidate: self.index, block, full: None });
    }

    fn native(&mut self, part: &Part<'_>, out: &mut Vec<Event>) {
        self.close(out);
        let native = Native { format: Format::Gemini, value: part.whole.raw() };
        self.whole(BlockKind::Native(native), out);
    }

    fn think(
        &mut self,
        text: Fragment<'_>,
        signature: Option<&str>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) {
        let text = self.thought_channel.join(text);
        let block = match self.open {
            Open::Reasoning { block } => block,
            _ if text.is_empty() && signature.is_none() => return,
            _ => {
                self.close(out);
                let block = self.begin(BlockKind::Reasoning { id: None, is_redacted: false }, out);
                self.open = Open::Reasoning { block };
                block
            }
        };
        if !text.is_empty() {
            let text = text.into_owned();
            self.delta(block, Delta::Reasoning { channel: Channel::Summary, part: 0, text }, out);
        }
        if let Some(data) = signature {
            self.delta(block, Delta::Opaque(opaque(data, Anchor::This, context)), out);
            // A signed thought is whole: what follows is another one.
            self.close(out);
        }
    }

    fn say(
        &mut self,
        text: Fragment<'_>,
        signature: Option<&str>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) {
        let text = self.text_channel.join(text);
        if text.is_empty() && signature.is_none() {
            return;
        }
        // A signed part is whole: nothing may be added to it.
        let block = if let Open::Text { block, is_signed: false, .. } = self.open {
            block
        } else {
            // The first half of a character that waits belongs to this text.
            let channel = std::mem::take(&mut self.text_channel);
            self.close(out);
            self.text_channel = channel;
            let block = self.begin(BlockKind::Text, out);
            self.open = Open::Text { block, start: self.text.len(), is_signed: false };
            block
        };
        let anchor = if text.is_empty() { Anchor::TrailingEmptyText } else { Anchor::Text };
        if !text.is_empty() {
            self.text.push_str(&text);
            self.delta(block, Delta::Text(text.into_owned()), out);
            if let Some(list) = self.logprobs.take() {
                self.delta(block, Delta::Logprobs(list), out);
            }
        }
        if let Some(data) = signature {
            self.delta(block, Delta::Opaque(opaque(data, anchor, context)), out);
            if let Open::Text { is_signed, .. } = &mut self.open {
                *is_signed = true;
            }
        }
    }

    fn media(
        &mut self,
        content: Content,
        signature: Option<&str>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) {
        let kind = match content {
            Content::Image(mut image) => {
                image.opaque = signature.map(|data| opaque(data, Anchor::This, context));
                BlockKind::Image(Box::new(image))
            }
            Content::Audio(audio) => {
                let Media::Inline { mime, base64 } = &audio.source else {
                    self.close(out);
                    return self.whole(BlockKind::Audio(Box::new(audio)), out);
                };
                if let Open::Audio { block, mime: known } = &self.open
                    && known == mime
                {
                    return self.delta(*block, Delta::Media(Str::clone(base64)), out);
                }
                self.close(out);
                let mime = Str::clone(mime);
                let block = self.begin(BlockKind::Audio(Box::new(audio)), out);
                self.open = Open::Audio { block, mime };
                return;
            }
            Content::Video(video) => BlockKind::Document(Box::new(document(video.source))),
            Content::Document(document) => BlockKind::Document(Box::new(document)),
            _ => return,
        };
        self.close(out);
        self.whole(kind, out);
    }

    fn hosted(&mut self, part: &Part<'_>, context: &UpstreamContext, out: &mut Vec<Event>) {
        self.close(out);
        let whole = part.whole.raw();
        let made = |index: u32, block: u32| -> Str {
            id::base62("tool_", 24, &[&context.request_id, &index.to_string(), &block.to_string()]).into()
        };
        let made = made(self.index, self.blocks);
        let hosted = if let Some(code) = &part.code {
            let id = code.id.as_deref().map_or(made, Str::from);
            self.code = Some(Str::clone(&id));
            request::code_call(code, id, whole)
        } else if let Some(result) = &part.code_result {
            let id = result.id.as_deref().map(Str::from).or_else(|| self.code.take()).unwrap_or(made);
            request::code_result(result, id, whole)
        } else if let Some(tool) = &part.hosted {
            request::hosted_tool(tool, tool.id.as_deref().map_or(made, Str::from), whole)
        } else {
            return;
        };
        self.has_search |= hosted.kind == HostedKind::WebSearch;
        self.whole(BlockKind::Hosted(Box::new(hosted)), out);
    }
}

fn document(source: Media) -> crate::model::Document {
    crate::model::Document { source, filename: None, title: None, context: None, citations: None }
}

fn opaque(data: &str, anchor: Anchor, context: &UpstreamContext) -> Opaque {
    // Models of other makers behind Google's door sign for this door alone.
    let kind = if context.owner == Owner::Other { OpaqueKind::Other } else { OpaqueKind::GeminiThought };
    Opaque {
        owner: context.owner,
        kind,
        scope: context.scope.clone(),
        model: None,
        data: data.into(),
        anchor,
    }
}
