//! An upstream's stream: chunks to events.
//!
//! This format has no end mark and sends usage, grounding and signatures last, even behind the finish reason. So stops
//! are held until the stream is over. A whole body is read as a stream of one chunk: what holds for the one then holds
//! for the other.

use super::super::member::members;
use super::super::part::each;
use super::candidate::{Candidate, Found};
use crate::codec::{StreamDecoder, UpstreamContext};
use crate::fault::{self, Fault, Kind};
use crate::json::{self, Raw, Reader};
use crate::model::{Event, Ext, Response, Status, Stop, StopReason, Usage};
use crate::sse::Frame;
use crate::usage::Counts;
use crate::{Error, Format};

/// So many unreadable frames in a row end the stream.
const MAX_FAILURES: u8 = 3;

/// Reads an upstream's stream.
#[derive(Debug)]
pub struct Decoder {
    context: UpstreamContext,
    counts: Counts,
    /// The last snapshot that was given out.
    usage: Option<Usage>,
    candidates: Vec<Candidate>,
    /// Why the prompt was refused.
    blocked: Option<Stop>,
    ext: Ext,
    failures: u8,
    is_started: bool,
    /// An end mark of a proxy was read.
    is_closed: bool,
    is_over: bool,
    /// A body: complete without a finish reason.
    is_body: bool,
}

