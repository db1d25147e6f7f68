//! Who would serve, who can serve, and which keys are switched off.

use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use super::{Panel, support};

/// A gateway with two keys, of which the first is refused.
async fn arranged() -> (Upstream, Panel) {
    let upstream = Upstream::start(|received| {
        if support::key_of(received) == "tired-key-0001" {
            let error = json!({"error": {"code": 429, "message": "used up", "status": "RESOURCE_EXHAUSTED"}});
            return Script::json(429, error.to_string()).header("retry-after", "3000");
        }
        support::answering("gemini")(received)
    })
    .await;
    let entry = |key: &str, members: &str| support::entry("gemini", key, &upstream.url(), members);
    let entries = [
        entry("tired-key-0001", &format!("priority: 1, {}", support::UP)),
        entry("fresh-key-0001", support::UP),
    ];
    let panel = Panel::start(&format!("request-retry: 0 # c\n{}", support::list("gemini", &entries)));
    (upstream, panel)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_would_serve_and_how_everybody_stands() {
    let (_upstream, panel) = arranged().await;
    assert_eq!(support::ask_model(&panel.gateway, "chat", "up", false).await.status, 200);
    let explained = panel.get("/explain?model=up").await;
    assert_eq!((&explained["model"], &explained["chosen"]["upstream_model"]), (&json!("up"), &json!("up")));
    let skipped = explained["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 1, "{explained}");
    assert!(skipped[0]["reason"].as_str().unwrap().contains("quota"), "{explained}");
    panel.refused("GET", "/explain", Value::Null, (400, "model is required")).await;
    panel.refused("GET", "/explain?model=nowhere", Value::Null, (404, "model not known")).await;

    let list = panel.get("/credentials").await;
    let find = |id: &Value| {
        list["credentials"].as_array().unwrap().iter().find(|one| one["id"] == *id).unwrap().clone()
    };
    let (tired, fresh) = (find(&skipped[0]["credential"]), find(&explained["chosen"]["credential"]));
    assert_eq!(
        (&tired["status"], &tired["success"], &tired["failed"]),
        (&json!("error"), &json!(0), &json!(1))
    );
    assert!(tired["next_retry_after"].is_string(), "{tired}");
    assert_eq!(
        (&fresh["status"], &fresh["success"], &fresh["failed"]),
        (&json!("active"), &json!(1), &json!(0))
    );
    assert_eq!(
        (&fresh["label"], &fresh["models"], &fresh["in_flight"]),
        (&json!("****0001"), &json!(1), &json!(0))
    );
    let recent = fresh["recent_requests"].as_array().unwrap();
    assert_eq!(recent.len(), 20);
    // The clock may have moved on to the next step meanwhile.
    let sum: u64 = recent[18..].iter().map(|step| step["success"].as_u64().unwrap()).sum();
    assert_eq!(sum, 1, "{fresh}");
    assert!(!list.to_string().contains("fresh-key-0001"), "{list}");

    let usage = panel.get("/api-key-usage").await;
    let keys = usage["gemini"].as_object().unwrap();
    let (_, counts) = keys.iter().find(|(name, _)| name.ends_with("|fresh-key-0001")).unwrap();
    assert_eq!((&counts["success"], &counts["failed"]), (&json!(1), &json!(0)));
    let models = panel.get("/models").await;
    assert_eq!(models["models"][0]["id"], "up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_configuration_is_switched_off_and_on_again() {
    let (upstream, panel) = arranged().await;
    let before = panel.get("/gemini-api-key").await;
    let list = panel.get("/credentials").await;
    let tired = list["credentials"].as_array().unwrap().iter().find(|one| one["priority"] == 1).unwrap();
    let switch = |disabled: bool| {
        panel.send(
            "PATCH",
            "/auth-files/status",
            json!({"auth_index": tired["auth_index"], "disabled": disabled}),
        )
    };
    let answer = switch(true).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"status": "ok", "disabled": true, "via": "config", "excluded_pattern": "*"}))
    );
    assert!(panel.file().contains("excluded-models"), "{}", panel.file());
    assert_eq!(support::ask_model(&panel.gateway, "chat", "up", false).await.status, 200);
    assert_eq!(support::keys_of(&upstream), ["fresh-key-0001"]);
    let list = panel.get("/credentials").await;
    let off = list["credentials"].as_array().unwrap().iter().find(|one| one["id"] == tired["id"]).unwrap();
    assert_eq!((&off["status"], &off["disabled"]), (&json!("disabled"), &json!(true)));
    assert_eq!(switch(false).await.status, 200);
    assert_eq!(panel.get("/gemini-api-key").await, before);
    assert!(panel.file().starts_with("request-retry: 0 # c\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compatible_service_is_switched_by_its_own_member() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let panel = Panel::start(&support::config("chat", &upstream));
    let list = panel.get("/credentials").await;
    let index = list["credentials"][0]["auth_index"].clone();
    for disabled in [true, false] {
        let body = json!({"auth_index": index, "disabled": disabled});
        assert_eq!(panel.send("PATCH", "/auth-files/status", body).await.status, 200);
        assert_eq!(panel.file().contains("disabled: true"), disabled);
        let list = panel.get("/credentials").await;
        assert_eq!(list["credentials"][0]["disabled"], disabled, "{list}");
    }
}
