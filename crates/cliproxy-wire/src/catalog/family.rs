//! The table of families, and how a name finds its line.

use super::{AdaptiveDefault, Caps, ReasoningCaps};
use crate::model::Level::{self, High, Low, Max, Medium, Minimal, XHigh};

/// A line of the table: what all models whose name begins so have in common.
struct Family {
    prefix: &'static str,
    /// Tokens of context and of output; 0 where nobody says.
    window: u64,
    output: u64,
    reasoning: ReasoningCaps,
    flags: u16,
}

const fn family(
    prefix: &'static str,
    window: u64,
    output: u64,
    reasoning: ReasoningCaps,
    flags: u16,
) -> Family {
    Family { prefix, window, output, reasoning, flags }
}

const PREFILL: u16 = 1;
const MID_SYSTEM: u16 = 1 << 1;
/// Structured output is not understood.
const NO_SCHEMA: u16 = 1 << 2;
const MIXES_TOOLS: u16 = 1 << 3;
const MEDIA_IN_RESULT: u16 = 1 << 4;
const SIGNATURES: u16 = 1 << 5;
const NO_TOP_P: u16 = 1 << 6;
const NO_SAMPLING: u16 = 1 << 7;
const NO_INSTRUCTIONS: u16 = 1 << 8;
const FAST: u16 = 1 << 9;
/// It makes images and holds no conversations.
const IMAGES: u16 = 1 << 10;

const OLD_CLAUDE: u16 = PREFILL | NO_SCHEMA;
const CLAUDE_4_5: u16 = PREFILL | NO_TOP_P;
const NEW_CLAUDE: u16 = MID_SYSTEM | NO_SAMPLING | NO_TOP_P;
const GEMINI: u16 = PREFILL;
const GEMINI_3: u16 = PREFILL | MIXES_TOOLS | MEDIA_IN_RESULT | SIGNATURES;

const LOW_TO_HIGH: &[Level] = &[Low, Medium, High];
const MINIMAL_TO_HIGH: &[Level] = &[Minimal, Low, Medium, High];
const LOW_TO_XHIGH: &[Level] = &[Low, Medium, High, XHigh];
const LOW_TO_MAX: &[Level] = &[Low, Medium, High, XHigh, Max];
const CLAUDE_4_6_LEVELS: &[Level] = &[Low, Medium, High, Max];

const NONE: ReasoningCaps = ReasoningCaps::None;
const CLAUDE_BUDGET: ReasoningCaps = ReasoningCaps::ClaudeBudget { max: 128_000 };
const CLAUDE_BOTH: ReasoningCaps = ReasoningCaps::ClaudeBoth { max: 128_000, levels: CLAUDE_4_6_LEVELS };

const fn adaptive(default: AdaptiveDefault, limits_disabled_effort: bool) -> ReasoningCaps {
    ReasoningCaps::ClaudeAdaptive { levels: LOW_TO_MAX, default, limits_disabled_effort }
}

const fn budget(min: u64, max: u64, has_off: bool) -> ReasoningCaps {
    ReasoningCaps::GeminiBudget { min, max, has_off }
}

const fn levels(levels: &'static [Level]) -> ReasoningCaps {
    ReasoningCaps::GeminiLevel { levels }
}

/// OpenAI's reasoning models that always reason.
const fn always(levels: &'static [Level]) -> ReasoningCaps {
    ReasoningCaps::Effort { levels, has_none: false, is_on: true, excludes_sampling: true }
}

/// OpenAI's reasoning models that can be told not to.
const fn switchable(levels: &'static [Level], is_on: bool) -> ReasoningCaps {
    ReasoningCaps::Effort { levels, has_none: true, is_on, excludes_sampling: true }
}

/// Other providers' models that take effort words.
const fn effort(levels: &'static [Level], has_none: bool) -> ReasoningCaps {
    ReasoningCaps::Effort { levels, has_none, is_on: true, excludes_sampling: false }
}

const M: u64 = 1_000_000;
const MI: u64 = 1_048_576;
const KI64: u64 = 65_536;

