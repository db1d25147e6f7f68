//! Accounts of Antigravity: Gemini models of Code Assist behind every client format.

use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use super::{OVER, VALID, asked, bearer, code_assist, refusal, start, used_up};
use crate::support;

const MODEL: &str = "gemini-3-flash";

/// An auth file as other programs write it.
fn account(name: &str, expired: &str) -> Value {
    json!({
        "type": "antigravity", "access_token": format!("access-{name}"), "refresh_token": format!("refresh-{name}"),
        "expired": expired, "expires_in": 3599, "timestamp": 1, "email": format!("{name}@b.c"), "project_id": "project",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_format_is_served_whole_and_as_a_stream() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start("antigravity", &upstream, &[("a", account("a", VALID))], "");
    for format in support::FORMATS {
        for is_stream in [false, true] {
            let answer = support::ask_model(&gateway, format, MODEL, is_stream).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of(format, is_stream, &answer.body), support::TEXT, "{format}");
            assert!(!is_stream || support::is_complete(format, &answer.body), "{format}: {}", answer.body);
        }
    }
    for received in upstream.received() {
        assert!(received.path.starts_with("/v1internal:"), "{}", received.path);
        let agent = received.header("user-agent");
        assert!(agent.starts_with("antigravity/") && agent.contains(" cli-proxy-api/"), "{agent}");
        let body = received.json();
        assert_eq!((&body["project"], &body["requestType"]), (&json!("project"), &json!("agent")), "{body}");
        assert!(body["request"]["generationConfig"].get("maxOutputTokens").is_none(), "{body}");
        assert!(body["request"].get("safetySettings").is_none(), "{body}");
    }
    let listed = support::get(&gateway, "/v1/models").await.body;
    assert!(listed.contains(MODEL) && !listed.contains("claude"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_ended_is_renewed_with_the_configured_secret() {
    let upstream = Upstream::start(|received| {
        if received.path == "/token" {
            let form = String::from_utf8(received.body.to_vec()).unwrap();
            assert!(
                form.contains("refresh_token=refresh-a") && form.contains("client_secret=mine"),
                "{form}"
            );
            return Script::json(200, json!({"access_token": "access-new", "expires_in": 3599}).to_string());
        }
        assert_eq!(bearer(received), "access-new");
        code_assist(received)
    })
    .await;
    let url = upstream.url();
    let files = [("a", account("a", OVER))];
    let secret =
        format!("  antigravity: {{client-secret: mine, token-url: '{url}/token', base-url: '{url}'}}\n");
    let gateway = super::start_at(&format!("oauth-endpoints:\n{secret}request-retry: 0\n"), &files);
    let answer = support::ask_model(&gateway, "claude", MODEL, true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let file: Value =
        serde_json::from_slice(&std::fs::read(gateway.accounts().join("a.json")).unwrap()).unwrap();
    assert_eq!((&file["access_token"], &file["refresh_token"]), (&json!("access-new"), &json!("refresh-a")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_shut_out_or_out_of_quota_leaves_it_to_another() {
    let upstream = Upstream::start(|received| match bearer(received) {
        "access-a" => {
            let message = "This service has been disabled in this account for violation of Terms of Service.";
            refusal(403, "PERMISSION_DENIED", message, &json!([]))
        }
        "access-b" => used_up(),
        _ => code_assist(received),
    })
    .await;
    let mut files = vec![("c", account("c", VALID))];
    for name in ["a", "b"] {
        let mut file = account(name, VALID);
        file["priority"] = json!(1);
        files.push((name, file));
    }
    let gateway = start("antigravity", &upstream, &files, "");
    for format in support::FORMATS {
        let answer = support::ask_model(&gateway, format, MODEL, false).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
    }
    gateway.said("has shut this account out", 1);
    assert_eq!(asked(&upstream).len(), 6);
}
