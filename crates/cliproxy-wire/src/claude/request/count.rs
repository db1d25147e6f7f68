//! Counting tokens: the request that asks for it, and its answer.

use crate::Error;
use crate::codec::{Encoded, Target};
use crate::json::{self, Body, Reader};
use crate::model::{Request, Tool};
use crate::normalize::Prepared;
use crate::reasoning::{Members, Thinking};

use super::beta::Betas;
use super::history;
use super::write::Encoding;

/// Reads a client's count request: a request that need not say how long the answer may be.
///
/// # Errors
/// What B.11 makes a 400, with the JSON path.
pub fn decode_count_request(body: impl Into<Body>) -> Result<Request, Error> {
    super::read::read(&body.into())
}

/// Writes the count request for an upstream of this format. Settings, provider-executed tools and remote tool servers
/// are left out, because the endpoint refuses them.
///
/// # Errors
/// What this format cannot say.
pub fn encode_count_request(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    let Prepared { mut request, mut plan, bridge, mut notes } = prepared;
    history::settle(&mut request, &mut plan, target, &mut notes);
    request.tools.retain(|tool| !matches!(tool, Tool::Hosted { .. }));
    if let Members::Claude { thinking, .. } = &mut plan.members
        && matches!(thinking, Some(Thinking::Enabled { budget }) if *budget < 1024)
    {
        *thinking = None;
    }
    let mut betas = Betas::default();
    let mut body = Vec::with_capacity(4096);
    let mut outcome = Ok(());
    json::object(&mut body, |object| {
        object.str("model", target.model);
        let mut encoding =
            Encoding { request: &request, plan: &plan, target, betas: &mut betas, notes: &mut notes };
        encoding.thinking(object);
        outcome = encoding.conversation(object);
    });
    outcome?;
    let betas = betas.into_tokens(&request.betas);
    Ok(Encoded { request, body, betas, bridge, notes })
}

/// The count in an upstream's answer; `None` when the body is no such answer.
pub fn decode_count_answer(body: &[u8]) -> Option<u64> {
    let mut count = None;
    Reader::from_bytes(body)
        .ok()?
        .object(|key, value| {
            if key == "input_tokens" {
                count = Some(value.u64()?);
            }
            Ok(())
        })
        .ok()?;
    count
}

/// The answer for a client.
pub fn encode_count_answer(count: u64) -> Vec<u8> {
    let mut body = Vec::new();
    json::object(&mut body, |object| object.u64("input_tokens", count));
    body
}
