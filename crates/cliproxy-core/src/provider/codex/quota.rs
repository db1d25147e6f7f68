//! What the Codex backend tells of a plan's quotas: two windows of the account, and those of single models.
//!
//! Source: the headers `x-codex-primary-*` and `x-codex-secondary-*` of every answer, the same with a word between for
//! single models (`x-codex-bengalfox-primary-*`, named by `…-limit-name`), and the refusal `usage_limit_reached`.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::credential::Window;
use crate::provider::quota::{self, Told};
use crate::upstream::limits_as_headers;

/// The limits of the account itself.
const ACCOUNT: &str = "x-codex";
const USED: &str = "-used-percent";

pub(super) fn of_answer(told: &Told<'_>) -> Vec<Window> {
    let mut windows: Vec<Window> = told.headers.keys().filter_map(|name| window(told, name)).collect();
    let refusal = told.fault.filter(|fault| fault.code.as_deref() == Some("usage_limit_reached"));
    let is_explained = windows.iter().any(|window| window.is_used_up() && window.resets_at.is_some());
    match refusal {
        // It says when, and not which of them.
        Some(fault) if !is_explained => windows.push(Window {
            resets_at: fault.retry_after.map(|wait| told.now + wait.as_secs()),
            ..Window::new("plan", 1.0, told.now)
        }),
        Some(_) => {}
        None => windows.extend(quota::of_refusal(told)),
    }
    windows
}

/// What the event beside an answer tells: the same as the headers do.
pub(super) fn of_event(event: &str, now: u64) -> Vec<Window> {
    let mut headers = HeaderMap::new();
    limits_as_headers(event, &mut headers);
    of_answer(&Told { headers: &headers, fault: None, model: "", now })
}

/// The window whose used share this header tells.
fn window(told: &Told<'_>, name: &HeaderName) -> Option<Window> {
    let (limit, which) = name.as_str().strip_suffix(USED)?.rsplit_once('-')?;
    if !matches!(which, "primary" | "secondary") || !limit.starts_with("x-") {
        return None;
    }
    let model = match limit {
        ACCOUNT => None,
        limit => Some(told.text(&format!("{limit}-limit-name"))?.to_ascii_lowercase().into()),
    };
    let member = |word: &str| format!("{limit}-{which}-{word}");
    let used = told.number(name.as_str())? / 100.0;
    let minutes = told.number(&member("window-minutes")).filter(|minutes| *minutes >= 1.0);
    let length = minutes.map(|minutes| Duration::from_secs_f64(minutes.min(1e7) * 60.0));
    Some(Window {
        model,
        length,
        resets_at: told.time(&member("reset-at")),
        ..Window::new(length.map_or_else(|| which.to_owned().into(), named), used, told.now)
    })
}

/// A window's name by its length: `5h`, `weekly`.
fn named(length: Duration) -> Cow<'static, str> {
    match length.as_secs() / 3600 {
        168 => "weekly".into(),
        hours if hours > 48 && hours % 24 == 0 => format!("{}d", hours / 24).into(),
        0 => format!("{}min", length.as_secs() / 60).into(),
        hours => format!("{hours}h").into(),
    }
}

#[cfg(test)]
mod tests {
    use cliproxy_wire::fault::{Fault, Kind};
    use http::HeaderValue;

    use super::*;

    fn told(headers: &[(&'static str, &'static str)], fault: Option<&Fault>) -> Vec<Window> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        of_answer(&Told { headers: &headers, fault, model: "gpt-m", now: 1000 })
    }

    fn limit(wait: Option<u64>) -> Fault {
        let mut fault = Fault::new(Kind::Quota, "The usage limit has been reached");
        fault.code = Some("usage_limit_reached".to_owned());
        fault.retry_after = wait.map(Duration::from_secs);
        fault
    }

    const WINDOWS: [(&str, &str); 6] = [
        ("x-codex-primary-used-percent", "12.5"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-at", "5000"),
        ("x-codex-secondary-used-percent", "100"),
        ("x-codex-secondary-window-minutes", "10080"),
        ("x-codex-secondary-reset-at", "90000"),
    ];

    #[test]
    fn both_windows_of_the_account_are_read() {
        let mut windows = told(&WINDOWS, None);
        windows.sort_by_key(|window| window.resets_at);
        let [session, week] = windows.as_slice() else { panic!("{windows:?}") };
        assert_eq!(
            (&*session.name, session.length, session.resets_at),
            ("5h", Some(Duration::from_hours(5)), Some(5000))
        );
        assert!((session.used - 0.125).abs() < 1e-9 && session.model.is_none());
        assert_eq!((&*week.name, week.resets_at), ("weekly", Some(90_000)));
        assert!(week.is_used_up());
    }

    #[test]
    fn limits_of_a_model_are_of_that_model_and_those_without_a_name_of_nobody() {
        let windows = told(
            &[
                ("x-codex-bengalfox-primary-used-percent", "40"),
                ("x-codex-bengalfox-limit-name", "GPT-5.3-Codex-Spark"),
                ("x-codex-other-primary-used-percent", "40"),
                ("x-codex-primary-used-percent", "much"),
            ],
            None,
        );
        let [window] = windows.as_slice() else { panic!("{windows:?}") };
        assert_eq!((&*window.name, window.model.as_deref()), ("primary", Some("gpt-5.3-codex-spark")));
    }

    #[test]
    fn a_refusal_is_explained_by_the_window_that_is_used_up_or_stands_for_one() {
        let fault = limit(Some(600));
        assert_eq!(told(&WINDOWS, Some(&fault)).len(), 2);
        let windows = told(&[], Some(&fault));
        let [plan] = windows.as_slice() else { panic!("{windows:?}") };
        assert!(plan.is_used_up() && plan.model.is_none());
        assert_eq!(plan.resets_at, Some(1600));
        assert_eq!(told(&[], Some(&limit(None)))[0].resets_at, None, "both times may be missing");
    }
}
