//! Signs of life in front of the vendors' own parsers, from an upstream that takes its time before and inside answers.

use std::path::Path;
use std::time::Duration;

use cliproxy_testkit::{Gateway, Script, Upstream, sdk};
use serde_json::{Value, json};

use crate::suite::{KEY, Runner};

/// Longer than two signs of life.
const PAUSE: Duration = Duration::from_millis(2500);

fn chunk(delta: &Value, finish: &Value) -> String {
    let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "slow", "choices": choices});
    format!("data: {chunk}\n\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn python_signs_of_life() {
    let Some(python) = sdk::python() else { return };
    let upstream = Upstream::start(|received| {
        if received.json()["stream"] != true {
            let message = json!({"role": "assistant", "content": "one two"});
            let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "slow",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
            return Script::json(200, "").pause(PAUSE).send(body.to_string());
        }
        let end = chunk(&json!({}), &json!("stop")) + "data: [DONE]\n\n";
        Script::events(Vec::new())
            .pause(PAUSE)
            .send(chunk(&json!({"role": "assistant", "content": "one "}), &Value::Null))
            .pause(PAUSE)
            .send(chunk(&json!({"content": "two"}), &Value::Null) + end.as_str())
    })
    .await;
    let config = format!(
        "api-keys: [{KEY}]\nstreaming: {{keepalive-seconds: 1}}\nnonstream-keepalive-interval: 1\nopenai-compatibility:\n  \
         - {{name: slow, base-url: '{}/v1', api-key-entries: [{{api-key: upstream-key-0001}}], models: [{{name: slow}}]}}\n",
        upstream.url()
    );
    let gateway = Gateway::start(Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")), &config, &[]);
    Runner::python(&python, "test_keepalive.py").run(&gateway);
}
