//! Sockets that wait for the next turn of their conversation.
//!
//! Each has a task that answers the upstream's pings, notices when it has gone, and gives the socket to whoever takes
//! it; nothing of it stands between a request and its answer. They are bounded in number and in time, and go with their
//! credential.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Uri};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Stream;
use super::turn::Turn;
use crate::credential::CredentialId;
use crate::proxy::Proxy;
use crate::upstream::{Egress, Limits};

/// Most sockets that wait, of everybody and of one credential.
const MOST: usize = 64;
const MOST_OF_ONE: usize = 16;
/// How long one waits: the service closes those that say nothing for five minutes.
const IDLE: Duration = Duration::from_secs(280);
/// How old one may be: the service closes all after an hour.
const LONGEST_LIFE: Duration = Duration::from_mins(55);
/// How often one that waits is asked whether it is still there.
const BEAT: Duration = Duration::from_secs(30);
/// How long one is given to close as it should.
const FAREWELL: Duration = Duration::from_secs(1);

/// Headers that differ between the turns of a conversation.
const OF_A_REQUEST: [&str; 5] =
    ["x-client-request-id", "x-codex-turn-state", "x-codex-turn-metadata", "traceparent", "tracestate"];
/// Headers that name a conversation.
const NAMES: [&str; 3] = ["session_id", "session-id", "conversation_id"];

/// For whom a socket was opened. Another one with the same key is as good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Key {
    egress: Egress,
    limits: Limits,
    /// Of the address and of the headers, which hold the token.
    print: Vec<u8>,
    /// The conversation has a name, so that all with this key are of one.
    is_named: bool,
}

impl Key {
    pub(in crate::upstream) fn new(egress: &Egress, limits: &Limits, uri: &Uri, headers: &HeaderMap) -> Self {
        let mut told: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        told.retain(|(name, _)| !OF_A_REQUEST.contains(name));
        told.sort_unstable();
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(uri.to_string().as_bytes());
        for (name, value) in told {
            for piece in [b"\n", name.as_bytes(), b":", value] {
                context.update(piece);
            }
        }
        Self {
            egress: egress.clone(),
            limits: *limits,
            print: context.finish().as_ref().to_vec(),
            is_named: NAMES.iter().any(|name| headers.contains_key(*name)),
        }
    }
}

/// All sockets that wait.
#[derive(Default)]
pub(in crate::upstream) struct Sockets {
    idle: Mutex<Vec<Idle>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sockets({} waiting)", self.idle().len())
    }
}

/// What is known of a socket besides where it leads.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// What was said over it last, with the answer.
    pub(super) turn: Turn,
    /// The answer's id.
    pub(super) id: String,
    /// Headers of the upgrade's answer.
    pub(super) headers: HeaderMap,
    pub(super) opened: Instant,
}

struct Idle {
    key: Key,
    standing: Standing,
    since: Instant,
    /// Asks the task for the socket.
    ask: oneshot::Sender<oneshot::Sender<Stream>>,
}

/// A socket that has waited.
pub(in crate::upstream) struct Taken {
    pub(super) stream: Stream,
    /// Headers of the upgrade's answer.
    pub(in crate::upstream) headers: HeaderMap,
    pub(super) opened: Instant,
    /// How many items of the request were said over it, and the id of the answer that goes on from; `None` when the
    /// request begins anew.
    pub(super) said: Option<(usize, String)>,
}

impl Sockets {
    pub(in crate::upstream) fn new(tasks: TaskTracker, cancel: CancellationToken) -> Arc<Self> {
        Arc::new(Self { tasks, cancel, ..Self::default() })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket over which most of a request was said already; of a named conversation, any that is left of it.
    pub(super) async fn take(&self, key: &Key, turn: &Turn) -> Option<Taken> {
        loop {
            let (idle, said) = self.choose(key, turn)?;
            let (give, given) = oneshot::channel();
            if idle.ask.send(give).is_ok()
                && let Ok(stream) = given.await
            {
                let Standing { headers, opened, id, .. } = idle.standing;
                return Some(Taken { stream, headers, opened, said: said.map(|n_said| (n_said, id)) });
            }
        }
    }

    fn choose(&self, key: &Key, turn: &Turn) -> Option<(Idle, Option<usize>)> {
        let mut idle = self.idle();
        idle.retain(Idle::is_fresh);
        let of_key = || idle.iter().enumerate().filter(|(_, one)| one.key == *key);
        let going_on = of_key()
            .filter_map(|(at, one)| Some((at, turn.continues(&one.standing.turn)?)))
            .max_by_key(|(_, n_said)| *n_said);
        let (at, said) = match going_on {
            Some((at, n_said)) => (at, Some(n_said)),
            None => (of_key().filter(|_| key.is_named).max_by_key(|(_, one)| one.since)?.0, None),
        };
        Some((idle.swap_remove(at), said))
    }

    /// Keeps a socket for the next turn.
    pub(super) fn keep(&self, key: Key, standing: Standing, stream: Stream) {
        let (ask, asked) = oneshot::channel();
        let kept = Idle { key, standing, since: Instant::now(), ask };
        if !kept.is_fresh() || self.cancel.is_cancelled() {
            return;
        }
        let mut idle = self.idle();
        idle.retain(Idle::is_fresh);
        let is_of_one = |one: &Idle| one.key.egress.credential == kept.key.egress.credential;
        if idle.iter().filter(|one| is_of_one(one)).count() >= MOST_OF_ONE {
            drop_oldest(&mut idle, is_of_one);
        } else if idle.len() >= MOST {
            drop_oldest(&mut idle, |_| true);
        }
        idle.push(kept);
        drop(idle);
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = wait(stream, asked) => {}
                () = cancel.cancelled() => {}
            }
        });
    }

    /// Closes the sockets of credentials that are no more.
    pub(in crate::upstream) fn retain(&self, keep: impl Fn(&CredentialId, &Proxy) -> bool) {
        self.idle().retain(|one| keep(&one.key.egress.credential, &one.key.egress.proxy));
    }
}

impl Idle {
    fn is_fresh(&self) -> bool {
        !self.ask.is_closed() && self.since.elapsed() < IDLE && self.standing.opened.elapsed() < LONGEST_LIFE
    }
}

fn drop_oldest(idle: &mut Vec<Idle>, among: impl Fn(&Idle) -> bool) {
    let oldest = idle.iter().enumerate().filter(|(_, one)| among(one)).min_by_key(|(_, one)| one.since);
    if let Some((at, _)) = oldest {
        idle.swap_remove(at);
    }
}

/// Stays with a socket until somebody takes it, nobody wants it any more, or it has gone.
async fn wait(mut stream: Stream, mut asked: oneshot::Receiver<oneshot::Sender<Stream>>) {
    let mut end = std::pin::pin!(tokio::time::sleep(IDLE));
    let mut beat = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
    let mut is_asked_for_a_sign = false;
    loop {
        tokio::select! {
            biased;
            taker = &mut asked => {
                match taker {
                    // One that hung up meanwhile has no use for it.
                    Ok(taker) => drop(taker.send(stream)),
                    Err(_) => part(stream).await,
                }
                return;
            }
            frame = stream.next() => match frame {
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => is_asked_for_a_sign = false,
                _ => return,
            },
            () = &mut end => return part(stream).await,
            _ = beat.tick() => {
                if is_asked_for_a_sign || stream.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                    return;
                }
                is_asked_for_a_sign = true;
            }
        }
    }
}

async fn part(mut stream: Stream) {
    // Whether it says good-bye in time or not, it is gone.
    drop(tokio::time::timeout(FAREWELL, stream.close(None)).await);
}
