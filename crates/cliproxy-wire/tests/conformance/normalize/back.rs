//! The way back: what was made to fit is led back for the client.

use cliproxy_wire::format::Format::{Claude, Gemini, Responses};
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use super::{answered, gemini3};
use crate::support::Upstream;

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
