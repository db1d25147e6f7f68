//! Events into the chunks of a Chat stream.
//!
//! What a client's accumulator joins by text must be said once: roles, ids and names. The finish reason waits for the
//! end, because usage and grounding may come behind it.

mod choice;
mod ending;
mod piece;

use crate::chat::{head, response};
use crate::codec::{ClientContext, StreamEncoder};
use crate::fault;
use crate::format::Format;
use crate::json::{self, Object};
use crate::model::{Anchor, BlockKind, CallKind, Event, Opaque, Response, Usage};
use crate::normalize::id;
use crate::sse;

use choice::{Choice, Kind, Open, Thinking};

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
            object.opt_str("system_fingerprint", response.system_fingerprint.as_ref());
        });
        self.head.pop();
        self.head.extend_from_slice(br#","choices":["#);
        let at = self.choice(0);
        self.role(at, out);
    }

    /// Position of the choice with this index.
    fn choice(&mut self, index: u32) -> usize {
        self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            // Nearly always the first stays the only one.
            if self.choices.is_empty() {
                self.choices.reserve_exact(1);
            }
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
        let mut told = None;
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
                                call.str("id", &id::fit(&call_id, Format::Chat.tool_id()));
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
                self.image(at, &image, out);
                Kind::Other
            }
            // A message has one sound; the words of others can be read.
            BlockKind::Audio(audio) if std::mem::replace(&mut choice.has_audio, true) => {
                let words = audio.transcript.as_deref().filter(|words| !words.is_empty());
                told = Some(words.map_or_else(|| audio.source.told("audio"), str::to_owned));
                Kind::Other
            }
            BlockKind::Audio(audio) => {
                self.audio(candidate, &audio, out);
                Kind::Audio
            }
            BlockKind::Hosted(hosted) => Kind::Hosted(hosted),
            BlockKind::Document(document) => {
                told = Some(document.source.told("document"));
                Kind::Other
            }
            BlockKind::Native(_) => Kind::Other,
        };
        let Some(choice) = self.choices.get_mut(at) else { return };
        let is_text = matches!(kind, Kind::Text);
        choice.is_after_text &= is_text;
        if choice.blocks.is_empty() {
            choice.blocks.reserve_exact(1);
        }
        choice.blocks.push(Open { block, kind, is_said: false, start, end: start });
        if let Some(text) = told {
            self.text(at, block, &text, out);
            if let Some(choice) = self.choices.get_mut(at) {
                choice.is_after_text = false;
            }
        }
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
