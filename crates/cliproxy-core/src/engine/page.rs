//! Web pages as credentials: in the routing table as long as their socket is open.

use tokio::sync::watch;

use super::Engine;
use crate::credential::CredentialId;
use crate::upstream::{Answers, Questions};

/// A connected page. It is a credential until this is dropped; then whoever waits for it tries another one.
#[derive(Debug)]
pub struct Page {
    engine: Engine,
    id: CredentialId,
    /// What the page is to be told.
    pub questions: Questions,
    /// Where what it says goes.
    pub answers: Answers,
    /// Changes whenever the configuration may be another one, and with it who may connect.
    pub changes: watch::Receiver<()>,
}

impl Page {
    /// The credential.
    pub fn id(&self) -> &CredentialId {
        &self.id
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.engine.clients().pages().disconnect(&self.id);
        self.engine.derive_again();
    }
}

impl Engine {
    /// Takes a page in as a credential of the provider `aistudio`; `None` when there are too many.
    pub fn connect_page(&self) -> Option<Page> {
        let pages = self.clients().pages();
        let (id, questions, answers) = pages.connect(self.snapshot().settings.timeouts.slow_client)?;
        let page = Page { engine: self.clone(), id, questions, answers, changes: pages.changes() };
        self.derive_again();
        Some(page)
    }
}
