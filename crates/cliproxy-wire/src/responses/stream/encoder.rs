//! Writing a stream for a client.
//!
//! Clients want one item at a time, so blocks that overlap wait for each other. An item is closed when the next one
//! begins or the answer stops: only then it is known whether more belongs to it, and whether it was cut off. A body is
//! written by the same steps without their events, so that both say the same, ids included.

use std::collections::VecDeque;

use crate::codec::{ClientContext, StreamEncoder};
use crate::fault::{Fault, Kind};
use crate::format::Format;
use crate::json::{self, Raw};
use crate::model::fold::unfold;
use crate::model::{
    Block, BlockKind, CandidateMeta, Content, Delta, Event, Ext, Hosted, HostedKind, HostedPhase, Image,
    Media, Native, Response, Status, Stop, StopReason, Str, Text,
};
use crate::sse;

use super::body::{Head, Progress};
use super::call::{Call, Start};
use super::late::Late;
use super::message::Message;
use super::outlet::Outlet;
use super::reasoning::Thought;
use super::whole::{self, Work};

/// Writes a stream for a client of this format.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
    outlet: Outlet,
    head: Head,
    open: Open,
    /// The block whose events are written as they come.
    live: Option<u32>,
    /// Blocks that began while another was live.
    waiting: VecDeque<Waiting>,
    late: Late,
    stop: Option<Stop>,
    has_search: bool,
    is_started: bool,
    is_ended: bool,
    /// How it ended, for a body.
    ending: Ending,
}

/// The item that is open.
#[derive(Debug)]
enum Open {
    None,
    Message(Message),
    Thought(Thought),
    Call(Call),
    Work(Work),
    Image(Box<Image>),
    Native(Native),
}

#[derive(Debug)]
struct Waiting {
    block: u32,
    kind: BlockKind,
    deltas: Vec<Delta>,
    is_stopped: bool,
    full: Option<Box<Block>>,
}

#[derive(Debug)]
enum Ending {
    Running,
    Completed,
    Incomplete(String),
    Failed(Box<Fault>),
}

