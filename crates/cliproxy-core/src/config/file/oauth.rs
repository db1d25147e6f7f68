//! Credential files: where their logins happen, and rules on their models.

use super::decode::section;
use crate::secret::Secret;

section! {
    /// One item of `oauth-model-alias` or of its older form.
    pub struct ModelAlias {
        /// Name at the upstream.
        name: String,
        /// Name for clients.
        alias: String,
        /// Keep the original name too.
        fork: bool,
        /// Name for people.
        display_name: String,
        /// Write the alias into answers.
        force_mapping: bool,
    }
}

section! {
    /// One provider's item of `oauth-endpoints`.
    pub struct Endpoint {
        /// Where a browser goes to log in.
        authorize_url: Secret,
        /// Where codes and refresh tokens are exchanged.
        token_url: Secret,
        /// Where a device code is asked for.
        device_url: Secret,
        /// Who logged in.
        user_url: Secret,
        /// Base of the calls that set an account up.
        setup_url: Secret,
        /// Base of the calls that switch services on.
        check_url: Secret,
        /// Base of the model upstream.
        base_url: Secret,
        /// The application's id.
        client_id: String,
        /// The application's secret.
        client_secret: Secret,
        /// Scopes, separated by spaces.
        scope: String,
        /// Where the browser comes back to.
        redirect_url: Secret,
    }
}
