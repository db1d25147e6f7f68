//! Builds the dashboard: `npm ci` where packages are missing or others are locked, then Vite, into cargo's own folder.
//!
//! It runs again when something below `ui/` has changed and otherwise not. What fails does not fail the program: a page
//! that says what is missing takes the place. `CLIPROXY_DASHBOARD=build` wants the dashboard and fails without it,
//! `off` leaves it out, and a path names a folder that holds the result of `npm run build`.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CHOICE: &str = "CLIPROXY_DASHBOARD";

/// What the result depends on, below `ui/`.
const SOURCES: [&str; 6] =
    ["src", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];

/// Oldest Node that Vite runs on.
const OLDEST: (u32, u32) = (20, 19);

type Outcome<T> = Result<T, String>;

fn main() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={CHOICE}");
    let choice = env::var_os(CHOICE).and_then(|choice| choice.into_string().ok()).unwrap_or_default();
    let built = match choice.as_str() {
        "off" => Err(format!("{CHOICE} is off")),
        "" | "build" => {
            for source in SOURCES.iter().map(|source| ui.join(source)).filter(|source| source.exists()) {
                println!("cargo::rerun-if-changed={}", source.display());
            }
            build(&ui, &out)
        }
        folder => {
            println!("cargo::rerun-if-changed={folder}");
            Ok(PathBuf::from(folder))
        }
    };
    let list = built.and_then(|folder| listed(&folder));
    if let Err(why) = &list {
        if !matches!(choice.as_str(), "" | "off") {
            println!("cargo::error=the dashboard cannot be built: {why}");
        } else if choice.is_empty() {
            println!("cargo::warning=the dashboard is left out: {why}");
        }
    }
    let text = list.unwrap_or_else(|_why| "&[]".to_owned());
    if let Err(error) = write(&out.join("files.rs"), text.as_bytes()) {
        println!("cargo::error=cannot write the list of files: {error}");
    }
}

/// The folder with the result.
fn build(ui: &Path, out: &Path) -> Outcome<PathBuf> {
    check_node()?;
    install(ui)?;
    let folder = out.join("dist");
    let vite = ui.join("node_modules/vite/bin/vite.js");
    let mut command = Command::new("node");
    // Vite bundles its own configuration into a file unless told to run it.
    command
        .arg(vite)
        .args(["build", "--configLoader", "runner", "--logLevel", "warn", "--outDir"])
        .arg(&folder);
    run(command.current_dir(ui), "vite build")?;
    Ok(folder)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build has no writer of its own, and is done again when it breaks"
)]
fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    fs::write(path, content)
}

fn check_node() -> Outcome<()> {
    let output =
        Command::new("node").arg("--version").output().map_err(|_absent| "there is no Node.js".to_owned())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers =
        text.trim().trim_start_matches('v').split('.').map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if version < OLDEST {
        return Err(format!("Node.js {}.{} or newer is needed, not {}", OLDEST.0, OLDEST.1, text.trim()));
    }
    Ok(())
}

/// Installs what the lock file says, unless that is there already.
fn install(ui: &Path) -> Outcome<()> {
    let stamp = ui.join("node_modules/.locked");
    let locked = fs::read(ui.join("package-lock.json")).map_err(|error| format!("no lock file: {error}"))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == locked) {
        return Ok(());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut command = Command::new(npm);
    // No package runs a script of its own here.
    command.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=1",
        "--fetch-timeout=30000",
    ]);
    run(command.current_dir(ui), "npm ci")?;
    write(&stamp, &locked).map_err(|error| format!("cannot write {}: {error}", stamp.display()))
}

fn run(command: &mut Command, name: &str) -> Outcome<()> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{name} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let first: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).take(4).collect();
    Err(format!("{name} failed: {}", first.join(" | ")))
}

/// The files as the source text of a list, the page first.
fn listed(folder: &Path) -> Outcome<String> {
    let mut paths = Vec::new();
    walk(folder, folder, &mut paths)?;
    paths.sort_by_key(|path| (path != "index.html", path.clone()));
    if paths.first().is_none_or(|path| path != "index.html") {
        return Err(format!("{} holds no index.html", folder.display()));
    }
    let mut text = "&[\n".to_owned();
    for path in paths {
        let kind = content_type(&path)?;
        let full = folder.join(&path).display().to_string();
        let tag = tag(&full)?;
        let brotli = format!("{full}.br");
        writeln!(
            text,
            "File {{ path: {path:?}, content_type: {kind:?}, tag: {tag:?}, brotli: include_bytes!({brotli:?}) }},"
        )
        .map_err(|error| error.to_string())?;
    }
    text.push(']');
    Ok(text)
}

/// The same for the same content, whoever builds it.
fn tag(path: &str) -> Outcome<String> {
    let content = fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&content);
    Ok(format!("{:016x}", hasher.finish()))
}

fn walk(root: &Path, folder: &Path, paths: &mut Vec<String>) -> Outcome<()> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            walk(root, &path, paths)?;
            continue;
        }
        let is_packed = path.extension().is_some_and(|extension| extension == "br");
        if let (false, Ok(relative)) = (is_packed, path.strip_prefix(root)) {
            paths.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

fn content_type(path: &str) -> Outcome<&'static str> {
    Ok(match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => return Err(format!("nobody knows what {path} is")),
    })
}
