//! Where something stood in the client's body: paths for errors and notes, in the words of the client's format.

use crate::format::Format;
use crate::model::{Block, Content, Request, Role, Turn};

/// The path of the list of turns.
pub(super) fn turns(request: &Request) -> &'static str {
    match request.origin {
        Format::Claude | Format::Chat => "messages",
        Format::Gemini => "contents",
        Format::Responses => "input",
    }
}

/// The path of a turn. Messages that the decoder moved into the instructions or joined into one turn are counted, so
/// that the index is that of the client's own list.
pub(super) fn turn(request: &Request, index: usize) -> String {
    match request.origin {
        Format::Claude => format!("messages[{index}]"),
        Format::Gemini => format!("contents[{index}]"),
        Format::Chat => format!("messages[{}]", first_message(request, index)),
        Format::Responses => format!("input[{}]", first_item(request, index)),
    }
}

/// The path of a block of a turn.
pub(super) fn block(request: &Request, index: usize, block: usize) -> String {
    let Some(turn_of) = request.turns.get(index) else { return turn(request, index) };
    let is_result = |block: &Block| matches!(block.content, Content::ToolResult(_));
    match request.origin {
        Format::Gemini => format!("contents[{index}].parts[{block}]"),
        Format::Claude => format!("messages[{index}].content[{block}]"),
        Format::Chat => {
            let results = turn_of.blocks.iter().filter(|block| is_result(block)).count();
            let before = turn_of.blocks.iter().take(block).filter(|block| is_result(block)).count();
            let first = first_message(request, index);
            match turn_of.blocks.get(block) {
                // Every result is a message of its own.
                Some(own) if is_result(own) => format!("messages[{}].content", first + before),
                _ => format!("messages[{}].content[{}]", first + results, block - before),
            }
        }
        Format::Responses => {
            let before = turn_of.blocks.get(..block).unwrap_or_default();
            let in_message = before.iter().rev().take_while(|block| is_message_part(block)).count();
            let items = count_items(before);
            let first = first_item(request, index);
            match turn_of.blocks.get(block) {
                Some(own) if is_message_part(own) => {
                    let item = if in_message > 0 { items.saturating_sub(1) } else { items };
                    format!("input[{}].content[{in_message}]", first + item)
                }
                Some(own) if is_result(own) => format!("input[{}].output", first + items),
                _ => format!("input[{}]", first + items),
            }
        }
    }
}

fn first_message(request: &Request, index: usize) -> usize {
    request.instructions.len() + request.turns.iter().take(index).map(chat_messages).sum::<usize>()
}

fn first_item(request: &Request, index: usize) -> usize {
    let leading = request.instructions.iter().filter(|block| !block.is_top_level).count();
    leading + request.turns.iter().take(index).map(|turn| count_items(&turn.blocks).max(1)).sum::<usize>()
}

fn chat_messages(turn: &Turn) -> usize {
    if turn.role != Role::User {
        return 1;
    }
    let results = turn.blocks.iter().filter(|block| matches!(block.content, Content::ToolResult(_))).count();
    results + usize::from(results < turn.blocks.len() || turn.blocks.is_empty())
}

/// Parts of one message are one item; everything else is an item of its own.
fn count_items(blocks: &[Block]) -> usize {
    let mut items = 0;
    let mut in_message = false;
    for block in blocks {
        let is_part = is_message_part(block);
        items += usize::from(!is_part || !in_message);
        in_message = is_part;
    }
    items
}

fn is_message_part(block: &Block) -> bool {
    matches!(
        block.content,
        Content::Text(_)
            | Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::Document(_)
    )
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
