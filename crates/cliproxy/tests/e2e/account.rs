//! Accounts of the auth directory: used, renewed, followed.

use std::sync::Mutex;
use std::time::Duration;

use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support;

/// A provider that accepts one access token and exchanges each refresh token once.
struct Provider {
    upstream: Upstream,
}

#[derive(Default)]
struct Tokens {
    issued: u32,
}

impl Provider {
    async fn start() -> Self {
        let tokens = Mutex::new(Tokens::default());
        let upstream = Upstream::start(move |received| answer(&mut tokens.lock().unwrap(), received)).await;
        Self { upstream }
    }

    fn config(&self) -> String {
        let url = self.upstream.url();
        format!(
            "oauth-endpoints:\n  claude: {{token-url: '{url}/token', base-url: '{url}'}}\nrequest-retry: 0\n"
        )
    }

    fn exchanges(&self) -> usize {
        self.upstream.received().iter().filter(|received| received.path == "/token").count()
    }
}

fn answer(tokens: &mut Tokens, received: &Received) -> Script {
    if received.path == "/token" {
        let body: Value = serde_json::from_slice(&received.body).unwrap();
        if body["refresh_token"] != format!("refresh-{}", tokens.issued) {
            return Script::json(
                400,
                json!({"error": "invalid_grant", "error_description": "used"}).to_string(),
            );
        }
        tokens.issued += 1;
        let (access, refresh) = (format!("access-{}", tokens.issued), format!("refresh-{}", tokens.issued));
        let answer = json!({"access_token": access, "refresh_token": refresh, "expires_in": 28_800});
        return Script::json(200, answer.to_string());
    }
    let token = received.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if token != Some(format!("Bearer access-{}", tokens.issued)) {
        let error = json!({"type": "error", "error": {"type": "authentication_error", "message": "expired"}});
        return Script::json(401, error.to_string());
    }
    support::answering("claude")(received)
}

fn account(access: &str, refresh: &str, expired: &str) -> String {
    json!({
        "type": "claude", "x_unknown": 1.5, "email": "a@b.c",
        "access_token": access, "refresh_token": refresh, "expired": expired,
    })
    .to_string()
}

fn start(provider: &Provider, files: &[(&str, &str)]) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    let accounts = directory.path().join(".cli-proxy-api");
    std::fs::create_dir(&accounts).unwrap();
    for (name, content) in files {
        write(&accounts.join(name), content);
    }
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_cli-proxy-api"));
    Gateway::start_in(directory, binary, &provider.config(), &[])
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own, written as editors do")]
fn write(path: &std::path::Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

fn file(gateway: &Gateway, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(gateway.accounts().join(name)).unwrap()).unwrap()
}

async fn ask(gateway: &Gateway, format: &str) -> (u16, String) {
    let (path, body) = support::request(format, "claude-sonnet-4-6", false);
    let answer = support::ask(gateway, &path, &body).await;
    (answer.status, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_serves_every_client_format_with_what_its_token_needs() {
    let provider = Provider::start().await;
    let gateway =
        start(&provider, &[("claude-a.json", &account("access-0", "refresh-0", "2099-01-01T00:00:00Z"))]);
    for format in support::FORMATS {
        let (status, answer) = ask(&gateway, format).await;
        assert_eq!(status, 200, "{format}: {answer}");
    }
    let received = provider.upstream.received();
    for received in received {
        let beta = received.headers["anthropic-beta"].to_str().unwrap();
        assert!(beta.contains("oauth-2025-04-20"), "{beta}");
        assert!(received.headers["user-agent"].to_str().unwrap().starts_with("cli-proxy-api/"));
        assert!(!received.headers.contains_key("x-api-key"));
        let body: Value = serde_json::from_slice(&received.body).unwrap();
        assert!(body["system"][0]["text"].as_str().unwrap().starts_with("You are Claude Code"), "{body}");
    }
    assert_eq!(provider.exchanges(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_ended_is_renewed_once_for_all_who_wait() {
    let provider = Provider::start().await;
    let gateway =
        start(&provider, &[("claude-a.json", &account("old", "refresh-0", "2020-01-01T00:00:00Z"))]);
    let asked = (0..20).map(|_| ask(&gateway, "claude"));
    for (status, answer) in futures_util::future::join_all(asked).await {
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(provider.exchanges(), 1);
    let file = file(&gateway, "claude-a.json");
    assert_eq!(file["refresh_token"], "refresh-1");
    assert_eq!((&file["x_unknown"], &file["email"]), (&json!(1.5), &json!("a@b.c")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_renewed_and_the_request_repeated() {
    let provider = Provider::start().await;
    let gateway =
        start(&provider, &[("claude-a.json", &account("revoked", "refresh-0", "2099-01-01T00:00:00Z"))]);
    let asked = (0..8).map(|_| ask(&gateway, "chat"));
    for (status, answer) in futures_util::future::join_all(asked).await {
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(provider.exchanges(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_account_stays_on_disk_and_the_others_go_on() {
    let provider = Provider::start().await;
    let dead = account("old", "spent", "2020-01-01T00:00:00Z");
    let well = account("access-0", "refresh-0", "2099-01-01T00:00:00Z");
    let gateway = start(&provider, &[("claude-a.json", &dead), ("claude-b.json", &well)]);
    for _ in 0..4 {
        let (status, answer) = ask(&gateway, "claude").await;
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(provider.exchanges(), 1, "a dead grant is not tried again");
    assert_eq!(std::fs::read_to_string(gateway.accounts().join("claude-a.json")).unwrap(), dead);
    // A new content of the file is a new chance.
    write(&gateway.accounts().join("claude-a.json"), &account("old", "refresh-0", "2020-01-01T00:00:00Z"));
    std::fs::remove_file(gateway.accounts().join("claude-b.json")).unwrap();
    eventually("the mended account serves", async || {
        ask(&gateway, "claude").await.0 == 200 && provider.exchanges() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_added_disabled_and_removed_while_it_serves() {
    let provider = Provider::start().await;
    let gateway = start(&provider, &[("broken.json", "{\"type\":"), ("foreign.json", "{\"a\":1}")]);
    assert_eq!(ask(&gateway, "claude").await.0, 404, "no account, no model");
    let well = account("access-0", "refresh-0", "2099-01-01T00:00:00Z");
    let path = gateway.accounts().join("claude-a.json");
    write(&path, &well);
    eventually("a new file serves", async || ask(&gateway, "claude").await.0 == 200).await;
    write(&path, &well.replacen('{', "{\"disabled\":true,", 1));
    eventually("a disabled file does not", async || ask(&gateway, "claude").await.0 == 404).await;
    write(&path, &well);
    eventually("an enabled file serves again", async || ask(&gateway, "claude").await.0 == 200).await;
    std::fs::remove_file(&path).unwrap();
    eventually("a removed file does not", async || ask(&gateway, "claude").await.0 == 404).await;
}

/// Waits for something that another process brings about.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(holds().await, "{what}");
}
