//! Logins that end between their token and their file.

use cliproxy_testkit::Home;
use cliproxy_testkit::identity::{Browser, Fault, IdentityProvider};
use serde_json::json;

use super::{arranged, binary, only_file, run};
use crate::support;

/// Google's services that are asked with the token before the account is saved.
const GOOGLE: [(&str, &str, &str); 2] = [
    ("--login", "/gemini-cli/user", "gemini-person@example.com-first-project.json"),
    ("--antigravity-login", "/antigravity/user", "antigravity-person@example.com.json"),
];

/// A login that is killed while it waits for an answer of `path`, with its token in hand.
async fn cut_off(provider: &IdentityProvider, home: &Home, flag: &str, path: &str) {
    provider.fail(path, Fault::Stall);
    let mut terminal = run(home, &[flag, "--no-browser"]);
    Browser::default().visit(&terminal.url().await).await;
    while !provider.received().iter().any(|received| received.path.starts_with(path)) {
        tokio::task::yield_now().await;
    }
    terminal.kill().await;
    assert!(home.auth_files().is_empty());
}

fn config(home: &Home) -> String {
    std::fs::read_to_string(home.path().join("config.yaml")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_start_finishes_it_and_check_tells_of_it_before() {
    for (flag, path, file) in GOOGLE {
        let (provider, home) = arranged().await;
        cut_off(&provider, &home, flag, path).await;
        let said = support::check(&config(&home)).stdout;
        assert!(said.contains("was cut off after its token had come; a start of the server"), "{said}");
        assert!(home.auth_files().is_empty(), "check changes nothing");
        let gateway = support::start(&config(&home), &[]);
        gateway.line("login that was cut off is finished: person@example.com is saved in").await;
        let (name, saved) = only_file(&home);
        assert_eq!(name, file);
        let text = saved.to_string();
        assert!(text.contains("refresh-of-"), "{text}");
        assert!(!gateway.log().contains("refresh-of-"), "{}", gateway.log());
        assert!(!support::check(&config(&home)).stdout.contains("was cut off"));
        // Nobody is asked twice for what is there.
        let redeemed =
            provider.received().iter().filter(|received| received.path.ends_with("/token")).count();
        assert_eq!(redeemed, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_login_finishes_it_first() {
    let (provider, home) = arranged().await;
    cut_off(&provider, &home, "--antigravity-login", "/antigravity/user").await;
    let mut terminal = run(&home, &["--claude-login", "--no-browser"]);
    terminal.wait_for("an earlier Antigravity login that was cut off is finished: person@example.com").await;
    assert_eq!(only_file(&home).0, "antigravity-person@example.com.json");
    Browser::default().visit(&terminal.url().await).await;
    terminal.wait_for("Claude authentication successful!").await;
    assert_eq!(home.auth_files().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_that_ended_meanwhile_is_exchanged() {
    for (flag, path, file) in GOOGLE {
        let (provider, home) = arranged().await;
        cut_off(&provider, &home, flag, path).await;
        provider.expire();
        let gateway = support::start(&config(&home), &[]);
        gateway.line("that was cut off is finished").await;
        let (name, saved) = only_file(&home);
        assert_eq!(name, file);
        let access = saved.pointer("/token/access_token").unwrap_or_else(|| &saved["access_token"]);
        assert!(provider.accepts(access.as_str().unwrap()), "{saved:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_after_the_token_costs_no_login() {
    let (provider, home) = arranged().await;
    for _ in 0..3 {
        provider.fail("/antigravity/user", Fault::Page(502));
    }
    let mut terminal = run(&home, &["--antigravity-login", "--no-browser"]);
    Browser::default().visit(&terminal.url().await).await;
    let (_, text) = terminal.end().await;
    let told = "Antigravity authentication failed: Google answered 502 with a page instead of JSON; the token that came is kept; the next login or the gateway finishes this one";
    assert!(text.contains(told), "{text}");
    let mut terminal = run(&home, &["--antigravity-login", "--no-browser"]);
    terminal.wait_for("an earlier Antigravity login that was cut off is finished").await;
    assert_eq!(only_file(&home).0, "antigravity-person@example.com.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_final_and_leaves_nothing_behind() {
    let (provider, home) = arranged().await;
    cut_off(&provider, &home, "--antigravity-login", "/antigravity/user").await;
    let terms = "This service has been disabled in this account for violation of Terms of Service.";
    let body = json!({"error": {"code": 403, "message": terms, "status": "PERMISSION_DENIED"}});
    provider.fail("/antigravity/user", Fault::Json(403, body.to_string()));
    let mut terminal = run(&home, &["--codex-login", "--no-browser"]);
    terminal.wait_for("an earlier Antigravity login that was cut off has failed: Google answered 403").await;
    assert!(home.auth_files().is_empty());
    assert!(!support::check(&config(&home)).stdout.contains("was cut off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_still_going_on_is_left_alone() {
    let (provider, home) = arranged().await;
    provider.fail("/antigravity/user", Fault::Stall);
    let mut waiting = run(&home, &["--antigravity-login", "--no-browser"]);
    Browser::default().visit(&waiting.url().await).await;
    waiting.wait_for("The browser has come back.").await;
    let mut other = run(&home, &["--codex-login", "--no-browser"]);
    Browser::default().visit(&other.url().await).await;
    let (_, text) = other.end().await;
    assert!(!text.contains("an earlier"), "{text}");
    assert_eq!(only_file(&home).0, "codex-person@example.com-plus.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_got_a_newer_token_meanwhile_keeps_it() {
    let (provider, home) = arranged().await;
    cut_off(&provider, &home, "--antigravity-login", "/antigravity/user").await;
    let newer = r#"{"type":"antigravity","email":"person@example.com","refresh_token":"newer","last_refresh":"2099-01-01T00:00:00Z"}"#;
    home.write("auth/antigravity-person@example.com.json", newer);
    let mut next = home.run(binary(), &["--codex-login", "--no-browser"]);
    next.url().await;
    assert_eq!(only_file(&home).1["refresh_token"], "newer");
    assert!(!support::check(&config(&home)).stdout.contains("was cut off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_a_panel_survives_the_end_of_the_gateway() {
    let (provider, home) = arranged().await;
    let config = config(&home);
    let key = "panel-key-0001";
    let gateway = support::start(&config, &["--password", key]);
    let url = format!("{}/v0/management/antigravity-auth-url?is_webui=true", gateway.url());
    let answer = support::send(support::client().get(url).bearer_auth(key)).await.json();
    provider.fail("/antigravity/user", Fault::Stall);
    Browser::default().visit(answer["url"].as_str().unwrap()).await;
    while !provider.received().iter().any(|received| received.path == "/antigravity/user") {
        tokio::task::yield_now().await;
    }
    gateway.killer().kill();
    assert!(home.auth_files().is_empty());
    let gateway = support::start(&config, &[]);
    gateway.line("an earlier Antigravity login that was cut off is finished").await;
    assert_eq!(only_file(&home).0, "antigravity-person@example.com.json");
}
