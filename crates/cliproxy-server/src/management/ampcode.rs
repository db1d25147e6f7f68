//! The settings of the Amp control plane.

use cliproxy_core::config::document::Document;
use cliproxy_core::config::{entries, shape};
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Done, Json, Member, Outcome, Refusal, done};
use super::route::member;
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
    let whole = endpoint(Method::GET, "/ampcode", "The settings of Amp", |ask: Ask| async move {
        let document = ask.console.keeper.document().await?;
        let section = document.get(&[KEY]).filter(|section| section.is_object()).cloned();
        Ok(Member(KEY, section.unwrap_or_else(|| json!({}))))
    });
    let mut list = vec![whole.gives_member(KEY, |generator| shape::value(generator, KEY))];
    list.extend(SINGLES.iter().flat_map(single));
    list.extend(LISTED.iter().flat_map(listed));
    list
}

/// A value of any type.
#[derive(Deserialize)]
struct Written {
    value: Option<Value>,
}

fn single(of: &'static Single) -> Vec<Endpoint> {
    let read = endpoint(Method::GET, of.path, of.about, move |ask: Ask| async move {
        let document = ask.console.keeper.document().await?;
        let nothing = if of.is_text { json!("") } else { json!(false) };
        Ok(Member(of.member, document.get(&[KEY, of.member]).cloned().unwrap_or(nothing)))
    });
    let mut list = vec![read.gives_member(of.member, |generator| shape::of_ampcode(generator, of.member))];
    for method in [Method::PUT, Method::PATCH] {
        let write = endpoint(method, of.path, of.about, move |ask: Ask| async move {
            let value = match ask.json::<Written>()?.value {
                Some(Value::String(text)) if of.is_text => Value::from(text.trim()),
                Some(value @ Value::Bool(_)) if !of.is_text => value,
                _ => return Err(Refusal::bad("invalid body")),
            };
            set(&ask, of.member, |_| Ok(value)).await
        });
        let write = write
            .reads_as::<Written>(|generator| member("value", &shape::of_ampcode(generator, of.member)))
            .edits();
        list.push(write);
    }
    if of.is_text {
        let clear = endpoint(Method::DELETE, of.path, of.about, move |ask| async move {
            set(&ask, of.member, |_| Ok(json!(""))).await
        });
        list.push(clear.edits());
    }
    list
}

fn listed(of: &'static Listed) -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, of.path, of.about, move |ask: Ask| async move {
            let document = ask.console.keeper.document().await?;
            Ok(Member(of.member, items(&document, of.member).into()))
        })
        .gives_member(of.member, |generator| shape::of_ampcode(generator, of.member)),
        endpoint(Method::PUT, of.path, of.about, move |ask| async move {
            let new = objects(&ask, of.name)?;
            set(&ask, of.member, |_| Ok(Value::Array(new))).await
        })
        .reads_as::<Objects>(|generator| member("value", &shape::of_ampcode(generator, of.member)))
        .edits(),
        endpoint(Method::PATCH, of.path, of.about, move |ask| async move {
            let new = objects(&ask, of.name)?;
            set(&ask, of.member, |old| Ok(Value::Array(entries::merged(&old, new, of.name)))).await
        })
        .reads_as::<Objects>(|generator| member("value", &shape::of_ampcode(generator, of.member)))
        .edits(),
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
        })
        .reads::<Unwanted>()
        .edits(),
    ]
}

fn items(document: &Document, member: &str) -> Vec<Value> {
    document.get(&[KEY, member]).and_then(Value::as_array).cloned().unwrap_or_default()
}

#[derive(Deserialize)]
struct Objects {
    value: Vec<Map<String, Value>>,
}

/// Objects that have a name, their texts trimmed; others are dropped, and so are empty texts of lists.
fn objects(ask: &Ask, name: &str) -> Result<Vec<Value>, Refusal> {
    let Objects { value } = ask.json()?;
    let is_named = |object: &Map<String, Value>| {
        object.get(name).and_then(Value::as_str).is_some_and(|name| !name.trim().is_empty())
    };
    Ok(value.into_iter().filter(is_named).map(|object| trimmed(Value::Object(object))).collect())
}

fn trimmed(value: Value) -> Value {
    match value {
        Value::String(text) => Value::from(text.trim()),
        Value::Array(list) => list.into_iter().map(trimmed).filter(|item| item != "").collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, trimmed(value))).collect())
        }
        other => other,
    }
}

/// The names of what goes; an empty list stands for everything.
#[derive(Deserialize, JsonSchema)]
struct Unwanted {
    value: Option<Vec<String>>,
}

/// The names of what is to be deleted; none stands for all.
fn unwanted(ask: &Ask, of: &Listed) -> Result<Vec<String>, Refusal> {
    let sent = ask.json::<Unwanted>().ok().and_then(|unwanted| unwanted.value);
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

async fn set(
    ask: &Ask,
    member: &str,
    change: impl FnOnce(Vec<Value>) -> Result<Value, Refusal>,
) -> Outcome<Json<Done>> {
    ask.edit(|document| {
        let new = change(items(document, member))?;
        Ok(document.set(&[KEY, member], Some(new))?)
    })
    .await?;
    Ok(done())
}
