//! Whole answers, and the parts that answers are made of.

use super::carried::Carried;
use super::grounding::Gathered;
use super::request::write_media;
use super::{logprob, stop, stream};
use crate::codec::{ClientContext, UpstreamContext};
use crate::fault::Fault;
use crate::json::{self, Array, Object, Raw, Reader};
use crate::model::{
    Block, Candidate, Content, Event, Hosted, HostedKind, HostedPhase, Opaque, OpaqueKind, Owner, Reasoning,
    Response, Show, StopReason, Text, ToolCall, fold,
};
use crate::normalize::arguments;
use crate::{Format, id, usage};

/// Reads an upstream's whole answer (status 2xx): one object, or the list of chunks that a stream without events is.
///
/// # Errors
/// An error in the body, or a body that is no answer.
pub fn decode_response(body: &[u8], context: &UpstreamContext) -> Result<Response, Fault> {
    let mut events = Vec::new();
    stream::decode_body(body, context, &mut events).map_err(|error| Fault::unreadable(body, error))?;
    let mut fold = fold::Fold::default();
    for event in events {
        match event {
            Event::Error(fault) => return Err(*fault),
            event => fold.event(event),
        }
    }
    fold.finish().ok_or_else(Fault::truncated)
}

/// Writes an answer for a client of this format.
pub fn encode_response(response: &Response, context: &ClientContext) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    json::object(&mut body, |object| {
        if context.is_enveloped {
            object.object("response", |inner| write_response(inner, response, context));
        } else {
            write_response(object, response, context);
        }
    });
    body
}

fn write_response(object: &mut Object<'_>, response: &Response, context: &ClientContext) {
    let is_native = response.origin == Format::Gemini;
    let feedback = response.ext.get("promptFeedback").filter(|_| is_native);
    let is_blocked =
        feedback.is_some() && response.candidates.iter().all(|candidate| candidate.blocks.is_empty());
    if !is_blocked {
        object.array("candidates", |list| {
            for candidate in &response.candidates {
                list.object(|out| write_candidate(out, candidate, is_native, context));
            }
        });
    }
    object.opt_raw("promptFeedback", feedback);
    if let Some(usage) = &response.usage {
        object.object("usageMetadata", |out| usage::write_gemini(usage, out));
    }
    object.str("modelVersion", context.model(response.model.as_deref()));
    object.str("responseId", &response_id(response.id.as_deref(), context));
}

/// The upstream's id, of whatever shape, or one of our own.
pub(super) fn response_id(id: Option<&str>, context: &ClientContext) -> String {
    match id.filter(|id| !id.is_empty()) {
        Some(id) => id.to_owned(),
        None => id::base62("", 22, &[&context.request_id, "response"]),
    }
}

fn write_candidate(out: &mut Object<'_>, candidate: &Candidate, is_native: bool, context: &ClientContext) {
    let is_refused = matches!(candidate.stop.reason, StopReason::ContentFilter | StopReason::Refusal);
    let mut gathered = Gathered::default();
    if !(candidate.blocks.is_empty() && is_refused) {
        out.object("content", |content| {
            content.str("role", "model");
            content.array("parts", |parts| {
                let mut writer = Parts { list: parts, count: 0, gathered: &mut gathered };
                writer.blocks(candidate, context);
                if writer.count == 0 {
                    writer.list.object(|part| part.str("text", ""));
                }
            });
        });
    }
    out.str("finishReason", stop::encode(&candidate.stop));
    out.u64("index", u64::from(candidate.index));
    out.opt_str("finishMessage", candidate.stop.explanation.as_ref());
    match &candidate.grounding {
        Some(grounding) => out.raw("groundingMetadata", grounding.as_str()),
        None if !gathered.is_empty() => gathered.write(out),
        None => {}
    }
    out.opt_raw("urlContextMetadata", candidate.url_context.as_ref());
    out.opt_raw("citationMetadata", candidate.citations.as_ref());
    out.opt_raw("safetyRatings", candidate.safety.as_ref());
    let mut lists = candidate.blocks.iter().filter_map(|block| block.as_text()?.logprobs.as_ref()).peekable();
    if lists.peek().is_some() {
        logprob::encode(out, lists);
    }
    if is_native {
        candidate.ext.write(out);
    }
}

