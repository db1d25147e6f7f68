//! xAI: accounts at the door of its client and at the public address, and keys.

use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support;

const MODEL: &str = "grok-4.5";

fn account(upstream: &Upstream, name: &str) -> Value {
    let url = upstream.url();
    json!({
        "type": "xai", "access_token": format!("access-{name}"), "refresh_token": format!("refresh-{name}"),
        "id_token": support::token(&json!({"sub": name})), "email": format!("{name}@b.c"), "sub": name,
        "expired": "2099-01-01T00:00:00Z", "base_url": format!("{url}/public/"), "auth_kind": "oauth",
        "token_endpoint": format!("{url}/token"),
    })
}

/// A gateway whose xAI, by all of its addresses, is `upstream`.
fn start(upstream: &Upstream, accounts: &[(&str, Value)], config: &str) -> Gateway {
    let url = upstream.url();
    let config = format!(
        "oauth-endpoints:\n  xai: {{setup-url: '{url}/discovery', base-url: '{url}/door'}}\nrequest-retry: 0\n{config}"
    );
    support::start_with(&config, accounts)
}

/// Refuses what xAI refuses; else streams an answer whose end leaves the items out.
fn service(received: &Received) -> Script {
    let body = received.json();
    for name in
        ["stop", "previous_response_id", "prompt_cache_retention", "safety_identifier", "stream_options"]
    {
        if body.get(name).is_some() {
            let error =
                json!({"code": "invalid-argument", "error": format!("Argument not supported: {name}")});
            return Script::json(400, error.to_string());
        }
    }
    support::streamed(&support::bare_events())
}

