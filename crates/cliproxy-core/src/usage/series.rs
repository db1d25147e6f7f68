//! The ledger over time, for charts: sums by name and step, made by the database; and single requests, newest first.

use std::cmp::Reverse;
use std::collections::HashMap;

use rusqlite::params;
use schemars::JsonSchema;
use serde::Serialize;

use super::ledger::stored;
use super::sum::{COLUMNS, SUMS, row};
use super::{By, Ledger, LedgerError, Row, Span, Totals};

/// Steps of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// All of them; the first step begins where the span does.
    pub span: Span,
    /// Length of one in seconds, at least 1.
    pub length: u64,
}

impl Steps {
    /// How many there are.
    pub fn count(self) -> u64 {
        self.span.until.saturating_sub(self.span.from).div_ceil(self.length.max(1))
    }
}

/// Sums over time: for each line one number a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// When each step begins, in Unix seconds.
    pub times: Vec<u64>,
    /// The lines, most requests first, what is left of the others last.
    pub series: Vec<Line>,
    /// The sum of everything.
    pub total: Totals,
}

/// The numbers of one name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "SeriesLine")]
pub struct Line {
    /// The name; empty for what has none.
    pub name: String,
    /// It is the sum of all names that have no line of their own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_rest: bool,
    /// Requests.
    pub requests: Vec<u64>,
    /// Those that failed.
    pub failed: Vec<u64>,
    /// Those whose client went away.
    pub cancelled: Vec<u64>,
    /// Tokens read.
    pub input: Vec<u64>,
    /// Tokens written.
    pub output: Vec<u64>,
    /// Part of `output`.
    pub reasoning: Vec<u64>,
    /// Part of `input`.
    pub cache_read: Vec<u64>,
    /// Part of `input`.
    pub cache_write: Vec<u64>,
    /// Costs, as far as prices are known.
    pub cost: Vec<f64>,
}

impl Line {
    fn new(name: String, is_rest: bool, length: usize) -> Self {
        let zeros = || vec![0; length];
        Self {
            name,
            is_rest,
            requests: zeros(),
            failed: zeros(),
            cancelled: zeros(),
            input: zeros(),
            output: zeros(),
            reasoning: zeros(),
            cache_read: zeros(),
            cache_write: zeros(),
            cost: vec![0.0; length],
        }
    }

    fn put(&mut self, at: usize, totals: &Totals) {
        let places = [
            (&mut self.requests, totals.requests),
            (&mut self.failed, totals.failed),
            (&mut self.cancelled, totals.cancelled),
            (&mut self.input, totals.input),
            (&mut self.output, totals.output),
            (&mut self.reasoning, totals.reasoning),
            (&mut self.cache_read, totals.cache_read),
            (&mut self.cache_write, totals.cache_write),
        ];
        for (list, number) in places {
            if let Some(place) = list.get_mut(at) {
                *place = number;
            }
        }
        if let Some(place) = self.cost.get_mut(at) {
            *place = totals.cost;
        }
    }
}

/// Where a list of requests, newest first, goes on: behind this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the request came.
    pub at: u64,
    /// Its key.
    pub key: String,
}

impl Cursor {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (at, key) = text.split_once('.')?;
        Some(Self { at: at.parse().ok()?, key: key.to_owned() })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.at, self.key)
    }
}

