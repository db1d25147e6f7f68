//! What the four codecs share: the contexts they are given, the stream traits they implement, what encoding a request
//! gives back.
//!
//! Codecs are pure. Time, ids and names arrive in a context; decoders never see the client's format, encoders never
//! the upstream's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use crate::Error;
use crate::catalog::Caps;
use crate::estimate;
use crate::fault::Fault;
use crate::format::Format;
use crate::model::{Event, Ext, Mode, Owner, Request, Show, Str};
use crate::profile::Profile;
use crate::reasoning::Table;
use crate::schema::Cleaned;
use crate::sse::Frame;

/// What an encoder of answers needs to know of the client's request.
#[derive(Clone, Debug)]
pub struct ClientContext {
    /// Seed of every id that is made.
    pub request_id: Str,
    /// When the request began, in Unix seconds.
    pub created: u64,
    /// The clock, in Unix seconds; only for "completed at".
    pub now: fn() -> u64,
    /// The model as the client wrote it.
    pub requested_model: Str,
    /// True when the gateway changed the name on the way (alias, prefix, suffix): then the client's own string is
    /// echoed, else what the upstream reports.
    pub echoes_requested_model: bool,
    /// Chat: a usage chunk ends the stream.
    pub include_usage: bool,
    /// What the client is shown of reasoning; already resolved from wish and format default (E.8).
    pub show: Show,
    /// Claude: thinking was asked for with its text left out, so its blocks come empty but signed.
    pub is_thinking_omitted: bool,
    /// Chat: `function_call` instead of `tool_calls`.
    pub is_legacy_functions: bool,
    /// Chat: the member that carries reasoning text.
    pub reasoning_field: ReasoningField,
    /// Claude: the client declared a web search tool of its own format.
    pub declares_web_search: bool,
    /// Claude: the client declared a code execution tool of its own format.
    pub declares_code_execution: bool,
    /// Responses: request members to echo. Pieces of the request's body unless [`detached`](Self::detached).
    pub echo: Ext,
    /// Responses: `include`.
    pub include: BTreeSet<Str>,
    /// Local estimate of the input, for Claude's `message_start` when the upstream says nothing yet.
    pub input: Option<estimate::Input>,
    /// Gemini: server-sent events (`alt=sse`) instead of a JSON array.
    pub is_sse: bool,
    /// Gemini: every chunk wrapped as Code Assist does.
    pub is_enveloped: bool,
}

impl ClientContext {
    /// The context of a decoded request.
    pub fn new(request: &Request, request_id: impl Into<Str>, created: u64) -> Self {
        use crate::model::{HostedKind, Tool};
        let declares = |wanted: HostedKind| {
            request.tools.iter().any(|tool| {
                matches!(tool, Tool::Hosted { kind, native, .. } if *kind == wanted && native.format == Format::Claude)
            })
        };
        let display = request.reasoning.as_ref().and_then(|wish| wish.ext.get("display"));
        Self {
            request_id: request_id.into(),
            created,
            now: || 0,
            requested_model: request.model.as_str().into(),
            echoes_requested_model: false,
            include_usage: request.include_usage,
            show: crate::reasoning::visibility(request),
            is_thinking_omitted: request.origin == Format::Claude
                && display.is_some_and(|display| display.as_str() == "\"omitted\""),
            is_legacy_functions: request.is_legacy_functions,
            reasoning_field: ReasoningField::Content,
            declares_web_search: declares(HostedKind::WebSearch),
            declares_code_execution: declares(HostedKind::CodeExecution),
            echo: request.echo.clone(),
            include: request.include.clone(),
            input: None,
            is_sse: true,
            is_enveloped: false,
        }
    }

    /// The same for a stream, which may go on for hours: keeps no body alive.
    #[must_use]
    pub fn detached(self) -> Self {
        Self { echo: self.echo.detached(), ..self }
    }

