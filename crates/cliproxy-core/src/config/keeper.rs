//! The configuration file as something that management interfaces change.
//!
//! Every change goes one way: read the file, edit it, validate what came out, keep the version before, write, apply.
//! What does not validate and what somebody else overtook is refused, and the file stays as it is. People may edit the
//! same file at any time; [`super::watch`] notices them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::diagnostic::Problems;
use super::document::{Document, NotEditable};
use super::source::{Content, Source, content_hash};
use super::{Loaded, Settings, watch};
use crate::access::gate;
use crate::env::Env;
use crate::store::{Version, atomic};

/// How many versions before the present one are kept.
const KEPT: u32 = 5;

/// Takes over a configuration that was written.
pub type Apply = Box<dyn Fn(Loaded) + Send + Sync>;

/// Keeps the file.
pub struct Keeper {
    source: Source,
    env: Box<dyn Env>,
    started: Settings,
    apply: Apply,
    writing: Mutex<()>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keeper({:?})", self.source.path)
    }
}

/// A version before the present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "KeptVersion")]
pub struct Kept {
    /// From 1, the newest.
    pub number: u32,
    /// In bytes.
    pub size: u64,
    /// When it was set aside, in Unix seconds.
    pub modified: u64,
    /// Its tag.
    pub version: String,
}

