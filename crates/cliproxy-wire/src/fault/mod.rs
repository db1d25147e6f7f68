//! The canonical error: what went wrong upstream or in the gateway, in terms that every client format can say.
//!
//! It lives beside the codecs, not at the HTTP edge, because errors also travel inside streams. The one table from
//! [`Kind`] to status, type and code words of each format is behind [`row`]; reading the many shapes of upstream errors
//! is behind [`decode`], writing the client shapes behind [`encode`].

mod decode;
mod delay;
mod encode;
mod judge;
mod redact;
mod table;
mod unreadable;

pub use decode::{HeaderHints, decode, in_success};
pub use encode::{
    encode, responses_error_code, responses_error_message, write_chat_error, write_claude_error,
    write_gemini_error,
};
pub use judge::{allows_nothing, repair};
pub use table::{Row, Shape, row};

use std::fmt;
use std::time::Duration;

use crate::json::Raw;

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The request is wrong.
    InvalidRequest,
    /// The conversation does not fit.
    ContextLength,
    /// A content policy forbids it.
    ContentPolicy,
    /// The caller is not known.
    Authentication,
    /// The caller may not.
    Permission,
    /// A bill is open.
    Billing,
    /// The model or path does not exist.
    NotFound,
    /// A conflict.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// Understood but not processable.
    Unprocessable,
    /// Too many requests for now.
    RateLimit,
    /// A quota is used up.
    Quota,
    /// The provider is overloaded.
    Overloaded,
    /// The service is not available.
    Unavailable,
    /// Something took too long.
    Timeout,
    /// The client went away.
    ClientClosed,
    /// An internal error of the provider or the gateway.
    Api,
    /// The upstream answered with something unusable.
    BadUpstream,
}

impl Kind {
    /// A word for records and numbers.
    pub fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::ContextLength => "context_length",
            Self::ContentPolicy => "content_policy",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::Billing => "billing",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Unprocessable => "unprocessable",
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::ClientClosed => "client_closed",
            Self::Api => "api",
            Self::BadUpstream => "bad_upstream",
        }
    }
}

/// A failure, before or inside a stream.
#[derive(Clone, PartialEq)]
pub struct Fault {
    /// The kind; decides status and type words.
    pub kind: Kind,
    /// The status the upstream answered with, where there was one; of a fault of the gateway's own, the status that is
    /// more telling than the kind's.
    pub status: Option<u16>,
    /// A finer word than the kind, as the upstream or the gateway gives it.
    pub code: Option<String>,
    /// For people. Never holds credentials, internal hosts or upstream HTML; at most 2 KiB.
    pub message: String,
    /// JSON path of the offending member.
    pub param: Option<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The same as a moment in Unix seconds, where it was told so and nobody has held a clock against it yet.
    pub resets_at: Option<u64>,
    /// The upstream's request id.
    pub upstream_request_id: Option<String>,
    /// Google error details, raw.
    pub details: Option<Raw>,
    /// The page on which the account's owner can mend it, as the upstream names it. For the owner alone: it may be made
    /// out to the account, so it is never shown to clients.
    pub link: Option<String>,
    /// True when the upstream reported it, false when the gateway did.
    pub is_upstream: bool,
}

impl Fault {
    /// A failure reported by the gateway.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            code: None,
            message: message.into(),
            param: None,
            retry_after: None,
            resets_at: None,
            upstream_request_id: None,
            details: None,
            link: None,
            is_upstream: false,
        }
    }

    /// Counts from `now`, in Unix seconds, when to try again, where a stream told it as a moment.
    pub fn settle(&mut self, now: u64) {
        if let (None, Some(at)) = (self.retry_after, self.resets_at.take()) {
            self.retry_after = delay::until(at, now);
        }
    }

    /// The same with a code word.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same with a status that the kind does not have.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The upstream answered regularly, and with nothing.
    pub fn empty() -> Self {
        Self::new(Kind::BadUpstream, "the upstream's answer is empty").with_code("empty_answer")
    }

    /// A call of which nobody can say which tool it is for: what the model wants is not what the client would hear.
    pub(crate) fn unnamed_call() -> Self {
        let fault = Self::new(Kind::BadUpstream, "the upstream called a tool without naming it");
        Self { is_upstream: true, ..fault }
    }

    /// The upstream ended its stream before its end.
    pub fn truncated() -> Self {
        Self::new(Kind::BadUpstream, "upstream closed the stream early").with_code("upstream_truncated")
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({:?}, {:?}, {:?}, {:?})", self.kind, self.status, self.code, self.message)
    }
}

impl From<crate::Error> for Fault {
    fn from(error: crate::Error) -> Self {
        Self { param: error.path(), ..Self::new(Kind::InvalidRequest, error.to_string()) }
    }
}
