//! Payload rules against bodies.

use http::{HeaderMap, HeaderValue};

use super::{Protocol, Rules, Subject, compile};
use crate::config::diagnostic::Report;
use crate::config::file::Config;

fn read(text: &str) -> (Rules, Result<Vec<String>, Vec<String>>) {
    let mut report = Report::default();
    let config = Config::read(text, &mut report);
    let rules = compile(config.payload.as_deref(), &mut report);
    let found = match report.finish(None) {
        Ok(warnings) => Ok(warnings.iter().map(ToString::to_string).collect()),
        Err(problems) => Err(problems.list.iter().map(ToString::to_string).collect()),
    };
    (rules, found)
}

fn rules(text: &str) -> Rules {
    let (rules, found) = read(text);
    assert_eq!(found, Ok(vec![]));
    rules
}

fn subject<'a>(models: &'a [&'a str], headers: &'a HeaderMap) -> Subject<'a> {
    Subject { protocol: Protocol::OpenAi, client_protocol: Protocol::Claude, models, headers, root: None }
}

fn applied(text: &str, subject: &Subject<'_>, body: &str) -> String {
    rules(text).apply(subject, body).unwrap_or_else(|| body.to_owned())
}

/// Whether a rule that removes the member `z` applied.
fn applies(text: &str, subject: &Subject<'_>, members: &str) -> bool {
    let body = format!(r#"{{"z":1{members}}}"#);
    applied(text, subject, &body) != body
}

#[test]
fn no_rules_concern_nothing() {
    let headers = HeaderMap::new();
    let rules = rules("payload:\n");
    assert!(rules.is_empty());
    assert!(!rules.concern(&subject(&["gpt-5"], &headers)));
}

#[test]
fn a_default_is_set_only_where_the_request_has_nothing_and_the_first_rule_wins() {
    let text = r#"
payload:
  default:
    - models: [{name: "gpt-*"}]
      params: {temperature: 0.5, "reasoning.effort": high}
    - models: [{name: "*"}]
      params: {reasoning.effort: low, top_p: 1}
  default-raw:
    - models: [{name: "*"}]
      params: {top_p: "0.1", stop: '["x"]'}
"#;
    let headers = HeaderMap::new();
    assert_eq!(
        applied(text, &subject(&["gpt-5"], &headers), r#"{ "temperature" : null }"#),
        r#"{ "temperature" : null,"reasoning":{"effort":"high"},"top_p":1,"stop":["x"] }"#
    );
}

#[test]
fn overrides_come_in_order_and_filters_last() {
    let text = r#"
payload:
  filter:
    - models: [{name: "*"}]
      params: ["a.b", c]
  override-raw:
    - models: [{name: "*"}]
      params: {t: "{\"x\": 1}"}
  override:
    - models: [{name: "*"}]
      params: {t: yes, n: null, m: {k: [1, 2.5, "3"]}}
"#;
    let headers = HeaderMap::new();
    assert_eq!(
        applied(text, &subject(&["m"], &headers), r#"{"c":1.50,"a":{"b":1,"k":"\u0041"},"t":0}"#),
        r#"{"a":{"k":"\u0041"},"t":{"x": 1},"n":null,"m":{"k":[1,2.5,"3"]}}"#
    );
}

#[test]
fn any_of_the_models_names_may_fit() {
    let text = "payload:\n  filter:\n    - models: [{name: 'gpt-5(high)'}]\n      params: [z]\n";
    let headers = HeaderMap::new();
    assert!(applies(text, &subject(&["up", "gpt-5", "gpt-5(high)"], &headers), ""));
    assert!(!applies(text, &subject(&["up", "gpt-5"], &headers), ""));
    assert!(!applies(text, &subject(&["GPT-5(high)"], &headers), ""));
}

#[test]
fn formats_of_both_sides_are_conditions() {
    for (item, expected) in [
        ("protocol: openai", true),
        ("protocol: OpenAI", true),
        ("protocol: gemini", false),
        ("from-protocol: claude", true),
        ("from-protocol: openai", false),
        ("protocol: openai, from-protocol: claude", true),
    ] {
        let text = format!("payload:\n  filter:\n    - models: [{{name: '*', {item}}}]\n      params: [z]\n");
        let headers = HeaderMap::new();
        assert_eq!(applies(&text, &subject(&["m"], &headers), ""), expected, "{item}");
    }
}

#[test]
fn vertex_and_code_assist_count_as_gemini() {
    let text = "payload:\n  filter:\n    - models: [{name: '*', protocol: vertex}]\n      params: [z]\n";
    let headers = HeaderMap::new();
    let subject = Subject { protocol: Protocol::Gemini, ..subject(&["m"], &headers) };
    assert!(applies(text, &subject, ""));
}

#[test]
fn client_headers_are_conditions() {
    let text = "payload:\n  filter:\n    - models: [{name: '*', headers: {User-Agent: 'agent/*'}}]\n      params: [z]\n";
    let mut headers = HeaderMap::new();
    assert!(!applies(text, &subject(&["m"], &headers), ""));
    headers.insert("user-agent", HeaderValue::from_static("agent/1.0"));
    assert!(applies(text, &subject(&["m"], &headers), ""));
}

#[test]
fn members_of_the_body_are_conditions() {
    for (item, members, expected) in [
        ("match: [{a.b: 1}]", r#","a":{"b":1.0}"#, true),
        ("match: [{a.b: 1}, {c: x}]", r#","a":{"b":1}"#, false),
        ("match: [{s: x}]", r#","s":"\u0078""#, true),
        ("not-match: [{s: x}]", r#","s":"x""#, false),
        ("not-match: [{s: x}]", "", true),
        ("exist: [tools.0]", r#","tools":[{}]"#, true),
        ("exist: [tools.1]", r#","tools":[{}]"#, false),
        ("not-exist: [tools]", r#","tools":[]"#, false),
        ("not-exist: [tools]", "", true),
    ] {
        let text = format!("payload:\n  filter:\n    - models: [{{name: '*', {item}}}]\n      params: [z]\n");
        let headers = HeaderMap::new();
        assert_eq!(applies(&text, &subject(&["m"], &headers), members), expected, "{item} {members}");
    }
}

#[test]
fn paths_start_below_the_envelope() {
    let text = "payload:\n  default:\n    - models: [{name: '*'}]\n      params: {a: 1, b: 2}\n";
    let headers = HeaderMap::new();
    let subject = Subject { root: Some("request"), ..subject(&["m"], &headers) };
    assert_eq!(applied(text, &subject, r#"{"b":0,"request":{"a":0}}"#), r#"{"b":0,"request":{"a":0,"b":2}}"#);
}

#[test]
fn rules_that_cannot_work_are_reported() {
    let text = r#"
payload:
  override-raw:
    - models: [{name: "*"}]
      params: {a: "{not json"}
  override:
    - params: {a: 1}
    - models: [{name: "*", protocol: grpc}]
      params: {a: 1}
    - models: [{protocol: claude}]
      params: {a: 1}
"#;
    let (rules, found) = read(text);
    assert!(rules.is_empty());
    assert_eq!(
        found.unwrap(),
        [
            "5:19: payload.override-raw[0].params.a: payload rule dropped: invalid raw JSON",
            "7:7: payload.override[0]: rule without `models` never applies, ignored; add `models: [{name: \"*\"}]` to apply it to every model",
            "8:38: payload.override[1].models[0].protocol: unknown protocol, the condition never applies; use openai, codex, claude, gemini or antigravity",
            "10:16: payload.override[2].models[0]: condition without `name` never applies",
        ]
    );
}

#[test]
fn a_path_that_is_none_is_a_problem() {
    let (_, found) = read("payload:\n  filter:\n    - models: [{name: '*'}]\n      params: ['a..b']\n");
    assert_eq!(found.unwrap_err(), ["4:16: payload.filter[0].params[0]: a path has no empty steps"]);
}

#[test]
fn a_body_that_is_no_json_stays_as_it_is() {
    let headers = HeaderMap::new();
    let text = "payload:\n  filter:\n    - models: [{name: '*'}]\n      params: [z]\n";
    assert_eq!(applied(text, &subject(&["m"], &headers), "{"), "{");
}

#[test]
fn indexes_append_and_escaped_dots_name_places() {
    let text = r#"
payload:
  override:
    - models: [{name: "*"}]
      params: {"tools.-1": {name: new}, "messages.0.role": user, 'a\.b': 1}
  filter:
    - models: [{name: "*"}]
      params: ["stop.1"]
"#;
    let headers = HeaderMap::new();
    assert_eq!(
        applied(
            text,
            &subject(&["m"], &headers),
            r#"{"tools":[{"name":"old"}],"messages":[{"role":"x"},{"role":"y"}],"stop":["a","b"]}"#
        ),
        r#"{"tools":[{"name":"old"},{"name":"new"}],"messages":[{"role":"user"},{"role":"y"}],"stop":["a"],"a.b":1}"#
    );
}

proptest::proptest! {
    #[test]
    fn arbitrary_bodies_and_paths_never_panic(body in "[\\[\\]{}\":,0-9a-z]{0,40}", path in "[a-z0-9.\\\\-]{1,8}") {
        let text = format!(
            "payload:\n  default:\n    - models: [{{name: '*', exist: ['{path}']}}, {{name: '*'}}]\n      params: {{'{path}': 1}}\n"
        );
        let headers = HeaderMap::new();
        let (rules, _) = read(&text);
        drop(rules.apply(&subject(&["m"], &headers), &body));
    }
}
