//! What only the client's own format has a member for: another format's upstream never hears of it, so the client is
//! told.
//!
//! Members that a codec maps, emulates or refuses are looked after where that is done; here is what is left over, at
//! every level at which a decoder keeps it. Lists are not counted: one member in a hundred messages is one path.

use crate::Error;
use crate::chat;
use crate::claude::DOCUMENT;
use crate::codec::{Notes, Target};
use crate::format::Format;
use crate::json::{Kind, Raw};
use crate::model::{Block, Content, Ext, Media, Request, Tool};
use crate::profile::Dialect;
use crate::reasoning::Members;
use crate::responses::NAMESPACE_DESCRIPTION;

use super::{Work, place};

/// Members that belong to the transport, that are read where the answer is written, or that this gateway itself acts on.
const SERVED: [&str; 5] = [
    // The envelope of Code Assist.
    "user_prompt_id",
    "session_id",
    "enabled_credit_types",
    // A mode of choice that every encoder reads as what it means.
    "toolConfig.mode",
    // A warm-up that is answered without an upstream.
    "generate",
];
/// Objects that are mapped in part: their other members are told one by one.
const PARTLY: [&str; 9] = [
    "metadata",
    "output_config",
    "extra_body",
    "stream_options",
    "text",
    "reasoning",
    "thinking",
    "thinking_config",
    "thinkingConfig",
];
/// Those of their members that are mapped after all.
const MAPPED: [(&str, &str); 2] = [("metadata", "user_id"), ("extra_body", "google")];
/// Members of blocks that are told elsewhere: marks all together, and phases only say where a message of the history
/// began.
const EXCEPT: [&str; 4] = ["prompt_cache_breakpoint", "cache_control", "phase", DOCUMENT];
/// Wishes of `include` that are granted whatever the upstream.
const READ: [&str; 3] =
    ["message.output_text.logprobs", "reasoning.encrypted_content", "web_search_call.action.sources"];

/// Whether a client misses a member of `stream_options` in a stream that is written here: such streams tell usage where
/// it is wished for, and have no padding.
pub(crate) fn is_missed(option: &str, value: &str) -> bool {
    match option {
        "include_usage" => false,
        "include_obfuscation" => value == "true",
        _ => value != "null",
    }
}

/// Notes the members that only the client's format has.
///
/// # Errors
/// In strict mode, when there are any.
pub(super) fn tell(work: &mut Work<'_>) -> Result<(), Error> {
    let (source, mut told) = Told::new(work);
    let origin = source.origin;
    if origin == told.target.profile.format {
        for block in source.turns.iter().flat_map(|turn| &turn.blocks) {
            told.document("messages[].content[]", block);
            if let Content::ToolResult(result) = &block.content {
                result.content.iter().for_each(|inner| told.document("messages[].content[]", inner));
            }
        }
        return told.outcome;
    }
    for (name, value) in source.ext.iter().filter(|(name, _)| !SERVED.contains(name)) {
        if PARTLY.contains(&name) && value.kind() == Kind::Object {
            told.partly(name, value);
        } else {
            told.member("", name, value);
        }
    }
    if let Some(image) = source.output.image.as_ref().filter(|_| origin == Format::Gemini) {
        let _checked = image.reader().object(|name, _| {
            if !matches!(name, "aspect_ratio" | "image_size") {
                told.path("generationConfig.imageConfig", name);
            }
            Ok(())
        });
    }
    if source.include.iter().any(|wish| !READ.contains(&&**wish)) {
        told.path("", "include");
    }
    let reasoning = match origin {
        Format::Responses => "reasoning",
        Format::Gemini => "generationConfig.thinkingConfig",
        Format::Chat | Format::Claude => "thinking",
    };
    // Claude's `display` says what is shown, which every upstream heeds as far as it can.
    if let Some(wish) = &source.reasoning {
        told.members(reasoning, &wish.ext, &["display"]);
    }
    let (turns, parts) = match origin {
        Format::Chat | Format::Claude => ("messages[]", "messages[].content[]"),
        Format::Responses => ("input[]", "input[].content[]"),
        Format::Gemini => ("contents[]", "contents[].parts[]"),
    };
    for instruction in &source.instructions {
        told.members(if origin == Format::Claude { "system[]" } else { turns }, &instruction.ext, &[]);
    }
    for turn in &source.turns {
        if turn.name.is_some() {
            told.path(turns, "name");
        }
        told.members(turns, &turn.ext, &[]);
        for block in &turn.blocks {
            told.block(turns, parts, block);
        }
    }
    let tools = if origin == Format::Gemini { "tools[].functionDeclarations[]" } else { "tools[]" };
    for tool in &source.tools {
        if let Tool::Function { ext, .. } | Tool::Custom { ext, .. } = tool {
            told.members(tools, ext, &[NAMESPACE_DESCRIPTION, chat::BESIDE]);
            if let Some(beside) = ext.get(chat::BESIDE) {
                let _checked = beside.reader().object(|name, value| {
                    told.member(tools, name, &value.to_raw()?);
                    Ok(())
                });
            }
            if ext.get(NAMESPACE_DESCRIPTION).is_some() {
                told.path(tools, "description");
            }
        }
    }
    told.outcome
}

