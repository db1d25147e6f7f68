//! What the target refuses or counts differently: server state, several answers, probabilities, sampling parameters,
//! stop sequences.

use crate::Error;
use crate::codec::Strictness;
use crate::format::Format;
use crate::json::Raw;
use crate::model::{Content, Owner, Request, Str};
use crate::profile::Dialect;
use crate::reasoning::{Members, Thinking};

use super::{Work, place};

/// Refuses what only the client's own provider could answer.
///
/// # Errors
/// The rows of B.1 and B.11 that are a 400.
pub(super) fn refuse(work: &mut Work<'_>) -> Result<(), Error> {
    let format = work.target.profile.format;
    if format != Format::Responses {
        state(work)?;
    }
    if format != Format::Gemini && work.request.cache.cached_content.is_some() {
        let message = format!(
            "cached content lives at Google; {} cannot read it; send the content itself",
            work.target.profile.name
        );
        work.refuse("cachedContent", message)?;
        work.request.cache.cached_content = None;
    }
    if work.request.origin == Format::Claude && format != Format::Claude {
        let has_skills = work
            .request
            .ext
            .get("container")
            .and_then(|container| container.get("skills"))
            .is_some_and(|skills| !skills.is_empty());
        if has_skills {
            let message = format!(
                "skills run at Anthropic; {} has none; leave the container out",
                work.target.profile.name
            );
            work.refuse("container.skills", message)?;
        }
        if work.request.ext.get("mcp_servers").is_some_and(|servers| !servers.is_empty()) {
            let message = format!(
                "the tool servers would hand their tokens to {}, another provider; leave them out",
                work.target.profile.name
            );
            work.refuse("mcp_servers", message)?;
        }
    }
    candidates(work)?;
    logprobs(work)?;
    super::output::modalities(work)
}

fn state(work: &mut Work<'_>) -> Result<(), Error> {
    let state = &work.request.state;
    let name = work.target.profile.name;
    let send_history = format!("{name} keeps no conversations; send the whole history in input");
    let checks = [
        (state.previous_response_id.is_some(), "previous_response_id", &*send_history),
        (state.conversation.is_some(), "conversation", &*send_history),
        (state.prompt.is_some(), "prompt", "stored prompts live at OpenAI; send the instructions themselves"),
        (
            state.background == Some(true),
            "background",
            "this upstream does not work in the background; leave it out",
        ),
    ];
    for (is_set, path, message) in checks {
        if is_set {
            work.refuse(path, message)?;
        }
    }
    work.request.state.previous_response_id = None;
    work.request.state.conversation = None;
    work.request.state.prompt = None;
    work.request.state.background = None;
    Ok(())
}

fn candidates(work: &mut Work<'_>) -> Result<(), Error> {
    let Some(wanted) = work.request.candidates.filter(|wanted| *wanted > 1) else { return Ok(()) };
    let profile = work.target.profile;
    let path = place::member(work.request.origin, "n");
    if !profile.has_candidates {
        let message = format!("{} gives one answer; ask for one and repeat the request", profile.name);
        work.refuse(path, message)?;
        work.request.candidates = None;
    } else if profile.format == Format::Gemini && wanted > 8 {
        let message = format!("{} gives at most 8 answers", profile.name);
        work.refuse(path, message)?;
        work.request.candidates = Some(8);
    }
    Ok(())
}

fn logprobs(work: &mut Work<'_>) -> Result<(), Error> {
    let profile = work.target.profile;
    if work.request.logprobs.is_none() || profile.has_logprobs {
        return Ok(());
    }
    let path = place::member(work.request.origin, "logprobs");
    if profile.dialect == Dialect::Codex {
        work.hint(path)?;
    } else {
        let message = format!("{} tells no token probabilities; leave it out", profile.name);
        work.refuse(path, message)?;
    }
    work.request.logprobs = None;
    Ok(())
}

