//! What is made to fit on the way to Gemini, Responses and Chat upstreams: calls and results, names, schemas, tools,
//! media, limits. The statements about Claude upstreams stand in `claude_request`.

use cliproxy_wire::codec::{Encoded, Strictness};
use cliproxy_wire::format::Format::{self, Claude, Gemini, Responses};
use cliproxy_wire::model::{
    Arguments, Block, CallKind, Content, Image, Instruction, InstructionRole, Media, Request, Role, Tool,
    ToolCall, ToolResult, Turn,
};
use cliproxy_wire::normalize::Prepared;
use cliproxy_wire::profile::{Profile, ResponseFormatSupport, SchemaDialect, ToolIdRule};
use cliproxy_wire::{Error, normalize};
use serde_json::{Value, json};

use crate::support::{Upstream, decode};

fn gemini3() -> Upstream {
    Upstream::new(Profile::gemini(), "gemini-3-pro-preview")
}

fn gemini25() -> Upstream {
    Upstream::new(Profile::gemini(), "gemini-2.5-flash")
}

fn openai() -> Upstream {
    Upstream::new(Profile::openai_responses(), "gpt-5.1")
}

fn codex() -> Upstream {
    Upstream::new(Profile::codex(), "gpt-5.1-codex")
}

fn compatible() -> Upstream {
    Upstream::new(Profile::compatible(), "some-model")
}

/// The request made to fit, where the written body says no more.
fn prepare(upstream: &Upstream, request: &Request) -> Result<Prepared, Error> {
    upstream.prepare(request)
}

fn prepared(upstream: &Upstream, from: Format, body: &Value) -> Prepared {
    prepare(upstream, &decode(from, body).unwrap()).unwrap()
}

fn refusal(upstream: &Upstream, from: Format, body: &Value) -> String {
    upstream.try_encode(from, body).expect_err("this must be refused").to_string()
}

fn notes(encoded: &Encoded) -> &[String] {
    encoded.notes.paths()
}

fn try_encode(upstream: &Upstream, from: Format, body: &Value) -> (Value, Encoded) {
    let encoded = upstream.try_encode(from, body).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded)
}

/// A Claude client's request with two parallel calls, answered in reverse.
fn two_calls() -> Value {
    json!({"model":"m","max_tokens":100,"messages":[
        {"role":"user","content":"go"},
        {"role":"assistant","content":[
            {"type":"text","text":"one"},
            {"type":"tool_use","id":"toolu_1","name":"look","input":{"n":12_345_678_901_234_567_890_u64}},
            {"type":"text","text":"two"},
            {"type":"tool_use","id":"toolu_2","name":"stop","input":{}}]},
        {"role":"user","content":[
            {"type":"tool_result","tool_use_id":"toolu_2","is_error":true,"content":"bad"},
            {"type":"tool_result","tool_use_id":"toolu_1","content":"good"},
            {"type":"text","text":"more"}]}],
        "tools":[{"name":"look","input_schema":{"type":"object"}},{"name":"stop","input_schema":{"type":"object"}}]})
}

fn tool(schema: &Value) -> Value {
    json!({"model":"m","max_tokens":100,"messages":[{"role":"user","content":"go"}],
        "tools":[{"name":"f","description":"d","input_schema":schema}]})
}

// ----------------------------------------------------------------------------------------------- to Gemini

