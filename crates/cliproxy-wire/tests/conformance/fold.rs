//! Fold and unfold: a body and the stream it is laid out as say the same.

use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::{Fold, unfold};
use cliproxy_wire::model::{
    Anchor, Annotation, Arguments, Audio, Block, BlockKind, CacheMark, CallKind, Candidate, Channel, Content,
    Delta, Document, Event, Ext, Hosted, HostedKind, HostedPhase, Image, IndexUnit, Media, Native, Opaque,
    OpaqueKind, Owner, Reasoning, Response, Status, Stop, StopReason, Str, Text, ToolCall, ToolResult, Usage,
    Video,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn folded(events: Vec<Event>) -> Option<Response> {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event);
    }
    fold.finish()
}

fn text() -> impl Strategy<Value = Str> {
    prop_oneof![
        4 => "[a-zäß🌤 \\n\"]{0,12}".prop_map(Str::from),
        1 => (12_000..40_000usize).prop_map(|length| "aß🌤".repeat(length / 4).into()),
    ]
}

fn word() -> impl Strategy<Value = Str> {
    "[a-z_0-9]{1,8}".prop_map(Str::from)
}

fn raw() -> impl Strategy<Value = Raw> {
    prop_oneof![
        word().prop_map(|word| Raw::string(&word)),
        word().prop_map(|word| Raw::object(|object| object.str("k", &word))),
        Just(Raw::new("{}")),
        Just(Raw::new("[ 1.0 ]")),
    ]
}

fn ext() -> impl Strategy<Value = Ext> {
    prop_oneof![
        3 => Just(Ext::new()),
        1 => (word(), raw()).prop_map(|(name, value)| {
            let mut ext = Ext::new();
            ext.set(&name, value);
            ext
        }),
    ]
}

fn native() -> impl Strategy<Value = Native> {
    (prop::sample::select(&Format::ALL[..]), raw()).prop_map(|(format, value)| Native { format, value })
}

fn opaque() -> impl Strategy<Value = Opaque> {
    (word(), option::of(word()), 0..4u32).prop_map(|(data, scope, ordinal)| Opaque {
        owner: Owner::Google,
        kind: OpaqueKind::GeminiThought,
        scope,
        model: None,
        data,
        anchor: if ordinal == 0 { Anchor::This } else { Anchor::ToolCall(ordinal) },
    })
}

fn media() -> impl Strategy<Value = Media> {
    prop_oneof![
        (word(), word()).prop_map(|(mime, base64)| Media::Inline { mime, base64 }),
        word().prop_map(Media::Url),
        word().prop_map(|id| Media::File { owner: Owner::OpenAi, id }),
    ]
}

fn annotation() -> impl Strategy<Value = Annotation> {
    (word(), word(), option::of(0..9u64)).prop_map(|(url, title, start)| Annotation::Url {
        url,
        title,
        start,
        end: start,
        unit: IndexUnit::Bytes,
        cited_text: None,
        native: None,
    })
}

fn call() -> impl Strategy<Value = Content> {
    let identity = (word(), any::<bool>(), option::of(word()), word(), option::of(word()));
    let kind = prop::sample::select(&[CallKind::Function, CallKind::Custom][..]);
    let own = (option::of(native()), option::of(native()), option::of(opaque()));
    (identity, kind, text(), any::<bool>(), own).prop_map(
        |((call_id, is_id_synthetic, item_id, name, namespace), kind, text, is_json, own)| {
            let (native, caller, opaque) = own;
            let arguments = if is_json { Arguments::Json(text) } else { Arguments::Text(text) };
            Content::ToolCall(ToolCall {
                call_id,
                is_id_synthetic,
                item_id,
                name,
                namespace,
                kind,
                arguments,
                native,
                caller,
                opaque,
            })
        },
    )
}

