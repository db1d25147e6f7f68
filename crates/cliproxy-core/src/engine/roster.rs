//! Auth files for management interfaces: what is shown of them, and what is done to them.
//!
//! Whatever is written goes through the store, like everything else, and is taken over before this returns. Tokens leave
//! only with the whole file, to somebody who holds the management key.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::Engine;
use super::standing::{Activity, Standing};
use crate::credential::{Account, Condition, CredentialId, Kind, Record, auth_index};
use crate::oauth::claims;
use crate::provider::is_same_cookie;
use crate::reason::Reason;
use crate::route::Listed;
use crate::store::{self, Changes, Expected, Store, StoreError};
use crate::time::rfc3339;

/// An auth file as it is listed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuthFile")]
pub struct Listing {
    /// Id of the credential: the path of the file below the auth directory.
    pub id: String,
    /// A stable short id.
    pub auth_index: String,
    /// Name of the file.
    pub name: String,
    /// The provider.
    pub r#type: String,
    /// The same.
    pub provider: String,
    /// Whose it is, for people.
    pub label: String,
    /// `active`, `error` or `disabled`.
    pub status: &'static str,
    /// Why it is not active, and what mends it.
    pub status_message: String,
    /// The same as a word that stays: `unauthorized`, `forbidden`, `model-missing`, `quota`, `transient` for a rest,
    /// `needs-attention`, `disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<&'static str>,
    /// Where it needs attention: what happened, and what mends it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status_reasons: Vec<Reason>,
    /// It is not to be used.
    pub disabled: bool,
    /// It cannot be used at the moment.
    pub unavailable: bool,
    /// It has no file.
    pub runtime_only: bool,
    /// `file`, or `memory` for a connected web page.
    pub source: &'static str,
    /// Size of the file in bytes.
    pub size: u64,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Always `oauth`.
    pub account_type: &'static str,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The project of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// When the file was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modtime: Option<String>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// When the token was renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refresh: Option<String>,
    /// When it can be used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_after: Option<String>,
    /// Absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Higher goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// A person's note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Codex: what the identity token says of the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<Plan>,
    /// What is left of its quotas, as far as answers told it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<crate::credential::Window>,
    /// Share of the requests under weighted selection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// Whether the upstream is asked over websockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websockets: Option<bool>,
    /// Further rounds that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_retry: Option<i64>,
    /// How it went so far.
    #[serde(flatten)]
    pub activity: Activity,
}

/// What a ChatGPT account's identity token says.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Plan {
    /// The account, for the header of quota questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chatgpt_account_id: Option<String>,
    /// The plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_type: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chatgpt_subscription_active_start: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chatgpt_subscription_active_until: Option<String>,
}

impl Engine {
    /// The auth file that logs in to iFlow with this cookie.
    pub fn file_of_cookie(&self, cookie: &str) -> Option<String> {
        let holds = |account: &Account| {
            let held = account.record().token("cookie");
            held.is_some_and(|held| is_same_cookie(&held, cookie))
        };
        let accounts = self.accounts();
        let found =
            accounts.iter().find(|(_, account)| account.record().provider() == "iflow" && holds(account));
        found.map(|(id, _)| id.as_str().to_owned())
    }
}

impl Engine {
    /// The store of auth files; `None` for an engine without one.
    pub(crate) fn auth_store(&self) -> Option<Arc<dyn Store>> {
        self.0.vault.load().as_ref().map(|vault| Arc::clone(&vault.store))
    }

    /// Whether there are auth files to manage.
    pub fn has_auth_files(&self) -> bool {
        self.auth_store().is_some()
    }

    /// The auth files, by name. `now` is in Unix seconds.
    pub async fn roster(&self, now: u64) -> Vec<Listing> {
        let directory = self.auth_store().and_then(|store| store.directory());
        let mut list = Vec::new();
        let standings = self.standings();
        for account in self.accounts().values() {
            let path = directory.as_ref().map(|directory| directory.join(account.id().as_str()));
            let metadata = match &path {
                Some(path) => tokio::fs::metadata(path).await.ok(),
                None => None,
            };
            let written = metadata
                .as_ref()
                .and_then(|metadata| metadata.modified().ok())
                .and_then(|time| rfc3339(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()));
            let mut listing = self.listing(account, standings.get(account.id()), now);
            listing.size = metadata.map_or(0, |metadata| metadata.len());
            listing.modtime.clone_from(&written);
            listing.updated_at = written;
            listing.path = path.map(|path| path.display().to_string());
            list.push(listing);
        }
        let snapshot = self.snapshot();
        let pages = snapshot.routes.credentials().iter().filter(|credential| credential.is_page());
        list.extend(pages.map(|page| self.page_listing(&page.id, standings.get(&page.id), now)));
        list.sort_by_key(|listing| listing.name.to_lowercase());
        list
    }

