//! Reading `config.yaml` as written: tolerance, positions, suggestions.

use proptest::strategy::Strategy;

use super::{Config, ImageGeneration};
use crate::config::diagnostic::Report;

fn read(text: &str) -> (Config, Result<Vec<String>, Vec<String>>) {
    let mut report = Report::default();
    let config = Config::read(text, &mut report);
    let found = match report.finish(None) {
        Ok(warnings) => Ok(warnings.iter().map(ToString::to_string).collect()),
        Err(problems) => Err(problems.list.iter().map(ToString::to_string).collect()),
    };
    (config, found)
}

fn problems(text: &str) -> Vec<String> {
    read(text).1.unwrap_err()
}

fn warnings(text: &str) -> Vec<String> {
    read(text).1.unwrap()
}

#[test]
fn an_empty_file_is_a_configuration_without_members() {
    let (config, found) = read("");
    assert!(config.port.is_none());
    assert_eq!(found, Ok(vec![]));
}

#[test]
fn values_keep_their_place_and_path() {
    let (config, _) =
        read("claude-api-key:\n  - api-key: abc\n    models:\n      - name: m\n        alias: a\n");
    let entries = config.claude_api_key.unwrap();
    let models = entries[0].models.as_ref().unwrap();
    let alias = models[0].alias.as_ref().unwrap();
    assert_eq!(&*alias.origin.path, "claude-api-key[0].models[0].alias");
    assert_eq!(alias.origin.key.to_string(), "5:9");
    assert_eq!(alias.origin.value.to_string(), "5:16");
    assert_eq!(alias.value, "a");
}

#[test]
fn every_wrong_type_is_reported_at_once_with_its_place() {
    assert_eq!(
        problems("port: abc\ndebug: maybe\nhost: [x]\napi-keys: one\ntls: yes\nrequest-retry: 1.5\n"),
        [
            "1:7: port: expected a whole number, found other text",
            "2:8: debug: expected true or false, found other text",
            "3:7: host: expected text, found a list",
            "4:11: api-keys: expected a list (lines that start with `- `), found a single value",
            "5:6: tls: expected a mapping (`key: value` lines), found a single value",
            "6:16: request-retry: expected a whole number, found other text",
        ]
    );
}

#[test]
fn a_quoted_number_is_not_a_number() {
    assert_eq!(
        problems("port: \"8317\"\ndebug: 'true'\n"),
        [
            "1:7: port: expected a whole number, found a quoted string; write it without quotes",
            "2:8: debug: expected true or false, found a quoted string; write it without quotes",
        ]
    );
}

#[test]
fn a_key_written_twice_is_named_with_its_whole_path() {
    assert_eq!(
        problems(
            "gemini-api-key:\n  - api-key: a\n  - api-key: b\n    models:\n      - name: x\n        name: y\n"
        ),
        [
            "6:9: gemini-api-key[1].models[0].name: the key is written twice; keep one of them; the first is at line 5"
        ]
    );
}

#[test]
fn the_document_must_be_a_mapping() {
    assert_eq!(problems("- a\n- b\n"), ["1:1: expected a mapping (`key: value` lines), found a list"]);
}

#[test]
fn unknown_keys_are_warnings_with_the_nearest_name() {
    assert_eq!(
        warnings("proxy_url: x\nrouting:\n  stratgy: rr\ngemini-api-key:\n  - apikey: x\nzzzz: 1\n"),
        [
            "1:1: proxy_url: unknown key, ignored; did you mean `proxy-url`?",
            "3:3: routing.stratgy: unknown key, ignored; did you mean `strategy`?",
            "5:5: gemini-api-key[0].apikey: unknown key, ignored; did you mean `api-key`?",
            "6:1: zzzz: unknown key, ignored",
        ]
    );
}

#[test]
fn disguise_keys_give_one_warning_each() {
    let text = "disable-claude-cloak-mode: true\nclaude-header-defaults:\n  os: x\nclaude-api-key:\n  - api-key: a\n    cloak: {mode: auto}\n  - api-key: b\n    cloak: {mode: auto}\n    fingerprint-profile: x\ncodex:\n  identity-confuse: true\nantigravity:\n  sensitive-words: [a]\n";
    let found = warnings(text);
    let places: Vec<&str> = found.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(
        places,
        [
            "disable-claude-cloak-mode",
            "claude-header-defaults",
            "claude-api-key[0].cloak",
            "claude-api-key[1].fingerprint-profile",
            "codex.identity-confuse",
            "antigravity.sensitive-words",
        ]
    );
    assert!(found.iter().all(|line| line.contains("accepted without effect")));
}

