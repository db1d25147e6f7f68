//! The suffix of a model's name: `model(high)`, `model(8192)`, `model(none)`.

use super::level;
use crate::model::Mode;

/// Numbers above this are as good as it.
const MAX_BUDGET: u64 = 1 << 31;

/// Splits a name into base and suffix.
///
/// The second value is `None` without a suffix, `Some(None)` for a suffix that says nothing (empty or not understood:
/// then the whole name may be meant literally, if the base is not known), else what it says.
pub fn split(name: &str) -> (&str, Option<Option<Mode>>) {
    let parts = name.strip_suffix(')').and_then(|inner| inner.rsplit_once('('));
    match parts {
        Some((base, value)) if !base.trim().is_empty() => (base.trim_end(), Some(mode(value.trim()))),
        _ => (name, None),
    }
}

/// What a suffix's value says.
fn mode(value: &str) -> Option<Mode> {
    if value.eq_ignore_ascii_case("none") {
        return Some(Mode::Off);
    }
    if value.eq_ignore_ascii_case("auto") || value == "-1" {
        return Some(Mode::Auto);
    }
    if let Some(level) = level::from_word(value) {
        return Some(Mode::Level(level));
    }
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only digits, so a failure to parse means more than fits.
    match value.parse::<u64>().unwrap_or(MAX_BUDGET).min(MAX_BUDGET) {
        0 => Some(Mode::Off),
        budget => Some(Mode::Budget(budget)),
    }
}
