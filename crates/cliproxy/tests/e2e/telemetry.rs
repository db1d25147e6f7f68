//! Numbers and traces for other programs.

use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, get, send};

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_there_when_they_are_wanted_and_say_what_upstreams_billed() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let other = support::entry("chat", "upstream-key-0002", &upstream.url(), "models: [{name: other}]");
    let config = format!("{}{}", support::config("claude", &upstream), support::list("chat", &[other]));
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
    // The format wants all lines of a family together, and what it is said once.
    let families: Vec<&str> = answer.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let distinct: std::collections::BTreeSet<&str> = families.iter().copied().collect();
    assert_eq!(families.len(), distinct.len(), "{families:?}");
    assert!(distinct.contains("gen_ai_client_token_usage histogram"), "{families:?}");
    assert!(answer.body.ends_with("# EOF\n") && answer.body.matches("# EOF").count() == 1, "{}", answer.body);
    let sum = |name: &str, label: &str| -> f64 {
        let lines = answer.body.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert!((sum("cliproxy_requests_total", "outcome=\"complete\"") - 4.0).abs() < 1e-9, "{}", answer.body);
    assert!((sum("gen_ai_client_token_usage_sum", "type=\"input\"") - 40.0).abs() < 1e-9, "{}", answer.body);
    assert!((sum("gen_ai_client_token_usage_sum", "type=\"output\"") - 20.0).abs() < 1e-9);
    assert!(
        (sum("gen_ai_server_request_duration_seconds_count", "up") - 4.0).abs() < 1e-9,
        "{}",
        answer.body
    );
    for provider in ["scripted", "claude"] {
        let standing = format!("cliproxy_credentials{{provider=\"{provider}\",state=\"active\"}} 1");
        assert!(answer.body.contains(&standing), "{standing} in {}", answer.body);
    }
    let named = "provider=\"claude\",gen_ai_provider_name=\"anthropic\"";
    assert!(answer.body.contains(named), "{}", answer.body);
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
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    let span = spans.iter().find(|span| span["kind"] == 2).unwrap();
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

/// A number of `/metrics`, summed over the lines that have all of these labels.
fn number(metrics: &str, name: &str, labels: &[&str]) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_before_anybody_is_asked_is_counted_told_and_traced() {
    let collector = Upstream::start(|_| Script::json(200, "{}")).await;
    let upstream = Upstream::start(support::answering("claude")).await;
    let gateway = support::start(
        &format!(
            "api-keys: [client-key-0001]\nmax-request-body-mb: 1\nusage-statistics-enabled: true\ntelemetry: {{prometheus: true, otlp-endpoint: '{}'}}\n{}",
            collector.url(),
            support::config("claude", &upstream)
        ),
        &[],
    );
    let post = |path: &str| support::client().post(format!("{}{path}", gateway.url()));
    let known = |path: &str| post(path).header("authorization", "Bearer client-key-0001");
    let json = |request: reqwest::RequestBuilder| request.header("content-type", "application/json");
    let large = format!("{{\"model\": \"up\", \"x\": \"{}\"}}", "x".repeat(2 << 20));
    let (_, body) = support::request("gemini", "up", false);
    let refused = [
        (json(post("/v1/chat/completions")).bearer_auth("another").body("{}"), 401, "chat", "authentication"),
        (json(known("/v1/messages")).body(large), 413, "claude", "too_large"),
        (
            known("/v1/messages").header("content-type", "text/html").body("x"),
            415,
            "claude",
            "invalid_request",
        ),
        (json(known("/v1/responses")).body("{\"model\":"), 400, "responses", "invalid_request"),
        (
            json(known("/v1beta/models/other:generateContent")).body(body.to_string()),
            404,
            "gemini",
            "not_found",
        ),
        (json(known("/v1/nothing")).body("{}"), 404, "chat", "not_found"),
        (known("/v1/models/up:doNothing").body("{}"), 404, "gemini", "not_found"),
    ];
    let mut expected: std::collections::BTreeMap<(&str, &str), u64> = std::collections::BTreeMap::new();
    for (request, status, format, error) in refused {
        let answer = send(request).await;
        assert_eq!(answer.status, status, "{format} {error}: {}", answer.body);
        *expected.entry((format, error)).or_default() += 1;
    }
    let wrong_method = send(support::client().get(format!("{}/v1/messages", gateway.url()))).await;
    assert_eq!(wrong_method.status, 405);
    *expected.entry(("claude", "invalid_request")).or_default() += 1;
    // A count of tokens is counted as such, and leaves no row.
    let (_, body) = support::request("claude", "up", false);
    let counted = send(json(known("/v1/messages/count_tokens")).body(body.to_string())).await;
    assert_eq!(counted.status, 200, "{}", counted.body);

    let metrics = get(&gateway, "/metrics").await.body;
    for ((format, error), count) in &expected {
        let labels = [format!("format=\"{format}\""), format!("error_type=\"{error}\"")];
        let labels = [&*labels[0], &*labels[1]];
        assert_eq!(
            number(&metrics, "cliproxy_refusals_total", &labels),
            *count,
            "{format} {error}: {metrics}"
        );
    }
    assert_eq!(number(&metrics, "cliproxy_refusals_total", &[]), expected.values().sum::<u64>());
    let count = ["gen_ai_operation_name=\"count_tokens\"", "outcome=\"complete\""];
    assert_eq!(number(&metrics, "cliproxy_requests_total", &count), 1, "{metrics}");
    assert_eq!(number(&metrics, "cliproxy_requests_total", &[]), 1, "{metrics}");
    gateway.end();
    let told: Vec<String> =
        gateway.lines().into_iter().filter(|line| line.contains("request refused: ")).collect();
    assert_eq!(told.len(), 5, "what was a call is a line: {told:#?}");
    assert!(told.iter().all(|line| line.contains("request_id=req_")), "{told:#?}");
    assert!(!gateway.log().contains("client-key-0001"));
    let usage = crate::ledger::sums(&gateway, "outcome");
    assert_eq!(usage["total"]["requests"], 0, "{usage}");

    let spans = spans(&collector);
    let mut names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    // Whoever has no key could push out what others need, and so could whoever asks for what there is not.
    assert_eq!(names, ["count_tokens up", "refused", "refused", "refused", "refused"], "{spans:#?}");
    for (error, count) in [("too_large", 1), ("invalid_request", 2), ("not_found", 1)] {
        let attribute = json!({"key": "error.type", "value": {"stringValue": error}});
        let has = |span: &&Value| span["attributes"].as_array().unwrap().contains(&attribute);
        assert_eq!(spans.iter().filter(has).count(), count, "{error}: {spans:#?}");
    }
}

/// Every span that came to a collector.
fn spans(collector: &Upstream) -> Vec<Value> {
    let sent = collector.received();
    let sent =
        sent.iter().map(|received| received.json()["resourceSpans"][0]["scopeSpans"][0]["spans"].take());
    sent.flat_map(|spans| spans.as_array().unwrap().clone()).collect()
}

/// The attributes of a span, numbers as texts as the protocol has them.
fn attributes(span: &Value) -> std::collections::BTreeMap<String, String> {
    let text = |value: &Value| {
        value["stringValue"].as_str().or_else(|| value["intValue"].as_str()).unwrap().to_owned()
    };
    let attributes = span["attributes"].as_array().unwrap().iter();
    attributes.map(|one| (one["key"].as_str().unwrap().to_owned(), text(&one["value"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_a_span_below_that_of_its_request() {
    let collector = Upstream::start(|_| Script::json(200, "{}")).await;
    let upstream = Upstream::start(|received| match support::key_of(received).as_str() {
        "limited-key-0001" => {
            Script::json(429, r#"{"error": {"message": "slow down", "type": "rate_limit_error"}}"#)
        }
        _ if String::from_utf8_lossy(&received.body).contains("be cut") => {
            Script::events(vec![bytes::Bytes::from(crate::failover::half("chat"))]).cut()
        }
        _ => support::answering("chat")(received),
    })
    .await;
    let entries = ["limited-key-0001", "upstream-key-0001"].map(|key| {
        let priority = u8::from(key.starts_with("limited"));
        support::entry("chat", key, &upstream.url(), &format!("{}, priority: {priority}", support::UP))
            .replace("name: scripted", &format!("name: scripted-{priority}"))
    });
    let config = format!(
        "disable-cooling: true\nrouting: {{strategy: fill-first}}\ntelemetry: {{otlp-endpoint: '{}'}}\n{}",
        collector.url(),
        support::list("chat", &entries)
    );
    let gateway = support::start(&config, &[]);
    assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 200);
    let (path, body) = support::request("chat", "up", true);
    let body = serde_json::from_str(&body.to_string().replace("\"hi\"", "\"be cut\"")).unwrap();
    assert_eq!(support::ask(&gateway, &path, &body).await.status, 200);
    gateway.end();
    let spans = spans(&collector);
    let requests: Vec<&Value> = spans.iter().filter(|span| span["kind"] == 2).collect();
    assert_eq!((requests.len(), spans.len()), (2, 6), "{spans:#?}");
    for request in requests {
        let is_cut = attributes(request)["cliproxy.outcome"] == "failed";
        let mut attempts: Vec<_> =
            spans.iter().filter(|span| span["parentSpanId"] == request["spanId"]).collect();
        attempts.sort_by_key(|span| attributes(span)["cliproxy.attempt"].clone());
        let [refused, answered] = attempts[..] else { panic!("{attempts:#?}") };
        let id = |span: &Value| span["spanId"].as_str().unwrap().to_owned();
        assert!(id(refused) != id(answered) && id(refused).len() == 16);
        for span in [refused, answered] {
            assert_eq!(span["traceId"], request["traceId"]);
            assert_eq!((&span["kind"], &span["name"]), (&json!(3), &json!("chat up")));
            let nanos = |span: &Value, name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
            assert!(nanos(span, "startTimeUnixNano") <= nanos(span, "endTimeUnixNano"));
            assert!(!span.to_string().contains("key-0001"), "{span}");
        }
        let of = attributes(refused);
        assert_eq!((&*of["http.response.status_code"], &*of["error.type"]), ("429", "rate_limit"));
        assert_eq!((&*of["gen_ai.provider.name"], &refused["status"]["code"]), ("scripted-1", &json!(2)));
        let of = attributes(answered);
        assert_eq!((&*of["http.response.status_code"], &*of["gen_ai.provider.name"]), ("200", "scripted-0"));
        assert_eq!(answered["status"]["code"], if is_cut { 2 } else { 0 });
        if is_cut {
            assert_eq!(of["error.type"], "bad_upstream");
            assert_eq!(attributes(request)["error.type"], "bad_upstream");
        } else {
            assert_eq!((&*of["gen_ai.usage.input_tokens"], &*of["gen_ai.usage.output_tokens"]), ("10", "5"));
        }
    }
}
