//! The older home of client keys.

use super::decode::{Free, List, section};
use crate::secret::Secret;

section! {
    /// `auth`.
    pub struct Auth {
        /// The providers; only the type `config-api-key` means something.
        providers: List<AuthProvider>,
    }
}

section! {
    /// One item of `auth.providers`.
    pub struct AuthProvider {
        /// Its name.
        name: String,
        /// Its type.
        r#type: String,
        /// Client keys.
        api_keys: List<Secret>,
        /// Members of other types.
        config: Free,
    }
}
