//! Where other programs keep their logins.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Loan, format};
use crate::credential::Record;
use crate::env::{self, Env};
use crate::store::LONGEST_DOCUMENT;

/// A file in which another program keeps a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The program's name.
    pub program: &'static str,
    /// The file.
    pub path: PathBuf,
}

/// A login that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// What it is, or why it cannot be used.
    pub loan: Result<Loan, String>,
}

/// Looks where the programs that we know keep their logins. `auth_dir` is our own place, which is none of them.
pub fn find(env: &dyn Env, auth_dir: &Path) -> Vec<Found> {
    let Some(home) = env.get(env::HOME).or_else(|| env.get(env::USERPROFILE)).map(PathBuf::from) else {
        return Vec::new();
    };
    let of = |variable: &str, usual: &str| env.get(variable).map_or_else(|| home.join(usual), PathBuf::from);
    let place = |program, path| Place { program, path };
    let claude = of(env::CLAUDE_CONFIG_DIR, ".claude");
    let mut found = Vec::new();
    for (provider, place) in [
        ("codex", place("Codex", of(env::CODEX_HOME, ".codex").join("auth.json"))),
        ("claude", place("Claude Code", claude.join(".credentials.json"))),
        ("gemini-cli", place("Gemini CLI", home.join(".gemini/oauth_creds.json"))),
        ("qwen", place("Qwen Code", home.join(".qwen/oauth_creds.json"))),
    ] {
        let Some(read) = read(&place.path) else { continue };
        let loan = read.and_then(|content| parse(provider, &content)).map(|loan| match provider {
            "claude" => named(loan, &home, &claude),
            _ => loan,
        });
        found.push(Found { place, loan });
    }
    found.extend(auth_files(&home.join(".cli-proxy-api"), auth_dir));
    found
}

fn parse(provider: &str, content: &[u8]) -> Result<Loan, String> {
    let body: Value =
        serde_json::from_slice(content).map_err(|_may_hold_tokens| "the file is not JSON".to_owned())?;
    format::read(provider, &body).ok_or_else(|| match body.get("OPENAI_API_KEY") {
        Some(Value::String(_)) => {
            "it holds an API key and no login; put the key under `codex-api-key` in config.yaml".to_owned()
        }
        _ => "the file holds no login".to_owned(),
    })
}

/// Claude Code says in another file whose account it is.
fn named(loan: Loan, home: &Path, directory: &Path) -> Loan {
    let places = [directory.join(".claude.json"), home.join(".claude.json")];
    let settings = places.iter().find_map(|path| serde_json::from_slice(&read(path)?.ok()?).ok());
    match settings {
        Some(settings) => format::with_claude_account(loan, &settings),
        None => loan,
    }
}

/// The files of another auth directory.
fn auth_files(directory: &Path, own: &Path) -> Vec<Found> {
    let same = |left: &Path, right: &Path| matches!((left.canonicalize(), right.canonicalize()), (Ok(left), Ok(right)) if left == right);
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    if same(directory, own) {
        return Vec::new();
    }
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| auth_file(&path)).collect()
}

fn auth_file(path: &Path) -> Option<Found> {
    let name = path.file_name()?.to_str().filter(|name| !name.starts_with('.'))?;
    if !path.extension()?.eq_ignore_ascii_case("json") {
        return None;
    }
    let content = read(path)?.ok()?;
    let record = Record::parse(&content).ok()?;
    let Ok(Value::Object(members)) = serde_json::from_slice(&content) else { return None };
    let loan = format::auth_file(&record, &members, name)
        .ok_or_else(|| format!("logins of the provider `{}` are not known", record.provider()));
    let place = Place { program: "another gateway", path: path.to_owned() };
    Some(Found { place, loan })
}

/// A file's content; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Option<Result<Vec<u8>, String>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return None;
        }
        Err(error) => return Some(Err(format!("the file cannot be read: {error}"))),
    };
    let mut content = Vec::new();
    Some(match file.take(LONGEST_DOCUMENT).read_to_end(&mut content) {
        Ok(_) => Ok(content),
        Err(error) => Err(format!("the file cannot be read: {error}")),
    })
}
