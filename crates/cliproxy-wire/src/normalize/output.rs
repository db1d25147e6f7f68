//! The form of the answer: written where the target has it, asked for in words or by a forced tool where it has not.

use crate::Error;
use crate::format::Format;
use crate::json::Raw;
use crate::model::{CallKind, Content, Ext, Output, OutputFormat, Request, Str, Tool, ToolChoice};
use crate::profile::{ResponseFormatSupport, SchemaDialect};
use crate::schema::{self, Dialect, Purpose};

use super::{Work, instruction, place};

/// Wire name of the tool whose input is the structured answer.
const STRUCTURED: &str = "structured_output";

/// Brings the form of the answer into the target's terms.
///
/// # Errors
/// A form that only its own provider knows, and a schema that cannot be made acceptable.
pub(super) fn apply(work: &mut Work<'_>) -> Result<(), Error> {
    let format = work.target.profile.format;
    match std::mem::take(&mut work.request.output.format) {
        OutputFormat::Text => {}
        OutputFormat::JsonObject => json_object(work),
        OutputFormat::JsonSchema { name, description, schema, strict } => match format {
            Format::Chat | Format::Responses => open_ai(work, Wish { name, description, schema, strict })?,
            Format::Claude => claude(work, Wish { name, description, schema, strict })?,
            Format::Gemini => gemini(work, Wish { name, description, schema, strict })?,
        },
        OutputFormat::Mime(mime) => {
            if format == Format::Gemini && has_forms(work) {
                work.request.output.format = OutputFormat::Mime(mime);
            } else {
                let path = "generationConfig.responseMimeType";
                let message = format!(
                    "{} does not answer as {mime}; ask for application/json with a schema",
                    work.target.profile.name
                );
                work.refuse(path, message)?;
            }
        }
    }
    tell(work)
}

/// Notes members of the object that says the form which go nowhere: they go with it to an upstream of their own format.
fn tell(work: &mut Work<'_>) -> Result<(), Error> {
    let origin = work.request.origin;
    let (is_written, has_schema) = match &work.request.output.format {
        _ if origin != work.target.profile.format => (false, false),
        OutputFormat::Text | OutputFormat::Mime(_) => (false, false),
        OutputFormat::JsonObject => (true, false),
        OutputFormat::JsonSchema { .. } => (true, true),
    };
    let place = path(work);
    let Work { request, target, notes, .. } = work;
    for (name, value) in request.output.ext.iter().filter(|(_, value)| !value.is_empty()) {
        if origin == Format::Chat && name == "json_schema" {
            let mut lost = Vec::new();
            value.reader().object(|inner, _| {
                lost.push(place::told(&format!("{place}.{name}"), inner));
                Ok(())
            })?;
            for path in lost.iter().filter(|_| !has_schema) {
                target.hint(notes, path)?;
            }
        } else if !is_written {
            target.hint(notes, &place::told(place, name))?;
        }
    }
    Ok(())
}

struct Wish {
    name: Option<Str>,
    description: Option<Str>,
    schema: Raw,
    strict: Option<bool>,
}

impl Wish {
    fn clean(&self, work: &Work<'_>, dialect: Dialect) -> Result<Raw, Error> {
        // A client of the target's own format wrote its schema for it.
        if work.request.origin == work.target.profile.format && dialect != Dialect::OpenApi {
            return Ok(self.schema.clone());
        }
        schema::clean(&self.schema, dialect, Purpose::Answer, work.target.schemas).map_err(|problem| {
            Error::invalid(
                path(work),
                format!("the schema does not suit {}: {problem}", work.target.profile.name),
            )
        })
    }

    fn into_format(self, schema: Raw, strict: Option<bool>) -> OutputFormat {
        OutputFormat::JsonSchema { name: self.name, description: self.description, schema, strict }
    }
}

