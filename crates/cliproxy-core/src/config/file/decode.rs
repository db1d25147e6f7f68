//! From tree nodes to typed sections.
//!
//! A [`Cursor`] walks the tree, knows the path, and collects what is wrong; a [`Decode`] type
//! says how it is read. The `section!` macro writes the struct of one YAML mapping together with
//! its decoder, so the list of known keys, from which suggestions come, cannot drift from the
//! struct. Typing follows what users of existing files rely on: `yes` and `on` are booleans, a
//! bare number is fine as text, but a quoted number is no number and `null` means absent.

use std::ops::Deref;
use std::sync::Arc;

use super::tree::{Entry, Kind, Node, shown_key};
use crate::config::diagnostic::{Origin, Position, Report};
use crate::secret::Secret;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// Where it was written.
    pub origin: Origin,
    /// What was written.
    pub value: T,
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A list; `null` and absence are the same.
pub type List<T> = Vec<Placed<T>>;

/// A mapping with free keys, in file order.
pub type Map<T> = Vec<(String, Placed<T>)>;

/// A value of any shape, kept for whoever understands it.
#[derive(Clone, Debug)]
pub struct Free(pub(crate) Node);

impl Free {
    /// Whether there is nothing inside.
    pub fn is_empty(&self) -> bool {
        match &self.0.kind {
            Kind::Null => true,
            Kind::Scalar { text, .. } => text.is_empty(),
            Kind::List(items) => items.is_empty(),
            Kind::Map(entries) => entries.is_empty(),
        }
    }

    /// The value as JSON, plain scalars typed by the YAML core rules.
    pub fn to_json(&self) -> serde_json::Value {
        json(&self.0)
    }
}

/// How a type is read from a node. `None` means that a problem was reported, or that there is
/// nothing.
pub(crate) trait Decode: Sized {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self>;
}

/// The place in the tree and the report.
pub(crate) struct Cursor<'report> {
    report: &'report mut Report,
    path: String,
    key: Position,
}

impl<'report> Cursor<'report> {
    pub(crate) fn new(report: &'report mut Report) -> Self {
        Self { report, path: String::new(), key: Position::default() }
    }

    fn origin(&self, node: &Node) -> Origin {
        Origin { path: Arc::from(self.path.as_str()), key: self.key, value: node.position }
    }

    /// Reads the value of one member.
    pub(crate) fn field<T: Decode>(&mut self, entry: &Entry) -> Option<Placed<T>> {
        if matches!(entry.value.kind, Kind::Null) {
            return None;
        }
        self.below(&member(&self.path, &entry.key), entry.position, &entry.value)
    }

    fn below<T: Decode>(&mut self, path: &str, key: Position, node: &Node) -> Option<Placed<T>> {
        let path = std::mem::replace(&mut self.path, path.to_owned());
        let key = std::mem::replace(&mut self.key, key);
        let value = T::decode(node, self).map(|value| Placed { origin: self.origin(node), value });
        self.path = path;
        self.key = key;
        value
    }

    /// The members of a mapping; nothing counts as an empty one.
    pub(crate) fn members<'node>(&mut self, node: &'node Node) -> Option<&'node [Entry]> {
        match &node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(&[]),
            _ => {
                self.mismatch(node, "a mapping (`key: value` lines)");
                None
            }
        }
    }

    /// Reports a key that nobody knows.
    pub(crate) fn unknown(&mut self, entry: &Entry, known: &[&str]) {
        let path = member(&self.path, &entry.key);
        let warning = self.report.warning_at(entry.position, &path, "unknown key, ignored");
        if let Some(near) = nearest(&entry.key, known) {
            warning.suggest(format!("did you mean `{near}`?"));
        }
    }

    /// Reports a key that is accepted without effect on purpose.
    pub(crate) fn ignored(&mut self, entry: &Entry) {
        let path = member(&self.path, &entry.key);
        self.report.ignored(
            entry.position,
            &path,
            "accepted without effect: its only purpose is to disguise the client towards a provider",
        );
    }

    /// Reports a value that its type does not allow.
    pub(crate) fn refuse(&mut self, node: &Node, message: &str) {
        self.report.problem_at(node.position, &self.path, message);
    }

    fn mismatch(&mut self, node: &Node, wanted: &str) -> Option<()> {
        self.report.problem_at(
            node.position,
            &self.path,
            format!("expected {wanted}, found {}", node.noun()),
        );
        None
    }

    fn scalar<'node>(&mut self, node: &'node Node, wanted: &str) -> Option<(&'node str, bool)> {
        match &node.kind {
            Kind::Scalar { text, is_quoted } => Some((text, *is_quoted)),
            Kind::Null => None,
            _ => {
                self.mismatch(node, wanted);
                None
            }
        }
    }
}

