//! Requests of Gemini clients: what is read of them.

use cliproxy_wire::format::RequestContext;
use cliproxy_wire::model::Content;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, gemini};
use serde_json::{Value, json};

use super::read;
use crate::support::{Upstream, decode};

/// The names of the members in `snake_case`, values untouched but for the objects and lists in them.
fn snake(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(snake).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let mut spelled = String::new();
                for character in name.chars() {
                    if character.is_uppercase() {
                        spelled.push('_');
                    }
                    spelled.extend(character.to_lowercase());
                }
                (spelled, snake(value))
            })
            .collect(),
        other => other.clone(),
    }
}

#[test]
fn j038_both_spellings_of_every_member_mean_the_same() {
    let body = json!({
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "t"},
                {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
                {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/o"}, "videoMetadata": {"fps": 1}},
            ]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
                {"executableCode": {"language": "PYTHON", "code": "1"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            ]},
            {"role": "user", "parts": [{"functionResponse": {"id": "c", "name": "f", "response": {"output": "x"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}, {"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "safetySettings": [],
        "cachedContent": "cachedContents/1",
        "generationConfig": {
            "maxOutputTokens": 5, "topP": 0.5, "topK": 3.0, "stopSequences": ["z"], "candidateCount": 2,
            "presencePenalty": 0.1, "frequencyPenalty": 0.2, "responseLogprobs": true, "logprobs": 3,
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            "responseModalities": ["TEXT"], "imageConfig": {"aspectRatio": "1:1"},
            "thinkingConfig": {"thinkingBudget": 7, "includeThoughts": true},
        },
    });
    let mut camel = read(&body);
    let mut snake = read(&snake(&body));
    // Parts that only this format knows are carried as they were spelled.
    for request in [&mut camel, &mut snake] {
        for block in request.turns.iter_mut().flat_map(|turn| &mut turn.blocks) {
            if let Content::Hosted(hosted) = &mut block.content {
                hosted.native.value = cliproxy_wire::json::Raw::new("{}");
            }
        }
    }
    assert_eq!(camel, snake);
    assert_eq!(camel.sampling.top_k, Some(3));

    let both = read(
        &json!({"contents": "x", "generation_config": {"top_k": 1}, "generationConfig": {"topK": 2, "top_k": 3}}),
    );
    assert_eq!(both.sampling.top_k, Some(2), "camelCase wins");
}

#[test]
fn j039_contents_as_a_string_an_object_and_a_list_are_the_same() {
    let expected = read(&json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}));
    for contents in [
        json!("hi"),
        json!({"role": "user", "parts": [{"text": "hi"}]}),
        json!({"parts": {"text": "hi"}}),
        json!([{"role": null, "parts": ["hi"]}]),
        json!(["hi"]),
    ] {
        assert_eq!(read(&json!({"contents": contents})), expected, "{contents}");
    }
}

fn results(body: &Value) -> Vec<(String, String)> {
    let upstream = Upstream::new(Profile::claude(), "claude-sonnet-4-5");
    let sent = upstream.encode(Format::Gemini, body);
    let calls: Vec<Value> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|message| message["content"].as_array().unwrap().clone())
        .filter(|block| block["type"] == "tool_use")
        .collect();
    let results = sent["messages"].as_array().unwrap().iter().flat_map(|message| {
        message["content"].as_array().unwrap().iter().filter(|block| block["type"] == "tool_result")
    });
    results
        .map(|result| {
            let call = calls.iter().find(|call| call["id"] == result["tool_use_id"]).unwrap();
            (call["input"].to_string(), result["content"].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

#[test]
fn bytes_in_the_alphabet_for_urls_reach_others_in_the_standard_one() {
    let body = json!({"contents": [{"parts": [
        {"inlineData": {"mimeType": "image/png", "data": "-_79+/8="}}, {"text": "See"}]}]});
    let claude = Upstream::new(Profile::claude(), "claude-sonnet-4-5").encode(Format::Gemini, &body);
    assert_eq!(claude["messages"][0]["content"][0]["source"]["data"], "+/79+/8=");
}

#[test]
fn j040_a_response_without_id_pairs_by_name_and_then_by_order() {
    let call = |name: &str, n: u32| json!({"functionCall": {"name": name, "args": {"n": n}}});
    let said =
        |name: &str, text: &str| json!({"functionResponse": {"name": name, "response": {"output": text}}});
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [call("a", 1), call("b", 2)]},
        {"role": "user", "parts": [said("b", "two"), said("unknown", "one")]},
    ]});
    assert_eq!(results(&body), [(r#"{"n":1}"#.into(), "one".into()), (r#"{"n":2}"#.into(), "two".into())]);
}

#[test]
fn j041_parallel_calls_of_one_name_pair_with_their_responses_in_order() {
    let call = |n: u32| json!({"functionCall": {"name": "f", "args": {"n": n}}});
    let said = |text: &str| json!({"functionResponse": {"name": "f", "response": {"result": text}}});
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [call(1), call(2)]},
        {"role": "function", "parts": [said("one"), said("two")]},
    ]});
    assert_eq!(results(&body), [(r#"{"n":1}"#.into(), "one".into()), (r#"{"n":2}"#.into(), "two".into())]);
}

#[test]
fn j042_instructions_of_several_parts_stay_apart_and_in_order() {
    let request = read(&json!({
        "contents": "x",
        "systemInstruction": {"role": "user", "parts": [{"text": "one"}, {"text": ""}, {"text": "two"}]},
    }));
    let texts: Vec<&str> = request.instructions.iter().map(|instruction| &*instruction.text).collect();
    assert_eq!(texts, ["one", "two"]);
    for instruction in [json!("one"), json!([{"text": "one"}]), json!({"text": "one"})] {
        let request = read(&json!({"contents": "x", "systemInstruction": instruction}));
        assert_eq!(&*request.instructions[0].text, "one");
    }
    let image = json!({"contents": "x", "systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}});
    assert_eq!(
        decode(Format::Gemini, &image).unwrap_err().path().as_deref(),
        Some("systemInstruction.parts[0]")
    );
}

#[test]
fn j046_what_is_no_request_is_refused_with_its_place() {
    for (body, path) in [
        (json!({}), "contents"),
        (json!({"contents": null}), "contents"),
        (json!({"contents": 5}), "contents"),
        (json!({"contents": [{"role": "wizard", "parts": []}]}), "contents[0].role"),
        (
            json!({"contents": "x", "tools": [{"functionDeclarations": [{"description": "d"}]}]}),
            "tools[0].functionDeclarations[0].name",
        ),
        (
            json!({"contents": "x", "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}),
            "toolConfig.functionCallingConfig.mode",
        ),
        (
            json!({"contents": "x", "generationConfig": {"thinkingConfig": {"thinkingBudget": -2}}}),
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        (
            json!({"contents": "x", "generation_config": {"thinking_config": {"thinking_level": "huge"}}}),
            "generation_config.thinking_config.thinking_level",
        ),
    ] {
        let error = decode(Format::Gemini, &body).unwrap_err();
        assert_eq!(error.path().as_deref(), Some(path), "{body}: {error}");
    }
    assert!(
        gemini::decode_request(b"[]", RequestContext { model: "m", stream: false, schemas: None }).is_err()
    );
    assert!(
        gemini::decode_request(
            b"{\"contents\":\"x\"",
            RequestContext { model: "m", stream: false, schemas: None }
        )
        .is_err()
    );
    assert_eq!(
        gemini::decode_request(
            b"{\"contents\":\"x\"}",
            RequestContext { model: "", stream: false, schemas: None }
        )
        .unwrap_err()
        .path()
        .as_deref(),
        Some("model")
    );
}

#[test]
fn an_envelope_is_opened_and_its_model_counts_without_one_in_the_path() {
    let body = br#"{"model":"models/g","project":"p","user_prompt_id":"u","request":{"contents":"x","session_id":"s"}}"#;
    let request =
        gemini::decode_request(body, RequestContext { model: "", stream: true, schemas: None }).unwrap();
    assert_eq!((request.model.as_str(), request.stream, request.turns.len()), ("g", true, 1));
    assert_eq!(request.ext.get("user_prompt_id").unwrap().as_str(), r#""u""#);
    assert_eq!(request.ext.get("session_id").unwrap().as_str(), r#""s""#);
}
