//! `usage`: sums over the requests of the past, or the requests themselves.
//!
//! Reads the ledger of the auth directory, which a running server goes on writing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use cliproxy_core::Engine;
use cliproxy_core::config::{Settings, Source};
use cliproxy_core::store::{FileStore, Store as _};
use cliproxy_core::usage::{By, Ledger, LedgerError, Span, Totals, csv};
use cliproxy_server::clock;

use super::show::{print, print_json};
use super::table::{Side, Table};

/// Rows that are read at a time.
const PAGE: u64 = 1000;

#[derive(Args, Clone, Debug)]
pub(crate) struct UsageArguments {
    /// What to sum up by
    #[arg(long, value_enum, default_value_t = Dimension::Model)]
    by: Dimension,
    /// How far back, in days; everything when it is left out
    #[arg(long, value_name = "DAYS")]
    days: Option<u64>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    /// Print the single requests as comma separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Take in what `/usage/export` of this program or the original gave; what is on record already is left out
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "days"])]
    import: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dimension {
    Model,
    Credential,
    Provider,
    Client,
    Format,
    Outcome,
    Lane,
    Day,
    Hour,
}

impl Dimension {
    fn by(self) -> By {
        match self {
            Self::Model => By::Model,
            Self::Credential => By::Credential,
            Self::Provider => By::Provider,
            Self::Client => By::Client,
            Self::Format => By::Format,
            Self::Outcome => By::Outcome,
            Self::Lane => By::Lane,
            Self::Day => By::Day,
            Self::Hour => By::Hour,
        }
    }
}

/// The ledger of a running server; without a directory for it, requests are served and not kept.
pub(super) fn ledger(settings: &Settings) -> Option<Ledger> {
    FileStore::new(settings.auth_dir.clone()).workplace().map(|directory| Ledger::new(&directory))
}

/// Takes over what client keys have used of their limits before. Nothing is read where there are none.
pub(super) async fn take_over_limits(engine: &Engine, ledger: Option<Ledger>) {
    let Some(ledger) = ledger else { return };
    let engine = engine.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let allowances = &engine.snapshot().settings.access.allowances;
        let now = clock::now();
        engine
            .meter()
            .load(allowances.iter().map(AsRef::as_ref), now, |client, from| ledger.used(client, from))
    });
    let read = reading.await.map_err(std::io::Error::other).map_err(LedgerError::from);
    if let Err(error) = read.and_then(|read| read) {
        tracing::error!("what client keys have used of their limits is not known from before: {error}");
    }
}

pub(super) fn run(arguments: &UsageArguments, source: &Source) -> anyhow::Result<ExitCode> {
    let settings = super::settings(source)?;
    let directory = FileStore::new(settings.auth_dir.clone()).workplace().unwrap_or_default();
    let ledger = Ledger::open(&directory)
        .with_context(|| format!("cannot read the usage ledger in {}", directory.display()))?;
    if let Some(file) = &arguments.import {
        return import(&ledger, file, arguments.json);
    }
    let day = 24 * 3600;
    let from = arguments.days.map_or(0, |days| clock::now().saturating_sub(days.saturating_mul(day)));
    let span = Span { from, ..Span::ALL };
    if arguments.csv {
        return print_csv(&ledger, span);
    }
    let (by, all) = (ledger.totals_by(arguments.by.by(), span)?, ledger.totals(span)?);
    if arguments.json {
        let by: Vec<_> = by.iter().map(|(name, totals)| json(name, totals)).collect();
        print_json(&serde_json::json!({"total": all, "by": by}));
    } else {
        print(&table(&by, &all, &settings));
    }
    Ok(ExitCode::SUCCESS)
}

fn import(ledger: &Ledger, file: &Path, is_json: bool) -> anyhow::Result<ExitCode> {
    let imported =
        ledger.import(|| File::open(file)).with_context(|| format!("cannot take in {}", file.display()))?;
    let (added, skipped) = (imported.added, imported.skipped);
    if is_json {
        print_json(&serde_json::json!({"added": added, "skipped": skipped}));
    } else {
        print(&format!(
            "{added} requests added, {skipped} left out that are on record already or have no time\n"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn json(name: &str, totals: &Totals) -> serde_json::Value {
    let mut value = serde_json::json!({"name": name});
    if let (Some(members), Ok(serde_json::Value::Object(totals))) =
        (value.as_object_mut(), serde_json::to_value(totals))
    {
        members.extend(totals);
    }
    value
}

fn table(by: &[(String, Totals)], all: &Totals, settings: &Settings) -> String {
    if all.requests == 0 {
        let hint = if settings.usage.is_collected {
            "no request was recorded yet"
        } else {
            "nothing is recorded: set `usage-statistics-enabled: true` in config.yaml"
        };
        return format!("{hint}\n");
    }
    let right = Side::Right;
    let mut lines = Table::new([
        ("", Side::Left),
        ("requests", right),
        ("failed", right),
        ("input", right),
        ("cached", right),
        ("output", right),
        ("reasoning", right),
        ("cost", right),
    ]);
    let all_named = ("total".to_owned(), all.clone());
    for (name, totals) in by.iter().chain([&all_named]) {
        let name = if name.is_empty() { "(none)" } else { name };
        let counts = [
            totals.requests,
            totals.failed,
            totals.input,
            totals.cache_read,
            totals.output,
            totals.reasoning,
        ];
        let [requests, failed, input, cached, output, reasoning] = counts.map(|count| count.to_string());
        // A sum that leaves requests out must not look like the whole.
        let cost = match (totals.unpriced == totals.requests, totals.unpriced) {
            (true, _) => "-".to_owned(),
            (false, 0) => format!("{:.4}", totals.cost),
            (false, _) => format!("{:.4}+", totals.cost),
        };
        lines.row([name.to_owned(), requests, failed, input, cached, output, reasoning, cost]);
    }
    lines.render()
}

fn print_csv(ledger: &Ledger, span: Span) -> anyhow::Result<ExitCode> {
    print(csv::HEAD);
    let mut skip = 0;
    loop {
        let rows = ledger.rows(span, skip, PAGE)?;
        let count = u64::try_from(rows.len()).unwrap_or_default();
        print(&rows.iter().map(csv::line).collect::<String>());
        skip += count;
        if count < PAGE {
            return Ok(ExitCode::SUCCESS);
        }
    }
}
