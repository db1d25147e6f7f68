//! Recorded Gemini traffic: every request, body and stream is read, written again and says the same.

use cliproxy_wire::Format;
use cliproxy_wire::codec::{ClientContext, UpstreamContext};
use cliproxy_wire::format::{self, RequestContext};
use cliproxy_wire::model::fold::unfold;
use cliproxy_wire::model::{Content, Event, Request, Response, Show, Status, Summary};
use cliproxy_wire::profile::Profile;
use serde_json::Value;

use super::passage::{self, Aim};
use super::recorded;

struct Exchange {
    id: String,
    model: String,
    operation: String,
    status: u64,
    request: Value,
    response: Value,
}

fn all() -> Vec<Exchange> {
    recorded::exchanges(Format::Gemini)
        .into_iter()
        .map(|recorded::Exchange { id, value, .. }| {
            let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            Exchange {
                id,
                model: text("model"),
                operation: text("operation"),
                status: value["response"]["status"].as_u64().unwrap_or(200),
                request: value["request"]["body"].clone(),
                response: value["response"].clone(),
            }
        })
        .filter(|exchange| matches!(&*exchange.operation, "generate" | "stream" | "count_tokens"))
        .collect()
}

fn upstream() -> UpstreamContext {
    UpstreamContext::new(&Profile::gemini(), "req")
}

fn client() -> ClientContext {
    let mut context = ClientContext::new(&Request::new(Format::Gemini, "m"), "req", 0);
    context.show = Show::Summary(Summary::Auto);
    context
}

/// What an answer says, in a form that does not depend on how it is cut into blocks.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    thoughts: String,
    calls: Vec<(String, String, Option<String>)>,
    media: Vec<String>,
    signatures: Vec<String>,
    stops: Vec<String>,
    usage: String,
    grounding: Vec<String>,
    citations: usize,
    hosted: usize,
}

fn said(response: &Response) -> Said {
    let mut said = Said::default();
    for candidate in &response.candidates {
        for block in &candidate.blocks {
            match &block.content {
                Content::Text(text) => {
                    said.text.push_str(&text.text);
                    said.citations += text.annotations.len();
                    said.signatures.extend(text.opaque.iter().map(|opaque| opaque.data.to_string()));
                }
                Content::Reasoning(reasoning) => {
                    said.thoughts.push_str(&reasoning.text());
                    said.signatures.extend(reasoning.opaque.iter().map(|opaque| opaque.data.to_string()));
                }
                Content::ToolCall(call) => said.calls.push((
                    call.name.to_string(),
                    // Server-sent events have no line breaks; between tokens they mean nothing.
                    call.arguments.as_str().replace(['\n', '\r'], " "),
                    call.opaque.as_ref().map(|opaque| opaque.data.to_string()),
                )),
                Content::Image(image) => said.media.push(format!("{image:?}")),
                Content::Audio(audio) => said.media.push(format!("{audio:?}")),
                Content::Document(document) => said.media.push(format!("{document:?}")),
                Content::Hosted(_) => said.hosted += 1,
                Content::Native(_) => panic!("an unknown part in {block:?}"),
                _ => {}
            }
        }
        said.stops.push(format!("{:?}", candidate.stop));
        said.grounding.extend(candidate.grounding.iter().map(|raw| raw.as_str().replace(['\n', '\r'], " ")));
    }
    if let Some(usage) = &response.usage {
        let total = (usage.input, usage.output, usage.reasoning.unwrap_or(0), usage.cache_read.unwrap_or(0));
        said.usage = format!("{total:?}");
    }
    said
}

fn events(bytes: &[u8], pieces: &[usize]) -> Vec<Event> {
    passage::events(Format::Gemini, upstream(), bytes, pieces).unwrap()
}

fn folded(events: &[Event]) -> Response {
    passage::folded(events).unwrap()
}

fn written(events: Vec<Event>, is_sse: bool) -> Vec<u8> {
    let mut context = client();
    context.is_sse = is_sse;
    let mut encoder = format::stream_encoder(Format::Gemini, context);
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    out
}

