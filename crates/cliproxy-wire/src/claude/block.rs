//! Reading content blocks, of requests and of answers.
//!
//! A block's members are gathered in one pass, whatever its type, because `type` need not come first. Members that
//! other blocks own are harmless; unknown ones are kept. Blocks that only this format understands are kept whole.

use std::borrow::Cow;

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    Anchor, Arguments, Block, CacheMark, CacheTtl, CallKind, Content, Document, Ext, Image, Media, Native,
    Opaque, OpaqueKind, Owner, Reasoning, Str, Text, ToolCall, ToolResult,
};

use super::{citation, hosted};

/// Where a block belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the turn it stands in.
    Here,
    /// It is an instruction in the middle of the turn.
    Instruction,
}

/// The members of a block.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    pub(super) kind: Cow<'a, str>,
    text: Option<Str>,
    thinking: Option<Str>,
    signature: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) call_id: Option<Cow<'a, str>>,
    pub(super) input: Option<Raw>,
    pub(super) content: Option<&'a str>,
    result: Option<Vec<Block>>,
    pub(super) is_error: Option<bool>,
    source: Option<Box<Source<'a>>>,
    title: Option<Cow<'a, str>>,
    context: Option<Cow<'a, str>>,
    citations: Option<&'a str>,
    cache: Option<CacheMark>,
    ext: Ext,
}

/// A string; anything else counts as absent.
pub(super) fn text<'a>(value: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Error> {
    if value.kind() == Kind::String { value.str().map(Some) } else { Ok(None) }
}

fn kept(value: &mut Reader<'_>) -> Result<Option<Str>, Error> {
    if value.kind() == Kind::String { value.kept().map(Some) } else { Ok(None) }
}

impl<'a> Members<'a> {
    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        match key {
            "type" => self.kind = value.str()?,
            "text" => self.text = kept(value)?,
            "thinking" => self.thinking = kept(value)?,
            "signature" => self.signature = text(value)?,
            "data" => self.data = text(value)?,
            "id" => self.id = text(value)?,
            "name" => self.name = text(value)?,
            "tool_use_id" => self.call_id = text(value)?,
            "input" => self.input = Some(value.kept_raw()?),
            // The common order names the type first; then nothing is read twice.
            "content" if self.kind == "tool_result" => self.result = Some(result_content(value)?),
            "content" => self.content = Some(value.raw()?),
            "is_error" if value.kind() == Kind::Bool => self.is_error = Some(value.bool()?),
            "source" if value.kind() == Kind::Object => self.source = Some(Box::new(Source::read(value)?)),
            "title" => self.title = text(value)?,
            "context" => self.context = text(value)?,
            "citations" => self.citations = value.opt(Reader::raw)?,
            "cache_control" => self.cache = value.opt(cache)?.flatten(),
            _ => {
                if value.kind() != Kind::Null {
                    self.ext.set(key, value.to_raw()?);
                }
            }
        }
        Ok(())
    }
}

/// Reads one block and appends what it is to `blocks`.
pub(super) fn read(reader: &mut Reader<'_>, blocks: &mut Vec<Block>) -> Result<Place, Error> {
    if reader.kind() == Kind::String {
        Block::text(reader.kept()?).put(blocks);
        return Ok(Place::Here);
    }
    let start = reader.clone();
    // Read where it stays: there are hundreds of blocks, and half a kilobyte of members.
    let mut members = Members::default();
    reader.object(|key, value| members.member(key, value))?;
    let whole = || start.clone().raw();
    let content = match &*members.kind {
        "text" => text_block(&mut members)?,
        "thinking" => Content::Reasoning(thinking(
            members.thinking.take().unwrap_or_default(),
            members.signature.as_deref().unwrap_or_default(),
        )),
        "redacted_thinking" => {
            let data = members.data.as_deref().ok_or_else(|| Error::missing("data"))?;
            Content::Reasoning(redacted(data))
        }
        "tool_use" => tool_call(&mut members)?,
        "tool_result" => tool_result(&mut members)?,
        "image" => {
            let source = members.source.take().ok_or_else(|| Error::missing("source"))?;
            let source = source.media().map_err(|error| error.under_key("source"))?;
            Content::Image(Image { source, detail: None, opaque: None })
        }
        "document" => {
            let Some(content) = document(&mut members, blocks)? else { return Ok(Place::Here) };
            content
        }
        "search_result" => Content::SearchResult(Raw::new(whole()?)),
        "mid_conv_system" => {
            if let Some(text) = members.text.take() {
                blocks.push(Block::text(text));
            } else if let Some(content) = members.content {
                blocks.extend(result_content(&mut Reader::new(content))?);
            }
            return Ok(Place::Instruction);
        }
        "" if members.text.is_none() => return Err(Error::missing("type")),
        other => match hosted::phase(other) {
            Some(phase) => hosted::block(phase, &members, whole()?)?,
            // Something newer that is made of text; what else it says is lost to foreign upstreams.
            None if members.text.is_some() && !is_native(other) => text_block(&mut members)?,
            None => Content::Native(Native { format: Format::Claude, value: Raw::new(whole()?) }),
        },
    };
    let is_whole = matches!(content, Content::SearchResult(_) | Content::Hosted(_) | Content::Native(_));
    let ext = if is_whole { Ext::new() } else { members.ext };
    Block { content, cache: members.cache, ext }.put(blocks);
    Ok(Place::Here)
}

