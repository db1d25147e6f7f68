//! Reasoning: reading suffixes and levels, deciding what a target is asked for, and who sees what of it.

mod claude;
mod effort;
mod gemini;
mod level;
pub mod suffix;

pub use level::{Table, from_word, word};

use crate::Error;
use crate::catalog::ReasoningCaps;
use crate::codec::{Notes, Target};
use crate::format::Format;
use crate::json::Raw;
use crate::model::{Level, Mode, Request, Show, Summary, WishOrigin};
use crate::opaque::Repair;
use crate::profile::ReasoningRequest;

/// What is written for the target: the decision of E.4 to E.7.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The members to write.
    pub members: Members,
    /// The token limit to write, where reasoning changes it (Claude) or the client's otherwise.
    pub max_output_tokens: Option<u64>,
    /// Reasoning is on, so sampling parameters that exclude it go.
    pub is_on: bool,
    /// Sampling parameters may not be sent at all (`temperature`, `top_p`, `top_k`, penalties as the family has it, B.9).
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
    let wish = Wish::new(request, target);
    let mut plan = if target.caps.reasoning == ReasoningCaps::None {
        if wish.mode.is_some_and(|mode| mode != Mode::Off) {
            notes.add(wish.path());
        }
        Plan { max_output_tokens: request.max_output_tokens, ..Plan::default() }
    } else {
        match target.profile.reasoning_request {
            ReasoningRequest::Claude => claude::plan(&wish, request, target, notes)?,
            ReasoningRequest::Gemini => gemini::plan(&wish, request, target, notes)?,
            ReasoningRequest::Effort => effort::plan(&wish, request, target, notes)?,
            _ => effort::relative(&wish, request, target, notes),
        }
    };
    plan.drops_sampling |= target.caps.refuses_sampling;
    Ok(plan)
}

/// What is wanted, from whichever place says it.
#[derive(Debug)]
struct Wish {
    mode: Option<Mode>,
    origin: Option<WishOrigin>,
    show: Show,
    /// The client will see reasoning.
    is_shown: bool,
    /// The client said whether it wants to.
    says_show: bool,
    /// A Claude client set an effort and no `thinking`.
    is_effort_only: bool,
    client: Format,
}

impl Wish {
    fn new(request: &Request, target: &Target<'_>) -> Self {
        let said = request.reasoning.as_ref();
        let show = visibility(request);
        let mut wish = Self {
            mode: said.and_then(|said| said.mode),
            origin: said.and_then(|said| said.origin),
            show,
            is_shown: show != Show::Hidden,
            says_show: said.is_some_and(|said| said.show.is_some()),
            is_effort_only: false,
            client: request.origin,
        };
        wish.is_effort_only = matches!(wish.mode, Some(Mode::Level(_)))
            && wish.is_own(Format::Claude)
            && !wish.is_shown
            && said.is_some_and(|said| said.ext.get("display").is_none());
        if let Some(mode) = target.suffix {
            wish.mode = Some(mode);
            wish.origin = Some(WishOrigin::Suffix);
            wish.is_effort_only = false;
        }
        if matches!(target.repair, Some(Repair::ThinkingOff | Repair::DropLatestThinking)) {
            wish.mode = Some(Mode::Off);
            wish.origin = Some(WishOrigin::Default);
        }
        wish
    }

    /// The wish was said in the native words of `format`.
    fn is_own(&self, format: Format) -> bool {
        self.origin == Some(WishOrigin::Body(format))
    }

    /// On or off; `None` when nothing was said.
    fn switch(&self) -> Option<bool> {
        self.mode.map(|mode| mode != Mode::Off)
    }

    /// Where a client of this format writes its wish.
    fn path(&self) -> &'static str {
        self.paths().0
    }

    /// Member of the wish as a whole, of the level, of the budget.
    fn paths(&self) -> (&'static str, &'static str, &'static str) {
        const PATHS: [(Format, (&str, &str, &str)); 4] = [
            (Format::Chat, ("reasoning_effort", "reasoning_effort", "thinking_budget")),
            (Format::Responses, ("reasoning", "reasoning.effort", "reasoning.effort")),
            (Format::Claude, ("thinking", "output_config.effort", "thinking.budget_tokens")),
            (
                Format::Gemini,
                (
                    "generationConfig.thinkingConfig",
                    "generationConfig.thinkingConfig.thinkingLevel",
                    "generationConfig.thinkingConfig.thinkingBudget",
                ),
            ),
        ];
        PATHS
            .iter()
            .find(|(format, _)| *format == self.client)
            .map_or(("reasoning", "reasoning", "reasoning"), |(_, paths)| *paths)
    }

    /// A budget within `(least, most)`: a client that speaks the family's own words is told, others are helped.
    fn fit_budget(&self, (min, max): (u64, u64), budget: u64, family: Format) -> Result<u64, Error> {
        if (min..=max).contains(&budget) || !self.is_own(family) {
            return Ok(budget.clamp(min, max.max(min)));
        }
        let (_, _, path) = self.paths();
        Err(Error::invalid(path, format!("budget {budget} out of range [{min},{max}]")))
    }

    /// A level among those offered, by the same rule.
    fn fit_level(&self, offered: &[Level], wanted: Level, family: Format) -> Result<Level, Error> {
        if offered.contains(&wanted) {
            return Ok(wanted);
        }
        if !self.is_own(family) {
            return Ok(level::nearest(offered, wanted).unwrap_or(wanted));
        }
        let (_, path, _) = self.paths();
        let (wanted, offered) = (word(wanted), level::list(offered));
        Err(Error::invalid(path, format!("level \"{wanted}\" not supported, valid levels: {offered}")))
    }
}
