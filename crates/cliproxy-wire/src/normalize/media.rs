//! Images, sounds, films and documents in forms the target takes, or a refusal that names the place.
//!
//! Payloads are never decoded, with one exception: a text file sent as base64 to a target that takes text only.

use base64::Engine as _;

use crate::Error;
use crate::codec::Strictness;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    Audio, Block, Content, Document, Image, Media, Owner, Role, Str, Text, ToolResult, Turn, Video,
};
use crate::profile::{Dialect, Profile};

use super::{Work, place};

/// Converts every medium in place. Runs on the turns as the client sent them, so that paths are right.
///
/// # Errors
/// A medium that the target cannot take.
pub(super) fn apply(work: &mut Work<'_>) -> Result<(), Error> {
    let rules =
        Rules { profile: work.target.profile, is_lenient: work.target.strictness == Strictness::Lenient };
    for at in 0..work.request.turns.len() {
        let Some(turn) = work.request.turns.get_mut(at) else { break };
        let role = turn.role;
        for (index, block) in turn.blocks.iter_mut().enumerate() {
            let outcome = match &mut block.content {
                Content::ToolResult(result) => rules.result(result),
                // What the model made itself is placed by its own rule.
                _ if role == Role::Assistant => Ok(()),
                _ => rules.block(block),
            };
            match outcome {
                Ok(()) => {}
                Err(Refusal { message, .. }) if !rules.is_lenient => {
                    return Err(Error::unsupported(place::block(work.source, at, index), message));
                }
                Err(Refusal { noun, .. }) => {
                    *block = Block::text(format!("[{noun} left out]"));
                    work.notes.add(place::block(work.source, at, index));
                }
            }
        }
    }
    Ok(())
}

/// Why a medium cannot go to the target.
struct Refusal {
    noun: &'static str,
    message: String,
}

struct Rules<'p> {
    profile: &'p Profile,
    is_lenient: bool,
}

