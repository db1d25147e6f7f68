//! Which auth file is an account's: the one that it has, or a name for a new one.

use super::Record;
use crate::store::{Document, Store, StoreError};

/// Names that are tried for one account.
const MOST_NAMES: u32 = 1000;

/// The document that an account has; of several the one with the `usual` name. `account` are members that say whose
/// it is, most telling first.
pub(crate) async fn find_account(
    store: &dyn Store,
    provider: &str,
    account: &[(&'static str, String)],
    usual: &str,
) -> Result<Option<(String, Document)>, StoreError> {
    let mut found = None;
    for (id, _) in store.list().await? {
        // One that cannot be read is nobody's.
        let Ok(Some(document)) = store.get(&id).await else { continue };
        let Ok(record) = Record::parse(&document.content) else { continue };
        let is_other = record.provider() != provider || !is_same(&record, account);
        if !is_other && (id == usual || found.is_none()) {
            found = Some((id, document));
        }
    }
    Ok(found)
}

/// Whether a file is this account: the most telling member is the same, and no other one differs.
fn is_same(record: &Record, account: &[(&'static str, String)]) -> bool {
    let mut members = account.iter();
    let Some((name, value)) = members.next() else { return false };
    let differs = |name: &str, value: &str| {
        !value.is_empty() && record.text(name).is_some_and(|known| !known.eq_ignore_ascii_case(value))
    };
    !value.is_empty()
        && record.text(name).is_some()
        && !differs(name, value)
        && !members.any(|(name, value)| differs(name, value))
}

/// The usual name, or one like it that nobody has.
pub(crate) async fn free_name(
    store: &dyn Store,
    file: &str,
    is_taken: impl Fn(&str) -> bool,
) -> Result<String, StoreError> {
    let stem = file.strip_suffix(".json").unwrap_or(file);
    for count in 1..MOST_NAMES {
        let id = if count == 1 { file.to_owned() } else { format!("{stem}-{count}.json") };
        match store.get(&id).await {
            Ok(None) if !is_taken(&id) => return Ok(id),
            Ok(_) | Err(StoreError::Unreadable(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict(file.to_owned()))
}
