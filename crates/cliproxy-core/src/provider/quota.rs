//! What headers and refusals tell of quotas, where several providers tell it alike.

use std::time::Duration;

use cliproxy_wire::fault::{Fault, Kind};
use http::HeaderMap;

use crate::credential::Window;

/// A limit that passes sooner than this is a pace, not a quota.
const SHORTEST: Duration = Duration::from_mins(1);

/// The head of an answer, and the refusal in it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The answer's headers.
    pub headers: &'a HeaderMap,
    /// The refusal; `None` for a good answer.
    pub fault: Option<&'a Fault>,
    /// The upstream's model that was asked.
    pub model: &'a str,
    /// The time in Unix seconds.
    pub now: u64,
}

impl Told<'_> {
    /// A header's text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// A header's number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    /// A header's time in Unix seconds: as such, or as RFC 3339.
    pub(super) fn time(&self, name: &str) -> Option<u64> {
        let text = self.text(name)?;
        let stamp = || u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_second()).ok();
        text.parse().ok().or_else(stamp)
    }
}

/// What a quota refusal with a time tells: nothing is left for this model until then.
pub(super) fn of_refusal(told: &Told<'_>) -> Option<Window> {
    let fault = told.fault.filter(|fault| matches!(fault.kind, Kind::RateLimit | Kind::Quota))?;
    let wait = fault.retry_after.filter(|wait| *wait >= SHORTEST)?;
    Some(Window {
        model: Some(told.model.into()),
        resets_at: Some(told.now + wait.as_secs()),
        ..Window::new("model", 1.0, told.now)
    })
}

/// A window told as a limit, what remains of it, and when it begins anew. `names` are the three headers.
pub(super) fn counted(told: &Told<'_>, window: &'static str, names: [&str; 3]) -> Option<Window> {
    let [limit, remaining, reset] = names;
    let (limit, remaining) = (told.number(limit).filter(|limit| *limit > 0.0)?, told.number(remaining)?);
    let used = 1.0 - remaining / limit;
    Some(Window { limit: Some(limit), resets_at: told.time(reset), ..Window::new(window, used, told.now) })
}
