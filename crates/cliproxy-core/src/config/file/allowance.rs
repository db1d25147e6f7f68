//! `api-key-limits`: what single client keys may do.

use super::decode::{List, section};
use crate::secret::Secret;

section! {
    /// What one client key may do.
    pub struct KeyLimit {
        /// The client key.
        api_key: Secret,
        /// Whose it is, for people.
        name: String,
        /// The day after which, or the time at which, it opens nothing any more.
        expires: String,
        /// Names of the models that it may use; `*` stands for anything. Absent for all.
        models: List<String>,
        /// Ids and providers of the accounts and keys that may serve it, `amp` for the control plane of Amp; `*` stands for
        /// anything. Absent for all.
        credentials: List<String>,
        /// How much of what in which time.
        limits: List<Limit>,
    }
}

section! {
    /// How much in one window of time.
    pub struct Limit {
        /// `minute`, `hour`, `day`, `week` or `month`.
        per: String,
        /// Requests.
        requests: i64,
        /// Tokens, read and written.
        tokens: i64,
        /// Costs, in the currency of the prices.
        cost: f64,
    }
}
