#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod api;
mod browser;
pub mod clock;
mod dashboard;
mod encoding;
mod front;
mod health;
mod listen;
pub mod logs;
pub mod management;
mod peer;
mod reply;
mod router;
mod sockets;
mod stream;
pub mod telemetry;

pub use front::Gateway;
pub use listen::{ListenError, Shutdown, Tls, TlsFiles, serve};
pub use router::router;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cliproxy_core::Engine;
use cliproxy_core::config::Problems;

/// What handlers share.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) engine: Engine,
    pub(crate) readiness: Readiness,
    pub(crate) secrets: api::amp::Secrets,
    pub(crate) version: &'static str,
    pub(crate) console: Option<Arc<management::Console>>,
    pub(crate) logs: logs::Logs,
    pub(crate) telemetry: telemetry::Telemetry,
    pub(crate) sockets: sockets::Sockets,
}

impl App {
    /// An application over an engine.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            readiness: Readiness::default(),
            secrets: api::amp::Secrets::default(),
            version: env!("CARGO_PKG_VERSION"),
            console: None,
            logs: logs::Logs::default(),
            telemetry: telemetry::Telemetry::default(),
            sockets: sockets::Sockets::default(),
        }
    }

    /// With the management interface.
    #[must_use]
    pub fn with_management(self, console: Arc<management::Console>) -> Self {
        Self { console: Some(console), ..self }
    }

    /// With log files.
    #[must_use]
    pub fn with_logs(self, logs: logs::Logs) -> Self {
        Self { logs, ..self }
    }

    /// With numbers and traces for other programs.
    #[must_use]
    pub fn with_telemetry(self, telemetry: telemetry::Telemetry) -> Self {
        Self { telemetry, ..self }
    }

    /// Where matters are reported that an operator should know of.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }
}

/// What is wrong at the moment, shown by `/readyz`.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Wrong>>);

#[derive(Debug)]
enum Wrong {
    Told(Vec<String>),
    Invalid(Problems),
}

impl Default for Wrong {
    fn default() -> Self {
        Self::Told(Vec::new())
    }
}

impl Readiness {
    /// Replaces what is wrong; empty when nothing is.
    pub fn set(&self, problems: Vec<String>) {
        *self.wrong() = Wrong::Told(problems);
    }

    /// Replaces what is wrong by a changed configuration that cannot be used.
    pub fn set_invalid(&self, problems: Problems) {
        *self.wrong() = Wrong::Invalid(problems);
    }

    fn wrong(&self) -> MutexGuard<'_, Wrong> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong. Where the file with it lies is for its owner alone.
    pub(crate) fn problems(&self, is_for_owner: bool) -> Vec<String> {
        match &*self.wrong() {
            Wrong::Told(problems) => problems.clone(),
            Wrong::Invalid(problems) => {
                let told =
                    Problems { file: problems.file.clone().filter(|_| is_for_owner), ..problems.clone() };
                vec![format!("the changed configuration is not valid and was not applied: {told}")]
            }
        }
    }
}
