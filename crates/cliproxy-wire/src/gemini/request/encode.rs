//! A prepared request in this format's words, with the differences of the API-key, Vertex and Code Assist services.

use super::{setting, tool_config, turn};
use crate::codec::{Encoded, Notes, Strictness, Target};
use crate::json::{self, Kind, Object, Raw};
use crate::model::{HostedKind, Owner, Request, Tier, Tool};
use crate::normalize::{Prepared, place};
use crate::profile::{Dialect, SchemaDialect};
use crate::{Error, Format};

/// Writes the request for an upstream of this format. For Code Assist it is wrapped; the project is the credential's
/// and is added with it.
///
/// # Errors
/// What this format cannot say.
pub fn encode_request(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    let mut body = Vec::with_capacity(prepared.request.size_hint());
    let mut writer = Writer { prepared: &prepared, target, notes: Notes::default(), refusal: None };
    json::object(&mut body, |object| {
        if target.profile.is_enveloped {
            let ext = &prepared.request.ext;
            let own = |name: &str| ext.get(name).filter(|_| prepared.request.origin == Format::Gemini);
            object.str("model", served_as(target.model));
            object.opt_raw("user_prompt_id", own("user_prompt_id"));
            object.opt_raw("enabled_credit_types", own("enabled_credit_types"));
            object.object("request", |inner| {
                write_members(inner, &mut writer, Members::All);
                inner.opt_raw("session_id", own("session_id"));
            });
        } else {
            write_members(object, &mut writer, Members::All);
        }
    });
    let Writer { notes: dropped, refusal, .. } = writer;
    if let Some(error) = refusal {
        return Err(error);
    }
    let Prepared { request, bridge, mut notes, .. } = prepared;
    for path in dropped.paths() {
        notes.add(path.as_str());
    }
    Ok(Encoded { request, body, betas: Vec::new(), bridge, notes })
}

/// The name by which Code Assist serves a model. Source: the mapping of the official command line client.
pub fn served_as(model: &str) -> &str {
    if model == "gemini-3.5-flash" { "gemini-3-flash" } else { model }
}

/// Which members of a body are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gemini) enum Members {
    /// All, to generate.
    All,
    /// What counts as input.
    Input,
    /// Only the conversation, without thoughts.
    Contents,
}

/// A request being written, and what turned out not to be writable.
pub(in crate::gemini) struct Writer<'w> {
    pub(in crate::gemini) prepared: &'w Prepared,
    pub(in crate::gemini) target: &'w Target<'w>,
    pub(in crate::gemini) notes: Notes,
    pub(in crate::gemini) refusal: Option<Error>,
}

impl<'w> Writer<'w> {
    pub(in crate::gemini) fn new(prepared: &'w Prepared, target: &'w Target<'w>) -> Self {
        Self { prepared, target, notes: Notes::default(), refusal: None }
    }

    pub(super) fn request(&self) -> &'w Request {
        &self.prepared.request
    }

    pub(super) fn is_antigravity(&self) -> bool {
        self.target.profile.dialect == Dialect::Antigravity
    }

    /// Whether the model behind the door is Anthropic's.
    pub(super) fn is_claude(&self) -> bool {
        self.target.profile.owner == Owner::Anthropic
    }

    pub(super) fn is_vertex(&self) -> bool {
        self.target.profile.dialect == Dialect::Vertex
    }

    /// Drops what changes cost, latency or style only; strict mode refuses it.
    pub(super) fn hint(&mut self, path: &str) {
        if let Err(error) = self.target.hint(&mut self.notes, path) {
            self.refusal.get_or_insert(error);
        }
    }

    /// Refuses what the answer would be wrong without; lenient mode drops it.
    pub(super) fn refuse(&mut self, path: &str, remedy: &str) {
        if self.target.strictness == Strictness::Lenient {
            self.notes.add(path);
        } else {
            let message = format!("the upstream {} {remedy}", self.target.profile.name);
            self.refusal.get_or_insert_with(|| Error::unsupported(path, message));
        }
    }
}

