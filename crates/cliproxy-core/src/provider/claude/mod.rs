//! Claude with an API key, at Anthropic or at a look-alike, or with an account's token.
//!
//! Anthropic's own host takes a key as `x-api-key`; accounts and every other base send a bearer token; never both.

pub(crate) mod login;
mod preamble;
mod quota;
mod renew;

use std::collections::BTreeSet;
use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::fault::Fault;
use cliproxy_wire::profile::Profile;
use http::{HeaderName, HeaderValue};

use super::{
    Adopted, Job, Operation, Provider, Renewal, Told, base_headers, bearer, configured_headers, copy_headers,
    judge, key_header, not_offered, post,
};
use crate::credential::{Credential, Record, Window};
use crate::failure::{Failure, Retry};
use crate::oauth::Identity;
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct Claude;

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// What an account's token needs to be accepted, and what goes with it in practice.
const ACCOUNT_BETAS: [&str; 2] = ["oauth-2025-04-20", "claude-code-20250219"];
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

impl Provider for Claude {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let path = match job.operation {
            Operation::Generate | Operation::Stream => "/v1/messages",
            Operation::CountTokens => "/v1/messages/count_tokens",
            Operation::Compact => return Err(not_offered("compaction")),
            other => return Err(not_offered(other.noun())),
        };
        let base = credential.base_url.strip_suffix("/v1").unwrap_or(&credential.base_url);
        let mut address = format!("{base}{path}");
        let mut headers = base_headers(job.operation);
        let mut betas: BTreeSet<String> = job.betas.iter().cloned().collect();
        let is_account = credential.account.is_some();
        if is_account {
            betas.extend(ACCOUNT_BETAS.map(str::to_owned));
        }
        if job.client_format == Format::Claude {
            copy_headers(&mut headers, job.client_headers, |name| name == VERSION.as_str());
            for value in job.client_headers.get_all(&BETA) {
                let tokens = value.to_str().unwrap_or_default().split(',').map(str::trim);
                betas.extend(tokens.filter(|token| !token.is_empty()).map(str::to_owned));
            }
            if job.client_query.split('&').any(|pair| pair == "beta=true") {
                address.push_str("?beta=true");
            }
        }
        headers.entry(VERSION).or_insert(const { HeaderValue::from_static("2023-06-01") });
        if !betas.is_empty() {
            let list = betas.into_iter().collect::<Vec<_>>().join(",");
            if let Ok(value) = HeaderValue::try_from(list) {
                headers.insert(BETA, value);
            }
        }
        if is_first_party(&credential.base_url) && !is_account {
            key_header(&mut headers, "x-api-key", credential)?;
        } else {
            bearer(&mut headers, credential)?;
        }
        configured_headers(&mut headers, credential, job.client_headers);
        let body = if is_account { preamble::with_preamble(&job.body.whole()).into() } else { job.body };
        post(job.addresses, address, headers, body)
    }

    fn identity(&self) -> Identity {
        login::identity()
    }

    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        Some(Adopted::new(Profile::claude(), record, identity, "claude"))
    }

    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        renew::renew(record, identity, now)
    }

    fn lead(&self) -> Option<Duration> {
        // Of a life of eight hours.
        Some(Duration::from_hours(4))
    }

    fn quotas(&self, told: &Told<'_>) -> Vec<Window> {
        quota::of_answer(told)
    }

    fn judge(&self, fault: &Fault) -> Retry {
        // Refusals of what the request asks for, not of the account: another account of the same plan refuses too, and
        // this one still serves everything else.
        let message = fault.message.to_ascii_lowercase();
        if ["usage credits are required for fast mode", "extra usage is required for long context"]
            .iter()
            .any(|text| message.contains(text))
        {
            return Retry::Never;
        }
        judge(fault)
    }
}

/// Whether an address is one of Anthropic's own host.
fn is_first_party(base_url: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| base_url.strip_prefix(scheme));
    let after = rest.and_then(|rest| rest.strip_prefix("api.anthropic.com"));
    after.is_some_and(|after| after.is_empty() || after.starts_with(['/', ':']))
}

#[cfg(test)]
mod tests;
