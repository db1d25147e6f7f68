//! Upstreams that refuse, break and fall silent; clients that leave; bodies that are wrong.

use std::time::Duration;

use bytes::Bytes;
use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, FORMATS};

#[tokio::test(flavor = "multi_thread")]
async fn j225_a_stream_that_is_cut_never_looks_complete() {
    for upstream_format in FORMATS {
        let half: String = support::events(upstream_format)
            .split_inclusive("\n\n")
            .take(4)
            .take_while(|frame| !frame.contains("STOP") && !frame.contains("\"stop\""))
            .collect();
        let upstream = Upstream::start(move |_| Script::events(vec![Bytes::from(half.clone())]).cut()).await;
        let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
        for client in FORMATS {
            let (path, body) = support::request(client, "up", true);
            let (_, answer) = support::post(&gateway, &path, &body).await;
            assert!(!support::is_complete(client, &answer), "{client} over {upstream_format}: {answer}");
            assert!(answer.contains("\"error\""), "{client} over {upstream_format}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j234_a_client_that_leaves_takes_its_upstream_request_with_it() {
    let upstream = Upstream::start(|_| {
        let start: String = support::events("claude").split_inclusive("\n\n").take(3).collect();
        Script::events(vec![start.into()]).stalled()
    })
    .await;
    let gateway = support::start(&support::config("claude", &upstream), &[]);
    let (path, body) = support::request("chat", "up", true);
    let mut answer = reqwest::Client::new()
        .post(format!("{}{path}", gateway.url()))
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    drop(answer);
    tokio::time::timeout(Duration::from_secs(1), upstream.dropped())
        .await
        .expect("the upstream request ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_rests_and_the_next_one_serves() {
    let upstream = Upstream::start(|received| {
        if format!("{:?}", received.headers.get("x-goog-api-key")).contains("bad") {
            return Script::json(
                429,
                json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}})
                    .to_string(),
            )
            .header("retry-after", "60");
        }
        Script::json(200, support::body("gemini").to_string())
    })
    .await;
    let url = upstream.url();
    let config = format!(
        "gemini-api-key:\n  - {{api-key: bad-key-00001, base-url: '{url}', priority: 1, models: [{{name: up, alias: up}}]}}\n  - {{api-key: good-key-0001, base-url: '{url}', models: [{{name: up, alias: up}}]}}\n"
    );
    let gateway = support::start(&config, &[]);
    let (path, body) = support::request("claude", "up", false);
    for _ in 0..3 {
        assert_eq!(support::post(&gateway, &path, &body).await.0, 200);
    }
    let bad = upstream
        .received()
        .iter()
        .filter(|received| format!("{:?}", received.headers).contains("bad-key"))
        .count();
    assert_eq!(bad, 1, "a resting key is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_keys_rest_the_client_hears_when_to_come_back() {
    let upstream = Upstream::start(|_| {
        Script::json(429, json!({"error": {"message": "slow", "type": "rate_limit_error"}}).to_string())
            .header("retry-after", "600")
    })
    .await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    let (path, body) = support::request("claude", "up", false);
    assert_eq!(support::post(&gateway, &path, &body).await.0, 429);
    let answer = reqwest::Client::new()
        .post(format!("{}{path}", gateway.url()))
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((590..=600).contains(&wait), "{wait}");
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_is_not_tried_elsewhere_and_names_its_path() {
    let upstream = Upstream::start(support::answering("gemini")).await;
    let gateway = support::start(&support::config("gemini", &upstream), &[]);
    let body = json!({"model": "up", "messages": [{"role": "user", "content": 5}]});
    let (status, answer) = support::post(&gateway, "/v1/chat/completions", &body).await;
    let error: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &error["error"]["param"]), (400, &json!("messages[0].content")), "{answer}");
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_edit_changes_nothing_and_a_valid_one_applies() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    gateway.rewrite("port: [");
    let ready = format!("{}/readyz", gateway.url());
    let until = |wanted: u16| {
        let ready = ready.clone();
        async move {
            for _ in 0..100 {
                if reqwest::get(&ready).await.unwrap().status() == wanted {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            false
        }
    };
    assert!(until(503).await, "the invalid edit is reported");
    let (path, body) = support::request("claude", "up", false);
    assert_eq!(support::post(&gateway, &path, &body).await.0, 200);
    gateway.rewrite(&config.replace("alias: up", "alias: renamed"));
    assert!(until(200).await, "the valid edit applies");
    assert_eq!(support::post(&gateway, &path, &body).await.0, 404);
}
