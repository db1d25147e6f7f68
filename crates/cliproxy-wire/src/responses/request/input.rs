//! `input`: items gathered into turns.
//!
//! Every run of items of the assistant's side is one turn; results of tools open, or extend, a user turn of results.

use std::collections::{HashMap, HashSet};

use crate::Error;
use crate::json::{Kind, Reader};
use crate::model::{
    Block, CallKind, Content, Instruction, InstructionRole, Native, Role, Str, Tool, ToolResult, Turn,
};

use super::super::content::Parts;
use super::super::item::{Item, Source};
use super::super::typed;

/// The conversation in the making.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) instructions: Vec<Instruction>,
    pub(super) turns: Vec<Turn>,
    /// Tools that items add.
    pub(super) tools: Vec<Tool>,
    /// The call ids of typed calls by their item ids, for results that name the latter.
    typed: HashMap<Str, Str>,
    /// Ids of calls that the provider made.
    hosted: HashSet<Str>,
    /// A message was put into the assistant turn that is open.
    has_message: bool,
}

impl Conversation {
    /// Reads `input`.
    pub(super) fn read(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        match value.kind() {
            Kind::String => {
                let text = value.str()?;
                self.turns.push(Turn::new(Role::User, vec![Block::text(text.as_ref())]));
                Ok(())
            }
            // One item without its array.
            Kind::Object => self.item(value),
            kind @ (Kind::Bool | Kind::Number) => {
                Err(Error::malformed(format!("expected a string or an array, found {}", kind.noun())))
            }
            _ => value.array(|_, item| match item.kind() {
                Kind::String => {
                    let text = item.str()?;
                    self.turns.push(Turn::new(Role::User, vec![Block::text(text.as_ref())]));
                    Ok(())
                }
                _ => self.item(item),
            }),
        }
    }

    /// Reads `instructions` in the form of items, which a stored prompt may give.
    pub(super) fn leading(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        value.array(|_, item| self.item(item))
    }

    fn item(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        let mut item = Item::default();
        item.fill(value)?;
        let Some(kind) = item.kind() else { return Err(Error::missing("type")) };
        match kind {
            "message" => self.message(&mut item),
            "additional_tools" => match item.tools.take() {
                Some(mut tools) => super::read_tools(&mut tools, &mut self.tools),
                None => Ok(()),
            },
            "function_call_output" => self.result(&mut item, CallKind::Function),
            "custom_tool_call_output" => self.result(&mut item, CallKind::Custom),
            _ if typed::of_output(kind).is_some() && !self.is_hosted_output(&item) => {
                self.result(&mut item, CallKind::Function)
            }
            _ => {
                let was_open = self.is_assistant();
                let turn = self.assistant();
                let known = turn.blocks.len();
                item.put(Source::History, 0, &mut turn.blocks)?;
                let is_silent = turn.blocks.is_empty();
                let Self { turns, typed, hosted: ran, .. } = self;
                for block in turns.last().and_then(|turn| turn.blocks.get(known..)).unwrap_or_default() {
                    if let Content::ToolCall(call) = &block.content
                        && call.native.is_some()
                        && let Some(item_id) = &call.item_id
                    {
                        typed.insert(Str::clone(item_id), Str::clone(&call.call_id));
                    }
                    if let Content::Hosted(hosted) = &block.content {
                        ran.insert(Str::clone(&hosted.id));
                    }
                }
                if is_silent && !was_open {
                    turns.pop();
                }
                Ok(())
            }
        }
    }

    /// Output of a shell that the provider ran: its call is a hosted one.
    fn is_hosted_output(&self, item: &Item<'_>) -> bool {
        item.kind() == Some("shell_call_output")
            && item.call_id.as_ref().is_some_and(|id| self.hosted.contains(id))
    }

    fn message(&mut self, item: &mut Item<'_>) -> Result<(), Error> {
        let Item { role, content: Parts { blocks, .. }, id, phase, ext, .. } = item;
        let (blocks, ext) = (std::mem::take(blocks), std::mem::take(ext));
        let (id, phase) = (id.take(), phase.take());
        match role.as_deref() {
            Some("user") => {
                self.turns.push(Turn { id, phase, ext, ..Turn::new(Role::User, blocks) });
            }
            Some("assistant") => {
                let is_first = !(self.is_assistant() && std::mem::replace(&mut self.has_message, true));
                let turn = self.assistant();
                if is_first {
                    (turn.id, turn.phase, turn.ext) = (id, phase, ext);
                    turn.blocks.reserve_exact(blocks.len());
                    turn.blocks.extend(blocks);
                } else {
                    // A later message of the run; its phase marks where it begins.
                    let mut blocks = blocks.into_iter();
                    if let Some(mut block) = blocks.next() {
                        if let Some(phase) = phase {
                            block.ext.set("phase", crate::json::Raw::string(&phase));
                        }
                        turn.blocks.push(block);
                    }
                    turn.blocks.extend(blocks);
                }
                self.has_message = true;
            }
            Some("system") => self.instruction(InstructionRole::System, blocks),
            Some("developer") => self.instruction(InstructionRole::Developer, blocks),
            Some(_) => {
                return Err(Error::malformed("unknown role; use user, assistant, system or developer")
                    .under_key("role"));
            }
            None => return Err(Error::missing("role")),
        }
        Ok(())
    }

