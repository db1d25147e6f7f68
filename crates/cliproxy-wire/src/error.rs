//! What can be wrong with a body that the codecs read or are asked to write.
//!
//! These errors know JSON paths, expectations and remedies; they know nothing of HTTP. What an *upstream* reports is
//! a [`crate::fault::Fault`]; `From<Error>` turns ours into one, because to a client both look alike.

use std::fmt;

use crate::json::{Kind, Reader};

/// How the message of a missing member begins.
const REQUIRED: &str = "required, as ";

/// A body that cannot be read, or that the chosen upstream cannot express.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    message: String,
    /// Innermost first: the path is built while the error travels outwards.
    path: Vec<Segment>,
}

#[derive(Clone, PartialEq, Eq)]
enum Segment {
    Key(String),
    Index(usize),
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not JSON.
    Syntax,
    /// The JSON is not what the format prescribes.
    Malformed,
    /// The body is legal in its own format but has no equivalent at the chosen upstream.
    Unsupported,
    /// The body is legal but contradicts itself or exceeds a limit of the model.
    Invalid,
}

impl Error {
    fn new(kind: ErrorKind, message: String) -> Self {
        Self(Box::new(Inner { kind, message, path: Vec::new() }))
    }

    /// The text is not JSON.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Syntax, message.into())
    }

    /// The JSON is not what the format prescribes.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message.into())
    }

    /// A required member is missing, or was passed over because its type is not the one it must have; the path names it.
    pub fn missing(member: &str) -> Self {
        let form = match member {
            "messages" | "contents" | "requests" => "an array",
            "content" | "input" => "a string or an array",
            "source" | "schema" | "request" | "image_url" | "file" => "an object",
            "max_tokens" => "a whole number",
            _ => "a string",
        };
        Self::malformed(format!("{REQUIRED}{form}")).under_key(member)
    }

    /// The upstream has no equivalent. `message` names the upstream and the remedy. An empty path is the value itself.
    pub fn unsupported(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message.into()).under_path(&path.into())
    }

    /// A contradiction or a value out of range. An empty path is the value itself.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message.into()).under_path(&path.into())
    }

    /// The same error, where it misses what `body` does have there in another type: readers pass over such a member.
    #[must_use]
    pub fn seen_in(mut self, body: &[u8]) -> Self {
        let Some(form) = self.0.message.strip_prefix(REQUIRED) else { return self };
        match self.found(body) {
            Some(found) if found != Kind::Null && !form.contains(found.noun()) => {
                self.0.message = format!("expected {form}, found {}", found.noun());
            }
            _ => {}
        }
        self
    }

    /// What kind of value stands in `body` where the error is.
    fn found(&self, body: &[u8]) -> Option<Kind> {
        let mut place = Reader::from_bytes(body).ok()?;
        for segment in self.0.path.iter().rev() {
            let mut inner = None;
            match segment {
                Segment::Key(wanted) => place.object(|key, value| {
                    if key == wanted {
                        inner = Some(value.clone());
                    }
                    Ok(())
                }),
                Segment::Index(wanted) => place.array(|index, value| {
                    if index == *wanted {
                        inner = Some(value.clone());
                    }
                    Ok(())
                }),
            }
            .ok()?;
            place = inner?;
        }
        Some(place.kind())
    }

    fn under_path(self, path: &str) -> Self {
        if path.is_empty() { self } else { self.under_key(path) }
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong, without the path.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it is wrong, as `messages[3].content`; `None` for the body as a whole.
    pub fn path(&self) -> Option<String> {
        if self.0.path.is_empty() {
            return None;
        }
        let mut path = String::new();
        for segment in self.0.path.iter().rev() {
            match segment {
                Segment::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Segment::Index(index) => {
                    path.push('[');
                    path.push_str(&index.to_string());
                    path.push(']');
                }
            }
        }
        Some(path)
    }

    /// The error, seen from the object that holds the member `key`.
    #[must_use]
    pub fn under_key(mut self, key: &str) -> Self {
        self.0.path.push(Segment::Key(key.to_owned()));
        self
    }

    /// The error, seen from the array that holds the element.
    #[must_use]
    pub fn under_index(mut self, index: usize) -> Self {
        self.0.path.push(Segment::Index(index));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "{path}: {}", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}, {self})", self.0.kind)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use crate::format::{Format, RequestContext, decode_count_request, decode_request};

    fn said(format: Format, body: &str) -> String {
        let path = RequestContext { model: "m", stream: false, ..RequestContext::default() };
        decode_request(format, body.as_bytes(), path).unwrap_err().to_string()
    }

    #[test]
    fn what_has_another_type_is_named_as_what_it_is() {
        for (format, content, expected) in [
            (Format::Chat, r#"{"type":"text","text":5}"#, "text: expected a string, found a number"),
            (Format::Chat, r#"{"type":"redacted_thinking"}"#, "data: required, as a string"),
            (Format::Claude, r#"{"type":"text","text":5}"#, "text: expected a string, found a number"),
            (Format::Claude, r#"{"text":[],"type":"text"}"#, "text: expected a string, found an array"),
            (Format::Claude, r#"{"type":"text","text":null}"#, "text: required, as a string"),
            (
                Format::Claude,
                r#"{"type":"image","source":"x"}"#,
                "source: expected an object, found a string",
            ),
            (
                Format::Claude,
                r#"{"type":"image","source":{"type":"url","url":7}}"#,
                "source.url: expected a string, found a number",
            ),
            (
                Format::Claude,
                r#"{"type":"tool_result","tool_use_id":1}"#,
                "tool_use_id: expected a string, found a number",
            ),
        ] {
            let body = format!(
                r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{content}]}}]}}"#
            );
            assert_eq!(said(format, &body), format!("messages[0].content[0].{expected}"));
        }
        let text = "text: expected a string, found a number";
        let responses =
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":5}]}]}"#;
        assert_eq!(said(Format::Responses, responses), format!("input[0].content[0].{text}"));
        let gemini = r#"{"contents":[{"parts":[{"text":5}]}]}"#;
        assert_eq!(said(Format::Gemini, gemini), format!("contents[0].parts[0].{text}"));
        assert_eq!(said(Format::Claude, r#"{"model":"","messages":[]}"#), "model: required, as a string");

        let count = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":5}]}]}"#;
        let error =
            decode_count_request(Format::Claude, count.as_bytes(), RequestContext::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("messages[0].content[0].{text}"));
    }
}
