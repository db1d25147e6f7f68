//! What the modules share: the binary, configurations, a client.

mod account;
mod format;

use std::path::Path;
use std::time::Duration;

use cliproxy_testkit::{Finished, Gateway, Launch, Received, Upstream};
use http::HeaderMap;
use reqwest::RequestBuilder;
use serde_json::Value;

pub(crate) use account::{auth_file, bare_events, start_with, streamed, token, write};
pub(crate) use format::{FORMATS, TEXT, answering, asks_stream, body, events, is_complete, request, text_of};

/// Longest wait for what must come; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, not yet started.
pub(crate) fn launch() -> Launch {
    Launch::new(Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")))
}

/// The binary, serving.
pub(crate) fn start(config: &str, arguments: &[&str]) -> Gateway {
    launch().config(config).arguments(arguments).start()
}

/// `check` of a configuration.
pub(crate) fn check(config: &str) -> Finished {
    launch().config(config).arguments(&["check"]).run()
}

/// One entry of the list that `format` has in the configuration, with further members in flow style.
pub(crate) fn entry(format: &str, key: &str, url: &str, members: &str) -> String {
    match format {
        "chat" => format!(
            "  - {{name: scripted, base-url: '{url}/v1', api-key-entries: [{{api-key: {key}}}], {members}}}\n"
        ),
        "responses" => format!("  - {{api-key: {key}, base-url: '{url}/v1', {members}}}\n"),
        _ => format!("  - {{api-key: {key}, base-url: '{url}', {members}}}\n"),
    }
}

/// The list itself, with `entries` in it.
pub(crate) fn list(format: &str, entries: &[String]) -> String {
    let name = match format {
        "chat" => "openai-compatibility",
        "responses" => "codex-api-key",
        "claude" => "claude-api-key",
        "vertex" => "vertex-api-key",
        _ => "gemini-api-key",
    };
    format!("{name}:\n{}", entries.concat())
}

/// The model `up`, under that name.
pub(crate) const UP: &str = "models: [{name: up, alias: up}]";

/// A configuration that offers the model `up` at `upstream`, which speaks `format`.
pub(crate) fn config(format: &str, upstream: &Upstream) -> String {
    config_at(format, &upstream.url())
}

/// The same at an address.
pub(crate) fn config_at(format: &str, url: &str) -> String {
    list(format, &[entry(format, "upstream-key-0001", url, UP)])
}

/// The key that a request carries.
pub(crate) fn key_of(received: &Received) -> String {
    let bearer = received.header("authorization").trim_start_matches("Bearer ");
    if bearer.is_empty() { received.header("x-goog-api-key") } else { bearer }.to_owned()
}

/// The keys of all requests that arrived, in order.
pub(crate) fn keys_of(upstream: &Upstream) -> Vec<String> {
    upstream.received().iter().map(key_of).collect()
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// A header as text; empty when it did not come.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The body as an error of `format`: its type word, its code or null, its message.
    pub(crate) fn error(&self, format: &str) -> (String, Value, String) {
        let body = self.json();
        let error = &body["error"];
        let text = |value: &Value| {
            value.as_str().unwrap_or_else(|| panic!("no error of {format}: {}", self.body)).to_owned()
        };
        match format {
            "claude" => {
                assert_eq!(body["type"], "error", "{}", self.body);
                assert!(text(&body["request_id"]).starts_with("req_"), "{}", self.body);
                (text(&error["type"]), Value::Null, text(&error["message"]))
            }
            "gemini" => {
                assert_eq!(error["code"], self.status, "{}", self.body);
                (text(&error["status"]), Value::Null, text(&error["message"]))
            }
            _ => {
                assert!(error.get("param").is_some(), "{}", self.body);
                (text(&error["type"]), error["code"].clone(), text(&error["message"]))
            }
        }
    }
}

/// A client that no variable sends through a proxy.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Sends and reads to the end.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let answer = within(request.send()).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, body: within(answer.text()).await.unwrap() }
}

/// A post, not yet sent.
pub(crate) fn posting(gateway: &Gateway, path: &str, body: &Value) -> RequestBuilder {
    client()
        .post(format!("{}{path}", gateway.url()))
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// A post, answered.
pub(crate) async fn ask(gateway: &Gateway, path: &str, body: &Value) -> Answer {
    send(posting(gateway, path, body)).await
}

/// A small request of `format` for `model`, answered.
pub(crate) async fn ask_model(gateway: &Gateway, format: &str, model: &str, is_stream: bool) -> Answer {
    let (path, body) = request(format, model, is_stream);
    ask(gateway, &path, &body).await
}

/// A get, answered.
pub(crate) async fn get(gateway: &Gateway, path: &str) -> Answer {
    send(client().get(format!("{}{path}", gateway.url()))).await
}

/// The same work with an end, for when it fails.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("something came")
}
