//! Requests to Gemini upstreams: turns, tools, settings.

use cliproxy_wire::model::{Content, Opaque, OpaqueKind, Owner, Role, Tool};
use cliproxy_wire::profile::{Profile, SchemaDialect};
use cliproxy_wire::{Format, opaque};
use serde_json::{Value, json};

use super::{flash, read};
use crate::support::{Upstream, fixture};

#[test]
fn thinking_of_another_provider_comes_back_even_without_thought_parts() {
    let state = Opaque {
        owner: Owner::Anthropic,
        kind: OpaqueKind::ClaudeSignature,
        scope: None,
        model: None,
        data: "ErUB".into(),
        anchor: cliproxy_wire::model::Anchor::This,
    };
    let envelope = opaque::wrap(&state, Some("Need the weather.")).unwrap();
    let call = json!({"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": envelope});
    for before in [
        vec![],
        vec![json!({"text": "Need the weather.", "thought": true})],
        vec![
            json!({"text": "Need the ", "thought": true}),
            json!({"text": "weather.", "thought": true, "thoughtSignature": envelope}),
        ],
        vec![json!({"text": "", "thought": true, "thoughtSignature": envelope})],
    ] {
        let mut parts = before.clone();
        parts.push(json!({"text": "Checking"}));
        parts.push(call.clone());
        let request = read(
            &json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": parts}]}),
        );
        let blocks = &request.turns[1].blocks;
        let Content::Reasoning(reasoning) = &blocks[0].content else { panic!("{before:?}: {blocks:?}") };
        assert_eq!(reasoning.text(), "Need the weather.", "{before:?}");
        assert_eq!(reasoning.opaque, std::slice::from_ref(&state), "{before:?}");
        let Content::ToolCall(call) = &blocks[2].content else { panic!("{blocks:?}") };
        assert_eq!((blocks.len(), &call.opaque), (3, &None));
    }
}

#[test]
fn j080_roles_alternate_between_user_and_model() {
    let sent = flash().encode(
        Format::Claude,
        &json!({"model": "m", "max_tokens": 9, "system": "s", "messages": [
            {"role": "user", "content": "a"}, {"role": "user", "content": "b"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "x"}]},
            {"role": "user", "content": "go on"},
        ], "tools": [{"name": "f", "input_schema": {"type": "object"}}]}),
    );
    let roles: Vec<&str> = sent["contents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|content| content["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "model", "user"]);
    assert_eq!(sent["systemInstruction"], json!({"parts": [{"text": "s"}]}));
}

#[test]
fn j081_parallel_calls_are_followed_by_their_responses_in_order_and_by_name() {
    let sent = flash().encode(
        Format::Claude,
        &json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"n": 1}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {"n": 2}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c2", "content": "two"},
                {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
            ]},
        ]}),
    );
    let responses = &sent["contents"][2]["parts"];
    assert_eq!(sent["contents"].as_array().unwrap().len(), 3);
    assert_eq!(
        responses,
        &json!([
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
            {"functionResponse": {"id": "c2", "name": "g", "response": {"output": "two"}}},
        ])
    );
}

#[test]
fn j082_results_are_output_or_error_and_a_gemini_clients_own_stay() {
    let sent = flash().encode(
        Format::Claude,
        &json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "c2", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "fine"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "broken", "is_error": true},
            ]},
        ]}),
    );
    let parts = &sent["contents"][2]["parts"];
    assert_eq!(parts[0]["functionResponse"]["response"], json!({"output": "fine"}));
    assert_eq!(parts[1]["functionResponse"]["response"], json!({"error": "broken"}));

    for response in
        [json!({"result": "x"}), json!({"a": [1, 2.50]}), json!({"error": {"code": 1}}), json!({})]
    {
        let body = json!({"contents": [
            {"role": "user", "parts": [{"text": "a"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]},
        ]});
        let sent = flash().encode(Format::Gemini, &body);
        assert_eq!(sent["contents"][2]["parts"][0]["functionResponse"]["response"], response);
    }
}

#[test]
fn schemas_go_to_the_member_of_the_dialect() {
    let body = json!({"contents": "x", "tools": [{"functionDeclarations": [
        {"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": true}}}},
        {"name": "g"},
    ]}], "generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}});
    let request = read(&body);
    let Tool::Function { schema: Some(schema), .. } = &request.tools[0] else { panic!("{request:?}") };
    assert_eq!(schema.to_value()["properties"]["a"]["type"], json!(["string", "null"]));

    let sent = flash().encode(Format::Gemini, &body);
    let functions = &sent["tools"][0]["functionDeclarations"];
    assert_eq!(functions[0]["parametersJsonSchema"]["properties"]["a"]["type"], json!(["string", "null"]));
    assert_eq!(functions[1], json!({"name": "g"}));
    assert_eq!(sent["generationConfig"]["responseJsonSchema"]["type"], "object");

    let mut old = flash();
    old.profile.schema = SchemaDialect::OpenApi;
    let sent = old.encode(Format::Gemini, &body);
    let parameters = &sent["tools"][0]["functionDeclarations"][0]["parameters"];
    assert_eq!(parameters["properties"]["a"]["nullable"], true);
    assert!(sent["generationConfig"]["responseSchema"].is_object());
    assert!(sent["generationConfig"].get("responseJsonSchema").is_none());
}

