//! From auth files to credentials: what a key entry configures by hand, an auth file says of itself.

use std::sync::Arc;

use cliproxy_wire::catalog;
use cliproxy_wire::catalog::Caps;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::{Assembly, Offered};
use crate::config::settings::Alias;
use crate::credential::{Account, Credential, CredentialId, Header, Kind, Record};
use crate::pattern::Pattern;
use crate::provider;
use crate::proxy::Proxy;
use crate::route::Listed;

impl Assembly<'_> {
    /// Adds an account with its models. Disabled accounts and those of unknown providers offer nothing.
    pub(super) fn account(&mut self, account: &Arc<Account>) {
        let record = account.record();
        let name = record.provider();
        let Some(kind) = Kind::of_account(name) else {
            tracing::warn!(file = %account.id(), "accounts of the provider `{name}` are not known; the file is left alone");
            return;
        };
        if record.is_disabled() {
            return;
        }
        let provider = provider::of(kind);
        let identity = self.settings.oauth.identity(name, provider::identity(name).unwrap_or_default());
        let Some(adopted) = provider.adopt(&record, &identity) else {
            if provider.is_incomplete(&record) {
                tracing::info!(file = %account.id(), "the account is set up first, with its next renewal");
                return;
            }
            tracing::warn!(file = %account.id(), "the file does not say what requests need (a project, a usable location), so its account offers nothing");
            return;
        };
        let models = self.models(Some(&record), adopted.channel, &adopted.withheld);
        let projects: Vec<Option<&Arc<str>>> = match adopted.projects.as_slice() {
            [] => vec![None],
            projects => projects.iter().map(Some).collect(),
        };
        let is_split = projects.len() > 1;
        let (profile, native) = (Arc::new(adopted.profile), adopted.native.map(Arc::new));
        let of_models = adopted.of_models.into_iter().map(|(names, profile)| (names, Arc::new(profile)));
        let of_models: Arc<[_]> = of_models.collect();
        for project in projects {
            let id = match project {
                Some(project) if is_split => CredentialId::new(format!("{}::{project}", account.id())),
                _ => account.id().clone(),
            };
            let credential = Arc::new(Credential {
                // Encrypted reasoning belongs to the account, whichever token or project is used.
                scope: cliproxy_wire::id::hex("", 16, &["scope", name, account.id().as_str()]).into(),
                id,
                kind,
                provider: adopted.channel.into(),
                key: None,
                account: Some(Arc::clone(account)),
                project: project.cloned(),
                base_url: Arc::clone(&adopted.base_url),
                other_base_url: adopted.other_base_url.clone(),
                proxy: account_proxy(&record, account.id()).or(&self.settings.proxy),
                headers: headers(&record),
                prefix: prefix(&record),
                priority: record.number(&["priority"]).unwrap_or(0),
                weight: weight(&record),
                concurrency: self.settings.routing.concurrency.map(std::num::NonZeroU32::get),
                never_rests: record.flag(&["disable_cooling", "disable-cooling"]).unwrap_or(false),
                request_retry: record
                    .number(&["request_retry", "request-retry"])
                    .and_then(|rounds| u32::try_from(rounds).ok()),
                profile: Arc::clone(&profile),
                native: native.clone(),
                of_models: Arc::clone(&of_models),
                websockets: record.flag(&["websockets"]).unwrap_or(false),
            });
            if let Some(rules) = self.settings.oauth.error_rules.get(adopted.channel) {
                self.error_rules.insert(credential.id.clone(), rules.clone());
            }
            self.builder.add(&credential, models.clone(), self.settings.routing.force_model_prefix);
        }
    }

    /// The catalog's models for a channel, without the withheld ones and under the names that the file and the
    /// configuration give them.
    pub(super) fn models(
        &mut self,
        record: Option<&Record>,
        channel: &'static str,
        withheld: &[&str],
    ) -> Vec<Offered> {
        let catalog = self.catalog(channel);
        let rules = &self.settings.oauth;
        let own = record.map(patterns).unwrap_or_default();
        let excluded = rules.excluded_models.get(channel).map_or(&[][..], Vec::as_slice);
        let is_excluded = |id: &str| {
            own.iter().chain(excluded).any(|pattern| pattern.matches(id)) || withheld.contains(&id)
        };
        let own_aliases = record.map(aliases).unwrap_or_default();
        let aliases = rules.aliases.get(channel).map_or(&[][..], Vec::as_slice);
        let mut offered = Vec::new();
        for (listed, upstream, caps, forces_name) in catalog.iter() {
            if is_excluded(upstream) {
                continue;
            }
            let named: Vec<&Alias> = own_aliases
                .iter()
                .chain(aliases)
                .filter(|alias| alias.name.eq_ignore_ascii_case(upstream))
                .collect();
            for alias in &named {
                offered.push(renamed(listed, upstream, caps, alias));
            }
            if named.is_empty() || named.iter().any(|alias| alias.keeps_name) {
                offered.push((listed.clone(), Arc::clone(upstream), Arc::clone(caps), *forces_name));
            }
        }
        // Names that the catalog does not know yet are taken at their word.
        for alias in own_aliases.iter().chain(aliases) {
            let is_known =
                offered.iter().any(|(_, upstream, _, _)| alias.name.eq_ignore_ascii_case(upstream));
            if !is_known && !is_excluded(&alias.name) {
                let upstream: Arc<str> = alias.name.as_str().into();
                let caps = Arc::new(catalog::caps(&alias.name));
                let listed = Listed {
                    id: Arc::clone(&upstream),
                    owned_by: channel.into(),
                    created: None,
                    display_name: None,
                    input_limit: caps.context_window,
                    output_limit: caps.max_output,
                };
                offered.push(renamed(&listed, &upstream, &caps, alias));
            }
        }
        offered
    }
}

