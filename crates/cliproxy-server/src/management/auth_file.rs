//! Accounts: their files listed, uploaded, downloaded, switched, changed and removed.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use cliproxy_core::config::entries::{EVERYTHING, EntryList, LISTS, switched};
use cliproxy_core::credential::Credential;
use cliproxy_core::oauth::Changes;
use cliproxy_core::secret::Secret;
use cliproxy_core::store::StoreError;
use cliproxy_wire::form;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Outcome, Refusal, done, ok, with_status};
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

/// Largest upload: many files at once.
const LARGEST: usize = 16 << 20;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let at = "/auth-files";
    vec![
        endpoint(Method::GET, at, "The accounts; `name` and `auth_index` select", list)
            .asks(&[("name", "of the file"), ("auth_index", "short id")]),
        endpoint(
            Method::POST,
            at,
            "Uploads auth files: form fields `file`, or the content itself with `?name=`",
            upload,
        )
        .takes(LARGEST),
        endpoint(Method::DELETE, at, "Removes auth files: `name`, several of them, or `all=true`", delete),
        endpoint(Method::GET, "/auth-files/models", "The models that an account offers", models)
            .asks(&[("name", "of the file")]),
        endpoint(Method::GET, "/auth-files/download", "An auth file, with its tokens", download)
            .asks(&[("name", "of the file")]),
        endpoint(Method::PATCH, "/auth-files/status", "Switches an account or a key on or off", switch).reads(json!({
            "type": "object", "required": ["disabled"],
            "properties": {
                "name": {"type": "string"}, "auth_index": {"type": "string"}, "disabled": {"type": "boolean"},
            },
        })),
        endpoint(Method::PATCH, "/auth-files/fields", "Sets members of an auth file", change),
        endpoint(Method::POST, "/reset-quota", "Forgets what is held against an account", forgive),
    ]
}

fn ready(ask: &Ask) -> Result<(), Refusal> {
    if ask.app.engine.has_auth_files() {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "core auth manager unavailable"))
}

fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Missing(_) => Refusal::missing("file not found"),
        StoreError::Name(_) => Refusal::bad("invalid name"),
        StoreError::Unreadable(_) => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "invalid auth file: not a JSON object with a `type`",
        ),
        other => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
    }
}

/// A name of an auth file that leads nowhere else.
fn plain(name: &str) -> Result<&str, Refusal> {
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(Refusal::bad("invalid name"));
    }
    if !name.to_ascii_lowercase().ends_with(".json") {
        return Err(Refusal::bad("name must end with .json"));
    }
    Ok(name)
}

async fn list(ask: Ask) -> Outcome {
    ready(&ask)?;
    let mut files = ask.app.engine.roster(now()).await;
    if let Some(name) = ask.query("name") {
        files.retain(|file| file.name == name);
    }
    if let Some(index) = ask.query("auth_index") {
        files.retain(|file| file.auth_index == index);
    }
    Ok(ok(&json!({"files": files})))
}

async fn models(ask: Ask) -> Outcome {
    ready(&ask)?;
    let name = ask.query("name").ok_or_else(|| Refusal::bad("name is required"))?;
    let models = ask.app.engine.models_of_auth_file(name);
    let models: Vec<Value> = models
        .iter()
        .map(|model| {
            let mut shown = json!({"id": *model.id, "owned_by": *model.owned_by, "type": *model.owned_by});
            if let (Some(name), Value::Object(shown)) = (&model.display_name, &mut shown) {
                shown.insert("display_name".to_owned(), Value::from(name.as_ref()));
            }
            shown
        })
        .collect();
    Ok(ok(&json!({"models": models})))
}

