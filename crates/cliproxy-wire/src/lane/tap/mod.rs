//! Reading along: what the books, the logs and failover need to know of an answer that is only passed through.
//!
//! A stream consists of thousands of small frames of which a handful say something of interest. So a frame is parsed
//! only when its event name or a substring shows that it may; the rest costs a search. Nothing here changes or holds
//! back a byte. What a frame of a format says is read in the file of that format.

mod chat;
mod claude;
mod gemini;
mod responses;

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
    /// How many answers were asked for.
    n_choices: u32,
    /// Those that have ended, a bit for each index.
    ended: u128,
    /// `[DONE]`: what follows means nothing.
    is_over: bool,
    frames: u64,
    counts: Counts,
    model: Option<Str>,
    id: Option<Str>,
    fault: Option<Fault>,
}

// Made once: a searcher is half a kilobyte, and a tap lives as long as its stream.
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));

impl Tap {
    /// A tap on an answer of `format`.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            progress: Progress::Nothing,
            is_complete: false,
            n_choices: 1,
            ended: 0,
            is_over: false,
            frames: 0,
            counts: Counts::new(format),
            model: None,
            id: None,
            fault: None,
        }
    }

    /// Chat: a tap on the answer to a request for `n_choices` at once.
    #[must_use]
    pub fn awaiting(self, n_choices: u32) -> Self {
        Self { n_choices, ..self }
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
        self.explain(reason, regular);
    }

    fn explain(&mut self, reason: &str, regular: &str) {
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
mod tests;
