//! Auth directories that the gateway's user cannot write or read, and disks that are full or take nothing.
//!
//! Where the tests are run by root the gateway runs as another user: root is stopped by no permissions.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cliproxy_testkit::identity::{Browser, IdentityProvider};
use cliproxy_testkit::issuer::{Issuer, Point};
use cliproxy_testkit::user::permit;
use cliproxy_testkit::{Gateway, Home, Launch, Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, write};

const ENDED: &str = "2026-01-01T08:00:00Z";
const VALID: &str = "2099-01-01T00:00:00Z";
const MODEL: &str = "claude-haiku-4-5-20251001";

/// Accounts of one identity provider, in a directory with permissions of its own.
struct Scene {
    issuer: Arc<Issuer>,
    directory: tempfile::TempDir,
}

impl Scene {
    async fn new(accounts: &[(&str, &str)]) -> Self {
        let scene = Self { issuer: Arc::new(Issuer::start().await), directory: tempfile::tempdir().unwrap() };
        for (name, end) in accounts {
            scene.issuer.login(name);
            write(&scene.path(name), &scene.issuer.auth_file(name, end));
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.json"))
    }

    /// Everything in the directory belongs to the gateway's user from now on.
    fn start(&self) -> Option<Gateway> {
        self.start_with("")
    }

    fn start_with(&self, config: &str) -> Option<Gateway> {
        let mode = mode(self.directory.path());
        permit(self.directory.path(), 0o700);
        let config = format!("{}request-retry: 0\n{config}", self.issuer.config(self.directory.path()));
        let launch = support::launch().config(&config);
        let launch = launch.unprivileged(&[self.directory.path()])?;
        permit(self.directory.path(), mode);
        Some(launch.start())
    }

    /// The file has what the identity provider issued last, and nothing was presented twice.
    fn is_saved(&self, name: &str) {
        let file: Value = serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap();
        let account = self.issuer.account(name);
        assert_eq!(file["refresh_token"], json!(account.refresh));
        assert_eq!((account.redemptions, account.reuses), (1, 0), "{name}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Else it could not be removed by whoever is not root.
        permit(self.directory.path(), 0o700);
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn ask(gateway: &Gateway) -> u16 {
    support::ask_model(gateway, "claude", MODEL, false).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_directory_that_cannot_be_written_valid_tokens_serve_and_none_is_spent() {
    let scene = Scene::new(&[("a", ENDED), ("well", VALID)]).await;
    permit(scene.directory.path(), 0o500);
    let Some(gateway) = scene.start() else { return };
    let told = gateway.said("nothing can be saved in the auth directory", 1);
    assert!(told.contains(&scene.directory.path().display().to_string()), "{told}");
    assert!(told.contains("make it writable for the user that runs the gateway"), "{told}");
    gateway.said("the token is not renewed, because what comes back could not be", 1);
    assert_eq!(ask(&gateway).await, 200, "the others go on");
    assert_eq!(scene.issuer.account("a").redemptions, 0);
    permit(scene.directory.path(), 0o700);
    gateway.said("token renewed", 1);
    scene.is_saved("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_when_the_directory_takes_nothing_any_more_serves_over_restarts_and_is_saved_later()
 {
    let scene = Scene::new(&[("a", ENDED)]).await;
    let before = std::fs::read_to_string(scene.path("a")).unwrap();
    let directory = scene.directory.path().to_owned();
    scene.issuer.on_point(move |point, _| {
        if point == Point::Redeemed {
            permit(&directory, 0o500);
        }
    });
    let Some(gateway) = scene.start() else { return };
    gateway.said("a renewed token cannot be saved; it is used from memory", 1);
    assert_eq!(ask(&gateway).await, 200);
    let ready = support::get(&gateway, "/readyz").await.body;
    assert!(
        ready.contains("renewed tokens that are not saved yet: 1; make the auth directory writable"),
        "{ready}"
    );
    drop(gateway);
    assert_eq!(std::fs::read_to_string(scene.path("a")).unwrap(), before);

    // Another process has it from the journal, and can save it as little.
    let gateway = scene.start().unwrap();
    gateway.said("a renewed token cannot be saved; it is used from memory", 1);
    assert_eq!(ask(&gateway).await, 200);
    assert_eq!(scene.issuer.account("a").used, Some(scene.issuer.account("a").access));
    permit(scene.directory.path(), 0o700);
    gateway.said("the renewed token is saved", 1);
    scene.is_saved("a");
    assert_eq!(std::fs::read_dir(scene.directory.path().join(".cliproxy/journal")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_tokens_stay_and_so_are_renewed_where_nothing_can_be_saved() {
    let upstream = Upstream::start(|received| match received.path.as_str() {
        "/token" => Script::json(200, json!({"access_token": "access-new", "expires_in": 3599}).to_string()),
        _ if received.header("authorization") == "Bearer access-new" => {
            Script::json(200, json!({"response": support::body("gemini")}).to_string())
        }
        _ => Script::json(
            401,
            json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "old"}}).to_string(),
        ),
    })
    .await;
    let (url, directory) = (upstream.url(), tempfile::tempdir().unwrap());
    let file = json!({"type": "gemini", "email": "a@b.c", "project_id": "p", "token": {
        "access_token": "access-old", "refresh_token": "refresh", "expiry": ENDED, "token_uri": format!("{url}/token"),
        "client_id": "i", "client_secret": "s",
    }});
    let path = directory.path().join("gemini-a.json");
    write(&path, &file.to_string());
    let config = format!(
        "auth-dir: {}\noauth-endpoints:\n  gemini-cli: {{token-url: '{url}/token', base-url: '{url}'}}\nrequest-retry: 0\n",
        directory.path().display()
    );
    let launch = support::launch().config(&config);
    let Some(launch) = launch.unprivileged(&[directory.path()]) else { return };
    permit(directory.path(), 0o500);
    let gateway = launch.start();
    let answer = support::ask_model(&gateway, "gemini", "gemini-2.5-pro", false).await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, gateway.log());
    gateway.said("a renewed token cannot be saved; it is used from memory: ", 1);
    permit(directory.path(), 0o700);
    gateway.said("the renewed token is saved", 1);
    let saved: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(saved["token"]["access_token"], "access-new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_told_and_serves_once_it_can() {
    let scene = Scene::new(&[("a", VALID)]).await;
    permit(&scene.path("a"), 0o000);
    let Some(gateway) = scene.start() else { return };
    let told = gateway.said("an auth file cannot be used: cannot read ", 1);
    assert!(told.contains("a.json") && told.contains("ermission denied"), "{told}");
    assert_eq!(ask(&gateway).await, 404, "no account, no model");
    permit(&scene.path("a"), 0o600);
    gateway.said("auth files changed", 1);
    assert_eq!(ask(&gateway).await, 200);
    // Once it is known, its account outlives what happens to the file's permissions.
    permit(&scene.path("a"), 0o000);
    gateway.said("an auth file cannot be used: cannot read ", 2);
    assert_eq!(ask(&gateway).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_read_is_told_and_leaves_keys_serving() {
    let scene = Scene::new(&[("a", VALID)]).await;
    let upstream = Upstream::start(support::answering("chat")).await;
    permit(scene.directory.path(), 0o000);
    let Some(gateway) = scene.start_with(&support::config("chat", &upstream)) else { return };
    let told = gateway.said("the accounts of the auth directory cannot be used: cannot read ", 1);
    assert!(told.contains(&scene.directory.path().display().to_string()), "{told}");
    assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200);
    permit(scene.directory.path(), 0o700);
    gateway.line("auth files changed").await;
    assert_eq!(ask(&gateway).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_is_told_what_could_not_be_saved_and_the_account_stays() {
    let scene = Scene::new(&[("a", VALID)]).await;
    permit(scene.directory.path(), 0o500);
    let Some(gateway) = scene.start_with("remote-management: {secret-key: panel-key-0001}\n") else { return };
    let url = format!("{}/v0/management/auth-files", gateway.url());
    let manage = |request: reqwest::RequestBuilder| support::send(request.bearer_auth("panel-key-0001"));
    let client = support::client();
    let switched =
        manage(client.patch(format!("{url}/status")).json(&json!({"name": "a.json", "disabled": true})))
            .await;
    let added =
        manage(client.post(format!("{url}?name=b.json")).body(json!({"type": "claude"}).to_string())).await;
    let removed = manage(client.delete(format!("{url}?name=a.json"))).await;
    for answer in [switched, added, removed] {
        assert_eq!(answer.status, 500, "{}", answer.body);
        assert!(answer.body.contains("ermission denied"), "{}", answer.body);
    }
    assert_eq!(ask(&gateway).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_says_so_before_anybody_goes_to_the_browser_and_keeps_what_comes_when_it_is_too_late() {
    let provider = IdentityProvider::start().await;
    let mut home = Home::new(&provider.endpoints());
    std::fs::create_dir(home.auth_dir()).unwrap();
    permit(&home.auth_dir(), 0o500);
    let binary = Path::new(env!("CARGO_BIN_EXE_cli-proxy-api"));
    if !home.unprivileged(binary) {
        return;
    }
    let (code, text) = home.run(binary, &["--claude-login", "--no-browser"]).end().await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("ermission denied") && text.contains("make the auth directory writable"), "{text}");
    assert!(!text.contains("Visit"), "{text}");

    permit(&home.auth_dir(), 0o700);
    let directory = home.auth_dir();
    provider.on_request(move |received| {
        if received.path.ends_with("/token") {
            permit(&directory, 0o500);
        }
    });
    let mut terminal = home.run(binary, &["--claude-login", "--no-browser"]);
    Browser::default().visit(&terminal.url().await).await;
    let (code, text) = terminal.end().await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("what came is kept; the next login or the gateway saves it"), "{text}");
    permit(&home.auth_dir(), 0o700);
    let mut terminal = home.run(binary, &["--codex-login", "--no-browser"]);
    terminal.wait_for("an earlier Claude login that was cut off is finished: person@example.com").await;
    assert_eq!(home.auth_files(), ["claude-person@example.com.json"]);
}

/// A disk of its own for the auth directory of a gateway, in a namespace that ends with it; none where that cannot be had.
#[cfg(target_os = "linux")]
struct Disk {
    scene: Scene,
    gateway: Gateway,
}

#[cfg(target_os = "linux")]
impl Disk {
    /// `steps` of a shell see the directory as `$disk`, with the files in it, before the gateway is started.
    async fn start(accounts: &[(&str, &str)], steps: &str) -> Option<Self> {
        let usable = std::process::Command::new("unshare")
            .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
            .output();
        if !usable.is_ok_and(|tried| tried.status.success()) {
            cliproxy_testkit::skip("this machine mounts no disk for a test");
            return None;
        }
        let scene = Scene::new(accounts).await;
        let script = format!(
            "set -e; disk=$1; shift; mkdir $HOME/files; cp $disk/* $HOME/files; \
             mount -t tmpfs -o size=256k,mode=700 tmpfs $disk; cp $HOME/files/* $disk; {steps}; exec \"$@\""
        );
        let config = format!("{}request-retry: 0\n", scene.issuer.config(scene.directory.path()));
        let directory = scene.directory.path().display().to_string();
        let gateway = Launch::new(Path::new("unshare"))
            .arguments(&[
                "--mount",
                "sh",
                "-c",
                &script,
                "sh",
                &directory,
                env!("CARGO_BIN_EXE_cli-proxy-api"),
            ])
            .config(&config)
            .start();
        Some(Self { scene, gateway })
    }

    /// Runs steps of a shell where the gateway sees the disk; what they say.
    fn run(&self, steps: &str) -> String {
        let (process, directory) = (self.gateway.id().to_string(), self.scene.directory.path());
        let mut entering = std::process::Command::new("nsenter");
        entering.args(["--mount", "--target", &process, "sh", "-c", steps]).env("disk", directory);
        let done = entering.output().unwrap();
        assert!(done.status.success(), "{steps}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// The renewal that waited is made up for, once.
    fn recovers(&self) {
        self.gateway.said("token renewed", 1);
        let file: Value = serde_json::from_str(&self.run("cat $disk/a.json")).unwrap();
        let account = self.scene.issuer.account("a");
        assert_eq!(file["refresh_token"], json!(account.refresh));
        assert_eq!((account.redemptions, account.reuses), (1, 0));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_spent_and_the_others_go_on() {
    let fill = "dd if=/dev/zero of=$disk/filler bs=1k 2>/dev/null || true";
    let Some(disk) = Disk::start(&[("a", ENDED), ("well", VALID)], fill).await else { return };
    let told =
        disk.gateway.said("the token is not renewed, because what comes back could not be written down", 1);
    assert!(told.contains("No space left on device"), "{told}");
    assert_eq!(ask(&disk.gateway).await, 200);
    assert_eq!(disk.scene.issuer.account("a").redemptions, 0);
    disk.run("rm $disk/filler");
    disk.recovers();
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_that_takes_nothing_nothing_is_spent_and_the_others_go_on() {
    let Some(disk) = Disk::start(&[("a", ENDED), ("well", VALID)], "mount -o remount,ro $disk").await else {
        return;
    };
    disk.gateway.said("nothing can be saved in the auth directory", 1);
    let told =
        disk.gateway.said("the token is not renewed, because what comes back could not be written down", 1);
    assert!(told.contains("Read-only file system"), "{told}");
    assert_eq!(ask(&disk.gateway).await, 200);
    assert_eq!(disk.scene.issuer.account("a").redemptions, 0);
    disk.run("mount -o remount,rw $disk");
    disk.recovers();
}
