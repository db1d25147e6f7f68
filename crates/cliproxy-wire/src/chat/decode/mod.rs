//! A client's Chat request into the canonical request: the top-level members, and what of a body is refused.
//!
//! Messages, content parts, tools and the reasoning wish have files of their own. What the format allows but a target
//! may not take is judged later, when the target is known.

pub(super) mod message;
pub(super) mod part;
mod tool;
mod wish;

use crate::Error;
use crate::format::Format;
use crate::json::{Body, BodyText, Kind, Raw, Reader};
use crate::model::{
    AudioOutput, Block, Ext, Logprobs, OutputFormat, Request, Role, Show, Str, Summary, Tier, ToolChoice,
    Turn,
};
use crate::responses;

use super::completions;

pub(crate) use tool::BESIDE;

use message::Conversation;
use wish::Wish;

/// Reads a request body.
pub(super) fn request(body: &Body) -> Result<Request, Error> {
    let text = BodyText::of(body)?;
    let mut reader = Reader::of(&text);
    let mut draft = Draft::new();
    reader.object(|key, value| draft.member(key, value))?;
    reader.finish()?;
    if draft.conversation.is_none() && draft.has_input {
        return responses_input(body, &draft);
    }
    draft.finish()
}

/// Reads a body of the deprecated text completions.
pub(super) fn completion(body: &[u8], default_prompt: &str) -> Result<Request, Error> {
    let mut reader = Reader::from_bytes(body)?;
    let mut draft = Draft::new();
    let mut prompt = None;
    let mut logprobs = None;
    reader.object(|key, value| match key {
        _ if value.kind() == Kind::Null => value.skip(),
        "prompt" => {
            prompt = completions::prompt(value)?;
            Ok(())
        }
        "logprobs" => {
            logprobs = completions::logprobs(value)?;
            Ok(())
        }
        "model" | "stream" | "stream_options" => draft.conversational(key, value).map(drop),
        "user" => draft.identity(key, value).map(drop),
        "suffix" if value.kind() == Kind::String && !value.str()?.is_empty() => {
            Err(Error::malformed("text is only written behind the prompt; put what follows into the prompt"))
        }
        "best_of" if value.u64()? > 1 => Err(Error::malformed("expected 1; ask for several answers with n")),
        "suffix" | "best_of" => Ok(()),
        "echo" => {
            if value.bool()? {
                draft.request.ext.set(key, Raw::new("true"));
            }
            Ok(())
        }
        _ => draft.sampling(key, value).map(drop),
    })?;
    reader.finish()?;
    let turn = prompt.unwrap_or_else(|| Turn::new(Role::User, vec![Block::text(default_prompt)]));
    let mut conversation = Conversation::default();
    conversation.turns.push(turn);
    draft.conversation = Some(conversation);
    let top_logprobs = draft.top_logprobs.take();
    let mut request = draft.finish()?;
    request.logprobs = logprobs.map(|asked| Logprobs { top: top_logprobs.or(asked.top) });
    Ok(request)
}

/// A body with `input` instead of `messages` is a Responses request that came to the wrong path. It is read as what it
/// is, and keeps that origin because its extra members belong to that format; only what the client is shown follows
/// this format's habits.
fn responses_input(body: &Body, draft: &Draft) -> Result<Request, Error> {
    let mut request = responses::decode_request(body)?;
    request.include_usage = draft.request.include_usage;
    let wish = request.reasoning.get_or_insert_default();
    wish.show.get_or_insert(Show::Summary(Summary::Auto));
    Ok(request)
}

/// A request while its members come in.
struct Draft {
    request: Request,
    conversation: Option<Conversation>,
    /// `input` or `instructions` of the Responses format.
    has_input: bool,
    /// `max_completion_tokens` and `max_tokens`, the first that is said counts.
    limits: [Option<i64>; 2],
    has_logprobs: bool,
    top_logprobs: Option<u64>,
    /// `function_call`
    legacy_choice: Option<ToolChoice>,
    wish: Wish,
    /// The wish as said inside `extra_body` and its relatives.
    lower: Wish,
}

impl Draft {
    fn new() -> Self {
        Self {
            request: Request::new(Format::Chat, String::new()),
            conversation: None,
            has_input: false,
            limits: [None; 2],
            has_logprobs: false,
            top_logprobs: None,
            legacy_choice: None,
            wish: Wish::default(),
            lower: Wish::default(),
        }
    }

