//! Renewing tokens so that none is ever lost.
//!
//! A refresh token often works once: whoever redeems it must not lose the answer, and must not redeem it twice. So a
//! renewal runs alone, within the process by the account's own lock and among processes by a lock file; it reads the
//! file again before it redeems, because another process may have renewed the token meanwhile; it first finishes what
//! a process that ended left in the [`journal`]; and it writes to the journal around the exchange. What is said to the
//! identity provider is the provider's business, when to renew is that of [`schedule`], and that a renewal which has
//! begun is not dropped halfway is the caller's.

mod conversation;
mod journal;
mod schedule;

pub(crate) use journal::Left;
pub(crate) use schedule::is_due;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::credential::{Account, Condition, Record, Unsaved};
use crate::oauth::{Identity, Line, Refusal, RefusalKind};
use crate::provider::Provider;
use crate::reason::{Code, Reason};
use crate::secret::Secret;
use crate::store::{self, Changes, Store, StoreError, blocking, lock};
use conversation::Conversation;
use journal::{Entry, Journal};

/// How long a process waits for another one that is renewing the same account.
const LONGEST_LOCK: Duration = Duration::from_mins(1);
/// How often a lock that another process holds is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(25);
/// A token that ends within this many seconds is as good as over.
pub(crate) const ALMOST_OVER: u64 = 10;

/// Renews accounts.
#[derive(Debug)]
pub(crate) struct Refresher {
    store: Arc<dyn Store>,
    workplace: Option<PathBuf>,
    journal: Option<Journal>,
    /// The file system has no locks, which was told once.
    is_lockless: AtomicBool,
}

