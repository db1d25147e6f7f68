//! Rules about packages: which crate may use which, and `deny.toml` (licences, duplicates, bans).
//!
//! `cargo deny` reads the same `deny.toml` and knows more, advisories above all, but takes longer to build than the
//! whole workspace takes to test. What a change can break unnoticed is checked here from cargo's own package graph.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

use super::Report;
use crate::tree::Tree;

/// What each crate of ours may use in what it ships. A crate that is not here may not exist without a thought about
/// where it stands.
const EDGES: &[(&str, &[&str])] = &[
    ("cliproxy-wire", &[]),
    ("cliproxy-core", &["cliproxy-wire"]),
    ("cliproxy-stores", &["cliproxy-core"]),
    ("cliproxy-dashboard", &[]),
    ("cliproxy-server", &["cliproxy-core", "cliproxy-dashboard", "cliproxy-wire"]),
    ("cliproxy", &["cliproxy-core", "cliproxy-server", "cliproxy-stores"]),
    ("cliproxy-testkit", &["cliproxy-core", "cliproxy-server", "cliproxy-wire"]),
    ("cliproxy-bench", &["cliproxy-core"]),
    ("xtask", &["cliproxy-wire"]),
];

/// What the pure crate may not even reach for: a runtime, sockets, clocks, chance.
const IMPURE: [&str; 8] = ["tokio", "hyper", "reqwest", "rustls", "jiff", "rand", "uuid", "tracing"];

const MANIFEST: &str = "Cargo.toml";
const DENY: &str = "deny.toml";
const DASHBOARD: &str = "ui/package.json";
const DEPENDENCIES: &str = "docs/DEPENDENCIES.md";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Member>,
}

/// A crate of ours.
#[derive(Deserialize)]
struct Member {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// A package of somebody else that is compiled here.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    license: String,
}

/// What npm installs for the dashboard.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Packages {
    dependencies: BTreeMap<String, String>,
    dev_dependencies: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Entry>,
    skip: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

pub(super) fn check(tree: &Tree, report: &mut Report) -> anyhow::Result<()> {
    let deny: Deny = toml::from_str(tree.text(DENY).context("deny.toml is missing")?)?;
    let metadata = cargo(tree, &["metadata", "--format-version", "1", "--locked", "--no-deps"])?;
    let metadata: Metadata =
        serde_json::from_str(&metadata).context("cannot read what cargo metadata wrote")?;
    edges(&metadata.packages, report);
    documented(tree, &metadata.packages, report);
    packages_of_the_dashboard(tree, report)?;
    let foreign = foreign(tree)?;
    licenses(&foreign, &deny.licenses, report);
    bans(&foreign, &deny.bans, report);
    Ok(())
}

/// What is compiled on this platform; packages of other platforms need not be on the machine.
fn foreign(tree: &Tree) -> anyhow::Result<BTreeSet<Package>> {
    let lines = ["tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--prefix", "none"];
    let lines = cargo(tree, &[&lines[..], &["--format", "{p}|{l}|"]].concat())?;
    let package = |line: &str| {
        let mut parts = line.split('|');
        let mut words = parts.next()?.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        let is_ours = words.next().is_some_and(|place| place.starts_with("(/"));
        let license = parts.next()?.to_owned();
        (!is_ours).then(|| Package { name: name.to_owned(), version: version.to_owned(), license })
    };
    Ok(lines.lines().filter_map(package).collect())
}

fn cargo(tree: &Tree, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(&tree.root)
        .output()
        .context("cannot run cargo")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "cargo {} failed: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).context("cargo wrote something that is no text")
}

fn edges(ours: &[Member], report: &mut Report) {
    let names: BTreeSet<&str> = ours.iter().map(|package| package.name.as_str()).collect();
    for package in ours {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            report.refuse(
                MANIFEST,
                0,
                format!("{}: a crate without a place in the order of crates", package.name),
            );
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let is_shipped = dependency.kind.as_deref() != Some("dev");
            if is_shipped && names.contains(name) && !allowed.contains(&name) {
                report.refuse(MANIFEST, 0, format!("{} may not use {name}", package.name));
            }
            if is_shipped && package.name == "cliproxy-wire" && IMPURE.contains(&name) {
                report.refuse(MANIFEST, 0, format!("cliproxy-wire is pure and may not use {name}"));
            }
        }
    }
}

/// Every package that we chose has its line in `docs/DEPENDENCIES.md`, and only those.
fn documented(tree: &Tree, ours: &[Member], report: &mut Report) {
    let text = tree.text(DEPENDENCIES).unwrap_or_default();
    let rust = text.split("\nPackages of ").next().unwrap_or_default();
    let listed: BTreeSet<&str> = rust
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|cell| cell.split(", "))
        .filter(|name| *name != "crate")
        .collect();
    let names: BTreeSet<&str> = ours.iter().map(|package| package.name.as_str()).collect();
    let chosen: BTreeSet<&str> = ours
        .iter()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.as_str())
        .filter(|name| !names.contains(name))
        .collect();
    for name in chosen.difference(&listed) {
        report.refuse(DEPENDENCIES, 0, format!("does not say why {name} is here"));
    }
    for name in listed.difference(&chosen) {
        report.refuse(DEPENDENCIES, 0, format!("{name} is not used"));
    }
}

