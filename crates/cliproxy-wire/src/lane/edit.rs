//! What is changed in a frame or body of an answer: the model's name, the Code Assist envelope, and the usage chunk
//! that the gateway asked for.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use crate::format::Format;
use crate::json::{self, Kind, Reader};

/// The changes; without any the bytes are passed on as they come.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The name to write wherever the answer names the model.
    pub model: Option<String>,
    /// Chat: the usage chunk goes, the client did not ask for it.
    pub hides_usage: bool,
    /// Gemini: what becomes of the Code Assist envelope.
    pub envelope: AnswerEnvelope,
    /// Gemini: server-sent events (`Some(true)`) or one array (`Some(false)`) for the client, whatever the upstream
    /// sends; `None` passes on the upstream's choice.
    pub is_sse: Option<bool>,
    /// Responses: an end that leaves out the items of its stream gets them back.
    pub restores_output: bool,
}

/// What becomes of the envelope around chunks and bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerEnvelope {
    /// It stays as it is, or there is none.
    #[default]
    Keep,
    /// The client expects one and the upstream sends none.
    Wrap,
    /// The upstream sends one and the client expects none.
    Unwrap,
}

impl Changes {
    /// Whether single values are changed.
    pub(super) fn has_edits(&self) -> bool {
        self.model.is_some()
            || self.hides_usage
            || self.restores_output
            || self.envelope != AnswerEnvelope::Keep
    }

    /// The data of a frame, changed; `None` when it is to be left out.
    pub(super) fn frame<'d>(&self, format: Format, data: &'d str) -> Option<Cow<'d, str>> {
        if self.hides_usage && format == Format::Chat && is_usage_chunk(data) {
            return None;
        }
        Some(self.apply(format, data, format == Format::Chat))
    }

    /// A whole body, changed.
    pub(super) fn body<'d>(&self, format: Format, body: &'d str) -> Cow<'d, str> {
        self.apply(format, body, true)
    }

    /// Bodies, and the frames of Chat, name the model themselves; other frames in what they carry.
    fn apply<'d>(&self, format: Format, data: &'d str, names_itself: bool) -> Cow<'d, str> {
        let mut text = Cow::Borrowed(data);
        if self.envelope == AnswerEnvelope::Unwrap
            && let Some(inner) = json::member(data, "response")
        {
            text = Cow::Borrowed(inner);
        }
        if let Some(name) = &self.model
            && let Some(range) = model(format, &text, names_itself)
        {
            let mut out = Vec::with_capacity(text.len() + name.len());
            out.extend_from_slice(text.get(..range.start).unwrap_or_default().as_bytes());
            json::string(&mut out, name);
            out.extend_from_slice(text.get(range.end..).unwrap_or_default().as_bytes());
            text = String::from_utf8(out).unwrap_or_default().into();
        }
        if self.envelope == AnswerEnvelope::Wrap && text.trim_start().starts_with('{') && !is_error(&text) {
            text = format!("{{\"response\":{}}}", text.trim()).into();
        }
        text
    }
}

fn has(text: &str, needle: &str) -> bool {
    memmem::find(text.as_bytes(), needle.as_bytes()).is_some()
}

fn is_error(text: &str) -> bool {
    has(text, "\"error\"") && json::member(text, "error").is_some()
}

/// A chunk that carries usage and no choice.
fn is_usage_chunk(data: &str) -> bool {
    has(data, "\"usage\"")
        && json::member(data, "usage").is_some_and(|usage| usage.starts_with('{'))
        && json::member(data, "choices")
            .is_some_and(|choices| choices.trim_start_matches('[').trim_start().starts_with(']'))
}

