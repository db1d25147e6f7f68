//! What relatives of a format refuse, taken out of a request that passes.
//!
//! The Codex backend and xAI take less than the public service, Vertex AI and pages of AI Studio less than the Gemini API. A body that only says too much, or says a thing in
//! another word, is patched, and every other byte stays. A body that needs a way back for its answer (names that are too
//! long, tools that must be imitated), or that asks for what cannot be had (what an earlier answer left at the upstream),
//! is for the translation, which has the one and refuses the other.

mod aistudio;
mod codex;
mod count;
mod vertex;
mod xai;

use crate::Error;
use crate::codec::{Notes, Strictness, Target};
use crate::format::Format;
use crate::id;
use crate::json::patch::{Edit, Path};
use crate::json::{Kind, Raw, Reader};
use crate::normalize::place;
use crate::profile::{Dialect, Profile};

pub use count::counted;

/// What the body asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An answer.
    Answer,
    /// A compacted conversation.
    Compact,
}

/// What decides about the edits.
#[derive(Clone, Copy, Debug)]
pub struct Restriction<'a> {
    /// The upstream.
    pub target: &'a Target<'a>,
    /// What the body asks for.
    pub purpose: Purpose,
    /// The client's own name of the conversation, where it said one outside of the body.
    pub session: Option<&'a str>,
}

/// The edits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restricted {
    /// What is to be changed in the body.
    pub edits: Vec<Edit>,
    /// What of it the client will miss.
    pub notes: Notes,
}

/// Whether an upstream may refuse anything of a body that its format allows.
pub fn restricts(profile: &Profile) -> bool {
    match profile.dialect {
        Dialect::Codex | Dialect::Xai => profile.format == Format::Responses,
        Dialect::Vertex => true,
        Dialect::Native => profile.format == Format::Gemini && !profile.has_token_limit,
        _ => false,
    }
}

/// The edits that make a body one that the upstream takes; `None` when only a translation can.
///
/// # Errors
/// When `text` is not one JSON object.
pub fn restrict(text: &str, restriction: &Restriction<'_>) -> Result<Option<Restricted>, Error> {
    let profile = restriction.target.profile;
    let restricted = match profile.dialect {
        Dialect::Codex if profile.format == Format::Responses => codex::restrict(text, restriction)?,
        Dialect::Xai if profile.format == Format::Responses => xai::restrict(text, restriction)?,
        Dialect::Vertex => Some(vertex::restrict(text)?),
        Dialect::Native if profile.format == Format::Gemini && !profile.has_token_limit => {
            aistudio::restrict(text)?
        }
        _ => Some(Restricted::default()),
    };
    let is_strict = restriction.target.strictness == Strictness::Strict;
    // The translation says what strictness refuses. A compaction has no other way.
    let is_refused = |restricted: &Restricted| is_strict && !restricted.notes.is_empty();
    let passes = |restricted: &Restricted| restriction.purpose == Purpose::Compact || !is_refused(restricted);
    Ok(restricted.filter(passes))
}

/// The client's own name of the conversation, or one that stays the same because its beginning does.
fn conversation(restriction: &Restriction<'_>, instructions: &str, opening: &str) -> Raw {
    let target = restriction.target;
    Raw::string(&match restriction.session {
        Some(session) => session.to_owned(),
        None => id::uuid(&[target.scope.unwrap_or_default(), target.model, instructions, opening]),
    })
}

/// The member `name` of the body.
fn at(name: &str) -> Path {
    Path::root().key(name)
}

/// Notes of `stream_options` what an upstream that does not know them cannot heed: usage it tells in any case, while
/// padding is as it likes it.
fn stream_options(value: &mut Reader<'_>, notes: &mut Notes) -> Result<(), Error> {
    members(value, |name, value| {
        if name != "include_usage" && value.raw()? != "null" {
            notes.add(place::told("stream_options", name));
        }
        Ok(())
    })
}

/// Whether a value says nothing.
fn is_nothing(raw: &str) -> bool {
    matches!(raw, "null" | "false")
}

/// Reads the members of the object at `value`; anything else is skipped.
fn members<'a>(
    value: &mut Reader<'a>,
    each: impl FnMut(&str, &mut Reader<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    if value.kind() == Kind::Object { value.object(each) } else { value.skip() }
}
