//! One page's socket, seen from both sides: requests put questions and read answers, the keeper of the socket takes
//! questions out and puts answers in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc;

use super::frame::{self, Asked, Said};
use super::slot::{Cut, Head, Slot};

/// Questions that wait for the socket; who has another one waits itself.
const WAITING: usize = 4;

enum Question {
    Ask { text: String, slot: Arc<Slot> },
    Pong(String),
}

/// One socket, for those who ask.
#[derive(Debug)]
pub(super) struct Line {
    out: mpsc::Sender<Question>,
    /// Who waits for what; nothing once the socket is closed.
    waiting: Mutex<Option<HashMap<Box<str>, Arc<Slot>>>>,
    /// How long a client that reads slowly may hold up the others; without end where there is none.
    patience: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unasked {
    /// The page is not there any more.
    Gone,
    /// It broke off before it said anything of use.
    Broken(String),
}

/// A socket with both of its ends.
pub(super) fn open(patience: Option<Duration>) -> (Arc<Line>, Questions, Answers) {
    let (out, inbox) = mpsc::channel(WAITING);
    let line = Arc::new(Line { out, waiting: Mutex::new(Some(HashMap::new())), patience });
    (Arc::clone(&line), Questions { inbox }, Answers { line })
}

impl Line {
    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<Box<str>, Arc<Slot>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        self.waiting().as_ref()?.get(id).cloned()
    }

    /// Nothing more is taken for this id.
    fn close_one(&self, id: &str) {
        if let Some(waiting) = &mut *self.waiting() {
            waiting.remove(id);
        }
    }

    /// Whether others wait for this page too.
    fn is_shared(&self) -> bool {
        self.waiting().as_ref().is_some_and(|waiting| waiting.len() > 1)
    }

    /// The socket is closed.
    pub(super) fn close(&self) {
        let waiting = self.waiting().take();
        for slot in waiting.into_iter().flatten().map(|(_, slot)| slot) {
            slot.break_off(Cut::Gone);
        }
    }

    /// Asks and waits for the head of the answer. Whoever drops this, or the answer, is forgotten.
    pub(super) async fn ask(self: Arc<Self>, asked: Asked) -> Result<(Answer, Head), Unasked> {
        let Asked { id, text } = asked;
        let slot = Arc::new(Slot::default());
        match &mut *self.waiting() {
            Some(waiting) => waiting.insert(id.clone(), Arc::clone(&slot)),
            None => return Err(Unasked::Gone),
        };
        let answer = Answer { id, slot, line: Arc::clone(&self) };
        let question = Question::Ask { text, slot: Arc::clone(&answer.slot) };
        self.out.send(question).await.map_err(|_closed| Unasked::Gone)?;
        let head = std::future::poll_fn(|context| answer.slot.poll_head(context)).await;
        match head {
            Ok(head) => Ok((answer, head)),
            Err(Cut::Gone) => Err(Unasked::Gone),
            Err(cut) => Err(Unasked::Broken(cut.to_string())),
        }
    }
}

/// The body of an answer; forgotten when dropped.
pub struct Answer {
    id: Box<str>,
    slot: Arc<Slot>,
    line: Arc<Line>,
}

impl Answer {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The page broke off or went away.
    pub(crate) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        self.slot.poll_piece(context)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.line.close_one(&self.id);
        self.slot.forget();
    }
}

/// What a page is to be told.
pub struct Questions {
    inbox: mpsc::Receiver<Question>,
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Questions")
    }
}

impl Questions {
    /// The next frame to send. What nobody waits for any more is not sent.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            match self.inbox.recv().await? {
                Question::Ask { slot, .. } if slot.is_forgotten() => {}
                Question::Ask { text, .. } | Question::Pong(text) => return Some(text),
            }
        }
    }
}

/// Where what a page says goes.
#[derive(Debug)]
pub struct Answers {
    line: Arc<Line>,
}

/// A frame that is none: no JSON object, or without `id` or `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame is a JSON object with the texts `id` and `type`")]
pub struct Wrong;

impl Answers {
    /// Takes a frame. Waits while the client that it is for reads slowly.
    ///
    /// # Errors
    /// What is no frame. What is wrong inside of one concerns its request alone.
    pub async fn take(&self, text: &str) -> Result<(), Wrong> {
        let (id, said) = frame::read(text).ok_or(Wrong)?;
        if said == Said::Ping {
            // A closed socket needs no answer.
            drop(self.line.out.send(Question::Pong(frame::pong(&id))).await);
            return Ok(());
        }
        let Some(slot) = self.line.slot(&id) else {
            tracing::debug!("a page answers a request that nobody waits for");
            return Ok(());
        };
        if self.put(&slot, said).await {
            self.line.close_one(&id);
        }
        Ok(())
    }

    /// Puts what was said in its place; true when that was the last of it.
    async fn put(&self, slot: &Slot, said: Said) -> bool {
        match said {
            Said::Begun(head) => slot.begin(head),
            Said::Piece(piece) => {
                if !self.has_room(slot).await {
                    slot.break_off(Cut::TooSlow);
                    return true;
                }
                slot.push(piece);
            }
            Said::Whole(head, body) => {
                slot.begin(head);
                slot.push(body);
                slot.end();
                return true;
            }
            Said::Ended => {
                slot.end();
                return true;
            }
            Said::Failed(status, told) => {
                fail(slot, status, &told);
                return true;
            }
            Said::Wrong(what) => {
                slot.break_off(Cut::Wrong(what));
                return true;
            }
            Said::Ping | Said::Unknown => {}
        }
        false
    }

    /// Waits for room; false when somebody else has waited for this one too long.
    async fn has_room(&self, slot: &Slot) -> bool {
        let Some(patience) = self.line.patience else {
            slot.room().await;
            return true;
        };
        while tokio::time::timeout(patience, slot.room()).await.is_err() {
            if self.line.is_shared() {
                return false;
            }
        }
        true
    }
}

/// Before the head an error of the page is an answer like those of upstreams: judged by its status.
fn fail(slot: &Slot, status: http::StatusCode, told: &str) {
    if slot.has_begun() {
        slot.break_off(Cut::Told(frame::redacted(told)));
        return;
    }
    let plain = HeaderValue::from_static("text/plain");
    slot.begin(Head { status, headers: HeaderMap::from_iter([(CONTENT_TYPE, plain)]) });
    slot.push(Bytes::copy_from_slice(told.as_bytes()));
    slot.end();
}
