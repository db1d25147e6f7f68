//! Members written into a document's own text.

use std::fmt;

use bytes::Bytes;
use cliproxy_wire::json::Raw;
use cliproxy_wire::json::patch::{Edit, Path, apply};
use serde_json::Value;

/// Members of an auth file to write or remove, in order. Names are paths, outermost first (`["token", "expiry"]`).
#[derive(Clone, Default, PartialEq)]
pub struct Changes(Vec<(Vec<String>, Option<Value>)>);

impl Changes {
    /// Writes a member of the top level.
    #[must_use]
    pub fn set(self, name: &str, value: impl Into<Value>) -> Self {
        self.set_at(&[name], value)
    }

    /// Writes a member at a path.
    #[must_use]
    pub fn set_at(mut self, path: &[&str], value: impl Into<Value>) -> Self {
        self.0.push((path.iter().map(|&name| name.to_owned()).collect(), Some(value.into())));
        self
    }

    /// Writes a member unless the answer left it out: what an identity provider does not mention stays as it is.
    #[must_use]
    pub fn set_if_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Removes a member of the top level.
    #[must_use]
    pub fn remove(mut self, name: &str) -> Self {
        self.0.push((vec![name.to_owned()], None));
        self
    }

    /// These changes, then those.
    #[must_use]
    pub fn and(mut self, then: Self) -> Self {
        self.0.extend(then.0);
        self
    }

    /// What is written or removed, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[String], Option<&Value>)> {
        self.0.iter().map(|(path, value)| (path.as_slice(), value.as_ref()))
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are tokens; names are enough.
        f.debug_list().entries(self.0.iter().map(|(path, _)| path.join("."))).finish()
    }
}

/// The document with `changes` made; `None` when it is no JSON object.
pub fn patched(content: &Bytes, changes: &Changes) -> Option<Bytes> {
    let text = std::str::from_utf8(content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content)).ok()?;
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let edits: Vec<Edit> = changes
        .iter()
        .map(|(path, value)| {
            let path = path.iter().fold(Path::default(), Path::key);
            match value {
                Some(value) => Edit::set(path, Raw::new(value.to_string())),
                None => Edit::remove(path),
            }
        })
        .collect();
    let changed = apply(text, &edits).ok()?.into_owned();
    Some(changed.into())
}
