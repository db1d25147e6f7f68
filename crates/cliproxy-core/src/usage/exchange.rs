//! The ledger in the shape in which the existing program keeps its statistics, written piece by piece. Taking it in is
//! the business of [`import`](super::import).

use std::collections::{BTreeMap, HashMap};
use std::io;

use rusqlite::params;

use super::ledger::stored;
use super::panel::{ShortIds, client_name, detail};
use super::sum::{COLUMNS, row};
use super::{Cursor, Ledger, LedgerError, Row, Statistics};

/// Requests that are read at a time.
const PAGE: u64 = 1000;

/// Writes everything on record, piece by piece.
#[derive(Debug)]
pub struct Export {
    ledger: Ledger,
    exported_at: String,
    ids: ShortIds,
    state: State,
}

#[derive(Debug)]
enum State {
    Begun,
    /// Model after model of client after client.
    Models {
        list: std::vec::IntoIter<Group>,
        now: Option<(Group, Option<Cursor>)>,
        client: Option<String>,
    },
    Over,
}

/// The requests of one client for one model.
#[derive(Clone, Debug)]
struct Group {
    client: String,
    model: String,
    requests: u64,
    tokens: u64,
    /// Sums of the client, for its head.
    of_client: (u64, u64),
}

impl Export {
    /// An export at a time, RFC 3339.
    pub fn new(ledger: Ledger, exported_at: String, ids: ShortIds) -> Self {
        Self { ledger, exported_at, ids, state: State::Begun }
    }

    /// The next piece of the JSON; `None` at the end. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_piece(&mut self) -> Result<Option<String>, LedgerError> {
        match &mut self.state {
            State::Begun => {
                let (head, groups) = head(&self.ledger, &self.exported_at)?;
                self.state = State::Models { list: groups.into_iter(), now: None, client: None };
                Ok(Some(head))
            }
            State::Models { list, now, client } => {
                let mut text = String::new();
                if now.is_none() {
                    let Some(group) = list.next() else {
                        // The client that is open, if any, then everything around it.
                        text.push_str(if client.is_some() { "}}}}}" } else { "}}}" });
                        self.state = State::Over;
                        return Ok(Some(text));
                    };
                    open(&mut text, client, &group);
                    *now = Some((group, None));
                }
                let Some((group, after)) = now else { return Ok(None) };
                let rows = self.ledger.of_group(&group.client, &group.model, after.as_ref())?;
                for row in &rows {
                    text.push_str(if after.is_none() && text.ends_with('[') { "" } else { "," });
                    text.push_str(&serde_json::to_string(&detail(row, &self.ids)).map_err(io::Error::from)?);
                }
                if let Some(last) = rows.last().filter(|_| rows.len() as u64 == PAGE) {
                    *after = Some(last.cursor());
                } else {
                    text.push_str("]}");
                    *now = None;
                }
                Ok(Some(text))
            }
            State::Over => Ok(None),
        }
    }
}

/// The sums of everything, up to where the clients begin.
fn head(ledger: &Ledger, exported_at: &str) -> Result<(String, Vec<Group>), LedgerError> {
    let statistics = Statistics { apis: BTreeMap::new(), ..ledger.sums()? };
    let usage = serde_json::to_value(&statistics).map_err(io::Error::from)?;
    let mut sums: Vec<String> = Vec::new();
    for (name, value) in usage.as_object().into_iter().flatten().filter(|(name, _)| *name != "apis") {
        sums.push(format!("{}:{value}", quoted(name)));
    }
    let mut groups: Vec<Group> = Vec::new();
    for (client, model, requests, tokens) in ledger.by_client_and_model()? {
        groups.push(Group { client, model, requests, tokens, of_client: (0, 0) });
    }
    groups.sort_by(|a, b| (&a.client, &a.model).cmp(&(&b.client, &b.model)));
    let mut of_clients: HashMap<String, (u64, u64)> = HashMap::new();
    for group in &groups {
        let sums = of_clients.entry(group.client.clone()).or_default();
        sums.0 += group.requests;
        sums.1 += group.tokens;
    }
    for group in &mut groups {
        group.of_client = of_clients.get(&group.client).copied().unwrap_or_default();
    }
    let text = format!(
        "{{\"version\":1,\"exported_at\":{},\"usage\":{{{},\"apis\":{{",
        quoted(exported_at),
        sums.join(",")
    );
    Ok((text, groups))
}