#[test]
fn j080_roles_are_user_and_model_in_turns() {
    let body = gemini3().encode(
        Claude,
        &json!({"model":"m","max_tokens":9,"messages":[
            {"role":"assistant","content":"hello"},
            {"role":"assistant","content":"again"},
            {"role":"user","content":"a"},
            {"role":"user","content":"b"}]}),
    );
    let roles: Vec<&str> =
        body["contents"].as_array().unwrap().iter().map(|c| c["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "model", "user"]);
    assert_eq!(body["contents"][2]["parts"], json!([{"text":"a"},{"text":"b"}]));
}

#[test]
fn j081_parallel_calls_are_answered_in_order_and_by_name() {
    let body = gemini25().encode(Claude, &two_calls());
    let answers = body["contents"][2]["parts"].as_array().unwrap();
    let names: Vec<&str> =
        answers.iter().filter_map(|part| part["functionResponse"]["name"].as_str()).collect();
    assert_eq!(names, ["look", "stop"]);
    assert_eq!(answers[2], json!({"text":"more"}));
}

#[test]
fn j082_results_are_output_or_error_and_gemini_objects_stay() {
    let body = gemini25().encode(Claude, &two_calls());
    let parts = &body["contents"][2]["parts"];
    assert_eq!(parts[0]["functionResponse"]["response"], json!({"output":"good"}));
    assert_eq!(parts[1]["functionResponse"]["response"], json!({"error":"bad"}));
    let own = json!({"temperature":{"c":18.0},"source":"x"});
    let body = gemini25().encode(
        Gemini,
        &json!({"contents":[
            {"role":"user","parts":[{"text":"?"}]},
            {"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},
            {"role":"user","parts":[{"functionResponse":{"name":"f","response":own}}]}]}),
    );
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["response"], own);
}

#[test]
fn j083_schemas_are_cleaned_on_the_way_to_gemini() {
    let schema =
        json!({"$schema":"x","type":"object","properties":{"format":{"type":"string","minLength":2}}});
    let body = gemini3().encode(Claude, &tool(&schema));
    let declared = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(
        declared["parametersJsonSchema"],
        json!({"type":"object","properties":{"format":{"type":"string","description":"minLength: 2"}}})
    );
    let old =
        Upstream::new(Profile { schema: SchemaDialect::OpenApi, ..Profile::gemini() }, "gemini-2.5-flash");
    let body = old.encode(Claude, &tool(&schema));
    let declared = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(
        declared["parameters"],
        json!({"type":"OBJECT","properties":{"format":{"type":"STRING","minLength":2}}})
    );
    assert_eq!(declared.get("parametersJsonSchema"), None);
}

#[test]
fn j087_wire_names_are_legal_distinct_and_led_back() {
    let long = "n".repeat(80);
    let names = ["get weather", ".dot", &long, "größe", "get_weather", "get.weather"];
    let tools: Vec<Value> =
        names.iter().map(|name| json!({"name":name,"input_schema":{"type":"object"}})).collect();
    let (body, encoded) = try_encode(
        &gemini3(),
        Claude,
        &json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"tools":tools}),
    );
    let declared: Vec<&str> = body["tools"][0]["functionDeclarations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|declaration| declaration["name"].as_str().unwrap())
        .collect();
    assert_eq!(declared[4], "get_weather", "a legal name stays");
    assert_eq!(declared[5], "get.weather", "dots are legal here");
    for (wire, name) in declared.iter().zip(names) {
        assert_eq!(&*encoded.bridge.tools[*wire].name, name);
        assert!(wire.len() <= 64 && wire.is_ascii());
    }
    assert_eq!(declared.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
}

#[test]
fn j096_verbatim_google_tools_keep_their_inner_object() {
    let body = gemini25().encode(
        Claude,
        &json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],
            "tools":[{"google_search":{"dynamic":1.0}},{"code_execution":{}},{"url_context":{}}]}),
    );
    assert_eq!(
        body["tools"],
        json!([{"googleSearch":{"dynamic":1.0}},{"codeExecution":{}},{"urlContext":{}}])
    );
}

#[test]
fn j096_the_same_tools_are_mapped_elsewhere_or_refused_by_name() {
    let body = json!({"model":"m","input":"x","tools":[{"google_search":{}}]});
    let out = openai().encode(Responses, &body);
    assert_eq!(out["tools"], json!([{"type":"web_search"}]));
    let claude = Upstream::new(Profile::claude(), "claude-sonnet-4-5");
    let out = claude.encode(Responses, &body);
    assert_eq!(out["tools"][0]["name"], "web_search");
    let refused = prepare(
        &compatible(),
        &decode(
            Claude,
            &json!({"model":"m","max_tokens":1,
        "messages":[{"role":"user","content":"x"}],"tools":[{"google_search":{}}]}),
        )
        .unwrap(),
    );
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("google_search") && message.contains("tools[0]"), "{message}");
}

#[test]
fn j097_functions_win_over_built_ins_on_older_models() {
    let body = json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],
        "tools":[{"name":"f","input_schema":{"type":"object"}},{"google_search":{}}]});
    let (old, encoded) = try_encode(&gemini25(), Claude, &body);
    assert_eq!(old["tools"].as_array().unwrap().len(), 1);
    assert_eq!(notes(&encoded), ["tools[1]"]);
    let new = gemini3().encode(Claude, &body);
    assert_eq!(new["tools"].as_array().unwrap().len(), 2);
}

#[test]
fn j098_named_and_no_choice_have_their_modes() {
    let with = |choice: Value| {
        let mut body = tool(&json!({"type":"object"}));
        body["tool_choice"] = choice;
        gemini3().encode(Claude, &body)["toolConfig"]["functionCallingConfig"].clone()
    };
    assert_eq!(with(json!({"type":"tool","name":"f"})), json!({"mode":"ANY","allowedFunctionNames":["f"]}));
    assert_eq!(with(json!({"type":"none"})), json!({"mode":"NONE"}));
}

