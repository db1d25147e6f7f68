//! Notes of requests on their way, beside the journal: what is known of them, in case the process is killed.
//!
//! A note is the row that its request would leave if everything ended now. It is appended when somebody is asked; what
//! the upstream tells of its bill meanwhile, some with every piece of an answer, is appended in short to it. The last
//! note of a request counts, with what was told last. The row that the request leaves in the end has the same key and is
//! carried over first, so a note that is not needed any more is in nobody's way: a key that the ledger has stays as it is.
//! Once the file has grown, the notes that still count take its place.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::row::milliseconds;
use super::{Record, Row};
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
    /// Where the notes of every request on its way stand.
    underway: HashMap<u64, Place>,
    /// Length of the notes that count, when the file was written anew.
    kept: usize,
}

/// Where the notes of a request stand.
#[derive(Debug)]
struct Place {
    row: Range<usize>,
    told: Option<Range<usize>>,
    /// Where those begin that do not count any more.
    earlier: Vec<usize>,
}

/// What changes while an answer comes, as the members of [`Row`] have it. It is written as a list, because it is written
/// with every piece of some answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told(Number, Lane, Tokens, IsEstimated, FirstByte, Total, Cost);

type Number = u64;
type Lane = String;
/// Read, written, of reasoning, read from a cache, and written to one.
type Tokens = [u64; 5];
type IsEstimated = bool;
type FirstByte = Option<u64>;
type Total = u64;
/// With the fingerprint of the price table.
type Cost = Option<(f64, Option<String>)>;

impl Told {
    pub(super) fn new(record: &Record) -> Self {
        let usage = &record.usage;
        let tokens = [usage.input, usage.output, usage.reasoning, usage.cache_read, usage.cache_write];
        Self(
            record.ticket.number(),
            record.lane.to_owned(),
            tokens.map(Option::unwrap_or_default),
            usage.is_estimated,
            record.first_byte.map(milliseconds),
            milliseconds(record.total),
            record.cost.map(|cost| (cost, record.prices.as_deref().map(str::to_owned))),
        )
    }

