//! What was used.

use cliproxy_testkit::Upstream;
use serde_json::{Value, json};

use super::{Panel, support};

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_shown_in_the_shape_of_panels() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = format!("usage-statistics-enabled: true\n{}", support::config("claude", &upstream));
    let panel = Panel::start(&config);
    for _ in 0..3 {
        assert_eq!(support::ask_model(&panel.gateway, "chat", "up", false).await.status, 200);
    }
    let answer = panel.get("/usage").await;
    let usage = &answer["usage"];
    assert_eq!((&answer["failed_requests"], &usage["total_requests"]), (&json!(0), &json!(3)), "{answer}");
    assert_eq!((&usage["success_count"], &usage["failure_count"]), (&json!(3), &json!(0)));
    let model = &usage["apis"]["POST /v1/chat/completions"]["models"]["up"];
    let details = model["details"].as_array().unwrap();
    assert_eq!((&model["total_requests"], details.len()), (&json!(3), 3));
    let of_details: u64 =
        details.iter().map(|detail| detail["tokens"]["total_tokens"].as_u64().unwrap()).sum();
    assert!(of_details > 0, "{answer}");
    assert_eq!((&usage["total_tokens"], &model["total_tokens"]), (&json!(of_details), &json!(of_details)));
    assert_eq!(
        (&details[0]["failed"], details[0]["auth_index"].as_str().unwrap().len()),
        (&json!(false), 16)
    );
    for sums in ["requests_by_day", "requests_by_hour"] {
        let sum: u64 = usage[sums].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(sum, 3, "{sums}");
    }
    let export = panel.get("/usage/export").await;
    assert_eq!((&export["version"], &export["usage"]["total_requests"]), (&json!(1), &json!(3)));
    // What goes out comes in elsewhere, and nothing comes in twice.
    let skipped = json!({"added": 0, "skipped": 3, "total_requests": 3, "failed_requests": 0});
    assert_eq!(panel.send("POST", "/usage/import", export.clone()).await.json(), skipped);
    let other = Panel::start("debug: false\n");
    let added = json!({"added": 3, "skipped": 0, "total_requests": 3, "failed_requests": 0});
    assert_eq!(other.send("POST", "/usage/import", export.clone()).await.json(), added);
    assert_eq!(other.get("/usage").await["usage"]["total_tokens"], usage["total_tokens"]);
    other
        .refused("POST", "/usage/import", json!({"version": 7, "usage": {}}), (400, "unsupported version"))
        .await;
    other.refused("POST", "/usage/import", json!([]), (400, "invalid json")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_collected_the_shapes_are_empty() {
    let panel = Panel::start("debug: false\n");
    let answer = panel.get("/usage").await;
    assert_eq!((&answer["usage"]["total_requests"], &answer["usage"]["apis"]), (&json!(0), &json!({})));
    assert_eq!(panel.get("/api-key-usage").await, json!({}));
    assert_eq!(panel.get("/usage-queue?count=5").await, json!([]));
    let text = "count must be a positive integer";
    panel.refused("GET", "/usage-queue?count=0", Value::Null, (400, text)).await;
}
