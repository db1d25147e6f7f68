//! What people see in a real browser, with the real binary behind it. One module per page.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod aistudio;
mod dashboard;
#[path = "../e2e/support/format.rs"]
mod format;
mod origin;

/// The binary under test.
fn binary() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_BIN_EXE_cli-proxy-api"))
}
