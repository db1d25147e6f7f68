//! The built-in catalog of models, by channel.

use cliproxy_wire::catalog;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::{Outcome, Refusal, ok};
use super::{Ask, Endpoint, endpoint};

/// Channels that panels ask for.
const CHANNELS: [&str; 11] = [
    "claude",
    "gemini",
    "vertex",
    "gemini-cli",
    "aistudio",
    "codex",
    "qwen",
    "iflow",
    "antigravity",
    "kimi",
    "xai",
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![endpoint(Method::GET, "/model-definitions/{channel}", "What a kind of provider offers", definitions)]
}

async fn definitions(ask: Ask) -> Outcome {
    let channel = ask.parameter("channel").trim().to_ascii_lowercase();
    if !CHANNELS.contains(&channel.as_str()) {
        return Err(Refusal::with(
            StatusCode::BAD_REQUEST,
            json!({"error": "unknown channel", "channel": channel}),
        ));
    }
    let models: Vec<Value> = catalog::models_of(&channel).map(|model| shown(model, &channel)).collect();
    Ok(ok(&json!({"channel": channel, "models": models})))
}

fn shown(model: &catalog::Model, channel: &str) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    put("id", model.id.into());
    put("object", "model".into());
    put("created", model.created.into());
    put("owned_by", model.owned_by.into());
    put("type", channel.into());
    put("display_name", model.display_name.into());
    let is_google = ["gemini", "gemini-cli", "vertex", "aistudio"].contains(&channel);
    let (input, output) = if is_google {
        put("name", format!("models/{}", model.id).into());
        ("inputTokenLimit", "outputTokenLimit")
    } else {
        ("context_length", "max_completion_tokens")
    };
    if let Some(limit) = model.input_limit() {
        put(input, limit.into());
    }
    if let Some(limit) = model.output_limit() {
        put(output, limit.into());
    }
    Value::Object(shown)
}
