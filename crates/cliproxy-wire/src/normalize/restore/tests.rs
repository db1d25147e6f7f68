//! Answers led back to what the client named.

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
    Bridge { tools: BTreeMap::from([(wire.into(), origin)]), ..Bridge::default() }
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
    let text =
        |candidate: u32, text: &str| Event::Delta { candidate, block: 0, delta: Delta::Text(text.into()) };
    restore.event(text(0, "aXb"), &mut out);
    assert!(!restore.is_finished());
    restore.event(text(1, "c"), &mut out);
    restore.event(text(0, "d"), &mut out);
    assert_eq!(text_of(&out), "ac");
    restore.event(text(1, "X"), &mut out);
    assert!(restore.is_finished());
}
