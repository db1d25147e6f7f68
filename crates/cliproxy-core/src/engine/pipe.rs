//! From upstream bytes to client bytes: the state machine between a read and a write.
//!
//! A [`Pipe`] is either a relay (same format on both sides: bytes pass, a tap reads along) or a translation (frames →
//! events → frames). Both answer the same questions: did the answer begin, did it begin with an error, is it over.

use super::memory::Recorder;
use bytes::Bytes;
use cliproxy_wire::codec::{Bridge, StreamDecoder, StreamEncoder, UpstreamContext};
use cliproxy_wire::estimate::{Input, Meter};
use cliproxy_wire::fault::Fault;
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::model::{Event, Response, Status, StopReason, Usage, fold};
use cliproxy_wire::normalize::Restore;
use cliproxy_wire::sse::{Ending, StreamReader};

/// Longest line or whole body taken from an upstream: inline images come as one line.
pub(super) const LONGEST_FRAME: usize = 32 << 20;

/// Upstream bytes to events in the client's terms.
#[derive(Debug)]
pub(super) struct Decode {
    format: Format,
    context: UpstreamContext,
    reader: StreamReader,
    decoder: Box<dyn StreamDecoder>,
    /// Apart, because most clients and upstreams call everything the same.
    restore: Option<Box<Restore>>,
    events: Vec<Event>,
    is_over: bool,
}

impl Decode {
    pub(super) fn new(format: Format, context: UpstreamContext, bridge: Bridge) -> Self {
        let restore = Restore::new(bridge);
        Self {
            format,
            reader: StreamReader::new(LONGEST_FRAME),
            decoder: format::stream_decoder(format, context.clone()),
            context,
            restore: (!restore.is_identity()).then(|| Box::new(restore)),
            events: Vec::new(),
            is_over: false,
        }
    }

    /// Reads bytes; `each` gets the events.
    pub(super) fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Event)) {
        if self.is_over {
            return;
        }
        let (decoder, events) = (&mut self.decoder, &mut self.events);
        let result = self.reader.push(bytes, &mut |frame| decoder.frame(&frame, events));
        if let Err(fault) = result {
            self.decoder.finish(Some(fault), &mut self.events);
        }
        self.drain(each);
    }

    /// The upstream is over, cleanly or not.
    pub(super) fn finish(&mut self, broken: Option<Fault>, each: &mut dyn FnMut(Event)) {
        if self.is_over {
            return;
        }
        let (decoder, events) = (&mut self.decoder, &mut self.events);
        match self.reader.finish(&mut |frame| decoder.frame(&frame, events)) {
            Ok(Ending::Stream) => self.decoder.finish(broken, &mut self.events),
            Ok(Ending::Body(_)) if broken.is_some() => self.decoder.finish(broken, &mut self.events),
            Ok(Ending::Body(body)) => match format::decode_response(self.format, &body, &self.context) {
                Ok(response) => fold::unfold(&response, &mut self.events),
                Err(fault) => self.events.push(Event::Error(Box::new(fault))),
            },
            Err(fault) => self.decoder.finish(Some(broken.unwrap_or(fault)), &mut self.events),
        }
        self.drain(each);
        self.is_over = true;
    }

    /// Lays out a whole answer.
    pub(super) fn body(&mut self, body: &[u8], each: &mut dyn FnMut(Event)) {
        match format::decode_response(self.format, body, &self.context) {
            Ok(response) => fold::unfold(&response, &mut self.events),
            Err(fault) => self.events.push(Event::Error(Box::new(fault))),
        }
        self.drain(each);
        self.is_over = true;
    }

    fn drain(&mut self, each: &mut dyn FnMut(Event)) {
        let Some(restore) = &mut self.restore else {
            // Its room is given back: most streams are silent for most of their time.
            for event in std::mem::take(&mut self.events) {
                self.is_over |= matches!(event, Event::End { .. } | Event::Error(_));
                each(event);
            }
            return;
        };
        let mut restored = Vec::with_capacity(self.events.len());
        for event in std::mem::take(&mut self.events) {
            restore.event(event, &mut restored);
        }
        for event in restored {
            self.is_over |= matches!(event, Event::End { .. } | Event::Error(_));
            each(event);
        }
        self.is_over |= restore.is_finished();
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Upstream bytes to client bytes through the canonical model.
#[derive(Debug)]
pub(super) struct Translate {
    decode: Decode,
    encoder: Box<dyn StreamEncoder>,
    progress: Progress,
}

/// How far an answer is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Content, an end or an error after content has come.
    pub(super) has_begun: bool,
    /// The error that came instead of content, or ended it.
    pub(super) fault: Option<Box<Fault>>,
    /// What it cost so far.
    meter: Meter,
    recorder: Option<Recorder>,
}

impl Progress {
    fn new(input: Input, recorder: Recorder) -> Self {
        Self { meter: Meter::new(Some(input)), recorder: Some(recorder), ..Self::default() }
    }

    /// Passes an event on, usage that the upstream left out before the end; an error before anything was written is
    /// kept back.
    fn pass(&mut self, event: Event, each: &mut dyn FnMut(Event)) {
        if let Some(missing) = self.meter.note(&event) {
            each(Event::Usage(Box::new(missing)));
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.note(&event);
        }
        match &event {
            Event::Error(fault) => {
                self.fault = Some(fault.clone());
                if !self.has_begun {
                    return;
                }
            }
            Event::Usage(_)
            | Event::Start(_)
            | Event::Ping
            | Event::Warning(_)
            | Event::CandidateMeta { .. } => {}
            // The regular end of an answer that has no content yet.
            Event::CandidateStop { stop, .. } if stop.reason == StopReason::EndTurn => {}
            Event::End { status: Status::Completed, .. } if !self.has_begun => {
                if self.meter.usage().output.unwrap_or_default() == 0 {
                    self.fault = Some(Box::new(Fault::empty()));
                    return;
                }
                self.has_begun = true;
            }
            _ => self.has_begun = true,
        }
        each(event);
    }
}

