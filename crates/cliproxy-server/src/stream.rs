//! The body that a connection polls: an answer's stream, or the wait for it.
//!
//! When an answer takes longer to begin than proxies and clients bear silence, the response is committed before it:
//! headers go out, signs of life follow, and what comes of the call then goes into the body. The call's future lives
//! in the body, so a client that leaves still cancels everything at once.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cliproxy_core::engine::AnswerStream;
use cliproxy_core::{Answer, AnswerBody, Failure};
use futures_util::Stream as _;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

pub(crate) type Pending = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

/// A body on its way.
pub(crate) struct Egress {
    state: State,
}

enum State {
    Waiting(Box<Waiting>),
    Streaming(Box<AnswerStream>),
    Last(Bytes),
    /// What a handler has made of it.
    Made(axum::body::Body),
    Done,
}

struct Waiting {
    call: Pending,
    beat: Bytes,
    every: Duration,
    timer: Pin<Box<Sleep>>,
    /// How a failure is said inside a body whose status is already out.
    failed: Box<dyn Fn(&Failure) -> Bytes + Send>,
}

impl Egress {
    /// A body in one piece.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { state: State::Last(bytes) }
    }

    /// A body for an answer that has begun.
    pub(crate) fn streaming(stream: Box<AnswerStream>) -> Self {
        Self { state: State::Streaming(stream) }
    }

    /// A body for a call that is still waited for; `beat` is written first, and again `every` so often.
    pub(crate) fn waiting(
        call: Pending,
        beat: Bytes,
        every: Duration,
        failed: impl Fn(&Failure) -> Bytes + Send + 'static,
    ) -> Self {
        let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self {
            state: State::Waiting(Box::new(Waiting { call, beat, every, timer, failed: Box::new(failed) })),
        }
    }
}

impl From<axum::body::Body> for Egress {
    fn from(body: axum::body::Body) -> Self {
        Self { state: State::Made(body) }
    }
}

impl Body for Egress {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            match &mut self.state {
                State::Streaming(stream) => {
                    let chunk = std::task::ready!(Pin::new(&mut **stream).poll_next(context));
                    if chunk.is_none() {
                        self.state = State::Done;
                    }
                    return Poll::Ready(chunk.map(|bytes| Ok(Frame::data(bytes))));
                }
                State::Waiting(waiting) => match waiting.call.as_mut().poll(context) {
                    Poll::Ready(Ok(Answer { body: AnswerBody::Stream(stream), .. })) => {
                        self.state = State::Streaming(stream);
                    }
                    Poll::Ready(Ok(Answer { body: AnswerBody::Whole(bytes), .. })) => {
                        self.state = State::Last(bytes);
                    }
                    Poll::Ready(Err(failure)) => self.state = State::Last((waiting.failed)(&failure)),
                    Poll::Pending => {
                        std::task::ready!(waiting.timer.as_mut().poll(context));
                        let next = Instant::now() + waiting.every;
                        waiting.timer.as_mut().reset(next);
                        if !waiting.beat.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(waiting.beat.clone()))));
                        }
                    }
                },
                State::Last(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.state = State::Done;
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                State::Made(body) => return Pin::new(body).poll_frame(context),
                State::Done => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Waiting(_) | State::Streaming(_) => false,
            State::Last(bytes) => bytes.is_empty(),
            State::Made(body) => body.is_end_stream(),
            State::Done => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Waiting(_) | State::Streaming(_) => SizeHint::default(),
            State::Last(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            State::Made(body) => body.size_hint(),
            State::Done => SizeHint::with_exact(0),
        }
    }
}