    /// Instructions are text; a picture or file among them goes to the model in a user's turn.
    fn instruction(&mut self, role: InstructionRole, blocks: Vec<Block>) {
        let (texts, shown): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| matches!(block.content, Content::Text(_)));
        if self.turns.is_empty() {
            for block in texts {
                if let Content::Text(text) = block.content {
                    self.instructions.push(Instruction {
                        role,
                        text: text.text,
                        cache: block.cache,
                        is_top_level: false,
                        ext: block.ext,
                    });
                }
            }
        } else {
            self.turns.push(Turn::new(Role::Instruction(role), texts));
        }
        if !shown.is_empty() {
            self.turns.push(Turn::new(Role::User, shown));
        }
    }

    fn result(&mut self, item: &mut Item<'_>, kind: CallKind) -> Result<(), Error> {
        let typed = item.kind().and_then(typed::of_output);
        let native: Option<Native> = typed.map(|_| item.native());
        let is_error = match item.status.as_deref() {
            Some("failed") if typed.is_some() => Some(true),
            _ => None,
        };
        let Item { call_id, id, name, output, content, ext, .. } = item;
        let (call_id, id, name, ext) = (call_id.take(), id.take(), name.take(), std::mem::take(ext));
        let by_item = |id: &Str| self.typed.get(id).cloned();
        let call_id = match (call_id, id) {
            (Some(call_id), _) => call_id,
            (None, Some(id)) if typed.is_some() => by_item(&id).unwrap_or(id),
            _ => return Err(Error::missing("call_id")),
        };
        let content = if output.blocks.is_empty() { content } else { output };
        let content = std::mem::take(&mut content.blocks);
        let result = ToolResult { call_id, name, kind, content, structured: None, is_error, native };
        let ext = if typed.is_some() { crate::model::Ext::new() } else { ext };
        let block = Block { content: Content::ToolResult(result), cache: None, ext };
        match self.turns.last_mut() {
            Some(turn)
                if turn.role == Role::User
                    && turn.blocks.iter().all(|block| matches!(block.content, Content::ToolResult(_))) =>
            {
                turn.blocks.push(block);
            }
            _ => self.turns.push(Turn::new(Role::User, vec![block])),
        }
        Ok(())
    }

    fn is_assistant(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.role == Role::Assistant)
    }

    /// The assistant turn that is open, opened if need be.
    fn assistant(&mut self) -> &mut Turn {
        if !self.is_assistant() {
            self.has_message = false;
            self.turns.push(Turn::new(Role::Assistant, Vec::new()));
        }
        let last = self.turns.len().saturating_sub(1);
        // There is a last turn: it was there or was just pushed.
        #[expect(
            clippy::indexing_slicing,
            reason = "the vector is not empty, and a fallback would hide a defect"
        )]
        &mut self.turns[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(json: &str) -> Vec<Turn> {
        let mut conversation = Conversation::default();
        conversation.read(&mut Reader::new(json)).unwrap();
        conversation.turns
    }

    #[test]
    fn later_messages_of_a_run_keep_their_phase() {
        let turns = turns(
            r#"[{"role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"a"}]},{"role":"assistant","phase":"final_answer","content":[{"type":"output_text","text":"b"}]}]"#,
        );
        assert_eq!(turns.len(), 1);
        assert_eq!(turns[0].phase.as_deref(), Some("commentary"));
        assert_eq!(turns[0].blocks[1].ext.get("phase").unwrap().as_str(), r#""final_answer""#);
    }

    #[test]
    fn results_share_a_turn_and_later_text_opens_its_own() {
        let turns = turns(
            r#"[{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},{"type":"function_call","call_id":"b","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"a","output":"1"},{"type":"function_call_output","call_id":"b","output":[{"type":"input_text","text":"2"}]},{"role":"user","content":"x"}]"#,
        );
        let shape: Vec<_> = turns.iter().map(|turn| (turn.role, turn.blocks.len())).collect();
        assert_eq!(shape, [(Role::Assistant, 2), (Role::User, 2), (Role::User, 1)]);
    }

    #[test]
    fn a_picture_among_instructions_is_shown_by_the_user() {
        let mut conversation = Conversation::default();
        let developer = |text: &str| {
            format!(
                r#"{{"role":"developer","content":[{{"type":"input_image","image_url":"data:image/png;base64,AA"}},{{"type":"input_text","text":"{text}"}}]}}"#
            )
        };
        let items = format!("[{},{}]", developer("leads"), developer("later"));
        conversation.read(&mut Reader::new(&items)).unwrap();
        assert_eq!(conversation.instructions.iter().map(|block| &*block.text).collect::<Vec<_>>(), ["leads"]);
        let roles: Vec<Role> = conversation.turns.iter().map(|turn| turn.role).collect();
        assert_eq!(roles, [Role::User, Role::Instruction(InstructionRole::Developer), Role::User]);
        let shown = conversation.turns.iter().flat_map(|turn| &turn.blocks);
        assert_eq!(shown.filter(|block| matches!(block.content, Content::Image(_))).count(), 2);
    }

    #[test]
    fn a_patch_that_failed_is_an_error_result() {
        let turns = turns(
            r#"[{"type":"apply_patch_call","call_id":"a","operation":{"type":"delete_file","path":"p"}},{"type":"apply_patch_call_output","call_id":"a","status":"failed","output":"no such file"}]"#,
        );
        let Content::ToolResult(result) = &turns[1].blocks[0].content else { panic!("a result") };
        assert_eq!(result.is_error, Some(true));
        assert_eq!(result.content, [Block::text("no such file")]);
    }
}
