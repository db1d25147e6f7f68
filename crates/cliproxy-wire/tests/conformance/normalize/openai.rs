//! What is made to fit on the way to Chat and Responses upstreams, and what holds for all.

use cliproxy_wire::codec::Strictness;
use cliproxy_wire::format::Format::{Claude, Gemini, Responses};
use cliproxy_wire::model::{
    Arguments, Block, Content, Instruction, InstructionRole, Request, Role, Tool, Turn,
};
use cliproxy_wire::normalize;
use cliproxy_wire::profile::{Profile, ResponseFormatSupport, ToolIdRule};
use serde_json::json;

use super::{
    compatible, gemini3, image_result, notes, openai, prepare, prepared, refusal, tool, try_encode, two_calls,
};
use crate::support::Upstream;

fn codex() -> Upstream {
    Upstream::new(Profile::codex(), "gpt-5.1-codex")
}

fn instructed() -> Request {
    let mut request = Request::new(Responses, "m");
    for (role, text) in [(InstructionRole::System, "A"), (InstructionRole::Developer, "B")] {
        request.instructions.push(Instruction {
            role,
            text: text.into(),
            cache: None,
            is_top_level: false,
            ext: cliproxy_wire::model::Ext::new(),
        });
    }
    request.turns = vec![
        Turn::new(Role::User, vec![Block::text("x")]),
        Turn::new(Role::Instruction(InstructionRole::Developer), vec![Block::text("C")]),
    ];
    request
}

#[test]
fn j109_relatives_get_one_system_message_and_no_developer() {
    let fitted = prepare(&compatible(), &instructed()).unwrap().request;
    let [only] = fitted.instructions.as_slice() else { panic!("one instruction: {:?}", fitted.instructions) };
    assert_eq!((only.role, &*only.text), (InstructionRole::System, "A\n\nB"));
    assert_eq!(fitted.turns[1].role, Role::User);
    assert!(fitted.turns[1].blocks[0].as_text().unwrap().text.ends_with("\nC"));
}

#[test]
fn models_without_instruction_roles_read_them_from_the_user() {
    let mut upstream = Upstream::new(Profile::openai_chat(), "o1-mini");
    upstream.caps.has_instructions = false;
    let fitted = prepare(&upstream, &instructed()).unwrap().request;
    assert!(fitted.instructions.is_empty());
    assert_eq!(fitted.turns[0].blocks[0].as_text().unwrap().text, "A");
    assert!(fitted.turns.iter().all(|turn| turn.role == Role::User));
}