    fn add_to(self, row: &mut Row) {
        let Self(_, lane, tokens, is_estimated, first_byte, total, cost) = self;
        row.lane = lane;
        [row.input, row.output, row.reasoning, row.cache_read, row.cache_write] = tokens;
        (row.is_estimated, row.first_byte, row.total) = (is_estimated, first_byte, total);
        (row.cost, row.prices) = cost.map_or((None, None), |(cost, prices)| (Some(cost), prices));
    }
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Row(Box<Row>),
    Told(Told),
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
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let row = self.append(&mut state, row)?;
        let before = state.underway.remove(&number);
        let earlier = before.map(|place| [place.earlier, vec![place.row.start]].concat()).unwrap_or_default();
        state.underway.insert(number, Place { row, told: None, earlier });
        Ok(())
    }

    /// Notes what was told of a request; `row` is the one that it would leave now, where none is noted yet.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn tell(&self, told: &Told, row: impl FnOnce() -> Row) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.underway.contains_key(&told.0) {
            drop(state);
            return self.write(told.0, &row());
        }
        let line = self.append(&mut state, told)?;
        if let Some(place) = state.underway.get_mut(&told.0) {
            place.told = Some(line);
        }
        Ok(())
    }

    /// Appends a line; says where it stands.
    fn append(&self, state: &mut State, said: &impl Serialize) -> io::Result<Range<usize>> {
        let mut line = Vec::with_capacity(512);
        serde_json::to_writer(&mut line, said)?;
        line.push(b'\n');
        // Twice what counts at least, so that a few long notes do not have it written over and over.
        if state.length > LARGE.max(2 * state.kept) {
            self.renew(state)?;
        }
        let State { file, length, .. } = state;
        let file = match file {
            Some(file) => file,
            none => {
                let new = private(OpenOptions::new().create(true).append(true)).open(&self.path)?;
                *length = usize::try_from(new.metadata()?.len()).map_err(io::Error::other)?;
                none.insert(new)
            }
        };
        if let Err(error) = file.write_all(&line) {
            // Half a line goes away again, so that the next note does not become part of it.
            drop(file.set_len(*length as u64));
            state.file = None;
            return Err(error);
        }
        let place = *length..*length + line.len();
        *length = place.end;
        Ok(place)
    }

    /// The request has left its row.
    pub(super) fn end(&self, number: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).underway.remove(&number);
    }

    /// The request has ended and its row could not be kept: it must not come back as one that was on its way. Nothing is
    /// appended for that, because the storage may be full.
    pub(super) fn strike(&self, number: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = state.underway.remove(&number) else { return };
        let struck = OpenOptions::new().write(true).open(&self.path).and_then(|mut file| {
            for start in place.earlier.into_iter().chain([place.row.start]) {
                file.seek(SeekFrom::Start(start as u64))?;
                file.write_all(b"#")?;
            }
            Ok(())
        });
        if let Err(error) = struck {
            tracing::debug!("a note of a request that has ended stays: {error}");
        }
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
            let mut moved = |range: &mut Range<usize>| {
                let note = old.get(range.clone()).unwrap_or_default();
                *range = new.len()..new.len() + note.len();
                new.extend_from_slice(note);
            };
            moved(&mut place.row);
            place.told.as_mut().map(moved);
            place.earlier.clear();
        }
        let next = next(&self.path);
        state.file = None;
        private(OpenOptions::new().create(true).write(true).truncate(true)).open(&next)?.write_all(&new)?;
        std::fs::rename(&next, &self.path)?;
        (state.length, state.kept) = (new.len(), new.len());
        Ok(())
    }

    /// What every request would have left.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn left(&self) -> io::Result<Vec<Row>> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut rows: HashMap<u64, Row> = HashMap::new();
        for line in text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()) {
            match line {
                Line::Row(row) => drop(row.number().map(|number| rows.insert(number, *row))),
                Line::Told(told) => {
                    if let Some(row) = rows.get_mut(&told.0) {
                        told.add_to(row);
                    }
                }
            }
        }
        Ok(rows.into_values().collect())
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

    fn row(number: u64, input: u64) -> Row {
        Row { input, ..Row::new(format!("run-{number}"), &record("m", 10)) }
    }

    fn told(number: u64, input: u64) -> Told {
        let Told(_, lane, _, is_estimated, first_byte, total, cost) = Told::new(&record("m", 10));
        Told(number, lane, [input, 0, 0, 0, 0], is_estimated, first_byte, total, cost)
    }

    fn tell(notes: &Notes, number: u64, input: u64) {
        notes.tell(&told(number, input), || row(number, input)).unwrap();
    }

    /// What is left of each request.
    fn left(notes: &Notes) -> HashMap<String, u64> {
        notes.left().unwrap().into_iter().map(|row| (row.key, row.input)).collect()
    }

    fn only(number: u64, input: u64) -> HashMap<String, u64> {
        HashMap::from([(format!("run-{number}"), input)])
    }

    #[test]
    fn the_last_note_of_a_request_counts_and_the_file_stays_small() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("usage-a.notes");
        let notes = Notes::new(path.clone());
        assert_eq!(left(&notes), HashMap::new());
        tell(&notes, 0, 1);
        for number in 1..5000 {
            notes.write(number, &row(number, 1)).unwrap();
            if number % 7 == 0 {
                notes.write(0, &row(0, number)).unwrap();
            } else {
                tell(&notes, 0, number);
            }
            notes.end(number);
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 2 * LARGE as u64);
        assert_eq!(left(&notes)["run-0"], 4999);
        notes.clean().unwrap();
        assert_eq!(left(&notes), only(0, 4999));
        tell(&notes, 0, 5000);
        assert_eq!(left(&notes), only(0, 5000));
        notes.write(0, &row(0, 7)).unwrap();
        assert_eq!(left(&notes), only(0, 7), "another attempt begins anew");
        notes.end(0);
        notes.clean().unwrap();
        assert_eq!(left(&notes), HashMap::new());
        notes.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_ended_without_a_row_does_not_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let notes = Notes::new(directory.path().join("usage-a.notes"));
        for number in [0, 1] {
            notes.write(number, &row(number, 1)).unwrap();
            notes.write(number, &row(number, 2)).unwrap();
            tell(&notes, number, 3);
        }
        notes.strike(0);
        assert_eq!(left(&notes), only(1, 3));
        tell(&notes, 1, 4);
        assert_eq!(left(&notes), only(1, 4));
    }

    #[test]
    fn half_a_note_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("usage-a.notes");
        let notes = Notes::new(path.clone());
        notes.write(0, &row(0, 1)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        tell(&notes, 0, 2);
        let both = std::fs::read(&path).unwrap();
        for cut in [whole.len() + 1, both.len() - 2] {
            crate::store::atomic::write(&path, &both[..cut]).unwrap();
            assert_eq!(left(&Notes::new(path.clone())), only(0, 1), "{cut} bytes");
        }
        crate::store::atomic::write(&path, &both).unwrap();
        assert_eq!(left(&Notes::new(path)), only(0, 2));
    }
}
