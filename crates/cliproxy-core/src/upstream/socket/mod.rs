//! Responses over a websocket: the request as one text frame, the events of the answer as text frames.
//!
//! To everything above it is an answer like any other. A refusal that comes as a frame has the status, the headers and the
//! body that the frame says; what leads an answer of quotas becomes the headers that say so by HTTP; all other frames
//! become server-sent events. After an answer that is complete a socket waits in [`kept`] for the next turn of its
//! conversation, which then says what is new alone ([`turn`]). What goes wrong on such a socket before an answer has
//! begun is forgotten, and the whole request said over a new one.
//!
//! Source: the websocket transport of OpenAI's open-source Codex client, version 2026-02-06.

mod kept;
mod turn;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cliproxy_wire::json::patch::{self, Edit, Path};
use cliproxy_wire::json::{self, Raw};
use cliproxy_wire::sse;
use futures_util::{SinkExt as _, Stream as _};
use http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub(super) use self::kept::{Key, Sockets};
use self::kept::{Standing, Taken};
pub(super) use self::turn::Turn;
use super::Outgoing;
use super::tape::Script;

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// Longest message: pictures come in one.
const LONGEST_MESSAGE: usize = 64 << 20;
/// What one that waits holds on to; longer messages take what they need.
const READ_BUFFER: usize = 16 << 10;
/// The event that says what the headers of an answer say by HTTP, and how much of them is waited through.
pub(crate) const LIMITS: &str = "codex.rate_limits";
const LONGEST_LEAD: usize = 64 << 10;
/// What RFC 6455 has behind the key before it is hashed.
const PROTOCOL: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request over a websocket.
#[derive(Debug)]
pub struct Talk {
    /// Absolute address, as of the same request by HTTP.
    pub uri: Uri,
    /// Headers of the upgrade; credentials marked sensitive.
    pub headers: HeaderMap,
    /// The text frame that asks.
    pub opening: String,
    /// The same by HTTP, for an upstream that has no websockets.
    pub instead: Outgoing,
    /// The upstream goes on from its last answer on the same socket, so sockets are kept between turns.
    pub goes_on: bool,
}

/// The headers that ask for an upgrade, and the word that says that it was understood.
pub(super) fn upgrade_headers(mut headers: HeaderMap) -> (HeaderMap, String) {
    let mut key = [0; 16];
    // A key that anybody could guess would do as well: it only tells this protocol from others.
    let _filled = SystemRandom::new().fill(&mut key);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = STANDARD.encode(key);
    let accepted = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{PROTOCOL}").as_bytes());
    if let Ok(key) = HeaderValue::try_from(key) {
        headers.insert(SEC_WEBSOCKET_KEY, key);
    }
    (headers, STANDARD.encode(accepted))
}

/// What came first in answer to the opening.
pub(super) enum First {
    /// An answer has begun; with what it says in headers by HTTP.
    Answer(Box<Socket>, HeaderMap),
    /// The upstream refuses.
    Refusal(StatusCode, HeaderMap, Bytes),
}

/// An answer that comes as frames.
pub struct Socket {
    stream: Option<Stream>,
    /// Events that were read already.
    first: Option<Bytes>,
    /// What becomes of the stream after the answer; `None` when it ends with it.
    keeper: Option<Box<Keeper>>,
}

/// What keeps a socket after its answer.
pub(super) struct Keeper {
    sockets: Arc<Sockets>,
    key: Key,
    /// What is said, and what is answered so far.
    turn: Turn,
    n_asked: usize,
    headers: HeaderMap,
    opened: Instant,
}

impl Keeper {
    /// For a request that is said over a new socket, whose upgrade was answered with these headers.
    pub(super) fn new(sockets: &Arc<Sockets>, key: Key, turn: Turn, headers: &HeaderMap) -> Box<Self> {
        Box::new(Self {
            n_asked: turn.n_items(),
            sockets: Arc::clone(sockets),
            key,
            turn,
            headers: headers.clone(),
            opened: Instant::now(),
        })
    }

    /// Reads along what an answer gives.
    fn read(&mut self, kind: &str, text: &str) {
        if kind == "response.output_item.done"
            && let Some(item) = json::member(text, "item")
        {
            self.turn.add(item);
        }
    }

