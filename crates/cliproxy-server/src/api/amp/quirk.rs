//! What Amp's programs send that other services refuse, and what they need in an answer to be able to read it.
//!
//! Only Claude's format is concerned. Bodies are patched in place; streams are changed line by line, however the lines
//! arrive. The name of the model in answers is the engine's business, as for every renamed model.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use cliproxy_wire::json::patch::{Edit, Path, apply, get};
use cliproxy_wire::json::{Kind, Raw, Reader, member};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

const BETA: HeaderName = HeaderName::from_static("anthropic-beta");
/// Amp asks for it with every call, and accounts without it refuse the call.
const LONG_CONTEXT: &str = "context-1m-2025-08-07";
/// Names of Amp's tools, by which its programs know them whatever their case is in an answer.
const TOOLS: [&str; 6] = ["Bash", "Read", "Grep", "glob", "Task", "Check"];

/// Takes the long context out of the wanted features.
pub(super) fn request_headers(headers: &mut HeaderMap) {
    if !headers.contains_key(BETA) {
        return;
    }
    let features: Vec<&str> = headers
        .get_all(BETA)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|feature| !feature.is_empty() && *feature != LONG_CONTEXT)
        .collect();
    let value = HeaderValue::try_from(features.join(",")).ok().filter(|value| !value.is_empty());
    match value {
        Some(value) => drop(headers.insert(BETA, value)),
        None => drop(headers.remove(BETA)),
    }
}

/// Takes out of the conversation what no service has signed: thoughts without signature, and the signatures that an
/// answer through these routes gave to calls of tools.
pub(super) fn request_body(body: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&body) else { return body };
    let Some(messages) = member(text, "messages") else { return body };
    let mut edits = Vec::new();
    // A body that cannot be read is refused by whoever reads it next, in words of its own.
    let read = Reader::new(messages).array(|at, message| {
        let message = message.raw()?;
        if string(message, "role").as_deref() != Some("assistant") {
            return Ok(());
        }
        let place = Path::root().key("messages").index(at).key("content");
        for (index, block) in blocks(message).into_iter().enumerate() {
            match string(block, "type").as_deref() {
                Some("thinking") if string(block, "signature").is_none_or(|text| text.trim().is_empty()) => {
                    edits.push(Edit::remove(place.clone().index(index)));
                }
                Some("tool_use") if member(block, "signature").is_some() => {
                    edits.push(Edit::remove(place.clone().index(index).key("signature")));
                }
                _ => {}
            }
        }
        Ok(())
    });
    if read.is_err() || edits.is_empty() {
        return body;
    }
    match apply(text, &edits) {
        Ok(changed) => Bytes::from(changed.into_owned()),
        Err(_) => body,
    }
}

/// The blocks of a message's or an answer's content.
fn blocks(message: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    if let Some(content) = member(message, "content") {
        let mut reader = Reader::new(content);
        if reader.kind() == Kind::Array {
            // What comes after something malformed is not seen, and the text stays as it is.
            drop(reader.array(|_, block| {
                blocks.push(block.raw()?);
                Ok(())
            }));
        }
    }
    blocks
}

fn string(object: &str, name: &str) -> Option<String> {
    Reader::new(member(object, name)?).string().ok()
}

/// Changes one answer.
#[derive(Debug)]
pub(super) struct Rewriter {
    /// Tools as the request declares them.
    tools: Vec<String>,
    /// Amp refuses a whole answer with thoughts beside calls that another model than Claude gave.
    drops_thoughts: bool,
}

impl Rewriter {
    /// For the answer to `request`.
    pub(super) fn new(request: &Bytes, drops_thoughts: bool) -> Self {
        let text = std::str::from_utf8(request).unwrap_or_default();
        let mut tools = Vec::new();
        if let Some(list) = member(text, "tools") {
            // Of a malformed list nothing is served anyway.
            drop(Reader::new(list).array(|_, tool| {
                tools.extend(string(tool.raw()?, "name"));
                Ok(())
            }));
        }
        tools.extend(member(text, "tool_choice").and_then(|choice| string(choice, "name")));
        Self { tools, drops_thoughts }
    }

