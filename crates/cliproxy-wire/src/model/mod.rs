//! The canonical model: one request, one response and one stream of events that can say everything the four wire
//! formats can say.
//!
//! Codecs decode into it and encode out of it, so a correction is made once per format and never once per pair.
//! `Option` means that the source did not say; a codec may not invent a value that its target does not require.
//! Texts, payloads and raw JSON are reference counted: normalizing a request for a target clones handles, not bytes.
//! The rules of each field stand at the codecs; what the model promises stands here.

mod block;
mod event;
pub mod fold;
mod request;
mod response;
mod tool;
mod usage;

pub use block::{
    Anchor, Annotation, Audio, Block, CacheMark, CacheTtl, Content, Document, Hosted, HostedKind,
    HostedPhase, Image, IndexUnit, LocationKind, Media, Native, Opaque, OpaqueKind, Owner, Reasoning, Text,
    ToolCall, ToolResult, Video,
};
pub use event::{BlockKind, CandidateMeta, Channel, Delta, Event};
pub use request::{
    AudioOutput, Cache, Identity, Instruction, InstructionRole, Level, Logprobs, Mode, Output, OutputFormat,
    ReasoningWish, Request, Role, Sampling, Show, State, Summary, Tier, Turn, WishOrigin,
};
pub use response::{Candidate, Response, Status, Stop, StopReason};
pub use tool::{Arguments, CallKind, CustomFormat, Tool, ToolChoice};
pub use usage::Usage;

use crate::json::Raw;
pub use crate::json::Str;

/// Members that the model has no place for, in their order, by name. They belong to the format the value came
/// from, and only that format's encoder writes them back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ext(Vec<(Box<str>, Raw)>);

impl Ext {
    /// With more members than these none is looked for when another is set: it goes behind them, and the last counts.
    const LOOKED_THROUGH: usize = 128;

    /// Nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a member; an earlier one of that name counts no longer.
    pub fn set(&mut self, name: &str, value: Raw) {
        let looked = if self.0.len() > Self::LOOKED_THROUGH { 0 } else { self.0.len() };
        match self.0.iter_mut().take(looked).find(|(known, _)| **known == *name) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// The same members, in a memory of their own: see [`Str::detached`].
    pub(crate) fn detached(&self) -> Self {
        Self(self.0.iter().map(|(name, value)| (name.clone(), value.detached())).collect())
    }

    /// The member `name`.
    pub fn get(&self, name: &str) -> Option<&Raw> {
        self.0.iter().rfind(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    /// Takes the member `name` out.
    pub fn take(&mut self, name: &str) -> Option<Raw> {
        let at = self.0.iter().rposition(|(known, _)| **known == *name)?;
        let (_, value) = self.0.remove(at);
        self.0.retain(|(known, _)| **known != *name);
        Some(value)
    }

    /// True without members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Raw)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Writes the members into an object.
    pub fn write(&self, object: &mut crate::json::Object<'_>) {
        for (name, value) in self.iter() {
            object.raw(name, value.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_member_of_a_name_counts_however_many_there_are() {
        for others in [0, Ext::LOOKED_THROUGH, 10 * Ext::LOOKED_THROUGH] {
            let mut ext = Ext::new();
            for number in 0..others {
                ext.set(&format!("member{number}"), Raw::new("0"));
            }
            for value in ["1", "2", "3"] {
                ext.set("name", Raw::new(value));
            }
            assert_eq!(ext.get("name"), Some(&Raw::new("3")));
            assert_eq!(ext.take("name"), Some(Raw::new("3")));
            assert_eq!(ext.get("name"), None);
            assert_eq!(ext.iter().count(), others);
        }
    }
}
