//! Commands for people at a terminal: accounts, keys, logs, what shells and manuals know.

use std::fs;

use cliproxy_testkit::{Home, Upstream};
use serde_json::{Value, json};

use crate::login::{binary, run};
use crate::support;

/// What a command prints, which must succeed.
async fn printed(home: &Home, arguments: &[&str]) -> String {
    let (code, text) = run(home, arguments).end().await;
    assert_eq!(code, 0, "{arguments:?}: {text}");
    text
}

async fn printed_json(home: &Home, arguments: &[&str]) -> Value {
    let text = printed(home, arguments).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The member of a list whose `name` is `value`.
fn with<'a>(list: &'a Value, name: &str, value: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|one| one[name] == value);
    found.unwrap_or_else(|| panic!("{value} in {list:#}"))
}

/// An auth directory with one of each: well, resting, ended, disabled, damaged, somebody else's.
fn arranged() -> Home {
    let home = Home::new("");
    let account = |name: &str, members: Value| {
        let mut file = json!({"type": "claude", "email": name, "access_token": "access-secret-1"});
        file.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        home.write(&format!("auth/claude-{name}.json"), &file.to_string());
    };
    let valid = "2099-01-01T00:00:00Z";
    account(
        "well@b.c",
        json!({"refresh_token": "refresh-secret-1", "expired": valid, "last_refresh": "2026-01-01T00:00:00Z"}),
    );
    account("rests@b.c", json!({"refresh_token": "refresh-secret-1", "expired": valid}));
    account("ended@b.c", json!({"expired": "2026-01-01T00:00:00Z"}));
    account("off@b.c", json!({"expired": valid, "disabled": true}));
    account("shut@b.c", json!({"expired": valid}));
    home.write("auth/broken.json", "{\"type\":\"cla");
    home.write("auth/other.json", "{\"type\":\"nobody-knows\"}");
    let rest = json!({"credential": "claude-rests@b.c.json", "why": "quota", "until": 4_000_000_000_u64, "failures": 1});
    let week =
        json!({"name": "weekly", "used": 0.37, "resets_at": 4_000_000_000_u64, "told_at": 1_790_000_000});
    let standing = json!({"rests": [rest], "quotas": {"claude-rests@b.c.json": [week]}});
    home.write("auth/.cliproxy/standing.json", &standing.to_string());
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_told_with_state_cause_remedy_and_quotas() {
    let home = arranged();
    let shown = printed_json(&home, &["accounts", "--json"]).await;
    let of = |id: &str| with(&shown["accounts"], "id", id);
    assert_eq!(of("claude-well@b.c.json")["state"], "active");
    assert_eq!(of("claude-well@b.c.json")["expires_at"], "2099-01-01T00:00:00Z");
    assert_eq!(of("claude-well@b.c.json")["last_refresh"], "2026-01-01T00:00:00Z");
    let rests = of("claude-rests@b.c.json");
    assert_eq!((&rests["state"], &rests["why"]), (&json!("resting"), &json!("its quota is used up for now")));
    assert!(rests["wakes_at"].is_string() && rests["rests"][0]["until"].is_string(), "{rests}");
    assert_eq!(rests["quotas"][0]["name"], "weekly");
    let ended = of("claude-ended@b.c.json");
    assert_eq!(ended["state"], "attention");
    assert_eq!(ended["remedy"], "log in again: cli-proxy-api --claude-login");
    assert_eq!(of("claude-off@b.c.json")["state"], "disabled");
    assert_eq!(of("broken.json")["state"], "unusable");
    assert_eq!(of("other.json")["state"], "unusable");
    assert_eq!(of("other.json")["why"], "accounts of the provider `nobody-knows` are not known");

    let table = printed(&home, &["accounts"]).await;
    for text in [
        "token ends",
        "resting, wakes in ",
        "every model rests for ",
        "quota weekly: 63 % left, begins anew in ",
        "to do: log in again",
    ] {
        assert!(table.contains(text), "{text:?} in\n{table}");
    }
    assert!(!table.contains("secret-1") && !shown.to_string().contains("secret-1"), "{table}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn looking_at_accounts_changes_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = arranged();
    let path = home.auth_dir().join("claude-well@b.c.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let before = fs::read(&path).unwrap();
    for command in ["accounts", "keys", "logs"] {
        printed(&home, &[command]).await;
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(!home.auth_dir().join("logs").exists() && !home.auth_dir().join(".cliproxy/locks").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_found_out_about_an_account_is_told_until_its_file_is_another_one() {
    let upstream = Upstream::start(|_| {
        cliproxy_testkit::Script::json(
            400,
            r#"{"error": "invalid_grant", "error_description": "Refresh token revoked"}"#,
        )
    })
    .await;
    let url = upstream.url();
    let config = format!(
        "request-retry: 0\noauth-endpoints:\n  claude: {{base-url: '{url}', token-url: '{url}/token'}}\n"
    );
    let file = json!({"type": "claude", "email": "a@b.c", "access_token": "access-1", "refresh_token": "refresh-1", "expired": "2026-01-01T00:00:00Z"});
    let gateway = support::start_with(&config, &[("claude-a.json", file.clone())]);
    support::ask_model(&gateway, "claude", "claude-haiku-4-5-20251001", false).await;
    let said = gateway.log();
    gateway.end();
    let shown = || {
        let directory = gateway.config().parent().unwrap().to_owned();
        let output = std::process::Command::new(binary())
            .args(["accounts", "--json", "--config"])
            .arg(gateway.config())
            .env("HOME", &directory)
            .current_dir(&directory)
            .output()
            .unwrap();
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        with(&shown["accounts"], "id", "claude-a.json").clone()
    };
    let before = shown();
    assert_eq!(before["state"], "attention", "{before}\n{said}");
    assert!(before["remedy"].is_string(), "{before}");
    let mut other = file;
    other["note"] = json!("mended");
    support::write(&gateway.accounts().join("claude-a.json"), &other.to_string());
    assert_eq!(shown()["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_and_an_unreadable_auth_directory_are_told() {
    let home = Home::new("");
    let text = printed(&home, &["accounts"]).await;
    assert!(text.contains("no accounts in ") && text.contains("cli-proxy-api import"), "{text}");
    let finished = support::launch().config("auth-dir: config.yaml\n").arguments(&["accounts"]).run();
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    assert!(finished.stderr.contains("cannot read the auth directory"), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_told_by_their_last_characters_with_what_is_special_about_them() {
    let home = Home::new(
        "api-keys: [client-secret-0001]\napi-key-limits:\n  \
         - {api-key: client-secret-0001, name: laptop, expires: 2020-01-31, models: ['claude-*'], \
         limits: [{per: day, requests: 500, cost: 5}]}\nproxy-url: http://alice:hunter2@127.0.0.1:9\nclaude-api-key:\n  \
         - {api-key: upstream-secret-0002, prefix: team, excluded-models: ['*-opus'], proxy-url: direct, \
         headers: {X-Team: hidden-header}, models: [{name: claude-x, alias: fast}]}\n  \
         - {api-key: upstream-secret-0003, excluded-models: ['*']}\nopenai-compatibility:\n  \
         - {name: Local, base-url: 'http://127.0.0.1:1/v1', api-key-entries: [{api-key: upstream-secret-0004}], \
         models: [{name: up, alias: up}]}\n",
    );
    let shown = printed_json(&home, &["keys", "--json"]).await;
    let client = &shown["clients"][0];
    assert_eq!((&client["key"], &client["name"]), (&json!("****0001"), &json!("laptop")));
    assert_eq!((&client["models"], &client["windows"][0]["requests"]), (&json!(["claude-*"]), &json!(500)));
    let upstreams = &shown["upstreams"];
    let first = with(upstreams, "key", "****0002");
    assert_eq!(first["models"], json!([{"name": "claude-x", "alias": "fast"}]));
    assert_eq!((&first["prefix"], &first["proxy"]), (&json!("team"), &json!("direct")));
    assert_eq!((&first["excluded_models"], &first["headers"]), (&json!(["*-opus"]), &json!(["x-team"])));
    assert!(first["id"].as_str().unwrap().starts_with("claude:apikey:"), "{first}");
    assert_eq!(with(upstreams, "key", "****0003")["disabled"], true);
    let local = with(upstreams, "key", "****0004");
    assert_eq!((&local["name"], &local["proxy"]), (&json!("Local"), &json!("http://****@127.0.0.1:9")));
    let table = printed(&home, &["keys"]).await;
    for text in [
        "****0001",
        "models: fast (sent as claude-x)",
        "expired ",
        "used this day: 0 of 500 requests, 0.00 of 5.00 cost",
        "excluded models: *-opus",
        "disabled",
        "proxy: direct",
    ] {
        assert!(table.contains(text), "{text:?} in\n{table}");
    }
    for secret in ["secret-0", "hunter2", "alice", "hidden-header"] {
        assert!(!table.contains(secret) && !shown.to_string().contains(secret), "{secret} in\n{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_files_are_shown_by_level_request_and_text_and_as_they_grow() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let home = Home::new("");
    let config = format!(
        "logging-to-file: true\nauth-dir: {}\n{}",
        home.auth_dir().display(),
        support::config("chat", &upstream)
    );
    home.configure("");
    assert!(printed(&home, &["logs"]).await.contains("set `logging-to-file: true`"));
    home.write("config.yaml", &config);
    assert!(printed(&home, &["logs"]).await.contains("nothing was written yet"));
    let gateway = support::start(&config, &[]);
    let answer = support::ask_model(&gateway, "chat", "up", false).await;
    assert_eq!(support::ask_model(&gateway, "claude", "nowhere", false).await.status, 404);
    let id = answer.header("x-request-id").to_owned();
    let lines =
        |text: &str| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let of_request = lines(&printed(&home, &["logs", "--json", "--request", &id]).await);
    assert!(!of_request.is_empty());
    assert!(
        of_request.iter().all(|line| line["request"] == id["req_".len().."req_".len() + 8]),
        "{of_request:?}"
    );
    let warned = lines(&printed(&home, &["logs", "--json", "--level", "warn"]).await);
    assert!(
        warned.iter().all(|line| line["level"] == "warn" || line["level"] == "error") && !warned.is_empty()
    );
    let served = printed(&home, &["logs", "--text", "REQUEST SERVED", "--lines", "1"]).await;
    assert_eq!(served.lines().filter(|line| line.contains("request served")).count(), 1, "{served}");
    assert_eq!(run(&home, &["logs", "--level", "loud"]).end().await.0, 2);

    let mut following = run(&home, &["logs", "--follow", "--text", "404 |"]);
    following.wait_for("404 |").await;
    assert_eq!(support::ask_model(&gateway, "claude", "nowhere", true).await.status, 404);
    following.wait_for("404 |").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_and_manuals_learn_every_command() {
    let home = Home::new("");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = printed(&home, &["completions", shell]).await;
        assert!(script.contains("doctor") && !script.starts_with("CLIProxyAPI Version"), "{script}");
    }
    assert_eq!(run(&home, &["completions", "tcsh"]).end().await.0, 2);
    let page = printed(&home, &["man"]).await;
    assert!(page.contains(".TH cli-proxy-api 1") && page.contains("accounts"), "{page}");
    printed(&home, &["man", "pages"]).await;
    for name in ["cli-proxy-api", "cli-proxy-api-doctor", "cli-proxy-api-logs", "cli-proxy-api-usage"] {
        let page = fs::read_to_string(home.path().join(format!("pages/{name}.1"))).unwrap();
        assert!(page.contains(".TH") && !page.contains("password"), "{page}");
    }
    home.write("file", "");
    assert_eq!(run(&home, &["man", "file"]).end().await.0, 1);
}

#[cfg(unix)]
#[test]
fn a_script_that_bash_reads_is_one() {
    let script = support::launch().arguments(&["completions", "bash"]).run().stdout;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("completions");
    support::write(&path, &script);
    match std::process::Command::new("bash").arg("-n").arg(&path).output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => cliproxy_testkit::skip(&format!("there is no bash: {error}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_early_is_no_error() {
    use std::process::{Command, Stdio};
    let home = arranged();
    let mut child = Command::new(binary())
        .arg("accounts")
        .current_dir(home.path())
        .env("HOME", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
}
