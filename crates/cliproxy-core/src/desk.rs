//! Logins that somebody follows from elsewhere, such as a control panel: begun with an address for a browser, asked after,
//! finished by a callback that arrives here or is pasted.
//!
//! The conversations are those of the command line ([`crate::login::session`]); a desk only remembers which are going on. A
//! login is known by its state, which the identity provider sends back: who has it may finish the login, and nobody
//! else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::Engine;
use crate::login::session::{Hold, LoginError, Session};
use crate::login::talk::{Event, Person, Talk};
use crate::login::{Saved, save};
use crate::oauth::{Grant, RefusalKind};

/// Logins are remembered this long after they began.
const REMEMBERED: Duration = Duration::from_mins(30);
/// Longest wait for the address that begins a login: device flows ask for it.
const LONGEST_BEGINNING: Duration = Duration::from_secs(40);
/// Logins at once.
const MOST: usize = 32;
/// Longest state that is looked at.
const LONGEST_STATE: usize = 128;

/// The logins that are going on, and those that ended lately.
#[derive(Debug, Default)]
pub struct Desk {
    logins: Arc<Mutex<HashMap<String, Kept>>>,
    /// Held while a login that listens begins: the next one takes the port of one that is known.
    beginning: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Kept {
    provider: &'static str,
    begun: Instant,
    standing: Standing,
    lines: mpsc::Sender<String>,
    hold: Hold,
}

/// How a login stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody came back yet.
    Waiting,
    /// A callback came and is being redeemed.
    Answered,
    /// The account is saved.
    Done,
    /// It failed, and why.
    Failed(Failed),
}

/// Why a login failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// Its kind.
    pub code: FailureCode,
    /// In words for people.
    pub message: String,
}

/// The kind of a failure of a login. Its word stays, whatever the message says; more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LoginFailure")]
pub enum FailureCode {
    /// Another program has the port that the browser comes back to.
    PortBusy,
    /// The account cannot be saved.
    NotSaved,
    /// The person or the provider refused, or what was brought does not count.
    Refused,
    /// The provider forbids this use.
    Forbidden,
    /// Nobody came back in time, or the provider did not answer: another try may work.
    TryAgain,
    /// Too many logins are waiting.
    TooMany,
}

impl Failed {
    fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn not_saved(error: &impl ToString) -> Self {
        Self::new(FailureCode::NotSaved, error.to_string())
    }
}

impl From<LoginError> for Failed {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::PortBusy(port) => Self::new(
                FailureCode::PortBusy,
                format!("port {port}, where the browser comes back to, is in use by another program"),
            ),
            LoginError::Storage(why) => Self::new(FailureCode::NotSaved, why),
            LoginError::Refused(refusal) => {
                let code = match refusal.kind {
                    RefusalKind::Dead => FailureCode::Refused,
                    RefusalKind::Forbidden => FailureCode::Forbidden,
                    RefusalKind::Passing(_) => FailureCode::TryAgain,
                };
                Self::new(code, format!("{}; {}", refusal.message, refusal.remedy))
            }
        }
    }
}

/// A login that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// What the login is known by.
    pub state: String,
    /// The code to type on the page, where there is one.
    pub code: Option<String>,
}

/// Why a callback is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// No login has this state.
    Unknown,
    /// It belongs to a login of another provider.
    OtherProvider,
    /// The login has an answer already.
    NotPending,
}

/// Whether a text can be a state at all: it is also part of addresses and names.
pub fn is_state(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_STATE
        && !text.contains("..")
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character))
}

