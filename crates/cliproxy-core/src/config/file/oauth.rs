//! Model rules of credential files.

use super::decode::section;

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
