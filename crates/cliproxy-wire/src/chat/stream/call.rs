//! The tool calls of a choice while they come in: which of them a fragment belongs to, and what of it is new. Their blocks
//! are the choice's.

use std::collections::HashMap;

use crate::chat::decode::message::google;
use crate::chat::piece::{self, Arguments};
use crate::json::{Raw, Surrogates};
use crate::model::{Opaque, Str};

/// All calls of a choice, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    /// The latest call of every index.
    by_index: HashMap<i64, usize>,
    /// The latest call of every id.
    by_id: HashMap<Str, usize>,
}

/// One call.
#[derive(Debug, Default)]
pub(super) struct Call {
    index: Option<i64>,
    /// The upstream's id.
    pub(super) id: Option<Str>,
    pub(super) name: Option<Str>,
    pub(super) is_custom: bool,
    /// Set once the block has started.
    pub(super) block: Option<u32>,
    /// All argument text so far.
    pub(super) arguments: String,
    half: Surrogates,
    pub(super) signature: Option<Opaque>,
}

impl Calls {
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Call> {
        self.all.get_mut(at)
    }

    /// Takes a fragment in; gives the place of its call and what is new of the arguments.
    pub(super) fn take(&mut self, piece: piece::Call<'_>) -> (usize, String) {
        let at = self.find(&piece).unwrap_or_else(|| {
            let at = self.all.len();
            self.all.push(Call { index: piece.index, ..Call::default() });
            self.by_index.extend(piece.index.map(|index| (index, at)));
            at
        });
        let Some(call) = self.all.get_mut(at) else { return (at, String::new()) };
        if call.id.is_none() {
            call.id = piece.id.as_deref().map(Str::from);
            if let Some(id) = &call.id {
                let latest = self.by_id.entry(Str::clone(id)).or_insert(at);
                *latest = at.max(*latest);
            }
        }
        if call.name.is_none() {
            call.name = piece.name.as_deref().map(Str::from);
        }
        call.is_custom |= piece.is_custom;
        if let Some(signature) = &piece.signature {
            call.signature = Some(google(signature));
        }
        (at, call.take(piece.arguments))
    }

    /// The call that a fragment continues; `None` for a new one.
    fn find(&self, piece: &piece::Call<'_>) -> Option<usize> {
        let id = piece.id.as_deref();
        let of_id = id.and_then(|id| self.by_id.get(id)).copied();
        let at = match piece.index {
            Some(index) => {
                let latest = *self.by_index.get(&index)?;
                // Only servers that use an index twice have more than one.
                of_id
                    .filter(|&at| self.all.get(at).is_some_and(|call| call.index == Some(index)))
                    .unwrap_or(latest)
            }
            None if id.is_some() => of_id?,
            None => self.all.len().checked_sub(1)?,
        };
        let call = self.all.get(at)?;
        let is_named = piece.name.is_some();
        let is_other_id = match (call.id.as_deref(), id) {
            (Some(known), Some(id)) => known != id,
            // Without ids only a complete call followed by a named one tells that a new one begins.
            (_, None) => {
                is_named
                    && call.name.is_some()
                    && call.is_complete()
                    && !call.is_repeated_by(piece.arguments.as_ref())
            }
            (None, Some(_)) => false,
        };
        (!(is_other_id && is_named)).then_some(at)
    }

    /// The block of every call, and what is left of its arguments.
    pub(super) fn ends(&mut self) -> Vec<(u32, Option<char>)> {
        self.all.iter_mut().filter_map(|call| Some((call.block?, call.half.finish()))).collect()
    }

    /// Whether a call was made whose name never came. Servers that write all members of their types write empty ones.
    pub(super) fn has_unnamed(&self) -> bool {
        self.all.iter().any(|call| call.name.is_none() && (call.id.is_some() || !call.arguments.is_empty()))
    }
}

impl Call {
    /// Takes argument text in; gives what is new of it.
    fn take(&mut self, arguments: Option<Arguments<'_>>) -> String {
        let fresh = match arguments.filter(Arguments::says_something) {
            None => return String::new(),
            // Some servers repeat the whole at the end.
            Some(arguments) if self.is_repeated_by(Some(&arguments)) && self.is_complete() => {
                return String::new();
            }
            Some(Arguments::Text(fragment)) => self.half.join(fragment).into_owned(),
            Some(Arguments::Value(text)) => text.to_owned(),
        };
        self.arguments.push_str(&fresh);
        fresh
    }

    fn is_complete(&self) -> bool {
        let text = self.arguments.trim();
        text.starts_with('{') && text.ends_with('}') && Raw::parse(text).is_ok()
    }

    fn is_repeated_by(&self, arguments: Option<&Arguments<'_>>) -> bool {
        match arguments {
            None => true,
            Some(Arguments::Value(text)) => *text == self.arguments,
            // Comparing is cheap when the lengths differ, as they nearly always do.
            Some(Arguments::Text(fragment)) => {
                let text = Surrogates::default().join(fragment.clone());
                text.is_empty() || *text == *self.arguments
            }
        }
    }
}
