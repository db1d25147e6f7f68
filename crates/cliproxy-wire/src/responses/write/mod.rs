//! Writing a request for an upstream of this format.
//!
//! The request comes prepared for its target; here it is only written down, in the words of this format and of the
//! Codex backend, which takes fewer members than the public service.

mod input;
mod tool;

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::catalog::ReasoningCaps;
use crate::codec::{Encoded, Notes, Strictness, Target};
use crate::format::Format;
use crate::json::{self, Object};
use crate::model::{
    CallKind, Content, HostedKind, InstructionRole, Media, OutputFormat, Request, Role, Str, Summary, Tier,
    ToolChoice,
};
use crate::normalize::Prepared;
use crate::profile::Dialect;
use crate::reasoning::Members;

/// Least value that the service accepts as token limit.
const LEAST_TOKENS: u64 = 16;

const ENCRYPTED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";

/// Members that the Codex backend refuses, of those that have no place in the model.
const CODEX_REFUSES: [&str; 6] =
    ["stream_options", "generate", "max_tokens", "max_completion_tokens", "extra_body", "moderation"];

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Answer,
    /// Only members that the counting endpoint knows.
    Count,
}

/// Writes a request.
pub(super) fn encode(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    write(prepared, target, Purpose::Answer)
}

/// Writes a request for the counting endpoint.
pub(super) fn encode_count(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    write(prepared, target, Purpose::Count)
}

fn write(prepared: Prepared, target: &Target<'_>, purpose: Purpose) -> Result<Encoded, Error> {
    let Prepared { request, plan, bridge, notes } = prepared;
    let mut writer = Writer {
        request: &request,
        target,
        is_codex: target.profile.dialect == Dialect::Codex,
        notes,
        failure: None,
    };
    let mut body = Vec::with_capacity(4096 + size(&request));
    json::object(&mut body, |object| {
        writer.head(object);
        writer.tools(object);
        writer.reasoning(object, &plan.members);
        writer.text(object);
        if purpose == Purpose::Answer {
            writer.limits(object, plan.max_output_tokens);
            writer.sampling(object, plan.drops_sampling);
            writer.include(object, plan.drops_sampling);
            writer.delivery(object);
        }
        writer.rest(object, purpose);
    });
    if let Some(error) = writer.failure {
        return Err(error);
    }
    Ok(Encoded { body, betas: Vec::new(), bridge, notes: writer.notes })
}

/// About how many bytes the texts of a request need.
fn size(request: &Request) -> usize {
    let blocks = request.turns.iter().flat_map(|turn| &turn.blocks).map(|block| match &block.content {
        Content::Text(text) => text.text.len(),
        Content::ToolCall(call) => call.arguments.as_str().len(),
        Content::ToolResult(result) => {
            result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.len()).sum()
        }
        Content::Image(image) => match &image.source {
            Media::Inline { base64, .. } => base64.len(),
            _ => 0,
        },
        Content::Reasoning(reasoning) => reasoning.opaque.iter().map(|state| state.data.len()).sum(),
        _ => 0,
    });
    let text: usize = blocks.map(|length| length + 96).sum();
    text + text / 16
        + request.tools.len() * 1024
        + request.instructions.iter().map(|block| block.text.len()).sum::<usize>()
}

struct Writer<'a> {
    request: &'a Request,
    target: &'a Target<'a>,
    is_codex: bool,
    notes: Notes,
    /// The first thing that cannot be said; writing goes on, the result is thrown away.
    failure: Option<Error>,
}

