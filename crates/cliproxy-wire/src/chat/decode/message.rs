//! Chat messages into turns: who speaks, in which order the parts of an assistant message stand, what a tool result
//! answers.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use crate::chat::detail;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    Anchor, Arguments, Block, CacheMark, CallKind, Content, Ext, Instruction, InstructionRole, Native,
    Opaque, OpaqueKind, Owner, Role, Str, ToolCall, ToolResult, Turn,
};
use crate::{Error, id, opaque};

use super::part;

/// The messages of a request.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) instructions: Vec<Instruction>,
    pub(super) turns: Vec<Turn>,
    /// A deprecated `function_call` or `function` message occurred.
    pub(super) is_legacy: bool,
    legacy_calls: usize,
    /// Deprecated calls that have no result yet, by the name of their function.
    unanswered: HashMap<Str, VecDeque<Str>>,
    /// Ids whose latest call is of a free-form tool: results do not say it themselves.
    custom: HashSet<Str>,
    /// The last turn holds results and nothing else, so that the next result joins it.
    is_result_turn: bool,
}

impl Conversation {
    /// Reads `messages`.
    pub(super) fn read(value: &mut Reader<'_>) -> Result<Self, Error> {
        let mut conversation = Self::default();
        value.array(|_, value| {
            let mut message = Message::default();
            value.object(|key, value| message.member(key, value))?;
            // Not moved: there are hundreds of messages, and half a kilobyte of members.
            conversation.add(&mut message)
        })?;
        Ok(conversation)
    }

    fn add(&mut self, message: &mut Message<'_>) -> Result<(), Error> {
        let Some(role) = message.role.take() else { return Err(Error::missing("role")) };
        match &*role {
            "system" => self.instruct(InstructionRole::System, message),
            "developer" => self.instruct(InstructionRole::Developer, message),
            "user" => {
                let blocks = message.blocks();
                self.push(Role::User, blocks, message);
                Ok(())
            }
            "assistant" | "model" => self.assistant(message),
            "tool" => {
                let Some(call_id) = message.tool_call_id.take().filter(|id| !id.is_empty()) else {
                    return Err(Error::missing("tool_call_id"));
                };
                self.result(&call_id, message);
                Ok(())
            }
            "function" => {
                self.is_legacy = true;
                let Some(name) = message.name.as_deref() else { return Err(Error::missing("name")) };
                let call_id = self.unanswered.get_mut(name).and_then(VecDeque::pop_front).unwrap_or_default();
                self.result(&call_id, message);
                Ok(())
            }
            other => Err(Error::malformed(format!(
                "unknown role {other:?}; use system, developer, user, assistant or tool"
            ))
            .under_key("role")),
        }
    }

    /// Adds a turn with what the message says of its speaker.
    fn push(&mut self, role: Role, blocks: Vec<Block>, message: &mut Message<'_>) {
        self.is_result_turn = false;
        let name = message.name.take().map(|name| (*name).into());
        let ext = std::mem::take(&mut message.ext);
        self.turns.push(Turn { name, ext, ..Turn::new(role, blocks) });
    }

    fn instruct(&mut self, role: InstructionRole, message: &mut Message<'_>) -> Result<(), Error> {
        if let Some(at) = message.content.iter().position(|block| block.as_text().is_none()) {
            return Err(Error::malformed("instructions hold text only").under_index(at).under_key("content"));
        }
        let blocks = message.blocks();
        if !self.turns.is_empty() {
            self.push(Role::Instruction(role), blocks, message);
            return Ok(());
        }
        let mut ext = std::mem::take(&mut message.ext);
        if let Some(name) = message.name.take() {
            ext.set("name", Raw::string(&name));
        }
        for block in blocks {
            let Content::Text(text) = block.content else { continue };
            self.instructions.push(Instruction {
                role,
                text: text.text,
                cache: block.cache,
                is_top_level: false,
                ext: ext.clone(),
            });
        }
        Ok(())
    }

