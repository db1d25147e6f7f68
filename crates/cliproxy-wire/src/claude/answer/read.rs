//! Reading an upstream's whole answer.

use std::borrow::Cow;

use crate::Error;
use crate::codec::UpstreamContext;
use crate::fault::{Fault, Kind};
use crate::format::Format;
use crate::json::{Kind as JsonKind, Raw, Reader};
use crate::model::{Block, Candidate, Content, Ext, Response, Usage};

use super::super::{block, stop};

/// Reads an upstream's whole answer (status 2xx).
///
/// # Errors
/// An error in a success body, or a body that is none (C.9).
pub fn decode_response(body: &[u8], context: &UpstreamContext) -> Result<Response, Fault> {
    let mut members = Members::default();
    let outcome = Reader::from_bytes(body).and_then(|mut reader| {
        reader.object(|key, value| members.member(key, value))?;
        reader.finish()
    });
    if let Err(error) = outcome {
        let mut fault = Fault::unreadable(body, error);
        fault.status = Some(context.status);
        return Err(fault);
    }
    if members.has_error
        && let Some(fault) = Reader::from_bytes(body)
            .ok()
            .and_then(|mut reader| crate::fault::in_success(Format::Claude, &mut reader))
    {
        return Err(fault);
    }
    if !members.has_content && members.id.is_none() && members.reason.is_none() {
        return Err(Fault::new(Kind::BadUpstream, "the upstream answered with something that is no message"));
    }
    Ok(members.into_response())
}

#[derive(Default)]
struct Members<'a> {
    id: Option<Cow<'a, str>>,
    model: Option<Cow<'a, str>>,
    blocks: Vec<Block>,
    has_content: bool,
    reason: Option<Cow<'a, str>>,
    sequence: Option<Cow<'a, str>>,
    details: Option<&'a str>,
    usage: Option<Usage>,
    has_error: bool,
    ext: Ext,
}

impl<'a> Members<'a> {
    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        if value.kind() == JsonKind::Null {
            self.has_content |= key == "content";
            return Ok(());
        }
        match key {
            "type" | "role" => {}
            "id" => self.id = Some(value.str()?),
            "model" => self.model = Some(value.str()?),
            "content" => {
                self.has_content = true;
                self.blocks = block::result_content(value)?;
            }
            "stop_reason" => self.reason = Some(value.str()?),
            "stop_sequence" => self.sequence = Some(value.str()?),
            "stop_details" => self.details = Some(value.raw()?),
            "usage" => self.usage = Some(crate::usage::read_claude(value)?),
            "error" => self.has_error = true,
            _ => self.ext.set(key, value.to_raw()?),
        }
        Ok(())
    }

    fn into_response(self) -> Response {
        let mut blocks = self.blocks;
        blocks.retain(|block| match &block.content {
            Content::Text(text) => !text.text.is_empty() || !text.annotations.is_empty(),
            _ => true,
        });
        let has_call = blocks.iter().any(|block| matches!(block.content, Content::ToolCall(_)));
        let stop = stop::read(self.reason.as_deref(), self.sequence.as_deref(), self.details, has_call);
        let mut response = Response::new(Format::Claude);
        response.id = self.id.map(Into::into);
        response.model = self.model.map(Into::into);
        response.service_tier = self.usage.as_ref().and_then(|usage| usage.tier.clone());
        response.usage = self.usage;
        response.status = stop::status(stop.reason);
        response.ext = self.ext;
        let mut candidate = Candidate::new(0, stop);
        candidate.blocks = blocks;
        if let Some(details) = self.details {
            candidate.ext.set("stop_details", Raw::new(details));
        }
        response.candidates.push(candidate);
        response
    }
}