    /// The answer, changed as it passes.
    pub(super) fn rewrite(self, response: Response) -> Response {
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let is_events = kind.starts_with(b"text/event-stream");
        if !response.status().is_success() || !(is_events || kind.starts_with(b"application/json")) {
            return response;
        }
        let (mut head, body) = response.into_parts();
        head.headers.remove(CONTENT_LENGTH);
        let body = Rewritten { body, rewriter: self, is_events, open: Vec::new(), is_over: false };
        Response::from_parts(head, Body::new(body))
    }

    /// The declared spelling of a tool's name, else Amp's own.
    fn name(&self, name: &str) -> Option<&str> {
        let is_declared = self.tools.iter().any(|tool| tool == name);
        let spellings = self.tools.iter().map(String::as_str).chain(TOOLS);
        let spelling = spellings.into_iter().find(|tool| tool.eq_ignore_ascii_case(name));
        spelling.filter(|spelling| !is_declared && *spelling != name)
    }

    fn block(&self, block: &str, place: &Path, edits: &mut Vec<Edit>) {
        let kind = string(block, "type").unwrap_or_default();
        if !matches!(kind.as_str(), "tool_use" | "thinking") {
            return;
        }
        // Amp's terminal measures it without asking whether it is there.
        edits.push(Edit::set_default(place.clone().key("signature"), Raw::string("")));
        if kind == "tool_use"
            && let Some(name) = string(block, "name").as_deref().and_then(|name| self.name(name))
        {
            edits.push(Edit::set(place.clone().key("name"), Raw::string(name)));
        }
    }

    /// A whole answer.
    fn whole(&self, text: &str) -> Option<String> {
        let blocks = blocks(text);
        let is_kind = |block: &str, kind: &str| string(block, "type").as_deref() == Some(kind);
        let drops = self.drops_thoughts && blocks.iter().any(|block| is_kind(block, "tool_use"));
        let mut edits = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            let place = Path::root().key("content").index(index);
            if drops && is_kind(block, "thinking") {
                edits.push(Edit::remove(place));
            } else {
                self.block(block, &place, &mut edits);
            }
        }
        apply(text, &edits).ok().map(std::borrow::Cow::into_owned)
    }

    /// A line of a stream; `None` when it stays as it is. Only the start of a block says what is changed.
    fn line(&self, line: &[u8]) -> Option<Vec<u8>> {
        let payload = line.strip_prefix(b"data:")?;
        let text = std::str::from_utf8(payload).ok()?;
        if !text.contains("content_block_start") {
            return None;
        }
        let place = Path::root().key("content_block");
        let mut edits = Vec::new();
        self.block(get(text, &place)?, &place, &mut edits);
        let changed = apply(text.trim_end(), &edits).ok().filter(|_| !edits.is_empty())?;
        let end = text.get(text.trim_end().len()..).unwrap_or_default();
        Some([b"data:", changed.as_bytes(), end.as_bytes()].concat())
    }
}

/// A body whose blocks are changed.
struct Rewritten {
    body: Body,
    rewriter: Rewriter,
    is_events: bool,
    /// The line, or the whole answer, that has not ended yet.
    open: Vec<u8>,
    is_over: bool,
}

impl Rewritten {
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if !self.is_events {
            // Signs of life before the answer are for now.
            if self.open.is_empty() && bytes.trim_ascii().is_empty() {
                return bytes.to_vec();
            }
            self.open.extend_from_slice(bytes);
            return Vec::new();
        }
        let mut out = Vec::with_capacity(bytes.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if piece.last() != Some(&b'\n') {
                self.open.extend_from_slice(piece);
                continue;
            }
            let joined;
            let line = if self.open.is_empty() {
                piece
            } else {
                self.open.extend_from_slice(piece);
                joined = std::mem::take(&mut self.open);
                &joined
            };
            match self.rewriter.line(line) {
                Some(changed) => out.extend_from_slice(&changed),
                None => out.extend_from_slice(line),
            }
        }
        out
    }

    fn finish(&mut self) -> Vec<u8> {
        let open = std::mem::take(&mut self.open);
        if self.is_events {
            return self.rewriter.line(&open).unwrap_or(open);
        }
        let changed = std::str::from_utf8(&open).ok().and_then(|text| self.rewriter.whole(text));
        changed.map_or(open, String::into_bytes)
    }
}

impl http_body::Body for Rewritten {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while !self.is_over {
            let out = match std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.push(&bytes),
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.is_over = true;
                    self.finish()
                }
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
        Poll::Ready(None)
    }
}
