//! Upstream keys of the configuration, validated.
//!
//! An entry that cannot be used is left out with a warning and stays in the file; a value that
//! would change who is asked or what is paid (address, proxy, weight) is a problem instead.

use std::num::NonZeroU32;

use http::{HeaderName, HeaderValue};

use super::base_url::BaseUrl;
use super::error_rule::{ErrorRule, error_rules};
use super::model::{Model, compatible_models, excluded, models};
use super::proxy;
use super::value::{clamp, is_on, is_placeholder, text};
use crate::config::diagnostic::{Code, Origin, Report};
use crate::config::file::{self, List, Map, Placed};
use crate::pattern::Pattern;
use crate::proxy::Proxy;
use crate::secret::Secret;

/// Largest weight of a credential.
pub const LARGEST_WEIGHT: i64 = 1_000_000;

/// All upstream keys, by list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// `gemini-api-key`.
    pub gemini: Vec<KeyEntry>,
    /// `interactions-api-key`.
    pub interactions: Vec<KeyEntry>,
    /// `claude-api-key`.
    pub claude: Vec<KeyEntry>,
    /// `codex-api-key`.
    pub codex: Vec<KeyEntry>,
    /// `xai-api-key`.
    pub xai: Vec<KeyEntry>,
    /// `vertex-api-key`.
    pub vertex: Vec<KeyEntry>,
    /// `openai-compatibility`.
    pub compatible: Vec<Compatible>,
}

/// What all kinds of entries have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the entry was written.
    pub origin: Origin,
    /// Root of the upstream's addresses.
    pub base_url: BaseUrl,
    /// Higher is chosen first.
    pub priority: i64,
    /// Model prefix.
    pub prefix: Option<String>,
    /// Headers added to requests.
    pub headers: Vec<Header>,
    /// The models that are offered; empty for the built-in catalogue.
    pub models: Vec<Model>,
    /// Models withheld.
    pub excluded_models: Vec<Pattern>,
    /// Overrides the global switch.
    pub disable_cooling: Option<bool>,
    /// Overrides the global number of rounds.
    pub retry_rounds: Option<u32>,
    /// Error classification.
    pub error_rules: Vec<ErrorRule>,
}

/// One API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// The key.
    pub key: Secret,
    /// Outbound proxy.
    pub proxy: Proxy,
    /// Share under the weighted strategy; absent when excluded from it.
    pub weight: Option<NonZeroU32>,
    /// Use the upstream's WebSocket interface.
    pub websockets: bool,
    /// Serve the search interface.
    pub alpha_search: bool,
    /// Move system messages to the top.
    pub rebuild_mid_system_message: bool,
    /// The rest.
    pub common: Entry,
}

/// One OpenAI-compatible upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compatible {
    /// Name of the provider, as written.
    pub name: String,
    /// Switched off.
    pub is_disabled: bool,
    /// The keys; one without text when none is configured.
    pub keys: Vec<CompatibleKey>,
    /// Send a prompt cache key.
    pub support_prompt_cache_key: bool,
    /// The rest.
    pub common: Entry,
}

impl Compatible {
    /// The name under which routing knows the provider.
    pub fn provider(&self) -> String {
        self.name.to_lowercase()
    }
}

/// One key of an OpenAI-compatible upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompatibleKey {
    /// Where it was written.
    pub origin: Origin,
    /// The key; absent for servers that ask for none.
    pub key: Option<Secret>,
    /// Outbound proxy.
    pub proxy: Proxy,
    /// Share under the weighted strategy; absent when excluded from it.
    pub weight: Option<NonZeroU32>,
}

/// A header added to upstream requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderSource,
}

/// Where the value of a header comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderSource {
    /// The file; marked sensitive.
    Fixed(HeaderValue),
    /// This header of the client's request; left out when the client sent none.
    Client(HeaderName),
}

/// What differs between the lists of keys.
#[derive(Clone, Copy)]
struct Kind {
    base_url: &'static str,
    /// The same key, address, proxy, prefix and headers again is one entry.
    drops_equal: bool,
    /// The same key and address again is one entry.
    drops_same_key: bool,
    /// A model needs both names.
    needs_alias: bool,
}

const PLAIN: Kind = Kind { base_url: "", drops_equal: false, drops_same_key: false, needs_alias: false };
const GEMINI: Kind =
    Kind { base_url: "https://generativelanguage.googleapis.com", drops_equal: true, ..PLAIN };
