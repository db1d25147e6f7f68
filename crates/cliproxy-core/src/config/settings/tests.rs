//! From the file as written to checked settings.

use std::num::NonZeroU32;
use std::time::Duration;

use cliproxy_wire::codec::Strictness;

use super::*;
use crate::access::gate::ManagementKey;
use crate::env::Fixed;

fn home() -> Fixed {
    Fixed::new([("HOME", "/home/u")])
}

fn load(text: &str) -> Result<Loaded, Problems> {
    Settings::load_text(text, &Source::default(), &home())
}

fn settings(text: &str) -> Settings {
    load(text).map_or_else(|problems| panic!("{problems}"), |loaded| loaded.settings)
}

/// Settings of a text that gives no warnings, under client keys.
fn quiet(text: &str) -> Settings {
    let loaded = load(&format!("api-keys: [k]\n{text}")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    loaded.settings
}

fn warnings(text: &str) -> Vec<String> {
    let loaded = load(&format!("api-keys: [k]\n{text}")).unwrap_or_else(|problems| panic!("{problems}"));
    loaded.warnings.iter().map(ToString::to_string).collect()
}

fn problems(text: &str) -> Vec<String> {
    load(&format!("api-keys: [k]\n{text}"))
        .expect_err("problems")
        .list
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn without_a_file_everything_has_a_default_and_only_this_machine_is_served() {
    let loaded = Settings::load(&Source::default(), &home()).unwrap();
    let settings = loaded.settings;
    assert_eq!(loaded.warnings, []);
    assert_eq!(settings.listen, Listen { host: Host::Loopback, port: 8317, tls: None });
    assert_eq!(settings.auth_dir, PathBuf::from("/home/u/.cli-proxy-api"));
    assert_eq!(settings.proxy, Proxy::Inherit);
    assert_eq!(settings.retry.rounds, 3);
    assert_eq!(settings.retry.longest_wait, Duration::from_secs(30));
    assert_eq!(settings.retry.transient_cooldown, Some(Duration::from_mins(1)));
    assert_eq!(settings.streaming.keepalive, Some(Duration::from_secs(15)));
    assert_eq!(settings.streaming.nonstream_keepalive, None);
    assert_eq!(settings.max_request_body_bytes, 64 << 20);
    assert_eq!(settings.timeouts.connect, Some(Duration::from_secs(10)));
    assert_eq!(settings.timeouts.first_byte, Some(Duration::from_mins(5)));
    assert_eq!(settings.translation.strictness, Strictness::Default);
    assert_eq!(settings.routing.strategy, Strategy::RoundRobin);
    assert!(settings.payload.is_empty());
    assert!(!settings.management.is_enabled());
}

#[test]
fn an_empty_file_differs_from_no_file_only_by_the_warning_about_keys() {
    let loaded = load("").unwrap();
    let without = Settings::load(&Source::default(), &home()).unwrap();
    assert_eq!(loaded.settings, without.settings);
    assert_eq!(
        loaded.warnings[0].to_string(),
        "no client keys are configured, so only this machine is served; set `api-keys`, or `allow-unauthenticated-remote: true` to serve everybody"
    );
}

#[test]
fn every_interface_is_served_only_under_client_keys() {
    assert_eq!(settings("api-keys: [k]\n").listen.host, Host::Every);
    assert_eq!(settings("api-keys: [k]\nhost: ''\n").listen.host, Host::Every);
    assert_eq!(settings("host: ''\n").listen.host, Host::Loopback);
    assert_eq!(settings("allow-unauthenticated-remote: true\n").listen.host, Host::Every);
    assert_eq!(settings("host: 127.0.0.1\n").listen.host, Host::Loopback);
    assert_eq!(settings("host: '[::1]'\n").listen.host, Host::Named("::1".to_owned()));
    assert_eq!(settings("api-keys: [k]\nhost: '::'\n").listen.host, Host::Every);
}

#[test]
fn an_address_for_other_machines_without_keys_is_a_problem() {
    let problems = load("port: 1\nhost: 0.0.0.0\n").unwrap_err();
    assert_eq!(
        problems.to_string(),
        "2:7: host: this address serves other machines, but no client keys are configured; set `api-keys`, or `allow-unauthenticated-remote: true` to serve everybody"
    );
    assert!(load("host: 0.0.0.0\nallow-unauthenticated-remote: true\n").is_ok());
}

#[test]
fn the_command_line_wins_over_the_file() {
    let overrides = Overrides {
        host: Some("localhost".to_owned()),
        port: Some(9000),
        auth_dir: Some(PathBuf::from("/a")),
        allow_unauthenticated_remote: false,
    };
    let source = Source::default().with_overrides(overrides);
    let settings =
        Settings::load_text("host: 10.0.0.1\nport: 1\nauth-dir: /b\n", &source, &home()).unwrap().settings;
    assert_eq!(settings.listen.host, Host::Named("localhost".to_owned()));
    assert_eq!(settings.listen.port, 9000);
    assert_eq!(settings.auth_dir, PathBuf::from("/a"));
}

#[test]
fn the_environment_adds_management_password_amp_key_and_store() {
    let env = Fixed::new([
        ("HOME", "/h"),
        ("MANAGEMENT_PASSWORD", "secret-password"),
        ("AMP_API_KEY", "amp"),
        ("PGSTORE_DSN", "postgres://u:p@h/d"),
        ("writable_path", "/w"),
    ]);
    let settings = Settings::load_text("api-keys: [k]\n", &Source::default(), &env).unwrap().settings;
    assert!(settings.management.is_enabled() && settings.management.lock.allow_remote);
    assert!(settings.amp.key.as_ref().unwrap().matches(b"amp"));
    assert_eq!(settings.writable, Some(PathBuf::from("/w")));
    assert_eq!(settings.store.name(), "postgres");
    assert!(!format!("{settings:?}").contains("secret-password"));
    assert!(!format!("{settings:?}").contains("u:p@h"));
}

#[test]
fn a_tilde_is_the_home_directory() {
    assert_eq!(quiet("auth-dir: ~/x/y\n").auth_dir, PathBuf::from("/home/u/x/y"));
    assert_eq!(quiet("auth-dir: '~'\n").auth_dir, PathBuf::from("/home/u"));
    assert_eq!(quiet("auth-dir: ./auths\n").auth_dir, PathBuf::from("./auths"));
    let found = Settings::load_text("auth-dir: ~/x\n", &Source::default(), &Fixed::default()).unwrap_err();
    assert_eq!(
        found.to_string(),
        "1:11: auth-dir: the home directory is unknown, so `~` cannot be expanded; set `auth-dir` to an absolute path, or the variable HOME"
    );
}

#[test]
fn placeholders_of_the_example_are_refused() {
    let text = "api-keys:\n  - your-api-key-1\n  - mine\nclaude-api-key:\n  - api-key: sk-your-key\nremote-management:\n  secret-key: your-secret-key\n";
    let found: Vec<String> = load(text).unwrap_err().list.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "2:5: api-keys[0]: this client key is a placeholder of the example file: everybody knows it; write a key of your own, for example the output of `openssl rand -hex 24`",
            "5:14: claude-api-key[0].api-key: this key is a placeholder of the example file; write the real key, or remove the entry",
            "7:15: remote-management.secret-key: this management key is a placeholder of the example file; write a key of your own, or leave it empty to switch the interface off",
        ]
    );
}

