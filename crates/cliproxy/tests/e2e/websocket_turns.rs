//! Conversations over kept websockets to the Codex backend: a turn says what is new alone, and nothing is lost when the
//! socket or the upstream's memory is.

use cliproxy_testkit::{Authority, Gateway, Proxy, Received, Talk, Talker};
use serde_json::{Value, json};

use crate::support::{self, posting, send, start_with, within};

const MODEL: &str = "gpt-5.5";

fn config(talker: &Talker, more: &str) -> String {
    format!("oauth-endpoints:\n  codex: {{base-url: '{}/codex'}}\nrequest-retry: 0\n{more}", talker.url())
}

fn start(talker: &Talker, more: &str) -> Gateway {
    start_with(&config(talker, more), &[("codex-a.json", account("a"))])
}

fn account(name: &str) -> Value {
    json!({"type": "codex", "access_token": format!("access-{name}"), "refresh_token": "r", "account_id": "id",
        "expired": "2099-01-01T00:00:00Z", "websockets": true})
}

fn message(role: &str, text: &str) -> Value {
    json!({"type": "message", "role": role, "content": [{"type": if role == "user" { "input_text" } else { "output_text" }, "text": text}]})
}

/// What was said, and what it was answered to, by the texts of a request's items.
fn texts(frame: &Value) -> Vec<String> {
    let items = frame["input"].as_array().unwrap().iter();
    items
        .map(|item| {
            item["content"][0]["text"].as_str().unwrap_or_else(|| item["type"].as_str().unwrap()).to_owned()
        })
        .collect()
}

/// An answer that echoes the last thing said, with reasoning before it.
fn echo(frame: &Value) -> Vec<String> {
    let said = texts(frame).pop().unwrap();
    let id = format!("resp-{said}");
    let response = |status: &str| {
        json!({"id": id, "object": "response", "status": status, "model": MODEL, "output": [],
            "previous_response_id": frame.get("previous_response_id"), "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
    };
    let reasoning = json!({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "secret"});
    let mut answer = message("assistant", &format!("echo {said}"));
    answer["id"] = json!("msg_1");
    answer["status"] = json!("completed");
    answer["content"][0]["annotations"] = json!([]);
    let done = |at: usize, item: Value| json!({"type": "response.output_item.done", "output_index": at, "item": item});
    let delta = json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "content_index": 0, "delta": format!("echo {said}")});
    let added = json!({"type": "response.output_item.added", "output_index": 1, "item": {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}});
    let events = [
        json!({"type": "response.created", "response": response("in_progress")}),
        done(0, reasoning),
        added,
        delta,
        done(1, answer),
        json!({"type": "response.completed", "response": response("completed")}),
    ];
    events.iter().map(Value::to_string).collect()
}

fn echoing(received: &Received) -> Talk {
    Talk::Frames(if received.body.is_empty() { Vec::new() } else { echo(&received.json()) })
}

/// A turn of a Responses client that has said and heard this so far, each in turn.
fn turn(said: &[&str], is_stream: bool) -> Value {
    let input: Vec<Value> = said
        .iter()
        .enumerate()
        .map(|(at, text)| message(if at % 2 == 0 { "user" } else { "assistant" }, text))
        .collect();
    json!({"model": MODEL, "input": input, "stream": is_stream})
}

async fn say(gateway: &Gateway, said: &[&str]) -> String {
    let answer = support::ask(gateway, "/v1/responses", &turn(said, false)).await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, gateway.log());
    let items = answer.json()["output"].take();
    let message = items.as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap();
    message["content"][0]["text"].as_str().unwrap().to_owned()
}

/// The sockets of all frames, the texts of each, and from which answer each goes on.
fn told(talker: &Talker) -> Vec<(usize, Vec<String>, Option<String>)> {
    let from = |frame: &Value| frame["previous_response_id"].as_str().map(str::to_owned);
    talker.frames().iter().map(|(socket, frame)| (*socket, texts(frame), from(frame))).collect()
}

