//! What a medium is, by its type or its address.

use crate::json::{Kind, Raw, Reader};
use base64::Engine as _;

pub(super) fn is_wave(mime: &str) -> bool {
    matches!(mime, "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave")
}

pub(super) fn is_mpeg(mime: &str) -> bool {
    matches!(mime, "audio/mpeg" | "audio/mp3" | "audio/x-mp3")
}

pub(super) fn is_text(mime: &str) -> bool {
    mime.starts_with("text/")
        || matches!(
            mime,
            "application/json"
                | "application/xml"
                | "application/yaml"
                | "application/x-yaml"
                | "application/javascript"
        )
}

/// File types that Gemini models read.
pub(super) fn is_readable(mime: &str) -> bool {
    is_text(mime)
        || mime.starts_with("image/")
        || mime.starts_with("audio/")
        || mime.starts_with("video/")
        || matches!(
            mime,
            "application/pdf" | "application/x-javascript" | "application/x-python" | "application/rtf"
        )
}

pub(super) fn decoded(base64: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

/// The type that the ending of an address suggests.
pub(super) fn mime_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match ending.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "bmp" => "image/bmp",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "m4a" | "aac" => "audio/aac",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    })
}

/// A search result in words: title, source, text.
pub(super) fn search_text(raw: &Raw) -> String {
    let mut lines: Vec<String> = Vec::new();
    for name in ["title", "source"] {
        lines.extend(raw.get(name).and_then(|value| value.to_text()).filter(|text| !text.is_empty()));
    }
    if let Some(content) = raw.get("content") {
        if let Some(text) = content.to_text() {
            lines.push(text);
        }
        let _read = Reader::new(content.as_str()).array(|_, part| {
            if part.kind() == Kind::Object {
                let part = part.to_raw()?;
                lines.extend(part.get("text").and_then(|text| text.to_text()));
            }
            Ok(())
        });
    }
    lines.join("\n")
}
