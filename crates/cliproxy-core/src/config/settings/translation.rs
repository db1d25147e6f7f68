//! Choices about the content of translated requests, and features of single providers.

use std::time::Duration;

use cliproxy_wire::codec::Strictness;
use cliproxy_wire::reasoning::Table;

use super::value::{count, duration, is_on, text};
use crate::config::diagnostic::{Code, Report};
use crate::config::file::{self, ImageGeneration};

/// Model of the image tool when the file names none.
const DEFAULT_IMAGE_MODEL: &str = "gpt-5.4-mini";

/// Choices about translated content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// How much may be lost.
    pub strictness: Strictness,
    /// Levels and budgets.
    pub thinking: ThinkingTable,
    /// Image tools and routes.
    pub images: ImageGeneration,
    /// Model that other programs have use the image tool; read and shown, and not needed here.
    pub image_model: String,
    /// How long a video job remembers its credential.
    pub video_credential_ttl: Duration,
    /// Keep thinking signatures for later turns.
    pub caches_signatures: bool,
    /// Refuse foreign signatures instead of replacing them.
    pub refuses_foreign_signatures: bool,
    /// xAI: offer the search tool of that network.
    pub inject_x_search: bool,
    /// Codex: settings for several agents at once.
    pub optimize_multi_agent: bool,
}

/// Named tables of thinking levels and budgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThinkingTable {
    /// The usual budgets.
    #[default]
    Default,
    /// Small budgets.
    Compact,
    /// Large budgets from the middle level up.
    Generous,
}

impl ThinkingTable {
    /// Name as written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Compact => "compact",
            Self::Generous => "generous",
        }
    }

    /// The budgets.
    pub fn table(self) -> Table {
        match self {
            Self::Default => Table::default(),
            Self::Compact => Table { budgets: [512, 1024, 2048, 4096, 8192, 16384] },
            Self::Generous => Table { budgets: [512, 1024, 16384, 32768, 65536, 128_000] },
        }
    }
}

/// Relay of live media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveMedia {
    /// Whether it runs.
    pub is_enabled: bool,
    /// Most sessions at once.
    pub max_sessions: u32,
    /// UDP ports, first and last; absent for any.
    pub ports: Option<(u16, u16)>,
}

pub(super) fn translation(config: &file::Config, report: &mut Report) -> Translation {
    let codex = config.codex.as_deref();
    let xai = config.xai.as_deref();
    Translation {
        strictness: strictness(config, report),
        thinking: thinking(config, report),
        images: config.disable_image_generation.as_ref().map(|member| member.value).unwrap_or_default(),
        image_model: image_model(config, report),
        video_credential_ttl: duration(
            config.video_result_auth_cache_ttl.as_ref(),
            Duration::from_hours(3),
            report,
        ),
        caches_signatures: config
            .antigravity_signature_cache_enabled
            .as_ref()
            .is_none_or(|member| member.value),
        refuses_foreign_signatures: is_on(config.antigravity_signature_bypass_strict.as_ref()),
        inject_x_search: is_on(xai.and_then(|xai| xai.inject_x_search.as_ref())),
        optimize_multi_agent: is_on(codex.and_then(|codex| codex.optimize_multi_agent_v2.as_ref())),
    }
}

fn strictness(config: &file::Config, report: &mut Report) -> Strictness {
    let Some(member) = &config.strict_translation else {
        return Strictness::default();
    };
    match member.trim().to_ascii_lowercase().as_str() {
        "" | "default" => Strictness::Default,
        "lenient" => Strictness::Lenient,
        "strict" => Strictness::Strict,
        _ => {
            report.problem(&member.origin, Code::UnknownStrictness);
            Strictness::default()
        }
    }
}

fn thinking(config: &file::Config, report: &mut Report) -> ThinkingTable {
    let Some(member) = &config.thinking_table else {
        return ThinkingTable::default();
    };
    match member.trim().to_ascii_lowercase().as_str() {
        "" | "default" => ThinkingTable::Default,
        "compact" => ThinkingTable::Compact,
        "generous" => ThinkingTable::Generous,
        _ => {
            report.problem(&member.origin, Code::UnknownThinkingTable);
            ThinkingTable::default()
        }
    }
}

fn image_model(config: &file::Config, report: &mut Report) -> String {
    let (Some(member), Some(name)) =
        (&config.gpt_image_2_base_model, text(config.gpt_image_2_base_model.as_ref()))
    else {
        return DEFAULT_IMAGE_MODEL.to_owned();
    };
    if name.starts_with("gpt-") {
        return name.to_owned();
    }
    report.warning(&member.origin, Code::ImageToolModel);
    DEFAULT_IMAGE_MODEL.to_owned()
}

pub(super) fn live_media(config: &file::Config, report: &mut Report) -> LiveMedia {
    let section = config.codex.as_deref().and_then(|codex| codex.live_media_relay.as_ref());
    let max_sessions = count(section.and_then(|section| section.max_sessions.as_ref()), 32).max(1);
    let port = |member: Option<&file::Placed<i64>>| {
        member.and_then(|member| u16::try_from(member.value).ok()).filter(|port| *port > 0)
    };
    let first = port(section.and_then(|section| section.udp_port_min.as_ref()));
    let last = port(section.and_then(|section| section.udp_port_max.as_ref()));
    let ports = first.zip(last);
    if let Some(section) = section {
        if first.is_some() != last.is_some() {
            report.problem(&section.origin, Code::OneUdpPort);
        }
        if let Some((first, last)) = ports {
            let available = u32::from(last).saturating_add(1).saturating_sub(u32::from(first));
            if available < max_sessions.saturating_mul(2) {
                report.problem(&section.origin, Code::FewUdpPorts);
            }
        }
    }
    LiveMedia { is_enabled: is_on(section.and_then(|section| section.enabled.as_ref())), max_sessions, ports }
}
