//! Models of other makers behind an Antigravity login.

use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use super::{VALID, enveloped, start};
use crate::support;

const CLAUDE: &str = "claude-opus-4-6-thinking";
const OPEN: &str = "gpt-oss-120b-medium";
const SIGNATURE: &str = "EqQBZG9vci1zaWduYXR1cmU=";
const THOUGHT: &str = "The weather is asked for.";

fn account() -> Value {
    json!({"type": "antigravity", "access_token": "access", "refresh_token": "refresh", "expired": VALID, "project_id": "p"})
}

/// The door to Claude: refuses what it does not take, calls the tool that it is offered, and sums up its result.
fn claude(received: &Received) -> Script {
    let body = received.json();
    if let Err(complaint) = checked(&body) {
        let error = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": complaint}});
        return Script::json(400, error.to_string());
    }
    let request = &body["request"];
    let results = parts(request).filter(|part| part.get("functionResponse").is_some()).count();
    let parts = if request.get("tools").is_some() && results == 0 {
        let args = json!({"city": "Paris", "where": {"_": true}});
        json!([{"text": THOUGHT, "thought": true, "thoughtSignature": SIGNATURE},
            {"functionCall": {"id": "toolu_1", "name": "weather", "args": args}}])
    } else {
        json!([{"text": support::TEXT}])
    };
    let answer = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}, "modelVersion": CLAUDE});
    if support::asks_stream(received) {
        return Script::events(vec![format!("data: {}\n\n", enveloped(&answer)).into()]);
    }
    Script::json(200, enveloped(&answer).to_string())
}

fn parts(request: &Value) -> impl Iterator<Item = &Value> {
    request["contents"].as_array().unwrap().iter().flat_map(|content| content["parts"].as_array().unwrap())
}

/// What is known of what this door refuses.
fn checked(body: &Value) -> Result<(), String> {
    let request = &body["request"];
    for tool in request["tools"].as_array().into_iter().flatten() {
        for function in tool["functionDeclarations"].as_array().into_iter().flatten() {
            if function.get("parametersJsonSchema").is_some() {
                return Err("parametersJsonSchema".to_owned());
            }
            demanding(&function["parameters"])?;
        }
        if request["toolConfig"]["functionCallingConfig"] != json!({"mode": "VALIDATED"}) {
            return Err(format!("mode: {}", request["toolConfig"]));
        }
    }
    let mut open = Vec::new();
    for part in parts(request) {
        if part["text"] == "" {
            return Err("text content blocks must be non-empty".to_owned());
        }
        if part["thought"] == true && part["thoughtSignature"] != SIGNATURE {
            return Err(format!("Invalid signature in thinking block: {part}"));
        }
        if let Some(call) = part.get("functionCall") {
            open.push(call["id"].as_str().ok_or("a call without id")?.to_owned());
        }
        if let Some(result) = part.get("functionResponse") {
            let id = result["id"].as_str().ok_or("a result without id")?;
            open.retain(|open| open != id);
        }
    }
    if !open.is_empty() {
        return Err(format!("calls without result: {open:?}"));
    }
    let config = &request["generationConfig"];
    if let Some(budget) = config["thinkingConfig"]["thinkingBudget"].as_i64() {
        let limit = config["maxOutputTokens"].as_i64();
        if budget != -1 && (budget < 1024 || limit.is_none_or(|limit| limit <= budget)) {
            return Err(format!("thinking: {config}"));
        }
    }
    if config["maxOutputTokens"].as_i64().is_some_and(|limit| limit > 64_000) {
        return Err(format!("maxOutputTokens: {config}"));
    }
    Ok(())
}

/// Whether every object has a member that must be given, and nothing is said that a schema here cannot hold.
fn demanding(schema: &Value) -> Result<(), String> {
    let Value::Object(members) = schema else { return Err(format!("no schema: {schema}")) };
    for name in members.keys() {
        if !["type", "properties", "required", "items", "enum", "description", "nullable", "title"]
            .contains(&&**name)
        {
            return Err(format!("{name} in {schema}"));
        }
    }
    if members["type"] == "object" {
        let required = schema["required"].as_array().filter(|names| !names.is_empty());
        for name in required.ok_or_else(|| format!("nothing required: {schema}"))? {
            demanding(&schema["properties"][name.as_str().unwrap()])?;
        }
    }
    let properties = schema["properties"].as_object().into_iter().flat_map(|properties| properties.values());
    properties.chain(schema.get("items")).try_for_each(demanding)
}

