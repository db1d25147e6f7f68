//! Streams as upstreams really send them, each through the clients of all four formats.

use cliproxy_wire::fault::Kind;
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::model::{Event, Response, StopReason, Usage};
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use crate::said::{Piece, Said, compare, said};
use crate::support::{client, events, fixture, folded, write};
use crate::{reader, support};

/// The upstreams, each with a stream that thinks, speaks and calls two tools.
fn upstreams() -> [(Profile, String); 4] {
    [
        (Profile::compatible(), fixture("chat/weather.sse")),
        (Profile::openai_responses(), fixture("responses/weather.sse")),
        (Profile::claude(), fixture("claude/weather.sse")),
        (Profile::gemini(), fixture("gemini/answer.sse")),
    ]
}

/// What every client reads of an upstream's stream, checked to be the same for all.
fn heard(profile: &Profile, stream: &str) -> Response {
    let all = events(profile, stream);
    let response = folded(&all);
    for to in Format::ALL {
        let what = format!("{} for {}", profile.name, to.name());
        let body = reader::read(to, &write(to, &client(to), all.clone()));
        let context = cliproxy_wire::codec::UpstreamContext::new(&Profile::compatible(), "req_fx");
        let again = format::decode_response(to, body.to_string().as_bytes(), &context).unwrap();
        compare(&what, to, &response, &again);
    }
    response
}

