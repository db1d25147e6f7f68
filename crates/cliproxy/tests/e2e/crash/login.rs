//! A login is killed on the way from its token to its file, and whoever comes next finishes it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cliproxy_testkit::identity::{Browser, IdentityProvider};
use cliproxy_testkit::{Home, Terminal};
use tokio::sync::Notify;

use super::kill::Random;
use super::rounds;
use super::scene::find;
use crate::login::binary;
use crate::support;

/// The longest that a login lives after it has asked for tokens.
const LATEST: Duration = Duration::from_millis(14);
/// Ways to log in. One that polls takes a second and has its turn less often.
const LOGINS: [&str; 10] = [
    "--claude-login",
    "--login",
    "--codex-login",
    "--antigravity-login",
    "--claude-login",
    "--login",
    "--codex-login",
    "--antigravity-login",
    "--iflow-login",
    "--kimi-login",
];

/// What became of the rounds.
#[derive(Debug, Default)]
struct Tally {
    saved_before: u32,
    finished_later: u32,
    never_arrived: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_a_login_received_survives_a_kill() {
    let mut random = Random::new();
    let mut tally = Tally::default();
    for round in 0..rounds() {
        let flag = LOGINS[usize::try_from(round).unwrap() % LOGINS.len()];
        let provider = Arc::new(IdentityProvider::start().await);
        let home = Home::new(&provider.endpoints());
        let premature = watch_use(&provider, &home);
        log_in_and_die(&provider, &home, flag, random.duration(LATEST)).await;
        inherit(&provider, &home, round % 3 == 0, &mut tally).await;
        assert_eq!(*premature.lock().unwrap(), Vec::<String>::new(), "used before it was on disk: {flag}");
    }
    eprintln!("login: {tally:?}, CRASH_SEED={}", random.seed());
    assert!(tally.saved_before + tally.finished_later > 0, "no round got as far as a token: {tally:?}");
}

/// Every use of a token is held against what is on disk at that moment.
fn watch_use(provider: &Arc<IdentityProvider>, home: &Home) -> Arc<Mutex<Vec<String>>> {
    let premature: Arc<Mutex<Vec<String>>> = Arc::default();
    let (told, directory, weak) = (Arc::clone(&premature), home.auth_dir(), Arc::downgrade(provider));
    provider.on_request(move |received| {
        let Some(provider) = weak.upgrade().filter(|_| !received.path.ends_with("/token")) else { return };
        if let Some(refresh) = provider.last_issued()
            && find(&directory, &refresh).is_none()
        {
            told.lock().unwrap().push(received.path.clone());
        }
    });
    premature
}

/// Goes through a login until tokens are asked for, and kills it some time later.
async fn log_in_and_die(provider: &Arc<IdentityProvider>, home: &Home, flag: &str, after: Duration) {
    let asked = Arc::new(Notify::new());
    let told = Arc::clone(&asked);
    let mut terminal = home.run(binary(), &[flag, "--no-browser"]);
    let url = terminal.url().await;
    let waiting = Arc::downgrade(provider);
    let (before, path) = (provider.received().len(), format!("/{}/token", name(flag)));
    if flag == "--kimi-login" {
        terminal.wait_for("User code: ").await;
        provider.confirm(&terminal.line().await);
    }
    let browser = Browser::default();
    let visiting = async {
        if flag != "--kimi-login" {
            // The page may break off with the process.
            browser.try_visit(&url).await;
        }
    };
    let dying = async {
        while let Some(provider) = waiting.upgrade() {
            if provider.received().iter().skip(before).any(|received| received.path == path) {
                told.notify_one();
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(visiting, dying, async {
        asked.notified().await;
        tokio::time::sleep(after).await;
        terminal.kill().await;
    });
}

fn name(flag: &str) -> &str {
    match flag {
        "--login" => "gemini-cli",
        flag => flag.trim_start_matches("--").trim_end_matches("-login"),
    }
}

/// The next process: a gateway, or another login.
async fn inherit(provider: &IdentityProvider, home: &Home, is_login: bool, tally: &mut Tally) {
    let refresh = provider.last_issued();
    let trace = refresh.as_ref().and_then(|refresh| find(&home.auth_dir(), refresh));
    let was_saved = !home.auth_files().is_empty();
    let mut log = String::new();
    if is_login {
        let mut next: Terminal = home.run(binary(), &["--codex-login", "--no-browser"]);
        next.url().await;
        next.kill().await;
    } else {
        let config = std::fs::read_to_string(home.path().join("config.yaml")).unwrap();
        let heir = support::start(&config, &[]);
        if trace.is_some() && !was_saved {
            heir.line("that was cut off is finished").await;
        }
        log = heir.log();
    }
    let names = home.auth_files();
    let Some(refresh) = refresh.filter(|_| trace.is_some()) else {
        assert!(names.is_empty(), "{names:?}");
        tally.never_arrived += 1;
        return;
    };
    assert_eq!(names.len(), 1, "{trace:?} {names:?}\n{log}");
    let text = home.auth_file(&names[0]).to_string();
    assert!(text.contains(&refresh), "{refresh} is lost, it was in {trace:?}: {text}\n{log}");
    if was_saved {
        tally.saved_before += 1;
    } else {
        tally.finished_later += 1;
    }
}
