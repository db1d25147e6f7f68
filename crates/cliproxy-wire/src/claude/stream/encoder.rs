//! Writing a stream for a client.
//!
//! The format allows one open block at a time, the model several. So blocks are written in the order of their start:
//! the head is written as it comes, the others wait. Thinking is held open a moment longer than it lasts, because the
//! state of a following call belongs into its signature.

use std::collections::VecDeque;

use crate::codec::{ClientContext, StreamEncoder};
use crate::format::Format;
use crate::json::{self, Raw};
use crate::model::{
    BlockKind, CandidateMeta, Content, Delta, Event, Ext, Hosted, HostedKind, HostedPhase, Media, Opaque,
    Response, Status, Stop, StopReason, Str, Usage,
};
use crate::normalize::{arguments, id};
use crate::sse;

use super::super::answer::{
    grounding_pair, hosted_pair, hosted_text, message_id, own_block, own_caller, write_last_usage,
    write_usage,
};
use super::super::request::copy_members;
use super::super::signature::{self, Visibility};
use super::super::{citation, stop};
use super::thought::Thought;
use super::writer::{Frames, frame, ping};

/// Writes a stream for a client of this format.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
    visibility: Visibility,
    is_started: bool,
    is_ended: bool,
    /// The upstream speaks this format too, so its extra members are ours.
    is_own: bool,
    frames: Frames,
    head: Option<Head>,
    waiting: VecDeque<Waiting>,
    held: Option<Thought>,
    calls: u32,
    hosted: u32,
    searches: u32,
    usage: Option<Usage>,
    stop: Option<Stop>,
    meta: CandidateMeta,
}

/// The block that is being written.
#[derive(Debug)]
struct Head {
    block: u32,
    state: State,
}

/// A block that began while another was being written.
#[derive(Debug)]
struct Waiting {
    block: u32,
    kind: BlockKind,
    events: Vec<Event>,
    is_stopped: bool,
}

#[derive(Debug)]
enum State {
    /// Nothing of it is written.
    Silent,
    Text {
        is_open: bool,
        text: String,
    },
    Thinking(Thought),
    Call {
        input: Input,
        is_text: bool,
    },
    Hosted(Box<Hosted>),
    /// A block of this format, whole.
    Own(Raw),
    Media {
        media: Media,
        kind: &'static str,
        transcript: String,
        more: String,
    },
}

