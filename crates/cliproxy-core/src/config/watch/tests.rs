//! Reload against real files that are edited, replaced and removed.
#![expect(clippy::disallowed_methods, reason = "a test's own files need no atomic writer")]

use std::fs;

use tokio::sync::mpsc;

use super::*;
use crate::env::Fixed;

const BRISK: Pace = Pace {
    debounce: Duration::from_millis(10),
    longest_debounce: Duration::from_millis(100),
    slow_poll: Duration::from_mins(10),
    quick_poll: Duration::from_millis(10),
};

type Told = mpsc::UnboundedReceiver<Change>;

/// Runs the watch of a file with this text beside the steps, by both means in turn.
fn beside<Steps: Future<Output = ()>>(text: &str, steps: impl Fn(PathBuf, Told) -> Steps) {
    for means in [Means::System, Means::Looks] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        fs::write(&path, text).unwrap();
        let source = Source::required(&path);
        let env = Fixed::new([("HOME", "/h")]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let started = Settings::load(&source, &env).unwrap();
            let (sender, told) = mpsc::unbounded_channel();
            let cancel = CancellationToken::new();
            let tell = move |change| sender.send(change).unwrap();
            let watch = watch_with(&source, &env, &started, tell, cancel.clone(), (BRISK, means));
            let steps = async {
                let steps = steps(path.clone(), told);
                tokio::time::timeout(Duration::from_secs(20), steps).await.expect("told in time");
                cancel.cancel();
            };
            tokio::join!(watch, steps);
        });
    }
}

fn retries(change: Option<Change>) -> u32 {
    let Some(Change::Accepted(loaded)) = change else { panic!("{change:?}") };
    loaded.settings.retry.rounds
}

fn problem(change: Option<Change>) -> String {
    let Some(Change::Refused(problems)) = change else { panic!("{change:?}") };
    problems.list.first().unwrap().to_string()
}

#[test]
fn new_content_is_told_once_and_equal_content_never() {
    beside("request-retry: 1\n", |path, mut told| async move {
        fs::write(&path, "request-retry: 2\n").unwrap();
        assert_eq!(retries(told.recv().await), 2);
        fs::write(&path, "request-retry: 2\n").unwrap();
        fs::write(&path, "request-retry: 3\n").unwrap();
        assert_eq!(retries(told.recv().await), 3);
        assert!(told.is_empty());
    });
}

#[test]
fn a_file_replaced_by_rename_is_noticed_again_and_again() {
    beside("request-retry: 1\n", |path, mut told| async move {
        for count in 2..5 {
            let other = path.with_extension("tmp");
            fs::write(&other, format!("request-retry: {count}\n")).unwrap();
            fs::rename(&other, &path).unwrap();
            assert_eq!(retries(told.recv().await), count);
        }
        fs::write(&path, "request-retry: 9\n").unwrap();
        assert_eq!(retries(told.recv().await), 9);
    });
}

#[test]
fn a_file_that_was_removed_and_comes_back_is_noticed() {
    beside("request-retry: 1\n", |path, mut told| async move {
        fs::remove_file(&path).unwrap();
        fs::write(&path, "request-retry: 2\n").unwrap();
        assert_eq!(retries(told.recv().await), 2);
    });
}

#[test]
fn an_empty_file_is_ignored() {
    beside("request-retry: 1\n", |path, mut told| async move {
        fs::write(&path, "").unwrap();
        fs::write(&path, "\n\n").unwrap();
        fs::write(&path, "request-retry: 2\n").unwrap();
        assert_eq!(retries(told.recv().await), 2);
        assert!(told.is_empty());
    });
}

#[test]
fn invalid_content_is_told_as_problems_and_the_old_content_clears_them() {
    beside("request-retry: 1\n", |path, mut told| async move {
        fs::write(&path, "request-retry: many\n").unwrap();
        assert_eq!(
            problem(told.recv().await),
            "1:16: request-retry: expected a whole number, found other text"
        );
        fs::write(&path, "request-retry: 1\n").unwrap();
        assert_eq!(retries(told.recv().await), 1);
    });
}

#[test]
fn content_that_was_refused_and_is_gone_does_not_count_any_more() {
    beside("request-retry: 1\n", |path, mut told| async move {
        for _ in 0..2 {
            fs::write(&path, "request-retry: many\n").unwrap();
            assert!(problem(told.recv().await).contains("expected a whole number"));
            fs::remove_file(&path).unwrap();
            assert!(matches!(told.recv().await, Some(Change::Withdrawn)));
        }
        fs::write(&path, "request-retry: 1\n").unwrap();
        assert_eq!(retries(told.recv().await), 1);
        assert!(told.is_empty());
    });
}

#[test]
fn the_last_client_key_cannot_go_while_other_machines_are_served() {
    beside("api-keys: [k]\n", |path, mut told| async move {
        fs::write(&path, "debug: true\n").unwrap();
        assert!(problem(told.recv().await).starts_with("the last client key was removed"));
    });
}

#[test]
fn a_file_that_becomes_a_directory_is_told_once() {
    beside("request-retry: 1\n", |path, mut told| async move {
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(problem(told.recv().await).starts_with("a directory is at the place"));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "request-retry: 1\n").unwrap();
        assert_eq!(retries(told.recv().await), 1);
        assert!(told.is_empty());
    });
}

#[test]
fn without_a_path_the_watch_waits_for_its_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let source = Source::default();
        let env = Fixed::new([("HOME", "/h")]);
        let started = Settings::load(&source, &env).unwrap();
        let cancel = CancellationToken::new();
        cancel.cancel();
        watch(&source, &env, &started, |_| (), cancel).await;
    });
}

#[cfg(target_os = "linux")]
#[test]
fn following_the_file_causes_no_events_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    fs::write(&path, "port: 1\n").unwrap();
    let woken = Arc::new(Notify::new());
    let mut watcher = Watcher::start(&path, &woken).unwrap();
    for _ in 0..5 {
        watcher.follow_file(&path);
        drop(fs::read(&path).unwrap());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let wait = tokio::time::timeout(Duration::from_millis(300), woken.notified());
        assert!(wait.await.is_err());
    });
}

#[test]
fn the_watch_can_move_between_threads() {
    fn movable<T: Send>(_: &T) {}
    let source = Source::default();
    let env = Fixed::default();
    let env: &dyn Env = &env;
    let started = Settings::load(&source, &Fixed::new([("HOME", "/h")])).unwrap();
    movable(&watch(&source, env, &started, |_| (), CancellationToken::new()));
}

#[test]
fn only_the_files_own_name_wakes() {
    let event = |path: &str| {
        let kind = EventKind::Modify(notify::event::ModifyKind::Any);
        Ok(notify::Event::new(kind).add_path(path.into()))
    };
    let name = OsStr::new("config.yaml");
    assert!(concerns(name, &event("/d/config.yaml")));
    for other in ["/d/main.log", "/d/config.yaml.log", "/d", "/d/.config.yaml.swp"] {
        assert!(!concerns(name, &event(other)), "{other}");
    }
    let read = notify::Event::new(EventKind::Access(notify::event::AccessKind::Read));
    assert!(!concerns(name, &Ok(read.add_path("/d/config.yaml".into()))));
    // Events were lost, so anything may have happened.
    assert!(concerns(name, &Ok(notify::Event::new(EventKind::Other))));
    assert!(concerns(name, &Err(notify::Error::generic("lost"))));
}