/// The pieces of an answer, as a client that has a place for each hears them.
fn pieces(response: &Response) -> Vec<Piece> {
    let [Said { pieces, .. }] = said(Format::Responses, response).try_into().unwrap();
    pieces
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

fn thinking(text: &str) -> Piece {
    Piece::Thinking(text.to_owned())
}

fn called(id: &str, name: &str, arguments: &str) -> Piece {
    Piece::Call { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

/// Every client hears of an error, and none takes the stream for a complete one.
fn fails(profile: &Profile, stream: &str) {
    let all = events(profile, stream);
    assert!(matches!(all.last(), Some(Event::Error(_))), "{all:?}");
    for to in Format::ALL {
        reader::failed(to, &write(to, &client(to), all.clone()));
    }
}

fn frames(frames: &[Value]) -> String {
    frames.iter().flat_map(|frame| ["data: ".to_owned(), frame.to_string(), "\n\n".to_owned()]).collect()
}

/// A Chat stream of these chunks, with its end mark.
fn chat(chunks: &[Value]) -> String {
    frames(chunks) + "data: [DONE]\n\n"
}

#[expect(clippy::needless_pass_by_value, reason = "literals are handed over as they are")]
fn delta(delta: Value) -> Value {
    json!({"id": "x", "model": "up", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finish(reason: &str) -> Value {
    json!({"id": "x", "model": "up", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn call(index: u32, id: &str, name: &str, arguments: &str) -> Value {
    let mut call = json!({"index": index, "function": {"arguments": arguments}});
    if !id.is_empty() {
        call["id"] = id.into();
    }
    if !name.is_empty() {
        call["function"]["name"] = name.into();
    }
    delta(json!({"tool_calls": [call]}))
}

fn compatible() -> Profile {
    Profile::compatible()
}

#[test]
fn j216_line_ends_change_nothing_for_any_client() {
    for (profile, stream) in upstreams() {
        let plain = stream.replace("\r\n", "\n");
        let expected = heard(&profile, &plain);
        for end in ["\r\n", "\r"] {
            assert_eq!(heard(&profile, &plain.replace('\n', end)), expected, "{} {end:?}", profile.name);
        }
    }
}

/// A stream of each upstream whose only text comes in these pieces, written as they are into JSON.
fn speaking(pieces: &[&str]) -> [(Profile, String); 4] {
    let all = |start: &[&str], piece: &str, end: &[&str]| {
        let texts = pieces.iter().map(|text| piece.replace("TEXT", text));
        let frames =
            start.iter().map(ToString::to_string).chain(texts).chain(end.iter().map(ToString::to_string));
        frames.flat_map(|frame| ["data: ".to_owned(), frame, "\n\n".to_owned()]).collect::<String>()
    };
    [
        (
            compatible(),
            all(
                &[],
                r#"{"id":"x","model":"up","choices":[{"index":0,"delta":{"content":"TEXT"}}]}"#,
                &[r#"{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#, "[DONE]"],
            ),
        ),
        (
            Profile::openai_responses(),
            all(
                &[
                    r#"{"type":"response.created","response":{"id":"resp_1","model":"up","output":[]}}"#,
                    r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}"#,
                ],
                r#"{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":"TEXT"}"#,
                &[
                    r#"{"type":"response.completed","response":{"id":"resp_1","model":"up","status":"completed","output":[]}}"#,
                ],
            ),
        ),
        (
            Profile::claude(),
            all(
                &[
                    r#"{"type":"message_start","message":{"id":"msg_1","model":"up","usage":{"input_tokens":1,"output_tokens":1}}}"#,
                    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                ],
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"TEXT"}}"#,
                &[
                    r#"{"type":"content_block_stop","index":0}"#,
                    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
                    r#"{"type":"message_stop"}"#,
                ],
            ),
        ),
        (
            Profile::gemini(),
            all(
                &[],
                r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"TEXT"}]},"index":0}]}"#,
                &[r#"{"candidates":[{"finishReason":"STOP","index":0}]}"#],
            ),
        ),
    ]
}

#[test]
fn j217_characters_are_whole_wherever_the_sender_or_the_network_cut_them() {
    // The network: the streams arrive byte by byte as well.
    for (profile, stream) in speaking(&["a🌤", "🌤b", "é"]) {
        assert_eq!(pieces(&heard(&profile, &stream)), [text("a🌤🌤bé")], "{}", profile.name);
    }
    // The sender, in halves of a surrogate pair.
    for (profile, stream) in speaking(&["a\\ud83d", "\\ude00b\\uD83C", "\\uDF24\\uFE0F"]) {
        assert_eq!(pieces(&heard(&profile, &stream)), [text("a😀b🌤\u{fe0f}")], "{}", profile.name);
    }
    // Half a pair without the other is no character.
    for (profile, stream) in speaking(&["a\\ud83d", "b", "\\ude00"]) {
        assert_eq!(pieces(&heard(&profile, &stream)), [text("a\u{fffd}b\u{fffd}")], "{}", profile.name);
    }
}

#[test]
fn j218_data_in_several_lines_and_a_missing_last_blank_line_are_read() {
    for (profile, stream) in upstreams() {
        let expected = pieces(&heard(&profile, &stream));
        let mut spread = String::new();
        for frame in stream.replace("\r\n", "\n").split_terminator("\n\n") {
            for line in frame.lines() {
                match line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok()) {
                    Some(data) => {
                        for line in serde_json::to_string_pretty(&data).unwrap().lines() {
                            spread.push_str("data:");
                            spread.push_str(line);
                            spread.push('\n');
                        }
                    }
                    None => spread.extend([line, "\n"]),
                }
            }
            spread.push('\n');
        }
        for stream in [spread, stream.trim_end().to_owned(), format!("\u{feff}\n\n{stream}")] {
            assert_eq!(pieces(&heard(&profile, &stream)), expected, "{}", profile.name);
        }
    }
}

#[test]
fn j219_a_line_of_many_megabytes_costs_linear_time() {
    let cost = |profile: &Profile, stream: &str, to: Format| {
        support::work(|| {
            let context = cliproxy_wire::codec::UpstreamContext::new(profile, "r");
            let mut decoder = format::stream_decoder(profile.format, context);
            let mut reader = cliproxy_wire::sse::StreamReader::new(32 << 20);
            let mut encoder = format::stream_encoder(to, client(to));
            let (mut events, mut out) = (Vec::new(), Vec::new());
            for piece in stream.as_bytes().chunks(16 * 1024) {
                reader.push(piece, &mut |frame| decoder.frame(&frame, &mut events)).unwrap();
            }
            decoder.finish(None, &mut events);
            for event in events {
                encoder.event(event, &mut out);
            }
            assert!(out.len() > stream.len() / 2);
        })
    };
    let large = "word ".repeat(4 << 20);
    let small = "word ".repeat(4 << 17);
    let (large, small) = (speaking(&[&large]), speaking(&[&small]));
    // Every decoder and every encoder once.
    let clients = Format::ALL.into_iter().cycle().skip(1);
    for (((profile, large), (_, small)), to) in large.iter().zip(&small).zip(clients) {
        assert!(large.len() > 20 << 20);
        // Eight times the size. Quadratic work would take sixty-four times as long.
        let steep = support::outgrows(32, |is_small| cost(profile, if is_small { small } else { large }, to));
        assert_eq!(steep, None, "{} for {}", profile.name, to.name());
    }
}

#[test]
fn j220_comments_unknown_events_and_empty_choices_are_ignored() {
    for (profile, stream) in upstreams() {
        let expected = heard(&profile, &stream);
        let noise = ": keep-alive\n\nevent: newer\ndata: {\"type\":\"newer.event\",\"choices\":[]}\n\nid: 7\nretry: 10\n\n";
        let noisy: String = stream
            .replace("\r\n", "\n")
            .split_inclusive("\n\n")
            .flat_map(|frame| [noise.to_owned(), frame.to_owned()])
            .collect();
        // What stands before the first frame of a Gemini or Chat stream must not name the answer.
        assert_eq!(pieces(&heard(&profile, &noisy)), pieces(&expected), "{}", profile.name);
    }
}

#[test]
fn j221_the_preamble_of_a_content_filter_starts_nothing_for_any_client() {
    let preamble = json!({"id": "", "model": "", "created": 0, "object": "", "choices": [], "prompt_filter_results": []});
    let stream = chat(&[preamble, delta(json!({"role": "assistant", "content": "hi"})), finish("stop")]);
    let response = heard(&compatible(), &stream);
    assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("x"), Some("up")));
    for to in Format::ALL {
        let first = support::frames(&write(to, &client(to), events(&compatible(), &stream))).remove(0);
        assert!(first.to_string().contains("\"up\""), "{first}");
    }
}

