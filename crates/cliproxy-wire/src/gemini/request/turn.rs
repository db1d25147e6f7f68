//! The conversation for an upstream: turns to `contents`.

use super::encode::Writer;
use crate::Format;
use crate::json::{Array, Object};
use crate::model::{
    Block, Content, Document, Ext, Image, Media, Opaque, OpaqueKind, Owner, Role, Str, ToolCall, ToolResult,
    Turn,
};

use super::super::part::mime_of;

/// Writes the elements of `contents`.
pub(super) fn write(contents: &mut Array<'_>, writer: &mut Writer<'_>, has_thoughts: bool) {
    for turn in &writer.request().turns {
        if turn.blocks.iter().any(|block| is_written(&block.content, has_thoughts)) {
            contents.object(|content| write_turn(content, turn, writer, has_thoughts));
        }
    }
}

fn write_turn(content: &mut Object<'_>, turn: &Turn, writer: &mut Writer<'_>, has_thoughts: bool) {
    content.str("role", if turn.role == Role::Assistant { "model" } else { "user" });
    content.array("parts", |parts| {
        for block in &turn.blocks {
            if is_written(&block.content, has_thoughts) {
                write_block(parts, block, writer);
            }
        }
    });
}

/// False for what leaves no part behind.
fn is_written(content: &Content, has_thoughts: bool) -> bool {
    match content {
        Content::Text(text) => !text.text.is_empty() || own_signature(text.opaque.as_ref()).is_some(),
        Content::Refusal(text) => !text.is_empty(),
        // Thinking is only taken back signed; without signature it is the model's past and of no use to it.
        Content::Reasoning(reasoning) => {
            has_thoughts && reasoning.opaque.iter().any(|opaque| own_signature(Some(opaque)).is_some())
        }
        Content::Hosted(hosted) => hosted.native.format == Format::Gemini,
        Content::Native(native) => native.format == Format::Gemini,
        _ => true,
    }
}

/// The signature if the upstream can read it.
fn own_signature(opaque: Option<&Opaque>) -> Option<&str> {
    opaque
        .filter(|opaque| opaque.owner == Owner::Google || opaque.kind == OpaqueKind::GeminiThought)
        .map(|opaque| &*opaque.data)
}

fn write_block(parts: &mut Array<'_>, block: &Block, writer: &mut Writer<'_>) {
    let is_native = writer.request().origin == Format::Gemini;
    let ext = is_native.then_some(&block.ext);
    match &block.content {
        Content::Text(text) => parts.object(|part| {
            part.str("text", &text.text);
            part.opt_str("thoughtSignature", own_signature(text.opaque.as_ref()));
            write_ext(part, ext);
        }),
        Content::Refusal(text) => parts.object(|part| part.str("text", text)),
        Content::Reasoning(reasoning) => {
            let signatures = reasoning.opaque.iter().filter_map(|state| own_signature(Some(state)));
            for (at, signature) in signatures.enumerate() {
                parts.object(|part| {
                    part.str("text", &if at == 0 { reasoning.text() } else { String::new() });
                    part.bool("thought", true);
                    part.str("thoughtSignature", signature);
                });
            }
        }
        Content::Image(image) => parts.object(|part| {
            write_media(part, &image.source, "image/jpeg", None);
            part.opt_str("thoughtSignature", own_signature(image.opaque.as_ref()));
            write_detail(part, image, ext, writer);
            write_ext(part, ext);
        }),
        Content::Audio(audio) => parts.object(|part| {
            write_media(part, &audio.source, "audio/wav", None);
            write_ext(part, ext);
        }),
        Content::Video(video) => parts.object(|part| {
            write_media(part, &video.source, "video/mp4", None);
            part.opt_raw("videoMetadata", video.clip.as_ref());
            write_ext(part, ext);
        }),
        Content::Document(document) => parts.object(|part| {
            write_document(part, document, writer.is_vertex());
            write_ext(part, ext);
        }),
        Content::SearchResult(result) => parts.object(|part| part.str("text", &search_text(result))),
        Content::ToolCall(call) => parts.object(|part| {
            write_call(part, call, writer);
            write_ext(part, ext);
        }),
        Content::ToolResult(result) => parts.object(|part| write_result(part, result, writer)),
        Content::Hosted(hosted) => parts.raw(hosted.native.value.as_str()),
        Content::Native(native) => parts.raw(native.value.as_str()),
    }
}

fn write_ext(part: &mut Object<'_>, ext: Option<&Ext>) {
    if let Some(ext) = ext {
        ext.write(part);
    }
}

/// `detail` of an image, for models that have it per part.
fn write_detail(part: &mut Object<'_>, image: &Image, ext: Option<&Ext>, writer: &Writer<'_>) {
    if ext.is_some_and(|ext| ext.get("mediaResolution").is_some()) || !writer.target.caps.needs_signatures {
        return;
    }
    let level = match image.detail.as_deref() {
        Some("low") => "MEDIA_RESOLUTION_LOW",
        Some("high") => "MEDIA_RESOLUTION_HIGH",
        _ => return,
    };
    part.object("mediaResolution", |resolution| resolution.str("level", level));
}

