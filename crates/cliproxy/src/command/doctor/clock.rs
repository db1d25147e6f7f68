//! The machine's clock, against the times that files and tokens carry.

use std::time::{SystemTime, UNIX_EPOCH};

use cliproxy_core::Engine;
use cliproxy_core::config::Source;
use cliproxy_server::clock;

use super::finding::Findings;
use crate::command::show;

pub(super) const AREA: &str = "clock";

/// Clocks that differ by less agree.
pub(super) const TOLERANCE: u64 = 5 * 60;

pub(super) const REMEDY: &str =
    "set the clock, and keep it right by NTP: tokens and certificates are judged by it";

pub(super) fn look(source: &Source, engine: &Engine, findings: &mut Findings) {
    let now = clock::now();
    let mut times: Vec<(u64, String)> = Vec::new();
    let mut file = |path: &std::path::Path, what: String| {
        let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
        times.extend(modified.ok().and_then(seconds).map(|at| (at, what)));
    };
    if let Ok(program) = std::env::current_exe() {
        file(&program, "this program was installed".to_owned());
    }
    if let Some(path) = &source.path {
        file(path, "the configuration was written".to_owned());
    }
    for account in engine.accounts().values() {
        let renewed = account.record().renewed_at();
        times.extend(renewed.map(|at| (at, format!("a token of {} was renewed", account.id()))));
    }
    let latest = times.into_iter().max_by_key(|(at, _)| *at).filter(|(at, _)| *at > now + TOLERANCE);
    match latest {
        Some((at, what)) => findings.problem(
            AREA,
            format!("by this machine's clock {what} {} from now", show::span(at - now)),
            REMEDY,
        ),
        None => findings.ok(AREA, "no file and no token is from the future"),
    }
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
