//! `check`, and how a start fails: all problems at once, each with its place and a remedy, and an exit code.

use cliproxy_testkit::Finished;

use crate::support;

fn is_told(finished: &Finished, wanted: &str) {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains(wanted), "{wanted:?} in:\n{said}");
}

#[test]
fn a_good_file_is_shown_with_secrets_masked() {
    let config = "api-keys: [client-key-0123456789]\nproxy-url: http://alice:hunter2@127.0.0.1:9\n\
        claude-api-key:\n  - {api-key: sk-ant-secret-0001, headers: {X-Token: hidden-header}}\n";
    let finished = support::check(config);
    assert_eq!(finished.code, Some(0), "{}", finished.stdout);
    assert!(!finished.stdout.contains("CLIProxyAPI Version"), "{}", finished.stdout);
    is_told(&finished, "usable, 0 warnings");
    for shown in ["****6789", "****0001", "http://****@127.0.0.1:9", "port: 8317", "request-retry: 3"] {
        is_told(&finished, shown);
    }
    for secret in ["client-key", "hunter2", "alice", "sk-ant-secret", "hidden-header"] {
        assert!(!finished.stdout.contains(secret), "{secret} in {}", finished.stdout);
    }
}

const BROKEN: &str = "\
prot: 1
port: x
request-retry: [1]
api-keys:
  - your-api-key-1
proxy-url: ftp://proxy.example
claude-api-key:
  - api-key: sk-ant-secret-0001
    proxy-url: nonsense
    headers: {'bad name': x}
    cloak: {mode: always}
payload:
  override-raw:
    - models: [{name: '*'}]
      params: {metadata: '{half'}
";

#[test]
fn all_problems_are_told_at_once_with_place_and_remedy() {
    let finished = support::check(BROKEN);
    assert_eq!(finished.code, Some(1));
    for (place, words) in [
        (":2:7: port:", "whole number"),
        (":3:16: request-retry:", "whole number"),
        (":5:5: api-keys[0]:", "openssl rand"),
        (":6:12: proxy-url:", "use http://"),
        (":9:16: claude-api-key[0].proxy-url:", "use http://"),
        (":1:1: prot:", "did you mean `port`?"),
        (":11:", "cloak"),
        (":15:", "JSON"),
    ] {
        let place = format!("config.yaml{place}");
        let line = finished.stdout.lines().find(|line| line.contains(&place));
        let line = line.unwrap_or_else(|| panic!("{place} in:\n{}", finished.stdout));
        assert!(line.contains(words), "{words:?} in {line}");
    }
    is_told(&finished, "config.yaml: not usable");
    for text in ["your-api-key-1", "sk-ant-secret", "{half", "nonsense"] {
        assert!(!finished.stdout.contains(text), "{text} in {}", finished.stdout);
    }
}

#[test]
fn the_server_does_not_start_with_what_check_refuses_and_says_the_same() {
    let served = support::launch().config(BROKEN).arguments(&["--port", "0"]).run();
    assert_eq!(served.code, Some(1));
    let checked = support::check(BROKEN);
    for line in checked.stdout.lines().filter_map(|line| line.strip_prefix("problem: ")) {
        let place = line.split_once("config.yaml").map_or(line, |(_, rest)| rest);
        assert!(served.stderr.contains(place), "{place} in:\n{}", served.stderr);
    }
}

#[test]
fn text_that_is_not_yaml_is_refused_with_its_place() {
    for (text, place) in [("port: [", ":1:"), ("a: 1\na: 2\n", ":2:1"), ("- 1\n", ":1:1")] {
        let finished = support::check(text);
        assert_eq!(finished.code, Some(1), "{text:?}: {}", finished.stdout);
        is_told(&finished, place);
    }
}