#[test]
fn every_recorded_request_is_read_and_written_again() {
    let exchanges = all();
    let mut count = 0;
    for exchange in exchanges.iter().filter(|exchange| exchange.request.is_object()) {
        let body = exchange.request.to_string();
        let wish = RequestContext { model: &exchange.model, stream: false, ..RequestContext::default() };
        let request = format::decode_request(Format::Gemini, body.as_bytes(), wish)
            .unwrap_or_else(|error| panic!("{}: {error}", exchange.id));
        let profile = Profile::gemini();
        let aim = Aim::at(&profile, &exchange.model);
        let encoded = aim.with(&request, |target| format::encode_request(request.clone(), target));
        let encoded = match encoded {
            Ok(encoded) => encoded,
            // The service itself refused some of the recorded ones.
            Err(error) => {
                assert!(exchange.status >= 400, "{}: {error}", exchange.id);
                continue;
            }
        };
        let again = format::decode_request(Format::Gemini, &encoded.body, wish)
            .unwrap_or_else(|error| panic!("{}: {error}", exchange.id));
        let calls = |request: &Request| -> Vec<String> {
            let blocks = request.turns.iter().flat_map(|turn| &turn.blocks);
            blocks
                .filter_map(|block| match &block.content {
                    Content::ToolCall(call) => {
                        Some(format!("{} {:?} {:?}", call.name, call.arguments, call.opaque))
                    }
                    Content::ToolResult(result) => Some(format!("{:?} {:?}", result.name, result.structured)),
                    _ => None,
                })
                .collect()
        };
        if exchange.status < 400 {
            assert_eq!(calls(&request), calls(&again), "{}", exchange.id);
            assert_eq!(request.tools.len(), again.tools.len(), "{}", exchange.id);
            assert_eq!(request.output, again.output, "{}", exchange.id);
        }
        count += 1;
    }
    assert!(exchanges.is_empty() || count > 350, "{count}");
}

#[test]
fn every_recorded_body_is_read_and_written_again() {
    let exchanges = all();
    let mut count = 0;
    for exchange in exchanges.iter().filter(|exchange| exchange.operation == "generate") {
        let body = exchange.response["body"].to_string();
        let response = match format::decode_response(Format::Gemini, body.as_bytes(), &upstream()) {
            Ok(response) => response,
            Err(fault) => {
                assert!(exchange.status >= 400, "{}: {fault:?}", exchange.id);
                continue;
            }
        };
        let bytes = format::encode_response(Format::Gemini, &response, &client());
        let again = format::decode_response(Format::Gemini, &bytes, &upstream()).unwrap();
        assert_eq!(said(&again), said(&response), "{}", exchange.id);
        let mut laid_out = Vec::new();
        unfold(&response, &mut laid_out);
        for is_sse in [true, false] {
            let stream = written(laid_out.clone(), is_sse);
            let from_stream = folded(&events(&stream, &[stream.len().max(1)]));
            assert_eq!(said(&from_stream), said(&response), "{} as a stream", exchange.id);
        }
        count += 1;
    }
    assert!(exchanges.is_empty() || count > 300, "{count}");
}

#[test]
fn every_recorded_stream_is_read_alike_at_every_chunking_and_written_again() {
    let exchanges = all();
    let mut count = 0;
    for exchange in exchanges.iter().filter(|exchange| exchange.operation == "stream") {
        let text = exchange.response["sse"].as_str().or_else(|| exchange.response["text"].as_str()).unwrap();
        let whole = events(text.as_bytes(), &[text.len()]);
        for pieces in [&[1][..], &[7], &[3, 1, 64, 2, 1000, 13]] {
            assert_eq!(events(text.as_bytes(), pieces), whole, "{}", exchange.id);
        }
        assert!(!whole.iter().any(|event| matches!(event, Event::Warning(_))), "{}: {whole:?}", exchange.id);
        let response = folded(&whole);
        let is_cut = matches!(response.status, Status::Failed(_));
        for is_sse in [true, false] {
            let stream = written(whole.clone(), is_sse);
            if !is_sse {
                assert!(serde_json::from_slice::<Vec<Value>>(&stream).is_ok(), "{}", exchange.id);
            }
            let again = folded(&events(&stream, &[stream.len()]));
            assert_eq!(matches!(again.status, Status::Failed(_)), is_cut, "{}", exchange.id);
            if !is_cut {
                assert_eq!(said(&again), said(&response), "{}", exchange.id);
            }
        }
        count += 1;
    }
    assert!(exchanges.is_empty() || count > 90, "{count}");
}
