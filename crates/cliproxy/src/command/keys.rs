//! `keys`: the client keys and the upstream keys of the configuration, by their last characters.

use std::process::ExitCode;

use clap::Args;
use cliproxy_core::Engine;
use cliproxy_core::access::Caller;
use cliproxy_core::access::meter::Standing;
use cliproxy_core::config::Source;
use cliproxy_core::config::settings::{BaseUrl, Entry, Settings};
use cliproxy_core::credential::{Credential, SavedRest};
use cliproxy_core::pattern::Pattern;
use cliproxy_core::proxy::Proxy;
use cliproxy_core::secret::Secret;
use cliproxy_core::usage::Ledger;
use cliproxy_server::clock;
use serde::Serialize;
use serde_json::json;

use super::show::{self, print, print_json};
use super::table::{Side, Table};

/// What `keys` is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeysArguments {
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// A key that clients show.
#[derive(Debug, Serialize)]
struct ClientKey {
    key: String,
    /// The name in logs and in the ledger.
    client: Option<String>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// When it opens nothing any more, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    /// The models that it may use; empty for all.
    models: Vec<String>,
    /// Who may serve it, by id or provider; empty for all.
    credentials: Vec<String>,
    /// Its limits, and what it has used of them.
    windows: Vec<Standing>,
}

/// A key that upstreams are shown.
#[derive(Debug, Serialize)]
struct Upstream {
    /// The list of the configuration.
    list: &'static str,
    /// Name of an OpenAI-compatible upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Absent for servers that ask for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Id of the credential, as in explanations, logs and the ledger; absent when it serves nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    base_url: String,
    /// Switched off in the configuration.
    disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    priority: i64,
    /// 0 is never chosen by weight.
    weight: u32,
    /// As this entry or the global setting says.
    proxy: String,
    /// Empty for all that the built-in catalog knows of the provider.
    models: Vec<Model>,
    excluded_models: Vec<String>,
    /// Names of headers that are added.
    headers: Vec<String>,
    rests: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Model {
    name: String,
    alias: String,
}

pub(super) fn run(arguments: &KeysArguments, source: &Source) -> anyhow::Result<ExitCode> {
    let settings = super::settings(source)?;
    let runtime = super::runtime()?;
    let (engine, now) = (runtime.block_on(super::looking(settings.clone(), false))?, clock::now());
    // A ledger that nobody has begun is not begun by looking.
    let ledger = super::usage::ledger(&settings).filter(Ledger::is_there);
    runtime.block_on(super::usage::take_over_limits(&engine, ledger));
    let callers: Vec<ClientKey> =
        engine.snapshot().access.callers().map(|(key, caller)| client(&engine, key, caller, now)).collect();
    let upstreams = upstreams(&settings, &engine, now);
    if arguments.json {
        print_json(&json!({"clients": callers, "upstreams": upstreams}));
    } else {
        print(&text(&callers, &upstreams, now));
    }
    Ok(ExitCode::SUCCESS)
}

fn client(engine: &Engine, key: String, caller: &Caller, now: u64) -> ClientKey {
    let allowance = caller.allowance.as_deref();
    let texts = |patterns: &[Pattern]| patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    ClientKey {
        key,
        client: caller.key.as_deref().map(str::to_owned),
        name: allowance.and_then(|allowance| allowance.label.as_deref()).map(str::to_owned),
        expires: allowance.and_then(|allowance| allowance.expires),
        models: allowance.map(|allowance| texts(&allowance.models)).unwrap_or_default(),
        credentials: allowance.map(|allowance| texts(&allowance.credentials)).unwrap_or_default(),
        windows: allowance.map(|allowance| engine.meter().standing(allowance, now)).unwrap_or_default(),
    }
}

/// What a client key may do, where that is limited.
fn limits(client: &ClientKey, now: u64) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(client.name.as_ref().map(|name| format!("name: {name}")));
    let expires = |at: u64| if at > now { "expires" } else { "expired" };
    notes.extend(client.expires.map(|at| format!("{} {}", expires(at), show::when(at, now))));
    for (what, list) in [("models", &client.models), ("credentials", &client.credentials)] {
        if !list.is_empty() {
            notes.push(format!("{what}: {}", list.join(", ")));
        }
    }
    for window in &client.windows {
        let count = |used: u64, of: Option<u64>, what: &str| of.map(|of| format!("{used} of {of} {what}"));
        let parts = [
            count(window.used.requests, window.requests, "requests"),
            count(window.used.tokens, window.tokens, "tokens"),
            window.cost.map(|cost| format!("{:.2} of {cost:.2} cost", window.used.cost)),
        ];
        let used = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let reset = show::span(window.resets_at.saturating_sub(now));
        notes.push(format!("used this {}: {used}; begins anew in {reset}", window.per));
    }
    notes
}

/// One key of an entry.
struct Part<'a> {
    list: &'static str,
    name: Option<&'a str>,
    disabled: bool,
    key: Option<&'a Secret>,
    proxy: &'a Proxy,
    weight: u32,
    common: &'a Entry,
}