#[test]
fn empty_and_repeated_client_keys_are_reported_and_left_out() {
    let loaded = load("api-keys:\n  - a\n  - ''\n  - a\n").unwrap();
    assert_eq!(loaded.settings.access.client_keys.len(), 1);
    let found: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "3:5: api-keys[1]: an empty client key never matches, ignored",
            "4:5: api-keys[2]: this client key is listed twice",
        ]
    );
}

#[test]
fn problems_of_all_sections_come_out_together_in_file_order() {
    assert_eq!(
        problems(
            "port: 70000\nproxy-url: ftp://h\ntls:\n  enable: true\n  cert: a.pem\nstrict-translation: very\nthinking-table: huge\nmax-request-body-mb: 0\nrouting:\n  session-affinity-ttl: soon\nremote-management: 5\ncodex:\n  live-media-relay: {udp-port-min: 5}\n"
        ),
        [
            "2:7: port: a port is a number from 0 to 65535",
            "3:12: proxy-url: the proxy's scheme is not supported; use http://, https://, socks5:// or socks5h:// with host and port, or `direct` for no proxy",
            "5:11: tls.enable: HTTPS needs both a certificate and a key; set `tls.cert` and `tls.key` to PEM files, or `tls.enable: false`",
            "7:21: strict-translation: unknown strictness of translation; use lenient, default or strict",
            "8:17: thinking-table: unknown thinking table; use default, compact or generous",
            "9:22: max-request-body-mb: the body limit must be at least 1 MiB",
            "11:25: routing.session-affinity-ttl: not a duration; write for example 30m, 1h or 1h30m",
            "12:20: remote-management: expected a mapping (`key: value` lines), found a single value",
            "14:21: codex.live-media-relay: either both UDP ports are set or none",
        ]
    );
}

