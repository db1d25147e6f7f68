//! Scripted upstreams and a running gateway, for the tests of the workspace.
//!
//! An [`Upstream`] is a real HTTP server that answers by script and records what it was asked; it can pause, cut and
//! refuse, which request-matching mocks cannot. A [`Gateway`] is the real binary on a free port.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    missing_debug_implementations,
    reason = "a failed test set-up ends the test"
)]

mod gateway;
pub mod provider;
pub mod sdk;
mod upstream;

pub use gateway::Gateway;
pub use upstream::{Received, Script, Upstream};
