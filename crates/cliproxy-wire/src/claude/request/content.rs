//! Writing the content blocks of a request.

use base64::Engine as _;

use crate::Error;
use crate::format::Format;
use crate::json::{Array, Object, Reader};
use crate::model::{
    Arguments, Block, CacheMark, CacheTtl, Content, Document, Media, OpaqueKind, Owner, Reasoning, Str, Text,
    ToolCall, ToolResult,
};

use crate::normalize::arguments;

use super::super::answer::own_caller;
use super::super::block::DOCUMENT;
use super::super::{citation, signature};
use super::beta::{self, Betas};

/// Writes blocks, taking note of the betas they need.
pub(super) struct Writer<'a> {
    pub(super) betas: &'a mut Betas,
    /// Members without a place in the model are of this format only when the request is.
    pub(super) is_own: bool,
    pub(super) upstream: &'a str,
}

impl Writer<'_> {
    /// Writes a block of a turn; blocks that this format has no form for are left out.
    pub(super) fn block(&mut self, array: &mut Array<'_>, block: &Block) -> Result<(), Error> {
        match &block.content {
            Content::Text(text) => self.text(array, text, block),
            Content::Refusal(text) => {
                self.text(
                    array,
                    &Text::new(Str::clone(text)),
                    &Block { cache: block.cache, ..Block::text("") },
                );
            }
            Content::Reasoning(reasoning) => write_reasoning(array, reasoning),
            Content::Image(image) => self.media(array, "image", &image.source, block, |_| ())?,
            Content::Document(document) => self.document(array, document, block)?,
            Content::ToolCall(call) => self.tool_call(array, call, block),
            Content::ToolResult(result) => self.tool_result(array, result, block)?,
            Content::SearchResult(raw) => self.copy(array, raw.as_str(), block.cache),
            Content::Hosted(hosted) if hosted.native.format == Format::Claude => {
                self.copy(array, hosted.native.value.as_str(), block.cache);
            }
            Content::Native(native) if native.format == Format::Claude => {
                let raw = native.value.as_str();
                self.betas.add_if(raw.contains("\"container_upload\""), beta::FILES);
                self.copy(array, raw, block.cache);
            }
            Content::Hosted(_) | Content::Native(_) => {}
            Content::Audio(_) => return Err(self.refusal("sound", "send a transcript")),
            Content::Video(_) => return Err(self.refusal("a film", "send single images")),
        }
        Ok(())
    }

    fn refusal(&self, what: &str, remedy: &str) -> Error {
        Error::unsupported("content", format!("{} does not take {what}; {remedy}", self.upstream))
    }

    fn text(&mut self, array: &mut Array<'_>, text: &Text, block: &Block) {
        if text.text.is_blank() {
            return;
        }
        array.object(|object| {
            object.str("type", "text");
            object.str("text", &text.text);
            if text.annotations.iter().any(|annotation| citation::native(annotation).is_some()) {
                object.array("citations", |array| {
                    for raw in text.annotations.iter().filter_map(citation::native) {
                        array.raw(raw.as_str());
                    }
                });
            }
            self.close(object, block);
        });
    }

    /// The members that any block may end with.
    fn close(&mut self, object: &mut Object<'_>, block: &Block) {
        self.mark(object, block.cache);
        if self.is_own {
            for (name, value) in block.ext.iter().filter(|(name, _)| *name != DOCUMENT) {
                object.raw(name, value.as_str());
            }
        }
    }

    fn mark(&mut self, object: &mut Object<'_>, mark: Option<CacheMark>) {
        if let Some(mark) = mark {
            write_mark(object, mark, self.betas);
        }
    }

    /// Copies a block of this format; only the cache mark is ours to decide.
    fn copy(&mut self, array: &mut Array<'_>, raw: &str, mark: Option<CacheMark>) {
        if mark.is_none() && !raw.contains("\"cache_control\"") {
            array.raw(raw);
            return;
        }
        array.object(|object| {
            copy_members(object, raw, &["cache_control"]);
            self.mark(object, mark);
        });
    }

    fn media(
        &mut self,
        array: &mut Array<'_>,
        kind: &str,
        media: &Media,
        block: &Block,
        more: impl FnOnce(&mut Object<'_>),
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        array.object(|object| {
            object.str("type", kind);
            object.object("source", |object| outcome = self.source(object, kind, media));
            more(object);
            self.close(object, block);
        });
        outcome
    }

    fn source(&mut self, object: &mut Object<'_>, kind: &str, media: &Media) -> Result<(), Error> {
        match media {
            // The only inline documents are PDFs; text goes as text.
            Media::Inline { mime, base64 } if kind == "document" && mime.starts_with("text/") => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(base64.as_bytes());
                let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
                    self.refusal("a text document that is not base64 of UTF-8", "send it as text")
                })?;
                write_text_source(object, &text);
            }
            Media::Inline { mime, base64 } => {
                object.str("type", "base64");
                object.str("media_type", mime);
                object.str("data", base64);
            }
            Media::Url(url) => {
                object.str("type", "url");
                object.str("url", url);
            }
            Media::GoogleUri { uri, .. } if uri.starts_with("https://") || uri.starts_with("http://") => {
                object.str("type", "url");
                object.str("url", uri);
            }
            Media::File { owner: Owner::Anthropic, id } => {
                self.betas.add(beta::FILES);
                object.str("type", "file");
                object.str("file_id", id);
            }
            Media::File { .. } | Media::GoogleUri { .. } => {
                return Err(self.refusal(
                    "this file id: file ids belong to the provider that issued them",
                    "send the file itself",
                ));
            }
            Media::Text { text, .. } => write_text_source(object, text),
        }
        Ok(())
    }

    fn document(&mut self, array: &mut Array<'_>, document: &Document, block: &Block) -> Result<(), Error> {
        self.media(array, "document", &document.source, block, |object| {
            object.opt_str("title", document.title.as_deref().or(document.filename.as_deref()));
            object.opt_str("context", document.context.as_ref());
            if let Some(is_enabled) = document.citations {
                object.object("citations", |object| object.bool("enabled", is_enabled));
            }
        })
    }

    fn tool_call(&mut self, array: &mut Array<'_>, call: &ToolCall, block: &Block) {
        array.object(|object| {
            object.str("type", "tool_use");
            object.str("id", &call.call_id);
            object.str("name", &call.name);
            match &call.arguments {
                // An object since the request was prepared.
                Arguments::Json(text) => object.raw("input", text),
                Arguments::Text(text) => object.raw("input", arguments::wrap(text).as_str()),
            }
            object.opt_raw("caller", own_caller(call.caller.as_ref()));
            self.close(object, block);
        });
    }

    fn tool_result(
        &mut self,
        array: &mut Array<'_>,
        result: &ToolResult,
        block: &Block,
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        array.object(|object| {
            object.str("type", "tool_result");
            object.str("tool_use_id", &result.call_id);
            match result.content.as_slice() {
                [] => {}
                [Block { content: Content::Text(text), .. }] => {
                    if !text.text.is_empty() {
                        object.str("content", &text.text);
                    }
                }
                blocks => object.array("content", |array| {
                    outcome = blocks.iter().try_for_each(|block| {
                        // Marks inside results are refused; they stand on the result.
                        if block.cache.is_some() {
                            return self.block(array, &Block { cache: None, ..block.clone() });
                        }
                        self.block(array, block)
                    });
                }),
            }
            if result.is_error == Some(true) {
                object.bool("is_error", true);
            }
            self.close(object, block);
        });
        outcome
    }
}

