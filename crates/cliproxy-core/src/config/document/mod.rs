//! Edits of the configuration's text that leave everything alone which they do not mean.
//!
//! A [`Document`] is changed by value: whoever edits says what a member is to be, and the text is changed where the
//! values differ, and nowhere else. Comments, order, quoting and keys that nobody knows stay. What came out is read
//! again and compared with what was meant before anybody sees it, so a defect here can refuse an edit and not damage a
//! file. Whether the new configuration makes sense is judged by `settings`, writing it is left to [`super::keeper`].

mod align;
mod span;
mod write;

use std::ops::Range;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::ScalarStyle;

use self::span::{Kind, Member, Node};
use super::diagnostic::Report;
use super::file::decode::Free;
use super::file::tree;

/// A configuration's text with its meaning.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    text: String,
    root: Map<String, Value>,
}

/// Why a text cannot be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEditable {
    /// It is no YAML mapping.
    #[error("the configuration file is not a YAML mapping; mend it first")]
    Unreadable,
    /// The edit came out as something else.
    #[error("this part of the configuration file is written in a way that cannot be edited; edit it by hand")]
    Unsupported,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The text holds keys.
        write!(f, "Document({} bytes)", self.text.len())
    }
}

impl Document {
    /// Reads a text.
    ///
    /// # Errors
    /// A text that is no mapping, or broken.
    pub fn parse(text: impl Into<String>) -> Result<Self, NotEditable> {
        let text = text.into();
        let root = meaning(&text).ok_or(NotEditable::Unreadable)?;
        Ok(Self { text, root })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole meaning, with aliases and merge keys applied.
    pub fn root(&self) -> &Map<String, Value> {
        &self.root
    }

    /// A member by path; `None` when it is not there.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.root.get(*first)?, |value, name| value.get(name))
    }

    /// Makes a member what it is to be, or removes it.
    ///
    /// # Errors
    /// When the text around it cannot be edited. Nothing is changed then.
    pub fn set(&mut self, path: &[&str], value: Option<Value>) -> Result<(), NotEditable> {
        let mut root = Value::Object(self.root.clone());
        put(&mut root, path, value);
        let Value::Object(root) = root else { return Err(NotEditable::Unsupported) };
        if root == self.root {
            return Ok(());
        }
        let text = edited(self, &root).ok_or(NotEditable::Unsupported)?;
        if meaning(&text).as_ref() != Some(&root) {
            return Err(NotEditable::Unsupported);
        }
        *self = Self { text, root };
        Ok(())
    }
}

fn put(root: &mut Value, path: &[&str], value: Option<Value>) {
    let Some((first, rest)) = path.split_first() else { return };
    if !root.is_object() {
        if value.is_none() {
            return;
        }
        *root = Value::Object(Map::new());
    }
    let Value::Object(members) = root else { return };
    match (rest, value) {
        ([], Some(value)) => drop(members.insert((*first).to_owned(), value)),
        ([], None) => drop(members.shift_remove(*first)),
        (rest, Some(value)) => put(members.entry(*first).or_insert(Value::Null), rest, Some(value)),
        (rest, None) => {
            if let Some(inner) = members.get_mut(*first) {
                put(inner, rest, None);
            }
        }
    }
}

/// What a text says; `None` when it is broken or no mapping. An empty text is an empty mapping.
fn meaning(text: &str) -> Option<Map<String, Value>> {
    let mut report = Report::default();
    let root = tree::parse(text, &mut report);
    report.finish(None).ok()?;
    match root {
        None => Some(Map::new()),
        Some(node) => match Free(node).to_json() {
            Value::Object(members) => Some(members),
            _ => None,
        },
    }
}

fn edited(before: &Document, root: &Map<String, Value>) -> Option<String> {
    let text = before.text.as_str();
    let new = Value::Object(root.clone());
    let Some(node) = span::parse(text).filter(|node| !matches!(node.kind, Kind::Scalar { .. })) else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Some(format!("{text}{gap}{}", write::block(&new, 0)));
    };
    let mut edits = Edits { text, list: Vec::new() };
    match (&node.kind, root.is_empty()) {
        (Kind::Map { members, is_flow: false }, true) => {
            for member in members {
                let range = edits.lines(member.key_span.start, member.end())?;
                edits.list.push((range, String::new()));
            }
        }
        _ => edits.merge(&node, Some(&Value::Object(before.root.clone())), &new)?,
    }
    Some(edits.apply())
}

/// Replacements of parts of a text, in no order and without overlap.
struct Edits<'a> {
    text: &'a str,
    list: Vec<(Range<usize>, String)>,
}

