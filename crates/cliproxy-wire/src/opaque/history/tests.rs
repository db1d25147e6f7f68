//! What of a history goes back, and to where.

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
                thinking("t", vec![state(Owner::Anthropic, OpaqueKind::ClaudeSignature, "c", Anchor::This)]),
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
    assert_eq!(turns[1].blocks[1].as_text().unwrap().opaque.as_ref().unwrap().data, "x");
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
    let turns = filter(&Profile::openai_responses(), &catalog::caps("gpt-5.1"), &setting, encrypted(None));
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
    let by_text = claude(vec![user(), model(vec![thinking("why", Vec::new()), call("x")]), results(&["x"])]);
    for turns in [by_call, by_text, behind_text] {
        let Content::Reasoning(own) = &turns[1].blocks[0].content else { panic!("thinking") };
        assert_eq!((own.text().as_str(), own.opaque.len(), &*own.opaque[0].data), ("why", 1, "c"));
    }
}
