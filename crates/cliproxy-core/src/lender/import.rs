//! Importing: what would be done with the logins that were found, and doing it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Found, Loan};
use crate::credential::record::BORROWED_FROM;
use crate::credential::{Record, find_account, free_name};
use crate::store::{Changes, Expected, Store, StoreError, atomic, lock, patched};

/// Where it is written down what imports did, in our own folder of the auth directory.
const LEDGER: &str = "imports.json";
/// How long another process may hold the list. Writing it takes milliseconds, undoing a little longer.
const LONGEST_LOCK: Duration = Duration::from_secs(10);

/// How a login is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Its program keeps and renews it; we read the access token.
    Borrow,
    /// We have a copy and renew it.
    Own,
}

/// What would be done with a login.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The login.
    pub found: Found,
    /// What would be done.
    pub action: Action,
}

/// What is done with a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// An auth file with this id is made.
    Make(String),
    /// Nothing, and why.
    Leave(String),
}

/// One import, as written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) mode: Mode,
    pub(super) from: PathBuf,
    /// A hash of the refresh token that was copied.
    pub(super) fingerprint: String,
}

/// Says what an import of these logins would do.
///
/// # Errors
/// When the store cannot be read.
pub async fn plan(store: &dyn Store, found: Vec<Found>, mode: Mode) -> Result<Vec<Planned>, StoreError> {
    let mut planned: Vec<Planned> = Vec::with_capacity(found.len());
    for found in found {
        let action = match &found.loan {
            Err(why) => Action::Leave(why.clone()),
            Ok(loan) => action(store, &found.place.path, loan, mode, &planned).await?,
        };
        planned.push(Planned { found, action });
    }
    Ok(planned)
}

async fn action(
    store: &dyn Store,
    path: &Path,
    loan: &Loan,
    mode: Mode,
    planned: &[Planned],
) -> Result<Action, StoreError> {
    for (id, _) in store.list().await? {
        let Ok(Some(document)) = store.get(&id).await else { continue };
        let Ok(record) = Record::parse(&document.content) else { continue };
        if record.borrowed_from().as_deref() == Some(path) {
            return Ok(Action::Leave(format!("it is borrowed already, by {id}")));
        }
    }
    if let Some((id, _)) = find_account(store, loan.provider, &loan.identity, &loan.file).await? {
        return Ok(Action::Leave(format!("the account is there already, as {id}")));
    }
    let same = planned.iter().find(|other| match (&other.found.loan, &other.action) {
        (Ok(other), Action::Make(_)) => {
            other.provider == loan.provider && !loan.identity.is_empty() && other.identity == loan.identity
        }
        _ => false,
    });
    if let Some(other) = same {
        return Ok(Action::Leave(format!("it is the account of {}", other.found.place.path.display())));
    }
    if mode == Mode::Own && !loan.is_renewable {
        return Ok(Action::Leave("it has no refresh token to take over; borrow it".to_owned()));
    }
    let taken: Vec<&Action> = planned.iter().map(|other| &other.action).collect();
    let is_taken = |id: &str| taken.iter().any(|action| matches!(action, Action::Make(taken) if taken == id));
    Ok(Action::Make(free_name(store, &loan.file, is_taken).await?))
}

