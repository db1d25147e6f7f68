//! Gateway envelopes in the history of a passthrough request.
//!
//! A conversation may have been answered by another provider before: then signature slots hold envelopes that the
//! upstream cannot read. State that the upstream itself made is put back as it was, foreign state is taken out, with
//! what cannot stand without it. Nothing else in the history needs repair: whatever the gateway wrote into it is
//! legal in the client's format.

use std::borrow::Cow;

use crate::Error;
use crate::format::Format;
use crate::json::patch::{Edit, Path};
use crate::json::{Kind, Raw, Reader};
use crate::model::{Opaque, OpaqueKind, Owner};
use crate::opaque::{self, SENTINEL};

/// Whose state the upstream reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance<'a> {
    /// The upstream's provider.
    pub owner: Owner,
    /// Scope of the credential; state bound to another one is foreign.
    pub scope: Option<&'a str>,
    /// Gemini: calls of the current turn need a signature, so foreign ones become the sentinel.
    pub needs_signatures: bool,
}

impl Acceptance<'_> {
    /// The envelope's content: `Some(Ok)` when the upstream reads it, `Some(Err)` when not, `None` when `data` is no
    /// envelope.
    fn judge(&self, data: &str) -> Option<Result<Opaque, ()>> {
        let opaque = opaque::unwrap(data)?.opaque;
        let is_in_scope = opaque.scope.as_deref().is_none_or(|scope| Some(scope) == self.scope);
        // An aggregator's entry is no signature, whoever owns it.
        let is_state = opaque.kind != OpaqueKind::RouterDetail;
        Some(if opaque.owner == self.owner && is_in_scope && is_state { Ok(opaque) } else { Err(()) })
    }
}

/// The edits that make the history in `text` one that the upstream reads. Paths begin at `text`.
///
/// # Errors
/// When `text` is not well-formed JSON.
pub fn repairs(format: Format, text: &str, accepts: &Acceptance<'_>) -> Result<Vec<Edit>, Error> {
    let mut edits = Vec::new();
    match format {
        Format::Chat => chat(text, accepts, &mut edits)?,
        Format::Responses => responses(text, accepts, &mut edits)?,
        Format::Claude => claude(text, accepts, &mut edits)?,
        Format::Gemini => gemini(text, accepts, &mut edits)?,
    }
    Ok(edits)
}

/// Reads the members of the object at `value`; anything else is skipped.
fn members<'a>(
    value: &mut Reader<'a>,
    each: impl FnMut(&str, &mut Reader<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    if value.kind() == Kind::Object { value.object(each) } else { value.skip() }
}

/// Reads the elements of the array at `value`; anything else is skipped.
fn elements<'a>(
    value: &mut Reader<'a>,
    each: impl FnMut(usize, &mut Reader<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    if value.kind() == Kind::Array { value.array(each) } else { value.skip() }
}

fn string<'a>(value: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Error> {
    if value.kind() == Kind::String {
        return value.str().map(Some);
    }
    value.skip()?;
    Ok(None)
}

fn claude(text: &str, accepts: &Acceptance<'_>, edits: &mut Vec<Edit>) -> Result<(), Error> {
    let mut is_manual = false;
    // The current tool loop has an answer that no longer begins with thinking.
    let mut is_loop_broken = false;
    members(&mut Reader::new(text), |key, value| match key {
        "thinking" => members(value, |key, value| {
            if key == "type" {
                is_manual = string(value)?.as_deref() == Some("enabled");
            }
            Ok(())
        }),
        "messages" => elements(value, |index, message| {
            let path = Path::root().key("messages").index(index);
            let mut turn = ClaudeTurn::default();
            members(message, |key, value| {
                match key {
                    "role" => turn.is_user = string(value)?.as_deref() == Some("user"),
                    "content" => turn.read(value, &path.clone().key("content"), accepts)?,
                    _ => {}
                }
                Ok(())
            })?;
            if turn.is_user && turn.has_words {
                is_loop_broken = false;
            } else if turn.removed > 0 && !turn.begins_with_thinking {
                is_loop_broken = true;
            }
            if turn.removed > 0 && turn.removed == turn.count {
                edits.push(Edit::remove(path));
            } else {
                edits.append(&mut turn.edits);
            }
            Ok(())
        }),
        _ => Ok(()),
    })?;
    if is_manual && is_loop_broken {
        edits.push(Edit::remove(Path::root().key("thinking")));
    }
    Ok(())
}

#[derive(Debug, Default)]
struct ClaudeTurn {
    is_user: bool,
    /// Something besides tool results.
    has_words: bool,
    begins_with_thinking: bool,
    count: usize,
    removed: usize,
    edits: Vec<Edit>,
}

