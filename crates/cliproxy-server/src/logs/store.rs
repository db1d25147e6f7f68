//! Where log files are, which of them are wanted, and how many.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use cliproxy_core::config::Settings;
use cliproxy_core::config::settings::Logging;
use cliproxy_core::store::atomic;
use tokio::sync::Notify;

use super::main_file::MainFile;

/// Name of the application log.
pub(super) const MAIN: &str = "main.log";
/// What a record is called while it is written.
pub(super) const UNFINISHED: &str = ".part";
/// After this long nobody writes to an unfinished record any more.
const ABANDONED: Duration = Duration::from_hours(24);
/// How often the directory's size is looked at.
const PACE: Duration = Duration::from_mins(1);

/// Where the directory may be.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Where everything is written to, if the environment says so.
    pub writable: Option<PathBuf>,
    /// A directory that is used when it is there already.
    pub existing: Option<PathBuf>,
    /// Where it is made otherwise.
    pub usual: Option<PathBuf>,
}

impl Places {
    /// The places that settings mean.
    pub fn of(settings: &Settings) -> Self {
        Self {
            writable: settings.writable.as_ref().map(|base| base.join("logs")),
            existing: Some(PathBuf::from("logs")),
            usual: Some(settings.auth_dir.join("logs")),
        }
    }

    /// Where a server writes log files, or would. Nothing is made.
    pub fn chosen(&self) -> Option<&Path> {
        let existing = self.existing.as_ref().filter(|path| path.is_dir() && atomic::try_out(path).is_ok());
        self.writable.as_ref().or(existing).or(self.usual.as_ref()).map(PathBuf::as_path)
    }

    fn choose(&self) -> io::Result<PathBuf> {
        let chosen = self.chosen().ok_or_else(|| io::Error::other("there is no place for log files"))?;
        atomic::make_directory(chosen)?;
        std::path::absolute(chosen)
    }
}

/// The log files. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Logs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    places: Places,
    directory: OnceLock<PathBuf>,
    /// Quick to read: a file takes the place of standard output.
    is_to_file: AtomicBool,
    main: ArcSwapOption<MainFile>,
    /// Largest size of everything together; 0 without limit.
    most_bytes: AtomicU64,
    changed: Notify,
}

impl Logs {
    /// Log files at one of the places, none of them written yet.
    pub fn new(places: Places) -> Self {
        Self(Arc::new(Inner { places, ..Inner::default() }))
    }

    /// Does as the settings say, from now on.
    ///
    /// # Errors
    /// When there is to be a file and cannot be one; standard output goes on then.
    pub fn apply(&self, logging: &Logging) -> io::Result<()> {
        self.0.most_bytes.store(logging.total_bytes.unwrap_or_default(), Ordering::Relaxed);
        self.0.changed.notify_one();
        if !logging.to_file {
            self.0.is_to_file.store(false, Ordering::Relaxed);
            self.0.main.store(None);
            return Ok(());
        }
        if self.0.main.load().is_none() {
            let file = MainFile::open(&self.directory()?)?;
            self.0.main.store(Some(Arc::new(file)));
        }
        self.0.is_to_file.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a file takes the place of standard output.
    pub fn is_to_file(&self) -> bool {
        self.0.is_to_file.load(Ordering::Relaxed)
    }

    /// Appends to the application log; `false` when that is not possible, or not wanted.
    pub fn append(&self, lines: &[u8]) -> bool {
        self.0.main.load().as_ref().is_some_and(|file| file.append(lines).is_ok())
    }

    /// The directory, made when it is missing.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn directory(&self) -> io::Result<PathBuf> {
        if let Some(directory) = self.0.directory.get() {
            return Ok(directory.clone());
        }
        let chosen = self.0.places.choose()?;
        forget_abandoned(&chosen)?;
        Ok(self.0.directory.get_or_init(|| chosen).clone())
    }

    /// Empties the application log and removes its rotations; gives how many. Blocks.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn clear(&self) -> io::Result<usize> {
        let directory = self.directory()?;
        let mut removed = 0;
        for path in rotations(&directory)? {
            fs::remove_file(path)?;
            removed += 1;
        }
        if let Some(file) = self.0.main.load().as_ref() {
            file.empty()?;
        }
        Ok(removed)
    }

    /// Keeps the directory within its size until it is dropped.
    pub async fn keep(self) {
        loop {
            if self.0.most_bytes.load(Ordering::Relaxed) == 0 {
                self.0.changed.notified().await;
                continue;
            }
            let logs = self.clone();
            let work = tokio::task::spawn_blocking(move || logs.trim()).await;
            if let Err(error) = work.map_err(io::Error::other).and_then(|result| result) {
                tracing::warn!("old log files cannot be removed: {error}");
            }
            tokio::select! {
                () = tokio::time::sleep(PACE) => {}
                () = self.0.changed.notified() => {}
            }
        }
    }

    /// Removes the oldest files until everything fits. Blocks.
    fn trim(&self) -> io::Result<()> {
        let Some(directory) = self.0.directory.get() else { return Ok(()) };
        trim(directory, self.0.most_bytes.load(Ordering::Relaxed))
    }
}

