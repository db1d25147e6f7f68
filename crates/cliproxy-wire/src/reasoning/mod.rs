//! Reasoning: reading suffixes and levels, deciding what a target is asked for, and who sees what of it.

use crate::Error;
use crate::codec::{Notes, Target};
use crate::format::Format;
use crate::json::Raw;
use crate::model::{Level, Mode, Request, Show, Summary};

/// Budgets of the levels. Configuration may choose another table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Tokens for minimal, low, medium, high, xhigh, max.
    pub budgets: [u64; 6],
}

impl Default for Table {
    fn default() -> Self {
        Self { budgets: [512, 1024, 8192, 24576, 32768, 128_000] }
    }
}

/// What is written for the target: the decision of E.4 to E.7.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The members to write.
    pub members: Members,
    /// The token limit to write, where reasoning changes it (Claude) or the client's otherwise.
    pub max_output_tokens: Option<u64>,
    /// Reasoning is on, so sampling parameters that exclude it go.
    pub is_on: bool,
    /// Sampling parameters may not be sent at all (temperature, top_p, top_k, penalties as the family has it, B.9).
    pub drops_sampling: bool,
    /// Claude: the interleaved thinking beta is needed.
    pub needs_interleaved_beta: bool,
}

/// Reasoning members of the four request formats.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Members {
    /// Nothing is written.
    #[default]
    None,
    /// Claude.
    Claude {
        /// `thinking`
        thinking: Option<Thinking>,
        /// `output_config.effort`
        effort: Option<Level>,
    },
    /// Gemini; at most one of budget and level.
    Gemini {
        /// `thinkingBudget`
        budget: Option<i64>,
        /// `thinkingLevel`
        level: Option<Level>,
        /// `includeThoughts`
        include_thoughts: bool,
    },
    /// `reasoning.effort`/`reasoning_effort` and, for Responses, `reasoning.summary`.
    Effort {
        /// The word, `none` included.
        effort: Option<&'static str>,
        /// Summary wish (Responses).
        summary: Option<Summary>,
    },
    /// Top-level members of a Chat body, by name.
    Chat(Vec<(&'static str, Raw)>),
}

/// Claude's `thinking`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// `{"type":"disabled"}`
    Disabled,
    /// `{"type":"enabled","budget_tokens":…}`
    Enabled {
        /// Tokens.
        budget: u64,
    },
    /// `{"type":"adaptive"}`
    Adaptive {
        /// Write `"display":"summarized"`.
        is_summarized: bool,
    },
}

/// What a client of `request` is shown of reasoning (E.8): the wish, else the default of its format.
pub fn visibility(request: &Request) -> Show {
    request.reasoning.as_ref().and_then(|wish| wish.show).unwrap_or(match request.origin {
        Format::Chat => Show::Summary(Summary::Auto),
        Format::Responses | Format::Claude | Format::Gemini => Show::Hidden,
    })
}

/// Decides what the target is asked for.
///
/// # Errors
/// A budget or level out of range in the target family's own format.
pub fn plan(request: &Request, target: &Target<'_>, notes: &mut Notes) -> Result<Plan, Error> {
    let _ = (target, notes, Mode::Off);
    Ok(Plan { max_output_tokens: request.max_output_tokens, ..Plan::default() })
}