fn frame(socket: usize, texts: &[&str], from: Option<&str>) -> (usize, Vec<String>, Option<String>) {
    (socket, texts.iter().map(|text| (*text).to_owned()).collect(), from.map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_says_what_is_new_alone_whatever_the_clients_format() {
    let talker = Talker::start(echoing).await;
    let gateway = start(&talker, "");
    assert_eq!(say(&gateway, &["one"]).await, "echo one");
    assert_eq!(say(&gateway, &["one", "echo one", "two"]).await, "echo two");
    assert_eq!(say(&gateway, &["one", "echo one", "two", "echo two", "three"]).await, "echo three");
    let expected = [
        frame(1, &["one"], None),
        frame(1, &["two"], Some("resp-one")),
        frame(1, &["three"], Some("resp-two")),
    ];
    assert_eq!(told(&talker), expected);
    // Other clients write the same history in their own ways.
    for (format, at) in [("chat", 2), ("claude", 3), ("gemini", 4)] {
        let (path, body) = support::request(format, MODEL, false);
        // Each is a conversation of its own.
        let mut body: Value =
            serde_json::from_str(&body.to_string().replace("\"hi\"", &format!("\"{format}\""))).unwrap();
        let first = support::ask(&gateway, &path, &body).await;
        assert_eq!(
            support::text_of(format, false, &first.body),
            format!("echo {format}"),
            "{format}: {}",
            first.body
        );
        let answered = format!("echo {format}");
        let (list, turns) = if format == "gemini" {
            let turn = |role: &str, text: &str| json!({"role": role, "parts": [{"text": text}]});
            ("contents", [turn("model", &answered), turn("user", "more")])
        } else {
            let turn = |role: &str, text: &str| json!({"role": role, "content": text});
            ("messages", [turn("assistant", &answered), turn("user", "more")])
        };
        body[list].as_array_mut().unwrap().extend(turns);
        let second = support::ask(&gateway, &path, &body).await;
        assert_eq!(support::text_of(format, false, &second.body), "echo more", "{format}: {}", second.body);
        assert_eq!(
            told(&talker).pop().unwrap(),
            frame(at, &["more"], Some(&format!("resp-{format}"))),
            "{format}"
        );
    }
}

/// The record of a request whose answer is complete.
async fn record(gateway: &Gateway, id: &str) -> String {
    loop {
        let files = std::fs::read_dir(gateway.accounts().join("logs")).into_iter().flatten();
        // What a record is put together from has other names.
        let whole =
            files.map(|file| file.unwrap().path()).filter(|path| path.extension() == Some("log".as_ref()));
        let mut texts = whole.filter_map(|path| std::fs::read_to_string(path).ok());
        if let Some(text) = texts.find(|text| text.contains(id) && text.contains("=== RESPONSE ===")) {
            return text;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_shows_what_was_said_over_the_socket() {
    let talker = Talker::start(|received| {
        if received.body.is_empty() {
            return Talk::Frames(Vec::new());
        }
        let frame = received.json();
        let is_forgotten = texts(&frame) == ["three"] && frame.get("previous_response_id").is_some();
        let refusal = r#"{"type":"error","status":400,"error":{"code":"previous_response_not_found"}}"#;
        Talk::Frames(if is_forgotten { vec![refusal.to_owned()] } else { echo(&frame) })
    })
    .await;
    let gateway = start(&talker, "request-log: true\n");
    let mut records = Vec::new();
    let said = ["one", "echo one", "two", "echo two", "three"];
    for length in [1, 3, 5] {
        let answer = support::ask(&gateway, "/v1/responses", &turn(&said[..length], false)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        records.push(within(record(&gateway, answer.header("x-request-id"))).await);
    }
    let asked: Vec<Vec<Value>> = records
        .iter()
        .map(|text| {
            let asked = text.split("=== API REQUEST ").skip(1);
            asked
                .map(|part| {
                    let body = part.split("\nBody:\n").nth(1).unwrap().lines().next().unwrap();
                    serde_json::from_str(body).unwrap()
                })
                .collect()
        })
        .collect();
    let frames: Vec<Value> = talker.frames().into_iter().map(|(_, frame)| frame).collect();
    // The third was said twice: what is new alone, and everything, because the upstream had forgotten.
    assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 2], "{records:#?}");
    assert_eq!(asked.concat(), frames);
    let (first, second) = records[2].split_once("=== API REQUEST 2 ===").unwrap();
    assert!(first.contains("Error: the upstream refuses to go on: 400"), "{first}");
    assert!(second.contains("=== API RESPONSE 2 ==="), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_said_in_full() {
    let talker = Talker::start(echoing).await;
    let gateway = start(&talker, "");
    say(&gateway, &["one"]).await;
    // Two go on from the same answer; one of them has to say everything.
    let both = tokio::join!(
        say(&gateway, &["one", "echo one", "left"]),
        say(&gateway, &["one", "echo one", "right"])
    );
    assert_eq!(both, ("echo left".to_owned(), "echo right".to_owned()));
    let two: Vec<_> =
        told(&talker).split_off(1).into_iter().map(|(_, texts, from)| (texts.len(), from)).collect();
    for expected in [(1, Some("resp-one".to_owned())), (3, None)] {
        assert!(two.contains(&expected), "{two:?}");
    }
    // Another history, and other instructions to the same one.
    let history = ["one", "echo ONE", "two"];
    assert_eq!(say(&gateway, &history).await, "echo two");
    let mut other = turn(&["one", "echo ONE", "two", "echo two", "three"], false);
    other["instructions"] = json!("be brief");
    assert_eq!(support::ask(&gateway, "/v1/responses", &other).await.status, 200);
    for (said, (_, texts, from)) in [3, 5].into_iter().zip(told(&talker).split_off(3)) {
        assert_eq!((texts.len(), from), (said, None), "{texts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_with_a_name_keeps_its_socket_when_its_history_changes() {
    let talker = Talker::start(echoing).await;
    let gateway = start(&talker, "");
    for said in [&["one"][..], &["all that was, in short"][..]] {
        let asked = posting(&gateway, "/v1/responses", &turn(said, true)).header("session_id", "mine");
        assert_eq!(send(asked).await.status, 200);
    }
    let asked = posting(&gateway, "/v1/responses", &turn(&["one"], true)).header("session_id", "another");
    assert_eq!(send(asked).await.status, 200);
    let sockets: Vec<usize> = talker.frames().into_iter().map(|(socket, _)| socket).collect();
    assert_eq!(sockets, [1, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_forgets_hears_everything_again() {
    let refused = |status: u16, code: &str| json!({"type": "error", "status": status, "error": {"type": "invalid_request_error", "code": code, "message": code}});
    let silent = json!({"type": "response.created", "response": {"id": "x", "previous_response_id": null}});
    for forgetting in [
        Talk::Frames(vec![refused(400, "previous_response_not_found").to_string()]),
        Talk::Frames(vec![refused(400, "websocket_connection_limit_reached").to_string()]),
        Talk::Frames(vec![refused(500, "server_error").to_string()]),
        // It begins an answer without what it forgot.
        Talk::Frames(vec![silent.to_string()]),
        Talk::Close(1011),
        Talk::Frames(vec![
            json!({"type": "error", "error": {"code": "previous_response_not_found"}, "status": 404})
                .to_string(),
        ]),
    ] {
        let script = forgetting.clone();
        let talker = Talker::start(move |received| {
            if !received.body.is_empty() && received.json().get("previous_response_id").is_some() {
                return script.clone();
            }
            echoing(received)
        })
        .await;
        let gateway = start(&talker, "");
        say(&gateway, &["one"]).await;
        assert_eq!(say(&gateway, &["one", "echo one", "two"]).await, "echo two", "{forgetting:?}");
        let expected = [
            frame(1, &["one"], None),
            frame(1, &["two"], Some("resp-one")),
            frame(2, &["one", "echo one", "two"], None),
        ];
        assert_eq!(told(&talker), expected, "{forgetting:?}");
        // The new socket is kept like the first one.
        talker.until_standing(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_meant_is_not_asked_for_twice() {
    let talker = Talker::start(|received| {
        if received.body.is_empty() || received.json().get("previous_response_id").is_none() {
            return echoing(received);
        }
        let error = json!({"type": "usage_limit_reached", "message": "reached", "resets_in_seconds": 3600});
        Talk::Frames(vec![json!({"type": "error", "status": 429, "error": error}).to_string()])
    })
    .await;
    let gateway = start(&talker, "");
    say(&gateway, &["one"]).await;
    let answer = support::ask(&gateway, "/v1/responses", &turn(&["one", "echo one", "two"], false)).await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(talker.frames().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_was_closed_between_turns_costs_nothing() {
    let talker = Talker::start(|received| match echoing(received) {
        Talk::Frames(frames) if !frames.is_empty() => Talk::Last(frames),
        other => other,
    })
    .await;
    let gateway = start(&talker, "");
    say(&gateway, &["one"]).await;
    talker.until_standing(0).await;
    assert_eq!(say(&gateway, &["one", "echo one", "two"]).await, "echo two");
    assert_eq!(told(&talker), [frame(1, &["one"], None), frame(2, &["one", "echo one", "two"], None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_socket_with_it() {
    let talker = Talker::start(|received| match echoing(received) {
        // The end of the answer does not come.
        Talk::Frames(mut frames) => {
            frames.pop();
            Talk::Frames(frames)
        }
        other => other,
    })
    .await;
    let gateway = start(&talker, "");
    let mut answer = posting(&gateway, "/v1/responses", &turn(&["one"], true)).send().await.unwrap();
    let first = within(answer.chunk()).await.unwrap();
    assert!(first.is_some());
    drop(answer);
    within(talker.until_standing(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_conversations_leave_a_bounded_number_of_sockets() {
    let talker = Talker::start(echoing).await;
    let gateway = start(&talker, "");
    let names: Vec<String> = (0..40).map(|number| format!("n{number}")).collect();
    for name in &names {
        say(&gateway, &[name]).await;
    }
    within(talker.until_standing(16)).await;
    // The last ones go on, the first ones begin anew, and nobody loses a word.
    for name in [&names[39], &names[0]] {
        assert_eq!(say(&gateway, &[name, &format!("echo {name}"), "more"]).await, "echo more");
    }
    let told = told(&talker);
    assert_eq!(told[40], frame(40, &["more"], Some("resp-n39")));
    assert_eq!(told[41], frame(41, &["n0", "echo n0", "more"], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_gone_leaves_no_socket_and_a_new_token_none_of_the_old() {
    let talker = Talker::start(echoing).await;
    let gateway = start(&talker, "");
    say(&gateway, &["one"]).await;
    let path = gateway.accounts().join("codex-a.json");
    support::write(&path, &account("b").to_string());
    gateway.said("auth files changed", 1);
    assert_eq!(say(&gateway, &["one", "echo one", "two"]).await, "echo two");
    assert_eq!(told(&talker)[1], frame(2, &["one", "echo one", "two"], None));
    std::fs::remove_file(&path).unwrap();
    gateway.said("auth files changed", 2);
    within(talker.until_standing(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_go_over_tls_and_through_every_kind_of_proxy_whose_password_goes_no_further() {
    let password = Some("user:secret-0001");
    let authority = Authority::new();
    for kind in ["none", "http", "https", "socks5"] {
        for is_tls in [false, true] {
            let talker = if is_tls {
                Talker::start_tls(&authority, echoing).await
            } else {
                Talker::start(echoing).await
            };
            let proxy = match kind {
                "https" => Proxy::https(&authority, password).await,
                "socks5" => Proxy::socks5(password).await,
                _ => Proxy::http(password).await,
            };
            let way = if kind == "none" { "direct".to_owned() } else { proxy.url(password) };
            let config = config(&talker, &format!("proxy-url: '{way}'\n"));
            let launch = support::launch().config(&config).variable("SSL_CERT_FILE", authority.file());
            let gateway = launch.beside_account("codex-a.json", &account("a").to_string()).start();
            say(&gateway, &["one"]).await;
            assert_eq!(say(&gateway, &["one", "echo one", "two"]).await, "echo two");
            let what = format!("{kind}, TLS {is_tls}");
            assert_eq!(told(&talker)[1], frame(1, &["two"], Some("resp-one")), "{what}");
            assert_eq!(proxy.asked().len(), usize::from(kind != "none"), "{what}: {:?}", proxy.asked());
            for received in talker.received() {
                assert!(!received.headers.contains_key("proxy-authorization"), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_wait_hold_up_no_end() {
    let talker = Talker::start(echoing).await;
    let gateway = start(&talker, "");
    say(&gateway, &["one"]).await;
    assert!(gateway.end().success());
    within(talker.until_standing(0)).await;
}
