//! Logins that go wrong: from elsewhere, twice, refused, cut, silent, on a taken port.

use std::net::TcpListener;

use cliproxy_testkit::Home;
use cliproxy_testkit::identity::{Browser, Consent, Fault, IdentityProvider};

use super::{arranged, only_file, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_consent_is_the_end_and_told_on_both_sides() {
    let (provider, home) = arranged().await;
    provider.set_consent(Consent::Deny);
    for flag in ["--claude-login", "--codex-login", "--login", "--antigravity-login", "--iflow-login"] {
        let mut terminal = run(&home, &[flag, "--no-browser"]);
        let (_, status, page) = Browser::default().visit(&terminal.url().await).await;
        assert!(status == 200 && page.contains("access_denied: no thanks"), "{flag}: {page}");
        let (code, text) = terminal.end().await;
        assert!(
            code == 0 && text.contains("the provider refused the login: access_denied: no thanks"),
            "{text}"
        );
    }
    assert!(home.auth_files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_state_changes_nothing_and_a_second_return_neither() {
    let (provider, home) = arranged().await;
    let browser = Browser::default();
    provider.set_consent(Consent::WrongState);
    let mut terminal = run(&home, &["--codex-login", "--no-browser"]);
    let url = terminal.url().await;
    let (address, status, page) = browser.visit(&url).await;
    assert!(status == 400 && page.contains("Not the login that is waiting"), "{address}: {page}");
    terminal.wait_for("Ignored: a callback arrived that does not count").await;
    provider.set_consent(Consent::Allow);
    // Asked for tokens by nobody: the first answer is held back, so that the second return finds the login at work.
    provider.fail("/codex/token", Fault::Stall);
    let address = browser.stop_at_redirect(&url).await;
    assert_eq!(browser.visit(&address).await.1, 200);
    terminal.wait_for("The browser has come back.").await;
    let (_, status, page) = browser.visit(&address).await;
    assert!(status == 409 && page.contains("Already used"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_from_another_name_is_refused() {
    let (_provider, home) = arranged().await;
    let mut terminal = run(&home, &["--claude-login", "--no-browser"]);
    let address = Browser::default().stop_at_redirect(&terminal.url().await).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(&address).header("host", "rebound.example").send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(Browser::default().visit(&address).await.1, 200);
    terminal.wait_for("Claude authentication successful!").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_fails_is_told_and_nothing_is_saved() {
    let limited = "{\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Slow down\"}}".to_owned();
    for (fault, words) in [
        (Fault::Page(502), "OpenAI answered 502 with a page instead of JSON; try again later"),
        (Fault::Page(200), "OpenAI answered 200 without JSON"),
        (Fault::Json(429, limited), "OpenAI answered 429 `rate_limit_error`: Slow down; try again later"),
        (Fault::Json(503, "{}".to_owned()), "OpenAI answered 503; try again later"),
        (
            Fault::Json(400, "{\"error\":\"invalid_grant\"}".to_owned()),
            "OpenAI answered 400 `invalid_grant`; log in again",
        ),
        (Fault::Json(200, "{}".to_owned()), "OpenAI answered without an access token"),
        (Fault::Cut, "the answer broke off"),
    ] {
        let (provider, home) = arranged().await;
        provider.fail("/codex/token", fault.clone());
        let mut terminal = run(&home, &["--codex-login", "--no-browser"]);
        Browser::default().visit(&terminal.url().await).await;
        let (code, text) = terminal.end().await;
        assert!(
            code == 0 && text.contains("Codex authentication failed: ") && text.contains(words),
            "{fault:?}: {text}"
        );
        assert!(home.auth_files().is_empty(), "{fault:?}");
        assert!(!text.contains("code-of-codex"), "the code is not shown: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_token_endpoint_ends_within_the_configured_time() {
    let provider = IdentityProvider::start().await;
    let timeouts = "upstream-timeouts: {connect: 1, tls: 1, first-byte: 1, idle: 1}\n";
    let home = Home::new(&format!("{timeouts}{}", provider.endpoints()));
    provider.fail("/claude/token", Fault::Stall);
    let mut terminal = run(&home, &["--claude-login", "--no-browser"]);
    Browser::default().visit(&terminal.url().await).await;
    let (_, text) = terminal.end().await;
    assert!(text.contains("Claude authentication failed: Anthropic did not answer: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_may_be_repeated_are_repeated() {
    let (provider, home) = arranged().await;
    provider.fail("/antigravity/user", Fault::Page(502));
    provider.fail("/antigravity/user", Fault::Cut);
    let mut terminal = run(&home, &["--antigravity-login", "--no-browser"]);
    Browser::default().visit(&terminal.url().await).await;
    let (_, text) = terminal.end().await;
    assert!(text.contains("Antigravity authentication successful!"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_has_its_own_exit_code() {
    let (_provider, home) = arranged().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, code) in
        [("-codex-login", 13), ("-claude-login", 13), ("-login", 0), ("-antigravity-login", 0)]
    {
        let (status, text) = run(&home, &[flag, "-no-browser", "-oauth-callback-port", &port]).end().await;
        assert_eq!(status, code, "{text}");
        assert!(text.contains(&format!("port {port}, where the browser comes back to, is in use")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_names_the_key_to_set() {
    let home = Home::new("");
    for (flag, provider) in [("--antigravity-login", "antigravity"), ("--iflow-login", "iflow")] {
        let (code, text) = run(&home, &[flag, "--no-browser"]).end().await;
        let key = format!("set `oauth-endpoints.{provider}.client-secret` in config.yaml");
        assert!(code == 0 && text.contains(&key), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_written_is_told_before_anybody_goes_to_the_browser() {
    let (provider, home) = arranged().await;
    // A file where the directory should be.
    home.write("auth", "");
    let (code, text) = run(&home, &["--claude-login", "--no-browser"]).end().await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("Claude authentication failed: the account could not be saved"), "{text}");
    assert!(text.contains("make the auth directory writable") && !text.contains("Visit"), "{text}");
    assert!(provider.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_logins_at_once_do_not_disturb_each_other() {
    let (_provider, home) = arranged().await;
    let mut first = run(&home, &["--codex-login", "--no-browser"]);
    let mut second = run(&home, &["--claude-login", "--no-browser"]);
    let (first_url, second_url) = (first.url().await, second.url().await);
    Browser::default().visit(&second_url).await;
    Browser::default().visit(&first_url).await;
    first.wait_for("Codex authentication successful!").await;
    second.wait_for("Claude authentication successful!").await;
    assert_eq!(home.auth_files().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_redirect_elsewhere_is_ended_by_pasting() {
    let provider = IdentityProvider::start().await;
    let elsewhere = provider.endpoints().replace("http://localhost:0/callback", "https://pages.example/code");
    let home = Home::new(&elsewhere);
    let mut terminal = run(&home, &["--claude-login", "--no-browser"]);
    let url = terminal.url().await;
    assert!(url.contains("redirect_uri=https%3A%2F%2Fpages.example%2Fcode"), "{url}");
    // The scripted consent page redirects to this machine only, so the person's part is played here.
    terminal.say("some-code#wrong-state").await;
    terminal.wait_for("does not count").await;
    assert!(home.auth_files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_exists_keeps_its_refresh_token_when_none_is_given() {
    let (provider, home) = arranged().await;
    home.write("auth/x.json", r#"{"type":"claude","email":"person@example.com","refresh_token":"kept"}"#);
    let body = r#"{"access_token":"bare","expires_in":60,"account":{"email_address":"person@example.com"}}"#;
    provider.fail("/claude/token", Fault::Json(200, body.to_owned()));
    let mut terminal = run(&home, &["--claude-login", "--no-browser"]);
    Browser::default().visit(&terminal.url().await).await;
    terminal.wait_for("Claude authentication successful!").await;
    let (_, saved) = only_file(&home);
    assert_eq!((&saved["access_token"], &saved["refresh_token"]), (&"bare".into(), &"kept".into()));
}
