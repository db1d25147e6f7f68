//! Another user of the machine: permissions of files mean nothing to root, who runs the tests in many a container.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

/// Nobody in particular, on every Unix.
const NOBODY: u32 = 65_534;

/// The user to become so that permissions count; `None` when they do already.
pub fn bound_by_permissions() -> Option<u32> {
    let own = tempfile::tempdir().expect("a directory");
    let is_root = own.path().metadata().expect("it is there").uid() == 0;
    is_root.then_some(NOBODY)
}

/// Gives a file, or a directory with what is in it, to a user.
pub fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).expect("root may give away");
    for entry in std::fs::read_dir(path).into_iter().flatten() {
        give(&entry.expect("an entry").path(), user);
    }
}

/// Whether every user gets as far as a file.
pub fn is_open_to_all(path: &Path) -> bool {
    path.ancestors().all(|part| {
        part.as_os_str().is_empty()
            || part.metadata().is_ok_and(|part| part.permissions().mode() & 0o001 != 0)
    })
}

/// Sets the permissions of a file or directory.
pub fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}
