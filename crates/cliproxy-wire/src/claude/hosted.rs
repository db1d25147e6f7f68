//! Provider-executed tools: what the names of this format mean, and what of their input and output other formats
//! understand.
//!
//! The blocks themselves are kept as received, because results hold encrypted parts that only come back unchanged.

use std::borrow::Cow;

use crate::Error;
use crate::json::{Kind, Raw, Reader};
use crate::model::{Content, Hosted, HostedKind, HostedPhase, Native, Str};

use super::block::Members;
use crate::format::Format;

/// Which half of which tool a block type is; `None` for blocks of other kinds.
pub(super) fn phase(block_type: &str) -> Option<HostedPhase> {
    match block_type {
        "server_tool_use" | "mcp_tool_use" => Some(HostedPhase::Call),
        "web_search_tool_result"
        | "web_fetch_tool_result"
        | "code_execution_tool_result"
        | "bash_code_execution_tool_result"
        | "text_editor_code_execution_tool_result"
        | "tool_search_tool_result"
        | "advisor_tool_result"
        | "mcp_tool_result" => Some(HostedPhase::Result),
        _ => None,
    }
}

/// The kind of the tool called `name` in a `server_tool_use`, or of the result type without its ending.
pub(super) fn kind(name: &str) -> HostedKind {
    match name {
        "web_search" => HostedKind::WebSearch,
        "web_fetch" => HostedKind::WebFetch,
        "code_execution" | "bash_code_execution" | "text_editor_code_execution" => HostedKind::CodeExecution,
        "mcp" => HostedKind::Mcp,
        _ if name.starts_with("tool_search") => HostedKind::ToolSearch,
        _ => HostedKind::Other,
    }
}

/// The kind of a declared tool by its type, such as `web_search_20250305`.
pub(super) fn declared(tool_type: &str) -> Option<HostedKind> {
    let known = [
        ("web_search_", HostedKind::WebSearch),
        ("web_fetch_", HostedKind::WebFetch),
        ("code_execution_", HostedKind::CodeExecution),
        ("tool_search_tool_", HostedKind::ToolSearch),
        ("computer_", HostedKind::Computer),
        ("mcp_toolset", HostedKind::Mcp),
    ];
    known.into_iter().find(|(prefix, _)| tool_type.starts_with(prefix)).map(|(_, kind)| kind)
}

/// The block as a hosted one; `whole` is its text.
pub(super) fn block(phase: HostedPhase, members: &Members<'_>, whole: &str) -> Result<Content, Error> {
    let native = Native { format: Format::Claude, value: Raw::new(whole) };
    let mut hosted = Hosted {
        phase,
        kind: HostedKind::Other,
        id: Str::from(""),
        status: None,
        input: None,
        output: None,
        error: None,
        native,
    };
    if phase == HostedPhase::Call {
        let name = members.name.as_deref().unwrap_or_default();
        hosted.kind = if members.kind == "mcp_tool_use" { HostedKind::Mcp } else { kind(name) };
        hosted.id = members.id.as_deref().ok_or_else(|| Error::missing("id"))?.into();
        hosted.input = members.input.as_ref().map(|raw| input(name, raw.as_str()));
    } else {
        hosted.kind = kind(members.kind.trim_end_matches("_tool_result"));
        hosted.id = members.call_id.as_deref().ok_or_else(|| Error::missing("tool_use_id"))?.into();
        if let Some(raw) = members.content {
            (hosted.output, hosted.error) = outcome(hosted.kind, raw);
        }
        if members.is_error == Some(true) && hosted.error.is_none() {
            hosted.error = Some("error".into());
        }
    }
    Ok(Content::Hosted(hosted))
}

/// The input of a call in the terms of the model.
pub(super) fn input(name: &str, raw: &str) -> Raw {
    if name != "bash_code_execution" {
        return Raw::new(raw);
    }
    let command = crate::json::member(raw, "command").unwrap_or("\"\"");
    Raw::object(|object| {
        object.raw("code", command);
        object.str("language", "bash");
    })
}

/// Findings and error of a result's `content`.
fn outcome(kind: HostedKind, raw: &str) -> (Option<Raw>, Option<Str>) {
    let mut reader = Reader::new(raw);
    if reader.kind() == Kind::Array {
        if kind == HostedKind::WebSearch {
            return (Some(pages(&mut reader)), None);
        }
        return (Some(Raw::new(raw)), None);
    }
    let mut error = None;
    let mut code: [Option<&str>; 3] = [None; 3];
    let mut url = None;
    let mut title = None;
    // A member of an unexpected kind only costs the normalized form; the block itself is kept in any case.
    let _tolerated = reader.object(|key, value| {
        match key {
            "error_code" => error = text(value)?,
            "stdout" => code[0] = Some(value.raw()?),
            "stderr" => code[1] = Some(value.raw()?),
            "return_code" => code[2] = Some(value.raw()?),
            "url" => url = text(value)?,
            "content" if value.kind() == Kind::Object => value.object(|key, value| {
                if key == "title" {
                    title = text(value)?;
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    });
    let output = match (kind, url) {
        (HostedKind::CodeExecution, _) if code.iter().any(Option::is_some) => Some(Raw::object(|object| {
            for (name, value) in ["stdout", "stderr", "return_code"].into_iter().zip(code) {
                if let Some(value) = value {
                    object.raw(name, value);
                }
            }
        })),
        (HostedKind::WebFetch, Some(url)) => Some(Raw::array(|array| {
            array.object(|object| {
                object.str("url", &url);
                object.str("title", title.as_deref().unwrap_or_default());
            });
        })),
        _ => None,
    };
    (output, error.map(Str::from))
}

fn text<'a>(value: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Error> {
    if value.kind() == Kind::String { value.str().map(Some) } else { Ok(None) }
}

/// The pages of a `web_search_tool_result`.
fn pages(reader: &mut Reader<'_>) -> Raw {
    Raw::array(|array| {
        let _tolerated = reader.array(|_, page| {
            let mut url = None;
            let mut title = None;
            page.object(|key, value| {
                match key {
                    "url" => url = text(value)?,
                    "title" => title = text(value)?,
                    _ => {}
                }
                Ok(())
            })?;
            if let Some(url) = url {
                array.object(|object| {
                    object.str("url", &url);
                    object.str("title", title.as_deref().unwrap_or_default());
                });
            }
            Ok(())
        });
    })
}
