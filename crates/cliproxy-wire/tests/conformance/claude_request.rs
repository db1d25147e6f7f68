//! Requests of Claude clients, and requests to Claude upstreams.

use cliproxy_wire::Format;
use cliproxy_wire::claude;
use cliproxy_wire::model::{
    CacheMark, CacheTtl, CallKind, Content, HostedKind, InstructionRole, Level, Media, Mode, Role, Tool,
    ToolChoice,
};
use cliproxy_wire::opaque::Repair;
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use crate::support::{Upstream, decode, fixture};

const BUDGET_MODEL: &str = "claude-sonnet-4-5";
const ADAPTIVE_MODEL: &str = "claude-opus-4-8";

fn upstream(model: &str) -> Upstream {
    Upstream::new(Profile::claude(), model)
}

/// A Claude body with these messages.
fn body(messages: impl Into<Value>) -> Value {
    json!({"model": "m", "max_tokens": 100, "messages": messages.into()})
}

fn with(mut body: Value, member: &str, value: impl Into<Value>) -> Value {
    body[member] = value.into();
    body
}

fn hi() -> Value {
    body(json!([{"role": "user", "content": "hi"}]))
}

fn responses(input: impl Into<Value>) -> Value {
    json!({"model": "m", "input": input.into()})
}

fn call(id: &str, name: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": {}})
}

fn result(id: &str, text: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": text})
}

fn tools(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "input_schema": {"type": "object"}})).collect()
}

// Reading.

#[test]
fn j033_system_is_a_string_or_blocks_whose_marks_are_kept() {
    let request = decode(Format::Claude, &with(hi(), "system", "Be brief.")).unwrap();
    assert_eq!(&*request.instructions[0].text, "Be brief.");
    let blocks = json!([{"type": "text", "text": "a"}, {"type": "text", "text": ""},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    let request = decode(Format::Claude, &with(hi(), "system", blocks)).unwrap();
    assert_eq!(request.instructions.len(), 2);
    assert_eq!(request.instructions[0].cache, None);
    assert_eq!(request.instructions[1].cache, Some(CacheMark { ttl: Some(CacheTtl::OneHour) }));
}

#[test]
fn j034_tool_results_are_text_blocks_or_nothing() {
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/PNG", "data": "QUJD"}});
    let request = decode(
        Format::Claude,
        &body(json!([{"role": "user", "content": [
            result("a", "text"),
            // The type comes last: nothing may depend on the order of members.
            {"content": [{"text": "x", "type": "text"}, image], "tool_use_id": "b", "is_error": true, "type": "tool_result"},
            {"type": "tool_result", "tool_use_id": "c"},
        ]}])),
    )
    .unwrap();
    let results: Vec<_> = request.turns[0]
        .blocks
        .iter()
        .map(|block| match &block.content {
            Content::ToolResult(result) => result,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(&*results[0].content[0].as_text().unwrap().text, "text");
    assert_eq!(results[1].is_error, Some(true));
    let Content::Image(image) = &results[1].content[1].content else { panic!() };
    assert_eq!(image.source, Media::Inline { mime: "image/png".into(), base64: "QUJD".into() });
    assert!(results[2].content.is_empty());
}

#[test]
fn j035_text_after_a_result_stays_after_it() {
    let messages = json!([{"role": "user", "content": [result("a", "x"), {"type": "text", "text": "then"}]}]);
    let request = decode(Format::Claude, &body(messages)).unwrap();
    assert!(matches!(request.turns[0].blocks[0].content, Content::ToolResult(_)));
    assert_eq!(&*request.turns[0].blocks[1].as_text().unwrap().text, "then");
}

#[test]
fn j036_system_messages_are_instructions_at_their_place() {
    let messages = json!([{"role": "user", "content": "a"}, {"role": "system", "content": "now this"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "mid_conv_system", "text": "and that"},
            {"type": "text", "text": "c"}]}]);
    let request = decode(Format::Claude, &body(messages)).unwrap();
    let system = Role::Instruction(InstructionRole::System);
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, system, Role::User, system, Role::User]);
    assert_eq!(&*request.turns[3].blocks[0].as_text().unwrap().text, "and that");
    let leading = body(json!([{"role": "system", "content": "first"}, {"role": "user", "content": "a"}]));
    let request = decode(Format::Claude, &leading).unwrap();
    assert_eq!((request.instructions.len(), request.turns.len()), (1, 1));
}

