//! The ledger: every request as a row in an embedded `SQLite` database, so that numbers survive restarts.
//!
//! [`Ledger::record`] appends to the [journal](super::journal) and returns; [`Ledger::keep`] carries the rows into the
//! database behind it. Before, there is a [note](super::note) of a request, of which the next process makes a row if this
//! one is killed. A database that is damaged, or was written by a newer program, is set aside under another name
//! and never deleted. When the storage is full, recording stops, says so, and goes on by itself: traffic is never held
//! up by it. Neither journal nor database is opened before something is recorded or asked.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, params};
use tokio::sync::Notify;

use super::journal::Journal;
use super::note::Told;
use super::{Record, Row, Sink};
use crate::store::atomic;

/// Version of the tables; a database that says a higher one is a newer program's.
const VERSION: i64 = 1;
/// How long rows are gathered before they are carried over together.
const PACE: Duration = Duration::from_millis(250);
/// How often old rows are looked for.
const CLEANING: Duration = Duration::from_hours(1);
/// Pause after a failure.
const RECOVERY: Duration = Duration::from_secs(10);
/// Name of the database in the ledger's directory.
const FILE: &str = "usage.sqlite";

const TABLES: &str = "
CREATE TABLE request (
  key TEXT PRIMARY KEY,
  request_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  client TEXT, format TEXT NOT NULL,
  requested_model TEXT NOT NULL, upstream_model TEXT,
  provider TEXT, credential TEXT, lane TEXT NOT NULL,
  attempts INTEGER NOT NULL, outcome TEXT NOT NULL,
  input INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL,
  cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, is_estimated INTEGER NOT NULL,
  first_byte INTEGER, total INTEGER NOT NULL,
  cost REAL, prices TEXT
) WITHOUT ROWID;
CREATE INDEX request_at ON request (at);
PRAGMA user_version = 1;
";

/// Why the ledger cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database.
    #[error("the usage database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// The files around it.
    #[error("the usage records cannot be written: {0}")]
    Storage(#[from] std::io::Error),
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Age of the oldest rows; `None` without limit.
    pub age: Option<Duration>,
    /// Size of the database in bytes.
    pub bytes: u64,
}

/// The requests of the past. Cheap to clone.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    path: PathBuf,
    journal: OnceLock<Journal>,
    /// Held while a journal is made, so that there is one.
    making: Mutex<()>,
    database: Mutex<Option<Connection>>,
    /// Held while an export is taken in.
    importing: Mutex<()>,
    /// Makes the keys of this process's rows its own.
    run: String,
    appended: Notify,
    /// The last attempt to record failed, and was told.
    is_stopped: AtomicBool,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({})", self.0.path.display())
    }
}

impl Ledger {
    /// The ledger of a directory. Nothing is opened yet.
    pub fn new(directory: &Path) -> Self {
        Self(Arc::new(Inner {
            directory: directory.to_owned(),
            path: directory.join(FILE),
            journal: OnceLock::new(),
            making: Mutex::default(),
            database: Mutex::default(),
            importing: Mutex::default(),
            run: uuid::Uuid::new_v4().simple().to_string(),
            appended: Notify::new(),
            is_stopped: AtomicBool::new(false),
        }))
    }

    /// Whether there is a database already.
    pub fn is_there(&self) -> bool {
        self.0.path.exists()
    }

