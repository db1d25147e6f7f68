//! The engine: one call in, one answer out.
//!
//! [`Engine::handle`] is the pipeline: load the snapshot, peek at the body, resolve the model (`open`), then attempt after
//! attempt (`attempt`: choose, prepare, send, judge) until an answer begins. An answer that has begun has no way back: what goes
//! wrong from then on is said inside it. No task and no channel stands between the upstream's socket and the client's;
//! the answer's body is polled by whoever writes it, and dropping it drops the upstream request.

mod account;
mod answer;
mod assist;
mod attempt;
mod build;
mod count;
mod credit;
mod errand;
mod everybody;
mod forward;
mod indices;
mod job;
mod kept;
mod listen;
mod memory;
mod open;
mod page;
mod passing;
mod picture;
mod pipe;
mod relay;
mod roster;
mod round;
mod select;
mod single;
mod standing;
mod switch;
mod trial;
mod underway;
mod verdict;

pub use answer::{Answer, AnswerBody, AnswerStream};
pub use assist::Assist;
pub use build::Builder;
pub use errand::{Errand, NotRun};
pub use everybody::Member;
pub use job::Call;
pub use open::Opened;
pub use page::Page;
pub use roster::{Listing, Plan};
pub use select::{Explained, Explanation};
pub use standing::{Activity, Recent};
pub use trial::TokenState;

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use cliproxy_wire::schema::Cleaned;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::account::Vault;
use self::count::Counts;
use self::job::Job;
use self::memory::Memories;
use self::underway::Underway;
use crate::access::meter::Meter;
use crate::boxed::in_place;
use crate::config::Settings;
use crate::credential::{CredentialId, Pool, Window};
use crate::failure::Failure;
use crate::provider::Operation;
use crate::snapshot::{Extras, Snapshot};
use crate::upstream::Clients;
use crate::usage::Sinks;

/// The gateway without an HTTP server. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    snapshot: ArcSwap<Snapshot>,
    /// Held while a snapshot is made and swapped in: two that are made at once would undo one another.
    turn: Mutex<()>,
    pool: Pool,
    clients: Clients,
    schemas: Arc<Cleaned>,
    /// Thoughts and signatures for clients that do not send them back.
    memories: Memories,
    /// What upstreams counted a moment ago.
    counts: Counts,
    extras: Extras,
    sinks: Sinks,
    /// What client keys have used of their limits.
    meter: Meter,
    vault: ArcSwapOption<Vault>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// The snapshot of the moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// The same for a look that is over at once, which need not be counted among those that hold on to it.
    pub fn glance(&self) -> impl Deref<Target = Arc<Snapshot>> {
        self.0.snapshot.load()
    }

    /// Swaps the configuration. Running requests keep the one they began with; what happened to credentials that stay
    /// is remembered.
    pub fn reload(&self, settings: Settings) {
        let turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.derive(settings, &turn);
    }

    /// Derives everything anew from the settings of the moment: accounts or pages have come or gone.
    pub(crate) fn derive_again(&self) {
        let turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.derive(self.snapshot().settings.clone(), &turn);
    }

    fn derive(&self, settings: Settings, _turn: &MutexGuard<'_, ()>) {
        let extras = Extras { pages: self.0.clients.pages().ids(), ..self.0.extras.clone() };
        let snapshot = Arc::new(Snapshot::build(settings, &self.accounts(), &extras, &self.0.pool));
        self.0.snapshot.store(Arc::clone(&snapshot));
        let credentials = snapshot.routes.credentials().iter();
        let proxies: HashMap<_, _> =
            credentials.map(|credential| (&credential.id, &credential.proxy)).collect();
        self.0.pool.retain(|id| proxies.contains_key(id), |model| snapshot.routes.offers(model).is_some());
        self.0.clients.retain(|id, proxy| proxies.get(id) == Some(&proxy));
        self.0.clients.pages().tell();
    }

    /// What is left of a credential's quotas, as far as answers to normal traffic told it. `now` is in Unix seconds.
    pub fn quotas(&self, id: &CredentialId, now: u64) -> Vec<Window> {
        self.0.pool.quotas().of(id, now)
    }

    /// What client keys have used of their limits.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// The connections of everybody.
    pub(crate) fn clients(&self) -> &Clients {
        &self.0.clients
    }

    /// Background work: tracked, and cancelled at shutdown.
    pub fn tasks(&self) -> (&TaskTracker, &CancellationToken) {
        (&self.0.tasks, &self.0.cancel)
    }

    /// Runs background work until it ends or the engine shuts down.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.0.cancel.clone();
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = work => tracing::debug!(task = name, "background task ended"),
                () = cancel.cancelled() => {}
            }
        });
    }

    /// Ends background work and waits for it.
    pub async fn shutdown(&self) {
        self.0.cancel.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Serves a call.
    ///
    /// # Errors
    /// When no answer began. A failure inside an answer that has begun is said in the answer.
    pub async fn handle(&self, call: Call) -> Result<Answer, Failure> {
        self.run(self.open(call)?).await
    }

    /// Serves an opened call. The future stands apart, so that who waits for it need not make room for it, and so that
    /// it is compiled once.
    ///
    /// # Errors
    /// When no answer began.
    pub fn run(&self, opened: Opened) -> BoxFuture<'static, Result<Answer, Failure>> {
        let engine = self.clone();
        in_place(move || async move { engine.run_to_answer(opened).await })
    }

    async fn run_to_answer(&self, opened: Opened) -> Result<Answer, Failure> {
        let mut underway = Underway::new(self, opened.0);
        let (job, attempts) = underway.parts();
        let result = match job.call.operation {
            Operation::CountTokens => Box::pin(self.count(job, attempts)).await,
            _ => self.attempt_models(job, attempts).await,
        };
        underway.end(result)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::config::Source;
    use crate::env::Fixed;

    fn settings(marker: u64) -> Settings {
        let text = format!("max-request-body-mb: {marker}\n");
        Settings::load_text(&text, &Source::default(), &Fixed::new([("HOME", "/h")])).unwrap().settings
    }

    /// Threads that run into one another are the only way to see this: between reading the settings and waiting for the
    /// turn there is nothing to hold on to. Settings that were read before the turn are put back within a few edits.
    #[test]
    fn what_is_derived_again_undoes_no_edit() {
        let (engine, is_over) = (Engine::builder(settings(1)).build(), AtomicBool::new(false));
        let n_undone = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    engine.derive_again();
                }
            });
            let is_undone = |marker: &u64| {
                engine.reload(settings(*marker));
                // Whoever waits for the turn meanwhile has it first, or comes later with what is there now.
                engine.derive_again();
                engine.glance().settings.max_request_body_bytes != marker << 20
            };
            let n_undone = (1..=2000).filter(is_undone).count();
            is_over.store(true, Ordering::Relaxed);
            n_undone
        });
        assert_eq!(n_undone, 0);
    }
}