    /// The model name to write, given what the upstream reported.
    pub fn model<'a>(&'a self, reported: Option<&'a str>) -> &'a str {
        if self.echoes_requested_model {
            return &self.requested_model;
        }
        reported.filter(|name| !name.is_empty()).unwrap_or(&self.requested_model)
    }
}

/// Chat member that carries reasoning text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningField {
    /// `reasoning_content`
    Content,
    /// `reasoning`
    Reasoning,
    /// Both.
    Both,
    /// Neither.
    None,
}

/// What a decoder of answers needs to know of the upstream.
#[derive(Clone, Debug)]
pub struct UpstreamContext {
    /// Seed of ids that the upstream leaves out.
    pub request_id: Str,
    /// Whose opaque state comes.
    pub owner: Owner,
    /// Credential scope that opaque state is bound to.
    pub scope: Option<Str>,
    /// Chat: leading `<think>` is reasoning.
    pub has_think_tags: bool,
    /// The status the upstream answered with, for errors inside.
    pub status: u16,
}

impl UpstreamContext {
    /// A context for a profile.
    pub fn new(profile: &Profile, request_id: impl Into<Str>) -> Self {
        Self {
            request_id: request_id.into(),
            owner: profile.owner,
            scope: None,
            has_think_tags: profile.has_think_tags,
            status: 200,
        }
    }
}

/// Turns frames of an upstream stream into events. See [`crate::model`] for the contract of the events.
pub trait StreamDecoder: Send + fmt::Debug {
    /// Reads one frame; after `End` or `Error` was given out, frames are ignored.
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>);
    /// The stream is over: cleanly (`None`), or broken for the given reason (reset, idle timeout). Gives out `End` or
    /// `Error` unless that has happened.
    fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Event>);
}

/// Turns events into the bytes of a client stream.
pub trait StreamEncoder: Send + fmt::Debug {
    /// Writes one event.
    fn event(&mut self, event: Event, out: &mut Vec<u8>);
    /// Writes a sign of life that this client bears.
    fn keep_alive(&mut self, out: &mut Vec<u8>);
}

/// Everything an encoder of requests needs to know of where the request goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The upstream's dialect.
    pub profile: &'a Profile,
    /// What the model can do.
    pub caps: &'a Caps,
    /// The model's name at the upstream.
    pub model: &'a str,
    /// Reasoning from the model name's suffix; wins over the body.
    pub suffix: Option<Mode>,
    /// Whether to stream. May differ from the client's wish (fold, unfold).
    pub stream: bool,
    /// Scope of the credential, for opaque state bound to it.
    pub scope: Option<&'a str>,
    /// What to do with what the target cannot express.
    pub strictness: Strictness,
    /// Levels and budgets.
    pub table: &'a Table,
    /// Cleaned schemas from earlier requests.
    pub schemas: &'a Cleaned,
    /// Reasoning state remembered for clients that drop it; see [`crate::opaque::Memory`].
    pub memory: Option<&'a dyn crate::opaque::Memory>,
    /// What an upstream rejection asked to repair; see [`crate::opaque::Repair`].
    pub repair: Option<crate::opaque::Repair>,
}

impl Target<'_> {
    /// Drops what affects cost, latency or style only; strict mode refuses it.
    ///
    /// # Errors
    /// In strict mode, with the path and the remedy.
    pub(crate) fn hint(&self, notes: &mut Notes, path: &str) -> Result<(), Error> {
        if self.strictness == Strictness::Strict {
            let message = format!("the upstream {} has no equivalent; leave it out", self.profile.name);
            return Err(Error::unsupported(path, message));
        }
        notes.add(path);
        Ok(())
    }
}

/// Where the line between dropping and refusing lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Semantics are dropped too, except what would crash.
    Lenient,
    /// Semantics are refused, hints dropped.
    #[default]
    Default,
    /// Hints are refused too.
    Strict,
}

/// An encoded request.
#[derive(Debug)]
pub struct Encoded {
    /// The request as it was made to fit: what the upstream reads, for estimates.
    pub request: Request,
    /// The body.
    pub body: Vec<u8>,
    /// Tokens for the `anthropic-beta` header.
    pub betas: Vec<String>,
    /// How answers are led back to the client's terms.
    pub bridge: Bridge,
    /// What was dropped.
    pub notes: Notes,
}

