//! Thoughts and signatures come back to the provider that made them, though the client drops what it does not know.

use bytes::Bytes;
use cliproxy_testkit::{Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, FORMATS};

const THOUGHT: &str = "Need the weather, ünd why.";
/// Gemini's stand-in for a signature that nobody knows.
const SENTINEL: &str = "skip_thought_signature_validator";

/// The signature that each upstream gives, where it gives it.
fn signature(format: &str) -> &'static str {
    match format {
        "claude" => "ErUBCkYIBxgCKkBzaWduYXR1cmU=",
        "gemini" => "CqMDAb4+U0lHTkVE",
        _ => "gAAAAABsZWNyZXQtcmVhc29uaW5n",
    }
}

/// An answer that thinks and calls `get_weather`, and after the call's result a plain one.
fn answer(format: &str, received: &Received) -> Value {
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    let is_answered = ["tool_result", "functionResponse", "function_call_output"]
        .iter()
        .any(|mark| body.to_string().contains(mark));
    if is_answered {
        return support::body(format);
    }
    let sign = signature(format);
    match format {
        "claude" => json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
            "content": [{"type": "thinking", "thinking": THOUGHT, "signature": sign}, {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}],
            "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5}}),
        "gemini" => json!({"candidates": [{"content": {"role": "model", "parts": [
                {"text": THOUGHT, "thought": true}, {"text": "Looking."},
                {"functionCall": {"id": "call_1", "name": "get_weather", "args": {"city": "Rome"}}, "thoughtSignature": sign}]},
            "finishReason": "STOP", "index": 0}], "modelVersion": "up",
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}}),
        _ => {
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "up", "output": [
                {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}], "encrypted_content": sign},
                {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "get_weather", "arguments": "{\"city\":\"Rome\"}"}],
            "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}})
        }
    }
}

fn config(format: &str, upstream: &Upstream) -> String {
    let name = match format {
        "claude" => "claude-sonnet-4-5",
        "gemini" => "gemini-3-flash-preview",
        _ => "gpt-5.1",
    };
    let keys = "api-keys: [client-key-0001, client-key-0002]\n";
    format!("{keys}{}", support::config(format, upstream).replace("name: up", &format!("name: {name}")))
}

/// A first request of a client that says nothing of thinking.
fn ask(client: &str) -> Value {
    let (_, mut body) = support::request(client, "up", false);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    body["tools"] = match client {
        "chat" => json!([{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]),
        "responses" => {
            json!([{"type": "function", "name": "get_weather", "parameters": schema, "strict": false}])
        }
        "claude" => json!([{"name": "get_weather", "input_schema": schema}]),
        _ => json!([{"functionDeclarations": [{"name": "get_weather", "parameters": schema}]}]),
    };
    if client == "claude" {
        body["max_tokens"] = json!(20_000);
    }
    body
}

/// What a client sends next that knows calls and results, and drops everything else that came with them.
fn next(client: &str, answer: &Value) -> Value {
    let mut body = ask(client);
    let city = json!({"city": "Rome"});
    match client {
        "chat" => {
            let call = &answer["choices"][0]["message"]["tool_calls"][0];
            let function = json!({"name": "get_weather", "arguments": city.to_string()});
            body["messages"].as_array_mut().unwrap().extend([
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": call["id"], "type": "function", "function": function}]}),
                json!({"role": "tool", "tool_call_id": call["id"], "content": "22"}),
            ]);
        }
        "responses" => {
            let output = answer["output"].as_array().unwrap();
            let call = output.iter().find(|item| item["type"] == "function_call").unwrap();
            body["input"] = json!([{"role": "user", "content": "hi"},
                {"type": "function_call", "call_id": call["call_id"], "name": "get_weather", "arguments": city.to_string()},
                {"type": "function_call_output", "call_id": call["call_id"], "output": "22"}]);
        }
        "claude" => {
            let content = answer["content"].as_array().unwrap();
            let call = content.iter().find(|block| block["type"] == "tool_use").unwrap();
            body["messages"].as_array_mut().unwrap().extend([
                json!({"role": "assistant", "content": [{"type": "tool_use", "id": call["id"], "name": "get_weather", "input": city}]}),
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "22"}]}),
            ]);
        }
        _ => {
            let parts = answer["candidates"][0]["content"]["parts"].as_array().unwrap();
            let call = &parts.iter().find(|part| part["functionCall"].is_object()).unwrap()["functionCall"];
            body["contents"].as_array_mut().unwrap().extend([
                json!({"role": "model", "parts": [{"functionCall": {"id": call["id"], "name": "get_weather", "args": city}}]}),
                json!({"role": "user", "parts": [{"functionResponse": {"id": call["id"], "name": "get_weather", "response": {"output": "22"}}}]}),
            ]);
        }
    }
    body
}

