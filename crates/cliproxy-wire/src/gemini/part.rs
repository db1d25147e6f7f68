//! One part as it stands on the wire, the same in requests, answers and streams.
//!
//! All known members are gathered in one pass, whatever kind of part they make; what a part *means* differs between a
//! history and an answer and is decided there.

use std::borrow::Cow;

use memchr::memchr2;

use super::member::members;
use crate::Error;
use crate::json::{Fragment, Kind, Raw, Reader, Surrogates};
use crate::model::{Audio, Content, Document, Image, Media, Owner, Str, Video};

/// A part.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) text: Option<Words<'a>>,
    pub(super) is_thought: bool,
    pub(super) signature: Option<Cow<'a, str>>,
    pub(super) call: Option<Call<'a>>,
    pub(super) result: Option<CallResult<'a>>,
    pub(super) blob: Option<Blob<'a>>,
    /// `executableCode`.
    pub(super) code: Option<Box<Code<'a>>>,
    /// `codeExecutionResult`.
    pub(super) code_result: Option<Box<CodeResult<'a>>>,
    /// `toolCall` and `toolResponse`: a tool that the provider runs.
    pub(super) hosted: Option<Box<HostedPart<'a>>>,
    /// `videoMetadata`
    pub(super) clip: Option<&'a str>,
    /// `mediaResolution`
    pub(super) resolution: Option<&'a str>,
    /// `partMetadata`
    pub(super) metadata: Option<&'a str>,
    /// A member that is not known here, and so a kind of part that is not.
    pub(super) is_foreign: bool,
    /// The whole part.
    pub(super) whole: Whole<'a>,
}

/// A text: the whole of it in a request, a piece in a stream.
#[derive(Debug)]
pub(super) enum Words<'a> {
    /// It goes into a block.
    Whole(Str),
    /// It goes into a channel.
    Piece(Fragment<'a>),
}

impl<'a> Words<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        if reader.has_body() { reader.kept().map(Self::Whole) } else { reader.fragment().map(Self::Piece) }
    }

    /// As the whole of a text.
    pub(super) fn whole(self) -> Str {
        let fragment = match self {
            Self::Whole(text) => return text,
            Self::Piece(fragment) => fragment,
        };
        let mut channel = Surrogates::default();
        let text = channel.join(fragment);
        match channel.finish() {
            Some(left) => [&*text, left.encode_utf8(&mut [0; 4])].concat().into(),
            None => text.into(),
        }
    }

    /// As a piece of a text.
    pub(super) fn piece(self) -> Fragment<'a> {
        match self {
            Self::Whole(text) => Fragment::whole(text.as_str().to_owned()),
            Self::Piece(fragment) => fragment,
        }
    }
}

/// The span of a part, cut out only when somebody asks.
#[derive(Debug)]
pub(super) struct Whole<'a>(Reader<'a>);

impl Default for Whole<'_> {
    fn default() -> Self {
        Self(Reader::new("null"))
    }
}

impl Whole<'_> {
    /// The span. The part was read without error before, so reading it again does not fail.
    pub(super) fn raw(&self) -> Raw {
        self.0.clone().to_raw().unwrap_or_else(|_checked| Raw::new("{}"))
    }
}

/// `functionCall`
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) args: Option<Raw>,
    /// `partialArgs` (Vertex): pieces of arguments by path.
    pub(super) partial: Option<&'a str>,
    pub(super) continues: bool,
}

/// `functionResponse`
#[derive(Debug, Default)]
pub(super) struct CallResult<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) response: Option<Raw>,
    pub(super) blobs: Vec<Part<'a>>,
    /// Members that only this format has: `willContinue`, `scheduling`.
    pub(super) rest: Vec<(&'static str, &'a str)>,
}

/// `inlineData` or `fileData`
#[derive(Debug, Default)]
pub(super) struct Blob<'a> {
    pub(super) mime: Option<Cow<'a, str>>,
    /// Base64 of `inlineData`.
    pub(super) data: Option<Str>,
    /// Address of `fileData`.
    pub(super) uri: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
}

/// `executableCode`
#[derive(Debug, Default)]
pub(super) struct Code<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) language: Option<Cow<'a, str>>,
    pub(super) source: Cow<'a, str>,
}

/// `codeExecutionResult`
#[derive(Debug, Default)]
pub(super) struct CodeResult<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) outcome: Option<Cow<'a, str>>,
    pub(super) output: Cow<'a, str>,
}

/// `toolCall` or `toolResponse`
#[derive(Debug, Default)]
pub(super) struct HostedPart<'a> {
    pub(super) is_response: bool,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) kind: Option<Cow<'a, str>>,
    /// `args` or `response`
    pub(super) payload: Option<&'a str>,
}

