//! Taking in what was exported here or by the existing program.
//!
//! That program knows client keys and upstream keys by themselves. What is taken in goes by the names that the ledger has
//! for them, so no key gets into the database. An export may be larger than memory: it is read a request at a time, once
//! to find out whether it is one, and once to take it in.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::Path;

use rusqlite::params;
use schemars::JsonSchema;
use serde::Deserialize;

use super::ledger::{insert_into, stored};
use super::walk::Walk;
use super::{Ledger, LedgerError, Outcome, Row};
use crate::credential::record::time;
use crate::secret::Secret;

/// Requests that are taken in at a time.
const PAGE: u64 = 1000;

/// How an imported request was carried, as far as anybody knows.
const LANE: &str = "import";

/// What an export holds, of this program or the existing one.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "the shape of what is read piece by piece")]
#[schemars(rename = "UsageExport")]
pub struct Exported {
    /// 0 or 1.
    #[schemars(default)]
    version: u64,
    usage: Usage,
}

#[derive(Debug, Default, JsonSchema)]
#[schemars(default, rename = "ExportedUsage")]
struct Usage {
    apis: BTreeMap<String, Client>,
}

#[derive(Debug, Default, JsonSchema)]
#[schemars(default, rename = "ExportedClient")]
struct Client {
    models: BTreeMap<String, Model>,
}

#[derive(Debug, Default, JsonSchema)]
#[schemars(default, rename = "ExportedModel")]
struct Model {
    details: Vec<Detail>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(default)]
