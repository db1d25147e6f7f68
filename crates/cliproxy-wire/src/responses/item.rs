//! Items: one struct with the members of all item types, read in one pass, and what each type means.
//!
//! The same items stand in a request's `input` and in an answer's `output`; [`Source`] says which, because a request
//! is judged by its own format's rules while an answer is taken as it comes.

use std::borrow::Cow;

use crate::Error;
use crate::codec::UpstreamContext;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    Anchor, Arguments, Block, CallKind, Content, Ext, Image, Media, Native, Opaque, OpaqueKind, Owner,
    Reasoning, Str, ToolCall,
};
use crate::{id, opaque};

use super::content::{self, Parts};
use super::{hosted, typed};

/// Where an item stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// In a client's request.
    History,
    /// In an upstream's answer.
    Answer(&'a UpstreamContext),
}

/// An item with the members of all types.
#[derive(Debug, Default)]
pub(super) struct Item<'a> {
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) role: Option<Cow<'a, str>>,
    pub(super) id: Option<Str>,
    pub(super) call_id: Option<Str>,
    pub(super) name: Option<Str>,
    pub(super) namespace: Option<Str>,
    pub(super) phase: Option<Str>,
    pub(super) status: Option<Cow<'a, str>>,
    pub(super) arguments: Option<Str>,
    pub(super) input: Option<Str>,
    pub(super) content: Parts,
    pub(super) summary: Vec<Str>,
    pub(super) encrypted: Option<Str>,
    /// `output` of a result item where it is text or parts.
    pub(super) output: Parts,
    /// `action` or `operation`.
    payload: Option<&'a str>,
    environment: Option<&'a str>,
    result: Option<Str>,
    output_format: Option<Str>,
    /// At `tools`.
    pub(super) tools: Option<Reader<'a>>,
    /// Members without a place.
    pub(super) ext: Ext,
    /// At the item itself.
    whole: Option<Reader<'a>>,
}

impl<'a> Item<'a> {
    /// Reads an item.
    pub(super) fn read(value: &mut Reader<'a>) -> Result<Self, Error> {
        let mut item = Self::default();
        item.fill(value)?;
        Ok(item)
    }

    /// Reads an item into this empty one, which is not moved then: there are hundreds, and half a kilobyte of members.
    pub(super) fn fill(&mut self, value: &mut Reader<'a>) -> Result<(), Error> {
        self.whole = Some(value.clone());
        value.object(|key, value| self.member(key, value))
    }