#[test]
fn j037_typed_tools_have_their_fixed_names() {
    let tools = json!([{"type": "bash_20250124", "name": "bash"}, {"type": "text_editor_20250728"},
        {"type": "text_editor_20250124"}, {"type": "memory_20250818", "name": "memory"}]);
    let request = decode(Format::Claude, &with(hi(), "tools", tools)).unwrap();
    let names: Vec<&str> = request.tools.iter().map(|tool| &**tool.name().unwrap()).collect();
    assert_eq!(names, ["bash", "str_replace_based_edit_tool", "str_replace_editor", "memory"]);
    assert!(request.tools.iter().all(|tool| matches!(tool, Tool::Function { native: Some(_), .. })));
}

#[test]
fn j045_google_tools_are_accepted_verbatim() {
    let tools = json!([{"google_search": {}}, {"code_execution": {}}, {"url_context": {}}, {"googleSearch": {"a": 1}}]);
    let request = decode(Format::Claude, &with(hi(), "tools", tools)).unwrap();
    let kinds: Vec<_> = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Hosted { kind, native, .. } if native.format == Format::Gemini => *kind,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [HostedKind::WebSearch, HostedKind::CodeExecution, HostedKind::WebFetch, HostedKind::WebSearch]
    );
}

#[test]
fn j046_what_the_format_demands_is_named_when_it_is_missing() {
    for (body, path) in [
        (json!([]), None),
        (json!({"messages": [], "max_tokens": 1}), Some("model")),
        (json!({"model": "m", "max_tokens": 1}), Some("messages")),
        (json!({"model": "m", "messages": []}), Some("max_tokens")),
        (json!({"model": "m", "max_tokens": 1, "messages": "hi"}), Some("messages")),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "robot", "content": "a"}]}),
            Some("messages[0].role"),
        ),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
            Some("messages[0].content[0].tool_use_id"),
        ),
        (
            with(with(hi(), "tools", tools(&["f"])), "tool_choice", json!({"type": "tool", "name": "g"})),
            Some("tool_choice.name"),
        ),
        (
            with(
                with(hi(), "thinking", json!({"type": "enabled", "budget_tokens": 2048})),
                "max_tokens",
                2000,
            ),
            Some("max_tokens"),
        ),
    ] {
        let error = decode(Format::Claude, &body).unwrap_err();
        assert_eq!(error.path().as_deref(), path, "{body} {error}");
    }
}

#[test]
fn any_presence_of_stream_but_false_asks_for_a_stream() {
    for (value, streams) in [
        (json!(true), true),
        (json!(false), false),
        (json!("true"), true),
        (json!(1), true),
        (json!(null), true),
    ] {
        assert_eq!(
            decode(Format::Claude, &with(hi(), "stream", value.clone())).unwrap().stream,
            streams,
            "{value}"
        );
    }
    assert!(!decode(Format::Claude, &hi()).unwrap().stream);
}

#[test]
fn null_members_count_as_absent() {
    let mut nulls = hi();
    for member in
        ["system", "tools", "tool_choice", "temperature", "top_k", "stop_sequences", "metadata", "thinking"]
    {
        nulls[member] = Value::Null;
    }
    assert_eq!(decode(Format::Claude, &nulls).unwrap(), decode(Format::Claude, &hi()).unwrap());
}

#[test]
fn wishes_for_thinking_are_read_with_their_display() {
    let mode = |members: Value| {
        let mut body = with(hi(), "max_tokens", 9000);
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        decode(Format::Claude, &body).unwrap().reasoning.and_then(|wish| wish.mode)
    };
    assert_eq!(mode(json!({})), None);
    assert_eq!(
        mode(json!({"thinking": {"type": "enabled", "budget_tokens": 2048}})),
        Some(Mode::Budget(2048))
    );
    assert_eq!(mode(json!({"thinking": {"type": "adaptive"}})), Some(Mode::Auto));
    assert_eq!(
        mode(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}})),
        Some(Mode::Level(Level::High))
    );
    assert_eq!(mode(json!({"output_config": {"effort": "high"}})), Some(Mode::Level(Level::High)));
    assert_eq!(mode(json!({"thinking": {"type": "disabled"}})), Some(Mode::Off));
}

#[test]
fn documents_of_every_source_are_read() {
    let document = |source: Value| json!({"type": "document", "source": source, "title": "T", "citations": {"enabled": true}});
    let messages = json!([{"role": "user", "content": [
        document(json!({"type": "base64", "media_type": "application/pdf", "data": "QQ=="})),
        document(json!({"type": "text", "media_type": "text/plain", "data": "words"})),
        document(json!({"type": "url", "url": "https://a.example/x.pdf"})),
        document(json!({"type": "file", "file_id": "file_1"})),
        document(json!({"type": "content", "content": [{"type": "text", "text": "inner"}]})),
    ]}]);
    let request = decode(Format::Claude, &body(messages.clone())).unwrap();
    assert_eq!(&*request.turns[0].blocks[4].as_text().unwrap().text, "inner");
    let written = upstream(BUDGET_MODEL).try_encode(Format::Claude, &body(messages.clone())).unwrap();
    assert!(written.betas.iter().any(|beta| beta.starts_with("files-api")));
    let written: Value = serde_json::from_slice(&written.body).unwrap();
    for at in 0..4 {
        assert_eq!(written["messages"][0]["content"][at], messages[0]["content"][at]);
    }
}

