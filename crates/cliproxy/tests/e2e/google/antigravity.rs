//! Accounts of Antigravity: Gemini models of Code Assist behind every client format. Other makers' are in `antigravity_models`.

use cliproxy_testkit::identity::IdentityProvider;
use cliproxy_testkit::{Home, Script, Upstream};
use serde_json::{Value, json};

use super::{OVER, VALID, asked, bearer, code_assist, enveloped, refusal, start, used_up};
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
    assert!(listed.contains(MODEL), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_by_modality_reach_gemini_clients() {
    let usage = json!({"promptTokenCount": 20, "candidatesTokenCount": 4, "totalTokenCount": 24,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}, {"modality": "IMAGE", "tokenCount": 15}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 4}], "trafficType": "ON_DEMAND"});
    let told = usage.clone();
    let upstream = Upstream::start(move |received| {
        let answer = enveloped(&json!({"candidates": [{"index": 0, "finishReason": "STOP",
            "content": {"role": "model", "parts": [{"text": support::TEXT}]}}], "usageMetadata": told}));
        if support::asks_stream(received) {
            return Script::events(vec![format!("data: {answer}\n\n").into()]);
        }
        Script::json(200, answer.to_string())
    })
    .await;
    let gateway = start("antigravity", &upstream, &[("a", account("a", VALID))], "");
    let answer = support::ask_model(&gateway, "gemini", MODEL, false).await;
    assert_eq!(answer.json()["usageMetadata"], usage, "{}", answer.body);
    let answer = support::ask_model(&gateway, "gemini", MODEL, true).await;
    let last = answer.body.trim_end().rsplit("data: ").next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(last).unwrap()["usageMetadata"], usage, "{}", answer.body);
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

