//! How a credential is chosen, how long it rests after a failure, how often is tried again.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::value::{clamp, count, duration, is_on};
use crate::config::diagnostic::{Code, Report};
use crate::config::file;

/// Choice of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Strategy among credentials of equal priority.
    pub strategy: Strategy,
    /// How long a conversation stays on its credential; absent when it does not.
    pub session_affinity: Option<Duration>,
    /// Most requests at once of one credential; absent for no limit.
    pub concurrency: Option<NonZeroU32>,
    /// Models to go on with, in order, when a model cannot be served.
    pub fallback: BTreeMap<String, Vec<String>>,
    /// Credentials with a prefix answer to prefixed model names only.
    pub force_model_prefix: bool,
    /// On an exhausted quota: continue with another project of the account.
    pub switch_project: bool,
    /// On an exhausted quota: continue with the preview name of the model.
    pub switch_preview_model: bool,
    /// On an exhausted quota: use paid credits as last resort.
    pub antigravity_credits: bool,
}

/// Order in which credentials are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// In turn.
    #[default]
    RoundRobin,
    /// The first one until it is blocked.
    FillFirst,
    /// In turn, by weight.
    WeightedRoundRobin,
}

impl Strategy {
    /// Name as written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::FillFirst => "fill-first",
            Self::WeightedRoundRobin => "weighted-round-robin",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "" | "round-robin" | "roundrobin" | "rr" => Some(Self::RoundRobin),
            "fill-first" | "fillfirst" | "ff" => Some(Self::FillFirst),
            "weighted-round-robin" | "weightedroundrobin" | "wrr" => Some(Self::WeightedRoundRobin),
            _ => None,
        }
    }
}

/// New attempts and rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Selection rounds after the first one.
    pub rounds: u32,
    /// Longest cooldown that a round waits for; zero forbids waiting.
    pub longest_wait: Duration,
    /// Most credentials tried per round; absent for all.
    pub credentials_per_round: Option<NonZeroU32>,
    /// No cooldowns at all.
    pub disable_cooling: bool,
    /// Rest after a transient upstream error; absent for none.
    pub transient_cooldown: Option<Duration>,
    /// Keep cooldowns over restarts.
    pub save_cooldown_status: bool,
    /// Token refreshes at once.
    pub refresh_workers: u32,
}

pub(super) fn routing(config: &file::Config, report: &mut Report) -> Routing {
    let section = config.routing.as_deref();
    let quota = config.quota_exceeded.as_deref();
    let strategy = section.and_then(|section| section.strategy.as_ref());
    let strategy = match strategy {
        None => Strategy::default(),
        Some(member) => Strategy::parse(member.trim()).unwrap_or_else(|| {
            report.warning(&member.origin, Code::UnknownStrategy);
            Strategy::default()
        }),
    };
    let ttl = duration(
        section.and_then(|section| section.session_affinity_ttl.as_ref()),
        Duration::from_hours(1),
        report,
    );
    let is_sticky = is_on(section.and_then(|section| section.session_affinity.as_ref()));
    let unless_off = |member: Option<&file::Placed<bool>>| member.is_none_or(|member| member.value);
    Routing {
        strategy,
        session_affinity: is_sticky.then_some(ttl),
        concurrency: NonZeroU32::new(count(
            section.and_then(|section| section.max_concurrent_requests.as_ref()),
            0,
        )),
        fallback: fallback(section, report),
        force_model_prefix: is_on(config.force_model_prefix.as_ref()),
        switch_project: unless_off(quota.and_then(|quota| quota.switch_project.as_ref())),
        switch_preview_model: unless_off(quota.and_then(|quota| quota.switch_preview_model.as_ref())),
        antigravity_credits: is_on(quota.and_then(|quota| quota.antigravity_credits.as_ref())),
    }
}

fn fallback(section: Option<&file::Routing>, report: &mut Report) -> BTreeMap<String, Vec<String>> {
    let mut chains = BTreeMap::new();
    for (model, list) in
        section.and_then(|section| section.fallback.as_ref()).into_iter().flat_map(|map| &map.value)
    {
        let mut names: Vec<String> = Vec::new();
        for name in &list.value {
            let text = name.value.trim();
            if text.is_empty() || text == model || names.iter().any(|known| known == text) {
                report.warning(&name.origin, Code::FallbackToItself);
            } else {
                names.push(text.to_owned());
            }
        }
        if !names.is_empty() {
            chains.insert(model.trim().to_owned(), names);
        }
    }
    chains
}

pub(super) fn retry(config: &file::Config) -> Retry {
    let transient = config.transient_error_cooldown_seconds.as_ref().map_or(0, |member| member.value);
    Retry {
        rounds: count(config.request_retry.as_ref(), 3),
        longest_wait: Duration::from_secs(u64::from(count(config.max_retry_interval.as_ref(), 30))),
        credentials_per_round: NonZeroU32::new(count(config.max_retry_credentials.as_ref(), 0)),
        disable_cooling: is_on(config.disable_cooling.as_ref()),
        transient_cooldown: match transient {
            0 => Some(Duration::from_mins(1)),
            seconds if seconds < 0 => None,
            seconds => Some(Duration::from_secs(u64::from(clamp(seconds)))),
        },
        save_cooldown_status: config.save_cooldown_status.as_ref().is_none_or(|member| member.value),
        refresh_workers: match config.auth_auto_refresh_workers.as_ref() {
            Some(member) if member.value > 0 => clamp(member.value),
            _ => 16,
        },
    }
}
