//! Citations: the five location objects of this format and the annotations of the model.

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{Annotation, IndexUnit, LocationKind, Native, Str};

/// Reads one citation; `None` for a kind that is not known.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Annotation>, Error> {
    if reader.kind() != Kind::Object {
        reader.skip()?;
        return Ok(None);
    }
    let whole = reader.raw()?;
    let native = Native { format: Format::Claude, value: Raw::new(whole) };
    let mut kind = String::new();
    let mut url: Option<Str> = None;
    let mut title: Option<Str> = None;
    let mut source: Option<Str> = None;
    let mut cited_text: Option<Str> = None;
    let (mut index, mut start, mut end) = (0, 0, 0);
    Reader::new(whole).object(|key, value| {
        match (key, value.kind()) {
            ("type", Kind::String) => kind = value.string()?,
            ("url", Kind::String) => url = Some(value.str()?.into()),
            ("title" | "document_title", Kind::String) => title = Some(value.str()?.into()),
            ("source", Kind::String) => source = Some(value.str()?.into()),
            ("cited_text", Kind::String) => cited_text = Some(value.str()?.into()),
            ("document_index", Kind::Number) => index = value.u64()?,
            ("start_char_index" | "start_page_number" | "start_block_index", Kind::Number) => {
                start = value.u64()?;
            }
            ("end_char_index" | "end_page_number" | "end_block_index", Kind::Number) => end = value.u64()?,
            _ => {}
        }
        Ok(())
    })?;
    let location = match kind.as_str() {
        "web_search_result_location" => {
            let Some(url) = url else { return Ok(None) };
            return Ok(Some(Annotation::Url {
                title: title.unwrap_or_else(|| Str::from("")),
                url,
                start: None,
                end: None,
                unit: IndexUnit::Characters,
                cited_text,
                native: Some(native),
            }));
        }
        "search_result_location" => {
            let source = source.unwrap_or_else(|| Str::from(""));
            return Ok(Some(Annotation::Search { source, title, cited_text, native }));
        }
        "char_location" => LocationKind::Character,
        "page_location" => LocationKind::Page,
        "content_block_location" => LocationKind::Block,
        _ => return Ok(None),
    };
    Ok(Some(Annotation::Document { index, title, location, start, end, cited_text, native: Some(native) }))
}

/// Reads the `citations` of a text block.
pub(super) fn read_all(text: &str) -> Result<Vec<Annotation>, Error> {
    let mut annotations = Vec::new();
    let mut reader = Reader::new(text);
    if reader.kind() == Kind::Array {
        reader.array(|_, value| {
            annotations.extend(read(value)?);
            Ok(())
        })?;
    }
    Ok(annotations)
}

/// The object that this format had for an annotation, if it came from here.
pub(super) fn native(annotation: &Annotation) -> Option<&Raw> {
    let native = match annotation {
        Annotation::Url { native, .. } | Annotation::Document { native, .. } => native.as_ref()?,
        Annotation::File { native, .. } | Annotation::Search { native, .. } => native,
    };
    (native.format == Format::Claude).then_some(&native.value)
}

/// The citation object for an annotation of an answer; `None` for those that this format has no object for. `text` is
/// the text it points into.
pub(super) fn rendered(annotation: &Annotation, text: &str) -> Option<Raw> {
    if let Some(raw) = native(annotation) {
        return Some(raw.clone());
    }
    let Annotation::Url { url, title, start, end, unit, cited_text, .. } = annotation else { return None };
    let cited_text = cited_text.as_deref().unwrap_or_else(|| slice(text, *start, *end, *unit));
    Some(Raw::object(|object| {
        object.str("type", "web_search_result_location");
        object.str("url", url);
        object.str("title", title);
        object.str("encrypted_index", "");
        object.str("cited_text", cited_text);
    }))
}

/// The part of `text` between two indices; out of range is clamped, a code point is never split.
fn slice(text: &str, start: Option<u64>, end: Option<u64>, unit: IndexUnit) -> &str {
    let (Some(start), Some(end)) = (start, end) else { return "" };
    let byte = |index: u64| {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match unit {
            IndexUnit::Characters => text.char_indices().nth(index).map_or(text.len(), |(at, _)| at),
            IndexUnit::Bytes => text.floor_char_boundary(index.min(text.len())),
        }
    };
    text.get(byte(start)..byte(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cited_text_of_foreign_citations_is_cut_at_characters() {
        let text = "Röme 🌤 is warm";
        assert_eq!(slice(text, Some(0), Some(4), IndexUnit::Characters), "Röme");
        assert_eq!(slice(text, Some(0), Some(5), IndexUnit::Bytes), "Röme");
        assert_eq!(slice(text, Some(5), Some(900), IndexUnit::Characters), "🌤 is warm");
        assert_eq!(slice(text, Some(9), Some(3), IndexUnit::Characters), "");
    }
}
