//! The commands, one file each.

mod check;
mod demo;
mod explain;
mod import;
mod login;
mod reload;
mod serve;
mod usage;

pub(crate) use import::ImportArguments;
pub(crate) use usage::UsageArguments;

use std::process::ExitCode;

use cliproxy_core::config::{Overrides, Source};

use crate::arguments::{Arguments, Command};

/// Runs what the command line asks.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(result) = login::run(&arguments.login, &source(arguments)) {
        return result;
    }
    match &arguments.command {
        Some(Command::Import(import)) => import::run(import, &source(arguments)),
        Some(Command::Explain { model, session, json }) => {
            explain::run(&source(arguments), arguments.demo, model, session.as_deref(), *json)
        }
        Some(Command::Usage(usage)) => usage::run(usage, &source(arguments)),
        Some(Command::Check) => check::run(&source(arguments)),
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
