//! What has come for one request and was not read yet. Written by whoever reads the page's socket, read by whoever writes
//! to the client; there is one of each.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::Notify;

/// How much may wait for a client before the socket is read no further. One frame more can come, which may be the
/// largest there is.
const MOST_HELD: usize = 1 << 20;
/// What keeping a piece costs beyond its bytes.
const COST: usize = 64;

/// The head of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

impl Default for Head {
    fn default() -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new() }
    }
}

/// Why an answer ends before its end, in words for clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    #[error("the web page that was asked disconnected in the middle of its answer")]
    Gone,
    #[error("the answer was read so slowly that it held up the others of the same web page")]
    TooSlow,
    #[error("the web page sent an answer that cannot be read: {0}")]
    Wrong(&'static str),
    #[error("the web page broke its answer off: {0}")]
    Told(String),
}

#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// Told when there is room again, or nobody who reads.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    has_begun: bool,
    pieces: VecDeque<Bytes>,
    held: usize,
    end: Option<Result<(), Cut>>,
    waker: Option<Waker>,
    is_forgotten: bool,
}

impl State {
    fn begin(&mut self, head: Head) {
        // A second head is one too many, and the first one is out.
        if !self.has_begun {
            self.has_begun = true;
            self.head = Some(head);
        }
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.state();
            change(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn begin(&self, head: Head) {
        self.change(|state| state.begin(head));
    }

    /// A piece; an answer without a head is a good one.
    pub(super) fn push(&self, piece: Bytes) {
        self.change(|state| {
            state.begin(Head::default());
            if !piece.is_empty() {
                state.held += piece.len() + COST;
                state.pieces.push_back(piece);
            }
        });
    }

    /// The end as it should be.
    pub(super) fn end(&self) {
        self.change(|state| {
            state.begin(Head::default());
            state.end.get_or_insert(Ok(()));
        });
    }

    /// The end as it should not be.
    pub(super) fn break_off(&self, cut: Cut) {
        self.change(|state| {
            state.end.get_or_insert(Err(cut));
        });
    }

    pub(super) fn has_begun(&self) -> bool {
        self.state().has_begun
    }

    /// Nobody reads any more.
    pub(super) fn forget(&self) {
        self.state().is_forgotten = true;
        self.room.notify_one();
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.state().is_forgotten
    }

    /// Waits until another piece may come.
    pub(super) async fn room(&self) {
        loop {
            {
                let state = self.state();
                if state.is_forgotten || state.held < MOST_HELD {
                    return;
                }
            }
            self.room.notified().await;
        }
    }

    pub(super) fn poll_head(&self, context: &mut Context<'_>) -> Poll<Result<Head, Cut>> {
        let mut state = self.state();
        if let Some(head) = state.head.take() {
            return Poll::Ready(Ok(head));
        }
        if let Some(Err(cut)) = &state.end {
            return Poll::Ready(Err(cut.clone()));
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_piece(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        let mut state = self.state();
        if let Some(piece) = state.pieces.pop_front() {
            let was_full = state.held >= MOST_HELD;
            state.held = state.held.saturating_sub(piece.len() + COST);
            if was_full && state.held < MOST_HELD {
                self.room.notify_one();
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        match &state.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(cut)) => {
                let message = cut.to_string();
                state.end = Some(Ok(()));
                Poll::Ready(Some(Err(message)))
            }
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