impl ClaudeTurn {
    fn read(&mut self, content: &mut Reader<'_>, path: &Path, accepts: &Acceptance<'_>) -> Result<(), Error> {
        if content.kind() == Kind::String {
            self.has_words = true;
            return content.skip();
        }
        elements(content, |index, block| {
            let (mut kind, mut signature, mut data) = (None, None, None);
            members(block, |key, value| {
                match key {
                    "type" => kind = string(value)?,
                    "signature" => signature = string(value)?,
                    "data" => data = string(value)?,
                    _ => {}
                }
                Ok(())
            })?;
            let slot = match kind.as_deref() {
                Some("thinking") => signature,
                Some("redacted_thinking") => data,
                other => {
                    self.has_words |= other != Some("tool_result");
                    self.count += 1;
                    return Ok(());
                }
            };
            self.count += 1;
            let path = path.clone().index(index);
            match slot.and_then(|slot| accepts.judge(&slot)) {
                Some(Err(())) => {
                    self.removed += 1;
                    self.edits.push(Edit::remove(path));
                    return Ok(());
                }
                Some(Ok(opaque)) if opaque.kind == OpaqueKind::ClaudeRedacted => {
                    let block = Raw::object(|object| {
                        object.str("type", "redacted_thinking");
                        object.str("data", &opaque.data);
                    });
                    self.edits.push(Edit::set(path, block));
                }
                Some(Ok(opaque)) => {
                    let name = if kind.as_deref() == Some("thinking") { "signature" } else { "data" };
                    self.edits.push(Edit::set(path.key(name), Raw::string(&opaque.data)));
                }
                None => {}
            }
            self.begins_with_thinking |= self.count == self.removed + 1;
            Ok(())
        })
    }
}

fn responses(text: &str, accepts: &Acceptance<'_>, edits: &mut Vec<Edit>) -> Result<(), Error> {
    // The item's reasoning is gone, and without it the item may not bear its id.
    let mut is_orphan = false;
    members(&mut Reader::new(text), |key, value| {
        if key != "input" {
            return Ok(());
        }
        elements(value, |index, item| {
            let (mut kind, mut role, mut content, mut has_id) = (None, None, None, false);
            members(item, |key, value| {
                match key {
                    "type" => kind = string(value)?,
                    "role" => role = string(value)?,
                    "encrypted_content" => content = string(value)?,
                    "id" => has_id = true,
                    _ => {}
                }
                Ok(())
            })?;
            let path = Path::root().key("input").index(index);
            match kind.as_deref() {
                Some("reasoning" | "compaction" | "compaction_summary") => {
                    is_orphan = false;
                    match content.and_then(|content| accepts.judge(&content)) {
                        Some(Ok(opaque)) => {
                            let path = path.key("encrypted_content");
                            edits.push(Edit::set(path, Raw::string(&opaque.data)));
                        }
                        Some(Err(())) => {
                            is_orphan = kind.as_deref() == Some("reasoning");
                            edits.push(Edit::remove(path));
                        }
                        None => {}
                    }
                }
                Some("item_reference") => {}
                _ if role.as_deref().is_some_and(|role| role != "assistant") => is_orphan = false,
                _ if is_orphan && has_id => edits.push(Edit::remove(path.key("id"))),
                _ => {}
            }
            Ok(())
        })
    })
}

