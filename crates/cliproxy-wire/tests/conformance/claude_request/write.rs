//! Requests to Claude upstreams: what is written.

use cliproxy_wire::model::{CallKind, HostedKind, ToolChoice};
use cliproxy_wire::{Format, claude};
use serde_json::{Value, json};

use super::{BUDGET_MODEL, body, call, hi, responses, result, tools, upstream, with};
use crate::support::{decode, fixture};

const ADAPTIVE_MODEL: &str = "claude-opus-4-8";

#[test]
fn the_golden_next_request_comes_out_as_it_was() {
    let golden: Value = serde_json::from_str(&fixture("claude/weather-next.json")).unwrap();
    let mut unknown = upstream("m");
    unknown.caps.max_output = None;
    assert_eq!(unknown.encode(Format::Claude, &golden), golden);
}

#[test]
fn j047_max_tokens_is_always_present() {
    let most = upstream(BUDGET_MODEL).caps.max_output.unwrap();
    assert_eq!(upstream(BUDGET_MODEL).encode(Format::Responses, &responses("hi"))["max_tokens"], most);
    let huge = with(responses("hi"), "max_output_tokens", 10_000_000);
    assert_eq!(upstream(BUDGET_MODEL).encode(Format::Responses, &huge)["max_tokens"], most);
    let mut unknown = upstream("m");
    unknown.caps.max_output = None;
    assert_eq!(unknown.encode(Format::Responses, &responses("hi"))["max_tokens"], 8192);
}

#[test]
fn j048_temperature_is_clamped_and_removed_where_it_is_refused() {
    let warm = with(responses("hi"), "temperature", 1.7);
    assert_eq!(upstream(BUDGET_MODEL).encode(Format::Responses, &warm)["temperature"], 1);
    assert!(upstream(ADAPTIVE_MODEL).encode(Format::Responses, &warm).get("temperature").is_none());
}

#[test]
fn j049_temperature_and_top_p_are_never_both_sent() {
    let both = with(with(responses("hi"), "temperature", 0.5), "top_p", 0.9);
    let encoded = upstream(BUDGET_MODEL).try_encode(Format::Responses, &both).unwrap();
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!((&written["temperature"], written.get("top_p")), (&json!(0.5), None));
    assert_eq!(encoded.notes.paths(), ["top_p"]);
}

#[test]
fn j050_results_of_one_step_lead_one_user_message_in_call_order() {
    let input = json!([
        {"role": "user", "content": "go"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{\"n\":12345678901234567890}"},
        {"type": "function_call_output", "call_id": "b", "output": "2"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"role": "user", "content": "and?"}]);
    let encoded = upstream(BUDGET_MODEL).try_encode(Format::Responses, &responses(input)).unwrap();
    let text = String::from_utf8(encoded.body).unwrap();
    assert!(text.contains("12345678901234567890"), "identifiers keep their digits");
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["messages"].as_array().unwrap().len(), 3);
    assert_eq!(
        written["messages"][2]["content"],
        json!([result("a", "1"), result("b", "2"), {"type": "text", "text": "and?"}])
    );
}

#[test]
fn j051_user_text_between_call_and_result_moves_after_the_results() {
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("a", "f")]},
        {"role": "user", "content": [{"type": "text", "text": "wait"}, result("a", "1")]}]);
    let written =
        upstream(BUDGET_MODEL).encode(Format::Claude, &with(body(messages), "tools", tools(&["f"])));
    assert_eq!(
        written["messages"][2]["content"],
        json!([result("a", "1"), {"type": "text", "text": "wait"}])
    );
}

#[test]
fn j052_a_missing_result_is_synthesized_as_an_error() {
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("a", "f")]},
        {"role": "user", "content": "never mind"}]);
    let written =
        upstream(BUDGET_MODEL).encode(Format::Claude, &with(body(messages), "tools", tools(&["f"])));
    let first = &written["messages"][2]["content"][0];
    assert_eq!((&first["tool_use_id"], &first["is_error"]), (&json!("a"), &json!(true)));
}

