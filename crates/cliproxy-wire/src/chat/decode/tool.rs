//! Tools and the choice among them, in the shapes of this format and in those of others that agents send here.

use std::borrow::Cow;

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{CacheMark, CallKind, CustomFormat, Ext, HostedKind, Native, Str, Tool, ToolChoice};

use super::part;

/// Reads `tools`.
pub(super) fn tools(value: &mut Reader<'_>, out: &mut Vec<Tool>) -> Result<(), Error> {
    value.array(|_, value| {
        if value.kind() != Kind::Null {
            out.push(tool(value)?);
        }
        Ok(())
    })
}

/// Reads the deprecated `functions`.
pub(super) fn functions(value: &mut Reader<'_>, out: &mut Vec<Tool>) -> Result<(), Error> {
    value.array(|_, value| {
        let mut spec = Spec::default();
        value.object(|key, value| spec.member(key, value))?;
        out.push(spec.function(None)?);
        Ok(())
    })
}

/// Reads `web_search_options`.
pub(super) fn web_search(value: &mut Reader<'_>) -> Result<Tool, Error> {
    let raw = value.to_raw()?;
    let parameters = search_parameters(&raw);
    let value = Raw::object(|object| object.raw("web_search_options", raw.as_str()));
    let native = Native { format: Format::Chat, value };
    Ok(Tool::Hosted { kind: HostedKind::WebSearch, parameters, native, cache: None })
}

/// What describes a function or a free-form tool, wherever it stands.
#[derive(Default)]
struct Spec<'a> {
    name: Option<Cow<'a, str>>,
    description: Option<Str>,
    schema: Option<Raw>,
    strict: Option<bool>,
    format: Option<CustomFormat>,
    ext: Ext,
}

impl<'a> Spec<'a> {
    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        if value.kind() == Kind::Null {
            return value.skip();
        }
        match key {
            "name" => self.name = Some(value.str()?),
            "description" => self.description = Some(value.kept()?),
            "parameters" | "input_schema" | "parametersJsonSchema" => self.schema = Some(value.kept_raw()?),
            "strict" => self.strict = Some(value.bool()?),
            "format" if value.kind() == Kind::Object => self.format = Some(custom_format(value)?),
            _ => self.ext.set(key, value.to_raw()?),
        }
        Ok(())
    }

    /// Adds what stands beside the object that describes the tool: some write a part of it there.
    fn beside(mut self, outer: Self) -> Self {
        self.name = self.name.or(outer.name);
        self.description = self.description.or(outer.description);
        self.schema = self.schema.or(outer.schema);
        self.strict = self.strict.or(outer.strict);
        self.format = self.format.or(outer.format);
        if !outer.ext.is_empty() {
            self.ext.set(BESIDE, Raw::object(|object| outer.ext.write(object)));
        }
        self
    }

    fn name(&self) -> Result<Str, Error> {
        let name = self.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        name.map(Str::from).ok_or_else(|| Error::missing("name"))
    }

    fn function(self, cache: Option<CacheMark>) -> Result<Tool, Error> {
        Ok(Tool::Function {
            name: self.name()?,
            namespace: None,
            description: self.description,
            schema: self.schema,
            strict: self.strict,
            cache,
            native: None,
            ext: self.ext,
        })
    }

    fn custom(self) -> Result<Tool, Error> {
        Ok(Tool::Custom {
            name: self.name()?,
            description: self.description,
            format: self.format.unwrap_or(CustomFormat::Text),
            ext: self.ext,
        })
    }
}

/// Where members are kept that stand beside `function` and `custom`, among those that stand in it.
pub(crate) const BESIDE: &str = "beside the function";

