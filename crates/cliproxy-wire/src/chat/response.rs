//! Whole answers: an upstream's body into the canonical response, the response into a client's body.
//!
//! Reading goes through the machine that reads streams, so that both give the same; writing lays out each choice's
//! blocks in the members of one message.

use crate::Error;
use crate::codec::{ClientContext, UpstreamContext};
use crate::fault::{Fault, Kind};
use crate::format::Format;
use crate::json::{self, Array, Kind as JsonKind, Object, Raw, Reader};
use crate::model::fold::Fold;
use crate::model::{
    Anchor, Annotation, Arguments, Audio, Block, CallKind, Candidate, Content, Event, Image, Opaque,
    Reasoning, Response, Stop, StopReason, Text, ToolCall,
};
use crate::normalize::id;
use crate::usage::write_chat;

use super::stream::decoder::Decoder;
use super::{annotation, detail, head, media, stop};

/// Reads a body.
pub(super) fn read(body: &[u8], context: &UpstreamContext) -> Result<Response, Fault> {
    let mut decoder = Decoder::new(context.clone(), true);
    let mut events = Vec::new();
    read_events(body, &mut decoder, &mut events).map_err(|error| Fault::unreadable(body, error))?;
    if !decoder.is_over() && !events.iter().any(|event| matches!(event, Event::Start(_))) {
        return Err(Fault::new(Kind::BadUpstream, "the upstream's answer holds no choices"));
    }
    decoder.end(&mut events);
    let mut fold = Fold::default();
    for event in events {
        if let Event::Error(fault) = event {
            return Err(*fault);
        }
        fold.event(event);
    }
    fold.finish().ok_or_else(Fault::truncated)
}

fn read_events(body: &[u8], decoder: &mut Decoder, out: &mut Vec<Event>) -> Result<(), Error> {
    let mut reader = Reader::from_bytes(body)?;
    match reader.kind() {
        // One relative wraps its errors in an array.
        JsonKind::Array => reader.array(|_, element| decoder.chunk(element, out))?,
        _ => decoder.chunk(&mut reader, out)?,
    }
    reader.finish()
}

/// Writes a body.
pub(super) fn write(response: &Response, context: &ClientContext) -> Vec<u8> {
    let is_own = response.origin == Format::Chat;
    let mut body = Vec::with_capacity(4 * 1024);
    json::object(&mut body, |object| {
        object.str("id", &head::answer_id("chatcmpl-", context, response.id.as_deref()));
        object.str("object", "chat.completion");
        object.u64("created", response.created.unwrap_or(context.created));
        object.str("model", context.model(response.model.as_deref()));
        object.array("choices", |choices| {
            for candidate in &response.candidates {
                choices.object(|choice| write_choice(choice, candidate, context, is_own));
            }
            if choices.is_empty() {
                let silent = Candidate::new(0, Stop::new(StopReason::EndTurn));
                choices.object(|choice| write_choice(choice, &silent, context, is_own));
            }
        });
        if let Some(usage) = &response.usage {
            object.object("usage", |object| write_chat(usage, object));
        }
        object.opt_str("service_tier", response.service_tier.as_deref().and_then(tier_word));
        object.opt_str("system_fingerprint", response.system_fingerprint.as_ref());
        if is_own {
            response.ext.write(object);
        }
    });
    body
}

/// A reported tier in this format's words; clients know no others.
pub(super) fn tier_word(reported: &str) -> Option<&str> {
    match reported {
        "standard" | "standard_only" | "batch" => Some("default"),
        "auto" | "default" | "flex" | "scale" | "priority" | "fast" => Some(reported),
        _ => None,
    }
}

fn write_choice(object: &mut Object<'_>, candidate: &Candidate, context: &ClientContext, is_own: bool) {
    let message = Message::of(candidate, context);
    object.u64("index", u64::from(candidate.index));
    object.object("message", |object| message.write(object, context));
    if message.logprobs.is_empty() {
        object.null("logprobs");
    } else {
        object.object("logprobs", |object| {
            object.array("content", |array| {
                for logprobs in &message.logprobs {
                    elements(array, logprobs);
                }
            });
            object.null("refusal");
        });
    }
    object.str("finish_reason", stop::word(&candidate.stop, context.is_legacy_functions));
    write_grounding(object, candidate.grounding.as_ref(), candidate.url_context.as_ref());
    if is_own {
        candidate.ext.write(object);
    }
}

