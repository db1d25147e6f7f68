//! The rules of the house that no compiler knows, as a program and as a test.
//!
//! What is refused fails the build: it is a rule. What is shown is a smell, a reason to look again, and fails nothing.
//! Each rule is a function from the checkout to findings; a rule with an exception names it, with its reason, where the
//! rule stands. Lints that clippy has are clippy's (`Cargo.toml`, `clippy.toml`), not repeated here.

mod code;
mod document;
mod order;
mod package;
mod text;

use std::fmt;
use std::io::Write as _;

use crate::tree::Tree;

/// What the rules found.
#[derive(Default)]
struct Report {
    refused: Vec<Finding>,
    shown: Vec<Finding>,
}

/// One place that breaks a rule.
#[derive(Debug)]
struct Finding {
    path: String,
    /// Counted from one; zero for the whole file.
    line: usize,
    what: String,
}

impl Report {
    fn refuse(&mut self, path: &str, line: usize, what: impl Into<String>) {
        self.refused.push(Finding { path: path.to_owned(), line, what: what.into() });
    }

    fn show(&mut self, path: &str, line: usize, what: impl Into<String>) {
        self.shown.push(Finding { path: path.to_owned(), line, what: what.into() });
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Prints what was found; fails when something is refused.
pub(crate) fn print(tree: &Tree) -> anyhow::Result<()> {
    let report = check(tree)?;
    let mut out = std::io::stdout().lock();
    for finding in &report.shown {
        writeln!(out, "shown    {finding}")?;
    }
    for finding in &report.refused {
        writeln!(out, "refused  {finding}")?;
    }
    anyhow::ensure!(report.refused.is_empty(), "{} places break a rule of the house", report.refused.len());
    Ok(())
}

fn check(tree: &Tree) -> anyhow::Result<Report> {
    let mut report = Report::default();
    text::check(tree, &mut report);
    code::check(tree, &mut report)?;
    document::check(tree, &mut report);
    package::check(tree, &mut report)?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let report = check(&Tree::read().unwrap()).unwrap();
        let refused: Vec<String> = report.refused.iter().map(ToString::to_string).collect();
        assert!(refused.is_empty(), "rules of the house are broken:\n{}", refused.join("\n"));
    }
}
