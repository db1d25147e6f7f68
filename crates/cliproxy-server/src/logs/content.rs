//! What is written into records of requests, and what of it is not shown.

use std::io::{self, Write};

use cliproxy_core::secret::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

/// Headers whose values open something.
fn is_secret(name: &str) -> bool {
    let names = ["authorization", "cookie", "api-key", "apikey", "token", "secret", "password"];
    names.iter().any(|secret| name.contains(secret))
}

/// Parameters of a query whose values open something.
fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "key" | "code" | "state") || is_secret(&name)
}

/// A query with secrets masked; everything else stays as it is written.
pub(super) fn masked_query(query: &str) -> String {
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_secret_parameter(name) => format!("{name}=****"),
        _ => pair.to_owned(),
    });
    masked.collect::<Vec<_>>().join("&").chars().take(500).collect()
}

/// An address without what is secret in it.
pub(super) fn shown(uri: &Uri) -> String {
    let text = uri.to_string();
    match text.split_once('?') {
        Some((address, query)) => format!("{address}?{}", masked_query(query)),
        None => text,
    }
}

fn value(name: &HeaderName, value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    if value.is_sensitive() || is_secret(name.as_str()) {
        Secret::new(text.as_ref()).masked()
    } else {
        text.into_owned()
    }
}

/// Writes headers, one a line.
pub(super) fn headers(out: &mut impl Write, headers: &HeaderMap) -> io::Result<()> {
    for (name, text) in headers {
        writeln!(out, "{name}: {}", value(name, text))?;
    }
    Ok(())
}

/// Writes what a client asked.
pub(super) fn request(
    out: &mut impl Write,
    (method, uri): (&Method, &Uri),
    head: &HeaderMap,
    body: &[u8],
) -> io::Result<()> {
    let stamp = super::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    writeln!(out, "=== REQUEST INFO ===\nVersion: {}\nURL: {}", env!("CARGO_PKG_VERSION"), shown(uri))?;
    writeln!(out, "Method: {method}\nTimestamp: {stamp}\n\n=== HEADERS ===")?;
    headers(out, head)?;
    out.write_all(b"\n=== REQUEST BODY ===\n")?;
    out.write_all(body)?;
    out.write_all(b"\n\n")
}

/// Writes the head of what a client is answered.
pub(super) fn response(out: &mut impl Write, status: u16, head: &HeaderMap) -> io::Result<()> {
    writeln!(out, "=== RESPONSE ===\nStatus: {status}")?;
    headers(out, head)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_by_their_names() {
        assert_eq!(
            masked_query("alt=sse&key=client-key&x=1&auth_token=t&state="),
            "alt=sse&key=****&x=1&auth_token=****&state="
        );
        let mut head = HeaderMap::new();
        for (name, text) in [
            ("authorization", "Bearer client-key-0001"),
            ("x-api-key", "short"),
            ("x-goog-api-key", "client-key-0002"),
            ("user-agent", "me"),
        ] {
            head.insert(HeaderName::from_static(name), HeaderValue::from_static(text));
        }
        let mut sensitive = HeaderValue::from_static("upstream-value-0003");
        sensitive.set_sensitive(true);
        head.insert("x-other", sensitive);
        let mut out = Vec::new();
        headers(&mut out, &head).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "authorization: ****0001\nx-api-key: ****\nx-goog-api-key: ****0002\nuser-agent: me\nx-other: ****0003\n"
        );
    }
}