/// Writes Google's grounding, as it came.
pub(super) fn write_grounding(object: &mut Object<'_>, grounding: Option<&Raw>, url_context: Option<&Raw>) {
    object.opt_raw("grounding_metadata", grounding.filter(|grounding| !grounding.is_empty()));
    object.opt_raw("url_context_metadata", url_context.filter(|url_context| !url_context.is_empty()));
}

fn elements(array: &mut Array<'_>, logprobs: &Raw) {
    if logprobs.kind() == JsonKind::Array {
        // The span was read as JSON before.
        let _checked = logprobs.reader().array(|_, element| {
            array.raw(element.raw()?);
            Ok(())
        });
    }
}

/// The members of one choice's message.
#[derive(Default)]
struct Message<'a> {
    text: String,
    is_after_text: bool,
    /// Where in `text` each cited block lies.
    cited: Vec<(usize, usize, &'a [Annotation])>,
    logprobs: Vec<&'a Raw>,
    refusal: String,
    reasoning: String,
    details: Vec<(Opaque, Option<String>)>,
    calls: Vec<&'a ToolCall>,
    images: Vec<&'a Image>,
    audio: Option<&'a Audio>,
}

impl<'a> Message<'a> {
    fn of(candidate: &'a Candidate, context: &ClientContext) -> Self {
        let mut message = Self::default();
        let is_shown = !head::reasoning_members(context).is_empty();
        for block in &candidate.blocks {
            message.block(block, is_shown);
        }
        if message.refusal.is_empty()
            && let Some(explanation) = head::explanation(&candidate.stop)
        {
            message.refusal.push_str(explanation);
        }
        message
    }

    fn block(&mut self, block: &'a Block, is_shown: bool) {
        let was_after_text = std::mem::take(&mut self.is_after_text);
        match &block.content {
            Content::Text(text) => {
                self.is_after_text = was_after_text;
                self.text(text);
            }
            Content::Refusal(refusal) => self.refusal.push_str(refusal),
            Content::Reasoning(reasoning) => self.reasoning(reasoning, is_shown),
            Content::ToolCall(call) => {
                if let Some(state) =
                    call.opaque.as_ref().filter(|state| head::native_signature(state).is_none())
                {
                    let ordinal = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                    let state = Opaque { anchor: Anchor::ToolCall(ordinal), ..state.clone() };
                    self.details.push((state, None));
                }
                self.calls.push(call);
            }
            Content::Image(image) => self.images.push(image),
            Content::Audio(audio) if self.audio.is_none() => self.audio = Some(audio),
            // A message has one sound; the words of others can be read.
            Content::Audio(Audio { transcript: Some(words), .. }) if !words.is_empty() => self.part(words),
            Content::Audio(audio) => self.part(&audio.source.told("audio")),
            Content::Hosted(hosted) => {
                if let Some(text) = head::fenced(hosted) {
                    self.part(&text);
                }
            }
            Content::Document(document) => self.part(&document.source.told("document")),
            Content::Video(video) => self.part(&video.source.told("video")),
            _ => {}
        }
    }

