//! Every route is served as the OpenAPI document says, request and answer.

use std::collections::BTreeSet;

use cliproxy_testkit::Upstream;
use cliproxy_testkit::identity::{Browser, COOKIE, IdentityProvider};
use serde_json::{Value, json};

use super::contract::Contract;
use super::{KEY, Panel, launch, send};
use crate::support::{self, Answer};

const CONFIG: &str = r"
usage-statistics-enabled: true
logging-to-file: true
api-keys: [client-key-0001, client-key-0002]
api-key-limits: [{api-key: client-key-0001, name: laptop, limits: [{per: day, requests: 1000}]}]
gemini-api-key: [{api-key: gemini-key-0001, headers: {x-a: b}, excluded-models: [gemini-1*]}]
interactions-api-key: [{api-key: interactions-key-0001}]
codex-api-key: [{api-key: codex-key-0001, base-url: 'http://127.0.0.1:9/v1'}]
xai-api-key: [{api-key: xai-key-0001}]
vertex-api-key: [{api-key: vertex-key-0001, base-url: 'http://127.0.0.1:9'}]
openai-compatibility:
  - {name: other, base-url: 'http://127.0.0.1:9/v1', api-key-entries: [{api-key: other-key-0001}], models: [{name: m}]}
oauth-excluded-models: {claude: [a]}
oauth-model-alias: {claude: [{name: a, alias: b}]}
oauth-request-scoped-errors: {claude: [{status: 400, match: [x], action: retry}]}
ampcode: {upstream-url: 'https://ampcode.com', model-mappings: [{from: a, to: b}]}
";

/// What every list of keys is asked to do: the path, an entry, and the member that names it.
fn of_list(path: &str, entry: &Value, name: &str) -> Vec<(&'static str, String, Value)> {
    let named = if name == "name" { "name" } else { "match" };
    vec![
        ("GET", path.to_owned(), Value::Null),
        ("PUT", path.to_owned(), json!([entry])),
        ("PUT", path.to_owned(), json!({"items": [entry]})),
        ("PATCH", path.to_owned(), json!({"index": 0, "value": {"priority": 2}})),
        ("PATCH", path.to_owned(), json!({named: entry[name], "value": {"priority": null}})),
        ("DELETE", format!("{path}?{name}={}", entry[name].as_str().unwrap()), Value::Null),
    ]
}

