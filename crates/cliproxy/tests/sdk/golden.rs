//! The official accumulators read every golden stream: the answers in `fixtures`, as a body and as a stream of each
//! upstream format, through the real binary to a client of each format.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::Value;

use crate::suite::{KEY, Runner};

const FORMATS: [&str; 4] = ["chat", "responses", "claude", "gemini"];

/// The answers of one format by name: what is sent to a request for a body, if anything, and to one for a stream.
type Answers = BTreeMap<String, (Option<String>, String)>;

fn answers(format: &str) -> Answers {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(format);
    let streams = std::fs::read_dir(folder).expect("a folder of fixtures").filter_map(|entry| {
        let stream = entry.expect("a file").path();
        let name = stream.file_stem()?.to_str()?.to_owned();
        let is_stream = stream.extension().is_some_and(|extension| extension == "sse");
        let body = std::fs::read_to_string(stream.with_extension("json")).ok();
        is_stream.then(|| (name, (body, std::fs::read_to_string(stream).expect("text"))))
    });
    streams.collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Body,
    Events,
    Array,
}

/// The model and what kind of answer is asked for.
fn asked(received: &Received) -> (String, Kind) {
    if let Some((model, method)) = received.path.rsplit('/').next().and_then(|last| last.split_once(':')) {
        let kind = match method {
            "streamGenerateContent" => Kind::Array,
            "generateContent" => Kind::Body,
            _ => Kind::Events,
        };
        return (model.to_owned(), kind);
    }
    let body: Value = serde_json::from_slice(&received.body).expect("JSON");
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
    let is_stream = body.get("stream") == Some(&Value::Bool(true));
    (model.to_owned(), if is_stream { Kind::Events } else { Kind::Body })
}

/// A stream as Google's protocol has it without `alt=sse`.
fn array(events: &str) -> String {
    let chunks: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    format!("[{}]", chunks.join(",\r\n"))
}

async fn upstream(answers: Answers) -> Upstream {
    Upstream::start(move |received| {
        let pieces = |text: &str| text.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
        let (model, kind) = asked(received);
        let (body, stream) = answers.get(&model).expect("a model of the configuration");
        match kind {
            Kind::Body => Script::json(200, body.clone().unwrap_or_default()),
            Kind::Events => Script::events(pieces(stream)),
            Kind::Array => Script::events(pieces(&array(stream))).header("content-type", "application/json"),
        }
    })
    .await
}

/// The part of the configuration that offers `models` of the upstream at `url`.
fn section(format: &str, url: &str, models: &str) -> String {
    let (name, entry) = match format {
        "chat" => (
            "openai-compatibility",
            format!("name: golden, base-url: '{url}/v1', api-key-entries: [{{api-key: golden-key-0001}}]"),
        ),
        "responses" => ("codex-api-key", format!("api-key: golden-key-0002, base-url: '{url}/v1'")),
        "claude" => ("claude-api-key", format!("api-key: golden-key-0003, base-url: '{url}'")),
        _ => ("gemini-api-key", format!("api-key: golden-key-0004, base-url: '{url}'")),
    };
    format!("{name}: [{{{entry}, models: [{models}]}}]\n")
}

/// Runs a file of the Python suite against a gateway whose model `FORMAT-NAME` gives the answer NAME of that format.
/// Answers that have no body are streams that break.
async fn run(file: &str) {
    let Some(python) = cliproxy_testkit::sdk::python() else { return };
    let mut config = format!("api-keys: [{KEY}]\nrequest-retry: 0\ndisable-cooling: true\n");
    let (mut whole, mut broken) = (Vec::new(), Vec::new());
    let mut upstreams = Vec::new();
    for format in FORMATS {
        let answers = answers(format);
        let mut models = Vec::new();
        for (name, (body, _)) in &answers {
            models.push(format!("{{name: {name}, alias: {format}-{name}}}"));
            if body.is_some() { &mut whole } else { &mut broken }.push(format!("{format}-{name}"));
        }
        let upstream = upstream(answers).await;
        config.push_str(&section(format, &upstream.url(), &models.join(", ")));
        upstreams.push(upstream);
    }
    assert!(whole.len() >= 16 && broken.len() >= 3, "fixtures are missing");
    let gateway = Gateway::start(Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")), &config, &[]);
    let mut runner = Runner::python(&python, file);
    runner.variable("GOLDEN", &whole.join(" ")).variable("BROKEN", &broken.join(" "));
    runner.run(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn j160_the_official_python_accumulator_of_chat_yields_the_message_of_every_golden_stream() {
    run("test_golden_chat.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j180_the_official_python_stream_helper_of_responses_accepts_every_golden_stream() {
    run("test_golden_responses.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j203_the_official_python_accumulator_of_claude_yields_the_message_of_every_golden_stream() {
    run("test_golden_claude.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j214_the_official_python_sdk_of_gemini_parses_every_golden_stream_and_parsers_every_array() {
    run("test_golden_gemini.py").await;
}
