//! Media in this format: data URLs, addresses, file ids.

use crate::Error;
use crate::json::{Object, Words as _};
use crate::model::{Media, Owner, Str};

/// Reads an address that may be a data URL.
pub(super) fn from_url(url: &Str) -> Result<Media, Error> {
    let Some(rest) = strip_scheme(url) else {
        if url.starts_with("gs://") {
            return Ok(Media::GoogleUri { mime: None, uri: url.clone() });
        }
        return Ok(Media::Url(url.clone()));
    };
    let Some((head, payload)) = rest.split_once(',') else {
        return Err(Error::malformed("a data URL needs a comma before its payload"));
    };
    let mut words = head.split(';');
    let mime = words.next().unwrap_or_default().trim().to_ascii_lowercase();
    if !words.any(|word| word.trim().eq_ignore_ascii_case("base64")) {
        return Err(Error::malformed("the data URL is not base64; write data:<type>;base64,<data>"));
    }
    let mime = if mime.is_empty() { "application/octet-stream".to_owned() } else { mime };
    Ok(Media::Inline { mime: mime.into(), base64: url.slice_ref(payload) })
}

/// Reads file content: a data URL, or bare base64 whose type the file name tells.
pub(super) fn from_file_data(data: &Str, filename: Option<&str>) -> Result<Media, Error> {
    if strip_scheme(data).is_some() {
        return from_url(data);
    }
    Ok(Media::Inline { mime: mime_of(filename).into(), base64: data.clone() })
}

/// A file id of this format's provider.
pub(super) fn file(id: Str) -> Media {
    Media::File { owner: Owner::OpenAi, id }
}

fn strip_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_at_checked(5)?;
    scheme.eq_ignore_ascii_case("data:").then_some(rest)
}

fn mime_of(filename: Option<&str>) -> &'static str {
    let extension =
        filename.and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("txt" | "md" | "log") => "text/plain",
        Some("csv") => "text/csv",
        Some("html" | "htm") => "text/html",
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("pptx") => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/pdf",
    }
}

/// Writes a data URL member without building it first: payloads are large.
pub(super) fn write_data_url(object: &mut Object<'_>, key: &str, mime: &Str, base64: &Str) {
    object.key(key);
    let out = object.buffer();
    out.reserve(base64.len() + mime.len() + 16);
    out.extend_from_slice(b"\"data:");
    mime.write_inside(out);
    out.extend_from_slice(b";base64,");
    base64.write_inside(out);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_of_any_spelling_are_split() {
        let expected = Media::Inline { mime: "image/png".into(), base64: "AAAA".into() };
        assert_eq!(from_url(&"data:image/PNG;base64,AAAA".into()).unwrap(), expected);
        assert_eq!(from_url(&"DATA:image/png;charset=x;BASE64,AAAA".into()).unwrap(), expected);
        assert_eq!(from_url(&"https://x/y".into()).unwrap(), Media::Url("https://x/y".into()));
        assert!(from_url(&"data:image/png,AAAA".into()).is_err());
        assert!(from_url(&"data:image/png;base64".into()).is_err());
    }

    #[test]
    fn bare_file_data_takes_its_type_from_the_name() {
        let media = |name| from_file_data(&"AAAA".into(), name).unwrap();
        assert_eq!(media(Some("a.CSV")), Media::Inline { mime: "text/csv".into(), base64: "AAAA".into() });
        assert_eq!(media(None), Media::Inline { mime: "application/pdf".into(), base64: "AAAA".into() });
    }
}
