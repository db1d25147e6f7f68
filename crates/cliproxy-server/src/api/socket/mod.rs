//! Responses over a websocket: every request of a conversation over one connection, one message for each event.
//!
//! The connection keeps what was said, so that a client may send what is new alone; upstreams are asked over HTTP by the
//! ordinary engine, each time with the whole conversation, so every upstream works. What a message means is
//! [`conversation`]'s business; here messages are read, answers written, and the end of either side noticed.

mod conversation;

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::Response;
use bytes::Bytes;
use cliproxy_core::provider::Operation;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json;
use cliproxy_wire::sse::{Decoder, Frame};
use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt as _;

use self::conversation::{Conversation, Turn};
use super::call::{self, Refusal, Route};
use crate::stream::Egress;
use crate::{App, reply};

/// Longest error body that is passed on.
const LONGEST_ERROR: usize = 1 << 20;
/// Longest event that is passed on: inline images come as one.
const LONGEST_EVENT: usize = 32 << 20;
/// Messages that a client may send ahead while an answer runs.
const AHEAD: usize = 8;
/// Longest time for the last words of a connection.
const FAREWELL: Duration = Duration::from_secs(1);

/// Opens a websocket; a request for none is told what there is.
pub(super) async fn open(State(app): State<App>, request: Request) -> Response {
    let (mut head, _body) = request.into_parts();
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut head, &app).await else {
        return no_upgrade();
    };
    let snapshot = app.engine.snapshot();
    if let Err(fault) = call::admit(&snapshot, &head) {
        let id = call::request_id();
        call::reject(&app, Format::Responses, &id, &fault, None);
        return reply::fault(Format::Responses, &fault, &id, false);
    }
    let limit = usize::try_from(snapshot.settings.max_request_body_bytes).unwrap_or(usize::MAX);
    // What belongs to the connection belongs to none of its requests.
    let handshake: Vec<_> =
        head.headers.keys().filter(|name| name.as_str().starts_with("sec-websocket-")).cloned().collect();
    for name in handshake.iter().chain(&[CONNECTION, UPGRADE]) {
        head.headers.remove(name);
    }
    let open = app.sockets.conversations.enter();
    upgrade.max_message_size(limit).max_frame_size(limit).on_upgrade(move |socket| async move {
        let _open = open;
        let cancel = app.engine.tasks().1.clone();
        let session = Session { app, head, socket, conversation: Conversation::new(limit), limit };
        // Boxed: what a session holds is larger than what a task should move around.
        let serving = Box::pin(session.serve());
        tokio::select! {
            () = serving => {}
            () = cancel.cancelled() => {}
        }
    })
}

/// Clients that prefer a websocket fall back to POST at once on 426.
fn no_upgrade() -> Response {
    let fault = Fault::new(Kind::InvalidRequest, "open a websocket here, or send a POST request")
        .with_code("upgrade_required")
        .with_status(StatusCode::UPGRADE_REQUIRED.as_u16());
    let mut response = reply::fault(Format::Responses, &fault, &call::request_id(), false);
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}

struct Session {
    app: App,
    head: Parts,
    socket: WebSocket,
    conversation: Conversation,
    /// Longest message, in bytes.
    limit: usize,
}

/// The client is gone, or is to go.
struct Gone;

impl Session {
    async fn serve(mut self) {
        let mut ahead = Ahead::new(self.limit);
        let end = self.app.sockets.conversations.clone();
        while !end.has_come() {
            let message = if let Some(message) = ahead.next() {
                message
            } else {
                tokio::select! {
                    () = end.come() => break,
                    message = self.socket.recv() => match message {
                        Some(Ok(message)) => message,
                        // A message over the limit and a broken frame end the connection on both sides.
                        Some(Err(_)) | None => return,
                    },
                }
            };
            let handled = match message {
                Message::Text(text) => self.message(text.as_str(), &mut ahead).await,
                Message::Binary(_) => {
                    let fault =
                        Fault::new(Kind::InvalidRequest, "send text messages; binary ones are not read");
                    self.refuse(fault.into()).await
                }
                Message::Close(_) => return,
                Message::Ping(_) | Message::Pong(_) => Ok(()),
            };
            if handled.is_err() {
                return;
            }
        }
        self.close(close_code::AWAY, "the gateway ends").await;
    }

