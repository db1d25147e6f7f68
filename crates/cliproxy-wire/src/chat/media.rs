//! Media as the Chat format writes them: data URLs, addresses, bare base64, file names.
//!
//! Payloads stay the sender's base64 text; nothing is decoded. Whether a target takes a kind of media is decided
//! elsewhere.

use crate::Error;
use crate::json::{Object, Words as _};
use crate::model::{Media, Owner, Str};

/// Reads what stands where the format wants an address. `fallback` is the MIME type of bare base64 that does not show
/// what it is.
///
/// # Errors
/// A data URL that holds no base64.
pub(super) fn read(address: &Str, fallback: &str) -> Result<Media, Error> {
    if let Some(data) = strip_scheme(address) {
        return inline(address, data, fallback);
    }
    let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => Ok(Media::Url(address.clone())),
        Some("gs") => Ok(Media::GoogleUri { mime: None, uri: address.clone() }),
        Some(_) => Err(Error::malformed("expected an http, https or data address")),
        None => {
            let mime = sniff(address).unwrap_or(fallback);
            Ok(Media::Inline { mime: mime.into(), base64: address.clone() })
        }
    }
}

/// What follows `data:`, which is written in any case.
fn strip_scheme(address: &str) -> Option<&str> {
    let (scheme, rest) = address.split_at_checked(5)?;
    scheme.eq_ignore_ascii_case("data:").then_some(rest)
}

fn inline(address: &Str, data: &str, fallback: &str) -> Result<Media, Error> {
    let Some((head, base64)) = data.split_once(',') else {
        return Err(Error::malformed("the data URL has no comma"));
    };
    let mut parameters = head.split(';');
    let mime = parameters.next().unwrap_or_default().trim().to_ascii_lowercase();
    if !parameters.any(|parameter| parameter.trim().eq_ignore_ascii_case("base64")) {
        return Err(Error::malformed("the data URL is not base64; write data:<type>;base64,<data>"));
    }
    let mime: Str = if mime.is_empty() { sniff(base64).unwrap_or(fallback).into() } else { mime.into() };
    Ok(Media::Inline { mime, base64: address.slice_ref(base64) })
}

/// The MIME type that the first bytes of some base64 tell.
pub(super) fn sniff(base64: &str) -> Option<&'static str> {
    const HEADS: [(&str, &str); 11] = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "audio/wav"),
        ("JVBERi", "application/pdf"),
        ("SUQz", "audio/mpeg"),
        ("//s", "audio/mpeg"),
        ("//M", "audio/mpeg"),
        ("//P", "audio/mpeg"),
        ("T2dnUw", "audio/ogg"),
        ("ZkxhQ", "audio/flac"),
    ];
    // RIFF is the container of WebP too; its tag stands behind the length.
    if base64.starts_with("UklGR") && base64.get(11..16) == Some("XRUJQ") {
        return Some("image/webp");
    }
    HEADS.iter().find(|(head, _)| base64.starts_with(head)).map(|(_, mime)| *mime)
}

/// The MIME type that a file name tells.
pub(super) fn mime_of(filename: &str) -> Option<&'static str> {
    let (_, extension) = filename.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "xml" => "text/xml",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => return None,
    })
}

/// The file of `id` in OpenAI's store, which is whose ids this format carries.
pub(super) fn file(id: &str) -> Media {
    Media::File { owner: Owner::OpenAi, id: id.into() }
}

/// The MIME type of an `input_audio` format word.
pub(super) fn audio_mime(format: &str) -> Str {
    match format.to_ascii_lowercase().as_str() {
        "wav" | "wave" | "" => "audio/wav".into(),
        "mp3" | "mpeg" => "audio/mpeg".into(),
        other => format!("audio/{other}").into(),
    }
}

/// The `input_audio` format word of a MIME type; the format knows two.
pub(super) fn audio_format(mime: &str) -> Option<&'static str> {
    match mime {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Some("wav"),
        "audio/mpeg" | "audio/mp3" => Some("mp3"),
        _ => None,
    }
}

/// Writes what stands where the format wants an address, as a JSON string; false for media that have none.
pub(super) fn write(object: &mut Object<'_>, key: &str, media: &Media) -> bool {
    match media {
        Media::Inline { mime, base64 } => {
            object.key(key);
            let out = object.buffer();
            out.extend_from_slice(b"\"data:");
            mime.write_inside(out);
            out.extend_from_slice(b";base64,");
            base64.write_inside(out);
            out.push(b'"');
        }
        Media::Url(url) | Media::GoogleUri { uri: url, .. } => object.str(key, url),
        Media::File { .. } | Media::Text { .. } => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mime(address: &str) -> Str {
        match read(&address.into(), "image/png").unwrap() {
            Media::Inline { mime, .. } => mime,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn data_urls_are_read_in_any_case_and_with_parameters() {
        assert_eq!(&*mime("DATA:IMAGE/PNG;BASE64,iVBO"), "image/png");
        assert_eq!(&*mime("data:image/webp;name=a;base64,UklG"), "image/webp");
        assert_eq!(&*mime("data:;base64,/9j/4AAQ"), "image/jpeg");
        assert_eq!(&*mime("R0lGODlhAQABAAAAACw="), "image/gif");
        let webp = "UklGRiIAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==";
        assert_eq!(&*mime(webp), "image/webp");
        assert_eq!(sniff("UklGRiQAAABXQVZFZm10IBAAAAABAAEA"), Some("audio/wav"));
    }

    #[test]
    fn a_data_url_without_base64_is_refused() {
        let error = read(&"data:image/svg+xml,<svg/>".into(), "image/png").unwrap_err();
        assert!(error.message().contains("not base64"), "{error}");
        assert!(read(&"data:image/png".into(), "image/png").is_err());
        assert!(read(&"ftp://host/a.png".into(), "image/png").is_err());
    }
}
