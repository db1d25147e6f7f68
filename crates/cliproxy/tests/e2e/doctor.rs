//! `doctor`: what it finds, what it advises, and that its report can be pasted anywhere.

use std::net::TcpListener;

use cliproxy_testkit::{Authority, Finished, Home, Script, Upstream};
use serde_json::{Value, json};

use crate::login::run;
use crate::support;

/// What `doctor` says of a configuration, and its exit code.
fn said(config: &str) -> Finished {
    support::launch().config(config).arguments(&["doctor"]).run()
}

/// The findings that hold `text`.
fn findings(report: &str, text: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(report).unwrap_or_else(|error| panic!("{error}: {report}"));
    let list = report["findings"].as_array().unwrap().clone();
    list.into_iter().filter(|finding| finding["message"].as_str().unwrap().contains(text)).collect()
}

/// The one finding that holds `text`, of this severity and, unless all is well, with a remedy.
fn found(config: &str, text: &str, severity: &str) -> Value {
    let report = support::launch().config(config).arguments(&["doctor", "--json"]).run();
    let found = findings(&report.stdout, text);
    assert_eq!(found.len(), 1, "{text:?} in {}", report.stdout);
    assert_eq!(found[0]["severity"], severity, "{}", found[0]);
    assert_eq!(found[0]["remedy"].is_string(), ["warning", "problem"].contains(&severity), "{}", found[0]);
    assert_eq!(
        report.code == Some(0),
        !report.stdout.contains("\"severity\": \"problem\""),
        "{}",
        report.stdout
    );
    found[0].clone()
}

const KEY: &str = "claude-api-key: [{api-key: upstream-key-0001, base-url: 'http://127.0.0.1:1'}]\n";

#[test]
fn where_nothing_is_wrong_nothing_is_complained_of() {
    let finished = said(&format!("host: 127.0.0.1\nport: 0\n{KEY}"));
    assert_eq!(finished.code, Some(0), "{}", finished.stdout);
    for line in [
        "ok       ~/config.yaml is usable",
        "this machine alone is served",
        "the management interface is off",
        "no file and no token is from the future",
    ] {
        assert!(finished.stdout.contains(line), "{line:?} in\n{}", finished.stdout);
    }
}

#[test]
fn without_a_configuration_the_defaults_are_looked_at_and_nothing_serves() {
    let finished = support::launch().arguments(&["doctor"]).run();
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    for line in [
        "there is no ~/config.yaml, so the defaults apply",
        "~/.cli-proxy-api is made by the first login",
        "nothing can be served",
    ] {
        assert!(finished.stdout.contains(line), "{line:?} in\n{}", finished.stdout);
    }
}