#[test]
fn a_choice_of_an_unknown_tool_is_refused() {
    let body = json!({"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":{}}],
        "tool_choice":{"type":"function","name":"g"}});
    assert!(refusal(&gemini3(), Responses, &body).contains("no tool named g"));
}

#[test]
fn a_choice_without_tools_is_dropped() {
    let body = json!({"model":"m","input":"x","tool_choice":"required"});
    assert_eq!(prepared(&gemini3(), Responses, &body).request.tool_choice, None);
}

#[test]
fn j099_schema_output_is_a_mime_type_and_a_schema() {
    let schema = json!({"type":"object","properties":{"a":{"type":"string","minLength":1}}});
    let body = json!({"model":"m","input":"x",
        "text":{"format":{"type":"json_schema","name":"n","schema":schema,"strict":false}}});
    let config = gemini25().encode(Responses, &body)["generationConfig"].clone();
    assert_eq!(config["responseMimeType"], "application/json");
    assert_eq!(
        config["responseJsonSchema"],
        json!({"type":"object","properties":{"a":{"type":"string","description":"minLength: 1"}}})
    );
}

#[test]
fn schema_output_beside_functions_is_asked_for_in_words_on_older_models() {
    let body = json!({"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],
        "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{}},"strict":false}}});
    let (old, encoded) = try_encode(&gemini25(), Responses, &body);
    assert_eq!(old["generationConfig"].get("responseMimeType"), None);
    let text = old["systemInstruction"]["parts"][0]["text"].as_str().unwrap();
    assert!(text.contains(r#"{"type":"object","properties":{}}"#), "{text}");
    assert!(notes(&encoded).contains(&"text.format".to_owned()));
    let new = gemini3().encode(Responses, &body);
    assert_eq!(new["generationConfig"]["responseMimeType"], "application/json");
}

#[test]
fn j100_the_first_five_stop_sequences_are_native_and_all_are_enforced() {
    let stops: Vec<String> = (0..7).map(|n| format!("S{n}")).collect();
    let (body, encoded) = try_encode(
        &gemini3(),
        Claude,
        &json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"stop_sequences":stops}),
    );
    assert_eq!(body["generationConfig"]["stopSequences"], json!(["S0", "S1", "S2", "S3", "S4"]));
    assert_eq!(encoded.bridge.stop_filter.len(), 7);
}

#[test]
fn more_than_four_stop_sequences_are_refused_for_openai_chat() {
    let mut request = Request::new(Claude, "m");
    request.turns.push(Turn::new(Role::User, vec![Block::text("x")]));
    request.sampling.stop = (0..5).map(|n| format!("S{n}").into()).collect();
    let chat = Upstream::new(Profile::openai_chat(), "gpt-4o");
    let error = prepare(&chat, &request).unwrap_err().to_string();
    assert!(error.contains("stop_sequences") && error.contains("at most 4"), "{error}");
}

#[test]
fn j101_several_answers_are_a_candidate_count() {
    let mut request = Request::new(Format::Chat, "m");
    request.turns.push(Turn::new(Role::User, vec![Block::text("x")]));
    request.candidates = Some(3);
    let encoded = gemini3().encode_request(&request).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(body["generationConfig"]["candidateCount"], 3);
    let claude = Upstream::new(Profile::claude(), "claude-sonnet-4-5");
    let error = prepare(&claude, &request).unwrap_err().to_string();
    assert!(error.starts_with("n: claude"), "{error}");
}

/// A step whose result holds an image.
fn image_result() -> Request {
    let mut request = Request::new(Claude, "m");
    let call = ToolCall {
        call_id: "toolu_1".into(),
        is_id_synthetic: false,
        item_id: None,
        name: "shot".into(),
        namespace: None,
        kind: CallKind::Function,
        arguments: Arguments::Json("{}".into()),
        native: None,
        caller: None,
        opaque: None,
    };
    let image = Block::new(Content::Image(Image {
        source: Media::Inline { mime: "image/png".into(), base64: "AAAA".into() },
        detail: None,
        opaque: None,
    }));
    let result = ToolResult {
        call_id: "toolu_1".into(),
        name: None,
        kind: CallKind::Function,
        content: vec![Block::text("here"), image],
        structured: None,
        is_error: None,
        native: None,
    };
    request.turns = vec![
        Turn::new(Role::User, vec![Block::text("x")]),
        Turn::new(Role::Assistant, vec![Block::new(Content::ToolCall(call))]),
        Turn::new(Role::User, vec![Block::new(Content::ToolResult(result)), Block::text("go on")]),
    ];
    request
}

#[test]
fn j103_images_of_results_are_parts_of_the_response_or_follow_it() {
    let body = |upstream: Upstream| -> Value {
        serde_json::from_slice(&upstream.encode_request(&image_result()).unwrap().body).unwrap()
    };
    let new = body(gemini3());
    let response = &new["contents"][2]["parts"][0]["functionResponse"];
    assert_eq!(response["parts"][0]["inlineData"]["data"], "AAAA");
    let old = body(gemini25());
    let parts = old["contents"][2]["parts"].as_array().unwrap();
    assert_eq!(parts[0]["functionResponse"]["response"], json!({"output":"here\n[image attached below]"}));
    assert_eq!(parts[1]["inlineData"]["data"], "AAAA");
    assert_eq!(parts[2]["text"], "go on");
}

#[test]
fn j104_empty_parts_contents_and_arguments_never_occur() {
    let body = gemini3().encode(
        Claude,
        &json!({"model":"m","max_tokens":9,"system":"S","messages":[{"role":"user","content":[{"type":"text","text":""}]}]}),
    );
    assert_eq!(body["contents"], json!([{"role":"user","parts":[{"text":"S"}]}]));
    assert_eq!(body.get("systemInstruction"), None);
    let body = gemini3().encode(
        Responses,
        &json!({"model":"m","input":[
            {"role":"user","content":"x"},
            {"type":"function_call","call_id":"c1","name":"f","arguments":""},
            {"type":"function_call_output","call_id":"c1","output":""}]}),
    );
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["args"], json!({}));
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["response"], json!({"output":""}));
}

