//! Finding the spans that edits replace, and putting the text together again.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use memchr::memchr;

use super::{Change, Step};
use crate::Error;
use crate::json::{Kind, Reader, string};

/// An index further behind the end of an array than this is a mistake, not a wish for that many `null`s.
const MAX_GAP: usize = 1024;

/// Edits by place.
#[derive(Debug, Default)]
pub(super) struct Node<'e> {
    change: Option<&'e Change>,
    children: Vec<(&'e Step, Self)>,
}

impl<'e> Node<'e> {
    pub(super) fn plant(&mut self, steps: &'e [Step], change: &'e Change) {
        let Some((step, rest)) = steps.split_first() else {
            self.change = Some(change);
            return;
        };
        let at = self.children.iter().position(|(known, _)| *known == step).unwrap_or_else(|| {
            self.children.push((step, Node::default()));
            self.children.len() - 1
        });
        if let Some((_, child)) = self.children.get_mut(at) {
            child.plant(rest, change);
        }
    }

    /// The value that stands where nothing was; `None` when the edits only take away.
    fn build(&self) -> Option<String> {
        match self.change {
            Some(Change::Set(value) | Change::SetDefault(value)) => return Some(value.as_str().to_owned()),
            Some(Change::Remove | Change::Rename(_)) => return None,
            None => {}
        }
        let is_array = matches!(self.children.first(), Some((Step::Index(_) | Step::Append, _)));
        let inside = if is_array {
            self.elements(0, true)
        } else {
            let mut inside = String::new();
            for (step, child) in &self.children {
                if let Some(value) = child.build() {
                    add_member(&mut inside, &step.name(), &value);
                }
            }
            inside
        };
        if inside.is_empty() {
            return None;
        }
        Some(if is_array { format!("[{inside}]") } else { format!("{{{inside}}}") })
    }

    /// The elements that come behind the `length` existing ones, separated by commas.
    fn elements(&self, length: usize, is_empty: bool) -> String {
        let mut indexed: Vec<_> = self
            .children
            .iter()
            .filter_map(|(step, child)| match step {
                Step::Index(index) if *index >= length => Some((*index, child)),
                Step::Append => Some((usize::MAX, child)),
                _ => None,
            })
            .collect();
        indexed.sort_by_key(|(index, _)| *index);
        let mut inside = String::new();
        let mut next = length;
        for (index, child) in indexed {
            let gap = if index == usize::MAX { 0 } else { index - next };
            let Some(value) = child.build().filter(|_| gap <= MAX_GAP) else { continue };
            for value in std::iter::repeat_n("null", gap).chain(Some(&*value)) {
                if !(inside.is_empty() && is_empty) {
                    inside.push(',');
                }
                inside.push_str(value);
            }
            next += gap + 1;
        }
        inside
    }
}

