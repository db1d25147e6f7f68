//! Requests as they happen.

use bytes::Bytes;
use cliproxy_testkit::{Gate, Script, Upstream};
use serde_json::{Value, json};

use super::{Panel, support};
use crate::support::within;

/// Reads an event stream, event by event.
struct Watching {
    response: reqwest::Response,
    text: String,
}

impl Watching {
    async fn new(panel: &Panel) -> Self {
        let response = panel.request("GET", "/live").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        let mut watching = Self { response, text: String::new() };
        // From here on it watches.
        while !watching.text.contains(": watching\n\n") {
            watching.more().await;
        }
        watching.text.clear();
        watching
    }

    async fn more(&mut self) {
        let chunk = within(self.response.chunk()).await.unwrap().expect("it goes on");
        self.text.push_str(std::str::from_utf8(&chunk).unwrap());
    }

    async fn next(&mut self) -> (String, Value) {
        loop {
            let Some((event, rest)) = self.text.split_once("\n\n") else {
                self.more().await;
                continue;
            };
            let (event, rest) = (event.to_owned(), rest.to_owned());
            self.text = rest;
            // The others are signs of life.
            if let Some((name, data)) = event.split_once('\n') {
                let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                return (name.strip_prefix("event: ").unwrap().to_owned(), data);
            }
        }
    }

    /// The next event, which has this name.
    async fn event(&mut self, name: &str) -> Value {
        let (found, data) = self.next().await;
        assert_eq!(found, name, "{data}");
        data
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_seen_to_start_to_be_tried_to_stream_and_to_end() {
    let gate = Gate::default();
    let waits = gate.clone();
    let upstream = Upstream::start(move |received| {
        if support::key_of(received) == "broken-key-0001" {
            return Script::json(500, r#"{"error": {"message": "no"}}"#);
        }
        let stream = support::events("chat");
        let (first, second) = stream.split_at(stream.find("\n\n").unwrap() * 2);
        let (first, second) = (first.to_owned(), second.to_owned());
        Script::events(vec![Bytes::from(first)]).wait(&waits).send(second)
    })
    .await;
    let url = upstream.url();
    let entries = [
        support::entry("chat", "broken-key-0001", &url, &format!("priority: 1, {}", support::UP)),
        support::entry("chat", "upstream-key-0001", &url, support::UP).replace("scripted", "second"),
    ];
    let panel = Panel::start(&format!("request-retry: 0\n{}", support::list("chat", &entries)));
    let mut watching = Watching::new(&panel).await;
    let (path, body) = support::request("claude", "up", true);
    let mut answer = within(support::posting(&panel.gateway, &path, &body).send()).await.unwrap();
    let start = watching.event("start").await;
    assert_eq!(
        (&start["model"], &start["format"], &start["is_stream"]),
        (&json!("up"), &json!("claude"), &json!(true))
    );
    let first = watching.event("attempt").await;
    let second = watching.event("attempt").await;
    assert_eq!((&first["provider"], &first["number"]), (&json!("scripted"), &json!(1)));
    assert_eq!((&second["provider"], &second["number"]), (&json!("second"), &json!(2)));
    assert_eq!(watching.event("stream").await["lane"], "translate");
    // It is still on its way.
    gate.open();
    while within(answer.chunk()).await.unwrap().is_some() {}
    let end = loop {
        let (name, data) = watching.next().await;
        if name == "end" {
            break data;
        }
        assert_eq!(name, "progress", "{data}");
    };
    for (member, value) in [
        ("outcome", json!("complete")),
        ("attempts", json!(2)),
        ("provider", json!("second")),
        ("upstream_model", json!("up")),
        ("input", json!(10)),
        ("output", json!(5)),
        ("is_estimated", json!(false)),
    ] {
        assert_eq!(end[member], value, "{member}: {end}");
    }
    for event in [&start, &first, &second] {
        assert_eq!(event["id"], end["id"]);
    }
    assert_eq!(answer.headers()["request-id"].to_str().unwrap(), end["id"].as_str().unwrap());
    assert!(!watching.text.contains("hi"), "nothing of what was said is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_are_few_and_do_not_hold_the_end_up() {
    let panel = Panel::start("debug: false\n");
    let mut watching = Vec::new();
    for _ in 0..16 {
        watching.push(Watching::new(&panel).await);
    }
    let text = "as many watch as may; close another page";
    panel.refused("GET", "/live", Value::Null, (503, text)).await;
    // The grace time for running answers is half a minute: the test would run out of patience.
    panel.gateway.signal("TERM");
    assert!(within(panel.gateway.ended()).await.success());
    assert!(!panel.gateway.log().contains("cut off"), "{}", panel.gateway.log());
}
