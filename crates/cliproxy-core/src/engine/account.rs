//! Accounts in the engine: loading them, following their files, keeping their tokens fresh.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::fault::{Fault, Kind};
use futures_util::future::BoxFuture;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, Semaphore};

use super::Engine;
use crate::config::Settings;
use crate::credential::accounts::{Accounts, Difference};
use crate::credential::{self, Account, Credential, CredentialId, Record};
use crate::failure::{Failure, Rest, Retry};
use crate::lender::LendingStore;
use crate::login::earlier;
use crate::oauth::{Line, Refusal, RefusalKind};
use crate::provider;
use crate::refresh::{self, Refresher, Task, Wanted};
use crate::snapshot::account_proxy;
use crate::store::{OWN, Store, StoreError, is_json};
use crate::upstream::Egress;

/// How often all accounts are looked at for tokens that are about to end.
const SCAN: Duration = Duration::from_secs(5);
/// Quiet time after a change before the files are read: writers need a moment.
const QUIET: Duration = Duration::from_millis(100);
/// How often logins that were cut off are looked for. The pause after one that cannot be finished yet is the same.
const LOGINS: Duration = Duration::from_mins(5);
/// How often the files are looked at when the system reports nothing, and when it cannot be asked to.
const LOOK: Duration = Duration::from_secs(30);
const LOOK_UNWATCHED: Duration = Duration::from_secs(5);

/// A store with its accounts.
#[derive(Debug)]
pub(super) struct Vault {
    pub(super) store: Arc<dyn Store>,
    pub(super) accounts: Accounts,
    refresher: Refresher,
}

impl Vault {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let store: Arc<dyn Store> = Arc::new(LendingStore::new(store));
        Self { refresher: Refresher::new(Arc::clone(&store)), accounts: Accounts::default(), store }
    }
}

impl Engine {
    /// The accounts of the store, in the order of their ids.
    pub fn accounts(&self) -> Arc<BTreeMap<CredentialId, Arc<Account>>> {
        self.0.vault.load().as_ref().map(|vault| vault.accounts.all()).unwrap_or_default()
    }

    /// The store's folder for what is no document.
    pub(super) fn workplace(&self) -> Option<PathBuf> {
        self.0.vault.load().as_ref().and_then(|vault| vault.store.workplace())
    }

    /// Takes another store, as soon as its accounts are read; until then those of the old one serve.
    ///
    /// # Errors
    /// When the store cannot be listed; the old one stays.
    pub async fn move_accounts(&self, store: Arc<dyn Store>) -> Result<Difference, StoreError> {
        let vault = Vault::new(store);
        let difference = vault.accounts.load(&*vault.store).await?;
        self.0.vault.store(Some(Arc::new(vault)));
        self.derive_again();
        Ok(difference)
    }

