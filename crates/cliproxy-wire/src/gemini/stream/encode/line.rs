//! One candidate's stream: blocks become parts in order, one after another.

use crate::Format;
use crate::gemini::answer::{
    HostedForm, gather, hosted_part, is_object, native_signature, write_code, write_function,
};
use crate::gemini::carried::Carried;
use crate::gemini::grounding::Gathered;
use crate::gemini::request::write_media;
use crate::gemini::{logprob, stop};
use crate::json::{self, Object};
use crate::model::{
    Annotation, Audio, Block, BlockKind, CandidateMeta, Channel, Content, Delta, Hosted, HostedPhase, Media,
    Opaque, Stop, StopReason, Str,
};
use std::collections::VecDeque;

use super::head::Head;

/// One candidate.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) queue: VecDeque<Pending>,
    pub(super) meta: CandidateMeta,
    pub(super) gathered: Gathered,
    pub(super) carried: Carried,
    pub(super) has_content: bool,
    /// The texts that are over, for citations that come late.
    pub(super) said: Vec<Said>,
    /// Bytes of visible text in the blocks before.
    pub(super) offset: usize,
    /// Calls whose arguments are no object: the reason of the stop decides what becomes of them.
    pub(super) broken: Vec<Pending>,
    pub(super) stop: Option<Stop>,
}

impl Line {
    /// What is written as soon as a block is at the head.
    pub(super) fn begin(&mut self, index: u32, head: &mut Head, out: &mut Vec<u8>) {
        let Some(Pending { kind: BlockKind::Audio(audio), .. }) = self.queue.front() else { return };
        if !is_hollow(audio) {
            self.has_content = true;
            head.part(out, index, |part| write_media(part, &audio.source, "audio/wav", None));
        }
    }

