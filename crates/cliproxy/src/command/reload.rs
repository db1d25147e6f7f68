//! Taking over a changed configuration, whoever changed it: an editor, or the management interface.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cliproxy_core::Engine;
use cliproxy_core::access::gate::ManagementKey;
use cliproxy_core::config::keeper::Keeper;
use cliproxy_core::config::watch::{self, Change};
use cliproxy_core::config::{Diagnostic, Loaded, Settings, Source};
use cliproxy_core::env;
use cliproxy_core::secret::Secret;
use cliproxy_core::store::FileStore;
use cliproxy_server::Readiness;
use cliproxy_server::logs::Logs;
use cliproxy_server::management::{Console, Records};
use cliproxy_server::telemetry::Telemetry;
use tokio_util::sync::CancellationToken;

use crate::logging;

/// What a configuration is taken over into.
#[derive(Clone)]
pub(super) struct Taker {
    pub(super) engine: Engine,
    pub(super) readiness: Readiness,
    pub(super) level: logging::Level,
    pub(super) started: Settings,
    pub(super) records: Records,
    pub(super) logs: Logs,
    pub(super) telemetry: Telemetry,
}

impl Taker {
    /// The management interface over the file of `source`.
    pub(super) fn console(
        &self,
        source: Source,
        password: Option<Secret>,
        ending: CancellationToken,
    ) -> Arc<Console> {
        let taker = self.clone();
        let apply = Box::new(move |loaded: Loaded| taker.take(loaded));
        let environment = Box::new(env::with_dotenv(Path::new(".")));
        let keeper = Keeper::new(source, environment, self.started.clone(), apply);
        Arc::new(Console::new(keeper, password, self.records.clone(), ending))
    }

    /// Settings that are in use say what they wait for.
    fn tell_ready(&self, settings: &Settings) {
        let keys = settings.needs_restart(&self.started).join(", ");
        let is_whole = keys.is_empty();
        self.readiness.set(if is_whole { Vec::new() } else { vec![format!("restart to apply: {keys}")] });
        if !is_whole {
            tracing::warn!("changed settings that are only read at start, restart to apply them: {keys}");
        }
    }

    fn take(&self, loaded: Loaded) {
        self.tell_ready(&loaded.settings);
        self.level.set_debug(loaded.settings.logging.debug);
        if let Err(error) = self.logs.apply(&loaded.settings.logging) {
            tracing::error!("the log goes to standard output, because its file cannot be written: {error}");
        }
        self.telemetry.apply(&self.engine, &loaded.settings.telemetry);
        self.records.queue.set_retention(loaded.settings.usage.queue_retention);
        let auth_dir = loaded.settings.auth_dir.clone();
        let has_moved = self.engine.snapshot().settings.auth_dir != auth_dir;
        self.engine.reload(loaded.settings);
        let (engine, ledger) = (self.engine.clone(), self.records.ledger.clone());
        self.engine.spawn("limits of client keys", async move {
            super::usage::take_over_limits(&engine, ledger).await;
        });
        if has_moved {
            let moving = self.engine.clone();
            self.engine.spawn("moved auth directory", async move {
                match moving.move_accounts(Arc::new(prepared(auth_dir).await)).await {
                    Ok(_) => tracing::info!("{}", inventory(&moving)),
                    Err(error) => {
                        tracing::error!("the accounts of the new auth directory cannot be used: {error}");
                    }
                }
            });
        }
    }

    /// A valid change of the file is applied, an invalid one reported. A management key in plain text is replaced by
    /// its hash, now and whenever one is written.
    pub(super) fn watch(self, source: Source, started: Loaded, console: Arc<Console>) {
        let cancel = self.engine.tasks().1.clone();
        self.hash_key(&started.settings, &console);
        self.engine.clone().spawn("configuration watch", async move {
            let environment = env::with_dotenv(Path::new("."));
            let file = source.path.clone();
            let warn = |warnings: &[Diagnostic]| {
                for warning in warnings {
                    tracing::warn!("{}", warning.render(file.as_deref()));
                }
            };
            let on_change = |change: Change| match change {
                Change::Accepted(loaded) => {
                    warn(&loaded.warnings);
                    self.hash_key(&loaded.settings, &console);
                    self.take(*loaded);
                    tracing::info!("{}", inventory(&self.engine));
                }
                Change::Refused(problems) => {
                    warn(&problems.warnings);
                    tracing::error!(
                        "the changed configuration is not valid and was not applied:\n{problems}"
                    );
                    self.readiness.set_invalid(problems);
                }
                Change::Withdrawn => self.tell_ready(&self.engine.snapshot().settings),
            };
            watch::watch(&source, &environment, &started, on_change, cancel).await;
        });
    }

    fn hash_key(&self, settings: &Settings, console: &Arc<Console>) {
        if matches!(settings.management.lock.key, Some(ManagementKey::Plain(_))) {
            let console = Arc::clone(console);
            self.engine.spawn("hash of the management key", async move {
                console.keeper().hash_key().await;
            });
        }
    }
}

/// The auth directory, there and private. One that cannot be made or written is still read.
pub(super) async fn prepared(directory: PathBuf) -> FileStore {
    let store = FileStore::new(directory);
    if let Err(error) = store.prepare().await {
        tracing::error!(
            "nothing can be saved in the auth directory: {error}; its accounts serve until their tokens end; make it writable for the user that runs the gateway"
        );
    }
    store
}

/// What is there to serve with; programs that wrap this one read it.
pub(super) fn inventory(engine: &Engine) -> String {
    use cliproxy_core::credential::Kind;
    let snapshot = engine.snapshot();
    let credentials = snapshot.routes.credentials();
    let count = |kind: Kind| {
        let keys = credentials.iter().filter(|credential| credential.account.is_none());
        keys.filter(|credential| credential.kind == kind).count()
    };
    let accounts = credentials.iter().filter(|credential| credential.account.is_some()).count();
    format!(
        "server clients and configuration updated: {} clients ({accounts} auth entries + {} Gemini API keys + {} Claude API keys + {} Codex keys + {} Vertex-compat + {} OpenAI-compat)",
        credentials.len(),
        count(Kind::Gemini),
        count(Kind::Claude),
        count(Kind::Codex),
        count(Kind::Vertex),
        count(Kind::OpenAi),
    )
}
