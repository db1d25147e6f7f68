//! Reading a client's request.

use std::borrow::Cow;

use crate::Error;
use crate::format::Format;
use crate::json::{self, Body, BodyText, Kind, Raw, Reader};
use crate::model::{
    Block, Content, Instruction, InstructionRole, OutputFormat, Request, Role, Str, Tier, Tool, ToolChoice,
    Turn,
};

use super::super::block::{self, Place};
use super::{tool, wish};

/// Reads a client's request.
///
/// # Errors
/// What B.11 makes a 400, with the JSON path.
pub fn decode_request(body: impl Into<Body>) -> Result<Request, Error> {
    let request = read(&body.into())?;
    if request.max_output_tokens.is_none() {
        return Err(Error::missing("max_tokens"));
    }
    wish::check_budget(&request)?;
    Ok(request)
}

/// What is gathered before it can be judged.
#[derive(Default)]
struct Gathered<'a> {
    has_messages: bool,
    choice: Option<tool::Choice<'a>>,
    wish: wish::Gathered<'a>,
    tier: Option<Tier>,
    speed: Option<Cow<'a, str>>,
}

/// Reads a request without judging whether it may be sent; counting needs less than generating.
pub(super) fn read(body: &Body) -> Result<Request, Error> {
    let mut request = Request::new(Format::Claude, "");
    let mut gathered = Gathered::default();
    let text = BodyText::of(body)?;
    let mut reader = Reader::of(&text);
    reader.object(|key, value| member(key, value, &mut request, &mut gathered))?;
    reader.finish()?;
    if request.model.is_empty() {
        return Err(Error::missing("model"));
    }
    if !gathered.has_messages {
        return Err(Error::missing("messages"));
    }
    lift_instructions(&mut request);
    request.service_tier = match gathered.speed.as_deref() {
        Some("fast") => Some(Tier::Fast),
        Some(speed) if speed != "standard" => {
            request.ext.set("speed", Raw::string(speed));
            gathered.tier
        }
        _ => gathered.tier,
    };
    if let Some(choice) = gathered.choice {
        choice.apply(&mut request)?;
    }
    gathered.wish.apply(&mut request)?;
    Ok(request)
}

fn member<'a>(
    key: &str,
    value: &mut Reader<'a>,
    request: &mut Request,
    gathered: &mut Gathered<'a>,
) -> Result<(), Error> {
    // This member alone means something when it is null: its presence asks for a stream.
    if key == "stream" {
        request.stream = value.kind() != Kind::Bool || value.bool()?;
        return Ok(());
    }
    if value.kind() == Kind::Null {
        return Ok(());
    }
    match key {
        "model" => request.model = value.string()?,
        "max_tokens" => request.max_output_tokens = Some(value.u64()?),
        "messages" => {
            gathered.has_messages = true;
            value.array(|_, value| message(value, &mut request.turns))?;
        }
        "system" => system(value, &mut request.instructions)?,
        "tools" => value.array(|_, value| {
            request.tools.extend(tool::read(value)?);
            Ok(())
        })?,
        "tool_choice" => gathered.choice = Some(tool::Choice::read(value)?),
        "temperature" => request.sampling.temperature = Some(value.f64()?),
        "top_p" => request.sampling.top_p = Some(value.f64()?),
        "top_k" => request.sampling.top_k = Some(value.u64()?),
        "stop_sequences" if value.kind() == Kind::String => request.sampling.stop.push(value.str()?.into()),
        "stop_sequences" => value.array(|_, value| {
            request.sampling.stop.push(value.str()?.into());
            Ok(())
        })?,
        "metadata" => metadata(value, request)?,
        "thinking" | "output_config" | "output_format" => gathered.wish.member(key, value, request)?,
        "cache_control" => request.cache.auto = block::cache(value)?,
        "service_tier" => {
            gathered.tier = Some(match &*value.str()? {
                "auto" => Tier::Auto,
                "standard_only" => Tier::Default,
                other => Tier::Other(other.into()),
            });
        }
        "speed" => gathered.speed = Some(value.str()?),
        "betas" => value.array(|_, value| {
            request.betas.push(value.str()?.into());
            Ok(())
        })?,
        "safety_settings" | "safetySettings" => request.safety = Some(value.to_raw()?),
        "extra_body" => {
            let raw = value.raw()?;
            let google = json::member(raw, "google");
            let safety = google.and_then(|google| {
                json::member(google, "safety_settings").or_else(|| json::member(google, "safetySettings"))
            });
            if let Some(safety) = safety {
                request.safety = Some(Raw::new(safety));
            }
        }
        _ => request.ext.set(key, value.to_raw()?),
    }
    Ok(())
}

fn metadata(value: &mut Reader<'_>, request: &mut Request) -> Result<(), Error> {
    let mut has_more = false;
    let whole = value.clone().raw()?;
    value.object(|key, value| {
        if key == "user_id" {
            request.identity.user = value.opt(Reader::str)?.map(Str::from);
        } else {
            has_more = true;
        }
        Ok(())
    })?;
    if has_more {
        request.ext.set("metadata", Raw::new(whole));
    }
    Ok(())
}

