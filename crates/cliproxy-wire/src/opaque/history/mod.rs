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
    let judge = Judge { target, origin: request.origin };
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
    origin: Format,
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
                profile.reasoning_history == ReasoningHistory::Details && self.origin == Format::Chat
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
mod tests {
    use super::*;
    use crate::catalog::{self, Caps};
    use crate::model::{Arguments, CallKind, ToolResult};
    use crate::opaque::Memory;
    use crate::profile::Profile;
    use crate::reasoning::Table;
    use crate::schema::Cleaned;

    fn state(owner: Owner, kind: OpaqueKind, data: &str, anchor: Anchor) -> Opaque {
        Opaque { owner, kind, scope: None, model: None, data: data.into(), anchor }
    }

    fn google(data: &str, anchor: Anchor) -> Opaque {
        state(Owner::Google, OpaqueKind::GeminiThought, data, anchor)
    }

    fn thinking(text: &str, opaque: Vec<Opaque>) -> Block {
        let summary = if text.is_empty() { Vec::new() } else { vec![text.into()] };
        Block::new(Content::Reasoning(Reasoning { summary, opaque, ..Reasoning::default() }))
    }

    fn call(id: &str) -> Block {
        Block::new(Content::ToolCall(ToolCall {
            call_id: id.into(),
            is_id_synthetic: false,
            item_id: Some("fc_1".into()),
            name: "f".into(),
            namespace: None,
            kind: CallKind::Function,
            arguments: Arguments::Json("{}".into()),
            native: None,
            caller: None,
            opaque: None,
        }))
    }

    fn results(ids: &[&str]) -> Turn {
        let result = |id: &&str| {
            Block::new(Content::ToolResult(ToolResult {
                call_id: (*id).into(),
                name: None,
                kind: CallKind::Function,
                content: vec![Block::text("r")],
                structured: None,
                is_error: None,
                native: None,
            }))
        };
        Turn::new(Role::User, ids.iter().map(result).collect())
    }

    fn user() -> Turn {
        Turn::new(Role::User, vec![Block::text("go")])
    }

    fn model(blocks: Vec<Block>) -> Turn {
        Turn::new(Role::Assistant, blocks)
    }

