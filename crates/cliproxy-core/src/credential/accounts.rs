//! The accounts of a store, kept up to date with what people and other programs do to its files.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::CredentialId;
use super::account::Account;
use super::record::{NotARecord, Record};
use crate::store::{Store, StoreError, Version};

/// Accounts by id.
#[derive(Debug, Default)]
pub struct Accounts {
    /// Shared with whoever looks at all of them, and copied only when it changes while somebody does.
    known: Mutex<Arc<BTreeMap<CredentialId, Arc<Account>>>>,
    /// What was read last, so that only what changed is read again.
    versions: Mutex<HashMap<CredentialId, Version>>,
}

/// What a look at the store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// New accounts.
    pub added: Vec<CredentialId>,
    /// Accounts whose file says something else than before.
    pub changed: Vec<CredentialId>,
    /// Accounts whose file is gone.
    pub removed: Vec<CredentialId>,
}

impl Difference {
    /// Whether everything is as it was.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Accounts {
    /// All accounts.
    pub fn all(&self) -> Arc<BTreeMap<CredentialId, Arc<Account>>> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One account.
    pub fn get(&self, id: &CredentialId) -> Option<Arc<Account>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Looks at the store and takes over what changed. Accounts that stay keep what happened to them.
    ///
    /// A file that cannot be read at the moment, because somebody is writing it or made a mistake, leaves its account
    /// as it was; it is read again when it changes.
    ///
    /// # Errors
    /// When the store cannot be listed. Everything stays as it was.
    pub async fn load(&self, store: &dyn Store) -> Result<Difference, StoreError> {
        let mut difference = Difference::default();
        let mut gone: HashMap<CredentialId, Version> =
            self.versions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (id, version) in store.list().await? {
            let id = CredentialId::new(id);
            if gone.remove(&id) == Some(version) {
                continue;
            }
            let document = match store.get(id.as_str()).await {
                Ok(Some(document)) => document,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(account = %id, "an auth file is left as it was: {error}");
                    continue;
                }
            };
            self.versions.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), document.version);
            match Record::parse(&document.content) {
                Ok(record) => self.take(id, record, &mut difference),
                Err(NotARecord::Untyped) => {
                    tracing::debug!(file = %id, "not an auth file: it has no `type`");
                    self.forget(&id, &mut difference);
                }
                Err(error @ NotARecord::Malformed) => {
                    tracing::warn!(file = %id, "an auth file cannot be read and its account stays as it was: {error}; mend or remove the file");
                }
            }
        }
        for id in gone.into_keys() {
            self.versions.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            self.forget(&id, &mut difference);
        }
        Ok(difference)
    }

    fn take(&self, id: CredentialId, record: Record, difference: &mut Difference) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&id) {
            None => {
                Arc::make_mut(&mut known).insert(id.clone(), Arc::new(Account::new(id.clone(), record)));
                difference.added.push(id);
            }
            // What we wrote ourselves comes back as what is there already.
            Some(account) if *account.record() == record => {}
            // A token that is in memory only stays there until it is saved, unless the file got another one.
            Some(account)
                if account.unsaved().is_some_and(|unsaved| unsaved.spent == record.fingerprint()) =>
            {
                if let Some(unsaved) = account.unsaved() {
                    account.set_record(record.with(&unsaved.changes));
                }
                difference.changed.push(id);
            }
            Some(account) => {
                account.set_record(record);
                account.begin_anew();
                difference.changed.push(id);
            }
        }
    }

    fn forget(&self, id: &CredentialId, difference: &mut Difference) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains_key(id) {
            Arc::make_mut(&mut known).remove(id);
            difference.removed.push(id.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Condition;
    use crate::store::{Expected, MemoryStore};

    async fn write(store: &MemoryStore, id: &str, content: &str) {
        store.put(id, content.to_owned().into(), Expected::Any).await.unwrap();
    }

    fn ids(ids: &[&str]) -> Vec<CredentialId> {
        ids.iter().map(|id| CredentialId::new(*id)).collect()
    }

    #[tokio::test]
    async fn what_people_do_to_files_is_taken_over_and_accounts_that_stay_are_the_same() {
        let (store, accounts) = (MemoryStore::default(), Accounts::default());
        write(&store, "a.json", r#"{"type":"claude","access_token":"1"}"#).await;
        write(&store, "b.json", r#"{"type":"codex"}"#).await;
        write(&store, "foreign.json", r#"{"x":1}"#).await;
        write(&store, "broken.json", r#"{"type":"cla"#).await;
        let mut found = accounts.load(&store).await.unwrap();
        found.added.sort();
        assert_eq!(found, Difference { added: ids(&["a.json", "b.json"]), ..Difference::default() });
        assert!(accounts.load(&store).await.unwrap().is_empty());

        let account = accounts.get(&CredentialId::new("a.json")).unwrap();
        account.set_condition(Condition::NeedsAttention { cause: "c".into(), remedy: "r".into() });
        write(&store, "a.json", r#"{"type":"claude","access_token":"2"}"#).await;
        store.delete("b.json").await.unwrap();
        let found = accounts.load(&store).await.unwrap();
        assert_eq!(found.changed, ids(&["a.json"]));
        assert_eq!(found.removed, ids(&["b.json"]));
        assert!(Arc::ptr_eq(&account, &accounts.get(&CredentialId::new("a.json")).unwrap()));
        assert!(account.is_well(), "a new content is a new chance");
        assert_eq!(account.record().token("access_token").unwrap().expose(), "2");
    }

    #[tokio::test]
    async fn a_half_written_file_leaves_its_account_as_it_was() {
        let (store, accounts) = (MemoryStore::default(), Accounts::default());
        write(&store, "a.json", r#"{"type":"claude","access_token":"1"}"#).await;
        accounts.load(&store).await.unwrap();
        for content in ["", r#"{"type":"claude","acc"#] {
            write(&store, "a.json", content).await;
            assert!(accounts.load(&store).await.unwrap().is_empty(), "{content:?}");
        }
        write(&store, "a.json", r#"{"type":"claude","access_token":"3"}"#).await;
        assert_eq!(accounts.load(&store).await.unwrap().changed, ids(&["a.json"]));
    }

    #[tokio::test]
    async fn our_own_writing_is_no_change() {
        let (store, accounts) = (MemoryStore::default(), Accounts::default());
        write(&store, "a.json", r#"{"type":"claude","access_token":"1"}"#).await;
        accounts.load(&store).await.unwrap();
        let account = accounts.get(&CredentialId::new("a.json")).unwrap();
        let changes = crate::store::Changes::default().set("access_token", "2");
        let document = crate::store::save(&store, "a.json", &changes, false).await.unwrap();
        account.set_record(Record::parse(&document.content).unwrap());
        assert!(accounts.load(&store).await.unwrap().is_empty());
    }
}
