//! Every tool call gets its result, directly behind it.
//!
//! All four formats refuse a history in which a call lacks its result, and they disagree about where results may stand.
//! Clients produce every disorder: text between call and result, results in another order, twice, before their call or
//! not at all. The order made here satisfies all four: the results of a turn's calls are the head of the user turn
//! behind it, in call order.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::{Block, Content, Role, Str, Text, ToolCall, ToolResult, Turn};

/// Stands in for a result that the history lacks.
const NO_RESULT: &str = "[no result was recorded for this tool call]";

/// Orders calls and results. Does nothing to a history that is in order.
pub(super) fn apply(turns: &mut Vec<Turn>) {
    if !is_paired(turns) {
        Repair::new(std::mem::take(turns)).run(turns);
    }
}

/// Calls of one turn up to which looking through all costs less than hashing.
const FEW_CALLS: usize = 16;

/// Whether every call has its result where it belongs and every result has its call.
pub(super) fn is_paired(turns: &[Turn]) -> bool {
    let mut open: Vec<&Str> = Vec::new();
    let mut many: HashSet<&Str> = HashSet::new();
    for turn in turns {
        match turn.role {
            Role::User => {
                let mut at_head = true;
                let mut expected = open.drain(..);
                for block in &turn.blocks {
                    match &block.content {
                        Content::ToolResult(result) => {
                            if !at_head || expected.next() != Some(&result.call_id) {
                                return false;
                            }
                        }
                        Content::ToolCall(_) => return false,
                        _ => at_head = false,
                    }
                }
                if expected.next().is_some() {
                    return false;
                }
            }
            Role::Assistant => {
                if !open.is_empty() {
                    return false;
                }
                many.clear();
                for block in &turn.blocks {
                    match &block.content {
                        Content::ToolCall(call) if call.call_id.is_empty() => return false,
                        Content::ToolCall(call) => {
                            let is_taken = if open.len() < FEW_CALLS {
                                open.contains(&&call.call_id)
                            } else {
                                if many.is_empty() {
                                    many.extend(&open);
                                }
                                !many.insert(&call.call_id)
                            };
                            if is_taken {
                                return false;
                            }
                            open.push(&call.call_id);
                        }
                        Content::ToolResult(_) => return false,
                        _ => {}
                    }
                }
            }
            Role::Instruction(_) => {
                if !open.is_empty() {
                    return false;
                }
            }
        }
    }
    open.is_empty()
}

/// The calls of a turn, in order.
pub(super) fn calls(turn: &Turn) -> impl Iterator<Item = &ToolCall> {
    turn.blocks.iter().filter_map(|block| match &block.content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    })
}

/// A call of the history and what was found for it.
struct Slot {
    turn: usize,
    id: Str,
    name: Str,
    is_id_synthetic: bool,
    result: Option<Block>,
}

/// A result of the history, taken out of its place.
struct Found {
    turn: usize,
    block: Block,
    slot: Option<usize>,
    is_dropped: bool,
}

/// The calls that a result with some id can belong to. Each is passed over once, however many share the id.
#[derive(Default)]
struct Calls {
    /// By turn.
    groups: Vec<Group>,
    /// How many groups stand before the result that is looked at.
    before: usize,
    /// Those of them that may have calls without a result.
    open: Vec<usize>,
    /// Where to look behind it.
    behind: usize,
}

/// Calls of one turn.
struct Group {
    turn: usize,
    slots: VecDeque<usize>,
    last: usize,
}

impl Calls {
    fn push(&mut self, turn: usize, slot: usize) {
        match self.groups.last_mut() {
            Some(group) if group.turn == turn => {
                group.slots.push_back(slot);
                group.last = slot;
            }
            _ => self.groups.push(Group { turn, slots: VecDeque::from([slot]), last: slot }),
        }
    }

    /// Goes on to the results of a turn.
    fn advance(&mut self, turn: usize) {
        while self.groups.get(self.before).is_some_and(|group| group.turn < turn) {
            self.open.push(self.before);
            self.before += 1;
        }
    }

    /// The first call without a result in the nearest turn before that has one.
    fn nearest(&mut self, is_free: impl Fn(usize) -> bool) -> Option<usize> {
        while let Some(group) = self.open.last().and_then(|at| self.groups.get_mut(*at)) {
            if let Some(slot) = group.take(&is_free) {
                return Some(slot);
            }
            self.open.pop();
        }
        None
    }

