//! Who would serve a model now, who can serve at all, and which models there are.

use http::Method;
use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, ok};
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
        .asks(&[("model", "what a client asks for"), ("session", "what it names its conversation by")]),
        endpoint(
            Method::GET,
            "/credentials",
            "Every account and key with its state, quotas and activity",
            |ask: Ask| async move { Ok(ok(&json!({"credentials": ask.app.engine.everybody(now()).await}))) },
        ),
        endpoint(Method::GET, "/models", "The models that clients can ask for", models),
    ]
}

async fn explain(ask: Ask) -> Outcome {
    let model = ask.query("model").ok_or_else(|| Refusal::bad("model is required"))?;
    let engine = &ask.app.engine;
    let explanation = engine.explain(model, ask.query("session"));
    let explanation = explanation.ok_or_else(|| Refusal::missing("model not known"))?;
    Ok(ok(&json!(engine.explained(&explanation, now()))))
}

async fn models(ask: Ask) -> Outcome {
    let snapshot = ask.app.engine.snapshot();
    let models: Vec<Value> = snapshot
        .routes
        .listed()
        .iter()
        .map(|listed| {
            let mut model = json!({"id": &*listed.id, "owned_by": &*listed.owned_by});
            if let (Some(name), Value::Object(model)) = (&listed.display_name, &mut model) {
                model.insert("display_name".to_owned(), name.as_ref().into());
            }
            model
        })
        .collect();
    Ok(ok(&json!({"models": models})))
}