fn renamed(listed: &Listed, upstream: &Arc<str>, caps: &Arc<Caps>, alias: &Alias) -> Offered {
    let listed = Listed {
        id: alias.alias.as_str().into(),
        display_name: alias.display_name.as_deref().map(Into::into).or_else(|| listed.display_name.clone()),
        ..listed.clone()
    };
    (listed, Arc::clone(upstream), Arc::clone(caps), alias.force_mapping)
}

/// The way out that the file names. One that cannot be understood must not lead around the proxy that was meant.
pub(crate) fn account_proxy(record: &Record, id: &CredentialId) -> Proxy {
    let Some(text) = record.text("proxy_url").or_else(|| record.text("proxy-url")) else {
        return Proxy::Inherit;
    };
    Proxy::parse(text).unwrap_or_else(|error| {
        tracing::error!(account = %id, "`proxy_url` of the auth file cannot be used, so the account cannot reach anything: {error}");
        Proxy::unusable()
    })
}

fn headers(record: &Record) -> Vec<(HeaderName, Header)> {
    let Some(Value::Object(headers)) = record.get(&["headers"]) else { return Vec::new() };
    let each = headers.iter().filter_map(|(name, value)| {
        let (name, value) = (name.trim().parse().ok()?, value.as_str()?.trim());
        let header = match value.strip_prefix('$') {
            Some(source) => Header::FromClient(source.parse().ok()?),
            None => Header::Fixed(HeaderValue::from_str(value).ok()?),
        };
        Some((name, header))
    });
    each.collect()
}

fn prefix(record: &Record) -> Option<Arc<str>> {
    let prefix = record.text("prefix")?.trim_matches(|character| character == '/' || character == ' ');
    (!prefix.is_empty() && !prefix.contains('/')).then(|| prefix.into())
}

/// Shares: 1 when the file says nothing, 0 (none) when it says nothing positive.
fn weight(record: &Record) -> u32 {
    record.number(&["weight"]).map_or(1, |weight| u32::try_from(weight).unwrap_or(0))
}

fn patterns(record: &Record) -> Vec<Pattern> {
    let list = record.get(&["excluded_models"]).or_else(|| record.get(&["excluded-models"]));
    let names = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    names.map(str::trim).filter(|name| !name.is_empty()).map(Pattern::any_case).collect()
}

fn aliases(record: &Record) -> Vec<Alias> {
    let list = record.get(&["model_aliases"]).or_else(|| record.get(&["model-aliases"]));
    let entries = list.and_then(Value::as_array).into_iter().flatten();
    let each = entries.filter_map(|entry| {
        let text = |name: &str| {
            entry.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
        };
        let (name, alias) = (text("name")?, text("alias")?);
        (!name.eq_ignore_ascii_case(alias)).then(|| Alias {
            name: name.to_owned(),
            alias: alias.to_owned(),
            keeps_name: entry.get("fork").and_then(Value::as_bool).unwrap_or(false),
            display_name: text("display-name").map(str::to_owned),
            force_mapping: entry.get("force-mapping").and_then(Value::as_bool).unwrap_or(false),
        })
    });
    each.collect()
}
