//! Citations that come when their text is over: some upstreams gather them until the end of the answer.
//!
//! The message is closed by then, so they are told in events of their own before the last one, whose items have them in
//! their places.

use std::ops::Range;

use crate::Error;
use crate::json::{self, Array, Raw, Reader};
use crate::model::Annotation;

use super::super::annotation;
use super::outlet::{Outlet, Place};

/// What may still be cited, and what was cited late.
#[derive(Debug, Default)]
pub(super) struct Late {
    messages: Vec<Closed>,
    citations: Vec<(u32, Annotation)>,
}

/// A message that is closed.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) place: Place,
    /// Where it lies among the finished items.
    pub(super) span: Range<usize>,
    pub(super) said: Vec<Said>,
}

/// A text block of a message.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) block: u32,
    /// `content_index` of its part.
    pub(super) part: u64,
    /// Where it lies in the text of the part.
    pub(super) bytes: Range<usize>,
    /// Characters of the part before it.
    pub(super) before: u64,
}

impl Late {
    /// Remembers a message that is closed.
    pub(super) fn closed(&mut self, message: Closed) {
        if !message.said.is_empty() {
            self.messages.push(message);
        }
    }

    /// Takes in a citation of a block that is over.
    pub(super) fn cite(&mut self, block: u32, citation: Annotation) {
        self.citations.push((block, citation));
    }

    /// Tells what was cited late, and puts it into the finished items.
    pub(super) fn write(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>) {
        self.citations.sort_by_key(|(block, _)| *block);
        let is_cited =
            |said: &Said| self.citations.binary_search_by_key(&said.block, |(block, _)| *block).is_ok();
        let mut changed = Vec::new();
        for message in self.messages.iter().filter(|message| message.said.iter().any(is_cited)) {
            let Some(item) = outlet.items.get(message.span.clone()) else { continue };
            let Ok(item) = std::str::from_utf8(item) else { continue };
            let mut told = Vec::new();
            if let Ok(item) = self.rewritten(message, item, &mut told) {
                changed.extend((!told.is_empty()).then(|| (message.span.clone(), item)));
            }
            for Told { part, number, annotation } in told {
                outlet.item_event(out, "response.output_text.annotation.added", &message.place, |event| {
                    event.u64("content_index", part);
                    event.u64("annotation_index", number);
                    event.key("annotation");
                    event.buffer().extend_from_slice(annotation.as_bytes());
                });
            }
        }
        // From the last on, so that the places of those before stay.
        for (span, item) in changed.into_iter().rev() {
            outlet.items.splice(span, item);
        }
    }

    /// The item of `message` with what is cited in its texts.
    fn rewritten(&self, message: &Closed, item: &str, told: &mut Vec<Told>) -> Result<Vec<u8>, Error> {
        let mut written = Vec::with_capacity(item.len());
        let mut outcome = Ok(());
        json::object(&mut written, |object| {
            outcome = Reader::new(item).object(|key, value| {
                if key != "content" {
                    object.raw(key, value.raw()?);
                    return Ok(());
                }
                let mut outcome = Ok(());
                object.array("content", |array| {
                    outcome = value.array(|at, part| {
                        let said = message.said.iter().filter(|said| usize::try_from(said.part) == Ok(at));
                        self.part(array, &part.to_raw()?, said, told)
                    });
                });
                outcome
            });
        });
        outcome.map(|()| written)
    }

    fn part<'a>(
        &self,
        array: &mut Array<'_>,
        part: &Raw,
        said: impl Iterator<Item = &'a Said>,
        told: &mut Vec<Told>,
    ) -> Result<(), Error> {
        let mut text = None;
        let mut added: Vec<(u64, String)> = Vec::new();
        for said in said {
            let start = self.citations.partition_point(|(block, _)| *block < said.block);
            let cited = self.citations.iter().skip(start).take_while(|(block, _)| *block == said.block);
            for (_, citation) in cited {
                let text = text.get_or_insert_with(|| part.get("text").and_then(|text| text.to_text()));
                let own = text.as_deref().and_then(|text| text.get(said.bytes.clone())).unwrap_or_default();
                let (start, end) = annotation::range(citation, own);
                let one = Raw::array(|array| {
                    annotation::write(array, citation, said.before + start, said.before + end);
                });
                // Nothing is left of a kind that this format has not.
                let one = one.as_str().strip_prefix('[').and_then(|one| one.strip_suffix(']'));
                added.extend(one.filter(|one| !one.is_empty()).map(|one| (said.part, one.to_owned())));
            }
        }
        if added.is_empty() {
            array.raw(part.as_str());
            return Ok(());
        }
        let mut outcome = Ok(());
        array.object(|object| {
            outcome = part.reader().object(|key, value| {
                if key != "annotations" {
                    object.raw(key, value.raw()?);
                    return Ok(());
                }
                let mut outcome = Ok(());
                object.array(key, |list| {
                    let mut number = 0;
                    outcome = value.array(|_, known| {
                        number += 1;
                        list.raw(known.raw()?);
                        Ok(())
                    });
                    for (part, annotation) in std::mem::take(&mut added) {
                        list.raw(&annotation);
                        told.push(Told { part, number, annotation });
                        number += 1;
                    }
                });
                outcome
            });
        });
        outcome
    }
}

/// A citation as it was written.
struct Told {
    part: u64,
    number: u64,
    annotation: String,
}
