//! Thinking of other providers on its way to the part that clients of this format keep.
//!
//! Popular clients drop thoughts from their history but return the signatures of calls and texts. So the next of these
//! carries all the thinking before it: one envelope for one slot, however many thoughts and states it holds.

use crate::model::Opaque;
use crate::opaque::{self, Unwrapped};

/// What waits for its carrier.
#[derive(Debug, Default)]
pub(super) struct Carried {
    thoughts: Vec<Unwrapped>,
    /// The envelope of the last one alone.
    last: Option<String>,
}

impl Carried {
    /// Takes state in, with the text that belongs to it. Gives the envelope of this state alone, `None` when it is too
    /// large for one.
    pub(super) fn add(&mut self, state: &Opaque, text: Option<&str>) -> Option<&str> {
        self.thoughts.push(Unwrapped { opaque: state.clone(), text: text.map(Into::into) });
        self.last = opaque::wrap(state, text);
        self.last.as_deref()
    }

    /// The signature of the part that carries all of it.
    pub(super) fn take(&mut self) -> Option<String> {
        let (thoughts, last) = (std::mem::take(&mut self.thoughts), self.last.take());
        if thoughts.len() < 2 { last } else { opaque::wrap_all(&thoughts) }
    }

    /// The signature of a call: its own, or what it carries, state of another provider on the call itself included.
    pub(super) fn of_call(&mut self, state: Option<&Opaque>) -> Option<String> {
        if let Some(native) = super::answer::native_signature(state) {
            return Some(native.to_owned());
        }
        if let Some(state) = state {
            self.add(state, None);
        }
        self.take()
    }
}
