//! How accounts and keys stand at the moment: whether something keeps them from serving, and how it went so far.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::Engine;
use crate::credential::tally::{STEP, Step};
use crate::credential::{Account, Block, Condition, Counted, CredentialId, Kind, Scope, Stand};
use crate::provider;
use crate::refresh;

/// How one account or key stands.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The credentials that stand for it: one, or one for each project of an account.
    pub(super) members: Vec<CredentialId>,
    /// Names of models that it offers.
    pub(super) models: usize,
    is_free: bool,
    whole: Option<Block>,
    earliest: Option<Block>,
}

impl Standing {
    /// What keeps it from serving anything: a rest of the whole account, or of each of its models.
    pub(super) fn block(&self) -> Option<Block> {
        if self.is_free { None } else { self.whole.or(self.earliest) }
    }

    fn note(&mut self, stand: Stand) {
        match stand {
            Stand::Free | Stand::Busy => self.is_free = true,
            Stand::Resting(block) | Stand::OnTrial(block) if block.scope != Scope::Model => {
                self.whole = self.whole.or(Some(block));
            }
            Stand::Resting(block) | Stand::OnTrial(block) => {
                if self.earliest.is_none_or(|known| block.until < known.until) {
                    self.earliest = Some(block);
                }
            }
        }
    }
}

/// How it went so far.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Activity {
    /// Attempts that worked since the start.
    pub success: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// The last hours in steps of ten minutes, oldest first.
    pub recent_requests: Vec<Recent>,
    /// Requests that are running.
    pub in_flight: u32,
}

/// Ten minutes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Recent {
    /// For people, in the machine's time zone.
    pub time: String,
    /// When they begin, in Unix seconds.
    pub start: u64,
    /// Attempts that worked.
    pub success: u32,
    /// Attempts that failed.
    pub failed: u32,
}

impl Recent {
    fn new(step: &Step) -> Self {
        Self {
            time: format!("{}-{}", clock(step.start), clock(step.start + STEP)),
            start: step.start,
            success: step.success,
            failed: step.failed,
        }
    }
}

/// Hour and minute in the machine's time zone.
fn clock(at: u64) -> String {
    let stamp = jiff::Timestamp::from_second(i64::try_from(at).unwrap_or(i64::MAX)).unwrap_or_default();
    let zoned = stamp.to_zoned(jiff::tz::TimeZone::system());
    format!("{:02}:{:02}", zoned.hour(), zoned.minute())
}

impl Engine {
    /// How every account (by its file) and every key (by its credential) stands.
    pub(super) fn standings(&self) -> HashMap<CredentialId, Standing> {
        let snapshot = self.snapshot();
        let now = Instant::now();
        let mut standings: HashMap<CredentialId, Standing> = HashMap::new();
        for credential in snapshot.routes.credentials() {
            let id = credential.account.as_ref().map_or(&credential.id, |account| account.id());
            standings.entry(id.clone()).or_default().members.push(credential.id.clone());
        }
        for listed in snapshot.routes.listed() {
            let offers = snapshot.routes.offers(&listed.id);
            for offer in offers.into_iter().flat_map(crate::route::Offers::members) {
                let credential = &offer.credential;
                let id = credential.account.as_ref().map_or(&credential.id, |account| account.id());
                if let Some(standing) = standings.get_mut(id) {
                    standing.models += 1;
                    standing.note(offer.seat.stand(now));
                }
            }
        }
        standings
    }

    /// What a person has to do about an account, and why, as far as can be told without asking anybody: what was
    /// noted when a renewal or a request was refused, or a token that has ended and cannot be renewed. `now` is in Unix
    /// seconds.
    pub fn attention_of(&self, account: &Account, now: u64) -> Option<(String, String)> {
        if let Condition::NeedsAttention { cause, remedy } = &*account.condition() {
            return Some((cause.to_string(), remedy.to_string()));
        }
        let record = account.record();
        let name = record.provider();
        let provider = provider::of(Kind::of_account(name)?);
        let usual = provider::identity(name).unwrap_or_default();
        let identity = self.snapshot().settings.oauth.identity(name, usual);
        let refusal = refresh::outlook(&record, provider, &identity, now)?;
        Some((refusal.message.to_string(), refusal.remedy.to_string()))
    }

    /// How it went with these credentials together. `now` is in Unix seconds.
    pub(super) fn activity(&self, ids: &[CredentialId], now: u64) -> Activity {
        let mut counted = Counted::default();
        for id in ids {
            counted.add(&self.0.pool.counted(id, now));
        }
        Activity {
            success: counted.success,
            failed: counted.failed,
            recent_requests: counted.steps.iter().map(Recent::new).collect(),
            in_flight: ids.iter().map(|id| self.0.pool.in_flight(id)).sum(),
        }
    }
}