#[test]
fn j053_an_orphan_result_becomes_user_text() {
    let messages = json!([{"role": "user", "content": [result("gone", "42 degrees")]}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Claude, &body(messages));
    let block = &written["messages"][0]["content"][0];
    assert_eq!(block["type"], "text");
    assert!(block["text"].as_str().unwrap().contains("42 degrees"));
}

#[test]
fn j054_illegal_ids_are_fitted_alike_in_call_and_result() {
    let input = json!([{"role": "user", "content": "go"},
        {"type": "function_call", "call_id": "a.b/c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a.b/c", "output": "1"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &responses(input));
    let id = written["messages"][1]["content"][0]["id"].as_str().unwrap();
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'), "{id}");
    assert_eq!(written["messages"][2]["content"][0]["tool_use_id"], id);
}

#[test]
fn j055_tool_ids_are_unique_within_a_request() {
    let step = |text: &str| {
        [
            json!({"type": "function_call", "call_id": "same", "name": "f", "arguments": "{}"}),
            json!({"type": "function_call_output", "call_id": "same", "output": text}),
        ]
    };
    let mut input = vec![json!({"role": "user", "content": "go"})];
    input.extend(step("1"));
    input.extend(step("2"));
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &responses(input));
    let messages = written["messages"].as_array().unwrap();
    let id = |at: usize, name: &str| messages[at]["content"][0][name].as_str().unwrap().to_owned();
    assert_ne!(id(1, "id"), id(3, "id"));
    assert_eq!((id(1, "id"), id(3, "id")), (id(2, "tool_use_id"), id(4, "tool_use_id")));
}

#[test]
fn j056_blank_text_blocks_are_absent() {
    let messages = json!([{"role": "user", "content": [{"type": "text", "text": " \n"}, {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": ""}, {"role": "user", "content": "b"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Claude, &body(messages)).to_string();
    assert!(!written.contains(r#""text":"""#) && !written.contains(r#""text":" "#), "{written}");
}

#[test]
fn j057_a_started_answer_is_trimmed_or_dropped() {
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": "Once  \n"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Claude, &body(messages.clone()));
    assert_eq!(written["messages"][1]["content"][0]["text"], "Once");
    let encoded = upstream(ADAPTIVE_MODEL).try_encode(Format::Claude, &body(messages)).unwrap();
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(written["messages"].as_array().unwrap().len(), 1);
    assert_eq!(encoded.notes.paths(), ["messages[1]"]);
}

#[test]
fn j058_choices_among_tools_have_their_words() {
    let base = with(
        responses("hi"),
        "tools",
        json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]),
    );
    for (choice, written) in [
        (json!("required"), json!({"type": "any"})),
        (json!("none"), json!({"type": "none"})),
        (json!("auto"), json!({"type": "auto"})),
        (json!({"type": "function", "name": "f"}), json!({"type": "tool", "name": "f"})),
    ] {
        let body = with(base.clone(), "tool_choice", choice);
        assert_eq!(upstream(BUDGET_MODEL).encode(Format::Responses, &body)["tool_choice"], written);
    }
    let serial = with(base.clone(), "parallel_tool_calls", false);
    let expected = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(upstream(BUDGET_MODEL).encode(Format::Responses, &serial)["tool_choice"], expected);
    assert!(upstream(BUDGET_MODEL).encode(Format::Responses, &base).get("tool_choice").is_none());
}

#[test]
fn j059_allowed_tools_filter_the_declarations() {
    let function = |name: &str| json!({"type": "function", "name": name, "parameters": {"type": "object"}});
    let body = with(responses("hi"), "tools", json!([function("f"), function("g")]));
    let choice =
        json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]});
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &with(body, "tool_choice", choice));
    assert_eq!(written["tools"].as_array().unwrap().len(), 1);
    assert_eq!((&written["tools"][0]["name"], &written["tool_choice"]["type"]), (&json!("g"), &json!("any")));
}

#[test]
fn j068_at_most_four_marks_and_none_inside_results() {
    let marked = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    let messages = json!([{"role": "user", "content": [marked("1"), marked("2"), marked("3"), marked("4"), marked("5")]},
        {"role": "assistant", "content": [call("a", "f")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [marked("6")]}]}]);
    let written =
        upstream(BUDGET_MODEL).encode(Format::Claude, &with(body(messages), "tools", tools(&["f"])));
    assert_eq!(written.to_string().matches("cache_control").count(), 4);
    let result = &written["messages"][2]["content"][0];
    assert!(result["cache_control"].is_object() && !result["content"].to_string().contains("cache_control"));
}

#[test]
fn j069_schema_output_is_an_output_format_with_closed_objects() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "object", "properties": {}}}});
    let text = json!({"format": {"type": "json_schema", "name": "x", "schema": schema}});
    let mut model = upstream(BUDGET_MODEL);
    model.caps.has_structured_output = true;
    let encoded = model.try_encode(Format::Responses, &with(responses("hi"), "text", text)).unwrap();
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    let format = &written["output_config"]["format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["schema"]["additionalProperties"], false);
    assert_eq!(format["schema"]["properties"]["a"]["additionalProperties"], false);
    assert!(encoded.betas.iter().any(|beta| beta.starts_with("structured-outputs")));
}

