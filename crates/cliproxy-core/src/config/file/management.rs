//! The management interface's section.

use super::decode::{List, section};
use crate::secret::Secret;

section! {
    /// `remote-management`.
    pub struct RemoteManagement {
        /// Allow clients on other machines.
        allow_remote: bool,
        /// The management key, plain or as a bcrypt hash.
        secret_key: Secret,
        /// Addresses and networks of reverse proxies whose word on the client's address counts.
        trusted_proxies: List<String>,
        /// No control panel page.
        disable_control_panel: bool,
        /// Whose panel is served instead of the built-in one.
        panel_github_repository: String,
        /// Without effect: nothing is fetched.
        disable_auto_update_panel: bool,
    }
}
