//! What the decoder knows of the items of a stream: which blocks they became and what was said of them already.
//!
//! Upstreams repeat everything: in deltas, in `.done` events, in the finished item and in the final response. A
//! [`Said`] remembers what went out, so that only what is missing follows.

use crate::json::{Fragment, Surrogates};
use crate::model::{Annotation, CallKind, Delta, Event};

/// A text that arrives in pieces and is repeated whole.
#[derive(Debug, Default)]
pub(super) struct Said {
    text: String,
    /// How much of it was given out.
    given: usize,
    halves: Surrogates,
}

impl Said {
    /// Takes a piece in.
    pub(super) fn push(&mut self, piece: Fragment<'_>) {
        let piece = self.halves.join(piece);
        self.text.push_str(&piece);
    }

    /// Takes the whole text in. False when it contradicts what came before; then that stands.
    pub(super) fn complete(&mut self, full: &str) -> bool {
        if let Some(rest) = full.strip_prefix(self.text.as_str()) {
            self.halves = Surrogates::default();
            self.text.push_str(rest);
            return true;
        }
        full.is_empty() || self.text.starts_with(full)
    }

    /// What has not been given out yet, and from now on has.
    pub(super) fn take(&mut self) -> Option<String> {
        let rest = self.text.get(self.given..).filter(|rest| !rest.is_empty())?.to_owned();
        self.given = self.text.len();
        Some(rest)
    }

    /// Half of a character that nothing completed.
    pub(super) fn finish(&mut self) {
        self.text.extend(self.halves.finish());
    }

    /// True when all of the text came.
    pub(super) fn is(&self, full: &str) -> bool {
        self.text == full
    }

    /// True when nothing came yet.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// What a part of a message or of reasoning holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    Text,
    Refusal,
    Summary,
    Raw,
}

/// A part of an item.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    pub(super) index: u64,
    pub(super) said: Said,
    /// The block of a text or refusal, stopped once the part is closed.
    pub(super) block: Option<u32>,
    /// Citations given out.
    pub(super) annotations: usize,
    pub(super) has_logprobs: bool,
    pub(super) is_closed: bool,
}

impl Part {
    /// Gives out the citations of the whole part that were not yet, once it has a block.
    pub(super) fn cite(&mut self, all: Vec<Annotation>, out: &mut Vec<Event>) {
        let Some(block) = self.block else { return };
        let known = self.annotations;
        self.annotations = known.max(all.len());
        out.extend(all.into_iter().skip(known).map(|citation| {
            let delta = Delta::Annotation(citation);
            Event::Delta { candidate: 0, block, delta }
        }));
    }
}

/// What an item is, as far as its events differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ItemKind {
    Message,
    Reasoning,
    Call(CallKind),
    /// Given out at its start, finished with the whole item.
    Hosted,
    /// Given out when it is whole.
    Whole,
}

impl ItemKind {
    /// The kind of an item type.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "message" => Self::Message,
            "reasoning" => Self::Reasoning,
            "function_call" => Self::Call(CallKind::Function),
            "custom_tool_call" => Self::Call(CallKind::Custom),
            "image_generation_call" | "shell_call" => Self::Whole,
            name if super::super::hosted::item(name).is_some() => Self::Hosted,
            _ => Self::Whole,
        }
    }
}

/// An item.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) kind: ItemKind,
    pub(super) index: Option<u64>,
    pub(super) id: Option<Box<str>>,
    pub(super) call_id: Option<Box<str>>,
    pub(super) parts: Vec<Part>,
    /// The block of anything but a message.
    pub(super) block: Option<u32>,
    /// Arguments of a call.
    pub(super) arguments: Said,
    pub(super) is_done: bool,
}

impl Track {
    pub(super) fn new(kind: ItemKind, index: Option<u64>) -> Self {
        Self {
            kind,
            index,
            id: None,
            call_id: None,
            parts: Vec::new(),
            block: None,
            arguments: Said::default(),
            is_done: false,
        }
    }

    /// The part at `index`, made if need be.
    pub(super) fn part(&mut self, kind: PartKind, index: u64) -> &mut Part {
        let is_message = matches!(kind, PartKind::Text | PartKind::Refusal);
        let same = |part: &Part| part.index == index && (is_message || part.kind == kind);
        let at = self.parts.iter().position(same).unwrap_or(self.parts.len());
        if at == self.parts.len() {
            self.parts.push(Part {
                kind,
                index,
                said: Said::default(),
                block: None,
                annotations: 0,
                has_logprobs: false,
                is_closed: false,
            });
        }
        #[expect(clippy::indexing_slicing, reason = "the position was found, or the part was pushed to it")]
        &mut self.parts[at]
    }
}

/// Stops a block once.
pub(super) fn stop(block: &mut Option<u32>, out: &mut Vec<Event>) {
    if let Some(block) = block.take() {
        out.push(Event::BlockStop { candidate: 0, block, full: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Reader;

    fn push(said: &mut Said, json: &str) {
        said.push(Reader::new(json).fragment().unwrap());
    }

    #[test]
    fn only_what_is_missing_follows() {
        let mut said = Said::default();
        push(&mut said, r#""{\"a\"""#);
        assert_eq!(said.take().as_deref(), Some("{\"a\""));
        assert!(said.complete("{\"a\":1}"));
        assert_eq!(said.take().as_deref(), Some(":1}"));
        assert!(said.complete("{\"a\":1}"));
        assert_eq!(said.take(), None);
        assert!(!said.complete("{\"b\":1}"));
        assert_eq!(said.take(), None);
    }

    #[test]
    fn a_character_cut_in_half_is_joined() {
        let mut said = Said::default();
        push(&mut said, r#""\ud83d""#);
        assert_eq!(said.take(), None);
        push(&mut said, r#""\ude00""#);
        assert_eq!(said.take().as_deref(), Some("😀"));
        push(&mut said, r#""\ud83d""#);
        said.finish();
        assert_eq!(said.take().as_deref(), Some("\u{FFFD}"));
    }
}
