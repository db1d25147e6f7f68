//! The frames of a page's socket: text, one JSON object each, `{"id","type","payload"}`. Unknown members, types and ids
//! are borne. Bodies are strings; what is no text cannot be sent this way.

use std::borrow::Cow;

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{self, HeaderHints};
use cliproxy_wire::json::{self, Kind, Reader};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use uuid::Uuid;

use super::Ask;
use super::slot::Head;

/// A request as a frame.
pub(super) struct Asked {
    /// What all answers repeat.
    pub(super) id: Box<str>,
    /// The frame.
    pub(super) text: String,
}

impl Asked {
    pub(super) fn new(ask: &Ask) -> Self {
        let id = Uuid::new_v4().to_string();
        let body = std::str::from_utf8(&ask.body).unwrap_or_default();
        let mut out = Vec::with_capacity(body.len() + body.len() / 8 + 512);
        json::object(&mut out, |frame| {
            frame.str("id", &id);
            frame.str("type", "http_request");
            frame.object("payload", |payload| {
                payload.str("method", ask.method.as_str());
                payload.str("url", &ask.uri.to_string());
                payload.object("headers", |headers| {
                    for name in ask.headers.keys() {
                        headers.array(name.as_str(), |values| {
                            for value in ask.headers.get_all(name) {
                                values.str(value.to_str().unwrap_or_default());
                            }
                        });
                    }
                });
                payload.str("body", body);
                payload.str("sent_at", &ask.sent_at);
            });
        });
        Self { id: id.into(), text: text(out) }
    }
}

/// The answer to a `ping`.
pub(super) fn pong(id: &str) -> String {
    let mut out = Vec::new();
    json::object(&mut out, |frame| {
        frame.str("id", id);
        frame.str("type", "pong");
    });
    text(out)
}

fn text(out: Vec<u8>) -> String {
    // The writer only ever appends text.
    String::from_utf8(out).unwrap_or_default()
}

/// What a page says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// The whole answer.
    Whole(Head, Bytes),
    /// An answer begins.
    Begun(Head),
    /// A piece of it.
    Piece(Bytes),
    /// It ends.
    Ended,
    /// There is none, or none any more: the status that the page gives it, and why.
    Failed(StatusCode, String),
    /// It cannot be understood; what is wrong.
    Wrong(&'static str),
    /// A sign of life that wants an answer.
    Ping,
    /// Something that later pages may say.
    Unknown,
}

/// Reads a frame: whose answer, and what of it. `None` for what is no frame.
pub(super) fn read(text: &str) -> Option<(Cow<'_, str>, Said)> {
    let mut reader = Reader::new(text);
    let (mut id, mut kind, mut payload) = (None, None, None);
    let read = reader.object(|name, value| {
        match (name, value.kind()) {
            ("id", Kind::String) => id = Some(value.str()?),
            ("type", Kind::String) => kind = Some(value.str()?),
            ("payload", Kind::Object) => payload = Some(Payload::read(value)?),
            _ => {}
        }
        Ok(())
    });
    read.and_then(|()| reader.finish()).ok()?;
    let (id, kind) = (id?, kind?);
    Some((id, Payload::mean(payload, &kind)))
}

#[derive(Default)]
struct Payload {
    status: Option<u16>,
    headers: HeaderMap,
    body: Option<String>,
    data: Option<String>,
    error: Option<String>,
    wrong: Option<&'static str>,
}

