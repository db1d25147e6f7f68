//! The chunks of a Chat stream into events.

use crate::Error;
use crate::chat::annotation;
use crate::chat::piece;
use crate::chat::stop;
use crate::codec::UpstreamContext;
use crate::fault::{self, Fault, Kind};
use crate::format::Format;
use crate::json::{Kind as JsonKind, Raw, Reader};
use crate::model::{Annotation, CandidateMeta, Event, Ext, Response, Status, Stop, StopReason, Str, Usage};
use crate::sse::Frame;
use crate::usage::Counts;

use super::choice::Choice;

/// How many frames in a row may be unreadable.
const MAX_BAD_FRAMES: u8 = 3;

/// The state behind the public decoder, shared with the reading of bodies.
#[derive(Debug)]
pub(in crate::chat) struct Decoder {
    context: UpstreamContext,
    head: Response,
    is_started: bool,
    is_over: bool,
    choices: Vec<Choice>,
    counts: Counts,
    reported: Usage,
    bad_frames: u8,
    /// Pages that the answer was drawn from, which some services name beside it, in every chunk.
    sources: Vec<Annotation>,
    /// Bodies keep members that the model has no place for.
    is_body: bool,
}

impl Decoder {
    pub(in crate::chat) fn new(context: UpstreamContext, is_body: bool) -> Self {
        Self {
            context,
            head: Response::new(Format::Chat),
            is_started: false,
            is_over: false,
            choices: Vec::new(),
            counts: Counts::new(Format::Chat),
            reported: Usage::default(),
            bad_frames: 0,
            sources: Vec::new(),
            is_body,
        }
    }