impl Writer<'_> {
    fn is_own(&self) -> bool {
        self.request.origin == Format::Responses
    }

    fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// Something that only affects cost, style or telemetry has no place here.
    fn hint(&mut self, path: &str) {
        if self.target.strictness == Strictness::Strict {
            let name = self.target.profile.name;
            self.fail(Error::unsupported(path, format!("{name} does not take this; remove it")));
        } else {
            self.notes.add(path);
        }
    }

    /// Something without which the answer would be wrong has no place here.
    fn semantic(&mut self, path: &str, remedy: &str) {
        if self.target.strictness == Strictness::Lenient {
            self.notes.add(path);
        } else {
            let name = self.target.profile.name;
            self.fail(Error::unsupported(path, format!("{name} cannot do this; {remedy}")));
        }
    }

    /// The client's name of a member.
    fn path(&self, chat: &'static str, gemini: &'static str) -> &'static str {
        if self.request.origin == Format::Gemini { gemini } else { chat }
    }

    /// Model, instructions and conversation.
    fn head(&mut self, object: &mut Object<'_>) {
        object.str("model", self.target.model);
        let instructions = &self.request.instructions;
        let top = instructions.iter().find(|block| block.is_top_level);
        // A conversation of nothing but instructions still needs an input.
        let is_alone = self.request.turns.is_empty() && top.is_none();
        let joins = !self.is_codex && !self.is_own() && !is_alone;
        if joins {
            if !instructions.is_empty() {
                let texts: Vec<&str> = instructions.iter().map(|block| &*block.text).collect();
                object.str("instructions", &texts.join("\n\n"));
            }
        } else if let Some(top) = top {
            object.str("instructions", &top.text);
        } else if self.is_codex {
            object.str("instructions", "");
        }
        let wants_json_word =
            matches!(self.request.output.format, OutputFormat::JsonObject) && !self.says_json(!joins);
        object.array("input", |array| {
            if !joins {
                for block in instructions.iter().filter(|block| !block.is_top_level) {
                    input::instruction(array, self.role(block.role), &block.text);
                }
            }
            if wants_json_word {
                input::instruction(array, "developer", "Answer with a JSON object.");
            }
            for turn in &self.request.turns {
                input::turn(self, array, turn);
            }
        });
    }

    fn role(&self, role: InstructionRole) -> &'static str {
        match role {
            // The Codex backend refuses the older role.
            InstructionRole::System if !self.is_codex => "system",
            _ => "developer",
        }
    }

    /// Whether the input holds the word that the service demands for JSON answers.
    fn says_json(&self, has_instructions: bool) -> bool {
        let has = |text: &str| {
            memchr::memchr2_iter(b'j', b'J', text.as_bytes())
                .any(|at| text.get(at..at + 4).is_some_and(|word| word.eq_ignore_ascii_case("json")))
        };
        let turns = self.request.turns.iter().flat_map(|turn| &turn.blocks);
        let instructions = self.request.instructions.iter().filter(|block| !block.is_top_level);
        (has_instructions && instructions.into_iter().any(|block| has(&block.text)))
            || turns.filter_map(|block| block.as_text()).any(|text| has(&text.text))
    }

    fn tools(&mut self, object: &mut Object<'_>) {
        let has_tools = tool::write(self, object);
        if let Some(choice) = &self.request.tool_choice
            && (has_tools || *choice == ToolChoice::None)
        {
            self.choice(object, choice);
        }
        if has_tools {
            let parallel = self.request.parallel_tool_calls;
            object.opt_bool(
                "parallel_tool_calls",
                if self.is_codex { parallel.or(Some(true)) } else { parallel },
            );
        }
    }

    fn choice(&mut self, object: &mut Object<'_>, choice: &ToolChoice) {
        let native = |name: &str| tool::native_type(self.request, name);
        let named = |object: &mut Object<'_>, kind: CallKind, name: &str| {
            if let Some(typed) = native(name) {
                object.str("type", &typed);
                return;
            }
            object.str("type", if kind == CallKind::Custom { "custom" } else { "function" });
            object.str("name", name);
        };
        match choice {
            ToolChoice::Auto => object.str("tool_choice", "auto"),
            ToolChoice::None => object.str("tool_choice", "none"),
            ToolChoice::Required => object.str("tool_choice", "required"),
            ToolChoice::Named { name, kind } => {
                object.object("tool_choice", |choice| named(choice, *kind, name));
            }
            ToolChoice::Allowed { is_required, names } => object.object("tool_choice", |choice| {
                choice.str("type", "allowed_tools");
                choice.str("mode", if *is_required { "required" } else { "auto" });
                choice.array("tools", |tools| {
                    for (kind, name) in names {
                        tools.object(|tool| named(tool, *kind, name));
                    }
                });
            }),
            ToolChoice::Hosted(HostedKind::WebFetch) => {
                self.semantic("tool_choice", "choose a tool that it has");
            }
            ToolChoice::Hosted(kind) => match super::hosted::tool_type(*kind) {
                Some(name) => object.object("tool_choice", |choice| choice.str("type", name)),
                None => self.semantic("tool_choice", "choose a tool that it has"),
            },
            ToolChoice::Native(native) if native.format == Format::Responses => {
                object.raw("tool_choice", native.value.as_str());
            }
            ToolChoice::Native(_) => self.hint("tool_choice"),
        }
    }

    fn reasoning(&mut self, object: &mut Object<'_>, members: &Members) {
        let (effort, summary) = match members {
            Members::Effort { effort, summary } => (*effort, *summary),
            _ => (None, None),
        };
        let own = self.request.reasoning.as_ref().filter(|_| self.is_own()).map(|wish| &wish.ext);
        let own = own.filter(|ext| !ext.is_empty());
        if effort.is_none() && summary.is_none() && own.is_none() {
            return;
        }
        object.object("reasoning", |reasoning| {
            reasoning.opt_str("effort", effort);
            reasoning.opt_str(
                "summary",
                summary.map(|summary| match summary {
                    Summary::Auto => "auto",
                    Summary::Concise => "concise",
                    Summary::Detailed => "detailed",
                }),
            );
            if let Some(own) = own {
                own.write(reasoning);
            }
        });
    }

    fn text(&mut self, object: &mut Object<'_>) {
        let output = &self.request.output;
        if let OutputFormat::Mime(mime) = &output.format {
            let remedy = format!("ask for JSON or plain text instead of {mime}");
            self.semantic("generationConfig.responseMimeType", &remedy);
        }
        let has_format = matches!(output.format, OutputFormat::JsonObject | OutputFormat::JsonSchema { .. });
        if has_format || output.verbosity.is_some() {
            object.object("text", |text| {
                match &output.format {
                    OutputFormat::JsonObject => {
                        text.object("format", |format| format.str("type", "json_object"));
                    }
                    OutputFormat::JsonSchema { name, description, schema, strict } => {
                        text.object("format", |format| {
                            format.str("type", "json_schema");
                            format.str("name", &schema_name(name.as_deref()));
                            format.opt_str("description", description.as_deref());
                            format.raw("schema", schema.as_str());
                            // Absent means something else in the other formats.
                            format.opt_bool(
                                "strict",
                                if self.is_own() { *strict } else { strict.or(Some(false)) },
                            );
                        });
                    }
                    OutputFormat::Text | OutputFormat::Mime(_) => {}
                }
                text.opt_str("verbosity", output.verbosity.as_deref());
            });
        }
        if let Some(modalities) = &output.modalities
            && modalities.iter().any(|word| &**word != "text")
        {
            let path = self.path("modalities", "generationConfig.responseModalities");
            if modalities.iter().any(|word| &**word == "text")
                && !modalities.iter().any(|word| &**word == "audio")
            {
                self.hint(path);
            } else {
                self.semantic(path, "ask for text");
            }
        } else if output.audio.is_some() {
            self.hint(self.path("audio", "generationConfig.speechConfig"));
        }
        if output.image.is_some() {
            self.hint(self.path("image_config", "generationConfig.imageConfig"));
        }
        if output.prediction.is_some() {
            self.hint("prediction");
        }
    }

    fn limits(&mut self, object: &mut Object<'_>, max_output_tokens: Option<u64>) {
        if let Some(tokens) = max_output_tokens {
            if self.is_codex {
                let path = match self.request.origin {
                    Format::Chat => "max_completion_tokens",
                    Format::Claude => "max_tokens",
                    Format::Gemini => "generationConfig.maxOutputTokens",
                    Format::Responses => "max_output_tokens",
                };
                self.notes.add(path);
            } else {
                object.u64("max_output_tokens", tokens.max(LEAST_TOKENS));
            }
        }
        object.opt_u64("max_tool_calls", self.request.max_tool_calls);
        if self.request.candidates.is_some_and(|count| count > 1) {
            let path = self.path("n", "generationConfig.candidateCount");
            self.semantic(path, "ask for one answer");
        }
    }

    fn sampling(&mut self, object: &mut Object<'_>, drops: bool) {
        let sampling = &self.request.sampling;
        if self.is_codex || drops {
            for (is_set, chat, gemini) in [
                (sampling.temperature.is_some(), "temperature", "generationConfig.temperature"),
                (sampling.top_p.is_some(), "top_p", "generationConfig.topP"),
            ] {
                if is_set {
                    self.hint(self.path(chat, gemini));
                }
            }
        } else {
            object.opt_f64("temperature", sampling.temperature);
            object.opt_f64("top_p", sampling.top_p);
        }
        for (is_set, chat, gemini) in [
            (sampling.top_k.is_some(), "top_k", "generationConfig.topK"),
            (
                sampling.frequency_penalty.is_some_and(|penalty| penalty != 0.0),
                "frequency_penalty",
                "generationConfig.frequencyPenalty",
            ),
            (
                sampling.presence_penalty.is_some_and(|penalty| penalty != 0.0),
                "presence_penalty",
                "generationConfig.presencePenalty",
            ),
            (sampling.seed.is_some(), "seed", "generationConfig.seed"),
            (sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()), "logit_bias", "logit_bias"),
        ] {
            if is_set {
                self.hint(self.path(chat, gemini));
            }
        }
    }

    fn include(&mut self, object: &mut Object<'_>, drops_logprobs: bool) {
        let request = self.request;
        let mut include: Vec<&str> = Vec::new();
        if self.is_own() && !self.is_codex {
            include.extend(request.include.iter().map(|name| &**name).filter(|name| *name != LOGPROBS));
        }
        // What is not stored can only come back encrypted; a model that does not reason refuses to be asked for it.
        let is_stored = self.is_own() && request.state.store != Some(false);
        let can_reason = self.is_codex || self.target.caps.reasoning != ReasoningCaps::None;
        if can_reason && (self.is_codex || !is_stored) && !include.contains(&ENCRYPTED) {
            include.push(ENCRYPTED);
        }
        if let Some(logprobs) = request.logprobs {
            let path = self.path("logprobs", "generationConfig.responseLogprobs");
            if !self.target.profile.has_logprobs {
                if self.is_own() {
                    self.hint("top_logprobs");
                } else {
                    self.semantic(path, "do not ask for token probabilities");
                }
            } else if drops_logprobs {
                self.hint(path);
            } else {
                include.push(LOGPROBS);
                object.opt_u64("top_logprobs", logprobs.top);
            }
        }
        if !include.is_empty() {
            object.array("include", |array| {
                for name in include {
                    array.str(name);
                }
            });
        }
    }

    /// Storing, streaming, tiers, caches, identities.
    fn delivery(&mut self, object: &mut Object<'_>) {
        let request = self.request;
        if self.is_codex || !self.is_own() {
            object.bool("store", false);
        } else {
            object.opt_bool("store", request.state.store);
        }
        if self.target.stream || self.is_codex || self.target.profile.is_stream_only {
            object.bool("stream", true);
        }
        match &request.cache.key {
            Some(key) => object.str("prompt_cache_key", key),
            None if self.is_codex => object.str("prompt_cache_key", &self.cache_key()),
            None => {}
        }
        if !self.is_codex {
            object.opt_str("prompt_cache_retention", request.cache.retention.as_deref());
            object.opt_raw("prompt_cache_options", request.cache.options.as_ref());
        }
        if request.cache.auto.is_some() {
            self.hint("cache_control");
        }
        if request.cache.cached_content.is_some() {
            self.semantic("cachedContent", "send the content itself");
        }
        self.tier(object);
        self.identity(object);
        if request.safety.is_some() {
            self.hint(self.path("safety_settings", "safetySettings"));
        }
    }

    /// A key that stays the same through a conversation: its beginning does.
    fn cache_key(&self) -> String {
        let first = self.request.turns.iter().find(|turn| turn.role == Role::User);
        let mut parts = vec![self.target.scope.unwrap_or_default(), self.target.model];
        parts.extend(self.request.instructions.iter().map(|block| &*block.text));
        let texts = first.into_iter().flat_map(|turn| &turn.blocks).filter_map(|block| block.as_text());
        parts.extend(texts.map(|text| &*text.text));
        let digits = crate::id::hex("", 32, &parts);
        let mut key = String::with_capacity(36);
        for (at, digit) in digits.chars().enumerate() {
            if matches!(at, 8 | 12 | 16 | 20) {
                key.push('-');
            }
            key.push(digit);
        }
        key
    }

    fn tier(&mut self, object: &mut Object<'_>) {
        let Some(tier) = &self.request.service_tier else { return };
        let word = match tier {
            Tier::Auto => "auto",
            Tier::Default => "default",
            Tier::Flex => "flex",
            Tier::Scale => "scale",
            Tier::Priority | Tier::Fast => "priority",
            Tier::Other(word) => word,
        };
        if self.is_codex && word != "priority" {
            if !matches!(tier, Tier::Auto | Tier::Default) {
                self.hint(self.path("service_tier", "serviceTier"));
            }
            return;
        }
        object.str("service_tier", word);
    }

    fn identity(&mut self, object: &mut Object<'_>) {
        let request = self.request;
        let identity = &request.identity;
        if self.is_codex {
            for (is_set, path) in [
                (identity.user.is_some(), "user"),
                (identity.safety_identifier.is_some(), "safety_identifier"),
                (identity.metadata.is_some(), "metadata"),
            ] {
                if is_set {
                    self.hint(if request.origin == Format::Claude { "metadata.user_id" } else { path });
                }
            }
        } else {
            let mut safety = identity.safety_identifier.clone();
            if request.origin == Format::Claude {
                safety = safety.or_else(|| identity.user.as_ref().map(fitted));
            } else {
                object.opt_str("user", identity.user.as_deref());
            }
            object.opt_str("safety_identifier", safety.as_deref());
            match request.origin {
                Format::Chat | Format::Responses => object.opt_raw("metadata", identity.metadata.as_ref()),
                _ if identity.metadata.is_some() => self.hint("metadata"),
                _ => {}
            }
        }
        if identity.labels.is_some() {
            self.hint("labels");
        }
    }

    /// Server state and members without a place in the model.
    fn rest(&mut self, object: &mut Object<'_>, purpose: Purpose) {
        let request = self.request;
        let state = &request.state;
        if !self.is_own() {
            if state.background == Some(true) {
                self.semantic("background", "ask for the answer in the foreground");
            }
            return;
        }
        if self.is_codex {
            if state.previous_response_id.is_some() {
                self.semantic("previous_response_id", "send the whole conversation");
            }
            if state.conversation.is_some() {
                self.semantic("conversation", "send the whole conversation");
            }
            if state.background == Some(true) {
                self.semantic("background", "ask for the answer in the foreground");
            }
            if state.prompt.is_some() {
                self.semantic("prompt", "send the prompt's text");
            }
        } else {
            object.opt_str("previous_response_id", state.previous_response_id.as_deref());
            object.opt_raw("conversation", state.conversation.as_ref());
            object.opt_raw("prompt", state.prompt.as_ref());
            object.opt_str("truncation", state.truncation.as_deref());
            if purpose == Purpose::Count {
                return;
            }
            object.opt_bool("background", state.background);
            object.opt_raw("context_management", state.context_management.as_ref());
        }
        if purpose == Purpose::Count {
            return;
        }
        for (name, value) in request.ext.iter() {
            if !(self.is_codex && CODEX_REFUSES.contains(&name)) && name != "extra_body" {
                object.raw(name, value.as_str());
            }
        }
    }
}

/// A user id as the service takes it: long ones as their hash.
fn fitted(user: &Str) -> Str {
    if user.chars().count() <= 64 {
        return Str::clone(user);
    }
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(user.as_bytes()) {
        for nibble in [byte >> 4, byte & 15] {
            digits.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    digits.into()
}

fn schema_name(name: Option<&str>) -> String {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    let name: String =
        name.unwrap_or_default().chars().take(64).map(|c| if legal(c) { c } else { '_' }).collect();
    if name.is_empty() { "response".to_owned() } else { name }
}