#[rustfmt::skip]
const FAMILIES: &[Family] = &[
    family("claude-2", 200_000, 4_096, NONE, OLD_CLAUDE),
    family("claude-3", 200_000, 4_096, NONE, OLD_CLAUDE),
    family("claude-3-5-sonnet", 200_000, 8_192, NONE, OLD_CLAUDE),
    family("claude-3-5-haiku", 128_000, 8_192, NONE, OLD_CLAUDE),
    family("claude-3-7-sonnet", 128_000, 8_192, CLAUDE_BUDGET, OLD_CLAUDE),
    family("claude-sonnet-4", 200_000, 64_000, CLAUDE_BUDGET, OLD_CLAUDE),
    family("claude-sonnet-4-0", 200_000, 64_000, CLAUDE_BUDGET, OLD_CLAUDE),
    family("claude-opus-4", 200_000, 32_000, CLAUDE_BUDGET, OLD_CLAUDE),
    family("claude-opus-4-0", 200_000, 32_000, CLAUDE_BUDGET, OLD_CLAUDE),
    family("claude-opus-4-1", 200_000, 32_000, CLAUDE_BUDGET, PREFILL),
    family("claude-haiku-4-5", 200_000, 64_000, CLAUDE_BUDGET, CLAUDE_4_5),
    family("claude-sonnet-4-5", 200_000, 64_000, CLAUDE_BUDGET, CLAUDE_4_5),
    family("claude-opus-4-5", 200_000, 64_000, CLAUDE_BUDGET, CLAUDE_4_5),
    family("claude-sonnet-4-6", 200_000, 64_000, CLAUDE_BOTH, NO_TOP_P),
    family("claude-opus-4-6", M, 128_000, CLAUDE_BOTH, NO_TOP_P | FAST),
    // As Antigravity has it, and nobody else by this name.
    family("claude-opus-4-6-thinking", 200_000, 64_000, ReasoningCaps::ClaudeBudget { max: 64_000 }, NO_TOP_P),
    family("claude-opus-4-7", M, 128_000, adaptive(AdaptiveDefault::Off, false), NO_SAMPLING | NO_TOP_P | FAST),
    family("claude-opus-4-8", M, 128_000, adaptive(AdaptiveDefault::Off, false), NEW_CLAUDE | FAST),
    family("claude-sonnet-5", M, 128_000, adaptive(AdaptiveDefault::On, false), NEW_CLAUDE),
    family("claude-opus-5", M, 128_000, adaptive(AdaptiveDefault::On, true), NEW_CLAUDE | FAST),
    family("claude-fable-5", M, 128_000, adaptive(AdaptiveDefault::Always, false), NEW_CLAUDE),
    family("claude-mythos-5", M, 128_000, adaptive(AdaptiveDefault::Always, false), NEW_CLAUDE),

    family("gemini-embedding", 2_048, 1, NONE, GEMINI),
    family("gemini-1.0", 32_760, 8_192, NONE, GEMINI),
    family("gemini-1.5", MI, 8_192, NONE, GEMINI),
    family("gemini-2.0", MI, 8_192, NONE, GEMINI),
    family("gemini-exp", MI, 8_192, NONE, GEMINI),
    family("gemini-2.5-pro", MI, KI64, budget(128, 32_768, false), GEMINI),
    family("gemini-2.5-pro-preview-tts", 8_192, 16_384, NONE, GEMINI),
    family("gemini-2.5-computer-use", 128_000, 64_000, budget(128, 32_768, false), GEMINI),
    family("gemini-2.5-flash", MI, KI64, budget(0, 24_576, true), GEMINI),
    family("gemini-2.5-flash-lite", MI, KI64, budget(512, 24_576, true), GEMINI),
    family("gemini-2.5-flash-image", 32_768, 8_192, NONE, GEMINI),
    family("gemini-2.5-flash-preview-tts", 8_192, 16_384, NONE, GEMINI),
    family("gemini-pro-latest", MI, KI64, budget(128, 32_768, false), GEMINI),
    family("gemini-flash-latest", MI, KI64, budget(0, 24_576, true), GEMINI),
    family("gemini-flash-lite-latest", MI, KI64, budget(512, 24_576, true), GEMINI),
    family("gemini-3-pro", MI, KI64, levels(&[Low, High]), GEMINI_3),
    family("gemini-3-pro-image", KI64, 32_768, levels(&[Low, High]), GEMINI_3),
    family("gemini-3.1-pro", MI, KI64, levels(LOW_TO_HIGH), GEMINI_3),
    family("gemini-pro-agent", MI, 65_535, levels(LOW_TO_HIGH), GEMINI_3),
    family("gemini-3-flash", MI, KI64, levels(MINIMAL_TO_HIGH), GEMINI_3),
    family("gemini-3.1-flash-lite", MI, KI64, levels(MINIMAL_TO_HIGH), GEMINI_3),
    family("gemini-3.1-flash-lite-preview", MI, KI64, levels(&[Minimal, High]), GEMINI_3),
    family("gemini-3.1-flash-image", KI64, 32_768, levels(&[Minimal, High]), GEMINI_3),
    family("gemini-3.1-flash-lite-image", KI64, 32_768, levels(&[Minimal, High]), GEMINI_3),
    family("gemini-3.5-flash", MI, KI64, levels(MINIMAL_TO_HIGH), GEMINI_3),
    family("gemini-3.5-flash-low", MI, 65_535, levels(LOW_TO_HIGH), GEMINI_3),
    family("gemini-3.5-flash-extra-low", MI, 65_535, levels(LOW_TO_HIGH), GEMINI_3),
    family("gemini-3.6-flash", MI, KI64, levels(MINIMAL_TO_HIGH), GEMINI_3),
    family("gemini-3.7-flash", MI, KI64, levels(MINIMAL_TO_HIGH), GEMINI_3),
    family("gemini-3.8-flash", MI, KI64, levels(LOW_TO_HIGH), GEMINI_3),
    family("gemma", 131_072, 8_192, NONE, GEMINI),
    family("gemma-4", 262_144, 32_768, NONE, GEMINI),
    family("imagen-3.0", 480, 8_192, NONE, 0),
    family("imagen-4.0", 480, 8_192, NONE, 0),

    family("gpt-3.5-turbo", 16_385, 4_096, NONE, NO_SCHEMA),
    family("gpt-4", 8_192, 8_192, NONE, NO_SCHEMA),
    family("gpt-4-turbo", 128_000, 4_096, NONE, NO_SCHEMA),
    family("gpt-4o", 128_000, 16_384, NONE, 0),
    family("chatgpt-4o", 128_000, 16_384, NONE, NO_SCHEMA),
    family("gpt-4.1", 1_047_576, 32_768, NONE, 0),
    family("gpt-4.5", 128_000, 16_384, NONE, 0),
    family("gpt-audio", 128_000, 16_384, NONE, NO_SCHEMA),
    family("gpt-image-1", 0, 0, NONE, NO_SCHEMA | IMAGES),
    family("gpt-image-1.5", 0, 0, NONE, NO_SCHEMA | IMAGES),
    family("gpt-image-2", 0, 0, NONE, NO_SCHEMA | IMAGES),
    family("o1-mini", 128_000, KI64, NONE, NO_SAMPLING | NO_INSTRUCTIONS | NO_SCHEMA),
    family("o1-preview", 128_000, 32_768, NONE, NO_SAMPLING | NO_INSTRUCTIONS | NO_SCHEMA),
    family("o1", 200_000, 100_000, always(LOW_TO_HIGH), 0),
    family("o3", 200_000, 100_000, always(LOW_TO_HIGH), 0),
    family("o4-mini", 200_000, 100_000, always(LOW_TO_HIGH), 0),
    family("gpt-5", 400_000, 128_000, always(MINIMAL_TO_HIGH), 0),
    family("gpt-5-chat", 128_000, 16_384, NONE, 0),
    family("gpt-5-codex", 400_000, 128_000, always(LOW_TO_HIGH), 0),
    family("gpt-5-pro", 400_000, 272_000, always(&[High]), 0),
    family("gpt-5.1", 400_000, 128_000, switchable(LOW_TO_HIGH, false), 0),
    family("gpt-5.1-chat", 128_000, 16_384, always(&[Medium]), 0),
    family("gpt-5.1-codex", 400_000, 128_000, always(LOW_TO_HIGH), 0),
    family("gpt-5.1-codex-max", 400_000, 128_000, always(LOW_TO_XHIGH), 0),
    family("gpt-5.2", 400_000, 128_000, switchable(LOW_TO_XHIGH, false), 0),
    family("gpt-5.2-chat", 128_000, 16_384, always(&[Medium]), 0),
    family("gpt-5.2-pro", 400_000, 128_000, always(&[Medium, High, XHigh]), 0),
    family("gpt-5.2-codex", 400_000, 128_000, always(LOW_TO_XHIGH), 0),
    family("gpt-5.3-codex", 400_000, 128_000, always(LOW_TO_XHIGH), 0),
    family("gpt-5.3-codex-spark", 128_000, 128_000, always(LOW_TO_XHIGH), 0),
    family("gpt-5.4", 1_050_000, 128_000, switchable(LOW_TO_XHIGH, false), 0),
    family("gpt-5.4-mini", 400_000, 128_000, switchable(LOW_TO_XHIGH, false), 0),
    family("gpt-5.4-nano", 400_000, 128_000, switchable(LOW_TO_XHIGH, false), 0),
    family("gpt-5.4-pro", 1_050_000, 128_000, always(&[Medium, High, XHigh]), 0),
    family("gpt-5.5", 272_000, 128_000, switchable(LOW_TO_XHIGH, true), 0),
    family("gpt-5.5-codex", 272_000, 128_000, always(LOW_TO_XHIGH), 0),
    family("gpt-5.6", 372_000, 128_000, switchable(LOW_TO_MAX, true), 0),
    family("gpt-5.6-codex", 372_000, 128_000, always(LOW_TO_MAX), 0),
    family("codex-auto-review", 272_000, 128_000, always(LOW_TO_XHIGH), 0),
    family("gpt-oss-120b-medium", 114_000, 32_768, NONE, 0),
    family("gpt-oss", 131_072, 32_768, effort(LOW_TO_HIGH, false), 0),

    family("grok-4.6", 500_000, KI64, effort(LOW_TO_XHIGH, false), 0),
    family("grok-4.5", 500_000, KI64, effort(LOW_TO_HIGH, false), 0),
    family("grok-4.3", M, KI64, effort(LOW_TO_HIGH, true), 0),
    family("grok-4.20", 2_000_000, KI64, NONE, 0),
    family("grok-4.20-multi-agent", 2_000_000, KI64, effort(LOW_TO_HIGH, false), 0),
    family("grok-4", 256_000, KI64, NONE, 0),
    family("grok-4-fast", 2_000_000, KI64, NONE, 0),
    family("grok-4-1-fast", 2_000_000, KI64, NONE, 0),
    family("grok-3", 131_072, 32_768, NONE, 0),
    family("grok-3-mini", 131_072, 32_768, effort(LOW_TO_HIGH, false), 0),
    family("grok-build-0.1", 256_000, 256_000, NONE, 0),
    family("grok-imagine-image", 0, 0, NONE, NO_SCHEMA | IMAGES),
    family("grok-code-fast", 256_000, 32_768, NONE, 0),
    family("grok-composer-2.5", 200_000, 32_768, NONE, 0),

    family("kimi-k2", 131_072, 32_768, NONE, 0),
    family("kimi-k2-thinking", 131_072, 32_768, effort(&[Low, High], true), 0),
    family("kimi-k2.5", 262_144, 32_768, effort(&[Low, High], true), 0),
    family("kimi-k2.6", 262_144, KI64, effort(&[Low, High], true), 0),
    family("kimi-k2.7-code", 262_144, KI64, effort(&[Low, High], false), 0),
    family("kimi-for-coding", 262_144, KI64, effort(&[Low, High], false), 0),
    family("kimi-k3", MI, KI64, effort(&[Low, High, Max], false), 0),
    family("kimi-k3-256k", 262_144, KI64, effort(&[Low, High, Max], false), 0),

    family("qwen3-coder", 262_144, KI64, NONE, 0),
    family("coder-model", MI, KI64, NONE, 0),
    family("vision-model", 32_768, 2_048, NONE, 0),
];

