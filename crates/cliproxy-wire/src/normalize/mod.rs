//! Pure passes over a request that make it fit a target, and the way back for answers.
//!
//! Each pass answers one question and leaves alone what is right already, so a well-formed request costs little more
//! than looking at it. The request is changed in place. What a pass refuses names the path in the client's body, the
//! upstream and the remedy.

pub mod arguments;
mod cache;
mod call;
mod choice;
mod executed;
mod hosted;
pub mod id;
mod instruction;
mod limit;
mod media;
mod name;
mod output;
mod own;
mod pair;
pub(crate) mod place;
mod restore;
mod tool;
mod turn;
mod typed;

pub(crate) use own::is_missed;
pub use restore::Restore;

use crate::Error;
use crate::codec::{Bridge, Notes, Strictness, Target};
use crate::model::Request;
use crate::reasoning::Plan;

use place::Layout;

/// A request made to fit its target; a codec only has to write it down.
///
/// Holds for `request`: empty blocks are gone; turns are merged as the target wants; every call is followed by its
/// result at the head of the next user turn, in call order, and the result carries the call's name; ids are fitted;
/// arguments are JSON objects; names in tools, choice and history are wire names; tools that the target lacks are
/// emulated, mapped or gone, and the `native` value of a hosted tool is what the target's format writes; schemas are in
/// the target's dialect; instructions in the middle are where the target takes them; media are of kinds the target
/// takes; reasoning and opaque state are what the target accepts, envelopes unwrapped; cache marks are within limits.
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

/// What the passes work on.
struct Work<'a> {
    /// Where the client's messages stood, for paths.
    layout: Layout,
    target: &'a Target<'a>,
    request: Request,
    plan: Plan,
    bridge: Bridge,
    notes: Notes,
}

impl Work<'_> {
    fn hint(&mut self, path: &str) -> Result<(), Error> {
        self.target.hint(&mut self.notes, path)
    }

    /// Whether the history holds calls.
    fn has_history_calls(&self) -> bool {
        self.request.turns.iter().any(|turn| pair::calls(turn).next().is_some())
    }

    /// Refuses something without which the answer would be wrong; lenient mode drops it.
    fn refuse(&mut self, path: impl Into<String>, message: impl Into<String>) -> Result<(), Error> {
        let path = path.into();
        if self.target.strictness == Strictness::Lenient {
            self.notes.add(path);
            return Ok(());
        }
        Err(Error::unsupported(path, message))
    }
}

/// Makes a request fit a target.
///
/// # Errors
/// What the target cannot express without changing the meaning (B.11), with path and remedy.
pub fn prepare(request: Request, target: &Target<'_>) -> Result<Prepared, Error> {
    let format = target.profile.format;
    let mut work = Work {
        layout: Layout::of(&request),
        target,
        request,
        plan: Plan::default(),
        bridge: Bridge::default(),
        notes: Notes::default(),
    };
    limit::refuse(&mut work)?;
    limit::references(&mut work)?;
    own::tell(&mut work)?;
    media::apply(&mut work)?;
    executed::apply(&mut work)?;
    turn::drop_empty(&mut work.request.turns, format);
    pair::apply(&mut work.request.turns);
    turn::drop_empty(&mut work.request.turns, format);
    let mut names = tool::apply(&mut work)?;
    choice::apply(&mut work, &names)?;
    turn::prefill(&mut work)?;
    work.plan = crate::reasoning::plan(&work.request, target, &mut work.notes)?;
    own::unplanned(&mut work)?;
    output::apply(&mut work)?;
    instruction::apply(&mut work.request, target);
    turn::merge(&mut work.request.turns, format);
    crate::opaque::filter_history(&mut work.request, target);
    turn::drop_empty(&mut work.request.turns, format);
    turn::merge(&mut work.request.turns, format);
    turn::ensure_user(&mut work)?;
    turn::drop_empty_in_results(&mut work.request.turns, format);
    call::apply(&mut work, &mut names);
    media::relocate(&mut work);
    tool::declare_history(&mut work);
    limit::sampling(&mut work)?;
    limit::stops(&mut work)?;
    cache::apply(&mut work);
    let Work { request, plan, bridge, notes, .. } = work;
    Ok(Prepared { request, plan, bridge, notes })
}