/// Begins a model, and its client where that is another one.
fn open(text: &mut String, client: &mut Option<String>, group: &Group) {
    let sums =
        |(requests, tokens): (u64, u64)| format!("\"total_requests\":{requests},\"total_tokens\":{tokens}");
    if client.as_ref() == Some(&group.client) {
        text.push(',');
    } else {
        text.push_str(if client.is_some() { "}}," } else { "" });
        let (name, sums) = (quoted(&group.client), sums(group.of_client));
        text.extend([&*name, ":{", &*sums, ",\"models\":{"]);
        *client = Some(group.client.clone());
    }
    let own = sums((group.requests, group.tokens));
    text.extend([&*quoted(&group.model), ":{", &*own, ",\"details\":["]);
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Ledger {
    /// The requests of one client for one model, oldest first, behind `after`.
    fn of_group(&self, client: &str, model: &str, after: Option<&Cursor>) -> Result<Vec<Row>, LedgerError> {
        let (at, key) = after.map_or((0, ""), |cursor| (cursor.at, cursor.key.as_str()));
        self.with(|database| {
            let mut statement = database.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM request
                 WHERE at >= ?1 AND (at > ?1 OR key > ?2) AND {} = ?3
                   AND coalesce(upstream_model, requested_model) = ?4
                 ORDER BY at, key LIMIT ?5",
                client_name()
            ))?;
            let rows = statement.query_map(params![stored(at), key, client, model, stored(PAGE)], row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::ledger::tests::record;
    use crate::usage::{Imported, Outcome, Record, Sink as _, Span};

    fn exported(ledger: &Ledger) -> serde_json::Value {
        let mut export = Export::new(ledger.clone(), "2026-11-29T00:00:00Z".to_owned(), ShortIds::default());
        let mut text = String::new();
        while let Some(piece) = export.next_piece().unwrap() {
            text.push_str(&piece);
        }
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn everything_on_record_is_written_and_taken_in_elsewhere_once() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ledger = Ledger::open(here.path()).unwrap();
        for number in 0..2500 {
            let client = Some("key-0a1b2c3d".into());
            ledger.record(&Record { client, ..record("m", 10 + number / 3) });
        }
        ledger.record(&Record { client: None, ..record("n", 5) });
        ledger.record(&Record { client: None, outcome: Outcome::Failed, ..record("o\"x", 6) });
        let text = exported(&ledger);
        assert_eq!(text["usage"]["total_requests"], 2502);
        assert_eq!(
            text["usage"]["apis"]["key-0a1b2c3d"]["models"]["m"]["details"].as_array().unwrap().len(),
            2500
        );
        assert_eq!(text["usage"]["apis"]["POST /v1/chat/completions"]["total_requests"], 2);
        let text = text.to_string();
        assert_eq!(ledger.import(|| Ok(text.as_bytes())).unwrap(), Imported { added: 0, skipped: 2502 });
        let other = Ledger::open(there.path()).unwrap();
        assert_eq!(other.import(|| Ok(text.as_bytes())).unwrap(), Imported { added: 2502, skipped: 0 });
        assert_eq!(other.import(|| Ok(text.as_bytes())).unwrap(), Imported { added: 0, skipped: 2502 });
        let (mine, theirs) = (ledger.totals(Span::ALL).unwrap(), other.totals(Span::ALL).unwrap());
        assert_eq!((mine.input, mine.output, mine.failed), (theirs.input, theirs.output, theirs.failed));
        let none = Ledger::open(&there.path().join("none")).unwrap();
        assert_eq!(exported(&none)["usage"]["apis"], serde_json::json!({}));
    }
}
