//! An account at run time: the current reading of its auth file and whether it can be used.
//!
//! An [`Account`] outlives reloads: credentials of every snapshot share it, so a renewed token is seen by requests
//! that are already waiting. Readers never wait; whoever renews or reloads swaps the reading.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{CredentialId, Record};

/// One auth file's account.
#[derive(Debug)]
pub struct Account {
    id: CredentialId,
    record: ArcSwap<Record>,
    condition: ArcSwap<Condition>,
}

/// Whether an account can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It can.
    Well,
    /// A person has to do something first. The file stays where it is.
    NeedsAttention {
        /// What happened.
        cause: String,
        /// What mends it.
        remedy: String,
    },
}

impl Account {
    /// An account with the reading of its file.
    pub fn new(id: CredentialId, record: Record) -> Self {
        Self { id, record: ArcSwap::from_pointee(record), condition: ArcSwap::from_pointee(Condition::Well) }
    }

    /// Identity: the path of the file, relative to the auth directory.
    pub fn id(&self) -> &CredentialId {
        &self.id
    }

    /// The reading of the moment.
    pub fn record(&self) -> Arc<Record> {
        self.record.load_full()
    }

    /// Replaces the reading.
    pub fn set_record(&self, record: Record) {
        self.record.store(Arc::new(record));
    }

    /// Whether it can be used.
    pub fn condition(&self) -> Arc<Condition> {
        self.condition.load_full()
    }

    /// Says whether it can be used.
    pub fn set_condition(&self, condition: Condition) {
        self.condition.store(Arc::new(condition));
    }
}
