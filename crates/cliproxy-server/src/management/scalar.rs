//! Single values of the configuration: read, written as `{"value": …}`, cleared.

use std::sync::Arc;

use cliproxy_core::config::view::{self, Scalar};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Done, Json, Member, Outcome, Refusal, done};
use super::route::member;
use super::{Ask, Endpoint, endpoint};

/// What a client writes.
#[derive(Deserialize)]
struct Written {
    value: Option<Value>,
}

/// What a client writes at `/routing`.
#[derive(Deserialize, JsonSchema)]
struct Routing {
    strategy: Option<Value>,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut list: Vec<Endpoint> = view::SCALARS.iter().flat_map(of).collect();
    let strategy = |_: &mut SchemaGenerator| type_of(&view::STRATEGY);
    list.push(
        endpoint(Method::GET, "/routing", "How a credential is chosen", |ask| async move {
            read(&ask, &view::STRATEGY).await
        })
        .gives_member("strategy", strategy),
    );
    list.push(
        endpoint(Method::PUT, "/routing", "Sets how a credential is chosen", |ask: Ask| async move {
            let Routing { strategy } = ask.json()?;
            write(&ask, &view::STRATEGY, strategy).await
        })
        .reads::<Routing>()
        .edits(),
    );
    list
}

fn of(scalar: &'static Scalar) -> Vec<Endpoint> {
    let mut list = vec![
        endpoint(Method::GET, scalar.path, scalar.about, move |ask| async move { read(&ask, scalar).await })
            .gives_member(scalar.member(), move |_| type_of(scalar)),
    ];
    for method in [Method::PUT, Method::PATCH] {
        let written = endpoint(method, scalar.path, scalar.about, move |ask: Ask| async move {
            let written: Written = ask.json()?;
            write(&ask, scalar, written.value).await
        });
        list.push(written.reads_as::<Written>(move |_| member("value", &type_of(scalar))).edits());
    }
    if scalar.is_clearable {
        let cleared = endpoint(Method::DELETE, scalar.path, scalar.about, move |ask| async move {
            write(&ask, scalar, Some(Value::from(""))).await
        });
        list.push(cleared.edits());
    }
    list
}

/// What a value looks like.
fn type_of(scalar: &Scalar) -> Schema {
    let takes = |value: Value| scalar.canonical(&value).is_some();
    match () {
        () if takes(json!(true)) => json_schema!({"type": "boolean", "examples": [true]}),
        () if takes(json!(1)) => json_schema!({"type": "integer", "examples": [3]}),
        () => json_schema!({"type": "string"}),
    }
}

/// What the file says, where it says something; what is in force otherwise.
async fn read(ask: &Ask, scalar: &Scalar) -> Outcome<Member> {
    let document = ask.console.keeper.document().await?;
    let written = document.get(scalar.key).and_then(|value| scalar.canonical(value));
    let effective = || view::value(scalar, &ask.app.engine.snapshot().settings);
    Ok(Member(scalar.member(), written.unwrap_or_else(effective)))
}

async fn write(ask: &Ask, scalar: &Scalar, value: Option<Value>) -> Outcome<Json<Done>> {
    let value = value.and_then(|value| scalar.canonical(&value));
    let value = Arc::new(value.ok_or_else(|| Refusal::bad(scalar.complaint()))?);
    ask.edit(|document| Ok(document.set(scalar.key, Some(Value::clone(&value)))?)).await?;
    Ok(done())
}