#[test]
fn j222_empty_content_between_thoughts_closes_nothing_for_any_client() {
    for empty in [json!(null), json!("")] {
        let stream = chat(&[
            delta(json!({"reasoning_content": "a", "content": empty})),
            delta(json!({"content": empty})),
            delta(json!({"reasoning_content": "b", "content": empty})),
            delta(json!({"content": "c"})),
            finish("stop"),
        ]);
        let response = heard(&compatible(), &stream);
        assert_eq!(pieces(&response), [thinking("ab"), text("c")]);
        assert_eq!(response.candidates[0].blocks.len(), 2);
    }
}

#[test]
fn j223_what_comes_behind_the_finish_reason_reaches_every_client() {
    let usage = json!({"id": "x", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}});
    for late in [
        vec![usage.clone()],
        vec![usage.clone(), finish("stop")],
        vec![delta(json!({"content": "b"})), usage.clone()],
    ] {
        let has_content = late.len() == 2 && late[1] == usage;
        let mut chunks = vec![delta(json!({"content": "a"})), finish("stop")];
        chunks.extend(late);
        let response = heard(&compatible(), &chat(&chunks));
        assert_eq!(pieces(&response), [text(if has_content { "ab" } else { "a" })]);
        let Usage { input, output, .. } = response.usage.unwrap();
        assert_eq!((input, output), (Some(5), Some(2)));
    }
}

#[test]
fn j224_nothing_behind_the_end_mark_reaches_any_client() {
    let whole = chat(&[delta(json!({"content": "a"})), finish("stop")]);
    let expected = heard(&compatible(), &whole);
    for late in [
        chat(&[delta(json!({"content": "late"}))]),
        "garbage\n\ndata: {\n\n".to_owned(),
        frames(&[json!({"error": {"message": "late"}})]),
    ] {
        assert_eq!(heard(&compatible(), &format!("{whole}{late}")), expected, "{late}");
    }
}

#[test]
fn j225_a_stream_that_ends_anywhere_before_its_end_is_an_error_for_every_client() {
    for (profile, stream) in upstreams() {
        let frames: Vec<&str> = stream.split_inclusive("\n\n").collect();
        let is_end = |frame: &str| {
            ["\"finish_reason\":\"", "message_delta", "response.completed", "finishReason"]
                .iter()
                .any(|mark| frame.contains(mark))
        };
        let end = frames.iter().position(|frame| is_end(frame)).unwrap();
        for cut in 1..=end {
            let begun: String = frames[..cut].concat();
            // Pings and the like begin nothing.
            if events(&profile, &begun).iter().any(|event| matches!(event, Event::BlockStart { .. })) {
                fails(&profile, &begun);
                fails(&profile, &format!("{begun}{}", &frames[cut][..frames[cut].len() / 2].trim_end()));
            }
        }
    }
}

