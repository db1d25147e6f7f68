//! The key towards the control plane.
//!
//! In order: the one that the configuration gives this client, the one it gives everybody (or the environment, which
//! settings already hold), the one that Amp's own programs keep in the user's home. The last is read at most every five
//! minutes, and again after every change of the configuration.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cliproxy_core::access::Caller;
use cliproxy_core::secret::Secret;
use cliproxy_core::snapshot::Snapshot;
use cliproxy_wire::json;
use tokio::time::Instant;

/// How long what the file said is good, also when it said nothing.
const KEPT: Duration = Duration::from_mins(5);
/// A file longer than this is none of Amp's.
const LONGEST: u64 = 1 << 20;

/// What the file said last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Arc<Mutex<Option<Kept>>>);

#[derive(Clone, Debug)]
struct Kept {
    until: Instant,
    snapshot: Weak<Snapshot>,
    secret: Option<Secret>,
}

impl Secrets {
    /// The key for a caller; `None` when there is none, and the request goes out without.
    pub(super) async fn of(&self, snapshot: &Arc<Snapshot>, caller: &Caller) -> Option<Secret> {
        let amp = &snapshot.settings.amp;
        let own = caller.key.as_ref().and_then(|name| {
            let entry = amp.client_keys.iter().find(|(client, _)| client.name() == *name);
            entry.map(|(_, upstream)| upstream.clone())
        });
        match own.or_else(|| amp.key.clone()) {
            Some(secret) => Some(secret),
            None => self.of_file(snapshot).await,
        }
    }

    async fn of_file(&self, snapshot: &Arc<Snapshot>) -> Option<Secret> {
        let now = Instant::now();
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept
            && kept.until > now
            && std::ptr::eq(kept.snapshot.as_ptr(), Arc::as_ptr(snapshot))
        {
            return kept.secret;
        }
        let amp = &snapshot.settings.amp;
        let secret = match (&amp.secrets_file, &amp.upstream) {
            (Some(file), Some(upstream)) => read(file, upstream.as_str()).await,
            _ => None,
        };
        let kept = Kept { until: now + KEPT, snapshot: Arc::downgrade(snapshot), secret: secret.clone() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        secret
    }
}

/// The key that the file names for this server: `apiKey@https://ampcode.com/`. The key of another server stays its own.
async fn read(file: &Path, upstream: &str) -> Option<Secret> {
    if tokio::fs::metadata(file).await.ok()?.len() > LONGEST {
        return None;
    }
    let text = tokio::fs::read_to_string(file).await.ok()?;
    let named = [format!("apiKey@{upstream}/"), format!("apiKey@{upstream}")];
    let value = named.iter().find_map(|name| json::member(&text, name))?;
    let key = json::Reader::new(value).string().ok()?;
    let key = key.trim();
    (!key.is_empty()).then(|| Secret::new(key))
}
