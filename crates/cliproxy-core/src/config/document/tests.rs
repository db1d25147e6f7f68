//! Edits of texts as people write them: what changes, and above all what does not.

use serde_json::json;

use super::*;

/// The text after one edit.
#[track_caller]
fn set(text: &str, path: &[&str], value: Value) -> String {
    let mut document = Document::parse(text).unwrap();
    document.set(path, Some(value)).unwrap();
    document.text().to_owned()
}

#[track_caller]
fn remove(text: &str, path: &[&str]) -> String {
    let mut document = Document::parse(text).unwrap();
    document.set(path, None).unwrap();
    document.text().to_owned()
}

const FILE: &str = "\
# head
port: 8317 # the port
debug: false   # noise

# who may call
api-keys:
  # first
  - \"key-one-1111\" # mine
  - key-two-2222
remote-management:
  secret-key: \"plain\"   # hash me
  allow-remote: false
unknown: {a: 1} # stays
gemini-api-key:
  - api-key: AIza-one
    # comment inside
    models:
      - name: a
        alias: b
    headers: {X-A: '1'}
  - api-key: 'AIza-two'
# tail
";

#[test]
fn a_scalar_changes_alone_and_keeps_its_style() {
    assert_eq!(set(FILE, &["debug"], json!(true)), FILE.replace("debug: false ", "debug: true "));
    assert_eq!(
        set(FILE, &["remote-management", "secret-key"], json!("$2b$10$abc")),
        FILE.replace("\"plain\"", "\"$2b$10$abc\"")
    );
    assert_eq!(set("a: x\n", &["a"], json!("yes")), "a: \"yes\"\n");
    assert_eq!(set("a: 'x' # c\n", &["a"], json!("it's")), "a: 'it''s' # c\n");
    assert_eq!(set("a: # c\nb: 1\n", &["a"], json!("x")), "a: \"x\" # c\nb: 1\n");
    assert_eq!(set("a:\n", &["a"], json!(3)), "a: 3\n");
    assert_eq!(set("a: \"\"\n", &["a"], json!("socks5://h:1")), "a: \"socks5://h:1\"\n");
}

#[test]
fn a_new_member_comes_last_and_missing_parents_are_made() {
    assert_eq!(set("a: 1", &["b"], json!(2)), "a: 1\nb: 2\n");
    assert_eq!(set("", &["b"], json!("x")), "b: \"x\"\n");
    assert_eq!(set("# only\n", &["b", "c"], json!(true)), "# only\nb:\n  c: true\n");
    let expected = FILE.replace("allow-remote: false\n", "allow-remote: false\n  more: 1\n");
    assert_eq!(set(FILE, &["remote-management", "more"], json!(1)), expected);
}

#[test]
fn a_list_keeps_the_lines_of_what_stays() {
    let added = set(FILE, &["api-keys"], json!(["key-one-1111", "key-two-2222", "key-three"]));
    assert_eq!(added, FILE.replace("- key-two-2222\n", "- key-two-2222\n  - \"key-three\"\n"));
    let removed = set(FILE, &["api-keys"], json!(["key-one-1111"]));
    assert_eq!(removed, FILE.replace("  - key-two-2222\n", ""));
    let first = set(FILE, &["api-keys"], json!(["key-zero", "key-one-1111", "key-two-2222"]));
    assert!(first.contains("  - \"key-zero\"\n  - \"key-one-1111\" # mine\n"), "{first}");
    let changed = set(FILE, &["api-keys"], json!(["key-one-1111", "key-other"]));
    assert_eq!(changed, FILE.replace("- key-two-2222", "- key-other"));
    let empty = set(FILE, &["api-keys"], json!([]));
    assert!(empty.contains("api-keys: []\n") && !empty.contains("key-one"), "{empty}");
    assert_eq!(set("a: [x, y] # c\n", &["a"], json!(["x"])), "a: [\"x\"] # c\n");
    assert_eq!(set("a: [] # c\nb: 1\n", &["a"], json!(["x"])), "a: [\"x\"] # c\nb: 1\n");
}

