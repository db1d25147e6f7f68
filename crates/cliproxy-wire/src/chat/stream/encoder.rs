//! Events into the chunks of a Chat stream.
//!
//! Clients join chunks by simple rules (strings are concatenated, list entries merged by `index`), so everything that
//! is not text is said exactly once: the role, a call's id and name, each citation. The finish chunk waits for the end
//! of the upstream because usage and grounding come after it.

use std::collections::BTreeMap;

use crate::chat::{annotation, detail, media, stop};
use crate::codec::{ClientContext, ReasoningField};
use crate::fault::{self, Fault};
use crate::id;
use crate::json::{self, Object, Raw};
use crate::model::{
    Annotation, Audio, BlockKind, CallKind, CandidateMeta, Content, Delta, Event, Media, Opaque, OpaqueKind,
    Response, Show, Stop, StopReason, Str, Usage,
};
use crate::{sse, usage};

/// The state behind the public encoder.
#[derive(Debug)]
pub(in crate::chat) struct Encoder {
    context: ClientContext,
    id: String,
    model: Str,
    created: u64,
    service_tier: Option<Str>,
    fingerprint: Option<Str>,
    is_started: bool,
    is_over: bool,
    usage: Usage,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    has_role: bool,
    text: String,
    /// Ordinal of the block, with what it is and how much was said of it.
    blocks: Vec<(u32, State)>,
    calls: u32,
    details: u32,
    images: u32,
    has_reasoning: bool,
    separates_text: bool,
    annotations: Vec<(Annotation, usize, usize)>,
    meta: CandidateMeta,
    stop: Option<Stop>,
}

#[derive(Debug)]
enum State {
    Text { start: usize },
    Refusal,
    Reasoning { has_text: bool, part: u32, held: Vec<Opaque>, text: String },
    Call { index: u32, has_arguments: bool, is_custom: bool, is_shown: bool },
    Other,
}

impl Encoder {
    pub(in crate::chat) fn new(context: ClientContext) -> Self {
        Self {
            id: String::new(),
            model: Str::clone(&context.requested_model),
            created: context.created,
            service_tier: None,
            fingerprint: None,
            is_started: false,
            is_over: false,
            usage: Usage::default(),
            choices: BTreeMap::new(),
            context,
        }
    }

