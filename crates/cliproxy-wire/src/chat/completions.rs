//! The deprecated text completions (`/v1/completions`), carried by the Chat codec: a prompt is one user message, an
//! answer's text is the completion. Calls and reasoning have no place in it and are left out.

use std::collections::BTreeMap;

use crate::Error;
use crate::codec::{ClientContext, StreamEncoder};
use crate::fault;
use crate::format::Format;
use crate::json::{self, Kind, Object, Raw, Reader};
use crate::model::{
    Block, BlockKind, Content, Delta, Event, Logprobs, Request, Response, Role, Stop, Turn, Usage,
};
use crate::sse;
use crate::usage::write_chat;

use super::{decode, head, stop};

/// What is completed when the client names nothing.
const DEFAULT_PROMPT: &str = "Complete this:";

/// Reads a client's request. Only one prompt of text is understood.
///
/// # Errors
/// What is no legal request, with the JSON path.
pub fn decode_request(body: &[u8]) -> Result<Request, Error> {
    decode::completion(body, DEFAULT_PROMPT)
}

/// Reads `prompt`.
pub(super) fn prompt(value: &mut Reader<'_>) -> Result<Option<Turn>, Error> {
    let text = match value.kind() {
        Kind::Array => {
            let mut prompts = Vec::new();
            value.array(|_, value| {
                prompts.push(value.string().map_err(|error| {
                    let message = format!("{}; send the prompt as text, not as tokens", error.message());
                    Error::malformed(message)
                })?);
                Ok(())
            })?;
            if prompts.len() > 1 {
                return Err(Error::malformed("expected one prompt; send one request per prompt"));
            }
            prompts.pop().unwrap_or_default()
        }
        _ => value.string()?,
    };
    Ok((!text.is_empty()).then(|| Turn::new(Role::User, vec![Block::text(text)])))
}

/// Reads `logprobs`, which here is a number.
pub(super) fn logprobs(value: &mut Reader<'_>) -> Result<Option<Logprobs>, Error> {
    match value.kind() {
        Kind::Bool => Ok(value.bool()?.then_some(Logprobs { top: None })),
        _ => Ok(Some(Logprobs { top: Some(value.u64()?) })),
    }
}

/// Writes an answer for a client of text completions.
pub fn encode_response(response: &Response, context: &ClientContext) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    json::object(&mut body, |object| {
        write_head(object, response, context);
        object.array("choices", |choices| {
            for candidate in &response.candidates {
                let Joined { text, logprobs, .. } =
                    candidate.blocks.iter().fold(Joined::default(), Joined::add);
                choices.object(|choice| {
                    write_choice(
                        choice,
                        candidate.index,
                        &text,
                        logprobs.raw().as_ref(),
                        Some(&candidate.stop),
                    );
                });
            }
        });
        if let Some(usage) = &response.usage {
            object.object("usage", |object| write_chat(usage, object));
        }
    });
    body
}

/// Text of an answer, apart where something else stood between.
#[derive(Default)]
struct Joined {
    text: String,
    logprobs: Tokens,
    is_after_text: bool,
}

impl Joined {
    fn add(mut self, block: &Block) -> Self {
        let was_after_text = std::mem::take(&mut self.is_after_text);
        if let Content::Text(text) = &block.content {
            if !was_after_text && !self.text.is_empty() {
                self.text.push_str("\n\n");
            }
            if let Some(logprobs) = &text.logprobs {
                self.logprobs.add(logprobs, self.text.chars().count());
            }
            self.text.push_str(&text.text);
            self.is_after_text = true;
        }
        self
    }
}

fn write_head(object: &mut Object<'_>, response: &Response, context: &ClientContext) {
    object.str("id", &head::answer_id("cmpl-", context, response.id.as_deref()));
    object.str("object", "text_completion");
    object.u64("created", response.created.unwrap_or(context.created));
    object.str("model", context.model(response.model.as_deref()));
}

/// Token probabilities as this format lists them: by kind, not by token.
#[derive(Debug, Default)]
struct Tokens {
    /// Elements of the lists, separated by commas.
    lists: [String; 4],
}

impl Tokens {
    /// Adds the tokens of a text that begins at this character.
    fn add(&mut self, logprobs: &Raw, mut offset: usize) {
        // What is no list of tokens says nothing.
        let _read = logprobs.reader().array(|_, token| {
            let token = token.to_raw()?;
            let text = token.get("token").and_then(|text| text.to_text()).unwrap_or_default();
            let probability = |token: &Raw| {
                token.get("logprob").map_or_else(|| "null".to_owned(), |number| number.as_str().to_owned())
            };
            let others = Raw::object(|object| {
                let Some(top) = token.get("top_logprobs") else { return };
                let _read = top.reader().array(|_, other| {
                    let other = other.to_raw()?;
                    if let Some(text) = other.get("token").and_then(|text| text.to_text()) {
                        object.raw(&text, &probability(&other));
                    }
                    Ok(())
                });
            });
            let values = [
                Raw::string(&text).as_str().to_owned(),
                probability(&token),
                others.as_str().to_owned(),
                offset.to_string(),
            ];
            for (list, value) in self.lists.iter_mut().zip(values) {
                if !list.is_empty() {
                    list.push(',');
                }
                list.push_str(&value);
            }
            offset += text.chars().count();
            Ok(())
        });
    }

