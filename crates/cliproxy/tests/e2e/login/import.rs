//! Using the logins of other programs, and undoing that.

use cliproxy_testkit::{Home, Script, Upstream};
use serde_json::json;

use super::{binary, run};
use crate::support;

fn claude_code(access: &str) -> String {
    format!(
        r#"{{"claudeAiOauth": {{"accessToken":"{access}","refreshToken":"refresh-1","expiresAt":4102444800000,"scopes":["user:inference"]}}}}"#
    )
}

fn arranged() -> Home {
    let home = Home::new("");
    home.write(".claude/.credentials.json", &claude_code("access-1"));
    home.write(".claude.json", r#"{"oauthAccount":{"emailAddress":"a@b.c"}}"#);
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_undoing_restores() {
    let home = arranged();
    let (code, text) = run(&home, &["import"]).end().await;
    assert!(code == 0 && text.contains("borrow a@b.c") && text.contains("Nothing was changed"), "{text}");
    assert!(!home.auth_dir().exists());
    for mode in ["borrow", "own"] {
        run(&home, &["import", "--apply", "--mode", mode]).end().await;
        let saved = home.auth_file("claude-a@b.c.json");
        assert_eq!(saved.get("refresh_token").is_some(), mode == "own", "{saved}");
        assert_eq!(saved.get("borrowed_from").is_some(), mode == "borrow", "{saved}");
        let (_, text) = run(&home, &["import", "--apply"]).end().await;
        assert!(text.contains("left alone"), "{text}");
        let (_, text) = run(&home, &["import", "--undo"]).end().await;
        assert!(text.contains("its program has its login as ever"), "{text}");
        assert!(home.auth_files().is_empty());
        let theirs = std::fs::read_to_string(home.path().join(".claude/.credentials.json")).unwrap();
        assert_eq!(theirs, claude_code("access-1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_list_of_imports_is_set_aside_and_not_written_over() {
    let home = arranged();
    home.write("auth/.cliproxy/imports.json", "[{\"id\":");
    let (code, text) = run(&home, &["import", "--apply"]).end().await;
    assert!(code == 0 && text.contains("damaged and is kept as") && text.contains("Done."), "{text}");
    let folder = home.auth_dir().join(".cliproxy");
    assert_eq!(std::fs::read_to_string(folder.join("imports.damaged-1")).unwrap(), "[{\"id\":");
    let (_, text) = run(&home, &["import", "--undo"]).end().await;
    assert!(text.contains("its program has its login as ever"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_reads_what_is_done_line_by_line() {
    let home = arranged();
    for (arguments, words) in [
        (&["import", "--json"][..], &["planned"][..]),
        (&["import", "--json", "--apply"], &["planned", "imported"]),
        (&["import", "--json", "--apply"], &["left"]),
        (&["import", "--json", "--undo"], &["removed"]),
        (&["import", "--json", "--undo"], &["nothing_to_undo"]),
    ] {
        let (code, text) = run(&home, arguments).end().await;
        assert_eq!(code, 0, "{text}");
        let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let events: Vec<_> = events.map(|event| event["event"].as_str().unwrap().to_owned()).collect();
        assert_eq!(events, words, "{text}");
        assert!(!text.contains("access-1") && !text.contains("refresh-1"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_gives_renewed_tokens_back_and_loses_none() {
    let home = arranged();
    run(&home, &["import", "--apply", "--mode", "own"]).end().await;
    let renewed =
        json!({"type": "claude", "email": "a@b.c", "access_token": "access-2", "refresh_token": "refresh-2"});
    home.write("auth/claude-a@b.c.json", &renewed.to_string());
    run(&home, &["import", "--undo"]).end().await;
    let theirs = std::fs::read_to_string(home.path().join(".claude/.credentials.json")).unwrap();
    assert_eq!(theirs, claude_code("access-2").replace("refresh-1", "refresh-2"));
    // The other program has logged in anew: its login stays, and so does ours.
    run(&home, &["import", "--apply", "--mode", "own"]).end().await;
    let other = claude_code("access-3").replace("refresh-1", "refresh-3");
    home.write(".claude/.credentials.json", &other);
    let (_, text) = run(&home, &["import", "--undo"]).end().await;
    assert!(text.contains("kept as"), "{text}");
    let aside = std::fs::read_to_string(home.auth_dir().join(".cliproxy/undone/claude-a@b.c.json")).unwrap();
    assert!(aside.contains("refresh-2"), "{aside}");
    assert_eq!(std::fs::read_to_string(home.path().join(".claude/.credentials.json")).unwrap(), other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_borrowed_token_is_used_as_it_changes_and_never_renewed() {
    let upstream = Upstream::start(|_| Script::json(200, support::body("claude").to_string())).await;
    let home = arranged();
    run(&home, &["import", "--apply"]).end().await;
    let url = upstream.url();
    let config = format!(
        "auth-dir: {}\noauth-endpoints:\n  claude: {{base-url: '{url}', token-url: '{url}/token'}}\n",
        home.auth_dir().display()
    );
    let gateway = cliproxy_testkit::Gateway::start(binary(), &config, &[]);
    let (path, body) = support::request("claude", "claude-haiku-4-5-20251001", false);
    assert_eq!(support::ask(&gateway, &path, &body).await.status, 200);
    let last = || upstream.received().last().unwrap().headers["authorization"].to_str().unwrap().to_owned();
    assert_eq!(last(), "Bearer access-1");
    home.write(".claude/.credentials.json", &claude_code("access-2"));
    for _ in 0..400 {
        support::ask(&gateway, &path, &body).await;
        if last() == "Bearer access-2" {
            break;
        }
    }
    assert_eq!(last(), "Bearer access-2");
    assert!(upstream.received().iter().all(|received| !received.path.starts_with("/token")));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_at_once_import_everything_once() {
    for _ in 0..4 {
        let home = arranged();
        let tokens = json!({"tokens": {"id_token": support::token(&json!({"email": "c@d.e"})), "access_token": "access-2",
            "refresh_token": "refresh-2", "account_id": "id-2"}, "last_refresh": "2026-01-01T00:00:00Z"});
        home.write(".codex/auth.json", &tokens.to_string());
        let (first, second) = tokio::join!(
            run(&home, &["import", "--apply", "--mode", "own"]).end(),
            run(&home, &["import", "--apply", "--mode", "own"]).end(),
        );
        assert_eq!((first.0, second.0), (0, 0), "{first:?}\n{second:?}");
        let names = home.auth_files();
        assert_eq!(names.len(), 2, "{names:?}\n{first:?}\n{second:?}");
        let (_, text) = run(&home, &["import", "--undo"]).end().await;
        assert!(home.auth_files().is_empty(), "{text}\n{first:?}\n{second:?}");
        assert_eq!(text.matches("its program has its login as ever").count(), 2, "{text}");
    }
}