    pub(in crate::chat) fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event {
            Event::Start(start) => self.start(&start, out),
            Event::BlockStart { candidate, block, kind } => self.block_start(candidate, block, kind, out),
            Event::Delta { candidate, block, delta } => self.delta(candidate, block, delta, out),
            Event::BlockStop { candidate, block, full } => {
                if let Some(Content::Text(text)) = full.map(|full| full.content) {
                    self.late_annotations(candidate, block, text.annotations);
                }
                self.block_stop(candidate, block, out);
            }
            Event::CandidateMeta { candidate, meta } => self.meta(candidate, *meta),
            Event::CandidateStop { candidate, stop } => self.choice(candidate).stop = Some(stop),
            Event::Usage(usage) => self.usage.merge(&usage),
            Event::Ping => self.keep_alive(out),
            Event::Warning(_) => {}
            Event::End { .. } => self.end(out),
            Event::Error(fault) => self.fail(&fault, out),
        }
    }

    pub(in crate::chat) fn keep_alive(&self, out: &mut Vec<u8>) {
        if !self.is_over {
            out.extend_from_slice(b": keep-alive\n\n");
        }
    }

    fn start(&mut self, start: &Response, out: &mut Vec<u8>) {
        self.is_started = true;
        self.id = completion_id(&self.context, start.id.as_deref());
        self.model = self.context.model(start.model.as_deref()).into();
        self.created = start.created.unwrap_or(self.context.created);
        self.service_tier.clone_from(&start.service_tier);
        self.fingerprint.clone_from(&start.system_fingerprint);
        if let Some(usage) = &start.usage {
            self.usage.merge(usage);
        }
        self.role(0, out);
    }

    fn choice(&mut self, candidate: u32) -> &mut Choice {
        self.choices.entry(candidate).or_insert_with(|| Choice { index: candidate, ..Choice::default() })
    }

    /// One chunk with a delta for a choice.
    fn chunk(&self, candidate: u32, out: &mut Vec<u8>, delta: impl FnOnce(&mut Object<'_>)) {
        sse::data(out, |out| {
            json::object(out, |chunk| {
                self.head(chunk);
                chunk.array("choices", |choices| {
                    choices.object(|choice| {
                        choice.u64("index", u64::from(candidate));
                        choice.object("delta", delta);
                        choice.null("logprobs");
                        choice.null("finish_reason");
                    });
                });
                if self.context.include_usage {
                    chunk.null("usage");
                }
            });
        });
    }

    fn head(&self, chunk: &mut Object<'_>) {
        chunk.str("id", &self.id);
        chunk.str("object", "chat.completion.chunk");
        chunk.u64("created", self.created);
        chunk.str("model", &self.model);
        chunk.opt_str("service_tier", self.service_tier.as_deref().and_then(tier));
        chunk.opt_str("system_fingerprint", self.fingerprint.as_deref());
    }

    fn role(&mut self, candidate: u32, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.choice(candidate).has_role, true) {
            return;
        }
        self.chunk(candidate, out, |delta| {
            delta.str("role", "assistant");
            delta.str("content", "");
            delta.null("refusal");
        });
    }

    fn block_start(&mut self, candidate: u32, block: u32, kind: BlockKind, out: &mut Vec<u8>) {
        self.role(candidate, out);
        let is_legacy = self.context.is_legacy_functions;
        let choice = self.choice(candidate);
        let state = match kind {
            BlockKind::Text => {
                choice.separates_text |= !choice.text.is_empty()
                    && choice.blocks.last().is_some_and(|(_, state)| !matches!(state, State::Text { .. }));
                State::Text { start: choice.text.len() }
            }
            BlockKind::Refusal => State::Refusal,
            BlockKind::Reasoning { .. } => {
                let has_text = choice.has_reasoning;
                State::Reasoning { has_text, part: 0, held: Vec::new(), text: String::new() }
            }
            BlockKind::ToolCall { call_id, name, kind, opaque, .. } => {
                let index = choice.calls;
                choice.calls += 1;
                let is_custom = kind == CallKind::Custom;
                // The deprecated form has room for one call.
                let is_shown = !is_legacy || index == 0;
                if is_shown {
                    self.call(candidate, index, &call_id, &name, is_custom, opaque.as_ref(), out);
                }
                let state = State::Call { index, has_arguments: false, is_custom, is_shown };
                if let Some(opaque) = opaque.filter(|opaque| opaque.kind != OpaqueKind::GeminiThought) {
                    self.details(candidate, &[opaque], None, out);
                }
                state
            }
            BlockKind::Image(image) => {
                self.image(candidate, &image.source, out);
                State::Other
            }
            BlockKind::Audio(audio) => {
                self.audio(candidate, &audio, out);
                State::Other
            }
            BlockKind::Hosted(_) | BlockKind::Document(_) | BlockKind::Native(_) => State::Other,
        };
        self.choice(candidate).blocks.push((block, state));
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one call")]
    fn call(
        &mut self,
        candidate: u32,
        index: u32,
        call_id: &str,
        name: &str,
        is_custom: bool,
        opaque: Option<&Opaque>,
        out: &mut Vec<u8>,
    ) {
        if self.context.is_legacy_functions {
            self.chunk(candidate, out, |delta| {
                delta.object("function_call", |call| {
                    call.str("name", name);
                    call.str("arguments", "");
                });
            });
            return;
        }
        self.chunk(candidate, out, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object(|call| {
                    call.u64("index", u64::from(index));
                    call.str("id", call_id);
                    let (kind, body) =
                        if is_custom { ("custom", "input") } else { ("function", "arguments") };
                    call.str("type", kind);
                    call.object(kind, |function| {
                        function.str("name", name);
                        function.str(body, "");
                    });
                    if let Some(opaque) = opaque.filter(|opaque| opaque.kind == OpaqueKind::GeminiThought) {
                        signature(call, &opaque.data);
                    }
                });
            });
        });
    }

    fn delta(&mut self, candidate: u32, block: u32, delta: Delta, out: &mut Vec<u8>) {
        let is_legacy = self.context.is_legacy_functions;
        let hidden = self.context.show == Show::Hidden;
        let choice = self.choice(candidate);
        let Some(at) = choice.blocks.iter().rposition(|(known, _)| *known == block) else { return };
        let Some((_, state)) = choice.blocks.get_mut(at) else { return };
        match (delta, state) {
            (Delta::Text(text), State::Text { start }) => {
                let text = if std::mem::take(&mut choice.separates_text) {
                    *start += 2;
                    format!("\n\n{text}")
                } else {
                    text
                };
                choice.text.push_str(&text);
                self.chunk(candidate, out, |delta| delta.str("content", &text));
            }
            (Delta::Refusal(text), State::Refusal) => {
                self.chunk(candidate, out, |delta| delta.str("refusal", &text))
            }
            (
                Delta::Reasoning { part, text, .. },
                State::Reasoning { has_text, part: current, text: said, .. },
            ) => {
                let is_new_part = *has_text && (part != *current || said.is_empty());
                *current = part;
                *has_text = true;
                said.push_str(&text);
                choice.has_reasoning = true;
                if hidden {
                    return;
                }
                let text = if is_new_part { format!("\n\n{text}") } else { text };
                self.reasoning(candidate, &text, out);
            }
            (Delta::Opaque(opaque), State::Reasoning { held, .. }) => held.push(opaque),
            (Delta::Opaque(opaque), _) => {
                if opaque.kind != OpaqueKind::GeminiThought {
                    self.details(candidate, &[opaque], None, out);
                }
            }
            (Delta::Arguments(text), State::Call { index, has_arguments, is_custom, is_shown }) => {
                *has_arguments = true;
                let (index, is_custom, is_shown) = (*index, *is_custom, *is_shown);
                if is_shown {
                    self.arguments(candidate, index, is_custom, is_legacy, &text, out);
                }
            }
            (Delta::Annotation(annotation), State::Text { start }) => {
                let start = *start;
                choice.annotations.push((annotation, start, block as usize));
            }
            (Delta::Logprobs(logprobs), State::Text { .. }) => self.logprobs(candidate, &logprobs, out),
            (Delta::Media(data), _) => self.chunk(candidate, out, |delta| {
                delta.object("audio", |audio| audio.str("data", &data));
            }),
            (Delta::Transcript(text), _) => self.chunk(candidate, out, |delta| {
                delta.object("audio", |audio| audio.str("transcript", &text));
            }),
            _ => {}
        }
    }

    fn reasoning(&self, candidate: u32, text: &str, out: &mut Vec<u8>) {
        let field = self.context.reasoning_field;
        if field == ReasoningField::None {
            return;
        }
        self.chunk(candidate, out, |delta| write_reasoning(delta, field, text));
    }

    fn arguments(
        &self,
        candidate: u32,
        index: u32,
        is_custom: bool,
        is_legacy: bool,
        text: &str,
        out: &mut Vec<u8>,
    ) {
        if is_legacy {
            self.chunk(candidate, out, |delta| {
                delta.object("function_call", |call| call.str("arguments", text))
            });
            return;
        }
        self.chunk(candidate, out, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object(|call| {
                    call.u64("index", u64::from(index));
                    let (kind, body) =
                        if is_custom { ("custom", "input") } else { ("function", "arguments") };
                    call.object(kind, |function| function.str(body, text));
                });
            });
        });
    }

    fn logprobs(&self, candidate: u32, logprobs: &Raw, out: &mut Vec<u8>) {
        sse::data(out, |out| {
            json::object(out, |chunk| {
                self.head(chunk);
                chunk.array("choices", |choices| {
                    choices.object(|choice| {
                        choice.u64("index", u64::from(candidate));
                        choice.object("delta", |_| {});
                        choice.object("logprobs", |object| {
                            object.raw("content", logprobs.as_str());
                            object.null("refusal");
                        });
                        choice.null("finish_reason");
                    });
                });
                if self.context.include_usage {
                    chunk.null("usage");
                }
            });
        });
    }

    fn details(&mut self, candidate: u32, states: &[Opaque], text: Option<&str>, out: &mut Vec<u8>) {
        let choice = self.choice(candidate);
        let first = choice.details;
        let mut index = first;
        let mut entries = Vec::new();
        json::array(&mut entries, |array| {
            for state in states {
                if detail::write(array, state, text, index) {
                    index += 1;
                }
            }
        });
        choice.details = index;
        if index == first {
            return;
        }
        let entries = String::from_utf8(entries).unwrap_or_default();
        self.chunk(candidate, out, |delta| delta.raw("reasoning_details", &entries));
    }

    fn image(&mut self, candidate: u32, source: &Media, out: &mut Vec<u8>) {
        let choice = self.choice(candidate);
        let index = choice.images;
        choice.images += 1;
        self.chunk(candidate, out, |delta| {
            delta.array("images", |images| images.object(|image| write_image(image, source, index)));
        });
    }

    fn audio(&self, candidate: u32, sound: &Audio, out: &mut Vec<u8>) {
        self.chunk(candidate, out, |delta| {
            delta.object("audio", |audio| write_audio(audio, sound));
        });
    }

    fn late_annotations(&mut self, candidate: u32, block: u32, annotations: Vec<Annotation>) {
        let choice = self.choice(candidate);
        if choice.annotations.iter().any(|(_, _, known)| *known == block as usize) {
            return;
        }
        let start = choice.blocks.iter().find_map(|(known, state)| match state {
            State::Text { start } if *known == block => Some(*start),
            _ => None,
        });
        if let Some(start) = start {
            choice
                .annotations
                .extend(annotations.into_iter().map(|annotation| (annotation, start, block as usize)));
        }
    }

    fn block_stop(&mut self, candidate: u32, block: u32, out: &mut Vec<u8>) {
        let is_legacy = self.context.is_legacy_functions;
        let choice = self.choice(candidate);
        let Some((_, state)) = choice.blocks.iter_mut().rfind(|(known, _)| *known == block) else { return };
        match state {
            State::Reasoning { held, .. } => {
                let held = std::mem::take(held);
                self.details(candidate, &held, None, out);
            }
            State::Call { index, has_arguments: false, is_custom: false, is_shown: true } => {
                let index = *index;
                self.arguments(candidate, index, false, is_legacy, "{}", out);
            }
            _ => {}
        }
    }

    fn meta(&mut self, candidate: u32, meta: CandidateMeta) {
        let known = &mut self.choice(candidate).meta;
        known.grounding = meta.grounding.or(known.grounding.take());
        known.url_context = meta.url_context.or(known.url_context.take());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.is_over = true;
        if !self.is_started {
            self.start(&Response::new(crate::Format::Chat), out);
        }
        let choices = std::mem::take(&mut self.choices);
        for choice in choices.values() {
            if !choice.has_role {
                continue;
            }
            self.citations(choice, out);
            self.finish(choice, out);
        }
        if self.context.include_usage {
            sse::data(out, |out| {
                json::object(out, |chunk| {
                    self.head(chunk);
                    chunk.array("choices", |_| {});
                    chunk.object("usage", |object| usage::write_chat(&self.usage.clone().clamped(), object));
                });
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn citations(&self, choice: &Choice, out: &mut Vec<u8>) {
        let mut written = Vec::new();
        let mut count = 0usize;
        json::array(&mut written, |array| {
            for (annotation, start, _) in &choice.annotations {
                let block = block_text(choice, *start);
                count += usize::from(annotation::write(array, annotation, &choice.text, *start, block));
            }
        });
        if count > 0 {
            let written = String::from_utf8(written).unwrap_or_default();
            self.chunk(choice.index, out, |delta| delta.raw("annotations", &written));
        }
    }

    fn finish(&self, choice: &Choice, out: &mut Vec<u8>) {
        let stop = choice.stop.clone().unwrap_or_else(|| Stop::new(StopReason::EndTurn));
        let refusal = stop
            .explanation
            .as_deref()
            .filter(|_| matches!(stop.reason, StopReason::Refusal | StopReason::ContentFilter));
        let has_refusal = choice.blocks.iter().any(|(_, state)| matches!(state, State::Refusal));
        if let Some(text) = refusal.filter(|_| !has_refusal) {
            self.chunk(choice.index, out, |delta| delta.str("refusal", text));
        }
        sse::data(out, |out| {
            json::object(out, |chunk| {
                self.head(chunk);
                chunk.array("choices", |choices| {
                    choices.object(|object| {
                        object.u64("index", u64::from(choice.index));
                        object.object("delta", |_| {});
                        object.null("logprobs");
                        object.str("finish_reason", stop::word(&stop, self.context.is_legacy_functions));
                        object.opt_raw("grounding_metadata", choice.meta.grounding.as_ref());
                        object.opt_raw("url_context_metadata", choice.meta.url_context.as_ref());
                    });
                });
                if self.context.include_usage {
                    chunk.null("usage");
                }
            });
        });
    }

    fn fail(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        self.is_over = true;
        sse::data(out, |out| fault::write_chat_error(out, fault));
    }
}

/// The text of the block that begins at `start` of the choice's text.
fn block_text(choice: &Choice, start: usize) -> &str {
    let end = choice
        .blocks
        .iter()
        .filter_map(|(_, state)| match state {
            State::Text { start: other } if *other > start => Some(*other),
            _ => None,
        })
        .min()
        .unwrap_or(choice.text.len());
    choice.text.get(start..end).unwrap_or_default().trim_end_matches("\n\n")
}

/// The id of an answer: the upstream's if it looks like one of this format.
pub(in crate::chat) fn completion_id(context: &ClientContext, upstream: Option<&str>) -> String {
    match upstream {
        Some(known) if known.starts_with("chatcmpl-") => known.to_owned(),
        other => id::base62("chatcmpl-", 29, &[&context.request_id, other.unwrap_or_default()]),
    }
}

/// A tier in this format's words.
pub(in crate::chat) fn tier(word: &str) -> Option<&str> {
    match word {
        "standard" | "batch" | "standard_only" => Some("default"),
        "auto" | "default" | "flex" | "scale" | "priority" => Some(word),
        _ => None,
    }
}

pub(in crate::chat) fn write_reasoning(object: &mut Object<'_>, field: ReasoningField, text: &str) {
    if matches!(field, ReasoningField::Content | ReasoningField::Both) {
        object.str("reasoning_content", text);
    }
    if matches!(field, ReasoningField::Reasoning | ReasoningField::Both) {
        object.str("reasoning", text);
    }
}

pub(in crate::chat) fn signature(call: &mut Object<'_>, data: &str) {
    call.object("extra_content", |extra| {
        extra.object("google", |google| google.str("thought_signature", data));
    });
}

pub(in crate::chat) fn write_image(image: &mut Object<'_>, source: &Media, index: u32) {
    image.str("type", "image_url");
    image.object("image_url", |address| {
        media::write(address, "url", source);
    });
    image.u64("index", u64::from(index));
}

pub(in crate::chat) fn write_audio(audio: &mut Object<'_>, sound: &Audio) {
    audio.opt_str("id", sound.id.as_deref());
    if let Media::Inline { base64, .. } = &sound.source
        && !base64.is_empty()
    {
        audio.str("data", base64);
    }
    audio.opt_str("transcript", sound.transcript.as_deref());
    audio.opt_u64("expires_at", sound.expires_at);
}