async fn download(ask: Ask) -> Outcome {
    ready(&ask)?;
    let name = plain(ask.query("name").unwrap_or_default())?;
    let content = ask.app.engine.auth_file(name).await.map_err(refusal)?;
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let shown: String =
        name.chars().filter(|character| character.is_ascii_graphic() && *character != '"').collect();
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{shown}\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

async fn upload(ask: Ask) -> Outcome {
    ready(&ask)?;
    let Some(boundary) = form::boundary(&ask.headers) else {
        let name = ask.query("name").ok_or_else(|| Refusal::bad("file or name is required"))?;
        let name = plain(name)?.to_owned();
        ask.app.engine.put_auth_file(&name, ask.body.clone()).await.map_err(refusal)?;
        return Ok(done());
    };
    let parts = form::parts(&ask.body, &boundary).ok_or_else(|| Refusal::bad("invalid form"))?;
    let files: Vec<(String, Bytes)> = parts
        .into_iter()
        .filter(|part| part.name == "file")
        .map(|part| (part.file.unwrap_or_default(), part.content))
        .collect();
    match files.as_slice() {
        [] => Err(Refusal::bad("file is required")),
        [(name, content)] => {
            let name = plain(name).map_err(|_other| Refusal::bad("file must be .json"))?;
            ask.app.engine.put_auth_file(name, content.clone()).await.map_err(refusal)?;
            Ok(done())
        }
        several => {
            let (mut taken, mut failed) = (Vec::new(), Vec::new());
            for (name, content) in several {
                let result = match plain(name) {
                    Ok(name) => ask.app.engine.put_auth_file(name, content.clone()).await.map_err(refusal),
                    Err(refused) => Err(refused),
                };
                match result {
                    Ok(()) => taken.push(name.clone()),
                    Err(refused) => failed.push(json!({"name": name, "error": refused.message()})),
                }
            }
            Ok(batch("uploaded", &taken, &failed))
        }
    }
}

/// What came of several files.
fn batch(word: &str, taken: &[String], failed: &[Value]) -> Response {
    let (status, text) =
        if failed.is_empty() { (StatusCode::OK, "ok") } else { (StatusCode::MULTI_STATUS, "partial") };
    let mut body = json!({"status": text, word: taken.len(), "files": taken});
    if let (false, Value::Object(body)) = (failed.is_empty(), &mut body) {
        body.insert("failed".to_owned(), Value::from(failed));
    }
    with_status(status, &body)
}

/// The names in a query or a body.
fn names(ask: &Ask) -> Vec<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        List(Vec<String>),
        Names { names: Vec<String> },
        Name { name: String },
    }
    let asked: Vec<String> = ask
        .query
        .iter()
        .filter(|(name, _)| name == "name")
        .map(|(_, value)| value.trim().to_owned())
        .collect();
    if !asked.is_empty() {
        return asked;
    }
    match ask.json::<Body>() {
        Ok(Body::List(names) | Body::Names { names }) => names,
        Ok(Body::Name { name }) => vec![name],
        Err(_no_body) => Vec::new(),
    }
}

async fn delete(ask: Ask) -> Outcome {
    ready(&ask)?;
    if ask.query("all").is_some_and(|all| ["true", "1", "*"].contains(&all)) {
        let mut n_deleted = 0;
        for file in ask.app.engine.roster(now()).await {
            ask.app.engine.delete_auth_file(&file.name).await.map_err(refusal)?;
            n_deleted += 1;
        }
        return Ok(ok(&json!({"status": "ok", "deleted": n_deleted})));
    }
    let names = names(&ask);
    match names.as_slice() {
        [] => Err(Refusal::bad("invalid name")),
        [name] => {
            ask.app.engine.delete_auth_file(plain(name)?).await.map_err(refusal)?;
            Ok(done())
        }
        several => {
            let (mut taken, mut failed) = (Vec::new(), Vec::new());
            for name in several {
                let result = match plain(name) {
                    Ok(name) => ask.app.engine.delete_auth_file(name).await.map_err(refusal),
                    Err(refused) => Err(refused),
                };
                match result {
                    Ok(()) => taken.push(name.clone()),
                    Err(refused) => failed.push(json!({"name": name, "error": refused.message()})),
                }
            }
            Ok(batch("deleted", &taken, &failed))
        }
    }
}

/// The file that a body names, by name or by index.
async fn named(ask: &Ask, body: &Map<String, Value>) -> Result<String, Refusal> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    let (name, index) = (text("name"), text("auth_index"));
    if name.is_empty() && index.is_empty() {
        return Err(Refusal::bad("name is required"));
    }
    let files = ask.app.engine.roster(now()).await;
    let found = files.into_iter().find(|file| {
        if name.is_empty() { file.auth_index == index } else { file.name == name || file.id == name }
    });
    found.map(|file| file.name).ok_or_else(|| Refusal::missing("auth file not found"))
}

