//! The codec of OpenAI Chat Completions, for clients and for upstreams, with the relatives that speak its grammar.
//!
//! Requests are read in `decode` and written in `encode`; whole answers are in `answer`, streams in `stream`. The
//! deprecated text completions ride on the same codec and live in [`completions`].

mod annotation;
mod answer;
pub mod completions;
mod decode;
mod detail;
mod dialect;
mod encode;
mod media;
mod piece;
mod stop;
mod stream;
mod think;

use crate::Error;
use crate::codec::{ClientContext, Encoded, StreamDecoder, StreamEncoder, Target, UpstreamContext};
use crate::fault::Fault;
use crate::model::{Event, Request, Response};
use crate::normalize::Prepared;
use crate::sse::Frame;

/// Reads a client's request.
///
/// A body without `messages` but with `input` or `instructions` is read as a Responses request; its `origin` tells.
///
/// # Errors
/// What is no legal request, with the JSON path.
pub fn decode_request(body: &[u8]) -> Result<Request, Error> {
    decode::request(body)
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
    answer::decode(body, context)
}

/// Writes an answer for a client of this format.
pub fn encode_response(response: &Response, context: &ClientContext) -> Vec<u8> {
    answer::encode(response, context)
}

/// Reads an upstream's stream.
#[derive(Debug)]
pub struct Decoder(stream::Decoder);

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(context: UpstreamContext) -> Self {
        Self(stream::Decoder::new(context, false))
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        self.0.frame(frame, out);
    }

    fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Event>) {
        self.0.finish(broken, out);
    }
}

/// Writes a stream for a client of this format.
#[derive(Debug)]
pub struct Encoder(stream::Encoder);

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        Self(stream::Encoder::new(context))
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        self.0.event(event, out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        self.0.keep_alive(out);
    }
}
