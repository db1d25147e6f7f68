//! Routing: from the model a client names to the credentials that may serve it, and the choice among them.
//!
//! [`Table`] is built once per configuration and immutable; [`select`] is a pure function of the candidates' state.
//! The same function decides in production and explains.

mod select;
mod table;

pub use select::{Choice, Rank, Skip, State, Strategy, explain, select};
pub use table::{Builder, Listed, Offer, Offers, Resolved, Table};
