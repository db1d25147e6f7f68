//! What a conversation over a websocket remembers, and what its next message means.
//!
//! `response.create` begins anew, unless it names the answer before it: then it goes on from there with what is new, as
//! `response.append` always does. Requests go out whole, so what was said is kept here as it was written.

use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json::patch::{Edit, Path, apply};
use cliproxy_wire::json::{self, Raw, Reader, member};

/// What a message asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// This request.
    Ask(String),
    /// Nothing but to be remembered, and these events.
    Warm(Vec<String>),
}

/// A conversation so far.
#[derive(Debug)]
pub(super) struct Conversation {
    /// The members of the last request, without its input.
    request: Option<String>,
    /// Everything that was said, as elements of `input`.
    said: Vec<String>,
    /// The answer before.
    answer: Option<String>,
    /// How it stood before a request whose answer has not come to its end.
    before: Option<Before>,
    /// Longest request.
    limit: usize,
}

/// A conversation as it was.
#[derive(Debug)]
struct Before {
    request: Option<String>,
    answer: Option<String>,
    said: Said,
}

#[derive(Debug)]
enum Said {
    /// The first so many elements of what is said now.
    First(usize),
    /// Something else.
    Other(Vec<String>),
}

impl Conversation {
    /// A new one, whose requests are no longer than `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { request: None, said: Vec::new(), answer: None, before: None, limit }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// One that asks for nothing that there is.
    pub(super) fn take(&mut self, message: &str) -> Result<Turn, Fault> {
        let mut reader = Reader::new(message);
        let is_object = reader.kind() == json::Kind::Object;
        if !is_object || reader.skip().and_then(|()| reader.finish()).is_err() {
            return Err(wrong("the message is no JSON object"));
        }
        let kind = string(message, "type").unwrap_or_default();
        // What was not answered was not said: a client that tries again sends it again.
        if let Some(before) = self.before.take() {
            self.restore(before);
        }
        match kind.as_str() {
            "response.create" => self.create(message),
            _ if self.request.is_none() => Err(wrong("websocket request received before response.create")),
            "response.append" => {
                let input = array(message)?;
                let before = self.standing();
                self.go_on(before, None, input)
            }
            _ => {
                let shown: String = kind.chars().take(80).collect();
                Err(wrong(format!("unsupported websocket request type: {shown}")))
            }
        }
    }

    fn create(&mut self, message: &str) -> Result<Turn, Fault> {
        let has_model = string(message, "model").is_some_and(|model| !model.trim().is_empty());
        let edits = ["type", "input", "previous_response_id", "generate"]
            .map(|name| Edit::remove(Path::root().key(name)));
        let mut request = apply(message, &edits).map_err(Fault::from)?.into_owned();
        if !has_model {
            let before = self.request.as_deref().and_then(|before| member(before, "model"));
            let model = before.ok_or_else(|| wrong("missing model in response.create request"))?;
            let edit = Edit::set(Path::root().key("model"), Raw::new(model));
            request = apply(&request, &[edit]).map_err(Fault::from)?.into_owned();
        }
        let input = if self.request.is_some() { array(message)? } else { opening(message)? };
        let is_warm = member(message, "generate") == Some("false");
        let mut before = self.standing();
        if let Some(previous) = string(message, "previous_response_id") {
            if self.answer.as_deref() != Some(previous.as_str()) {
                let message = "previous_response_id names no answer of this connection; send the whole input";
                return Err(wrong(message).with_code("previous_response_not_found"));
            }
        } else {
            before.said = Said::Other(std::mem::take(&mut self.said));
            self.answer = None;
        }
        if !is_warm {
            return self.go_on(before, Some(request), input);
        }
        self.said.extend(input);
        let said: usize = self.said.iter().map(|element| element.len() + 1).sum();
        if request.len() + said > self.limit {
            return Err(self.too_large(before));
        }
        let events = self.warm(&request);
        self.request = Some(request);
        Ok(Turn::Warm(events))
    }

    /// Adds what is new, and asks.
    fn go_on(&mut self, before: Before, request: Option<String>, input: Vec<String>) -> Result<Turn, Fault> {
        let request = request.or_else(|| self.request.clone()).unwrap_or_else(|| "{}".to_owned());
        self.said.extend(input);
        let whole = format!("[{}]", self.said.join(","));
        let edits = [
            Edit::set(Path::root().key("stream"), Raw::new("true")),
            Edit::set(Path::root().key("input"), Raw::new(whole)),
        ];
        let body = apply(&request, &edits).map_err(Fault::from)?.into_owned();
        if body.len() > self.limit {
            return Err(self.too_large(before));
        }
        self.before = Some(before);
        self.request = Some(request);
        Ok(Turn::Ask(body))
    }

