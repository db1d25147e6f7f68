//! Tools on offer and the choice among them, as a client sends them.

use super::super::member::members;
use super::super::part::each;
use crate::json::{Raw, Reader};
use crate::model::{CallKind, Ext, HostedKind, Native, Request, Str, Tool, ToolChoice};
use crate::schema::{self, Cleaned};
use crate::{Error, Format};

/// Reads `tools`: a list of tool objects, or one.
///
/// # Errors
/// Members of wrong kinds, with their path.
pub(super) fn tools(
    reader: &mut Reader<'_>,
    out: &mut Vec<Tool>,
    schemas: Option<&Cleaned>,
) -> Result<(), Error> {
    out.clear();
    each(reader, |tool| {
        members(tool, |name, value| {
            if name == "functionDeclarations" {
                return each(value, |declaration| {
                    out.push(function(declaration, schemas)?);
                    Ok(())
                });
            }
            if let Some(settings) = value.opt(Reader::raw)? {
                out.push(hosted(name, settings));
            }
            Ok(())
        })
    })
}

fn function(reader: &mut Reader<'_>, schemas: Option<&Cleaned>) -> Result<Tool, Error> {
    let mut name: Option<Str> = None;
    let mut description = None;
    let mut json_schema = None;
    let mut open_api = None;
    let mut ext = Ext::new();
    members(reader, |key, value| {
        match key {
            "name" => name = Some((*value.str()?).into()),
            "description" => description = value.opt(Reader::kept)?,
            "parametersJsonSchema" => json_schema = value.opt(Reader::kept_raw)?,
            "parameters" => open_api = value.opt(Reader::kept_raw)?,
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    ext.set(key, other);
                }
            }
        }
        Ok(())
    })?;
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Err(Error::missing("name")) };
    let schema =
        json_schema.or_else(|| open_api.as_ref().map(|parameters| schema::from_openapi(parameters, schemas)));
    Ok(Tool::Function {
        name,
        namespace: None,
        description,
        schema,
        strict: None,
        cache: None,
        native: None,
        ext,
    })
}

fn hosted(name: &str, settings: &str) -> Tool {
    let parameters = Raw::object(|parameters| {
        let blocked = crate::json::member(settings, "excludeDomains")
            .or_else(|| crate::json::member(settings, "exclude_domains"));
        if let Some(blocked) = blocked.filter(|domains| domains.starts_with('[')) {
            parameters.raw("blocked_domains", blocked);
        }
    });
    let value = Raw::object(|tool| tool.raw(name, settings));
    Tool::Hosted {
        kind: kind(name),
        parameters,
        native: Native { format: Format::Gemini, value },
        cache: None,
    }
}

fn kind(name: &str) -> HostedKind {
    match name {
        "googleSearch" | "googleSearchRetrieval" | "enterpriseWebSearch" => HostedKind::WebSearch,
        "urlContext" => HostedKind::WebFetch,
        "codeExecution" => HostedKind::CodeExecution,
        "fileSearch" | "retrieval" => HostedKind::FileSearch,
        "googleMaps" => HostedKind::Maps,
        "computerUse" => HostedKind::Computer,
        "mcpServers" => HostedKind::Mcp,
        _ => HostedKind::Other,
    }
}

/// Reads `toolConfig`.
///
/// # Errors
/// A mode that does not exist, or members of wrong kinds.
pub(super) fn tool_config(reader: &mut Reader<'_>, request: &mut Request) -> Result<(), Error> {
    members(reader, |name, value| {
        if name == "functionCallingConfig" {
            return value.opt(|value| calling_config(value, request)).map(drop);
        }
        if let Some(other) = value.opt(Reader::to_raw)? {
            request.ext.set(&["toolConfig.", name].concat(), other);
        }
        Ok(())
    })
}

fn calling_config(reader: &mut Reader<'_>, request: &mut Request) -> Result<(), Error> {
    let mut mode = String::new();
    let mut names: Vec<(CallKind, Str)> = Vec::new();
    members(reader, |name, value| {
        match name {
            "mode" => mode = value.opt(read_mode)?.unwrap_or_default(),
            "allowedFunctionNames" => {
                names.clear();
                each(value, |value| {
                    names.push((CallKind::Function, (*value.str()?).into()));
                    Ok(())
                })?;
            }
            "streamFunctionCallArguments" => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    request.ext.set("toolConfig.functionCallingConfig.streamFunctionCallArguments", other);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    request.tool_choice = match (&*mode, names.len()) {
        ("AUTO", _) | ("VALIDATED", 0) => Some(ToolChoice::Auto),
        ("VALIDATED", _) => Some(ToolChoice::Allowed { is_required: false, names }),
        ("NONE", _) => Some(ToolChoice::None),
        ("ANY", 0) => Some(ToolChoice::Required),
        ("ANY", 1) => names.pop().map(|(kind, name)| ToolChoice::Named { name, kind }),
        ("ANY", _) => Some(ToolChoice::Allowed { is_required: true, names }),
        _ => None,
    };
    if mode == "VALIDATED" {
        request.ext.set("toolConfig.mode", Raw::string(&mode));
    }
    Ok(())
}

fn read_mode(reader: &mut Reader<'_>) -> Result<String, Error> {
    let mode = reader.str()?.to_ascii_uppercase();
    match &*mode {
        "AUTO" | "VALIDATED" | "NONE" | "ANY" | "MODE_UNSPECIFIED" | "" => Ok(mode),
        _ => Err(Error::malformed(format!("unknown mode `{mode}`, expected AUTO, ANY, NONE or VALIDATED"))),
    }
}
