//! Accounts of services that speak Chat: Qwen Code, iFlow and Kimi Code, behind every client format.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support;

const VALID: &str = "2099-01-01T00:00:00Z";
const ENDED: &str = "2020-01-01T00:00:00Z";

/// What tells the services apart.
struct Service {
    name: &'static str,
    model: &'static str,
    /// The model's name behind the service's door.
    inside: &'static str,
    /// What the log names when the login is dead.
    login: &'static str,
}

const SERVICES: [Service; 3] = [
    Service { name: "qwen", model: "coder-model", inside: "coder-model", login: "--qwen-login" },
    Service { name: "iflow", model: "glm-4.6", inside: "glm-4.6", login: "--iflow-login" },
    Service { name: "kimi", model: "kimi-k2.6", inside: "k2.6", login: "--kimi-login" },
];

/// Keys and tokens with which requests are refused, and how.
#[derive(Clone, Copy)]
enum Refusing {
    /// Those of a token that ended.
    Nobody,
    /// The account `a` has used up its quota.
    Quota,
}

/// A service with its identity provider: whoever redeems `refresh-X` gets `new-X`, and only `new-…` is accepted.
async fn serving(refusing: Refusing) -> (Upstream, Arc<AtomicUsize>) {
    let exchanges = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&exchanges);
    let upstream = Upstream::start(move |received| answer(&counted, refusing, received)).await;
    (upstream, exchanges)
}

