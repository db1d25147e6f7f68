//! A message item in the making.
//!
//! Text blocks that follow each other are one message, so a message and its last part stay open until something else
//! begins. Citations are written when their block is complete: only then it is known what they point to.

use crate::json::{self, Object, Raw};
use crate::model::{Annotation, Delta, Text};

use super::super::annotation::{self, characters};
use super::late::{Closed, Said};
use super::outlet::{Outlet, Place};

/// An open message.
#[derive(Debug)]
pub(super) struct Message {
    place: Place,
    /// Finished parts as JSON, separated by commas.
    parts: Vec<u8>,
    part_count: u64,
    part: Option<Part>,
    /// The block that is being said.
    block: Option<u32>,
    /// Those that are over.
    said: Vec<Said>,
    pub(super) has_refusal: bool,
    /// The client wants token probabilities, which come behind the text they belong to.
    waits_for_logprobs: bool,
}

#[derive(Debug)]
struct Part {
    is_refusal: bool,
    text: String,
    /// Where the current block begins, in bytes and in characters.
    block: (usize, u64),
    /// Citations of the current block.
    citations: Vec<Annotation>,
    /// Written citations as JSON, separated by commas.
    annotations: Vec<u8>,
    annotation_count: u64,
    /// Token probabilities as JSON, separated by commas.
    logprobs: Vec<u8>,
    /// A piece that waits for its token probabilities.
    held: Option<String>,
}

impl Message {
    pub(super) fn open(outlet: &mut Outlet, out: &mut Vec<u8>, waits_for_logprobs: bool) -> Self {
        let place = outlet.place("msg_", None);
        outlet.added(out, &place, |item| write(item, &place, "in_progress", b""));
        Self {
            place,
            parts: Vec::new(),
            part_count: 0,
            part: None,
            block: None,
            said: Vec::new(),
            has_refusal: false,
            waits_for_logprobs,
        }
    }

    /// A text or refusal block begins; `block` is the text that may be cited later.
    pub(super) fn block(
        &mut self,
        outlet: &mut Outlet,
        out: &mut Vec<u8>,
        is_refusal: bool,
        block: Option<u32>,
    ) {
        self.block = block;
        if self.part.as_ref().is_some_and(|part| part.is_refusal != is_refusal) {
            self.close_part(outlet, out);
        }
        self.has_refusal |= is_refusal;
        if let Some(part) = &mut self.part {
            part.block = (part.text.len(), characters(&part.text));
            return;
        }
        let part = Part {
            is_refusal,
            text: String::new(),
            block: (0, 0),
            citations: Vec::new(),
            annotations: Vec::new(),
            annotation_count: 0,
            logprobs: Vec::new(),
            held: None,
        };
        let index = self.part_count;
        outlet.item_event(out, "response.content_part.added", &self.place, |event| {
            event.u64("content_index", index);
            event.object("part", |object| part.write(object));
        });
        self.part = Some(part);
    }

    pub(super) fn delta(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>, delta: Delta) {
        let waits = self.waits_for_logprobs;
        let Some(part) = &mut self.part else { return };
        match delta {
            Delta::Text(text) | Delta::Refusal(text) | Delta::Transcript(text) => {
                part.text.push_str(&text);
                if waits && !part.is_refusal {
                    let earlier = part.held.replace(text);
                    self.piece(outlet, out, earlier, None);
                } else {
                    self.piece(outlet, out, Some(text), None);
                }
            }
            Delta::Logprobs(logprobs) => {
                let held = part.held.take();
                append(&mut part.logprobs, &logprobs);
                self.piece(outlet, out, held, Some(&logprobs));
            }
            Delta::Annotation(citation) => part.citations.push(citation),
            _ => {}
        }
    }

    fn piece(
        &mut self,
        outlet: &mut Outlet,
        out: &mut Vec<u8>,
        text: Option<String>,
        logprobs: Option<&Raw>,
    ) {
        let (Some(text), Some(part)) = (text.filter(|text| !text.is_empty()), &self.part) else { return };
        let kind = if part.is_refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        outlet.item_event(out, kind, &self.place, |event| {
            event.u64("content_index", self.part_count);
            event.str("delta", &text);
            if !part.is_refusal {
                event.raw("logprobs", logprobs.map_or("[]", Raw::as_str));
            }
        });
    }

