//! One block in the making: deltas are appended to growing texts, and what the upstream repeats at the end is laid
//! over what was gathered, without losing what only the deltas said.

use super::super::{
    Annotation, Arguments, Audio, Block, BlockKind, CallKind, Channel, Content, Delta, Hosted, Media, Opaque,
    Reasoning, Str, Text, ToolCall,
};
use crate::json::{Kind, Raw};

/// A block in the making.
#[derive(Debug)]
pub(super) struct Builder {
    start: BlockKind,
    /// Text, refusal, arguments or audio transcript so far.
    text: String,
    /// Audio payload behind that of the start.
    base64: String,
    summary: Vec<String>,
    raw: Vec<String>,
    opaque: Vec<Opaque>,
    annotations: Vec<Annotation>,
    logprobs: Vec<Raw>,
    /// The block as the upstream repeated it.
    pub(super) full: Option<Box<Block>>,
}

impl Builder {
    pub(super) fn new(start: BlockKind) -> Self {
        Self {
            start,
            text: String::new(),
            base64: String::new(),
            summary: Vec::new(),
            raw: Vec::new(),
            opaque: Vec::new(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
            full: None,
        }
    }

    pub(super) fn add(&mut self, delta: Delta) {
        match (&self.start, delta) {
            (BlockKind::Text, Delta::Text(piece))
            | (BlockKind::Refusal, Delta::Refusal(piece))
            | (BlockKind::ToolCall { .. }, Delta::Arguments(piece))
            | (BlockKind::Audio(_), Delta::Transcript(piece)) => self.text.push_str(&piece),
            (BlockKind::Audio(_), Delta::Media(piece)) => self.base64.push_str(&piece),
            (BlockKind::Reasoning { .. }, Delta::Reasoning { channel, part, text }) => {
                let parts = match channel {
                    Channel::Summary => &mut self.summary,
                    Channel::Raw => &mut self.raw,
                };
                append(parts, part, &text);
            }
            (_, Delta::Opaque(opaque)) => self.opaque.push(opaque),
            (BlockKind::Text, Delta::Annotation(annotation)) => self.annotations.push(annotation),
            (BlockKind::Text, Delta::Logprobs(logprobs)) => self.logprobs.push(logprobs),
            // Progress is for those who watch; the rest belongs to no block of this kind.
            _ => {}
        }
    }

    pub(super) fn finish(mut self) -> Block {
        let full = self.full.take();
        let built = self.content();
        match full {
            None => Block::new(built),
            Some(full) => Block { content: overlay(built, full.content), cache: full.cache, ext: full.ext },
        }
    }

    fn content(self) -> Content {
        match self.start {
            BlockKind::Text => Content::Text(Text {
                text: self.text.into(),
                annotations: self.annotations,
                logprobs: join(self.logprobs),
                opaque: self.opaque.into_iter().last(),
            }),
            BlockKind::Refusal => Content::Refusal(self.text.into()),
            BlockKind::Reasoning { id, is_redacted } => Content::Reasoning(Reasoning {
                id,
                summary: self.summary.into_iter().map(Str::from).collect(),
                raw: self.raw.into_iter().map(Str::from).collect(),
                opaque: self.opaque,
                is_redacted,
            }),
            BlockKind::ToolCall {
                call_id,
                is_id_synthetic,
                item_id,
                name,
                namespace,
                kind,
                native,
                caller,
                opaque,
            } => Content::ToolCall(ToolCall {
                call_id,
                is_id_synthetic,
                item_id,
                name,
                namespace,
                kind,
                arguments: arguments(kind, self.text),
                native,
                caller,
                opaque: self.opaque.into_iter().last().or(opaque),
            }),
            BlockKind::Hosted(hosted) => Content::Hosted(*hosted),
            BlockKind::Image(mut image) => {
                image.opaque = self.opaque.into_iter().last().or(image.opaque);
                Content::Image(*image)
            }
            BlockKind::Audio(audio) => Content::Audio(more_audio(*audio, &self.base64, &self.text)),
            BlockKind::Document(document) => Content::Document(*document),
            BlockKind::Native(native) => Content::Native(native),
        }
    }
}

/// Arguments of a call of this kind.
pub(super) fn arguments(kind: CallKind, text: impl Into<Str>) -> Arguments {
    match kind {
        CallKind::Function => Arguments::Json(text.into()),
        CallKind::Custom => Arguments::Text(text.into()),
    }
}

/// Most parts of reasoning that one block may have; a provider's counter gone wild must not cost memory.
const MAX_PARTS: usize = 4096;

fn append(parts: &mut Vec<String>, part: u32, text: &str) {
    let part = usize::try_from(part).unwrap_or(usize::MAX).min(MAX_PARTS);
    if parts.len() <= part {
        parts.resize_with(part + 1, String::new);
    }
    if let Some(slot) = parts.get_mut(part) {
        slot.push_str(text);
    }
}

fn more_audio(mut audio: Audio, base64: &str, transcript: &str) -> Audio {
    if !base64.is_empty()
        && let Media::Inline { base64: payload, .. } = &mut audio.source
    {
        *payload = [&**payload, base64].concat().into();
    }
    if !transcript.is_empty() {
        audio.transcript =
            Some([audio.transcript.as_deref().unwrap_or_default(), transcript].concat().into());
    }
    audio
}

/// One array of the elements of all. A single one stays as it was written.
fn join(mut arrays: Vec<Raw>) -> Option<Raw> {
    if arrays.len() < 2 {
        return arrays.pop();
    }
    Some(Raw::array(|joined| {
        for array in &arrays {
            if array.kind() != Kind::Array {
                continue;
            }
            // A span that was read as JSON once does not fail the second time.
            let _complete = array.reader().array(|_, element| {
                joined.raw(element.raw()?);
                Ok(())
            });
        }
    }))
}

/// `full` with what only `built` knows.
fn overlay(built: Content, full: Content) -> Content {
    match (built, full) {
        (Content::Text(built), Content::Text(full)) => Content::Text(Text {
            text: said(built.text, full.text),
            annotations: if full.annotations.is_empty() { built.annotations } else { full.annotations },
            logprobs: full.logprobs.or(built.logprobs),
            opaque: full.opaque.or(built.opaque),
        }),
        (Content::Refusal(built), Content::Refusal(full)) => Content::Refusal(said(built, full)),
        (Content::Reasoning(built), Content::Reasoning(full)) => Content::Reasoning(Reasoning {
            id: full.id.or(built.id),
            summary: parts(built.summary, full.summary),
            raw: parts(built.raw, full.raw),
            opaque: if full.opaque.is_empty() { built.opaque } else { full.opaque },
            is_redacted: full.is_redacted || built.is_redacted,
        }),
        (Content::ToolCall(built), Content::ToolCall(full)) => Content::ToolCall(ToolCall {
            is_id_synthetic: if full.call_id.is_empty() {
                built.is_id_synthetic
            } else {
                full.is_id_synthetic
            },
            call_id: said(built.call_id, full.call_id),
            item_id: full.item_id.or(built.item_id),
            name: said(built.name, full.name),
            namespace: full.namespace.or(built.namespace),
            kind: full.kind,
            arguments: if full.arguments.as_str().is_empty() && !built.arguments.as_str().is_empty() {
                built.arguments
            } else {
                full.arguments
            },
            native: full.native.or(built.native),
            caller: full.caller.or(built.caller),
            opaque: full.opaque.or(built.opaque),
        }),
        (Content::Hosted(built), Content::Hosted(full)) => Content::Hosted(Hosted {
            id: said(built.id, full.id),
            status: full.status.or(built.status),
            input: full.input.or(built.input),
            output: full.output.or(built.output),
            error: full.error.or(built.error),
            ..full
        }),
        (Content::Image(built), Content::Image(mut full)) => {
            full.detail = full.detail.or(built.detail);
            full.opaque = full.opaque.or(built.opaque);
            Content::Image(full)
        }
        (Content::Audio(built), Content::Audio(full)) => Content::Audio(Audio {
            source: if is_hollow(&full.source) { built.source } else { full.source },
            transcript: full.transcript.or(built.transcript),
            id: full.id.or(built.id),
            expires_at: full.expires_at.or(built.expires_at),
        }),
        (_, full) => full,
    }
}

fn is_hollow(source: &Media) -> bool {
    matches!(source, Media::Inline { base64, .. } if base64.is_empty())
}

fn said(built: Str, full: Str) -> Str {
    if full.is_empty() { built } else { full }
}

fn parts(built: Vec<Str>, full: Vec<Str>) -> Vec<Str> {
    let is_said = |parts: &[Str]| parts.iter().any(|part| !part.is_empty());
    if is_said(&built) && !is_said(&full) { built } else { full }
}
