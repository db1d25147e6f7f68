//! From a client that vanishes in the middle of a silent stream to the upstream that notices.

use super::{Bench, Both};
use crate::client::Client;
use crate::load::{Pairing, Running};
use crate::process::{Server, Side};
use crate::report::{Row, Target, progress};
use crate::statistics::Spread;
use cliproxy_bench::sample::{Dialect, Lane};

async fn once(bench: &Bench, server: &Server, pairing: &Pairing) -> anyhow::Result<f64> {
    let client = Client::connect(server.address).await?;
    let mut running = Running::begin(client, &bench.lanes, pairing).await?;
    running.piece().await?;
    Ok(running.abandon().await?.as_secs_f64() * 1e3)
}

/// The median and the worst case.
pub(crate) async fn noticed(bench: &Bench, both: &Both) -> anyhow::Result<Vec<Row>> {
    progress("from a vanished client to the upstream");
    let mut rows = Vec::new();
    for (what, upstream) in [("chat passthrough", Dialect::Chat), ("chat → claude", Dialect::Claude)] {
        let lane = if upstream == Dialect::Chat { Lane::Passthrough } else { Lane::Translate };
        let pairing = Pairing { client: Dialect::Chat, upstream, model: upstream.model(lane) };
        let plain = Pairing { upstream: Dialect::Chat, ..pairing.clone() };
        let (mut gateway, mut bare) = (Vec::new(), Vec::new());
        for round in 0..bench.rounds * 20 {
            for side in Bench::order(round) {
                match side {
                    Side::Gateway => gateway.push(once(bench, &both.gateway, &pairing).await?),
                    Side::Bare => bare.push(once(bench, &both.bare, &plain).await?),
                }
            }
        }
        rows.push(Row::compared(format!("{what}, median"), "ms", &gateway, &bare, Target::Figure(5.0)));
        let worst = |values: &[f64]| Spread::of(values).most;
        rows.push(Row {
            what: format!("{what}, worst of {}", gateway.len()),
            unit: "ms",
            gateway: worst(&gateway),
            beside: Some(worst(&bare)),
            ratio: None,
            target: Target::Figure(5.0),
        });
    }
    Ok(rows)
}
