//! Documents in memory, for programs that keep their own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};

use super::{Document, Expected, Store, StoreError, Version};

/// Documents in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    documents: Mutex<HashMap<String, Document>>,
}

impl MemoryStore {
    fn documents(&self) -> std::sync::MutexGuard<'_, HashMap<String, Document>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<(String, Version)>, StoreError>> {
        let list = self.documents().iter().map(|(id, document)| (id.clone(), document.version)).collect();
        Box::pin(ready(Ok(list)))
    }

    fn get<'s>(&'s self, id: &'s str) -> BoxFuture<'s, Result<Option<Document>, StoreError>> {
        Box::pin(ready(Ok(self.documents().get(id).cloned())))
    }

    fn put<'s>(
        &'s self,
        id: &'s str,
        content: Bytes,
        expected: Expected,
    ) -> BoxFuture<'s, Result<Version, StoreError>> {
        let mut documents = self.documents();
        let there = documents.get(id).map(|document| document.version);
        let is_expected = match expected {
            Expected::Any => true,
            Expected::Absent => there.is_none(),
            Expected::Version(version) => there == Some(version),
        };
        let result = if is_expected {
            let document = Document::new(content);
            let version = document.version;
            documents.insert(id.to_owned(), document);
            Ok(version)
        } else {
            Err(StoreError::Conflict(id.to_owned()))
        };
        Box::pin(ready(result))
    }

    fn delete<'s>(&'s self, id: &'s str) -> BoxFuture<'s, Result<(), StoreError>> {
        self.documents().remove(id);
        Box::pin(ready(Ok(())))
    }
}
