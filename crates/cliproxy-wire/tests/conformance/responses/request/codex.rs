//! What the backend behind a ChatGPT account takes, which is less.

use cliproxy_wire::Format;
use serde_json::{Value, json};

use super::{codex, tool};

#[test]
fn j132_codex_takes_fewer_members() {
    let body = json!({"model": "m", "input": "hi", "max_output_tokens": 99, "temperature": 0.5, "top_p": 0.5, "user": "u",
        "metadata": {"a": "b"}, "truncation": "auto", "safety_identifier": "s", "prompt_cache_retention": "24h",
        "stream_options": {"include_obfuscation": false}, "service_tier": "flex", "include": ["file_search_call.results"],
        "instructions": "be brief", "context_management": []});
    let encoded = codex().try_encode(Format::Responses, &body).unwrap();
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    for member in [
        "max_output_tokens",
        "temperature",
        "top_p",
        "user",
        "metadata",
        "truncation",
        "safety_identifier",
        "prompt_cache_retention",
        "stream_options",
        "service_tier",
        "context_management",
        "previous_response_id",
        "parallel_tool_calls",
    ] {
        assert_eq!(written[member], Value::Null, "{member}");
    }
    assert_eq!(written["stream"], true);
    assert_eq!(written["store"], false);
    assert_eq!(written["instructions"], "be brief");
    assert_eq!(written["include"], json!(["reasoning.encrypted_content"]));
    assert!(encoded.notes.paths().contains(&"max_output_tokens".to_owned()));

    let chat = json!({"model": "m", "messages": [{"role": "system", "content": "one"}, {"role": "developer", "content": "two"}, {"role": "user", "content": "hi"}, {"role": "system", "content": "three"}, {"role": "user", "content": "go"}], "tools": [tool()], "service_tier": "priority"});
    let written = codex().encode(Format::Chat, &chat);
    assert_eq!(written["instructions"], "");
    let roles: Vec<_> = written["input"].as_array().unwrap().iter().map(|item| &item["role"]).collect();
    assert_eq!(roles, ["developer", "developer", "user", "developer", "user"]);
    assert_eq!(written["parallel_tool_calls"], true);
    assert_eq!(written["service_tier"], "priority");
    // The key stays the same when the conversation goes on.
    let key = written["prompt_cache_key"].as_str().unwrap();
    assert_eq!(key.len(), 36);
    let mut longer = chat;
    longer["messages"].as_array_mut().unwrap().push(json!({"role": "assistant", "content": "x"}));
    assert_eq!(codex().encode(Format::Chat, &longer)["prompt_cache_key"], key);
}

#[test]
fn j133_codex_takes_input_as_a_list() {
    let written = codex().encode(Format::Responses, &json!({"model": "m", "input": "hi"}));
    assert_eq!(
        written["input"],
        json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}])
    );
}

#[test]
fn codex_has_few_hosted_tools_and_one_name_for_search() {
    let body = json!({"model": "m", "input": "x", "tools": [
        {"type": "web_search_preview", "search_context_size": "low"}, {"type": "local_shell"},
        {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}}]});
    let written = codex().encode(Format::Responses, &body);
    assert_eq!(
        written["tools"],
        json!([{"type": "web_search", "search_context_size": "low"}, {"type": "local_shell"}, {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}}])
    );
}