/// Reads one part.
///
/// # Errors
/// Members of wrong kinds, with their path.
pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Part<'a>, Error> {
    let mut part = Part::default();
    fill(reader, &mut part)?;
    Ok(part)
}

/// Reads one part into an empty one, which is not moved then: there are hundreds, and half a kilobyte of members.
///
/// # Errors
/// Members of wrong kinds, with their path.
pub(super) fn fill<'a>(reader: &mut Reader<'a>, part: &mut Part<'a>) -> Result<(), Error> {
    part.whole = Whole(reader.clone());
    if reader.kind() == Kind::String {
        part.text = Some(Words::read(reader)?);
        return Ok(());
    }
    members(reader, |name, value| {
        match name {
            "text" => part.text = value.opt(Words::read)?,
            "thought" => part.is_thought = value.opt(Reader::bool)?.unwrap_or(false),
            "thoughtSignature" => part.signature = value.opt(Reader::str)?.filter(|data| !data.is_empty()),
            "functionCall" => part.call = value.opt(call)?,
            "functionResponse" => part.result = value.opt(call_result)?,
            "inlineData" | "fileData" => part.blob = value.opt(blob)?.or_else(|| part.blob.take()),
            "executableCode" => part.code = value.opt(code)?.map(Box::new),
            "codeExecutionResult" => part.code_result = value.opt(code_result)?.map(Box::new),
            "toolCall" => part.hosted = value.opt(|value| hosted(value, false))?.map(Box::new),
            "toolResponse" => part.hosted = value.opt(|value| hosted(value, true))?.map(Box::new),
            "videoMetadata" => part.clip = value.opt(Reader::raw)?,
            "mediaResolution" => part.resolution = value.opt(Reader::raw)?,
            "partMetadata" => part.metadata = value.opt(Reader::raw)?,
            _ => part.is_foreign |= value.opt(Reader::raw)?.is_some(),
        }
        Ok(())
    })
}

fn call<'a>(reader: &mut Reader<'a>) -> Result<Call<'a>, Error> {
    let mut call = Call::default();
    members(reader, |name, value| {
        match name {
            "id" => call.id = value.opt(Reader::str)?.filter(|id| !id.is_empty()),
            "name" => call.name = value.opt(Reader::str)?.filter(|name| !name.is_empty()),
            "args" => call.args = value.opt(Reader::kept_raw)?,
            "partialArgs" => call.partial = value.opt(Reader::raw)?,
            "willContinue" => call.continues = value.opt(Reader::bool)?.unwrap_or(false),
            _ => {}
        }
        Ok(())
    })?;
    Ok(call)
}

fn call_result<'a>(reader: &mut Reader<'a>) -> Result<CallResult<'a>, Error> {
    let mut result = CallResult::default();
    members(reader, |name, value| {
        match name {
            "id" => result.id = value.opt(Reader::str)?.filter(|id| !id.is_empty()),
            "name" => result.name = value.opt(Reader::str)?.filter(|name| !name.is_empty()),
            "response" => result.response = value.opt(Reader::kept_raw)?,
            "parts" => {
                result.blobs.clear();
                value.opt(|value| {
                    each(value, |part| {
                        result.blobs.push(read(part)?);
                        Ok(())
                    })
                })?;
            }
            "willContinue" => result.rest.extend(value.opt(Reader::raw)?.map(|raw| ("willContinue", raw))),
            "scheduling" => result.rest.extend(value.opt(Reader::raw)?.map(|raw| ("scheduling", raw))),
            _ => {}
        }
        Ok(())
    })?;
    Ok(result)
}

fn blob<'a>(reader: &mut Reader<'a>) -> Result<Blob<'a>, Error> {
    let mut blob = Blob::default();
    members(reader, |name, value| {
        match name {
            "mimeType" => blob.mime = value.opt(Reader::str)?.filter(|mime| !mime.is_empty()),
            "data" => blob.data = value.opt(Reader::kept)?,
            "fileUri" => blob.uri = value.opt(Reader::str)?,
            "displayName" => blob.name = value.opt(Reader::str)?,
            _ => {}
        }
        Ok(())
    })?;
    if blob.data.is_none() && blob.uri.is_none() {
        return Err(Error::malformed("expected `data` or `fileUri`"));
    }
    Ok(blob)
}

