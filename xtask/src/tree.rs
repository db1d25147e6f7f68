//! The checkout as the chores see it: every text file that belongs to the project, read once.
//!
//! Folders that tools fill (`target`, installed packages) are left out, so that a chore sees the same whether or not
//! anything was built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Every text file of the project, in the order of their paths.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<File>,
}

/// One text file.
pub(crate) struct File {
    /// Relative to the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    /// Reads the checkout that this program was built from.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
        let mut files = Vec::new();
        gather(root, "", &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { root: root.to_owned(), files })
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// The files whose names end in `extension`, dot included.
    pub(crate) fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(extension))
    }
}

fn gather(folder: &Path, prefix: &str, files: &mut Vec<File>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if !is_filled_by_tools(&path, &name) {
                gather(&entry.path(), &format!("{path}/"), files)?;
            }
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push(File { path, text });
        }
    }
    Ok(())
}

fn is_filled_by_tools(path: &str, name: &str) -> bool {
    matches!(name, "target" | "node_modules" | "__pycache__")
        || (name.starts_with('.') && !matches!(name, ".ci" | ".github"))
        || matches!(path, "fuzz/corpus" | "fuzz/artifacts" | "fuzz/coverage")
}
