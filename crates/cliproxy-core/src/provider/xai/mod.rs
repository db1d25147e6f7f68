//! xAI: its Responses service with a key, or with an account by the device login of its command line client.
//!
//! An account without `using_api` is asked at the door of that client, which wants to be told that the token is of such a
//! login and that the client is not too old; a key, or an account with it, at the public address. What xAI refuses of the
//! format, `cliproxy_wire::lane::restrict` and the Responses codec know.

pub(crate) mod login;
mod quota;
mod renew;
mod schema;

use std::borrow::Cow;
use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::fault::Fault;
use cliproxy_wire::profile::Profile;
use http::{HeaderName, HeaderValue};

use super::{
    Adopted, Job, Operation, Provider, Renewal, Told, base_headers, bearer, cache_key, configured_headers,
    copy_headers, judge, not_offered, over_socket, post, session,
};
use crate::credential::{Credential, Record, Window};
use crate::failure::{Failure, Rest, Retry};
use crate::oauth::Identity;
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct Xai;

/// The public address.
const API: &str = "https://api.x.ai/v1";

/// The name of the conversation, by which its prompt cache is found again.
const CONVERSATION: HeaderName = HeaderName::from_static("x-grok-conv-id");

/// What the client's door does not answer without: what kind of token it is given, and a version that it still supports.
const DOOR: [(HeaderName, HeaderValue); 4] = [
    (HeaderName::from_static("x-xai-token-auth"), HeaderValue::from_static("xai-grok-cli")),
    (HeaderName::from_static("x-grok-client-version"), HeaderValue::from_static("0.2.120")),
    (HeaderName::from_static("x-grok-client-identifier"), HeaderValue::from_static("grok-shell")),
    (HeaderName::from_static("x-authenticateresponse"), HeaderValue::from_static("authenticate-response")),
];

impl Provider for Xai {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let at_door =
            credential.account.as_ref().map(|account| account.record()).filter(|record| !uses_api(record));
        let (path, at_door) = match (job.operation, at_door) {
            (Operation::CountTokens, _) => return Err(not_offered("counting tokens")),
            (Operation::Compact | Operation::Draw | Operation::Redraw, at_door) => {
                let path = match job.operation {
                    Operation::Draw => "/images/generations",
                    Operation::Redraw => "/images/edits",
                    _ => "/responses/compact",
                };
                // The door has no such routes; the token opens the public address as well.
                let base = at_door.as_ref().map_or(&*credential.base_url, |record| api(record));
                (format!("{base}{path}"), false)
            }
            (Operation::Generate | Operation::Stream, at_door) => {
                (format!("{}/responses", credential.base_url), at_door.is_some())
            }
            (other, _) => return Err(not_offered(other.noun())),
        };
        let mut headers = base_headers(job.operation);
        if job.client_format == Format::Responses {
            copy_headers(&mut headers, job.client_headers, |name| name == CONVERSATION.as_str());
        }
        let named = session(job.client_headers).and_then(|name| HeaderValue::from_str(name).ok());
        if let Some(name) = named.or_else(|| cache_key(&job.body.whole())) {
            headers.entry(CONVERSATION).or_insert(name);
        }
        if at_door {
            headers.extend(DOOR);
        }
        bearer(&mut headers, credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        let body = if at_door { schema::borne(&job.body.whole()).into() } else { job.body };
        let outgoing = post(job.addresses, path, headers, body)?;
        // The door has no websockets.
        let is_spoken = credential.websockets && job.operation == Operation::Stream && !at_door;
        Ok(if is_spoken { over_socket(outgoing, false) } else { outgoing })
    }

    fn identity(&self) -> Identity {
        login::identity()
    }

    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        let adopted = Adopted::new(Profile::xai(), record, identity, "xai");
        // Logins write the public address into every file, whether it is used or not.
        let base_url: Cow<'_, str> =
            if uses_api(record) { api(record).into() } else { identity.base_url.clone() };
        Some(Adopted { base_url: base_url.trim_end_matches('/').into(), ..adopted })
    }

    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        renew::renew(record, identity, now)
    }

    fn lead(&self) -> Option<Duration> {
        Some(Duration::from_mins(5))
    }

    fn quotas(&self, told: &Told<'_>) -> Vec<Window> {
        quota::of_answer(told)
    }

    fn judge(&self, fault: &Fault) -> Retry {
        if quota::is_free_usage(fault) {
            return Retry::Leave(Rest::Quota(Some(fault.retry_after.unwrap_or(quota::FREE_USAGE))));
        }
        judge(fault)
    }
}

/// Whether the account is used at the public address.
fn uses_api(record: &Record) -> bool {
    record.flag(&["using_api", "using-api"]).unwrap_or(false)
}

/// The public address, or the one that the file names instead.
fn api(record: &Record) -> &str {
    record.text("base_url").unwrap_or(API).trim_end_matches('/')
}

#[cfg(test)]
mod tests;