    pub(super) fn listing(&self, account: &Account, standing: Option<&Standing>, now: u64) -> Listing {
        let record = account.record();
        let id = account.id().as_str().to_owned();
        let name = id.clone();
        let block = standing.and_then(Standing::block);
        let alone = std::slice::from_ref(account.id());
        let members = standing.map_or(alone, |standing| standing.members.as_slice());
        let condition = account.condition();
        let (status, status_message) = match &*condition {
            _ if record.is_disabled() => ("disabled", "disabled via management API".to_owned()),
            Condition::NeedsAttention { cause, remedy } => ("error", format!("{cause}; {remedy}")),
            Condition::Well => match &block {
                Some(block) => ("error", block.why.text().to_owned()),
                None => ("active", String::new()),
            },
        };
        let status_code = match &*condition {
            _ if record.is_disabled() => Some("disabled"),
            Condition::NeedsAttention { .. } => Some("needs-attention"),
            Condition::Well => block.map(|block| block.why.word()),
        };
        let status_reasons = match &*condition {
            Condition::NeedsAttention { cause, remedy } if !record.is_disabled() => {
                vec![cause.clone(), remedy.clone()]
            }
            _ => Vec::new(),
        };
        let left = block.map(|block| block.until.saturating_duration_since(Instant::now()).as_secs());
        let email = record.text("email").map(str::to_owned);
        Listing {
            auth_index: auth_index(&name),
            r#type: record.provider().to_owned(),
            provider: record.provider().to_owned(),
            label: record.label().unwrap_or_else(|| record.provider()).to_owned(),
            status,
            status_message,
            status_code,
            status_reasons,
            disabled: record.is_disabled(),
            unavailable: status == "error",
            runtime_only: false,
            source: "file",
            size: 0,
            account: email.clone(),
            email,
            account_type: "oauth",
            project_id: record.text("project_id").map(str::to_owned),
            modtime: None,
            updated_at: None,
            last_refresh: record.renewed_at().and_then(rfc3339),
            next_retry_after: left.and_then(|left| rfc3339(now.saturating_add(left))),
            path: None,
            priority: record.number(&["priority"]),
            note: record.text("note").map(str::to_owned),
            id_token: plan(&record),
            quotas: members.iter().flat_map(|id| self.quotas(id, now)).collect(),
            weight: record.number(&["weight"]),
            websockets: record.flag(&["websockets"]),
            request_retry: record.number(&["request_retry", "request-retry"]),
            activity: self.activity(members, now),
            id,
            name,
        }
    }

    /// A connected web page, in the terms of accounts.
    fn page_listing(&self, id: &CredentialId, standing: Option<&Standing>, now: u64) -> Listing {
        let block = standing.and_then(Standing::block);
        let (status, message) = block.map_or(("active", ""), |block| ("error", block.why.text()));
        let left = block.map(|block| block.until.saturating_duration_since(Instant::now()).as_secs());
        let name = id.as_str().to_owned();
        Listing {
            auth_index: auth_index(&name),
            r#type: Kind::AiStudio.name().to_owned(),
            provider: Kind::AiStudio.name().to_owned(),
            label: name.clone(),
            status,
            status_message: message.to_owned(),
            status_code: block.map(|block| block.why.word()),
            status_reasons: Vec::new(),
            disabled: false,
            unavailable: block.is_some(),
            runtime_only: true,
            source: "memory",
            size: 0,
            account: Some(name.clone()),
            email: Some(name.clone()),
            account_type: "oauth",
            project_id: None,
            modtime: None,
            updated_at: None,
            last_refresh: None,
            next_retry_after: left.and_then(|left| rfc3339(now.saturating_add(left))),
            path: None,
            priority: None,
            note: None,
            id_token: None,
            quotas: self.quotas(id, now),
            weight: None,
            websockets: None,
            request_retry: None,
            activity: self.activity(std::slice::from_ref(id), now),
            id: name.clone(),
            name,
        }
    }

