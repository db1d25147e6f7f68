//! `tools` and `tool_choice`.

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{CallKind, CustomFormat, Ext, HostedKind, Native, Str, Tool, ToolChoice};

use super::super::{hosted, typed};

/// Tools that are written as an object whose only member names them: those of Google, passed on verbatim.
const GOOGLE: [(&str, HostedKind); 9] = [
    ("google_search", HostedKind::WebSearch),
    ("googleSearch", HostedKind::WebSearch),
    ("enterprise_web_search", HostedKind::WebSearch),
    ("code_execution", HostedKind::CodeExecution),
    ("codeExecution", HostedKind::CodeExecution),
    ("url_context", HostedKind::WebFetch),
    ("urlContext", HostedKind::WebFetch),
    ("google_maps", HostedKind::Maps),
    ("googleMaps", HostedKind::Maps),
];

/// Reads an array of tools.
pub(in crate::responses) fn read(value: &mut Reader<'_>, tools: &mut Vec<Tool>) -> Result<(), Error> {
    match value.kind() {
        Kind::Null => value.skip(),
        Kind::Object => one(value, None, tools),
        _ => value.array(|_, tool| one(tool, None, tools)),
    }
}

#[derive(Default)]
struct Fields<'a> {
    kind: Option<Str>,
    name: Option<Str>,
    description: Option<Str>,
    schema: Option<Raw>,
    strict: Option<bool>,
    format: Option<Raw>,
    environment: Option<Raw>,
    filters: Option<Raw>,
    nested: Option<Reader<'a>>,
    google: Option<HostedKind>,
    ext: Ext,
}

impl<'a> Fields<'a> {
    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        match key {
            "type" => self.kind = super::super::text(value)?,
            "name" => self.name = super::super::text(value)?.filter(|name| !name.is_empty()),
            "description" => self.description = super::super::text(value)?,
            "parameters" | "input_schema" => {
                self.schema = value.opt(Reader::kept_raw)?.filter(|schema| schema.kind() == Kind::Object);
            }
            "strict" => self.strict = value.opt(Reader::bool)?,
            "format" => self.format = value.opt(Reader::to_raw)?,
            "environment" => self.environment = value.opt(Reader::to_raw)?,
            "filters" => self.filters = value.opt(Reader::to_raw)?,
            "tools" if value.kind() == Kind::Array => self.nested = Some(value.clone()),
            // The Chat shapes.
            "function" | "custom" if value.kind() == Kind::Object => {
                if self.kind.is_none() {
                    self.kind = Some(key.into());
                }
                value.object(|key, value| self.member(key, value))?;
            }
            _ => {
                if let Some((_, kind)) = GOOGLE.iter().find(|(name, _)| *name == key) {
                    self.google = Some(*kind);
                } else if key == "file_search" && value.kind() == Kind::Object {
                    self.google = Some(HostedKind::FileSearch);
                }
                if let Some(other) = value.opt(Reader::to_raw)? {
                    self.ext.set(key, other);
                }
            }
        }
        Ok(())
    }
}

fn one(value: &mut Reader<'_>, namespace: Option<&Namespace>, tools: &mut Vec<Tool>) -> Result<(), Error> {
    let mut look = value.clone();
    let mut fields = Fields::default();
    value.object(|key, value| fields.member(key, value))?;
    let kind = match &fields.kind {
        Some(kind) => Str::clone(kind),
        None if fields.name.is_some() => "function".into(),
        None => {
            let Some(kind) = fields.google else { return Err(Error::missing("type")) };
            let native = Native { format: Format::Gemini, value: look.to_raw()? };
            tools.push(Tool::Hosted { kind, parameters: Raw::new("{}"), native, cache: None });
            return Ok(());
        }
    };
    let native = |look: &mut Reader<'_>| -> Result<Native, Error> {
        Ok(Native { format: Format::Responses, value: look.to_raw()? })
    };
    match &*kind {
        "function" => {
            let Some(name) = fields.name else { return Err(Error::missing("name")) };
            let mut ext = fields.ext;
            if let Some(namespace) = namespace
                && let Some(description) = &namespace.description
            {
                ext.set(NAMESPACE_DESCRIPTION, Raw::string(description));
            }
            tools.push(Tool::Function {
                name,
                namespace: namespace.map(|namespace| Str::clone(&namespace.name)),
                description: fields.description,
                schema: fields.schema,
                strict: fields.strict,
                cache: None,
                native: None,
                ext,
            });
        }
        "custom" => {
            let Some(name) = fields.name else { return Err(Error::missing("name")) };
            let format = custom_format(fields.format.as_ref());
            tools.push(Tool::Custom { name, description: fields.description, format, ext: fields.ext });
        }
        "namespace" => {
            let Some(name) = fields.name else { return Err(Error::missing("name")) };
            let namespace = Namespace { name, description: fields.description };
            if let Some(mut nested) = fields.nested {
                nested
                    .array(|_, tool| one(tool, Some(&namespace), tools))
                    .map_err(|error| error.under_key("tools"))?;
            }
        }
        name => match typed::of(name).filter(|typed| typed.name == name) {
            Some(typed) if !is_container(fields.environment.as_ref()) => {
                tools.push(Tool::Function {
                    name: typed.name.into(),
                    namespace: None,
                    description: fields.description,
                    schema: Some(Raw::new(typed.schema)),
                    strict: None,
                    cache: None,
                    native: Some(native(&mut look)?),
                    ext: Ext::new(),
                });
            }
            other => {
                let kind = match other {
                    Some(_) => HostedKind::Shell,
                    None => hosted::tool(name).unwrap_or(HostedKind::Other),
                };
                let parameters = parameters(&fields.ext, fields.filters.as_ref());
                tools.push(Tool::Hosted { kind, parameters, native: native(&mut look)?, cache: None });
            }
        },
    }
    Ok(())
}

