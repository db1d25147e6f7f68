//! Where something stood in the client's body: paths for errors and notes, in the words of the client's format.

use crate::format::Format;
use crate::model::{Content, Request, Role, Turn};

/// The path of a turn. Messages that the decoder moved into the instructions or joined into one turn are counted, so
/// that the index is that of the client's own list.
pub(super) fn turn(request: &Request, index: usize) -> String {
    let before = request.turns.iter().take(index);
    match request.origin {
        Format::Claude => format!("messages[{index}]"),
        Format::Gemini => format!("contents[{index}]"),
        Format::Chat => {
            let at = request.instructions.len() + before.map(chat_messages).sum::<usize>();
            format!("messages[{at}]")
        }
        Format::Responses => {
            let leading = request.instructions.iter().filter(|block| !block.is_top_level).count();
            let at = leading + before.map(response_items).sum::<usize>();
            format!("input[{at}]")
        }
    }
}

/// The path of a block of a turn.
pub(super) fn block(request: &Request, index: usize, block: usize) -> String {
    let path = turn(request, index);
    match request.origin {
        Format::Gemini => format!("{path}.parts[{block}]"),
        Format::Chat | Format::Responses | Format::Claude => format!("{path}.content[{block}]"),
    }
}

fn chat_messages(turn: &Turn) -> usize {
    if turn.role != Role::User {
        return 1;
    }
    let results = turn.blocks.iter().filter(|block| matches!(block.content, Content::ToolResult(_))).count();
    results + usize::from(results < turn.blocks.len() || turn.blocks.is_empty())
}

fn response_items(turn: &Turn) -> usize {
    let mut items = 0;
    let mut in_message = false;
    for block in &turn.blocks {
        let is_message = matches!(
            block.content,
            Content::Text(_)
                | Content::Refusal(_)
                | Content::Image(_)
                | Content::Audio(_)
                | Content::Video(_)
                | Content::Document(_)
        );
        items += usize::from(!is_message || !in_message);
        in_message = is_message;
    }
    items.max(1)
}

/// The path of a sampling parameter or another setting, by its Chat name.
pub(super) fn member(origin: Format, name: &'static str) -> &'static str {
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
            _ => name,
        },
        Format::Chat => name,
    }
}
