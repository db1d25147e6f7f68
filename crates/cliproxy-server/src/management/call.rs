//! Requests that panels make through the gateway with a stored credential: quotas, model lists, tests.

use std::collections::BTreeMap;

use bytes::Bytes;
use cliproxy_core::engine::{Errand, NotRun};
use http::{Method, StatusCode, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{Json, Outcome, Refusal};
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(
            Method::POST,
            "/api-call",
            "Asks a provider with a stored credential; `$TOKEN$` in a header stands for its token",
            call,
        )
        .reads::<Wanted>(),
    ]
}

/// A request to make.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("required" = ["method", "url"], "examples" = [{
    "auth_index": "0123456789abcdef", "method": "GET", "url": "https://api.anthropic.com/api/oauth/usage",
    "header": {"Authorization": "Bearer $TOKEN$"},
}]))]
struct Wanted {
    /// Whose token is used.
    #[schemars(with = "Option<String>")]
    auth_index: Option<Value>,
    /// The same, as other panels write it; some send both.
    #[serde(rename = "authIndex")]
    #[schemars(with = "Option<String>")]
    camel_index: Option<Value>,
    /// The same.
    #[serde(rename = "AuthIndex")]
    #[schemars(with = "Option<String>")]
    pascal_index: Option<Value>,
    #[schemars(with = "String")]
    method: Option<Value>,
    /// An absolute address.
    #[schemars(with = "String")]
    url: Option<Value>,
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    header: Option<Value>,
    /// The body.
    #[schemars(with = "Option<String>")]
    data: Option<Value>,
}

/// What was answered.
#[derive(Serialize, JsonSchema)]
struct Answered {
    status_code: u16,
    header: BTreeMap<String, Vec<String>>,
    body: String,
}

/// A text that is not empty.
fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

async fn call(ask: Ask) -> Outcome<Json<Answered>> {
    let wanted: Wanted = ask.json()?;
    let method = text(wanted.method.as_ref()).ok_or_else(|| Refusal::bad("missing method"))?;
    let url = text(wanted.url.as_ref()).ok_or_else(|| Refusal::bad("missing url"))?;
    let uri: Uri = url.parse().map_err(|_malformed| Refusal::bad("invalid url"))?;
    if uri.host().is_none() || uri.scheme().is_none() {
        return Err(Refusal::bad("invalid url"));
    }
    let method: Method =
        method.to_ascii_uppercase().parse().map_err(|_malformed| Refusal::bad("failed to build request"))?;
    let headers = match wanted.header {
        Some(Value::Object(headers)) => headers
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        _ => Vec::new(),
    };
    let data = wanted.data.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    let index = [&wanted.auth_index, &wanted.camel_index, &wanted.pascal_index];
    let index = index.into_iter().find_map(|index| text(index.as_ref()));
    let errand = Errand { index, method, uri, headers, body: Bytes::from(data) };
    let answer = ask.app.engine.run_errand(errand, now).await.map_err(|why| {
        let status = match why {
            NotRun::NoAnswer | NotRun::Broken => StatusCode::BAD_GATEWAY,
            _ => StatusCode::BAD_REQUEST,
        };
        Refusal::new(status, why.to_string())
    })?;
    let mut header = BTreeMap::new();
    for name in answer.headers.keys() {
        let values: Vec<String> = answer
            .headers
            .get_all(name)
            .into_iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        header.insert(canonical(name.as_str()), values);
    }
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    Ok(Json(Answered { status_code: answer.status.as_u16(), header, body }))
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
