//! Quotas: what answers tell of them, and what follows for whom.

use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::json;

use crate::support;

/// Headers that refuse the account for one window: its status, and when it begins anew.
type Refused = [&'static str; 2];

const SESSION: Refused = ["anthropic-ratelimit-unified-5h-status", "anthropic-ratelimit-unified-5h-reset"];
const LARGEST_MODEL: Refused =
    ["anthropic-ratelimit-unified-7d_oi-status", "anthropic-ratelimit-unified-7d_oi-reset"];

const MODELS: [&str; 2] = ["claude-sonnet-4-6", "claude-opus-4-6"];

fn bearer(received: &Received) -> &str {
    received.headers["authorization"].to_str().unwrap()
}

/// Two Claude accounts, of which the first is told that a window of the whole account is used up.
async fn two_accounts([status, reset]: Refused) -> (Upstream, Gateway) {
    let upstream = Upstream::start(move |received| {
        if bearer(received) != "Bearer access-a" {
            return support::answering("claude")(received);
        }
        let error = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "used up"}});
        Script::json(429, error.to_string()).header(status, "rejected").header(reset, "4102444800")
    })
    .await;
    let url = upstream.url();
    let config = format!("oauth-endpoints:\n  claude: {{base-url: '{url}'}}\nrequest-retry: 0\n");
    let directory = tempfile::tempdir().unwrap();
    let accounts = directory.path().join(".cli-proxy-api");
    std::fs::create_dir(&accounts).unwrap();
    for name in ["a", "b"] {
        let file = json!({
            "type": "claude", "access_token": format!("access-{name}"), "refresh_token": "r",
            "expired": "2099-01-01T00:00:00Z",
        });
        write(&accounts.join(format!("{name}.json")), &file.to_string());
    }
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_cli-proxy-api"));
    (upstream, Gateway::start_in(directory, binary, &config, &[]))
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own, written as people do")]
fn write(path: &std::path::Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

async fn ask_twice(gateway: &Gateway, model: &str) {
    for _ in 0..2 {
        assert_eq!(support::ask_model(gateway, "claude", model, false).await.status, 200);
    }
}

fn asked_first(upstream: &Upstream) -> usize {
    upstream.received().iter().filter(|received| bearer(received) == "Bearer access-a").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_window_of_the_account_rests_it_for_every_model() {
    let (upstream, gateway) = two_accounts(SESSION).await;
    for model in MODELS {
        ask_twice(&gateway, model).await;
    }
    assert_eq!(asked_first(&upstream), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_window_of_one_model_rests_that_model_alone() {
    let (upstream, gateway) = two_accounts(LARGEST_MODEL).await;
    for model in MODELS {
        ask_twice(&gateway, model).await;
    }
    assert_eq!(asked_first(&upstream), 2, "once for each model");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_ends_while_an_answer_runs_is_not_asked_for_again() {
    let upstream = Upstream::start(|_| {
        let piece = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "Half"}]}}]});
        let error = json!({"error": {
            "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "used up",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3600s"}],
        }});
        Script::events(vec![format!("data: {piece}\n\ndata: {error}\n\n").into()])
    })
    .await;
    let config = format!("{}request-retry: 0\n", support::config("gemini", &upstream));
    let gateway = support::start(&config, &[]);
    let (path, body) = support::request("chat", "up", true);
    let cut = support::ask(&gateway, &path, &body).await;
    assert!(cut.body.contains("Half") && cut.body.contains("error"), "{}", cut.body);
    let refused = support::ask(&gateway, &path, &body).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 3000);
    assert_eq!(upstream.received().len(), 1);
}
