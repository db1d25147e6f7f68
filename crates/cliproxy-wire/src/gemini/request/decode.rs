//! A client's request, as `generateContent` bodies say it or wrapped as Code Assist clients do.

use super::super::member::members;
use super::{config, content, tool};
use crate::format::RequestContext;
use crate::json::{Body, BodyText, Reader};
use crate::model::{Request, Tier};
use crate::schema::Cleaned;
use crate::{Error, Format};

/// Reads a client's request. A Code Assist envelope is recognised by its `request` member; its `model` counts when the
/// path names none.
///
/// # Errors
/// A body that is not what the format prescribes, with the JSON path.
pub fn decode_request(body: impl Into<Body>, context: RequestContext<'_>) -> Result<Request, Error> {
    let text = BodyText::of(&body.into())?;
    let mut reader = Reader::of(&text);
    let mut request = Request::new(Format::Gemini, "");
    let has_contents = decode_at(&mut reader, &mut request, context.schemas)?;
    reader.finish()?;
    if !context.model.is_empty() {
        context.model.clone_into(&mut request.model);
    }
    if let Some(bare) = request.model.strip_prefix("models/") {
        request.model = bare.to_owned();
    }
    if request.model.is_empty() {
        return Err(Error::missing("model"));
    }
    if !has_contents {
        return Err(Error::missing("contents"));
    }
    request.stream = context.stream;
    Ok(request)
}

/// Reads the body at the cursor into `request`; true when it had `contents`.
///
/// # Errors
/// Members of wrong kinds, with their path.
fn decode_at(
    reader: &mut Reader<'_>,
    request: &mut Request,
    schemas: Option<&Cleaned>,
) -> Result<bool, Error> {
    let mut has_contents = false;
    members(reader, |name, value| match name {
        // Code Assist wraps what it generates from, counting requests wrap what is counted.
        "request" | "generateContentRequest" => {
            if let Some(inner) = value.opt(|value| decode_at(value, request, schemas))? {
                has_contents |= inner;
            }
            Ok(())
        }
        "project" => Ok(()),
        "userPromptId" => own(value, "user_prompt_id", request),
        "sessionId" => own(value, "session_id", request),
        "enabledCreditTypes" => own(value, "enabled_credit_types", request),
        _ => field(name, value, request, schemas).map(|is_contents| has_contents |= is_contents),
    })?;
    Ok(has_contents)
}

fn own(value: &mut Reader<'_>, name: &str, request: &mut Request) -> Result<(), Error> {
    if let Some(other) = value.opt(Reader::to_raw)? {
        request.ext.set(name, other);
    }
    Ok(())
}

fn field(
    name: &str,
    value: &mut Reader<'_>,
    request: &mut Request,
    schemas: Option<&Cleaned>,
) -> Result<bool, Error> {
    match name {
        "contents" => {
            request.turns.clear();
            return Ok(value.opt(|value| content::contents(value, request))?.is_some());
        }
        "systemInstruction" => {
            let mut instructions = Vec::new();
            value.opt(|value| content::system(value, &mut instructions))?;
            instructions.append(&mut request.instructions);
            request.instructions = instructions;
        }
        "tools" => {
            value.opt(|value| tool::tools(value, &mut request.tools, schemas))?;
        }
        "toolConfig" => {
            value.opt(|value| tool::tool_config(value, request))?;
        }
        "generationConfig" => {
            value.opt(|value| config::generation_config(value, request))?;
        }
        "safetySettings" => {
            request.safety = value.opt(Reader::to_raw)?.filter(|settings| !settings.is_empty());
        }
        "cachedContent" => {
            request.cache.cached_content = value.opt(Reader::str)?.map(|name| (*name).into());
        }
        "labels" => request.identity.labels = value.opt(Reader::to_raw)?,
        "serviceTier" => request.service_tier = value.opt(Reader::str)?.and_then(|word| tier(&word)),
        "store" => request.state.store = value.opt(Reader::bool)?,
        "model" => request.model = value.opt(Reader::string)?.unwrap_or_default(),
        _ => own(value, name, request)?,
    }
    Ok(false)
}

fn tier(word: &str) -> Option<Tier> {
    let word = word.to_ascii_lowercase();
    Some(match word.strip_prefix("service_tier_").unwrap_or(&word) {
        "" | "unspecified" => return None,
        "standard" | "default" => Tier::Default,
        "flex" => Tier::Flex,
        "priority" => Tier::Priority,
        other => Tier::Other(other.into()),
    })
}