fn upstreams(settings: &Settings, engine: &Engine, now: u64) -> Vec<Upstream> {
    let keys = &settings.keys;
    let lists = [
        ("gemini-api-key", &keys.gemini),
        ("interactions-api-key", &keys.interactions),
        ("claude-api-key", &keys.claude),
        ("codex-api-key", &keys.codex),
        ("xai-api-key", &keys.xai),
        ("vertex-api-key", &keys.vertex),
    ];
    let entries = lists.into_iter().flat_map(|(list, entries)| {
        entries.iter().map(move |entry| Part {
            list,
            name: None,
            disabled: false,
            key: Some(&entry.key),
            proxy: &entry.proxy,
            weight: entry.weight.map_or(0, std::num::NonZeroU32::get),
            common: &entry.common,
        })
    });
    let compatible = keys.compatible.iter().flat_map(|entry| {
        entry.keys.iter().map(move |key| Part {
            list: "openai-compatibility",
            name: Some(&entry.name),
            disabled: entry.is_disabled,
            key: key.key.as_ref(),
            proxy: &key.proxy,
            weight: key.weight.map_or(0, std::num::NonZeroU32::get),
            common: &entry.common,
        })
    });
    let rests = engine.rests(now);
    entries.chain(compatible).map(|part| upstream(&part, settings, engine, &rests, now)).collect()
}

fn upstream(
    part: &Part<'_>,
    settings: &Settings,
    engine: &Engine,
    rests: &[SavedRest],
    now: u64,
) -> Upstream {
    let common = part.common;
    let snapshot = engine.snapshot();
    let is_its = |credential: &&std::sync::Arc<Credential>| {
        credential.account.is_none()
            && credential.key.as_ref() == part.key
            && *credential.base_url == *common.base_url.as_str()
            && credential.prefix.as_deref() == common.prefix.as_deref()
    };
    let id = snapshot.routes.credentials().iter().find(is_its).map(|credential| credential.id.to_string());
    let is_resting = |rest: &&SavedRest| rest.until > now && Some(&rest.credential) == id.as_ref();
    let rest = |rest: &SavedRest| {
        let what = rest.model.as_deref().unwrap_or("every model");
        format!("{what} rests for {}: {}", show::span(rest.until.saturating_sub(now)), rest.text())
    };
    Upstream {
        list: part.list,
        name: part.name.map(str::to_owned),
        key: part.key.map(Secret::masked),
        rests: rests.iter().filter(is_resting).map(rest).collect(),
        id,
        base_url: BaseUrl::redacted(&common.base_url),
        disabled: part.disabled || common.excluded_models.iter().any(|pattern| pattern.as_str() == "*"),
        prefix: common.prefix.clone(),
        priority: common.priority,
        weight: part.weight,
        proxy: part.proxy.or(&settings.proxy).redacted(),
        models: common
            .models
            .iter()
            .map(|model| Model { name: model.name.clone(), alias: model.alias.clone() })
            .collect(),
        excluded_models: common.excluded_models.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        headers: common.headers.iter().map(|header| header.name.to_string()).collect(),
    }
}

fn text(clients: &[ClientKey], upstreams: &[Upstream], now: u64) -> String {
    let left = Side::Left;
    let mut text = String::new();
    if clients.is_empty() {
        text.push_str("no client keys: only this machine is served; see `api-keys` in config.example.yaml\n");
    } else {
        let mut table = Table::new([("client key", left), ("name in logs and usage", left)]);
        for client in clients {
            table.row([client.key.clone(), client.client.clone().unwrap_or_default()]);
            for note in limits(client, now) {
                table.note(note);
            }
        }
        text.push_str(&table.render());
    }
    text.push('\n');
    if upstreams.is_empty() {
        text.push_str("no upstream keys in the configuration\n");
        return text;
    }
    let mut table = Table::new([
        ("upstream key", left),
        ("list", left),
        ("address", left),
        ("prefix", left),
        ("state", left),
    ]);
    for upstream in upstreams {
        let list = match &upstream.name {
            Some(name) => format!("{}: {name}", upstream.list),
            None => upstream.list.to_owned(),
        };
        let state = match (upstream.disabled, upstream.rests.is_empty()) {
            (true, _) => "disabled",
            (false, true) => "active",
            (false, false) => "resting",
        };
        table.row([
            upstream.key.clone().unwrap_or_else(|| "(none)".to_owned()),
            list,
            upstream.base_url.clone(),
            upstream.prefix.clone().unwrap_or_default(),
            state.to_owned(),
        ]);
        for note in notes(upstream) {
            table.note(note);
        }
    }
    text + &table.render()
}

/// What differs from a plain key.
fn notes(upstream: &Upstream) -> Vec<String> {
    let mut notes = upstream.rests.clone();
    let models = upstream.models.iter().map(|Model { name, alias }| {
        if name == alias { name.clone() } else { format!("{alias} (sent as {name})") }
    });
    let mut list = |name: &str, texts: Vec<String>| {
        if !texts.is_empty() {
            notes.push(format!("{name}: {}", texts.join(", ")));
        }
    };
    list("models", models.collect());
    list("excluded models", upstream.excluded_models.clone());
    list("headers", upstream.headers.clone());
    if upstream.proxy != Proxy::Inherit.redacted() {
        list("proxy", vec![upstream.proxy.clone()]);
    }
    if upstream.priority != 0 {
        list("priority", vec![upstream.priority.to_string()]);
    }
    if upstream.weight != 1 {
        list("weight", vec![upstream.weight.to_string()]);
    }
    list("id", upstream.id.iter().cloned().collect());
    notes
}