    /// The last call before.
    fn last(&self) -> Option<usize> {
        self.before.checked_sub(1).and_then(|at| self.groups.get(at)).map(|group| group.last)
    }

    /// The first call behind that has no result.
    fn behind(&mut self, is_free: impl Fn(usize) -> bool) -> Option<usize> {
        self.behind = self.behind.max(self.before);
        while let Some(group) = self.groups.get_mut(self.behind) {
            if let Some(slot) = group.take(&is_free) {
                return Some(slot);
            }
            self.behind += 1;
        }
        None
    }
}

impl Group {
    fn take(&mut self, is_free: impl Fn(usize) -> bool) -> Option<usize> {
        std::iter::from_fn(|| self.slots.pop_front()).find(|slot| is_free(*slot))
    }
}

/// Calls of one turn that have no result yet, in order and by name.
#[derive(Default)]
struct Nameless<'a> {
    turn: Option<usize>,
    /// Whose id the client gave.
    given: HashMap<&'a Str, VecDeque<usize>>,
    /// Whose id was made here.
    made: HashMap<&'a Str, VecDeque<usize>>,
    all: VecDeque<usize>,
}

impl<'a> Nameless<'a> {
    fn of(turn: usize, slots: impl Iterator<Item = (usize, &'a Slot)>) -> Self {
        let mut calls = Self { turn: Some(turn), ..Self::default() };
        for (at, slot) in slots {
            let by_name = if slot.is_id_synthetic { &mut calls.made } else { &mut calls.given };
            by_name.entry(&slot.name).or_default().push_back(at);
            calls.all.push_back(at);
        }
        calls
    }

    /// The first free call of the name; a result with an id has no call whose id the client gave.
    fn named(&mut self, name: &Str, has_id: bool, taken: &[bool]) -> Option<usize> {
        let own = self.made.get_mut(name).and_then(|calls| first_free(calls, taken));
        let given = self.given.get_mut(name).filter(|_| !has_id);
        let given = given.and_then(|calls| first_free(calls, taken));
        own.into_iter().chain(given).min()
    }

    fn any(&mut self, taken: &[bool]) -> Option<usize> {
        first_free(&mut self.all, taken)
    }
}

/// The first of the calls that has no result yet.
fn first_free(calls: &mut VecDeque<usize>, taken: &[bool]) -> Option<usize> {
    while calls.front().is_some_and(|at| taken.get(*at).copied().unwrap_or(true)) {
        calls.pop_front();
    }
    calls.front().copied()
}

struct Repair {
    turns: Vec<Turn>,
    slots: Vec<Slot>,
    by_id: HashMap<Str, Calls>,
}

impl Repair {
    fn new(source: Vec<Turn>) -> Self {
        let mut turns: Vec<Turn> = Vec::with_capacity(source.len());
        for mut turn in source {
            // A call in a user turn is a client's mistake; no format has a place for it.
            if turn.role == Role::Assistant
                && let Some(last) = turns.last_mut()
                && last.role == Role::Assistant
                && calls(last).next().is_some()
            {
                last.blocks.append(&mut turn.blocks);
                continue;
            }
            turns.push(turn);
        }
        let mut slots: Vec<Slot> = Vec::new();
        let mut by_id: HashMap<Str, Calls> = HashMap::new();
        for (at, turn) in turns.iter_mut().enumerate() {
            if turn.role != Role::Assistant {
                turn.blocks.retain(|block| !matches!(block.content, Content::ToolCall(_)));
                continue;
            }
            let first = slots.len();
            let mut taken: HashSet<Str> = HashSet::new();
            for block in &mut turn.blocks {
                let Content::ToolCall(call) = &mut block.content else { continue };
                if call.call_id.is_empty() {
                    call.is_id_synthetic = true;
                    call.call_id = own_id(call, at, slots.len() - first);
                } else if taken.contains(&call.call_id) {
                    // Two calls of one turn under one id: the results tell them apart by order.
                    let renamed = crate::id::hex(
                        &format!("{}_", call.call_id),
                        8,
                        &[&call.call_id, &(slots.len() - first).to_string()],
                    );
                    by_id.entry(Str::clone(&call.call_id)).or_default().push(at, slots.len());
                    call.call_id = renamed.into();
                }
                taken.insert(Str::clone(&call.call_id));
                by_id.entry(Str::clone(&call.call_id)).or_default().push(at, slots.len());
                slots.push(Slot {
                    turn: at,
                    id: Str::clone(&call.call_id),
                    name: Str::clone(&call.name),
                    is_id_synthetic: call.is_id_synthetic,
                    result: None,
                });
            }
        }
        Self { turns, slots, by_id }
    }

