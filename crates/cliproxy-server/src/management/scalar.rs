//! Single values of the configuration: read, written as `{"value": …}`, cleared.

use std::sync::Arc;

use cliproxy_core::config::view::{self, Scalar};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, done, ok};
use super::{Ask, Endpoint, endpoint};

/// What a client writes.
#[derive(Deserialize)]
struct Written {
    value: Option<Value>,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut list: Vec<Endpoint> = view::SCALARS.iter().flat_map(of).collect();
    list.push(endpoint(Method::GET, "/routing", "How a credential is chosen", |ask| async move {
        let strategy = view::value(&view::STRATEGY, &ask.app.engine.snapshot().settings);
        read(&ask, &view::STRATEGY, strategy).await
    }));
    list.push(endpoint(Method::PUT, "/routing", "Sets how a credential is chosen", |ask| async move {
        let body: serde_json::Map<String, Value> = ask.json()?;
        write(&ask, &view::STRATEGY, body.get("strategy").cloned()).await
    }));
    list
}

fn of(scalar: &'static Scalar) -> Vec<Endpoint> {
    let mut list = vec![endpoint(Method::GET, scalar.path, scalar.about, move |ask| async move {
        let effective = view::value(scalar, &ask.app.engine.snapshot().settings);
        read(&ask, scalar, effective).await
    })];
    for method in [Method::PUT, Method::PATCH] {
        list.push(
            endpoint(method, scalar.path, scalar.about, move |ask| async move {
                let written: Written = ask.json()?;
                write(&ask, scalar, written.value).await
            })
            .reads(json!({
                "type": "object", "required": ["value"], "properties": {"value": {"type": type_of(scalar)}},
            })),
        );
    }
    if scalar.is_clearable {
        list.push(endpoint(Method::DELETE, scalar.path, scalar.about, move |ask| async move {
            write(&ask, scalar, Some(Value::from(""))).await
        }));
    }
    list
}

/// The JSON type of a value.
fn type_of(scalar: &Scalar) -> &'static str {
    let takes = |value: Value| scalar.canonical(&value).is_some();
    match () {
        () if takes(json!(true)) => "boolean",
        () if takes(json!(1)) => "integer",
        () => "string",
    }
}

/// What the file says, where it says something; what is in force otherwise.
async fn read(ask: &Ask, scalar: &Scalar, effective: Value) -> Outcome {
    let document = ask.console.keeper.document().await?;
    let written = document.get(scalar.key).and_then(|value| scalar.canonical(value));
    Ok(ok(&json!({scalar.member(): written.unwrap_or(effective)})))
}

async fn write(ask: &Ask, scalar: &Scalar, value: Option<Value>) -> Outcome {
    let value = value.and_then(|value| scalar.canonical(&value));
    let value = Arc::new(value.ok_or_else(|| Refusal::bad(scalar.complaint()))?);
    ask.console
        .keeper
        .edit(ask.expected(), |document| {
            document.set(scalar.key, Some(Value::clone(&value)))?;
            Ok::<(), Refusal>(())
        })
        .await?;
    Ok(done())
}
