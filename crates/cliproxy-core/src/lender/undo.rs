//! Undoing imports: everything is as it was before, and no token is lost on the way.

use std::path::Path;

use super::import::{Entry, Ledger, Mode, fingerprint};
use super::{find, format};
use crate::credential::Record;
use crate::store::{Document, Store, StoreError, atomic, patched};

/// What became of one import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The auth file is gone; the other program has its login as ever.
    Removed(String),
    /// The auth file is gone, and the tokens that were renewed meanwhile are back in the other program's file.
    GivenBack(String),
    /// The other program has another login now, so the auth file is kept aside with the only copy of its tokens.
    SetAside(String),
    /// It is not ours to undo any more, for this reason.
    Left(String, String),
}

/// Undoes all imports, newest first. `own_folder` is our own folder of the auth directory.
///
/// # Errors
/// When something cannot be read or written; what was undone until then stays undone.
pub async fn undo(store: &dyn Store, own_folder: &Path) -> Result<Vec<Undone>, StoreError> {
    let mut undone = Vec::new();
    let _lock = Ledger::lock(own_folder)?;
    let mut ledger = Ledger::read(own_folder)?;
    while let Some(entry) = ledger.entries.pop() {
        undone.push(undo_one(store, own_folder, &entry).await?);
        ledger.write()?;
    }
    Ok(undone)
}

async fn undo_one(store: &dyn Store, own_folder: &Path, entry: &Entry) -> Result<Undone, StoreError> {
    let id = &entry.id;
    let Some(document) = store.get(id).await? else {
        return Ok(Undone::Left(id.clone(), "its file is gone already".to_owned()));
    };
    let Ok(record) = Record::parse(&document.content) else {
        return Ok(Undone::Left(id.clone(), "its file cannot be read".to_owned()));
    };
    match entry.mode {
        Mode::Borrow if record.borrowed_from().as_deref() == Some(&*entry.from) => {
            store.delete(id).await?;
            Ok(Undone::Removed(id.clone()))
        }
        Mode::Borrow => Ok(Undone::Left(id.clone(), "it has a login of its own meanwhile".to_owned())),
        Mode::Own => give_back(store, own_folder, entry, &document, &record).await,
    }
}

async fn give_back(
    store: &dyn Store,
    own_folder: &Path,
    entry: &Entry,
    document: &Document,
    record: &Record,
) -> Result<Undone, StoreError> {
    let id = &entry.id;
    let theirs = find::read(&entry.from).and_then(Result::ok).unwrap_or_default();
    let has_imported = theirs_fingerprint(record.provider(), &theirs).as_ref() == Some(&entry.fingerprint);
    let is_renewed = fingerprint(record) != entry.fingerprint;
    if has_imported && !is_renewed {
        store.delete(id).await?;
        return Ok(Undone::Removed(id.clone()));
    }
    let returned = format::written(record.provider(), record).filter(|_| has_imported);
    if let Some(content) = returned.and_then(|tokens| patched(&theirs.into(), &tokens)) {
        atomic::write(&entry.from, &content).map_err(|source| StoreError::Io {
            action: "write",
            place: entry.from.display().to_string(),
            source,
        })?;
        store.delete(id).await?;
        return Ok(Undone::GivenBack(id.clone()));
    }
    let aside = own_folder.join("undone").join(id);
    atomic::write(&aside, &document.content).map_err(|source| StoreError::Io {
        action: "write",
        place: aside.display().to_string(),
        source,
    })?;
    store.delete(id).await?;
    Ok(Undone::SetAside(aside.display().to_string()))
}

/// The hash of the refresh token in the other program's file.
fn theirs_fingerprint(provider: &str, content: &[u8]) -> Option<String> {
    let tokens = super::tokens(provider, content)?;
    let content = patched(&bytes::Bytes::from(serde_json::json!({ "type": provider }).to_string()), &tokens)?;
    Some(fingerprint(&Record::parse(&content).ok()?))
}
