//! Requests as the programs that people use write them, with their headers and the members of their own: each is
//! served by every upstream, unchanged by one of its format, and what only its own service knows reaches no other.

use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, FORMATS, TEXT};

const KEY: &str = "client-key-0123456789";

const BEARER: &[(&str, &str)] = &[("authorization", "Bearer client-key-0123456789")];

/// What a program sends.
struct Sent {
    who: &'static str,
    format: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
    /// What every upstream must read.
    said: &'static [&'static str],
    /// What none of another format may.
    own: &'static [&'static str],
}

impl Sent {
    fn is_stream(&self) -> bool {
        self.body["stream"] == true || self.path.contains("streamGenerateContent")
    }
}

const BETAS: &str = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,\
    thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,per-turn-control-2026-07-01,\
    mid-conversation-tool-changes-2026-07-01,effort-2025-11-24";

const CLAUDE_CODE: &[(&str, &str)] = &[
    ("authorization", "Bearer client-key-0123456789"),
    ("anthropic-version", "2023-06-01"),
    ("anthropic-beta", BETAS),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("user-agent", "claude-cli/2.1.330 (external, cli)"),
    ("x-app", "cli"),
    ("x-claude-code-session-id", "6f7c1f0e-0000-4000-8000-000000000001"),
    ("x-stainless-lang", "js"),
    ("x-stainless-retry-count", "0"),
];

const SESSION: &[(&str, &str)] = &[
    ("authorization", "Bearer client-key-0123456789"),
    ("originator", "codex_cli_rs"),
    ("session_id", "0199-0001"),
    ("x-client-request-id", "0199-0001"),
];

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "the sky", "input_schema": {"type": "object",
        "properties": {"city": {"type": "string"}}, "required": ["city"]}})
}

fn with(mut tool: Value, member: &str, value: Value) -> Value {
    tool[member] = value;
    tool
}

fn of_claude() -> Vec<Sent> {
    let round = json!([
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"city": "Ulm"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01", "content": "clear"}]},
    ]);
    vec![
        Sent {
            who: "Claude Code",
            format: "claude",
            path: "/v1/messages?beta=true",
            headers: CLAUDE_CODE,
            body: json!({"model": "up", "max_tokens": 32000, "stream": true, "messages": round,
                "system": [{"type": "text", "text": "you are an agent", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
                "tools": [with(tool("weather"), "defer_loading", json!(true))],
                "thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"},
                "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
                "metadata": {"user_id": "{\"device_id\":\"d-1\",\"session_id\":\"s-1\"}"}}),
            said: &["you are an agent", "weather?", "Ulm", "clear", "the sky"],
            own: &["cache_control", "context_management", "adaptive", "display", "defer_loading"],
        },
        Sent {
            who: "Qwen Code, which calls itself Claude Code",
            format: "claude",
            path: "/v1/messages",
            headers: &[
                ("authorization", "Bearer client-key-0123456789"),
                ("user-agent", "claude-cli/0.24.4 (external, cli)"),
                ("x-app", "cli"),
                ("anthropic-beta", "interleaved-thinking-2025-05-14"),
            ],
            body: json!({"model": "up", "max_tokens": 32000, "stream": true, "temperature": 0.7, "messages": round,
                "thinking": {"type": "enabled", "budget_tokens": 8192}, "tools": [tool("weather")]}),
            said: &["weather?", "Ulm", "clear"],
            own: &["budget_tokens", "enabled"],
        },
        Sent {
            who: "the AI SDK",
            format: "claude",
            path: "/v1/messages",
            headers: &[("x-api-key", KEY), ("anthropic-beta", "structured-outputs-2025-11-13")],
            body: json!({"model": "up", "max_tokens": 4096, "stream": true, "messages": round,
                "tools": [with(tool("weather"), "eager_input_streaming", json!(true))], "tool_choice": {"type": "auto"}}),
            said: &["weather?", "Ulm", "clear"],
            own: &["eager_input_streaming"],
        },
        Sent {
            who: "Factory Droid",
            format: "claude",
            path: "/v1/messages",
            headers: &[("x-api-key", KEY), ("anthropic-beta", "interleaved-thinking-2025-05-14")],
            body: json!({"model": "up", "max_tokens": 32000, "stream": true, "messages": round,
                "thinking": {"type": "enabled", "budget_tokens": 24576}, "tools": [tool("weather")]}),
            said: &["weather?", "Ulm", "clear"],
            own: &["budget_tokens"],
        },
        Sent {
            who: "Amp asking for a title",
            format: "claude",
            path: "/api/provider/anthropic/v1/messages",
            headers: &[("x-api-key", KEY), ("anthropic-beta", "fine-grained-tool-streaming-2025-05-14")],
            body: json!({"model": "up", "max_tokens": 60, "temperature": 0.7,
                "messages": [{"role": "user", "content": "name this"}], "tools": [tool("set_title")],
                "tool_choice": {"type": "tool", "name": "set_title", "disable_parallel_tool_use": true}}),
            said: &["name this", "set_title"],
            own: &["disable_parallel_tool_use"],
        },
        Sent {
            who: "litellm and aider",
            format: "claude",
            path: "/v1/messages",
            headers: &[("x-api-key", KEY), ("anthropic-version", "2023-06-01")],
            body: json!({"model": "up", "max_tokens": 4096, "stream": true,
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "change it"}]},
                    {"role": "assistant", "content": [{"type": "text", "text": "as in this sample"}]},
                    {"role": "user", "content": [{"type": "text", "text": "weather?", "cache_control": {"type": "ephemeral"}}]}],
                "tools": [with(tool("weather"), "type", json!("custom"))]}),
            said: &["change it", "as in this sample", "weather?", "the sky"],
            own: &["cache_control", "\"custom\""],
        },
    ]
}

