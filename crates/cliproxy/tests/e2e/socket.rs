//! Responses over a websocket: conversations that send what is new alone, errors that leave the connection open, clients
//! that leave.

use cliproxy_testkit::{Gate, Gateway, Received, Script, Upstream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{self, FORMATS, TEXT};

struct Client(WebSocketStream<TcpStream>);

async fn connect(gateway: &Gateway, headers: &[(&'static str, &str)]) -> Result<Client, Error> {
    connect_at(gateway, "/v1/responses", headers).await
}

async fn connect_at(
    gateway: &Gateway,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Client, Error> {
    let address = gateway.url().replace("http://", "");
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    support::within(tokio_tungstenite::client_async(request, stream)).await.map(|(socket, _)| Client(socket))
}

impl Client {
    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next event; `None` when the connection has ended.
    async fn event(&mut self) -> Option<Value> {
        loop {
            match support::within(self.0.next()).await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }

    /// Code with which the gateway closes the connection.
    async fn closed(&mut self) -> u16 {
        loop {
            match support::within(self.0.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no close came: {other:?}"),
            }
        }
    }

    /// All events of one answer, to its end.
    async fn ask(&mut self, message: &Value) -> Vec<Value> {
        self.say(message).await;
        let mut events = Vec::new();
        loop {
            let event = self.event().await.expect("the connection stands");
            let kind = event["type"].as_str().unwrap().to_owned();
            events.push(event);
            if matches!(kind.as_str(), "response.completed" | "response.failed" | "error") {
                return events;
            }
        }
    }

    async fn refused(&mut self, message: &Value) -> (u64, String) {
        let events = self.ask(message).await;
        let error = events.last().unwrap();
        assert_eq!(error["type"], "error", "{error}");
        (error["status"].as_u64().unwrap(), error["error"]["message"].as_str().unwrap().to_owned())
    }
}

fn text_of(events: &[Value]) -> String {
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    deltas.map(|event| event["delta"].as_str().unwrap()).collect()
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

fn last(upstream: &Upstream) -> Value {
    upstream.received().pop().expect("a request arrived").json()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_upstream_answers_over_a_websocket_and_the_conversation_is_kept() {
    for format in FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let path = if format == "chat" { "/backend-api/codex/responses" } else { "/v1/responses" };
        // As Codex connects; an extension that is offered need not be taken.
        let headers = [
            ("openai-beta", "responses_websockets=2026-02-06"),
            ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        ];
        let mut client = connect_at(&gateway, path, &headers).await.unwrap();
        let first = client
            .ask(&json!({"type": "response.create", "model": "up", "instructions": "brief", "input": "one"}))
            .await;
        assert_eq!(first[0]["type"], "response.created", "{format}");
        assert_eq!(text_of(&first), TEXT, "{format}");
        let second = client.ask(&json!({"type": "response.append", "input": [user("two")]})).await;
        assert_eq!(text_of(&second), TEXT, "{format}");
        let sent = last(&upstream).to_string();
        let at = |text: &str| sent.find(text).unwrap_or_else(|| panic!("{text} in {format}: {sent}"));
        assert!(at("one") < at(TEXT) && at(TEXT) < at("two"), "{format}: {sent}");
        at("brief");
        assert_eq!(upstream.received().len(), 2, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_on_from_the_answer_that_it_names_and_else_begins_anew() {
    let upstream = Upstream::start(support::answering("responses")).await;
    let gateway = support::start(&support::config("responses", &upstream), &[]);
    let mut client = connect(&gateway, &[]).await.unwrap();
    let create = |members: Value| {
        let mut message = json!({"type": "response.create", "input": [user("next")]});
        message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        message
    };
    let warm = client.ask(&create(json!({"model": "up", "generate": false, "input": [user("first")]}))).await;
    assert!(upstream.received().is_empty(), "a warm-up asks nobody");
    let id = warm.last().unwrap()["response"]["id"].clone();
    let answer = client.ask(&create(json!({"previous_response_id": id}))).await;
    let sent = last(&upstream);
    assert_eq!(sent["input"], json!([user("first"), user("next")]));
    assert_eq!((&sent["model"], &sent["stream"]), (&json!("up"), &json!(true)));
    for member in ["type", "previous_response_id", "generate"] {
        assert!(sent.get(member).is_none(), "{sent}");
    }
    let id = answer.last().unwrap()["response"]["id"].clone();
    client.ask(&create(json!({"model": "up", "previous_response_id": id}))).await;
    let input = last(&upstream)["input"].clone();
    assert_eq!((input.as_array().unwrap().len(), &input[2]["content"][0]["text"]), (4, &json!(TEXT)));
    let (status, message) = client.refused(&create(json!({"previous_response_id": "resp_other"}))).await;
    assert!(status == 400 && message.contains("previous_response_id"), "{message}");
    client.ask(&create(json!({"model": "up"}))).await;
    assert_eq!(last(&upstream)["input"], json!([user("next")]), "without a name it begins anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_messages_and_failed_requests_are_told_and_the_connection_stays() {
    let upstream = Upstream::start(|received: &Received| {
        if received.json()["input"].to_string().contains("refuse") {
            return Script::json(400, json!({"error": {"message": "own words", "type": "invalid_request_error", "code": null, "param": null}}).to_string());
        }
        support::answering("responses")(received)
    })
    .await;
    let gateway = support::start(&support::config("responses", &upstream), &[]);
    let mut client = connect(&gateway, &[]).await.unwrap();
    for (message, told) in [
        (
            json!({"type": "response.append", "input": []}),
            "websocket request received before response.create",
        ),
        (json!({"type": "response.create", "input": "x"}), "missing model in response.create request"),
        (
            json!({"type": "response.create", "model": "up", "input": 7}),
            "input is neither a text nor an array",
        ),
        (json!([1]), "no JSON object"),
    ] {
        let (status, found) = client.refused(&message).await;
        assert!(status == 400 && found.contains(told), "{message}: {found}");
    }
    client.0.send(Message::binary(vec![1, 2])).await.unwrap();
    assert_eq!(client.event().await.unwrap()["status"], 400);
    let (status, told) =
        client.refused(&json!({"type": "response.create", "model": "none", "input": "x"})).await;
    assert!(status == 404 && told.contains("`none`"), "{told}");
    client.ask(&json!({"type": "response.create", "model": "up", "input": "one"})).await;
    for (message, told) in [
        (json!({"type": "response.cancel"}), "unsupported websocket request type: response.cancel"),
        (json!({"type": "response.append", "input": "two"}), "requires array field: input"),
        (json!({"type": "response.append", "input": [user("refuse")]}), "own words"),
    ] {
        let (status, found) = client.refused(&message).await;
        assert!(status == 400 && found.contains(told), "{message}: {found}");
    }
    client.ask(&json!({"type": "response.append", "input": [user("two")]})).await;
    let input = last(&upstream)["input"].to_string();
    assert!(input.contains("one") && input.contains("two") && !input.contains("refuse"), "{input}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_upstream_request_with_it() {
    let upstream = Upstream::start(|_| {
        let events = support::events("responses");
        let end = events.find("event: response.completed").unwrap();
        Script::events(vec![events[..end].to_owned().into()]).stalled()
    })
    .await;
    let gateway = support::start(&support::config("responses", &upstream), &[]);
    let mut client = connect(&gateway, &[]).await.unwrap();
    client.say(&json!({"type": "response.create", "model": "up", "input": "x"})).await;
    while client.event().await.unwrap()["type"] != "response.output_text.delta" {}
    drop(client);
    support::within(upstream.dropped()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_wanted_at_the_door_and_again_for_every_request() {
    let upstream = Upstream::start(support::answering("responses")).await;
    let config = support::config("responses", &upstream);
    let gateway = support::start(&format!("api-keys: [client-key-0001]\n{config}"), &[]);
    match connect(&gateway, &[]).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status().as_u16(), 401),
        other => panic!("no refusal: {:?}", other.is_ok()),
    }
    let mut client = connect(&gateway, &[("authorization", "Bearer client-key-0001")]).await.unwrap();
    let message = json!({"type": "response.create", "model": "up", "input": "x"});
    assert_eq!(text_of(&client.ask(&message).await), TEXT);
    let received = upstream.received().pop().unwrap();
    assert!(
        !format!("{received:?}").contains("client-key") && received.header("sec-websocket-key").is_empty()
    );
    gateway
        .reload(&format!("api-keys: [client-key-0002]\n{config}"), "server clients and configuration updated")
        .await;
    let later = json!({"type": "response.create", "model": "up", "input": [user("x")]});
    assert_eq!(client.refused(&later).await.0, 401);
    assert!(client.event().await.is_none(), "a client without a key is let go");
    // Without keys no page of another site gets in.
    let open = support::start(&config, &[]);
    match connect(&open, &[("origin", "https://evil.example")]).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status().as_u16(), 403),
        other => panic!("no refusal: {:?}", other.is_ok()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_over_the_limit_end_the_connection() {
    let upstream = Upstream::start(support::answering("responses")).await;
    let config = format!("max-request-body-mb: 1\n{}", support::config("responses", &upstream));
    let gateway = support::start(&config, &[]);
    let mut client = connect(&gateway, &[]).await.unwrap();
    let half = json!({"type": "response.create", "model": "up", "input": "x".repeat(600 << 10)});
    client.ask(&half).await;
    let (status, message) =
        client.refused(&json!({"type": "response.append", "input": [user(&"y".repeat(600 << 10))]})).await;
    assert!(status == 413 && message.contains("1 MiB"), "{message}");
    assert_eq!(text_of(&client.ask(&json!({"type": "response.append", "input": [user("z")]})).await), TEXT);
    // The gateway may close before everything is taken.
    drop(client.0.send(Message::text("x".repeat(2 << 20))).await);
    assert!(client.event().await.is_none());
    assert_eq!(upstream.received().len(), 2);
}

/// An answer of Responses, cut where text has been said.
fn halves() -> (String, String) {
    let events = support::events("responses");
    let text = events.find("response.output_text.delta").unwrap();
    let half = text + events[text..].find("\n\n").unwrap() + 2;
    (events[..half].to_owned(), events[half..].to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_order_lets_the_answer_finish_and_then_says_that_it_is_the_end() {
    let gate = Gate::default();
    let held = gate.clone();
    let upstream = Upstream::start(move |_| {
        let (first, rest) = halves();
        Script::events(vec![first.into()]).wait(&held).send(rest)
    })
    .await;
    let gateway = support::start(&support::config("responses", &upstream), &[]);
    let (mut asking, mut idle) =
        (connect(&gateway, &[]).await.unwrap(), connect(&gateway, &[]).await.unwrap());
    asking.say(&json!({"type": "response.create", "model": "up", "input": [user("hi")]})).await;
    let mut events = vec![asking.event().await.expect("the answer has begun")];
    // What was sent ahead is not begun any more.
    asking.say(&json!({"type": "response.create", "input": [user("more")]})).await;
    gateway.signal("TERM");
    assert_eq!(idle.closed().await, 1001);
    gate.open();
    while events.last().unwrap()["type"] != "response.completed" {
        events.push(asking.event().await.expect("the answer goes on"));
    }
    assert_eq!(text_of(&events), TEXT);
    assert_eq!(asking.closed().await, 1001);
    assert!(gateway.ended().await.success(), "{}", gateway.log());
    assert!(!gateway.log().contains("cut off"), "{}", gateway.log());
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_cuts_the_answer_off_and_it_does_not_look_complete() {
    let upstream = Upstream::start(|_| {
        let (first, _) = halves();
        Script::events(vec![first.into()]).stalled()
    })
    .await;
    let gateway = support::start(&support::config("responses", &upstream), &[]);
    let mut asking = connect(&gateway, &[]).await.unwrap();
    asking.say(&json!({"type": "response.create", "model": "up", "input": [user("hi")]})).await;
    assert_eq!(asking.event().await.expect("the answer has begun")["type"], "response.created");
    gateway.signal("TERM");
    gateway.line("ending: no new connections").await;
    gateway.signal("TERM");
    gateway.line("running answers are cut off").await;
    while let Some(event) = asking.event().await {
        assert_ne!(event["type"], "response.completed");
    }
    assert!(gateway.ended().await.success(), "{}", gateway.log());
}
