//! The parts of one turn, joined into blocks: thoughts, signatures, calls, executed code.

use std::collections::HashMap;

use crate::gemini::part::{self, Part, Words};
use crate::id;
use crate::json::Raw;
use crate::model::{
    Anchor, Arguments, Block, CallKind, Content, Ext, Opaque, OpaqueKind, Owner, Reasoning, Str, Text,
    ToolCall,
};
use crate::opaque::{self, Unwrapped};

use super::result::tool_result;
use super::{code_call, code_result, hosted_tool, native};

/// The blocks of one content in the making.
pub(super) struct History {
    /// Ordinal of the content.
    pub(super) ordinal: usize,
    pub(super) calls: u32,
    /// Id of the code that the next code result belongs to.
    pub(super) code: Option<Str>,
    pub(super) blocks: Vec<Block>,
    /// Where the blocks begin whose thinking no part has carried yet.
    uncarried: usize,
    /// Text of consecutive thought parts that no signature has ended yet.
    thought: String,
}

impl History {
    pub(super) fn new(ordinal: usize) -> Self {
        Self { ordinal, calls: 0, code: None, blocks: Vec::new(), uncarried: 0, thought: String::new() }
    }

    pub(super) fn add(&mut self, part: &mut Part<'_>) {
        let text = part.text.take().map(Words::whole);
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
            Block::new(Content::ToolResult(tool_result(result))).put(&mut self.blocks);
        } else if let Some(blob) = part.blob.take() {
            let content = part::media(blob, part.clip, resolution);
            self.media(content, part.signature.as_deref());
        } else if let Some(content) = self.executed(part) {
            self.blocks.push(Block::new(content));
        } else if let Some(text) = text {
            self.text(text, part.signature.as_deref());
        } else if part.is_foreign {
            self.blocks.push(Block::new(Content::Native(native(part.whole.raw()))));
        } else if let (Some(clip), Some(Block { content: Content::Video(video), .. })) =
            (part.clip, self.blocks.last_mut())
        {
            video.clip.get_or_insert_with(|| Raw::new(clip));
        } else if let Some(signature) = part.signature.as_deref() {
            self.text(Str::default(), Some(signature));
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
        self.thought.push_str(text);
        // A signed thought is whole: what follows is another one.
        if let Some(data) = signature {
            let (opaque, hidden) = read_signature(data, Anchor::This);
            let said = std::mem::take(&mut self.thought);
            let text = if said.is_empty() { hidden.as_deref().unwrap_or_default() } else { &said };
            self.blocks.push(thought(text, Some(opaque)));
        }
    }

    fn close_thought(&mut self) {
        if !self.thought.is_empty() {
            self.blocks.push(thought(&std::mem::take(&mut self.thought), None));
        }
    }

    pub(super) fn text(&mut self, text: Str, signature: Option<&str>) {
        let anchor = if text.is_empty() { Anchor::TrailingEmptyText } else { Anchor::Text };
        let opaque = signature.and_then(|data| self.own_signature(data, anchor));
        if !text.is_empty() || opaque.is_some() {
            let text = Text { opaque, ..Text::new(text) };
            Block::new(Content::Text(text)).put(&mut self.blocks);
        }
        self.mark(signature);
    }

    pub(super) fn call(&mut self, call: &part::Call<'_>, signature: Option<&str>) {
        let ordinal = self.calls;
        self.calls += 1;
        let name: Str = (*call.name.clone().unwrap_or_default()).into();
        let arguments = call.args.as_ref().map_or_else(|| "{}".into(), Raw::to_str);
        let call_id: Str = if let Some(id) = &call.id {
            (**id).into()
        } else {
            let prefix = format!("call_h{}_{ordinal}_", self.ordinal);
            id::hex(&prefix, 8, &[&name, &arguments]).into()
        };
        let opaque = signature.and_then(|data| self.own_signature(data, Anchor::ToolCall(ordinal)));
        let call = ToolCall {
            is_id_synthetic: call.id.is_none(),
            call_id,
            item_id: None,
            name,
            namespace: None,
            kind: CallKind::Function,
            arguments: Arguments::Json(arguments),
            native: None,
            caller: None,
            opaque,
        };
        Block::new(Content::ToolCall(call)).put(&mut self.blocks);
        // The next call carries what was thought behind this one.
        self.uncarried = self.blocks.len();
    }

