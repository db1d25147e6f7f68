//! The ledger says what upstreams billed, to the token, whatever becomes of the requests and of the process.
//!
//! A scripted upstream bills every request that it does not refuse, by the request's number. Requests of every format are
//! answered whole and streamed, refused, cut after the bill, and left by their clients before the answer and after the
//! bill; in the middle of it all the gateway is killed at once, while further requests wait for their answer, for the
//! bill, or for the end, and another one goes on. In the end no request that was billed is missing from the ledger or
//! there twice, and each whose bill its client had heard of is there to the token. `BILLING_REQUESTS` says how many
//! requests there are.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use futures_util::{StreamExt as _, future, stream};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use crate::support::{self, FORMATS, within};

/// Requests of an ordinary test run.
const FEW: u64 = 2000;
/// Requests between two kills, at most.
const ROUND: u64 = 5000;
/// Requests at once.
const AT_ONCE: usize = 32;
/// Requests that a kill meets for certain, and the number of the first one.
const HELD: u64 = 24;
const HELD_FROM: u64 = 1 << 40;

const CONFIG: &str =
    "usage-statistics-enabled: true\nrequest-retry: 0\ndisable-cooling: true\nerror-logs-max-files: 1\n";

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Whole,
    Streamed,
    Refused,
    Cut,
    /// By its client, after the bill.
    Left,
    /// Left by its client, before the answer.
    Given,
    /// It waits for its answer when the gateway is killed.
    Unanswered,
    /// Its answer has begun.
    Begun,
    /// Its client has heard of the bill and waits for the end.
    Billed,
}

fn fate(number: u64) -> Fate {
    if number >= HELD_FROM {
        return [Fate::Unanswered, Fate::Begun, Fate::Billed][usize::try_from(number % 3).unwrap()];
    }
    match number % 20 {
        0..=7 => Fate::Whole,
        8..=15 => Fate::Streamed,
        16 => Fate::Refused,
        17 | 18 => Fate::Cut,
        _ if number % 40 < 20 => Fate::Left,
        _ => Fate::Given,
    }
}

/// Tokens in and out, neither like those of another request.
fn price(number: u64) -> (u64, u64) {
    (1000 + number, (1 << 40) + number)
}

/// The client's format. Of the bill a client of the upstream's format hears before the end.
fn format(number: u64) -> &'static str {
    match fate(number) {
        Fate::Left | Fate::Billed => "claude",
        _ => FORMATS[usize::try_from(number / 20 % 4).unwrap()],
    }
}

/// What the upstream knows.
#[derive(Default)]
struct Books {
    /// The requests that it billed.
    billed: HashSet<u64>,
    /// Who wants to know that a request has come.
    awaited: HashMap<u64, oneshot::Sender<()>>,
}

/// What the client of a request has got.
#[derive(Default)]
struct Seen {
    id: Option<String>,
    /// It has heard of the bill, or of the end.
    is_told: bool,
    /// It got everything that there is.
    has_ended: bool,
}

/// The requests between two kills.
struct Round {
    client: reqwest::Client,
    url: String,
    books: Arc<Mutex<Books>>,
    is_killed: AtomicBool,
}

fn frame(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

/// The stream up to its first words, the bill, and what ends it.
fn streamed(input: u64, output: u64) -> [String; 3] {
    let begun = [
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": input, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a few words"}}),
    ];
    let billed = [
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": output}}),
    ];
    [
        begun.iter().map(frame).collect(),
        billed.iter().map(frame).collect(),
        frame(&json!({"type": "message_stop"})),
    ]
}

fn answer(received: &Received, books: &Mutex<Books>) -> Script {
    let body = String::from_utf8_lossy(&received.body);
    let at = body.find("request ").expect("a number") + "request ".len();
    let number: String = body[at..].chars().take_while(char::is_ascii_digit).collect();
    let number: u64 = number.parse().unwrap();
    if fate(number) == Fate::Refused {
        let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}});
        return Script::json(400, error.to_string());
    }
    let mut books = books.lock().unwrap();
    assert!(books.billed.insert(number), "request {number} is asked once");
    if let Some(awaited) = books.awaited.remove(&number) {
        awaited.send(()).ok();
    }
    let (input, output) = price(number);
    let [begun, billed, end] = streamed(input, output);
    match fate(number) {
        Fate::Whole => Script::json(
            200,
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
                "content": [{"type": "text", "text": "a few words"}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": input, "output_tokens": output}})
            .to_string(),
        ),
        Fate::Given | Fate::Unanswered => Script::silent(),
        Fate::Begun => Script::events(vec![Bytes::from(begun)]).stalled(),
        Fate::Cut => Script::events(vec![Bytes::from(begun + &*billed)]).cut(),
        Fate::Left | Fate::Billed => Script::events(vec![Bytes::from(begun), Bytes::from(billed)]).stalled(),
        _ => Script::events(vec![Bytes::from(begun), Bytes::from(billed + &*end)]),
    }
}

