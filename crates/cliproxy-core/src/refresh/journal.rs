//! What is written down around the exchange of a refresh token that works once.
//!
//! Before the exchange an entry says which account is about to spend which token; it is durable before the request
//! leaves. The answer goes into the same entry, and is durable before anybody uses it. So wherever the process ends,
//! what came back is on disk, and the next start finishes what this one began. Room for the answer is taken together
//! with the entry: a disk that fills up meanwhile does not cost a token.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::oauth::{Answer, Kept};
pub(crate) use crate::store::entry::Entry;
use crate::store::{atomic, entry, file_name};

/// Room that is taken for an answer: id tokens have a few kilobytes each.
const ROOM: usize = 32 << 10;

/// The first line of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The account's id.
    pub(crate) account: String,
    /// What the token can be recognized by, without being it.
    pub(crate) fingerprint: String,
    /// When the exchange began, in Unix seconds.
    pub(crate) begun: u64,
}

/// The folder of entries.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
}

/// What an earlier process left behind.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) intent: Intent,
    /// What came back, if that was known.
    pub(crate) answer: Option<Answer>,
    path: PathBuf,
}

impl Journal {
    pub(crate) fn new(workplace: &Path) -> Self {
        Self { folder: workplace.join("journal") }
    }

    /// Says that a token is about to be spent. Blocks until that is durable.
    ///
    /// # Errors
    /// When it cannot be written; the token must not be spent then.
    pub(crate) fn begin(&self, intent: &Intent) -> io::Result<Entry> {
        atomic::make_directory(&self.folder)?;
        let path = self.place(&intent.account);
        let file = atomic::private(OpenOptions::new().create(true).truncate(true).write(true)).open(&path)?;
        Entry::begin(path, file, intent, ROOM)
    }

    /// What earlier processes left behind. An entry whose first line is not whole was never followed by an exchange;
    /// such are removed.
    pub(crate) fn left(&self) -> Vec<Left> {
        entry::paths(&self.folder).iter().filter_map(|path| read(path)).collect()
    }

    /// What an earlier process left behind about an account.
    pub(crate) fn left_of(&self, account: &str) -> Option<Left> {
        read(&self.place(account))
    }

    fn place(&self, account: &str) -> PathBuf {
        self.folder.join(entry::file_name(&file_name(account)))
    }
}

fn read(path: &Path) -> Option<Left> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!("an entry of the token journal cannot be read: {}: {error}", path.display());
            return None;
        }
    };
    let left = Left::read(&content, path.to_owned());
    if left.is_none() {
        tracing::warn!(
            "an entry of the token journal is not whole, so nothing was spent: {}",
            path.display()
        );
        entry::remove(path);
    }
    left
}

impl Left {
    fn read(content: &[u8], path: PathBuf) -> Option<Self> {
        let mut lines = content.split(|byte| *byte == b'\n');
        let intent = serde_json::from_slice(lines.next()?).ok()?;
        // A line that is not whole was never used by anybody.
        let kept: Option<Kept> = lines.next().and_then(|line| serde_json::from_slice(line).ok());
        let answer = kept.and_then(|kept| kept.answer());
        Some(Self { intent, answer, path })
    }

    /// Nothing is left to be done about it.
    pub(crate) fn end(self) {
        entry::remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn intent() -> Intent {
        Intent { account: "team/claude-a@b.c.json".to_owned(), fingerprint: "f".to_owned(), begun: 7 }
    }

    fn answer(body: &str) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn an_answer_is_found_by_the_next_process_and_ends_with_the_entry() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path());
        assert!(journal.left().is_empty());
        let mut entry = journal.begin(&intent()).unwrap();
        let left = journal.left();
        assert_eq!(left[0].intent, intent());
        assert!(left[0].answer.is_none());
        entry.write(&[Kept::from(&answer("{\"access_token\":\"new\"}"))]).unwrap();
        let left = journal.left();
        assert_eq!(left[0].answer.as_ref().unwrap().body, "{\"access_token\":\"new\"}");
        entry.end();
        assert!(journal.left().is_empty());
    }

    #[test]
    fn an_answer_that_was_cut_off_while_writing_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path());
        let mut entry = journal.begin(&intent()).unwrap();
        let path = journal.place(&intent().account);
        // Behind the first line stands the room.
        let length = fs::read(&path).unwrap().trim_ascii_end().len() + 1;
        entry.write(&[Kept::from(&answer("token"))]).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in length..length + 20 {
            let mut content = whole.clone();
            content[cut..].fill(b' ');
            assert!(Left::read(&content, path.clone()).unwrap().answer.is_none(), "{cut}");
        }
        assert!(Left::read(&whole[..length - 3], path.clone()).is_none());
    }
}
