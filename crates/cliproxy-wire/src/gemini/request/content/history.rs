//! The parts of one turn, joined into blocks: thoughts, signatures, calls, executed code.

use crate::gemini::part::{self, Part, Words};
use crate::json::Raw;
use crate::model::{
    Anchor, Arguments, Block, CallKind, Content, Ext, Opaque, OpaqueKind, Owner, Reasoning, Str, Text,
    ToolCall,
};
use crate::{id, opaque};

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
    /// Consecutive thought parts.
    thought: Option<Thought>,
}

impl History {
    pub(super) fn new(ordinal: usize) -> Self {
        Self { ordinal, calls: 0, code: None, blocks: Vec::new(), thought: None }
    }

    pub(super) fn add(&mut self, mut part: Part<'_>) {
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
            self.blocks.push(Block::new(Content::ToolResult(tool_result(result))));
        } else if let Some(blob) = part.blob.take() {
            let content = part::media(blob, part.clip, resolution);
            self.media(content, part.signature.as_deref());
        } else if let Some(content) = self.executed(&part) {
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

    pub(super) fn text(&mut self, text: Str, signature: Option<&str>) {
        let anchor = if text.is_empty() { Anchor::TrailingEmptyText } else { Anchor::Text };
        let opaque = signature.and_then(|data| self.own_signature(data, anchor));
        if !text.is_empty() || opaque.is_some() {
            let text = Text { opaque, ..Text::new(text) };
            self.blocks.push(Block::new(Content::Text(text)));
        }
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
        self.blocks.push(Block::new(Content::ToolCall(ToolCall {
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
        })));
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

    pub(super) fn finish(mut self) -> Vec<Block> {
        self.close_thought();
        self.blocks
    }
}

#[derive(Default)]
struct Thought {
    text: String,
    opaque: Vec<Opaque>,
    is_redacted: bool,
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
