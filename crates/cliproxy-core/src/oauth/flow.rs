//! A conversation with an identity provider, without I/O.
//!
//! The driver calls [`Flow::step`] with what happened and does what the returned [`Step`] says. It owns sockets, time,
//! the terminal and the journal; the flow owns the protocol. Steps that spend something that works only once are
//! marked ([`Step::Redeem`]), because around these the driver writes its journal: the intent before, the answer
//! before anybody uses it.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use crate::reason::Reason;
use crate::secret::Secret;

/// A conversation; ends with an `Output` or a [`Refusal`].
pub trait Flow: Send + fmt::Debug {
    /// What a successful conversation yields.
    type Output;

    /// Takes what happened and says what to do next. The first input is [`Input::Start`]; nothing is asked after
    /// [`Step::Done`] or [`Step::Refused`].
    fn step(&mut self, input: Input) -> Step<Self::Output>;
}

/// What happened since the last step.
#[derive(Debug)]
pub enum Input {
    /// Nothing yet.
    Start,
    /// An answer to [`Step::Send`] or [`Step::Redeem`], whatever its status.
    Answer(Answer),
    /// No answer came; the text says why. The request may or may not have been performed.
    Lost(String),
    /// The time of [`Step::Wait`] is over.
    Elapsed,
    /// A person's words, in answer to [`Step::Ask`].
    Said(String),
    /// The authorization code with which the browser came back from [`Step::Visit`]. Whoever carried it has checked
    /// the state.
    Returned(Secret),
    /// [`Step::Show`] is done.
    Shown,
}

/// What to do next.
#[derive(Debug)]
pub enum Step<T> {
    /// Send a request that may be repeated.
    Send(Request),
    /// Send a request that spends an authorization code, a device code or a refresh token. Its answer is kept.
    Redeem(Request),
    /// Let time pass.
    Wait(Duration),
    /// Ask the person who logs in. Renewals never ask, visit or show.
    Ask(Question),
    /// Send the person's browser to this address, which sends it back with an authorization code.
    Visit(String),
    /// Tell the person something and go on.
    Show(Notice),
    /// The end.
    Done(T),
    /// The end, without success.
    Refused(Refusal),
}

/// A request to an identity provider.
#[derive(Clone)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Absolute address.
    pub uri: Uri,
    /// Headers; credentials marked sensitive.
    pub headers: HeaderMap,
    /// Body; may hold secrets.
    pub body: Bytes,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Query and body hold codes and tokens.
        write!(f, "Request({} {}{})", self.method, self.uri.host().unwrap_or_default(), self.uri.path())
    }
}

/// An answer of an identity provider.
#[derive(Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// An answer as journals keep it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    status: u16,
    body: String,
}

impl From<&Answer> for Kept {
    fn from(answer: &Answer) -> Self {
        Self { status: answer.status.as_u16(), body: STANDARD.encode(&answer.body) }
    }
}

impl Kept {
    pub(crate) fn answer(&self) -> Option<Answer> {
        Some(Answer {
            status: StatusCode::from_u16(self.status).ok()?,
            headers: HeaderMap::new(),
            body: Bytes::from(STANDARD.decode(&self.body).ok()?),
        })
    }
}

/// Something for the person who logs in to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A code to confirm on a page.
    Code {
        /// The page; often with the code already in it.
        url: String,
        /// The code as the page shows it or asks for it.
        code: String,
    },
    /// How far it is.
    Progress(String),
}

/// A question to the person who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked, for programs: `project`, `alias`, `cookie`.
    pub name: &'static str,
    /// The prompt, as wrappers expect it.
    pub prompt: String,
    /// What an empty line means; `None` when an answer is required.
    pub default: Option<String>,
}

/// Why a conversation ended without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it means for the account.
    pub kind: RefusalKind,
    /// What happened, for people; without secrets.
    pub message: Reason,
    /// What to do about it, such as the command that logs in again.
    pub remedy: Reason,
}

/// What a refusal means for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The grant is dead (`invalid_grant` and its relatives): a person has to log in again. Final until the file
    /// changes.
    Dead,
    /// The provider forbids this use. Final, and shown as what it is.
    Forbidden,
    /// It may pass: try again, not before this time when one was named.
    Passing(Option<Duration>),
}
