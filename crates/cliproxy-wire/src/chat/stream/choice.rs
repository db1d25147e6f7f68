//! One choice of an upstream's answer while it comes in: which block is open, and why it will stop. Which tool call a
//! fragment belongs to is said by [`super::call`].
//!
//! A body's message goes through the same machine as the deltas of a stream, so both say the same.

use super::call::Calls;
use crate::Error;
use crate::chat::decode::message::google;
use crate::chat::piece::{self, Part, Piece};
use crate::chat::think::{Tags, Voice};
use crate::chat::{annotation, detail, media, stop};
use crate::codec::UpstreamContext;
use crate::id;
use crate::json::{Raw, Reader, Surrogates};
use crate::model::{
    Anchor, Annotation, Audio, BlockKind, CallKind, Channel, Delta, Event, Image, Media, Opaque, Stop, Str,
};

/// The block that text goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    Text(u32),
    Reasoning(u32),
    Refusal(u32),
}

/// Halves of characters that wait for the other half, by channel.
#[derive(Debug, Default)]
struct Halves {
    content: Surrogates,
    reasoning: Surrogates,
    refusal: Surrogates,
}

/// A choice.
#[derive(Debug)]
pub(in crate::chat) struct Choice {
    pub(super) index: u32,
    /// Blocks started so far.
    blocks: u32,
    open: Open,
    halves: Halves,
    tags: Option<Tags>,
    details: detail::Answer,
    /// A member for reasoning text is in use, so that the text of details only repeats it.
    has_plain_reasoning: bool,
    calls: Calls,
    /// Calls that have a block.
    n_started: u32,
    audio: Option<u32>,
    /// The text that was open last, which citations mean that come when it is not open any more.
    last_text: Option<u32>,
    /// Citations that came before any text.
    annotations: Vec<Annotation>,
    has_cited: bool,
    /// A signature on the message as a whole.
    signature: Option<Opaque>,
    finish: Option<Str>,
}

impl Choice {
    pub(in crate::chat) fn new(index: u32, context: &UpstreamContext) -> Self {
        Self {
            index,
            blocks: 0,
            open: Open::None,
            halves: Halves::default(),
            tags: context.has_think_tags.then(Tags::default),
            details: detail::Answer::default(),
            has_plain_reasoning: false,
            calls: Calls::default(),
            n_started: 0,
            audio: None,
            last_text: None,
            annotations: Vec::new(),
            has_cited: false,
            signature: None,
            finish: None,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Remembers why the choice stops; what is said first counts.
    pub(in crate::chat) fn set_finish(&mut self, word: &str) {
        self.finish.get_or_insert_with(|| word.into());
    }

    /// Takes in a delta or message.
    pub(in crate::chat) fn piece(
        &mut self,
        mut piece: Piece<'_>,
        logprobs: Option<&str>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        if let Some(signature) = &piece.signature {
            self.signature = Some(google(signature));
        }
        if let Some(fragment) = piece.take_reasoning() {
            self.has_plain_reasoning = true;
            let text = self.halves.reasoning.join(fragment);
            self.reasoning(&text, out);
        }
        if let Some(details) = &mut piece.details {
            let text = self.details.read(details)?;
            if !self.has_plain_reasoning {
                self.reasoning(&text, out);
            }
        }
        if let Some(fragment) = piece.content {
            let text = self.halves.content.join(fragment);
            self.content(&text, out);
        }
        for part in piece.parts {
            match part {
                Part::Text(text) => self.content(&text, out),
                Part::Thinking(text) => self.reasoning(&text, out),
                Part::Image(source) => self.image(source, out),
            }
        }
        if let (Some(logprobs), Open::Text(block)) = (logprobs, self.open) {
            self.delta(block, Delta::Logprobs(Raw::new(logprobs)), out);
        }
        if let Some(fragment) = piece.refusal {
            let text = self.halves.refusal.join(fragment).into_owned();
            if !text.is_empty() {
                let block = self.refusal(out);
                self.delta(block, Delta::Refusal(text), out);
            }
        }
        if let Some(annotations) = &mut piece.annotations {
            self.annotate(annotations, out)?;
        }
        for source in piece.images {
            self.image(source, out);
        }
        if let Some(sound) = piece.audio.filter(|sound| !sound.is_empty()) {
            self.sound(sound, out);
        }
        for call in piece.calls {
            self.call(call, context, out);
        }
        Ok(())
    }

    fn delta(&self, block: u32, delta: Delta, out: &mut Vec<Event>) {
        out.push(Event::Delta { candidate: self.index, block, delta });
    }

    fn start(&mut self, kind: BlockKind, out: &mut Vec<Event>) -> u32 {
        let block = self.blocks;
        self.blocks += 1;
        out.push(Event::BlockStart { candidate: self.index, block, kind });
        block
    }

    fn stop_block(&self, block: u32, out: &mut Vec<Event>) {
        out.push(Event::BlockStop { candidate: self.index, block, full: None });
    }

    /// Closes the open text, reasoning or refusal.
    fn close(&mut self, out: &mut Vec<Event>) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => {}
            Open::Text(block) => {
                if let Some(half) = self.halves.content.finish() {
                    self.delta(block, Delta::Text(half.into()), out);
                }
                self.stop_block(block, out);
            }
            Open::Reasoning(block) => {
                if let Some(half) = self.halves.reasoning.finish() {
                    self.delta(block, raw(half.into()), out);
                }
                self.give_details(block, out);
                self.stop_block(block, out);
            }
            Open::Refusal(block) => {
                if let Some(half) = self.halves.refusal.finish() {
                    self.delta(block, Delta::Refusal(half.into()), out);
                }
                self.stop_block(block, out);
            }
        }
    }