fn path(work: &Work<'_>) -> &'static str {
    place::member(work.request.origin, "response_format")
}

fn ask_for_object(request: &mut Request) {
    instruction::add(request, "Answer with a single JSON object and nothing else.");
}

/// Asks for the schema in words.
fn ask_for_schema(work: &mut Work<'_>, schema: &Raw) {
    let text = format!(
        "Answer with a single JSON value and nothing else, without a code fence. It must satisfy this JSON Schema:\n{}",
        schema.as_str()
    );
    instruction::add(&mut work.request, text);
    work.notes.add(path(work));
}

fn json_object(work: &mut Work<'_>) {
    let profile = work.target.profile;
    let takes_object = match profile.format {
        Format::Chat => profile.response_format >= ResponseFormatSupport::JsonObject,
        Format::Responses => true,
        Format::Claude => false,
        Format::Gemini => has_forms(work) && !excludes_json(work),
    };
    if !takes_object {
        ask_for_object(&mut work.request);
        if profile.format != Format::Claude {
            work.notes.add(path(work));
        }
        return;
    }
    work.request.output.format = OutputFormat::JsonObject;
    // Where the word must stand in the input, the codec that writes the input sees to it.
    if profile.format == Format::Chat && !mentions_json(&work.request) {
        instruction::add(&mut work.request, "Answer with a JSON object.");
    }
}

/// Whether the conversation holds the word that OpenAI demands for this form.
fn mentions_json(request: &Request) -> bool {
    let has_word = |text: &str| {
        let bytes = text.as_bytes();
        memchr::memchr2_iter(b'j', b'J', bytes)
            .any(|at| bytes.get(at..at + 4).is_some_and(|word| word.eq_ignore_ascii_case(b"json")))
    };
    request.instructions.iter().any(|block| has_word(&block.text))
        || request.turns.iter().flat_map(|turn| &turn.blocks).any(|block| match &block.content {
            Content::Text(text) => has_word(&text.text),
            _ => false,
        })
}

fn open_ai(work: &mut Work<'_>, mut wish: Wish) -> Result<(), Error> {
    let profile = work.target.profile;
    let support = if profile.format == Format::Chat {
        profile.response_format
    } else {
        ResponseFormatSupport::JsonSchema
    };
    if support < ResponseFormatSupport::JsonSchema {
        ask_for_schema(work, &wish.schema);
        if support == ResponseFormatSupport::JsonObject {
            work.request.output.format = OutputFormat::JsonObject;
        }
        return Ok(());
    }
    wish.name = Some(schema_name(wish.name.take()));
    let strict = match work.request.origin {
        Format::Chat | Format::Responses => wish.strict,
        Format::Claude | Format::Gemini => Some(schema::holds_strict(&wish.schema)),
    };
    let cleaned = if strict == Some(true) { wish.schema.clone() } else { wish.clean(work, Dialect::OpenAi)? };
    work.request.output.format = wish.into_format(cleaned, strict);
    Ok(())
}

/// A name of at most 64 word characters.
fn schema_name(name: Option<Str>) -> Str {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return "response".into() };
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if name.len() <= 64 && name.chars().all(is_word) {
        return name;
    }
    let fitted: String =
        name.chars().map(|letter| if is_word(letter) { letter } else { '_' }).take(64).collect();
    fitted.into()
}

