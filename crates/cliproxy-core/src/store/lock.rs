//! Locks that other processes on the same machine respect, and that end with the process that holds them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file::{failure, file_name};
use super::{StoreError, atomic};

/// How often a lock that somebody else holds is tried.
const PAUSE: Duration = Duration::from_millis(20);

/// Takes the lock called `name` in a [workplace](super::Store::workplace). Blocks until it is free or `patience` is
/// over; dropping the file lets it go.
///
/// # Errors
/// When the lock cannot be had.
pub fn take(workplace: &Path, name: &str, patience: Duration) -> Result<File, StoreError> {
    let end = Instant::now() + patience;
    loop {
        if let Some(lock) = try_take(workplace, name)? {
            return Ok(lock);
        }
        if Instant::now() >= end {
            let busy = io::Error::new(io::ErrorKind::TimedOut, "another process holds it");
            return Err(failure("lock", &place(workplace, name), busy));
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the end of another process's lock is no event; the caller may block"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Takes a lock if it is free.
///
/// # Errors
/// When there can be no lock.
pub fn try_take(workplace: &Path, name: &str) -> Result<Option<File>, StoreError> {
    let place = place(workplace, name);
    let failed = |source| failure("lock", &place, source);
    atomic::make_directory(atomic::parent(&place)).map_err(failed)?;
    let mut options = OpenOptions::new();
    let options = atomic::private(options.create(true).truncate(false).write(true));
    let file = options.open(&place).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn place(workplace: &Path, name: &str) -> PathBuf {
    workplace.join("locks").join(format!("{}.lock", file_name(name)))
}