/// The parts of one candidate being written.
struct Parts<'p, 'w> {
    list: &'p mut Array<'w>,
    count: usize,
    gathered: &'p mut Gathered,
}

impl Parts<'_, '_> {
    fn blocks(&mut self, candidate: &Candidate, context: &ClientContext) {
        let is_call = |block: &Block| matches!(block.content, Content::ToolCall(_));
        let has_call = candidate.blocks.iter().any(is_call);
        let last_text = candidate
            .blocks
            .iter()
            .rposition(|block| block.as_text().is_some_and(|text| !text.text.is_empty()))
            .filter(|_| !has_call);
        let mut carried = Carried::default();
        for (at, block) in candidate.blocks.iter().enumerate() {
            match &block.content {
                Content::Text(text) => {
                    let is_carrier =
                        last_text == Some(at) && native_signature(text.opaque.as_ref()).is_none();
                    let signature = if is_carrier { carried.take() } else { None };
                    self.text(text, signature.as_deref());
                }
                Content::Refusal(text) => self.part(|part| part.str("text", text)),
                Content::Reasoning(reasoning) => self.reasoning(reasoning, context, &mut carried),
                Content::ToolCall(call) => {
                    let is_broken = !is_object(call.arguments.as_str());
                    if !(is_broken && stop::is_out_of_room(candidate.stop.reason)) {
                        let signature = carried.of_call(call.opaque.as_ref());
                        self.part(|part| write_call(part, call, signature.as_deref()));
                    }
                }
                Content::Hosted(hosted) => self.hosted(hosted),
                _ => self.other(block),
            }
        }
        // Nothing stands behind the thinking.
        if let Some(signature) = carried.take() {
            self.part(|part| {
                part.str("text", "");
                part.str("thoughtSignature", &signature);
            });
        }
    }

    fn part(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        self.count += 1;
        self.list.object(write);
    }

    fn text(&mut self, text: &Text, carried: Option<&str>) {
        let signature = native_signature(text.opaque.as_ref()).or(carried);
        if text.text.is_empty() && signature.is_none() {
            return;
        }
        for annotation in &text.annotations {
            self.gathered.annotation(annotation, &text.text, self.count, 0);
        }
        self.part(|part| {
            part.str("text", &text.text);
            part.opt_str("thoughtSignature", signature);
        });
    }

    /// Writes a thought if the client wants to see it, and hands on what the client has to carry. A part has room for
    /// one state; further ones get parts of their own.
    fn reasoning(&mut self, reasoning: &Reasoning, context: &ClientContext, carried: &mut Carried) {
        let text = reasoning.text();
        let is_shown = context.show != Show::Hidden;
        if reasoning.opaque.is_empty() && is_shown && !text.is_empty() {
            self.thought(&text, None);
        }
        let mut text = Some(text.as_str());
        for state in &reasoning.opaque {
            let said = text.take();
            let signature = native_signature(Some(state)).map_or_else(|| carried.add(state, said), Some);
            let said = said.unwrap_or_default();
            if is_shown && !(said.is_empty() && signature.is_none()) {
                self.thought(said, signature);
            }
        }
    }

    fn thought(&mut self, text: &str, signature: Option<&str>) {
        self.part(|part| {
            part.str("text", text);
            part.bool("thought", true);
            part.opt_str("thoughtSignature", signature);
        });
    }

    fn hosted(&mut self, hosted: &Hosted) {
        match hosted_part(hosted) {
            HostedForm::Own => {
                self.count += 1;
                self.list.raw(hosted.native.value.as_str());
            }
            HostedForm::Code => {
                for half in [HostedPhase::Call, HostedPhase::Result] {
                    if hosted.phase == half || hosted.phase == HostedPhase::Both {
                        self.part(|part| write_code(part, hosted, half));
                    }
                }
            }
            HostedForm::Search => gather(self.gathered, hosted),
            HostedForm::None => {}
        }
    }

