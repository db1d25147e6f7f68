//! Models whose name asks for a failure.

/// Refused with 400.
pub const BAD_REQUEST: &str = "fault-400";
/// Refused with 401, as for a key that was revoked.
pub const UNAUTHORIZED: &str = "fault-401";
/// Refused with 404, as for a model that was retired.
pub const NOT_FOUND: &str = "fault-404";
/// Refused with 429 and the advice to come back in seven seconds.
pub const RATE_LIMIT: &str = "fault-429";
/// Refused with 500.
pub const SERVER_ERROR: &str = "fault-500";
/// Begins to answer, then sends the format's error inside the stream.
pub const ERROR_IN_STREAM: &str = "fault-stream";
/// Begins to answer, then says nothing more.
pub const STALL: &str = "fault-stall";
/// Begins to answer, then the connection breaks.
pub const CUT: &str = "fault-cut";

/// All of them.
pub const ALL: [&str; 8] =
    [BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, RATE_LIMIT, SERVER_ERROR, ERROR_IN_STREAM, STALL, CUT];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Refusal { status: u16, message: &'static str, retry_after: Option<&'static str> },
    Error,
    Stall,
    Cut,
}

impl Fault {
    pub(super) fn of(model: &str) -> Option<Self> {
        let refusal = |status, message| Self::Refusal { status, message, retry_after: None };
        match model {
            BAD_REQUEST => Some(refusal(400, "the number of wishes is out of range")),
            UNAUTHORIZED => Some(refusal(401, "the key was revoked")),
            NOT_FOUND => Some(refusal(404, "the model fault-404 was not found")),
            RATE_LIMIT => Some(Self::Refusal {
                status: 429,
                message: "too many requests of this account",
                retry_after: Some("7"),
            }),
            SERVER_ERROR => Some(refusal(500, "something broke in here")),
            ERROR_IN_STREAM => Some(Self::Error),
            STALL => Some(Self::Stall),
            CUT => Some(Self::Cut),
            _ => None,
        }
    }
}
