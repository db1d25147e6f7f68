//! The way back: answers in the client's terms.
//!
//! [`Restore`] stands between the upstream's decoder and the client's encoder. It gives tools their names back, turns
//! emulated tools into what the client declared, and enforces stop sequences that the upstream does not know.

mod input;
mod stand_in;
mod stop;

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::{Bridge, ToolOrigin};
use crate::format::Format;
use crate::json::Raw;
use crate::model::{
    Arguments, Block, BlockKind, CallKind, Content, Delta, Event, Native, Stop, StopReason, Str, Text,
    ToolCall,
};

use super::arguments;
use input::Unwrap;
use stop::Filter;

/// Leads the events of an answer back to the client's terms: names, namespaces, free-form input, structured output,
/// stop sequences that the gateway enforces.
#[derive(Debug, Default)]
pub struct Restore {
    bridge: Bridge,
    filter: Filter,
    /// Blocks whose deltas change, by candidate and block.
    blocks: BTreeMap<(u32, u32), Mode>,
    /// Candidates with a call that is the client's.
    callers: BTreeSet<u32>,
}

/// What happens to the argument text of a call.
#[derive(Debug)]
enum Mode {
    /// It holds the input of a free-form tool.
    Input(Unwrap),
    /// It is the answer's text.
    Answer,
    /// Members of this name go out of it, once it is there.
    Without(&'static str, String),
}

impl Restore {
    /// The way back over `bridge`.
    pub fn new(bridge: Bridge) -> Self {
        let filter = Filter::new(&bridge.stop_filter, bridge.candidates);
        Self { bridge, filter, blocks: BTreeMap::new(), callers: BTreeSet::new() }
    }

    /// True when events pass unchanged, so that the caller can leave the stage out.
    pub fn is_identity(&self) -> bool {
        self.bridge.tools.is_empty()
            && self.bridge.structured_tool.is_none()
            && self.bridge.stop_filter.is_empty()
    }

    /// Passes one event on, changed, held back or multiplied.
    pub fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.filter.is_idle() {
            self.restore(event, &mut |event| out.push(event));
            return;
        }
        let mut restored = Vec::with_capacity(2);
        self.restore(event, &mut |event| restored.push(event));
        for event in restored {
            self.filter.event(event, out);
        }
    }

    /// True once a stop sequence was hit: the caller cancels the upstream, the events so far are complete.
    pub fn is_finished(&self) -> bool {
        self.filter.is_finished
    }

    fn restore(&mut self, mut event: Event, give: &mut dyn FnMut(Event)) {
        match &mut event {
            Event::BlockStart { candidate, block, kind } => {
                let at = (*candidate, *block);
                if let Some(changed) = self.start(at, kind) {
                    *kind = changed;
                }
            }
            Event::Delta { candidate, block, delta } => {
                let mode = self.blocks.get_mut(&(*candidate, *block));
                if let (Delta::Arguments(text), Some(mode)) = (&mut *delta, mode) {
                    match mode {
                        Mode::Answer => *delta = Delta::Text(std::mem::take(text)),
                        Mode::Without(_, held) => {
                            held.push_str(text);
                            return;
                        }
                        Mode::Input(unwrap) => {
                            *text = unwrap.push(text);
                            if text.is_empty() {
                                return;
                            }
                        }
                    }
                }
            }
            Event::BlockStop { candidate, block, full } => {
                let (candidate, block) = (*candidate, *block);
                let rest = match self.blocks.remove(&(candidate, block)) {
                    Some(Mode::Input(mut unwrap)) => unwrap.finish(),
                    Some(Mode::Without(name, held)) => stand_in::without(&held, name).into_owned(),
                    Some(Mode::Answer) | None => String::new(),
                };
                if !rest.is_empty() {
                    give(Event::Delta { candidate, block, delta: Delta::Arguments(rest) });
                }
                if let Some(full) = full {
                    self.full(full);
                }
            }
            Event::CandidateStop { candidate, stop } => self.stop(*candidate, stop),
            _ => {}
        }
        give(event);
    }

    /// Changes what begins; gives another kind of block where the client sees one.
    fn start(&mut self, at: (u32, u32), kind: &mut BlockKind) -> Option<BlockKind> {
        let BlockKind::ToolCall { name, namespace, kind, native, .. } = kind else { return None };
        if self.is_answer(name) {
            self.blocks.insert(at, Mode::Answer);
            return Some(BlockKind::Text);
        }
        self.callers.insert(at.0);
        let origin = origin(&self.bridge, name)?;
        *name = Str::clone(&origin.name);
        namespace.clone_from(&origin.namespace);
        if origin.is_custom {
            *kind = CallKind::Custom;
            self.blocks.insert(at, Mode::Input(Unwrap::default()));
        } else if let Some(name) = origin.stand_in {
            self.blocks.insert(at, Mode::Without(name, String::new()));
        }
        if let Some(item) = &origin.native_type {
            *native = Some(typed(item));
        }
        None
    }

    fn is_answer(&self, name: &str) -> bool {
        self.bridge.structured_tool.as_deref() == Some(name)
    }

    /// Changes a block that an upstream repeats as a whole.
    fn full(&self, block: &mut Block) {
        let Content::ToolCall(call) = &mut block.content else { return };
        if self.is_answer(&call.name) {
            block.content = Content::Text(Text::new(call.arguments.as_str()));
            return;
        }
        if let Some(origin) = origin(&self.bridge, &call.name) {
            restored(call, origin);
        }
    }

    /// A forced call that stood for the answer is no call to the client.
    fn stop(&self, candidate: u32, stop: &mut Stop) {
        let had_answer = self.bridge.structured_tool.is_some();
        if had_answer && stop.reason == StopReason::ToolUse && !self.callers.contains(&candidate) {
            stop.reason = StopReason::EndTurn;
            stop.native = None;
        }
    }
}

fn restored(call: &mut ToolCall, origin: &ToolOrigin) {
    call.name = Str::clone(&origin.name);
    call.namespace.clone_from(&origin.namespace);
    if origin.is_custom {
        call.kind = CallKind::Custom;
        let text = arguments::unwrap(call.arguments.as_str()).into_owned();
        call.arguments = Arguments::Text(text.into());
    }
    if let Some(name) = origin.stand_in
        && let Arguments::Json(text) = &mut call.arguments
    {
        let without = stand_in::without(text, name);
        if *without != **text {
            *text = without.into_owned().into();
        }
    }
    if let Some(item) = &origin.native_type {
        call.native = Some(typed(item));
    }
}

/// The beginning of a typed item; the encoder adds what the arguments say.
fn typed(item: &str) -> Native {
    Native { format: Format::Responses, value: Raw::object(|object| object.str("type", item)) }
}

/// The tool that a name in an answer means. Gemini may put its namespace before the name or change its case; models
/// also invent names, which pass.
fn origin<'b>(bridge: &'b Bridge, name: &str) -> Option<&'b ToolOrigin> {
    if let Some(origin) = bridge.tools.get(name) {
        return Some(origin);
    }
    if bridge.tools.is_empty() {
        return None;
    }
    let bare =
        name.strip_prefix("default_api").and_then(|rest| rest.strip_prefix([':', '.'])).unwrap_or(name);
    if let Some(origin) = bridge.tools.get(bare) {
        return Some(origin);
    }
    let mut alike = bridge.tools.iter().filter(|(wire, _)| wire.eq_ignore_ascii_case(bare));
    match (alike.next(), alike.next()) {
        (Some((_, origin)), None) => Some(origin),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
