//! Lists of the configuration, changed the way control panels change them: by index, by key, by name.
//!
//! Entries stay JSON objects here and are not read into types: a panel knows fewer members than the file may have, and
//! what it does not know must not be lost. What an entry means is judged by `settings` before anything is written.

use serde_json::{Map, Value};

/// A list of entries with upstream keys.
#[derive(Clone, Copy, Debug)]
pub struct EntryList {
    /// Its key in the file, and its path.
    pub key: &'static str,
    /// The member that names an entry.
    pub name: &'static str,
    /// Members without which an entry is dropped.
    needs: &'static [&'static str],
    /// Members that make two entries the same; empty when equal entries may repeat.
    unique: &'static [&'static str],
    /// Whether deleting what is not there is an error.
    pub is_strict: bool,
}

const fn list(
    key: &'static str,
    needs: &'static [&'static str],
    unique: &'static [&'static str],
    is_strict: bool,
) -> EntryList {
    EntryList { key, name: "api-key", needs, unique, is_strict }
}

/// Every list of entries.
pub const LISTS: [EntryList; 7] = [
    list("gemini-api-key", &["api-key"], &["api-key", "base-url"], true),
    list("interactions-api-key", &["api-key"], &["api-key", "base-url"], false),
    list("claude-api-key", &["api-key"], &[], false),
    list("codex-api-key", &["base-url"], &[], false),
    list("xai-api-key", &["api-key"], &[], false),
    list("vertex-api-key", &["api-key", "base-url"], &["api-key", "base-url"], false),
    EntryList {
        key: "openai-compatibility",
        name: "name",
        needs: &["base-url"],
        unique: &[],
        is_strict: false,
    },
];

/// What single client keys may do; changed like the others, and replaced as a whole.
pub const LIMITS: EntryList = list("api-key-limits", &["api-key"], &["api-key"], true);

/// Members that every panel knows: where one leaves them out, it means that they are to go.
const KNOWN: [&str; 9] = [
    "api-key",
    "name",
    "prefix",
    "base-url",
    "proxy-url",
    "headers",
    "excluded-models",
    "models",
    "api-key-entries",
];

/// Which entry is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one at this place.
    Index(usize),
    /// All with this name (or key), and this address where one is given.
    Named {
        /// The key, or the name.
        name: String,
        /// The member `base-url`.
        base_url: Option<String>,
    },
}

/// Why a list is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// There is no such entry.
    Missing,
    /// The change is no object.
    Malformed,
}

impl EntryList {
    /// The list after it was replaced by what a panel sent. Members that the panel does not know stay with the entry
    /// that has the same name and address.
    pub fn replaced(&self, old: &[Value], new: Vec<Value>) -> Option<Vec<Value>> {
        if !new.iter().all(Value::is_object) {
            return None;
        }
        let mut result: Vec<Value> = Vec::new();
        let mut taken = vec![false; old.len()];
        for mut entry in new {
            // An address may be what was changed, so the same name alone will do where no better one is there.
            let same = |full: bool| {
                old.iter().zip(&taken).position(|(before, taken)| {
                    !taken
                        && text(before, self.name) == text(&entry, self.name)
                        && (!full || text(before, "base-url") == text(&entry, "base-url"))
                })
            };
            let before = same(true).or_else(|| same(false));
            if let Some((index, Value::Object(before))) = before.and_then(|at| Some((at, old.get(at)?))) {
                if let Some(taken) = taken.get_mut(index) {
                    *taken = true;
                }
                keep_unknown(before, &mut entry);
            }
            result.push(entry);
        }
        Some(self.cleaned(result))
    }

