//! Questions to the ledger: totals of a span, by what they are asked for, and the rows themselves.

use rusqlite::{OptionalExtension as _, params};
use schemars::JsonSchema;
use serde::Serialize;

use super::ledger::stored;
use super::{Ledger, LedgerError, Row};

/// A span of time in Unix seconds, its end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From.
    pub from: u64,
    /// Until.
    pub until: u64,
}

impl Span {
    /// All time.
    pub const ALL: Self = Self { from: 0, until: u64::MAX };
}

/// What totals are asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Everything together.
    Nothing,
    /// The model at the upstream; the requested one where none was reached.
    Model,
    /// The account or key.
    Credential,
    /// The provider.
    Provider,
    /// The client key.
    Client,
    /// The client's format.
    Format,
    /// How requests ended.
    Outcome,
    /// How answers were carried.
    Lane,
    /// The day, in the machine's time zone, as `YYYY-MM-DD`.
    Day,
    /// The hour of the day, in the machine's time zone, from `00` to `23`.
    Hour,
}

impl By {
    pub(super) fn expression(self) -> &'static str {
        match self {
            Self::Nothing => "''",
            Self::Model => "coalesce(upstream_model, requested_model)",
            Self::Credential => "coalesce(credential, '')",
            Self::Provider => "coalesce(provider, '')",
            Self::Client => "coalesce(client, '')",
            Self::Format => "format",
            Self::Outcome => "outcome",
            Self::Lane => "lane",
            Self::Day => "strftime('%Y-%m-%d', at, 'unixepoch', 'localtime')",
            Self::Hour => "strftime('%H', at, 'unixepoch', 'localtime')",
        }
    }
}

/// What was used in a span of time, of what can be limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Used {
    /// Requests.
    pub requests: u64,
    /// Tokens, read and written.
    pub tokens: u64,
    /// Costs.
    pub cost: f64,
}

/// Sums over requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Totals {
    /// Requests.
    pub requests: u64,
    /// Those whose answer came whole.
    pub complete: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose client went away.
    pub cancelled: u64,
    /// Those that were on their way when the process was killed.
    pub killed: u64,
    /// Tokens read, those from a cache included.
    pub input: u64,
    /// Tokens written, reasoning included.
    pub output: u64,
    /// Part of `output` that was reasoning.
    pub reasoning: u64,
    /// Part of `input` that was read from a cache.
    pub cache_read: u64,
    /// Part of `input` that was written to a cache.
    pub cache_write: u64,
    /// What those cost for whose model a price was configured.
    pub cost: f64,
    /// Requests without a price.
    pub unpriced: u64,
}

pub(super) const SUMS: &str =
    "count(*), coalesce(sum(outcome = 'complete'), 0), coalesce(sum(outcome = 'failed'), 0),
  coalesce(sum(outcome = 'cancelled'), 0), coalesce(sum(outcome = 'killed'), 0),
  coalesce(sum(input), 0), coalesce(sum(output), 0),
  coalesce(sum(reasoning), 0), coalesce(sum(cache_read), 0), coalesce(sum(cache_write), 0),
  coalesce(sum(cost), 0.0), coalesce(sum(cost IS NULL), 0)";

impl Totals {
    /// Requests whose client was left without an answer, as panels that know two ends count them.
    pub fn failures(&self) -> u64 {
        self.failed + self.killed
    }

    pub(super) fn read(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let number =
            |at: usize| row.get::<_, i64>(first + at).map(|number| u64::try_from(number).unwrap_or(0));
        Ok(Self {
            requests: number(0)?,
            complete: number(1)?,
            failed: number(2)?,
            cancelled: number(3)?,
            killed: number(4)?,
            input: number(5)?,
            output: number(6)?,
            reasoning: number(7)?,
            cache_read: number(8)?,
            cache_write: number(9)?,
            cost: row.get(first + 10)?,
            unpriced: number(11)?,
        })
    }
}

impl Ledger {
    /// The totals of a span. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn totals(&self, span: Span) -> Result<Totals, LedgerError> {
        self.carry()?;
        self.with(|database| {
            let mut statement =
                database.prepare_cached(&format!("SELECT {SUMS} FROM request WHERE at >= ?1 AND at < ?2"))?;
            let totals = statement
                .query_row(params![stored(span.from), stored(span.until)], |row| Totals::read(row, 0))
                .optional()?;
            Ok(totals.unwrap_or_default())
        })
    }

    /// What a client key has used since a time, in Unix seconds. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn used(&self, client: &str, from: u64) -> Result<Used, LedgerError> {
        self.carry()?;
        self.with(|database| {
            let mut statement = database.prepare_cached(
                "SELECT count(*), coalesce(sum(input + output), 0), coalesce(sum(cost), 0.0)
                 FROM request WHERE at >= ?1 AND client = ?2",
            )?;
            let used = statement.query_row(params![stored(from), client], |row| {
                let number =
                    |at: usize| row.get::<_, i64>(at).map(|number| u64::try_from(number).unwrap_or(0));
                Ok(Used { requests: number(0)?, tokens: number(1)?, cost: row.get(2)? })
            })?;
            Ok(used)
        })
    }

    /// The totals of a span by name, in the order of the names. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn totals_by(&self, by: By, span: Span) -> Result<Vec<(String, Totals)>, LedgerError> {
        self.carry()?;
        self.with(|database| {
            let mut statement = database.prepare_cached(&format!(
                "SELECT {} AS name, {SUMS} FROM request WHERE at >= ?1 AND at < ?2 GROUP BY name ORDER BY name",
                by.expression()
            ))?;
            let rows = statement.query_map(params![stored(span.from), stored(span.until)], |row| {
                Ok((row.get(0)?, Totals::read(row, 1)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The rows of a span, oldest first, at most so many, without the first `skip`. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn rows(&self, span: Span, skip: u64, most: u64) -> Result<Vec<Row>, LedgerError> {
        self.carry()?;
        self.with(|database| {
            let mut statement = database.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM request WHERE at >= ?1 AND at < ?2 ORDER BY at, key LIMIT ?3 OFFSET ?4"
            ))?;
            let bounds = params![stored(span.from), stored(span.until), stored(most), stored(skip)];
            let rows = statement.query_map(bounds, row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// What [`row`] reads, in its order.
pub(super) const COLUMNS: &str = "key, request_id, at, client, format, requested_model, upstream_model, provider,
  credential, lane, attempts, outcome, input, output, reasoning, cache_read, cache_write, is_estimated, first_byte,
  total, cost, prices";

pub(super) fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let number = |at: usize| row.get::<_, i64>(at).map(|number| u64::try_from(number).unwrap_or(0));
    Ok(Row {
        key: row.get(0)?,
        request_id: row.get(1)?,
        at: number(2)?,
        client: row.get(3)?,
        format: row.get(4)?,
        requested_model: row.get(5)?,
        upstream_model: row.get(6)?,
        provider: row.get(7)?,
        credential: row.get(8)?,
        lane: row.get(9)?,
        attempts: row.get(10)?,
        outcome: row.get(11)?,
        input: number(12)?,
        output: number(13)?,
        reasoning: number(14)?,
        cache_read: number(15)?,
        cache_write: number(16)?,
        is_estimated: row.get(17)?,
        first_byte: row.get::<_, Option<i64>>(18)?.and_then(|number| u64::try_from(number).ok()),
        total: number(19)?,
        cost: row.get(20)?,
        prices: row.get(21)?,
    })
}
