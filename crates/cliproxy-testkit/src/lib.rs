#![doc = include_str!("../README.md")]
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    missing_debug_implementations,
    reason = "a failed test set-up ends the test"
)]

use std::io::Write as _;

mod abroad;
mod authority;
pub mod browser;
mod gateway;
pub mod identity;
pub mod issuer;
pub mod provider;
mod proxy;
mod script;
pub mod sdk;
pub mod socket;
mod talker;
mod terminal;
mod upstream;
#[cfg(unix)]
pub mod user;

pub use abroad::Abroad;
pub use authority::{Authority, ServerFiles};
pub use gateway::{Finished, Gateway, Killer, Launch};
pub use proxy::Proxy;
pub use script::{Gate, Script};
pub use talker::{Talk, Talker};
pub use terminal::{Home, Terminal};
pub use upstream::{Received, Upstream};

/// Says why a test cannot run on this machine; where everything has to run, that is a failure.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "this must run in CI: {reason}");
    // Not `eprintln!`, which the test harness holds back when the test passes.
    writeln!(std::io::stderr(), "SKIPPED: {reason}").ok();
}

#[expect(clippy::disallowed_methods, reason = "servers of a test live as long as the test's runtime")]
fn background(work: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(work));
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).expect("written");
}
