//! A block of an upstream's stream between its start and its stop.

use crate::Error;
use crate::format::Format;
use crate::json::{Raw, Reader, Surrogates};
use crate::model::{
    Anchor, Block, BlockKind, CallKind, Channel, Content, Delta, Event, Hosted, Native, Opaque, OpaqueKind,
    Owner,
};

use super::super::request::copy_members;
use super::super::{block, citation, hosted};
use super::frame::Piece;

/// An open block.
#[derive(Debug)]
pub(super) struct Open {
    /// The upstream's index.
    pub(super) index: u64,
    /// Our ordinal.
    pub(super) block: u32,
    state: State,
    text: Surrogates,
}

#[derive(Debug)]
enum State {
    Text,
    Reasoning {
        signature: String,
        /// Some of it was told.
        is_said: bool,
    },
    Call {
        /// The input of the start, for upstreams that send no deltas.
        input: Option<String>,
        is_fed: bool,
    },
    Hosted {
        hosted: Box<Hosted>,
        input: String,
    },
    Native {
        native: Native,
        content: String,
    },
}

impl Open {
    /// Opens the block that `content_block` describes. `missing_id` makes an id for a call without one.
    pub(super) fn start(
        index: u64,
        ordinal: u32,
        content_block: &str,
        missing_id: impl FnOnce(&str) -> String,
        out: &mut Vec<Event>,
    ) -> Result<Self, Error> {
        let with_id = ensure_id(content_block, missing_id);
        let is_id_synthetic = with_id.is_some();
        let text = with_id.as_deref().unwrap_or(content_block);
        let mut blocks = Vec::new();
        let kind = Raw::new(text).get("type").and_then(|kind| kind.to_text()).unwrap_or_default();
        let mut open = Self { index, block: ordinal, state: State::Text, text: Surrogates::default() };
        // Thinking is read here: in a start, text and signature are often empty or absent.
        if kind == "thinking" {
            let member =
                |name: &str| Raw::new(text).get(name).and_then(|raw| raw.to_text()).unwrap_or_default();
            open.state = State::Reasoning { signature: member("signature"), is_said: false };
            open.begin(BlockKind::Reasoning { id: None, is_redacted: false }, out);
            open.thinking(member("thinking"), out);
            return Ok(open);
        }
        block::read(&mut Reader::new(text), &mut blocks)?;
        let Some(first) = blocks.into_iter().next() else {
            return Err(Error::malformed("the block holds nothing"));
        };
        open.take(first, is_id_synthetic, out);
        Ok(open)
    }

    fn take(&mut self, first: Block, is_id_synthetic: bool, out: &mut Vec<Event>) {
        match first.content {
            Content::Text(text) => {
                self.begin(BlockKind::Text, out);
                if !text.text.is_empty() {
                    self.delta(Delta::Text(text.text.to_string()), out);
                }
                for annotation in text.annotations {
                    self.delta(Delta::Annotation(annotation), out);
                }
            }
            Content::Reasoning(reasoning) => {
                self.state = State::Reasoning { signature: String::new(), is_said: false };
                self.begin(BlockKind::Reasoning { id: None, is_redacted: reasoning.is_redacted }, out);
                self.thinking(reasoning.text(), out);
                for opaque in reasoning.opaque {
                    self.delta(Delta::Opaque(opaque), out);
                }
            }
            Content::ToolCall(call) => {
                let input = call.arguments.as_str();
                let input = (!matches!(input, "{}" | "null" | "\"\"")).then(|| input.to_owned());
                self.state = State::Call { input, is_fed: false };
                self.begin(
                    BlockKind::ToolCall {
                        call_id: call.call_id,
                        is_id_synthetic,
                        item_id: None,
                        name: call.name,
                        namespace: None,
                        kind: CallKind::Function,
                        native: None,
                        caller: call.caller,
                        opaque: None,
                    },
                    out,
                );
            }
            Content::Hosted(hosted) => {
                self.begin(BlockKind::Hosted(Box::new(hosted.clone())), out);
                self.state = State::Hosted { hosted: Box::new(hosted), input: String::new() };
            }
            Content::Image(image) => {
                self.begin(BlockKind::Image(Box::new(image)), out);
            }
            Content::Document(document) => {
                self.begin(BlockKind::Document(Box::new(document)), out);
            }
            other => {
                let native = match other {
                    Content::Native(native) => native,
                    Content::SearchResult(value) => Native { format: Format::Claude, value },
                    // Results of client tools do not occur in answers.
                    _ => Native { format: Format::Claude, value: Raw::new("{}") },
                };
                self.begin(BlockKind::Native(native.clone()), out);
                self.state = State::Native { native, content: String::new() };
            }
        }
    }

    fn begin(&self, kind: BlockKind, out: &mut Vec<Event>) {
        out.push(Event::BlockStart { candidate: 0, block: self.block, kind });
    }

    fn delta(&self, delta: Delta, out: &mut Vec<Event>) {
        out.push(Event::Delta { candidate: 0, block: self.block, delta });
    }

