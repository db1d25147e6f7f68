//! Where the encoder's events go: numbered frames, ids, and the finished items that the last event repeats.

use std::ops::Range;

use crate::id;
use crate::json::{self, Object};
use crate::model::Str;
use crate::sse;

/// The way out for events and items.
#[derive(Debug)]
pub(super) struct Outlet {
    request_id: Str,
    /// The upstream's id of the answer, empty if it gave none.
    pub(super) upstream_id: Str,
    sequence: u64,
    /// Only the items are wanted: the client gets one body.
    is_silent: bool,
    /// Finished items as JSON, separated by commas.
    pub(super) items: Vec<u8>,
    /// `output_index` of the next item.
    next_index: u64,
}

/// Place and name of an item.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) id: String,
}

impl Outlet {
    pub(super) fn new(request_id: Str, is_silent: bool) -> Self {
        Self {
            request_id,
            upstream_id: Str::default(),
            sequence: 0,
            is_silent,
            items: Vec::new(),
            next_index: 0,
        }
    }

    /// Id of the response: the upstream's own where it has the right form.
    pub(super) fn response_id(&self) -> String {
        if self.upstream_id.starts_with("resp_") {
            return (*self.upstream_id).to_owned();
        }
        id::hex("resp_", 48, &[&self.request_id, &self.upstream_id])
    }

    /// The place of the next item; `known` is the upstream's id of it.
    pub(super) fn place(&mut self, prefix: &str, known: Option<&str>) -> Place {
        let index = self.next_index;
        self.next_index += 1;
        let id = match known.filter(|id| id.starts_with(prefix)) {
            Some(id) => id.to_owned(),
            None => id::hex(prefix, 48, &[&self.request_id, &self.upstream_id, &index.to_string()]),
        };
        Place { index, id }
    }

    /// The number of the next event; `None` when events are not wanted.
    pub(super) fn number(&mut self) -> Option<u64> {
        let number = self.sequence;
        self.sequence += 1;
        (!self.is_silent).then_some(number)
    }

    /// Writes one event.
    pub(super) fn event(&mut self, out: &mut Vec<u8>, kind: &str, build: impl FnOnce(&mut Object<'_>)) {
        let Some(sequence) = self.number() else { return };
        sse::event(out, kind, |out| {
            json::object(out, |object| {
                object.str("type", kind);
                object.u64("sequence_number", sequence);
                build(object);
            });
        });
    }

    /// Writes an event about an item.
    pub(super) fn item_event(
        &mut self,
        out: &mut Vec<u8>,
        kind: &str,
        place: &Place,
        build: impl FnOnce(&mut Object<'_>),
    ) {
        self.event(out, kind, |object| {
            object.str("item_id", &place.id);
            object.u64("output_index", place.index);
            build(object);
        });
    }

    /// Writes that an item begins.
    pub(super) fn added(&mut self, out: &mut Vec<u8>, place: &Place, item: impl FnOnce(&mut Object<'_>)) {
        self.event(out, "response.output_item.added", |object| {
            object.u64("output_index", place.index);
            object.object("item", item);
        });
    }

    /// Writes that an item is finished, and keeps it for the end. Gives its place among the finished ones.
    pub(super) fn done(
        &mut self,
        out: &mut Vec<u8>,
        place: &Place,
        item: impl FnOnce(&mut Object<'_>),
    ) -> Range<usize> {
        if !self.items.is_empty() {
            self.items.push(b',');
        }
        let start = self.items.len();
        json::object(&mut self.items, item);
        let span = start..self.items.len();
        let Some(sequence) = self.number() else { return span };
        let written = self.items.get(start..).unwrap_or_default();
        sse::event(out, "response.output_item.done", |out| {
            json::object(out, |object| {
                object.str("type", "response.output_item.done");
                object.u64("sequence_number", sequence);
                object.u64("output_index", place.index);
                object.key("item");
                object.buffer().extend_from_slice(written);
            });
        });
        span
    }
}