fn hosted() -> impl Strategy<Value = Content> {
    (word(), option::of(word()), option::of(raw()), option::of(raw()), native()).prop_map(
        |(id, status, input, output, native)| {
            Content::Hosted(Hosted {
                phase: HostedPhase::Both,
                kind: HostedKind::WebSearch,
                id,
                status,
                input,
                output,
                error: None,
                native,
            })
        },
    )
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        4 => (text(), vec(annotation(), 0..3), option::of(Just(Raw::new("[{\"token\":\"a\"}]"))), option::of(opaque()))
            .prop_map(|(text, annotations, logprobs, opaque)| {
                Content::Text(Text { text, annotations, logprobs, opaque })
            }),
        1 => text().prop_map(Content::Refusal),
        3 => (option::of(word()), vec(text(), 0..3), vec(text(), 0..3), vec(opaque(), 0..3), any::<bool>()).prop_map(
            |(id, summary, raw, opaque, is_redacted)| {
                Content::Reasoning(Reasoning { id, summary, raw, opaque, is_redacted })
            }
        ),
        4 => call(),
        1 => hosted(),
        1 => (media(), option::of(word()), option::of(opaque()))
            .prop_map(|(source, detail, opaque)| Content::Image(Image { source, detail, opaque })),
        1 => (media(), option::of(text()), option::of(word()))
            .prop_map(|(source, transcript, id)| Content::Audio(Audio { source, transcript, id, expires_at: Some(9) })),
        1 => (media(), option::of(word())).prop_map(|(source, filename)| {
            Content::Document(Document { source, filename, title: None, context: None, citations: None })
        }),
        1 => media().prop_map(|source| Content::Video(Video { source, clip: None })),
        1 => raw().prop_map(Content::SearchResult),
        1 => word().prop_map(|call_id| Content::ToolResult(ToolResult {
            call_id,
            name: None,
            kind: CallKind::Function,
            content: Vec::new(),
            structured: None,
            is_error: None,
            native: None,
        })),
        1 => native().prop_map(Content::Native),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    (content(), any::<bool>(), ext()).prop_map(|(content, is_marked, ext)| Block {
        content,
        cache: is_marked.then_some(CacheMark { ttl: None }),
        ext,
    })
}

