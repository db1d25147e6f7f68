//! Measures the gateway beside a bare pass-through proxy: `cargo run --release -p cliproxy-bench`.
//!
//! One run starts the real gateway binary, the bare proxy, a scripted upstream and a load, and prints what the
//! gateway costs in units of what the bare proxy costs. Only such ratios mean anything: the floor of any proxy is the
//! kernel's price for a read and a write, and that differs from machine to machine and from minute to minute.

mod bare;
mod client;
mod experiment;
mod load;
mod process;
mod report;
mod statistics;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use cliproxy_bench::sample;

use experiment::{Bench, Both, account, cancel, chunk, encrypted, latency, memory, recorded, request, start};
use process::Programs;
use report::{print, progress};
use upstream::Lanes;

// The same allocator as the gateway's: the bare proxy must not differ in what is not measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the gateway beside a bare pass-through proxy.
#[derive(Debug, Parser)]
struct Arguments {
    /// Fewer and shorter rounds: a first impression
    #[arg(long)]
    quick: bool,

    /// How often both sides take their turn: 7, or 3 with `--quick`
    #[arg(long, value_name = "COUNT")]
    rounds: Option<usize>,

    /// The gateway to measure, instead of the one built by this command
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,

    /// Only the experiments whose name contains this: start, request, agentic, translate, chunk, latency, cancel, recorded,
    /// encrypted, memory, accounts
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,

    /// Only the cases of requests and pieces whose name contains this
    #[arg(long, value_name = "NAME", default_value = "")]
    case: String,

    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be the bare proxy
    #[command(hide = true)]
    Bare {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        upstream: SocketAddr,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::Bare { listen, upstream }) = arguments.role {
        return bare::run(listen, upstream);
    }
    let gateway = match &arguments.gateway {
        Some(gateway) => gateway.canonicalize().context("--gateway names no file")?,
        None => build()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&arguments, gateway))
}

/// Builds the gateway in the profile that this program was built in.
fn build() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.parent().context("the program lies in a directory")?;
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    if profile == "dev" {
        progress("an unoptimized build says nothing about speed: use --release");
    }
    let status = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["build", "--quiet", "--profile", profile, "-p", "cliproxy"])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the gateway does not build");
    Ok(directory.join("cli-proxy-api"))
}

async fn run(arguments: &Arguments, gateway: PathBuf) -> anyhow::Result<()> {
    let began = Instant::now();
    let lanes = Lanes::default();
    let (address, _server) = upstream::start(lanes.clone(), None).await?;
    let bench = Bench {
        programs: Programs::new(gateway, address, &sample::config(&format!("http://{address}")))?,
        lanes,
        upstream: address,
        rounds: arguments.rounds.unwrap_or(if arguments.quick { 3 } else { 7 }),
        is_quick: arguments.quick,
        case: arguments.case.clone(),
    };
    let wants = |name: &str| name.contains(arguments.only.as_str());
    if wants("start") {
        print("start", &start::all(&bench)?);
    }
    let both = Both::start(&bench.programs)?;
    if wants("request") {
        print("processor time per request", &request::small(&bench, &both).await?);
    }
    if wants("agentic") {
        print("processor time per 200 KB request", &request::large(&bench, &both).await?);
    }
    if wants("translate") {
        print("processor time per translated 200 KB request", &request::translated(&bench, &both).await?);
    }
    if wants("chunk") {
        print("processor time per streamed piece", &chunk::all(&bench, &both).await?);
    }
    if wants("latency") {
        print("latency added to a streamed piece", &latency::added(&bench, &both).await?);
    }
    if wants("cancel") {
        print("from a vanished client to the upstream", &cancel::noticed(&bench, &both).await?);
    }
    drop(both);
    if wants("recorded") {
        print("recorded, beside a gateway that records nothing", &recorded::all(&bench).await?);
    }
    if wants("encrypted") {
        print("over TLS, beside a gateway whose upstream is plain", &encrypted::all(&bench).await?);
    }
    if wants("memory") {
        print("memory", &memory::all(&bench).await?);
    }
    if wants("accounts") {
        print("thousands of accounts", &account::all(&bench).await?);
    }
    progress(&format!("took {} s", began.elapsed().as_secs()));
    Ok(())
}
