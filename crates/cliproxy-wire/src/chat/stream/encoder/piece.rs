//! Pieces of blocks: text, reasoning, arguments, opaque state, media.

use crate::chat::{detail, head, response};
use crate::json::{self, Raw};
use crate::model::{Anchor, Audio, CallKind, Channel, Delta, Image, Opaque};

use super::Encoder;
use super::choice::Kind;

impl Encoder {
    pub(super) fn delta(&mut self, candidate: u32, block: u32, delta: Delta, out: &mut Vec<u8>) {
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
            Delta::Media(_) | Delta::Transcript(_) if !self.is_audio(at, block) => {}
            Delta::Media(data) => {
                self.write(candidate, out, |delta| delta.object("audio", |audio| audio.str("data", &data)));
            }
            Delta::Transcript(text) => self.write(candidate, out, |delta| {
                delta.object("audio", |audio| audio.str("transcript", &text));
            }),
            Delta::Progress { .. } => {}
        }
    }

    pub(super) fn text(&mut self, at: usize, block: u32, text: &str, out: &mut Vec<u8>) {
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

    pub(super) fn reasoning(
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

    pub(super) fn arguments(&mut self, at: usize, block: u32, text: &str, out: &mut Vec<u8>) {
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

    pub(super) fn opaque(&mut self, at: usize, block: u32, state: Opaque, out: &mut Vec<u8>) {
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
    pub(super) fn details(&mut self, at: usize, states: &[Opaque], text: Option<&str>, out: &mut Vec<u8>) {
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

    pub(super) fn image(&mut self, at: usize, image: &Image, out: &mut Vec<u8>) {
        let Some(choice) = self.choices.get_mut(at) else { return };
        let (index, number) = (choice.index, choice.images);
        choice.images += 1;
        self.write(index, out, |delta| {
            delta.array("images", |images| {
                images.object(|object| response::write_image(object, image, number));
            });
        });
    }

    /// Whether a block is the sound of its message.
    fn is_audio(&mut self, at: usize, block: u32) -> bool {
        let open = self.choices.get_mut(at).and_then(|choice| choice.open(block));
        open.is_some_and(|open| matches!(open.kind, Kind::Audio))
    }

    pub(super) fn audio(&self, candidate: u32, audio: &Audio, out: &mut Vec<u8>) {
        self.write(candidate, out, |delta| head::write_audio(delta, audio, &self.context));
    }
}
