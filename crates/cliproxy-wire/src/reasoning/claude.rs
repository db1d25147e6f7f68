//! What a Claude upstream is asked for: `thinking`, `output_config.effort`, and a token limit that leaves room for both
//! thinking and answer.

use super::{Members, Plan, Thinking, Wish, level};
use crate::Error;
use crate::catalog::{AdaptiveDefault, ReasoningCaps};
use crate::codec::{Notes, Target};
use crate::format::Format;
use crate::model::{Level, Mode, Request, Role, ToolChoice};

/// Least tokens of a budget, and of an answer behind it.
const MIN_BUDGET: u64 = 1024;

/// What is written when neither client nor catalog knows a limit.
const DEFAULT_MAX_TOKENS: u64 = 8192;

pub(super) fn plan(
    wish: &Wish,
    request: &Request,
    target: &Target<'_>,
    notes: &mut Notes,
) -> Result<Plan, Error> {
    let (mut thinking, mut effort) = members(wish, target, notes)?;
    let mut plan = Plan { max_output_tokens: request.max_output_tokens, ..Plan::default() };
    let is_manual = matches!(thinking, Some(Thinking::Enabled { .. }));
    let is_asked = matches!(thinking, Some(Thinking::Enabled { .. } | Thinking::Adaptive { .. }));
    let is_prefilled = request.turns.last().is_some_and(|turn| turn.role == Role::Assistant);
    if (is_manual && forces_tool(request)) || (is_asked && is_prefilled) {
        // A forced call or a continued answer is what the client needs; the thinking is what it can do without.
        thinking = off(&target.caps.reasoning);
        effort = None;
        notes.add(wish.path());
    }
    if let Some(Thinking::Enabled { budget }) = thinking {
        let is_own_limit = wish.is_own(Format::Claude) && matches!(wish.mode, Some(Mode::Budget(_)));
        if !is_own_limit {
            match limits(budget, request.max_output_tokens, target.caps.max_output) {
                Some((budget, max)) => {
                    thinking = Some(Thinking::Enabled { budget });
                    plan.max_output_tokens = Some(max);
                }
                None => thinking = None,
            }
        }
    }
    plan.is_on = match thinking {
        Some(Thinking::Enabled { .. } | Thinking::Adaptive { .. }) => true,
        Some(Thinking::Disabled) => false,
        None => thinks_unasked(&target.caps.reasoning),
    };
    plan.needs_interleaved_beta = matches!(thinking, Some(Thinking::Enabled { .. }))
        && !request.tools.is_empty()
        && request.reasoning.as_ref().and_then(|wish| wish.is_interleaved) == Some(true);
    if thinking.is_some() || effort.is_some() {
        plan.members = Members::Claude { thinking, effort };
    }
    Ok(plan)
}

type Written = (Option<Thinking>, Option<Level>);

fn members(wish: &Wish, target: &Target<'_>, notes: &mut Notes) -> Result<Written, Error> {
    if wish.is_effort_only && wish.is_own(Format::Claude) {
        let Some(Mode::Level(wanted)) = wish.mode else { return Ok((None, None)) };
        let (ReasoningCaps::ClaudeBoth { levels, .. } | ReasoningCaps::ClaudeAdaptive { levels, .. }) =
            &target.caps.reasoning
        else {
            return Ok((None, Some(wanted)));
        };
        return Ok((None, Some(wish.fit_level(levels, wanted, Format::Claude)?)));
    }
    match &target.caps.reasoning {
        ReasoningCaps::ClaudeBudget { max } => {
            let budget = match wish.mode {
                None | Some(Mode::Off) => return Ok((None, None)),
                Some(Mode::Level(level)) => clamp(target.table.budget(level), *max),
                Some(Mode::Budget(budget)) => wish.fit_budget((MIN_BUDGET, *max), budget, Format::Claude)?,
                Some(Mode::Auto | Mode::On) => clamp(target.table.budget(Level::Medium), *max),
            };
            Ok((Some(Thinking::Enabled { budget }), None))
        }
        ReasoningCaps::ClaudeBoth { max, levels } => match wish.mode {
            None | Some(Mode::Off) => Ok((None, None)),
            Some(Mode::Level(level)) => {
                let effort = wish.fit_level(levels, level, Format::Claude)?;
                Ok((Some(Thinking::Adaptive { is_summarized: false }), Some(effort)))
            }
            Some(Mode::Budget(budget)) => {
                let budget = wish.fit_budget((MIN_BUDGET, *max), budget, Format::Claude)?;
                Ok((Some(Thinking::Enabled { budget }), None))
            }
            Some(Mode::Auto | Mode::On) => Ok((Some(Thinking::Adaptive { is_summarized: false }), None)),
        },
        ReasoningCaps::ClaudeAdaptive { levels, default, .. } => {
            adaptive(wish, target, levels, *default, notes)
        }
        _ => Ok(unknown(wish, target)),
    }
}