#[schemars(rename = "ExportedRequest")]
pub(super) struct Detail {
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
    /// It cannot be read.
    #[error("failed to read request body: {0}")]
    Unreadable(#[from] io::Error),
    /// The database.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// How often the requests of an import have come so far, by what they say.
const ALIKE: &str = "DROP TABLE IF EXISTS temp.alike;
  CREATE TEMP TABLE alike (key TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;";

/// What is being taken in.
struct Import<'l> {
    ledger: &'l Ledger,
    imported: Imported,
    page: Vec<Row>,
}

impl Import<'_> {
    fn take(&mut self, client: &str, model: &str, detail: &Detail) -> Result<(), NotImported> {
        let Some(at) = time(&detail.timestamp.as_str().into()) else {
            self.imported.skipped += 1;
            return Ok(());
        };
        let (client, format) = named(client);
        self.page.push(imported_row(client.as_deref(), format, model, at, detail));
        if self.page.len() as u64 >= PAGE { self.flush() } else { Ok(()) }
    }

    /// Adds the rows of a page that are not on record.
    fn flush(&mut self) -> Result<(), NotImported> {
        let page = std::mem::take(&mut self.page);
        let count = page.len() as u64;
        let added = self.ledger.with(|database| {
            let transaction = database.transaction()?;
            let mut added = 0;
            for mut row in page {
                // The n-th of several that are alike is on record when n of them are.
                let number = come(&transaction, &row.key)?;
                if alike(&transaction, &row)? < number {
                    row.key = format!("{}-{number}", row.key);
                    added += insert_into(&transaction, &[row])? as u64;
                }
            }
            transaction.commit()?;
            Ok(added)
        })?;
        self.imported.added += added;
        self.imported.skipped += count - added;
        Ok(())
    }
}

/// Counts a request of an import; how many like it have come, itself included.
fn come(database: &rusqlite::Connection, key: &str) -> Result<u64, LedgerError> {
    let mut statement = database.prepare_cached(
        "INSERT INTO temp.alike VALUES (?1, 1) ON CONFLICT (key) DO UPDATE SET count = count + 1 RETURNING count",
    )?;
    let count: i64 = statement.query_row([key], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

impl Ledger {
    /// Takes in what an export holds, which `open` begins to read, twice: what is no export is not begun with. What is on
    /// record already is not taken in again, so it may be repeated. Holds a page of it at a time. Blocks.
    ///
    /// # Errors
    /// See [`NotImported`]; nothing is taken in then, unless it is the database that fails.
    pub fn import<R: Read>(&self, open: impl Fn() -> io::Result<R>) -> Result<Imported, NotImported> {
        let mut version = 0;
        Walk::through(BufReader::new(open()?), &mut version, &mut |_client, _model, _detail| Ok(()))?;
        if version > 1 {
            return Err(NotImported::Version);
        }
        // Two at once would count each other's.
        let _turn = self.importing();
        self.carry()?;
        self.with(|database| Ok(database.execute_batch(ALIKE)?))?;
        let mut import = Import { ledger: self, imported: Imported::default(), page: Vec::new() };
        let mut each = |client: &str, model: &str, detail: &Detail| import.take(client, model, detail);
        Walk::through(BufReader::new(open()?), &mut version, &mut each)?;
        import.flush()?;
        Ok(import.imported)
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
        key => (Some(Secret::new(key).name().as_ref().to_owned()), "chat"),
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
        key => Some(format!("imported:{}", Secret::new(key).name())),
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
    use crate::usage::Span;

    #[test]
    fn keys_in_the_clear_do_not_get_into_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(directory.path()).unwrap();
        let text = r#"{"version":1,"usage":{"apis":{"client-key-0001":{"models":{"m":{"details":[
            {"timestamp":"2026-01-02T03:04:05.678+01:00","source":"sk-upstream-0001","auth_index":"x","failed":false,
             "tokens":{"input_tokens":7,"output_tokens":5,"reasoning_tokens":1,"cached_tokens":2,"total_tokens":12}},
            {"timestamp":"never"}]}}}}}}"#;
        assert_eq!(ledger.import(|| Ok(text.as_bytes())).unwrap(), Imported { added: 1, skipped: 1 });
        let rows = ledger.newest(Span::ALL, None, 9).unwrap();
        let name = Secret::new("client-key-0001").name();
        assert_eq!((rows[0].client.as_deref(), rows[0].at), (Some(&*name), 1_767_319_445));
        assert!(!format!("{rows:?}").contains("0001"), "{rows:?}");
        assert!(matches!(ledger.import(|| Ok(&b"{"[..])), Err(NotImported::Malformed)));
        assert!(matches!(
            ledger.import(|| Ok(&br#"{"usage":{},"version":2}"#[..])),
            Err(NotImported::Version)
        ));
    }

    #[test]
    fn requests_that_are_alike_are_counted_over_imports_and_pages() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(directory.path()).unwrap();
        let detail = r#"{"timestamp":"2026-01-02T03:04:05.SZ","tokens":{"input_tokens":7}}"#;
        // Parts of a second tell requests apart in an export and not in the ledger.
        let details = |count: usize| {
            let details: Vec<String> =
                (0..count).map(|number| detail.replace('S', &format!("{:03}", number % 7))).collect();
            format!(
                r#"{{"usage":{{"apis":{{"c":{{"models":{{"m":{{"details":[{}]}},"n":{{"details":null}}}}}}}}}}}}"#,
                details.join(",")
            )
        };
        let import = |count: usize| ledger.import(|| Ok(io::Cursor::new(details(count)))).unwrap();
        assert_eq!(import(5), Imported { added: 5, skipped: 0 });
        assert_eq!(import(2500), Imported { added: 2495, skipped: 5 });
        assert_eq!(import(2501), Imported { added: 1, skipped: 2500 });
        assert_eq!(ledger.totals(Span::ALL).unwrap().input, 7 * 2501);
    }

    #[test]
    fn what_is_no_export_changes_nothing_wherever_it_breaks() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(directory.path()).unwrap();
        let whole = r#"{"version":1,"usage":{"apis":{"c":{"models":{"m":{"details":[{"timestamp":"2026-01-02T03:04:05Z"},{"timestamp":"2026-01-02T03:04:06Z"}]}}}}}}"#;
        for end in 0..whole.len() {
            let result = ledger.import(|| Ok(whole.as_bytes().get(..end).unwrap()));
            assert!(matches!(result, Err(NotImported::Malformed)), "{end}: {result:?}");
        }
        for text in ["[]", "{}", "null", r#"{"usage":7}"#, r#"{"usage":{"apis":[]}}"#, r#"{"usage":{}} x"#] {
            let result = ledger.import(|| Ok(text.as_bytes()));
            assert!(matches!(result, Err(NotImported::Malformed)), "{text}: {result:?}");
        }
        assert_eq!(ledger.totals(Span::ALL).unwrap().requests, 0);
        assert_eq!(ledger.import(|| Ok(whole.as_bytes())).unwrap(), Imported { added: 2, skipped: 0 });
    }
}
