//! The catalog of models.

use serde_json::{Value, json};

use super::Panel;

#[tokio::test(flavor = "multi_thread")]
async fn every_channel_has_its_models() {
    let panel = Panel::start("debug: false\n");
    for channel in [
        "claude",
        "gemini",
        "vertex",
        "gemini-cli",
        "aistudio",
        "codex",
        "qwen",
        "iflow",
        "antigravity",
        "kimi",
        "xai",
    ] {
        let shown = panel.get(&format!("/model-definitions/{channel}")).await;
        assert_eq!(shown["channel"], channel);
        for model in shown["models"].as_array().unwrap() {
            assert_eq!((&model["object"], &model["type"]), (&json!("model"), &json!(channel)));
            assert!(model["id"].is_string() && model["display_name"].is_string(), "{model}");
        }
    }
    let claude = panel.get("/model-definitions/claude").await;
    assert!(claude["models"].as_array().is_some_and(|models| models.len() > 3), "{claude}");
    panel.refused("GET", "/model-definitions/nobody", Value::Null, (400, "unknown channel")).await;
}
