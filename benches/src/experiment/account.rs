//! Thousands of accounts: starting with them, holding them, choosing among them, and taking over new tokens for many
//! of them while requests run.

use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cliproxy_core::Engine;
use cliproxy_core::config::{Overrides, Settings, Source};
use cliproxy_core::credential::{Cooling, Moment, Scope};
use cliproxy_core::env::Fixed;
use cliproxy_core::failure::Rest;
use cliproxy_core::route::{State, select};
use cliproxy_core::store::{Expected, MemoryStore, Store as _};
use serde_json::json;
use tokio::task::JoinSet;

use super::Bench;
use crate::client::Client;
use crate::process::{Programs, Server, Side};
use crate::report::{Row, Target, progress};
use crate::statistics::percentile;
use cliproxy_bench::sample::{Dialect, Question};

/// Accounts in the auth directory.
const ACCOUNTS: usize = 5000;
/// Of these get a new token while requests run.
const CHANGED: usize = 1000;
/// Any model of the catalog that Claude accounts offer.
const MODEL: &str = "claude-sonnet-4-6";
/// A name that one of the new files gives to the model, so that it can be seen from outside that it was read.
const NEW_NAME: &str = "claude-of-the-new-files";
/// Accounts do not share connections to the upstream, so a load without pauses would open thousands of them.
const PAUSE: Duration = Duration::from_millis(5);

/// All experiments with many accounts.
pub(crate) async fn all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    progress(&format!("{ACCOUNTS} accounts"));
    let programs = Programs::new(
        bench.programs.gateway().to_owned(),
        bench.upstream,
        "auth-dir: ./accounts\nrouting: {strategy: round-robin}\n",
    )?;
    let directory = programs.directory().join("accounts");
    fs::create_dir(&directory)?;
    for number in 0..ACCOUNTS {
        write(&directory, number, &account(bench, number, "first", None))?;
    }
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds.min(3) {
        let server = programs.start(Side::Gateway)?;
        starts.push(server.first_answer.as_secs_f64() * 1e3);
        memory.push(megabytes(server.resident()?));
    }
    let server = programs.start(Side::Gateway)?;
    let change = change(bench, &server, &directory).await?;
    memory.push(megabytes(server.resident()?));
    let row =
        |what: String, unit, gateway, target| Row { what, unit, gateway, beside: None, ratio: None, target };
    let mut rows = vec![
        row(
            format!("start with {ACCOUNTS} accounts"),
            "ms",
            percentile(&starts, 0.5),
            Target::Figure(1000.0),
        ),
        row(format!("memory with {ACCOUNTS} accounts"), "MB", percentile(&memory, 0.5), Target::Figure(60.0)),
        row(format!("{CHANGED} new tokens: requests that failed"), "", change.failed, Target::Figure(0.0)),
        row(format!("{CHANGED} new tokens: requests that were served"), "", change.served, Target::None),
        row(format!("{CHANGED} new tokens: until they are used"), "ms", change.took, Target::None),
        row(
            "memory after that and all requests".to_owned(),
            "MB",
            megabytes(server.resident()?),
            Target::None,
        ),
    ];
    for (resting, target) in
        [(0, Target::Figure(2.0)), (ACCOUNTS / 10, Target::Figure(2.0)), (ACCOUNTS - 1, Target::Figure(2.0))]
    {
        let what = format!("choice among {ACCOUNTS}, {resting} of them resting, p99");
        rows.push(row(what, "µs", choice(resting).await?, target));
    }
    Ok(rows)
}

/// An auth file.
fn account(bench: &Bench, number: usize, token: &str, alias: Option<&str>) -> String {
    let aliases = alias.map(|alias| json!([{"name": MODEL, "alias": alias, "fork": true}]));
    json!({"type": "claude", "email": format!("account{number}@example.com"),
        "access_token": format!("{token}-access-token-{number:05}"),
        "refresh_token": format!("{token}-refresh-token-{number:05}"),
        "expired": "2099-01-01T00:00:00Z", "last_refresh": "2026-01-01T00:00:00Z",
        "base_url": format!("http://{}", bench.upstream), "model_aliases": aliases})
    .to_string()
}

/// Writes a file the way programs do that know that others read it.
fn write(directory: &Path, number: usize, content: &str) -> anyhow::Result<()> {
    let path = directory.join(format!("claude-{number:05}.json"));
    let unfinished = path.with_extension("part");
    fs::File::create(&unfinished)?.write_all(content.as_bytes())?;
    fs::rename(unfinished, path).context("cannot replace an auth file")
}

