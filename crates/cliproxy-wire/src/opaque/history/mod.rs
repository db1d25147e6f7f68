//! Reasoning and opaque state in a history: what an upstream accepts goes back to exactly where it came from, the rest
//! goes.
//!
//! State belongs to the provider that made it, encrypted state even to a credential. A foreign client carried it in a
//! reasoning block; a Google signature returns from there to the call or text that it signs. Where the client lost it,
//! the memory may know it; where Gemini insists on a signature and none is known, its stand-in is written.

use crate::codec::Target;
use crate::format::Format;
use crate::model::{
    Anchor, Block, Content, Opaque, OpaqueKind, Owner, Reasoning, Request, Role, Text, ToolCall, Turn,
};
use crate::profile::ReasoningHistory;

use super::{Remembered, Repair, SENTINEL};

/// Leaves in the history the reasoning and the state that the target accepts. Runs on paired turns, before ids are
/// fitted: the memory knows the ids that the client saw.
pub fn filter_history(request: &mut Request, target: &Target<'_>) {
    let current = current_loop(&request.turns, target.repair);
    let judge = Judge { target };
    for (at, turn) in request.turns.iter_mut().enumerate() {
        if turn.role == Role::Assistant {
            judge.turn(turn, at >= current);
        }
    }
    if target.repair == Some(Repair::DropItemIds) {
        drop_item_ids(&mut request.turns);
    }
}

/// The first turn behind the last one in which the user spoke. Results that end the conversation go on with the loop,
/// whatever is said behind them. When an upstream missed signatures it drew the line further back: then no results end
/// the loop.
fn current_loop(turns: &[Turn], repair: Option<Repair>) -> usize {
    let is_result = |block: &Block| matches!(block.content, Content::ToolResult(_));
    let speaks = |at: usize, turn: &Turn| {
        let is_answer = turn.blocks.iter().any(is_result);
        let goes_on = is_answer && (at + 1 == turns.len() || repair == Some(Repair::Sentinels));
        turn.role == Role::User && !goes_on && !turn.blocks.iter().all(is_result)
    };
    let last = turns.iter().enumerate().rev().find(|(at, turn)| speaks(*at, turn));
    last.map_or(0, |(at, _)| at + 1)
}

struct Judge<'a> {
    target: &'a Target<'a>,
}

