//! Listening to streams for what they tell of quotas beside the answer. Nothing is changed or held back.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, StatusCode};
use memchr::{memmem, memrchr};

use super::Engine;
use crate::credential::Credential;
use crate::provider;
use crate::upstream::{Asked, Tape};

/// Longer lines tell of other things.
const LONGEST_LINE: usize = 64 << 10;

/// Listens to one answer.
#[derive(Debug)]
pub(super) struct Listener {
    engine: Engine,
    credential: Arc<Credential>,
    /// The event that tells of quotas.
    event: &'static str,
    now: fn() -> u64,
    /// The beginning of a line whose end has not come.
    open: Mutex<Vec<u8>>,
}

impl Listener {
    /// A listener to an answer to this credential; `None` where streams tell nothing.
    pub(super) fn to(
        engine: &Engine,
        credential: &Arc<Credential>,
        now: fn() -> u64,
    ) -> Option<Arc<dyn Tape>> {
        let event = provider::of(credential.kind).quota_event()?;
        let (engine, credential) = (engine.clone(), Arc::clone(credential));
        Some(Arc::new(Self { engine, credential, event, now, open: Mutex::default() }))
    }

    fn lines(&self, text: &[u8]) {
        if memmem::find(text, self.event.as_bytes()).is_none() {
            return;
        }
        for line in text.split(|byte| *byte == b'\n') {
            let Some(data) = line.strip_prefix(b"data:").and_then(|data| std::str::from_utf8(data).ok())
            else {
                continue;
            };
            if data.contains(self.event) {
                let windows = provider::of(self.credential.kind).quotas_of_event(data.trim(), (self.now)());
                self.engine.0.pool.quotas().note(&self.credential.id, windows);
            }
        }
    }
}

impl Tape for Listener {
    fn asked(&self, _asked: &Asked<'_>) {}

    fn answered(&self, _status: StatusCode, _headers: &HeaderMap) {}

    fn piece(&self, bytes: &[u8]) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        if open.is_empty() {
            self.lines(lines);
        } else if whole > 0 {
            open.extend_from_slice(lines);
            self.lines(&open);
            open.clear();
        }
        if open.len() + rest.len() <= LONGEST_LINE {
            open.extend_from_slice(rest);
        }
    }

    fn failed(&self, _message: &str) {}
}