    /// What would be too much was not said.
    fn too_large(&mut self, before: Before) -> Fault {
        self.restore(before);
        let limit = self.limit >> 20;
        let message = format!("the conversation is larger than {limit} MiB; begin anew with less of it");
        Fault::new(Kind::TooLarge, message)
    }

    fn standing(&self) -> Before {
        let said = Said::First(self.said.len());
        Before { request: self.request.clone(), answer: self.answer.clone(), said }
    }

    fn restore(&mut self, before: Before) {
        self.request = before.request;
        self.answer = before.answer;
        match before.said {
            Said::First(count) => self.said.truncate(count),
            Said::Other(said) => self.said = said,
        }
    }

    /// What answers a request that only wants to be remembered.
    fn warm(&mut self, request: &str) -> Vec<String> {
        let id = crate::api::call::request_id().replacen("req_", "resp_", 1);
        let model = member(request, "model").unwrap_or("null");
        let event = |name: &str, status: &str, number: u64| {
            let mut out = Vec::new();
            json::object(&mut out, |root| {
                root.str("type", name);
                root.u64("sequence_number", number);
                root.object("response", |response| {
                    response.str("id", &id);
                    response.str("object", "response");
                    response.u64("created_at", crate::clock::now());
                    response.str("status", status);
                    response.raw("model", model);
                    response.array("output", |_| {});
                    response.object("usage", |usage| {
                        for count in ["input_tokens", "output_tokens", "total_tokens"] {
                            usage.u64(count, 0);
                        }
                    });
                });
            });
            String::from_utf8_lossy(&out).into_owned()
        };
        let events =
            vec![event("response.created", "in_progress", 0), event("response.completed", "completed", 1)];
        self.answer = Some(id);
        events
    }

    /// Reads an event of an answer: one that is whole becomes part of what was said.
    pub(super) fn note(&mut self, event: &str) {
        // Most events are small pieces, and only the last one matters.
        if !event.contains("response.completed") && !event.contains("response.incomplete") {
            return;
        }
        if !matches!(string(event, "type").as_deref(), Some("response.completed" | "response.incomplete")) {
            return;
        }
        let Some(response) = member(event, "response") else { return };
        self.answer = string(response, "id");
        self.before = None;
        if let Some(output) = member(response, "output").and_then(elements) {
            self.said.extend(output);
        }
    }
}

fn wrong(message: impl Into<String>) -> Fault {
    Fault::new(Kind::InvalidRequest, message)
}

fn string(object: &str, name: &str) -> Option<String> {
    Reader::new(member(object, name)?).string().ok()
}

/// The elements of an array as they are written; `None` for anything else.
fn elements(array: &str) -> Option<Vec<String>> {
    let mut elements = Vec::new();
    let mut reader = Reader::new(array);
    if reader.kind() != json::Kind::Array {
        return None;
    }
    reader
        .array(|_, element| {
            elements.push(element.raw()?.to_owned());
            Ok(())
        })
        .ok()?;
    Some(elements)
}

/// What a later message adds.
fn array(message: &str) -> Result<Vec<String>, Fault> {
    let input = member(message, "input").and_then(elements);
    input.ok_or_else(|| wrong("websocket request requires array field: input"))
}

/// What a first message begins with: a text, items, or nothing beyond instructions.
fn opening(message: &str) -> Result<Vec<String>, Fault> {
    let Some(input) = member(message, "input") else { return Ok(Vec::new()) };
    if let Some(items) = elements(input) {
        return Ok(items);
    }
    let text =
        Reader::new(input).string().map_err(|_neither| wrong("input is neither a text nor an array"))?;
    let mut item = Vec::new();
    json::object(&mut item, |item| {
        item.str("type", "message");
        item.str("role", "user");
        item.str("content", &text);
    });
    Ok(vec![String::from_utf8_lossy(&item).into_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_to_be_remembered_is_no_longer_than_a_request() {
        let mut conversation = Conversation::new(1 << 20);
        let long = "x".repeat(700 << 10);
        let said = |previous: &str| {
            format!(
                r#"{{"type":"response.create","generate":false,"model":"m",{previous}"input":["{long}"]}}"#
            )
        };
        assert!(matches!(conversation.take(&said("")), Ok(Turn::Warm(_))));
        let answer = conversation.answer.clone().unwrap();
        let next = said(&format!(r#""previous_response_id":"{answer}","#));
        assert_eq!(conversation.take(&next).unwrap_err().kind, Kind::TooLarge);
        // It stands as before.
        let next = format!(r#"{{"type":"response.create","previous_response_id":"{answer}","input":[1]}}"#);
        let Ok(Turn::Ask(body)) = conversation.take(&next) else { panic!("{conversation:?}") };
        assert_eq!(member(&body, "input").unwrap(), format!(r#"["{long}",1]"#));
    }
}
