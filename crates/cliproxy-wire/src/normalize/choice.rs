//! The choice among tools, in the target's terms.

use crate::Error;
use crate::format::Format;
use crate::model::{CallKind, HostedKind, Str, Tool, ToolChoice};
use crate::profile::Dialect;

use super::name::Names;
use super::{Work, place};

/// Maps the choice to what is declared, filters declarations where the target cannot, and drops a choice among
/// nothing.
///
/// # Errors
/// A choice of a tool that does not exist, and a forced tool that the target lacks.
pub(super) fn apply(work: &mut Work<'_>, names: &Names) -> Result<(), Error> {
    let Some(choice) = work.request.tool_choice.take() else { return Ok(()) };
    if work.request.tools.is_empty() && choice != ToolChoice::None {
        return Ok(());
    }
    let choice = mapped(work, names, choice)?;
    work.request.tool_choice = match choice {
        Some(choice) => limited(work, choice)?,
        None => None,
    };
    Ok(())
}

fn path(work: &Work<'_>) -> &'static str {
    place::member(work.request.origin, "tool_choice")
}

/// The choice by wire names, in a form that the target's format has.
fn mapped(work: &mut Work<'_>, names: &Names, choice: ToolChoice) -> Result<Option<ToolChoice>, Error> {
    let format = work.target.profile.format;
    Ok(match choice {
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => Some(choice),
        ToolChoice::Named { name, .. } => {
            if let Some((name, kind)) = find(work, names, &name) {
                return Ok(Some(ToolChoice::Named { name, kind }));
            }
            if let Some(kind) = named_hosted(work, &name) {
                return hosted(work, kind);
            }
            unknown(work, &name)?;
            Some(ToolChoice::Auto)
        }
        ToolChoice::Allowed { is_required, names: allowed } => {
            let mut known: Vec<(CallKind, Str)> = Vec::new();
            for (_, name) in &allowed {
                match find(work, names, name) {
                    Some((wire, kind)) => known.push((kind, wire)),
                    None => work.hint(path(work))?,
                }
            }
            if known.is_empty() {
                let name = allowed.first().map(|(_, name)| Str::clone(name)).unwrap_or_default();
                unknown(work, &name)?;
                return Ok(Some(ToolChoice::Auto));
            }
            let is_native = match format {
                Format::Responses => true,
                Format::Chat => work.target.profile.dialect == Dialect::Native,
                Format::Gemini => is_required,
                Format::Claude => false,
            };
            if is_native {
                Some(ToolChoice::Allowed { is_required, names: known })
            } else {
                work.request.tools.retain(|tool| {
                    tool.name().is_none_or(|name| known.iter().any(|(_, known)| known == name))
                });
                Some(if is_required { ToolChoice::Required } else { ToolChoice::Auto })
            }
        }
        ToolChoice::Hosted(kind) => hosted(work, kind)?,
        ToolChoice::Native(native) if native.format == format => Some(ToolChoice::Native(native)),
        ToolChoice::Native(_) => {
            work.hint(path(work))?;
            Some(ToolChoice::Auto)
        }
    })
}

/// The wire name and kind of the tool that the client means.
fn find(work: &Work<'_>, names: &Names, name: &Str) -> Option<(Str, CallKind)> {
    let origin = |wire: &Str| work.bridge.tools.get(&**wire);
    let wire = names.known(None, name);
    work.request.tools.iter().find_map(|tool| {
        let (own, kind) = match tool {
            Tool::Function { name, .. } => (name, CallKind::Function),
            Tool::Custom { name, .. } => (name, CallKind::Custom),
            Tool::Hosted { .. } => return None,
        };
        // A tool of a namespace may be named with or without it.
        let is_meant = wire == Some(own)
            || origin(own).is_some_and(|origin| {
                origin.namespace.as_ref().is_some_and(|namespace| {
                    origin.name == *name || **name == format!("{namespace}__{}", origin.name)
                })
            });
        is_meant.then(|| (Str::clone(own), kind))
    })
}

/// The hosted tool that a name of the client's format means.
fn named_hosted(work: &Work<'_>, name: &str) -> Option<HostedKind> {
    work.request.tools.iter().find_map(|tool| match tool {
        Tool::Hosted { kind, native, .. } => {
            let own = native.value.get("name").and_then(|own| own.to_text());
            (own.as_deref() == Some(name)).then_some(*kind)
        }
        _ => None,
    })
}

fn unknown(work: &mut Work<'_>, name: &str) -> Result<(), Error> {
    let path = path(work);
    if work.target.strictness == crate::codec::Strictness::Lenient {
        work.notes.add(path);
        return Ok(());
    }
    Err(Error::invalid(path, format!("no tool named {name} is offered; name one of tools")))
}

/// The choice of a provider-executed tool.
fn hosted(work: &mut Work<'_>, kind: HostedKind) -> Result<Option<ToolChoice>, Error> {
    let is_offered =
        work.request.tools.iter().any(|tool| matches!(tool, Tool::Hosted { kind: own, .. } if *own == kind));
    let path = path(work);
    match work.target.profile.format {
        _ if !is_offered => {
            work.hint(path)?;
            Ok(Some(ToolChoice::Auto))
        }
        Format::Responses | Format::Claude => Ok(Some(ToolChoice::Hosted(kind))),
        Format::Gemini if kind == HostedKind::WebSearch => {
            work.hint(path)?;
            Ok(Some(ToolChoice::Auto))
        }
        Format::Chat | Format::Gemini => {
            let message = format!(
                "{} cannot be made to use a provider-executed tool; leave the choice to the model",
                work.target.profile.name
            );
            work.refuse(path, message)?;
            Ok(Some(ToolChoice::Auto))
        }
    }
}

/// Upstreams that know nothing but `auto` get it. Where nothing may be called, nothing is offered, unless the history's
/// own calls need their declarations.
fn limited(work: &mut Work<'_>, choice: ToolChoice) -> Result<Option<ToolChoice>, Error> {
    if choice == ToolChoice::None && !work.target.profile.has_tool_choice {
        if work.has_history_calls() {
            work.hint(path(work))?;
            return Ok(Some(ToolChoice::Auto));
        }
        work.request.tools.clear();
        return Ok(None);
    }
    let forces = matches!(
        choice,
        ToolChoice::Required | ToolChoice::Named { .. } | ToolChoice::Allowed { is_required: true, .. }
    );
    if forces && !work.target.profile.has_tool_choice {
        work.hint(path(work))?;
        return Ok(Some(ToolChoice::Auto));
    }
    Ok(Some(choice))
}