/// Why a change was refused. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    /// There is no file.
    #[error("there is no configuration file")]
    Missing,
    /// It cannot be read.
    #[error("the configuration file cannot be read: {0}")]
    Unreadable(Problems),
    /// Another version was expected.
    #[error("the configuration file was changed by somebody else meanwhile; read it again")]
    Stale,
    /// The text cannot be edited this way.
    #[error("{0}")]
    NotEditable(#[from] NotEditable),
    /// The result is no valid configuration.
    #[error("{0}")]
    Invalid(Box<Problems>),
    /// It cannot be written.
    #[error("the configuration file cannot be written: {0}")]
    Unwritable(#[from] io::Error),
}

impl Keeper {
    /// Keeps the file of `source`. `started` is what the process started with; `apply` takes over what was written.
    pub fn new(source: Source, env: Box<dyn Env>, started: Settings, apply: Apply) -> Self {
        Self { source, env, started, apply, writing: Mutex::default() }
    }

    /// The file's directory.
    pub fn directory(&self) -> Option<&Path> {
        self.source.path.as_deref().map(atomic::parent)
    }

    /// The file's text with its version; empty when there is no file yet.
    ///
    /// # Errors
    /// A file that cannot be read, or is missing.
    pub async fn text(&self) -> Result<(String, Version), Unkept> {
        let text = self.read().await?.ok_or(Unkept::Missing)?;
        let version = Version::of(text.as_bytes());
        Ok((text, version))
    }

    /// Whether the file is at this version.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub async fn is_current(&self, expected: &str) -> Result<bool, Unkept> {
        Ok(check(Some(expected), self.read().await?.as_deref()).is_ok())
    }

    /// The file as a document; an empty one when there is no file.
    ///
    /// # Errors
    /// A file that cannot be read or is no configuration.
    pub async fn document(&self) -> Result<Document, Unkept> {
        Ok(Document::parse(self.read().await?.unwrap_or_default())?)
    }

    /// Changes the file by `change`, and applies it.
    ///
    /// # Errors
    /// What `change` says, or why the result was refused.
    pub async fn edit<T, E: From<Unkept>>(
        &self,
        expected: Option<&str>,
        change: impl FnOnce(&mut Document) -> Result<T, E>,
    ) -> Result<T, E> {
        self.edit_and(true, expected, change).await
    }

    async fn edit_and<T, E: From<Unkept>>(
        &self,
        keeps: bool,
        expected: Option<&str>,
        change: impl FnOnce(&mut Document) -> Result<T, E>,
    ) -> Result<T, E> {
        let _turn = self.writing.lock().await;
        let before = self.read().await?;
        check(expected, before.as_deref())?;
        let mut document = Document::parse(before.clone().unwrap_or_default()).map_err(Unkept::from)?;
        let result = change(&mut document)?;
        self.take(before, document.text(), keeps).await?;
        Ok(result)
    }

    /// Replaces the whole text, and applies it.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn replace(&self, text: &str, expected: Option<&str>) -> Result<(), Unkept> {
        let _turn = self.writing.lock().await;
        let before = self.read().await?;
        check(expected, before.as_deref())?;
        self.take(before, text, true).await
    }

    /// Says what would come of a text, and writes nothing: what was understood, and which settings would wait for a
    /// restart.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(&self, text: &str) -> Result<(Loaded, Vec<&'static str>), Box<Problems>> {
        let loaded = self.loaded(text)?;
        let needs_restart = loaded.settings.needs_restart(&self.started);
        Ok((loaded, needs_restart))
    }

    fn loaded(&self, text: &str) -> Result<Loaded, Box<Problems>> {
        Settings::load_text(text, &self.source, &*self.env)
            .and_then(|loaded| watch::closed(loaded, &self.source, &self.started))
            .map_err(Box::new)
    }

    /// The versions before the present one that are kept, newest first.
    pub async fn versions(&self) -> Vec<Kept> {
        let Some(path) = self.source.path.clone() else { return Vec::new() };
        let listing = tokio::task::spawn_blocking(move || {
            let path = fs::canonicalize(&path).unwrap_or(path);
            let of = |number| {
                let path = kept(&path, number);
                let metadata = fs::metadata(&path).ok()?;
                let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
                let version = Version::of(&fs::read(&path).ok()?).to_string();
                Some(Kept { number, size: metadata.len(), modified: modified.as_secs(), version })
            };
            (1..=KEPT).filter_map(of).collect()
        });
        listing.await.unwrap_or_default()
    }

    /// The text of a version that is kept; `None` when there is no such one.
    pub async fn version(&self, number: u32) -> Option<String> {
        let path = self.source.path.clone()?;
        if !(1..=KEPT).contains(&number) {
            return None;
        }
        let reading = tokio::task::spawn_blocking(move || {
            let path = fs::canonicalize(&path).unwrap_or(path);
            fs::read_to_string(kept(&path, number)).ok()
        });
        reading.await.ok().flatten()
    }

    /// Replaces a management key in plain text by its hash. A file that cannot be written keeps the key, which works
    /// as it is.
    pub async fn hash_key(&self) {
        const PATH: [&str; 2] = ["remote-management", "secret-key"];
        let Ok(document) = self.document().await else { return };
        let plain = match document.get(&PATH) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return,
        };
        let key = plain.trim().to_owned();
        if key.is_empty() || ["$2a$", "$2b$", "$2y$"].iter().any(|mark| key.starts_with(mark)) {
            return;
        }
        let hashing = tokio::task::spawn_blocking(move || gate::hashed(&key));
        let Some(hash) = hashing.await.ok().flatten() else {
            tracing::warn!(
                "the management key stays in plain text: it is longer than 72 bytes; choose a shorter one"
            );
            return;
        };
        // The version before is not kept: it has the key in it.
        let result = self.edit_and(false, None, |document| {
            let is_same = match document.get(&PATH) {
                Some(Value::String(text)) => *text == plain,
                Some(Value::Number(number)) => number.to_string() == plain,
                _ => false,
            };
            if is_same {
                document.set(&PATH, Some(hash.into()))?;
            }
            Ok::<(), Unkept>(())
        });
        match result.await {
            Ok(()) => tracing::info!("the management key in the configuration file was replaced by its hash"),
            Err(error) => tracing::warn!("the management key stays in plain text: {error}"),
        }
    }

    async fn read(&self) -> Result<Option<String>, Unkept> {
        let source = Source { is_required: false, ..self.source.clone() };
        let reading = tokio::task::spawn_blocking(move || source.read());
        match reading.await.map_err(io::Error::other)?.map_err(Unkept::Unreadable)? {
            Content::Absent => Ok(None),
            Content::Text(text) => Ok(Some(text)),
        }
    }

    /// Validates, writes and applies a text.
    async fn take(&self, before: Option<String>, text: &str, keeps: bool) -> Result<(), Unkept> {
        if before.as_deref() == Some(text) {
            return Ok(());
        }
        let loaded = self.loaded(text).map_err(Unkept::Invalid)?;
        let path = self.source.path.clone().ok_or(Unkept::Missing)?;
        let text = text.to_owned();
        let writing = tokio::task::spawn_blocking(move || write(&path, before.as_deref(), &text, keeps));
        writing.await.map_err(io::Error::other)??;
        (self.apply)(loaded);
        Ok(())
    }
}

fn check(expected: Option<&str>, present: Option<&str>) -> Result<(), Unkept> {
    let version = Version::of(present.unwrap_or_default().as_bytes()).to_string();
    if expected.is_none_or(|expected| expected == version) { Ok(()) } else { Err(Unkept::Stale) }
}

