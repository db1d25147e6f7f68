//! Starting: time to the first answer, memory at rest, size of the binary.

use super::Bench;
use crate::process::Side;
use crate::report::{Row, Target, progress};

/// What a start costs.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below the limit")]
pub(crate) fn all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    progress("starts");
    let [mut gateway, mut bare, mut resident, mut floor]: [Vec<f64>; 4] = Default::default();
    for round in 0..bench.rounds * 2 {
        for side in Bench::order(round) {
            let server = bench.programs.start(side)?;
            let (times, memory) = match side {
                Side::Gateway => (&mut gateway, &mut resident),
                Side::Bare => (&mut bare, &mut floor),
            };
            times.push(server.first_answer.as_secs_f64() * 1e3);
            memory.push(server.resident()? as f64 / 1e6);
        }
    }
    let size = std::fs::metadata(bench.programs.gateway())?.len() as f64 / 1e6;
    Ok(vec![
        Row::compared("start to first answer".into(), "ms", &gateway, &bare, Target::Figure(50.0)),
        Row::compared("memory at rest".into(), "MB", &resident, &floor, Target::Figure(20.0)),
        Row {
            what: "size of the binary".into(),
            unit: "MB",
            gateway: size,
            beside: None,
            ratio: None,
            target: Target::Figure(20.0),
        },
    ])
}
