//! Content parts of Chat messages, and the parts of other formats that agents put among them.
//!
//! One pass gathers the members of whatever kind of part it is, because `type` may come last; then the type decides.

mod source;

use std::borrow::Cow;

use crate::Error;
use crate::chat::media;
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    Anchor, Arguments, Audio, Block, CacheMark, CacheTtl, CallKind, Content, Document, Ext, Image, Media,
    Opaque, OpaqueKind, Owner, Reasoning, Str, ToolCall, ToolResult, Video,
};
use crate::opaque;

use super::message;

use source::{Address, File, Source, address, source};

/// Reads `content`: a string, parts, or one part.
pub(super) fn content(value: &mut Reader<'_>, out: &mut Vec<Block>) -> Result<(), Error> {
    match value.kind() {
        Kind::Null => value.skip(),
        Kind::Array => value.array(|_, part| content_part(part, out)),
        _ => content_part(value, out),
    }
}

fn content_part(value: &mut Reader<'_>, out: &mut Vec<Block>) -> Result<(), Error> {
    match value.kind() {
        Kind::String => {
            let text = value.kept()?;
            if !text.is_empty() {
                Block::text(text).put(out);
            }
            Ok(())
        }
        Kind::Null => value.skip(),
        Kind::Object => {
            if let Some(block) = Part::read(value)?.block()? {
                block.put(out);
            }
            Ok(())
        }
        _ => Err(Error::malformed("expected a string or content parts")),
    }
}

/// A part's members, of whatever kind.
#[derive(Default)]
struct Part<'a> {
    kind: Option<Cow<'a, str>>,
    text: Option<Str>,
    /// `image_url`, `video_url`, `document_url`, `file_url`, `audio_url`, flat or nested.
    address: Option<Address<'a>>,
    detail: Option<Cow<'a, str>>,
    /// `file` and the flat members of an `input_file`.
    file: File<'a>,
    has_file: bool,
    /// `input_audio`
    audio: Option<File<'a>>,
    /// `source` of Claude parts.
    source: Option<Source<'a>>,
    thinking: Option<String>,
    signature: Option<Cow<'a, str>>,
    /// `data` of redacted thinking.
    data: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    input: Option<&'a str>,
    tool_use_id: Option<Cow<'a, str>>,
    content: Vec<Block>,
    is_error: Option<bool>,
    title: Option<Cow<'a, str>>,
    context: Option<Cow<'a, str>>,
    cache: Option<CacheMark>,
    /// Google's signature of a picture.
    state: Option<Cow<'a, str>>,
    ext: Ext,
}