#[test]
fn j112_results_follow_their_calls_and_j113_arguments_are_objects() {
    let mut body = two_calls();
    body["messages"][2]["content"].as_array_mut().unwrap().insert(0, json!({"type":"text","text":"first"}));
    let fitted = prepared(&compatible(), Claude, &body).request;
    let blocks = &fitted.turns[2].blocks;
    let ids: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match &block.content {
            Content::ToolResult(result) => Some(&*result.call_id),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["toolu_1", "toolu_2"]);
    assert!(matches!(blocks[0].content, Content::ToolResult(_)));
    let Content::ToolCall(call) = &fitted.turns[1].blocks[1].content else { panic!("a call") };
    assert_eq!(call.arguments.as_str(), r#"{"n":12345678901234567890}"#);
}

#[test]
fn j119_mistral_ids_are_nine_characters_and_pair() {
    let mistral = Upstream::new(
        Profile { tool_id: ToolIdRule::Alphanumeric9, ..Profile::compatible() },
        "mistral-large",
    );
    let fitted = prepared(&mistral, Claude, &two_calls()).request;
    let Content::ToolCall(call) = &fitted.turns[1].blocks[1].content else { panic!("a call") };
    let Content::ToolResult(result) = &fitted.turns[2].blocks[0].content else { panic!("a result") };
    assert_eq!(call.call_id, result.call_id);
    assert!(call.call_id.len() == 9 && call.call_id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let again = prepared(&mistral, Claude, &two_calls()).request;
    assert_eq!(again.turns, fitted.turns);
}

#[test]
fn j120_images_of_results_follow_with_a_placeholder() {
    let fitted = prepare(&compatible(), &image_result()).unwrap().request;
    let blocks = &fitted.turns[2].blocks;
    let Content::ToolResult(result) = &blocks[0].content else { panic!("a result") };
    assert_eq!(
        &*result.content[1].as_text().unwrap().text,
        "[image 1 of this result follows in the next user message]"
    );
    assert!(blocks[1].as_text().unwrap().text.contains("shot"));
    assert!(matches!(blocks[2].content, Content::Image(_)));
    assert_eq!(&*blocks[3].as_text().unwrap().text, "go on");
}

#[test]
fn j121_cache_marks_go_where_nobody_reads_them() {
    let body = json!({"model":"m","max_tokens":9,"system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}],
        "messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]});
    let fitted = prepared(&compatible(), Claude, &body);
    assert!(
        fitted.request.turns[0].blocks[0].cache.is_none() && fitted.request.instructions[0].cache.is_none()
    );
    assert_eq!(fitted.notes.paths(), ["cache_control"]);
    let marked = Upstream::new(Profile { has_cache_marks: true, ..Profile::compatible() }, "m");
    assert!(prepared(&marked, Claude, &body).request.turns[0].blocks[0].cache.is_some());
}

#[test]
fn lesser_support_of_json_output_is_made_up_for_in_words() {
    let body = json!({"model":"m","input":"x",
        "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{}}}}});
    for (support, expected) in [
        (ResponseFormatSupport::None, cliproxy_wire::model::OutputFormat::Text),
        (ResponseFormatSupport::JsonObject, cliproxy_wire::model::OutputFormat::JsonObject),
    ] {
        let upstream = Upstream::new(Profile { response_format: support, ..Profile::compatible() }, "m");
        let fitted = prepared(&upstream, Responses, &body);
        assert_eq!(fitted.request.output.format, expected);
        assert!(fitted.request.instructions[0].text.contains(r#""properties":{}"#));
        assert_eq!(fitted.notes.paths(), ["text.format"]);
    }
}

#[test]
fn j126_functions_carry_an_explicit_strict() {
    let body = openai().encode(Claude, &tool(&json!({"type":"object"})));
    assert_eq!(body["tools"][0]["strict"], false);
    assert_eq!(body["tools"][0]["parameters"], json!({"type":"object","properties":{}}));
}

#[test]
fn j135_long_ids_are_shortened_alike_in_call_and_output() {
    let long = format!("call_{}", "x".repeat(90));
    let mut body = two_calls();
    body["messages"][1]["content"][1]["id"] = json!(long);
    body["messages"][2]["content"][1]["tool_use_id"] = json!(long);
    let out = openai().encode(Claude, &body);
    let ids: Vec<&str> =
        out["input"].as_array().unwrap().iter().filter_map(|item| item["call_id"].as_str()).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| id.len() <= 64));
    assert_eq!(ids[0], ids[2]);
}

#[test]
fn j138_a_json_object_is_asked_for_by_its_word() {
    // Asked for twice, it would be said twice.
    for upstream in [openai(), codex(), compatible()] {
        for (said, count) in [("x", 1), ("give jSoN", 0)] {
            let body = json!({"contents":[{"role":"user","parts":[{"text":said}]}],
                "generationConfig":{"responseMimeType":"application/json"}});
            let sent = upstream.encode(Gemini, &body).to_string();
            assert_eq!(sent.matches("Answer with a JSON object.").count(), count, "{sent}");
        }
    }
}

#[test]
fn j139_a_call_at_the_end_gets_an_output() {
    let body = json!({"model":"m","max_tokens":9,"messages":[
        {"role":"user","content":"x"},
        {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{}}]}]});
    let out = openai().encode(Claude, &body);
    let last = out["input"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["type"], &last["call_id"]), (&json!("function_call_output"), &json!("t1")));
}

#[test]
fn j140_stop_sequences_go_to_the_filter_where_the_upstream_has_none() {
    let (body, encoded) = try_encode(
        &openai(),
        Claude,
        &json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"stop_sequences":["END"]}),
    );
    assert_eq!(encoded.bridge.stop_filter, ["END"]);
    assert_eq!(body.get("stop"), None);
}

#[test]
fn codex_gets_the_hosted_tools_it_has_under_their_names() {
    let fitted = prepared(
        &codex(),
        Responses,
        &json!({"model":"m","input":"x","tools":[{"type":"web_search_preview"},{"type":"code_interpreter","container":{"type":"auto"}}]}),
    );
    let [Tool::Hosted { native, .. }] = fitted.request.tools.as_slice() else {
        panic!("one tool: {:?}", fitted.request.tools)
    };
    assert_eq!(native.value.as_str(), r#"{"type":"web_search"}"#);
    assert_eq!(fitted.notes.paths(), ["tools[1]"]);
}

#[test]
fn server_state_is_refused_elsewhere() {
    for (member, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("prompt", json!({"id":"p"})),
        ("background", json!(true)),
    ] {
        let mut body = json!({"model":"m","input":"x"});
        body[member] = value;
        let message = refusal(&gemini3(), Responses, &body);
        assert!(message.starts_with(member), "{message}");
    }
    let body =
        json!({"model":"m","input":[{"role":"user","content":"x"},{"type":"item_reference","id":"rs_1"}]});
    assert!(refusal(&gemini3(), Responses, &body).starts_with("input[1]"));
}

#[test]
fn free_form_and_namespaced_tools_become_functions_and_are_remembered() {
    let body = json!({"model":"m","input":[
            {"role":"user","content":"x"},
            {"type":"custom_tool_call","call_id":"c1","name":"patch","input":"*** begin"},
            {"type":"custom_tool_call_output","call_id":"c1","output":"done"}],
        "tools":[
            {"type":"custom","name":"patch","description":"D","format":{"type":"grammar","syntax":"lark","definition":"start: x"}},
            {"type":"namespace","name":"files","description":"N","tools":[{"type":"function","name":"read","parameters":{"type":"object"}}]},
            {"type":"local_shell"}]});
    let fitted = prepared(&gemini3(), Responses, &body);
    let names: Vec<&str> = fitted.request.tools.iter().map(|tool| &**tool.name().unwrap()).collect();
    assert_eq!(names, ["patch", "files__read", "local_shell"]);
    let tools = &fitted.bridge.tools;
    assert!(tools["patch"].is_custom);
    assert_eq!(
        (&*tools["files__read"].name, tools["files__read"].namespace.as_deref()),
        ("read", Some("files"))
    );
    assert_eq!(tools["local_shell"].native_type.as_deref(), Some("local_shell_call"));
    let Tool::Function { description: Some(description), .. } = &fitted.request.tools[0] else {
        panic!("a function")
    };
    assert!(description.starts_with('D') && description.ends_with("start: x"));
    let Content::ToolCall(call) = &fitted.request.turns[1].blocks[0].content else { panic!("a call") };
    assert_eq!(call.arguments, Arguments::Json(r#"{"input":"*** begin"}"#.into()));
}

#[test]
fn typed_tools_of_claude_are_functions_elsewhere() {
    let body = json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],
        "tools":[{"type":"bash_20250124","name":"bash"},{"type":"text_editor_20250728","name":"str_replace_based_edit_tool"}]});
    let out = openai().encode(Claude, &body);
    assert_eq!(out["tools"][0]["type"], "function");
    assert!(out["tools"][0]["parameters"]["properties"]["command"].is_object());
    assert_eq!(out["tools"][1]["parameters"]["required"], json!(["command", "path"]));
}

#[test]
fn search_results_and_text_files_are_text_where_they_have_no_form() {
    let body = json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[
        {"type":"search_result","source":"https://a.b","title":"T","content":[{"type":"text","text":"found"}]},
        {"type":"document","source":{"type":"text","media_type":"text/plain","data":"plain"},"title":"notes"}]}]});
    let fitted = prepared(&openai(), Claude, &body).request;
    let texts: Vec<&str> =
        fitted.turns[0].blocks.iter().map(|block| &*block.as_text().unwrap().text).collect();
    assert_eq!(texts, ["T\nhttps://a.b\nfound", "[notes]\nplain"]);
}