/// What happened to names and forms on the way out, so that answers can be led back: see
/// [`crate::normalize::Restore`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bridge {
    /// Tools whose answers need more than a pass: by wire name. They outlive the request, so none of their names is a
    /// piece of its body.
    pub tools: BTreeMap<Str, ToolOrigin>,
    /// Stop sequences that the gateway enforces.
    pub stop_filter: Vec<Str>,
    /// How many answers the filter has to watch; 0 without a filter.
    pub candidates: u64,
    /// Wire name of the forced tool whose input is the structured answer.
    pub structured_tool: Option<String>,
}

/// The client's view of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolOrigin {
    /// The client's name.
    pub name: Str,
    /// Its namespace.
    pub namespace: Option<Str>,
    /// The client declared a free-form tool that was sent as a function with an `input` string.
    pub is_custom: bool,
    /// The client declared a typed tool of the Responses format that was sent as a function: the type of the item it
    /// wants (`local_shell_call` …). Calls then carry `{"type":…}` with this type as their native item, and the encoder
    /// builds the rest of the item from the arguments.
    pub native_type: Option<Str>,
    /// The name of members that the schema got so that something must be given; they go out of the arguments again.
    pub stand_in: Option<&'static str>,
}

/// JSON paths of dropped members, for the `x-gateway-dropped` header.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes(Vec<String>);

impl Notes {
    /// As many paths as are held: more than the header has room for, and few enough to look through for each member of
    /// a request that consists of unknown ones.
    const MOST: usize = 256;

    /// Adds a path once.
    pub fn add(&mut self, path: impl Into<String>) {
        let path = path.into();
        if self.0.len() < Self::MOST && !self.0.contains(&path) {
            self.0.push(path);
        }
    }

    /// The paths.
    pub fn paths(&self) -> &[String] {
        &self.0
    }

    /// True without paths.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The header value: [`in_header`], comma separated, at most 1 KiB, without the paths that have no room.
    pub fn header(&self) -> Option<String> {
        let mut value = String::new();
        for path in &self.0 {
            let path = in_header(path);
            if value.len() + path.len() + 2 > 1024 {
                continue;
            }
            if !value.is_empty() {
                value.push_str(", ");
            }
            value.push_str(&path);
        }
        (!value.is_empty()).then_some(value)
    }
}

/// A name as a header of the gateway's own carries it: visible ASCII but for commas, which separate names, and percent
/// signs; everything else is percent-encoded UTF-8 (RFC 3986, 2.1).
pub fn in_header(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b",%".contains(&byte);
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut encoded = String::with_capacity(name.len() * 2);
    for byte in name.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            let _written = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_header_may_carry_is_percent_encoded() {
        for (name, expected) in [
            ("tools[0].strict", "tools[0].strict"),
            ("größe", "gr%C3%B6%C3%9Fe"),
            ("模型/a-1", "%E6%A8%A1%E5%9E%8B/a-1"),
            ("100%, a b\n", "100%25%2C%20a%20b%0A"),
        ] {
            assert_eq!(in_header(name), expected);
        }
    }

    #[test]
    fn a_path_without_room_does_not_hide_those_behind_it() {
        let mut notes = Notes::default();
        for path in ["seed".to_owned(), "x".repeat(2000), "n".to_owned(), "seed".to_owned()] {
            notes.add(path);
        }
        assert_eq!(notes.header().as_deref(), Some("seed, n"));
    }

    #[test]
    fn notes_are_bounded() {
        let mut notes = Notes::default();
        for number in 0..100_000 {
            notes.add(format!("member{number}"));
        }
        assert_eq!(notes.paths().len(), Notes::MOST);
        assert!(
            notes
                .header()
                .is_some_and(|value| value.len() <= 1024 && value.starts_with("member0, member1, "))
        );
    }
}
