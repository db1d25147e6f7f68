//! What an answer is grounded on: Google's metadata to citations of the text, and citations of others to Google's
//! metadata.
//!
//! Google counts bytes of UTF-8 in the visible text of the whole answer; the model counts characters in one block.

use std::ops::Range;

use super::member::members;
use super::part::each;
use crate::Error;
use crate::json::{Object, Raw, Reader};
use crate::model::{Annotation, IndexUnit, Str};

/// One stretch of text and what it is founded on.
#[derive(Debug, Default)]
struct Support {
    part: usize,
    start: usize,
    end: usize,
    text: Option<String>,
    chunks: Vec<usize>,
}

/// A source.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    pub(super) url: String,
    pub(super) title: String,
}

/// Google's metadata as far as it says something about the text.
#[derive(Debug, Default)]
pub(super) struct Grounding {
    pub(super) queries: Vec<String>,
    pub(super) sources: Vec<Source>,
    supports: Vec<Support>,
}

impl Grounding {
    /// Reads `groundingMetadata`. What does not read is not there: the raw object is handed on in any case.
    pub(super) fn read(raw: &Raw) -> Self {
        let mut grounding = Self::default();
        let _read = members(&mut raw.reader(), |name, value| match name {
            "webSearchQueries" => each(value, |value| {
                grounding.queries.push(value.string()?);
                Ok(())
            }),
            "groundingChunks" => each(value, |value| {
                grounding.sources.push(read_chunk(value)?);
                Ok(())
            }),
            "groundingSupports" => each(value, |value| {
                grounding.supports.push(read_support(value)?);
                Ok(())
            }),
            _ => Ok(()),
        });
        grounding.queries.retain(|query| !query.is_empty());
        grounding
    }

    /// The citations of the block that holds these bytes of the visible `text`.
    pub(super) fn annotations(&self, text: &str, block: &Range<usize>, out: &mut Vec<Annotation>) {
        let mut cursor = Cursor::new(text.get(block.clone()).unwrap_or_default());
        for support in &self.supports {
            let Some((start, end)) = place(support, text, block) else { continue };
            let (start, end) = (cursor.characters(start), cursor.characters(end));
            for source in support.chunks.iter().filter_map(|chunk| self.sources.get(*chunk)) {
                if source.url.is_empty() {
                    continue;
                }
                out.push(Annotation::Url {
                    url: source.url.as_str().into(),
                    title: source.title.as_str().into(),
                    start: Some(start),
                    end: Some(end),
                    unit: IndexUnit::Characters,
                    cited_text: support.text.as_deref().map(Into::into),
                    native: None,
                });
            }
        }
    }
}

/// Where a support lies in the block that holds these bytes of `text`, in bytes of the block. The segment's own text
/// decides when offsets count from somewhere else.
fn place(support: &Support, text: &str, block: &Range<usize>) -> Option<(usize, usize)> {
    let own = text.get(block.clone())?;
    if let Some(segment) = support.text.as_deref().filter(|segment| !segment.is_empty()) {
        let is_at =
            |text: &str, start: usize| text.get(start..).is_some_and(|rest| rest.starts_with(segment));
        // Where a part is named, offsets count from its beginning.
        if support.part == 0 && is_at(text, support.start) {
            let start = support.start.checked_sub(block.start)?;
            return is_at(own, start).then_some((start, start + segment.len()));
        }
        if is_at(own, support.start) {
            return Some((support.start, support.start + segment.len()));
        }
        if let Some(start) = own.find(segment) {
            return Some((start, start + segment.len()));
        }
        if block.start > 0 {
            return None;
        }
    }
    // Nothing to compare with: offsets count in the visible text.
    if support.end < block.start || support.start >= block.end {
        return None;
    }
    let start = floor(own, support.start.saturating_sub(block.start));
    let end = floor(own, support.end - block.start);
    (end > start).then_some((start, end))
}

/// The last boundary of a character at or before byte `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Counts characters up to ascending byte offsets without starting anew each time.
struct Cursor<'t> {
    text: &'t str,
    bytes: usize,
    characters: u64,
}

impl<'t> Cursor<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, bytes: 0, characters: 0 }
    }

    fn characters(&mut self, byte: usize) -> u64 {
        if byte < self.bytes {
            (self.bytes, self.characters) = (0, 0);
        }
        let between = self.text.get(self.bytes..byte).unwrap_or_default();
        self.characters += u64::try_from(between.chars().count()).unwrap_or_default();
        self.bytes = byte;
        self.characters
    }
}

fn read_chunk(reader: &mut Reader<'_>) -> Result<Source, Error> {
    let mut source = Source::default();
    members(reader, |_, value| {
        // `web`, `retrievedContext`, `maps`: all of them have address and title.
        if value.kind() != crate::json::Kind::Object {
            return Ok(());
        }
        members(value, |name, value| {
            match name {
                "uri" => source.url = value.opt(Reader::string)?.unwrap_or_default(),
                "title" => source.title = value.opt(Reader::string)?.unwrap_or_default(),
                _ => {}
            }
            Ok(())
        })
    })?;
    Ok(source)
}