    fn member(&mut self, key: &str, value: &mut Reader<'_>) -> Result<(), Error> {
        // Clients write every optional member that they do not use as null.
        if value.kind() == Kind::Null {
            return value.skip();
        }
        if self.conversational(key, value)?
            || self.wish.member(key, value)?
            || self.sampling(key, value)?
            || self.output(key, value)?
            || self.identity(key, value)?
            || self.extension(key, value)?
        {
            return Ok(());
        }
        self.has_input |= matches!(key, "input" | "instructions");
        self.request.ext.set(key, value.to_raw()?);
        Ok(())
    }

    fn conversational(&mut self, key: &str, value: &mut Reader<'_>) -> Result<bool, Error> {
        let request = &mut self.request;
        match key {
            "model" => request.model = value.string()?,
            "messages" => self.conversation = Some(Conversation::read(value)?),
            "stream" => request.stream = value.bool()?,
            "stream_options" => stream_options(value, request)?,
            "tools" => tool::tools(value, &mut request.tools)?,
            "functions" => {
                tool::functions(value, &mut request.tools)?;
                request.is_legacy_functions = true;
            }
            "tool_choice" => {
                let (choice, parallel) = tool::choice(value)?;
                request.tool_choice = choice;
                request.parallel_tool_calls = request.parallel_tool_calls.or(parallel);
            }
            "function_call" => {
                self.legacy_choice = tool::choice(value)?.0;
                request.is_legacy_functions = true;
            }
            "parallel_tool_calls" => request.parallel_tool_calls = Some(value.bool()?),
            "web_search_options" => {
                let tool = tool::web_search(value)?;
                request.tools.push(tool);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn sampling(&mut self, key: &str, value: &mut Reader<'_>) -> Result<bool, Error> {
        let request = &mut self.request;
        let sampling = &mut request.sampling;
        let [completion, total] = &mut self.limits;
        match key {
            "max_completion_tokens" => *completion = Some(limit(value)?),
            "max_tokens" => *total = Some(limit(value)?),
            "temperature" => sampling.temperature = Some(value.f64()?),
            "top_p" => sampling.top_p = Some(value.f64()?),
            "top_k" => sampling.top_k = whole(value)?,
            "frequency_penalty" => sampling.frequency_penalty = Some(value.f64()?),
            "presence_penalty" => sampling.presence_penalty = Some(value.f64()?),
            "seed" => sampling.seed = Some(value.i64()?),
            "logit_bias" => sampling.logit_bias = Some(value.to_raw()?).filter(|bias| !bias.is_empty()),
            "stop" => stop(value, &mut sampling.stop)?,
            "n" => request.candidates = Some(value.u64()?),
            "logprobs" => self.has_logprobs = value.bool()?,
            "top_logprobs" => self.top_logprobs = Some(value.u64()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn output(&mut self, key: &str, value: &mut Reader<'_>) -> Result<bool, Error> {
        let output = &mut self.request.output;
        match key {
            "response_format" => match format(value, &mut output.ext)? {
                Ok(format) => output.format = format,
                // A kind that only some servers know.
                Err(raw) => self.request.ext.set(key, raw),
            },
            "verbosity" => output.verbosity = Some(value.str()?.into()),
            "modalities" => {
                let mut words: Vec<Str> = Vec::new();
                value.array(|_, word| {
                    words.push(word.str()?.to_ascii_lowercase().into());
                    Ok(())
                })?;
                output.modalities = (!words.is_empty()).then_some(words);
            }
            "audio" if value.kind() == Kind::Object => {
                let mut audio =
                    AudioOutput { native: Some(value.clone().to_raw()?), ..AudioOutput::default() };
                value.object(|key, value| {
                    match key {
                        "voice" if value.kind() == Kind::String => audio.voice = Some(value.str()?.into()),
                        "format" if value.kind() == Kind::String => audio.format = Some(value.str()?.into()),
                        _ => {}
                    }
                    Ok(())
                })?;
                output.audio = Some(audio);
            }
            "image_config" => output.image = part::keep(value)?,
            "prediction" => output.prediction = part::keep(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn identity(&mut self, key: &str, value: &mut Reader<'_>) -> Result<bool, Error> {
        let request = &mut self.request;
        match key {
            "user" => request.identity.user = Some(value.str()?.into()),
            "safety_identifier" => request.identity.safety_identifier = Some(value.str()?.into()),
            "metadata" => request.identity.metadata = part::keep(value)?.filter(|pairs| !pairs.is_empty()),
            "prompt_cache_key" => request.cache.key = Some(value.str()?.into()),
            "prompt_cache_retention" => request.cache.retention = Some(value.str()?.into()),
            "prompt_cache_options" => request.cache.options = part::keep(value)?,
            "service_tier" => request.service_tier = Some(tier(&value.str()?)),
            "store" => request.state.store = Some(value.bool()?),
            "safety_settings" | "safetySettings" => request.safety = part::keep(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Objects in which clients put members that their library does not know.
    fn extension(&mut self, key: &str, value: &mut Reader<'_>) -> Result<bool, Error> {
        if !matches!(key, "extra_body" | "model_params" | "google" | "chat_template_kwargs")
            || value.kind() != Kind::Object
        {
            return Ok(false);
        }
        let mut rest = Ext::new();
        value.object(|inner, value| {
            let is_known = match (key, inner) {
                _ if value.kind() == Kind::Null => return value.skip(),
                ("chat_template_kwargs", "enable_thinking") => self.wish.template(value).map(|()| true)?,
                ("chat_template_kwargs", _) => false,
                ("google", _) => self.google(inner, value)?,
                (_, "google") if value.kind() == Kind::Object => {
                    let mut google = Ext::new();
                    value.object(|key, value| {
                        if !self.google(key, value)? {
                            google.set(key, value.to_raw()?);
                        }
                        Ok(())
                    })?;
                    if !google.is_empty() {
                        rest.set("google", Raw::object(|object| google.write(object)));
                    }
                    true
                }
                (_, "chat_template_kwargs") if value.kind() == Kind::Object => {
                    let mut template = value.clone();
                    template.object(|key, value| match key {
                        "enable_thinking" => self.lower.template(value),
                        _ => Ok(()),
                    })?;
                    false
                }
                ("extra_body", "top_k") => {
                    self.request.sampling.top_k = self.request.sampling.top_k.or(whole(value)?);
                    true
                }
                ("extra_body", "safety_settings" | "safetySettings") => self.google(inner, value)?,
                _ => self.lower.member(inner, value)?,
            };
            if !is_known {
                rest.set(inner, value.to_raw()?);
            }
            Ok(())
        })?;
        if !rest.is_empty() {
            self.request.ext.set(key, Raw::object(|object| rest.write(object)));
        }
        Ok(true)
    }

    fn google(&mut self, key: &str, value: &mut Reader<'_>) -> Result<bool, Error> {
        match key {
            "safety_settings" | "safetySettings" => self.request.safety = part::keep(value)?,
            "cached_content" | "cachedContent" => {
                self.request.cache.cached_content = value.opt(Reader::str)?.map(Into::into);
            }
            _ => return self.lower.member(key, value),
        }
        Ok(true)
    }

    fn finish(self) -> Result<Request, Error> {
        let mut request = self.request;
        if request.model.is_empty() {
            return Err(Error::missing("model"));
        }
        let Some(conversation) = self.conversation else { return Err(Error::missing("messages")) };
        request.instructions = conversation.instructions;
        request.turns = conversation.turns;
        request.is_legacy_functions |= conversation.is_legacy;
        request.tool_choice = request.tool_choice.or(self.legacy_choice);
        // The deprecated member of an answer has room for one call.
        if request.is_legacy_functions && !request.tools.is_empty() {
            request.parallel_tool_calls.get_or_insert(false);
        }
        tool::check(request.tool_choice.as_ref(), &request.tools)?;
        let names = ["max_completion_tokens", "max_tokens"];
        // Local programs write -1 for "no limit".
        let mut limits = names.iter().zip(self.limits).filter_map(|(name, limit)| Some((name, limit?)));
        request.max_output_tokens = match limits.find(|(_, limit)| *limit != -1) {
            None => None,
            Some((name, limit)) => match u64::try_from(limit) {
                Ok(limit) if limit > 0 => Some(limit),
                _ => return Err(Error::invalid(*name, "expected at least 1 token")),
            },
        };
        if self.top_logprobs.is_some_and(|top| top > 0) && !self.has_logprobs {
            return Err(Error::invalid("top_logprobs", "needs logprobs to be true"));
        }
        request.logprobs = self.has_logprobs.then_some(Logprobs { top: self.top_logprobs });
        if request.candidates == Some(0) {
            return Err(Error::invalid("n", "expected at least 1"));
        }
        let wish = self.wish.or(&self.lower);
        for (name, rest) in wish.rest() {
            request.ext.set(name, rest);
        }
        request.reasoning = wish.resolve();
        Ok(request)
    }
}

fn stream_options(value: &mut Reader<'_>, request: &mut Request) -> Result<(), Error> {
    if value.kind() != Kind::Object {
        return value.skip();
    }
    let mut rest = Ext::new();
    value.object(|key, value| {
        match key {
            "include_usage" => request.include_usage = value.opt(Reader::bool)? == Some(true),
            _ if value.kind() == Kind::Null => {}
            _ => rest.set(key, value.to_raw()?),
        }
        Ok(())
    })?;
    if !rest.is_empty() {
        request.ext.set("stream_options", Raw::object(|object| rest.write(object)));
    }
    Ok(())
}

/// A token limit.
fn limit(value: &mut Reader<'_>) -> Result<i64, Error> {
    value.i64()
}

/// A whole number that some clients write with a fraction; below one it says nothing.
fn whole(value: &mut Reader<'_>) -> Result<Option<u64>, Error> {
    let number = value.f64()?.round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked range")]
    Ok((1.0..9e15).contains(&number).then_some(number as u64))
}

/// Stop sequences: one or several.
fn stop(value: &mut Reader<'_>, out: &mut Vec<Str>) -> Result<(), Error> {
    let mut push = |value: &mut Reader<'_>| {
        if let Some(stop) = value.opt(Reader::str)?.filter(|stop| !stop.is_empty()) {
            out.push(stop.into());
        }
        Ok(())
    };
    if value.kind() == Kind::Array { value.array(|_, value| push(value)) } else { push(value) }
}

/// The output format, its other members in `ext`; the error side is the raw object of a kind that is not known.
fn format(value: &mut Reader<'_>, ext: &mut Ext) -> Result<Result<OutputFormat, Raw>, Error> {
    #[derive(Default)]
    struct Named {
        name: Option<Str>,
        description: Option<Str>,
        object: Option<Raw>,
        strict: Option<bool>,
        rest: Ext,
    }
    impl Named {
        fn member(&mut self, key: &str, value: &mut Reader<'_>) -> Result<(), Error> {
            match key {
                "name" => self.name = value.opt(Reader::str)?.map(Into::into),
                "description" => self.description = value.opt(Reader::str)?.map(Into::into),
                "schema" => self.object = value.opt(Reader::to_raw)?,
                "strict" => self.strict = value.opt(Reader::bool)?,
                _ => {
                    if let Some(other) = value.opt(Reader::to_raw)? {
                        self.rest.set(key, other);
                    }
                }
            }
            Ok(())
        }
    }
    let mut whole = value.clone();
    let mut kind = None;
    let mut schema = Named::default();
    let mut is_nested = false;
    value.object(|key, value| match key {
        "type" => {
            kind = value.opt(Reader::str)?;
            Ok(())
        }
        "json_schema" if value.kind() == Kind::Object => {
            is_nested = true;
            let beside = std::mem::take(&mut schema.rest);
            value.object(|key, value| schema.member(key, value))?;
            let inside = std::mem::replace(&mut schema.rest, beside);
            if !inside.is_empty() {
                schema.rest.set(key, Raw::object(|object| inside.write(object)));
            }
            Ok(())
        }
        _ => schema.member(key, value),
    })?;
    if matches!(kind.as_deref(), Some("text" | "json_object" | "json_schema")) {
        *ext = schema.rest;
    }
    Ok(match kind.as_deref() {
        Some("text") => Ok(OutputFormat::Text),
        Some("json_object") => Ok(OutputFormat::JsonObject),
        Some("json_schema") => {
            let Some(object) = schema.object else {
                let missing = Error::missing("schema");
                return Err(if is_nested { missing.under_key("json_schema") } else { missing });
            };
            Ok(OutputFormat::JsonSchema {
                name: schema.name,
                description: schema.description,
                schema: object,
                strict: schema.strict,
            })
        }
        Some(_) => Err(whole.to_raw()?),
        None => return Err(Error::missing("type")),
    })
}

fn tier(word: &str) -> Tier {
    match word {
        "auto" => Tier::Auto,
        "default" | "standard" => Tier::Default,
        "flex" => Tier::Flex,
        "scale" => Tier::Scale,
        "priority" => Tier::Priority,
        "fast" => Tier::Fast,
        other => Tier::Other(other.into()),
    }
}