    fn thinking(&mut self, text: String, out: &mut Vec<Event>) {
        if !text.is_empty() {
            if let State::Reasoning { is_said, .. } = &mut self.state {
                *is_said = true;
            }
            self.delta(Delta::Reasoning { channel: Channel::Summary, part: 0, text }, out);
        }
    }

    /// True for a call that the client executes.
    pub(super) fn is_call(&self) -> bool {
        matches!(self.state, State::Call { .. })
    }

    /// Takes one delta.
    pub(super) fn piece(&mut self, piece: Piece<'_>, out: &mut Vec<Event>) -> Result<(), Error> {
        if let Some(text) = piece.text {
            let text = self.text.join(text);
            if !text.is_empty() && matches!(self.state, State::Text) {
                self.delta(Delta::Text(text.into_owned()), out);
            }
        } else if let Some(text) = piece.thinking {
            let text = self.text.join(text);
            if matches!(self.state, State::Reasoning { .. }) {
                self.thinking(text.into_owned(), out);
            }
        } else if let Some(more) = piece.signature {
            if let State::Reasoning { signature, .. } = &mut self.state {
                signature.push_str(&more);
            }
        } else if let Some(json) = piece.json {
            let json = self.text.join(json);
            self.input(&json, out);
        } else if let Some(raw) = piece.citation {
            if let (State::Text, Some(annotation)) = (&self.state, citation::read(&mut Reader::new(raw))?) {
                self.delta(Delta::Annotation(annotation), out);
            }
        } else if let (Some(more), State::Native { content, .. }) = (piece.content, &mut self.state) {
            content.push_str(&more);
        }
        Ok(())
    }

    fn input(&mut self, json: &str, out: &mut Vec<Event>) {
        if json.is_empty() {
            return;
        }
        match &mut self.state {
            State::Call { is_fed, .. } => {
                *is_fed = true;
                self.delta(Delta::Arguments(json.to_owned()), out);
            }
            State::Hosted { input, .. } => input.push_str(json),
            _ => {}
        }
    }

    /// Closes the block.
    pub(super) fn stop(mut self, out: &mut Vec<Event>) {
        let rest = self.text.finish().map(String::from);
        let mut full = None;
        match std::mem::replace(&mut self.state, State::Text) {
            State::Text => {
                if let Some(rest) = rest {
                    self.delta(Delta::Text(rest), out);
                }
            }
            State::Reasoning { signature, is_said } => {
                let is_said = is_said || rest.is_some();
                self.thinking(rest.unwrap_or_default(), out);
                if !signature.is_empty() {
                    // A look-alike may be a gateway itself and pass on somebody else's state in its envelope.
                    let (opaque, hidden) = crate::opaque::unwrap(&signature).map_or_else(
                        || {
                            let own = Opaque {
                                owner: Owner::Anthropic,
                                kind: OpaqueKind::ClaudeSignature,
                                scope: None,
                                model: None,
                                data: signature.into(),
                                anchor: Anchor::This,
                            };
                            (own, None)
                        },
                        |unwrapped| (unwrapped.opaque, unwrapped.text),
                    );
                    if let Some(text) = hidden.filter(|_| !is_said) {
                        self.thinking(text.to_string(), out);
                    }
                    if !opaque.data.is_empty() {
                        self.delta(Delta::Opaque(opaque), out);
                    }
                }
            }
            State::Call { input, is_fed } => {
                if let Some(rest) = rest {
                    self.delta(Delta::Arguments(rest), out);
                } else if !is_fed {
                    self.delta(Delta::Arguments(input.unwrap_or_else(|| "{}".to_owned())), out);
                }
            }
            State::Hosted { mut hosted, input } => {
                if Raw::parse(&input).is_ok() {
                    let name = hosted.native.value.get("name").and_then(|name| name.to_text());
                    hosted.input = Some(hosted::input(name.as_deref().unwrap_or_default(), &input));
                    hosted.native.value = replaced(&hosted.native.value, "input", &input);
                    full = Some(Box::new(Block::new(Content::Hosted(*hosted))));
                }
            }
            State::Native { mut native, content } => {
                if !content.is_empty() {
                    let content = Raw::string(&content);
                    native.value = replaced(&native.value, "content", content.as_str());
                    full = Some(Box::new(Block::new(Content::Native(native))));
                }
            }
        }
        out.push(Event::BlockStop { candidate: 0, block: self.block, full });
    }
}

/// The object with one member set anew.
fn replaced(object: &Raw, name: &str, value: &str) -> Raw {
    Raw::object(|written| {
        copy_members(written, object.as_str(), &[name]);
        written.raw(name, value);
    })
}

/// The block of a call with an id, if it has none or an empty one.
fn ensure_id(content_block: &str, missing_id: impl FnOnce(&str) -> String) -> Option<String> {
    let block = Raw::new(content_block);
    if block.get("type")?.as_str() != "\"tool_use\"" {
        return None;
    }
    if block.get("id").and_then(|id| id.to_text()).is_some_and(|id| !id.is_empty()) {
        return None;
    }
    let name = block.get("name").and_then(|name| name.to_text()).unwrap_or_default();
    let id = Raw::string(&missing_id(&name));
    Some(replaced(&block, "id", id.as_str()).as_str().to_owned())
}
