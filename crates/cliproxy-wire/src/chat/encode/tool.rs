//! Tools, the choice among them and the form of the answer, as Chat upstreams read them.

use crate::codec::Target;
use crate::format::Format;
use crate::json::{Kind, Object, Raw};
use crate::model::{CallKind, CustomFormat, Ext, HostedKind, OutputFormat, Request, Str, Tool, ToolChoice};
use crate::profile::ResponseFormatSupport;
use crate::schema;

use super::super::decode::BESIDE;
use super::message::write_mark;

const EMPTY_SCHEMA: &str = r#"{"type":"object","properties":{}}"#;
const DEFAULT_NAME: &str = "response";

/// What becomes of the tool choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Not written.
    Absent,
    /// Written as it is.
    AsSaid,
    /// Written as `auto`, because the upstream knows nothing else.
    Weakened,
    /// The upstream cannot be told, and without it the answer would be another.
    Impossible,
}

/// What becomes of the choice. Without tools a choice is refused by the service, and says nothing anyway.
pub(super) fn choice(request: &Request, target: &Target<'_>) -> Choice {
    let has_tools = request.tools.iter().any(|tool| entry(tool).is_some());
    match &request.tool_choice {
        None => Choice::Absent,
        Some(ToolChoice::Hosted(_)) => Choice::Impossible,
        Some(ToolChoice::Native(native)) if native.format != Format::Chat => Choice::Impossible,
        Some(_) if !has_tools => Choice::Absent,
        Some(ToolChoice::Auto) => Choice::AsSaid,
        Some(_) if target.profile.has_tool_choice => Choice::AsSaid,
        Some(_) => Choice::Weakened,
    }
}

/// What stands in `tools` for a tool; a search that is asked for by a top-level member has no entry.
fn entry(tool: &Tool) -> Option<&Tool> {
    match tool {
        Tool::Function { .. } | Tool::Custom { .. } => Some(tool),
        Tool::Hosted { native, .. } => (native.format == Format::Chat
            && native.value.get("web_search_options").is_none())
        .then_some(tool),
    }
}

/// Writes `tools`, `tool_choice`, `parallel_tool_calls` and `web_search_options`.
pub(super) fn write(request: &Request, target: &Target<'_>, choice: Choice, object: &mut Object<'_>) {
    let mut entries = request.tools.iter().filter_map(entry).peekable();
    if entries.peek().is_some() {
        object.array("tools", |array| {
            for tool in entries {
                array.object(|object| write_tool(request, target, tool, object));
            }
        });
        if let (Some(said), true) = (&request.tool_choice, choice != Choice::Absent) {
            match choice {
                Choice::AsSaid => write_choice(said, object),
                _ => object.str("tool_choice", "auto"),
            }
        }
        object.opt_bool("parallel_tool_calls", request.parallel_tool_calls);
    }
    let search = request.tools.iter().find_map(|tool| match tool {
        Tool::Hosted { kind: HostedKind::WebSearch, native, .. } if native.format == Format::Chat => {
            native.value.get("web_search_options")
        }
        _ => None,
    });
    object.opt_raw("web_search_options", search.as_ref());
}

fn write_tool(request: &Request, target: &Target<'_>, tool: &Tool, object: &mut Object<'_>) {
    let is_own = request.origin == Format::Chat;
    match tool {
        Tool::Function { name, description, schema, strict, cache, ext, .. } => {
            object.str("type", "function");
            object.object("function", |function| {
                function.str("name", name);
                function.opt_str("description", description.as_ref());
                function.raw("parameters", schema.as_ref().map_or(EMPTY_SCHEMA, |schema| schema.as_str()));
                // Not strict is what absence means here, and relatives need not know the member.
                function.opt_bool("strict", strict.filter(|strict| *strict || is_own));
                if is_own {
                    write_own(ext, function);
                }
            });
            if is_own {
                write_beside(ext, object);
            }
            write_mark(object, cache.filter(|_| target.profile.has_cache_marks));
        }
        Tool::Custom { name, description, format, ext } => {
            object.str("type", "custom");
            object.object("custom", |custom| {
                custom.str("name", name);
                custom.opt_str("description", description.as_ref());
                if let CustomFormat::Grammar { syntax, definition } = format {
                    custom.object("format", |format| {
                        format.str("type", "grammar");
                        format.object("grammar", |grammar| {
                            grammar.str("syntax", syntax);
                            grammar.str("definition", definition);
                        });
                    });
                }
                if is_own {
                    write_own(ext, custom);
                }
            });
            if is_own {
                write_beside(ext, object);
            }
        }
        Tool::Hosted { native, .. } => {
            write_members(&native.value, object);
        }
    }
}

