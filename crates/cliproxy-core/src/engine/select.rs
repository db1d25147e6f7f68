//! Choosing a credential for an attempt, and explaining the choice.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cliproxy_wire::fault::{Fault, Kind};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::indices::Indices;
use super::{Engine, Job};
use crate::access::allowance::Allowance;
use crate::credential::affinity::Session;
use crate::credential::{Block, CredentialId, Lease, Pool, Why, Window};
use crate::failure::Failure;
use crate::provider::Operation;
use crate::route::{Listed, Offer, Offers, Skip, State, Strategy, explain, select};
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

/// An explanation for programs, with what is left of everybody's quotas.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Explained {
    /// The model in the routing table.
    pub model: String,
    /// Who is chosen.
    pub chosen: Option<Candidate>,
    /// The others.
    pub skipped: Vec<Candidate>,
}

/// One who offers a model.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Candidate {
    /// The credential's id.
    pub credential: String,
    /// The model's name there.
    pub upstream_model: String,
    /// Why it is not chosen, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same as a word that stays: `tried`, `resting`, `on-trial`, `busy`, `needs-attention`, `elsewhere`,
    /// `lower-priority`, `no-weight`, `not-its-turn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Why it rests: `unauthorized`, `forbidden`, `model-missing`, `quota`, `transient`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    /// Whom the rest concerns: `model`, `account`, `host`, `proxy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'static str>,
    /// What is left of its quotas.
    pub quotas: Vec<Window>,
}

/// How one offer stands for a request that has `tried` some already.
fn state(offers: &Offers, index: usize, tried: &Indices, now: Instant) -> State {
    let Some(offer) = offers.members().get(index) else { return State::Out(Skip::NotItsTurn) };
    if tried.contains(index) {
        return State::Out(Skip::Tried);
    }
    let account = offer.credential.account.as_ref();
    if account.is_some_and(|account| !account.is_well()) {
        return State::Out(Skip::NeedsAttention);
    }
    State::of(offer.seat.stand(now))
}

/// Chooses among the offers and takes the chosen one.
pub(super) fn choose<'o>(
    pool: &Pool,
    job: &Job,
    offers: &'o Offers,
    tried: &Indices,
) -> Option<(usize, &'o Offer, Lease)> {
    let now = Instant::now();
    let strategy = job.snapshot.strategy;
    let bound = job.session.and_then(|session| pool.affinity().bound(session, &job.model, now));
    let bound = bound.and_then(|credential| offers.position(&credential));
    loop {
        let turn = offers.turn().load(Ordering::Relaxed);
        let moment = Some(pool.moment(now));
        let choice =
            select(offers.ranks(), strategy, turn, bound, moment, |index| state(offers, index, tried, now))?;
        // A client that counts before every message would else send all its messages to one of two accounts.
        let takes_turn = choice.next_turn != turn && job.call.operation != Operation::CountTokens;
        let (relaxed, next) = (Ordering::Relaxed, choice.next_turn);
        if takes_turn && offers.turn().compare_exchange(turn, next, relaxed, relaxed).is_err() {
            continue;
        }
        let offer = offers.members().get(choice.index)?;
        // Another request may have taken the last place meanwhile.
        let Some(lease) = offer.seat.lease() else { continue };
        if tracing::enabled!(tracing::Level::DEBUG) {
            let (_, skipped) = explain(offers.ranks(), strategy, turn, bound, moment, |index| {
                state(offers, index, tried, now)
            });
            tracing::debug!(
                request_id = %job.call.request_id,
                model = %job.model,
                chosen = %offer.credential.id,
                skipped = ?named(offers, &skipped).map(|(id, _, skip)| (id, skip.text())).collect::<Vec<_>>(),
                "credential chosen"
            );
        }
        return Some((choice.index, offer, lease));
    }
}

impl Engine {
    /// The models that clients may be offered now, as far as their key may use them: those that every credential was refused for, for another reason than
    /// quota, are left out until a rest ends.
    pub fn offered(&self, snapshot: &Snapshot, allowance: Option<&Allowance>) -> Vec<Listed> {
        let is_refused =
            |block: Option<Block>| block.is_some_and(|block| !block.why.is_soft() && block.why != Why::Quota);
        let is_allowed = |model: &&Listed| snapshot.allows(allowance, &model.id);
        let is_offered = |model: &&Listed| {
            snapshot.routes.offers(&model.id).is_some_and(|offers| !blocks(offers).all(is_refused))
        };
        snapshot.routes.listed().iter().filter(is_allowed).filter(is_offered).cloned().collect()
    }

    /// Says which credential a request for `model` would use now, and why not each other one. Decides by the same
    /// function as a real request, without taking a turn. `session` is what a client names its conversation by in a
    /// header; `None` when the model is not known.
    pub fn explain(&self, model: &str, session: Option<&str>) -> Option<Explanation> {
        let snapshot = self.snapshot();
        let resolved = snapshot.routes.resolve(model)?;
        let (offers, now) = (resolved.offers, Instant::now());
        let turn = offers.turn().load(Ordering::Relaxed);
        let bound =
            session.and_then(|name| self.0.pool.affinity().bound(Session::named(name), &resolved.model, now));
        let bound = bound.and_then(|credential| offers.position(&credential));
        let (choice, skipped) =
            explain(offers.ranks(), snapshot.strategy, turn, bound, Some(self.0.pool.moment(now)), |index| {
                state(offers, index, &Indices::default(), now)
            });
        let chosen = choice.and_then(|choice| offers.members().get(choice.index));
        Some(Explanation {
            chosen: chosen.map(|offer| (offer.credential.id.clone(), Arc::clone(&offer.upstream))),
            skipped: named(offers, &skipped).collect(),
            model: resolved.model,
        })
    }
}