/// A log file as it is listed.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

/// The files of a directory, oldest first. One that vanishes meanwhile is left out.
pub(crate) fn listed(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Listed>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut list = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() && is_wanted(&name) {
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            list.push(Listed { name, size: metadata.len(), modified });
        }
    }
    list.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
    Ok(list)
}

/// The application log's earlier files, oldest first.
pub(super) fn rotations(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names: Vec<String> = listed(directory, |name| name.starts_with("main-") && is_log(name))?
        .into_iter()
        .map(|listed| listed.name)
        .collect();
    names.sort_unstable();
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

fn trim(directory: &Path, most: u64) -> io::Result<()> {
    let files = listed(directory, |name| is_log(name.trim_end_matches(".gz")))?;
    let mut total: u64 = files.iter().map(|file| file.size).sum();
    for file in files.iter().filter(|file| file.name != MAIN) {
        if total <= most {
            break;
        }
        fs::remove_file(directory.join(&file.name))?;
        total -= file.size;
    }
    forget_abandoned(directory)
}

/// Removes records that a process left unfinished.
fn forget_abandoned(directory: &Path) -> io::Result<()> {
    for file in listed(directory, |name| name.ends_with(UNFINISHED))? {
        // The time of another machine's file may lie ahead.
        if file.modified.elapsed().is_ok_and(|age| age > ABANDONED) {
            fs::remove_file(directory.join(&file.name))?;
        }
    }
    Ok(())
}

/// Removes the oldest error logs beyond `most`; 0 keeps all. Blocks.
pub(super) fn trim_errors(directory: &Path, most: u32) -> io::Result<()> {
    if most == 0 {
        return Ok(());
    }
    let files = listed(directory, is_error)?;
    let surplus = files.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
    for file in files.iter().take(surplus) {
        match fs::remove_file(directory.join(&file.name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_log(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "log")
}

/// Whether a name is that of an error log.
pub(crate) fn is_error(name: &str) -> bool {
    name.starts_with("error-") && is_log(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(directory: &Path, name: &str, size: usize, age: u64) {
        let path = directory.join(name);
        atomic::write(&path, &vec![b'x'; size]).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000 - age);
        fs::File::options().append(true).open(&path).unwrap().set_modified(at).unwrap();
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            listed(directory, |_| true).unwrap().into_iter().map(|file| file.name).collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_files_go_until_everything_fits_and_the_log_itself_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        put(path, "main.log", 100, 50);
        put(path, "main-2026-01-01T00-00-00.000.log", 100, 40);
        put(path, "error-x.log", 100, 30);
        put(path, "v1-messages-a.log", 100, 20);
        put(path, "notes.txt", 1000, 60);
        put(path, "v1-messages-b.log.part", 1000, 600_000_000);
        trim(path, 250).unwrap();
        assert_eq!(names(path), ["main.log", "notes.txt", "v1-messages-a.log"]);
    }

    #[test]
    fn error_logs_beyond_their_number_go_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        for (name, age) in [("error-a.log", 1), ("error-b.log", 3), ("error-c.log", 2), ("v1-x.log", 9)] {
            put(directory.path(), name, 1, age);
        }
        trim_errors(directory.path(), 0).unwrap();
        assert_eq!(names(directory.path()).len(), 4);
        trim_errors(directory.path(), 2).unwrap();
        assert_eq!(names(directory.path()), ["error-a.log", "error-c.log", "v1-x.log"]);
    }

    #[test]
    fn places_are_tried_in_their_order_and_nothing_is_made_before_it_is_needed() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        let places = Places { writable: None, existing: Some(at("here")), usual: Some(at("usual")) };
        let logs = Logs::new(places.clone());
        assert!(!at("usual").exists());
        assert_eq!(logs.directory().unwrap(), at("usual"));
        fs::create_dir(at("here")).unwrap();
        assert_eq!(Logs::new(places.clone()).directory().unwrap(), at("here"));
        let logs = Logs::new(Places { writable: Some(at("told")), ..places });
        assert_eq!(logs.directory().unwrap(), at("told"));
        assert!(Logs::default().directory().is_err());
    }
}
