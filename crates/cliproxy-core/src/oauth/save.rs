//! Writes what a login yields into the auth directory.
//!
//! An account that has a file already gets the new tokens there, whatever the file is called, so that what a person
//! wrote into it stays. A file of somebody else is never touched: the new account gets a name of its own.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::login::Grant;
use crate::credential::Record;

/// Names that are tried for one account.
const MOST_NAMES: u32 = 1000;
/// Larger files are not auth files.
const LARGEST: u64 = 1 << 20;

/// Where an account was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The file.
    pub path: PathBuf,
    /// The account had a file before.
    pub is_known: bool,
    /// The file says that it is not to be used.
    pub is_disabled: bool,
}

/// Saves a grant.
///
/// # Errors
/// The directory or the file cannot be written.
pub fn save(directory: &Path, grant: &Grant) -> io::Result<Saved> {
    create(directory)?;
    let (path, text) = match existing(directory, grant)? {
        Some(found) => found,
        None => (free_name(directory, &grant.file)?, None),
    };
    let is_known = text.is_some();
    let mut text = text.unwrap_or_else(|| "{}".to_owned());
    if !is_known {
        text = applied(&text, &grant.defaults)?;
    }
    text = applied(&text, &grant.changes)?;
    write(&path, text.as_bytes())?;
    let is_disabled = Record::parse(text.as_bytes()).is_ok_and(|record| record.is_disabled());
    Ok(Saved { path, is_known, is_disabled })
}

fn applied(text: &str, changes: &super::Changes) -> io::Result<String> {
    changes
        .applied(text)
        .map_err(|_no_json| io::Error::new(io::ErrorKind::InvalidData, "the file is not JSON"))
}

fn create(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(directory)
}

/// The file that the account has, and its text.
fn existing(directory: &Path, grant: &Grant) -> io::Result<Option<(PathBuf, Option<String>)>> {
    let Some(provider) = provider(grant) else { return Ok(None) };
    let mut found: Option<(PathBuf, Option<String>)> = None;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if !is_json
            || !fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST)
        {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let Ok(record) = Record::parse(text.as_bytes()) else { continue };
        if record.provider() != provider || !is_same(&record, grant) {
            continue;
        }
        // Of several files of one account, the one with the usual name.
        let is_usual = path.file_name().is_some_and(|name| name == grant.file.as_str());
        if is_usual || found.is_none() {
            found = Some((path, Some(text)));
        }
    }
    Ok(found)
}

fn provider(grant: &Grant) -> Option<String> {
    let text = grant.changes.applied("{}").ok()?;
    Some(Record::parse(text.as_bytes()).ok()?.provider().to_owned())
}

/// Whether a file is the grant's account: the most telling member is the same, and no other one differs.
fn is_same(record: &Record, grant: &Grant) -> bool {
    let mut members = grant.account.iter();
    let Some((name, value)) = members.next() else { return false };
    let is_equal =
        |name: &str, value: &str| record.text(name).is_none_or(|known| known.eq_ignore_ascii_case(value));
    !value.is_empty()
        && record.text(name).is_some()
        && is_equal(name, value)
        && members.all(|(name, value)| value.is_empty() || is_equal(name, value))
}

/// The usual name, or one like it that nobody has.
fn free_name(directory: &Path, file: &str) -> io::Result<PathBuf> {
    let stem = file.strip_suffix(".json").unwrap_or(file);
    let names =
        std::iter::once(file.to_owned()).chain((2..MOST_NAMES).map(|count| format!("{stem}-{count}.json")));
    for name in names {
        let path = directory.join(name);
        if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(path);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many files of this name"))
}

/// Writes a file so that it is whole or not there at all, readable for its owner only.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    #[cfg(unix)]
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Changes;

    fn grant(email: &str, account: &str, token: &str) -> Grant {
        Grant {
            file: format!("codex-{email}.json"),
            account: vec![("email", email.to_owned()), ("account_id", account.to_owned())],
            changes: Changes::default()
                .set("type", "codex")
                .set("access_token", token)
                .set("email", email)
                .set("account_id", account),
            defaults: Changes::default().set("note", "new"),
            label: email.to_owned(),
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_account_keeps_its_file_and_what_a_person_wrote_there() {
        let directory = tempfile::tempdir().unwrap();
        let first = save(directory.path(), &grant("a@b.c", "1", "old")).unwrap();
        assert!(!first.is_known);
        let renamed = directory.path().join("mine.json");
        let text = fs::read_to_string(&first.path).unwrap();
        assert_eq!(
            text,
            r#"{"note":"new","type":"codex","access_token":"old","email":"a@b.c","account_id":"1"}"#
        );
        let edited = text.replace("\"new\"", "\"mine\", \"disabled\": true, \"odd\" : 1e3");
        write(&renamed, edited.as_bytes()).unwrap();
        fs::remove_file(&first.path).unwrap();
        let second = save(directory.path(), &grant("A@b.c", "1", "fresh")).unwrap();
        assert_eq!(
            (second.path.as_path(), second.is_known, second.is_disabled),
            (renamed.as_path(), true, true)
        );
        let text = fs::read_to_string(&renamed).unwrap();
        assert_eq!(text, edited.replace("old", "fresh").replace("a@b.c", "A@b.c"));
        assert_eq!(names(directory.path()), ["mine.json"]);
    }

    #[test]
    fn a_file_of_somebody_else_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        save(directory.path(), &grant("a@b.c", "1", "one")).unwrap();
        let other = save(directory.path(), &grant("a@b.c", "2", "two")).unwrap();
        assert!(other.path.ends_with("codex-a@b.c-2.json"));
        write(&directory.path().join("codex-x.json"), b"{ broken").unwrap();
        let third = save(directory.path(), &grant("x", "3", "three")).unwrap();
        assert!(third.path.ends_with("codex-x-2.json"));
        assert_eq!(
            names(directory.path()),
            ["codex-a@b.c-2.json", "codex-a@b.c.json", "codex-x-2.json", "codex-x.json"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn files_and_directories_are_their_owners_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("a/b");
        let saved = save(&inside, &grant("a@b.c", "1", "t")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&inside), mode(&saved.path)), (0o700, 0o600));
    }
}