    fn assistant(&mut self, message: &mut Message<'_>) -> Result<(), Error> {
        let mut details = std::mem::take(&mut message.details).unwrap_or_default();
        let turn = self.turns.len();
        let mut calls = Vec::with_capacity(message.calls.len());
        for (at, call) in std::mem::take(&mut message.calls).into_iter().enumerate() {
            let place = |error: Error| error.under_index(at).under_key("tool_calls");
            let mut call = call.finish(turn, at).map_err(place)?;
            if call.opaque.is_none() {
                call.opaque = details.take_call(u32::try_from(at).unwrap_or(u32::MAX));
            }
            calls.push(call);
        }
        if let Some(call) = message.function_call.take() {
            self.is_legacy = true;
            let mut call =
                call.finish(turn, calls.len()).map_err(|error| error.under_key("function_call"))?;
            call.call_id = format!("call_legacy_{}", self.legacy_calls).into();
            call.is_id_synthetic = true;
            self.legacy_calls += 1;
            let open = self.unanswered.entry(Str::clone(&call.name)).or_default();
            open.push_back(Str::clone(&call.call_id));
            calls.push(call);
        }
        for call in &calls {
            if call.kind == CallKind::Custom {
                self.custom.insert(Str::clone(&call.call_id));
            } else if !self.custom.is_empty() {
                self.custom.remove(&call.call_id);
            }
        }
        let text_state = details.take_text();
        let mut blocks = std::mem::take(&mut message.thinking);
        if blocks.is_empty() {
            details.blocks(message.reasoning(), &mut blocks);
        }
        blocks.reserve_exact(message.content.len() + calls.len());
        blocks.append(&mut message.blocks());
        blocks.append(&mut message.images);
        let mut signature = message.signature.as_deref().map(google).or(text_state);
        if signature.is_some() {
            match blocks.iter_mut().rev().find_map(|block| match &mut block.content {
                Content::Text(text) => Some(&mut text.opaque),
                _ => None,
            }) {
                Some(slot) => {
                    *slot = signature.take().map(|state| Opaque { anchor: text_anchor(&state), ..state });
                }
                None => {
                    if let Some(call) = calls.first_mut().filter(|call| call.opaque.is_none()) {
                        call.opaque = signature.take();
                    }
                }
            }
        }
        if let Some(refusal) = message.refusal.take().filter(|refusal| !refusal.is_empty()) {
            blocks.push(Block::new(Content::Refusal(refusal)));
        }
        if let Some(audio) = message.audio.take() {
            let value = Raw::object(|object| object.raw("audio", audio.as_str()));
            blocks.push(Block::new(Content::Native(Native { format: Format::Chat, value })));
        }
        blocks.extend(calls.into_iter().map(|call| Block::new(Content::ToolCall(call))));
        self.push(Role::Assistant, blocks, message);
        Ok(())
    }

    fn result(&mut self, call_id: &str, message: &mut Message<'_>) {
        let result = Content::ToolResult(ToolResult {
            call_id: call_id.into(),
            name: message.name.take().map(|name| (*name).into()),
            kind: if self.custom.contains(call_id) { CallKind::Custom } else { CallKind::Function },
            content: std::mem::take(&mut message.content),
            structured: None,
            is_error: None,
            native: None,
        });
        let block = Block { content: result, cache: message.cache, ext: std::mem::take(&mut message.ext) };
        if let Some(turn) = self.turns.last_mut().filter(|_| self.is_result_turn) {
            turn.blocks.push(block);
        } else {
            self.push(Role::User, vec![block], message);
            self.is_result_turn = true;
        }
    }
}

/// Members of a message, whoever speaks.
#[derive(Default)]
struct Message<'a> {
    role: Option<Cow<'a, str>>,
    content: Vec<Block>,
    name: Option<Cow<'a, str>>,
    tool_call_id: Option<Cow<'a, str>>,
    calls: Vec<Call<'a>>,
    function_call: Option<Call<'a>>,
    refusal: Option<Str>,
    /// `reasoning_content`, `reasoning`, `reasoning_text`, `thinking`: the first that says something counts.
    reasoning: [Option<Str>; 4],
    details: Option<detail::History>,
    /// `thinking_blocks`
    thinking: Vec<Block>,
    /// `images`: what the model drew, as answers give it.
    images: Vec<Block>,
    audio: Option<Raw>,
    cache: Option<CacheMark>,
    signature: Option<Cow<'a, str>>,
    ext: Ext,
}

impl<'a> Message<'a> {
    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        if value.kind() == Kind::Null {
            return value.skip();
        }
        let [content, reasoning, text, thinking] = &mut self.reasoning;
        match key {
            "role" => self.role = Some(value.str()?),
            "content" => part::content(value, &mut self.content)?,
            "name" => self.name = Some(value.str()?),
            "tool_call_id" => self.tool_call_id = Some(value.str()?),
            "tool_calls" => value.array(|_, value| {
                let mut call = Call::default();
                value.object(|key, value| call.member(key, value))?;
                // Most messages hold one.
                self.calls.reserve_exact(usize::from(self.calls.is_empty()));
                self.calls.push(call);
                Ok(())
            })?,
            "function_call" if value.kind() == Kind::Object => {
                let mut call = Call::default();
                call.function(value)?;
                self.function_call = Some(call);
            }
            "refusal" => self.refusal = Some(value.kept()?),
            "reasoning_content" if value.kind() == Kind::String => *content = Some(value.kept()?),
            "reasoning" if value.kind() == Kind::String => *reasoning = Some(value.kept()?),
            "reasoning_text" if value.kind() == Kind::String => *text = Some(value.kept()?),
            "thinking" if value.kind() == Kind::String => *thinking = Some(value.kept()?),
            "reasoning_details" => self.details = Some(detail::History::read(value)?),
            "thinking_blocks" => part::content(value, &mut self.thinking)?,
            "images" if self.role.as_deref().is_none_or(|role| role == "assistant") => {
                part::content(value, &mut self.images)?;
                // Their numbers only say how streams join.
                self.images.iter_mut().for_each(|image| image.ext = Ext::new());
            }
            "audio" => self.audio = Some(value.to_raw()?),
            "cache_control" => self.cache = part::cache_mark(value)?,
            "extra_content" | "provider_specific_fields" => {
                self.signature = signature(value)?.or_else(|| self.signature.take());
            }
            _ => self.ext.set(key, value.to_raw()?),
        }
        Ok(())
    }

    /// The content, with the message's own cache mark on the last block.
    fn blocks(&mut self) -> Vec<Block> {
        let mut blocks = std::mem::take(&mut self.content);
        if let Some(block) = blocks.last_mut() {
            block.cache = block.cache.or(self.cache);
        }
        blocks
    }

    fn reasoning(&self) -> Option<Str> {
        self.reasoning.iter().flatten().find(|text| !text.is_empty()).cloned()
    }
}

