//! What single client keys may do, and what they have used of it.

use cliproxy_core::config::entries::LIMITS;
use http::Method;
use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, ok};
use super::list::{LARGEST, change, delete_entry, items, patch_entry, sent};
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

const PATH: &str = "/api-key-limits";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, PATH, "What single client keys may do", |ask: Ask| async move {
            let document = ask.console.keeper.document().await?;
            Ok(ok(&json!({LIMITS.key: items(&document, LIMITS.key)})))
        }),
        endpoint(Method::PUT, PATH, "Replaces what single client keys may do", replace).takes(LARGEST),
        endpoint(Method::PATCH, PATH, "Changes members of one entry", |ask: Ask| async move {
            patch_entry(&ask, &LIMITS).await
        }),
        endpoint(Method::DELETE, PATH, "Removes the limits of a key", |ask: Ask| async move {
            delete_entry(&ask, &LIMITS).await
        }),
        endpoint(Method::GET, "/client-keys", "The client keys, masked, with what they have used", standing),
    ]
}

async fn replace(ask: Ask) -> Outcome {
    let new = sent(&ask)?;
    if !new.iter().all(Value::is_object) {
        return Err(Refusal::bad("invalid body"));
    }
    change(&ask, LIMITS.key, |_| Ok(new)).await
}

async fn standing(ask: Ask) -> Outcome {
    let (snapshot, now) = (ask.app.engine.snapshot(), now());
    let one = |(index, (shown, caller)): (usize, (String, &cliproxy_core::access::Caller))| {
        let allowance = caller.allowance.as_deref();
        json!({
            "index": index,
            "client": caller.key.as_deref(),
            "label": shown,
            "name": allowance.and_then(|allowance| allowance.label.as_deref()),
            "expires": allowance.and_then(|allowance| allowance.expires),
            "is_expired": allowance.is_some_and(|allowance| allowance.has_expired(now)),
            "has_limits": allowance.is_some(),
            "windows": allowance.map(|allowance| ask.app.engine.meter().standing(allowance, now)).unwrap_or_default(),
        })
    };
    let keys: Vec<Value> = snapshot.access.callers().enumerate().map(one).collect();
    Ok(ok(&json!({"keys": keys})))
}
