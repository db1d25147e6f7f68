//! Log files: the application log, and records of single requests.

use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use super::{Panel, send, support};

#[tokio::test(flavor = "multi_thread")]
async fn without_log_files_panels_are_told_so_in_their_words_and_nothing_is_made() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let panel = Panel::start(&support::config("chat", &upstream));
    assert_eq!(support::ask_model(&panel.gateway, "chat", "up", false).await.status, 200);
    panel.refused("GET", "/logs?after=0", Value::Null, (400, "logging to file disabled")).await;
    panel.refused("DELETE", "/logs", Value::Null, (400, "logging to file disabled")).await;
    assert_eq!(panel.get("/request-error-logs").await, json!({"files": []}));
    panel.refused("GET", "/request-error-logs/error-x.log", Value::Null, (404, "log file not found")).await;
    panel.refused("GET", "/request-error-logs/main.log", Value::Null, (404, "log file not found")).await;
    panel.refused("GET", "/request-error-logs/..%2fx", Value::Null, (400, "invalid log file name")).await;
    let missing = (404, "log file not found for the given request ID");
    panel.refused("GET", "/request-log-by-id/0123abcd", Value::Null, missing).await;
    panel.refused("GET", "/request-log-by-id/..%2fx", Value::Null, (400, "invalid request ID")).await;
    assert!(!panel.gateway.accounts().join("logs").join("main.log").exists());
}

