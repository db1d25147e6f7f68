//! The ledger says what upstreams billed, to the token, whatever becomes of the requests and of the process.
//!
//! A scripted upstream bills every request by its number and adds up what it has told. Requests of every format are
//! answered whole and streamed, refused, cut after the bill, and left by their clients after the bill; after every
//! round the gateway is killed at once, and another one goes on. In the end the ledger has every request once, and its
//! sums are those of the upstream. `BILLING_REQUESTS` says how many requests there are.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::{self, FORMATS, within};

/// Requests of an ordinary test run.
const FEW: u64 = 2000;
/// Requests between two kills, at most.
const ROUND: u64 = 5000;
/// Requests at once.
const AT_ONCE: usize = 32;

const CONFIG: &str =
    "usage-statistics-enabled: true\nrequest-retry: 0\ndisable-cooling: true\nerror-logs-max-files: 1\n";

/// What the upstream has told that it billed.
#[derive(Default)]
struct Bill {
    input: AtomicU64,
    output: AtomicU64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Whole,
    Streamed,
    Refused,
    Cut,
    Left,
}

fn fate(number: u64) -> Fate {
    match number % 20 {
        0..=7 => Fate::Whole,
        8..=15 => Fate::Streamed,
        16 => Fate::Refused,
        17 | 18 => Fate::Cut,
        _ => Fate::Left,
    }
}

/// Tokens in and out.
fn price(number: u64) -> (u64, u64) {
    (10 + number % 97, 2 + number % 53)
}

fn frame(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

/// The stream up to and with the bill, and what ends it.
fn streamed(input: u64, output: u64) -> (String, String) {
    let billed = [
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": input, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a few words"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": output}}),
    ];
    (billed.iter().map(frame).collect(), frame(&json!({"type": "message_stop"})))
}

fn answer(received: &Received, bill: &Bill) -> Script {
    let body = String::from_utf8_lossy(&received.body);
    let at = body.find("request ").expect("a number") + "request ".len();
    let number: String = body[at..].chars().take_while(char::is_ascii_digit).collect();
    let number: u64 = number.parse().unwrap();
    if fate(number) == Fate::Refused {
        let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}});
        return Script::json(400, error.to_string());
    }
    let (input, output) = price(number);
    bill.input.fetch_add(input, Ordering::Relaxed);
    bill.output.fetch_add(output, Ordering::Relaxed);
    let (billed, end) = streamed(input, output);
    match fate(number) {
        Fate::Whole => Script::json(
            200,
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
                "content": [{"type": "text", "text": "a few words"}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": input, "output_tokens": output}})
            .to_string(),
        ),
        Fate::Cut => Script::events(vec![Bytes::from(billed)]).cut(),
        Fate::Left => Script::events(vec![Bytes::from(billed)]).stalled(),
        _ => Script::events(vec![Bytes::from(billed + &*end)]),
    }
}

async fn ask(client: &reqwest::Client, url: &str, number: u64) {
    let fate = fate(number);
    // The bill is seen by a client of the upstream's format; others hear of it at the end.
    let format =
        if fate == Fate::Left { "claude" } else { FORMATS[usize::try_from(number / 20 % 4).unwrap()] };
    let (path, body) = support::request(format, "up", fate != Fate::Whole && fate != Fate::Refused);
    let body = body.to_string().replace("\"hi\"", &format!("\"request {number}\""));
    let request = client.post(format!("{url}{path}")).header("content-type", "application/json").body(body);
    let mut answer = within(request.send()).await.unwrap();
    assert_eq!(answer.status(), if fate == Fate::Refused { 400 } else { 200 }, "request {number}: {fate:?}");
    let mut text = String::new();
    while let Some(piece) = within(answer.chunk()).await.unwrap_or_default() {
        text.push_str(&String::from_utf8_lossy(&piece));
        if fate == Fate::Left && text.contains("message_delta") {
            return;
        }
    }
    assert!(fate != Fate::Left, "request {number} ended: {text}");
}

/// The sums of the ledger.
fn sums(gateway: &Gateway) -> Value {
    let home = gateway.config().parent().unwrap().to_owned();
    let output = Command::new(env!("CARGO_BIN_EXE_cli-proxy-api"))
        .args(["usage", "--json", "--config"])
        .arg(gateway.config())
        .env("HOME", &home)
        .current_dir(&home)
        .output()
        .unwrap();
    let sums: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    sums["total"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_equals_what_the_upstream_billed_to_the_token() {
    let told = std::env::var_os("BILLING_REQUESTS").and_then(|number| number.to_str()?.parse().ok());
    let all: u64 = told.unwrap_or(FEW);
    let bill = Arc::new(Bill::default());
    let mut gateway: Option<Gateway> = None;
    let round = ROUND.min(all.div_ceil(2));
    let mut first = 0;
    while first < all {
        let numbers = first..(first + round).min(all);
        let billed = Arc::clone(&bill);
        let upstream = Upstream::start(move |received| answer(received, &billed)).await;
        let config = format!("{CONFIG}{}", support::config("claude", &upstream));
        let running = match gateway.take() {
            Some(before) => {
                before.rewrite(&config);
                before.again(Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")))
            }
            None => support::start(&config, &[]),
        };
        let (client, url) = (support::client(), running.url().to_owned());
        stream::iter(numbers.clone()).for_each_concurrent(AT_ONCE, |number| ask(&client, &url, number)).await;
        // Who was left is noticed a moment later; everybody else has had the end of the answer.
        let left = numbers.clone().filter(|number| fate(*number) == Fate::Left).count();
        running.said("outcome=Cancelled", left);
        running.killer().kill();
        first = numbers.end;
        gateway = Some(running);
    }
    let sums = sums(&gateway.unwrap());
    let count = |wanted: &[Fate]| (0..all).filter(|number| wanted.contains(&fate(*number))).count() as u64;
    assert_eq!(sums["requests"], all, "{sums}");
    assert_eq!(sums["complete"], count(&[Fate::Whole, Fate::Streamed]), "{sums}");
    assert_eq!(sums["cancelled"], count(&[Fate::Left]), "{sums}");
    assert_eq!(sums["failed"], count(&[Fate::Refused, Fate::Cut]), "{sums}");
    assert_eq!(sums["input"], bill.input.load(Ordering::Relaxed), "{sums}");
    assert_eq!(sums["output"], bill.output.load(Ordering::Relaxed), "{sums}");
}
