//! What clients of Gemini-CLI-Proxy rely on: its root document, its tests of accounts, its parameters and errors.

use std::io::Write as _;

use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::support;

const KEYS: &str = "api-keys: [client-key-0001]\n";
const DEBUG: [(&str, &str); 6] = [
    ("GET", "/v1/debug/cache"),
    ("GET", "/v1/cache"),
    ("POST", "/v1/token-test"),
    ("POST", "/v1/debug/token-test"),
    ("POST", "/v1/test"),
    ("POST", "/v1/debug/test"),
];

async fn asked(gateway: &cliproxy_testkit::Gateway, method: &str, path: &str, key: &str) -> support::Answer {
    let request = support::client().request(method.parse().unwrap(), format!("{}{path}", gateway.url()));
    support::send(if key.is_empty() { request } else { request.header("authorization", key) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_document_has_the_form_that_is_asked_for() {
    let list = support::start("", &[]);
    let root = support::get(&list, "/").await.json();
    assert_eq!(root["message"], "CLI Proxy API Server");
    assert!(root["endpoints"].as_array().unwrap().contains(&json!("GET /v1/models")), "{root}");
    assert_eq!(root["authentication"], json!({"required": false, "type": "None"}));
    let object = support::start(&format!("{KEYS}gemini-cli-proxy: {{root-document: true}}\n"), &[]);
    let root = support::get(&object, "/").await.json();
    assert_eq!(root["message"], "CLI Proxy API Server");
    assert_eq!(root["endpoints"]["chat_completions"], "/v1/chat/completions");
    assert_eq!(root["endpoints"]["debug"]["full_test"], "/v1/test");
    assert_eq!(root["authentication"]["required"], true);
    assert!(
        ["name", "description", "version", "documentation"].iter().all(|member| root[member].is_string()),
        "{root}"
    );
    let health = support::get(&object, "/health").await.json();
    assert_eq!(health["status"], "ok");
    let stamp = health["timestamp"].as_str().unwrap();
    assert!(stamp.len() == 24 && stamp.ends_with('Z'), "{stamp}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_of_accounts_want_a_client_key_and_show_no_secret() {
    let upstream = Upstream::start(|_| {
        Script::json(
            200,
            json!({"access_token": "access-0002", "refresh_token": "refresh-0002", "expires_in": 28_800})
                .to_string(),
        )
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".cli-proxy-api");
    std::fs::create_dir_all(&folder).unwrap();
    let account = |expired: &str| {
        json!({"type": "claude", "email": "anna@example.org", "access_token": "access-0001", "refresh_token": "refresh-0001", "expired": expired}).to_string()
    };
    let mut file = std::fs::File::create(folder.join("claude-anna@example.org.json")).unwrap();
    file.write_all(account("2099-01-01T00:00:00Z").as_bytes()).unwrap();
    let url = upstream.url();
    let config =
        format!("{KEYS}oauth-endpoints:\n  claude: {{token-url: '{url}/token', base-url: '{url}'}}\n");
    let gateway = support::launch().config(&config).variable("HOME", home.path()).start();
    for (method, path) in DEBUG {
        assert_eq!(asked(&gateway, method, path, "").await.status, 401, "{path}");
        let answer = asked(&gateway, method, path, "Bearer client-key-0001").await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("ok")), "{path}: {}", answer.body);
        for secret in ["access-0", "refresh-0", "anna", "client-key"] {
            assert!(!answer.body.contains(secret), "{path}: {}", answer.body);
        }
    }
    let cache = asked(&gateway, "GET", "/v1/debug/cache", "Bearer client-key-0001").await.json();
    assert_eq!((&cache["cached"], &cache["is_expired"]), (&json!(true), &json!(false)), "{cache}");
    assert_eq!(cache["expires_at"], "2099-01-01T00:00:00.000Z");
    assert!(cache["time_until_expiry_seconds"].as_u64().unwrap() > 0);
    assert_eq!(cache["credentials"][0]["provider"], "claude");
    let test = asked(&gateway, "POST", "/v1/token-test", "Bearer client-key-0001").await.json();
    assert_eq!(test["message"], "Token authentication successful");
    let test = asked(&gateway, "POST", "/v1/test", "Bearer client-key-0001").await.json();
    assert_eq!(test["project_available"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_account_the_tests_fail_and_say_so() {
    let gateway = support::start(KEYS, &[]);
    let cache = asked(&gateway, "GET", "/v1/debug/cache", "Bearer client-key-0001").await;
    assert_eq!((cache.status, &cache.json()["cached"]), (200, &json!(false)));
    assert_eq!(cache.json()["message"], "no account has a token");
    for path in ["/v1/token-test", "/v1/test"] {
        let failed = asked(&gateway, "POST", path, "Bearer client-key-0001").await;
        assert_eq!((failed.status, &failed.json()["status"]), (500, &json!("error")));
        assert!(failed.json()["message"].as_str().unwrap().contains("--help"), "{}", failed.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_keys_have_codes_that_tell_why() {
    let gateway = support::start(KEYS, &[]);
    for (key, code) in [
        ("", "missing_authorization"),
        ("Basic abc", "invalid_authorization_format"),
        ("Bearer wrong", "invalid_api_key"),
    ] {
        let refused = asked(&gateway, "GET", "/v1/models", key).await;
        assert_eq!(refused.status, 401);
        let (kind, found, _) = refused.error("chat");
        assert_eq!((kind.as_str(), &found), ("authentication_error", &json!(code)), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_and_efforts_reach_gemini_from_every_place() {
    let upstream = Upstream::start(support::answering("gemini")).await;
    let models = "models: [{name: gemini-2.5-pro, alias: pro}, {name: gemini-2.5-flash, alias: flash}]";
    let entry = support::entry("gemini", "upstream-key-0001", &upstream.url(), models);
    let config = format!("thinking-table: generous\n{}", support::list("gemini", &[entry]));
    let gateway = support::start(&config, &[]);
    let wish = async |model: &str, members: Value| {
        let (path, mut body) = support::request("chat", model, false);
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let answer = support::ask(&gateway, &path, &body).await;
        assert_eq!(answer.status, 200, "{members}: {}", answer.body);
        let received = upstream.received().pop().unwrap().json();
        received["generationConfig"]["thinkingConfig"]["thinkingBudget"].clone()
    };
    for (model, members, budget) in [
        ("pro", json!({"thinking_budget": 2048}), json!(2048)),
        ("pro", json!({"thinking_budget": -1}), json!(-1)),
        ("flash", json!({"thinking_budget": 0}), json!(0)),
        ("pro", json!({"reasoning_effort": "low"}), json!(1024)),
        ("pro", json!({"reasoning_effort": "medium"}), json!(16384)),
        ("pro", json!({"reasoning_effort": "high"}), json!(32768)),
        ("flash", json!({"reasoning_effort": "high"}), json!(24576)),
        ("flash", json!({"reasoning_effort": "none"}), json!(0)),
        ("pro", json!({"extra_body": {"reasoning_effort": "low"}}), json!(1024)),
        ("pro", json!({"model_params": {"thinking_budget": 4096}}), json!(4096)),
    ] {
        assert_eq!(wish(model, members.clone()).await, budget, "{model} {members}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_streams_by_default_only_where_that_is_configured() {
    let upstream = Upstream::start(support::answering("chat")).await;
    for (switch, streams) in [("", false), ("gemini-cli-proxy: {stream-by-default: true}\n", true)] {
        let gateway = support::start(&format!("{switch}{}", support::config("chat", &upstream)), &[]);
        let mut body = json!({"model": "up", "messages": [{"role": "user", "content": "hi"}]});
        let answer = support::ask(&gateway, "/v1/chat/completions", &body).await;
        assert_eq!(answer.header("content-type").starts_with("text/event-stream"), streams, "{switch}");
        assert_eq!(support::text_of("chat", streams, &answer.body), support::TEXT);
        body["stream"] = json!(false);
        let answer = support::ask(&gateway, "/v1/chat/completions", &body).await;
        assert!(answer.header("content-type").starts_with("application/json"), "{switch}");
        let (path, body) = support::request("claude", "up", false);
        let answer = support::ask(&gateway, &path, &body).await;
        assert!(answer.header("content-type").starts_with("application/json"), "{switch}");
    }
}
