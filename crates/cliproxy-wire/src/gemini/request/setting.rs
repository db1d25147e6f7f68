//! `generationConfig` for an upstream.

use super::encode::Writer;
use crate::Format;
use crate::json::{self, Object, Raw};
use crate::model::{Level, OutputFormat, Request};
use crate::normalize::place;
use crate::profile::{Dialect, SchemaDialect};
use crate::reasoning::Members;

/// Writes `generationConfig` if anything is set.
pub(super) fn write(object: &mut Object<'_>, writer: &mut Writer<'_>) {
    let mut config = Vec::new();
    json::object(&mut config, |out| {
        write_sampling(out, writer);
        write_output(out, writer);
        write_thinking(out, writer);
        write_own(out, writer);
    });
    if config != b"{}" {
        object.key("generationConfig");
        object.buffer().extend_from_slice(&config);
    }
}

fn write_sampling(out: &mut Object<'_>, writer: &mut Writer<'_>) {
    let request = writer.request();
    let plan = &writer.prepared.plan;
    let sampling = &request.sampling;
    if writer.target.profile.has_token_limit {
        out.opt_u64("maxOutputTokens", plan.max_output_tokens);
    } else if plan.max_output_tokens.is_some() {
        writer.notes.add(place::member(request.origin, "max_tokens"));
    }
    if plan.drops_sampling {
        for (is_said, path) in [
            (sampling.temperature.is_some(), "temperature"),
            (sampling.top_p.is_some(), "top_p"),
            (sampling.top_k.is_some(), "top_k"),
            (sampling.frequency_penalty.is_some(), "frequency_penalty"),
            (sampling.presence_penalty.is_some(), "presence_penalty"),
        ] {
            if is_said {
                writer.hint(path);
            }
        }
    } else {
        out.opt_f64("temperature", sampling.temperature);
        out.opt_f64("topP", sampling.top_p);
        out.opt_u64("topK", sampling.top_k);
        out.opt_f64("frequencyPenalty", sampling.frequency_penalty);
        out.opt_f64("presencePenalty", sampling.presence_penalty);
    }
    if let Some(seed) = sampling.seed {
        if i32::try_from(seed).is_ok() {
            out.i64("seed", seed);
        } else {
            out.i64("seed", seed & 0x7FFF_FFFF);
            writer.notes.add("seed");
        }
    }
    let stops = sampling.stop.len().min(writer.target.profile.max_stop_sequences.unwrap_or(usize::MAX));
    if stops > 0 {
        out.array("stopSequences", |list| {
            for stop in sampling.stop.iter().take(stops) {
                list.str(stop);
            }
        });
    }
    match request.candidates {
        Some(count) if count > 8 => writer.refuse("n", "gives at most 8 answers; ask for fewer"),
        count => out.opt_u64("candidateCount", count),
    }
    if let Some(logprobs) = request.logprobs {
        out.bool("responseLogprobs", true);
        out.opt_u64("logprobs", logprobs.top);
    }
}

fn write_output(out: &mut Object<'_>, writer: &mut Writer<'_>) {
    let request = writer.request();
    let is_open_api = writer.target.profile.schema == SchemaDialect::OpenApi;
    match &request.output.format {
        OutputFormat::Text => {}
        OutputFormat::JsonObject => out.str("responseMimeType", "application/json"),
        OutputFormat::JsonSchema { schema, .. } => {
            out.str("responseMimeType", "application/json");
            out.raw(if is_open_api { "responseSchema" } else { "responseJsonSchema" }, schema.as_str());
        }
        OutputFormat::Mime(mime) => out.str("responseMimeType", mime),
    }
    if let Some(modalities) = &request.output.modalities {
        out.array("responseModalities", |list| {
            for modality in modalities {
                list.str(&modality.to_ascii_uppercase());
            }
        });
    }
    write_speech(out, writer);
    if let Some(image) = &request.output.image {
        let text = |name| image.get(name).and_then(|value| value.to_text());
        let (ratio, size) = (text("aspect_ratio"), text("image_size"));
        let rest = Raw::object(|rest| {
            let _read = image.reader().object(|name, value| {
                if request.origin == Format::Gemini && !matches!(name, "aspect_ratio" | "image_size") {
                    rest.raw(name, value.raw()?);
                }
                Ok(())
            });
        });
        if ratio.is_some() || size.is_some() || !rest.is_empty() {
            out.object("imageConfig", |config| {
                config.opt_str("aspectRatio", ratio.as_ref());
                config.opt_str("imageSize", size.as_ref());
                let _read = rest.reader().object(|name, value| {
                    config.raw(name, value.raw()?);
                    Ok(())
                });
            });
        }
    }
}

fn write_speech(out: &mut Object<'_>, writer: &mut Writer<'_>) {
    let request = writer.request();
    let Some(audio) = &request.output.audio else { return };
    if let Some(native) = audio.native.as_ref().filter(|_| request.origin == Format::Gemini) {
        out.raw("speechConfig", native.as_str());
        return;
    }
    if audio.format.as_deref().is_some_and(|format| !matches!(format, "pcm16" | "wav")) {
        writer.refuse("audio.format", "speaks pcm16 and wav only; ask for one of them");
    }
    if let Some(voice) = &audio.voice {
        out.object("speechConfig", |speech| {
            speech.object("voiceConfig", |config| {
                config.object("prebuiltVoiceConfig", |prebuilt| prebuilt.str("voiceName", voice));
            });
        });
    }
}

fn write_thinking(out: &mut Object<'_>, writer: &Writer<'_>) {
    let request = writer.request();
    let own = request.reasoning.as_ref().map(|wish| &wish.ext);
    let own = own.filter(|ext| request.origin == Format::Gemini && !ext.is_empty());
    let (budget, level, include_thoughts) = match &writer.prepared.plan.members {
        Members::Gemini { budget, level, include_thoughts } => (*budget, *level, *include_thoughts),
        _ if own.is_some() => (None, None, false),
        _ => return,
    };
    if budget.is_none() && level.is_none() && !include_thoughts && own.is_none() {
        return;
    }
    out.object("thinkingConfig", |thinking| {
        match (level, budget) {
            (Some(level), _) => thinking.str("thinkingLevel", word(level)),
            (None, Some(budget)) => thinking.i64("thinkingBudget", budget),
            (None, None) => {}
        }
        thinking.bool("includeThoughts", include_thoughts);
        if let Some(own) = own {
            own.write(thinking);
        }
    });
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Minimal => "MINIMAL",
        Level::Low => "LOW",
        Level::Medium => "MEDIUM",
        Level::High | Level::XHigh | Level::Max => "HIGH",
    }
}

/// Members that only this format knows, as far as the service at hand takes them.
fn write_own(out: &mut Object<'_>, writer: &mut Writer<'_>) {
    let request = writer.request();
    for (name, value) in own(request) {
        let is_accepted = match name {
            "audioTimestamp" | "routingConfig" | "modelSelectionConfig" => {
                writer.target.profile.dialect != Dialect::Native
            }
            "enableEnhancedCivicAnswers" => writer.target.profile.dialect == Dialect::Native,
            _ => true,
        };
        if is_accepted {
            out.raw(name, value.as_str());
        } else {
            writer.hint(&["generationConfig.", name].concat());
        }
    }
}

fn own(request: &Request) -> impl Iterator<Item = (&str, &Raw)> {
    let is_native = request.origin == Format::Gemini;
    request
        .ext
        .iter()
        .filter(move |_| is_native)
        .filter_map(|(name, value)| Some((name.strip_prefix("generationConfig.")?, value)))
}
