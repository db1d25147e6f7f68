//! Accounts and keys: switched on and off, changed member by member, forgiven.

use cliproxy_core::config::entries::{EVERYTHING, EntryList, LISTS, switched};
use cliproxy_core::credential::Credential;
use cliproxy_core::secret::Secret;
use cliproxy_core::store::Changes;
use http::{Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::{Done, Json, Okay, Outcome, Refusal, done};
use super::auth_file::{ready, refusal};
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::PATCH, "/auth-files/status", "Switches an account or a key on or off", switch)
            .reads::<Switch>()
            .edits(),
        endpoint(
            Method::PATCH,
            "/auth-files/fields",
            "Sets members of an auth file: `a.b` is a path, `null` removes",
            change,
        )
        .reads_as::<Map<String, Value>>(|_| {
            json_schema!({
                "type": "object", "anyOf": [{"required": ["name"]}, {"required": ["auth_index"]}],
                "properties": {"name": {"type": "string"}, "auth_index": {"type": "string"}},
                "examples": [{"name": "claude-me.json", "priority": 3, "note": null}],
            })
        }),
        endpoint(Method::POST, "/reset-quota", "Forgets what is held against an account", forgive)
            .reads::<Forgive>(),
    ]
}

/// A text that says something.
fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The file that a request names, by name or by index.
async fn named(ask: &Ask, name: Option<&str>, index: Option<&str>) -> Result<String, Refusal> {
    let files = ask.app.engine.roster(now()).await;
    let found = files.into_iter().find(|file| match (name, index) {
        (Some(name), _) => file.name == name || file.id == name,
        (None, Some(index)) => file.auth_index == index,
        (None, None) => false,
    });
    let found = found.ok_or_else(|| Refusal::missing("auth file not found"))?;
    if found.runtime_only {
        let text = "a page that is connected has no auth file to change; it goes when it is closed";
        return Err(Refusal::new(StatusCode::CONFLICT, text));
    }
    Ok(found.name)
}

/// Who is switched.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend(
    "required" = ["disabled"], "anyOf" = [{"required": ["name"]}, {"required": ["auth_index"]}],
    "examples" = [{"name": "claude-me.json", "disabled": true}],
))]
struct Switch {
    /// Name of an auth file.
    name: Option<String>,
    /// The short id of an account or of a key of the configuration, instead of a name.
    auth_index: Option<String>,
    #[schemars(with = "bool")]
    disabled: Option<bool>,
}

/// Who was switched.
#[derive(Serialize, JsonSchema)]
struct Switched {
    status: Okay,
    disabled: bool,
    /// `config` for a key of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'static str>,
    /// What stands under `excluded-models` of a key that is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    excluded_pattern: Option<&'static str>,
}

async fn switch(ask: Ask) -> Outcome<Json<Switched>> {
    ready(&ask)?;
    let body: Switch = ask.json().map_err(|_malformed| Refusal::bad("invalid request body"))?;
    let (name, index) = (filled(body.name.as_deref()), filled(body.auth_index.as_deref()));
    if name.is_none() && index.is_none() {
        return Err(Refusal::bad("name is required"));
    }
    let disabled = body.disabled.ok_or_else(|| Refusal::bad("disabled is required"))?;
    if let Some(key) = ask.app.engine.key_of_index(index.or(name).unwrap_or_default()) {
        return switch_key(&ask, &key, disabled).await;
    }
    let name = named(&ask, name, index).await?;
    let changes = Changes::default().set("disabled", disabled);
    ask.app.engine.change_auth_file(&name, &changes).await.map_err(refusal)?;
    Ok(Json(Switched { status: Okay::Ok, disabled, via: None, excluded_pattern: None }))
}

/// Switches the entry of a key in the configuration.
async fn switch_key(ask: &Ask, key: &Credential, disabled: bool) -> Outcome<Json<Switched>> {
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
    ask.edit(|document| {
        for list in &LISTS {
            let entries = document.get(&[list.key]).and_then(Value::as_array).cloned().unwrap_or_default();
            let found = entries.iter().position(|entry| is_its(list, entry));
            let Some((at, entry)) = found.and_then(|at| Some((at, entries.get(at)?))) else { continue };
            let mut changed = entries.clone();
            if let (Some(place), Some(entry)) = (changed.get_mut(at), switched(list, entry, disabled)) {
                *place = entry;
            }
            return Ok(document.set(&[list.key], Some(Value::Array(changed)))?);
        }
        Err(Refusal::missing("auth file not found"))
    })
    .await?;
    let (via, excluded_pattern) = (Some("config"), Some(EVERYTHING));
    Ok(Json(Switched { status: Okay::Ok, disabled, via, excluded_pattern }))
}

async fn change(ask: Ask) -> Outcome<Json<Done>> {
    ready(&ask)?;
    let body: Map<String, Value> = ask.json().map_err(|_malformed| Refusal::bad("invalid request body"))?;
    let text = |name: &str| filled(body.get(name).and_then(Value::as_str));
    if text("name").is_none() && text("auth_index").is_none() {
        return Err(Refusal::bad("name is required"));
    }
    let name = named(&ask, text("name"), text("auth_index")).await?;
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

/// Who is forgiven.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("required" = ["auth_index"]))]
struct Forgive {
    /// The short id of an account.
    #[schemars(with = "String")]
    auth_index: Option<String>,
}

/// Who was forgiven.
#[derive(Serialize, JsonSchema)]
struct Forgiven {
    status: Okay,
    auth_index: String,
    /// The models that the account offers.
    models: Vec<String>,
}

async fn forgive(ask: Ask) -> Outcome<Json<Forgiven>> {
    ready(&ask)?;
    let body: Forgive = ask.json()?;
    let index = filled(body.auth_index.as_deref()).ok_or_else(|| Refusal::bad("auth_index is required"))?;
    let models = ask.app.engine.forgive_auth_file(index).ok_or_else(|| Refusal::missing("auth not found"))?;
    let models = models.iter().map(|model| model.id.as_ref().to_owned()).collect();
    Ok(Json(Forgiven { status: Okay::Ok, auth_index: index.to_owned(), models }))
}
