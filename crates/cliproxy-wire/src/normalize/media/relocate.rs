//! Media in the results of tools, moved to where the target takes them.

use crate::format::Format;
use crate::model::{Block, Content, Media, Role, Turn};
use crate::normalize::Work;

/// Moves media out of results where the target's results hold text only: a placeholder stays, the media follow behind
/// the results of the same turn.
pub(crate) fn relocate(work: &mut Work<'_>) {
    let profile = work.target.profile;
    let stays: fn(&Content) -> bool = match profile.format {
        Format::Claude | Format::Responses => return,
        Format::Chat if profile.has_media_in_tool_results => return,
        Format::Chat => |content| !is_medium(content),
        Format::Gemini if work.target.caps.has_media_in_function_response => {
            |content| !is_medium(content) || function_response_mime(content)
        }
        Format::Gemini => |content| !is_medium(content),
    };
    for turn in work.request.turns.iter_mut().filter(|turn| turn.role == Role::User) {
        relocate_in(turn, profile.format, stays);
    }
}

fn relocate_in(turn: &mut Turn, format: Format, stays: fn(&Content) -> bool) {
    let mut moved: Vec<Block> = Vec::new();
    let mut results = 0;
    for block in &mut turn.blocks {
        let Content::ToolResult(result) = &mut block.content else { break };
        results += 1;
        if result.content.iter().all(|block| stays(&block.content)) {
            continue;
        }
        let label = result.name.as_ref().filter(|name| !name.is_empty()).unwrap_or(&result.call_id);
        if format == Format::Chat {
            moved.push(Block::text(format!("Media of the result of {label} ({}):", result.call_id)));
        }
        let mut count = 0;
        for inner in &mut result.content {
            if stays(&inner.content) {
                continue;
            }
            count += 1;
            let noun = noun(&inner.content);
            let placeholder = match format {
                Format::Chat => format!("[{noun} {count} of this result follows in the next user message]"),
                _ => format!("[{noun} attached below]"),
            };
            moved.push(std::mem::replace(inner, Block::text(placeholder)));
        }
        // The structured form would hide the placeholder.
        if format != Format::Gemini {
            result.structured = None;
        }
    }
    if !moved.is_empty() {
        turn.blocks.splice(results..results, moved);
    }
}

fn is_medium(content: &Content) -> bool {
    matches!(content, Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::Document(_))
}

pub(super) fn noun(content: &Content) -> &'static str {
    match content {
        Content::Image(_) => "image",
        Content::Audio(_) => "audio",
        Content::Video(_) => "video",
        _ => "document",
    }
}

/// Whether Gemini's function responses hold this medium as a part of their own.
fn function_response_mime(content: &Content) -> bool {
    let source = match content {
        Content::Image(image) => &image.source,
        Content::Document(document) => &document.source,
        _ => return false,
    };
    match source {
        Media::Inline { mime, .. } => {
            matches!(&**mime, "image/png" | "image/jpeg" | "image/webp" | "application/pdf" | "text/plain")
        }
        _ => false,
    }
}