/// Requests that are served, in their order. `index` is the short id of an account, `request` the id of a request that
/// was refused.
fn served(upstream: &str, index: &str, request: &str) -> Vec<(&'static str, String, Value)> {
    let mut list: Vec<(&str, String, Value)> = Vec::new();
    let mut add = |method, path: &str, body| list.push((method, path.to_owned(), body));
    for path in
        ["/config", "/config/versions", "/openapi.json", "/latest-version", "/plugins", "/plugin-store"]
    {
        add("GET", path, Value::Null);
    }
    for (path, value) in [
        ("/debug", json!(true)),
        ("/usage-statistics-enabled", json!(true)),
        ("/request-log", json!(false)),
        ("/ws-auth", json!(true)),
        ("/force-model-prefix", json!(false)),
        ("/quota-exceeded/switch-project", json!(true)),
        ("/quota-exceeded/switch-preview-model", json!(true)),
        ("/logging-to-file", json!(true)),
        ("/logs-max-total-size-mb", json!(10)),
        ("/error-logs-max-files", json!(5)),
        ("/request-retry", json!(1)),
        ("/max-retry-interval", json!(3)),
        ("/max-retry-credentials", json!(2)),
        ("/proxy-url", json!("http://127.0.0.1:9")),
        ("/routing/strategy", json!("fill-first")),
        ("/ampcode/upstream-url", json!("https://ampcode.com")),
        ("/ampcode/upstream-api-key", json!("amp-key-0001")),
        ("/ampcode/restrict-management-to-localhost", json!(true)),
        ("/ampcode/force-model-mappings", json!(true)),
    ] {
        add("GET", path, Value::Null);
        add("PUT", path, json!({"value": value}));
        add("PATCH", path, json!({"value": value}));
        add("GET", path, Value::Null);
    }
    for path in ["/proxy-url", "/ampcode/upstream-url", "/ampcode/upstream-api-key"] {
        add("DELETE", path, Value::Null);
    }
    add("GET", "/routing", Value::Null);
    add("PUT", "/routing", json!({"strategy": "round-robin"}));
    add("GET", "/api-keys", Value::Null);
    add("PUT", "/api-keys", json!(["client-key-0001", "client-key-0002", "client-key-0003"]));
    add("PATCH", "/api-keys", json!({"index": 1, "value": "client-key-0004"}));
    add("PATCH", "/api-keys", json!({"old": "client-key-0004", "new": "client-key-0005"}));
    add("DELETE", "/api-keys?index=2", Value::Null);
    add("GET", "/client-keys", Value::Null);
    add("GET", "/ampcode", Value::Null);
    for (path, entry, name) in [
        ("/ampcode/model-mappings", json!({"from": "c", "to": "d"}), "from"),
        (
            "/ampcode/upstream-api-keys",
            json!({"upstream-api-key": "u", "api-keys": ["k"]}),
            "upstream-api-key",
        ),
    ] {
        add("PUT", path, json!({"value": [entry]}));
        add("PATCH", path, json!({"value": [entry]}));
        add("GET", path, Value::Null);
        add("DELETE", path, json!({"value": [entry[name]]}));
    }
    for (path, word, list, rules) in [
        ("/oauth-excluded-models", "provider", "models", json!(["x"])),
        ("/oauth-model-alias", "channel", "aliases", json!([{"name": "x", "alias": "y"}])),
        (
            "/oauth-request-scoped-errors",
            "provider",
            "rules",
            json!([{"status": 400, "match": ["x"], "action": "retry"}]),
        ),
    ] {
        add("GET", path, Value::Null);
        add("PUT", path, json!({"claude": rules}));
        add("PUT", path, json!({"items": {"claude": rules}}));
        add("PATCH", path, json!({word: "codex", list: rules}));
        add("DELETE", &format!("{path}?{word}=codex"), Value::Null);
    }
    for path in [
        "/usage",
        "/usage/export",
        "/usage/export?format=csv",
        "/usage/totals?by=model&from=0&until=9000000000",
        "/usage/series?by=client&step=3600&top=3",
        "/usage/requests?limit=1",
        "/usage-queue?count=2",
        "/api-key-usage",
        "/credentials",
        "/models",
        "/explain?model=up&session=s",
        "/auth-files",
        "/auth-files?name=claude-a.json",
        "/auth-files/models?name=claude-a.json",
        "/auth-files/download?name=claude-a.json",
        "/logs?after=0&limit=5",
        "/request-error-logs",
        "/model-definitions/claude",
        "/model-definitions/gemini-cli",
        "/get-auth-status",
    ] {
        add("GET", path, Value::Null);
    }
    add("GET", &format!("/auth-files?auth_index={index}"), Value::Null);
    add("GET", &format!("/request-log-by-id/{request}"), Value::Null);
    add("PATCH", "/auth-files/status", json!({"name": "claude-a.json", "disabled": true}));
    add("PATCH", "/auth-files/status", json!({"auth_index": index, "disabled": false}));
    add("PATCH", "/auth-files/fields", json!({"name": "claude-a.json", "priority": 3, "note": "mine"}));
    add("POST", "/reset-quota", json!({"auth_index": index}));
    add("POST", "/auth-files?name=claude-b.json", json!({"type": "claude", "refresh_token": "r"}));
    add("DELETE", "/auth-files", json!({"names": ["claude-b.json", "claude-c.json"]}));
    add("DELETE", "/auth-files?all=true", Value::Null);
    add(
        "POST",
        "/api-call",
        json!({"method": "POST", "url": format!("{upstream}/v1/messages"), "header": {"a": "b"}, "data": "{}"}),
    );
    add("POST", "/config/check", json!("api-keys: [k-0001]\ndebug: true\n"));
    add("GET", "/config.yaml", Value::Null);
    add("GET", "/config/versions/1", Value::Null);
    add("POST", "/config/versions/1/restore", Value::Null);
    let key = |key: &str| json!({"api-key": key});
    let at = |key: &str| json!({"api-key": key, "base-url": "http://127.0.0.1:9/v1"});
    list.extend(of_list("/gemini-api-key", &key("gemini-key-0002"), "api-key"));
    list.extend(of_list("/interactions-api-key", &key("interactions-key-0002"), "api-key"));
    list.extend(of_list("/claude-api-key", &key("claude-key-0002"), "api-key"));
    list.extend(of_list("/codex-api-key", &at("codex-key-0002"), "api-key"));
    list.extend(of_list("/xai-api-key", &key("xai-key-0002"), "api-key"));
    list.extend(of_list("/vertex-api-key", &at("vertex-key-0002"), "api-key"));
    let other = json!({"name": "another", "base-url": "http://127.0.0.1:9/v1", "models": [{"name": "m", "alias": "n"}]});
    list.extend(of_list("/openai-compatibility", &other, "name"));
    list.extend([
        ("GET", "/api-key-limits".to_owned(), Value::Null),
        ("PUT", "/api-key-limits".to_owned(), json!([{"api-key": "client-key-0001", "models": ["up"]}])),
        ("PATCH", "/api-key-limits".to_owned(), json!({"index": 0, "value": {"name": "desk"}})),
        ("DELETE", "/api-key-limits?index=0".to_owned(), Value::Null),
        ("DELETE", "/logs".to_owned(), Value::Null),
        (
            "PUT",
            "/config.yaml".to_owned(),
            json!("api-keys: [k-0001]\ndebug: false\nlogging-to-file: true\n"),
        ),
    ]);
    list
}

/// There are no plugins, so nothing can be done to one.
const REFUSED: [(&str, &str); 6] = [
    ("PATCH", "/plugins/{id}/enabled"),
    ("GET", "/plugins/{id}/config"),
    ("PUT", "/plugins/{id}/config"),
    ("PATCH", "/plugins/{id}/config"),
    ("DELETE", "/plugins/{id}"),
    ("POST", "/plugin-store/{id}/install"),
];

