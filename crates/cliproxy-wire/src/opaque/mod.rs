//! Opaque reasoning state: the envelope that carries it through foreign clients, and the rules of what may go where.

mod envelope;
mod history;
mod source;

pub use envelope::{PREFIX, Unwrapped, unwrap, wrap};
pub use history::filter_history;
pub use source::{SENTINEL, classify, is_sentinel};

use std::fmt;

use crate::model::{Opaque, Str};

/// A bounded memory of opaque state for clients that drop it. Kept by the engine; a miss is never an error.
pub trait Memory: fmt::Debug + Sync {
    /// State remembered for a tool call, with the reasoning text it belongs to.
    fn by_call(&self, call_id: &str) -> Option<Remembered>;
    /// State remembered for a reasoning text.
    fn by_text(&self, text: &str) -> Option<Remembered>;
}

/// What a [`Memory`] returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// The state.
    pub opaque: Vec<Opaque>,
    /// The reasoning text.
    pub text: Str,
}

/// Repairs that an upstream's rejection asks for (A.6.5), applied to a second encoding of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repair {
    /// Drop thinking blocks; switch thinking off where the drop breaks the tool rule.
    DropThinking,
    /// Switch thinking off for this request.
    ThinkingOff,
    /// Drop the latest assistant message's thinking and switch thinking off.
    DropLatestThinking,
    /// Drop encrypted reasoning and compaction items.
    DropEncrypted,
    /// Drop item ids and references.
    DropItemIds,
    /// Put the sentinel on the first call of every step of the current turn.
    Sentinels,
    /// Ask for no summary of the reasoning.
    DropSummary,
}
