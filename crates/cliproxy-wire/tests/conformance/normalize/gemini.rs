//! What is made to fit on the way to Gemini upstreams.

use cliproxy_wire::codec::Strictness;
use cliproxy_wire::format::Format::{self, Claude, Gemini, Responses};
use cliproxy_wire::model::{Block, Request, Role, Turn};
use cliproxy_wire::profile::{Profile, SchemaDialect};
use serde_json::{Value, json};

use super::{
    compatible, gemini3, image_result, notes, openai, prepare, prepared, refusal, tool, try_encode, two_calls,
};
use crate::support::{Upstream, decode};

fn gemini25() -> Upstream {
    Upstream::new(Profile::gemini(), "gemini-2.5-flash")
}

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