const CLAUDE: Kind = Kind { base_url: "https://api.anthropic.com", ..PLAIN };
const CODEX: Kind = Kind { base_url: "https://api.openai.com/v1", ..PLAIN };
const XAI: Kind = Kind { base_url: "https://api.x.ai/v1", ..PLAIN };
const VERTEX: Kind =
    Kind { base_url: "https://aiplatform.googleapis.com", drops_same_key: true, needs_alias: true, ..PLAIN };

pub(super) fn keys(config: &file::Config, report: &mut Report) -> Keys {
    Keys {
        gemini: key_list(config.gemini_api_key.as_ref(), GEMINI, report),
        interactions: key_list(config.interactions_api_key.as_ref(), GEMINI, report),
        claude: key_list(config.claude_api_key.as_ref(), CLAUDE, report),
        codex: key_list(config.codex_api_key.as_ref(), CODEX, report),
        xai: key_list(config.xai_api_key.as_ref(), XAI, report),
        vertex: key_list(config.vertex_api_key.as_ref(), VERTEX, report),
        compatible: compatible_list(config.openai_compatibility.as_ref(), report),
    }
}

fn key_list(list: Option<&Placed<List<file::KeyEntry>>>, kind: Kind, report: &mut Report) -> Vec<KeyEntry> {
    let mut entries: Vec<KeyEntry> = Vec::new();
    for written in list.into_iter().flat_map(|list| &list.value) {
        let Some(entry) = key_entry(written, kind, report) else {
            continue;
        };
        let is_repeated = entries.iter().any(|other| {
            let is_same_key = other.key == entry.key && other.common.base_url == entry.common.base_url;
            let is_equal = is_same_key
                && other.proxy == entry.proxy
                && other.common.prefix == entry.common.prefix
                && other.common.headers == entry.common.headers;
            (kind.drops_same_key && is_same_key) || (kind.drops_equal && is_equal)
        });
        if is_repeated {
            report.warning(&written.origin, Code::EntryRepeated);
        } else {
            entries.push(entry);
        }
    }
    entries
}

fn key_entry(entry: &Placed<file::KeyEntry>, kind: Kind, report: &mut Report) -> Option<KeyEntry> {
    let key = secret(entry.api_key.as_ref(), report);
    let base_url = base_url(entry.base_url.as_ref(), report);
    let common = Entry {
        origin: entry.origin.clone(),
        base_url: base_url.unwrap_or_else(|| BaseUrl::known(kind.base_url)),
        priority: entry.priority.as_ref().map_or(0, |member| member.value),
        prefix: prefix(entry.prefix.as_ref(), report),
        headers: headers(entry.headers.as_ref(), report),
        models: models(entry.models.as_ref(), kind.needs_alias, report),
        excluded_models: excluded(entry.excluded_models.as_ref()),
        disable_cooling: entry.disable_cooling.as_ref().map(|member| member.value),
        retry_rounds: rounds(entry.request_retry.as_ref()),
        error_rules: error_rules(entry.request_scoped_errors.as_ref(), report),
    };
    let proxy = proxy::validate(entry.proxy_url.as_ref(), report);
    let weight = weight(entry.weight.as_ref(), report);
    let Some(key) = key else {
        report.warning(&entry.origin, Code::EntryWithoutKey.with("key", "api-key"));
        return None;
    };
    Some(KeyEntry {
        key,
        proxy,
        weight,
        websockets: is_on(entry.websockets.as_ref()),
        alpha_search: is_on(entry.alpha_search.as_ref()),
        rebuild_mid_system_message: is_on(entry.rebuild_mid_system_message.as_ref()),
        common,
    })
}

fn compatible_list(
    list: Option<&Placed<List<file::CompatibleEntry>>>,
    report: &mut Report,
) -> Vec<Compatible> {
    let mut entries: Vec<Compatible> = Vec::new();
    for written in list.into_iter().flat_map(|list| &list.value) {
        entries.extend(compatible(written, report));
    }
    entries
}

