//! Reading usage objects: which member means what, and the arithmetic that makes totals inclusive.

mod detail;

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{Ext, Str, Usage};

use detail::{compaction, count, details, modalities};

/// Reads one Chat `usage` object. Whatever is not an object counts as an empty one.
///
/// # Errors
/// Malformed JSON only: members of unexpected kinds are ignored.
pub fn read_chat(reader: &mut Reader<'_>) -> Result<Usage, Error> {
    read_once(Format::Chat, reader)
}

/// Reads one Responses `usage` object.
///
/// # Errors
/// Malformed JSON only.
pub fn read_responses(reader: &mut Reader<'_>) -> Result<Usage, Error> {
    read_once(Format::Responses, reader)
}

/// Reads one Claude `usage` object. For the snapshots of a stream use [`Counts`].
///
/// # Errors
/// Malformed JSON only.
pub fn read_claude(reader: &mut Reader<'_>) -> Result<Usage, Error> {
    read_once(Format::Claude, reader)
}

/// Reads one Gemini `usageMetadata` object. For the snapshots of a stream use [`Counts`].
///
/// # Errors
/// Malformed JSON only.
pub fn read_gemini(reader: &mut Reader<'_>) -> Result<Usage, Error> {
    read_once(Format::Gemini, reader)
}

fn read_once(format: Format, reader: &mut Reader<'_>) -> Result<Usage, Error> {
    let mut counts = Counts::new(format);
    counts.read(reader)?;
    Ok(counts.usage())
}

/// The counts of one answer as its provider names them, gathered over any number of snapshots.
#[derive(Clone, Debug)]
pub struct Counts {
    format: Format,
    is_seen: bool,
    /// `prompt_tokens`, `input_tokens` or `promptTokenCount`.
    input: Option<u64>,
    /// `completion_tokens`, `output_tokens` or `candidatesTokenCount`.
    output: Option<u64>,
    total: Option<u64>,
    /// By order of trust; the first that is known counts.
    cache_read: [Option<u64>; 5],
    cache_write: [Option<u64>; 3],
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    reasoning: [Option<u64>; 2],
    tool_prompt: Option<u64>,
    input_audio: Option<u64>,
    output_audio: Option<u64>,
    input_image: Option<u64>,
    output_image: Option<u64>,
    accepted_prediction: Option<u64>,
    rejected_prediction: Option<u64>,
    web_searches: Option<u64>,
    web_fetches: Option<u64>,
    tier: Option<Str>,
    /// Claude: input and output of compaction iterations, which the top level leaves out.
    compaction: Option<(u64, u64)>,
    /// Gemini: other members, kept as they are written, where somebody wants them.
    rest: Option<Vec<(Box<str>, String)>>,
}

/// Most members of a usage object that are kept beside the counts.
const MAX_REST: usize = 16;

