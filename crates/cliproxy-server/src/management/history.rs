//! What the ledger has on record, for charts and tables: sums by name, sums over time, single requests.

use cliproxy_core::usage::{By, Cursor, Ledger, LedgerError, Row, Series, Span, Steps, Totals};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, ok};
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

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, "/usage/totals", "Sums `by` name, `from` and `until` Unix seconds", totals)
            .asks(&[
                ("by", "`none`, `model`, `credential`, `provider`, `client`, `format`, `outcome` or `lane`"),
                ("from", "Unix seconds, included"),
                ("until", "Unix seconds, excluded"),
            ]),
        endpoint(
            Method::GET,
            "/usage/series",
            "Sums over time `by` name, `from` and `until` Unix seconds, in steps of `step` seconds",
            series,
        )
        .asks(&[
            ("by", "`none`, `model`, `credential`, `provider`, `client`, `format`, `outcome` or `lane`"),
            ("from", "Unix seconds, included"),
            ("until", "Unix seconds, excluded"),
            ("step", "seconds"),
            ("top", "names with lines of their own"),
        ]),
        endpoint(
            Method::GET,
            "/usage/requests",
            "Single requests, newest first; `before` goes on where a page ended",
            requests,
        )
        .asks(&[
            ("limit", "requests of a page"),
            ("before", "`next` of the page before"),
            ("from", "Unix seconds, included"),
            ("until", "Unix seconds, excluded"),
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

fn by(ask: &Ask) -> Result<By, Refusal> {
    Ok(match ask.query("by").unwrap_or("none") {
        "none" => By::Nothing,
        "model" => By::Model,
        "credential" => By::Credential,
        "provider" => By::Provider,
        "client" => By::Client,
        "format" => By::Format,
        "outcome" => By::Outcome,
        "lane" => By::Lane,
        _ => {
            return Err(Refusal::bad(
                "by must be none, model, credential, provider, client, format, outcome or lane",
            ));
        }
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

async fn totals(ask: Ask) -> Outcome {
    let (by, span) = (by(&ask)?, span(&ask, u64::MAX)?);
    let question = move |ledger: &Ledger| Ok((ledger.totals(span)?, ledger.totals_by(by, span)?));
    let (total, mut names): (Totals, Vec<(String, Totals)>) = read(&ask, question).await?;
    names.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.requests));
    let names: Vec<Value> = names
        .into_iter()
        .map(|(name, totals)| {
            let mut one = json!(totals);
            if let Value::Object(one) = &mut one {
                one.insert("name".to_owned(), name.into());
            }
            one
        })
        .collect();
    Ok(ok(&json!({"from": span.from, "until": span.until, "total": total, "by": names})))
}

async fn series(ask: Ask) -> Outcome {
    let (by, span) = (by(&ask)?, span(&ask, DAY)?);
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
    let series: Series = read(&ask, move |ledger| ledger.series(by, steps, top)).await?;
    let mut body = json!(series);
    if let Value::Object(body) = &mut body {
        if ask.console.records.ledger.is_none() {
            let times: Vec<u64> = (0..steps.count()).map(|step| span.from + step * length).collect();
            body.insert("times".to_owned(), times.into());
        }
        body.insert("from".to_owned(), span.from.into());
        body.insert("until".to_owned(), span.until.into());
        body.insert("step".to_owned(), length.into());
        body.insert("by".to_owned(), ask.query("by").unwrap_or("none").into());
    }
    Ok(ok(&body))
}

async fn requests(ask: Ask) -> Outcome {
    let span = span(&ask, u64::MAX)?;
    let most = number(&ask, "limit")?.unwrap_or(100).clamp(1, PAGE);
    let before = match ask.query("before") {
        Some(text) => Some(Cursor::parse(text).ok_or_else(|| Refusal::bad("before is no cursor"))?),
        None => None,
    };
    let rows: Vec<Row> = read(&ask, move |ledger| ledger.newest(span, before.as_ref(), most)).await?;
    let is_full = u64::try_from(rows.len()).is_ok_and(|count| count == most);
    let next = rows.last().filter(|_| is_full).map(|row| row.cursor().to_string());
    let rows: Vec<Value> = rows.iter().map(shown).collect();
    Ok(ok(&json!({"requests": rows, "next": next})))
}

/// A row without what is of no use outside: its key and the version of the prices.
fn shown(row: &Row) -> Value {
    let mut shown = json!(row);
    if let Value::Object(members) = &mut shown {
        members.shift_remove("key");
        members.shift_remove("prices");
        for (name, unit) in [("first_byte", "first_byte_ms"), ("total", "total_ms")] {
            if let Some(value) = members.shift_remove(name) {
                members.insert(unit.to_owned(), value);
            }
        }
    }
    shown
}
