//! What is wrong with a configuration, and where.
//!
//! One type serves errors ("problems") and warnings, because both need the same things: position,
//! path, message, suggestion, and a [code](Code) with values that interfaces translate by. A
//! [`Report`] collects them while a file is read, so that a person sees everything at once instead
//! of one error per start. Messages never quote the file: a line of it may hold a key.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::code::Matter;
pub use super::code::{Code, NOUNS, Values};

/// A place in the file, both numbers from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, counted in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// Where a value came from: its YAML path and the places of its key and of the value itself.
///
/// Two origins always compare equal: where something was written is not part of what it says,
/// so a moved line is not a changed setting.
#[derive(Clone, Debug)]
pub struct Origin {
    /// YAML path, such as `claude-api-key[0].proxy-url`.
    pub path: Arc<str>,
    /// Place of the key, or of the list item.
    pub key: Position,
    /// Place of the value.
    pub value: Position,
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

/// One problem or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Place in the file, absent when the matter is not about one place.
    pub position: Option<Position>,
    /// YAML path, empty for the document as a whole.
    pub path: String,
    /// What it is about.
    pub code: Code,
    /// What its texts say in their places.
    pub values: Values,
    /// What is wrong: lower case, without final dot, without any text of the file.
    pub message: String,
    /// What to do about it.
    pub suggestion: Option<String>,
}

impl Diagnostic {
    /// A matter of the whole file.
    pub(crate) fn general(matter: impl Into<Matter>) -> Self {
        Self::new(None, "", matter.into())
    }

    fn new(position: Option<Position>, path: &str, matter: Matter) -> Self {
        let (message, suggestion) = (matter.message(), matter.advice());
        let Matter { code, values } = matter;
        Self { position, path: path.to_owned(), code, values, message, suggestion }
    }

    /// The text for people, with the file's name in front when there is one.
    pub fn render(&self, file: Option<&Path>) -> String {
        let mut place = file.map(|file| format!("{}:", file.display())).unwrap_or_default();
        place.extend(self.position.map(|position| format!("{position}:")));
        let mut parts = Vec::new();
        if !place.is_empty() {
            parts.push(place);
        }
        if !self.path.is_empty() {
            parts.push(format!("{}:", self.path));
        }
        match &self.suggestion {
            Some(suggestion) => parts.push(format!("{}; {suggestion}", self.message)),
            None => parts.push(self.message.clone()),
        }
        parts.join(" ")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(None))
    }
}

/// Why a configuration cannot be used: every problem that was found, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file, when there is one.
    pub file: Option<PathBuf>,
    /// The problems; never empty.
    pub list: Vec<Diagnostic>,
    /// Warnings found on the way.
    pub warnings: Vec<Diagnostic>,
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> =
            self.list.iter().map(|problem| problem.render(self.file.as_deref())).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// Collects what is found while a file is read and validated.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Paths without list indexes that were already reported as ignored on purpose.
    ignored: BTreeSet<String>,
}

impl Report {
    /// Adds a problem about a value.
    pub(crate) fn problem(&mut self, origin: &Origin, matter: impl Into<Matter>) {
        self.problem_at(origin.value, &origin.path, matter);
    }

    /// Adds a problem at a place.
    pub(crate) fn problem_at(&mut self, position: Position, path: &str, matter: impl Into<Matter>) {
        self.problems.push(Diagnostic::new(Some(position), path, matter.into()));
    }

    /// Adds a problem of the whole file.
    pub(crate) fn problem_general(&mut self, matter: impl Into<Matter>) {
        self.problems.push(Diagnostic::general(matter));
    }

    /// Adds a warning about a value.
    pub(crate) fn warning(&mut self, origin: &Origin, matter: impl Into<Matter>) {
        self.warning_at(origin.value, &origin.path, matter);
    }

    /// Adds a warning about a key.
    pub(crate) fn warning_key(&mut self, origin: &Origin, matter: impl Into<Matter>) {
        self.warning_at(origin.key, &origin.path, matter);
    }

    /// Adds a warning at a place.
    pub(crate) fn warning_at(&mut self, position: Position, path: &str, matter: impl Into<Matter>) {
        self.warnings.push(Diagnostic::new(Some(position), path, matter.into()));
    }

    /// Adds a warning of the whole file.
    pub(crate) fn warning_general(&mut self, matter: impl Into<Matter>) {
        self.warnings.push(Diagnostic::general(matter));
    }

    /// Whether anything was found so far that keeps the file from being used.
    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Notes a key that is ignored on purpose: one warning per key and load, also in lists.
    pub(crate) fn ignored(&mut self, position: Position, path: &str, code: Code) {
        if self.ignored.insert(without_indexes(path)) {
            self.warning_at(position, path, code);
        }
    }

    /// The warnings, or everything when there are problems; both in file order.
    pub(crate) fn finish(mut self, file: Option<&Path>) -> Result<Vec<Diagnostic>, Problems> {
        self.warnings.sort_by_key(|warning| warning.position);
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        self.problems.sort_by_key(|problem| problem.position);
        Err(Problems { file: file.map(Path::to_owned), list: self.problems, warnings: self.warnings })
    }
}

fn without_indexes(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut is_inside = false;
    for character in path.chars() {
        match character {
            '[' => is_inside = true,
            ']' => is_inside = false,
            _ if is_inside => {}
            other => plain.push(other),
        }
    }
    plain
}