#[test]
fn null_means_absent_and_an_empty_list() {
    let (config, found) = read("api-keys:\nport: ~\ntls:\ngemini-api-key: null\nauth:\n  providers: []\n");
    assert_eq!(found, Ok(vec![]));
    assert!(config.port.is_none() && config.api_keys.is_none() && config.tls.is_none());
}

#[test]
fn plain_numbers_and_booleans_are_fine_as_text() {
    let (config, found) = read("api-keys: [123456, true]\nauth-dir: 7\n");
    assert_eq!(found, Ok(vec![]));
    assert_eq!(config.api_keys.unwrap()[0].expose(), "123456");
    assert_eq!(config.auth_dir.unwrap().value, "7");
}

#[test]
fn image_generation_takes_booleans_and_words() {
    for (text, value) in [
        ("true", ImageGeneration::Disabled),
        ("\"on\"", ImageGeneration::Disabled),
        ("'0'", ImageGeneration::Enabled),
        ("off", ImageGeneration::Enabled),
        ("\"chat\"", ImageGeneration::DisabledInChat),
        ("passthrough", ImageGeneration::Passthrough),
    ] {
        let (config, found) = read(&format!("disable-image-generation: {text}\n"));
        assert_eq!(found, Ok(vec![]));
        assert_eq!(config.disable_image_generation.unwrap().value, value, "{text}");
    }
    assert_eq!(
        problems("disable-image-generation: sometimes\n"),
        ["1:27: disable-image-generation: expected true, false, chat or passthrough"]
    );
}

#[test]
fn debug_output_never_shows_a_secret() {
    let text = "api-keys: [topsecretvalue]\nproxy-url: http://u:topsecretvalue@h:1\nremote-management: {secret-key: topsecretvalue}\nclaude-api-key:\n  - {api-key: topsecretvalue, base-url: 'https://u:topsecretvalue@h/', headers: {X-Key: topsecretvalue}}\npayload:\n  override:\n    - {models: [{name: x}], params: {a: topsecretvalue}}\n";
    let (config, found) = read(text);
    assert_eq!(found, Ok(vec![]));
    assert!(!format!("{config:?}").contains("topsecret"), "{config:?}");
}

/// The same text as read by an independent deserializer.
fn both(text: &str) -> (serde_json::Value, serde_json::Value) {
    let tree = super::tree::parse(text, &mut Report::default()).unwrap();
    (super::Free(tree).to_json(), serde_saphyr::from_str(text).unwrap())
}

#[test]
fn the_tree_of_the_example_agrees_with_an_independent_reader() {
    let (ours, theirs) = both(include_str!("../../../../../config.example.yaml"));
    assert_eq!(ours, theirs);
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = proptest::prop_oneof![
        proptest::strategy::Just(serde_json::Value::Null),
        proptest::arbitrary::any::<bool>().prop_map(serde_json::Value::from),
        proptest::arbitrary::any::<i32>().prop_map(serde_json::Value::from),
        "[ -~]{0,12}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        proptest::prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map("[a-z]{1,6}", inner, 0..4).prop_map(serde_json::Value::from_iter),
        ]
    })
}

proptest::proptest! {
    #[test]
    fn json_text_is_read_as_the_value_it_says(value in json_value()) {
        let text = format!("v: {value}\n");
        let tree = super::tree::parse(&text, &mut Report::default()).unwrap();
        let read = super::Free(tree).to_json();
        proptest::prop_assert_eq!(read.get("v"), Some(&value));
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,400}") {
        drop(read(&text));
    }

    #[test]
    fn arbitrary_yaml_like_text_never_panics(
        lines in proptest::collection::vec("[ ]{0,6}(- )?(port|api-keys|tls|payload|default|models|name|<<|\"q|&a|\\*a|zz)?:? ?([0-9a-z\\[\\]{}'\"|>&*!-]{0,6})", 0..40)
    ) {
        drop(read(&lines.join("\n")));
    }
}