// Writing.

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

// Thinking in the history.

/// What other clients were given of the golden answer's signature.
const ENVELOPE: &str =
    "R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09In0=";
const ENVELOPE_WITH_TEXT: &str = "R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09IiwidCI6Ik5lZWQgdGhlIHdlYXRoZXIuIn0=";

#[test]
fn j064_thinking_of_others_is_absent_and_no_signature_is_empty() {
    let messages = json!([{"role": "user", "content": "go"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "unsigned", "signature": ""},
            {"type": "thinking", "thinking": "of google", "signature": "skip_thought_signature_validator"},
            {"type": "thinking", "thinking": "of openai", "signature": "gAAAAABo0000"},
            {"type": "text", "text": "done"}]},
        {"role": "user", "content": "more"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Claude, &body(messages));
    assert_eq!(written["messages"][1]["content"], json!([{"type": "text", "text": "done"}]));
    let input = json!([{"role": "user", "content": "go"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAAAABo0000"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]},
        {"role": "user", "content": "more"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &responses(input)).to_string();
    assert!(!written.contains("thinking"), "{written}");
}

#[test]
fn j065_a_signature_comes_back_from_every_client_with_its_text() {
    let own =
        json!({"type": "thinking", "thinking": "Need the weather.", "signature": "ErUBsignature0001=="});
    let input = json!([{"role": "user", "content": "go"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Need the weather."}], "encrypted_content": ENVELOPE},
        {"type": "function_call", "call_id": "toolu_01A", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "toolu_01A", "output": "1"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Responses, &responses(input));
    assert_eq!(written["messages"][1]["content"][0], own);
    let details = json!([{"type": "reasoning.encrypted", "format": "gateway-v1", "id": "rd_0", "data": ENVELOPE, "index": 0}]);
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "go"},
        {"role": "assistant", "content": null, "reasoning_content": "Need the weather.", "reasoning_details": details,
            "tool_calls": [{"id": "toolu_01A", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "toolu_01A", "content": "1"}]});
    let written = upstream(BUDGET_MODEL).encode(Format::Chat, &chat);
    assert_eq!(written["messages"][1]["content"][0], own);
    // A Gemini client may keep the thought or only the call's signature; the envelope there holds the text.
    let signed = json!({"functionCall": {"id": "toolu_01A", "name": "f", "args": {}}, "thoughtSignature": ENVELOPE_WITH_TEXT});
    let thought =
        json!({"text": "Need the weather.", "thought": true, "thoughtSignature": ENVELOPE_WITH_TEXT});
    let answer = json!({"role": "user", "parts": [{"functionResponse": {"id": "toolu_01A", "name": "f", "response": {"output": "1"}}}]});
    for parts in [json!([thought, signed.clone()]), json!([signed])] {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "go"}]}, {"role": "model", "parts": parts}, answer]});
        let written = upstream(BUDGET_MODEL).encode(Format::Gemini, &body);
        let content = written["messages"][1]["content"].as_array().unwrap();
        assert_eq!((&content[0], content.len()), (&own, 2), "{body}");
    }
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [own.clone(), call("a", "f")]},
        {"role": "user", "content": [result("a", "1")]}]);
    let written =
        upstream(BUDGET_MODEL).encode(Format::Claude, &with(body(messages), "tools", tools(&["f"])));
    assert_eq!(written["messages"][1]["content"][0], own);
}

