//! Plugins and versions: what panels ask to know which of their pages make sense. There are no plugins.

use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Done, Json, Outcome, Refusal};
use super::{Ask, Endpoint, endpoint};

/// The newest version.
#[derive(Serialize, JsonSchema)]
struct Latest {
    #[serde(rename = "latest-version")]
    version: String,
}

/// None.
#[derive(Default, Serialize, JsonSchema)]
struct Plugins {
    plugins: [Value; 0],
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    let unknown = |_ask: Ask| async { Outcome::<Json<Done>>::Err(Refusal::missing("plugin not found")) };
    let none = |_ask: Ask| async { Ok(Json(Plugins::default())) };
    vec![
        endpoint(
            Method::GET,
            "/latest-version",
            "The newest version that is known: this one",
            |ask: Ask| async move { Ok(Json(Latest { version: format!("v{}", ask.app.version) })) },
        ),
        endpoint(Method::GET, "/plugins", "The plugins: none", none),
        endpoint(Method::GET, "/plugin-store", "The plugins to install: none", none),
        endpoint(Method::PATCH, "/plugins/{id}/enabled", "Switches a plugin", unknown),
        endpoint(Method::GET, "/plugins/{id}/config", "The settings of a plugin", unknown),
        endpoint(Method::PUT, "/plugins/{id}/config", "Replaces the settings of a plugin", unknown),
        endpoint(Method::PATCH, "/plugins/{id}/config", "Changes settings of a plugin", unknown),
        endpoint(Method::DELETE, "/plugins/{id}", "Removes a plugin", unknown),
        endpoint(Method::POST, "/plugin-store/{id}/install", "Installs a plugin", unknown),
    ]
}