#[test]
fn a_problem_is_shown_with_its_file() {
    let source = Source::optional("/etc/x.yaml");
    let problems = Settings::load_text("port: a\n", &source, &home()).unwrap_err();
    assert_eq!(problems.to_string(), "/etc/x.yaml:1:7: port: expected a whole number, found other text");
}

#[test]
fn strategies_have_several_spellings_and_unknown_ones_mean_round_robin() {
    for (text, strategy) in [
        ("RR", Strategy::RoundRobin),
        ("fillfirst", Strategy::FillFirst),
        ("ff", Strategy::FillFirst),
        ("wrr", Strategy::WeightedRoundRobin),
        ("Weighted-Round-Robin", Strategy::WeightedRoundRobin),
    ] {
        assert_eq!(quiet(&format!("routing: {{strategy: {text}}}\n")).routing.strategy, strategy);
    }
    assert_eq!(
        warnings("routing: {strategy: random}\n"),
        [
            "2:21: routing.strategy: unknown strategy, round-robin is used; use round-robin, fill-first or weighted-round-robin"
        ]
    );
}

#[test]
fn off_switches_and_corrected_values() {
    let settings = quiet(
        "request-retry: -2\nmax-retry-interval: 0\nmax-retry-credentials: 2\ntransient-error-cooldown-seconds: -1\nstreaming: {keepalive-seconds: 0, bootstrap-retries: 0}\nnonstream-keepalive-interval: 5\nupstream-timeouts: {connect: 0, idle: 60}\nredis-usage-queue-retention-seconds: 99999\nlogs-max-total-size-mb: 3\nrouting: {session-affinity: true, session-affinity-ttl: 30m}\nthinking-table: compact\n",
    );
    assert_eq!(settings.retry.rounds, 0);
    assert_eq!(settings.retry.longest_wait, Duration::ZERO);
    assert_eq!(settings.retry.credentials_per_round, NonZeroU32::new(2));
    assert_eq!(settings.retry.transient_cooldown, None);
    assert_eq!(settings.streaming.keepalive, None);
    assert_eq!(settings.streaming.bootstrap_retries, 0);
    assert_eq!(settings.streaming.nonstream_keepalive, Some(Duration::from_secs(5)));
    assert_eq!(settings.timeouts.connect, None);
    assert_eq!(settings.timeouts.idle, Some(Duration::from_mins(1)));
    assert_eq!(settings.usage.queue_retention, Duration::from_hours(1));
    assert_eq!(settings.logging.total_bytes, Some(3 << 20));
    assert_eq!(settings.routing.session_affinity, Some(Duration::from_mins(30)));
    assert_eq!(settings.translation.thinking.table().budgets[3], 4096);
}

#[test]
fn times_that_nobody_lives_to_see_can_be_counted() {
    let settings = quiet(
        "streaming: {keepalive-seconds: 9223372036854775807}\nupstream-timeouts: {idle: 9223372036854775807}\nrouting: {session-affinity: true, session-affinity-ttl: 5000000000000000h}\n",
    );
    let times = [settings.streaming.keepalive, settings.timeouts.idle, settings.routing.session_affinity];
    assert!(
        times.into_iter().all(|time| std::time::Instant::now().checked_add(time.unwrap()).is_some()),
        "{times:?}"
    );
}

