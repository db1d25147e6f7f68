//! The commands, one file each.

mod accounts;
mod check;
mod demo;
mod doctor;
mod explain;
mod import;
mod keys;
mod login;
mod logs;
mod manual;
mod reload;
mod serve;
mod show;
mod table;
mod usage;

pub(crate) use accounts::AccountsArguments;
pub(crate) use doctor::DoctorArguments;
pub(crate) use explain::ExplainArguments;
pub(crate) use import::ImportArguments;
pub(crate) use keys::KeysArguments;
pub(crate) use logs::LogsArguments;
pub(crate) use manual::{CompletionsArguments, ManArguments};
pub(crate) use usage::UsageArguments;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use cliproxy_core::Engine;
use cliproxy_core::config::{Overrides, Settings, Source};
use cliproxy_core::env;
use cliproxy_core::store::FileStore;
use cliproxy_server::clock;

use crate::arguments::{Arguments, Command};

/// Runs what the command line asks.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let source = source(arguments);
    if let Some(result) = login::run(&arguments.login, &source) {
        return result;
    }
    match &arguments.command {
        Some(Command::Accounts(accounts)) => accounts::run(accounts, &source),
        Some(Command::Check) => check::run(&source),
        Some(Command::Completions(completions)) => manual::completions(completions),
        Some(Command::Doctor(doctor)) => doctor::run(doctor, &source),
        Some(Command::Explain(explain)) => explain::run(explain, &source, arguments.demo),
        Some(Command::Import(import)) => import::run(import, &source),
        Some(Command::Keys(keys)) => keys::run(keys, &source),
        Some(Command::Logs(logs)) => logs::run(logs, &source),
        Some(Command::Man(man)) => manual::man(man),
        Some(Command::Usage(usage)) => usage::run(usage, &source),
        Some(Command::Serve) | None => serve::run(arguments),
    }
}

/// Where the configuration comes from. A file that was named must exist, the default one need not.
fn source(arguments: &Arguments) -> Source {
    let source = match &arguments.config {
        Some(path) => Source::required(path),
        None => Source::optional("config.yaml"),
    };
    source.with_overrides(Overrides {
        host: arguments.host.clone(),
        port: arguments.port,
        allow_unauthenticated_remote: arguments.allow_unauthenticated_remote,
        ..Overrides::default()
    })
}

/// The settings, or all that is wrong with them.
fn settings(source: &Source) -> anyhow::Result<Settings> {
    let loaded = Settings::load(source, &env::with_dotenv(Path::new(".")));
    loaded.map(|loaded| loaded.settings).map_err(|problems| anyhow!("{problems}"))
}

/// A runtime for commands that end soon.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

/// An engine that looks at what a server would serve with, and at what one last wrote down; it changes nothing and
/// renews nothing.
async fn looking(settings: Settings, has_demo: bool) -> anyhow::Result<Engine> {
    let store = Arc::new(FileStore::new(settings.auth_dir.clone()).untouched());
    let mut builder = Engine::builder(settings).with_store(store);
    if has_demo {
        builder = builder.with_demo();
    }
    let engine = builder.build();
    engine.load_accounts().await.context("cannot read the auth directory")?;
    engine.recall(clock::now()).await;
    Ok(engine)
}