async fn post(
    gateway: &cliproxy_testkit::Gateway,
    client: &str,
    key: &str,
    is_stream: bool,
    body: &Value,
) -> (u16, String) {
    let (path, _) = support::request(client, "up", is_stream);
    let mut body = body.clone();
    if is_stream && client != "gemini" {
        body["stream"] = json!(true);
    }
    let request = reqwest::Client::new()
        .post(format!("{}{path}", gateway.url()))
        .bearer_auth(key)
        .body(body.to_string());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The signature that the last request brought back to its maker, and the thought it belongs to.
fn brought_back(format: &str, upstream: &Upstream) -> (Option<String>, Option<String>) {
    let body: Value = serde_json::from_slice(&upstream.received().pop().unwrap().body).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match format {
        "claude" => {
            let first = &body["messages"][1]["content"][0];
            (text(&first["signature"]), text(&first["thinking"]))
        }
        "gemini" => {
            let parts = body["contents"][1]["parts"].as_array().unwrap();
            let call = parts.iter().find(|part| part["functionCall"].is_object()).unwrap();
            (text(&call["thoughtSignature"]), None)
        }
        _ => {
            let items = body["input"].as_array().unwrap();
            let thought = items.iter().find(|item| item["type"] == "reasoning").unwrap_or(&Value::Null);
            (text(&thought["encrypted_content"]), text(&thought["summary"][0]["text"]))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_survive_clients_that_drop_them() {
    for upstream_format in ["claude", "gemini", "responses"] {
        let upstream = Upstream::start(move |received| {
            Script::json(200, Bytes::from(answer(upstream_format, received).to_string()))
        })
        .await;
        let gateway = support::start(&config(upstream_format, &upstream), &[]);
        for client in FORMATS.into_iter().filter(|client| *client != upstream_format) {
            let what = format!("{client} over {upstream_format}");
            let (status, first) = post(&gateway, client, "client-key-0001", false, &ask(client)).await;
            assert_eq!(status, 200, "{what}: {first}");
            let second = next(client, &serde_json::from_str(&first).unwrap());
            for is_stream in [false, true] {
                let (status, answer) = post(&gateway, client, "client-key-0001", is_stream, &second).await;
                assert_eq!(status, 200, "{what}: {answer}");
                let (sign, thought) = brought_back(upstream_format, &upstream);
                assert_eq!(sign.as_deref(), Some(signature(upstream_format)), "{what}");
                if upstream_format != "gemini" {
                    assert_eq!(thought.as_deref(), Some(THOUGHT), "{what}");
                }
            }
            // Another client's key finds nothing, and is served nevertheless.
            let (status, answer) = post(&gateway, client, "client-key-0002", false, &second).await;
            assert_eq!(status, 200, "{what}: {answer}");
            let (sign, _) = brought_back(upstream_format, &upstream);
            let expected = (upstream_format == "gemini").then_some(SENTINEL);
            assert_eq!(sign.as_deref(), expected, "{what}");
        }
    }
}
