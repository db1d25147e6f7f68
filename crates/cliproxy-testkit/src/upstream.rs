//! A scripted upstream.

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::Notify;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method.
    pub method: http::Method,
    /// Path with query.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Script {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<(Duration, Bytes)>,
    is_cut: bool,
    stalls: bool,
}

impl Script {
    /// A JSON body.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            pieces: vec![(Duration::ZERO, body.into())],
            is_cut: false,
            stalls: false,
        }
    }

    /// An event stream in pieces.
    pub fn events(pieces: Vec<Bytes>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "text/event-stream".to_owned())],
            pieces: pieces.into_iter().map(|piece| (Duration::ZERO, piece)).collect(),
            is_cut: false,
            stalls: false,
        }
    }

    /// The same with another header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same, with the connection broken after the last piece.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    /// The same, silent for ever after the last piece.
    #[must_use]
    pub fn stalled(mut self) -> Self {
        self.stalls = true;
        self
    }
}

type Answers = dyn Fn(&Received) -> Script + Send + Sync;

#[derive(Default)]
struct Log {
    received: Mutex<Vec<Received>>,
    dropped: Notify,
}

/// A running scripted upstream.
pub struct Upstream {
    address: SocketAddr,
    log: Arc<Log>,
    _server: tokio::task::JoinHandle<()>,
}

impl Upstream {
    /// Starts one that answers every request by `script`.
    pub async fn start(script: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let log = Arc::new(Log::default());
        let script: Arc<Answers> = Arc::new(script);
        let shared = Arc::clone(&log);
        let app = axum::Router::new().fallback(move |request: Request| {
            let (script, log) = (Arc::clone(&script), Arc::clone(&shared));
            async move { answer(request, &*script, log).await }
        });
        #[expect(clippy::disallowed_methods, reason = "the server lives as long as the test's runtime")]
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("the server runs") });
        Self { address, log, _server: server }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.log.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the peer lets go of a body that was not finished.
    pub async fn dropped(&self) {
        self.log.dropped.notified().await;
    }
}

async fn answer(request: Request, script: &Answers, log: Arc<Log>) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole request body").to_bytes();
    let received =
        Received { method: parts.method, path: parts.uri.to_string(), headers: parts.headers, body };
    let script = script(&received);
    log.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(script.status).expect("a status");
    for (name, value) in &script.headers {
        let value = HeaderValue::from_str(value).expect("a header value");
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    *response.body_mut() = Body::new(Scripted {
        pieces: script.pieces.into_iter(),
        pause: None,
        is_cut: script.is_cut,
        stalls: script.stalls,
        is_flushed: false,
        is_done: false,
        log,
    });
    response
}

struct Scripted {
    pieces: std::vec::IntoIter<(Duration, Bytes)>,
    pause: Option<(Pin<Box<tokio::time::Sleep>>, Bytes)>,
    is_cut: bool,
    stalls: bool,
    is_flushed: bool,
    is_done: bool,
    log: Arc<Log>,
}

impl http_body::Body for Scripted {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.pause.is_none() {
            match self.pieces.next() {
                Some((pause, bytes)) if pause.is_zero() => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some((pause, bytes)) => self.pause = Some((Box::pin(tokio::time::sleep(pause)), bytes)),
                None if self.stalls => return Poll::Pending,
                // The server writes out what was said when the body has nothing to say for a moment.
                None if self.is_cut && !self.is_done && !self.is_flushed => {
                    self.is_flushed = true;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None if self.is_cut && !self.is_done => {
                    self.is_done = true;
                    return Poll::Ready(Some(Err(std::io::Error::other("cut by script"))));
                }
                None => {
                    self.is_done = true;
                    return Poll::Ready(None);
                }
            }
        }
        let Some((sleep, _)) = self.pause.as_mut() else { return Poll::Pending };
        std::task::ready!(sleep.as_mut().poll(context));
        Poll::Ready(self.pause.take().map(|(_, bytes)| Ok(Frame::data(bytes))))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if !self.is_done {
            self.log.dropped.notify_one();
        }
    }
}
