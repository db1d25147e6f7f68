//! `reasoning_details`: the array in which Chat relatives carry reasoning state, and in which the gateway carries the
//! state of other providers through Chat clients.
//!
//! Entries of the gateway are envelopes and become what they hold. Entries of an aggregator stay what they are, as
//! JSON text, because it wants them back unchanged; in streams they come in pieces, which are joined here.

use crate::Error;
use crate::json::{Array, Kind, Raw, Reader};
use crate::model::{Anchor, Block, Content, Opaque, OpaqueKind, Owner, Reasoning, Str};
use crate::opaque::{self, Unwrapped};

/// `format` of the entries that the gateway writes.
const GATEWAY: &str = "gateway-v1";

/// Writes the entry that carries `state`; false when it is too large to be carried.
pub(super) fn write(array: &mut Array<'_>, state: &Opaque, text: Option<&str>, index: u32) -> bool {
    if state.kind == OpaqueKind::RouterDetail {
        array.raw(&state.data);
        return true;
    }
    let Some(data) = opaque::wrap(state, text) else { return false };
    array.object(|entry| {
        entry.str("type", "reasoning.encrypted");
        entry.str("format", GATEWAY);
        entry.str("id", &format!("rd_{index}"));
        entry.str("data", &data);
        entry.u64("index", u64::from(index));
    });
    true
}

/// What the entries of one history message hold.
#[derive(Debug, Default)]
pub(super) struct History {
    /// State of other providers, by envelope.
    envelopes: Vec<Unwrapped>,
    /// Entries of an aggregator.
    entries: Vec<Opaque>,
    /// Readable text of the latter.
    text: String,
}

impl History {
    /// Reads `reasoning_details` of a history message.
    pub(super) fn read(value: &mut Reader<'_>) -> Result<Self, Error> {
        let mut history = Self::default();
        if value.kind() != Kind::Array {
            return value.skip().map(|()| history);
        }
        value.array(|_, entry| {
            if entry.kind() != Kind::Object {
                return entry.skip();
            }
            let start = entry.clone();
            let mut data = None;
            entry.object(|key, value| {
                if value.kind() == Kind::String {
                    match key {
                        "text" | "summary" => push_part(&mut history.text, &value.str()?),
                        "data" => data = Some(value.str()?),
                        _ => {}
                    }
                }
                Ok(())
            })?;
            match data.as_deref().and_then(opaque::unwrap) {
                Some(envelope) => history.envelopes.push(envelope),
                None => history.entries.push(router(start.clone().raw()?)),
            }
            Ok(())
        })?;
        Ok(history)
    }

    /// The state that hangs on the call with this ordinal, taken out.
    pub(super) fn take_call(&mut self, ordinal: u32) -> Option<Opaque> {
        self.take(|anchor| anchor == Anchor::ToolCall(ordinal))
    }

    /// The state that hangs on the text, taken out.
    pub(super) fn take_text(&mut self) -> Option<Opaque> {
        self.take(|anchor| matches!(anchor, Anchor::Text | Anchor::TrailingEmptyText))
    }

    fn take(&mut self, is_wanted: impl Fn(Anchor) -> bool) -> Option<Opaque> {
        let at = self.envelopes.iter().position(|envelope| is_wanted(envelope.opaque.anchor))?;
        Some(self.envelopes.remove(at).opaque)
    }

