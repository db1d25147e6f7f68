//! Rests that survive a restart: what is written down, and what becomes of it afterwards.
//!
//! Only what concerns an account is kept. Hosts and proxies recover within seconds, and counts of running requests
//! mean nothing in another process.

use std::sync::PoisonError;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Account, Block, Pool, Scope, Seat, Why};
use crate::credential::CredentialId;

/// One rest as written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRest {
    /// The credential.
    pub credential: String,
    /// The upstream model; absent when the whole account rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Why, in a word.
    pub why: String,
    /// Until when by the best estimate, in Unix seconds.
    pub until: u64,
    /// How often in a row it failed.
    pub failures: u32,
}

impl SavedRest {
    /// Why, for people.
    pub fn text(&self) -> &str {
        match Why::of_word(&self.why) {
            Some(why) => why.text(),
            None => &self.why,
        }
    }
}

impl Pool {
    /// What is to be remembered over a restart. `now` and `clock` are the same moment, `clock` in Unix seconds.
    pub fn saved(&self, now: Instant, clock: u64) -> Vec<SavedRest> {
        let mut saved = Vec::new();
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, account) in accounts.iter() {
            let account: &Account = account;
            if let Some(rest) = account.cell.saved(Scope::Account, self.clock) {
                saved.push(written(id, None, rest, now, clock));
            }
            let models = account.models.lock().unwrap_or_else(PoisonError::into_inner);
            for (model, cell) in models.iter() {
                if let Some(rest) = cell.saved(Scope::Model, self.clock) {
                    saved.push(written(id, Some(model), rest, now, clock));
                }
            }
        }
        drop(accounts);
        saved.sort_by(|a, b| (&a.credential, &a.model).cmp(&(&b.credential, &b.model)));
        saved
    }

    /// Takes back what was remembered, as soon as the credentials it concerns are there. `clock` is now, in Unix
    /// seconds.
    pub fn restore(&self, saved: Vec<SavedRest>, clock: u64) {
        let now = Instant::now();
        let mut restored = self.restored.lock().unwrap_or_else(PoisonError::into_inner);
        for rest in saved {
            let Some(why) = Why::of_word(&rest.why) else { continue };
            // A rest that is over by now has nothing to say any more, and a clock that was wrong must not lock out
            // an account for years.
            let left =
                Duration::from_secs(rest.until.saturating_sub(clock)).min(Duration::from_hours(24 * 32));
            if left.is_zero() {
                continue;
            }
            let model = rest.model.map(Into::into);
            let id = CredentialId::new(rest.credential);
            restored.entry(id).or_default().push((model, why, now + left, rest.failures));
        }
    }

    pub(super) fn apply_restored(&self, seat: &Seat, id: &CredentialId, model: &str) {
        let mut restored = self.restored.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rests) = restored.get_mut(id) else { return };
        let now = Instant::now();
        rests.retain(|(named, why, until, failures)| {
            let cell = match named.as_deref() {
                None => &seat.place.account.cell,
                Some(named) if named == model => &seat.model,
                Some(_) => return true,
            };
            cell.restore(*why, *until, *failures, seat.place.clock, now);
            false
        });
        if rests.is_empty() {
            restored.remove(id);
        }
    }
}

fn written(
    id: &CredentialId,
    model: Option<&str>,
    (block, failures): (Block, u32),
    now: Instant,
    clock: u64,
) -> SavedRest {
    SavedRest {
        credential: id.as_str().to_owned(),
        model: model.map(str::to_owned),
        why: block.why.word().to_owned(),
        until: clock + block.until.saturating_duration_since(now).as_secs(),
        failures,
    }
}
