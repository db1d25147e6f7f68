//! Writing a stream for a client.
//!
//! The format allows one open block at a time, the model several. So blocks are written in the order of their start:
//! the head is written as it comes, the others wait. Thinking is held open a moment longer than it lasts, because the
//! state of a following call belongs into its signature.

use std::collections::VecDeque;

use crate::codec::{ClientContext, StreamEncoder};
use crate::format::Format;
use crate::json::{self, Object, Raw};
use crate::model::{
    BlockKind, CandidateMeta, Channel, Content, Delta, Event, Ext, Hosted, HostedKind, HostedPhase, Media,
    Opaque, OpaqueKind, Response, Status, Stop, StopReason, Str, Usage,
};
use crate::normalize::arguments;
use crate::sse;

use super::super::answer::{
    Pair, grounding_pair, hosted_pair, hosted_text, media_text, message_id, own_block, write_usage,
};
use super::super::request::copy_members;
use super::super::signature::{self, Visibility};
use super::super::{citation, stop};

/// Writes a stream for a client of this format.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
    visibility: Visibility,
    is_started: bool,
    is_ended: bool,
    /// The upstream speaks this format too, so its extra members are ours.
    is_own: bool,
    /// Index of the next block on the wire.
    next: u64,
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

/// Thinking that is being written, or that is over but whose block is not yet closed.
#[derive(Debug, Default)]
struct Thought {
    is_open: bool,
    /// Kept only when it is not written.
    text: String,
    channel: Option<(Channel, u32)>,
    opaque: Vec<Opaque>,
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
            next: 0,
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
                write_usage(object, self.usage.as_ref(), &self.context);
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
        self.release(of_call, out);
        match kind {
            BlockKind::Text | BlockKind::Refusal => State::Text { is_open: false, text: String::new() },
            BlockKind::Reasoning { .. } if self.visibility == Visibility::Absent => State::Silent,
            BlockKind::Reasoning { .. } => State::Thinking(Thought::default()),
            BlockKind::ToolCall { call_id, name, kind, .. } => {
                self.calls += 1;
                self.content_start(out, |object| {
                    object.str("type", "tool_use");
                    object.str("id", &call_id);
                    object.str("name", &name);
                    object.object("input", |_| ());
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
        } else if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.block == block) {
            waiting.events.push(Event::Delta { candidate: 0, block, delta });
        }
    }

    fn piece(&mut self, state: &mut State, delta: Delta, out: &mut Vec<u8>) {
        match (state, delta) {
            (State::Text { is_open, text }, Delta::Text(piece) | Delta::Refusal(piece)) => {
                self.open_text(is_open, out);
                self.content_delta(out, |object| {
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
                    self.open_text(is_open, out);
                    self.content_delta(out, |object| {
                        object.str("type", "citations_delta");
                        object.raw("citation", citation.as_str());
                    });
                }
            }
            (State::Thinking(thought), Delta::Reasoning { channel, part, text }) => {
                self.thinking(thought, (channel, part), &text, out);
            }
            (State::Thinking(thought), Delta::Opaque(piece)) => thought.opaque.push(piece),
            (State::Call { input, .. }, Delta::Arguments(piece)) => self.arguments(input, &piece, out),
            (State::Media { transcript, .. }, Delta::Transcript(piece)) => transcript.push_str(&piece),
            (State::Media { more, .. }, Delta::Media(piece)) => more.push_str(&piece),
            _ => {}
        }
    }

    fn open_text(&mut self, is_open: &mut bool, out: &mut Vec<u8>) {
        if !std::mem::replace(is_open, true) {
            self.content_start(out, |object| {
                object.str("type", "text");
                object.str("text", "");
            });
        }
    }

    fn thinking(&mut self, thought: &mut Thought, of: (Channel, u32), piece: &str, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        let is_gap = match thought.channel {
            // One of the channels is enough: the other repeats it in other words.
            Some((known, _)) if known != of.0 => return,
            Some((_, part)) => part != of.1,
            None => false,
        };
        thought.channel = Some(of);
        let gap = if is_gap { "\n\n" } else { "" };
        if self.visibility == Visibility::Omitted {
            thought.text.push_str(gap);
            thought.text.push_str(piece);
            return;
        }
        if !std::mem::replace(&mut thought.is_open, true) {
            self.thinking_start(out);
        }
        self.content_delta(out, |object| {
            object.str("type", "thinking_delta");
            if is_gap {
                object.str("thinking", &[gap, piece].concat());
            } else {
                object.str("thinking", piece);
            }
        });
    }

    fn thinking_start(&mut self, out: &mut Vec<u8>) {
        self.content_start(out, |object| {
            object.str("type", "thinking");
            object.str("thinking", "");
            object.str("signature", "");
        });
    }

    fn arguments(&mut self, input: &mut Input, piece: &str, out: &mut Vec<u8>) {
        match input {
            Input::Live => self.input(piece, out),
            Input::Odd(text) => text.push_str(piece),
            Input::Undecided(text) => {
                text.push_str(piece);
                match text.trim_start().bytes().next() {
                    None => {}
                    Some(b'{') => {
                        let text = std::mem::take(text);
                        *input = Input::Live;
                        self.input(&text, out);
                    }
                    Some(_) => *input = Input::Odd(std::mem::take(text)),
                }
            }
        }
    }

    fn input(&self, json: &str, out: &mut Vec<u8>) {
        self.content_delta(out, |object| {
            object.str("type", "input_json_delta");
            object.str("partial_json", json);
        });
    }

    fn block_stop(&mut self, block: u32, full: Option<Content>, out: &mut Vec<u8>) {
        if self.head.as_ref().is_none_or(|head| head.block != block) {
            if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.block == block) {
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
                    self.content_stop(out);
                }
            }
            State::Thinking(thought) => self.held = Some(thought),
            State::Call { input, is_text } => {
                match input {
                    Input::Live => {}
                    Input::Odd(text) if is_text => self.input(arguments::wrap(&text).as_str(), out),
                    Input::Odd(text) | Input::Undecided(text) => self.input(&arguments::object(&text), out),
                }
                self.content_stop(out);
            }
            State::Hosted(hosted) => match full {
                Some(Content::Hosted(full)) => self.hosted(&full, out),
                _ => self.hosted(&hosted, out),
            },
            State::Own(raw) => {
                let full = full.as_ref().and_then(own_block);
                self.whole(full.unwrap_or(&raw).as_str(), out);
            }
            State::Media { media, kind, transcript, more } => {
                let media = match media {
                    Media::Inline { mime, base64 } if !more.is_empty() => {
                        Media::Inline { mime, base64: [&*base64, &more].concat().into() }
                    }
                    media => media,
                };
                let text = if transcript.is_empty() { media_text(&media, kind) } else { transcript };
                self.plain_text(&text, out);
            }
        }
    }

