//! Everybody who can serve, accounts and keys alike, for people who look at them; and which entry of the configuration a
//! key is from, for switching it. A key itself is never shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::Engine;
use super::errand::key_index;
use super::roster::Listing;
use super::standing::{Activity, Standing};
use crate::credential::{Credential, CredentialId, Kind, Window, auth_index};
use crate::reason::Reason;
use crate::time::rfc3339;
use crate::usage::ShortIds;

/// One account or key.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Credential")]
pub struct Member {
    /// Id of the credential, as in explanations, logs and the ledger.
    pub id: String,
    /// A stable short id.
    pub auth_index: String,
    /// `file`, `memory`, `config` or `demo`.
    pub source: &'static str,
    /// The provider.
    pub provider: String,
    /// The kind of provider.
    pub kind: &'static str,
    /// Whose it is, for people.
    pub label: String,
    /// Name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `active`, `error` or `disabled`.
    pub status: &'static str,
    /// Why it is not active, and what mends it.
    pub status_message: String,
    /// The same as a word that stays: `unauthorized`, `forbidden`, `model-missing`, `quota`, `transient` for a rest,
    /// `needs-attention`, `disabled`, `no-models`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<&'static str>,
    /// Where it needs attention: what happened, and what mends it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status_reasons: Vec<Reason>,
    /// It is not to be used.
    pub disabled: bool,
    /// Higher goes first.
    pub priority: i64,
    /// Share of the requests under weighted selection.
    pub weight: i64,
    /// A person's note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Names of models that it offers.
    pub models: usize,
    /// When it can be used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_after: Option<String>,
    /// What is left of its quotas, as far as answers told it.
    pub quotas: Vec<Window>,
    /// How it went so far.
    #[serde(flatten)]
    pub activity: Activity,
}

impl Engine {
    /// Everybody who can serve, accounts first. `now` is in Unix seconds.
    pub async fn everybody(&self, now: u64) -> Vec<Member> {
        let standings = self.standings();
        let mut list: Vec<Member> = Vec::new();
        for listing in self.roster(now).await {
            let standing = standings.get(&CredentialId::new(listing.id.as_str()));
            list.push(of_file(listing, standing.map_or(0, |standing| standing.models)));
        }
        let snapshot = self.snapshot();
        let keys = snapshot.routes.credentials().iter().filter(|credential| !credential.is_listed());
        list.extend(keys.map(|credential| self.of_key(credential, standings.get(&credential.id), now)));
        list.extend(snapshot.disabled.iter().map(|credential| self.of_key(credential, None, now)));
        list
    }

    fn of_key(&self, credential: &Credential, standing: Option<&Standing>, now: u64) -> Member {
        let block = standing.and_then(Standing::block);
        let disabled = standing.is_none_or(|standing| standing.models == 0);
        let (status, status_message) = match &block {
            _ if disabled => ("disabled", "offers no model: it is switched off, or all models are excluded"),
            Some(block) => ("error", block.why.text()),
            None => ("active", ""),
        };
        let status_code = if disabled { Some("no-models") } else { block.map(|block| block.why.word()) };
        let left = block.map(|block| block.until.saturating_duration_since(Instant::now()).as_secs());
        Member {
            id: credential.id.as_str().to_owned(),
            auth_index: index_of(credential),
            source: if credential.kind == Kind::Demo { "demo" } else { "config" },
            provider: credential.provider.to_string(),
            kind: credential.kind.name(),
            label: match &credential.key {
                Some(key) => key.masked(),
                // It has no address to be known by.
                None if credential.kind == Kind::Demo => "Demo".to_owned(),
                None => credential.base_url.to_string(),
            },
            name: None,
            status,
            status_message: status_message.to_owned(),
            status_code,
            status_reasons: Vec::new(),
            disabled,
            priority: credential.priority,
            weight: credential.weight.into(),
            note: None,
            models: standing.map_or(0, |standing| standing.models),
            next_retry_after: left.and_then(|left| rfc3339(now.saturating_add(left))),
            quotas: self.quotas(&credential.id, now),
            activity: self.activity(std::slice::from_ref(&credential.id), now),
        }
    }

    /// How many accounts and keys of each provider stand how: `active`, `resting`, `attention` or `disabled`.
    pub fn census(&self) -> BTreeMap<(String, &'static str), u64> {
        let (standings, snapshot) = (self.standings(), self.snapshot());
        let mut counts: BTreeMap<(String, &'static str), u64> = BTreeMap::new();
        let mut count = |provider: &str, state| *counts.entry((provider.to_owned(), state)).or_default() += 1;
        let rests = |id: &CredentialId| standings.get(id).and_then(Standing::block).is_some();
        for account in self.accounts().values() {
            let record = account.record();
            let state = match () {
                () if record.is_disabled() => "disabled",
                () if !account.is_well() => "attention",
                () if rests(account.id()) => "resting",
                () => "active",
            };
            count(record.provider(), state);
        }
        for key in snapshot.routes.credentials().iter().filter(|credential| credential.account.is_none()) {
            count(&key.provider, if rests(&key.id) { "resting" } else { "active" });
        }
        for key in &snapshot.disabled {
            count(&key.provider, "disabled");
        }
        counts
    }

    /// Every key of the configuration that serves, with how it went. `now` is in Unix seconds.
    pub fn keys(&self, now: u64) -> Vec<(Arc<Credential>, Activity)> {
        let snapshot = self.snapshot();
        let keys = snapshot.routes.credentials().iter().filter(|credential| credential.key.is_some());
        keys.map(|key| (Arc::clone(key), self.activity(std::slice::from_ref(&key.id), now))).collect()
    }

    /// The short ids of what records of requests name.
    pub fn short_ids(&self) -> ShortIds {
        let snapshot = self.snapshot();
        let all = snapshot.routes.credentials().iter().chain(&snapshot.disabled);
        let keys = all.filter(|credential| credential.account.is_none());
        ShortIds::new(keys.map(|key| (key.id.as_str().to_owned(), index_of(key))).collect())
    }

    /// The key of the configuration that has this short id, switched off or not.
    pub fn key_of_index(&self, index: &str) -> Option<Arc<Credential>> {
        let snapshot = self.snapshot();
        let mut all = snapshot.routes.credentials().iter().chain(&snapshot.disabled);
        all.find(|credential| credential.account.is_none() && index_of(credential) == index).cloned()
    }
}

/// The short id of a key; of a server without one, that of its address.
fn index_of(credential: &Credential) -> String {
    match &credential.key {
        Some(key) => key_index(key),
        None => auth_index(credential.id.as_str()),
    }
}

fn of_file(listing: Listing, models: usize) -> Member {
    Member {
        id: listing.id,
        auth_index: listing.auth_index,
        source: listing.source,
        kind: if listing.runtime_only {
            Kind::AiStudio.name()
        } else {
            Kind::of_account(&listing.provider).map_or("", Kind::name)
        },
        provider: listing.provider,
        label: listing.label,
        name: Some(listing.name),
        status: listing.status,
        status_message: listing.status_message,
        status_code: listing.status_code,
        status_reasons: listing.status_reasons,
        disabled: listing.disabled,
        priority: listing.priority.unwrap_or_default(),
        weight: listing.weight.unwrap_or(1),
        note: listing.note,
        models,
        next_retry_after: listing.next_retry_after,
        quotas: listing.quotas,
        activity: listing.activity,
    }
}
