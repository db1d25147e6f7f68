//! The report of `check`, against whole configurations.
#![expect(clippy::disallowed_methods, reason = "a test's own files need no atomic writer")]

use super::*;
use crate::env::Fixed;

const FULL: &str = r#"
host: ""
port: 9000
api-keys: [client-key-0123456789]
remote-management: {secret-key: management-0123456789, allow-remote: true}
auth-dir: /auths
proxy-url: http://alice:hunter2@proxy.example:8080
usage-ledger:
  retention-days: 30
  prices:
    - {model: "claude-*", input: 3, output: 15.5, cache-read: 0.3}
routing: {strategy: wrr, session-affinity: true, session-affinity-ttl: 90s}
upstream-timeouts: {idle: 0}
transient-error-cooldown-seconds: -1
max-retry-credentials: 2
disable-image-generation: chat
thinking-table: generous
xai: {inject-x-search: true}
codex: {stream-bootstrap-buffering: true}
claude-api-key:
  - api-key: sk-upstream-0123456789
    base-url: https://bob:hunter2@claude.example
    prefix: team
    headers: {X-Token: topsecretheader, X-Copy: $X-Copy}
    models: [{name: m, alias: a, thinking: {min: 1, max: 2, levels: [low]}}, {name: n}]
    excluded-models: ["*haiku*"]
    request-scoped-errors: [{status: 400, match: ["a \"quote\""], match-regexr: ['\d+'], action: stop}]
openai-compatibility:
  - name: local
    base-url: http://127.0.0.1:1/v1
    api-key-entries: [{api-key: short, proxy-url: direct}, {api-key: '', weight: 0}]
    models: [{name: m, alias: pool, image: true, input-modalities: [text]}]
oauth-excluded-models: {claude: [x*]}
oauth-model-alias: {codex: [{name: a, alias: b, fork: true}]}
ampcode:
  upstream-url: https://ampcode.com
  upstream-api-key: amp-upstream-0123456789
  upstream-api-keys: [{upstream-api-key: amp-client-0123456789, api-keys: [client-key-0123456789]}]
  model-mappings: [{from: '^a', to: b, regex: true}, {from: c, to: d}]
"#;

fn env() -> Fixed {
    Fixed::new([("HOME", "/home/u")])
}

fn outcome(text: &str) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    let mut outcome = check(&Source::required(&path), &env());
    outcome.text = outcome.text.replace(&path.display().to_string(), "config.yaml");
    outcome
}

#[test]
fn no_secret_is_in_the_text() {
    let outcome = outcome(FULL);
    assert!(outcome.is_usable, "{}", outcome.text);
    for secret in
        ["client-key", "management-0", "hunter2", "alice", "bob", "sk-upstream", "topsecret", "short", "amp-"]
    {
        assert!(!outcome.text.contains(secret), "{secret} in {}", outcome.text);
    }
    assert!(outcome.text.contains("****6789"));
}

#[test]
fn the_effective_settings_are_a_configuration_with_the_same_meaning() {
    let source = Source::default();
    let first = Settings::load_text(FULL, &source, &env()).unwrap().settings;
    let text = effective::render(&first);
    let again = Settings::load_text(&text, &source, &env()).unwrap_or_else(|problems| {
        unreachable!("{problems}\n{text}");
    });
    assert_eq!(again.warnings, []);
    assert_eq!(effective::render(&again.settings), text.replace("****6789", "****"));
    assert_eq!(again.settings.routing, first.routing);
    assert_eq!(again.settings.retry, first.retry);
    assert_eq!(again.settings.streaming, first.streaming);
    assert_eq!(again.settings.timeouts, first.timeouts);
    assert_eq!(again.settings.translation, first.translation);
    assert_eq!(again.settings.oauth, first.oauth);
    assert_eq!(again.settings.logging, first.logging);
    assert_eq!(again.settings.usage, first.usage);
}

#[test]
fn defaults_are_shown_in_full() {
    let outcome = check(&Source::default(), &env());
    assert!(outcome.is_usable);
    insta::assert_snapshot!(outcome.text, @r#"
    built-in defaults: usable, 0 warnings

    # store: file
    host: "127.0.0.1"
    port: 8317
    tls:
      enable: false
    max-request-body-mb: 64
    auth-dir: "/home/u/.cli-proxy-api"
    allow-unauthenticated-remote: false
    ws-auth: true
    remote-management:
      allow-remote: false
      secret-key: ""
      disable-control-panel: false
      disable-auto-update-panel: false
    debug: false
    logging-to-file: false
    logs-max-total-size-mb: 0
    error-logs-max-files: 10
    request-log: false
    commercial-mode: false
    pprof:
      enable: false
    usage-statistics-enabled: false
    usage-ledger:
      retention-days: 365
      max-size-mb: 512
    redis-usage-queue-retention-seconds: 60
    proxy-url: ""
    upstream-timeouts:
      connect: 10
      tls: 10
      first-byte: 300
      idle: 300
      slow-client: 30
    routing:
      strategy: "round-robin"
      session-affinity: false
      max-concurrent-requests: 0
    force-model-prefix: false
    quota-exceeded:
      switch-project: true
      switch-preview-model: true
      antigravity-credits: false
    request-retry: 3
    max-retry-interval: 30
    max-retry-credentials: 0
    disable-cooling: false
    save-cooldown-status: true
    transient-error-cooldown-seconds: 60
    auth-auto-refresh-workers: 16
    streaming:
      keepalive-seconds: 15
      bootstrap-retries: 1
    nonstream-keepalive-interval: 0
    passthrough-headers: false
    strict-translation: "default"
    thinking-table: "default"
    disable-image-generation: false
    gpt-image-2-base-model: "gpt-5.4-mini"
    video-result-auth-cache-ttl: "10800s"
    antigravity-signature-cache-enabled: true
    antigravity-signature-bypass-strict: false
    image-urls:
      fetch: "needed"
      max-mb: 20
      max-seconds: 30
    "#);
}

#[test]
fn problems_and_warnings_have_file_line_and_column() {
    let outcome = outcome("prot: 1\nport: x\napi-keys: [your-api-key-1]\n");
    assert!(!outcome.is_usable);
    insta::assert_snapshot!(outcome.text, @r#"
    problem: config.yaml:2:7: port: expected a whole number, found other text
    problem: config.yaml:3:12: api-keys[0]: this client key is a placeholder of the example file: everybody knows it; write a key of your own, for example the output of `openssl rand -hex 24`
    warning: config.yaml:1:1: prot: unknown key, ignored; did you mean `port`?
    config.yaml: not usable, 2 problems, 1 warning
    "#);
}

#[test]
fn a_missing_optional_file_is_named() {
    let outcome = check(&Source::optional("/nowhere/config.yaml"), &env());
    assert!(outcome.is_usable);
    assert!(outcome.text.starts_with("/nowhere/config.yaml: no such file, defaults apply, 0 warnings\n"));
}

#[test]
fn what_the_environment_adds_is_named_but_not_shown() {
    let env = Fixed::new([
        ("HOME", "/h"),
        ("MANAGEMENT_PASSWORD", "hidden-password"),
        ("AMP_API_KEY", "hidden-amp-key-value"),
        ("GITSTORE_GIT_URL", "https://u:hidden@git.example/x"),
    ]);
    let text = check(&Source::default(), &env).text;
    assert!(
        text.contains("# store: git\n") && text.contains("# MANAGEMENT_PASSWORD adds a management key\n")
    );
    assert!(!text.contains("hidden"), "{text}");
}