/// Removes and clamps sampling parameters.
///
/// # Errors
/// In strict mode, what the target has no place for.
pub(super) fn sampling(work: &mut Work<'_>) -> Result<(), Error> {
    let (profile, caps) = (work.target.profile, work.target.caps);
    let format = profile.format;
    let is_claude = format == Format::Claude || profile.owner == Owner::Anthropic;
    let origin = work.request.origin;
    let mut gone: Vec<&'static str> = Vec::new();
    let sampling = &mut work.request.sampling;
    let mut drop = |name: &'static str, is_set: bool| {
        if is_set {
            gone.push(place::member(origin, name));
        }
    };
    let refuses = work.plan.drops_sampling || caps.refuses_sampling;
    if refuses {
        drop("temperature", sampling.temperature.take().is_some());
        drop("top_p", sampling.top_p.take().is_some());
        drop("top_k", sampling.top_k.take().is_some());
    }
    if (refuses && matches!(format, Format::Chat | Format::Responses))
        || format == Format::Responses
        || is_claude
    {
        drop("frequency_penalty", sampling.frequency_penalty.take().is_some());
        drop("presence_penalty", sampling.presence_penalty.take().is_some());
    }
    if refuses && matches!(format, Format::Chat | Format::Responses) {
        drop("logprobs", work.request.logprobs.take().is_some());
    }
    if format != Format::Chat || refuses {
        let bias = sampling.logit_bias.take();
        drop("logit_bias", bias.is_some_and(|bias| !bias.is_empty()));
    } else if sampling.logit_bias.as_ref().is_some_and(Raw::is_empty) {
        sampling.logit_bias = None;
    }
    if format == Format::Responses || is_claude {
        drop("seed", sampling.seed.take().is_some());
    }
    if !profile.has_top_k || format == Format::Responses {
        drop("top_k", sampling.top_k.take().is_some());
    }
    match format {
        _ if is_claude => {
            if sampling.temperature.is_some_and(|temperature| temperature > 1.0) {
                sampling.temperature = Some(1.0);
            }
            let is_manual = match work.plan.members {
                Members::Claude { thinking, .. } => matches!(thinking, Some(Thinking::Enabled { .. })),
                Members::Gemini { budget, .. } => budget.is_some(),
                _ => false,
            };
            if is_manual {
                #[expect(clippy::float_cmp, reason = "exactly one is what the service accepts")]
                let is_free = sampling.temperature.is_some_and(|temperature| temperature != 1.0);
                if is_free {
                    sampling.temperature = None;
                    drop("temperature", true);
                }
                drop("top_k", sampling.top_k.take().is_some());
                drop("top_p", sampling.top_p.take_if(|top_p| *top_p < 0.95).is_some());
            }
            if caps.excludes_top_p && sampling.temperature.is_some() {
                drop("top_p", sampling.top_p.take().is_some());
            }
        }
        Format::Gemini => {
            if let Some(seed) = sampling.seed.filter(|seed| i32::try_from(*seed).is_err()) {
                sampling.seed = Some(seed & 0x7FFF_FFFF);
                drop("seed", true);
            }
        }
        Format::Chat | Format::Responses | Format::Claude => {}
    }
    for path in gone {
        work.hint(path)?;
    }
    Ok(())
}

/// Leaves the stop sequences that the target enforces itself, and gives the others to the filter.
///
/// # Errors
/// More sequences than an upstream takes that says so itself.
pub(super) fn stops(work: &mut Work<'_>) -> Result<(), Error> {
    let profile = work.target.profile;
    let path = place::member(work.request.origin, "stop");
    let stop = &mut work.request.sampling.stop;
    stop.retain(|sequence| !sequence.is_empty());
    if stop.is_empty() {
        return Ok(());
    }
    if profile.format == Format::Claude {
        let before = stop.len();
        stop.retain(|sequence| !sequence.trim().is_empty());
        if stop.len() < before {
            work.hint(path)?;
        }
        return Ok(());
    }
    let Some(limit) = profile.max_stop_sequences else { return Ok(()) };
    if stop.len() <= limit {
        return Ok(());
    }
    if profile.refuses_extra_stops && work.target.strictness != Strictness::Lenient {
        return Err(Error::invalid(
            path,
            format!("{} takes at most {limit} stop sequences; give fewer", profile.name),
        ));
    }
    work.bridge.stop_filter.clone_from(stop);
    work.bridge.candidates = work.request.candidates.unwrap_or(1);
    stop.truncate(limit);
    Ok(())
}

/// Whether the history refers to something that only a Responses upstream with a store can look up.
///
/// # Errors
/// When it does and the target is another.
pub(super) fn references(work: &mut Work<'_>) -> Result<(), Error> {
    if work.target.profile.format == Format::Responses || work.request.origin != Format::Responses {
        return Ok(());
    }
    let found = reference(&work.request);
    if let Some((turn, id)) = found {
        let path = work.layout.turn(turn);
        let message = format!(
            "the item {id} is stored at OpenAI; {} cannot look it up; send the item itself",
            work.target.profile.name
        );
        work.refuse(path, message)?;
    }
    Ok(())
}

fn reference(request: &Request) -> Option<(usize, Str)> {
    request.turns.iter().enumerate().find_map(|(at, turn)| {
        turn.blocks.iter().find_map(|block| match &block.content {
            Content::Native(native) if native.format == Format::Responses => {
                let kind = native.value.get("type")?.to_text()?;
                let id = native.value.get("id").and_then(|id| id.to_text()).unwrap_or_default();
                (kind == "item_reference").then(|| (at, id.into()))
            }
            _ => None,
        })
    })
}
