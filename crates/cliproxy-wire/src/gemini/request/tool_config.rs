//! `toolConfig` for an upstream: the choice among the tools.

use super::encode::Writer;
use crate::Format;
use crate::json::Object;
use crate::model::{HostedKind, Tool, ToolChoice};
use crate::profile::Dialect;

/// Writes `toolConfig` if there is something to say.
pub(super) fn write(object: &mut Object<'_>, writer: &mut Writer<'_>, has_functions: bool) {
    let request = writer.request();
    let is_native = request.origin == Format::Gemini;
    let choice =
        request.tool_choice.as_ref().and_then(|choice| calling(choice, writer)).filter(|_| has_functions);
    // Claude models behind Google's door take this mode alone.
    let choice = match choice {
        _ if writer.is_claude() && has_functions => Some(Calling { mode: "VALIDATED", names: Vec::new() }),
        choice => choice,
    };
    let own = |name: &str| request.ext.get(name).filter(|_| is_native);
    let retrieval = own("toolConfig.retrievalConfig");
    let streams =
        own("toolConfig.functionCallingConfig.streamFunctionCallArguments").filter(|_| writer.is_vertex());
    let has_hosted = request.tools.iter().any(|tool| matches!(tool, Tool::Hosted { .. }));
    let is_report_asked = own("toolConfig.includeServerSideToolInvocations").is_some();
    if is_report_asked && writer.target.profile.dialect != Dialect::Native {
        writer.hint("toolConfig.includeServerSideToolInvocations");
    }
    let reports_hosted = writer.target.profile.dialect == Dialect::Native
        && (is_report_asked || (has_functions && has_hosted && writer.target.caps.mixes_tools));
    if choice.is_none() && retrieval.is_none() && streams.is_none() && !reports_hosted {
        return;
    }
    object.object("toolConfig", |config| {
        if choice.is_some() || streams.is_some() {
            config.object("functionCallingConfig", |calling| {
                if let Some(choice) = &choice {
                    calling.str("mode", choice.mode);
                    if !choice.names.is_empty() {
                        calling.array("allowedFunctionNames", |names| {
                            for name in &choice.names {
                                names.str(name);
                            }
                        });
                    }
                }
                calling.opt_raw("streamFunctionCallArguments", streams);
            });
        }
        config.opt_raw("retrievalConfig", retrieval);
        if reports_hosted {
            config.bool("includeServerSideToolInvocations", true);
        }
    });
}

struct Calling<'w> {
    mode: &'static str,
    names: Vec<&'w str>,
}

fn calling<'w>(choice: &'w ToolChoice, writer: &mut Writer<'_>) -> Option<Calling<'w>> {
    let bare = |mode| Some(Calling { mode, names: Vec::new() });
    let is_validated =
        writer.request().origin == Format::Gemini && writer.request().ext.get("toolConfig.mode").is_some();
    match choice {
        ToolChoice::Auto => bare(if is_validated { "VALIDATED" } else { "AUTO" }),
        ToolChoice::None => bare("NONE"),
        ToolChoice::Required => bare("ANY"),
        ToolChoice::Named { name, .. } => Some(Calling { mode: "ANY", names: vec![name] }),
        ToolChoice::Allowed { is_required, names } => Some(Calling {
            mode: if *is_required { "ANY" } else { "VALIDATED" },
            names: names.iter().map(|(_, name)| &**name).collect(),
        }),
        ToolChoice::Hosted(HostedKind::WebSearch | HostedKind::WebFetch | HostedKind::Maps) => {
            writer.hint("tool_choice");
            bare("AUTO")
        }
        ToolChoice::Hosted(_) | ToolChoice::Native(_) => {
            writer.refuse("tool_choice", "cannot be forced to use this tool; let the model choose");
            None
        }
    }
}