/// What is known of the model `name` (an upstream name without provider prefix or suffix; dates and `models/` are
/// tolerated).
pub fn caps(name: &str) -> Caps {
    let name = plain(name);
    let family = FAMILIES
        .iter()
        .filter(|family| belongs(&name, family.prefix))
        .max_by_key(|family| family.prefix.len());
    family.map_or_else(Caps::unknown, Family::caps)
}

impl Family {
    fn caps(&self) -> Caps {
        let has = |flag: u16| self.flags & flag != 0;
        let known = |count: u64| (count > 0).then_some(count);
        Caps {
            context_window: known(self.window),
            max_output: known(self.output),
            reasoning: self.reasoning.clone(),
            has_prefill: has(PREFILL),
            has_mid_system: has(MID_SYSTEM),
            has_structured_output: !has(NO_SCHEMA),
            mixes_tools: has(MIXES_TOOLS),
            has_media_in_function_response: has(MEDIA_IN_RESULT),
            needs_signatures: has(SIGNATURES),
            excludes_top_p: has(NO_TOP_P),
            refuses_sampling: has(NO_SAMPLING),
            has_instructions: !has(NO_INSTRUCTIONS),
            web_search_type: "web_search_20250305",
            has_fast_speed: has(FAST),
            makes_images: has(IMAGES).then_some(true),
            converses: has(IMAGES).then_some(false),
            is_known: true,
        }
    }
}