/// Models that refuse budgets.
fn adaptive(
    wish: &Wish,
    target: &Target<'_>,
    levels: &[Level],
    default: AdaptiveDefault,
    notes: &mut Notes,
) -> Result<Written, Error> {
    let thinking = Some(Thinking::Adaptive { is_summarized: wish.is_shown });
    match wish.mode {
        // They think without being asked, but show it only when asked.
        None if wish.is_shown && default != AdaptiveDefault::Off => Ok((thinking, None)),
        None => Ok((None, None)),
        Some(Mode::Off) if default == AdaptiveDefault::Always => {
            notes.add(wish.path());
            Ok((None, levels.first().copied()))
        }
        Some(Mode::Off) => Ok((Some(Thinking::Disabled), None)),
        Some(Mode::Level(level)) => Ok((thinking, Some(wish.fit_level(levels, level, Format::Claude)?))),
        Some(Mode::Budget(budget)) => Ok((thinking, level::nearest(levels, target.table.level(budget)))),
        Some(Mode::Auto | Mode::On) => Ok((thinking, None)),
    }
}

/// A model that the catalog does not know: a Claude client's own words as they are, other wishes as budgets, which most
/// models and look-alikes understand.
fn unknown(wish: &Wish, target: &Target<'_>) -> Written {
    let is_own = wish.is_own(Format::Claude);
    let adaptive = Some(Thinking::Adaptive { is_summarized: false });
    match wish.mode {
        None => (None, None),
        Some(Mode::Off) => (Some(Thinking::Disabled), None),
        Some(Mode::Level(level)) if is_own => (adaptive, Some(level)),
        Some(Mode::Auto) if is_own => (adaptive, None),
        Some(Mode::Level(level)) => {
            (Some(Thinking::Enabled { budget: target.table.budget(level).max(MIN_BUDGET) }), None)
        }
        Some(Mode::Budget(budget)) => (Some(Thinking::Enabled { budget }), None),
        Some(Mode::Auto | Mode::On) => {
            (Some(Thinking::Enabled { budget: target.table.budget(Level::Medium) }), None)
        }
    }
}

fn clamp(budget: u64, max: u64) -> u64 {
    budget.max(MIN_BUDGET).min(max.max(MIN_BUDGET))
}

/// What switches thinking off.
pub(super) fn off(reasoning: &ReasoningCaps) -> Option<Thinking> {
    thinks_unasked(reasoning).then_some(Thinking::Disabled).filter(|_| !thinks_always(reasoning))
}

fn thinks_unasked(reasoning: &ReasoningCaps) -> bool {
    matches!(
        reasoning,
        ReasoningCaps::ClaudeAdaptive { default: AdaptiveDefault::On | AdaptiveDefault::Always, .. }
    )
}

fn thinks_always(reasoning: &ReasoningCaps) -> bool {
    matches!(reasoning, ReasoningCaps::ClaudeAdaptive { default: AdaptiveDefault::Always, .. })
}

fn forces_tool(request: &Request) -> bool {
    matches!(
        request.tool_choice,
        Some(
            ToolChoice::Required
                | ToolChoice::Named { .. }
                | ToolChoice::Hosted(_)
                | ToolChoice::Allowed { is_required: true, .. }
        )
    )
}

/// Budget and token limit for a client whose limit counts answer and reasoning together. `None` when nothing is left
/// for thinking.
fn limits(budget: u64, client: Option<u64>, model: Option<u64>) -> Option<(u64, u64)> {
    let most = model.unwrap_or(u64::MAX);
    let wanted =
        client.filter(|max| *max > 0).unwrap_or_else(|| model.unwrap_or(DEFAULT_MAX_TOKENS)).min(most);
    if wanted > budget {
        return Some((budget, wanted));
    }
    let raised = budget.saturating_add(wanted.max(MIN_BUDGET)).min(most);
    let budget = if raised > budget { budget } else { raised.saturating_sub(MIN_BUDGET) };
    (budget >= MIN_BUDGET).then_some((budget, raised))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_before_the_budget_is_lowered() {
        for (budget, client, model, expected) in [
            (8192, Some(4096), None, Some((8192, 12288))),
            (8192, Some(9000), None, Some((8192, 9000))),
            (8192, Some(100), None, Some((8192, 9216))),
            (8192, None, None, Some((8192, 16384))),
            (8192, None, Some(64_000), Some((8192, 64_000))),
            (24576, Some(4096), Some(8192), Some((7168, 8192))),
            (24576, Some(4096), Some(25000), Some((24576, 25000))),
            (1024, Some(500), Some(1500), Some((1024, 1500))),
            (2048, Some(500), Some(1500), None),
            (8192, Some(100_000), Some(64_000), Some((8192, 64_000))),
        ] {
            assert_eq!(limits(budget, client, model), expected, "{budget} {client:?} {model:?}");
        }
    }
}
