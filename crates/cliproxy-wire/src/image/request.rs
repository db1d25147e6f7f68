//! What is to be drawn.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::form::Part;
use crate::json::{Kind, Raw, Reader};
use crate::model::{Block, Content, Ext, Image, Media, Request, Role, Turn};
use crate::{Error, Format};

/// Width to height.
pub(super) type Shape = (u32, u32);

/// Shapes that image models of Google know.
const SHAPES: [Shape; 10] =
    [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];

/// How a request is written.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// As JSON.
    Json(&'a [u8]),
    /// As a form with files.
    Form(&'a [Part]),
}

/// How the client wants its images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// As addresses.
    pub is_url: bool,
    /// As events.
    pub is_stream: bool,
    /// Images that it sent are to be changed.
    pub is_edit: bool,
}

/// Reads a request for new images.
///
/// # Errors
/// What is no such request, with its JSON path.
pub fn decode_generation(body: &[u8]) -> Result<(Request, Wish), Error> {
    Draft::read(&Source::Json(body), false)?.finish()
}

/// Reads a request to change images, as JSON.
///
/// # Errors
/// What is no such request, with its JSON path; masks, which no conversation has.
pub fn decode_edit(body: &[u8]) -> Result<(Request, Wish), Error> {
    Draft::read(&Source::Json(body), true)?.finish()
}

/// Reads a request to change images, as a form.
///
/// # Errors
/// What is no such request, with the field; masks, which no conversation has.
pub fn decode_form(parts: &[Part]) -> Result<(Request, Wish), Error> {
    Draft::read(&Source::Form(parts), true)?.finish()
}

/// A request as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    model: String,
    prompt: Option<String>,
    pub(super) count: Option<u64>,
    pub(super) size: Option<String>,
    pub(super) images: Vec<Media>,
    is_url: bool,
    is_stream: bool,
    is_edit: bool,
    /// What else there is.
    pub(super) ext: Ext,
}

impl Draft {
    /// Reads a request of either kind, as JSON or as a form.
    pub(super) fn read(source: &Source<'_>, is_edit: bool) -> Result<Self, Error> {
        let mut draft = Self { is_edit, ..Self::default() };
        match source {
            Source::Json(body) => draft.json(body),
            Source::Form(parts) => {
                for part in *parts {
                    draft.part(part)?;
                }
                Ok(draft)
            }
        }
    }

    /// What is to be drawn.
    pub(super) fn prompt(&self) -> Result<&str, Error> {
        let prompt = self.prompt.as_deref().filter(|prompt| !prompt.trim().is_empty());
        let prompt = prompt.ok_or_else(|| Error::missing("prompt"))?;
        if self.is_edit && self.images.is_empty() {
            return Err(Error::missing("image"));
        }
        Ok(prompt)
    }

    pub(super) fn wish(&self) -> Wish {
        Wish { is_url: self.is_url, is_stream: self.is_stream, is_edit: self.is_edit }
    }

    fn json(mut self, body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::from_bytes(body)?;
        reader.object(|name, value| self.member(name, value))?;
        reader.finish()?;
        Ok(self)
    }