/// Blocks that carry text but mean more than it.
fn is_native(block_type: &str) -> bool {
    block_type.starts_with("advisor") || block_type == "compaction"
}

fn text_block(members: &mut Members<'_>) -> Result<Content, Error> {
    let text = members.text.take().ok_or_else(|| Error::missing("text"))?;
    let mut text = Text::new(text);
    if let Some(citations) = members.citations {
        text.annotations = citation::read_all(citations).map_err(|error| error.under_key("citations"))?;
    }
    Ok(Content::Text(text))
}

/// A thinking block; the signature is the provider's own or an envelope.
fn thinking(text: Str, signature: &str) -> Reasoning {
    let mut reasoning = Reasoning::default();
    let mut restored = None;
    if !signature.is_empty() {
        let (opaque, envelope_text) = opaque(signature, OpaqueKind::ClaudeSignature);
        restored = envelope_text;
        // The envelope of thinking without state is empty: it only keeps the slot legal.
        if !opaque.data.is_empty() {
            reasoning.is_redacted = opaque.kind == OpaqueKind::ClaudeRedacted;
            reasoning.opaque.push(opaque);
        }
    }
    if !text.is_empty() {
        reasoning.summary.push(text);
    } else if let Some(text) = restored.filter(|text| !text.is_empty()) {
        reasoning.summary.push(text);
    }
    reasoning
}

/// A redacted thinking block.
pub(super) fn redacted(data: &str) -> Reasoning {
    let (opaque, text) = opaque(data, OpaqueKind::ClaudeRedacted);
    Reasoning {
        summary: text.filter(|text| !text.is_empty()).into_iter().collect(),
        opaque: vec![opaque],
        is_redacted: true,
        ..Reasoning::default()
    }
}

/// What a signature or data slot of this format holds, and the text that came in its envelope.
fn opaque(data: &str, own_kind: OpaqueKind) -> (Opaque, Option<Str>) {
    if let Some(unwrapped) = crate::opaque::unwrap(data) {
        return (unwrapped.opaque, unwrapped.text);
    }
    let owner = crate::opaque::classify(data, Owner::Anthropic);
    let kind = match owner {
        Owner::Anthropic => own_kind,
        Owner::Google => OpaqueKind::GeminiThought,
        Owner::OpenAi => OpaqueKind::OpenAiEncrypted,
        Owner::Other => OpaqueKind::Other,
    };
    (Opaque { owner, kind, scope: None, model: None, data: data.into(), anchor: Anchor::This }, None)
}

fn tool_call(members: &mut Members<'_>) -> Result<Content, Error> {
    Ok(Content::ToolCall(ToolCall {
        call_id: members.id.take().ok_or_else(|| Error::missing("id"))?.into(),
        is_id_synthetic: false,
        item_id: None,
        name: members.name.take().ok_or_else(|| Error::missing("name"))?.into(),
        namespace: None,
        kind: CallKind::Function,
        arguments: Arguments::Json(match &members.input {
            Some(input) if input.kind() != Kind::Null => input.to_str(),
            _ => "{}".into(),
        }),
        native: None,
        caller: members.ext.take("caller").map(|value| Native { format: Format::Claude, value }),
        opaque: None,
    }))
}

fn tool_result(members: &mut Members<'_>) -> Result<Content, Error> {
    let content = match (members.result.take(), members.content) {
        (Some(content), _) => content,
        (None, Some(raw)) => {
            result_content(&mut Reader::new(raw)).map_err(|error| error.under_key("content"))?
        }
        (None, None) => Vec::new(),
    };
    Ok(Content::ToolResult(ToolResult {
        call_id: members.call_id.take().ok_or_else(|| Error::missing("tool_use_id"))?.into(),
        name: None,
        kind: CallKind::Function,
        content,
        structured: None,
        is_error: members.is_error,
        native: None,
    }))
}

/// Content that is a string, one block, or an array of blocks.
pub(super) fn result_content(reader: &mut Reader<'_>) -> Result<Vec<Block>, Error> {
    let mut blocks = Vec::new();
    match reader.kind() {
        Kind::Null => reader.skip()?,
        Kind::String => blocks.push(Block::text(reader.kept()?)),
        Kind::Object => {
            read(reader, &mut blocks)?;
        }
        _ => reader.array(|_, value| read(value, &mut blocks).map(drop))?,
    }
    Ok(blocks)
}

/// Where the first of the blocks that a document was made of keeps what else was said of the document: blocks have no
/// place for it.
pub(crate) const DOCUMENT: &str = "what was said of the document";

