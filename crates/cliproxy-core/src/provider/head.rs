//! Headers of requests: our own, the client's that may travel, the credential's, and those that an entry configures.

use cliproxy_wire::fault::{Fault, Kind as FaultKind};
use cliproxy_wire::json;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Job, Operation};
use crate::PRODUCT;
use crate::credential::{Credential, Header};
use crate::failure::{Failure, Rest, Retry};

/// Headers in which clients of Responses name a conversation.
pub(super) const SESSION_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("session_id"),
    HeaderName::from_static("session-id"),
    HeaderName::from_static("conversation_id"),
];

/// Headers that every JSON request has.
pub(super) fn base_headers(operation: Operation) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    let json = const { HeaderValue::from_static("application/json") };
    let events = const { HeaderValue::from_static("text/event-stream") };
    headers.insert(CONTENT_TYPE, json.clone());
    headers.insert(ACCEPT, if operation == Operation::Stream { events } else { json });
    // Compressed events would have to be unpacked to be forwarded one by one.
    headers.insert(ACCEPT_ENCODING, const { HeaderValue::from_static("identity") });
    headers.insert(USER_AGENT, const { HeaderValue::from_static(PRODUCT) });
    headers
}

/// The content type of a body that is the client's form: images to change come as files of one.
pub(super) fn form_type(job: &Job<'_>) -> Option<HeaderValue> {
    if job.operation != Operation::Redraw {
        return None;
    }
    let kind = job.client_headers.get(CONTENT_TYPE)?;
    let is_form = kind.as_bytes().to_ascii_lowercase().starts_with(b"multipart/form-data");
    is_form.then(|| kind.clone())
}

fn insert_secret(headers: &mut HeaderMap, name: HeaderName, value: String) -> Result<(), Failure> {
    let Ok(mut value) = HeaderValue::try_from(value) else {
        let fault = Fault::new(
            FaultKind::Api,
            "the configured key holds characters that no header may carry; check the key in config.yaml",
        );
        return Err(Failure::gateway(fault).with_retry(Retry::Next(Rest::Unauthorized)));
    };
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

pub(super) fn bearer(headers: &mut HeaderMap, credential: &Credential) -> Result<(), Failure> {
    match credential.token() {
        Some(key) if !key.is_empty() => {
            // Written at once in its length; this is on the way of every request.
            insert_secret(headers, AUTHORIZATION, ["Bearer ", key.expose()].concat())
        }
        _ => Ok(()),
    }
}

pub(super) fn key_header(
    headers: &mut HeaderMap,
    name: &'static str,
    credential: &Credential,
) -> Result<(), Failure> {
    match &credential.key {
        Some(key) => insert_secret(headers, HeaderName::from_static(name), key.expose().to_owned()),
        None => Ok(()),
    }
}

/// Copies the client's headers that `wanted` names.
pub(super) fn copy_headers(headers: &mut HeaderMap, client: &HeaderMap, wanted: impl Fn(&str) -> bool) {
    for name in client.keys() {
        if wanted(name.as_str()) {
            for value in client.get_all(name) {
                headers.append(name, value.clone());
            }
        }
    }
}

/// Applies the headers that the entry configures; they win over everything.
pub(super) fn configured_headers(headers: &mut HeaderMap, credential: &Credential, client: &HeaderMap) {
    for (name, value) in &credential.headers {
        match value {
            Header::Fixed(value) => {
                headers.insert(name, value.clone());
            }
            Header::FromClient(source) => {
                if let Some(value) = client.get(source) {
                    headers.insert(name, value.clone());
                }
            }
        }
    }
}

/// The client's own name of its conversation.
pub(crate) fn session(client: &HeaderMap) -> Option<&str> {
    let named = SESSION_HEADERS.iter().find_map(|name| client.get(name)?.to_str().ok());
    named.filter(|name| !name.is_empty())
}

/// The name by which a Responses body has its prompt cached.
pub(super) fn cache_key(body: &[u8]) -> Option<HeaderValue> {
    let key = json::member(std::str::from_utf8(body).ok()?, "prompt_cache_key")?;
    HeaderValue::try_from(json::Raw::new(key).to_text()?).ok()
}
