//! What was used: the ledger, for panels of every age.

use cliproxy_core::usage::Statistics;
use http::{Method, StatusCode};
use serde_json::json;

use super::answer::{Outcome, Refusal, ok};
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, "/usage", "Requests and tokens on record", |ask: Ask| async move {
            let usage = statistics(&ask).await?;
            Ok(ok(&json!({"failed_requests": usage.failure_count, "usage": usage})))
        }),
        endpoint(Method::GET, "/usage/export", "The same, to keep", |ask: Ask| async move {
            let usage = statistics(&ask).await?;
            let exported_at = cliproxy_core::oauth::rfc3339(now()).unwrap_or_default();
            Ok(ok(&json!({"version": 1, "exported_at": exported_at, "usage": usage})))
        }),
        endpoint(Method::GET, "/api-key-usage", "Counts by upstream key: none are kept", |_ask: Ask| async {
            Ok(ok(&json!({})))
        }),
        endpoint(Method::GET, "/usage-queue", "Records to be taken away: none are queued", queue),
    ]
}

/// What is on record; nothing where nothing is collected.
async fn statistics(ask: &Ask) -> Result<Statistics, Refusal> {
    let Some(ledger) = ask.console.ledger.clone() else { return Ok(Statistics::default()) };
    let reading = tokio::task::spawn_blocking(move || ledger.statistics(now()));
    let failed = |text: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text);
    let read = reading.await.map_err(|_panic| failed("the usage ledger cannot be read".to_owned()))?;
    read.map_err(|error| failed(error.to_string()))
}

async fn queue(ask: Ask) -> Outcome {
    let is_count = |text: &str| text.parse::<u64>().is_ok_and(|count| count > 0);
    if ask.query("count").is_some_and(|count| !is_count(count)) {
        return Err(Refusal::bad("count must be a positive integer"));
    }
    Ok(ok(&json!([])))
}
