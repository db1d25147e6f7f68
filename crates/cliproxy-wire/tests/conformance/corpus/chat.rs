//! Recorded Chat traffic through the codec: nothing that was said may get lost, however the bytes arrive.

use cliproxy_wire::chat;
use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format::Format;
use cliproxy_wire::model::fold::unfold;
use cliproxy_wire::model::{Content, Delta, Event, OutputFormat, Request, Response, Status};
use cliproxy_wire::normalize::id;
use cliproxy_wire::profile::{Profile, ReasoningHistory};
use serde_json::{Value, json};

use super::passage;
use super::recorded::exchanges;
use crate::support::write;

/// An upstream that takes whatever the format can say.
fn takes_everything() -> Profile {
    let mut profile = Profile::openai_chat();
    profile.has_top_k = true;
    profile.has_video = true;
    profile.has_cache_marks = true;
    profile.has_media_in_tool_results = true;
    profile.reasoning_history = ReasoningHistory::Details;
    profile
}

#[test]
fn every_recorded_request_is_read_and_written_again() {
    let mut count = 0;
    for recorded in exchanges(Format::Chat) {
        let (id, exchange) = (&*recorded.id, &recorded.value);
        let body = &exchange["request"]["body"];
        if !recorded.is_generation() || !body.is_object() {
            continue;
        }
        let request = match chat::decode_request(&serde_json::to_vec(body).unwrap()) {
            Ok(request) => request,
            Err(error) => panic!("{id}: {error}"),
        };
        let written = passage::as_read(&takes_everything(), &request);
        let again = chat::decode_request(&serde_json::to_vec(&written).unwrap())
            .unwrap_or_else(|error| panic!("{id}: {error}\n{written}"));
        // Reasoning wishes are written by a plan, deprecated functions in the form that all upstreams know, plain
        // text as the format that is the default, and thinking parts in the member that upstreams want back.
        let mut expected = request.clone();
        expected.reasoning = None;
        // OpenAI refuses what else stands beside such a wish, and the client is told.
        for name in ["thinking", "reasoning"] {
            expected.ext.take(name);
        }
        expected.is_legacy_functions = false;
        expected.include_usage = again.include_usage;
        expected.output.modalities.clone_from(&again.output.modalities);
        // The format demands a name where the client gave none.
        if let OutputFormat::JsonSchema { name, .. } = &mut expected.output.format {
            name.get_or_insert_with(|| "response".into());
        }
        // A choice without tools says nothing.
        if expected.tools.is_empty() {
            expected.tool_choice = None;
            expected.parallel_tool_calls = None;
        }
        for turn in &mut expected.turns {
            turn.blocks.retain(|block| !matches!(block.content, Content::Reasoning(_)));
        }
        let mut again = again;
        for turn in &mut again.turns {
            turn.blocks.retain(|block| !matches!(block.content, Content::Reasoning(_)));
        }
        // Text of several parts comes back as one string.
        assert_eq!(flat(&expected), flat(&again), "{id}");
        count += 1;
    }
    assert!(count == 0 || count > 600, "{count}");
}

/// A request with the freedoms of the format taken out, as something that can be compared and read.
fn flat(request: &Request) -> Vec<String> {
    let mut lines = vec![format!("{:?}", request.instructions)];
    for turn in &request.turns {
        let mut text = String::new();
        let mut others = Vec::new();
        for block in &turn.blocks {
            match &block.content {
                Content::Text(piece) => text.push_str(&piece.text),
                Content::ToolResult(result) => {
                    let parts: Vec<String> =
                        result.content.iter().map(|block| format!("{:?}", block.content)).collect();
                    others.push(format!("{} {}", result.call_id, parts.join("\n")));
                }
                Content::ToolCall(call) => {
                    let arguments =
                        if call.arguments.as_str().is_empty() { "{}" } else { call.arguments.as_str() };
                    let id = if call.is_id_synthetic { "?" } else { &*call.call_id };
                    others.push(format!("{id} {} {arguments}", call.name));
                }
                Content::Document(document) => {
                    // The format demands a name where the client gave none.
                    let name = document.filename.as_deref().unwrap_or("document.pdf");
                    others.push(format!("{name} {:?}", document.source));
                }
                other => others.push(format!("{other:?}")),
            }
        }
        if text.is_empty() && others.is_empty() {
            continue;
        }
        lines.push(format!("{:?} {:?} {text:?} {others:?} {:?}", turn.role, turn.name, turn.ext));
    }
    let Request { tools, tool_choice, sampling, output, ext, .. } = request;
    lines.push(format!("{tools:?}"));
    lines.push(format!("{tool_choice:?} {sampling:?} {output:?}"));
    lines.push(format!("{:?} {:?} {:?}", request.cache, request.identity, request.service_tier));
    lines.push(format!("{:?} {:?} {ext:?}", request.state, request.max_output_tokens));
    lines
}

fn events_of(stream: &[u8], lengths: &[usize], context: &UpstreamContext) -> Vec<Event> {
    passage::events(Format::Chat, context.clone(), stream, lengths).unwrap()
}

