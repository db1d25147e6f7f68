//! The answer side of the passthrough lanes: bytes in, bytes out, and a tap beside them.

use bytes::Bytes;

use super::edit::Changes;
use super::gate::{ArrayGate, Gate};
use super::line::{Lines, emit};
use super::tap::{Progress, Tap};
use crate::fault::{self, Fault};
use crate::format::Format;
use crate::json;
use crate::model::Usage;
use crate::sse::{self, Ending, Frame, Shape, StreamReader};

/// Passes a stream on.
///
/// Chunks come out as they went in, changed only where [`Changes`] says so. Until the upstream's kind of body is known,
/// and for good when it is no stream at all, nothing comes out: then [`Relay::finish`] hands over the body, to be
/// decoded and unfolded.
#[derive(Debug)]
pub struct Relay {
    format: Format,
    changes: Changes,
    reader: StreamReader,
    tap: Tap,
    output: Output,
    is_array_open: bool,
}

#[derive(Debug)]
enum Output {
    /// White space that came before anything that says what the body is.
    Undecided(Vec<Bytes>),
    /// Lane 1, events.
    Events(Gate),
    /// Lane 1, a JSON array.
    Array(ArrayGate),
    /// Lane 2, event stream in and out.
    Lines(Gate, Lines),
    /// Lane 2, element by element, written as events or as an array.
    Elements { is_sse: bool },
    /// No stream.
    Nothing,
}

impl Relay {
    /// A relay for an answer of `format`; frames above `limit` bytes are refused.
    pub fn new(format: Format, changes: Changes, limit: usize) -> Self {
        Self {
            format,
            changes,
            reader: StreamReader::new(limit),
            tap: Tap::new(format),
            output: Output::Undecided(Vec::new()),
            is_array_open: false,
        }
    }

    /// Chat: a relay for the answer to a request for `n_choices` at once, which ends when the last of them has.
    #[must_use]
    pub fn awaiting(self, n_choices: u32) -> Self {
        Self { tap: self.tap.awaiting(n_choices), ..self }
    }

    /// What was read along.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// How far the stream has come: while [`Progress::Announced`] or less, the bytes may be held back and an error may
    /// still be answered by another upstream.
    pub fn progress(&self) -> Progress {
        self.tap.progress()
    }

    /// After the end: whether the stream broke off before the end that its format prescribes.
    pub fn is_truncated(&self) -> bool {
        !self.tap.is_complete()
    }

    /// Whether what came out so far ends with a whole frame, so that a sign of life may follow.
    pub fn is_between_frames(&self) -> bool {
        !matches!(self.output, Output::Array(_))
    }

