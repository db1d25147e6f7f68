//! OpenAI Responses: a compatible service with a key, or the Codex backend behind a ChatGPT account.
//!
//! A key's service is asked as OpenAI documents it. The backend takes less (`cliproxy_wire::lane::restrict` and the
//! Responses codec know what), only streams, wants to know whose plan is used, and keeps a conversation's prompt cache
//! by the name that the requests give it.

pub(crate) mod login;
mod plan;
mod quota;
mod renew;

use std::time::Duration;

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::profile::Profile;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Adopted, Job, Operation, Provider, Renewal, SESSION_HEADERS, Told, base_headers, bearer, cache_key,
    configured_headers, copy_headers, form_type, judge, not_offered, over_socket, post,
};
use crate::credential::{Account, Credential, Record, Window};
use crate::failure::{Failure, Rest, Retry};
use crate::oauth::Identity;
use crate::reason::Code;
use crate::upstream::{LIMITS_EVENT, Outgoing};

#[derive(Debug)]
pub(super) struct Codex;

/// Who asks, by our own name.
const ORIGINATOR: (HeaderName, HeaderValue) =
    (HeaderName::from_static("originator"), HeaderValue::from_static("cli-proxy-api"));
const ACCOUNT: HeaderName = HeaderName::from_static("chatgpt-account-id");
const SESSION: HeaderName = HeaderName::from_static("session_id");

/// Headers that keep an agent's turns together at the upstream, and the format's own.
fn is_format_header(name: &str) -> bool {
    name == "openai-beta"
        || SESSION_HEADERS.iter().any(|header| header == name)
        || matches!(name, "thread-id" | "x-client-request-id")
        || (name.starts_with("x-codex-") && name != "x-codex-installation-id")
}

impl Provider for Codex {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let path = match job.operation {
            Operation::Generate | Operation::Stream => "/responses",
            Operation::CountTokens if credential.account.is_some() => {
                return Err(not_offered("counting tokens"));
            }
            Operation::CountTokens => "/responses/input_tokens",
            Operation::Compact => "/responses/compact",
            Operation::Draw => "/images/generations",
            Operation::Redraw => "/images/edits",
            other => return Err(not_offered(other.noun())),
        };
        let address = format!("{}{path}", credential.base_url);
        let mut headers = base_headers(job.operation);
        if let Some(kind) = form_type(&job).filter(|_| credential.account.is_none()) {
            headers.insert(CONTENT_TYPE, kind);
        }
        if job.client_format == Format::Responses {
            copy_headers(&mut headers, job.client_headers, is_format_header);
        }
        if let Some(account) = &credential.account {
            account_headers(&mut headers, account, &job.body.whole());
        }
        bearer(&mut headers, credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        let outgoing = post(job.addresses, address, headers, job.body)?;
        let is_spoken = credential.websockets && job.operation == Operation::Stream;
        Ok(if is_spoken { over_socket(outgoing, true) } else { outgoing })
    }

    fn identity(&self) -> Identity {
        login::identity()
    }

    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        let withheld = plan::withheld(&login::Account::of_record(record).plan);
        Some(Adopted { withheld, ..Adopted::new(Profile::codex(), record, identity, "codex") })
    }

    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        renew::renew(record, identity, now)
    }

    fn lead(&self) -> Option<Duration> {
        // Of a life of ten days.
        Some(Duration::from_hours(5 * 24))
    }

    fn quotas(&self, told: &Told<'_>) -> Vec<Window> {
        quota::of_answer(told)
    }

    fn quota_event(&self) -> Option<&'static str> {
        Some(LIMITS_EVENT)
    }

    fn quotas_of_event(&self, event: &str, now: u64) -> Vec<Window> {
        quota::of_event(event, now)
    }

    fn judge(&self, fault: &Fault) -> Retry {
        if fault.code.as_deref() == Some("usage_not_included") {
            return Retry::Leave(Rest::NeedsAttention(Code::NoCodex));
        }
        // A page comes from the network in front of the service, which does not know the account.
        if fault.kind == Kind::Permission && fault.code.is_none() && fault.message.ends_with("a web page") {
            return Retry::Next(Rest::Transient(fault.retry_after));
        }
        judge(fault)
    }
}

/// Whose plan is used, and which conversation it is: the name by which the body has its prompt cached, unless the client
/// gave one itself.
fn account_headers(headers: &mut HeaderMap, account: &Account, body: &Bytes) {
    let (originator, name) = ORIGINATOR;
    headers.insert(originator, name);
    let record = account.record();
    let id = login::Account::of_record(&record).id;
    if let Ok(id) = HeaderValue::try_from(id)
        && !id.is_empty()
    {
        headers.insert(ACCOUNT, id);
    }
    if SESSION_HEADERS.iter().any(|name| headers.contains_key(name)) {
        return;
    }
    if let Some(key) = cache_key(body) {
        headers.insert(SESSION, key);
    }
}

#[cfg(test)]
mod tests;