/// A call of an assistant message.
#[derive(Default)]
struct Call<'a> {
    id: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    arguments: Option<Str>,
    is_custom: bool,
    signature: Option<Cow<'a, str>>,
}

impl<'a> Call<'a> {
    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        if value.kind() == Kind::Null {
            return value.skip();
        }
        match key {
            "id" => self.id = Some(value.str()?),
            "function" => self.function(value)?,
            // Some servers write an empty `custom` beside the function.
            "custom" => value.object(|key, value| {
                match key {
                    "name" => {
                        let name = value.opt(Reader::str)?.filter(|name| !name.is_empty());
                        self.is_custom = name.is_some();
                        self.name = name.or_else(|| self.name.take());
                    }
                    "input" => {
                        let input = value.opt(Reader::kept)?.filter(|input| !input.is_empty());
                        self.arguments = input.or_else(|| self.arguments.take());
                    }
                    _ => {}
                }
                Ok(())
            })?,
            "extra_content" | "provider_specific_fields" => {
                self.signature = signature(value)?.or_else(|| self.signature.take());
            }
            _ => {}
        }
        Ok(())
    }

    fn function(&mut self, value: &mut Reader<'a>) -> Result<(), Error> {
        value.object(|key, value| {
            match key {
                "name" => self.name = value.opt(Reader::str)?.or_else(|| self.name.take()),
                "arguments" => {
                    self.arguments = match value.kind() {
                        Kind::Null => value.skip().map(|()| None)?,
                        Kind::String => Some(value.kept()?),
                        _ => Some(value.kept_raw()?.to_str()),
                    };
                }
                _ => {}
            }
            Ok(())
        })
    }

    fn finish(self, turn: usize, at: usize) -> Result<ToolCall, Error> {
        let name = self.name.filter(|name| !name.trim().is_empty());
        let Some(name) = name else { return Err(Error::missing("name").under_key("function")) };
        let arguments = self.arguments.unwrap_or_default();
        let id = self.id.filter(|id| !id.is_empty());
        let is_id_synthetic = id.is_none();
        let call_id: Str = match id {
            Some(id) => (*id).into(),
            None => id::hex(&format!("call_h{turn}_{at}_"), 8, &[name.trim(), &*arguments]).into(),
        };
        let kind = if self.is_custom { CallKind::Custom } else { CallKind::Function };
        Ok(ToolCall {
            call_id,
            is_id_synthetic,
            item_id: None,
            name: name.trim().into(),
            namespace: None,
            kind,
            arguments: match kind {
                CallKind::Function => Arguments::Json(arguments),
                CallKind::Custom => Arguments::Text(arguments),
            },
            native: None,
            caller: None,
            opaque: self.signature.as_deref().map(google),
        })
    }
}

/// `google.thought_signature` or `thought_signature` of an extension object.
pub(in crate::chat) fn signature<'a>(value: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Error> {
    if value.kind() != Kind::Object {
        return value.skip().map(|()| None);
    }
    let mut found = None;
    value.object(|key, value| {
        match key {
            "google" => found = signature(value)?.or_else(|| found.take()),
            "thought_signature" if value.kind() == Kind::String => found = Some(value.str()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(found.filter(|found| !found.is_empty()))
}

/// A signature found in Google's slot.
pub(in crate::chat) fn google(data: &str) -> Opaque {
    if let Some(unwrapped) = opaque::unwrap(data) {
        return unwrapped.opaque;
    }
    Opaque {
        owner: opaque::classify(data, Owner::Google),
        kind: OpaqueKind::GeminiThought,
        scope: None,
        model: None,
        data: data.into(),
        anchor: Anchor::This,
    }
}

fn text_anchor(state: &Opaque) -> Anchor {
    match state.anchor {
        Anchor::This | Anchor::ToolCall(_) => Anchor::Text,
        anchor => anchor,
    }
}
