//! Client keys and the lists of upstream keys.

use cliproxy_core::config::document::Document;
use cliproxy_core::config::entries::{self, EntryList, LISTS, Unchanged, Which};
use cliproxy_core::config::view;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, done, ok};
use super::{Ask, Endpoint, endpoint};

/// Largest list that is taken.
pub(super) const LARGEST: usize = 4 << 20;

const CLIENT_KEYS: &str = "api-keys";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut list = vec![
        endpoint(Method::GET, "/api-keys", "The client keys", client_keys),
        endpoint(Method::PUT, "/api-keys", "Replaces the client keys", replace_client_keys).takes(LARGEST),
        endpoint(
            Method::PATCH,
            "/api-keys",
            "Sets one client key: `index` and `value`, or `old` and `new`",
            patch_client_key,
        ),
        endpoint(Method::DELETE, "/api-keys", "Removes client keys by `index` or `value`", delete_client_key),
    ];
    list.extend(LISTS.iter().flat_map(of));
    list
}

fn of(list: &'static EntryList) -> Vec<Endpoint> {
    let path = PATHS.iter().find(|path| path.get(1..) == Some(list.key)).copied().unwrap_or_default();
    vec![
        endpoint(Method::GET, path, "The entries of this list", move |ask| async move {
            let document = ask.console.keeper.document().await?;
            Ok(ok(&json!({list.key: items(&document, list.key)})))
        }),
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
        .takes(LARGEST),
        endpoint(Method::PATCH, path, "Changes members of one entry", move |ask| async move {
            patch_entry(&ask, list).await
        }),
        endpoint(Method::DELETE, path, "Removes an entry", move |ask| async move {
            delete_entry(&ask, list).await
        }),
    ]
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

/// A bare array, or `items` with at least one.
pub(super) fn sent(ask: &Ask) -> Result<Vec<Value>, Refusal> {
    #[derive(Deserialize)]
    struct Items {
        items: Vec<Value>,
    }
    if let Ok(list) = ask.json::<Vec<Value>>() {
        return Ok(list);
    }
    let Items { items } = ask.json()?;
    if items.is_empty() { Err(Refusal::bad("invalid body")) } else { Ok(items) }
}

/// Changes a list of the file.
pub(super) async fn change(
    ask: &Ask,
    key: &str,
    change: impl FnOnce(&[Value]) -> Result<Vec<Value>, Refusal>,
) -> Outcome {
    ask.console
        .keeper
        .edit(ask.expected(), |document| {
            let new = change(&items(document, key))?;
            document.set(&[key], Some(Value::Array(new)))?;
            Ok::<(), Refusal>(())
        })
        .await?;
    Ok(done())
}

async fn client_keys(ask: Ask) -> Outcome {
    let document = ask.console.keeper.document().await?;
    let keys = document.get(&[CLIENT_KEYS]).map(view::texts).unwrap_or_default();
    Ok(ok(&json!({CLIENT_KEYS: keys})))
}

async fn replace_client_keys(ask: Ask) -> Outcome {
    let new = sent(&ask)?;
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    if !new.iter().all(Value::is_string) {
        return Err(Refusal::bad("invalid body"));
    }
    let new = view::texts(&Value::Array(new.into_iter().filter(is_text).collect()));
    change(&ask, CLIENT_KEYS, |_| Ok(new)).await
}

async fn patch_client_key(ask: Ask) -> Outcome {
    #[derive(Deserialize)]
    struct Patch {
        index: Option<usize>,
        value: Option<String>,
        old: Option<String>,
        new: Option<String>,
    }
    let patch: Patch = ask.json()?;
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

async fn delete_client_key(ask: Ask) -> Outcome {
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

pub(super) async fn patch_entry(ask: &Ask, list: &'static EntryList) -> Outcome {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Patch {
        index: Option<usize>,
        r#match: Option<String>,
        name: Option<String>,
        base_url: Option<String>,
        value: Option<Value>,
    }
    let patch: Patch = ask.json()?;
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

pub(super) async fn delete_entry(ask: &Ask, list: &'static EntryList) -> Outcome {
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
