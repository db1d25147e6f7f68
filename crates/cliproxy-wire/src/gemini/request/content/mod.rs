//! The conversation of a client's request: `contents` to turns.
//!
//! A history is read as the client kept it. Two things the client could not keep are restored: thinking of another
//! provider that travelled in a signature, and the id that this format leaves off its calls.

mod history;
mod result;

use super::super::member::members;
use super::super::part::{self, Code, CodeResult, HostedPart, Part, Words, each};
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    Block, Content, Ext, Hosted, HostedPhase, Instruction, InstructionRole, Native, Request, Role, Str, Turn,
};
use crate::{Error, Format};

use history::History;

/// Reads `contents`: a text, one content, or a list of either.
///
/// # Errors
/// An unknown role, or members of wrong kinds, with their path.
pub(super) fn contents(reader: &mut Reader<'_>, request: &mut Request) -> Result<(), Error> {
    let mut ordinal = 0;
    each(reader, |content| {
        if content.kind() == Kind::String {
            let text = content.kept()?;
            request.turns.push(Turn::new(Role::User, vec![Block::text(text)]));
        } else {
            turn(content, ordinal, request)?;
        }
        ordinal += 1;
        Ok(())
    })
}

fn turn(reader: &mut Reader<'_>, ordinal: usize, request: &mut Request) -> Result<(), Error> {
    let mut role = None;
    let mut history = History::new(ordinal);
    members(reader, |name, value| {
        match name {
            "role" => role = value.opt(read_role)?,
            "parts" => {
                history = History::new(ordinal);
                each(value, |value| {
                    let mut part = Part::default();
                    part::fill(value, &mut part)?;
                    history.add(&mut part);
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    let role = role.unwrap_or(Role::User);
    let mut blocks = history.finish();
    match role {
        Role::Instruction(_) if request.turns.is_empty() => instructions(&blocks, request),
        Role::Assistant => {
            // Results belong to the user, whoever a client says they are from.
            let is_result = |block: &mut Block| matches!(block.content, Content::ToolResult(_));
            let results: Vec<_> = blocks.extract_if(.., is_result).collect();
            request.turns.push(Turn::new(role, blocks));
            if !results.is_empty() {
                request.turns.push(Turn::new(Role::User, results));
            }
        }
        _ => request.turns.push(Turn::new(role, blocks)),
    }
    Ok(())
}

fn read_role(reader: &mut Reader<'_>) -> Result<Role, Error> {
    Ok(match &*reader.str()? {
        "user" | "function" | "tool" | "" => Role::User,
        "model" | "assistant" => Role::Assistant,
        "system" => Role::Instruction(InstructionRole::System),
        "developer" => Role::Instruction(InstructionRole::Developer),
        other => return Err(Error::malformed(format!("unknown role `{other}`, expected `user` or `model`"))),
    })
}

fn instructions(blocks: &[Block], request: &mut Request) {
    for text in blocks.iter().filter_map(Block::as_text) {
        request.instructions.push(instruction(Str::clone(&text.text)));
    }
}

fn instruction(text: Str) -> Instruction {
    Instruction { role: InstructionRole::System, text, cache: None, is_top_level: false, ext: Ext::new() }
}

/// Reads `systemInstruction`: a text, a content, a part, or parts.
///
/// # Errors
/// Anything in it that is not text.
pub(super) fn system(reader: &mut Reader<'_>, out: &mut Vec<Instruction>) -> Result<(), Error> {
    let mut add = |value: &mut Reader<'_>| {
        let part = part::read(value)?;
        let is_other = part.is_foreign || part.blob.is_some() || part.call.is_some() || part.result.is_some();
        match part.text.map(Words::whole) {
            Some(text) if !text.is_empty() => out.push(instruction(text)),
            None if is_other => return Err(Error::malformed("instructions can only hold text")),
            _ => {}
        }
        Ok(())
    };
    if reader.kind() != Kind::Object {
        return each(reader, add);
    }
    let start = reader.clone();
    let mut has_parts = false;
    members(reader, |name, value| {
        if name == "parts" {
            has_parts = true;
            each(value, &mut add)?;
        }
        Ok(())
    })?;
    if has_parts { Ok(()) } else { bare_text(start, add) }
}

/// `{"text": …}` where a content should stand.
fn bare_text<'a>(
    mut start: Reader<'a>,
    mut add: impl FnMut(&mut Reader<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    members(&mut start, |name, value| if name == "text" { add(value) } else { Ok(()) })
}

fn native(value: Raw) -> Native {
    Native { format: Format::Gemini, value }
}

/// `executableCode` as a hosted call.
pub(in crate::gemini) fn code_call(code: &Code<'_>, id: Str, whole: Raw) -> Hosted {
    let language = code.language.as_deref().map(str::to_ascii_lowercase);
    Hosted {
        phase: HostedPhase::Call,
        kind: crate::model::HostedKind::CodeExecution,
        id,
        status: None,
        input: Some(Raw::object(|input| {
            input.opt_str("language", language.as_ref());
            input.str("code", &code.source);
        })),
        output: None,
        error: None,
        native: native(whole),
    }
}

/// `codeExecutionResult` as the result of a hosted call.
pub(in crate::gemini) fn code_result(result: &CodeResult<'_>, id: Str, whole: Raw) -> Hosted {
    let outcome = result.outcome.as_deref().unwrap_or("OUTCOME_OK");
    let is_fine = outcome == "OUTCOME_OK" || outcome == "OUTCOME_UNSPECIFIED";
    Hosted {
        phase: HostedPhase::Result,
        kind: crate::model::HostedKind::CodeExecution,
        id,
        status: Some(outcome.into()),
        input: None,
        output: Some(Raw::object(|output| {
            output.str("stdout", if is_fine { &*result.output } else { "" });
            output.str("stderr", if is_fine { "" } else { &result.output });
            output.u64("return_code", u64::from(!is_fine));
        })),
        error: (!is_fine).then(|| outcome.into()),
        native: native(whole),
    }
}

/// `toolCall` or `toolResponse` as half of a hosted call.
pub(in crate::gemini) fn hosted_tool(part: &HostedPart<'_>, id: Str, whole: Raw) -> Hosted {
    use crate::model::HostedKind;
    let word = part.kind.as_deref().unwrap_or_default();
    let kind = if word.starts_with("GOOGLE_SEARCH") {
        HostedKind::WebSearch
    } else if word.starts_with("URL_CONTEXT") {
        HostedKind::WebFetch
    } else if word.starts_with("CODE_EXECUTION") {
        HostedKind::CodeExecution
    } else if word.starts_with("FILE_SEARCH") {
        HostedKind::FileSearch
    } else if word.starts_with("GOOGLE_MAPS") {
        HostedKind::Maps
    } else {
        HostedKind::Other
    };
    Hosted {
        phase: if part.is_response { HostedPhase::Result } else { HostedPhase::Call },
        kind,
        id,
        status: None,
        input: part.payload.filter(|_| !part.is_response).map(Raw::new),
        output: None,
        error: None,
        native: native(whole),
    }
}