#[test]
fn j070_tool_schemas_get_an_object_root() {
    let tool = |parameters: Value| json!([{"type": "function", "name": "f", "parameters": parameters}]);
    let schema = |parameters: Value| {
        let body = with(responses("hi"), "tools", tool(parameters));
        upstream(BUDGET_MODEL).encode(Format::Responses, &body)["tools"][0]["input_schema"].clone()
    };
    assert_eq!(schema(json!({"properties": {"a": {"type": "string"}}}))["type"], "object");
    let flat = schema(json!({"anyOf": [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {"type": "string"}}}]}));
    assert_eq!(flat["type"], "object");
    assert!(flat.get("anyOf").is_none());
    assert!(flat["properties"]["a"].is_object() && flat["properties"]["b"].is_object());
}

#[test]
fn j071_documents_become_document_blocks_and_foreign_files_are_refused() {
    let file = |part: Value| responses(json!([{"role": "user", "content": [part]}]));
    let pdf =
        json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"});
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &file(pdf));
    let block = &written["messages"][0]["content"][0];
    assert_eq!(block["source"], json!({"type": "base64", "media_type": "application/pdf", "data": "QUJD"}));
    assert_eq!(block["type"], "document");
    let foreign = file(json!({"type": "input_file", "file_id": "file-1"}));
    assert!(upstream(BUDGET_MODEL).try_encode(Format::Responses, &foreign).is_err());
}

#[test]
fn j072_image_addresses_are_url_sources_and_data_urls_are_base64() {
    let image = |url: &str| {
        let body =
            responses(json!([{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]));
        upstream(BUDGET_MODEL).encode(Format::Responses, &body)["messages"][0]["content"][0]["source"].clone()
    };
    assert_eq!(image("https://a.example/x.png"), json!({"type": "url", "url": "https://a.example/x.png"}));
    assert_eq!(
        image("data:image/png;base64,QUJD"),
        json!({"type": "base64", "media_type": "image/png", "data": "QUJD"})
    );
}

#[test]
fn j073_sound_is_refused_with_its_path() {
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}}]}]});
    let error = upstream(BUDGET_MODEL).try_encode(Format::Gemini, &body).unwrap_err();
    assert!(error.path().unwrap().starts_with("contents[0].parts[1]"), "{error}");
}

#[test]
fn j074_a_conversation_of_instructions_only_is_one_user_message() {
    let body = with(responses(json!([])), "instructions", "Say hi.");
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &body);
    assert_eq!(written["messages"].as_array().unwrap().len(), 1);
    assert_eq!(written["messages"][0]["content"][0]["text"], "Say hi.");
    assert!(written.get("system").is_none());
}

#[test]
fn nothing_is_made_up_for_a_conversation_without_a_word() {
    let gemini = json!({"contents": [], "generationConfig": {"maxOutputTokens": 5}});
    for (from, body, path) in [
        (Format::Chat, json!({"model": "m", "messages": []}), "messages"),
        (Format::Responses, responses(json!([])), "input"),
        (Format::Gemini, gemini, "contents"),
    ] {
        let error = upstream(BUDGET_MODEL).try_encode(from, &body).unwrap_err();
        assert_eq!(error.path().as_deref(), Some(path), "{error}");
        assert!(error.message().contains("send at least one message"), "{error}");
    }
}

#[test]
fn j075_the_user_becomes_metadata() {
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &with(responses("hi"), "user", "u-1"));
    assert_eq!(written["metadata"], json!({"user_id": "u-1"}));
}

#[test]
fn j076_history_with_calls_gets_declarations() {
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("a", "f")]},
        {"role": "user", "content": [result("a", "1")]}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Claude, &body(messages));
    assert_eq!(
        (&written["tools"][0]["name"], &written["tool_choice"]),
        (&json!("f"), &json!({"type": "none"}))
    );
}