#[test]
fn a_key_entry_is_read_in_full() {
    let settings = quiet(
        r"
gemini-api-key:
  - api-key: ' AIzaReal1234567 '
    priority: 5
    weight: 3
    prefix: /team a/
    base-url: https://gen.example/
    proxy-url: direct
    headers: {X-A: ' 1 ', X-B: $User-Agent, '': x, X-C: ''}
    models:
      - {name: gemini-2.5-pro, alias: pro, display-name: Pro, max-context-length: 1000, force-mapping: true, is-compat: true, thinking: {min: 128, max: 32768, levels: [LOW, high, low]}}
      - {name: other}
    excluded-models: [' *Flash* ', '*flash*', '']
    disable-cooling: true
    request-retry: -1
    request-scoped-errors:
      - {status: 400, match: [quota], match-regexr: ['^x+'], action: continue-and-cooldown}
",
    );
    let entry = &settings.keys.gemini[0];
    assert_eq!(entry.key.expose(), "AIzaReal1234567");
    assert_eq!(entry.weight, NonZeroU32::new(3));
    assert_eq!(entry.proxy, Proxy::Direct);
    let common = &entry.common;
    assert_eq!(common.origin.path.as_ref(), "gemini-api-key[0]");
    assert_eq!(common.origin.value.line, 4);
    assert_eq!(common.priority, 5);
    assert_eq!(common.prefix.as_deref(), Some("team a"));
    assert_eq!(common.base_url.as_str(), "https://gen.example");
    assert_eq!(common.headers.len(), 2);
    assert!(
        matches!(&common.headers[0].value, HeaderSource::Fixed(value) if value == "1" && value.is_sensitive())
    );
    assert!(matches!(&common.headers[1].value, HeaderSource::Client(name) if name == "user-agent"));
    assert_eq!(common.models[0].alias, "pro");
    assert_eq!(common.models[1].alias, "other");
    assert_eq!(common.models[0].thinking.as_ref().unwrap().levels, ["low", "high"]);
    assert_eq!(common.excluded_models.len(), 1);
    assert!(common.excluded_models[0].matches("Gemini-Flash-2"));
    assert_eq!(common.disable_cooling, Some(true));
    assert_eq!(common.retry_rounds, None);
    let action = Action { is_continued: true, is_cooling: true };
    assert_eq!(ErrorRule::first(&common.error_rules, 400, "over quota"), Some(action));
    assert_eq!(ErrorRule::first(&common.error_rules, 400, "xx"), Some(action));
    assert_eq!(ErrorRule::first(&common.error_rules, 400, "yx"), None);
    assert_eq!(ErrorRule::first(&common.error_rules, 429, "quota"), None);
}

#[test]
fn each_kind_of_key_has_its_default_address() {
    let settings = quiet(
        "gemini-api-key: [{api-key: a}]\nclaude-api-key: [{api-key: a}]\ncodex-api-key: [{api-key: a}]\nvertex-api-key: [{api-key: a}]\nxai-api-key: [{api-key: a}]\ninteractions-api-key: [{api-key: a}]\n",
    );
    let keys = settings.keys;
    let addresses: Vec<&str> =
        [&keys.gemini, &keys.claude, &keys.codex, &keys.vertex, &keys.xai, &keys.interactions]
            .iter()
            .map(|list| list[0].common.base_url.as_str())
            .collect();
    assert_eq!(
        addresses,
        [
            "https://generativelanguage.googleapis.com",
            "https://api.anthropic.com",
            "https://api.openai.com/v1",
            "https://aiplatform.googleapis.com",
            "https://api.x.ai/v1",
            "https://generativelanguage.googleapis.com",
        ]
    );
}