fn gemini(text: &str, accepts: &Acceptance<'_>, edits: &mut Vec<Edit>) -> Result<(), Error> {
    let mut turns: Vec<GeminiTurn> = Vec::new();
    members(&mut Reader::new(text), |key, value| {
        if key != "contents" {
            return Ok(());
        }
        elements(value, |index, content| {
            let mut turn =
                GeminiTurn { path: Path::root().key("contents").index(index), ..Default::default() };
            members(content, |key, value| {
                match key {
                    "role" => turn.is_model = string(value)?.as_deref() == Some("model"),
                    "parts" => turn.read(value, accepts)?,
                    _ => {}
                }
                Ok(())
            })?;
            turns.push(turn);
            Ok(())
        })
    })?;
    let current = turns.iter().rposition(|turn| !turn.is_model && turn.has_text).unwrap_or(0);
    for (at, turn) in turns.into_iter().enumerate() {
        if turn.removed > 0 && turn.removed == turn.count {
            edits.push(Edit::remove(turn.path));
            continue;
        }
        edits.extend(turn.edits);
        if let Some(slot) = turn.foreign_first_call {
            edits.push(if accepts.needs_signatures && at >= current {
                Edit::set(slot, Raw::string(SENTINEL))
            } else {
                Edit::remove(slot)
            });
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct GeminiTurn {
    path: Path,
    is_model: bool,
    has_text: bool,
    has_call: bool,
    count: usize,
    removed: usize,
    edits: Vec<Edit>,
    /// The signature slot of the first call, when what it holds is foreign.
    foreign_first_call: Option<Path>,
}

impl GeminiTurn {
    fn read(&mut self, parts: &mut Reader<'_>, accepts: &Acceptance<'_>) -> Result<(), Error> {
        elements(parts, |index, part| {
            let mut signature = None;
            let mut name = "";
            let (mut text, mut is_thought, mut is_call) = (None, false, false);
            members(part, |key, value| {
                match key {
                    "thoughtSignature" => (name, signature) = ("thoughtSignature", string(value)?),
                    "thought_signature" => (name, signature) = ("thought_signature", string(value)?),
                    "text" => text = string(value)?,
                    "thought" => is_thought = value.raw()? == "true",
                    "functionCall" | "function_call" => is_call = true,
                    _ => {}
                }
                Ok(())
            })?;
            self.count += 1;
            let has_words = text.as_deref().is_some_and(|text| !text.is_empty());
            self.has_text |= has_words && !is_thought;
            let is_first_call = is_call && !self.has_call;
            self.has_call |= is_call;
            let part = self.path.clone().key("parts").index(index);
            match signature.and_then(|signature| accepts.judge(&signature)) {
                Some(Ok(opaque)) => {
                    self.edits.push(Edit::set(part.key(name), Raw::string(&opaque.data)));
                }
                Some(Err(())) if is_thought || (text.is_some() && !has_words) => {
                    self.removed += 1;
                    self.edits.push(Edit::remove(part));
                }
                Some(Err(())) if is_first_call => self.foreign_first_call = Some(part.key(name)),
                Some(Err(())) => self.edits.push(Edit::remove(part.key(name))),
                None => {}
            }
            Ok(())
        })
    }
}

fn chat(text: &str, accepts: &Acceptance<'_>, edits: &mut Vec<Edit>) -> Result<(), Error> {
    members(&mut Reader::new(text), |key, value| {
        if key != "messages" {
            return Ok(());
        }
        elements(value, |index, message| {
            let path = Path::root().key("messages").index(index).key("reasoning_details");
            let (mut count, mut removed, mut own) = (0, 0, Vec::new());
            members(message, |key, value| {
                if key != "reasoning_details" {
                    return Ok(());
                }
                elements(value, |index, entry| {
                    let mut data = None;
                    members(entry, |key, value| {
                        if key == "data" {
                            data = string(value)?;
                        }
                        Ok(())
                    })?;
                    count += 1;
                    let place = path.clone().index(index);
                    match data.and_then(|data| accepts.judge(&data)) {
                        // An entry of the aggregator itself travels as its JSON text.
                        Some(Ok(opaque)) if opaque.kind == OpaqueKind::RouterDetail => {
                            if let Ok(native) = Raw::parse(&opaque.data) {
                                own.push(Edit::set(place, native));
                            }
                        }
                        Some(_) => {
                            removed += 1;
                            own.push(Edit::remove(place));
                        }
                        None => {}
                    }
                    Ok(())
                })
            })?;
            if removed > 0 && removed == count {
                edits.push(Edit::remove(path));
            } else {
                edits.append(&mut own);
            }
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::patch;
    use crate::model::Anchor;

    fn envelope(owner: Owner, kind: OpaqueKind, scope: Option<&str>) -> String {
        let opaque = Opaque {
            owner,
            kind,
            scope: scope.map(Into::into),
            model: None,
            data: "NATIVE".into(),
            anchor: Anchor::This,
        };
        opaque::wrap(&opaque, None).unwrap()
    }

    fn repaired(format: Format, text: &str, owner: Owner) -> String {
        let accepts = Acceptance { owner, scope: Some("here"), needs_signatures: true };
        let edits = repairs(format, text, &accepts).unwrap();
        patch::apply(text, &edits).unwrap().into_owned()
    }

    #[test]
    fn claude_gets_its_own_signatures_back_and_loses_foreign_thinking() {
        let own = envelope(Owner::Anthropic, OpaqueKind::ClaudeSignature, None);
        let foreign = envelope(Owner::OpenAi, OpaqueKind::OpenAiEncrypted, None);
        let text = format!(
            r#"{{"messages":[{{"role":"assistant","content":[{{"type":"thinking","thinking":"a","signature":"{own}"}},{{"type":"text","text":"1.0"}}]}},{{"role":"assistant","content":[{{"type":"thinking","thinking":"","signature":"{foreign}"}}, {{"type":"text","text":"b"}}]}},{{"role":"assistant","content":[{{"type":"redacted_thinking","data":"{foreign}"}}]}},{{"role":"user","content":"c"}}]}}"#
        );
        assert_eq!(
            repaired(Format::Claude, &text, Owner::Anthropic),
            r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"NATIVE"},{"type":"text","text":"1.0"}]},{"role":"assistant","content":[{"type":"text","text":"b"}]},{"role":"user","content":"c"}]}"#
        );
    }

    #[test]
    fn claude_manual_thinking_is_switched_off_when_the_current_loop_loses_its_thinking() {
        let foreign = envelope(Owner::Google, OpaqueKind::GeminiThought, None);
        let body = |tail: &str| {
            format!(
                r#"{{"thinking":{{"type":"enabled","budget_tokens":2000}},"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[{{"type":"thinking","thinking":"","signature":"{foreign}"}},{{"type":"tool_use","id":"t","name":"f","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":"r"}}]}}{tail}]}}"#
            )
        };
        assert!(!repaired(Format::Claude, &body(""), Owner::Anthropic).contains("\"thinking\""));
        let next_turn = body(r#",{"role":"user","content":[{"type":"text","text":"b"}]}"#);
        assert!(repaired(Format::Claude, &next_turn, Owner::Anthropic).contains("budget_tokens"));
    }

    #[test]
    fn responses_lose_foreign_reasoning_and_the_ids_that_hang_on_it() {
        let own = envelope(Owner::OpenAi, OpaqueKind::OpenAiEncrypted, Some("here"));
        let elsewhere = envelope(Owner::OpenAi, OpaqueKind::OpenAiEncrypted, Some("there"));
        let text = format!(
            r#"{{"input":[{{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"{own}"}},{{"type":"function_call","id":"fc_1","call_id":"c1"}},{{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"{elsewhere}"}},{{"type":"function_call","id":"fc_2","call_id":"c2"}},{{"role":"user","content":"x"}},{{"type":"message","role":"assistant","id":"msg_3"}}]}}"#
        );
        assert_eq!(
            repaired(Format::Responses, &text, Owner::OpenAi),
            r#"{"input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"NATIVE"},{"type":"function_call","id":"fc_1","call_id":"c1"},{"type":"function_call","call_id":"c2"},{"role":"user","content":"x"},{"type":"message","role":"assistant","id":"msg_3"}]}"#
        );
    }

    #[test]
    fn gemini_gets_the_sentinel_on_first_calls_of_the_current_turn_only() {
        let foreign = envelope(Owner::Anthropic, OpaqueKind::ClaudeSignature, None);
        let own = envelope(Owner::Google, OpaqueKind::GeminiThought, None);
        let step = format!(
            r#"{{"role":"model","parts":[{{"text":"t","thought":true,"thoughtSignature":"{foreign}"}},{{"functionCall":{{"name":"f"}},"thoughtSignature":"{foreign}"}},{{"functionCall":{{"name":"g"}}}}]}},{{"role":"user","parts":[{{"functionResponse":{{"name":"f"}}}}]}}"#
        );
        let text = format!(
            r#"{{"contents":[{{"role":"user","parts":[{{"text":"a"}}]}},{step},{{"role":"user","parts":[{{"text":"b"}}]}},{step},{{"role":"model","parts":[{{"functionCall":{{}},"thoughtSignature":"{own}"}},{{"text":"","thoughtSignature":"{foreign}"}}]}}]}}"#
        );
        let after = repaired(Format::Gemini, &text, Owner::Google);
        let answers = r#"{"role":"user","parts":[{"functionResponse":{"name":"f"}}]}"#;
        assert_eq!(
            after,
            format!(
                r#"{{"contents":[{{"role":"user","parts":[{{"text":"a"}}]}},{{"role":"model","parts":[{{"functionCall":{{"name":"f"}}}},{{"functionCall":{{"name":"g"}}}}]}},{answers},{{"role":"user","parts":[{{"text":"b"}}]}},{{"role":"model","parts":[{{"functionCall":{{"name":"f"}},"thoughtSignature":"{SENTINEL}"}},{{"functionCall":{{"name":"g"}}}}]}},{answers},{{"role":"model","parts":[{{"functionCall":{{}},"thoughtSignature":"NATIVE"}}]}}]}}"#
            )
        );
    }

    #[test]
    fn chat_loses_the_entries_of_other_providers() {
        let foreign = envelope(Owner::Anthropic, OpaqueKind::ClaudeSignature, None);
        let text = format!(
            r#"{{"messages":[{{"role":"assistant","content":"a","reasoning_details":[{{"type":"reasoning.encrypted","format":"gateway-v1","data":"{foreign}"}}]}},{{"role":"assistant","reasoning_details":[{{"type":"reasoning.text"}},{{"data":"{foreign}"}}]}}]}}"#
        );
        assert_eq!(
            repaired(Format::Chat, &text, Owner::OpenAi),
            r#"{"messages":[{"role":"assistant","content":"a"},{"role":"assistant","reasoning_details":[{"type":"reasoning.text"}]}]}"#
        );
    }

    #[test]
    fn a_history_without_envelopes_is_left_alone() {
        let text = r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"R1dT","signature":"R1dTx"}]}]}"#;
        assert_eq!(repaired(Format::Claude, text, Owner::Anthropic), text);
    }
}
