//! The codec of OpenAI Chat Completions, for clients and for upstreams, with the relatives that speak its grammar.
//!
//! Requests are read in `decode` and written in `encode`; whole answers in `response`, streams in `stream`. The
//! deprecated text completions ride on the same codec and live in [`completions`].

mod annotation;
pub mod completions;
mod decode;
mod detail;
mod dialect;
mod encode;
mod head;
mod media;
mod piece;
mod response;
mod stop;
mod stream;
mod think;

pub(crate) use decode::BESIDE;
pub use stream::{Decoder, Encoder};

use crate::Error;
use crate::codec::{ClientContext, Encoded, Target, UpstreamContext};
use crate::fault::Fault;
use crate::json::Body;
use crate::model::{Request, Response};
use crate::normalize::Prepared;

/// Reads a client's request.
///
/// A body without `messages` but with `input` or `instructions` is read as a Responses request; its `origin` tells.
///
/// # Errors
/// What is no legal request, with the JSON path.
pub fn decode_request(body: impl Into<Body>) -> Result<Request, Error> {
    decode::request(&body.into())
}

/// Writes the request for an upstream of this format.
///
/// # Errors
/// What this format cannot say.
pub fn encode_request(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    encode::request(prepared, target)
}

/// Reads an upstream's whole answer (status 2xx).
///
/// # Errors
/// An error in a success body, or a body that is none (C.9).
pub fn decode_response(body: &[u8], context: &UpstreamContext) -> Result<Response, Fault> {
    response::read(body, context)
}

/// Writes an answer for a client of this format.
pub fn encode_response(response: &Response, context: &ClientContext) -> Vec<u8> {
    response::write(response, context)
}
