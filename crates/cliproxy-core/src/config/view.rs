//! The configuration as management interfaces show it: the keys of the file, with the values that are in force where
//! the file says nothing.
//!
//! What is shown comes from the file and not from the running settings, so that a value that was just written is read
//! back, and members that only newer programs know are not lost.

use serde_json::{Map, Value, json};

use super::document::Document;
use super::file::scalar::{boolean, integer};
use super::settings::{Settings, Strategy};

/// A single value with a route of its own.
#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    /// Path of the route below the interface's base.
    pub path: &'static str,
    /// Path of the key in the file.
    pub key: &'static [&'static str],
    /// What it decides.
    pub about: &'static str,
    /// Whether it can be cleared.
    pub is_clearable: bool,
    kind: Kind,
    effective: fn(&Settings) -> Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Switch,
    /// What a negative number means.
    Number {
        negative: Option<i64>,
    },
    Text,
    Strategy,
}

impl Scalar {
    /// Its name in answers: the last part of its key.
    pub fn member(&self) -> &'static str {
        self.key.last().copied().unwrap_or_default()
    }

    /// A value as it is written and shown; `None` when it is of another type.
    pub fn canonical(&self, value: &Value) -> Option<Value> {
        match (self.kind, value) {
            (Kind::Switch, Value::Bool(_)) => Some(value.clone()),
            (Kind::Switch, Value::String(text)) => boolean(text).map(Value::Bool),
            (Kind::Number { negative }, Value::Number(number)) => {
                let number = number.as_i64().or_else(|| integer(&number.to_string()))?;
                Some(Value::from(negative.filter(|_| number < 0).unwrap_or(number)))
            }
            (Kind::Text, Value::String(text)) => Some(Value::from(text.trim())),
            (Kind::Strategy, Value::String(text)) => {
                let text = if text.trim().is_empty() { Strategy::default().name() } else { text.trim() };
                Strategy::parse(text).map(|strategy| Value::from(strategy.name()))
            }
            _ => None,
        }
    }

    /// What is said about a value of another type.
    pub fn complaint(&self) -> &'static str {
        if self.kind == Kind::Strategy { "invalid strategy" } else { "invalid body" }
    }
}

/// The value of a scalar that is in force.
pub fn value(scalar: &Scalar, settings: &Settings) -> Value {
    (scalar.effective)(settings)
}

const fn switch(
    path: &'static str,
    key: &'static [&'static str],
    about: &'static str,
    effective: fn(&Settings) -> Value,
) -> Scalar {
    Scalar { path, key, about, is_clearable: false, kind: Kind::Switch, effective }
}

const fn number(
    path: &'static str,
    key: &'static [&'static str],
    negative: Option<i64>,
    about: &'static str,
    effective: fn(&Settings) -> Value,
) -> Scalar {
    Scalar { path, key, about, is_clearable: false, kind: Kind::Number { negative }, effective }
}

/// Choice among credentials.
pub const STRATEGY: Scalar = Scalar {
    path: "/routing/strategy",
    key: &["routing", "strategy"],
    about: "How a credential is chosen: `round-robin`, `fill-first`, `weighted-round-robin`",
    is_clearable: false,
    kind: Kind::Strategy,
    effective: |settings| settings.routing.strategy.name().into(),
};

/// Every value with a route of its own.
pub const SCALARS: &[Scalar] = &[
    switch("/debug", &["debug"], "Debug lines in the log", |settings| settings.logging.debug.into()),
    switch("/logging-to-file", &["logging-to-file"], "Log to rotating files", |settings| {
        settings.logging.to_file.into()
    }),
    number(
        "/logs-max-total-size-mb",
        &["logs-max-total-size-mb"],
        Some(0),
        "Largest size of all log files in MB; 0 is no limit",
        |settings| (settings.logging.total_bytes.unwrap_or_default() >> 20).into(),
    ),
    number(
        "/error-logs-max-files",
        &["error-logs-max-files"],
        Some(10),
        "How many error logs are kept; 0 keeps all",
        |settings| settings.logging.error_files.into(),
    ),
    switch("/usage-statistics-enabled", &["usage-statistics-enabled"], "Collect usage", |settings| {
        settings.usage.is_collected.into()
    }),
    switch("/request-log", &["request-log"], "Record every request in full", |settings| {
        settings.logging.requests.into()
    }),
    switch("/ws-auth", &["ws-auth"], "Client keys also on the relay socket", |settings| {
        settings.access.ws_auth.into()
    }),
    number("/request-retry", &["request-retry"], None, "Further rounds over all credentials", |settings| {
        settings.retry.rounds.into()
    }),
    number(
        "/max-retry-interval",
        &["max-retry-interval"],
        None,
        "Longest cooldown that is waited for, in seconds",
        |settings| settings.retry.longest_wait.as_secs().into(),
    ),
    number(
        "/max-retry-credentials",
        &["max-retry-credentials"],
        None,
        "Most credentials tried per round; 0 tries all",
        |settings| settings.retry.credentials_per_round.map_or(0, std::num::NonZeroU32::get).into(),
    ),
    switch(
        "/force-model-prefix",
        &["force-model-prefix"],
        "Prefixed credentials answer to prefixed names only",
        |settings| settings.routing.force_model_prefix.into(),
    ),
    Scalar {
        path: "/proxy-url",
        key: &["proxy-url"],
        about: "Outbound proxy of everything that has none of its own",
        is_clearable: true,
        kind: Kind::Text,
        effective: |_| Value::from(""),
    },
    switch(
        "/quota-exceeded/switch-project",
        &["quota-exceeded", "switch-project"],
        "Go on with another project of the account when a quota is used up",
        |settings| settings.routing.switch_project.into(),
    ),
    switch(
        "/quota-exceeded/switch-preview-model",
        &["quota-exceeded", "switch-preview-model"],
        "Go on with the preview name of the model when a quota is used up",
        |settings| settings.routing.switch_preview_model.into(),
    ),
    STRATEGY,
];

