//! What the OpenAI formats are asked for, and the members by which their relatives steer reasoning.

use super::level::{nearest, word};
use super::{Members, Plan, Wish};
use crate::Error;
use crate::catalog::ReasoningCaps;
use crate::codec::{Notes, Target};
use crate::format::Format;
use crate::json::{Object, Raw};
use crate::model::{Level, Mode, Request, Show, Summary};
use crate::opaque::Repair;
use crate::profile::ReasoningRequest;

pub(super) fn plan(
    wish: &Wish,
    request: &Request,
    target: &Target<'_>,
    notes: &mut Notes,
) -> Result<Plan, Error> {
    let format = target.profile.format;
    let mut plan = Plan { max_output_tokens: request.max_output_tokens, ..Plan::default() };
    let (effort, is_on) = match &target.caps.reasoning {
        ReasoningCaps::Effort { levels, has_none, is_on, excludes_sampling } => {
            let effort = match wish.mode {
                None | Some(Mode::Auto | Mode::On) => None,
                Some(Mode::Off) if *has_none => Some("none"),
                Some(Mode::Off) => {
                    notes.add(wish.path());
                    levels.first().map(|level| word(*level))
                }
                // The newest models read `minimal` as `low` themselves.
                Some(Mode::Level(Level::Minimal)) if levels.contains(&Level::Max) => {
                    levels.first().map(|level| word(*level))
                }
                Some(Mode::Level(level)) => Some(word(wish.fit_level(levels, level, format)?)),
                Some(Mode::Budget(budget)) => nearest(levels, target.table.level(budget)).map(word),
            };
            let is_on = match effort {
                Some(word) => word != "none",
                None => *is_on || matches!(wish.mode, Some(Mode::Auto | Mode::On)),
            };
            plan.drops_sampling = is_on && *excludes_sampling;
            (effort, is_on)
        }
        _ => (general(wish, target, notes), wish.mode.is_some_and(|mode| mode != Mode::Off)),
    };
    plan.is_on = is_on;
    let is_known = target.caps.reasoning != ReasoningCaps::Unknown;
    let is_told = is_known || wish.says_show || wish.mode.is_some();
    let summary = summary(wish, target).filter(|_| is_on && is_told);
    if effort.is_some() || summary.is_some() {
        plan.members = Members::Effort { effort, summary };
    }
    Ok(plan)
}

