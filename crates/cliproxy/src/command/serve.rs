//! `serve`: load, listen, serve, reload, end in order.

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use cliproxy_core::Engine;
use cliproxy_core::config::settings::Host;
use cliproxy_core::config::{Loaded, Settings, Source};
use cliproxy_core::env;
use cliproxy_core::secret::Secret;
use cliproxy_core::usage::{Live, Queue};
use cliproxy_server::logs::{Logs, Places};
use cliproxy_server::management::Records;
use cliproxy_server::telemetry::Telemetry;
use cliproxy_server::{App, Gateway, Shutdown, Tls, TlsFiles, clock, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::reload::{Taker, inventory, prepared};
use crate::arguments::Arguments;
use crate::logging::{self, Lines};

/// Running answers get this long after the signal to end.
const GRACE: Duration = Duration::from_secs(30);

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Dropped last: what is said and logged until the end is written.
    let (lines, _ending) = Lines::begin().context("cannot start logging")?;
    if arguments.begin_with_version() {
        lines.say(&crate::version());
    }
    let source = super::source(arguments);
    let loaded = Settings::load(&source, &env::with_dotenv(Path::new(".")))
        .map_err(|problems| anyhow!("{problems}"))?;
    let logs = Logs::new(Places::of(&loaded.settings));
    let file = logs.apply(&loaded.settings.logging);
    let level = logging::start(loaded.settings.logging.debug, &logs, &lines);
    if let Err(error) = file {
        tracing::error!("the log goes to standard output, because its file cannot be written: {error}");
    }
    keep_pages_small();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let password = arguments.password.clone().filter(|password| !password.is_empty()).map(Secret::from);
    runtime.block_on(start(arguments.demo, password, source, loaded, (level, logs, lines)))
}

/// Switches transparent huge pages off for this process. Where a system gives them to everybody, every little of memory
/// that is touched takes two mebibytes: measured, an idle stream and an account then take half as much again.
#[cfg(target_os = "linux")]
fn keep_pages_small() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("huge pages stay as the system has them: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn keep_pages_small() {}

async fn start(
    has_demo: bool,
    password: Option<Secret>,
    source: Source,
    loaded: Loaded,
    (level, logs, lines): (logging::Level, Logs, Lines),
) -> anyhow::Result<ExitCode> {
    for warning in &loaded.warnings {
        tracing::warn!("{}", warning.render(source.path.as_deref()));
    }
    let settings = loaded.settings.clone();
    let tls = settings.listen.tls.clone();
    let tls =
        tls.map(|tls| Tls::read(&TlsFiles { certificate: tls.certificate, key: tls.key })).transpose()?;
    let listener = bind(&settings).await?;
    let address = listener.local_addr().context("cannot tell the address that was bound")?;
    let store = Arc::new(prepared(settings.auth_dir.clone()).await);
    let mut builder = Engine::builder(settings.clone()).with_store(store);
    if has_demo {
        builder = builder.with_demo();
    }
    let records = Records {
        ledger: super::usage::ledger(&settings),
        queue: Queue::new(settings.usage.queue_retention),
        live: Live::default(),
    };
    if let Some(ledger) = &records.ledger {
        builder = builder.with_sink(Box::new(ledger.clone()));
    }
    let telemetry = Telemetry::default();
    builder = builder.with_sink(Box::new(telemetry.clone()));
    builder = builder.with_sink(Box::new(records.queue.clone())).with_sink(Box::new(records.live.clone()));
    let engine = builder.build();
    if let Some(ledger) = &records.ledger {
        let (ledger, bounds) = (ledger.clone(), settings.usage.bounds);
        engine.spawn("usage ledger", async move { ledger.keep(bounds, clock::now).await });
    }
    if let Err(error) = engine.load_accounts().await {
        tracing::error!("the accounts of the auth directory cannot be used: {error}");
    }
    engine.restore_standing(clock::now()).await;
    engine.keep_accounts(clock::now);
    engine.keep_standing(clock::now);
    engine.spawn("size of the logs", logs.clone().keep());
    super::usage::take_over_limits(&engine, records.ledger.clone()).await;
    let app = App::new(engine.clone()).with_logs(logs.clone()).with_telemetry(telemetry.clone());
    telemetry.apply(&engine, &settings.telemetry);
    let taker = Taker {
        engine: engine.clone(),
        readiness: app.readiness().clone(),
        level,
        started: settings.clone(),
        records,
        logs,
        telemetry: telemetry.clone(),
    };
    let shutdown =
        Shutdown { token: CancellationToken::new(), grace: GRACE, at_once: CancellationToken::new() };
    let console = taker.console(source.clone(), password, shutdown.token.clone());
    let app = app.with_management(Arc::clone(&console));
    taker.watch(source, loaded, Arc::clone(&console));
    let ending = shutdown.token.clone();
    engine.spawn("keep-alive", async move {
        console.left_alone().await;
        tracing::info!("keep-alive endpoint idle for 10s, shutting down");
        ending.cancel();
    });

    end_on_signal(&engine, shutdown.clone());
    announce(&lines, &engine, address);
    if has_demo {
        let is_open = settings.access.client_keys.is_empty();
        lines.say(&super::demo::invitation(address, tls.is_some(), is_open));
    }
    serve(listener, Gateway::new(app), tls, shutdown).await;
    telemetry.finish(&engine).await;
    engine.save_standing_now(clock::now()).await;
    engine.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

async fn bind(settings: &Settings) -> anyhow::Result<TcpListener> {
    let port = settings.listen.port;
    let bound = match &settings.listen.host {
        Host::Loopback => TcpListener::bind(("127.0.0.1", port)).await,
        // One socket serves both families where the system allows it.
        Host::Every => match TcpListener::bind(("::", port)).await {
            Ok(listener) => Ok(listener),
            Err(_no_ipv6) => TcpListener::bind(("0.0.0.0", port)).await,
        },
        Host::Named(host) => match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => TcpListener::bind((address, port)).await,
            Err(_name) => TcpListener::bind((host.as_str(), port)).await,
        },
    };
    bound.with_context(|| {
        format!(
            "cannot listen on {}:{port}; is another gateway running? choose another with --port",
            settings.listen.host.as_str()
        )
    })
}

/// Programs that wrap this one wait for these lines.
fn announce(lines: &Lines, engine: &Engine, address: std::net::SocketAddr) {
    lines.say(&format!("API server started successfully on: {address}"));
    lines.say(&inventory(engine));
}

/// The first signal ends in order, a second one at once.
fn end_on_signal(engine: &Engine, shutdown: Shutdown) {
    let mut signals = Signals::new();
    engine.spawn("signals", async move {
        signals.next().await;
        tracing::info!(
            "ending: no new connections, running answers get {} s; another signal ends them at once",
            GRACE.as_secs()
        );
        shutdown.token.cancel();
        signals.next().await;
        shutdown.at_once.cancel();
    });
}

/// The signals that ask the program to end. Listened for from the start, so that none is missed between two.
#[cfg(unix)]
struct Signals([Option<tokio::signal::unix::Signal>; 2]);

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self([SignalKind::terminate(), SignalKind::interrupt()].map(|kind| match signal(kind) {
            Ok(signal) => Some(signal),
            Err(error) => {
                tracing::warn!("cannot listen for the signal to end: {error}");
                None
            }
        }))
    }

    async fn next(&mut self) {
        async fn one(signal: &mut Option<tokio::signal::unix::Signal>) {
            let Some(signal) = signal else { return std::future::pending().await };
            if signal.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
        let [terminate, interrupt] = &mut self.0;
        tokio::select! {
            () = one(terminate) => {}
            () = one(interrupt) => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
