//! Requests of the server's own: past models, credentials and formats, but over the same clients, proxies and limits.
//!
//! The server forwards what is no call (a control plane's pages) and fetches what a call names. Whom it asks, with
//! which headers, and what the answer means is its business.

use std::sync::Arc;

use super::Engine;
use crate::credential::CredentialId;
use crate::failure::Failure;
use crate::snapshot::Snapshot;
use crate::upstream::{Egress, Outgoing, Reply};

impl Engine {
    /// Sends a request over the configured proxy, on connections that only requests of the same `purpose` share.
    /// Redirects are answers like others.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn forward(&self, purpose: &'static str, outgoing: Outgoing) -> Result<Reply, Failure> {
        let (snapshot, egress) = self.errand_of(purpose);
        self.0.clients.send(&egress, outgoing, &snapshot.limits, None).await
    }

    /// Sends likewise what `make` makes and what may come twice: once more over a fresh connection where a kept one ended
    /// upon it without a byte of an answer.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn forward_again(
        &self,
        purpose: &'static str,
        make: impl Fn() -> Outgoing,
    ) -> Result<Reply, Failure> {
        let (snapshot, egress) = self.errand_of(purpose);
        self.0.clients.send_again(&egress, || Ok(make()), &snapshot.limits, None).await
    }

    fn errand_of(&self, purpose: &'static str) -> (Arc<Snapshot>, Egress) {
        let snapshot = self.snapshot();
        let egress =
            Egress { credential: CredentialId::new(purpose), proxy: snapshot.settings.proxy.clone() };
        (snapshot, egress)
    }
}