#[test]
fn entries_that_cannot_be_used_are_left_out_with_a_warning() {
    assert_eq!(
        warnings(
            "gemini-api-key:\n  - api-key: ''\n  - api-key: a\n  - api-key: a\n  - {api-key: a, prefix: p}\ncodex-api-key:\n  - base-url: https://h\n  -\nvertex-api-key:\n  - {api-key: v, prefix: p}\n  - {api-key: v, models: [{name: m}]}\nopenai-compatibility:\n  - name: x\n  - {name: y, base-url: 'http://h'}\n"
        ),
        [
            "3:5: gemini-api-key[0]: entry without `api-key`, ignored",
            "5:5: gemini-api-key[2]: the same key is listed before, this entry is ignored",
            "8:5: codex-api-key[0]: entry without `api-key`, ignored",
            "9:4: codex-api-key[1]: entry without `api-key`, ignored",
            "12:5: vertex-api-key[1]: the same key is listed before, this entry is ignored",
            "12:27: vertex-api-key[1].models[0]: a model needs both `name` and `alias` here, ignored",
            "14:5: openai-compatibility[0]: entry without `base-url`, ignored",
            "15:5: openai-compatibility[1]: entry without `models`: nothing is offered by this upstream",
        ]
    );
}

#[test]
fn values_that_decide_who_is_asked_are_problems() {
    assert_eq!(
        problems(
            "claude-api-key:\n  - {api-key: a, weight: 1000001}\n  - {api-key: b, weight: 1.5}\n  - {api-key: c, base-url: 'ftp://h'}\n  - {api-key: d, proxy-url: 'socks4://h:1'}\n  - {api-key: \"e\\x01\"}\n  - {api-key: f, headers: {'bad name': x, X-Y: $}}\n"
        ),
        [
            "3:26: claude-api-key[0].weight: a weight is at most 1000000",
            "4:26: claude-api-key[1].weight: expected a whole number, found other text",
            "5:28: claude-api-key[2].base-url: the address must start with http:// or https://",
            "6:29: claude-api-key[3].proxy-url: the proxy's scheme is not supported; use http://, https://, socks5:// or socks5h:// with host and port, or `direct` for no proxy",
            "7:15: claude-api-key[4].api-key: this key has characters that cannot be sent in a header",
            "8:28: claude-api-key[5].headers.(a key of 8 characters): not a name of a header",
            "8:48: claude-api-key[5].headers.X-Y: a header cannot have this value; after `$` comes the name of a header of the client, such as $X-Request-Id",
        ]
    );
}

#[test]
fn ranges_that_are_empty_or_too_small_are_problems() {
    assert_eq!(
        problems(
            "claude-api-key:\n  - api-key: a\n    models:\n      - {name: m, thinking: {min: 5, max: 4}}\ncodex:\n  live-media-relay: {max-sessions: 3, udp-port-min: 100, udp-port-max: 104}\nampcode: {upstream-url: nowhere}\n"
        ),
        [
            "5:29: claude-api-key[0].models[0].thinking: the largest thinking budget is below the smallest one",
            "7:21: codex.live-media-relay: a session needs two UDP ports, the range is too small",
            "8:25: ampcode.upstream-url: not an address; it must start with http:// or https://",
        ]
    );
    assert!(
        load("codex: {live-media-relay: {max-sessions: 2, udp-port-min: 100, udp-port-max: 103}}\n").is_ok()
    );
}

#[test]
fn weights_of_zero_and_less_exclude_from_the_weighted_strategy() {
    let settings =
        quiet("claude-api-key: [{api-key: a, weight: 0}, {api-key: b, weight: -3}, {api-key: c}]\n");
    let weights: Vec<_> = settings.keys.claude.iter().map(|entry| entry.weight).collect();
    assert_eq!(weights, [None, None, NonZeroU32::new(1)]);
}

