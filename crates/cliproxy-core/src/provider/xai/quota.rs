//! What xAI's refusals tell of quotas: the included usage of an account without a plan, a window that rolls.
//!
//! Source: 429 with a code that has `free-usage-exhausted` in it, or with words of "included free usage".

use std::time::Duration;

use cliproxy_wire::fault::{Fault, Kind};

use crate::credential::Window;
use crate::provider::quota::{self, Told};

/// The window of the included usage.
pub(super) const FREE_USAGE: Duration = Duration::from_hours(24);

/// Whether the included usage of the account is used up.
pub(super) fn is_free_usage(fault: &Fault) -> bool {
    let code = fault.code.as_deref().unwrap_or_default();
    fault.kind == Kind::Quota
        && (code.contains("free-usage-exhausted")
            || fault.message.to_ascii_lowercase().contains("included free usage"))
}

pub(super) fn of_answer(told: &Told<'_>) -> Vec<Window> {
    let Some(fault) = told.fault.filter(|fault| is_free_usage(fault)) else {
        return quota::of_refusal(told).into_iter().collect();
    };
    let wait = fault.retry_after.unwrap_or(FREE_USAGE);
    vec![Window {
        length: Some(FREE_USAGE),
        resets_at: Some(told.now + wait.as_secs()),
        ..Window::new("free usage", 1.0, told.now)
    }]
}