impl Edits<'_> {
    fn apply(mut self) -> String {
        // Insertions at one place keep the order in which they were asked for.
        self.list.sort_by_key(|(range, _)| (range.start, range.end));
        let mut result = String::with_capacity(self.text.len());
        let mut at = 0;
        for (range, new) in self.list {
            result.push_str(self.text.get(at..range.start).unwrap_or_default());
            // What is inserted after a last line that has no end.
            if range.start == self.text.len()
                && !result.is_empty()
                && !result.ends_with('\n')
                && new.ends_with('\n')
            {
                result.push('\n');
            }
            result.push_str(&new);
            at = range.end.max(at);
        }
        result.push_str(self.text.get(at..).unwrap_or_default());
        result
    }

    /// Makes a node what it is to be from inside; `None` when it has to be replaced as a whole. `old` is what it means.
    fn merge(&mut self, node: &Node, old: Option<&Value>, new: &Value) -> Option<()> {
        if old == Some(new) || node.value().as_ref() == Some(new) {
            return Some(());
        }
        match (&node.kind, new) {
            (Kind::Scalar { style, .. }, _) if !write::is_block(new) => {
                let is_one_line = matches!(
                    style,
                    ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted
                );
                (is_one_line && !node.span.is_empty())
                    .then(|| self.list.push((node.span.clone(), write::like(new, *style))))
            }
            (Kind::Map { members, is_flow: false }, Value::Object(new)) if !new.is_empty() => {
                self.merge_members(members, old, new)
            }
            (Kind::List { items, is_flow: false }, Value::Array(new)) if !new.is_empty() => {
                self.merge_items(items, old, new)
            }
            (Kind::List { is_flow: true, .. } | Kind::Map { is_flow: true, .. }, _) if !is_long(new) => {
                self.list.push((node.span.clone(), write::inline(new)));
                Some(())
            }
            _ => None,
        }
    }

    fn merge_members(
        &mut self,
        members: &[Member],
        old: Option<&Value>,
        new: &Map<String, Value>,
    ) -> Option<()> {
        let column = self.column(members.first()?.key_span.start);
        let mut n_kept = 0;
        for member in members {
            match new.get(&member.key) {
                Some(value) => {
                    n_kept += 1;
                    self.merge_member(member, old.and_then(|old| old.get(&member.key)), value, column)?;
                }
                // A merge key stands for members that are somewhere else.
                None if member.key == "<<" => n_kept += 1,
                None => {
                    let range = self.lines(member.key_span.start, member.end())?;
                    self.list.push((range, String::new()));
                }
            }
        }
        if n_kept == 0 {
            return None;
        }
        let last = members.last()?;
        let end = self.line_end(last.end());
        let has_merge = members.iter().any(|member| member.key == "<<");
        for (name, value) in new {
            if !members.iter().any(|member| member.key == *name) && !has_merge {
                self.list.push((end..end, write::member(name, value, column)));
            }
        }
        Some(())
    }

    fn merge_member(
        &mut self,
        member: &Member,
        old: Option<&Value>,
        new: &Value,
        column: usize,
    ) -> Option<()> {
        let mark = self.list.len();
        if self.merge(&member.value, old, new).is_some() {
            return Some(());
        }
        self.list.truncate(mark);
        self.replace_member(member, new, column)
    }

    /// Replaces a member's value and leaves a comment behind the key where it is.
    fn replace_member(&mut self, member: &Member, new: &Value, column: usize) -> Option<()> {
        let after_key = member.key_span.end + self.text.get(member.key_span.end..)?.find(':')? + 1;
        let value = &member.value;
        let key_line_end = self.line_end(after_key);
        if value.end() == value.span.start {
            // Nothing is written; the place that is told for it may be anywhere.
        } else if value.span.start >= key_line_end {
            // The value has lines of its own.
            let start = self.line_start(value.span.start);
            self.list.push((start..self.line_end(value.end()), String::new()));
        } else {
            let is_spaced = self.text.get(after_key..value.span.start)?.trim().is_empty();
            let start = if is_spaced { after_key } else { value.span.start };
            if value.end() > key_line_end {
                return None;
            }
            self.list.push((start..value.end(), String::new()));
        }
        if write::is_block(new) {
            self.list.push((key_line_end..key_line_end, write::block(new, column + 2)));
        } else {
            self.list.push((after_key..after_key, format!(" {}", write::inline(new))));
        }
        Some(())
    }

    fn merge_items(&mut self, items: &[Node], old: Option<&Value>, new: &[Value]) -> Option<()> {
        let first = self.dash(items.first()?)?;
        let column = self.column(first);
        let mut at = self.line_start(first);
        let meant = old;
        for step in align::align(items, new) {
            match step {
                align::Step::Keep(old) => at = self.line_end(items.get(old)?.end()),
                align::Step::Change(old, index) => {
                    let meant = meant.and_then(|list| list.get(old));
                    let (old, value) = (items.get(old)?, new.get(index)?);
                    let mark = self.list.len();
                    if self.merge(old, meant, value).is_none() {
                        self.list.truncate(mark);
                        let range = self.lines(self.dash(old)?, old.end())?;
                        self.list.push((range, write::item(value, column)));
                    }
                    at = self.line_end(old.end());
                }
                align::Step::Remove(old) => {
                    let old = items.get(old)?;
                    let range = self.lines(self.dash(old)?, old.end())?;
                    at = range.end;
                    self.list.push((range, String::new()));
                }
                align::Step::Insert(index) => {
                    self.list.push((at..at, write::item(new.get(index)?, column)));
                }
            }
        }
        Some(())
    }

    /// The dash in front of an item.
    fn dash(&self, item: &Node) -> Option<usize> {
        let before = self.text.get(..item.span.start)?;
        let dash = before.trim_end().len().checked_sub(1)?;
        (self.text.as_bytes().get(dash) == Some(&b'-')).then_some(dash)
    }

    /// Whole lines from one byte to another; `None` when something else begins on the first one.
    fn lines(&self, start: usize, end: usize) -> Option<Range<usize>> {
        let from = self.line_start(start);
        self.text.get(from..start)?.trim().is_empty().then(|| from..self.line_end(end))
    }

    fn line_start(&self, at: usize) -> usize {
        self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
    }

    /// Where the line that a value ends on is over.
    fn line_end(&self, end: usize) -> usize {
        // A block scalar ends with its line.
        if end > 0 && self.text.as_bytes().get(end - 1) == Some(&b'\n') {
            return end;
        }
        self.text
            .get(end..)
            .and_then(|rest| rest.find('\n'))
            .map_or(self.text.len(), |newline| end + newline + 1)
    }

    fn column(&self, at: usize) -> usize {
        at - self.line_start(at)
    }
}

/// Whether a value that stood in brackets is better written over lines.
fn is_long(value: &Value) -> bool {
    write::inline(value).len() > 100
}

#[cfg(test)]
mod tests;
