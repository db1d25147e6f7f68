//! Both stores keep the same promises; the file store some more.

use std::sync::Arc;

use super::*;

fn changes(name: &str, value: &str) -> Changes {
    Changes::default().set(name, value)
}

fn stores() -> (tempfile::TempDir, Vec<Arc<dyn Store>>) {
    let directory = tempfile::tempdir().unwrap();
    let file = FileStore::new(directory.path().join("auth"));
    (directory, vec![Arc::new(file), Arc::new(MemoryStore::default())])
}

#[tokio::test]
async fn members_are_written_into_the_text_and_everything_else_stays() {
    let (_directory, stores) = stores();
    for store in stores {
        let before = "{\n  \"type\": \"claude\", \"x\": 1.0,\n  \"access_token\": \"old\"\n}\n";
        store.put("a.json", before.into(), Expected::Absent).await.unwrap();
        let saved = save(&*store, "a.json", &changes("access_token", "new"), false).await.unwrap();
        assert_eq!(saved.content, before.replace("old", "new"));
        assert_eq!(store.get("a.json").await.unwrap(), Some(saved));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_at_once_lose_nothing() {
    let (_directory, stores) = stores();
    for store in stores {
        store.put("a.json", r#"{"type":"x"}"#.into(), Expected::Any).await.unwrap();
        let writers = (0..8).map(|writer| {
            let store = Arc::clone(&store);
            async move {
                for turn in 0..4 {
                    let member = changes(&format!("m{writer}-{turn}"), "v");
                    while let Err(error) = save(&*store, "a.json", &member, false).await {
                        assert!(matches!(error, StoreError::Conflict(_)), "{error}");
                    }
                }
            }
        });
        futures_util::future::join_all(writers).await;
        let content = store.get("a.json").await.unwrap().unwrap().content;
        let value: serde_json::Value = serde_json::from_slice(&content).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 33);
    }
}

#[tokio::test]
async fn a_writer_says_what_it_expects() {
    let (_directory, stores) = stores();
    for store in stores {
        let first = store.put("a.json", "{}".into(), Expected::Absent).await.unwrap();
        assert!(matches!(
            store.put("a.json", "{}".into(), Expected::Absent).await,
            Err(StoreError::Conflict(_))
        ));
        store.put("a.json", "{\"a\":1}".into(), Expected::Version(first)).await.unwrap();
        let stale = store.put("a.json", "{\"b\":1}".into(), Expected::Version(first)).await;
        assert!(matches!(stale, Err(StoreError::Conflict(_))));
        store.delete("a.json").await.unwrap();
        store.delete("a.json").await.unwrap();
        assert_eq!(store.get("a.json").await.unwrap(), None);
        assert!(matches!(
            save(&*store, "a.json", &changes("a", "b"), false).await,
            Err(StoreError::Missing(_))
        ));
        assert_eq!(save(&*store, "a.json", &changes("a", "b"), true).await.unwrap().content, r#"{"a":"b"}"#);
    }
}

#[tokio::test]
async fn what_is_no_object_is_not_written_into() {
    let (_directory, stores) = stores();
    for store in stores {
        for content in ["", "[1]", "{\"type\":", "\u{0}"] {
            store.put("a.json", content.into(), Expected::Any).await.unwrap();
            let result = save(&*store, "a.json", &changes("a", "b"), true).await;
            assert!(matches!(result, Err(StoreError::Unreadable(_))), "{content:?}");
            assert_eq!(store.get("a.json").await.unwrap().unwrap().content, content);
        }
    }
}

#[tokio::test]
async fn the_directory_lists_auth_files_in_folders_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("auth"));
    assert_eq!(store.list().await.unwrap(), []);
    for id in ["b.json", "team/a.JSON"] {
        store.put(id, "{}".into(), Expected::Absent).await.unwrap();
    }
    for (name, content) in [("notes.txt", "x"), (".hidden.json", "{}"), (".cliproxy/journal/a.json", "{}")] {
        atomic::write(&store.directory.join(name), content.as_bytes()).unwrap();
    }
    let huge = vec![b' '; usize::try_from(LONGEST_DOCUMENT).unwrap() + 1];
    atomic::write(&store.directory.join("huge.json"), &huge).unwrap();
    let mut ids: Vec<_> = store.list().await.unwrap().into_iter().map(|(id, _)| id).collect();
    ids.sort();
    assert_eq!(ids, ["b.json", "team/a.JSON"]);
}

#[tokio::test]
async fn ids_do_not_lead_out_of_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path());
    for id in ["../a.json", "/etc/a.json", "a/../b.json", ".a.json", "a.txt", "", "x/.cliproxy/a.json", "."] {
        let result = store.put(id, "{}".into(), Expected::Any).await;
        assert!(matches!(result, Err(StoreError::Name(_))), "{id}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_only_and_links_of_the_old_content_stay_whole() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("auth"));
    store.put("a.json", "{}".into(), Expected::Absent).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = store.path("a.json").unwrap();
    assert_eq!((mode(&store.directory), mode(&path)), (0o700, 0o600));
    let link = directory.path().join("link");
    std::fs::hard_link(&path, &link).unwrap();
    store.put("a.json", "{\"a\":1}".into(), Expected::Any).await.unwrap();
    assert_eq!(std::fs::read(&link).unwrap(), b"{}", "a file is replaced, never written over");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(atomic::make_private(&path).unwrap());
    assert_eq!(mode(&path), 0o600);
    assert!(!atomic::make_private(&path).unwrap());
}

#[test]
fn a_lock_is_held_against_others_until_it_is_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let take = |name| lock::take(directory.path(), name, std::time::Duration::ZERO);
    let held = take("a.json").unwrap();
    assert!(take("a.json").is_err());
    assert!(take("b.json").is_ok());
    drop(held);
    assert!(take("a.json").is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn what_others_may_read_is_made_private_at_the_first_look() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("auth");
    let store = FileStore::new(&place);
    store.put("a.json", "{}".into(), Expected::Absent).await.unwrap();
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    set(&place, 0o755);
    set(&place.join("a.json"), 0o644);
    let looking = FileStore::new(&place).untouched();
    looking.prepare().await.unwrap();
    assert_eq!(looking.list().await.unwrap().len(), 1);
    assert_eq!((mode(&place), mode(&place.join("a.json"))), (0o755, 0o644), "a mere look changes nothing");
    store.prepare().await.unwrap();
    assert_eq!(store.list().await.unwrap().len(), 1);
    assert_eq!((mode(&place), mode(&place.join("a.json"))), (0o700, 0o600));
}

#[tokio::test]
async fn a_change_shows_however_often_and_quickly_it_happens() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path());
    let path = directory.path().join("a.json");
    let mut before = None;
    for turn in 0..50 {
        // Same length, perhaps the same time, written in place.
        let content = format!("{{\"n\":{}}}", 10 + turn);
        atomic_free_write(&path, &content);
        let found = store.list().await.unwrap();
        assert_eq!(found, [("a.json".to_owned(), Version::of(content.as_bytes()))]);
        assert_ne!(Some(found.clone()), before);
        before = Some(found);
    }
}

#[expect(clippy::disallowed_methods, reason = "as careless programs write")]
fn atomic_free_write(path: &std::path::Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_stays_a_link_and_its_target_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let (store, elsewhere) =
        (FileStore::new(directory.path().join("auth")), directory.path().join("real.json"));
    store.prepare().await.unwrap();
    atomic_free_write(&elsewhere, "{\"type\":\"x\"}");
    let link = directory.path().join("auth/a.json");
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    save(&store, "a.json", &changes("a", "b"), false).await.unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "{\"type\":\"x\",\"a\":\"b\"}");
}

#[test]
fn names_of_our_own_files_tell_ids_apart_and_are_never_too_long() {
    let long = |end: &str| file_name(&format!("{}{end}.json", "ü".repeat(300)));
    assert_ne!(long("a"), long("b"));
    assert!(long("a").len() <= 240, "{}", long("a").len());
    assert_eq!(file_name("team/a@b.c.json"), "team%2fa@b.c.json");
}
