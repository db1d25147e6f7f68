//! What an upstream says of one choice at once: a stream's `delta`, a body's `message`, or the bare `text` of old
//! completions. All have the same members, so they are read in one place.

use std::borrow::Cow;

use crate::Error;
use crate::json::{Fragment, Kind, Reader};
use crate::model::Media;

use super::decode::message::signature;
use super::decode::part::joined_text;
use super::media;

/// One entry of `choices`.
#[derive(Debug, Default)]
pub(super) struct Choice<'a> {
    pub(super) index: Option<u32>,
    /// `delta` or `text`
    pub(super) delta: Option<Piece<'a>>,
    /// `message`
    pub(super) message: Option<Piece<'a>>,
    pub(super) finish: Option<Cow<'a, str>>,
    /// `logprobs.content`, when it holds anything.
    pub(super) logprobs: Option<&'a str>,
    /// Some aggregators put these here.
    pub(super) error: Option<Reader<'a>>,
    pub(super) usage: Option<Reader<'a>>,
    /// Members without a meaning here, only gathered from bodies.
    pub(super) rest: Vec<(String, &'a str)>,
}

impl<'a> Choice<'a> {
    pub(super) fn read(value: &mut Reader<'a>, keeps_rest: bool) -> Result<Self, Error> {
        let mut choice = Self::default();
        value.object(|key, value| {
            if value.kind() == Kind::Null {
                return value.skip();
            }
            match key {
                "index" => choice.index = value.u64().ok().and_then(|index| u32::try_from(index).ok()),
                "delta" if value.kind() == Kind::Object => choice.delta = Some(Piece::read(value)?),
                "message" if value.kind() == Kind::Object => choice.message = Some(Piece::read(value)?),
                "text" if value.kind() == Kind::String => {
                    let content = Some(value.fragment()?);
                    choice.delta.get_or_insert_default().content = content;
                }
                "finish_reason" if value.kind() == Kind::String => choice.finish = Some(value.str()?),
                "logprobs" if value.kind() == Kind::Object => value.object(|key, value| {
                    if key == "content" && value.kind() == Kind::Array {
                        choice.logprobs = Some(value.raw()?).filter(|array| array.len() > 2);
                    }
                    Ok(())
                })?,
                "error" => choice.error = Some(value.clone()),
                "usage" => choice.usage = Some(value.clone()),
                _ if keeps_rest => choice.rest.push((key.to_owned(), value.raw()?)),
                _ => {}
            }
            Ok(())
        })?;
        Ok(choice)
    }
}

/// The members of a `delta` or `message`.
#[derive(Debug, Default)]
pub(super) struct Piece<'a> {
    pub(super) content: Option<Fragment<'a>>,
    pub(super) parts: Vec<Part>,
    /// `reasoning_content`, `reasoning`, `reasoning_text`, `thinking`: the first that says something counts.
    reasoning: [Option<Fragment<'a>>; 4],
    pub(super) refusal: Option<Fragment<'a>>,
    pub(super) calls: Vec<Call<'a>>,
    pub(super) details: Option<Reader<'a>>,
    pub(super) annotations: Option<Reader<'a>>,
    pub(super) images: Vec<Media>,
    pub(super) audio: Option<Sound<'a>>,
    pub(super) signature: Option<Cow<'a, str>>,
}

/// An element of a `content` array.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Thinking(String),
    Image(Media),
}

/// A piece of a call.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) index: Option<i64>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) arguments: Option<Arguments<'a>>,
    pub(super) is_custom: bool,
    pub(super) signature: Option<Cow<'a, str>>,
}

/// Argument text, or the object that some servers write instead.
#[derive(Debug)]
pub(super) enum Arguments<'a> {
    Text(Fragment<'a>),
    Value(&'a str),
}

impl Arguments<'_> {
    pub(super) fn says_something(&self) -> bool {
        match self {
            Self::Text(fragment) => !fragment.is_empty(),
            Self::Value(_) => true,
        }
    }
}