    /// Keeps the stream of an answer that is complete.
    fn keep(mut self: Box<Self>, text: &str, stream: Stream) {
        let response = json::member(text, "response").unwrap_or_default();
        let id = json::member(response, "id").and_then(|id| Raw::new(id).to_text());
        let Some(id) = id.filter(|id| !id.is_empty()) else { return };
        if self.turn.n_items() == self.n_asked
            && let Some(output) = json::member(response, "output")
        {
            // What cannot be read here is told wrongly to differ later.
            let _read = json::Reader::new(output).array(|_, item| {
                self.turn.add(item.raw()?);
                Ok(())
            });
        }
        let Self { sockets, key, turn, headers, opened, .. } = *self;
        sockets.keep(key, Standing { turn, id, headers, opened }, stream);
    }
}

/// Goes on over a socket of this conversation that has waited: what came first, and the headers of the upgrade's answer.
/// `None` when nothing came of it, so that everything has to be said over a new one.
pub(super) async fn go_on(
    sockets: &Arc<Sockets>,
    key: &Key,
    turn: &Turn,
    opening: &str,
    script: &Script<'_>,
) -> Option<(First, HeaderMap)> {
    let Taken { stream, headers, opened, said } = sockets.take(key, turn).await?;
    let (asked, id) = match said {
        Some((n_said, id)) => (turn::continued(opening, n_said, &id)?, Some(id)),
        None => (opening.to_owned(), None),
    };
    let keeper = Keeper {
        sockets: Arc::clone(sockets),
        key: key.clone(),
        n_asked: turn.n_items(),
        turn: turn.clone(),
        headers: headers.clone(),
        opened,
    };
    script.said(&asked);
    let why = match Socket::ask(stream, asked, Some(Box::new(keeper)), id.as_deref()).await {
        // Whose fault these are does not depend on the socket.
        Ok(First::Refusal(status, ..))
            if !matches!(
                status,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
            ) =>
        {
            format!("the upstream refuses to go on: {status}")
        }
        Ok(first) => return Some((first, headers)),
        Err(why) => why,
    };
    tracing::debug!("a kept socket is given up: {why}");
    script.failed(&why);
    None
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

impl Socket {
    /// Asks over a new connection, and waits for the first frame.
    ///
    /// # Errors
    /// The connection broke.
    pub(super) async fn open(
        upgraded: Upgraded,
        opening: String,
        keeper: Option<Box<Keeper>>,
    ) -> Result<First, String> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(LONGEST_MESSAGE))
            .max_frame_size(Some(LONGEST_MESSAGE));
        let stream =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await;
        Self::ask(stream, opening, keeper, None).await
    }

    /// Asks, to go on from the answer with this id, and waits for the first frame.
    async fn ask(
        mut stream: Stream,
        opening: String,
        keeper: Option<Box<Keeper>>,
        goes_on_from: Option<&str>,
    ) -> Result<First, String> {
        stream.send(Message::text(opening)).await.map_err(|_its_text_is_for_developers| broken())?;
        let mut socket = Self { stream: Some(stream), first: None, keeper };
        let (mut first, mut told) = (Vec::new(), HeaderMap::new());
        loop {
            match std::future::poll_fn(|context| socket.poll_frame(context)).await {
                None => return Err(broken()),
                Some(Frame::Event(text)) => {
                    if let Some((status, headers, body)) = refusal(&text) {
                        told.extend(headers);
                        return Ok(First::Refusal(status, told, body));
                    }
                    if goes_on_from.is_some_and(|id| forgot(&text, id)) {
                        return Err("the upstream does not go on from its last answer".to_owned());
                    }
                    first.extend_from_slice(&event(&text));
                    if kind(&text) != LIMITS || first.len() > LONGEST_LEAD {
                        socket.first = Some(first.into());
                        return Ok(First::Answer(Box::new(socket), told));
                    }
                    limits(&text, &mut told);
                }
                Some(Frame::TooLarge) => {
                    let body = Bytes::from_static(TOO_LARGE.as_bytes());
                    return Ok(First::Refusal(StatusCode::PAYLOAD_TOO_LARGE, json_headers(), body));
                }
                Some(Frame::Broken(message)) => return Err(message),
            }
        }
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// The connection broke before the end of the answer.
    pub(super) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        Poll::Ready(match std::task::ready!(self.poll_frame(context)) {
            None => None,
            Some(Frame::Event(text)) => Some(Ok(event(&text))),
            Some(Frame::TooLarge) => Some(Ok(event(TOO_LARGE))),
            Some(Frame::Broken(message)) => Some(Err(message)),
        })
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame>> {
        loop {
            let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
            // Pings are answered by the stream itself.
            let frame = match std::task::ready!(Pin::new(stream).poll_next(context)) {
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Text(text))) => {
                    let kind = kind(&text);
                    if !is_end(kind) {
                        if let Some(keeper) = &mut self.keeper {
                            keeper.read(kind, &text);
                        }
                        return Poll::Ready(Some(Frame::Event(text.as_str().to_owned())));
                    }
                    if matches!(kind, "response.completed" | "response.done")
                        && let (Some(keeper), Some(stream)) = (self.keeper.take(), self.stream.take())
                    {
                        keeper.keep(&text, stream);
                    }
                    Some(Frame::Event(text.as_str().to_owned()))
                }
                Some(Ok(Message::Close(Some(close)))) if close.code == CloseCode::Size => {
                    Some(Frame::TooLarge)
                }
                Some(Ok(Message::Close(_))) | None => None,
                Some(Ok(Message::Binary(_))) => {
                    Some(Frame::Broken("the upstream sent a binary frame".to_owned()))
                }
                Some(Err(_its_text_is_for_developers)) => Some(Frame::Broken(broken())),
            };
            self.stream = None;
            return Poll::Ready(frame);
        }
    }
}

