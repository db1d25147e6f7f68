//! Opaque reasoning state: the envelope that carries it through foreign clients, and the rules of what may go where.

mod envelope;
mod history;
mod source;

pub use envelope::{PREFIX, Unwrapped, unwrap, unwrap_all, wrap, wrap_all};
pub use history::filter_history;
pub use source::{SENTINEL, classify, is_sentinel};

use std::fmt;

use crate::model::{Opaque, Reasoning};

/// A bounded memory of opaque state for clients that drop it. Kept by the engine; a miss is never an error.
pub trait Memory: fmt::Debug + Sync {
    /// What was remembered of a tool call, by the id that the client has.
    fn by_call(&self, call_id: &str) -> Option<Remembered>;
    /// The thought with exactly this text.
    fn by_text(&self, text: &str) -> Option<Reasoning>;
    /// The thought with this state.
    fn by_state(&self, data: &str) -> Option<Reasoning>;
}

/// What a [`Memory`] knows of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    /// The thoughts between the call and whatever call stood before it.
    pub thoughts: Vec<Reasoning>,
    /// The signature of the call itself.
    pub signature: Option<Opaque>,
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