#[test]
fn a_member_of_an_entry_changes_alone() {
    let mut entries = json!([
        {"api-key": "AIza-one", "models": [{"name": "a", "alias": "b"}], "headers": {"X-A": "1"}},
        {"api-key": "AIza-two"}
    ]);
    entries[0]["models"][0]["alias"] = json!("c");
    assert_eq!(set(FILE, &["gemini-api-key"], entries.clone()), FILE.replace("alias: b", "alias: c"));
    entries[0]["models"][0]["alias"] = json!("b");
    entries[1]["prefix"] = json!("team");
    let expected = FILE.replace("- api-key: 'AIza-two'\n", "- api-key: 'AIza-two'\n    prefix: \"team\"\n");
    assert_eq!(set(FILE, &["gemini-api-key"], entries), expected);
    let without = set(FILE, &["gemini-api-key"], json!([{"api-key": "AIza-two"}]));
    assert!(without.contains("gemini-api-key:\n  - api-key: 'AIza-two'\n# tail"), "{without}");
}

#[test]
fn a_removed_member_takes_its_lines_along() {
    assert_eq!(remove(FILE, &["unknown"]), FILE.replace("unknown: {a: 1} # stays\n", ""));
    let without = remove(FILE, &["remote-management"]);
    assert!(without.contains("key-two-2222\nunknown:") && !without.contains("allow-remote"), "{without}");
    assert_eq!(remove("# c\na: 1\n", &["a"]), "# c\n");
    assert_eq!(remove("a: 1\n", &["b", "c"]), "a: 1\n");
}

#[test]
fn a_collection_replaces_another_kind_of_value() {
    assert_eq!(set("a: x # c\nb: 1\n", &["a"], json!({"k": ["v"]})), "a: # c\n  k:\n    - \"v\"\nb: 1\n");
    assert_eq!(set("a:\n  k: v\nb: 1\n", &["a"], json!("x")), "a: \"x\"\nb: 1\n");
    assert_eq!(set("a: |\n  text\n  more\nb: 1\n", &["b"], json!(2)), "a: |\n  text\n  more\nb: 2\n");
}

#[test]
fn what_cannot_be_edited_is_refused_and_left_alone() {
    let text = "x: &x {a: 1}\ny:\n  <<: *x\n  b: 2\n";
    let mut document = Document::parse(text).unwrap();
    assert_eq!(document.set(&["y", "a"], None), Err(NotEditable::Unsupported));
    assert_eq!(document.text(), text);
    document.set(&["y", "b"], Some(json!(3))).unwrap();
    assert_eq!(document.text(), "x: &x {a: 1}\ny:\n  <<: *x\n  b: 3\n");
    assert_eq!(Document::parse("- a\n"), Err(NotEditable::Unreadable));
    assert_eq!(Document::parse("a: [\n"), Err(NotEditable::Unreadable));
}

#[test]
fn every_value_comes_back_as_it_was_given() {
    let values = [
        json!("a: b"),
        json!("# no comment"),
        json!("- x"),
        json!("line\nbreak"),
        json!("null"),
        json!("1e3"),
        json!("\u{85}\u{2028}ä\u{1F600}\u{7f}\u{0}"),
        json!(" x "),
        json!(-1),
        json!(1.5),
        json!(null),
        json!([[1], {"a": []}, {}]),
        json!({"": {"b c": [null, true]}, "x:y": "z"}),
        json!([{"a": {"b": [{"c": 1}]}}]),
    ];
    for start in ["", "v: 1\n", "v:\n  - a\n  - b: 1\n", "v: {a: b}\n", "v: 'x'\nw: 1"] {
        for value in &values {
            let mut document = Document::parse(start).unwrap();
            let result = document.set(&["v"], Some(value.clone()));
            assert!(result.is_ok(), "{start:?} {value}");
            assert_eq!(document.get(&["v"]), Some(value), "{start:?}");
        }
    }
}