    fn run(mut self, out: &mut Vec<Turn>) {
        let mut found = self.take_results();
        self.assign_by_id(&mut found);
        self.assign_by_name(&mut found);
        let mut orphans: HashMap<usize, Vec<Block>> = HashMap::new();
        for Found { turn, block, slot, is_dropped } in found {
            match slot.and_then(|slot| self.slots.get_mut(slot)) {
                Some(slot) if !is_dropped => slot.result = Some(block),
                Some(_) => {}
                None => orphans.entry(turn).or_default().extend(orphan(block)),
            }
        }
        self.rebuild(orphans, out);
    }

    /// Takes the results out of the turns. An orphan's place is remembered as its turn only: text of the same user
    /// turn follows results anyway.
    fn take_results(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        for (turn, source) in self.turns.iter_mut().enumerate() {
            let is_result = |block: &Block| matches!(block.content, Content::ToolResult(_));
            if !source.blocks.iter().any(is_result) {
                continue;
            }
            let blocks = std::mem::take(&mut source.blocks);
            for block in blocks {
                if is_result(&block) {
                    found.push(Found { turn, block, slot: None, is_dropped: false });
                } else {
                    source.blocks.push(block);
                }
            }
        }
        found
    }

    fn assign_by_id(&mut self, found: &mut [Found]) {
        // Which of `found` a call has.
        let mut winners: Vec<Option<usize>> = vec![None; self.slots.len()];
        for at in 0..found.len() {
            let Some((turn, id)) = found.get(at).and_then(|found| Some((found.turn, id(found)?))) else {
                continue;
            };
            let Some(calls) = self.by_id.get_mut(&id) else { continue };
            calls.advance(turn);
            let is_free = |slot: usize| winners.get(slot).is_some_and(Option::is_none);
            if let Some(slot) = calls.nearest(is_free) {
                win(&mut winners, slot, at);
                set_slot(found, at, slot, false);
            } else if let Some(slot) = calls.last() {
                // A second result for the same call: the last one with content stays.
                let is_empty = found.get(at).is_none_or(|found| is_empty(&found.block));
                let loser = if is_empty { at } else { win(&mut winners, slot, at).unwrap_or(at) };
                set_slot(found, at, slot, false);
                set_slot(found, loser, slot, true);
            } else if let Some(slot) = calls.behind(is_free) {
                win(&mut winners, slot, at);
                set_slot(found, at, slot, false);
            }
        }
    }

    /// Results without an id that a call has: Gemini and the deprecated functions pair by name and order.
    fn assign_by_name(&self, found: &mut [Found]) {
        if found.iter().all(|found| found.slot.is_some()) {
            return;
        }
        let mut taken: Vec<bool> = vec![false; self.slots.len()];
        for slot in found.iter().filter_map(|found| found.slot) {
            if let Some(taken) = taken.get_mut(slot) {
                *taken = true;
            }
        }
        // The last turn of the model at or before each turn.
        let mut spoke = None;
        let spoken: Vec<Option<usize>> = (self.turns.iter().enumerate())
            .map(|(at, turn)| {
                if turn.role == Role::Assistant {
                    spoke = Some(at);
                }
                spoke
            })
            .collect();
        let mut calls = Nameless::default();
        for found in found.iter_mut().filter(|found| found.slot.is_none()) {
            let Content::ToolResult(result) = &found.block.content else { continue };
            let end = self.slots.partition_point(|slot| slot.turn < found.turn);
            let Some(call_turn) =
                end.checked_sub(1).and_then(|last| self.slots.get(last)).map(|slot| slot.turn)
            else {
                continue;
            };
            // Only the content directly before: a model turn between says that the call is closed.
            let last = found.turn.checked_sub(1).and_then(|before| spoken.get(before).copied().flatten());
            if last.is_some_and(|last| last > call_turn) {
                continue;
            }
            if calls.turn != Some(call_turn) {
                let first = self.slots.partition_point(|slot| slot.turn < call_turn);
                calls = Nameless::of(call_turn, self.slots.iter().enumerate().take(end).skip(first));
            }
            let has_id = !result.call_id.is_empty();
            let by_name = result.name.as_ref().and_then(|name| calls.named(name, has_id, &taken));
            let any = |calls: &mut Nameless<'_>| if has_id { None } else { calls.any(&taken) };
            if let Some(at) = by_name.or_else(|| any(&mut calls)) {
                found.slot = Some(at);
                if let Some(taken) = taken.get_mut(at) {
                    *taken = true;
                }
            }
        }
    }