    /// The thinking blocks; `plain` is the message's own reasoning text.
    ///
    /// Several blocks of one answer share one text member in this format. All but the first carry their own text in
    /// the envelope, so that what is left is the text of the first.
    pub(super) fn blocks(self, plain: Option<Str>, out: &mut Vec<Block>) {
        let plain = plain.or_else(|| (!self.text.is_empty()).then(|| self.text.as_str().into()));
        let mut rest: &str = plain.as_deref().unwrap_or_default();
        for text in self.envelopes.iter().rev().filter_map(|envelope| envelope.text.as_deref()) {
            if let Some(before) = rest.strip_suffix(text) {
                rest = before.strip_suffix("\n\n").unwrap_or(before);
            }
        }
        let mut first: Option<Str> = (!rest.is_empty()).then(|| rest.into());
        let is_bound = |envelope: &Unwrapped| {
            envelope.text.is_none() && envelope.opaque.kind != OpaqueKind::ClaudeRedacted
        };
        let is_first_bound = self.envelopes.iter().any(is_bound);
        if !self.entries.is_empty() || (!is_first_bound && first.is_some()) {
            let text = if is_first_bound { None } else { first.take() };
            out.push(Block::new(Content::Reasoning(Reasoning {
                raw: text.into_iter().collect(),
                opaque: self.entries,
                ..Reasoning::default()
            })));
        }
        for envelope in self.envelopes {
            let is_redacted = envelope.opaque.kind == OpaqueKind::ClaudeRedacted;
            let raw = if is_redacted || envelope.text.is_some() { None } else { first.take() };
            out.push(Block::new(Content::Reasoning(Reasoning {
                summary: envelope.text.into_iter().collect(),
                raw: raw.into_iter().collect(),
                opaque: vec![envelope.opaque],
                is_redacted,
                ..Reasoning::default()
            })));
        }
    }
}

fn push_part(text: &mut String, part: &str) {
    if !text.is_empty() && !part.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(part);
}

fn router(entry: &str) -> Opaque {
    Opaque {
        owner: Owner::Other,
        kind: OpaqueKind::RouterDetail,
        scope: None,
        model: None,
        data: entry.into(),
        anchor: Anchor::This,
    }
}

/// The entries of one answer, joined from their pieces.
#[derive(Debug, Default)]
pub(super) struct Answer {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    kind: String,
    id: Option<String>,
    index: Option<i64>,
    text: String,
    summary: String,
    signature: String,
    data: String,
    /// Members without a meaning here.
    rest: Vec<(String, Raw)>,
    is_given: bool,
}

impl Entry {
    fn read(value: &mut Reader<'_>) -> Result<Self, Error> {
        let mut entry = Self {
            kind: String::new(),
            id: None,
            index: None,
            text: String::new(),
            summary: String::new(),
            signature: String::new(),
            data: String::new(),
            rest: Vec::new(),
            is_given: false,
        };
        value.object(|key, value| {
            let kind = value.kind();
            match (key, kind) {
                ("type", Kind::String) => entry.kind = value.string()?,
                ("id", Kind::String) => entry.id = Some(value.string()?),
                ("index", Kind::Number) => entry.index = value.i64().ok(),
                ("text", Kind::String) => entry.text = value.string()?,
                ("summary", Kind::String) => entry.summary = value.string()?,
                ("signature", Kind::String) => entry.signature = value.string()?,
                ("data", Kind::String) => entry.data = value.string()?,
                ("type" | "id" | "index" | "text" | "summary" | "signature" | "data", _)
                | (_, Kind::Null) => {}
                _ => entry.rest.push((key.to_owned(), value.to_raw()?)),
            }
            Ok(())
        })?;
        Ok(entry)
    }

    /// True when `piece` continues this entry.
    fn is_continued_by(&self, piece: &Self) -> bool {
        let is_same = self.kind == piece.kind && self.index == piece.index && self.data.is_empty();
        is_same && piece.data.is_empty() && (piece.id.is_none() || self.id.is_none() || self.id == piece.id)
    }

    fn is_opaque(&self) -> bool {
        !self.signature.is_empty() || !self.data.is_empty()
    }

    fn to_opaque(&self) -> Opaque {
        let entry = Raw::object(|object| {
            object.str("type", &self.kind);
            for (key, value) in [
                ("text", &self.text),
                ("summary", &self.summary),
                ("signature", &self.signature),
                ("data", &self.data),
            ] {
                if !value.is_empty() {
                    object.str(key, value);
                }
            }
            object.opt_str("id", self.id.as_ref());
            for (key, value) in &self.rest {
                object.raw(key, value.as_str());
            }
            if let Some(index) = self.index {
                object.i64("index", index);
            }
        });
        router(entry.as_str())
    }
}

