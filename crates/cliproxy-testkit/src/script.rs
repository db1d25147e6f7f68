//! What a scripted upstream answers: a head, and a body that is said step by step.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio_util::sync::CancellationToken;

use crate::upstream::Log;

/// Holds a script until the test opens it.
#[derive(Clone, Default)]
pub struct Gate(CancellationToken);

impl Gate {
    /// Lets everything pass that waits here, and all that will come.
    pub fn open(&self) {
        self.0.cancel();
    }
}

/// What to answer.
#[derive(Clone)]
pub struct Script {
    pub(crate) head: Head,
    steps: Vec<Step>,
}

#[derive(Clone)]
pub(crate) enum Head {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
    },
    /// Nothing comes, ever.
    Silent,
    /// The connection closes without an answer.
    HangUp,
}

#[derive(Clone)]
enum Step {
    Send(Bytes),
    Pause(Duration),
    Wait(Gate),
    Cut,
    Stall,
}

impl Script {
    fn new(status: u16, content_type: &str) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { head: Head::Answer { status, headers }, steps: Vec::new() }
    }

    /// A JSON body.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json").send(body)
    }

    /// An event stream in pieces.
    pub fn events(pieces: Vec<Bytes>) -> Self {
        pieces.into_iter().fold(Self::new(200, "text/event-stream"), Self::send)
    }

    /// The request is taken and never answered.
    pub fn silent() -> Self {
        Self { head: Head::Silent, steps: Vec::new() }
    }

    /// The request is taken and the connection closed.
    pub fn hang_up() -> Self {
        Self { head: Head::HangUp, steps: Vec::new() }
    }

    /// The same with another header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Head::Answer { headers, .. } = &mut self.head {
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value.to_owned()));
        }
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Then these bytes.
    #[must_use]
    pub fn send(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Then nothing for a while.
    #[must_use]
    pub fn pause(self, pause: Duration) -> Self {
        self.step(Step::Pause(pause))
    }

    /// Then nothing until the gate opens.
    #[must_use]
    pub fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Then the connection breaks.
    #[must_use]
    pub fn cut(self) -> Self {
        self.step(Step::Cut)
    }

    /// Then nothing, ever.
    #[must_use]
    pub fn stalled(self) -> Self {
        self.step(Step::Stall)
    }

    /// The same body in pieces of `length` bytes.
    #[must_use]
    pub fn in_pieces(mut self, length: usize) -> Self {
        let steps = std::mem::take(&mut self.steps);
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    let pieces = bytes.chunks(length).map(|piece| Step::Send(bytes.slice_ref(piece)));
                    self.steps.extend(pieces);
                }
                other => self.steps.push(other),
            }
        }
        self
    }

    pub(crate) fn body(self, log: Arc<Log>) -> Body {
        Body { steps: self.steps.into_iter(), waiting: None, is_cut: false, is_done: false, log }
    }
}

/// A body that follows its script.
pub(crate) struct Body {
    steps: std::vec::IntoIter<Step>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    is_cut: bool,
    is_done: bool,
    log: Arc<Log>,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                std::task::ready!(waiting.as_mut().poll(context));
                self.waiting = None;
            }
            if self.is_cut {
                self.is_done = true;
                return Poll::Ready(Some(Err(std::io::Error::other("cut by script"))));
            }
            match self.steps.next() {
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Pause(pause)) => self.waiting = Some(Box::pin(tokio::time::sleep(pause))),
                Some(Step::Wait(gate)) => self.waiting = Some(Box::pin(gate.0.cancelled_owned())),
                Some(Step::Stall) => self.waiting = Some(Box::pin(std::future::pending())),
                Some(Step::Cut) => {
                    // The server writes out what was said when the body has nothing to say for a moment.
                    self.waiting = Some(Box::pin(tokio::task::yield_now()));
                    self.is_cut = true;
                }
                None => {
                    self.is_done = true;
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.is_done && (self.waiting.is_some() || self.steps.len() > 0) {
            self.log.note_drop();
        }
    }
}