    /// Takes the next chunk; what is to be sent comes to `out`.
    ///
    /// # Errors
    /// When a frame is too large; nothing more comes out.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Fault> {
        let mut elements = Vec::new();
        self.read(&chunk, &mut elements)?;
        let waiting = self.decide();
        for chunk in waiting.into_iter().flatten().chain(Some(chunk)) {
            match &mut self.output {
                Output::Undecided(waiting) => waiting.push(chunk),
                Output::Events(gate) => emit(out, gate.push(&chunk)),
                Output::Array(gate) => emit(out, gate.push(&chunk)),
                Output::Lines(gate, lines) => lines.push(&gate.push(&chunk), out),
                Output::Elements { .. } | Output::Nothing => {}
            }
        }
        if let Output::Elements { is_sse } = self.output {
            let bytes = self.elements(elements, is_sse);
            emit(out, bytes);
        }
        Ok(())
    }

    /// Reads a chunk along; the data of its frames are kept only where the output is made of them.
    fn read(&mut self, chunk: &[u8], elements: &mut Vec<String>) -> Result<(), Fault> {
        let tap = &mut self.tap;
        let keeps = match self.output {
            Output::Elements { .. } => true,
            Output::Undecided(_) => self.changes.has_edits() || self.changes.is_sse.is_some(),
            _ => false,
        };
        let mut each = |frame: Frame<'_>| {
            tap.frame(&frame);
            if keeps && let Frame::Data { data, .. } = frame {
                elements.push(data.to_owned());
            }
        };
        self.reader.push(chunk, &mut each)
    }

    /// Chooses the output once the shape of the stream is known, and gives back what waited for that.
    fn decide(&mut self) -> Option<Vec<Bytes>> {
        let Output::Undecided(waiting) = &mut self.output else { return None };
        let shape = self.reader.shape()?;
        let waiting = std::mem::take(waiting);
        let wants_sse = self.changes.is_sse.unwrap_or(shape == Shape::Events);
        self.output = match shape {
            Shape::Events if wants_sse && !self.changes.has_edits() => Output::Events(Gate::new()),
            Shape::Events if wants_sse => {
                Output::Lines(Gate::new(), Lines::new(self.format, self.changes.clone()))
            }
            Shape::Array if !wants_sse && !self.changes.has_edits() => Output::Array(ArrayGate::default()),
            Shape::Events | Shape::Array => Output::Elements { is_sse: wants_sse },
            Shape::Object | Shape::Markup => Output::Nothing,
        };
        Some(waiting)
    }

    fn elements(&mut self, elements: Vec<String>, is_sse: bool) -> Bytes {
        let mut bytes = Vec::new();
        for data in elements {
            let Some(data) = self.changes.frame(self.format, &data) else { continue };
            if is_sse {
                sse::data(&mut bytes, |out| {
                    out.extend(data.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
                });
            } else {
                self.separate(&mut bytes);
                bytes.extend_from_slice(data.as_bytes());
            }
        }
        bytes.into()
    }

    fn separate(&mut self, bytes: &mut Vec<u8>) {
        let is_first = !std::mem::replace(&mut self.is_array_open, true);
        bytes.extend_from_slice(if is_first { b"[" } else { b",\n" });
    }

    /// The upstream's stream is over; what is left comes to `out`.
    ///
    /// # Errors
    /// When the body was no stream but a page.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<Ending, Fault> {
        let mut elements = Vec::new();
        let tap = &mut self.tap;
        // What looked like one body may be JSON lines, of which the output is made then.
        let keeps = matches!(self.output, Output::Undecided(_) | Output::Elements { .. } | Output::Nothing);
        let ending = self.reader.finish(&mut |frame| {
            tap.frame(&frame);
            if keeps && let Frame::Data { data, .. } = frame {
                elements.push(data.to_owned());
            }
        })?;
        // JSON lines turn out to be a stream only now.
        if matches!(self.output, Output::Nothing) && ending == Ending::Stream {
            self.output = Output::Elements { is_sse: self.changes.is_sse.unwrap_or(true) };
        }
        // A frame that was cut would only break the client's parser.
        let is_complete = self.tap.is_complete();
        match &mut self.output {
            Output::Events(gate) if is_complete => emit(out, gate.finish()),
            Output::Array(gate) if is_complete => emit(out, gate.finish()),
            Output::Lines(gate, lines) if is_complete => {
                lines.push(&gate.finish(), out);
                lines.finish(out);
            }
            Output::Elements { is_sse } => {
                let is_sse = *is_sse;
                let mut bytes = Vec::from(self.elements(elements, is_sse));
                if !is_sse && is_complete {
                    self.close(&mut bytes);
                }
                emit(out, bytes.into());
            }
            _ => {}
        }
        Ok(ending)
    }

    fn close(&mut self, bytes: &mut Vec<u8>) {
        if !self.is_array_open {
            bytes.push(b'[');
        }
        bytes.push(b']');
    }

    /// The bytes that end a broken stream with an error in the client's format. `request_id` is the gateway's.
    pub fn fail(&mut self, fault: &Fault, request_id: &str) -> Bytes {
        let mut out = Vec::new();
        let is_array = match &self.output {
            Output::Elements { is_sse } => !is_sse,
            Output::Array(gate) => {
                self.is_array_open = gate.has_passed();
                true
            }
            _ => self.changes.is_sse == Some(false),
        };
        if is_array {
            self.separate(&mut out);
            fault::write_gemini_error(&mut out, fault);
            out.push(b']');
            return out.into();
        }
        match self.format {
            Format::Chat => sse::data(&mut out, |out| fault::write_chat_error(out, fault)),
            Format::Gemini => sse::data(&mut out, |out| fault::write_gemini_error(out, fault)),
            Format::Claude => {
                sse::event(&mut out, "error", |out| fault::write_claude_error(out, fault, request_id));
            }
            Format::Responses => self.fail_response(fault, &mut out),
        }
        out.into()
    }

    fn fail_response(&self, fault: &Fault, out: &mut Vec<u8>) {
        let code = fault::responses_error_code(fault);
        let message = fault::responses_error_message(fault);
        let number = self.tap.frames();
        sse::event(out, "error", |out| {
            json::object(out, |event| {
                event.str("type", "error");
                event.u64("sequence_number", number);
                event.str("code", code);
                event.str("message", &message);
                event.null("param");
            });
        });
        sse::event(out, "response.failed", |out| {
            json::object(out, |event| {
                event.str("type", "response.failed");
                event.u64("sequence_number", number + 1);
                event.object("response", |response| {
                    response.opt_str("id", self.tap.id());
                    response.str("object", "response");
                    response.str("status", "failed");
                    response.object("error", |error| {
                        error.str("code", code);
                        error.str("message", &message);
                    });
                    response.null("incomplete_details");
                    response.opt_str("model", self.changes.model.as_deref().or_else(|| self.tap.model()));
                    response.array("output", |_| {});
                });
            });
        });
    }
}

