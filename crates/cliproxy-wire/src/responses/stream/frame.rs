//! One event of an upstream's stream, its members gathered in one pass.

use std::borrow::Cow;

use crate::Error;
use crate::json::{Fragment, Kind, Reader};

/// The members of all event types.
#[derive(Debug)]
pub(super) struct Members<'a> {
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) output_index: Option<u64>,
    pub(super) item_id: Option<Cow<'a, str>>,
    /// `content_index` or `summary_index`.
    pub(super) part_index: u64,
    pub(super) delta: Option<Fragment<'a>>,
    /// `text`, `refusal`, `arguments` or `input`: what a `.done` event repeats.
    pub(super) full: Option<Cow<'a, str>>,
    pub(super) logprobs: Option<&'a str>,
    pub(super) item: Option<Reader<'a>>,
    pub(super) part: Option<Reader<'a>>,
    pub(super) annotation: Option<Reader<'a>>,
    pub(super) response: Option<Reader<'a>>,
    pub(super) has_error: bool,
    /// At the event itself.
    pub(super) whole: Reader<'a>,
}

impl<'a> Members<'a> {
    /// Reads the data of a frame.
    pub(super) fn read(data: &'a str) -> Result<Self, Error> {
        let mut reader = Reader::new(data);
        let mut members = Self {
            kind: None,
            output_index: None,
            item_id: None,
            part_index: 0,
            delta: None,
            full: None,
            logprobs: None,
            item: None,
            part: None,
            annotation: None,
            response: None,
            has_error: false,
            whole: reader.clone(),
        };
        reader.object(|key, value| members.member(key, value))?;
        Ok(members)
    }

    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        let kind = value.kind();
        match key {
            "type" if kind == Kind::String => self.kind = Some(value.str()?),
            "output_index" if kind == Kind::Number => self.output_index = value.u64().ok(),
            "content_index" | "summary_index" if kind == Kind::Number => self.part_index = value.u64()?,
            "item_id" if kind == Kind::String => self.item_id = Some(value.str()?),
            "delta" if kind == Kind::String => self.delta = Some(value.fragment()?),
            "text" | "refusal" | "arguments" | "input" if kind == Kind::String => {
                self.full = Some(value.str()?);
            }
            "logprobs" if kind == Kind::Array => self.logprobs = Some(value.raw()?),
            "item" if kind == Kind::Object => self.item = Some(value.clone()),
            "part" if kind == Kind::Object => self.part = Some(value.clone()),
            "annotation" if kind == Kind::Object => self.annotation = Some(value.clone()),
            "response" if kind == Kind::Object => self.response = Some(value.clone()),
            "error" if matches!(kind, Kind::Object | Kind::String) => self.has_error = true,
            _ => {}
        }
        Ok(())
    }
}
