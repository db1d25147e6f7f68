//! What bodies and chunks say alike: identity, who sees reasoning under which name, how the work of hosted tools
//! reads as text.

use crate::codec::{ClientContext, ReasoningField};
use crate::id;
use crate::json::{Kind, Object, Raw};
use crate::model::{
    Audio, Hosted, HostedKind, HostedPhase, Media, Opaque, OpaqueKind, Owner, Show, Stop, StopReason,
};

/// The answer's id: the upstream's if it looks like one of this format, else derived.
pub(super) fn answer_id(prefix: &str, context: &ClientContext, upstream: Option<&str>) -> String {
    match upstream {
        Some(id) if id.starts_with(prefix) => id.to_owned(),
        _ => id::base62(prefix, 29, &[&context.request_id, upstream.unwrap_or_default(), "0"]),
    }
}

/// Names under which reasoning text is written; none when the client shall not see it.
pub(super) fn reasoning_members(context: &ClientContext) -> &'static [&'static str] {
    if context.show == Show::Hidden {
        return &[];
    }
    match context.reasoning_field {
        ReasoningField::Content => &["reasoning_content"],
        ReasoningField::Reasoning => &["reasoning"],
        ReasoningField::Both => &["reasoning_content", "reasoning"],
        ReasoningField::None => &[],
    }
}

/// The signature of a call that its own provider's clients would find at the call.
pub(super) fn native_signature(state: &Opaque) -> Option<&str> {
    (state.owner == Owner::Google && state.kind == OpaqueKind::GeminiThought).then_some(&*state.data)
}

/// Writes the member that holds a call's signature.
pub(super) fn write_signature(object: &mut Object<'_>, data: &str) {
    object.object("extra_content", |extra| {
        extra.object("google", |google| google.str("thought_signature", data));
    });
}

/// Writes `audio`. A sound that comes whole gets what the format demands of one: an id, which nobody can refer to, for it
/// ends as soon as it is made, and the words that were spoken, of which there are none.
pub(super) fn write_audio(object: &mut Object<'_>, audio: &Audio, context: &ClientContext) {
    let whole = match &audio.source {
        Media::Inline { base64, .. } => Some(base64).filter(|base64| !base64.is_empty()),
        _ => None,
    };
    object.object("audio", |object| {
        let Some(data) = whole else {
            object.opt_str("id", audio.id.as_ref());
            object.opt_str("transcript", audio.transcript.as_ref());
            object.opt_u64("expires_at", audio.expires_at);
            return;
        };
        match audio.id.as_deref() {
            Some(id) => object.str("id", id),
            None => object.str("id", &id::base62("audio_", 24, &[&context.request_id, data])),
        }
        object.str("data", data);
        object.str("transcript", audio.transcript.as_deref().unwrap_or_default());
        object.u64("expires_at", audio.expires_at.unwrap_or(context.created));
    });
}

/// The refusal that a stop explains when no block of the answer does.
pub(super) fn explanation(stop: &Stop) -> Option<&str> {
    matches!(stop.reason, StopReason::ContentFilter | StopReason::Refusal)
        .then_some(stop.explanation.as_deref())
        .flatten()
        .filter(|text| !text.is_empty())
}

/// Code that the provider ran, and what it printed, as fenced text. Other hosted tools leave no text.
pub(super) fn fenced(hosted: &Hosted) -> Option<String> {
    if !matches!(hosted.kind, HostedKind::CodeExecution | HostedKind::Shell) {
        return None;
    }
    let mut text = String::new();
    if hosted.phase != HostedPhase::Result {
        let code = hosted.input.as_ref().and_then(|input| member(input, "code"));
        let language = hosted.input.as_ref().and_then(|input| member(input, "language"));
        fence(&mut text, &language.unwrap_or_default().to_ascii_lowercase(), &code.unwrap_or_default());
    }
    if hosted.phase != HostedPhase::Call {
        for name in ["stdout", "stderr"] {
            let printed = hosted.output.as_ref().and_then(|output| member(output, name));
            fence(&mut text, "", &printed.unwrap_or_default());
        }
    }
    (!text.is_empty()).then_some(text)
}

fn member(object: &Raw, name: &str) -> Option<String> {
    object.get(name).filter(|value| value.kind() == Kind::String).and_then(|value| value.to_text())
}

fn fence(text: &mut String, language: &str, content: &str) {
    if content.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    // A fence longer than any inside keeps the block whole.
    let marks = if content.contains("```") { "````" } else { "```" };
    text.push_str(marks);
    text.push_str(language);
    text.push('\n');
    text.push_str(content.trim_end_matches('\n'));
    text.push('\n');
    text.push_str(marks);
}