impl Answer {
    /// Reads one array of entries or of pieces of them. Gives the readable text it holds.
    pub(super) fn read(&mut self, value: &mut Reader<'_>) -> Result<String, Error> {
        let mut text = String::new();
        if value.kind() != Kind::Array {
            return value.skip().map(|()| text);
        }
        value.array(|_, value| {
            if value.kind() != Kind::Object {
                return value.skip();
            }
            let piece = Entry::read(value)?;
            text.push_str(&piece.text);
            text.push_str(&piece.summary);
            match self.entries.iter_mut().rev().find(|entry| entry.is_continued_by(&piece)) {
                None => self.entries.push(piece),
                Some(entry) => {
                    entry.text.push_str(&piece.text);
                    entry.summary.push_str(&piece.summary);
                    if !piece.signature.is_empty() {
                        entry.signature = piece.signature;
                    }
                    entry.id = entry.id.take().or(piece.id);
                    for (key, value) in piece.rest {
                        if !entry.rest.iter().any(|(known, _)| *known == key) {
                            entry.rest.push((key, value));
                        }
                    }
                }
            }
            Ok(())
        })?;
        Ok(text)
    }

    /// True when there is state that was not given out.
    pub(super) fn is_due(&self) -> bool {
        self.entries.iter().any(|entry| !entry.is_given && entry.is_opaque())
    }

    /// The entries not yet given out, once one of them holds more than text: an aggregator wants the sequence whole.
    pub(super) fn give(&mut self) -> Vec<Opaque> {
        if !self.is_due() {
            return Vec::new();
        }
        let due = self.entries.iter_mut().filter(|entry| !entry.is_given);
        due.map(|entry| {
            entry.is_given = true;
            entry.to_opaque()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_an_entry_are_joined_and_given_once() {
        let mut answer = Answer::default();
        let mut text = String::new();
        for piece in [
            r#"[{"type":"reasoning.text","text":"","signature":"","format":"f","index":0}]"#,
            r#"[{"type":"reasoning.text","text":"Hel","format":"f","index":0}]"#,
            r#"[{"type":"reasoning.text","text":"lo","format":"f","index":0}]"#,
        ] {
            text.push_str(&answer.read(&mut Reader::new(piece)).unwrap());
            assert!(answer.give().is_empty());
        }
        assert_eq!(text, "Hello");
        answer
            .read(&mut Reader::new(r#"[{"type":"reasoning.text","signature":"S","format":"f","index":0}]"#))
            .unwrap();
        answer
            .read(&mut Reader::new(
                r#"[{"type":"reasoning.encrypted","data":"a","index":0},{"type":"reasoning.encrypted","data":"b","index":0}]"#,
            ))
            .unwrap();
        let given = answer.give();
        let data: Vec<_> = given.iter().map(|opaque| &*opaque.data).collect();
        assert_eq!(
            data,
            [
                r#"{"type":"reasoning.text","text":"Hello","signature":"S","format":"f","index":0}"#,
                r#"{"type":"reasoning.encrypted","data":"a","index":0}"#,
                r#"{"type":"reasoning.encrypted","data":"b","index":0}"#
            ]
        );
        assert!(answer.give().is_empty());
    }

    #[test]
    fn several_blocks_in_one_text_member_come_apart_again() {
        let opaque = |data: &str| Opaque {
            owner: Owner::Anthropic,
            kind: OpaqueKind::ClaudeSignature,
            scope: None,
            model: None,
            data: data.into(),
            anchor: Anchor::This,
        };
        let details = Raw::array(|array| {
            assert!(write(array, &opaque("s1"), None, 0));
            assert!(write(array, &opaque("s2"), Some("two"), 1));
        });
        let history = History::read(&mut details.reader()).unwrap();
        let mut blocks = Vec::new();
        history.blocks(Some("one\n\ntwo".into()), &mut blocks);
        let thoughts: Vec<_> = blocks
            .iter()
            .map(|block| match &block.content {
                Content::Reasoning(reasoning) => (reasoning.text(), reasoning.opaque[0].data.to_string()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(thoughts, [("one".to_owned(), "s1".to_owned()), ("two".to_owned(), "s2".to_owned())]);
    }
}
