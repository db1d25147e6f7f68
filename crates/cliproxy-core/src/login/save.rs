//! Writes what a login yields into a store.
//!
//! An account that has a file already gets the new tokens there, whatever the file is called, so that what a person
//! wrote into it stays. A file of somebody else is never touched: the new account gets a name of its own.

use bytes::Bytes;

use super::trail::Trail;
use crate::credential::record::BORROWED_FROM;
use crate::credential::{Record, find_account, free_name};
use crate::oauth::Grant;
use crate::store::{Changes, Expected, Store, StoreError, patched};

/// How often a writer that was overtaken looks again.
const ATTEMPTS: u32 = 16;

/// Where an account was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The document's id.
    pub id: String,
    /// The account had a document before.
    pub is_known: bool,
    /// The document says that it is not to be used.
    pub is_disabled: bool,
}

/// Saves a grant.
///
/// # Errors
/// The store fails, or has no name left.
pub async fn save(store: &dyn Store, grant: &Grant) -> Result<Saved, StoreError> {
    save_on(store, grant, &mut Trail::default()).await
}

/// Saves a grant, and says on the login's trail where.
pub(super) async fn save_on(
    store: &dyn Store,
    grant: &Grant,
    trail: &mut Trail,
) -> Result<Saved, StoreError> {
    let mut attempts = 0;
    loop {
        match save_once(store, grant, trail).await {
            Err(StoreError::Conflict(_)) if attempts < ATTEMPTS => attempts += 1,
            result => return result,
        }
    }
}

async fn save_once(store: &dyn Store, grant: &Grant, trail: &mut Trail) -> Result<Saved, StoreError> {
    let unreadable = |id: &str| StoreError::Unreadable(id.to_owned());
    let existing = match provider(&grant.changes) {
        Some(provider) => find_account(store, &provider, &grant.account, &grant.file).await?,
        None => None,
    };
    let (id, before, expected) = if let Some((id, document)) = existing {
        (id, document.content, Expected::Version(document.version))
    } else {
        let id = free_name(store, &grant.file, |_| false).await?;
        let empty = Bytes::from_static(b"{}");
        let begun = patched(&empty, &grant.defaults).ok_or_else(|| unreadable(&id))?;
        (id, begun, Expected::Absent)
    };
    // An account that was borrowed has tokens of its own from now on.
    let changes = grant.changes.clone().remove(BORROWED_FROM);
    let content = patched(&before, &changes).ok_or_else(|| unreadable(&id))?;
    let is_disabled = Record::parse(&content).is_ok_and(|record| record.is_disabled());
    trail.saving(&id).await;
    store.put(&id, content, expected).await?;
    Ok(Saved { id, is_known: expected != Expected::Absent, is_disabled })
}

pub(super) fn provider(changes: &Changes) -> Option<String> {
    Some(record(changes)?.provider().to_owned())
}

/// The auth file that changes alone would make.
pub(super) fn record(changes: &Changes) -> Option<Record> {
    Record::parse(&patched(&Bytes::from_static(b"{}"), changes)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

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

    async fn text(store: &MemoryStore, id: &str) -> String {
        String::from_utf8(store.get(id).await.unwrap().unwrap().content.to_vec()).unwrap()
    }

    async fn put(store: &MemoryStore, id: &str, text: &str) {
        store.put(id, Bytes::copy_from_slice(text.as_bytes()), Expected::Any).await.unwrap();
    }

    #[tokio::test]
    async fn an_account_keeps_its_file_and_what_a_person_wrote_there() {
        let store = MemoryStore::default();
        let first = save(&store, &grant("a@b.c", "1", "old")).await.unwrap();
        assert_eq!((first.id.as_str(), first.is_known), ("codex-a@b.c.json", false));
        let made = text(&store, &first.id).await;
        assert_eq!(
            made,
            r#"{"note":"new","type":"codex","access_token":"old","email":"a@b.c","account_id":"1"}"#
        );
        let edited = made.replace("\"new\"", "\"mine\", \"disabled\": true, \"odd\" : 1e3");
        put(&store, "mine.json", &edited).await;
        store.delete(&first.id).await.unwrap();
        let second = save(&store, &grant("A@b.c", "1", "fresh")).await.unwrap();
        assert_eq!(second, Saved { id: "mine.json".into(), is_known: true, is_disabled: true });
        assert_eq!(text(&store, "mine.json").await, edited.replace("old", "fresh").replace("a@b.c", "A@b.c"));
        assert_eq!(store.list().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_file_of_somebody_else_is_not_touched() {
        let store = MemoryStore::default();
        save(&store, &grant("a@b.c", "1", "one")).await.unwrap();
        let other = save(&store, &grant("a@b.c", "2", "two")).await.unwrap();
        assert_eq!(other.id, "codex-a@b.c-2.json");
        put(&store, "codex-x.json", "{ broken").await;
        put(&store, "codex-x-2.json", r#"{"type":"claude","email":"x","account_id":"3"}"#).await;
        assert_eq!(save(&store, &grant("x", "3", "three")).await.unwrap().id, "codex-x-3.json");
        assert_eq!(text(&store, "codex-x.json").await, "{ broken");
    }

    #[tokio::test]
    async fn an_account_that_nobody_names_is_always_a_new_one() {
        let store = MemoryStore::default();
        let nameless = Grant { account: Vec::new(), ..grant("a@b.c", "1", "t") };
        assert_eq!(save(&store, &nameless).await.unwrap().id, "codex-a@b.c.json");
        assert_eq!(save(&store, &nameless).await.unwrap().id, "codex-a@b.c-2.json");
    }

    #[tokio::test]
    async fn many_logins_at_once_lose_none() {
        let store = MemoryStore::default();
        let grants: Vec<Grant> = (0..8).map(|number| grant("a@b.c", &number.to_string(), "t")).collect();
        futures_util::future::join_all(grants.iter().map(|grant| save(&store, grant))).await;
        assert_eq!(store.list().await.unwrap().len(), 8);
    }
}
