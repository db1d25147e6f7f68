//! Finishes logins of processes that have ended after a token had come, by what they left in the login journal.
//!
//! The conversation is gone through again: what was told before is told again, and what was not yet asked is asked.
//! Nobody is there to answer questions, so the usual answers are taken. A gateway does this when it starts and from
//! time to time, a login before it begins.

use std::collections::VecDeque;
use std::fmt;

use serde_json::{Value, json};

use super::driver::{Door, perform};
use super::journal::{Intent, Journal, Left, Note, Told};
use super::save::{provider, record, save_on};
use super::session::{Hold, line_of};
use super::talk::Talk;
use super::trail::Trail;
use crate::config::Settings;
use crate::credential::{Kind, Record, find_account};
use crate::oauth::login::{Options, Setup};
use crate::oauth::{Answer, Grant, Input, Line, Login, Refusal, RefusalKind, Step};
use crate::provider::{self, LOGINS};
use crate::store::{Store, StoreError, blocking};
use crate::upstream::Clients;

/// What became of a login that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The provider's name for people.
    pub title: &'static str,
    /// How it ended.
    pub ending: Ending,
}

/// How a login that was cut off ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its account is saved.
    Saved {
        /// The account's name for people.
        label: String,
        /// The document's id.
        id: String,
    },
    /// It cannot be finished at the moment; what came back is kept.
    Waits(Refusal),
    /// What came back is worth nothing.
    Failed(Refusal),
}

impl Finished {
    /// Whether the account is there.
    pub fn is_saved(&self) -> bool {
        matches!(self.ending, Ending::Saved { .. })
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.title;
        match &self.ending {
            Ending::Saved { label, id } => {
                write!(f, "an earlier {title} login that was cut off is finished: {label} is saved in {id}")
            }
            Ending::Waits(refusal) => write!(
                f,
                "an earlier {title} login that was cut off cannot be finished yet and is kept: {}",
                refusal.message
            ),
            Ending::Failed(refusal) => write!(
                f,
                "an earlier {title} login that was cut off has failed: {}; {}",
                refusal.message, refusal.remedy
            ),
        }
    }
}

/// Logins that wait to be finished, as `check` tells of them: the provider's name for people, and when they began in
/// Unix seconds.
pub(crate) fn waiting(workplace: &std::path::Path) -> Vec<(String, u64)> {
    let title = |name: &str| login(name).map_or_else(|| name.to_owned(), |login| login.title.to_owned());
    Journal::new(workplace).waiting().into_iter().map(|left| (title(&left.login), left.begun)).collect()
}

/// Finishes what can be finished. `now` is the clock in Unix seconds.
pub(crate) async fn finish(
    settings: &Settings,
    clients: &Clients,
    store: &dyn Store,
    now: fn() -> u64,
) -> Vec<Finished> {
    let Some(journal) = store.workplace().map(|workplace| Journal::new(&workplace)) else {
        return Vec::new();
    };
    let mut finished = Vec::new();
    for left in blocking(move || journal.left()).await.unwrap_or_default() {
        let Some(login) = login(&left.intent.login) else {
            tracing::warn!("a login that was cut off is of a kind that is not known: {}", left.intent.login);
            continue;
        };
        let work = Work { login, settings, line: line_of(login, settings, clients), store, now };
        if let Some(ending) = work.finish(left).await {
            finished.push(Finished { title: login.title, ending });
        }
    }
    finished
}

fn login(name: &str) -> Option<&'static Login> {
    LOGINS.into_iter().find(|login| login.name == name)
}

/// One login.
struct Work<'a> {
    login: &'static Login,
    settings: &'a Settings,
    line: Line<'a>,
    store: &'a dyn Store,
    now: fn() -> u64,
}

