//! The login with a browser's cookie.

use cliproxy_testkit::identity::COOKIE;
use serde_json::json;

use super::{arranged, only_file, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_becomes_a_key() {
    let (_provider, home) = arranged().await;
    for _ in 0..2 {
        let mut terminal = run(&home, &["-iflow-cookie"]);
        terminal.wait_for("Paste the cookie").await;
        terminal.say(&format!("other=1; {COOKIE}; more=2")).await;
        let (code, text) = terminal.end().await;
        assert!(code == 0 && text.contains("iFlow authentication successful!"), "{text}");
    }
    // The second login found the file of the first.
    let (name, saved) = only_file(&home);
    assert!(name.starts_with("iflow-key_of_a_person-"), "{name}");
    assert_eq!(
        json!([saved["api_key"], saved["cookie"], saved["expired"], saved["email"], saved["access_token"]]),
        json!(["sk-iflow-renewed", format!("{COOKIE};"), "2026-12-31 12:00", "key of a person", ""])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_does_not_log_in_is_told() {
    let (_provider, home) = arranged().await;
    for (line, words) in [
        ("other=1", "the cookie has no BXAuth"),
        ("BXAuth=somebody-else", "iFlow does not accept the cookie: not logged in"),
    ] {
        let mut terminal = run(&home, &["--iflow-cookie"]);
        terminal.say(line).await;
        let (code, text) = terminal.end().await;
        assert!(code == 0 && text.contains(words), "{text}");
    }
    let mut terminal = run(&home, &["--iflow-cookie"]);
    terminal.hang_up();
    assert!(terminal.end().await.1.contains("the question was not answered"));
    assert!(home.auth_files().is_empty());
}
