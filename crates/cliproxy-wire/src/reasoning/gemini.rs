//! What a Gemini upstream is asked for: exactly one of `thinkingBudget` and `thinkingLevel`, and `includeThoughts`.

use super::{Members, Plan, Wish, level};
use crate::Error;
use crate::catalog::ReasoningCaps;
use crate::codec::{Notes, Target};
use crate::format::Format;
use crate::model::{Mode, Request};

pub(super) fn plan(
    wish: &Wish,
    request: &Request,
    target: &Target<'_>,
    notes: &mut Notes,
) -> Result<Plan, Error> {
    let mut plan = Plan { max_output_tokens: request.max_output_tokens, ..Plan::default() };
    let is_off = wish.mode == Some(Mode::Off);
    let include_thoughts = wish.is_shown && !is_off;
    plan.is_on = !is_off;
    let (budget, level) = match &target.caps.reasoning {
        ReasoningCaps::GeminiBudget { min, max, has_off } => {
            let budget = budget(wish, target, (*min, *max), *has_off, notes)?;
            (budget.map(|budget| within_limit(wish, budget, *min, request.max_output_tokens)), None)
        }
        ReasoningCaps::ClaudeBudget { max } | ReasoningCaps::ClaudeBoth { max, .. } => {
            return claude(wish, *max, target, plan, notes);
        }
        ReasoningCaps::GeminiLevel { levels } => {
            let level = match wish.mode {
                None | Some(Mode::Auto | Mode::On) => None,
                Some(Mode::Off) => {
                    notes.add(wish.path());
                    levels.first().copied()
                }
                Some(Mode::Level(level)) => Some(wish.fit_level(levels, level, Format::Gemini)?),
                Some(Mode::Budget(budget)) => level::nearest(levels, target.table.level(budget)),
            };
            (None, level)
        }
        // The client's own unit is the form that loses nothing.
        ReasoningCaps::Unknown => match wish.mode {
            None if !wish.says_show => return Ok(Plan { is_on: false, ..plan }),
            None | Some(Mode::On) => (None, None),
            Some(Mode::Off) => (Some(0), None),
            Some(Mode::Auto) => (Some(-1), None),
            Some(Mode::Level(level)) => (None, Some(level)),
            Some(Mode::Budget(budget)) => (Some(signed(budget)), None),
        },
        _ => return Ok(Plan { is_on: false, ..plan }),
    };
    if budget.is_some() || level.is_some() || include_thoughts {
        plan.members = Members::Gemini { budget, level, include_thoughts };
    }
    Ok(plan)
}

/// Claude models behind a Google door take budgets, which must leave something of the limit, and none below the least.
fn claude(
    wish: &Wish,
    max: u64,
    target: &Target<'_>,
    mut plan: Plan,
    notes: &mut Notes,
) -> Result<Plan, Error> {
    const LEAST: u64 = 1024;
    let most = target.caps.max_output;
    plan.max_output_tokens = plan.max_output_tokens.map(|limit| most.map_or(limit, |most| limit.min(most)));
    let limit = plan.max_output_tokens.or(most);
    let max = limit.map_or(max, |limit| max.min(limit.saturating_sub(1)));
    let is_wanted = wish.mode.is_some_and(|mode| mode != Mode::Off);
    plan.is_on = is_wanted && max >= LEAST;
    if !plan.is_on {
        if is_wanted {
            notes.add(wish.path());
        }
        return Ok(plan);
    }
    let budget = match wish.mode {
        Some(Mode::Budget(wanted)) => Some(signed(wanted.clamp(LEAST, max))),
        _ => budget(wish, target, (LEAST, max), true, notes)?,
    };
    if budget.is_some_and(|budget| budget > 0) {
        // The budget counts against the limit, whose default need not be the model's most.
        plan.max_output_tokens = limit;
    }
    plan.members = Members::Gemini { budget, level: None, include_thoughts: wish.is_shown };
    Ok(plan)
}

fn budget(
    wish: &Wish,
    target: &Target<'_>,
    range: (u64, u64),
    has_off: bool,
    notes: &mut Notes,
) -> Result<Option<i64>, Error> {
    let (min, max) = range;
    let budget = match wish.mode {
        None => return Ok(None),
        Some(Mode::Auto | Mode::On) => -1,
        Some(Mode::Off) if has_off => 0,
        Some(Mode::Off) => {
            notes.add(wish.path());
            signed(min)
        }
        Some(Mode::Level(level)) => signed(target.table.budget(level).clamp(min, max)),
        Some(Mode::Budget(budget)) => signed(wish.fit_budget(range, budget, Format::Gemini)?),
    };
    Ok(Some(budget))
}

/// The budget counts against the token limit here, so it must leave a token for the answer.
fn within_limit(wish: &Wish, budget: i64, min: u64, limit: Option<u64>) -> i64 {
    let (Ok(wanted), Some(limit)) = (u64::try_from(budget), limit) else { return budget };
    if wish.is_own(Format::Gemini) || wanted < limit || limit < min || wanted == 0 {
        return budget;
    }
    signed((limit.saturating_sub(1)).max(min).min(wanted))
}

fn signed(budget: u64) -> i64 {
    i64::try_from(budget).unwrap_or(i64::MAX)
}