fn read_support(reader: &mut Reader<'_>) -> Result<Support, Error> {
    let mut support = Support::default();
    members(reader, |name, value| match name {
        "segment" => members(value, |name, value| {
            match name {
                "partIndex" => support.part = value.opt(index)?.unwrap_or(0),
                "startIndex" => support.start = value.opt(index)?.unwrap_or(0),
                "endIndex" => support.end = value.opt(index)?.unwrap_or(0),
                "text" => support.text = value.opt(Reader::string)?,
                _ => {}
            }
            Ok(())
        }),
        "groundingChunkIndices" => each(value, |value| {
            support.chunks.push(index(value)?);
            Ok(())
        }),
        _ => Ok(()),
    })?;
    Ok(support)
}

fn index(reader: &mut Reader<'_>) -> Result<usize, Error> {
    Ok(usize::try_from(reader.u64()?).unwrap_or(usize::MAX))
}

/// The citations that a `citationMetadata` gives the block that holds these bytes of the visible `text`.
pub(super) fn cited(raw: &Raw, text: &str, block: &Range<usize>, out: &mut Vec<Annotation>) {
    let own = text.get(block.clone()).unwrap_or_default();
    let mut cursor = Cursor::new(own);
    let _read = members(&mut raw.reader(), |name, value| {
        if name != "citations" && name != "citationSources" {
            return Ok(());
        }
        each(value, |value| {
            let mut support = Support::default();
            let mut source = Source::default();
            members(value, |name, value| {
                match name {
                    "startIndex" => support.start = value.opt(index)?.unwrap_or(0),
                    "endIndex" => support.end = value.opt(index)?.unwrap_or(0),
                    "uri" => source.url = value.opt(Reader::string)?.unwrap_or_default(),
                    "title" => source.title = value.opt(Reader::string)?.unwrap_or_default(),
                    _ => {}
                }
                Ok(())
            })?;
            if source.url.is_empty() {
                return Ok(());
            }
            if let Some((start, end)) = place(&support, text, block) {
                out.push(Annotation::Url {
                    url: source.url.into(),
                    title: source.title.into(),
                    start: Some(cursor.characters(start)),
                    end: Some(cursor.characters(end)),
                    unit: IndexUnit::Characters,
                    cited_text: own.get(start..end).map(Into::into),
                    native: None,
                });
            }
            Ok(())
        })
    });
}

/// Google's metadata in the making, for an answer of another provider.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    queries: Vec<Str>,
    sources: Vec<(Str, Str)>,
    supports: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    part: usize,
    start: usize,
    end: usize,
    text: Str,
    source: usize,
}

impl Gathered {
    /// True when there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.queries.is_empty() && self.sources.is_empty()
    }

    /// Takes the query of a search.
    pub(super) fn query(&mut self, input: &Raw) {
        for name in ["query", "queries"] {
            let Some(value) = input.get(name) else { continue };
            // What is no text is no query.
            let _read = each(&mut value.reader(), |value| {
                let query: Str = (*value.str()?).into();
                if !query.is_empty() && !self.queries.contains(&query) {
                    self.queries.push(query);
                }
                Ok(())
            });
        }
    }

    /// Takes what a search found: `[{"url","title"}]`.
    pub(super) fn findings(&mut self, output: &Raw) {
        let _read = output.reader().array(|_, found| {
            let found = Raw::new(found.raw()?);
            if let Some(url) = found.get("url").and_then(|url| url.to_text()) {
                let title = found.get("title").and_then(|title| title.to_text()).unwrap_or_default();
                self.source(&url, &title);
            }
            Ok(())
        });
    }

    fn source(&mut self, url: &str, title: &str) -> usize {
        if let Some(at) = self.sources.iter().position(|(known, _)| **known == *url) {
            return at;
        }
        self.sources.push((url.into(), title.into()));
        self.sources.len() - 1
    }

    /// Takes a citation of `text`, which is part `part` of the answer or begins at byte `offset` of it.
    pub(super) fn annotation(&mut self, annotation: &Annotation, text: &str, part: usize, offset: usize) {
        let (url, title, range, unit) = match annotation {
            Annotation::Url { url, title, start, end, unit, .. } => (url, &**title, (*start, *end), *unit),
            Annotation::Search { source, title, .. } if source.starts_with("http") => {
                (source, title.as_deref().unwrap_or_default(), (None, None), IndexUnit::Characters)
            }
            _ => return,
        };
        let source = self.source(url, title);
        let (start, end) = match range {
            (Some(start), Some(end)) => (byte_of(text, start, unit), byte_of(text, end, unit)),
            // Cited as a whole.
            _ => (0, text.len()),
        };
        let Some(cited) = text.get(start..end).filter(|cited| !cited.is_empty()) else { return };
        self.supports.push(Segment {
            part,
            start: start + offset,
            end: end + offset,
            text: cited.into(),
            source,
        });
    }

    /// Writes the object.
    pub(super) fn write(&self, object: &mut Object<'_>) {
        object.object("groundingMetadata", |out| {
            if !self.queries.is_empty() {
                out.array("webSearchQueries", |list| self.queries.iter().for_each(|query| list.str(query)));
            }
            if !self.sources.is_empty() {
                out.array("groundingChunks", |list| {
                    for (url, title) in &self.sources {
                        list.object(|chunk| {
                            chunk.object("web", |web| {
                                web.str("uri", url);
                                web.str("title", title);
                            });
                        });
                    }
                });
            }
            if !self.supports.is_empty() {
                out.array("groundingSupports", |list| {
                    self.supports.iter().for_each(|one| write_support(list, one));
                });
            }
        });
    }
}

