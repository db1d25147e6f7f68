//! Events into the chunks of a Chat stream.
//!
//! What a client's accumulator joins by text must be said once: roles, ids and names. The finish reason waits for the
//! end, because usage and grounding may come behind it.

use crate::chat::{annotation, detail, head, response, stop};
use crate::codec::{ClientContext, StreamEncoder};
use crate::fault;
use crate::format::Format;
use crate::json::{self, Object, Raw};
use crate::model::{
    Anchor, Annotation, Audio, Block, BlockKind, CallKind, CandidateMeta, Channel, Content, Delta, Event,
    Hosted, Media, Opaque, Response, Stop, StopReason, Usage,
};
use crate::sse;
use crate::usage::write_chat;

/// Writes a stream for a client of this format.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
    /// Everything of a chunk up to the entries of `choices`, the same in all.
    head: Vec<u8>,
    is_started: bool,
    is_over: bool,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Debug)]
struct Choice {
    index: u32,
    has_role: bool,
    blocks: Vec<Open>,
    /// Visible text so far, for citations.
    text: String,
    /// The latest block is text, so that more text needs no blank line.
    is_after_text: bool,
    has_reasoning: bool,
    calls: u32,
    images: u64,
    details: u32,
    has_refusal: bool,
    /// Citations with the place of their block in `text`.
    annotations: Vec<(u32, Annotation)>,
    meta: CandidateMeta,
    stop: Option<Stop>,
}

/// A block under way, or one that citations may still point to.
#[derive(Debug)]
struct Open {
    block: u32,
    kind: Kind,
    /// Something of it was written.
    is_said: bool,
    /// Where it lies in the choice's text.
    start: usize,
    end: usize,
}

#[derive(Debug)]
enum Kind {
    Text,
    Refusal,
    Reasoning(Thinking),
    Call {
        index: u32,
        kind: CallKind,
        is_written: bool,
    },
    Audio,
    /// The block as it began; its end may know more.
    Hosted(Box<Hosted>),
    Other,
}

/// Thinking and its state, which is written when the block ends.
#[derive(Debug, Default)]
struct Thinking {
    channel: Option<Channel>,
    part: u32,
    /// The text, where it cannot be found in the client's own text member.
    text: String,
    is_findable: bool,
    opaque: Vec<Opaque>,
}

impl Choice {
    fn new(index: u32) -> Self {
        Self {
            index,
            has_role: false,
            blocks: Vec::new(),
            text: String::new(),
            is_after_text: false,
            has_reasoning: false,
            calls: 0,
            images: 0,
            details: 0,
            has_refusal: false,
            annotations: Vec::new(),
            meta: CandidateMeta::default(),
            stop: None,
        }
    }