#[test]
fn every_problem_of_the_file_is_told_with_its_line() {
    let finished = said("port: x\napi-keys:\n  - your-api-key-1\nproxy-url: ftp://proxy.example\n");
    assert_eq!(finished.code, Some(1));
    for line in [
        "config.yaml:1:7: port:",
        "config.yaml:3:5: api-keys[0]: this client key is a placeholder",
        "config.yaml:4:12: proxy-url:",
        "to do: write a key of your own",
    ] {
        assert!(finished.stdout.contains(line), "{line:?} in\n{}", finished.stdout);
    }
    assert!(!finished.stdout.contains("your-api-key-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_free_or_taken_by_others_or_ours_already() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let finding = found(&format!("host: 127.0.0.1\nport: {port}\n{KEY}"), &format!("port {port}"), "problem");
    if cfg!(target_os = "linux") {
        let id = std::process::id();
        assert!(finding["message"].as_str().unwrap().contains(&format!("(process {id})")), "{finding}");
    }
    drop(other);
    found(&format!("host: 127.0.0.1\nport: {port}\n{KEY}"), &format!("port {port} is free"), "ok");
    let gateway = support::start(&format!("host: 127.0.0.1\n{KEY}"), &[]);
    let (_, port) = gateway.address().rsplit_once(':').unwrap();
    found(&format!("host: 127.0.0.1\nport: {port}\n{KEY}"), "a gateway like this one", "ok");
    let original = Upstream::start(|_| {
        Script::json(200, r#"{"message": "CLI Proxy API Server", "endpoints": ["GET /v1/models"]}"#)
    })
    .await;
    let (_, port) = original.url().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    found(&format!("host: 127.0.0.1\nport: {port}\n{KEY}"), "CLIProxyAPI serves on port", "problem");
}

#[test]
fn whoever_is_let_in_too_easily_is_told() {
    let open = format!("host: 0.0.0.0\nport: 0\nallow-unauthenticated-remote: true\n{KEY}");
    found(&open, "without any key", "problem");
    found(&open, "without TLS", "warning");
    let remote = "remote-management: {allow-remote: true";
    found(&format!("port: 0\n{remote}}}\n{KEY}"), "without a `secret-key`", "warning");
    let short = format!(
        "host: 0.0.0.0\nport: 0\napi-keys: [client-key-000001]\n{remote}, secret-key: tiny-1}}\n{KEY}"
    );
    found(&short, "shorter than 12", "warning");
    found(&short, "for other machines too", "ok");
    let finished = said(&short);
    assert!(
        !finished.stdout.contains("tiny-1") && !finished.stdout.contains("client-key"),
        "{}",
        finished.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_judged_and_the_report_gives_nobody_away() {
    let home = Home::new("port: 0\nhost: 127.0.0.1\n");
    let account = |end: &str, renewed: &str| {
        json!({"type": "claude", "email": "jane.doe@example.com", "access_token": "access-secret-1", "expired": end, "last_refresh": renewed}).to_string()
    };
    home.write(
        "auth/claude-jane.doe@example.com.json",
        &account("2026-01-01T00:00:00Z", "2025-12-31T00:00:00Z"),
    );
    home.write("auth/claude-two@example.com.json", &account("2099-01-01T00:00:00Z", "2098-01-01T00:00:00Z"));
    home.write(
        "auth/broken-me@example.com.json",
        "{\"type\": \"claude\", \"access_token\": \"access-secret-1",
    );
    let (code, text) = run(&home, &["doctor", "--json"]).end().await;
    assert_eq!(code, 1, "{text}");
    let one = |wanted: &str| {
        let found = findings(&text, wanted);
        assert_eq!(found.len(), 1, "{wanted:?} in {text}");
        found[0].clone()
    };
    assert_eq!(one("needs attention")["remedy"], "log in again: cli-proxy-api --claude-login");
    assert!(
        one("needs attention")["message"].as_str().unwrap().contains("account 2 (claude j***@***)"),
        "{text}"
    );
    assert_eq!(one("cannot be used: not a JSON object")["severity"], "problem");
    assert_eq!(one("from now")["area"], "clock");
    if cfg!(unix) {
        assert!(!findings(&text, "by other users of this machine").is_empty(), "{text}");
    }
    let (_, table) = run(&home, &["doctor"]).end().await;
    let place = home.path().display().to_string();
    for secret in ["access-secret-1", "jane", "example.com", place.as_str()] {
        assert!(!text.contains(secret) && !table.contains(secret), "{secret} in\n{table}");
    }
}

#[test]
fn places_that_cannot_be_read_or_written_are_told() {
    found(&format!("port: 0\nauth-dir: config.yaml\n{KEY}"), "cannot be read", "problem");
    if cfg!(target_os = "linux") {
        let logging = support::launch()
            .config(&format!("port: 0\nlogging-to-file: true\n{KEY}"))
            .variable("WRITABLE_PATH", "/proc/nowhere")
            .arguments(&["doctor", "--json"])
            .run();
        assert_eq!(logging.code, Some(1), "{}", logging.stdout);
        assert_eq!(findings(&logging.stdout, "no place for log files")[0]["severity"], "problem");
    }
}

#[test]
fn tls_files_are_read_and_their_end_is_told() {
    let authority = Authority::new();
    let config = |files: &cliproxy_testkit::ServerFiles| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!("port: 0\ntls: {{enable: true, cert: '{certificate}', key: '{key}'}}\n{KEY}")
    };
    found(&config(&authority.server_files_until(Some(2090))), "server.pem ends in", "ok");
    found(&config(&authority.server_files_until(Some(2020))), "server.pem ended", "problem");
    let swapped = authority.server_files();
    let swapped =
        cliproxy_testkit::ServerFiles { certificate: swapped.key.clone(), key: swapped.certificate };
    found(&config(&swapped), "TLS", "problem");
}

#[test]
fn names_that_are_none_and_proxies_that_are_not_there_are_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = taken.local_addr().unwrap();
    let proxied = |url: &str| {
        format!(
            "port: 0\nproxy-url: {url}\nclaude-api-key: [{{api-key: upstream-key-0001, base-url: 'http://nowhere.invalid'}}]\n"
        )
    };
    found(&proxied(&format!("socks5h://alice1:hunter22@{open}")), "takes connections", "ok");
    drop(taken);
    found(&proxied(&format!("http://{open}")), "cannot be reached", "problem");
    found(&proxied("direct"), "nowhere.invalid cannot be resolved", "problem");
    found(
        &format!("port: 0\n{}", KEY.replace("127.0.0.1", "localhost")),
        "names of upstreams that are resolved: 1",
        "ok",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn online_asks_without_any_key_and_compares_the_clocks() {
    let upstream =
        Upstream::start(|_| Script::json(200, "{}").header("date", "Sun, 29 Nov 2015 00:40:10 GMT")).await;
    let home = Home::new(&format!(
        "host: 127.0.0.1\nport: 0\nclaude-api-key: [{{api-key: upstream-key-0001, base-url: '{}', headers: {{x-secret: secret-header}}}}]\n",
        upstream.url()
    ));
    let (code, text) = run(&home, &["doctor", "--json"]).end().await;
    assert_eq!((code, upstream.received().len()), (0, 0), "{text}");
    let (code, text) = run(&home, &["doctor", "--json", "--online"]).end().await;
    assert_eq!(code, 1, "{text}");
    assert_eq!(findings(&text, "differ by")[0]["severity"], "problem");
    assert_eq!(findings(&text, "answers")[0]["severity"], "ok");
    let received = upstream.received();
    assert_eq!((received.len(), received[0].path.as_str()), (1, "/"));
    let headers = format!("{:?}", received[0].headers);
    assert!(!headers.contains("key-0001") && !headers.contains("secret-header"), "{headers}");
    drop(upstream);
}
