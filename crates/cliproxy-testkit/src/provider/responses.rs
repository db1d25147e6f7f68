//! OpenAI Responses.

use serde_json::{Value, json};

use super::Dialect;
use super::answer::{Answer, USAGE, pieces};
use super::ask::{Ask, Media, Tool, Want, check_closed, list, pair, required, text};
use super::seal::Issuer;
use crate::Received;

pub(super) struct Responses;

impl Dialect for Responses {
    fn read(&self, received: &Received) -> Result<Ask, String> {
        let body: Value = serde_json::from_slice(&received.body).map_err(|error| error.to_string())?;
        let want = match received.path.as_str() {
            "/v1/responses/input_tokens" => Want::Count,
            "/v1/responses" if body["stream"] == json!(true) => Want::Stream,
            "/v1/responses" => Want::Body,
            other => return Err(format!("no endpoint {other}")),
        };
        let mut ask = Ask::new(&required(&body, "model")?, want);
        match &body["input"] {
            Value::String(input) => ask.text.clone_from(input),
            Value::Array(items) => read_items(items, &mut ask)?,
            _ => return Err("input is required".to_owned()),
        }
        if body["tool_choice"] != json!("none") {
            for tool in list(&body, "tools") {
                let schema = tool["parameters"].clone();
                if tool["strict"] != json!(false) {
                    check_closed(&schema)?;
                }
                ask.tools.push(Tool { name: required(tool, "name")?, schema });
            }
        }
        ask.thinks = body["reasoning"]["effort"].as_str().is_some_and(|effort| effort != "none");
        ask.shows_thoughts = body["reasoning"]["summary"].is_string();
        ask.keeps_state = list(&body, "include").contains(&json!("reasoning.encrypted_content"));
        let format = &body["text"]["format"];
        if format["type"] == json!("json_schema") {
            if format["strict"] == json!(true) {
                check_closed(&format["schema"])?;
            }
            ask.schema = Some(format["schema"].clone());
        }
        Ok(ask)
    }

    fn body(&self, ask: &Ask, answer: &Answer) -> Value {
        whole(ask, "completed", &items(ask, answer), &usage(ask))
    }

    fn frames(&self, ask: &Ask, answer: &Answer) -> Vec<String> {
        let mut stream = Frames::default();
        let open = whole(ask, "in_progress", &[], &Value::Null);
        stream.push("response.created", json!({"response": open}));
        stream.push("response.in_progress", json!({"response": open}));
        let items = items(ask, answer);
        for (index, item) in items.iter().enumerate() {
            stream.item(index, item);
        }
        stream.push("response.completed", json!({"response": whole(ask, "completed", &items, &usage(ask))}));
        stream.frames
    }

    fn count(&self, tokens: u64) -> Value {
        json!({"object": "response.input_tokens", "input_tokens": tokens})
    }

    fn refusal(&self, status: u16, message: &str) -> Value {
        super::chat::Chat.refusal(status, message)
    }

    fn failure(&self, message: &str) -> String {
        let response = json!({"id": "resp_simulated", "object": "response", "created_at": 1_785_500_000,
            "status": "failed", "error": {"code": "server_error", "message": message}, "model": "simulated",
            "output": []});
        // The numbers go on from wherever the stream stands; here from a number that none has reached.
        let mut stream = Frames { number: 1000, ..Frames::default() };
        stream.push("error", json!({"code": "server_error", "message": message, "param": null}));
        stream.push("response.failed", json!({"response": response}));
        stream.frames.concat()
    }

    fn config(&self, url: &str, models: &str) -> String {
        format!(
            "codex-api-key:\n  - api-key: simulated-responses-key\n    base-url: {url}/v1\n    {models}\n"
        )
    }
}

fn usage(ask: &Ask) -> Value {
    let thought = if ask.thinks { USAGE.thought } else { 0 };
    json!({"input_tokens": USAGE.input, "input_tokens_details": {"cached_tokens": USAGE.cached},
        "output_tokens": USAGE.output, "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": USAGE.input + USAGE.output})
}

