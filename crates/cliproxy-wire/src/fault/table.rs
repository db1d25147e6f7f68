//! The one table from [`Kind`] to what each client format says: status, type word, code word.
//!
//! Everything that names an error to a client reads it here, so a correction is one line and the formats cannot drift
//! apart.

use super::Kind;
use crate::format::Format;

/// What a format says for a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// HTTP status.
    pub status: u16,
    /// `error.type` of the OpenAI formats and of Claude, `error.status` of Gemini.
    pub word: &'static str,
    /// `error.code` of the OpenAI formats.
    pub code: Option<&'static str>,
    /// The upstream's own code is more telling than `code` and is written instead.
    pub keeps_code: bool,
    /// Which of the three shapes the body has.
    pub shape: Shape,
}

/// Shapes of error bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `{"error":{"message","type","param","code"}}`
    OpenAi,
    /// `{"type":"error","error":{"type","message"},"request_id"}`
    Claude,
    /// `{"error":{"code","message","status","details"}}`
    Google,
}

/// One kind in all formats.
struct Line {
    kind: Kind,
    status: u16,
    /// Status for Claude clients where it differs.
    claude_status: u16,
    /// Status for Gemini clients where it differs.
    google_status: u16,
    openai: &'static str,
    code: Option<&'static str>,
    keeps_code: bool,
    claude: &'static str,
    google: &'static str,
    responses: &'static str,
}

impl Line {
    const fn new(kind: Kind, status: u16, openai: &'static str, code: Option<&'static str>) -> Self {
        Self {
            kind,
            status,
            claude_status: status,
            google_status: status,
            openai,
            code,
            keeps_code: false,
            claude: openai,
            google: "INVALID_ARGUMENT",
            responses: "server_error",
        }
    }

    const fn say(mut self, claude: &'static str, google: &'static str) -> Self {
        self.claude = claude;
        self.google = google;
        self
    }

    const fn statuses(mut self, claude: u16, google: u16) -> Self {
        self.claude_status = claude;
        self.google_status = google;
        self
    }

    const fn keeps_code(mut self) -> Self {
        self.keeps_code = true;
        self
    }

    const fn responses(mut self, code: &'static str) -> Self {
        self.responses = code;
        self
    }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

const LAST: Line = Line::new(Kind::BadUpstream, 502, SERVER, Some("bad_gateway"))
    .keeps_code()
    .say("api_error", "UNAVAILABLE");

const LINES: [Line; 18] = [
    Line::new(Kind::InvalidRequest, 400, INVALID, None).keeps_code().responses("invalid_prompt"),
    Line::new(Kind::ContextLength, 400, INVALID, Some("context_length_exceeded"))
        .responses("context_length_exceeded"),
    Line::new(Kind::ContentPolicy, 400, INVALID, Some("content_policy_violation"))
        .responses("content_policy_violation"),
    Line::new(Kind::Authentication, 401, "authentication_error", Some("invalid_api_key"))
        .say("authentication_error", "UNAUTHENTICATED"),
    Line::new(Kind::Permission, 403, "permission_error", None).say("permission_error", "PERMISSION_DENIED"),
    Line::new(Kind::Billing, 402, "insufficient_quota", Some("billing_error"))
        .say("billing_error", "FAILED_PRECONDITION"),
    Line::new(Kind::NotFound, 404, INVALID, Some("model_not_found")).say("not_found_error", "NOT_FOUND"),
    Line::new(Kind::Conflict, 409, "conflict_error", None).say("conflict_error", "ABORTED"),
    Line::new(Kind::TooLarge, 413, INVALID, Some("request_too_large"))
        .say("request_too_large", "INVALID_ARGUMENT"),
    Line::new(Kind::Unprocessable, 422, INVALID, None).statuses(400, 400).responses("invalid_prompt"),
    Line::new(Kind::RateLimit, 429, "rate_limit_error", Some("rate_limit_exceeded"))
        .say("rate_limit_error", "RESOURCE_EXHAUSTED")
        .responses("rate_limit_exceeded"),
    Line::new(Kind::Quota, 429, "insufficient_quota", Some("insufficient_quota"))
        .say("rate_limit_error", "RESOURCE_EXHAUSTED")
        .responses("insufficient_quota"),
    Line::new(Kind::Overloaded, 503, SERVER, Some("overloaded"))
        .say("overloaded_error", "UNAVAILABLE")
        .statuses(529, 503)
        .responses("server_is_overloaded"),
    Line::new(Kind::Unavailable, 503, SERVER, Some("service_unavailable"))
        .say("overloaded_error", "UNAVAILABLE")
        .statuses(529, 503),
    Line::new(Kind::Timeout, 504, SERVER, Some("timeout")).say("timeout_error", "DEADLINE_EXCEEDED"),
    // Nobody is left to read it; the words only appear in logs.
    Line::new(Kind::ClientClosed, 499, INVALID, Some("client_closed_request")).say(INVALID, "CANCELLED"),
    Line::new(Kind::Api, 500, SERVER, Some("internal_server_error"))
        .keeps_code()
        .say("api_error", "INTERNAL"),
    LAST,
];

fn line(kind: Kind) -> &'static Line {
    const OTHER: &Line = &LAST;
    LINES.iter().find(|line| line.kind == kind).unwrap_or(OTHER)
}

