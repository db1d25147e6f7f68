//! Where auth files are kept.
//!
//! A [`Store`] holds small documents by id and knows their versions, so that a writer can say what it has seen: a file
//! that somebody else changed meanwhile is read again instead of being overwritten. What the documents mean is the
//! business of [`crate::credential`].

pub mod atomic;
pub(crate) mod entry;
mod file;
pub mod lock;
mod memory;
mod patch;

pub(crate) use file::is_json;
pub use file::{FileStore, OWN, file_name};
pub use memory::MemoryStore;
pub use patch::{Changes, patched};

use std::fmt;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// The longest document that is read: auth files have a few kilobytes.
pub const LONGEST_DOCUMENT: u64 = 1 << 20;

/// A version of a document, to be compared only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version([u8; 16]);

impl Version {
    /// The version of a content.
    pub fn of(content: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
        let mut version = [0; 16];
        version.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A document as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Its content.
    pub content: Bytes,
    /// Its version.
    pub version: Version,
}

impl Document {
    /// A document with this content.
    pub fn new(content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self { version: Version::of(&content), content }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The content is tokens.
        write!(f, "Document({} bytes)", self.content.len())
    }
}

/// What a writer expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there.
    Any,
    /// Nothing.
    Absent,
    /// This version.
    Version(Version),
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote meanwhile.
    #[error("{0} was changed by somebody else meanwhile")]
    Conflict(String),
    /// There is no such document.
    #[error("{0} does not exist")]
    Missing(String),
    /// The id is no place in this store.
    #[error("{0} is not a name for an auth file")]
    Name(String),
    /// The document is no JSON object, or too large to be an auth file, or no regular file.
    #[error("{0} is not an auth file: a regular file with a JSON object of at most 1 MiB")]
    Unreadable(String),
    /// The storage failed.
    #[error("cannot {action} {place}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        place: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl StoreError {
    /// The storage takes nothing from anybody.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem)
    }

    /// The storage has no such thing, however often it is asked.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::Unsupported)
    }
}

/// A place for auth files. Ids are relative paths with `/` between.
pub trait Store: Send + Sync + fmt::Debug {
    /// All ids with the versions of their documents, in no order. Documents that cannot be read are left out and
    /// reported in the log.
    fn list(&self) -> BoxFuture<'_, Result<Vec<(String, Version)>, StoreError>>;

    /// A document; `None` when there is none.
    fn get<'s>(&'s self, id: &'s str) -> BoxFuture<'s, Result<Option<Document>, StoreError>>;

    /// Writes a document so that it is either there in full or not at all, and durable when this returns.
    fn put<'s>(
        &'s self,
        id: &'s str,
        content: Bytes,
        expected: Expected,
    ) -> BoxFuture<'s, Result<Version, StoreError>>;

    /// Removes a document. One that is gone already is no error.
    fn delete<'s>(&'s self, id: &'s str) -> BoxFuture<'s, Result<(), StoreError>>;

    /// A folder on this machine for what belongs to the store's documents and is none: locks, journal, rests. `None`
    /// when the documents do not outlive the process.
    fn workplace(&self) -> Option<PathBuf> {
        None
    }

    /// The directory that holds the documents as files, where others may change them.
    fn directory(&self) -> Option<PathBuf> {
        None
    }

    /// Files elsewhere on which documents depend.
    fn elsewhere(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Runs work that blocks; `None` when the runtime is ending.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// How often a writer that was overtaken reads again.
const ATTEMPTS: usize = 16;

/// Writes single members of a document and leaves every other byte alone, whoever else writes at the same time.
/// A document that does not exist is made only when `creates`.
///
/// # Errors
/// When the document is missing or no JSON object, or the storage fails.
pub async fn save(
    store: &dyn Store,
    id: &str,
    changes: &Changes,
    creates: bool,
) -> Result<Document, StoreError> {
    for _ in 0..ATTEMPTS {
        let (before, expected) = match store.get(id).await? {
            Some(document) => (document.content, Expected::Version(document.version)),
            None if creates => (Bytes::from_static(b"{}"), Expected::Absent),
            None => return Err(StoreError::Missing(id.to_owned())),
        };
        let content = patched(&before, changes).ok_or_else(|| StoreError::Unreadable(id.to_owned()))?;
        if content == before && expected != Expected::Absent {
            return Ok(Document::new(before));
        }
        match store.put(id, content.clone(), expected).await {
            Ok(version) => return Ok(Document { content, version }),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict(id.to_owned()))
}

#[cfg(test)]
mod tests;
