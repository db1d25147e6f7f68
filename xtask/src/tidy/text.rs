//! Rules that hold for text of any kind: nothing of the machine it was written on, no file without an introduction.

use std::env::home_dir;
use std::path::Path;

use super::Report;
use crate::tree::{File, Tree};

/// A file longer than this is looked at again: does it answer one question of a reader?
const LONG: usize = 400;

/// Hosts of registries, without their ends so that this list is no finding. Manifests name packages; where they come
/// from is the machine's business, and a mirror serves as well.
const REGISTRIES: [&str; 5] =
    ["index.crates", "static.crates", "registry.npmjs", "files.pythonhosted", "deb.debian"];

/// File and folder names that say nothing about what is inside.
const VAGUE: [&str; 12] = [
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "base",
    "manager",
    "handler",
    "processor",
    "data",
    "info",
];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let folders = machine_folders(&tree.root);
    for file in &tree.files {
        if !file.path.ends_with("Cargo.lock") {
            places(file, &folders, report);
        }
        names(file, report);
    }
    for file in tree.with_extension(".rs") {
        let start = file.text.trim_start();
        let is_readme = start.starts_with("#![doc = include_str!");
        if !start.starts_with("//!") && !is_readme && !start.starts_with("#![no_main]") {
            report.refuse(&file.path, 1, "starts without saying what it is for (`//!`)");
        }
        let lines = file.text.lines().count();
        if lines > LONG {
            report.show(&file.path, 0, format!("{lines} lines"));
        }
    }
    for file in tree.with_extension(".snap") {
        snapshot(tree, file, report);
    }
}

/// Folders of this machine, which mean nothing on another.
fn machine_folders(root: &Path) -> Vec<String> {
    let home = home_dir();
    let folders = [Some(root), root.parent(), home.as_deref()];
    let is_telling = |folder: &&Path| folder.components().count() > 2 || folder.starts_with("/root");
    folders.into_iter().flatten().filter(is_telling).map(|folder| format!("{}/", folder.display())).collect()
}

fn places(file: &File, folders: &[String], report: &mut Report) {
    for (index, line) in file.text.lines().enumerate() {
        if folders.iter().any(|folder| line.contains(folder.as_str())) {
            report.refuse(&file.path, index + 1, "names a folder of this machine");
        }
        if REGISTRIES.iter().any(|host| line.contains(&format!("{host}."))) {
            report.refuse(&file.path, index + 1, "names the host of a package registry");
        }
    }
}

fn names(file: &File, report: &mut Report) {
    for part in file.path.split('/') {
        let stem = part.split('.').next().unwrap_or_default();
        if VAGUE.contains(&stem) {
            report.refuse(&file.path, 0, format!("`{stem}` does not say what is inside"));
        }
    }
}

/// A stored snapshot names the test that made it; when the test went, the snapshot goes.
fn snapshot(tree: &Tree, file: &File, report: &mut Report) {
    let source = file.text.lines().find_map(|line| line.strip_prefix("source: ")).unwrap_or_default();
    let stem = file.path.rsplit('/').next().unwrap_or_default();
    let name = stem.trim_end_matches(".snap").rsplit("__").next().unwrap_or_default();
    let name = name.split('@').next().unwrap_or_default();
    if !tree.text(source).is_some_and(|text| text.contains(name)) {
        report.refuse(&file.path, 0, format!("no test `{name}` in {source}"));
    }
}
