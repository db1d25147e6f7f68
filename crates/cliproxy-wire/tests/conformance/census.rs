//! Every member that a format's clients may send: each upstream hears of it, or the client is told that it does not, or
//! the request is refused. Nothing goes in silence.
//!
//! A member is looked at by leaving it out: where the upstream is sent the same without it, there must be a note that
//! names it.

use cliproxy_wire::codec::Encoded;
use cliproxy_wire::format::{self, Format, RequestContext};
use cliproxy_wire::json::Raw;
use cliproxy_wire::json::patch::{self, Edit, Path};
use cliproxy_wire::profile::Profile;
use serde_json::Value;

use crate::corpus::passage::{Aim, upstreams};

/// A body, the place of a member in it, its value, and a word of the note.
type Case = (&'static str, &'static str, &'static str, &'static str);

const TALK: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":3000}"#;
const TOOL: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]}"#;

const TALK_JSON: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_object"}}"#;
const TALK_SCHEMA: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{}}}}}"#;

const CHAT: &[Case] = &[
    (TALK, "frequency_penalty", "0.5", "frequency_penalty"),
    (TALK, "presence_penalty", "0.5", "presence_penalty"),
    (TALK, "logit_bias", r#"{"1":2}"#, "logit_bias"),
    (TALK, "seed", "7", "seed"),
    (TALK, "temperature", "0.5", "temperature"),
    (TALK, "top_p", "0.5", "top_p"),
    (TALK, "top_k", "5", "top_k"),
    (TALK, "n", "2", "n"),
    (TALK, "stop", r#"["x"]"#, "stop"),
    (TALK, "logprobs", "true", "logprobs"),
    (TALK, "max_completion_tokens", "77", "tokens"),
    (TALK, "metadata", r#"{"a":"b"}"#, "metadata"),
    (TALK, "user", r#""u""#, "user"),
    (TALK, "safety_identifier", r#""s""#, "safety_identifier"),
    (TALK, "moderation", r#"{"model":"x"}"#, "moderation"),
    (TALK, "prediction", r#"{"type":"content","content":"x"}"#, "prediction"),
    (TALK, "prompt_cache_key", r#""k""#, "prompt_cache_key"),
    (TALK, "prompt_cache_options", r#"{"mode":"explicit"}"#, "prompt_cache_options"),
    (TALK, "prompt_cache_retention", r#""24h""#, "prompt_cache_retention"),
    (TALK, "response_format", r#"{"type":"json_object"}"#, "response_format"),
    (TALK, "service_tier", r#""flex""#, "service_tier"),
    (TALK, "store", "true", "store"),
    (TALK, "verbosity", r#""low""#, "verbosity"),
    (TALK, "modalities", r#"["text","audio"]"#, "modalities"),
    (TALK, "audio", r#"{"voice":"v","format":"wav"}"#, "audio"),
    (TALK, "image_config", r#"{"aspect_ratio":"1:1"}"#, "image_config"),
    (TALK, "safety_settings", r#"[{"category":"X"}]"#, "safety_settings"),
    (TALK, "extra_body", r#"{"novel":1}"#, "extra_body"),
    (TALK, "novel", "1", "novel"),
    (TALK, "stream_options", r#"{"include_usage":true,"novel":1}"#, "stream_options.novel"),
    (TALK, "stream_options", r#"{"include_obfuscation":true}"#, "stream_options.include_obfuscation"),
    (TALK, "response_format", r#"{"type":"text","novel":1}"#, "response_format.novel"),
    (TALK_JSON, "response_format.novel", "1", "response_format.novel"),
    (TALK_SCHEMA, "response_format.novel", "1", "response_format.novel"),
    (TALK_SCHEMA, "response_format.json_schema.novel", "1", "response_format.json_schema.novel"),
    (TALK, "reasoning", r#"{"novel":1}"#, "reasoning.novel"),
    (TALK, "thinking", r#"{"novel":1}"#, "thinking.novel"),
    (TALK, "thinking_config", r#"{"novel":1}"#, "thinking_config.novel"),
    (TALK, "messages.0.name", r#""bob""#, "name"),
    (TALK, "messages.0.novel", "1", "novel"),
    (
        TALK,
        "messages.0.content",
        r#"[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]"#,
        "cache_control",
    ),
    (TOOL, "parallel_tool_calls", "false", "parallel_tool_calls"),
    (TOOL, "tool_choice", r#""required""#, "tool_choice"),
    (TOOL, "tools.0.function.strict", "true", "strict"),
    (TOOL, "tools.0.function.description", r#""d""#, "description"),
    (TOOL, "tools.0.function.novel", "1", "novel"),
    (TOOL, "tools.0.novel", "1", "novel"),
    (
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"logprobs":true}"#,
        "top_logprobs",
        "3",
        "logprobs",
    ),
    (
        r#"{"model":"search","messages":[{"role":"user","content":"hi"}],"web_search_options":{}}"#,
        "web_search_options.search_context_size",
        r#""low""#,
        "search_context_size",
    ),
    (
        r#"{"model":"search","messages":[{"role":"user","content":"hi"}],"web_search_options":{}}"#,
        "web_search_options.user_location",
        r#"{"type":"approximate","approximate":{"city":"Rome"}}"#,
        "user_location",
    ),
    (
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}"#,
        "messages.0.content.0.image_url.detail",
        r#""low""#,
        "detail",
    ),
    (
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA"}}]}]}"#,
        "messages.0.content.0.file.filename",
        r#""a.pdf""#,
        "filename",
    ),
    (
        r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"},{"role":"user","content":"hi"}]}"#,
        "messages.1.refusal",
        r#""no""#,
        "refusal",
    ),
    (
        r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"},{"role":"user","content":"hi"}]}"#,
        "messages.1.audio",
        r#"{"id":"a"}"#,
        "messages[1]",
    ),
];

const ASK: &str = r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]}"#;
const ASK_TOOL: &str = r#"{"model":"m","input":"hi","tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}}}]}"#;
const ASK_SEARCH: &str = r#"{"model":"m","input":"hi","tools":[{"type":"web_search"}]}"#;

const ASK_SCHEMA: &str = r#"{"model":"m","input":"hi","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{}}}}}"#;

const RESPONSES: &[Case] = &[
    (ASK, "background", "true", "background"),
    (ASK, "conversation", r#""c""#, "conversation"),
    (ASK, "previous_response_id", r#""r""#, "previous_response_id"),
    (ASK, "prompt", r#"{"id":"p"}"#, "prompt"),
    (ASK, "store", "true", "store"),
    (ASK, "truncation", r#""auto""#, "truncation"),
    (ASK, "context_management", r#"[{"type":"compaction"}]"#, "context_management"),
    (ASK, "include", r#"["file_search_call.results"]"#, "include"),
    (ASK, "instructions", r#""do""#, "instructions"),
    (ASK, "max_output_tokens", "77", "tokens"),
    (ASK, "max_tool_calls", "3", "max_tool_calls"),
    (ASK, "metadata", r#"{"a":"b"}"#, "metadata"),
    (ASK, "user", r#""u""#, "user"),
    (ASK, "safety_identifier", r#""s""#, "safety_identifier"),
    (ASK, "prompt_cache_key", r#""k""#, "prompt_cache_key"),
    (ASK, "prompt_cache_options", r#"{"mode":"explicit"}"#, "prompt_cache_options"),
    (ASK, "prompt_cache_retention", r#""24h""#, "prompt_cache_retention"),
    (ASK, "service_tier", r#""flex""#, "service_tier"),
    (ASK, "moderation", r#"{"model":"x"}"#, "moderation"),
    (ASK, "reasoning.context", r#""all""#, "reasoning.context"),
    (ASK, "reasoning.mode", r#""x""#, "reasoning.mode"),
    (ASK, "temperature", "0.5", "temperature"),
    (ASK, "top_p", "0.5", "top_p"),
    (ASK, "top_logprobs", "3", "top_logprobs"),
    (ASK, "text.format", r#"{"type":"json_object"}"#, "text.format"),
    (ASK, "text.verbosity", r#""low""#, "verbosity"),
    (ASK, "text.novel", "1", "text.novel"),
    (ASK, "text.format", r#"{"type":"text","novel":1}"#, "text.format.novel"),
    (ASK_SCHEMA, "text.format.novel", "1", "text.format.novel"),
    (ASK, "stream_options", r#"{"include_obfuscation":true}"#, "stream_options.include_obfuscation"),
    (ASK, "stream_options", r#"{"novel":1}"#, "stream_options.novel"),
    (ASK, "novel", "1", "novel"),
    (ASK, "input.0.novel", "1", "novel"),
    (ASK, "input.0.content.0.novel", "1", "novel"),
    (ASK, "input.0.content.0.prompt_cache_breakpoint", r#"{"mode":"explicit"}"#, "cache_control"),
    (ASK_TOOL, "parallel_tool_calls", "false", "parallel_tool_calls"),
    (ASK_TOOL, "tool_choice", r#""required""#, "tool_choice"),
    (ASK_TOOL, "tools.0.output_schema", r#"{"type":"object"}"#, "output_schema"),
    (ASK_TOOL, "tools.0.defer_loading", "true", "defer_loading"),
    (ASK_SEARCH, "tools.0.filters", r#"{"allowed_domains":["a.example"]}"#, "domains"),
    (ASK_SEARCH, "tools.0.search_context_size", r#""low""#, "search_context_size"),
    (ASK_SEARCH, "tools.0.user_location", r#"{"type":"approximate","city":"Rome"}"#, "user_location"),
    (ASK_SEARCH, "tools.0.external_web_access", "false", "external_web_access"),
    (
        r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]}"#,
        "input.0.content.0.detail",
        r#""low""#,
        "detail",
    ),
    (
        r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_data":"data:application/pdf;base64,AAAA"}]}]}"#,
        "input.0.content.0.filename",
        r#""a.pdf""#,
        "filename",
    ),
];

const SAY: &str =
    r#"{"model":"m","max_tokens":3000,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#;
const SAY_TOOL: &str = r#"{"model":"m","max_tokens":3000,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}]}"#;
const SAY_SEARCH: &str = r#"{"model":"m","max_tokens":3000,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#;
const SAY_PAPER: &str = r#"{"model":"m","max_tokens":3000,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}]}"#;
const SAY_NOTE: &str = r#"{"model":"m","max_tokens":3000,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"note"}}]}]}"#;
const SAY_PIECES: &str = r#"{"model":"m","max_tokens":3000,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"content","content":[{"type":"text","text":"piece"}]}}]}]}"#;

const SAY_SCHEMA: &str = r#"{"model":"m","max_tokens":3000,"messages":[{"role":"user","content":"hi"}],"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{}}}}}"#;
const SAY_THINKING: &str = r#"{"model":"m","max_tokens":3000,"messages":[{"role":"user","content":"hi"}],"thinking":{"type":"adaptive"}}"#;
const SAY_SILENT: &str = r#"{"model":"m","max_tokens":3000,"messages":[{"role":"user","content":"hi"}],"thinking":{"type":"disabled"}}"#;

const CLAUDE: &[Case] = &[
    (SAY, "cache_control", r#"{"type":"ephemeral"}"#, "cache_control"),
    (SAY, "container", r#""c""#, "container"),
    (SAY, "inference_geo", r#""eu""#, "inference_geo"),
    (SAY, "diagnostics", r#"{"a":1}"#, "diagnostics"),
    (SAY, "context_management", r#"{"edits":[]}"#, "context_management"),
    (SAY, "mcp_servers", r#"[{"type":"url","url":"https://m.example","name":"m"}]"#, "mcp_servers"),
    (SAY, "metadata", r#"{"user_id":"u"}"#, "user"),
    (SAY, "metadata", r#"{"novel":"u"}"#, "metadata"),
    (SAY, "output_config", r#"{"task_budget":{"type":"tokens","total":9}}"#, "task_budget"),
    (SAY_SCHEMA, "output_config.format.novel", "1", "output_config.format.novel"),
    (SAY, "thinking", r#"{"type":"enabled","budget_tokens":2000,"novel":1}"#, "thinking.novel"),
    (SAY_THINKING, "thinking.novel", "1", "thinking.novel"),
    (SAY_SILENT, "thinking.novel", "1", "thinking.novel"),
    (SAY, "speed", r#""fast""#, "service_tier"),
    (SAY, "stop_sequences", r#"["x"]"#, "stop_sequences"),
    (SAY, "system", r#""do""#, "system"),
    (SAY, "temperature", "0.5", "temperature"),
    (SAY, "top_p", "0.5", "top_p"),
    (SAY, "top_k", "5", "top_k"),
    (SAY, "novel", "1", "novel"),
    (SAY, "messages.0.novel", "1", "novel"),
    (SAY, "messages.0.content.0.novel", "1", "novel"),
    (SAY, "messages.0.content.0.cache_control", r#"{"type":"ephemeral"}"#, "cache_control"),
    (SAY_TOOL, "tool_choice", r#"{"type":"auto","disable_parallel_tool_use":true}"#, "parallel_tool_calls"),
    (SAY_TOOL, "tools.0.defer_loading", "true", "defer_loading"),
    (SAY_TOOL, "tools.0.input_examples", "[{}]", "input_examples"),
    (SAY_TOOL, "tools.0.eager_input_streaming", "true", "eager_input_streaming"),
    (SAY_TOOL, "tools.0.allowed_callers", r#"["code_execution_20250825"]"#, "allowed_callers"),
    (SAY_TOOL, "tools.0.cache_control", r#"{"type":"ephemeral"}"#, "cache_control"),
    (SAY_SEARCH, "tools.0.max_uses", "3", "max_uses"),
    (SAY_SEARCH, "tools.0.allowed_domains", r#"["a.example"]"#, "allowed_domains"),
    (SAY_SEARCH, "tools.0.blocked_domains", r#"["a.example"]"#, "blocked_domains"),
    (SAY_SEARCH, "tools.0.user_location", r#"{"type":"approximate","city":"Rome"}"#, "user_location"),
    (SAY_PAPER, "messages.0.content.0.title", r#""t""#, "title"),
    (SAY_PAPER, "messages.0.content.0.context", r#""c""#, "context"),
    (SAY_PAPER, "messages.0.content.0.citations", r#"{"enabled":true}"#, "citations"),
    (SAY_NOTE, "messages.0.content.0.title", r#""t""#, "title"),
    (SAY_NOTE, "messages.0.content.0.context", r#""c""#, "context"),
    (SAY_NOTE, "messages.0.content.0.citations", r#"{"enabled":true}"#, "citations"),
    (SAY_PIECES, "messages.0.content.0.title", r#""t""#, "title"),
    (SAY_PIECES, "messages.0.content.0.context", r#""c""#, "context"),
    (SAY_PIECES, "messages.0.content.0.citations", r#"{"enabled":true}"#, "content[].citations"),
    (SAY_PIECES, "messages.0.content.0.novel", "1", "novel"),
    (SAY_PIECES, "messages.0.content.0.cache_control", r#"{"type":"ephemeral"}"#, "cache_control"),
];

const TELL: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
const TELL_IMAGE: &str =
    r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"imageConfig":{}}}"#;
const TELL_TOOL: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]}"#;
const TELL_SEARCH: &str =
    r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"googleSearch":{}}]}"#;
const TELL_RESULT: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"x"}}}]}]}"#;
const TELL_PICTURE: &str =
    r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#;

const GEMINI: &[Case] = &[
    (TELL, "systemInstruction", r#"{"parts":[{"text":"do"}]}"#, "systemInstruction"),
    (TELL, "safetySettings", r#"[{"category":"X"}]"#, "safetySettings"),
    (TELL, "cachedContent", r#""c""#, "cachedContent"),
    (TELL, "labels", r#"{"a":"b"}"#, "labels"),
    (TELL, "serviceTier", r#""flex""#, "service"),
    (TELL, "store", "true", "store"),
    (TELL, "novel", "1", "novel"),
    (TELL, "toolConfig.retrievalConfig", r#"{"languageCode":"it"}"#, "retrievalConfig"),
    (TELL, "generationConfig.temperature", "0.5", "temperature"),
    (TELL, "generationConfig.topP", "0.5", "topP"),
    (TELL, "generationConfig.topK", "5", "topK"),
    (TELL, "generationConfig.candidateCount", "2", "candidateCount"),
    (TELL, "generationConfig.maxOutputTokens", "77", "okens"),
    (TELL, "generationConfig.stopSequences", r#"["x"]"#, "stopSequences"),
    (TELL, "generationConfig.presencePenalty", "0.5", "presencePenalty"),
    (TELL, "generationConfig.frequencyPenalty", "0.5", "frequencyPenalty"),
    (TELL, "generationConfig.seed", "7", "seed"),
    (TELL, "generationConfig.responseLogprobs", "true", "ogprobs"),
    (TELL, "generationConfig.responseMimeType", r#""application/json""#, "response"),
    (TELL, "generationConfig.responseModalities", r#"["TEXT","IMAGE"]"#, "odalities"),
    (
        TELL,
        "generationConfig.speechConfig",
        r#"{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"v"}}}"#,
        "speechConfig",
    ),
    (TELL, "generationConfig.imageConfig", r#"{"aspectRatio":"1:1"}"#, "imageConfig"),
    (TELL_IMAGE, "generationConfig.imageConfig.personGeneration", r#""ALLOW_ALL""#, "imageConfig"),
    (TELL_SEARCH, "toolConfig.includeServerSideToolInvocations", "true", "includeServerSideToolInvocations"),
    (TELL, "generationConfig.thinkingConfig", r#"{"novel":1}"#, "thinkingConfig.novel"),
    (TELL, "generationConfig.mediaResolution", r#""MEDIA_RESOLUTION_LOW""#, "mediaResolution"),
    (TELL, "generationConfig.audioTimestamp", "true", "audioTimestamp"),
    (TELL, "generationConfig.routingConfig", r#"{"a":1}"#, "routingConfig"),
    (TELL, "generationConfig.enableEnhancedCivicAnswers", "true", "enableEnhancedCivicAnswers"),
    (TELL_TOOL, "toolConfig.functionCallingConfig", r#"{"mode":"ANY"}"#, "functionCallingConfig"),
    (TELL_TOOL, "tools.0.functionDeclarations.0.response", r#"{"type":"OBJECT"}"#, "response"),
    (TELL_TOOL, "tools.0.functionDeclarations.0.behavior", r#""BLOCKING""#, "behavior"),
    (TELL_SEARCH, "tools.0.googleSearch.excludeDomains", r#"["a.example"]"#, "blocked_domains"),
    (TELL_RESULT, "contents.2.parts.0.functionResponse.scheduling", r#""SILENT""#, "scheduling"),
    (
        TELL_PICTURE,
        "contents.0.parts.0.mediaResolution",
        r#"{"level":"MEDIA_RESOLUTION_HIGH"}"#,
        "mediaResolution",
    ),
    (TELL_PICTURE, "contents.0.parts.0.partMetadata", r#"{"a":1}"#, "partMetadata"),
];

/// Whether a note is about a member: it names it, or the tool that it belongs to.
fn names(note: &str, member: &str, word: &str) -> bool {
    let tool = member.strip_prefix("tools.0").map(|_| "tools[0]");
    note.to_lowercase().contains(&word.to_lowercase()) || Some(note) == tool
}

fn encoded(from: Format, body: &str, profile: &Profile, model: &str) -> Result<Encoded, String> {
    let path =
        RequestContext { model: if from == Format::Gemini { "m" } else { "" }, stream: true, schemas: None };
    let request = format::decode_request(from, body.as_bytes(), path).map_err(|error| error.to_string())?;
    let aim = Aim::at(profile, model);
    aim.with(&request, |target| format::encode_request(request.clone(), target))
        .map_err(|error| error.to_string())
}

fn lost(from: Format, cases: &[Case]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (base, member, value, word) in cases {
        let edit = Edit::set(Path::parse(member), Raw::new(*value));
        let body = patch::apply(base, &[edit]).unwrap().into_owned();
        for (profile, model) in upstreams() {
            let what = format!("{} {member} for {} {model}", from.name(), profile.name);
            let Ok(without) = encoded(from, base, &profile, model) else {
                continue;
            };
            // Refused, with a word on what.
            let Ok(with) = encoded(from, &body, &profile, model) else { continue };
            let is_heard = parsed(&with) != parsed(&without) || with.bridge != without.bridge;
            let is_told = with.notes.paths().iter().any(|note| names(note, member, word));
            if !is_heard && !is_told {
                wrong.push(format!("{what}: {:?}", with.notes.paths()));
            }
        }
    }
    wrong
}

fn parsed(encoded: &Encoded) -> Value {
    serde_json::from_slice(&encoded.body).unwrap()
}

#[test]
fn no_member_of_a_request_goes_in_silence() {
    let mut wrong = lost(Format::Chat, CHAT);
    wrong.extend(lost(Format::Responses, RESPONSES));
    wrong.extend(lost(Format::Claude, CLAUDE));
    wrong.extend(lost(Format::Gemini, GEMINI));
    assert!(wrong.is_empty(), "{} lost: {wrong:#?}", wrong.len());
}
