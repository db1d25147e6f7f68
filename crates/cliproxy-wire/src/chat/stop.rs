//! Why an answer stopped, in this format's words and out of its relatives' words.

use crate::fault::{Fault, Kind};
use crate::format::Format;
use crate::model::{Status, Stop, StopReason};

/// Reads a `finish_reason`. Servers are not reliable about calls, so what the answer holds decides.
pub(super) fn read(word: Option<&str>, has_calls: bool) -> Stop {
    let reason = match word.unwrap_or_default() {
        "stop" | "end_turn" | "eos" | "eos_token" | "" => StopReason::EndTurn,
        "length" | "max_tokens" | "model_length" => StopReason::MaxTokens,
        "tool_calls" | "tool_use" | "function_call" => StopReason::ToolUse,
        "content_filter" | "sensitive" => StopReason::ContentFilter,
        _ => StopReason::Other,
    };
    let corrected = match (reason, has_calls) {
        (StopReason::EndTurn | StopReason::Other, true) => StopReason::ToolUse,
        (StopReason::ToolUse, false) => StopReason::EndTurn,
        _ => reason,
    };
    let native = word.filter(|_| corrected == reason).map(|word| (Format::Chat, word.into()));
    Stop { native, ..Stop::new(corrected) }
}

/// The failure that a `finish_reason` says, if it says one.
pub(super) fn failure(word: &str) -> Option<Fault> {
    matches!(word, "error" | "network_error" | "insufficient_system_resource").then(|| {
        let message = format!("the upstream broke off its answer ({word})");
        Fault { is_upstream: true, ..Fault::new(Kind::BadUpstream, message) }
    })
}

/// How an answer that stopped so ended.
pub(super) fn status(reason: StopReason) -> Status {
    match reason {
        StopReason::MaxTokens
        | StopReason::ContextWindow
        | StopReason::ContentFilter
        | StopReason::Refusal
        | StopReason::Recitation => Status::Incomplete,
        StopReason::Cancelled => Status::Cancelled,
        _ => Status::Completed,
    }
}

/// Writes a `finish_reason`: one of the five words that clients know.
pub(super) fn word(stop: &Stop, is_legacy: bool) -> &'static str {
    match stop.reason {
        StopReason::ToolUse if is_legacy => "function_call",
        StopReason::ToolUse => "tool_calls",
        StopReason::MaxTokens | StopReason::ContextWindow => "length",
        StopReason::ContentFilter | StopReason::Refusal | StopReason::Recitation => "content_filter",
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::Pause
        | StopReason::MalformedToolCall
        | StopReason::Compaction
        | StopReason::Cancelled
        | StopReason::Error
        | StopReason::Other => "stop",
    }
}