/// Where the answer names its model.
fn model(format: Format, text: &str, names_itself: bool) -> Option<Range<usize>> {
    let key = if format == Format::Gemini { "\"modelVersion\"" } else { "\"model\"" };
    if !has(text, key) {
        return None;
    }
    let mut found = None;
    let mut reader = Reader::new(text);
    let name = |value: &mut Reader<'_>, found: &mut Option<Range<usize>>| {
        if value.kind() == Kind::String {
            let start = value.position();
            value.skip()?;
            *found = Some(start..value.position());
        }
        Ok(())
    };
    reader
        .object(|outer, value| match (format, outer) {
            (Format::Gemini, "modelVersion") => name(value, &mut found),
            (Format::Chat | Format::Responses | Format::Claude, "model") if names_itself => {
                name(value, &mut found)
            }
            (Format::Gemini | Format::Responses, "response") | (Format::Claude, "message")
                if value.kind() == Kind::Object =>
            {
                value.object(|inner, value| match (format, inner) {
                    (Format::Gemini, "modelVersion") | (Format::Responses | Format::Claude, "model") => {
                        name(value, &mut found)
                    }
                    _ => Ok(()),
                })
            }
            _ => Ok(()),
        })
        .ok()?;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(format: Format, data: &str) -> String {
        let changes = Changes { model: Some("mine".to_owned()), ..Changes::default() };
        changes.frame(format, data).unwrap().into_owned()
    }

    #[test]
    fn the_model_is_renamed_where_the_format_names_it_and_nowhere_else() {
        for (format, data, expected) in [
            (
                Format::Chat,
                r#"{"id":1.0, "model" : "a","x":{"model":"b"}}"#,
                r#"{"id":1.0, "model" : "mine","x":{"model":"b"}}"#,
            ),
            (
                Format::Claude,
                r#"{"type":"message_start","message":{"model":"a","content":[{"model":"b"}]}}"#,
                r#"{"type":"message_start","message":{"model":"mine","content":[{"model":"b"}]}}"#,
            ),
            (
                Format::Responses,
                r#"{"response":{"tools":[{"model":"gpt-image"}],"model":"a"}}"#,
                r#"{"response":{"tools":[{"model":"gpt-image"}],"model":"mine"}}"#,
            ),
            (
                Format::Gemini,
                r#"{"response":{"modelVersion":"a"}}"#,
                r#"{"response":{"modelVersion":"mine"}}"#,
            ),
            (Format::Gemini, r#"{"modelVersion":"a"}"#, r#"{"modelVersion":"mine"}"#),
            (Format::Chat, r#"{"model":null}"#, r#"{"model":null}"#),
            (Format::Chat, r#"{"model":"cut"#, r#"{"model":"cut"#),
        ] {
            assert_eq!(renamed(format, data), expected);
        }
    }

    #[test]
    fn only_a_chunk_with_usage_alone_is_left_out() {
        let changes = Changes { hides_usage: true, ..Changes::default() };
        assert!(changes.frame(Format::Chat, r#"{"choices":[ ],"usage":{"prompt_tokens":1}}"#).is_none());
        for kept in [
            r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}"#,
            r#"{"choices":[],"usage":null}"#,
            r#"{"choices":[],"prompt_filter_results":[]}"#,
        ] {
            assert_eq!(changes.frame(Format::Chat, kept).unwrap(), kept);
        }
    }

    #[test]
    fn envelopes_are_put_on_and_taken_off() {
        let wrap = Changes { envelope: AnswerEnvelope::Wrap, ..Changes::default() };
        assert_eq!(wrap.frame(Format::Gemini, "{\"a\":1.0}").unwrap(), "{\"response\":{\"a\":1.0}}");
        assert_eq!(wrap.frame(Format::Gemini, "{\"error\":{}}").unwrap(), "{\"error\":{}}");
        let unwrap =
            Changes { envelope: AnswerEnvelope::Unwrap, model: Some("m".to_owned()), ..Changes::default() };
        assert_eq!(
            unwrap
                .frame(Format::Gemini, r#"{"response":{"a":1e3,"modelVersion":"x"},"traceId":"t"}"#)
                .unwrap(),
            r#"{"a":1e3,"modelVersion":"m"}"#
        );
        assert_eq!(unwrap.frame(Format::Gemini, "{\"error\":{}}").unwrap(), "{\"error\":{}}");
    }
}