#[test]
fn j066_redacted_thinking_survives_other_clients() {
    let golden = r#"{"type":"message","id":"msg_1","role":"assistant","model":"m","content":[
        {"type":"redacted_thinking","data":"RGF0YQ=="},{"type":"tool_use","id":"t","name":"f","input":{}}],
        "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let context = cliproxy_wire::codec::UpstreamContext::new(&Profile::claude(), "r");
    let response = claude::decode_response(golden.as_bytes(), &context).unwrap();
    for format in Format::ALL {
        let answer =
            cliproxy_wire::format::encode_response(format, &response, &crate::support::client(format));
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let next = match format {
            Format::Responses => {
                let mut input = vec![json!({"role": "user", "content": "go"})];
                input.extend(answer["output"].as_array().unwrap().iter().cloned());
                input.push(json!({"type": "function_call_output", "call_id": "t", "output": "1"}));
                responses(input)
            }
            Format::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "go"}]},
                answer["candidates"][0]["content"],
                {"role": "user", "parts": [{"functionResponse": {"id": "t", "name": "f", "response": {"output": "1"}}}]}]}),
            Format::Chat => json!({"model": "m", "messages": [{"role": "user", "content": "go"},
                answer["choices"][0]["message"], {"role": "tool", "tool_call_id": "t", "content": "1"}]}),
            Format::Claude => body(
                json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": [result("t", "1")]}]),
            ),
        };
        let written = upstream(BUDGET_MODEL).encode(format, &next);
        let content = &written["messages"][1]["content"];
        assert_eq!(
            content[0],
            json!({"type": "redacted_thinking", "data": "RGF0YQ=="}),
            "{format:?} {content}"
        );
        assert_eq!(content.as_array().unwrap().len(), 2, "{format:?} {content}");
    }
}

#[test]
fn other_clients_cause_the_golden_next_request() {
    let golden: Value = serde_json::from_str(&fixture("claude/weather-next.json")).unwrap();
    let mut model = upstream(BUDGET_MODEL);
    model.model = "m".to_owned();
    let function = |name: &str| json!({"type": "function", "function": {"name": name}});
    let mut weather = function("get_weather");
    weather["function"]["description"] = "Weather of a city".into();
    weather["function"]["parameters"] = golden["tools"][0]["input_schema"].clone();
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let chat = json!({"model": "m", "reasoning_effort": "medium", "max_completion_tokens": 4096, "tool_choice": "auto",
        "tools": [weather, function("get_time")],
        "messages": [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is the weather in Rome, and what time is it?"},
            {"role": "assistant", "content": "Checking Röme 🌤.", "reasoning_content": "Need the weather.",
                "reasoning_details": [{"type": "reasoning.encrypted", "format": "gateway-v1", "data": ENVELOPE, "index": 0}],
                "tool_calls": [call("toolu_01A", "get_weather", "{\"city\":\"Rome\"}"), call("toolu_01B", "get_time", "{}")]},
            {"role": "tool", "tool_call_id": "toolu_01A", "content": "18 C"},
            {"role": "tool", "tool_call_id": "toolu_01B", "content": ""},
            {"role": "user", "content": "In Fahrenheit, please."}]});
    assert_eq!(model.encode(Format::Chat, &chat), golden);
    let responses: Value = serde_json::from_str(&fixture("responses/next_request.json")).unwrap();
    assert_eq!(model.encode(Format::Responses, &responses), golden);
}

#[test]
fn j067_thinking_is_off_when_the_last_tool_turn_has_none() {
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("a", "f")]},
        {"role": "user", "content": [result("a", "1")]}]);
    let body = with(with(body(messages), "tools", tools(&["f"])), "max_tokens", 9000);
    let asked = with(body, "thinking", json!({"type": "enabled", "budget_tokens": 2048}));
    assert!(upstream(BUDGET_MODEL).encode(Format::Claude, &asked).get("thinking").is_none());
}

#[test]
fn j079_after_a_refused_signature_the_request_goes_without_thinking_blocks() {
    let own = json!({"type": "thinking", "thinking": "t", "signature": "ErUBsignature0001=="});
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [own, call("a", "f")]},
        {"role": "user", "content": [result("a", "1")]}]);
    let body = with(with(body(messages), "tools", tools(&["f"])), "max_tokens", 9000);
    let asked = with(body, "thinking", json!({"type": "enabled", "budget_tokens": 2048}));
    let mut model = upstream(BUDGET_MODEL);
    let first = model.encode(Format::Claude, &asked);
    assert!(first["thinking"].is_object() && first.to_string().contains("ErUBsignature0001"));
    model.repair = Some(Repair::DropThinking);
    let second = model.encode(Format::Claude, &asked);
    assert!(
        second.get("thinking").is_none() && !second.to_string().contains("ErUBsignature0001"),
        "{second}"
    );
}

#[test]
fn an_answer_of_foreign_thinking_only_leaves_no_empty_message() {
    let messages = json!([{"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "gAAAAABo0000"}]},
        {"role": "user", "content": "more"}]);
    let written = upstream(BUDGET_MODEL).encode(Format::Claude, &body(messages));
    for message in written["messages"].as_array().unwrap() {
        assert_ne!(message["content"], json!([]), "{written}");
    }
}
