//! How a request and its answer travel over an HTTP/1 connection that nobody but the one who waits for them drives.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};

use super::{Line, Place};
use crate::upstream::connect::Wire;
use crate::upstream::pieces::Pieces;
use crate::wake::quietly;

/// An HTTP/1 connection. It moves when it is driven, and only then.
pub(super) struct Own {
    sender: http1::SendRequest<Pieces>,
    /// Let go as soon as it has ended: what it holds then is given back to whoever waits for an answer.
    connection: Option<http1::Connection<Wire, Pieces>>,
    /// The peer is a proxy that wants whole addresses.
    pub(super) is_forwarded: bool,
    /// What the wire has read, and what of it when the last request went out.
    reads: Arc<AtomicUsize>,
    n_before: usize,
}

impl Own {
    /// Opens an HTTP/1 connection over a wire.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn over(wire: Wire) -> hyper::Result<Self> {
        let (is_forwarded, reads) = (wire.is_forwarded, Arc::clone(&wire.reads));
        let (sender, connection) = http1::handshake(wire).await?;
        Ok(Self { sender, connection: Some(connection), is_forwarded, reads, n_before: 0 })
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        drive(&mut self.connection, context);
    }

    /// Whether the next request can be sent. Nobody is woken by the connection from here on.
    pub(super) fn is_free(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// With the request, when nothing of it was sent.
    pub(super) async fn send(
        &mut self,
        request: Box<Request<Pieces>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Pieces>>> {
        self.n_before = self.reads.load(Ordering::Relaxed);
        // The answer comes through the connection, which is woken by its socket: waking for the answer as well would
        // only run everything twice.
        let answer = tokio::task::unconstrained(self.sender.try_send_request(*request));
        let mut answer = pin!(answer);
        let connection = &mut self.connection;
        std::future::poll_fn(|context| {
            drive(connection, context);
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// Whether the connection ended with this error before a byte of the answer to the last request came.
    pub(super) fn ended_silently(&self, error: &hyper::Error) -> bool {
        let n_reads = self.reads.load(Ordering::Relaxed) - self.n_before;
        // That there is nothing more is read, too.
        !error.is_user() && n_reads <= usize::from(error.is_incomplete_message())
    }
}

fn drive(connection: &mut Option<http1::Connection<Wire, Pieces>>, context: &mut Context<'_>) {
    let ended = connection.as_mut().is_some_and(|open| Pin::new(open).poll(context).is_ready());
    if ended {
        *connection = None;
    }
}

/// The body of an answer, with the connection that it comes over.
pub struct Travelling {
    body: Option<Incoming>,
    own: Option<(Box<Own>, Arc<Line>, Arc<Place>)>,
}

impl fmt::Debug for Travelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Travelling")
    }
}

impl Travelling {
    /// A body whose connection has a task of its own.
    pub(in crate::upstream) fn driven(body: Incoming) -> Self {
        Self { body: Some(body), own: None }
    }

    /// A body whose connection goes back to its place behind it.
    pub(super) fn over(body: Incoming, own: Box<Own>, line: Arc<Line>, place: Arc<Place>) -> Self {
        Self { body: Some(body), own: Some((own, line, place)) }
    }

    /// The next piece of data; `None` at the end.
    pub(in crate::upstream) fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        loop {
            let frame = match &mut self.own {
                None => self.poll_body(context),
                Some(_) => self.poll_driven(context),
            };
            return match std::task::ready!(frame) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => Poll::Ready(Some(Ok(bytes))),
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => Poll::Ready(Some(Err(error))),
                None => {
                    self.part();
                    Poll::Ready(None)
                }
            };
        }
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Polled {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    /// First says that more is wanted, then lets the connection bring it. Who takes a piece comes back for the next one, so
    /// that the connection need not be woken to bring it.
    fn poll_driven(&mut self, context: &mut Context<'_>) -> Polled {
        let mut asleep = Context::from_waker(Waker::noop());
        let (frame, _held) = quietly(|| self.poll_body(&mut asleep));
        if frame.is_ready() {
            return frame;
        }
        if let Some((own, _, _)) = &mut self.own {
            own.drive(context);
        }
        quietly(|| self.poll_body(&mut asleep)).0
    }

    /// Gives the connection back, if it can be used again.
    fn part(&mut self) {
        drop(self.body.take());
        if let Some((mut own, line, place)) = self.own.take()
            && own.is_free()
        {
            line.keep(&place, own);
        }
    }
}

type Polled = Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>>;

impl Drop for Travelling {
    /// What is left of an answer that has come already is taken, and the connection is kept; else it is closed.
    fn drop(&mut self) {
        self.part();
    }
}
