//! One frame of an upstream's stream, its members gathered in one pass.

use std::borrow::Cow;

use crate::Error;
use crate::json::{Fragment, Kind, Reader};

/// The members of a frame, whichever event it is.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) index: Option<u64>,
    pub(super) delta: Piece<'a>,
    pub(super) block: Option<&'a str>,
    pub(super) message: Option<&'a str>,
    pub(super) usage: Option<&'a str>,
    pub(super) context_management: Option<&'a str>,
    pub(super) has_error: bool,
}

/// The members of `delta`.
#[derive(Debug, Default)]
pub(super) struct Piece<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) text: Option<Fragment<'a>>,
    pub(super) thinking: Option<Fragment<'a>>,
    pub(super) signature: Option<Cow<'a, str>>,
    pub(super) json: Option<Fragment<'a>>,
    pub(super) citation: Option<&'a str>,
    pub(super) content: Option<Cow<'a, str>>,
    pub(super) stop_reason: Option<Cow<'a, str>>,
    pub(super) stop_sequence: Option<Cow<'a, str>>,
    pub(super) stop_details: Option<&'a str>,
    pub(super) container: Option<&'a str>,
}

impl<'a> Members<'a> {
    pub(super) fn read(data: &'a str) -> Result<Self, Error> {
        let mut members = Self::default();
        let mut reader = Reader::new(data);
        reader.object(|key, value| {
            if value.kind() == Kind::Null {
                return Ok(());
            }
            match key {
                "type" => members.kind = value.str()?,
                "index" => members.index = Some(value.u64()?),
                "delta" if value.kind() == Kind::Object => members.delta.read(value)?,
                "content_block" => members.block = Some(value.raw()?),
                "message" if value.kind() == Kind::Object => members.message = Some(value.raw()?),
                "usage" => members.usage = Some(value.raw()?),
                "context_management" => members.context_management = Some(value.raw()?),
                "error" => members.has_error = true,
                _ => {}
            }
            Ok(())
        })?;
        reader.finish()?;
        Ok(members)
    }
}

impl<'a> Piece<'a> {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        reader.object(|key, value| {
            if value.kind() == Kind::Null {
                return Ok(());
            }
            match key {
                "type" => self.kind = value.str()?,
                "text" => self.text = Some(value.fragment()?),
                "thinking" => self.thinking = Some(value.fragment()?),
                "signature" => self.signature = Some(value.str()?),
                "partial_json" => self.json = Some(value.fragment()?),
                "citation" => self.citation = Some(value.raw()?),
                "content" if value.kind() == Kind::String => self.content = Some(value.str()?),
                "stop_reason" => self.stop_reason = Some(value.str()?),
                "stop_sequence" => self.stop_sequence = Some(value.str()?),
                "stop_details" => self.stop_details = Some(value.raw()?),
                "container" => self.container = Some(value.raw()?),
                _ => {}
            }
            Ok(())
        })
    }

    /// The kind of block that this piece belongs to, for pieces whose block never began.
    pub(super) fn block_kind(&self) -> Option<&'static str> {
        match &*self.kind {
            "text_delta" | "citations_delta" => Some("text"),
            "thinking_delta" | "signature_delta" => Some("thinking"),
            _ => None,
        }
    }
}
