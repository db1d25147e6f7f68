//! Claude Messages.

use serde_json::{Value, json};

use super::Dialect;
use super::answer::{Answer, USAGE, pieces};
use super::ask::{Ask, Media, Tool, Want, check_closed, list, pair, required, text};
use super::seal::Issuer;
use crate::Received;

pub(super) struct Claude;

impl Dialect for Claude {
    fn read(&self, received: &Received) -> Result<Ask, String> {
        let body: Value = serde_json::from_slice(&received.body).map_err(|error| error.to_string())?;
        let want = match received.path.split('?').next().unwrap_or_default() {
            "/v1/messages/count_tokens" => Want::Count,
            "/v1/messages" if body["stream"] == json!(true) => Want::Stream,
            "/v1/messages" => Want::Body,
            other => return Err(format!("no endpoint {other}")),
        };
        if !received.headers.contains_key("anthropic-version") {
            return Err("anthropic-version: header is required".to_owned());
        }
        let mut ask = Ask::new(&required(&body, "model")?, want);
        let limit = body["max_tokens"].as_u64();
        if limit.is_none() != (want == Want::Count) {
            return Err("max_tokens: required for messages, refused for counts".to_owned());
        }
        let thinking = &body["thinking"];
        ask.thinks = thinking["type"] == json!("enabled") || thinking["type"] == json!("adaptive");
        if thinking["type"] == json!("enabled") {
            let budget = thinking["budget_tokens"].as_u64().unwrap_or_default();
            if budget < 1024 || limit.is_some_and(|limit| budget >= limit) {
                return Err(format!("thinking.budget_tokens: {budget} is not between 1024 and max_tokens"));
            }
            if body.get("temperature").is_some_and(|temperature| temperature.as_f64() != Some(1.0)) {
                return Err("temperature: must be 1 when thinking is enabled".to_owned());
            }
        }
        read_messages(list(&body, "messages"), &mut ask)?;
        if body["tool_choice"]["type"] != json!("none") {
            for tool in list(&body, "tools") {
                let schema = tool["input_schema"].clone();
                if schema["type"] != json!("object") {
                    return Err("tools.input_schema.type: must be object".to_owned());
                }
                ask.tools.push(Tool { name: required(tool, "name")?, schema });
            }
        }
        let format = &body["output_config"]["format"];
        if format["type"] == json!("json_schema") {
            check_closed(&format["schema"])?;
            ask.schema = Some(format["schema"].clone());
        }
        Ok(ask)
    }

    fn body(&self, ask: &Ask, answer: &Answer) -> Value {
        json!({"id": "msg_simulated", "type": "message", "role": "assistant", "model": ask.model,
            "content": blocks(answer), "stop_reason": stop(answer), "stop_sequence": null,
            "usage": usage(ask, USAGE.output)})
    }

    fn frames(&self, ask: &Ask, answer: &Answer) -> Vec<String> {
        let frame = |members: Value| format!("event: {}\ndata: {members}\n\n", text(&members, "type"));
        let mut message = self.body(ask, answer);
        message["content"] = json!([]);
        message["stop_reason"] = Value::Null;
        message["usage"] = usage(ask, 1);
        let mut frames =
            vec![frame(json!({"type": "message_start", "message": message})), frame(json!({"type": "ping"}))];
        for (index, block) in blocks(answer).iter().enumerate() {
            let (open, deltas) = open_block(block);
            frames.push(frame(json!({"type": "content_block_start", "index": index, "content_block": open})));
            for delta in deltas {
                frames.push(frame(json!({"type": "content_block_delta", "index": index, "delta": delta})));
            }
            frames.push(frame(json!({"type": "content_block_stop", "index": index})));
        }
        frames.push(frame(json!({"type": "message_delta",
            "delta": {"stop_reason": stop(answer), "stop_sequence": null}, "usage": usage(ask, USAGE.output)})));
        frames.push(frame(json!({"type": "message_stop"})));
        frames
    }

    fn count(&self, tokens: u64) -> Value {
        json!({"input_tokens": tokens})
    }

