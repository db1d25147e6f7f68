//! The deprecated text completions, on top of the Chat codec: a prompt is one user message, an answer is its text.

use crate::Error;
use crate::codec::{ClientContext, StreamEncoder};
use crate::fault;
use crate::format::Format;
use crate::json::{self, Kind, Object, Reader};
use crate::model::{
    Block, Content, Delta, Event, Logprobs, Request, Response, Role, Stop, StopReason, Turn, Usage,
};
use crate::{sse, usage};

use super::stop;

/// Reads a completion request.
///
/// # Errors
/// A body that is not an object, a member of a wrong type, or a prompt of token numbers.
pub fn decode_request(body: &[u8]) -> Result<Request, Error> {
    let mut reader = Reader::from_bytes(body)?;
    let mut request = Request::new(Format::Chat, "");
    let mut prompt = None;
    reader.object(|key, value| {
        match key {
            "model" => request.model = value.string()?,
            "prompt" => prompt = value.opt(read_prompt)?,
            "max_tokens" => request.max_output_tokens = value.opt(Reader::u64)?,
            "temperature" => request.sampling.temperature = value.opt(Reader::f64)?,
            "top_p" => request.sampling.top_p = value.opt(Reader::f64)?,
            "frequency_penalty" => request.sampling.frequency_penalty = value.opt(Reader::f64)?,
            "presence_penalty" => request.sampling.presence_penalty = value.opt(Reader::f64)?,
            "seed" => request.sampling.seed = value.opt(Reader::i64)?,
            "n" => request.candidates = value.opt(Reader::u64)?,
            "user" => request.identity.user = value.opt(Reader::string)?.map(Into::into),
            "stream" => request.stream = value.opt(Reader::bool)?.unwrap_or(false),
            "stop" => match value.kind() {
                Kind::String => request.sampling.stop.push(value.str()?.into()),
                Kind::Null => value.skip()?,
                _ => value.array(|_, word| {
                    request.sampling.stop.push(word.str()?.into());
                    Ok(())
                })?,
            },
            // A number here; it asks for what Chat calls `logprobs` with so many alternatives.
            "logprobs" => match value.kind() {
                Kind::Number => request.logprobs = Some(Logprobs { top: Some(value.u64()?) }),
                _ => value.skip()?,
            },
            "stream_options" => {
                value.opt(|options| {
                    options.object(|key, value| {
                        if key == "include_usage" {
                            request.include_usage = value.opt(Reader::bool)?.unwrap_or(false);
                        }
                        Ok(())
                    })
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    reader.finish()?;
    if request.model.is_empty() {
        return Err(Error::missing("model"));
    }
    let prompt = prompt.unwrap_or_else(|| "Complete this:".to_owned());
    request.turns.push(Turn::new(Role::User, vec![Block::text(prompt)]));
    Ok(request)
}

fn read_prompt(value: &mut Reader<'_>) -> Result<String, Error> {
    if value.kind() == Kind::String {
        return value.string();
    }
    let mut prompts = Vec::new();
    value.array(|_, prompt| {
        prompts.push(prompt.string()?);
        Ok(())
    })?;
    match (prompts.pop(), prompts.is_empty()) {
        (Some(prompt), true) => Ok(prompt),
        (None, _) => Ok(String::new()),
        (Some(_), false) => {
            Err(Error::malformed("several prompts in one request are not supported; send one request each"))
        }
    }
}

/// Writes a whole answer.
pub fn encode_response(response: &Response, context: &ClientContext) -> Vec<u8> {
    let mut out = Vec::new();
    json::object(&mut out, |object| {
        head(
            object,
            &id(context, response.id.as_deref()),
            response.created.unwrap_or(context.created),
            context.model(response.model.as_deref()),
        );
        object.array("choices", |choices| {
            for candidate in &response.candidates {
                let mut text = String::new();
                for block in &candidate.blocks {
                    if let Content::Text(piece) = &block.content {
                        text.push_str(&piece.text);
                    }
                }
                choices.object(|choice| write_choice(choice, candidate.index, &text, Some(&candidate.stop)));
            }
        });
        if let Some(counts) = &response.usage {
            object.object("usage", |object| usage::write_chat(&counts.clone().clamped(), object));
        }
    });
    out
}

fn id(context: &ClientContext, upstream: Option<&str>) -> String {
    crate::id::base62("cmpl-", 29, &[&context.request_id, upstream.unwrap_or_default()])
}

fn head(object: &mut Object<'_>, id: &str, created: u64, model: &str) {
    object.str("id", id);
    object.str("object", "text_completion");
    object.u64("created", created);
    object.str("model", model);
}

fn write_choice(choice: &mut Object<'_>, index: u32, text: &str, stop: Option<&Stop>) {
    choice.u64("index", u64::from(index));
    choice.str("text", text);
    choice.null("logprobs");
    choice.str_or_null(
        "finish_reason",
        stop.map(|stop| match stop::word(stop, false) {
            // The old format knows no calls.
            "tool_calls" => "stop",
            word => word,
        }),
    );
}

/// Writes a stream of text completions.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
    id: String,
    created: u64,
    model: String,
    stops: Vec<(u32, Stop)>,
    usage: Usage,
    is_over: bool,
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        Self {
            id: id(&context, None),
            created: context.created,
            model: context.requested_model.as_ref().to_owned(),
            stops: Vec::new(),
            usage: Usage::default(),
            is_over: false,
            context,
        }
    }

    fn chunk(&self, out: &mut Vec<u8>, index: u32, text: &str, stop: Option<&Stop>) {
        sse::data(out, |out| {
            json::object(out, |chunk| {
                head(chunk, &self.id, self.created, &self.model);
                chunk.array("choices", |choices| {
                    choices.object(|choice| write_choice(choice, index, text, stop))
                });
            });
        });
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event {
            Event::Start(start) => {
                self.id = id(&self.context, start.id.as_deref());
                self.created = start.created.unwrap_or(self.created);
                self.context.model(start.model.as_deref()).clone_into(&mut self.model);
                if let Some(usage) = &start.usage {
                    self.usage.merge(usage);
                }
            }
            Event::Delta { candidate, delta: Delta::Text(text), .. } => {
                self.chunk(out, candidate, &text, None)
            }
            Event::CandidateStop { candidate, stop } => self.stops.push((candidate, stop)),
            Event::Usage(usage) => self.usage.merge(&usage),
            Event::Ping => self.keep_alive(out),
            Event::End { .. } => {
                self.is_over = true;
                if self.stops.is_empty() {
                    self.stops.push((0, Stop::new(StopReason::EndTurn)));
                }
                for (candidate, stop) in &self.stops {
                    self.chunk(out, *candidate, "", Some(stop));
                }
                if self.context.include_usage {
                    sse::data(out, |out| {
                        json::object(out, |chunk| {
                            head(chunk, &self.id, self.created, &self.model);
                            chunk.array("choices", |_| {});
                            chunk.object("usage", |object| {
                                usage::write_chat(&self.usage.clone().clamped(), object)
                            });
                        });
                    });
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
            Event::Error(fault) => {
                self.is_over = true;
                sse::data(out, |out| fault::write_chat_error(out, &fault));
            }
            _ => {}
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }
}
