//! What is known of accounts over restarts: an account whose quota is used up until tomorrow is not asked again because
//! of a restart, and what is left of the others is still known.
//!
//! Which accounts need a person's attention is written down for those who look from outside ([`Engine::recall`]). A
//! server that starts does not take that back: to start again is a new try.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Engine;
use crate::credential::{Condition, CredentialId, SavedRest, Window};
use crate::store::atomic;

/// How often what changed is written down.
const PACE: Duration = Duration::from_secs(5);

/// Name of the file in the store's workplace.
const FILE: &str = "standing.json";

/// The file's content.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Standing {
    /// Who rests.
    rests: Vec<SavedRest>,
    /// What is left of whose quotas.
    quotas: BTreeMap<String, Vec<Window>>,
    /// Whose accounts need attention.
    attention: BTreeMap<String, Attention>,
}

/// What somebody has to do about an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Attention {
    /// What happened.
    cause: String,
    /// What mends it.
    remedy: String,
    /// The reading of the file for which it was so.
    reading: String,
}

impl Engine {
    /// Takes back what was written down before a restart. `now` is in Unix seconds.
    pub async fn restore_standing(&self, now: u64) {
        let Some(Standing { rests, quotas, .. }) = self.read_standing().await else { return };
        self.0.pool.restore(rests, now);
        for (id, windows) in quotas {
            self.0.pool.quotas().note(&CredentialId::new(id), windows);
        }
        // Whoever has a seat already takes the rest over.
        self.derive_again();
    }

    /// Everything that a server last wrote down, for whoever looks at its accounts without being it: the rests and
    /// quotas, and which accounts need attention as long as their files are as they were. `now` is in Unix seconds.
    pub async fn recall(&self, now: u64) {
        self.restore_standing(now).await;
        let Some(Standing { attention, .. }) = self.read_standing().await else { return };
        for (id, Attention { cause, remedy, reading }) in attention {
            let account = self.accounts().get(&CredentialId::new(id)).cloned();
            if let Some(account) = account.filter(|account| account.record().reading() == reading) {
                account
                    .set_condition(Condition::NeedsAttention { cause: cause.into(), remedy: remedy.into() });
            }
        }
    }

    async fn read_standing(&self) -> Option<Standing> {
        let path = self.standing_file()?;
        let content = tokio::task::spawn_blocking(move || std::fs::read(path)).await.ok()?.ok()?;
        serde_json::from_slice(&content)
            .inspect_err(|error| {
                tracing::warn!("what was known of used up quotas cannot be read and is forgotten: {error}");
            })
            .ok()
    }

    fn attention(&self) -> BTreeMap<String, Attention> {
        let accounts = self.accounts();
        let needing = accounts.iter().filter_map(|(id, account)| match &*account.condition() {
            Condition::Well => None,
            Condition::NeedsAttention { cause, remedy } => {
                let (cause, remedy) = (cause.to_string(), remedy.to_string());
                Some((
                    id.as_str().to_owned(),
                    Attention { cause, remedy, reading: account.record().reading() },
                ))
            }
        });
        needing.collect()
    }

    /// Writes down what changes, until the engine ends.
    pub fn keep_standing(&self, now: fn() -> u64) {
        let engine = self.clone();
        self.spawn("standing of accounts", async move {
            let mut written = None;
            loop {
                tokio::time::sleep(PACE).await;
                engine.save_standing(&mut written, now()).await;
            }
        });
    }

    /// Writes it down now, at the end of the process.
    pub async fn save_standing_now(&self, now: u64) {
        self.save_standing(&mut None, now).await;
    }

    /// `written` is what the file has, as far as this process knows. `now` is in Unix seconds.
    async fn save_standing(&self, written: &mut Option<Standing>, now: u64) {
        let Some(path) = self.standing_file() else { return };
        let standing = Standing {
            rests: self.rests(now),
            quotas: self.0.pool.quotas().all(now),
            attention: self.attention(),
        };
        if written.as_ref().is_some_and(|written| is_same(written, &standing)) {
            return;
        }
        match write(&path, &standing, written.is_none()).await {
            Ok(()) => *written = Some(standing),
            Err(error) => tracing::warn!("what is known of used up quotas cannot be written down: {error}"),
        }
    }

    /// Who rests, and until when by the best estimate. `now` is in Unix seconds.
    pub fn rests(&self, now: u64) -> Vec<SavedRest> {
        self.0.pool.saved(Instant::now(), now)
    }

    fn standing_file(&self) -> Option<PathBuf> {
        if !self.snapshot().settings.retry.save_cooldown_status {
            return None;
        }
        self.workplace().map(|workplace| workplace.join(FILE))
    }
}

/// Whether nothing happened but time passing: ends are told in whole seconds and may differ by one.
fn is_same(before: &Standing, after: &Standing) -> bool {
    let same = |(a, b): (&SavedRest, &SavedRest)| {
        a.until.abs_diff(b.until) <= 1
            && SavedRest { until: 0, ..a.clone() } == SavedRest { until: 0, ..b.clone() }
    };
    before.attention == after.attention
        && before.rests.len() == after.rests.len()
        && before.rests.iter().zip(&after.rests).all(same)
        && before.quotas.len() == after.quotas.len()
        && before.quotas.iter().zip(&after.quotas).all(|((id, before), (other, after))| {
            id == other
                && before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| before.is_like(after))
        })
}

/// Writes the file; nothing that is worth a word leaves no file where there is none.
async fn write(path: &Path, standing: &Standing, is_first: bool) -> std::io::Result<()> {
    let is_empty = *standing == Standing::default();
    let content = serde_json::to_vec_pretty(standing)?;
    let path = path.to_owned();
    let write = move || {
        if is_first && is_empty && !path.exists() {
            return Ok(());
        }
        atomic::write(&path, &content)
    };
    tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)?
}