/// Writes a text over the one that was read, unless another one is there by now.
fn write(path: &Path, before: Option<&str>, text: &str, keeps: bool) -> Result<(), Unkept> {
    // What a link points to is written, not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_new| path.to_owned());
    let present = match fs::read(&path) {
        Ok(present) => Some(present),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if present.as_deref() != before.map(str::as_bytes) {
        return Err(Unkept::Stale);
    }
    if let Some(before) = before.filter(|_| keeps) {
        keep(&path, before)?;
    }
    atomic::write(&path, text.as_bytes())?;
    Ok(())
}

/// Keeps a version beside the file, the newest as `.1`.
fn keep(path: &Path, before: &str) -> io::Result<()> {
    let newest = kept(path, 1);
    let is_known = fs::read(&newest).is_ok_and(|text| content_hash_of(&text) == Some(content_hash(before)));
    if is_known {
        return Ok(());
    }
    for number in (1..KEPT).rev() {
        match fs::rename(kept(path, number), kept(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    atomic::write(&newest, before.as_bytes())
}

fn content_hash_of(text: &[u8]) -> Option<[u8; 32]> {
    std::str::from_utf8(text).ok().map(content_hash)
}

fn kept(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex as Lock};

    use serde_json::json;

    use super::*;
    use crate::env::Fixed;

    struct Scene {
        directory: tempfile::TempDir,
        keeper: Keeper,
        applied: Arc<Lock<Vec<bool>>>,
    }

    fn scene(text: &str) -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        atomic::write(&path, text.as_bytes()).unwrap();
        let source = Source::required(&path);
        let env = Fixed::new([("HOME", "/nowhere")]);
        let started = Settings::load(&source, &env).unwrap().settings;
        let applied = Arc::new(Lock::default());
        let list: Arc<Lock<Vec<bool>>> = Arc::clone(&applied);
        let apply = Box::new(move |loaded: Loaded| list.lock().unwrap().push(loaded.settings.logging.debug));
        Scene { keeper: Keeper::new(source, Box::new(env), started, apply), directory, applied }
    }

    impl Scene {
        async fn set(&self, path: &[&str], value: Value) -> Result<(), Unkept> {
            self.keeper.edit(None, |document| Ok(document.set(path, Some(value))?)).await
        }

        fn file(&self, name: &str) -> String {
            fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
        }
    }

    #[tokio::test]
    async fn a_change_is_written_applied_and_the_version_before_kept() {
        let scene = scene("# c\ndebug: false\n");
        scene.set(&["debug"], json!(true)).await.unwrap();
        assert_eq!(scene.file("config.yaml"), "# c\ndebug: true\n");
        assert_eq!(scene.file("config.yaml.1"), "# c\ndebug: false\n");
        assert_eq!(*scene.applied.lock().unwrap(), [true]);
        for retry in 1..9 {
            scene.set(&["request-retry"], json!(retry)).await.unwrap();
        }
        assert!(scene.file("config.yaml.5").contains("request-retry: 3\n"));
        assert!(!scene.directory.path().join("config.yaml.6").exists());
        scene.set(&["request-retry"], json!(8)).await.unwrap();
        assert_eq!(scene.applied.lock().unwrap().len(), 9, "what changes nothing is not written");
    }

    #[tokio::test]
    async fn what_is_invalid_or_stale_changes_nothing() {
        let scene = scene("debug: false\n");
        assert!(matches!(scene.set(&["port"], json!("x")).await, Err(Unkept::Invalid(_))));
        let (text, version) = scene.keeper.text().await.unwrap();
        assert_eq!(text, "debug: false\n");
        scene.keeper.replace("debug: true\n", Some(&version.to_string())).await.unwrap();
        let stale = scene.keeper.replace("debug: false\n", Some(&version.to_string())).await;
        assert!(matches!(stale, Err(Unkept::Stale)));
        assert!(matches!(scene.keeper.replace("a: [\n", None).await, Err(Unkept::Invalid(_))));
        assert_eq!(scene.file("config.yaml"), "debug: true\n");
        assert_eq!(*scene.applied.lock().unwrap(), [true]);
    }

    #[tokio::test]
    async fn a_plain_key_becomes_a_hash_and_everything_else_stays() {
        let scene = scene("remote-management:\n  secret-key: \"the-key\" # mine\n");
        scene.keeper.hash_key().await;
        let text = scene.file("config.yaml");
        let hash = text.split('"').nth(1).unwrap();
        assert_eq!(text, format!("remote-management:\n  secret-key: \"{hash}\" # mine\n"));
        assert!(bcrypt::verify("the-key", hash).unwrap());
        scene.keeper.hash_key().await;
        assert_eq!(scene.file("config.yaml"), text);
        assert!(!scene.directory.path().join("config.yaml.1").exists(), "no copy of the key stays behind");
    }
}