impl Engine {
    /// An explanation for programs. `now` is in Unix seconds.
    pub fn explained(&self, explanation: &Explanation, now: u64) -> Explained {
        let candidate = |id: &CredentialId, upstream: &Arc<str>, skip: Option<Skip>| {
            let block = skip.and_then(Skip::block);
            Candidate {
                credential: id.as_str().to_owned(),
                upstream_model: upstream.as_ref().to_owned(),
                reason: skip.map(Skip::text),
                code: skip.map(Skip::word),
                why: block.map(|block| block.why.word()),
                scope: block.map(|block| block.scope.word()),
                quotas: self.quotas(id, now),
            }
        };
        Explained {
            model: explanation.model.as_ref().to_owned(),
            chosen: explanation.chosen.as_ref().map(|(id, upstream)| candidate(id, upstream, None)),
            skipped: explanation
                .skipped
                .iter()
                .map(|(id, upstream, skip)| candidate(id, upstream, Some(*skip)))
                .collect(),
        }
    }
}

fn named<'o>(
    offers: &'o Offers,
    skipped: &'o [(usize, Skip)],
) -> impl Iterator<Item = (CredentialId, Arc<str>, Skip)> + 'o {
    skipped.iter().filter_map(|(index, skip)| {
        let offer = offers.members().get(*index)?;
        Some((offer.credential.id.clone(), Arc::clone(&offer.upstream), *skip))
    })
}

/// The offers of credentials that may not serve the client's key.
pub(super) fn not_allowed(job: &Job, offers: &Offers) -> Result<Indices, Failure> {
    let Some(allowance) = job.call.allowance.as_ref().filter(|allowance| !allowance.credentials.is_empty())
    else {
        return Ok(Indices::default());
    };
    let members = offers.members().iter().enumerate();
    let left_out: Indices = members
        .filter(|(_, offer)| !allowance.allows_credential(&offer.credential))
        .map(|(index, _)| index)
        .collect();
    if left_out.len() == offers.members().len() {
        let message =
            format!("this API key may use none of the credentials that offer the model {}", job.model);
        let fault = Fault::new(Kind::Permission, message).with_code("credential_not_allowed");
        return Err(Failure::gateway(fault));
    }
    Ok(left_out)
}

/// Whether somebody would be free if it did not serve as many requests as it may.
pub(super) fn is_busy(offers: &Offers, tried: &Indices) -> bool {
    let now = Instant::now();
    (0..offers.members().len()).any(|index| state(offers, index, tried, now) == State::Out(Skip::Busy))
}

/// The rests of those who offer a model.
fn blocks(offers: &Offers) -> impl Iterator<Item = Option<Block>> {
    let now = Instant::now();
    offers.members().iter().map(move |offer| offer.seat.block(now))
}

/// The rests of those who may serve the request if it waits. Who needs a person, has no weight where shares are by
/// weight, or is left out does not come back that way.
pub(super) fn rests<'o>(
    job: &Job,
    offers: &'o Offers,
    left_out: &'o Indices,
) -> impl Iterator<Item = Option<Block>> + 'o {
    let (strategy, now) = (job.snapshot.strategy, Instant::now());
    let has_share =
        move |offer: &Offer| strategy != Strategy::WeightedRoundRobin || offer.credential.weight > 0;
    let members = offers.members().iter().enumerate().filter(move |(_, offer)| has_share(offer));
    members.filter_map(move |(index, _)| match state(offers, index, left_out, now) {
        State::Out(Skip::Tried | Skip::NeedsAttention) => None,
        State::LastResort(skip) | State::Out(skip) => Some(skip.block()),
        State::Free => Some(None),
    })
}

/// The failure when nobody can be chosen and nobody was tried.
pub(super) fn nobody(job: &Job, offers: &Offers, left_out: &Indices) -> Failure {
    let now = Instant::now();
    let (_, skipped) = explain(offers.ranks(), job.snapshot.strategy, 0, None, None, |index| {
        state(offers, index, left_out, now)
    });
    let skipped: Vec<_> = skipped.into_iter().filter(|(_, skip)| *skip != Skip::Tried).collect();
    let rests = skipped.iter().filter_map(|(_, skip)| match skip {
        Skip::Resting(block) | Skip::OnTrial(block) => Some(block.until),
        _ => None,
    });
    let wait = rests.min().map(|at| at.saturating_duration_since(now));
    let is_quota = !skipped.is_empty()
        && skipped.iter().all(|(_, skip)| match skip {
            Skip::Resting(block) | Skip::OnTrial(block) => block.why == Why::Quota,
            Skip::Busy => true,
            _ => false,
        });
    let mut fault = if is_quota {
        let message = format!("all credentials for model {} are cooling down", job.model);
        Fault::new(Kind::RateLimit, message).with_code("model_cooldown")
    } else {
        let mut message = format!("no credential can serve model {} at the moment", job.model);
        let mut reasons: Vec<String> = skipped.iter().map(|(_, skip)| skip.text()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        if !reasons.is_empty() {
            message = format!("{message} ({})", reasons.join("; "));
        }
        Fault::new(Kind::Unavailable, message).with_code("auth_unavailable")
    };
    fault.retry_after = wait;
    if let Some(seconds) = fault.retry_after_seconds() {
        fault.message = format!("{}, try again in {seconds} s", fault.message);
    }
    Failure::gateway(fault)
}
