//! The configuration as a whole.

use serde_json::{Value, json};

use super::{Panel, send};

const CONFIG: &str = "# head\nhost: 127.0.0.1\nmy-own-key: {a: 1} # stays\ndebug: yes\napi-keys:\n  - client-key-0001 # laptop\nclaude-api-key:\n  - api-key: sk-0001\n    new-member: 7\n";

#[tokio::test]
async fn everything_is_shown_with_the_keys_of_the_file() {
    let panel = Panel::start(CONFIG);
    let config = panel.get("/config").await;
    for hidden in ["host", "port", "remote-management", "auth-dir"] {
        assert!(config.get(hidden).is_none(), "{hidden}");
    }
    assert_eq!(config["debug"], json!(true));
    assert_eq!(config["api-keys"], json!(["client-key-0001"]));
    assert_eq!(config["claude-api-key"], json!([{"api-key": "sk-0001", "new-member": 7}]));
    assert_eq!(config["gemini-api-key"], json!([]));
    assert_eq!(config["my-own-key"], json!({"a": 1}));
    assert_eq!(config["routing"]["strategy"], "round-robin");
    assert_eq!(config["proxy-url"], "");
}

#[tokio::test]
async fn the_file_is_read_and_replaced_and_a_stale_or_invalid_text_refused() {
    let panel = Panel::start(CONFIG);
    let answer = send(panel.request("GET", "/config.yaml")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, CONFIG));
    assert_eq!(answer.header("content-type"), "application/yaml; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let tag = answer.header("etag").to_owned();
    let put = |text: String, tag: String| {
        send(panel.request("PUT", "/config.yaml").header("if-match", tag).body(text))
    };

    let next = CONFIG.replace("debug: yes", "debug: no");
    let answer = put(next.clone(), tag.clone()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"ok": true, "changed": ["config"]})));
    assert_eq!(panel.file(), next);
    assert_eq!(panel.get("/debug").await, json!({"debug": false}));
    let kept = std::fs::read_to_string(panel.gateway.config().with_extension("yaml.1")).unwrap();
    assert_eq!(kept, CONFIG);

    let stale = put(CONFIG.to_owned(), tag).await;
    assert_eq!((stale.status, stale.json()["error"].clone()), (409, json!("conflict")));
    for (text, status, code) in [
        ("debug: [", 400, "invalid_yaml"),
        ("- a\n", 400, "invalid_yaml"),
        ("", 400, "invalid_yaml"),
        ("port: many\n", 422, "invalid_config"),
    ] {
        let answer = send(panel.request("PUT", "/config.yaml").body(text)).await;
        assert_eq!((answer.status, answer.json()["error"].clone()), (status, json!(code)), "{text:?}");
        assert!(answer.json()["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    assert_eq!(panel.file(), next);
}

#[tokio::test]
async fn a_client_key_that_is_taken_away_is_refused_at_once() {
    let panel = Panel::start(CONFIG);
    let ask = || {
        let url = format!("{}/v1/models", panel.gateway.url());
        send(crate::support::client().get(url).header("authorization", "Bearer client-key-0001"))
    };
    assert_eq!(ask().await.status, 200);
    panel.done("PUT", "/api-keys", json!(["client-key-0002"])).await;
    assert_eq!(ask().await.status, 401);
    let text = panel.file();
    assert_eq!(text, CONFIG.replace("client-key-0001", "client-key-0002"));
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_at_once_are_all_kept() {
    let panel = Panel::start("debug: false # c\n");
    let keys = (0..12).map(|number| {
        panel.send("PATCH", "/api-keys", json!({"old": "none", "new": format!("client-key-{number:04}")}))
    });
    for answer in futures_util::future::join_all(keys).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let keys = panel.get("/api-keys").await;
    assert_eq!(keys["api-keys"].as_array().map(Vec::len), Some(12));
    assert!(panel.file().starts_with("debug: false # c\n"));
    assert_ne!(keys, Value::Null);
}
