//! Single values.

use serde_json::json;

use super::Panel;

const CONFIG: &str = "# head\ndebug: false # noise\nrequest-retry: 1\nproxy-url: \"\"\nrouting:\n  strategy: \"round-robin\" # how\nquota-exceeded:\n  switch-project: true\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_single_value_is_read_and_written() {
    let panel = Panel::start(CONFIG);
    for (path, member, value) in [
        ("/debug", "debug", json!(true)),
        ("/logging-to-file", "logging-to-file", json!(true)),
        ("/logs-max-total-size-mb", "logs-max-total-size-mb", json!(7)),
        ("/error-logs-max-files", "error-logs-max-files", json!(3)),
        ("/usage-statistics-enabled", "usage-statistics-enabled", json!(true)),
        ("/request-log", "request-log", json!(true)),
        ("/ws-auth", "ws-auth", json!(false)),
        ("/request-retry", "request-retry", json!(5)),
        ("/max-retry-interval", "max-retry-interval", json!(9)),
        ("/max-retry-credentials", "max-retry-credentials", json!(2)),
        ("/force-model-prefix", "force-model-prefix", json!(true)),
        ("/proxy-url", "proxy-url", json!("socks5://127.0.0.1:9")),
        ("/quota-exceeded/switch-project", "switch-project", json!(false)),
        ("/quota-exceeded/switch-preview-model", "switch-preview-model", json!(false)),
        ("/routing/strategy", "strategy", json!("fill-first")),
    ] {
        assert_ne!(panel.get(path).await[member], value, "{path}: the test changes something");
        for method in ["PUT", "PATCH"] {
            panel.done(method, path, json!({"value": value, "unknown": 1})).await;
            assert_eq!(panel.get(path).await, json!({member: value}), "{path}");
        }
        panel
            .refused(
                "PUT",
                path,
                json!({}),
                (400, if member == "strategy" { "invalid strategy" } else { "invalid body" }),
            )
            .await;
        panel
            .refused(
                "PATCH",
                path,
                json!({"value": [1]}),
                (400, if member == "strategy" { "invalid strategy" } else { "invalid body" }),
            )
            .await;
    }
    let text = panel.file();
    assert!(text.starts_with("# head\ndebug: true # noise\nrequest-retry: 5\nproxy-url: \"socks5://127.0.0.1:9\"\nrouting:\n  strategy: \"fill-first\" # how\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_values_are_corrected_or_refused() {
    let panel = Panel::start(CONFIG);
    panel.done("PUT", "/logs-max-total-size-mb", json!({"value": -3})).await;
    assert_eq!(panel.get("/logs-max-total-size-mb").await, json!({"logs-max-total-size-mb": 0}));
    panel.done("PUT", "/error-logs-max-files", json!({"value": -3})).await;
    assert_eq!(panel.get("/error-logs-max-files").await, json!({"error-logs-max-files": 10}));
    panel.done("PUT", "/routing/strategy", json!({"value": "FF"})).await;
    assert_eq!(panel.get("/routing/strategy").await, json!({"strategy": "fill-first"}));
    panel.refused("PUT", "/routing/strategy", json!({"value": "best"}), (400, "invalid strategy")).await;
    panel.done("PUT", "/routing", json!({"strategy": "round-robin"})).await;
    assert_eq!(panel.get("/routing").await, json!({"strategy": "round-robin"}));
    panel.done("PUT", "/proxy-url", json!({"value": "http://127.0.0.1:9"})).await;
    panel.done("DELETE", "/proxy-url", json!(null)).await;
    assert_eq!(panel.get("/proxy-url").await, json!({"proxy-url": ""}));
    let answer = panel.send("PUT", "/proxy-url", json!({"value": "ftp://x"})).await;
    assert_eq!((answer.status, answer.json()["error"].clone()), (422, json!("invalid_config")));
    assert_eq!(panel.get("/proxy-url").await, json!({"proxy-url": ""}));
}
