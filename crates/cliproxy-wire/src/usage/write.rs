//! Writing usage objects: the inclusive totals taken apart as each format has it.

use crate::json::Object;
use crate::model::Usage;

/// Writes the members of a Chat `usage` object.
pub fn write_chat(usage: &Usage, object: &mut Object<'_>) {
    let usage = usage.clone().clamped();
    object.u64("prompt_tokens", usage.input.unwrap_or(0));
    object.u64("completion_tokens", usage.output.unwrap_or(0));
    object.u64("total_tokens", usage.total());
    object.object("prompt_tokens_details", |details| {
        details.u64("cached_tokens", usage.cache_read.unwrap_or(0));
        details.opt_u64("audio_tokens", usage.input_audio);
        details.opt_u64("cache_write_tokens", usage.cache_write);
    });
    object.object("completion_tokens_details", |details| {
        details.u64("reasoning_tokens", usage.reasoning.unwrap_or(0));
        details.opt_u64("audio_tokens", usage.output_audio);
        details.opt_u64("accepted_prediction_tokens", usage.accepted_prediction);
        details.opt_u64("rejected_prediction_tokens", usage.rejected_prediction);
    });
}

/// Writes the members of a Responses `usage` object.
pub fn write_responses(usage: &Usage, object: &mut Object<'_>) {
    let usage = usage.clone().clamped();
    object.u64("input_tokens", usage.input.unwrap_or(0));
    object.object("input_tokens_details", |details| {
        details.u64("cached_tokens", usage.cache_read.unwrap_or(0));
        details.u64("cache_write_tokens", usage.cache_write.unwrap_or(0));
    });
    object.u64("output_tokens", usage.output.unwrap_or(0));
    object.object("output_tokens_details", |details| {
        details.u64("reasoning_tokens", usage.reasoning.unwrap_or(0));
    });
    object.u64("total_tokens", usage.total());
}

/// Writes the members of a Claude `usage` object; cached tokens leave the input.
pub fn write_claude(usage: &Usage, object: &mut Object<'_>) {
    write_claude_counts(usage, object);
    let usage = usage.clone().clamped();
    if usage.cache_write_5m.is_some() || usage.cache_write_1h.is_some() {
        object.object("cache_creation", |creation| {
            creation.u64("ephemeral_5m_input_tokens", usage.cache_write_5m.unwrap_or(0));
            creation.u64("ephemeral_1h_input_tokens", usage.cache_write_1h.unwrap_or(0));
        });
    }
    object.opt_str("service_tier", usage.tier.as_deref().and_then(claude_tier));
}

/// Writes what the end of a Claude stream repeats of it: the counts. What they are made of is told at its start only.
pub fn write_claude_counts(usage: &Usage, object: &mut Object<'_>) {
    let usage = usage.clone().clamped();
    let (read, write) = (usage.cache_read.unwrap_or(0), usage.cache_write.unwrap_or(0));
    object.u64("input_tokens", usage.input.unwrap_or(0).saturating_sub(read).saturating_sub(write));
    object.u64("cache_creation_input_tokens", write);
    object.u64("cache_read_input_tokens", read);
    object.u64("output_tokens", usage.output.unwrap_or(0));
    if let Some(reasoning) = usage.reasoning {
        object.object("output_tokens_details", |details| details.u64("thinking_tokens", reasoning));
    }
    let searches = usage.web_searches.filter(|count| *count > 0);
    let fetches = usage.web_fetches.filter(|count| *count > 0);
    if searches.is_some() || fetches.is_some() {
        object.object("server_tool_use", |tools| {
            tools.u64("web_search_requests", searches.unwrap_or(0));
            tools.u64("web_fetch_requests", fetches.unwrap_or(0));
        });
    }
}

/// A tier in this format's words; clients know no others.
fn claude_tier(reported: &str) -> Option<&str> {
    match reported {
        "default" => Some("standard"),
        "standard" | "priority" | "batch" => Some(reported),
        _ => None,
    }
}

/// Writes the members of a Gemini `usageMetadata` object; thoughts leave the candidates.
pub fn write_gemini(usage: &Usage, object: &mut Object<'_>) {
    let usage = usage.clone().clamped();
    let positive = |count: Option<u64>| count.filter(|count| *count > 0);
    let reasoning = usage.reasoning.unwrap_or(0);
    object.u64("promptTokenCount", usage.input.unwrap_or(0).saturating_sub(usage.tool_prompt.unwrap_or(0)));
    object.opt_u64("cachedContentTokenCount", positive(usage.cache_read));
    object.u64("candidatesTokenCount", usage.output.unwrap_or(0).saturating_sub(reasoning));
    object.opt_u64("thoughtsTokenCount", positive(usage.reasoning));
    object.opt_u64("toolUsePromptTokenCount", positive(usage.tool_prompt));
    object.u64("totalTokenCount", usage.total());
    usage.ext.write(object);
}

#[cfg(test)]
mod tests {
    use crate::json::{Raw, Reader};
    use crate::usage::{read_claude, write_chat, write_claude, write_gemini, write_responses};

    #[test]
    fn a_tier_is_told_in_the_words_of_the_format() {
        let told = |tier: &str| {
            let usage = crate::model::Usage { tier: Some(tier.into()), ..crate::model::Usage::default() };
            let body = Raw::object(|object| write_claude(&usage, object));
            let body: serde_json::Value = serde_json::from_str(body.as_str()).unwrap();
            body.get("service_tier").and_then(|tier| tier.as_str().map(str::to_owned))
        };
        assert_eq!(told("default").as_deref(), Some("standard"));
        assert_eq!(told("batch").as_deref(), Some("batch"));
        assert_eq!(told("flex"), None);
    }

    #[test]
    fn one_usage_in_four_arithmetics() {
        let body = r#"{"input_tokens":14,"cache_read_input_tokens":4410,"cache_creation_input_tokens":0,
            "output_tokens":300,"output_tokens_details":{"thinking_tokens":120}}"#;
        let usage = read_claude(&mut Reader::new(body)).unwrap();
        assert_eq!(
            Raw::object(|object| write_chat(&usage, object)).as_str(),
            r#"{"prompt_tokens":4424,"completion_tokens":300,"total_tokens":4724,"prompt_tokens_details":{"cached_tokens":4410,"cache_write_tokens":0},"completion_tokens_details":{"reasoning_tokens":120}}"#
        );
        assert_eq!(
            Raw::object(|object| write_responses(&usage, object)).as_str(),
            r#"{"input_tokens":4424,"input_tokens_details":{"cached_tokens":4410,"cache_write_tokens":0},"output_tokens":300,"output_tokens_details":{"reasoning_tokens":120},"total_tokens":4724}"#
        );
        assert_eq!(
            Raw::object(|object| write_gemini(&usage, object)).as_str(),
            r#"{"promptTokenCount":4424,"cachedContentTokenCount":4410,"candidatesTokenCount":180,"thoughtsTokenCount":120,"totalTokenCount":4724}"#
        );
        assert_eq!(
            Raw::object(|object| write_claude(&usage, object)).as_str(),
            r#"{"input_tokens":14,"cache_creation_input_tokens":0,"cache_read_input_tokens":4410,"output_tokens":300,"output_tokens_details":{"thinking_tokens":120}}"#
        );
    }
}
