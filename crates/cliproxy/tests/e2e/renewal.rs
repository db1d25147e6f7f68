//! Renewing tokens when identity providers, disks, clocks and clients misbehave.

use std::path::Path;
use std::sync::Arc;

use cliproxy_testkit::Gateway;
use cliproxy_testkit::issuer::{Fault, Issuer, Point};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support;

const ENDED: &str = "2026-01-01T08:00:00Z";
const VALID: &str = "2099-01-01T00:00:00Z";

struct Scene {
    issuer: Arc<Issuer>,
    directory: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        Self { issuer: Arc::new(Issuer::start().await), directory: tempfile::tempdir().unwrap() }
    }

    /// An account logs in; its file says that its token ends at `end`.
    fn account(&self, name: &str, end: &str) {
        self.issuer.login(name);
        write(&self.path(name), &self.issuer.auth_file(name, end));
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(format!("{name}.json"))
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn file(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    fn start(&self) -> Gateway {
        support::start(&format!("{}request-retry: 0\n", self.issuer.config(self.directory.path())), &[])
    }

    /// The file has what the identity provider issued last, and nothing was presented twice.
    fn is_saved(&self, name: &str) {
        let (account, file) = (self.issuer.account(name), self.file(name));
        assert_eq!(
            (&file["access_token"], &file["refresh_token"]),
            (&json!(account.access), &json!(account.refresh))
        );
        assert_eq!((account.redemptions, account.reuses), (1, 0), "{name}");
    }
}

async fn ask(gateway: &Gateway) -> (u16, String) {
    let (path, body) = support::request("claude", "claude-haiku-4-5-20251001", false);
    let answer = support::ask(gateway, &path, &body).await;
    (answer.status, answer.body)
}

/// Replaces a file as editors do.
#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(path: &Path, text: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::rename(next, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_and_costs_nothing() {
    let scene = Scene::new().await;
    let faults = [
        Fault::Status(500, None),
        Fault::Status(529, None),
        Fault::Status(429, Some(5)),
        Fault::Page(502),
        Fault::Page(403),
        Fault::Page(200),
    ];
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        scene.account(name, ENDED);
    }
    scene.account("well", VALID);
    scene.issuer.fail(&faults);
    let gateway = scene.start();
    gateway.said("token not renewed, next try in", faults.len());
    let (status, answer) = ask(&gateway).await;
    assert_eq!(status, 200, "the others go on: {answer}");
    gateway.said("token renewed", names.len());
    for name in names {
        scene.is_saved(name);
    }
    assert!(!gateway.log().contains("needs attention"), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_arrived_is_told_with_the_command_that_mends_it() {
    for fault in [Fault::Lost, Fault::Torn] {
        let scene = Scene::new().await;
        scene.account("a", ENDED);
        scene.account("well", VALID);
        let before = scene.text("a");
        scene.issuer.fail(&[fault]);
        let gateway = scene.start();
        let told = gateway.said("needs attention", 1);
        assert!(told.contains("invalid_grant") && told.contains("cli-proxy-api --claude-login"), "{told}");
        assert_eq!(scene.text("a"), before, "the file stays as it was");
        assert_eq!(scene.issuer.account("a").reuses, 1, "tried once");
        assert_eq!(ask(&gateway).await.0, 200, "the others go on");
        // Logging in again mends it.
        scene.account("a", VALID);
        std::fs::remove_file(scene.path("well")).unwrap();
        gateway.said("auth files changed", 1);
        let (status, answer) = ask(&gateway).await;
        assert_eq!(status, 200, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_waits_for_a_person_is_not_waited_for() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    scene.issuer.fail(&[Fault::Lost]);
    // The pauses of so many rounds are longer than the client waits.
    let config = format!("{}request-retry: 10\n", scene.issuer.config(scene.directory.path()));
    let gateway = support::start(&config, &[]);
    gateway.said("needs attention", 1);
    let (status, answer) = ask(&gateway).await;
    assert_eq!(status, 529, "{answer}");
    assert!(answer.contains("needs attention"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_not_replaced_stays() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    let refresh = scene.issuer.account("a").refresh;
    scene.issuer.fail(&[Fault::Kept]);
    let gateway = scene.start();
    gateway.said("token renewed", 1);
    assert_eq!(scene.file("a")["refresh_token"], refresh);
    scene.is_saved("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_a_day_off_is_told_and_starts_no_storm() {
    for by in [86_400, -86_400] {
        let scene = Scene::new().await;
        scene.account("a", ENDED);
        scene.issuer.fail(&[Fault::Clock(by)]);
        let gateway = scene.start();
        gateway.said("this machine's clock is", 1);
        gateway.said("token renewed", 1);
        for _ in 0..5 {
            assert_eq!(ask(&gateway).await.0, 200);
        }
        scene.is_saved("a");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_redeemed_that_could_not_be_written_down() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    // Nobody, root included, can make a folder where a file is.
    write(&scene.directory.path().join(".cliproxy"), "in the way");
    let gateway = scene.start();
    gateway.said("could not be", 1);
    assert_ne!(ask(&gateway).await.0, 200);
    assert_eq!(scene.issuer.account("a").redemptions, 0);
    std::fs::remove_file(scene.directory.path().join(".cliproxy")).unwrap();
    gateway.said("token renewed", 1);
    scene.is_saved("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_saved_serves_from_memory_and_is_saved_later() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    let before = scene.text("a");
    let obstacle = scene.directory.path().join(".cliproxy/locks/write-a.json.lock");
    std::fs::create_dir_all(&obstacle).unwrap();
    let gateway = scene.start();
    gateway.said("cannot be saved", 1);
    assert_eq!(ask(&gateway).await.0, 200);
    assert_eq!(scene.text("a"), before);
    // Somebody edits the file meanwhile: neither the edit nor the token is lost.
    write(&scene.path("a"), &before.replace("kept as it is", "edited"));
    gateway.said("auth files changed", 1);
    assert_eq!(ask(&gateway).await.0, 200);
    std::fs::remove_dir(&obstacle).unwrap();
    gateway.said("the renewed token is saved", 1);
    scene.is_saved("a");
    assert_eq!(scene.file("a")["note"], "edited");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_during_a_renewal_is_not_lost() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    let path = scene.path("a");
    // A person saves the file between the exchange and the saving of the new token.
    scene.issuer.on_point(move |point, _| {
        if point == Point::Redeemed {
            let text = std::fs::read_to_string(&path).unwrap();
            write(&path, &text.replacen('{', "{\"prefix\": \"mine\",", 1).replace("kept as it is", "edited"));
        }
    });
    let gateway = scene.start();
    gateway.said("token renewed", 1);
    scene.is_saved("a");
    let file = scene.file("a");
    assert_eq!((&file["prefix"], &file["note"]), (&json!("mine"), &json!("edited")), "{file:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_provider_that_says_nothing_holds_nobody_up() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    scene.account("well", VALID);
    scene.issuer.fail(&[Fault::Silence]);
    let config = format!(
        "{}request-retry: 0\nupstream-timeouts: {{connect: 1, tls: 1, first-byte: 1, idle: 1}}\n",
        scene.issuer.config(scene.directory.path())
    );
    let gateway = support::start(&config, &[]);
    assert_eq!(ask(&gateway).await.0, 200, "the others go on");
    gateway.said("token not renewed, next try in", 1);
    gateway.said("token renewed", 1);
    scene.is_saved("a");
}

/// A gateway none of whose files may become larger than this many blocks of 512 bytes: what a full disk is to it.
#[cfg(unix)]
fn start_with_little_room(scene: &Scene, blocks: u32) -> Gateway {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let config = format!("{}request-retry: 0\n", scene.issuer.config(scene.directory.path()));
    cliproxy_testkit::Launch::new(Path::new("/bin/sh"))
        .arguments(&["-c", &script, env!("CARGO_BIN_EXE_cli-proxy-api")])
        .config(&config)
        .start()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_no_token() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    scene.account("well", VALID);
    let before = scene.text("a");
    let gateway = start_with_little_room(&scene, 8);
    let told = gateway.said("what comes back could not be written down", 1);
    assert!(told.contains("the token is not renewed"), "{told}");
    assert_eq!(ask(&gateway).await.0, 200, "the others go on");
    assert_eq!((scene.issuer.account("a").redemptions, scene.text("a")), (0, before));
    drop(gateway);
    let gateway = scene.start();
    gateway.said("token renewed", 1);
    scene.is_saved("a");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_after_the_exchange_costs_no_token_either() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    // The entry of the journal has room; the file, which grows with its tokens, has not.
    let long = "x".repeat(300 << 10);
    write(&scene.path("a"), &scene.text("a").replace("kept as it is", &long));
    let before = scene.text("a");
    let gateway = start_with_little_room(&scene, 200);
    gateway.said("a renewed token cannot be saved; it is used from memory", 1);
    assert_eq!(ask(&gateway).await.0, 200);
    assert_eq!((scene.issuer.account("a").redemptions, scene.text("a")), (1, before));
    gateway.killer().kill();
    let gateway = scene.start();
    gateway.said("a token that an earlier process received is saved", 1);
    scene.is_saved("a");
    assert_eq!(scene.file("a")["note"], long);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_program_waits_for_a_token_that_is_on_its_way() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    let redeemed = Arc::new(Notify::new());
    let told = Arc::clone(&redeemed);
    scene.issuer.on_point(move |point, _| {
        if point == Point::Redeemed {
            told.notify_one();
        }
    });
    let gateway = scene.start();
    redeemed.notified().await;
    assert!(gateway.end().success());
    scene.is_saved("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_shows_no_token() {
    let scene = Scene::new().await;
    scene.account("a", ENDED);
    scene.account("b", ENDED);
    scene.issuer.fail(&[Fault::Lost, Fault::Page(200)]);
    let gateway = scene.start();
    gateway.said("needs attention", 1);
    gateway.said("token renewed", 1);
    for name in ["a", "b"] {
        let account = scene.issuer.account(name);
        for secret in [account.access, account.refresh, "sk-ant-o".to_owned()] {
            assert!(!gateway.log().contains(&secret), "{}", gateway.log());
        }
    }
}