impl Desk {
    /// Begins a login; gives the address for a browser as soon as it is known. The login goes on by itself. One that
    /// listens takes the port of those of its provider that wait; their addresses can still be handed in.
    ///
    /// # Errors
    /// Why it cannot begin.
    pub async fn begin(&self, engine: &Engine, session: Session) -> Result<Begun, Failed> {
        self.forget_old();
        if self.lock().values().filter(|kept| kept.standing == Standing::Waiting).count() >= MOST {
            let message = "too many logins are waiting; finish or abandon some";
            return Err(Failed::new(FailureCode::TooMany, message));
        }
        let provider = session.login.provider;
        let hold = session.hold.clone();
        let _turn = if session.listens {
            let turn = self.beginning.lock().await;
            for older in self.holds(provider) {
                older.take_away().await;
            }
            Some(turn)
        } else {
            None
        };
        let (mut talk, Person { mut events, lines }) = Talk::new();
        let (end, ended) = tokio::sync::oneshot::channel();
        let working = engine.clone();
        engine.spawn("login", async move {
            let result = working.log_in(session, &mut talk).await;
            drop(talk);
            drop(end.send(result.map(|_saved| ())));
        });
        let beginning = async {
            while let Some(event) = events.recv().await {
                match event {
                    Event::Visit { url, .. } => {
                        return Some(Begun { state: state_of(&url), url, code: None });
                    }
                    Event::Code { url, code } => {
                        return Some(Begun {
                            state: uuid::Uuid::new_v4().simple().to_string(),
                            url,
                            code: Some(code),
                        });
                    }
                    Event::Asked(question) => answer(&lines, question.default).await,
                    _ => {}
                }
            }
            None
        };
        let begun = tokio::time::timeout(LONGEST_BEGINNING, beginning).await.ok().flatten();
        let Some(begun) = begun.filter(|begun| is_state(&begun.state)) else {
            let why = tokio::time::timeout(Duration::from_secs(1), ended).await;
            return Err(match why {
                Ok(Ok(Err(why))) => why,
                _ => Failed::new(FailureCode::TryAgain, "failed to generate authorization url"),
            });
        };
        let kept =
            Kept { provider, begun: Instant::now(), standing: Standing::Waiting, lines: lines.clone(), hold };
        self.lock().insert(begun.state.clone(), kept);
        let (logins, state) = (Arc::clone(&self.logins), begun.state.clone());
        engine.spawn("login that somebody follows", async move {
            while let Some(event) = events.recv().await {
                match event {
                    // Nobody is there to ask: the usual answer is taken.
                    Event::Asked(question) => answer(&lines, question.default).await,
                    Event::Returned => set(&logins, &state, Standing::Answered),
                    _ => {}
                }
            }
            let standing = match ended.await {
                Ok(Ok(())) => Standing::Done,
                Ok(Err(why)) => Standing::Failed(why),
                Err(_gone) => {
                    Standing::Failed(Failed::new(FailureCode::TryAgain, "the gateway ended meanwhile"))
                }
            };
            set(&logins, &state, standing);
        });
        Ok(begun)
    }

    /// How a login stands; `None` when no login has this state.
    pub fn standing(&self, state: &str) -> Option<Standing> {
        self.forget_old();
        self.lock().get(state).map(|kept| kept.standing.clone())
    }

    /// Hands a callback to the login that it belongs to: the query of its address. `provider` is whom it claims to come
    /// from.
    ///
    /// # Errors
    /// It belongs to no login that waits.
    pub async fn callback(&self, provider: Option<&str>, state: &str, query: String) -> Result<(), NotTaken> {
        let lines = {
            let mut logins = self.lock();
            let kept = logins.get_mut(state).ok_or(NotTaken::Unknown)?;
            if provider.is_some_and(|provider| provider != kept.provider) {
                return Err(NotTaken::OtherProvider);
            }
            if kept.standing != Standing::Waiting {
                return Err(NotTaken::NotPending);
            }
            kept.standing = Standing::Answered;
            kept.lines.clone()
        };
        lines.send(query).await.map_err(|_ended| NotTaken::NotPending)
    }

