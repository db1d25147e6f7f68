//! Logins and renewals: what is said to identity providers.
//!
//! A conversation is a [`Flow`]: a state machine without I/O that a provider's folder makes and a driver performs, so
//! that the command line, the management interface and an embedding program log in by the same code, and a test needs
//! no network. Addresses and client ids are data ([`Identity`]) that configuration can override. Where the tokens
//! live is the business of [`crate::credential`].

pub mod assertion;
pub mod callback;
pub(crate) mod chain;
mod claims;
pub(crate) mod code;
pub mod desk;
pub(crate) mod device;
pub(crate) mod driver;
pub mod earlier;
pub(crate) mod exchange;
pub mod flow;
pub mod identity;
mod journal;
pub mod login;
pub(crate) mod message;
mod pkce;
mod save;
pub mod session;
mod state;
pub mod talk;
mod trail;

pub use claims::claims;
pub use driver::Line;
pub(crate) use driver::Unanswered;
pub use flow::{Answer, Flow, Input, Notice, Question, Refusal, RefusalKind, Request, Step};
pub use identity::Identity;
pub use login::{Grant, Login, Redirect};
pub use message::Tokens;
pub use pkce::Pkce;
pub use save::{Saved, save};
pub(crate) use save::{find_account, free_name};
pub use state::State;
