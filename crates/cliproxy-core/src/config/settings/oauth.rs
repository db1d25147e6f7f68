//! Credential files: where their logins happen, and rules on their models, by provider or channel.

use std::collections::BTreeMap;

use super::endpoint::{Endpoint, endpoints};
use super::error_rule::{ErrorRule, error_rules};
use super::model::excluded;
use super::value::{is_on, text};
use crate::config::diagnostic::{Code, Report};
use crate::config::file::{self, List, Placed};
use crate::oauth::Identity;
use crate::pattern::Pattern;

/// Rules for credential files. Keys of the maps are lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Oauth {
    /// Where logins and renewals go, by provider.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Models withheld, by provider.
    pub excluded_models: BTreeMap<String, Vec<Pattern>>,
    /// Models renamed, by channel.
    pub aliases: BTreeMap<String, Vec<Alias>>,
    /// Error classification, by channel.
    pub error_rules: BTreeMap<String, Vec<ErrorRule>>,
}

/// One renaming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Name at the upstream.
    pub name: String,
    /// Name for clients.
    pub alias: String,
    /// The original name stays too.
    pub keeps_name: bool,
    /// Name for people.
    pub display_name: Option<String>,
    /// Write the alias into answers.
    pub force_mapping: bool,
}

impl Oauth {
    /// The identity of a provider with what the configuration says.
    pub fn identity(&self, provider: &str, identity: Identity) -> Identity {
        match self.endpoints.get(provider) {
            Some(endpoint) => endpoint.applied(identity),
            None => identity,
        }
    }
}

pub(super) fn oauth(config: &file::Config, report: &mut Report) -> Oauth {
    let mut oauth = Oauth { endpoints: endpoints(config, report), ..Oauth::default() };
    for (provider, list) in config.oauth_excluded_models.iter().flat_map(|map| &map.value) {
        let patterns = excluded(Some(list));
        if !patterns.is_empty() {
            oauth.excluded_models.entry(channel(provider)).or_default().extend(patterns);
        }
    }
    for (name, list) in config.oauth_model_alias.iter().flat_map(|map| &map.value) {
        let aliases = oauth.aliases.entry(channel(name)).or_default();
        add_aliases(aliases, list, report);
    }
    oauth.aliases.retain(|_, aliases| !aliases.is_empty());
    for (name, list) in config.oauth_request_scoped_errors.iter().flat_map(|map| &map.value) {
        let rules = error_rules(Some(list), report);
        if !rules.is_empty() {
            oauth.error_rules.entry(channel(name)).or_default().extend(rules);
        }
    }
    oauth
}

fn channel(name: &str) -> String {
    name.trim().to_lowercase()
}

fn add_aliases(aliases: &mut Vec<Alias>, list: &Placed<List<file::ModelAlias>>, report: &mut Report) {
    for entry in &list.value {
        let (Some(name), Some(alias)) = (text(entry.name.as_ref()), text(entry.alias.as_ref())) else {
            report.warning(&entry.origin, Code::AliasIncomplete);
            continue;
        };
        if name.eq_ignore_ascii_case(alias) {
            report.warning(&entry.origin, Code::AliasOfItself);
            continue;
        }
        if aliases.iter().any(|known| known.alias.eq_ignore_ascii_case(alias)) {
            report.warning(&entry.origin, Code::AliasTaken);
            continue;
        }
        aliases.push(Alias {
            name: name.to_owned(),
            alias: alias.to_owned(),
            keeps_name: is_on(entry.fork.as_ref()),
            display_name: text(entry.display_name.as_ref()).map(str::to_owned),
            force_mapping: is_on(entry.force_mapping.as_ref()),
        });
    }
}