/// A panel that notes which operations were served.
struct Caller {
    panel: Panel,
    contract: &'static Contract,
    served: BTreeSet<(String, String)>,
}

impl Caller {
    /// Notes that an operation was served.
    fn note(&mut self, method: &str, path: &str) {
        let operation = self.contract.operation(method, path).unwrap();
        let path = operation.path.strip_prefix("/v0/management").unwrap().to_owned();
        self.served.insert((method.to_owned(), path));
    }

    /// Makes a request that is served.
    async fn call(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        self.contract.takes(method, path, body);
        let answer = match body.as_str() {
            Some(text) => send(self.panel.request(method, path).body(text.to_owned())).await,
            None => self.panel.send(method, path, body.clone()).await,
        };
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        self.contract.holds(method, path, &answer);
        self.note(method, path);
        answer
    }

    /// The short id of the account, the id of a refused request, the name of its record.
    async fn known(&mut self) -> (String, String, String) {
        let files = self.call("GET", "/auth-files", &Value::Null).await.json();
        let index = files["files"][0]["auth_index"].as_str().unwrap().to_owned();
        let (path, body) = support::request("chat", "unknown", false);
        let request =
            support::posting(&self.panel.gateway, &path, &body).header("x-api-key", "client-key-0001");
        let refused = send(request).await;
        assert_eq!(refused.status, 404, "{}", refused.body);
        let request = refused.header("x-request-id").to_owned();
        // The record is written when the answer has ended.
        for _ in 0..600 {
            let files = self.call("GET", "/request-error-logs", &Value::Null).await.json();
            if let Some(name) = files["files"][0]["name"].as_str() {
                return (index, request, name.to_owned());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("a refused request leaves no record")
    }

    /// Every way to log in, and to give it up.
    async fn log_in(&mut self, provider: &IdentityProvider) {
        let none = Value::Null;
        for name in ["anthropic", "codex", "gemini-cli", "antigravity", "iflow", "qwen", "kimi", "xai"] {
            let begun = self.call("GET", &format!("/{name}-auth-url"), &none).await.json();
            let state = begun["state"].as_str().unwrap().to_owned();
            self.call("GET", &format!("/get-auth-status?state={state}"), &none).await;
            match name {
                "anthropic" => {
                    let address = Browser::default().stop_at_redirect(begun["url"].as_str().unwrap()).await;
                    let body = json!({"provider": "claude", "redirect_url": address});
                    self.call("POST", "/oauth-callback", &body).await;
                }
                "codex" => {
                    let path = format!("/oauth-callback?provider=codex&state={state}&error=access_denied");
                    self.call("GET", &path, &none).await;
                }
                _ => drop(self.call("DELETE", &format!("/oauth-session?state={state}"), &none).await),
            }
        }
        self.call("POST", "/iflow-auth-url", &json!({"cookie": COOKIE})).await;
        let key: Value = serde_json::from_str(&provider.service_account("my-project")).unwrap();
        self.call("POST", "/vertex/import?location=europe-west4", &key).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_as_it_is_documented() {
    let provider = IdentityProvider::start().await;
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = format!("{CONFIG}{}{}", support::config("claude", &upstream), provider.endpoints());
    let launch = launch().config(&config).arguments(&["--password", KEY]);
    let folder = launch.file().parent().unwrap().join(".cli-proxy-api");
    std::fs::create_dir(&folder).unwrap();
    let account = json!({"type": "claude", "email": "a@b.c", "access_token": "t", "refresh_token": "r", "expired": "2099-01-01T00:00:00Z"});
    for name in ["claude-a.json", "claude-c.json"] {
        support::write(&folder.join(name), &account.to_string());
    }
    let panel = Panel { gateway: launch.start() };
    let contract = Contract::of(&panel.gateway).await;
    let mut caller = Caller { panel, contract, served: BTreeSet::new() };
    for is_stream in [false, true] {
        let (path, body) = support::request("claude", "up", is_stream);
        let request =
            support::posting(&caller.panel.gateway, &path, &body).header("x-api-key", "client-key-0001");
        assert_eq!(send(request).await.status, 200);
    }
    let (index, request, record) = caller.known().await;
    caller.call("GET", &format!("/request-error-logs/{record}"), &Value::Null).await;
    let export = caller.call("GET", "/usage/export", &Value::Null).await.json();
    caller.call("POST", "/usage/import", &export).await;
    let live = caller.panel.request("GET", "/live").send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream; charset=utf-8");
    caller.note("GET", "/live");
    drop(live);
    caller.log_in(&provider).await;
    for (method, path, body) in served(&upstream.url(), &index, &request) {
        caller.call(method, &path, &body).await;
    }
    let all = contract.all();
    for (method, path) in REFUSED {
        let answer = caller.panel.send(method, &path.replace("{id}", "x"), json!({})).await;
        assert_eq!(answer.status, 404, "{method} {path}");
        caller.served.insert((method.to_owned(), path.to_owned()));
    }
    let forgotten: Vec<_> = all.difference(&caller.served).collect();
    assert!(forgotten.is_empty(), "never served: {forgotten:?}");
}
