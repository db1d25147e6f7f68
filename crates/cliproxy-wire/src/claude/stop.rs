//! Stop reasons, both ways.

use crate::format::Format;
use crate::json::{Object, Raw};
use crate::model::{Ext, Status, Stop, StopReason};

/// The words of this format; an answer never holds another.
const WORDS: [(&str, StopReason); 9] = [
    ("end_turn", StopReason::EndTurn),
    ("tool_use", StopReason::ToolUse),
    ("max_tokens", StopReason::MaxTokens),
    ("model_context_window_exceeded", StopReason::ContextWindow),
    ("stop_sequence", StopReason::StopSequence),
    ("pause_turn", StopReason::Pause),
    ("refusal", StopReason::Refusal),
    ("compaction", StopReason::Compaction),
    ("sensitive", StopReason::ContentFilter),
];

/// The stop that the members of an answer mean. `has_call` corrects upstreams that say `end_turn` for calls and the
/// other way round.
pub(super) fn read(
    reason: Option<&str>,
    sequence: Option<&str>,
    details: Option<&str>,
    has_call: bool,
) -> Stop {
    let reason = reason.unwrap_or("end_turn");
    let known = WORDS.iter().find(|(word, _)| *word == reason).map_or(StopReason::Other, |(_, known)| *known);
    let corrected = match known {
        StopReason::EndTurn | StopReason::Other if has_call => StopReason::ToolUse,
        StopReason::ToolUse if !has_call => StopReason::EndTurn,
        known => known,
    };
    let explanation = details.and_then(|details| Raw::new(details).get("explanation")?.to_text());
    Stop {
        reason: corrected,
        sequence: sequence.map(Into::into),
        explanation: explanation.map(Into::into),
        native: (corrected == known).then(|| (Format::Claude, reason.into())),
    }
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

/// The word for a stop.
fn word(stop: &Stop) -> &str {
    if let Some((Format::Claude, native)) = &stop.native
        && WORDS.iter().any(|(word, _)| **word == **native)
    {
        return native;
    }
    match stop.reason {
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::ContextWindow => "model_context_window_exceeded",
        StopReason::StopSequence if stop.sequence.is_some() => "stop_sequence",
        StopReason::ContentFilter | StopReason::Refusal | StopReason::Recitation => "refusal",
        _ => "end_turn",
    }
}

/// Writes `stop_reason`, `stop_sequence` and, where there are any, `stop_details`. `ext` may hold the details as this
/// format's own upstream gave them.
pub(super) fn write(object: &mut Object<'_>, stop: &Stop, ext: &Ext) {
    let word = word(stop);
    object.str("stop_reason", word);
    object.str_or_null("stop_sequence", stop.sequence.as_deref().filter(|_| word == "stop_sequence"));
    if let Some(details) = ext.get("stop_details") {
        object.raw("stop_details", details.as_str());
    } else if word == "refusal" {
        object.object("stop_details", |object| {
            object.str("type", "refusal");
            object.null("category");
            object.str_or_null("explanation", stop.explanation.as_deref());
        });
    }
}