    fn give_details(&mut self, block: u32, out: &mut Vec<Event>) {
        for opaque in self.details.give() {
            self.delta(block, Delta::Opaque(opaque), out);
        }
    }

    fn reasoning(&mut self, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let block = match self.open {
            Open::Reasoning(block) => block,
            Open::None | Open::Text(_) | Open::Refusal(_) => {
                self.close(out);
                let block = self.start(BlockKind::Reasoning { id: None, is_redacted: false }, out);
                self.open = Open::Reasoning(block);
                block
            }
        };
        self.delta(block, raw(text.to_owned()), out);
    }

    /// Text of the `content` member, in which thinking may be tagged.
    fn content(&mut self, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let Some(mut tags) = self.tags.take() else { return self.text(text, out) };
        tags.push(text, &mut |voice, text| self.voice(voice, text, out));
        self.tags = Some(tags);
    }

    fn voice(&mut self, voice: Voice, text: &str, out: &mut Vec<Event>) {
        match voice {
            Voice::Thinking => self.reasoning(text, out),
            Voice::Answer => self.text(text, out),
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<Event>) {
        let block = match self.open {
            Open::Text(block) => block,
            Open::None | Open::Reasoning(_) | Open::Refusal(_) => {
                self.close(out);
                let block = self.start(BlockKind::Text, out);
                self.open = Open::Text(block);
                self.last_text = Some(block);
                for annotation in std::mem::take(&mut self.annotations) {
                    self.delta(block, Delta::Annotation(annotation), out);
                }
                block
            }
        };
        self.delta(block, Delta::Text(text.to_owned()), out);
    }

    fn refusal(&mut self, out: &mut Vec<Event>) -> u32 {
        if let Open::Refusal(block) = self.open {
            return block;
        }
        self.close(out);
        let block = self.start(BlockKind::Refusal, out);
        self.open = Open::Refusal(block);
        block
    }

    /// Cites pages that were named beside the answer, where the answer itself cites nothing.
    pub(super) fn cite(&mut self, pages: &[Annotation], out: &mut Vec<Event>) {
        if let (Some(block), false) = (self.last_text, self.has_cited) {
            for page in pages {
                self.delta(block, Delta::Annotation(page.clone()), out);
            }
        }
    }

    fn annotate(&mut self, value: &mut Reader<'_>, out: &mut Vec<Event>) -> Result<(), Error> {
        let mut found = Vec::new();
        annotation::read(value, &mut found)?;
        self.has_cited |= !found.is_empty();
        match self.last_text {
            Some(block) => {
                for annotation in found {
                    self.delta(block, Delta::Annotation(annotation), out);
                }
            }
            None => self.annotations.append(&mut found),
        }
        Ok(())
    }

    fn image(&mut self, source: Media, out: &mut Vec<Event>) {
        self.close(out);
        let image = Box::new(Image { source, detail: None, opaque: None });
        let block = self.start(BlockKind::Image(image), out);
        self.stop_block(block, out);
    }

    fn sound(&mut self, sound: piece::Sound<'_>, out: &mut Vec<Event>) {
        let block = self.audio.unwrap_or_else(|| self.start_sound(&sound, out));
        if let Some(data) = sound.data {
            self.delta(block, Delta::Media((*data).into()), out);
        }
        if let Some(transcript) = sound.transcript {
            self.delta(block, Delta::Transcript(transcript.into_owned()), out);
        }
    }

    fn start_sound(&mut self, sound: &piece::Sound<'_>, out: &mut Vec<Event>) -> u32 {
        self.close(out);
        // The format never says what the bytes are; streams carry bare samples.
        let mime = sound.data.as_deref().and_then(media::sniff).unwrap_or("audio/pcm");
        let audio = Audio {
            source: Media::Inline { mime: mime.into(), base64: "".into() },
            transcript: None,
            id: sound.id.as_deref().map(Str::from),
            expires_at: sound.expires_at,
        };
        let block = self.start(BlockKind::Audio(Box::new(audio)), out);
        self.audio = Some(block);
        block
    }

    fn call(&mut self, piece: piece::Call<'_>, context: &UpstreamContext, out: &mut Vec<Event>) {
        let (at, fresh) = self.calls.take(piece);
        let Some(call) = self.calls.get_mut(at) else { return };
        if let Some(block) = call.block {
            if !fresh.is_empty() {
                self.delta(block, Delta::Arguments(fresh), out);
            }
            return;
        }
        if call.name.is_some() {
            self.start_call(at, context, out);
        }
    }

    fn start_call(&mut self, at: usize, context: &UpstreamContext, out: &mut Vec<Event>) {
        self.close(out);
        let ordinal = self.n_started;
        let Some(call) = self.calls.get_mut(at) else { return };
        let Some(name) = call.name.clone() else { return };
        let call_id = call.id.clone();
        let is_id_synthetic = call_id.is_none();
        let call_id =
            call_id.unwrap_or_else(|| id::call(&context.request_id, self.index, ordinal, &name).into());
        let kind = if call.is_custom { CallKind::Custom } else { CallKind::Function };
        let waiting = call.arguments.clone();
        let opaque =
            call.signature.take().or_else(|| if ordinal == 0 { self.signature.take() } else { None });
        let kind = BlockKind::ToolCall {
            call_id,
            is_id_synthetic,
            item_id: None,
            name,
            namespace: None,
            kind,
            native: None,
            caller: None,
            opaque,
        };
        let block = self.start(kind, out);
        if let Some(call) = self.calls.get_mut(at) {
            call.block = Some(block);
            self.n_started += 1;
        }
        if !waiting.is_empty() {
            self.delta(block, Delta::Arguments(waiting), out);
        }
    }

    /// Closes every block, for the good or the bad end.
    pub(super) fn close_all(&mut self, out: &mut Vec<Event>) {
        if let Some(mut tags) = self.tags.take() {
            tags.finish(&mut |voice, text| self.voice(voice, text, out));
        }
        if let (Some(signature), Open::Text(block)) = (self.signature.take(), self.open) {
            let anchor = if signature.anchor == Anchor::This { Anchor::Text } else { signature.anchor };
            self.delta(block, Delta::Opaque(Opaque { anchor, ..signature }), out);
        }
        self.close(out);
        if self.details.is_due() {
            let block = self.start(BlockKind::Reasoning { id: None, is_redacted: false }, out);
            self.give_details(block, out);
            self.stop_block(block, out);
        }
        if let Some(block) = self.audio.take() {
            self.stop_block(block, out);
        }
        for (block, half) in self.calls.ends() {
            if let Some(half) = half {
                self.delta(block, Delta::Arguments(half.into()), out);
            }
            self.stop_block(block, out);
        }
        if !self.annotations.is_empty() {
            self.annotations.clear();
            out.push(Event::Warning("citations without a text were left out".to_owned()));
        }
    }

    /// Whether it calls a tool that nobody knows.
    pub(super) fn has_unnamed_call(&self) -> bool {
        self.calls.has_unnamed()
    }

    /// Why the choice stopped.
    pub(super) fn stop(&self) -> Stop {
        stop::read(self.finish.as_deref(), self.n_started > 0)
    }
}

fn raw(text: String) -> Delta {
    Delta::Reasoning { channel: Channel::Raw, part: 0, text }
}