/// The tool, as a client of this format declares it.
fn tool(format: &str) -> Value {
    let schema = json!({"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {
            "city": {"type": "string", "minLength": 1},
            "unit": {"anyOf": [{"type": "string", "enum": ["c", "f"]}, {"type": "null"}], "default": "c"},
            "where": {"type": "object", "properties": {"street": {"type": ["string", "null"]}}, "additionalProperties": false},
        },
        "required": ["city"], "additionalProperties": false});
    match format {
        "chat" => json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}]),
        "responses" => json!([{"type": "function", "name": "weather", "parameters": schema}]),
        "claude" => json!([{"name": "weather", "input_schema": schema}]),
        _ => json!([{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": schema}]}]),
    }
}

/// The first turn of a client of this format that wants to see thoughts.
fn first(format: &str) -> (String, Value) {
    let (path, mut body) = support::request(format, CLAUDE, false);
    body["tools"] = tool(format);
    match format {
        "chat" => body["reasoning_effort"] = json!("low"),
        "responses" => {
            body["input"] = json!([{"role": "user", "content": "hi"}]);
            body["reasoning"] = json!({"effort": "low", "summary": "auto"});
            body["include"] = json!(["reasoning.encrypted_content"]);
        }
        "claude" => {
            body["max_tokens"] = json!(100_000);
            body["thinking"] = json!({"type": "enabled", "budget_tokens": 2000});
        }
        _ => {
            body["generationConfig"] = json!({"maxOutputTokens": 4000, "thinkingConfig": {"thinkingBudget": 9000, "includeThoughts": true}});
        }
    }
    (path, body)
}

/// The arguments that the client read, and the next turn, with the answer as the client keeps it.
fn second(format: &str, first: &Value, answer: &Value) -> (Value, Value) {
    let mut next = first.clone();
    let add = |list: &mut Value, items: Vec<Value>| list.as_array_mut().unwrap().extend(items);
    let arguments = match format {
        "chat" => {
            let message = &answer["choices"][0]["message"];
            let call = &message["tool_calls"][0];
            let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "21"});
            add(&mut next["messages"], vec![message.clone(), result]);
            serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap()
        }
        "responses" => {
            let items = answer["output"].as_array().unwrap();
            let call = items.iter().find(|item| item["type"] == "function_call").unwrap();
            let result = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "21"});
            add(&mut next["input"], items.iter().cloned().chain([result]).collect());
            serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap()
        }
        "claude" => {
            let call = answer["content"]
                .as_array()
                .unwrap()
                .iter()
                .find(|block| block["type"] == "tool_use")
                .unwrap();
            let result = json!({"type": "tool_result", "tool_use_id": call["id"], "content": "21"});
            let turns = [
                json!({"role": "assistant", "content": answer["content"]}),
                json!({"role": "user", "content": [result]}),
            ];
            add(&mut next["messages"], turns.to_vec());
            call["input"].clone()
        }
        _ => {
            let content = &answer["candidates"][0]["content"];
            let call = content["parts"]
                .as_array()
                .unwrap()
                .iter()
                .find_map(|part| part.get("functionCall"))
                .unwrap();
            let result = json!({"functionResponse": {"id": call["id"], "name": "weather", "response": {"output": "21"}}});
            add(&mut next["contents"], vec![content.clone(), json!({"role": "user", "parts": [result]})]);
            call["args"].clone()
        }
    };
    (arguments, next)
}