impl<'a> Part<'a> {
    fn read(value: &mut Reader<'a>) -> Result<Self, Error> {
        let mut part = Self::default();
        value.object(|key, value| part.member(key, value))?;
        Ok(part)
    }

    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        match key {
            "type" => self.kind = value.opt(Reader::str)?,
            "text" | "refusal" | "summary" => self.text = text(value)?.or_else(|| self.text.take()),
            "image_url" => self.address = address("image_url", value)?,
            "video_url" => self.address = address("video_url", value)?,
            "audio_url" => self.address = address("audio_url", value)?,
            "document_url" => self.address = address("document_url", value)?,
            "file_url" => self.address = address("file_url", value)?,
            "detail" => self.detail = value.opt(Reader::str)?,
            "file" if value.kind() == Kind::Object => {
                self.has_file = true;
                value.object(|key, value| self.file.member(key, value))?;
            }
            "file_data" | "file_id" | "filename" => {
                self.has_file = true;
                self.file.member(key, value)?;
            }
            "input_audio" if value.kind() == Kind::Object => {
                let mut audio = File::default();
                value.object(|key, value| audio.member(key, value))?;
                self.audio = Some(audio);
            }
            "source" if value.kind() == Kind::Object => self.source = Some(source(value)?),
            "thinking" => self.thinking = value.opt(joined_text)?,
            "signature" => self.signature = value.opt(Reader::str)?,
            "data" => self.data = value.opt(Reader::str)?,
            "id" => self.id = value.opt(Reader::str)?,
            "name" => self.name = value.opt(Reader::str)?,
            "input" => self.input = Some(value.raw()?),
            "tool_use_id" => self.tool_use_id = value.opt(Reader::str)?,
            "content" => content(value, &mut self.content)?,
            "is_error" => self.is_error = value.opt(Reader::bool)?,
            "title" => self.title = value.opt(Reader::str)?,
            "context" => self.context = value.opt(Reader::str)?,
            "cache_control" => self.cache = cache_mark(value)?.or(self.cache),
            // Its members say nothing that a mark does not.
            "prompt_cache_breakpoint" if value.kind() == Kind::Object => {
                self.cache = self.cache.or(Some(CacheMark { ttl: None }));
            }
            "extra_content" => self.state = message::signature(value)?,
            _ if value.kind() == Kind::Null => value.skip()?,
            _ => self.ext.set(key, value.to_raw()?),
        }
        Ok(())
    }

    fn block(mut self) -> Result<Option<Block>, Error> {
        let cache = self.cache;
        let ext = std::mem::take(&mut self.ext);
        let kind = self.kind.take().unwrap_or_else(|| self.guess().into());
        let content = match &*kind {
            "text" | "input_text" | "output_text" | "summary_text" => {
                let Some(text) = self.text else { return Err(Error::missing("text")) };
                if text.is_empty() && cache.is_none() {
                    return Ok(None);
                }
                return Ok(Some(Block { cache, ext, ..Block::text(text) }));
            }
            "refusal" => Content::Refusal(self.text.ok_or_else(|| Error::missing("refusal"))?),
            "image_url" | "input_image" | "image" => self.image()?,
            "input_audio" | "audio_url" | "audio" => self.audio()?,
            "video_url" | "input_video" | "video" => self.video()?,
            "file" | "input_file" | "document_url" | "file_url" | "document" => self.document()?,
            "thinking" | "reasoning" | "reasoning_text" => self.thinking(),
            "redacted_thinking" => self.redacted()?,
            "tool_use" => self.tool_use()?,
            "tool_result" => self.tool_result()?,
            // Text under a name that is not known is still text.
            other => match self.text {
                Some(text) => return Ok(Some(Block { cache, ext, ..Block::text(text) })),
                None => {
                    return Err(Error::malformed(format!(
                        "unknown content part type {other:?}; use text, image_url, input_audio or file"
                    ))
                    .under_key("type"));
                }
            },
        };
        Ok(Some(Block { cache, ext, ..Block::new(content) }))
    }

    /// The type of a part that does not say it.
    fn guess(&self) -> &'static str {
        match &self.address {
            _ if self.text.is_some() => "text",
            Some(address) => address.key,
            None if self.audio.is_some() => "input_audio",
            None if self.has_file => "file",
            None => "",
        }
    }

    fn media(self, key: &'static str, fallback: &str) -> Result<Media, Error> {
        if let Some(source) = self.source {
            return source.media(fallback).map_err(|error| error.under_key("source"));
        }
        if let Some(id) = self.file.id {
            return Ok(media::file(&id));
        }
        let Some(address) = self.address else { return Err(Error::missing(key)) };
        let key = address.key;
        let place = |error: Error| {
            if address.is_flat { error.under_key(key) } else { error.under_key("url").under_key(key) }
        };
        let Some(url) = address.url else { return Err(Error::missing("url").under_key(key)) };
        media::read(&url, fallback).map_err(place)
    }

    fn image(mut self) -> Result<Content, Error> {
        let nested = self.address.as_mut().and_then(|address| address.detail.take());
        let detail = nested.or_else(|| self.detail.take()).map(|detail| Str::from(&*detail));
        let opaque = self.state.take().as_deref().map(message::google);
        Ok(Content::Image(Image { source: self.media("image_url", "image/png")?, detail, opaque }))
    }

    fn audio(mut self) -> Result<Content, Error> {
        let source = match self.audio.take() {
            None => self.media("input_audio", "audio/wav")?,
            Some(file) => {
                let Some(data) = file.data else {
                    return Err(Error::missing("data").under_key("input_audio"));
                };
                let mime = media::audio_mime(file.format.as_deref().unwrap_or_default());
                match media::read(&data, &mime).map_err(|e| e.under_key("data").under_key("input_audio"))? {
                    // Bare base64 is what its format word says; only data URLs and addresses speak for themselves.
                    Media::Inline { base64, .. } if *base64 == *data => Media::Inline { mime, base64 },
                    other => other,
                }
            }
        };
        Ok(Content::Audio(Audio { source, transcript: None, id: None, expires_at: None }))
    }

    fn video(self) -> Result<Content, Error> {
        Ok(Content::Video(Video { source: self.media("video_url", "video/mp4")?, clip: None }))
    }

    fn document(mut self) -> Result<Content, Error> {
        let filename = self.file.name.take().map(|name| Str::from(&*name));
        let title = self.title.take().map(|title| Str::from(&*title));
        let context = self.context.take().map(|context| Str::from(&*context));
        let fallback = filename.as_deref().and_then(media::mime_of).unwrap_or("application/pdf");
        let source = match self.file.data.take() {
            Some(data) => match media::read(&data, fallback).map_err(|e| e.under_key("file_data"))? {
                // What a file is called says more than its first bytes: many office formats begin alike.
                Media::Inline { base64, .. } if *base64 == *data && filename.is_some() => {
                    Media::Inline { mime: fallback.into(), base64 }
                }
                other => other,
            },
            None => self.media("file", fallback)?,
        };
        Ok(Content::Document(Document { source, filename, title, context, citations: None }))
    }

    fn thinking(self) -> Content {
        let text: Str = match (&self.thinking, &self.text) {
            (Some(text), _) => text.as_str().into(),
            (None, Some(text)) => (**text).into(),
            (None, None) => "".into(),
        };
        match self.signature.filter(|signature| !signature.is_empty()) {
            Some(signature) => Content::Reasoning(signed(&text, &signature)),
            None => Content::Reasoning(Reasoning { raw: vec![text], ..Reasoning::default() }),
        }
    }

    fn redacted(self) -> Result<Content, Error> {
        let Some(data) = self.data else { return Err(Error::missing("data")) };
        Ok(Content::Reasoning(redacted(&data)))
    }

    fn tool_use(self) -> Result<Content, Error> {
        let Some(id) = self.id else { return Err(Error::missing("id")) };
        let Some(name) = self.name else { return Err(Error::missing("name")) };
        Ok(Content::ToolCall(ToolCall {
            call_id: (*id).into(),
            is_id_synthetic: false,
            item_id: None,
            name: (*name).into(),
            namespace: None,
            kind: CallKind::Function,
            arguments: Arguments::Json(self.input.unwrap_or("{}").into()),
            native: None,
            caller: None,
            opaque: None,
        }))
    }

    fn tool_result(self) -> Result<Content, Error> {
        let Some(id) = self.tool_use_id.filter(|id| !id.is_empty()) else {
            return Err(Error::missing("tool_use_id"));
        };
        Ok(Content::ToolResult(ToolResult {
            call_id: (*id).into(),
            name: None,
            kind: CallKind::Function,
            content: self.content,
            structured: None,
            is_error: self.is_error,
            native: None,
        }))
    }
}

