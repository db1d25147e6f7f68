//! Rules on the models of accounts.

use serde_json::{Value, json};

use super::Panel;

#[tokio::test(flavor = "multi_thread")]
async fn withheld_models_are_set_by_provider() {
    let panel = Panel::start("debug: false\n");
    let path = "/oauth-excluded-models";
    assert_eq!(panel.get(path).await, json!({"oauth-excluded-models": {}}));
    panel.done("PUT", path, json!({"Claude": ["a-*"], "codex": []})).await;
    assert_eq!(panel.get(path).await, json!({"oauth-excluded-models": {"claude": ["a-*"]}}));
    panel.done("PUT", path, json!({"items": {"claude": ["b"], "codex": ["c"]}})).await;
    panel.done("PATCH", path, json!({"provider": "qwen", "models": ["d"]})).await;
    panel.done("PATCH", path, json!({"provider": "codex", "models": []})).await;
    panel.done("DELETE", &format!("{path}?provider=qwen"), Value::Null).await;
    assert_eq!(panel.get(path).await, json!({"oauth-excluded-models": {"claude": ["b"]}}));
    panel
        .refused("PATCH", path, json!({"provider": "codex", "models": []}), (404, "provider not found"))
        .await;
    panel.refused("PATCH", path, json!({"provider": " ", "models": ["x"]}), (400, "invalid provider")).await;
    panel.refused("PATCH", path, json!({"models": ["x"]}), (400, "invalid body")).await;
    panel.refused("DELETE", path, Value::Null, (400, "missing provider")).await;
    panel.refused("DELETE", &format!("{path}?provider=x"), Value::Null, (404, "provider not found")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_models_are_set_by_channel() {
    let panel = Panel::start("debug: false\n");
    let path = "/oauth-model-alias";
    let alias = json!([{"name": "a", "alias": "b", "fork": true}]);
    panel.done("PUT", path, json!({"claude": alias})).await;
    panel.done("PATCH", path, json!({"channel": "codex", "aliases": alias})).await;
    panel.done("PATCH", path, json!({"provider": "qwen", "aliases": alias})).await;
    assert_eq!(
        panel.get(path).await,
        json!({"oauth-model-alias": {"claude": alias, "codex": alias, "qwen": alias}})
    );
    panel.done("DELETE", &format!("{path}?channel=codex"), Value::Null).await;
    panel.done("DELETE", &format!("{path}?provider=qwen"), Value::Null).await;
    panel.done("PATCH", path, json!({"channel": "claude", "aliases": []})).await;
    assert_eq!(panel.get(path).await, json!({"oauth-model-alias": {}}));
    panel.refused("PATCH", path, json!({"channel": "x", "aliases": []}), (404, "channel not found")).await;
    panel.refused("PATCH", path, json!({"channel": "", "aliases": alias}), (400, "invalid channel")).await;
    panel.refused("DELETE", path, Value::Null, (400, "missing channel")).await;
}
