//! What single client keys may do, and what they have used of it.

use cliproxy_core::access::{Caller, meter};
use cliproxy_core::config::entries::LIMITS;
use cliproxy_core::config::shape;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Done, Json, Outcome, Refusal};
use super::list::{
    BY_KEY, EntryPatch, LARGEST, Sent, change, delete_entry, entry_patch, patch_entry, sent, sent_shape,
    shown,
};
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

const PATH: &str = "/api-key-limits";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, PATH, "What single client keys may do", |ask| async move {
            shown(&ask, &LIMITS).await
        })
        .gives_member(LIMITS.key, |generator| shape::value(generator, LIMITS.key)),
        endpoint(Method::PUT, PATH, "Replaces what single client keys may do", replace)
            .takes(LARGEST)
            .reads_as::<Sent>(|generator| sent_shape(&shape::value(generator, LIMITS.key)))
            .edits(),
        endpoint(Method::PATCH, PATH, "Changes members of one entry; `null` removes one", |ask| async move {
            patch_entry(&ask, &LIMITS).await
        })
        .reads_as::<EntryPatch>(|generator| entry_patch(generator, &LIMITS))
        .edits(),
        endpoint(Method::DELETE, PATH, "Removes the limits of a key", |ask| async move {
            delete_entry(&ask, &LIMITS).await
        })
        .asks(BY_KEY)
        .edits(),
        endpoint(Method::GET, "/client-keys", "The client keys, masked, with what they have used", standing),
    ]
}

async fn replace(ask: Ask) -> Outcome<Json<Done>> {
    let new = sent(&ask)?;
    if !new.iter().all(Value::is_object) {
        return Err(Refusal::bad("invalid body"));
    }
    change(&ask, LIMITS.key, |_| Ok(new)).await
}

/// The client keys.
#[derive(Serialize, JsonSchema)]
struct ClientKeys {
    keys: Vec<ClientKey>,
}

/// A client key and how it stands with its limits.
#[derive(Serialize, JsonSchema)]
struct ClientKey {
    /// Its place in the configuration.
    index: usize,
    /// Its name in logs and in the ledger.
    client: Option<String>,
    /// The key, masked.
    label: String,
    /// Whose it is, for people.
    name: Option<String>,
    /// When it ends, in Unix seconds.
    expires: Option<u64>,
    is_expired: bool,
    has_limits: bool,
    /// What was used of each limit.
    windows: Vec<meter::Standing>,
}

async fn standing(ask: Ask) -> Outcome<Json<ClientKeys>> {
    let (snapshot, now) = (ask.app.engine.snapshot(), now());
    let one = |(index, (label, caller)): (usize, (String, &Caller))| {
        let allowance = caller.allowance.as_deref();
        let windows = allowance.map(|allowance| ask.app.engine.meter().standing(allowance, now));
        ClientKey {
            index,
            client: caller.key.as_deref().map(str::to_owned),
            label,
            name: allowance.and_then(|allowance| allowance.label.as_deref()).map(str::to_owned),
            expires: allowance.and_then(|allowance| allowance.expires),
            is_expired: allowance.is_some_and(|allowance| allowance.has_expired(now)),
            has_limits: allowance.is_some(),
            windows: windows.unwrap_or_default(),
        }
    };
    Ok(Json(ClientKeys { keys: snapshot.access.callers().enumerate().map(one).collect() }))
}
