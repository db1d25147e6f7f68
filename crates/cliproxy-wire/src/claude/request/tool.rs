//! Reading tools and the choice among them.

use std::borrow::Cow;

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{CacheMark, CallKind, Ext, HostedKind, Native, Request, Str, Tool, ToolChoice};

use super::super::block::{self, text};
use super::super::hosted;
use super::read::{has_tool, hosted_choice};

#[derive(Default)]
struct Members<'a> {
    kind: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    description: Option<Str>,
    schema: Option<Raw>,
    strict: Option<bool>,
    cache: Option<CacheMark>,
    google: Option<(HostedKind, Raw)>,
    ext: Ext,
}

impl<'a> Members<'a> {
    fn read(&mut self, value: &mut Reader<'a>) -> Result<(), Error> {
        value.object(|key, value| {
            if value.kind() == Kind::Null {
                return Ok(());
            }
            match key {
                "type" => self.kind = Some(value.str()?),
                "name" => self.name = Some(value.str()?),
                "description" => self.description = Some(value.kept()?),
                // Agents that serve several formats mix their spellings.
                "input_schema" | "parameters" => self.schema = Some(value.kept_raw()?),
                "function" if value.kind() == Kind::Object => self.read(value)?,
                "strict" => self.strict = Some(value.bool()?),
                "cache_control" => self.cache = block::cache(value)?,
                _ => {
                    let raw = value.to_raw()?;
                    if let Some(kind) = google(key) {
                        self.google = Some((kind, raw));
                    } else {
                        self.ext.set(key, raw);
                    }
                }
            }
            Ok(())
        })
    }
}

/// The Google tools that are understood verbatim in every format, by their only member.
fn google(key: &str) -> Option<HostedKind> {
    Some(match key {
        "google_search" | "googleSearch" | "enterprise_web_search" | "enterpriseWebSearch" => {
            HostedKind::WebSearch
        }
        "code_execution" | "codeExecution" => HostedKind::CodeExecution,
        "url_context" | "urlContext" => HostedKind::WebFetch,
        "google_maps" | "googleMaps" => HostedKind::Maps,
        "file_search" | "fileSearch" => HostedKind::FileSearch,
        _ => return None,
    })
}

/// Reads one tool.
pub(super) fn read(value: &mut Reader<'_>) -> Result<Option<Tool>, Error> {
    let start = value.clone();
    let mut members = Members::default();
    members.read(value)?;
    let whole = || start.clone().to_raw();
    let native = |value: Raw| Native { format: Format::Claude, value };
    let kind = members.kind.as_deref().unwrap_or_default();
    if let (None, None, Some((kind, _))) = (&members.kind, &members.name, &members.google) {
        let native = Native { format: Format::Gemini, value: whole()? };
        let parameters = Raw::new("{}");
        return Ok(Some(Tool::Hosted { kind: *kind, parameters, native, cache: members.cache }));
    }
    let is_plain = matches!(kind, "" | "custom" | "function");
    if is_plain {
        return Ok(Some(Tool::Function {
            name: members.name.ok_or_else(|| Error::missing("name"))?.into(),
            namespace: None,
            description: members.description,
            schema: members.schema,
            strict: members.strict,
            cache: members.cache,
            native: None,
            ext: members.ext,
        }));
    }
    if let Some(name) = client_executed(kind) {
        return Ok(Some(Tool::Function {
            name: members.name.map_or_else(|| name.into(), Str::from),
            namespace: None,
            description: members.description,
            schema: members.schema,
            strict: members.strict,
            cache: members.cache,
            native: Some(native(whole()?)),
            ext: Ext::new(),
        }));
    }
    let kind = hosted::declared(kind).unwrap_or(HostedKind::Other);
    Ok(Some(Tool::Hosted {
        kind,
        parameters: parameters(&members.ext),
        native: native(whole()?),
        cache: members.cache,
    }))
}

/// The fixed name of a typed tool that the client executes.
fn client_executed(tool_type: &str) -> Option<&'static str> {
    let (name, version) = tool_type.rsplit_once('_')?;
    match name {
        "bash" => Some("bash"),
        "memory" => Some("memory"),
        // The name changed with the fourth generation of models.
        "text_editor" if version < "20250429" => Some("str_replace_editor"),
        "text_editor" => Some("str_replace_based_edit_tool"),
        _ => None,
    }
}

/// What other formats understand of a hosted tool's members.
fn parameters(members: &Ext) -> Raw {
    Raw::object(|object| {
        for name in ["allowed_domains", "blocked_domains", "user_location", "max_uses"] {
            object.opt_raw(name, members.get(name));
        }
    })
}

/// A `tool_choice` as written; which tool it names is known only when the tools are.
pub(super) struct Choice<'a> {
    kind: Cow<'a, str>,
    name: Option<Cow<'a, str>>,
    disables_parallel: Option<bool>,
    whole: &'a str,
}

impl<'a> Choice<'a> {
    pub(super) fn read(value: &mut Reader<'a>) -> Result<Self, Error> {
        let whole = value.clone().raw()?;
        let mut choice = Self { kind: "".into(), name: None, disables_parallel: None, whole };
        if value.kind() == Kind::String {
            choice.kind = value.str()?;
            return Ok(choice);
        }
        value.object(|key, value| {
            match key {
                "type" => choice.kind = value.str()?,
                "name" => choice.name = text(value)?,
                "disable_parallel_tool_use" => choice.disables_parallel = value.opt(Reader::bool)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(choice)
    }

    pub(super) fn apply(self, request: &mut Request) -> Result<(), Error> {
        request.parallel_tool_calls = self.disables_parallel.map(|is_off| !is_off);
        request.tool_choice = Some(match &*self.kind {
            "auto" => ToolChoice::Auto,
            "any" | "required" => ToolChoice::Required,
            "none" => ToolChoice::None,
            "tool" => {
                let under = |error: Error| error.under_key("tool_choice");
                let name = self.name.ok_or_else(|| under(Error::missing("name")))?;
                if !request.tools.is_empty() && !has_tool(request, &name) {
                    return Err(under(Error::invalid(
                        "name",
                        format!("no tool named {name} is in tools; name one of them"),
                    )));
                }
                hosted_choice(request, &name)
                    .unwrap_or_else(|| ToolChoice::Named { name: name.into(), kind: CallKind::Function })
            }
            "" => return Err(Error::missing("type").under_key("tool_choice")),
            _ => ToolChoice::Native(Native { format: Format::Claude, value: Raw::new(self.whole) }),
        });
        Ok(())
    }
}