async fn served(gateway: &Gateway, path: &str, body: &Value) -> Value {
    let answer = support::ask(gateway, path, body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_thinks_and_calls_for_every_client_format() {
    let upstream = Upstream::start(claude).await;
    let gateway = start("antigravity", &upstream, &[("a", account())], "");
    for format in support::FORMATS {
        let (path, body) = first(format);
        let answer = served(&gateway, &path, &body).await;
        assert!(answer.to_string().contains(THOUGHT), "{format}: {answer:#}");
        let (arguments, next) = second(format, &body, &answer);
        assert_eq!(arguments, json!({"city": "Paris", "where": {}}), "{format}: {answer:#}");
        let answer = served(&gateway, &path, &next).await;
        assert_eq!(support::text_of(format, false, &answer.to_string()), support::TEXT, "{format}");
        let sent = upstream.received().pop().unwrap().json();
        assert_eq!(sent["model"], CLAUDE);
        let thought = parts(&sent["request"]).find(|part| part["thought"] == true);
        assert_eq!(thought.unwrap()["thoughtSignature"], SIGNATURE, "{format}: {sent:#}");
        let config = &sent["request"]["generationConfig"];
        let expected = match format {
            "claude" => (2000, 64_000),
            "gemini" => (3999, 4000),
            _ => (1024, 64_000),
        };
        let told = (config["thinkingConfig"]["thinkingBudget"].as_u64(), config["maxOutputTokens"].as_u64());
        assert_eq!(told, (Some(expected.0), Some(expected.1)), "{format}: {sent:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_and_open_models_answer_whole_and_as_a_stream() {
    let upstream = Upstream::start(claude).await;
    let gateway = start("antigravity", &upstream, &[("a", account())], "");
    for model in [CLAUDE, "claude-sonnet-4-6", OPEN] {
        for format in support::FORMATS {
            for is_stream in [false, true] {
                let answer = support::ask_model(&gateway, format, model, is_stream).await;
                assert_eq!(answer.status, 200, "{model} {format}: {}", answer.body);
                assert_eq!(
                    support::text_of(format, is_stream, &answer.body),
                    support::TEXT,
                    "{model} {format}"
                );
                let config = upstream.received().pop().unwrap().json()["request"]["generationConfig"].take();
                // Only Claude clients say a limit here, and only Claude models take one.
                let takes_limit = format == "claude" && model != OPEN;
                assert_eq!(
                    config.get("maxOutputTokens").is_some(),
                    takes_limit,
                    "{model} {format}: {config}"
                );
            }
        }
    }
    let listed = support::get(&gateway, "/v1/models").await.body;
    for model in [CLAUDE, OPEN] {
        assert!(listed.contains(model), "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_of_other_makers_and_budgets_too_small_stay_behind() {
    let upstream = Upstream::start(claude).await;
    let gateway = start("antigravity", &upstream, &[("a", account())], "");
    let thinking =
        json!({"type": "thinking", "thinking": "elsewhere", "signature": "EqQBYW50aHJvcGljcy1vd24="});
    let body = json!({
    "model": CLAUDE, "max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 1024},
    "temperature": 0.5, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [thinking, {"type": "text", "text": "Yes?"}]},
        {"role": "user", "content": "go on"},
    ]});
    served(&gateway, "/v1/messages", &body).await;
    let sent = upstream.received().pop().unwrap().json();
    assert!(!sent.to_string().contains("elsewhere"), "{sent}");
    // Thinking takes no other temperature than its own.
    let thinking = json!({"thinkingBudget": 1024, "includeThoughts": true});
    let expected = json!({"maxOutputTokens": 5000, "thinkingConfig": thinking});
    assert_eq!(sent["request"]["generationConfig"], expected);
    let (path, mut small) = support::request("chat", CLAUDE, false);
    small["max_tokens"] = json!(900);
    small["reasoning_effort"] = json!("high");
    let answer = support::ask(&gateway, &path, &small).await;
    assert_eq!(
        (answer.status, answer.header("x-gateway-dropped")),
        (200, "reasoning_effort"),
        "{}",
        answer.body
    );
    let sent = upstream.received().pop().unwrap().json();
    assert_eq!(sent["request"]["generationConfig"], json!({"maxOutputTokens": 900}));
    // A choice that cannot be forced is left to the model, and said to be.
    let mut forced = first("chat").1;
    forced["tool_choice"] = json!("required");
    let answer = support::ask(&gateway, "/v1/chat/completions", &forced).await;
    assert_eq!((answer.status, answer.header("x-gateway-dropped")), (200, "tool_choice"), "{}", answer.body);
}