    fn other(&mut self, block: &Block) {
        match &block.content {
            Content::Image(image) => self.part(|part| {
                write_media(part, &image.source, "image/png", None);
                part.opt_str("thoughtSignature", native_signature(image.opaque.as_ref()));
            }),
            Content::Audio(audio) => self.part(|part| write_media(part, &audio.source, "audio/wav", None)),
            Content::Video(video) => self.part(|part| write_media(part, &video.source, "video/mp4", None)),
            Content::Document(document) => {
                self.part(|part| write_media(part, &document.source, "application/pdf", None));
            }
            Content::Native(native) if native.format == Format::Gemini => {
                self.count += 1;
                self.list.raw(native.value.as_str());
            }
            _ => {}
        }
    }
}

/// True for a JSON object.
pub(super) fn is_object(text: &str) -> bool {
    let mut reader = Reader::new(text);
    text.trim().is_empty()
        || (reader.kind() == json::Kind::Object && reader.skip().and_then(|()| reader.finish()).is_ok())
}

/// The signature that this format made itself.
pub(super) fn native_signature(opaque: Option<&Opaque>) -> Option<&str> {
    opaque
        .filter(|opaque| opaque.owner == Owner::Google && opaque.kind == OpaqueKind::GeminiThought)
        .map(|opaque| &*opaque.data)
}

fn write_call(part: &mut Object<'_>, call: &ToolCall, signature: Option<&str>) {
    write_function(part, &call.call_id, &call.name, call.arguments.as_str(), signature);
}

/// Writes a `functionCall` part.
pub(super) fn write_function(
    part: &mut Object<'_>,
    id: &str,
    name: &str,
    arguments: &str,
    signature: Option<&str>,
) {
    part.object("functionCall", |call| {
        call.opt_str("id", Some(id).filter(|id| !id.is_empty()));
        call.str("name", name);
        call.raw("args", &arguments::object(arguments));
    });
    part.opt_str("thoughtSignature", signature);
}

/// How a hosted call shows in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostedForm {
    /// As the part it came as.
    Own,
    /// As code and its result.
    Code,
    /// As grounding.
    Search,
    /// Not at all.
    None,
}

/// Decides how a hosted call shows.
pub(super) fn hosted_part(hosted: &Hosted) -> HostedForm {
    let is_own = hosted.native.format == Format::Gemini;
    match hosted.kind {
        // A search that was read off the metadata: the metadata itself is written.
        HostedKind::WebSearch if is_own && hosted.phase == HostedPhase::Both => HostedForm::None,
        _ if is_own => HostedForm::Own,
        HostedKind::WebSearch => HostedForm::Search,
        HostedKind::CodeExecution => HostedForm::Code,
        _ => HostedForm::None,
    }
}

/// Takes a search of another provider into the grounding.
pub(super) fn gather(gathered: &mut Gathered, hosted: &Hosted) {
    if let Some(input) = &hosted.input {
        gathered.query(input);
    }
    if let Some(output) = &hosted.output {
        gathered.findings(output);
    }
}

/// Writes one half of a code execution of another provider.
pub(super) fn write_code(part: &mut Object<'_>, hosted: &Hosted, half: HostedPhase) {
    let text = |source: &Option<Raw>, name: &str| {
        source
            .as_ref()
            .and_then(|source| source.get(name))
            .and_then(|value| value.to_text())
            .unwrap_or_default()
    };
    if half == HostedPhase::Call {
        part.object("executableCode", |code| {
            // The only language that clients of this format know.
            code.str("language", "PYTHON");
            code.str("code", &text(&hosted.input, "code"));
        });
        return;
    }
    let code = hosted.output.as_ref().and_then(|output| output.get("return_code"));
    let is_fine = hosted.error.is_none() && code.is_none_or(|code| code.as_str() == "0");
    let mut output = text(&hosted.output, "stdout");
    let stderr = text(&hosted.output, "stderr");
    if !is_fine && !stderr.is_empty() {
        output = stderr;
    }
    part.object("codeExecutionResult", |result| {
        result.str("outcome", if is_fine { "OUTCOME_OK" } else { "OUTCOME_FAILED" });
        result.str("output", &output);
    });
}
