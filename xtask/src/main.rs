//! Chores of the workspace.
//!
//! `docs` writes the generated documents, `tidy` checks the rules of the house that no compiler knows; both only read the
//! sources and the package graph. `crash` runs the crash test at full length, `billing` the one of
//! the usage ledger. `pgo` builds the release that is compiled by what it does.

mod billing;
mod conformance;
mod crash;
mod errors;
mod pgo;
mod tidy;
mod tree;

use std::fs;

use anyhow::Context as _;

use tree::Tree;

const USAGE: &str = "usage: cargo run -p xtask -- docs | tidy | crash [ROUNDS] | billing [REQUESTS] | pgo";

fn main() -> anyhow::Result<()> {
    let tree = Tree::read()?;
    match std::env::args().nth(1).as_deref() {
        Some("docs") => write_documents(&tree),
        Some("tidy") => tidy::print(&tree),
        Some("billing") => billing::run(&tree, std::env::args().nth(2).as_deref()),
        Some("pgo") => pgo::run(&tree),
        Some("crash") => crash::run(&tree, std::env::args().nth(2).as_deref()),
        _ => anyhow::bail!(USAGE),
    }
}

/// The generated documents: where each lies and what it has to say.
fn documents(tree: &Tree) -> Vec<(&'static str, String)> {
    vec![("docs/CONFORMANCE.md", conformance::render(tree)), ("docs/ERRORS.md", errors::render())]
}

#[expect(clippy::disallowed_methods, reason = "a generated document needs no atomic writer")]
fn write_documents(tree: &Tree) -> anyhow::Result<()> {
    for (path, text) in documents(tree) {
        fs::write(tree.root.join(path), text).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}
