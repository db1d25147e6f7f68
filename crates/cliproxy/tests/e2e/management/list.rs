//! Client keys and upstream keys.

use serde_json::{Value, json};

use super::Panel;

#[tokio::test(flavor = "multi_thread")]
async fn client_keys_are_listed_replaced_set_and_removed() {
    let panel = Panel::start("debug: false\n");
    assert_eq!(panel.get("/api-keys").await, json!({"api-keys": []}), "never null");
    panel.done("PUT", "/api-keys", json!(["key-aaaa-1", " key-bbbb-2 "])).await;
    panel.done("PUT", "/api-keys", json!({"items": ["key-aaaa-1", "key-bbbb-2"]})).await;
    assert_eq!(panel.get("/api-keys").await, json!({"api-keys": ["key-aaaa-1", "key-bbbb-2"]}));
    panel.done("PATCH", "/api-keys", json!({"index": 1, "value": "key-cccc-3"})).await;
    panel.done("PATCH", "/api-keys", json!({"old": "key-aaaa-1", "new": "key-dddd-4"})).await;
    panel.done("PATCH", "/api-keys", json!({"old": "nobody", "new": "key-eeee-5"})).await;
    assert_eq!(panel.get("/api-keys").await, json!({"api-keys": ["key-dddd-4", "key-cccc-3", "key-eeee-5"]}));
    panel.done("DELETE", "/api-keys?index=0", Value::Null).await;
    panel.done("DELETE", "/api-keys?value=key-eeee-5", Value::Null).await;
    panel.done("DELETE", "/api-keys?value=nobody", Value::Null).await;
    assert_eq!(panel.get("/api-keys").await, json!({"api-keys": ["key-cccc-3"]}));
    panel.refused("PATCH", "/api-keys", json!({"index": 9, "value": "x"}), (400, "missing fields")).await;
    panel.refused("PATCH", "/api-keys", json!({"old": "x"}), (400, "missing fields")).await;
    panel.refused("DELETE", "/api-keys", Value::Null, (400, "missing index or value")).await;
    panel.refused("PUT", "/api-keys", json!({"items": []}), (400, "invalid body")).await;
    panel.refused("PUT", "/api-keys", json!([1]), (400, "invalid body")).await;
    panel.done("PUT", "/api-keys", json!([])).await;
    assert_eq!(panel.get("/api-keys").await, json!({"api-keys": []}));
}

/// An entry that every list takes.
fn entry(list: &str, key: &str) -> Value {
    if list == "openai-compatibility" {
        json!({"name": key, "base-url": "http://127.0.0.1:9/v1", "api-key-entries": [{"api-key": "upstream-key-1"}], "models": [{"name": "m", "alias": "m"}]})
    } else {
        json!({"api-key": key, "base-url": "http://127.0.0.1:9", "models": [{"name": "m", "alias": "m"}]})
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_of_upstream_keys_is_replaced_patched_and_shortened() {
    let panel = Panel::start("debug: false # c\n");
    for list in
        ["gemini-api-key", "claude-api-key", "codex-api-key", "vertex-api-key", "openai-compatibility"]
    {
        let path = format!("/{list}");
        let named = if list == "openai-compatibility" { "name" } else { "api-key" };
        assert_eq!(panel.get(&path).await, json!({list: []}), "{list}");
        let mut first = entry(list, "upstream-aaaa-1");
        first["priority"] = json!(4);
        panel.done("PUT", &path, json!([first, entry(list, "upstream-bbbb-2")])).await;
        assert_eq!(panel.get(&path).await[list][0], first, "{list}");

        // A panel that does not know a member does not lose it.
        panel
            .done(
                "PUT",
                &path,
                json!({"items": [entry(list, "upstream-aaaa-1"), entry(list, "upstream-bbbb-2")]}),
            )
            .await;
        assert_eq!(panel.get(&path).await[list][0]["priority"], 4, "{list}");

        panel.done("PATCH", &path, json!({"index": 1, "value": {"prefix": "team", "priority": 2}})).await;
        let by_name = if named == "name" { "name" } else { "match" };
        panel.done("PATCH", &path, json!({by_name: "upstream-aaaa-1", "value": {"prefix": "mine"}})).await;
        let shown = panel.get(&path).await;
        assert_eq!(
            (&shown[list][0]["prefix"], &shown[list][1]["prefix"]),
            (&json!("mine"), &json!("team")),
            "{list}"
        );
        assert_eq!(shown[list][1]["priority"], 2, "{list}");

        panel.refused("PATCH", &path, json!({"index": 9, "value": {}}), (404, "item not found")).await;
        panel.refused("PATCH", &path, json!({"index": 0}), (400, "invalid body")).await;
        panel.refused("DELETE", &path, Value::Null, (400, &format!("missing {named} or index"))).await;
        let unknown = panel.send("DELETE", &format!("{path}?{named}=nobody"), Value::Null).await;
        assert_eq!(unknown.status, if list == "gemini-api-key" { 404 } else { 200 }, "{list}");
        panel.done("DELETE", &format!("{path}?{named}=upstream-aaaa-1"), Value::Null).await;
        panel.done("DELETE", &format!("{path}?index=0"), Value::Null).await;
        assert_eq!(panel.get(&path).await, json!({list: []}), "{list}");
    }
    assert!(panel.file().starts_with("debug: false # c\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_work_is_refused_with_its_place() {
    let panel = Panel::start("debug: false\n");
    let answer =
        panel.send("PUT", "/claude-api-key", json!([{"api-key": "k-0001", "proxy-url": "ftp://x"}])).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("claude-api-key[0].proxy-url"), "{message}");
    assert!(!message.contains("k-0001"), "{message}");
}