impl Round {
    /// Sends a request and follows its answer. `reached` is told when it is where a kill is to meet it.
    async fn ask(&self, number: u64, reached: Option<oneshot::Sender<()>>) -> Seen {
        let mut seen = Seen::default();
        match self.try_ask(number, reached, &mut seen).await {
            Ok(()) => seen.has_ended = true,
            Err(error) => assert!(self.is_killed.load(Ordering::SeqCst), "request {number}: {error}"),
        }
        seen
    }

    async fn try_ask(
        &self,
        number: u64,
        mut reached: Option<oneshot::Sender<()>>,
        seen: &mut Seen,
    ) -> reqwest::Result<()> {
        let (fate, format) = (fate(number), format(number));
        let (path, body) = support::request(format, "up", fate != Fate::Whole && fate != Fate::Refused);
        let body = body.to_string().replace("\"hi\"", &format!("\"request {number}\""));
        let request =
            self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let asking = request.body(body).send();
        if matches!(fate, Fate::Given | Fate::Unanswered) {
            let (awaited, arrived) = oneshot::channel();
            self.books.lock().unwrap().awaited.insert(number, awaited);
            let mut asking = std::pin::pin!(asking);
            tokio::select! {
                answer = &mut asking => return answer.map(|answer| panic!("request {number} has {answer:?}")),
                arrived = within(arrived) => arrived.unwrap(),
            }
            if let Some(reached) = reached {
                reached.send(()).unwrap();
                within(asking).await.map(|answer| panic!("request {number} has {answer:?}"))?;
            }
            return Ok(());
        }
        let mut answer = within(asking).await?;
        assert_eq!(
            answer.status(),
            if fate == Fate::Refused { 400 } else { 200 },
            "request {number}: {fate:?}"
        );
        let id = answer.headers().get("request-id").or_else(|| answer.headers().get("x-request-id"));
        seen.id = Some(id.expect("an id").to_str().unwrap().to_owned());
        let (bill, mut text) = (price(number).1.to_string(), String::new());
        let broken = loop {
            match within(answer.chunk()).await {
                Ok(Some(piece)) => text.push_str(&String::from_utf8_lossy(&piece)),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
            seen.is_told |= text.contains(&bill) || support::is_complete(format, &text);
            let is_there = match fate {
                Fate::Begun => text.contains("a few words"),
                Fate::Billed | Fate::Left => seen.is_told,
                _ => false,
            };
            if is_there && fate == Fate::Left {
                return Ok(());
            }
            if let Some(reached) = reached.take_if(|_| is_there) {
                reached.send(()).unwrap();
            }
        };
        match broken {
            // A cut is told inside of the answer by then.
            None if matches!(fate, Fate::Whole | Fate::Streamed | Fate::Refused | Fate::Cut) => {
                seen.is_told = fate != Fate::Refused;
                Ok(())
            }
            None => panic!("request {number} ended: {text}"),
            Some(error) => Err(error),
        }
    }
}

/// Requests from `first` on, at least `count`, and the kill in the middle of them; gives what the clients have seen.
async fn round(gateway: &Gateway, books: Arc<Mutex<Books>>, first: u64, count: u64) -> Vec<(u64, Seen)> {
    let (client, url) = (support::client(), gateway.url().to_owned());
    let round = &Round { client, url, books, is_killed: AtomicBool::new(false) };
    let (done, mut all_done) = watch::channel(0);
    let flow = stream::iter(first..HELD_FROM)
        .take_while(|_| future::ready(!round.is_killed.load(Ordering::SeqCst)))
        .map(|number| async move { (number, round.ask(number, None).await) })
        .buffer_unordered(AT_ONCE)
        .inspect(|_| done.send_modify(|done| *done += 1))
        .collect::<Vec<_>>();
    let (held, reached): (Vec<_>, Vec<_>) = (HELD_FROM + first..)
        .take(usize::try_from(HELD).unwrap())
        .map(|number| {
            let (reached, is_reached) = oneshot::channel();
            (async move { (number, round.ask(number, Some(reached)).await) }, is_reached)
        })
        .unzip();
    let killer = gateway.killer();
    let kill = async {
        within(future::try_join_all(reached)).await.expect("a request that waits");
        all_done.wait_for(|done| *done >= count).await.unwrap();
        round.is_killed.store(true, Ordering::SeqCst);
        tokio::task::spawn_blocking(move || killer.kill()).await.unwrap();
    };
    let (mut seen, held, ()) = tokio::join!(flow, future::join_all(held), kill);
    seen.extend(held);
    seen
}

/// What the test asks of a row.
struct Row {
    id: String,
    outcome: String,
    input: u64,
    output: u64,
}

/// The rows of the ledger.
fn rows(gateway: &Gateway) -> Vec<Row> {
    let home = gateway.config().parent().unwrap().to_owned();
    let output = Command::new(env!("CARGO_BIN_EXE_cli-proxy-api"))
        .args(["usage", "--csv", "--config"])
        .arg(gateway.config())
        .env("HOME", &home)
        .current_dir(&home)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let (id, outcome, input, output) = (at("request_id"), at("outcome"), at("input"), at("output"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells.len(), columns.len(), "{line}");
            let number = |at: usize| cells[at].parse().unwrap();
            Row {
                id: cells[id].to_owned(),
                outcome: cells[outcome].to_owned(),
                input: number(input),
                output: number(output),
            }
        })
        .collect()
}

