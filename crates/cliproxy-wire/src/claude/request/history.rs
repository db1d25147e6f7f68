//! Thinking in the history: what may be sent back, and what its absence means for this request.
//!
//! Only this provider's own signed blocks are accepted. While thinking has a budget, the answer that called the tools
//! whose results end the conversation must begin with one; where it cannot, thinking is switched off for the request,
//! since the call is what the client needs.

use crate::codec::{Notes, Target};
use crate::format::Format;
use crate::model::{Block, Content, Request, Role, Turn};
use crate::opaque::Repair;
use crate::reasoning::{Members, Plan, Thinking};

use super::super::signature;

/// Leaves in the history what can be written, after the repair that a refusal asked for.
pub(super) fn settle(request: &mut Request, plan: &mut Plan, target: &Target<'_>, notes: &mut Notes) {
    request.turns.iter_mut().for_each(|turn| turn.blocks.retain(is_accepted));
    match target.repair {
        Some(Repair::DropThinking) => request.turns.iter_mut().for_each(forget),
        Some(Repair::DropLatestThinking) => {
            if let Some(turn) = request.turns.iter_mut().rfind(|turn| turn.role == Role::Assistant) {
                forget(turn);
            }
        }
        _ => {}
    }
    request.turns.retain(|turn| !turn.blocks.is_empty());
    if let Members::Claude { thinking, .. } = &mut plan.members
        && matches!(thinking, Some(Thinking::Enabled { .. }))
        && !begins_with_thinking(&request.turns)
    {
        *thinking = None;
        plan.is_on = false;
        plan.needs_interleaved_beta = false;
        notes.add(match request.origin {
            Format::Chat => "reasoning_effort",
            Format::Responses => "reasoning",
            Format::Claude => "thinking",
            Format::Gemini => "generationConfig.thinkingConfig",
        });
    }
}

fn is_accepted(block: &Block) -> bool {
    match &block.content {
        Content::Reasoning(reasoning) => reasoning.opaque.iter().any(signature::is_native),
        _ => true,
    }
}

fn forget(turn: &mut Turn) {
    turn.blocks.retain(|block| !matches!(block.content, Content::Reasoning(_)));
}

/// False when the conversation ends with results of an answer that did not begin with thinking.
fn begins_with_thinking(turns: &[Turn]) -> bool {
    let [.., answer, results] = turns else { return true };
    let ends_with_results = results.role == Role::User
        && results.blocks.iter().any(|block| matches!(block.content, Content::ToolResult(_)));
    !ends_with_results
        || answer.role != Role::Assistant
        || matches!(answer.blocks.first().map(|block| &block.content), Some(Content::Reasoning(_)))
}
