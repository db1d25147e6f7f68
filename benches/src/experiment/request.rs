//! Processor time per request: small ones and agentic ones, in the three lanes.

use std::time::Duration;

use serde_json::Value;

use super::{Bench, Both};
use crate::load;
use crate::process::{Server, Side, own_cpu};
use crate::report::{Row, Target, progress};
use cliproxy_bench::sample::{Dialect, Lane, Question, agentic};

const CONNECTIONS: usize = 8;

/// Microseconds a request.
async fn cpu(server: &Server, question: &Question, count: usize) -> anyhow::Result<f64> {
    let clients = load::connect(server.address, CONNECTIONS).await?;
    // Connections to the upstream are opened before the clock runs.
    let clients = load::exchange(clients, question, 1).await?;
    let before = server.cpu()?;
    let clients = load::exchange(clients, question, count).await?;
    let spent = server.cpu()?.saturating_sub(before);
    drop(clients);
    Ok(per(spent, CONNECTIONS * count))
}

/// Microseconds a piece.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(super) fn per(spent: Duration, count: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / count as f64
}

pub(super) struct Case {
    what: String,
    ours: Question,
    bare: Question,
    target: Target,
    gateway: Vec<f64>,
    floor: Vec<f64>,
}

impl Case {
    pub(super) fn new(what: String, ours: Question, bare: Question, target: Target) -> Self {
        Self { what, ours, bare, target, gateway: Vec::new(), floor: Vec::new() }
    }
}

/// Runs cases in turn, `count` requests a slice.
pub(super) async fn run(
    bench: &Bench,
    both: &Both,
    mut cases: Vec<Case>,
    count: usize,
) -> anyhow::Result<Vec<Row>> {
    cases.retain(|case| case.what.contains(&bench.case));
    for round in 0..bench.rounds {
        for case in &mut cases {
            for side in Bench::order(round) {
                match side {
                    Side::Gateway => case.gateway.push(cpu(&both.gateway, &case.ours, count).await?),
                    Side::Bare => case.floor.push(cpu(&both.bare, &case.bare, count).await?),
                }
            }
        }
    }
    Ok(cases
        .into_iter()
        .map(|case| Row::compared(case.what, "µs", &case.gateway, &case.floor, case.target))
        .collect())
}

/// Small requests and answers.
pub(crate) async fn small(bench: &Bench, both: &Both) -> anyhow::Result<Vec<Row>> {
    progress("processor time per small request");
    let mut cases = Vec::new();
    for format in Dialect::ALL {
        for (lane, target) in [(Lane::Passthrough, Target::Ratio(1.5)), (Lane::Alias, Target::None)] {
            let question = format.question(&format.model(lane), "Tell me about tea.", false);
            let what = format!("{} {}", format.name(), lane_name(lane));
            cases.push(Case::new(what, question.clone(), question, target));
        }
    }
    for (client, upstream) in [(Dialect::Claude, Dialect::Chat), (Dialect::Responses, Dialect::Gemini)] {
        let question =
            |format: Dialect| client.question(&format.model(Lane::Translate), "Tell me about tea.", false);
        let what = format!("{} → {}", client.name(), upstream.name());
        cases.push(Case::new(what, question(upstream), question(client), Target::None));
    }
    run(bench, both, cases, if bench.is_quick { 100 } else { 200 }).await
}

/// 200 KB requests, small answers.
pub(crate) async fn large(bench: &Bench, both: &Both) -> anyhow::Result<Vec<Row>> {
    progress("processor time per agentic request");
    let mut cases = Vec::new();
    for format in Dialect::ALL {
        for lane in [Lane::Passthrough, Lane::Alias] {
            let question = agentic(format, &format.model(lane));
            let what = format!("{} {}", format.name(), lane_name(lane));
            cases.push(Case::new(what, question.clone(), question, Target::Ratio(2.0)));
        }
    }
    run(bench, both, cases, if bench.is_quick { 8 } else { 20 }).await
}

/// 200 KB requests that are translated, beside reading a body of the client's format into a JSON tree and writing it.
pub(crate) async fn translated(bench: &Bench, both: &Both) -> anyhow::Result<Vec<Row>> {
    progress("processor time per translated agentic request");
    let count = if bench.is_quick { 8 } else { 20 };
    let mut rows = Vec::new();
    for client in Dialect::ALL {
        for upstream in Dialect::ALL.into_iter().filter(|upstream| *upstream != client) {
            let what = format!("{} → {} beside a JSON tree", client.name(), upstream.name());
            if !what.contains(&bench.case) {
                continue;
            }
            let question = agentic(client, &upstream.model(Lane::Translate));
            let (mut ours, mut tree) = (Vec::new(), Vec::new());
            for _ in 0..bench.rounds {
                ours.push(cpu(&both.gateway, &question, count).await?);
                tree.push(tree_cpu(&question, count * 2)?);
            }
            rows.push(Row::compared(what, "µs", &ours, &tree, Target::Figure(700.0)));
        }
    }
    Ok(rows)
}

/// Microseconds to read a body into a JSON tree and write it again.
fn tree_cpu(question: &Question, count: usize) -> anyhow::Result<f64> {
    let before = own_cpu()?;
    for _ in 0..count {
        let tree: Value = serde_json::from_slice(std::hint::black_box(&question.body))?;
        std::hint::black_box(serde_json::to_vec(&tree)?);
    }
    Ok(per(own_cpu()?.saturating_sub(before), count))
}

pub(super) fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Passthrough => "passthrough",
        Lane::Alias => "with an alias",
        Lane::Translate => "translated",
    }
}