    /// Says why the connection ends, and takes what the client still sends: a close with something unread would reach it
    /// as a broken connection.
    async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let leaving = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        // Whether it arrives or not, the connection ends.
        drop(tokio::time::timeout(FAREWELL, leaving).await);
    }

    async fn message(&mut self, text: &str, ahead: &mut Ahead) -> Result<(), Gone> {
        let turn = match self.conversation.take(text) {
            Ok(turn) => turn,
            Err(fault) => return self.turn_away(&fault).await,
        };
        let body = match turn {
            Turn::Ask(body) => body,
            Turn::Warm(events) => {
                for event in events {
                    self.send(event).await?;
                }
                return Ok(());
            }
        };
        // A key that was taken away ends with the request that runs.
        let admitted = call::admit(&self.app.engine.snapshot(), &self.head);
        let caller = match admitted {
            Ok(caller) => caller,
            Err(fault) => return self.turn_away(&fault).await,
        };
        let id = call::request_id();
        let route = Route::new(Format::Responses, Operation::Generate);
        let answering = call::answer(&self.app, route, Box::new(self.head.clone()), body.into(), caller, &id);
        let mut answering = Box::pin(answering);
        let answer = loop {
            tokio::select! {
                answer = &mut answering => break answer,
                message = self.socket.recv() => ahead.keep(message)?,
            }
        };
        drop(answering);
        match answer {
            Ok(response) if response.status().is_success() => self.stream(response.into_body(), ahead).await,
            Ok(response) => self.refuse_with(response.map(Body::new)).await,
            Err(refusal) => self.refuse(refusal).await,
        }
    }

    /// Passes an answer on, event by event, and listens whether the client is still there.
    async fn stream(&mut self, mut body: Egress, ahead: &mut Ahead) -> Result<(), Gone> {
        let mut decoder = Decoder::new(LONGEST_EVENT);
        let mut events: Vec<String> = Vec::new();
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                message = self.socket.recv() => {
                    ahead.keep(message)?;
                    continue;
                }
            };
            let mut each = |frame: Frame<'_>| {
                if let Frame::Data { data, .. } = frame
                    && data != "[DONE]"
                {
                    events.push(data.to_owned());
                }
            };
            let (is_over, read) = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => (false, decoder.push(&bytes, &mut each)),
                    Err(_trailers) => (false, Ok(())),
                },
                Some(Err(_)) | None => (true, decoder.finish(&mut each)),
            };
            if let Err(fault) = read {
                return self.refuse(fault.into()).await;
            }
            if events.is_empty() && !is_over {
                // A sign of life of the stream is one of the connection.
                self.socket.send(Message::Ping(Bytes::new())).await.map_err(|_gone| Gone)?;
            }
            for event in std::mem::take(&mut events) {
                self.conversation.note(&event);
                self.send(event).await?;
            }
            if is_over {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, event: String) -> Result<(), Gone> {
        self.socket.send(Message::Text(event.into())).await.map_err(|_gone| Gone)
    }

    /// Refuses what is no call.
    async fn turn_away(&mut self, fault: &Fault) -> Result<(), Gone> {
        let id = call::request_id();
        call::reject(&self.app, Format::Responses, &id, fault, None);
        self.refuse_with(reply::fault(Format::Responses, fault, &id, false)).await
    }

    async fn refuse(&mut self, refusal: Refusal) -> Result<(), Gone> {
        let response = refusal.into_response(Format::Responses, &call::request_id());
        self.refuse_with(response).await
    }

    /// Says an error; the connection stays open for a better request.
    async fn refuse_with(&mut self, response: Response) -> Result<(), Gone> {
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), LONGEST_ERROR).await.unwrap_or_default();
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let error = json::member(text, "error").unwrap_or("{}");
        let mut event = Vec::new();
        json::object(&mut event, |root| {
            root.str("type", "error");
            root.u64("status", u64::from(status));
            root.raw("error", error);
        });
        self.send(String::from_utf8_lossy(&event).into_owned()).await?;
        if status == StatusCode::UNAUTHORIZED.as_u16() {
            self.close(close_code::POLICY, "unauthorized").await;
            return Err(Gone);
        }
        Ok(())
    }
}

/// What a client has sent while an answer runs.
struct Ahead {
    messages: VecDeque<Message>,
    /// How many bytes more are kept: no more in all than one message may have.
    room: usize,
}

impl Ahead {
    fn new(room: usize) -> Self {
        Self { messages: VecDeque::new(), room }
    }

    fn next(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.room += length(&message);
        Some(message)
    }

    /// Keeps what came. A client that sends more than is kept is not waited for.
    fn keep(&mut self, received: Option<Result<Message, axum::Error>>) -> Result<(), Gone> {
        let Some(Ok(message)) = received else { return Err(Gone) };
        match message {
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(Gone),
            Message::Text(_) | Message::Binary(_) => {}
        }
        let room = self.room.checked_sub(length(&message)).filter(|_| self.messages.len() < AHEAD);
        self.room = room.ok_or(Gone)?;
        self.messages.push_back(message);
        Ok(())
    }
}

fn length(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Message {
        Message::Text("x".repeat(length).into())
    }

    #[test]
    fn what_is_sent_ahead_is_kept_within_a_number_and_a_length() {
        let mut ahead = Ahead::new(100);
        for _ in 0..AHEAD {
            assert!(ahead.keep(Some(Ok(text(1)))).is_ok());
        }
        assert!(ahead.keep(Some(Ok(text(1)))).is_err(), "too many");
        let mut ahead = Ahead::new(100);
        assert!(
            ahead.keep(Some(Ok(text(60)))).is_ok()
                && ahead.keep(Some(Ok(Message::Ping(Bytes::new())))).is_ok()
        );
        assert!(ahead.keep(Some(Ok(text(41)))).is_err(), "too long");
        assert!(ahead.keep(Some(Ok(text(40)))).is_ok());
        assert!(
            ahead.next().is_some() && ahead.keep(Some(Ok(text(61)))).is_err(),
            "what was taken makes room"
        );
        assert!(ahead.keep(Some(Ok(text(60)))).is_ok());
    }
}
