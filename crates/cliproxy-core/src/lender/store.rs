//! A store whose borrowed accounts have the tokens that other programs keep.
//!
//! Readers see one document: the auth file with the tokens of the other program's file in it. Writers write the auth
//! file alone. So nobody else needs to know that an account is borrowed, except whoever would renew it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{find, tokens};
use crate::credential::Record;
use crate::store::{Changes, Document, Expected, Store, StoreError, Version, patched};

/// A store that lends.
#[derive(Debug)]
pub struct LendingStore {
    store: Arc<dyn Store>,
    /// What was seen of each document, so that a look reads the borrowed ones only.
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Clone, Debug)]
struct Seen {
    version: Version,
    borrowed: Option<Borrowed>,
    /// The tokens that were lent last; kept while the other program writes its file.
    lent: Option<Changes>,
}

/// A borrowed account.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Borrowed {
    provider: String,
    from: PathBuf,
}

impl LendingStore {
    /// Lends to the accounts of a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, seen: Mutex::default() }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a document borrows; looks at its content only when that is new.
    fn borrowed(&self, id: &str, document: &Document) -> Option<Borrowed> {
        let mut seen = self.seen();
        match seen.get_mut(id) {
            Some(known) if known.version == document.version => known.borrowed.clone(),
            known => {
                let borrowed = borrowed(&document.content);
                let lent =
                    known.filter(|known| known.borrowed == borrowed).and_then(|known| known.lent.take());
                let now = Seen { version: document.version, borrowed: borrowed.clone(), lent };
                seen.insert(id.to_owned(), now);
                borrowed
            }
        }
    }

    /// The tokens of the moment. None while the other program's file is missing; those of before while it is written.
    async fn lent(&self, id: &str, borrowed: &Borrowed) -> Option<Changes> {
        let Borrowed { provider, from } = borrowed.clone();
        let read = tokio::task::spawn_blocking(move || {
            let content = find::read(&from)?;
            Some(content.ok().and_then(|content| tokens(&provider, &content)))
        });
        let read = read.await.ok().flatten();
        let mut seen = self.seen();
        let known = seen.get_mut(id).filter(|known| known.borrowed.as_ref() == Some(borrowed));
        match (read, known) {
            (None, Some(known)) => {
                known.lent = None;
                None
            }
            (Some(None), Some(known)) => known.lent.clone(),
            (Some(Some(lent)), Some(known)) => {
                known.lent = Some(lent.clone());
                Some(lent)
            }
            (read, None) => read.flatten(),
        }
    }

    async fn with_tokens(&self, id: &str, document: Document, borrowed: &Borrowed) -> Document {
        let content = match self.lent(id, borrowed).await {
            Some(lent) => patched(&document.content, &lent),
            None => None,
        };
        content.map_or(document, Document::new)
    }

    /// What a writer means to write, without what was lent to it.
    async fn without_tokens(&self, id: &str, content: &Bytes, borrowed: &Borrowed) -> Bytes {
        let Some(lent) = self.lent(id, borrowed).await else { return content.clone() };
        let names = lent.iter().filter_map(|(path, _)| path.first().cloned());
        let removal = names.fold(Changes::default(), |changes, name| changes.remove(&name));
        patched(content, &removal).unwrap_or_else(|| content.clone())
    }

    async fn list_all(&self) -> Result<Vec<(String, Version)>, StoreError> {
        let mut list = self.store.list().await?;
        for (id, version) in &mut list {
            let is_plain =
                self.seen().get(id).is_some_and(|seen| seen.version == *version && seen.borrowed.is_none());
            if is_plain {
                continue;
            }
            // A document that went away or cannot be read meanwhile is found out by whoever reads it.
            if let Ok(Some(document)) = self.read(id).await {
                *version = document.version;
            }
        }
        let listed: std::collections::HashSet<&String> = list.iter().map(|(id, _)| id).collect();
        self.seen().retain(|id, _| listed.contains(id));
        Ok(list)
    }

    async fn read(&self, id: &str) -> Result<Option<Document>, StoreError> {
        let Some(document) = self.store.get(id).await? else { return Ok(None) };
        Ok(Some(match self.borrowed(id, &document) {
            Some(borrowed) => self.with_tokens(id, document, &borrowed).await,
            None => document,
        }))
    }

    async fn write(&self, id: &str, content: Bytes, expected: Expected) -> Result<Version, StoreError> {
        let Some(borrowed) = borrowed(&content) else {
            return self.store.put(id, content, expected).await;
        };
        // What was expected is a document with tokens; what is there has none.
        let expected = match expected {
            Expected::Version(version) => {
                let conflict = || StoreError::Conflict(id.to_owned());
                let there = self.store.get(id).await?.ok_or_else(conflict)?;
                let raw = there.version;
                if self.with_tokens(id, there, &borrowed).await.version != version {
                    return Err(conflict());
                }
                Expected::Version(raw)
            }
            other => other,
        };
        let bare = self.without_tokens(id, &content, &borrowed).await;
        self.store.put(id, bare.clone(), expected).await?;
        Ok(self.with_tokens(id, Document::new(bare), &borrowed).await.version)
    }
}

impl Store for LendingStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<(String, Version)>, StoreError>> {
        Box::pin(self.list_all())
    }

    fn get<'s>(&'s self, id: &'s str) -> BoxFuture<'s, Result<Option<Document>, StoreError>> {
        Box::pin(self.read(id))
    }

    fn put<'s>(
        &'s self,
        id: &'s str,
        content: Bytes,
        expected: Expected,
    ) -> BoxFuture<'s, Result<Version, StoreError>> {
        Box::pin(self.write(id, content, expected))
    }

    fn delete<'s>(&'s self, id: &'s str) -> BoxFuture<'s, Result<(), StoreError>> {
        self.store.delete(id)
    }

    fn workplace(&self) -> Option<PathBuf> {
        self.store.workplace()
    }

    fn directory(&self) -> Option<PathBuf> {
        self.store.directory()
    }

    fn elsewhere(&self) -> Vec<PathBuf> {
        self.seen().values().filter_map(|seen| Some(seen.borrowed.as_ref()?.from.clone())).collect()
    }
}

/// A borrowed token goes to its provider and to nobody else: a file with an address of its own gets none.
fn borrowed(content: &[u8]) -> Option<Borrowed> {
    let record = Record::parse(content).ok()?;
    let from = record.borrowed_from()?;
    let is_elsewhere = record.text("base_url").is_some();
    (!is_elsewhere).then(|| Borrowed { provider: record.provider().to_owned(), from })
}