    /// Reads what changed in the store and takes it over. Running requests keep what they began with.
    ///
    /// # Errors
    /// When the store cannot be listed; everything stays as it was.
    pub fn load_accounts(&self) -> BoxFuture<'_, Result<Difference, StoreError>> {
        Box::pin(async {
            let Some(vault) = self.0.vault.load_full() else { return Ok(Difference::default()) };
            let difference = vault.accounts.load(&*vault.store).await?;
            if !difference.is_empty() {
                self.forgive(&difference.changed);
                self.derive_again();
            }
            Ok(difference)
        })
    }

    /// Forgets what is held against accounts, whatever project they were asked for.
    pub(super) fn forgive(&self, accounts: &[CredentialId]) {
        let accounts: HashSet<&CredentialId> = accounts.iter().collect();
        let snapshot = self.snapshot();
        let of_accounts = snapshot.routes.credentials().iter().filter(|credential| {
            credential.account.as_ref().is_some_and(|account| accounts.contains(account.id()))
        });
        of_accounts.for_each(|credential| self.0.pool.forgive(&credential.id));
    }

    /// Follows the store's files and renews tokens, until the engine ends. `now` is the clock in Unix seconds.
    pub fn keep_accounts(&self, now: fn() -> u64) {
        let engine = self.clone();
        self.spawn("account files", async move { engine.follow_files().await });
        let engine = self.clone();
        self.spawn("token renewal", async move {
            engine.finish_earlier(now).await;
            engine.renew_ahead(now).await;
        });
        let engine = self.clone();
        self.spawn("logins that were cut off", async move {
            loop {
                engine.finish_logins(now).await;
                tokio::time::sleep(LOGINS).await;
            }
        });
    }

    /// Finishes logins that a process began which has ended. What has begun goes to its end.
    async fn finish_logins(&self, now: fn() -> u64) {
        let engine = self.clone();
        let finishing = self.0.tasks.spawn(async move {
            let Some(store) = engine.auth_store() else { return };
            let settings = engine.snapshot().settings.clone();
            let finished = earlier::finish(&settings, engine.clients(), &*store, now).await;
            for login in &finished {
                if login.is_saved() {
                    tracing::info!("{login}");
                } else {
                    tracing::warn!("{login}");
                }
            }
            if finished.iter().any(earlier::Finished::is_saved) {
                // Files that cannot be listed are looked at again by whoever follows them.
                drop(engine.load_accounts().await);
            }
        });
        drop(finishing.await);
    }

    async fn follow_files(&self) {
        let woken = Arc::new(Notify::new());
        let mut watched: Option<(PathBuf, RecommendedWatcher)> = None;
        let mut elsewhere: Option<(Vec<PathBuf>, RecommendedWatcher)> = None;
        let mut told = String::new();
        loop {
            let vault = self.0.vault.load_full();
            let directory = vault.as_ref().and_then(|vault| vault.store.directory());
            let mut is_new = false;
            if watched.as_ref().map(|(path, _)| path) != directory.as_ref() {
                watched = directory.and_then(|path| Some((path.clone(), watch(&path, &woken)?)));
                is_new = watched.is_some();
            }
            let mut files = vault.as_ref().map(|vault| vault.store.elsewhere()).unwrap_or_default();
            files.sort();
            if elsewhere.as_ref().map_or(&[][..], |(watched, _)| watched) != files {
                elsewhere = watch_files(&files, &woken).map(|watcher| (files, watcher));
                is_new |= elsewhere.is_some();
            }
            if let Some((path, watcher)) = watched.as_mut().filter(|_| cfg!(target_os = "linux")) {
                // Every note of the ledger would wake the thread that watches. One that came since was added to what is watched.
                // Elsewhere the system has no watch of its own for each folder.
                drop(watcher.unwatch(&path.join(OWN)));
            }
            if is_new {
                // Something may have changed since the store was read and before somebody watched.
                woken.notify_one();
            }
            let pause = if watched.is_some() { LOOK } else { LOOK_UNWATCHED };
            tokio::select! {
                () = woken.notified() => tokio::time::sleep(QUIET).await,
                () = tokio::time::sleep(pause) => {}
            }
            let looked = self.load_accounts().await;
            let trouble = looked.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let is_news = told != trouble;
            told = trouble;
            match looked {
                Ok(difference) if !difference.is_empty() => tracing::info!(
                    added = difference.added.len(),
                    changed = difference.changed.len(),
                    removed = difference.removed.len(),
                    "auth files changed"
                ),
                Ok(_) => {}
                Err(error) if is_news => tracing::warn!("the auth files cannot be looked at: {error}"),
                Err(_) => {}
            }
        }
    }

    /// Brings what earlier runs received to where it belongs.
    async fn finish_earlier(&self, now: fn() -> u64) {
        let Some(vault) = self.0.vault.load_full() else { return };
        for left in vault.refresher.left().await {
            let id = CredentialId::new(left.intent.account.as_str());
            let Some(account) = vault.accounts.get(&id) else {
                tracing::warn!(
                    account = %id,
                    "a token of this account was being renewed, and its file is gone; what is left of it is forgotten"
                );
                left.end();
                continue;
            };
            let engine = self.clone();
            self.0.tasks.spawn(async move {
                let Some(vault) = engine.0.vault.load_full() else { return };
                let snapshot = engine.snapshot();
                if let Some(task) = engine.task(&account, &snapshot.settings, now) {
                    vault.refresher.recover(&task).await;
                }
            });
        }
    }

    async fn renew_ahead(&self, now: fn() -> u64) {
        let workers = usize::try_from(self.snapshot().settings.retry.refresh_workers).unwrap_or(1).max(1);
        let workers = Arc::new(Semaphore::new(workers));
        loop {
            for account in self.accounts().values() {
                let Ok(worker) = Arc::clone(&workers).try_acquire_owned() else { break };
                if !Self::wants_renewal(account, now()) {
                    continue;
                }
                let (engine, account) = (self.clone(), Arc::clone(account));
                self.spawn("renewal of one token", async move {
                    let was_incomplete = is_incomplete(&account.record());
                    // Refusals are noted on the account and logged where they happen.
                    let renewed = engine.renew(&account, Wanted::Ahead, now).await;
                    if renewed.is_ok() && was_incomplete {
                        engine.derive_again();
                    }
                    drop(worker);
                });
            }
            tokio::time::sleep(SCAN).await;
        }
    }

    fn wants_renewal(account: &Account, now: u64) -> bool {
        if account.has_unsaved() {
            return true;
        }
        let record = account.record();
        if record.is_disabled() || !account.is_well() || !account.is_idle() {
            return false;
        }
        let Some(kind) = credential::Kind::of_account(record.provider()) else { return false };
        let provider = provider::of(kind);
        provider.lead().is_some() && refresh::is_due(&record, provider, account.id(), now)
    }

    /// What renewing an account takes; `None` for a provider without accounts.
    fn task<'a>(&'a self, account: &'a Account, settings: &Settings, now: fn() -> u64) -> Option<Task<'a>> {
        let record = account.record();
        let name = record.provider();
        let provider = provider::of(credential::Kind::of_account(name)?);
        let egress = Egress {
            credential: account.id().clone(),
            proxy: account_proxy(&record, account.id()).or(&settings.proxy),
        };
        Some(Task {
            account,
            provider,
            identity: settings.oauth.identity(name, provider::identity(name).unwrap_or_default()),
            line: Line::new(settings.timeouts.limits(), &self.0.clients, egress),
            now,
            ending: self.0.cancel.clone(),
        })
    }

    /// Renews an account's token. What has begun goes to its end, also when nobody waits for it any more: a client
    /// that gives up and a program that ends must not cost a token.
    fn renew(
        &self,
        account: &Arc<Account>,
        wanted: Wanted,
        now: fn() -> u64,
    ) -> BoxFuture<'static, Result<(), Refusal>> {
        let (engine, account) = (self.clone(), Arc::clone(account));
        let renewal =
            self.0.tasks.spawn(async move { engine.renew_to_the_end(&account, &wanted, now).await });
        Box::pin(async move {
            renewal.await.unwrap_or_else(|error| {
                Err(Refusal {
                    kind: RefusalKind::Passing(None),
                    message: format!("the renewal was given up: {error}").into(),
                    remedy: "it is tried again by itself".into(),
                })
            })
        })
    }

    async fn renew_to_the_end(
        &self,
        account: &Account,
        wanted: &Wanted,
        now: fn() -> u64,
    ) -> Result<(), Refusal> {
        let Some(vault) = self.0.vault.load_full() else { return Ok(()) };
        if account.has_unsaved() {
            vault.refresher.save_again(account).await;
        }
        let snapshot = self.snapshot();
        let Some(task) = self.task(account, &snapshot.settings, now) else { return Ok(()) };
        vault.refresher.renew(&task, wanted).await
    }

    /// Whether a credential has a token, whether or not it has ended, or something to get one with.
    pub(super) fn may_get_token(&self, credential: &Credential, now: fn() -> u64) -> bool {
        if credential.token().is_some_and(|token| !token.is_empty()) {
            return true;
        }
        let Some(account) = &credential.account else { return false };
        let snapshot = self.snapshot();
        self.task(account, &snapshot.settings, now)
            .is_some_and(|task| task.provider.renew(&account.record(), &task.identity, now()).is_some())
    }

    /// Makes sure that a credential has a token that has not ended.
    pub(super) async fn freshen(&self, credential: &Credential, now: fn() -> u64) -> Result<(), Failure> {
        let Some(account) = &credential.account else { return Ok(()) };
        let has_token = || account.record().bearer().is_some();
        if has_token() && !refresh::is_over(&account.record(), now()) {
            return Ok(());
        }
        match Box::pin(self.renew(account, Wanted::Ahead, now)).await {
            // Its last seconds are used.
            Err(refusal) if !has_token() || refresh::has_ended(&account.record(), now()) => {
                Err(not_fresh(credential, &refusal))
            }
            _ => Ok(()),
        }
    }

    /// Renews the token that an upstream did not accept.
    ///
    /// # Errors
    /// When there is no other one to try: how long the account rests.
    pub(super) async fn renew_refused(
        &self,
        credential: &Credential,
        token: crate::secret::Secret,
        now: fn() -> u64,
    ) -> Result<(), Rest> {
        let Some(account) = &credential.account else { return Err(Rest::Unauthorized) };
        match self.renew(account, Wanted::Refused(token), now).await {
            Ok(()) => {
                self.0.pool.forgive(&credential.id);
                Ok(())
            }
            Err(Refusal { kind: RefusalKind::Passing(hint), .. }) => Err(Rest::Transient(hint)),
            // The account is out of the rotation by its condition.
            Err(_) => Err(Rest::None),
        }
    }
}

