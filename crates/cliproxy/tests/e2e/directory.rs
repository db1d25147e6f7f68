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