/// What a chunk holds beside usage.
#[derive(Default)]
struct Chunk<'a> {
    candidates: Option<&'a str>,
    response: Option<&'a str>,
    error: Option<&'a str>,
    prompt_feedback: Option<&'a str>,
    model: Option<String>,
    id: Option<String>,
    created: Option<u64>,
    has_usage: bool,
    is_known: bool,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(context: UpstreamContext) -> Self {
        Self {
            context,
            counts: Counts::new(Format::Gemini).with_rest(),
            usage: None,
            candidates: Vec::new(),
            blocked: None,
            ext: Ext::new(),
            failures: 0,
            is_started: false,
            is_closed: false,
            is_over: false,
            is_body: false,
        }
    }

    /// Reads one chunk, or a list of them. `trace` is the id that an envelope gives.
    fn chunk(
        &mut self,
        reader: &mut Reader<'_>,
        trace: Option<&str>,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        if reader.kind() == json::Kind::Array {
            return reader.array(|_, element| self.chunk(element, trace, out));
        }
        let chunk = self.members(reader)?;
        if let Some(error) = chunk.error
            && let Some(fault) = fault::in_success(Format::Gemini, &mut Reader::new(error))
        {
            self.fail(fault, out);
        }
        if self.is_over {
            return Ok(());
        }
        if let Some(response) = chunk.response.filter(|_| chunk.candidates.is_none()) {
            return self.chunk(&mut Reader::new(response), chunk.id.as_deref().or(trace), out);
        }
        if !chunk.is_known {
            return Err(Error::malformed("the object is no chunk of an answer"));
        }
        self.start(&chunk, trace, out);
        if let Some(feedback) = chunk.prompt_feedback {
            self.feedback(feedback)?;
        }
        if let Some(candidates) = chunk.candidates {
            let mut position = 0;
            each(&mut Reader::new(candidates), |candidate| {
                self.candidate(candidate, position, out)?;
                position += 1;
                Ok(())
            })?;
        }
        if chunk.has_usage {
            let usage = self.counts.usage();
            if self.usage.as_ref() != Some(&usage) {
                out.push(Event::Usage(Box::new(usage.clone())));
                self.usage = Some(usage);
            }
        }
        Ok(())
    }

    fn members<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Chunk<'a>, Error> {
        let mut chunk = Chunk::default();
        members(reader, |name, value| {
            chunk.is_known = true;
            match name {
                "candidates" => chunk.candidates = value.opt(Reader::raw)?,
                "usageMetadata" => {
                    self.counts.read(value)?;
                    chunk.has_usage = true;
                }
                "modelVersion" => chunk.model = value.opt(Reader::string)?,
                "responseId" => chunk.id = value.opt(Reader::string)?,
                "traceId" => chunk.id = chunk.id.take().or(value.opt(Reader::string)?),
                "createTime" => chunk.created = value.opt(Reader::str)?.and_then(|time| seconds(&time)),
                "promptFeedback" => chunk.prompt_feedback = value.opt(Reader::raw)?,
                "response" => chunk.response = value.opt(Reader::raw)?,
                "error" => chunk.error = value.opt(Reader::raw)?,
                _ => chunk.is_known = false,
            }
            Ok(())
        })?;
        chunk.is_known = chunk.candidates.is_some()
            || chunk.response.is_some()
            || chunk.has_usage
            || chunk.prompt_feedback.is_some()
            || chunk.model.is_some()
            || chunk.id.is_some()
            || chunk.error.is_some();
        Ok(chunk)
    }

    fn start(&mut self, chunk: &Chunk<'_>, trace: Option<&str>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        self.usage = self.counts.is_seen().then(|| self.counts.usage());
        out.push(Event::Start(Box::new(Response {
            id: chunk.id.as_deref().or(trace).filter(|id| !id.is_empty()).map(Into::into),
            model: chunk.model.as_deref().filter(|model| !model.is_empty()).map(Into::into),
            created: chunk.created,
            usage: self.usage.clone(),
            ..Response::new(Format::Gemini)
        })));
    }

    fn feedback(&mut self, feedback: &str) -> Result<(), Error> {
        let mut reason = None;
        let mut message = None;
        members(&mut Reader::new(feedback), |name, value| {
            match name {
                "blockReason" => reason = value.opt(Reader::string)?,
                "blockReasonMessage" => message = value.opt(Reader::string)?,
                _ => {}
            }
            Ok(())
        })?;
        self.ext.set("promptFeedback", Raw::new(feedback));
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            let explanation = message.filter(|message| !message.is_empty()).unwrap_or(reason);
            self.blocked =
                Some(Stop { explanation: Some(explanation.into()), ..Stop::new(StopReason::ContentFilter) });
        }
        Ok(())
    }

    fn candidate(
        &mut self,
        reader: &mut Reader<'_>,
        position: u32,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let found = Found::read(reader)?;
        let index = found.index.unwrap_or(position);
        let at = self.candidates.iter().position(|candidate| candidate.index == index).unwrap_or_else(|| {
            self.candidates.push(Candidate::new(index));
            self.candidates.len() - 1
        });
        match self.candidates.get_mut(at) {
            Some(candidate) => candidate.take(found, &self.context, out),
            None => Ok(()),
        }
    }

    fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        self.is_over = true;
        for candidate in &mut self.candidates {
            candidate.close(out);
        }
        out.push(Event::Error(Box::new(fault)));
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.is_over = true;
        if !self.is_started {
            self.start(&Chunk::default(), None, out);
        }
        if self.candidates.is_empty() {
            self.candidates.push(Candidate::new(0));
        }
        self.candidates.sort_by_key(|candidate| candidate.index);
        if self.candidates.iter().any(Candidate::has_unnamed_call) {
            return self.fail(Fault::unnamed_call(), out);
        }
        if self.candidates.iter().any(Candidate::has_garbled_call) {
            let message =
                "the arguments of the upstream's tool call came in pieces that cannot be put together";
            return self.fail(Fault::new(Kind::BadUpstream, message).with_code("upstream_malformed"), out);
        }
        if self.candidates.iter().all(|candidate| candidate.failure().is_some())
            && let Some(fault) = self.candidates.first().and_then(Candidate::failure)
        {
            return self.fail(fault, out);
        }
        let mut status = Status::Completed;
        for candidate in &mut self.candidates {
            let reason = candidate.stop(self.blocked.take(), &self.context, out);
            if super::super::stop::is_cut(reason) {
                status = Status::Incomplete;
            }
        }
        // Beside the counts only the last word matters.
        let ext = self.counts.rest();
        if !ext.is_empty() {
            out.push(Event::Usage(Box::new(Usage { ext, ..self.counts.usage() })));
        }
        out.push(Event::End { status, ext: std::mem::take(&mut self.ext) });
    }

    fn is_complete(&self) -> bool {
        self.is_body
            || self.blocked.is_some()
            || (self.candidates.iter().any(|candidate| candidate.index == 0)
                && self.candidates.iter().all(Candidate::is_finished))
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.is_over || self.is_closed {
            return;
        }
        let data = match frame {
            Frame::Comment => return out.push(Event::Ping),
            Frame::Data { data, .. } => data.trim(),
        };
        if data.is_empty() {
            return;
        }
        if data == "[DONE]" {
            self.is_closed = true;
            return;
        }
        let mut reader = Reader::new(data);
        match self.chunk(&mut reader, None, out).and_then(|()| reader.finish()) {
            Ok(()) => self.failures = 0,
            Err(_) if self.is_over => {}
            Err(error) => {
                self.failures += 1;
                out.push(Event::Warning(format!("skipped a frame that is no chunk: {error}")));
                if self.failures >= MAX_FAILURES {
                    let fault = Fault::new(Kind::BadUpstream, "the upstream's stream cannot be read");
                    self.fail(fault.with_code("upstream_malformed"), out);
                }
            }
        }
    }

    fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Event>) {
        if self.is_over {
            return;
        }
        if self.is_complete() {
            // All that was to come has come; how the connection ended says nothing about the answer.
            self.end(out);
        } else {
            self.fail(broken.unwrap_or_else(Fault::truncated), out);
        }
    }
}

/// Reads a whole body as events.
pub(in crate::gemini) fn decode_body(
    body: &[u8],
    context: &UpstreamContext,
    out: &mut Vec<Event>,
) -> Result<(), Error> {
    let mut decoder = Decoder { is_body: true, ..Decoder::new(context.clone()) };
    let mut reader = Reader::from_bytes(body)?;
    decoder.chunk(&mut reader, None, out)?;
    reader.finish()?;
    decoder.finish(None, out);
    Ok(())
}

/// Unix seconds of an RFC 3339 time in UTC.
fn seconds(time: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !time.ends_with('Z') {
        return None;
    }
    // Days since the epoch, with years that begin in March so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    (days.checked_sub(719_469)?).checked_mul(86_400)?.checked_add(hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_unix_seconds() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2024-02-29T12:34:56.789Z"), Some(1_709_210_096));
        assert_eq!(seconds("2026-07-28T00:00:00Z"), Some(1_785_196_800));
        assert_eq!(seconds("yesterday"), None);
    }
}
