//! What provider-executed tools and the model itself left in the history, for a target that did not make it.

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    Arguments, Audio, Block, CallKind, Content, Hosted, HostedKind, HostedPhase, Image, Media, Role, Str,
    Text, ToolCall, ToolResult, Turn,
};

use super::Work;

/// Most bytes of code and of its output that are told.
const MAX_CODE: usize = 8 << 10;
/// Says whose image it is.
const OWN_IMAGE: &str = "Image produced by the assistant:";

/// Replaces foreign hosted blocks, native blocks, refusals and generated media.
///
/// # Errors
/// Computer use of another provider: the vocabularies of actions differ.
pub(super) fn apply(work: &mut Work<'_>) -> Result<(), Error> {
    let format = work.target.profile.format;
    let is_foreign = |block: &Block| match &block.content {
        Content::Hosted(hosted) => hosted.native.format != format,
        Content::Native(native) => native.format != format,
        Content::Refusal(_) => matches!(format, Format::Claude | Format::Gemini),
        _ => false,
    };
    let is_made = |turn: &Turn, block: &Block| {
        turn.role == Role::Assistant
            && match &block.content {
                Content::Image(_) => format != Format::Gemini,
                Content::Audio(_) | Content::Video(_) | Content::Document(_) => format != Format::Gemini,
                _ => false,
            }
    };
    let has_work = work
        .request
        .turns
        .iter()
        .any(|turn| turn.blocks.iter().any(|block| is_foreign(block) || is_made(turn, block)));
    if !has_work {
        return Ok(());
    }
    let turns = std::mem::take(&mut work.request.turns);
    let mut images: Vec<Block> = Vec::new();
    for (at, mut turn) in turns.into_iter().enumerate() {
        if turn.role == Role::User && !images.is_empty() {
            turn.blocks.append(&mut images);
        }
        if !turn.blocks.iter().any(|block| is_foreign(block) || is_made(&turn, block)) {
            work.request.turns.push(turn);
            continue;
        }
        let blocks = std::mem::take(&mut turn.blocks);
        let mut pairs = Pairs::new(&blocks, format);
        for (index, block) in blocks.into_iter().enumerate() {
            let is_assistant = turn.role == Role::Assistant;
            match block.content {
                Content::Hosted(hosted) if hosted.native.format != format => {
                    if hosted.kind == HostedKind::Computer {
                        let message = format!(
                            "{} moves a computer in other words; continue with the provider that began",
                            work.target.profile.name
                        );
                        work.refuse(work.layout.block(at, index), message)?;
                        continue;
                    }
                    match replaced(&hosted, &mut pairs, format) {
                        Replaced::Nothing => {}
                        Replaced::Block(block) => turn.blocks.push(block),
                        Replaced::Image(image) => {
                            images.push(Block::text(OWN_IMAGE));
                            images.push(image);
                        }
                        Replaced::Pair(pair) => {
                            let (call, result) = *pair;
                            // The result belongs to a user turn, so this turn is cut in two.
                            turn.blocks.push(call);
                            let rest = Turn { id: None, ..turn.clone() };
                            let first = std::mem::replace(&mut turn, Turn { blocks: Vec::new(), ..rest });
                            work.request.turns.push(first);
                            work.request.turns.push(Turn::new(Role::User, vec![result]));
                        }
                    }
                }
                Content::Native(native) if native.format != format => {
                    let path = work.layout.block(at, index);
                    if is_assistant || is_aside(&native.value) {
                        work.notes.add(path);
                    } else {
                        let message = format!(
                            "{} cannot be shown this content; send text, images or documents",
                            work.target.profile.name
                        );
                        work.refuse(path, message)?;
                    }
                }
                Content::Refusal(text) if matches!(format, Format::Claude | Format::Gemini) => {
                    turn.blocks.push(Block { content: Content::Text(Text::new(text)), ..block });
                }
                Content::Image(image) if is_assistant && format != Format::Gemini => {
                    images.push(Block::text(OWN_IMAGE));
                    images.push(Block::new(Content::Image(image)));
                }
                Content::Audio(Audio { transcript, .. }) if is_assistant && format != Format::Gemini => {
                    match transcript.filter(|text| !text.is_empty()) {
                        Some(text) => turn.blocks.push(Block::text(text)),
                        None => work.notes.add(work.layout.block(at, index)),
                    }
                }
                Content::Video(_) | Content::Document(_) if is_assistant && format != Format::Gemini => {
                    work.notes.add(work.layout.block(at, index));
                }
                content => turn.blocks.push(Block { content, ..block }),
            }
        }
        work.request.turns.push(turn);
    }
    if !images.is_empty() {
        work.request.turns.push(Turn::new(Role::User, images));
    }
    Ok(())
}

/// Whether a block of a user's turn says nothing that the user wants answered: state of the provider, and handles of
/// what it stores.
fn is_aside(value: &Raw) -> bool {
    let kind = value.get("type").and_then(|kind| kind.to_text()).unwrap_or_default();
    let is_state =
        matches!(&*kind, "browser_state" | "compaction" | "container_upload" | "fallback" | "tool_reference");
    is_state || kind.starts_with("advisor")
}

enum Replaced {
    Nothing,
    Block(Block),
    Image(Block),
    Pair(Box<(Block, Block)>),
}

/// Results of remote tools in one turn, by the id of their call.
struct Pairs(Vec<Hosted>);

impl Pairs {
    fn new(blocks: &[Block], format: Format) -> Self {
        let results = blocks.iter().filter_map(|block| match &block.content {
            Content::Hosted(hosted)
                if hosted.kind == HostedKind::Mcp
                    && hosted.phase == HostedPhase::Result
                    && hosted.native.format != format =>
            {
                Some(hosted.clone())
            }
            _ => None,
        });
        Self(results.collect())
    }

