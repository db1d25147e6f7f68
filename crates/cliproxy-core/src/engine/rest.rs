//! Rests over restarts: an account whose quota is used up until tomorrow is not asked again because of a restart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::credential::SavedRest;
use crate::store::atomic;

/// How often what changed is written down.
const PACE: Duration = Duration::from_secs(5);

/// Name of the file in the store's workplace.
const FILE: &str = "rests.json";

impl Engine {
    /// Takes back what was written down before a restart. `now` is in Unix seconds.
    pub async fn restore_rests(&self, now: u64) {
        let Some(path) = self.rests_file() else { return };
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
        let Ok(Ok(content)) = read else { return };
        match serde_json::from_slice::<Vec<SavedRest>>(&content) {
            Ok(saved) => {
                self.0.pool.restore(saved, now);
                // Whoever has a seat already takes the rest over.
                self.reload(self.snapshot().settings.clone());
            }
            Err(error) => {
                tracing::warn!("what was known of used up quotas cannot be read and is forgotten: {error}");
            }
        }
    }

    /// Writes rests down as they come and go, until the engine ends.
    pub fn keep_rests(&self, now: fn() -> u64) {
        let engine = self.clone();
        self.spawn("rests", async move {
            let mut written = None;
            loop {
                tokio::time::sleep(PACE).await;
                engine.save_rests(&mut written, now()).await;
            }
        });
    }

    /// Writes rests down now, at the end of the process.
    pub async fn save_rests_now(&self, now: u64) {
        self.save_rests(&mut None, now).await;
    }

    /// `written` is what the file has, as far as this process knows. `now` is in Unix seconds.
    async fn save_rests(&self, written: &mut Option<Vec<SavedRest>>, now: u64) {
        let Some(path) = self.rests_file() else { return };
        let saved = self.0.pool.saved(Instant::now(), now);
        let is_known = written.as_ref().is_some_and(|written| is_same(written, &saved));
        if is_known || (written.is_none() && saved.is_empty() && !path.exists()) {
            return;
        }
        match write(&path, &saved).await {
            Ok(()) => *written = Some(saved),
            Err(error) => tracing::warn!("what is known of used up quotas cannot be written down: {error}"),
        }
    }

    fn rests_file(&self) -> Option<PathBuf> {
        if !self.snapshot().settings.retry.save_cooldown_status {
            return None;
        }
        self.workplace().map(|workplace| workplace.join(FILE))
    }
}

/// Whether nothing happened but time passing: ends are told in whole seconds and may differ by one.
fn is_same(before: &[SavedRest], after: &[SavedRest]) -> bool {
    let same = |(a, b): (&SavedRest, &SavedRest)| {
        a.until.abs_diff(b.until) <= 1
            && SavedRest { until: 0, ..a.clone() } == SavedRest { until: 0, ..b.clone() }
    };
    before.len() == after.len() && before.iter().zip(after).all(same)
}

async fn write(path: &Path, saved: &[SavedRest]) -> std::io::Result<()> {
    let content = serde_json::to_vec_pretty(saved)?;
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || atomic::write(&path, &content))
        .await
        .map_err(std::io::Error::other)?
}