fn system(value: &mut Reader<'_>, instructions: &mut Vec<Instruction>) -> Result<(), Error> {
    let mut blocks = Vec::new();
    match value.kind() {
        Kind::String => blocks.push(Block::text(value.kept()?)),
        Kind::Object => block::read(value, &mut blocks).map(drop)?,
        _ => value.array(|_, value| {
            block::read(value, &mut blocks)?;
            match blocks.last().map(|block| &block.content) {
                Some(Content::Text(_)) | None => Ok(()),
                Some(_) => Err(Error::malformed("expected a text block")),
            }
        })?,
    }
    instructions.extend(blocks.into_iter().filter_map(instruction));
    Ok(())
}

/// A text block as an instruction; nothing for an empty one.
fn instruction(block: Block) -> Option<Instruction> {
    let Content::Text(text) = block.content else { return None };
    (!text.text.is_empty()).then_some(Instruction {
        role: InstructionRole::System,
        text: text.text,
        cache: block.cache,
        is_top_level: false,
        ext: block.ext,
    })
}

fn message(value: &mut Reader<'_>, turns: &mut Vec<Turn>) -> Result<(), Error> {
    let mut role = None;
    let mut turn = Turn::new(Role::User, Vec::new());
    // Turns that were cut off by an instruction in the middle of the message, and the instructions.
    let mut cut: Vec<Vec<Block>> = Vec::new();
    let mut has_content = false;
    value.object(|key, value| {
        match key {
            "role" => {
                role = Some(match &*value.str()? {
                    "user" => Role::User,
                    "assistant" => Role::Assistant,
                    "system" => Role::Instruction(InstructionRole::System),
                    "developer" => Role::Instruction(InstructionRole::Developer),
                    other => {
                        return Err(Error::malformed(format!(
                            "expected user, assistant or system, found {other}"
                        )));
                    }
                });
            }
            "content" => {
                has_content = true;
                match value.kind() {
                    Kind::String => turn.blocks.push(Block::text(value.kept()?)),
                    Kind::Null => {}
                    Kind::Object => block::read(value, &mut turn.blocks).map(drop)?,
                    _ => value.array(|_, value| {
                        let before = turn.blocks.len();
                        if block::read(value, &mut turn.blocks)? == Place::Instruction {
                            let instruction = turn.blocks.split_off(before);
                            cut.push(std::mem::take(&mut turn.blocks));
                            cut.push(instruction);
                        }
                        Ok(())
                    })?,
                }
            }
            _ => {
                if value.kind() != Kind::Null {
                    turn.ext.set(key, value.to_raw()?);
                }
            }
        }
        Ok(())
    })?;
    let role = role.ok_or_else(|| Error::missing("role"))?;
    if !has_content {
        return Err(Error::missing("content"));
    }
    for pair in cut.chunks_exact_mut(2) {
        let [before, instruction] = pair else { continue };
        if !before.is_empty() {
            turns.push(Turn::new(role, std::mem::take(before)));
        }
        turns.push(Turn::new(Role::Instruction(InstructionRole::System), std::mem::take(instruction)));
    }
    if cut.is_empty() || !turn.blocks.is_empty() {
        turn.role = role;
        turns.push(turn);
    }
    Ok(())
}

/// System messages before the first turn are nothing but leading instructions.
fn lift_instructions(request: &mut Request) {
    let leading = request
        .turns
        .iter()
        .take_while(|turn| {
            matches!(turn.role, Role::Instruction(_))
                && turn.blocks.iter().all(|block| matches!(block.content, Content::Text(_)))
        })
        .count();
    for turn in request.turns.drain(..leading) {
        request.instructions.extend(turn.blocks.into_iter().filter_map(instruction));
    }
}

/// Sets the output format from a `json_schema` object of this format.
pub(super) fn output_format(value: &mut Reader<'_>, request: &mut Request) -> Result<(), Error> {
    let mut kind = String::new();
    let mut schema = None;
    let mut name = None;
    let ext = &mut request.output.ext;
    value.object(|key, value| {
        match key {
            "type" => kind = value.string()?,
            "schema" => schema = Some(value.to_raw()?),
            "name" => name = block::text(value)?.map(Str::from),
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    ext.set(key, other);
                }
            }
        }
        Ok(())
    })?;
    match kind.as_str() {
        "json_schema" => {
            let schema = schema.ok_or_else(|| Error::missing("schema"))?;
            request.output.format =
                OutputFormat::JsonSchema { name, description: None, schema, strict: None };
            Ok(())
        }
        "text" => Ok(()),
        other => Err(Error::malformed(format!("expected json_schema, found {other}")).under_key("type")),
    }
}

/// True when the model may call a tool of this name.
pub(super) fn has_tool(request: &Request, name: &str) -> bool {
    request.tools.iter().any(|tool| match tool {
        Tool::Function { name: known, .. } | Tool::Custom { name: known, .. } => **known == *name,
        Tool::Hosted { native, .. } => json::member(native.value.as_str(), "name")
            .is_some_and(|known| Reader::new(known).str().is_ok_and(|known| known == name)),
    })
}

/// The hosted tool of this name as a choice.
pub(super) fn hosted_choice(request: &Request, name: &str) -> Option<ToolChoice> {
    request.tools.iter().find_map(|tool| match tool {
        Tool::Hosted { kind, native, .. } => json::member(native.value.as_str(), "name")
            .is_some_and(|known| Reader::new(known).str().is_ok_and(|known| known == name))
            .then_some(ToolChoice::Hosted(*kind)),
        _ => None,
    })
}
