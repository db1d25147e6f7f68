//! The browser's side of the socket, frame by frame.

use cliproxy_testkit::Gateway;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{self, within};

pub(super) struct Page(WebSocketStream<TcpStream>);

impl Page {
    /// Connects with a query and headers; the status of a refusal.
    pub(super) async fn try_connect(
        gateway: &Gateway,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let url = format!("ws://{}/v1/ws{query}", gateway.address());
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(gateway.address()).await.unwrap();
        match within(tokio_tungstenite::client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) async fn connect(gateway: &Gateway) -> Self {
        Self::try_connect(gateway, "", &[]).await.unwrap()
    }

    /// The next request that it is to make.
    pub(super) async fn asked(&mut self) -> Value {
        let frame = self.frame().await;
        assert_eq!(frame["type"], "http_request", "{frame}");
        frame
    }

    pub(super) async fn frame(&mut self) -> Value {
        loop {
            match within(self.0.next()).await.expect("the socket is open").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) async fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    pub(super) async fn send(&mut self, message: Message) {
        within(self.0.send(message)).await.unwrap();
    }

    /// Sends a piece however long it takes to be taken.
    pub(super) async fn press(&mut self, asked: &Value, data: &str) {
        let frame = json!({"id": asked["id"], "type": "stream_chunk", "payload": {"data": data}});
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Sends a text of this length, as far as it is taken.
    pub(super) async fn overfill(&mut self, length: usize) {
        drop(within(self.0.send(Message::text("x".repeat(length)))).await);
    }

    /// Code and reason with which the gateway closes the socket.
    pub(super) async fn closed(&mut self) -> (u16, String) {
        loop {
            match within(self.0.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_))) => {}
                other => panic!("no reason came: {other:?}"),
            }
        }
    }

    /// Answers with a body in one piece.
    pub(super) async fn answer(&mut self, asked: &Value, status: u16, body: &str) {
        let headers = json!({"Content-Type": "application/json; charset=UTF-8"});
        let payload = json!({"status": status, "headers": headers, "body": body});
        self.say(&json!({"id": asked["id"], "type": "http_response", "payload": payload})).await;
    }

    pub(super) async fn begin(&mut self, asked: &Value) {
        let payload = json!({"status": 200, "headers": {"content-type": ["text/event-stream"]}});
        self.say(&json!({"id": asked["id"], "type": "stream_start", "payload": payload})).await;
    }

    pub(super) async fn chunk(&mut self, asked: &Value, data: &str) {
        self.say(&json!({"id": asked["id"], "type": "stream_chunk", "payload": {"data": data}})).await;
    }

    pub(super) async fn end(&mut self, asked: &Value) {
        self.say(&json!({"id": asked["id"], "type": "stream_end"})).await;
    }

    /// Makes the next request as Gemini would answer it: in one piece, or as a stream cut into small pieces.
    pub(super) async fn serve(&mut self) -> Value {
        let asked = self.asked().await;
        if !asked["payload"]["url"].as_str().unwrap().contains(":stream") {
            self.answer(&asked, 200, &support::body("gemini").to_string()).await;
            return asked;
        }
        self.begin(&asked).await;
        let events: Vec<char> = support::events("gemini").chars().collect();
        for piece in events.chunks(11) {
            self.chunk(&asked, &piece.iter().collect::<String>()).await;
        }
        self.end(&asked).await;
        asked
    }
}
