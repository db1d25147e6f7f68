//! The response object: read from an upstream's body or from the lifecycle events of its stream.

use std::borrow::Cow;

use crate::Error;
use crate::codec::UpstreamContext;
use crate::fault::{self, Fault, Kind};
use crate::format::Format;
use crate::json::{Kind as JsonKind, Reader};
use crate::model::{
    Candidate, Content, Event, Ext, HostedKind, Response, Status, Stop, StopReason, Str, Usage,
};
use crate::usage;

use super::item::{Item, Source};

/// Members that are understood, made anew for the client, or repeat the request.
const KNOWN: [&str; 22] = [
    "background",
    "completed_at",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "object",
    "output_text",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// A response object.
#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    pub(super) id: Option<Str>,
    pub(super) model: Option<Str>,
    pub(super) created: Option<u64>,
    pub(super) status: Option<Cow<'a, str>>,
    reason: Option<Str>,
    error: Option<Reader<'a>>,
    /// At `output`, if it is an array.
    pub(super) output: Option<Reader<'a>>,
    pub(super) usage: Option<Usage>,
    pub(super) tier: Option<Str>,
    pub(super) ext: Ext,
}

impl<'a> Answer<'a> {
    /// Reads the object.
    pub(super) fn read(value: &mut Reader<'a>) -> Result<Self, Error> {
        let mut answer = Self::default();
        value.object(|key, value| answer.member(key, value))?;
        Ok(answer)
    }

    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        match key {
            "id" => self.id = super::lenient_text(value)?,
            "model" => self.model = super::lenient_text(value)?,
            "created_at" => {
                // Some upstreams write it with a fraction.
                if value.kind() == JsonKind::Number {
                    self.created = seconds(value.f64()?);
                }
            }
            "status" => self.status = super::lenient_str(value)?,
            "incomplete_details" if value.kind() == JsonKind::Object => value.object(|key, value| {
                if key == "reason" {
                    self.reason = super::lenient_text(value)?;
                }
                Ok(())
            })?,
            "incomplete_details" => {}
            "error" if value.kind() != JsonKind::Null => self.error = Some(value.clone()),
            "error" => {}
            "output" if value.kind() == JsonKind::Array => self.output = Some(value.clone()),
            "output" => {}
            "usage" if value.kind() == JsonKind::Object => self.usage = Some(usage::read_responses(value)?),
            "usage" => {}
            "service_tier" => self.tier = super::lenient_text(value)?,
            _ if KNOWN.contains(&key) => {}
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    self.ext.set(key, other);
                }
            }
        }
        Ok(())
    }

    /// The error the object reports.
    pub(super) fn fault(&self) -> Option<Fault> {
        fault::in_success(Format::Responses, &mut self.error.clone()?)
    }

    /// Why there is no answer, where the status says so.
    pub(super) fn failure(&self) -> Option<Fault> {
        let words = match self.status.as_deref() {
            Some("failed") => "the upstream reported a failed response without saying why",
            Some("cancelled") => "the upstream cancelled the answer",
            Some("queued" | "in_progress") => "the upstream has not finished the answer",
            _ => return None,
        };
        Some(self.fault().unwrap_or_else(|| Fault::new(Kind::BadUpstream, words)))
    }

    /// How it ended; `has_calls` tells whether the client has to execute something.
    pub(super) fn ending(&self, has_calls: bool) -> (Status, Stop) {
        let native = |word: &Str| Some((Format::Responses, Str::clone(word)));
        match self.status.as_deref() {
            Some("incomplete") => {
                let reason = match self.reason.as_deref() {
                    Some("max_output_tokens") => StopReason::MaxTokens,
                    Some("content_filter") => StopReason::ContentFilter,
                    _ => StopReason::Other,
                };
                let native = self.reason.as_ref().and_then(native);
                (Status::Incomplete, Stop { native, ..Stop::new(reason) })
            }
            _ if has_calls => (Status::Completed, Stop::new(StopReason::ToolUse)),
            _ => (Status::Completed, Stop::new(StopReason::EndTurn)),
        }
    }

    /// Usage with the tier that was really charged, which only the last object tells.
    pub(super) fn charged(&mut self) -> Option<Usage> {
        let mut usage = self.usage.take()?;
        usage.tier = usage.tier.or_else(|| self.tier.clone());
        Some(usage)
    }

    /// The response as a stream begins.
    pub(super) fn start(&self) -> Event {
        let said = |text: &Option<Str>| text.clone().filter(|text| !text.is_empty());
        Event::Start(Box::new(Response {
            id: said(&self.id),
            model: said(&self.model),
            created: self.created,
            service_tier: said(&self.tier),
            ..Response::new(Format::Responses)
        }))
    }
}

