//! Verdicts: what an upstream's refusal means for its credential and for further attempts, and what answers tell of
//! quotas. The provider knows what its refusals mean; here stands what follows from it for everybody alike.

use std::time::Duration;

use cliproxy_wire::fault::Fault;
use http::HeaderMap;
use tokio::time::Instant;

use super::{Engine, Job};
use crate::config::settings::ErrorRule;
use crate::credential::{Condition, Credential, Scope, Window};
use crate::failure::{Failure, Rest, Retry};
use crate::provider::{self, Told};
use crate::route::Offer;

/// A refusal as it came.
pub(super) struct Refusal<'a> {
    pub(super) fault: Fault,
    /// Headers of the answer; empty for what was said inside one.
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl Engine {
    /// Remembers what a good answer tells of quotas.
    pub(super) fn note_quotas(&self, job: &Job, offer: &Offer, headers: &HeaderMap) {
        let told = Told { headers, fault: None, model: &offer.upstream, now: (job.call.now)() };
        let provider = provider::of(offer.credential.kind);
        self.0.pool.quotas().note(&offer.credential.id, provider.quotas(&told));
    }

    /// What a fault means for further attempts that was said inside an answer.
    pub(super) fn judge_inside(&self, job: &Job, offer: &Offer, fault: Fault) -> Failure {
        self.judge(job, offer, Refusal { fault, headers: &HeaderMap::new(), body: b"" })
    }

    /// What a refusal means for further attempts.
    pub(super) fn judge(&self, job: &Job, offer: &Offer, refusal: Refusal<'_>) -> Failure {
        let Refusal { mut fault, headers, body } = refusal;
        let credential = &offer.credential;
        let provider = provider::of(credential.kind);
        let now = (job.call.now)();
        fault.settle(now);
        let windows = provider.quotas(&Told { headers, fault: Some(&fault), model: &offer.upstream, now });
        let mut retry = for_all_models(provider.judge(&fault), &windows, now);
        self.0.pool.quotas().note(&credential.id, windows);
        note_attention(credential, retry, &fault);
        if let Some(rules) = job.snapshot.error_rules.get(&credential.id) {
            let text = String::from_utf8_lossy(body);
            if let Some(action) = ErrorRule::first(rules, fault.status.unwrap_or_default(), &text) {
                let rest = match retry {
                    Retry::Next(rest) | Retry::Leave(rest) if rest != Rest::None => rest,
                    _ => Rest::Transient(fault.retry_after),
                };
                retry = match (action.is_continued, action.is_cooling) {
                    (true, true) => Retry::Next(rest),
                    (true, false) => Retry::Next(Rest::None),
                    (false, cools) => {
                        let mut cooling = job.snapshot.cooling;
                        cooling.is_disabled |= credential.never_rests || !cools;
                        offer.seat.rest(rest, Scope::Model, cooling, Instant::now());
                        Retry::Never
                    }
                };
            }
        }
        let detail = format!("{} answered {}", credential.id, fault.status.unwrap_or_default());
        Failure::upstream(fault, detail).with_retry(retry)
    }
}

/// What a fault means that ended an answer after it had begun. Nothing is tried again; the credential may rest.
pub(super) fn judge_late(credential: &Credential, fault: &Fault, now: u64) -> Failure {
    let mut fault = fault.clone();
    fault.settle(now);
    let retry = provider::of(credential.kind).judge(&fault);
    note_attention(credential, retry, &fault);
    Failure::upstream(fault, "").with_retry(retry)
}

/// A quota of the whole account that is used up concerns every model of it, until the last of such windows begins anew.
fn for_all_models(retry: Retry, windows: &[Window], now: u64) -> Retry {
    let (Retry::Next(Rest::Quota(_)) | Retry::Leave(Rest::Quota(_))) = retry else { return retry };
    let used_up = windows.iter().filter(|window| window.model.is_none() && window.is_used_up());
    match used_up.filter_map(|window| window.resets_at).max().filter(|at| *at > now) {
        Some(at) => Retry::Leave(Rest::Quota(Some(Duration::from_secs(at - now)))),
        None => retry,
    }
}

/// An account that the provider shut out leaves the rotation until a person has done something.
pub(super) fn note_attention(credential: &Credential, retry: Retry, fault: &Fault) {
    let (Retry::Next(Rest::NeedsAttention(remedy)) | Retry::Leave(Rest::NeedsAttention(remedy))) = retry
    else {
        return;
    };
    if let Some(account) = &credential.account {
        let link = fault.link.as_ref().map(|link| format!(": {link}")).unwrap_or_default();
        let remedy = remedy.with("link", link);
        tracing::error!(account = %account.id(), "the provider refuses this account: {}; {remedy}", fault.message);
        account.set_condition(Condition::NeedsAttention { cause: fault.message.as_str().into(), remedy });
    }
}
