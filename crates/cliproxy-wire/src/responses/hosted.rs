//! Provider-executed tools of this format: which item and tool types are which kind, and the members that other
//! formats understand.

use crate::format::Format;
use crate::json::{Raw, Reader};
use crate::model::{Hosted, HostedKind, HostedPhase, Native, Str};

/// What an item of type `name` is, if it is a hosted tool at work.
pub(super) fn item(name: &str) -> Option<(HostedKind, HostedPhase)> {
    Some(match name {
        "web_search_call" => (HostedKind::WebSearch, HostedPhase::Both),
        "file_search_call" => (HostedKind::FileSearch, HostedPhase::Both),
        "code_interpreter_call" => (HostedKind::CodeExecution, HostedPhase::Both),
        "image_generation_call" => (HostedKind::ImageGeneration, HostedPhase::Both),
        "mcp_call" => (HostedKind::Mcp, HostedPhase::Both),
        "computer_call" => (HostedKind::Computer, HostedPhase::Call),
        "computer_call_output" => (HostedKind::Computer, HostedPhase::Result),
        "shell_call" => (HostedKind::Shell, HostedPhase::Call),
        "shell_call_output" => (HostedKind::Shell, HostedPhase::Result),
        "tool_search_call" => (HostedKind::ToolSearch, HostedPhase::Call),
        "tool_search_output" => (HostedKind::ToolSearch, HostedPhase::Result),
        _ => return None,
    })
}

/// What a tool or tool choice of type `name` is.
pub(super) fn tool(name: &str) -> Option<HostedKind> {
    Some(match name {
        name if name.starts_with("web_search") => HostedKind::WebSearch,
        "file_search" => HostedKind::FileSearch,
        "code_interpreter" => HostedKind::CodeExecution,
        "image_generation" => HostedKind::ImageGeneration,
        "mcp" => HostedKind::Mcp,
        "tool_search" => HostedKind::ToolSearch,
        name if name.starts_with("computer") => HostedKind::Computer,
        _ => return None,
    })
}

/// The type under which a tool of another format is offered here.
pub(super) fn tool_type(kind: HostedKind) -> Option<&'static str> {
    match kind {
        HostedKind::WebSearch => Some("web_search"),
        HostedKind::CodeExecution => Some("code_interpreter"),
        HostedKind::ImageGeneration => Some("image_generation"),
        HostedKind::FileSearch => Some("file_search"),
        HostedKind::ToolSearch => Some("tool_search"),
        _ => None,
    }
}

/// Reads a hosted item. `span` is the whole item; it is looked into only for what other formats understand.
pub(super) fn read(span: &str, kind: HostedKind, phase: HostedPhase) -> Hosted {
    let native = Native { format: Format::Responses, value: Raw::new(span) };
    let mut fields = Fields::default();
    // The span was read as JSON before; members of unexpected kinds leave the rest as it is.
    let _complete = fields.read(&mut Reader::new(span));
    let input = fields.input(kind);
    let output = fields.output(kind);
    let Fields { id, call_id, status, error, .. } = fields;
    let id = call_id.or(id).unwrap_or_default();
    Hosted { phase, kind, id, status, input, output, error, native }
}

#[derive(Default)]
struct Fields {
    id: Option<Str>,
    call_id: Option<Str>,
    status: Option<Str>,
    error: Option<Str>,
    name: Option<Str>,
    server_label: Option<Str>,
    arguments: Option<Raw>,
    output: Option<Raw>,
    code: Option<Raw>,
    outputs: Option<Raw>,
    queries: Option<Raw>,
    action: Option<Raw>,
    results: Option<Raw>,
}

