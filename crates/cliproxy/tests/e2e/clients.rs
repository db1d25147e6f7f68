//! What real clients demand, seen in their traffic: every byte at once, odd spellings, members of their own.

use bytes::Bytes;
use cliproxy_testkit::{Gate, Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, FORMATS, TEXT};

/// An upstream that says a stream in three pieces: with the first half of the text, with the second, and the end. It
/// says a piece when the gate before it is open.
async fn stepwise(format: &'static str, gates: [Gate; 2]) -> Upstream {
    let all = support::events(format);
    let frames: Vec<&str> = all.split_inclusive("\n\n").collect();
    let upto = |needle: &str| frames.iter().position(|frame| frame.contains(needle)).unwrap() + 1;
    let (first, second) = (upto("Grüße "), upto("🌤"));
    let pieces = [&frames[..first], &frames[first..second], &frames[second..]]
        .map(|frames| Bytes::from(frames.concat()));
    Upstream::start(move |_| {
        let [first, second, last] = pieces.clone();
        let script = Script::events(vec![first]).wait(&gates[0]).send(second).wait(&gates[1]);
        if last.is_empty() { script } else { script.send(last) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_piece_is_forwarded_before_the_next_one_is_there() {
    for upstream_format in FORMATS {
        for (client, is_array) in FORMATS.map(|client| (client, false)).into_iter().chain([("gemini", true)])
        {
            let gates = [Gate::default(), Gate::default()];
            let upstream = stepwise(upstream_format, gates.clone()).await;
            let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
            let (path, body) = support::request(client, "up", true);
            let path = if is_array { path.replace("?alt=sse", "") } else { path };
            let mut answer = support::within(support::posting(&gateway, &path, &body).send()).await.unwrap();
            let what = format!("{client} over {upstream_format}, array {is_array}");
            let mut text = Vec::new();
            for (needle, gate) in ["Grüße ", "🌤"].into_iter().zip(&gates) {
                while !String::from_utf8_lossy(&text).contains(needle) {
                    let chunk = support::within(answer.chunk()).await.unwrap();
                    text.extend(chunk.unwrap_or_else(|| panic!("{what} ended without {needle}")));
                }
                gate.open();
            }
            text.extend(support::within(answer.bytes()).await.unwrap());
            let text = String::from_utf8(text).unwrap();
            if is_array {
                let chunks: Vec<Value> = serde_json::from_str(&text).unwrap();
                let parts = chunks
                    .iter()
                    .filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str());
                assert_eq!(parts.collect::<String>(), TEXT, "{what}: {text}");
            } else {
                assert_eq!(support::text_of(client, true, &text), TEXT, "{what}");
                assert!(support::is_complete(client, &text), "{what}: {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_anthropic_that_nobody_knows_yet_are_accepted_everywhere() {
    for format in FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        for version in ["2026-10-21", "2099-12-31"] {
            let (path, body) = support::request("claude", "up", true);
            let request = support::posting(&gateway, &path, &body).header("anthropic-version", version);
            let answer = support::send(request).await;
            assert_eq!(answer.status, 200, "{format} {version}: {}", answer.body);
            assert_eq!(support::text_of("claude", true, &answer.body), TEXT, "{format}");
            let told = upstream.received().pop().unwrap().header("anthropic-version").to_owned();
            assert_eq!(told, if format == "claude" { version } else { "" }, "{format}");
        }
    }
}

/// A round of tools as `litellm` and Google's Python SDK write it.
fn snake_case() -> Value {
    json!({
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "weather?"}]},
            {"role": "model", "parts": [{"function_call": {"name": "weather", "args": {"city": "Ulm"}}}]},
            {"role": "user", "parts": [{"function_response": {"name": "weather", "response": {"sky": "clear"}}}]},
        ],
        "tools": [{"function_declarations": [
            {"name": "weather", "description": "the sky", "parameters_json_schema":
                {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]}],
        "generation_config": {"max_output_tokens": 77},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn both_spellings_of_gemini_reach_every_upstream() {
    let camel = snake_case().to_string();
    let camel = [
        ("system_instruction", "systemInstruction"),
        ("function_call", "functionCall"),
        ("function_response", "functionResponse"),
        ("function_declarations", "functionDeclarations"),
        ("parameters_json_schema", "parametersJsonSchema"),
        ("generation_config", "generationConfig"),
        ("max_output_tokens", "maxOutputTokens"),
    ]
    .iter()
    .fold(camel, |text, (snake, camel)| text.replace(snake, camel));
    for format in FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let mut seen = Vec::new();
        for body in [snake_case(), serde_json::from_str(&camel).unwrap()] {
            let answer = support::ask(&gateway, "/v1/models/up:generateContent", &body).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of("gemini", false, &answer.body), TEXT, "{format}");
            let received = upstream.received().pop().unwrap().json();
            let text = received.to_string();
            for part in ["be brief", "weather", "the sky", "Ulm", "clear", "\"city\"", "77"] {
                assert!(text.contains(part), "{format}: no {part} in {text}");
            }
            seen.push(received);
        }
        if format == "gemini" {
            // The same format passes as it is spelled.
            assert_eq!(seen[0], snake_case());
        } else {
            let without_ids = |value: &Value| {
                let text = value.to_string();
                ["call_", "toolu_"].iter().fold(text, |text, mark| {
                    let mut pieces = text.split(mark);
                    let head = pieces.next().unwrap_or_default().to_owned();
                    pieces.fold(head, |head, piece| {
                        head + *mark + piece.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric())
                    })
                })
            };
            assert_eq!(without_ids(&seen[0]), without_ids(&seen[1]), "{format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_claude_code_adds_is_placed_dropped_or_cleaned_for_other_upstreams() {
    let body = json!({
        "model": "up", "max_tokens": 64, "stream": true,
        "system": [{"type": "text", "text": "you are an agent", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "the plan has changed"},
        ],
        "tools": [{"name": "Read", "description": "reads", "defer_loading": true, "input_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
            "properties": {"path": {"type": "string"}}, "required": ["path"], "additionalProperties": false}}],
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": "{\"device_id\":\"d\",\"session_id\":\"s\"}"},
    });
    for format in FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let answer = support::ask(&gateway, "/v1/messages?beta=true", &body).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        assert_eq!(support::text_of("claude", true, &answer.body), TEXT, "{format}");
        let received = upstream.received().pop().unwrap();
        if format == "claude" {
            assert_eq!(received.json(), body);
            continue;
        }
        let text = String::from_utf8_lossy(&received.body).into_owned();
        for part in ["you are an agent", "the plan has changed", "reads", "\"path\""] {
            assert!(text.contains(part), "{format}: no {part} in {text}");
        }
        // Chat and Responses take a schema with its dialect, Gemini does not.
        let dialect = if format == "gemini" { "$schema" } else { "defer_loading" };
        for foreign in [dialect, "defer_loading", "cache_control", "context_management", "output_config"] {
            assert!(!text.contains(foreign), "{format}: {foreign} in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_codex_sends_is_served_by_every_upstream() {
    let body = json!({
        "model": "up", "stream": true, "store": false, "include": ["reasoning.encrypted_content"],
        "parallel_tool_calls": true, "prompt_cache_key": "0199", "text": {"verbosity": "low"},
        "reasoning": {"effort": "medium", "summary": "auto"}, "tool_choice": "auto",
        "input": [
            {"type": "message", "role": "developer", "id": "msg_1", "content": [{"type": "input_text", "text": "you are an agent"}]},
            {"type": "message", "role": "user", "id": "msg_2", "content": [{"type": "input_text", "text": "list it"}]},
            {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "apply_patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "id": "ctco_1", "call_id": "call_1", "output": "applied"},
        ],
        "tools": [
            {"type": "function", "name": "shell", "description": "runs", "strict": false,
                "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}},
            {"type": "custom", "name": "apply_patch", "description": "patches",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"x\""}},
            {"type": "namespace", "name": "files", "description": "files", "tools": [
                {"type": "function", "name": "find", "description": "finds",
                    "parameters": {"type": "object", "properties": {"glob": {"type": "string"}}}}]},
            {"type": "tool_search", "execution": "client", "description": "searches tools",
                "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}},
            {"type": "web_search", "external_web_access": true},
        ],
    });
    for format in FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let request = support::posting(&gateway, "/v1/responses", &body).header("originator", "codex_cli_rs");
        let answer = support::send(request).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        assert_eq!(support::text_of("responses", true, &answer.body), TEXT, "{format}");
        assert!(answer.body.starts_with("event: response.created\n"), "{format}: {}", answer.body);
        assert_eq!(answer.header("openai-model"), "", "another name would be told as a rerouted model");
        let received = upstream.received().pop().unwrap();
        if format == "responses" {
            assert_eq!(received.json(), body);
            continue;
        }
        let text = String::from_utf8_lossy(&received.body).into_owned();
        for part in ["you are an agent", "list it", "shell", "apply_patch", "*** Begin", "applied", "find"] {
            assert!(text.contains(part), "{format}: no {part} in {text}");
        }
        for foreign in ["encrypted_content", "\"store\":false,\"include\"", "namespace\"", "ctc_1"] {
            assert!(!text.contains(foreign), "{format}: {foreign} in {text}");
        }
    }
}