fn member(path: &str, key: &str) -> String {
    if path.is_empty() { shown_key(key) } else { format!("{path}.{}", shown_key(key)) }
}

impl Decode for String {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        cursor.scalar(node, "text").map(|(text, _)| text.to_owned())
    }
}

impl Decode for Secret {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        String::decode(node, cursor).map(Self::from)
    }
}

impl Decode for bool {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let (text, is_quoted) = cursor.scalar(node, "true or false")?;
        let value = boolean(text);
        if value.is_none() || is_quoted {
            let problem = cursor.report.problem_at(
                node.position,
                &cursor.path,
                format!("expected true or false, found {}", node.noun()),
            );
            if value.is_some() {
                problem.suggest("write it without quotes");
            }
            return None;
        }
        value
    }
}

impl Decode for i64 {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let (text, is_quoted) = cursor.scalar(node, "a whole number")?;
        let value = integer(text);
        if value.is_none() || is_quoted {
            let problem = cursor.report.problem_at(
                node.position,
                &cursor.path,
                format!("expected a whole number, found {}", node.noun()),
            );
            if value.is_some() {
                problem.suggest("write it without quotes");
            }
            return None;
        }
        value
    }
}

impl Decode for Free {
    fn decode(node: &Node, _: &mut Cursor<'_>) -> Option<Self> {
        Some(Self(node.clone()))
    }
}

impl<T: Decode> Decode for List<T> {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let items = match &node.kind {
            Kind::List(items) => items,
            Kind::Null => return Some(Self::new()),
            _ => {
                cursor.mismatch(node, "a list (lines that start with `- `)");
                return None;
            }
        };
        let mut list = Self::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", cursor.path);
            list.extend(cursor.below(&path, item.position, item));
        }
        Some(list)
    }
}

impl<T: Decode> Decode for Map<T> {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let entries = cursor.members(node)?;
        let mut map = Self::with_capacity(entries.len());
        for entry in entries {
            let path = member(&cursor.path, &entry.key);
            let value = cursor.below(&path, entry.position, &entry.value);
            map.extend(value.map(|value| (entry.key.clone(), value)));
        }
        Some(map)
    }
}

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

fn json(node: &Node) -> serde_json::Value {
    use serde_json::Value;
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Scalar { text, is_quoted: true } => Value::String(text.clone()),
        Kind::Scalar { text, .. } => plain_json(text),
        Kind::List(items) => Value::Array(items.iter().map(json).collect()),
        Kind::Map(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect())
        }
    }
}

/// Unlike a member known to be a boolean, `yes` in a free value stays text.
fn plain_json(text: &str) -> serde_json::Value {
    use serde_json::Value;
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
        && let Some(number) = serde_json::Number::from_f64(number)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}

