//! A prepared request into the body for a Chat upstream: the top-level members and who takes which.
//!
//! OpenAI's own service knows all of them; its relatives refuse some, so members that only steer cost, cache or
//! telemetry go to a relative only when the client spoke this format itself and so meant that relative.

mod message;
mod tool;

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::codec::{Encoded, Notes, Strictness, Target};
use crate::format::Format;
use crate::json::{self, Kind, Object, Raw};
use crate::model::{Request, Tier};
use crate::normalize::{Prepared, is_missed, place};
use crate::profile::{Dialect, MaxTokensField};
use crate::reasoning::{Members, Plan};

use message::Messages;

/// Writes the body.
pub(super) fn request(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    let Prepared { request, plan, bridge, notes } = prepared;
    let mut writer = Writer { request: &request, plan: &plan, target, notes };
    let settings = writer.settings()?;
    let choice = writer.choice()?;
    let mut messages = Messages::new(&request, target);
    let mut body = Vec::with_capacity(request.size_hint());
    json::object(&mut body, |object| {
        object.str("model", target.model);
        object.array("messages", |array| messages.write(array));
        tool::write(&request, target, choice, object);
        writer.sampling(object);
        writer.output(object);
        for (name, value) in &settings {
            object.raw(name, value.as_str());
        }
        if target.stream {
            object.bool("stream", true);
            writer.stream_options(object);
        }
        writer.reasoning(object);
    });
    messages.finish()?;
    let notes = writer.notes;
    Ok(Encoded { request, body, betas: Vec::new(), bridge, notes })
}

/// Objects of a client of this format of which only members are left that are not understood.
const PLANNED: [&str; 5] = ["stream_options", "reasoning", "thinking", "thinking_config", "thinkingConfig"];

struct Writer<'a> {
    request: &'a Request,
    plan: &'a Plan,
    target: &'a Target<'a>,
    notes: Notes,
}

