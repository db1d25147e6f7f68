//! The scripted upstream. Streams are driven piece by piece by the load, which holds the other end of a [`Lane`].
//!
//! A lane's number stands in the text of its request (`lane-17;`), because that is what every format and every
//! translation carries through.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use cliproxy_bench::sample::Dialect;

/// The load's end of a stream.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) number: u64,
    /// What is sent here the upstream writes at once; dropping it ends the stream.
    pub(crate) pieces: mpsc::UnboundedSender<Bytes>,
    /// When the peer let go of the stream before its end.
    pub(crate) dropped: oneshot::Receiver<Instant>,
}

/// The streams that wait for their request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes {
    waiting: Arc<Mutex<HashMap<u64, Scripted>>>,
    next: Arc<AtomicU64>,
}

impl Lanes {
    pub(crate) fn open(&self) -> Lane {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (pieces, script) = mpsc::unbounded_channel();
        let (gone, dropped) = oneshot::channel();
        let body = Scripted { pieces: script, gone: Some(gone) };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, body);
        Lane { number, pieces, dropped }
    }

    fn take(&self, body: &[u8]) -> Option<Scripted> {
        let at = memchr::memmem::find(body, b"lane-")? + 5;
        let digits = body.get(at..)?.split(|byte| *byte == b';').next()?;
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number)
    }
}

/// A body whose pieces come from the load.
#[derive(Debug)]
struct Scripted {
    pieces: mpsc::UnboundedReceiver<Bytes>,
    gone: Option<oneshot::Sender<Instant>>,
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = std::task::ready!(self.pieces.poll_recv(context));
        if piece.is_none() {
            self.gone = None;
        }
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if let Some(gone) = self.gone.take() {
            // Nobody listens when the lane was given up first.
            gone.send(Instant::now()).ok();
        }
    }
}

/// Starts the upstream in the calling runtime; over TLS it speaks the one protocol that its acceptor offers.
pub(crate) async fn start(
    lanes: Lanes,
    tls: Option<TlsAcceptor>,
) -> anyhow::Result<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            let (lanes, tls) = (lanes.clone(), tls.clone());
            connections.spawn(async move {
                match tls {
                    None => serve(TokioIo::new(stream), lanes, false).await,
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { return };
                        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        serve(TokioIo::new(stream), lanes, is_http2).await;
                    }
                }
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok((address, server))
}

/// Serves a connection to its end.
async fn serve(stream: impl Read + Write + Unpin + Send + 'static, lanes: Lanes, is_http2: bool) {
    let service = service_fn(move |request| answer(lanes.clone(), request));
    // How a connection ends says nothing: the load notices whatever does not arrive.
    if is_http2 {
        http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await.ok();
    } else {
        http1::Builder::new().serve_connection(stream, service).await.ok();
    }
}

async fn answer(
    lanes: Lanes,
    request: Request<Incoming>,
) -> Result<Response<Either<Full<Bytes>, Scripted>>, hyper::Error> {
    let format = Dialect::of_path(request.uri().path());
    let body = request.into_body().collect().await?.to_bytes();
    let (kind, body) = match lanes.take(&body) {
        Some(stream) => ("text/event-stream", Either::Right(stream)),
        None => ("application/json", Either::Left(Full::new(format.answer()))),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
