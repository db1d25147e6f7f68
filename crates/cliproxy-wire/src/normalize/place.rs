//! Where something stood in the client's body: paths for errors and notes, in the words of the client's format.

use crate::format::Format;
use crate::model::{Block, Content, Request, Role};

/// How the client's list of messages was laid out, which the passes change under their hands.
#[derive(Debug)]
pub(super) struct Layout {
    origin: Format,
    /// Of every turn, where it begins in the client's list and where in `blocks` it ends. Empty where an index alone says
    /// the place.
    turns: Vec<(usize, usize)>,
    blocks: Vec<Laid>,
    /// Number of turns.
    count: usize,
    /// Length of the client's list as far as it is known.
    length: usize,
}

/// What a block is in a list of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Laid {
    /// A tool's result.
    Result,
    /// A part of a message.
    Part,
    /// Something on its own.
    Other,
}

impl Layout {
    /// The layout of a request as it was decoded.
    pub(super) fn of(request: &Request) -> Self {
        let Request { origin, instructions, turns, .. } = request;
        // Messages that the decoder moved into the instructions, or joined into one turn, are counted.
        let length = match origin {
            Format::Chat => instructions.len(),
            Format::Responses => instructions.iter().filter(|block| !block.is_top_level).count(),
            Format::Claude | Format::Gemini => 0,
        };
        let count = turns.len();
        let mut layout = Self { origin: *origin, turns: Vec::new(), blocks: Vec::new(), count, length };
        if matches!(origin, Format::Chat | Format::Responses) {
            layout.turns.reserve_exact(count);
            layout.blocks.reserve_exact(turns.iter().map(|turn| turn.blocks.len()).sum());
            for turn in turns {
                let start = layout.blocks.len();
                layout.blocks.extend(turn.blocks.iter().map(Laid::of));
                layout.turns.push((layout.length, layout.blocks.len()));
                let own = layout.blocks.get(start..).unwrap_or_default();
                layout.length += match origin {
                    Format::Chat => messages(turn.role, own),
                    _ => items(own).max(1),
                };
            }
        }
        layout
    }

    /// Whether there was no turn at all.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The path of the list of turns.
    pub(super) fn list(&self) -> &'static str {
        match self.origin {
            Format::Claude | Format::Chat => "messages",
            Format::Gemini => "contents",
            Format::Responses => "input",
        }
    }

    /// The path of the last turn.
    pub(super) fn last(&self) -> String {
        self.turn(self.count.saturating_sub(1))
    }

    /// The path of a turn; the index is that of the client's own list.
    pub(super) fn turn(&self, index: usize) -> String {
        format!("{}[{}]", self.list(), self.first(index))
    }

    /// The path of a block of a turn.
    pub(super) fn block(&self, index: usize, block: usize) -> String {
        let first = self.first(index);
        let blocks = self.blocks(index);
        let before = blocks.get(..block).unwrap_or_default();
        let own = blocks.get(block);
        match self.origin {
            Format::Gemini => format!("contents[{index}].parts[{block}]"),
            Format::Claude => format!("messages[{index}].content[{block}]"),
            Format::Chat => {
                let before = results(before);
                match own {
                    // Every result is a message of its own.
                    Some(Laid::Result) => format!("messages[{}].content", first + before),
                    _ => format!("messages[{}].content[{}]", first + results(blocks), block - before),
                }
            }
            Format::Responses => {
                let in_message = before.iter().rev().take_while(|block| **block == Laid::Part).count();
                let items = items(before);
                match own {
                    Some(Laid::Part) => {
                        let item = if in_message > 0 { items.saturating_sub(1) } else { items };
                        format!("input[{}].content[{in_message}]", first + item)
                    }
                    Some(Laid::Result) => format!("input[{}].output", first + items),
                    _ => format!("input[{}]", first + items),
                }
            }
        }
    }

    /// Where a turn begins in the client's list.
    fn first(&self, index: usize) -> usize {
        match self.origin {
            Format::Claude | Format::Gemini => index,
            Format::Chat | Format::Responses => {
                self.turns.get(index).map_or(self.length, |(first, _)| *first)
            }
        }
    }

    fn blocks(&self, turn: usize) -> &[Laid] {
        let end = |turn: usize| self.turns.get(turn).map(|(_, end)| *end);
        let start = turn.checked_sub(1).and_then(end).unwrap_or(0);
        end(turn).and_then(|end| self.blocks.get(start..end)).unwrap_or_default()
    }
}

impl Laid {
    fn of(block: &Block) -> Self {
        match block.content {
            Content::ToolResult(_) => Self::Result,
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::Document(_) => Self::Part,
            _ => Self::Other,
        }
    }
}

fn results(blocks: &[Laid]) -> usize {
    blocks.iter().filter(|block| **block == Laid::Result).count()
}

/// Messages of Chat that a turn was made of.
fn messages(role: Role, blocks: &[Laid]) -> usize {
    if role != Role::User {
        return 1;
    }
    let results = results(blocks);
    results + usize::from(results < blocks.len() || blocks.is_empty())
}

/// Parts of one message are one item; everything else is an item of its own.
fn items(blocks: &[Laid]) -> usize {
    let mut items = 0;
    let mut in_message = false;
    for block in blocks {
        let is_part = *block == Laid::Part;
        items += usize::from(!is_part || !in_message);
        in_message = is_part;
    }
    items
}

/// Longest name of a client's own member that is told whole.
const MAX_NAME: usize = 64;

/// The path of a member whose name is the client's.
pub(crate) fn told(place: &str, name: &str) -> String {
    let dot = if place.is_empty() { "" } else { "." };
    place.chars().chain(dot.chars()).chain(name.chars().take(MAX_NAME)).collect()
}

/// The path of a sampling parameter or another setting, by its Chat name.
pub(crate) fn member(origin: Format, name: &'static str) -> &'static str {
    match origin {
        Format::Gemini => match name {
            "temperature" => "generationConfig.temperature",
            "top_p" => "generationConfig.topP",
            "top_k" => "generationConfig.topK",
            "frequency_penalty" => "generationConfig.frequencyPenalty",
            "presence_penalty" => "generationConfig.presencePenalty",
            "seed" => "generationConfig.seed",
            "stop" => "generationConfig.stopSequences",
            "n" => "generationConfig.candidateCount",
            "logprobs" => "generationConfig.responseLogprobs",
            "modalities" => "generationConfig.responseModalities",
            "audio" => "generationConfig.speechConfig",
            "image_config" => "generationConfig.imageConfig",
            "response_format" => "generationConfig.responseSchema",
            "tool_choice" => "toolConfig.functionCallingConfig",
            "max_tokens" => "generationConfig.maxOutputTokens",
            "safety_settings" => "safetySettings",
            "service_tier" => "serviceTier",
            _ => name,
        },
        Format::Claude => match name {
            "stop" => "stop_sequences",
            "response_format" => "output_config.format",
            _ => name,
        },
        Format::Responses => match name {
            "logprobs" => "top_logprobs",
            "response_format" => "text.format",
            "max_tokens" => "max_output_tokens",
            "verbosity" => "text.verbosity",
            _ => name,
        },
        Format::Chat => name,
    }
}
