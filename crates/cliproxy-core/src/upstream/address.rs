//! Addresses as they were read before.
//!
//! Requests go to a few addresses again and again, and reading one is dear beside the rest of a small request.

use http::Uri;
use quick_cache::sync::Cache;

/// How many are kept.
const MOST: usize = 512;

/// See the module.
pub struct Addresses(Cache<String, Uri>);

impl Default for Addresses {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Addresses({})", self.0.len())
    }
}

impl Addresses {
    /// The address that a text says; `None` for one without a host.
    pub(crate) fn read(&self, text: String) -> Option<Uri> {
        if let Some(known) = self.0.get(&text) {
            return Some(known);
        }
        let uri = Uri::try_from(&*text).ok().filter(|uri| uri.host().is_some())?;
        self.0.insert(text, uri.clone());
        Some(uri)
    }
}
