//! Uploads of web forms (RFC 7578), as browsers send them: whole, with a boundary that the head names.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// One part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The field.
    pub(super) name: String,
    /// The name of the file, as the browser says it.
    pub(super) file: Option<String>,
    pub(super) content: Bytes,
}

/// Parts of a form at most.
const MOST: usize = 200;

/// The boundary, when the body is a form.
pub(super) fn boundary(headers: &HeaderMap) -> Option<String> {
    let media = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = media.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty() && boundary.len() <= 200)
}

/// The parts of a form; `None` when it is broken.
pub(super) fn parts(body: &Bytes, boundary: &str) -> Option<Vec<Part>> {
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
            parts.push(Part { name, file, content: body.slice(start.min(end)..end) });
        }
        at = end + mark.len();
    }
}

fn disposition(head: &str) -> Option<(String, Option<String>)> {
    let line = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (_, parameters) = line.split_once(';')?;
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
    let found = body.get(from..)?.windows(wanted.len()).position(|window| window == wanted);
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
        assert_eq!(parts[1].file.as_deref(), Some("a.json"));
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