    fn refusal(&self, status: u16, message: &str) -> Value {
        let kind = match status {
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_simulated"})
    }

    fn failure(&self, message: &str) -> String {
        format!("event: error\ndata: {}\n\n", self.refusal(500, message))
    }

    fn config(&self, url: &str, models: &str) -> String {
        format!("claude-api-key:\n  - api-key: simulated-claude-key\n    base-url: {url}\n    {models}\n")
    }
}

fn stop(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() { "end_turn" } else { "tool_use" }
}

/// Cached tokens stand beside the input, not in it.
fn usage(ask: &Ask, output: u64) -> Value {
    let thought = if ask.thinks { USAGE.thought } else { 0 };
    json!({"input_tokens": USAGE.input - USAGE.cached, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": USAGE.cached, "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": thought}})
}

fn blocks(answer: &Answer) -> Vec<Value> {
    let thought = answer.thought.iter().map(|thought| {
        json!({"type": "thinking", "thinking": thought, "signature": Issuer::Anthropic.seal(thought)})
    });
    let said = (!answer.text.is_empty()).then(|| json!({"type": "text", "text": answer.text}));
    let calls = answer
        .calls
        .iter()
        .map(|call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}));
    thought.chain(said).chain(calls).collect()
}

/// A block as it opens, and what follows.
fn open_block(block: &Value) -> (Value, Vec<Value>) {
    let mut open = block.clone();
    let mut deltas = Vec::new();
    match text(block, "type").as_str() {
        "thinking" => {
            open["thinking"] = json!("");
            open["signature"] = json!("");
            for piece in pieces(&text(block, "thinking")) {
                deltas.push(json!({"type": "thinking_delta", "thinking": piece}));
            }
            deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
        }
        "text" => {
            open["text"] = json!("");
            for piece in pieces(&text(block, "text")) {
                deltas.push(json!({"type": "text_delta", "text": piece}));
            }
        }
        _ => {
            open["input"] = json!({});
            let input = block["input"].to_string();
            for piece in [""].into_iter().chain(pieces(&input)) {
                deltas.push(json!({"type": "input_json_delta", "partial_json": piece}));
            }
        }
    }
    (open, deltas)
}

fn read_messages(messages: &[Value], ask: &mut Ask) -> Result<(), String> {
    ask.turn = messages.len();
    let mut calls: Vec<(String, String)> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = required(message, "role")?;
        let fail = |reason: String| format!("messages.{at}: {reason}");
        let blocks = match &message["content"] {
            Value::String(said) => vec![json!({"type": "text", "text": said})],
            Value::Array(blocks) => blocks.clone(),
            _ => return Err(fail("content is required".to_owned())),
        };
        match role.as_str() {
            "user" => {
                let pending = std::mem::take(&mut calls);
                ask.media.clear();
                let (said, results) = read_user(&blocks, ask).map_err(fail)?;
                ask.results = pair(&pending, results).map_err(fail)?;
                ask.text = said;
            }
            "assistant" => calls = read_assistant(&blocks).map_err(fail)?,
            other => return Err(fail(format!("the role {other} is not known"))),
        }
    }
    if !calls.is_empty() {
        return Err("tool_use blocks at the end have no tool_result".to_owned());
    }
    if ask.thinks && !ask.results.is_empty() {
        let last = messages.iter().rev().find(|message| message["role"] == json!("assistant"));
        let first = last.and_then(|message| list(message, "content").first());
        if !first.is_some_and(|block| text(block, "type").ends_with("thinking")) {
            return Err("Expected `thinking` or `redacted_thinking`, but found `tool_use`".to_owned());
        }
    }
    Ok(())
}

type Results = Vec<(String, String)>;

fn read_user(blocks: &[Value], ask: &mut Ask) -> Result<(String, Results), String> {
    let mut said = String::new();
    let mut results = Vec::new();
    for block in blocks {
        match text(block, "type").as_str() {
            "text" if text(block, "text").trim().is_empty() => {
                return Err("text content blocks must be non-empty".to_owned());
            }
            "text" => said.push_str(&text(block, "text")),
            "image" | "document" => {
                let source = &block["source"];
                ask.media.push(Media::new(&required(source, "media_type")?, &required(source, "data")?)?);
            }
            "tool_result" if !said.is_empty() => {
                return Err("tool_result blocks must come before text".to_owned());
            }
            "tool_result" => {
                let output = match &block["content"] {
                    Value::String(output) => output.clone(),
                    Value::Array(inner) => read_user(inner, ask)?.0,
                    _ => String::new(),
                };
                results.push((required(block, "tool_use_id")?, output));
            }
            other => return Err(format!("a block of type {other} in a message of the user")),
        }
    }
    Ok((said, results))
}

fn read_assistant(blocks: &[Value]) -> Result<Vec<(String, String)>, String> {
    let mut calls = Vec::new();
    for block in blocks {
        match text(block, "type").as_str() {
            "text" if text(block, "text").is_empty() => {
                return Err("text content blocks must be non-empty".to_owned());
            }
            "text" => {}
            "thinking" => {
                let sealed = Issuer::Anthropic.open(&required(block, "signature")?);
                if sealed != Some(text(block, "thinking")) {
                    return Err("Invalid `signature` in `thinking` block".to_owned());
                }
            }
            "tool_use" => calls.push((required(block, "id")?, required(block, "name")?)),
            other => return Err(format!("a block of type {other} in a message of the assistant")),
        }
    }
    Ok(calls)
}
