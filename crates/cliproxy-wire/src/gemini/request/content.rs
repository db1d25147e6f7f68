//! The conversation of a client's request: `contents` to turns.
//!
//! A history is read as the client kept it. Two things the client could not keep are restored: thinking of another
//! provider that travelled in a signature, and the id that this format leaves off its calls.

use std::borrow::Cow;

use super::super::member::members;
use super::super::part::{self, CallResult, Code, CodeResult, HostedPart, Part, each, whole_text};
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    Anchor, Arguments, Block, CallKind, Content, Ext, Hosted, HostedPhase, Instruction, InstructionRole,
    Native, Opaque, OpaqueKind, Owner, Reasoning, Request, Role, Str, Text, ToolCall, ToolResult, Turn,
};
use crate::{Error, Format, id, opaque};

/// Reads `contents`: a text, one content, or a list of either.
///
/// # Errors
/// An unknown role, or members of wrong kinds, with their path.
pub(super) fn contents(reader: &mut Reader<'_>, request: &mut Request) -> Result<(), Error> {
    let mut ordinal = 0;
    each(reader, |content| {
        if content.kind() == Kind::String {
            let text = content.str()?;
            request.turns.push(Turn::new(Role::User, vec![Block::text(&*text)]));
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
                    history.add(part::read(value)?);
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    let role = role.unwrap_or(Role::User);
    let blocks = history.finish();
    match role {
        Role::Instruction(_) if request.turns.is_empty() => instructions(&blocks, request),
        Role::Assistant => {
            // Results belong to the user, whoever a client says they are from.
            let (results, said): (Vec<_>, Vec<_>) =
                blocks.into_iter().partition(|block| matches!(block.content, Content::ToolResult(_)));
            request.turns.push(Turn::new(role, said));
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
        request.instructions.push(instruction(&text.text));
    }
}

fn instruction(text: &str) -> Instruction {
    Instruction {
        role: InstructionRole::System,
        text: text.into(),
        cache: None,
        is_top_level: false,
        ext: Ext::new(),
    }
}

/// Reads `systemInstruction`: a text, a content, a part, or parts.
///
/// # Errors
/// Anything in it that is not text.
pub(super) fn system(reader: &mut Reader<'_>, out: &mut Vec<Instruction>) -> Result<(), Error> {
    let mut add = |value: &mut Reader<'_>| {
        let part = part::read(value)?;
        let is_other = part.is_foreign || part.blob.is_some() || part.call.is_some() || part.result.is_some();
        match part.text.map(whole_text) {
            Some(text) if !text.is_empty() => out.push(instruction(&text)),
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

/// The blocks of one content in the making.
struct History {
    /// Ordinal of the content.
    ordinal: usize,
    calls: u32,
    /// Id of the code that the next code result belongs to.
    code: Option<Str>,
    blocks: Vec<Block>,
    /// Consecutive thought parts.
    thought: Option<Thought>,
}

#[derive(Default)]
struct Thought {
    text: String,
    opaque: Vec<Opaque>,
    is_redacted: bool,
}

impl History {
    fn new(ordinal: usize) -> Self {
        Self { ordinal, calls: 0, code: None, blocks: Vec::new(), thought: None }
    }

    fn add(&mut self, mut part: Part<'_>) {
        let text = part.text.take().map(whole_text);
        if part.is_thought
            && let Some(text) = &text
        {
            self.think(text, part.signature.as_deref());
            return;
        }
        self.close_thought();
        let resolution = part.resolution;
        let metadata = part.metadata;
        let before = self.blocks.len();
        if let Some(call) = part.call.take() {
            self.call(&call, part.signature.as_deref());
        } else if let Some(result) = part.result.take() {
            self.blocks.push(Block::new(Content::ToolResult(tool_result(result))));
        } else if let Some(blob) = part.blob.take() {
            let content = part::media(blob, part.clip, resolution);
            self.media(content, part.signature.as_deref());
        } else if let Some(content) = self.executed(&part) {
            self.blocks.push(Block::new(content));
        } else if let Some(text) = text {
            self.text(&text, part.signature.as_deref());
        } else if part.is_foreign {
            self.blocks.push(Block::new(Content::Native(native(part.whole.raw()))));
        } else if let (Some(clip), Some(Block { content: Content::Video(video), .. })) =
            (part.clip, self.blocks.last_mut())
        {
            video.clip.get_or_insert_with(|| Raw::new(clip));
        } else if let Some(signature) = part.signature.as_deref() {
            self.text("", Some(signature));
        }
        if let Some(block) = self.blocks.get_mut(before) {
            for (name, value) in [("mediaResolution", resolution), ("partMetadata", metadata)] {
                if let Some(value) = value {
                    block.ext.set(name, Raw::new(value));
                }
            }
        }
    }

    fn think(&mut self, text: &str, signature: Option<&str>) {
        let signed = signature.map(|data| read_signature(data, Anchor::This));
        let thought = self.thought.get_or_insert_with(Thought::default);
        thought.text.push_str(text);
        if let Some((opaque, hidden)) = signed {
            if thought.text.is_empty() {
                thought.text.push_str(hidden.as_deref().unwrap_or_default());
            }
            thought.is_redacted |= opaque.kind == OpaqueKind::ClaudeRedacted;
            thought.opaque.push(opaque);
        }
    }

    fn close_thought(&mut self) {
        if let Some(Thought { text, opaque, is_redacted }) = self.thought.take()
            && !(text.is_empty() && opaque.is_empty())
        {
            self.blocks.push(Block::new(Content::Reasoning(reasoning(&text, opaque, is_redacted))));
        }
    }

    fn text(&mut self, text: &str, signature: Option<&str>) {
        let anchor = if text.is_empty() { Anchor::TrailingEmptyText } else { Anchor::Text };
        let opaque = signature.and_then(|data| self.own_signature(data, anchor));
        if !text.is_empty() || opaque.is_some() {
            let text = Text { opaque, ..Text::new(text) };
            self.blocks.push(Block::new(Content::Text(text)));
        }
    }

    fn call(&mut self, call: &part::Call<'_>, signature: Option<&str>) {
        let ordinal = self.calls;
        self.calls += 1;
        let name: Str = (*call.name.clone().unwrap_or_default()).into();
        let arguments = call.args.unwrap_or("{}");
        let call_id: Str = if let Some(id) = &call.id {
            (**id).into()
        } else {
            let prefix = format!("call_h{}_{ordinal}_", self.ordinal);
            id::hex(&prefix, 8, &[&name, arguments]).into()
        };
        let opaque = signature.and_then(|data| self.own_signature(data, Anchor::ToolCall(ordinal)));
        self.blocks.push(Block::new(Content::ToolCall(ToolCall {
            is_id_synthetic: call.id.is_none(),
            call_id,
            item_id: None,
            name,
            namespace: None,
            kind: CallKind::Function,
            arguments: Arguments::Json(arguments.into()),
            native: None,
            caller: None,
            opaque,
        })));
    }

    fn media(&mut self, mut content: Content, signature: Option<&str>) {
        let opaque = signature.and_then(|data| self.own_signature(data, Anchor::This));
        let mut ext = Ext::new();
        match (&mut content, opaque) {
            (Content::Image(image), opaque) => image.opaque = opaque,
            (_, Some(opaque)) => ext.set("thoughtSignature", Raw::string(&opaque.data)),
            (_, None) => {}
        }
        self.blocks.push(Block { content, cache: None, ext });
    }

    fn executed(&mut self, part: &Part<'_>) -> Option<Content> {
        let hosted = if let Some(code) = &part.code {
            let id = code.id.as_deref().map_or_else(|| self.code_id(&code.source), Str::from);
            self.code = Some(Str::clone(&id));
            code_call(code, id, part.whole.raw())
        } else if let Some(result) = &part.code_result {
            let known = result.id.as_deref().map(Str::from).or_else(|| self.code.take());
            let id = known.unwrap_or_else(|| self.code_id(&result.output));
            code_result(result, id, part.whole.raw())
        } else {
            let hosted = part.hosted.as_ref()?;
            let id = hosted.id.as_deref().map_or_else(|| self.code_id("tool"), Str::from);
            hosted_tool(hosted, id, part.whole.raw())
        };
        Some(Content::Hosted(hosted))
    }

    fn code_id(&self, code: &str) -> Str {
        let prefix = format!("code_h{}_{}_", self.ordinal, self.blocks.len());
        id::hex(&prefix, 8, &[code]).into()
    }

    /// The signature of a part that is not a thought. What turns out to be thinking of another provider is put back
    /// where it was, before what follows from it.
    fn own_signature(&mut self, data: &str, anchor: Anchor) -> Option<Opaque> {
        let (opaque, text) = read_signature(data, anchor);
        if opaque.kind == OpaqueKind::GeminiThought || !data.starts_with(opaque::PREFIX) {
            return Some(opaque);
        }
        self.restore(opaque, text.as_deref().unwrap_or_default());
        None
    }

    fn restore(&mut self, opaque: Opaque, text: &str) {
        let mut unsigned = None;
        for (at, block) in self.blocks.iter().enumerate() {
            let Content::Reasoning(reasoning) = &block.content else { continue };
            if reasoning.opaque.iter().any(|known| known.data == opaque.data) {
                return;
            }
            if reasoning.opaque.is_empty() && (text.is_empty() || *reasoning.text() == *text) {
                unsigned = Some(at);
            }
        }
        let is_redacted = opaque.kind == OpaqueKind::ClaudeRedacted;
        let known = unsigned.and_then(|at| self.blocks.get_mut(at)).map(|block| &mut block.content);
        if let Some(Content::Reasoning(reasoning)) = known {
            reasoning.opaque.push(opaque);
        } else {
            let restored = Content::Reasoning(reasoning(text, vec![opaque], is_redacted));
            self.blocks.insert(0, Block::new(restored));
        }
    }

    fn finish(mut self) -> Vec<Block> {
        self.close_thought();
        self.blocks
    }
}

fn reasoning(text: &str, opaque: Vec<Opaque>, is_redacted: bool) -> Reasoning {
    let summary = if text.is_empty() { Vec::new() } else { vec![text.into()] };
    Reasoning { id: None, summary, raw: Vec::new(), opaque, is_redacted }
}

/// What a signature holds, and the thinking text that travelled with it.
fn read_signature(data: &str, anchor: Anchor) -> (Opaque, Option<Str>) {
    if data.starts_with(opaque::PREFIX)
        && let Some(unwrapped) = opaque::unwrap(data)
    {
        return (unwrapped.opaque, unwrapped.text);
    }
    let owner = opaque::classify(data, part::NATIVE);
    let kind = match owner {
        Owner::Google => OpaqueKind::GeminiThought,
        Owner::Anthropic => OpaqueKind::ClaudeSignature,
        Owner::OpenAi => OpaqueKind::OpenAiEncrypted,
        Owner::Other => OpaqueKind::Other,
    };
    (Opaque { owner, kind, scope: None, model: None, data: data.into(), anchor }, None)
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
            input.opt_str("language", language.as_deref());
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
            output.str("stdout", if is_fine { &result.output } else { "" });
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

fn tool_result(result: CallResult<'_>) -> ToolResult {
    let mut content = Vec::new();
    let mut structured = None;
    let mut is_error = None;
    if let Some(response) = result.response {
        let said = read_response(response);
        if !said.text.is_empty() {
            content.push(Block::text(&*said.text));
        }
        is_error = said.is_error.then_some(true);
        structured = said.is_object.then(|| Raw::new(response));
    }
    for part in result.blobs {
        let mut ext = Ext::new();
        if let Some(resolution) = part.resolution {
            ext.set("mediaResolution", Raw::new(resolution));
        }
        let content_of_part = match (part.blob, part.text) {
            (Some(blob), _) => part::media(blob, part.clip, part.resolution),
            (None, Some(text)) => Content::Text(Text::new(&*whole_text(text))),
            (None, None) => Content::Native(native(part.whole.raw())),
        };
        content.push(Block { content: content_of_part, cache: None, ext });
    }
    let native = (!result.rest.is_empty()).then(|| {
        native(Raw::object(|object| {
            for (name, value) in &result.rest {
                object.raw(name, value);
            }
        }))
    });
    ToolResult {
        call_id: result.id.as_deref().unwrap_or_default().into(),
        name: result.name.as_deref().map(Into::into),
        kind: CallKind::Function,
        content,
        structured,
        is_error,
        native,
    }
}

struct Said<'a> {
    text: Cow<'a, str>,
    is_error: bool,
    is_object: bool,
}

/// What a `response` says in words: the one text it consists of, or else its JSON.
fn read_response(response: &str) -> Said<'_> {
    let mut reader = Reader::new(response);
    if reader.kind() != Kind::Object {
        return Said { text: text_of(response), is_error: false, is_object: false };
    }
    let mut count = 0;
    let mut only: Option<(bool, &str)> = None;
    let _checked = reader.object(|name, value| {
        count += 1;
        let value = value.raw()?;
        let is_error = name == "error";
        if is_error || (matches!(name, "output" | "result" | "content") && value.starts_with('"')) {
            only = Some((is_error, value));
        }
        Ok(())
    });
    match only {
        Some((is_error, value)) if count == 1 => Said { text: text_of(value), is_error, is_object: true },
        _ => Said { text: response.into(), is_error: false, is_object: true },
    }
}

/// A JSON string's text, or the JSON of anything else.
fn text_of(json: &str) -> Cow<'_, str> {
    let mut reader = Reader::new(json);
    match reader.kind() {
        Kind::String => reader.str().unwrap_or(Cow::Borrowed(json)),
        Kind::Null => Cow::Borrowed(""),
        _ => Cow::Borrowed(json),
    }
}
