//! What is logged, recorded and counted.

use std::time::Duration;

use super::value::{count, is_on, text};
use crate::config::diagnostic::{Code, Report};
use crate::config::file;
use crate::pattern::Pattern;
use crate::usage::{Bounds, Price, Prices};

/// Address of the profiling listener when the file names none.
const DEFAULT_PPROF: &str = "127.0.0.1:8316";

/// How long and how much of the usage is kept when the file does not say.
const RETENTION_DAYS: u32 = 365;
const LEDGER_MEGABYTES: u32 = 512;

/// Logs and records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// Debug level.
    pub debug: bool,
    /// Rotating files instead of standard output.
    pub to_file: bool,
    /// Limit of the log directory; absent for none.
    pub total_bytes: Option<u64>,
    /// How many error logs are kept; 0 keeps all.
    pub error_files: u32,
    /// Record every request in full.
    pub requests: bool,
    /// No request records and less bookkeeping.
    pub commercial_mode: bool,
    /// Address of the profiling listener, when switched on.
    pub pprof: Option<String>,
}

/// Usage counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Whether usage is collected.
    pub is_collected: bool,
    /// How much of it is kept.
    pub bounds: Bounds,
    /// What tokens cost.
    pub prices: Prices,
    /// How long the queue keeps records.
    pub queue_retention: Duration,
}

pub(super) fn logging(config: &file::Config, report: &mut Report) -> Logging {
    let pprof = config.pprof.as_deref();
    let error_files = match &config.error_logs_max_files {
        Some(member) if member.value < 0 => {
            report.warning(&member.origin, Code::NegativeCount.with("used", 10));
            10
        }
        member => count(member.as_ref(), 10),
    };
    let megabytes = u64::from(count(config.logs_max_total_size_mb.as_ref(), 0));
    Logging {
        debug: is_on(config.debug.as_ref()),
        to_file: is_on(config.logging_to_file.as_ref()),
        total_bytes: (megabytes > 0).then(|| megabytes.saturating_mul(1 << 20)),
        error_files,
        requests: is_on(config.request_log.as_ref()),
        commercial_mode: is_on(config.commercial_mode.as_ref()),
        pprof: is_on(pprof.and_then(|pprof| pprof.enable.as_ref()))
            .then(|| text(pprof.and_then(|pprof| pprof.addr.as_ref())).unwrap_or(DEFAULT_PPROF).to_owned()),
    }
}

pub(super) fn usage(config: &file::Config, report: &mut Report) -> Usage {
    let seconds = match config.redis_usage_queue_retention_seconds.as_ref() {
        Some(member) if member.value > 0 => u64::try_from(member.value.min(3600)).unwrap_or(60),
        _ => 60,
    };
    let ledger = config.usage_ledger.as_deref();
    let days = u64::from(count(ledger.and_then(|ledger| ledger.retention_days.as_ref()), RETENTION_DAYS));
    let megabytes = count(ledger.and_then(|ledger| ledger.max_size_mb.as_ref()), LEDGER_MEGABYTES).max(1);
    Usage {
        is_collected: is_on(config.usage_statistics_enabled.as_ref()),
        bounds: Bounds {
            age: (days > 0).then(|| Duration::from_secs(days.saturating_mul(24 * 3600))),
            bytes: u64::from(megabytes) << 20,
        },
        prices: prices(ledger, report),
        queue_retention: Duration::from_secs(seconds),
    }
}

fn prices(ledger: Option<&file::UsageLedger>, report: &mut Report) -> Prices {
    let list = ledger.and_then(|ledger| ledger.prices.as_ref());
    let each = list.into_iter().flat_map(|list| &list.value).filter_map(|entry| {
        let amount = |member: Option<&file::Placed<f64>>, report: &mut Report| {
            let member = member?;
            if let Some(amount) = Price::amount(member.value) {
                return Some(amount);
            }
            report.problem(&member.origin, Code::PriceRange);
            None
        };
        let Some(model) = text(entry.value.model.as_ref()) else {
            report.problem(&entry.origin, Code::PriceWithoutModel);
            return None;
        };
        Some(Price {
            model: Pattern::any_case(model),
            input: amount(entry.value.input.as_ref(), report).unwrap_or_default(),
            output: amount(entry.value.output.as_ref(), report).unwrap_or_default(),
            cache_read: amount(entry.value.cache_read.as_ref(), report),
            cache_write: amount(entry.value.cache_write.as_ref(), report),
        })
    });
    Prices::new(each.collect())
}
