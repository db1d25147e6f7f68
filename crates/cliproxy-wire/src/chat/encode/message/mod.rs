//! Turns as Chat messages: one string or parts, results as messages of their own, reasoning where the upstream wants
//! it back.

mod assistant;
mod part;

use crate::Error;
use crate::codec::Target;
use crate::format::Format;
use crate::json::{Array, Object};
use crate::model::{Block, Content, Instruction, InstructionRole, Request, Role, Str, ToolResult, Turn};

pub(super) use part::write_mark;
use part::{is_textual, kind_word, text_part, textual};

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
                        text_part(parts, &text.into(), None);
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
            object.opt_str("name", turn.name.as_ref());
            if self.request.origin == Format::Chat {
                turn.ext.write(object);
            }
            if self.is_one_string(blocks) {
                object.str("content", &Str::joined(blocks.iter().filter_map(|block| textual(block)), ""));
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
            let lines = result.content.iter().map(|block| {
                textual(block).unwrap_or_else(|| {
                    media.push(block);
                    let kind = kind_word(block);
                    format!("[{kind} {} of this result follows in the next user message]", media.len()).into()
                })
            });
            let mut text = Str::joined(lines, "\n");
            if let Some(structured) = result.structured.as_ref().filter(|_| text.is_empty()) {
                text = structured.to_str();
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
}

fn role_word(role: InstructionRole) -> &'static str {
    match role {
        InstructionRole::System => "system",
        InstructionRole::Developer => "developer",
    }
}
