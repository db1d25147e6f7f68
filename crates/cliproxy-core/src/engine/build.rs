//! Building an engine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account::Vault;
use super::count::Counts;
use super::memory::Memories;
use super::{Engine, Inner};
use crate::access::meter::Meter;
use crate::config::Settings;
use crate::credential::Pool;
use crate::snapshot::{Extras, Snapshot};
use crate::store::Store;
use crate::upstream::Clients;
use crate::usage::{LogSink, Sink, Sinks};

/// Builds an [`Engine`].
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    extras: Extras,
    sinks: Vec<Box<dyn Sink>>,
    store: Option<Arc<dyn Store>>,
}

impl Builder {
    /// Adds the built-in demo provider.
    #[must_use]
    pub fn with_demo(mut self) -> Self {
        self.extras.has_demo = true;
        self
    }

    /// Where auth files are. [`Engine::load_accounts`] reads them.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Where records of requests go, besides the log.
    #[must_use]
    pub fn with_sink(mut self, sink: Box<dyn Sink>) -> Self {
        self.sinks.push(sink);
        self
    }

    /// The engine.
    pub fn build(self) -> Engine {
        let pool = Pool::default();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        Engine(Arc::new(Inner {
            snapshot: ArcSwap::from_pointee(Snapshot::build(
                self.settings,
                &BTreeMap::new(),
                &self.extras,
                &pool,
            )),
            turn: Mutex::default(),
            pool,
            clients: Clients::new(tasks.clone(), cancel.clone()),
            schemas: Arc::default(),
            memories: Memories::default(),
            counts: Counts::default(),
            extras: self.extras,
            sinks: Sinks::new(self.sinks),
            meter: Meter::default(),
            vault: ArcSwapOption::new(self.store.map(|store| Arc::new(Vault::new(store)))),
            tasks,
            cancel,
        }))
    }
}

impl Engine {
    /// A builder with the given settings.
    pub fn builder(settings: Settings) -> Builder {
        Builder { settings, extras: Extras::default(), sinks: vec![Box::new(LogSink)], store: None }
    }
}