    pub(in crate::chat) fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.is_over {
            return;
        }
        let Frame::Data { event, data } = frame else {
            out.push(Event::Ping);
            return;
        };
        let data = data.trim();
        if data == "[DONE]" {
            if self.is_started {
                self.end(out);
            } else {
                self.fail(Fault::truncated(), out);
            }
            return;
        }
        if *event == Some("error") {
            self.error_frame(data, out);
            return;
        }
        let mut reader = Reader::new(data);
        let read = match reader.kind() {
            JsonKind::Object => self.chunk(&mut reader, out),
            // One relative wraps its errors so.
            JsonKind::Array => reader.array(|_, element| self.chunk(element, out)),
            _ => Err(Error::malformed("expected an object")),
        };
        match read {
            Ok(()) => self.bad_frames = 0,
            Err(error) => {
                self.bad_frames += 1;
                if self.bad_frames < MAX_BAD_FRAMES {
                    out.push(Event::Warning(format!("a chunk was skipped: {error}")));
                } else {
                    self.fail(
                        Fault::new(Kind::BadUpstream, format!("the stream cannot be read: {error}")),
                        out,
                    );
                }
            }
        }
    }

    fn error_frame(&mut self, data: &str, out: &mut Vec<Event>) {
        let fault = fault::in_success(Format::Chat, &mut Reader::new(data)).unwrap_or_else(|| Fault {
            is_upstream: true,
            ..Fault::new(Kind::BadUpstream, "the upstream reported an error")
        });
        self.fail(fault, out);
    }

    /// Reads one chunk, or a whole body.
    pub(in crate::chat) fn chunk(
        &mut self,
        reader: &mut Reader<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        if self.is_over {
            return reader.skip();
        }
        let mut whole = reader.clone();
        let mut seen = Seen::default();
        reader.object(|key, value| {
            if value.kind() == JsonKind::Null {
                return value.skip();
            }
            match key {
                "id" if !self.is_started => self.head.id = text(value)?,
                "model" if !self.is_started => self.head.model = text(value)?,
                "created" if !self.is_started => {
                    self.head.created = value.clone().f64().ok().and_then(seconds);
                    value.skip()?;
                }
                "service_tier" if !self.is_started => self.head.service_tier = text(value)?,
                "system_fingerprint" if !self.is_started => self.head.system_fingerprint = text(value)?,
                // The head must be out before the first content, and some servers write the choices first.
                "choices" if self.is_started => {
                    seen.mentions_choices = true;
                    self.choices(value, &mut seen, out)?;
                }
                "choices" => {
                    seen.mentions_choices = true;
                    seen.choices = Some(value.clone());
                }
                "usage" => self.counts.read(value)?,
                "x_groq" if value.kind() == JsonKind::Object => value.object(|key, value| {
                    match key {
                        "usage" => self.counts.read(value)?,
                        "error" => seen.error = seen.error.take().or_else(|| fault_in(value)),
                        _ => {}
                    }
                    Ok(())
                })?,
                "error" => seen.error = seen.error.take().or_else(|| fault_in(value)),
                "object" | "obfuscation" | "id" | "model" | "created" | "service_tier"
                | "system_fingerprint" => {}
                "type" if value.kind() == JsonKind::String => seen.is_error = value.str()? == "error",
                "code" | "message" | "detail" => seen.has_words = true,
                "search_results" | "citations" => {
                    // The former say more than addresses.
                    let is_better = key == "search_results" && !self.sources.iter().any(is_titled);
                    if is_better || self.sources.is_empty() {
                        let mut pages = Vec::new();
                        annotation::pages(&mut value.clone(), &mut pages)?;
                        if !pages.is_empty() {
                            self.sources = pages;
                        }
                    }
                    if self.is_body {
                        self.head.ext.set(key, value.to_raw()?);
                    }
                }
                _ if self.is_body => self.head.ext.set(key, value.to_raw()?),
                _ => {}
            }
            Ok(())
        })?;
        if let Some(mut choices) = seen.choices.take() {
            if seen.error.is_none() && (self.head.id.is_some() || has_elements(&choices)) {
                self.start(out);
                self.choices(&mut choices, &mut seen, out)?;
            }
        } else if seen.error.is_none() && (seen.is_error || seen.has_words) && !seen.mentions_choices {
            seen.error = fault_in(&mut whole);
        }
        if let Some(fault) = seen.error.or(seen.failure) {
            self.fail(fault, out);
            return Ok(());
        }
        self.usage(out);
        // Nothing but usage behind the last finish reason: a server that says so has said everything, and not all
        // close the stream.
        if !self.is_body && !seen.has_choices && self.counts.is_seen() && self.is_finished() {
            self.end(out);
        }
        Ok(())
    }

    fn choices(
        &mut self,
        value: &mut Reader<'_>,
        seen: &mut Seen<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        if value.kind() != JsonKind::Array {
            return value.skip();
        }
        value.array(|position, value| {
            if value.kind() != JsonKind::Object {
                return value.skip();
            }
            seen.has_choices = true;
            let choice = piece::Choice::read(value, self.is_body)?;
            self.choice(position, choice, seen, out)
        })
    }

    fn choice(
        &mut self,
        position: usize,
        choice: piece::Choice<'_>,
        seen: &mut Seen<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        if let Some(mut error) = choice.error {
            seen.error = seen.error.take().or_else(|| fault_in(&mut error));
        }
        if let Some(mut usage) = choice.usage {
            self.counts.read(&mut usage)?;
        }
        if let Some(fault) = choice.finish.as_deref().and_then(stop::failure) {
            // The chunk may say more exactly what went wrong.
            seen.failure = Some(fault);
            return Ok(());
        }
        let index = choice.index.unwrap_or_else(|| u32::try_from(position).unwrap_or(0));
        let Self { choices, context, is_body, .. } = self;
        let known = choices.iter().position(|known| known.index == index);
        // A body says each choice once; what comes twice is the same again.
        if known.is_some() && *is_body {
            return Ok(());
        }
        let at = known.unwrap_or_else(|| {
            // Nearly always the first stays the only one.
            if choices.is_empty() {
                choices.reserve_exact(1);
            }
            choices.push(Choice::new(index, context));
            choices.len() - 1
        });
        let Some(state) = choices.get_mut(at) else { return Ok(()) };
        // Some servers repeat the message so far beside each delta, others write an empty delta beside the message.
        let piece = match (choice.delta, choice.message) {
            (Some(delta), Some(message)) if *is_body => {
                Some(if message.is_empty() { delta } else { message })
            }
            (delta, message) => delta.or(message),
        };
        if let Some(piece) = piece {
            state.piece(piece, choice.logprobs, context, out)?;
        }
        if let Some(word) = &choice.finish {
            state.set_finish(word);
        }
        if !choice.rest.is_empty() {
            let mut ext = Ext::new();
            for (key, value) in choice.rest {
                ext.set(&key, Raw::new(value));
            }
            let meta = Box::new(CandidateMeta { ext, ..CandidateMeta::default() });
            out.push(Event::CandidateMeta { candidate: index, meta });
        }
        Ok(())
    }

    fn start(&mut self, out: &mut Vec<Event>) {
        if !self.is_started {
            self.is_started = true;
            let head = std::mem::replace(&mut self.head, Response::new(Format::Chat));
            out.push(Event::Start(Box::new(head)));
        }
    }

    /// Gives out the counts when they have changed.
    fn usage(&mut self, out: &mut Vec<Event>) {
        if !self.is_started || !self.counts.is_seen() {
            return;
        }
        let usage = self.counts.usage();
        if usage != self.reported {
            self.reported = usage.clone();
            out.push(Event::Usage(Box::new(usage)));
        }
    }

    fn is_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(Choice::is_finished)
    }

    pub(in crate::chat) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The good end.
    pub(in crate::chat) fn end(&mut self, out: &mut Vec<Event>) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        self.start(out);
        self.usage(out);
        self.choices.sort_by_key(|choice| choice.index);
        for choice in &mut self.choices {
            choice.cite(&self.sources, out);
            choice.close_all(out);
        }
        if self.choices.iter().any(Choice::has_unnamed_call) {
            out.push(Event::Error(Box::new(Fault::unnamed_call())));
            return;
        }
        let mut status = Status::Completed;
        for choice in &self.choices {
            let stop = choice.stop();
            if choice.index == 0 {
                status = stop::status(stop.reason);
            }
            out.push(Event::CandidateStop { candidate: choice.index, stop });
        }
        if self.choices.iter().all(|choice| choice.index != 0) {
            out.push(Event::CandidateStop { candidate: 0, stop: Stop::new(StopReason::EndTurn) });
        }
        // What a body says beside the known members was gathered after the start.
        out.push(Event::End { status, ext: std::mem::take(&mut self.head.ext) });
    }

    pub(in crate::chat) fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        for choice in &mut self.choices {
            choice.close_all(out);
        }
        out.push(Event::Error(Box::new(fault)));
    }

    pub(in crate::chat) fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Event>) {
        if self.is_over {
            return;
        }
        if self.is_started && self.is_finished() {
            self.end(out);
        } else {
            self.fail(broken.unwrap_or_else(Fault::truncated), out);
        }
    }
}

