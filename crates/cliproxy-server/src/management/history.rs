//! What the ledger has on record, for charts and tables: sums by name, sums over time, single requests.

use cliproxy_core::usage::{By, Cursor, Ledger, LedgerError, Row, Series, Span, Steps, Totals};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Json, Outcome, Refusal};
use super::route::Parameter;
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

/// Most steps of a series.
const STEPS: u64 = 2000;
/// Most lines of a series.
const LINES: usize = 50;
/// Most requests of a page.
const PAGE: u64 = 1000;
/// The length of a day, and of the usual step, in seconds.
const DAY: u64 = 24 * 3600;
const HOUR: u64 = 3600;

/// What sums are made by.
const WORDS: &[&str] = &["none", "model", "credential", "provider", "client", "format", "outcome", "lane"];

/// What each of them stands for.
const BY_WORD: [By; 8] =
    [By::Nothing, By::Model, By::Credential, By::Provider, By::Client, By::Format, By::Outcome, By::Lane];

const BY: Parameter = Parameter::word("by", "what sums are made by", WORDS);
const FROM: Parameter = Parameter::number("from", "Unix seconds, included");
const UNTIL: Parameter = Parameter::number("until", "Unix seconds, excluded");

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, "/usage/totals", "Sums `by` name, `from` and `until` Unix seconds", totals)
            .asks([BY, FROM, UNTIL]),
        endpoint(
            Method::GET,
            "/usage/series",
            "Sums over time `by` name, `from` and `until` Unix seconds, in steps of `step` seconds",
            series,
        )
        .asks([
            BY,
            FROM,
            UNTIL,
            Parameter::number("step", "seconds"),
            Parameter::number("top", "names with lines of their own"),
        ]),
        endpoint(
            Method::GET,
            "/usage/requests",
            "Single requests, newest first; `before` goes on where a page ended",
            requests,
        )
        .asks([
            Parameter::number("limit", "requests of a page"),
            Parameter::text("before", "`next` of the page before"),
            FROM,
            UNTIL,
        ]),
    ]
}

/// Asks the ledger away from the threads that serve; gives `T::default()` where nothing is kept.
pub(super) async fn read<T: Default + Send + 'static>(
    ask: &Ask,
    question: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Refusal> {
    let Some(ledger) = ask.console.records.ledger.clone() else { return Ok(T::default()) };
    let reading = tokio::task::spawn_blocking(move || question(&ledger));
    let failed = |text: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text);
    let read = reading.await.map_err(|_panic| failed("the usage ledger cannot be read".to_owned()))?;
    read.map_err(|error| failed(error.to_string()))
}

fn number(ask: &Ask, name: &'static str) -> Result<Option<u64>, Refusal> {
    let Some(text) = ask.query(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_malformed| Refusal::bad(format!("{name} must be a number")))
}

/// What sums are to be made by, and the word for it.
fn by(ask: &Ask) -> Result<(&'static str, By), Refusal> {
    let asked = ask.query("by").unwrap_or("none");
    let found = WORDS.iter().copied().zip(BY_WORD).find(|(word, _)| *word == asked);
    found.ok_or_else(|| {
        let (last, others) = WORDS.split_last().unwrap_or((&"", &[]));
        Refusal::bad(format!("by must be {} or {last}", others.join(", ")))
    })
}

fn span(ask: &Ask, usual: u64) -> Result<Span, Refusal> {
    let until = number(ask, "until")?.unwrap_or_else(|| now() + 1);
    let from = number(ask, "from")?.unwrap_or_else(|| until.saturating_sub(usual));
    if from >= until {
        return Err(Refusal::bad("from must be before until"));
    }
    Ok(Span { from, until })
}

/// Sums by name.
#[derive(Serialize, JsonSchema)]
struct Sums {
    from: u64,
    until: u64,
    total: Totals,
    /// Most requests first.
    by: Vec<NamedTotals>,
}

/// The sums of one name.
#[derive(Serialize, JsonSchema)]
struct NamedTotals {
    #[serde(flatten)]
    totals: Totals,
    /// Empty for what has none.
    name: String,
}

