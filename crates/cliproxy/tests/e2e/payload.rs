//! The user's rules on request bodies, as upstreams see them, in each of the ways a request can go.

use cliproxy_testkit::{Gateway, Upstream};
use serde_json::{Value, json};

use crate::support::{self, FORMATS};

/// The three ways: the same format and name, the same format under another name, another format.
const LANES: [&str; 3] = ["passed on", "patched", "translated"];

/// What rules call a format.
fn protocol(format: &str) -> &str {
    match format {
        "chat" => "openai",
        "responses" => "codex",
        other => other,
    }
}

/// A gateway in front of an upstream of `format`, which offers `up` under its own and another name.
async fn arranged(format: &'static str, rules: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(support::answering(format)).await;
    let models = "models: [{name: up, alias: up}, {name: up, alias: renamed}]";
    let entry = support::entry(format, "key-0001", &upstream.url(), models);
    let config = format!("payload:\n{rules}{}", support::list(format, &[entry]));
    (upstream, support::start(&config, &[]))
}

/// Sends a small request along a lane; the body as the upstream got it.
async fn sent(
    format: &str,
    lane: &str,
    arranged: &(Upstream, Gateway),
    change: impl Fn(&mut Value),
) -> Value {
    let (upstream, gateway) = arranged;
    let client = match lane {
        "translated" => FORMATS[(FORMATS.iter().position(|known| *known == format).unwrap() + 1) % 4],
        _ => format,
    };
    let model = if lane == "patched" { "renamed" } else { "up" };
    let (path, mut body) = support::request(client, model, false);
    change(&mut body);
    let answer = support::ask(gateway, &path, &body).await;
    assert_eq!(answer.status, 200, "{format}, {lane}: {}", answer.body);
    upstream.received().pop().unwrap().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_rule_works_in_every_lane_of_every_format() {
    let rules = r#"
  default:
    - models: [{name: "*"}]
      params: {x.default: 1, x.list: [1, {two: 2}], x.first: first}
    - models: [{name: up}]
      params: {x.first: second, x.more: true}
  default-raw:
    - models: [{name: "u*"}]
      params: {x.raw: '{"deep": [1, 2.50]}', x.first: '"raw"'}
  override:
    - models: [{name: "*"}]
      params: {y: early, "z.dotted\\.name": 1}
    - models: [{name: "*"}]
      params: {y: late, x.list.-1: appended}
  override-raw:
    - models: [{name: "*"}]
      params: {y2: 'null', x.list.1: '[]'}
  filter:
    - models: [{name: "*"}]
      params: [x.more, nothing.here]
"#;
    for format in FORMATS {
        let arranged = arranged(format, rules).await;
        for lane in LANES {
            let body = sent(format, lane, &arranged, |_| {}).await;
            let what = format!("{format}, {lane}: {body}");
            let expected = json!({"default": 1, "list": [1, [], "appended"], "first": "first", "raw": {"deep": [1, 2.5]}});
            assert_eq!(body["x"], expected, "{what}");
            assert_eq!((&body["y"], body.get("y2")), (&json!("late"), Some(&Value::Null)), "{what}");
            assert_eq!(body["z"], json!({"dotted.name": 1}), "{what}");
            if format != "gemini" {
                assert_eq!(body["model"], "up", "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_yields_to_what_the_request_says_and_an_override_does_not() {
    let place =
        |format: &str| if format == "gemini" { "generationConfig.temperature" } else { "temperature" };
    for format in FORMATS {
        for (list, expected) in [("default", 0.25), ("override", 0.75)] {
            let rules =
                format!("  {list}:\n    - {{models: [{{name: up}}], params: {{{}: 0.75}}}}\n", place(format));
            let arranged = arranged(format, &rules).await;
            for lane in LANES {
                let of_client = |body: &mut Value| {
                    let is_gemini = body.get("contents").is_some();
                    let holder = if is_gemini { &mut body["generationConfig"] } else { body };
                    holder["temperature"] = json!(0.25);
                };
                let body = sent(format, lane, &arranged, of_client).await;
                let found = body.pointer(&format!("/{}", place(format).replace('.', "/")));
                assert_eq!(found, Some(&json!(expected)), "{list} for {format}, {lane}: {body}");
                let body = sent(format, lane, &arranged, |_| {}).await;
                let found = body.pointer(&format!("/{}", place(format).replace('.', "/")));
                assert_eq!(found, Some(&json!(0.75)), "{list} for {format}, {lane}: {body}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_takes_out_what_the_client_or_the_translation_put_in() {
    for format in FORMATS {
        let removed = if format == "gemini" { "generationConfig.topP" } else { "top_p" };
        let rules = format!("  filter:\n    - {{models: [{{name: up}}], params: [{removed}]}}\n");
        let arranged = arranged(format, &rules).await;
        for lane in LANES {
            let of_client = |body: &mut Value| {
                let is_gemini = body.get("contents").is_some();
                if is_gemini {
                    body["generationConfig"] = json!({"topP": 0.5, "temperature": 0.25});
                } else {
                    body["top_p"] = json!(0.5);
                    body["temperature"] = json!(0.25);
                }
            };
            let body = sent(format, lane, &arranged, of_client).await;
            let text = body.to_string();
            assert!(!text.contains("top_p") && !text.contains("topP"), "{format}, {lane}: {text}");
            assert!(text.contains("\"temperature\":0.25"), "{format}, {lane}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_know_the_upstreams_and_the_clients_format_the_names_and_the_headers() {
    for format in FORMATS {
        let (own, other) = (protocol(format), protocol(if format == "claude" { "chat" } else { "claude" }));
        let rules = [
            ("own", format!("name: up, protocol: {own}")),
            ("loud", format!("name: up, protocol: {}", own.to_uppercase())),
            ("other", format!("name: up, protocol: {other}")),
            ("client", format!("name: up, from-protocol: {own}")),
            ("alias", "name: renamed".to_owned()),
            ("suffix", "name: 'up(*)'".to_owned()),
            ("case", "name: UP".to_owned()),
            ("header", "name: up, headers: {X-Team: 'blue-*'}".to_owned()),
            ("match", "name: up, exist: [x.wanted]".to_owned()),
        ];
        let rules: Vec<String> = rules
            .iter()
            .map(|(mark, condition)| {
                format!("    - {{models: [{{{condition}}}], params: {{marks.{mark}: true}}}}\n")
            })
            .collect();
        let (upstream, gateway) = arranged(format, &format!("  override:\n{}", rules.concat())).await;
        let marks = async |client: &str, model: &str, header: Option<&str>| {
            let (path, body) = support::request(client, model, false);
            let mut request = support::posting(&gateway, &path, &body);
            if let Some(header) = header {
                request = request.header("x-team", header);
            }
            let answer = support::send(request).await;
            assert_eq!(answer.status, 200, "{client} over {format}: {}", answer.body);
            let body = upstream.received().pop().unwrap().json();
            let marks = body["marks"].as_object().cloned().unwrap_or_default();
            let mut marks: Vec<String> = marks.keys().cloned().collect();
            marks.sort_unstable();
            marks
        };
        let elsewhere = if format == "chat" { "gemini" } else { "chat" };
        assert_eq!(marks(format, "up", None).await, ["client", "loud", "own"], "{format}");
        assert_eq!(marks(elsewhere, "up", None).await, ["loud", "own"], "{format}");
        assert_eq!(marks(elsewhere, "renamed", None).await, ["alias", "loud", "own"], "{format}");
        assert_eq!(marks(elsewhere, "up(high)", None).await, ["loud", "own", "suffix"], "{format}");
        assert_eq!(marks(elsewhere, "up", Some("blue-7")).await, ["header", "loud", "own"], "{format}");
        assert_eq!(marks(elsewhere, "up", Some("green")).await, ["loud", "own"], "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_touches_keeps_its_bytes() {
    let rules = "  override:\n    - {models: [{name: up}], params: {added: 1}}\n";
    let (upstream, gateway) = arranged("claude", rules).await;
    let body = "{ \"model\" :\"up\",\t\"max_tokens\":64.0, \"messages\":[{\"role\":\"user\",\"content\":\"h\\u0069 \\/\"}] }";
    let address = format!("{}/v1/messages", gateway.url());
    let answer = support::send(support::client().post(address).body(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let received = upstream.received().pop().unwrap();
    let text = std::str::from_utf8(&received.body).unwrap();
    assert_eq!(text.replacen(",\"added\":1", "", 1).replace(' ', ""), body.replace(' ', ""), "{text}");
    assert!(text.contains("h\\u0069 \\/") && text.contains("64.0"), "{text}");
    assert_eq!(received.json()["added"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_leave_counting_alone() {
    let upstream = Upstream::start(|_| cliproxy_testkit::Script::json(200, "{\"input_tokens\": 7}")).await;
    let config = format!(
        "payload:\n  override:\n    - {{models: [{{name: up}}], params: {{added: 1}}}}\n{}",
        support::config("claude", &upstream)
    );
    let gateway = support::start(&config, &[]);
    let body = json!({"model": "up", "messages": [{"role": "user", "content": "hi"}]});
    let answer = support::ask(&gateway, "/v1/messages/count_tokens", &body).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"input_tokens": 7})));
    // Counting knows fewer members than answering, and refuses others.
    assert!(upstream.received().pop().unwrap().json().get("added").is_none());
}