/// What a renewal needs to know.
pub(crate) struct Task<'a> {
    pub(crate) account: &'a Account,
    pub(crate) provider: &'static dyn Provider,
    pub(crate) identity: Identity,
    pub(crate) line: Line<'a>,
    /// The clock, in Unix seconds.
    pub(crate) now: fn() -> u64,
    /// The program is ending: nothing is begun any more.
    pub(crate) ending: CancellationToken,
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
        Self {
            journal: workplace.as_deref().map(Journal::new),
            workplace,
            store,
            is_lockless: AtomicBool::new(false),
        }
    }

    /// Renews an account's token, unless somebody else has done so meanwhile. Must not be dropped halfway.
    ///
    /// # Errors
    /// When there is no other token than before. The account's condition and pauses are set accordingly.
    pub(crate) async fn renew(&self, task: &Task<'_>, wanted: &Wanted) -> Result<(), Refusal> {
        let account = task.account;
        let _flight = account.flight.lock().await;
        if is_settled(&account.record(), task, wanted) {
            return Ok(());
        }
        if matches!(wanted, Wanted::Ahead) && account.was_just_renewed(Instant::now()) {
            // It is as new as it gets, whatever its end says.
            return Ok(());
        }
        if let Some(refusal) = obstacle(task, wanted) {
            return Err(refusal);
        }
        let result = if task.provider.keeps_tokens() {
            self.renew_alone(task, wanted).await
        } else {
            mint(task).await
        };
        match &result {
            Ok(()) => account.renewal_succeeded(Instant::now()),
            Err(refusal) => note(account, refusal),
        }
        result
    }

    async fn renew_alone(&self, task: &Task<'_>, wanted: &Wanted) -> Result<(), Refusal> {
        let account = task.account;
        let _lock = self.lock(task).await?;
        let mut record = self.read_again(task).await?;
        if let Some(unsaved) = account.unsaved().filter(|unsaved| unsaved.spent == record.fingerprint()) {
            record = record.with(&unsaved.changes);
        } else if let Some(left) = self.left_of(account).await {
            record = self.finish(task, left, record).await?;
        }
        if *account.record() != record {
            account.set_record(record.clone());
        }
        if is_settled(&record, task, wanted) {
            tracing::info!(account = %account.id(), "the file has a newer token already");
            return Ok(());
        }
        if let Some(refusal) = unsaved(task) {
            return Err(refusal);
        }
        if let Some(from) = record.borrowed_from() {
            return Err(lent_no_more(&record, &from));
        }
        let Some(flow) = task.provider.renew(&record, &task.identity, (task.now)()) else {
            return Err(nothing_left(&record));
        };
        let mut conversation = Conversation::new(flow, task, self.journal.clone(), record.fingerprint());
        let changes = conversation.run().await;
        let entry = conversation.into_entry();
        match changes {
            Ok(changes) => self.conclude(task, &record, changes, entry).await,
            Err(failed) => {
                // What follows a redemption is tried again with the answer that was written down.
                if let Some(entry) = entry.filter(|_| !failed.keeps_answer) {
                    blocking(move || entry.end()).await;
                }
                Err(failed.refusal)
            }
        }
    }

    /// Saves what a conversation yielded, and ends its entry when nothing more can be lost.
    async fn conclude(
        &self,
        task: &Task<'_>,
        before: &Record,
        changes: Changes,
        entry: Option<Entry>,
    ) -> Result<(), Refusal> {
        let account = task.account;
        match store::save(&*self.store, account.id().as_str(), &changes, false).await {
            Ok(document) => {
                adopt(account, &document.content);
                if let Some(entry) = entry {
                    blocking(move || entry.end()).await;
                }
                tracing::info!(account = %account.id(), "token renewed");
                Ok(())
            }
            // The entry stays: the token is not lost if the file comes back.
            Err(StoreError::Missing(_)) => Err(passing("its file was removed while the token was renewed")),
            Err(error) => {
                account.set_record(keep_in_memory(task, before, changes, &error));
                Ok(())
            }
        }
    }

    /// Tries again to save a token that is in memory only.
    pub(crate) async fn save_again(&self, account: &Account) {
        let _flight = account.flight.lock().await;
        let Some(unsaved) = account.unsaved() else { return };
        match store::save(&*self.store, account.id().as_str(), &unsaved.changes, false).await {
            Ok(document) => {
                account.set_unsaved(None);
                adopt(account, &document.content);
                if let Some(left) = self.left_of(account).await {
                    blocking(move || left.end()).await;
                }
                tracing::info!(account = %account.id(), "the renewed token is saved");
            }
            // A file that is gone takes its token with it; what came back for it stays in the journal.
            Err(StoreError::Missing(_)) => account.set_unsaved(None),
            Err(error) => tracing::debug!(account = %account.id(), "still not saved: {error}"),
        }
    }

    /// What earlier processes left behind.
    pub(crate) async fn left(&self) -> Vec<Left> {
        let Some(journal) = self.journal.clone() else { return Vec::new() };
        blocking(move || journal.left()).await.unwrap_or_default()
    }

    async fn left_of(&self, account: &Account) -> Option<Left> {
        let (journal, id) = (self.journal.clone()?, account.id().as_str().to_owned());
        blocking(move || journal.left_of(&id)).await.flatten()
    }

    /// Brings what an earlier process received to where it belongs.
    pub(crate) async fn recover(&self, task: &Task<'_>) {
        let account = task.account;
        let _flight = account.flight.lock().await;
        let recovered = async {
            let _lock = self.lock(task).await?;
            let record = self.read_again(task).await?;
            let Some(left) = self.left_of(account).await else { return Ok(()) };
            let record = self.finish(task, left, record).await?;
            account.set_record(record);
            Ok(())
        };
        if let Err(refusal) = recovered.await {
            note(account, &refusal);
        }
    }

    /// Finishes what a process began that has ended: brings its answer into the file, whose reading is `record`. Needs
    /// the account's locks. Gives the reading afterwards.
    async fn finish(&self, task: &Task<'_>, left: Left, record: Record) -> Result<Record, Refusal> {
        let account = task.account;
        let is_of_this_token = record.fingerprint() == left.intent.fingerprint;
        let (Some(answer), true) = (left.answer.clone(), is_of_this_token) else {
            if is_of_this_token {
                tracing::warn!(
                    account = %account.id(),
                    "a process ended while it renewed this account's token, before the answer was there; if the next renewal is refused, log in again"
                );
            }
            blocking(move || left.end()).await;
            return Ok(record);
        };
        let Some(flow) = task.provider.renew(&record, &task.identity, left.intent.begun) else {
            return Ok(record);
        };
        let changes = Conversation::replaying(flow, task, answer).run().await;
        match changes {
            Ok(changes) => {
                let saved = store::save(&*self.store, account.id().as_str(), &changes, false).await;
                let document = match saved {
                    Ok(document) => document,
                    Err(StoreError::Missing(_)) => return Err(passing("its file is gone")),
                    // The entry stays: it is where the token is.
                    Err(error) => return Ok(keep_in_memory(task, &record, changes, &error)),
                };
                blocking(move || left.end()).await;
                tracing::info!(account = %account.id(), "a token that an earlier process received is saved");
                Record::parse(&document.content)
                    .map_err(|error| passing(&format!("its file cannot be read: {error}")))
            }
            Err(failed) if failed.keeps_answer => Err(failed.refusal),
            Err(failed) => {
                tracing::warn!(account = %account.id(), "what an earlier process received is no token: {}", failed.refusal.message);
                blocking(move || left.end()).await;
                Ok(record)
            }
        }
    }

    /// Takes the account's lock among processes; `None` where there are no others or no locks.
    async fn lock(&self, task: &Task<'_>) -> Result<Option<std::fs::File>, Refusal> {
        let Some(workplace) = &self.workplace else { return Ok(None) };
        let end = Instant::now() + LONGEST_LOCK;
        loop {
            if task.ending.is_cancelled() {
                return Err(passing("the program is ending"));
            }
            let (workplace, id) = (workplace.clone(), task.account.id().as_str().to_owned());
            match blocking(move || lock::try_take(&workplace, &id)).await {
                Some(Ok(Some(lock))) => return Ok(Some(lock)),
                Some(Ok(None)) if Instant::now() < end => tokio::time::sleep(LOCK_PAUSE).await,
                Some(Ok(None)) => {
                    return Err(passing("another process has been renewing its token for a minute"));
                }
                Some(Err(error)) if error.is_unsupported() => {
                    if !self.is_lockless.swap(true, Ordering::Relaxed) {
                        tracing::warn!(
                            "the auth directory has no file locks; do not run two gateways on it: {error}"
                        );
                    }
                    return Ok(None);
                }
                // Nobody can write anything down there, so nobody spends anything; and what stays needs no lock.
                Some(Err(error)) if error.is_read_only() || !task.provider.spends_tokens() => {
                    return Ok(None);
                }
                Some(Err(error)) => {
                    return Err(passing(&format!(
                        "the token is not renewed, because what comes back could not be saved: {error}"
                    )));
                }
                None => return Err(passing("the program is ending")),
            }
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
}

/// Makes a token for which nothing is spent: there is nothing to lock, to write down or to save.
async fn mint(task: &Task<'_>) -> Result<(), Refusal> {
    let record = task.account.record();
    let Some(flow) = task.provider.renew(&record, &task.identity, (task.now)()) else {
        return Err(nothing_left(&record));
    };
    let changes = Conversation::new(flow, task, None, String::new()).run().await;
    let changes = changes.map_err(|failed| failed.refusal)?;
    // The file may have been read again meanwhile.
    task.account.set_record(task.account.record().with(&changes));
    tracing::debug!(account = %task.account.id(), "token made");
    Ok(())
}

/// What can be told of a token that has ended without asking anybody: why it cannot be renewed here. `None` when it has
/// not ended, or can be.
pub(crate) fn outlook(
    record: &Record,
    provider: &dyn Provider,
    identity: &Identity,
    now: u64,
) -> Option<Refusal> {
    let is_there = record.bearer().is_some_and(|token| !token.is_empty());
    if is_there && !has_ended(record, now) {
        return None;
    }
    if let Some(from) = record.borrowed_from() {
        return Some(lent_no_more(record, &from));
    }
    provider.renew(record, identity, now).is_none().then(|| nothing_left(record))
}

fn nothing_left(record: &Record) -> Refusal {
    Refusal {
        kind: RefusalKind::Dead,
        message: Code::NothingToRenewWith.into(),
        remedy: login_remedy(record),
    }
}

/// Whether there is a token that is worth a try.
fn is_settled(record: &Record, task: &Task<'_>, wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Ahead => !is_due(record, task.provider, task.account.id(), (task.now)()),
        Wanted::Refused(token) => record.bearer().is_some_and(|current| current != *token),
    }
}