fn answer(exchanges: &AtomicUsize, refusing: Refusing, received: &Received) -> Script {
    let body = String::from_utf8_lossy(&received.body).into_owned();
    let path = received.path.split('?').next().unwrap();
    if path == "/token" {
        exchanges.fetch_add(1, Ordering::Relaxed);
        assert!(body.contains("grant_type=refresh_token"), "{body}");
        let Some(name) = body.split('&').find_map(|pair| pair.strip_prefix("refresh_token=refresh-")) else {
            return Script::json(
                400,
                json!({"error": "invalid_grant", "error_description": "used"}).to_string(),
            );
        };
        let tokens = json!({
            "access_token": format!("new-{name}"), "refresh_token": format!("next-{name}"), "expires_in": 604_800,
        });
        return Script::json(200, tokens.to_string());
    }
    if path == "/user" {
        let name = received.path.rsplit('-').next().unwrap();
        let user = json!({"success": true, "data": {"apiKey": format!("new-{name}"), "email": "a@b.c"}});
        return Script::json(200, user.to_string());
    }
    if path == "/apikey" {
        exchanges.fetch_add(1, Ordering::Relaxed);
        assert_eq!(received.header("cookie"), "BXAuth=cookie;");
        assert_eq!(body, r#"{"name":"a@b.c"}"#);
        let key = json!({"success": true, "data": {
            "name": "a@b.c", "apiKey": "new-cookie", "expireTime": "2099-01-01 12:00",
        }});
        return Script::json(200, key.to_string());
    }
    let bearer = received.header("authorization").trim_start_matches("Bearer ").to_owned();
    let error =
        |kind: &str, message: &str| json!({"error": {"type": kind, "code": kind, "message": message}});
    if !bearer.starts_with("new-") {
        return Script::json(
            401,
            error("invalid_api_key", "invalid access token or token expired").to_string(),
        );
    }
    if bearer == "new-a" && matches!(refusing, Refusing::Quota) {
        return Script::json(429, error("insufficient_quota", "free allocated quota exceeded").to_string());
    }
    let format = if path.ends_with("/v1/messages") { "claude" } else { "chat" };
    support::answering(format)(received)
}

fn account(service: &Service, token: &str, refresh: &str, expired: &str) -> Value {
    let mut file = json!({
        "type": service.name, "access_token": token, "refresh_token": refresh, "expired": expired,
        "last_refresh": ENDED, "email": "a@b.c", "x_unknown": 1.5,
    });
    match service.name {
        "iflow" => file["api_key"] = json!(token),
        "kimi" => file["device_id"] = json!("device-1"),
        _ => {}
    }
    file
}

fn start(service: &Service, upstream: &Upstream, accounts: &[(&str, Value)], config: &str) -> Gateway {
    let (name, url) = (service.name, upstream.url());
    let base = if name == "kimi" { format!("{url}/coding") } else { format!("{url}/v1") };
    let config = format!(
        "oauth-endpoints:\n  {name}: {{token-url: '{url}/token', user-url: '{url}/user', setup-url: '{url}/apikey', \
         base-url: '{base}', client-secret: s}}\nrequest-retry: 0\n{config}"
    );
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join(".cli-proxy-api");
    std::fs::create_dir(&folder).unwrap();
    for (file, account) in accounts {
        write(&folder.join(format!("{file}.json")), &account.to_string());
    }
    Gateway::start_in(directory, Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")), &config, &[])
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

fn file(gateway: &Gateway, name: &str) -> Value {
    let text = std::fs::read(gateway.accounts().join(format!("{name}.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The requests for answers, without those to the identity provider.
fn asked(upstream: &Upstream) -> Vec<Received> {
    let received = upstream.received().into_iter();
    received.filter(|received| received.path.contains("/v1/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_and_every_client_format_is_served_whole_and_streamed() {
    for service in &SERVICES {
        let (upstream, exchanges) = serving(Refusing::Nobody).await;
        let gateway = start(service, &upstream, &[("a", account(service, "old-a", "refresh-a", VALID))], "");
        for format in support::FORMATS {
            for is_stream in [false, true] {
                let answer = support::ask_model(&gateway, format, service.model, is_stream).await;
                assert_eq!(answer.status, 200, "{} {format}: {}", service.name, answer.body);
                assert_eq!(support::text_of(format, is_stream, &answer.body), support::TEXT, "{format}");
                assert!(
                    !is_stream || support::is_complete(format, &answer.body),
                    "{format}: {}",
                    answer.body
                );
            }
        }
        assert_eq!(exchanges.load(Ordering::Relaxed), 1, "{}", service.name);
        let saved = file(&gateway, "a");
        assert_eq!(saved["refresh_token"], "next-a", "{saved}");
        assert_eq!((&saved["x_unknown"], &saved["email"]), (&json!(1.5), &json!("a@b.c")));
        assert_eq!(saved[if service.name == "iflow" { "api_key" } else { "access_token" }], "new-a");
        for received in asked(&upstream) {
            obeys(service, &received);
        }
    }
}

/// What each service wants of every request, whoever asks.
fn obeys(service: &Service, received: &Received) {
    let body = received.json();
    assert_eq!(body["model"], service.inside, "{body}");
    assert!(received.header("user-agent").starts_with("cli-proxy-api/"));
    let is_chat = received.path.ends_with("/v1/chat/completions");
    if is_chat && body["stream"] == json!(true) {
        assert_eq!(body["stream_options"]["include_usage"], true, "{body}");
    }
    match service.name {
        "qwen" => {
            assert!(is_chat);
            assert_eq!(received.header("x-dashscope-authtype"), "qwen-oauth");
            assert!(received.header("x-dashscope-useragent").starts_with("cli-proxy-api/"));
            let roles = body["messages"].as_array().unwrap().iter().map(|message| &message["role"]);
            assert_eq!(roles.collect::<Vec<_>>(), ["system", "user"], "{body}");
            assert!(body["messages"][0]["content"].is_array(), "{body}");
            assert_eq!(body["tools"].is_array(), body["stream"] == json!(true), "{body}");
        }
        "iflow" => {
            assert!(is_chat);
            assert!(received.header("session-id").starts_with("session-"));
            assert_eq!(received.header("x-iflow-signature").len(), 64);
            assert!(received.header("x-iflow-timestamp").ends_with("000"));
        }
        _ => {
            assert!(is_chat || received.header("anthropic-version") == "2023-06-01", "{}", received.path);
            assert_eq!(received.header("x-msh-device-id"), "device-1");
            assert_eq!(received.header("x-msh-platform"), "cli-proxy-api");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_rests_the_account_and_the_next_one_serves() {
    for service in &SERVICES {
        let (upstream, _) = serving(Refusing::Quota).await;
        let accounts = [
            ("a", account(service, "new-a", "refresh-a", VALID)),
            ("b", account(service, "new-b", "refresh-b", VALID)),
        ];
        let gateway = start(service, &upstream, &accounts, "");
        for _ in 0..4 {
            let answer = support::ask_model(&gateway, "chat", service.model, false).await;
            assert_eq!(answer.status, 200, "{}: {}", service.name, answer.body);
        }
        let refused = asked(&upstream).into_iter().filter(|received| support::key_of(received) == "new-a");
        assert_eq!(refused.count(), 1, "{}", service.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_login_is_told_with_the_command_that_mends_it_and_the_others_go_on() {
    for service in &SERVICES {
        let (upstream, exchanges) = serving(Refusing::Nobody).await;
        let dead = account(service, "old-a", "spent", ENDED);
        let accounts = [("a", dead.clone()), ("b", account(service, "new-b", "refresh-b", VALID))];
        let gateway = start(service, &upstream, &accounts, "");
        let told = gateway.said("needs attention", 1);
        assert!(told.contains("invalid_grant") && told.contains(service.login), "{told}");
        for _ in 0..2 {
            let answer = support::ask_model(&gateway, "claude", service.model, false).await;
            assert_eq!(answer.status, 200, "{}: {}", service.name, answer.body);
        }
        assert_eq!(file(&gateway, "a"), dead);
        assert_eq!(exchanges.load(Ordering::Relaxed), 1, "{}", service.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_left_out_and_renamed_by_the_services_channel() {
    for service in &SERVICES {
        let (upstream, _) = serving(Refusing::Nobody).await;
        let (name, model) = (service.name, service.model);
        let renamed = format!("oauth-model-alias:\n  {name}: [{{name: {model}, alias: mine}}]\n");
        let accounts = [("a", account(service, "new-a", "refresh-a", VALID))];
        let gateway = start(service, &upstream, &accounts, &renamed);
        assert_eq!(support::ask_model(&gateway, "chat", "mine", false).await.status, 200, "{name}");
        assert_eq!(support::ask_model(&gateway, "chat", model, false).await.status, 404, "{name}");
        obeys(service, &asked(&upstream)[0]);
        let excluded = format!("oauth-excluded-models:\n  {name}: ['{model}']\n");
        let gateway = start(service, &upstream, &accounts, &excluded);
        assert_eq!(support::ask_model(&gateway, "chat", model, false).await.status, 404, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iflow_key_of_a_cookie_is_renewed_with_the_cookie() {
    let iflow = &SERVICES[1];
    let (upstream, exchanges) = serving(Refusing::Nobody).await;
    let cookie = json!({
        "type": "iflow", "api_key": "old", "access_token": "", "refresh_token": "", "cookie": "BXAuth=cookie;",
        "email": "a@b.c", "expired": "2020-01-01 12:00", "last_refresh": ENDED,
    });
    let gateway = start(iflow, &upstream, &[("a", cookie)], "");
    let answer = support::ask_model(&gateway, "responses", iflow.model, true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let saved = file(&gateway, "a");
    assert_eq!((&saved["api_key"], &saved["expired"]), (&json!("new-cookie"), &json!("2099-01-01 12:00")));
    assert_eq!(exchanges.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qwen_account_is_asked_where_its_file_says() {
    let (upstream, _) = serving(Refusing::Nobody).await;
    let mut file = account(&SERVICES[0], "new-a", "refresh-a", VALID);
    file["resource_url"] = json!(upstream.url());
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join(".cli-proxy-api")).unwrap();
    write(&directory.path().join(".cli-proxy-api/a.json"), &file.to_string());
    let gateway = Gateway::start_in(
        directory,
        Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")),
        "request-retry: 0\n",
        &[],
    );
    let answer = support::ask_model(&gateway, "gemini", "coder-model", true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(upstream.received()[0].path, "/v1/chat/completions");
}

#[tokio::test(flavor = "multi_thread")]
async fn kimi_counts_tokens_for_claude_clients() {
    let upstream = Upstream::start(|received| {
        assert_eq!(received.path, "/coding/v1/messages/count_tokens");
        assert_eq!(received.json()["model"], "k2.6");
        Script::json(200, json!({"input_tokens": 42}).to_string())
    })
    .await;
    let kimi = &SERVICES[2];
    let gateway = start(kimi, &upstream, &[("a", account(kimi, "new-a", "refresh-a", VALID))], "");
    let body = json!({"model": kimi.model, "messages": [{"role": "user", "content": "hi"}]});
    let answer = support::ask(&gateway, "/v1/messages/count_tokens", &body).await;
    assert_eq!(answer.json()["input_tokens"], 42, "{}", answer.body);
    assert_eq!(answer.header("x-gateway-estimated"), "");
}
