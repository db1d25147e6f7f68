//! Google's accounts: Code Assist by two logins, Vertex AI.

mod antigravity;
mod antigravity_models;
mod credits;
mod gemini_cli;
mod switch;
mod vertex;

use std::path::Path;

use bytes::Bytes;
use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support;

const VALID: &str = "2099-01-01T00:00:00Z";
const OVER: &str = "2020-01-01T00:00:00Z";

/// A gateway with these auth files, whose identity provider and service of `provider` are `upstream`.
fn start(provider: &str, upstream: &Upstream, files: &[(&str, Value)], config: &str) -> Gateway {
    let url = upstream.url();
    let config = format!(
        "oauth-endpoints:\n  {provider}: {{token-url: '{url}/token', base-url: '{url}'}}\nrequest-retry: 0\n{config}"
    );
    start_at(&config, files)
}

/// A gateway with these auth files and this configuration.
fn start_at(config: &str, files: &[(&str, Value)]) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join(".cli-proxy-api");
    std::fs::create_dir(&folder).unwrap();
    for (name, file) in files {
        write(&folder.join(format!("{name}.json")), &file.to_string());
    }
    Gateway::start_in(directory, Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")), config, &[])
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

/// An answer inside Code Assist's envelope.
fn enveloped(answer: &Value) -> Value {
    json!({"response": answer, "traceId": "trace-1", "remainingCredits": []})
}

/// What Code Assist answers, whole or as a stream in pieces.
fn code_assist(received: &Received) -> Script {
    if received.path.ends_with(":countTokens") {
        return Script::json(200, json!({"totalTokens": 7}).to_string());
    }
    if !support::asks_stream(received) {
        return Script::json(200, enveloped(&support::body("gemini")).to_string());
    }
    let events = support::events("gemini");
    let frames = events.split_terminator("\n\n").map(|frame| {
        let answer: Value = serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap();
        format!("data: {}\n\n", enveloped(&answer))
    });
    let stream: String = frames.collect();
    Script::events(stream.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect())
}

/// A refusal as Google writes it: alone, or as the one element of a list.
fn refusal(status: u16, word: &str, message: &str, details: &Value) -> Script {
    let error = json!({"error": {"code": status, "message": message, "status": word, "details": details}});
    Script::json(status, json!([error]).to_string())
}

/// A quota that is used up for hours.
fn used_up() -> Script {
    let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "QUOTA_EXHAUSTED",
        "domain": "cloudcode-pa.googleapis.com", "metadata": {"quotaResetDelay": "3h0m0s"}}]);
    refusal(429, "RESOURCE_EXHAUSTED", "You have exhausted your capacity on this model.", &details)
}

fn bearer(received: &Received) -> &str {
    received.header("authorization").trim_start_matches("Bearer ")
}

/// The requests that were not for tokens.
fn asked(upstream: &Upstream) -> Vec<Received> {
    upstream.received().into_iter().filter(|received| received.path != "/token").collect()
}