#[test]
fn a_compatible_upstream_is_read_in_full() {
    let settings = quiet(
        r"
openai-compatibility:
  - name: OpenRouter
    base-url: https://openrouter.ai/api/v1/
    priority: 2
    prefix: or
    disabled: false
    support-prompt-cache-key: true
    headers: {X-Title: gateway}
    api-key-entries:
      - {api-key: one, proxy-url: 'socks5h://h:1', weight: 7}
      - {api-key: two}
    models:
      - {name: a/b, alias: pool, image: true, input-modalities: [Text, image], output-modalities: [text]}
      - {name: c/d, alias: pool, is-compat: true, thinking: {levels: [low, high]}}
  - name: local
    base-url: http://127.0.0.1:11434/v1
    models: [{name: m}]
",
    );
    let upstream = &settings.keys.compatible[0];
    assert_eq!((upstream.name.as_str(), upstream.provider().as_str()), ("OpenRouter", "openrouter"));
    assert_eq!(upstream.common.base_url.as_str(), "https://openrouter.ai/api/v1");
    assert!(upstream.support_prompt_cache_key && !upstream.is_disabled);
    assert_eq!(upstream.keys.len(), 2);
    assert_eq!(upstream.keys[0].proxy.redacted(), "socks5h://h:1");
    assert_eq!(upstream.keys[0].weight, NonZeroU32::new(7));
    assert_eq!(upstream.keys[1].proxy, Proxy::Inherit);
    let aliases: Vec<&str> = upstream.common.models.iter().map(|model| model.alias.as_str()).collect();
    assert_eq!(aliases, ["pool", "pool"]);
    assert!(upstream.common.models[0].makes_images);
    assert_eq!(upstream.common.models[0].input_modalities, ["text", "image"]);
    let local = &settings.keys.compatible[1];
    assert_eq!(local.keys.len(), 1);
    assert!(local.keys[0].key.is_none());
}

#[test]
fn older_keys_are_read_with_a_warning_that_names_the_new_place() {
    let text = "auth:\n  providers:\n    - {name: n, type: other, api-keys: [no]}\n    - {name: n, type: config-api-key, api-keys: [old-client]}\ngenerative-language-api-key: [g1, g2, g1]\ngemini-api-key: [{api-key: g2, prefix: p}]\nopenai-compatibility:\n  - {name: x, base-url: 'http://h', api-keys: [c1, c2], api-key-entries: [{api-key: c2}], models: [{name: m}]}\namp-upstream-url: https://amp.example\namp-upstream-api-key: ampkey\namp-restrict-management-to-localhost: true\namp-model-mappings: [{from: a, to: b}]\noauth-model-mappings:\n  antigravity:\n    - {name: gemini-3-pro-preview, alias: mine}\n    - {name: gemini-claude-sonnet-4-5, alias: claude-sonnet-4-5}\n  Claude: [{name: x, alias: y, fork: true}]\n";
    let loaded = load(text).unwrap();
    let settings = loaded.settings;
    assert!(settings.access.client_keys[0].matches(b"old-client"));
    let gemini: Vec<&str> = settings.keys.gemini.iter().map(|entry| entry.key.expose()).collect();
    assert_eq!(gemini, ["g2", "g1"]);
    let keys: Vec<&str> = settings.keys.compatible[0]
        .keys
        .iter()
        .filter_map(|key| key.key.as_ref())
        .map(crate::secret::Secret::expose)
        .collect();
    assert_eq!(keys, ["c2", "c1"]);
    assert_eq!(settings.amp.upstream.as_ref().unwrap().as_str(), "https://amp.example");
    assert!(settings.amp.key.as_ref().unwrap().matches(b"ampkey"));
    assert!(settings.amp.restrict_management_to_localhost);
    assert_eq!(settings.amp.mappings.len(), 1);
    assert_eq!(settings.oauth.aliases["antigravity"].len(), 1);
    assert_eq!(settings.oauth.aliases["antigravity"][0].name, "gemini-3-pro-high");
    assert!(settings.oauth.aliases["claude"][0].keeps_name);
    let found: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "4:39: auth.providers[1].api-keys: older key, still read; write it as `api-keys`",
            "5:1: generative-language-api-key: older key, still read; write it as `gemini-api-key`",
            "8:37: openai-compatibility[0].api-keys: older key, still read; write it as `api-key-entries`",
            "9:1: amp-upstream-url: older key, still read; write it as `ampcode.upstream-url`",
            "10:1: amp-upstream-api-key: older key, still read; write it as `ampcode.upstream-api-key`",
            "11:1: amp-restrict-management-to-localhost: older key, still read; write it as `ampcode.restrict-management-to-localhost`",
            "12:1: amp-model-mappings: older key, still read; write it as `ampcode.model-mappings`",
            "13:1: oauth-model-mappings: older key, still read; write it as `oauth-model-alias`",
        ]
    );
}

