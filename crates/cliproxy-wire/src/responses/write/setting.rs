//! Members that set how the answer is made: limits, sampling, text form, reasoning, delivery.

use crate::catalog::ReasoningCaps;
use crate::format::Format;
use crate::json::Object;
use crate::model::{OutputFormat, Role, Summary, Tier};
use crate::reasoning::Members;

use super::{ENCRYPTED, LEAST_TOKENS, LOGPROBS, Writer};

impl Writer<'_> {
    pub(super) fn reasoning(&mut self, object: &mut Object<'_>, members: &Members) {
        let (effort, summary) = match members {
            Members::Effort { effort, summary } => (*effort, *summary),
            _ => (None, None),
        };
        let own = self.request.reasoning.as_ref().filter(|_| self.is_own()).map(|wish| &wish.ext);
        let own = own.filter(|ext| !ext.is_empty());
        if self.is_xai && self.target.caps.reasoning == ReasoningCaps::None {
            return;
        }
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

    pub(super) fn text(&mut self, object: &mut Object<'_>) {
        let output = &self.request.output;
        if let OutputFormat::Mime(mime) = &output.format {
            let remedy = format!("ask for JSON or plain text instead of {mime}");
            self.semantic("generationConfig.responseMimeType", &remedy);
        }
        let has_format = matches!(output.format, OutputFormat::JsonObject | OutputFormat::JsonSchema { .. });
        let own = self.request.ext.get("text").filter(|_| self.is_own());
        let rest = |format: &mut Object<'_>| {
            if self.is_own() {
                output.ext.write(format);
            }
        };
        if has_format || output.verbosity.is_some() || own.is_some() {
            object.object("text", |text| {
                match &output.format {
                    OutputFormat::JsonObject => text.object("format", |format| {
                        format.str("type", "json_object");
                        rest(format);
                    }),
                    OutputFormat::JsonSchema { name, description, schema, strict } => {
                        text.object("format", |format| {
                            format.str("type", "json_schema");
                            format.str("name", &schema_name(name.as_deref()));
                            format.opt_str("description", description.as_ref());
                            format.raw("schema", schema.as_str());
                            // Absent means something else in the other formats.
                            format.opt_bool(
                                "strict",
                                if self.is_own() { *strict } else { strict.or(Some(false)) },
                            );
                            rest(format);
                        });
                    }
                    OutputFormat::Text | OutputFormat::Mime(_) => {}
                }
                text.opt_str("verbosity", output.verbosity.as_ref());
                // An object, as it was read.
                let _checked = own.map(|own| {
                    own.reader().object(|name, value| {
                        text.raw(name, value.raw()?);
                        Ok(())
                    })
                });
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

    pub(super) fn limits(&mut self, object: &mut Object<'_>, max_output_tokens: Option<u64>) {
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

    pub(super) fn sampling(&mut self, object: &mut Object<'_>, drops: bool) {
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

    pub(super) fn include(&mut self, object: &mut Object<'_>, drops_logprobs: bool) {
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
        if self.is_own()
            && self.is_codex
            && request.include.iter().any(|name| !matches!(&**name, ENCRYPTED | LOGPROBS))
        {
            self.hint("include");
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
    pub(super) fn delivery(&mut self, object: &mut Object<'_>) {
        let request = self.request;
        if self.is_codex || !self.is_own() {
            if request.state.store == Some(true) {
                self.hint("store");
            }
            object.bool("store", false);
        } else {
            object.opt_bool("store", request.state.store);
        }
        if self.target.stream || self.is_codex || self.target.profile.is_stream_only {
            object.bool("stream", true);
        }
        match &request.cache.key {
            Some(key) => object.str("prompt_cache_key", key),
            None if self.is_codex || self.is_xai => object.str("prompt_cache_key", &self.cache_key()),
            None => {}
        }
        if self.is_xai && request.cache.retention.is_some() {
            self.hint("prompt_cache_retention");
        } else if self.is_codex {
            for (is_said, path) in [
                (request.cache.retention.is_some(), "prompt_cache_retention"),
                (request.cache.options.is_some(), "prompt_cache_options"),
            ] {
                if is_said {
                    self.hint(path);
                }
            }
        } else {
            object.opt_str("prompt_cache_retention", request.cache.retention.as_ref());
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
        crate::id::uuid(&parts)
    }

    fn tier(&mut self, object: &mut Object<'_>) {
        let Some(tier) = &self.request.service_tier else { return };
        let word = match tier {
            Tier::Auto => "auto",
            Tier::Default => "default",
            Tier::Flex => "flex",
            Tier::Scale => "scale",
            Tier::Priority | Tier::Fast => "priority",
            Tier::Other(word) if self.is_own() => word,
            // A word of another service.
            Tier::Other(_) => return self.hint(self.path("service_tier", "serviceTier")),
        };
        if self.is_codex && word != "priority" {
            if !matches!(tier, Tier::Auto | Tier::Default) {
                self.hint(self.path("service_tier", "serviceTier"));
            }
            return;
        }
        object.str("service_tier", word);
    }
}

fn schema_name(name: Option<&str>) -> String {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    let name: String =
        name.unwrap_or_default().chars().take(64).map(|c| if legal(c) { c } else { '_' }).collect();
    if name.is_empty() { "response".to_owned() } else { name }
}
