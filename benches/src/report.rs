//! The table at the end: what was measured, the target, and whether it holds.

use crate::statistics::Spread;

/// What a figure is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Gateway over bare proxy.
    Ratio(f64),
    /// The gateway's own figure.
    Figure(f64),
    /// Shown for orientation.
    None,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) gateway: f64,
    /// What it is compared with; the bare proxy unless `what` says otherwise.
    pub(crate) beside: Option<f64>,
    pub(crate) ratio: Option<Spread>,
    pub(crate) target: Target,
}

impl Row {
    /// A figure of both sides, one value a round.
    pub(crate) fn compared(
        what: String,
        unit: &'static str,
        gateway: &[f64],
        bare: &[f64],
        target: Target,
    ) -> Self {
        Self {
            what,
            unit,
            gateway: Spread::of(gateway).median,
            beside: Some(Spread::of(bare).median),
            ratio: Some(Spread::of_ratios(gateway, bare)),
            target,
        }
    }

    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::Ratio(most) => Some(self.ratio?.median <= most),
            Target::Figure(most) => Some(self.gateway <= most),
            Target::None => None,
        }
    }
}

/// Prints a heading and its rows.
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) fn print(heading: &str, rows: &[Row]) {
    println!("\n{heading}");
    println!(
        "{:<44} {:>10} {:>10} {:>7} {:>15} {:>10}",
        "", "gateway", "beside", "ratio", "(least, most)", "target"
    );
    for row in rows {
        let figure = |value: f64| format!("{value:.1} {}", row.unit);
        let beside = row.beside.map_or_else(String::new, figure);
        let (ratio, spread) = row.ratio.map_or_else(Default::default, |ratio| {
            (format!("{:.2}", ratio.median), format!("({:.2}, {:.2})", ratio.least, ratio.most))
        });
        let target = match row.target {
            Target::Ratio(most) => format!("{most:.2}"),
            Target::Figure(most) => figure(most),
            Target::None => String::new(),
        };
        let verdict = match row.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        println!(
            "{:<44} {:>10} {beside:>10} {ratio:>7} {spread:>15} {target:>10} {verdict}",
            row.what,
            figure(row.gateway),
        );
    }
}

/// Says what is going on while the table is not there yet.
#[expect(clippy::print_stderr, reason = "progress is for the person who waits, not for the table")]
pub(crate) fn progress(text: &str) {
    eprintln!("… {text}");
}
