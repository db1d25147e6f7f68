//! Logins by a code that is confirmed on any device.

use cliproxy_testkit::Terminal;
use cliproxy_testkit::identity::Fault;
use serde_json::json;

use super::{arranged, is_about, only_file, run};

/// The code that a login shows.
async fn code(terminal: &mut Terminal) -> String {
    terminal.wait_for("User code: ").await;
    terminal.line().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_code_ends_in_an_auth_file() {
    for (flag, title, file) in [
        ("-codex-device-login", "Codex", "codex-person@example.com-plus.json"),
        ("-xai-login", "xAI", "xai-person@example.com.json"),
        ("-kimi-login", "Kimi", "kimi-"),
    ] {
        let (provider, home) = arranged().await;
        let mut terminal = run(&home, &[flag, "-no-browser"]);
        let code = code(&mut terminal).await;
        provider.confirm(&code);
        let (status, text) = terminal.end().await;
        assert!(status == 0 && text.contains(&format!("{title} authentication successful!")), "{text}");
        let (name, saved) = only_file(&home);
        assert!(name.starts_with(file), "{name}");
        assert!(provider.accepts(saved["access_token"].as_str().unwrap()));
        assert!(is_about(&saved["expired"], 3600));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_those_of_the_provider() {
    let (provider, home) = arranged().await;
    let mut terminal = run(&home, &["--xai-login", "--no-browser"]);
    let code_shown = code(&mut terminal).await;
    provider.confirm(&code_shown);
    terminal.end().await;
    let (_, saved) = only_file(&home);
    assert_eq!(
        json!([saved["auth_kind"], saved["sub"], saved["token_endpoint"]]),
        json!(["oauth", "account-1", format!("{}/xai/token", provider.url())])
    );
    let (provider, home) = arranged().await;
    let mut terminal = run(&home, &["--kimi-login", "--no-browser"]);
    let code_shown = code(&mut terminal).await;
    provider.confirm(&code_shown);
    terminal.end().await;
    let (_, saved) = only_file(&home);
    let device = saved["device_id"].as_str().unwrap();
    let asked = provider.received();
    assert!(asked.iter().all(|received| received.headers["x-msh-device-id"] == device));
    assert!(asked.iter().all(|received| received.headers["x-msh-platform"] == "cli-proxy-api"));
}

#[tokio::test(flavor = "multi_thread")]
async fn qwen_asks_for_a_name_and_a_name_said_early_counts() {
    let (provider, home) = arranged().await;
    let mut terminal = run(&home, &["-qwen-login", "-no-browser"]);
    let shown = code(&mut terminal).await;
    // Programs around this one write before they are asked.
    terminal.say("me@example.com").await;
    provider.confirm(&shown);
    let (_, text) = terminal.end().await;
    assert!(text.contains("Please input your email address or alias for Qwen:"), "{text}");
    let (name, saved) = only_file(&home);
    assert_eq!(
        json!([name, saved["email"], saved["resource_url"]]),
        json!(["qwen-me@example.com.json", "me@example.com", "portal.example"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_hangs_up_still_gets_the_login() {
    let (provider, home) = arranged().await;
    let mut terminal = run(&home, &["--qwen-login", "--no-browser"]);
    let shown = code(&mut terminal).await;
    terminal.hang_up();
    provider.confirm(&shown);
    terminal.end().await;
    let (name, _) = only_file(&home);
    assert!(name.trim_start_matches("qwen-").trim_end_matches(".json").parse::<u64>().is_ok(), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_survives_faults_and_obeys_the_service() {
    let (provider, home) = arranged().await;
    provider.slow_down_once();
    provider.fail("/kimi/token", Fault::Page(502));
    provider.fail("/kimi/token", Fault::Cut);
    let mut terminal = run(&home, &["--kimi-login", "--no-browser"]);
    let shown = code(&mut terminal).await;
    provider.confirm(&shown);
    let (_, text) = terminal.end().await;
    assert!(text.contains("Kimi authentication successful!"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_code_ends_the_login() {
    for (flag, path) in [("--kimi-login", "kimi"), ("--xai-login", "xai"), ("--qwen-login", "qwen")] {
        let (provider, home) = arranged().await;
        let mut terminal = run(&home, &[flag, "--no-browser"]);
        let shown = code(&mut terminal).await;
        provider.decline(&shown);
        let (status, text) = terminal.end().await;
        assert!(status == 0 && text.contains("`access_denied`: the person declined"), "{path}: {text}");
        assert!(home.auth_files().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_login_that_is_not_offered_points_to_the_other() {
    let (provider, home) = arranged().await;
    provider.fail("/codex/device", Fault::Json(404, "{}".to_owned()));
    let (_, text) = run(&home, &["--codex-device-login", "--no-browser"]).end().await;
    assert!(text.contains("does not offer the device login") && text.contains("--codex-login"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_login_that_is_refused_while_it_waits_ends_and_saves_nothing() {
    let (provider, home) = arranged().await;
    let refusal =
        json!({"error": {"code": "access_denied", "message": "The workspace does not allow this."}});
    provider.fail("/codex/token", Fault::Json(400, refusal.to_string()));
    let mut terminal = run(&home, &["--codex-device-login", "--no-browser"]);
    code(&mut terminal).await;
    let (status, text) = terminal.end().await;
    assert!(
        status == 0
            && text.contains("Codex authentication failed: ")
            && text.contains("The workspace does not allow this"),
        "{text}"
    );
    assert!(home.auth_files().is_empty());
}
