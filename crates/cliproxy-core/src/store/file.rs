//! The auth directory: one JSON file per account, as the existing program has it.
//!
//! What is ours alone (locks, journal, rests) lies in the folder [`OWN`] inside it, which is no auth file and which
//! other programs on the same directory pass over.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Document, Expected, LONGEST_DOCUMENT, Store, StoreError, Version, atomic, lock};

/// Our own folder in the auth directory.
pub const OWN: &str = ".cliproxy";

/// How deep folders are looked into.
const DEEPEST: usize = 4;

/// File names may be a little longer than this, and get endings.
const LONGEST_NAME: usize = 200;

/// How long a writer waits for another one on the same file. A write takes milliseconds.
const LONGEST_LOCK: Duration = Duration::from_secs(10);

/// Auth files in a directory.
#[derive(Clone, Debug)]
pub struct FileStore {
    pub(super) directory: Arc<Path>,
    /// What was seen of each file at the last look.
    seen: Arc<Mutex<HashMap<String, Seen>>>,
    /// Takes other people's access away where it finds it.
    mends: bool,
}

impl FileStore {
    /// The files of a directory. It is made when the first file is written.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into().into(), seen: Arc::default(), mends: true }
    }

    /// The same, without changing anything when only looked at.
    #[must_use]
    pub fn untouched(self) -> Self {
        Self { mends: false, ..self }
    }

    /// Makes the directory, for its owner only, unless it is there, and finds out whether files can be written there.
    ///
    /// # Errors
    /// When it cannot be made, or cannot be written.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        self.blocking(|store| {
            let failed = |source| failure("make", &store.directory, source);
            atomic::make_directory(&store.directory).map_err(failed)?;
            if store.mends {
                mend(&store.directory);
            }
            atomic::try_out(&store.directory).map_err(|source| failure("write", &store.directory, source))
        })
        .await
    }

    /// Our own folder in it.
    pub fn own(&self) -> PathBuf {
        self.directory.join(OWN)
    }

    /// The ids of all files that have the name of an auth file, those that cannot be read included.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub async fn names(&self) -> Result<Vec<String>, StoreError> {
        self.blocking(|store| {
            store.list_now()?;
            let seen = store.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let mut names: Vec<String> = seen.keys().cloned().collect();
            names.sort_unstable();
            Ok(names)
        })
        .await
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
        let before = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let mut look = Look { before: &before, now: HashMap::new(), mends: self.mends };
        let visited = look.visit(&self.directory, "", DEEPEST);
        let now = look.now;
        match visited {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = before;
                return Err(error);
            }
            Ok(()) => {}
        }
        let found = now.iter().filter_map(|(id, seen)| Some((id.clone(), seen.version?))).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(found)
    }

    fn put_now(&self, id: &str, content: &[u8], expected: Expected) -> Result<Version, StoreError> {
        let path = self.path(id)?;
        // What a link points to is written, not the link.
        let path = fs::canonicalize(&path).unwrap_or(path);
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

/// What was seen of a file.
#[derive(Clone, Copy, Debug)]
struct Seen {
    stamp: Stamp,
    /// The version of its content; `None` when it could not be read, which was told.
    version: Option<Version>,
}

/// What changes when a file does, as far as can be told without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, number and time of the last change of any kind, where the system tells them.
    identity: (u64, u64, i64, i64),
    /// Changed so shortly before the look that a further change might not show.
    is_recent: bool,
}

/// File systems tell times this coarsely.
const COARSEST_TIME: Duration = Duration::from_secs(2);

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        };
        #[cfg(not(unix))]
        let identity = (0, 0, 0, 0);
        let modified = metadata.modified().ok();
        #[expect(clippy::disallowed_methods, reason = "file times are of the machine's clock")]
        let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        let is_recent = age.is_none_or(|age| age < COARSEST_TIME);
        Self { length: metadata.len(), modified, identity, is_recent }
    }

    fn is_the_same(&self, now: &Self) -> bool {
        !self.is_recent && Self { is_recent: self.is_recent, ..*now } == *self
    }
}

/// A look at the directory.
struct Look<'a> {
    before: &'a HashMap<String, Seen>,
    now: HashMap<String, Seen>,
    mends: bool,
}

impl Look<'_> {
    fn visit(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), StoreError> {
        let entries = fs::read_dir(folder).map_err(|source| failure("read", folder, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| failure("read", folder, source))?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let id = format!("{prefix}{name}");
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if metadata.is_dir() {
                if let Some(depth) = depth.checked_sub(1) {
                    // A folder that cannot be read costs its own files only.
                    if let Err(error) = self.visit(&path, &format!("{id}/"), depth) {
                        tracing::warn!("auth files of a folder are left out: {error}");
                    }
                }
            } else if is_json(&path) {
                self.file(id, &path, &metadata);
            }
        }
        Ok(())
    }

    fn file(&mut self, id: String, path: &Path, metadata: &fs::Metadata) {
        let before = self.before.get(&id).copied();
        let mut stamp = Stamp::of(metadata);
        if let Some(seen) = before.filter(|seen| seen.stamp.is_the_same(&stamp)) {
            self.now.insert(id, seen);
            return;
        }
        if self.mends
            && mend(path)
            && let Ok(metadata) = fs::metadata(path)
        {
            stamp = Stamp::of(&metadata);
        }
        let version = match read(path) {
            Ok(None) => return,
            Ok(Some(document)) => Some(document.version),
            Err(error) => {
                let is_news =
                    before.is_none_or(|seen| Stamp { is_recent: stamp.is_recent, ..seen.stamp } != stamp);
                if is_news {
                    tracing::warn!("an auth file cannot be used: {error}");
                }
                // Its account stays as it was.
                before.and_then(|seen| seen.version)
            }
        };
        self.now.insert(id, Seen { stamp, version });
    }
}

/// Takes other people's access away; true when there was some.
fn mend(path: &Path) -> bool {
    match atomic::make_private(path) {
        Ok(true) => {
            tracing::warn!("{} was open to other users and is now its owner's only", path.display());
            true
        }
        Ok(false) => false,
        Err(error) => {
            tracing::warn!("{} may be open to other users, which cannot be changed: {error}", path.display());
            false
        }
    }
}

/// Reads a file; `None` when there is none.
fn read(path: &Path) -> Result<Option<Document>, StoreError> {
    let read = fs::metadata(path).and_then(|metadata| {
        // A pipe would be waited for, and a device has no end.
        if !metadata.is_file() || metadata.len() > LONGEST_DOCUMENT {
            return Ok(None);
        }
        let mut content = Vec::new();
        let length = File::open(path)?.take(LONGEST_DOCUMENT + 1).read_to_end(&mut content)?;
        Ok(u64::try_from(length).is_ok_and(|length| length <= LONGEST_DOCUMENT).then_some(content))
    });
    match read {
        Ok(Some(content)) => Ok(Some(Document::new(content))),
        Ok(None) => Err(StoreError::Unreadable(path.display().to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failure("read", path, source)),
    }
}

pub(crate) fn is_json(path: &Path) -> bool {
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
    if name.len() > LONGEST_NAME {
        let version = Version::of(id.as_bytes());
        name.truncate(LONGEST_NAME - 40);
        let _written = write!(name, "%{version}");
    }
    name
}

pub(super) fn failure(action: &'static str, place: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, place: place.display().to_string(), source }
}
