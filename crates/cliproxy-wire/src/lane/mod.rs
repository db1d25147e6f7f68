//! The passthrough lanes: equal formats on both sides, so bodies and streams go through as they are.
//!
//! Lane 1 changes nothing, lane 2 patches single members; translation (lane 3) is the codecs' work. New members and
//! event types of a provider work here on the day they appear, because nothing is understood that need not be:
//! [`peek`] reads of a request what routing needs, [`rewrite`] changes in it what must change, [`restrict`] takes out
//! what a relative of the format refuses, [`counted`] what does not count, [`Relay`], [`Whole`] and [`body`] pass the answer on and read along. What to choose, and where to send, is for the engine.

mod edit;
mod gate;
mod history;
mod image_tool;
mod items;
mod line;
mod peek;
mod relay;
mod restrict;
mod rewrite;
mod tap;
mod whole;
mod x_search;

pub use edit::{AnswerEnvelope, Changes};
pub use history::{Acceptance, repairs};
pub use image_tool::without_image_tool;
pub use peek::{Peek, may_hold_envelope, peek, peek_text};
pub use relay::{Body, Relay, body, body_usage, is_empty};
pub use restrict::{Purpose, Restricted, Restriction, counted, restrict, restricts};
pub use rewrite::{Envelope, Rewrite, rename, rename_in_form, rewrite};
pub use tap::{Progress, Tap};
pub use whole::Whole;
pub use x_search::with_x_search;
