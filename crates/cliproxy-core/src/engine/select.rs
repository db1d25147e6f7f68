//! Choosing a credential for an attempt, and explaining the choice.

use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::fault::{Fault, Kind};
use tokio::time::Instant;

use super::{Engine, Job};
use crate::credential::CredentialId;
use crate::failure::{Failure, Retry};
use crate::route::{Candidate, Decision, Offer, Skip, select};
use crate::snapshot::Snapshot;

/// Why a credential would be used for a model, and each other one not.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The model in the routing table.
    pub model: Arc<str>,
    /// Chosen credential and its upstream model.
    pub chosen: Option<(CredentialId, Arc<str>)>,
    /// The others.
    pub skipped: Vec<(CredentialId, Arc<str>, Skip)>,
}

impl Engine {
    fn candidates(&self, offers: &[Offer], tried: &[bool], now: Instant) -> Vec<Candidate> {
        offers
            .iter()
            .enumerate()
            .map(|(index, offer)| Candidate {
                id: offer.credential.id.clone(),
                priority: offer.credential.priority,
                weight: offer.credential.weight,
                block: self.0.pool.block(&offer.credential.id, &offer.upstream, now),
                was_tried: tried.get(index).copied().unwrap_or(false),
            })
            .collect()
    }

    pub(super) fn choose(&self, job: &Job, tried: &[bool], turn: u64) -> Decision {
        let now = Instant::now();
        let offers = job.snapshot.routes.offers(&job.model);
        // One key for a model is the common case and needs no rotation.
        let candidates = self.candidates(offers, tried, now);
        let decision = select(&candidates, job.snapshot.strategy, turn, now);
        if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(
                request_id = %job.call.request_id,
                model = %job.model,
                chosen = decision.chosen.and_then(|index| candidates.get(index)).map(|candidate| candidate.id.as_str()),
                skipped = ?decision.skipped.iter().filter_map(|(index, skip)| Some((candidates.get(*index)?.id.as_str(), skip))).collect::<Vec<_>>(),
                "credential chosen"
            );
        }
        decision
    }

    /// Says which credential a request for `model` would use now, and why not each other one. Decides by the same
    /// function as a real request, without taking a turn.
    pub fn explain(&self, model: &str) -> Option<Explanation> {
        let snapshot = self.snapshot();
        let resolved = snapshot.routes.resolve(model)?;
        let now = Instant::now();
        let candidates = self.candidates(resolved.offers, &[], now);
        let decision = select(&candidates, snapshot.strategy, 0, now);
        let named = |index: usize| {
            let offer = resolved.offers.get(index)?;
            Some((offer.credential.id.clone(), Arc::clone(&offer.upstream)))
        };
        Some(Explanation {
            chosen: decision.chosen.and_then(named),
            skipped: decision
                .skipped
                .iter()
                .filter_map(|(index, skip)| named(*index).map(|(id, upstream)| (id, upstream, *skip)))
                .collect(),
            model: resolved.model,
        })
    }
}

/// The failure when nobody can be chosen and nobody was tried.
pub(super) fn nobody(job: &Job, decision: &Decision) -> Failure {
    let wait = decision.earliest.map(|at| at.saturating_duration_since(Instant::now()));
    if decision.is_quota {
        let wait = wait.unwrap_or(Duration::from_secs(1));
        let message = format!(
            "all credentials for model {} are cooling down, try again in {} s",
            job.model,
            wait.as_secs() + 1
        );
        let fault = Fault {
            retry_after: Some(wait),
            ..Fault::new(Kind::RateLimit, message).with_code("model_cooldown")
        };
        return Failure::gateway(fault).with_retry(Retry::Never);
    }
    let message = format!("no credential can serve model {} at the moment", job.model);
    let fault =
        Fault { retry_after: wait, ..Fault::new(Kind::Unavailable, message).with_code("auth_unavailable") };
    Failure::gateway(fault)
}

/// How often all credentials are gone through again after the first round.
pub(super) fn rounds(snapshot: &Snapshot, offers: &[Offer]) -> u32 {
    let own = offers.iter().filter_map(|offer| offer.credential.request_retry).max();
    own.unwrap_or(snapshot.settings.retry.rounds)
}