    /// The list after some members of one entry were changed; `null` removes one.
    ///
    /// # Errors
    /// No such entry, or no object.
    pub fn patched(&self, old: &[Value], which: &Which, change: &Value) -> Result<Vec<Value>, Unchanged> {
        let Value::Object(change) = change else { return Err(Unchanged::Malformed) };
        let index =
            (0..old.len()).find(|&index| self.is_meant(old, index, which)).ok_or(Unchanged::Missing)?;
        let mut list = old.to_vec();
        let Some(Value::Object(entry)) = list.get_mut(index) else { return Err(Unchanged::Missing) };
        for (name, value) in change {
            if value.is_null() {
                entry.shift_remove(name);
            } else {
                entry.insert(name.clone(), trimmed(value));
            }
        }
        if self.needs.iter().any(|need| change.contains_key(*need) && text_of(entry, need).is_empty()) {
            list.remove(index);
        }
        Ok(list)
    }

    /// The list without some entries.
    ///
    /// # Errors
    /// No such entry.
    pub fn without(&self, old: &[Value], which: &Which) -> Result<Vec<Value>, Unchanged> {
        let kept: Vec<Value> = (0..old.len())
            .filter(|&index| !self.is_meant(old, index, which))
            .filter_map(|index| old.get(index).cloned())
            .collect();
        if kept.len() == old.len() { Err(Unchanged::Missing) } else { Ok(kept) }
    }

    fn is_meant(&self, list: &[Value], index: usize, which: &Which) -> bool {
        match which {
            Which::Index(wanted) => index == *wanted,
            Which::Named { name, base_url } => list.get(index).is_some_and(|entry| {
                text(entry, self.name) == name.trim()
                    && base_url.as_deref().is_none_or(|url| text(entry, "base-url") == url.trim())
            }),
        }
    }

    /// Without entries that nothing can be done with, and without repetitions.
    fn cleaned(&self, list: Vec<Value>) -> Vec<Value> {
        let mut result: Vec<Value> = Vec::with_capacity(list.len());
        for entry in list {
            let is_empty = self.needs.iter().any(|need| text(&entry, need).is_empty());
            let is_same = |known: &Value| {
                !self.unique.is_empty()
                    && self.unique.iter().all(|member| text(known, member) == text(&entry, member))
            };
            if !is_empty && !result.iter().any(is_same) {
                result.push(entry);
            }
        }
        result
    }
}

fn keep_unknown(before: &Map<String, Value>, entry: &mut Value) {
    let Value::Object(entry) = entry else { return };
    for (name, value) in before {
        if !KNOWN.contains(&name.as_str()) && !entry.contains_key(name) {
            entry.insert(name.clone(), value.clone());
        }
    }
}

fn text<'v>(entry: &'v Value, member: &str) -> &'v str {
    entry.as_object().map(|entry| text_of(entry, member)).unwrap_or_default()
}

fn text_of<'v>(entry: &'v Map<String, Value>, member: &str) -> &'v str {
    entry.get(member).and_then(Value::as_str).map(str::trim).unwrap_or_default()
}

fn trimmed(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(text.trim()),
        other => other.clone(),
    }
}

/// A list with one item set: the one at an index, or the one that equals `old`, which is added when it is not there.
///
/// # Errors
/// There is no such index.
pub fn with_text(
    list: &[Value],
    index: Option<usize>,
    old: Option<&str>,
    new: &str,
) -> Result<Vec<Value>, Unchanged> {
    let mut list = list.to_vec();
    let found = match (index, old) {
        (Some(index), _) => Some(index),
        (None, Some(old)) => list.iter().position(|item| item.as_str().map(str::trim) == Some(old.trim())),
        (None, None) => return Err(Unchanged::Malformed),
    };
    match found {
        Some(index) => *list.get_mut(index).ok_or(Unchanged::Missing)? = Value::from(new.trim()),
        None => list.push(Value::from(new.trim())),
    }
    Ok(list)
}

/// A list of objects with `changes` in it: objects with the same `name` are replaced, the others added.
pub fn merged(list: &[Value], changes: Vec<Value>, name: &str) -> Vec<Value> {
    let mut result = list.to_vec();
    for change in changes {
        match result.iter_mut().find(|known| text(known, name) == text(&change, name)) {
            Some(known) => *known = change,
            None => result.push(change),
        }
    }
    result
}