fn code<'a>(reader: &mut Reader<'a>) -> Result<Code<'a>, Error> {
    let mut code = Code::default();
    members(reader, |name, value| {
        match name {
            "id" => code.id = value.opt(Reader::str)?.filter(|id| !id.is_empty()),
            "language" => code.language = value.opt(Reader::str)?,
            "code" => code.source = value.opt(Reader::str)?.unwrap_or_default(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(code)
}

fn code_result<'a>(reader: &mut Reader<'a>) -> Result<CodeResult<'a>, Error> {
    let mut result = CodeResult::default();
    members(reader, |name, value| {
        match name {
            "id" => result.id = value.opt(Reader::str)?.filter(|id| !id.is_empty()),
            "outcome" => result.outcome = value.opt(Reader::str)?,
            "output" => result.output = value.opt(Reader::str)?.unwrap_or_default(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(result)
}

fn hosted<'a>(reader: &mut Reader<'a>, is_response: bool) -> Result<HostedPart<'a>, Error> {
    let mut hosted = HostedPart { is_response, ..HostedPart::default() };
    members(reader, |name, value| {
        match name {
            "id" => hosted.id = value.opt(Reader::str)?.filter(|id| !id.is_empty()),
            "toolType" => hosted.kind = value.opt(Reader::str)?,
            "args" | "response" => hosted.payload = value.opt(Reader::raw)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(hosted)
}

/// Reads the elements of an array, or the one value that stands where an array should.
///
/// # Errors
/// Those of `read`.
pub(super) fn each<'a>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    match reader.kind() {
        Kind::Array => reader.array(|_, element| read(element)),
        Kind::Null => reader.skip(),
        kind @ (Kind::Bool | Kind::Number) => {
            Err(Error::malformed(format!("expected an array, found {}", kind.noun())))
        }
        _ => read(reader),
    }
}

/// The block that holds the media of a part.
pub(super) fn media(blob: Blob<'_>, clip: Option<&str>, resolution: Option<&str>) -> Content {
    let Blob { mime, data, uri, name } = blob;
    let mut mime = mime.map(|mime| mime.to_ascii_lowercase());
    let source = match (data, uri) {
        (Some(data), _) => {
            let base64 = match data.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
                Some((kind, base64)) => {
                    mime = mime.or_else(|| Some(kind.to_ascii_lowercase()));
                    base64
                }
                None => &data,
            };
            let mime = mime.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
            Media::Inline { mime: mime.into(), base64: in_standard_alphabet(&data, base64) }
        }
        (None, uri) => {
            let uri = uri.unwrap_or_default();
            if is_google_uri(&uri) {
                Media::GoogleUri { mime: mime.as_deref().map(Into::into), uri: (&*uri).into() }
            } else {
                mime = mime.or_else(|| mime_of(&uri).map(str::to_owned));
                Media::Url((&*uri).into())
            }
        }
    };
    let is_film = clip.is_some() || matches!(&source, Media::GoogleUri { uri, .. } if is_film_page(uri));
    let mime = mime.unwrap_or_default();
    if mime.starts_with("image/") {
        Content::Image(Image { source, detail: resolution.and_then(detail).map(Into::into), opaque: None })
    } else if mime.starts_with("audio/") {
        Content::Audio(Audio { source, transcript: None, id: None, expires_at: None })
    } else if mime.starts_with("video/") || is_film {
        Content::Video(Video { source, clip: clip.map(Raw::new) })
    } else {
        Content::Document(Document {
            source,
            filename: name.map(|name| (&*name).into()),
            title: None,
            context: None,
            citations: None,
        })
    }
}

/// Base64 as every other service reads it: this one takes the alphabet for URLs too, in which Google's own SDK for Python
/// writes.
fn in_standard_alphabet(whole: &Str, base64: &str) -> Str {
    if memchr2(b'-', b'_', base64.as_bytes()).is_none() {
        return whole.slice_ref(base64);
    }
    base64.replace('-', "+").replace('_', "/").into()
}

/// True for addresses that only Google's services resolve, and for video pages that they watch.
fn is_google_uri(uri: &str) -> bool {
    !uri.starts_with("http")
        || uri.starts_with("https://generativelanguage.googleapis.com/")
        || uri.starts_with("https://storage.googleapis.com/generativeai")
        || is_film_page(uri)
}

fn is_film_page(uri: &str) -> bool {
    let host = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    ["www.youtube.com/", "youtube.com/", "m.youtube.com/", "youtu.be/"]
        .iter()
        .any(|page| host.starts_with(page))
}

/// The MIME type that an address ends in.
pub(super) fn mime_of(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    Some(match extension.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "md" => "text/markdown",
        _ => return None,
    })
}

/// The OpenAI word of a `mediaResolution`.
fn detail(resolution: &str) -> Option<&'static str> {
    if resolution.contains("MEDIA_RESOLUTION_LOW") {
        Some("low")
    } else if resolution.contains("MEDIA_RESOLUTION_HIGH") {
        Some("high")
    } else {
        None
    }
}

/// The maker of signatures in this format's own slots.
pub(super) const NATIVE: Owner = Owner::Google;
