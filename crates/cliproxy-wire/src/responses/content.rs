//! Content parts of messages, tool results and reasoning items.
//!
//! Parts say themselves what they are, so they are read in one pass whatever item holds them. Names of the Chat and
//! Claude formats are understood too, because agents mix them.

use std::borrow::Cow;

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    Annotation, Audio, Block, CacheMark, Content, Document, Ext, Image, Media, Native, Str, Text,
};

use super::{annotation, media};

/// What an array of parts, or a string in its place, holds.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Blocks in order.
    pub(super) blocks: Vec<Block>,
    /// Parts of a reasoning item: raw chain of thought.
    pub(super) reasoning: Vec<Str>,
}

/// Reads `content` or a list-like `output`: `null`, a string, one part or an array of parts.
pub(super) fn read(value: &mut Reader<'_>, parts: &mut Parts) -> Result<(), Error> {
    match value.kind() {
        Kind::Null => value.skip(),
        Kind::String => {
            Block::text(value.kept()?).put(&mut parts.blocks);
            Ok(())
        }
        Kind::Object => part(value, parts),
        _ => value.array(|_, element| match element.kind() {
            Kind::String => {
                Block::text(element.kept()?).put(&mut parts.blocks);
                Ok(())
            }
            _ => part(element, parts),
        }),
    }
}

#[derive(Default)]
struct Fields<'a> {
    kind: Option<Cow<'a, str>>,
    text: Option<Str>,
    refusal: Option<Str>,
    annotations: Vec<Annotation>,
    logprobs: Option<Raw>,
    url: Option<Str>,
    detail: Option<Str>,
    file_id: Option<Str>,
    file_data: Option<Str>,
    file_url: Option<Str>,
    filename: Option<Str>,
    audio_data: Option<Str>,
    audio_format: Option<Str>,
    source: Option<Media>,
    is_marked: bool,
    ext: Ext,
}

fn part(value: &mut Reader<'_>, parts: &mut Parts) -> Result<(), Error> {
    let mut look = value.clone();
    let mut fields = Fields::default();
    value.object(|key, value| fields.member(key, value))?;
    let Fields { kind, text, refusal, annotations, logprobs, .. } = &mut fields;
    let content = match kind.as_deref().unwrap_or("input_text") {
        "reasoning_text" => {
            parts.reasoning.push(text.take().unwrap_or_default());
            return Ok(());
        }
        "refusal" => Content::Refusal(refusal.take().or_else(|| text.take()).unwrap_or_default()),
        "input_image" | "image_url" | "image" => Content::Image(fields.image()?),
        "input_file" | "file" | "document" => Content::Document(fields.document()?),
        "input_audio" => Content::Audio(fields.audio()?),
        _ => {
            if let Some(text) = text.take() {
                Content::Text(Text {
                    text,
                    annotations: std::mem::take(annotations),
                    logprobs: logprobs.take(),
                    opaque: None,
                })
            } else {
                let value = look.to_raw()?;
                Content::Native(Native { format: Format::Responses, value })
            }
        }
    };
    let cache = fields.is_marked.then_some(CacheMark { ttl: None });
    let ext = if matches!(content, Content::Native(_)) { Ext::new() } else { fields.ext };
    Block { content, cache, ext }.put(&mut parts.blocks);
    Ok(())
}

