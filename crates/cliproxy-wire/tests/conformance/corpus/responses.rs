//! Recorded Responses traffic through the codec: nothing that was said may get lost.

use cliproxy_wire::Format;
use cliproxy_wire::model::fold::unfold;
use cliproxy_wire::model::{Content, Event, Response, Show, Usage};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::responses;
use serde_json::{Value, json};

use super::passage;
use super::recorded::exchanges;
use crate::responses::upstream::{context, events_at, folded};
use crate::support;

/// The recorded exchanges of this format.
fn all() -> impl Iterator<Item = (String, Value)> {
    exchanges(Format::Responses).into_iter().map(|exchange| (exchange.id, exchange.value))
}

fn is_generation(exchange: &Value) -> bool {
    matches!(exchange["operation"].as_str(), Some("generate" | "stream" | "count_tokens"))
}

/// What an input says, without the freedoms of its spelling: messages as role and texts, everything else by the
/// members that carry meaning.
fn said(input: &Value) -> Vec<Value> {
    let items = match input {
        Value::String(text) => return vec![json!(["user", [text]])],
        Value::Array(items) => items,
        _ => return Vec::new(),
    };
    let mut all: Vec<Value> = Vec::new();
    for item in items {
        let said = match item["type"].as_str() {
            None | Some("message") => {
                let parts = match &item["content"] {
                    Value::String(text) => vec![json!(text)],
                    Value::Array(parts) => parts.iter().map(part).collect(),
                    _ => Vec::new(),
                };
                // Messages of the assistant that follow each other may become one.
                if let Some(Value::Array(last)) = all.last_mut()
                    && item["role"] == "assistant"
                    && last[0] == "assistant"
                {
                    last[1].as_array_mut().unwrap().extend(parts);
                    continue;
                }
                json!([item["role"], parts])
            }
            // Without encrypted content it is known only to the service that stored it.
            Some("reasoning") if item["encrypted_content"].is_null() => continue,
            Some("reasoning") => json!([item["encrypted_content"], item["summary"]]),
            Some("function_call") => json!([item["call_id"], item["name"], item["arguments"]]),
            Some("function_call_output" | "custom_tool_call_output") => {
                let output = match &item["output"] {
                    Value::Array(parts) if parts.len() == 1 && parts[0]["text"].is_string() => {
                        parts[0]["text"].clone()
                    }
                    Value::Array(parts) => parts.iter().map(part).collect(),
                    other => other.clone(),
                };
                json!([item["call_id"], output])
            }
            Some("additional_tools") => continue,
            Some(_) => item.clone(),
        };
        all.push(said);
    }
    all
}

fn part(part: &Value) -> Value {
    if part["text"].is_string() {
        return part["text"].clone();
    }
    // A default is not written; the name of a bare file decides its type.
    let mut part = part.clone();
    part.as_object_mut().unwrap().retain(|name, value| !(value.is_null() || name == "filename"));
    part
}

fn tools(body: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    let added =
        body["input"].as_array().into_iter().flatten().filter(|item| item["type"] == "additional_tools");
    let lists = std::iter::once(&body["tools"]).chain(added.map(|item| &item["tools"]));
    for tool in lists.filter_map(Value::as_array).flatten() {
        let mut tool = tool.clone();
        if tool["type"] == "function" {
            let object = tool.as_object_mut().unwrap();
            object.retain(|_, value| !value.is_null());
        }
        if tool["type"] == "custom" && tool["format"].is_null() {
            tool["format"] = json!({"type": "text"});
        }
        all.push(tool);
    }
    all
}

