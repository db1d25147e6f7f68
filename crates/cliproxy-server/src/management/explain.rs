//! Who would serve a model now, who can serve at all, and which models there are.

use cliproxy_core::engine::{Explained, Member as Credential};
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Json, Outcome, Refusal};
use super::route::Parameter;
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(
            Method::GET,
            "/explain",
            "Which credential a request for `model` would use now, and why not each other one",
            explain,
        )
        .asks([
            Parameter::text("model", "what a client asks for").required(),
            Parameter::text("session", "what it names its conversation by"),
        ]),
        endpoint(
            Method::GET,
            "/credentials",
            "Every account and key with its state, quotas and activity",
            |ask: Ask| async move { Ok(Json(Credentials { credentials: ask.app.engine.everybody(now()).await })) },
        ),
        endpoint(Method::GET, "/models", "The models that clients can ask for", models),
    ]
}

/// Everybody who can serve, accounts first.
#[derive(Serialize, JsonSchema)]
struct Credentials {
    credentials: Vec<Credential>,
}

async fn explain(ask: Ask) -> Outcome<Json<Explained>> {
    let model = ask.query("model").ok_or_else(|| Refusal::bad("model is required"))?;
    let engine = &ask.app.engine;
    let explanation = engine.explain(model, ask.query("session"));
    let explanation = explanation.ok_or_else(|| Refusal::missing("model not known"))?;
    Ok(Json(engine.explained(&explanation, now())))
}

/// The models that clients can ask for.
#[derive(Serialize, JsonSchema)]
struct Listed {
    models: Vec<ListedModel>,
}

#[derive(Serialize, JsonSchema)]
struct ListedModel {
    id: String,
    owned_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
}

async fn models(ask: Ask) -> Outcome<Json<Listed>> {
    let snapshot = ask.app.engine.snapshot();
    let text = |text: &std::sync::Arc<str>| text.as_ref().to_owned();
    let models = snapshot
        .routes
        .listed()
        .iter()
        .map(|listed| ListedModel {
            id: text(&listed.id),
            owned_by: text(&listed.owned_by),
            display_name: listed.display_name.as_ref().map(text),
        })
        .collect();
    Ok(Json(Listed { models }))
}
