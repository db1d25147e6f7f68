//! Provider-executed tools on offer, as the target calls them.
//!
//! What comes out is what the encoder writes: the `native` value of a hosted tool is in the target's format, an element
//! of `tools`. In Chat search is no tool but a member of the request; there the value is
//! `{"web_search_options":…}`.

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Object, Raw, member};
use crate::model::{HostedKind, Native, Tool, ToolChoice};
use crate::profile::Dialect;

use super::{Work, place};

/// Maps, drops or refuses the hosted tools.
///
/// # Errors
/// A tool that only its own provider has, and one that is forced or not even mappable.
pub(super) fn apply(work: &mut Work<'_>) -> Result<(), Error> {
    if !work.request.tools.iter().any(|tool| matches!(tool, Tool::Hosted { .. })) {
        return Ok(());
    }
    let tools = std::mem::take(&mut work.request.tools);
    let has_functions = tools.iter().any(|tool| !matches!(tool, Tool::Hosted { .. }));
    let excludes_functions = work.target.profile.format == Format::Gemini && !work.target.caps.mixes_tools;
    for (at, mut tool) in tools.into_iter().enumerate() {
        if let Tool::Hosted { kind, parameters, native, .. } = &mut tool {
            if has_functions && excludes_functions && *kind != HostedKind::Other {
                let is_forced = is_forced(work, *kind);
                if is_forced {
                    work.refuse(
                        "tool_choice",
                        format!(
                            "the model {} does not take built-in tools together with functions; \
                             leave the functions out or choose a newer model",
                            work.target.model
                        ),
                    )?;
                }
                work.notes.add(format!("tools[{at}]"));
                continue;
            }
            match mapped(work, at, *kind, parameters, native)? {
                Some(own) => *native = own,
                None => continue,
            }
        }
        work.request.tools.push(tool);
    }
    Ok(())
}

fn is_forced(work: &Work<'_>, kind: HostedKind) -> bool {
    matches!(&work.request.tool_choice, Some(ToolChoice::Hosted(forced)) if *forced == kind)
}

