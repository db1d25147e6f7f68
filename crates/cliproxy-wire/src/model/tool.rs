//! Tools that are offered, and the choice among them.

use crate::json::Raw;

use super::{CacheMark, Ext, HostedKind, Native, Str};

/// A tool offered to the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function with JSON arguments; the client executes it.
    Function {
        /// Name.
        name: Str,
        /// Responses namespace it came from.
        namespace: Option<Str>,
        /// Description.
        description: Option<Str>,
        /// JSON Schema of the arguments (for a Gemini client that sent the OpenAPI form: already converted).
        schema: Option<Raw>,
        /// Strict mode as said by the source.
        strict: Option<bool>,
        /// Cache mark behind this tool.
        cache: Option<CacheMark>,
        /// A typed client-executed tool of its own format (`bash_20250124`, `local_shell` …).
        native: Option<Native>,
        /// Other members.
        ext: Ext,
    },
    /// A free-form tool: the argument is plain text.
    Custom {
        /// Name.
        name: Str,
        /// Description.
        description: Option<Str>,
        /// Format of the text.
        format: CustomFormat,
        /// Other members.
        ext: Ext,
    },
    /// A tool that the provider executes.
    Hosted {
        /// Which.
        kind: HostedKind,
        /// What all formats that have the tool understand: `{"allowed_domains","blocked_domains","user_location",
        /// "max_uses","search_context_size"}`, members as available.
        parameters: Raw,
        /// The tool object as received. With `format` Gemini on a foreign request it is a verbatim Google tool.
        native: Native,
        /// Cache mark behind this tool.
        cache: Option<CacheMark>,
    },
}

impl Tool {
    /// The name by which the model calls it, where it has one.
    pub fn name(&self) -> Option<&Str> {
        match self {
            Self::Function { name, .. } | Self::Custom { name, .. } => Some(name),
            Self::Hosted { .. } => None,
        }
    }
}

/// Formats of a free-form tool's text.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomFormat {
    /// Any text.
    Text,
    /// Text that a grammar describes.
    Grammar {
        /// `lark` or `regex`.
        syntax: Str,
        /// The grammar.
        definition: Str,
    },
}

/// Kinds of client-executed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// JSON arguments.
    Function,
    /// Plain text.
    Custom,
}

/// Arguments of a call, always as the text that was received: identifiers above 2^53 survive only so.
#[derive(Clone, Debug, PartialEq)]
pub enum Arguments {
    /// Meant to be a JSON object; may be empty or broken when the source was.
    Json(Str),
    /// Input of a free-form tool.
    Text(Str),
}

impl Arguments {
    /// The text of either kind, shared.
    pub fn text(&self) -> &Str {
        match self {
            Self::Json(text) | Self::Text(text) => text,
        }
    }

    /// The text of either kind.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json(text) | Self::Text(text) => text,
        }
    }
}

/// The client's choice among the tools.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// This tool.
    Named {
        /// Its name.
        name: Str,
        /// Its kind.
        kind: CallKind,
    },
    /// Only these tools.
    Allowed {
        /// True when one of them must be called.
        is_required: bool,
        /// Their names.
        names: Vec<(CallKind, Str)>,
    },
    /// This provider-executed tool.
    Hosted(HostedKind),
    /// Something only its own format understands.
    Native(Native),
}