/// What one chunk held besides content.
#[derive(Default)]
struct Seen<'a> {
    choices: Option<Reader<'a>>,
    /// `choices` is there, with entries or without.
    mentions_choices: bool,
    has_choices: bool,
    error: Option<Fault>,
    /// A finish reason that says a failure.
    failure: Option<Fault>,
    is_error: bool,
    /// Members of a bare error object.
    has_words: bool,
}

fn is_titled(page: &Annotation) -> bool {
    matches!(page, Annotation::Url { title, .. } if !title.is_empty())
}

fn fault_in(value: &mut Reader<'_>) -> Option<Fault> {
    fault::in_success(Format::Chat, &mut value.clone())
}

fn has_elements(array: &Reader<'_>) -> bool {
    let mut is_empty = true;
    let read = array.clone().array(|_, _| {
        is_empty = false;
        Ok(())
    });
    read.is_ok() && !is_empty
}

/// A text that is no text counts as absent, like an empty one.
fn text(value: &mut Reader<'_>) -> Result<Option<Str>, Error> {
    if value.kind() != JsonKind::String {
        return value.skip().map(|()| None);
    }
    let text = value.str()?;
    Ok((!text.is_empty()).then(|| text.into()))
}

/// Seconds; some servers write milliseconds, and some fractions.
fn seconds(time: f64) -> Option<u64> {
    let seconds = if time > 1e11 { time / 1000.0 } else { time };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked range")]
    (1.0..1e11).contains(&seconds).then_some(seconds as u64)
}