/// Makes the auth file of a login. `own_folder` is our own folder of the auth directory.
///
/// # Errors
/// When it cannot be written, or somebody else has made it meanwhile.
pub async fn apply(
    store: &dyn Store,
    own_folder: &Path,
    id: &str,
    found: &Found,
    mode: Mode,
) -> Result<(), StoreError> {
    let Ok(loan) = &found.loan else {
        return Err(StoreError::Unreadable(found.place.path.display().to_string()));
    };
    let unreadable = || StoreError::Unreadable(id.to_owned());
    let from = found.place.path.clone();
    let account = loan.account.clone();
    let (content, fingerprint) = match mode {
        Mode::Borrow => {
            let account = account.set(BORROWED_FROM, from.to_string_lossy().as_ref());
            (patched(&EMPTY, &account).ok_or_else(unreadable)?, String::new())
        }
        Mode::Own => {
            let content = patched(&EMPTY, &account).and_then(|content| patched(&content, &loan.tokens));
            let content = content.ok_or_else(unreadable)?;
            let fingerprint =
                Record::parse(&content).ok().map(|record| fingerprint(&record)).unwrap_or_default();
            (content, fingerprint)
        }
    };
    // Written down first: an entry without a file undoes nothing, a file without an entry cannot be undone.
    {
        let _lock = Ledger::lock(own_folder)?;
        let mut ledger = Ledger::read(own_folder)?;
        ledger.entries.push(Entry { id: id.to_owned(), mode, from, fingerprint });
        ledger.write()?;
    }
    store.put(id, content, Expected::Absent).await.map(drop)
}

static EMPTY: Bytes = Bytes::from_static(b"{}");

/// A hash by which a refresh token is recognized.
pub(super) fn fingerprint(record: &Record) -> String {
    let token = record.token("refresh_token");
    token.map(|token| cliproxy_wire::id::hex("", 32, &[token.expose()])).unwrap_or_default()
}

/// What imports did.
pub(super) struct Ledger {
    path: PathBuf,
    pub(super) entries: Vec<Entry>,
}

impl Ledger {
    /// Keeps other processes from changing it meanwhile.
    pub(super) fn lock(own_folder: &Path) -> Result<fs::File, StoreError> {
        lock::take(own_folder, "imports", LONGEST_LOCK)
    }

    /// Reads it. One that cannot be understood is an error and not an empty one, so nobody writes over it.
    pub(super) fn read(own_folder: &Path) -> Result<Self, StoreError> {
        let path = own_folder.join(LEDGER);
        let content = match super::find::read(&path) {
            None => return Ok(Self { path, entries: Vec::new() }),
            Some(Ok(content)) => content,
            Some(Err(why)) => {
                let (place, source) = (path.display().to_string(), io::Error::other(why));
                return Err(StoreError::Io { action: "read", place, source });
            }
        };
        match serde_json::from_slice(&content) {
            Ok(entries) => Ok(Self { path, entries }),
            Err(_damaged) => Err(StoreError::Unreadable(path.display().to_string())),
        }
    }

    pub(super) fn write(&self) -> Result<(), StoreError> {
        let content = serde_json::to_vec_pretty(&self.entries).unwrap_or_default();
        atomic::write(&self.path, &content).map_err(|source: io::Error| StoreError::Io {
            action: "write",
            place: self.path.display().to_string(),
            source,
        })
    }
}

/// Sets a list of imports aside that cannot be understood, and says where it is now. What it named cannot be undone any
/// more.
///
/// # Errors
/// When it cannot be read or moved.
pub fn set_damaged_aside(own_folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let path = own_folder.join(LEDGER);
    if !path.exists() {
        return Ok(None);
    }
    let _lock = Ledger::lock(own_folder)?;
    match Ledger::read(own_folder) {
        Ok(_) => Ok(None),
        Err(StoreError::Unreadable(place)) => {
            let aside = free_place(&path);
            let moved = fs::rename(&path, &aside);
            moved.map_err(|source| StoreError::Io { action: "set aside", place, source })?;
            Ok(Some(aside))
        }
        Err(error) => Err(error),
    }
}

/// A place beside `path` where nothing is.
fn free_place(path: &Path) -> PathBuf {
    let mut count = 1u32;
    loop {
        let place = path.with_extension(format!("damaged-{count}"));
        if count == u32::MAX || !place.exists() {
            return place;
        }
        count += 1;
    }
}

/// Members that only a person or a provider knows, added to a login before it is applied.
impl Found {
    /// The same with more members of the auth file.
    #[must_use]
    pub fn with_members(mut self, members: Changes) -> Self {
        if let Ok(loan) = &mut self.loan {
            loan.account = loan.account.clone().and(members);
        }
        self
    }
}
