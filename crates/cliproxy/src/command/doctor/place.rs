//! Files and directories: whether they can be read and written, who else can, and how much room there is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cliproxy_core::config::{Settings, Source};
use cliproxy_core::store::{FileStore, atomic};
use cliproxy_server::logs::Places;

use super::configuration::shown;
use super::finding::Findings;

const AREA: &str = "files";

/// With less room than this tokens that are renewed may be lost; with less than the second, soon.
#[cfg(unix)]
const TOO_LITTLE: u64 = 50 << 20;
#[cfg(unix)]
const LITTLE: u64 = 500 << 20;

/// Everything that is read or written.
pub(super) fn files(source: &Source, settings: &Settings, findings: &mut Findings) {
    auth_directory(&settings.auth_dir, findings);
    if settings.usage.is_collected {
        ledger(&FileStore::new(settings.auth_dir.clone()).own(), findings);
    }
    let logging = &settings.logging;
    if logging.to_file || logging.requests || logging.error_files > 0 {
        match Places::of(settings).chosen() {
            Some(directory) => writable(directory, "log files", findings),
            None => {
                findings.problem(AREA, "there is no place for log files", "set the variable WRITABLE_PATH");
            }
        }
    }
    if settings.management.is_enabled()
        && let Some(path) = source.path.as_deref()
    {
        writable(atomic::parent(path), "edits of the configuration by the management interface", findings);
    }
}

fn auth_directory(directory: &Path, findings: &mut Findings) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings
                .note(AREA, format!("the auth directory {} is made by the first login", shown(directory)));
            return writable(directory, "logins", findings);
        }
        Err(error) => {
            return findings.problem(
                AREA,
                format!("the auth directory {} cannot be read: {error}", shown(directory)),
                "make it a directory of the user that runs the gateway, or name another one with `auth-dir`",
            );
        }
    };
    writable(directory, "renewed tokens", findings);
    let mut open = Vec::new();
    if atomic::is_open(directory) {
        open.push(directory.to_owned());
    }
    look(entries, 4, &mut open, findings);
    for path in open {
        findings.warning(
            AREA,
            format!("{} can be read or changed by other users of this machine", shown(&path)),
            format!("chmod go= {}; a start of the server does it too", shown(&path)),
        );
    }
}

/// Auth files, and folders of them.
fn look(entries: fs::ReadDir, depth: u8, open: &mut Vec<PathBuf>, findings: &mut Findings) {
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_folder = path.is_dir() && !name.starts_with('.');
        if !is_folder && !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            continue;
        }
        let failed = if is_folder {
            match (fs::read_dir(&path), depth.checked_sub(1)) {
                (Ok(below), Some(depth)) => {
                    look(below, depth, open, findings);
                    None
                }
                (Ok(_too_deep), None) => None,
                (Err(error), _) => Some(error),
            }
        } else {
            fs::File::open(&path).err()
        };
        if let Some(error) = failed {
            findings.problem(
                AREA,
                format!("{} cannot be read: {error}", shown(&path)),
                "give it to the user that runs the gateway",
            );
        } else if atomic::is_open(&path) && !is_folder {
            open.push(path);
        }
    }
}

fn ledger(folder: &Path, findings: &mut Findings) {
    writable(folder, "the usage ledger", findings);
    let names = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    for name in names.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        if name.starts_with("usage.sqlite.aside") {
            findings.note(
                AREA,
                format!("{name} in {} is a ledger that was damaged or of a newer version", shown(folder)),
            );
        }
    }
}

/// Whether files can be made in a directory, or it can be made.
fn writable(directory: &Path, what: &str, findings: &mut Findings) {
    let (there, missing) = existing(directory);
    match atomic::try_out(&there) {
        Ok(()) if missing => {
            findings.ok(AREA, format!("{} can be made, for {what}", shown(directory)));
        }
        Ok(()) => findings.ok(AREA, format!("{} can be written, for {what}", shown(directory))),
        Err(error) => findings.problem(
            AREA,
            format!("{} cannot be written, so there is no place for {what}: {error}", shown(directory)),
            format!("make {} writable for the user that runs the gateway", shown(&there)),
        ),
    }
}

/// The directory, or the nearest above it that is there, and whether it is missing.
fn existing(directory: &Path) -> (PathBuf, bool) {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let there = absolute.ancestors().find(|path| path.exists()).unwrap_or(&absolute);
    (there.to_owned(), there != absolute)
}

/// Room on the disks that are written to.
#[cfg(unix)]
pub(super) fn disks(settings: &Settings, findings: &mut Findings) {
    use std::os::unix::fs::MetadataExt as _;
    const AREA: &str = "disk";
    let logs = Places::of(settings).chosen().map(Path::to_owned);
    let mut seen = Vec::new();
    for directory in [Some(settings.auth_dir.clone()), logs].into_iter().flatten() {
        let (there, _) = existing(&directory);
        let (Ok(metadata), Ok(room)) = (fs::metadata(&there), rustix::fs::statvfs(&there)) else { continue };
        if seen.contains(&metadata.dev()) {
            continue;
        }
        seen.push(metadata.dev());
        let (free, place) = (room.f_bavail.saturating_mul(room.f_frsize), shown(&directory));
        let left = format!("{} MiB are free where {place} is", free >> 20);
        // Some file systems do not count files.
        if free < TOO_LITTLE || (room.f_files > 0 && room.f_favail == 0) {
            findings.problem(
                AREA,
                format!("{left}: renewed tokens may not be saved"),
                "make room on that disk",
            );
        } else if free < LITTLE {
            findings.warning(
                AREA,
                left,
                "make room on that disk, or bound logs and ledger (`logs-max-total-size-mb`, `usage-ledger`)",
            );
        } else {
            findings.ok(AREA, left);
        }
    }
}

#[cfg(not(unix))]
pub(super) fn disks(_settings: &Settings, _findings: &mut Findings) {}