/// Where the description of a namespace is kept, on each of its functions.
pub(crate) const NAMESPACE_DESCRIPTION: &str = "namespace_description";

struct Namespace {
    name: Str,
    description: Option<Str>,
}

fn is_container(environment: Option<&Raw>) -> bool {
    environment
        .and_then(|environment| environment.get("type"))
        .and_then(|word| word.to_text())
        .is_some_and(|word| word.starts_with("container"))
}

fn custom_format(format: Option<&Raw>) -> CustomFormat {
    let Some(format) = format else { return CustomFormat::Text };
    // Chat nests the grammar once more.
    let grammar = format.get("grammar").unwrap_or_else(|| format.clone());
    let member = |name| grammar.get(name).and_then(|value: Raw| value.to_text());
    match (member("syntax"), member("definition")) {
        (Some(syntax), Some(definition)) => {
            CustomFormat::Grammar { syntax: syntax.into(), definition: definition.into() }
        }
        _ => CustomFormat::Text,
    }
}

/// What all formats with the tool understand.
fn parameters(ext: &Ext, filters: Option<&Raw>) -> Raw {
    Raw::object(|object| {
        for name in ["allowed_domains", "blocked_domains"] {
            let value = filters.and_then(|filters| filters.get(name));
            object.opt_raw(name, value.as_ref().filter(|value| !value.is_empty()));
        }
        for name in ["user_location", "search_context_size", "max_uses"] {
            object.opt_raw(name, ext.get(name));
        }
    })
}

/// Reads `tool_choice`.
pub(super) fn read_choice(value: &mut Reader<'_>) -> Result<Option<ToolChoice>, Error> {
    if value.kind() == Kind::String {
        return match &*value.str()? {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            "" => Ok(None),
            _ => Err(Error::malformed("unknown tool choice; use auto, none, required or an object")),
        };
    }
    let mut look = value.clone();
    let mut choice = Choice::default();
    value.object(|key, value| choice.member(key, value))?;
    let kind = choice.kind.as_deref().unwrap_or("function");
    Ok(Some(match kind {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" | "any" => ToolChoice::Required,
        "function" | "tool" => {
            let Some(name) = choice.name else { return Err(Error::missing("name")) };
            ToolChoice::Named { name, kind: CallKind::Function }
        }
        "custom" => {
            let Some(name) = choice.name else { return Err(Error::missing("name")) };
            ToolChoice::Named { name, kind: CallKind::Custom }
        }
        // Names of hosted tools in the list have no name to match; then only this format can say it.
        "allowed_tools" if !choice.has_unnamed => {
            ToolChoice::Allowed { is_required: choice.is_required, names: choice.names }
        }
        name if typed::of(name).is_some_and(|typed| typed.name == name) => {
            ToolChoice::Named { name: name.into(), kind: CallKind::Function }
        }
        name => match hosted::tool(name) {
            Some(HostedKind::Mcp) | None => {
                ToolChoice::Native(Native { format: Format::Responses, value: look.to_raw()? })
            }
            Some(kind) => ToolChoice::Hosted(kind),
        },
    }))
}

#[derive(Default)]
struct Choice {
    kind: Option<Str>,
    name: Option<Str>,
    is_required: bool,
    names: Vec<(CallKind, Str)>,
    has_unnamed: bool,
}

impl Choice {
    fn member(&mut self, key: &str, value: &mut Reader<'_>) -> Result<(), Error> {
        match key {
            "type" => self.kind = super::super::text(value)?,
            "name" => self.name = super::super::text(value)?,
            "mode" => self.is_required = super::super::text(value)?.as_deref() == Some("required"),
            "tools" => {
                value.opt(|tools| {
                    tools.array(|_, tool| {
                        let mut entry = Self::default();
                        tool.object(|key, value| entry.member(key, value))?;
                        let kind = match entry.kind.as_deref() {
                            Some("custom") => CallKind::Custom,
                            _ => CallKind::Function,
                        };
                        let typed = entry.kind.as_deref().and_then(typed::of).map(|typed| typed.name.into());
                        match entry.name.or(typed) {
                            Some(name) => self.names.push((kind, name)),
                            None => self.has_unnamed = true,
                        }
                        Ok(())
                    })
                })?;
            }
            // The Chat shapes.
            "function" | "custom" | "allowed_tools" if value.kind() == Kind::Object => {
                if self.kind.is_none() {
                    self.kind = Some(key.into());
                }
                value.object(|key, value| self.member(key, value))?;
            }
            _ => {}
        }
        Ok(())
    }
}