/// Holds the ledger against what the upstream billed and the clients saw.
fn compare(rows: &[Row], billed: &HashSet<u64>, seen: &HashMap<u64, Seen>) {
    let by_id: HashMap<&str, &Row> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
    assert_eq!(by_id.len(), rows.len(), "no request is there twice");
    for (number, seen) in seen {
        let Some(id) = &seen.id else { continue };
        let row = by_id.get(id.as_str()).unwrap_or_else(|| panic!("request {number} is missing"));
        let outcomes: &[&str] = match (fate(*number), seen.has_ended) {
            (Fate::Whole | Fate::Streamed, true) => &["complete"],
            (Fate::Refused | Fate::Cut, true) => &["failed"],
            (Fate::Left, true) => &["cancelled", "killed"],
            (Fate::Begun | Fate::Billed, _) => &["killed"],
            _ => &["complete", "failed", "killed"],
        };
        assert!(outcomes.contains(&row.outcome.as_str()), "request {number} is {}", row.outcome);
    }
    // What is known of tokens says whose they are.
    let mut by_number: HashMap<u64, &Row> = HashMap::new();
    for row in rows.iter().filter(|row| row.input > 0) {
        let number = row.input - price(0).0;
        assert!(billed.contains(&number), "nobody billed request {number}");
        assert!(by_number.insert(number, row).is_none(), "request {number} is there twice");
    }
    let mut unknown = 0;
    for number in billed {
        let (input, output) = price(*number);
        let Some(row) = by_number.get(number) else {
            assert!(!seen[number].is_told, "the client of request {number} knows the bill");
            unknown += 1;
            continue;
        };
        let is_whole = (row.input, row.output) == (input, output);
        assert!(
            is_whole || !seen[number].is_told,
            "request {number} counts {} and {}",
            row.input,
            row.output
        );
        assert!(is_whole || row.output <= 1, "request {number} counts {}", row.output);
    }
    // Those of which nothing is known but that they were sent; some others never arrived.
    let (mut nothing, mut refused) = (0, 0);
    for row in rows.iter().filter(|row| row.input == 0) {
        assert_eq!(row.output, 0);
        nothing += usize::from(row.outcome != "failed");
        refused += usize::from(row.outcome == "failed");
    }
    let not_arrived = seen.keys().filter(|number| !billed.contains(number)).count();
    assert!(
        (unknown..=unknown + not_arrived).contains(&nothing),
        "{unknown} are missing, {nothing} are there"
    );
    assert!(refused <= not_arrived, "{refused} failed without having been billed");
    let given = seen.keys().filter(|number| fate(**number) == Fate::Given).count();
    assert!(nothing >= given && given > 0, "clients that leave before their answer are on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_equals_what_the_upstream_billed_to_the_token() {
    let told = std::env::var_os("BILLING_REQUESTS").and_then(|number| number.to_str()?.parse().ok());
    let all: u64 = told.unwrap_or(FEW);
    let books = Arc::new(Mutex::new(Books::default()));
    let mut gateway: Option<Gateway> = None;
    let count = ROUND.min(all.div_ceil(4));
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    let mut first = 0;
    while first < all {
        let known = Arc::clone(&books);
        let upstream = Upstream::start(move |received| answer(received, &known)).await;
        let config = format!("{CONFIG}{}", support::config("claude", &upstream));
        let running = match gateway.take() {
            Some(before) => {
                before.rewrite(&config);
                before.again(Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")))
            }
            None => support::start(&config, &[]),
        };
        let asked = round(&running, Arc::clone(&books), first, count).await;
        first =
            asked.iter().map(|(number, _)| *number).filter(|number| *number < HELD_FROM).max().unwrap() + 1;
        seen.extend(asked);
        gateway = Some(running);
    }
    let rows = rows(&gateway.unwrap());
    let books = books.lock().unwrap();
    compare(&rows, &books.billed, &seen);
    println!(
        "{} requests, {} billed, {} rows, {} of them killed",
        seen.len(),
        books.billed.len(),
        rows.len(),
        rows.iter().filter(|row| row.outcome == "killed").count()
    );
}
