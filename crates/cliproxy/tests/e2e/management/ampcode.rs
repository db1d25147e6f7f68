//! The settings of Amp.

use serde_json::{Value, json};

use super::Panel;

#[tokio::test(flavor = "multi_thread")]
async fn single_settings_are_read_written_and_cleared() {
    let panel = Panel::start("debug: false\n");
    assert_eq!(panel.get("/ampcode").await, json!({"ampcode": {}}));
    for (member, value) in [
        ("upstream-url", json!("http://127.0.0.1:9")),
        ("upstream-api-key", json!("amp-key-0001")),
        ("restrict-management-to-localhost", json!(true)),
        ("force-model-mappings", json!(true)),
    ] {
        let path = format!("/ampcode/{member}");
        panel.done("PUT", &path, json!({"value": value})).await;
        panel.done("PATCH", &path, json!({"value": value})).await;
        assert_eq!(panel.get(&path).await, json!({member: value}));
        panel.refused("PUT", &path, json!({"value": 7}), (400, "invalid body")).await;
    }
    panel.done("DELETE", "/ampcode/upstream-api-key", Value::Null).await;
    assert_eq!(panel.get("/ampcode/upstream-api-key").await, json!({"upstream-api-key": ""}));
    assert_eq!(panel.get("/ampcode").await["ampcode"]["force-model-mappings"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_merged_by_name_and_cleared() {
    let panel = Panel::start("debug: false\n");
    let path = "/ampcode/model-mappings";
    panel.done("PUT", path, json!({"value": [{"from": "a", "to": "b"}, {"from": " ", "to": "c"}]})).await;
    panel.done("PATCH", path, json!({"value": [{"from": "a", "to": "c"}, {"from": "d", "to": "e"}]})).await;
    let expected = json!({"model-mappings": [{"from": "a", "to": "c"}, {"from": "d", "to": "e"}]});
    assert_eq!(panel.get(path).await, expected);
    panel.done("DELETE", path, json!({"value": ["a"]})).await;
    assert_eq!(panel.get(path).await, json!({"model-mappings": [{"from": "d", "to": "e"}]}));
    panel.done("DELETE", path, Value::Null).await;
    assert_eq!(panel.get(path).await, json!({"model-mappings": []}));

    let path = "/ampcode/upstream-api-keys";
    let key = json!({"upstream-api-key": "amp-0001", "api-keys": ["client-0001"]});
    panel.done("PUT", path, json!({"value": [key]})).await;
    assert_eq!(panel.get(path).await, json!({"upstream-api-keys": [key]}));
    panel.refused("DELETE", path, Value::Null, (400, "missing value")).await;
    panel.refused("DELETE", path, json!({"value": [" "]}), (400, "empty value")).await;
    panel.done("DELETE", path, json!({"value": []})).await;
    assert_eq!(panel.get(path).await, json!({"upstream-api-keys": []}));
}