fn add_member(inside: &mut String, name: &str, value: &str) {
    if !inside.is_empty() {
        inside.push(',');
    }
    inside.push_str(&quoted(name));
    inside.push(':');
    inside.push_str(value);
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    string(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// The spans of one text that are replaced.
#[derive(Debug)]
pub(super) struct Splices<'t> {
    text: &'t str,
    found: Vec<(Range<usize>, Cow<'t, str>)>,
}

/// A member or element as it stands in the text.
#[derive(Debug)]
struct Entry<'t> {
    /// Decoded name; empty for elements.
    name: Cow<'t, str>,
    /// From the name, or the value of an element, to the end of the value.
    span: Range<usize>,
    is_gone: bool,
}

impl<'t> Splices<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new() }
    }

    fn replace(&mut self, span: Range<usize>, with: &str) {
        if self.text.get(span.clone()) != Some(with) {
            self.found.push((span, Cow::Owned(with.to_owned())));
        }
    }

    /// Reads the value at the reader and notes what `node` changes in it. Removing and renaming is up to the parent.
    pub(super) fn value(&mut self, reader: &mut Reader<'t>, node: &Node<'_>) -> Result<(), Error> {
        let kind = reader.kind();
        let start = reader.position();
        if let Some(change) = node.change {
            reader.skip()?;
            if let Change::Set(value) = change {
                self.replace(start..reader.position(), value.as_str());
            }
            return Ok(());
        }
        match kind {
            _ if node.children.is_empty() => reader.skip(),
            Kind::Object => self.object(reader, node, start),
            Kind::Array => self.array(reader, node, start),
            _ => {
                reader.skip()?;
                if let Some(value) = node.build() {
                    self.replace(start..reader.position(), &value);
                }
                Ok(())
            }
        }
    }

    fn object(&mut self, reader: &mut Reader<'t>, node: &Node<'_>, start: usize) -> Result<(), Error> {
        let before = self.found.len();
        let names: Vec<_> = node.children.iter().map(|(step, child)| (step.name(), child)).collect();
        let mut entries: Vec<Entry<'t>> = Vec::new();
        let mut from = start + 1;
        reader.object(|name, value| {
            let rest = self.text.as_bytes().get(from..).unwrap_or_default();
            let name_start = from + memchr(b'"', rest).unwrap_or_default();
            if let Some((_, child)) = names.iter().find(|(wanted, _)| *wanted == name) {
                for earlier in entries.iter().filter(|entry| entry.name == name) {
                    self.found.retain(|(span, _)| !(earlier.span.contains(&span.start)));
                }
                self.value(value, child)?;
            } else {
                value.pass_over()?;
            }
            from = value.position();
            entries.push(Entry { name: name.to_owned().into(), span: name_start..from, is_gone: false });
            Ok(())
        })?;

        let mut is_changed = self.found.len() > before;
        let mut added = String::new();
        for (name, child) in &names {
            let is_known = |wanted: &str| entries.iter().any(|entry| entry.name == wanted);
            if !is_known(name) {
                if let Some(value) = child.build() {
                    add_member(&mut added, name, &value);
                }
                continue;
            }
            let is_removed = match child.change {
                Some(Change::Remove) => true,
                Some(Change::Rename(new)) if new == name => continue,
                Some(Change::Rename(new)) => {
                    let is_taken = is_known(new);
                    if !is_taken && let Some(entry) = entries.iter().rfind(|entry| entry.name == *name) {
                        let mut old = Reader::new(self.text.get(entry.span.clone()).unwrap_or_default());
                        old.skip()?;
                        let span = entry.span.start..entry.span.start + old.position();
                        self.replace(span, &quoted(new));
                        is_changed = true;
                    }
                    is_taken
                }
                _ => continue,
            };
            if is_removed {
                entries.iter_mut().filter(|entry| entry.name == *name).for_each(|entry| entry.is_gone = true);
                is_changed = true;
            }
        }
        if is_changed || !added.is_empty() {
            let mut seen = HashSet::new();
            for entry in entries.iter_mut().rev() {
                entry.is_gone |= !seen.insert(entry.name.clone());
            }
        }
        self.close(&entries, start, &added);
        Ok(())
    }

    fn array(&mut self, reader: &mut Reader<'t>, node: &Node<'_>, start: usize) -> Result<(), Error> {
        let mut entries: Vec<Entry<'t>> = Vec::new();
        reader.array(|index, value| {
            let child = node.children.iter().find(|(step, _)| **step == Step::Index(index));
            let start = value.position();
            let mut is_gone = false;
            match child {
                Some((_, child)) => {
                    is_gone = matches!(child.change, Some(Change::Remove));
                    self.value(value, child)?;
                }
                None => value.pass_over()?,
            }
            entries.push(Entry { name: Cow::Borrowed(""), span: start..value.position(), is_gone });
            Ok(())
        })?;
        let removes_last = |(step, child): &&(&Step, Node<'_>)| {
            **step == Step::Append && matches!(child.change, Some(Change::Remove))
        };
        if node.children.iter().any(|child| removes_last(&child))
            && let Some(last) = entries.last_mut()
        {
            last.is_gone = true;
        }
        let added = node.elements(entries.len(), true);
        self.close(&entries, start, &added);
        Ok(())
    }

    /// Notes what is taken out of a container, with the right commas, and what is added at its end.
    fn close(&mut self, entries: &[Entry<'_>], start: usize, added: &str) {
        let mut kept_end = None;
        for (at, entry) in entries.iter().enumerate() {
            if !entry.is_gone {
                kept_end = Some(entry.span.end);
                continue;
            }
            // What was edited inside goes too.
            self.found.retain(|(span, _)| !(entry.span.contains(&span.start)));
            let previous = at.checked_sub(1).and_then(|at| entries.get(at));
            let span = match (kept_end, previous, entries.get(at + 1)) {
                (Some(_), Some(previous), _) => previous.span.end..entry.span.end,
                (_, _, Some(next)) => entry.span.start..next.span.start,
                _ => entry.span.clone(),
            };
            self.found.push((span, Cow::Borrowed("")));
        }
        if added.is_empty() {
            return;
        }
        match kept_end {
            Some(end) => self.found.push((end..end, Cow::Owned(format!(",{added}")))),
            None => self.found.push((start + 1..start + 1, Cow::Owned(added.to_owned()))),
        }
    }

    /// The text with the spans replaced; `None` when there is nothing to replace.
    pub(super) fn assemble(mut self) -> Option<String> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort_by_key(|(span, _)| (span.start, span.end));
        let growth: usize = self.found.iter().map(|(_, with)| with.len()).sum();
        let mut result = String::with_capacity(self.text.len() + growth);
        let mut at = 0;
        for (span, with) in &self.found {
            result.push_str(self.text.get(at..span.start).unwrap_or_default());
            result.push_str(with);
            at = span.end;
        }
        result.push_str(self.text.get(at..).unwrap_or_default());
        Some(result)
    }
}