impl<'a> Fields<'a> {
    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        match key {
            "type" => self.kind = value.opt(Reader::str)?,
            "text" => self.text = super::text(value)?,
            "refusal" => self.refusal = super::text(value)?,
            "annotations" => {
                value.opt(|list| {
                    list.array(|_, entry| {
                        self.annotations.extend(annotation::read(entry)?);
                        Ok(())
                    })
                })?;
            }
            "logprobs" => self.logprobs = value.opt(Reader::to_raw)?.filter(|list| !list.is_empty()),
            "image_url" | "url" => match value.kind() {
                Kind::Object => value.object(|key, value| {
                    match key {
                        "url" => self.url = super::text(value)?,
                        "detail" => self.detail = super::text(value)?,
                        _ => {}
                    }
                    Ok(())
                })?,
                _ => self.url = super::text(value)?,
            },
            "detail" => self.detail = super::text(value)?,
            "file_id" => self.file_id = super::text(value)?,
            "file_data" => self.file_data = super::text(value)?,
            "file_url" => self.file_url = super::text(value)?,
            "filename" => self.filename = super::text(value)?,
            "file" if value.kind() == Kind::Object => value.object(|key, value| self.member(key, value))?,
            "input_audio" => {
                value.opt(|audio| {
                    audio.object(|key, value| {
                        match key {
                            "data" => self.audio_data = super::text(value)?,
                            "format" => self.audio_format = super::text(value)?,
                            _ => {}
                        }
                        Ok(())
                    })
                })?;
            }
            "source" if value.kind() == Kind::Object => self.source = claude_source(value)?,
            "prompt_cache_breakpoint" | "cache_control" => {
                if let Some(mark) = value.opt(Reader::to_raw)? {
                    self.is_marked = true;
                    self.ext.set(key, mark);
                }
            }
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    self.ext.set(key, other);
                }
            }
        }
        Ok(())
    }

    fn image(&mut self) -> Result<Image, Error> {
        let source = match (self.source.take(), self.url.take(), self.file_id.take()) {
            (Some(source), _, _) => source,
            (_, Some(url), _) => media::from_url(&url).map_err(|error| error.under_key("image_url"))?,
            (_, _, Some(id)) => media::file(id),
            _ => return Err(Error::missing("image_url")),
        };
        Ok(Image { source, detail: self.detail.take(), opaque: None })
    }

    fn document(&mut self) -> Result<Document, Error> {
        let source =
            match (self.source.take(), self.file_data.take(), self.file_url.take(), self.file_id.take()) {
                (Some(source), ..) => source,
                (_, Some(data), ..) => media::from_file_data(&data, self.filename.as_deref())
                    .map_err(|error| error.under_key("file_data"))?,
                (_, _, Some(url), _) => media::from_url(&url).map_err(|error| error.under_key("file_url"))?,
                (_, _, _, Some(id)) => media::file(id),
                _ => return Err(Error::missing("file_data")),
            };
        Ok(Document { source, filename: self.filename.take(), title: None, context: None, citations: None })
    }

    fn audio(&mut self) -> Result<Audio, Error> {
        let Some(base64) = self.audio_data.take() else {
            return Err(Error::missing("data").under_key("input_audio"));
        };
        let mime = match self.audio_format.as_deref() {
            None | Some("wav") => "audio/wav".into(),
            Some("mp3") => "audio/mpeg".into(),
            Some(other) => format!("audio/{other}").into(),
        };
        Ok(Audio { source: Media::Inline { mime, base64 }, transcript: None, id: None, expires_at: None })
    }
}

/// The `source` object of Claude's image and document parts.
fn claude_source(value: &mut Reader<'_>) -> Result<Option<Media>, Error> {
    let (mut mime, mut payload, mut url) = (None, None, None);
    value.object(|key, value| {
        match key {
            "media_type" => mime = super::text(value)?,
            "data" => payload = super::text(value)?,
            "url" => url = super::text(value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(match (payload, url) {
        (Some(base64), _) => {
            let mime =
                mime.map_or_else(|| "application/octet-stream".to_owned(), |mime| mime.to_ascii_lowercase());
            Some(Media::Inline { mime: mime.into(), base64 })
        }
        (None, Some(url)) => Some(media::from_url(&url)?),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(json: &str) -> Vec<Block> {
        let mut parts = Parts::default();
        read(&mut Reader::new(json), &mut parts).unwrap();
        parts.blocks
    }

    #[test]
    fn strings_parts_and_foreign_names_mean_the_same() {
        let expected = vec![Block::text("hi")];
        assert_eq!(blocks(r#""hi""#), expected);
        assert_eq!(blocks(r#"[{"type":"input_text","text":"hi"}]"#), expected);
        assert_eq!(blocks(r#"[{"text":"hi","type":"text"}]"#), expected);
        let url = blocks(r#"[{"type":"input_image","image_url":"https://x/y.png","detail":"low"}]"#);
        assert_eq!(
            blocks(r#"[{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}]"#),
            url
        );
        let inline = blocks(r#"[{"type":"input_image","image_url":"data:image/png;base64,AA"}]"#);
        let claude = r#"[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}}]"#;
        assert_eq!(blocks(claude), inline);
    }

    #[test]
    fn a_part_without_payload_names_what_it_lacks() {
        let mut parts = Parts::default();
        let error = read(&mut Reader::new(r#"[{"type":"input_image"}]"#), &mut parts).unwrap_err();
        assert_eq!(error.path().as_deref(), Some("[0].image_url"));
    }

    #[test]
    fn unknown_parts_are_text_if_they_have_some_and_native_otherwise() {
        assert_eq!(blocks(r#"[{"type":"new_text","text":"x"}]"#), vec![Block::text("x")]);
        assert!(matches!(blocks(r#"[{"type":"new"}]"#).first().unwrap().content, Content::Native(_)));
    }
}