async fn totals(ask: Ask) -> Outcome<Json<Sums>> {
    let ((_, by), span) = (by(&ask)?, span(&ask, u64::MAX)?);
    let question = move |ledger: &Ledger| Ok((ledger.totals(span)?, ledger.totals_by(by, span)?));
    let (total, mut names): (Totals, Vec<(String, Totals)>) = read(&ask, question).await?;
    names.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.requests));
    let by = names.into_iter().map(|(name, totals)| NamedTotals { totals, name }).collect();
    Ok(Json(Sums { from: span.from, until: span.until, total, by }))
}

/// Sums over time: one array a number, one place a step.
#[derive(Serialize, JsonSchema)]
struct Chart {
    #[serde(flatten)]
    series: Series,
    from: u64,
    until: u64,
    /// Seconds.
    step: u64,
    /// What the lines are by.
    by: &'static str,
}

async fn series(ask: Ask) -> Outcome<Json<Chart>> {
    let ((word, by), span) = (by(&ask)?, span(&ask, DAY)?);
    let length = number(&ask, "step")?.unwrap_or(HOUR);
    if length == 0 {
        return Err(Refusal::bad("step must be a number of seconds"));
    }
    let steps = Steps { span, length };
    if steps.count() > STEPS {
        return Err(Refusal::bad(format!("more than {STEPS} steps; make them longer or the time shorter")));
    }
    let top = number(&ask, "top")?.unwrap_or(8);
    let top = usize::try_from(top).unwrap_or(LINES).clamp(1, LINES);
    let mut series: Series = read(&ask, move |ledger| ledger.series(by, steps, top)).await?;
    if ask.console.records.ledger.is_none() {
        series.times = (0..steps.count()).map(|step| span.from + step * length).collect();
    }
    Ok(Json(Chart { series, from: span.from, until: span.until, step: length, by: word }))
}

/// Single requests.
#[derive(Serialize, JsonSchema)]
struct Page {
    requests: Vec<Shown>,
    /// The `before` of the next page; `null` on the last one.
    next: Option<String>,
}

async fn requests(ask: Ask) -> Outcome<Json<Page>> {
    let span = span(&ask, u64::MAX)?;
    let most = number(&ask, "limit")?.unwrap_or(100).clamp(1, PAGE);
    let before = match ask.query("before") {
        Some(text) => Some(Cursor::parse(text).ok_or_else(|| Refusal::bad("before is no cursor"))?),
        None => None,
    };
    let rows: Vec<Row> = read(&ask, move |ledger| ledger.newest(span, before.as_ref(), most)).await?;
    let is_full = u64::try_from(rows.len()).is_ok_and(|count| count == most);
    let next = rows.last().filter(|_| is_full).map(|row| row.cursor().to_string());
    Ok(Json(Page { requests: rows.into_iter().map(Shown::from).collect(), next }))
}

/// A request on record: a row without what is of no use outside, its key and the version of the prices.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecordedRequest")]
struct Shown {
    request_id: String,
    /// When it came, in Unix seconds.
    at: u64,
    /// Name of the client key.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// The client's format.
    format: String,
    /// The model as the client wrote it.
    requested_model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    /// How the answer was carried.
    lane: String,
    attempts: u32,
    /// How it ended.
    outcome: String,
    /// Tokens read, those from a cache included.
    input: u64,
    /// Tokens written, reasoning included.
    output: u64,
    /// Part of `output`.
    reasoning: u64,
    /// Part of `input`.
    cache_read: u64,
    /// Part of `input`.
    cache_write: u64,
    /// The counts are the gateway's own estimate.
    is_estimated: bool,
    /// What it cost; absent when no price is configured for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// Until the first byte of content.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<u64>,
    /// Until the end.
    total_ms: u64,
}

impl From<Row> for Shown {
    fn from(row: Row) -> Self {
        Self {
            request_id: row.request_id,
            at: row.at,
            client: row.client,
            format: row.format,
            requested_model: row.requested_model,
            upstream_model: row.upstream_model,
            provider: row.provider,
            credential: row.credential,
            lane: row.lane,
            attempts: row.attempts,
            outcome: row.outcome,
            input: row.input,
            output: row.output,
            reasoning: row.reasoning,
            cache_read: row.cache_read,
            cache_write: row.cache_write,
            is_estimated: row.is_estimated,
            cost: row.cost,
            first_byte_ms: row.first_byte,
            total_ms: row.total,
        }
    }
}
