//! OpenAI Chat Completions, as a service with reasoning text speaks it.

use serde_json::{Value, json};

use super::Dialect;
use super::answer::{Answer, USAGE, pieces};
use super::ask::{Ask, Media, Tool, Want, check_closed, list, pair, required, text};
use crate::Received;

pub(super) struct Chat;

impl Dialect for Chat {
    fn read(&self, received: &Received) -> Result<Ask, String> {
        if received.path != "/v1/chat/completions" {
            return Err(format!("no endpoint {}", received.path));
        }
        let body: Value = serde_json::from_slice(&received.body).map_err(|error| error.to_string())?;
        let want = if body["stream"] == json!(true) { Want::Stream } else { Want::Body };
        let mut ask = Ask::new(&required(&body, "model")?, want);
        ask.counts_stream = body["stream_options"]["include_usage"] == json!(true);
        read_messages(list(&body, "messages"), &mut ask)?;
        if body["tool_choice"] != json!("none") {
            for tool in list(&body, "tools") {
                let function = &tool["function"];
                let name = required(function, "name")?;
                ask.tools.push(Tool { name, schema: function["parameters"].clone() });
            }
        }
        ask.thinks = body["reasoning_effort"].as_str().is_some_and(|effort| effort != "none");
        let format = &body["response_format"];
        if format["type"] == json!("json_schema") {
            let schema = format["json_schema"]["schema"].clone();
            if format["json_schema"]["strict"] == json!(true) {
                check_closed(&schema)?;
            }
            ask.schema = Some(schema);
        }
        Ok(ask)
    }

    fn body(&self, ask: &Ask, answer: &Answer) -> Value {
        let mut message = json!({"role": "assistant", "content": answer.text, "refusal": null});
        if let Some(thought) = &answer.thought {
            message["reasoning_content"] = json!(thought);
        }
        if !answer.calls.is_empty() {
            message["tool_calls"] = answer
                .calls
                .iter()
                .map(|call| {
                    json!({"id": call.id, "type": "function",
                        "function": {"name": call.name, "arguments": call.arguments.to_string()}})
                })
                .collect();
        }
        json!({"id": "chatcmpl-simulated", "object": "chat.completion", "created": 1_785_500_000, "model": ask.model,
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish(answer)}],
            "usage": usage(ask)})
    }

    fn frames(&self, ask: &Ask, answer: &Answer) -> Vec<String> {
        let frame = |choices: Value, usage: Value| {
            let chunk = json!({"id": "chatcmpl-simulated", "object": "chat.completion.chunk",
                "created": 1_785_500_000, "model": ask.model, "choices": choices, "usage": usage});
            format!("data: {chunk}\n\n")
        };
        let delta = |delta: Value| {
            frame(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]), Value::Null)
        };
        let mut frames = vec![delta(json!({"role": "assistant", "content": "", "refusal": null}))];
        for thought in answer.thought.iter().flat_map(|thought| pieces(thought)) {
            frames.push(delta(json!({"reasoning_content": thought})));
        }
        frames.extend(answer.text_pieces().into_iter().map(|text| delta(json!({"content": text}))));
        for (index, call) in answer.calls.iter().enumerate() {
            let function = json!({"name": call.name, "arguments": ""});
            frames.push(delta(json!({"tool_calls":
                [{"index": index, "id": call.id, "type": "function", "function": function}]})));
            for piece in pieces(&call.arguments.to_string()) {
                frames
                    .push(delta(json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})));
            }
        }
        let last = json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": finish(answer)}]);
        frames.push(frame(last, Value::Null));
        if ask.counts_stream {
            frames.push(frame(json!([]), usage(ask)));
        }
        frames.push("data: [DONE]\n\n".to_owned());
        frames
    }

    fn count(&self, _tokens: u64) -> Value {
        json!({})
    }

    fn refusal(&self, status: u16, message: &str) -> Value {
        let kind = match status {
            401 => "authentication_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        let code = if status == 404 { json!("model_not_found") } else { Value::Null };
        json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
    }

    fn failure(&self, message: &str) -> String {
        format!("data: {}\n\n", self.refusal(500, message))
    }

    fn config(&self, url: &str, models: &str) -> String {
        format!(
            "openai-compatibility:\n  - name: simulated\n    base-url: {url}/v1\n    \
             api-key-entries: [{{api-key: simulated-chat-key}}]\n    {models}\n"
        )
    }
}

fn finish(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() { "stop" } else { "tool_calls" }
}

fn usage(ask: &Ask) -> Value {
    let thought = if ask.thinks { USAGE.thought } else { 0 };
    json!({"prompt_tokens": USAGE.input, "completion_tokens": USAGE.output,
        "total_tokens": USAGE.input + USAGE.output, "prompt_tokens_details": {"cached_tokens": USAGE.cached},
        "completion_tokens_details": {"reasoning_tokens": thought}})
}

fn read_messages(messages: &[Value], ask: &mut Ask) -> Result<(), String> {
    if messages.is_empty() {
        return Err("messages must not be empty".to_owned());
    }
    ask.turn = messages.len();
    let mut calls: Vec<(String, String)> = Vec::new();
    let mut results = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = required(message, "role")?;
        if role == "tool" {
            results.push((required(message, "tool_call_id")?, content(message, ask)?));
            continue;
        }
        // Results stand directly behind their calls.
        if !calls.is_empty() {
            ask.results = pair(&std::mem::take(&mut calls), std::mem::take(&mut results))?;
        } else if !results.is_empty() {
            return Err(format!("messages[{at}] follows a result without a call"));
        }
        match role.as_str() {
            "assistant" => {
                ask.results.clear();
                ask.media.clear();
                for call in list(message, "tool_calls") {
                    calls.push((required(call, "id")?, required(&call["function"], "name")?));
                    let arguments = required(&call["function"], "arguments")?;
                    serde_json::from_str::<Value>(&arguments)
                        .map_err(|error| format!("arguments: {error}"))?;
                }
            }
            "user" => {
                ask.media.clear();
                ask.text = content(message, ask)?;
            }
            "system" | "developer" => drop(content(message, ask)?),
            other => return Err(format!("messages[{at}].role is {other}")),
        }
    }
    if !calls.is_empty() || !results.is_empty() {
        ask.results = pair(&calls, results)?;
    }
    Ok(())
}

fn content(message: &Value, ask: &mut Ask) -> Result<String, String> {
    if let Some(text) = message["content"].as_str() {
        return Ok(text.to_owned());
    }
    let mut said = String::new();
    for part in list(message, "content") {
        match text(part, "type").as_str() {
            "text" => said.push_str(&required(part, "text")?),
            "image_url" => ask.media.push(Media::of_url(&required(&part["image_url"], "url")?)?),
            "file" => ask.media.push(Media::of_url(&required(&part["file"], "file_data")?)?),
            other => return Err(format!("content part of type {other}")),
        }
    }
    Ok(said)
}
