//! The crash test at full length: the gateway is killed thousands of times while it renews a token.
//!
//! The test itself stands in `crates/cliproxy/tests/e2e/crash`; an ordinary test run does a few of its rounds.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::tree::Tree;

/// Rounds of each of the three ways to be killed; a round takes about a tenth of a second.
const ROUNDS: u32 = 1000;
/// More would take hours.
const MOST_ROUNDS: u32 = 20_000;

pub(crate) fn run(tree: &Tree, rounds: Option<&str>) -> anyhow::Result<()> {
    let rounds = rounds.map_or(Ok(ROUNDS), str::parse).context("the number of rounds is no number")?;
    ensure!((1..=MOST_ROUNDS).contains(&rounds), "rounds go from 1 to {MOST_ROUNDS}");
    let status = Command::new("cargo")
        .args(["test", "--package", "cliproxy", "--test", "e2e", "crash::", "--"])
        .args(["--nocapture", "--test-threads=1"])
        .env("CRASH_ROUNDS", rounds.to_string())
        .current_dir(&tree.root)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "a token was lost, or the test could not run");
    Ok(())
}