fn folded(id: &str, events: &[Event]) -> Response {
    passage::folded(events).unwrap_or_else(|| panic!("{id}: no start in {events:?}"))
}

/// What an answer says, in comparable form.
fn said(response: &Response) -> Value {
    let candidates: Vec<Value> = response
        .candidates
        .iter()
        .map(|candidate| {
            let mut text = String::new();
            let mut reasoning = String::new();
            let mut refusal = String::new();
            let mut calls = Vec::new();
            let mut others = 0;
            let mut cited = 0;
            for block in &candidate.blocks {
                match &block.content {
                    Content::Text(piece) => {
                        text.push_str(&piece.text);
                        cited += piece.annotations.len();
                    }
                    Content::Reasoning(piece) => {
                        reasoning.push_str(&piece.text());
                    }
                    Content::Refusal(piece) => refusal.push_str(piece),
                    Content::ToolCall(call) => {
                        calls.push(json!([&*call.call_id, &*call.name, call.arguments.as_str()]));
                    }
                    _ => others += 1,
                }
            }
            json!({
                "text": text.replace("\n\n", ""), "reasoning": reasoning.replace("\n\n", ""), "refusal": refusal,
                "calls": calls, "others": others, "cited": cited, "stop": format!("{:?}", candidate.stop.reason),
            })
        })
        .collect();
    let usage = response.usage.as_ref().map(|usage| {
        let usage = usage.clone().clamped();
        json!([usage.input, usage.cache_read.unwrap_or(0), usage.output, usage.reasoning.unwrap_or(0)])
    });
    json!({"candidates": candidates, "usage": usage, "model": response.model.as_deref()})
}

#[test]
fn every_recorded_answer_is_read_and_written_again() {
    let mut count = 0;
    let mut faults = 0;
    for recorded in exchanges(Format::Chat) {
        let (id, exchange) = (&*recorded.id, &recorded.value);
        let body = &exchange["response"]["body"];
        let is_success = exchange["response"]["status"].as_u64().is_none_or(|status| status < 400);
        if !recorded.is_generation() || !body.is_object() || !is_success {
            continue;
        }
        let bytes = serde_json::to_vec(body).unwrap();
        let response = match chat::decode_response(&bytes, &passage::upstream(&recorded)) {
            Ok(response) => response,
            Err(fault) => {
                assert!(body.get("error").is_some(), "{id}: {fault:?}");
                faults += 1;
                continue;
            }
        };
        compare_with_body(id, body, &response);
        let written = chat::encode_response(&response, &passage::client(Format::Chat, &response));
        let mut again = chat::decode_response(&written, &UpstreamContext::new(&Profile::compatible(), "req"))
            .unwrap_or_else(|fault| panic!("{id}: {fault:?}"));
        again.model.clone_from(&response.model);
        assert_same(id, &response, &again);
        // A body told as a stream says the same.
        let mut events = Vec::new();
        unfold(&response, &mut events);
        let stream = write(Format::Chat, &passage::client(Format::Chat, &response), events);
        let mut streamed = folded(
            id,
            &events_of(
                stream.as_bytes(),
                &[usize::MAX],
                &UpstreamContext::new(&Profile::compatible(), "req"),
            ),
        );
        streamed.model.clone_from(&response.model);
        assert_same(id, &response, &streamed);
        count += 1;
    }
    assert!(count == 0 || (count > 450 && faults > 0), "{count} {faults}");
}

fn assert_same(id: &str, left: &Response, right: &Response) {
    let (mut left, mut right) = (said(left), said(right));
    for side in [&mut left, &mut right] {
        for candidate in side["candidates"].as_array_mut().unwrap() {
            // Only the first of several deprecated calls can be said, without its id; empty arguments become an object.
            for call in candidate["calls"].as_array_mut().unwrap() {
                if call[2] == "" {
                    call[2] = "{}".into();
                }
                call[0] = id::fit(call[0].as_str().unwrap(), Format::Chat.tool_id()).into();
                if call[0].as_str().unwrap().len() == 29 {
                    call[0] = "made".into();
                }
            }
        }
    }
    assert_eq!(left, right, "{id}");
}

/// All that was read: some servers leave cached tokens out of the prompt.
fn input(usage: &Value) -> u64 {
    let prompt = usage["prompt_tokens"].as_u64().unwrap();
    let details = &usage["prompt_tokens_details"];
    let part = |name: &str| details[name].as_u64().unwrap_or(0);
    let cached = part("cached_tokens") + part("cache_write_tokens");
    if cached > prompt { prompt + cached } else { prompt }
}