/// Writes the members of a plain body.
pub(in crate::gemini) fn write_members(object: &mut Object<'_>, writer: &mut Writer<'_>, members: Members) {
    let request = writer.request();
    if members != Members::Contents && !request.instructions.is_empty() {
        object.object("systemInstruction", |system| {
            system.array("parts", |parts| {
                for instruction in &request.instructions {
                    parts.object(|part| part.str("text", &instruction.text));
                }
            });
        });
    }
    object.array("contents", |contents| turn::write(contents, writer, members != Members::Contents));
    if members == Members::Contents {
        return;
    }
    let has_functions = write_tools(object, writer);
    if members == Members::Input {
        return;
    }
    tool_config::write(object, writer, has_functions);
    if writer.is_antigravity() {
        // Source: this door of Code Assist takes neither these nor a limit of the answer.
        if request.safety.is_some() {
            writer.notes.add(place::member(request.origin, "safety_settings"));
        }
    } else {
        object.opt_raw("safetySettings", request.safety.as_ref());
    }
    setting::write(object, writer);
    object.opt_str("cachedContent", request.cache.cached_content.as_ref());
    write_labels(object, writer);
    write_tier(object, writer);
    if request.origin == Format::Gemini {
        object.opt_bool("store", request.state.store);
        for (name, value) in request.ext.iter() {
            let is_envelope = matches!(name, "user_prompt_id" | "session_id" | "enabled_credit_types");
            if !is_envelope && !name.contains('.') {
                object.raw(name, value.as_str());
            }
        }
    }
    hints(writer);
}

/// Writes `tools`; true when there are functions among them.
fn write_tools(object: &mut Object<'_>, writer: &mut Writer<'_>) -> bool {
    let tools = &writer.request().tools;
    let has_functions = tools.iter().any(|tool| !matches!(tool, Tool::Hosted { .. }));
    object.filled_array("tools", |entries| {
        if has_functions {
            entries.object(|entry| {
                entry.array("functionDeclarations", |declarations| {
                    for tool in tools.iter().filter(|tool| tool.name().is_some()) {
                        declarations.object(|out| write_function(out, tool, writer));
                    }
                });
            });
        }
        for tool in tools {
            if let Tool::Hosted { kind, native, .. } = tool {
                let value = (native.format == Format::Gemini).then_some(&native.value);
                write_hosted(entries, *kind, value, writer);
            }
        }
    });
    has_functions
}

fn write_function(out: &mut Object<'_>, tool: &Tool, writer: &Writer<'_>) {
    let schema_member = match writer.target.profile.schema {
        SchemaDialect::OpenApi | SchemaDialect::Narrow => "parameters",
        SchemaDialect::JsonLenient | SchemaDialect::JsonStrict => "parametersJsonSchema",
    };
    match tool {
        Tool::Function { name, description, schema, ext, .. } => {
            out.str("name", name);
            out.opt_str("description", description.as_ref());
            out.opt_raw(schema_member, schema.as_ref());
            if writer.request().origin == Format::Gemini {
                ext.write(out);
            }
        }
        Tool::Custom { name, description, .. } => {
            out.str("name", name);
            out.opt_str("description", description.as_ref());
            out.raw(schema_member, FREE_FORM);
        }
        Tool::Hosted { .. } => {}
    }
}

/// A free-form tool as a function, should one come this far.
const FREE_FORM: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

fn write_hosted(
    entries: &mut json::Array<'_>,
    kind: HostedKind,
    native: Option<&Raw>,
    writer: &mut Writer<'_>,
) {
    if let Some(native) = native {
        let mut is_written = false;
        // The value is an object that was read before; a verbatim tool of a foreign client may be in snake_case.
        let _checked = super::super::member::members(&mut native.reader(), |name, settings| {
            let settings = settings.raw()?;
            // The old name is understood by models of the first generations only.
            let is_outdated = name == "googleSearchRetrieval" && !writer.target.model.contains("1.5");
            entries.object(|entry| {
                if is_outdated {
                    entry.raw("googleSearch", "{}");
                } else {
                    entry.raw(name, settings);
                }
            });
            is_written = true;
            Ok(())
        });
        if is_written {
            return;
        }
    }
    let name = match kind {
        HostedKind::WebSearch => "googleSearch",
        HostedKind::WebFetch => "urlContext",
        HostedKind::CodeExecution => "codeExecution",
        HostedKind::Maps => "googleMaps",
        _ => return writer.refuse("tools", "has no such tool; leave it out or choose another model"),
    };
    entries.object(|entry| entry.raw(name, "{}"));
}

