//! Passthrough and patch (J.1), and what holds of streams before anybody understands them (J.11, frame level).

use std::borrow::Cow;

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json::{Reader, Surrogates};
use cliproxy_wire::lane::{self, AnswerEnvelope, Changes, Envelope, Progress, Relay, Rewrite, peek, rewrite};
use cliproxy_wire::model::Level;
use cliproxy_wire::reasoning::{Members, Plan};
use cliproxy_wire::sse::{Decoder, Ending, Frame, StreamReader};
use proptest::prelude::*;

use crate::support;

const LIMIT: usize = 1 << 25;

/// Bodies with what a tree would lose: order, white space, numbers, escapes, duplicates and members of tomorrow.
const BODIES: [(Format, &str); 4] = [
    (
        Format::Claude,
        "{ \"max_tokens\": 1.0,\"model\" :\"alias\", \"new_top\":{\"a\":12345678901234567890,\"b\":[1e3, \"\\u00e9\\/\"]},\n\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"new_block\",\"x\":1.50},{\"type\":\"text\",\"text\":\"\\ud83d\"}]}],\"tools\":[{\"type\":\"new_tool_20990101\"}],\"tool_choice\":{\"type\":\"new_choice\"}}\n",
    ),
    (
        Format::Chat,
        "{\"stream\":true ,\"model\":\"alias\",\"messages\":[{\"role\":\"new_role\",\"content\":[{\"type\":\"new_part\",\"y\":[ ]}]}], \"logit_bias\":{\"50256\":-100.0},\"tools\":[{\"type\":\"new_tool\"}],\"service_tier\":\"new_tier\",\"n_e_w\":0.10}",
    ),
    (
        Format::Responses,
        "{\"input\":[{\"type\":\"new_item\",\"id\":\"x\",\"q\":1E+2}],\"model\":\"alias\",\"tools\":[{\"type\":\"new_tool\",\"z\":{}}],\"truncation\":\"new_value\",\"new\":null}",
    ),
    (
        Format::Gemini,
        "{\"contents\":[{\"parts\":[{\"newPart\":{\"k\":99999999999999999999}}],\"role\":\"user\"}],\"newTop\":[1.0],\"tools\":[{\"newTool\":{}}],\"safetySettings\":[{\"category\":\"NEW\"}]}",
    ),
];

fn unchanged(format: Format) -> Vec<&'static str> {
    BODIES.iter().filter(|(known, _)| *known == format).map(|(_, body)| *body).collect()
}

#[test]
fn j001_claude_to_claude_without_edit_keeps_every_byte() {
    for body in unchanged(Format::Claude) {
        let sent = rewrite(Format::Claude, body, &Rewrite::default()).unwrap();
        assert!(matches!(sent, Cow::Borrowed(text) if text == body));
    }
}

#[test]
fn j002_the_other_formats_without_edit_keep_every_byte() {
    for format in [Format::Chat, Format::Responses, Format::Gemini] {
        for body in unchanged(format) {
            let sent = rewrite(format, body, &Rewrite::default()).unwrap();
            assert!(matches!(sent, Cow::Borrowed(text) if text == body), "{format:?}");
        }
    }
}

#[test]
fn j003_an_alias_changes_the_value_of_model_alone() {
    for (format, body) in BODIES {
        let sent = rewrite(format, body, &Rewrite { model: Some("real"), ..Rewrite::default() }).unwrap();
        assert_eq!(sent, body.replace("\"alias\"", "\"real\""), "{format:?}");
    }
}

