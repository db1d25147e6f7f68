//! Images, sounds, films and documents in forms the target takes, or a refusal that names the place.
//!
//! Payloads are never decoded, with one exception: a text file sent as base64 to a target that takes text only.

mod guess;
mod relocate;

use crate::Error;
use crate::codec::Strictness;
use crate::format::Format;
use crate::model::{
    Audio, Block, Content, Document, Image, Media, Owner, Role, Str, Text, ToolResult, Video,
};
use crate::profile::{Dialect, Profile};

use super::Work;

use guess::{decoded, is_mpeg, is_readable, is_text, is_wave, mime_of, search_text};
pub(super) use relocate::relocate;

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
                    return Err(Error::unsupported(work.layout.block(at, index), message));
                }
                Err(Refusal { noun, .. }) => {
                    *block = Block::text(format!("[{noun} left out]"));
                    work.notes.add(work.layout.block(at, index));
                }
            }
        }
        if role != Role::Assistant {
            describe(&mut turn.blocks, work.target.profile.format);
        }
    }
    Ok(())
}

/// Puts what the model shall know of a document before it, where the target has no member for that.
fn describe(blocks: &mut Vec<Block>, format: Format) {
    for block in blocks.iter_mut() {
        if let Content::ToolResult(result) = &mut block.content {
            describe(&mut result.content, format);
        }
    }
    if blocks.iter().all(|block| words(block, format).is_none()) {
        return;
    }
    for block in std::mem::take(blocks) {
        blocks.extend(words(&block, format).map(Block::text));
        blocks.push(block);
    }
}

/// What a document is called and what is said of it. Its title is the name of the file in the formats of OpenAI.
fn words(block: &Block, format: Format) -> Option<String> {
    let Content::Document(document) = &block.content else { return None };
    if format == Format::Claude {
        return None;
    }
    let title = document.title.as_deref().filter(|_| format == Format::Gemini);
    match (title, document.context.as_deref()) {
        (None, None) => None,
        (None, Some(context)) => Some(context.to_owned()),
        (Some(title), None) => Some(format!("[{title}]")),
        (Some(title), Some(context)) => Some(format!("[{title}]\n{context}")),
    }
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
                self.google_only(NOUN, uri)
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
                let label = document.title.as_deref().or(document.filename.as_deref()).unwrap_or("document");
                Ok(Some(match &document.context {
                    Some(context) => format!("[{label}]\n{context}\n\n{text}"),
                    None => format!("[{label}]\n{text}"),
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
                self.google_only(NOUN, uri).map(|()| None)
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
            (Format::Gemini, Media::GoogleUri { uri, .. }) => self.google_only(NOUN, uri),
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
            (Format::Gemini, Media::GoogleUri { uri, .. }) => self.google_only(NOUN, uri),
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

    /// Files that only Google's services know; the Files API alone belongs to keys, and Code Assist has none.
    fn google_only(&self, noun: &'static str, uri: &str) -> Result<(), Refusal> {
        let is_code_assist = matches!(self.profile.dialect, Dialect::CodeAssist | Dialect::Antigravity);
        if is_code_assist && uri.contains("generativelanguage.googleapis.com/") {
            let problem = "has no Files API and cannot read this file; send the content";
            return Err(self.refusal(noun, problem));
        }
        if self.profile.format == Format::Gemini {
            return Ok(());
        }
        self.file(noun, Owner::Google)
    }
}