fn seconds(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within range")]
    (0.0..9e15).contains(&number).then_some(number as u64)
}

/// Reads a whole body.
pub(super) fn decode(body: &[u8], context: &UpstreamContext) -> Result<Response, Fault> {
    let unreadable = |error: Error| Fault::unreadable(body, error);
    let mut reader = Reader::from_bytes(body).map_err(unreadable)?;
    let mut answer = Answer::read(&mut reader).map_err(unreadable)?;
    if let Some(fault) = answer.failure() {
        return Err(fault);
    }
    if let Some(fault) = answer.fault() {
        return Err(fault);
    }
    let Some(mut output) = answer.output.take() else {
        return Err(Fault::new(Kind::BadUpstream, "the upstream's answer holds no output"));
    };
    let mut blocks = Vec::new();
    let mut calls = 0;
    let mut has_unnamed_call = false;
    output
        .array(|_, value| {
            let mut item = Item::read(value)?;
            if item.is_echo() {
                return Ok(());
            }
            let mut said = Vec::new();
            item.put(Source::Answer(context), calls, &mut said)?;
            for block in said {
                match &block.content {
                    Content::ToolCall(call) if call.name.is_empty() => has_unnamed_call = true,
                    Content::ToolCall(_) => calls += 1,
                    // An image that never came.
                    Content::Hosted(hosted) if hosted.kind == HostedKind::ImageGeneration => continue,
                    _ => {}
                }
                blocks.push(block);
            }
            Ok(())
        })
        .map_err(|error| unreadable(error.under_key("output")))?;
    if has_unnamed_call {
        return Err(Fault::unnamed_call());
    }
    let (status, stop) = answer.ending(calls > 0);
    let usage = answer.charged();
    Ok(Response {
        id: answer.id.filter(|id| !id.is_empty()),
        model: answer.model.filter(|model| !model.is_empty()),
        created: answer.created,
        candidates: vec![Candidate { blocks, ..Candidate::new(0, stop) }],
        usage,
        service_tier: answer.tier,
        status,
        ext: answer.ext,
        ..Response::new(Format::Responses)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    fn read(body: &str) -> Result<Response, Fault> {
        decode(body.as_bytes(), &UpstreamContext::new(&Profile::openai_responses(), "req"))
    }

    #[test]
    fn status_and_calls_decide_why_it_stopped() {
        for (status, details, output, expected) in [
            ("completed", "null", "", StopReason::EndTurn),
            (
                "completed",
                "null",
                r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#,
                StopReason::ToolUse,
            ),
            (
                "completed",
                "null",
                r#"{"type":"local_shell_call","call_id":"c","action":{"type":"exec"}}"#,
                StopReason::ToolUse,
            ),
            (
                "completed",
                "null",
                r#"{"type":"web_search_call","id":"ws_1","status":"completed"}"#,
                StopReason::EndTurn,
            ),
            ("incomplete", r#"{"reason":"max_output_tokens"}"#, "", StopReason::MaxTokens),
            ("incomplete", r#"{"reason":"content_filter"}"#, "", StopReason::ContentFilter),
            ("incomplete", r#"{"reason":"steered"}"#, "", StopReason::Other),
        ] {
            let body = format!(
                r#"{{"id":"resp_1","status":"{status}","incomplete_details":{details},"output":[{output}]}}"#
            );
            assert_eq!(read(&body).unwrap().candidates[0].stop.reason, expected, "{body}");
        }
    }

    #[test]
    fn failures_in_a_success_are_errors() {
        let fault = read(
            r#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"},"output":[]}"#,
        )
        .unwrap_err();
        assert_eq!((fault.kind, &*fault.message), (Kind::RateLimit, "slow down"));
        for (status, words) in
            [("cancelled", "cancelled"), ("in_progress", "not finished"), ("queued", "not finished")]
        {
            let output =
                r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"half"}]}"#;
            let fault =
                read(&format!(r#"{{"id":"resp_1","status":"{status}","output":[{output}]}}"#)).unwrap_err();
            assert!(fault.message.contains(words), "{fault:?}");
        }
        assert_eq!(read("<html>").unwrap_err().kind, Kind::BadUpstream);
        assert_eq!(read("").unwrap_err().kind, Kind::BadUpstream);
        assert_eq!(read("{}").unwrap_err().kind, Kind::BadUpstream);
        assert!(read(r#"{"error":{"message":"boom","code":"server_error"}}"#).is_err());
    }
}
