//! The end of blocks and choices.

use crate::chat::{annotation, head, response, stop};
use crate::format::Format;
use crate::json::{self, Raw};
use crate::model::{Block, CallKind, CandidateMeta, Channel, Content, Delta, Response, Stop, StopReason};
use crate::sse;
use crate::usage::write_chat;

use super::Encoder;
use super::choice::{Choice, Kind, Thinking};

impl Encoder {
    pub(super) fn block_stop(
        &mut self,
        candidate: u32,
        block: u32,
        full: Option<Box<Block>>,
        out: &mut Vec<u8>,
    ) {
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

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
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

    pub(super) fn finish(&self, choice: &Choice, out: &mut Vec<u8>) {
        let default = Stop::new(if choice.calls > 0 { StopReason::ToolUse } else { StopReason::EndTurn });
        let stop = choice.stop.as_ref().unwrap_or(&default);
        let annotations = Raw::array(|array| {
            for (block, annotation) in &choice.annotations {
                let at = choice.blocks.binary_search_by_key(block, |open| open.block);
                let Some(open) = at.ok().and_then(|at| choice.blocks.get(at)) else { continue };
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

    pub(super) fn meta(&mut self, candidate: u32, meta: CandidateMeta) {
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
