//! Requests that panels make through the gateway with a stored credential: quotas, model lists, tests.

use bytes::Bytes;
use cliproxy_core::engine::{Errand, NotRun};
use http::{Method, StatusCode, Uri};
use serde_json::{Map, Value, json};

use super::answer::{Outcome, Refusal, ok};
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![endpoint(
        Method::POST,
        "/api-call",
        "Asks a provider with a stored credential; `$TOKEN$` in a header stands for its token",
        call,
    )]
}

async fn call(ask: Ask) -> Outcome {
    let body: Map<String, Value> = ask.json()?;
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| body.get(*name)?.as_str());
        found.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let method = text(&["method"]).ok_or_else(|| Refusal::bad("missing method"))?;
    let url = text(&["url"]).ok_or_else(|| Refusal::bad("missing url"))?;
    let uri: Uri = url.parse().map_err(|_malformed| Refusal::bad("invalid url"))?;
    if uri.host().is_none() || uri.scheme().is_none() {
        return Err(Refusal::bad("invalid url"));
    }
    let method: Method =
        method.to_ascii_uppercase().parse().map_err(|_malformed| Refusal::bad("failed to build request"))?;
    let headers = match body.get("header") {
        Some(Value::Object(headers)) => headers
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        _ => Vec::new(),
    };
    let data = body.get("data").and_then(Value::as_str).unwrap_or_default().to_owned();
    let errand = Errand {
        index: text(&["auth_index", "authIndex", "AuthIndex"]),
        method,
        uri,
        headers,
        body: Bytes::from(data),
    };
    let answer = ask.app.engine.run_errand(errand, now).await.map_err(|why| {
        let status = if why == NotRun::NoAnswer { StatusCode::BAD_GATEWAY } else { StatusCode::BAD_REQUEST };
        Refusal::new(status, why.to_string())
    })?;
    let mut header: Map<String, Value> = Map::new();
    for name in answer.headers.keys() {
        let values: Vec<String> = answer
            .headers
            .get_all(name)
            .into_iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        header.insert(canonical(name.as_str()), Value::from(values));
    }
    Ok(ok(&json!({
        "status_code": answer.status.as_u16(),
        "header": header,
        "body": String::from_utf8_lossy(&answer.body),
    })))
}

/// A header's name as panels look for it: `Content-Type`.
fn canonical(name: &str) -> String {
    let parts: Vec<String> = name
        .split('-')
        .map(|part| {
            let mut characters = part.chars();
            characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
        })
        .collect();
    parts.join("-")
}
