//! What is written down while somebody logs in, so that a login which is cut off after its token came is finished later.
//!
//! An entry is made before anything is asked, with room for what comes back: a directory that cannot be written is told
//! before a person goes to the browser, and a disk that fills up meanwhile costs no token. From the first token on,
//! what the conversation was told is in the entry, and durable before anybody uses it. The process that logs in holds
//! the entry's lock, so an entry that is free and has an answer is of a process that has ended. Renewals keep a journal
//! of their own (`crate::refresh`); who finishes what is left is the business of [`super::earlier`].

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::oauth::{Answer, Kept};
pub(crate) use crate::store::entry::Entry;
use crate::store::{atomic, entry};

/// Room that is taken for answers.
const ROOM: usize = 64 << 10;
/// Entries are small; nothing larger was written by us.
const LONGEST_ENTRY: u64 = 16 << 20;

/// The first line of an entry: what the conversation begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The way to log in, by its name.
    pub(crate) login: String,
    /// When it began, in Unix seconds.
    pub(crate) begun: u64,
    /// What the service recognizes this installation by.
    pub(crate) device_id: String,
    /// The project that was chosen beforehand.
    pub(crate) project: Option<String>,
}

/// A further line: what happened.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Note {
    /// A service answered.
    Answer(Told),
    /// The last answer with a token holds this by now.
    Renewed(Told),
    /// A person answered a question.
    Said(String),
    /// The account is about to be saved under this id.
    Saving(String),
}

/// An answer, kept.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    /// When it came, in Unix seconds.
    at: u64,
    #[serde(flatten)]
    kept: Kept,
}

impl Told {
    pub(crate) fn new(answer: &Answer, at: u64) -> Self {
        Self { at, kept: answer.into() }
    }

    pub(crate) fn answer(&self) -> Option<Answer> {
        self.kept.answer()
    }

    pub(crate) fn at(&self) -> u64 {
        self.at
    }
}

/// The folder of entries.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
}

/// What a process left behind that has ended, with the lock on it.
pub(crate) struct Left {
    pub(crate) entry: Entry,
    pub(crate) intent: Intent,
    pub(crate) notes: VecDeque<Note>,
}

impl Journal {
    pub(crate) fn new(workplace: &Path) -> Self {
        Self { folder: workplace.join("logins") }
    }

    /// Makes an entry and takes its lock; dropping it leaves it to whoever finishes it. Blocks until it is durable.
    ///
    /// # Errors
    /// When it cannot be written; nothing must be asked for then.
    pub(crate) fn begin(&self, intent: &Intent) -> io::Result<Entry> {
        atomic::make_directory(&self.folder)?;
        // Whoever looks for what is left may meet the file before it is locked, and remove it: then once more.
        for _ in 0..8 {
            let (path, file) = self.make()?;
            if is_held(&path, &file) {
                return Entry::begin(path, file, intent, ROOM);
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "other processes take the entry of this one"))
    }

    /// A file that is nobody else's and not yet locked.
    fn make(&self) -> io::Result<(PathBuf, File)> {
        let path = self.folder.join(entry::file_name(&uuid::Uuid::new_v4().simple().to_string()));
        let file = atomic::private(OpenOptions::new().create_new(true).read(true).write(true)).open(&path)?;
        Ok((path, file))
    }

    /// What processes left behind that have ended. Entries without an answer are removed: nothing came back.
    pub(crate) fn left(&self) -> Vec<Left> {
        entry::paths(&self.folder).into_iter().filter_map(|path| Left::open(&path)).collect()
    }

    /// The logins that wait to be finished, without touching them: their names, and when they began.
    pub(crate) fn waiting(&self) -> Vec<Intent> {
        let read = |path: PathBuf| {
            let (intent, notes, _) = parse(&content(&path).ok()??)?;
            notes.iter().any(Note::is_answer).then_some(intent)
        };
        entry::paths(&self.folder).into_iter().filter_map(read).collect()
    }
}

/// Locks the file of an entry; false when another process was faster, which removes what is empty. Where there are no
/// locks, two that finish the same login come to the same end.
fn is_held(path: &Path, file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && path.exists()
}

impl Note {
    fn is_answer(&self) -> bool {
        matches!(self, Self::Answer(_))
    }
}