/// Takes a token that cannot be saved into use; the reading with it.
fn keep_in_memory(task: &Task<'_>, before: &Record, changes: Changes, why: &StoreError) -> Record {
    let account = task.account;
    let consequence = if task.provider.spends_tokens() {
        "it is used from memory, and nothing is renewed for this account until it is saved"
    } else {
        "it is used from memory"
    };
    tracing::error!(account = %account.id(), "a renewed token cannot be saved; {consequence}: {why}");
    let record = before.with(&changes);
    account.set_unsaved(Some(Unsaved { changes, spent: before.fingerprint() }));
    record
}

/// A token that is in memory only stands in the way of another one, which would make it worthless before it is saved.
fn unsaved(task: &Task<'_>) -> Option<Refusal> {
    let is_in_the_way = task.account.has_unsaved() && task.provider.spends_tokens();
    is_in_the_way.then(|| passing("its last token is not saved yet, so no further one is asked for"))
}

/// What stands in the way of a renewal at the moment.
fn obstacle(task: &Task<'_>, wanted: &Wanted) -> Option<Refusal> {
    let account = task.account;
    if let Condition::NeedsAttention { cause, remedy } = &*account.condition() {
        return Some(Refusal { kind: RefusalKind::Dead, message: cause.clone(), remedy: remedy.clone() });
    }
    let now = Instant::now();
    if let Some(refusal) = unsaved(task) {
        return Some(refusal);
    }
    if !account.may_renew(now) {
        return Some(passing("its renewal failed a moment ago and is tried again shortly"));
    }
    if account.is_untried(now) && matches!(wanted, Wanted::Refused(_)) {
        return Some(passing("the upstream does not accept a token that was renewed a moment ago"));
    }
    None
}