impl Translate {
    pub(super) fn new(
        decode: Decode,
        encoder: Box<dyn StreamEncoder>,
        input: Input,
        recorder: Recorder,
    ) -> Self {
        Self { decode, encoder, progress: Progress::new(input, recorder) }
    }

    fn run(&mut self, out: &mut Vec<u8>, work: impl FnOnce(&mut Decode, &mut dyn FnMut(Event))) {
        let (encoder, progress) = (&mut self.encoder, &mut self.progress);
        work(&mut self.decode, &mut |event| progress.pass(event, &mut |event| encoder.event(event, out)));
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.run(out, |decode, each| decode.push(bytes, each));
    }

    pub(super) fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<u8>) {
        self.run(out, |decode, each| decode.finish(broken, each));
    }
}

/// Gathers a whole answer from a stream or a body.
#[derive(Debug)]
pub(super) struct Gather {
    decode: Decode,
    fold: fold::Fold,
    progress: Progress,
}

impl Gather {
    pub(super) fn new(decode: Decode, input: Input, recorder: Recorder) -> Self {
        Self { decode, fold: fold::Fold::default(), progress: Progress::new(input, recorder) }
    }

    fn run(&mut self, work: impl FnOnce(&mut Decode, &mut dyn FnMut(Event))) {
        let (fold, progress) = (&mut self.fold, &mut self.progress);
        work(&mut self.decode, &mut |event| progress.pass(event, &mut |event| fold.event(event)));
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.run(|decode, each| decode.push(bytes, each));
    }

    pub(super) fn finish(&mut self, broken: Option<Fault>) {
        self.run(|decode, each| decode.finish(broken, each));
    }

    pub(super) fn body(&mut self, body: &[u8]) {
        self.run(|decode, each| decode.body(body, each));
    }

    pub(super) fn is_over(&self) -> bool {
        self.decode.is_over()
    }

    /// The answer, and what it cost.
    pub(super) fn into_response(self) -> Result<(Response, Usage), Fault> {
        if let Some(fault) = self.progress.fault {
            return Err(*fault);
        }
        match self.fold.finish() {
            Some(response) => Ok((response, self.progress.meter.usage().clone())),
            None => Err(Fault::truncated()),
        }
    }
}

/// The way of an answer's stream.
#[derive(Debug)]
pub(super) enum Pipe {
    /// Bytes pass.
    Relay(Box<super::relay::RelayPipe>),
    /// Events pass.
    Translate(Box<Translate>),
    /// Bytes of no conversation pass.
    Passing(Box<super::passing::Passing>),
}

impl Pipe {
    /// Takes upstream bytes; pushes what is to be written to `out`.
    pub(super) fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) {
        match self {
            Self::Relay(relay) => relay.push(bytes, out),
            Self::Passing(passing) => passing.push(bytes, out),
            Self::Translate(translate) => {
                let mut buffer = Vec::new();
                translate.push(&bytes, &mut buffer);
                if !buffer.is_empty() {
                    out.push(buffer.into());
                }
            }
        }
    }

    /// The upstream is over.
    pub(super) fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Bytes>) {
        match self {
            Self::Relay(relay) => relay.finish(broken, out),
            Self::Passing(passing) => passing.finish(broken, out),
            Self::Translate(translate) => {
                let mut buffer = Vec::new();
                translate.finish(broken, &mut buffer);
                if !buffer.is_empty() {
                    out.push(buffer.into());
                }
            }
        }
    }

    /// A sign of life for the client.
    pub(super) fn keep_alive(&mut self, format: Format) -> Bytes {
        let mut buffer = Vec::new();
        match self {
            Self::Relay(relay) => relay.keep_alive(format, &mut buffer),
            Self::Translate(translate) => translate.encoder.keep_alive(&mut buffer),
            // A comment could come to stand inside of an event.
            Self::Passing(_) => {}
        }
        buffer.into()
    }

    pub(super) fn has_begun(&self) -> bool {
        match self {
            Self::Relay(relay) => relay.has_begun(),
            Self::Translate(translate) => translate.progress.has_begun,
            Self::Passing(passing) => passing.has_begun(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Relay(relay) => relay.is_over(),
            Self::Translate(translate) => translate.decode.is_over(),
            Self::Passing(passing) => passing.fault().is_some(),
        }
    }

    /// The error that ended the answer, or came instead of it.
    pub(super) fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Relay(relay) => relay.fault(),
            Self::Translate(translate) => translate.progress.fault.as_deref(),
            Self::Passing(passing) => passing.fault(),
        }
    }

    pub(super) fn usage(&self) -> Usage {
        match self {
            Self::Relay(relay) => relay.usage(),
            Self::Translate(translate) => translate.progress.meter.usage().clone(),
            Self::Passing(passing) => passing.usage(),
        }
    }

    pub(super) fn lane(&self) -> &'static str {
        match self {
            Self::Relay(relay) => relay.lane(),
            Self::Translate(_) => "translate",
            Self::Passing(_) => "passthrough",
        }
    }
}
