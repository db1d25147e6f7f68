//! The closed set of wire formats, and the only place that chooses a codec by format.

use http::HeaderName;

use crate::codec::{ClientContext, Encoded, StreamDecoder, StreamEncoder, Target, UpstreamContext};
use crate::fault::Fault;
use crate::json::Body;
use crate::model::{Request, Response};
use crate::profile::ToolIdRule;
use crate::schema::Cleaned;
use crate::{Error, chat, claude, gemini, normalize, responses};

/// One of the four wire formats. The Code Assist envelope is Gemini with a wrapper, not a format of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Claude Messages.
    Claude,
    /// Google Gemini `generateContent`.
    Gemini,
}

impl Format {
    /// All formats, for tables and tests.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Claude, Self::Gemini];

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Claude => "claude",
            Self::Gemini => "gemini",
        }
    }

    /// What an id of a tool call must satisfy in this format, whoever made it: what a client of it is told must be legal
    /// when it sends it to a service of the same format.
    pub fn tool_id(self) -> ToolIdRule {
        match self {
            Self::Chat => ToolIdRule::Any { max: 40 },
            Self::Responses => ToolIdRule::Any { max: 64 },
            Self::Claude => ToolIdRule::Word { max: 256 },
            Self::Gemini => ToolIdRule::Any { max: 256 },
        }
    }

    /// What keeps a silent stream alive between two frames.
    pub fn sign_of_life(self) -> &'static [u8] {
        match self {
            Self::Chat | Self::Responses => b": keep-alive\n\n",
            Self::Claude => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
            Self::Gemini => b"\n",
        }
    }

    /// What keeps a stream alive before its first frame: Claude's events may not precede the start of the message, and
    /// blank lines are borne by every client.
    pub fn early_sign_of_life(self) -> &'static [u8] {
        match self {
            Self::Chat | Self::Responses => self.sign_of_life(),
            Self::Claude | Self::Gemini => b"\n",
        }
    }

    /// The response header that carries the id of the request. Checked where the program is compiled, not with every answer.
    pub fn request_id_header(self) -> HeaderName {
        match self {
            Self::Claude => const { HeaderName::from_static("request-id") },
            Self::Chat | Self::Responses | Self::Gemini => const { HeaderName::from_static("x-request-id") },
        }
    }
}

/// Reads a client's request. `path` carries what the Gemini format says in its path; the others ignore it.
///
/// # Errors
/// A body that is not a legal request of the format, with the JSON path.
pub fn decode_request(
    format: Format,
    body: impl Into<Body>,
    context: RequestContext<'_>,
) -> Result<Request, Error> {
    let body = body.into();
    match format {
        Format::Chat => chat::decode_request(&body),
        Format::Responses => responses::decode_request(&body),
        Format::Claude => claude::decode_request(&body),
        Format::Gemini => gemini::decode_request(&body, context),
    }
    .map_err(|error| error.seen_in(&body))
}

/// What a decoder of requests needs to know beside the body; only Gemini's asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestContext<'a> {
    /// The model of the path, percent-decoded.
    pub model: &'a str,
    /// The method was `streamGenerateContent`.
    pub stream: bool,
    /// Schemas of earlier requests; without it they are read anew.
    pub schemas: Option<&'a Cleaned>,
}

/// Writes a request for an upstream: normalizes it for the target, then encodes it in the target's format.
///
/// # Errors
/// What the target cannot express, with path and remedy.
pub fn encode_request(request: Request, target: &Target<'_>) -> Result<Encoded, Error> {
    let prepared = normalize::prepare(request, target)?;
    match target.profile.format {
        Format::Chat => chat::encode_request(prepared, target),
        Format::Responses => responses::encode_request(prepared, target),
        Format::Claude => claude::encode_request(prepared, target),
        Format::Gemini => gemini::encode_request(prepared, target),
    }
}

/// Reads an upstream's whole answer.
///
/// # Errors
/// An error inside a success body, or a body that is no answer.
pub fn decode_response(format: Format, body: &[u8], context: &UpstreamContext) -> Result<Response, Fault> {
    match format {
        Format::Chat => chat::decode_response(body, context),
        Format::Responses => responses::decode_response(body, context),
        Format::Claude => claude::decode_response(body, context),
        Format::Gemini => gemini::decode_response(body, context),
    }
}

/// Writes an answer for a client.
pub fn encode_response(format: Format, response: &Response, context: &ClientContext) -> Vec<u8> {
    match format {
        Format::Chat => chat::encode_response(response, context),
        Format::Responses => responses::encode_response(response, context),
        Format::Claude => claude::encode_response(response, context),
        Format::Gemini => gemini::encode_response(response, context),
    }
}

/// A decoder for an upstream's stream.
pub fn stream_decoder(format: Format, context: UpstreamContext) -> Box<dyn StreamDecoder> {
    match format {
        Format::Chat => Box::new(chat::Decoder::new(context)),
        Format::Responses => Box::new(responses::Decoder::new(context)),
        Format::Claude => Box::new(claude::Decoder::new(context)),
        Format::Gemini => Box::new(gemini::Decoder::new(context)),
    }
}

/// An encoder for a client's stream.
pub fn stream_encoder(format: Format, context: ClientContext) -> Box<dyn StreamEncoder> {
    match format {
        Format::Chat => Box::new(chat::Encoder::new(context)),
        Format::Responses => Box::new(responses::Encoder::new(context)),
        Format::Claude => Box::new(claude::Encoder::new(context)),
        Format::Gemini => Box::new(gemini::Encoder::new(context)),
    }
}

/// Reads a client's request to count tokens; unlike [`decode_request`] it does not ask for what only an answer needs.
///
/// # Errors
/// A body that is not a legal request of the format, with the JSON path.
pub fn decode_count_request(
    format: Format,
    body: impl Into<Body>,
    context: RequestContext<'_>,
) -> Result<Request, Error> {
    let body = body.into();
    match format {
        Format::Claude => claude::decode_count_request(&body),
        Format::Gemini => gemini::decode_count(&body, context),
        Format::Chat | Format::Responses => return decode_request(format, &body, context),
    }
    .map_err(|error| error.seen_in(&body))
}

/// Writes a request to count tokens; `None` where the format has no such request.
///
/// # Errors
/// What the target cannot express.
pub fn encode_count_request(request: Request, target: &Target<'_>) -> Result<Option<Encoded>, Error> {
    let prepared = match target.profile.format {
        Format::Chat => return Ok(None),
        _ => normalize::prepare(request, target)?,
    };
    match target.profile.format {
        Format::Chat => Ok(None),
        Format::Responses => responses::encode_count_request(prepared, target).map(Some),
        Format::Claude => claude::encode_count_request(prepared, target).map(Some),
        Format::Gemini => gemini::encode_count(prepared, target).map(Some),
    }
}

/// Reads an upstream's count; `None` when the body is none.
pub fn decode_count_response(format: Format, body: &[u8]) -> Option<u64> {
    match format {
        Format::Chat => None,
        Format::Responses => responses::decode_count(body).ok(),
        Format::Claude => claude::decode_count_answer(body),
        Format::Gemini => gemini::decode_count_response(body).ok(),
    }
}

/// Writes a count for a client. Chat has no such answer and gets Claude's.
pub fn encode_count_response(format: Format, tokens: u64) -> Vec<u8> {
    match format {
        Format::Chat | Format::Claude => claude::encode_count_answer(tokens),
        Format::Responses => responses::encode_count(tokens),
        Format::Gemini => gemini::encode_count_response(tokens),
    }
}
