//! Older keys, moved to their new places in memory.
//!
//! Files of earlier years keep working; the file itself is not touched. Each key that was moved
//! gives one warning that names its new place.

use crate::config::diagnostic::{Code, Report};
use crate::config::file::{
    Ampcode, CompatibleEntry, CompatibleKey, Config, KeyEntry, List, ModelAlias, Placed,
};

/// Names under which Antigravity models were once offered, and their names at the upstream.
const ANTIGRAVITY_NAMES: [(&str, &str); 8] = [
    ("gemini-2.5-computer-use-preview-10-2025", "rev19-uic3-1p"),
    ("gemini-3-pro-image-preview", "gemini-3-pro-image"),
    ("gemini-3-pro-preview", "gemini-3-pro-high"),
    ("gemini-3-flash-preview", "gemini-3-flash"),
    ("gemini-claude-sonnet-4-5", "claude-sonnet-4-5"),
    ("gemini-claude-sonnet-4-5-thinking", "claude-sonnet-4-5-thinking"),
    ("gemini-claude-opus-4-5-thinking", "claude-opus-4-5-thinking"),
    ("gemini-claude-opus-4-6-thinking", "claude-opus-4-6-thinking"),
];

/// Moves everything.
pub(super) fn migrate(config: &mut Config, report: &mut Report) {
    client_keys(config, report);
    gemini_keys(config, report);
    compatible_keys(config, report);
    amp(config, report);
    aliases(config, report);
}

fn moved<T>(member: &Placed<T>, new: &str, report: &mut Report) {
    report.warning_key(&member.origin, Code::OlderKey.with("new", new));
}

fn client_keys(config: &mut Config, report: &mut Report) {
    let Some(auth) = config.auth.take() else {
        return;
    };
    if config.api_keys.as_ref().is_some_and(|list| !list.value.is_empty()) {
        return;
    }
    let providers = auth.value.providers.into_iter().flat_map(|list| list.value);
    for provider in providers {
        let is_keys = provider.r#type.as_ref().is_some_and(|kind| kind.value == "config-api-key");
        let keys = provider.value.api_keys.filter(|keys| is_keys && !keys.value.is_empty());
        if let Some(keys) = keys {
            moved(&keys, "api-keys", report);
            config.api_keys = Some(keys);
            return;
        }
    }
}

fn gemini_keys(config: &mut Config, report: &mut Report) {
    let Some(legacy) = config.generative_language_api_key.take() else {
        return;
    };
    if legacy.value.is_empty() {
        return;
    }
    moved(&legacy, "gemini-api-key", report);
    let origin = legacy.origin.clone();
    let list = config.gemini_api_key.get_or_insert_with(|| Placed { origin, value: List::new() });
    for key in legacy.value {
        let is_known = list.value.iter().any(|entry| entry.api_key.as_deref() == Some(&key.value));
        if !is_known && !key.value.is_empty() {
            let origin = key.origin.clone();
            list.value.push(Placed { origin, value: KeyEntry { api_key: Some(key), ..KeyEntry::default() } });
        }
    }
}

fn compatible_keys(config: &mut Config, report: &mut Report) {
    for entry in config.openai_compatibility.iter_mut().flat_map(|list| &mut list.value) {
        let CompatibleEntry { api_keys, api_key_entries, .. } = &mut entry.value;
        let Some(legacy) = api_keys.take().filter(|keys| !keys.value.is_empty()) else {
            continue;
        };
        moved(&legacy, "api-key-entries", report);
        let origin = legacy.origin.clone();
        let list = api_key_entries.get_or_insert_with(|| Placed { origin, value: List::new() });
        for key in legacy.value {
            let is_known = list.value.iter().any(|entry| entry.api_key.as_deref() == Some(&key.value));
            if !is_known && !key.value.is_empty() {
                let origin = key.origin.clone();
                let value = CompatibleKey { api_key: Some(key), ..CompatibleKey::default() };
                list.value.push(Placed { origin, value });
            }
        }
    }
}

fn amp(config: &mut Config, report: &mut Report) {
    let url = config.amp_upstream_url.take();
    let key = config.amp_upstream_api_key.take();
    let localhost = config.amp_restrict_management_to_localhost.take();
    let mappings = config.amp_model_mappings.take();
    let origins = [
        url.as_ref().map(|member| &member.origin),
        key.as_ref().map(|member| &member.origin),
        localhost.as_ref().map(|member| &member.origin),
        mappings.as_ref().map(|member| &member.origin),
    ];
    let Some(origin) = origins.into_iter().flatten().next().cloned() else {
        return;
    };
    let section = config.ampcode.get_or_insert_with(|| Placed { origin, value: Ampcode::default() });
    let section = &mut section.value;
    if let Some(url) = url {
        moved(&url, "ampcode.upstream-url", report);
        if section.upstream_url.as_ref().is_none_or(|new| new.trim().is_empty()) {
            section.upstream_url = Some(url);
        }
    }
    if let Some(key) = key {
        moved(&key, "ampcode.upstream-api-key", report);
        if section.upstream_api_key.as_ref().is_none_or(|new| new.is_empty()) {
            section.upstream_api_key = Some(key);
        }
    }
    if let Some(localhost) = localhost {
        moved(&localhost, "ampcode.restrict-management-to-localhost", report);
        section.restrict_management_to_localhost = Some(localhost);
    }
    if let Some(mappings) = mappings {
        moved(&mappings, "ampcode.model-mappings", report);
        if section.model_mappings.as_ref().is_none_or(|new| new.value.is_empty()) {
            section.model_mappings = Some(mappings);
        }
    }
}

fn aliases(config: &mut Config, report: &mut Report) {
    let Some(mut legacy) = config.oauth_model_mappings.take() else {
        return;
    };
    moved(&legacy, "oauth-model-alias", report);
    if config.oauth_model_alias.is_some() {
        return;
    }
    for (channel, list) in &mut legacy.value {
        if channel.trim().eq_ignore_ascii_case("antigravity") {
            list.value.retain_mut(|entry| convert(&mut entry.value));
        }
    }
    config.oauth_model_alias = Some(legacy);
}

/// Replaces an old Antigravity name; says whether the entry still means something.
fn convert(entry: &mut ModelAlias) -> bool {
    let Some(name) = &mut entry.name else {
        return true;
    };
    let old = name.value.trim();
    if let Some((_, new)) = ANTIGRAVITY_NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(old)) {
        (*new).clone_into(&mut name.value);
    }
    entry.alias.as_ref().is_none_or(|alias| !alias.trim().eq_ignore_ascii_case(&name.value))
}
