//! What can be wrong with a body that the codecs read or are asked to write.
//!
//! These errors know JSON paths, expectations and remedies; they know nothing of HTTP. What an *upstream* reports is
//! a [`crate::fault::Fault`]; `From<Error>` turns ours into one, because to a client both look alike.

use std::fmt;

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
        Self::malformed(format!("required, as {form}")).under_key(member)
    }

    /// The upstream has no equivalent. `message` names the upstream and the remedy. An empty path is the value itself.
    pub fn unsupported(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message.into()).under_path(&path.into())
    }

    /// A contradiction or a value out of range. An empty path is the value itself.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message.into()).under_path(&path.into())
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
