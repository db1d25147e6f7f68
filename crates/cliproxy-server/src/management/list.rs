//! Client keys and the lists of upstream keys.

use cliproxy_core::config::document::Document;
use cliproxy_core::config::entries::{self, EntryList, LISTS, Unchanged, Which};
use cliproxy_core::config::{shape, view};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{Done, Json, Member, Outcome, Refusal, done};
use super::route::Parameter;
use super::{Ask, Endpoint, endpoint};

/// Largest list that is taken.
pub(super) const LARGEST: usize = 4 << 20;

const CLIENT_KEYS: &str = "api-keys";

/// How an entry is chosen for removal.
pub(super) const BY_KEY: &[Parameter] = &[
    Parameter::text("api-key", "the key of the entries"),
    Parameter::text("base-url", "of those with this key, the ones with this address"),
    Parameter::number("index", "the place of the entry, instead of its key"),
];
const BY_NAME: &[Parameter] = &[
    Parameter::text("name", "the name of the entries"),
    Parameter::text("base-url", "of those with this name, the ones with this address"),
    Parameter::number("index", "the place of the entry, instead of its name"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut list = vec![
        endpoint(Method::GET, "/api-keys", "The client keys", client_keys)
            .gives_member(CLIENT_KEYS, SchemaGenerator::subschema_for::<Vec<String>>),
        endpoint(Method::PUT, "/api-keys", "Replaces the client keys", replace_client_keys)
            .takes(LARGEST)
            .reads_as::<Sent>(|generator| sent_shape(&generator.subschema_for::<Vec<String>>()))
            .edits(),
        endpoint(
            Method::PATCH,
            "/api-keys",
            "Sets one client key: `index` and `value`, or `old` and `new`",
            patch_client_key,
        )
        .reads::<KeyPatch>()
        .edits(),
        endpoint(Method::DELETE, "/api-keys", "Removes client keys by `index` or `value`", delete_client_key)
            .asks([
                Parameter::number("index", "the place of the key"),
                Parameter::text("value", "the key, instead of its place"),
            ])
            .edits(),
    ];
    list.extend(LISTS.iter().flat_map(of));
    list
}

fn of(list: &'static EntryList) -> Vec<Endpoint> {
    let path = PATHS.iter().find(|path| path.get(1..) == Some(list.key)).copied().unwrap_or_default();
    vec![
        endpoint(
            Method::GET,
            path,
            "The entries of this list",
            move |ask| async move { shown(&ask, list).await },
        )
        .gives_member(list.key, |generator| shape::value(generator, list.key)),
        endpoint(
            Method::PUT,
            path,
            "Replaces the list; what a client does not know stays",
            move |ask| async move {
                let new = sent(&ask)?;
                change(&ask, list.key, move |old| {
                    list.replaced(old, new).ok_or_else(|| Refusal::bad("invalid body"))
                })
                .await
            },
        )
        .takes(LARGEST)
        .reads_as::<Sent>(|generator| sent_shape(&shape::value(generator, list.key)))
        .edits(),
        endpoint(
            Method::PATCH,
            path,
            "Changes members of one entry; `null` removes one",
            move |ask| async move { patch_entry(&ask, list).await },
        )
        .reads_as::<EntryPatch>(|generator| entry_patch(generator, list))
        .edits(),
        endpoint(Method::DELETE, path, "Removes an entry", move |ask| async move {
            delete_entry(&ask, list).await
        })
        .asks(if list.name == "name" { BY_NAME } else { BY_KEY })
        .edits(),
    ]
}

/// The entries as the file has them.
pub(super) async fn shown(ask: &Ask, list: &EntryList) -> Outcome<Member> {
    let document = ask.console.keeper.document().await?;
    Ok(Member(list.key, items(&document, list.key).into()))
}

const PATHS: [&str; 7] = [
    "/gemini-api-key",
    "/interactions-api-key",
    "/claude-api-key",
    "/codex-api-key",
    "/xai-api-key",
    "/vertex-api-key",
    "/openai-compatibility",
];

pub(super) fn items(document: &Document, key: &str) -> Vec<Value> {
    document.get(&[key]).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// A whole list, as panels send it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Sent {
    Bare(Vec<Value>),
    Wrapped { items: Vec<Value> },
}

/// A bare array, or `items` with at least one.
pub(super) fn sent_shape(list: &Schema) -> Schema {
    let mut filled = list.clone();
    filled.insert("minItems".to_owned(), 1.into());
    json_schema!({
        "anyOf": [list, {"type": "object", "required": ["items"], "properties": {"items": filled}}],
    })
}

pub(super) fn sent(ask: &Ask) -> Result<Vec<Value>, Refusal> {
    match ask.json()? {
        Sent::Wrapped { items } if items.is_empty() => Err(Refusal::bad("invalid body")),
        Sent::Bare(list) | Sent::Wrapped { items: list } => Ok(list),
    }
}

/// Changes a list of the file.
pub(super) async fn change(
    ask: &Ask,
    key: &str,
    change: impl FnOnce(&[Value]) -> Result<Vec<Value>, Refusal>,
) -> Outcome<Json<Done>> {
    ask.edit(|document| {
        let new = change(&items(document, key))?;
        Ok(document.set(&[key], Some(Value::Array(new)))?)
    })
    .await?;
    Ok(done())
}

async fn client_keys(ask: Ask) -> Outcome<Member> {
    let document = ask.console.keeper.document().await?;
    let keys = document.get(&[CLIENT_KEYS]).map(view::texts).unwrap_or_default();
    Ok(Member(CLIENT_KEYS, keys.into()))
}

async fn replace_client_keys(ask: Ask) -> Outcome<Json<Done>> {
    let new = sent(&ask)?;
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    if !new.iter().all(Value::is_string) {
        return Err(Refusal::bad("invalid body"));
    }
    let new = view::texts(&Value::Array(new.into_iter().filter(is_text).collect()));
    change(&ask, CLIENT_KEYS, |_| Ok(new)).await
}

/// One client key, by its place or by what it was.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("examples" = [{"index": 0, "value": "new-key"}, {"old": "old-key", "new": "new-key"}]))]
struct KeyPatch {
    index: Option<usize>,
    value: Option<String>,
    /// What is not there is added.
    old: Option<String>,
    new: Option<String>,
}

async fn patch_client_key(ask: Ask) -> Outcome<Json<Done>> {
    let patch: KeyPatch = ask.json()?;
    let (index, old, new) = match (patch.index, patch.value, patch.old, patch.new) {
        (Some(index), Some(value), ..) => (Some(index), None, value),
        (_, _, Some(old), Some(new)) => (None, Some(old), new),
        _ => return Err(Refusal::bad("missing fields")),
    };
    change(&ask, CLIENT_KEYS, |list| {
        let list = view::texts(&Value::Array(list.to_vec()));
        entries::with_text(&list, index, old.as_deref(), &new)
            .map_err(|_no_such_place| Refusal::bad("missing fields"))
    })
    .await
}

async fn delete_client_key(ask: Ask) -> Outcome<Json<Done>> {
    let index = ask.query("index").and_then(|index| index.parse::<usize>().ok());
    let value = ask.query("value").map(str::to_owned);
    if index.is_none() && value.is_none() {
        return Err(Refusal::bad("missing index or value"));
    }
    change(&ask, CLIENT_KEYS, |list| {
        let mut list = view::texts(&Value::Array(list.to_vec()));
        match index {
            Some(index) if index < list.len() => drop(list.remove(index)),
            Some(_) => return Err(Refusal::bad("missing index or value")),
            None => list.retain(|item| item.as_str() != value.as_deref()),
        }
        Ok(list)
    })
    .await
}

/// What changes of which entry.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct EntryPatch {
    /// The place of the entry.
    index: Option<usize>,
    /// Its key, instead of its place.
    r#match: Option<String>,
    /// Its name, instead of its place, in lists whose entries have names.
    name: Option<String>,
    /// Of those with this key or name, the one with this address.
    base_url: Option<String>,
    /// The members that change.
    value: Option<Value>,
}

