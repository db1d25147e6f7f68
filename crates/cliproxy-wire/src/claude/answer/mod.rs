//! Whole answers.

use crate::codec::{ClientContext, UpstreamContext};
use crate::fault::Fault;
use crate::model::Response;

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
