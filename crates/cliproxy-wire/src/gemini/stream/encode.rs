//! A client's stream: events to chunks, as server-sent events or as the elements of one JSON array.
//!
//! Clients of this format know neither comments nor event names nor an end mark; anything but `data: ` lines and blank
//! lines breaks some of them. Calls are written whole, and blocks one after the other: what belongs to a later block
//! waits until its turn.

use std::collections::{BTreeMap, VecDeque};

use super::super::answer::{
    HostedForm, call_signature, gather, hosted_part, is_object, native_signature, response_id, write_code,
    write_function,
};
use super::super::grounding::Gathered;
use super::super::request::write_media;
use super::super::{logprob, stop};
use crate::codec::{ClientContext, StreamEncoder};
use crate::fault::{self, Fault};
use crate::json::{self, Array, Object};
use crate::model::{
    Annotation, Audio, Block, BlockKind, CandidateMeta, Content, Delta, Event, Ext, Hosted, HostedPhase,
    Media, Opaque, Show, Stop, StopReason, Str, Usage,
};
use crate::{Format, opaque, sse, usage};

/// Writes a stream for a client of this format.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
    head: Head,
    usage: Option<Usage>,
    is_native: bool,
    is_over: bool,
    lines: BTreeMap<u32, Line>,
}

/// What every chunk has, and how chunks are framed.
#[derive(Debug)]
struct Head {
    id: String,
    model: String,
    is_sse: bool,
    is_enveloped: bool,
    /// Array mode: the bracket is written.
    is_open: bool,
}

/// One candidate.
#[derive(Debug, Default)]
struct Line {
    queue: VecDeque<Pending>,
    meta: CandidateMeta,
    gathered: Gathered,
    /// Thinking of another provider, on its way to the part that clients keep.
    carried: Option<String>,
    has_call: bool,
    has_content: bool,
    /// Bytes of visible text in the blocks before.
    offset: usize,
    /// Calls whose arguments are no object: the reason of the stop decides what becomes of them.
    broken: Vec<Pending>,
    stop: Option<Stop>,
}

/// A block that is being written, or waits.
#[derive(Debug)]
struct Pending {
    block: u32,
    kind: BlockKind,
    /// Text, arguments or thinking so far.
    text: String,
    /// Part of the thinking that was written last.
    part: u32,
    opaque: Option<Opaque>,
    held: Vec<Delta>,
    /// Citations wait for the text they point into.
    annotations: Vec<Annotation>,
    full: Option<Box<Block>>,
    is_stopped: bool,
}

impl Head {
    fn frame(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_sse {
            sse::data(out, write);
        } else {
            out.extend_from_slice(if std::mem::replace(&mut self.is_open, true) { b",\n" } else { b"[" });
            write(out);
        }
    }