fn write_own(ext: &Ext, object: &mut Object<'_>) {
    for (name, value) in ext.iter().filter(|(name, _)| *name != BESIDE) {
        object.raw(name, value.as_str());
    }
}

fn write_beside(ext: &Ext, object: &mut Object<'_>) {
    if let Some(beside) = ext.get(BESIDE) {
        write_members(beside, object);
    }
}

/// Writes the members of an object that was checked when it became a raw value.
pub(super) fn write_members(value: &Raw, object: &mut Object<'_>) {
    let _checked = value.reader().object(|key, value| {
        object.raw(key, value.raw()?);
        Ok(())
    });
}

fn write_choice(choice: &ToolChoice, object: &mut Object<'_>) {
    match choice {
        ToolChoice::Auto => object.str("tool_choice", "auto"),
        ToolChoice::None => object.str("tool_choice", "none"),
        ToolChoice::Required => object.str("tool_choice", "required"),
        ToolChoice::Named { name, kind } => {
            object.object("tool_choice", |choice| write_named(choice, *kind, name));
        }
        ToolChoice::Allowed { is_required, names } => object.object("tool_choice", |choice| {
            choice.str("type", "allowed_tools");
            choice.object("allowed_tools", |allowed| {
                allowed.str("mode", if *is_required { "required" } else { "auto" });
                allowed.array("tools", |array| {
                    for (kind, name) in names {
                        array.object(|object| write_named(object, *kind, name));
                    }
                });
            });
        }),
        ToolChoice::Native(native) => object.raw("tool_choice", native.value.as_str()),
        ToolChoice::Hosted(_) => {}
    }
}

fn write_named(object: &mut Object<'_>, kind: CallKind, name: &Str) {
    let word = match kind {
        CallKind::Function => "function",
        CallKind::Custom => "custom",
    };
    object.str("type", word);
    object.object(word, |object| object.str("name", name));
}

/// The kind of an answer by schema, and the object that it stands in.
const SCHEMA: &str = "json_schema";

/// Writes `response_format`.
pub(super) fn response_format(request: &Request, target: &Target<'_>, object: &mut Object<'_>) {
    let support = target.profile.response_format;
    let own = (request.origin == Format::Chat).then_some(&request.output.ext);
    let is_inside = |name: &str, value: &Raw| name == SCHEMA && value.kind() == Kind::Object;
    let beside = |format: &mut Object<'_>| {
        for (name, value) in own.into_iter().flat_map(Ext::iter) {
            if !is_inside(name, value) {
                format.raw(name, value.as_str());
            }
        }
    };
    let json_object = |object: &mut Object<'_>| {
        if support >= ResponseFormatSupport::JsonObject {
            object.object("response_format", |format| {
                format.str("type", "json_object");
                beside(format);
            });
        }
    };
    match &request.output.format {
        OutputFormat::Text | OutputFormat::Mime(_) => {}
        OutputFormat::JsonSchema { name, description, schema, strict }
            if support >= ResponseFormatSupport::JsonSchema =>
        {
            object.object("response_format", |format| {
                format.str("type", SCHEMA);
                format.object(SCHEMA, |object| {
                    object.str("name", &schema_name(name.as_deref()));
                    object.opt_str("description", description.as_ref());
                    object.raw("schema", schema.as_str());
                    let strict = match request.origin {
                        Format::Chat | Format::Responses => *strict,
                        // These have no such member, so strict is what the schema can bear.
                        Format::Claude | Format::Gemini => Some(schema::holds_strict(schema)),
                    };
                    object.opt_bool("strict", strict);
                    if let Some(inside) = own.and_then(|own| own.get(SCHEMA)) {
                        write_members(inside, object);
                    }
                });
                beside(format);
            });
        }
        OutputFormat::JsonObject | OutputFormat::JsonSchema { .. } => json_object(object),
    }
}

/// A name that the service accepts: 64 characters of `[A-Za-z0-9_-]`.
fn schema_name(name: Option<&str>) -> String {
    let is_legal = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '_' || symbol == '-';
    let name: String = name
        .unwrap_or_default()
        .chars()
        .map(|symbol| if is_legal(symbol) { symbol } else { '_' })
        .take(64)
        .collect();
    if name.is_empty() { DEFAULT_NAME.to_owned() } else { name }
}