fn stop() -> impl Strategy<Value = Stop> {
    let reasons = [StopReason::EndTurn, StopReason::ToolUse, StopReason::StopSequence, StopReason::Error];
    (prop::sample::select(reasons.to_vec()), option::of(word()), option::of(word())).prop_map(
        |(reason, sequence, word)| Stop {
            reason,
            sequence,
            explanation: None,
            native: word.map(|word| (Format::Gemini, word)),
        },
    )
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let candidate = (vec(block(), 0..5), stop(), option::of(raw()), option::of(raw()), ext());
    vec(candidate, 1..4).prop_map(|candidates| {
        (0..)
            .zip(candidates)
            .map(|(index, (blocks, stop, grounding, safety, ext))| Candidate {
                blocks,
                grounding,
                safety,
                ext,
                ..Candidate::new(index, stop)
            })
            .collect()
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    (option::of(0..99u64), option::of(0..99u64), option::of(word()), any::<bool>()).prop_map(
        |(input, output, tier, is_estimated)| Usage { input, output, tier, is_estimated, ..Usage::default() },
    )
}

fn status() -> impl Strategy<Value = Status> {
    prop::sample::select(vec![
        Status::Completed,
        Status::Incomplete,
        Status::Cancelled,
        Status::Failed(Fault::new(Kind::Overloaded, "busy").with_code("overloaded")),
    ])
}

fn response() -> impl Strategy<Value = Response> {
    (option::of(word()), option::of(word()), candidates(), option::of(usage()), status(), ext()).prop_map(
        |(id, model, candidates, usage, status, ext)| Response {
            id,
            model,
            created: Some(1),
            candidates,
            usage,
            status,
            ext,
            ..Response::new(Format::Responses)
        },
    )
}

proptest! {
    #![proptest_config(crate::support::cases(256))]

    #[test]
    fn j258_folding_what_was_unfolded_gives_the_same_response(response in response()) {
        let mut events = Vec::new();
        unfold(&response, &mut events);
        prop_assert_eq!(folded(events), Some(response));
    }

    #[test]
    fn an_unfolded_stream_keeps_the_contract_of_events(response in response()) {
        let mut events = Vec::new();
        unfold(&response, &mut events);
        let is_start = |event: &Event| matches!(event, Event::Start(start) if start.candidates.is_empty());
        prop_assert!(events.first().is_some_and(is_start));
        let is_last = |event: &Event| matches!(event, Event::End { .. } | Event::Error(_));
        prop_assert_eq!(events.iter().position(is_last), events.len().checked_sub(1));
        let mut open = std::collections::BTreeSet::new();
        let mut next = std::collections::BTreeMap::<u32, u32>::new();
        for event in &events {
            match event {
                Event::BlockStart { candidate, block, .. } => {
                    let expected = next.entry(*candidate).or_default();
                    prop_assert_eq!(*expected, *block);
                    *expected += 1;
                    prop_assert!(open.insert((*candidate, *block)));
                }
                Event::Delta { candidate, block, delta } => {
                    prop_assert!(open.contains(&(*candidate, *block)));
                    if let Delta::Text(piece) | Delta::Arguments(piece) | Delta::Refusal(piece)
                        | Delta::Reasoning { text: piece, .. } = delta
                    {
                        prop_assert!(!piece.is_empty() && piece.len() <= 16 * 1024);
                    }
                }
                Event::BlockStop { candidate, block, .. } => prop_assert!(open.remove(&(*candidate, *block))),
                Event::CandidateStop { candidate, .. } => {
                    prop_assert!(!open.iter().any(|(open, _)| open == candidate));
                }
                _ => {}
            }
        }
        prop_assert!(open.is_empty());
    }
}

fn start() -> Event {
    Event::Start(Box::new(Response::new(Format::Chat)))
}

#[test]
fn a_repeated_block_is_laid_over_what_only_the_deltas_said() {
    let signature = Opaque {
        owner: Owner::OpenAi,
        kind: OpaqueKind::OpenAiEncrypted,
        scope: None,
        model: None,
        data: "gAAAA".into(),
        anchor: Anchor::This,
    };
    let full = Reasoning { id: Some("rs_2".into()), ..Reasoning::default() };
    let response = folded(vec![
        start(),
        Event::BlockStart {
            candidate: 0,
            block: 0,
            kind: BlockKind::Reasoning { id: Some("rs_1".into()), is_redacted: false },
        },
        Event::Delta {
            candidate: 0,
            block: 0,
            delta: Delta::Reasoning { channel: Channel::Summary, part: 1, text: "why".into() },
        },
        Event::Delta { candidate: 0, block: 0, delta: Delta::Opaque(signature.clone()) },
        Event::BlockStop {
            candidate: 0,
            block: 0,
            full: Some(Box::new(Block::new(Content::Reasoning(full)))),
        },
        Event::End { status: Status::Completed, ext: Ext::new() },
    ])
    .unwrap();
    let expected = Reasoning {
        id: Some("rs_2".into()),
        summary: vec!["".into(), "why".into()],
        opaque: vec![signature],
        ..Reasoning::default()
    };
    assert_eq!(response.candidates[0].blocks, [Block::new(Content::Reasoning(expected))]);
    assert_eq!(response.candidates[0].stop.reason, StopReason::EndTurn);
}

#[test]
fn an_error_keeps_the_content_so_far() {
    let fault = Fault::truncated();
    let response = folded(vec![
        start(),
        Event::BlockStart { candidate: 0, block: 0, kind: BlockKind::Text },
        Event::Delta { candidate: 0, block: 0, delta: Delta::Text("half".into()) },
        Event::BlockStop { candidate: 0, block: 0, full: None },
        Event::Error(Box::new(fault.clone())),
        Event::Delta { candidate: 0, block: 0, delta: Delta::Text("late".into()) },
    ])
    .unwrap();
    assert_eq!(response.status, Status::Failed(fault));
    assert_eq!(response.candidates[0].blocks, [Block::text("half")]);
}

#[test]
fn a_stream_without_an_end_is_a_failure() {
    assert_eq!(folded(vec![start()]).unwrap().status, Status::Failed(Fault::truncated()));
    assert_eq!(folded(vec![Event::Ping]), None);
}

#[test]
fn pieces_of_probabilities_are_joined_and_an_empty_grounding_replaces_nothing() {
    let meta = |grounding: &str| {
        let meta = cliproxy_wire::model::CandidateMeta {
            grounding: Some(Raw::new(grounding)),
            ..Default::default()
        };
        Event::CandidateMeta { candidate: 0, meta: Box::new(meta) }
    };
    let logprobs =
        |text: &str| Event::Delta { candidate: 0, block: 0, delta: Delta::Logprobs(Raw::new(text)) };
    let response = folded(vec![
        start(),
        Event::BlockStart { candidate: 0, block: 0, kind: BlockKind::Text },
        logprobs("[1, 2.0]"),
        logprobs("[ 3 ]"),
        meta("{\"webSearchQueries\":[]}"),
        meta("{}"),
        Event::End { status: Status::Completed, ext: Ext::new() },
    ])
    .unwrap();
    let text = response.candidates[0].blocks[0].as_text().unwrap();
    assert_eq!(text.logprobs, Some(Raw::new("[1,2.0,3]")));
    assert_eq!(response.candidates[0].grounding, Some(Raw::new("{\"webSearchQueries\":[]}")));
}
