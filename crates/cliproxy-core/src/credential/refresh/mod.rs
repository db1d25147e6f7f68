//! Renewing tokens without losing one.
//!
//! An account is renewed by one request at a time in this process ([`Account::flight`]) and by one process at a time on
//! this machine (a lock file). Whoever gets the lock reads the file again first: a token that somebody else has renewed
//! is adopted instead of being spent twice. Around the exchange stands the [journal](journal). A token that came back
//! and cannot be saved stays in use in memory, is saved as soon as that is possible, and until then nothing is spent.
//!
//! What is said to a provider is the provider's [`Flow`](crate::oauth::Flow); this module performs it.

mod journal;
mod schedule;

pub(crate) use schedule::is_due;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::account::{Account, Condition};
use super::record::Record;
use crate::oauth::driver::Line;
use crate::oauth::{Answer, Changes, Identity, Input, Refusal, RefusalKind, Request, Step};
use crate::provider::{Provider, Renewal};
use crate::secret::Secret;
use crate::store::{self, Store, StoreError, lock};
use journal::{Entry, Intent, Journal, Left, fingerprint};

/// How long a process waits for another one that is renewing the same account.
const LONGEST_LOCK: Duration = Duration::from_mins(2);
/// A conversation that waits longer than this is not about a renewal.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A token that ends within this time is as good as over.
pub(crate) const ALMOST_OVER: u64 = 10;

/// Renews accounts.
#[derive(Debug)]
pub(crate) struct Refresher {
    store: Arc<dyn Store>,
    workplace: Option<PathBuf>,
    journal: Option<Journal>,
}

/// What a renewal needs to know.
pub(crate) struct Task<'a> {
    pub(crate) account: &'a Account,
    pub(crate) provider: &'static dyn Provider,
    pub(crate) identity: Identity,
    pub(crate) line: Line<'a>,
    /// The clock, in Unix seconds.
    pub(crate) now: fn() -> u64,
}

/// Why a renewal is wanted.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// The token is about to end.
    Ahead,
    /// The upstream did not accept this token.
    Refused(Secret),
}