    /// The ledger of a directory, which is made when it is missing. Takes over what an earlier process left in its
    /// journal. Blocks.
    ///
    /// # Errors
    /// When neither the database nor a new one in its place can be opened.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        let ledger = Self::new(directory);
        ledger.with(|_database| Ok(()))?;
        ledger.take_over()?;
        Ok(ledger)
    }

    /// Takes over what processes that ended left in their journals, and what they noted of requests that were on their
    /// way. Opens nothing where there is nothing. Blocks.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn take_over(&self) -> Result<(), LedgerError> {
        if !self.0.directory.try_exists()? {
            return Ok(());
        }
        for left in Journal::left(&self.0.directory)? {
            self.carry_from(&left)?;
            self.carry_notes(&left)?;
            left.end();
        }
        Ok(())
    }

    /// A request as it is kept.
    fn row(&self, record: &Record) -> Row {
        Row::new(format!("{}-{}", self.0.run, record.ticket.number()), record)
    }

    /// Tells when the storage begins to fail, and when it is over; true when all is well.
    fn watch(&self, written: &std::io::Result<()>) -> bool {
        let was_stopped = self.0.is_stopped.swap(written.is_err(), Ordering::Relaxed);
        match written {
            Ok(()) if was_stopped => tracing::info!("requests are recorded again"),
            Err(error) if !was_stopped => {
                tracing::error!("requests are served and not recorded until this is mended: {error}");
            }
            _ => {}
        }
        written.is_ok()
    }

    /// This process's journal, made when it is first needed.
    fn journal(&self) -> std::io::Result<&Journal> {
        if let Some(journal) = self.0.journal.get() {
            return Ok(journal);
        }
        let _turn = self.0.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(journal) = self.0.journal.get() {
            return Ok(journal);
        }
        atomic::make_directory(&self.0.directory)?;
        let journal = Journal::new(&self.0.directory, &self.0.run)?;
        Ok(self.0.journal.get_or_init(|| journal))
    }

    /// The turn to take an export in.
    pub(super) fn importing(&self) -> MutexGuard<'_, ()> {
        self.0.importing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file beside the ledger that has no name and goes when it is closed, for what is too large to be held. Blocks.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn scratch(&self) -> std::io::Result<File> {
        atomic::make_directory(&self.0.directory)?;
        tempfile::tempfile_in(&self.0.directory)
    }

    /// Works on the database, opened when it is first needed.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut database = self.0.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match &mut *database {
            Some(database) => database,
            none => none.insert(opened(&self.0.path)?),
        };
        work(database)
    }

    /// Whether requests are not recorded at the moment, because the storage fails.
    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Ordering::Relaxed)
    }

    /// Carries what was recorded into the database. Blocks.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is lost, and the next call tries again.
    pub fn carry(&self) -> Result<(), LedgerError> {
        match self.0.journal.get() {
            Some(journal) => self.carry_from(journal),
            None => Ok(()),
        }
    }

    fn carry_from(&self, journal: &Journal) -> Result<(), LedgerError> {
        if !journal.has_rows()? {
            return Ok(());
        }
        self.mended(|database| journal.carry(|rows| insert(database, rows).map(|_new| ())).map(|_count| ()))
    }

    /// Makes rows of what a process noted that ended. Its other rows are carried over already.
    fn carry_notes(&self, journal: &Journal) -> Result<(), LedgerError> {
        let notes = journal.notes.left()?;
        if notes.is_empty() {
            return Ok(());
        }
        let mut new = 0;
        self.mended(|database| {
            new = insert(database, &notes)?;
            Ok(())
        })?;
        if new > 0 {
            tracing::warn!(
                "{new} requests were on their way when an earlier process was killed; usage counts what is known of them"
            );
        }
        Ok(())
    }

    /// Writes to the database, or to a new one in its place when it turns out to be damaged.
    fn mended(
        &self,
        mut work: impl FnMut(&mut Connection) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        self.with(|database| match work(database) {
            Err(LedgerError::Database(error)) if is_damage(&error) => {
                *database = renew(&self.0.path, "is damaged")?;
                work(database)
            }
            result => result,
        })
    }

    /// Whether the database was needed so far.
    fn is_open(&self) -> bool {
        self.0.database.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Carries rows over as they come and forgets those that are too old or too many, until it is dropped.
    pub async fn keep(self, bounds: Bounds, now: fn() -> u64) {
        let ledger = self.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || ledger.take_over()).await {
            tracing::error!("what an earlier process recorded is not taken over: {error}");
        }
        let mut cleaned: Option<tokio::time::Instant> = None;
        loop {
            let cleans = self.is_open() && cleaned.is_none_or(|at| at.elapsed() >= CLEANING);
            let ledger = self.clone();
            let work = tokio::task::spawn_blocking(move || {
                ledger.carry()?;
                if cleans { ledger.forget(bounds, now()) } else { Ok(()) }
            });
            let result = work.await.map_err(|error| std::io::Error::other(error).into());
            if let Err(error) = result.and_then(|result| result) {
                tracing::error!("requests wait to be recorded: {error}");
                tokio::time::sleep(RECOVERY).await;
                continue;
            }
            if cleans {
                cleaned = Some(tokio::time::Instant::now());
            }
            tokio::select! {
                () = self.0.appended.notified() => tokio::time::sleep(PACE).await,
                () = tokio::time::sleep(CLEANING) => {}
            }
        }
    }

    /// Forgets what is older than the bounds allow, and the oldest tenth as long as there is too much. Blocks.
    fn forget(&self, bounds: Bounds, now: u64) -> Result<(), LedgerError> {
        // The note of a request whose row is forgotten would bring it back.
        if let Some(journal) = self.0.journal.get() {
            journal.notes.clean()?;
        }
        self.with(|database| forget(database, bounds, now))
    }
}

impl Sink for Ledger {
    fn record(&self, record: &Record) {
        if !record.is_kept {
            return;
        }
        let row = self.row(record);
        let recorded = self.journal().and_then(|journal| {
            let appended = journal.append(&row);
            match &appended {
                Ok(()) => journal.notes.end(record.ticket.number()),
                Err(_) => journal.notes.strike(record.ticket.number()),
            }
            appended
        });
        if self.watch(&recorded) {
            self.0.appended.notify_one();
        }
    }

    fn note(&self, record: &Record) {
        let row = self.row(record);
        self.watch(&self.journal().and_then(|journal| journal.notes.write(record.ticket.number(), &row)));
    }