impl Ending {
    fn progress(&self) -> Progress<'_> {
        match self {
            Self::Running => Progress::Running,
            Self::Completed => Progress::Completed,
            Self::Incomplete(reason) => Progress::Incomplete(reason),
            Self::Failed(fault) => Progress::Failed(fault),
        }
    }
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        Self::with(context, false)
    }

    fn with(context: ClientContext, is_silent: bool) -> Self {
        let outlet = Outlet::new(Str::clone(&context.request_id), is_silent);
        Self {
            context,
            outlet,
            head: Head::default(),
            open: Open::None,
            live: None,
            waiting: VecDeque::new(),
            late: Late::default(),
            stop: None,
            has_search: false,
            is_started: false,
            is_ended: false,
            ending: Ending::Running,
        }
    }

    fn start(&mut self, start: &Response, out: &mut Vec<u8>) {
        if self.is_started {
            return;
        }
        self.is_started = true;
        self.head = Head::new(start);
        self.outlet.upstream_id = start.id.clone().unwrap_or_default();
        self.lifecycle("response.created", out);
        self.lifecycle("response.in_progress", out);
    }

    fn lifecycle(&mut self, kind: &str, out: &mut Vec<u8>) {
        let Some(sequence) = self.outlet.number() else { return };
        sse::event(out, kind, |out| {
            json::object(out, |object| {
                object.str("type", kind);
                object.u64("sequence_number", sequence);
                object.object("response", |object| {
                    self.head.write(object, &self.context, &self.outlet, self.ending.progress());
                });
            });
        });
    }

    fn waiting(&mut self, block: u32) -> Option<&mut Waiting> {
        let at = self.waiting.binary_search_by_key(&block, |waiting| waiting.block).ok()?;
        self.waiting.get_mut(at)
    }

    fn block_start(&mut self, block: u32, kind: BlockKind, out: &mut Vec<u8>) {
        match kind {
            BlockKind::Text => self.message(Some(block), out, false),
            BlockKind::Refusal => self.message(None, out, true),
            BlockKind::Reasoning { id, .. } => {
                self.close(out, "completed");
                self.open = Open::Thought(Thought::new(id, self.context.show));
            }
            BlockKind::ToolCall {
                call_id, item_id, name, namespace, kind, native, caller, opaque, ..
            } => {
                if let Some(state) = opaque {
                    // The signature of a call travels in the reasoning item before it.
                    match &mut self.open {
                        Open::Thought(thought) if !thought.has_opaque() => thought.opaque(state),
                        _ => {
                            self.close(out, "completed");
                            let mut thought = Thought::new(None, self.context.show);
                            thought.opaque(state);
                            self.open = Open::Thought(thought);
                        }
                    }
                }
                self.close(out, "completed");
                let start = Start { item_id, call_id, name, namespace, kind, native, caller };
                self.open = Open::Call(Call::open(&mut self.outlet, out, start));
            }
            BlockKind::Hosted(hosted) => self.hosted(*hosted, out),
            // Only bytes can be the result of image generation.
            BlockKind::Image(image) if !matches!(image.source, Media::Inline { .. }) => {
                self.tell(image.source.told("image"), out);
            }
            BlockKind::Image(image) => {
                self.close(out, "completed");
                self.open = Open::Image(image);
            }
            BlockKind::Document(document) => self.tell(document.source.told("document"), out),
            // A sound that comes without a word says nothing later either.
            BlockKind::Audio(audio) if audio.transcript.is_none() && has_sound(&audio.source) => {
                self.tell("[audio, not representable]".to_owned(), out);
            }
            BlockKind::Audio(audio) => {
                // Spoken words can be read; the sound itself has no place here.
                self.message(None, out, false);
                if let Some(words) = audio.transcript {
                    self.delta(Delta::Transcript((*words).to_owned()), out);
                }
            }
            BlockKind::Native(native) if native.format == Format::Responses => {
                self.close(out, "completed");
                self.open = Open::Native(native);
            }
            BlockKind::Native(_) => self.close(out, "completed"),
        }
    }

    /// Writes a message of its own in place of what this format cannot hold.
    fn tell(&mut self, words: String, out: &mut Vec<u8>) {
        self.close(out, "completed");
        self.message(None, out, false);
        self.delta(Delta::Text(words), out);
        self.block_stop(None, out);
        self.close(out, "completed");
    }

    fn message(&mut self, block: Option<u32>, out: &mut Vec<u8>, is_refusal: bool) {
        if !matches!(self.open, Open::Message(_)) {
            self.close(out, "completed");
            let waits = self.context.include.contains("message.output_text.logprobs");
            self.open = Open::Message(Message::open(&mut self.outlet, out, waits));
        }
        if let Open::Message(message) = &mut self.open {
            message.block(&mut self.outlet, out, is_refusal, block);
        }
    }

    fn hosted(&mut self, hosted: Hosted, out: &mut Vec<u8>) {
        self.has_search |= hosted.kind == HostedKind::WebSearch;
        if let Open::Work(work) = &mut self.open
            && work.is_answered_by(&hosted)
        {
            work.learn(hosted);
            return;
        }
        self.close(out, "completed");
        let has_sources = self.context.include.contains("web_search_call.action.sources");
        self.open = Open::Work(Work::open(&mut self.outlet, out, hosted, has_sources));
    }

    fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match (&mut self.open, delta) {
            (Open::Message(message), delta) => message.delta(&mut self.outlet, out, delta),
            (Open::Thought(thought), Delta::Reasoning { channel, part, text }) => {
                thought.text(&mut self.outlet, out, channel, part, &text);
            }
            (Open::Thought(thought), Delta::Opaque(state)) => thought.opaque(state),
            (Open::Call(call), Delta::Arguments(text)) => call.arguments(&mut self.outlet, out, &text),
            _ => {}
        }
    }

    fn block_stop(&mut self, full: Option<Box<Block>>, out: &mut Vec<u8>) {
        let full = full.map(|block| block.content);
        match (&mut self.open, full) {
            (Open::Message(message), full) => {
                let text = match full {
                    Some(Content::Text(text)) => Some(text),
                    Some(Content::Refusal(refusal)) => Some(Text::new(refusal)),
                    _ => None,
                };
                message.block_stop(&mut self.outlet, out, text);
            }
            (Open::Thought(thought), Some(Content::Reasoning(full))) => {
                thought.full(&mut self.outlet, out, full);
            }
            (Open::Call(call), Some(Content::ToolCall(full))) => {
                call.full(&mut self.outlet, out, full.arguments.as_str());
            }
            (Open::Work(work), Some(Content::Hosted(full))) => work.learn(full),
            (Open::Image(image), Some(Content::Image(full))) => **image = full,
            _ => {}
        }
    }

    /// Finishes the open item.
    fn close(&mut self, out: &mut Vec<u8>, status: &str) {
        let outlet = &mut self.outlet;
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => {}
            Open::Message(message) => self.late.closed(message.close(outlet, out, status)),
            Open::Thought(thought) => thought.close(outlet, out),
            Open::Call(call) => call.close(outlet, out, status),
            Open::Work(work) => work.close(outlet, out),
            Open::Image(image) => whole::image(outlet, out, &image),
            Open::Native(native) => whole::native(outlet, out, &native.value),
        }
    }

    /// Lets the blocks that waited have their turn.
    fn next(&mut self, out: &mut Vec<u8>) {
        self.live = None;
        while let Some(waiting) = self.waiting.pop_front() {
            self.block_start(waiting.block, waiting.kind, out);
            for delta in waiting.deltas {
                self.delta(delta, out);
            }
            if !waiting.is_stopped {
                self.live = Some(waiting.block);
                return;
            }
            self.block_stop(waiting.full, out);
        }
    }

    fn candidate_stop(&mut self, stop: Stop, out: &mut Vec<u8>) {
        if stop.reason == StopReason::Refusal
            && let Some(words) = &stop.explanation
            && !matches!(&self.open, Open::Message(message) if message.has_refusal)
        {
            self.message(None, out, true);
            self.delta(Delta::Refusal((**words).to_owned()), out);
            self.block_stop(None, out);
        }
        let status = if incomplete_reason(&stop).is_some() { "incomplete" } else { "completed" };
        self.close(out, status);
        self.stop = Some(stop);
    }

    fn end(&mut self, status: Status, ext: &Ext, out: &mut Vec<u8>) {
        if let Status::Failed(fault) = status {
            self.fail(fault, out);
            return;
        }
        self.next(out);
        self.close(out, "completed");
        self.late.write(&mut self.outlet, out);
        self.grounded_search(out);
        let stop = self.stop.take().unwrap_or_else(|| Stop::new(StopReason::EndTurn));
        let is_empty = self.outlet.items.is_empty();
        let failure = match stop.reason {
            _ if status == Status::Cancelled => Some("the upstream cancelled the answer"),
            StopReason::Cancelled => Some("the upstream cancelled the answer"),
            StopReason::Error => Some("the upstream ended the answer with an error"),
            StopReason::MalformedToolCall if is_empty => {
                Some("the model made a tool call that cannot be read")
            }
            _ => None,
        };
        if let Some(message) = failure {
            self.fail(Fault::new(Kind::BadUpstream, message), out);
            return;
        }
        self.head.take_ext(ext);
        self.is_ended = true;
        let reason = incomplete_reason(&stop);
        let kind = if reason.is_some() { "response.incomplete" } else { "response.completed" };
        self.ending = reason.map_or(Ending::Completed, Ending::Incomplete);
        self.lifecycle(kind, out);
    }

    /// A search that is known only from the grounding of its answer.
    fn grounded_search(&mut self, out: &mut Vec<u8>) {
        if self.has_search {
            return;
        }
        let Some(grounding) = &self.head.grounding else { return };
        let Some(queries) = grounding.get("webSearchQueries").filter(|queries| !queries.is_empty()) else {
            return;
        };
        let output = grounding.get("groundingChunks").map(|chunks| {
            Raw::array(|array| {
                let _complete = chunks.reader().array(|_, chunk| {
                    let web = chunk.to_raw()?.get("web");
                    let member = |name: &str| {
                        web.as_ref().and_then(|web| web.get(name)).and_then(|text| text.to_text())
                    };
                    if let Some(url) = member("uri") {
                        array.object(|object| {
                            object.str("url", &url);
                            object.str("title", &member("title").unwrap_or_default());
                        });
                    }
                    Ok(())
                });
            })
        });
        let hosted = Hosted {
            phase: HostedPhase::Both,
            kind: HostedKind::WebSearch,
            id: "".into(),
            status: None,
            input: Some(Raw::object(|object| object.raw("queries", queries.as_str()))),
            output,
            error: None,
            native: Native { format: Format::Gemini, value: grounding.clone() },
        };
        self.hosted(hosted, out);
        self.close(out, "completed");
    }

    fn fail(&mut self, fault: Fault, out: &mut Vec<u8>) {
        self.is_ended = true;
        self.outlet.event(out, "error", |event| {
            event.str("code", crate::fault::responses_error_code(&fault));
            event.str("message", &crate::fault::responses_error_message(&fault));
            event.str_or_null("param", fault.param.as_deref());
        });
        self.ending = Ending::Failed(Box::new(fault));
        self.lifecycle("response.failed", out);
    }

    fn meta(&mut self, meta: CandidateMeta) {
        let keep = |slot: &mut Option<Raw>, value: Option<Raw>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                *slot = Some(value);
            }
        };
        keep(&mut self.head.grounding, meta.grounding);
        keep(&mut self.head.url_context, meta.url_context);
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.is_ended {
            return;
        }
        if !self.is_started && !matches!(event, Event::Start(_) | Event::Ping | Event::Warning(_)) {
            self.start(&Response::new(Format::Responses), out);
        }
        match event {
            Event::Start(start) => self.start(&start, out),
            Event::BlockStart { candidate: 0, block, kind } => {
                if self.live.is_none() {
                    self.live = Some(block);
                    self.block_start(block, kind, out);
                } else {
                    self.waiting.push_back(Waiting {
                        block,
                        kind,
                        deltas: Vec::new(),
                        is_stopped: false,
                        full: None,
                    });
                }
            }
            Event::Delta { candidate: 0, block, delta } => {
                if self.live == Some(block) {
                    self.delta(delta, out);
                } else if let Some(waiting) = self.waiting(block) {
                    waiting.deltas.push(delta);
                } else if let Delta::Annotation(citation) = delta {
                    self.late.cite(block, citation);
                }
            }
            Event::BlockStop { candidate: 0, block, full } => {
                if self.live == Some(block) {
                    self.block_stop(full, out);
                    self.next(out);
                } else if let Some(waiting) = self.waiting(block) {
                    (waiting.is_stopped, waiting.full) = (true, full);
                }
            }
            Event::CandidateMeta { candidate: 0, meta } => self.meta(*meta),
            Event::CandidateStop { candidate: 0, stop } => self.candidate_stop(stop, out),
            Event::Usage(usage) => self.head.take_usage(&usage),
            Event::End { status, ext } => self.end(status, &ext, out),
            Event::Error(fault) => self.fail(*fault, out),
            // One answer is all this format can hold; the rest says nothing to a client.
            Event::BlockStart { .. }
            | Event::Delta { .. }
            | Event::BlockStop { .. }
            | Event::CandidateMeta { .. }
            | Event::CandidateStop { .. }
            | Event::Warning(_)
            | Event::Ping => {}
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(Format::Responses.sign_of_life());
    }
}

fn has_sound(source: &Media) -> bool {
    !matches!(source, Media::Inline { base64, .. } if base64.is_empty())
}

/// Why the response is incomplete, if it is.
fn incomplete_reason(stop: &Stop) -> Option<String> {
    match stop.reason {
        StopReason::MaxTokens | StopReason::ContextWindow => Some("max_output_tokens".to_owned()),
        StopReason::ContentFilter | StopReason::Refusal | StopReason::Recitation => {
            Some("content_filter".to_owned())
        }
        StopReason::Other => match &stop.native {
            Some((Format::Responses, reason)) => Some((**reason).to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// Writes a whole answer.
pub(in crate::responses) fn encode_body(response: &Response, context: &ClientContext) -> Vec<u8> {
    let mut encoder = Encoder::with(context.clone(), true);
    let mut events = Vec::new();
    unfold(response, &mut events);
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    // What is echoed may be all of the client's tools.
    out.reserve(2048 + encoder.context.echo.iter().map(|(_, value)| value.as_str().len()).sum::<usize>());
    json::object(&mut out, |object| {
        encoder.head.write(object, &encoder.context, &encoder.outlet, encoder.ending.progress());
    });
    out
}