    fn member(&mut self, key: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        match key {
            "type" => self.kind = value.opt(Reader::str)?,
            "role" => self.role = value.opt(Reader::str)?,
            "id" => self.id = super::text(value)?.filter(|id| !id.is_empty()),
            "call_id" => self.call_id = super::text(value)?.filter(|id| !id.is_empty()),
            "name" => self.name = super::text(value)?.filter(|name| !name.is_empty()),
            "namespace" => self.namespace = super::text(value)?.filter(|name| !name.is_empty()),
            "phase" => self.phase = super::text(value)?,
            "status" => self.status = value.opt(super::lenient_str)?.flatten(),
            "arguments" => self.arguments = super::text_or_json(value)?,
            "input" => self.input = super::text_or_json(value)?,
            "content" => content::read(value, &mut self.content)?,
            "summary" => {
                value.opt(|list| match list.kind() {
                    Kind::Array => list.array(|_, part| self.summary_part(part)),
                    _ => self.summary_part(list),
                })?;
            }
            "encrypted_content" => self.encrypted = super::text(value)?.filter(|data| !data.is_empty()),
            "output" => self.read_output(value)?,
            "action" | "operation" if value.kind() == Kind::Object => self.payload = Some(value.raw()?),
            "environment" => self.environment = value.opt(Reader::raw)?,
            "result" => self.result = super::lenient_text(value)?,
            "output_format" => self.output_format = super::lenient_text(value)?,
            "tools" if value.kind() == Kind::Array => self.tools = Some(value.clone()),
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    self.ext.set(key, other);
                }
            }
        }
        Ok(())
    }

    fn summary_part(&mut self, part: &mut Reader<'_>) -> Result<(), Error> {
        if part.kind() == Kind::String {
            let text = part.str()?;
            self.summary.push(text.as_ref().into());
            return Ok(());
        }
        part.object(|key, value| {
            if key == "text" {
                self.summary.extend(super::text(value)?);
            }
            Ok(())
        })
    }

    /// `output` is text, a list of parts, or a structure of its own whose text stands for it.
    fn read_output(&mut self, value: &mut Reader<'a>) -> Result<(), Error> {
        let mut look = value.clone();
        if value.kind() == Kind::Array {
            let mut is_parts = true;
            look.array(|_, entry| {
                is_parts &= entry.kind() == Kind::Object && {
                    let mut has_type = false;
                    entry.object(|key, _| {
                        has_type |= key == "type";
                        Ok(())
                    })?;
                    has_type
                };
                Ok(())
            })?;
            if is_parts {
                return content::read(value, &mut self.output);
            }
            let text = typed::output_text(value.raw()?);
            Block::text(text).put(&mut self.output.blocks);
            return Ok(());
        }
        if value.kind() == Kind::Object {
            // A single part, or the caller's own object.
            let span = value.raw()?;
            if crate::json::member(span, "type").is_some() {
                return content::read(&mut Reader::new(span), &mut self.output);
            }
            Block::text(span).put(&mut self.output.blocks);
            return Ok(());
        }
        if let Some(text) = super::text_or_json(value)? {
            Block::text(text).put(&mut self.output.blocks);
        }
        Ok(())
    }

    /// The type; items without one that have a role are messages.
    pub(super) fn kind(&self) -> Option<&str> {
        match &self.kind {
            Some(kind) => Some(kind),
            None => self.role.is_some().then_some("message"),
        }
    }

    /// True for messages of others that an answer repeats, as compaction does.
    pub(super) fn is_echo(&self) -> bool {
        self.role.as_deref().is_some_and(|role| role != "assistant")
    }

    /// The item as it was written.
    pub(super) fn span(&self) -> &'a str {
        self.whole.as_ref().and_then(|whole| whole.clone().raw().ok()).unwrap_or("null")
    }

    /// The item as a native value.
    pub(super) fn native(&self) -> Native {
        Native { format: Format::Responses, value: Raw::new(self.span()) }
    }

    /// The typed tool whose call this is; a shell that the provider runs in its own container is none.
    fn typed_call(&self) -> Option<typed::Typed> {
        let typed = typed::of(self.kind()?).filter(|typed| self.kind() == Some(typed.call))?;
        let is_container = self
            .environment
            .and_then(|environment| crate::json::member(environment, "type"))
            .is_some_and(|word| word.starts_with("\"container"));
        (!is_container).then_some(typed)
    }

    /// The call this item is, if it is one that the client executes.
    pub(super) fn call(&mut self, source: Source<'_>, ordinal: u32) -> Result<Option<ToolCall>, Error> {
        let typed = self.typed_call();
        let (kind, arguments, native) = match (self.kind(), typed) {
            (Some("function_call"), _) => (
                CallKind::Function,
                Arguments::Json(self.arguments.take().or_else(|| self.input.take()).unwrap_or_default()),
                None,
            ),
            (Some("custom_tool_call"), _) => (
                CallKind::Custom,
                Arguments::Text(self.input.take().or_else(|| self.arguments.take()).unwrap_or_default()),
                None,
            ),
            (_, Some(typed)) => {
                let arguments = typed.arguments(self.payload);
                (CallKind::Function, Arguments::Json(arguments.into()), Some(self.native()))
            }
            _ => return Ok(None),
        };
        let name = match (self.name.take(), typed) {
            (_, Some(typed)) => typed.name.into(),
            (Some(name), None) => name,
            (None, None) => match source {
                Source::History => return Err(Error::missing("name")),
                Source::Answer(_) => Str::default(),
            },
        };
        let (call_id, is_id_synthetic) = match (self.call_id.take(), &self.id, source) {
            (Some(call_id), ..) => (call_id, false),
            // The oldest of the typed items pairs by the item's own id.
            (None, Some(item_id), _) if typed.is_some() => (Str::clone(item_id), false),
            (None, _, Source::History) => return Err(Error::missing("call_id")),
            (None, _, Source::Answer(context)) => {
                (id::call(&context.request_id, 0, ordinal, &name).into(), true)
            }
        };
        Ok(Some(ToolCall {
            call_id,
            is_id_synthetic,
            item_id: self.id.take(),
            name,
            namespace: self.namespace.take(),
            kind,
            arguments,
            native,
            caller: self.ext.take("caller").map(own),
            opaque: None,
        }))
    }

    /// The thinking this item holds; `None` when it says nothing at all.
    pub(super) fn reasoning(&mut self, source: Source<'_>) -> Option<Reasoning> {
        let mut reasoning = Reasoning {
            id: self.id.take(),
            summary: std::mem::take(&mut self.summary),
            raw: std::mem::take(&mut self.content.reasoning),
            opaque: Vec::new(),
            is_redacted: false,
        };
        for block in &self.content.blocks {
            reasoning.raw.extend(block.as_text().map(|text| Str::clone(&text.text)));
        }
        if let Some(data) = self.encrypted.take() {
            let (state, text) = encrypted(data, source);
            reasoning.is_redacted = state.kind == OpaqueKind::ClaudeRedacted;
            reasoning.opaque.push(state);
            if reasoning.summary.is_empty() && reasoning.raw.is_empty() {
                reasoning.summary.extend(text);
            }
        }
        let says_nothing =
            reasoning.opaque.is_empty() && reasoning.summary.iter().chain(&reasoning.raw).all(Str::is_empty);
        (!says_nothing).then_some(reasoning)
    }

    /// The image this item made; `None` while it has none.
    pub(super) fn image(&mut self) -> Option<Image> {
        let base64 = self.result.take().filter(|data| !data.is_empty())?;
        let mime = match self.output_format.as_deref() {
            Some("jpeg" | "jpg") => "image/jpeg",
            Some("webp") => "image/webp",
            // The first bytes tell where the upstream does not.
            None if base64.starts_with("/9j/") => "image/jpeg",
            None if base64.starts_with("UklGR") => "image/webp",
            _ => "image/png",
        };
        Some(Image { source: Media::Inline { mime: mime.into(), base64 }, detail: None, opaque: None })
    }

    /// Adds the blocks that an item of the assistant's side stands for. `ordinal` seeds the id of a call without one.
    pub(super) fn put(
        &mut self,
        source: Source<'_>,
        ordinal: u32,
        out: &mut Vec<Block>,
    ) -> Result<(), Error> {
        let Some(kind) = self.kind() else { return Ok(()) };
        if kind == "reasoning" {
            if let Some(reasoning) = self.reasoning(source) {
                let ext = std::mem::take(&mut self.ext);
                Block { content: Content::Reasoning(reasoning), cache: None, ext }.put(out);
            }
            return Ok(());
        }
        if kind == "message" {
            let mut blocks = std::mem::take(&mut self.content.blocks);
            if matches!(source, Source::Answer(_)) {
                blocks.retain(|block| match &block.content {
                    Content::Native(_) => false,
                    Content::Text(text) => !text.text.is_empty(),
                    _ => true,
                });
            }
            out.append(&mut blocks);
            return Ok(());
        }
        if let Some(call) = self.call(source, ordinal)? {
            let ext = if call.native.is_some() { Ext::new() } else { std::mem::take(&mut self.ext) };
            Block { content: Content::ToolCall(call), cache: None, ext }.put(out);
            return Ok(());
        }
        if self.kind() == Some("image_generation_call")
            && matches!(source, Source::Answer(_))
            && let Some(image) = self.image()
        {
            Block::new(Content::Image(image)).put(out);
            return Ok(());
        }
        Block::new(self.hosted_or_native()).put(out);
        Ok(())
    }

    /// A hosted tool at work, or what only this format understands.
    pub(super) fn hosted_or_native(&self) -> Content {
        match self.kind().and_then(hosted::item) {
            Some((kind, phase)) => Content::Hosted(hosted::read(self.span(), kind, phase)),
            None => Content::Native(self.native()),
        }
    }
}

