//! Where a configuration comes from: a path and what the command line adds.
//!
//! Reading is here because the odd cases of a path (missing, a directory that a container
//! runtime made, not UTF-8) need messages of their own.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::code::Matter;
use super::diagnostic::{Code, Diagnostic, Problems};
use super::file::tree::LARGEST_FILE;

/// Values of the command line; they win over everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Bind address.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Directory of credential files.
    pub auth_dir: Option<PathBuf>,
    /// Serve other machines even without client keys.
    pub allow_unauthenticated_remote: bool,
}

/// A configuration file, or none, with overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The file; absent for defaults only.
    pub path: Option<PathBuf>,
    /// A missing file is a problem.
    pub is_required: bool,
    /// Values of the command line.
    pub overrides: Overrides,
}

impl Source {
    /// A file that must exist.
    pub fn required(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), is_required: true, overrides: Overrides::default() }
    }

    /// A file that may be missing; defaults apply then.
    pub fn optional(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), is_required: false, overrides: Overrides::default() }
    }

    /// The same source with values of the command line.
    #[must_use]
    pub fn with_overrides(mut self, overrides: Overrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// Reads the file.
    pub(crate) fn read(&self) -> Result<Content, Problems> {
        let Some(path) = &self.path else {
            return Ok(Content::Absent);
        };
        match read_text(path) {
            Ok(text) => Ok(Content::Text(text)),
            Err(Unreadable::Missing) if !self.is_required => Ok(Content::Absent),
            Err(unreadable) => {
                let diagnostic = Diagnostic::general(unreadable.matter());
                Err(Problems { file: Some(path.clone()), list: vec![diagnostic], warnings: Vec::new() })
            }
        }
    }
}

/// What is at a source's path.
#[derive(Debug)]
pub(crate) enum Content {
    Absent,
    Text(String),
}

enum Unreadable {
    Missing,
    Directory,
    TooLarge,
    NotText,
    Other(std::io::Error),
}

impl Unreadable {
    fn matter(&self) -> Matter {
        match self {
            Self::Missing => Code::FileMissing.into(),
            Self::Directory => Code::FileIsDirectory.into(),
            Self::TooLarge => Code::FileTooLarge.with("most", LARGEST_FILE >> 20),
            Self::NotText => Code::FileNotText.into(),
            Self::Other(error) => Code::FileUnreadable.with("why", error),
        }
    }
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    let classify = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Unreadable::Missing,
        ErrorKind::IsADirectory => Unreadable::Directory,
        _ if path.is_dir() => Unreadable::Directory,
        _ => Unreadable::Other(error),
    };
    let file = fs::File::open(path).map_err(classify)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(LARGEST_FILE).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(classify)?;
    if bytes.len() > LARGEST_FILE {
        return Err(Unreadable::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_not_text| Unreadable::NotText)
}

/// A hash that tells one content from another.
pub(crate) fn content_hash(text: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().try_into().unwrap_or([0; 32])
}
