//! Noticing that the configuration file changed.
//!
//! The directory is watched, because editors and mounts replace the file, and the file too,
//! because a single file mounted into a container reports to no directory. A slow look at the
//! content covers what the system does not report, and a quicker one takes over when watching
//! is impossible. What counts is the hash of the content: touching the file changes nothing.
//! This module tells; applying new settings is left to the caller.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::diagnostic::{Code, Diagnostic, Problems};
use super::source::{Content, Source, content_hash};
use super::{Loaded, Settings};
use crate::env::Env;

/// What became of the file.
#[derive(Clone, Debug)]
pub enum Change {
    /// It has other content.
    Accepted(Box<Loaded>),
    /// It has other content that cannot be used. The running settings stay.
    Refused(Problems),
    /// The content that could not be used is gone, and there is none in its place. The running settings stay.
    Withdrawn,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Quiet time after an event before the file is read.
    debounce: Duration,
    /// Longest wait for quiet.
    longest_debounce: Duration,
    /// Interval of looks when watching works.
    slow_poll: Duration,
    /// Interval of looks when it does not.
    quick_poll: Duration,
}

const PACE: Pace = Pace {
    debounce: Duration::from_millis(150),
    longest_debounce: Duration::from_secs(2),
    slow_poll: Duration::from_secs(30),
    quick_poll: Duration::from_secs(2),
};

/// Calls `on_change` for every new content of the source's file until cancelled.
///
/// `started` is what the process started with. An empty file and a missing file change nothing but that what was refused
/// before does not count any more, and one that stays so is mentioned in the log. Without a path the future only waits for
/// its end.
pub async fn watch(
    source: &Source,
    env: &dyn Env,
    started: &Loaded,
    on_change: impl FnMut(Change) + Send,
    cancel: CancellationToken,
) {
    watch_with(source, env, started, on_change, cancel, (PACE, Means::System)).await;
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// The system reports them, with looks in between.
    System,
    /// Looks only.
    #[cfg(test)]
    Looks,
}

async fn watch_with(
    source: &Source,
    env: &dyn Env,
    started: &Loaded,
    mut on_change: impl FnMut(Change) + Send,
    cancel: CancellationToken,
    (pace, means): (Pace, Means),
) {
    let Some(path) = source.path.clone() else {
        cancel.cancelled().await;
        return;
    };
    let woken = Arc::new(Notify::new());
    let mut watcher = match means {
        Means::System => Watcher::start(&path, &woken),
        #[cfg(test)]
        Means::Looks => None,
    };
    let mut seen = Seen { hash: started.content_hash, failure: None, is_refused: false, is_gone: false };
    loop {
        if let Some(change) = seen.look(source, env, &started.settings).await {
            on_change(change);
        }
        if let Some(watcher) = &mut watcher {
            watcher.follow_file(&path);
        }
        let poll = if watcher.is_some() { pace.slow_poll } else { pace.quick_poll };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = woken.notified() => {}
            () = sleep(poll) => continue,
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = quiet(&woken, pace) => {}
        }
    }
}

/// Waits until nothing happened for a while.
async fn quiet(woken: &Notify, pace: Pace) {
    let end = Instant::now() + pace.longest_debounce;
    loop {
        let pause = end.min(Instant::now() + pace.debounce);
        tokio::select! {
            () = sleep_until(pause) => return,
            () = woken.notified() => {}
        }
    }
}

/// What was told last.
#[derive(Debug)]
struct Seen {
    hash: Option<[u8; 32]>,
    failure: Option<Problems>,
    /// What was there last cannot be used.
    is_refused: bool,
    /// The file that was there is missing or empty.
    is_gone: bool,
}

impl Seen {
    async fn look(&mut self, source: &Source, env: &dyn Env, started: &Settings) -> Option<Change> {
        // A missing file is a moment between removal and creation.
        let reader = Source { is_required: false, ..source.clone() };
        let content = tokio::task::spawn_blocking(move || reader.read()).await.ok()?;
        let text = match content {
            Ok(Content::Text(text)) if !text.trim().is_empty() => {
                self.is_gone = false;
                text
            }
            Ok(_) => {
                let was_there = self.hash.is_some() || self.is_refused;
                if was_there && !std::mem::replace(&mut self.is_gone, true) {
                    tracing::warn!(
                        "the configuration file is missing or empty; the running settings stay in use until the next start"
                    );
                }
                if !std::mem::take(&mut self.is_refused) {
                    return None;
                }
                // The same content is told again if it comes back.
                (self.hash, self.failure) = (None, None);
                return Some(Change::Withdrawn);
            }
            Err(problems) => {
                if self.failure.as_ref() == Some(&problems) {
                    return None;
                }
                self.failure = Some(problems.clone());
                (self.hash, self.is_refused, self.is_gone) = (None, true, false);
                return Some(Change::Refused(problems));
            }
        };
        let hash = content_hash(&text);
        if self.hash == Some(hash) {
            return None;
        }
        self.hash = Some(hash);
        self.failure = None;
        let result =
            Settings::load_text(&text, source, env).and_then(|loaded| closed(loaded, source, started));
        self.is_refused = result.is_err();
        Some(result.map_or_else(Change::Refused, |loaded| Change::Accepted(Box::new(loaded))))
    }
}

/// Refuses settings that would leave the running listener open to everybody.
pub(super) fn closed(loaded: Loaded, source: &Source, started: &Settings) -> Result<Loaded, Problems> {
    if !loaded.settings.would_open(started) {
        return Ok(loaded);
    }
    let problem = Diagnostic::general(Code::LastKeyRemoved);
    Err(Problems { file: source.path.clone(), list: vec![problem], warnings: loaded.warnings })
}

/// Watches of the system on directory and file.
struct Watcher {
    inner: RecommendedWatcher,
}

impl Watcher {
    /// Absent when the system cannot watch the directory.
    fn start(path: &Path, woken: &Arc<Notify>) -> Option<Self> {
        // The target of a link may be anywhere, and mounts swap links in several steps.
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
            return None;
        }
        let name = path.file_name()?.to_owned();
        let woken = Arc::clone(woken);
        let report = move |event: notify::Result<notify::Event>| {
            if concerns(&name, &event) {
                woken.notify_one();
            }
        };
        let mut inner = notify::recommended_watcher(report).ok()?;
        inner.watch(&directory(path), RecursiveMode::NonRecursive).ok()?;
        Some(Self { inner })
    }

    /// Watches the file that is there now. It may be another one than before, or none.
    fn follow_file(&mut self, path: &Path) {
        drop(self.inner.unwatch(path));
        drop(self.inner.watch(path, RecursiveMode::NonRecursive));
    }
}

/// Whether an event may be one of the file called `name`: logs that are written beside it are not.
fn concerns(name: &OsStr, event: &notify::Result<notify::Event>) -> bool {
    match event {
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
        Ok(event) => event.paths.is_empty() || event.paths.iter().any(|path| path.file_name() == Some(name)),
        Err(_) => true,
    }
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests;