impl Refresher {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let workplace = store.workplace();
        Self { journal: workplace.as_deref().map(Journal::new), workplace, store }
    }

    /// Renews an account's token, unless somebody else has done so meanwhile.
    ///
    /// # Errors
    /// When there is no other token than before. The account's condition and pauses are set accordingly.
    pub(crate) async fn renew(&self, task: &Task<'_>, wanted: &Wanted) -> Result<(), Refusal> {
        let account = task.account;
        let _flight = account.flight.lock().await;
        if Self::is_settled(task, wanted) {
            return Ok(());
        }
        if let Condition::NeedsAttention { cause, remedy } = &*account.condition() {
            return Err(Refusal { kind: RefusalKind::Dead, message: cause.clone(), remedy: remedy.clone() });
        }
        if !account.may_renew(Instant::now()) {
            return Err(passing("its renewal failed a moment ago and is tried again shortly"));
        }
        let result = self.renew_alone(task, wanted).await;
        match &result {
            Ok(()) => account.renewal_succeeded(),
            Err(refusal) => note(account, refusal),
        }
        result
    }

    /// Whether the account has a token that is worth a try.
    fn is_settled(task: &Task<'_>, wanted: &Wanted) -> bool {
        let record = task.account.record();
        match wanted {
            Wanted::Ahead => {
                let now = (task.now)();
                !is_due(&record, task.provider, task.account.id(), now) && !is_over(&record, now)
            }
            Wanted::Refused(token) => record.token("access_token").is_some_and(|current| current != *token),
        }
    }

    async fn renew_alone(&self, task: &Task<'_>, wanted: &Wanted) -> Result<(), Refusal> {
        let _lock = self.lock(task.account).await?;
        let record = self.read_again(task).await?;
        let before = task.account.record();
        task.account.set_record(record.clone());
        let is_other = record.token("access_token") != before.token("access_token");
        if is_other && (Self::is_settled(task, wanted) || !is_over(&record, (task.now)())) {
            tracing::info!(account = %task.account.id(), "another process has renewed the token");
            return Ok(());
        }
        let now = (task.now)();
        let Some(mut flow) = task.provider.renew(&record, &task.identity, now) else {
            return Err(Refusal {
                kind: RefusalKind::Dead,
                message: "the token has ended and there is nothing to renew it with".to_owned(),
                remedy: login_remedy(&record),
            });
        };
        let mut entry = None;
        let result = self.perform(&mut flow, task, &record, &mut entry).await;
        self.conclude(task, result, entry).await
    }

    /// Saves what a conversation yielded, and ends its entry when nothing more can be lost.
    async fn conclude(
        &self,
        task: &Task<'_>,
        result: Result<Changes, Refusal>,
        entry: Option<Entry>,
    ) -> Result<(), Refusal> {
        let changes = match result {
            Ok(changes) => changes,
            Err(refusal) => {
                if let Some(entry) = entry {
                    end(entry).await;
                }
                return Err(refusal);
            }
        };
        let account = task.account;
        match store::save(&*self.store, account.id().as_str(), &changes, false).await {
            Ok(document) => {
                adopt(account, &document.content);
                if let Some(entry) = entry {
                    end(entry).await;
                }
                tracing::info!(account = %account.id(), "token renewed");
                Ok(())
            }
            Err(StoreError::Missing(_)) => {
                if let Some(entry) = entry {
                    end(entry).await;
                }
                Err(passing("its file was removed while the token was renewed"))
            }
            Err(error) => {
                // The entry stays: with the answer in it the token is on disk, if only there.
                tracing::error!(account = %account.id(), "a renewed token cannot be saved, is used from memory and saved as soon as possible: {error}");
                account.set_record(account.record().with(&changes));
                account.set_unsaved(Some(changes));
                Ok(())
            }
        }
    }

    /// Tries again to save a token that is in memory only.
    pub(crate) async fn save_again(&self, account: &Account) -> bool {
        let _flight = account.flight.lock().await;
        let Some(changes) = account.unsaved() else { return true };
        match store::save(&*self.store, account.id().as_str(), &changes, false).await {
            Ok(document) => {
                adopt(account, &document.content);
                account.renewal_succeeded();
                let left = self.journal.as_ref().map(Journal::left).unwrap_or_default();
                left.into_iter()
                    .filter(|left| left.intent.account == account.id().as_str())
                    .for_each(Left::end);
                tracing::info!(account = %account.id(), "the renewed token is saved");
                true
            }
            Err(StoreError::Missing(_)) => {
                account.renewal_succeeded();
                true
            }
            Err(_still) => false,
        }
    }

    async fn lock(&self, account: &Account) -> Result<Option<std::fs::File>, Refusal> {
        let Some(workplace) = self.workplace.clone() else { return Ok(None) };
        let id = account.id().as_str().to_owned();
        let taken = tokio::task::spawn_blocking(move || lock::take(&workplace, &id, LONGEST_LOCK)).await;
        match taken {
            Ok(Ok(lock)) => Ok(Some(lock)),
            Ok(Err(error)) => Err(passing(&format!("the token is not renewed, because {error}"))),
            Err(_cancelled) => Err(passing("the program is ending")),
        }
    }

    async fn read_again(&self, task: &Task<'_>) -> Result<Record, Refusal> {
        let id = task.account.id().as_str();
        match self.store.get(id).await {
            Ok(Some(document)) => Record::parse(&document.content)
                .map_err(|error| passing(&format!("its file cannot be read: {error}"))),
            Ok(None) => Err(passing("its file is gone")),
            Err(error) => Err(passing(&format!("its file cannot be read: {error}"))),
        }
    }

    /// Performs a conversation. `entry` is what stands in the journal about it.
    async fn perform(
        &self,
        flow: &mut Renewal,
        task: &Task<'_>,
        record: &Record,
        entry: &mut Option<Entry>,
    ) -> Result<Changes, Refusal> {
        let mut input = Input::Start;
        loop {
            input = match flow.step(input) {
                Step::Done(changes) => return Ok(changes),
                Step::Refused(refusal) => return Err(refusal),
                Step::Send(request) => told(task.line.send(request).await),
                Step::Redeem(request) => self.redeem(request, task, record, entry).await?,
                Step::Wait(pause) => {
                    tokio::time::sleep(pause.min(LONGEST_WAIT)).await;
                    Input::Elapsed
                }
                Step::Ask(_) | Step::Visit(_) | Step::Show(_) => return Err(Refusal::out_of_turn()),
            };
        }
    }

    /// Spends a token, with the journal around it.
    async fn redeem(
        &self,
        request: Request,
        task: &Task<'_>,
        record: &Record,
        entry: &mut Option<Entry>,
    ) -> Result<Input, Refusal> {
        if let Some(journal) = self.journal.clone() {
            let intent = Intent {
                account: task.account.id().as_str().to_owned(),
                fingerprint: fingerprint(record),
                begun: (task.now)(),
            };
            let begun = tokio::task::spawn_blocking(move || journal.begin(&intent)).await;
            let begun = begun.map_err(|_cancelled| passing("the program is ending"))?;
            *entry = Some(begun.map_err(|error| {
                passing(&format!("the token is not renewed, because the journal cannot be written: {error}"))
            })?);
        }
        let sent = task.line.send(request).await;
        if let (Ok(answer), Some(entry)) = (&sent, entry.as_mut()) {
            Self::keep(answer, entry);
        }
        Ok(told(sent))
    }

    /// Writes an answer down. At once and on this thread: until it is written, ending the process would lose it.
    fn keep(answer: &Answer, entry: &mut Entry) {
        if let Err(error) = entry.answered(answer).and_then(|()| entry.sync()) {
            tracing::error!("what came back for a refresh token cannot be written down: {error}");
        }
    }

    /// Finishes what an earlier process began: an answer that is not in its file yet is brought there.
    pub(crate) fn left(&self) -> Vec<Left> {
        self.journal.as_ref().map(Journal::left).unwrap_or_default()
    }

    /// Brings the answer of an earlier process into the account's file.
    pub(crate) async fn recover(&self, task: &Task<'_>, mut left: Left) {
        let account = task.account;
        let _flight = account.flight.lock().await;
        let Ok(_lock) = self.lock(account).await else { return };
        let Ok(record) = self.read_again(task).await else { return };
        if fingerprint(&record) != left.intent.fingerprint {
            // The file has another token already.
            left.end();
            return;
        }
        let Some(answer) = left.answer.take() else {
            tracing::warn!(
                account = %account.id(),
                "the program ended while this account's token was renewed; if the renewal is refused now, log in again"
            );
            left.end();
            return;
        };
        let Some(mut flow) = task.provider.renew(&record, &task.identity, left.intent.begun) else {
            return left.end();
        };
        let mut answer = Some(answer);
        let mut input = Input::Start;
        let changes = loop {
            input = match flow.step(input) {
                Step::Done(changes) => break changes,
                Step::Refused(refusal) => {
                    note(account, &refusal);
                    // A passing refusal of what follows the exchange is tried again at the next start.
                    if !matches!(refusal.kind, RefusalKind::Passing(_)) {
                        left.end();
                    }
                    return;
                }
                Step::Redeem(_) => match answer.take() {
                    Some(answer) => Input::Answer(answer),
                    None => return left.end(),
                },
                Step::Send(request) => told(task.line.send(request).await),
                Step::Wait(pause) => {
                    tokio::time::sleep(pause.min(LONGEST_WAIT)).await;
                    Input::Elapsed
                }
                Step::Ask(_) | Step::Visit(_) | Step::Show(_) => return left.end(),
            };
        };
        match store::save(&*self.store, account.id().as_str(), &changes, false).await {
            Ok(document) => {
                adopt(account, &document.content);
                tracing::info!(account = %account.id(), "a token that an earlier run received is saved");
                left.end();
            }
            Err(error) => {
                tracing::error!(account = %account.id(), "a token that an earlier run received cannot be saved: {error}");
                account.set_record(record.with(&changes));
                account.set_unsaved(Some(changes));
            }
        }
    }
}