impl Fields {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), crate::Error> {
        reader.object(|key, value| {
            match key {
                "id" => self.id = super::lenient_text(value)?,
                "call_id" => self.call_id = super::lenient_text(value)?.filter(|id| !id.is_empty()),
                "status" => self.status = super::lenient_text(value)?,
                "error" => self.error = super::message(value)?,
                "name" => self.name = super::lenient_text(value)?,
                "server_label" => self.server_label = super::lenient_text(value)?,
                "arguments" => self.arguments = value.opt(Reader::to_raw)?,
                "output" => self.output = value.opt(Reader::to_raw)?,
                "code" => self.code = value.opt(Reader::to_raw)?,
                "outputs" => self.outputs = value.opt(Reader::to_raw)?,
                "queries" => self.queries = value.opt(Reader::to_raw)?,
                "action" => self.action = value.opt(Reader::to_raw)?,
                "results" => self.results = value.opt(Reader::to_raw)?,
                _ => {}
            }
            Ok(())
        })
    }

    fn input(&self, kind: HostedKind) -> Option<Raw> {
        match kind {
            HostedKind::WebSearch => {
                let action = self.action.as_ref()?;
                Some(Raw::object(|object| {
                    for name in ["query", "queries", "url", "pattern"] {
                        object.opt_raw(name, action.get(name).filter(|value| !value.is_empty()).as_ref());
                    }
                }))
            }
            HostedKind::FileSearch => self
                .queries
                .as_ref()
                .map(|queries| Raw::object(|object| object.raw("queries", queries.as_str()))),
            HostedKind::CodeExecution => {
                self.code.as_ref().map(|code| Raw::object(|object| object.raw("code", code.as_str())))
            }
            HostedKind::Mcp => Some(Raw::object(|object| {
                object.opt_str("name", self.name.as_ref());
                object.opt_str("server_label", self.server_label.as_ref());
                object.opt_raw("arguments", self.arguments.as_ref());
            })),
            HostedKind::ToolSearch => self.arguments.clone(),
            HostedKind::Shell | HostedKind::Computer => self.action.clone(),
            _ => None,
        }
    }

    fn output(&self, kind: HostedKind) -> Option<Raw> {
        match kind {
            HostedKind::WebSearch => {
                let sources = self.action.as_ref()?.get("sources").filter(|sources| !sources.is_empty())?;
                Some(Raw::array(|array| {
                    let _complete = sources.reader().array(|_, source| {
                        let source = source.to_raw()?;
                        let (url, title) = (source.get("url"), source.get("title"));
                        if let Some(url) = url.and_then(|url| url.to_text()) {
                            array.object(|object| {
                                object.str("url", &url);
                                let title = title.and_then(|title| title.to_text());
                                object.str("title", title.as_deref().unwrap_or_default());
                            });
                        }
                        Ok(())
                    });
                }))
            }
            HostedKind::CodeExecution => {
                let outputs = self.outputs.as_ref()?;
                let mut logs = String::new();
                let _complete = outputs.reader().array(|_, output| {
                    if let Some(text) = output.to_raw()?.get("logs").and_then(|logs| logs.to_text()) {
                        logs.push_str(&text);
                    }
                    Ok(())
                });
                let code = u64::from(self.status.as_deref() == Some("failed"));
                Some(Raw::object(|object| {
                    object.str("stdout", &logs);
                    object.str("stderr", "");
                    object.u64("return_code", code);
                }))
            }
            HostedKind::Mcp | HostedKind::Shell => self.output.clone(),
            HostedKind::FileSearch => self.results.clone(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_say_query_and_sources_code_says_code_and_logs() {
        let search = r#"{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"q","sources":[{"type":"url","url":"https://x"}]}}"#;
        let hosted = read(search, HostedKind::WebSearch, HostedPhase::Both);
        assert_eq!(&*hosted.id, "ws_1");
        assert_eq!(hosted.input.unwrap().as_str(), r#"{"query":"q"}"#);
        assert_eq!(hosted.output.unwrap().as_str(), r#"[{"url":"https://x","title":""}]"#);
        assert_eq!(hosted.native.value.as_str(), search);
        let code = r#"{"id":"ci_1","type":"code_interpreter_call","status":"completed","code":"1+1","container_id":"c","outputs":[{"type":"logs","logs":"2"}]}"#;
        let hosted = read(code, HostedKind::CodeExecution, HostedPhase::Both);
        assert_eq!(hosted.input.unwrap().as_str(), r#"{"code":"1+1"}"#);
        assert_eq!(hosted.output.unwrap().as_str(), r#"{"stdout":"2","stderr":"","return_code":0}"#);
    }
}
