//! `usage-ledger`: how much of the usage is kept, and what tokens cost.

use super::decode::{List, section};

section! {
    /// `usage-ledger`.
    pub struct UsageLedger {
        /// Age of the oldest records, in days; 0 keeps them forever.
        retention_days: i64,
        /// Largest size of the database, in MB.
        max_size_mb: i64,
        /// What tokens cost.
        prices: List<Price>,
    }
}

section! {
    /// The price of the models that a pattern names, per million tokens.
    pub struct Price {
        /// Names of models at the upstream; `*` stands for anything.
        model: String,
        /// Tokens read.
        input: f64,
        /// Tokens written.
        output: f64,
        /// Tokens read from a cache.
        cache_read: f64,
        /// Tokens written to a cache.
        cache_write: f64,
    }
}
