//! What models can do, as data: limits, reasoning families, accepted parameters; and which models the providers offer
//! when a configuration names none.
//!
//! Families are told by the beginning of a name, so a dated or decorated name needs no entry of its own. A wrong entry
//! is corrected by one line of a table.

mod family;
mod listing;

pub use family::caps;
pub use listing::{Model, models, models_of};

use crate::model::Level;

/// What a model can do.
#[derive(Clone, Debug, PartialEq)]
pub struct Caps {
    /// Tokens it can read and write together.
    pub context_window: Option<u64>,
    /// Tokens it can write.
    pub max_output: Option<u64>,
    /// How its reasoning is steered.
    pub reasoning: ReasoningCaps,
    /// Claude: a last assistant turn is continued.
    pub has_prefill: bool,
    /// Claude: `role:"system"` is accepted inside `messages`.
    pub has_mid_system: bool,
    /// Structured output by schema.
    pub has_structured_output: bool,
    /// Gemini: functions and built-in tools in one request.
    pub mixes_tools: bool,
    /// Gemini: images and PDFs inside function responses.
    pub has_media_in_function_response: bool,
    /// Gemini 3 and newer: calls of the current turn need signatures.
    pub needs_signatures: bool,
    /// Claude: newer than 4.5, so `temperature` and `top_p` exclude each other.
    pub excludes_top_p: bool,
    /// Sampling parameters are refused always.
    pub refuses_sampling: bool,
    /// Instruction roles that are understood; `false` only for models that know neither.
    pub has_instructions: bool,
    /// Claude: newest web search tool type.
    pub web_search_type: &'static str,
    /// Claude: `speed:"fast"`.
    pub has_fast_speed: bool,
    /// Whether it makes images to order, where that is said.
    pub makes_images: Option<bool>,
    /// Whether it answers in conversations, where that is said.
    pub converses: Option<bool>,
    /// The model is in the catalog.
    pub is_known: bool,
}

/// How reasoning is steered.
#[derive(Clone, Debug, PartialEq)]
pub enum ReasoningCaps {
    /// The model is not known: write the most general form, let the upstream judge.
    Unknown,
    /// No reasoning.
    None,
    /// Claude with budgets.
    ClaudeBudget {
        /// Most tokens.
        max: u64,
    },
    /// Claude with budgets and adaptive effort.
    ClaudeBoth {
        /// Most tokens.
        max: u64,
        /// Effort levels.
        levels: &'static [Level],
    },
    /// Claude with adaptive effort only.
    ClaudeAdaptive {
        /// Effort levels.
        levels: &'static [Level],
        /// When absent.
        default: AdaptiveDefault,
        /// `disabled` excludes efforts above `high`.
        limits_disabled_effort: bool,
    },
    /// Gemini with budgets.
    GeminiBudget {
        /// Least tokens when on.
        min: u64,
        /// Most tokens.
        max: u64,
        /// 0 is accepted.
        has_off: bool,
    },
    /// Gemini with levels.
    GeminiLevel {
        /// Levels.
        levels: &'static [Level],
    },
    /// Effort words.
    Effort {
        /// Levels.
        levels: &'static [Level],
        /// `none` is accepted.
        has_none: bool,
        /// Without an effort the model reasons.
        is_on: bool,
        /// While it reasons, sampling parameters are refused.
        excludes_sampling: bool,
    },
}

/// What Claude's adaptive models do without `thinking`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdaptiveDefault {
    /// They do not think.
    Off,
    /// They think unless told not to.
    On,
    /// They think always.
    Always,
}

impl Caps {
    /// A model about which nothing is known.
    pub fn unknown() -> Self {
        Self {
            context_window: None,
            max_output: None,
            reasoning: ReasoningCaps::Unknown,
            has_prefill: true,
            has_mid_system: false,
            has_structured_output: true,
            mixes_tools: false,
            has_media_in_function_response: false,
            needs_signatures: false,
            excludes_top_p: false,
            refuses_sampling: false,
            has_instructions: true,
            web_search_type: "web_search_20250305",
            has_fast_speed: false,
            makes_images: None,
            converses: None,
            is_known: false,
        }
    }
}
