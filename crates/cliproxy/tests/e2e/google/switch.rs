//! What `quota-exceeded` in the configuration makes of a quota that is used up.

use cliproxy_testkit::{Gateway, Script, Upstream};
use serde_json::{Value, json};

use super::{VALID, asked, code_assist, start, used_up};
use crate::support;

/// A gateway with one account that has two projects, of which the first is out of quota.
async fn two_projects(config: &str) -> (Upstream, Gateway) {
    let upstream =
        Upstream::start(
            |received| {
                if received.json()["project"] == "one" { used_up() } else { code_assist(received) }
            },
        )
        .await;
    let gateway = start("gemini-cli", &upstream, &[("a", account("one,two"))], config);
    (upstream, gateway)
}

fn account(project: &str) -> Value {
    json!({
        "type": "gemini", "email": "a@b.c", "project_id": project,
        "token": {"access_token": "access-a", "refresh_token": "refresh-a", "expiry": VALID},
    })
}

fn projects(upstream: &Upstream) -> Vec<Value> {
    asked(upstream).iter().map(|received| received.json()["project"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_project_of_the_account_goes_on() {
    let (upstream, gateway) = two_projects("quota-exceeded: {switch-project: true}\n").await;
    let answer = support::ask_model(&gateway, "chat", "gemini-2.5-pro", false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(projects(&upstream), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_switching_the_request_ends_where_the_quota_does() {
    let (upstream, gateway) = two_projects("quota-exceeded: {switch-project: false}\n").await;
    let answer = support::ask_model(&gateway, "chat", "gemini-2.5-pro", false).await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(projects(&upstream), ["one"]);
    // The next request has the turn of the other project.
    let answer = support::ask_model(&gateway, "chat", "gemini-2.5-pro", false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(projects(&upstream), ["one", "two"]);
}

/// A gateway whose model is out of quota, and its preview is not.
async fn with_preview(config: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(|received| {
        if received.path.contains("/up:") {
            let details = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3600s"}]);
            let error = json!({"code": 429, "message": "used up", "status": "RESOURCE_EXHAUSTED", "details": details});
            return Script::json(429, json!({"error": error}).to_string());
        }
        support::answering("gemini")(received)
    })
    .await;
    let names = ["up", "up-preview", "up-previews"].map(|name| format!("{{name: {name}, alias: {name}}}"));
    let entry = support::entry(
        "gemini",
        "upstream-key-0001",
        &upstream.url(),
        &format!("models: [{}]", names.join(", ")),
    );
    let config = format!("{}request-retry: 0\n{config}", support::list("gemini", &[entry]));
    (upstream, support::start(&config, &[]))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preview_of_a_model_goes_on_and_the_answer_says_so() {
    let (upstream, gateway) = with_preview("quota-exceeded: {switch-preview-model: true}\n").await;
    for format in support::FORMATS {
        let answer = support::ask_model(&gateway, format, "up", true).await;
        assert_eq!((answer.status, answer.header("x-gateway-model")), (200, "up-preview"), "{}", answer.body);
        assert_eq!(support::text_of(format, true, &answer.body), support::TEXT);
    }
    let first = upstream.received().iter().filter(|received| received.path.contains("/up:")).count();
    assert_eq!(first, 1, "it rests meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_switching_the_model_is_what_was_asked_for() {
    let (upstream, gateway) = with_preview("quota-exceeded: {switch-preview-model: false}\n").await;
    let answer = support::ask_model(&gateway, "gemini", "up", false).await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(upstream.received().len(), 1);
}
