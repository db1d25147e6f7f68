//! The codec of OpenAI Chat Completions.

use crate::Error;
use crate::codec::{ClientContext, Encoded, StreamDecoder, StreamEncoder, Target, UpstreamContext};
use crate::fault::Fault;
use crate::model::{Event, Request, Response};
use crate::normalize::Prepared;
use crate::sse::Frame;

/// Reads a client's request.
///
/// # Errors
/// What B.11 makes a 400, with the JSON path.
pub fn decode_request(body: &[u8]) -> Result<Request, Error> {
    let _ = body;
    Err(Error::malformed("skeleton"))
}

/// Writes the request for an upstream of this format.
///
/// # Errors
/// What this format cannot say.
pub fn encode_request(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    let _ = (prepared, target);
    Err(Error::malformed("skeleton"))
}

/// Reads an upstream's whole answer (status 2xx).
///
/// # Errors
/// An error in a success body, or a body that is none (C.9).
pub fn decode_response(body: &[u8], context: &UpstreamContext) -> Result<Response, Fault> {
    let _ = (body, context);
    Err(Fault::truncated())
}

/// Writes an answer for a client of this format.
pub fn encode_response(response: &Response, context: &ClientContext) -> Vec<u8> {
    let _ = (response, context);
    Vec::new()
}

/// Reads an upstream's stream.
#[derive(Debug)]
pub struct Decoder {
    context: UpstreamContext,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(context: UpstreamContext) -> Self {
        Self { context }
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let _ = (frame, out, &self.context);
    }

    fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Event>) {
        let _ = (broken, out);
    }
}

/// Writes a stream for a client of this format.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        Self { context }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        let _ = (event, out, &self.context);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }
}
