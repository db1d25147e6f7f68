//! Logging in: a conversation with an identity provider, held with a person, to the saved account.
//!
//! What is said is the provider's ([`crate::oauth`]); here are sockets, time and people, so that the command line, the
//! management interface and an embedding program log in by the same code. A [`session`] is one login. What it was told
//! is on disk before it is used (`journal`), so that a login that is cut off is finished later ([`earlier`]).

pub mod callback;
mod driver;
pub mod earlier;
mod journal;
mod save;
pub mod session;
pub mod talk;
mod trail;

pub use save::{Saved, save};