#[test]
fn j091_signed_and_unsigned_texts_stay_separate_parts() {
    let parts = json!([{"text": "a"}, {"text": "b", "thoughtSignature": "c2ln"}, {"text": "c"}]);
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": parts}, {"role": "user", "parts": [{"text": "y"}]},
    ]});
    assert_eq!(flash().encode(Format::Gemini, &body)["contents"][1]["parts"], parts);
}

#[test]
fn j096_a_verbatim_google_tool_keeps_its_settings() {
    for (tool, expected) in [
        (json!({"google_search": {}}), json!({"googleSearch": {}})),
        (
            json!({"google_search": {"time_range_filter": {"x": 1.0}}}),
            json!({"googleSearch": {"time_range_filter": {"x": 1.0}}}),
        ),
        (json!({"url_context": {}}), json!({"urlContext": {}})),
        (json!({"code_execution": {}}), json!({"codeExecution": {}})),
    ] {
        let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "tools": [tool]});
        assert_eq!(flash().encode(Format::Claude, &body)["tools"], json!([expected]));
    }
    let body = json!({"contents": "x", "tools": {"googleSearchRetrieval": {"dynamicRetrievalConfig": {}}}});
    assert_eq!(flash().encode(Format::Gemini, &body)["tools"], json!([{"googleSearch": {}}]));
}

#[test]
fn j098_the_choice_among_tools_is_a_mode() {
    let config = |choice: Value| {
        let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
            "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"name": "g", "input_schema": {"type": "object"}}],
            "tool_choice": choice});
        flash().encode(Format::Claude, &body)["toolConfig"]["functionCallingConfig"].clone()
    };
    assert_eq!(
        config(json!({"type": "tool", "name": "f"})),
        json!({"mode": "ANY", "allowedFunctionNames": ["f"]})
    );
    assert_eq!(config(json!({"type": "none"})), json!({"mode": "NONE"}));
    assert_eq!(config(json!({"type": "any"})), json!({"mode": "ANY"}));
    assert_eq!(config(json!({"type": "auto"})), json!({"mode": "AUTO"}));

    let own = |config: Value| {
        let body = json!({"contents": "x", "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}],
            "toolConfig": {"functionCallingConfig": config}});
        flash().encode(Format::Gemini, &body)["toolConfig"]["functionCallingConfig"].clone()
    };
    for kept in [json!({"mode": "VALIDATED"}), json!({"mode": "ANY", "allowedFunctionNames": ["f", "g"]})] {
        assert_eq!(own(kept.clone()), kept);
    }
    assert_eq!(own(json!({"mode": "any"})), json!({"mode": "ANY"}));
}

#[test]
fn j100_the_first_five_stop_sequences_are_native_and_all_are_enforced() {
    let stops = ["1", "2", "3", "4", "5", "6"];
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "stop_sequences": stops});
    let encoded = flash().try_encode(Format::Claude, &body).unwrap();
    let sent: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(sent["generationConfig"]["stopSequences"], json!(stops[..5]));
    let filter: Vec<&str> = encoded.bridge.stop_filter.iter().map(|stop| &**stop).collect();
    assert_eq!(filter, stops);
}

#[test]
fn j101_j102_j105_settings_come_through() {
    let body = json!({"contents": "x", "generationConfig": {
        "candidateCount": 3, "responseLogprobs": true, "logprobs": 5, "seed": 7, "topK": 40, "topP": 0.5,
        "presencePenalty": 0.5, "frequencyPenalty": -0.5, "temperature": 2, "maxOutputTokens": 100,
        "responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}, "languageCode": "de"},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    }});
    let sent = Upstream::new(Profile::gemini(), "gemini-2.5-flash").encode(Format::Gemini, &body);
    assert_eq!(sent["generationConfig"], body["generationConfig"]);
}

#[test]
fn j104_empty_contents_and_missing_arguments_do_not_occur() {
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": []},
        {"role": "model", "parts": [{"text": ""}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": null}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "y"}}}]},
    ]});
    let sent = flash().encode(Format::Gemini, &body);
    let contents = sent["contents"].as_array().unwrap();
    assert!(contents.iter().all(|content| !content["parts"].as_array().unwrap().is_empty()), "{sent}");
    assert_eq!(contents[1]["parts"][0]["functionCall"]["args"], json!({}));
}

#[test]
fn the_golden_follow_up_request_is_what_the_upstream_gets() {
    let golden: Value = serde_json::from_str(&fixture("gemini/next_request.json")).unwrap();
    let claude: Value = serde_json::from_str(&fixture("claude/weather-next.json")).unwrap();
    let mut sent = flash().encode(Format::Claude, &claude);
    let mut expected = golden;
    // This client's own limit; the golden one comes from a client that left room for less.
    for body in [&mut sent, &mut expected] {
        body["generationConfig"]["maxOutputTokens"].take();
    }
    assert_eq!(sent, expected);
}

#[test]
fn a_system_turn_stays_where_it_is() {
    let request = read(&json!({"contents": [
        {"role": "system", "parts": [{"text": "first"}]},
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "system", "parts": [{"text": "later"}]},
    ]}));
    assert_eq!(&*request.instructions[0].text, "first");
    assert!(matches!(request.turns[1].role, Role::Instruction(_)));
}
