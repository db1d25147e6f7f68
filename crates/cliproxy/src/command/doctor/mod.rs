//! `doctor`: everything that keeps a gateway from working, as far as this machine can tell, and what to do about it.
//!
//! Looks and changes nothing. No token, key or password leaves the machine: names are resolved, ports are knocked at, and
//! with `--online` the addresses of upstreams are asked for their head without any credential. The report holds no
//! secret, no e-mail address and no home directory, so that it can be pasted where others read it.

mod account;
mod clock;
mod configuration;
mod finding;
mod holder;
mod listener;
mod mask;
mod network;
mod place;

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use cliproxy_core::config::{Settings, Source};
use cliproxy_core::env;

use self::finding::Findings;
use self::mask::Mask;
use super::show::{print, print_json};

/// What `doctor` is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct DoctorArguments {
    /// Also ask every configured upstream whether it answers, without any key or token
    #[arg(long)]
    online: bool,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) fn run(arguments: &DoctorArguments, source: &Source) -> anyhow::Result<ExitCode> {
    let environment = env::with_dotenv(Path::new("."));
    let mut findings = Findings::default();
    let mut mask = Mask::new(&environment);
    let runtime = super::runtime()?;
    configuration::file(source, &mut findings);
    match Settings::load(source, &environment) {
        Err(problems) => configuration::refused(&problems, &mut findings),
        Ok(loaded) => {
            mask.hide_settings(&loaded.settings);
            configuration::accepted(source, &loaded, &mut findings);
            runtime.block_on(settled(arguments, source, &loaded.settings, &mut mask, &mut findings));
        }
    }
    // Names that are still being looked up are waited for by nobody.
    runtime.shutdown_background();
    if arguments.json {
        print_json(&findings.json(&mask));
    } else {
        print(&findings.text(&mask));
    }
    Ok(if findings.has_problems() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What can be looked at once there are settings.
async fn settled(
    arguments: &DoctorArguments,
    source: &Source,
    settings: &Settings,
    mask: &mut Mask,
    findings: &mut Findings,
) {
    configuration::access(settings, findings);
    place::files(source, settings, findings);
    place::disks(settings, findings);
    listener::tls(settings, findings);
    listener::port(settings, findings).await;
    listener::login_ports(settings, findings);
    let engine = match super::looking(settings.clone(), false).await {
        Ok(engine) => engine,
        // That the directory cannot be read has been said already.
        Err(_unreadable) => return,
    };
    for account in engine.accounts().values() {
        mask.hide_account(&account.record());
    }
    account::look(&engine, settings, findings).await;
    clock::look(source, &engine, findings);
    network::look(&engine, findings).await;
    if arguments.online {
        network::online(&engine, findings).await;
    }
}