#[test]
fn new_keys_win_over_older_ones() {
    let text = "auth: {providers: [{type: config-api-key, api-keys: [old]}]}\namp-upstream-url: https://old.example\nampcode: {upstream-url: 'https://new.example'}\noauth-model-mappings: {claude: [{name: a, alias: b}]}\noauth-model-alias: {codex: [{name: a, alias: b}]}\n";
    let settings = settings(&format!("api-keys: [new]\n{text}"));
    assert!(settings.access.client_keys[0].matches(b"new"));
    assert_eq!(settings.access.client_keys.len(), 1);
    assert_eq!(settings.amp.upstream.as_ref().unwrap().as_str(), "https://new.example");
    assert_eq!(settings.oauth.aliases.keys().collect::<Vec<_>>(), ["codex"]);
}

#[test]
fn files_of_the_first_years_load_without_problems() {
    let text = "port: 8318\nremote-management:\n  allow-remote: false\n  secret-key: \"\"\nauth-dir: \"~/.cli-proxy-api\"\ndebug: false\nlogging-to-file: false\nusage-statistics-enabled: true\nproxy-url: \"\"\nrequest-retry: 3\nquota-exceeded:\n  switch-project: true\n  switch-preview-model: true\nauth:\n  providers: []\ngenerative-language-api-key: []\n";
    let settings = settings(text);
    assert_eq!(settings.listen.port, 8318);
    assert!(settings.usage.is_collected);
}

#[test]
fn oauth_rules_are_normalised() {
    let settings = quiet(
        "oauth-excluded-models:\n  ' Claude ': [A*, a*]\n  codex: []\noauth-request-scoped-errors:\n  claude: [{status: 400, match: [x], action: stop}]\n",
    );
    assert_eq!(settings.oauth.excluded_models.len(), 1);
    assert_eq!(settings.oauth.excluded_models["claude"].len(), 1);
    assert_eq!(settings.oauth.error_rules["claude"][0].status, 400);
    assert_eq!(
        warnings(
            "oauth-model-alias:\n  claude:\n    - {name: a, alias: A}\n    - {name: a}\n    - {name: a, alias: b}\n    - {name: c, alias: B}\n"
        ),
        [
            "4:7: oauth-model-alias.claude[0]: the alias is the name itself, ignored",
            "5:7: oauth-model-alias.claude[1]: alias without `name` or `alias`, ignored",
            "7:7: oauth-model-alias.claude[3]: the alias is taken in this channel, ignored",
        ]
    );
}

#[test]
fn error_rules_that_mean_nothing_are_reported() {
    let rules = "claude-api-key:\n  - api-key: a\n    request-scoped-errors:\n      - {match: [x], action: stop}\n      - {status: 400, action: stop}\n      - {status: 400, match: [x], action: explode}\n";
    assert_eq!(
        warnings(rules),
        [
            "5:9: claude-api-key[0].request-scoped-errors[0]: rule without a `status` above 0, ignored",
            "6:9: claude-api-key[0].request-scoped-errors[1]: rule without `match` and `match-regexr`, ignored",
            "7:43: claude-api-key[0].request-scoped-errors[2].action: rule without a known `action`, ignored; use stop, stop-and-cooldown, continue or continue-and-cooldown",
        ]
    );
    assert_eq!(
        problems("oauth-request-scoped-errors: {x: [{status: 1, match-regexr: ['('], action: stop}]}\n"),
        ["2:62: oauth-request-scoped-errors.x[0].match-regexr[0]: not a regular expression"]
    );
}

