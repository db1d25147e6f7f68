//! What the usage ledger costs: a gateway that records every request beside one that records none.

use super::{Bench, Both, chunk, request};
use crate::process::{Programs, Side};
use crate::report::{Row, Target, progress};
use cliproxy_bench::sample::{self, Dialect, Lane};

/// A small request, and a piece of a stream. Gemini's pieces have counts in each of them.
pub(crate) async fn all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    progress("what recording costs");
    let config = sample::config(&format!("http://{}", bench.upstream)) + "usage-statistics-enabled: true\n";
    let recording = Programs::new(bench.programs.gateway().to_owned(), bench.upstream, &config)?;
    let both = Both { gateway: recording.start(Side::Gateway)?, bare: bench.programs.start(Side::Gateway)? };

    let question =
        Dialect::Chat.question(&Dialect::Chat.model(Lane::Passthrough), "Tell me about tea.", false);
    let small = request::Case::new("small request, chat".into(), question.clone(), question, Target::None);
    let pieces = [Dialect::Claude, Dialect::Gemini]
        .map(|format| chunk::Case::new(format, format, Lane::Passthrough, Target::None));

    let mut rows = request::run(bench, &both, vec![small], if bench.is_quick { 100 } else { 200 }).await?;
    for row in chunk::run(bench, &both, pieces.into()).await? {
        rows.push(Row { what: format!("streamed piece, {}", row.what), ..row });
    }
    Ok(rows)
}
