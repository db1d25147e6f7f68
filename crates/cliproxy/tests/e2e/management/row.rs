//! What panels rely on beyond the usual way through each route: single words, statuses and forms.

use cliproxy_testkit::identity::{COOKIE, IdentityProvider};
use cliproxy_testkit::{Gateway, Script, Upstream};
use serde_json::{Value, json};

use super::{KEY, Panel, send};
use crate::support::{self, client, launch};

/// A gateway with these auth files.
fn with_accounts(config: &str, files: &[(&str, Value)]) -> Panel {
    let directory = tempfile::tempdir().unwrap();
    let accounts = directory.path().join(".cli-proxy-api");
    std::fs::create_dir(&accounts).unwrap();
    for (name, content) in files {
        support::write(&accounts.join(name), &content.to_string());
    }
    Panel { gateway: Gateway::start_in(directory, crate::login::binary(), config, &["--password", KEY]) }
}

fn account(email: &str) -> Value {
    json!({"type": "claude", "email": email, "access_token": "t", "refresh_token": "r", "expired": "2099-01-01T00:00:00Z"})
}

async fn names(panel: &Panel) -> Vec<String> {
    let list = panel.get("/auth-files").await;
    list["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_whose_it_is_and_members_that_are_empty_are_left_out() {
    let panel = Panel::start("debug: false\n");
    for (request, status) in [
        (panel.request("GET", "/debug"), 200),
        (panel.request("PUT", "/debug").body("{}"), 400),
        (panel.request("GET", "/auth-files/download?name=x.json"), 404),
        (client().get(format!("{}/v0/management/debug", panel.gateway.url())).bearer_auth("wrong"), 401),
        (panel.request("GET", "/debug").header("x-forwarded-for", "192.0.2.1"), 403),
        (panel.request("PUT", "/debug").header("if-match", "\"another\"").body("{\"value\":true}"), 409),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        for name in ["x-cpa-version", "x-cpa-commit", "x-cpa-build-date", "x-cpa-support-plugin"] {
            assert_ne!(answer.header(name), "", "{status}: {name}");
        }
    }
    let config = panel.get("/config").await;
    for name in ["oauth-excluded-models", "oauth-model-alias", "auth", "nonstream-keepalive-interval"] {
        assert!(config.get(name).is_none(), "{name}: {config}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_or_none_is_said() {
    let panel = Panel::start("debug: false\n");
    for media in ["application/json", "text/plain", "application/x-yaml"] {
        let request = panel.request("PUT", "/config.yaml").header("content-type", media);
        assert_eq!(
            send(request.body("debug: true\n")).await.json(),
            json!({"ok": true, "changed": ["config"]})
        );
    }
    std::fs::remove_file(panel.gateway.config()).unwrap();
    let answer = panel.send("GET", "/config.yaml", Value::Null).await;
    assert_eq!((answer.status, &answer.json()["error"]), (404, &json!("not_found")), "{}", answer.body);
    assert!(answer.json()["message"].as_str().is_some_and(|message| !message.is_empty()));
    // What is not a file can neither be read nor changed.
    std::fs::create_dir(panel.gateway.config()).unwrap();
    let answer = panel.send("PUT", "/debug", json!({"value": false})).await;
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(answer.status == 500 && error.starts_with("failed to save config: "), "{}", answer.body);
    let answer = panel.send("GET", "/config.yaml", Value::Null).await;
    assert_eq!((answer.status, &answer.json()["error"]), (500, &json!("read_failed")), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_told_and_stays_as_it_was() {
    let text = "debug: false\n";
    let panel = Panel::start(text);
    // Where the oldest version goes is no file, so none can be set aside.
    let version = |number: u32| panel.gateway.config().with_extension(format!("yaml.{number}"));
    support::write(&version(4), "debug: true # older\n");
    std::fs::create_dir(version(5)).unwrap();
    let answer = send(panel.request("PUT", "/config.yaml").body("debug: true\n")).await;
    assert_eq!((answer.status, &answer.json()["error"]), (500, &json!("write_failed")), "{}", answer.body);
    assert!(answer.json()["message"].as_str().is_some_and(|message| message.contains("cannot be written")));
    let answer = panel.send("PUT", "/debug", json!({"value": true})).await;
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(answer.status == 500 && error.starts_with("failed to save config: "), "{}", answer.body);
    assert_eq!((panel.file().as_str(), panel.get("/debug").await), (text, json!({"debug": false})));
    std::fs::remove_dir(version(5)).unwrap();
    panel.done("PUT", "/debug", json!({"value": true})).await;

    let provider = IdentityProvider::start().await;
    let panel = Panel::start(&provider.endpoints());
    let import =
        || send(panel.request("POST", "/vertex/import").body(provider.service_account("my-project")));
    let accounts = panel.gateway.accounts();
    std::fs::remove_dir_all(&accounts).unwrap();
    support::write(&accounts, "not a directory");
    let answer = import().await;
    assert_eq!((answer.status, &answer.json()["error"]), (500, &json!("save_failed")), "{}", answer.body);
    assert!(answer.json()["message"].as_str().is_some_and(|message| !message.is_empty()));
    assert!(!answer.body.contains("PRIVATE KEY"), "{}", answer.body);
    std::fs::remove_file(&accounts).unwrap();
    assert_eq!(import().await.status, 200);
    assert_eq!(names(&panel).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_loses_what_it_needs_is_gone() {
    let panel = Panel::start("debug: false\n");
    let entry = |key: &str, url: &str| json!({"api-key": key, "base-url": url, "models": [{"name": "m", "alias": "m"}]});
    let (one, two) = ("http://127.0.0.1:9/a", "http://127.0.0.1:9/b");
    for (list, needed) in [
        ("gemini-api-key", &["api-key"] as &[&str]),
        ("codex-api-key", &["base-url"]),
        ("vertex-api-key", &["api-key", "base-url"]),
    ] {
        let path = format!("/{list}");
        for member in needed {
            panel.done("PUT", &path, json!([entry("key-0001", one), entry("key-0002", two)])).await;
            panel.done("PATCH", &path, json!({"index": 0, "value": {*member: " "}})).await;
            assert_eq!(panel.get(&path).await, json!({list: [entry("key-0002", two)]}), "{list} {member}");
        }
        // Entries with one key and two addresses are told apart by the address.
        if list != "codex-api-key" {
            panel.done("PUT", &path, json!([entry("key-0001", one), entry("key-0001", two)])).await;
            panel.done("DELETE", &format!("{path}?api-key=key-0001&base-url={two}"), Value::Null).await;
            assert_eq!(panel.get(&path).await, json!({list: [entry("key-0001", one)]}), "{list}");
        }
        // What cannot work is not taken in, as the existing program does when it loads a file.
        panel.done("PUT", &path, json!([{"api-key": "", "base-url": ""}, entry("key-0003", one)])).await;
        assert_eq!(panel.get(&path).await, json!({list: [entry("key-0003", one)]}), "{list}");
    }
    let path = "/openai-compatibility";
    let other = json!({"name": "other", "base-url": one, "api-key-entries": [{"api-key": "key-0001"}], "models": [{"name": "m", "alias": "m"}]});
    panel.done("PUT", path, json!([other])).await;
    panel.done("PATCH", path, json!({"name": "other", "value": {"disabled": true}})).await;
    assert_eq!(panel.get(path).await["openai-compatibility"][0]["disabled"], true);
    panel.done("PATCH", path, json!({"name": "other", "value": {"base-url": ""}})).await;
    assert_eq!(panel.get(path).await, json!({"openai-compatibility": []}));
    panel.done("PUT", "/api-keys", json!(["key-aaaa-1", "key-aaaa-1", "key-bbbb-2"])).await;
    panel.done("DELETE", "/api-keys?value=%20key-aaaa-1%20", Value::Null).await;
    assert_eq!(panel.get("/api-keys").await, json!({"api-keys": ["key-bbbb-2"]}), "all that are equal");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_removed_in_every_form_that_panels_send() {
    let files = ["a", "b", "c", "d", "e", "f"].map(|name| (format!("claude-{name}.json"), account(name)));
    let files: Vec<(&str, Value)> = files.iter().map(|(name, content)| (&**name, content.clone())).collect();
    let panel = with_accounts("debug: false\n", &files);
    let answer = panel.send("DELETE", "/auth-files", json!({"name": "claude-a.json"})).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok"})));
    let answer = panel.send("DELETE", "/auth-files", json!(["claude-b.json", "nobody.json"])).await;
    assert_eq!((answer.status, &answer.json()["status"]), (207, &json!("partial")));
    assert_eq!(answer.json()["failed"], json!([{"name": "nobody.json", "error": "file not found"}]));
    let answer = panel.send("DELETE", "/auth-files?name=claude-c.json&name=claude-d.json", Value::Null).await;
    assert_eq!(answer.json()["files"], json!(["claude-c.json", "claude-d.json"]));
    assert_eq!(names(&panel).await, ["claude-e.json", "claude-f.json"]);
    for (all, file) in [("1", "claude-x.json"), ("*", "claude-y.json")] {
        let answer = panel.send("POST", &format!("/auth-files?name={file}"), account(file)).await;
        assert_eq!(answer.json(), json!({"status": "ok"}));
        let answer = panel.send("DELETE", &format!("/auth-files?all={all}"), Value::Null).await;
        assert!(answer.json()["deleted"].as_u64().unwrap() >= 1, "{}", answer.body);
        assert!(names(&panel).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_an_account_are_set_by_path_merged_and_removed() {
    let mut file = account("a");
    file["headers"] = json!({"X-A": "1", "X-B": "2"});
    file["weight"] = json!(3);
    let panel = with_accounts("debug: false\n", &[("claude-a.json", file)]);
    let content = || -> Value {
        serde_json::from_str(
            &std::fs::read_to_string(panel.gateway.accounts().join("claude-a.json")).unwrap(),
        )
        .unwrap()
    };
    let fields = json!({"name": "claude-a.json", "deep.inner.member": 7, "headers": {"X-B": "3", "X-C": "4"}, "weight": null});
    panel.done("PATCH", "/auth-files/fields", fields).await;
    let now = content();
    assert_eq!(now["deep"], json!({"inner": {"member": 7}}), "{now}");
    assert_eq!(now["headers"], json!({"X-A": "1", "X-B": "3", "X-C": "4"}));
    assert!(now.get("weight").is_none() && now["access_token"] == "t");
    let path = "/auth-files/fields";
    panel.refused("PATCH", path, json!({"name": "claude-a.json"}), (400, "no fields to update")).await;
    panel.refused("PATCH", path, json!({"priority": 1}), (400, "name is required")).await;
    panel.refused("POST", "/reset-quota", json!({}), (400, "auth_index is required")).await;
    panel.refused("GET", "/request-log-by-id/%20", Value::Null, (400, "missing request ID")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_errand_that_cannot_be_run_says_why() {
    let upstream = Upstream::start(|received| match received.path.as_str() {
        "/broken" => Script::json(200, "half").cut(),
        _ => Script::json(200, received.header("authorization").to_owned()),
    })
    .await;
    let provider = Upstream::start(|_| Script::json(400, r#"{"error": "invalid_grant"}"#)).await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "oauth-endpoints:\n  claude: {{base-url: '{}', token-url: '{}/token'}}\nopenai-compatibility:\n  - {{name: gone, base-url: 'http://{gone}/v1', api-key-entries: [{{api-key: k-0001}}], models: [{{name: m}}]}}\n",
        upstream.url(),
        provider.url(),
    );
    let ended = json!({"type": "claude", "email": "b", "access_token": "t", "refresh_token": "r", "expired": "2020-01-01T00:00:00Z"});
    let panel = with_accounts(&config, &[("claude-b.json", ended)]);
    let index = panel.get("/auth-files").await["files"][0]["auth_index"].clone();
    let errand = |url: String, index: &Value| json!({"auth_index": index, "method": "GET", "url": url, "header": {"Authorization": "Bearer $TOKEN$"}});
    panel
        .refused("POST", "/api-call", errand(upstream.url(), &index), (400, "auth token refresh failed"))
        .await;
    for (name, content, error) in [
        ("claude-c.json", json!({"type": "claude", "email": "c"}), "auth token not found"),
        ("qwen-c.json", json!({"type": "qwen", "email": "c", "access_token": ""}), "auth token not found"),
        // What it was renewed with is gone: that it ended is the matter.
        (
            "claude-d.json",
            json!({"type": "claude", "email": "d", "access_token": "t", "expired": "2020-01-01T00:00:00Z"}),
            "auth token refresh failed",
        ),
    ] {
        panel.done("POST", &format!("/auth-files?name={name}"), content).await;
        let file = panel.get(&format!("/auth-files?name={name}")).await["files"][0].clone();
        let body = errand(format!("{}/none", upstream.url()), &file["auth_index"]);
        panel.refused("POST", "/api-call", body, (400, error)).await;
    }
    assert!(upstream.received().iter().all(|received| received.path != "/none"), "asked without a token");
    panel
        .refused("POST", "/api-call", errand(format!("http://{gone}/x"), &json!("")), (502, "request failed"))
        .await;
    let broken = errand(format!("{}/broken", upstream.url()), &json!(""));
    panel.refused("POST", "/api-call", broken, (502, "failed to read response")).await;
    // Whoever is not known has no token, and the words stay as they were written.
    let answer = panel.send("POST", "/api-call", errand(upstream.url(), &json!("0123456789abcdef"))).await;
    assert_eq!((answer.status, &answer.json()["body"]), (200, &json!("Bearer $TOKEN$")), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_an_account_has_is_not_taken_twice() {
    let provider = IdentityProvider::start().await;
    let panel = Panel::start(&provider.endpoints());
    let saved = panel.send("POST", "/iflow-auth-url", json!({"cookie": COOKIE})).await;
    assert_eq!(saved.status, 200, "{}", saved.body);
    let again =
        panel.send("POST", "/iflow-auth-url", json!({"cookie": format!("Cookie: a=1; {COOKIE}")})).await;
    let file = saved.json()["saved_path"].clone();
    let expected = json!({"status": "error", "error": "duplicate BXAuth found", "existing_file": file});
    assert_eq!((again.status, again.json()), (409, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn amps_lists_are_merged_and_cleared_by_what_cannot_be_read() {
    let panel =
        Panel::start("ampcode: {upstream-url: 'https://ampcode.com', upstream-api-key: amp-key-0001}\n");
    panel.done("DELETE", "/ampcode/upstream-url", Value::Null).await;
    assert_eq!(panel.get("/ampcode/upstream-url").await, json!({"upstream-url": ""}));
    let path = "/ampcode/model-mappings";
    panel.done("PUT", path, json!({"value": [{"from": "a", "to": "b"}]})).await;
    assert_eq!(send(panel.request("DELETE", path).body("{\"value\":")).await.json(), json!({"status": "ok"}));
    assert_eq!(panel.get(path).await, json!({"model-mappings": []}));
    let path = "/ampcode/upstream-api-keys";
    let entry = |key: &str, clients: &[&str]| json!({"upstream-api-key": key, "api-keys": clients});
    panel
        .done("PUT", path, json!({"value": [entry("amp-1", &["c-0001"]), entry("amp-2", &["c-0002"])]}))
        .await;
    panel
        .done(
            "PATCH",
            path,
            json!({"value": [entry(" amp-2 ", &["c-0003", " "]), entry("amp-3", &["c-0004"])]}),
        )
        .await;
    let expected = [entry("amp-1", &["c-0001"]), entry("amp-2", &["c-0003"]), entry("amp-3", &["c-0004"])];
    assert_eq!(panel.get(path).await, json!({"upstream-api-keys": expected}));
    panel.done("DELETE", path, json!({"value": ["amp-1", "amp-3"]})).await;
    assert_eq!(panel.get(path).await, json!({"upstream-api-keys": [entry("amp-2", &["c-0003"])]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessers_are_counted_until_a_key_is_right_and_the_password_stays_here() {
    let config = "remote-management: {allow-remote: true, secret-key: the-plain-key-0001}\n";
    let gateway = launch().config(config).arguments(&["--password", KEY]).start();
    gateway.line("was replaced by its hash").await;
    let ask = |key: &str| {
        let request = client().get(format!("{}/v0/management/debug", gateway.url()));
        let request = request.header("x-forwarded-for", "192.0.2.7");
        if key.is_empty() { send(request) } else { send(request.header("x-management-key", key)) }
    };
    for _ in 0..2 {
        for key in ["", "guess", "", KEY] {
            let error = if key.is_empty() { "missing management key" } else { "invalid management key" };
            let answer = ask(key).await;
            assert_eq!((answer.status, answer.json()), (401, json!({"error": error})), "{key}");
        }
        assert_eq!(ask("the-plain-key-0001").await.status, 200, "and the count begins anew");
    }
    for _ in 0..5 {
        assert_eq!(ask("").await.status, 401);
    }
    assert_eq!(ask("the-plain-key-0001").await.status, 403, "missing keys count, too");
}