    fn chunk(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        let (id, model, is_enveloped) =
            (std::mem::take(&mut self.id), std::mem::take(&mut self.model), self.is_enveloped);
        self.frame(out, |out| {
            let body = |object: &mut Object<'_>| {
                write(object);
                object.str("modelVersion", &model);
                object.str("responseId", &id);
            };
            json::object(out, |object| {
                if is_enveloped {
                    object.object("response", body);
                } else {
                    body(object);
                }
            });
        });
        (self.id, self.model) = (id, model);
    }

    /// A chunk with one part of a candidate.
    fn part(&mut self, out: &mut Vec<u8>, index: u32, write: impl FnOnce(&mut Object<'_>)) {
        self.parts(out, index, |parts| parts.object(write));
    }

    fn parts(&mut self, out: &mut Vec<u8>, index: u32, write: impl FnOnce(&mut Array<'_>)) {
        self.chunk(out, |object| {
            object.array("candidates", |list| {
                list.object(|candidate| {
                    candidate.object("content", |content| {
                        content.str("role", "model");
                        content.array("parts", write);
                    });
                    candidate.u64("index", u64::from(index));
                });
            });
        });
    }
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        let head = Head {
            id: String::new(),
            model: String::new(),
            is_sse: context.is_sse,
            is_enveloped: context.is_enveloped,
            is_open: false,
        };
        Self { context, head, usage: None, is_native: false, is_over: false, lines: BTreeMap::new() }
    }

    fn name(&mut self, id: Option<&str>, model: Option<&str>) {
        self.head.id = response_id(id, &self.context);
        self.context.model(model).clone_into(&mut self.head.model);
    }

    fn end(&mut self, ext: &Ext, out: &mut Vec<u8>) {
        self.is_over = true;
        if self.head.id.is_empty() {
            self.name(None, None);
        }
        self.lines.entry(0).or_default();
        let feedback = ext.get("promptFeedback").filter(|_| self.is_native);
        let is_blocked = feedback.is_some() && self.lines.values().all(|line| !line.has_content);
        let last = self.lines.keys().next_back().copied();
        for (&index, line) in &mut self.lines {
            let usage = self.usage.as_ref().filter(|_| Some(index) == last);
            let is_native = self.is_native;
            self.head.chunk(out, |object| {
                if !is_blocked {
                    object.array("candidates", |list| {
                        list.object(|candidate| line.finish(index, is_native, candidate));
                    });
                }
                object.opt_raw("promptFeedback", feedback);
                if let Some(usage) = usage {
                    object.object("usageMetadata", |object| usage::write_gemini(usage, object));
                }
            });
            if is_blocked {
                break;
            }
        }
        self.close(out);
    }

    fn error(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        self.is_over = true;
        self.head.frame(out, |out| fault::write_gemini_error(out, fault));
        self.close(out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if !self.head.is_sse {
            out.push(b']');
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        let is_shown = self.context.show != Show::Hidden;
        match event {
            Event::Start(start) => {
                self.is_native = start.origin == Format::Gemini;
                self.name(start.id.as_deref(), start.model.as_deref());
                self.usage = start.usage;
            }
            Event::BlockStart { candidate, block, kind } => {
                let line = self.lines.entry(candidate).or_default();
                line.queue.push_back(Pending::new(block, kind));
                if line.queue.len() == 1 {
                    line.begin(candidate, &mut self.head, out);
                }
            }
            Event::Delta { candidate, block, delta } => {
                let line = self.lines.entry(candidate).or_default();
                match line.queue.iter_mut().position(|pending| pending.block == block) {
                    Some(0) => line.delta(candidate, delta, is_shown, &mut self.head, out),
                    Some(at) => {
                        if let Some(pending) = line.queue.get_mut(at) {
                            pending.held.push(delta);
                        }
                    }
                    None => {}
                }
            }
            Event::BlockStop { candidate, block, full } => {
                let line = self.lines.entry(candidate).or_default();
                if let Some(pending) = line.queue.iter_mut().find(|pending| pending.block == block) {
                    pending.is_stopped = true;
                    pending.full = full;
                }
                line.advance(candidate, is_shown, &mut self.head, out);
            }
            Event::CandidateMeta { candidate, meta } => {
                let line = self.lines.entry(candidate).or_default();
                merge(&mut line.meta, *meta);
            }
            Event::CandidateStop { candidate, stop } => {
                let line = self.lines.entry(candidate).or_default();
                line.stop(candidate, stop, is_shown, &mut self.head, out);
            }
            Event::Usage(usage) => self.usage.get_or_insert_with(Usage::default).merge(&usage),
            Event::End { ext, .. } => self.end(&ext, out),
            Event::Error(fault) => self.error(&fault, out),
            Event::Ping | Event::Warning(_) => {}
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if !self.is_over {
            out.push(b'\n');
        }
    }
}

fn merge(known: &mut CandidateMeta, newer: CandidateMeta) {
    let CandidateMeta { grounding, url_context, citations, safety, ext } = newer;
    for (slot, value) in [
        (&mut known.grounding, grounding),
        (&mut known.url_context, url_context),
        (&mut known.citations, citations),
        (&mut known.safety, safety),
    ] {
        if value.is_some() {
            *slot = value;
        }
    }
    for (name, value) in ext.iter() {
        known.ext.set(name, value.clone());
    }
}

impl Pending {
    fn new(block: u32, kind: BlockKind) -> Self {
        Self {
            block,
            kind,
            text: String::new(),
            part: 0,
            opaque: None,
            held: Vec::new(),
            annotations: Vec::new(),
            full: None,
            is_stopped: false,
        }
    }
}

impl Line {
    /// What is written as soon as a block is at the head.
    fn begin(&mut self, index: u32, head: &mut Head, out: &mut Vec<u8>) {
        let Some(Pending { kind: BlockKind::Audio(audio), .. }) = self.queue.front() else { return };
        if !is_hollow(audio) {
            self.has_content = true;
            head.part(out, index, |part| write_media(part, &audio.source, "audio/wav", None));
        }
    }

    /// Writes a piece of the block at the head.
    fn delta(&mut self, index: u32, delta: Delta, is_shown: bool, head: &mut Head, out: &mut Vec<u8>) {
        let Some(pending) = self.queue.front_mut() else { return };
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                pending.text.push_str(&text);
                self.has_content = true;
                head.part(out, index, |part| part.str("text", &text));
            }
            Delta::Arguments(text) => pending.text.push_str(&text),
            Delta::Reasoning { part, text, .. } => {
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
            Delta::Opaque(opaque) => pending.opaque = Some(opaque),
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
    fn advance(&mut self, index: u32, is_shown: bool, head: &mut Head, out: &mut Vec<u8>) {
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
                self.offset += pending.text.len();
                if let Some(Block { content: Content::Text(text), .. }) = pending.full.as_deref() {
                    pending.opaque = pending.opaque.or_else(|| text.opaque.clone());
                }
                if let Some(data) = native_signature(pending.opaque.as_ref()) {
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
                let signature = native_signature(pending.opaque.as_ref().or(image.opaque.as_ref()));
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

    fn finish_thought(
        &mut self,
        index: u32,
        pending: &Pending,
        is_shown: bool,
        head: &mut Head,
        out: &mut Vec<u8>,
    ) {
        let full = match pending.full.as_deref() {
            Some(Block { content: Content::Reasoning(reasoning), .. }) => reasoning.opaque.last(),
            _ => None,
        };
        let Some(opaque) = pending.opaque.as_ref().or(full) else { return };
        let native = native_signature(Some(opaque));
        let envelope = if native.is_none() { opaque::wrap(opaque, Some(&pending.text)) } else { None };
        if let Some(signature) = native.or(envelope.as_deref()).filter(|_| is_shown) {
            self.has_content = true;
            head.part(out, index, |part| {
                part.str("text", "");
                part.bool("thought", true);
                part.str("thoughtSignature", signature);
            });
        }
        self.carried = envelope.or_else(|| self.carried.take());
    }

    fn call(&mut self, index: u32, pending: &Pending, head: &mut Head, out: &mut Vec<u8>) {
        let BlockKind::ToolCall { call_id, name, opaque, .. } = &pending.kind else { return };
        let own = pending.opaque.as_ref().or(opaque.as_ref());
        let signature = call_signature(own).or_else(|| self.carried.take());
        self.has_call = true;
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

    fn stop(&mut self, index: u32, stop: Stop, is_shown: bool, head: &mut Head, out: &mut Vec<u8>) {
        for pending in &mut self.queue {
            pending.is_stopped = true;
        }
        self.advance(index, is_shown, head, out);
        for pending in std::mem::take(&mut self.broken) {
            // Cut in the middle, a call says something else than was meant.
            if stop.reason != StopReason::MaxTokens {
                self.call(index, &pending, head, out);
            }
        }
        self.stop = Some(stop);
    }

    /// Writes the candidate of the last chunk.
    fn finish(&mut self, index: u32, is_native: bool, out: &mut Object<'_>) {
        let stop = self.stop.take().unwrap_or_else(|| Stop::new(StopReason::EndTurn));
        let is_refused = matches!(stop.reason, StopReason::ContentFilter | StopReason::Refusal);
        if self.has_content || !is_refused {
            let signature = self.carried.take().filter(|_| !self.has_call);
            empty_content(out, signature.as_deref());
        }
        out.u64("index", u64::from(index));
        out.str("finishReason", stop::encode(&stop));
        out.opt_str("finishMessage", stop.explanation.as_deref());
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
