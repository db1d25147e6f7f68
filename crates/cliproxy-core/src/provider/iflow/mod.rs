//! iFlow: a Chat upstream whose API key comes from a login with a browser, or with a browser's cookie. The service has
//! closed; the code is for deployments that answer like it.
//!
//! Requests carry the API key of the file, not the login's token. Each is signed, as the service wants since
//! 2026-02-09: with the key, over our own name, a session and the time.

pub(crate) mod login;
mod renew;

use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use cliproxy_wire::json::patch::{Edit, Path};
use cliproxy_wire::profile::Profile;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Adopted, Job, Operation, Provider, Renewal, base_headers, bearer, chat_body, configured_headers,
    not_offered, post,
};
use crate::credential::{Credential, Record};
use crate::failure::Failure;
use crate::oauth::Identity;
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct IFlow;

impl Provider for IFlow {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        match job.operation {
            Operation::Generate | Operation::Stream => {}
            Operation::CountTokens => return Err(not_offered("counting tokens")),
            Operation::Compact => return Err(not_offered("compaction")),
            other => return Err(not_offered(other.noun())),
        }
        let mut headers = base_headers(job.operation);
        bearer(&mut headers, credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        // Last, because what is configured may name another user agent.
        sign(&mut headers, credential, job.now);
        let body = fitted(&job.body.whole(), job.operation == Operation::Stream);
        post(job.addresses, format!("{}/chat/completions", credential.base_url), headers, body)
    }

    fn identity(&self) -> Identity {
        login::identity()
    }

    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        Some(Adopted::new(Profile::for_chat_base_url("", "iflow"), record, identity, "iflow"))
    }

    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        renew::renew(record, identity, now)
    }

    fn lead(&self) -> Option<Duration> {
        // What the keys of cookies want; those of browser logins, which could wait for another day, lose nothing.
        Some(Duration::from_hours(48))
    }
}

/// Source: the service checks `hex(HMAC-SHA256(key, "<user agent>:<session>:<milliseconds>"))`.
fn sign(headers: &mut HeaderMap, credential: &Credential, now: u64) {
    let Some(key) = credential.token() else { return };
    let session = session(&credential.scope);
    let time = now.saturating_mul(1000);
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    let signature = hmac::sign(&key, format!("{agent}:{session}:{time}").as_bytes());
    let mut hex = String::with_capacity(64);
    for nibble in signature.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0xF]) {
        hex.extend(char::from_digit(nibble.into(), 16));
    }
    let values =
        [("session-id", session), ("x-iflow-timestamp", time.to_string()), ("x-iflow-signature", hex)];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// The session of an account: always the same, and nobody can tell the account from it.
fn session(scope: &str) -> String {
    let hex = cliproxy_wire::id::hex("", 32, &["iflow session", scope]);
    let bytes = u128::from_str_radix(&hex, 16).unwrap_or_default().to_be_bytes();
    format!("session-{}", uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// A list of no tools upsets a stream of the service; without the list it is well.
fn fitted(body: &Bytes, is_stream: bool) -> Bytes {
    chat_body::edited(body, |body| {
        let mut edits = Vec::new();
        if is_stream {
            edits.push(chat_body::usage_wish());
            if !chat_body::offers_tools(body) {
                edits.extend(["tools", "tool_choice"].map(|name| Edit::remove(Path::root().key(name))));
            }
        }
        edits
    })
}

#[cfg(test)]
mod tests;