    pub(super) fn media(&mut self, mut content: Content, signature: Option<&str>) {
        let opaque = signature.and_then(|data| self.own_signature(data, Anchor::This));
        let mut ext = Ext::new();
        match (&mut content, opaque) {
            (Content::Image(image), opaque) => image.opaque = opaque,
            (_, Some(opaque)) => ext.set("thoughtSignature", Raw::string(&opaque.data)),
            (_, None) => {}
        }
        self.blocks.push(Block { content, cache: None, ext });
        self.mark(signature);
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

    /// What is thought from here on is carried by a later part than the one just added.
    fn mark(&mut self, signature: Option<&str>) {
        if signature.is_some() {
            self.uncarried = self.blocks.len();
        }
    }

    /// The signature of a part that is not a thought. What turns out to be thinking of other providers is put back where
    /// it was, before what follows from it.
    fn own_signature(&mut self, data: &str, anchor: Anchor) -> Option<Opaque> {
        if data.starts_with(opaque::PREFIX) {
            let mut thoughts = opaque::unwrap_all(data);
            if let [Unwrapped { opaque, .. }] = thoughts.as_slice()
                && opaque.kind == OpaqueKind::GeminiThought
            {
                return thoughts.pop().map(|thought| thought.opaque);
            }
            if !thoughts.is_empty() {
                self.restore(thoughts);
                return None;
            }
        }
        Some(read_signature(data, anchor).0)
    }

    /// Puts thinking back that a part carried: into its own place where the client kept that, else behind the thought
    /// before it. The first goes to where the blocks begin that this part stands for.
    fn restore(&mut self, thoughts: Vec<Unwrapped>) {
        let tail = self.blocks.split_off(self.uncarried);
        // Signed ones by their state, others by their text.
        let mut kept: HashMap<Str, usize> = HashMap::new();
        for (at, block) in tail.iter().enumerate() {
            if let Content::Reasoning(thought) = &block.content {
                let state = thought.opaque.first().map(|state| Str::clone(&state.data));
                kept.entry(state.unwrap_or_else(|| thought.text().into())).or_insert(at);
            }
        }
        let mut tail = tail.into_iter();
        let mut passed = 0;
        for Unwrapped { opaque, text } in thoughts {
            let text = text.unwrap_or_default();
            if let Some(at) = kept.remove(&opaque.data) {
                self.blocks.extend(tail.by_ref().take((at + 1).saturating_sub(passed)));
                passed = passed.max(at + 1);
                continue;
            }
            let place = kept.remove(&text).filter(|at| *at >= passed && !text.is_empty());
            if let Some(at) = place {
                self.blocks.extend(tail.by_ref().take(at - passed));
                passed = at + 1;
                tail.next();
            }
            self.blocks.push(thought(&text, Some(opaque)));
        }
        self.blocks.extend(tail);
    }

    pub(super) fn finish(mut self) -> Vec<Block> {
        self.close_thought();
        self.blocks
    }
}

fn thought(text: &str, state: Option<Opaque>) -> Block {
    let is_redacted = state.as_ref().is_some_and(|state| state.kind == OpaqueKind::ClaudeRedacted);
    let summary = if text.is_empty() { Vec::new() } else { vec![text.into()] };
    let opaque = state.into_iter().collect();
    Block::new(Content::Reasoning(Reasoning { id: None, summary, raw: Vec::new(), opaque, is_redacted }))
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