    /// Gives a login up that waits, and its port; whether there was one.
    pub async fn abandon(&self, state: &str) -> bool {
        let given_up = self.lock().remove(state).filter(|kept| kept.standing == Standing::Waiting);
        match given_up {
            Some(kept) => {
                kept.hold.take_away().await;
                true
            }
            None => false,
        }
    }

    /// The holds of a provider's logins that wait.
    fn holds(&self, provider: &str) -> Vec<Hold> {
        let logins = self.lock();
        let waiting =
            logins.values().filter(|kept| kept.provider == provider && kept.standing == Standing::Waiting);
        waiting.map(|kept| kept.hold.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_old(&self) {
        self.lock().retain(|_, kept| kept.begun.elapsed() < REMEMBERED);
    }
}

fn no_directory() -> Failed {
    Failed::new(FailureCode::NotSaved, "there is no auth directory")
}

fn set(logins: &Mutex<HashMap<String, Kept>>, state: &str, standing: Standing) {
    if let Some(kept) = logins.lock().unwrap_or_else(PoisonError::into_inner).get_mut(state) {
        kept.standing = standing;
    }
}

async fn answer(lines: &mpsc::Sender<String>, default: Option<String>) {
    drop(lines.send(default.unwrap_or_default()).await);
}

/// The state in the address that a browser is sent to.
fn state_of(url: &str) -> String {
    let Ok(url) = url::Url::parse(url) else { return String::new() };
    url.query_pairs()
        .find(|(name, _)| name == "state")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// Performs a login whose every question is known beforehand.
///
/// # Errors
/// Why it failed, in words for people.
pub async fn answered(engine: &Engine, session: Session, answer: &str) -> Result<(Grant, Saved), Failed> {
    let (mut talk, Person { mut events, lines }) = Talk::new();
    let working = async {
        let result = engine.log_in(session, &mut talk).await;
        drop(talk);
        result
    };
    let answering = async {
        while let Some(event) = events.recv().await {
            if let Event::Asked(_) = event {
                drop(lines.send(answer.to_owned()).await);
            }
        }
    };
    tokio::join!(working, answering).0
}

impl Engine {
    /// Logs in and saves the account.
    ///
    /// # Errors
    /// Why not.
    pub fn log_in<'l>(
        &'l self,
        session: Session,
        talk: &'l mut Talk,
    ) -> BoxFuture<'l, Result<(Grant, Saved), Failed>> {
        Box::pin(self.log_in_and_save(session, talk))
    }

    async fn log_in_and_save(&self, session: Session, talk: &mut Talk) -> Result<(Grant, Saved), Failed> {
        let settings = self.snapshot().settings.clone();
        let store = self.auth_store().ok_or_else(no_directory)?;
        let done = session.run(&settings, self.clients(), &*store, talk).await?;
        self.load_accounts().await.map_err(|error| Failed::not_saved(&error))?;
        Ok(done)
    }

    /// Saves what a login or an import yielded, and takes it over.
    ///
    /// # Errors
    /// Why not.
    pub async fn save_grant(&self, grant: &Grant) -> Result<Saved, Failed> {
        let store = self.auth_store().ok_or_else(no_directory)?;
        let saved = save(&*store, grant).await.map_err(|error| Failed::not_saved(&error))?;
        self.load_accounts().await.map_err(|error| Failed::not_saved(&error))?;
        Ok(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_no_way_out_of_a_name() {
        for state in ["abc", "gem-1", "A_b.c", &"x".repeat(128)] {
            assert!(is_state(state), "{state}");
        }
        for text in ["", "a/b", "..", "a..b", "a b", "ä", &"x".repeat(129)] {
            assert!(!is_state(text), "{text}");
        }
    }

    #[test]
    fn the_state_is_in_the_address() {
        assert_eq!(state_of("https://x.y/z?a=1&state=s-1&b"), "s-1");
        assert_eq!(state_of("https://x.y/z"), "");
        assert_eq!(state_of("no address"), "");
    }
}
