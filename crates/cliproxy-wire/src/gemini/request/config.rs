//! `generationConfig` of a client's request.

use super::super::member::members;
use super::super::part::each;
use crate::json::{Kind, Raw, Reader};
use crate::model::{
    AudioOutput, Level, Logprobs, Mode, OutputFormat, ReasoningWish, Request, Show, Summary, WishOrigin,
};
use crate::{Error, Format, schema};

/// Reads `generationConfig`. Members without a place in the model are kept under `generationConfig.NAME`.
///
/// # Errors
/// Values out of range or of wrong kinds, with their path.
pub(super) fn generation_config(reader: &mut Reader<'_>, request: &mut Request) -> Result<(), Error> {
    let mut output = Output::default();
    let mut wants_logprobs = false;
    let mut top = None;
    members(reader, |name, value| {
        let sampling = &mut request.sampling;
        match name {
            "temperature" => sampling.temperature = value.opt(Reader::f64)?,
            "topP" => sampling.top_p = value.opt(Reader::f64)?,
            "topK" => sampling.top_k = value.opt(rounded)?,
            "presencePenalty" => sampling.presence_penalty = value.opt(Reader::f64)?,
            "frequencyPenalty" => sampling.frequency_penalty = value.opt(Reader::f64)?,
            "seed" => sampling.seed = value.opt(Reader::i64)?,
            "stopSequences" => {
                sampling.stop.clear();
                each(value, |value| {
                    let stop = value.str()?;
                    if !stop.is_empty() {
                        request.sampling.stop.push((*stop).into());
                    }
                    Ok(())
                })?;
            }
            "maxOutputTokens" => {
                request.max_output_tokens = value.opt(Reader::u64)?.filter(|limit| *limit > 0);
            }
            "candidateCount" => request.candidates = value.opt(Reader::u64)?.filter(|count| *count > 0),
            "responseLogprobs" => wants_logprobs = value.opt(Reader::bool)?.unwrap_or(false),
            "logprobs" => top = value.opt(Reader::u64)?,
            "responseMimeType" => output.mime = value.opt(Reader::string)?,
            "responseJsonSchema" => output.json_schema = value.opt(Reader::to_raw)?,
            "responseSchema" => output.open_api = value.opt(Reader::to_raw)?,
            "responseModalities" => {
                let mut modalities = Vec::new();
                each(value, |value| {
                    modalities.push(value.str()?.to_ascii_lowercase().into());
                    Ok(())
                })?;
                request.output.modalities = (!modalities.is_empty()).then_some(modalities);
            }
            "speechConfig" => request.output.audio = value.opt(Reader::raw)?.map(speech),
            "imageConfig" => request.output.image = value.opt(image)?.filter(|image| !image.is_empty()),
            "thinkingConfig" => request.reasoning = value.opt(thinking)?,
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    request.ext.set(&["generationConfig.", name].concat(), other);
                }
            }
        }
        Ok(())
    })?;
    request.logprobs = wants_logprobs.then_some(Logprobs { top });
    output.apply(request);
    Ok(())
}

fn rounded(reader: &mut Reader<'_>) -> Result<u64, Error> {
    let number = reader.f64()?.round();
    if !(0.0..9e15).contains(&number) {
        return Err(Error::malformed("expected a number that is not negative"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and in range"
    )]
    Ok(number as u64)
}

#[derive(Default)]
struct Output {
    mime: Option<String>,
    json_schema: Option<Raw>,
    open_api: Option<Raw>,
}

impl Output {
    fn apply(self, request: &mut Request) {
        let mime = self.mime.unwrap_or_default().to_ascii_lowercase();
        let is_json = mime.is_empty() || mime == "application/json";
        if !is_json && mime != "text/plain" {
            if let Some(schema) = self.open_api {
                request.ext.set("generationConfig.responseSchema", schema);
            }
            request.output.format = OutputFormat::Mime(mime.into());
            return;
        }
        let schema = self
            .json_schema
            .or_else(|| self.open_api.as_ref().map(|schema| schema::from_openapi(schema, None)));
        request.output.format = match schema {
            Some(schema) if is_json => {
                OutputFormat::JsonSchema { name: None, description: None, schema, strict: None }
            }
            None if mime == "application/json" => OutputFormat::JsonObject,
            _ => OutputFormat::Text,
        };
    }
}

fn speech(settings: &str) -> AudioOutput {
    let voice = ["voiceConfig", "prebuiltVoiceConfig", "voiceName"]
        .iter()
        .zip(["voice_config", "prebuilt_voice_config", "voice_name"])
        .try_fold(settings, |object, (camel, snake)| {
            crate::json::member(object, camel).or_else(|| crate::json::member(object, snake))
        });
    AudioOutput {
        voice: voice.and_then(|voice| Raw::new(voice).to_text()).map(Into::into),
        format: None,
        native: Some(Raw::new(settings)),
    }
}

fn image(reader: &mut Reader<'_>) -> Result<Raw, Error> {
    let mut ratio = None;
    let mut size = None;
    let mut rest = crate::model::Ext::new();
    members(reader, |name, value| {
        match name {
            "aspectRatio" => ratio = value.opt(Reader::string)?,
            "imageSize" => size = value.opt(Reader::string)?,
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    rest.set(name, other);
                }
            }
        }
        Ok(())
    })?;
    Ok(Raw::object(|object| {
        object.opt_str("aspect_ratio", ratio.as_ref());
        object.opt_str("image_size", size.as_ref());
        rest.write(object);
    }))
}

fn thinking(reader: &mut Reader<'_>) -> Result<ReasoningWish, Error> {
    let mut budget = None;
    let mut level = None;
    let mut is_shown = false;
    let mut ext = crate::model::Ext::new();
    members(reader, |name, value| {
        match name {
            "thinkingBudget" => budget = value.opt(read_budget)?,
            "thinkingLevel" => level = value.opt(read_level)?.flatten(),
            "includeThoughts" => is_shown = value.opt(Reader::bool)?.unwrap_or(false),
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    ext.set(name, other);
                }
            }
        }
        Ok(())
    })?;
    let mode = level.map(Mode::Level).or(budget);
    Ok(ReasoningWish {
        mode,
        show: Some(if is_shown { Show::Summary(Summary::Auto) } else { Show::Hidden }),
        is_interleaved: None,
        origin: mode.map(|_| WishOrigin::Body(Format::Gemini)),
        ext,
    })
}

fn read_budget(reader: &mut Reader<'_>) -> Result<Mode, Error> {
    match reader.i64()? {
        -1 => Ok(Mode::Auto),
        0 => Ok(Mode::Off),
        tokens => match u64::try_from(tokens) {
            Ok(tokens) => Ok(Mode::Budget(tokens)),
            Err(_negative) => Err(Error::malformed("expected -1, 0 or a number of tokens")),
        },
    }
}

fn read_level(reader: &mut Reader<'_>) -> Result<Option<Level>, Error> {
    if reader.kind() != Kind::String {
        return reader.string().map(|_| None);
    }
    let word = reader.str()?.to_ascii_lowercase();
    Ok(Some(match &*word {
        "minimal" => Level::Minimal,
        "low" => Level::Low,
        "medium" => Level::Medium,
        "high" => Level::High,
        "" | "thinking_level_unspecified" => return Ok(None),
        _ => {
            return Err(Error::malformed(format!(
                "unknown level `{word}`, expected MINIMAL, LOW, MEDIUM or HIGH"
            )));
        }
    }))
}
