//! Turns of the assistant: what it said, thought and called.

use crate::format::Format;
use crate::json::{Array, Object};
use crate::model::{Block, CallKind, Content, OpaqueKind, Owner, Reasoning, Str, ToolCall, Turn};
use crate::profile::{Dialect, ReasoningHistory};

use super::Messages;
use super::part::{text_part, textual};

impl Messages<'_> {
    pub(super) fn assistant(&mut self, array: &mut Array<'_>, at: usize, turn: &Turn) {
        let said = Said::of(turn, self.target.profile.dialect);
        let reasoning = self.reasoning(at, &said);
        if said.is_empty() && reasoning.is_none() {
            return;
        }
        let is_own = self.request.origin == Format::Chat;
        array.object(|object| {
            object.str("role", "assistant");
            object.opt_str("name", turn.name.as_ref());
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
                    custom.str("input", call.arguments.text());
                });
            }
            kind => {
                object.str("type", "function");
                object.object("function", |function| {
                    function.str("name", &call.name);
                    let arguments = call.arguments.text();
                    match kind {
                        CallKind::Custom => {
                            let input = crate::json::Raw::object(|object| object.str("input", arguments));
                            function.str("arguments", input.as_str());
                        }
                        CallKind::Function if arguments.is_blank() => function.str("arguments", "{}"),
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
    pub(super) fn write(&self, object: &mut Object<'_>) {
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
    texts: Vec<(Option<&'a Block>, Str)>,
    refusal: Option<&'a Str>,
    reasoning: Vec<&'a Reasoning>,
    calls: Vec<&'a ToolCall>,
    native: Vec<&'a crate::json::Raw>,
}

impl<'a> Said<'a> {
    pub(super) fn of(turn: &'a Turn, dialect: Dialect) -> Self {
        let mut said = Self::default();
        let mut is_adjacent = false;
        for block in &turn.blocks {
            let was_adjacent = std::mem::take(&mut is_adjacent);
            match &block.content {
                Content::Refusal(refusal) if matches!(dialect, Dialect::Native | Dialect::Azure) => {
                    said.refusal = Some(refusal);
                }
                Content::Refusal(refusal) => said.texts.push((None, refusal.clone())),
                Content::Reasoning(reasoning) => said.reasoning.push(reasoning),
                Content::ToolCall(call) => said.calls.push(call),
                Content::Native(native) if native.format == Format::Chat => said.native.push(&native.value),
                _ => {
                    let Some(text) = textual(block) else { continue };
                    is_adjacent = true;
                    match said.texts.last_mut() {
                        Some((last, joined)) if was_adjacent => {
                            *last = Some(block);
                            *joined = format!("{joined}{text}").into();
                        }
                        _ => said.texts.push((Some(block), text)),
                    }
                }
            }
        }
        said
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.calls.is_empty() && self.refusal.is_none() && self.native.is_empty()
    }

    fn joined(&self) -> Str {
        Str::joined(self.texts.iter().map(|(_, text)| text.clone()), "\n\n")
    }
}