#[test]
fn every_recorded_request_is_read_and_says_the_same_when_written_again() {
    for (id, exchange) in all() {
        let body = &exchange["request"]["body"];
        if !body.is_object() || !is_generation(&exchange) {
            continue;
        }
        let request =
            support::decode(Format::Responses, body).unwrap_or_else(|error| panic!("{id}: {error}"));
        let written = passage::as_read(&Profile::openai_responses(), &request);
        let mut expected = said(&body["input"]);
        // Reasoning that leads to nothing is refused by the service.
        let has_orphan = body["input"]
            .as_array()
            .is_some_and(|items| items.last().is_some_and(|item| item["type"] == "reasoning"));
        if has_orphan {
            expected.pop();
        }
        let written_input = said(&written["input"]);
        let leading = written_input.len().saturating_sub(expected.len());
        // The word that JSON answers demand may have been added in front.
        assert!(leading == 0 || body["text"]["format"]["type"] == "json_object", "{id}");
        assert_eq!(written_input[leading..], expected, "{id}");
        assert_eq!(tools(&written), tools(body), "{id}");
        for member in [
            "instructions",
            "model",
            "temperature",
            "top_p",
            "metadata",
            "prompt_cache_key",
            "truncation",
            "previous_response_id",
            "conversation",
            "context_management",
            "safety_identifier",
            "parallel_tool_calls",
        ] {
            let wanted = &body[member];
            if !(wanted.is_null()
                || wanted == ""
                || (member == "parallel_tool_calls" && body["tools"].is_null()))
            {
                assert_eq!(
                    written[member].as_f64().map_or_else(|| written[member].clone(), |number| json!(number)),
                    wanted.as_f64().map_or_else(|| wanted.clone(), |number| json!(number)),
                    "{id} {member}"
                );
            }
        }
        let has_tools = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
        if has_tools && !body["tool_choice"].is_null() {
            assert_eq!(written["tool_choice"], body["tool_choice"], "{id}");
        }
    }
}

/// What an answer says, apart from ids and the parts that texts are cut into.
fn heard(response: &Response) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut was_text = false;
    for block in response.candidates.iter().flat_map(|candidate| &candidate.blocks) {
        if let Content::Text(text) = &block.content {
            if was_text {
                all.last_mut().unwrap().push_str(&text.text);
            } else {
                all.push(format!("text {}", text.text));
            }
            was_text = true;
            continue;
        }
        was_text = false;
        all.push(match &block.content {
            Content::Refusal(text) => format!("refusal {text}"),
            Content::Reasoning(reasoning) => {
                format!("reasoning {:?}, states: {}", reasoning.text(), reasoning.opaque.len())
            }
            Content::ToolCall(call) => {
                let arguments = match call.arguments.as_str() {
                    "" => "{}",
                    arguments => arguments,
                };
                format!("call {} {} {arguments}", call.call_id, call.name)
            }
            Content::Hosted(hosted) => format!("hosted {:?} {:?}", hosted.kind, hosted.native.value),
            Content::Image(image) => format!("image {:?}", image.source),
            // Its encrypted content is state like that of reasoning.
            Content::Native(native) => {
                let members: Vec<String> =
                    native.value.to_value().as_object().unwrap().keys().cloned().collect();
                format!("native {:?} {:?} {members:?}", native.value.get("type"), native.value.get("id"))
            }
            other => panic!("{other:?}"),
        });
    }
    all
}

/// Opaque state in order.
fn states(response: &Response) -> Vec<&str> {
    let blocks = response.candidates.iter().flat_map(|candidate| &candidate.blocks);
    let reasoning = blocks.filter_map(|block| match &block.content {
        Content::Reasoning(reasoning) => Some(&reasoning.opaque),
        _ => None,
    });
    reasoning.flatten().map(|state| &*state.data).collect()
}

fn annotations(response: &Response) -> usize {
    let blocks = response.candidates.iter().flat_map(|candidate| &candidate.blocks);
    blocks.filter_map(|block| block.as_text()).map(|text| text.annotations.len()).sum()
}

fn counts(usage: Option<&Usage>) -> Option<[Option<u64>; 4]> {
    usage.map(|usage| [usage.input, usage.output, usage.cache_read.or(Some(0)), usage.reasoning.or(Some(0))])
}

