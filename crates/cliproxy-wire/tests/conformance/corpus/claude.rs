//! Recorded Claude traffic through the codec: nothing that was said may get lost.

use cliproxy_wire::Format;
use cliproxy_wire::claude;
use cliproxy_wire::codec::{ClientContext, StreamEncoder as _, UpstreamContext};
use cliproxy_wire::model::{Event, Request, Show, Summary};
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use super::passage;
use super::recorded::exchanges;
use crate::reader::claude::accumulate;

/// The recorded exchanges of a format.
fn all(format: Format) -> impl Iterator<Item = (String, Value)> {
    exchanges(format).into_iter().map(|exchange| (exchange.id, exchange.value))
}

/// A body with the freedoms of the format taken out: two spellings of one thing become equal.
fn plain_request(body: &Value) -> Value {
    let mut body = body.clone();
    let object = body.as_object_mut().unwrap();
    object.retain(|_, value| !value.is_null());
    // Reasoning members come from a plan, which this test does not make; sampling and limits are scalars.
    for member in ["thinking", "output_format", "stream", "max_tokens", "betas"] {
        object.remove(member);
    }
    if let Some(config) = object.get_mut("output_config").and_then(Value::as_object_mut) {
        config.remove("effort");
        config.remove("format");
        if config.is_empty() {
            object.remove("output_config");
        }
    }
    if let Some(text) = object.get("system").and_then(Value::as_str).map(str::to_owned) {
        if text.trim().is_empty() {
            object.remove("system");
        } else {
            object.insert("system".into(), json!([{"type": "text", "text": text}]));
        }
    }
    for number in ["temperature", "top_p"] {
        if let Some(value) = object.get(number).and_then(Value::as_f64) {
            object.insert(number.into(), value.into());
        }
    }
    for list in ["tools", "mcp_servers", "stop_sequences"] {
        if object.get(list).is_some_and(|list| list.as_array().is_some_and(Vec::is_empty)) {
            object.remove(list);
        }
    }
    if object.get("tools").is_none() {
        object.remove("tool_choice");
    }
    if let Some(tools) = object.get_mut("tools").and_then(Value::as_array_mut) {
        for tool in tools {
            let tool = tool.as_object_mut().unwrap();
            tool.retain(|_, value| !value.is_null());
            if tool.get("type").is_some_and(|kind| kind == "custom") {
                tool.remove("type");
            }
            if tool.get("strict").is_some_and(|strict| strict == false) {
                tool.remove("strict");
            }
        }
    }
    for message in object["messages"].as_array_mut().unwrap() {
        plain_content(&mut message["content"]);
    }
    body
}

fn plain_content(content: &mut Value) {
    if let Some(text) = content.as_str().map(str::to_owned) {
        *content = json!([{"type": "text", "text": text}]);
    }
    let Some(blocks) = content.as_array_mut() else { return };
    blocks.retain(|block| {
        block["type"] != "text" || block["text"].as_str().is_some_and(|text| !text.trim().is_empty())
    });
    for block in blocks {
        if block["type"] == "text" || block["type"] == "tool_result" || block["type"] == "document" {
            block.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        }
        if block["type"] == "text" && block["citations"].as_array().is_some_and(Vec::is_empty) {
            block.as_object_mut().unwrap().remove("citations");
        }
        if block["type"] == "tool_result" {
            let nested = block.as_object_mut().unwrap();
            if nested.get("is_error").is_some_and(|is_error| is_error == false) {
                nested.remove("is_error");
            }
            if let Some(content) = nested.get_mut("content") {
                plain_content(content);
                if content.as_array().is_some_and(Vec::is_empty) {
                    nested.remove("content");
                }
            }
        }
    }
}

#[test]
fn recorded_requests_keep_all_they_say() {
    let mut seen = 0;
    for (id, exchange) in all(Format::Claude) {
        let body = &exchange["request"]["body"];
        if !body.is_object() || exchange["operation"] == "models" {
            continue;
        }
        let bytes = serde_json::to_vec(body).unwrap();
        let decoded = if exchange["operation"] == "count_tokens" {
            claude::decode_count_request(&bytes)
        } else {
            claude::decode_request(&bytes)
        };
        // A few recordings are of refused requests.
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => panic!("{id}: {error}"),
        };
        let mut written = passage::as_read(&Profile::claude(), &decoded);
        let mut expected = plain_request(body);
        // The final assistant text is trimmed for the service's sake.
        for value in [&mut written, &mut expected] {
            let last = value["messages"].as_array_mut().and_then(|all| all.last_mut());
            if let Some(last) = last.filter(|last| last["role"] == "assistant")
                && let Some(text) = last["content"].as_array_mut().and_then(|all| all.last_mut())
                && let Some(trimmed) = text["text"].as_str().map(|text| text.trim_end().to_owned())
            {
                text["text"] = trimmed.into();
            }
        }
        assert_eq!(plain_request(&written), expected, "{id}");
        seen += 1;
    }
    eprintln!("{seen} recorded requests");
}

/// Events of a stream that arrives in pieces of these lengths, over and over.
fn events(id: &str, sse: &str, lengths: &[usize]) -> Vec<Event> {
    let context = UpstreamContext::new(&Profile::claude(), id);
    passage::events(Format::Claude, context, sse.as_bytes(), lengths).unwrap()
}

