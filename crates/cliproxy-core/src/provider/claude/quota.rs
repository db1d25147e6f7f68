//! What Anthropic's answers tell of quotas: the unified windows of accounts, the limits of keys.
//!
//! Source: the headers `anthropic-ratelimit-*`. Whether an account has a window that is not named here is not known; it
//! is left out until its length is.

use std::time::Duration;

use crate::credential::Window;
use crate::provider::quota::{Told, counted};

/// A window of an account, with the names of its headers.
struct Unified {
    name: &'static str,
    length: Duration,
    /// It limits the largest model alone.
    is_of_model: bool,
    status: &'static str,
    utilization: &'static str,
    reset: &'static str,
}

const WINDOWS: [Unified; 3] = [
    Unified {
        name: "5h",
        length: Duration::from_hours(5),
        is_of_model: false,
        status: "anthropic-ratelimit-unified-5h-status",
        utilization: "anthropic-ratelimit-unified-5h-utilization",
        reset: "anthropic-ratelimit-unified-5h-reset",
    },
    Unified {
        name: "7d",
        length: Duration::from_hours(7 * 24),
        is_of_model: false,
        status: "anthropic-ratelimit-unified-7d-status",
        utilization: "anthropic-ratelimit-unified-7d-utilization",
        reset: "anthropic-ratelimit-unified-7d-reset",
    },
    Unified {
        name: "7d_oi",
        length: Duration::from_hours(7 * 24),
        is_of_model: true,
        status: "anthropic-ratelimit-unified-7d_oi-status",
        utilization: "anthropic-ratelimit-unified-7d_oi-utilization",
        reset: "anthropic-ratelimit-unified-7d_oi-reset",
    },
];

/// The limits of keys: the window's name, and its three headers.
const LIMITS: [(&str, [&str; 3]); 4] = [
    (
        "requests",
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
    ),
    (
        "tokens",
        [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    ),
    (
        "input tokens",
        [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
    ),
    (
        "output tokens",
        [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
    ),
];

pub(super) fn of_answer(told: &Told<'_>) -> Vec<Window> {
    // Looking for twenty names costs more than looking at all names once, and look-alikes send none of them.
    if !told.headers.keys().any(|name| name.as_str().starts_with("anthropic-ratelimit-")) {
        return Vec::new();
    }
    let mut windows: Vec<Window> = WINDOWS.iter().filter_map(|window| window.read(told)).collect();
    windows.extend(LIMITS.iter().filter_map(|(name, headers)| counted(told, name, *headers)));
    windows
}

impl Unified {
    fn read(&self, told: &Told<'_>) -> Option<Window> {
        let used = match told.text(self.status) {
            Some("rejected") => 1.0,
            // What is told as allowed is not used up, whatever the rounding of the share.
            _ => told.number(self.utilization)?.min(0.999),
        };
        Some(Window {
            // The header names no model; it comes with the answers of the one that it limits.
            model: self.is_of_model.then(|| told.model.into()),
            length: Some(self.length),
            resets_at: told.time(self.reset),
            ..Window::new(self.name, used, told.now)
        })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn told(headers: &[(&'static str, &'static str)]) -> Vec<Window> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        of_answer(&Told { headers: &headers, fault: None, model: "claude-m", now: 1000 })
    }

    #[test]
    fn an_accounts_windows_are_read_from_good_answers_and_refusals() {
        let windows = told(&[
            ("anthropic-ratelimit-unified-5h-status", "rejected"),
            ("anthropic-ratelimit-unified-5h-reset", "5000"),
            ("anthropic-ratelimit-unified-7d-status", "allowed_warning"),
            ("anthropic-ratelimit-unified-7d-utilization", "0.81"),
            ("anthropic-ratelimit-unified-7d-reset", "90000"),
            ("anthropic-ratelimit-unified-7d_oi-status", "rejected"),
        ]);
        let [session, week, of_model] = windows.as_slice() else { panic!("{windows:?}") };
        assert!(session.is_used_up() && session.resets_at == Some(5000) && session.model.is_none());
        assert!((week.used - 0.81).abs() < 1e-9 && week.resets_at == Some(90000));
        assert!(of_model.is_used_up() && of_model.model.as_deref() == Some("claude-m"));
    }

    #[test]
    fn a_keys_limits_are_read() {
        let windows = told(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "20"),
            ("anthropic-ratelimit-requests-reset", "1970-01-01T00:20:00Z"),
            ("anthropic-ratelimit-tokens-limit", "0"),
            ("anthropic-ratelimit-tokens-remaining", "0"),
        ]);
        let [requests] = windows.as_slice() else { panic!("{windows:?}") };
        assert!((requests.used - 0.6).abs() < 1e-9);
        assert_eq!(requests.resets_at, Some(1200));
    }

    #[test]
    fn what_tells_nothing_is_not_guessed_at() {
        assert_eq!(told(&[("anthropic-ratelimit-unified-status", "allowed")]), []);
        assert_eq!(told(&[("anthropic-ratelimit-unified-5h-utilization", "much")]), []);
    }
}