fn of_chat() -> Vec<Sent> {
    let function = json!({"type": "function", "function": {"name": "weather", "description": "the sky",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}});
    let call = |id: &str, city: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": json!({"city": city}).to_string()}});
    vec![
        Sent {
            who: "Qwen Code with two calls in a turn",
            format: "chat",
            path: "/v1/chat/completions",
            headers: BEARER,
            body: json!({"model": "up", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 8000,
                "temperature": 0, "tools": [function], "tool_choice": "auto", "messages": [
                    {"role": "system", "content": "you are an agent"},
                    {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
                    {"role": "assistant", "content": null, "tool_calls": [call("call_1", "Ulm"), call("call_2", "Rome")]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "clear"},
                    {"role": "tool", "tool_call_id": "call_2", "content": "storms"}]}),
            said: &["you are an agent", "weather?", "Ulm", "Rome", "clear", "storms"],
            own: &["stream_options"],
        },
        Sent {
            who: "pi",
            format: "chat",
            path: "/v1/chat/completions",
            headers: BEARER,
            body: json!({"model": "up", "stream": true, "stream_options": {"include_usage": true}, "store": false,
                "max_completion_tokens": 32000, "reasoning_effort": "medium", "messages": [
                    {"role": "developer", "content": "you are an agent"}, {"role": "user", "content": "hi there"}]}),
            said: &["you are an agent", "hi there"],
            own: &["stream_options", "max_completion_tokens", "reasoning_effort"],
        },
        Sent {
            who: "aider, which wants no counts",
            format: "chat",
            path: "/v1/chat/completions",
            headers: BEARER,
            body: json!({"model": "up", "stream": true, "temperature": 0, "messages": [
                {"role": "system", "content": "you edit"}, {"role": "user", "content": "hi there"}]}),
            said: &["you edit", "hi there"],
            own: &[],
        },
        Sent {
            who: "an SDK that wants a schema",
            format: "chat",
            path: "/v1/chat/completions",
            headers: BEARER,
            body: json!({"model": "up", "messages": [{"role": "user", "content": "hi there"}],
                "response_format": {"type": "json_schema", "json_schema": {"name": "sky", "strict": true, "schema":
                    {"type": "object", "properties": {"sky": {"type": "string"}}, "required": ["sky"], "additionalProperties": false}}}}),
            said: &["hi there", "sky"],
            own: &["response_format"],
        },
    ]
}

fn of_responses() -> Vec<Sent> {
    let function = json!({"type": "function", "name": "weather", "description": "the sky", "strict": false,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}});
    vec![
        Sent {
            who: "pi and opencode",
            format: "responses",
            path: "/v1/responses",
            headers: SESSION,
            body: json!({"model": "up", "stream": true, "store": false, "max_output_tokens": 32000,
                "include": ["reasoning.encrypted_content"], "prompt_cache_key": "0199-0001",
                "reasoning": {"effort": "medium", "summary": "auto"}, "text": {"verbosity": "low"},
                "parallel_tool_calls": true, "tools": [function], "input": [
                    {"role": "developer", "content": "you are an agent"},
                    {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
                    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{\"city\":\"Ulm\"}"},
                    {"type": "function_call_output", "call_id": "call_1", "output": "clear"}]}),
            said: &["you are an agent", "weather?", "Ulm", "clear"],
            own: &["encrypted_content", "max_output_tokens", "fc_1"],
        },
        Sent {
            who: "Factory Droid",
            format: "responses",
            path: "/v1/responses",
            headers: SESSION,
            body: json!({"model": "up", "stream": true, "store": false, "instructions": "you are an agent",
                "safety_identifier": "user-7", "input": [{"role": "user", "content": "patch it"}],
                "tools": [function, {"type": "custom", "name": "apply_patch", "description": "patches"}]}),
            said: &["you are an agent", "patch it", "apply_patch", "weather"],
            own: &["\"store\":false,\"instructions\""],
        },
    ]
}

fn of_gemini() -> Vec<Sent> {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let turns = json!([
        {"role": "user", "parts": [{"text": "weather?"}]},
        {"role": "model", "parts": [
            {"text": "a thought", "thought": true},
            {"functionCall": {"id": "call-7", "name": "weather", "args": {"city": "Ulm"}}, "thoughtSignature": "c2lnbmF0dXJl"}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "call-7", "name": "weather", "response": {"output": "clear"}}}]},
    ]);
    vec![
        Sent {
            who: "Gemini CLI",
            format: "gemini",
            path: "/v1beta/models/up:streamGenerateContent?alt=sse",
            headers: &[("x-goog-api-key", KEY), ("user-agent", "GeminiCLI/0.61.0/up (linux; x64)")],
            body: json!({"contents": turns, "systemInstruction": {"role": "user", "parts": [{"text": "you are an agent"}]},
                "tools": [{"functionDeclarations": [{"name": "weather", "description": "the sky", "parametersJsonSchema": schema}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
                "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
                "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64, "responseModalities": ["TEXT"],
                    "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}}}),
            said: &["you are an agent", "weather?", "Ulm", "clear", "the sky"],
            own: &["HARM_CATEGORY", "THINKING_LEVEL", "thoughtSignature", "topK"],
        },
        Sent {
            who: "Gemini CLI's router",
            format: "gemini",
            path: "/v1beta/models/up:generateContent",
            headers: &[("x-goog-api-key", KEY)],
            body: json!({"contents": [{"role": "user", "parts": [{"text": "weather?"}]}],
                "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema,
                    "thinkingConfig": {"thinkingBudget": 512}}}),
            said: &["weather?", "city"],
            own: &["responseMimeType", "thinkingBudget"],
        },
        Sent {
            who: "the JS SDK, under the other version",
            format: "gemini",
            path: "/v1/models/up:streamGenerateContent?alt=sse",
            headers: &[
                ("x-goog-api-key", KEY),
                ("x-server-timeout", "600"),
                ("x-goog-api-client", "google-genai-sdk/3.1"),
            ],
            body: json!({"contents": turns, "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}),
            said: &["weather?", "Ulm", "clear"],
            own: &["thinkingLevel"],
        },
        Sent {
            who: "litellm, which spells both ways",
            format: "gemini",
            path: "/v1beta/models/up:streamGenerateContent?alt=sse",
            headers: &[("x-goog-api-key", KEY)],
            body: json!({"contents": turns, "system_instruction": {"parts": [{"text": "you are an agent"}]},
                "tools": [
                    {"functionDeclarations": [{"name": "weather", "description": "the sky", "parameters_json_schema": schema}]},
                    {"function_declarations": [{"name": "tides", "description": "the sea", "parameters": {"type": "OBJECT",
                        "properties": {"port": {"type": "STRING"}}}}]}],
                "generationConfig": {"max_output_tokens": 77, "temperature": 0.5}}),
            said: &["you are an agent", "weather?", "the sky", "city", "the sea", "port", "77"],
            own: &["function_declarations", "OBJECT"],
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_programs_request_is_served_by_every_upstream() {
    let all: Vec<Sent> =
        [of_claude(), of_chat(), of_responses(), of_gemini()].into_iter().flatten().collect();
    for upstream_format in FORMATS {
        let upstream = Upstream::start(support::answering(upstream_format)).await;
        let gateway = support::start(
            &format!("api-keys: [{KEY}]\n{}", support::config(upstream_format, &upstream)),
            &[],
        );
        for sent in &all {
            let what = format!("{} over {upstream_format}", sent.who);
            let request = support::posting(&gateway, sent.path, &sent.body);
            let request =
                sent.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let answer = support::send(request).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.body);
            let is_stream = sent.is_stream();
            assert_eq!(support::text_of(sent.format, is_stream, &answer.body), TEXT, "{what}");
            assert!(!is_stream || support::is_complete(sent.format, &answer.body), "{what}: {}", answer.body);
            let received = upstream.received().pop().unwrap();
            let text = String::from_utf8_lossy(&received.body);
            assert!(!text.contains(KEY) && !format!("{:?}", received.headers).contains(KEY), "{what}");
            if sent.format == upstream_format {
                assert_eq!(received.json(), sent.body, "{what}");
                let betas = sent.headers.iter().find(|(name, _)| *name == "anthropic-beta");
                for beta in betas.map(|(_, value)| value.split(',')).into_iter().flatten() {
                    assert!(received.header("anthropic-beta").contains(beta), "{what}: no {beta}");
                }
                continue;
            }
            for part in sent.said {
                assert!(text.contains(part), "{what}: no {part} in {text}");
            }
            for part in sent.own {
                // A member that two formats have is no stranger.
                let is_shared = match *part {
                    "reasoning_effort" | "response_format" | "stream_options" => upstream_format == "chat",
                    "max_output_tokens" => upstream_format == "responses",
                    _ => false,
                };
                assert!(is_shared || !text.contains(part), "{what}: {part} in {text}");
            }
            for name in received.headers.keys().map(http::HeaderName::as_str) {
                let is_own = [
                    "anthropic-",
                    "x-app",
                    "x-claude-",
                    "x-stainless-",
                    "x-goog-",
                    "x-server-timeout",
                    "originator",
                ]
                .iter()
                .any(|own| name.starts_with(own));
                let is_theirs = match upstream_format {
                    "claude" => name.starts_with("anthropic-"),
                    "gemini" => name.starts_with("x-goog-"),
                    _ => false,
                };
                assert!(!is_own || is_theirs, "{what}: header {name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_hears_of_another_model_only_when_another_one_answered() {
    for (served, heard) in [("gpt-5.1-codex", ""), ("gpt-5-mini", "gpt-5-mini")] {
        let upstream = Upstream::start(move |received| {
            let body = if support::asks_stream(received) {
                support::events("responses")
            } else {
                support::body("responses").to_string()
            };
            let kind = if support::asks_stream(received) { "text/event-stream" } else { "application/json" };
            Script::json(200, body).header("content-type", kind).header("openai-model", served)
        })
        .await;
        let models = "models: [{name: gpt-5.1-codex, alias: up}]";
        let entry = support::entry("responses", "upstream-key-0001", &upstream.url(), models);
        let gateway = support::start(&support::list("responses", &[entry]), &[]);
        for is_stream in [true, false] {
            let answer = support::ask_model(&gateway, "responses", "up", is_stream).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.header("openai-model"), heard, "stream {is_stream}");
        }
    }
}
