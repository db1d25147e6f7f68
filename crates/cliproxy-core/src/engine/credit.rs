//! Paid credits of Antigravity accounts, the last resort: where the owner allows it (`quota-exceeded.antigravity-credits`),
//! everybody's quota for a model is used up, and an account says that it has enough of them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::select::not_allowed;
use super::{Engine, Job, switch};
use crate::credential::{Credential, Kind};
use crate::failure::{Failure, Retry};
use crate::oauth::{Line, Request};
use crate::provider::{self};
use crate::upstream::Egress;

/// The kind of credits that requests can be paid with.
const CREDITS: &str = "GOOGLE_ONE_AI";

impl Engine {
    /// Asks once more, paid with credits, after everybody has failed with `failure`.
    pub(super) async fn attempt_with_credits(
        &self,
        job: &mut Job,
        attempts: &mut u32,
        mut failure: Failure,
    ) -> Result<crate::engine::Answer, Failure> {
        let snapshot = Arc::clone(&job.snapshot);
        let Some(offers) = snapshot.routes.offers(&job.model) else { return Err(failure) };
        if !snapshot.settings.routing.antigravity_credits || !switch::is_of_quota(&failure) {
            return Err(failure);
        }
        let left_out = not_allowed(job, offers)?;
        for (index, offer) in offers.members().iter().enumerate() {
            let credential = &offer.credential;
            let is_well = credential.account.as_ref().is_some_and(|account| account.is_well());
            if credential.kind != Kind::Antigravity || !is_well || left_out.contains(index) {
                continue;
            }
            if !self.has_credits(job, credential).await {
                continue;
            }
            let Some(lease) = offer.seat.lease() else { continue };
            tracing::info!(
                request_id = %job.call.request_id,
                credential = %credential.id,
                model = %offer.upstream,
                "quotas are used up; asking with paid credits"
            );
            *attempts += 1;
            job.pays = true;
            let result = self.attempt(job, offer, lease, *attempts).await;
            job.pays = false;
            match result {
                Err(next) if next.retry() != Retry::Never => failure = next,
                result => return result,
            }
        }
        Err(failure)
    }

    /// Whether an account says that it has at least as many credits as a request may need.
    async fn has_credits(&self, job: &Job, credential: &Credential) -> bool {
        if self.freshen(credential, job.call.now).await.is_err() {
            return false;
        }
        let settings = &job.snapshot.settings;
        let identity =
            settings.oauth.identity("antigravity", provider::identity("antigravity").unwrap_or_default());
        let address = format!("{}/v1internal:loadCodeAssist", identity.setup_url.trim_end_matches('/'));
        let request = Request::json(&address, &json!({ "metadata": { "ideType": "ANTIGRAVITY" } }));
        let (Ok(request), Some(token)) = (request, credential.token()) else { return false };
        let egress = Egress { credential: credential.id.clone(), proxy: credential.proxy.clone() };
        let answer =
            Line::new(job.snapshot.limits, self.clients(), egress).send(request.bearer(&token)).await;
        let Ok(answer) = answer.inspect_err(|why| {
            tracing::debug!(credential = %credential.id, "its credits are not known: {why}");
        }) else {
            return false;
        };
        answer.status.is_success() && suffices(&answer.body)
    }
}

/// Whether an account's setup tells of enough credits; amounts are decimal texts.
fn suffices(body: &[u8]) -> bool {
    let Ok(setup) = serde_json::from_slice::<Value>(body) else { return false };
    let credits = setup.pointer("/paidTier/availableCredits").and_then(Value::as_array);
    credits.into_iter().flatten().any(|credit| {
        let amount = |name: &str| match credit.get(name)? {
            Value::String(text) => text.trim().parse::<f64>().ok(),
            number => number.as_f64(),
        };
        let is_kind = credit.get("creditType").and_then(Value::as_str) == Some(CREDITS);
        let least = amount("minimumCreditAmountForUsage").unwrap_or(0.0);
        is_kind && amount("creditAmount").is_some_and(|amount| amount > 0.0 && amount >= least)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_suffice_from_the_least_amount_on() {
        let setup = |kind: &str, amount: &str, least: &str| {
            let credit =
                json!({"creditType": kind, "creditAmount": amount, "minimumCreditAmountForUsage": least});
            json!({ "paidTier": { "availableCredits": [credit] } }).to_string()
        };
        assert!(suffices(setup(CREDITS, "50", "50").as_bytes()));
        assert!(suffices(setup(CREDITS, "1000.5", "50").as_bytes()));
        for too_little in [
            setup(CREDITS, "49.9", "50"),
            setup("OTHER", "100", "50"),
            setup(CREDITS, "0", "0"),
            "{}".to_owned(),
            "x".to_owned(),
        ] {
            assert!(!suffices(too_little.as_bytes()), "{too_little}");
        }
    }
}