fn assert_equal(id: &str, left: &Response, right: &Response) {
    assert_eq!(heard(left), heard(right), "{id}");
    assert_eq!(annotations(left), annotations(right), "{id}");
    assert_eq!(left.candidates[0].stop.reason, right.candidates[0].stop.reason, "{id}");
    assert_eq!(left.status, right.status, "{id}");
    assert_eq!(counts(left.usage.as_ref()), counts(right.usage.as_ref()), "{id}");
}

#[test]
fn every_recorded_body_says_the_same_when_written_again() {
    let mut client = support::client(Format::Responses);
    client.show = Show::Raw;
    for (id, exchange) in all() {
        let body = &exchange["response"]["body"];
        let is_answer = exchange["response"]["status"].as_u64().is_none_or(|status| status < 300);
        // Those that are still worked on are no answers yet.
        let is_waiting = matches!(body["status"].as_str(), Some("queued" | "in_progress"));
        if body["object"] != "response" || !is_answer || is_waiting {
            continue;
        }
        let bytes = serde_json::to_vec(body).unwrap();
        let response = match responses::decode_response(&bytes, &context()) {
            Ok(response) => response,
            Err(_) if body["status"] == "failed" => continue,
            Err(fault) => panic!("{id}: {fault:?}"),
        };
        let written = responses::encode_response(&response, &client);
        let again = responses::decode_response(&written, &context())
            .unwrap_or_else(|fault| panic!("{id}: {fault:?}"));
        assert_equal(&id, &response, &again);
        assert_eq!(states(&response), states(&again), "{id}");

        // The same answer as a stream.
        let mut events = Vec::new();
        unfold(&response, &mut events);
        let stream = support::write(Format::Responses, &client, events);
        assert_equal(&id, &response, &folded(events_at(stream.as_bytes(), usize::MAX, None)));
    }
}

#[test]
fn every_recorded_stream_says_the_same_at_every_chunking_and_when_written_again() {
    let mut client = support::client(Format::Responses);
    client.show = Show::Raw;
    for (id, exchange) in all() {
        let Some(stream) = exchange["response"]["sse"].as_str() else { continue };
        let events = events_at(stream.as_bytes(), usize::MAX, None);
        for size in [1, 13] {
            assert_eq!(events_at(stream.as_bytes(), size, None), events, "{id} in pieces of {size}");
        }
        if matches!(events.last(), Some(Event::Error(_))) {
            assert!(!stream.contains("\"response.completed\""), "{id}");
            continue;
        }
        let response = folded(events.clone());
        let written = support::write(Format::Responses, &client, events);
        let again = folded(events_at(written.as_bytes(), 17, None));
        assert_equal(&id, &response, &again);
        assert_eq!(states(&response), states(&again), "{id}");

        // The stream says what its own last event repeats; the service encrypts reasoning anew for it.
        let frames = support::frames(&stream.replace("\r\n", "\n").replace("data:{", "data: {"));
        let last = frames.iter().rfind(|frame| {
            matches!(frame["type"].as_str(), Some("response.completed" | "response.incomplete"))
        });
        let Some(last) = last.map(|frame| &frame["response"]) else { panic!("{id}: no last event") };
        // Fixtures were trimmed by hand, and not everywhere alike.
        if exchange["provenance"] == "recorded"
            && last["output"].as_array().is_some_and(|output| !output.is_empty())
        {
            let body = responses::decode_response(&serde_json::to_vec(last).unwrap(), &context()).unwrap();
            // An item that is finished only by the last event comes last.
            let sorted = |response: &Response| {
                let mut all = heard(response);
                all.sort();
                all
            };
            assert_eq!(sorted(&response), sorted(&body), "{id}");
            assert_eq!(annotations(&response), annotations(&body), "{id}");
            assert_eq!(response.candidates[0].stop, body.candidates[0].stop, "{id}");
            assert_eq!(response.usage, body.usage, "{id}");
        }
    }
}