struct Change {
    failed: f64,
    served: f64,
    took: f64,
}

/// Writes new tokens into files while requests run.
async fn change(bench: &Bench, server: &Server, directory: &Path) -> anyhow::Result<Change> {
    let (served, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let is_over = Arc::new(AtomicBool::new(false));
    let question = Dialect::Claude.question(MODEL, "Tell me about tea.", false);
    let mut load = JoinSet::new();
    for _ in 0..4 {
        let (served, failed, is_over) = (Arc::clone(&served), Arc::clone(&failed), Arc::clone(&is_over));
        let (question, address) = (question.clone(), server.address);
        load.spawn(async move {
            let mut client = Client::connect(address).await?;
            while !is_over.load(Ordering::Relaxed) {
                if client.exchange(&question).await.is_ok() {
                    served.fetch_add(1, Ordering::Relaxed);
                } else {
                    failed.fetch_add(1, Ordering::Relaxed);
                    client = Client::connect(address).await?;
                }
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(PAUSE * 20).await;
    for number in 0..CHANGED {
        let alias = (number + 1 == CHANGED).then_some(NEW_NAME);
        write(directory, number, &account(bench, number, "second", alias))?;
    }
    let written = Instant::now();
    let mut client = Client::connect(server.address).await?;
    let renamed: Question = Dialect::Claude.question(NEW_NAME, "Tell me about tea.", false);
    while client.exchange(&renamed).await.is_err() {
        ensure!(written.elapsed() < Duration::from_mins(1), "the new auth files are not read");
        tokio::time::sleep(PAUSE).await;
    }
    let took = written.elapsed();
    tokio::time::sleep(PAUSE * 20).await;
    is_over.store(true, Ordering::Relaxed);
    for ended in load.join_all().await {
        ended?;
    }
    let count =
        |counter: &AtomicU64| f64::from(u32::try_from(counter.load(Ordering::Relaxed)).unwrap_or(u32::MAX));
    Ok(Change { failed: count(&failed), served: count(&served), took: took.as_secs_f64() * 1e3 })
}

/// Microseconds that 99 of 100 choices take at most: finding the model, choosing and taking an account, by the
/// functions that requests use.
async fn choice(resting: usize) -> anyhow::Result<f64> {
    let store = Arc::new(MemoryStore::default());
    for number in 0..ACCOUNTS {
        let content = json!({"type": "claude", "access_token": format!("token-{number:05}")}).to_string();
        store.put(&format!("claude-{number:05}.json"), content.into(), Expected::Any).await?;
    }
    // Not looked at: the accounts are in memory. Without it the defaults want a home directory.
    let overrides = Overrides { auth_dir: Some(".".into()), ..Overrides::default() };
    let source = Source { overrides, ..Source::default() };
    let loaded = Settings::load(&source, &Fixed::default()).context("defaults are not valid")?;
    let engine = Engine::builder(loaded.settings).with_store(store).build();
    engine.load_accounts().await?;
    let snapshot = engine.snapshot();
    let offers = snapshot.routes.resolve(MODEL).context("the catalog does not have the model")?.offers;
    // Spread evenly, as quotas run out.
    let step = ACCOUNTS.checked_div(resting).unwrap_or(usize::MAX);
    let now = tokio::time::Instant::now();
    for offer in offers.members().iter().step_by(step).take(resting) {
        let lease = offer.seat.lease().context("no limit is configured")?;
        lease.fail_as(Rest::Quota(Some(Duration::from_hours(1))), Scope::Model, Cooling::default(), now);
    }
    let mut times = Vec::with_capacity(ACCOUNTS);
    for _ in 0..times.capacity() {
        let began = Instant::now();
        let now = tokio::time::Instant::now();
        let found = snapshot.routes.resolve(black_box(MODEL)).context("the model is gone")?;
        let turn = found.offers.turn().load(Ordering::Relaxed);
        let state = |index: usize| {
            found.offers.members().get(index).map_or(State::Free, |offer| State::of(offer.seat.stand(now)))
        };
        let choice = select(
            found.offers.ranks(),
            snapshot.strategy,
            turn,
            None,
            Some(Moment { now, thaws: 0 }),
            state,
        )
        .context("all rest")?;
        found.offers.turn().store(choice.next_turn, Ordering::Relaxed);
        let lease = found.offers.members().get(choice.index).and_then(|offer| offer.seat.lease());
        times.push(began.elapsed().as_secs_f64() * 1e6);
        drop(black_box(lease));
    }
    Ok(percentile(&times, 0.99))
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below the limit")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
