//! Disorders of calls and results, and what becomes of them.

use super::*;
use crate::model::{Arguments, CallKind};

fn call(id: &str) -> Block {
    named(id, "f")
}

fn named(id: &str, name: &str) -> Block {
    Block::new(Content::ToolCall(ToolCall {
        call_id: id.into(),
        is_id_synthetic: id.starts_with("call_h"),
        item_id: None,
        name: name.into(),
        namespace: None,
        kind: CallKind::Function,
        arguments: Arguments::Json("{}".into()),
        native: None,
        caller: None,
        opaque: None,
    }))
}

fn result(id: &str, text: &str) -> Block {
    answer(id, None, text)
}

fn answer(id: &str, name: Option<&str>, text: &str) -> Block {
    Block::new(Content::ToolResult(ToolResult {
        call_id: id.into(),
        name: name.map(Into::into),
        kind: CallKind::Function,
        content: vec![Block::text(text)],
        structured: None,
        is_error: None,
        native: None,
    }))
}

fn user(blocks: Vec<Block>) -> Turn {
    Turn::new(Role::User, blocks)
}

fn model(blocks: Vec<Block>) -> Turn {
    Turn::new(Role::Assistant, blocks)
}

/// One letter per block: `c` call, `r` result, `t` text; turns by `|`.
fn shape(turns: &[Turn]) -> String {
    let word = |block: &Block| match &block.content {
        Content::ToolCall(call) => format!(" c:{}", call.call_id),
        Content::ToolResult(result) => {
            let text: Vec<&str> =
                result.content.iter().map(|block| &*block.as_text().unwrap().text).collect();
            format!(" r:{}={}", result.call_id, text.concat())
        }
        Content::Text(text) => format!(" t:{}", text.text),
        _ => " ?".to_owned(),
    };
    let turns: Vec<String> = turns
        .iter()
        .map(|turn| {
            let who = if turn.role == Role::User { "U" } else { "A" };
            let words: Vec<String> = turn.blocks.iter().map(word).collect();
            format!("{who}{}", words.concat())
        })
        .collect();
    turns.join("|")
}

fn paired(mut turns: Vec<Turn>) -> String {
    apply(&mut turns);
    assert!(is_paired(&turns), "{}", shape(&turns));
    let once = shape(&turns);
    apply(&mut turns);
    assert_eq!(shape(&turns), once);
    once
}

#[test]
fn j051_user_text_between_call_and_result_moves_after_the_results() {
    assert_eq!(
        paired(vec![model(vec![call("a")]), user(vec![Block::text("wait")]), user(vec![result("a", "1")]),]),
        "A c:a|U r:a=1 t:wait|U"
    );
    assert_eq!(
        paired(vec![model(vec![call("a")]), user(vec![Block::text("x"), result("a", "1")])]),
        "A c:a|U r:a=1 t:x"
    );
}

#[test]
fn j052_a_missing_result_is_synthesised() {
    let mut turns = vec![model(vec![call("a"), call("b")]), user(vec![result("b", "2")])];
    apply(&mut turns);
    assert_eq!(shape(&turns), format!("A c:a c:b|U r:a={NO_RESULT} r:b=2"));
    let Content::ToolResult(first) = &turns[1].blocks[0].content else { panic!("no result") };
    assert_eq!(first.is_error, Some(true));
    assert_eq!(paired(vec![model(vec![call("a")])]), format!("A c:a|U r:a={NO_RESULT}"));
}

#[test]
fn j053_an_orphan_result_becomes_user_text() {
    assert_eq!(
        paired(vec![user(vec![answer("x", Some("look"), "found"), Block::text("go on")])]),
        "U t:Result of tool look:\nfound t:go on"
    );
}

#[test]
fn j241_sequential_steps_stay_sequential_and_parallel_calls_stay_parallel() {
    let steps = vec![
        model(vec![call("a")]),
        user(vec![result("a", "1")]),
        model(vec![call("b")]),
        user(vec![result("b", "2")]),
    ];
    assert_eq!(paired(steps), "A c:a|U r:a=1|A c:b|U r:b=2");
    let parallel = vec![model(vec![call("a"), call("b")]), user(vec![result("b", "2"), result("a", "1")])];
    assert_eq!(paired(parallel), "A c:a c:b|U r:a=1 r:b=2");
}