    #[derive(Default)]
    struct Setting<'a> {
        scope: Option<&'a str>,
        memory: Option<&'a dyn Memory>,
        repair: Option<Repair>,
    }

    fn filter(profile: &Profile, caps: &Caps, setting: &Setting<'_>, turns: Vec<Turn>) -> Vec<Turn> {
        let mut request = Request::new(Format::Claude, "m");
        request.turns = turns;
        let (table, schemas) = (Table::default(), Cleaned::default());
        let target = Target {
            profile,
            caps,
            model: "m",
            suffix: None,
            stream: false,
            scope: setting.scope,
            strictness: crate::codec::Strictness::Default,
            table: &table,
            schemas: &schemas,
            memory: setting.memory,
            repair: setting.repair,
        };
        filter_history(&mut request, &target);
        request.turns
    }

    fn gemini3(setting: &Setting<'_>, turns: Vec<Turn>) -> Vec<Turn> {
        filter(&Profile::gemini(), &catalog::caps("gemini-3-pro-preview"), setting, turns)
    }

    /// The signatures of the calls of a turn.
    fn signatures(turn: &Turn) -> Vec<Option<&str>> {
        turn.blocks
            .iter()
            .filter_map(|block| match &block.content {
                Content::ToolCall(call) => Some(call.opaque.as_ref().map(|state| &*state.data)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn j088_the_first_call_of_every_step_of_the_current_turn_is_signed() {
        let turns = gemini3(
            &Setting::default(),
            vec![
                user(),
                model(vec![thinking("", vec![google("own", Anchor::ToolCall(0))]), call("a"), call("b")]),
                results(&["a", "b"]),
                model(vec![
                    thinking(
                        "t",
                        vec![state(Owner::Anthropic, OpaqueKind::ClaudeSignature, "c", Anchor::This)],
                    ),
                    call("c"),
                    call("d"),
                ]),
                results(&["c", "d"]),
            ],
        );
        assert_eq!(signatures(&turns[1]), [Some("own"), None]);
        assert_eq!(signatures(&turns[3]), [Some(SENTINEL), None]);
        assert_eq!(turns[3].blocks.len(), 2, "foreign thinking is gone");
    }

    #[test]
    fn j089_earlier_turns_and_older_models_get_no_sentinel() {
        let turns =
            vec![user(), model(vec![call("a")]), results(&["a"]), model(vec![Block::text("done")]), user()];
        assert_eq!(signatures(&gemini3(&Setting::default(), turns.clone())[1]), [None]);
        let older = filter(
            &Profile::gemini(),
            &catalog::caps("gemini-2.5-pro"),
            &Setting::default(),
            vec![user(), model(vec![call("a")]), results(&["a"])],
        );
        assert_eq!(signatures(&older[1]), [None]);
    }

    #[test]
    fn j090_signatures_return_to_the_part_they_came_on() {
        let turns = gemini3(
            &Setting::default(),
            vec![
                user(),
                model(vec![
                    thinking("thought", vec![google("t", Anchor::This)]),
                    Block::text("a"),
                    thinking("", vec![google("x", Anchor::Text)]),
                    thinking("", vec![google("2", Anchor::ToolCall(1))]),
                    call("a"),
                    call("b"),
                ]),
                results(&["a", "b"]),
                model(vec![Block::text("end"), thinking("", vec![google("e", Anchor::TrailingEmptyText)])]),
            ],
        );
        assert_eq!(signatures(&turns[1]), [Some(SENTINEL), Some("2")]);
        assert_eq!(turns[1].blocks[1].as_text().unwrap().opaque.as_ref().unwrap().data, "x".into());
        assert!(matches!(&turns[1].blocks[0].content, Content::Reasoning(own) if own.opaque.len() == 1));
        let last = turns[3].blocks.last().unwrap().as_text().unwrap();
        assert_eq!((&*last.text, last.opaque.as_ref().map(|state| &*state.data)), ("", Some("e")));
    }

    #[test]
    fn j108_a_repair_writes_sentinels_over_what_was_refused() {
        let setting = Setting { repair: Some(Repair::Sentinels), ..Setting::default() };
        let mut signed = call("a");
        if let Content::ToolCall(call) = &mut signed.content {
            call.opaque = Some(google("bad", Anchor::This));
        }
        let turns = gemini3(&setting, vec![user(), model(vec![signed]), results(&["a"])]);
        assert_eq!(signatures(&turns[1]), [Some(SENTINEL)]);
    }

    fn encrypted(scope: Option<&str>) -> Vec<Turn> {
        let mut own = state(Owner::OpenAi, OpaqueKind::OpenAiEncrypted, "gAAAA", Anchor::This);
        own.scope = scope.map(Into::into);
        vec![user(), model(vec![thinking("s", vec![own]), call("a")]), results(&["a"])]
    }

    #[test]
    fn j130_encrypted_content_of_another_scope_is_dropped_with_the_ids_behind_it() {
        let profile = Profile::openai_responses();
        let caps = catalog::caps("gpt-5.1");
        for (made, used, is_kept) in [
            (Some("one"), Some("one"), true),
            (Some("one"), Some("two"), false),
            (None, Some("two"), true),
            (Some("one"), None, true),
        ] {
            let setting = Setting { scope: used, ..Setting::default() };
            let turns = filter(&profile, &caps, &setting, encrypted(made));
            assert_eq!(turns[1].blocks.len() == 2, is_kept, "{made:?} {used:?}");
            assert_eq!(first_call(&turns[1]).unwrap().item_id.is_some(), is_kept);
        }
    }

    #[test]
    fn j131_a_repair_drops_what_could_not_be_read() {
        let setting = Setting { repair: Some(Repair::DropEncrypted), ..Setting::default() };
        let turns =
            filter(&Profile::openai_responses(), &catalog::caps("gpt-5.1"), &setting, encrypted(None));
        assert_eq!(turns[1].blocks.len(), 1);
    }

    #[test]
    fn reasoning_text_goes_back_only_to_relatives_that_want_it() {
        let turns = || {
            vec![
                user(),
                model(vec![thinking("old", Vec::new()), Block::text("x")]),
                user(),
                model(vec![thinking("new", Vec::new()), call("a")]),
                results(&["a"]),
            ]
        };
        for (history, kept) in [
            (ReasoningHistory::None, [false, false]),
            (ReasoningHistory::RequiredOnToolTurns, [false, true]),
            (ReasoningHistory::Content, [false, true]),
        ] {
            let profile = Profile { reasoning_history: history, ..Profile::compatible() };
            let turns = filter(&profile, &Caps::unknown(), &Setting::default(), turns());
            assert_eq!([turns[1].blocks.len() == 2, turns[3].blocks.len() == 2], kept, "{history:?}");
        }
    }

    #[derive(Debug)]
    struct Known;

    impl Memory for Known {
        fn by_call(&self, call_id: &str) -> Option<Remembered> {
            (call_id == "a").then(|| Remembered {
                thoughts: self.by_text("why").into_iter().collect(),
                signature: Some(google("g", Anchor::ToolCall(0))),
            })
        }

        fn by_text(&self, text: &str) -> Option<Reasoning> {
            let opaque = vec![state(Owner::Anthropic, OpaqueKind::ClaudeSignature, "c", Anchor::This)];
            let summary = vec!["why".into()];
            (text == "why").then(|| Reasoning { summary, opaque, ..Reasoning::default() })
        }

        fn by_state(&self, data: &str) -> Option<Reasoning> {
            (data == "c").then(|| self.by_text("why")).flatten()
        }
    }

    #[test]
    fn a_thought_whose_beginning_got_lost_is_made_whole_again_and_others_are_not() {
        let setting = Setting { memory: Some(&Known), ..Setting::default() };
        let signed = |text: &str, data: &str| {
            let state = state(Owner::Anthropic, OpaqueKind::ClaudeSignature, data, Anchor::This);
            let turns =
                vec![user(), model(vec![thinking(text, vec![state]), call("a")]), results(&["a"]), user()];
            let turns = filter(&Profile::claude(), &catalog::caps("claude-sonnet-4-5"), &setting, turns);
            match &turns[1].blocks[0].content {
                Content::Reasoning(reasoning) => reasoning.text(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(signed("hy", "c"), "why");
        assert_eq!(signed("hy", "of another thought"), "hy");
        assert_eq!(signed("what the user made of it", "c"), "what the user made of it");
    }

    #[test]
    fn the_memory_gives_back_what_the_client_lost() {
        let setting = Setting { memory: Some(&Known), ..Setting::default() };
        let lost = || vec![user(), model(vec![call("a")]), results(&["a"])];
        assert_eq!(signatures(&gemini3(&setting, lost())[1]), [Some("g")]);
        let claude = |turns| filter(&Profile::claude(), &catalog::caps("claude-sonnet-4-5"), &setting, turns);
        let by_call = claude(lost());
        let behind_text =
            claude(vec![user(), model(vec![Block::text("So."), call("a"), call("b")]), results(&["a", "b"])]);
        let by_text =
            claude(vec![user(), model(vec![thinking("why", Vec::new()), call("x")]), results(&["x"])]);
        for turns in [by_call, by_text, behind_text] {
            let Content::Reasoning(own) = &turns[1].blocks[0].content else { panic!("thinking") };
            assert_eq!((own.text().as_str(), own.opaque.len(), &*own.opaque[0].data), ("why", 1, "c"));
        }
    }
}
