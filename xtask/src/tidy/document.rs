//! Rules about documents: generated ones are fresh, and what a document points at exists.

use std::collections::BTreeSet;

use super::Report;
use crate::tree::{File, Tree};

/// First folders of paths that documents name.
const FOLDERS: [&str; 9] =
    ["docs/", "crates/", "fixtures/", "fuzz/", "benches/", "xtask/", "ui/", "packaging/", ".ci/"];

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, text) in crate::documents(tree) {
        if tree.text(path) != Some(text.as_str()) {
            report.refuse(path, 0, "is stale; run `cargo run -p xtask -- docs`");
        }
    }
    for file in tree.with_extension(".md") {
        pointers(tree, file, report);
    }
    for code in crate::errors::unexplained(tree) {
        report.refuse("xtask/src/errors.rs", 0, format!("the code `{code}` is set or explained, not both"));
    }
    invariants(tree, report);
}

/// Every path that a document names exists.
fn pointers(tree: &Tree, file: &File, report: &mut Report) {
    for (index, line) in file.text.lines().enumerate() {
        for word in line.split('`').skip(1).step_by(2) {
            let is_path = FOLDERS.iter().any(|folder| word.starts_with(folder))
                && !word.contains(['{', '*', '<', ' ', '…'])
                && !word.contains("NNNN");
            if is_path && !tree.root.join(word).exists() {
                report.refuse(&file.path, index + 1, format!("points at `{word}`, which does not exist"));
            }
        }
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let is_path = !target.is_empty() && !target.contains(':');
            if is_path && !tree.root.join(folder).join(target).exists() {
                report.refuse(&file.path, index + 1, format!("links to {target}, which does not exist"));
            }
        }
    }
}

/// Every invariant names what holds it: a test, a lint, or a rule of this program.
fn invariants(tree: &Tree, report: &mut Report) {
    let text = tree.text(ARCHITECTURE).unwrap_or_default();
    let known = holders(tree);
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if !line.starts_with("- Invariant:") {
            continue;
        }
        let mut whole = line.to_owned();
        while let Some((_, next)) = lines.next_if(|(_, next)| next.starts_with("  ")) {
            whole.push(' ');
            whole.push_str(next.trim());
        }
        let Some((_, held)) = whole.split_once("Held by ") else {
            report.refuse(ARCHITECTURE, index + 1, "an invariant that names no test (`Held by …`)");
            continue;
        };
        for name in held.split('`').skip(1).step_by(2) {
            if !known.contains(name) {
                report.refuse(ARCHITECTURE, index + 1, format!("nothing is named `{name}`"));
            }
        }
    }
}

/// Names of functions in the sources and of lints in the manifests.
fn holders(tree: &Tree) -> BTreeSet<&str> {
    let functions = tree
        .with_extension(".rs")
        .flat_map(|file| file.text.split("fn ").skip(1))
        .filter_map(|rest| rest.split(['(', '<']).next());
    let lints = ["Cargo.toml", "clippy.toml"]
        .into_iter()
        .filter_map(|path| tree.text(path))
        .flat_map(str::lines)
        .filter_map(|line| line.split(' ').next());
    functions.chain(lints).collect()
}