/// The tool in the target's format; `None` if it is dropped.
fn mapped(
    work: &mut Work<'_>,
    at: usize,
    kind: HostedKind,
    parameters: &Raw,
    native: &Native,
) -> Result<Option<Native>, Error> {
    let profile = work.target.profile;
    let format = profile.format;
    let path = format!("tools[{at}]");
    let is_native = native.format == format;
    if profile.dialect == Dialect::Codex
        && !matches!(kind, HostedKind::WebSearch | HostedKind::ImageGeneration)
    {
        work.notes.add(path);
        return Ok(None);
    }
    if kind == HostedKind::ImageGeneration && !profile.has_image_tool(work.target.model) {
        work.notes.add(path);
        return Ok(None);
    }
    if is_native {
        let value = if profile.dialect == Dialect::Codex && kind == HostedKind::WebSearch {
            renamed(&native.value, "web_search")
        } else if format == Format::Gemini {
            google(&native.value, work.target.model)
        } else {
            native.value.clone()
        };
        return Ok(Some(Native { format, value }));
    }
    let value = match (format, kind) {
        (Format::Gemini, HostedKind::WebSearch) => {
            let blocked = given(parameters, "blocked_domains");
            tell(work, &path, parameters, &["max_uses", "search_context_size", "user_location"])?;
            if profile.dialect == Dialect::Vertex {
                tell(work, &path, parameters, &["allowed_domains"])?;
                Some(Raw::object(|tool| {
                    tool.object("googleSearch", |search| optional(search, "excludeDomains", blocked));
                }))
            } else {
                tell(work, &path, parameters, &["allowed_domains", "blocked_domains"])?;
                Some(Raw::new(r#"{"googleSearch":{}}"#))
            }
        }
        (Format::Gemini, HostedKind::WebFetch) => {
            tell(work, &path, parameters, &["allowed_domains", "blocked_domains", "max_uses"])?;
            Some(Raw::new(r#"{"urlContext":{}}"#))
        }
        (Format::Gemini, HostedKind::CodeExecution) => Some(Raw::new(r#"{"codeExecution":{}}"#)),
        (Format::Gemini, HostedKind::Maps) => Some(Raw::new(r#"{"googleMaps":{}}"#)),
        (Format::Claude, HostedKind::WebSearch) => {
            tell(work, &path, parameters, &["search_context_size"])?;
            if given(parameters, "allowed_domains").is_some() {
                // The service takes one of the two.
                tell(work, &path, parameters, &["blocked_domains"])?;
            }
            Some(claude_web(work, work.target.caps.web_search_type, "web_search", parameters))
        }
        (Format::Claude, HostedKind::WebFetch) => {
            Some(claude_web(work, "web_fetch_20250910", "web_fetch", parameters))
        }
        (Format::Claude, HostedKind::CodeExecution) => {
            Some(Raw::new(r#"{"type":"code_execution_20250825","name":"code_execution"}"#))
        }
        (Format::Responses, HostedKind::WebSearch) => {
            tell(work, &path, parameters, &["blocked_domains", "max_uses"])?;
            Some(responses_search(parameters))
        }
        (Format::Responses, HostedKind::CodeExecution) => {
            Some(Raw::new(r#"{"type":"code_interpreter","container":{"type":"auto"}}"#))
        }
        (Format::Responses, HostedKind::ImageGeneration) => Some(Raw::new(r#"{"type":"image_generation"}"#)),
        // Only the search models take the options.
        (Format::Chat, HostedKind::WebSearch) if work.target.model.contains("search") => {
            tell(work, &path, parameters, &["allowed_domains", "blocked_domains", "max_uses"])?;
            Some(chat_search(parameters))
        }
        _ => None,
    };
    if let Some(value) = value {
        tell_rest(work, &path, native)?;
        return Ok(Some(Native { format, value }));
    }
    // Every tool is sent undeferred, so there is nothing to search for.
    if kind == HostedKind::ToolSearch {
        work.notes.add(path);
        return Ok(None);
    }
    let is_bound = matches!(kind, HostedKind::FileSearch | HostedKind::Mcp | HostedKind::Computer);
    if work.request.origin == Format::Responses && !is_bound && !is_forced(work, kind) {
        work.notes.add(path);
        return Ok(None);
    }
    let name = if kind == HostedKind::Mcp { "mcp".to_owned() } else { label(native) };
    work.refuse(
        path,
        format!(
            "the provider-executed tool {name} does not exist at {}; remove it or choose a model of its own provider",
            profile.name
        ),
    )?;
    Ok(None)
}

/// What the client calls the tool.
fn label(native: &Native) -> String {
    if let Some(kind) = native.value.get("type").and_then(|kind| kind.to_text()) {
        return kind;
    }
    let mut name = String::new();
    let _read = native.value.reader().object(|key, _| {
        if name.is_empty() {
            key.clone_into(&mut name);
        }
        Ok(())
    });
    name
}

/// A parameter that says something.
fn given<'p>(parameters: &'p Raw, name: &str) -> Option<&'p str> {
    member(parameters.as_str(), name).filter(|value| !matches!(*value, "null" | "[]" | "{}" | "\"\""))
}

fn optional(object: &mut Object<'_>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        object.raw(name, value);
    }
}

/// Notes parameters without a counterpart.
fn tell(work: &mut Work<'_>, path: &str, parameters: &Raw, names: &[&str]) -> Result<(), Error> {
    for name in names {
        if given(parameters, name).is_some() {
            work.hint(&format!("{path}.{name}"))?;
        }
    }
    Ok(())
}

/// Members of a tool that were looked at when it was read.
const READ: [&str; 9] = [
    "type",
    "name",
    "filters",
    "allowed_domains",
    "blocked_domains",
    "user_location",
    "max_uses",
    "search_context_size",
    "cache_control",
];

/// Notes settings that only the tool's own provider knows.
fn tell_rest(work: &mut Work<'_>, path: &str, native: &Native) -> Result<(), Error> {
    let mut names: Vec<String> = Vec::new();
    let _read = native.value.reader().object(|name, value| match native.format {
        // There a tool is an object whose one member names it.
        Format::Gemini if value.kind() == Kind::Object => value.object(|setting, value| {
            let is_read = matches!(setting, "excludeDomains" | "exclude_domains");
            names.extend((!is_read && value.kind() != Kind::Null).then(|| format!("{name}.{setting}")));
            Ok(())
        }),
        Format::Gemini | Format::Chat => Ok(()),
        Format::Claude | Format::Responses => {
            let value = value.to_raw()?;
            let is_plain = value.is_empty() || value.as_str() == r#"{"type":"auto"}"#;
            names.extend((!READ.contains(&name) && !is_plain).then(|| name.to_owned()));
            Ok(())
        }
    });
    for name in names {
        work.hint(&place::told(path, &name))?;
    }
    Ok(())
}

/// Members of an approximate location; one format nests them once more.
fn location(parameters: &Raw) -> Vec<(&'static str, &str)> {
    let Some(location) = given(parameters, "user_location") else { return Vec::new() };
    let inner = member(location, "approximate").unwrap_or(location);
    ["city", "country", "region", "timezone"]
        .into_iter()
        .filter_map(|name| Some((name, member(inner, name).filter(|value| *value != "null")?)))
        .collect()
}

fn claude_web(work: &Work<'_>, tool_type: &str, name: &str, parameters: &Raw) -> Raw {
    Raw::object(|tool| {
        tool.str("type", tool_type);
        tool.str("name", name);
        match (given(parameters, "max_uses"), work.request.max_tool_calls) {
            (Some(uses), _) => tool.raw("max_uses", uses),
            (None, uses) => tool.opt_u64("max_uses", uses),
        }
        match given(parameters, "allowed_domains") {
            Some(allowed) => tool.raw("allowed_domains", allowed),
            None => optional(tool, "blocked_domains", given(parameters, "blocked_domains")),
        }
        let place = location(parameters);
        if name == "web_search" && !place.is_empty() {
            tool.object("user_location", |object| {
                object.str("type", "approximate");
                for (name, value) in place {
                    object.raw(name, value);
                }
            });
        }
    })
}

fn responses_search(parameters: &Raw) -> Raw {
    Raw::object(|tool| {
        tool.str("type", "web_search");
        if let Some(allowed) = given(parameters, "allowed_domains") {
            tool.object("filters", |filters| filters.raw("allowed_domains", allowed));
        }
        let place = location(parameters);
        if !place.is_empty() {
            tool.object("user_location", |object| {
                object.str("type", "approximate");
                for (name, value) in place {
                    object.raw(name, value);
                }
            });
        }
        optional(tool, "search_context_size", given(parameters, "search_context_size"));
    })
}

fn chat_search(parameters: &Raw) -> Raw {
    Raw::object(|tool| {
        tool.object("web_search_options", |options| {
            optional(options, "search_context_size", given(parameters, "search_context_size"));
            let place = location(parameters);
            if !place.is_empty() {
                options.object("user_location", |object| {
                    object.str("type", "approximate");
                    object.object("approximate", |inner| {
                        for (name, value) in place {
                            inner.raw(name, value);
                        }
                    });
                });
            }
        });
    })
}

/// A tool object under another `type`.
fn renamed(value: &Raw, tool_type: &str) -> Raw {
    Raw::object(|tool| {
        let _read = value.reader().object(|key, value| {
            if key == "type" {
                tool.str(key, tool_type);
            } else {
                tool.raw(key, value.raw()?);
            }
            Ok(())
        });
    })
}

/// A Google tool in camelCase with its settings unchanged. The oldest search tool is another one for newer models.
fn google(value: &Raw, model: &str) -> Raw {
    Raw::object(|tool| {
        let _read = value.reader().object(|key, settings| {
            let name = match key {
                "google_search" => "googleSearch",
                "code_execution" => "codeExecution",
                "url_context" => "urlContext",
                "google_maps" => "googleMaps",
                "file_search" => "fileSearch",
                "enterprise_web_search" => "enterpriseWebSearch",
                "google_search_retrieval" => "googleSearchRetrieval",
                other => other,
            };
            if name == "googleSearchRetrieval" && !model.contains("1.5") {
                tool.raw("googleSearch", "{}");
            } else {
                tool.raw(name, settings.raw()?);
            }
            Ok(())
        });
    })
}
