//! The clock. The edge is where it is read; everything below is handed it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, in Unix seconds.
pub fn now() -> u64 {
    since_epoch().as_secs()
}

/// Now, as exactly as the system says it.
#[expect(clippy::disallowed_methods, reason = "the one place where it is read")]
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
