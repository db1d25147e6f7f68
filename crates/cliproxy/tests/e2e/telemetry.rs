//! Numbers and traces for other programs.

use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, get, send};

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_there_when_they_are_wanted_and_say_what_upstreams_billed() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    assert_eq!(get(&gateway, "/metrics").await.status, 404);
    gateway.reload(&format!("telemetry: {{prometheus: true}}\n{config}"), "configuration updated").await;
    for format in support::FORMATS {
        assert_eq!(support::ask_model(&gateway, format, "up", false).await.status, 200);
    }
    let answer = get(&gateway, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    // Every line is a comment, or a name with labels and a number.
    for line in answer.body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(
            value.parse::<f64>().is_ok() && name.starts_with(|c: char| c.is_ascii_alphabetic()),
            "{line}"
        );
    }
    assert!(answer.body.ends_with("# EOF\n") && answer.body.matches("# EOF").count() == 1, "{}", answer.body);
    let sum = |name: &str, label: &str| -> f64 {
        let lines = answer.body.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert!((sum("cliproxy_requests_total", "outcome=\"complete\"") - 4.0).abs() < 1e-9, "{}", answer.body);
    assert!(
        (sum("gen_ai_client_token_usage_total", "type=\"input\"") - 40.0).abs() < 1e-9,
        "{}",
        answer.body
    );
    assert!((sum("gen_ai_client_token_usage_total", "type=\"output\"") - 20.0).abs() < 1e-9);
    assert!(
        (sum("gen_ai_server_request_duration_seconds_count", "up") - 4.0).abs() < 1e-9,
        "{}",
        answer.body
    );
    assert!((sum("cliproxy_credentials", "state=\"active\"") - 1.0).abs() < 1e-9, "{}", answer.body);
    assert!(!answer.body.contains("upstream-key"), "{}", answer.body);
    // Whoever comes from elsewhere has to show a client key.
    let request = support::client().get(format!("{}/metrics", gateway.url()));
    assert_eq!(send(request.header("x-forwarded-for", "192.0.2.1")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_a_span_for_the_collector_and_a_broken_one_holds_nobody_up() {
    let collector = Upstream::start(|_| Script::json(200, "{}")).await;
    let upstream = Upstream::start(support::answering("chat")).await;
    let config = format!(
        "telemetry:\n  otlp-endpoint: '{}'\n  otlp-headers: {{x-collector-key: collector-key-0001}}\n  service-name: mine\n{}",
        collector.url(),
        support::config("chat", &upstream)
    );
    let gateway = support::start(&config, &[]);
    let (path, body) = support::request("claude", "up", true);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = support::posting(&gateway, &path, &body).header("traceparent", parent);
    let served = send(request).await;
    assert_eq!(served.status, 200);
    // An end in order sends what is still to be sent.
    gateway.end();
    let received = collector.received();
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].path.as_str(), received[0].header("x-collector-key")),
        ("/v1/traces", "collector-key-0001")
    );
    let sent: Value = serde_json::from_slice(&received[0].body).unwrap();
    let resource = &sent["resourceSpans"][0];
    assert_eq!(
        resource["resource"]["attributes"][0],
        json!({"key": "service.name", "value": {"stringValue": "mine"}})
    );
    let span = &resource["scopeSpans"][0]["spans"][0];
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"]),
        (&json!("0af7651916cd43dd8448eb211c80319c"), &json!("b7ad6b7169203331"))
    );
    assert_eq!(
        (&span["name"], &span["kind"], span["spanId"].as_str().unwrap().len()),
        (&json!("chat up"), &json!(2), 16)
    );
    let nanos = |name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
    assert!(
        nanos("startTimeUnixNano") > 1_700_000_000_000_000_000
            && nanos("endTimeUnixNano") >= nanos("startTimeUnixNano")
    );
    let attributes = span["attributes"].as_array().unwrap();
    let of = |key: &str| {
        attributes.iter().find(|one| one["key"] == key).map(|one| one["value"].clone()).unwrap_or_default()
    };
    for (key, value) in [
        ("gen_ai.operation.name", json!({"stringValue": "chat"})),
        ("gen_ai.request.model", json!({"stringValue": "up"})),
        ("gen_ai.provider.name", json!({"stringValue": "scripted"})),
        ("gen_ai.usage.input_tokens", json!({"intValue": "10"})),
        ("gen_ai.usage.output_tokens", json!({"intValue": "5"})),
        ("cliproxy.outcome", json!({"stringValue": "complete"})),
        ("cliproxy.request.id", json!({"stringValue": served.header("request-id")})),
    ] {
        assert_eq!(of(key), value, "{key}: {span}");
    }
    assert!(!sent.to_string().contains("upstream-key"), "{sent}");
    assert!(!gateway.log().contains("collector-key-0001"));

    let broken = Upstream::start(|_| Script::json(500, "{}")).await;
    let gateway = support::start(&config.replace(&collector.url(), &broken.url()), &[]);
    assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200);
    gateway.end();
    assert!(gateway.log().contains("the collector does not take traces, which are given up: it answers 500"));
}