/// A whole body on its way between equal formats.
#[derive(Debug)]
pub struct Body {
    /// What to send.
    pub bytes: Bytes,
    /// Whether it is JSON: a body that was cut off, or is a page, must not look like an answer.
    pub is_json: bool,
    /// Whether it has a member that answers or errors of the format have.
    pub is_answer: bool,
    /// Whether it is an answer without anything in it ([`Tap::is_empty`]).
    pub is_empty: bool,
    /// What it cost.
    pub usage: Option<Usage>,
    /// The model that answered, as the upstream names it.
    pub model: Option<String>,
    /// The error that a success status hides.
    pub fault: Option<Fault>,
}

/// Passes a whole body on: untouched without changes.
pub fn body(format: Format, bytes: Bytes, changes: &Changes) -> Body {
    let mut tap = Tap::new(format);
    let read = tap.body(&bytes);
    let changed = if changes.has_edits() {
        std::str::from_utf8(&bytes)
            .ok()
            .map(|text| changes.body(format, text))
            .filter(|changed| changed.as_bytes() != bytes)
            .map(|changed| Bytes::from(changed.into_owned()))
    } else {
        None
    };
    Body {
        bytes: changed.unwrap_or(bytes),
        is_json: read.is_ok(),
        is_answer: read.unwrap_or(false),
        is_empty: tap.is_empty(),
        usage: tap.usage(),
        model: tap.model().map(str::to_owned),
        fault: tap.fault().cloned(),
    }
}

/// Whether a whole body is an answer without anything in it ([`Tap::is_empty`]).
pub fn is_empty(format: Format, bytes: &[u8]) -> bool {
    let mut tap = Tap::new(format);
    tap.body(bytes).is_ok() && tap.fault().is_none() && tap.is_empty()
}

/// What a whole body says it cost.
pub fn body_usage(format: Format, bytes: &[u8]) -> Option<Usage> {
    let mut tap = Tap::new(format);
    // What a broken body says before it breaks counts.
    let _malformed = tap.body(bytes);
    tap.usage()
}

#[cfg(test)]
mod tests {
    use super::super::edit::AnswerEnvelope;
    use super::*;
    use crate::json::Raw;

