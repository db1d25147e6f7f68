//! Thinking in the history of requests to Claude upstreams.

use cliproxy_wire::opaque::Repair;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, claude};
use serde_json::{Value, json};

use super::{BUDGET_MODEL, body, call, responses, result, tools, upstream, with};
use crate::support::fixture;

/// What other clients were given of the golden answer's signature.
const ENVELOPE: &str =
    "R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09In0=";

const ENVELOPE_WITH_TEXT: &str = "R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09IiwidCI6Ik5lZWQgdGhlIHdlYXRoZXIuIn0=";

#[test]
fn j064_thinking_of_others_is_absent_and_no_signature_is_empty() {
    let messages = json!([{"role": "user", "content": "go"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "unsigned", "signature": ""},
            {"type": "thinking", "thinking": "of google", "signature": "skip_thought_signature_validator"},
            {"type": "thinking", "thinking": "of openai", "signature": "gAAAAABo0000"},
            {"type": "text", "text": "done"}]},
        {"role": "user", "content": "more"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Claude, &body(messages));
    assert_eq!(written["messages"][1]["content"], json!([{"type": "text", "text": "done"}]));
    let input = json!([{"role": "user", "content": "go"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAAAABo0000"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]},
        {"role": "user", "content": "more"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &responses(input)).to_string();
    assert!(!written.contains("thinking"), "{written}");
}

#[test]
fn j065_a_signature_comes_back_from_every_client_with_its_text() {
    let own =
        json!({"type": "thinking", "thinking": "Need the weather.", "signature": "ErUBsignature0001=="});
    let input = json!([{"role": "user", "content": "go"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Need the weather."}], "encrypted_content": ENVELOPE},
        {"type": "function_call", "call_id": "toolu_01A", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "toolu_01A", "output": "1"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &responses(input));
    assert_eq!(written["messages"][1]["content"][0], own);
    let details = json!([{"type": "reasoning.encrypted", "format": "gateway-v1", "id": "rd_0", "data": ENVELOPE, "index": 0}]);
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "go"},
        {"role": "assistant", "content": null, "reasoning_content": "Need the weather.", "reasoning_details": details,
            "tool_calls": [{"id": "toolu_01A", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "toolu_01A", "content": "1"}]});
    let written = upstream(BUDGET_MODEL).encode(Format::Chat, &chat);
    assert_eq!(written["messages"][1]["content"][0], own);
    // A Gemini client may keep the thought or only the call's signature; the envelope there holds the text.
    let signed = json!({"functionCall": {"id": "toolu_01A", "name": "f", "args": {}}, "thoughtSignature": ENVELOPE_WITH_TEXT});
    let thought =
        json!({"text": "Need the weather.", "thought": true, "thoughtSignature": ENVELOPE_WITH_TEXT});
    let answer = json!({"role": "user", "parts": [{"functionResponse": {"id": "toolu_01A", "name": "f", "response": {"output": "1"}}}]});
    for parts in [json!([thought, signed.clone()]), json!([signed])] {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "go"}]}, {"role": "model", "parts": parts}, answer]});
        let written = upstream(BUDGET_MODEL).encode(Format::Gemini, &body);
        let content = written["messages"][1]["content"].as_array().unwrap();
        assert_eq!((&content[0], content.len()), (&own, 2), "{body}");
    }
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [own.clone(), call("a", "f")]},
        {"role": "user", "content": [result("a", "1")]}]);
    let written =
        upstream(BUDGET_MODEL).encode(Format::Claude, &with(body(messages), "tools", tools(&["f"])));
    assert_eq!(written["messages"][1]["content"][0], own);
}