impl Writer<'_> {
    fn stream_options(&self, object: &mut Object<'_>) {
        if !self.target.profile.has_stream_usage {
            return;
        }
        let own = self.request.ext.get("stream_options").filter(|_| self.request.origin == Format::Chat);
        object.object("stream_options", |options| {
            options.bool("include_usage", true);
            if let Some(own) = own {
                tool::write_members(own, options);
            }
        });
    }

    /// Drops what affects cost, latency or style only; strict mode refuses it.
    fn hint(&mut self, path: &str) -> Result<(), Error> {
        self.target.hint(&mut self.notes, path)
    }

    /// Refuses what would make the answer wrong; lenient mode drops it.
    fn refuse(&mut self, path: &str, remedy: &str) -> Result<(), Error> {
        if self.target.strictness == Strictness::Lenient {
            self.notes.add(path);
            return Ok(());
        }
        let name = self.target.profile.name;
        Err(Error::unsupported(path, format!("the upstream {name} has no equivalent; {remedy}")))
    }

    /// True for the service that this format belongs to.
    fn is_openai(&self) -> bool {
        matches!(self.target.profile.dialect, Dialect::Native | Dialect::Azure)
    }

    fn path(&self, name: &'static str) -> &'static str {
        path(self.request.origin, name)
    }

    /// Members that are either written or dropped with a note, and refusals of what cannot be said.
    fn settings(&mut self) -> Result<Vec<(&'static str, Raw)>, Error> {
        let request = self.request;
        let profile = self.target.profile;
        if request.candidates.is_some_and(|count| count > 1) && !profile.has_candidates {
            self.refuse(self.path("n"), "ask once per answer")?;
        }
        if request.logprobs.is_some() && !profile.has_logprobs {
            self.refuse(self.path("logprobs"), "leave it out")?;
        }
        let stops = request.sampling.stop.len();
        if profile.refuses_extra_stops && profile.max_stop_sequences.is_some_and(|max| stops > max) {
            self.refuse(self.path("stop"), "send fewer stop sequences")?;
        }
        if request.cache.cached_content.is_some() {
            self.refuse("cachedContent", "send the content itself")?;
        }
        self.server_state()?;
        self.unplanned()?;
        if request.sampling.top_k.is_some() && !profile.has_top_k && !self.plan.drops_sampling {
            self.hint(self.path("top_k"))?;
        }
        if self.plan.drops_sampling {
            self.note_sampling()?;
        }
        let mut written = Vec::new();
        let mut hint = |name: &'static str, value: Option<Raw>| -> Result<(), Error> {
            if let Some(value) = value {
                if self.request.origin == Format::Chat || self.is_openai() {
                    written.push((name, value));
                } else {
                    self.hint(name)?;
                }
            }
            Ok(())
        };
        let cache = &request.cache;
        hint("prompt_cache_key", cache.key.as_deref().map(Raw::string))?;
        hint("prompt_cache_retention", cache.retention.as_deref().map(Raw::string))?;
        hint("prompt_cache_options", cache.options.clone())?;
        hint("verbosity", request.output.verbosity.as_deref().map(Raw::string))?;
        hint("prediction", request.output.prediction.clone())?;
        hint("metadata", request.identity.metadata.clone())?;
        let store = request.state.store.map(|is_stored| Raw::new(if is_stored { "true" } else { "false" }));
        // Nothing is stored at a relative, so refusing storage needs no words there.
        hint("store", store.filter(|store| request.origin == Format::Chat || store.as_str() == "true"))?;
        // A word of another format's service means nothing to this one.
        let is_known =
            !matches!(request.service_tier, Some(Tier::Other(_))) || request.origin == Format::Chat;
        let tier = request.service_tier.as_ref().filter(|_| is_known);
        hint("service_tier", tier.map(|tier| Raw::string(tier_word(tier))))?;
        if !is_known {
            self.hint("service_tier")?;
        }
        self.identity(&mut written)?;
        if request.safety.is_some() {
            self.hint(self.path("safety_settings"))?;
        }
        if request.cache.auto.is_some() {
            self.hint("cache_control")?;
        }
        for (is_said, path) in [
            (request.max_tool_calls.is_some(), "max_tool_calls"),
            (request.identity.labels.is_some(), "labels"),
            (request.state.truncation.as_deref().is_some_and(|word| word != "disabled"), "truncation"),
            (request.state.context_management.is_some(), "context_management"),
        ] {
            if is_said {
                self.hint(path)?;
            }
        }
        Ok(written)
    }

    /// State that only a service of the Responses format keeps.
    fn server_state(&mut self) -> Result<(), Error> {
        let state = &self.request.state;
        for (is_asked, path, remedy) in [
            (state.previous_response_id.is_some(), "previous_response_id", "send the whole conversation"),
            (state.conversation.is_some(), "conversation", "send the whole conversation"),
            (state.prompt.is_some(), "prompt", "send the prompt's text"),
            (state.background == Some(true), "background", "ask for the answer in the foreground"),
        ] {
            if is_asked {
                self.refuse(path, remedy)?;
            }
        }
        Ok(())
    }

    /// Notes what is left of objects that are not written to this upstream.
    fn unplanned(&mut self) -> Result<(), Error> {
        let request = self.request;
        for (name, value) in request.ext.iter().filter(|_| request.origin == Format::Chat) {
            if self.is_lost(name) {
                let mut lost = Vec::new();
                value.reader().object(|inner, value| {
                    if name != "stream_options" || is_missed(inner, value.raw()?) {
                        lost.push(place::told(name, inner));
                    }
                    Ok(())
                })?;
                for path in lost {
                    self.hint(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Whether an object has no place. A relative may know what stands in it, OpenAI refuses what it does not know.
    fn is_lost(&self, name: &str) -> bool {
        PLANNED.contains(&name) && !self.is_planned(name) && (self.is_openai() || name == "stream_options")
    }

    /// Whether the gateway writes an object of this name, into which that of the client goes.
    fn is_planned(&self, name: &str) -> bool {
        match &self.plan.members {
            _ if name == "stream_options" => self.target.stream && self.target.profile.has_stream_usage,
            Members::Chat(members) => members.iter().any(|(planned, _)| *planned == name),
            _ => false,
        }
    }

    /// Sampling parameters that the model refuses while it reasons.
    fn note_sampling(&mut self) -> Result<(), Error> {
        let sampling = &self.request.sampling;
        let present = [
            ("temperature", sampling.temperature.is_some()),
            ("top_p", sampling.top_p.is_some()),
            ("top_k", sampling.top_k.is_some()),
            ("frequency_penalty", sampling.frequency_penalty.is_some()),
            ("presence_penalty", sampling.presence_penalty.is_some()),
            ("logit_bias", sampling.logit_bias.is_some()),
            ("logprobs", self.request.logprobs.is_some()),
        ];
        for (name, _) in present.iter().filter(|(_, is_present)| *is_present) {
            self.hint(self.path(name))?;
        }
        Ok(())
    }

    fn identity(&mut self, written: &mut Vec<(&'static str, Raw)>) -> Result<(), Error> {
        let identity = &self.request.identity;
        let is_own = self.request.origin == Format::Chat;
        if self.request.origin == Format::Claude && self.is_openai() {
            // There the member names an end user for abuse detection, which here has a member of its own.
            if let Some(user) = &identity.user {
                written.push(("safety_identifier", Raw::string(&fitted(user))));
            }
            return Ok(());
        }
        if let Some(user) = &identity.user {
            let user = if is_own { (**user).to_owned() } else { fitted(user) };
            written.push(("user", Raw::string(&user)));
        }
        match &identity.safety_identifier {
            Some(id) if is_own || self.is_openai() => {
                written.push(("safety_identifier", Raw::string(id)));
            }
            Some(_) => self.hint("safety_identifier")?,
            None => {}
        }
        Ok(())
    }

    /// The tool choice to write.
    fn choice(&mut self) -> Result<tool::Choice, Error> {
        let choice = tool::choice(self.request, self.target);
        match choice {
            tool::Choice::Weakened => self.hint(self.path("tool_choice"))?,
            tool::Choice::Impossible => self.refuse(self.path("tool_choice"), "choose a function")?,
            tool::Choice::Absent | tool::Choice::AsSaid => {}
        }
        Ok(choice)
    }

    fn sampling(&self, object: &mut Object<'_>) {
        let sampling = &self.request.sampling;
        let profile = self.target.profile;
        let limit = match profile.max_tokens_field {
            MaxTokensField::MaxTokens => "max_tokens",
            MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
        };
        object.opt_u64(limit, self.plan.max_output_tokens);
        if !self.plan.drops_sampling {
            object.opt_f64("temperature", sampling.temperature);
            object.opt_f64("top_p", sampling.top_p);
            object.opt_u64("top_k", sampling.top_k.filter(|_| profile.has_top_k));
            object.opt_f64("frequency_penalty", sampling.frequency_penalty);
            object.opt_f64("presence_penalty", sampling.presence_penalty);
            object.opt_raw("logit_bias", sampling.logit_bias.as_ref());
            if let Some(logprobs) = self.request.logprobs.filter(|_| profile.has_logprobs) {
                object.bool("logprobs", true);
                object.opt_u64("top_logprobs", logprobs.top);
            }
        }
        if let Some(seed) = sampling.seed {
            object.i64("seed", seed);
        }
        let stops = sampling.stop.iter().take(profile.max_stop_sequences.unwrap_or(usize::MAX));
        if stops.len() > 0 {
            object.array("stop", |array| stops.for_each(|stop| array.str(stop)));
        }
        object.opt_u64("n", self.request.candidates.filter(|_| profile.has_candidates));
    }

    fn output(&self, object: &mut Object<'_>) {
        let output = &self.request.output;
        tool::response_format(self.request, self.target, object);
        // Plain text is what is answered anyway, and relatives may not know the member.
        if let Some(words) =
            output.modalities.as_ref().filter(|words| words.iter().any(|word| **word != *"text"))
        {
            object.array("modalities", |array| words.iter().for_each(|word| array.str(word)));
        }
        if let Some(audio) = &output.audio {
            match audio.native.as_ref().filter(|_| self.request.origin == Format::Chat) {
                Some(native) => object.raw("audio", native.as_str()),
                None => object.object("audio", |object| {
                    object.opt_str("voice", audio.voice.as_ref());
                    object.str("format", audio.format.as_deref().unwrap_or("wav"));
                }),
            }
        }
        let image = output.image.as_ref().map(|image| {
            if self.request.origin == Format::Chat {
                return image.clone();
            }
            // The rest is another format's.
            Raw::object(|object| {
                for name in ["aspect_ratio", "image_size"] {
                    object.opt_raw(name, image.get(name).as_ref());
                }
            })
        });
        object.opt_raw("image_config", image.filter(|image| !image.is_empty()).as_ref());
    }

    /// Reasoning members, and members that only this format understands.
    fn reasoning(&self, object: &mut Object<'_>) {
        let ext = (self.request.origin == Format::Chat).then_some(&self.request.ext);
        let members: &[(&'static str, Raw)] = match &self.plan.members {
            Members::Chat(members) => members,
            Members::Effort { effort, .. } => {
                object.opt_str("reasoning_effort", *effort);
                &[]
            }
            Members::None | Members::Claude { .. } | Members::Gemini { .. } => &[],
        };
        for (name, value) in members {
            match ext.and_then(|ext| ext.get(name)) {
                Some(own) => object.raw(name, merged(value, own).as_str()),
                None => object.raw(name, value.as_str()),
            }
        }
        for (name, value) in ext.into_iter().flat_map(crate::model::Ext::iter) {
            if !self.is_planned(name) && !self.is_lost(name) {
                object.raw(name, value.as_str());
            }
        }
    }
}

/// `value` with the members of `own` that it lacks.
fn merged(value: &Raw, own: &Raw) -> Raw {
    if value.kind() != Kind::Object || own.kind() != Kind::Object {
        return value.clone();
    }
    Raw::object(|object| {
        // Both were checked when they became raw values, so reading them cannot fail.
        let _checked = value.reader().object(|key, member| {
            object.raw(key, member.raw()?);
            Ok(())
        });
        let _checked = own.reader().object(|key, member| {
            if json::member(value.as_str(), key).is_none() {
                object.raw(key, member.raw()?);
            }
            Ok(())
        });
    })
}

/// An end user's name within the 64 characters that the service allows; longer ones are replaced by their hash.
fn fitted(user: &str) -> String {
    if user.chars().count() <= 64 {
        return user.to_owned();
    }
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(user.as_bytes()) {
        for nibble in [byte >> 4, byte & 15] {
            digits.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    digits
}

fn tier_word(tier: &Tier) -> &str {
    match tier {
        Tier::Auto => "auto",
        Tier::Default => "default",
        Tier::Flex => "flex",
        Tier::Scale => "scale",
        Tier::Priority | Tier::Fast => "priority",
        Tier::Other(word) => word,
    }
}

/// What a member is called in the client's body, by its name here.
fn path(origin: Format, name: &'static str) -> &'static str {
    match (origin, name) {
        (Format::Gemini, "safety_settings") => "safetySettings",
        (Format::Gemini, "service_tier") => "serviceTier",
        (Format::Responses, "verbosity") => "text.verbosity",
        (Format::Gemini, "n") => "generationConfig.candidateCount",
        (Format::Gemini, "logprobs") => "generationConfig.responseLogprobs",
        (Format::Gemini, "stop") => "generationConfig.stopSequences",
        (Format::Gemini, "temperature") => "generationConfig.temperature",
        (Format::Gemini, "top_p") => "generationConfig.topP",
        (Format::Gemini, "top_k") => "generationConfig.topK",
        (Format::Gemini, "frequency_penalty") => "generationConfig.frequencyPenalty",
        (Format::Gemini, "presence_penalty") => "generationConfig.presencePenalty",
        (Format::Gemini, "tool_choice") => "toolConfig.functionCallingConfig",
        (Format::Claude, "stop") => "stop_sequences",
        (Format::Responses, "logprobs") => "top_logprobs",
        _ => name,
    }
}