/// A piece of spoken answer.
#[derive(Debug, Default)]
pub(super) struct Sound<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) data: Option<Cow<'a, str>>,
    pub(super) transcript: Option<Cow<'a, str>>,
    pub(super) expires_at: Option<u64>,
}

impl<'a> Piece<'a> {
    fn read(value: &mut Reader<'a>) -> Result<Self, Error> {
        let mut piece = Self::default();
        value.object(|key, value| piece.member(key, value))?;
        Ok(piece)
    }

    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        let [content, reasoning, text, thinking] = &mut self.reasoning;
        match (key, value.kind()) {
            (_, Kind::Null) => value.skip()?,
            ("content", Kind::String) => self.content = Some(value.fragment()?),
            ("content", Kind::Array) => value.array(|_, part| {
                self.parts.extend(Part::read(part)?);
                Ok(())
            })?,
            ("reasoning_content", Kind::String) => *content = Some(value.fragment()?),
            ("reasoning", Kind::String) => *reasoning = Some(value.fragment()?),
            ("reasoning_text", Kind::String) => *text = Some(value.fragment()?),
            ("thinking", Kind::String) => *thinking = Some(value.fragment()?),
            ("refusal", Kind::String) => self.refusal = Some(value.fragment()?),
            ("tool_calls", Kind::Array) => value.array(|_, value| {
                if value.kind() == Kind::Object {
                    self.calls.push(Call::read(value)?);
                }
                Ok(())
            })?,
            ("function_call", Kind::Object) => {
                let mut call = Call { index: Some(0), ..Call::default() };
                call.function(value)?;
                // Some servers write all members of their answer type, unused ones empty.
                if call.name.is_some() || call.arguments.as_ref().is_some_and(Arguments::says_something) {
                    self.calls.push(call);
                }
            }
            ("reasoning_details", Kind::Array) => self.details = Some(value.clone()),
            ("annotations", Kind::Array) => self.annotations = Some(value.clone()),
            ("images", Kind::Array) => value.array(|_, value| {
                self.images.extend(image(value)?);
                Ok(())
            })?,
            ("audio", Kind::Object) => self.audio = Some(Sound::read(value)?),
            ("extra_content" | "provider_specific_fields", Kind::Object) => {
                self.signature = signature(value)?.or_else(|| self.signature.take());
            }
            _ => {}
        }
        Ok(())
    }

    /// The reasoning text, from whichever member has it.
    pub(super) fn take_reasoning(&mut self) -> Option<Fragment<'a>> {
        let slot =
            self.reasoning.iter_mut().find(|slot| slot.as_ref().is_some_and(|text| !text.is_empty()))?;
        slot.take()
    }

    /// True when nothing is said.
    pub(super) fn is_empty(&self) -> bool {
        let silent = |fragment: &Option<Fragment<'_>>| fragment.as_ref().is_none_or(Fragment::is_empty);
        silent(&self.content)
            && silent(&self.refusal)
            && self.reasoning.iter().all(silent)
            && self.parts.is_empty()
            && self.calls.is_empty()
            && self.images.is_empty()
            && self.details.is_none()
            && self.audio.is_none()
    }
}