/// Keys that are not shown: where the gateway listens and how it is managed is not for panels to change.
const HIDDEN: [&str; 4] = ["host", "port", "remote-management", "auth-dir"];

/// Lists that are always there, and never `null`: panels go through them.
const LISTS: [&str; 6] = [
    "api-keys",
    "gemini-api-key",
    "claude-api-key",
    "codex-api-key",
    "vertex-api-key",
    "openai-compatibility",
];

/// The whole configuration.
pub fn whole(document: &Document, settings: &Settings) -> Value {
    let mut root: Map<String, Value> = document.root().clone();
    for hidden in HIDDEN {
        root.shift_remove(hidden);
    }
    for scalar in SCALARS {
        let shown = document.get(scalar.key).and_then(|written| scalar.canonical(written));
        let shown = shown.unwrap_or_else(|| value(scalar, settings));
        place(&mut root, scalar.key, shown);
    }
    for list in LISTS {
        let is_list = root.get(list).is_some_and(Value::is_array);
        if !is_list {
            root.insert(list.to_owned(), json!([]));
        }
    }
    if let Some(keys) = root.get_mut("api-keys") {
        *keys = texts(keys).into();
    }
    if !root.get("ampcode").is_some_and(Value::is_object) {
        root.insert("ampcode".to_owned(), json!({}));
    }
    Value::Object(root)
}

/// The items of a list as texts; a number that stands for a text is one.
pub fn texts(list: &Value) -> Vec<Value> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| match item {
            Value::String(text) => Some(Value::from(text.trim())),
            Value::Number(number) => Some(Value::from(number.to_string())),
            _ => None,
        })
        .collect()
}

fn place(root: &mut Map<String, Value>, key: &[&str], value: Value) {
    match key {
        [] => {}
        [name] => drop(root.insert((*name).to_owned(), value)),
        [name, rest @ ..] => {
            let inner = root.entry(*name).or_insert(Value::Null);
            if !inner.is_object() {
                *inner = json!({});
            }
            if let Value::Object(inner) = inner {
                place(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use crate::env::Fixed;

    #[test]
    fn everything_is_shown_but_where_it_listens_and_how_it_is_managed() {
        let text = "host: x\nport: 1\nauth-dir: /tmp\nremote-management: {secret-key: s}\ndebug: yes\nnew-key: [1]\napi-keys: [12345, abc]\nrouting: {strategy: ff}\n";
        let env = Fixed::new([("HOME", "/nowhere")]);
        let settings = Settings::load_text(text, &Source::default(), &env).unwrap().settings;
        let shown = whole(&Document::parse(text).unwrap(), &settings);
        for hidden in HIDDEN {
            assert!(shown.get(hidden).is_none(), "{hidden}");
        }
        assert_eq!(shown["debug"], json!(true));
        assert_eq!(shown["new-key"], json!([1]));
        assert_eq!(shown["api-keys"], json!(["12345", "abc"]));
        assert_eq!(shown["gemini-api-key"], json!([]));
        assert_eq!(shown["routing"]["strategy"], json!("fill-first"));
        assert_eq!(shown["quota-exceeded"], json!({"switch-project": true, "switch-preview-model": true}));
    }

    #[test]
    fn values_of_another_type_are_not_taken() {
        let of = |path: &str| SCALARS.iter().find(|scalar| scalar.path == path).unwrap();
        assert_eq!(of("/debug").canonical(&json!(1)), None);
        assert_eq!(of("/request-retry").canonical(&json!("3")), None);
        assert_eq!(of("/request-retry").canonical(&json!(3.0)), Some(json!(3)));
        assert_eq!(of("/error-logs-max-files").canonical(&json!(-1)), Some(json!(10)));
        assert_eq!(of("/logs-max-total-size-mb").canonical(&json!(-1)), Some(json!(0)));
        assert_eq!(STRATEGY.canonical(&json!("RR")), Some(json!("round-robin")));
        assert_eq!(STRATEGY.canonical(&json!("x")), None);
    }
}