/// Two addresses of the service, the first of which `first` answers for.
async fn with_two_addresses(
    first: impl Fn(&cliproxy_testkit::Received) -> Script + Send + Sync + 'static,
) -> (Upstream, Upstream, cliproxy_testkit::Gateway) {
    let (first, second) = (Upstream::start(first).await, Upstream::start(code_assist).await);
    let config = format!(
        "oauth-endpoints:\n  antigravity: {{base-url: '{}', setup-url: '{}'}}\nrequest-retry: 0\n",
        first.url(),
        second.url()
    );
    let gateway = super::start_at(&config, &[("a", account("a", VALID))]);
    (first, second, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_fails_leaves_it_to_the_other_one() {
    let pace = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "cloudcode-pa.googleapis.com", "metadata": {}}]);
    for (status, word, message, details) in [
        (503, "UNAVAILABLE", "No capacity available for this model.", json!([])),
        (429, "RESOURCE_EXHAUSTED", "Too many requests.", pace),
    ] {
        let (first, second, gateway) =
            with_two_addresses(move |_| refusal(status, word, message, &details)).await;
        for is_stream in [false, true] {
            let answer = support::ask_model(&gateway, "chat", MODEL, is_stream).await;
            assert_eq!(answer.status, 200, "{status}: {}", answer.body);
        }
        assert_eq!((first.received().len(), second.received().len()), (2, 2), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_nobody_answers_leaves_it_to_the_other_one() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let second = Upstream::start(code_assist).await;
    let config = format!(
        "oauth-endpoints:\n  antigravity: {{base-url: 'http://{nobody}', setup-url: '{}'}}\nrequest-retry: 0\n",
        second.url()
    );
    let gateway = super::start_at(&config, &[("a", account("a", VALID))]);
    for is_stream in [false, true] {
        let answer = support::ask_model(&gateway, "claude", MODEL, is_stream).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(second.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_has_a_kind_of_its_own_unless_functions_stand_beside_it() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start("antigravity", &upstream, &[("a", account("a", VALID))], "");
    let function = json!({"functionDeclarations": [{"name": "f", "description": "d"}]});
    let search = json!({"googleSearch": {}});
    for (tools, kind) in [(json!([search]), "web_search"), (json!([search, function]), "agent")] {
        let (path, mut body) = support::request("gemini", MODEL, false);
        body["tools"] = tools;
        assert_eq!(support::ask(&gateway, &path, &body).await.status, 200);
        let sent = upstream.received().pop().unwrap().json();
        assert_eq!(sent["requestType"], kind, "{sent}");
        assert_eq!(sent.get("requestId").is_some(), kind == "agent", "{sent}");
    }
    let (path, mut body) = support::request("claude", MODEL, false);
    body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    assert_eq!(support::ask(&gateway, &path, &body).await.status, 200);
    let sent = upstream.received().pop().unwrap().json();
    assert_eq!(
        (&sent["requestType"], &sent["request"]["tools"]),
        (&json!("web_search"), &json!([search])),
        "{sent}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_so_at_every_address() {
    let (_first, second, gateway) = with_two_addresses(|_| used_up()).await;
    let answer = support::ask_model(&gateway, "chat", MODEL, false).await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert!(second.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_once_and_the_request_repeated() {
    let upstream = Upstream::start(|received| match (&*received.path, bearer(received)) {
        ("/token", _) => {
            Script::json(200, json!({"access_token": "access-new", "expires_in": 3599}).to_string())
        }
        (_, "access-new") => code_assist(received),
        _ => refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", &json!([])),
    })
    .await;
    let url = upstream.url();
    let config = format!(
        "oauth-endpoints:\n  antigravity: {{client-secret: mine, token-url: '{url}/token', base-url: '{url}'}}\nrequest-retry: 0\n"
    );
    let gateway = super::start_at(&config, &[("a", account("a", VALID))]);
    for format in support::FORMATS {
        let answer = support::ask_model(&gateway, format, MODEL, true).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
    }
    let paths: Vec<String> = upstream.received().into_iter().map(|received| received.path).collect();
    assert_eq!(paths.iter().filter(|path| *path == "/token").count(), 1, "{paths:?}");
    assert_eq!(paths.len(), 6, "{paths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_dead_needs_attention_and_the_file_stays() {
    let upstream = Upstream::start(|received| match &*received.path {
        "/token" => Script::json(400, json!({"error": "invalid_grant"}).to_string()),
        _ => code_assist(received),
    })
    .await;
    let url = upstream.url();
    let config = format!(
        "oauth-endpoints:\n  antigravity: {{client-secret: mine, token-url: '{url}/token', base-url: '{url}'}}\nrequest-retry: 0\n"
    );
    let before = account("a", OVER);
    let gateway = super::start_at(&config, &[("a", before.clone()), ("b", account("b", VALID))]);
    gateway.said("log in again: cli-proxy-api --antigravity-login", 1);
    let answer = support::ask_model(&gateway, "claude", MODEL, false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let file: Value =
        serde_json::from_slice(&std::fs::read(gateway.accounts().join("a.json")).unwrap()).unwrap();
    assert_eq!(file, before);
    assert!(asked(&upstream).iter().all(|received| bearer(received) == "access-b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_success_counts_as_a_failure() {
    let upstream = Upstream::start(|received| {
        if bearer(received) == "access-a" {
            return Script::json(200, json!({"response": {"candidates": []}}).to_string());
        }
        code_assist(received)
    })
    .await;
    let mut first = account("a", VALID);
    first["priority"] = json!(1);
    let gateway = start("antigravity", &upstream, &[("a", first), ("b", account("b", VALID))], "");
    let answer = support::ask_model(&gateway, "chat", MODEL, false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_keeps_its_name_and_pictures_have_a_kind_of_their_own() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start("antigravity", &upstream, &[("a", account("a", VALID))], "");
    let turn = |text: &str| json!({"role": "user", "content": text});
    let answer = json!({"role": "assistant", "content": "Yes."});
    for messages in [vec![turn("one")], vec![turn("one"), answer.clone(), turn("and?")], vec![turn("two")]] {
        let body = json!({"model": MODEL, "messages": messages});
        assert_eq!(support::ask(&gateway, "/v1/chat/completions", &body).await.status, 200);
    }
    let sent: Vec<Value> = upstream.received().iter().map(cliproxy_testkit::Received::json).collect();
    let name = |at: usize| sent[at]["request"]["sessionId"].as_str().unwrap().to_owned();
    assert!(name(0).starts_with('-') && name(0)[1..].parse::<u64>().is_ok(), "{}", name(0));
    assert_eq!(name(0), name(1));
    assert_ne!(name(0), name(2));
    assert_ne!(sent[0]["requestId"], sent[1]["requestId"]);
    let answer = support::ask_model(&gateway, "gemini", "gemini-3.1-flash-image", false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let picture = upstream.received().pop().unwrap().json();
    assert_eq!(picture["requestType"], "image_gen", "{picture}");
    assert!(picture["requestId"].as_str().unwrap().starts_with("image_gen/"), "{picture}");
    assert!(picture["request"].get("sessionId").is_none(), "{picture}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_project_is_completed_and_serves() {
    let provider = IdentityProvider::start().await;
    let home = Home::new(&provider.endpoints());
    let tokens = provider.issue("antigravity");
    let file = json!({"type": "antigravity", "email": "a@b.c", "access_token": tokens.access,
        "refresh_token": tokens.refresh, "expired": VALID, "note": "mine"});
    home.write("auth/antigravity-a@b.c.json", &file.to_string());
    let config = std::fs::read_to_string(home.path().join("config.yaml")).unwrap();
    let gateway = support::start(&config, &[]);
    gateway.said("token renewed", 1);
    let file = home.auth_file("antigravity-a@b.c.json");
    assert_eq!(
        (&file["project_id"], &file["note"]),
        (&json!("antigravity-project"), &json!("mine")),
        "{file:#}"
    );
    while !support::get(&gateway, "/v1/models").await.body.contains(MODEL) {
        tokio::task::yield_now().await;
    }
}
