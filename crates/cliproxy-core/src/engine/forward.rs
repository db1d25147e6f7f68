//! Requests of the server's own: past models, credentials and formats, but over the same clients, proxies and limits.
//!
//! The server forwards what is no call (a control plane's pages) and fetches what a call names. Whom it asks, with
//! which headers, and what the answer means is its business.

use super::Engine;
use crate::credential::CredentialId;
use crate::failure::Failure;
use crate::upstream::{Egress, Outgoing, Reply};

impl Engine {
    /// Sends a request over the configured proxy, on connections that only requests of the same `purpose` share.
    /// Redirects are answers like others.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn forward(&self, purpose: &'static str, outgoing: Outgoing) -> Result<Reply, Failure> {
        let snapshot = self.snapshot();
        let egress =
            Egress { credential: CredentialId::new(purpose), proxy: snapshot.settings.proxy.clone() };
        self.0.clients.send(&egress, outgoing, &snapshot.limits, None).await
    }
}