fn shows_everything(id: &str) -> ClientContext {
    let mut context = ClientContext::new(&Request::new(Format::Claude, "m"), id, 0);
    context.show = Show::Summary(Summary::Auto);
    context
}

/// What must survive of an answer.
fn plain_answer(body: &Value) -> Value {
    let mut content = body["content"].clone();
    for block in content.as_array_mut().unwrap() {
        let object = block.as_object_mut().unwrap();
        object.retain(|_, value| !value.is_null());
        if object.get("citations").is_some_and(|all| all.as_array().is_some_and(Vec::is_empty)) {
            object.remove("citations");
        }
        if object.get("type").is_some_and(|kind| kind == "tool_use") {
            object.remove("caller");
        }
    }
    content
        .as_array_mut()
        .unwrap()
        .retain(|block| block["type"] != "text" || block["text"] != "" || !block["citations"].is_null());
    let usage = &body["usage"];
    json!({
        "id": body["id"], "model": body["model"], "content": content,
        "stop_reason": body["stop_reason"], "stop_sequence": body["stop_sequence"],
        "container": body["container"], "context_management": body["context_management"],
        "usage": [
            usage["input_tokens"], usage["output_tokens"],
            usage["cache_read_input_tokens"].as_u64().unwrap_or(0),
            usage["cache_creation_input_tokens"].as_u64().unwrap_or(0),
            usage["output_tokens_details"]["thinking_tokens"],
        ],
    })
}

#[test]
fn recorded_answers_keep_all_they_say() {
    let mut seen = 0;
    for (id, exchange) in all(Format::Claude) {
        let body = &exchange["response"]["body"];
        if body["type"] != "message" {
            continue;
        }
        let bytes = serde_json::to_vec(body).unwrap();
        let context = UpstreamContext::new(&Profile::claude(), id.as_str());
        let response =
            claude::decode_response(&bytes, &context).unwrap_or_else(|fault| panic!("{id}: {fault:?}"));
        let written = claude::encode_response(&response, &shows_everything(&id));
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(plain_answer(&written), plain_answer(body), "{id}");
        seen += 1;
    }
    eprintln!("{seen} recorded answers");
}

#[test]
fn recorded_streams_read_alike_at_any_chunking_and_keep_all_they_say() {
    let mut seen = 0;
    for (id, exchange) in all(Format::Claude) {
        let Some(sse) = exchange["response"]["sse"].as_str() else { continue };
        let whole = events(&id, sse, &[usize::MAX]);
        for lengths in [&[1][..], &[2, 3, 5, 7], &[64, 1, 1021], &[4096]] {
            assert!(
                lengths[0] == 1 && sse.len() > 200_000 || events(&id, sse, lengths) == whole,
                "{id} {lengths:?}"
            );
        }
        let crlf = events(&id, &sse.replace('\n', "\r\n"), &[3, 1]);
        assert!(crlf == whole, "{id}: line ends change nothing");
        // Two recordings hold two messages each; they only have to be read without harm.
        let is_odd = exchange["features"].as_array().unwrap().iter().any(|tag| tag == "anomalous-stream");
        let Some(Event::End { .. }) = whole.last() else {
            panic!("{id} ends with {:?}", whole.last());
        };
        if is_odd {
            continue;
        }
        let mut encoder = claude::Encoder::new(shows_everything(&id));
        let mut written = Vec::new();
        for event in &whole {
            encoder.event(event.clone(), &mut written);
        }
        let written = String::from_utf8(written).unwrap();
        let mut expected = accumulate(sse);
        // The service repeats no web searches it did not make.
        expected["usage"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let streamed = accumulate(&written);
        assert_eq!(plain_answer(&streamed), plain_answer(&expected), "{id}");
        // The body of the folded stream says the same.
        let body = claude::encode_response(&passage::folded(&whole).unwrap(), &shows_everything(&id));
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(plain_answer(&body), plain_answer(&streamed), "{id}");
        seen += 1;
    }
    eprintln!("{seen} recorded streams");
}

#[test]
fn recorded_streams_of_other_upstreams_are_legal_streams_for_claude_clients() {
    for (format, profile) in [
        (Format::Chat, Profile::compatible()),
        (Format::Responses, Profile::openai_responses()),
        (Format::Gemini, Profile::gemini()),
    ] {
        let mut seen = 0;
        for (id, exchange) in all(format) {
            let Some(sse) = exchange["response"]["sse"].as_str() else { continue };
            let events = crate::support::events(&profile, sse);
            let Some(Event::End { .. }) = events.last() else { continue };
            let context = shows_everything(&id);
            let written = crate::support::write(Format::Claude, &context, events.clone());
            let message = crate::reader::read(Format::Claude, &written);
            for block in message["content"].as_array().unwrap() {
                match block["type"].as_str().unwrap() {
                    "thinking" => assert_ne!(block["signature"], "", "{id}"),
                    "tool_use" => {
                        assert!(block["input"].is_object() || message["stop_reason"] == "max_tokens", "{id}");
                    }
                    "text" => assert_ne!(block["text"], "", "{id}"),
                    _ => {}
                }
            }
            let body = claude::encode_response(&passage::folded(&events).unwrap(), &context);
            let body: Value = serde_json::from_slice(&body).unwrap();
            if message["stop_reason"] != "max_tokens" {
                assert_eq!(plain_answer(&body), plain_answer(&message), "{id}");
            }
            seen += 1;
        }
        eprintln!("{seen} recorded streams of {format:?}");
    }
}