    /// What an account offers, by the name of its file or its id.
    pub fn models_of_auth_file(&self, name: &str) -> Vec<Listed> {
        let snapshot = self.snapshot();
        let is_its = |listed: &&Listed| {
            let offers = snapshot.routes.offers(&listed.id);
            offers.is_some_and(|offers| {
                offers.members().iter().any(|offer| {
                    let account = offer.credential.account.as_ref();
                    account.is_some_and(|account| account.id().as_str() == name)
                        || (offer.credential.is_listed() && offer.credential.id.as_str() == name)
                })
            })
        };
        snapshot.routes.listed().iter().filter(is_its).cloned().collect()
    }

    /// The whole auth file.
    ///
    /// # Errors
    /// It does not exist, has no such name, or the storage fails.
    pub async fn auth_file(&self, name: &str) -> Result<Bytes, StoreError> {
        let store = self.auth_store().ok_or_else(|| StoreError::Missing(name.to_owned()))?;
        let document = store.get(name).await?.ok_or_else(|| StoreError::Missing(name.to_owned()))?;
        Ok(document.content)
    }

    /// Writes an auth file, over one of that name.
    ///
    /// # Errors
    /// The content is no auth file, the name none for one, or the storage fails.
    pub async fn put_auth_file(&self, name: &str, content: Bytes) -> Result<(), StoreError> {
        let store = self.auth_store().ok_or_else(|| StoreError::Missing(name.to_owned()))?;
        let is_short = u64::try_from(content.len()).is_ok_and(|length| length <= store::LONGEST_DOCUMENT);
        if !is_short || Record::parse(&content).is_err() {
            return Err(StoreError::Unreadable(name.to_owned()));
        }
        store.put(name, content, Expected::Any).await?;
        self.load_accounts().await?;
        Ok(())
    }

    /// Removes an auth file.
    ///
    /// # Errors
    /// It does not exist, or the storage fails.
    pub async fn delete_auth_file(&self, name: &str) -> Result<(), StoreError> {
        self.auth_file(name).await?;
        let store = self.auth_store().ok_or_else(|| StoreError::Missing(name.to_owned()))?;
        store.delete(name).await?;
        self.load_accounts().await?;
        Ok(())
    }

    /// Changes members of an auth file.
    ///
    /// # Errors
    /// It does not exist, or the storage fails.
    pub async fn change_auth_file(&self, name: &str, changes: &Changes) -> Result<(), StoreError> {
        let store = self.auth_store().ok_or_else(|| StoreError::Missing(name.to_owned()))?;
        store::save(&*store, name, changes, false).await?;
        self.load_accounts().await?;
        Ok(())
    }

    /// Forgets what is held against an account; gives the models that it offers.
    pub fn forgive_auth_file(&self, index: &str) -> Option<Vec<Listed>> {
        let snapshot = self.snapshot();
        let mut pages = snapshot.routes.credentials().iter().filter(|credential| credential.is_page());
        if let Some(page) = pages.find(|page| auth_index(page.id.as_str()) == index) {
            self.0.pool.forgive(&page.id);
            return Some(self.models_of_auth_file(page.id.as_str()));
        }
        let accounts = self.accounts();
        let account = accounts.values().find(|account| auth_index(account.id().as_str()) == index)?;
        self.forgive(std::slice::from_ref(account.id()));
        Some(self.models_of_auth_file(account.id().as_str()))
    }
}

fn plan(record: &Record) -> Option<Plan> {
    if record.provider() != "codex" {
        return None;
    }
    let claims = claims(record.text("id_token")?)?;
    let auth = claims.get("https://api.openai.com/auth")?;
    let text = |name: &str| match auth.get(name)? {
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    Some(Plan {
        chatgpt_account_id: text("chatgpt_account_id"),
        plan_type: text("chatgpt_plan_type"),
        chatgpt_subscription_active_start: text("chatgpt_subscription_active_start"),
        chatgpt_subscription_active_until: text("chatgpt_subscription_active_until"),
    })
}
