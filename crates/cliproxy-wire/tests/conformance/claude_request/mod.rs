//! Requests of Claude clients, and requests to Claude upstreams.

mod read;
mod thinking;
mod write;

use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use crate::support::Upstream;

const BUDGET_MODEL: &str = "claude-sonnet-4-5";

fn upstream(model: &str) -> Upstream {
    Upstream::new(Profile::claude(), model)
}

/// A Claude body with these messages.
fn body(messages: impl Into<Value>) -> Value {
    json!({"model": "m", "max_tokens": 100, "messages": messages.into()})
}

fn with(mut body: Value, member: &str, value: impl Into<Value>) -> Value {
    body[member] = value.into();
    body
}

fn hi() -> Value {
    body(json!([{"role": "user", "content": "hi"}]))
}

fn responses(input: impl Into<Value>) -> Value {
    json!({"model": "m", "input": input.into()})
}

fn call(id: &str, name: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": {}})
}

fn result(id: &str, text: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": text})
}

fn tools(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "input_schema": {"type": "object"}})).collect()
}
