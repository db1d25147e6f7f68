//! Chores of the workspace: `cargo run -p xtask -- conformance` writes docs/CONFORMANCE.md from the tests.

mod conformance;

use std::path::Path;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    match std::env::args().nth(1).as_deref() {
        Some("conformance") => conformance::write(root),
        _ => anyhow::bail!("usage: cargo run -p xtask -- conformance"),
    }
}