fn write_support(list: &mut crate::json::Array<'_>, support: &Segment) {
    let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    list.object(|out| {
        out.object("segment", |segment| {
            if support.part > 0 {
                segment.u64("partIndex", number(support.part));
            }
            segment.u64("startIndex", number(support.start));
            segment.u64("endIndex", number(support.end));
            segment.str("text", &support.text);
        });
        out.array("groundingChunkIndices", |list| list.u64(number(support.source)));
    });
}

/// The byte offset that `at` means in `text`.
fn byte_of(text: &str, at: u64, unit: IndexUnit) -> usize {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    match unit {
        IndexUnit::Bytes => floor(text, at),
        IndexUnit::Characters => text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"webSearchQueries":["","q"],"groundingChunks":[{"web":{"uri":"https://a","title":"A"}}],
        "groundingSupports":[{"segment":{"startIndex":6,"endIndex":12,"text":"Röme."},"groundingChunkIndices":[0,9]}]}"#;

    fn range(annotation: &Annotation) -> (Option<u64>, Option<u64>) {
        let Annotation::Url { start, end, .. } = annotation else { panic!("no address") };
        (*start, *end)
    }

    #[test]
    fn byte_offsets_become_characters_of_the_block() {
        let grounding = Grounding::read(&Raw::new(METADATA));
        let mut found = Vec::new();
        let text = "Größe Röme. Größe";
        let (first, second) = ("Größe ".len(), "Größe Röme.".len());
        grounding.annotations(text, &(0..second), &mut found);
        assert_eq!(found.len(), 1, "an index without a source is skipped");
        assert_eq!(range(&found[0]), (Some(6), Some(11)));
        found.clear();
        grounding.annotations(text, &(first..second), &mut found);
        assert_eq!(range(&found[0]), (Some(0), Some(5)));
        found.clear();
        let exact = Grounding::read(&Raw::new(METADATA.replace(":6,", ":8,")));
        exact.annotations("Größe Röme. Röme.", &(second..second + " Röme.".len()), &mut found);
        assert_eq!(found, [], "the same words stand in another block, too");
        assert_eq!(grounding.queries, ["q"]);
    }

    #[test]
    fn offsets_out_of_range_are_clamped_and_split_nothing() {
        let raw = r#"{"citationSources":[{"startIndex":1,"endIndex":99,"uri":"https://a"},{"endIndex":2,"uri":"u"}]}"#;
        let mut found = Vec::new();
        cited(&Raw::new(raw), "öb", &(0..3), &mut found);
        assert_eq!(found.iter().map(range).collect::<Vec<_>>(), [(Some(0), Some(2)), (Some(0), Some(1))]);
    }

    #[test]
    fn citations_of_others_become_supports_in_bytes() {
        let mut gathered = Gathered::default();
        let annotation = Annotation::Url {
            url: "https://a".into(),
            title: "A".into(),
            start: Some(1),
            end: Some(3),
            unit: IndexUnit::Characters,
            cited_text: None,
            native: None,
        };
        gathered.query(&Raw::new(r#"{"query":"q"}"#));
        gathered.annotation(&annotation, "öäü", 0, 0);
        gathered.annotation(&annotation, "öäü", 2, 0);
        let written = Raw::object(|object| gathered.write(object));
        assert_eq!(
            written.as_str(),
            r#"{"groundingMetadata":{"webSearchQueries":["q"],"groundingChunks":[{"web":{"uri":"https://a","title":"A"}}],"groundingSupports":[{"segment":{"startIndex":2,"endIndex":6,"text":"äü"},"groundingChunkIndices":[0]},{"segment":{"partIndex":2,"startIndex":2,"endIndex":6,"text":"äü"},"groundingChunkIndices":[0]}]}}"#
        );
    }
}