    /// Writes a piece of the block at the head.
    pub(super) fn delta(
        &mut self,
        index: u32,
        delta: Delta,
        is_shown: bool,
        head: &mut Head,
        out: &mut Vec<u8>,
    ) {
        let Some(pending) = self.queue.front_mut() else { return };
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                pending.text.push_str(&text);
                self.has_content = true;
                head.part(out, index, |part| part.str("text", &text));
            }
            Delta::Arguments(text) => pending.text.push_str(&text),
            Delta::Reasoning { channel, part, text } => {
                if *pending.channel.get_or_insert(channel) != channel {
                    return;
                }
                let is_next = std::mem::replace(&mut pending.part, part) != part && !pending.text.is_empty();
                let separator = if is_next { "\n\n" } else { "" };
                pending.text.push_str(separator);
                pending.text.push_str(&text);
                if is_shown {
                    self.has_content = true;
                    head.part(out, index, |object| {
                        object.key("text");
                        let buffer = object.buffer();
                        buffer.push(b'"');
                        json::escape(buffer, separator);
                        json::escape(buffer, &text);
                        buffer.push(b'"');
                        object.bool("thought", true);
                    });
                }
            }
            Delta::Opaque(opaque) => pending.opaque.push(opaque),
            Delta::Annotation(annotation) => pending.annotations.push(annotation),
            Delta::Logprobs(list) => head.chunk(out, |object| {
                object.array("candidates", |candidates| {
                    candidates.object(|candidate| {
                        empty_content(candidate, None);
                        candidate.u64("index", u64::from(index));
                        logprob::encode(candidate, [&list].into_iter());
                    });
                });
            }),
            Delta::Media(base64) => {
                if let BlockKind::Audio(audio) = &pending.kind {
                    let source = Media::Inline { mime: mime_of(audio), base64 };
                    self.has_content = true;
                    head.part(out, index, |part| write_media(part, &source, "audio/wav", None));
                }
            }
            Delta::Transcript(_) | Delta::Progress { .. } => {}
        }
    }

    /// Finishes the blocks at the head that are stopped, and begins the next.
    pub(super) fn advance(&mut self, index: u32, is_shown: bool, head: &mut Head, out: &mut Vec<u8>) {
        while self.queue.front().is_some_and(|pending| pending.is_stopped) {
            let Some(pending) = self.queue.pop_front() else { return };
            self.finish_block(index, pending, is_shown, head, out);
            self.begin(index, head, out);
            let held = self.queue.front_mut().map(|next| std::mem::take(&mut next.held));
            for delta in held.into_iter().flatten() {
                self.delta(index, delta, is_shown, head, out);
            }
        }
    }

    fn finish_block(
        &mut self,
        index: u32,
        mut pending: Pending,
        is_shown: bool,
        head: &mut Head,
        out: &mut Vec<u8>,
    ) {
        match &pending.kind {
            BlockKind::Text | BlockKind::Refusal => {
                for annotation in &pending.annotations {
                    self.gathered.annotation(annotation, &pending.text, 0, self.offset);
                }
                let text = std::mem::take(&mut pending.text);
                let offset = self.offset;
                self.offset += text.len();
                self.said.push(Said { block: pending.block, offset, text });
                let full = match pending.full.as_deref() {
                    Some(Block { content: Content::Text(text), .. }) => text.opaque.as_ref(),
                    _ => None,
                };
                if let Some(data) = native_signature(pending.opaque.last().or(full)) {
                    self.has_content = true;
                    head.part(out, index, |part| {
                        part.str("text", "");
                        part.str("thoughtSignature", data);
                    });
                }
            }
            BlockKind::Reasoning { .. } => self.finish_thought(index, &pending, is_shown, head, out),
            BlockKind::ToolCall { .. } if is_object(&pending.text) => self.call(index, &pending, head, out),
            BlockKind::ToolCall { .. } => self.broken.push(pending),
            BlockKind::Hosted(hosted) => {
                let full = match pending.full.as_deref() {
                    Some(Block { content: Content::Hosted(full), .. }) => full,
                    _ => hosted,
                };
                self.hosted(index, full, head, out);
            }
            BlockKind::Image(image) => {
                let image = match pending.full.as_deref() {
                    Some(Block { content: Content::Image(full), .. }) => full,
                    _ => image,
                };
                self.has_content = true;
                let signature = native_signature(pending.opaque.last().or(image.opaque.as_ref()));
                head.part(out, index, |part| {
                    write_media(part, &image.source, "image/png", None);
                    part.opt_str("thoughtSignature", signature);
                });
            }
            BlockKind::Document(document) => {
                self.has_content = true;
                head.part(out, index, |part| write_media(part, &document.source, "application/pdf", None));
            }
            BlockKind::Native(native) if native.format == Format::Gemini => {
                self.has_content = true;
                head.parts(out, index, |parts| parts.raw(native.value.as_str()));
            }
            BlockKind::Audio(_) | BlockKind::Native(_) => {}
        }
    }

    /// Takes in a citation of a text that is over.
    pub(super) fn cite(&mut self, block: u32, citation: &Annotation) {
        if let Ok(at) = self.said.binary_search_by_key(&block, |said| said.block)
            && let Some(said) = self.said.get(at)
        {
            self.gathered.annotation(citation, &said.text, 0, said.offset);
        }
    }

    fn finish_thought(
        &mut self,
        index: u32,
        pending: &Pending,
        is_shown: bool,
        head: &mut Head,
        out: &mut Vec<u8>,
    ) {
        let states = match pending.full.as_deref() {
            Some(Block { content: Content::Reasoning(full), .. }) if pending.opaque.is_empty() => {
                &full.opaque
            }
            _ => &pending.opaque,
        };
        let mut text = Some(pending.text.as_str());
        for state in states {
            let text = text.take();
            let signature = native_signature(Some(state)).map_or_else(|| self.carried.add(state, text), Some);
            if let Some(signature) = signature.filter(|_| is_shown) {
                self.has_content = true;
                head.part(out, index, |part| {
                    part.str("text", "");
                    part.bool("thought", true);
                    part.str("thoughtSignature", signature);
                });
            }
        }
    }

    fn call(&mut self, index: u32, pending: &Pending, head: &mut Head, out: &mut Vec<u8>) {
        let BlockKind::ToolCall { call_id, name, opaque, .. } = &pending.kind else { return };
        let signature = self.carried.of_call(pending.opaque.last().or(opaque.as_ref()));
        self.has_content = true;
        head.part(out, index, |part| {
            write_function(part, call_id, name, &pending.text, signature.as_deref());
        });
    }

    fn hosted(&mut self, index: u32, hosted: &Hosted, head: &mut Head, out: &mut Vec<u8>) {
        match hosted_part(hosted) {
            HostedForm::Own => head.parts(out, index, |parts| parts.raw(hosted.native.value.as_str())),
            HostedForm::Code => {
                for half in [HostedPhase::Call, HostedPhase::Result] {
                    if hosted.phase == half || hosted.phase == HostedPhase::Both {
                        head.part(out, index, |part| write_code(part, hosted, half));
                    }
                }
            }
            HostedForm::Search => return gather(&mut self.gathered, hosted),
            HostedForm::None => return,
        }
        self.has_content = true;
    }

    pub(super) fn stop(
        &mut self,
        index: u32,
        stop: Stop,
        is_shown: bool,
        head: &mut Head,
        out: &mut Vec<u8>,
    ) {
        for pending in &mut self.queue {
            pending.is_stopped = true;
        }
        self.advance(index, is_shown, head, out);
        for pending in std::mem::take(&mut self.broken) {
            if !stop::is_out_of_room(stop.reason) {
                self.call(index, &pending, head, out);
            }
        }
        self.stop = Some(stop);
    }

    /// Writes the candidate of the last chunk.
    pub(super) fn finish(&mut self, index: u32, is_native: bool, out: &mut Object<'_>) {
        let stop = self.stop.take().unwrap_or_else(|| Stop::new(StopReason::EndTurn));
        let is_refused = matches!(stop.reason, StopReason::ContentFilter | StopReason::Refusal);
        let signature = self.carried.take();
        if self.has_content || !is_refused || signature.is_some() {
            empty_content(out, signature.as_deref());
        }
        out.u64("index", u64::from(index));
        out.str("finishReason", stop::encode(&stop));
        out.opt_str("finishMessage", stop.explanation.as_ref());
        match &self.meta.grounding {
            Some(grounding) => out.raw("groundingMetadata", grounding.as_str()),
            None if !self.gathered.is_empty() => self.gathered.write(out),
            None => {}
        }
        out.opt_raw("urlContextMetadata", self.meta.url_context.as_ref());
        out.opt_raw("citationMetadata", self.meta.citations.as_ref());
        out.opt_raw("safetyRatings", self.meta.safety.as_ref());
        if is_native {
            self.meta.ext.write(out);
        }
    }
}

