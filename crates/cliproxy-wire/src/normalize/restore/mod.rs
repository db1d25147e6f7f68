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
mod tests {
    use super::*;
    use crate::model::{Response, Status};

    #[test]
    fn what_stood_in_for_a_member_goes_out_of_the_arguments() {
        let origin = ToolOrigin { stand_in: Some("_"), ..plain("f") };
        let pieces = [r#"{"a":1.0,"_"#, r#"":true}"#].map(|text| delta(Delta::Arguments(text.into())));
        let events = [call("f")].into_iter().chain(pieces).chain([block_stop()]).collect();
        let (out, _) = run(bridge("f", origin), events);
        assert_eq!(out.len(), 3);
        assert_eq!(out[1], delta(Delta::Arguments(r#"{"a":1.0}"#.into())));
    }

    fn bridge(wire: &str, origin: ToolOrigin) -> Bridge {
        Bridge { tools: BTreeMap::from([(wire.to_owned(), origin)]), ..Bridge::default() }
    }

    fn plain(name: &str) -> ToolOrigin {
        ToolOrigin { name: name.into(), namespace: None, is_custom: false, native_type: None, stand_in: None }
    }

    fn call(name: &str) -> Event {
        Event::BlockStart {
            candidate: 0,
            block: 0,
            kind: BlockKind::ToolCall {
                call_id: "c".into(),
                is_id_synthetic: false,
                item_id: None,
                name: name.into(),
                namespace: None,
                kind: CallKind::Function,
                native: None,
                caller: None,
                opaque: None,
            },
        }
    }

    fn delta(delta: Delta) -> Event {
        Event::Delta { candidate: 0, block: 0, delta }
    }

    fn stop(reason: StopReason) -> Event {
        Event::CandidateStop { candidate: 0, stop: Stop::new(reason) }
    }

    fn block_stop() -> Event {
        Event::BlockStop { candidate: 0, block: 0, full: None }
    }

    fn run(bridge: Bridge, events: Vec<Event>) -> (Vec<Event>, bool) {
        let mut restore = Restore::new(bridge);
        let mut out = Vec::new();
        for event in events {
            restore.event(event, &mut out);
        }
        (out, restore.is_finished())
    }

    fn name_of(event: &Event) -> (&str, Option<&str>) {
        match event {
            Event::BlockStart { kind: BlockKind::ToolCall { name, namespace, .. }, .. } => {
                (name, namespace.as_deref())
            }
            _ => panic!("no call: {event:?}"),
        }
    }

    #[test]
    fn j087_names_come_back_whatever_the_model_does_to_them() {
        for name in ["a_b", "default_api:a_b", "default_api.a_b", "A_B"] {
            let (out, _) = run(bridge("a_b", plain("a.b")), vec![call(name)]);
            assert_eq!(name_of(&out[0]).0, "a.b", "{name}");
        }
    }

    #[test]
    fn j240_names_unknown_to_the_map_pass_unchanged() {
        let (out, _) = run(bridge("a_b", plain("a.b")), vec![call("invented")]);
        assert_eq!(name_of(&out[0]).0, "invented");
    }

    #[test]
    fn j032_name_and_namespace_come_back_apart() {
        let origin = ToolOrigin { namespace: Some("ns".into()), ..plain("f") };
        let (out, _) = run(bridge("ns__f", origin), vec![call("ns__f")]);
        assert_eq!(name_of(&out[0]), ("f", Some("ns")));
    }

    #[test]
    fn free_form_input_streams_as_text() {
        let origin = ToolOrigin { is_custom: true, ..plain("f") };
        let events = vec![
            call("f"),
            delta(Delta::Arguments(r#"{"inp"#.into())),
            delta(Delta::Arguments(r#"ut":"a\n"#.into())),
            delta(Delta::Arguments(r#"b"}"#.into())),
            block_stop(),
        ];
        let (out, _) = run(bridge("f", origin), events);
        assert_eq!(out[1..3], [delta(Delta::Arguments("a\n".into())), delta(Delta::Arguments("b".into()))]);
        assert!(matches!(
            &out[0],
            Event::BlockStart { kind: BlockKind::ToolCall { kind: CallKind::Custom, .. }, .. }
        ));
        assert_eq!(out.len(), 4);
    }

    #[test]
    fn a_typed_tool_comes_back_as_its_item() {
        let origin = ToolOrigin { native_type: Some("local_shell_call".into()), ..plain("local_shell") };
        let (out, _) = run(bridge("local_shell", origin), vec![call("local_shell")]);
        let Event::BlockStart { kind: BlockKind::ToolCall { native: Some(native), .. }, .. } = &out[0] else {
            panic!("no item")
        };
        assert_eq!(native.value.as_str(), r#"{"type":"local_shell_call"}"#);
    }

    #[test]
    fn a_forced_structured_answer_is_text_and_ends_the_turn() {
        let bridge = Bridge { structured_tool: Some("structured_output".into()), ..Bridge::default() };
        let events = vec![
            call("structured_output"),
            delta(Delta::Arguments("{\"a\":1}".into())),
            block_stop(),
            stop(StopReason::ToolUse),
        ];
        let (out, _) = run(bridge, events);
        assert_eq!(
            out,
            [
                Event::BlockStart { candidate: 0, block: 0, kind: BlockKind::Text },
                delta(Delta::Text("{\"a\":1}".into())),
                block_stop(),
                stop(StopReason::EndTurn),
            ]
        );
    }

    fn stopping(sequences: &[&str]) -> Bridge {
        Bridge {
            stop_filter: sequences.iter().map(|sequence| Str::from(*sequence)).collect(),
            candidates: 1,
            ..Bridge::default()
        }
    }

    fn text_of(events: &[Event]) -> String {
        events
            .iter()
            .filter_map(|event| match event {
                Event::Delta { delta: Delta::Text(text), .. } => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    fn answer(text: &str, cut: usize) -> Vec<Event> {
        let mut events = vec![
            Event::Start(Box::new(Response::new(Format::Responses))),
            Event::BlockStart { candidate: 0, block: 0, kind: BlockKind::Text },
        ];
        let letters: Vec<char> = text.chars().collect();
        events.extend(letters.chunks(cut).map(|piece| delta(Delta::Text(piece.iter().collect()))));
        events.extend([
            block_stop(),
            stop(StopReason::EndTurn),
            Event::End { status: Status::Completed, ext: crate::model::Ext::new() },
        ]);
        events
    }

    #[test]
    fn j140_the_stop_text_and_what_follows_is_not_delivered() {
        for cut in 1..8 {
            let (out, is_finished) =
                run(stopping(&["ENDE", "END", "🛑x"]), answer("häll🛑 EN E🛑 ENDE more", cut));
            assert!(is_finished);
            assert!(text_of(&out).starts_with("häll🛑 EN E🛑 "), "{}", text_of(&out));
            assert_eq!(text_of(&out), "häll🛑 EN E🛑 ");
            let stops: Vec<_> = out
                .iter()
                .filter_map(|event| match event {
                    Event::CandidateStop { stop, .. } => Some((stop.reason, stop.sequence.as_deref())),
                    _ => None,
                })
                .collect();
            assert_eq!(stops.len(), 1);
            assert_eq!(stops[0].0, StopReason::StopSequence);
            assert!(matches!(out.last(), Some(Event::End { .. })));
            assert!(out.iter().any(|event| matches!(event, Event::Usage(usage) if usage.is_estimated)));
            assert_eq!(out.iter().filter(|event| matches!(event, Event::BlockStop { .. })).count(), 1);
        }
    }

    #[test]
    fn text_without_a_hit_arrives_whole() {
        for cut in 1..5 {
            let (out, is_finished) = run(stopping(&["STOP"]), answer("no ST OP here, STO", cut));
            assert!(!is_finished);
            assert_eq!(text_of(&out), "no ST OP here, STO");
            assert!(matches!(out.last(), Some(Event::End { .. })));
        }
    }

    #[test]
    fn one_of_several_answers_stops_alone() {
        let mut restore = Restore::new(Bridge { candidates: 2, ..stopping(&["X"]) });
        let mut out = Vec::new();
        for candidate in [0, 1] {
            restore.event(Event::BlockStart { candidate, block: 0, kind: BlockKind::Text }, &mut out);
        }
        let text = |candidate: u32, text: &str| Event::Delta {
            candidate,
            block: 0,
            delta: Delta::Text(text.into()),
        };
        restore.event(text(0, "aXb"), &mut out);
        assert!(!restore.is_finished());
        restore.event(text(1, "c"), &mut out);
        restore.event(text(0, "d"), &mut out);
        assert_eq!(text_of(&out), "ac");
        restore.event(text(1, "X"), &mut out);
        assert!(restore.is_finished());
    }
}
