//! Putting a request together: its address, and the same request for a websocket.

use cliproxy_wire::fault::{Fault, Kind as FaultKind};
use cliproxy_wire::json;
use cliproxy_wire::json::patch::{Edit, Path};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::failure::{Failure, Rest, Retry};
use crate::upstream::{Addresses, Outgoing, Pieces, Talk};

/// A request to an address.
///
/// # Errors
/// A text that is no address.
pub(super) fn post(
    addresses: &Addresses,
    address: String,
    headers: HeaderMap,
    body: impl Into<Pieces>,
) -> Result<Outgoing, Failure> {
    match addresses.read(address) {
        Some(uri) => Ok(Outgoing::Http { method: Method::POST, uri, headers, body: body.into() }),
        None => Err(Failure::gateway(Fault::new(
            FaultKind::Api,
            "the configured base-url of this credential is not a usable address; check it in config.yaml",
        ))
        .with_retry(Retry::Next(Rest::None))),
    }
}

/// The same Responses request over a websocket: its body as the frame that asks. Whether the upstream `goes_on` from its
/// last answer on the same socket is its own.
pub(super) fn over_socket(outgoing: Outgoing, goes_on: bool) -> Outgoing {
    let Outgoing::Http { uri, headers, body, .. } = &outgoing else { return outgoing };
    let edits = [
        Edit::set(Path::root().key("type"), json::Raw::string("response.create")),
        // Frames come one by one anyway.
        Edit::remove(Path::root().key("stream")),
    ];
    let whole = body.whole();
    let text = std::str::from_utf8(&whole).unwrap_or_default();
    let Ok(opening) = json::patch::apply(text, &edits) else { return outgoing };
    let mut headers = headers.clone();
    for name in [CONTENT_TYPE, ACCEPT, ACCEPT_ENCODING] {
        headers.remove(name);
    }
    headers.insert(
        HeaderName::from_static("openai-beta"),
        HeaderValue::from_static("responses_websockets=2026-02-06"),
    );
    let (uri, opening) = (uri.clone(), opening.into_owned());
    Outgoing::Socket(Box::new(Talk { uri, headers, opening, instead: outgoing, goes_on }))
}

/// A model's name as one or more path segments: slashes stay, everything else that a path may not hold is encoded.
pub(super) fn path_segment(model: &str) -> String {
    let mut path = String::with_capacity(model.len());
    for byte in model.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b'@' | b':' => {
                path.push(char::from(byte));
            }
            _ => {
                path.push('%');
                for nibble in [byte >> 4, byte & 0xF] {
                    path.extend(
                        char::from_digit(u32::from(nibble), 16).map(|digit| digit.to_ascii_uppercase()),
                    );
                }
            }
        }
    }
    path
}