/// An entry of a list of keys, switched off or on: the way panels know is to exclude every model, and a member
/// `disabled` where the list has one. `None` when it is no object.
pub fn switched(list: &EntryList, entry: &Value, is_disabled: bool) -> Option<Value> {
    let mut entry = entry.as_object()?.clone();
    if list.name == "name" {
        if is_disabled {
            entry.insert("disabled".to_owned(), Value::Bool(true));
        } else {
            entry.shift_remove("disabled");
        }
        return Some(entry.into());
    }
    let mut excluded = entry.get(EXCLUDED).and_then(Value::as_array).cloned().unwrap_or_default();
    excluded.retain(|pattern| pattern.as_str().map(str::trim) != Some(EVERYTHING));
    if is_disabled {
        excluded.push(EVERYTHING.into());
    }
    if excluded.is_empty() {
        entry.shift_remove(EXCLUDED);
    } else {
        entry.insert(EXCLUDED.to_owned(), excluded.into());
    }
    Some(entry.into())
}

const EXCLUDED: &str = "excluded-models";

/// The pattern that excludes every model.
pub const EVERYTHING: &str = "*";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(key: &str) -> EntryList {
        LISTS.into_iter().find(|list| list.key == key).unwrap()
    }

    #[test]
    fn a_panel_that_knows_less_loses_nothing() {
        let old =
            [json!({"api-key": "a", "priority": 3, "prefix": "p"}), json!({"api-key": "b", "weight": 2})];
        let new = of("claude-api-key").replaced(
            &old,
            vec![json!({"api-key": "b", "models": []}), json!({"api-key": "a"}), json!({"api-key": ""})],
        );
        let expected =
            vec![json!({"api-key": "b", "models": [], "weight": 2}), json!({"api-key": "a", "priority": 3})];
        assert_eq!(new, Some(expected));
        assert_eq!(of("claude-api-key").replaced(&old, vec![json!("a")]), None);
    }

    #[test]
    fn repetitions_go_where_they_mean_nothing() {
        let twice = vec![json!({"api-key": "a"}), json!({"api-key": "a"})];
        assert_eq!(of("gemini-api-key").replaced(&[], twice.clone()).unwrap().len(), 1);
        assert_eq!(of("claude-api-key").replaced(&[], twice).unwrap().len(), 2);
    }

    #[test]
    fn one_entry_is_changed_or_taken_away() {
        let list = of("codex-api-key");
        let old =
            [json!({"api-key": "a", "base-url": "u", "x": 1}), json!({"api-key": "b", "base-url": "v"})];
        let named = |name: &str| Which::Named { name: name.to_owned(), base_url: None };
        let patched = list.patched(&old, &named("b"), &json!({"prefix": " p ", "x": null})).unwrap();
        assert_eq!(patched[1], json!({"api-key": "b", "base-url": "v", "prefix": "p"}));
        let emptied = list.patched(&old, &Which::Index(0), &json!({"base-url": ""})).unwrap();
        assert_eq!(emptied, [json!({"api-key": "b", "base-url": "v"})]);
        assert_eq!(list.patched(&old, &Which::Index(2), &json!({})), Err(Unchanged::Missing));
        assert_eq!(list.patched(&old, &Which::Index(0), &json!(1)), Err(Unchanged::Malformed));
        assert_eq!(list.without(&old, &named("a")).unwrap().len(), 1);
        let elsewhere = Which::Named { name: "a".to_owned(), base_url: Some("v".to_owned()) };
        assert_eq!(list.without(&old, &elsewhere), Err(Unchanged::Missing));
    }

    #[test]
    fn texts_are_set_by_place_or_by_what_they_were() {
        let list = [json!("a"), json!("b")];
        assert_eq!(with_text(&list, Some(1), None, "c").unwrap(), [json!("a"), json!("c")]);
        assert_eq!(with_text(&list, None, Some("a"), "c").unwrap(), [json!("c"), json!("b")]);
        assert_eq!(with_text(&list, None, Some("x"), "c").unwrap().len(), 3);
        assert_eq!(with_text(&list, Some(2), None, "c"), Err(Unchanged::Missing));
        assert_eq!(with_text(&list, None, None, "c"), Err(Unchanged::Malformed));
    }
}