/// The document, or nothing when it was made of blocks, which then are in `blocks`.
fn document(members: &mut Members<'_>, blocks: &mut Vec<Block>) -> Result<Option<Content>, Error> {
    let source = members.source.take().ok_or_else(|| Error::missing("source"))?;
    let citations = members.citations.and_then(|raw| match crate::json::member(raw, "enabled") {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    });
    if source.kind == "content" {
        let nested = source.content.unwrap_or("[]");
        let mut nested = result_content(&mut Reader::new(nested))
            .map_err(|error| error.under_key("content").under_key("source"))?;
        if let Some(last) = nested.last_mut() {
            last.cache = last.cache.or(members.cache);
        }
        let head = [
            members.title.take().map(|title| format!("[{title}]")),
            members.context.take().map(String::from),
        ];
        let head: Vec<String> = head.into_iter().flatten().collect();
        if !head.is_empty() {
            nested.insert(0, Block::text(head.join("\n")));
        }
        let mut rest = std::mem::take(&mut members.ext);
        if let Some(citations) = members.citations.filter(|_| citations == Some(true)) {
            rest.set("citations", Raw::new(citations));
        }
        if let Some(first) = nested.first_mut().filter(|_| !rest.is_empty()) {
            first.ext.set(DOCUMENT, Raw::object(|object| rest.write(object)));
        }
        blocks.append(&mut nested);
        return Ok(None);
    }
    Ok(Some(Content::Document(Document {
        source: source.media().map_err(|error| error.under_key("source"))?,
        filename: None,
        title: members.title.take().map(Str::from),
        context: members.context.take().map(Str::from),
        citations,
    })))
}

/// The `source` of an image or document.
#[derive(Debug, Default)]
struct Source<'a> {
    kind: Cow<'a, str>,
    mime: Option<Cow<'a, str>>,
    data: Option<Str>,
    url: Option<Str>,
    file: Option<Cow<'a, str>>,
    content: Option<&'a str>,
}

impl<'a> Source<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let mut source = Self::default();
        reader.object(|key, value| {
            match key {
                "type" => source.kind = value.str()?,
                "media_type" => source.mime = text(value)?,
                "data" => source.data = kept(value)?,
                "url" => source.url = kept(value)?,
                "file_id" => source.file = text(value)?,
                "content" => source.content = Some(value.raw()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(source)
    }

    fn media(self) -> Result<Media, Error> {
        let mime = |mime: Option<Cow<'_, str>>, default: &str| -> Str {
            mime.map_or_else(|| default.into(), |mime| mime.to_ascii_lowercase().into())
        };
        match &*self.kind {
            "base64" => {
                let data = self.data.ok_or_else(|| Error::missing("data"))?;
                if self.mime.is_none() {
                    return Err(Error::missing("media_type"));
                }
                Ok(inline(mime(self.mime, ""), &data))
            }
            "text" => Ok(Media::Text {
                mime: mime(self.mime, "text/plain"),
                text: self.data.ok_or_else(|| Error::missing("data"))?,
            }),
            "url" => {
                let url = self.url.ok_or_else(|| Error::missing("url"))?;
                Ok(data_url(&url).unwrap_or_else(|| Media::Url(url)))
            }
            "file" => Ok(Media::File {
                owner: Owner::Anthropic,
                id: self.file.ok_or_else(|| Error::missing("file_id"))?.into(),
            }),
            "" => Err(Error::missing("type")),
            other => {
                Err(Error::malformed(format!("expected base64, url, file, text or content, found {other}"))
                    .under_key("type"))
            }
        }
    }
}

/// Inline bytes; a `data:` prefix that some clients leave on is taken off.
fn inline(mime: Str, data: &Str) -> Media {
    data_url(data).unwrap_or_else(|| Media::Inline { mime, base64: data.clone() })
}

fn data_url(url: &Str) -> Option<Media> {
    let rest = url.strip_prefix("data:")?;
    let (head, base64) = rest.split_once(',')?;
    let mime = head.split(';').next().unwrap_or_default();
    head.ends_with(";base64")
        .then(|| Media::Inline { mime: mime.to_ascii_lowercase().into(), base64: url.slice_ref(base64) })
}

/// A `cache_control` object; kinds other than `ephemeral` mean nothing.
pub(super) fn cache(value: &mut Reader<'_>) -> Result<Option<CacheMark>, Error> {
    if value.kind() != Kind::Object {
        value.skip()?;
        return Ok(None);
    }
    let mut ttl = None;
    value.object(|key, value| {
        if key == "ttl" {
            ttl = match text(value)?.as_deref() {
                Some("5m") => Some(CacheTtl::FiveMinutes),
                Some("30m") => Some(CacheTtl::ThirtyMinutes),
                Some("1h") => Some(CacheTtl::OneHour),
                _ => None,
            };
        }
        Ok(())
    })?;
    Ok(Some(CacheMark { ttl }))
}