impl Left {
    /// Takes an entry over; `None` when somebody is at it, or nothing came back.
    fn open(path: &Path) -> Option<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        // Whoever held the lock may have finished it.
        let content = content(path)
            .inspect_err(|error| {
                tracing::error!("an entry of the login journal cannot be read: {}: {error}", path.display());
            })
            .ok()??;
        match parse(&content) {
            Some((intent, notes, end)) if notes.iter().any(Note::is_answer) => {
                Some(Self { entry: Entry::resume(path.to_owned(), file, end), intent, notes })
            }
            _ => {
                entry::remove(path);
                None
            }
        }
    }

    /// When the last answer came, in Unix seconds.
    pub(crate) fn received(&self) -> u64 {
        let at = |note: &Note| match note {
            Note::Answer(told) | Note::Renewed(told) => Some(told.at()),
            Note::Said(_) | Note::Saving(_) => None,
        };
        self.notes.iter().filter_map(at).max().unwrap_or(self.intent.begun)
    }

    /// The id under which the account was about to be saved.
    pub(crate) fn noted(&self) -> Option<&str> {
        self.notes.iter().rev().find_map(|note| match note {
            Note::Saving(id) => Some(id.as_str()),
            _ => None,
        })
    }
}

fn content(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() <= LONGEST_ENTRY => fs::read(path).map(Some),
        Ok(_) => Err(io::Error::other("it is too large")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lines that are whole, and where the next one goes. A line that is not whole was never used by anybody.
fn parse(content: &[u8]) -> Option<(Intent, VecDeque<Note>, u64)> {
    let mut parts = content.split_inclusive(|byte| *byte == b'\n');
    let first = parts.next()?;
    let intent = serde_json::from_slice(first).ok()?;
    let (mut end, mut notes) = (first.len(), VecDeque::new());
    for part in parts {
        if part.last() != Some(&b'\n') {
            break;
        }
        let Ok(note) = serde_json::from_slice(part) else { break };
        notes.push_back(note);
        end += part.len();
    }
    Some((intent, notes, u64::try_from(end).ok()?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn intent() -> Intent {
        Intent { login: "codex-login".to_owned(), begun: 7, device_id: "d".to_owned(), project: None }
    }

    fn answer(body: &str) -> Note {
        let answer = Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        Note::Answer(Told::new(&answer, 9))
    }

    #[test]
    fn an_answer_is_found_by_the_next_process_once_the_lock_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path());
        assert!(journal.left().is_empty() && journal.waiting().is_empty());
        let mut entry = journal.begin(&intent()).unwrap();
        assert!(journal.left().is_empty() && journal.waiting().is_empty());
        entry.write(&[answer("token"), Note::Said("2".to_owned())]).unwrap();
        entry.write(&[Note::Saving("a.json".to_owned())]).unwrap();
        assert!(journal.left().is_empty(), "somebody is at it");
        assert_eq!(journal.waiting(), [intent()]);
        drop(entry);
        let mut left = journal.left();
        let left = left.remove(0);
        assert_eq!((&left.intent, left.received(), left.noted()), (&intent(), 9, Some("a.json")));
        assert_eq!(left.notes.len(), 3);
        assert!(journal.left().is_empty(), "somebody finishes it");
        left.entry.end();
        assert!(journal.left().is_empty() && journal.waiting().is_empty());
    }

    #[test]
    fn an_entry_that_another_process_meets_before_it_is_locked_is_made_once_more() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path());
        atomic::make_directory(&journal.folder).unwrap();
        let (path, file) = journal.make().unwrap();
        assert!(journal.left().is_empty());
        assert!(!is_held(&path, &file), "it was removed");
        let (path, file) = journal.make().unwrap();
        let other = OpenOptions::new().read(true).open(&path).unwrap();
        other.try_lock().unwrap();
        assert!(!is_held(&path, &file), "the other process is about to remove it");
        drop(other);
        assert!(is_held(&path, &file));
    }

    #[test]
    fn a_login_without_an_answer_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path());
        drop(journal.begin(&intent()).unwrap());
        assert!(journal.left().is_empty());
        assert!(entry::paths(&journal.folder).is_empty());
    }

    #[test]
    fn a_line_that_was_cut_off_while_writing_is_none_and_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path());
        let mut entry = journal.begin(&intent()).unwrap();
        entry.write(&[answer("one")]).unwrap();
        let path = entry::paths(&journal.folder).remove(0);
        // Behind what is written stands the room.
        let end = || fs::read(&path).unwrap().trim_ascii_end().len() + 1;
        let before = end();
        entry.write(&[answer("two")]).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in before..end() {
            let mut content = whole.clone();
            content[cut..].fill(b' ');
            let (_, lines, end) = parse(&content).unwrap();
            assert_eq!((lines.len(), end), (1, u64::try_from(before).unwrap()), "{cut}");
        }
        drop(entry);
        let mut cut = whole;
        cut[before + 9..].fill(b' ');
        atomic::write(&path, &cut).unwrap();
        let mut left = journal.left().remove(0);
        left.entry.write(&[Note::Said("x".to_owned())]).unwrap();
        let (_, lines, _) = parse(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(lines.len(), 2);
    }
}
