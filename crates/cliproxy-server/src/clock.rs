//! The clock. The edge is where it is read; everything below is handed it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in Unix seconds.
#[expect(clippy::disallowed_methods, reason = "the one place where it is read")]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