/// What a frame is to the answer.
enum Frame {
    Event(String),
    /// The upstream closed because the request is too large for it.
    TooLarge,
    Broken(String),
}

/// What the upstream means by closing with 1009, in the words of its errors.
const TOO_LARGE: &str = r#"{"type":"error","status":413,"error":{"type":"request_too_large","code":"message_too_big","message":"the request is too large for the upstream"}}"#;

fn broken() -> String {
    "the upstream closed the connection in the middle of its answer".to_owned()
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

fn kind(text: &str) -> &str {
    json::member(text, "type").unwrap_or_default().trim_matches('"')
}

/// Whether an answer that begins says that it does not go on from the one with this id. One that says nothing does.
fn forgot(text: &str, id: &str) -> bool {
    let response = json::member(text, "response").filter(|_| kind(text) == "response.created");
    let from = response.and_then(|response| json::member(response, "previous_response_id"));
    from.is_some_and(|from| Raw::new(from).to_text().as_deref() != Some(id))
}

fn is_end(kind: &str) -> bool {
    matches!(
        kind,
        "response.completed" | "response.incomplete" | "response.failed" | "response.done" | "error"
    )
}

/// A frame as a server-sent event.
fn event(text: &str) -> Bytes {
    let mut kind = kind(text);
    let mut data = std::borrow::Cow::Borrowed(text);
    // Another word for it, which only websockets know.
    if kind == "response.done" {
        kind = "response.completed";
        let renamed = Edit::set(Path::root().key("type"), Raw::string(kind));
        data = patch::apply(text, &[renamed]).unwrap_or(data);
    }
    let mut out = Vec::with_capacity(data.len() + kind.len() + 24);
    sse::event(&mut out, kind, |out| out.extend_from_slice(data.as_bytes()));
    out.into()
}

/// Writes the limits of an event as the headers that they are by HTTP. Those of single models have headers of another
/// name, which the event does not say.
pub(crate) fn limits(text: &str, headers: &mut HeaderMap) {
    let limits = json::member(text, "rate_limits").unwrap_or_default();
    let name = json::member(text, "metered_limit_name").or_else(|| json::member(text, "limit_name"));
    if name.is_some_and(|name| !matches!(name, "null" | "\"codex\"")) {
        return;
    }
    for window in ["primary", "secondary"] {
        let Some(limit) = json::member(limits, window) else { continue };
        for (member, word) in
            [("used_percent", "used-percent"), ("window_minutes", "window-minutes"), ("reset_at", "reset-at")]
        {
            let value = json::member(limit, member).filter(|value| *value != "null");
            let value = value.and_then(|value| HeaderValue::try_from(value).ok());
            if let (Ok(name), Some(value)) = (HeaderName::try_from(format!("x-codex-{window}-{word}")), value)
            {
                headers.insert(name, value);
            }
        }
    }
}

/// What an error says that comes as a frame, if it has a status: it stands for an answer by HTTP.
fn refusal(text: &str) -> Option<(StatusCode, HeaderMap, Bytes)> {
    if kind(text) != "error" {
        return None;
    }
    let status = json::member(text, "status").or_else(|| json::member(text, "status_code"))?;
    let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
    let body = match (json::member(text, "error"), json::member(text, "body")) {
        (Some(error), _) => format!("{{\"error\":{error}}}"),
        (None, Some(body)) => body.to_owned(),
        (None, None) => text.to_owned(),
    };
    let mut headers = json_headers();
    if let Some(told) = json::member(text, "headers").filter(|told| told.starts_with('{')) {
        // What is no header is left out; the text was read as JSON before.
        let _complete = json::Reader::new(told).object(|name, value| {
            let value = value.to_raw()?.to_text().and_then(|value| HeaderValue::try_from(value).ok());
            if let (Ok(name), Some(value)) = (HeaderName::try_from(name), value)
                && name != CONTENT_TYPE
            {
                headers.insert(name, value);
            }
            Ok(())
        });
    }
    Some((StatusCode::from_u16(status).ok()?, headers, body.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_become_events_and_the_other_word_for_the_end_its_usual_one() {
        let shown = |text: &str| String::from_utf8(event(text).to_vec()).unwrap();
        assert_eq!(
            shown(r#"{"type":"response.output_text.delta","delta":"a"}"#),
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n"
        );
        assert_eq!(
            shown(r#"{"type":"response.done","response":{"x":1.0}}"#),
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"x\":1.0}}\n\n"
        );
    }

    #[test]
    fn limits_are_the_headers_that_they_are_by_http() {
        let told = |text: &str| {
            let mut headers = HeaderMap::new();
            limits(text, &mut headers);
            headers
        };
        let headers = told(
            r#"{"type":"codex.rate_limits","rate_limits":{"primary":{"used_percent":12.5,"window_minutes":300,"reset_at":null},"secondary":null}}"#,
        );
        assert_eq!(headers["x-codex-primary-used-percent"], "12.5");
        assert_eq!(
            (headers.len(), &headers["x-codex-primary-window-minutes"]),
            (2, &HeaderValue::from_static("300"))
        );
        let of_model = r#"{"limit_name":"spark","rate_limits":{"primary":{"used_percent":1}}}"#;
        assert!(told(of_model).is_empty());
    }

    #[test]
    fn an_error_with_a_status_is_a_refusal_with_its_headers() {
        let (status, headers, body) = refusal(
            r#"{"type":"error","status":429,"error":{"type":"usage_limit_reached"},"headers":{"x-codex-primary-used-percent":"100","bad name":"x","n":1}}"#,
        )
        .unwrap();
        assert_eq!((status.as_u16(), &*body), (429, &br#"{"error":{"type":"usage_limit_reached"}}"#[..]));
        assert_eq!(headers["x-codex-primary-used-percent"], "100");
        assert_eq!(headers.len(), 2);
        let wrapped = r#"{"type":"error","status_code":401,"body":{"error":{"code":"token_expired"}}}"#;
        let (status, _, body) = refusal(wrapped).unwrap();
        assert_eq!((status.as_u16(), &*body), (401, &br#"{"error":{"code":"token_expired"}}"#[..]));
        for no_refusal in [
            r#"{"type":"error","error":{"code":"server_is_overloaded"}}"#,
            r#"{"type":"error","status":200}"#,
            r#"{"type":"response.created","status":400}"#,
            "no JSON",
        ] {
            assert!(refusal(no_refusal).is_none(), "{no_refusal}");
        }
    }
}