impl Judge<'_> {
    /// Whether the upstream is one of Google's, with signatures on the parts they sign.
    fn signs_parts(&self) -> bool {
        let profile = self.target.profile;
        matches!(profile.format, Format::Gemini | Format::Chat) && profile.owner == Owner::Google
    }

    fn accepts(&self, state: &Opaque) -> bool {
        let profile = self.target.profile;
        if state.data.is_empty() {
            return false;
        }
        match (profile.format, state.kind) {
            (Format::Chat, OpaqueKind::RouterDetail) => {
                profile.reasoning_history == ReasoningHistory::Details
            }
            (Format::Claude, OpaqueKind::ClaudeSignature | OpaqueKind::ClaudeRedacted) => {
                state.owner == profile.owner
            }
            (Format::Responses, OpaqueKind::OpenAiEncrypted | OpaqueKind::Compaction) => {
                state.owner == profile.owner
                    && self.target.repair != Some(Repair::DropEncrypted)
                    && is_in_scope(state.scope.as_deref(), self.target.scope)
            }
            (Format::Gemini, OpaqueKind::GeminiThought) => {
                state.owner == profile.owner && self.target.repair != Some(Repair::DropThinking)
            }
            (Format::Chat, OpaqueKind::GeminiThought) => self.signs_parts() && state.owner == Owner::Google,
            _ => false,
        }
    }

    fn turn(&self, turn: &mut Turn, is_current: bool) {
        if self.signs_parts() {
            self.put_back(turn);
        }
        for block in &mut turn.blocks {
            let slot = match &mut block.content {
                Content::Text(text) => &mut text.opaque,
                Content::Image(image) => &mut image.opaque,
                Content::ToolCall(call) => &mut call.opaque,
                Content::Reasoning(reasoning) => {
                    reasoning.opaque.retain(|state| self.accepts(state));
                    if is_current && reasoning.opaque.is_empty() {
                        self.recall_by_text(reasoning);
                    }
                    self.complete(reasoning);
                    continue;
                }
                _ => continue,
            };
            slot.take_if(|state| !self.accepts(state));
        }
        if is_current {
            self.recall_by_call(turn);
        }
        self.drop_reasoning(turn, is_current);
        if self.signs_parts() && is_current {
            self.stand_in(turn);
        }
    }

    /// Takes Google's signatures out of reasoning blocks and gives them to the parts they came on.
    fn put_back(&self, turn: &mut Turn) {
        let mut at = 0;
        while at < turn.blocks.len() {
            let states = match turn.blocks.get_mut(at).map(|block| &mut block.content) {
                Some(Content::Reasoning(reasoning)) => {
                    let (own, away): (Vec<Opaque>, Vec<Opaque>) = std::mem::take(&mut reasoning.opaque)
                        .into_iter()
                        .partition(|state| state.anchor == Anchor::This || !self.accepts(state));
                    reasoning.opaque = own;
                    away
                }
                _ => Vec::new(),
            };
            for state in states {
                attach(turn, at, state);
            }
            at += 1;
        }
    }

    /// What the memory knows of a thinking text whose state got lost.
    fn recall_by_text(&self, reasoning: &mut Reasoning) {
        let Some(memory) = self.target.memory else { return };
        let text = reasoning.text();
        if !text.is_empty()
            && let Some(known) = memory.by_text(&text)
        {
            reasoning.opaque.extend(known.opaque.into_iter().filter(|state| self.accepts(state)));
        }
    }

    /// What the memory knows of the turn's calls, where the client brought nothing of it.
    fn recall_by_call(&self, turn: &mut Turn) {
        let Some(memory) = self.target.memory else { return };
        let mut at = 0;
        // Where thoughts of the next call would stand: the first ones lead the turn.
        let mut start = 0;
        while let Some(block) = turn.blocks.get(at) {
            let Content::ToolCall(call) = &block.content else {
                at += 1;
                continue;
            };
            let has_thoughts = turn.blocks.iter().take(at).skip(start).any(|block| self.is_useful(block));
            let is_signed = call.opaque.is_some();
            if !has_thoughts
                && !is_signed
                && let Some(Remembered { thoughts, signature }) = memory.by_call(&call.call_id)
            {
                if let Some(Content::ToolCall(call)) = turn.blocks.get_mut(at).map(|block| &mut block.content)
                {
                    call.opaque = signature.filter(|state| self.accepts(state));
                }
                let place = if start == 0 { 0 } else { at };
                let known: Vec<Block> =
                    thoughts.into_iter().filter_map(|thought| self.recalled(thought)).collect();
                at += known.len();
                turn.blocks.splice(place..place, known);
            }
            at += 1;
            start = at;
        }
    }

    /// Gives a thought that came back with its state, but with the end of its text alone, the whole text: the official
    /// JavaScript accumulator of Chat keeps of a member that it does not know the last piece, and signatures cover it all.
    fn complete(&self, reasoning: &mut Reasoning) {
        let Some(memory) = self.target.memory else { return };
        let Some(whole) = reasoning.opaque.iter().find_map(|state| memory.by_state(&state.data)) else {
            return;
        };
        let (said, text) = (reasoning.text(), whole.text());
        if said.len() < text.len() && text.ends_with(&said) {
            (reasoning.summary, reasoning.raw) = (whole.summary, whole.raw);
        }
    }

    /// A thought from the memory with what the upstream accepts of it; `None` when that is nothing.
    fn recalled(&self, mut thought: Reasoning) -> Option<Block> {
        // A signature of a thought is of no use without the part that came with it.
        if self.signs_parts() {
            return None;
        }
        thought.opaque.retain(|state| self.accepts(state));
        let block = Block::new(Content::Reasoning(thought));
        self.is_useful(&block).then_some(block)
    }

    fn is_useful(&self, block: &Block) -> bool {
        match &block.content {
            Content::Reasoning(reasoning) => {
                !reasoning.opaque.is_empty()
                    || (self.target.profile.format == Format::Chat && !reasoning.text().is_empty())
            }
            _ => false,
        }
    }

    /// Drops the reasoning blocks that the target does not want or cannot read.
    fn drop_reasoning(&self, turn: &mut Turn, is_current: bool) {
        let profile = self.target.profile;
        let has_calls = first_call(turn).is_some();
        let is_kept = |reasoning: &Reasoning| match profile.format {
            Format::Claude | Format::Responses => !reasoning.opaque.is_empty(),
            Format::Gemini => !reasoning.opaque.is_empty() && !reasoning.text().is_empty(),
            Format::Chat => match profile.reasoning_history {
                ReasoningHistory::None => false,
                ReasoningHistory::RequiredOnToolTurns => is_current && has_calls,
                ReasoningHistory::Content | ReasoningHistory::Reasoning => is_current,
                ReasoningHistory::Details => is_current || !reasoning.opaque.is_empty(),
            },
        };
        let before = turn.blocks.len();
        turn.blocks.retain(|block| match &block.content {
            Content::Reasoning(reasoning) => is_kept(reasoning),
            _ => true,
        });
        // An item whose reasoning is gone may not keep its identity: the service would look for the pair.
        if turn.blocks.len() < before && profile.format == Format::Responses {
            forget_ids(turn);
        }
    }

    /// Gemini checks the first call of every step of the current turn.
    fn stand_in(&self, turn: &mut Turn) {
        let is_repair = self.target.repair == Some(Repair::Sentinels);
        if !is_repair && !self.target.caps.needs_signatures {
            return;
        }
        if let Some(call) = first_call_mut(turn)
            && (is_repair || call.opaque.is_none())
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

/// Encrypted reasoning is read only by the credential scope that made it. What does not say its scope is tried.
fn is_in_scope(made: Option<&str>, used: Option<&str>) -> bool {
    match (made, used) {
        (Some(made), Some(used)) => made == used,
        _ => true,
    }
}

/// Gives `state`, found in the reasoning block at `from`, to the part it signs. What signs nothing of this turn is lost.
fn attach(turn: &mut Turn, from: usize, state: Opaque) {
    let slot = match state.anchor {
        Anchor::This => return,
        Anchor::ToolCall(ordinal) => {
            let wanted = usize::try_from(ordinal).unwrap_or(usize::MAX);
            let mut calls = turn.blocks.iter_mut().filter_map(|block| match &mut block.content {
                Content::ToolCall(call) => Some(&mut call.opaque),
                _ => None,
            });
            calls.nth(wanted)
        }
        Anchor::Text => {
            // The carrier stands before the text it signs, or behind when the signature came last.
            let is_text = |block: &Block| block.as_text().is_some_and(|text| text.opaque.is_none());
            let behind = turn.blocks.iter().skip(from).position(is_text).map(|at| at + from);
            let at = behind.or_else(|| turn.blocks.iter().take(from).rposition(is_text));
            at.and_then(|at| turn.blocks.get_mut(at)).and_then(|block| match &mut block.content {
                Content::Text(text) => Some(&mut text.opaque),
                _ => None,
            })
        }
        Anchor::TrailingEmptyText => {
            if first_call(turn).is_none() {
                let text = Text { opaque: Some(state), ..Text::default() };
                turn.blocks.push(Block::new(Content::Text(text)));
            }
            return;
        }
    };
    if let Some(slot) = slot.filter(|slot| slot.is_none()) {
        *slot = Some(state);
    }
}

fn first_call(turn: &Turn) -> Option<&ToolCall> {
    turn.blocks.iter().find_map(|block| match &block.content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    })
}

fn first_call_mut(turn: &mut Turn) -> Option<&mut ToolCall> {
    turn.blocks.iter_mut().find_map(|block| match &mut block.content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    })
}

/// Item ids and references point into a store that does not know them.
fn drop_item_ids(turns: &mut [Turn]) {
    for turn in turns {
        forget_ids(turn);
        turn.blocks.retain(|block| match &block.content {
            Content::Native(native) => {
                native.value.get("type").and_then(|kind| kind.to_text()).as_deref() != Some("item_reference")
            }
            _ => true,
        });
    }
}

fn forget_ids(turn: &mut Turn) {
    turn.id = None;
    for block in &mut turn.blocks {
        match &mut block.content {
            Content::ToolCall(call) => call.item_id = None,
            Content::Reasoning(reasoning) => reasoning.id = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
