//! Counting tokens: the request and the answer of `countTokens`, which each of the three services wants in its own form.

use super::member::members;
use super::request::{Members, Writer, served_as, write_members};
use crate::Error;
use crate::codec::{Encoded, Target};
use crate::format::RequestContext;
use crate::json::{self, Body, Reader};
use crate::model::Request;
use crate::normalize::Prepared;
use crate::profile::{Dialect, Profile};

/// Reads a client's counting request: bare contents, a `generateContentRequest`, or wrapped as Code Assist clients do.
///
/// # Errors
/// A body that is not what the format prescribes, with the JSON path.
pub fn decode_count(body: impl Into<Body>, context: RequestContext<'_>) -> Result<Request, Error> {
    super::decode_request(body, RequestContext { stream: false, ..context })
}

/// Writes a counting request. What does not count as input is left out; Code Assist takes the conversation only, so
/// the caller adds an estimate of instructions and tools (see [`counts_everything`]).
///
/// # Errors
/// What this format cannot say.
pub fn encode_count(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    let mut body = Vec::with_capacity(4096);
    let mut writer = Writer::new(&prepared, target);
    json::object(&mut body, |object| match target.profile.dialect {
        Dialect::CodeAssist | Dialect::Antigravity => object.object("request", |request| {
            request.str("model", &full_name(served_as(target.model)));
            write_members(request, &mut writer, Members::Contents);
        }),
        Dialect::Vertex => write_members(object, &mut writer, Members::Input),
        _ => object.object("generateContentRequest", |request| {
            request.str("model", &full_name(target.model));
            write_members(request, &mut writer, Members::Input);
        }),
    });
    if let Some(error) = writer.refusal {
        return Err(error);
    }
    let Prepared { request, bridge, notes, .. } = prepared;
    Ok(Encoded { request, body, betas: Vec::new(), bridge, notes })
}

/// False for services that count the conversation only, without instructions and tools.
pub fn counts_everything(profile: &Profile) -> bool {
    !matches!(profile.dialect, Dialect::CodeAssist | Dialect::Antigravity)
}

fn full_name(model: &str) -> String {
    if model.starts_with("models/") { model.to_owned() } else { ["models/", model].concat() }
}

/// Reads the answer. A service that counts nothing says nothing.
///
/// # Errors
/// A body that is not JSON.
pub fn decode_count_response(body: &[u8]) -> Result<u64, Error> {
    let mut total = 0;
    total_of(&mut Reader::from_bytes(body)?, &mut total)?;
    Ok(total)
}

fn total_of(reader: &mut Reader<'_>, total: &mut u64) -> Result<(), Error> {
    members(reader, |name, value| {
        match name {
            "totalTokens" => *total = value.opt(Reader::u64)?.unwrap_or(0),
            "response" => {
                value.opt(|value| total_of(value, total))?;
            }
            _ => {}
        }
        Ok(())
    })
}

/// Writes the answer for a client of this format.
pub fn encode_count_response(tokens: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity(32);
    json::object(&mut body, |object| object.u64("totalTokens", tokens));
    body
}
