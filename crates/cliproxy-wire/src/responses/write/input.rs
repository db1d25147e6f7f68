//! Turns written as items.

use crate::Error;
use crate::format::Format;
use crate::json::{Array, Object, Raw, Words};
use crate::model::{
    Block, CallKind, Content, Document, Image, Media, OpaqueKind, Reasoning, Role, ToolCall, ToolResult, Turn,
};

use super::super::{annotation, media, typed};
use super::Writer;

/// Writes an instruction as a message.
pub(super) fn instruction(array: &mut Array<'_>, role: &str, text: &(impl Words + ?Sized)) {
    array.object(|item| {
        item.str("type", "message");
        item.str("role", role);
        item.array("content", |content| input_text(content, text));
    });
}

fn input_text(content: &mut Array<'_>, text: &(impl Words + ?Sized)) {
    content.object(|part| {
        part.str("type", "input_text");
        part.str("text", text);
    });
}

/// Writes a turn.
pub(super) fn turn(writer: &mut Writer<'_>, array: &mut Array<'_>, turn: &Turn) {
    match turn.role {
        Role::User => user(writer, array, turn),
        Role::Assistant => assistant(writer, array, turn),
        Role::Instruction(role) => {
            let role = writer.role(role);
            array.object(|item| {
                item.str("type", "message");
                item.str("role", role);
                item.array("content", |content| {
                    for block in &turn.blocks {
                        if let Content::Text(text) = &block.content {
                            input_text(content, &text.text);
                        }
                    }
                });
            });
        }
    }
}

fn user(writer: &mut Writer<'_>, array: &mut Array<'_>, turn: &Turn) {
    let mut blocks = turn.blocks.as_slice();
    while let Some((first, rest)) = blocks.split_first() {
        match &first.content {
            Content::ToolResult(result) => {
                tool_result(writer, array, result, first);
                blocks = rest;
            }
            Content::Native(native) if native.format == Format::Responses && is_item(&native.value) => {
                raw_item(writer, array, &native.value);
                blocks = rest;
            }
            _ => {
                let is_part = |block: &Block| match &block.content {
                    Content::ToolResult(_) => false,
                    Content::Native(native) => !is_item(&native.value),
                    _ => true,
                };
                let length = blocks.iter().position(|block| !is_part(block)).unwrap_or(blocks.len());
                let (run, rest) = blocks.split_at(length);
                array.object(|item| {
                    item.str("type", "message");
                    item.str("role", "user");
                    item.array("content", |content| parts(writer, content, run));
                    if writer.is_own() {
                        turn.ext.write(item);
                    }
                });
                blocks = rest;
            }
        }
    }
}

/// Native values are items or parts; only parts of messages have such types.
fn is_item(value: &Raw) -> bool {
    let kind = value.get("type").and_then(|kind| kind.to_text()).unwrap_or_default();
    !(kind.starts_with("input_") || kind.starts_with("output_"))
}