/// Whether an account offers nothing until a renewal has completed its file.
fn is_incomplete(record: &Record) -> bool {
    let kind = credential::Kind::of_account(record.provider());
    kind.is_some_and(|kind| provider::of(kind).is_incomplete(record))
}

fn not_fresh(credential: &Credential, refusal: &Refusal) -> Failure {
    let fault = Fault::new(Kind::Unavailable, "the account's token has ended and could not be renewed")
        .with_code("auth_unavailable");
    let retry = match refusal.kind {
        RefusalKind::Passing(hint) => Retry::Leave(Rest::Transient(hint)),
        // The account is out of the rotation by its condition.
        RefusalKind::Dead | RefusalKind::Forbidden => Retry::Next(Rest::None),
    };
    Failure::gateway(fault).with_retry(retry).with_detail(format!("{}: {}", credential.id, refusal.message))
}

/// Reports changes below a directory. `None` when the system cannot watch it; it is looked at from time to time then.
fn watch(directory: &std::path::Path, woken: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let woken = Arc::clone(woken);
    let report = move |event: notify::Result<notify::Event>| {
        let concerns_us = match &event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
            Ok(event) => event.paths.is_empty() || event.paths.iter().any(|path| may_hold_accounts(path)),
            Err(_) => true,
        };
        if concerns_us {
            woken.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(report).ok()?;
    watcher.watch(directory, RecursiveMode::Recursive).ok()?;
    Some(watcher)
}

/// Whether a change of this path may be one of accounts. Logs that are written into the directory are not: each of
/// their lines would have all files looked at.
fn may_hold_accounts(path: &std::path::Path) -> bool {
    let is_ours = path.components().any(|part| part.as_os_str() == OWN);
    // A folder comes and goes with what is in it.
    !is_ours && (is_json(path) || !path.is_file())
}

/// Reports changes of single files, by way of the directories that they are in: programs replace their files.
fn watch_files(files: &[PathBuf], woken: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let (woken, wanted) = (Arc::clone(woken), files.to_vec());
    let report = move |event: notify::Result<notify::Event>| {
        let concerns_us = match &event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
            Ok(event) => event.paths.iter().any(|path| wanted.contains(path)),
            Err(_) => true,
        };
        if concerns_us {
            woken.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(report).ok()?;
    for directory in files.iter().filter_map(|file| file.parent()) {
        // A directory that cannot be watched is looked at from time to time.
        drop(watcher.watch(directory, RecursiveMode::NonRecursive));
    }
    Some(watcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "files of the test's own")]
    fn a_log_beside_the_accounts_wakes_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["main.log", "config.yaml", "a.json"] {
            std::fs::write(path(name), "x").unwrap();
        }
        std::fs::create_dir_all(path("team")).unwrap();
        std::fs::create_dir_all(path(".cliproxy/locks")).unwrap();
        for name in ["a.json", "team", "gone.json", "gone"] {
            assert!(may_hold_accounts(&path(name)), "{name}");
        }
        for name in ["main.log", "config.yaml", ".cliproxy/locks", ".cliproxy/state.json"] {
            assert!(!may_hold_accounts(&path(name)), "{name}");
        }
    }
}
