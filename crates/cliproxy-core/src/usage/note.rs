//! Notes of requests on their way, beside the journal: what is known of them, in case the process is killed.
//!
//! A note is the row that its request would leave if everything ended now. It is appended when somebody is asked, and
//! when the upstream has told more of what it bills; the last one of a request counts. The row that the request leaves
//! in the end has the same key and is carried over first, so a note that is not needed any more is in nobody's way: a
//! key that the ledger has stays as it is. Once the file has grown, the notes that still count take its place.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Row;
use crate::store::atomic::private;

/// Length at which the file is written anew.
const LARGE: usize = 256 << 10;

/// The notes of one process.
#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    length: usize,
    /// Where the last note of every request on its way stands.
    underway: HashMap<u64, Range<usize>>,
    /// Length of the notes that count, when the file was written anew.
    kept: usize,
}

impl Notes {
    /// The notes of a file, which is made when it is first needed.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default() }
    }

    /// Notes what is known of a request: the row that it would leave now.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn write(&self, number: u64, row: &Row) -> io::Result<()> {
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Twice what counts at least, so that a few long notes do not have it written over and over.
        if state.length > LARGE.max(2 * state.kept) {
            self.renew(&mut state)?;
        }
        let State { file, length, underway, .. } = &mut *state;
        let file = match file {
            Some(file) => file,
            none => {
                let new = private(OpenOptions::new().create(true).append(true)).open(&self.path)?;
                *length = usize::try_from(new.metadata()?.len()).map_err(io::Error::other)?;
                none.insert(new)
            }
        };
        let written = file.write_all(&line);
        if written.is_err() {
            // Half a line goes away again, so that the next note does not become part of it.
            drop(file.set_len(*length as u64));
            state.file = None;
        } else {
            underway.insert(number, *length..*length + line.len());
            *length += line.len();
        }
        written
    }

    /// The request has left its row.
    pub(super) fn end(&self, number: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).underway.remove(&number);
    }

    /// Forgets the notes of requests that have left their row.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn clean(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.length > state.kept { self.renew(&mut state) } else { Ok(()) }
    }

    fn renew(&self, state: &mut State) -> io::Result<()> {
        let old = std::fs::read(&self.path)?;
        let mut new = Vec::new();
        for place in state.underway.values_mut() {
            let note = old.get(place.clone()).unwrap_or_default();
            *place = new.len()..new.len() + note.len();
            new.extend_from_slice(note);
        }
        let next = next(&self.path);
        state.file = None;
        private(OpenOptions::new().create(true).write(true).truncate(true)).open(&next)?.write_all(&new)?;
        std::fs::rename(&next, &self.path)?;
        (state.length, state.kept) = (new.len(), new.len());
        Ok(())
    }

    /// Every note, the last one of a request before its earlier ones.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn left(&self) -> io::Result<Vec<Row>> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let lines = text.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// Removes the file.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn remove(&self) -> io::Result<()> {
        for path in [&next(&self.path), &self.path] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What becomes the file once it is written.
fn next(path: &Path) -> PathBuf {
    path.with_extension("notes.next")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::ledger::tests::record;

    fn row(key: &str, input: u64) -> Row {
        Row { input, ..Row::new(key.to_owned(), &record("m", 10)) }
    }

    /// What is left of each request: its last note.
    fn left(notes: &Notes) -> HashMap<String, u64> {
        let mut left = HashMap::new();
        for row in notes.left().unwrap() {
            left.entry(row.key).or_insert(row.input);
        }
        left
    }

    #[test]
    fn the_last_note_of_a_request_counts_and_the_file_stays_small() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("usage-a.notes");
        let notes = Notes::new(path.clone());
        assert_eq!(left(&notes), HashMap::new());
        notes.write(0, &row("stays", 1)).unwrap();
        for number in 1..5000 {
            notes.write(number, &row(&format!("ends-{number}"), 1)).unwrap();
            notes.write(0, &row("stays", number)).unwrap();
            notes.end(number);
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 2 * LARGE as u64);
        assert_eq!(left(&notes)["stays"], 4999);
        notes.clean().unwrap();
        assert_eq!(left(&notes), HashMap::from([("stays".to_owned(), 4999)]));
        notes.write(0, &row("stays", 5000)).unwrap();
        assert_eq!(left(&notes), HashMap::from([("stays".to_owned(), 5000)]));
        notes.end(0);
        notes.clean().unwrap();
        assert_eq!(left(&notes), HashMap::new());
        notes.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn half_a_note_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("usage-a.notes");
        let notes = Notes::new(path.clone());
        notes.write(0, &row("whole", 1)).unwrap();
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_within(..text.len() / 2);
        crate::store::atomic::write(&path, &text).unwrap();
        assert_eq!(left(&Notes::new(path)), HashMap::from([("whole".to_owned(), 1)]));
    }
}