    fn take(&mut self, id: &str) -> Option<Hosted> {
        let at = self.0.iter().position(|hosted| *hosted.id == *id)?;
        Some(self.0.swap_remove(at))
    }
}

fn replaced(hosted: &Hosted, pairs: &mut Pairs, format: Format) -> Replaced {
    match hosted.kind {
        HostedKind::CodeExecution | HostedKind::Shell => {
            let text = code(hosted);
            if text.is_empty() { Replaced::Nothing } else { Replaced::Block(Block::text(text)) }
        }
        HostedKind::ImageGeneration => match image(hosted) {
            Some(image) if format == Format::Gemini => Replaced::Block(image),
            Some(image) => Replaced::Image(image),
            None => Replaced::Nothing,
        },
        HostedKind::Mcp => remote(hosted, pairs),
        _ => Replaced::Nothing,
    }
}

/// A remote tool's call with its result as an ordinary pair.
fn remote(hosted: &Hosted, pairs: &mut Pairs) -> Replaced {
    let value = &hosted.native.value;
    let (output, error) = match hosted.phase {
        HostedPhase::Both => (hosted.output.clone(), hosted.error.clone()),
        HostedPhase::Call => match pairs.take(&hosted.id) {
            Some(result) => {
                let output = result.output.or_else(|| result.native.value.get("content"));
                let failed = result.native.value.get("is_error").is_some_and(|flag| flag.as_str() == "true");
                (output, result.error.or_else(|| failed.then(|| "the tool failed".into())))
            }
            None => return Replaced::Nothing,
        },
        HostedPhase::Result => return Replaced::Nothing,
    };
    let Some(name) = value.get("name").and_then(|name| name.to_text()) else { return Replaced::Nothing };
    if output.is_none() && error.is_none() {
        return Replaced::Nothing;
    }
    // One format writes the arguments as an object, another as text.
    let arguments = value.get("input").or_else(|| value.get("arguments"));
    let arguments = match arguments {
        Some(raw) => raw.to_text().unwrap_or_else(|| raw.as_str().to_owned()),
        None => "{}".to_owned(),
    };
    let text = output.as_ref().map(words).filter(|text| !text.is_empty());
    let is_error = error.is_some().then_some(true);
    let text = text.or_else(|| error.map(|error| error.to_string())).unwrap_or_default();
    let call = ToolCall {
        call_id: Str::clone(&hosted.id),
        is_id_synthetic: false,
        item_id: None,
        name: name.as_str().into(),
        namespace: None,
        kind: CallKind::Function,
        arguments: Arguments::Json(arguments.into()),
        native: None,
        caller: None,
        opaque: None,
    };
    let result = ToolResult {
        call_id: Str::clone(&hosted.id),
        name: Some(name.into()),
        kind: CallKind::Function,
        content: vec![Block::text(text)],
        structured: None,
        is_error,
        native: None,
    };
    Replaced::Pair(Box::new((Block::new(Content::ToolCall(call)), Block::new(Content::ToolResult(result)))))
}

/// The text in a JSON value: itself, or the texts of its parts, or else the JSON.
fn words(value: &Raw) -> String {
    if let Some(text) = value.to_text() {
        return text;
    }
    let mut parts: Vec<String> = Vec::new();
    let read = Reader::new(value.as_str()).array(|_, part| {
        if part.kind() == Kind::Object {
            parts.extend(part.to_raw()?.get("text").and_then(|text| text.to_text()));
        }
        Ok(())
    });
    if read.is_ok() && !parts.is_empty() { parts.join("\n") } else { value.as_str().to_owned() }
}

/// Executed code and what it printed, as fenced text.
fn code(hosted: &Hosted) -> String {
    let member = |raw: &Option<Raw>, name: &str| {
        raw.as_ref().and_then(|raw| raw.get(name)).and_then(|text| text.to_text())
    };
    let mut text = String::new();
    let source = member(&hosted.input, "code").or_else(|| member(&hosted.input, "command"));
    if let Some(source) = source.filter(|source| !source.is_empty()) {
        let language = member(&hosted.input, "language").unwrap_or_default().to_ascii_lowercase();
        fence(&mut text, &language, &source);
    }
    let mut printed = String::new();
    for name in ["stdout", "stderr"] {
        if let Some(part) = member(&hosted.output, name).filter(|part| !part.is_empty()) {
            if !printed.is_empty() && !printed.ends_with('\n') {
                printed.push('\n');
            }
            printed.push_str(&part);
        }
    }
    if let Some(error) = &hosted.error {
        printed.push_str(error);
    }
    if !printed.is_empty() {
        fence(&mut text, "", &printed);
    }
    text
}

fn fence(text: &mut String, language: &str, body: &str) {
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    let (body, rest) = body.split_at(body.floor_char_boundary(MAX_CODE));
    let mark = if body.contains("```") { "````" } else { "```" };
    text.push_str(mark);
    text.push_str(language);
    text.push('\n');
    text.push_str(body);
    if !body.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(mark);
    if !rest.is_empty() {
        text.extend(["\n[", &rest.len().to_string(), " more bytes left out]"]);
    }
}

/// The image that an image tool made.
fn image(hosted: &Hosted) -> Option<Block> {
    let value = &hosted.native.value;
    let base64 = value.get("result").and_then(|result| result.to_text()).filter(|data| !data.is_empty())?;
    let kind = value.get("output_format").and_then(|kind| kind.to_text());
    let mime = match kind.as_deref() {
        Some("jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        _ => "image/png",
    };
    Some(Block::new(Content::Image(Image {
        source: Media::Inline { mime: mime.into(), base64: base64.into() },
        detail: None,
        opaque: None,
    })))
}
