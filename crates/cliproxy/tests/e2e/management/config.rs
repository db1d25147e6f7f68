//! The configuration as a whole.

use cliproxy_core::config::diagnostic::{Code, NOUNS};
use cliproxy_core::reason;
use serde_json::{Value, json};

use super::contract::Contract;
use super::{Panel, send};

const CONFIG: &str = "# head\nhost: 127.0.0.1\nmy-own-key: {a: 1} # stays\ndebug: yes\napi-keys:\n  - client-key-0001 # laptop\nclaude-api-key:\n  - api-key: sk-0001\n    new-member: 7\n";

#[tokio::test]
async fn everything_is_shown_with_the_keys_of_the_file() {
    let panel = Panel::start(CONFIG);
    let config = panel.get("/config").await;
    for hidden in ["host", "port", "remote-management", "auth-dir"] {
        assert!(config.get(hidden).is_none(), "{hidden}");
    }
    assert_eq!(config["debug"], json!(true));
    assert_eq!(config["api-keys"], json!(["client-key-0001"]));
    assert_eq!(config["claude-api-key"], json!([{"api-key": "sk-0001", "new-member": 7}]));
    assert_eq!(config["gemini-api-key"], json!([]));
    assert_eq!(config["my-own-key"], json!({"a": 1}));
    assert_eq!(config["routing"]["strategy"], "round-robin");
    assert_eq!(config["proxy-url"], "");
}