impl Rules<'_> {
    fn block(&self, block: &mut Block) -> Result<(), Refusal> {
        match &mut block.content {
            Content::Image(image) => self.image(image),
            Content::Audio(audio) => self.audio(audio),
            Content::Video(video) => self.video(video),
            Content::Document(document) => match self.document(document)? {
                Some(text) => {
                    block.content = Content::Text(Text::new(text));
                    Ok(())
                }
                None => Ok(()),
            },
            Content::SearchResult(raw) if self.profile.format != Format::Claude => {
                block.content = Content::Text(Text::new(search_text(raw)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn result(&self, result: &mut ToolResult) -> Result<(), Refusal> {
        for block in &mut result.content {
            match self.block(block) {
                Err(Refusal { noun, .. }) if self.is_lenient => {
                    *block = Block::text(format!("[{noun} left out]"));
                }
                outcome => outcome?,
            }
        }
        let format = self.profile.format;
        result.content.retain(|block| match &block.content {
            Content::Native(native) => native.format == format,
            _ => true,
        });
        Ok(())
    }

    fn refusal(&self, noun: &'static str, problem: &str) -> Refusal {
        Refusal { noun, message: format!("{} {problem}", self.profile.name) }
    }

    fn file(&self, noun: &'static str, owner: Owner) -> Result<(), Refusal> {
        if owner == self.profile.owner && owner != Owner::Other {
            return Ok(());
        }
        Err(self.refusal(
            noun,
            "cannot read this file: file ids belong to the provider that issued them; send the content",
        ))
    }

    fn image(&self, image: &mut Image) -> Result<(), Refusal> {
        const NOUN: &str = "image";
        match (self.profile.format, &image.source) {
            (_, Media::Text { .. }) => Err(self.refusal(NOUN, "takes no text as an image; send a text part")),
            (Format::Claude, Media::Inline { mime, .. }) => {
                if matches!(&**mime, "image/jpeg" | "image/png" | "image/gif" | "image/webp") {
                    Ok(())
                } else {
                    let problem =
                        format!("takes images as jpeg, png, gif or webp, not as {mime}; convert it");
                    Err(self.refusal(NOUN, &problem))
                }
            }
            (_, Media::Inline { .. }) => Ok(()),
            (Format::Gemini, Media::Url(url)) => {
                let mime = mime_of(url).unwrap_or("image/jpeg");
                image.source = self.google_uri(NOUN, url, mime)?;
                Ok(())
            }
            (Format::Chat, Media::Url(_)) if !self.profile.accepts_media_urls => Err(self.no_urls(NOUN)),
            (_, Media::Url(_)) => Ok(()),
            (Format::Chat, Media::File { .. }) => {
                Err(self.refusal(NOUN, "takes no file ids for images; send the content"))
            }
            (_, Media::File { owner, .. }) => self.file(NOUN, *owner),
            (_, Media::GoogleUri { uri, .. }) => {
                if let Some(url) = self.public_url(uri) {
                    image.source = url;
                    return Ok(());
                }
                self.google_only(NOUN)
            }
        }
    }

    fn document(&self, document: &mut Document) -> Result<Option<String>, Refusal> {
        const NOUN: &str = "document";
        let format = self.profile.format;
        if let Media::Inline { mime, base64 } = &document.source
            && is_text(mime)
            && format != Format::Gemini
            && let Some(text) = decoded(base64)
        {
            document.source = Media::Text { mime: Str::clone(mime), text: text.into() };
        }
        match (format, &document.source) {
            (Format::Claude, Media::Text { .. }) => Ok(None),
            (_, Media::Text { text, .. }) => {
                let label = document.title.as_ref().or(document.filename.as_ref());
                Ok(Some(match label {
                    Some(label) => format!("[{label}]\n{text}"),
                    None => format!("[document]\n{text}"),
                }))
            }
            (Format::Claude, Media::Inline { mime, .. }) if &**mime != "application/pdf" => {
                let problem = format!("takes documents as PDF or plain text, not as {mime}; convert it");
                Err(self.refusal(NOUN, &problem))
            }
            (Format::Chat, Media::Inline { mime, .. })
                if &**mime != "application/pdf" && self.profile.dialect != Dialect::Native =>
            {
                let problem = format!("takes documents as PDF only, not as {mime}; convert it");
                Err(self.refusal(NOUN, &problem))
            }
            (Format::Gemini, Media::Inline { mime, .. }) if !is_readable(mime) => {
                let problem = format!("does not read files of type {mime}; convert it to PDF or text");
                Err(self.refusal(NOUN, &problem))
            }
            (_, Media::Inline { .. }) => Ok(None),
            (Format::Chat, Media::Url(_)) => {
                Err(self.refusal(NOUN, "takes documents only as content, not by address; send the content"))
            }
            (Format::Gemini, Media::Url(url)) => {
                let mime = mime_of(url).unwrap_or("application/pdf");
                document.source = self.google_uri(NOUN, url, mime)?;
                Ok(None)
            }
            (_, Media::Url(_)) => Ok(None),
            (_, Media::File { owner, .. }) => self.file(NOUN, *owner).map(|()| None),
            (_, Media::GoogleUri { uri, .. }) => {
                if let Some(url) = self.public_url(uri).filter(|_| format != Format::Chat) {
                    document.source = url;
                    return Ok(None);
                }
                self.google_only(NOUN).map(|()| None)
            }
        }
    }

    fn audio(&self, audio: &mut Audio) -> Result<(), Refusal> {
        const NOUN: &str = "audio";
        match (self.profile.format, &audio.source) {
            (Format::Claude, _) => {
                Err(self.refusal(NOUN, "takes no audio; send a transcript or choose another model"))
            }
            (Format::Responses, _) if self.profile.dialect == Dialect::Codex => {
                Err(self.refusal(NOUN, "takes no audio; send a transcript or choose another model"))
            }
            (Format::Chat | Format::Responses, Media::Inline { mime, .. }) => {
                if is_wave(mime) || is_mpeg(mime) {
                    Ok(())
                } else {
                    let problem = format!("takes audio as wav or mp3, not as {mime}; convert it");
                    Err(self.refusal(NOUN, &problem))
                }
            }
            (Format::Gemini, Media::Inline { .. }) => Ok(()),
            (Format::Gemini, Media::Url(url)) => {
                let mime = mime_of(url).unwrap_or("audio/mpeg");
                audio.source = self.google_uri(NOUN, url, mime)?;
                Ok(())
            }
            (Format::Gemini, Media::GoogleUri { .. }) => Ok(()),
            (_, Media::File { owner, .. }) => self.file(NOUN, *owner),
            (_, Media::Url(_) | Media::GoogleUri { .. } | Media::Text { .. }) => {
                Err(self.refusal(NOUN, "takes audio only as content; send the content"))
            }
        }
    }

    fn video(&self, video: &mut Video) -> Result<(), Refusal> {
        const NOUN: &str = "video";
        match (self.profile.format, &video.source) {
            (Format::Chat, Media::Inline { .. } | Media::Url(_)) if self.profile.has_video => Ok(()),
            (Format::Gemini, Media::Inline { .. }) => Ok(()),
            (Format::Gemini, Media::Url(url)) => {
                let mime = mime_of(url).unwrap_or("video/mp4");
                video.source = self.google_uri(NOUN, url, mime)?;
                Ok(())
            }
            (Format::Gemini, Media::GoogleUri { .. }) => Ok(()),
            (Format::Gemini, Media::File { owner, .. }) => self.file(NOUN, *owner),
            _ => Err(self.refusal(NOUN, "takes no video; send pictures or choose another model")),
        }
    }

    /// An address as Gemini takes it.
    fn google_uri(&self, noun: &'static str, url: &str, mime: &str) -> Result<Media, Refusal> {
        if self.profile.accepts_media_urls {
            return Ok(Media::GoogleUri { mime: Some(mime.into()), uri: url.into() });
        }
        Err(self.no_urls(noun))
    }

    fn no_urls(&self, noun: &'static str) -> Refusal {
        self.refusal(noun, "does not fetch addresses; send the content")
    }

    /// A Google URI that is an address of the open web, for the others.
    fn public_url(&self, uri: &str) -> Option<Media> {
        let is_open = self.profile.format != Format::Gemini
            && self.profile.accepts_media_urls
            && (uri.starts_with("https://") || uri.starts_with("http://"))
            && !uri.contains("generativelanguage.googleapis.com")
            && !uri.contains("youtube.com/")
            && !uri.contains("youtu.be/");
        is_open.then(|| Media::Url(uri.into()))
    }

    fn google_only(&self, noun: &'static str) -> Result<(), Refusal> {
        if self.profile.format == Format::Gemini {
            return Ok(());
        }
        self.file(noun, Owner::Google)
    }
}

fn is_wave(mime: &str) -> bool {
    matches!(mime, "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave")
}

fn is_mpeg(mime: &str) -> bool {
    matches!(mime, "audio/mpeg" | "audio/mp3" | "audio/x-mp3")
}

fn is_text(mime: &str) -> bool {
    mime.starts_with("text/")
        || matches!(
            mime,
            "application/json"
                | "application/xml"
                | "application/yaml"
                | "application/x-yaml"
                | "application/javascript"
        )
}

/// File types that Gemini models read.
fn is_readable(mime: &str) -> bool {
    is_text(mime)
        || mime.starts_with("image/")
        || mime.starts_with("audio/")
        || mime.starts_with("video/")
        || matches!(
            mime,
            "application/pdf" | "application/x-javascript" | "application/x-python" | "application/rtf"
        )
}

fn decoded(base64: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

/// The type that the ending of an address suggests.
fn mime_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match ending.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "bmp" => "image/bmp",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "m4a" | "aac" => "audio/aac",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    })
}

/// A search result in words: title, source, text.
fn search_text(raw: &Raw) -> String {
    let mut lines: Vec<String> = Vec::new();
    for name in ["title", "source"] {
        lines.extend(raw.get(name).and_then(|value| value.to_text()).filter(|text| !text.is_empty()));
    }
    if let Some(content) = raw.get("content") {
        if let Some(text) = content.to_text() {
            lines.push(text);
        }
        let _read = Reader::new(content.as_str()).array(|_, part| {
            if part.kind() == Kind::Object {
                let part = part.to_raw()?;
                lines.extend(part.get("text").and_then(|text| text.to_text()));
            }
            Ok(())
        });
    }
    lines.join("\n")
}

/// Moves media out of results where the target's results hold text only: a placeholder stays, the media follow behind
/// the results of the same turn.
pub(super) fn relocate(work: &mut Work<'_>) {
    let profile = work.target.profile;
    let stays: fn(&Content) -> bool = match profile.format {
        Format::Claude | Format::Responses => return,
        Format::Chat if profile.has_media_in_tool_results => return,
        Format::Chat => |content| !is_medium(content),
        Format::Gemini if work.target.caps.has_media_in_function_response => {
            |content| !is_medium(content) || function_response_mime(content)
        }
        Format::Gemini => |content| !is_medium(content),
    };
    for turn in work.request.turns.iter_mut().filter(|turn| turn.role == Role::User) {
        relocate_in(turn, profile.format, stays);
    }
}

fn relocate_in(turn: &mut Turn, format: Format, stays: fn(&Content) -> bool) {
    let mut moved: Vec<Block> = Vec::new();
    let mut results = 0;
    for block in &mut turn.blocks {
        let Content::ToolResult(result) = &mut block.content else { break };
        results += 1;
        if result.content.iter().all(|block| stays(&block.content)) {
            continue;
        }
        let label = result.name.as_ref().filter(|name| !name.is_empty()).unwrap_or(&result.call_id);
        if format == Format::Chat {
            moved.push(Block::text(format!("Media of the result of {label} ({}):", result.call_id)));
        }
        let mut count = 0;
        for inner in &mut result.content {
            if stays(&inner.content) {
                continue;
            }
            count += 1;
            let noun = noun(&inner.content);
            let placeholder = match format {
                Format::Chat => format!("[{noun} {count} of this result follows in the next user message]"),
                _ => format!("[{noun} attached below]"),
            };
            moved.push(std::mem::replace(inner, Block::text(placeholder)));
        }
        // The structured form would hide the placeholder.
        if format != Format::Gemini {
            result.structured = None;
        }
    }
    if !moved.is_empty() {
        turn.blocks.splice(results..results, moved);
    }
}

fn is_medium(content: &Content) -> bool {
    matches!(content, Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::Document(_))
}

fn noun(content: &Content) -> &'static str {
    match content {
        Content::Image(_) => "image",
        Content::Audio(_) => "audio",
        Content::Video(_) => "video",
        _ => "document",
    }
}

/// Whether Gemini's function responses hold this medium as a part of their own.
fn function_response_mime(content: &Content) -> bool {
    let source = match content {
        Content::Image(image) => &image.source,
        Content::Document(document) => &document.source,
        _ => return false,
    };
    match source {
        Media::Inline { mime, .. } => {
            matches!(&**mime, "image/png" | "image/jpeg" | "image/webp" | "application/pdf" | "text/plain")
        }
        _ => false,
    }
}
