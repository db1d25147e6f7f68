//! The usage ledger: what was served is on record, whatever ends the process, and the sums are what upstreams billed.

use std::process::{Command, Output};

use bytes::Bytes;
use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::failover::half;
use crate::fault::error_event;
use crate::support::{self, FORMATS};

const KEPT: &str = "usage-statistics-enabled: true\nrequest-retry: 0\nusage-ledger:\n  prices:\n    - {model: up, input: 1, output: 10}\n";

fn run(gateway: &Gateway, arguments: &[&str]) -> Output {
    let home = gateway.config().parent().unwrap().to_owned();
    Command::new(env!("CARGO_BIN_EXE_cli-proxy-api"))
        .arg("usage")
        .args(arguments)
        .arg("--config")
        .arg(gateway.config())
        .env("HOME", &home)
        .current_dir(&home)
        .output()
        .unwrap()
}

/// What `usage --json` says.
pub(crate) fn sums(gateway: &Gateway, by: &str) -> Value {
    let output = run(gateway, &["--json", "--by", by]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Answers by the request's user text: whole, refused, cut or never ending.
fn as_asked(received: &Received) -> Script {
    let body = String::from_utf8_lossy(&received.body);
    if body.contains("be refused") {
        return Script::json(400, r#"{"error": {"message": "no", "type": "invalid_request_error"}}"#);
    }
    if body.contains("be cut") {
        return Script::events(vec![Bytes::from(half("chat"))]).cut();
    }
    if body.contains("stall") {
        return Script::events(vec![Bytes::from(half("chat"))]).stalled();
    }
    support::answering("chat")(received)
}

async fn ask(gateway: &Gateway, format: &str, is_stream: bool, text: &str) -> (u16, String) {
    let (path, body) = support::request(format, "up", is_stream);
    let body = serde_json::from_str(&body.to_string().replace("\"hi\"", &format!("{text:?}"))).unwrap();
    let answer = support::ask(gateway, &path, &body).await;
    (answer.status, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_have_got_is_on_record_when_the_process_is_killed_at_once() {
    let upstream = Upstream::start(as_asked).await;
    let gateway = support::start(&format!("{KEPT}{}", support::config("chat", &upstream)), &[]);
    let mut asked = Vec::new();
    for format in FORMATS {
        for is_stream in [false, true] {
            for text in ["hi", "be refused", "be cut"] {
                asked.push(ask(&gateway, format, is_stream, text));
            }
        }
    }
    let answers = futures_util::future::join_all(asked).await;
    gateway.killer().kill();
    let sums = sums(&gateway, "model");
    assert_eq!(answers.len(), 24);
    // Each that came whole was billed ten tokens in and five out.
    let total = &sums["total"];
    assert_eq!(total["complete"], 8, "{sums}");
    assert_eq!(total["failed"], 16, "{sums}");
    assert_eq!(sums["by"][0]["name"], "up");
    let row = |outcome: &str| {
        let csv = String::from_utf8(run(&gateway, &["--csv"]).stdout).unwrap();
        let rows: Vec<String> = csv.lines().map(str::to_owned).collect();
        rows.into_iter().filter(|row| row.contains(outcome)).collect::<Vec<_>>()
    };
    let complete = row(",complete,");
    assert_eq!(complete.len(), 8);
    for line in complete {
        assert!(line.contains(",complete,10,0,0,5,0,false,"), "{line}");
        let (_, cost) =
            line.split_at(line.find(",0.00006,").expect("ten at one and five at ten per million"));
        assert_eq!(cost.len(), ",0.00006,".len() + 12, "with the table that says so: {line}");
    }
}

/// Gemini's streams tell of their bill with every piece.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_has_told_of_its_bill_is_on_record_when_the_process_is_killed() {
    let piece = |number: u64| {
        let usage =
            json!({"promptTokenCount": 9, "candidatesTokenCount": number, "totalTokenCount": 9 + number});
        let content = json!({"role": "model", "parts": [{"text": "word "}]});
        let event = json!({"candidates": [{"content": content, "index": 0}], "usageMetadata": usage});
        Bytes::from(format!("data: {event}\r\n\r\n"))
    };
    let upstream = Upstream::start(move |_| Script::events((1..=40).map(piece).collect()).stalled()).await;
    let gateway = support::start(&format!("{KEPT}{}", support::config("gemini", &upstream)), &[]);
    let (path, body) = support::request("gemini", "up", true);
    let mut answer = support::posting(&gateway, &path, &body).send().await.unwrap();
    let mut heard = String::new();
    while !heard.contains("\"totalTokenCount\":49") {
        heard += &String::from_utf8_lossy(&support::within(answer.chunk()).await.unwrap().unwrap());
    }
    gateway.killer().kill();
    let csv = String::from_utf8(run(&gateway, &["--csv"]).stdout).unwrap();
    let row = csv.lines().nth(1).unwrap();
    assert!(row.contains(",killed,9,0,0,40,0,false,"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_survive_restarts_and_kills_and_count_each_request_once() {
    let upstream = Upstream::start(as_asked).await;
    let config = format!("{KEPT}{}", support::config("chat", &upstream));
    let mut gateway = support::start(&config, &[]);
    for round in 1..=3 {
        for format in FORMATS {
            assert_eq!(ask(&gateway, format, round == 2, "hi").await.0, 200);
        }
        if round == 2 {
            gateway.end();
        } else {
            gateway.killer().kill();
        }
        let total = sums(&gateway, "day")["total"].clone();
        assert_eq!(
            (&total["complete"], &total["input"], &total["output"]),
            (&Value::from(round * 4), &Value::from(round * 40), &Value::from(round * 20))
        );
        gateway = gateway.again(std::path::Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_counted_by_what_had_passed() {
    let upstream = Upstream::start(as_asked).await;
    let gateway = support::start(&format!("{KEPT}{}", support::config("chat", &upstream)), &[]);
    let (path, body) = support::request("claude", "up", true);
    let body = serde_json::from_str(&body.to_string().replace("\"hi\"", "\"stall\"")).unwrap();
    let mut answer = support::posting(&gateway, &path, &body).send().await.unwrap();
    assert!(support::within(answer.chunk()).await.unwrap().is_some());
    drop(answer);
    upstream.dropped().await;
    gateway.said("outcome=Cancelled", 1);
    gateway.end();
    let sums = sums(&gateway, "model");
    assert_eq!(sums["total"]["cancelled"], 1, "{sums}");
    let csv = String::from_utf8(run(&gateway, &["--csv"]).stdout).unwrap();
    let row = csv.lines().nth(1).unwrap();
    assert!(row.contains(",claude,up,up,"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_counts_nonsense_spoils_no_sum() {
    let upstream = Upstream::start(|_| {
        let mut body = support::body("chat");
        for count in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            body["usage"][count] = u64::MAX.into();
        }
        Script::json(200, body.to_string())
    })
    .await;
    let limits = "api-keys: [client-key-0001]\napi-key-limits: [{api-key: client-key-0001, limits: [{per: day, requests: 9}]}]\n";
    let gateway = support::start(&format!("{KEPT}{limits}{}", support::config("chat", &upstream)), &[]);
    for format in FORMATS {
        let (path, body) = support::request(format, "up", false);
        let asking = support::posting(&gateway, &path, &body).header("x-api-key", "client-key-0001");
        assert_eq!(support::send(asking).await.status, 200, "{format}");
    }
    gateway.end();
    let sums = sums(&gateway, "model");
    assert_eq!((&sums["total"]["complete"], &sums["total"]["failed"]), (&4.into(), &0.into()), "{sums}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_said_an_error_has_failed_although_its_client_left_upon_it() {
    for format in FORMATS {
        let pieces = vec![Bytes::from(half(format)), Bytes::from(error_event(format))];
        let upstream = Upstream::start(move |_| Script::events(pieces.clone()).stalled()).await;
        let gateway = support::start(&format!("{KEPT}{}", support::config(format, &upstream)), &[]);
        let (path, body) = support::request(format, "up", true);
        let mut answer = support::posting(&gateway, &path, &body).send().await.unwrap();
        let mut heard = String::new();
        while !heard.contains("too busy") {
            heard += &String::from_utf8_lossy(&support::within(answer.chunk()).await.unwrap().unwrap());
        }
        drop(answer);
        gateway.said("outcome=Failed", 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_its_answer_began_is_on_record() {
    let upstream = Upstream::start(|_| Script::silent()).await;
    let gateway = support::start(&format!("{KEPT}{}", support::config("chat", &upstream)), &[]);
    for (count, format) in (1..).zip(FORMATS) {
        let (path, body) = support::request(format, "up", format == "chat");
        tokio::select! {
            answer = support::posting(&gateway, &path, &body).send() => panic!("nobody answers: {answer:?}"),
            () = support::within(upstream.arrived(count)) => {}
        }
        gateway.said("outcome=Cancelled", count);
    }
    gateway.end();
    let csv = String::from_utf8(run(&gateway, &["--csv"]).stdout).unwrap();
    for (line, format) in csv.lines().skip(1).zip(FORMATS) {
        let lane = if format == "chat" { "passthrough" } else { "translate" };
        assert!(line.contains(&format!(",{format},up,up,scripted,")), "{line}");
        assert!(line.contains(&format!(",{lane},1,cancelled,0,0,0,0,0,false,,")), "{line}");
    }
    let sums = sums(&gateway, "outcome");
    assert_eq!(
        (&sums["by"][0]["name"], &sums["total"]["cancelled"]),
        (&"cancelled".into(), &4.into()),
        "{sums}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recorded_until_it_is_wanted_and_the_switch_needs_no_restart() {
    let upstream = Upstream::start(as_asked).await;
    let config = support::config("chat", &upstream);
    let gateway = support::start(&config, &[]);
    assert_eq!(ask(&gateway, "chat", false, "hi").await.0, 200);
    assert!(String::from_utf8(run(&gateway, &[]).stdout).unwrap().contains("usage-statistics-enabled: true"));
    gateway.rewrite(&format!("{KEPT}{config}"));
    gateway.said("server clients and configuration updated", 2);
    assert_eq!(ask(&gateway, "chat", false, "hi").await.0, 200);
    gateway.end();
    assert_eq!(sums(&gateway, "model")["total"]["requests"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_for_people() {
    let upstream = Upstream::start(as_asked).await;
    let gateway = support::start(&format!("{KEPT}{}", support::config("chat", &upstream)), &[]);
    assert_eq!(ask(&gateway, "chat", false, "hi").await.0, 200);
    gateway.end();
    let table = String::from_utf8(run(&gateway, &["--by", "model"]).stdout).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells(lines[0]), ["requests", "failed", "input", "cached", "output", "reasoning", "cost"]);
    assert_eq!(cells(lines[1]), ["up", "1", "0", "10", "0", "5", "0", "0.0001"]);
    assert_eq!(cells(lines[2])[0], "total");
}
