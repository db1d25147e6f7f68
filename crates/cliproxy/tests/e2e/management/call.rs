//! Requests that a panel makes with a stored credential.

use cliproxy_testkit::{Gateway, Script, Upstream};
use serde_json::{Value, json};

use super::{KEY, Panel};

const ACCOUNT: &str = r#"{"type":"claude","email":"a@b.c","access_token":"token-0001","refresh_token":"r","expired":"2099-01-01T00:00:00Z"}"#;

/// A gateway with one account whose models are at `upstream`.
async fn arranged() -> (Upstream, Panel) {
    let upstream = Upstream::start(|received| {
        let told = json!({"asked": received.path, "with": received.header("authorization"), "body": String::from_utf8_lossy(&received.body)});
        Script::json(418, told.to_string()).header("x-quota", "7")
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let accounts = directory.path().join(".cli-proxy-api");
    std::fs::create_dir(&accounts).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
    std::fs::write(accounts.join("claude-a.json"), ACCOUNT).unwrap();
    let config = format!("oauth-endpoints:\n  claude: {{base-url: '{}'}}\n", upstream.url());
    let gateway = Gateway::start_in(directory, crate::login::binary(), &config, &["--password", KEY]);
    (upstream, Panel { gateway })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_asked_with_the_token_of_an_account() {
    let (upstream, panel) = arranged().await;
    let files = panel.get("/auth-files").await;
    let index = files["files"][0]["auth_index"].clone();
    for members in [&["auth_index"] as &[&str], &["authIndex"], &["AuthIndex"], &["auth_index", "authIndex"]]
    {
        let mut body = json!({ "method": "post", "url": format!("{}/api/oauth/usage", upstream.url()),
            "header": {"Authorization": "Bearer $TOKEN$", "Host": "evil.example"}, "data": "{\"a\":1}",
        });
        for member in members {
            body[member] = index.clone();
        }
        let answer = panel.send("POST", "/api-call", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer = answer.json();
        assert_eq!((&answer["status_code"], &answer["header"]["X-Quota"]), (&json!(418), &json!(["7"])));
        let told: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            told,
            json!({"asked": "/api/oauth/usage", "with": "Bearer token-0001", "body": "{\"a\":1}"})
        );
    }
    assert!(!panel.gateway.log().contains("token-0001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_asked() {
    let (upstream, panel) = arranged().await;
    let stranger = Upstream::start(|_| Script::json(200, "{}")).await;
    let own = upstream.url();
    let elsewhere = "host not allowed: only services of providers and configured addresses are asked";
    for (body, status, text) in [
        (json!({"url": own}), 400, "missing method"),
        (json!({"method": "GET"}), 400, "missing url"),
        (json!({"method": "GET", "url": "/v1/models"}), 400, "invalid url"),
        (json!({"method": "GET", "url": "file:///etc/passwd"}), 400, "invalid url"),
        (json!({"method": "GET", "url": format!("{}/x", stranger.url())}), 400, elsewhere),
        (json!({"method": "GET", "url": "http://api.anthropic.com/x"}), 400, elsewhere),
        (json!({"method": "GET", "url": own.replace("http://", "http://user@")}), 400, elsewhere),
        (json!({"method": "G T", "url": own}), 400, "failed to build request"),
        (json!({"method": "GET", "url": own, "header": {"a b": "c"}}), 400, "failed to build request"),
    ] {
        panel.refused("POST", "/api-call", body, (status, text)).await;
    }
    assert!(stranger.received().is_empty() && upstream.received().is_empty());
}