fn tool(value: &mut Reader<'_>) -> Result<Tool, Error> {
    let mut whole = value.clone();
    let mut kind = None;
    let mut flat = Spec::default();
    let mut nested: Option<(Spec<'_>, &'static str)> = None;
    let mut has_input_schema = false;
    let mut cache = None;
    let mut google = None;
    value.object(|key, value| {
        match key {
            "type" => kind = value.opt(Reader::str)?,
            "function" | "custom" if value.kind() == Kind::Object => {
                let mut spec = Spec::default();
                value.object(|key, value| spec.member(key, value))?;
                nested = Some((spec, if key == "custom" { "custom" } else { "function" }));
            }
            "cache_control" => cache = part::cache_mark(value)?,
            _ => {
                has_input_schema |= key == "input_schema";
                if let Some(hosted) = google_tool(key) {
                    google = Some(hosted);
                }
                flat.member(key, value)?;
            }
        }
        Ok(())
    })?;
    let kind = kind.as_deref();
    if let (None, None, Some(hosted)) = (kind, &nested, google) {
        let native = Native { format: Format::Gemini, value: whole.to_raw()? };
        return Ok(Tool::Hosted { kind: hosted, parameters: Raw::new("{}"), native, cache });
    }
    match (kind, nested) {
        (Some("custom"), Some((spec, member))) => {
            spec.beside(flat).custom().map_err(|error| error.under_key(member))
        }
        (Some("function") | None, Some((spec, "function"))) => {
            spec.beside(flat).function(cache).map_err(|error| error.under_key("function"))
        }
        (None, Some((spec, member))) => spec.beside(flat).custom().map_err(|error| error.under_key(member)),
        (Some("custom"), None) if !has_input_schema => flat.custom(),
        (Some("function" | "custom") | None, _) => flat.function(cache),
        (Some(kind), _) => {
            let value = whole.to_raw()?;
            let parameters = search_parameters(&value);
            let native = Native { format: Format::Chat, value };
            Ok(Tool::Hosted { kind: hosted_kind(kind), parameters, native, cache })
        }
    }
}

/// Google's tools as they may be written in a request of any format: an object whose one member names the tool.
fn google_tool(key: &str) -> Option<HostedKind> {
    Some(match key {
        "google_search"
        | "googleSearch"
        | "google_search_retrieval"
        | "googleSearchRetrieval"
        | "enterprise_web_search"
        | "enterpriseWebSearch" => HostedKind::WebSearch,
        "code_execution" | "codeExecution" => HostedKind::CodeExecution,
        "url_context" | "urlContext" => HostedKind::WebFetch,
        "google_maps" | "googleMaps" => HostedKind::Maps,
        "file_search" | "fileSearch" => HostedKind::FileSearch,
        _ => return None,
    })
}

/// The hosted tool that a type word means.
fn hosted_kind(kind: &str) -> HostedKind {
    let kind = kind.rsplit(':').next().unwrap_or(kind);
    if kind.starts_with("web_search") {
        return HostedKind::WebSearch;
    }
    if kind.starts_with("web_fetch") {
        return HostedKind::WebFetch;
    }
    match kind {
        "code_interpreter" | "code_execution" => HostedKind::CodeExecution,
        "file_search" => HostedKind::FileSearch,
        "image_generation" => HostedKind::ImageGeneration,
        "mcp" => HostedKind::Mcp,
        _ => HostedKind::Other,
    }
}

/// What of a search tool every format understands.
fn search_parameters(tool: &Raw) -> Raw {
    const NAMES: [&str; 5] =
        ["allowed_domains", "blocked_domains", "max_uses", "search_context_size", "user_location"];
    let mut found: [Option<Raw>; 5] = Default::default();
    let mut gather = |reader: &mut Reader<'_>| {
        reader.object(|key, value| {
            if let (Some(at), false) =
                (NAMES.iter().position(|name| *name == key), value.kind() == Kind::Null)
            {
                let raw = value.to_raw()?;
                found.get_mut(at).map(|slot| slot.replace(raw));
            }
            Ok(())
        })
    };
    for inner in ["filters", "parameters"] {
        if let Some(inner) = tool.get(inner) {
            // What is no object says nothing; the rest still counts.
            let _nothing = gather(&mut inner.reader());
        }
    }
    let _nothing = gather(&mut tool.reader());
    let location = found.last_mut().and_then(Option::take);
    Raw::object(|object| {
        for (name, value) in NAMES.iter().zip(&found) {
            object.opt_raw(name, value.as_ref());
        }
        if let Some(location) = location {
            object.raw("user_location", flat_location(&location).as_str());
        }
    })
}

/// `{type, approximate:{city,…}}` as `{type, city, …}`.
fn flat_location(location: &Raw) -> Raw {
    let Some(inner) = location.get("approximate").filter(|inner| inner.kind() == Kind::Object) else {
        return location.clone();
    };
    Raw::object(|object| {
        object.str("type", "approximate");
        let _nothing = inner.reader().object(|key, value| {
            object.raw(key, value.raw()?);
            Ok(())
        });
    })
}

/// Members of a grammar, wherever they stand.
fn grammar<'a>(
    key: &str,
    value: &mut Reader<'a>,
    syntax: &mut Option<Cow<'a, str>>,
    definition: &mut Option<Cow<'a, str>>,
) -> Result<(), Error> {
    match key {
        "syntax" => *syntax = value.opt(Reader::str)?,
        "definition" => *definition = value.opt(Reader::str)?,
        _ => {}
    }
    Ok(())
}

