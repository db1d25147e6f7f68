//! Members written into a document's own text.

use bytes::Bytes;
use cliproxy_wire::json::Raw;
use cliproxy_wire::json::patch::{Edit, Path, apply};

use crate::oauth::Changes;

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
