//! Turns as Chat messages: one string or parts, results as messages of their own, reasoning where the upstream wants
//! it back.

use crate::Error;
use crate::chat::media;
use crate::codec::Target;
use crate::format::Format;
use crate::json::{Array, Object};
use crate::model::{
    Block, CacheMark, CacheTtl, CallKind, Content, Document, Instruction, InstructionRole, Media, OpaqueKind,
    Owner, Reasoning, Request, Role, Text, ToolCall, ToolResult, Turn,
};
use crate::profile::{Dialect, ReasoningHistory};

/// Writes `messages`.
pub(super) struct Messages<'a> {
    request: &'a Request,
    target: &'a Target<'a>,
    /// Turns behind this one belong to the current tool loop.
    last_user_text: Option<usize>,
    /// The first thing that could not be written.
    error: Option<Error>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(request: &'a Request, target: &'a Target<'a>) -> Self {
        let says_something =
            |turn: &Turn| turn.blocks.iter().any(|block| !matches!(block.content, Content::ToolResult(_)));
        let last_user_text =
            request.turns.iter().rposition(|turn| turn.role == Role::User && says_something(turn));
        Self { request, target, last_user_text, error: None }
    }

    /// # Errors
    /// What the format cannot say.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.error.map_or(Ok(()), Err)
    }

    fn fail(&mut self, turn: usize, what: &str) {
        if self.error.is_none() {
            let list = match self.request.origin {
                Format::Gemini => "contents",
                Format::Responses => "input",
                Format::Chat | Format::Claude => "messages",
            };
            let name = self.target.profile.name;
            self.error = Some(Error::unsupported(
                format!("{list}[{turn}]"),
                format!("the upstream {name} takes no {what}"),
            ));
        }
    }

    pub(super) fn write(&mut self, array: &mut Array<'_>) {
        self.instructions(array);
        for (at, turn) in self.request.turns.iter().enumerate() {
            match turn.role {
                Role::Instruction(role) => {
                    let blocks: Vec<&Block> = turn.blocks.iter().collect();
                    self.spoken(array, at, role_word(role), turn, &blocks);
                }
                Role::User => self.user(array, at, turn),
                Role::Assistant => self.assistant(array, at, turn),
            }
        }
    }

    fn instructions(&self, array: &mut Array<'_>) {
        let instructions = &self.request.instructions;
        if self.target.profile.merges_system {
            if let Some(first) = instructions.first() {
                array.object(|object| {
                    object.str("role", role_word(first.role));
                    self.instruction_ext(first, object);
                    self.instruction_texts(instructions, object);
                });
            }
            return;
        }
        for instruction in instructions {
            array.object(|object| {
                object.str("role", role_word(instruction.role));
                self.instruction_ext(instruction, object);
                self.instruction_texts(std::slice::from_ref(instruction), object);
            });
        }
    }

    fn instruction_ext(&self, instruction: &Instruction, object: &mut Object<'_>) {
        if self.request.origin == Format::Chat {
            instruction.ext.write(object);
        }
    }

    fn instruction_texts(&self, instructions: &[Instruction], object: &mut Object<'_>) {
        let has_marks = self.target.profile.has_cache_marks
            && instructions.iter().any(|instruction| instruction.cache.is_some());
        match instructions {
            _ if has_marks => object.array("content", |parts| {
                for instruction in instructions {
                    parts.object(|part| {
                        part.str("type", "text");
                        part.str("text", &instruction.text);
                        write_mark(part, instruction.cache);
                    });
                }
            }),
            [only] => object.str("content", &only.text),
            several => {
                let texts: Vec<&str> = several.iter().map(|instruction| &*instruction.text).collect();
                object.str("content", &texts.join("\n\n"));
            }
        }
    }

    fn user(&mut self, array: &mut Array<'_>, at: usize, turn: &Turn) {
        let mut spoken = Vec::with_capacity(turn.blocks.len());
        let mut attached: Vec<(&ToolResult, Vec<&Block>)> = Vec::new();
        for block in &turn.blocks {
            let Content::ToolResult(result) = &block.content else {
                spoken.push(block);
                continue;
            };
            let media = self.result(array, at, result, block);
            if !media.is_empty() {
                attached.push((result, media));
            }
        }
        if !attached.is_empty() {
            array.object(|object| {
                object.str("role", "user");
                object.array("content", |parts| {
                    for (result, media) in attached {
                        let name = result.name.as_deref().unwrap_or("the tool");
                        let text = format!("Attached to the result of {name} ({}):", result.call_id);
                        text_part(parts, &text, None);
                        for block in media {
                            self.part(parts, at, block);
                        }
                    }
                });
            });
        }
        if !spoken.is_empty() || turn.blocks.is_empty() {
            self.spoken(array, at, "user", turn, &spoken);
        }
    }

    /// A message of text and media.
    fn spoken(&mut self, array: &mut Array<'_>, at: usize, role: &str, turn: &Turn, blocks: &[&Block]) {
        array.object(|object| {
            object.str("role", role);
            object.opt_str("name", turn.name.as_deref());
            if self.request.origin == Format::Chat {
                turn.ext.write(object);
            }
            if self.is_one_string(blocks) {
                let mut text = String::new();
                for block in blocks {
                    text.push_str(&textual(block).unwrap_or_default());
                }
                match blocks {
                    [only] if only.as_text().is_some() => {
                        object.str("content", only.as_text().map(|text| &*text.text).unwrap_or_default());
                    }
                    _ => object.str("content", &text),
                }
            } else {
                object.array("content", |parts| {
                    for block in blocks {
                        self.part(parts, at, block);
                    }
                });
            }
        });
    }

    fn is_one_string(&self, blocks: &[&Block]) -> bool {
        let keeps_mark = |block: &Block| block.cache.is_some() && self.target.profile.has_cache_marks;
        blocks.iter().all(|block| is_textual(block) && !keeps_mark(block))
    }

    /// Writes a result's message and gives back the media that it could not hold.
    fn result<'b>(
        &mut self,
        array: &mut Array<'_>,
        at: usize,
        result: &'b ToolResult,
        block: &Block,
    ) -> Vec<&'b Block> {
        let profile = self.target.profile;
        let holds_media = profile.has_media_in_tool_results;
        let mut media: Vec<&Block> = Vec::new();
        array.object(|object| {
            object.str("role", "tool");
            object.str("tool_call_id", &result.call_id);
            if self.request.origin == Format::Chat {
                block.ext.write(object);
            }
            let has_media = result.content.iter().any(|block| !is_textual(block));
            let mark = block.cache.filter(|_| profile.has_cache_marks);
            if has_media && holds_media {
                object.array("content", |parts| {
                    for block in &result.content {
                        self.part(parts, at, block);
                    }
                });
                return;
            }
            let mut text = String::new();
            for block in &result.content {
                let line = textual(block).unwrap_or_else(|| {
                    media.push(block);
                    let kind = kind_word(block);
                    format!("[{kind} {} of this result follows in the next user message]", media.len()).into()
                });
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&line);
            }
            if let Some(structured) = result.structured.as_ref().filter(|_| text.is_empty()) {
                text.push_str(structured.as_str());
            }
            match mark {
                Some(mark) => {
                    object.array("content", |parts| text_part(parts, &text, Some(mark)));
                }
                None => object.str("content", &text),
            }
        });
        media
    }

    fn part(&mut self, parts: &mut Array<'_>, at: usize, block: &Block) {
        let mark = block.cache.filter(|_| self.target.profile.has_cache_marks);
        if let Some(text) = textual(block) {
            text_part(parts, &text, mark);
            return;
        }
        match &block.content {
            Content::Image(image) => parts.object(|part| {
                part.str("type", "image_url");
                part.object("image_url", |url| {
                    if !media::write(url, "url", &image.source) {
                        self.fail(at, "image of a file store; send its bytes or address");
                    }
                    url.opt_str("detail", image.detail.as_deref());
                });
                write_mark(part, mark);
            }),
            Content::Audio(audio) => match &audio.source {
                Media::Inline { mime, base64 } if media::audio_format(mime).is_some() => {
                    parts.object(|part| {
                        part.str("type", "input_audio");
                        part.object("input_audio", |audio| {
                            audio.str("data", base64);
                            audio.opt_str("format", media::audio_format(mime));
                        });
                    });
                }
                _ => self.fail(at, "audio but wav and mp3 in the message itself"),
            },
            Content::Video(video) if self.target.profile.has_video => parts.object(|part| {
                part.str("type", "video_url");
                part.object("video_url", |url| {
                    if !media::write(url, "url", &video.source) {
                        self.fail(at, "video of a file store; send its bytes or address");
                    }
                });
            }),
            Content::Video(_) => self.fail(at, "video; describe it in text or choose another model"),
            Content::Document(document) => self.document(parts, at, document),
            Content::Native(native) if native.format == Format::Chat => parts.raw(native.value.as_str()),
            // Everything else has been put in other words before, or has none here.
            _ => {}
        }
    }

    fn document(&mut self, parts: &mut Array<'_>, at: usize, document: &Document) {
        if let Media::File { owner, .. } = &document.source
            && *owner != self.target.profile.owner
        {
            self.fail(
                at,
                "file of another provider's store; file ids belong to the provider that issued them",
            );
            return;
        }
        parts.object(|part| {
            part.str("type", "file");
            part.object("file", |file| {
                if let Media::File { id, .. } = &document.source {
                    file.str("file_id", id);
                    return;
                }
                let name = document.filename.as_deref().or(document.title.as_deref());
                file.str("filename", name.unwrap_or("document.pdf"));
                media::write(file, "file_data", &document.source);
            });
        });
    }

    fn assistant(&mut self, array: &mut Array<'_>, at: usize, turn: &Turn) {
        let said = Said::of(turn, self.target.profile.dialect);
        let reasoning = self.reasoning(at, &said);
        if said.is_empty() && reasoning.is_none() {
            return;
        }
        let is_own = self.request.origin == Format::Chat;
        array.object(|object| {
            object.str("role", "assistant");
            object.opt_str("name", turn.name.as_deref());
            if is_own {
                turn.ext.write(object);
            }
            let marks = self.target.profile.has_cache_marks
                && said.texts.iter().any(|(block, _)| block.is_some_and(|block| block.cache.is_some()));
            if marks {
                object.array("content", |parts| {
                    for (block, text) in &said.texts {
                        text_part(parts, text, block.and_then(|block| block.cache));
                    }
                });
            } else if said.texts.is_empty() {
                let has_more = !said.calls.is_empty() || said.refusal.is_some() || !said.native.is_empty();
                object.str_or_null("content", if has_more { None } else { Some("") });
            } else {
                object.str("content", &said.joined());
            }
            object.opt_str("refusal", said.refusal);
            if let Some(reasoning) = reasoning {
                reasoning.write(object);
            }
            for native in &said.native {
                let _checked = native.reader().object(|key, value| {
                    object.raw(key, value.raw()?);
                    Ok(())
                });
            }
            if !said.calls.is_empty() {
                object.array("tool_calls", |array| {
                    for call in &said.calls {
                        array.object(|object| self.call(object, call));
                    }
                });
            }
        });
    }

    fn call(&self, object: &mut Object<'_>, call: &ToolCall) {
        object.str("id", &call.call_id);
        match call.kind {
            CallKind::Custom if self.target.profile.has_custom_tools => {
                object.str("type", "custom");
                object.object("custom", |custom| {
                    custom.str("name", &call.name);
                    custom.str("input", call.arguments.as_str());
                });
            }
            kind => {
                object.str("type", "function");
                object.object("function", |function| {
                    function.str("name", &call.name);
                    let arguments = call.arguments.as_str();
                    match kind {
                        CallKind::Custom => {
                            let input = crate::json::Raw::object(|object| object.str("input", arguments));
                            function.str("arguments", input.as_str());
                        }
                        CallKind::Function if arguments.trim().is_empty() => function.str("arguments", "{}"),
                        CallKind::Function => function.str("arguments", arguments),
                    }
                });
            }
        }
        let signature = call.opaque.as_ref().filter(|state| {
            self.target.profile.owner == Owner::Google
                && state.owner == Owner::Google
                && state.kind == OpaqueKind::GeminiThought
        });
        if let Some(signature) = signature {
            object.object("extra_content", |extra| {
                extra.object("google", |google| google.str("thought_signature", &signature.data));
            });
        }
    }

    /// What of a turn's reasoning goes back.
    fn reasoning<'b>(&self, at: usize, said: &Said<'b>) -> Option<Returned<'b>> {
        let is_current = self.last_user_text.is_none_or(|last| at > last);
        let text = || {
            let texts: Vec<String> =
                said.reasoning.iter().map(|block| block.text()).filter(|text| !text.is_empty()).collect();
            texts.join("\n\n")
        };
        let returned =
            |key: &'static str, text: String, details: Vec<&'b str>| Returned { key, text, details };
        match self.target.profile.reasoning_history {
            ReasoningHistory::None => None,
            ReasoningHistory::RequiredOnToolTurns => (is_current && !said.calls.is_empty())
                .then(|| returned("reasoning_content", text(), Vec::new())),
            history @ (ReasoningHistory::Content | ReasoningHistory::Reasoning) => {
                let key =
                    if history == ReasoningHistory::Content { "reasoning_content" } else { "reasoning" };
                let text = if is_current { text() } else { String::new() };
                (!text.is_empty()).then(|| returned(key, text, Vec::new()))
            }
            ReasoningHistory::Details => {
                let details: Vec<&str> = said
                    .reasoning
                    .iter()
                    .flat_map(|block| &block.opaque)
                    .filter(|state| state.kind == OpaqueKind::RouterDetail)
                    .map(|state| &*state.data)
                    .collect();
                let text = if is_current || !details.is_empty() { text() } else { String::new() };
                (!text.is_empty() || !details.is_empty()).then(|| returned("reasoning", text, details))
            }
        }
    }
}

