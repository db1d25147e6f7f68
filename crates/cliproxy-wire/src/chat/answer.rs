//! Whole answers. A body says in one piece what a stream says in many, so it is read by the same state machine.

use crate::chat::stream::{self, completion_id, signature, tier, write_audio, write_image, write_reasoning};
use crate::chat::{annotation, detail, stop};
use crate::codec::{ClientContext, ReasoningField, UpstreamContext};
use crate::fault::{self, Fault, Kind};
use crate::format::Format;
use crate::json::{self, Kind as JsonKind, Object, Reader};
use crate::model::fold::Fold;
use crate::model::{
    Arguments, Block, CallKind, Candidate, Content, Event, OpaqueKind, Response, Show, StopReason, ToolCall,
};
use crate::usage;

/// Reads a body.
pub(super) fn decode(body: &[u8], context: &UpstreamContext) -> Result<Response, Fault> {
    let unusable = || {
        Fault::new(Kind::BadUpstream, "the upstream's answer is not a chat completion")
            .with_code("bad_gateway")
    };
    let mut reader = Reader::from_bytes(body).map_err(|_error| unusable())?;
    if let Some(fault) = fault::in_success(Format::Chat, &mut reader.clone()) {
        return Err(fault);
    }
    if reader.kind() != JsonKind::Object {
        return Err(unusable());
    }
    let mut decoder = stream::Decoder::new(context.clone(), true);
    let mut events = Vec::new();
    decoder.chunk(&mut reader, &mut events).and_then(|()| reader.finish()).map_err(|_error| unusable())?;
    decoder.end(&mut events);
    let mut fold = Fold::default();
    for event in events {
        if let Event::Error(fault) = event {
            return Err(*fault);
        }
        fold.event(event);
    }
    fold.finish().ok_or_else(unusable)
}

/// Writes a body.
pub(super) fn encode(response: &Response, context: &ClientContext) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |object| {
        object.str("id", &completion_id(context, response.id.as_deref()));
        object.str("object", "chat.completion");
        object.u64("created", response.created.unwrap_or(context.created));
        object.str("model", context.model(response.model.as_deref()));
        object.array("choices", |choices| {
            for candidate in &response.candidates {
                choices.object(|choice| write_choice(choice, candidate, context));
            }
            if choices.is_empty() {
                let empty = Candidate::new(0, crate::model::Stop::new(StopReason::EndTurn));
                choices.object(|choice| write_choice(choice, &empty, context));
            }
        });
        if let Some(counts) = &response.usage {
            object.object("usage", |object| usage::write_chat(&counts.clone().clamped(), object));
        }
        object.opt_str("service_tier", response.service_tier.as_deref().and_then(tier));
        object.opt_str("system_fingerprint", response.system_fingerprint.as_deref());
    });
    out
}

fn write_choice(choice: &mut Object<'_>, candidate: &Candidate, context: &ClientContext) {
    choice.u64("index", u64::from(candidate.index));
    choice.object("message", |message| write_message(message, candidate, context));
    let logprobs =
        candidate.blocks.iter().find_map(|block| block.as_text().and_then(|text| text.logprobs.as_ref()));
    match logprobs {
        Some(logprobs) => choice.object("logprobs", |object| {
            object.raw("content", logprobs.as_str());
            object.null("refusal");
        }),
        None => choice.null("logprobs"),
    }
    choice.str("finish_reason", stop::word(&candidate.stop, context.is_legacy_functions));
    choice.opt_raw("grounding_metadata", candidate.grounding.as_ref());
    choice.opt_raw("url_context_metadata", candidate.url_context.as_ref());
}

fn write_message(message: &mut Object<'_>, candidate: &Candidate, context: &ClientContext) {
    let (text, starts) = joined(&candidate.blocks);
    let calls: Vec<&ToolCall> = contents(candidate, |content| match content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    });
    let is_silent = candidate.blocks.is_empty() && candidate.stop.explanation.is_none();
    message.str("role", "assistant");
    if text.is_empty() && !is_silent {
        message.null("content");
    } else {
        message.str("content", &text);
    }
    let refused = contents(candidate, |content| match content {
        Content::Refusal(text) => Some(&**text),
        _ => None,
    });
    let explained = matches!(candidate.stop.reason, StopReason::Refusal | StopReason::ContentFilter)
        .then_some(candidate.stop.explanation.as_deref())
        .flatten();
    let refusal = if refused.is_empty() { explained.map(str::to_owned) } else { Some(refused.concat()) };
    message.str_or_null("refusal", refusal.as_deref());
    write_thoughts(message, candidate, context);
    write_calls(message, &calls, context);
    let images = contents(candidate, |content| match content {
        Content::Image(image) => Some(&image.source),
        _ => None,
    });
    if !images.is_empty() {
        message.array("images", |array| {
            for (index, source) in (0u32..).zip(images) {
                array.object(|image| write_image(image, source, index));
            }
        });
    }
    if let Some(sound) = candidate.blocks.iter().find_map(|block| match &block.content {
        Content::Audio(audio) => Some(audio),
        _ => None,
    }) {
        message.object("audio", |audio| write_audio(audio, sound));
    }
    write_annotations(message, candidate, &text, &starts);
}

