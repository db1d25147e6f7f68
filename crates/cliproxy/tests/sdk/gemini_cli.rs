//! Google's command line client, pointed at the gateway: a prompt, a tool that reads a file, an answer.
//!
//! It signs in with a token of its own and asks for a tier and a project before anything else. What it would reach
//! besides the gateway is refused and written down.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use cliproxy_testkit::{Gateway, Received, Script, Upstream, sdk};
use serde_json::{Value, json};

/// What the client signs in with.
const TOKEN: &str = "token-of-the-client";
const NOTE: &str = "the heron nests in the reeds";
/// Nobody is signed in at a browser, nothing is reported, and the folder is trusted.
const SETTINGS: &str = r#"{"security": {"auth": {"selectedType": "oauth-personal"}, "folderTrust": {"enabled": false}},
    "privacy": {"usageStatisticsEnabled": false}, "telemetry": {"enabled": false},
    "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false}}"#;

/// Runs a prompt in a folder with a note, and returns what the client says at its end.
fn run(client: &sdk::GeminiCli, gateway: &Gateway, model: &str) -> Value {
    let home = tempfile::tempdir().unwrap();
    let (settings, work) = (home.path().join(".gemini"), home.path().join("work"));
    fs::create_dir(&settings).unwrap();
    fs::create_dir(&work).unwrap();
    write(&settings.join("settings.json"), SETTINGS);
    write(&work.join("note.txt"), NOTE);
    let loopback = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/javascript/loopback.cjs");
    let elsewhere = home.path().join("elsewhere");
    let mut command = Command::new(&client.program);
    command.arg(&client.script).args([
        "-m",
        model,
        "--output-format",
        "json",
        "-p",
        "What does note.txt say?",
    ]);
    command.current_dir(&work).stdin(Stdio::null()).env_clear();
    command.envs(["PATH", "SYSTEMROOT"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.env("HOME", home.path()).env("GEMINI_CLI_NO_RELAUNCH", "true").env("NO_COLOR", "1");
    command.env("GOOGLE_GENAI_USE_GCA", "true").env("GOOGLE_CLOUD_ACCESS_TOKEN", TOKEN);
    command.env("CODE_ASSIST_ENDPOINT", gateway.url());
    command.env("NODE_OPTIONS", format!("--require \"{}\"", loopback.display())).env("ELSEWHERE", &elsewhere);
    let output = command.output().expect("the client starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{complained}\n{}", output.status, gateway.log());
    // Whose token it is it asks Google, and bears to get no answer.
    let elsewhere = fs::read_to_string(elsewhere).unwrap_or_default();
    assert!(elsewhere.lines().all(|host| host == "www.googleapis.com"), "{elsewhere}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}\n{complained}"))
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

fn assert_has_read(said: &Value) {
    assert_eq!(said["response"], format!("It says: {NOTE}"), "{said}");
    assert_eq!(said["stats"]["tools"]["byName"]["read_file"]["success"], 1, "{said}");
}

/// What the model says: the tool first, then what it gave.
fn has_read(received: &Received) -> bool {
    String::from_utf8_lossy(&received.body).contains(NOTE)
}

/// Code Assist: one account is out of quota, the other one serves.
fn code_assist(received: &Received) -> Script {
    let call = received.path.split(['?', ':']).nth(1).unwrap_or_default();
    if call != "streamGenerateContent" {
        let answer = match call {
            "loadCodeAssist" => {
                json!({"currentTier": {"id": "standard-tier", "name": "s"}, "cloudaicompanionProject": "project-a"})
            }
            _ => json!({}),
        };
        return Script::json(200, answer.to_string());
    }
    if received.header("authorization") == "Bearer access-a" {
        let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "QUOTA_EXHAUSTED",
            "domain": "cloudcode-pa.googleapis.com", "metadata": {"quotaResetDelay": "3h0m0s"}}]);
        let error = json!({"error": {"code": 429, "message": "You have exhausted your capacity on this model.",
            "status": "RESOURCE_EXHAUSTED", "details": details}});
        return Script::json(429, error.to_string());
    }
    let part = if has_read(received) {
        json!({"text": format!("It says: {NOTE}")})
    } else {
        json!({"functionCall": {"name": "read_file", "args": {"file_path": "note.txt"}}, "thoughtSignature": "c2ln"})
    };
    let answer = json!({"response": {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        "modelVersion": "gemini-2.5-pro", "responseId": "r-1"}, "traceId": "t-1"});
    Script::events(vec![format!("data: {answer}\r\n\r\n").into()])
}