/// Reasoning members of an assistant message.
struct Returned<'a> {
    key: &'static str,
    text: String,
    details: Vec<&'a str>,
}

impl Returned<'_> {
    fn write(&self, object: &mut Object<'_>) {
        object.str(self.key, &self.text);
        if !self.details.is_empty() {
            object.array("reasoning_details", |array| {
                for detail in &self.details {
                    array.raw(detail);
                }
            });
        }
    }
}

/// An assistant turn taken apart as the format has it.
#[derive(Default)]
struct Said<'a> {
    /// Runs of adjacent text, with the block for its cache mark.
    texts: Vec<(Option<&'a Block>, std::borrow::Cow<'a, str>)>,
    refusal: Option<&'a str>,
    reasoning: Vec<&'a Reasoning>,
    calls: Vec<&'a ToolCall>,
    native: Vec<&'a crate::json::Raw>,
}

impl<'a> Said<'a> {
    fn of(turn: &'a Turn, dialect: Dialect) -> Self {
        let mut said = Self::default();
        let mut is_adjacent = false;
        for block in &turn.blocks {
            let was_adjacent = std::mem::take(&mut is_adjacent);
            match &block.content {
                Content::Refusal(refusal) if matches!(dialect, Dialect::Native | Dialect::Azure) => {
                    said.refusal = Some(refusal);
                }
                Content::Refusal(refusal) => said.texts.push((None, (&**refusal).into())),
                Content::Reasoning(reasoning) => said.reasoning.push(reasoning),
                Content::ToolCall(call) => said.calls.push(call),
                Content::Native(native) if native.format == Format::Chat => said.native.push(&native.value),
                _ => {
                    let Some(text) = textual(block) else { continue };
                    is_adjacent = true;
                    match said.texts.last_mut() {
                        Some((last, joined)) if was_adjacent => {
                            *last = Some(block);
                            joined.to_mut().push_str(&text);
                        }
                        _ => said.texts.push((Some(block), text)),
                    }
                }
            }
        }
        said
    }

    fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.calls.is_empty() && self.refusal.is_none() && self.native.is_empty()
    }

    fn joined(&self) -> std::borrow::Cow<'_, str> {
        match self.texts.as_slice() {
            [(_, only)] => std::borrow::Cow::Borrowed(only),
            several => several.iter().map(|(_, text)| &**text).collect::<Vec<_>>().join("\n\n").into(),
        }
    }
}

fn is_textual(block: &Block) -> bool {
    match &block.content {
        Content::Text(_) | Content::SearchResult(_) => true,
        Content::Document(document) => matches!(document.source, Media::Text { .. }),
        _ => false,
    }
}

/// The words of a block that is text in this format, whatever it was before.
fn textual(block: &Block) -> Option<std::borrow::Cow<'_, str>> {
    match &block.content {
        Content::Text(Text { text, .. }) => Some((&**text).into()),
        Content::Document(document) => {
            let Media::Text { text, .. } = &document.source else { return None };
            let name = document.title.as_deref().or(document.filename.as_deref());
            Some(format!("[document: {}]\n{text}", name.unwrap_or("untitled")).into())
        }
        Content::SearchResult(raw) => {
            let mut lines: Vec<String> = ["title", "source"]
                .iter()
                .filter_map(|key| raw.get(key).and_then(|value| value.to_text()))
                .collect();
            if let Some(content) = raw.get("content")
                && let Ok(text) = crate::chat::decode::part::joined_text(&mut content.reader())
            {
                lines.push(text);
            }
            Some(lines.join("\n").into())
        }
        _ => None,
    }
}

fn kind_word(block: &Block) -> &'static str {
    match &block.content {
        Content::Image(_) => "image",
        Content::Audio(_) => "audio",
        Content::Video(_) => "video",
        _ => "document",
    }
}

fn text_part(parts: &mut Array<'_>, text: &str, mark: Option<CacheMark>) {
    parts.object(|part| {
        part.str("type", "text");
        part.str("text", text);
        write_mark(part, mark);
    });
}

pub(super) fn write_mark(object: &mut Object<'_>, mark: Option<CacheMark>) {
    if let Some(mark) = mark {
        object.object("cache_control", |control| {
            control.str("type", "ephemeral");
            control.opt_str(
                "ttl",
                mark.ttl.map(|ttl| match ttl {
                    CacheTtl::FiveMinutes => "5m",
                    CacheTtl::ThirtyMinutes => "30m",
                    CacheTtl::OneHour => "1h",
                }),
            );
        });
    }
}

fn role_word(role: InstructionRole) -> &'static str {
    match role {
        InstructionRole::System => "system",
        InstructionRole::Developer => "developer",
    }
}