/// The state in `encrypted_content`, and the reasoning text where an envelope carries it.
fn encrypted(data: Str, source: Source<'_>) -> (Opaque, Option<Str>) {
    if let Source::Answer(context) = source {
        let state = Opaque {
            owner: context.owner,
            kind: OpaqueKind::OpenAiEncrypted,
            scope: context.scope.clone(),
            model: None,
            data,
            anchor: Anchor::This,
        };
        return (state, None);
    }
    if let Some(unwrapped) = opaque::unwrap(&data) {
        return (unwrapped.opaque, unwrapped.text);
    }
    let owner = opaque::classify(&data, Owner::OpenAi);
    let kind = match owner {
        Owner::OpenAi => OpaqueKind::OpenAiEncrypted,
        Owner::Anthropic => OpaqueKind::ClaudeSignature,
        Owner::Google => OpaqueKind::GeminiThought,
        Owner::Other => OpaqueKind::Other,
    };
    (Opaque { owner, kind, scope: None, model: None, data, anchor: Anchor::This }, None)
}

/// A value that only this format understands.
pub(super) fn own(value: Raw) -> Native {
    Native { format: Format::Responses, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(json: &str) -> Block {
        let (mut item, mut blocks) = (Item::read(&mut Reader::new(json)).unwrap(), Vec::new());
        item.put(Source::History, 0, &mut blocks).unwrap();
        blocks.pop().unwrap()
    }

    #[test]
    fn call_id_pairs_and_id_is_only_the_identity_of_the_item() {
        let block = block(
            r#"{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}","namespace":null}"#,
        );
        let Content::ToolCall(call) = block.content else { panic!("a call") };
        assert_eq!((&*call.call_id, call.item_id.as_deref(), call.namespace), ("c", Some("fc_1"), None));
    }

    #[test]
    fn typed_calls_are_functions_with_reserved_names() {
        let json = r#"{"type":"apply_patch_call","call_id":"c","status":"completed","operation":{"type":"delete_file","path":"p"}}"#;
        let Content::ToolCall(call) = block(json).content else { panic!("a call") };
        assert_eq!(&*call.name, "apply_patch");
        assert_eq!(call.arguments.as_str(), r#"{"type":"delete_file","path":"p"}"#);
        assert_eq!(call.native.unwrap().value.as_str(), json);
    }

    #[test]
    fn a_shell_in_a_container_is_the_providers_own() {
        let json = r#"{"type":"shell_call","call_id":"c","action":{"commands":["ls"]},"environment":{"type":"container_reference"}}"#;
        assert!(matches!(block(json).content, Content::Hosted(_)));
        let json = r#"{"type":"shell_call","call_id":"c","action":{"commands":["ls"]},"environment":{"type":"local"}}"#;
        assert!(matches!(block(json).content, Content::ToolCall(_)));
    }

    #[test]
    fn an_envelope_gives_back_its_owner_and_text() {
        let json = r#"{"type":"reasoning","summary":[],"encrypted_content":"R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09IiwidCI6Ik5lZWQgdGhlIHdlYXRoZXIuIn0="}"#;
        let Content::Reasoning(reasoning) = block(json).content else { panic!("reasoning") };
        assert_eq!(reasoning.summary, ["Need the weather."]);
        let state = reasoning.opaque.first().unwrap();
        assert_eq!((state.owner, &*state.data), (Owner::Anthropic, "ErUBsignature0001=="));
    }

    #[test]
    fn missing_ids_and_names_are_named() {
        for (json, path) in [
            (r#"{"type":"function_call","name":"f"}"#, "call_id"),
            (r#"{"type":"custom_tool_call","call_id":"c"}"#, "name"),
        ] {
            let mut item = Item::read(&mut Reader::new(json)).unwrap();
            let error = item.put(Source::History, 0, &mut Vec::new()).unwrap_err();
            assert_eq!(error.path().as_deref(), Some(path));
        }
    }
}