impl Part {
    fn read(value: &mut Reader<'_>) -> Result<Option<Self>, Error> {
        match value.kind() {
            Kind::String => return Ok(Some(Self::Text(value.string()?))),
            Kind::Object => {}
            _ => return value.skip().map(|()| None),
        }
        let mut text = None;
        let mut thinking = None;
        let mut source = None;
        value.object(|key, value| {
            match (key, value.kind()) {
                ("text" | "refusal", Kind::String) => text = Some(value.string()?),
                ("thinking" | "reasoning", Kind::String | Kind::Array) => {
                    thinking = Some(joined_text(value)?);
                }
                ("image_url", _) => source = address(value)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(thinking.map(Self::Thinking).or_else(|| text.map(Self::Text)).or_else(|| source.map(Self::Image)))
    }
}

impl<'a> Call<'a> {
    fn read(value: &mut Reader<'a>) -> Result<Self, Error> {
        let mut call = Self::default();
        value.object(|key, value| {
            match (key, value.kind()) {
                ("index", Kind::Number) => {
                    call.index = value.clone().i64().ok();
                    value.skip()?;
                }
                ("id", Kind::String) => call.id = Some(value.str()?).filter(|id| !id.is_empty()),
                ("function", Kind::Object) => call.function(value)?,
                ("custom", Kind::Object) => call.custom(value)?,
                ("extra_content" | "provider_specific_fields", Kind::Object) => {
                    call.signature = signature(value)?.or_else(|| call.signature.take());
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(call)
    }

    fn function(&mut self, value: &mut Reader<'a>) -> Result<(), Error> {
        value.object(|key, value| {
            match (key, value.kind()) {
                ("name", Kind::String) => self.name = name(value)?.or_else(|| self.name.take()),
                ("arguments", Kind::String) => self.arguments = Some(Arguments::Text(value.fragment()?)),
                ("arguments", Kind::Object | Kind::Array) => {
                    self.arguments = Some(Arguments::Value(value.raw()?));
                }
                _ => {}
            }
            Ok(())
        })
    }

    /// Some servers write an empty `custom` beside every function.
    fn custom(&mut self, value: &mut Reader<'a>) -> Result<(), Error> {
        value.object(|key, value| {
            match (key, value.kind()) {
                ("name", Kind::String) => {
                    if let Some(name) = name(value)? {
                        self.name = Some(name);
                        self.is_custom = true;
                    }
                }
                ("input", Kind::String) => {
                    let input = value.fragment()?;
                    if !input.is_empty() {
                        self.arguments = Some(Arguments::Text(input));
                        self.is_custom = true;
                    }
                }
                _ => {}
            }
            Ok(())
        })
    }
}

impl<'a> Sound<'a> {
    fn read(value: &mut Reader<'a>) -> Result<Self, Error> {
        let mut sound = Self::default();
        value.object(|key, value| {
            let text =
                |value: &mut Reader<'a>| value.str().map(|text| Some(text).filter(|text| !text.is_empty()));
            match (key, value.kind()) {
                ("id", Kind::String) => sound.id = text(value)?,
                ("data", Kind::String) => sound.data = text(value)?,
                ("transcript", Kind::String) => sound.transcript = text(value)?,
                ("expires_at", Kind::Number) => {
                    sound.expires_at = value.clone().u64().ok().filter(|at| *at > 0);
                    value.skip()?;
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(sound)
    }

    /// Some servers write all members of their answer type, unused ones empty.
    pub(super) fn is_empty(&self) -> bool {
        self.id.is_none() && self.data.is_none() && self.transcript.is_none()
    }
}

fn name<'a>(value: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Error> {
    let name = value.str()?;
    let is_trimmed = name.trim().len() == name.len();
    let name = if is_trimmed { name } else { name.trim().to_owned().into() };
    Ok(Some(name).filter(|name| !name.is_empty()))
}

/// An element of `images`.
fn image(value: &mut Reader<'_>) -> Result<Option<Media>, Error> {
    if value.kind() != Kind::Object {
        return value.skip().map(|()| None);
    }
    let mut found = None;
    value.object(|key, value| {
        if key == "image_url" {
            found = address(value)?;
        }
        Ok(())
    })?;
    Ok(found)
}

fn address(value: &mut Reader<'_>) -> Result<Option<Media>, Error> {
    let read = |value: &mut Reader<'_>| Ok(media::read(&value.kept()?, "image/png").ok());
    match value.kind() {
        Kind::String => read(value),
        Kind::Object => {
            let mut found = None;
            value.object(|key, value| {
                if key == "url" && value.kind() == Kind::String {
                    found = read(value)?;
                }
                Ok(())
            })?;
            Ok(found)
        }
        _ => value.skip().map(|()| None),
    }
}
