//! Reading along: what the books, the logs and failover need to know of an answer that is only passed through.
//!
//! A stream consists of thousands of small frames of which a handful say something of interest. So a frame is parsed
//! only when its event name or a substring shows that it may; the rest costs a search. Nothing here changes or holds
//! back a byte.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::Error;
use crate::fault::{self, Fault};
use crate::format::Format;
use crate::json::{Kind, Reader};
use crate::model::{Str, Usage};
use crate::sse::Frame;
use crate::usage::Counts;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Nothing but signs of life.
    Nothing,
    /// Frames that announce an answer without a piece of it: role chunks, `message_start`, `response.created`. An
    /// error may still come instead, and then another upstream may be tried.
    Announced,
    /// A piece of the answer, or an end that explains why there is none.
    Started,
    /// An error, before or after pieces of the answer.
    Failed,
}

/// What was read along so far.
#[derive(Debug)]
pub struct Tap {
    format: Format,
    progress: Progress,
    is_complete: bool,
    /// `[DONE]`: what follows means nothing.
    is_over: bool,
    frames: u64,
    counts: Counts,
    model: Option<Str>,
    id: Option<Str>,
    fault: Option<Fault>,
}

// Made once: a searcher is half a kilobyte, and a tap lives as long as its stream.
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));

impl Tap {
    /// A tap on an answer of `format`.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            progress: Progress::Nothing,
            is_complete: false,
            is_over: false,
            frames: 0,
            counts: Counts::new(format),
            model: None,
            id: None,
            fault: None,
        }
    }

    /// How far the stream has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// True once the answer has ended as its format prescribes, well or in failure.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether the answer has ended regularly and without a piece of it: neither content, nor tokens that were spent on
    /// some, nor an end that explains it. Such an answer is an upstream's failure that does not call itself one.
    pub fn is_empty(&self) -> bool {
        let has_written = || self.usage().and_then(|usage| usage.output).is_some_and(|output| output > 0);
        self.is_complete && self.progress < Progress::Started && !has_written()
    }

    /// What the answer cost, as it goes into the books.
    pub fn usage(&self) -> Option<Usage> {
        self.counts.is_seen().then(|| self.counts.billed())
    }

    /// The model that answers, as the upstream names it.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The upstream's id of the answer.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The error that the answer reports.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// How many frames with data came.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Reads a whole body; true when it is an answer or an error, by having a member that one has. What a body lacks
    /// of a stream (an end) it has by being whole.
    ///
    /// # Errors
    /// When the body is not JSON. What was read before that is kept.
    pub fn body(&mut self, body: &[u8]) -> Result<bool, Error> {
        let mut reader = Reader::from_bytes(body)?;
        if reader.kind() == Kind::Array {
            // Chunks of a Gemini stream, or an error in the way of Google's Chat endpoint.
            reader.array(|_, element| self.whole(element))?;
        } else {
            self.whole(&mut reader)?;
        }
        reader.finish()?;
        let is_named = self.id.is_some() || self.model.is_some() || self.counts.is_seen();
        let is_answer = self.progress > Progress::Nothing || is_named;
        self.complete();
        Ok(is_answer)
    }

    fn whole(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        if reader.kind() != Kind::Object {
            return reader.skip();
        }
        match self.format {
            Format::Chat => self.chat_members(reader),
            Format::Responses => self.response(reader),
            Format::Claude => self.message(reader),
            Format::Gemini => self.gemini_members(reader),
        }
    }

    /// Reads one frame.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        let Frame::Data { event, data } = *frame else { return };
        if self.is_over {
            return;
        }
        self.frames += 1;
        // A frame that is no JSON says nothing; the upstream's bytes are not ours to judge here.
        let _malformed = match self.format {
            Format::Chat => self.chat(data),
            Format::Responses => self.responses(event.unwrap_or_else(|| kind_of(data)), data),
            Format::Claude => self.claude(event.unwrap_or_else(|| kind_of(data)), data),
            Format::Gemini => self.gemini_members(&mut Reader::new(data)),
        };
    }

    fn reach(&mut self, progress: Progress) {
        self.progress = self.progress.max(progress);
    }

    fn complete(&mut self) {
        self.is_complete = true;
    }

    /// The end, with a reason. Only the regular one does not explain an answer without content.
    fn complete_for(&mut self, reason: &str, regular: &str) {
        self.complete();
        if reason != regular {
            self.reach(Progress::Started);
        }
    }

    fn fail(&mut self, value: &mut Reader<'_>) {
        if let Some(fault) = fault::in_success(self.format, value) {
            self.fault.get_or_insert(fault);
            self.progress = Progress::Failed;
            self.is_complete = true;
        }
    }

    fn name(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        if self.model.is_none() && value.kind() == Kind::String {
            self.model = Some(value.str()?.into()).filter(|name: &Str| !name.is_empty());
        }
        Ok(())
    }

    fn identify(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        if self.id.is_none() && value.kind() == Kind::String {
            self.id = Some(value.str()?.into()).filter(|id: &Str| !id.is_empty());
        }
        Ok(())
    }

    fn chat(&mut self, data: &str) -> Result<(), Error> {
        if data.trim() == "[DONE]" {
            self.is_over = true;
            self.complete();
            return Ok(());
        }
        let says_something = self.progress < Progress::Started
            || [&FINISH, &USAGE, &ERROR].into_iter().any(|key| is_set(data, key));
        if says_something { self.chat_members(&mut Reader::new(data)) } else { Ok(()) }
    }

    fn chat_members(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut is_announced = false;
        reader.object(|key, value| match key {
            "error" => {
                self.fail(value);
                Ok(())
            }
            "usage" => self.counts.read(value),
            "model" => self.name(value),
            "id" => self.identify(value),
            "x_groq" if value.kind() == Kind::Object => value.object(|key, value| {
                match key {
                    "error" => self.fail(value),
                    "usage" if value.kind() == Kind::Object => self.counts.read(value)?,
                    _ => {}
                }
                Ok(())
            }),
            "choices" if value.kind() == Kind::Array => value.array(|_, choice| {
                is_announced = true;
                self.choice(choice)
            }),
            _ => Ok(()),
        })?;
        if is_announced {
            self.reach(Progress::Announced);
        }
        Ok(())
    }

    fn choice(&mut self, choice: &mut Reader<'_>) -> Result<(), Error> {
        if choice.kind() != Kind::Object {
            return choice.skip();
        }
        choice.object(|key, value| match key {
            "finish_reason" if value.kind() == Kind::String => {
                // Aggregators mark a choice that an `error` beside it explains.
                let reason = value.str()?;
                if reason != "error" {
                    self.complete_for(&reason, "stop");
                }
                Ok(())
            }
            "usage" if value.kind() == Kind::Object => self.counts.read(value),
            "delta" | "message" if value.kind() == Kind::Object => value.object(|key, value| {
                if key != "role" && !is_blank(value.raw()?) {
                    self.reach(Progress::Started);
                }
                Ok(())
            }),
            _ => Ok(()),
        })
    }

    fn claude(&mut self, kind: &str, data: &str) -> Result<(), Error> {
        let mut reader = Reader::new(data);
        match kind {
            "content_block_delta" | "content_block_start" | "content_block_stop" => {
                self.reach(Progress::Started);
                Ok(())
            }
            "ping" => Ok(()),
            "message_start" => {
                self.reach(Progress::Announced);
                reader.object(|key, value| match key {
                    "message" if value.kind() == Kind::Object => self.message(value),
                    _ => Ok(()),
                })
            }
            "message_delta" => reader.object(|key, value| match key {
                "usage" => self.counts.read(value),
                "delta" if value.kind() == Kind::Object => value.object(|key, value| {
                    if key == "stop_reason" && value.kind() == Kind::String {
                        self.complete_for(&value.str()?, "end_turn");
                    }
                    Ok(())
                }),
                _ => Ok(()),
            }),
            "message_stop" => {
                self.complete();
                Ok(())
            }
            _ if kind == "error" || is_set(data, &ERROR) => reader.object(|key, value| {
                if key == "error" {
                    self.fail(value);
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn message(&mut self, message: &mut Reader<'_>) -> Result<(), Error> {
        message.object(|key, value| match key {
            "usage" => self.counts.read(value),
            "model" => self.name(value),
            "id" => self.identify(value),
            "content" => self.list(value),
            "stop_reason" if value.kind() == Kind::String => {
                if value.str()? != "end_turn" {
                    self.reach(Progress::Started);
                }
                Ok(())
            }
            "error" => {
                self.fail(value);
                Ok(())
            }
            _ => Ok(()),
        })
    }

    /// The pieces of a whole answer.
    fn list(&mut self, list: &mut Reader<'_>) -> Result<(), Error> {
        self.reach(Progress::Announced);
        if list.kind() != Kind::Array {
            return list.skip();
        }
        list.array(|_, piece| {
            self.reach(Progress::Started);
            piece.skip()
        })
    }

    fn responses(&mut self, kind: &str, data: &str) -> Result<(), Error> {
        let mut reader = Reader::new(data);
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.reach(Progress::Announced);
                if self.id.is_some() { Ok(()) } else { self.lifecycle(&mut reader) }
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                self.complete();
                self.lifecycle(&mut reader)
            }
            "response.failed" => {
                self.is_complete = true;
                self.lifecycle(&mut reader)?;
                if self.fault.is_none() {
                    self.fail(&mut Reader::new("\"the upstream's response failed\""));
                }
                Ok(())
            }
            "error" => {
                self.fail(&mut reader);
                Ok(())
            }
            _ if kind.starts_with("response.") => {
                self.reach(Progress::Started);
                Ok(())
            }
            // A frame without type is an error object of something between us and the upstream.
            "" if is_set(data, &ERROR) => reader.object(|key, value| {
                if key == "error" {
                    self.fail(value);
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn lifecycle(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        reader.object(|key, value| match key {
            "response" if value.kind() == Kind::Object => self.response(value),
            _ => Ok(()),
        })
    }

    fn response(&mut self, response: &mut Reader<'_>) -> Result<(), Error> {
        response.object(|key, value| match key {
            "usage" => self.counts.read(value),
            "model" => self.name(value),
            "id" => self.identify(value),
            "output" => self.list(value),
            "status" if value.kind() == Kind::String => {
                if matches!(&*value.str()?, "incomplete" | "cancelled" | "queued") {
                    self.reach(Progress::Started);
                }
                Ok(())
            }
            // What is worked on behind the scenes has no content yet.
            "background" if value.kind() == Kind::Bool => {
                if value.bool()? {
                    self.reach(Progress::Started);
                }
                Ok(())
            }
            "error" => {
                self.fail(value);
                Ok(())
            }
            _ => Ok(()),
        })
    }

    fn gemini_members(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        if reader.kind() != Kind::Object {
            return reader.skip();
        }
        reader.object(|key, value| match key {
            "error" => {
                self.fail(value);
                Ok(())
            }
            // The Code Assist envelope.
            "response" if value.kind() == Kind::Object => self.gemini_members(value),
            "usageMetadata" => self.counts.read(value),
            "modelVersion" => self.name(value),
            "responseId" => self.identify(value),
            "promptFeedback" if value.kind() == Kind::Object => value.object(|key, value| {
                if key == "blockReason" && value.kind() == Kind::String {
                    self.complete_for("", "STOP");
                }
                Ok(())
            }),
            "candidates" if value.kind() == Kind::Array => value.array(|_, candidate| {
                self.reach(Progress::Announced);
                if candidate.kind() != Kind::Object {
                    return candidate.skip();
                }
                candidate.object(|key, value| match key {
                    "finishReason" if value.kind() == Kind::String => {
                        self.complete_for(&value.str()?, "STOP");
                        Ok(())
                    }
                    "content" if value.kind() == Kind::Object && self.progress < Progress::Started => value
                        .object(|key, value| match key {
                            "parts" => self.parts(value),
                            _ => Ok(()),
                        }),
                    // Grounding and citations are said about something.
                    "groundingMetadata" | "citationMetadata" | "urlContextMetadata" => {
                        self.reach(Progress::Started);
                        Ok(())
                    }
                    _ => Ok(()),
                })
            }),
            _ => Ok(()),
        })
    }

    /// The parts of a Gemini chunk. The last one may carry an empty text that says nothing.
    fn parts(&mut self, parts: &mut Reader<'_>) -> Result<(), Error> {
        if parts.kind() != Kind::Array {
            return parts.skip();
        }
        parts.array(|_, part| {
            if part.kind() != Kind::Object {
                return part.skip();
            }
            part.object(|key, value| {
                if key != "thought" && !is_blank(value.raw()?) {
                    self.reach(Progress::Started);
                }
                Ok(())
            })
        })
    }
}

/// Whether `key` occurs in `data` with a value other than `null`. Inside strings quotes are escaped, so a hit is a
/// member somewhere, or a string that equals the key.
fn is_set(data: &str, key: &Finder<'_>) -> bool {
    key.find_iter(data.as_bytes()).any(|at| {
        let rest = data.get(at + key.needle().len()..).unwrap_or_default().trim_start();
        rest.strip_prefix(':').is_some_and(|value| !value.trim_start().starts_with("null"))
    })
}

fn is_blank(value: &str) -> bool {
    matches!(value, "null" | "\"\"" | "[]" | "{}")
}

/// The `type` member of a frame that came without an event name; it is the first one everywhere.
pub(super) fn kind_of(data: &str) -> &str {
    let unquoted = |value: &'_ str| -> Option<usize> { value.strip_prefix('"')?.find('"') };
    let fast = data.strip_prefix("{\"type\":\"").and_then(|rest| rest.split_once('"'));
    if let Some((kind, _)) = fast {
        return kind;
    }
    crate::json::member(data, "type").and_then(|value| value.get(1..1 + unquoted(value)?)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind as FaultKind;

    fn tapped(format: Format, frames: &[(&str, &str)]) -> Tap {
        let mut tap = Tap::new(format);
        for (event, data) in frames {
            tap.frame(&Frame::Data { event: Some(*event).filter(|name| !name.is_empty()), data });
        }
        tap
    }

    #[test]
    fn chat_is_announced_by_its_role_started_by_content_and_complete_by_a_finish_reason() {
        let preamble = ("", r#"{"id":"","choices":[],"prompt_filter_results":[]}"#);
        let role = (
            "",
            r#"{"id":"c1","model":"m","choices":[{"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#,
        );
        let text = ("", r#"{"choices":[{"delta":{"content":"say \"usage\": 1"},"finish_reason":null}]}"#);
        let end = ("", r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#);
        let usage = ("", r#"{"choices":[],"usage": {"prompt_tokens":3,"completion_tokens":4}}"#);
        assert_eq!(tapped(Format::Chat, &[preamble]).progress(), Progress::Nothing);
        assert_eq!(tapped(Format::Chat, &[preamble, role]).progress(), Progress::Announced);
        let tap = tapped(Format::Chat, &[role, text]);
        assert_eq!((tap.progress(), tap.is_complete(), tap.usage()), (Progress::Started, false, None));
        let tap = tapped(
            Format::Chat,
            &[role, text, end, usage, ("", "[DONE]"), ("", "{\"error\":{\"message\":\"x\"}}")],
        );
        assert!(tap.is_complete() && tap.fault().is_none());
        assert_eq!(tap.usage().unwrap().total(), 7);
        assert_eq!((tap.model(), tap.id()), (Some("m"), Some("c1")));
    }

    #[test]
    fn chat_errors_inside_chunks_are_seen() {
        let chunk = (
            "",
            r#"{"id":"x","choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"boom"}}"#,
        );
        let tap = tapped(Format::Chat, &[chunk]);
        assert_eq!(tap.progress(), Progress::Failed);
        assert!(tap.fault().unwrap().message.contains("boom"));
        let null = ("", r#"{"choices":[{"delta":{"content":"a"}}],"error":null}"#);
        assert_eq!(tapped(Format::Chat, &[null]).fault(), None);
    }

    #[test]
    fn claude_usage_is_merged_and_pings_are_nothing() {
        let start = (
            "message_start",
            r#"{"type":"message_start","message":{"id":"m1","model":"c","usage":{"input_tokens":20,"output_tokens":1}}}"#,
        );
        let ping = ("ping", r#"{"type":"ping"}"#);
        let delta =
            ("", r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"error"}}"#);
        let end = (
            "message_delta",
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
        );
        assert_eq!(tapped(Format::Claude, &[ping]).progress(), Progress::Nothing);
        assert_eq!(tapped(Format::Claude, &[start, ping]).progress(), Progress::Announced);
        let tap = tapped(Format::Claude, &[start, delta]);
        assert_eq!((tap.progress(), tap.is_complete()), (Progress::Started, false));
        let tap = tapped(Format::Claude, &[start, delta, end]);
        assert!(tap.is_complete());
        assert_eq!(tap.usage().unwrap().total(), 29);
        let error =
            ("error", r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
        let tap = tapped(Format::Claude, &[start, error]);
        assert_eq!(tap.fault().unwrap().kind, FaultKind::Overloaded);
    }

    #[test]
    fn responses_are_complete_with_their_terminal_event() {
        let created = (
            "",
            r#"{"type":"response.created","response":{"id":"r1","model":"m","usage":null,"error":null}}"#,
        );
        let delta = ("response.output_text.delta", "{}");
        let done = (
            "response.completed",
            r#"{"type":"response.completed","response":{"id":"r1","error":null,"usage":{"input_tokens":1,"output_tokens":2}}}"#,
        );
        assert_eq!(tapped(Format::Responses, &[created]).progress(), Progress::Announced);
        assert_eq!(
            tapped(Format::Responses, &[created, ("keepalive", "{}")]).progress(),
            Progress::Announced
        );
        let tap = tapped(Format::Responses, &[created, delta]);
        assert_eq!((tap.progress(), tap.is_complete()), (Progress::Started, false));
        let tap = tapped(Format::Responses, &[created, delta, done]);
        assert_eq!((tap.is_complete(), tap.usage().unwrap().total()), (true, 3));
        let failed = (
            "response.failed",
            r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"slow"}}}"#,
        );
        let tap = tapped(Format::Responses, &[created, failed]);
        assert_eq!(tap.fault().unwrap().kind, FaultKind::RateLimit);
        for error in [
            r#"{"type":"error","code":"server_error","message":"m","param":null}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","code":"c","message":"m","param":null}}"#,
        ] {
            let tap = tapped(Format::Responses, &[("error", error)]);
            assert_eq!(tap.fault().unwrap().message, "m");
        }
    }

    #[test]
    fn gemini_is_read_inside_and_outside_the_envelope() {
        let chunk = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"error":"x","usageMetadata":1}}}]}}],"usageMetadata":{"promptTokenCount":5},"modelVersion":"g"}"#;
        let last = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"candidatesTokenCount":2}}"#;
        for wrap in [false, true] {
            let frame = |data: &str| if wrap { format!("{{\"response\":{data}}}") } else { data.to_owned() };
            let tap = tapped(Format::Gemini, &[("", &frame(chunk))]);
            assert_eq!((tap.progress(), tap.is_complete(), tap.fault()), (Progress::Started, false, None));
            let tap = tapped(Format::Gemini, &[("", &frame(chunk)), ("", &frame(last))]);
            assert_eq!((tap.is_complete(), tap.model()), (true, Some("g")));
            assert_eq!(tap.usage().unwrap().total(), 7);
        }
        assert!(
            tapped(Format::Gemini, &[("", r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#)]).is_complete()
        );
    }

    #[test]
    fn bodies_are_read_too() {
        for (format, body) in [
            (Format::Chat, r#"{"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#),
            (Format::Responses, r#"{"model":"m","error":null,"usage":{"input_tokens":3,"output_tokens":4}}"#),
            (Format::Claude, r#"{"model":"m","usage":{"input_tokens":3,"output_tokens":4}}"#),
            (
                Format::Gemini,
                r#"[{"modelVersion":"m"},{"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4}}]"#,
            ),
        ] {
            let mut tap = Tap::new(format);
            tap.body(body.as_bytes()).unwrap();
            assert_eq!((tap.usage().unwrap().total(), tap.model()), (7, Some("m")), "{format:?}");
            assert_eq!(tap.fault(), None);
        }
        let mut tap = Tap::new(Format::Chat);
        tap.body(br#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]"#).unwrap();
        assert_eq!(tap.progress(), Progress::Failed);
    }
}