impl Counts {
    /// Nothing seen yet.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            is_seen: false,
            input: None,
            output: None,
            total: None,
            cache_read: [None; 5],
            cache_write: [None; 3],
            cache_write_5m: None,
            cache_write_1h: None,
            reasoning: [None; 2],
            tool_prompt: None,
            input_audio: None,
            output_audio: None,
            input_image: None,
            output_image: None,
            accepted_prediction: None,
            rejected_prediction: None,
            web_searches: None,
            web_fetches: None,
            tier: None,
            compaction: None,
            rest: None,
        }
    }

    /// The same, which also keeps what Gemini's objects say beside the counts.
    #[must_use]
    pub fn with_rest(self) -> Self {
        Self { rest: Some(Vec::new()), ..self }
    }

    /// The latest of each member beside the counts.
    pub fn rest(&self) -> Ext {
        let mut ext = Ext::new();
        for (name, value) in self.rest.iter().flatten() {
            ext.set(name, Raw::new(value.as_str()));
        }
        ext
    }

    fn keep(&mut self, name: &str, value: &str) {
        let Some(rest) = &mut self.rest else { return };
        if let Some((_, known)) = rest.iter_mut().find(|(known, _)| **known == *name) {
            // Streams repeat them in every chunk: the place of the earlier one is used again.
            value.clone_into(known);
        } else if rest.len() < MAX_REST {
            rest.push((name.into(), value.to_owned()));
        }
    }

    /// True once a usage object was read.
    pub fn is_seen(&self) -> bool {
        self.is_seen
    }

    /// Reads one usage object; its fields replace earlier ones, fields it lacks stay. `null` and anything else that
    /// is no object is skipped.
    ///
    /// # Errors
    /// Malformed JSON only.
    pub fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        if reader.kind() != Kind::Object {
            return reader.skip();
        }
        self.is_seen = true;
        match self.format {
            Format::Chat => self.chat(reader),
            Format::Responses => self.responses(reader),
            Format::Claude => self.claude(reader),
            Format::Gemini => self.gemini(reader),
        }
    }

    fn chat(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let [cached, hit, number_cached, top_cached, read] = &mut self.cache_read;
        let [write, creation, top_creation] = &mut self.cache_write;
        let [reasoning, top_reasoning] = &mut self.reasoning;
        reader.object(|key, value| match key {
            "prompt_tokens" => count(value, &mut self.input),
            "completion_tokens" => count(value, &mut self.output),
            "total_tokens" => count(value, &mut self.total),
            "prompt_cache_hit_tokens" => count(value, hit),
            "num_cached_tokens" => count(value, number_cached),
            "cached_tokens" => count(value, top_cached),
            "cache_read_input_tokens" => count(value, read),
            "cache_creation_input_tokens" => count(value, top_creation),
            "reasoning_tokens" => count(value, top_reasoning),
            "prompt_tokens_details" => details(value, |key, value| match key {
                "cached_tokens" => count(value, cached),
                "cache_write_tokens" => count(value, write),
                "cache_creation_tokens" => count(value, creation),
                "audio_tokens" => count(value, &mut self.input_audio),
                "image_tokens" => count(value, &mut self.input_image),
                _ => Ok(()),
            }),
            "completion_tokens_details" => details(value, |key, value| match key {
                "reasoning_tokens" => count(value, reasoning),
                "audio_tokens" => count(value, &mut self.output_audio),
                "image_tokens" => count(value, &mut self.output_image),
                "accepted_prediction_tokens" => count(value, &mut self.accepted_prediction),
                "rejected_prediction_tokens" => count(value, &mut self.rejected_prediction),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    fn responses(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let [cached, ..] = &mut self.cache_read;
        let [write, ..] = &mut self.cache_write;
        let [reasoning, _] = &mut self.reasoning;
        reader.object(|key, value| match key {
            "input_tokens" => count(value, &mut self.input),
            "output_tokens" => count(value, &mut self.output),
            "total_tokens" => count(value, &mut self.total),
            "input_tokens_details" => details(value, |key, value| match key {
                "cached_tokens" => count(value, cached),
                "cache_write_tokens" => count(value, write),
                "audio_tokens" => count(value, &mut self.input_audio),
                "image_tokens" => count(value, &mut self.input_image),
                _ => Ok(()),
            }),
            "output_tokens_details" => details(value, |key, value| match key {
                "reasoning_tokens" => count(value, reasoning),
                "audio_tokens" => count(value, &mut self.output_audio),
                "image_tokens" => count(value, &mut self.output_image),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    fn claude(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let [read, ..] = &mut self.cache_read;
        let [write, ..] = &mut self.cache_write;
        let [reasoning, _] = &mut self.reasoning;
        reader.object(|key, value| match key {
            "input_tokens" => count(value, &mut self.input),
            "output_tokens" => count(value, &mut self.output),
            "cache_read_input_tokens" => count(value, read),
            "cache_creation_input_tokens" => count(value, write),
            "cache_creation" => details(value, |key, value| match key {
                "ephemeral_5m_input_tokens" => count(value, &mut self.cache_write_5m),
                "ephemeral_1h_input_tokens" => count(value, &mut self.cache_write_1h),
                _ => Ok(()),
            }),
            "output_tokens_details" => details(value, |key, value| match key {
                "thinking_tokens" => count(value, reasoning),
                _ => Ok(()),
            }),
            "server_tool_use" => details(value, |key, value| match key {
                "web_search_requests" => count(value, &mut self.web_searches),
                "web_fetch_requests" => count(value, &mut self.web_fetches),
                _ => Ok(()),
            }),
            "service_tier" if value.kind() == Kind::String => {
                self.tier = Some(value.str()?.into());
                Ok(())
            }
            "iterations" if value.kind() == Kind::Array => {
                self.compaction = compaction(value)?;
                Ok(())
            }
            _ => Ok(()),
        })
    }

    fn gemini(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        reader.object(|key, value| {
            let [cached, ..] = &mut self.cache_read;
            let [thoughts, _] = &mut self.reasoning;
            match key {
                "promptTokenCount" => return count(value, &mut self.input),
                "candidatesTokenCount" => return count(value, &mut self.output),
                "totalTokenCount" => return count(value, &mut self.total),
                "cachedContentTokenCount" => return count(value, cached),
                "thoughtsTokenCount" => return count(value, thoughts),
                "toolUsePromptTokenCount" => return count(value, &mut self.tool_prompt),
                _ => {}
            }
            if self.rest.is_some() && value.kind() != Kind::Null {
                self.keep(key, value.clone().raw()?);
            }
            match key {
                "promptTokensDetails" => modalities(value, &mut self.input_audio, &mut self.input_image),
                "candidatesTokensDetails" => {
                    modalities(value, &mut self.output_audio, &mut self.output_image)
                }
                _ => Ok(()),
            }
        })
    }

    /// The inclusive totals of what was read so far.
    pub fn usage(&self) -> Usage {
        let first = |candidates: &[Option<u64>]| candidates.iter().copied().find_map(|count| count);
        let mut usage = Usage {
            input: self.input,
            cache_read: first(&self.cache_read),
            cache_write: first(&self.cache_write),
            cache_write_5m: self.cache_write_5m,
            cache_write_1h: self.cache_write_1h,
            tool_prompt: self.tool_prompt,
            output: self.output,
            reasoning: first(&self.reasoning),
            input_audio: self.input_audio,
            output_audio: self.output_audio,
            input_image: self.input_image,
            output_image: self.output_image,
            accepted_prediction: self.accepted_prediction,
            rejected_prediction: self.rejected_prediction,
            web_searches: self.web_searches,
            web_fetches: self.web_fetches,
            tier: self.tier.clone(),
            is_estimated: false,
            ext: Ext::new(),
        };
        let cached = usage.cache_read.unwrap_or(0).saturating_add(usage.cache_write.unwrap_or(0));
        match self.format {
            Format::Chat => {
                usage.output = self.chat_output(usage.reasoning.unwrap_or(0));
                // Proxies for Claude leave the cached tokens out of the prompt.
                usage.input = usage
                    .input
                    .map(|input| if cached > input { input.saturating_add(cached) } else { input });
            }
            Format::Responses => {
                usage.output = usage.output.or_else(|| self.total?.checked_sub(self.input?));
            }
            Format::Claude => {
                usage.input = usage.input.map(|input| input.saturating_add(cached)).or(match cached {
                    0 => None,
                    _ => Some(cached),
                });
            }
            Format::Gemini => {
                let tools = self.tool_prompt.unwrap_or(0);
                let thoughts = usage.reasoning.unwrap_or(0);
                usage.input = usage.input.map(|input| input.saturating_add(tools)).or(self.tool_prompt);
                usage.output = match (self.output, self.total) {
                    (Some(output), _) => Some(output.saturating_add(thoughts)),
                    // What the total leaves for the answer, thoughts included.
                    (None, Some(total)) if self.input.is_some() => {
                        Some(total.saturating_sub(usage.input.unwrap_or(0)).max(thoughts))
                    }
                    _ => usage.reasoning,
                };
            }
        }
        usage.clamped()
    }

    fn chat_output(&self, reasoning: u64) -> Option<u64> {
        let Some(output) = self.output else {
            return self.total.map(|total| total.saturating_sub(self.input.unwrap_or(0)));
        };
        let all = self.input.unwrap_or(0).saturating_add(output).saturating_add(reasoning);
        // Some count reasoning beside the completion; the total tells.
        let is_beside = reasoning > 0 && self.total == Some(all);
        Some(if is_beside { output.saturating_add(reasoning) } else { output })
    }

    /// The totals for the books: [`Counts::usage`] and what the provider charges beside it (compactions).
    pub fn billed(&self) -> Usage {
        let mut usage = self.usage();
        if let Some((input, output)) = self.compaction {
            usage.input = Some(usage.input.unwrap_or(0).saturating_add(input));
            usage.output = Some(usage.output.unwrap_or(0).saturating_add(output));
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(format: Format, snapshots: &[&str]) -> Usage {
        let mut counts = Counts::new(format);
        for snapshot in snapshots {
            counts.read(&mut Reader::new(snapshot)).unwrap();
        }
        counts.usage()
    }

    #[test]
    fn chat_reasoning_beside_the_completion_is_added() {
        let usage = usage(
            Format::Chat,
            &[r#"{"prompt_tokens":26,"completion_tokens":1,"total_tokens":254,
                "completion_tokens_details":{"reasoning_tokens":227}}"#],
        );
        assert_eq!((usage.input, usage.output, usage.reasoning), (Some(26), Some(228), Some(227)));
    }

    #[test]
    fn chat_reasoning_above_the_completion_is_clamped() {
        let usage = usage(
            Format::Chat,
            &[r#"{"prompt_tokens":9,"completion_tokens":10,"total_tokens":19,
                "completion_tokens_details":{"reasoning_tokens":11}}"#],
        );
        assert_eq!((usage.output, usage.reasoning), (Some(10), Some(10)));
    }

    #[test]
    fn chat_relatives_spell_cached_tokens_in_many_ways() {
        for body in [
            r#"{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":40},"prompt_cache_hit_tokens":1}"#,
            r#"{"prompt_tokens":100,"prompt_tokens_details":null,"prompt_cache_hit_tokens":40}"#,
            r#"{"prompt_tokens":100,"num_cached_tokens":40}"#,
            r#"{"prompt_tokens":100,"cached_tokens":40.0}"#,
            r#"{"prompt_tokens":100,"cache_read_input_tokens":40}"#,
        ] {
            assert_eq!(usage(Format::Chat, &[body]).cache_read, Some(40), "{body}");
        }
        let exclusive = usage(
            Format::Chat,
            &[r#"{"prompt_tokens":5,"cache_read_input_tokens":40,"completion_tokens":1}"#],
        );
        assert_eq!(exclusive.input, Some(45));
    }

    #[test]
    fn chat_output_is_derived_from_the_total_when_it_is_missing() {
        assert_eq!(usage(Format::Chat, &[r#"{"prompt_tokens":5,"total_tokens":12}"#]).output, Some(7));
    }

    #[test]
    fn claude_input_contains_what_the_cache_took_part_in() {
        let usage = usage(
            Format::Claude,
            &[
                r#"{"input_tokens":14,"cache_read_input_tokens":4410,"cache_creation_input_tokens":0,"output_tokens":1}"#,
                r#"{"output_tokens":300,"output_tokens_details":{"thinking_tokens":120}}"#,
            ],
        );
        assert_eq!(usage.input, Some(4424));
        assert_eq!((usage.output, usage.reasoning), (Some(300), Some(120)));
    }

    #[test]
    fn claude_snapshot_that_corrects_the_input_keeps_the_cache_counts() {
        let usage = usage(
            Format::Claude,
            &[r#"{"input_tokens":2037,"cache_read_input_tokens":10}"#, r#"{"input_tokens":15665}"#],
        );
        assert_eq!((usage.input, usage.cache_read), (Some(15675), Some(10)));
    }

    #[test]
    fn claude_compactions_are_billed_but_not_reported() {
        let mut counts = Counts::new(Format::Claude);
        let body = r#"{"input_tokens":10,"output_tokens":2,"iterations":[
            {"type":"compaction","input_tokens":100,"cache_read_input_tokens":5,"output_tokens":30},
            {"type":"message","input_tokens":10,"output_tokens":2}]}"#;
        counts.read(&mut Reader::new(body)).unwrap();
        assert_eq!((counts.usage().input, counts.usage().output), (Some(10), Some(2)));
        assert_eq!((counts.billed().input, counts.billed().output), (Some(115), Some(32)));
    }

    #[test]
    fn gemini_snapshots_that_drop_fields_lose_nothing() {
        let usage = usage(
            Format::Gemini,
            &[
                r#"{"promptTokenCount":20,"thoughtsTokenCount":7,"totalTokenCount":27,
                   "promptTokensDetails":[{"modality":"TEXT","tokenCount":15},{"modality":"IMAGE","tokenCount":5}]}"#,
                r#"{"promptTokenCount":21,"candidatesTokenCount":3,"toolUsePromptTokenCount":4}"#,
                r#"{"trafficType":"ON_DEMAND"}"#,
            ],
        );
        assert_eq!((usage.input, usage.tool_prompt), (Some(25), Some(4)));
        assert_eq!((usage.output, usage.reasoning, usage.input_image), (Some(10), Some(7), Some(5)));
    }

    #[test]
    fn gemini_output_is_what_the_total_leaves() {
        let body = r#"{"promptTokenCount":20,"thoughtsTokenCount":7,"totalTokenCount":40}"#;
        let usage = usage(Format::Gemini, &[body]);
        assert_eq!((usage.output, usage.reasoning), (Some(20), Some(7)));
    }

    #[test]
    fn negative_and_non_numeric_fields_are_ignored() {
        let body =
            r#"{"prompt_tokens":-3,"completion_tokens":"7","prompt_tokens_details":[1],"total_tokens":null}"#;
        assert_eq!(usage(Format::Chat, &[body]), Usage::default());
        assert_eq!(usage(Format::Claude, &["5"]), Usage::default());
    }
}