impl Payload {
    fn read(value: &mut Reader<'_>) -> Result<Self, cliproxy_wire::Error> {
        let mut payload = Self::default();
        value.object(|name, value| {
            let kind = value.kind();
            match (name, kind) {
                (_, Kind::Null) => {}
                ("status", Kind::Number) => {
                    payload.status = value.number()?.parse().ok();
                    if payload.status.is_none() {
                        payload.wrong = Some("payload.status is no status");
                    }
                }
                ("status", _) => payload.wrong = Some("payload.status is no number"),
                ("headers", Kind::Object) => headers(value, &mut payload.headers)?,
                ("body", Kind::String) => payload.body = Some(value.string()?),
                ("body", _) => payload.wrong = Some("payload.body is no text"),
                ("data", Kind::String) => payload.data = Some(value.string()?),
                ("data", _) => payload.wrong = Some("payload.data is no text"),
                ("error", Kind::String) => payload.error = Some(value.string()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(payload)
    }

    /// What a payload means in a frame of this type.
    fn mean(payload: Option<Self>, kind: &str) -> Said {
        let is_there = payload.is_some();
        let payload = payload.unwrap_or_default();
        let answers = matches!(kind, "http_response" | "stream_start" | "stream_chunk");
        match (kind, payload.wrong) {
            ("ping", _) => Said::Ping,
            ("stream_end", _) => Said::Ended,
            (_, Some(wrong)) if answers => Said::Wrong(wrong),
            ("stream_chunk", None) => Said::Piece(payload.data.unwrap_or_default().into()),
            ("http_response" | "stream_start", None) => {
                let usual = if is_there || kind == "stream_start" { 200 } else { 502 };
                let Some(status) = status(payload.status.unwrap_or(usual)) else {
                    return Said::Wrong("payload.status is no status of an answer");
                };
                let mut head = Head { status, headers: payload.headers };
                if kind == "stream_start" {
                    return Said::Begun(head);
                }
                let body = payload.body.unwrap_or_default();
                if body.trim_start().starts_with(['{', '[']) {
                    let json = HeaderValue::from_static("application/json");
                    head.headers.entry(CONTENT_TYPE).or_insert(json);
                }
                Said::Whole(head, body.into())
            }
            ("error", _) => {
                let told = payload.error.filter(|told| !told.trim().is_empty());
                let told =
                    told.unwrap_or_else(|| "the page reports an error and does not say which".to_owned());
                let given = payload.status.and_then(status).filter(|status| status.as_u16() >= 400);
                let told = match given {
                    Some(status) => format!("{told} (status={})", status.as_u16()),
                    None => told,
                };
                Said::Failed(given.unwrap_or(StatusCode::BAD_GATEWAY), told)
            }
            _ => Said::Unknown,
        }
    }
}

/// A status that ends an answer; those below 200 announce another one.
fn status(number: u16) -> Option<StatusCode> {
    StatusCode::from_u16(number).ok().filter(|_| (200..600).contains(&number))
}

/// Values are texts or lists of them. What browsers have undone already is left out, and what is no header.
fn headers(value: &mut Reader<'_>, headers: &mut HeaderMap) -> Result<(), cliproxy_wire::Error> {
    value.object(|name, value| {
        let name = HeaderName::try_from(name).ok();
        let name = name.filter(|name| ![CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name));
        let mut add = |value: &mut Reader<'_>| {
            if value.kind() == Kind::String {
                let text = value.str()?;
                if let (Some(name), Ok(value)) = (&name, HeaderValue::from_str(&text)) {
                    headers.append(name, value);
                }
            }
            Ok(())
        };
        match value.kind() {
            Kind::Array => value.array(|_, value| add(value)),
            _ => add(value),
        }
    })
}

/// What a page tells of an error, without what nobody may see: pages quote addresses, and those hold keys.
pub(super) fn redacted(told: &str) -> String {
    fault::decode(Format::Gemini, 502, &HeaderHints::default(), told.as_bytes()).message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        read(text).unwrap().1
    }

    #[test]
    fn a_request_is_a_frame_whose_body_is_a_text() {
        let ask = Ask {
            method: http::Method::POST,
            uri: "https://g.example/v1beta/models/m:generateContent".parse().unwrap(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
            body: Bytes::from_static("{\"a\":\"\u{e4}\\n\"}".as_bytes()),
            sent_at: "2026-01-01T00:00:00Z".to_owned(),
        };
        let asked = Asked::new(&ask);
        assert_eq!(
            asked.text.replace(&*asked.id, "ID"),
            r#"{"id":"ID","type":"http_request","payload":{"method":"POST","url":"https://g.example/v1beta/models/m:generateContent","headers":{"content-type":["application/json"]},"body":"{\"a\":\"ä\\n\"}","sent_at":"2026-01-01T00:00:00Z"}}"#
        );
    }

    #[test]
    fn whatever_a_page_leaves_out_has_a_meaning() {
        let whole = |status: u16, body: &'static str| {
            let mut head = Head { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new() };
            if body.starts_with('{') {
                head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            Said::Whole(head, Bytes::from_static(body.as_bytes()))
        };
        assert_eq!(said(r#"{"id":"a","type":"http_response","payload":{"body":"{}"}}"#), whole(200, "{}"));
        assert_eq!(said(r#"{"payload":{"status":404.0,"body":"x"},"type":"http_response","id":""}"#), {
            Said::Wrong("payload.status is no status")
        });
        assert_eq!(said(r#"{"id":"a","type":"http_response"}"#), whole(502, ""));
        assert_eq!(said(r#"{"id":"a","type":"stream_chunk"}"#), Said::Piece(Bytes::new()));
        assert_eq!(said(r#"{"id":"a","type":"stream_end","payload":null}"#), Said::Ended);
        assert_eq!(said(r#"{"id":"a","type":"ping"}"#), Said::Ping);
        assert_eq!(said(r#"{"id":"a","type":"later","payload":{"status":"x"}}"#), Said::Unknown);
        for (frame, status, told) in [
            (r#"{"id":"a","type":"error","payload":{"error":"no","status":429}}"#, 429, "no (status=429)"),
            (r#"{"id":"a","type":"error","payload":{"error":"no"}}"#, 502, "no"),
            (r#"{"id":"a","type":"error"}"#, 502, "the page reports an error and does not say which"),
        ] {
            assert_eq!(said(frame), Said::Failed(StatusCode::from_u16(status).unwrap(), told.to_owned()));
        }
    }

    #[test]
    fn headers_are_texts_or_lists_and_what_browsers_undo_is_left_out() {
        let frame = r#"{"id":"a","type":"stream_start","payload":{"status":429,"headers":{"Retry-After":["7"],"content-encoding":"gzip","Content-Length":"9","bad name":"x","x-n":5,"x-a":"b"}}}"#;
        let Said::Begun(head) = said(frame) else { panic!() };
        assert_eq!((head.status.as_u16(), head.headers.len()), (429, 2));
        assert!(head.headers["retry-after"] == "7" && head.headers["x-a"] == "b", "{head:?}");
    }

    #[test]
    fn what_is_no_frame_is_told_from_what_is_wrong_in_one() {
        for text in [
            "",
            "x",
            "[]",
            "{",
            r#"{"id":"a"}"#,
            r#"{"type":"ping"}"#,
            r#"{"id":1,"type":"ping"}"#,
            r#"{"id":"a","type":"ping"} {}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        for (payload, wrong) in [
            (r#"{"status":"200"}"#, "payload.status is no number"),
            (r#"{"status":99}"#, "payload.status is no status of an answer"),
            (r#"{"body":{}}"#, "payload.body is no text"),
        ] {
            let frame = format!(r#"{{"id":"a","type":"http_response","payload":{payload}}}"#);
            assert_eq!(said(&frame), Said::Wrong(wrong));
        }
        assert_eq!(
            said(r#"{"id":"a","type":"stream_chunk","payload":{"data":[1]}}"#),
            Said::Wrong("payload.data is no text")
        );
    }

    #[test]
    fn errors_are_told_without_keys() {
        let told = redacted("cannot fetch https://g.example/?key=AIzaSyA1234567890abcdefghijklmnopqrstuvw");
        assert!(told.contains("cannot fetch") && !told.contains("AIza"), "{told}");
    }
}