/// Argument text on its way.
#[derive(Debug)]
enum Input {
    /// Nothing but white space so far.
    Undecided(String),
    /// It begins like an object and is passed on as it comes.
    Live,
    /// It does not, so it has to be made one when it is complete.
    Odd(String),
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        let visibility = Visibility::of(&context);
        Self {
            context,
            visibility,
            is_started: false,
            is_ended: false,
            is_own: false,
            frames: Frames::default(),
            head: None,
            waiting: VecDeque::new(),
            held: None,
            calls: 0,
            hosted: 0,
            searches: 0,
            usage: None,
            stop: None,
            meta: CandidateMeta::default(),
        }
    }

    fn start(&mut self, response: &Response, out: &mut Vec<u8>) {
        self.is_started = true;
        self.is_own = response.origin == Format::Claude;
        if let Some(usage) = &response.usage {
            self.usage.get_or_insert_default().merge(usage);
        }
        frame(out, "message_start", |object| {
            object.object("message", |object| {
                object.str("id", &message_id(response.id.as_deref(), &self.context));
                object.str("type", "message");
                object.str("role", "assistant");
                object.str("model", self.context.model(response.model.as_deref()));
                object.array("content", |_| ());
                object.null("stop_reason");
                object.null("stop_sequence");
                write_usage(object, self.usage.as_ref(), response.service_tier.as_ref(), &self.context);
            });
        });
        ping(out);
    }

    /// Begins the block, or lets it wait.
    fn block_start(&mut self, block: u32, kind: BlockKind, out: &mut Vec<u8>) {
        if self.head.is_some() {
            self.waiting.push_back(Waiting { block, kind, events: Vec::new(), is_stopped: false });
            return;
        }
        let state = self.begin(kind, out);
        self.head = Some(Head { block, state });
    }

    fn begin(&mut self, kind: BlockKind, out: &mut Vec<u8>) -> State {
        let of_call = match &kind {
            BlockKind::ToolCall { opaque: Some(opaque), .. } => Some(signature::of_call(opaque, self.calls)),
            _ => None,
        };
        self.release(of_call.as_ref(), out);
        match kind {
            BlockKind::Text | BlockKind::Refusal => State::Text { is_open: false, text: String::new() },
            BlockKind::Reasoning { .. } if self.visibility == Visibility::Absent => State::Silent,
            BlockKind::Reasoning { .. } => State::Thinking(Thought::default()),
            BlockKind::ToolCall { call_id, name, kind, caller, .. } => {
                self.calls += 1;
                self.frames.content_start(out, |object| {
                    object.str("type", "tool_use");
                    object.str("id", &id::fit(&call_id, Format::Claude.tool_id()));
                    object.str("name", &name);
                    object.object("input", |_| ());
                    object.opt_raw("caller", own_caller(caller.as_ref()));
                });
                let is_text = kind == crate::model::CallKind::Custom;
                let input = if is_text { Input::Odd(String::new()) } else { Input::Undecided(String::new()) };
                State::Call { input, is_text }
            }
            BlockKind::Hosted(hosted) => State::Hosted(hosted),
            BlockKind::Image(image) => State::media(image.source, "image"),
            BlockKind::Document(document) => State::media(document.source, "document"),
            BlockKind::Audio(audio) => State::Media {
                media: audio.source,
                kind: "audio",
                transcript: audio.transcript.as_deref().unwrap_or_default().to_owned(),
                more: String::new(),
            },
            BlockKind::Native(native) if native.format == Format::Claude => State::Own(native.value),
            BlockKind::Native(_) => State::Silent,
        }
    }

    fn delta(&mut self, block: u32, delta: Delta, out: &mut Vec<u8>) {
        if self.head.as_ref().is_some_and(|head| head.block == block) {
            // Taken out, so that writing may use the rest of the encoder.
            if let Some(mut head) = self.head.take() {
                self.piece(&mut head.state, delta, out);
                self.head = Some(head);
            }
        } else if let Some(waiting) = self.waiting(block) {
            waiting.events.push(Event::Delta { candidate: 0, block, delta });
        }
    }

    fn waiting(&mut self, block: u32) -> Option<&mut Waiting> {
        let at = self.waiting.binary_search_by_key(&block, |waiting| waiting.block).ok()?;
        self.waiting.get_mut(at)
    }

    fn piece(&mut self, state: &mut State, delta: Delta, out: &mut Vec<u8>) {
        match (state, delta) {
            (State::Text { is_open, text }, Delta::Text(piece) | Delta::Refusal(piece)) => {
                self.frames.open_text(is_open, out);
                self.frames.content_delta(out, |object| {
                    object.str("type", "text_delta");
                    object.str("text", &piece);
                });
                // Foreign citations quote what they point at.
                if !self.is_own {
                    text.push_str(&piece);
                }
            }
            (State::Text { is_open, text }, Delta::Annotation(annotation)) => {
                if let Some(citation) = citation::rendered(&annotation, text) {
                    self.frames.open_text(is_open, out);
                    self.frames.content_delta(out, |object| {
                        object.str("type", "citations_delta");
                        object.raw("citation", citation.as_str());
                    });
                }
            }
            (State::Thinking(thought), Delta::Reasoning { channel, part, text }) => {
                thought.add((channel, part), &text, self.visibility, &mut self.frames, out);
            }
            (State::Thinking(thought), Delta::Opaque(piece)) => thought.seal(piece),
            (State::Call { input, .. }, Delta::Arguments(piece)) => self.arguments(input, &piece, out),
            (State::Media { transcript, .. }, Delta::Transcript(piece)) => transcript.push_str(&piece),
            (State::Media { more, .. }, Delta::Media(piece)) => more.push_str(&piece),
            _ => {}
        }
    }

    fn arguments(&mut self, input: &mut Input, piece: &str, out: &mut Vec<u8>) {
        match input {
            Input::Live => self.frames.input(piece, out),
            Input::Odd(text) => text.push_str(piece),
            Input::Undecided(text) => {
                text.push_str(piece);
                match text.trim_start().bytes().next() {
                    None => {}
                    Some(b'{') => {
                        let text = std::mem::take(text);
                        *input = Input::Live;
                        self.frames.input(&text, out);
                    }
                    Some(_) => *input = Input::Odd(std::mem::take(text)),
                }
            }
        }
    }

    fn block_stop(&mut self, block: u32, full: Option<Content>, out: &mut Vec<u8>) {
        if self.head.as_ref().is_none_or(|head| head.block != block) {
            if let Some(waiting) = self.waiting(block) {
                waiting.is_stopped = true;
                let full = full.map(|content| Box::new(crate::model::Block::new(content)));
                waiting.events.push(Event::BlockStop { candidate: 0, block, full });
            }
            return;
        }
        let Some(head) = self.head.take() else { return };
        self.finish(head.state, full, out);
        // The next one becomes the head, with all that waited for it.
        while self.head.is_none()
            && let Some(next) = self.waiting.pop_front()
        {
            let state = self.begin(next.kind, out);
            self.head = Some(Head { block: next.block, state });
            for event in next.events {
                match event {
                    Event::Delta { block, delta, .. } => self.delta(block, delta, out),
                    Event::BlockStop { full, .. } => {
                        if let Some(head) = self.head.take() {
                            self.finish(head.state, full.map(|block| block.content), out);
                        }
                    }
                    _ => {}
                }
            }
            if !next.is_stopped {
                break;
            }
        }
    }

    fn finish(&mut self, state: State, full: Option<Content>, out: &mut Vec<u8>) {
        match state {
            State::Silent => {}
            State::Text { is_open, .. } => {
                if is_open {
                    self.frames.content_stop(out);
                }
            }
            State::Thinking(thought) => self.held = Some(thought),
            State::Call { input, is_text } => {
                match input {
                    Input::Live => {}
                    Input::Odd(text) if is_text => self.frames.input(arguments::wrap(&text).as_str(), out),
                    Input::Odd(text) | Input::Undecided(text) => {
                        self.frames.input(&arguments::object(&text), out);
                    }
                }
                self.frames.content_stop(out);
            }
            State::Hosted(hosted) => match full {
                Some(Content::Hosted(full)) => self.hosted(&full, out),
                _ => self.hosted(&hosted, out),
            },
            State::Own(raw) => {
                let full = full.as_ref().and_then(own_block);
                self.frames.whole(full.unwrap_or(&raw).as_str(), out);
            }
            State::Media { media, kind, transcript, more } => {
                let media = match media {
                    Media::Inline { mime, base64 } if !more.is_empty() => {
                        Media::Inline { mime, base64: [&*base64, &more].concat().into() }
                    }
                    media => media,
                };
                let text = if transcript.is_empty() { media.told(kind) } else { transcript };
                self.frames.plain_text(&text, out);
            }
        }
    }

    /// Closes held thinking; `of_call` is the state of the call that follows.
    fn release(&mut self, of_call: Option<&Opaque>, out: &mut Vec<u8>) {
        let held = self.held.take().unwrap_or_default();
        if self.visibility != Visibility::Absent {
            held.close(of_call, &mut self.frames, out);
        }
    }

    fn hosted(&mut self, hosted: &Hosted, out: &mut Vec<u8>) {
        if hosted.native.format == Format::Claude {
            self.searches += 1;
            let raw = hosted.native.value.as_str();
            match hosted.phase {
                HostedPhase::Call => {
                    let input = json::member(raw, "input").unwrap_or("{}");
                    self.frames.content_start(out, |object| {
                        copy_members(object, raw, &["input"]);
                        object.object("input", |_| ());
                    });
                    self.frames.input(input, out);
                    self.frames.content_stop(out);
                }
                HostedPhase::Result | HostedPhase::Both => self.frames.whole(raw, out),
            }
            return;
        }
        self.searches += u32::from(hosted.kind == HostedKind::WebSearch);
        if hosted.phase != HostedPhase::Result {
            self.hosted += 1;
        }
        if let Some(pair) = hosted_pair(hosted, self.hosted, &self.context) {
            self.frames.pair(&pair, out);
        } else if let Some(text) = hosted_text(hosted) {
            self.frames.plain_text(&text, out);
        }
    }

    /// Closes whatever is open; a decoder that keeps its contract leaves nothing but held thinking.
    fn flush(&mut self, out: &mut Vec<u8>) {
        while let Some(block) = self.head.as_ref().map(|head| head.block) {
            self.block_stop(block, None, out);
        }
        self.release(None, out);
    }

    fn end(&mut self, ext: &Ext, out: &mut Vec<u8>) {
        self.flush(out);
        if self.searches == 0
            && let Some(grounding) = &self.meta.grounding
            && let Some(pair) = grounding_pair(grounding, &self.context)
        {
            self.frames.pair(&pair, out);
        }
        self.is_ended = true;
        let stop = self.stop.take().unwrap_or_else(|| Stop::new(StopReason::EndTurn));
        let no_ext = Ext::new();
        let own = if self.is_own { ext } else { &no_ext };
        frame(out, "message_delta", |object| {
            object.object("delta", |object| {
                stop::write(object, &stop, if self.is_own { &self.meta.ext } else { &no_ext });
                object.opt_raw("container", own.get("container"));
            });
            write_last_usage(object, self.usage.as_ref(), &self.context);
            object.opt_raw("context_management", own.get("context_management"));
            object.opt_raw("grounding_metadata", self.meta.grounding.as_ref());
            object.opt_raw("url_context_metadata", self.meta.url_context.as_ref());
        });
        frame(out, "message_stop", |_| ());
    }

    fn fail(&mut self, fault: &crate::fault::Fault, out: &mut Vec<u8>) {
        self.flush(out);
        self.is_ended = true;
        let request_id = Str::clone(&self.context.request_id);
        sse::event(out, "error", |out| crate::fault::write_claude_error(out, fault, &request_id));
    }

    fn meta(&mut self, meta: CandidateMeta) {
        let has_content = |raw: &Raw| !raw.is_empty();
        if let Some(grounding) = meta.grounding.filter(has_content) {
            self.meta.grounding = Some(grounding);
        }
        if let Some(context) = meta.url_context.filter(has_content) {
            self.meta.url_context = Some(context);
        }
        for (name, value) in meta.ext.iter() {
            self.meta.ext.set(name, value.clone());
        }
    }
}

impl State {
    fn media(media: Media, kind: &'static str) -> Self {
        Self::Media { media, kind, transcript: String::new(), more: String::new() }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.is_ended {
            return;
        }
        match event {
            Event::Start(response) => {
                if !self.is_started {
                    self.start(&response, out);
                }
            }
            // The format has one candidate.
            Event::BlockStart { candidate: 0, block, kind } => self.block_start(block, kind, out),
            Event::Delta { candidate: 0, block, delta } => self.delta(block, delta, out),
            Event::BlockStop { candidate: 0, block, full } => {
                self.block_stop(block, full.map(|block| block.content), out);
            }
            Event::CandidateMeta { candidate: 0, meta } => self.meta(*meta),
            Event::CandidateStop { candidate: 0, stop } => self.stop = Some(stop),
            Event::Usage(usage) => self.usage.get_or_insert_default().merge(&usage),
            Event::End { status: Status::Failed(fault), .. } => self.fail(&fault, out),
            Event::End { ext, .. } => self.end(&ext, out),
            Event::Error(fault) => self.fail(&fault, out),
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
        // Nothing may stand before the start of the message.
        if self.is_started && !self.is_ended {
            ping(out);
        }
    }
}