    fn member(&mut self, name: &str, value: &mut Reader<'_>) -> Result<(), Error> {
        match name {
            "model" => self.model = value.opt(Reader::string)?.unwrap_or_default(),
            "prompt" => self.prompt = value.opt(Reader::string)?,
            "n" => self.count = value.opt(Reader::u64)?,
            "size" => self.size = value.opt(Reader::string)?,
            "stream" => self.is_stream = value.opt(Reader::bool)?.unwrap_or(false),
            "response_format" => self.response_format(value.opt(Reader::string)?.as_deref())?,
            "image" | "images" if self.is_edit => self.images(value)?,
            "mask" if self.is_edit && value.kind() != Kind::Null => return Err(no_masks()),
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    self.ext.set(name, other);
                }
            }
        }
        Ok(())
    }

    fn response_format(&mut self, word: Option<&str>) -> Result<(), Error> {
        self.is_url = match word {
            None | Some("b64_json") => false,
            Some("url") => true,
            Some(_) => return Err(Error::invalid("", "expected b64_json or url")),
        };
        Ok(())
    }

    /// One image or several, each a text or an object that names one.
    fn images(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        if value.kind() == Kind::Array {
            return value.array(|_, value| self.image(value));
        }
        self.image(value)
    }

    fn image(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        let mut address = None;
        match value.kind() {
            Kind::String => address = Some(value.string()?),
            Kind::Object => value.object(|name, value| {
                match (name, value.kind()) {
                    (_, Kind::Null) => {}
                    ("image_url", Kind::Object) => value.object(|name, value| {
                        if name == "url" {
                            address = Some(value.string()?);
                        }
                        Ok(())
                    })?,
                    ("image_url" | "url", _) => address = Some(value.string()?),
                    ("file_id", Kind::String) => {
                        let message = "stored files are their own service's; send the image itself";
                        return Err(Error::unsupported("", message));
                    }
                    _ => {}
                }
                Ok(())
            })?,
            kind => {
                let message = format!("expected a string or an object, found {}", kind.noun());
                return Err(Error::malformed(message));
            }
        }
        let media = address.as_deref().and_then(media);
        self.images
            .push(media.ok_or_else(|| Error::malformed("expected an image as a data: or http(s) address"))?);
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Result<(), Error> {
        if part.file.is_some() {
            return match part.name.as_str() {
                "image" | "image[]" => {
                    let mime = part.media.as_deref().filter(|kind| kind.starts_with("image/"));
                    self.images.push(Media::Inline {
                        mime: mime.unwrap_or("image/png").into(),
                        base64: STANDARD.encode(&part.content).into(),
                    });
                    Ok(())
                }
                "mask" => Err(no_masks().under_key("mask")),
                _ => Ok(()),
            };
        }
        let name = part.name.as_str();
        let text = part.text().ok_or_else(|| Error::malformed("the field is not UTF-8").under_key(name))?;
        // What is a text in a form is written as JSON has it.
        let raw = match name {
            "n" | "stream" => Raw::parse(text.trim())
                .map_err(|_odd| Error::malformed("expected a number, true or false").under_key(name))?,
            "image" | "image[]" => {
                return Err(Error::malformed("expected a file").under_key(name));
            }
            _ => Raw::string(text),
        };
        self.member(name, &mut raw.reader()).map_err(|error| error.under_key(name))
    }

    fn finish(self) -> Result<(Request, Wish), Error> {
        let (prompt, wish) = (self.prompt()?.to_owned(), self.wish());
        let mut request = Request::new(Format::Chat, self.model);
        request.candidates = self.count.filter(|count| *count != 1);
        request.output.modalities = Some(vec!["text".into(), "image".into()]);
        request.output.image = shape(self.size.as_deref(), &SHAPES)?.map(|(width, height)| {
            Raw::object(|object| object.str("aspect_ratio", &format!("{width}:{height}")))
        });
        let image = |source| Block::new(Content::Image(Image { source, detail: None, opaque: None }));
        let mut blocks: Vec<Block> = self.images.into_iter().map(image).collect();
        blocks.push(Block::text(prompt));
        request.turns.push(Turn::new(Role::User, blocks));
        request.ext = self.ext;
        Ok((request, wish))
    }
}

fn no_masks() -> Error {
    Error::unsupported("", "this model changes whole images; say in the prompt what is to change")
}

/// An image by its address.
fn media(address: &str) -> Option<Media> {
    let Some(data) = address.strip_prefix("data:") else {
        let is_address = address.starts_with("https://") || address.starts_with("http://");
        return is_address.then(|| Media::Url(address.into()));
    };
    let (mime, base64) = data.split_once(";base64,")?;
    Some(Media::Inline { mime: mime.to_ascii_lowercase().into(), base64: base64.into() })
}

/// The shape of `known` that is nearest to a size in pixels; `None` where the model may choose.
pub(super) fn shape(size: Option<&str>, known: &[Shape]) -> Result<Option<Shape>, Error> {
    let Some(size) = size.filter(|size| *size != "auto") else { return Ok(None) };
    let sides = size.split_once('x').and_then(|(width, height)| {
        let (width, height) = (width.parse::<u32>().ok()?, height.parse::<u32>().ok()?);
        (width > 0 && height > 0).then_some((f64::from(width), f64::from(height)))
    });
    let (width, height) =
        sides.ok_or_else(|| Error::invalid("size", "expected auto or WIDTHxHEIGHT, such as 1024x1024"))?;
    let distance = |(one, other): Shape| ((f64::from(one) / f64::from(other)) / (width / height)).ln().abs();
    Ok(known.iter().copied().min_by(|one, other| distance(*one).total_cmp(&distance(*other))))
}
