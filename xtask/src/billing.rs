//! The billing test at full length: does the ledger equal what a scripted upstream billed, over a million requests?
//!
//! The test itself stands in `crates/cliproxy/tests/e2e/billing.rs`; an ordinary test run makes a few of its requests.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::tree::Tree;

/// Requests.
const REQUESTS: u32 = 1_000_000;

pub(crate) fn run(tree: &Tree, requests: Option<&str>) -> anyhow::Result<()> {
    let requests =
        requests.map_or(Ok(REQUESTS), str::parse).context("the number of requests is no number")?;
    ensure!(requests > 0, "there must be a request");
    // A million of them is for a program as fast as it is for people.
    let status = Command::new("cargo")
        .args([
            "test",
            "--release",
            "--package",
            "cliproxy",
            "--test",
            "e2e",
            "billing::",
            "--",
            "--nocapture",
        ])
        .env("BILLING_REQUESTS", requests.to_string())
        .current_dir(&tree.root)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the ledger and the bill differ, or the test could not run");
    Ok(())
}