#[test]
fn amp_settings_are_read() {
    let settings = quiet(
        "ampcode:\n  upstream-url: https://ampcode.com\n  upstream-api-keys:\n    - {upstream-api-key: u1, api-keys: [c1, c2]}\n  model-mappings:\n    - {from: '^claude-opus', to: gemini-2.5-pro, regex: true}\n  force-model-mappings: true\n",
    );
    assert_eq!(settings.amp.client_keys.len(), 2);
    assert!(settings.amp.force_mappings);
    let MappingSource::Expression(expression) = &settings.amp.mappings[0].from else { panic!() };
    assert!(expression.matches("Claude-Opus-4"));
}

#[test]
fn switches_with_nothing_behind_them_are_reported() {
    assert_eq!(
        warnings("plugins: {enabled: true, configs: {a: {b: 1}}}\ncredential-concurrency: {max: 3}\n"),
        [
            "2:20: plugins.enabled: plugins are not supported, nothing is loaded",
            "3:1: credential-concurrency: only an external control plane uses this, no effect here",
        ]
    );
}

#[test]
fn management_keys_are_told_apart() {
    let hash = "$2a$10$abcdefghijklmnopqrstuuJ1234567890123456789012345678901";
    let hashed = quiet(&format!("remote-management: {{secret-key: '{hash}'}}\n"));
    assert!(matches!(hashed.management.lock.key, Some(ManagementKey::Hash(_))));
    let plain = quiet("remote-management: {secret-key: mine, allow-remote: true}\n");
    assert!(matches!(plain.management.lock.key, Some(ManagementKey::Plain(_))));
    assert!(plain.management.lock.allow_remote);
}

#[test]
fn moved_lines_are_not_changed_settings() {
    let first = settings("api-keys: [k]\nclaude-api-key: [{api-key: a}]\n");
    let second = settings("# comment\n\napi-keys: [k]\n\nclaude-api-key:\n  - api-key: a\n");
    assert_eq!(first, second);
    assert_ne!(first, settings("api-keys: [k]\nclaude-api-key: [{api-key: b}]\n"));
}

#[test]
fn what_is_read_at_start_only_is_named() {
    let running = settings("api-keys: [k]\n");
    let next = settings("api-keys: [k]\nport: 1\nhost: 127.0.0.1\ncommercial-mode: true\ndebug: true\n");
    assert_eq!(next.needs_restart(&running), ["host", "port", "commercial-mode"]);
    assert!(running.needs_restart(&running).is_empty());
}

#[test]
fn losing_the_last_client_key_would_open_a_server_on_every_interface() {
    let running = settings("api-keys: [k]\n");
    assert!(settings("").would_open(&running));
    assert!(!settings("allow-unauthenticated-remote: true\n").would_open(&running));
    assert!(!settings("").would_open(&settings("")));
}

#[test]
fn a_directory_at_the_files_place_is_said_so() {
    let directory = tempfile::tempdir().unwrap();
    let problems = Settings::load(&Source::required(directory.path()), &home()).unwrap_err();
    assert!(problems.to_string().contains("a directory is at the place of the configuration file"));
    assert!(problems.to_string().contains("container"));
}

#[test]
fn a_missing_file_is_a_problem_only_when_it_is_required() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    assert!(Settings::load(&Source::optional(&path), &home()).is_ok());
    let problems = Settings::load(&Source::required(&path), &home()).unwrap_err();
    assert!(problems.to_string().contains("does not exist"));
}

#[test]
fn a_file_that_is_no_text_is_said_so() {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"port: \xff\xfe").unwrap();
    let problems = Settings::load(&Source::required(file.path()), &home()).unwrap_err();
    assert!(problems.to_string().contains("not UTF-8"));
}

proptest::proptest! {
    #[test]
    fn arbitrary_values_never_panic(
        lines in proptest::collection::vec(
            "(host|port|proxy-url|auth-dir|api-keys|request-retry|max-retry-interval|payload|strict-translation|video-result-auth-cache-ttl|claude-api-key|openai-compatibility|routing): ?[-0-9a-zA-Z~/:.@ \\[\\]{},'\"$]{0,24}",
            0..8
        )
    ) {
        drop(load(&lines.join("\n")));
    }
}
