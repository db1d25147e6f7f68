//! What every chunk repeats, and the framing of chunks.

use crate::json::{self, Array, Object};
use crate::sse;

/// What every chunk has, and how chunks are framed.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) is_sse: bool,
    pub(super) is_enveloped: bool,
    /// Array mode: the bracket is written.
    pub(super) is_open: bool,
}

impl Head {
    pub(super) fn frame(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_sse {
            sse::data(out, write);
        } else {
            out.extend_from_slice(if std::mem::replace(&mut self.is_open, true) { b",\n" } else { b"[" });
            write(out);
        }
    }

    pub(super) fn chunk(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        let (id, model, is_enveloped) =
            (std::mem::take(&mut self.id), std::mem::take(&mut self.model), self.is_enveloped);
        self.frame(out, |out| {
            let body = |object: &mut Object<'_>| {
                write(object);
                object.str("modelVersion", &model);
                object.str("responseId", &id);
            };
            json::object(out, |object| {
                if is_enveloped {
                    object.object("response", body);
                } else {
                    body(object);
                }
            });
        });
        (self.id, self.model) = (id, model);
    }

    /// A chunk with one part of a candidate.
    pub(super) fn part(&mut self, out: &mut Vec<u8>, index: u32, write: impl FnOnce(&mut Object<'_>)) {
        self.parts(out, index, |parts| parts.object(write));
    }

    pub(super) fn parts(&mut self, out: &mut Vec<u8>, index: u32, write: impl FnOnce(&mut Array<'_>)) {
        self.chunk(out, |object| {
            object.array("candidates", |list| {
                list.object(|candidate| {
                    candidate.object("content", |content| {
                        content.str("role", "model");
                        content.array("parts", write);
                    });
                    candidate.u64("index", u64::from(index));
                });
            });
        });
    }
}
