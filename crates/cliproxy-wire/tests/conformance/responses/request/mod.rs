//! Requests: those of Responses clients read, and those of all clients written for Responses upstreams.

mod codex;
mod read;
mod write;

use cliproxy_wire::Format;
use cliproxy_wire::model::Request;
use cliproxy_wire::profile::Profile;
use serde_json::Value;

use crate::support::{self, Upstream};

const MODEL: &str = "gpt-5.2";

fn api() -> Upstream {
    Upstream::new(Profile::openai_responses(), MODEL)
}

fn codex() -> Upstream {
    Upstream::new(Profile::codex(), "gpt-5.3-codex")
}

fn read(body: &Value) -> Request {
    support::decode(Format::Responses, body).unwrap()
}

fn items(body: &Value) -> Vec<&str> {
    body["input"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect()
}

const TOOL: &str = r#"{"type":"function","function":{"name":"get_weather","description":"d","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}"#;

fn tool() -> Value {
    serde_json::from_str(TOOL).unwrap()
}
