//! Service accounts of Vertex AI: tokens made of a key, and what they serve.

use std::sync::atomic::{AtomicBool, Ordering};

use cliproxy_testkit::identity::IdentityProvider;
use cliproxy_testkit::{Gateway, Script, Upstream};
use serde_json::{Value, json};

use super::{asked, bearer, refusal, start};
use crate::support;

const MODEL: &str = "gemini-2.5-pro";

/// An auth file as an import writes it.
fn account(provider: &IdentityProvider, project: &str) -> Value {
    let key: Value = serde_json::from_str(&provider.service_account(project)).unwrap();
    json!({
        "type": "vertex", "project_id": project, "email": key["client_email"], "location": "europe-west4",
        "service_account": key,
    })
}

fn minted(provider: &IdentityProvider) -> usize {
    provider.received().iter().filter(|received| received.path == "/vertex/token").count()
}

fn text(gateway: &Gateway, name: &str) -> String {
    std::fs::read_to_string(gateway.accounts().join(format!("{name}.json"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_format_is_served_with_one_token_that_no_file_has() {
    let provider = IdentityProvider::start().await;
    let upstream = Upstream::start(support::answering("gemini")).await;
    let file = account(&provider, "my-project");
    let gateway = start("vertex", &upstream, &[("a", file.clone())], "");
    assert_eq!(minted(&provider), 0, "nobody needs a token yet");
    let all = support::FORMATS.into_iter().flat_map(|format| [(format, false), (format, true)]);
    let all = all.map(async |(format, is_stream)| {
        let answer = support::ask_model(&gateway, format, MODEL, is_stream).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        assert_eq!(support::text_of(format, is_stream, &answer.body), support::TEXT, "{format}");
        assert!(!is_stream || support::is_complete(format, &answer.body), "{format}: {}", answer.body);
    });
    futures_util::future::join_all(all).await;
    assert_eq!(minted(&provider), 1);
    assert_eq!(text(&gateway, "a"), file.to_string());
    for received in upstream.received() {
        let method =
            if support::asks_stream(&received) { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let place = "/v1/projects/my-project/locations/europe-west4";
        assert_eq!(received.path, format!("{place}/publishers/google/models/{MODEL}:{method}"));
        assert_eq!(bearer(&received), "access-of-vertex-000001");
        assert!(received.header("user-agent").starts_with("cli-proxy-api/"));
        assert!(received.json().get("model").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_made_anew() {
    let provider = IdentityProvider::start().await;
    let is_asked = AtomicBool::new(false);
    let upstream = Upstream::start(move |received| {
        // The first token is accepted once.
        if bearer(received).ends_with("000001") && is_asked.swap(true, Ordering::SeqCst) {
            return refusal(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials.",
                &json!([]),
            );
        }
        support::answering("gemini")(received)
    })
    .await;
    let gateway = start("vertex", &upstream, &[("a", account(&provider, "my-project"))], "");
    for _ in 0..2 {
        let answer = support::ask_model(&gateway, "responses", MODEL, true).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!((minted(&provider), asked(&upstream).len()), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_google_does_not_know_needs_a_person_and_another_account_serves() {
    let provider = IdentityProvider::start().await;
    let upstream = Upstream::start(support::answering("gemini")).await;
    let mut deleted = account(&provider, "gone");
    deleted["service_account"]["client_email"] = json!("nobody@gone.iam.gserviceaccount.com");
    deleted["priority"] = json!(1);
    let mut broken = account(&provider, "broken");
    broken["service_account"]["private_key"] = json!("no key");
    broken["priority"] = json!(1);
    let files = [("a", deleted), ("b", broken), ("c", account(&provider, "well"))];
    let gateway = start("vertex", &upstream, &files, "");
    for _ in 0..3 {
        let answer = support::ask_model(&gateway, "claude", MODEL, false).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert!(gateway.said("account not found", 1).contains("--vertex-import FILE"));
    gateway.said("is not an RSA private key", 1);
    assert_eq!(minted(&provider), 2, "once for the unknown one, once for the well one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_project_rests_and_another_one_serves() {
    let provider = IdentityProvider::start().await;
    let upstream = Upstream::start(|received| {
        if received.path.contains("/projects/first/") {
            return refusal(
                429,
                "RESOURCE_EXHAUSTED",
                "Resource exhausted. Please try again later.",
                &json!([]),
            );
        }
        if support::asks_stream(received) {
            support::answering("gemini")(received)
        } else {
            Script::json(200, support::body("gemini").to_string())
        }
    })
    .await;
    let mut first = account(&provider, "first");
    first["priority"] = json!(1);
    let gateway = start("vertex", &upstream, &[("a", first), ("b", account(&provider, "second"))], "");
    for format in support::FORMATS {
        let answer = support::ask_model(&gateway, format, MODEL, format == "chat").await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
    }
    let last = upstream.received().pop().unwrap();
    assert!(last.path.contains("/projects/second/"), "{}", last.path);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted() {
    let provider = IdentityProvider::start().await;
    let upstream = Upstream::start(|_| Script::json(200, json!({"totalTokens": 7}).to_string())).await;
    let gateway = start("vertex", &upstream, &[("a", account(&provider, "my-project"))], "");
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    let answer = support::ask(&gateway, "/v1/messages/count_tokens", &body).await;
    assert_eq!((answer.status, answer.json()["input_tokens"].clone()), (200, json!(7)), "{}", answer.body);
    assert!(upstream.received()[0].path.ends_with(&format!("/models/{MODEL}:countTokens")));
}

#[tokio::test(flavor = "multi_thread")]
async fn imagen_draws_with_the_accounts_token_and_rests_like_others() {
    let provider = IdentityProvider::start().await;
    let upstream = Upstream::start(|received| {
        if received.path.contains("/projects/first/") {
            return refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", &json!([]));
        }
        let drawn = json!({"predictions": [{"bytesBase64Encoded": "QUE=", "mimeType": "image/png"}]});
        Script::json(200, drawn.to_string())
    })
    .await;
    let mut first = account(&provider, "first");
    first["priority"] = json!(1);
    let gateway = start("vertex", &upstream, &[("a", first), ("b", account(&provider, "second"))], "");
    let model = "imagen-4.0-generate-001";
    assert!(support::get(&gateway, "/v1/models").await.body.contains(model));
    for is_stream in [false, true] {
        let answer = support::ask_model(&gateway, "chat", model, is_stream).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains("data:image/png;base64,QUE="), "{}", answer.body);
    }
    let asked = asked(&upstream);
    let places: Vec<&str> = asked.iter().map(|received| received.path.split('/').nth(3).unwrap()).collect();
    assert_eq!(places, ["first", "second", "second"]);
    for received in &asked {
        assert!(
            received.path.ends_with(&format!("/publishers/google/models/{model}:predict")),
            "{}",
            received.path
        );
        assert!(bearer(received).starts_with("access-of-vertex-"));
        assert_eq!(received.json()["instances"], json!([{"prompt": "hi"}]));
    }
}