fn parts(writer: &mut Writer<'_>, content: &mut Array<'_>, blocks: &[Block]) {
    for block in blocks {
        match &block.content {
            Content::Text(text) => content.object(|part| {
                part.str("type", "input_text");
                part.str("text", &text.text);
                own_members(writer, part, block);
            }),
            Content::Refusal(text) => input_text(content, text),
            Content::Image(value) => content.object(|part| {
                image(writer, part, value);
                own_members(writer, part, block);
            }),
            Content::Document(Document { source: Media::Text { text, .. }, filename, title, .. }) => {
                let name = title.as_deref().or(filename.as_deref());
                match name {
                    Some(name) => input_text(content, &format!("[{name}]\n{text}")),
                    None => input_text(content, text),
                }
            }
            Content::Document(value) => content.object(|part| {
                document(writer, part, value);
                own_members(writer, part, block);
            }),
            Content::Audio(audio) => match &audio.source {
                Media::Inline { mime, base64 } => content.object(|part| {
                    part.str("type", "input_audio");
                    part.object("input_audio", |audio| {
                        audio.str("data", base64);
                        audio.str("format", audio_format(writer, mime));
                    });
                }),
                _ => writer.semantic("input", "send sound inline"),
            },
            Content::Video(_) => writer.semantic("input", "send no video"),
            Content::SearchResult(value) => input_text(content, &search_result(value)),
            Content::Native(native) if native.format == Format::Responses => {
                content.raw(native.value.as_str());
            }
            Content::Reasoning(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Hosted(_)
            | Content::Native(_) => {}
        }
    }
}

/// Members of a part that only this format knows.
fn own_members(writer: &Writer<'_>, part: &mut Object<'_>, block: &Block) {
    if !writer.is_own() {
        return;
    }
    for (name, value) in block.ext.iter() {
        let is_mark = matches!(name, "prompt_cache_breakpoint" | "cache_control");
        if name != "phase" && !(is_mark && writer.is_codex) {
            part.raw(name, value.as_str());
        }
    }
}

fn image(writer: &mut Writer<'_>, part: &mut Object<'_>, image: &Image) {
    part.str("type", "input_image");
    match &image.source {
        Media::Inline { mime, base64 } => media::write_data_url(part, "image_url", mime, base64),
        Media::Url(url) => part.str("image_url", url),
        Media::File { id, .. } => part.str("file_id", id),
        Media::GoogleUri { .. } | Media::Text { .. } => {
            writer.semantic("input", "send the image inline or by an http address");
        }
    }
    part.opt_str("detail", image.detail.as_ref());
}

fn document(writer: &mut Writer<'_>, part: &mut Object<'_>, document: &Document) {
    part.str("type", "input_file");
    let name = document.filename.as_deref().or(document.title.as_deref());
    match &document.source {
        Media::Inline { mime, base64 } => {
            part.str("filename", name.unwrap_or("document.pdf"));
            media::write_data_url(part, "file_data", mime, base64);
        }
        // An address brings its own name; the service refuses both together.
        Media::Url(url) => part.str("file_url", url),
        Media::File { id, .. } => part.str("file_id", id),
        Media::GoogleUri { .. } | Media::Text { .. } => {
            writer.semantic("input", "send the file inline or by an http address");
        }
    }
}

fn audio_format(writer: &mut Writer<'_>, mime: &str) -> &'static str {
    match mime {
        "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
        "audio/mpeg" | "audio/mp3" => "mp3",
        _ => {
            writer.semantic("input", "send sound as wav or mp3");
            "wav"
        }
    }
}

fn search_result(value: &Raw) -> String {
    let mut text = String::new();
    for name in ["title", "source"] {
        if let Some(line) = value.get(name).and_then(|line| line.to_text()) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    if let Some(content) = value.get("content") {
        let _complete = content.reader().array(|_, part| {
            if let Some(piece) = part.to_raw()?.get("text").and_then(|piece| piece.to_text()) {
                text.push_str(&piece);
                text.push('\n');
            }
            Ok(())
        });
    }
    text.truncate(text.trim_end().len());
    text
}

fn tool_result(writer: &mut Writer<'_>, array: &mut Array<'_>, result: &ToolResult, block: &Block) {
    if let Some(native) = &result.native
        && native.format == Format::Responses
    {
        paired_item(array, &native.value, &result.call_id);
        return;
    }
    array.object(|item| {
        let kind = match result.kind {
            CallKind::Custom => "custom_tool_call_output",
            CallKind::Function => "function_call_output",
        };
        item.str("type", kind);
        item.str("call_id", &result.call_id);
        match (result.content.as_slice(), &result.structured) {
            ([], None) => item.str("output", ""),
            ([], Some(structured)) => item.str("output", structured.as_str()),
            ([Block { content: Content::Text(text), .. }], _) => item.str("output", &text.text),
            (blocks, _) => item.array("output", |output| parts(writer, output, blocks)),
        }
        if writer.is_own() {
            block.ext.write(item);
        }
    });
}

fn assistant(writer: &mut Writer<'_>, array: &mut Array<'_>, turn: &Turn) {
    let mut blocks = turn.blocks.as_slice();
    let mut phase = turn.phase.as_deref().map(Raw::string).filter(|_| writer.is_own());
    while let Some((first, rest)) = blocks.split_first() {
        match &first.content {
            Content::Text(_) | Content::Refusal(_) => {
                // A message ends where something else begins, or the next message of the run.
                let is_end = |block: &Block| {
                    !matches!(block.content, Content::Text(_) | Content::Refusal(_))
                        || (writer.is_own() && block.ext.get("phase").is_some())
                };
                let length = rest.iter().position(is_end).unwrap_or(rest.len()) + 1;
                let (run, rest) = blocks.split_at(length);
                let own = first.ext.get("phase").filter(|_| writer.is_own()).cloned();
                let phase = own.or_else(|| phase.take());
                message(writer, array, run, phase.as_ref());
                blocks = rest;
            }
            Content::Reasoning(value) => {
                if rest.iter().any(|block| writes_item(&block.content)) {
                    reasoning(array, value);
                }
                blocks = rest;
            }
            Content::ToolCall(call) => {
                tool_call(writer, array, call, first);
                blocks = rest;
            }
            Content::Hosted(hosted) if hosted.native.format == Format::Responses => {
                raw_item(writer, array, &hosted.native.value);
                blocks = rest;
            }
            Content::Native(native) if native.format == Format::Responses && is_item(&native.value) => {
                raw_item(writer, array, &native.value);
                blocks = rest;
            }
            _ => {
                writer.notes.add("input");
                blocks = rest;
            }
        }
    }
}

/// Reasoning must be followed by what it led to; the service refuses it alone.
fn writes_item(content: &Content) -> bool {
    match content {
        Content::Text(_) | Content::Refusal(_) | Content::ToolCall(_) => true,
        Content::Hosted(hosted) => hosted.native.format == Format::Responses,
        _ => false,
    }
}

fn message(writer: &mut Writer<'_>, array: &mut Array<'_>, blocks: &[Block], phase: Option<&Raw>) {
    array.object(|item| {
        item.str("type", "message");
        item.str("role", "assistant");
        item.array("content", |content| {
            for block in blocks {
                match &block.content {
                    Content::Text(text) => content.object(|part| {
                        part.str("type", "output_text");
                        part.str("text", &text.text);
                        if writer.is_own() && !text.annotations.is_empty() {
                            part.array("annotations", |list| {
                                for entry in &text.annotations {
                                    let (start, end) = annotation::range(entry, &text.text);
                                    annotation::write(list, entry, start, end);
                                }
                            });
                        }
                        own_members(writer, part, block);
                    }),
                    Content::Refusal(text) => content.object(|part| {
                        part.str("type", "refusal");
                        part.str("refusal", text);
                    }),
                    _ => {}
                }
            }
        });
        item.opt_raw("phase", phase);
    });
}

/// One item holds one state: the text goes with the first.
fn reasoning(array: &mut Array<'_>, reasoning: &Reasoning) {
    let states = reasoning.opaque.iter().filter(|state| state.kind == OpaqueKind::OpenAiEncrypted);
    for (at, state) in states.enumerate() {
        array.object(|item| {
            item.str("type", "reasoning");
            item.array("summary", |summary| {
                for text in reasoning.summary.iter().filter(|_| at == 0) {
                    summary.object(|part| {
                        part.str("type", "summary_text");
                        part.str("text", text);
                    });
                }
            });
            item.str("encrypted_content", &state.data);
        });
    }
}

fn tool_call(writer: &Writer<'_>, array: &mut Array<'_>, call: &ToolCall, block: &Block) {
    if let Some(native) = &call.native
        && native.format == Format::Responses
    {
        let kind = native.value.get("type").and_then(|kind| kind.to_text()).unwrap_or_default();
        match typed::of(&kind) {
            Some(typed) if typed.call != kind => array.object(|item| {
                let id = call.item_id.as_deref().unwrap_or(&call.call_id);
                typed.write(item, id, "completed", &call.call_id, call.arguments.as_str());
            }),
            _ => paired_item(array, &native.value, &call.call_id),
        }
        return;
    }
    array.object(|item| match call.kind {
        CallKind::Custom => {
            item.str("type", "custom_tool_call");
            item.str("call_id", &call.call_id);
            item.str("name", &call.name);
            item.opt_str("namespace", call.namespace.as_ref());
            item.str("input", call.arguments.text());
            own_call_members(writer, item, call, block);
        }
        CallKind::Function => {
            let arguments = call.arguments.text();
            item.str("type", "function_call");
            item.str("call_id", &call.call_id);
            item.str("name", &call.name);
            item.opt_str("namespace", call.namespace.as_ref());
            if arguments.is_blank() || arguments.trims_to("null") {
                item.str("arguments", "{}");
            } else {
                item.str("arguments", arguments);
            }
            own_call_members(writer, item, call, block);
        }
    });
}

fn own_call_members(writer: &Writer<'_>, item: &mut Object<'_>, call: &ToolCall, block: &Block) {
    if writer.is_own() {
        item.opt_raw("caller", call.caller.as_ref().map(|caller| &caller.value));
        block.ext.write(item);
    }
}

/// A typed item with the pairing id it was given for this target.
fn paired_item(array: &mut Array<'_>, value: &Raw, call_id: &str) {
    array.object(|item| {
        // The span was read as JSON before.
        let _complete: Result<(), Error> = value.reader().object(|key, member| {
            if key == "call_id" {
                item.str("call_id", call_id);
            } else {
                item.raw(key, member.raw()?);
            }
            Ok(())
        });
    });
}

/// An item of this format as it came. The Codex backend stores nothing, so it knows no ids.
fn raw_item(writer: &Writer<'_>, array: &mut Array<'_>, value: &Raw) {
    if !writer.is_codex {
        array.raw(value.as_str());
        return;
    }
    array.object(|item| {
        let _complete: Result<(), Error> = value.reader().object(|key, member| {
            if !matches!(key, "id" | "status") {
                let span = member.raw()?;
                // No output is not the same as no member: of a call that ran nothing printed, the service wants to know.
                if span != "null" || key == "outputs" {
                    item.raw(key, span);
                }
            }
            Ok(())
        });
    });
}
