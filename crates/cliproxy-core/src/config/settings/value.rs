//! Small readings shared by the sections: counts, durations, placeholders.
//!
//! Values out of range are corrected with a warning; only what cannot mean anything is a
//! problem.

use std::time::Duration;

use crate::config::diagnostic::{Code, Report};
use crate::config::file::Placed;

/// Seconds where 0 and less mean "off".
pub(super) fn switched_seconds(member: Option<&Placed<i64>>, absent: u64) -> Option<Duration> {
    let seconds = match member {
        None => absent,
        Some(member) => u64::from(clamp(member.value)),
    };
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// A count where less than 0 means 0.
pub(super) fn count(member: Option<&Placed<i64>>, absent: u32) -> u32 {
    member.map_or(absent, |member| clamp(member.value))
}

/// As much of the number as fits.
pub(super) fn clamp(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

/// The trimmed text of a member, if there is any.
pub(super) fn text(member: Option<&Placed<String>>) -> Option<&str> {
    member.map(|member| member.trim()).filter(|text| !text.is_empty())
}

/// Whether the member is set to true.
pub(super) fn is_on(member: Option<&Placed<bool>>) -> bool {
    member.is_some_and(|member| member.value)
}

/// A duration text such as `1h30m`, `90s`, `500ms`.
pub(super) fn duration(member: Option<&Placed<String>>, absent: Duration, report: &mut Report) -> Duration {
    let (Some(member), Some(written)) = (member, text(member)) else {
        return absent;
    };
    match parse_duration(written) {
        // One that ends later than time can be told is none that anybody can count.
        Some(duration) if !duration.is_zero() => duration.min(Duration::from_secs(u64::from(u32::MAX))),
        Some(_) => absent,
        None => {
            report.problem(&member.origin, Code::NotADuration);
            absent
        }
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let number: f64 = number.parse().ok()?;
        let units: [(&str, f64); 7] =
            [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let (after, seconds) =
            units.iter().find_map(|(unit, seconds)| Some((after.strip_prefix(unit)?, seconds)))?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    Some(total)
}

/// Whether a key is one of the placeholders of example files.
pub(super) fn is_placeholder(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    key.starts_with("your-")
        || key.starts_with("your_")
        || key.starts_with("sk-your")
        || (key.starts_with('<') && key.ends_with('>'))
        || key.ends_with("...")
        || (key.contains("...") && key.len() <= 24)
        || matches!(key.as_str(), "changeme" | "change-me" | "change_me" | "placeholder" | "xxx" | "sk-xxx")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("1h"), Some(Duration::from_hours(1)));
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        for text in ["", "5", "h", "-1h", "1d", "1h 30m", "..s", "1e400s"] {
            assert!(
                parse_duration(text).is_none_or(|duration| text.is_empty() && duration.is_zero()),
                "{text}"
            );
        }
    }

    #[test]
    fn placeholders_of_examples_are_recognised() {
        for key in [
            "your-api-key-1",
            "Your-API-Key",
            "your-password",
            "sk-your-key",
            "<api-key>",
            "AIzaSy...01",
            "sk-atSM...",
            "changeme",
        ] {
            assert!(is_placeholder(key), "{key}");
        }
        for key in ["sk-ant-api03-abcdef", "AIzaSyA1234567", "yourself", "a", "local"] {
            assert!(!is_placeholder(key), "{key}");
        }
    }
}