impl Ledger {
    /// Sums over time by name; the `top` names with the most requests have lines of their own. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn series(&self, by: By, steps: Steps, top: usize) -> Result<Series, LedgerError> {
        let total = self.totals(steps.span)?;
        let mut names = self.totals_by(by, steps.span)?;
        names.sort_by_key(|(_, totals)| Reverse(totals.requests));
        let has_rest = names.len() > top;
        names.truncate(top);
        let length = usize::try_from(steps.count()).unwrap_or_default();
        let times = (0..steps.count()).map(|number| steps.span.from + number * steps.length).collect();
        let mut lines: Vec<Line> =
            names.into_iter().map(|(name, _)| Line::new(name, false, length)).collect();
        let at: HashMap<String, usize> =
            lines.iter().enumerate().map(|(index, line)| (line.name.clone(), index)).collect();
        if has_rest {
            lines.push(Line::new(String::new(), true, length));
        }
        for (name, step, totals) in self.steps(by, steps, &at)? {
            let index = name.map_or(at.len(), |name| at.get(&name).copied().unwrap_or(usize::MAX));
            if let Some(line) = lines.get_mut(index) {
                line.put(usize::try_from(step).unwrap_or(usize::MAX), &totals);
            }
        }
        Ok(Series { times, series: lines, total })
    }

    /// The sums of each name and step; no name stands for all that are not among `names`.
    fn steps(
        &self,
        by: By,
        steps: Steps,
        names: &HashMap<String, usize>,
    ) -> Result<Vec<(Option<String>, u64, Totals)>, LedgerError> {
        let list = serde_json::Value::from(names.keys().map(String::as_str).collect::<Vec<_>>()).to_string();
        self.with(|database| {
            let name = by.expression();
            let mut statement = database.prepare_cached(&format!(
                "SELECT CASE WHEN {name} IN (SELECT value FROM json_each(?4)) THEN {name} END AS name,
                   (at - ?1) / ?3 AS step, {SUMS}
                 FROM request WHERE at >= ?1 AND at < ?2 GROUP BY 1, 2"
            ))?;
            let bounds =
                params![stored(steps.span.from), stored(steps.span.until), stored(steps.length), list];
            let rows = statement.query_map(bounds, |row| {
                let step: i64 = row.get(1)?;
                Ok((row.get(0)?, u64::try_from(step).unwrap_or_default(), Totals::read(row, 2)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Requests of a span, newest first, at most so many, behind `after` where it is given. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn newest(&self, span: Span, after: Option<&Cursor>, most: u64) -> Result<Vec<Row>, LedgerError> {
        let until = after.map_or(span.until, |cursor| cursor.at.saturating_add(1).min(span.until));
        let (at, key) = after.map_or((u64::MAX, ""), |cursor| (cursor.at, cursor.key.as_str()));
        self.page("(at < ?3 OR key < ?4) ORDER BY at DESC, key DESC", Span { until, ..span }, (at, key), most)
    }

    /// The same, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn oldest(&self, span: Span, after: Option<&Cursor>, most: u64) -> Result<Vec<Row>, LedgerError> {
        let from = after.map_or(span.from, |cursor| cursor.at.max(span.from));
        // Before the first row there is none.
        let (at, key) = after.map_or((from, ""), |cursor| (cursor.at, cursor.key.as_str()));
        self.page("(at > ?3 OR key > ?4) ORDER BY at, key", Span { from, ..span }, (at, key), most)
    }

    fn page(&self, which: &str, span: Span, after: (u64, &str), most: u64) -> Result<Vec<Row>, LedgerError> {
        self.carry()?;
        self.with(|database| {
            let mut statement = database.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM request WHERE at >= ?1 AND at < ?2 AND {which} LIMIT ?5"
            ))?;
            let (at, key) = after;
            let bounds = params![stored(span.from), stored(span.until), stored(at), key, stored(most)];
            let rows = statement.query_map(bounds, row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::ledger::tests::record;
    use crate::usage::{Outcome, Record, Sink as _};

    #[test]
    fn every_request_is_in_the_step_that_it_came_in() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(directory.path()).unwrap();
        for at in [99, 100, 109, 110, 129, 130] {
            ledger.record(&record("m", at));
        }
        ledger.record(&Record { outcome: Outcome::Failed, ..record("n", 111) });
        ledger.record(&record("o", 112));
        let steps = Steps { span: Span { from: 100, until: 130 }, length: 10 };
        let series = ledger.series(By::Model, steps, 1).unwrap();
        assert_eq!(series.times, [100, 110, 120]);
        let lines: Vec<_> =
            series.series.iter().map(|line| (&*line.name, line.is_rest, line.requests.clone())).collect();
        assert_eq!(lines, [("m", false, vec![2, 1, 1]), ("", true, vec![0, 2, 0])]);
        assert_eq!(series.series[1].failed, [0, 1, 0]);
        assert_eq!(series.series[0].input, [200, 100, 100]);
        assert_eq!((series.total.requests, series.total.input), (6, 600));
        let together = ledger.series(By::Nothing, steps, 8).unwrap();
        assert_eq!(together.series.len(), 1);
        assert_eq!(together.series[0].requests, [2, 3, 1]);
        assert!((together.series[0].cost.iter().sum::<f64>() - together.total.cost).abs() < 1e-9);
    }

    #[test]
    fn a_list_goes_on_where_it_ended_and_shows_each_request_once() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(directory.path()).unwrap();
        for _ in 0..25 {
            ledger.record(&record("m", 100));
            ledger.record(&record("m", 101));
        }
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = ledger.newest(Span::ALL, cursor.as_ref(), 7).unwrap();
            let Some(last) = page.last() else { break };
            cursor = Cursor::parse(&last.cursor().to_string());
            seen.extend(page.into_iter().map(|row| (row.at, row.key)));
        }
        assert_eq!(seen.len(), 50);
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
        assert_eq!(Cursor::parse("x.y"), None);
        let (mut oldest, mut cursor) = (Vec::new(), None);
        loop {
            let page = ledger.oldest(Span::ALL, cursor.as_ref(), 7).unwrap();
            let Some(last) = page.last() else { break };
            cursor = Some(last.cursor());
            oldest.extend(page.into_iter().map(|row| (row.at, row.key)));
        }
        seen.reverse();
        assert_eq!(oldest, seen);
    }
}