/// What `format` says for `kind`.
pub fn row(kind: Kind, format: Format) -> Row {
    let line = line(kind);
    let row = Row {
        status: line.status,
        word: line.openai,
        code: line.code,
        keeps_code: line.keeps_code,
        shape: Shape::OpenAi,
    };
    if format == Format::Claude {
        return Row { status: line.claude_status, word: line.claude, shape: Shape::Claude, ..row };
    }
    if format == Format::Gemini {
        return Row { status: line.google_status, word: line.google, shape: Shape::Google, ..row };
    }
    row
}

/// `response.error.code` of the Responses format.
pub(super) fn responses_code(kind: Kind) -> &'static str {
    line(kind).responses
}

impl Kind {
    /// All kinds, for tables and tests.
    pub const ALL: [Self; 18] = [
        Self::InvalidRequest,
        Self::ContextLength,
        Self::ContentPolicy,
        Self::Authentication,
        Self::Permission,
        Self::Billing,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Unprocessable,
        Self::RateLimit,
        Self::Quota,
        Self::Overloaded,
        Self::Unavailable,
        Self::Timeout,
        Self::ClientClosed,
        Self::Api,
        Self::BadUpstream,
    ];

    /// Whether the same request may succeed a moment later.
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::RateLimit
                | Self::Overloaded
                | Self::Unavailable
                | Self::Timeout
                | Self::Api
                | Self::BadUpstream
        )
    }

    /// The kind that a status alone speaks for.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 | 524 => Self::Timeout,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            422 => Self::Unprocessable,
            429 => Self::RateLimit,
            499 => Self::ClientClosed,
            400..=498 => Self::InvalidRequest,
            503 => Self::Unavailable,
            529 => Self::Overloaded,
            500 | 501 | 505..=599 => Self::Api,
            // 502, and a success status with an error inside.
            _ => Self::BadUpstream,
        }
    }

    /// The kind that a type, code or status word of any provider speaks for.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, kind)| *kind)
    }
}

const WORDS: [(&str, Kind); 45] = [
    ("invalid_request_error", Kind::InvalidRequest),
    ("invalid_prompt", Kind::InvalidRequest),
    ("invalid_argument", Kind::InvalidRequest),
    ("failed_precondition", Kind::InvalidRequest),
    ("out_of_range", Kind::InvalidRequest),
    ("bad_request", Kind::InvalidRequest),
    ("badrequesterror", Kind::InvalidRequest),
    ("authentication_error", Kind::Authentication),
    ("invalid_api_key", Kind::Authentication),
    ("unauthenticated", Kind::Authentication),
    ("unauthorized", Kind::Authentication),
    ("token_expired", Kind::Authentication),
    ("token_invalidated", Kind::Authentication),
    ("permission_error", Kind::Permission),
    ("permission_denied", Kind::Permission),
    ("forbidden", Kind::Permission),
    ("billing_error", Kind::Billing),
    ("not_found_error", Kind::NotFound),
    ("not_found", Kind::NotFound),
    ("model_not_found", Kind::NotFound),
    ("conflict_error", Kind::Conflict),
    ("aborted", Kind::Conflict),
    ("already_exists", Kind::Conflict),
    ("request_too_large", Kind::TooLarge),
    ("rate_limit_error", Kind::RateLimit),
    ("rate_limit_exceeded", Kind::RateLimit),
    ("ratelimitreached", Kind::RateLimit),
    ("too_many_requests", Kind::RateLimit),
    ("resource_exhausted", Kind::RateLimit),
    ("insufficient_quota", Kind::Quota),
    ("usage_limit_reached", Kind::Quota),
    ("overloaded_error", Kind::Overloaded),
    ("overloaded", Kind::Overloaded),
    ("server_is_overloaded", Kind::Overloaded),
    ("slow_down", Kind::Overloaded),
    ("unavailable", Kind::Unavailable),
    ("service_unavailable", Kind::Unavailable),
    ("timeout_error", Kind::Timeout),
    ("timeout", Kind::Timeout),
    ("deadline_exceeded", Kind::Timeout),
    ("cancelled", Kind::ClientClosed),
    ("api_error", Kind::Api),
    ("server_error", Kind::Api),
    ("internal_server_error", Kind::Api),
    ("internal", Kind::Api),
];
