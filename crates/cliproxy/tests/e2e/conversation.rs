//! Conversations that stay with their credential, credentials at their limit, models that others stand in for.

use std::time::Duration;

use cliproxy_testkit::{Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support;

const KEYS: [&str; 3] = ["key-one-000001", "key-two-000002", "key-three-0003"];

fn config(upstream: &Upstream, head: &str) -> String {
    let url = upstream.url();
    let entries = KEYS
        .map(|key| format!("  - {{api-key: {key}, base-url: '{url}', models: [{{name: up, alias: up}}]}}\n"));
    format!("{head}\nclaude-api-key:\n{}", entries.concat())
}

fn key(received: &Received) -> String {
    received.headers["authorization"].to_str().unwrap().trim_start_matches("Bearer ").to_owned()
}

fn turn(opening: &str, turns: usize) -> Value {
    let mut messages = vec![json!({"role": "user", "content": opening})];
    for _ in 1..turns {
        messages.push(json!({"role": "assistant", "content": "ok"}));
        messages.push(json!({"role": "user", "content": "go on"}));
    }
    json!({"model": "up", "max_tokens": 9, "messages": messages})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_stays_with_its_credential_and_moves_when_that_is_refused() {
    let refused = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let shared = std::sync::Arc::clone(&refused);
    let upstream = Upstream::start(move |received| {
        if key(received) == *shared.lock().unwrap() {
            let error = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}});
            return Script::json(429, error.to_string()).header("retry-after", "60");
        }
        support::answering("claude")(received)
    })
    .await;
    let gateway = support::start(&config(&upstream, "routing: {session-affinity: true}"), &[]);
    for turns in 1..4 {
        for opening in ["first", "second"] {
            assert_eq!(support::ask(&gateway, "/v1/messages", &turn(opening, turns)).await.status, 200);
        }
    }
    let used = |opening: &str| {
        let mut keys: Vec<String> = upstream
            .received()
            .iter()
            .filter(|received| String::from_utf8_lossy(&received.body).contains(opening))
            .map(key)
            .collect();
        keys.dedup();
        keys
    };
    let (first, second) = (used("first"), used("second"));
    assert_eq!((first.len(), second.len()), (1, 1), "each stays where it began: {first:?} {second:?}");
    assert_ne!(first, second, "a new conversation takes the next turn");
    refused.lock().unwrap().clone_from(&first[0]);
    for turns in 4..6 {
        assert_eq!(support::ask(&gateway, "/v1/messages", &turn("first", turns)).await.status, 200);
    }
    let moved = used("first");
    assert_eq!(moved.len(), 2, "it moves once and stays there: {moved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_at_its_limit_lets_others_wait_for_a_place() {
    let upstream = Upstream::start(|received| {
        if String::from_utf8_lossy(&received.body).contains("stay") {
            let start: String = support::events("claude").split_inclusive("\n\n").take(3).collect();
            return Script::events(vec![start.into()]).stalled();
        }
        support::answering("claude")(received)
    })
    .await;
    let head = "routing: {max-concurrent-requests: 1}\nrequest-retry: 0";
    let gateway = support::start(&config(&upstream, head), &[]);
    let client = reqwest::Client::new();
    let mut open = Vec::new();
    for _ in KEYS {
        let mut body = turn("stay", 1);
        body["stream"] = json!(true);
        let sent = client.post(format!("{}/v1/messages", gateway.url())).body(body.to_string());
        let mut answer = sent.send().await.unwrap();
        assert!(answer.chunk().await.unwrap().is_some());
        open.push(answer);
    }
    let mut keys: Vec<String> = upstream.received().iter().map(key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3, "one request each");
    let body = turn("quick", 1);
    let waiting = support::ask(&gateway, "/v1/messages", &body);
    let mut waiting = std::pin::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(300), waiting.as_mut()).await;
    assert!(early.is_err(), "nobody has a place");
    open.pop();
    assert_eq!(waiting.await.status, 200, "a place is free when one leaves");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_no_header_may_carry_are_percent_encoded() {
    let upstream = Upstream::start(|received| {
        if received.json()["model"] == "tired" {
            return Script::json(429, r#"{"error": {"message": "used up"}}"#);
        }
        support::answering("claude")(received)
    })
    .await;
    let models = "models: [{name: tired, alias: tired}, {name: fresh, alias: 模型}]";
    let entry = support::entry("claude", "key-one-000001", &upstream.url(), models);
    let routing = "request-retry: 0\nrouting:\n  fallback: {tired: [模型]}\n";
    let gateway = support::start(&format!("{routing}{}", support::list("claude", &[entry])), &[]);
    for is_stream in [false, true] {
        let message = json!({"role": "user", "content": "hi"});
        let body = json!({"model": "tired", "messages": [message], "stream": is_stream, "größe": 7});
        let answer = support::ask(&gateway, "/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(
            (answer.header("x-gateway-model"), answer.header("x-gateway-dropped")),
            ("%E6%A8%A1%E5%9E%8B", "gr%C3%B6%C3%9Fe")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_stands_in_when_configured_and_the_answer_says_so() {
    let upstream = Upstream::start(|received| {
        if received.path.contains("/models/tired") {
            let error = json!({"error": {"code": 429, "message": "used up", "status": "RESOURCE_EXHAUSTED"}});
            return Script::json(429, error.to_string());
        }
        support::answering("gemini")(received)
    })
    .await;
    let config = format!(
        "request-retry: 0\nrouting:\n  fallback: {{tired: [nowhere, fresh]}}\ngemini-api-key:\n  - {{api-key: key-one-000001, base-url: '{}', models: [{{name: tired, alias: tired}}, {{name: fresh, alias: fresh}}]}}\n",
        upstream.url()
    );
    let gateway = support::start(&config, &[]);
    let body = json!({"model": "tired", "messages": [{"role": "user", "content": "hi"}]});
    let sent = reqwest::Client::new().post(format!("{}/v1/chat/completions", gateway.url()));
    let answer = sent.body(body.to_string()).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-gateway-model"]),
        (200, &"fresh".parse().unwrap())
    );
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["model"], "tired", "the client sees the name it asked for");
    // A wrong request is wrong for every model.
    let wrong = json!({"model": "tired", "messages": 5});
    assert_eq!(support::ask(&gateway, "/v1/chat/completions", &wrong).await.status, 400);
}
