//! Finish reasons, both ways.

use crate::Format;
use crate::model::{Stop, StopReason};

/// Every reason of this format. Clients have a closed list, so nothing else is ever written.
const REASONS: [(&str, StopReason); 24] = [
    ("STOP", StopReason::EndTurn),
    ("MAX_TOKENS", StopReason::MaxTokens),
    ("SAFETY", StopReason::ContentFilter),
    ("RECITATION", StopReason::Recitation),
    ("OTHER", StopReason::Other),
    ("BLOCKLIST", StopReason::ContentFilter),
    ("PROHIBITED_CONTENT", StopReason::ContentFilter),
    ("SPII", StopReason::ContentFilter),
    ("IMAGE_SAFETY", StopReason::ContentFilter),
    ("IMAGE_PROHIBITED_CONTENT", StopReason::ContentFilter),
    ("MODEL_ARMOR", StopReason::ContentFilter),
    ("IMAGE_RECITATION", StopReason::Recitation),
    ("MALFORMED_FUNCTION_CALL", StopReason::MalformedToolCall),
    ("UNEXPECTED_TOOL_CALL", StopReason::MalformedToolCall),
    ("TOO_MANY_TOOL_CALLS", StopReason::MalformedToolCall),
    ("MISSING_THOUGHT_SIGNATURE", StopReason::MalformedToolCall),
    ("MALFORMED_RESPONSE", StopReason::MalformedToolCall),
    ("LANGUAGE", StopReason::Other),
    ("IMAGE_OTHER", StopReason::Other),
    ("NO_IMAGE", StopReason::Other),
    ("FINISH_REASON_UNSPECIFIED", StopReason::Other),
    ("ESCALATION", StopReason::Other),
    ("PUP_LIMITED_DISABLED", StopReason::Other),
    ("CONTINUATION", StopReason::Other),
];

/// The stop that an upstream's `finishReason` means. This format has no word for tool use: `has_call` says that the
/// answer calls tools of the client.
pub(super) fn decode(word: &str, has_call: bool, explanation: Option<&str>) -> Stop {
    let known = REASONS.iter().find(|(name, _)| *name == word);
    let mut reason = known.map_or(StopReason::Other, |(_, reason)| *reason);
    if has_call && matches!(reason, StopReason::EndTurn | StopReason::Other) {
        reason = StopReason::ToolUse;
    }
    Stop {
        reason,
        sequence: None,
        explanation: explanation.filter(|_| word != "STOP").map(Into::into),
        native: (!word.is_empty()).then(|| (Format::Gemini, word.into())),
    }
}

/// The `finishReason` of a stop.
pub(super) fn encode(stop: &Stop) -> &'static str {
    if let Some((Format::Gemini, word)) = &stop.native
        && let Some((name, _)) = REASONS.iter().find(|(name, _)| **name == **word)
    {
        return name;
    }
    match stop.reason {
        StopReason::EndTurn
        | StopReason::ToolUse
        | StopReason::StopSequence
        | StopReason::Pause
        | StopReason::Compaction => "STOP",
        StopReason::MaxTokens | StopReason::ContextWindow => "MAX_TOKENS",
        StopReason::ContentFilter | StopReason::Refusal => "SAFETY",
        StopReason::Recitation => "RECITATION",
        StopReason::MalformedToolCall => "MALFORMED_FUNCTION_CALL",
        StopReason::Other | StopReason::Cancelled | StopReason::Error => "OTHER",
    }
}

/// True where the room was used up: a call that was being written says something else than was meant.
pub(super) fn is_out_of_room(reason: StopReason) -> bool {
    matches!(reason, StopReason::MaxTokens | StopReason::ContextWindow)
}

/// True for stops after which the answer is not whole.
pub(super) fn is_cut(reason: StopReason) -> bool {
    matches!(
        reason,
        StopReason::MaxTokens
            | StopReason::ContextWindow
            | StopReason::ContentFilter
            | StopReason::Refusal
            | StopReason::Recitation
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_written_back_as_it_came() {
        for (word, reason) in REASONS {
            let stop = decode(word, false, None);
            assert_eq!((stop.reason, encode(&stop)), (reason, word));
        }
    }

    #[test]
    fn calls_turn_a_plain_stop_into_tool_use_and_nothing_else() {
        assert_eq!(decode("STOP", true, None).reason, StopReason::ToolUse);
        assert_eq!(decode("NEWER_REASON", true, None).reason, StopReason::ToolUse);
        assert_eq!(decode("MAX_TOKENS", true, None).reason, StopReason::MaxTokens);
    }

    #[test]
    fn unknown_words_never_reach_a_client() {
        assert_eq!(encode(&decode("NEWER_REASON", false, None)), "OTHER");
    }
}