    /// Appends a text that stands apart from what was said before, unless that was text too.
    fn part(&mut self, text: &str) {
        if !self.text.is_empty() && !self.is_after_text {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
    }

    fn text(&mut self, text: &'a Text) {
        if let Some(state) = &text.opaque {
            self.details.push((state.clone(), None));
        }
        if text.text.is_empty() {
            return;
        }
        self.part(&text.text);
        self.is_after_text = true;
        if !text.annotations.is_empty() {
            let start = self.text.len() - text.text.len();
            self.cited.push((start, self.text.len(), &text.annotations));
        }
        self.logprobs.extend(&text.logprobs);
    }

    fn reasoning(&mut self, reasoning: &Reasoning, is_shown: bool) {
        let text = reasoning.text();
        // The text member holds all thinking of the message; what cannot be found in it again travels with its state.
        let is_findable = is_shown && self.reasoning.is_empty();
        if is_shown && !text.is_empty() {
            if !self.reasoning.is_empty() {
                self.reasoning.push_str("\n\n");
            }
            self.reasoning.push_str(&text);
        }
        for state in &reasoning.opaque {
            let text = (!is_findable && !text.is_empty()).then(|| text.clone());
            self.details.push((state.clone(), text));
        }
    }

    fn write(&self, object: &mut Object<'_>, context: &ClientContext) {
        object.str("role", "assistant");
        let has_more = !self.calls.is_empty()
            || !self.refusal.is_empty()
            || !self.images.is_empty()
            || self.audio.is_some();
        object.str_or_null("content", Some(&*self.text).filter(|text| !text.is_empty() || !has_more));
        object.str_or_null("refusal", Some(&*self.refusal).filter(|refusal| !refusal.is_empty()));
        if !self.reasoning.is_empty() {
            for name in head::reasoning_members(context) {
                object.str(name, &self.reasoning);
            }
        }
        self.write_details(object);
        self.write_annotations(object);
        self.write_calls(object, context.is_legacy_functions);
        if !self.images.is_empty() {
            object.array("images", |images| {
                for (index, image) in self.images.iter().enumerate() {
                    images.object(|object| write_image(object, image, index as u64));
                }
            });
        }
        if let Some(audio) = self.audio {
            head::write_audio(object, audio, context);
        }
    }

    fn write_details(&self, object: &mut Object<'_>) {
        let entries = Raw::array(|array| {
            let mut index = 0;
            for (state, text) in &self.details {
                if detail::write(array, state, text.as_deref(), index) {
                    index += 1;
                }
            }
        });
        if !entries.is_empty() {
            object.raw("reasoning_details", entries.as_str());
        }
    }

    fn write_annotations(&self, object: &mut Object<'_>) {
        let entries = Raw::array(|array| {
            for (start, end, annotations) in &self.cited {
                let block = self.text.get(*start..*end).unwrap_or_default();
                for annotation in *annotations {
                    annotation::write(array, annotation, &self.text, *start, block);
                }
            }
        });
        if !entries.is_empty() {
            object.raw("annotations", entries.as_str());
        }
    }

    fn write_calls(&self, object: &mut Object<'_>, is_legacy: bool) {
        if is_legacy {
            if let Some(call) = self.calls.first() {
                object.object("function_call", |function| write_function(function, call));
            }
        } else if !self.calls.is_empty() {
            object.array("tool_calls", |array| {
                for call in &self.calls {
                    array.object(|object| write_call(object, call));
                }
            });
        }
    }
}

fn write_call(object: &mut Object<'_>, call: &ToolCall) {
    object.str("id", &id::fit(&call.call_id, Format::Chat.tool_id()));
    if let (CallKind::Custom, Arguments::Text(input)) = (call.kind, &call.arguments) {
        object.str("type", "custom");
        object.object("custom", |custom| {
            custom.str("name", &call.name);
            custom.str("input", input);
        });
    } else {
        object.str("type", "function");
        object.object("function", |function| write_function(function, call));
    }
    if let Some(signature) = call.opaque.as_ref().and_then(head::native_signature) {
        head::write_signature(object, signature);
    }
}

fn write_function(function: &mut Object<'_>, call: &ToolCall) {
    let arguments = call.arguments.as_str();
    function.str("name", &call.name);
    function.str("arguments", if arguments.trim().is_empty() { "{}" } else { arguments });
}

/// Writes an entry of `images`.
pub(super) fn write_image(object: &mut Object<'_>, image: &Image, index: u64) {
    object.str("type", "image_url");
    object.object("image_url", |address| {
        media::write(address, "url", &image.source);
    });
    object.u64("index", index);
    if let Some(signature) = image.opaque.as_ref().and_then(head::native_signature) {
        head::write_signature(object, signature);
    }
}
