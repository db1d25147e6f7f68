//! Plugins and versions: what panels ask to know which of their pages make sense. There are no plugins.

use http::Method;
use serde_json::json;

use super::answer::{Refusal, ok};
use super::{Ask, Endpoint, endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let unknown = |_ask: Ask| async { Err(Refusal::missing("plugin not found")) };
    vec![
        endpoint(
            Method::GET,
            "/latest-version",
            "The newest version that is known: this one",
            |ask: Ask| async move { Ok(ok(&json!({"latest-version": format!("v{}", ask.app.version)}))) },
        ),
        endpoint(Method::GET, "/plugins", "The plugins: none", |_ask: Ask| async {
            Ok(ok(&json!({"plugins": []})))
        }),
        endpoint(Method::GET, "/plugin-store", "The plugins to install: none", |_ask: Ask| async {
            Ok(ok(&json!({"plugins": []})))
        }),
        endpoint(Method::PATCH, "/plugins/{id}/enabled", "Switches a plugin", unknown),
        endpoint(Method::GET, "/plugins/{id}/config", "The settings of a plugin", unknown),
        endpoint(Method::PUT, "/plugins/{id}/config", "Replaces the settings of a plugin", unknown),
        endpoint(Method::PATCH, "/plugins/{id}/config", "Changes settings of a plugin", unknown),
        endpoint(Method::DELETE, "/plugins/{id}", "Removes a plugin", unknown),
        endpoint(Method::POST, "/plugin-store/{id}/install", "Installs a plugin", unknown),
    ]
}