#[tokio::test]
async fn the_file_is_read_and_replaced_and_a_stale_or_invalid_text_refused() {
    let panel = Panel::start(CONFIG);
    let answer = send(panel.request("GET", "/config.yaml")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, CONFIG));
    assert_eq!(answer.header("content-type"), "application/yaml; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let tag = answer.header("etag").to_owned();
    let put = |text: String, tag: String| {
        send(panel.request("PUT", "/config.yaml").header("if-match", tag).body(text))
    };

    let next = CONFIG.replace("debug: yes", "debug: no");
    let answer = put(next.clone(), tag.clone()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"ok": true, "changed": ["config"]})));
    assert_eq!(panel.file(), next);
    assert_eq!(panel.get("/debug").await, json!({"debug": false}));
    let kept = std::fs::read_to_string(panel.gateway.config().with_extension("yaml.1")).unwrap();
    assert_eq!(kept, CONFIG);

    let stale = put(CONFIG.to_owned(), tag).await;
    assert_eq!((stale.status, stale.json()["error"].clone()), (409, json!("conflict")));
    for (text, status, code) in [
        ("debug: [", 400, "invalid_yaml"),
        ("- a\n", 400, "invalid_yaml"),
        ("", 400, "invalid_yaml"),
        ("port: many\n", 422, "invalid_config"),
    ] {
        let answer = send(panel.request("PUT", "/config.yaml").body(text)).await;
        assert_eq!((answer.status, answer.json()["error"].clone()), (status, json!(code)), "{text:?}");
        assert!(answer.json()["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    assert_eq!(panel.file(), next);
}

#[tokio::test]
async fn a_client_key_that_is_taken_away_is_refused_at_once() {
    let panel = Panel::start(CONFIG);
    let ask = || {
        let url = format!("{}/v1/models", panel.gateway.url());
        send(crate::support::client().get(url).header("authorization", "Bearer client-key-0001"))
    };
    assert_eq!(ask().await.status, 200);
    panel.done("PUT", "/api-keys", json!(["client-key-0002"])).await;
    assert_eq!(ask().await.status, 401);
    let text = panel.file();
    assert_eq!(text, CONFIG.replace("client-key-0001", "client-key-0002"));
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_at_once_are_all_kept() {
    let panel = Panel::start("debug: false # c\n");
    let keys = (0..12).map(|number| {
        panel.send("PATCH", "/api-keys", json!({"old": "none", "new": format!("client-key-{number:04}")}))
    });
    for answer in futures_util::future::join_all(keys).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let keys = panel.get("/api-keys").await;
    assert_eq!(keys["api-keys"].as_array().map(Vec::len), Some(12));
    assert!(panel.file().starts_with("debug: false # c\n"));
    assert_ne!(keys, Value::Null);
}

#[tokio::test]
async fn a_text_is_checked_without_being_written() {
    let panel = Panel::start(CONFIG);
    let check = |text: &str| send(panel.request("POST", "/config/check").body(text.to_owned()));
    let answer = check("commercial-mode: yes\ndebug: yes\nnobody-knows: 1\n").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    assert_eq!(
        (&answer["ok"], &answer["needs_restart"][0]),
        (&json!(true), &json!("commercial-mode")),
        "{answer}"
    );
    let warnings = answer["warnings"].as_array().unwrap();
    let place = |warning: &&Value| warning["path"] == "nobody-knows" && warning["line"] == 3;
    assert!(warnings.iter().any(|warning| place(&warning)), "{answer}");
    let answer = check("debug: no\nport: many\nrequest-retry: x\n").await;
    let problems = answer.json();
    assert_eq!((answer.status, &problems["error"]), (422, &json!("invalid_config")));
    let places: Vec<_> = problems["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["path"].clone(), one["line"].clone()))
        .collect();
    assert_eq!(places, [(json!("port"), json!(2)), (json!("request-retry"), json!(3))]);
    let put = send(panel.request("PUT", "/config.yaml").body("port: many\n")).await;
    assert_eq!((put.status, &put.json()["problems"][0]["column"]), (422, &json!(7)));
    assert_eq!(panel.file(), CONFIG);
}

#[tokio::test]
async fn problems_and_warnings_have_a_code_that_stays_and_values() {
    let panel = Panel::start(CONFIG);
    let check = async |text: &'static str| {
        let answer = send(panel.request("POST", "/config/check").body(text)).await;
        Contract::of(&panel.gateway).await.holds("POST", "/config/check", &answer);
        answer.json()
    };
    for (text, path, code) in [
        ("debug: [", "", "broken_structure"),
        ("debug: yes: no\n", "", "syntax"),
        ("? [a]\n: b\n", "", "key_not_single"),
        ("debug: no\ndebug: yes\n", "debug", "duplicate_key"),
        ("nobody-knows: 1\n", "nobody-knows", "unknown_key"),
        ("request-retry: x\n", "request-retry", "wrong_type"),
        ("debug: 'yes'\n", "debug", "quoted_value"),
        ("api-keys: {a: b}\n", "api-keys", "wrong_type"),
        ("routing: {session-affinity-ttl: soon}\n", "routing.session-affinity-ttl", "not_a_duration"),
        (
            "claude-api-key: [{api-key: sk-0001, weight: 99999999}]\n",
            "claude-api-key[0].weight",
            "weight_range",
        ),
        ("max-request-body-mb: 0\n", "max-request-body-mb", "body_limit"),
        ("error-logs-max-files: -1\n", "error-logs-max-files", "negative_count"),
        ("routing: {strategy: luck}\n", "routing.strategy", "unknown_strategy"),
        ("thinking-table: huge\n", "thinking-table", "unknown_thinking_table"),
        ("api-keys: [your-api-key-1]\n", "api-keys[0]", "template_client_key"),
        ("claude-api-key: [{api-key: your-api-key-1}]\n", "claude-api-key[0].api-key", "template_key"),
        ("generative-language-api-key: [AIza-0001]\n", "generative-language-api-key", "older_key"),
        ("plugins: {enabled: true}\n", "plugins.enabled", "no_plugins"),
    ] {
        let answer = check(text).await;
        let remarks = [&answer["problems"], &answer["warnings"]];
        let mut remarks = remarks.iter().filter_map(|list| list.as_array()).flatten();
        let is_it = |remark: &&Value| remark["path"] == path && remark["code"] == code;
        let found = remarks.find(is_it).unwrap_or_else(|| panic!("{text:?}: {answer}"));
        assert!(found["message"].as_str().is_some_and(|message| !message.is_empty()), "{found}");
    }
    let answer = check("request-retry: [1]\nprot: 1\n").await;
    assert_eq!(answer["problems"][0]["values"], json!({"wanted": "a whole number", "found": "a list"}));
    assert_eq!(answer["warnings"][0]["values"], json!({"near": "port"}));
    // Edits that are refused have the same.
    let answer = send(panel.request("PUT", "/config.yaml").body("max-request-body-mb: 0\n")).await;
    assert_eq!((answer.status, &answer.json()["problems"][0]["code"]), (422, &json!("body_limit")));
    let answer = panel.send("PUT", "/api-keys", json!(["your-api-key-1"])).await;
    assert_eq!((answer.status, &answer.json()["problems"][0]["code"]), (422, &json!("template_client_key")));
    assert_eq!(panel.file(), CONFIG);
}

/// The places of a text that values are put into.
fn places(text: &str) -> Vec<&str> {
    let parts = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
    let mut names: Vec<&str> = parts.map(|(name, _)| name).collect();
    names.retain(|name| name.bytes().all(|byte| byte.is_ascii_lowercase()));
    names.sort_unstable();
    names
}

fn is_chinese(text: &str) -> bool {
    text.chars().any(|letter| ('一'..='鿿').contains(&letter))
}

#[test]
fn whatever_can_be_wrong_is_told_in_both_languages_of_the_dashboard() {
    let texts = include_str!("../../../../../ui/src/words/problems.zh.json");
    let mut texts: serde_json::Map<String, Value> = serde_json::from_str(texts).unwrap();
    let nouns = texts.remove("nouns").unwrap();
    for code in Code::ALL {
        let word = serde_json::to_value(code).unwrap();
        let told = texts.remove(word.as_str().unwrap()).unwrap_or_else(|| panic!("{word} has no text"));
        let told: Vec<String> = serde_json::from_value(told).unwrap();
        let english: Vec<&str> = std::iter::once(code.message()).chain(code.advice()).collect();
        assert_eq!(told.len(), english.len(), "{word}");
        for (told, english) in told.iter().zip(english) {
            assert!(is_chinese(told) && !english.is_empty(), "{word}: {told}");
            assert_eq!(places(told), places(english), "{word}: {told}");
        }
    }
    assert_eq!(texts, serde_json::Map::new(), "nothing is told of what cannot happen");
    let nouns: std::collections::BTreeMap<String, String> = serde_json::from_value(nouns).unwrap();
    let mut known: Vec<&str> = NOUNS.to_vec();
    known.sort_unstable();
    assert_eq!(nouns.keys().map(String::as_str).collect::<Vec<_>>(), known);
}

#[test]
fn whatever_keeps_an_account_from_serving_is_told_in_both_languages_of_the_dashboard() {
    let texts = include_str!("../../../../../ui/src/words/reasons.zh.json");
    let mut texts: serde_json::Map<String, Value> = serde_json::from_str(texts).unwrap();
    for code in reason::Code::ALL {
        let word = serde_json::to_value(code).unwrap();
        let told = texts.remove(word.as_str().unwrap()).unwrap_or_else(|| panic!("{word} has no text"));
        let told = told.as_str().unwrap();
        assert!(is_chinese(told), "{word}: {told}");
        assert_eq!(places(told), places(code.text()), "{word}: {told}");
    }
    assert_eq!(texts, serde_json::Map::new(), "nothing is told of what cannot happen");
}

#[tokio::test]
async fn a_version_before_is_shown_and_restored() {
    let panel = Panel::start(CONFIG);
    assert_eq!(panel.get("/config/versions").await, json!({"versions": []}));
    panel.done("PUT", "/request-retry", json!({"value": 7})).await;
    let versions = panel.get("/config/versions").await;
    let version = &versions["versions"][0];
    assert_eq!((&version["number"], &version["size"]), (&json!(1), &json!(CONFIG.len())), "{versions}");
    assert!(version["modified"].as_u64().unwrap() > 1_700_000_000 && version["version"].is_string());
    let text = send(panel.request("GET", "/config/versions/1")).await;
    assert_eq!((text.status, text.body.as_str()), (200, CONFIG));
    let restore = |number: &str| panel.request("POST", &format!("/config/versions/{number}/restore"));
    let stale = send(restore("1").header("if-match", "\"other\"")).await;
    assert_eq!((stale.status, stale.json()["error"].clone()), (409, json!("conflict")));
    assert_eq!(send(restore("1")).await.json(), json!({"ok": true, "changed": ["config"]}));
    assert_eq!(panel.file(), CONFIG);
    // What was restored over is a version too.
    assert!(send(panel.request("GET", "/config/versions/1")).await.body.contains("request-retry: 7"));
    for number in ["9", "0", "x", "..%2f1"] {
        panel
            .refused("GET", &format!("/config/versions/{number}"), Value::Null, (404, "version not found"))
            .await;
        panel
            .refused(
                "POST",
                &format!("/config/versions/{number}/restore"),
                Value::Null,
                (404, "version not found"),
            )
            .await;
    }
}