#[test]
fn j226_an_end_mark_without_a_reason_is_a_proper_end_for_every_client() {
    let spoken = heard(&compatible(), &chat(&[delta(json!({"content": "a"}))]));
    assert_eq!(spoken.candidates[0].stop.reason, StopReason::EndTurn);
    let calling = heard(&compatible(), &chat(&[call(0, "c", "f", "{}")]));
    assert_eq!(calling.candidates[0].stop.reason, StopReason::ToolUse);
}

#[test]
fn j227_calls_that_share_a_number_are_separate_for_every_client() {
    let chunks = [
        call(0, "a", "f", "{\"x\""),
        call(0, "", "", ":1}"),
        call(0, "b", "g", ""),
        call(0, "", "", "{\"y\":2}"),
        finish("tool_calls"),
    ];
    let response = heard(&compatible(), &chat(&chunks));
    assert_eq!(pieces(&response), [called("a", "f", "{\"x\":1}"), called("b", "g", "{\"y\":2}")]);
}

#[test]
fn j228_calls_without_an_id_have_one_for_every_client_and_keep_it() {
    let stream =
        chat(&[call(0, "", "f", "{\"a\""), call(0, "", "", ":1}"), call(1, "", "f", "{}"), finish("stop")]);
    let response = heard(&compatible(), &stream);
    let ids: Vec<String> = pieces(&response)
        .into_iter()
        .map(|piece| match piece {
            Piece::Call { id, .. } => id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("call_")), "{ids:?}");
    assert_eq!(heard(&compatible(), &stream), response);
}

#[test]
fn j229_a_name_behind_the_first_arguments_keeps_them_for_every_client() {
    let chunks =
        [call(0, "a", "", "{\"x\""), call(0, "", "", ":"), call(0, "", "f", "1}"), finish("tool_calls")];
    assert_eq!(pieces(&heard(&compatible(), &chat(&chunks))), [called("a", "f", "{\"x\":1}")]);
}

#[test]
fn j230_oddities_of_claude_upstreams_reach_no_client() {
    let start = |id: &str| json!({"type": "message_start", "message": {"id": id, "model": "up", "usage": {"input_tokens": 9}}});
    let stream = frames(&[
        start("msg_1"),
        // A delta for a block that never began.
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}),
        start("msg_1"),
        start("msg_2"),
        json!({"type": "content_block_stop", "index": 0}),
        // The input comes with the start alone.
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ]);
    let response = heard(&Profile::claude(), &stream);
    assert_eq!(pieces(&response), [text("a"), called("t", "f", "{\"x\":1}")]);
    assert_eq!(
        (response.id.as_deref(), response.candidates[0].stop.reason),
        (Some("msg_1"), StopReason::ToolUse)
    );
}

#[test]
fn j231_responses_without_numbers_lasting_ids_or_a_final_list_are_complete_for_every_client() {
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function_call", "call_id": "c", "name": "f", "arguments": arguments});
    let stream = frames(&[
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "up"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "m1", "type": "message", "role": "assistant", "content": []}}),
        json!({"type": "response.output_text.delta", "item_id": "m2", "output_index": 0, "content_index": 0, "delta": "a"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"id": "m3", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": call("x1", "")}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "x2", "output_index": 1, "delta": "{\"x\":"}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": call("x3", "{\"x\":1}")}),
        json!({"type": "response.completed", "response": {"id": "resp_1", "model": "up", "status": "completed", "output": []}}),
    ]);
    let response = heard(&Profile::openai_responses(), &stream);
    assert_eq!(pieces(&response), [text("a"), called("c", "f", "{\"x\":1}")]);
}

