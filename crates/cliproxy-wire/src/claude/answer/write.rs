//! Writing an answer for a client.

use std::borrow::Cow;

use crate::codec::ClientContext;
use crate::estimate::Input;
use crate::format::Format;
use crate::json::{self, Array, Object, Raw};
use crate::model::{
    Arguments, Block, Content, Native, Opaque, OpaqueKind, Reasoning, Response, Status, Stop, StopReason,
    Str, Text, ToolCall, Usage,
};
use crate::normalize::{arguments, id};

use super::super::signature::{self, Visibility};
use super::super::{citation, stop};
use super::render::{Pair, grounding_pair, hosted_pair, hosted_text, own_block};

/// Writes an answer for a client of this format.
pub fn encode_response(response: &Response, context: &ClientContext) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    if let Status::Failed(fault) = &response.status {
        crate::fault::write_claude_error(&mut body, fault, &context.request_id);
        return body;
    }
    let candidate = response.candidates.first();
    let nothing = Stop::new(StopReason::EndTurn);
    let stop = candidate.map_or(&nothing, |candidate| &candidate.stop);
    json::object(&mut body, |object| {
        object.str("id", &message_id(response.id.as_deref(), context));
        object.str("type", "message");
        object.str("role", "assistant");
        object.str("model", context.model(response.model.as_deref()));
        object.array("content", |array| {
            let mut content = Writer::new(context, stop.reason == StopReason::MaxTokens);
            if let Some(candidate) = candidate {
                content.blocks(array, &candidate.blocks);
                if let Some(grounding) = &candidate.grounding
                    && content.searches == 0
                    && let Some(pair) = grounding_pair(grounding, context)
                {
                    write_pair(array, &pair);
                }
            }
        });
        let no_ext = crate::model::Ext::new();
        let is_own = response.origin == Format::Claude;
        let ext = candidate.filter(|_| is_own).map_or(&no_ext, |candidate| &candidate.ext);
        stop::write(object, stop, ext);
        write_usage(object, response.usage.as_ref(), response.service_tier.as_ref(), context);
        if is_own {
            response.ext.write(object);
        }
        if let Some(candidate) = candidate {
            object.opt_raw("grounding_metadata", candidate.grounding.as_ref());
            object.opt_raw("url_context_metadata", candidate.url_context.as_ref());
        }
    });
    body
}

/// The answer's id: the upstream's if it is one of this format.
pub(in crate::claude) fn message_id<'a>(upstream: Option<&'a str>, context: &ClientContext) -> Cow<'a, str> {
    match upstream {
        Some(id) if id.starts_with("msg_") => Cow::Borrowed(id),
        other => crate::id::base62("msg_", 24, &[&context.request_id, other.unwrap_or_default(), "0"]).into(),
    }
}

/// Writes `usage`, which in this format tells the `tier` too; what the upstream does not say of the input is estimated.
pub(in crate::claude) fn write_usage(
    object: &mut Object<'_>,
    usage: Option<&Usage>,
    tier: Option<&Str>,
    context: &ClientContext,
) {
    let mut usage = with_input(usage, context);
    usage.tier = usage.tier.or_else(|| tier.cloned());
    object.object("usage", |object| crate::usage::write_claude(&usage, object));
}

/// Writes the counts that the end of a stream tells, which have the same duty.
pub(in crate::claude) fn write_last_usage(
    object: &mut Object<'_>,
    usage: Option<&Usage>,
    context: &ClientContext,
) {
    let usage = with_input(usage, context);
    object.object("usage", |object| crate::usage::write_claude_counts(&usage, object));
}

fn with_input(usage: Option<&Usage>, context: &ClientContext) -> Usage {
    let mut usage = usage.cloned().unwrap_or_default();
    if usage.input.is_none() {
        usage.input = context.input.as_ref().map(Input::tokens);
    }
    usage
}

/// Writes the blocks of an answer.
struct Writer<'a> {
    context: &'a ClientContext,
    visibility: Visibility,
    /// A call whose arguments end in the middle is dropped: it cannot be written and must not be executed.
    is_cut: bool,
    calls: u32,
    hosted: u32,
    searches: u32,
}

impl<'a> Writer<'a> {
    fn new(context: &'a ClientContext, is_cut: bool) -> Self {
        let visibility = Visibility::of(context);
        Self { context, visibility, is_cut, calls: 0, hosted: 0, searches: 0 }
    }

    fn blocks(&mut self, array: &mut Array<'_>, blocks: &[Block]) {
        let mut is_signed = false;
        for (index, block) in blocks.iter().enumerate() {
            let next = match blocks.get(index + 1).map(|block| &block.content) {
                Some(Content::ToolCall(call)) => call.opaque.as_ref(),
                _ => None,
            };
            if let Content::Reasoning(reasoning) = &block.content {
                let next = next.filter(|_| reasoning.opaque.is_empty() && !reasoning.is_redacted);
                let of_call = next.map(|opaque| signature::of_call(opaque, self.calls));
                is_signed = of_call.is_some();
                self.reasoning(array, reasoning, of_call.as_ref());
                continue;
            }
            if let Content::ToolCall(call) = &block.content {
                if let (Some(opaque), false) = (&call.opaque, is_signed) {
                    let of_call = signature::of_call(opaque, self.calls);
                    self.thinking(array, "", "", Some(&of_call));
                }
                self.calls += 1;
            }
            is_signed = false;
            self.block(array, block);
        }
    }

