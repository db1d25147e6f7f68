//! The settings of the Amp control plane.

use cliproxy_core::config::document::Document;
use cliproxy_core::config::entries;
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Outcome, Refusal, done, ok};
use super::{Ask, Endpoint, endpoint};

const KEY: &str = "ampcode";

/// A single value.
struct Single {
    path: &'static str,
    member: &'static str,
    about: &'static str,
    is_text: bool,
}

static SINGLES: [Single; 4] = [
    Single {
        path: "/ampcode/upstream-url",
        member: "upstream-url",
        about: "Address of the control plane",
        is_text: true,
    },
    Single {
        path: "/ampcode/upstream-api-key",
        member: "upstream-api-key",
        about: "Key towards the control plane",
        is_text: true,
    },
    Single {
        path: "/ampcode/restrict-management-to-localhost",
        member: "restrict-management-to-localhost",
        about: "Amp's management routes for this machine only",
        is_text: false,
    },
    Single {
        path: "/ampcode/force-model-mappings",
        member: "force-model-mappings",
        about: "Replace models before asking whether they are served here",
        is_text: false,
    },
];

/// A list of objects.
struct Listed {
    path: &'static str,
    member: &'static str,
    name: &'static str,
    about: &'static str,
    /// Deleting without saying what clears the list.
    clears: bool,
}

static LISTED: [Listed; 2] = [
    Listed {
        path: "/ampcode/model-mappings",
        member: "model-mappings",
        name: "from",
        about: "Replacements of model names",
        clears: true,
    },
    Listed {
        path: "/ampcode/upstream-api-keys",
        member: "upstream-api-keys",
        name: "upstream-api-key",
        about: "Keys towards the control plane, by client key",
        clears: false,
    },
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut list = vec![endpoint(Method::GET, "/ampcode", "The settings of Amp", |ask: Ask| async move {
        let document = ask.console.keeper.document().await?;
        let section = document.get(&[KEY]).filter(|section| section.is_object()).cloned();
        Ok(ok(&json!({KEY: section.unwrap_or_else(|| json!({}))})))
    })];
    list.extend(SINGLES.iter().flat_map(single));
    list.extend(LISTED.iter().flat_map(listed));
    list
}

fn single(of: &'static Single) -> Vec<Endpoint> {
    let mut list = vec![endpoint(Method::GET, of.path, of.about, move |ask| async move {
        let document = ask.console.keeper.document().await?;
        let nothing = if of.is_text { json!("") } else { json!(false) };
        Ok(ok(&json!({of.member: document.get(&[KEY, of.member]).cloned().unwrap_or(nothing)})))
    })];
    for method in [Method::PUT, Method::PATCH] {
        list.push(endpoint(method, of.path, of.about, move |ask| async move {
            let body: Map<String, Value> = ask.json()?;
            let value = match body.get("value") {
                Some(Value::String(text)) if of.is_text => Value::from(text.trim()),
                Some(value @ Value::Bool(_)) if !of.is_text => value.clone(),
                _ => return Err(Refusal::bad("invalid body")),
            };
            set(&ask, of.member, |_| Ok(value)).await
        }));
    }
    if of.is_text {
        list.push(endpoint(Method::DELETE, of.path, of.about, move |ask| async move {
            set(&ask, of.member, |_| Ok(json!(""))).await
        }));
    }
    list
}

fn listed(of: &'static Listed) -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, of.path, of.about, move |ask| async move {
            let document = ask.console.keeper.document().await?;
            Ok(ok(&json!({of.member: items(&document, of.member)})))
        }),
        endpoint(Method::PUT, of.path, of.about, move |ask| async move {
            let new = objects(&ask, of.name)?;
            set(&ask, of.member, |_| Ok(Value::Array(new))).await
        }),
        endpoint(Method::PATCH, of.path, of.about, move |ask| async move {
            let new = objects(&ask, of.name)?;
            set(&ask, of.member, |old| Ok(Value::Array(entries::merged(&old, new, of.name)))).await
        }),
        endpoint(Method::DELETE, of.path, of.about, move |ask| async move {
            let names = unwanted(&ask, of)?;
            set(&ask, of.member, |old| {
                let is_wanted = |item: &Value| {
                    let name = item.get(of.name).and_then(Value::as_str).map(str::trim).unwrap_or_default();
                    !names.is_empty() && !names.iter().any(|unwanted| unwanted == name)
                };
                Ok(Value::Array(old.into_iter().filter(is_wanted).collect()))
            })
            .await
        }),
    ]
}

fn items(document: &Document, member: &str) -> Vec<Value> {
    document.get(&[KEY, member]).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Objects that have a name; others are dropped.
fn objects(ask: &Ask, name: &str) -> Result<Vec<Value>, Refusal> {
    #[derive(Deserialize)]
    struct Written {
        value: Vec<Map<String, Value>>,
    }
    let Written { value } = ask.json()?;
    let is_named = |object: &Map<String, Value>| {
        object.get(name).and_then(Value::as_str).is_some_and(|name| !name.trim().is_empty())
    };
    Ok(value.into_iter().filter(is_named).map(Value::Object).collect())
}

/// The names of what is to be deleted; none stands for all.
fn unwanted(ask: &Ask, of: &Listed) -> Result<Vec<String>, Refusal> {
    #[derive(Deserialize)]
    struct Written {
        value: Option<Vec<String>>,
    }
    let sent = ask.json::<Written>().ok().and_then(|written| written.value);
    let Some(sent) = sent else {
        return if of.clears { Ok(Vec::new()) } else { Err(Refusal::bad("missing value")) };
    };
    let names: Vec<String> =
        sent.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if names.is_empty() && !sent.is_empty() && !of.clears {
        return Err(Refusal::bad("empty value"));
    }
    Ok(names)
}

async fn set(ask: &Ask, member: &str, change: impl FnOnce(Vec<Value>) -> Result<Value, Refusal>) -> Outcome {
    ask.console
        .keeper
        .edit(ask.expected(), |document| {
            let new = change(items(document, member))?;
            document.set(&[KEY, member], Some(new))?;
            Ok::<(), Refusal>(())
        })
        .await?;
    Ok(done())
}