fn told(sent: Result<Answer, String>) -> Input {
    match sent {
        Ok(answer) => Input::Answer(answer),
        Err(why) => Input::Lost(why),
    }
}

async fn end(entry: Entry) {
    // Removing a name may wait for the disk.
    drop(tokio::task::spawn_blocking(move || entry.end()).await);
}

fn adopt(account: &Account, content: &[u8]) {
    if let Ok(record) = Record::parse(content) {
        account.set_record(record);
    }
}

/// Whether an account has no token that can be used any more. `now` is in Unix seconds.
pub(crate) fn is_over(record: &Record, now: u64) -> bool {
    record.token("access_token").is_none() || record.expires_at().is_some_and(|end| end <= now + ALMOST_OVER)
}

/// Sets an account's condition and pauses by why it could not be renewed, and says so once.
fn note(account: &Account, refusal: &Refusal) {
    match refusal.kind {
        RefusalKind::Passing(hint) => {
            let pause = account.renewal_failed(hint, Instant::now());
            tracing::warn!(account = %account.id(), "token not renewed, next try in {} s: {}", pause.as_secs(), refusal.message);
        }
        RefusalKind::Dead | RefusalKind::Forbidden => {
            tracing::error!(account = %account.id(), "the account needs attention: {}; {}", refusal.message, refusal.remedy);
            account.set_condition(Condition::NeedsAttention {
                cause: refusal.message.clone(),
                remedy: refusal.remedy.clone(),
            });
        }
    }
}

fn passing(message: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::Passing(None),
        message: message.to_owned(),
        remedy: "it is tried again by itself".to_owned(),
    }
}

/// The command that logs in again.
pub(crate) fn login_remedy(record: &Record) -> String {
    let flag = match record.provider() {
        "gemini-cli" => "login".to_owned(),
        "vertex" => "vertex-import FILE".to_owned(),
        other => format!("{other}-login"),
    };
    format!("log in again: cli-proxy-api --{flag}")
}
