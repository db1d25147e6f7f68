//! The built-in catalog of models, by channel.

use cliproxy_wire::catalog;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Json, Outcome, Refusal};
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

/// What a kind of provider offers.
#[derive(Serialize, JsonSchema)]
struct Definitions {
    channel: String,
    models: Vec<Definition>,
}

/// A model of the catalog.
#[derive(Default, Serialize, JsonSchema)]
struct Definition {
    id: &'static str,
    object: &'static str,
    /// In Unix seconds.
    created: u64,
    owned_by: &'static str,
    /// The channel.
    r#type: String,
    display_name: &'static str,
    /// Of Google's channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Tokens, of Google's channels.
    #[serde(rename = "inputTokenLimit", skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u64>,
    /// Tokens, of Google's channels.
    #[serde(rename = "outputTokenLimit", skip_serializing_if = "Option::is_none")]
    output_token_limit: Option<u64>,
    /// Tokens, of the other channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u64>,
    /// Tokens, of the other channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
}

async fn definitions(ask: Ask) -> Outcome<Json<Definitions>> {
    let channel = ask.parameter("channel").trim().to_ascii_lowercase();
    if !CHANNELS.contains(&channel.as_str()) {
        return Err(Refusal::channel(channel));
    }
    let models = catalog::models_of(&channel).map(|model| shown(model, &channel)).collect();
    Ok(Json(Definitions { channel, models }))
}

fn shown(model: &'static catalog::Model, channel: &str) -> Definition {
    let mut shown = Definition {
        id: model.id,
        object: "model",
        created: model.created,
        owned_by: model.owned_by,
        r#type: channel.to_owned(),
        display_name: model.display_name,
        ..Definition::default()
    };
    let (input, output) = (model.input_limit(), model.output_limit());
    if ["gemini", "gemini-cli", "vertex", "aistudio"].contains(&channel) {
        shown.name = Some(format!("models/{}", model.id));
        (shown.input_token_limit, shown.output_token_limit) = (input, output);
    } else {
        (shown.context_length, shown.max_completion_tokens) = (input, output);
    }
    shown
}
