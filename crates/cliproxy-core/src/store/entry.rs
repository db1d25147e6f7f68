//! Entries of journals: what is written down around the spending of something that works once, such as a token.
//!
//! An entry is made before anything is spent, with room for what comes back: a disk that fills up meanwhile costs
//! nothing. Its lines are JSON. What they say, and who finishes what was left, is the business of who keeps the journal.
//!
//! All of it blocks; callers on a runtime go through a blocking thread.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::atomic;

/// What ends the names of entries.
const EXTENSION: &str = "entry";

/// An entry that is written to.
#[derive(Debug)]
pub(crate) struct Entry {
    path: PathBuf,
    file: File,
    /// Where the next line goes.
    end: u64,
}

impl Entry {
    /// Writes the first line into a file that is empty, and takes room. It is durable when this returns.
    ///
    /// # Errors
    /// When it cannot be written; nothing must be spent then, and nothing is left behind.
    pub(crate) fn begin(path: PathBuf, file: File, intent: &impl Serialize, room: usize) -> io::Result<Self> {
        let mut entry = Self { path, file, end: 0 };
        match entry.write_first(intent, room) {
            Ok(()) => Ok(entry),
            Err(error) => {
                entry.end();
                Err(error)
            }
        }
    }

    fn write_first(&mut self, intent: &impl Serialize, room: usize) -> io::Result<()> {
        let mut line = serde_json::to_vec(intent).map_err(io::Error::other)?;
        line.push(b'\n');
        self.end = u64::try_from(line.len()).map_err(io::Error::other)?;
        line.resize(line.len() + room, b' ');
        self.file.write_all(&line)?;
        self.file.sync_all()?;
        atomic::sync_directory(atomic::parent(&self.path))
    }

    /// Goes on with an entry of somebody else, behind its last line that is whole.
    pub(crate) fn resume(path: PathBuf, file: File, end: u64) -> Self {
        Self { path, file, end }
    }

    /// Adds lines. They are durable when this returns.
    pub(crate) fn write(&mut self, lines: &[impl Serialize]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line).map_err(io::Error::other)?;
            text.push(b'\n');
        }
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&text)?;
        self.end += u64::try_from(text.len()).map_err(io::Error::other)?;
        self.file.sync_data()
    }

    /// What it was about is over, and what came of it is where it belongs.
    pub(crate) fn end(self) {
        remove(&self.path);
    }
}

/// The name of an entry's file.
pub(crate) fn file_name(name: &str) -> String {
    format!("{name}.{EXTENSION}")
}

/// The entries of a folder, which need not be there.
pub(crate) fn paths(folder: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION)).collect()
}

/// Removes an entry.
pub(crate) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        // It is found again at the next start, when the file has the token already.
        tracing::warn!("cannot remove an entry of a journal: {}: {error}", path.display());
    }
}
