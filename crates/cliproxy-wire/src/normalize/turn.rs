//! Turns as the target wants them: none empty, alternating where it insists, a user first, no continuation where it
//! refuses one.

use crate::Error;
use crate::codec::Strictness;
use crate::format::Format;
use crate::model::{Block, Content, Role, Turn};

use super::Work;

/// Stands before a conversation that begins with the model.
const CONTINUED: &str = "(conversation continues)";

/// Drops blocks without content and turns without blocks.
pub(super) fn drop_empty(turns: &mut Vec<Turn>, format: Format) {
    let is_kept = |block: &Block| is_said(block, format);
    for turn in turns.iter_mut() {
        if !turn.blocks.iter().all(is_kept) {
            turn.blocks.retain(is_kept);
        }
    }
    if turns.iter().any(|turn| turn.blocks.is_empty()) {
        turns.retain(|turn| !turn.blocks.is_empty());
    }
}

fn is_said(block: &Block, format: Format) -> bool {
    match &block.content {
        Content::Text(text) if text.opaque.is_some() => true,
        Content::Text(text) if format == Format::Claude => !text.text.is_blank(),
        Content::Text(text) => !text.text.is_empty(),
        Content::Refusal(text) => !text.is_empty(),
        Content::Reasoning(reasoning) => {
            !reasoning.opaque.is_empty()
                || reasoning.is_redacted
                || reasoning.summary.iter().chain(&reasoning.raw).any(|part| !part.is_empty())
        }
        _ => true,
    }
}

/// Drops empty text inside results that hold something else, too.
pub(super) fn drop_empty_in_results(turns: &mut [Turn], format: Format) {
    for block in turns.iter_mut().filter(|turn| turn.role == Role::User).flat_map(|turn| &mut turn.blocks) {
        if let Content::ToolResult(result) = &mut block.content
            && result.content.len() > 1
            && !result.content.iter().all(|block| is_said(block, format))
        {
            result.content.retain(|block| is_said(block, format));
        }
    }
}

/// Joins neighbours of equal role where the target checks the alternation. Never joins two blocks.
pub(super) fn merge(turns: &mut Vec<Turn>, format: Format) {
    if !matches!(format, Format::Claude | Format::Gemini) {
        return;
    }
    let is_alternating = turns.iter().zip(turns.iter().skip(1)).all(|(left, right)| left.role != right.role);
    if is_alternating {
        return;
    }
    let source = std::mem::take(turns);
    for mut turn in source {
        match turns.last_mut() {
            Some(last) if last.role == turn.role => last.blocks.append(&mut turn.blocks),
            _ => turns.push(turn),
        }
    }
}

/// Claude and Gemini need a user turn, and need it first.
///
/// # Errors
/// When the client has said nothing at all, for which no words are made up.
pub(super) fn ensure_user(work: &mut Work<'_>) -> Result<(), Error> {
    if !matches!(work.target.profile.format, Format::Claude | Format::Gemini) {
        return Ok(());
    }
    let request = &mut work.request;
    match request.turns.first() {
        None => {
            let mut blocks: Vec<Block> = std::mem::take(&mut request.instructions)
                .into_iter()
                .map(|instruction| Block { cache: instruction.cache, ..Block::text(instruction.text) })
                .filter(|block| is_said(block, Format::Claude))
                .collect();
            if blocks.is_empty() && work.layout.is_empty() {
                let list = work.layout.list();
                return Err(Error::unsupported(list, "the conversation is empty; send at least one message"));
            }
            if blocks.is_empty() {
                blocks.push(Block::text(CONTINUED));
            }
            request.turns.push(Turn::new(Role::User, blocks));
        }
        Some(first) if first.role != Role::User => {
            request.turns.insert(0, Turn::new(Role::User, vec![Block::text(CONTINUED)]));
        }
        Some(_) => {}
    }
    Ok(())
}

/// A last assistant turn asks the model to go on with it; not every target does.
///
/// # Errors
/// In strict mode, where the target cannot.
pub(super) fn prefill(work: &mut Work<'_>) -> Result<(), Error> {
    let Some(last) = work.request.turns.last_mut().filter(|turn| turn.role == Role::Assistant) else {
        return Ok(());
    };
    let takes_prefill = match work.target.profile.format {
        Format::Chat | Format::Responses => return Ok(()),
        // A paused turn of a hosted tool is sent back as it is.
        Format::Claude => {
            work.target.caps.has_prefill
                || last.blocks.last().is_some_and(
                    |block| matches!(&block.content, Content::Hosted(hosted) if hosted.native.format == Format::Claude),
                )
        }
        Format::Gemini => false,
    };
    if takes_prefill {
        if let Some(Content::Text(text)) = last.blocks.last_mut().map(|block| &mut block.content) {
            let trimmed = text.text.trim_end();
            if trimmed.len() < text.text.len() {
                text.text = trimmed.into();
            }
        }
        return Ok(());
    }
    let path = work.layout.last();
    if work.target.strictness == Strictness::Strict {
        return Err(Error::unsupported(
            path,
            format!(
                "the model {} of {} does not continue a started answer; end the conversation with a user message",
                work.target.model, work.target.profile.name
            ),
        ));
    }
    work.request.turns.pop();
    work.notes.add(path);
    Ok(())
}
