//! Thinking from its first piece to its signature.
//!
//! The block stays open when the thinking is over, because the state of a following call belongs into its signature.

use crate::model::{Channel, Opaque, OpaqueKind};

use super::super::signature::{self, Visibility};
use super::writer::Frames;

/// Thinking that is being written, or that is over but whose block is not yet closed.
#[derive(Debug, Default)]
pub(super) struct Thought {
    is_open: bool,
    /// Kept only when it is not written.
    text: String,
    channel: Option<(Channel, u32)>,
    opaque: Vec<Opaque>,
}

impl Thought {
    /// Adds a piece of a part of a channel.
    pub(super) fn add(
        &mut self,
        of: (Channel, u32),
        piece: &str,
        visibility: Visibility,
        frames: &mut Frames,
        out: &mut Vec<u8>,
    ) {
        if piece.is_empty() {
            return;
        }
        let is_gap = match self.channel {
            // One of the channels is enough: the other repeats it in other words.
            Some((known, _)) if known != of.0 => return,
            Some((_, part)) => part != of.1,
            None => false,
        };
        self.channel = Some(of);
        let gap = if is_gap { "\n\n" } else { "" };
        if visibility == Visibility::Omitted {
            self.text.push_str(gap);
            self.text.push_str(piece);
            return;
        }
        if !std::mem::replace(&mut self.is_open, true) {
            frames.thinking_start(out);
        }
        frames.content_delta(out, |object| {
            object.str("type", "thinking_delta");
            if is_gap {
                object.str("thinking", &[gap, piece].concat());
            } else {
                object.str("thinking", piece);
            }
        });
    }

    /// Adds state for the signature.
    pub(super) fn seal(&mut self, opaque: Opaque) {
        self.opaque.push(opaque);
    }

    /// Signs and closes; `of_call` is the state of the call that follows. State that finds no slot of its own gets a
    /// block without text.
    pub(super) fn close(self, of_call: Option<&Opaque>, frames: &mut Frames, out: &mut Vec<u8>) {
        let Self { mut is_open, text, opaque, .. } = self;
        let mut is_text_written = false;
        for opaque in opaque.iter().chain(of_call) {
            if opaque.kind == OpaqueKind::ClaudeRedacted {
                if std::mem::take(&mut is_open) {
                    frames.sign(None, "", out);
                }
                let data = signature::render(Some(opaque), Some(&text));
                frames.content_start(out, |object| {
                    object.str("type", "redacted_thinking");
                    object.str("data", &data);
                });
                frames.content_stop(out);
            } else if std::mem::take(&mut is_open) {
                is_text_written = true;
                frames.sign(Some(opaque), "", out);
            } else {
                let carried = if std::mem::replace(&mut is_text_written, true) { "" } else { &text };
                frames.signed_block(Some(opaque), carried, out);
            }
        }
        if is_open {
            frames.sign(None, "", out);
        } else if opaque.is_empty() && of_call.is_none() && !text.is_empty() {
            frames.signed_block(None, &text, out);
        }
    }
}