fn start(config: &str, accounts: &[&str]) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join(".cli-proxy-api");
    fs::create_dir(&folder).unwrap();
    for (at, name) in accounts.iter().enumerate() {
        let file = json!({"type": "gemini", "email": format!("{name}@b.c"), "project_id": format!("project-{name}"),
            "priority": accounts.len() - at,
            "token": {"access_token": format!("access-{name}"), "refresh_token": "r", "expiry": "2099-01-01T00:00:00Z"}});
        write(&folder.join(format!("{name}.json")), &file.to_string());
    }
    Gateway::start_in(directory, Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")), config, &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gemini_cli_uses_a_tool_with_one_of_two_accounts_out_of_quota() {
    let Some(client) = sdk::gemini_cli() else { return };
    let upstream = Upstream::start(code_assist).await;
    let url = upstream.url();
    let config = format!("oauth-endpoints:\n  gemini-cli: {{token-url: '{url}/token', base-url: '{url}'}}\n");
    let gateway = start(&config, &["a", "b"]);
    assert_has_read(&run(&client, &gateway, "gemini-2.5-pro"));
    let received = upstream.received();
    assert!(
        received
            .iter()
            .all(|received| !received.headers.values().any(|value| value.to_str().unwrap().contains(TOKEN)))
    );
    let is_stream = |received: &&Received| received.path.contains(":streamGenerateContent");
    let served: Vec<_> =
        received.iter().filter(is_stream).map(|received| received.header("authorization")).collect();
    assert_eq!(served, ["Bearer access-a", "Bearer access-b", "Bearer access-b"]);
    for received in received.iter().filter(is_stream) {
        let account = received.header("authorization").trim_start_matches("Bearer access-");
        assert_eq!(received.json()["project"], format!("project-{account}"));
    }
    // The signature of the call came back in the history.
    let last = received.iter().rfind(is_stream).unwrap();
    assert!(last.json()["request"]["contents"].to_string().contains("\"thoughtSignature\":\"c2ln\""));
}

/// Claude's service, which calls the same tool.
fn claude(received: &Received) -> Script {
    let (block, delta, reason) = if has_read(received) {
        let text = json!({"type": "text_delta", "text": format!("It says: {NOTE}")});
        (json!({"type": "text", "text": ""}), text, "end_turn")
    } else {
        let arguments = json!({"file_path": "note.txt"}).to_string();
        let block = json!({"type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {}});
        (block, json!({"type": "input_json_delta", "partial_json": arguments}), "tool_use")
    };
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    Script::events(events.iter().map(|event| frame(event).into()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gemini_cli_is_served_by_claude_without_any_account_at_google() {
    let Some(client) = sdk::gemini_cli() else { return };
    let upstream = Upstream::start(claude).await;
    let url = upstream.url();
    let config = format!(
        "claude-api-key:\n  - {{api-key: key-1, base-url: '{url}', models: [{{name: claude-sonnet-4-5, alias: heron-1}}]}}\n"
    );
    let gateway = start(&config, &[]);
    assert_has_read(&run(&client, &gateway, "heron-1"));
    assert_eq!(upstream.received().len(), 2);
    for received in upstream.received() {
        assert_eq!(received.path, "/v1/messages");
        assert_eq!(received.json()["model"], "claude-sonnet-4-5");
    }
}
