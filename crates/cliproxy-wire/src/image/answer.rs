//! Images of a conversation's answer, as the images interface gives them.

use super::Wish;
use crate::fault::{Fault, Kind};
use crate::json::{self, Object};
use crate::model::{Block, Content, Media, Response, StopReason, Usage};
use crate::sse;

/// Writes the answer, or the events of one.
///
/// # Errors
/// An answer without an image: what the model said instead.
pub fn encode_response(response: &Response, created: u64, wish: Wish) -> Result<Vec<u8>, Fault> {
    let blocks = || response.candidates.iter().flat_map(|candidate| &candidate.blocks);
    let images: Vec<(&str, &str)> = blocks().filter_map(image).collect();
    let Some((mime, _)) = images.first() else { return Err(without(response)) };
    let format = mime.strip_prefix("image/").unwrap_or("png");
    let usage = response.usage.as_ref();
    let mut out = Vec::new();
    if wish.is_stream {
        let kind = if wish.is_edit { "image_edit.completed" } else { "image_generation.completed" };
        for (_, base64) in &images {
            sse::event(&mut out, kind, |out| {
                json::object(out, |event| {
                    event.str("type", kind);
                    event.str("b64_json", base64);
                    event.u64("created_at", created);
                    event.str("output_format", format);
                    write_usage(event, usage);
                });
            });
        }
        return Ok(out);
    }
    json::object(&mut out, |root| {
        root.u64("created", created);
        root.array("data", |data| {
            for (mime, base64) in &images {
                data.object(|entry| {
                    if wish.is_url {
                        entry.str("url", &format!("data:{mime};base64,{base64}"));
                    } else {
                        entry.str("b64_json", base64);
                    }
                });
            }
        });
        root.str("output_format", format);
        write_usage(root, usage);
    });
    Ok(out)
}

fn image(block: &Block) -> Option<(&str, &str)> {
    match &block.content {
        Content::Image(image) => match &image.source {
            Media::Inline { mime, base64 } => Some((mime, base64)),
            _ => None,
        },
        _ => None,
    }
}

fn write_usage(object: &mut Object<'_>, usage: Option<&Usage>) {
    let Some(usage) = usage else { return };
    let (input, images) = (usage.input.unwrap_or(0), usage.input_image.unwrap_or(0));
    object.object("usage", |counts| {
        counts.u64("input_tokens", input);
        counts.u64("output_tokens", usage.output.unwrap_or(0));
        counts.u64("total_tokens", usage.total());
        counts.object("input_tokens_details", |details| {
            details.u64("text_tokens", input.saturating_sub(images));
            details.u64("image_tokens", images);
        });
    });
}

/// Why there is no image.
fn without(response: &Response) -> Fault {
    let filtered = response.candidates.iter().find(|candidate| {
        let reason = candidate.stop.reason;
        matches!(reason, StopReason::ContentFilter | StopReason::Refusal | StopReason::Recitation)
    });
    match filtered {
        Some(candidate) => {
            let why = candidate.stop.explanation.as_deref().unwrap_or("a filter of the model held it back");
            Fault::new(Kind::ContentPolicy, format!("no image was made: {why}"))
        }
        None => {
            Fault::new(Kind::BadUpstream, "the model answered without an image").with_code("empty_answer")
        }
    }
}