    /// A block is complete. `full` is what the upstream repeated of it.
    pub(super) fn block_stop(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>, full: Option<Text>) {
        if let Some(full) = full {
            let Some(part) = &mut self.part else { return };
            if part.citations.is_empty() {
                part.citations = full.annotations;
            }
            let said = part.text.get(part.block.0..).unwrap_or_default();
            if let Some(rest) = full.text.strip_prefix(said).filter(|rest| !rest.is_empty()) {
                self.delta(outlet, out, Delta::Text(rest.to_owned()));
            }
            if let Some(logprobs) = full.logprobs
                && self.part.as_ref().is_some_and(|part| part.logprobs.is_empty())
            {
                self.delta(outlet, out, Delta::Logprobs(logprobs));
            }
        }
        self.release(outlet, out);
        let Some(part) = &mut self.part else { return };
        let (bytes, before) = part.block;
        let block = part.text.get(bytes..).unwrap_or_default();
        if let Some(block) = self.block.take() {
            self.said.push(Said { block, part: self.part_count, bytes: bytes..part.text.len(), before });
        }
        let mut added = Vec::new();
        for citation in std::mem::take(&mut part.citations) {
            let (start, end) = annotation::range(&citation, block);
            let mut written = Vec::new();
            json::array(&mut written, |array| {
                annotation::write(array, &citation, before + start, before + end);
            });
            // Without the brackets; nothing is left of a kind that this format has not.
            let one = written.get(1..written.len() - 1).unwrap_or_default().to_vec();
            if !one.is_empty() {
                added.push(one);
            }
        }
        for one in added {
            let Some(part) = &mut self.part else { return };
            let number = part.annotation_count;
            part.annotation_count += 1;
            if !part.annotations.is_empty() {
                part.annotations.push(b',');
            }
            part.annotations.extend_from_slice(&one);
            outlet.item_event(out, "response.output_text.annotation.added", &self.place, |event| {
                event.u64("content_index", self.part_count);
                event.u64("annotation_index", number);
                event.key("annotation");
                event.buffer().extend_from_slice(&one);
            });
        }
    }

    /// Writes the piece that waits for token probabilities which do not come.
    fn release(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>) {
        let held = self.part.as_mut().and_then(|part| part.held.take());
        self.piece(outlet, out, held, None);
    }

    fn close_part(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>) {
        self.release(outlet, out);
        let Some(part) = self.part.take() else { return };
        let index = self.part_count;
        self.part_count += 1;
        if part.is_refusal {
            outlet.item_event(out, "response.refusal.done", &self.place, |event| {
                event.u64("content_index", index);
                event.str("refusal", &part.text);
            });
        } else {
            outlet.item_event(out, "response.output_text.done", &self.place, |event| {
                event.u64("content_index", index);
                event.str("text", &part.text);
                list(event, "logprobs", &part.logprobs);
            });
        }
        outlet.item_event(out, "response.content_part.done", &self.place, |event| {
            event.u64("content_index", index);
            event.object("part", |object| part.write(object));
        });
        if !self.parts.is_empty() {
            self.parts.push(b',');
        }
        json::object(&mut self.parts, |object| part.write(object));
    }

    pub(super) fn close(mut self, outlet: &mut Outlet, out: &mut Vec<u8>, status: &str) -> Closed {
        self.close_part(outlet, out);
        let span = outlet.done(out, &self.place, |item| write(item, &self.place, status, &self.parts));
        Closed { place: self.place, span, said: self.said }
    }
}

impl Part {
    fn write(&self, object: &mut Object<'_>) {
        if self.is_refusal {
            object.str("type", "refusal");
            object.str("refusal", &self.text);
            return;
        }
        object.str("type", "output_text");
        object.str("text", &self.text);
        list(object, "annotations", &self.annotations);
        list(object, "logprobs", &self.logprobs);
    }
}

fn write(item: &mut Object<'_>, place: &Place, status: &str, parts: &[u8]) {
    item.str("id", &place.id);
    item.str("type", "message");
    item.str("status", status);
    item.str("role", "assistant");
    list(item, "content", parts);
}

/// An array member out of elements that are separated by commas.
pub(super) fn list(object: &mut Object<'_>, key: &str, elements: &[u8]) {
    object.key(key);
    let out = object.buffer();
    out.push(b'[');
    out.extend_from_slice(elements);
    out.push(b']');
}

/// Adds the elements of an array to a list.
fn append(elements: &mut Vec<u8>, array: &Raw) {
    let _complete = array.reader().array(|_, element| {
        let span = element.raw()?;
        if !elements.is_empty() {
            elements.push(b',');
        }
        elements.extend_from_slice(span.as_bytes());
        Ok(())
    });
}
