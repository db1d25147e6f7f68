//! What was used: the ledger, for panels of every age.

use std::collections::BTreeMap;
use std::io;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use cliproxy_core::secret::Secret;
use cliproxy_core::usage::{Cursor, Export, Ledger, NotImported, Span, Statistics, csv};
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, ok};
use super::{Ask, Endpoint, endpoint, history};
use crate::clock::now;

/// Rows that are read at a time.
const PAGE: u64 = 1000;
/// Largest export that is taken in.
const LARGEST: usize = 64 << 20;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, "/usage", "Requests and tokens on record", |ask: Ask| async move {
            let usage = statistics(&ask).await?;
            Ok(ok(&json!({"failed_requests": usage.failure_count, "usage": usage})))
        }),
        endpoint(
            Method::GET,
            "/usage/export",
            "All requests, to keep; `format=csv` for a table",
            |ask: Ask| async move {
                if ask.query("format") == Some("csv") {
                    return Ok(as_csv(&ask));
                }
                export(&ask).await
            },
        ),
        endpoint(
            Method::POST,
            "/usage/import",
            "Takes in what was exported here or by the existing program",
            import,
        )
        .takes(LARGEST),
        endpoint(
            Method::GET,
            "/api-key-usage",
            "How it went with each upstream key",
            |ask: Ask| async move { Ok(ok(&key_usage(&ask))) },
        ),
        endpoint(Method::GET, "/usage-queue", "Takes the oldest `count` records away", queue)
            .asks(&[("count", "records, 1 when left out")]),
    ]
}

/// What is on record; nothing where nothing is collected.
async fn statistics(ask: &Ask) -> Result<Statistics, Refusal> {
    history::read(ask, |ledger| ledger.statistics(now())).await
}

/// Everything on record, read as far as the client takes it.
async fn export(ask: &Ask) -> Outcome {
    let exported_at = cliproxy_core::oauth::rfc3339(now()).unwrap_or_default();
    let Some(ledger) = ask.console.records.ledger.clone() else {
        let usage = statistics(ask).await?;
        return Ok(ok(&json!({"version": 1, "exported_at": exported_at, "usage": usage})));
    };
    let pieces = stream::unfold(Some(Export::new(ledger, exported_at)), |export| async move {
        let mut export = export?;
        let reading = tokio::task::spawn_blocking(move || (export.next_piece(), export));
        match reading.await {
            Ok((Ok(Some(piece)), export)) => Some((Ok(Bytes::from(piece)), Some(export))),
            Ok((Ok(None), _)) => None,
            // The client sees a body that breaks off.
            Ok((Err(error), _)) => Some((Err(io::Error::other(error)), None)),
            Err(error) => Some((Err(io::Error::other(error)), None)),
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

async fn import(ask: Ask) -> Outcome {
    let failed = |text: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text);
    let Some(ledger) = ask.console.records.ledger.clone() else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "there is no place for usage records"));
    };
    let text = ask.body.clone();
    let work = move || {
        let imported = ledger.import(&text)?;
        Ok((imported, ledger.totals(Span::ALL)?))
    };
    let result: Result<_, NotImported> =
        tokio::task::spawn_blocking(work).await.map_err(|_panic| failed("the import failed".to_owned()))?;
    match result {
        Ok((imported, totals)) => Ok(ok(&json!({
            "added": imported.added, "skipped": imported.skipped,
            "total_requests": totals.requests, "failed_requests": totals.failed,
        }))),
        Err(why @ (NotImported::Malformed | NotImported::Version)) => Err(Refusal::bad(why.to_string())),
        Err(NotImported::Ledger(error)) => Err(failed(error.to_string())),
    }
}

/// How it went with each key, by provider and then by address and key, as panels look for it.
fn key_usage(ask: &Ask) -> Value {
    let mut providers: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for (credential, activity) in ask.app.engine.keys(now()) {
        let key = credential.key.as_ref().map_or("", Secret::expose);
        let shown = json!({
            "success": activity.success, "failed": activity.failed,
            "recent_requests": activity.recent_requests,
        });
        let keys = providers.entry(credential.provider.to_lowercase()).or_default();
        keys.insert(format!("{}|{key}", credential.base_url), shown);
    }
    json!(providers)
}

async fn queue(ask: Ask) -> Outcome {
    let count = match ask.query("count") {
        None => 1,
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| Refusal::bad("count must be a positive integer"))?,
    };
    Ok(ok(&json!(ask.console.records.queue.take(count, now()))))
}

/// Every request, oldest first, read as far as the client takes it.
fn as_csv(ask: &Ask) -> Response {
    let pages = stream::unfold(Some((ask.console.records.ledger.clone(), None)), |state| async move {
        let (ledger, after): (Option<Ledger>, Option<Cursor>) = state?;
        let head = if after.is_none() { csv::HEAD } else { "" };
        let reading = tokio::task::spawn_blocking(move || {
            let rows = ledger.as_ref().map(|ledger| ledger.oldest(Span::ALL, after.as_ref(), PAGE));
            (rows.unwrap_or_else(|| Ok(Vec::new())), ledger)
        });
        let (rows, ledger) = match reading.await {
            Ok((Ok(rows), ledger)) => (rows, ledger),
            // The client sees a body that breaks off.
            Ok((Err(error), _)) => return Some((Err(io::Error::other(error)), None)),
            Err(error) => return Some((Err(io::Error::other(error)), None)),
        };
        let text: String = std::iter::once(head.to_owned()).chain(rows.iter().map(csv::line)).collect();
        let next = rows.last().filter(|_| rows.len() as u64 == PAGE).map(|row| (ledger, Some(row.cursor())));
        Some((Ok(Bytes::from(text)), next))
    });
    let mut response = Response::new(Body::from_stream(pages));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"usage.csv\""));
    response
}
