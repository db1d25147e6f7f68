//! Logins with a browser, on this machine and on another one.

use cliproxy_testkit::identity::{Browser, CLIENT_SECRET};
use serde_json::json;

use super::{arranged, is_about, only_file, run};

/// What is pasted of an address.
type Form = fn(&str) -> String;

/// Logs in with a browser on this machine; gives what was printed.
async fn log_in(home: &cliproxy_testkit::Home, arguments: &[&str]) -> String {
    let mut terminal = run(home, arguments);
    let (address, status, page) = Browser::default().visit(&terminal.url().await).await;
    assert!(status == 200 && page.contains("Login received"), "{address}: {page}");
    // Gemini asks for a project; an empty line takes the first.
    terminal.say("").await;
    let (code, text) = terminal.end().await;
    assert_eq!(code, 0, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_ends_in_the_file_that_other_programs_read() {
    let cases = [
        ("-claude-login", "Claude", "claude-person@example.com.json", 10),
        ("-codex-login", "Codex", "codex-person@example.com-plus.json", 8),
        ("-antigravity-login", "Antigravity", "antigravity-person@example.com.json", 8),
        ("-login", "Gemini", "gemini-person@example.com-first-project.json", 6),
    ];
    for (flag, title, file, members) in cases {
        let (_provider, home) = arranged().await;
        let text = log_in(&home, &[flag, "-no-browser"]).await;
        let path = home.auth_dir().join(file);
        for line in [
            "Visit the following URL to continue authentication:\n".to_owned(),
            format!("Saving credentials to {}\n", path.display()),
            format!("Authentication saved to {}\n", path.display()),
            format!("{title} authentication successful!\n"),
        ] {
            assert!(text.contains(&line), "{flag}: no {line:?} in\n{text}");
        }
        assert!(!text.contains("Opening browser"), "{text}");
        let (name, saved) = only_file(&home);
        assert_eq!(name, file);
        assert_eq!(saved.as_object().unwrap().len(), members, "{flag}: {saved:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_is_saved_with_its_account_and_organization() {
    let (provider, home) = arranged().await;
    log_in(&home, &["--claude-login", "--no-browser"]).await;
    let (_, saved) = only_file(&home);
    assert!(provider.accepts(saved["access_token"].as_str().unwrap()));
    assert!(saved["refresh_token"].as_str().unwrap().starts_with("refresh-of-claude"));
    assert!(is_about(&saved["expired"], 3600) && is_about(&saved["last_refresh"], 0), "{saved:#}");
    for (member, value) in [
        ("type", "claude"),
        ("id_token", ""),
        ("email", "person@example.com"),
        ("account_uuid", "uuid-1"),
        ("organization_uuid", "account-1"),
        ("organization_name", "Example"),
    ] {
        assert_eq!(saved[member], value, "{member}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_is_saved_with_its_account_and_named_by_its_plan() {
    let (provider, home) = arranged().await;
    provider.set_plan("team", "account-7");
    log_in(&home, &["--codex-login", "--no-browser"]).await;
    let (name, saved) = only_file(&home);
    assert!(name.starts_with("codex-") && name.ends_with("-person@example.com-team.json"), "{name}");
    assert_eq!(name.len(), "codex-12345678-person@example.com-team.json".len());
    assert_eq!((&saved["type"], &saved["account_id"]), (&json!("codex"), &json!("account-7")));
    assert!(saved["id_token"].as_str().unwrap().contains('.'));
}

#[tokio::test(flavor = "multi_thread")]
async fn gemini_and_antigravity_are_saved_as_google_programs_read_them() {
    let (provider, home) = arranged().await;
    log_in(&home, &["--login", "--no-browser"]).await;
    let (_, saved) = only_file(&home);
    assert!(provider.accepts(saved["token"]["access_token"].as_str().unwrap()));
    assert!(is_about(&saved["token"]["expiry"], 3600));
    assert_eq!(saved["token"]["client_secret"], CLIENT_SECRET);
    assert_eq!(saved["token"]["universe_domain"], "googleapis.com");
    assert_eq!(saved["token"]["scopes"].as_array().unwrap().len(), 3);
    assert_eq!(
        json!([saved["type"], saved["project_id"], saved["auto"], saved["checked"]]),
        json!(["gemini", "first-project", false, true])
    );
    provider.google(|google| google.managed = Some("managed-project".to_owned()));
    log_in(&home, &["--antigravity-login", "--no-browser"]).await;
    let saved = home.auth_file("antigravity-person@example.com.json");
    assert_eq!(json!([saved["type"], saved["project_id"]]), json!(["antigravity", "managed-project"]));
    assert_eq!(saved["expires_in"], 3600);
}

#[tokio::test(flavor = "multi_thread")]
async fn iflow_is_saved_with_its_key() {
    let (_provider, home) = arranged().await;
    let text = log_in(&home, &["-iflow-login", "-no-browser"]).await;
    assert!(text.contains("iFlow authentication successful!"), "{text}");
    let (name, saved) = only_file(&home);
    assert!(name.starts_with("iflow-person@example.com-"), "{name}");
    assert_eq!(json!([saved["api_key"], saved["cookie"]]), json!(["sk-iflow-scripted", ""]));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_provider, home) = arranged().await;
    log_in(&home, &["--claude-login", "--no-browser"]).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (name, _) = only_file(&home);
    assert_eq!((mode(&home.auth_dir()), mode(&home.auth_dir().join(name))), (0o700, 0o600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_elsewhere_ends_in_a_pasted_address_in_any_form() {
    let (_provider, home) = arranged().await;
    let query = |address: &str| address.split_once('?').unwrap().1.to_owned();
    let forms: [(&str, Form); 5] = [
        ("--codex-login", |address| address.to_owned()),
        ("--codex-login", |address| address.trim_start_matches("http://").to_owned()),
        ("--antigravity-login", |address| address.split_once('?').unwrap().1.to_owned()),
        ("--claude-login", |address| address.replace('?', "#")),
        ("--claude-login", |address| {
            let query = address.split_once('?').unwrap().1;
            let (code, state) = query.split_once("&state=").unwrap();
            format!("{}#{state}", code.trim_start_matches("code="))
        }),
    ];
    for (flag, form) in forms {
        let mut terminal = run(&home, &[flag, "--no-browser"]);
        let address = Browser::default().stop_at_redirect(&terminal.url().await).await;
        assert!(query(&address).contains("code="));
        // Before anybody has asked for it.
        terminal.say(&form(&address)).await;
        let (_, text) = terminal.end().await;
        assert!(text.contains("authentication successful!"), "{flag}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_lines_are_told_apart_from_a_callback() {
    let (_provider, home) = arranged().await;
    let mut terminal = run(&home, &["--claude-login", "--no-browser"]);
    let address = Browser::default().stop_at_redirect(&terminal.url().await).await;
    terminal.say("hello?").await;
    terminal.wait_for("Ignored: this is not a callback URL").await;
    let (code, _) = address.split_once("&state=").unwrap();
    terminal.say(code).await;
    terminal.wait_for("Ignored: this callback URL does not count").await;
    terminal.say(&address).await;
    terminal.wait_for("Claude authentication successful!").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terms_are_said_before_the_address() {
    let (_provider, home) = arranged().await;
    for (flag, words) in [
        ("--claude-login", "reserve the login of a Claude plan"),
        ("--login", "do not allow third-party software to use the Gemini CLI's login"),
        ("--antigravity-login", "do not allow third-party software to use an Antigravity login"),
        ("--iflow-login", "closed this service on 2026-04-17"),
        ("--qwen-login", "ended the free tier of this login on 2026-04-15"),
    ] {
        let mut terminal = run(&home, &[flag, "--no-browser"]);
        terminal.wait_for("Note: ").await;
        assert!(terminal.line().await.contains(words), "{flag}");
        terminal.url().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_in_again_mends_the_accounts_own_file() {
    let (provider, home) = arranged().await;
    home.write(
        "auth/mine.json",
        r#"{"type":"claude", "note" : "mine", "email":"Person@example.com","access_token":"old","prefix":"p"}"#,
    );
    log_in(&home, &["--claude-login", "--no-browser"]).await;
    let (name, saved) = only_file(&home);
    assert_eq!((name.as_str(), &saved["note"], &saved["prefix"]), ("mine.json", &json!("mine"), &json!("p")));
    assert!(provider.accepts(saved["access_token"].as_str().unwrap()));
    // The same address in another organization is another account.
    provider.set_plan("plus", "another-organization");
    log_in(&home, &["--claude-login", "--no-browser"]).await;
    assert_eq!(home.auth_files(), ["claude-person@example.com.json", "mine.json"]);
    provider.set_email("second@example.com");
    log_in(&home, &["--claude-login", "--no-browser"]).await;
    assert_eq!(home.auth_files().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_stays_disabled_and_says_so() {
    let (_provider, home) = arranged().await;
    home.write("auth/mine.json", r#"{"type":"claude","email":"person@example.com","disabled":true}"#);
    let text = log_in(&home, &["--claude-login", "--no-browser"]).await;
    assert!(text.contains("This account is disabled in its file"), "{text}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_opened_unless_told_otherwise() {
    use std::os::unix::fs::PermissionsExt;
    let (_provider, home) = arranged().await;
    let opener = home.write(
        "bin/xdg-open",
        "#!/bin/sh\nprintf %s \"$1\" > \"$HOME/opened.next\"\nmv \"$HOME/opened.next\" \"$HOME/opened\"\n",
    );
    std::fs::set_permissions(&opener, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", home.path().join("bin").display());
    let mut terminal = home.run_with(super::binary(), &["-codex-login"], &[("PATH", &path)]);
    terminal.wait_for("Opening browser for Codex authentication\n").await;
    let url = terminal.url().await;
    let (_, status, _) = Browser::default().visit(&url).await;
    assert_eq!(status, 200);
    terminal.wait_for("Codex authentication successful!").await;
    assert_eq!(std::fs::read_to_string(home.path().join("opened")).unwrap(), url);
    let mut terminal = home.run_with(super::binary(), &["-login"], &[("PATH", &path)]);
    terminal.wait_for("Opening browser for authentication...\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_session_explains_the_tunnel() {
    let (_provider, home) = arranged().await;
    let variables = [("SSH_CONNECTION", "10.0.0.1 5 10.0.0.2 22")];
    let mut terminal = home.run_with(super::binary(), &["-claude-login", "-no-browser"], &variables);
    terminal.wait_for("ssh -L ").await;
    let hint = terminal.line().await;
    let url = terminal.url().await;
    let port = url.split("localhost%3A").nth(1).unwrap().split("%2F").next().unwrap();
    assert!(hint.starts_with(&format!("{port}:127.0.0.1:{port} ")), "{hint} {url}");
}
