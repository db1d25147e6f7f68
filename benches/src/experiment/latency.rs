//! Latency that a side adds to a piece of a stream on its own: with it, less without it.

use std::net::SocketAddr;

use super::{Bench, Both};
use crate::client::Client;
use crate::load::{Pairing, Running};
use crate::report::{Row, Target, progress};
use crate::statistics::{Spread, percentile};
use cliproxy_bench::sample::{Dialect, Lane};

/// Microseconds of every piece.
async fn pieces(
    bench: &Bench,
    address: SocketAddr,
    pairing: &Pairing,
    count: usize,
) -> anyhow::Result<Vec<f64>> {
    let client = Client::connect(address).await?;
    let mut running = Running::begin(client, &bench.lanes, pairing).await?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        times.push(running.piece().await?.as_secs_f64() * 1e6);
    }
    running.end().await?;
    Ok(times)
}

/// Passthrough and one translation.
pub(crate) async fn added(bench: &Bench, both: &Both) -> anyhow::Result<Vec<Row>> {
    progress("added latency");
    let plain = Pairing {
        client: Dialect::Chat,
        upstream: Dialect::Chat,
        model: Dialect::Chat.model(Lane::Passthrough),
    };
    let translated =
        Pairing { upstream: Dialect::Claude, model: Dialect::Claude.model(Lane::Translate), ..plain.clone() };
    let count = if bench.is_quick { 400 } else { 1000 };
    let [mut direct, mut bare, mut ours, mut foreign]: [Vec<Vec<f64>>; 4] = Default::default();
    for _ in 0..bench.rounds {
        direct.push(pieces(bench, bench.upstream, &plain, count).await?);
        bare.push(pieces(bench, both.bare.address, &plain, count).await?);
        ours.push(pieces(bench, both.gateway.address, &plain, count).await?);
        foreign.push(pieces(bench, both.gateway.address, &translated, count).await?);
    }
    let mut rows = Vec::new();
    for (name, gateway) in [("chat passthrough", &ours), ("chat → claude", &foreign)] {
        for (label, at) in [("median", 0.5), ("p90", 0.9), ("p99", 0.99)] {
            let less = |with: &[Vec<f64>]| -> Vec<f64> {
                with.iter()
                    .zip(&direct)
                    .map(|(with, without)| percentile(with, at) - percentile(without, at))
                    .collect()
            };
            let (gateway, bare) = (less(gateway), less(&bare));
            rows.push(Row {
                what: format!("{name}, {label}"),
                unit: "µs",
                gateway: Spread::of(&gateway).median,
                beside: Some(Spread::of(&bare).median),
                ratio: Some(Spread::of_ratios(&gateway, &bare)),
                target: Target::None,
            });
        }
    }
    Ok(rows)
}