    /// Closes held thinking; `of_call` is the state of the call that follows.
    fn release(&mut self, of_call: Option<Opaque>, out: &mut Vec<u8>) {
        let held = self.held.take();
        if self.visibility == Visibility::Absent {
            return;
        }
        let Some(Thought { mut is_open, text, opaque, .. }) = held else {
            if let Some(opaque) = of_call {
                self.signed_block(Some(&opaque), "", out);
            }
            return;
        };
        let mut is_text_written = false;
        for opaque in opaque.iter().chain(&of_call) {
            if opaque.kind == OpaqueKind::ClaudeRedacted {
                if std::mem::take(&mut is_open) {
                    self.sign(None, "", out);
                }
                let data = signature::render(Some(opaque), Some(&text));
                self.content_start(out, |object| {
                    object.str("type", "redacted_thinking");
                    object.str("data", &data);
                });
                self.content_stop(out);
            } else if std::mem::take(&mut is_open) {
                is_text_written = true;
                self.sign(Some(opaque), "", out);
            } else {
                let carried = if std::mem::replace(&mut is_text_written, true) { "" } else { &text };
                self.signed_block(Some(opaque), carried, out);
            }
        }
        if is_open {
            self.sign(None, "", out);
        } else if opaque.is_empty() && of_call.is_none() && !text.is_empty() {
            self.signed_block(None, &text, out);
        }
    }

