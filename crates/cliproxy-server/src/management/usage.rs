//! What was used: the ledger, for panels of every age.

use std::collections::BTreeMap;
use std::io;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use cliproxy_core::engine::Recent;
use cliproxy_core::secret::Secret;
use cliproxy_core::usage::{Cursor, Export, Exported, Ledger, NotImported, Queued, Span, Statistics, csv};
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::answer::{Content, JSON, Json, Outcome, Raw, Refusal, Reply as _};
use super::route::Parameter;
use super::{Ask, Endpoint, endpoint, history};
use crate::clock::now;

/// Rows that are read at a time.
const PAGE: u64 = 1000;
/// Largest export that is taken in, packed and unpacked: it goes by way of the disk.
const LARGEST: usize = 2 << 30;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, "/usage", "Requests and tokens on record", |ask: Ask| async move {
            let usage = statistics(&ask).await?;
            Ok(Json(Usage { failed_requests: usage.failure_count, usage }))
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
        )
        .asks([Parameter::word("format", "`json` when left out", &["json", "csv"])])
        .gives_any(|generator| {
            vec![Content::json(generator.subschema_for::<Everything>()), Content::text("text/csv")]
        }),
        endpoint(
            Method::POST,
            "/usage/import",
            "Takes in what was exported here or by the existing program",
            import,
        )
        .spools(LARGEST)
        .or_reads(JSON, SchemaGenerator::subschema_for::<Exported>),
        endpoint(
            Method::GET,
            "/api-key-usage",
            "How it went with each upstream key",
            |ask: Ask| async move { Ok(Json(key_usage(&ask))) },
        ),
        endpoint(Method::GET, "/usage-queue", "Takes the oldest `count` records away", queue)
            .asks([Parameter::number("count", "records, 1 when left out")]),
    ]
}

/// What is on record.
#[derive(Serialize, JsonSchema)]
struct Usage {
    failed_requests: u64,
    usage: Statistics,
}

/// What is on record, to keep.
#[derive(Serialize, JsonSchema)]
struct Everything {
    version: u64,
    /// RFC 3339.
    exported_at: String,
    usage: Statistics,
}

/// What is on record; nothing where nothing is collected.
async fn statistics(ask: &Ask) -> Result<Statistics, Refusal> {
    let ids = ask.app.engine.short_ids();
    history::read(ask, move |ledger| ledger.statistics(now(), &ids)).await
}

/// Everything on record, read as far as the client takes it.
async fn export(ask: &Ask) -> Outcome<Raw> {
    let exported_at = cliproxy_core::time::rfc3339(now()).unwrap_or_default();
    let Some(ledger) = ask.console.records.ledger.clone() else {
        let usage = statistics(ask).await?;
        return Ok(Raw(Json(Everything { version: 1, exported_at, usage }).render()));
    };
    let pieces = stream::unfold(
        Some(Export::new(ledger, exported_at, ask.app.engine.short_ids())),
        |export| async move {
            let mut export = export?;
            let reading = tokio::task::spawn_blocking(move || (export.next_piece(), export));
            match reading.await {
                Ok((Ok(Some(piece)), export)) => Some((Ok(Bytes::from(piece)), Some(export))),
                Ok((Ok(None), _)) => None,
                // The client sees a body that breaks off.
                Ok((Err(error), _)) => Some((Err(io::Error::other(error)), None)),
                Err(error) => Some((Err(io::Error::other(error)), None)),
            }
        },
    );
    let mut response = Response::new(Body::from_stream(pieces));
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(Raw(response))
}

/// What came of an import.
#[derive(Serialize, JsonSchema)]
struct Imported {
    /// Requests that were not on record.
    added: u64,
    /// Those that were, or have no time.
    skipped: u64,
    total_requests: u64,
    failed_requests: u64,
}

async fn import(ask: Ask) -> Outcome<Json<Imported>> {
    let failed = |text: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text);
    let (Some(ledger), Some(body)) = (ask.console.records.ledger.clone(), ask.spooled) else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "there is no place for usage records"));
    };
    let work = move || {
        let imported = ledger.import(|| body.open())?;
        Ok((imported, ledger.totals(Span::ALL)?))
    };
    let result: Result<_, NotImported> =
        tokio::task::spawn_blocking(work).await.map_err(|_panic| failed("the import failed".to_owned()))?;
    match result {
        Ok((imported, totals)) => Ok(Json(Imported {
            added: imported.added,
            skipped: imported.skipped,
            total_requests: totals.requests,
            failed_requests: totals.failures(),
        })),
        Err(why @ (NotImported::Malformed | NotImported::Version)) => Err(Refusal::bad(why.to_string())),
        Err(NotImported::Unreadable(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
            let text = format!("the unpacked request body is larger than {} MiB", LARGEST >> 20);
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text))
        }
        Err(why @ NotImported::Unreadable(_)) => Err(Refusal::bad(why.to_string())),
        Err(NotImported::Ledger(error)) => Err(failed(error.to_string())),
    }
}

/// By provider, and then by address and key, as panels look for it.
type KeyUsage = BTreeMap<String, BTreeMap<String, OneKey>>;

/// How it went with one key.
#[derive(Serialize, JsonSchema)]
struct OneKey {
    success: u64,
    failed: u64,
    recent_requests: Vec<Recent>,
}

/// How it went with each key.
fn key_usage(ask: &Ask) -> KeyUsage {
    let mut providers = KeyUsage::new();
    for (credential, activity) in ask.app.engine.keys(now()) {
        let key = credential.key.as_ref().map_or("", Secret::expose);
        let shown = OneKey {
            success: activity.success,
            failed: activity.failed,
            recent_requests: activity.recent_requests,
        };
        let keys = providers.entry(credential.provider.to_lowercase()).or_default();
        keys.insert(format!("{}|{key}", credential.base_url), shown);
    }
    providers
}

async fn queue(ask: Ask) -> Outcome<Json<Vec<Queued>>> {
    let count = match ask.query("count") {
        None => 1,
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| Refusal::bad("count must be a positive integer"))?,
    };
    Ok(Json(ask.console.records.queue.take(count, now(), &ask.app.engine.short_ids())))
}

/// Every request, oldest first, read as far as the client takes it.
fn as_csv(ask: &Ask) -> Raw {
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
    Raw(response)
}