    fn note_usage(&self, record: &Record) {
        let told = Told::new(record);
        self.watch(&self.journal().and_then(|journal| journal.notes.tell(&told, || self.row(record))));
    }
}

enum Unusable {
    /// Another file in its place will do.
    SetAside(&'static str),
    Fails(LedgerError),
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::SetAside("is damaged") } else { Self::Fails(error.into()) }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn forget(database: &Connection, bounds: Bounds, now: u64) -> Result<(), LedgerError> {
    if let Some(age) = bounds.age {
        let oldest = now.saturating_sub(age.as_secs());
        database.execute("DELETE FROM request WHERE at < ?1", [stored(oldest)])?;
    }
    let number = |pragma: &str| database.query_row(pragma, [], |row| row.get::<_, i64>(0));
    loop {
        let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
        let bytes = pages.saturating_mul(number("PRAGMA page_size")?);
        if u64::try_from(bytes).unwrap_or_default() <= bounds.bytes {
            break;
        }
        let tenth = number("SELECT max(1, count(*) / 10) FROM request")?;
        let removed = database.execute(
            "DELETE FROM request WHERE key IN (SELECT key FROM request ORDER BY at LIMIT ?1)",
            [tenth],
        )?;
        if removed == 0 {
            break;
        }
    }
    database.execute_batch("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

/// The database, or a new one in its place.
fn opened(path: &Path) -> Result<Connection, LedgerError> {
    atomic::make_directory(atomic::parent(path))?;
    match connect(path) {
        Ok(database) => Ok(database),
        Err(Unusable::SetAside(reason)) => renew(path, reason),
        Err(Unusable::Fails(error)) => Err(error),
    }
}

/// Sets a database aside that cannot be used and begins a new one in its place.
fn renew(path: &Path, reason: &str) -> Result<Connection, LedgerError> {
    let aside = set_aside(path)?;
    tracing::error!("the usage database {reason}; it is kept as {} and a new one is begun", aside.display());
    connect(path).map_err(|error| match error {
        Unusable::Fails(error) => error,
        Unusable::SetAside(reason) => std::io::Error::other(reason).into(),
    })
}

fn connect(path: &Path) -> Result<Connection, Unusable> {
    let is_new = !path.exists();
    let database = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    atomic::make_private(path).map_err(|error| Unusable::Fails(error.into()))?;
    database.busy_timeout(Duration::from_secs(5))?;
    if is_new {
        database.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")?;
    }
    // Survives the end of the process at any point; a power cut may cost the last moments.
    database.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > VERSION {
        return Err(Unusable::SetAside("was written by a newer version of this program"));
    }
    if version == 0 {
        database.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;"))?;
    }
    // Damage elsewhere is noticed when it is met: reading everything would hold up every start.
    database
        .query_row("SELECT count(*) FROM (SELECT 1 FROM request LIMIT 1)", [], |row| row.get::<_, i64>(0))?;
    Ok(database)
}

/// Renames a database, with the files that belong to it, to the first free name.
fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let named = |number: u32, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".aside-{number}{suffix}"));
        PathBuf::from(name)
    };
    let number = (1..=u32::MAX).find(|number| !named(*number, "").exists()).unwrap_or(1);
    for suffix in ["-wal", "-shm", ""] {
        let mut from = path.as_os_str().to_owned();
        from.push(suffix);
        match std::fs::rename(&from, named(number, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(named(number, ""))
}

/// Adds rows, those that are there already left out; says how many were new.
pub(super) fn insert(database: &mut Connection, rows: &[Row]) -> Result<usize, LedgerError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let transaction = database.transaction()?;
    let new = insert_into(&transaction, rows)?;
    transaction.commit()?;
    Ok(new)
}

pub(super) fn insert_into(transaction: &Transaction<'_>, rows: &[Row]) -> rusqlite::Result<usize> {
    let mut new = 0;
    let mut statement = transaction.prepare_cached(
        "INSERT OR IGNORE INTO request (key, request_id, at, client, format, requested_model, upstream_model,
           provider, credential, lane, attempts, outcome, input, output, reasoning, cache_read, cache_write,
           is_estimated, first_byte, total, cost, prices)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
    )?;
    for row in rows {
        new += statement.execute(params![
            row.key,
            row.request_id,
            stored(row.at),
            row.client,
            row.format,
            row.requested_model,
            row.upstream_model,
            row.provider,
            row.credential,
            row.lane,
            row.attempts,
            row.outcome,
            stored(row.input),
            stored(row.output),
            stored(row.reasoning),
            stored(row.cache_read),
            stored(row.cache_write),
            row.is_estimated,
            row.first_byte.map(stored),
            stored(row.total),
            row.cost,
            row.prices,
        ])?;
    }
    Ok(new)
}

/// `SQLite` has signed numbers only.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
