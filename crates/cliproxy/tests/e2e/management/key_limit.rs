//! Limits of client keys, as panels set and watch them.

use cliproxy_testkit::Upstream;
use serde_json::{Value, json};

use super::{Panel, send, support};

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_watched_changed_and_removed() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let keys = "api-keys: [client-key-0001, client-key-0002] # c\n";
    let panel = Panel::start(&format!("{keys}{}", support::config("chat", &upstream)));
    assert_eq!(panel.get("/api-key-limits").await, json!({"api-key-limits": []}));
    let entry = json!({"api-key": "client-key-0002", "name": "laptop", "limits": [{"per": "day", "requests": 1, "cost": 2.5}]});
    panel.done("PUT", "/api-key-limits", json!([entry])).await;
    assert_eq!(panel.get("/api-key-limits").await, json!({"api-key-limits": [entry]}));
    let ask = || {
        let (path, body) = support::request("chat", "up", false);
        send(support::posting(&panel.gateway, &path, &body).header("authorization", "Bearer client-key-0002"))
    };
    assert_eq!(ask().await.status, 200);
    assert_eq!(ask().await.status, 429);
    let keys = panel.get("/client-keys").await;
    let (free, limited) = (&keys["keys"][0], &keys["keys"][1]);
    assert_eq!((&free["has_limits"], &free["windows"]), (&json!(false), &json!([])));
    assert_eq!((&limited["name"], &limited["label"]), (&json!("laptop"), &json!("****0002")));
    assert_eq!(limited["client"].as_str().unwrap().len(), "key-1a2b3c4d".len());
    let window = &limited["windows"][0];
    assert_eq!(
        (&window["per"], &window["requests"], &window["cost"]),
        (&json!("day"), &json!(1), &json!(2.5))
    );
    assert_eq!((&window["used"]["requests"], &window["used"]["tokens"]), (&json!(1), &json!(15)));
    assert!(window["resets_at"].as_u64().unwrap() > 1_700_000_000);
    assert!(!keys.to_string().contains("client-key-000"), "{keys}");

    let value = json!({"limits": [{"per": "day", "requests": 9}], "name": null});
    panel.done("PATCH", "/api-key-limits", json!({"match": "client-key-0002", "value": value})).await;
    assert_eq!(ask().await.status, 200, "what was used before still counts, and is below the new limit");
    let keys = panel.get("/client-keys").await;
    assert_eq!(keys["keys"][1]["windows"][0]["used"]["requests"], 2);
    let invalid = json!([{"api-key": "client-key-0002", "limits": [{"per": "year", "requests": 1}]}]);
    let answer = panel.send("PUT", "/api-key-limits", invalid).await;
    assert_eq!((answer.status, answer.json()["error"].clone()), (422, json!("invalid_config")));
    panel.done("DELETE", "/api-key-limits?api-key=client-key-0002", Value::Null).await;
    assert_eq!(panel.get("/client-keys").await["keys"][1]["has_limits"], false);
    assert!(panel.file().contains("] # c\n"), "{}", panel.file());
}
