//! Citations in answers: `annotations` of type `url_citation`, nested as this format has them or flat as its sister.

use crate::Error;
use crate::json::{Array, Kind, Reader};
use crate::model::{Annotation, IndexUnit, Str};

/// Reads `annotations`; kinds that cite no address are left out.
pub(super) fn read(value: &mut Reader<'_>, out: &mut Vec<Annotation>) -> Result<(), Error> {
    if value.kind() != Kind::Array {
        return value.skip();
    }
    value.array(|_, value| {
        if value.kind() != Kind::Object {
            return value.skip();
        }
        let mut citation = Citation::default();
        value.object(|key, value| citation.member(key, value))?;
        out.extend(citation.finish());
        Ok(())
    })
}

/// Reads pages that stand beside an answer: addresses, or objects with one.
pub(super) fn pages(value: &mut Reader<'_>, out: &mut Vec<Annotation>) -> Result<(), Error> {
    if value.kind() != Kind::Array {
        return value.skip();
    }
    value.array(|_, value| {
        let mut citation = Citation::default();
        match value.kind() {
            Kind::String => citation.url = Some(value.str()?.into()),
            Kind::Object => value.object(|key, value| citation.member(key, value))?,
            _ => value.skip()?,
        }
        out.extend(citation.finish());
        Ok(())
    })
}

#[derive(Default)]
struct Citation {
    url: Option<Str>,
    title: Option<Str>,
    text: Option<Str>,
    start: Option<u64>,
    end: Option<u64>,
}

impl Citation {
    fn member(&mut self, key: &str, value: &mut Reader<'_>) -> Result<(), Error> {
        match (key, value.kind()) {
            ("url_citation", Kind::Object) => value.object(|key, value| self.member(key, value)),
            ("url", Kind::String) => {
                self.url = Some(value.str()?.into());
                Ok(())
            }
            ("title", Kind::String) => {
                self.title = Some(value.str()?.into());
                Ok(())
            }
            ("cited_text", Kind::String) => {
                self.text = Some(value.str()?.into());
                Ok(())
            }
            ("start_index", Kind::Number) => {
                self.start = value.clone().u64().ok();
                value.skip()
            }
            ("end_index", Kind::Number) => {
                self.end = value.clone().u64().ok();
                value.skip()
            }
            _ => value.skip(),
        }
    }

    fn finish(self) -> Option<Annotation> {
        // An empty range is how some providers say that they do not know the place.
        let is_known = self.end > self.start;
        Some(Annotation::Url {
            url: self.url.filter(|url| !url.is_empty())?,
            title: self.title.unwrap_or_else(|| "".into()),
            start: self.start.filter(|_| is_known),
            end: self.end.filter(|_| is_known),
            unit: IndexUnit::Characters,
            cited_text: self.text,
            native: None,
        })
    }
}

/// Writes `annotation`, which cites in `block`, a part of `whole` that begins at byte `offset`. False for those that
/// cite no address.
pub(super) fn write(
    array: &mut Array<'_>,
    annotation: &Annotation,
    whole: &str,
    offset: usize,
    block: &str,
) -> bool {
    let (url, title) = match annotation {
        Annotation::Url { url, title, .. } => (url, Some(title)),
        Annotation::Search { source, title, .. } if source.starts_with("http") => (source, title.as_ref()),
        Annotation::Document { .. } | Annotation::File { .. } | Annotation::Search { .. } => return false,
    };
    let length = block.chars().count() as u64;
    let (start, end) = match annotation {
        Annotation::Url { start: None, end: None, .. } => (0, length),
        Annotation::Url { start, end, unit: IndexUnit::Characters, .. } => {
            (start.unwrap_or(0).min(length), end.unwrap_or(length).min(length))
        }
        Annotation::Url { start, end, unit: IndexUnit::Bytes, .. } => {
            (characters(block, start.unwrap_or(0)), end.map_or(length, |end| characters(block, end)))
        }
        _ => (0, length),
    };
    let base = characters(whole, offset as u64);
    array.object(|object| {
        object.str("type", "url_citation");
        object.object("url_citation", |citation| {
            citation.u64("start_index", base + start);
            citation.u64("end_index", base + end);
            citation.str("url", url);
            citation.str("title", title.map(|title| &**title).unwrap_or_default());
        });
    });
    true
}

/// How many characters begin before byte `at`; a place inside a character counts as its beginning.
fn characters(text: &str, at: u64) -> u64 {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let before = text.char_indices().take_while(|(start, symbol)| start + symbol.len_utf8() <= at).count();
    before as u64
}

#[cfg(test)]
mod tests {
    use crate::json::Raw;

    use super::*;

    #[test]
    fn bytes_become_characters_of_the_whole_text() {
        let annotation = |start, end| Annotation::Url {
            url: "https://a.example".into(),
            title: "A".into(),
            start,
            end,
            unit: IndexUnit::Bytes,
            cited_text: None,
            native: None,
        };
        let whole = "Ä🌤 xRöme";
        let offset = "Ä🌤 x".len();
        let written = |start, end| {
            Raw::array(|array| assert!(write(array, &annotation(start, end), whole, offset, "Röme")))
                .to_value()[0]["url_citation"]
                .clone()
        };
        let all = written(Some(0), Some(5));
        assert_eq!((all["start_index"].as_u64(), all["end_index"].as_u64()), (Some(4), Some(8)));
        let split = written(Some(2), Some(99));
        assert_eq!((split["start_index"].as_u64(), split["end_index"].as_u64()), (Some(5), Some(8)));
        let block = written(None, None);
        assert_eq!((block["start_index"].as_u64(), block["end_index"].as_u64()), (Some(4), Some(8)));
    }
}