async fn switch(ask: Ask) -> Outcome {
    ready(&ask)?;
    let body: Map<String, Value> = ask.json().map_err(|_malformed| Refusal::bad("invalid request body"))?;
    let is_named = ["name", "auth_index"]
        .iter()
        .any(|name| body.get(*name).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty()));
    if !is_named {
        return Err(Refusal::bad("name is required"));
    }
    let disabled = match body.get("disabled") {
        Some(Value::Bool(disabled)) => *disabled,
        None | Some(Value::Null) => return Err(Refusal::bad("disabled is required")),
        Some(_) => return Err(Refusal::bad("invalid request body")),
    };
    let index =
        body.get("auth_index").or_else(|| body.get("name")).and_then(Value::as_str).unwrap_or_default();
    if let Some(key) = ask.app.engine.key_of_index(index.trim()) {
        return switch_key(&ask, &key, disabled).await;
    }
    let name = named(&ask, &body).await?;
    let changes = Changes::default().set("disabled", disabled);
    ask.app.engine.change_auth_file(&name, &changes).await.map_err(refusal)?;
    Ok(ok(&json!({"status": "ok", "disabled": disabled})))
}

/// Switches the entry of a key in the configuration.
async fn switch_key(ask: &Ask, key: &Credential, disabled: bool) -> Outcome {
    let text = |entry: &Value, name: &str| {
        entry.get(name).and_then(Value::as_str).unwrap_or_default().trim().trim_end_matches('/').to_owned()
    };
    let is_its = |list: &EntryList, entry: &Value| {
        let address = text(entry, "base-url");
        match list.name {
            "name" => text(entry, "name").to_lowercase() == *key.provider,
            name => {
                let is_same = |known: &Secret| known.matches(text(entry, name).as_bytes());
                key.key.as_ref().is_some_and(is_same) && (address.is_empty() || address == *key.base_url)
            }
        }
    };
    ask.console
        .keeper
        .edit(ask.expected(), |document| {
            for list in &LISTS {
                let entries =
                    document.get(&[list.key]).and_then(Value::as_array).cloned().unwrap_or_default();
                let found = entries.iter().position(|entry| is_its(list, entry));
                let Some((at, entry)) = found.and_then(|at| Some((at, entries.get(at)?))) else { continue };
                let mut changed = entries.clone();
                if let (Some(place), Some(entry)) = (changed.get_mut(at), switched(list, entry, disabled)) {
                    *place = entry;
                }
                document.set(&[list.key], Some(Value::Array(changed)))?;
                return Ok(());
            }
            Err(Refusal::missing("auth file not found"))
        })
        .await?;
    Ok(ok(&json!({
        "status": "ok", "disabled": disabled, "via": "config", "excluded_pattern": EVERYTHING,
    })))
}

async fn change(ask: Ask) -> Outcome {
    ready(&ask)?;
    let body: Map<String, Value> = ask.json().map_err(|_malformed| Refusal::bad("invalid request body"))?;
    let name = named(&ask, &body).await?;
    let mut changes = Changes::default();
    for (member, value) in body {
        if ["name", "auth_index", "type"].contains(&member.as_str()) {
            continue;
        }
        let path: Vec<&str> = member.split('.').collect();
        changes = match (path.as_slice(), value) {
            ([single], Value::Null) => changes.remove(single),
            (["headers"], Value::Object(headers)) => headers
                .into_iter()
                .fold(changes, |changes, (name, value)| changes.set_at(&["headers", &name], value)),
            (path, value) => changes.set_at(path, value),
        };
    }
    if changes.is_empty() {
        return Err(Refusal::bad("no fields to update"));
    }
    ask.app.engine.change_auth_file(&name, &changes).await.map_err(refusal)?;
    Ok(done())
}

async fn forgive(ask: Ask) -> Outcome {
    ready(&ask)?;
    let body: Map<String, Value> = ask.json()?;
    let index = body.get("auth_index").and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if index.is_empty() {
        return Err(Refusal::bad("auth_index is required"));
    }
    let models = ask.app.engine.forgive_auth_file(index).ok_or_else(|| Refusal::missing("auth not found"))?;
    let models: Vec<&str> = models.iter().map(|model| model.id.as_ref()).collect();
    Ok(ok(&json!({"status": "ok", "auth_index": index, "models": models})))
}