#[test]
fn j077_web_search_keeps_domains_and_place() {
    let tool = json!([{"type": "web_search", "filters": {"allowed_domains": ["a.example"]},
        "user_location": {"type": "approximate", "city": "Rome"}}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &with(responses("hi"), "tools", tool));
    let tool = &written["tools"][0];
    assert!(tool["type"].as_str().unwrap().starts_with("web_search_20"));
    assert_eq!((&tool["name"], &tool["allowed_domains"]), (&json!("web_search"), &json!(["a.example"])));
    assert_eq!(tool["user_location"], json!({"type": "approximate", "city": "Rome"}));
}

#[test]
fn j078_free_form_tools_are_functions_of_one_string() {
    let tool = json!([{"type": "custom", "name": "patch", "description": "d",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}}]);
    let input = json!([{"role": "user", "content": "go"},
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "x\n"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &with(responses(input), "tools", tool));
    let tool = &written["tools"][0];
    assert_eq!(tool["input_schema"]["properties"], json!({"input": {"type": "string"}}));
    assert!(tool["description"].as_str().unwrap().contains("start: /x/"));
    assert_eq!(written["messages"][1]["content"][0]["input"], json!({"input": "x\n"}));
}

#[test]
fn what_this_format_owns_survives_its_own_round_trip() {
    let mut own = with(hi(), "metadata", json!({"user_id": "u", "extra": 1}));
    own["model"] = BUDGET_MODEL.into();
    for (member, value) in [
        (
            "tools",
            json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
            {"type": "mcp_toolset", "mcp_server_name": "s"}, {"type": "bash_20250124", "name": "bash"},
            {"name": "f", "input_schema": {"type": "object"}, "defer_loading": true, "eager_input_streaming": true}]),
        ),
        ("mcp_servers", json!([{"type": "url", "url": "https://a.example", "name": "s"}])),
        ("container", json!({"id": "c", "skills": [{"type": "anthropic", "skill_id": "pptx"}]})),
        ("context_management", json!({"edits": [{"type": "clear_tool_uses_20250919"}]})),
        ("inference_geo", json!("eu")),
        ("service_tier", json!("standard_only")),
        ("cache_control", json!({"type": "ephemeral"})),
    ] {
        own[member] = value;
    }
    own["betas"] = json!(["context-1m-2025-08-07"]);
    let encoded = upstream(BUDGET_MODEL).try_encode(Format::Claude, &own).unwrap();
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    own.as_object_mut().unwrap().remove("betas");
    own["messages"] = json!([{"role": "user", "content": [{"type": "text", "text": "hi"}]}]);
    assert_eq!(written, own);
    for beta in ["context-1m", "mcp-client", "skills", "context-management", "advanced-tool-use"] {
        assert!(encoded.betas.iter().any(|token| token.starts_with(beta)), "{beta} in {:?}", encoded.betas);
    }
}

#[test]
fn foreign_members_never_leak_into_the_body() {
    let body = with(with(responses("hi"), "moderation", "x"), "prompt_cache_key", "k");
    let encoded = upstream(BUDGET_MODEL).try_encode(Format::Responses, &body).unwrap();
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert!(written.get("moderation").is_none() && written.get("prompt_cache_key").is_none());
    assert!(encoded.notes.paths().contains(&"prompt_cache_key".to_owned()));
}

#[test]
fn j253_counting_leaves_out_what_the_endpoint_refuses() {
    let mut own = with(
        hi(),
        "tools",
        json!([{"type": "web_search_20250305", "name": "web_search"},
        {"name": "f", "input_schema": {"type": "object", "properties": {}}}]),
    );
    own.as_object_mut().unwrap().remove("max_tokens");
    for (member, value) in [
        ("temperature", json!(0.5)),
        ("stream", json!(true)),
        ("metadata", json!({"user_id": "u"})),
        ("stop_sequences", json!(["x"])),
        ("mcp_servers", json!([{"type": "url", "url": "https://a.example", "name": "s"}])),
        ("system", json!("Be brief.")),
    ] {
        own[member] = value;
    }
    let request = claude::decode_count_request(own.to_string().as_bytes()).unwrap();
    let encoded = upstream(BUDGET_MODEL).count(&request);
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    let names: Vec<&String> = written.as_object().unwrap().keys().collect();
    assert_eq!(names, ["model", "system", "messages", "tools"]);
    assert_eq!(written["tools"].as_array().unwrap().len(), 1);
    assert_eq!(claude::decode_count_answer(br#"{"input_tokens":12}"#), Some(12));
    assert_eq!(claude::decode_count_answer(br#"{"error":{}}"#), None);
    assert_eq!(claude::encode_count_answer(12), br#"{"input_tokens":12}"#);
}

#[test]
fn choices_of_hosted_tools_keep_their_name() {
    let own = with(hi(), "tools", json!([{"type": "web_search_20250305", "name": "web_search"}]));
    let own = with(own, "tool_choice", json!({"type": "tool", "name": "web_search"}));
    let request = decode(Format::Claude, &own).unwrap();
    assert_eq!(request.tool_choice, Some(ToolChoice::Hosted(HostedKind::WebSearch)));
    let written = upstream(BUDGET_MODEL).encode(Format::Claude, &own);
    assert_eq!(written["tool_choice"], json!({"type": "tool", "name": "web_search"}));
    let named = with(with(hi(), "tools", tools(&["f"])), "tool_choice", json!({"type": "tool", "name": "f"}));
    let choice = decode(Format::Claude, &named).unwrap().tool_choice;
    assert_eq!(choice, Some(ToolChoice::Named { name: "f".into(), kind: CallKind::Function }));
}
