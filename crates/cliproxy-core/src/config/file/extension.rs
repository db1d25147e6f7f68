//! Sections of this program's own, beyond those of the program whose files it reads.

use super::decode::{List, section};

section! {
    /// `image-urls`: pictures and documents that requests name by address.
    pub struct ImageUrls {
        /// When they are read here: `needed`, `always`, `never`.
        fetch: String,
        /// Most of all pictures of a request together, in MiB.
        max_mb: i64,
        /// Longest time for all of them, in seconds.
        max_seconds: i64,
        /// Hosts that may be read although they are not of the open web.
        private_hosts: List<String>,
    }
}

section! {
    /// `gemini-cli-proxy`: habits of the program of that name.
    pub struct GeminiCliProxy {
        /// The root document has its form.
        root_document: bool,
        /// Chat requests that do not say whether to stream do.
        stream_by_default: bool,
    }
}
