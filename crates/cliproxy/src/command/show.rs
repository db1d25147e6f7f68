//! What commands say: text on standard output, times and quotas in words.

use std::io::{self, Write as _};

use cliproxy_core::credential::Window;

/// Prints text; `false` when nobody reads any more. What would steer a terminal is left out: names and messages come
/// from files and from others.
pub(super) fn print(text: &str) -> bool {
    let steers = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    let plain = text.replace(steers, "?");
    let mut output = io::stdout().lock();
    output.write_all(plain.as_bytes()).and_then(|()| output.flush()).is_ok()
}

/// Prints a line, where somebody still reads: a login or a server does not end because a pipe has.
pub(super) fn say(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints a value as JSON for programs.
pub(super) fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}

/// A length of time: its two largest units.
pub(super) fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(24 * 3600, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, name) in UNITS.iter().skip(first).take(2) {
        let count = left / unit;
        left %= unit;
        if count > 0 || parts.is_empty() {
            parts.push(format!("{count} {name}"));
        }
    }
    parts.join(" ")
}

/// A time as seen from now, all in Unix seconds.
pub(super) fn when(at: u64, now: u64) -> String {
    if at > now { format!("in {}", span(at - now)) } else { format!("{} ago", span(now - at)) }
}

/// A quota: what is left of it, and when it begins anew.
pub(super) fn quota(window: &Window, now: u64) -> String {
    let model = window.model.as_deref().map(|model| format!(" of {model}")).unwrap_or_default();
    let reset = window.resets_at.filter(|at| *at > now);
    let reset = reset.map(|at| format!(", begins anew in {}", span(at - now))).unwrap_or_default();
    format!("quota {}{model}: {:.0} % left{reset}", window.name, (1.0 - window.used) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_661, "1 h 1 min"),
            (90_000, "1 d 1 h"),
            (86_405, "1 d"),
        ] {
            assert_eq!(span(seconds), expected);
        }
        assert_eq!(when(70, 10), "in 1 min");
        assert_eq!(when(10, 70), "1 min ago");
    }

    #[test]
    fn a_quota_tells_what_is_left_until_when() {
        let window = Window { resets_at: Some(7_200), model: Some("m".into()), ..Window::new("5h", 0.37, 0) };
        assert_eq!(quota(&window, 0), "quota 5h of m: 63 % left, begins anew in 2 h");
        assert_eq!(quota(&window, 7_200), "quota 5h of m: 63 % left");
    }
}
