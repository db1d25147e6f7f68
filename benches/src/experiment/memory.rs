//! Memory: at rest, and for every stream that is open and silent.

use super::Bench;
use crate::load::{self, Pairing, Running};
use crate::process::{Server, Side};
use crate::report::{Row, Target, progress};
use cliproxy_bench::sample::{Dialect, Lane};

/// KiB for every open stream of a fresh process.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
async fn per_stream(bench: &Bench, server: &Server, pairing: &Pairing, count: usize) -> anyhow::Result<f64> {
    // What is allocated once is there before the first look.
    let clients = load::connect(server.address, 20).await?;
    let warm = Running::begin_all(clients, &bench.lanes, pairing).await?;
    let before = server.resident()?;
    let clients = load::connect(server.address, count).await?;
    let running = Running::begin_all(clients, &bench.lanes, pairing).await?;
    let after = server.resident()?;
    Running::end_all(running).await?;
    Running::end_all(warm).await?;
    Ok(after.saturating_sub(before) as f64 / 1024.0 / count as f64)
}

/// Memory of both sides.
pub(crate) async fn all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    progress("memory");
    let count = if bench.is_quick { 300 } else { 1000 };
    let mut rows = Vec::new();
    for (what, upstream, lane) in [
        ("idle stream, chat passthrough", Dialect::Chat, Lane::Passthrough),
        ("idle stream, chat with an alias", Dialect::Chat, Lane::Alias),
        ("idle stream, chat → claude", Dialect::Claude, Lane::Translate),
    ] {
        let pairing = Pairing { client: Dialect::Chat, upstream, model: upstream.model(lane) };
        let plain = Pairing { upstream: Dialect::Chat, ..pairing.clone() };
        let gateway = per_stream(bench, &bench.programs.start(Side::Gateway)?, &pairing, count).await?;
        let bare = per_stream(bench, &bench.programs.start(Side::Bare)?, &plain, count).await?;
        rows.push(Row::compared(what.to_owned(), "KiB", &[gateway], &[bare], Target::Figure(48.0)));
    }
    Ok(rows)
}
