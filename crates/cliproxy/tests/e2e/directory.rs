//! The auth directory as people find it: open to others, with damaged files, moved while it is in use.
#![expect(clippy::disallowed_methods, reason = "files of the tests' own, written as people do")]

use std::path::Path;

use cliproxy_testkit::issuer::{Fault, Issuer};
use cliproxy_testkit::{Gateway, Upstream};
use serde_json::json;

use crate::support;

fn account(token: &str) -> String {
    json!({
        "type": "claude", "access_token": token, "refresh_token": "r", "expired": "2099-01-01T00:00:00Z",
    })
    .to_string()
}

fn config(upstream: &Upstream, directory: &Path) -> String {
    format!(
        "auth-dir: {}\noauth-endpoints:\n  claude: {{base-url: '{}'}}\nrequest-retry: 0\n",
        directory.display(),
        upstream.url()
    )
}

async fn ask(gateway: &Gateway) -> u16 {
    support::ask_model(gateway, "claude", "claude-sonnet-4-6", false).await.status
}

#[test]
fn check_tells_what_the_directory_holds_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("a.json"), account("secret-token")).unwrap();
    std::fs::write(path("b.json"), account("b").replacen('{', "{\"disabled\":true,", 1)).unwrap();
    std::fs::write(path("half.json"), "{\"type\":\"cla").unwrap();
    std::fs::write(path("other.json"), "{}").unwrap();
    std::fs::write(path("new.json"), "{\"type\":\"tomorrow\"}").unwrap();
    std::fs::write(path("large.json"), vec![b' '; (1 << 20) + 1]).unwrap();
    open(&path("a.json"), 0o644);
    for private in ["b.json", "half.json", "other.json", "new.json", "large.json"] {
        open(&path(private), 0o600);
    }
    let finished = support::check(&format!("auth-dir: {}\n", directory.path().display()));
    assert_eq!(finished.code, Some(0), "{}", finished.stdout);
    for told in [
        "# claude: 2 accounts, 1 disabled\n",
        "# not usable: half.json: not a JSON object\n",
        "# not usable: other.json: it is no auth file: it has no `type`\n",
        "# not usable: new.json: accounts of the provider `tomorrow` are not known\n",
        "# not usable: large.json: ",
    ] {
        assert!(finished.stdout.contains(told), "{told} in {}", finished.stdout);
    }
    assert!(!finished.stdout.contains("secret-token"), "{}", finished.stdout);
    if cfg!(unix) {
        let told = format!("# open to other users: {};", path("a.json").display());
        assert!(finished.stdout.contains(&told), "{}", finished.stdout);
        assert_eq!(mode(&path("a.json")), 0o644, "only looked at");
    }
    let absent = support::check(&format!("auth-dir: {}\n", path("absent").display()));
    assert!(absent.stdout.contains("# no accounts\n"), "{}", absent.stdout);
    assert!(!path("absent").exists());
}

#[cfg(unix)]
fn open(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn open(_path: &Path, _mode: u32) {}

#[cfg(not(unix))]
fn mode(_path: &Path) -> u32 {
    0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_to_others_is_closed_and_told() {
    if !cfg!(unix) {
        return;
    }
    let upstream = Upstream::start(support::answering("claude")).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.json");
    std::fs::write(&file, account("a")).unwrap();
    open(&file, 0o666);
    open(directory.path(), 0o755);
    let gateway = support::start(&config(&upstream, directory.path()), &[]);
    gateway.said("was open to other users and is now its owner's only", 2);
    assert_eq!((mode(&file), mode(directory.path())), (0o600, 0o700));
    assert_eq!(ask(&gateway).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_directory_is_taken_over_while_it_serves() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(first.path().join("a.json"), account("first")).unwrap();
    std::fs::write(second.path().join("a.json"), account("second")).unwrap();
    let gateway = support::start(&config(&upstream, first.path()), &[]);
    assert_eq!(ask(&gateway).await, 200);
    gateway.rewrite(&config(&upstream, second.path()));
    for _ in 0..1000 {
        assert_eq!(ask(&gateway).await, 200, "there is always one of the two");
        if support::keys_of(&upstream).last().unwrap() == "second" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(support::keys_of(&upstream).last().unwrap(), "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_of_accounts_without_saying_whose_they_are() {
    let issuer = Issuer::start().await;
    let directory = tempfile::tempdir().unwrap();
    for (name, end) in [("dead", "2020-01-01T00:00:00Z"), ("well", "2099-01-01T00:00:00Z")] {
        issuer.login(name);
        std::fs::write(directory.path().join(format!("{name}.json")), issuer.auth_file(name, end)).unwrap();
    }
    issuer.fail(&[Fault::Lost]);
    let gateway = support::start(&issuer.config(directory.path()), &[]);
    gateway.said("needs attention", 1);
    let ready = support::get(&gateway, "/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("ok")));
    let told = ready.json()["attention"].as_array().unwrap().clone();
    assert_eq!(told.len(), 1, "{}", ready.body);
    assert!(
        told[0].as_str().unwrap().starts_with("claude: accounts that need attention: 1;"),
        "{}",
        ready.body
    );
    assert!(!ready.body.contains("dead"), "{}", ready.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_a_file_in_use_leaves_its_account_serving() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.json");
    std::fs::write(&file, account("before")).unwrap();
    let gateway = support::start(&config(&upstream, directory.path()), &[]);
    let deep = format!("{{\"type\":\"claude\",\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let whole = account("half");
    let damages: [&[u8]; 6] =
        [b"", b"[]", b"\0\xff\xfe", &whole.as_bytes()[..whole.len() / 2], deep.as_bytes(), b"null"];
    for damage in damages {
        let skip = gateway.lines().len();
        std::fs::write(&file, damage).unwrap();
        let told =
            gateway.line_after(skip, "an auth file cannot be read and its account stays as it was").await;
        assert!(told.contains("a.json") && told.contains("mend or remove the file"), "{told}");
        assert_eq!(ask(&gateway).await, 200);
    }
    let skip = gateway.lines().len();
    std::fs::write(&file, vec![b' '; (1 << 20) + 1]).unwrap();
    gateway.line_after(skip, "an auth file cannot be used").await;
    assert_eq!(ask(&gateway).await, 200);
    assert!(support::keys_of(&upstream).iter().all(|key| key == "before"));
    // What another program keeps there is no account.
    std::fs::write(&file, "{\"mcpServers\": {}}").unwrap();
    gateway.said("auth files changed", 1);
    assert_eq!(ask(&gateway).await, 404);
    std::fs::write(&file, account("after")).unwrap();
    gateway.said("auth files changed", 2);
    assert_eq!(ask(&gateway).await, 200);
    assert_eq!(support::keys_of(&upstream).last().unwrap(), "after");
}

/// A pipe that nobody writes to, and a device without end.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_regular_file_holds_nobody_up() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("a.json"), account("a")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path("pipe.json")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", path("zero.json")).unwrap();
    std::os::unix::fs::symlink(path("nowhere"), path("dangling.json")).unwrap();
    std::fs::create_dir(path("folder.json")).unwrap();
    let told = support::check(&format!("auth-dir: {}\n", directory.path().display())).stdout;
    for name in ["pipe.json", "zero.json"] {
        let line = format!("# not usable: {name}: ");
        assert!(told.contains(&line) && told.contains("is not an auth file: a regular file"), "{told}");
    }
    let gateway = support::start(&config(&upstream, directory.path()), &[]);
    gateway.said("an auth file cannot be used", 2);
    assert_eq!(ask(&gateway).await, 200);
}