fn write_labels(object: &mut Object<'_>, writer: &mut Writer<'_>) {
    let identity = &writer.request().identity;
    let takes_labels = matches!(writer.target.profile.dialect, Dialect::Vertex | Dialect::CodeAssist);
    if let Some(labels) = &identity.labels {
        if takes_labels {
            object.raw("labels", labels.as_str());
        } else {
            writer.hint("labels");
        }
    } else if let Some(metadata) = identity.metadata.as_ref().filter(|metadata| !metadata.is_empty()) {
        if takes_labels && are_labels(metadata) {
            object.raw("labels", metadata.as_str());
        } else {
            writer.hint("metadata");
        }
    }
}

/// True when every name and value is what a label may be.
fn are_labels(metadata: &Raw) -> bool {
    let is_label = |text: &str| {
        (1..=63).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    let mut are_fine = true;
    let is_object = metadata.reader().object(|name, value| {
        let text = if value.kind() == Kind::String { value.str()? } else { "".into() };
        are_fine &= is_label(name) && is_label(&text);
        Ok(())
    });
    is_object.is_ok() && are_fine
}

fn write_tier(object: &mut Object<'_>, writer: &mut Writer<'_>) {
    let Some(tier) = &writer.request().service_tier else { return };
    let word = match tier {
        Tier::Auto => return,
        Tier::Default => "standard",
        Tier::Flex => "flex",
        Tier::Priority => "priority",
        Tier::Scale | Tier::Fast | Tier::Other(_) => {
            return writer.hint(place::member(writer.request().origin, "service_tier"));
        }
    };
    if writer.target.profile.dialect == Dialect::Native {
        object.str("serviceTier", word);
    } else if !matches!(tier, Tier::Default) {
        writer.hint(place::member(writer.request().origin, "service_tier"));
    }
}

/// Notes what this format has no member for.
fn hints(writer: &mut Writer<'_>) {
    let request = writer.request();
    let is_responses = request.origin == Format::Responses;
    let sampling = &request.sampling;
    let verbosity = if is_responses { "text.verbosity" } else { "verbosity" };
    let auto_cache = request.cache.auto.is_some();
    for (is_said, path) in [
        (sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()), "logit_bias"),
        (request.parallel_tool_calls == Some(false), "parallel_tool_calls"),
        (request.max_tool_calls.is_some(), "max_tool_calls"),
        (request.output.verbosity.is_some(), verbosity),
        (request.output.prediction.is_some(), "prediction"),
        (request.identity.user.is_some(), "user"),
        (request.identity.safety_identifier.is_some(), "safety_identifier"),
        (request.cache.key.is_some(), "prompt_cache_key"),
        (request.cache.retention.is_some(), "prompt_cache_retention"),
        (request.cache.options.is_some(), "prompt_cache_options"),
        (auto_cache, "cache_control"),
        (request.state.store == Some(true) && request.origin != Format::Gemini, "store"),
        (request.state.truncation.is_some(), "truncation"),
        (request.state.context_management.is_some(), "context_management"),
    ] {
        if is_said {
            writer.hint(path);
        }
    }
    let state = &request.state;
    for (is_said, path) in [
        (state.previous_response_id.is_some(), "previous_response_id"),
        (state.conversation.is_some(), "conversation"),
        (state.prompt.is_some(), "prompt"),
        (state.background == Some(true), "background"),
    ] {
        if is_said {
            writer.refuse(path, "keeps no state between requests; send the whole conversation instead");
        }
    }
}
