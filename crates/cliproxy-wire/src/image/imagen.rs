//! Imagen's predictions. Source: `predict` of Vertex AI, which the Gemini API has too.

use crate::fault::Fault;
use crate::json::{self, Kind, Raw, Reader};
use crate::model::{Content, Request, Role};
use crate::{Error, id};

/// Shapes that it knows.
const SHAPES: [&str; 5] = ["1:1", "3:4", "4:3", "9:16", "16:9"];

/// Whether a model is one.
pub fn is_imagen(model: &str) -> bool {
    model.to_ascii_lowercase().contains("imagen")
}

/// Writes the prediction that a conversation asks for: what its last turn says. There is nothing else that such a model
/// understands.
///
/// # Errors
/// A conversation without words, or with an image to change.
pub fn encode_request(request: &Request) -> Result<Vec<u8>, Error> {
    let turn = request.turns.iter().rfind(|turn| turn.role == Role::User);
    let blocks = turn.map(|turn| turn.blocks.as_slice()).unwrap_or_default();
    if blocks.iter().any(|block| matches!(block.content, Content::Image(_))) {
        return Err(Error::unsupported(
            "image",
            "Imagen draws from words alone; choose a Gemini image model to change images",
        ));
    }
    let texts: Vec<&str> = blocks.iter().filter_map(|block| Some(&*block.as_text()?.text)).collect();
    let prompt = texts.join("\n");
    if prompt.trim().is_empty() {
        return Err(Error::missing("prompt"));
    }
    let wanted = request.output.image.as_ref().and_then(|image| image.get("aspect_ratio")?.to_text());
    let mut body = Vec::new();
    json::object(&mut body, |root| {
        root.array("instances", |list| list.object(|instance| instance.str("prompt", &prompt)));
        root.object("parameters", |parameters| {
            parameters.u64("sampleCount", request.candidates.unwrap_or(1));
            parameters.opt_str("aspectRatio", wanted.as_deref().map(nearest));
        });
    });
    Ok(body)
}

/// The shape that is nearest to one of the wider choice of conversations.
fn nearest(wanted: &str) -> &str {
    match wanted {
        "2:3" | "4:5" => "3:4",
        "3:2" | "5:4" => "4:3",
        "21:9" => "16:9",
        other => SHAPES.into_iter().find(|shape| *shape == other).unwrap_or(other),
    }
}

/// The predictions as an answer of the Gemini format. Words are not counted.
///
/// # Errors
/// A body that is no prediction.
pub fn answer(body: &[u8], model: &str, request_id: &str) -> Result<Vec<u8>, Fault> {
    let (mut images, mut reason) = (Vec::new(), None);
    read(body, &mut images, &mut reason).map_err(|error| Fault::unreadable(body, error))?;
    let mut out = Vec::new();
    json::object(&mut out, |root| {
        root.array("candidates", |list| {
            list.object(|candidate| {
                candidate.object("content", |content| {
                    content.str("role", "model");
                    content.array("parts", |parts| {
                        for (mime, data) in &images {
                            parts.object(|part| {
                                part.object("inlineData", |inline| {
                                    inline.str("mimeType", mime.as_deref().unwrap_or("image/png"));
                                    inline.raw("data", data.as_str());
                                });
                            });
                        }
                    });
                });
                // All of them may have been held back; then nothing comes, or a reason.
                candidate.str("finishReason", if images.is_empty() { "IMAGE_SAFETY" } else { "STOP" });
                candidate.opt_str("finishMessage", reason.as_ref());
                candidate.u64("index", 0);
            });
        });
        root.object("usageMetadata", |usage| {
            usage.u64("promptTokenCount", 0);
            usage.u64("candidatesTokenCount", 0);
            usage.u64("totalTokenCount", 0);
        });
        root.str("modelVersion", model);
        root.str("responseId", &id::base62("imagen-", 16, &[request_id, "imagen"]));
    });
    Ok(out)
}

type Drawn = (Option<String>, Raw);

fn read(body: &[u8], images: &mut Vec<Drawn>, reason: &mut Option<String>) -> Result<(), Error> {
    let mut reader = Reader::from_bytes(body)?;
    reader.object(|name, value| {
        if (name, value.kind()) != ("predictions", Kind::Array) {
            return Ok(());
        }
        value.array(|_, value| {
            let (mut mime, mut data) = (None, None);
            value.object(|name, value| {
                match (name, value.kind()) {
                    ("bytesBase64Encoded", Kind::String) => data = Some(value.to_raw()?),
                    ("mimeType", Kind::String) => mime = Some(value.string()?),
                    ("raiFilteredReason", Kind::String) => *reason = Some(value.string()?),
                    _ => {}
                }
                Ok(())
            })?;
            images.extend(data.map(|data| (mime, data)));
            Ok(())
        })
    })?;
    reader.finish()
}