#[test]
fn j242_early_double_and_late_results_are_repaired() {
    assert_eq!(paired(vec![user(vec![result("a", "1")]), model(vec![call("a")])]), "U|A c:a|U r:a=1");
    assert_eq!(
        paired(vec![
            model(vec![call("a")]),
            user(vec![result("a", "old"), result("a", "new"), result("a", "")]),
        ]),
        "A c:a|U r:a=new"
    );
    assert_eq!(
        paired(vec![
            model(vec![call("a")]),
            user(vec![Block::text("?")]),
            model(vec![Block::text("hm")]),
            user(vec![result("a", "1"), Block::text("!")]),
        ]),
        "A c:a|U r:a=1 t:?|A t:hm|U t:!"
    );
}

#[test]
fn ids_that_repeat_over_a_long_history_pair_with_the_nearest_call() {
    let turns = vec![
        model(vec![call("f")]),
        user(vec![result("f", "1")]),
        model(vec![call("f")]),
        user(vec![result("f", "2")]),
    ];
    assert_eq!(paired(turns), "A c:f|U r:f=1|A c:f|U r:f=2");
    let double = vec![model(vec![call("f"), call("f")]), user(vec![result("f", "1"), result("f", "2")])];
    let shape = paired(double);
    assert!(shape.starts_with("A c:f c:f_") && shape.contains("r:f=1") && shape.ends_with("=2"), "{shape}");
}

#[test]
fn j041_results_without_ids_pair_by_name_then_by_order() {
    let turns = vec![
        model(vec![named("call_h0_0", "f"), named("call_h0_1", "g"), named("call_h0_2", "f")]),
        user(vec![answer("", Some("g"), "g"), answer("", Some("f"), "1"), answer("", Some("f"), "2")]),
    ];
    assert_eq!(
        paired(turns),
        "A c:call_h0_0 c:call_h0_1 c:call_h0_2|U r:call_h0_0=1 r:call_h0_1=g r:call_h0_2=2"
    );
    let renamed = vec![model(vec![named("call_h0_0", "f")]), user(vec![answer("", Some("other"), "1")])];
    assert_eq!(paired(renamed), "A c:call_h0_0|U r:call_h0_0=1");
}

#[test]
fn consecutive_assistant_turns_with_calls_become_one() {
    let turns = vec![
        model(vec![call("a")]),
        model(vec![call("b")]),
        user(vec![result("a", "1")]),
        user(vec![result("b", "2")]),
    ];
    assert_eq!(paired(turns), "A c:a c:b|U r:a=1 r:b=2|U");
}

fn disorder() -> impl proptest::strategy::Strategy<Value = Vec<Turn>> {
    use proptest::prelude::*;
    let block = (0..6u8, 0..4u8).prop_map(|(kind, number)| match kind {
        0 | 1 => call(&format!("c{number}")),
        2 | 3 => result(&format!("c{number}"), &format!("r{number}")),
        4 => answer("", Some("f"), "named"),
        _ => Block::text("text"),
    });
    let turn = (any::<bool>(), prop::collection::vec(block, 0..5))
        .prop_map(|(is_user, blocks)| if is_user { user(blocks) } else { model(blocks) });
    prop::collection::vec(turn, 0..8)
}

proptest::proptest! {
    #[test]
    fn every_disorder_becomes_an_order_that_stays(turns in disorder()) {
        let mut ordered = turns.clone();
        apply(&mut ordered);
        proptest::prop_assert!(is_paired(&ordered), "{} -> {}", shape(&turns), shape(&ordered));
        let texts = |turns: &[Turn]| turns.iter().flat_map(|turn| &turn.blocks)
            .filter(|block| block.as_text().is_some_and(|text| &*text.text == "text")).count();
        proptest::prop_assert_eq!(texts(&ordered), texts(&turns));
        let calls_of = |turns: &[Turn]| turns.iter().filter(|turn| turn.role == Role::Assistant)
            .flat_map(calls).count();
        proptest::prop_assert_eq!(calls_of(&ordered), calls_of(&turns));
    }
}
