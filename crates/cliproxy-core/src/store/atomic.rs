//! Files that are there in full or not at all, for their owner's eyes only.
//!
//! All of it blocks; callers on a runtime go through a blocking thread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file by way of a temporary one in the same directory, which is made when it is missing: the old content or
/// the new one survives a crash at any point, and the new one is durable when this returns. The file is readable by its
/// owner only.
///
/// A file that is a mount point of its own cannot be replaced; it is written in place then.
///
/// # Errors
/// When the storage fails. Nothing of the new content is left behind then.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = parent(path);
    make_directory(directory)?;
    // Mode 0600 and a random name come with the temporary file.
    let mut next = tempfile::Builder::new().prefix(".next-").suffix(".tmp").tempfile_in(directory)?;
    next.write_all(content)?;
    next.as_file().sync_all()?;
    match next.persist(path) {
        Ok(_) => sync_directory(directory),
        Err(error) if is_mount_point(&error.error) => {
            let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
            file.write_all(content)?;
            file.sync_all()
        }
        Err(error) => Err(error.error),
    }
}

fn is_mount_point(error: &io::Error) -> bool {
    // EBUSY: a single file mounted into a container.
    error.kind() == io::ErrorKind::ResourceBusy
}

/// The directory of a file; the working directory for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a directory, with those above it, that only its owner may look into.
///
/// # Errors
/// When it cannot be made.
pub fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Files that are made with these options are for their owner alone.
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

/// Makes the names in a directory durable.
///
/// # Errors
/// When the storage fails.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened, and renaming is durable by itself.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Whether a file could be made in a directory: makes one, which is gone again at once.
///
/// # Errors
/// Why it could not.
pub fn try_out(directory: &Path) -> io::Result<()> {
    tempfile::tempfile_in(directory).map(drop)
}

/// Whether somebody else than its owner has access to a file or directory.
pub fn is_open(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _unused = path;
        false
    }
}

/// Takes away everybody else's access to a file or directory; true when there was something to take.
///
/// # Errors
/// When its permissions cannot be read or changed.
pub fn make_private(path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut permissions = fs::metadata(path)?.permissions();
        let private = permissions.mode() & 0o7700;
        if permissions.mode() & 0o7777 == private {
            return Ok(false);
        }
        permissions.set_mode(private);
        fs::set_permissions(path, permissions)?;
        Ok(true)
    }
    #[cfg(not(unix))]
    {
        let _unused = path;
        Ok(false)
    }
}