/// A text member; anything but a string counts as absent.
fn text(value: &mut Reader<'_>) -> Result<Option<Str>, Error> {
    if value.kind() == Kind::String { value.kept().map(Some) } else { value.skip().map(|()| None) }
}

/// A string, or the texts of an array of parts (some thinking parts hold parts themselves).
pub(in crate::chat) fn joined_text(value: &mut Reader<'_>) -> Result<String, Error> {
    match value.kind() {
        Kind::Array => {
            let mut joined = String::new();
            value.array(|_, part| {
                if part.kind() != Kind::Object {
                    return part.skip();
                }
                part.object(|key, value| {
                    if key == "text" && value.kind() == Kind::String {
                        joined.push_str(&value.str()?);
                    }
                    Ok(())
                })
            })?;
            Ok(joined)
        }
        Kind::String => value.string(),
        _ => value.skip().map(|()| String::new()),
    }
}

/// A cache mark; only its lifetime says anything.
pub(super) fn cache_mark(value: &mut Reader<'_>) -> Result<Option<CacheMark>, Error> {
    if value.kind() != Kind::Object {
        return value.skip().map(|()| None);
    }
    let mut ttl = None;
    value.object(|key, value| {
        if key == "ttl" && value.kind() == Kind::String {
            ttl = match &*value.str()? {
                "5m" => Some(CacheTtl::FiveMinutes),
                "30m" => Some(CacheTtl::ThirtyMinutes),
                "1h" => Some(CacheTtl::OneHour),
                _ => None,
            };
        }
        Ok(())
    })?;
    Ok(Some(CacheMark { ttl }))
}

/// Thinking in Claude's form: its text and the signature over it, or an envelope in the signature's place.
pub(super) fn signed(text: &str, signature: &str) -> Reasoning {
    let unwrapped = opaque::unwrap(signature);
    let inner = unwrapped.as_ref().and_then(|unwrapped| unwrapped.text.clone());
    let opaque = unwrapped.map_or_else(
        || Opaque {
            owner: opaque::classify(signature, Owner::Anthropic),
            kind: OpaqueKind::ClaudeSignature,
            scope: None,
            model: None,
            data: signature.into(),
            anchor: Anchor::This,
        },
        |unwrapped| unwrapped.opaque,
    );
    let text = if text.is_empty() { inner } else { Some(text.into()) };
    Reasoning {
        is_redacted: opaque.kind == OpaqueKind::ClaudeRedacted,
        summary: text.into_iter().collect(),
        opaque: vec![opaque],
        ..Reasoning::default()
    }
}

/// Redacted thinking in Claude's form.
pub(super) fn redacted(data: &str) -> Reasoning {
    let opaque = opaque::unwrap(data).map_or_else(
        || Opaque {
            owner: opaque::classify(data, Owner::Anthropic),
            kind: OpaqueKind::ClaudeRedacted,
            scope: None,
            model: None,
            data: data.into(),
            anchor: Anchor::This,
        },
        |unwrapped| unwrapped.opaque,
    );
    Reasoning { is_redacted: true, opaque: vec![opaque], ..Reasoning::default() }
}

/// A member kept for this format alone.
pub(super) fn keep(value: &mut Reader<'_>) -> Result<Option<Raw>, Error> {
    value.opt(Reader::to_raw)
}