#[test]
fn j066_redacted_thinking_survives_other_clients() {
    let golden = r#"{"type":"message","id":"msg_1","role":"assistant","model":"m","content":[
        {"type":"redacted_thinking","data":"RGF0YQ=="},{"type":"tool_use","id":"t","name":"f","input":{}}],
        "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let context = cliproxy_wire::codec::UpstreamContext::new(&Profile::claude(), "r");
    let response = claude::decode_response(golden.as_bytes(), &context).unwrap();
    for format in Format::ALL {
        let answer =
            cliproxy_wire::format::encode_response(format, &response, &crate::support::client(format));
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let next = match format {
            Format::Responses => {
                let mut input = vec![json!({"role": "user", "content": "go"})];
                input.extend(answer["output"].as_array().unwrap().iter().cloned());
                input.push(json!({"type": "function_call_output", "call_id": "t", "output": "1"}));
                responses(input)
            }
            Format::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "go"}]},
                answer["candidates"][0]["content"],
                {"role": "user", "parts": [{"functionResponse": {"id": "t", "name": "f", "response": {"output": "1"}}}]}]}),
            Format::Chat => json!({"model": "m", "messages": [{"role": "user", "content": "go"},
                answer["choices"][0]["message"], {"role": "tool", "tool_call_id": "t", "content": "1"}]}),
            Format::Claude => body(
                json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": [result("t", "1")]}]),
            ),
        };
        let written = upstream(BUDGET_MODEL).encode(format, &next);
        let content = &written["messages"][1]["content"];
        assert_eq!(
            content[0],
            json!({"type": "redacted_thinking", "data": "RGF0YQ=="}),
            "{format:?} {content}"
        );
        assert_eq!(content.as_array().unwrap().len(), 2, "{format:?} {content}");
    }
}

#[test]
fn other_clients_cause_the_golden_next_request() {
    let golden: Value = serde_json::from_str(&fixture("claude/weather-next.json")).unwrap();
    let mut model = upstream(BUDGET_MODEL);
    model.model = "m".to_owned();
    let function = |name: &str| json!({"type": "function", "function": {"name": name}});
    let mut weather = function("get_weather");
    weather["function"]["description"] = "Weather of a city".into();
    weather["function"]["parameters"] = golden["tools"][0]["input_schema"].clone();
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let chat = json!({"model": "m", "reasoning_effort": "medium", "max_completion_tokens": 4096, "tool_choice": "auto",
        "tools": [weather, function("get_time")],
        "messages": [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is the weather in Rome, and what time is it?"},
            {"role": "assistant", "content": "Checking Röme 🌤.", "reasoning_content": "Need the weather.",
                "reasoning_details": [{"type": "reasoning.encrypted", "format": "gateway-v1", "data": ENVELOPE, "index": 0}],
                "tool_calls": [call("toolu_01A", "get_weather", "{\"city\":\"Rome\"}"), call("toolu_01B", "get_time", "{}")]},
            {"role": "tool", "tool_call_id": "toolu_01A", "content": "18 C"},
            {"role": "tool", "tool_call_id": "toolu_01B", "content": ""},
            {"role": "user", "content": "In Fahrenheit, please."}]});
    assert_eq!(model.encode(Format::Chat, &chat), golden);
    let responses: Value = serde_json::from_str(&fixture("responses/next_request.json")).unwrap();
    assert_eq!(model.encode(Format::Responses, &responses), golden);
}

#[test]
fn j067_thinking_is_off_when_the_last_tool_turn_has_none() {
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("a", "f")]},
        {"role": "user", "content": [result("a", "1")]}]);
    let body = with(with(body(messages), "tools", tools(&["f"])), "max_tokens", 9000);
    let asked = with(body, "thinking", json!({"type": "enabled", "budget_tokens": 2048}));
    assert!(upstream(BUDGET_MODEL).encode(Format::Claude, &asked).get("thinking").is_none());
}

#[test]
fn j079_after_a_refused_signature_the_request_goes_without_thinking_blocks() {
    let own = json!({"type": "thinking", "thinking": "t", "signature": "ErUBsignature0001=="});
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [own, call("a", "f")]},
        {"role": "user", "content": [result("a", "1")]}]);
    let body = with(with(body(messages), "tools", tools(&["f"])), "max_tokens", 9000);
    let asked = with(body, "thinking", json!({"type": "enabled", "budget_tokens": 2048}));
    let mut model = upstream(BUDGET_MODEL);
    let first = model.encode(Format::Claude, &asked);
    assert!(first["thinking"].is_object() && first.to_string().contains("ErUBsignature0001"));
    model.repair = Some(Repair::DropThinking);
    let second = model.encode(Format::Claude, &asked);
    assert!(
        second.get("thinking").is_none() && !second.to_string().contains("ErUBsignature0001"),
        "{second}"
    );
}

#[test]
fn an_answer_of_foreign_thinking_only_leaves_no_empty_message() {
    let messages = json!([{"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "gAAAAABo0000"}]},
        {"role": "user", "content": "more"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Claude, &body(messages));
    for message in written["messages"].as_array().unwrap() {
        assert_ne!(message["content"], json!([]), "{written}");
    }
}
