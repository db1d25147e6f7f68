//! Processor time per streamed piece, in the three lanes and all pairs of formats.

use super::request::{lane_name, per};
use super::{Bench, Both};
use crate::load::{self, Pairing, Running};
use crate::process::{Server, Side};
use crate::report::{Row, Target, progress};
use cliproxy_bench::sample::{Dialect, Lane};

const STREAMS: usize = 16;

async fn cpu(bench: &Bench, server: &Server, pairing: &Pairing, count: usize) -> anyhow::Result<f64> {
    let clients = load::connect(server.address, STREAMS).await?;
    let running = Running::begin_all(clients, &bench.lanes, pairing).await?;
    let before = server.cpu()?;
    let running = Running::pieces(running, count).await?;
    let spent = server.cpu()?.saturating_sub(before);
    Running::end_all(running).await?;
    Ok(per(spent, STREAMS * count))
}

pub(super) struct Case {
    what: String,
    pairing: Pairing,
    target: Target,
    gateway: Vec<f64>,
    floor: Vec<f64>,
}

impl Case {
    pub(super) fn new(client: Dialect, upstream: Dialect, lane: Lane, target: Target) -> Self {
        let what = match lane {
            Lane::Translate => format!("{} → {}", client.name(), upstream.name()),
            _ => format!("{} {}", client.name(), lane_name(lane)),
        };
        let pairing = Pairing { client, upstream, model: upstream.model(lane) };
        Self { what, pairing, target, gateway: Vec::new(), floor: Vec::new() }
    }
}

/// All lanes.
pub(crate) async fn all(bench: &Bench, both: &Both) -> anyhow::Result<Vec<Row>> {
    progress("processor time per streamed piece");
    let mut cases = Vec::new();
    for format in Dialect::ALL {
        cases.push(Case::new(format, format, Lane::Passthrough, Target::Ratio(1.5)));
        cases.push(Case::new(format, format, Lane::Alias, Target::None));
    }
    for client in Dialect::ALL {
        for upstream in Dialect::ALL.into_iter().filter(|upstream| *upstream != client) {
            cases.push(Case::new(client, upstream, Lane::Translate, Target::Ratio(1.8)));
        }
    }
    run(bench, both, cases).await
}

/// Runs cases in turn.
pub(super) async fn run(bench: &Bench, both: &Both, mut cases: Vec<Case>) -> anyhow::Result<Vec<Row>> {
    cases.retain(|case| case.what.contains(&bench.case));
    let count = if bench.is_quick { 60 } else { 120 };
    for round in 0..bench.rounds {
        for case in &mut cases {
            let client = case.pairing.client;
            let bare = Pairing { upstream: client, ..case.pairing.clone() };
            for side in Bench::order(round) {
                match side {
                    Side::Gateway => {
                        case.gateway.push(cpu(bench, &both.gateway, &case.pairing, count).await?);
                    }
                    Side::Bare => case.floor.push(cpu(bench, &both.bare, &bare, count).await?),
                }
            }
        }
    }
    Ok(cases
        .into_iter()
        .map(|case| Row::compared(case.what, "µs", &case.gateway, &case.floor, case.target))
        .collect())
}
