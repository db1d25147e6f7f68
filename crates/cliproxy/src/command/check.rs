//! `check`: would the server start, and with what.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use cliproxy_core::config::settings::Store;
use cliproxy_core::config::{Settings, Source, check};
use cliproxy_core::env;
use cliproxy_core::survey::survey;

use super::show::print;

pub(super) fn run(source: &Source) -> anyhow::Result<ExitCode> {
    let environment = env::with_dotenv(Path::new("."));
    let outcome = check::check(source, &environment);
    print(&outcome.text);
    let Ok(loaded) = Settings::load(source, &environment) else { return Ok(ExitCode::FAILURE) };
    // What other stores hold cannot be told without asking them.
    if loaded.settings.store == Store::File {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().context("cannot start the runtime")?;
        // Who stopped reading has seen enough.
        let _is_read = match runtime.block_on(survey(&loaded.settings.auth_dir)) {
            Ok(survey) => print(&format!("\n{survey}")),
            Err(error) => print(&format!("\n# the accounts cannot be looked at: {error}\n")),
        };
    }
    Ok(if outcome.is_usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
