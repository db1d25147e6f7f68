//! ChatGPT accounts: the Codex backend behind every client format.

use bytes::Bytes;
use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support;

const MODEL: &str = "gpt-5.5";
const VALID: &str = "2099-01-01T00:00:00Z";

/// An auth file as other programs write it; the token names the account.
fn account(name: &str, plan: &str, expired: &str) -> Value {
    let claims = json!({
        "email": format!("{name}@b.c"),
        "https://api.openai.com/auth": {"chatgpt_account_id": format!("id-{name}"), "chatgpt_plan_type": plan},
    });
    json!({
        "type": "codex", "id_token": support::token(&claims), "access_token": format!("access-{name}"),
        "refresh_token": format!("refresh-{name}"), "account_id": format!("id-{name}"), "email": format!("{name}@b.c"),
        "expired": expired, "last_refresh": "2026-01-01T00:00:00Z", "x_unknown": 1.5,
    })
}

/// A gateway with these accounts, whose backend and identity provider are `upstream`.
fn start(upstream: &Upstream, accounts: &[(&str, Value)], config: &str) -> Gateway {
    let url = upstream.url();
    let config = format!(
        "oauth-endpoints:\n  codex: {{token-url: '{url}/token', base-url: '{url}/codex'}}\nrequest-retry: 0\n{config}"
    );
    let named: Vec<(String, Value)> =
        accounts.iter().map(|(name, account)| (format!("codex-{name}.json"), account.clone())).collect();
    let named: Vec<(&str, Value)> = named.iter().map(|(name, account)| (&**name, account.clone())).collect();
    support::start_with(&config, &named)
}

/// What the backend streams: its own events between those of the format, and an end that leaves the items out.
fn events() -> String {
    let limits =
        "event: codex.rate_limits\ndata: {\"type\":\"codex.rate_limits\",\"plan_type\":\"plus\"}\n\n";
    format!("{limits}{}", support::bare_events())
}

fn answer() -> Script {
    support::streamed(&events())
}

/// What the backend refuses of a request, in its words.
fn refused(received: &Received) -> Option<Script> {
    let body = received.json();
    let detail = |detail: &str| Some(Script::json(400, json!({"detail": detail}).to_string()));
    for name in ["max_output_tokens", "temperature", "top_p", "user", "metadata", "previous_response_id"] {
        if body.get(name).is_some() {
            return detail(&format!("Unsupported parameter: {name}"));
        }
    }
    if received.header("chatgpt-account-id").is_empty() {
        return Some(Script::json(401, json!({"detail": "Unauthorized"}).to_string()));
    }
    if received.path.ends_with("/compact") {
        return body
            .get("stream")
            .is_some()
            .then(|| Script::json(400, json!({"detail": "stream"}).to_string()));
    }
    if body["stream"] != json!(true) {
        return detail("Stream must be set to true");
    }
    if body["store"] != json!(false) {
        return detail("Store must be set to false");
    }
    if !body["instructions"].is_string() {
        return detail("Instructions are required");
    }
    let Some(input) = body["input"].as_array() else { return detail("Input must be a list") };
    if input.iter().any(|item| item["role"] == "system") {
        return detail("System messages are not allowed");
    }
    if input.iter().any(|item| item.get("id").is_some()) {
        return detail("Item not found");
    }
    None
}