#[test]
fn j232_late_grounding_and_early_counts_reach_every_client() {
    let grounding = json!({"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}]});
    let stream = frames(&[
        json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "groundingMetadata": {}}],
            "usageMetadata": {"promptTokenCount": 9, "thoughtsTokenCount": 5, "candidatesTokenCount": 1}}),
        json!({"candidates": [{"content": {"parts": [{"text": "b"}]}, "groundingMetadata": grounding}]}),
        json!({"candidates": [{"finishReason": "STOP", "groundingMetadata": {}}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4}}),
    ]);
    let response = heard(&Profile::gemini(), &stream);
    let Usage { input, output, reasoning, .. } = response.usage.unwrap();
    assert_eq!((input, output, reasoning), (Some(9), Some(9), Some(5)));
    for to in Format::ALL {
        let written = write(to, &client(to), events(&Profile::gemini(), &stream));
        let name = if to == Format::Gemini { "groundingMetadata" } else { "grounding_metadata" };
        assert!(written.contains(&format!("\"{name}\":{grounding}")), "{written}");
        assert!(!written.contains(&format!("\"{name}\":{{}}")), "{written}");
    }
}

#[test]
fn j233_arguments_in_pieces_by_path_are_whole_for_every_client() {
    let piece = |call: Value| json!({"candidates": [{"content": {"parts": [{"functionCall": call}]}}]});
    let pieces_of = [
        json!({"name": "f", "willContinue": true}),
        json!({"partialArgs": [{"jsonPath": "$.city", "stringValue": "Ro", "willContinue": true}], "willContinue": true}),
        json!({"partialArgs": [{"jsonPath": "$.city", "stringValue": "me"}, {"jsonPath": "$.days", "numberValue": 3}], "willContinue": true}),
        json!({"partialArgs": [{"jsonPath": "$.tags[0]", "stringValue": "x"}, {"jsonPath": "$.is_warm", "boolValue": true}], "willContinue": true}),
    ];
    for has_end in [true, false] {
        let mut chunks: Vec<Value> = pieces_of.iter().cloned().map(piece).collect();
        if has_end {
            chunks.push(piece(json!({})));
        }
        chunks.push(json!({"candidates": [{"finishReason": "STOP"}]}));
        let response = heard(&Profile::vertex(), &frames(&chunks));
        let [Piece::Call { name, arguments, .. }] = &pieces(&response)[..] else { panic!("{response:?}") };
        assert_eq!(name, "f");
        assert_eq!(
            serde_json::from_str::<Value>(arguments).unwrap(),
            json!({"city": "Rome", "days": 3, "tags": ["x"], "is_warm": true}),
            "{has_end}"
        );
    }
}

#[test]
fn arguments_whose_pieces_have_no_place_are_an_error_for_every_client() {
    for path in ["$.list[999999999]", "$.a[", &".a".repeat(1000)] {
        let call = json!({"name": "f", "partialArgs": [{"jsonPath": path, "stringValue": "x"}]});
        let chunks = [
            json!({"candidates": [{"content": {"parts": [{"functionCall": call}]}}]}),
            json!({"candidates": [{"finishReason": "STOP"}]}),
        ];
        let events = events(&Profile::vertex(), &frames(&chunks));
        let Some(Event::Error(fault)) = events.last() else { panic!("{path}: {events:?}") };
        assert_eq!((fault.kind, fault.code.as_deref()), (Kind::BadUpstream, Some("upstream_malformed")));
    }
}

#[test]
fn j235_a_whole_body_in_answer_to_a_stream_request_is_a_stream_for_every_client() {
    for (profile, body, stream) in [
        (compatible(), "chat/weather.json", "chat/weather.sse"),
        (Profile::openai_responses(), "responses/weather.json", "responses/weather.sse"),
        (Profile::claude(), "claude/weather.json", "claude/weather.sse"),
        (Profile::gemini(), "gemini/answer.json", "gemini/answer.sse"),
    ] {
        let unfolded = heard(&profile, &fixture(body));
        assert_eq!(pieces(&unfolded), pieces(&heard(&profile, &fixture(stream))), "{body}");
    }
}

#[test]
fn j236_a_page_in_answer_to_a_stream_request_is_an_error_for_every_client() {
    for (profile, _) in upstreams() {
        for page in
            ["<html><body>Sign in</body></html>", "<!DOCTYPE html>\n\n<p>data: {}</p>\n\n", "not found", ""]
        {
            let all = events(&profile, page);
            assert!(
                matches!(all.as_slice(), [Event::Error(fault)] if fault.kind == Kind::BadUpstream),
                "{page}: {all:?}"
            );
        }
    }
}
