//! The conversation between a login and the person who logs in.
//!
//! A login says [`Event`]s and hears lines. Whoever holds the [`Person`] end decides what that means: a terminal
//! prints and reads, a management interface stores and serves. Nothing here prints.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::oauth::Question;

/// Lines that are kept until somebody asks.
const MOST_KEPT: usize = 16;

/// What a login has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What should be known before; what the provider's terms say.
    Notice(&'static str),
    /// The browser has to go to this address.
    Visit {
        /// The address.
        url: String,
        /// Where the browser comes back to, unless that is not this machine.
        tunnel: Option<Tunnel>,
    },
    /// A code has to be confirmed on a page.
    Code {
        /// The page.
        url: String,
        /// The code.
        code: String,
    },
    /// The browser has not come back yet: a good moment to ask for its address.
    PasteExpected,
    /// Something arrived that does not count, and why.
    Ignored(String),
    /// The browser has come back.
    Returned,
    /// A question; the next line answers it.
    Asked(Question),
    /// How far it is.
    Progress(String),
}

/// The two ends of the browser's way back; from another machine a tunnel has to join them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The port that the browser goes to on its own machine.
    pub browser: u16,
    /// The port that listens on this machine.
    pub here: u16,
}

/// The login's end.
#[derive(Debug)]
pub struct Talk {
    events: mpsc::UnboundedSender<Event>,
    lines: mpsc::Receiver<String>,
    kept: VecDeque<String>,
    is_closed: bool,
}

/// The person's end. Dropping [`Person::lines`] means that nothing more will be said.
#[derive(Debug)]
pub struct Person {
    /// What the login says.
    pub events: mpsc::UnboundedReceiver<Event>,
    /// Where lines go: answers, and pasted callbacks at any time.
    pub lines: mpsc::Sender<String>,
}

impl Talk {
    /// Both ends.
    pub fn new() -> (Self, Person) {
        let (events, heard) = mpsc::unbounded_channel();
        let (said, lines) = mpsc::channel(MOST_KEPT);
        let talk = Self { events, lines, kept: VecDeque::new(), is_closed: false };
        (talk, Person { events: heard, lines: said })
    }

    /// Says something. A login that nobody watches goes on.
    pub(crate) fn say(&self, event: Event) {
        drop(self.events.send(event));
    }

    /// The next line as it is said; never when nothing more will be said.
    pub(crate) async fn line(&mut self) -> String {
        if !self.is_closed {
            if let Some(line) = self.lines.recv().await {
                return line;
            }
            self.is_closed = true;
        }
        std::future::pending().await
    }

    /// Keeps a line for the next question: programs write their answers before they are asked.
    pub(crate) fn keep(&mut self, line: String) {
        if self.kept.len() < MOST_KEPT {
            self.kept.push_back(line);
        }
    }

    /// The answer to a question; `None` when nothing more will be said.
    pub(crate) async fn answer(&mut self) -> Option<String> {
        match self.kept.pop_front() {
            Some(line) => Some(line),
            None if self.is_closed => None,
            None => self.lines.recv().await,
        }
    }
}