fn whole(ask: &Ask, status: &str, output: &[Value], usage: &Value) -> Value {
    json!({"id": "resp_simulated", "object": "response", "created_at": 1_785_500_000, "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": null,
        "max_output_tokens": null, "model": ask.model, "output": output, "parallel_tool_calls": true,
        "previous_response_id": null, "reasoning": {"effort": null, "summary": null}, "store": false,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": null, "metadata": {}})
}

fn items(ask: &Ask, answer: &Answer) -> Vec<Value> {
    let mut items = Vec::new();
    let turn = ask.turn;
    if let Some(thought) = &answer.thought {
        let summary: Vec<Value> = ask
            .shows_thoughts
            .then(|| json!({"type": "summary_text", "text": thought}))
            .into_iter()
            .collect();
        let mut item = json!({"id": format!("rs_{turn}"), "type": "reasoning", "summary": summary});
        if ask.keeps_state {
            item["encrypted_content"] = json!(Issuer::OpenAi.seal(thought));
        }
        items.push(item);
    }
    if !answer.text.is_empty() {
        items.push(
            json!({"id": format!("msg_{turn}"), "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}]}),
        );
    }
    for (ordinal, call) in answer.calls.iter().enumerate() {
        items.push(
            json!({"id": format!("fc_{turn}_{ordinal}"), "type": "function_call", "status": "completed",
            "call_id": call.id, "name": call.name, "arguments": call.arguments.to_string()}),
        );
    }
    items
}

/// A stream under way: frames are numbered.
#[derive(Default)]
struct Frames {
    frames: Vec<String>,
    number: u64,
}

impl Frames {
    fn push(&mut self, kind: &str, mut members: Value) {
        members["type"] = json!(kind);
        members["sequence_number"] = json!(self.number);
        self.number += 1;
        self.frames.push(format!("event: {kind}\ndata: {members}\n\n"));
    }

    fn item(&mut self, index: usize, item: &Value) {
        let mut open = item.clone();
        if open.get("status").is_some() {
            open["status"] = json!("in_progress");
        }
        for (member, empty) in [("content", json!([])), ("summary", json!([])), ("arguments", json!(""))] {
            if open.get(member).is_some() {
                open[member] = empty;
            }
        }
        if let Some(members) = open.as_object_mut() {
            members.remove("encrypted_content");
        }
        self.push("response.output_item.added", json!({"output_index": index, "item": open}));
        let place = |members: Value| {
            let mut members = members;
            members["item_id"] = item["id"].clone();
            members["output_index"] = json!(index);
            members
        };
        for part in list(item, "summary") {
            let place = |mut members: Value| {
                members["summary_index"] = json!(0);
                place(members)
            };
            let empty = json!({"type": "summary_text", "text": ""});
            self.push("response.reasoning_summary_part.added", place(json!({"part": empty})));
            for piece in pieces(&text(part, "text")) {
                self.push("response.reasoning_summary_text.delta", place(json!({"delta": piece})));
            }
            self.push("response.reasoning_summary_text.done", place(json!({"text": part["text"]})));
            self.push("response.reasoning_summary_part.done", place(json!({"part": part})));
        }
        for part in list(item, "content") {
            let place = |mut members: Value| {
                members["content_index"] = json!(0);
                place(members)
            };
            let empty = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
            self.push("response.content_part.added", place(json!({"part": empty})));
            for piece in pieces(&text(part, "text")) {
                self.push("response.output_text.delta", place(json!({"delta": piece, "logprobs": []})));
            }
            self.push("response.output_text.done", place(json!({"text": part["text"], "logprobs": []})));
            self.push("response.content_part.done", place(json!({"part": part})));
        }
        if item["type"] == json!("function_call") {
            for piece in pieces(&text(item, "arguments")) {
                self.push("response.function_call_arguments.delta", place(json!({"delta": piece})));
            }
            let done = json!({"name": item["name"], "arguments": item["arguments"]});
            self.push("response.function_call_arguments.done", place(done));
        }
        self.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }
}

fn read_items(items: &[Value], ask: &mut Ask) -> Result<(), String> {
    ask.turn = items.len();
    let mut calls = Vec::new();
    let mut results = Vec::new();
    for (at, item) in items.iter().enumerate() {
        match item["type"].as_str().unwrap_or("message") {
            "message" => {
                let role = required(item, "role")?;
                let said = content(item, &role, ask).map_err(|reason| format!("input[{at}]: {reason}"))?;
                if role == "user" {
                    ask.text = said;
                } else if role == "assistant" {
                    ask.media.clear();
                }
            }
            "reasoning" => {
                let state = required(item, "encrypted_content")?;
                Issuer::OpenAi
                    .open(&state)
                    .ok_or_else(|| format!("input[{at}]: the encrypted content is not valid"))?;
                let next = items.get(at + 1).map(|next| (text(next, "type"), text(next, "role")));
                if !next.is_some_and(|(kind, role)| kind == "function_call" || role == "assistant") {
                    return Err(format!("input[{at}] is reasoning without its required following item"));
                }
            }
            "function_call" => {
                // A call after results begins another step.
                if !results.is_empty() {
                    drop(pair(&std::mem::take(&mut calls), std::mem::take(&mut results))?);
                }
                calls.push((required(item, "call_id")?, required(item, "name")?));
                required(item, "arguments")?;
            }
            "function_call_output" => {
                let output = match &item["output"] {
                    Value::String(output) => output.clone(),
                    _ => content(&json!({"content": item["output"]}), "user", ask)?,
                };
                results.push((required(item, "call_id")?, output));
            }
            other => return Err(format!("input[{at}].type is {other}")),
        }
    }
    let paired = pair(&calls, results)?;
    let last = items.last().map(|item| text(item, "type"));
    if last.as_deref() == Some("function_call_output") {
        ask.results = paired;
    }
    Ok(())
}

fn content(item: &Value, role: &str, ask: &mut Ask) -> Result<String, String> {
    if let Some(text) = item["content"].as_str() {
        return Ok(text.to_owned());
    }
    let mut said = String::new();
    for part in list(item, "content") {
        match (text(part, "type").as_str(), role == "assistant") {
            ("input_text", false) | ("output_text", true) => said.push_str(&required(part, "text")?),
            ("input_image", false) => ask.media.push(Media::of_url(&required(part, "image_url")?)?),
            ("input_file", false) => ask.media.push(Media::of_url(&required(part, "file_data")?)?),
            (other, _) => return Err(format!("a part of type {other} in a message of {role}")),
        }
    }
    Ok(said)
}