#[test]
fn template_keys_are_refused_with_the_reason() {
    for (config, path) in [
        ("api-keys: [good-key-0123456789, your-api-key-2]", "api-keys[1]"),
        ("gemini-api-key: [{api-key: 'AIzaSy...01'}]", "gemini-api-key[0].api-key"),
        (
            "openai-compatibility: [{name: a, base-url: 'http://a', api-key-entries: [{api-key: sk-your-key}]}]",
            "api-key-entries[0].api-key",
        ),
    ] {
        let finished = support::check(config);
        assert_eq!(finished.code, Some(1), "{}", finished.stdout);
        is_told(&finished, path);
        is_told(&finished, "placeholder of the example file");
    }
}

#[test]
fn the_keys_of_other_programs_disguises_are_warned_about_once_each() {
    let config = "disable-claude-cloak-mode: true\nclaude-header-defaults: {user-agent: x}\n\
        claude-api-key:\n  - {api-key: key-1-0001, cloak: {mode: auto}}\n  - {api-key: key-2-0001, cloak: {mode: auto}}\n\
        antigravity: {sensitive-words: [a]}\n";
    let finished = support::check(config);
    assert_eq!(finished.code, Some(0), "{}", finished.stdout);
    for key in ["disable-claude-cloak-mode", "claude-header-defaults", "[0].cloak", "sensitive-words"] {
        let count =
            finished.stdout.lines().filter(|line| line.starts_with("warning:") && line.contains(key)).count();
        assert_eq!(count, 1, "{key} in {}", finished.stdout);
    }
}

#[test]
fn without_a_file_the_defaults_are_safe() {
    let finished = support::launch().arguments(&["check"]).run();
    assert_eq!(finished.code, Some(0), "{}", finished.stdout);
    for line in ["config.yaml: no such file, defaults apply", "host: \"127.0.0.1\"", "port: 8317"] {
        is_told(&finished, line);
    }
    let gateway = support::launch().start();
    assert!(gateway.url().starts_with("http://127.0.0.1:"), "{}", gateway.url());
    let named = support::launch().arguments(&["--config", "nowhere.yaml", "check"]).run();
    assert_eq!(named.code, Some(1));
    is_told(&named, "does not exist");
}

#[test]
fn a_directory_at_the_place_of_the_file_is_explained() {
    let launch = support::launch();
    std::fs::create_dir(launch.file()).unwrap();
    let finished = launch.arguments(&["--config", "config.yaml", "check"]).run();
    assert_eq!(finished.code, Some(1));
    is_told(&finished, "container");
}

#[test]
fn an_address_for_others_needs_keys_unless_told_otherwise() {
    let refused = support::launch().config("host: 0.0.0.0\n").arguments(&["--port", "0"]).run();
    assert_eq!(refused.code, Some(1));
    is_told(&refused, "no client keys are configured");
    is_told(&refused, "allow-unauthenticated-remote");
    for (config, arguments) in [
        ("host: 0.0.0.0\napi-keys: [client-key-0123456789]\n", &[][..]),
        ("host: 0.0.0.0\nallow-unauthenticated-remote: true\n", &[]),
        ("", &["--host", "0.0.0.0", "--allow-unauthenticated-remote"]),
    ] {
        let gateway = support::launch().config(config).arguments(arguments).start();
        assert!(gateway.url().contains("0.0.0.0"), "{}", gateway.url());
    }
    let careful = support::launch().config("debug: false\n").start();
    assert!(careful.url().starts_with("http://127.0.0.1:"), "{}", careful.url());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let finished = support::launch().arguments(&["--port", &port]).run();
    assert_eq!(finished.code, Some(1));
    is_told(&finished, &port);
    is_told(&finished, "--port");
}

#[test]
fn old_spellings_of_flags_work() {
    let launch = support::launch().config("debug: false\n");
    let finished = launch.arguments(&["-port=0", "check"]).run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    is_told(&finished, "port: 0");
    let wrong = support::launch().arguments(&["--nonsense"]).run();
    assert_eq!(wrong.code, Some(2));
    is_told(&wrong, "--nonsense");
}
