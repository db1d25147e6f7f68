//! Antigravity: Google's Code Assist by an Antigravity login.
//!
//! Envelope, refusals and renewals are those of the Gemini CLI but for what stands here. Models of other makers behind
//! this door have dialects of their own.

pub(crate) mod login;
mod request;

use std::env::consts::{ARCH, OS};
use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::fault::Fault;
use cliproxy_wire::profile::Profile;
use http::HeaderValue;
use http::header::USER_AGENT;

use super::gemini::method;
use super::gemini_cli::{refusal, renew};
use super::{
    Adopted, Job, Operation, Provider, Renewal, Told, base_headers, bearer, configured_headers, post,
};
use crate::PRODUCT;
use crate::credential::{Credential, Record, Window};
use crate::failure::{Failure, Retry};
use crate::oauth::chain::Then as _;
use crate::oauth::exchange::Exchange;
use crate::oauth::{Identity, Refusal, RefusalKind};
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct Antigravity;

impl Provider for Antigravity {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let address = format!("{}/v1internal:{}", credential.base_url, method(job.operation, true)?);
        let mut headers = base_headers(job.operation);
        let record = credential.account.as_ref().map(|account| account.record());
        let own = record.as_deref().and_then(|record| record.text("user_agent"));
        if let Ok(agent) = HeaderValue::try_from(own.map_or_else(user_agent, str::to_owned)) {
            headers.insert(USER_AGENT, agent);
        }
        bearer(&mut headers, credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        let body = if job.operation == Operation::CountTokens {
            job.body
        } else {
            request::wrapped(&job, credential).into()
        };
        post(job.addresses, address, headers, body)
    }

    fn identity(&self) -> Identity {
        login::identity()
    }

    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        let project = record.text("project_id")?;
        let mut adopted = Adopted::new(Profile::antigravity(), record, identity, "antigravity");
        adopted.projects.push(project.into());
        adopted.other_base_url = other_base(record, identity);
        adopted.of_models =
            vec![("claude-", Profile::antigravity_claude()), ("gpt-", Profile::antigravity_open())];
        Some(adopted)
    }

    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        let refresh = record.token("refresh_token")?;
        let request = match &identity.client_secret {
            Some(secret) => renew::request(identity, &refresh, &identity.client_id, secret.expose()),
            None => Err(no_secret()),
        };
        let exchange = Exchange::new(login::WHO, login::REMEDY, request).finish(move |tokens| {
            let changes = tokens.renewed(now).set("timestamp", now.saturating_mul(1000));
            Ok((changes.set_if_some("expires_in", tokens.expires_in), tokens.access))
        });
        if !self.is_incomplete(record) {
            return Some(Box::new(exchange.finish(|(changes, _)| Ok(changes))));
        }
        let identity = identity.clone();
        Some(Box::new(exchange.then(move |(changes, access)| {
            let onboarding = login::Onboarding::new(identity, access);
            Ok(onboarding.finish(move |project| Ok(changes.set("project_id", project))))
        })))
    }

    /// Without a project nothing can be asked; it is found as at a login.
    fn is_incomplete(&self, record: &Record) -> bool {
        record.text("project_id").is_none() && record.token("refresh_token").is_some()
    }

    fn lead(&self) -> Option<Duration> {
        Some(Duration::from_mins(5))
    }

    /// Google's refresh tokens stay.
    fn spends_tokens(&self) -> bool {
        false
    }

    fn quotas(&self, told: &Told<'_>) -> Vec<Window> {
        refusal::quota(told).into_iter().collect()
    }

    fn judge(&self, fault: &Fault) -> Retry {
        refusal::judge(fault)
    }
}

/// The other address of the service: the one where accounts are set up, unless only one of the two is configured.
fn other_base(record: &Record, identity: &Identity) -> Option<Arc<str>> {
    let usual = login::identity();
    let is_alike = (identity.base_url == usual.base_url) == (identity.setup_url == usual.setup_url);
    let is_other = identity.base_url != identity.setup_url && record.text("base_url").is_none();
    (is_alike && is_other).then(|| identity.setup_url.trim_end_matches('/').into())
}

/// The service refuses whoever does not name a current version of its own client; our own name follows.
fn user_agent() -> String {
    let system = if OS == "macos" { "darwin" } else { OS };
    let machine = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("antigravity/{} {system}/{machine} {PRODUCT}", login::IDE_VERSION)
}

/// Not the account's fault, and mended in the configuration.
fn no_secret() -> Refusal {
    Refusal {
        kind: RefusalKind::Passing(None),
        message: "Google wants the client secret of Antigravity to renew a token, and none is configured"
            .into(),
        remedy: "set oauth-endpoints.antigravity.client-secret".into(),
    }
}

#[cfg(test)]
mod tests;
