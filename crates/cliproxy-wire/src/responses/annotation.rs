//! Citations in this format: flat objects in `annotations`, indices in characters.

use crate::Error;
use crate::format::Format;
use crate::json::{Array, Reader};
use crate::model::{Annotation, IndexUnit, Native, Str};

/// Reads one annotation; `None` for kinds that say nothing elsewhere.
pub(super) fn read(value: &mut Reader<'_>) -> Result<Option<Annotation>, Error> {
    let mut look = value.clone();
    let mut fields = Fields::default();
    fields.read(value)?;
    let Fields { kind, url, title, start, end, file_id, filename } = fields;
    let native = |look: &mut Reader<'_>| -> Result<Native, Error> {
        Ok(Native { format: Format::Responses, value: look.to_raw()? })
    };
    match (kind.as_deref(), url, file_id) {
        (Some("url_citation") | None, Some(url), _) => Ok(Some(Annotation::Url {
            url,
            title: title.unwrap_or_default(),
            start,
            end,
            unit: IndexUnit::Characters,
            cited_text: None,
            native: None,
        })),
        (_, _, Some(id)) => Ok(Some(Annotation::File { id, filename, native: native(&mut look)? })),
        _ => Ok(None),
    }
}

#[derive(Default)]
struct Fields {
    kind: Option<Str>,
    url: Option<Str>,
    title: Option<Str>,
    start: Option<u64>,
    end: Option<u64>,
    file_id: Option<Str>,
    filename: Option<Str>,
}

impl Fields {
    fn read(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        value.object(|key, value| {
            match key {
                "type" => self.kind = super::text(value)?,
                "url" => self.url = super::text(value)?,
                "title" => self.title = super::text(value)?,
                "start_index" => self.start = value.opt(Reader::u64)?,
                "end_index" => self.end = value.opt(Reader::u64)?,
                "file_id" => self.file_id = super::text(value)?,
                "filename" => self.filename = super::text(value)?,
                // The Chat shape, which look-alikes mix in.
                "url_citation" => self.read(value)?,
                _ => {}
            }
            Ok(())
        })
    }
}

/// Writes an annotation whose text range in the whole part is `start..end`, in characters. Kinds that only their own
/// format can say are left out.
pub(super) fn write(array: &mut Array<'_>, annotation: &Annotation, start: u64, end: u64) {
    let citation = |array: &mut Array<'_>, url: &str, title: &str| {
        array.object(|object| {
            object.str("type", "url_citation");
            object.u64("start_index", start);
            object.u64("end_index", end);
            object.str("url", url);
            object.str("title", title);
        });
    };
    match annotation {
        Annotation::Url { url, title, .. } => citation(array, url, title),
        Annotation::Search { source, title, .. } if is_address(source) => {
            citation(array, source, title.as_deref().unwrap_or_default());
        }
        Annotation::File { native, .. } if native.format == Format::Responses => {
            array.raw(native.value.as_str());
        }
        Annotation::File { .. } | Annotation::Search { .. } | Annotation::Document { .. } => {}
    }
}

/// Where an annotation points to in the text of its block, in characters; the whole block where it does not say.
pub(super) fn range(annotation: &Annotation, text: &str) -> (u64, u64) {
    let length = characters(text);
    let Annotation::Url { start, end, unit, .. } = annotation else { return (0, length) };
    let position = |index: u64| match unit {
        IndexUnit::Characters => index.min(length),
        IndexUnit::Bytes => characters_before(text, index),
    };
    let start = start.map_or(0, position);
    (start, end.map_or(length, position).max(start))
}

/// Length in characters.
pub(super) fn characters(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

fn characters_before(text: &str, byte: u64) -> u64 {
    let byte = usize::try_from(byte).unwrap_or(usize::MAX).min(text.len());
    let whole = (0..=byte).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    characters(text.get(..whole).unwrap_or_default())
}

fn is_address(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_ranges_become_character_ranges_and_never_split_one() {
        let url = |start, end| Annotation::Url {
            url: "https://x".into(),
            title: "t".into(),
            start,
            end,
            unit: IndexUnit::Bytes,
            cited_text: None,
            native: None,
        };
        assert_eq!(range(&url(Some(0), Some(3)), "äb🌤"), (0, 2));
        assert_eq!(range(&url(Some(1), Some(99)), "äb🌤"), (0, 3));
        assert_eq!(range(&url(None, None), "äb🌤"), (0, 3));
    }

    #[test]
    fn flat_and_nested_citations_are_read_alike() {
        let flat = r#"{"type":"url_citation","start_index":1,"end_index":2,"url":"https://x","title":null}"#;
        let nested =
            r#"{"type":"url_citation","url_citation":{"start_index":1,"end_index":2,"url":"https://x"}}"#;
        let read = |text| read(&mut Reader::new(text)).unwrap().unwrap();
        assert_eq!(read(flat), read(nested));
    }
}