fn contents<'c, T>(candidate: &'c Candidate, pick: impl Fn(&'c Content) -> Option<T>) -> Vec<T> {
    candidate.blocks.iter().filter_map(|block| pick(&block.content)).collect()
}

/// The text of an answer, and where each text block begins in it: neighbors are joined as they are, blocks with
/// something between them by a blank line.
fn joined(blocks: &[Block]) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut starts = Vec::new();
    let mut was_text = true;
    for block in blocks {
        let Some(piece) = block.as_text() else {
            was_text = false;
            continue;
        };
        if !was_text && !text.is_empty() && !piece.text.is_empty() {
            text.push_str("\n\n");
        }
        was_text = true;
        starts.push(text.len());
        text.push_str(&piece.text);
    }
    (text, starts)
}

fn write_thoughts(message: &mut Object<'_>, candidate: &Candidate, context: &ClientContext) {
    let thoughts = contents(candidate, |content| match content {
        Content::Reasoning(reasoning) => Some(reasoning),
        _ => None,
    });
    let text: Vec<String> =
        thoughts.iter().map(|thought| thought.text()).filter(|text| !text.is_empty()).collect();
    if !text.is_empty() && context.show != Show::Hidden && context.reasoning_field != ReasoningField::None {
        write_reasoning(message, context.reasoning_field, &text.join("\n\n"));
    }
    let mut index = 0;
    let mut entries = Vec::new();
    json::array(&mut entries, |array| {
        for state in thoughts.iter().flat_map(|thought| &thought.opaque) {
            index += u32::from(detail::write(array, state, None, index));
        }
        let others = contents(candidate, |content| match content {
            Content::ToolCall(call) => call.opaque.as_ref(),
            Content::Text(text) => text.opaque.as_ref(),
            _ => None,
        });
        for state in others.into_iter().filter(|state| state.kind != OpaqueKind::GeminiThought) {
            index += u32::from(detail::write(array, state, None, index));
        }
    });
    if index > 0 {
        message.raw("reasoning_details", &String::from_utf8(entries).unwrap_or_default());
    }
}

fn write_calls(message: &mut Object<'_>, calls: &[&ToolCall], context: &ClientContext) {
    let Some(first) = calls.first() else { return };
    if context.is_legacy_functions {
        message.object("function_call", |call| {
            call.str("name", &first.name);
            call.str("arguments", arguments(first));
        });
        return;
    }
    message.array("tool_calls", |array| {
        for call in calls {
            array.object(|object| {
                object.str("id", &call.call_id);
                let (kind, body) = match call.kind {
                    CallKind::Function => ("function", "arguments"),
                    CallKind::Custom => ("custom", "input"),
                };
                object.str("type", kind);
                object.object(kind, |function| {
                    function.str("name", &call.name);
                    function.str(body, arguments(call));
                });
                if let Some(state) =
                    call.opaque.as_ref().filter(|state| state.kind == OpaqueKind::GeminiThought)
                {
                    signature(object, &state.data);
                }
            });
        }
    });
}

fn arguments(call: &ToolCall) -> &str {
    match &call.arguments {
        Arguments::Json(text) if text.trim().is_empty() => "{}",
        other => other.as_str(),
    }
}

fn write_annotations(message: &mut Object<'_>, candidate: &Candidate, whole: &str, starts: &[usize]) {
    let texts = contents(candidate, |content| match content {
        Content::Text(text) => Some(text),
        _ => None,
    });
    let mut count = 0usize;
    let mut written = Vec::new();
    json::array(&mut written, |array| {
        for (text, start) in texts.iter().zip(starts) {
            for annotation in &text.annotations {
                count += usize::from(annotation::write(array, annotation, whole, *start, &text.text));
            }
        }
    });
    if count > 0 {
        message.raw("annotations", &String::from_utf8(written).unwrap_or_default());
    }
}
