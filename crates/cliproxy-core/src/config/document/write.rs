//! Values as YAML text.
//!
//! New texts are quoted, members stand one to a line: programs that wrap the gateway edit single lines of the file.

use serde_json::Value;
use serde_saphyr::granit_parser::ScalarStyle;

use crate::config::file::scalar;

/// Columns between a mapping and what is in it.
const STEP: usize = 2;

/// A value without lines of its own: a scalar, or an empty or bracketed collection.
pub(super) fn inline(value: &Value) -> String {
    quoted(&value.to_string())
}

/// JSON is YAML except for a few characters inside quotes, which YAML takes for ends of lines or does not take at all.
fn quoted(json: &str) -> String {
    let is_fine = |character: char| {
        !matches!(
            character,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if is_fine(character) {
            text.push(character);
        } else {
            text.extend(["\\u", &format!("{:04x}", u32::from(character))]);
        }
    }
    text
}

/// Whether a value is written over lines of its own.
pub(super) fn is_block(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => false,
    }
}

/// A scalar in the style of the one that it replaces.
pub(super) fn like(value: &Value, style: ScalarStyle) -> String {
    match (value, style) {
        (Value::String(text), ScalarStyle::Plain) if is_plain(text) => text.clone(),
        (Value::String(text), ScalarStyle::SingleQuoted) if !text.chars().any(char::is_control) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ => inline(value),
    }
}

/// Whether a text is read as itself without quotes.
fn is_plain(text: &str) -> bool {
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "-_./@+".contains(character));
    is_word
        && scalar::boolean(text).is_none()
        && !text.eq_ignore_ascii_case("null")
        && scalar::json(text).is_string()
}

/// A key.
pub(super) fn key(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { inline(&Value::from(text)) }
}

/// A member with its value, as lines at a column.
pub(super) fn member(name: &str, value: &Value, column: usize) -> String {
    let mut lines = format!("{:column$}{}:", "", key(name));
    if is_block(value) {
        lines.push('\n');
        lines.push_str(&block(value, column + STEP));
    } else {
        lines.push(' ');
        lines.push_str(&inline(value));
        lines.push('\n');
    }
    lines
}

/// An item of a list, as lines at a column.
pub(super) fn item(value: &Value, column: usize) -> String {
    let lines = match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().map(|(name, value)| member(name, value, column + STEP)).collect::<String>()
        }
        // A list directly inside a list would need a notation of its own.
        other => format!("{:1$}{2}\n", "", column + STEP, inline(other)),
    };
    let rest = lines.get(column + STEP..).unwrap_or_default();
    format!("{:column$}- {rest}", "")
}

/// A collection that is not empty, as lines at a column.
pub(super) fn block(value: &Value, column: usize) -> String {
    match value {
        Value::Array(items) => items.iter().map(|value| item(value, column)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| member(name, value, column)).collect(),
        other => format!("{:column$}{}\n", "", inline(other)),
    }
}
