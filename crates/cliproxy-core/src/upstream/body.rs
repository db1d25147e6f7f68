//! Bodies of upstream answers: from a socket, or made by a provider inside the process.

use std::error::Error as _;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::error::Elapsed;

use super::kept::Travelling;
use super::page;
use super::socket::Socket;
use super::tape::Tape;

/// The body of an answer.
pub enum UpstreamBody {
    /// From a connection.
    Http(Travelling),
    /// From a websocket.
    Socket(Box<Socket>),
    /// From a web page.
    Page(Box<page::Answer>),
    /// Made inside the process.
    Local(Local),
    /// Already read.
    Whole(Option<Bytes>),
    /// Taken down as it is read.
    Taped(Box<(Self, Arc<dyn Tape>)>),
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "UpstreamBody::Http",
            Self::Socket(_) => "UpstreamBody::Socket",
            Self::Page(_) => "UpstreamBody::Page",
            Self::Local(_) => "UpstreamBody::Local",
            Self::Whole(_) => "UpstreamBody::Whole",
            Self::Taped(_) => "UpstreamBody::Taped",
        })
    }
}

impl UpstreamBody {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The connection broke before the end of the body.
    pub fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Self::Local(local) => local.poll_chunk(context),
            Self::Taped(taped) => {
                let (body, tape) = &mut **taped;
                let chunk = std::task::ready!(body.poll_chunk(context));
                match &chunk {
                    Some(Ok(bytes)) => tape.piece(bytes),
                    Some(Err(message)) => tape.failed(message),
                    None => {}
                }
                Poll::Ready(chunk)
            }
            Self::Socket(socket) => socket.poll_chunk(context),
            Self::Page(answer) => answer.poll_chunk(context),
            Self::Http(body) => {
                body.poll_data(context).map(|data| data.map(|data| data.map_err(|error| describe(&error))))
            }
        }
    }
}

impl UpstreamBody {
    /// The same body, taken down as it is read.
    #[must_use]
    pub fn taped(self, tape: Arc<dyn Tape>) -> Self {
        Self::Taped(Box::new((self, tape)))
    }

    /// The next piece, if it comes within `idle`; `None` at the end.
    ///
    /// # Errors
    /// It did not, or the connection broke.
    pub async fn next(&mut self, idle: Option<Duration>) -> Result<Option<Bytes>, ReadError> {
        let next = std::future::poll_fn(|context| self.poll_chunk(context));
        let chunk = match idle {
            Some(limit) => within(limit, next).await.map_err(|_elapsed| ReadError::Idle(limit))?,
            None => next.await,
        };
        chunk.transpose().map_err(ReadError::Broken)
    }
}

/// Waits for `work` for so long. What is there already costs no timer.
///
/// # Errors
/// The time was over first.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut work = std::pin::pin!(work);
    let first = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
    match first {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => tokio::time::timeout(limit, work).await,
    }
}

fn describe(error: &hyper::Error) -> String {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let is_cut = cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::UnexpectedEof);
    if is_cut || error.is_incomplete_message() || error.is_closed() {
        return "the upstream closed the connection in the middle of its answer".to_owned();
    }
    if error.is_timeout() {
        return "the upstream connection timed out".to_owned();
    }
    "the upstream connection broke".to_owned()
}

/// Why a whole body could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// The connection broke.
    Broken(String),
    /// Nothing came for too long.
    Idle(Duration),
    /// Longer than allowed.
    TooLarge,
}

/// Reads a body to its end, within limits.
///
/// # Errors
/// See [`ReadError`].
pub async fn read_all(
    mut body: UpstreamBody,
    idle: Option<Duration>,
    limit: usize,
) -> Result<Bytes, ReadError> {
    let mut first: Option<Bytes> = None;
    let mut gathered = BytesMut::new();
    loop {
        let Some(bytes) = body.next(idle).await? else {
            return Ok(first.unwrap_or_else(|| gathered.freeze()));
        };
        if first.as_ref().map_or(gathered.len(), Bytes::len) + bytes.len() > limit {
            return Err(ReadError::TooLarge);
        }
        // Most bodies come in one piece; that piece is not copied.
        if gathered.is_empty() && first.is_none() {
            first = Some(bytes);
        } else {
            if let Some(start) = first.take() {
                gathered.extend_from_slice(&start);
            }
            gathered.extend_from_slice(&bytes);
        }
    }
}

/// A body made inside the process, paced by a clock.
pub struct Local {
    pieces: std::vec::IntoIter<(Duration, Bytes)>,
    waiting: Option<(Pin<Box<tokio::time::Sleep>>, Bytes)>,
    ending: LocalEnding,
}

/// How a [`Local`] body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalEnding {
    /// As it should.
    Complete,
    /// As a connection that breaks.
    Cut,
    /// Never.
    Stall,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Local({} pieces, {:?})", self.pieces.len(), self.ending)
    }
}

impl Local {
    /// A body of pieces, each sent after its pause.
    pub fn new(pieces: Vec<(Duration, Bytes)>, ending: LocalEnding) -> Self {
        Self { pieces: pieces.into_iter(), waiting: None, ending }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        if self.waiting.is_none() {
            let Some((pause, bytes)) = self.pieces.next() else {
                return match self.ending {
                    LocalEnding::Complete => Poll::Ready(None),
                    LocalEnding::Cut => {
                        self.ending = LocalEnding::Complete;
                        Poll::Ready(Some(Err(
                            "the upstream closed the connection in the middle of its answer".to_owned(),
                        )))
                    }
                    LocalEnding::Stall => Poll::Pending,
                };
            };
            if pause.is_zero() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            self.waiting = Some((Box::pin(tokio::time::sleep(pause)), bytes));
        }
        let Some((sleep, _)) = self.waiting.as_mut() else { return Poll::Pending };
        match sleep.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(self.waiting.take().map(|(_, bytes)| Ok(bytes))),
        }
    }
}
