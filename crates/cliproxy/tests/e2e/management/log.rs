//! What panels are told where there is nothing to show.

use serde_json::{Value, json};

use super::Panel;

#[tokio::test(flavor = "multi_thread")]
async fn without_log_files_panels_are_told_so_in_their_words() {
    let panel = Panel::start("debug: false\n");
    panel.refused("GET", "/logs?after=0", Value::Null, (400, "logging to file disabled")).await;
    panel.refused("DELETE", "/logs", Value::Null, (400, "logging to file disabled")).await;
    assert_eq!(panel.get("/request-error-logs").await, json!({"files": []}));
    panel.refused("GET", "/request-error-logs/error-x.log", Value::Null, (404, "log file not found")).await;
    panel.refused("GET", "/request-error-logs/..%2fx", Value::Null, (400, "invalid log file name")).await;
    let missing = (404, "log file not found for the given request ID");
    panel.refused("GET", "/request-log-by-id/0123abcd", Value::Null, missing).await;
    panel.refused("GET", "/request-log-by-id/..%2fx", Value::Null, (400, "invalid request ID")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_plugins_and_the_version_is_our_own() {
    let panel = Panel::start("debug: false\n");
    assert_eq!(panel.get("/plugins").await, json!({"plugins": []}));
    assert_eq!(panel.get("/plugin-store").await, json!({"plugins": []}));
    panel.refused("DELETE", "/plugins/x", Value::Null, (404, "plugin not found")).await;
    let version = panel.get("/latest-version").await["latest-version"].as_str().unwrap().to_owned();
    assert!(version.starts_with('v') && version.contains('.'), "{version}");
}
