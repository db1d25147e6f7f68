//! What the encoder remembers of a choice.

use crate::model::{Annotation, CallKind, CandidateMeta, Channel, Hosted, Opaque, Stop};

#[derive(Debug)]
pub(super) struct Choice {
    pub(super) index: u32,
    pub(super) has_role: bool,
    pub(super) blocks: Vec<Open>,
    /// Visible text so far, for citations.
    pub(super) text: String,
    /// The latest block is text, so that more text needs no blank line.
    pub(super) is_after_text: bool,
    pub(super) has_reasoning: bool,
    pub(super) calls: u32,
    pub(super) images: u64,
    pub(super) details: u32,
    pub(super) has_refusal: bool,
    pub(super) has_audio: bool,
    /// Citations with the place of their block in `text`.
    pub(super) annotations: Vec<(u32, Annotation)>,
    pub(super) meta: CandidateMeta,
    pub(super) stop: Option<Stop>,
}

impl Choice {
    pub(super) fn new(index: u32) -> Self {
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
            has_audio: false,
            annotations: Vec::new(),
            meta: CandidateMeta::default(),
            stop: None,
        }
    }

    pub(super) fn open(&mut self, block: u32) -> Option<&mut Open> {
        let at = self.blocks.binary_search_by_key(&block, |open| open.block).ok()?;
        self.blocks.get_mut(at)
    }
}

/// A block under way, or one that citations may still point to.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) block: u32,
    pub(super) kind: Kind,
    /// Something of it was written.
    pub(super) is_said: bool,
    /// Where it lies in the choice's text.
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
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
pub(super) struct Thinking {
    pub(super) channel: Option<Channel>,
    pub(super) part: u32,
    /// The text, where it cannot be found in the client's own text member.
    pub(super) text: String,
    pub(super) is_findable: bool,
    pub(super) opaque: Vec<Opaque>,
}
