//! What single client keys may do: how much of what, which models, by whom, until when.

use std::path::Path;

use cliproxy_testkit::{Gateway, Script, Upstream};
use serde_json::json;

use crate::support::{self, Answer, FORMATS, send};

const KEYS: &str = "api-keys: [client-key-0001, client-key-0002]\nrequest-retry: 0\n";

async fn ask(gateway: &Gateway, key: &str, format: &str, model: &str) -> Answer {
    let (path, body) = support::request(format, model, false);
    send(support::posting(gateway, &path, &body).header("authorization", format!("Bearer {key}"))).await
}

async fn arranged(limits: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(support::answering("chat")).await;
    let entry = format!("api-key-limits:\n  - {{api-key: client-key-0001, {limits}}}\n");
    let gateway = support::start(&format!("{KEYS}{entry}{}", support::config("chat", &upstream)), &[]);
    (upstream, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_used_its_requests_is_told_when_it_may_again_in_every_format() {
    let (upstream, gateway) = arranged("limits: [{per: month, requests: 2}]").await;
    for _ in 0..2 {
        assert_eq!(ask(&gateway, "client-key-0001", "chat", "up").await.status, 200);
    }
    for format in FORMATS {
        let answer = ask(&gateway, "client-key-0001", format, "up").await;
        assert_eq!(answer.status, 429, "{format}: {}", answer.body);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=31 * 24 * 3600).contains(&wait), "{wait}");
        let (_, code, message) = answer.error(format);
        assert!(
            message.starts_with("this API key has used its requests of this month; it begins anew in "),
            "{message}"
        );
        if ["chat", "responses"].contains(&format) {
            assert_eq!(code, "key_limit_exceeded");
        }
    }
    assert_eq!(ask(&gateway, "client-key-0002", "chat", "up").await.status, 200, "others go on");
    assert_eq!(upstream.received().len(), 3);
    // It survives the end of the process, whatever ends it, although no usage is collected.
    gateway.killer().kill();
    let gateway = gateway.again(Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")));
    assert_eq!(ask(&gateway, "client-key-0001", "chat", "up").await.status, 429);
    assert_eq!(ask(&gateway, "client-key-0002", "chat", "up").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_costs_are_limited_and_a_request_that_began_is_served() {
    // Every answer has ten tokens in and five out.
    for (limit, what) in [("tokens: 20", "tokens"), ("cost: 0.0001", "budget")] {
        let upstream = Upstream::start(support::answering("chat")).await;
        let entry =
            format!("api-key-limits: [{{api-key: client-key-0001, limits: [{{per: month, {limit}}}]}}]\n");
        let prices = "usage-ledger: {prices: [{model: up, input: 1, output: 10}]}\n";
        let config = format!("{KEYS}{entry}{prices}{}", support::config("chat", &upstream));
        let gateway = support::start(&config, &[]);
        for _ in 0..2 {
            let answer = ask(&gateway, "client-key-0001", "claude", "up").await;
            assert_eq!(answer.status, 200, "{limit}: {}", answer.body);
        }
        let answer = ask(&gateway, "client-key-0001", "claude", "up").await;
        assert_eq!(answer.status, 429);
        assert!(answer.body.contains(&format!("used its {what} of this month")), "{}", answer.body);
        // Counting is free.
        let body = json!({"model": "up", "messages": [{"role": "user", "content": "hi"}]});
        let counted = support::posting(&gateway, "/v1/messages/count_tokens", &body);
        assert_eq!(send(counted.header("x-api-key", "client-key-0001")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_do_not_get_past_a_limit() {
    let (upstream, gateway) = arranged("limits: [{per: month, requests: 5}]").await;
    let asking = (0..40).map(|_| ask(&gateway, "client-key-0001", "responses", "up"));
    let answers = futures_util::future::join_all(asking).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((served, upstream.received().len()), (5, 5));
    assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_uses_and_sees_the_models_and_credentials_that_it_may() {
    let upstream = Upstream::start(support::answering("gemini")).await;
    let entry = |key: &str, models: &str| support::entry("gemini", key, &upstream.url(), models);
    let list = support::list(
        "gemini",
        &[
            entry("first-key-0001", "priority: 1, models: [{name: up, alias: up}]"),
            entry("second-key-0001", "models: [{name: up, alias: up}, {name: other, alias: other}]"),
        ],
    );
    let chat = Upstream::start(support::answering("chat")).await;
    let compatible = support::config("chat", &chat).replace("name: up, alias: up", "name: far, alias: far");
    let config = |limits: &str| {
        format!("{KEYS}api-key-limits: [{{api-key: client-key-0001, {limits}}}]\n{list}{compatible}")
    };
    let gateway = support::start(&config("models: ['U*']"), &[]);
    let listed = async |key: &str, path: &str| {
        let request = support::client().get(format!("{}{path}", gateway.url()));
        let answer = send(request.header("x-api-key", key)).await;
        let list = answer.json()["data"].as_array().cloned().unwrap_or_default();
        let mut ids: Vec<String> =
            list.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        (answer.status, ids.join(" "))
    };
    assert_eq!(listed("client-key-0001", "/v1/models").await, (200, "up".to_owned()));
    assert_eq!(listed("client-key-0002", "/v1/models").await, (200, "far other up".to_owned()));
    assert_eq!(listed("client-key-0001", "/v1/models/other").await.0, 404);
    assert_eq!(ask(&gateway, "client-key-0001", "chat", "up").await.status, 200);
    for format in FORMATS {
        let answer = ask(&gateway, "client-key-0001", format, "other").await;
        assert_eq!(answer.status, 403, "{format}: {}", answer.body);
        let (_, _, message) = answer.error(format);
        assert_eq!(message, "this API key may not use the model `other`; GET /v1/models lists what it may");
    }
    gateway.reload(&config("credentials: ['openai-compatibility:*']"), "configuration updated").await;
    assert_eq!(listed("client-key-0001", "/v1/models").await, (200, "far".to_owned()));
    assert_eq!(ask(&gateway, "client-key-0001", "chat", "far").await.status, 200);
    let answer = ask(&gateway, "client-key-0001", "chat", "up").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains("credential_not_allowed"), "{}", answer.body);
    assert_eq!(support::keys_of(&upstream), ["first-key-0001"], "who may not serve was not asked");
    assert_eq!(listed("client-key-0001", "/v1/models/up").await.0, 404);
    assert_eq!(listed("client-key-0001", "/v1/models/far").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_may_not_use_is_neither_named_to_it_nor_fallen_back_on() {
    let upstream = Upstream::start(|_| Script::json(429, r#"{"error": {"message": "used up"}}"#)).await;
    let other = Upstream::start(support::answering("claude")).await;
    let routing = "routing: {fallback: {up: [other]}}\n";
    let models =
        support::entry("claude", "other-key-0001", &other.url(), "models: [{name: other, alias: other}]");
    let providers = format!("{}{}", support::config("chat", &upstream), support::list("claude", &[models]));
    let limits = "api-key-limits: [{api-key: client-key-0001, credentials: ['openai-compatibility:*']}]\n";
    let gateway = support::start(&format!("{KEYS}{limits}{routing}{providers}"), &[]);
    for (key, status, is_named) in [("client-key-0001", 429, false), ("client-key-0002", 200, true)] {
        let answer = ask(&gateway, key, "chat", "up").await;
        assert_eq!(answer.status, status, "{key}: {}", answer.body);
        let answer = ask(&gateway, key, "chat", "othr").await;
        assert_eq!((answer.status, answer.body.contains("`other`")), (404, is_named), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_time_is_over_opens_nothing() {
    let (upstream, gateway) = arranged("expires: 2020-02-29").await;
    for format in FORMATS {
        let answer = ask(&gateway, "client-key-0001", format, "up").await;
        assert_eq!(answer.status, 403, "{format}: {}", answer.body);
        assert_eq!(answer.error(format).2, "this API key has expired");
    }
    let models = support::client().get(format!("{}/v1/models", gateway.url()));
    assert_eq!(send(models.header("x-api-key", "client-key-0001")).await.status, 403);
    assert_eq!(upstream.received().len(), 0);
    assert_eq!(ask(&gateway, "client-key-0002", "chat", "up").await.status, 200);
}

#[test]
fn limits_that_mean_nothing_are_told_with_their_places() {
    let text = "api-keys: [client-key-0001]\napi-key-limits:\n  - {name: nobody}\n  - {api-key: client-key-0001, expires: soon, limits: [{requests: 1}, {per: day, tokens: -1}, {per: day}]}\n  - {api-key: client-key-0001}\n  - {api-key: client-key-0009}\n";
    let checked = support::check(text);
    assert_eq!(checked.code, Some(1), "{}{}", checked.stdout, checked.stderr);
    let said = format!("{}{}", checked.stdout, checked.stderr);
    for part in [
        "api-key-limits[0]: limits need the `api-key` that they are for",
        "api-key-limits[1].expires: not a day or a time",
        "api-key-limits[1].limits[0]: a limit needs the window that it is for",
        "api-key-limits[1].limits[1].tokens: a limit is a number that is not negative",
        "api-key-limits[1].limits[2]: this limit limits nothing",
        "api-key-limits[2].api-key: this client key has limits already",
        "api-key-limits[3].api-key: this client key is none of `api-keys`",
    ] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
    assert!(!said.contains("client-key-0009"), "{said}");
}