#[test]
fn refusals_name_the_place_in_the_clients_own_list() {
    let body = json!({"model":"m","input":[
        {"role":"system","content":"S"},
        {"role":"user","content":"x"},
        {"role":"user","content":[{"type":"input_text","text":"hear"},{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]});
    let claude = Upstream::new(Profile::claude(), "claude-sonnet-4-5");
    let message = refusal(&claude, Responses, &body);
    assert!(message.starts_with("input[2].content[1]: claude takes no audio"), "{message}");
    let lenient = Upstream { strictness: Strictness::Lenient, ..claude };
    let (out, encoded) = try_encode(&lenient, Responses, &body);
    assert_eq!(out["messages"][0]["content"][2]["text"], "[audio left out]");
    assert_eq!(notes(&encoded), ["input[2].content[1]"]);
}

#[test]
fn a_fitted_history_stays_as_it_is() {
    for upstream in [gemini3(), openai(), compatible()] {
        let fitted = prepared(&upstream, Claude, &two_calls()).request;
        let again = prepare(&upstream, &fitted).unwrap().request;
        assert_eq!(again.turns, fitted.turns, "{}", upstream.profile.name);
    }
}

#[test]
fn executed_code_of_another_provider_is_told_as_text() {
    let body = json!({"contents":[
        {"role":"user","parts":[{"text":"x"}]},
        {"role":"model","parts":[
            {"executableCode":{"language":"PYTHON","code":"print(1)"}},
            {"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1\n"}},
            {"text":"It is 1."}]},
        {"role":"user","parts":[{"text":"thanks"}]}]});
    let fitted = prepared(&openai(), Gemini, &body).request;
    let texts: Vec<&str> =
        fitted.turns[1].blocks.iter().map(|block| &*block.as_text().unwrap().text).collect();
    assert_eq!(texts, ["```python\nprint(1)\n```", "```\n1\n```", "It is 1."]);
}

#[test]
fn j238_integers_above_two_to_the_53_survive() {
    for upstream in [gemini3(), openai(), Upstream::new(Profile::claude(), "claude-sonnet-4-5")] {
        let encoded = upstream.try_encode(Claude, &two_calls()).unwrap();
        let text = String::from_utf8(encoded.body).unwrap();
        assert!(text.contains("12345678901234567890"), "{text}");
    }
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let first = gemini3().try_encode(Claude, &two_calls()).unwrap().body;
    assert_eq!(gemini3().try_encode(Claude, &two_calls()).unwrap().body, first);
    assert!(normalize::id::is_legal("toolu_1", ToolIdRule::Word { max: 64 }));
}
