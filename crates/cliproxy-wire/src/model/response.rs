//! The canonical response.

use crate::fault::Fault;
use crate::format::Format;
use crate::json::Raw;

use super::{Block, Ext, Str, Usage};

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The format it came in.
    pub origin: Format,
    /// The upstream's id.
    pub id: Option<Str>,
    /// The model that answered, as the upstream names it.
    pub model: Option<Str>,
    /// Creation time in Unix seconds.
    pub created: Option<u64>,
    /// The answers, by index.
    pub candidates: Vec<Candidate>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// Service tier, as the upstream names it.
    pub service_tier: Option<Str>,
    /// Chat `system_fingerprint`.
    pub system_fingerprint: Option<Str>,
    /// How it ended.
    pub status: Status,
    /// Other members of the source format.
    pub ext: Ext,
}

impl Response {
    /// An empty, complete answer.
    pub fn new(origin: Format) -> Self {
        Self {
            origin,
            id: None,
            model: None,
            created: None,
            candidates: Vec::new(),
            usage: None,
            service_tier: None,
            system_fingerprint: None,
            status: Status::Completed,
            ext: Ext::new(),
        }
    }
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// As it should.
    Completed,
    /// Cut by a limit or a filter; the stop reason says which.
    Incomplete,
    /// With an error.
    Failed(Fault),
    /// Cancelled.
    Cancelled,
}

/// One of the answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its index.
    pub index: u32,
    /// What was said.
    pub blocks: Vec<Block>,
    /// Why it stopped.
    pub stop: Stop,
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

impl Candidate {
    /// An empty candidate.
    pub fn new(index: u32, stop: Stop) -> Self {
        Self {
            index,
            blocks: Vec::new(),
            stop,
            grounding: None,
            url_context: None,
            citations: None,
            safety: None,
            ext: Ext::new(),
        }
    }
}

/// Why a candidate stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// The reason.
    pub reason: StopReason,
    /// The stop sequence that was hit.
    pub sequence: Option<Str>,
    /// Explanation of a refusal or filter, in words.
    pub explanation: Option<Str>,
    /// The source's own word.
    pub native: Option<(Format, Str)>,
}

impl Stop {
    /// A stop with nothing attached.
    pub fn new(reason: StopReason) -> Self {
        Self { reason, sequence: None, explanation: None, native: None }
    }
}

/// Stop reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The model was done.
    EndTurn,
    /// The model calls client-executed tools.
    ToolUse,
    /// The limit of output tokens.
    MaxTokens,
    /// The context window is full.
    ContextWindow,
    /// A stop sequence.
    StopSequence,
    /// A filter.
    ContentFilter,
    /// The model refused.
    Refusal,
    /// The provider paused a long turn.
    Pause,
    /// The model tried a call and failed at it.
    MalformedToolCall,
    /// The answer recited protected text.
    Recitation,
    /// The history was compacted.
    Compaction,
    /// The request was cancelled.
    Cancelled,
    /// An error.
    Error,
    /// Anything else.
    Other,
}