/// The known key that was probably meant.
pub(crate) fn nearest<'known>(key: &str, known: &[&'known str]) -> Option<&'known str> {
    let wanted = normal(key);
    if wanted.chars().count() > 60 {
        return None;
    }
    let limit = (wanted.chars().count() / 3).clamp(1, 4);
    known
        .iter()
        .map(|candidate| (distance(&wanted, &normal(candidate)), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn normal(key: &str) -> String {
    key.to_lowercase().replace(['_', ' '], "-")
}

/// Edit distance with transposition of neighbours.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous: Option<char> = None;
    for (row, character) in left.chars().enumerate() {
        let mut current = vec![row.saturating_add(1)];
        for (column, other) in right.iter().enumerate() {
            let at = |list: &[usize], index: usize| list.get(index).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column).saturating_add(usize::from(character != *other));
            let removed = at(&last, column.saturating_add(1)).saturating_add(1);
            let added = at(&current, column).saturating_add(1);
            let mut best = replaced.min(removed).min(added);
            if let Some(before) = column.checked_sub(1)
                && previous == Some(*other)
                && right.get(before) == Some(&character)
            {
                best = best.min(at(&before_last, before).saturating_add(1));
            }
            current.push(best);
        }
        previous = Some(character);
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

/// Whether a struct member's name stands for this key.
pub(crate) fn is_named(member: &str, key: &str) -> bool {
    let member = member.strip_prefix("r#").unwrap_or(member);
    member.len() == key.len()
        && member
            .bytes()
            .zip(key.bytes())
            .all(|(ours, theirs)| if ours == b'_' { theirs == b'-' } else { ours == theirs })
}

/// The key that a struct member's name stands for.
pub(crate) fn key_name(member: &str) -> String {
    member.strip_prefix("r#").unwrap_or(member).replace('_', "-")
}

/// Declares the struct of one YAML mapping and how it is read.
///
/// Member names are the keys with `_` for `-`. Keys after `disguise:` are accepted and ignored
/// with one warning.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* $field:ident: $kind:ty, )*
        }
        $( disguise: [ $($disguise:literal),* $(,)? ] )?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: Option<$crate::config::file::decode::Placed<$kind>>, )*
        }

        impl $name {
            /// Every key that has an effect here.
            pub fn keys() -> Vec<String> {
                vec![ $( $crate::config::file::decode::key_name(stringify!($field)) ),* ]
            }
        }

        impl $crate::config::file::decode::Decode for $name {
            fn decode(
                node: &$crate::config::file::tree::Node,
                cursor: &mut $crate::config::file::decode::Cursor<'_>,
            ) -> Option<Self> {
                let mut section = Self::default();
                let disguise: &[&str] = &[ $( $($disguise),* )? ];
                for entry in cursor.members(node)? {
                    $(
                        if $crate::config::file::decode::is_named(stringify!($field), &entry.key) {
                            section.$field = cursor.field(entry);
                            continue;
                        }
                    )*
                    if disguise.contains(&entry.key.as_str()) {
                        cursor.ignored(entry);
                        continue;
                    }
                    let known = Self::keys();
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    cursor.unknown(entry, &known);
                }
                Some(section)
            }
        }
    };
}
pub(crate) use section;

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
    fn nearest_forgives_typing_errors_and_wrong_separators() {
        let known = ["proxy-url", "port", "api-keys", "request-retry"];
        assert_eq!(nearest("proxy_url", &known), Some("proxy-url"));
        assert_eq!(nearest("prot", &known), Some("port"));
        assert_eq!(nearest("apikeys", &known), Some("api-keys"));
        assert_eq!(nearest("request-retires", &known), Some("request-retry"));
        assert_eq!(nearest("something-else", &known), None);
    }

    #[test]
    fn distance_counts_edits_and_transpositions() {
        assert_eq!(distance("port", "prot"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn member_names_stand_for_keys() {
        assert!(is_named("gpt_image_2_base_model", "gpt-image-2-base-model"));
        assert!(is_named("r#match", "match"));
        assert!(!is_named("proxy_url", "proxy_url"));
        assert_eq!(key_name("not_match"), "not-match");
    }
}