/// The name as the table writes it: lower case, without publisher, path or cloud decoration.
fn plain(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let name = name.split(['[', '(']).next().unwrap_or_default().trim();
    let name = name.replace(['@', ':'], "-");
    // Clouds write `anthropic.claude-…`, aggregators `claude-sonnet-4.5`.
    if let Some(at) = name.find("claude-") {
        return name.get(at..).unwrap_or_default().replace('.', "-");
    }
    for publisher in ["openai.", "openai-", "google."] {
        if let Some(rest) = name.strip_prefix(publisher) {
            return rest.to_owned();
        }
    }
    name
}

/// True when `name` is `prefix` with nothing but a date, a build or words behind it. A short number behind it is the
/// version of another model.
fn belongs(name: &str, prefix: &str) -> bool {
    let Some(rest) = name.strip_prefix(prefix) else { return false };
    let Some(behind) = rest.strip_prefix('-') else { return rest.is_empty() };
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    // `-256k`, `-1m` are words; `-4-5` and `-4.5` are versions.
    let is_number = behind.as_bytes().get(digits).is_none_or(|next| !next.is_ascii_alphabetic());
    !(is_number && (1..=2).contains(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasoning(name: &str) -> ReasoningCaps {
        caps(name).reasoning
    }

    #[test]
    fn decorated_names_find_their_family() {
        for (name, family) in [
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
            ("us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1"),
            ("claude-opus-4-5@20251101", "claude-opus-4-5"),
            ("claude-opus-4-20250514", "claude-opus-4"),
            ("claude-sonnet-4-6[1m]", "claude-sonnet-4-6"),
            ("models/gemini-2.5-pro-preview-06-05", "gemini-2.5-pro"),
            ("google/gemini-2.5-flash:free", "gemini-2.5-flash"),
            ("gemini-3.6-flash-high", "gemini-3.6-flash"),
            ("gpt-5-2025-08-07", "gpt-5"),
            ("openai/gpt-5.1-codex-mini", "gpt-5.1-codex"),
            ("openai.gpt-oss-120b", "gpt-oss"),
            ("gpt-oss:20b", "gpt-oss"),
            ("grok-4-0709", "grok-4"),
            ("kimi-k2-0905", "kimi-k2"),
            ("GPT-5.6-Sol", "gpt-5.6"),
        ] {
            assert_eq!(caps(name), caps(family), "{name}");
            assert!(caps(name).is_known, "{name}");
        }
    }

    #[test]
    fn other_versions_are_other_models() {
        for name in [
            "claude-opus-4-9",
            "claude-opus-6",
            "gpt-5.9",
            "gpt-6",
            "gemini-4-pro",
            "o5",
            "nobody",
            "",
            "gpt-55",
        ] {
            assert_eq!(caps(name), Caps::unknown(), "{name}");
        }
        assert_ne!(reasoning("gpt-5.1"), reasoning("gpt-5"));
        assert_ne!(reasoning("gemini-2.5-flash-image"), reasoning("gemini-2.5-flash"));
        assert_ne!(reasoning("gemini-3.1-flash-lite-preview"), reasoning("gemini-3.1-flash-lite"));
    }

    #[test]
    fn prefixes_are_unique_and_found_by_themselves() {
        for (at, family) in FAMILIES.iter().enumerate() {
            assert!(!FAMILIES[..at].iter().any(|other| other.prefix == family.prefix), "{}", family.prefix);
            assert_eq!(plain(family.prefix), family.prefix);
            assert_eq!(caps(family.prefix), family.caps());
        }
    }

    #[test]
    fn newer_claude_refuses_what_older_takes() {
        assert!(caps("claude-sonnet-4-5").has_prefill && !caps("claude-sonnet-4-6").has_prefill);
        assert!(!caps("claude-opus-4-1").excludes_top_p && caps("claude-haiku-4-5").excludes_top_p);
        assert!(!caps("claude-opus-4-6").refuses_sampling && caps("claude-opus-4-7").refuses_sampling);
        assert!(caps("gemini-3-pro-preview").needs_signatures && !caps("gemini-2.5-pro").needs_signatures);
        assert!(!caps("o1-mini").has_instructions);
    }
}
