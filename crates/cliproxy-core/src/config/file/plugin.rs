//! Plugins.

use super::decode::{Free, List, Map, section};

section! {
    /// `plugins`.
    pub struct Plugins {
        /// Whether plugins are loaded.
        enabled: bool,
        /// Their directory.
        dir: String,
        /// Where plugins are offered.
        store_sources: List<Free>,
        /// Access to those places.
        store_auth: List<Free>,
        /// Settings by plugin.
        configs: Map<Free>,
    }
}
