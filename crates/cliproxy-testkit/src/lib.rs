#![doc = include_str!("../README.md")]
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    missing_debug_implementations,
    reason = "a failed test set-up ends the test"
)]

mod gateway;
pub mod identity;
pub mod issuer;
pub mod provider;
pub mod sdk;
mod terminal;
mod upstream;

pub use gateway::{Gateway, Killer};
pub use terminal::{Home, Terminal};
pub use upstream::{Received, Script, Upstream};
