//! What opaque state of a history may go to a target: only its own provider's, only in scope, and each piece back on
//! the part that it came from.
//!
//! Dropping is always legal: an upstream goes on without state, it refuses a request with foreign state. Gemini 3 wants
//! a signature on the first call of every step of the current turn, and takes a sentinel where it is not known.

use super::{Repair, SENTINEL};
use crate::codec::Target;
use crate::format::Format;
use crate::model::{Anchor, Content, Opaque, OpaqueKind, Owner, Request, Role, Turn};

/// Makes the state in `request` one that the target reads.
pub fn filter(request: &mut Request, target: &Target<'_>) {
    for turn in &mut request.turns {
        if turn.role == Role::Assistant {
            if target.profile.format == Format::Gemini {
                return_to_calls(turn);
            }
            keep_own(turn, target);
        }
    }
    if target.profile.format == Format::Gemini {
        let replaces = target.repair == Some(Repair::Sentinels);
        if target.caps.needs_signatures || replaces {
            sign_current_turn(&mut request.turns, replaces);
        }
    }
}

/// State that came on a call travels through clients in front of it.
fn return_to_calls(turn: &mut Turn) {
    let mut carried = Vec::new();
    for block in &mut turn.blocks {
        if let Content::Reasoning(reasoning) = &mut block.content {
            reasoning.opaque.retain(|state| {
                let belongs = matches!(state.anchor, Anchor::ToolCall(_)) && state.owner == Owner::Google;
                if belongs {
                    carried.push(state.clone());
                }
                !belongs
            });
        }
    }
    let calls = turn.blocks.iter_mut().filter_map(|block| match &mut block.content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    });
    for (ordinal, call) in (0u32..).zip(calls) {
        if call.opaque.is_none() {
            call.opaque = carried.iter().find(|state| state.anchor == Anchor::ToolCall(ordinal)).cloned();
        }
    }
}

fn keep_own(turn: &mut Turn, target: &Target<'_>) {
    let drops_encrypted = target.repair == Some(Repair::DropEncrypted);
    let is_own = |state: &Opaque| {
        let is_dropped =
            drops_encrypted && matches!(state.kind, OpaqueKind::OpenAiEncrypted | OpaqueKind::Compaction);
        let is_in_scope = state.scope.as_deref().is_none_or(|scope| target.scope == Some(scope));
        state.owner == target.profile.owner && is_in_scope && !is_dropped
    };
    for block in &mut turn.blocks {
        match &mut block.content {
            Content::Reasoning(reasoning) => reasoning.opaque.retain(is_own),
            Content::ToolCall(call) => call.opaque = call.opaque.take().filter(is_own),
            Content::Text(text) => text.opaque = text.opaque.take().filter(is_own),
            Content::Image(image) => image.opaque = image.opaque.take().filter(is_own),
            _ => {}
        }
    }
}

/// The current turn is everything behind the last user text.
fn sign_current_turn(turns: &mut [Turn], replaces: bool) {
    let says_something = |turn: &Turn| {
        turn.role == Role::User
            && turn.blocks.iter().any(|block| !matches!(block.content, Content::ToolResult(_)))
    };
    let start = turns.iter().rposition(says_something).map_or(0, |at| at + 1);
    for turn in turns.iter_mut().skip(start).filter(|turn| turn.role == Role::Assistant) {
        let first = turn.blocks.iter_mut().find_map(|block| match &mut block.content {
            Content::ToolCall(call) => Some(call),
            _ => None,
        });
        if let Some(call) = first
            && (replaces || call.opaque.is_none())
        {
            call.opaque = Some(Opaque {
                owner: Owner::Google,
                kind: OpaqueKind::GeminiThought,
                scope: None,
                model: None,
                data: SENTINEL.into(),
                anchor: Anchor::This,
            });
        }
    }
}