    fn rebuild(self, mut orphans: HashMap<usize, Vec<Block>>, out: &mut Vec<Turn>) {
        out.reserve(self.turns.len() + 1);
        let mut slots = self.slots.into_iter().peekable();
        let mut results: Vec<Block> = Vec::new();
        for (at, mut turn) in self.turns.into_iter().enumerate() {
            if let Some(mut blocks) = orphans.remove(&at) {
                blocks.append(&mut turn.blocks);
                turn.blocks = blocks;
            }
            if !results.is_empty() {
                if turn.role == Role::User {
                    results.append(&mut turn.blocks);
                    turn.blocks = std::mem::take(&mut results);
                } else {
                    out.push(Turn::new(Role::User, std::mem::take(&mut results)));
                }
            }
            while let Some(slot) = slots.next_if(|slot| slot.turn == at) {
                results.push(settled(slot));
            }
            out.push(turn);
        }
        if !results.is_empty() {
            out.push(Turn::new(Role::User, results));
        }
    }
}

/// Gives a call its result; what comes back is the one that it had.
fn win(winners: &mut [Option<usize>], slot: usize, at: usize) -> Option<usize> {
    winners.get_mut(slot).and_then(|winner| winner.replace(at))
}

fn set_slot(found: &mut [Found], at: usize, slot: usize, is_dropped: bool) {
    if let Some(found) = found.get_mut(at) {
        found.slot = Some(slot);
        found.is_dropped = is_dropped;
    }
}

fn id(found: &Found) -> Option<Str> {
    match &found.block.content {
        Content::ToolResult(result) if !result.call_id.is_empty() => Some(Str::clone(&result.call_id)),
        _ => None,
    }
}

/// The id of a call whose source gave none: a function of its place and content, so that the same history gives the
/// same id with every request.
fn own_id(call: &ToolCall, turn: usize, ordinal: usize) -> Str {
    let hash = crate::id::hex("", 8, &[&call.name, call.arguments.as_str()]);
    format!("call_h{turn}_{ordinal}_{hash}").into()
}

fn is_empty(result: &Block) -> bool {
    match &result.content {
        Content::ToolResult(result) => {
            result.structured.is_none()
                && result.content.iter().all(|block| block.as_text().is_some_and(|text| text.text.is_empty()))
        }
        _ => false,
    }
}

/// The result of a call, under the call's id and name.
fn settled(slot: Slot) -> Block {
    let Some(mut block) = slot.result else {
        return Block::new(Content::ToolResult(ToolResult {
            call_id: slot.id,
            name: Some(slot.name),
            kind: crate::model::CallKind::Function,
            content: vec![Block::text(NO_RESULT)],
            structured: None,
            is_error: Some(true),
            native: None,
        }));
    };
    if let Content::ToolResult(result) = &mut block.content {
        result.call_id = slot.id;
        result.name = Some(slot.name);
    }
    block
}

/// A result whose call is nowhere (compacted histories have them) as what the user says.
fn orphan(block: Block) -> Vec<Block> {
    let Block { content: Content::ToolResult(result), cache, .. } = block else { return Vec::new() };
    let label = result.name.as_ref().filter(|name| !name.is_empty()).unwrap_or(&result.call_id);
    let label = if label.is_empty() { "" } else { label };
    let mut text = format!("Result of tool {label}:");
    let mut media = Vec::new();
    for block in result.content {
        match &block.content {
            Content::Text(Text { text: part, .. }) => {
                text.push('\n');
                text.push_str(part);
            }
            _ => media.push(block),
        }
    }
    let mut first = Block::text(text);
    first.cache = cache;
    let mut blocks = vec![first];
    blocks.append(&mut media);
    blocks
}

#[cfg(test)]
mod tests;
