//! The canonical stream.
//!
//! What every decoder keeps and every encoder may rely on:
//! 1. [`Event::Start`] first and once; [`Event::End`] or [`Event::Error`] last and once. [`Event::Ping`] anywhere.
//! 2. `(candidate, block)` is unique; blocks count 0, 1, 2 … per candidate in the order of their start.
//! 3. Each block is stopped once, before the stop of its candidate. Before an error open blocks are stopped.
//! 4. Several blocks of a candidate may be open together.
//! 5. A tool call starts when its name and id are known; earlier argument text waits in the decoder.
//! 6. The argument deltas joined are the arguments.
//! 7. Empty text and argument deltas do not occur.
//! 8. Usage snapshots are cumulative and merged field by field.
//! 9. Nothing is told of a block that has stopped but citations, which some upstreams gather until the end. Formats whose
//!    blocks cannot be reopened have no place for these.
//! 10. Every candidate that started a block is stopped, and at least candidate 0.

use crate::fault::Fault;
use crate::json::Raw;

use super::{
    Annotation, Audio, Block, CallKind, Document, Ext, Hosted, Image, Native, Opaque, Response, Status, Stop,
    Str, Usage,
};

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins. The response holds ids, model, creation time, tier and, where known, usage; no candidates.
    Start(Box<Response>),
    /// A block begins.
    BlockStart {
        /// Candidate.
        candidate: u32,
        /// Ordinal of the block in it. They count up as blocks begin, so what is kept in the order of beginning can be
        /// searched by halves: an answer may have thousands of calls under way at once.
        block: u32,
        /// What it will be.
        kind: BlockKind,
    },
    /// A piece of a block.
    Delta {
        /// Candidate.
        candidate: u32,
        /// Block.
        block: u32,
        /// The piece.
        delta: Delta,
    },
    /// A block is complete.
    BlockStop {
        /// Candidate.
        candidate: u32,
        /// Block.
        block: u32,
        /// The whole content where the upstream repeats it with more than the deltas said.
        full: Option<Box<Block>>,
    },
    /// Data about a candidate; per field the last value wins.
    CandidateMeta {
        /// Candidate.
        candidate: u32,
        /// The data.
        meta: Box<CandidateMeta>,
    },
    /// A candidate is complete.
    CandidateStop {
        /// Candidate.
        candidate: u32,
        /// Why.
        stop: Stop,
    },
    /// A usage snapshot.
    Usage(Box<Usage>),
    /// Something odd that did not stop the stream, for logs.
    Warning(String),
    /// The end.
    End {
        /// Completed, incomplete or cancelled.
        status: Status,
        /// Other members of the final message.
        ext: Ext,
    },
    /// The end by an error.
    Error(Box<Fault>),
    /// A sign of life.
    Ping,
}

/// What a block will be.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockKind {
    /// Text.
    Text,
    /// A refusal.
    Refusal,
    /// Thinking.
    Reasoning {
        /// The item's id.
        id: Option<Str>,
        /// Only encrypted content will come.
        is_redacted: bool,
    },
    /// A tool call.
    ToolCall {
        /// The pairing id.
        call_id: Str,
        /// The upstream gave none.
        is_id_synthetic: bool,
        /// Identity of the Responses item.
        item_id: Option<Str>,
        /// Name.
        name: Str,
        /// Namespace.
        namespace: Option<Str>,
        /// Function or free-form.
        kind: CallKind,
        /// The typed item of the source format.
        native: Option<Native>,
        /// The provider-executed program that made the call.
        caller: Option<Native>,
        /// A signature on this call.
        opaque: Option<Opaque>,
    },
    /// A hosted tool at work. What follows are progress and, where the end knows more than the start, the full block.
    Hosted(Box<Hosted>),
    /// An image, whole.
    Image(Box<Image>),
    /// A sound; more payload may follow as [`Delta::Media`] and [`Delta::Transcript`].
    Audio(Box<Audio>),
    /// A document, whole.
    Document(Box<Document>),
    /// Something native, whole.
    Native(Native),
}

/// A piece of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text.
    Text(String),
    /// Refusal text.
    Refusal(String),
    /// Argument text, or input of a free-form tool.
    Arguments(String),
    /// Thinking text.
    Reasoning {
        /// Summary or raw.
        channel: Channel,
        /// Ordinal of the part.
        part: u32,
        /// The text.
        text: String,
    },
    /// Opaque state of the block.
    Opaque(Opaque),
    /// A citation into the text so far.
    Annotation(Annotation),
    /// Token probabilities of the text delta before, in the Chat element shape, as an array.
    Logprobs(Raw),
    /// More base64 of a sound.
    Media(Str),
    /// More of what is said in a sound.
    Transcript(String),
    /// Progress of a hosted tool.
    Progress {
        /// Stage word of the source (`searching`, `interpreting` …).
        stage: Str,
        /// The source's own event.
        native: Native,
    },
}

/// Channels of thinking text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// What a user may see.
    Summary,
    /// Raw chain of thought.
    Raw,
}

/// Data about a candidate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CandidateMeta {
    /// Raw Google `groundingMetadata`.
    pub grounding: Option<Raw>,
    /// Raw Google `urlContextMetadata`.
    pub url_context: Option<Raw>,
    /// Raw Google `citationMetadata`.
    pub citations: Option<Raw>,
    /// Raw Google `safetyRatings`.
    pub safety: Option<Raw>,
    /// Other members.
    pub ext: Ext,
}