fn custom_format(value: &mut Reader<'_>) -> Result<CustomFormat, Error> {
    let mut kind = None;
    let mut syntax = None;
    let mut definition = None;
    value.object(|key, value| match key {
        "type" => {
            kind = value.opt(Reader::str)?;
            Ok(())
        }
        // The format nests what its sister format writes flat.
        "grammar" if value.kind() == Kind::Object => {
            value.object(|key, value| grammar(key, value, &mut syntax, &mut definition))
        }
        _ => grammar(key, value, &mut syntax, &mut definition),
    })?;
    match (kind.as_deref(), definition) {
        (Some("grammar"), Some(definition)) => Ok(CustomFormat::Grammar {
            syntax: syntax.as_deref().unwrap_or("lark").into(),
            definition: (*definition).into(),
        }),
        (Some("grammar"), None) => Err(Error::missing("definition")),
        _ => Ok(CustomFormat::Text),
    }
}

/// Reads `tool_choice`, and the deprecated `function_call`, which has the same words. The second value is what it
/// says of parallel calls.
pub(super) fn choice(value: &mut Reader<'_>) -> Result<(Option<ToolChoice>, Option<bool>), Error> {
    match value.kind() {
        Kind::Null => return value.skip().map(|()| (None, None)),
        Kind::String => {
            let word = value.str()?;
            return match &*word {
                "auto" => Ok((Some(ToolChoice::Auto), None)),
                "none" => Ok((Some(ToolChoice::None), None)),
                "required" | "any" => Ok((Some(ToolChoice::Required), None)),
                "" => Ok((None, None)),
                other => Err(Error::malformed(format!(
                    "unknown choice {other:?}; use auto, none, required or an object that names a tool"
                ))),
            };
        }
        _ => {}
    }
    let mut whole = value.clone();
    let mut choice = Choice::default();
    value.object(|key, value| choice.member(key, value))?;
    let parallel = choice.disables_parallel.map(|is_disabled| !is_disabled);
    let named = |kind, name: Option<Cow<'_, str>>| match name {
        Some(name) => Ok(ToolChoice::Named { name: (*name).into(), kind }),
        None => Err(Error::missing("name")),
    };
    let read = match choice.kind.as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("any" | "required") => ToolChoice::Required,
        Some("custom") => named(CallKind::Custom, choice.name)?,
        Some("function" | "tool") | None => {
            let kind = if choice.is_custom { CallKind::Custom } else { CallKind::Function };
            named(kind, choice.name)?
        }
        Some("allowed_tools") => ToolChoice::Allowed { is_required: choice.is_required, names: choice.names },
        Some(kind) => match hosted_kind(kind) {
            HostedKind::Other => ToolChoice::Native(Native { format: Format::Chat, value: whole.to_raw()? }),
            hosted => ToolChoice::Hosted(hosted),
        },
    };
    Ok((Some(read), parallel))
}

#[derive(Default)]
struct Choice<'a> {
    kind: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    is_custom: bool,
    is_required: bool,
    names: Vec<(CallKind, Str)>,
    disables_parallel: Option<bool>,
}

impl<'a> Choice<'a> {
    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        if value.kind() == Kind::Null {
            return value.skip();
        }
        match key {
            "type" => self.kind = Some(value.str()?),
            "name" => self.name = Some(value.str()?),
            "function" | "custom" if value.kind() == Kind::Object => {
                self.is_custom = key == "custom";
                value.object(|key, value| {
                    if key == "name" {
                        self.name = Some(value.str()?);
                    }
                    Ok(())
                })?;
            }
            "allowed_tools" if value.kind() == Kind::Object => {
                value.object(|key, value| self.member(key, value))?;
            }
            "mode" => self.is_required = value.str()? == "required",
            "tools" if value.kind() == Kind::Array => value.array(|_, value| {
                let mut tool = Choice::default();
                value.object(|key, value| tool.member(key, value))?;
                let is_custom = tool.is_custom || tool.kind.as_deref() == Some("custom");
                if let Some(name) = tool.name {
                    let kind = if is_custom { CallKind::Custom } else { CallKind::Function };
                    self.names.push((kind, (*name).into()));
                }
                Ok(())
            })?,
            "disable_parallel_tool_use" => self.disables_parallel = Some(value.bool()?),
            _ => {}
        }
        Ok(())
    }
}

/// Checks that a choice by name names a tool on offer.
pub(super) fn check(choice: Option<&ToolChoice>, tools: &[Tool]) -> Result<(), Error> {
    let Some(ToolChoice::Named { name, .. }) = choice else { return Ok(()) };
    let is_offered = tools.iter().any(|tool| match tool.name() {
        Some(known) => known == name,
        None => true,
    });
    if is_offered || tools.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("tool_choice", format!("no tool is named {name:?}; choose one of those in tools")))
}
