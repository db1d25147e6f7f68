//! Content parts, and blocks that are told as text.

use crate::chat::media;
use crate::format::Format;
use crate::json::{Array, Object};
use crate::model::{Block, CacheMark, CacheTtl, Content, Document, Media, Str, Text};

use super::Messages;

impl Messages<'_> {
    pub(super) fn part(&mut self, parts: &mut Array<'_>, at: usize, block: &Block) {
        let mark = block.cache.filter(|_| self.target.profile.has_cache_marks);
        if let Some(text) = textual(block) {
            text_part(parts, &text, mark);
            return;
        }
        match &block.content {
            Content::Image(image) => parts.object(|part| {
                part.str("type", "image_url");
                part.object("image_url", |url| {
                    if !media::write(url, "url", &image.source) {
                        self.fail(at, "image of a file store; send its bytes or address");
                    }
                    url.opt_str("detail", image.detail.as_ref());
                });
                write_mark(part, mark);
            }),
            Content::Audio(audio) => match &audio.source {
                Media::Inline { mime, base64 } if media::audio_format(mime).is_some() => {
                    parts.object(|part| {
                        part.str("type", "input_audio");
                        part.object("input_audio", |audio| {
                            audio.str("data", base64);
                            audio.opt_str("format", media::audio_format(mime));
                        });
                    });
                }
                _ => self.fail(at, "audio but wav and mp3 in the message itself"),
            },
            Content::Video(video) if self.target.profile.has_video => parts.object(|part| {
                part.str("type", "video_url");
                part.object("video_url", |url| {
                    if !media::write(url, "url", &video.source) {
                        self.fail(at, "video of a file store; send its bytes or address");
                    }
                });
            }),
            Content::Video(_) => self.fail(at, "video; describe it in text or choose another model"),
            Content::Document(document) => self.document(parts, at, document),
            Content::Native(native) if native.format == Format::Chat => parts.raw(native.value.as_str()),
            // Everything else has been put in other words before, or has none here.
            _ => {}
        }
    }

    fn document(&mut self, parts: &mut Array<'_>, at: usize, document: &Document) {
        if let Media::File { owner, .. } = &document.source
            && *owner != self.target.profile.owner
        {
            self.fail(
                at,
                "file of another provider's store; file ids belong to the provider that issued them",
            );
            return;
        }
        parts.object(|part| {
            part.str("type", "file");
            part.object("file", |file| {
                if let Media::File { id, .. } = &document.source {
                    file.str("file_id", id);
                    return;
                }
                let name = document.filename.as_deref().or(document.title.as_deref());
                file.str("filename", name.unwrap_or("document.pdf"));
                media::write(file, "file_data", &document.source);
            });
        });
    }
}

pub(super) fn is_textual(block: &Block) -> bool {
    match &block.content {
        Content::Text(_) | Content::SearchResult(_) => true,
        Content::Document(document) => matches!(document.source, Media::Text { .. }),
        _ => false,
    }
}

/// The words of a block that is text in this format, whatever it was before.
pub(super) fn textual(block: &Block) -> Option<Str> {
    match &block.content {
        Content::Text(Text { text, .. }) => Some(text.clone()),
        Content::Document(document) => {
            let Media::Text { text, .. } = &document.source else { return None };
            let name = document.title.as_deref().or(document.filename.as_deref());
            Some(format!("[document: {}]\n{text}", name.unwrap_or("untitled")).into())
        }
        Content::SearchResult(raw) => {
            let mut lines: Vec<String> = ["title", "source"]
                .iter()
                .filter_map(|key| raw.get(key).and_then(|value| value.to_text()))
                .collect();
            if let Some(content) = raw.get("content")
                && let Ok(text) = crate::chat::decode::part::joined_text(&mut content.reader())
            {
                lines.push(text);
            }
            Some(lines.join("\n").into())
        }
        _ => None,
    }
}

pub(super) fn kind_word(block: &Block) -> &'static str {
    match &block.content {
        Content::Image(_) => "image",
        Content::Audio(_) => "audio",
        Content::Video(_) => "video",
        _ => "document",
    }
}

pub(super) fn text_part(parts: &mut Array<'_>, text: &Str, mark: Option<CacheMark>) {
    parts.object(|part| {
        part.str("type", "text");
        part.str("text", text);
        write_mark(part, mark);
    });
}

pub(crate) fn write_mark(object: &mut Object<'_>, mark: Option<CacheMark>) {
    if let Some(mark) = mark {
        object.object("cache_control", |control| {
            control.str("type", "ephemeral");
            control.opt_str(
                "ttl",
                mark.ttl.map(|ttl| match ttl {
                    CacheTtl::FiveMinutes => "5m",
                    CacheTtl::ThirtyMinutes => "30m",
                    CacheTtl::OneHour => "1h",
                }),
            );
        });
    }
}