    /// A thinking block without text.
    fn signed_block(&mut self, opaque: Option<&Opaque>, carried: &str, out: &mut Vec<u8>) {
        self.thinking_start(out);
        self.sign(opaque, carried, out);
    }

    /// Signs and closes the open thinking block.
    fn sign(&mut self, opaque: Option<&Opaque>, carried: &str, out: &mut Vec<u8>) {
        let text = signature::render(opaque, Some(carried));
        self.content_delta(out, |object| {
            object.str("type", "signature_delta");
            object.str("signature", &text);
        });
        self.content_stop(out);
    }

    fn hosted(&mut self, hosted: &Hosted, out: &mut Vec<u8>) {
        if hosted.native.format == Format::Claude {
            self.searches += 1;
            let raw = hosted.native.value.as_str();
            match hosted.phase {
                HostedPhase::Call => {
                    let input = json::member(raw, "input").unwrap_or("{}");
                    self.content_start(out, |object| {
                        copy_members(object, raw, &["input"]);
                        object.object("input", |_| ());
                    });
                    self.input(input, out);
                    self.content_stop(out);
                }
                HostedPhase::Result | HostedPhase::Both => self.whole(raw, out),
            }
            return;
        }
        self.searches += u32::from(hosted.kind == HostedKind::WebSearch);
        if hosted.phase != HostedPhase::Result {
            self.hosted += 1;
        }
        if let Some(pair) = hosted_pair(hosted, self.hosted, &self.context) {
            self.pair(&pair, out);
        } else if let Some(text) = hosted_text(hosted) {
            self.plain_text(&text, out);
        }
    }

    fn pair(&mut self, pair: &Pair, out: &mut Vec<u8>) {
        if let Some((id, name, input)) = &pair.call {
            self.content_start(out, |object| {
                object.str("type", "server_tool_use");
                object.str("id", id);
                object.str("name", name);
                object.object("input", |_| ());
            });
            self.input(input, out);
            self.content_stop(out);
        }
        if let Some(result) = &pair.result {
            self.whole(result.as_str(), out);
        }
    }

    fn plain_text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.open_text(&mut false, out);
        self.content_delta(out, |object| {
            object.str("type", "text_delta");
            object.str("text", text);
        });
        self.content_stop(out);
    }

    /// A block that is complete with its start.
    fn whole(&mut self, raw: &str, out: &mut Vec<u8>) {
        self.content_start(out, |object| copy_members(object, raw, &[]));
        self.content_stop(out);
    }

    fn content_start(&mut self, out: &mut Vec<u8>, build: impl FnOnce(&mut Object<'_>)) {
        frame(out, "content_block_start", |object| {
            object.u64("index", self.next);
            object.object("content_block", build);
        });
    }

    fn content_delta(&self, out: &mut Vec<u8>, build: impl FnOnce(&mut Object<'_>)) {
        frame(out, "content_block_delta", |object| {
            object.u64("index", self.next);
            object.object("delta", build);
        });
    }

    fn content_stop(&mut self, out: &mut Vec<u8>) {
        frame(out, "content_block_stop", |object| object.u64("index", self.next));
        self.next += 1;
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
            self.pair(&pair, out);
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
            write_usage(object, self.usage.as_ref(), &self.context);
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

/// Writes a frame whose data begins with its type.
fn frame(out: &mut Vec<u8>, name: &str, build: impl FnOnce(&mut Object<'_>)) {
    sse::event(out, name, |out| {
        json::object(out, |object| {
            object.str("type", name);
            build(object);
        });
    });
}

fn ping(out: &mut Vec<u8>) {
    frame(out, "ping", |_| ());
}