impl Work<'_> {
    /// `None` when it had been saved before.
    async fn finish(&self, left: Left) -> Option<Ending> {
        let (received, noted) = (left.received(), left.noted().map(str::to_owned));
        let (intent, mut notes) = (left.intent, left.notes);
        let mut trail = Trail::earlier(left.entry, notes.clone(), (self.now)());
        let mut yielded = self.perform(&intent, &mut trail).await;
        let is_dead = yielded.as_ref().is_err_and(|refusal| refusal.kind == RefusalKind::Dead);
        if is_dead
            && trail.has_received()
            && let Some(answer) = self.renewed(&notes).await
        {
            // The access token had ended meanwhile.
            trail.renewed(&answer, (self.now)()).await;
            notes.push_back(Note::Renewed(Told::new(&answer, (self.now)())));
            trail = trail.again(notes, (self.now)());
            yielded = self.perform(&intent, &mut trail).await;
        }
        match yielded {
            Ok(grant) => self.save(&grant, noted.as_deref(), received, trail).await,
            Err(refusal) if matches!(refusal.kind, RefusalKind::Passing(_)) => Some(Ending::Waits(refusal)),
            Err(refusal) => {
                trail.end().await;
                Some(Ending::Failed(refusal))
            }
        }
    }

    async fn perform(&self, intent: &Intent, trail: &mut Trail) -> Result<Grant, Refusal> {
        let provider = self.login.provider;
        let identity = self.settings.oauth.identity(provider, (self.login.identity)());
        let options = Options { project: intent.project.clone() };
        let setup = Setup { device_id: intent.device_id.clone(), ..Setup::new(identity, self.now, options)? };
        let door = Door { state: setup.state.clone(), listener: None, tunnel: None, hold: Hold::default() };
        let mut conversation = (self.login.begin)(setup);
        // Nobody is there.
        let (mut talk, _) = Talk::new();
        perform(&mut *conversation, &self.line, door, &mut talk, trail, self.now).await
    }

    /// Exchanges the refresh token that came for a new access token.
    async fn renewed(&self, notes: &VecDeque<Note>) -> Option<Answer> {
        let answer = notes.iter().rev().find_map(|note| match note {
            Note::Answer(told) | Note::Renewed(told) => told.answer(),
            Note::Said(_) | Note::Saving(_) => None,
        })?;
        let mut body: Value = serde_json::from_slice(&answer.body).ok()?;
        let file = json!({ "type": self.login.provider, "refresh_token": body.get("refresh_token")? });
        let record = Record::parse(file.to_string().as_bytes()).ok()?;
        let identity = self.settings.oauth.identity(self.login.provider, (self.login.identity)());
        let provider = provider::of(Kind::of_account(record.provider())?);
        let mut renewal = provider.renew(&record, &identity, (self.now)())?;
        let Step::Redeem(request) = renewal.step(Input::Start) else { return None };
        let renewed = self.line.send(request).await.ok().filter(|answer| answer.status.is_success())?;
        let Value::Object(members) = serde_json::from_slice(&renewed.body).ok()? else { return None };
        body.as_object_mut()?.extend(members);
        Some(Answer { body: body.to_string().into(), ..renewed })
    }

    async fn save(
        &self,
        grant: &Grant,
        noted: Option<&str>,
        received: u64,
        mut trail: Trail,
    ) -> Option<Ending> {
        let saved = match is_settled(self.store, grant, noted, received).await {
            Ok(true) => {
                trail.end().await;
                return None;
            }
            Ok(false) => save_on(self.store, grant, &mut trail).await,
            Err(error) => Err(error),
        };
        match saved {
            Ok(saved) => {
                trail.end().await;
                Some(Ending::Saved { label: grant.label.clone(), id: saved.id })
            }
            Err(error) => Some(Ending::Waits(Refusal {
                kind: RefusalKind::Passing(None),
                message: format!("it cannot be saved: {error}").into(),
                remedy: "make the auth directory writable".into(),
            })),
        }
    }
}

/// Whether the account's file has what came back, or something newer: the process may have ended between saving and
/// saying so, and the token may have been renewed since, which makes the one that came back worthless. `noted` is
/// where it was to be saved, `received` when it came.
async fn is_settled(
    store: &dyn Store,
    grant: &Grant,
    noted: Option<&str>,
    received: u64,
) -> Result<bool, StoreError> {
    let noted = match noted {
        Some(id) => store.get(id).await?,
        None => None,
    };
    let found = match (noted, provider(&grant.changes)) {
        (Some(document), _) => Some(document),
        (None, Some(provider)) => {
            find_account(store, &provider, &grant.account, &grant.file).await?.map(|(_, document)| document)
        }
        (None, None) => None,
    };
    let Some(there) = found.and_then(|document| Record::parse(&document.content).ok()) else {
        return Ok(false);
    };
    let is_the_same = record(&grant.changes).is_some_and(|ours| ours.fingerprint() == there.fingerprint());
    Ok(is_the_same || there.renewed_at().is_some_and(|at| at > received))
}
