//! The journal in front of the ledger: a file that rows are appended to the moment an answer ends.
//!
//! Appending is one write to the system's page cache, so a row outlives the process from then on, whatever happens to
//! it; the database is written later, many rows at once. Two files take turns: rows are appended to one while those of
//! the other are carried over. A row that is carried over twice is one row, because it has a key.
//!
//! Every process has a journal of its own, and holds a lock as long as it lives; the journals of those that ended are
//! carried over by whoever comes next.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Row;
use super::note::Notes;
use crate::store::atomic::private;

/// Longest journal. When the database cannot be written for so long, further rows are given up.
const LONGEST: u64 = 64 << 20;

/// Names of a process's files: a prefix, the process, and what it is.
const PREFIX: &str = "usage-";
const LOCK: &str = ".lock";

/// The journal of one process.
#[derive(Debug)]
pub(super) struct Journal {
    /// Where rows are appended.
    current: PathBuf,
    /// What is being carried over.
    carried: PathBuf,
    /// Requests that have no row yet.
    pub(super) notes: Notes,
    /// Held while the process lives.
    lock: (PathBuf, File),
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    file: Option<File>,
    length: u64,
}

impl Journal {
    /// A journal of this process, in a directory that exists. `name` is nobody else's.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn new(directory: &Path, name: &str) -> io::Result<Self> {
        // Whoever looks for what ended may meet the file before it is locked, and remove it: then once more.
        for attempt in 0..8 {
            let name = format!("{name}-{attempt}");
            let path = directory.join(format!("{PREFIX}{name}{LOCK}"));
            let file = private(OpenOptions::new().create(true).write(true).truncate(false)).open(&path)?;
            match Self::held(directory, &name, (path.clone(), file)) {
                Some(journal) if path.exists() => return Ok(journal),
                _ => {}
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "other processes lock the journal of this one"))
    }

    /// The journals of processes that ended, in the order of their names.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn left(directory: &Path) -> io::Result<Vec<Self>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            names.extend(
                name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(LOCK)).map(str::to_owned),
            );
        }
        names.sort();
        let held = names.into_iter().filter_map(|name| {
            let path = directory.join(format!("{PREFIX}{name}{LOCK}"));
            let file = OpenOptions::new().write(true).open(&path).ok()?;
            Self::held(directory, &name, (path, file))
        });
        Ok(held.collect())
    }

    fn held(directory: &Path, name: &str, lock: (PathBuf, File)) -> Option<Self> {
        lock.1.try_lock().ok()?;
        let file = |kind: &str| directory.join(format!("{PREFIX}{name}.{kind}"));
        let notes = Notes::new(file("notes"));
        let (current, carried) = (file("journal"), file("journal.carried"));
        Some(Self { current, carried, notes, lock, open: Mutex::default() })
    }

    /// Forgets a journal from which everything was carried over.
    pub(super) fn end(self) {
        let is_empty = |path: &Path| !path.try_exists().unwrap_or(true);
        if is_empty(&self.current) && is_empty(&self.carried) && self.notes.remove().is_ok() {
            // One that stays is looked at again next time.
            drop(std::fs::remove_file(&self.lock.0));
        }
    }

    /// Whether there is something to carry over.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn has_rows(&self) -> io::Result<bool> {
        Ok(self.carried.try_exists()? || self.current.try_exists()?)
    }

    /// Appends a row.
    ///
    /// # Errors
    /// When the storage fails, or holds too many rows that nobody carried over.
    pub(super) fn append(&self, row: &Row) -> io::Result<()> {
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { file, length } = &mut *open;
        let file = if let Some(file) = file {
            file
        } else {
            let new = private(OpenOptions::new().create(true).append(true)).open(&self.current)?;
            *length = new.metadata()?.len();
            file.insert(new)
        };
        if *length > LONGEST {
            return Err(io::Error::other("too many requests wait to be recorded"));
        }
        let written = file.write_all(&line);
        if written.is_err() {
            // Half a line goes away again, so that the next row does not become part of it.
            drop(file.set_len(*length));
            *open = Open::default();
        } else {
            *length += u64::try_from(line.len()).unwrap_or_default();
        }
        written
    }

    /// Hands over all rows that were appended so far, and forgets them when `keep` says that they are kept.
    ///
    /// # Errors
    /// When the storage fails, or `keep` does. The rows are handed over again next time.
    pub(super) fn carry<E: From<io::Error>>(
        &self,
        mut keep: impl FnMut(&[Row]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut count = 0;
        // What an earlier process, or an earlier attempt, did not finish goes first.
        if self.carried.try_exists()? {
            count += self.carry_file(&mut keep)?;
        }
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            *open = Open::default();
            if !self.current.try_exists()? {
                return Ok(count);
            }
            std::fs::rename(&self.current, &self.carried)?;
        }
        Ok(count + self.carry_file(&mut keep)?)
    }

    fn carry_file<E: From<io::Error>>(
        &self,
        keep: &mut impl FnMut(&[Row]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let text = std::fs::read(&self.carried)?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        // A line that cannot be read is the end of a write that the machine, not the process, did not survive.
        let rows: Vec<Row> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        keep(&rows)?;
        std::fs::remove_file(&self.carried)?;
        Ok(rows.len())
    }
}