/// Each package of the dashboard by its name, or by its scope as `@scope/*`.
fn packages_of_the_dashboard(tree: &Tree, report: &mut Report) -> anyhow::Result<()> {
    let text = tree.text(DEPENDENCIES).unwrap_or_default();
    let packages: Packages =
        serde_json::from_str(tree.text(DASHBOARD).context("ui/package.json is missing")?)?;
    for name in packages.dependencies.keys().chain(packages.dev_dependencies.keys()) {
        let scope = name.split_once('/').map(|(scope, _)| format!("{scope}/*"));
        if !text.contains(name.as_str()) && !scope.is_some_and(|scope| text.contains(&scope)) {
            report.refuse(DEPENDENCIES, 0, format!("does not say why {name} is here"));
        }
    }
    Ok(())
}

fn licenses(foreign: &BTreeSet<Package>, rule: &Licenses, report: &mut Report) {
    for package in foreign {
        let text = package.license.as_str();
        let Ok(expression) = spdx::Expression::parse_mode(text, spdx::ParseMode::LAX) else {
            report.refuse(DENY, 0, format!("{}: cannot read the licence `{text}`", package.name));
            continue;
        };
        if !expression.evaluate(|required| rule.allow.contains(&required.to_string())) {
            report.refuse(DENY, 0, format!("{}: the licence `{text}` is not allowed", package.name));
        }
    }
}

fn bans(foreign: &BTreeSet<Package>, rule: &Bans, report: &mut Report) {
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in foreign {
        if let Some(ban) = rule.deny.iter().find(|ban| ban.name == package.name) {
            report.refuse(DENY, 0, format!("{} is banned: {}", package.name, ban.reason));
        }
        versions.entry(&package.name).or_default().insert(major(&package.version));
    }
    let mut known: BTreeSet<&str> = rule.skip.iter().map(|entry| entry.name.as_str()).collect();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let tolerated = versions.iter().filter(|version| known.remove(format!("{name}@{version}").as_str()));
        if versions.len() - tolerated.count() > 1 {
            let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
            report.refuse(DENY, 0, format!("{name} is here in versions {}", versions.join(" and ")));
        }
    }
    for name in known {
        report.refuse(DENY, 0, format!("{name} is no longer a second version"));
    }
}

/// What decides whether two versions can be one: the first number that is not zero.
fn major(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (Some(major), _) => major.to_owned(),
        (None, _) => version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, license: &str) -> Package {
        Package { name: name.to_owned(), version: version.to_owned(), license: license.to_owned() }
    }

    fn entry(name: &str) -> Entry {
        Entry { name: name.to_owned(), reason: "a reason".to_owned() }
    }

    #[test]
    fn a_licence_outside_the_list_is_refused() {
        let rule = Licenses { allow: vec!["MIT".to_owned(), "ISC".to_owned()] };
        let mut report = Report::default();
        let packages = [package("a", "1.0.0", "GPL-3.0/MIT"), package("b", "1.0.0", "ISC AND GPL-3.0")];
        licenses(&packages.into(), &rule, &mut report);
        let found: Vec<String> = report.refused.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["deny.toml: b: the licence `ISC AND GPL-3.0` is not allowed"]);
    }

    #[test]
    fn second_versions_need_an_entry_and_entries_need_a_second_version() {
        let rule = Bans { deny: vec![entry("ring")], skip: vec![entry("b@0.3"), entry("gone@1")] };
        let mut report = Report::default();
        let packages = [
            package("a", "1.2.0", "MIT"),
            package("a", "2.0.0", "MIT"),
            package("b", "0.3.1", "MIT"),
            package("b", "0.4.0", "MIT"),
            package("c", "1.2.0", "MIT"),
            package("c", "1.9.0", "MIT"),
            package("ring", "0.17.0", "MIT"),
        ];
        bans(&packages.into(), &rule, &mut report);
        let found: Vec<String> = report.refused.iter().map(|finding| finding.what.clone()).collect();
        assert_eq!(
            found,
            [
                "ring is banned: a reason",
                "a is here in versions 1 and 2",
                "gone@1 is no longer a second version"
            ]
        );
    }

    #[test]
    fn a_crate_may_not_use_what_stands_above_it() {
        let member = |name: &str, uses: &[&str]| Member {
            name: name.to_owned(),
            dependencies: uses
                .iter()
                .map(|name| Dependency { name: (*name).to_owned(), kind: None })
                .collect(),
        };
        let wire = member("cliproxy-wire", &["cliproxy-core", "tokio"]);
        let core = member("cliproxy-core", &["cliproxy-wire", "tokio"]);
        let mut report = Report::default();
        edges(&[wire, core], &mut report);
        assert_eq!(report.refused.len(), 2, "{:?}", report.refused);
    }
}
