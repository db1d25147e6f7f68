//! What this format cannot say: which members of the model are dropped with a note and which are refused.

use crate::Error;
use crate::codec::{Notes, Strictness, Target};
use crate::format::Format;
use crate::model::{OutputFormat, Request};

/// Judges members one by one.
struct Judge<'a> {
    target: &'a Target<'a>,
    notes: &'a mut Notes,
}

impl Judge<'_> {
    /// A member that affects cost, style or telemetry only.
    fn hint(&mut self, is_present: bool, path: &str) -> Result<(), Error> {
        if !is_present {
            return Ok(());
        }
        if self.target.strictness == Strictness::Strict {
            return Err(self.refusal(path, "remove it"));
        }
        self.notes.add(path);
        Ok(())
    }

    /// A member without which the answer would be wrong.
    fn semantic(&mut self, is_present: bool, path: &str, remedy: &str) -> Result<(), Error> {
        if !is_present {
            return Ok(());
        }
        if self.target.strictness == Strictness::Lenient {
            self.notes.add(path);
            return Ok(());
        }
        Err(self.refusal(path, remedy))
    }

    fn refusal(&self, path: &str, remedy: &str) -> Error {
        Error::unsupported(path, format!("{} cannot express this; {remedy}", self.target.profile.name))
    }
}

/// Notes or refuses everything that the encoder will not write.
pub(super) fn judge(request: &Request, target: &Target<'_>, notes: &mut Notes) -> Result<(), Error> {
    let mut judge = Judge { target, notes };
    let is_gemini = request.origin == Format::Gemini;
    let is_responses = request.origin == Format::Responses;
    let path = |gemini: &'static str, other: &'static str| if is_gemini { gemini } else { other };
    sampling(request, &mut judge, &path)?;
    judge.semantic(
        request.candidates.is_some_and(|count| count > 1),
        path("generationConfig.candidateCount", "n"),
        "ask for one answer",
    )?;
    judge.semantic(
        request.logprobs.is_some(),
        path("generationConfig.responseLogprobs", if is_responses { "top_logprobs" } else { "logprobs" }),
        "remove it",
    )?;
    let output = &request.output;
    let wants_media =
        output.modalities.as_ref().is_some_and(|all| all.iter().any(|modality| &**modality != "text"));
    judge.semantic(
        wants_media,
        path("generationConfig.responseModalities", "modalities"),
        "ask for text only",
    )?;
    judge.semantic(
        output.audio.is_some(),
        path("generationConfig.speechConfig", "audio"),
        "ask for text only",
    )?;
    judge.semantic(
        output.image.is_some(),
        path("generationConfig.imageConfig", "image_config"),
        "ask for text only",
    )?;
    judge.semantic(
        matches!(output.format, OutputFormat::Mime(_)),
        "generationConfig.responseMimeType",
        "ask for text or JSON",
    )?;
    judge.hint(output.verbosity.is_some(), if is_responses { "text.verbosity" } else { "verbosity" })?;
    judge.hint(output.prediction.is_some(), "prediction")?;
    judge.hint(request.safety.is_some(), path("safetySettings", "safety_settings"))?;
    state(request, &mut judge)?;
    let cache = &request.cache;
    judge.semantic(
        cache.cached_content.is_some(),
        "cachedContent",
        "send the content itself: caches belong to the provider that made them",
    )?;
    judge.hint(cache.key.is_some(), "prompt_cache_key")?;
    judge.hint(cache.options.is_some(), "prompt_cache_options")?;
    judge.hint(cache.retention.as_deref().is_some_and(|word| word != "24h"), "prompt_cache_retention")?;
    judge.hint(request.identity.metadata.is_some(), "metadata")?;
    judge.hint(request.identity.labels.is_some(), "labels")
}

fn sampling(
    request: &Request,
    judge: &mut Judge<'_>,
    path: &impl Fn(&'static str, &'static str) -> &'static str,
) -> Result<(), Error> {
    let sampling = &request.sampling;
    let bias = sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty());
    judge.hint(
        sampling.frequency_penalty.is_some(),
        path("generationConfig.frequencyPenalty", "frequency_penalty"),
    )?;
    judge.hint(
        sampling.presence_penalty.is_some(),
        path("generationConfig.presencePenalty", "presence_penalty"),
    )?;
    judge.hint(sampling.seed.is_some(), path("generationConfig.seed", "seed"))?;
    judge.hint(bias, "logit_bias")
}

fn state(request: &Request, judge: &mut Judge<'_>) -> Result<(), Error> {
    let state = &request.state;
    let remedy = "send the whole conversation: its state is kept by the provider that made it";
    judge.semantic(state.previous_response_id.is_some(), "previous_response_id", remedy)?;
    judge.semantic(state.conversation.is_some(), "conversation", remedy)?;
    judge.semantic(state.prompt.is_some(), "prompt", "send the prompt's text")?;
    judge.semantic(state.background == Some(true), "background", "wait for the answer")?;
    judge.hint(state.store == Some(true), "store")?;
    judge.hint(state.truncation.as_deref().is_some_and(|word| word != "disabled"), "truncation")?;
    judge.hint(state.context_management.is_some(), "context_management")
}
