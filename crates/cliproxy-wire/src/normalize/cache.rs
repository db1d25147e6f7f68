//! Prompt-cache marks within the target's limits.

use crate::format::Format;
use crate::model::{CacheMark, CacheTtl, Content, Tool};

use super::Work;

/// Most marks of a Claude request.
const MAX_MARKS: usize = 4;

/// Removes marks where the target reads none, and the surplus where it does.
pub(super) fn apply(work: &mut Work<'_>) {
    lift(work);
    let count = marks(work).count();
    let keeps_long = work.request.cache.retention.as_deref() == Some("24h");
    if count == 0 {
        // There the wish lengthens the marks.
        if keeps_long && work.target.profile.format == Format::Claude {
            work.notes.add("prompt_cache_retention");
        }
        return;
    }
    if !work.target.profile.has_cache_marks {
        marks(work).for_each(|mark| *mark = None);
        work.notes.add("cache_control");
        return;
    }
    if keeps_long && work.target.profile.format == Format::Claude {
        for mark in marks(work).flatten() {
            mark.ttl = Some(CacheTtl::OneHour);
        }
    }
    let most = MAX_MARKS - usize::from(work.request.cache.auto.is_some());
    if count > most {
        // The first keeps what never changes, the last ones follow the growing conversation.
        let surplus = count - most;
        marks(work).skip(1).take(surplus).for_each(|mark| *mark = None);
        work.notes.add("cache_control");
    }
}

/// Moves marks from inside a result to the result, and takes them off thinking, which cannot bear one.
fn lift(work: &mut Work<'_>) {
    for block in work.request.turns.iter_mut().flat_map(|turn| &mut turn.blocks) {
        match &mut block.content {
            Content::Reasoning(_) => block.cache = None,
            Content::ToolResult(result) => {
                for inner in &mut result.content {
                    let mark = inner.cache.take();
                    block.cache = block.cache.or(mark);
                }
            }
            _ => {}
        }
    }
}

/// The places that bear a mark, in the order in which the target reads them.
fn marks<'w>(work: &'w mut Work<'_>) -> impl Iterator<Item = &'w mut Option<CacheMark>> {
    let request = &mut work.request;
    let tools = request.tools.iter_mut().filter_map(|tool| match tool {
        Tool::Function { cache, .. } | Tool::Hosted { cache, .. } => Some(cache),
        Tool::Custom { .. } => None,
    });
    let instructions = request.instructions.iter_mut().map(|instruction| &mut instruction.cache);
    let blocks = request.turns.iter_mut().flat_map(|turn| &mut turn.blocks).map(|block| &mut block.cache);
    tools.chain(instructions).chain(blocks).filter(|mark| mark.is_some())
}
