//! Rules on the models of accounts: what is withheld, what is renamed, which errors mean what.

use cliproxy_core::config::shape;
use http::Method;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use super::answer::{Done, Json, Member, Outcome, Refusal, done};
use super::route::{Parameter, member};
use super::{Ask, Endpoint, endpoint};

/// A map from providers to lists.
#[derive(Debug)]
struct Rules {
    path: &'static str,
    key: &'static str,
    about: &'static str,
    /// What a member of the map is called in messages and queries, first the usual word.
    words: &'static [&'static str],
    /// The same as members of a query.
    queries: &'static [Parameter],
    /// What the list is called in a patch.
    list: &'static str,
}

const PROVIDER: Parameter = Parameter::text("provider", "whose rules");
const CHANNEL: Parameter = Parameter::text("channel", "whose rules");

static RULES: [Rules; 3] = [
    Rules {
        path: "/oauth-excluded-models",
        key: "oauth-excluded-models",
        about: "Models of accounts that are withheld, by provider",
        words: &["provider"],
        queries: &[PROVIDER],
        list: "models",
    },
    Rules {
        path: "/oauth-model-alias",
        key: "oauth-model-alias",
        about: "Models of accounts that are renamed, by channel",
        words: &["channel", "provider"],
        queries: &[CHANNEL, PROVIDER],
        list: "aliases",
    },
    Rules {
        path: "/oauth-request-scoped-errors",
        key: "oauth-request-scoped-errors",
        about: "What errors of accounts mean, by channel",
        words: &["provider", "channel"],
        queries: &[PROVIDER, CHANNEL],
        list: "rules",
    },
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    RULES.iter().flat_map(of).collect()
}

fn of(rules: &'static Rules) -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, rules.path, rules.about, move |ask: Ask| async move {
            let document = ask.console.keeper.document().await?;
            let map = document.get(&[rules.key]).filter(|map| map.is_object()).cloned();
            Ok(Member(rules.key, map.unwrap_or_else(|| Map::new().into())))
        })
        .gives_member(rules.key, |generator| shape::value(generator, rules.key)),
        endpoint(Method::PUT, rules.path, rules.about, move |ask| async move { replace(&ask, rules).await })
            .reads_as::<Map<String, Value>>(|generator| {
                let map = shape::value(generator, rules.key);
                json_schema!({"anyOf": [map, member("items", &map)]})
            })
            .edits(),
        endpoint(Method::PATCH, rules.path, rules.about, move |ask| async move { patch(&ask, rules).await })
            .reads_as::<Map<String, Value>>(|generator| rules.patch(generator))
            .edits(),
        endpoint(Method::DELETE, rules.path, rules.about, move |ask: Ask| async move {
            let named = rules.words.iter().find_map(|word| ask.query(word));
            let name = named
                .map(str::to_ascii_lowercase)
                .ok_or_else(|| Refusal::bad(format!("missing {}", rules.word())))?;
            set(&ask, rules, &name, None).await
        })
        .asks(rules.queries)
        .edits(),
    ]
}

impl Rules {
    fn word(&self) -> &'static str {
        self.words.first().copied().unwrap_or_default()
    }

    /// A name and its list; without one the name's rules are removed.
    fn patch(&self, generator: &mut SchemaGenerator) -> Schema {
        let map = shape::value(generator, self.key);
        let list = map.get("additionalProperties").cloned().unwrap_or_default();
        let mut properties = Map::new();
        for word in self.words {
            properties.insert((*word).to_owned(), serde_json::json!({"type": "string"}));
        }
        properties.insert(self.list.to_owned(), list);
        let one_of: Vec<Value> =
            self.words.iter().map(|word| serde_json::json!({"required": [word]})).collect();
        json_schema!({"type": "object", "properties": properties, "anyOf": one_of})
    }
}

async fn replace(ask: &Ask, rules: &'static Rules) -> Outcome<Json<Done>> {
    let mut map: Map<String, Value> = ask.json()?;
    if let (1, Some(Value::Object(items))) = (map.len(), map.get("items")) {
        map = items.clone();
    }
    if !map.values().all(Value::is_array) {
        return Err(Refusal::bad("invalid body"));
    }
    let map: Map<String, Value> = map
        .into_iter()
        .filter(|(_, list)| list.as_array().is_some_and(|list| !list.is_empty()))
        .map(|(name, list)| (name.trim().to_ascii_lowercase(), list))
        .collect();
    ask.edit(|document| Ok(document.set(&[rules.key], Some(Value::Object(map)))?)).await?;
    Ok(done())
}

async fn patch(ask: &Ask, rules: &'static Rules) -> Outcome<Json<Done>> {
    let body: Map<String, Value> = ask.json()?;
    let invalid = || Refusal::bad(format!("invalid {}", rules.word()));
    let named = rules.words.iter().find_map(|word| body.get(*word));
    let Some(name) = named else { return Err(Refusal::bad("invalid body")) };
    let name = name.as_str().map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
    let name = name.ok_or_else(invalid)?;
    let list = match body.get(rules.list) {
        Some(Value::Array(list)) => list.clone(),
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return Err(Refusal::bad("invalid body")),
    };
    set(ask, rules, &name, (!list.is_empty()).then_some(list)).await
}

/// Sets one list, or removes it.
async fn set(ask: &Ask, rules: &'static Rules, name: &str, list: Option<Vec<Value>>) -> Outcome<Json<Done>> {
    ask.edit(|document| {
        let path = [rules.key, name];
        if list.is_none() && document.get(&path).is_none() {
            return Err(Refusal::missing(format!("{} not found", rules.word())));
        }
        Ok(document.set(&path, list.map(Value::Array))?)
    })
    .await?;
    Ok(done())
}