/// The word for a model about which nothing is known.
fn general(wish: &Wish, target: &Target<'_>, notes: &mut Notes) -> Option<&'static str> {
    match wish.mode? {
        Mode::Auto | Mode::On => None,
        // The client knows its upstream when it speaks its language.
        Mode::Off if wish.is_own(target.profile.format) => Some("none"),
        // Others must not send what few models list, so nobody knows whether the model thinks on.
        Mode::Off => {
            notes.add(wish.path());
            None
        }
        Mode::Level(level) => Some(word(level)),
        Mode::Budget(budget) => Some(word(target.table.level(budget))),
    }
}

fn summary(wish: &Wish, target: &Target<'_>) -> Option<Summary> {
    if target.profile.format != Format::Responses || target.repair == Some(Repair::DropSummary) {
        return None;
    }
    match wish.show {
        _ if wish.mode == Some(Mode::Off) => None,
        Show::Hidden => None,
        Show::Summary(summary) => Some(summary),
        Show::Raw => Some(Summary::Auto),
    }
}

/// The members of Chat relatives that have a way of their own.
pub(super) fn relative(wish: &Wish, request: &Request, target: &Target<'_>, notes: &mut Notes) -> Plan {
    let mut members = Vec::new();
    match target.profile.reasoning_request {
        ReasoningRequest::RouterObject => router(wish, target, &mut members),
        ReasoningRequest::Qwen => qwen(wish, target, &mut members),
        ReasoningRequest::IFlow => iflow(wish, target, &mut members),
        ReasoningRequest::DeepSeek => deepseek(wish, target, &mut members),
        ReasoningRequest::Kimi => kimi(wish, target, &mut members, notes),
        ReasoningRequest::Glm => thinking_type(wish, &mut members),
        ReasoningRequest::Template => {
            if let Some(is_on) = wish.switch() {
                members.push(("chat_template_kwargs", template(is_on, None)));
            }
        }
        ReasoningRequest::GoogleChat => google(wish, target, &mut members, notes),
        ReasoningRequest::Claude | ReasoningRequest::Gemini | ReasoningRequest::Effort => {}
    }
    let is_on = wish.switch() == Some(true);
    // A model of OpenAI's stays one behind an aggregator.
    let drops_sampling = matches!(
        target.caps.reasoning,
        ReasoningCaps::Effort { excludes_sampling: true, is_on: by_default, has_none, .. }
            if wish.switch().map_or(by_default, |is_on| is_on || !has_none)
    );
    let members = if members.is_empty() { Members::None } else { Members::Chat(members) };
    Plan { members, max_output_tokens: request.max_output_tokens, is_on, drops_sampling, ..Plan::default() }
}

type List = Vec<(&'static str, Raw)>;

fn bool_raw(value: bool) -> Raw {
    Raw::new(if value { "true" } else { "false" })
}

fn router(wish: &Wish, target: &Target<'_>, members: &mut List) {
    let is_hidden = wish.show == Show::Hidden && (wish.says_show || wish.mode.is_some());
    let is_off = wish.mode == Some(Mode::Off);
    if wish.mode.is_none() && !is_hidden {
        return;
    }
    let value = Raw::object(|object| {
        match wish.mode {
            None => {}
            Some(Mode::Off) => object.bool("enabled", false),
            Some(Mode::Auto | Mode::On) => object.bool("enabled", true),
            Some(Mode::Level(level)) => object.str("effort", word(router_level(level, target))),
            Some(Mode::Budget(budget)) => object.u64("max_tokens", budget),
        }
        if is_hidden && !is_off {
            object.bool("exclude", true);
        }
    });
    members.push(("reasoning", value));
}

/// Aggregators translate levels themselves; only what the model is known to lack is brought near.
fn router_level(level: Level, target: &Target<'_>) -> Level {
    match &target.caps.reasoning {
        ReasoningCaps::Effort { levels, .. } => nearest(levels, level).unwrap_or(level),
        _ => nearest(&[Level::Minimal, Level::Low, Level::Medium, Level::High, Level::XHigh], level)
            .unwrap_or(level),
    }
}

fn qwen(wish: &Wish, target: &Target<'_>, members: &mut List) {
    let Some(is_on) = wish.switch() else { return };
    members.push(("enable_thinking", bool_raw(is_on)));
    let budget = match wish.mode {
        Some(Mode::Level(level)) => target.table.budget(level),
        Some(Mode::Budget(budget)) => budget,
        _ => return,
    };
    members.push(("thinking_budget", Raw::new(budget.to_string())));
}

fn iflow(wish: &Wish, target: &Target<'_>, members: &mut List) {
    let Some(is_on) = wish.switch() else { return };
    let name = target.model.to_ascii_lowercase();
    if name.starts_with("minimax") {
        members.push(("reasoning_split", bool_raw(is_on)));
    } else if name.starts_with("glm") {
        // Without this the model forgets its thoughts between calls; while off the member must be absent.
        let clear = is_on.then_some(false);
        members.push(("chat_template_kwargs", template(is_on, clear)));
    } else if ["qwen3-max-preview", "deepseek-v3.1", "deepseek-v3.2"].contains(&name.as_str()) {
        members.push(("chat_template_kwargs", template(is_on, None)));
    }
}

fn template(is_on: bool, clear: Option<bool>) -> Raw {
    Raw::object(|object| {
        object.bool("enable_thinking", is_on);
        object.opt_bool("clear_thinking", clear);
    })
}

fn thinking_type(wish: &Wish, members: &mut List) {
    if let Some(is_on) = wish.switch() {
        let word = if is_on { "enabled" } else { "disabled" };
        members.push(("thinking", Raw::object(|object| object.str("type", word))));
    }
}

fn wanted_level(wish: &Wish, target: &Target<'_>) -> Option<Level> {
    match wish.mode? {
        Mode::Level(level) => Some(level),
        Mode::Budget(budget) => Some(target.table.level(budget)),
        Mode::Off | Mode::Auto | Mode::On => None,
    }
}

fn deepseek(wish: &Wish, target: &Target<'_>, members: &mut List) {
    thinking_type(wish, members);
    if let Some(level) = wanted_level(wish, target) {
        let word = if level >= Level::XHigh { "max" } else { "high" };
        members.push(("reasoning_effort", Raw::string(word)));
    }
}

fn kimi(wish: &Wish, target: &Target<'_>, members: &mut List, notes: &mut Notes) {
    let (levels, has_off) = match &target.caps.reasoning {
        ReasoningCaps::Effort { levels, has_none, .. } => (*levels, *has_none),
        _ => (&[Level::Low, Level::High][..], true),
    };
    if wish.mode == Some(Mode::Off) && !has_off {
        notes.add(wish.path());
        members.push(("thinking", Raw::object(|object| object.str("type", "enabled"))));
        members.extend(levels.first().map(|level| ("reasoning_effort", Raw::string(word(*level)))));
        return;
    }
    thinking_type(wish, members);
    let level = wanted_level(wish, target).and_then(|level| nearest(levels, level));
    members.extend(level.map(|level| ("reasoning_effort", Raw::string(word(level)))));
}

/// Google's Chat endpoint takes either an effort word or its own object, never both. Only the object can ask for
/// thoughts to be shown or hold a budget.
fn google(wish: &Wish, target: &Target<'_>, members: &mut List, notes: &mut Notes) {
    let levels: &[Level] = match &target.caps.reasoning {
        ReasoningCaps::GeminiLevel { levels } => levels,
        _ => &[Level::Minimal, Level::Low, Level::Medium, Level::High],
    };
    let is_known = matches!(
        target.caps.reasoning,
        ReasoningCaps::GeminiLevel { .. } | ReasoningCaps::GeminiBudget { .. }
    );
    let budget = match (&target.caps.reasoning, wish.mode) {
        (ReasoningCaps::GeminiBudget { min, max, .. }, Some(Mode::Budget(budget))) => {
            Some(budget.clamp(*min, *max))
        }
        (ReasoningCaps::GeminiLevel { .. }, _) => None,
        (_, Some(Mode::Budget(budget))) => Some(budget),
        _ => None,
    };
    let level = wanted_level(wish, target).filter(|_| budget.is_none());
    let level = level.and_then(|level| nearest(levels, level));
    if wish.mode == Some(Mode::Off) {
        let word = match &target.caps.reasoning {
            ReasoningCaps::GeminiLevel { levels } => levels.first().map_or("low", |level| word(*level)),
            ReasoningCaps::GeminiBudget { has_off: false, .. } => "low",
            _ => "none",
        };
        if word != "none" {
            notes.add(wish.path());
        }
        members.push(("reasoning_effort", Raw::string(word)));
        return;
    }
    let shows = wish.is_shown && (is_known || wish.says_show);
    if budget.is_none() && !shows {
        members.extend(level.map(|level| ("reasoning_effort", Raw::string(word(level)))));
        return;
    }
    let value = Raw::object(|body| {
        body.object("google", |google| {
            google.object("thinking_config", |config| {
                google_config(config, wish, target, budget, level);
                config.bool("include_thoughts", shows);
            });
        });
    });
    members.push(("extra_body", value));
}

fn google_config(
    config: &mut Object<'_>,
    wish: &Wish,
    target: &Target<'_>,
    budget: Option<u64>,
    level: Option<Level>,
) {
    let takes_budget = matches!(target.caps.reasoning, ReasoningCaps::GeminiBudget { .. });
    match (budget, level, &target.caps.reasoning) {
        (Some(budget), _, _) => config.u64("thinking_budget", budget),
        (None, Some(_), ReasoningCaps::GeminiBudget { min, max, .. }) => {
            let wanted = wanted_level(wish, target).map(|level| target.table.budget(level));
            config.opt_u64("thinking_budget", wanted.map(|budget| budget.clamp(*min, *max)));
        }
        (None, Some(level), _) => config.str("thinking_level", word(level)),
        (None, None, _) if takes_budget && matches!(wish.mode, Some(Mode::Auto | Mode::On)) => {
            config.i64("thinking_budget", -1);
        }
        (None, None, _) => {}
    }
}
