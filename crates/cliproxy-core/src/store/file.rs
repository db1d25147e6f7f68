//! The auth directory: one JSON file per account, as the existing program has it.
//!
//! What is ours alone (locks, journal, rests) lies in the folder [`OWN`] inside it, which is no auth file and which
//! other programs on the same directory pass over.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Document, Expected, LONGEST_DOCUMENT, Store, StoreError, Version, atomic, lock};

/// Our own folder in the auth directory.
pub const OWN: &str = ".cliproxy";

/// How deep folders are looked into.
const DEEPEST: usize = 4;

/// How long a writer waits for another one on the same file. A write takes milliseconds.
const LONGEST_LOCK: Duration = Duration::from_secs(10);

/// Auth files in a directory.
#[derive(Clone, Debug)]
pub struct FileStore {
    pub(super) directory: Arc<Path>,
}

impl FileStore {
    /// The files of a directory. It is made when the first file is written.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into().into() }
    }

    /// Our own folder in it.
    pub fn own(&self) -> PathBuf {
        self.directory.join(OWN)
    }

    /// The path of a document.
    ///
    /// # Errors
    /// An id that is no name of an auth file: absolute, with `..`, hidden, or not `.json`.
    pub fn path(&self, id: &str) -> Result<PathBuf, StoreError> {
        let path = Path::new(id);
        let is_plain = path.components().all(|component| match component {
            Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
            _ => false,
        });
        if is_plain && is_json(path) {
            Ok(self.directory.join(path))
        } else {
            Err(StoreError::Name(id.to_owned()))
        }
    }

    fn list_now(&self) -> Result<Vec<(String, Version)>, StoreError> {
        let mut found = Vec::new();
        match Self::visit(&self.directory, "", DEEPEST, &mut found) {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
            Ok(()) => Ok(found),
        }
    }

    fn visit(
        folder: &Path,
        prefix: &str,
        depth: usize,
        found: &mut Vec<(String, Version)>,
    ) -> Result<(), StoreError> {
        let entries = fs::read_dir(folder).map_err(|source| failure("read", folder, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| failure("read", folder, source))?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let id = format!("{prefix}{name}");
            if path.is_dir() {
                if let Some(depth) = depth.checked_sub(1) {
                    // A folder that cannot be read costs its own files only.
                    if let Err(error) = Self::visit(&path, &format!("{id}/"), depth, found) {
                        tracing::warn!("auth files of a folder are left out: {error}");
                    }
                }
            } else if is_json(&path) {
                match read(&path) {
                    Ok(Some(document)) => found.push((id, document.version)),
                    Ok(None) => {}
                    Err(error) => tracing::warn!("an auth file is left out: {error}"),
                }
            }
        }
        Ok(())
    }

    fn put_now(&self, id: &str, content: &[u8], expected: Expected) -> Result<Version, StoreError> {
        let path = self.path(id)?;
        atomic::make_directory(&self.directory).map_err(|source| failure("make", &self.directory, source))?;
        let _lock = lock::take(&self.own(), &format!("write-{id}"), LONGEST_LOCK)?;
        let there = read(&path)?.map(|document| document.version);
        let is_expected = match expected {
            Expected::Any => true,
            Expected::Absent => there.is_none(),
            Expected::Version(version) => there == Some(version),
        };
        if !is_expected {
            return Err(StoreError::Conflict(id.to_owned()));
        }
        atomic::write(&path, content).map_err(|source| failure("write", &path, source))?;
        Ok(Version::of(content))
    }

    fn delete_now(&self, id: &str) -> Result<(), StoreError> {
        let path = self.path(id)?;
        match fs::remove_file(&path) {
            Ok(()) => atomic::sync_directory(atomic::parent(&path))
                .map_err(|source| failure("remove", &path, source)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(failure("remove", &path, source)),
        }
    }

    /// Runs work that blocks where it may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(result) => result,
            Err(error) => Err(failure("reach", &self.directory, io::Error::other(error))),
        }
    }
}

impl Store for FileStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<(String, Version)>, StoreError>> {
        Box::pin(self.blocking(Self::list_now))
    }

    fn get<'s>(&'s self, id: &'s str) -> BoxFuture<'s, Result<Option<Document>, StoreError>> {
        let id = id.to_owned();
        Box::pin(self.blocking(move |store| read(&store.path(&id)?)))
    }

    fn put<'s>(
        &'s self,
        id: &'s str,
        content: Bytes,
        expected: Expected,
    ) -> BoxFuture<'s, Result<Version, StoreError>> {
        let id = id.to_owned();
        Box::pin(self.blocking(move |store| store.put_now(&id, &content, expected)))
    }

    fn delete<'s>(&'s self, id: &'s str) -> BoxFuture<'s, Result<(), StoreError>> {
        let id = id.to_owned();
        Box::pin(self.blocking(move |store| store.delete_now(&id)))
    }

    fn workplace(&self) -> Option<PathBuf> {
        Some(self.own())
    }

    fn directory(&self) -> Option<PathBuf> {
        Some(self.directory.to_path_buf())
    }
}

/// Reads a file; `None` when there is none.
fn read(path: &Path) -> Result<Option<Document>, StoreError> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failure("read", path, source)),
    };
    if length > LONGEST_DOCUMENT {
        return Err(StoreError::Unreadable(path.display().to_string()));
    }
    match fs::read(path) {
        Ok(content) => Ok(Some(Document::new(content))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failure("read", path, source)),
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// A file name for an id: two ids have different ones, and none leads out of the folder.
pub fn file_name(id: &str) -> String {
    let mut name = String::with_capacity(id.len() + 8);
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'@' | b'.' => {
                name.push(char::from(byte));
            }
            other => drop(write!(name, "%{other:02x}")),
        }
    }
    name
}

pub(super) fn failure(action: &'static str, place: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, place: place.display().to_string(), source }
}
