//! When to try again: the many ways in which providers say it, read into one duration.

use std::time::Duration;

/// Longer waits are mistakes of their sender.
const MAX_SECONDS: f64 = 60.0 * 60.0 * 24.0 * 60.0;

fn seconds(value: f64) -> Option<Duration> {
    (value.is_finite() && (0.0..=MAX_SECONDS).contains(&value)).then(|| Duration::from_secs_f64(value))
}

/// The time from `now` until `moment`, both in Unix seconds.
pub(super) fn until(moment: u64, now: u64) -> Option<Duration> {
    // Some send milliseconds.
    let moment = if moment > 100_000_000_000 { moment / 1000 } else { moment };
    moment.checked_sub(now).map(Duration::from_secs).filter(|delay| delay.as_secs_f64() <= MAX_SECONDS)
}

/// A number of seconds.
pub(super) fn plain_seconds(text: &str) -> Option<Duration> {
    seconds(text.trim().parse().ok()?)
}

/// A number of milliseconds; zero says nothing.
pub(super) fn plain_milliseconds(text: &str) -> Option<Duration> {
    seconds(text.trim().parse::<f64>().ok()? / 1000.0).filter(|delay| !delay.is_zero())
}

/// A `retry-after` header: seconds or a date.
pub(super) fn header(text: &str, now: u64) -> Option<Duration> {
    plain_seconds(text).or_else(|| until(http_date(text)?, now))
}

/// Units of the Go and protobuf notation; longer names first where one begins with another.
const UNITS: [(&str, f64); 17] = [
    ("milliseconds", 0.001),
    ("millisecond", 0.001),
    ("ms", 0.001),
    ("microseconds", 0.000_001),
    ("us", 0.000_001),
    ("µs", 0.000_001),
    ("ns", 0.000_000_001),
    ("seconds", 1.0),
    ("second", 1.0),
    ("s", 1.0),
    ("minutes", 60.0),
    ("minute", 60.0),
    ("m", 60.0),
    ("hours", 3600.0),
    ("hour", 3600.0),
    ("h", 3600.0),
    ("d", 86400.0),
];

/// A duration such as `1h2m3.5s` or `373.8ms`, complete.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (delay, rest) = leading_duration(text.trim())?;
    rest.is_empty().then_some(delay)
}

/// A duration at the start of `text`, and what follows it. A space may stand between number and unit.
fn leading_duration(text: &str) -> Option<(Duration, &str)> {
    let mut total = 0.0;
    let mut rest = text;
    let mut is_any = false;
    loop {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.');
        let (number, tail) = rest.split_at(digits.unwrap_or(rest.len()));
        let Ok(number) = number.parse::<f64>() else { break };
        let tail = tail.strip_prefix(' ').unwrap_or(tail);
        let unit = UNITS.iter().find_map(|(name, size)| {
            let behind = tail.strip_prefix(name)?;
            let is_whole_word = !behind.starts_with(|character: char| character.is_ascii_alphabetic());
            is_whole_word.then_some((*size, behind))
        });
        let Some((size, behind)) = unit else { break };
        total += number * size;
        is_any = true;
        rest = behind;
    }
    is_any.then_some(())?;
    Some((seconds(total)?, rest))
}

/// A delay said in words: "try again in 12.3s", "retry in 37.8s", "reset after 31s".
pub(super) fn in_text(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    ["try again in ", "retry in ", "retry after ", "reset after ", "resets in ", "available in ", "after "]
        .iter()
        .find_map(|lead| {
            text.match_indices(lead).find_map(|(at, _)| {
                let (delay, _) = leading_duration(text.get(at + lead.len()..)?)?;
                Some(delay)
            })
        })
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date as `Sun, 06 Nov 1994 08:49:37 GMT`, in Unix seconds.
fn http_date(text: &str) -> Option<u64> {
    let (_, date) = text.split_once(", ")?;
    let mut words = date.split_ascii_whitespace();
    let day = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|known| known.eq_ignore_ascii_case(name))? + 1;
    let year = words.next()?.parse().ok()?;
    moment(year, u32::try_from(month).ok()?, day, words.next()?)
}

/// A date as `2026-08-01T12:00:00Z`, in Unix seconds. Fractions are ignored, other offsets than UTC refused.
pub(super) fn rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.trim().strip_suffix('Z')?.split_once('T')?;
    let mut parts = date.split('-');
    let year = parts.next()?.parse().ok()?;
    let month = parts.next()?.parse().ok()?;
    let day = parts.next()?.parse().ok()?;
    moment(year, month, day, time)
}

fn moment(year: i64, month: u32, day: u32, time: &str) -> Option<u64> {
    let mut parts = time.split(':');
    let hour: i64 = parts.next()?.parse().ok()?;
    let minute: i64 = parts.next()?.parse().ok()?;
    let second: i64 = parts.next()?.split('.').next()?.parse().ok()?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    // Days since 1970 of the civil calendar, with years that begin in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era_year = shifted.rem_euclid(400);
    let day_of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = era_year * 365 + era_year / 4 - era_year / 100 + day_of_year;
    let days = shifted.div_euclid(400) * 146_097 + day_of_era - 719_468;
    u64::try_from(days * 86_400 + hour * 3600 + minute * 60 + second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_every_notation_are_read() {
        for (text, millis) in [
            ("31s", 31_000),
            ("0.847655010s", 847),
            ("373.801628ms", 373),
            ("1h2m3.5s", 3_723_500),
            ("2m", 120_000),
            ("20 seconds", 20_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration(text).map(|delay| delay.as_millis()), Some(millis), "{text}");
        }
        for text in ["", "s", "12", "12x", "-3s", "1e9s", "99999999d", "12.3.4s", "5mins"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn delays_in_words_are_found() {
        for (text, millis) in [
            ("Rate limit reached. Please try again in 12.3s.", 12_300),
            ("please try again in 28ms. Visit", 28),
            ("Please retry in 37.833s.", 37_833),
            ("Your quota will reset after 31s.", 31_000),
            ("Try again in 2 minutes", 120_000),
            ("after all, try again in 1m30s", 90_000),
        ] {
            assert_eq!(in_text(text).map(|delay| delay.as_millis()), Some(millis), "{text}");
        }
        assert_eq!(in_text("try again in a while, after lunch"), None);
    }

    #[test]
    fn dates_are_read_against_the_given_clock() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(rfc3339("2026-08-01T12:00:00.5Z"), Some(1_785_585_600));
        assert_eq!(header("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_700), Some(Duration::from_secs(77)));
        assert_eq!(header("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_800), None);
        assert_eq!(header("1.5", 0), Some(Duration::from_millis(1500)));
        assert_eq!(header("soon", 0), None);
        assert_eq!(until(1_785_585_600_000, 1_785_585_590), Some(Duration::from_secs(10)));
    }
}
