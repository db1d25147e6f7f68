//! Tools written for an upstream.

use crate::format::Format;
use crate::json::{Array, Object, Raw};
use crate::model::{CustomFormat, HostedKind, Native, Request, Tool};

use super::super::hosted;
use super::super::request::NAMESPACE_DESCRIPTION;
use super::Writer;

/// Hosted tool types that the Codex backend has.
const CODEX_HAS: [&str; 3] = ["web_search", "image_generation", "tool_search"];

/// Writes `tools`; false when there are none, and then nothing is written.
pub(super) fn write(writer: &mut Writer<'_>, object: &mut Object<'_>) -> bool {
    object.filled_array("tools", |array| {
        let mut tools = writer.request.tools.as_slice();
        while let Some((first, rest)) = tools.split_first() {
            tools = rest;
            if let Tool::Function { namespace: Some(name), .. } = first {
                let is_member = |tool: &&Tool| matches!(tool, Tool::Function { namespace: Some(other), .. } if other == name);
                let length = rest.iter().take_while(is_member).count();
                let (others, after) = rest.split_at(length);
                namespace(writer, array, name, std::iter::once(first).chain(others));
                tools = after;
            } else {
                one(writer, array, first);
            }
        }
    })
}

fn namespace<'t>(
    writer: &mut Writer<'_>,
    array: &mut Array<'_>,
    name: &str,
    tools: impl Iterator<Item = &'t Tool> + Clone,
) {
    let description = tools.clone().find_map(|tool| match tool {
        Tool::Function { ext, .. } => ext.get(NAMESPACE_DESCRIPTION),
        _ => None,
    });
    array.object(|object| {
        object.str("type", "namespace");
        object.str("name", name);
        object.opt_raw("description", description);
        object.array("tools", |array| {
            for tool in tools {
                one(writer, array, tool);
            }
        });
    });
}

fn one(writer: &mut Writer<'_>, array: &mut Array<'_>, tool: &Tool) {
    match tool {
        Tool::Function { native: Some(Native { format: Format::Responses, value }), .. } => {
            array.raw(value.as_str());
        }
        Tool::Function { name, description, schema, strict, ext, .. } => array.object(|object| {
            object.str("type", "function");
            object.str("name", name);
            object.opt_str("description", description.as_ref());
            let schema = schema.as_ref().filter(|schema| !schema.is_empty());
            object.raw("parameters", schema.map_or(r#"{"type":"object","properties":{}}"#, Raw::as_str));
            // Absent means "try strict" here and "not strict" everywhere else.
            object.opt_bool("strict", if writer.is_own() { *strict } else { strict.or(Some(false)) });
            own_members(writer, object, ext);
        }),
        Tool::Custom { name, description, format, ext } => array.object(|object| {
            object.str("type", "custom");
            object.str("name", name);
            object.opt_str("description", description.as_ref());
            object.object("format", |object| match format {
                CustomFormat::Text => object.str("type", "text"),
                CustomFormat::Grammar { syntax, definition } => {
                    object.str("type", "grammar");
                    object.str("syntax", syntax);
                    object.str("definition", definition);
                }
            });
            own_members(writer, object, ext);
        }),
        Tool::Hosted { kind, parameters, native, .. } => {
            hosted_tool(writer, array, *kind, parameters, native);
        }
    }
}

fn own_members(writer: &Writer<'_>, object: &mut Object<'_>, ext: &crate::model::Ext) {
    if !writer.is_own() {
        return;
    }
    for (name, value) in ext.iter().filter(|(name, _)| *name != NAMESPACE_DESCRIPTION) {
        object.raw(name, value.as_str());
    }
}

fn hosted_tool(
    writer: &mut Writer<'_>,
    array: &mut Array<'_>,
    kind: HostedKind,
    parameters: &Raw,
    native: &Native,
) {
    let native_type = (native.format == Format::Responses).then(|| type_of(&native.value)).flatten();
    if writer.is_codex {
        let name = match (&native_type, kind) {
            (_, HostedKind::WebSearch) => Some("web_search"),
            (Some(name), _) => CODEX_HAS.into_iter().find(|known| known == name),
            (None, kind) => hosted::tool_type(kind).filter(|name| CODEX_HAS.contains(name)),
        };
        let Some(name) = name else {
            writer.notes.add("tools");
            return;
        };
        match &native_type {
            Some(own) if own == name => array.raw(native.value.as_str()),
            Some(_) => renamed(array, &native.value, name),
            None => foreign(array, name, kind, parameters),
        }
        return;
    }
    if native_type.is_some() {
        array.raw(native.value.as_str());
        return;
    }
    match hosted::tool_type(kind) {
        // These need what only their own provider's client can say.
        None | Some("file_search" | "tool_search") => writer.semantic("tools", "remove the tool"),
        Some(name) => foreign(array, name, kind, parameters),
    }
}

/// A tool of another format in the words of this one.
fn foreign(array: &mut Array<'_>, name: &str, kind: HostedKind, parameters: &Raw) {
    array.object(|object| {
        object.str("type", name);
        match kind {
            HostedKind::WebSearch => {
                let domains = parameters.get("allowed_domains").filter(|domains| !domains.is_empty());
                if let Some(domains) = &domains {
                    object.object("filters", |filters| filters.raw("allowed_domains", domains.as_str()));
                }
                if let Some(location) =
                    parameters.get("user_location").filter(|location| !location.is_empty())
                {
                    object.object("user_location", |object| location_members(object, &location));
                }
                object.opt_raw("search_context_size", parameters.get("search_context_size").as_ref());
            }
            HostedKind::CodeExecution => {
                object.object("container", |container| container.str("type", "auto"));
            }
            _ => {}
        }
    });
}

/// A location is flat here and in Claude, nested once in Chat.
fn location_members(object: &mut Object<'_>, location: &Raw) {
    object.str("type", "approximate");
    let flat = location.get("approximate").unwrap_or_else(|| location.clone());
    for name in ["country", "region", "city", "timezone"] {
        object.opt_raw(name, flat.get(name).filter(|value| !value.is_empty()).as_ref());
    }
}

fn renamed(array: &mut Array<'_>, value: &Raw, name: &str) {
    array.object(|object| {
        // The span was read as JSON before.
        let _complete = value.reader().object(|key, member| {
            if key == "type" {
                object.str("type", name);
            } else {
                object.raw(key, member.raw()?);
            }
            Ok(())
        });
    });
}

fn type_of(value: &Raw) -> Option<String> {
    value.get("type").and_then(|kind| kind.to_text())
}

/// The type of a typed tool of this format that is offered under `name`.
pub(super) fn native_type(request: &Request, name: &str) -> Option<String> {
    request.tools.iter().find_map(|tool| match tool {
        Tool::Function { name: known, native: Some(native), .. }
            if **known == *name && native.format == Format::Responses =>
        {
            type_of(&native.value)
        }
        _ => None,
    })
}
