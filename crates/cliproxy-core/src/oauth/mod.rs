//! Logins and renewals: what is said to identity providers.
//!
//! A conversation is a [`Flow`]: a state machine without I/O that a provider's folder makes and somebody else performs
//! ([`crate::login`] with people, [`crate::refresh`] without), so that a test needs no network. Addresses and client ids
//! are data ([`Identity`]) that configuration can override. Requests go over a [`Line`], the one part that has I/O.

pub mod assertion;
pub(crate) mod chain;
mod claims;
pub(crate) mod code;
pub(crate) mod device;
pub(crate) mod exchange;
pub mod flow;
pub mod identity;
mod line;
pub mod login;
pub(crate) mod message;
mod pkce;
mod state;

pub use claims::claims;
pub(crate) use flow::Kept;
pub use flow::{Answer, Flow, Input, Notice, Question, Refusal, RefusalKind, Request, Step};
pub use identity::Identity;
pub use line::Line;
pub(crate) use line::Unanswered;
pub use login::{Grant, Login, Redirect};
pub use message::Tokens;
pub use pkce::Pkce;
pub use state::State;