#[test]
fn j105_sampling_is_mapped_and_logit_bias_is_noted() {
    let mut request = Request::new(Format::Chat, "m");
    request.turns.push(Turn::new(Role::User, vec![Block::text("x")]));
    request.sampling.seed = Some(7_000_000_000);
    request.sampling.frequency_penalty = Some(0.5);
    request.sampling.top_k = Some(5);
    request.sampling.logit_bias = Some(cliproxy_wire::json::Raw::new(r#"{"1":2}"#));
    let encoded = gemini25().encode_request(&request).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let config = &body["generationConfig"];
    assert_eq!((&config["frequencyPenalty"], &config["topK"]), (&json!(0.5), &json!(5)));
    assert!(config["seed"].as_i64().unwrap() <= i64::from(i32::MAX));
    assert_eq!(notes(&encoded), ["logit_bias", "seed"]);
}

#[test]
fn j107_cached_content_stays_at_its_provider() {
    let body =
        json!({"contents":[{"role":"user","parts":[{"text":"x"}]}],"cachedContent":"cachedContents/1"});
    let claude = Upstream::new(Profile::claude(), "claude-sonnet-4-5");
    assert!(refusal(&claude, Gemini, &body).starts_with("cachedContent: "));
    let lenient = Upstream { strictness: Strictness::Lenient, ..claude };
    assert!(lenient.try_encode(Gemini, &body).is_ok());
}

// ------------------------------------------------------------------------------------------------- to Chat

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
    assert_eq!(fitted.turns[0].blocks[0].as_text().unwrap().text, "A".into());
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

// -------------------------------------------------------------------------------------------- to Responses

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
    let body = json!({"contents":[{"role":"user","parts":[{"text":"x"}]}],
        "generationConfig":{"responseMimeType":"application/json"}});
    let fitted = prepared(&openai(), Gemini, &body);
    assert_eq!(&*fitted.request.instructions[0].text, "Answer with a JSON object.");
    let body = json!({"contents":[{"role":"user","parts":[{"text":"give jSoN"}]}],
        "generationConfig":{"responseMimeType":"application/json"}});
    assert!(prepared(&openai(), Gemini, &body).request.instructions.is_empty());
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
    assert_eq!(encoded.bridge.stop_filter, ["END".into()]);
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

// ------------------------------------------------------------------------------------------------ the way back

/// What a client of `to` is streamed of an upstream's answer, led back over the bridge of its request.
fn answered(upstream: &Upstream, to: Format, body: &Value, stream: &str) -> Vec<Value> {
    let bridge = upstream.try_encode(to, body).unwrap().bridge;
    let mut restore = normalize::Restore::new(bridge);
    let mut restored = Vec::new();
    for event in crate::support::events(&upstream.profile, stream) {
        restore.event(event, &mut restored);
    }
    let mut context = crate::support::client(to);
    context.show = cliproxy_wire::model::Show::Hidden;
    crate::support::frames(&crate::support::write(to, &context, restored))
}

fn gemini_call(name: &str, arguments: &Value) -> String {
    let chunk = json!({"candidates":[{"index":0,"content":{"role":"model","parts":[
        {"functionCall":{"name":name,"args":arguments}}]},"finishReason":"STOP"}],
        "usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":3}});
    format!("data: {chunk}\n\n")
}

#[test]
fn j087_the_answer_restores_rewritten_names() {
    let body = json!({"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}],
        "tools":[{"name":"größe messen","input_schema":{"type":"object"}}]});
    let wire = gemini3().encode(Claude, &body)["tools"][0]["functionDeclarations"][0]["name"].clone();
    for spelled in [wire.as_str().unwrap().to_owned(), format!("default_api:{}", wire.as_str().unwrap())] {
        let frames = answered(&gemini3(), Claude, &body, &gemini_call(&spelled, &json!({"a":1})));
        let start = frames.iter().find(|frame| frame["type"] == "content_block_start").unwrap();
        assert_eq!(start["content_block"]["name"], "größe messen");
    }
}

#[test]
fn a_free_form_tool_is_called_in_free_form() {
    let body = json!({"model":"m","stream":true,"input":"x","tools":[{"type":"custom","name":"patch"}]});
    let frames =
        answered(&gemini3(), Responses, &body, &gemini_call("patch", &json!({"input":"*** \"a\"\nb"})));
    let done = frames.iter().find(|frame| frame["type"] == "response.output_item.done").unwrap();
    assert_eq!(done["item"]["type"], "custom_tool_call");
    assert_eq!(done["item"]["input"], "*** \"a\"\nb");
}

#[test]
fn a_shell_call_comes_back_as_its_item() {
    let body = json!({"model":"m","stream":true,"input":"x","tools":[{"type":"local_shell"}]});
    let frames =
        answered(&gemini3(), Responses, &body, &gemini_call("local_shell", &json!({"command":["ls"]})));
    let done = frames.iter().find(|frame| frame["type"] == "response.output_item.done").unwrap();
    assert_eq!(done["item"]["type"], "local_shell_call");
    assert_eq!(done["item"]["action"], json!({"type":"exec","command":["ls"],"env":{}}));
}

#[test]
fn a_namespaced_tool_comes_back_with_its_namespace() {
    let body = json!({"model":"m","stream":true,"input":"x","tools":[
        {"type":"namespace","name":"files","tools":[{"type":"function","name":"read","parameters":{"type":"object"}}]}]});
    let frames = answered(&gemini3(), Responses, &body, &gemini_call("files__read", &json!({})));
    let done = frames.iter().find(|frame| frame["type"] == "response.output_item.done").unwrap();
    assert_eq!((&done["item"]["name"], &done["item"]["namespace"]), (&json!("read"), &json!("files")));
}

#[test]
fn structured_output_of_older_claude_models_is_a_forced_call_that_reads_as_text() {
    let mut upstream = Upstream::new(Profile::claude(), "claude-sonnet-4-5");
    upstream.caps.has_structured_output = false;
    let body = json!({"contents":[{"role":"user","parts":[{"text":"x"}]}],
        "generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"a":{"type":"INTEGER"}}}}});
    let sent = upstream.encode(Gemini, &body);
    assert_eq!(sent["tool_choice"], json!({"type":"tool","name":"structured_output"}));
    let events = [
        json!({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}),
        json!({"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"structured_output","input":{}}}),
        json!({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}),
        json!({"type":"content_block_stop","index":0}),
        json!({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5}}),
        json!({"type":"message_stop"}),
    ];
    let frames: Vec<String> = events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .collect();
    let stream = frames.concat();
    let frames = answered(&upstream, Gemini, &body, &stream);
    let text: String = frames
        .iter()
        .filter_map(|frame| frame["candidates"][0]["content"]["parts"][0]["text"].as_str())
        .collect();
    assert_eq!(text, r#"{"a":1}"#);
    assert_eq!(frames.last().unwrap()["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn the_next_request_of_another_client_is_the_golden_one_for_gemini() {
    let client: Value =
        serde_json::from_str(&crate::support::fixture("responses/next_request.json")).unwrap();
    let golden: Value = serde_json::from_str(&crate::support::fixture("gemini/next_request.json")).unwrap();
    let sent = Upstream::new(Profile::gemini(), "gemini-3-flash-preview").encode(Responses, &client);
    assert_eq!(sent, golden);
}
