//! Web pages that ask an upstream for the gateway: each keeps one websocket open *into* the gateway, gets requests as JSON
//! frames, makes them with a key of its own, and sends the answers back, many at once on one socket.
//!
//! To everything above it is one more way to an upstream: a request goes out, a [`Reply`] comes back. [`frame`] knows the
//! frames, [`slot`] keeps what has come for one request, [`line`] is one socket. The socket itself is the server's: it
//! feeds [`Answers`] and sends what [`Questions`] give it. A page is known by the id of its credential.
//!
//! The protocol has no flow control and no cancel. A client that reads slowly lets a little gather here, then the socket
//! is read no further, so that the page feels it; nothing is dropped and memory stays bounded. If others wait on the same
//! socket meanwhile, the slow one is given up after a while: one client must not starve all others of a page. A request
//! that was given up is not sent if it is still here; else its id is forgotten and what comes for it is thrown away.
//!
//! Source: the frames of existing gateways' relay for AI Studio, of October 2025.

mod frame;
mod line;
mod slot;

pub(super) use line::Answer;
pub use line::{Answers, Questions, Wrong};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cliproxy_wire::fault::{Fault, Kind};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Uri};
use tokio::sync::watch;
use uuid::Uuid;

use self::frame::Asked;
use self::line::Line;
use super::body::UpstreamBody;
use super::client::{Reply, first_byte};
use crate::credential::CredentialId;
use crate::failure::{Failure, Rest, Retry};

/// Most pages at once: each is a credential, and all credentials are gone through at every change.
const MOST: usize = 256;
/// What an id is made of, and how long it is behind its prefix.
const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const LONG: usize = 16;

/// A request for a page to make.
#[derive(Debug)]
pub struct Ask {
    /// Method.
    pub method: http::Method,
    /// Absolute address.
    pub uri: Uri,
    /// Headers; never a credential of the client or the gateway.
    pub headers: http::HeaderMap,
    /// Body: text.
    pub body: bytes::Bytes,
    /// When, in RFC 3339.
    pub sent_at: String,
}

/// The pages that are connected.
#[derive(Debug)]
pub(crate) struct Pages {
    lines: Mutex<BTreeMap<CredentialId, Arc<Line>>>,
    changed: watch::Sender<()>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { lines: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Pages {
    fn lines(&self) -> MutexGuard<'_, BTreeMap<CredentialId, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a page in under a new id; `None` when there are as many as there may be. `patience` is how long a client of
    /// it may hold up the others.
    pub(crate) fn connect(&self, patience: Option<Duration>) -> Option<(CredentialId, Questions, Answers)> {
        let id = new_id();
        let mut lines = self.lines();
        if lines.len() >= MOST {
            return None;
        }
        let (line, questions, answers) = line::open(patience);
        lines.insert(id.clone(), line);
        Some((id, questions, answers))
    }

    /// Lets a page go: whoever waits for it hears so.
    pub(crate) fn disconnect(&self, id: &CredentialId) {
        let line = self.lines().remove(id);
        if let Some(line) = line {
            line.close();
        }
    }

    /// Who is connected, in the order of their ids.
    pub(crate) fn ids(&self) -> Vec<CredentialId> {
        self.lines().keys().cloned().collect()
    }

    /// Tells the keepers of all sockets that the configuration is another one.
    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }

    /// Hears what [`tell`](Self::tell) tells.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Has a page make a request, and waits for the head of the answer.
    pub(super) async fn ask(
        &self,
        id: &CredentialId,
        ask: Ask,
        limit: Option<Duration>,
    ) -> Result<Reply, Failure> {
        let line = self.lines().get(id).cloned();
        let line = line.ok_or_else(|| gone(id))?;
        let is_sse = ask.uri.query().is_some_and(|query| query.contains("alt=sse"));
        let asking = line.ask(Asked::new(&ask));
        let (answer, mut head) = first_byte(asking, limit).await?.map_err(|why| match why {
            line::Unasked::Gone => gone(id),
            line::Unasked::Broken(message) => broken(message),
        })?;
        // A page that names no type sends what was asked for.
        let usual = if is_sse { "text/event-stream" } else { "application/json" };
        head.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(usual));
        Ok(Reply { status: head.status, headers: head.headers, body: UpstreamBody::Page(Box::new(answer)) })
    }
}

/// The page went away before it answered: that says nothing about the others, which are tried.
fn gone(id: &CredentialId) -> Failure {
    let fault = Fault::new(Kind::Unavailable, "the web page that was asked has disconnected")
        .with_code("upstream_unreachable");
    Failure::upstream(fault, id.as_str()).with_retry(Retry::Next(Rest::None))
}

fn broken(message: String) -> Failure {
    Failure::upstream(Fault::new(Kind::BadUpstream, message), "page")
}

fn new_id() -> CredentialId {
    let mut rest = Uuid::new_v4().as_u128();
    let mut id = String::from("aistudio-");
    for _ in 0..LONG {
        let at = usize::try_from(rest % 36).unwrap_or_default();
        id.push(char::from(LETTERS.get(at).copied().unwrap_or(b'0')));
        rest /= 36;
    }
    CredentialId::new(id)
}

#[cfg(test)]
mod tests;
