//! Results of calls, as the client tells them.

use crate::gemini::part::{self, CallResult, whole_text};
use crate::json::{Kind, Raw, Reader};
use crate::model::{Block, CallKind, Content, Ext, Text, ToolResult};
use std::borrow::Cow;

use super::native;

pub(super) fn tool_result(result: CallResult<'_>) -> ToolResult {
    let mut content = Vec::new();
    let mut structured = None;
    let mut is_error = None;
    if let Some(response) = result.response {
        let said = read_response(response);
        if !said.text.is_empty() {
            content.push(Block::text(&*said.text));
        }
        is_error = said.is_error.then_some(true);
        structured = said.is_object.then(|| Raw::new(response));
    }
    for part in result.blobs {
        let mut ext = Ext::new();
        if let Some(resolution) = part.resolution {
            ext.set("mediaResolution", Raw::new(resolution));
        }
        let content_of_part = match (part.blob, part.text) {
            (Some(blob), _) => part::media(blob, part.clip, part.resolution),
            (None, Some(text)) => Content::Text(Text::new(&*whole_text(text))),
            (None, None) => Content::Native(native(part.whole.raw())),
        };
        content.push(Block { content: content_of_part, cache: None, ext });
    }
    let native = (!result.rest.is_empty()).then(|| {
        native(Raw::object(|object| {
            for (name, value) in &result.rest {
                object.raw(name, value);
            }
        }))
    });
    ToolResult {
        call_id: result.id.as_deref().unwrap_or_default().into(),
        name: result.name.as_deref().map(Into::into),
        kind: CallKind::Function,
        content,
        structured,
        is_error,
        native,
    }
}

struct Said<'a> {
    text: Cow<'a, str>,
    is_error: bool,
    is_object: bool,
}

/// What a `response` says in words: the one text it consists of, or else its JSON.
fn read_response(response: &str) -> Said<'_> {
    let mut reader = Reader::new(response);
    if reader.kind() != Kind::Object {
        return Said { text: text_of(response), is_error: false, is_object: false };
    }
    let mut count = 0;
    let mut only: Option<(bool, &str)> = None;
    let _checked = reader.object(|name, value| {
        count += 1;
        let value = value.raw()?;
        let is_error = name == "error";
        if is_error || (matches!(name, "output" | "result" | "content") && value.starts_with('"')) {
            only = Some((is_error, value));
        }
        Ok(())
    });
    match only {
        Some((is_error, value)) if count == 1 => Said { text: text_of(value), is_error, is_object: true },
        _ => Said { text: response.into(), is_error: false, is_object: true },
    }
}

/// A JSON string's text, or the JSON of anything else.
fn text_of(json: &str) -> Cow<'_, str> {
    let mut reader = Reader::new(json);
    match reader.kind() {
        Kind::String => reader.str().unwrap_or(Cow::Borrowed(json)),
        Kind::Null => Cow::Borrowed(""),
        _ => Cow::Borrowed(json),
    }
}