/// Thinking goes back only with its own provider's state; everything else would be refused. A block has room for one
/// state: the text goes with the first signature.
fn write_reasoning(array: &mut Array<'_>, reasoning: &Reasoning) {
    let mut is_said = false;
    for opaque in reasoning.opaque.iter().filter(|opaque| signature::is_native(opaque)) {
        array.object(|object| {
            if opaque.kind == OpaqueKind::ClaudeRedacted {
                object.str("type", "redacted_thinking");
                object.str("data", &opaque.data);
                return;
            }
            let is_first = !std::mem::replace(&mut is_said, true);
            object.str("type", "thinking");
            object.str("thinking", &if is_first { reasoning.text() } else { String::new() });
            object.str("signature", &opaque.data);
        });
    }
}

fn write_text_source(object: &mut Object<'_>, text: &str) {
    object.str("type", "text");
    object.str("media_type", "text/plain");
    object.str("data", text);
}

/// Writes `cache_control`.
pub(super) fn write_mark(object: &mut Object<'_>, mark: CacheMark, betas: &mut Betas) {
    object.object("cache_control", |object| {
        object.str("type", "ephemeral");
        match mark.ttl {
            Some(CacheTtl::FiveMinutes) => object.str("ttl", "5m"),
            // There is nothing between; the longer one keeps the promise.
            Some(CacheTtl::ThirtyMinutes | CacheTtl::OneHour) => {
                betas.add(beta::LONG_CACHE);
                object.str("ttl", "1h");
            }
            None => {}
        }
    });
}

/// Copies the members of the object in `raw`, except some.
pub(in crate::claude) fn copy_members(object: &mut Object<'_>, raw: &str, except: &[&str]) {
    // The text was checked when it was read.
    let _checked = Reader::new(raw).object(|key, value| {
        if !except.contains(&key) {
            object.raw(key, value.raw()?);
        }
        Ok(())
    });
}
