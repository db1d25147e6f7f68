//! `explain`, and rests that outlive the process.

use std::path::Path;
use std::process::Command;

use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::support;

fn explain(home: &Path, config: &Path, model: &str) -> (bool, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_cli-proxy-api"))
        .args(["explain", "--json", "--model", model, "--config"])
        .arg(config)
        .env("HOME", home)
        .current_dir(home)
        .output()
        .unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.success(), json)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_would_serve_and_why_the_others_would_not_after_a_restart_too() {
    let upstream = Upstream::start(|received| {
        if format!("{:?}", received.headers.get("x-goog-api-key")).contains("tired") {
            let error = json!({"error": {"code": 429, "message": "used up", "status": "RESOURCE_EXHAUSTED"}});
            return Script::json(429, error.to_string()).header("retry-after", "3000");
        }
        support::answering("gemini")(received)
    })
    .await;
    let url = upstream.url();
    let models = "models: [{name: up, alias: up}]";
    let config = format!(
        "request-retry: 0\ngemini-api-key:\n  - {{api-key: tired-key-0001, base-url: '{url}', priority: 1, {models}}}\n  - {{api-key: fresh-key-0001, base-url: '{url}', {models}}}\n"
    );
    let gateway = support::start(&config, &[]);
    let home = gateway.config().parent().unwrap().to_owned();
    let (path, body) = support::request("chat", "up", false);
    assert_eq!(support::ask(&gateway, &path, &body).await.status, 200);
    gateway.end();
    let (is_served, explanation) = explain(&home, &gateway.config(), "up");
    assert!(is_served, "{explanation}");
    assert_eq!(explanation["model"], "up");
    let skipped = explanation["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 1, "{explanation}");
    assert!(skipped[0]["reason"].as_str().unwrap().contains("quota"), "{explanation}");
    let quota = &skipped[0]["quotas"][0];
    assert_eq!((&quota["model"], &quota["used"]), (&json!("up"), &json!(1.0)), "{explanation}");
    assert_ne!(explanation["chosen"]["credential"], skipped[0]["credential"]);
    assert!(!explain(&home, &gateway.config(), "nowhere").0);
}