#[test]
fn j004_unknown_members_types_and_values_survive_a_patch() {
    let plan = Plan { members: Members::Effort { effort: Some("high"), summary: None }, ..Plan::default() };
    for (format, body) in BODIES {
        let effort = matches!(format, Format::Chat | Format::Responses).then_some(&plan);
        let changes = Rewrite { model: Some("real"), stream: Some(true), plan: effort, ..Rewrite::default() };
        let sent = rewrite(format, body, &changes).unwrap();
        let before: serde_json::Value = serde_json::from_str(&body.replace("\\ud83d", "")).unwrap();
        let after: serde_json::Value = serde_json::from_str(&sent.replace("\\ud83d", "")).unwrap();
        for (name, value) in before.as_object().unwrap() {
            if name != "model" {
                assert_eq!(&after[name], value, "{format:?} {name}");
            }
        }
    }
}

/// What the client receives, whole, byte by byte and in random pieces: always the same.
fn relayed(format: Format, changes: &Changes, upstream: &str) -> String {
    let run = |cuts: &[usize]| {
        let mut relay = Relay::new(format, changes.clone(), LIMIT);
        let mut out = Vec::new();
        let mut rest = Bytes::copy_from_slice(upstream.as_bytes());
        for cut in cuts {
            let piece = rest.split_to((*cut).min(rest.len()));
            relay.push(piece, &mut out).unwrap();
        }
        relay.push(rest, &mut out).unwrap();
        assert_eq!(relay.finish(&mut out).unwrap(), Ending::Stream);
        assert!(!relay.is_truncated());
        String::from_utf8(out.concat()).unwrap()
    };
    let whole = run(&[]);
    assert_eq!(run(&vec![1; upstream.len()]), whole);
    let mut state = 7usize;
    for _ in 0..20 {
        let cuts: Vec<usize> = (0..upstream.len() / 8)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % 60
            })
            .collect();
        assert_eq!(run(&cuts), whole);
    }
    whole
}

