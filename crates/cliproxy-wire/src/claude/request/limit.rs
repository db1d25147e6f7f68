//! Members of the model that this format has no place for and that only steer cost, style or telemetry. What would
//! change the meaning was refused before.

use crate::Error;
use crate::codec::{Notes, Target};
use crate::format::Format;
use crate::model::{HostedKind, Request, Tool};

/// Notes everything that the encoder will not write.
///
/// # Errors
/// In strict mode, the first such member.
pub(super) fn judge(request: &Request, target: &Target<'_>, notes: &mut Notes) -> Result<(), Error> {
    let by_format = |gemini: &'static str, responses: &'static str, other: &'static str| match request.origin
    {
        Format::Gemini => gemini,
        Format::Responses => responses,
        Format::Chat | Format::Claude => other,
    };
    let (output, state, cache, identity) =
        (&request.output, &request.state, &request.cache, &request.identity);
    let hints = [
        (output.verbosity.is_some(), by_format("verbosity", "text.verbosity", "verbosity")),
        (output.prediction.is_some(), "prediction"),
        (request.safety.is_some(), by_format("safetySettings", "safety_settings", "safety_settings")),
        (state.store == Some(true), "store"),
        (state.truncation.as_deref().is_some_and(|word| word != "disabled"), "truncation"),
        (state.context_management.is_some(), "context_management"),
        (cache.key.is_some(), "prompt_cache_key"),
        (cache.options.is_some(), "prompt_cache_options"),
        (cache.retention.as_deref().is_some_and(|word| word != "24h"), "prompt_cache_retention"),
        (identity.metadata.is_some(), "metadata"),
        (identity.labels.is_some(), "labels"),
        (identity.user.is_some() && identity.safety_identifier.is_some(), "safety_identifier"),
        (request.max_tool_calls.is_some() && !request.tools.iter().any(is_web), "max_tool_calls"),
    ];
    for (_, path) in hints.into_iter().filter(|(is_present, _)| *is_present) {
        target.hint(notes, path)?;
    }
    Ok(())
}

/// A tool that takes the limit of calls as its own.
fn is_web(tool: &Tool) -> bool {
    matches!(tool, Tool::Hosted { kind: HostedKind::WebSearch | HostedKind::WebFetch, .. })
}