fn adopt(account: &Account, content: &[u8]) {
    if let Ok(record) = Record::parse(content) {
        account.set_record(record);
    }
}

/// Whether a token has ended, as far as the file says.
pub(crate) fn is_over(record: &Record, now: u64) -> bool {
    record.expires_at().is_some_and(|end| end <= now.saturating_add(ALMOST_OVER))
}

/// Whether a token's last second is over.
pub(crate) fn has_ended(record: &Record, now: u64) -> bool {
    record.expires_at().is_some_and(|end| end <= now)
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

/// A borrowed token has ended. It is renewed by the program that it belongs to, and read again when that has happened.
fn lent_no_more(record: &Record, from: &std::path::Path) -> Refusal {
    Refusal {
        kind: RefusalKind::Passing(None),
        message: format!("its token, borrowed from {}, has ended or is refused", from.display()).into(),
        remedy: crate::lender::remedy(record.provider()).into(),
    }
}

fn passing(message: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::Passing(None),
        message: message.into(),
        remedy: "it is tried again by itself".into(),
    }
}

/// The command that logs in again.
fn login_remedy(record: &Record) -> Reason {
    let flag = match record.provider() {
        "gemini-cli" => "login".to_owned(),
        "vertex" => "vertex-import FILE".to_owned(),
        other => format!("{other}-login"),
    };
    Code::LogIn.with("command", format!("cli-proxy-api --{flag}"))
}
