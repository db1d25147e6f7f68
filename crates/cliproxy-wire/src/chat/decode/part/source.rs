//! Where a medium comes from: an address, a file, data inline, in the spellings of the relatives.

use crate::Error;
use crate::chat::media;
use crate::json::{Kind, Reader};
use crate::model::{Media, Owner, Str};
use std::borrow::Cow;

#[derive(Default)]
pub(super) struct Address<'a> {
    pub(super) key: &'static str,
    pub(super) is_flat: bool,
    pub(super) url: Option<Str>,
    pub(super) detail: Option<Cow<'a, str>>,
}

#[derive(Default)]
pub(super) struct File<'a> {
    pub(super) data: Option<Str>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) format: Option<Cow<'a, str>>,
}

impl<'a> File<'a> {
    pub(super) fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        match key {
            "file_data" | "data" => self.data = value.opt(Reader::kept)?,
            "file_id" => self.id = value.opt(Reader::str)?.filter(|id| !id.is_empty()),
            "filename" => self.name = value.opt(Reader::str)?.filter(|name| !name.is_empty()),
            "format" => self.format = value.opt(Reader::str)?,
            _ => {}
        }
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Source<'a> {
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) mime: Option<Cow<'a, str>>,
    pub(super) data: Option<Str>,
    pub(super) url: Option<Str>,
    pub(super) file_id: Option<Cow<'a, str>>,
}

impl Source<'_> {
    pub(super) fn media(self, fallback: &str) -> Result<Media, Error> {
        let mime = self.mime.map_or_else(|| fallback.to_owned(), |mime| mime.to_ascii_lowercase());
        match self.kind.as_deref().unwrap_or_default() {
            "base64" => {
                let Some(data) = self.data else { return Err(Error::missing("data")) };
                Ok(match media::read(&data, &mime).map_err(|error| error.under_key("data"))? {
                    Media::Inline { base64, .. } if *base64 == *data => {
                        Media::Inline { mime: mime.into(), base64 }
                    }
                    other => other,
                })
            }
            "url" => match self.url {
                Some(url) => media::read(&url, fallback).map_err(|error| error.under_key("url")),
                None => Err(Error::missing("url")),
            },
            "text" => match self.data {
                Some(data) => Ok(Media::Text { mime: "text/plain".into(), text: data }),
                None => Err(Error::missing("data")),
            },
            "file" => match self.file_id {
                Some(id) => Ok(Media::File { owner: Owner::Anthropic, id: (*id).into() }),
                None => Err(Error::missing("file_id")),
            },
            other => Err(Error::malformed(format!("unknown source type {other:?}")).under_key("type")),
        }
    }
}

pub(super) fn source<'a>(value: &mut Reader<'a>) -> Result<Source<'a>, Error> {
    let mut source = Source::default();
    value.object(|key, value| {
        match key {
            "type" => source.kind = value.opt(Reader::str)?,
            "media_type" => source.mime = value.opt(Reader::str)?,
            "data" => source.data = value.opt(Reader::kept)?,
            "url" => source.url = value.opt(Reader::kept)?,
            "file_id" => source.file_id = value.opt(Reader::str)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(source)
}

pub(super) fn address<'a>(key: &'static str, value: &mut Reader<'a>) -> Result<Option<Address<'a>>, Error> {
    match value.kind() {
        Kind::Null => value.skip().map(|()| None),
        Kind::String => {
            Ok(Some(Address { key, is_flat: true, url: Some(value.kept()?), ..Address::default() }))
        }
        _ => {
            let mut address = Address { key, ..Address::default() };
            value.object(|key, value| {
                match key {
                    "url" => address.url = value.opt(Reader::kept)?,
                    "detail" => address.detail = value.opt(Reader::str)?,
                    _ => {}
                }
                Ok(())
            })?;
            Ok(Some(address))
        }
    }
}