fn compatible(entry: &Placed<file::CompatibleEntry>, report: &mut Report) -> Option<Compatible> {
    let has_address = entry.base_url.as_ref().is_some_and(|url| !url.expose().trim().is_empty());
    if !has_address {
        report.warning(&entry.origin, Code::EntryWithoutBaseUrl);
    }
    let base_url = base_url(entry.base_url.as_ref(), report);
    let shared_proxy = proxy::validate(entry.proxy_url.as_ref(), report);
    let name = text(entry.name.as_ref()).unwrap_or("openai-compatibility").to_owned();
    let is_built_in = matches!(
        name.to_lowercase().as_str(),
        "gemini" | "gemini-cli" | "claude" | "codex" | "vertex" | "aistudio" | "antigravity" | "xai" | "kimi"
    );
    if is_built_in {
        let origin = entry.name.as_ref().map_or(&entry.origin, |name| &name.origin);
        report.warning(origin, Code::BuiltInName);
    }
    let mut keys = Vec::new();
    for written in entry.api_key_entries.iter().flat_map(|list| &list.value) {
        keys.push(CompatibleKey {
            origin: written.origin.clone(),
            key: secret(written.api_key.as_ref(), report),
            proxy: proxy::validate(written.proxy_url.as_ref(), report).or(&shared_proxy),
            weight: weight(written.weight.as_ref(), report),
        });
    }
    if keys.is_empty() {
        keys.push(CompatibleKey {
            origin: entry.origin.clone(),
            key: None,
            proxy: shared_proxy,
            weight: NonZeroU32::new(1),
        });
    }
    let models = compatible_models(entry.models.as_ref(), report);
    let is_disabled = is_on(entry.disabled.as_ref());
    if models.is_empty() && has_address && !is_disabled {
        report.warning(&entry.origin, Code::EntryWithoutModels);
    }
    let prefix = prefix(entry.prefix.as_ref(), report);
    let headers = headers(entry.headers.as_ref(), report);
    let error_rules = error_rules(entry.request_scoped_errors.as_ref(), report);
    Some(Compatible {
        name,
        is_disabled,
        keys,
        support_prompt_cache_key: is_on(entry.support_prompt_cache_key.as_ref()),
        common: Entry {
            origin: entry.origin.clone(),
            base_url: base_url?,
            priority: entry.priority.as_ref().map_or(0, |member| member.value),
            prefix,
            headers,
            models,
            excluded_models: excluded(entry.excluded_models.as_ref()),
            disable_cooling: entry.disable_cooling.as_ref().map(|member| member.value),
            retry_rounds: rounds(entry.request_retry.as_ref()),
            error_rules,
        },
    })
}

fn secret(member: Option<&Placed<Secret>>, report: &mut Report) -> Option<Secret> {
    let member = member?;
    let key = member.expose().trim();
    if key.is_empty() {
        return None;
    }
    if is_placeholder(key) {
        report.problem(&member.origin, Code::TemplateKey);
    } else if HeaderValue::from_str(key).is_err() {
        report.problem(&member.origin, Code::KeyCharacters);
    }
    Some(Secret::new(key))
}

fn base_url(member: Option<&Placed<Secret>>, report: &mut Report) -> Option<BaseUrl> {
    let member = member?;
    let text = member.expose().trim();
    if text.is_empty() { None } else { BaseUrl::validate(text, &member.origin, report) }
}

fn weight(member: Option<&Placed<i64>>, report: &mut Report) -> Option<NonZeroU32> {
    let Some(member) = member else {
        return NonZeroU32::new(1);
    };
    if member.value > LARGEST_WEIGHT {
        report.problem(&member.origin, Code::WeightRange.with("most", LARGEST_WEIGHT));
    }
    NonZeroU32::new(clamp(member.value))
}

fn rounds(member: Option<&Placed<i64>>) -> Option<u32> {
    member.filter(|member| member.value >= 0).map(|member| clamp(member.value))
}

fn prefix(member: Option<&Placed<String>>, report: &mut Report) -> Option<String> {
    let member = member?;
    let prefix = member.trim_matches(|character: char| character == '/' || character.is_whitespace());
    if prefix.contains('/') {
        report.warning(&member.origin, Code::PrefixWithSlash);
        return None;
    }
    (!prefix.is_empty()).then(|| prefix.to_owned())
}

fn headers(map: Option<&Placed<Map<Secret>>>, report: &mut Report) -> Vec<Header> {
    let mut headers = Vec::new();
    for (name, value) in map.into_iter().flat_map(|map| &map.value) {
        let (name, text) = (name.trim(), value.expose().trim());
        if name.is_empty() || text.is_empty() {
            continue;
        }
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            report.problem_at(value.origin.key, &value.origin.path, Code::HeaderName);
            continue;
        };
        let source = if let Some(client) = text.strip_prefix('$') {
            HeaderName::from_bytes(client.trim().as_bytes()).ok().map(HeaderSource::Client)
        } else {
            HeaderValue::from_str(text).ok().map(|mut fixed| {
                fixed.set_sensitive(true);
                HeaderSource::Fixed(fixed)
            })
        };
        let Some(source) = source else {
            let code = if text.starts_with('$') { Code::ClientHeader } else { Code::HeaderValue };
            report.problem(&value.origin, code);
            continue;
        };
        headers.push(Header { name, value: source });
    }
    headers
}
