//! A release that is compiled by what it does (profile-guided optimization): built once so that it counts, run under the
//! benchmark's load, built again by the counts.
//!
//! The benchmark is built the same way, for the bare proxy in it: both sides of a comparison are one compiler's work.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::tree::Tree;

/// Names the program that makes one profile of many counts, where it is not the toolchain's own.
const TOOL: &str = "LLVM_PROFDATA";

pub(crate) fn run(tree: &Tree) -> anyhow::Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree.root.join("target"), PathBuf::from);
    let room = std::path::absolute(target.join("pgo"))?;
    let host = host()?;
    // Asked for first: it is the one thing that may be missing.
    let merging = tool(&host)?;

    let counts = room.join("counts");
    match fs::remove_dir_all(&counts) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("cannot remove the counts of the last time");
        }
        _ => {}
    }
    let counting = build(tree, &host, &room.join("counting"), &flag("-Cprofile-generate=", &counts)?)?;
    done(
        Command::new(counting.join("cliproxy-bench"))
            .args(["--quick", "--gateway"])
            .arg(counting.join("cli-proxy-api")),
        "the benchmark",
    )?;

    let profile = room.join("profile.profdata");
    done(
        Command::new(&merging).arg("merge").arg("--output").arg(&profile).arg(&counts),
        "merging the counts; they need an llvm-profdata that is not older than the compiler's LLVM",
    )?;
    let optimized = build(tree, &host, &room.join("optimized"), &flag("-Cprofile-use=", &profile)?)?;
    writeln!(std::io::stdout(), "{}", optimized.join("cli-proxy-api").display())?;
    Ok(())
}

/// Builds gateway and benchmark; gives the directory that they lie in. With `--target` the flag is not for programs that run
/// while others are built.
fn build(tree: &Tree, host: &str, room: &Path, flag: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::var_os("RUSTFLAGS").unwrap_or_default();
    let own = own.to_str().context("RUSTFLAGS is no text")?;
    // Separated by what no path has in it.
    let flags: Vec<&str> = own.split_whitespace().chain([flag]).collect();
    done(
        Command::new("cargo")
            .args(["build", "--release", "--locked", "--package", "cliproxy", "--package", "cliproxy-bench"])
            .args(["--target", host, "--target-dir"])
            .arg(room)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .current_dir(&tree.root),
        "the build",
    )?;
    Ok(room.join(host).join("release"))
}

fn flag(name: &str, path: &Path) -> anyhow::Result<String> {
    let path = path.to_str().context("the path of the target directory is no text")?;
    Ok(format!("{name}{path}"))
}

fn done(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status =
        command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(status.success(), "{what} failed");
    Ok(())
}

/// What the compiler says of itself.
fn told(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("rustc").args(arguments).output().context("cannot run rustc")?;
    ensure!(output.status.success(), "rustc {} failed", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn host() -> anyhow::Result<String> {
    let version = told(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

fn tool(host: &str) -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os(TOOL) {
        return Ok(named.into());
    }
    let sysroot = PathBuf::from(told(&["--print", "sysroot"])?);
    let own = sysroot.join("lib/rustlib").join(host).join("bin/llvm-profdata");
    ensure!(
        own.exists(),
        "the toolchain has no llvm-profdata: `rustup component add llvm-tools`, or name one in {TOOL}"
    );
    Ok(own)
}
