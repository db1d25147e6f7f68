//! The ledger in the shape in which the existing program keeps its statistics: written whole and piece by piece, and
//! taken in.
//!
//! That program knows client keys and upstream keys by themselves. What is taken in goes by the names that the ledger has
//! for them, so no key gets into the database.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::params;
use schemars::JsonSchema;
use serde::Deserialize;

use super::ledger::{insert, stored};
use super::panel::{client_name, detail};
use super::sum::{COLUMNS, row};
use super::{Cursor, Ledger, LedgerError, Outcome, Row, Statistics};
use crate::access;
use crate::credential::record::time;
use crate::secret::Secret;

/// Requests that are read at a time.
const PAGE: u64 = 1000;

/// How an imported request was carried, as far as anybody knows.
const LANE: &str = "import";

/// Writes everything on record, piece by piece.
#[derive(Debug)]
pub struct Export {
    ledger: Ledger,
    exported_at: String,
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
    pub fn new(ledger: Ledger, exported_at: String) -> Self {
        Self { ledger, exported_at, state: State::Begun }
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
                    text.push_str(&serde_json::to_string(&detail(row)).map_err(std::io::Error::from)?);
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
    let usage = serde_json::to_value(&statistics).map_err(std::io::Error::from)?;
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

/// What an export holds, of this program or the existing one.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "UsageExport")]
pub struct Exported {
    /// 0 or 1.
    #[serde(default)]
    version: u64,
    usage: Usage,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ExportedUsage")]
struct Usage {
    apis: BTreeMap<String, Client>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ExportedClient")]
struct Client {
    models: BTreeMap<String, Model>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ExportedModel")]
struct Model {
    details: Vec<Detail>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(default)]
#[schemars(rename = "ExportedRequest")]
struct Detail {
    timestamp: String,
    source: String,
    tokens: Tokens,
    failed: bool,
}

#[expect(clippy::struct_field_names, reason = "the names of the format")]
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(default)]
#[schemars(rename = "ExportedTokens")]
struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    cached_tokens: u64,
}

/// What came of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Requests that were not on record.
    pub added: u64,
    /// Those that were, or have no time.
    pub skipped: u64,
}

/// Why nothing is taken in.
#[derive(Debug, thiserror::Error)]
pub enum NotImported {
    /// It is no export.
    #[error("invalid json")]
    Malformed,
    /// It is one of a program to come.
    #[error("unsupported version")]
    Version,
    /// The database.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Ledger {
    /// Takes in what an export holds. What is on record already is not taken in again, so it may be repeated. Blocks.
    ///
    /// # Errors
    /// See [`NotImported`]; nothing is taken in then.
    pub fn import(&self, text: &[u8]) -> Result<Imported, NotImported> {
        let exported: Exported =
            serde_json::from_slice(text).map_err(|_its_text_may_hold_a_key| NotImported::Malformed)?;
        if exported.version > 1 {
            return Err(NotImported::Version);
        }
        self.carry()?;
        let mut imported = Imported::default();
        let mut rows = Vec::new();
        for (client, models) in exported.usage.apis {
            let (client, format) = named(&client);
            for (model, requests) in models.models {
                let mut counts: HashMap<Detail, u64> = HashMap::new();
                for detail in requests.details {
                    let Some(at) = time(&detail.timestamp.as_str().into()) else {
                        imported.skipped += 1;
                        continue;
                    };
                    let number = counts.entry(detail.clone()).or_default();
                    *number += 1;
                    rows.push((imported_row(client.as_deref(), format, &model, at, &detail), *number));
                }
            }
        }
        let kept = self.with(|database| {
            let mut kept = Vec::new();
            for (mut row, number) in rows {
                // The n-th of several that are alike is on record when n of them are.
                if alike(database, &row)? >= number {
                    imported.skipped += 1;
                    continue;
                }
                row.key = format!("{}-{number}", row.key);
                kept.push(row);
            }
            insert(database, &kept)?;
            Ok(kept.len())
        })?;
        imported.added = kept as u64;
        Ok(imported)
    }

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

/// How many requests on record are like this one in everything that an export says.
fn alike(database: &rusqlite::Connection, row: &Row) -> Result<u64, LedgerError> {
    let mut statement = database.prepare_cached(
        "SELECT count(*) FROM request WHERE at = ?1 AND client IS ?2
           AND coalesce(upstream_model, requested_model) = ?3 AND coalesce(credential, '') = ?4
           AND input = ?5 AND output = ?6 AND reasoning = ?7 AND cache_read = ?8
           AND (outcome IN ('failed', 'killed')) = ?9 AND (?2 IS NOT NULL OR format = ?10)",
    )?;
    let count: i64 = statement.query_row(
        params![
            stored(row.at),
            row.client,
            row.requested_model,
            row.credential.as_deref().unwrap_or_default(),
            stored(row.input),
            stored(row.output),
            stored(row.reasoning),
            stored(row.cache_read),
            row.is_failed(),
            row.format,
        ],
        |row| row.get(0),
    )?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// The client's name in the ledger, and the format where the export says a path instead of a client.
fn named(client: &str) -> (Option<String>, &'static str) {
    let client = client.trim();
    if let Some((_method, path)) = client.split_once(" /") {
        let format = match path {
            path if path.starts_with("v1/messages") => "claude",
            path if path.starts_with("v1/responses") => "responses",
            path if path.starts_with("v1beta/") => "gemini",
            _ => "chat",
        };
        return (None, format);
    }
    let is_name = client.strip_prefix("key-").is_some_and(|id| id.len() == 8);
    match client {
        "" | "unknown" => (None, "chat"),
        name if is_name => (Some(name.to_owned()), "chat"),
        key => (Some(access::name(&Secret::new(key)).as_ref().to_owned()), "chat"),
    }
}

/// Whose request it was: an e-mail address, a file or an id as it is, a key by its name.
fn credential(source: &str) -> Option<String> {
    let source = source.trim();
    let is_shown = source.contains('@')
        || source.contains(":apikey:")
        || Path::new(source).extension().is_some_and(|extension| extension == "json");
    match source {
        "" => None,
        shown if is_shown || shown == "demo" || shown.starts_with("imported:") => Some(shown.to_owned()),
        key => Some(format!("imported:{}", access::name(&Secret::new(key)))),
    }
}

fn imported_row(client: Option<&str>, format: &str, model: &str, at: u64, detail: &Detail) -> Row {
    let tokens = detail.tokens;
    let outcome = if detail.failed { Outcome::Failed } else { Outcome::Complete };
    let credential = credential(&detail.source);
    let parts = format!("{client:?}{format}{model}{at}{credential:?}{tokens:?}{}", detail.failed);
    Row {
        key: cliproxy_wire::id::hex("import-", 32, &[&parts]),
        request_id: String::new(),
        at,
        client: client.map(str::to_owned),
        format: format.to_owned(),
        requested_model: model.to_owned(),
        upstream_model: Some(model.to_owned()),
        provider: None,
        credential,
        lane: LANE.to_owned(),
        attempts: 1,
        outcome: outcome.word().to_owned(),
        input: tokens.input_tokens,
        output: tokens.output_tokens,
        reasoning: tokens.reasoning_tokens,
        cache_read: tokens.cached_tokens,
        cache_write: 0,
        is_estimated: false,
        first_byte: None,
        total: 0,
        cost: None,
        prices: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::ledger::tests::record;
    use crate::usage::{Record, Sink as _, Span};

    fn exported(ledger: &Ledger) -> serde_json::Value {
        let mut export = Export::new(ledger.clone(), "2026-11-29T00:00:00Z".to_owned());
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
        assert_eq!(ledger.import(text.as_bytes()).unwrap(), Imported { added: 0, skipped: 2502 });
        let other = Ledger::open(there.path()).unwrap();
        assert_eq!(other.import(text.as_bytes()).unwrap(), Imported { added: 2502, skipped: 0 });
        assert_eq!(other.import(text.as_bytes()).unwrap(), Imported { added: 0, skipped: 2502 });
        let (mine, theirs) = (ledger.totals(Span::ALL).unwrap(), other.totals(Span::ALL).unwrap());
        assert_eq!((mine.input, mine.output, mine.failed), (theirs.input, theirs.output, theirs.failed));
    }

    #[test]
    fn keys_in_the_clear_do_not_get_into_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(directory.path()).unwrap();
        let text = r#"{"version":1,"usage":{"apis":{"client-key-0001":{"models":{"m":{"details":[
            {"timestamp":"2026-01-02T03:04:05.678+01:00","source":"sk-upstream-0001","auth_index":"x","failed":false,
             "tokens":{"input_tokens":7,"output_tokens":5,"reasoning_tokens":1,"cached_tokens":2,"total_tokens":12}},
            {"timestamp":"never"}]}}}}}}"#;
        assert_eq!(ledger.import(text.as_bytes()).unwrap(), Imported { added: 1, skipped: 1 });
        let rows = ledger.newest(Span::ALL, None, 9).unwrap();
        let name = access::name(&Secret::new("client-key-0001"));
        assert_eq!((rows[0].client.as_deref(), rows[0].at), (Some(&*name), 1_767_319_445));
        assert!(!format!("{rows:?}").contains("0001"), "{rows:?}");
        assert!(matches!(ledger.import(b"{"), Err(NotImported::Malformed)));
        assert!(matches!(ledger.import(br#"{"version":2,"usage":{}}"#), Err(NotImported::Version)));
        assert_eq!(
            exported(&Ledger::open(&directory.path().join("none")).unwrap())["usage"]["apis"],
            serde_json::json!({})
        );
    }
}
