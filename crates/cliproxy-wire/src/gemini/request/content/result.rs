//! Results of calls, as the client tells them.

use crate::gemini::part::{self, CallResult, Words};
use crate::json::{Kind, Raw, Reader};
use crate::model::{Block, CallKind, Content, Ext, Str, Text, ToolResult};

use super::native;

pub(super) fn tool_result(result: CallResult<'_>) -> ToolResult {
    let mut content = Vec::new();
    let mut structured = None;
    let mut is_error = None;
    if let Some(response) = result.response {
        let said = read_response(&response);
        if !said.text.is_empty() {
            content.push(Block::text(said.text));
        }
        is_error = said.is_error.then_some(true);
        structured = said.is_object.then_some(response);
    }
    for part in result.blobs {
        let mut ext = Ext::new();
        if let Some(resolution) = part.resolution {
            ext.set("mediaResolution", Raw::new(resolution));
        }
        let content_of_part = match (part.blob, part.text) {
            (Some(blob), _) => part::media(blob, part.clip, part.resolution),
            (None, Some(text)) => Content::Text(Text::new(Words::whole(text))),
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

struct Said {
    text: Str,
    is_error: bool,
    is_object: bool,
}

/// What a `response` says in words: the one text it consists of, or else its JSON.
fn read_response(response: &Raw) -> Said {
    let mut reader = response.reader();
    if reader.kind() != Kind::Object {
        return Said { text: text_of(&mut reader), is_error: false, is_object: false };
    }
    let mut count = 0;
    let mut only = None;
    let _checked = reader.object(|name, value| {
        count += 1;
        let is_error = name == "error";
        let is_text = matches!(name, "output" | "result" | "content") && value.kind() == Kind::String;
        only = (count == 1 && (is_error || is_text)).then(|| (is_error, text_of(value)));
        Ok(())
    });
    match only {
        Some((is_error, text)) => Said { text, is_error, is_object: true },
        None => Said { text: response.to_str(), is_error: false, is_object: true },
    }
}

/// A string's text, or the JSON of anything else. The value was read without error before.
fn text_of(value: &mut Reader<'_>) -> Str {
    match value.kind() {
        Kind::String => value.kept().unwrap_or_default(),
        Kind::Null => Str::default(),
        _ => value.kept_raw().map(|value| value.to_str()).unwrap_or_default(),
    }
}