/// The plain members of a body against what was understood of it.
fn compare_with_body(id: &str, body: &Value, response: &Response) {
    let said = said(response);
    for choice in body["choices"].as_array().into_iter().flatten() {
        let message = &choice["message"];
        let index = choice["index"].as_u64().unwrap_or(0);
        let candidate = &said["candidates"]
            [response.candidates.iter().position(|candidate| u64::from(candidate.index) == index).unwrap()];
        if let Some(content) = message["content"].as_str().filter(|content| !content.contains("<think>")) {
            assert_eq!(candidate["text"], content.replace("\n\n", ""), "{id}");
        }
        let reasoning = message["reasoning_content"].as_str().or_else(|| message["reasoning"].as_str());
        if let Some(reasoning) = reasoning {
            assert_eq!(candidate["reasoning"], reasoning.replace("\n\n", ""), "{id}");
        }
        let calls = message["tool_calls"].as_array().map_or(0, Vec::len);
        let legacy =
            usize::from(message["function_call"]["name"].as_str().is_some_and(|name| !name.is_empty()));
        assert_eq!(candidate["calls"].as_array().unwrap().len(), calls + legacy, "{id}");
    }
    if body["usage"]["prompt_tokens"].is_u64() {
        assert_eq!(said["usage"][0], input(&body["usage"]), "{id}");
    }
}

#[test]
fn every_recorded_stream_is_read_alike_in_all_pieces_and_written_again() {
    let mut count = 0;
    let mut failed = 0;
    for recorded in exchanges(Format::Chat) {
        let (id, exchange) = (&*recorded.id, &recorded.value);
        let Some(stream) = exchange["response"]["sse"].as_str() else { continue };
        let context = passage::upstream(&recorded);
        let whole = events_of(stream.as_bytes(), &[usize::MAX], &context);
        for lengths in [&[1][..], &[7], &[1, 64, 3, 4096, 13]] {
            assert_eq!(
                events_of(stream.as_bytes(), lengths, &context),
                whole,
                "{id} in pieces of {lengths:?}"
            );
        }
        check_contract(id, &whole);
        let response = folded(id, &whole);
        if let Status::Failed(fault) = &response.status {
            assert!(stream.contains("\"error\""), "{id}: {fault:?}");
            failed += 1;
            continue;
        }
        compare_with_stream(id, stream, &response);
        let written = write(Format::Chat, &passage::client(Format::Chat, &response), whole);
        let mut again = folded(
            id,
            &events_of(
                written.as_bytes(),
                &[usize::MAX],
                &UpstreamContext::new(&Profile::compatible(), "req"),
            ),
        );
        again.model.clone_from(&response.model);
        assert_same(id, &response, &again);
        count += 1;
    }
    assert!(count == 0 || (count > 140 && failed > 0), "{count} {failed}");
}

/// What every encoder may rely on.
fn check_contract(id: &str, events: &[Event]) {
    let is_end = |event: &Event| matches!(event, Event::End { .. } | Event::Error(_));
    assert_eq!(events.iter().filter(|event| is_end(event)).count(), 1, "{id}");
    assert!(events.last().is_some_and(is_end), "{id}");
    let mut is_started = false;
    let mut open: Vec<(u32, u32)> = Vec::new();
    let mut next: std::collections::BTreeMap<u32, u32> = std::collections::BTreeMap::new();
    for event in events {
        match event {
            Event::Start(_) => assert!(!std::mem::replace(&mut is_started, true), "{id}"),
            Event::BlockStart { candidate, block, .. } => {
                assert!(is_started, "{id}");
                let ordinal = next.entry(*candidate).or_default();
                assert_eq!(ordinal, block, "{id}");
                *ordinal += 1;
                open.push((*candidate, *block));
            }
            Event::Delta { delta: Delta::Annotation(_), .. } => {}
            Event::Delta { candidate, block, .. } => assert!(open.contains(&(*candidate, *block)), "{id}"),
            Event::BlockStop { candidate, block, .. } => {
                let at = open.iter().position(|known| known == &(*candidate, *block)).unwrap();
                open.remove(at);
            }
            Event::CandidateStop { candidate, .. } => {
                assert!(open.iter().all(|(known, _)| known != candidate), "{id}");
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "{id}");
}

/// The joined deltas of a stream against what was understood of it.
fn compare_with_stream(id: &str, stream: &str, response: &Response) {
    let mut text = String::new();
    let mut reasoning = String::new();
    let mut last_usage = Value::Null;
    for line in stream.lines() {
        let Some(data) = line.strip_prefix("data:") else { continue };
        let Ok(chunk) = serde_json::from_str::<Value>(data) else { continue };
        if chunk["usage"]["prompt_tokens"].is_u64() {
            last_usage = chunk["usage"].clone();
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            if choice["index"].as_u64().unwrap_or(0) != 0 {
                continue;
            }
            text.push_str(
                choice["delta"]["content"].as_str().or_else(|| choice["text"].as_str()).unwrap_or_default(),
            );
            let delta = &choice["delta"];
            let plain = delta["reasoning_content"].as_str().or_else(|| delta["reasoning"].as_str());
            reasoning.push_str(plain.unwrap_or_default());
        }
    }
    let said = said(response);
    if !text.contains("<think>") && !stream.contains("\"thinking\"") {
        assert_eq!(said["candidates"][0]["text"], text.replace("\n\n", ""), "{id}");
        if !stream.contains("reasoning_details") {
            assert_eq!(said["candidates"][0]["reasoning"], reasoning.replace("\n\n", ""), "{id}");
        }
    }
    if last_usage.is_object() {
        assert_eq!(said["usage"][0], input(&last_usage), "{id}");
    }
}