/// A patch, with what the members of this list are.
pub(super) fn entry_patch(generator: &mut SchemaGenerator, list: &EntryList) -> Schema {
    let mut patch = EntryPatch::json_schema(generator);
    let change = shape::change(generator, list.key);
    if let Some(Value::Object(properties)) = patch.get_mut("properties") {
        properties.insert("value".to_owned(), change.into());
    }
    patch.insert("required".to_owned(), vec!["value"].into());
    patch
}

pub(super) async fn patch_entry(ask: &Ask, list: &'static EntryList) -> Outcome<Json<Done>> {
    let patch: EntryPatch = ask.json()?;
    let name = if list.name == "name" { patch.name } else { patch.r#match };
    let which = match (patch.index, name) {
        (Some(index), _) => Which::Index(index),
        (None, Some(name)) => Which::Named { name, base_url: patch.base_url },
        (None, None) => return Err(Refusal::missing("item not found")),
    };
    let value = patch.value.ok_or_else(|| Refusal::bad("invalid body"))?;
    change(ask, list.key, |old| {
        list.patched(old, &which, &value).map_err(|why| match why {
            Unchanged::Missing => Refusal::missing("item not found"),
            Unchanged::Malformed => Refusal::bad("invalid body"),
        })
    })
    .await
}

pub(super) async fn delete_entry(ask: &Ask, list: &'static EntryList) -> Outcome<Json<Done>> {
    let named = ask.query(list.name).map(|name| Which::Named {
        name: name.to_owned(),
        base_url: ask.query("base-url").map(str::to_owned),
    });
    let indexed = || ask.query("index").and_then(|index| index.parse().ok()).map(Which::Index);
    let Some(which) = named.or_else(indexed) else {
        return Err(Refusal::bad(format!("missing {} or index", list.name)));
    };
    let is_strict = list.is_strict || matches!(which, Which::Index(_));
    change(ask, list.key, |old| match list.without(old, &which) {
        Err(_) if is_strict => Err(Refusal::missing("item not found")),
        Err(_) => Ok(old.to_vec()),
        Ok(kept) => Ok(kept),
    })
    .await
}