fn backend(received: &Received) -> Script {
    refused(received).unwrap_or_else(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_format_is_served_whole_and_as_a_stream() {
    let upstream = Upstream::start(backend).await;
    let gateway = start(&upstream, &[("a", account("a", "plus", VALID))], "");
    for format in support::FORMATS {
        for is_stream in [false, true] {
            let answer = support::ask_model(&gateway, format, MODEL, is_stream).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of(format, is_stream, &answer.body), support::TEXT, "{format}");
            assert!(!is_stream || support::is_complete(format, &answer.body), "{format}: {}", answer.body);
            assert!(format == "responses" || !answer.body.contains("rate_limits"), "{}", answer.body);
        }
    }
    for received in upstream.received() {
        assert_eq!(received.path, "/codex/responses");
        assert_eq!(received.header("authorization"), "Bearer access-a");
        assert_eq!(received.header("chatgpt-account-id"), "id-a");
        assert_eq!(received.header("originator"), "cli-proxy-api");
        assert!(received.header("user-agent").starts_with("cli-proxy-api/"));
        let body = received.json();
        assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
        assert_eq!(body["prompt_cache_key"], received.header("session_id"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responses_client_keeps_its_bytes_but_for_what_the_backend_refuses() {
    let upstream = Upstream::start(backend).await;
    let gateway = start(&upstream, &[("a", account("a", "plus", VALID))], "");
    let body = r#"{"model":"gpt-5.5", "input":[{"role":"system","content":"\u00e9"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAAAB"},{"role":"user","content":"hi"}],"temperature":0.5,"future":1.0e3,"stream":true}"#;
    let request = support::posting(&gateway, "/v1/responses", &Value::Null).header("session_id", "mine");
    let answer = support::send(request.body(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("x-gateway-dropped"), "temperature");
    let received = upstream.received().remove(0);
    assert_eq!(
        std::str::from_utf8(&received.body).unwrap(),
        r#"{"model":"gpt-5.5", "input":[{"role":"developer","content":"\u00e9"},{"type":"reasoning","summary":[],"encrypted_content":"gAAAAAB"},{"role":"user","content":"hi"}],"future":1.0e3,"stream":true,"store":false,"include":["reasoning.encrypted_content"],"instructions":"","prompt_cache_key":"mine"}"#
    );
    assert_eq!(received.header("session_id"), "mine");
    // The end has the items; everything before it is the upstream's.
    let sent = events();
    let (start, _) = sent.split_at(sent.find("event: response.completed").unwrap());
    let end = answer.body.strip_prefix(start).unwrap_or_else(|| panic!("{}", answer.body));
    let end: Value = serde_json::from_str(end.split_once("data: ").unwrap().1).unwrap();
    assert_eq!(end["response"]["output"], support::body("responses")["output"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_turn_is_to_say_again_goes_to_the_client_and_comes_back() {
    let upstream =
        Upstream::start(|received| backend(received).header("x-codex-turn-state", "state-1")).await;
    let gateway = start(&upstream, &[("a", account("a", "plus", VALID))], "");
    let (path, body) = support::request("responses", MODEL, true);
    let first = support::ask(&gateway, &path, &body).await;
    assert_eq!(first.header("x-codex-turn-state"), "state-1");
    let again = support::posting(&gateway, &path, &body).header("x-codex-turn-state", "state-1");
    assert_eq!(support::send(again).await.status, 200);
    assert_eq!(upstream.received()[1].header("x-codex-turn-state"), "state-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_compacted_by_the_backend() {
    const COMPACTED: &str = r#"{"output":[{"type":"compaction","encrypted_content":"gAAAAAB","x":1.0}]}"#;
    let upstream =
        Upstream::start(|received| refused(received).unwrap_or_else(|| Script::json(200, COMPACTED))).await;
    let gateway = start(&upstream, &[("a", account("a", "plus", VALID))], "");
    let body = json!({"model": MODEL, "input": [{"role": "user", "content": "hi", "id": "msg_1"}], "stream": false, "store": true});
    let answer = support::ask(&gateway, "/v1/responses/compact", &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, COMPACTED));
    let received = upstream.received().remove(0);
    assert_eq!(
        (received.path.as_str(), received.header("accept")),
        ("/codex/responses/compact", "application/json")
    );
    let sent = received.json();
    assert!(sent.get("store").is_none() && sent["instructions"] == "", "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_without_the_backend() {
    let upstream = Upstream::start(backend).await;
    let gateway = start(&upstream, &[("a", account("a", "plus", VALID))], "");
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    let answer = support::ask(&gateway, "/v1/messages/count_tokens", &body).await;
    assert_eq!((answer.status, answer.header("x-gateway-estimated")), (200, "true"), "{}", answer.body);
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_plan_rests_until_it_begins_anew_and_another_account_serves() {
    let upstream = Upstream::start(|received| {
        if received.header("chatgpt-account-id") == "id-a" {
            let error = json!({"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached",
                "plan_type": "plus", "resets_in_seconds": 3600}});
            return Script::json(429, error.to_string());
        }
        backend(received)
    })
    .await;
    let mut first = account("a", "plus", VALID);
    first["priority"] = json!(1);
    let gateway = start(&upstream, &[("a", first), ("b", account("b", "plus", VALID))], "");
    for model in [MODEL, "gpt-5.4"] {
        for format in support::FORMATS {
            let answer = support::ask_model(&gateway, format, model, false).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        }
    }
    let asked = |id: &str| {
        upstream.received().iter().filter(|received| received.header("chatgpt-account-id") == id).count()
    };
    assert_eq!((asked("id-a"), asked("id-b")), (1, 8), "the plan is the account's, whatever the model");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overload_inside_a_stream_that_said_nothing_moves_on() {
    let overload = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n\
        data: {\"type\":\"codex.rate_limits\",\"plan_type\":\"plus\"}\n\n\
        data: {\"type\":\"response.failed\",\"response\":{\"id\":\"r\",\"error\":{\"code\":\"server_is_overloaded\",\"message\":\"busy\"}}}\n\n";
    for empty in [overload, ""] {
        let upstream = Upstream::start(move |received| {
            let is_first = received.header("chatgpt-account-id") == "id-a";
            if is_first {
                Script::events(vec![Bytes::from_static(empty.as_bytes())])
            } else {
                backend(received)
            }
        })
        .await;
        for format in support::FORMATS {
            for is_stream in [false, true] {
                let mut first = account("a", "plus", VALID);
                first["priority"] = json!(1);
                let gateway = start(&upstream, &[("a", first), ("b", account("b", "plus", VALID))], "");
                let answer = support::ask_model(&gateway, format, MODEL, is_stream).await;
                assert_eq!(answer.status, 200, "{format}: {}", answer.body);
                assert_eq!(support::text_of(format, is_stream, &answer.body), support::TEXT, "{format}");
                let last = upstream.received().pop().unwrap();
                assert_eq!(last.header("chatgpt-account-id"), "id-b");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_and_what_the_answer_leaves_out_stays() {
    let upstream = Upstream::start(|received| {
        if received.path == "/token" {
            let form = String::from_utf8(received.body.to_vec()).unwrap();
            assert!(form.contains("grant_type=refresh_token") && form.contains("refresh_token=refresh-a"), "{form}");
            return Script::json(200, json!({"access_token": "access-new", "refresh_token": "refresh-new"}).to_string());
        }
        if received.header("authorization") != "Bearer access-new" {
            let error = json!({"error": {"code": "token_expired", "message": "Provided authentication token is expired."}});
            return Script::json(401, error.to_string());
        }
        backend(received)
    })
    .await;
    let gateway = start(&upstream, &[("a", account("a", "plus", VALID))], "");
    let asked = (0..4).map(|_| support::ask_model(&gateway, "claude", MODEL, true));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let exchanges = upstream.received().iter().filter(|received| received.path == "/token").count();
    assert_eq!(exchanges, 1);
    let file = support::auth_file(&gateway, "codex-a.json");
    assert_eq!(
        (&file["access_token"], &file["refresh_token"]),
        (&json!("access-new"), &json!("refresh-new"))
    );
    assert_eq!(
        (&file["id_token"], &file["x_unknown"]),
        (&account("a", "plus", VALID)["id_token"], &json!(1.5))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_refresh_token_and_a_plan_without_codex_need_a_person() {
    let upstream = Upstream::start(|received| match received.path.as_str() {
        "/token" => {
            let error = json!({"error": {"code": "refresh_token_reused", "message": "already used"}});
            Script::json(401, error.to_string())
        }
        _ if received.header("chatgpt-account-id") == "id-b" => {
            let error = json!({"error": {"type": "usage_not_included", "message": "To use Codex, upgrade your plan"}});
            Script::json(429, error.to_string())
        }
        _ => backend(received),
    })
    .await;
    let mut second = account("b", "free", VALID);
    second["priority"] = json!(1);
    let accounts = [
        ("a", account("a", "plus", "2020-01-01T00:00:00Z")),
        ("b", second),
        ("c", account("c", "plus", VALID)),
    ];
    let gateway = start(&upstream, &accounts, "");
    let answer = support::ask_model(&gateway, "chat", MODEL, false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    gateway.said("whose plan includes Codex", 1);
    assert!(gateway.said("refresh_token_reused", 1).contains("log in again: cli-proxy-api --codex-login"));
    support::ask_model(&gateway, "chat", MODEL, false).await;
    let plan =
        upstream.received().iter().filter(|received| received.header("chatgpt-account-id") == "id-b").count();
    assert_eq!(plan, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_files_and_the_configuration_say_which_models_there_are() {
    let upstream = Upstream::start(backend).await;
    let config = "oauth-excluded-models:\n  codex: ['gpt-5.6-*']\noauth-model-alias:\n  codex: [{name: gpt-5.5, alias: best}]\n";
    let gateway = start(&upstream, &[("a", account("a", "free", VALID))], config);
    let listed = support::get(&gateway, "/v1/models").await.json();
    let has = |id: &str| listed["data"].as_array().unwrap().iter().any(|model| model["id"] == id);
    assert!(has("gpt-5.4-mini") && has("best"), "{listed}");
    for missing in ["gpt-5.4", "gpt-5.3-codex-spark", "gpt-5.6-luna", "gpt-5.5"] {
        assert!(!has(missing), "{missing}: {listed}");
    }
    let answer = support::ask_model(&gateway, "responses", "best", true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(upstream.received().remove(0).json()["model"], MODEL);
}

/// What is remembered of quotas and rests once a gateway has ended.
fn standing(gateway: &Gateway) -> Value {
    gateway.end();
    let text = std::fs::read(gateway.accounts().join(".cliproxy/standing.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_tells_of_quotas_is_remembered() {
    let limits = json!({"type": "codex.rate_limits", "plan_type": "plus", "rate_limits": {
        "primary": {"used_percent": 42.0, "window_minutes": 300, "reset_at": 4_102_444_800_u64},
        "secondary": {"used_percent": 7.5, "window_minutes": 10080, "reset_at": 4_102_444_900_u64},
    }});
    let events = format!("event: codex.rate_limits\ndata: {limits}\n\n{}", support::bare_events());
    for (format, is_stream) in [("responses", true), ("chat", true), ("claude", false)] {
        let events = events.clone();
        let upstream = Upstream::start(move |_| support::streamed(&events)).await;
        let gateway = start(&upstream, &[("a", account("a", "plus", VALID))], "");
        assert_eq!(support::ask_model(&gateway, format, MODEL, is_stream).await.status, 200);
        let standing = standing(&gateway);
        let windows = standing["quotas"]["codex-a.json"].as_array().unwrap_or_else(|| panic!("{standing}"));
        let used: Vec<(&str, f64)> = windows
            .iter()
            .map(|window| (window["name"].as_str().unwrap(), window["used"].as_f64().unwrap()))
            .collect();
        assert!(used.contains(&("5h", 0.42)) && used.contains(&("weekly", 0.075)), "{format}: {windows:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_a_stream_names_is_how_long_the_account_rests() {
    #[expect(clippy::disallowed_methods, reason = "the test's own clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let error = json!({"type": "error", "error": {"type": "usage_limit_reached", "message": "The usage limit has been reached",
        "plan_type": "plus", "resets_at": now + 200_000}});
    let upstream =
        Upstream::start(move |_| support::streamed(&format!("event: error\ndata: {error}\n\n"))).await;
    let gateway = start(&upstream, &[("a", account("a", "plus", VALID))], "");
    let first = support::ask_model(&gateway, "chat", MODEL, true).await;
    assert_eq!(first.status, 429, "{}", first.body);
    let second = support::ask_model(&gateway, "claude", MODEL, true).await;
    assert_eq!((second.status, upstream.received().len()), (429, 1), "{}", second.body);
    assert!(
        second.header("retry-after").parse::<u64>().unwrap() > 190_000,
        "{}",
        second.header("retry-after")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_made_by_the_backends_own_routes() {
    let whole = r#"{"created":1,"data":[{"b64_json":"QUE="}],"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#;
    let upstream = Upstream::start(move |received| match received.path.as_str() {
        _ if received.header("chatgpt-account-id") != "id-b" && received.header("authorization").contains("access") => {
            let error = json!({"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 3600}});
            Script::json(429, error.to_string())
        }
        "/codex/images/generations" if support::asks_stream(received) => {
            let event = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"QUE=\"}\n\n";
            Script::events(vec![event.into()]).in_pieces(11)
        }
        "/codex/images/generations" | "/codex/images/edits" | "/v1/images/edits" => Script::json(200, whole),
        _ => Script::json(404, ""),
    })
    .await;
    let accounts = [("a", account("a", "pro", VALID)), ("b", account("b", "pro", VALID))];
    let key = format!(
        "codex-api-key:\n  - {{api-key: upstream-key-0001, base-url: '{}/v1', models: [{{name: gpt-image-1, alias: drawn}}]}}\n",
        upstream.url()
    );
    let gateway = start(&upstream, &accounts, &key);
    let order = json!({"model": "gpt-image-2", "prompt": "a heron", "size": "1024x1024", "quality": "high"});
    let answer = support::ask(&gateway, "/v1/images/generations", &order).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, whole));
    let sent = upstream.received().pop().unwrap();
    assert_eq!(
        (sent.path.as_str(), sent.header("authorization")),
        ("/codex/images/generations", "Bearer access-b")
    );
    assert_eq!(sent.json(), order, "the rested account was left for the next one");
    let mut streamed = order.clone();
    streamed["stream"] = json!(true);
    let answer = support::ask(&gateway, "/v1/images/generations", &streamed).await;
    assert!(answer.body.starts_with("event: image_generation.completed"), "{}", answer.body);
    // The backend takes no forms, a key's service does.
    let form = "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nMODEL\r\n--X\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nbluer\r\n--X\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nBB\r\n--X--\r\n";
    for (model, path) in [("gpt-image-2", "/codex/images/edits"), ("drawn", "/v1/images/edits")] {
        let request = support::client().post(format!("{}/v1/images/edits", gateway.url()));
        let request = request.header("content-type", "multipart/form-data; boundary=X");
        let answer = support::send(request.body(form.replace("MODEL", model))).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, whole), "{model}");
        let sent = upstream.received().pop().unwrap();
        assert_eq!(sent.path, path);
        if model == "drawn" {
            assert_eq!(sent.header("content-type"), "multipart/form-data; boundary=X");
            assert_eq!(sent.body, form.replace("MODEL", "gpt-image-1"));
        } else {
            let image = json!({"image_url": "data:image/png;base64,QkI="});
            let expected = json!({"model": "gpt-image-2", "prompt": "bluer", "images": [image]});
            assert_eq!((sent.json(), sent.header("content-type")), (expected, "application/json"));
        }
    }
    // An image model holds no conversations, and other models make no images.
    let answer = support::ask_model(&gateway, "claude", "gpt-image-2", false).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.error("claude").2.contains("`gpt-image-2` gives no answers"), "{}", answer.body);
    let answer =
        support::ask(&gateway, "/v1/images/generations", &json!({"model": MODEL, "prompt": "p"})).await;
    let said = answer.error("chat").2;
    assert!(
        answer.status == 400 && said.contains("gives no images") && said.contains("`gpt-image-2`"),
        "{said}"
    );
}