pub(in crate::gemini) fn write_media(
    part: &mut Object<'_>,
    source: &Media,
    fallback: &str,
    name: Option<&str>,
) {
    match source {
        Media::Inline { mime, base64 } => part.object("inlineData", |blob| {
            blob.str("mimeType", mime);
            blob.str("data", base64);
            blob.opt_str("displayName", name);
        }),
        Media::Url(uri) => part.object("fileData", |file| {
            file.str("mimeType", mime_of(uri).unwrap_or(fallback));
            file.str("fileUri", uri);
        }),
        Media::GoogleUri { mime, uri } => part.object("fileData", |file| {
            file.opt_str("mimeType", mime.as_ref());
            file.str("fileUri", uri);
            file.opt_str("displayName", name);
        }),
        Media::File { id, .. } => part.object("fileData", |file| file.str("fileUri", id)),
        Media::Text { text, .. } => part.str("text", text),
    }
}

fn write_document(part: &mut Object<'_>, document: &Document, is_vertex: bool) {
    if let Media::Text { text, .. } = &document.source {
        // The name and context of a document are part of what the model reads of it.
        let head = [document.title.as_deref().or(document.filename.as_deref()), document.context.as_deref()];
        let head: Vec<&str> = head.into_iter().flatten().collect();
        if head.is_empty() {
            part.str("text", text);
        } else {
            part.str("text", &[head.join("\n").as_str(), "\n\n", text].concat());
        }
        return;
    }
    write_media(
        part,
        &document.source,
        "application/pdf",
        document.filename.as_deref().filter(|_| is_vertex),
    );
}

/// A search result of a Claude request as text: title, source, findings.
fn search_text(result: &crate::json::Raw) -> String {
    let mut text = String::new();
    let mut add = |piece: &str| {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(piece);
    };
    for name in ["title", "source"] {
        if let Some(value) = result.get(name).and_then(|value| value.to_text()) {
            add(&value);
        }
    }
    if let Some(blocks) = result.get("content") {
        // A block without text has nothing to add.
        let _read = blocks.reader().array(|_, block| {
            if let Some(value) =
                crate::json::Raw::new(block.raw()?).get("text").and_then(|value| value.to_text())
            {
                add(&value);
            }
            Ok(())
        });
    }
    text
}

fn write_call(part: &mut Object<'_>, call: &ToolCall, writer: &Writer<'_>) {
    part.object("functionCall", |out| {
        out.opt_str("id", Some(&*call.call_id).filter(|id| is_sent(id, writer)));
        out.str("name", &call.name);
        // They are an object since the request was prepared.
        out.raw("args", call.arguments.as_str());
    });
    part.opt_str("thoughtSignature", own_signature(call.opaque.as_ref()));
}

fn write_result(part: &mut Object<'_>, result: &ToolResult, writer: &Writer<'_>) {
    let is_native = writer.request().origin == Format::Gemini;
    let is_error = result.is_error == Some(true);
    let has_blobs = result.content.iter().any(|block| !is_said(&block.content));
    part.object("functionResponse", |out| {
        out.opt_str("id", Some(&*result.call_id).filter(|id| is_sent(id, writer)));
        out.str("name", result.name.as_deref().unwrap_or_default());
        match result.structured.as_ref().filter(|_| is_native) {
            Some(structured) => out.raw("response", structured.as_str()),
            None => out.object("response", |response| {
                response.str(if is_error { "error" } else { "output" }, &text_of(result));
            }),
        }
        if has_blobs {
            out.array("parts", |parts| {
                for block in result.content.iter().filter(|block| !is_said(&block.content)) {
                    parts.object(|part| write_blob(part, block));
                }
            });
        }
        if let Some(native) = result.native.as_ref().filter(|native| native.format == Format::Gemini) {
            // An object of our own making: it can be read.
            let _read = native.value.reader().object(|name, value| {
                out.raw(name, value.raw()?);
                Ok(())
            });
        }
    });
}

/// Whether the upstream is to see an id. Claude models pair calls and results by nothing else.
fn is_sent(id: &str, writer: &Writer<'_>) -> bool {
    writer.target.profile.sends_call_ids && (writer.is_claude() || !is_own_id(id))
}

/// True for no id, and for the ids that [`super::decode_request`] gives the calls of a history without: the service that
/// made the calls gave none and expects none.
fn is_own_id(id: &str) -> bool {
    id.is_empty() || id.starts_with("call_h")
}

/// True for blocks whose content is in the text of a result.
fn is_said(content: &Content) -> bool {
    !matches!(content, Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::Document(_))
}

fn text_of(result: &ToolResult) -> Str {
    let texts = result.content.iter().filter_map(|block| match &block.content {
        Content::Text(said) => Some(said.text.clone()),
        Content::SearchResult(found) => Some(search_text(found).into()),
        _ => None,
    });
    Str::joined(texts, "\n")
}

fn write_blob(part: &mut Object<'_>, block: &Block) {
    match &block.content {
        Content::Image(image) => write_media(part, &image.source, "image/jpeg", None),
        Content::Audio(audio) => write_media(part, &audio.source, "audio/wav", None),
        Content::Video(video) => write_media(part, &video.source, "video/mp4", None),
        Content::Document(document) => write_document(part, document, false),
        _ => {}
    }
    block.ext.write(part);
}
