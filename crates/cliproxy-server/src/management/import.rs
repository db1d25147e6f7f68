//! Accounts that need no browser: the cookie of one that is logged in, and service accounts.

use cliproxy_core::desk;
use cliproxy_core::oauth::Grant;
use cliproxy_core::provider::import_service_account;
use cliproxy_wire::form;
use http::{Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{JSON, Json, Okay, Outcome, Refusal};
use super::login::{login, session};
use super::route::Parameter;
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::POST, "/iflow-auth-url", "Logs in to iFlow with a cookie", with_cookie)
            .reads::<Cookie>(),
        endpoint(
            Method::POST,
            "/vertex/import",
            "Imports a service account: form field `file`, or its JSON as the body",
            import,
        )
        .asks([Parameter::text("location", "the region, `us-central1` when left out")])
        .or_reads(JSON, |_| {
            json_schema!({
                "type": "object", "required": ["project_id", "client_email", "private_key"],
                "properties": {
                    "project_id": {"type": "string"}, "client_email": {"type": "string"},
                    "private_key": {"type": "string"},
                },
            })
        })
        .or_reads("multipart/form-data", |_| {
            json_schema!({
                "type": "object", "required": ["file"],
                "properties": {
                    "file": {"type": "string", "contentMediaType": "application/json"},
                    "location": {"type": "string"},
                },
            })
        }),
    ]
}

/// The cookie of a browser that is logged in.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("required" = ["cookie"]))]
struct Cookie {
    #[schemars(with = "String")]
    cookie: Option<String>,
}

/// An account that is saved.
#[derive(Serialize, JsonSchema)]
struct Saved {
    status: Okay,
    /// Name of its file.
    #[serde(rename = "saved_path")]
    path: String,
    email: String,
    expired: String,
    r#type: String,
}

async fn with_cookie(ask: Ask) -> Outcome<Json<Saved>> {
    let bad = |text: String| Refusal::of_login(StatusCode::BAD_REQUEST, text);
    let missing = || bad("cookie is required".to_owned());
    let pasted: Cookie = ask.json().map_err(|_malformed| missing())?;
    let cookie = pasted.cookie.map(|cookie| cookie.trim().to_owned()).filter(|cookie| !cookie.is_empty());
    let cookie = cookie.ok_or_else(missing)?;
    if let Some(file) = ask.app.engine.file_of_cookie(&cookie) {
        return Err(Refusal::of_known_login("duplicate BXAuth found", file));
    }
    let session = session(login("iflow-cookie")?, None, false);
    let (grant, saved) = desk::answered(&ask.app.engine, session, &cookie)
        .await
        .map_err(|why| Refusal::failed_login(StatusCode::BAD_REQUEST, Some("error"), why))?;
    let member = |name: &str| of(&grant, name);
    Ok(Json(Saved {
        status: Okay::Ok,
        path: saved.id,
        email: member("email"),
        expired: member("expired"),
        r#type: member("type"),
    }))
}

/// A text that a login writes.
fn of(grant: &Grant, name: &str) -> String {
    let found = grant.changes.iter().find(|(path, _)| *path == [name]);
    found.and_then(|(_, value)| value?.as_str()).unwrap_or_default().to_owned()
}

/// A service account that is saved.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ServiceAccount")]
struct Imported {
    status: Okay,
    /// Path of its file.
    auth_file: String,
    #[serde(rename = "project_id")]
    project_id: String,
    email: String,
    location: String,
}

async fn import(ask: Ask) -> Outcome<Json<Imported>> {
    let mut location = ask.query("location").map(str::to_owned);
    let mut text = ask.body.clone();
    if let Some(boundary) = form::boundary(&ask.headers) {
        let parts = form::parts(&ask.body, &boundary).ok_or_else(|| Refusal::bad("file required"))?;
        let mut file = None;
        for part in parts {
            match part.name.as_str() {
                "file" => file = Some(part.content),
                "location" => {
                    location = std::str::from_utf8(&part.content).ok().map(|text| text.trim().to_owned());
                }
                _ => {}
            }
        }
        text = file.ok_or_else(|| Refusal::bad("file required"))?;
    }
    if text.trim_ascii().is_empty() {
        return Err(Refusal::bad("file required"));
    }
    let account: serde_json::Map<String, Value> =
        serde_json::from_slice(&text).map_err(|_malformed| Refusal::bad("invalid json"))?;
    let is_named =
        account.get("project_id").and_then(Value::as_str).is_some_and(|project| !project.trim().is_empty());
    if !is_named {
        return Err(Refusal::bad("project_id missing"));
    }
    let mut grant = import_service_account(&text, None).map_err(|refusal| {
        Refusal::coded(StatusCode::BAD_REQUEST, "invalid service account", refusal.message.to_string())
    })?;
    if let Some(location) = location.filter(|location| !location.is_empty()) {
        grant.changes = grant.changes.set("location", location);
    }
    let saved = ask
        .app
        .engine
        .save_grant(&grant)
        .await
        .map_err(|why| Refusal::coded(StatusCode::INTERNAL_SERVER_ERROR, "save_failed", why.message))?;
    let file = ask.app.engine.roster(now()).await.into_iter().find(|file| file.id == saved.id);
    let location = of(&grant, "location");
    Ok(Json(Imported {
        status: Okay::Ok,
        auth_file: file.and_then(|file| file.path).unwrap_or(saved.id),
        project_id: of(&grant, "project_id"),
        email: of(&grant, "email"),
        location: if location.is_empty() { "us-central1".to_owned() } else { location },
    }))
}