    /// What comes out at every chunk size, checked to be the same.
    fn relayed(format: Format, changes: &Changes, text: &str) -> String {
        let run = |size: usize| {
            let mut relay = Relay::new(format, changes.clone(), 1 << 20);
            let mut out = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                relay.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
            }
            relay.finish(&mut out).unwrap();
            String::from_utf8(out.concat()).unwrap()
        };
        let whole = run(text.len().max(1));
        for size in 1..40 {
            assert_eq!(run(size), whole, "chunks of {size}");
        }
        whole
    }

    const CHAT: &str = ": hi\r\n\r\ndata: {\"id\":\"1\",\"model\":\"up\",\"choices\":[{\"delta\":{\"content\":\"é\"}}]}  \r\n\r\ndata: {\"model\":\"up\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: {\"model\":\"up\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\r\n\r\ndata: [DONE]\r\n\r\n";

    #[test]
    fn without_changes_every_byte_passes() {
        assert_eq!(relayed(Format::Chat, &Changes::default(), CHAT), CHAT);
        let odd = "\n\n: x\ndata: not json\nevent: future\ndata: {}  \n\n";
        assert_eq!(relayed(Format::Claude, &Changes::default(), odd), odd);
        let array = " [{\"candidates\":[]},\n{\"candidates\":[{\"finishReason\":\"STOP\"}]}]\n";
        assert_eq!(relayed(Format::Gemini, &Changes::default(), array), array);
    }

    #[test]
    fn the_name_is_changed_in_every_chunk_and_nothing_else() {
        let changes = Changes { model: Some("mine".to_owned()), ..Changes::default() };
        assert_eq!(relayed(Format::Chat, &changes, CHAT), CHAT.replace("\"up\"", "\"mine\""));
    }

    #[test]
    fn an_injected_usage_chunk_goes_with_its_blank_line() {
        let changes = Changes { hides_usage: true, ..Changes::default() };
        let expected = CHAT
            .replace("data: {\"model\":\"up\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\r\n\r\n", "");
        assert_eq!(relayed(Format::Chat, &changes, CHAT), expected);
        assert_eq!(
            relayed(Format::Chat, &changes, &CHAT.replace("\r\n", "\n")),
            expected.replace("\r\n", "\n")
        );
        assert_eq!(
            relayed(Format::Chat, &changes, &CHAT.replace("\r\n", "\r")),
            expected.replace("\r\n", "\r")
        );
    }

    #[test]
    fn data_over_several_lines_is_joined_when_it_is_changed() {
        let changes = Changes { envelope: AnswerEnvelope::Unwrap, ..Changes::default() };
        let text =
            "data: {\ndata:  \"response\": {\"candidates\": [{\"finishReason\":\"STOP\"}]}\ndata: }\n\n";
        assert_eq!(
            relayed(Format::Gemini, &changes, text),
            "data: {\"candidates\": [{\"finishReason\":\"STOP\"}]}\n\n"
        );
    }

    #[test]
    fn a_last_frame_without_blank_line_is_passed_on() {
        let changes = Changes { model: Some("mine".to_owned()), ..Changes::default() };
        let text = "data: {\"model\":\"up\",\"choices\":[{\"finish_reason\":\"stop\"}]}";
        assert_eq!(relayed(Format::Chat, &changes, text), text.replace("up", "mine"));
    }

    #[test]
    fn gemini_streams_change_between_events_and_array() {
        let events = "data: {\"a\":1.0}\n\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n";
        let array = "[{\"a\":1.0},\n{\"candidates\":[{\"finishReason\":\"STOP\"}]}]";
        let wish = |is_sse| Changes { is_sse: Some(is_sse), ..Changes::default() };
        assert_eq!(relayed(Format::Gemini, &wish(false), events), array);
        assert_eq!(relayed(Format::Gemini, &wish(true), array), events);
        assert_eq!(relayed(Format::Gemini, &wish(true), events), events);
        assert_eq!(relayed(Format::Gemini, &wish(false), array), array);
        let wrapped = Changes { envelope: AnswerEnvelope::Wrap, ..Changes::default() };
        assert_eq!(
            relayed(Format::Gemini, &wrapped, array),
            "[{\"response\":{\"a\":1.0}},\n{\"response\":{\"candidates\":[{\"finishReason\":\"STOP\"}]}}]"
        );
    }

    #[test]
    fn a_body_instead_of_a_stream_is_handed_over() {
        let mut relay = Relay::new(Format::Chat, Changes::default(), 1 << 20);
        let mut out = Vec::new();
        relay.push(Bytes::from_static(b"\n{\"error\":"), &mut out).unwrap();
        relay.push(Bytes::from_static(b"{}}"), &mut out).unwrap();
        assert_eq!(relay.progress(), Progress::Nothing);
        assert_eq!(relay.finish(&mut out).unwrap(), Ending::Body(b"{\"error\":{}}".to_vec()));
        assert!(out.is_empty());
    }

    #[test]
    fn lines_of_json_are_passed_on_as_events() {
        let lines = "{\"model\":\"up\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n{\"model\":\"up\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n";
        let events: Vec<String> = lines.lines().map(|line| format!("data: {line}\n\n")).collect();
        let events = events.concat();
        assert_eq!(relayed(Format::Chat, &Changes::default(), lines), events);
        let changes = Changes { model: Some("mine".to_owned()), ..Changes::default() };
        assert_eq!(relayed(Format::Chat, &changes, lines), events.replace("up", "mine"));
    }

    #[test]
    fn a_broken_stream_ends_with_an_error_of_its_format() {
        let fault = Fault::truncated();
        for (format, sent, expected) in [
            (
                Format::Chat,
                "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
                "data: {\"error\":{\"message\":",
            ),
            (Format::Claude, "event: ping\ndata: {}\n", "event: error\ndata: {\"type\":\"error\""),
            (Format::Gemini, "data: {\"cand", "data: {\"error\":{\"code\":502"),
            (Format::Gemini, "[{\"candidates\":[]}", ",\n{\"error\":{\"code\":502"),
            (
                Format::Responses,
                "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}\n\n",
                "event: error\ndata: {\"type\":\"error\",\"sequence_number\":1",
            ),
        ] {
            let mut relay = Relay::new(format, Changes::default(), 1 << 20);
            let mut out = Vec::new();
            relay.push(Bytes::from(sent), &mut out).unwrap();
            relay.finish(&mut out).unwrap();
            assert!(relay.is_truncated());
            let end = relay.fail(&fault, "req_1");
            let end = std::str::from_utf8(&end).unwrap();
            assert!(end.starts_with(expected), "{end}");
            assert!(end.ends_with("\n\n") || end.ends_with("}]"), "{end}");
        }
    }

    #[test]
    fn an_array_that_breaks_off_anywhere_stays_one() {
        let text = "[{\"candidates\":[]},\r\n{\"candidates\":[{\"index\":0}]}\n]\n";
        for end in 1..=text.len() {
            let mut relay = Relay::new(Format::Gemini, Changes::default(), 1 << 20);
            let mut out = Vec::new();
            for chunk in text.as_bytes()[..end].chunks(7) {
                relay.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
            }
            relay.finish(&mut out).unwrap();
            out.push(relay.fail(&Fault::truncated(), "req_1"));
            let written = String::from_utf8(out.concat()).unwrap();
            let last = Raw::parse(&written).map(|array| array.as_str().contains("\"error\""));
            assert_eq!(last.ok(), Some(true), "{written}");
        }
    }

    #[test]
    fn bodies_pass_with_their_usage() {
        let text = r#"{"model":"up", "x":1.0,"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let plain = body(Format::Chat, Bytes::from_static(text.as_bytes()), &Changes::default());
        assert_eq!((plain.bytes.as_ref(), plain.usage.unwrap().total()), (text.as_bytes(), 3));
        let changes = Changes { model: Some("mine".to_owned()), ..Changes::default() };
        let changed = body(Format::Chat, Bytes::from_static(text.as_bytes()), &changes);
        assert_eq!(changed.bytes, text.replace("up", "mine"));
        assert_eq!((changed.model.as_deref(), changed.fault), (Some("up"), None));
    }
}
