//! The frames of a client's stream: one open block at a time, indices without gaps.
//!
//! What stands in which block, and when, is decided in `encoder`.

use crate::json::{self, Object};
use crate::model::Opaque;
use crate::sse;

use super::super::answer::Pair;
use super::super::request::copy_members;
use super::super::signature;

/// Writes blocks.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Index of the block that is open, or that will be next.
    index: u64,
}

impl Frames {
    pub(super) fn open_text(&mut self, is_open: &mut bool, out: &mut Vec<u8>) {
        if !std::mem::replace(is_open, true) {
            self.content_start(out, |object| {
                object.str("type", "text");
                object.str("text", "");
            });
        }
    }

    pub(super) fn thinking_start(&mut self, out: &mut Vec<u8>) {
        self.content_start(out, |object| {
            object.str("type", "thinking");
            object.str("thinking", "");
            object.str("signature", "");
        });
    }

    pub(super) fn input(&self, json: &str, out: &mut Vec<u8>) {
        self.content_delta(out, |object| {
            object.str("type", "input_json_delta");
            object.str("partial_json", json);
        });
    }

    pub(super) fn pair(&mut self, pair: &Pair, out: &mut Vec<u8>) {
        if let Some((id, name, input)) = &pair.call {
            self.content_start(out, |object| {
                object.str("type", "server_tool_use");
                object.str("id", id);
                object.str("name", name);
                object.object("input", |_| ());
            });
            self.input(input, out);
            self.content_stop(out);
        }
        if let Some(result) = &pair.result {
            self.whole(result.as_str(), out);
        }
    }

    pub(super) fn plain_text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.open_text(&mut false, out);
        self.content_delta(out, |object| {
            object.str("type", "text_delta");
            object.str("text", text);
        });
        self.content_stop(out);
    }

    /// A block that is complete with its start.
    pub(super) fn whole(&mut self, raw: &str, out: &mut Vec<u8>) {
        self.content_start(out, |object| copy_members(object, raw, &[]));
        self.content_stop(out);
    }

    /// A thinking block without text.
    pub(super) fn signed_block(&mut self, opaque: Option<&Opaque>, carried: &str, out: &mut Vec<u8>) {
        self.thinking_start(out);
        self.sign(opaque, carried, out);
    }

    /// Signs and closes the open thinking block.
    pub(super) fn sign(&mut self, opaque: Option<&Opaque>, carried: &str, out: &mut Vec<u8>) {
        let text = signature::render(opaque, Some(carried));
        self.content_delta(out, |object| {
            object.str("type", "signature_delta");
            object.str("signature", &text);
        });
        self.content_stop(out);
    }

    pub(super) fn content_start(&mut self, out: &mut Vec<u8>, build: impl FnOnce(&mut Object<'_>)) {
        frame(out, "content_block_start", |object| {
            object.u64("index", self.index);
            object.object("content_block", build);
        });
    }

    pub(super) fn content_delta(&self, out: &mut Vec<u8>, build: impl FnOnce(&mut Object<'_>)) {
        frame(out, "content_block_delta", |object| {
            object.u64("index", self.index);
            object.object("delta", build);
        });
    }

    pub(super) fn content_stop(&mut self, out: &mut Vec<u8>) {
        frame(out, "content_block_stop", |object| object.u64("index", self.index));
        self.index += 1;
    }
}

/// Writes a frame whose data begins with its type.
pub(super) fn frame(out: &mut Vec<u8>, name: &str, build: impl FnOnce(&mut Object<'_>)) {
    sse::event(out, name, |out| {
        json::object(out, |object| {
            object.str("type", name);
            build(object);
        });
    });
}

pub(super) fn ping(out: &mut Vec<u8>) {
    frame(out, "ping", |_| ());
}