/// A text that is over.
#[derive(Debug)]
pub(super) struct Said {
    block: u32,
    /// Where it begins in the visible text, in bytes.
    offset: usize,
    text: String,
}

/// A block that is being written, or waits.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) block: u32,
    pub(super) kind: BlockKind,
    /// Text, arguments or thinking so far.
    pub(super) text: String,
    /// The channel of the thinking that is written; a second one says the same at greater length.
    pub(super) channel: Option<Channel>,
    /// Part of the thinking that was written last.
    pub(super) part: u32,
    pub(super) opaque: Vec<Opaque>,
    pub(super) held: Vec<Delta>,
    /// Citations wait for the text they point into.
    pub(super) annotations: Vec<Annotation>,
    pub(super) full: Option<Box<Block>>,
    pub(super) is_stopped: bool,
}

impl Pending {
    pub(super) fn new(block: u32, kind: BlockKind) -> Self {
        Self {
            block,
            kind,
            text: String::new(),
            channel: None,
            part: 0,
            opaque: Vec::new(),
            held: Vec::new(),
            annotations: Vec::new(),
            full: None,
            is_stopped: false,
        }
    }
}

fn empty_content(candidate: &mut Object<'_>, signature: Option<&str>) {
    candidate.object("content", |content| {
        content.str("role", "model");
        content.array("parts", |parts| {
            parts.object(|part| {
                part.str("text", "");
                part.opt_str("thoughtSignature", signature);
            });
        });
    });
}

fn is_hollow(audio: &Audio) -> bool {
    matches!(&audio.source, Media::Inline { base64, .. } if base64.is_empty())
}

fn mime_of(audio: &Audio) -> Str {
    match &audio.source {
        Media::Inline { mime, .. } => Str::clone(mime),
        _ => "audio/wav".into(),
    }
}