    /// The member, if there are tokens.
    fn raw(&self) -> Option<Raw> {
        let [tokens, ..] = &self.lists;
        (!tokens.is_empty()).then(|| {
            Raw::object(|object| {
                let names = ["tokens", "token_logprobs", "top_logprobs", "text_offset"];
                for (name, list) in names.iter().zip(&self.lists) {
                    object.raw(name, &format!("[{list}]"));
                }
            })
        })
    }
}

fn write_choice(
    choice: &mut Object<'_>,
    index: u32,
    text: &str,
    logprobs: Option<&Raw>,
    stop: Option<&Stop>,
) {
    choice.u64("index", u64::from(index));
    choice.str("text", text);
    choice.raw("logprobs", logprobs.map_or("null", Raw::as_str));
    // Calls cannot be told here, so the client sees an answer that is simply over.
    choice.str_or_null(
        "finish_reason",
        stop.map(|stop| match stop::word(stop, false) {
            "tool_calls" => "stop",
            word => word,
        }),
    );
}

/// Writes a stream for a client of text completions.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
    head: Vec<u8>,
    choices: BTreeMap<u32, Choice>,
    usage: Option<Usage>,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Choice {
    has_text: bool,
    is_after_text: bool,
    /// Characters so far, and at the start of the latest piece.
    length: usize,
    piece: usize,
    stop: Option<Stop>,
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        Self { context, head: Vec::new(), choices: BTreeMap::new(), usage: None, is_over: false }
    }

    fn start(&mut self, response: &Response) {
        self.usage.clone_from(&response.usage);
        self.head.clear();
        json::object(&mut self.head, |object| write_head(object, response, &self.context));
        self.head.pop();
        self.head.extend_from_slice(br#","choices":["#);
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        self.choices.entry(index).or_default()
    }

    fn text(&mut self, candidate: u32, text: &str, out: &mut Vec<u8>) {
        let choice = self.choice(candidate);
        let needs_gap = choice.has_text && !choice.is_after_text;
        choice.has_text = true;
        choice.is_after_text = true;
        choice.piece = choice.length + if needs_gap { 2 } else { 0 };
        choice.length = choice.piece + text.chars().count();
        if needs_gap {
            self.write(candidate, &["\n\n", text].concat(), None, None, out);
        } else {
            self.write(candidate, text, None, None, out);
        }
    }

    fn logprobs(&mut self, candidate: u32, logprobs: &Raw, out: &mut Vec<u8>) {
        let mut tokens = Tokens::default();
        tokens.add(logprobs, self.choice(candidate).piece);
        self.write(candidate, "", tokens.raw().as_ref(), None, out);
    }

    fn write(&self, index: u32, text: &str, logprobs: Option<&Raw>, stop: Option<&Stop>, out: &mut Vec<u8>) {
        sse::data(out, |out| {
            out.extend_from_slice(&self.head);
            json::object(out, |choice| write_choice(choice, index, text, logprobs, stop));
            out.extend_from_slice(if self.context.include_usage { br#"],"usage":null}"# } else { b"]}" });
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.is_over = true;
        if self.head.is_empty() {
            self.start(&Response::new(Format::Chat));
        }
        for (index, choice) in &self.choices {
            let default = Stop::new(crate::model::StopReason::EndTurn);
            self.write(*index, "", None, Some(choice.stop.as_ref().unwrap_or(&default)), out);
        }
        if let Some(usage) = self.usage.as_ref().filter(|_| self.context.include_usage) {
            sse::data(out, |out| {
                out.extend_from_slice(&self.head);
                let usage = Raw::object(|object| write_chat(usage, object));
                out.extend_from_slice(br#"],"usage":"#);
                out.extend_from_slice(usage.as_str().as_bytes());
                out.push(b'}');
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event {
            Event::Start(response) => self.start(&response),
            Event::BlockStart { candidate, kind, .. } => {
                let choice = self.choice(candidate);
                choice.is_after_text &= matches!(kind, BlockKind::Text);
            }
            Event::Delta { candidate, delta: Delta::Text(text), .. } => self.text(candidate, &text, out),
            Event::Delta { candidate, delta: Delta::Logprobs(logprobs), .. } => {
                self.logprobs(candidate, &logprobs, out);
            }
            Event::CandidateStop { candidate, stop } => self.choice(candidate).stop = Some(stop),
            Event::Usage(usage) => self.usage.get_or_insert_with(Usage::default).merge(&usage),
            Event::End { .. } => self.end(out),
            Event::Error(fault) => {
                self.is_over = true;
                sse::data(out, |out| fault::write_chat_error(out, &fault));
            }
            Event::Delta { .. }
            | Event::BlockStop { .. }
            | Event::CandidateMeta { .. }
            | Event::Warning(_)
            | Event::Ping => {}
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(Format::Chat.sign_of_life());
    }
}