/// Lines of the log that hold a text.
async fn lines(panel: &Panel, query: &str, text: &str) -> Vec<String> {
    let answer = panel.get(&format!("/logs?{query}")).await;
    let lines = answer["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
    lines.filter(|line| line.contains(text)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_a_file_in_the_shape_that_panels_take_apart() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let panel = Panel::start(&support::config("chat", &upstream));
    panel.done("PUT", "/logging-to-file", json!({"value": true})).await;
    let (path, body) = support::request("chat", "up", true);
    let answer = support::ask(&panel.gateway, &format!("{path}?key=client-key-0009"), &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(support::ask_model(&panel.gateway, "claude", "nowhere", false).await.status, 404);
    let id = &answer.header("x-request-id")["req_".len().."req_".len() + 8];
    let served = lines(&panel, "", id).await;
    // What is said of it by the engine, and its own line.
    assert!(served.iter().any(|line| line.contains("request served format=chat")), "{served:?}");
    let line = served.iter().find(|line| line.contains(" | ")).unwrap();
    let (head, message) = line.split_at(line.find("200 |").unwrap());
    assert_eq!(head.len(), "[2026-11-29 00:12:33] [1a2b3c4d] [info ] [access.rs:83] ".len(), "{line}");
    assert!(head.contains(&format!("] [{id}] [info ] [access.rs:")), "{line}");
    let columns: Vec<&str> = message.split(" | ").collect();
    assert_eq!(columns.iter().map(|column| column.len()).take(3).collect::<Vec<_>>(), [3, 13, 15], "{line}");
    assert_eq!(columns[2].trim(), "127.0.0.1");
    assert_eq!(columns[3], "POST    \"/v1/chat/completions?key=****\"");
    assert_eq!(lines(&panel, "", "404 |").await.len(), 1);
    assert!(lines(&panel, "", "404 |").await[0].contains("[warn ]"));
    let file = panel.gateway.accounts().join("logs/main.log");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("client-key-0009") && !panel.gateway.log().contains("404 |"));

    // The questions of panels.
    let all = panel.get("/logs").await;
    assert!(all["latest-timestamp"].as_u64().unwrap() > 1_700_000_000);
    assert!(all["line-count"].as_u64().unwrap() >= 3);
    let later = format!("/logs?after={}", all["latest-timestamp"].as_u64().unwrap() + 60);
    assert_eq!(panel.get(&later).await["lines"], json!([]));
    assert_eq!(panel.get("/logs?limit=1").await["lines"].as_array().map(Vec::len), Some(1));
    let cursor = all["next-cursor"].as_str().unwrap();
    let behind = panel.get(&format!("/logs?cursor={cursor}")).await;
    assert_eq!(behind["cursor-reset"], false);
    assert!(!behind["lines"].to_string().contains("404 |"), "{behind}");
    panel
        .refused("GET", "/logs?limit=0", Value::Null, (400, "invalid limit: must be a positive integer"))
        .await;
    let cleared = panel.send("DELETE", "/logs", Value::Null).await;
    assert_eq!(
        cleared.json(),
        json!({"success": true, "message": "Logs cleared successfully", "removed": 0})
    );
    assert_eq!(lines(&panel, "", "404 |").await, Vec::<String>::new());
    // And back to standard output.
    panel.done("PUT", "/logging-to-file", json!({"value": false})).await;
    assert_eq!(support::ask_model(&panel.gateway, "chat", "up", false).await.status, 200);
    panel.gateway.said("request served", 1);
    assert_eq!(panel.send("GET", "/logs", Value::Null).await.status, 400);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn log_files_are_for_their_owner_only_and_wake_no_watcher() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("logs")).unwrap();
    let config = "logging-to-file: true\nrequest-log: true\n";
    let gateway = cliproxy_testkit::Gateway::start_in(directory, crate::login::binary(), config, &["--demo"]);
    // A directory that is there already, beside the configuration.
    let logs = gateway.config().with_file_name("logs");
    for _ in 0..3 {
        assert_eq!(support::ask_model(&gateway, "chat", "demo-echo", false).await.status, 200);
    }
    let mode = std::fs::metadata(logs.join("main.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    // A debounced watcher would have spoken at the end at the latest.
    gateway.end();
    let text = std::fs::read_to_string(logs.join("main.log")).unwrap();
    assert!(!text.contains("configuration updated"), "{text}");
}

/// The record of a request.
async fn record(panel: &Panel, id: &str) -> String {
    // The record is finished behind the answer; until then it has another name.
    for _ in 0..500 {
        let answer = send(panel.request("GET", &format!("/request-log-by-id/{id}"))).await;
        if answer.status == 200 {
            assert!(answer.header("content-disposition").starts_with("attachment; filename="));
            return answer.body;
        }
        tokio::task::yield_now().await;
    }
    panic!("no record of {id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_everything_of_a_request_but_secrets() {
    let upstream = Upstream::start(|received| {
        if support::key_of(received) == "broken-key-0001" {
            return Script::json(500, r#"{"error": {"message": "broken today"}}"#);
        }
        support::answering("chat")(received)
    })
    .await;
    let url = upstream.url();
    let entries = [
        support::entry("chat", "broken-key-0001", &url, &format!("priority: 1, {}", support::UP)),
        support::entry("chat", "upstream-key-0001", &url, support::UP).replace("scripted", "second"),
    ];
    let keys = "api-keys: [client-key-0001]\nrequest-retry: 0\nrequest-log: true\n";
    let panel = Panel::start(&format!("{keys}{}", support::list("chat", &entries)));
    let (path, body) = support::request("claude", "up", true);
    let request = support::posting(&panel.gateway, &path, &body);
    let answer = send(request.header("authorization", "Bearer client-key-0001")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let text = record(&panel, answer.header("request-id")).await;
    let mut rest = text.as_str();
    for part in [
        "=== REQUEST INFO ===\nVersion: ",
        "URL: /v1/messages\nMethod: POST\nTimestamp: ",
        "=== HEADERS ===\n",
        "authorization: ****0001\n",
        "=== REQUEST BODY ===\n",
        &body.to_string(),
        "=== API REQUEST 1 ===\nTimestamp: ",
        "HTTP Method: POST\nAuth: openai-compatibility:scripted:apikey:",
        "=== API RESPONSE 1 ===\n",
        "Status: 500\n",
        "broken today",
        "=== API REQUEST 2 ===\n",
        "=== API RESPONSE 2 ===\n",
        "chat.completion.chunk",
        "=== RESPONSE ===\nStatus: 200\n",
        "content-type: text/event-stream",
        "event: message_stop",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part} is missing, or not there, in:\n{text}"));
        rest = &rest[at + part.len()..];
    }
    assert!(text.trim_end().ends_with(answer.body.trim_end()), "{text}");
    for secret in ["client-key-0001", "broken-key-0001", "upstream-key-0001"] {
        assert!(!text.contains(secret), "{secret}\n{text}");
    }
    assert_eq!(panel.get("/request-error-logs").await, json!({"files": []}));
    // A refused one has a record of the same kind.
    let (path, body) = support::request("chat", "nowhere", false);
    let request = support::posting(&panel.gateway, &path, &body);
    let refused = send(request.header("authorization", "Bearer client-key-0001")).await;
    assert_eq!(refused.status, 404);
    let text = record(&panel, refused.header("x-request-id")).await;
    assert!(text.contains("=== RESPONSE ===\nStatus: 404\n") && text.contains("model_not_found"), "{text}");
    let left = std::fs::read_dir(panel.gateway.accounts().join("logs")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing unfinished stays behind: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_leave_a_record_and_only_the_newest_are_kept() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let keys = "api-keys: [client-key-0001]\nerror-logs-max-files: 2\n";
    let panel = Panel::start(&format!("{keys}{}", support::config("chat", &upstream)));
    let ask = |model: &str, key: &str| {
        let (path, body) = support::request("responses", model, false);
        send(support::posting(&panel.gateway, &path, &body).header("authorization", format!("Bearer {key}")))
    };
    assert_eq!(ask("up", "client-key-0001").await.status, 200);
    assert_eq!(ask("up", "stranger-key").await.status, 401);
    assert_eq!(
        panel.get("/request-error-logs").await,
        json!({"files": []}),
        "good ones and strangers leave none"
    );
    let mut last = String::new();
    for number in 0..4 {
        let answer = ask(&format!("nowhere-{number}"), "client-key-0001").await;
        assert_eq!(answer.status, 404);
        answer.header("x-request-id").clone_into(&mut last);
    }
    let files = panel.get("/request-error-logs").await;
    let files = files["files"].as_array().unwrap();
    assert_eq!(files.len(), 2, "{files:?}");
    let newest = files.iter().find(|file| file["name"].as_str().unwrap().contains(&last[4..12])).unwrap();
    let name = newest["name"].as_str().unwrap();
    assert!(name.starts_with("error-v1-responses-20") && newest["modified"].is_u64(), "{name}");
    let answer = send(panel.request("GET", &format!("/request-error-logs/{name}"))).await;
    assert_eq!(answer.body.len(), usize::try_from(newest["size"].as_u64().unwrap()).unwrap());
    assert!(answer.body.contains("nowhere-3") && answer.body.contains("Status: 404"), "{}", answer.body);
    assert!(!answer.body.contains("client-key-0001"));
    assert_eq!(record(&panel, &last).await, answer.body);
    // Without records nothing is written.
    panel
        .gateway
        .reload(
            &format!("{keys}commercial-mode: true\n{}", support::config("chat", &upstream)),
            "server clients and configuration updated",
        )
        .await;
    assert_eq!(ask("nowhere-9", "client-key-0001").await.status, 404);
    let files = panel.get("/request-error-logs").await;
    assert_eq!(files["files"].as_array().map(Vec::len), Some(2));
    assert!(files.to_string().contains(name), "{files}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_read_leaves_a_record_of_its_head() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let config = format!(
        "api-keys: [client-key-0001]\nmax-request-body-mb: 1\n{}",
        support::config("chat", &upstream)
    );
    let panel = Panel::start(&config);
    for (switch, start) in
        [("request-log: false", "error-v1-messages-20"), ("request-log: true", "v1-messages-20")]
    {
        panel
            .gateway
            .reload(&format!("{switch}\n{config}"), "server clients and configuration updated")
            .await;
        let (path, body) = support::request("claude", "up", false);
        let mut large = body.clone();
        large["system"] = Value::from("x".repeat(2 << 20));
        let foreign = support::client().post(format!("{}{path}", panel.gateway.url()));
        let foreign = foreign.header("content-type", "text/html").body(body.to_string());
        let large = support::posting(&panel.gateway, &path, &large);
        for (request, status, told) in
            [(large, 413, "request_too_large"), (foreign, 415, "content type text/html")]
        {
            let answer = send(request.header("x-api-key", "client-key-0001")).await;
            assert_eq!(answer.status, status, "{}", answer.body);
            let id = answer.header("request-id")[4..12].to_owned();
            let record = panel.send("GET", &format!("/request-log-by-id/{id}"), Value::Null).await;
            assert_eq!(record.status, 200, "{switch}, {status}: {}", record.body);
            assert!(record.header("content-disposition").contains(start), "{:?}", record.headers);
            let says = |text: &str| record.body.contains(text);
            assert!(says(&format!("Status: {status}")) && says("POST"), "{}", record.body);
            assert!(says(told), "{}", record.body);
            assert!(!says("client-key-0001") && record.body.len() < 4096, "{}", record.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_plugins_and_the_version_is_our_own() {
    let panel = Panel::start("debug: false\n");
    assert_eq!(panel.get("/plugins").await, json!({"plugins": []}));
    assert_eq!(panel.get("/plugin-store").await, json!({"plugins": []}));
    panel.refused("DELETE", "/plugins/x", Value::Null, (404, "plugin not found")).await;
    let version = panel.get("/latest-version").await["latest-version"].as_str().unwrap().to_owned();
    assert!(version.starts_with('v') && version.contains('.'), "{version}");
}
