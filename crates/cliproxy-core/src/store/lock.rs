//! Locks that other processes on the same machine respect, and that end with the process that holds them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
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
    let place = workplace.join("locks").join(format!("{}.lock", file_name(name)));
    let failed = |source| failure("lock", &place, source);
    atomic::make_directory(atomic::parent(&place)).map_err(failed)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = options.open(&place).map_err(failed)?;
    let end = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < end => pause(),
            Err(TryLockError::WouldBlock) => {
                return Err(failed(io::Error::new(io::ErrorKind::TimedOut, "another process holds it")));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a lock of another process tells nobody when it is free")]
fn pause() {
    std::thread::sleep(PAUSE);
}
