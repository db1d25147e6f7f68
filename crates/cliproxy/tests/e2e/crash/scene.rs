//! One account, its identity provider and its auth directory, and what is owed after a kill.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use cliproxy_testkit::Gateway;
use cliproxy_testkit::issuer::{Account, Issuer, Point};
use serde_json::{Value, json};

use super::kill::{self, Moment};
use crate::support;

const NAME: &str = "a@b.c";

/// What a round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The next process serves.
    Served {
        /// The process that was killed had redeemed.
        was_redeemed: bool,
    },
    /// Redeemed, and the answer was not there yet when the process was killed: nobody can bring it back.
    NeverArrived,
}

pub(crate) struct Scene {
    issuer: Arc<Issuer>,
    directory: tempfile::TempDir,
    client: reqwest::Client,
    /// Tokens that were used before they were on disk.
    premature: Arc<Mutex<Vec<String>>>,
    /// Redemptions when the last victim was dead.
    at_death: Mutex<Option<u32>>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let scene = Self {
            issuer: Arc::new(Issuer::start().await),
            directory: tempfile::tempdir().unwrap(),
            client: reqwest::Client::new(),
            premature: Arc::default(),
            at_death: Mutex::default(),
        };
        scene.log_in_again();
        scene
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("claude-a@b.c.json")
    }

    /// A person logs in: new tokens, whatever became of the old ones.
    pub(crate) fn log_in_again(&self) {
        write(&self.file(), &self.issuer.login(NAME));
    }

    /// Starts a gateway on the directory.
    pub(crate) fn start(&self) -> Gateway {
        support::start(&self.issuer.config(self.directory.path()), &[])
    }

    pub(crate) fn account(&self) -> Account {
        self.issuer.account(NAME)
    }

    /// The upstream accepts the current token no longer.
    pub(crate) fn expire(&self) -> Account {
        self.issuer.expire(NAME);
        *self.at_death.lock().unwrap() = None;
        self.account()
    }

    /// The file says that its token has ended.
    pub(crate) fn age_file(&self) {
        write(&self.file(), &self.issuer.auth_file(NAME, "2026-01-01T08:00:00Z"));
    }

    pub(crate) fn arm(
        &self,
        victims: &[&Gateway],
        moment: Moment,
        latest: Duration,
    ) -> impl Future<Output = ()> + use<> {
        let victims = victims.iter().map(|victim| victim.killer()).collect();
        kill::arm(&self.issuer, self.directory.path(), victims, moment, latest)
    }

    /// Sends requests until the gateway is dead; what they are answered does not matter.
    pub(crate) async fn ask_until_dead(&self, victim: &Gateway, fuse: impl Future<Output = ()>) {
        let mut fuse = std::pin::pin!(fuse);
        tokio::select! {
            () = &mut fuse => return,
            _ = self.ask(victim) => {}
        }
        fuse.await;
    }

    /// Asks a gateway; `None` when it dies meanwhile.
    pub(crate) async fn ask(&self, gateway: &Gateway) -> Option<(u16, String)> {
        let body = json!({"model": "claude-haiku-4-5-20251001", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]});
        let request = self.client.post(format!("{}/v1/messages", gateway.url()));
        let answer =
            request.header("content-type", "application/json").body(body.to_string()).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Starts the next process and sees what it makes of what is on disk.
    pub(crate) async fn inherit(&self, before: &Account) -> (Ending, Gateway) {
        self.issuer.off_point();
        let trace = self.trace();
        let redeemed = self.account().redemptions - before.redemptions;
        *self.at_death.lock().unwrap() = Some(redeemed);
        self.check_use();
        let heir = self.start();
        let answer = self.ask(&heir).await;
        let ending = self.judge(before, answer, &heir);
        if ending != Ending::NeverArrived {
            return (ending, heir);
        }
        assert!(trace.is_none(), "the answer {trace:?} was on disk and is lost:\n{}", heir.log());
        self.log_in_again();
        drop(heir);
        let heir = self.start();
        self.serves(&heir).await;
        (ending, heir)
    }

    /// What a gateway owes after a round that began with `before`.
    pub(crate) fn judge(&self, before: &Account, answer: Option<(u16, String)>, gateway: &Gateway) -> Ending {
        self.issuer.off_point();
        let now = self.account();
        let (status, body) = answer.unwrap();
        let shown = || {
            format!(
                "{status} {body}\nbefore: {before:?}\nnow: {now:?}\non disk: {:?}\n{}",
                self.file_text(),
                gateway.log()
            )
        };
        assert_eq!(
            now.redemptions,
            before.redemptions + 1,
            "one redemption for one end of a token: {}",
            shown()
        );
        if status == 200 {
            assert!(body.contains(&now.access), "{}", shown());
            assert_eq!(now.reuses, before.reuses, "a spent token was presented: {}", shown());
            let file: Value = serde_json::from_str(&self.file_text()).unwrap();
            assert_eq!(file["access_token"], now.access, "{}", shown());
            assert_eq!(file["refresh_token"], now.refresh, "{}", shown());
            assert!(
                self.file_text().contains("\"note\" : \"kept as it is\", \"odd\": 1.0e3,"),
                "{}",
                shown()
            );
            let was_redeemed = self.at_death.lock().unwrap().is_none_or(|redeemed| redeemed == 1);
            return Ending::Served { was_redeemed };
        }
        assert!(now.reuses <= before.reuses + 2, "tried again and again: {}", shown());
        assert!(self.file_text().contains(&before.refresh), "the file was touched: {}", shown());
        // The pipe of the log may be read later than the answer.
        gateway.said("needs attention", 1);
        assert!(self.trace().is_none(), "the answer is on disk: {}", shown());
        Ending::NeverArrived
    }

    /// A gateway serves with the current token.
    pub(crate) async fn serves(&self, gateway: &Gateway) {
        let now = self.account();
        let answer = self.ask(gateway).await;
        let is_served =
            answer.as_ref().is_some_and(|(status, body)| *status == 200 && body.contains(&now.access));
        assert!(is_served, "{answer:?} {now:?}\n{}", gateway.log());
    }

    fn file_text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// Where on disk the current refresh token is.
    fn trace(&self) -> Option<PathBuf> {
        find(self.directory.path(), &self.account().refresh)
    }

    /// From now on every use of a token is held against what is on disk at that moment.
    fn check_use(&self) {
        assert_eq!(*self.premature.lock().unwrap(), Vec::<String>::new(), "used before it was on disk");
        let (issuer, premature) = (Arc::downgrade(&self.issuer), Arc::clone(&self.premature));
        let directory = self.directory.path().to_owned();
        self.issuer.on_point(move |point, account| {
            let Some(issuer) = issuer.upgrade().filter(|_| point == Point::Used) else { return };
            let refresh = issuer.account(account).refresh;
            if find(&directory, &refresh).is_none() {
                premature.lock().unwrap().push(refresh);
            }
        });
    }
}

/// The file below a directory that holds a text, as it is or inside a value in base64.
pub(super) fn find(directory: &Path, text: &str) -> Option<PathBuf> {
    let standard = base64::engine::general_purpose::STANDARD;
    for entry in std::fs::read_dir(directory).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, text) {
                return Some(found);
            }
            continue;
        }
        let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        // A file that is not in its place yet does not count.
        let is_temporary = path.extension().is_some_and(|extension| extension == "tmp");
        let is_inside = || {
            content.split(['"', '\n', ' ']).filter(|word| word.len() > text.len()).any(|word| {
                standard.decode(word).is_ok_and(|inside| String::from_utf8_lossy(&inside).contains(text))
            })
        };
        if !is_temporary && (content.contains(text) || is_inside()) {
            return Some(path);
        }
    }
    None
}

/// Replaces a file as editors do.
#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(path: &Path, text: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::rename(next, path).unwrap();
}