const CLAUDE_STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"up\",\"usage\":{\"input_tokens\":20,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n: comment\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"} }   \n\nevent: new_event\ndata: {\"type\":\"new_event\",\"model\":\"inner\"}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"H\u{e9}\u{1F600} \\\"model\\\"\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

#[test]
fn j006_claude_stream_bytes_arrive_unchanged() {
    assert_eq!(relayed(Format::Claude, &Changes::default(), CLAUDE_STREAM), CLAUDE_STREAM);
    let carriage = CLAUDE_STREAM.replace('\n', "\r\n");
    assert_eq!(relayed(Format::Claude, &Changes::default(), &carriage), carriage);
}

#[test]
fn j007_an_alias_is_echoed_in_bodies_and_in_every_frame_that_names_the_model() {
    let changes = Changes { model: Some("alias".to_owned()), ..Changes::default() };
    assert_eq!(
        relayed(Format::Claude, &changes, CLAUDE_STREAM),
        CLAUDE_STREAM.replace("\"up\"", "\"alias\"")
    );
    let chat = "data: {\"id\":\"1\", \"model\": \"up\",\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\ndata: {\"choices\":[{\"delta\":{\"model\":\"up!\"},\"finish_reason\":\"stop\"}],\"model\":\"up\"}\n\ndata: [DONE]\n\n";
    assert_eq!(relayed(Format::Chat, &changes, chat), chat.replace("\"up\"", "\"alias\""));
    let responses = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"model\":\"up\",\"tools\":[{\"model\":\"gpt-image\"}]}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":{\"id\":\"r\",\"model\":\"up\",\"usage\":null}}\n\n";
    assert_eq!(relayed(Format::Responses, &changes, responses), responses.replace("\"up\"", "\"alias\""));
    let gemini = "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"modelVersion\": \"up\"}\n\n";
    assert_eq!(relayed(Format::Gemini, &changes, gemini), gemini.replace("\"up\"", "\"alias\""));
    for (format, body) in [
        (Format::Chat, r#"{"id":"1","model":"up","n":1.0}"#),
        (Format::Claude, r#"{"model" : "up","content":[{"model":"x"}]}"#),
        (Format::Responses, r#"{"output":[],"model":"up"}"#),
        (Format::Gemini, r#"{"candidates":[],"modelVersion":"up"}"#),
    ] {
        let answer = lane::body(format, Bytes::from_static(body.as_bytes()), &changes);
        assert_eq!(answer.bytes, body.replace("\"up\"", "\"alias\""));
    }
}

#[test]
fn j008_gemini_to_code_assist_wraps_the_body_and_the_chunks_are_unwrapped() {
    let body = unchanged(Format::Gemini)[0];
    let envelope = Envelope::Wrap { model: "gemini-2.5-pro", project: Some("p-1"), user_prompt_id: None };
    let sent = rewrite(Format::Gemini, body, &Rewrite { envelope, ..Rewrite::default() }).unwrap();
    assert_eq!(sent, format!("{{\"model\":\"gemini-2.5-pro\",\"project\":\"p-1\",\"request\":{body}}}"));
    let changes = Changes { envelope: AnswerEnvelope::Unwrap, ..Changes::default() };
    let inner = [
        "{\"candidates\": [{\"content\":{\"parts\":[{\"text\":\"\\u00e9\"}]}}]}",
        "{\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1.0}}",
    ];
    let [first, last] = inner;
    let upstream = format!(
        "data: {{\"response\": {first},\"traceId\":\"t\"}}\n\ndata: {{\"response\": {last},\"traceId\":\"t\"}}\n\n"
    );
    let expected = format!("data: {first}\n\ndata: {last}\n\n");
    assert_eq!(relayed(Format::Gemini, &changes, &upstream), expected);
}

#[test]
fn j009_a_code_assist_client_reaches_a_key_upstream_and_gets_its_envelope_back() {
    let inner = unchanged(Format::Gemini)[0];
    let body = format!(
        "{{\"model\":\"m\",\"project\":\"p\",\"user_prompt_id\":\"u\",\"request\":{{\"session_id\":\"s\",{}}}",
        &inner[1..]
    );
    let seen = peek(Format::Gemini, body.as_bytes()).unwrap();
    assert!(seen.is_enveloped);
    assert_eq!((seen.model.as_deref(), seen.session_id.as_deref()), (Some("m"), Some("s")));
    let changes = Rewrite { envelope: Envelope::Unwrap, ..Rewrite::default() };
    assert_eq!(rewrite(Format::Gemini, &body, &changes).unwrap(), inner);
    let changes = Changes { envelope: AnswerEnvelope::Wrap, ..Changes::default() };
    let chunk = "{\"candidates\": [{\"finishReason\":\"STOP\"}]}";
    assert_eq!(
        relayed(Format::Gemini, &changes, &format!("data: {chunk}\r\n\r\n")),
        format!("data: {{\"response\":{chunk}}}\r\n\r\n")
    );
    let answer = lane::body(Format::Gemini, Bytes::from_static(chunk.as_bytes()), &changes);
    assert_eq!(answer.bytes, format!("{{\"response\":{chunk}}}"));
}

#[test]
fn j010_a_suffix_leaves_exactly_one_of_budget_and_level() {
    let text = r#"{"contents":[],"generationConfig":{"topK":1.0,"thinkingConfig":{"includeThoughts":true,"thinkingBudget":5,"x":1}}}"#;
    let written = |budget, level| {
        let members = Members::Gemini { budget, level, include_thoughts: true };
        let plan = Plan { members, is_on: true, ..Plan::default() };
        rewrite(Format::Gemini, text, &Rewrite { plan: Some(&plan), ..Rewrite::default() })
            .unwrap()
            .into_owned()
    };
    assert_eq!(
        written(None, Some(Level::Low)),
        r#"{"contents":[],"generationConfig":{"topK":1.0,"thinkingConfig":{"includeThoughts":true,"x":1,"thinkingLevel":"LOW"}}}"#
    );
    assert_eq!(
        written(Some(-1), None),
        r#"{"contents":[],"generationConfig":{"topK":1.0,"thinkingConfig":{"includeThoughts":true,"thinkingBudget":-1,"x":1}}}"#
    );
}

#[test]
fn j011_of_duplicate_members_the_last_counts_when_a_body_is_patched() {
    let body = r#"{"model":"a","x":1,"model":"b","x":2.0}"#;
    assert_eq!(peek(Format::Chat, body.as_bytes()).unwrap().model.as_deref(), Some("b"));
    let sent = rewrite(Format::Chat, body, &Rewrite { model: Some("c"), ..Rewrite::default() }).unwrap();
    assert_eq!(sent, r#"{"model":"c","x":2.0}"#);
}

#[test]
fn j012_a_byte_order_mark_is_accepted() {
    let seen = peek(Format::Claude, b"\xEF\xBB\xBF{\"model\":\"m\"}").unwrap();
    assert_eq!((seen.model.as_deref(), seen.text), (Some("m"), "{\"model\":\"m\"}"));
}

#[test]
fn j013_the_tap_sees_the_usage_and_the_errors_that_pass() {
    let mut relay = Relay::new(Format::Claude, Changes::default(), LIMIT);
    let mut out = Vec::new();
    relay.push(Bytes::from_static(CLAUDE_STREAM.as_bytes()), &mut out).unwrap();
    relay.finish(&mut out).unwrap();
    let usage = relay.tap().usage().unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.output), (Some(25), Some(5), Some(9)));
    assert_eq!((relay.tap().model(), relay.tap().fault()), (Some("up"), None));

    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let mut relay = Relay::new(Format::Claude, Changes::default(), LIMIT);
    let mut out = Vec::new();
    relay.push(Bytes::from_static(error.as_bytes()), &mut out).unwrap();
    assert_eq!(relay.progress(), Progress::Failed);
    assert_eq!(relay.tap().fault().unwrap().kind, Kind::Overloaded);
    assert_eq!(out.concat(), error.as_bytes());
}

/// Frames as text, read in pieces of `size` bytes.
fn frames(text: &[u8], size: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut each = |frame: Frame<'_>| {
        found.push(match frame {
            Frame::Comment => "comment".to_owned(),
            Frame::Data { event, data } => format!("{}: {data}", event.unwrap_or("-")),
        });
    };
    let mut decoder = Decoder::default();
    for piece in text.chunks(size) {
        decoder.push(piece, &mut each).unwrap();
    }
    decoder.finish(&mut each).unwrap();
    found
}

#[test]
fn j216_all_line_ends_give_equal_frames() {
    let expected = frames(CLAUDE_STREAM.as_bytes(), usize::MAX);
    assert_eq!(expected.len(), 9);
    for end in ["\n", "\r\n", "\r"] {
        let text = CLAUDE_STREAM.replace('\n', end);
        for size in (1..70).chain([usize::MAX]) {
            assert_eq!(frames(text.as_bytes(), size), expected, "{end:?} in pieces of {size}");
        }
    }
}

#[test]
fn j217_characters_and_surrogate_pairs_split_by_the_sender_are_joined() {
    for size in 1..8 {
        assert_eq!(frames("data: {\"t\":\"\u{1F600}\"}\n\n".as_bytes(), size), ["-: {\"t\":\"\u{1F600}\"}"]);
    }
    let mut channel = Surrogates::default();
    let mut text = String::new();
    for fragment in ["\"a\\ud83d\"", "\"\"", "\"\\ude00b\"", "\"\\ud83d\"", "\"c\""] {
        text.push_str(&channel.join(Reader::new(fragment).fragment().unwrap()));
    }
    assert_eq!(text, "a\u{1F600}b\u{FFFD}c");
}

#[test]
fn j218_several_data_lines_are_one_frame_and_the_last_blank_line_may_be_missing() {
    let text = b"data: {\"a\":\ndata: [1,\ndata: 2]}\nevent: e\n\ndata: {\"b\":1}";
    for size in 1..60 {
        assert_eq!(frames(text, size), ["e: {\"a\":\n[1,\n2]}", "-: {\"b\":1}"]);
    }
}

#[test]
fn j219_a_line_of_20_mib_costs_linear_time() {
    let cost = |size: usize| {
        let line = format!("data: {{\"image\":\"{}\"}}\n\n", "A".repeat(size));
        let mut length = 0;
        let spent = support::work(|| {
            let mut decoder = Decoder::default();
            for piece in line.as_bytes().chunks(512) {
                decoder
                    .push(piece, &mut |frame| {
                        if let Frame::Data { data, .. } = frame {
                            length = data.len();
                        }
                    })
                    .unwrap();
            }
        });
        assert_eq!(length, size + 12);
        spent
    };
    // Eight times the size. Looking at the buffer anew with each read would take sixty-four times as long.
    let steep = support::outgrows(32, |is_small| cost(if is_small { 20 << 17 } else { 20 << 20 }));
    assert_eq!(steep, None);
}

#[test]
fn j220_comments_and_unknown_fields_and_events_do_no_harm() {
    let text = b": c\n\nid: 1\nretry: 100\nfoo: bar\nnocolon\n\nevent: new\ndata: {\"type\":\"new\"}\n\n";
    assert_eq!(frames(text, 3), ["comment", "new: {\"type\":\"new\"}"]);
    let mut relay = Relay::new(Format::Claude, Changes::default(), LIMIT);
    relay.push(Bytes::from_static(text), &mut Vec::new()).unwrap();
    assert_eq!((relay.progress(), relay.tap().fault()), (Progress::Nothing, None));
}

#[test]
fn j221_the_preamble_of_a_content_filter_does_not_start_the_answer() {
    let mut relay = Relay::new(Format::Chat, Changes::default(), LIMIT);
    let preamble = "data: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    relay.push(Bytes::from_static(preamble.as_bytes()), &mut Vec::new()).unwrap();
    assert_eq!(relay.progress(), Progress::Nothing);
    assert_eq!(relay.tap().model(), None);
}

#[test]
fn j224_what_follows_the_end_mark_is_ignored() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE] \n\ndata: {\"error\":{\"message\":\"late\"}}\n\ndata: {\"usage\":{\"prompt_tokens\":9}}\n\n";
    let mut relay = Relay::new(Format::Chat, Changes::default(), LIMIT);
    let mut out = Vec::new();
    relay.push(Bytes::from_static(text.as_bytes()), &mut out).unwrap();
    relay.finish(&mut out).unwrap();
    assert_eq!((relay.tap().fault(), relay.tap().usage(), relay.is_truncated()), (None, None, false));
}

#[test]
fn j225_a_stream_without_terminal_ends_with_an_error_and_no_success_terminator() {
    for (format, begun) in [
        (Format::Chat, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n"),
        (Format::Claude, &CLAUDE_STREAM[..CLAUDE_STREAM.find("event: message_delta").unwrap()]),
        (
            Format::Responses,
            "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
        ),
        (Format::Gemini, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n"),
    ] {
        let mut relay = Relay::new(format, Changes::default(), LIMIT);
        let mut out = Vec::new();
        relay.push(Bytes::from(begun), &mut out).unwrap();
        relay.finish(&mut out).unwrap();
        assert!(relay.is_truncated(), "{format:?}");
        out.push(relay.fail(&Fault::truncated(), "req_1"));
        let text = String::from_utf8(out.concat()).unwrap();
        let last = frames(text.as_bytes(), usize::MAX).pop().unwrap();
        assert!(last.contains("upstream closed the stream early"), "{last}");
        for terminator in ["[DONE]", "message_stop", "response.completed", "finishReason"] {
            assert!(!text.contains(terminator), "{format:?} {terminator}");
        }
    }
}

#[test]
fn j226_an_end_mark_without_finish_reason_is_a_proper_end() {
    let mut relay = Relay::new(Format::Chat, Changes::default(), LIMIT);
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]";
    relay.push(Bytes::from_static(text.as_bytes()), &mut Vec::new()).unwrap();
    relay.finish(&mut Vec::new()).unwrap();
    assert!(!relay.is_truncated());
}

#[test]
fn j232_gemini_usage_that_drops_fields_in_the_last_chunk_is_kept() {
    let text = "data: {\"usageMetadata\":{\"promptTokenCount\":20,\"thoughtsTokenCount\":7,\"totalTokenCount\":27}}\n\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"candidatesTokenCount\":3,\"trafficType\":\"ON_DEMAND\"}}\n\n";
    let mut relay = Relay::new(Format::Gemini, Changes::default(), LIMIT);
    relay.push(Bytes::from_static(text.as_bytes()), &mut Vec::new()).unwrap();
    let usage = relay.tap().usage().unwrap();
    assert_eq!((usage.input, usage.output, usage.reasoning), (Some(20), Some(10), Some(7)));
}

#[test]
fn j235_a_json_body_on_a_stream_request_is_handed_over_whole() {
    let body = b"{\"id\":\"x\",\n\"choices\":[]}";
    for size in 1..=body.len() {
        let mut relay = Relay::new(Format::Chat, Changes::default(), LIMIT);
        let mut out = Vec::new();
        for piece in body.chunks(size) {
            relay.push(Bytes::from_static(piece), &mut out).unwrap();
        }
        assert_eq!(relay.finish(&mut out).unwrap(), Ending::Body(body.to_vec()));
        assert!(out.is_empty() && relay.progress() == Progress::Nothing);
    }
}

#[test]
fn j236_a_page_with_status_200_is_a_bad_upstream() {
    let mut reader = StreamReader::new(LIMIT);
    reader.push(b"<!DOCTYPE html><title>Sign in</title>", &mut |_| {}).unwrap();
    let fault = reader.finish(&mut |_| {}).unwrap_err();
    assert_eq!(fault.kind, Kind::BadUpstream);
    assert!(fault.message.contains("Sign in") && !fault.message.contains('<'));
}

proptest! {
    #[test]
    fn relaying_never_panics_and_without_changes_never_alters(text in "(data: |event: |:|\\{|\\}|\"model\"|\"usage\"|\\[DONE\\]|[\\n\\r]|[a-z\"é ]){0,60}", size in 1..20usize) {
        for format in Format::ALL {
            let mut relay = Relay::new(format, Changes::default(), LIMIT);
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                relay.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
            }
            // Lines of JSON are no stream that a client can read, so they become events.
            let is_lines = text.trim_start().starts_with('{');
            if matches!(relay.finish(&mut out), Ok(Ending::Stream)) && !out.is_empty() && !is_lines {
                // Only a frame that was cut may be missing, and what follows the last element of an array.
                let is_array = text.trim_start().starts_with('[');
                let passed = String::from_utf8(out.concat()).unwrap();
                prop_assert!(text.starts_with(&passed), "{:?}", passed);
                let rest = text[passed.len()..].replace("\r\n", "\n").replace('\r', "\n");
                let is_whole = if is_array { passed.ends_with(['}', ']']) } else { !rest.contains("\n\n") };
                prop_assert!(rest.is_empty() || (relay.is_truncated() && is_whole), "{:?}", rest);
            }
            let changes = Changes { model: Some("m".to_owned()), hides_usage: true, envelope: AnswerEnvelope::Wrap, ..Changes::default() };
            let mut relay = Relay::new(format, changes, LIMIT);
            for piece in text.as_bytes().chunks(size) {
                relay.push(Bytes::copy_from_slice(piece), &mut Vec::new()).unwrap();
            }
            let _ending = relay.finish(&mut Vec::new());
        }
    }
}
