//! A reasoning item in the making.
//!
//! The item stays open behind the end of its block: a signature that belongs to it may come with the next part. It is
//! written only when there is something to write, shown text or opaque state; state of other providers travels in an
//! envelope, together with the text where the client is not shown any.

use crate::json::{self, Object};
use crate::model::{Channel, Opaque, OpaqueKind, Owner, Reasoning, Show, Str};
use crate::opaque;

use super::message::list;
use super::outlet::{Outlet, Place};

/// An open reasoning item.
#[derive(Debug)]
pub(super) struct Thought {
    known_id: Option<Str>,
    show: Show,
    place: Option<Place>,
    /// Finished summary parts and raw parts as JSON, separated by commas.
    summary: Vec<u8>,
    summary_count: u64,
    raw: Vec<u8>,
    raw_count: u64,
    /// The part that is open: as which channel it is shown, its number at the upstream, its text.
    part: Option<(Channel, u32, String)>,
    /// The channel that is shown; a second one says the same at greater length.
    channel: Option<Channel>,
    /// Text that is not shown, and the part it ended in.
    hidden: String,
    hidden_part: Option<u32>,
    opaque: Vec<Opaque>,
}

impl Thought {
    pub(super) fn new(known_id: Option<Str>, show: Show) -> Self {
        Self {
            known_id,
            show,
            place: None,
            summary: Vec::new(),
            summary_count: 0,
            raw: Vec::new(),
            raw_count: 0,
            part: None,
            channel: None,
            hidden: String::new(),
            hidden_part: None,
            opaque: Vec::new(),
        }
    }

    pub(super) fn opaque(&mut self, state: Opaque) {
        self.opaque.push(state);
    }

    pub(super) fn has_opaque(&self) -> bool {
        !self.opaque.is_empty()
    }

    /// Text of a part.
    pub(super) fn text(
        &mut self,
        outlet: &mut Outlet,
        out: &mut Vec<u8>,
        channel: Channel,
        part: u32,
        text: &str,
    ) {
        if *self.channel.get_or_insert(channel) != channel {
            return;
        }
        if self.show == Show::Hidden {
            if self.hidden_part.is_some_and(|known| known != part) {
                self.hidden.push_str("\n\n");
            }
            self.hidden_part = Some(part);
            self.hidden.push_str(text);
            return;
        }
        // Raw text is shown as such only to those who asked for it.
        let shown = if self.show == Show::Raw { channel } else { Channel::Summary };
        if self.part.as_ref().is_none_or(|(_, known, _)| *known != part) {
            self.close_part(outlet, out);
            self.open_part(outlet, out, shown, part);
        }
        let place = self.place(outlet, out);
        if let Some((shown, _, so_far)) = &mut self.part {
            so_far.push_str(text);
            let (kind, name, number) = match shown {
                Channel::Summary => {
                    ("response.reasoning_summary_text.delta", "summary_index", self.summary_count)
                }
                Channel::Raw => ("response.reasoning_text.delta", "content_index", self.raw_count),
            };
            outlet.item_event(out, kind, &place, |event| {
                event.u64(name, number);
                event.str("delta", text);
            });
        }
    }

    /// What the upstream repeated, where the deltas did not say it.
    pub(super) fn full(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>, full: Reasoning) {
        if self.channel.is_none() {
            let (channel, texts) = if full.summary.iter().any(|text| !text.is_empty()) {
                (Channel::Summary, full.summary)
            } else {
                (Channel::Raw, full.raw)
            };
            for (part, text) in (0..).zip(texts) {
                if !text.is_empty() {
                    self.text(outlet, out, channel, part, &text);
                }
            }
        }
        if self.opaque.is_empty() {
            self.opaque = full.opaque;
        }
    }

    /// The item's place; the item begins when it is asked for.
    fn place(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>) -> Place {
        if let Some(place) = &self.place {
            return place.clone();
        }
        let place = outlet.place("rs_", self.known_id.as_deref());
        outlet.added(out, &place, |item| {
            item.str("id", &place.id);
            item.str("type", "reasoning");
            item.raw("summary", "[]");
        });
        self.place = Some(place.clone());
        place
    }

    fn open_part(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>, shown: Channel, part: u32) {
        let place = self.place(outlet, out);
        if shown == Channel::Summary {
            outlet.item_event(out, "response.reasoning_summary_part.added", &place, |event| {
                event.u64("summary_index", self.summary_count);
                event.object("part", |object| summary_part(object, ""));
            });
        }
        self.part = Some((shown, part, String::new()));
    }

    fn close_part(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>) {
        let Some((shown, _, text)) = self.part.take() else { return };
        let place = self.place(outlet, out);
        let (elements, number) = match shown {
            Channel::Summary => {
                let number = self.summary_count;
                self.summary_count += 1;
                outlet.item_event(out, "response.reasoning_summary_text.done", &place, |event| {
                    event.u64("summary_index", number);
                    event.str("text", &text);
                });
                (&mut self.summary, number)
            }
            Channel::Raw => {
                let number = self.raw_count;
                self.raw_count += 1;
                (&mut self.raw, number)
            }
        };
        if !elements.is_empty() {
            elements.push(b',');
        }
        match shown {
            Channel::Summary => {
                outlet.item_event(out, "response.reasoning_summary_part.done", &place, |event| {
                    event.u64("summary_index", number);
                    event.object("part", |object| summary_part(object, &text));
                });
                json::object(elements, |object| summary_part(object, &text));
            }
            Channel::Raw => {
                outlet.item_event(out, "response.reasoning_text.done", &place, |event| {
                    event.u64("content_index", number);
                    event.str("text", &text);
                });
                json::object(elements, |object| {
                    object.str("type", "reasoning_text");
                    object.str("text", &text);
                });
            }
        }
    }

    pub(super) fn close(mut self, outlet: &mut Outlet, out: &mut Vec<u8>) {
        self.close_part(outlet, out);
        if self.place.is_none() && self.opaque.is_empty() {
            return;
        }
        let mut states = std::mem::take(&mut self.opaque).into_iter();
        let hidden = Some(self.hidden.as_str()).filter(|text| !text.is_empty());
        let encrypted = states.next().and_then(|state| rendered(&state, hidden));
        let place = self.place(outlet, out);
        outlet.done(out, &place, |item| {
            item.str("id", &place.id);
            item.str("type", "reasoning");
            list(item, "summary", &self.summary);
            if !self.raw.is_empty() {
                list(item, "content", &self.raw);
            }
            item.opt_str("encrypted_content", encrypted.as_ref());
        });
        // One item holds one state; further ones get items of their own.
        for state in states {
            let mut next = Self::new(None, self.show);
            next.opaque.push(state);
            next.close(outlet, out);
        }
    }
}

fn summary_part(object: &mut Object<'_>, text: &str) {
    object.str("type", "summary_text");
    object.str("text", text);
}

/// The state as `encrypted_content`: its own form if it is of this format, else in an envelope.
fn rendered(state: &Opaque, text: Option<&str>) -> Option<String> {
    if state.owner == Owner::OpenAi && state.kind == OpaqueKind::OpenAiEncrypted {
        return Some((*state.data).to_owned());
    }
    opaque::wrap(state, text)
}
