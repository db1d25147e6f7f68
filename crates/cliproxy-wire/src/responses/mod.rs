//! The codec of OpenAI Responses.
//!
//! The format speaks in items: messages, reasoning, calls and their results, hosted tools at work. The same items
//! stand in a request's `input`, in an answer's `output` and in the events of a stream, so they are read in one place
//! ([`item`], [`content`]) and written in one place per role ([`write`] towards upstreams, [`stream`] towards clients:
//! a body is what the stream's last event says). What must be changed for an upstream is changed before; only what the
//! Codex backend spells differently is known here.

mod annotation;
mod answer;
mod content;
mod count;
mod hosted;
mod item;
mod media;
mod request;
mod stream;
mod typed;
mod write;

pub(crate) use request::NAMESPACE_DESCRIPTION;
pub use stream::{Decoder, Encoder};

use std::borrow::Cow;

use crate::Error;
use crate::codec::{ClientContext, Encoded, Target, UpstreamContext};
use crate::fault::Fault;
use crate::json::{Body, Kind, Reader};
use crate::model::{Request, Response, Str};
use crate::normalize::Prepared;

/// Reads a client's request.
///
/// # Errors
/// What B.11 makes a 400, with the JSON path.
pub fn decode_request(body: impl Into<Body>) -> Result<Request, Error> {
    request::decode(&body.into())
}

/// Writes the request for an upstream of this format.
///
/// # Errors
/// What this format cannot say.
pub fn encode_request(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    write::encode(prepared, target)
}

/// Writes the request for the token counting endpoint of an upstream of this format.
///
/// # Errors
/// What this format cannot say.
pub fn encode_count_request(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    write::encode_count(prepared, target)
}

/// Reads the answer of the token counting endpoint.
///
/// # Errors
/// A body without a count.
pub fn decode_count(body: &[u8]) -> Result<u64, Fault> {
    count::decode(body)
}

/// Writes the answer of the token counting endpoint.
pub fn encode_count(count: u64) -> Vec<u8> {
    count::encode(count)
}

/// Reads an upstream's whole answer (status 2xx).
///
/// # Errors
/// An error in a success body, or a body that is none (C.9).
pub fn decode_response(body: &[u8], context: &UpstreamContext) -> Result<Response, Fault> {
    answer::decode(body, context)
}

/// Writes an answer for a client of this format.
pub fn encode_response(response: &Response, context: &ClientContext) -> Vec<u8> {
    stream::encode_body(response, context)
}

/// A string member; `null` means absent.
fn text(value: &mut Reader<'_>) -> Result<Option<Str>, Error> {
    value.opt(Reader::kept)
}

/// A string member; anything else is passed over.
fn lenient_text(value: &mut Reader<'_>) -> Result<Option<Str>, Error> {
    Ok(lenient_str(value)?.map(|text| text.as_ref().into()))
}

/// A string member, borrowed where possible; anything else is passed over.
fn lenient_str<'a>(value: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Error> {
    if value.kind() == Kind::String {
        return value.str().map(Some);
    }
    value.skip()?;
    Ok(None)
}

/// A string, or any other value as its JSON text; `null` means absent.
fn text_or_json(value: &mut Reader<'_>) -> Result<Option<Str>, Error> {
    match value.kind() {
        Kind::String => text(value),
        Kind::Null => {
            value.skip()?;
            Ok(None)
        }
        _ => value.kept_raw().map(|value| Some(value.to_str())),
    }
}

/// The words of an error: a string, or an object with a `message`.
fn message(value: &mut Reader<'_>) -> Result<Option<Str>, Error> {
    if value.kind() != Kind::Object {
        return lenient_text(value);
    }
    let mut words = None;
    value.object(|key, value| {
        if key == "message" {
            words = lenient_text(value)?;
        }
        Ok(())
    })?;
    Ok(words)
}
