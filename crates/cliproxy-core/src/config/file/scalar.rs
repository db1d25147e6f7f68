//! What a single unquoted word of the file means.
//!
//! Where a member's type is known the reading is generous, as users of existing files rely on
//! it; in free values only the core rules of YAML apply.

use serde_json::{Number, Value};

/// A boolean as YAML files in the wild write it.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => Some(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => Some(false),
        _ => None,
    }
}

/// A whole number: decimal, `0x`, `0o`, `0b`, with `_` between digits; `3.0` counts as 3.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            if digits.starts_with(['+', '-']) {
                return None;
            }
            return i64::from_str_radix(&format!("{sign}{digits}"), radix).ok();
        }
    }
    if let Ok(value) = format!("{sign}{digits}").parse() {
        return Some(value);
    }
    let (whole, fraction) = digits.split_once('.')?;
    let is_whole = !whole.is_empty() && !fraction.is_empty() && fraction.chars().all(|digit| digit == '0');
    if is_whole { format!("{sign}{whole}").parse().ok() } else { None }
}

/// A word of a free value. Unlike a member known to be a boolean, `yes` in a free value stays text.
pub(crate) fn json(text: &str) -> Value {
    match text {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let is_float = text.contains(['.', 'e', 'E']);
    if !is_float && let Some(number) = integer(text) {
        return Value::from(number);
    }
    if text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'))
        && let Ok(number) = text.parse::<f64>()
        && let Some(number) = Number::from_f64(number)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_come_in_several_notations() {
        for (text, value) in
            [("8317", 8317), ("-1", -1), ("0x10", 16), ("0o17", 15), ("0b11", 3), ("1_000", 1000), ("3.0", 3)]
        {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for text in ["", "1.5", "abc", "1e3", "--1", "0x", "-", "+-3", "99999999999999999999"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn words_of_free_values_follow_the_core_rules() {
        for (text, value) in [
            ("yes", Value::from("yes")),
            ("true", Value::from(true)),
            ("12", Value::from(12)),
            ("1.5", Value::from(1.5)),
            ("1e3", Value::from(1000.0)),
            ("-0.5", Value::from(-0.5)),
            (".inf", Value::from(".inf")),
            ("1.2.3", Value::from("1.2.3")),
            ("18446744073709551616", Value::from(18_446_744_073_709_551_616.0)),
        ] {
            assert_eq!(json(text), value, "{text}");
        }
    }
}