    fn open(&mut self, block: u32) -> Option<&mut Open> {
        self.blocks.iter_mut().rev().find(|open| open.block == block)
    }
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        Self {
            context,
            head: Vec::new(),
            is_started: false,
            is_over: false,
            choices: Vec::new(),
            usage: None,
        }
    }

    fn start(&mut self, response: &Response, out: &mut Vec<u8>) {
        if self.is_started {
            return;
        }
        self.is_started = true;
        self.usage.clone_from(&response.usage);
        let context = &self.context;
        json::object(&mut self.head, |object| {
            object.str("id", &head::answer_id("chatcmpl-", context, response.id.as_deref()));
            object.str("object", "chat.completion.chunk");
            object.u64("created", response.created.unwrap_or(context.created));
            object.str("model", context.model(response.model.as_deref()));
            object.opt_str("service_tier", response.service_tier.as_deref().and_then(response::tier_word));
            object.opt_str("system_fingerprint", response.system_fingerprint.as_deref());
        });
        self.head.pop();
        self.head.extend_from_slice(br#","choices":["#);
        let at = self.choice(0);
        self.role(at, out);
    }

    /// Position of the choice with this index.
    fn choice(&mut self, index: u32) -> usize {
        self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(Choice::new(index));
            self.choices.len() - 1
        })
    }

    fn role(&mut self, at: usize, out: &mut Vec<u8>) {
        let Some(choice) = self.choices.get_mut(at) else { return };
        if !std::mem::replace(&mut choice.has_role, true) {
            let index = choice.index;
            self.write(index, out, |delta| {
                delta.str("role", "assistant");
                delta.str("content", "");
                delta.null("refusal");
            });
        }
    }

    /// Writes a chunk with a delta.
    fn write(&self, index: u32, out: &mut Vec<u8>, delta: impl FnOnce(&mut Object<'_>)) {
        self.chunk(index, out, delta, |choice| {
            choice.null("logprobs");
            choice.null("finish_reason");
        });
    }

    fn chunk(
        &self,
        index: u32,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Object<'_>),
        rest: impl FnOnce(&mut Object<'_>),
    ) {
        sse::data(out, |out| {
            out.extend_from_slice(&self.head);
            json::object(out, |choice| {
                choice.u64("index", u64::from(index));
                choice.object("delta", delta);
                rest(choice);
            });
            out.extend_from_slice(if self.context.include_usage { br#"],"usage":null}"# } else { b"]}" });
        });
    }

    fn block_start(&mut self, candidate: u32, block: u32, kind: BlockKind, out: &mut Vec<u8>) {
        let at = self.choice(candidate);
        self.role(at, out);
        let is_shown = !head::reasoning_members(&self.context).is_empty();
        let is_legacy = self.context.is_legacy_functions;
        let Some(choice) = self.choices.get_mut(at) else { return };
        let start = choice.text.len();
        let kind = match kind {
            BlockKind::Text => Kind::Text,
            BlockKind::Refusal => Kind::Refusal,
            BlockKind::Reasoning { .. } => Kind::Reasoning(Thinking {
                is_findable: is_shown && !choice.has_reasoning,
                ..Thinking::default()
            }),
            BlockKind::ToolCall { call_id, name, kind, opaque, .. } => {
                let index = choice.calls;
                choice.calls += 1;
                let is_written = !is_legacy || index == 0;
                if is_written {
                    let mut signature = None;
                    if let Some(state) = &opaque {
                        signature = head::native_signature(state);
                        if signature.is_none() {
                            let state = Opaque { anchor: Anchor::ToolCall(index), ..state.clone() };
                            self.details(at, &[state], None, out);
                        }
                    }
                    self.write(candidate, out, |delta| {
                        if is_legacy {
                            delta.object("function_call", |function| {
                                function.str("name", &name);
                                function.str("arguments", "");
                            });
                            return;
                        }
                        delta.array("tool_calls", |calls| {
                            calls.object(|call| {
                                call.u64("index", u64::from(index));
                                call.str("id", &call_id);
                                write_call_start(call, kind, &name);
                                if let Some(signature) = signature {
                                    head::write_signature(call, signature);
                                }
                            });
                        });
                    });
                }
                Kind::Call { index, kind, is_written }
            }
            BlockKind::Image(image) => {
                self.image(at, &image.source, out);
                Kind::Other
            }
            BlockKind::Audio(audio) => {
                self.audio(candidate, &audio, out);
                Kind::Audio
            }
            BlockKind::Hosted(hosted) => Kind::Hosted(hosted),
            BlockKind::Document(_) | BlockKind::Native(_) => Kind::Other,
        };
        let Some(choice) = self.choices.get_mut(at) else { return };
        let is_text = matches!(kind, Kind::Text);
        choice.is_after_text &= is_text;
        choice.blocks.push(Open { block, kind, is_said: false, start, end: start });
    }

    fn delta(&mut self, candidate: u32, block: u32, delta: Delta, out: &mut Vec<u8>) {
        let at = self.choice(candidate);
        match delta {
            Delta::Text(text) => self.text(at, block, &text, out),
            Delta::Refusal(text) => {
                let Some(choice) = self.choices.get_mut(at) else { return };
                choice.has_refusal = true;
                if let Some(open) = choice.open(block) {
                    open.is_said = true;
                }
                self.write(candidate, out, |delta| delta.str("refusal", &text));
            }
            Delta::Arguments(text) => self.arguments(at, block, &text, out),
            Delta::Reasoning { channel, part, text } => {
                self.reasoning(at, block, (channel, part), &text, out);
            }
            Delta::Opaque(state) => self.opaque(at, block, state, out),
            Delta::Annotation(annotation) => {
                if let Some(choice) = self.choices.get_mut(at) {
                    choice.annotations.push((block, annotation));
                }
            }
            Delta::Logprobs(logprobs) => self.chunk(
                candidate,
                out,
                |_| {},
                |choice| {
                    choice.object("logprobs", |object| {
                        object.raw("content", logprobs.as_str());
                        object.null("refusal");
                    });
                    choice.null("finish_reason");
                },
            ),
            Delta::Media(data) => {
                self.write(candidate, out, |delta| delta.object("audio", |audio| audio.str("data", &data)));
            }
            Delta::Transcript(text) => self.write(candidate, out, |delta| {
                delta.object("audio", |audio| audio.str("transcript", &text));
            }),
            Delta::Progress { .. } => {}
        }
    }

    fn text(&mut self, at: usize, block: u32, text: &str, out: &mut Vec<u8>) {
        let Some(choice) = self.choices.get_mut(at) else { return };
        if text.is_empty() {
            return;
        }
        let needs_gap = !choice.text.is_empty() && !choice.is_after_text;
        if needs_gap {
            choice.text.push_str("\n\n");
        }
        let before = choice.text.len();
        choice.text.push_str(text);
        choice.is_after_text = true;
        let end = choice.text.len();
        if let Some(open) = choice.open(block) {
            if !open.is_said {
                open.start = before;
                open.is_said = true;
            }
            open.end = end;
        }
        let index = choice.index;
        self.write(index, out, |delta| {
            delta.key("content");
            let out = delta.buffer();
            out.push(b'"');
            if needs_gap {
                out.extend_from_slice(br"\n\n");
            }
            json::escape(out, text);
            out.push(b'"');
        });
    }

    fn reasoning(
        &mut self,
        at: usize,
        block: u32,
        (channel, part): (Channel, u32),
        text: &str,
        out: &mut Vec<u8>,
    ) {
        let members = head::reasoning_members(&self.context);
        let Some(choice) = self.choices.get_mut(at) else { return };
        let had_reasoning = choice.has_reasoning;
        let index = choice.index;
        let Some(open) = choice.open(block) else { return };
        let is_first = !open.is_said;
        let Kind::Reasoning(thinking) = &mut open.kind else { return };
        // One member, one voice: where a provider gives both, the one that comes first is kept.
        if text.is_empty() || *thinking.channel.get_or_insert(channel) != channel {
            return;
        }
        let is_new_part = !is_first && part != thinking.part;
        thinking.part = part;
        if !thinking.is_findable {
            if is_new_part {
                thinking.text.push_str("\n\n");
            }
            thinking.text.push_str(text);
        }
        open.is_said = true;
        if members.is_empty() {
            return;
        }
        choice.has_reasoning = true;
        let needs_gap = is_new_part || (is_first && had_reasoning);
        self.write(index, out, |delta| {
            for name in members {
                delta.key(name);
                let out = delta.buffer();
                out.push(b'"');
                if needs_gap {
                    out.extend_from_slice(br"\n\n");
                }
                json::escape(out, text);
                out.push(b'"');
            }
        });
    }

    fn arguments(&mut self, at: usize, block: u32, text: &str, out: &mut Vec<u8>) {
        let is_legacy = self.context.is_legacy_functions;
        let Some(choice) = self.choices.get_mut(at) else { return };
        let candidate = choice.index;
        let Some(open) = choice.open(block) else { return };
        let Kind::Call { index, kind, is_written: true } = open.kind else { return };
        open.is_said |= !text.is_empty();
        self.write(candidate, out, |delta| {
            if is_legacy {
                delta.object("function_call", |function| function.str("arguments", text));
                return;
            }
            delta.array("tool_calls", |calls| {
                calls.object(|call| {
                    call.u64("index", u64::from(index));
                    match kind {
                        CallKind::Function => {
                            call.object("function", |function| function.str("arguments", text));
                        }
                        CallKind::Custom => call.object("custom", |custom| custom.str("input", text)),
                    }
                });
            });
        });
    }

    fn opaque(&mut self, at: usize, block: u32, state: Opaque, out: &mut Vec<u8>) {
        let Some(choice) = self.choices.get_mut(at) else { return };
        let candidate = choice.index;
        let Some(open) = choice.open(block) else { return };
        match &mut open.kind {
            Kind::Reasoning(thinking) => thinking.opaque.push(state),
            Kind::Call { index, is_written: true, .. } => {
                let index = *index;
                let Some(signature) = head::native_signature(&state) else {
                    let state = Opaque { anchor: Anchor::ToolCall(index), ..state };
                    self.details(at, &[state], None, out);
                    return;
                };
                self.write(candidate, out, |delta| {
                    delta.array("tool_calls", |calls| {
                        calls.object(|call| {
                            call.u64("index", u64::from(index));
                            head::write_signature(call, signature);
                        });
                    });
                });
            }
            Kind::Text => self.details(at, &[state], None, out),
            _ => {}
        }
    }

    /// Writes state that the client only carries.
    fn details(&mut self, at: usize, states: &[Opaque], text: Option<&str>, out: &mut Vec<u8>) {
        let Some(choice) = self.choices.get_mut(at) else { return };
        let entries = Raw::array(|array| {
            for state in states {
                if detail::write(array, state, text, choice.details) {
                    choice.details += 1;
                }
            }
        });
        let index = choice.index;
        if !entries.is_empty() {
            self.write(index, out, |delta| delta.raw("reasoning_details", entries.as_str()));
        }
    }

    fn image(&mut self, at: usize, source: &Media, out: &mut Vec<u8>) {
        let Some(choice) = self.choices.get_mut(at) else { return };
        let (index, image) = (choice.index, choice.images);
        choice.images += 1;
        self.write(index, out, |delta| {
            delta.array("images", |images| {
                images.object(|object| response::write_image(object, source, image));
            });
        });
    }

    fn audio(&self, candidate: u32, audio: &Audio, out: &mut Vec<u8>) {
        self.write(candidate, out, |delta| head::write_audio(delta, audio));
    }

    fn block_stop(&mut self, candidate: u32, block: u32, full: Option<Box<Block>>, out: &mut Vec<u8>) {
        let at = self.choice(candidate);
        let Some(choice) = self.choices.get_mut(at) else { return };
        let Some(open) = choice.open(block) else { return };
        let is_said = open.is_said;
        let full = full.map(|full| full.content);
        match &mut open.kind {
            Kind::Text => self.text_stop(at, block, is_said, full, out),
            Kind::Refusal => {
                if let (false, Some(Content::Refusal(text))) = (is_said, full) {
                    self.delta(candidate, block, Delta::Refusal(text.to_string()), out);
                }
            }
            Kind::Reasoning(thinking) => {
                let thinking = std::mem::take(thinking);
                self.reasoning_stop(at, block, (thinking, is_said), full, out);
            }
            Kind::Call { kind, is_written: true, .. } => {
                let is_function = *kind == CallKind::Function;
                if !is_said {
                    let text = match full {
                        Some(Content::ToolCall(call)) => call.arguments.as_str().to_owned(),
                        _ => String::new(),
                    };
                    let is_empty = text.trim().is_empty();
                    if is_function || !is_empty {
                        self.arguments(at, block, if is_empty { "{}" } else { &text }, out);
                    }
                }
            }
            Kind::Hosted(begun) => {
                let hosted = match full {
                    Some(Content::Hosted(hosted)) => hosted,
                    _ => (**begun).clone(),
                };
                if let Some(text) = head::fenced(&hosted) {
                    self.text(at, block, &text, out);
                    if let Some(choice) = self.choices.get_mut(at) {
                        choice.is_after_text = false;
                    }
                }
            }
            Kind::Call { is_written: false, .. } | Kind::Audio | Kind::Other => {}
        }
    }

    fn text_stop(&mut self, at: usize, block: u32, is_said: bool, full: Option<Content>, out: &mut Vec<u8>) {
        let Some(Content::Text(full)) = full else { return };
        if !is_said {
            self.text(at, block, &full.text, out);
        }
        if let Some(choice) = self.choices.get_mut(at)
            && !choice.annotations.iter().any(|(known, _)| *known == block)
        {
            choice.annotations.extend(full.annotations.into_iter().map(|annotation| (block, annotation)));
        }
    }

    fn reasoning_stop(
        &mut self,
        at: usize,
        block: u32,
        (thinking, is_said): (Thinking, bool),
        full: Option<Content>,
        out: &mut Vec<u8>,
    ) {
        let Thinking { mut text, is_findable, mut opaque, .. } = thinking;
        if let Some(Content::Reasoning(full)) = full {
            if !is_said {
                let said = full.text();
                if !is_findable {
                    text.clone_from(&said);
                }
                self.reasoning(at, block, (Channel::Summary, 0), &said, out);
            }
            if opaque.is_empty() {
                opaque = full.opaque;
            }
        }
        self.details(at, &opaque, Some(text.as_str()).filter(|text| !text.is_empty()), out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.is_started {
            self.start(&Response::new(Format::Chat), out);
        }
        self.choices.sort_by_key(|choice| choice.index);
        for choice in &self.choices {
            self.finish(choice, out);
        }
        if let Some(usage) = self.usage.as_ref().filter(|_| self.context.include_usage) {
            sse::data(out, |out| {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(br#"],"usage":"#);
                json::object(out, |object| write_chat(usage, object));
                out.push(b'}');
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.is_over = true;
    }

    fn finish(&self, choice: &Choice, out: &mut Vec<u8>) {
        let default = Stop::new(if choice.calls > 0 { StopReason::ToolUse } else { StopReason::EndTurn });
        let stop = choice.stop.as_ref().unwrap_or(&default);
        let annotations = Raw::array(|array| {
            for (block, annotation) in &choice.annotations {
                let Some(open) = choice.blocks.iter().find(|open| open.block == *block) else { continue };
                let text = choice.text.get(open.start..open.end).unwrap_or_default();
                annotation::write(array, annotation, &choice.text, open.start, text);
            }
        });
        if !annotations.is_empty() {
            self.write(choice.index, out, |delta| delta.raw("annotations", annotations.as_str()));
        }
        if let Some(explanation) = head::explanation(stop).filter(|_| !choice.has_refusal) {
            self.write(choice.index, out, |delta| delta.str("refusal", explanation));
        }
        self.chunk(
            choice.index,
            out,
            |_| {},
            |object| {
                object.null("logprobs");
                object.str("finish_reason", stop::word(stop, self.context.is_legacy_functions));
                response::write_grounding(
                    object,
                    choice.meta.grounding.as_ref(),
                    choice.meta.url_context.as_ref(),
                );
            },
        );
    }

    fn meta(&mut self, candidate: u32, meta: CandidateMeta) {
        let at = self.choice(candidate);
        let Some(choice) = self.choices.get_mut(at) else { return };
        let keep = |slot: &mut Option<Raw>, value: Option<Raw>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                *slot = Some(value);
            }
        };
        keep(&mut choice.meta.grounding, meta.grounding);
        keep(&mut choice.meta.url_context, meta.url_context);
    }
}

fn write_call_start(call: &mut Object<'_>, kind: CallKind, name: &str) {
    match kind {
        CallKind::Function => {
            call.str("type", "function");
            call.object("function", |function| {
                function.str("name", name);
                function.str("arguments", "");
            });
        }
        CallKind::Custom => {
            call.str("type", "custom");
            call.object("custom", |custom| {
                custom.str("name", name);
                custom.str("input", "");
            });
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event {
            Event::Start(response) => self.start(&response, out),
            Event::BlockStart { candidate, block, kind } => self.block_start(candidate, block, kind, out),
            Event::Delta { candidate, block, delta } => self.delta(candidate, block, delta, out),
            Event::BlockStop { candidate, block, full } => self.block_stop(candidate, block, full, out),
            Event::CandidateMeta { candidate, meta } => self.meta(candidate, *meta),
            Event::CandidateStop { candidate, stop } => {
                let at = self.choice(candidate);
                self.role(at, out);
                if let Some(choice) = self.choices.get_mut(at) {
                    choice.stop = Some(stop);
                }
            }
            Event::Usage(usage) => self.usage.get_or_insert_with(Usage::default).merge(&usage),
            Event::End { .. } => self.end(out),
            Event::Error(fault) => {
                self.is_over = true;
                sse::data(out, |out| fault::write_chat_error(out, &fault));
            }
            Event::Ping if self.is_started => self.keep_alive(out),
            Event::Ping | Event::Warning(_) => {}
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(Format::Chat.sign_of_life());
    }
}
