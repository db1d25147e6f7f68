//! The order of a crate's rooms: what a top-level module may use of its own crate.
//!
//! A circle between rooms means that none can be understood, moved or tested without the others, and no compiler
//! objects to one. The order stands in `docs/ARCHITECTURE.md`, where people read it, and is read from there, so that
//! the two cannot differ. Tests may look up.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use crate::tree::Tree;

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
/// The heading above the order of a crate, before the crate's name.
const HEADING: &str = "### The rooms of `";

/// The crates that have an order.
pub(super) struct Orders(Vec<Order>);

/// The rooms of one crate.
struct Order {
    /// Where the crate's sources are, with a slash at the end.
    folder: String,
    /// Rooms, each with its line, counted from the top.
    rooms: BTreeMap<String, usize>,
}

impl Orders {
    /// Reads the orders: below each heading a block with one line of rooms above the other.
    pub(super) fn read(tree: &Tree) -> Self {
        let text = tree.text(ARCHITECTURE).unwrap_or_default();
        let order = |part: &str| {
            let (name, rest) = part.split_once('`')?;
            let block = rest.split("```").nth(1)?;
            let rooms = block
                .lines()
                .enumerate()
                .flat_map(|(level, line)| line.split(',').map(move |room| (room.trim().to_owned(), level)));
            Some(Order {
                folder: format!("crates/{name}/src/"),
                rooms: rooms.filter(|(room, _)| !room.is_empty()).collect(),
            })
        };
        Self(text.split(HEADING).skip(1).filter_map(order).collect())
    }

    /// What a path in a file breaks, if anything.
    pub(super) fn breach(&self, file: &str, path: &[String]) -> Option<String> {
        let order = self.0.iter().find(|order| file.starts_with(&order.folder))?;
        let inside = file.strip_prefix(&order.folder)?;
        let own = room_of(inside);
        let [root, used, ..] = path else { return None };
        let is_top = matches!(inside.strip_prefix(own), Some(".rs" | "/mod.rs"));
        if root != "crate" && !(root == "super" && is_top) {
            return None;
        }
        let (from, to) = (order.rooms.get(own)?, order.rooms.get(used)?);
        (used != own && from >= to)
            .then(|| format!("`{own}` uses `{used}`, which does not stand below it in {ARCHITECTURE}"))
    }
}

/// Every room of such a crate has its place, and every place its room.
pub(super) fn check(tree: &Tree, orders: &Orders, report: &mut Report) {
    if orders.0.is_empty() {
        report.refuse(ARCHITECTURE, 0, format!("no order of rooms (`{HEADING}…`)"));
    }
    for order in &orders.0 {
        let built: BTreeSet<&str> = tree
            .with_extension(".rs")
            .filter_map(|file| file.path.strip_prefix(&order.folder))
            .map(room_of)
            .filter(|room| !matches!(*room, "lib" | "main"))
            .collect();
        let placed: BTreeSet<&str> = order.rooms.keys().map(String::as_str).collect();
        for room in built.difference(&placed) {
            report.refuse(ARCHITECTURE, 0, format!("{}{room} has no place in the order", order.folder));
        }
        for room in placed.difference(&built) {
            report.refuse(ARCHITECTURE, 0, format!("{}{room} does not exist", order.folder));
        }
    }
}

/// The top-level module of a file.
fn room_of(inside: &str) -> &str {
    inside.split(['/', '.']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let file = |&(path, text): &(&str, &str)| File { path: path.to_owned(), text: text.to_owned() };
        Tree { root: "/".into(), files: files.iter().map(file).collect() }
    }

    fn breach(file: &str, path: &str) -> Option<String> {
        let text =
            "### The rooms of `x`\n\nFrom the top:\n\n```\nengine\nroute, store\nfailure\n```\n\n`more`";
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        Orders::read(&tree(&[(ARCHITECTURE, text)])).breach(&format!("crates/x/src/{file}"), &path)
    }

    #[test]
    fn a_room_uses_what_stands_below_it_and_nothing_else() {
        for (file, path) in [
            ("engine/mod.rs", "crate::route::Table"),
            ("engine/mod.rs", "crate::failure"),
            ("route/table.rs", "crate::route::select"),
            ("route/table.rs", "super::engine"),
            ("route.rs", "super::failure"),
            ("lib.rs", "crate::engine::Engine"),
            ("route.rs", "std::engine"),
        ] {
            assert_eq!(breach(file, path), None, "{file} {path}");
        }
        for (file, path) in [
            ("route/table.rs", "crate::engine::Engine"),
            ("failure.rs", "crate::route"),
            ("failure.rs", "super::route"),
            ("route/mod.rs", "super::store::Store"),
            ("store/file.rs", "crate::route::Table"),
        ] {
            assert!(breach(file, path).is_some(), "{file} {path}");
        }
    }

    #[test]
    fn a_room_without_a_place_and_a_place_without_a_room_are_refused() {
        let text = "### The rooms of `x`\n```\nengine\ngone\n```\n";
        let files = [
            (ARCHITECTURE, text),
            ("crates/x/src/lib.rs", ""),
            ("crates/x/src/engine/mod.rs", ""),
            ("crates/x/src/new.rs", ""),
        ];
        let mut report = Report::default();
        let tree = tree(&files);
        check(&tree, &Orders::read(&tree), &mut report);
        let found: Vec<&str> = report.refused.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(found, ["crates/x/src/new has no place in the order", "crates/x/src/gone does not exist"]);
    }
}