/// Notes members of a Claude client's `thinking` that a Claude upstream is not told either, because it is not asked to
/// think.
///
/// # Errors
/// In strict mode, when there are any.
pub(super) fn unplanned(work: &mut Work<'_>) -> Result<(), Error> {
    let is_written = matches!(work.plan.members, Members::Claude { thinking: Some(_), .. });
    if is_written || work.request.origin != Format::Claude || work.target.profile.format != Format::Claude {
        return Ok(());
    }
    let (source, mut told) = Told::new(work);
    if let Some(wish) = &source.reasoning {
        told.members("thinking", &wish.ext, &["display"]);
    }
    told.outcome
}

struct Told<'w> {
    target: &'w Target<'w>,
    origin: Format,
    notes: &'w mut Notes,
    outcome: Result<(), Error>,
}

impl<'w> Told<'w> {
    /// The request to look at, and who tells of it.
    fn new(work: &'w mut Work<'_>) -> (&'w Request, Self) {
        let Work { request, target, notes, .. } = work;
        let told = Self { target, origin: request.origin, notes, outcome: Ok(()) };
        (request, told)
    }

    fn block(&mut self, turns: &str, parts: &str, block: &Block) {
        // A result of a tool, and a call, are messages or items of their own in the formats of OpenAI.
        let place = match (&block.content, self.origin) {
            (Content::ToolResult(_) | Content::ToolCall(_), Format::Chat | Format::Responses) => turns,
            _ => parts,
        };
        self.content(place, block);
        if let Content::ToolResult(result) = &block.content {
            for inner in &result.content {
                self.content(parts, inner);
                if let Content::Native(native) = &inner.content {
                    let kind = native.value.get("type").and_then(|kind| kind.to_text());
                    self.path(parts, kind.as_deref().unwrap_or("content"));
                }
            }
            if let Some(native) = result.native.as_ref().filter(|native| native.format == Format::Gemini) {
                let _checked = native.value.reader().object(|name, _| {
                    self.path("contents[].parts[].functionResponse", name);
                    Ok(())
                });
            }
        }
    }

    fn content(&mut self, place: &str, block: &Block) {
        let target = self.target;
        let format = target.profile.format;
        let mut is_resolution_written = false;
        match &block.content {
            Content::Image(image) => {
                let is_written = match (format, image.detail.as_deref()) {
                    (_, None | Some("auto")) => false,
                    (Format::Chat | Format::Responses, Some(_)) => true,
                    (Format::Gemini, Some(detail)) => {
                        target.caps.needs_signatures && matches!(detail, "low" | "high")
                    }
                    (Format::Claude, Some(_)) => false,
                };
                if is_written {
                    is_resolution_written = true;
                } else if image.detail.as_deref().is_some_and(|detail| detail != "auto")
                    && self.origin != Format::Gemini
                {
                    self.path(place, "detail");
                }
            }
            Content::Document(document) => {
                if document.citations == Some(true) {
                    self.path(place, "citations");
                }
                let is_named = match (format, &document.source) {
                    (_, Media::Text { .. }) | (Format::Chat | Format::Claude, _) => true,
                    (Format::Responses, source) => !matches!(source, Media::Url(_)),
                    (Format::Gemini, Media::Inline { mime, .. }) if mime.starts_with("text/") => false,
                    (Format::Gemini, _) => target.profile.dialect == Dialect::Vertex,
                };
                if document.filename.is_some() && !is_named {
                    self.path(place, "filename");
                }
            }
            Content::Video(video) if video.clip.is_some() => self.path(place, "videoMetadata"),
            _ => {}
        }
        for (name, value) in block.ext.iter().filter(|(name, _)| !EXCEPT.contains(name)) {
            if !(is_resolution_written && name == "mediaResolution") {
                self.member(place, name, value);
            }
        }
        self.document(place, block);
    }

    /// What was said of a document whose blocks now stand for themselves.
    fn document(&mut self, place: &str, block: &Block) {
        if let Some(said) = block.ext.get(DOCUMENT) {
            let _checked = said.reader().object(|name, value| {
                self.member(place, name, &value.to_raw()?);
                Ok(())
            });
        }
    }

    fn members(&mut self, place: &str, ext: &Ext, except: &[&str]) {
        for (name, value) in ext.iter().filter(|(name, _)| !except.contains(name)) {
            self.member(place, name, value);
        }
    }

    fn member(&mut self, place: &str, name: &str, value: &Raw) {
        // Clients write empty lists and objects for what they do not use.
        if !value.is_empty() {
            self.path(place, name);
        }
    }

    fn partly(&mut self, name: &str, value: &Raw) {
        let _checked = value.reader().object(|inner, value| {
            let value = value.raw()?;
            let is_lost = match name {
                "stream_options" => is_missed(inner, value),
                _ => !MAPPED.contains(&(name, inner)) && value != "null",
            };
            if is_lost {
                self.path(name, inner);
            }
            Ok(())
        });
    }

    fn path(&mut self, place: &str, name: &str) {
        let path = place::told(place, name);
        if self.outcome.is_ok() && !self.notes.paths().contains(&path) {
            self.outcome = self.target.hint(self.notes, &path);
        }
    }
}