    fn reasoning(&mut self, array: &mut Array<'_>, reasoning: &Reasoning, of_call: Option<&Opaque>) {
        if self.visibility == Visibility::Absent {
            return;
        }
        let text = reasoning.text();
        let mut is_text_written = false;
        for opaque in reasoning.opaque.iter().chain(of_call) {
            if opaque.kind == OpaqueKind::ClaudeRedacted {
                array.object(|object| {
                    object.str("type", "redacted_thinking");
                    object.str("data", &signature::render(Some(opaque), Some(&text)));
                });
            } else if std::mem::replace(&mut is_text_written, true) {
                self.thinking(array, "", "", Some(opaque));
            } else {
                self.thinking(array, &text, &text, Some(opaque));
            }
        }
        if reasoning.opaque.is_empty() && of_call.is_none() && !text.is_empty() {
            self.thinking(array, &text, &text, None);
        }
    }

    fn thinking(&self, array: &mut Array<'_>, text: &str, carried: &str, opaque: Option<&Opaque>) {
        let (text, carried) = match self.visibility {
            Visibility::Absent => return,
            Visibility::Shown => (text, ""),
            Visibility::Omitted => ("", carried),
        };
        array.object(|object| {
            object.str("type", "thinking");
            object.str("thinking", text);
            object.str("signature", &signature::render(opaque, Some(carried)));
        });
    }

    fn block(&mut self, array: &mut Array<'_>, block: &Block) {
        if let Some(own) = own_block(&block.content) {
            if let Content::Hosted(_) = &block.content {
                self.hosted += 1;
                self.searches += 1;
            }
            array.raw(own.as_str());
            return;
        }
        match &block.content {
            Content::Text(text) => write_text(array, text),
            Content::Refusal(text) => write_plain(array, text),
            Content::ToolCall(call) => self.tool_call(array, call),
            Content::Image(image) => write_plain(array, &image.source.told("image")),
            Content::Audio(audio) => match audio.transcript.as_deref().filter(|text| !text.is_empty()) {
                Some(transcript) => write_plain(array, transcript),
                None => write_plain(array, &audio.source.told("audio")),
            },
            Content::Video(video) => write_plain(array, &video.source.told("video")),
            Content::Document(document) => write_plain(array, &document.source.told("document")),
            Content::Hosted(hosted) => {
                self.searches += u32::from(hosted.kind == crate::model::HostedKind::WebSearch);
                if hosted.phase != crate::model::HostedPhase::Result {
                    self.hosted += 1;
                }
                if let Some(pair) = hosted_pair(hosted, self.hosted, self.context) {
                    write_pair(array, &pair);
                } else if let Some(text) = hosted_text(hosted) {
                    write_plain(array, &text);
                }
            }
            Content::Reasoning(_)
            | Content::ToolResult(_)
            | Content::SearchResult(_)
            | Content::Native(_) => {}
        }
    }

    fn tool_call(&self, array: &mut Array<'_>, call: &ToolCall) {
        if self.is_cut && Raw::parse(call.arguments.as_str()).is_err() {
            return;
        }
        array.object(|object| {
            object.str("type", "tool_use");
            object.str("id", &id::fit(&call.call_id, Format::Claude.tool_id()));
            object.str("name", &call.name);
            write_call_input(object, &call.arguments);
            object.opt_raw("caller", own_caller(call.caller.as_ref()));
        });
    }
}

/// `caller` of a call, where this format said it.
pub(in crate::claude) fn own_caller(caller: Option<&Native>) -> Option<&Raw> {
    caller.filter(|caller| caller.format == Format::Claude).map(|caller| &caller.value)
}

/// Writes `input`.
fn write_call_input(object: &mut Object<'_>, text: &Arguments) {
    match text {
        Arguments::Json(text) => object.raw("input", &arguments::object(text)),
        Arguments::Text(text) => object.raw("input", arguments::wrap(text).as_str()),
    }
}

fn write_plain(array: &mut Array<'_>, text: &str) {
    if !text.is_empty() {
        array.object(|object| {
            object.str("type", "text");
            object.str("text", text);
        });
    }
}

fn write_text(array: &mut Array<'_>, text: &Text) {
    let citations: Vec<Raw> =
        text.annotations.iter().filter_map(|annotation| citation::rendered(annotation, &text.text)).collect();
    if text.text.is_empty() && citations.is_empty() {
        return;
    }
    array.object(|object| {
        object.str("type", "text");
        object.str("text", &text.text);
        if !citations.is_empty() {
            object.array("citations", |array| citations.iter().for_each(|raw| array.raw(raw.as_str())));
        }
    });
}

fn write_pair(array: &mut Array<'_>, pair: &Pair) {
    if let Some((id, name, input)) = &pair.call {
        array.object(|object| {
            object.str("type", "server_tool_use");
            object.str("id", id);
            object.str("name", name);
            object.raw("input", input);
        });
    }
    if let Some(result) = &pair.result {
        array.raw(result.as_str());
    }
}
