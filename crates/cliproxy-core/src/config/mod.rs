//! Configuration: from bytes on disk to plain typed settings.
//!
//! `file` mirrors the YAML as written, `settings` is what it means, `diagnostic` says what is
//! wrong and where, in the words of `code`, `check` shows both to people, `watch` notices changes. `document` edits a
//! text and `keeper` the file, the only place that writes it; `view` and `entries` are what control
//! panels see of it and do to it. Nothing here holds what changes at run time.

pub mod check;
mod code;
pub mod diagnostic;
pub mod document;
pub mod entries;
#[cfg(test)]
mod example;
pub mod file;
pub mod keeper;
pub mod payload;
pub mod settings;
pub mod shape;
mod source;
pub mod view;
pub mod watch;

pub use diagnostic::{Diagnostic, Position, Problems};
pub use settings::Settings;
pub use source::{Overrides, Source};

/// Settings with what was noticed on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Matters that do not prevent a start.
    pub warnings: Vec<Diagnostic>,
    /// Hash of the file's text; absent without a file.
    pub content_hash: Option<[u8; 32]>,
}
