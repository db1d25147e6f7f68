//! Sections about listening, choosing credentials and streaming.

use super::decode::{List, Map, section};

section! {
    /// `tls`: HTTPS instead of HTTP.
    pub struct Tls {
        /// Whether HTTPS is served.
        enable: bool,
        /// PEM file with the certificate chain.
        cert: String,
        /// PEM file with the private key.
        key: String,
    }
}

section! {
    /// `pprof`: the profiling listener.
    pub struct Pprof {
        /// Whether it listens.
        enable: bool,
        /// Its address.
        addr: String,
    }
}

section! {
    /// `quota-exceeded`: what to do when a quota is used up.
    pub struct QuotaExceeded {
        /// Continue with another project of the account.
        switch_project: bool,
        /// Continue with the preview name of the model.
        switch_preview_model: bool,
        /// Use paid credits as last resort.
        antigravity_credits: bool,
    }
}

section! {
    /// `routing`: how a credential is chosen.
    pub struct Routing {
        /// The strategy's name.
        strategy: String,
        /// Keep a conversation on its credential.
        session_affinity: bool,
        /// How long a conversation stays bound, as a duration such as `1h`.
        session_affinity_ttl: String,
        /// Most requests at once of one credential; 0 is no limit.
        max_concurrent_requests: i64,
        /// Models to go on with when a model cannot be served, by model.
        fallback: Map<List<String>>,
    }
}

section! {
    /// `streaming`: event streams towards clients.
    pub struct Streaming {
        /// Comment interval on a silent stream, in seconds.
        keepalive_seconds: i64,
        /// New attempts for a stream that broke before its first byte.
        bootstrap_retries: i64,
    }
}
