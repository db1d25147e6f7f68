//! Uploads of web forms (RFC 7578), as browsers and SDKs send them: whole, with a boundary that the head names. Which
//! fields there are is for whoever reads one.

use std::ops::Range;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The field.
    pub name: String,
    /// The name of the file, as the sender says it.
    pub file: Option<String>,
    /// The media type of the content, where the sender says one.
    pub media: Option<String>,
    /// The content.
    pub content: Bytes,
    /// Where the content stands in the body.
    pub at: Range<usize>,
}

impl Part {
    /// The content as text; `None` for a file's, and for what is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.content).ok().filter(|_| self.file.is_none())
    }
}

/// Parts of a form at most.
const MOST: usize = 200;

/// The boundary, when the body is a form.
pub fn boundary(headers: &HeaderMap) -> Option<String> {
    let media = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = media.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty() && boundary.len() <= 200)
}

/// The parts of a form; `None` when it is broken.
pub fn parts(body: &Bytes, boundary: &str) -> Option<Vec<Part>> {
    let mark = format!("\r\n--{boundary}");
    let first = format!("--{boundary}");
    let mut at = find(body, first.as_bytes(), 0)? + first.len();
    let mut parts = Vec::new();
    loop {
        if body.get(at..)?.starts_with(b"--") {
            return Some(parts);
        }
        if parts.len() >= MOST {
            return None;
        }
        let head_start = find(body, b"\r\n", at)? + 2;
        let head_end = find(body, b"\r\n\r\n", head_start - 2)?;
        let start = head_end + 4;
        let end = find(body, mark.as_bytes(), head_end.checked_add(2)?)?;
        let head = std::str::from_utf8(body.get(head_start.min(head_end)..head_end)?).ok()?;
        if let Some((name, file)) = disposition(head) {
            let at = start.min(end)..end;
            parts.push(Part { name, file, media: media(head), content: body.slice(at.clone()), at });
        }
        at = end + mark.len();
    }
}

fn header<'h>(head: &'h str, wanted: &str) -> Option<&'h str> {
    head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case(wanted).then_some(value)
    })
}

fn media(head: &str) -> Option<String> {
    let kind = header(head, "content-type")?.split(';').next().unwrap_or_default().trim();
    (!kind.is_empty()).then(|| kind.to_ascii_lowercase())
}

fn disposition(head: &str) -> Option<(String, Option<String>)> {
    let (_, parameters) = header(head, "content-disposition")?.split_once(';')?;
    Some((parameter(parameters, "name")?, parameter(parameters, "filename")))
}

/// A parameter of a header, quoted or not.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_start_matches([';', ' ']).trim();
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(';').unwrap_or((after, "")),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
}

fn find(body: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let found = memchr::memmem::find(body.get(from..)?, wanted);
    found.map(|at| at + from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_form_are_found() {
        let body = Bytes::from_static(
            b"preamble\r\n--X\r\nContent-Disposition: form-data; name=\"location\"\r\n\r\neu\r\n--X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.json\"\r\nContent-Type: application/json\r\n\r\n{\"a\":\"\r\n--Y\"}\r\n--X--\r\n",
        );
        let parts = parts(&body, "X").unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(
            (parts[0].name.as_str(), &parts[0].file, &parts[0].content[..]),
            ("location", &None, &b"eu"[..])
        );
        assert_eq!((parts[0].text(), parts[0].media.as_deref()), (Some("eu"), None));
        assert_eq!(body.get(parts[0].at.clone()), Some(&b"eu"[..]));
        assert_eq!(parts[1].file.as_deref(), Some("a.json"));
        assert_eq!((parts[1].text(), parts[1].media.as_deref()), (None, Some("application/json")));
        assert_eq!(&parts[1].content[..], b"{\"a\":\"\r\n--Y\"}");
    }

    #[test]
    fn broken_forms_are_none() {
        for body in ["", "--X", "--X\r\n", "--X\r\nA: b\r\n\r\ntext", "--X\r\n\r\n\r\n--Y--"] {
            assert_eq!(parts(&Bytes::from_static(body.as_bytes()), "X"), None, "{body:?}");
        }
    }

    #[test]
    fn the_boundary_is_in_the_head() {
        let of = |text: &'static str| {
            boundary(&HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(text))]))
        };
        assert_eq!(of("multipart/form-data; charset=x; boundary=\"a b\""), Some("a b".to_owned()));
        assert_eq!(of("Multipart/Form-Data;boundary=abc"), Some("abc".to_owned()));
        assert_eq!(of("application/json; boundary=abc"), None);
    }
}