fn claude(work: &mut Work<'_>, wish: Wish) -> Result<(), Error> {
    if work.target.caps.has_structured_output {
        let cleaned = wish.clean(work, Dialect::ClaudeStrict)?;
        work.request.output.format = wish.into_format(cleaned, None);
        return Ok(());
    }
    if !work.request.tools.is_empty() || work.plan.is_on || work.has_history_calls() {
        ask_for_schema(work, &wish.schema);
        return Ok(());
    }
    let root_is_object = wish.schema.get("type").and_then(|kind| kind.to_text()).as_deref() == Some("object");
    if !root_is_object {
        ask_for_schema(work, &wish.schema);
        return Ok(());
    }
    let cleaned = schema::clean(&wish.schema, Dialect::ClaudeTool, Purpose::Tool, work.target.schemas)
        .map_err(|problem| Error::invalid(path(work), problem))?;
    let description = wish.description.unwrap_or_else(|| "Gives the answer in its final form.".into());
    work.request.tools.push(Tool::Function {
        name: STRUCTURED.into(),
        namespace: None,
        description: Some(description),
        schema: Some(cleaned),
        strict: None,
        cache: None,
        native: None,
        ext: Ext::new(),
    });
    work.request.tool_choice = Some(ToolChoice::Named { name: STRUCTURED.into(), kind: CallKind::Function });
    work.bridge.structured_tool = Some(STRUCTURED.to_owned());
    Ok(())
}

/// Whether the target knows forms of answers at all.
fn has_forms(work: &Work<'_>) -> bool {
    work.target.profile.response_format > ResponseFormatSupport::None
}

/// Whether the target refuses JSON answers beside function declarations.
fn excludes_json(work: &Work<'_>) -> bool {
    let has_functions = work.request.tools.iter().any(|tool| !matches!(tool, Tool::Hosted { .. }));
    has_functions && !work.target.caps.mixes_tools
}

fn gemini(work: &mut Work<'_>, wish: Wish) -> Result<(), Error> {
    if !has_forms(work) || excludes_json(work) {
        ask_for_schema(work, &wish.schema);
        return Ok(());
    }
    let dialect = match work.target.profile.schema {
        SchemaDialect::JsonLenient => Dialect::GeminiLenient,
        SchemaDialect::JsonStrict => Dialect::GeminiStrict,
        SchemaDialect::OpenApi => Dialect::OpenApi,
        SchemaDialect::Narrow => Dialect::Narrow,
    };
    let cleaned = wish.clean(work, dialect)?;
    work.request.output.format = wish.into_format(cleaned, None);
    Ok(())
}

/// Refuses modalities and voices that the target lacks.
///
/// # Errors
/// Audio or images where the target gives text only.
pub(super) fn modalities(work: &mut Work<'_>) -> Result<(), Error> {
    let profile = work.target.profile;
    let origin = work.request.origin;
    let output = &work.request.output;
    if *output == Output::default() {
        return Ok(());
    }
    let path = |name| place::member(origin, name);
    let wants =
        |name: &str| output.modalities.as_ref().is_some_and(|all| all.iter().any(|one| **one == *name));
    let (wants_audio, wants_images) = (wants("audio"), wants("image"));
    let (has_voice, has_image) = (output.audio.is_some(), output.image.is_some());
    let (has_audio, has_images) = match profile.format {
        Format::Chat | Format::Gemini => (true, true),
        Format::Responses | Format::Claude => (false, false),
    };
    let text_only = format!("{} answers in text only; ask for text or choose another model", profile.name);
    if !has_audio && (wants_audio || has_voice) {
        work.refuse(path(if wants_audio { "modalities" } else { "audio" }), &*text_only)?;
        work.request.output.audio = None;
        work.request.output.modalities = None;
    }
    if !has_images && wants_images {
        if profile.format == Format::Responses {
            work.hint(path("modalities"))?;
        } else {
            work.refuse(path("modalities"), &*text_only)?;
        }
        work.request.output.modalities = None;
    }
    if !has_images && has_image {
        if profile.format == Format::Responses {
            work.hint(path("image_config"))?;
        } else {
            work.refuse(path("image_config"), text_only)?;
        }
        work.request.output.image = None;
    }
    if profile.format == Format::Gemini
        && let Some(container) = work.request.output.audio.as_ref().and_then(|audio| audio.format.as_deref())
        && !matches!(container, "pcm16" | "wav")
    {
        let message = format!("{} speaks pcm16 only; ask for pcm16 or wav", profile.name);
        work.refuse(format!("{}.format", path("audio")), message)?;
    }
    Ok(())
}
