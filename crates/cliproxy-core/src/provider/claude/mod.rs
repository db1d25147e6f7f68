//! Claude with an API key, at Anthropic or at a look-alike.
//!
//! Anthropic's own host takes the key as `x-api-key`, every other base as a bearer token; never both.

pub(crate) mod login;

use std::collections::BTreeSet;

use cliproxy_wire::Format;
use cliproxy_wire::fault::Fault;
use http::{HeaderName, HeaderValue};

use super::{
    Job, Operation, Provider, base_headers, bearer, configured_headers, copy_headers, judge, key_header,
    not_offered, post,
};
use crate::credential::Credential;
use crate::failure::{Failure, Retry};
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct Claude;

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

impl Provider for Claude {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let path = match job.operation {
            Operation::Generate | Operation::Stream => "/v1/messages",
            Operation::CountTokens => "/v1/messages/count_tokens",
            Operation::Compact => return Err(not_offered("compaction")),
        };
        let base = credential.base_url.strip_suffix("/v1").unwrap_or(&credential.base_url);
        let mut address = format!("{base}{path}");
        let mut headers = base_headers(job.operation);
        let mut betas: BTreeSet<String> = job.betas.iter().cloned().collect();
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
        headers.entry(VERSION).or_insert(HeaderValue::from_static("2023-06-01"));
        if !betas.is_empty() {
            let list = betas.into_iter().collect::<Vec<_>>().join(",");
            if let Ok(value) = HeaderValue::try_from(list) {
                headers.insert(BETA, value);
            }
        }
        let host = credential.base_url.split("://").nth(1).unwrap_or_default();
        if host.split(['/', ':']).next() == Some("api.anthropic.com") {
            key_header(&mut headers, "x-api-key", credential)?;
        } else {
            bearer(&mut headers, credential)?;
        }
        configured_headers(&mut headers, credential, job.client_headers);
        post(&address, headers, job.body)
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

#[cfg(test)]
mod tests;