fn asked(upstream: &Upstream, token: &str) -> usize {
    let bearer = format!("Bearer {token}");
    upstream.received().iter().filter(|received| received.header("authorization") == bearer).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_serves_every_client_format_at_the_door_of_its_client() {
    let upstream = Upstream::start(service).await;
    let gateway = start(&upstream, &[("xai-a.json", account(&upstream, "a"))], "");
    for format in support::FORMATS {
        for is_stream in [false, true] {
            let answer = support::ask_model(&gateway, format, MODEL, is_stream).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of(format, is_stream, &answer.body), support::TEXT, "{format}");
            assert!(!is_stream || support::is_complete(format, &answer.body), "{format}: {}", answer.body);
        }
    }
    for received in upstream.received() {
        assert_eq!(
            (received.path.as_str(), received.header("authorization")),
            ("/door/responses", "Bearer access-a")
        );
        assert_eq!(received.header("x-xai-token-auth"), "xai-grok-cli");
        assert!(received.header("user-agent").starts_with("cli-proxy-api/"));
        let body = received.json();
        assert_eq!((&body["model"], &body["stream"]), (&json!(MODEL), &json!(true)));
        assert_eq!(body["prompt_cache_key"], received.header("x-grok-conv-id"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_accounts_that_say_so_are_asked_at_the_public_address() {
    let upstream = Upstream::start(service).await;
    let url = upstream.url();
    let mut file = account(&upstream, "a");
    file["using_api"] = json!(true);
    let keys = format!(
        "xai-api-key:\n  - {{api-key: upstream-key-0001, base-url: '{url}/v1', excluded-models: ['grok-3-*'], priority: 1}}\n"
    );
    let gateway = start(&upstream, &[("xai-a.json", file)], &keys);
    let answer = support::ask_model(&gateway, "chat", MODEL, true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = support::ask_model(&gateway, "chat", "grok-3-mini", false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let received = upstream.received();
    let told = |at: usize| (received[at].path.as_str(), received[at].header("authorization"));
    assert_eq!(told(0), ("/v1/responses", "Bearer upstream-key-0001"));
    assert_eq!(told(1), ("/public/responses", "Bearer access-a"));
    assert!(received.iter().all(|received| received.header("x-xai-token-auth").is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responses_client_keeps_its_bytes_and_gets_free_form_tools_back() {
    let upstream = Upstream::start(|received| {
        if !received.json()["tools"].is_array() {
            return service(received);
        }
        let item = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "patch", "status": "completed",
            "arguments": "{\"input\":\"*** Begin\"}"});
        let done = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
        let end = json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}});
        support::streamed(&format!("data: {done}\n\ndata: {end}\n\n"))
    })
    .await;
    let gateway = start(&upstream, &[("xai-a.json", account(&upstream, "a"))], "");
    let body = r#"{"model":"grok-4.5", "input":"h\u0069","safety_identifier":"u","temperature":0.50,"stream":true,"prompt_cache_key":"k"}"#;
    let request = support::posting(&gateway, "/v1/responses", &Value::Null).body(body);
    let answer = support::send(request).await;
    assert_eq!(
        (answer.status, answer.header("x-gateway-dropped")),
        (200, "safety_identifier"),
        "{}",
        answer.body
    );
    let received = upstream.received().remove(0);
    assert_eq!(
        std::str::from_utf8(&received.body).unwrap(),
        body.replace("\"safety_identifier\":\"u\",", "")
    );
    let body = json!({"model": MODEL, "input": "hi", "tools": [{"type": "custom", "name": "patch"}]});
    let answer = support::ask(&gateway, "/v1/responses", &body).await.json();
    assert_eq!(
        (&answer["output"][0]["type"], &answer["output"][0]["input"]),
        (&json!("custom_tool_call"), &json!("*** Begin"))
    );
    assert_eq!(upstream.received()[1].json()["tools"][0]["type"], "function");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_are_renewed_although_they_are_told_as_forbidden() {
    let upstream = Upstream::start(|received| match received.path.as_str() {
        "/token" => Script::json(
            200,
            json!({"access_token": "access-new", "refresh_token": "refresh-new", "expires_in": 3600}).to_string(),
        ),
        _ if received.header("authorization") == "Bearer access-new" => service(received),
        _ => {
            let error = json!({"code": "unauthenticated:bad-credentials", "error": "The OAuth2 access token could not be validated."});
            Script::json(403, error.to_string())
        }
    })
    .await;
    let gateway = start(&upstream, &[("xai-a.json", account(&upstream, "a"))], "");
    let asked = (0..4).map(|_| support::ask_model(&gateway, "claude", MODEL, true));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let exchanges: Vec<Received> =
        upstream.received().into_iter().filter(|received| received.path == "/token").collect();
    let [exchange] = exchanges.as_slice() else { panic!("{} exchanges", exchanges.len()) };
    assert!(exchange.body.windows(23).any(|part| part == b"refresh_token=refresh-a"), "{:?}", exchange.body);
    let file = support::auth_file(&gateway, "xai-a.json");
    assert_eq!((&file["refresh_token"], &file["expires_in"]), (&json!("refresh-new"), &json!(3600)));
}

#[tokio::test(flavor = "multi_thread")]
async fn used_up_included_usage_rests_the_account_for_a_day() {
    let upstream = Upstream::start(|received| {
        if received.header("authorization") == "Bearer access-a" {
            let error = json!({"code": "subscription:free-usage-exhausted", "error": "You've used all the included free usage."});
            return Script::json(429, error.to_string());
        }
        service(received)
    })
    .await;
    let mut first = account(&upstream, "a");
    first["priority"] = json!(1);
    let accounts = [("xai-a.json", first), ("xai-b.json", account(&upstream, "b"))];
    let gateway = start(&upstream, &accounts, "");
    for model in [MODEL, "grok-4.3"] {
        let answer = support::ask_model(&gateway, "gemini", model, true).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!((asked(&upstream, "access-a"), asked(&upstream, "access-b")), (1, 2));
    std::fs::remove_file(gateway.accounts().join("xai-b.json")).unwrap();
    gateway.said("auth files changed", 1);
    let refused = support::ask_model(&gateway, "chat", MODEL, false).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 23 * 3600, "{:?}", refused.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_and_a_dead_login_leave_the_others_serving() {
    let upstream = Upstream::start(|received| match received.path.as_str() {
        "/token" => {
            Script::json(400, json!({"error": "invalid_grant", "error_description": "revoked"}).to_string())
        }
        _ if received.header("authorization") == "Bearer access-b" => support::streamed(""),
        _ => service(received),
    })
    .await;
    let mut dead = account(&upstream, "a");
    dead["expired"] = json!("2020-01-01T00:00:00Z");
    let mut empty = account(&upstream, "b");
    empty["priority"] = json!(1);
    let accounts = [("xai-a.json", dead), ("xai-b.json", empty), ("xai-c.json", account(&upstream, "c"))];
    let gateway = start(&upstream, &accounts, "oauth-model-alias:\n  xai: [{name: grok-4.5, alias: best}]\n");
    gateway.said("log in again: cli-proxy-api --xai-login", 1);
    let answer = support::ask_model(&gateway, "responses", "best", false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((asked(&upstream, "access-b"), asked(&upstream, "access-c")), (1, 1));
    assert_eq!(upstream.received().pop().unwrap().json()["model"], MODEL);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_made_at_the_public_address_in_its_own_form() {
    let upstream = Upstream::start(|received| match received.path.as_str() {
        "/public/images/generations" | "/public/images/edits" | "/v1/images/generations" => {
            Script::json(200, r#"{"data":[{"b64_json":"QUE=","revised_prompt":"r"}],"usage":{"input_tokens":3,"output_tokens":4}}"#)
        }
        _ => Script::json(404, ""),
    })
    .await;
    let key = format!(
        "xai-api-key:\n  - {{api-key: upstream-key-0001, base-url: '{}/v1', models: [{{name: grok-2-image, alias: drawn}}]}}\n",
        upstream.url()
    );
    let gateway = start(&upstream, &[("xai-a.json", account(&upstream, "a"))], &key);
    let mut order =
        json!({"model": "grok-imagine-image", "prompt": "a heron", "size": "1024x1536", "quality": "high"});
    let answer = support::ask(&gateway, "/v1/images/generations", &order).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["data"][0]["b64_json"], "QUE=");
    assert!(
        answer.json()["created"].is_u64() && answer.header("x-gateway-dropped") == "quality",
        "{}",
        answer.body
    );
    let sent = upstream.received().pop().unwrap();
    assert_eq!(
        (sent.path.as_str(), sent.header("authorization")),
        ("/public/images/generations", "Bearer access-a")
    );
    assert_eq!(sent.header("x-xai-token-auth"), "", "it is not asked at the door of its client");
    let expected = json!({"model": "grok-imagine-image", "prompt": "a heron", "response_format": "b64_json", "aspect_ratio": "2:3"});
    assert_eq!(sent.json(), expected);
    // What it cannot stream comes whole, as the events of one.
    order["stream"] = json!(true);
    let answer = support::ask(&gateway, "/v1/images/generations", &order).await;
    assert!(answer.header("content-type").starts_with("text/event-stream"), "{:?}", answer.body);
    assert!(answer.body.starts_with("event: image_generation.completed\ndata: {"), "{}", answer.body);
    let form = "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngrok-imagine-image\r\n--X\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nbluer\r\n--X\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nBB\r\n--X--\r\n";
    let request = support::client().post(format!("{}/v1/images/edits", gateway.url()));
    let answer =
        support::send(request.header("content-type", "multipart/form-data; boundary=X").body(form)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let sent = upstream.received().pop().unwrap();
    assert_eq!(
        (sent.path.as_str(), sent.header("content-type")),
        ("/public/images/edits", "application/json")
    );
    assert_eq!(sent.json()["image"], json!({"type": "image_url", "url": "data:image/png;base64,QkI="}));
    order["model"] = json!("drawn");
    assert_eq!(support::ask(&gateway, "/v1/images/generations", &order).await.status, 200);
    let sent = upstream.received().pop().unwrap();
    assert_eq!(
        (sent.path.as_str(), &sent.json()["model"]),
        ("/v1/images/generations", &json!("grok-2-image"))
    );
    // Refusals are the client's own, with their place, and ask nobody.
    let asked = upstream.received().len();
    let image = json!("data:image/png;base64,QUE=");
    for (path, members, told) in [
        ("/v1/images/generations", json!({"prompt": null}), "prompt"),
        ("/v1/images/generations", json!({"prompt": "p", "size": "big"}), "WIDTHxHEIGHT"),
        ("/v1/images/edits", json!({"prompt": "p"}), "image"),
        ("/v1/images/edits", json!({"prompt": "p", "image": image, "mask": image}), "whole images"),
    ] {
        let mut body = json!({"model": "grok-imagine-image"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let answer = support::ask(&gateway, path, &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(answer.error("chat").2.contains(told), "{body}: {}", answer.body);
    }
    let answer = support::ask_model(&gateway, "responses", "grok-imagine-image", true).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(upstream.received().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_of_x_is_offered_where_the_owner_wants_it() {
    for is_wanted in [true, false] {
        let upstream = Upstream::start(service).await;
        let config = format!("xai: {{inject-x-search: {is_wanted}}}\n");
        let gateway = start(&upstream, &[("xai-a.json", account(&upstream, "a"))], &config);
        for format in support::FORMATS {
            let answer = support::ask_model(&gateway, format, "grok-4.5", true).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            let tools = upstream.received().pop().unwrap().json()["tools"].take();
            let expected = if is_wanted { json!([{"type": "x_search"}]) } else { Value::Null };
            assert_eq!(tools, expected, "{format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_hang_the_door_are_written_without_references_and_alternatives() {
    let upstream = Upstream::start(service).await;
    let gateway = start(&upstream, &[("xai-a.json", account(&upstream, "a"))], "");
    let schema = json!({"type": "object", "properties": {"a": {"oneOf": [{"$ref": "#/$defs/A"}, {"type": "string"}]}},
        "$defs": {"A": {"type": "object", "properties": {"x": {"type": "integer"}}}}});
    for format in support::FORMATS {
        let (path, mut body) = support::request(format, "grok-4.5", true);
        body["tools"] = match format {
            "chat" => json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]),
            "responses" => json!([{"type": "function", "name": "f", "parameters": schema}]),
            "claude" => json!([{"name": "f", "input_schema": schema}]),
            _ => json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]),
        };
        assert_eq!(support::ask(&gateway, &path, &body).await.status, 200, "{format}");
        let parameters = upstream.received().pop().unwrap().json()["tools"][0]["parameters"].take();
        assert_eq!(
            parameters["properties"]["a"]["properties"]["x"]["type"], "integer",
            "{format}: {parameters}"
        );
        let text = parameters.to_string();
        assert!(
            !text.contains("oneOf") && !text.contains("anyOf") && !text.contains("$ref"),
            "{format}: {text}"
        );
    }
}
